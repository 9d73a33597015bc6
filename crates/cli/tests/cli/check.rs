//! Owns the tests of `lote check`: what is printed, and the exit codes. What counts as a finding
//! is tested in lote-lines.

use crate::common::{folder, gsm8k, lote, lote_with, repository};
use serde_json::{Value, json};

const GOOD: &str = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m"}}"#;

fn line(custom_id: &str, rest: &str) -> String {
    format!(r#"{{"custom_id":"{custom_id}",{rest}}}"#)
}

fn good(custom_id: &str) -> String {
    line(custom_id, r#""method":"POST","url":"/v1/chat/completions","body":{"model":"m"}"#)
}

#[test]
fn the_examples_are_clean() {
    let path = repository("examples/requests.jsonl");
    let bytes = std::fs::metadata(&path).expect("the request file").len();
    let ended = lote(["check".as_ref(), path.as_os_str()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.stdout.ends_with(&format!(
            "requests.jsonl: 60 request lines, {bytes} bytes, endpoint /v1/chat/completions, models: auto (60); \
             no findings\n"
        )),
        "{}",
        ended.stdout
    );
    assert_eq!(ended.stderr, "");
}

#[test]
fn each_bad_line_is_named() {
    // (file, part of the output)
    let cases: &[(Vec<u8>, &str)] = &[
        (b"".to_vec(), "holds no request line"),
        (b"\n \r\n".to_vec(), "holds no request line"),
        ([b"\xef\xbb\xbf", GOOD.as_bytes()].concat(), "line 1: a byte order mark"),
        ([GOOD.as_bytes(), b"\n{\"custom_id\":\"\xff\"}"].concat(), "line 2: "),
        (format!("{GOOD}\n{}", &good("b")[..40]).into_bytes(), "line 2"),
        (format!("{GOOD},\n{}", good("b")).into_bytes(), "line 1"),
        (format!("[{GOOD}]").into_bytes(), "line 1: "),
        (line("\\ud800", r#""method":"POST","url":"/v1/responses","body":{}"#).into_bytes(), "line 1"),
        (line("a", r#""method":"POST","url":"/v1/responses""#).into_bytes(), "line 1 (\"a\"): "),
        (line("a", r#""method":"GET","url":"/v1/responses","body":{}"#).into_bytes(), "line 1 (\"a\"): "),
        (line("a", r#""method":"POST","url":"/v1/responses","body":[]"#).into_bytes(), "line 1 (\"a\"): "),
        (line("a", r#""method":"POST","url":"/v1/responses","body":{"stream":true}"#).into_bytes(), "line 1 (\"a\"): "),
        (
            format!("{}\n{}", line("x", r#""method":"POST","url":"/v1/responses","body":{}"#), good("b")).into_bytes(),
            "line 2 (\"b\"): url",
        ),
        (format!("{}\n{GOOD}\n\n{}", good("b"), good("a")).into_bytes(), "line 4 (\"a\"): "),
    ];
    for (file, expected) in cases {
        let ended = lote_with(["check", "-"], file);
        let what = String::from_utf8_lossy(file);
        assert_eq!(ended.code, 3, "{what}: {ended:?}");
        assert!(ended.stdout.contains(expected), "{what}: {ended:?}");
        assert!(ended.stdout.lines().last().is_some_and(|l| l.starts_with("stdin: ")), "{what}: {ended:?}");
        assert!(!ended.stdout.contains("no findings"), "{what}: {ended:?}");
    }
}

#[test]
fn odd_but_good_files_are_clean() {
    let long = format!(
        r#"{{"custom_id":"long","method":"POST","url":"/v1/embeddings","body":{{"input":"{}"}}}}"#,
        "x".repeat(1 << 20)
    );
    for file in [
        GOOD.to_owned(),
        format!("{GOOD}\r\n\r\n{}\r\n", good("b")),
        format!("\n\n{GOOD}\n"),
        line("é \\ud83d\\ude00", r#""method":"POST","url":"/v1/embeddings","body":{}, "extra": 1"#),
        long,
    ] {
        let ended = lote_with(["check", "-"], file.as_bytes());
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    }
}

#[test]
fn the_endpoint_can_be_given() {
    for (endpoint, code) in [("chat", 0), ("/v1/chat/completions", 0), ("embeddings", 3)] {
        let ended = lote_with(["check", "-", "--endpoint", endpoint], GOOD.as_bytes());
        assert_eq!(ended.code, code, "{endpoint}: {ended:?}");
    }
    assert_eq!(lote_with(["check", "-", "--endpoint", "audio"], GOOD.as_bytes()).code, 2);
}

#[test]
fn findings_are_counted_beyond_those_listed() {
    let file = format!("{GOOD}\n").repeat(151);
    for (flags, listed, rest) in [
        (&[][..], 100, Some("… and 50 more; list them with --max-findings 150")),
        (&["--max-findings", "2"], 2, Some("… and 148 more; list them with --max-findings 150")),
        (&["--max-findings", "150"], 150, None),
    ] {
        let ended = lote_with(["check", "-"].iter().chain(flags), file.as_bytes());
        assert_eq!(ended.code, 3);
        assert_eq!(ended.stdout.lines().filter(|line| line.starts_with("line ")).count(), listed);
        assert_eq!(ended.stdout.lines().find(|line| line.starts_with('…')), rest);
        assert!(ended.stdout.ends_with("models: m (151); 150 findings\n"), "{}", ended.stdout);
    }
    let ended = lote_with(["check", "-", "--json", "--max-findings", "1"], file.as_bytes());
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(ended.code, 3);
    assert_eq!(report["findings_total"], 150);
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(1));
    let finding = &report["findings"][0];
    assert_eq!((&finding["line"], &finding["custom_id"]), (&json!(2), &json!("a")));
    assert_eq!(finding["code"], "duplicate_custom_id");
    assert_eq!((&report["lines"], &report["endpoint"]), (&json!(151), &json!("/v1/chat/completions")));
    assert_eq!(report["models"], json!({"m": 151}));
    assert_eq!(report["bytes"], file.len());
}

#[test]
fn what_a_file_says_does_not_steer_the_terminal() {
    let file = line("a\\u001b[2J", r#""method":"POST","url":"/v1/\u001b]0;x","body":{}"#);
    let ended = lote_with(["check", "-"], file.as_bytes());
    assert_eq!(ended.code, 3);
    assert!(!ended.stdout.contains('\u{1b}'), "{ended:?}");
}

#[test]
fn files_that_cannot_be_read() {
    let folder = folder(&[]);
    let absent = folder.path().join("absent.jsonl");
    for (path, expected) in [(absent.as_path(), "absent.jsonl: cannot be read: "), (folder.path(), "is a folder")] {
        let ended = lote(["check".as_ref(), path.as_os_str()]);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(expected), "{ended:?}");
    }
}

#[test]
fn gsm8k_is_clean_once_prepared() {
    let Some(rows) = gsm8k() else { return };
    let template = r#"{"model":"auto","messages":[{"role":"user","content": {{ question }} }]}"#;
    let rows = rows.to_str().expect("a UTF-8 path");
    let prepared = lote(["prepare", rows, "--endpoint", "chat", "--template", template, "-o", "-"]);
    let ended = lote_with(["check", "-", "--json"], prepared.stdout.as_bytes());
    assert_eq!(ended.code, 0, "{ended:?}");
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&report["lines"], &report["findings_total"]), (&json!(1319), &json!(0)));
    assert_eq!(report["bytes"], prepared.stdout.len());
}
