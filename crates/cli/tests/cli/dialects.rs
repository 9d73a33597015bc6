//! Owns the tests of `--dialect` and LOTE_DIALECT: which one is chosen, and that a guess is shown.

use std::fs;

use serde_json::{Value, json};

use crate::common::{command, ended, folder, lote, repository};
use crate::service::{Odd, ask, at, json_lines};

const LINE: &str = r#"{"custom_id":"row-1","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"x"}}"#;

#[test]
fn a_guess_is_shown_and_what_is_given_is_not() {
    let list = json!({"object": "list", "data": [], "has_more": false});
    let guessed = {
        let odd = Odd::saying(&list);
        ask(&format!("{}/v1", odd.url()), ["batches", "list"])
    };
    let shown = "dialect openai, guessed from a base URL that ends in /v1; --dialect names another\n";
    assert_eq!((guessed.code, guessed.stderr.as_str()), (0, shown), "{guessed:?}");

    let odd = Odd::saying(&list);
    let given = ask(&format!("{}/v1", odd.url()), ["batches", "list", "--dialect", "ogx"]);
    assert_eq!((given.code, given.stderr.as_str()), (0, ""), "{given:?}");

    // The flag comes before the environment.
    let odd = Odd::saying(&list);
    let azure = ended(at(odd.url()).env("LOTE_DIALECT", "groq").args(["batches", "list", "--dialect", "azure"]), b"");
    assert_eq!((azure.code, azure.stderr.as_str()), (0, ""), "{azure:?}");
    let head = odd.asked().head;
    assert!(head.starts_with("GET /openai/v1/batches HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains(&format!("\napi-key: {}\r", crate::service::KEY)) && !head.contains("\nauthorization:"),
        "{head}"
    );
}

#[test]
fn what_a_dialect_does_not_know_is_exit_2_and_not_sent() {
    let nowhere = "http://127.0.0.1:9";
    for (args, message) in [
        (&["batches", "list", "--dialect", "groqq"][..], "dialect \"groqq\" is none of mka1, openai, azure"),
        (&["batches", "list", "--dialect", "./absent.toml"], "dialect ./absent.toml: "),
        (&["batches", "list", "--dialect", "vllm"], "has no service to talk to"),
        (
            &["batches", "list", "--dialect", "openai", "--on-behalf-of", "user-7"],
            "dialect openai (as given) does not understand X-On-Behalf-Of, and would mix up the end users",
        ),
        (
            &["batches", "create", "file-1", "--endpoint", "embeddings", "--dialect", "groq"],
            "does not take endpoint /v1/embeddings, only /v1/chat/completions, /v1/audio/transcriptions, /v1/audio/translations; nothing was sent",
        ),
        (
            &["batches", "create", "file-1", "--endpoint", "chat", "--completion-window", "7d"],
            "does not offer a completion window of \"7d\", only 24h; nothing was sent",
        ),
    ] {
        let ended = ask(nowhere, args);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains(message), "{ended:?}");
    }
}

#[test]
fn check_and_run_hold_a_file_against_the_dialect() {
    let folder = folder(&[
        ("requests.jsonl", format!("{LINE}\n").as_bytes()),
        ("small.toml", b"name = \"small\"\nextends = \"openai\"\nlimits.custom_id = 4\n"),
        ("bad.toml", b"name = \"bad\"\nlimit = 5\n"),
    ]);
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let codes = |dialect: &str| {
        let checked = lote(["check", &path("requests.jsonl"), "--json", "--dialect", dialect]);
        let found: Value = json_lines(&checked).remove(0);
        let codes = found["findings"].as_array().expect("findings").iter().map(|finding| finding["code"].clone());
        (checked.code, Value::from_iter(codes))
    };
    assert_eq!(codes("openai"), (0, json!([])));
    assert_eq!(codes("groq"), (3, json!(["unknown_url"])));
    assert_eq!(codes(&path("small.toml")), (3, json!(["custom_id_too_long"])));
    let bad = lote(["check", &path("requests.jsonl"), "--dialect", &path("bad.toml")]);
    assert_eq!(bad.code, 2);
    assert!(bad.stderr.contains("bad.toml, line 2, at limit: unknown field `limit`"), "{bad:?}");

    let run = ask("http://127.0.0.1:9", ["run", &path("requests.jsonl"), "--dialect", "groq"]);
    assert_eq!(run.code, 3, "{run:?}");
    assert!(run.stderr.contains("is none of /v1/chat/completions"), "{run:?}");
    let run = ask("http://127.0.0.1:9", ["run", &path("requests.jsonl"), "--completion-window", "1h"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.stderr.contains("does not offer a completion window"), "{run:?}");
    assert!(!folder.path().join("requests.run").exists());
}

#[test]
fn the_pages_command_runs() {
    let page = fs::read_to_string(repository("docs/dialects.md")).expect("docs/dialects.md");
    let piece =
        |language: &str| page.split(&format!("```{language}\n")).nth(1).and_then(|rest| rest.split("```").next());
    let requests = fs::read(repository("examples/requests.jsonl")).expect("examples/requests.jsonl");
    let folder = folder(&[
        ("azure-classic.toml", piece("toml").expect("a table").as_bytes()),
        ("requests.jsonl", requests.as_slice()),
    ]);
    let words: Vec<&str> = piece("sh").expect("a command").split_whitespace().collect();
    assert_eq!(words[0], "lote");
    let checked = ended(command().current_dir(folder.path()).args(&words[1..]), b"");
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(checked.stdout.contains("no findings"), "{checked:?}");
}
