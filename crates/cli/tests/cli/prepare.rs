//! Owns the tests of `lote prepare`: flags, files, findings, exit codes.

use crate::common::{PROBLEMS, command, folder, lote, lote_with, names, signal, until, word_problems};
use serde_json::{Value, json};

#[test]
fn rows_are_refused_by_number_and_line() {
    // (format, rows, expected on stderr)
    let cases: &[(&str, &[u8], &str)] = &[
        ("jsonl", b"{\"q\":1}\n\n{\"q\":\n", "row 2 (line 3): is not valid JSON: EOF"),
        ("jsonl", b"{\"q\":1}\n[1]\n", "row 2 (line 2): is an array, not an object"),
        ("jsonl", b"{\"q\":1} {\"q\":2}\n", "row 1 (line 1): is not valid JSON: trailing characters"),
        ("jsonl", b"{\"q\":\"\xff\"}\n", "row 1 (line 1): is not valid UTF-8 at byte 7"),
        ("jsonl", b"{\"q\":\"\\ud800\"}\n", "row 1 (line 1): is not valid JSON"),
        ("jsonl", b"{\"q\":1,\"q\":2}\n", "row 1 (line 1): is not valid JSON: the key \"q\" comes twice"),
        ("jsonl", b"{\"q\":1,\"row_number\":2}\n", "row 1 (line 1): has a field `row_number`"),
        ("jsonl", b"{\"q\":1}\n{\"r\":1}\n", "row 2 (line 2): template line 1, column 10: `q` is undefined"),
        ("jsonl", b"\n \n", "holds no rows"),
        ("jsonl", b"", "error: stdin: 1 problem; nothing was written"),
        ("csv", b"q,r\n1,2\n3\n", "row 2 (line 3): has 1 column, but line 1 names 2"),
        ("csv", b"\xef\xbb\xbfq,r\r\n1,2\r\n\r\n3\r\n", "row 2 (line 4): has 1 column, but line 1 names 2"),
        ("csv", b"q,r\r1,\"2\n\"\r3\r", "row 2 (line 2): has 1 column, but line 1 names 2"),
        ("csv", b"q,r\n1,2,3\n", "row 1 (line 2): has 3 columns, but line 1 names 2"),
        ("csv", b"q,q\n1,2\n", "line 1: the field name \"q\" comes twice"),
        ("csv", b"q\n\xff\n", "row 1 (line 2): is not valid UTF-8 at byte 1 of line 2; save the file as UTF-8"),
        ("csv", b"q\n\"a\nb\n", "the quoted field that starts on line 2 is never closed"),
        ("csv", b"q,row_number\n1,2\n", "row 1 (line 2): has a field `row_number`"),
        ("csv", b"q\n", "holds no rows"),
        ("csv", b"", "holds no rows"),
    ];
    for (format, rows, expected) in cases {
        let ended = lote_with(
            ["prepare", "-", "--format", format, "--endpoint", "chat", "-o", "-", "--template", r#"{"c": {{ q }} }"#],
            rows,
        );
        let what = String::from_utf8_lossy(rows);
        assert_eq!(ended.code, 3, "{what}: {}", ended.stderr);
        assert_eq!(ended.stdout, "", "{what}");
        assert!(ended.stderr.contains(expected), "{what}: {}", ended.stderr);
    }
}

#[test]
fn a_file_that_holds_no_rows_is_told_in_the_words_of_check() {
    let utf16: Vec<u8> = "\u{feff}q\n1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let array = b"[\n  {\"q\": \"a\"},\n  {\"q\": \"b\"}\n]\n";
    for (format, content, told) in [
        ("jsonl", &b"<!DOCTYPE html><html><title>Log in</title></html>"[..], "the file is an HTML page"),
        ("csv", b"<!DOCTYPE html><html><title>Log in</title></html>", "the file is an HTML page"),
        ("csv", &utf16, "the file is in UTF-16"),
        ("csv", b"PK\x03\x04\x14\0\x06\0", "the file is a zip archive or an Office document"),
        ("csv", b"sep=;\r\nid;q\r\n1;a\r\n", "a line `sep=` of Excel"),
        ("jsonl", array, "the lines stand in a JSON array"),
        ("jsonl", b"[{\"q\":\"a\"},{\"q\":\"b\"}]", "the lines stand in a JSON array"),
        ("jsonl", b"{\n  \"q\": \"a\"\n}\n", "each is to stand on one line"),
    ] {
        let args = ["prepare", "-", "--format", format, "--endpoint", "chat", "--template", r#"{"m": {{ q }} }"#];
        let ended = lote_with(args.into_iter().chain(["-o", "-"]), content);
        assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{told}: {}", ended.stderr);
        let said = ended.stderr.lines().next().expect("a line");
        assert!(said.contains(told), "{told}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 2, "one problem and the sum: {}", ended.stderr);
        let checked = lote_with(["check", "-"], content);
        // But for what it was to be.
        assert_eq!(said.contains("not plain CSV"), format == "csv", "{said}");
        let (said, checked) =
            (said.trim().replace("not plain CSV", "not lines of JSON"), checked.stdout + &checked.stderr);
        assert!(told.contains("each") || checked.contains(&said), "{said}\n{checked}");
    }
    // What only begins in a like way is rows.
    let args = ["prepare", "-", "--format", "csv", "--endpoint", "chat", "--template", r#"{"m": {{ PARENT }} }"#];
    let ended = lote_with(args.into_iter().chain(["-o", "-"]), b"PARENT,sep\na,=\n");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}

#[test]
fn csv_values_are_strings() {
    let rows = "\u{feff}q;x,\"n\"\r\n\"a, \"\"b\"\"\",007\r\n\r\n\"two\r\nlines\",";
    let template = r#"{"q": {{ row["q;x"] }}, "n": {{ n }} }"#;
    let ended = lote_with(
        ["prepare", "-", "--format", "csv", "--endpoint", "chat", "-o", "-", "--template", template],
        rows.as_bytes(),
    );
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let bodies: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a request line")["body"].take())
        .collect();
    assert_eq!(bodies, [json!({"q": "a, \"b\"", "n": "007"}), json!({"q": "two\r\nlines", "n": ""})]);
}

#[test]
fn ids_are_plain_text_and_differ() {
    let folder = folder(&[("rows.tsv", b"id\tq\na\"1\tx\nb\ty\na\"1\tz\n\tw\n")]);
    let rows = folder.path().join("rows.tsv");
    let output = folder.path().join("requests.jsonl");
    let prepare = |id: &str| {
        lote([
            "prepare".as_ref(),
            rows.as_os_str(),
            "--endpoint".as_ref(),
            "chat".as_ref(),
            "--template".as_ref(),
            r#"{"q": {{ q }} }"#.as_ref(),
            "--id".as_ref(),
            id.as_ref(),
            "-o".as_ref(),
            output.as_os_str(),
        ])
    };
    let refused = prepare("{{ id }}");
    assert_eq!(refused.code, 3);
    assert!(refused.stderr.contains(r#"row 3 (line 4): the id "a\"1" is already that of row 1"#), "{refused:?}");
    assert!(refused.stderr.contains("row 4 (line 5): --id renders an empty id"), "{refused:?}");
    assert!(refused.stderr.ends_with("2 problems; nothing was written\n"), "{refused:?}");
    assert_eq!(names(folder.path()), ["rows.tsv"], "nothing is left behind");

    let made = prepare("{{ row_number }}-{{ id | default('x', true) }}");
    assert_eq!(made.code, 0, "{made:?}");
    let lines = std::fs::read_to_string(&output).expect("the request file");
    let ids: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("a request line")["custom_id"].take())
        .collect();
    assert_eq!(ids, ["1-a\"1", "2-b", "3-a\"1", "4-x"]);
    assert_eq!(names(folder.path()), ["requests.jsonl", "rows.tsv"]);

    // A refused run leaves an older file as it was.
    assert_eq!(prepare("same").code, 3);
    assert_eq!(std::fs::read_to_string(&output).expect("the request file"), lines);
    let undefined = prepare("{{ nope }}");
    assert_eq!(undefined.code, 3);
    assert!(undefined.stderr.contains("row 1 (line 2): --id line 1, column 4: `nope` is undefined"), "{undefined:?}");
}

#[test]
fn the_model_goes_where_the_template_has_none() {
    for (template, expected) in [
        (r#"{"input": {{ q }} }"#, r#"{"model":"m-1","input":"x"}"#),
        (r#"{"model": "own", "input": {{ q }} }"#, r#"{"model":"own","input":"x"}"#),
        (r#"{}"#, r#"{"model":"m-1"}"#),
    ] {
        let ended = lote_with(
            ["prepare", "-", "--endpoint", "/v1/embeddings", "--model", "m-1", "-o", "-", "--template", template],
            br#"{"q":"x"}"#,
        );
        let expected =
            format!("{{\"custom_id\":\"row-1\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":{expected}}}\n");
        assert_eq!((ended.code, ended.stdout), (0, expected), "{template}");
    }
}

#[test]
fn every_endpoint_has_two_names() {
    for (short, path) in [
        ("chat", "/v1/chat/completions"),
        ("responses", "/v1/responses"),
        ("embeddings", "/v1/embeddings"),
        ("images", "/v1/images/generations"),
        ("completions", "/v1/completions"),
        ("moderations", "/v1/moderations"),
        ("image-edits", "/v1/images/edits"),
        ("videos", "/v1/videos"),
    ] {
        for name in [short, path] {
            let ended = lote_with(["prepare", "-", "--endpoint", name, "-o", "-", "--template", "{}"], b"{}");
            assert_eq!(ended.code, 0, "{name}: {}", ended.stderr);
            assert!(ended.stdout.contains(&format!(r#""url":"{path}""#)), "{name}: {}", ended.stdout);
        }
    }
}

#[test]
fn summaries_and_findings_as_json() {
    let prepare = ["prepare", "-", "--endpoint", "chat", "--json", "--template", r#"{"q": {{ q }} }"#, "-o"];
    let folder = folder(&[]);
    let output = folder.path().join("requests.jsonl");
    let output = output.to_str().expect("a UTF-8 path");
    let made = lote_with(prepare.iter().chain([&output]), b"{\"q\":1}\n{\"q\":2}");
    let bytes = std::fs::metadata(output).expect("the request file").len();
    let summary: Value = serde_json::from_str(&made.stdout).expect("JSON on stdout");
    assert_eq!(summary, json!({"rows": 2, "lines": 2, "bytes": bytes, "output": output}));

    let refused = lote_with(prepare.iter().chain([&output]), b"{\"q\":1}\n{}\n");
    assert_eq!(refused.code, 3);
    let summary: Value = serde_json::from_str(&refused.stdout).expect("JSON on stdout");
    assert_eq!((&summary["lines"], &summary["output"]), (&json!(0), &Value::Null));
    assert_eq!(summary["findings"][0]["row"], 2);

    // With the lines on stdout, the summary is on stderr.
    let both = lote_with(prepare.iter().chain([&"-"]), b"{\"q\":1}");
    assert_eq!(both.stdout.lines().count(), 1);
    assert_eq!(serde_json::from_str::<Value>(&both.stderr).expect("JSON on stderr")["lines"], 1);
}

#[test]
fn it_stops_at_twenty_problems() {
    let rows: String = (0..50).map(|number| format!("{{\"q\":1,\"q{number}\":1,\"q{number}\":2}}\n")).collect();
    let ended = lote_with(
        ["prepare", "-", "--endpoint", "chat", "-o", "-", "--template", r#"{"q": {{ q }} }"#],
        rows.as_bytes(),
    );
    assert_eq!(ended.code, 3);
    assert_eq!(ended.stderr.lines().filter(|line| line.starts_with("row ")).count(), 20);
    assert!(ended.stderr.ends_with("error: stdin: stopped at 20 problems; nothing was written\n"), "{}", ended.stderr);
}

#[test]
fn what_is_the_same_for_many_rows_is_said_once() {
    let rows = "{\"question\":\"x\",\"id\":1}\n".repeat(50);
    let prepare = ["prepare", "-", "--endpoint", "chat", "-o", "-", "--template", r#"{"q": {{ q }} }"#];
    let ended = lote_with(prepare, rows.as_bytes());
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert_eq!((ended.code, lines.len()), (3, 3), "{ended:?}");
    assert!(lines[0].starts_with("row 1 (line 1): template line 1, column 10: `q` is undefined"), "{ended:?}");
    assert!(lines[0].ends_with(" (and in 49 more rows: 2, 3, 4, 5, 6, …)"), "{ended:?}");
    assert_eq!(lines[1], "the fields as read: \"question\", \"id\"");
    assert_eq!(lines[2], "error: stdin: 1 problem; nothing was written");
    let ended = lote_with(prepare.iter().chain([&"--json"]), rows.as_bytes());
    let report: Value = serde_json::from_str(ended.stderr.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&report["findings"][0]["rows"], &report["fields"]), (&json!(50), &json!(["question", "id"])));
    // The same of a name in --id.
    let ended = lote_with(
        ["prepare", "-", "--endpoint", "chat", "-o", "-", "--template", "{}", "--id", "{{ ID }}"],
        rows.as_bytes(),
    );
    assert_eq!(ended.stderr.lines().filter(|line| line.contains("`ID` is undefined")).count(), 1, "{ended:?}");
    assert!(ended.stderr.contains("the fields as read: \"question\", \"id\"\n"), "{ended:?}");
}

#[test]
fn another_delimiter_is_named_and_can_be_given() {
    let template = r#"{"messages":[{"role":"user","content": {{ text }} }]}"#;
    let prepare = ["prepare", "-", "--endpoint", "chat", "--template", template, "--id", "{{ id }}", "-o", "-"];
    for (rows, format, flag, advice) in [
        ("id;text\n1;hello\n2;a, b\n", "csv", ";", "--delimiter ';'"),
        ("id\ttext\n1\thello\n2\ta, b\n", "csv", "tab", "--delimiter tab"),
        ("id|text\n1|hello\n2|\"a, b\"\n", "csv", "|", "--delimiter '|'"),
        ("id,text\n1,hello\n2,\"a, b\"\n", "tsv", ",", "--delimiter ','"),
    ] {
        let refused = lote_with(prepare.iter().chain(&["--format", format]), rows.as_bytes());
        assert_eq!(refused.code, 3, "{refused:?}");
        let names = rows.lines().next().expect("a line");
        assert!(refused.stderr.contains(&format!("there is one field, {names:?}: add {advice} ")), "{refused:?}");
        let made = lote_with(prepare.iter().chain(&["--format", format, "--delimiter", flag]), rows.as_bytes());
        assert_eq!(made.code, 0, "{made:?}");
        let line: Value = serde_json::from_str(made.stdout.lines().nth(1).expect("two lines")).expect("JSON");
        assert_eq!((&line["custom_id"], &line["body"]["messages"][0]["content"]), (&json!("2"), &json!("a, b")));
    }
    // A delimiter alone says that the rows are CSV.
    let made = lote_with(prepare.iter().chain(&["--delimiter", ";"]), b"id;text\n1;x\n");
    assert_eq!(made.code, 0, "{made:?}");
    for (flags, expected) in [
        (&["--delimiter", ";", "--format", "jsonl"][..], "--delimiter is for rows of CSV"),
        (&["--delimiter", ";;"], "it is one character"),
        (&["--delimiter", "\""], "it is one character"),
        (&["--delimiter", "é"], "it is one character"),
    ] {
        let ended = lote_with(prepare.iter().chain(flags), b"");
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
}

#[test]
fn usage_errors() {
    let folder = folder(&[("rows.jsonl", b"{}"), ("rows.txt", b"{}")]);
    let path = |name: &str| folder.path().join(name).to_str().expect("a UTF-8 path").to_owned();
    let (rows, unknown, absent) = (path("rows.jsonl"), path("rows.txt"), path("absent.jsonl"));
    let (out, nowhere) = (path("out.jsonl"), path("no/such/out.jsonl"));
    let inside = folder.path().to_str().expect("a UTF-8 path").to_owned();
    let at_absent = format!("@{absent}");
    for (rows, endpoint, template, output, expected) in [
        (&absent, "chat", "{}", &out, "absent.jsonl: cannot be read: "),
        (&rows, "chat", at_absent.as_str(), &out, "absent.jsonl: cannot be read: "),
        (&unknown, "chat", "{}", &out, "add --format jsonl, csv, tsv or parquet"),
        (&rows, "audio", "{}", &out, "invalid value 'audio' for '--endpoint"),
        (&rows, "chat", "{}", &rows, "would be overwritten"),
        (&rows, "chat", "{}", &nowhere, "its folder does not exist"),
        (&rows, "chat", "{}", &inside, "is a folder"),
    ] {
        let ended = lote(["prepare", rows, "--endpoint", endpoint, "--template", template, "-o", output]);
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(expected), "{ended:?}");
    }
    assert_eq!(names(folder.path()), ["rows.jsonl", "rows.txt"]);
    assert_eq!(std::fs::read(&rows).expect("the rows"), b"{}");
}

#[cfg(unix)]
#[test]
fn a_device_or_a_pipe_is_written_to_and_not_replaced() {
    let ended = lote_with(["prepare", "-", "--endpoint", "chat", "--template", "{}", "-o", "/dev/null"], b"{}");
    assert_eq!(ended.code, 0, "{ended:?}");
    let metadata = std::fs::metadata("/dev/null").expect("the device is still there");
    assert!(!metadata.is_file());
}

#[cfg(unix)]
#[test]
fn an_interrupted_one_leaves_nothing_behind() {
    use std::process::Stdio;

    let folder = folder(&[]);
    let mut child = command()
        .args(["prepare", "-", "--endpoint", "chat", "--template", "{}", "-o"])
        .arg(folder.path().join("requests.jsonl"))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("lote starts");
    // It waits for rows that never come.
    let stdin = child.stdin.take();
    until("the temporary file is there", || !names(folder.path()).is_empty());
    signal(&child, "INT");
    let output = child.wait_with_output().expect("lote ends");
    drop(stdin);
    assert_eq!(output.status.code(), Some(130));
    let again = "\n  lote prepare - --endpoint chat --template '{}' -o ";
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.starts_with("error: interrupted\n") && stderr.contains(again), "{stderr}");
    assert!(stderr.ends_with("  # begins again, with the same on stdin\n"), "{stderr}");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn many_rows_of_several_scripts_go_through() {
    let questions = word_problems();
    let folder = folder(&[("rows.jsonl", questions.as_bytes())]);
    let rows = folder.path().join("rows.jsonl");
    let output = folder.path().join("requests.jsonl");
    let template = r#"{"model":"auto","messages":[{"role":"user","content": {{ question }} }]}"#;
    let ended = lote([
        "prepare".as_ref(),
        rows.as_os_str(),
        "--endpoint".as_ref(),
        "chat".as_ref(),
        "--template".as_ref(),
        template.as_ref(),
        "-o".as_ref(),
        output.as_os_str(),
    ]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let lines = std::fs::read_to_string(&output).expect("the request file");
    assert_eq!(lines.lines().count(), PROBLEMS);
    for (n, (row, line)) in questions.lines().zip(lines.lines()).enumerate() {
        let row: Value = serde_json::from_str(row).expect("a row");
        let line: Value = serde_json::from_str(line).expect("a request line");
        let expected = json!({
            "custom_id": format!("row-{}", n + 1),
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "auto", "messages": [{"role": "user", "content": row["question"]}]},
        });
        assert_eq!(line, expected);
    }
}
