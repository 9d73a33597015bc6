//! The page for a person, as text and in a browser.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use lote_gateway::Gateway;

use crate::common::{CHAT, Caller, OPENAI, chats, http, start};

#[tokio::test]
async fn the_page_may_do_nothing_but_ask_this_gateway() {
    for builder in [Gateway::builder(), Gateway::builder().key("sk-1")] {
        let gateway = start(builder).await;
        for (path, kind) in
            [("/", "text/html"), ("/_lote/status.css", "text/css"), ("/_lote/status.js", "text/javascript")]
        {
            let answer = http().get(format!("{}{path}", gateway.url())).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
            assert!(header("content-type").starts_with(kind), "{path}");
            let policy = header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
            assert_eq!(header("x-content-type-options"), "nosniff");
            let text = answer.text().await.unwrap();
            assert!(
                !["http:", "https:", "//cdn", "localStorage", "cookie ="].iter().any(|word| text.contains(word)),
                "{path}"
            );
        }
    }
}

/// A browser, if one is there.
fn chromium() -> Option<PathBuf> {
    if let Some(path) = env::var_os("LOTE_CHROMIUM") {
        return Some(path.into());
    }
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
    let folders: Vec<PathBuf> = env::split_paths(&env::var_os("PATH")?).collect();
    names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

/// The text of the page at a URL after two seconds of its time, and what the browser's console said.
fn shown(chromium: &PathBuf, url: &str) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0"])
        .args(["--virtual-time-budget=2000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(url)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let console = String::from_utf8_lossy(&output.stderr).lines().filter(|line| line.contains("CONSOLE")).collect();
    (String::from_utf8_lossy(&output.stdout).into_owned(), console)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_batches_of_a_key_and_no_others() {
    let Some(chromium) = chromium() else {
        let on_ci = env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!on_ci, "no Chromium is installed: .ci/run installs it");
        println!("skipped: no Chromium is installed, nor named by LOTE_CHROMIUM");
        return;
    };
    let gateway = start(Gateway::builder()).await;
    let mine = Caller::new(&gateway, OPENAI, "any");
    let other = Caller::new(&gateway, OPENAI, "sk-other");
    let done = mine.run(chats(["a", "b", "[[status=400]]"]), CHAT).await;
    let failed = mine.run("no JSON <b>at all</b>", CHAT).await;
    let hidden = other.run(chats(["a"]), CHAT).await;
    let (url, browser) = (format!("{}/?any", gateway.url()), chromium.clone());
    let (text, console) = tokio::task::spawn_blocking(move || shown(&browser, &url)).await.unwrap();
    assert_eq!(console, "");
    let id = |batch: &serde_json::Value| batch["id"].as_str().unwrap().to_owned();
    assert!(text.contains(&id(&done)) && text.contains(&id(&failed)) && !text.contains(&id(&hidden)), "{text}");
    assert!(text.contains("3 of 3") && text.contains("line 1: "), "{text}");

    // With keys, nothing is shown before one is typed, and a wrong one says so.
    let gateway = start(Gateway::builder().key("sk-1")).await;
    for (query, words) in [("", "Give a key"), ("?any", "Incorrect or missing API key")] {
        let (url, browser) = (format!("{}/{query}", gateway.url()), chromium.clone());
        let (text, _) = tokio::task::spawn_blocking(move || shown(&browser, &url)).await.unwrap();
        assert!(text.contains(words), "{text}");
    }
}
