//! `lote report`: what the page says, that nothing in it is anybody else's doing, and how a browser shows it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lote_gateway::Gateway;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Ended, command, folder, lote_in, names};
use crate::service::{Embedded, at, requests};

/// A request line with this custom_id, prompt and model.
fn line(id: &str, prompt: &str, model: &str) -> String {
    let body = json!({"model": model, "messages": [{"role": "user", "content": prompt}]});
    let line = json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body});
    format!("{line}\n")
}

fn lote(place: &TempDir, args: &[&str]) -> Ended {
    lote_in(command(), place.path(), args)
}

fn page(place: &TempDir, name: &str) -> String {
    fs::read_to_string(place.path().join(name)).expect("a page")
}

/// A finished run of which some lines did not succeed, with names that others have chosen.
fn mixed() -> TempDir {
    let lines = [
        line("one", "1 + 1?", "gpt-4.1-mini"),
        line("two", "2 + 2?", "<script>alert(1)</script>"),
        line("<img src=x onerror=alert(2)>", "[[status=500]]", "gpt-4.1-mini"),
        line("a\u{202e}b\u{1b}[2J", "[[status=400]]", "gpt-4.1-mini"),
        line("{{ 7 * 7 }}", "[[status=500]]", "gpt-4.1-mini"),
    ];
    let place = folder(&[("requests.jsonl", lines.concat().as_bytes())]);
    let args = ["run", "requests.jsonl", "--embedded", "--dir", "a <b> & 'c'.run", "--shard-lines", "2"];
    assert_eq!(lote(&place, &args).code, 1);
    let ended = lote(&place, &["report", "a <b> & 'c'.run", "-o", "report.html"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "report.html: a run of 5 lines\n"), "{ended:?}");
    place
}

/// The text of a page, without what is between `<` and `>`; of what is escaped in it, only `/` is read.
fn text(page: &str) -> String {
    let body = page.split_once("<body>").expect("a body").1;
    let mut parts = body.split('<');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push('\n');
        text.push_str(part.split_once('>').expect("the end of a tag").1);
    }
    text.replace("&#x2f;", "/")
}

