//! Owns the tests of `lote inspect`: what is printed, and the exit codes. How a line is
//! understood is tested in lote-lines.

use crate::common::{folder, lote, lote_with};
use serde_json::{Value, json};

const OUTPUT: &str = r#"{"id":"1","custom_id":"a","response":{"status_code":200,"request_id":"r","body":{"model":"m-1","text":"hi","usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12,"completion_tokens_details":{"reasoning_tokens":3}}}},"error":null}
{"id":"2","custom_id":"b","response":{"status_code":200,"body":{"model":"m-1","text":"hi","usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}},"error":null}
"#;

const ERRORS: &str = r#"{"id":"3","custom_id":"c","response":{"status_code":429,"body":{"error":{"message":"slow\u001b[2J down","code":"rate_limit"}}},"error":null}
{"id":"4","custom_id":"d","response":null,"error":{"code":"batch_expired","message":"too late"}}
{"id":"5","custom_id":"b","response":null,"error":{"code":"batch_cancelled","message":"stopped"}}
"#;

#[test]
fn all_files_are_counted_together() {
    let folder = folder(&[("output.jsonl", OUTPUT.as_bytes()), ("error.jsonl", ERRORS.as_bytes())]);
    let [output, errors] = ["output.jsonl", "error.jsonl"].map(|name| folder.path().join(name));
    let args = ["inspect".as_ref(), output.as_os_str(), errors.as_os_str()];
    let ended = lote(args.iter().chain([&"--json".as_ref()]));
    assert_eq!(ended.code, 0, "{ended:?}");
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    for (name, count) in [
        ("lines", 5),
        ("succeeded", 2),
        ("failed", 1),
        ("expired", 1),
        ("cancelled", 1),
        ("missing", 0),
        ("unreadable", 0),
    ] {
        assert_eq!(report[name], count, "{name}: {report}");
    }
    assert_eq!(report["usage"]["total_tokens"], 14);
    assert_eq!(report["models"], json!({"m-1": 2}));
    assert_eq!(report["anomalies"][0]["code"], "duplicate_custom_id");
    assert_eq!(report["anomalies"][0]["line"], 3);

    let ended = lote(args);
    assert_eq!(ended.code, 0, "{ended:?}");
    let lines: Vec<_> = ended.stdout.lines().collect();
    assert_eq!(
        lines[..9],
        [
            "lines       5",
            "succeeded   2",
            "failed      1",
            "expired     1",
            "cancelled   1",
            "missing     0",
            "unreadable  0",
            "tokens      14 (input 6, output 8, reasoning 3)",
            "models            2  m-1",
        ]
    );
    assert!(lines.contains(&"anomalies   1"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("rate_limit  slow\\u{1b}[2J down")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("error.jsonl, line 3 (\"b\"): ")), "{lines:#?}");
}

#[test]
fn an_unreadable_line_is_exit_1() {
    for (file, code, unreadable) in [
        ("", 0, 0),
        ("\n\r\n", 0, 0),
        (r#"{"custom_id":"a","response":null,"error":null}"#, 0, 0),
        ("not json\n", 1, 1),
        ("[]\n{}\n", 1, 2),
        (&OUTPUT[..OUTPUT.len() - 9], 1, 1),
    ] {
        let ended = lote_with(["inspect", "-", "--json"], file.as_bytes());
        assert_eq!(ended.code, code, "{file}: {ended:?}");
        let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
        assert_eq!(report["unreadable"], unreadable, "{file}");
        assert!(report["anomalies"].as_array().map_or(0, Vec::len) >= unreadable, "{report}");
    }
}

#[test]
fn an_answer_is_judged_by_what_is_in_it() {
    let line = |id: &str, body: &str| {
        format!(r#"{{"custom_id":"{id}","response":{{"status_code":200,"body":{body}}},"error":null}}"#)
    };
    let file = [
        line("a", r#"{"error":{"code":502,"message":"Provider returned error"}}"#),
        line("b", r#"{"choices":[{"message":{"content":"h"},"finish_reason":"length"}]}"#),
        line("c", r#"{"choices":[{"message":{"content":null},"finish_reason":"content_filter"}]}"#),
        line("d", r#"{"choices":[{"message":{"content":null,"refusal":"No."},"finish_reason":"stop"}]}"#),
        line("e", r#"{"choices":[{"message":{"content":"half \ud83d"},"finish_reason":"stop"}]}"#),
        r#"{"custom_id":"f","result":{"type":"succeeded"}}"#.to_owned(),
    ]
    .join("\n");
    let ended = lote_with(["inspect", "-"], file.as_bytes());
    assert_eq!(ended.code, 1, "{ended:?}");
    for row in ["succeeded   4", "failed      1", "unreadable  1", "cut off     1", "filtered    1", "refused     1"] {
        assert!(ended.stdout.lines().any(|line| line == row), "{row}: {}", ended.stdout);
    }
    assert!(ended.stdout.contains("502  Provider returned error"), "{}", ended.stdout);
    assert!(ended.stdout.contains("its keys are custom_id, result"), "{}", ended.stdout);
}

#[test]
fn compressed_files_are_read_and_what_is_no_jsonl_is_told_once() {
    // The first bytes of `gzip -n` of the line below, and a frame of zstd with one raw block.
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\x4a\x2e\x2d\x2e\xc9\xcf\x8d\xcf\x4c\x51\xb2\x52\x4a\
        \x54\xd2\x51\x4a\x2d\x2a\xca\x2f\x02\xb2\x2b\x94\x6a\xb9\x00\x9f\x11";
    let line = b"{\"custom_id\":\"a\",\"error\":\"x\"}\n";
    let zstd = [&b"\x28\xb5\x2f\xfd\x20"[..], &[line.len() as u8], &[(line.len() << 3 | 1) as u8, 0, 0], line].concat();
    let ended = lote_with(["inspect", "-"], &zstd);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.starts_with("lines       1\n"), "{}", ended.stdout);
    // Without its last bytes: what came is read, and of requests it is refused.
    let ended = lote_with(["inspect", "-"], gzip);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.starts_with("lines       1\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("\ndamaged     1 file\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("stdin, line 2: the gzip data ends too early"), "{}", ended.stdout);
    let ended = lote_with(["check", "-"], gzip);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(ended.stderr.contains("stdin: cannot be read: the gzip data ends too early"), "{ended:?}");

    let page = b"<!DOCTYPE html>\n<html>\n<title>Log in</title>\n</html>\n";
    let [inspected, checked] = ["inspect", "check"].map(|command| lote_with([command, "-"], page));
    assert_eq!((inspected.code, checked.code), (1, 3));
    for ended in [inspected, checked] {
        let told = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(told.matches("the file is an HTML page").count(), 1, "{told}");
    }
}

#[test]
fn anomalies_for_people_are_bounded() {
    let file = OUTPUT.repeat(30);
    for (flags, listed) in [(&[][..], 20), (&["--max-anomalies", "3"], 3), (&["--max-anomalies", "0"], 0)] {
        let ended = lote_with(["inspect", "-"].iter().chain(flags), file.as_bytes());
        assert_eq!(ended.stdout.lines().filter(|line| line.contains("stdin, line ")).count(), listed);
        assert!(ended.stdout.contains("\nanomalies   58\n"), "{}", ended.stdout);
        assert_eq!(ended.stdout.contains(&format!("… and {} more", 58 - listed)), listed > 0, "{}", ended.stdout);
    }
}

#[test]
fn files_that_cannot_be_read() {
    let folder = folder(&[]);
    let absent = folder.path().join("absent.jsonl");
    let ended = lote(["inspect".as_ref(), absent.as_os_str()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(ended.stderr.contains("absent.jsonl: cannot be read: "), "{ended:?}");
    assert_eq!(lote(["inspect"]).code, 2);
}
