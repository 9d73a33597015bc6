//! Owns the tests of `lote check`: what is printed, and the exit codes. What counts as a finding
//! is tested in lote-lines.

use crate::common::{PROBLEMS, folder, lote, lote_with, repository, word_problems};
use serde_json::{Value, json};

const GOOD: &str = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"x"}]}}"#;

fn line(custom_id: &str, rest: &str) -> String {
    format!(r#"{{"custom_id":"{custom_id}",{rest}}}"#)
}

fn good(custom_id: &str) -> String {
    GOOD.replace("\"a\"", &format!("\"{custom_id}\""))
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
        r#"{{"custom_id":"long","method":"POST","url":"/v1/embeddings","body":{{"model":"m","input":"{}"}}}}"#,
        "x".repeat(1 << 20)
    );
    for file in [
        GOOD.to_owned(),
        format!("{GOOD}\r\n\r\n{}\r\n", good("b")),
        format!("\n\n{GOOD}\n"),
        line(
            "é \\ud83d\\ude00",
            r#""method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"x"}, "extra": 1"#,
        ),
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
    let file: String = (0..150)
        .map(|number| good(&format!("id-{number}")).replace("\"m\",", &format!("\"m\",\"n\":{},", 200 + number)) + "\n")
        .collect();
    for (flags, listed, rest) in [
        (&[][..], 100, Some("… and 50 more; list them with --max-findings 150")),
        (&["--max-findings", "2"], 2, Some("… and 148 more; list them with --max-findings 150")),
        (&["--max-findings", "150"], 150, None),
    ] {
        let ended = lote_with(["check", "-"].iter().chain(flags), file.as_bytes());
        assert_eq!(ended.code, 3);
        assert_eq!(ended.stdout.lines().filter(|line| line.starts_with("line ")).count(), listed);
        assert_eq!(ended.stdout.lines().find(|line| line.starts_with('…')), rest);
        assert!(ended.stdout.ends_with("models: m (150); 150 findings\n"), "{}", ended.stdout);
    }
    let ended = lote_with(["check", "-", "--json", "--max-findings", "1"], file.as_bytes());
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(ended.code, 3);
    assert_eq!(report["findings_total"], 150);
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(1));
    let finding = &report["findings"][0];
    assert_eq!((&finding["line"], &finding["custom_id"]), (&json!(1), &json!("id-0")));
    assert_eq!(finding["code"], "out_of_range");
    assert_eq!((&report["lines"], &report["endpoint"]), (&json!(150), &json!("/v1/chat/completions")));
    assert_eq!(report["models"], json!({"m": 150}));
    assert_eq!(report["bytes"], file.len());
}

#[test]
fn what_is_the_same_in_many_lines_is_printed_once_with_a_count() {
    let file: String = (0..40)
        .map(|number| good(&format!("id-{number}")).replace("\"m\",", "\"m\",\"temperature\":NaN,") + "\n")
        .collect();
    let file = format!("{file}{}", good("last").replace("POST", "GET"));
    let ended = lote_with(["check", "-"], file.as_bytes());
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!((ended.code, lines.len()), (3, 3), "{ended:?}");
    assert!(lines[0].starts_with("line 1 (\"id-0\"): no valid JSON: "), "{ended:?}");
    assert!(lines[0].contains("NaN is no JSON: write null"), "{ended:?}");
    assert!(lines[0].ends_with(" (and in 39 more lines: 2, 3, 4, 5, 6, …)"), "{ended:?}");
    assert!(lines[1].starts_with("line 41 (\"last\"): method is \"GET\""), "{ended:?}");
    assert!(lines[2].ends_with("; 41 findings"), "{ended:?}");
    // Programs get each of them.
    let ended = lote_with(["check", "-", "--json"], file.as_bytes());
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(41));
}