#[test]
fn the_page_says_what_became_of_a_run() {
    let place = mixed();
    let page = page(&place, "report.html");
    let text = text(&page);
    for said in
        ["finished", "40.0 %", "2 of 5 lines", "failed", "3 batches", "the embedded gateway answered", "gpt-4.1-mini"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    for heading in
        ["What became of the lines", "What to do next", "Errors", "Tokens and cost", "When it happened", "Shards"]
    {
        assert!(
            page.contains(&format!("<h2>{heading}</h2>")) || page.contains(&format!("<h3>{heading}</h3>")),
            "{heading}"
        );
    }
    // The commands are fit for a shell, and for a page.
    assert!(page.contains("<code>lote repair &#x27;a &lt;b&gt; &amp; &#x27;\\&#x27;&#x27;c&#x27;"), "{page}");
    assert!(!text.contains("not finished"), "{text}");
}

#[test]
fn nothing_that_others_wrote_does_anything_in_the_page() {
    let place = mixed();
    let page = page(&place, "report.html");
    assert!(page.starts_with("<!doctype html>\n"), "{page}");
    // Our own tags alone: no script, nothing from elsewhere, no handler.
    for tag in page.split('<').skip(1).filter_map(|part| part.split_once('>')).map(|(tag, _)| tag) {
        let name = tag.trim_start_matches('/').split([' ', '\n']).next().expect("a name");
        let known = [
            "!doctype",
            "!--",
            "html",
            "head",
            "meta",
            "title",
            "style",
            "body",
            "header",
            "h1",
            "h2",
            "h3",
            "span",
            "p",
            "main",
            "dl",
            "div",
            "dt",
            "dd",
            "section",
            "svg",
            "rect",
            "path",
            "line",
            "text",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
            "ol",
            "ul",
            "li",
            "code",
            "figure",
            "figcaption",
            "footer",
        ];
        assert!(known.contains(&name), "<{tag}>");
        assert!(!tag.contains("href") && !tag.contains("src=") && !tag.contains(" on"), "<{tag}>");
    }
    assert!(page.contains("default-src &#x27;none&#x27;") || page.contains("default-src 'none'"), "{page}");
    assert!(!page.contains("url(") && !page.contains("@import") && !page.contains("http://"), "{page}");
    let text = text(&page);
    for said in ["&lt;script&gt;alert(1)", "&lt;img src=x onerror=alert(2)&gt;", "a\\u{202e}b\\u{1b}[2J", "{{ 7 * 7 }}"]
    {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!page.contains(|c: char| lote::text::is_hidden(c) && c != '\n'), "{page:?}");
}

#[test]
fn a_run_that_goes_on_has_a_page_that_says_so_and_is_made_again() {
    let gateway = Embedded::standing(Gateway::builder());
    let lines = ["a", "b", "c"].map(|id| line(id, "[[sleep=600000]] 1 + 1?", "auto")).concat();
    let place = folder(&[("requests.jsonl", lines.as_bytes()), ("mine.html", b"<p>mine</p>")]);
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    assert_eq!(lote(&["run", "requests.jsonl", "--detach"]).code, 5);
    let ended = lote(&["report", "requests.run", "-o", "r.html", "--json"]);
    let told: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let expected = json!({"output": "r.html", "finished": false, "lines": 3, "without_outcome": 3, "unreadable": 0, "unread": null});
    assert_eq!((ended.code, told), (0, expected), "{ended:?}");
    let said = text(&page(&place, "r.html"));
    let resume = format!("lote resume requests.run --base-url {}", gateway.url());
    for said_of_it in ["not finished", "3 of 3 lines have no outcome here yet", &resume, "at work"] {
        assert!(said.contains(said_of_it), "{said_of_it}: {said}");
    }
    assert!(!said.contains("lote repair"), "{said}");
    gateway.passing(|| assert_eq!(lote(&["resume", "requests.run"]).code, 0));
    // The page is ours, and is replaced; another one is not.
    let ended = lote(&["report", "requests.run", "-o", "r.html"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "r.html: a run of 3 lines\n"), "{ended:?}");
    let said = text(&page(&place, "r.html"));
    assert!(said.contains("100 %") && said.contains("lote export requests.run"), "{said}");
    let ended = lote(&["report", "requests.run", "-o", "mine.html"]);
    assert!(ended.code == 2 && ended.stderr.contains("--force"), "{ended:?}");
    assert_eq!(page(&place, "mine.html"), "<p>mine</p>");
    assert_eq!(lote(&["report", "requests.run", "-o", "mine.html", "--force"]).code, 0);
    let printed = lote(&["report", "requests.run", "-o", "-"]);
    assert!(printed.code == 0 && printed.stdout.starts_with("<!doctype html>"), "{printed:?}");
    assert_eq!(printed.stderr, "stdout: a run of 3 lines\n");
}

#[test]
fn what_cannot_be_told_of_is_refused_and_leaves_nothing() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    assert_eq!(lote(&place, &["run", "requests.jsonl", "--embedded"]).code, 0);
    for (args, why) in [
        (&["report", "none.run", "-o", "r.html"][..], "none.run"),
        (&["report", ".", "-o", "r.html"], "holds something else than a run"),
        (&["report", "requests.run"], "--output"),
        (&["report", "requests.run", "-o", "requests.run/r.html"], "in the folder of a run"),
        (&["report", "requests.run", "-o", "no/such/r.html"], "no/such"),
        (&["report", "requests.run", "-o", "r.html", "--prices", "none.toml"], "none.toml"),
    ] {
        let ended = lote(&place, args);
        assert!(ended.code == 2 && ended.stderr.contains(why), "{args:?}: {ended:?}");
    }
    assert_eq!(names(place.path()), ["requests.jsonl", "requests.run"]);
    // A result line that is none is counted, and the page is there.
    let results = place.path().join("requests.run/results.jsonl");
    let whole = fs::read_to_string(&results).expect("results");
    fs::write(&results, format!("{whole}{{\n")).expect("written");
    let ended = lote(&place, &["report", "requests.run", "-o", "r.html"]);
    assert!(ended.code == 1 && ended.stdout.contains("1 result line cannot be read"), "{ended:?}");
    // Results that are gone are told of, and all else of the run is there.
    fs::remove_file(&results).expect("they were there");
    let ended = lote(&place, &["report", "requests.run", "-o", "r.html"]);
    assert!(ended.code == 1 && ended.stdout.contains("not all of its results can be read"), "{ended:?}");
    let said = text(&page(&place, "r.html"));
    assert!(said.contains("Not all of its results can be read: ") && said.contains("When it happened"), "{said}");
}

/// Gives the steps of a run, as its log has them, other times: so many seconds after the first. Each is a frame with its own
/// checksum.
fn at_times(run: &Path, seconds: impl Fn(&str, u64) -> u64) {
    let log = run.join("log.jsonl");
    let text = fs::read_to_string(&log).expect("the log");
    let (mut first, mut seq, mut frames) = (None, 0, String::new());
    for frame in text.lines() {
        let frame: Value = serde_json::from_str(frame).expect("JSON");
        let first = *first.get_or_insert(frame["wall"].as_u64().expect("a time"));
        // What happened at one time may be in one frame: each event has one of its own, and its own time.
        for event in frame["events"].as_array().expect("events") {
            let at = seconds(event["event"].as_str().expect("a name"), event["shard"].as_u64().unwrap_or(0));
            seq += 1;
            let (v, epoch) = (&frame["v"], &frame["epoch"]);
            let body = json!({"v": v, "seq": seq, "epoch": epoch, "wall": first + at, "events": [event]}).to_string();
            let body = body.strip_suffix('}').expect("an object");
            frames.push_str(&format!("{body},\"crc32\":\"{:08x}\"}}\n", crc32(body.as_bytes())));
        }
    }
    fs::write(&log, frames).expect("written");
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32, _| if sum & 1 == 1 { (sum >> 1) ^ 0xEDB8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), step))
}