#[test]
fn bodies_are_held_against_their_endpoint() {
    let responses = line(
        "a",
        r#""method":"POST","url":"/v1/responses","body":{"model":"m","input":"x","response_format":{"type":"json_object"}}"#,
    );
    let ended = lote_with(["check", "-"], responses.as_bytes());
    assert_eq!(ended.code, 3);
    assert!(
        ended
            .stdout
            .starts_with("line 1 (\"a\"): response_format is no field of /v1/responses: there it is text.format\n"),
        "{ended:?}"
    );
    let body = |model: &str, more: &str| {
        let rest = r#""method":"POST","url":"/v1/chat/completions","body":{"model":"MODEL","messages":[{"role":"user","content":"x"}]MORE}"#;
        line(model, &rest.replace("MODEL", model).replace("MORE", more))
    };
    // The dialect says what is the service's own, and how many models a file may name.
    for (dialect, file, code) in [
        ("mka1", body("auto", ""), 0),
        ("openai", body("m", r#","logprobs":5"#), 3),
        ("together", body("m", r#","logprobs":5,"response_format":{"type":"json_schema","schema":{}}"#), 0),
        ("mka1", format!("{}\n{}", body("m", ""), body("n", "")), 0),
        ("openai", format!("{}\n{}", body("m", ""), body("n", "")), 3),
        ("vllm", r#"{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"messages":[]}}"#.to_owned(), 0),
        ("openai", r#"{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"messages":[]}}"#.to_owned(), 3),
    ] {
        let ended = lote_with(["check", "-", "--dialect", dialect], file.as_bytes());
        assert_eq!(ended.code, code, "{dialect}: {ended:?}");
    }
}

#[test]
fn the_dialect_says_what_a_request_line_looks_like() {
    let short = r#"{"custom_id":"a","body":{"model":"m","messages":[{"role":"user","content":"x"}]}}"#;
    let azure = GOOD.replace("/v1/chat", "/chat");
    for (flags, file, code, expected) in [
        (&["--dialect", "together", "--endpoint", "chat"][..], short, 0, "endpoint /v1/chat/completions"),
        (&["--dialect", "together"], short, 0, "no endpoint (give --endpoint"),
        (
            &["--dialect", "together", "--endpoint", "chat"],
            r#"{"custom_id":"a","body":{"model":"m"}}"#,
            3,
            "messages is missing",
        ),
        (
            &["--dialect", "together", "--endpoint", "chat"],
            r#"{"custom_id":"a"}"#,
            3,
            "body is missing: every request line has custom_id and body",
        ),
        (
            &["--dialect", "openai", "--endpoint", "chat"],
            short,
            3,
            "method is missing: every request line has custom_id, method, url and body",
        ),
        (&["--dialect", "azure"], &azure, 0, "endpoint /v1/chat/completions"),
        (&["--dialect", "azure", "--endpoint", "chat"], &azure, 0, "endpoint /v1/chat/completions"),
        (&["--dialect", "openai"], &azure, 3, "; write \"/v1/chat/completions\""),
    ] {
        let ended = lote_with(["check", "-"].iter().chain(flags), file.as_bytes());
        assert_eq!(ended.code, code, "{flags:?}: {ended:?}");
        assert!(ended.stdout.contains(expected), "{flags:?}: {ended:?}");
    }
}

#[test]
fn rows_are_told_from_request_lines() {
    for file in ["id,text\n1,hello\n2,\"a, b\"\n", "id;text\n1;hello\n", "{\"id\":1,\"text\":\"hello\"}\n"] {
        let ended = lote_with(["check", "-"], file.as_bytes());
        assert_eq!((ended.code, ended.stdout.lines().count()), (3, 2), "{ended:?}");
        assert!(ended.stdout.contains("`lote prepare` makes request lines of "), "{ended:?}");
    }
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
fn many_rows_are_clean_once_prepared() {
    let template = r#"{"model":"auto","messages":[{"role":"user","content": {{ question }} }]}"#;
    let rows = word_problems();
    let prepared =
        lote_with(["prepare", "-", "--endpoint", "chat", "--template", template, "-o", "-"], rows.as_bytes());
    let ended = lote_with(["check", "-", "--json"], prepared.stdout.as_bytes());
    assert_eq!(ended.code, 0, "{ended:?}");
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&report["lines"], &report["findings_total"]), (&json!(PROBLEMS), &json!(0)));
    assert_eq!(report["bytes"], prepared.stdout.len());
}