#[test]
fn the_page_draws_when_the_shards_were_at_work() {
    let place = folder(&[("requests.jsonl", &requests(&["a"; 4]))]);
    assert_eq!(lote(&place, &["run", "requests.jsonl", "--embedded", "--shard-lines", "1"]).code, 0);
    // Shard N is at the service from 100 s on, N times 900 s long.
    at_times(&place.path().join("requests.run"), |event, shard| match event {
        "uploaded" | "creating" => 0,
        "created" => 100,
        "over" | "fetched" => 100 + shard * 900,
        "settled" => 136 + shard * 900,
        "finished" => 4_000,
        _ => 0,
    });
    assert_eq!(lote(&place, &["report", "requests.run", "-o", "report.html"]).code, 0);
    let page = page(&place, "report.html");
    let said = text(&page);
    // From 100 s of 4,000 s on, for 900 s: 2.5 % and 22.5 %.
    let bar = r#"<rect class="fill-works" x="2.5%" width="22.5%" height="100%"><title>at the service: 15 min, from "#;
    assert_eq!(page.matches(bar).count(), 1, "{page}");
    assert!(page.contains(r#"<rect class="fill-fetches" x="25.0%" width="0.9%""#), "{page}");
    assert_eq!(page.matches(r#"<rect class="fill-waits" x="0.0%" width="2.5%""#).count(), 4, "{page}");
    // One line after the other was over, and first all were at work.
    assert!(page.contains(r#"d="M0 100H250V76V76H475V51V51H700V27V27H925V2V2H1000""#), "{page}");
    assert!(page.contains(r#"d="M0 100H25V2V2H250V27V27H475V51V51H700V76V76H925V100V100H1000""#), "{page}");
    for words in
        ["1 h 6 min", "3 lines an hour", "15 min", "How long 4 batches took", "20 min to 30 min", "4 at the most"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn of_very_many_shards_those_are_drawn_that_took_longest() {
    let place = folder(&[("requests.jsonl", &requests(&["a"; 120]))]);
    assert_eq!(lote(&place, &["run", "requests.jsonl", "--embedded", "--shard-lines", "1"]).code, 0);
    at_times(&place.path().join("requests.run"), |event, shard| match event {
        "over" | "fetched" | "settled" => shard * 10,
        "finished" => 2_000,
        _ => 0,
    });
    assert_eq!(lote(&place, &["report", "requests.run", "-o", "report.html"]).code, 0);
    let page = page(&place, "report.html");
    assert!(page.contains("20 others are not drawn"), "{page}");
    assert_eq!(page.matches("aria-label=\"shard ").count(), 100);
    assert!(!page.contains("aria-label=\"shard 20\"") && page.contains("aria-label=\"shard 21\""), "{page}");
}

#[test]
fn lines_that_were_sent_one_by_one_and_those_that_equal_others_are_told_of() {
    let lines = ["a", "b", "c", "d"].map(|id| line(id, if id == "d" { "2?" } else { "1?" }, "auto")).concat();
    let place = folder(&[("requests.jsonl", lines.as_bytes())]);
    let ended = lote(&place, &["run", "requests.jsonl", "--embedded", "--sync", "--dedupe", "--json"]);
    let summary: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((ended.code, &summary["deduplicated"]["lines"]), (0, &json!(2)), "{ended:?}");
    at_times(&place.path().join("requests.run"), |event, _| match event {
        "fetched" | "settled" | "finished" => 100,
        _ => 0,
    });
    assert_eq!(lote(&place, &["report", "requests.run", "-o", "report.html"]).code, 0);
    let page = page(&place, "report.html");
    assert!(page.contains(r#"<rect class="fill-asks" x="0.0%" width="100.0%""#), "{page}");
    for fact in ["lines that equal others, and were not sent", "lines sent one by one"] {
        assert!(page.contains(&format!("<dt>{fact}</dt><dd>2</dd>")), "{fact}: {page}");
    }
    // The answer that three lines share was paid for once.
    let usage = &summary["usage"];
    let figure = format!("<dd class=\"figure\">{}</dd>", usage["total_tokens"]);
    assert!(page.contains("4 of 4 lines") && page.contains(&figure), "{usage} {page}");
}

#[test]
fn what_a_run_did_cost_stands_beside_what_it_was_to_cost() {
    let gateway = Embedded::start();
    let lines = [
        line("a", "one", "mine"),
        line("b", "[[status=500]] two", "mine"),
        line("c", "three", "nobody's"),
        line("d", "four", "mine").replace("\"messages\"", "\"max_tokens\":3,\"messages\""),
    ];
    let prices = "[[price]]\nmodels = ['mine']\ninput = 10000\noutput = 10000\n";
    let other = prices.replace("'mine'", "'mine', \"nobody's\"").replace("10000", "1000");
    let files = [("prices.toml", prices), ("other.toml", &other), ("requests.jsonl", &lines.concat())];
    let place = folder(&files.map(|(name, text)| (name, text.as_bytes())));
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    assert_eq!(lote(&["run", "requests.jsonl", "--prices", "prices.toml"]).code, 1);
    let summary = fs::read(place.path().join("requests.run/summary.json")).expect("a summary");
    let summary: Value = serde_json::from_slice(&summary).expect("JSON");
    let cost = |of: &str| format!("${}", summary["invoice"][of]["cost"].as_str().expect("a cost"));
    assert_eq!(lote(&["report", "requests.run", "-o", "r.html"]).code, 0);
    let said = page(&place, "r.html");
    for part in [
        format!("<dd class=\"figure\">{} + ?</dd>", cost("total")),
        "quoted about $".to_owned(),
        "<h3>What was paid for what</h3>".to_owned(),
        format!("<td class=\"number\" data-of=\"cost\">{}</td>", cost("cut_off")),
        "nobody&#x27;s</th>".to_owned(),
        "not known</td>".to_owned(),
        "1 answer with a model whose price is not known".to_owned(),
    ] {
        assert!(said.contains(&part), "{part}: {said}");
    }
    // By prices that are named for the page, its results.
    assert_eq!(lote(&["report", "requests.run", "-o", "r.html", "--prices", "other.toml"]).code, 0);
    let said = page(&place, "r.html");
    assert!(!said.contains("quoted about") && !said.contains("not known") && !said.contains(&cost("total")), "{said}");
}

/// A browser without a window, if one is installed.
fn chromium() -> Option<PathBuf> {
    let named = std::env::var_os("LOTE_CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = || {
        let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
        std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|path| path.is_file())
    };
    named.or_else(found)
}

/// What the browser makes of a page: what it prints, what it complains of, and the size of its picture.
fn shown(chromium: &Path, place: &Path, flags: &[&str]) -> (String, String) {
    let output = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr"])
        .args(["--hide-scrollbars", "--virtual-time-budget=1000"])
        .arg(format!("--user-data-dir={}", place.join("profile").display()))
        .args(flags)
        .arg(format!("file://{}", place.join("report.html").display()))
        .env("HOME", place)
        .stdin(Stdio::null())
        .output()
        .expect("the browser starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_run_of_a_table_is_told_to_be_of_the_table() {
    let place = folder(&[("tickets.csv", b"id,q\n1,a\n2,b\n")]);
    let run = ["run", "tickets.csv", "--user", "{{ q }}", "--model", "auto", "--id", "{{ id }}", "--embedded"];
    assert_eq!(lote(&place, &run).code, 0);
    assert_eq!(lote(&place, &["report", "tickets.run", "-o", "report.html"]).code, 0);
    let text = text(&page(&place, "report.html"));
    assert!(text.contains("\ntickets.csv: 2 lines, ") && !text.contains("lote-tickets"), "{text}");
}

#[test]
fn a_browser_shows_the_page_and_complains_of_nothing() {
    let Some(chromium) = chromium() else {
        let on_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!on_ci, "no Chromium is installed: .ci/run installs it");
        println!("skipped: no Chromium is installed, nor named by LOTE_CHROMIUM");
        return;
    };
    let place = mixed();
    let (dom, said) = shown(&chromium, place.path(), &["--dump-dom"]);
    // A script that ran, a picture that was asked for, or a rule of the page that was broken would be told there.
    assert!(!said.contains("CONSOLE"), "{said}");
    assert!(text(&dom).contains("What became of the lines") && dom.contains("</svg>"), "{dom}");
    for (name, flags) in [
        ("light.png", &["--window-size=1100,1400"][..]),
        ("dark.png", &["--window-size=1100,1400", "--blink-settings=preferredColorScheme=0"]),
        ("narrow.png", &["--window-size=500,1400"]),
    ] {
        let picture = place.path().join(name);
        let screenshot = format!("--screenshot={}", picture.display());
        let (_, said) = shown(&chromium, place.path(), &[flags, &[&screenshot]].concat());
        assert!(!said.contains("CONSOLE"), "{said}");
        let bytes = fs::read(&picture).expect("a picture");
        let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let wide = if name == "narrow.png" { 500 } else { 1100 };
        assert!(bytes.starts_with(b"\x89PNG") && (number(16), number(20)) == (wide, 1400), "{name}");
        // An empty page would be a tenth of that.
        assert!(bytes.len() > 30_000, "{name}: {} bytes", bytes.len());
    }
    let [light, dark] = ["light.png", "dark.png"].map(|name| fs::read(place.path().join(name)).expect("a picture"));
    assert_ne!(light, dark);
}
