//! Files that are not one object a line: what is told once, what is read all the same, and that
//! `inspect`, `join` and `check` say the same of the same bytes.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::fs;

use lote_lines::{CheckOptions, Finding, FindingCode, Inspected, Inspection, Joined, OutcomeKind, check, join};
use serde_json::{Value, json};

fn inspect(bytes: &[u8]) -> Inspected {
    let mut inspection = Inspection::default();
    inspection.read("f", bytes).unwrap();
    let report = inspection.report();
    assert_eq!(inspection.all_readable(), report.unreadable == 0);
    report
}

/// The anomalies as `LINE:CODE`.
fn odd(report: &Inspected) -> Vec<String> {
    report.anomalies.iter().map(|anomaly| format!("{}:{}", anomaly.line, anomaly.code)).collect()
}

fn found(bytes: &[u8]) -> Vec<Finding> {
    let mut findings = Vec::new();
    check(bytes, &CheckOptions::default(), &mut |finding| findings.push(finding), None).unwrap();
    findings
}

fn joined(ids: &[&str], bytes: &[u8]) -> (Joined, Vec<(String, OutcomeKind)>) {
    let folder = tempfile::tempdir().unwrap();
    let [input, output] = ["input", "output"].map(|name| folder.path().join(name));
    fs::write(&input, ids.iter().map(|id| request(id).to_string() + "\n").collect::<String>()).unwrap();
    fs::write(&output, bytes).unwrap();
    let mut out = Vec::new();
    let joined = join(&input, &[&output], &mut out).unwrap();
    let outcomes = out.trim_ascii_end().split(|byte| *byte == b'\n').map(|line| {
        let answer = lote_lines::Answer::parse(line).unwrap();
        (answer.custom_id.to_string(), answer.outcome())
    });
    let outcomes = outcomes.collect();
    (joined, outcomes)
}

fn request(id: &str) -> Value {
    json!({"custom_id": id, "method": "POST", "url": "/v1/responses", "body": {"model": "m", "input": [{"role": "user", "content": "x"}]}})
}

fn answer(id: &str) -> Value {
    json!({"id": "i", "custom_id": id, "response": {"status_code": 200, "request_id": "r",
        "body": {"id": "c", "model": "m", "choices": [{"message": {"content": "a } ] { \" b"}}]}}, "error": null})
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn a_file_that_is_no_jsonl_is_told_once_in_the_same_words() {
    let lines: String = ["a", "b", "c"].map(|id| answer(id).to_string() + "\n").concat();
    let utf16: Vec<u8> = lines.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let page = "<!DOCTYPE html>\n<html>\n<head>\n<title>Log in</title>\n</head>\n<body>\n</body>\n</html>\n";
    for bytes in [page.as_bytes(), &utf16, b"PK\x03\x04\n\n\n\n", b"%PDF-1.7\n%\xe2\xe3\n1 0 obj\n", &[0; 99]] {
        let report = inspect(bytes);
        assert_eq!(odd(&report), ["1:not_jsonl"]);
        assert_eq!((report.lines, report.unreadable), (1, 1));
        let findings = found(bytes);
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].line, findings[0].code), (None, FindingCode::NotJsonl));
        assert_eq!(findings[0].message, report.anomalies[0].message);
        let (joined, outcomes) = joined(&["a"], bytes);
        assert_eq!(joined.anomalies[0].message, report.anomalies[0].message);
        assert_eq!(outcomes, [("a".to_owned(), OutcomeKind::Unreadable)]);
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("requests.jsonl");
        fs::write(&input, bytes).unwrap();
        let error = join(&input, &[], &mut Vec::new()).unwrap_err().to_string();
        assert!(error.ends_with(&format!("line 1: {}", findings[0].message)), "{error}");
    }
}

#[test]
fn an_object_over_several_lines_is_told_once_and_read() {
    for (newline, before, after) in [("\n", "", ""), ("\r\n", "\n \n", "\n\n")] {
        let file =
            [answer("a").to_string(), format!("{before}{}{after}", pretty(&answer("b"))), answer("c").to_string()];
        let file = file.join("\n").replace('\n', newline);
        let report = inspect(file.as_bytes());
        assert_eq!((report.lines, report.succeeded, report.unreadable), (3, 3, 0), "{report:?}");
        let lines: Vec<&str> = file.lines().collect();
        let first = lines.iter().position(|line| *line == "{").unwrap() + 1;
        let last = lines.iter().position(|line| *line == "}").unwrap() + 1;
        assert_eq!(odd(&report), [format!("{first}:object_over_lines")]);
        let message = &report.anomalies[0].message;
        assert!(
            message.contains(&format!("lines {first} to {last}:")) && message.contains("jq -c . FILE"),
            "{message}"
        );
        let (joined, outcomes) = joined(&["c", "b", "a"], file.as_bytes());
        assert!(outcomes.iter().all(|(_, outcome)| *outcome == OutcomeKind::Succeeded), "{outcomes:?}");
        assert_eq!(joined.anomalies.len(), 1);
    }
    // All of the file, written by hand, and with a compact object within.
    let by_hand = "{ \"custom_id\" :\n\"a\", \"response\": { \"status_code\":200, \"body\":\n{\"x\":\n[\n{\"y\":1},\n{\"z\":\"}\"}\n] } }\n}";
    let all = [by_hand.to_owned(), pretty(&answer("b")), pretty(&answer("c"))].join("\n");
    let report = inspect(all.as_bytes());
    assert_eq!((report.lines, report.succeeded, odd(&report)), (3, 3, vec!["1:object_over_lines".to_owned()]));

    let requests = [pretty(&request("a")), request("b").to_string(), pretty(&request("c"))].join("\n");
    let findings = found(requests.as_bytes());
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0].line, findings[0].code), (Some(1), FindingCode::ObjectOverLines));
    let without_digits = |text: &str| text.replace(|character: char| character.is_ascii_digit(), "");
    assert_eq!(without_digits(&findings[0].message), without_digits(&report.anomalies[0].message));
    // Parts of it that are objects on lines of their own are parts of it all the same.
    let by_hand = "{\n\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/responses\",\"body\":{\"model\":\"m\",\"input\":[\n\
                   {\"role\":\"user\",\"content\":\"x\"}\n,\n{\"role\":\"user\",\"content\":\"y\"}\n]}}";
    let findings = found(by_hand.as_bytes());
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0].line, findings[0].code), (Some(1), FindingCode::ObjectOverLines));
    // A request line that is whole, or is cut off itself, is none of its parts.
    let codes = |text: &str| found(text.as_bytes()).iter().map(|f| (f.line, f.code)).collect::<Vec<_>>();
    let [whole, cut] = [request("b").to_string(), request("b").to_string()[..30].to_owned()];
    let truncated = |line| (Some(line), FindingCode::TruncatedLine);
    for open in ["{", "{\"x\":1,", "{\"custom_id\":\"a\","] {
        assert_eq!(codes(&format!("{open}\n{whole}")), [truncated(1)], "{open}");
        assert_eq!(codes(&format!("{open}\n{cut}")), [truncated(1), truncated(2)], "{open}");
        assert_eq!(codes(&format!("{open}\n  {cut}\n{whole}")), [truncated(1), truncated(2)], "{open}");
    }
    // One that is cut off is told with the custom_id that it has.
    let findings = found(b"{\n\"custom_id\":\"a\",\n\"x\":[\n1,\n");
    assert_eq!(findings.len(), 1, "{findings:?}");
    let Finding { line, custom_id, code, .. } = &findings[0];
    assert_eq!((*line, custom_id.as_deref(), *code), (Some(1), Some("a"), FindingCode::TruncatedLine));
    // What is wrong inside is found as well.
    let mut wrong = request("d");
    wrong["method"] = "GET".into();
    let findings = found([requests, pretty(&wrong)].join("\n").as_bytes());
    assert_eq!(findings.last().unwrap().code, FindingCode::MethodNotPost);
}

#[test]
fn a_line_that_was_cut_off_takes_no_other() {
    let whole = |id: &str| answer(id).to_string();
    // Cut within a text, after a key, within an array: each could be the beginning of more lines.
    for cut in [
        "{\"custom_id\":\"b\",\"response\":{\"body\":\"ha",
        "{\"custom_id\":\"b\",\"response\":",
        "{\"custom_id\":\"b\",\"x\":[1,",
    ] {
        let file = [whole("a"), cut.to_owned(), whole("c"), cut.replace("\"b\"", "\"d\"")].join("\n");
        let (joined, outcomes) = joined(&["a", "b", "c", "d", "e"], file.as_bytes());
        use OutcomeKind::{Missing, Succeeded, Unreadable};
        let kinds: Vec<OutcomeKind> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
        assert_eq!(kinds, [Succeeded, Unreadable, Succeeded, Unreadable, Missing], "{cut}");
        assert_eq!(joined.errors.iter().find(|error| error.code == "unreadable").unwrap().count, 2);
        let places: Vec<_> =
            joined.anomalies.iter().map(|a| (a.line, a.custom_id.as_deref(), a.excerpt.as_deref())).collect();
        assert_eq!(places[0], (2, Some("b"), Some(cut)));
        assert_eq!((places[1].0, places[1].1, places.len()), (4, Some("d"), 2));
    }
    // Lines after it that are nothing are told with it, and a whole one ends it.
    let file = ["{\"custom_id\":\"b\",\"response\":{", "\"status_code\":200,", "\"body\":{}", &whole("c")].join("\n");
    let report = inspect(file.as_bytes());
    assert_eq!((report.lines, report.succeeded, report.unreadable), (2, 1, 1));
    assert_eq!(report.anomalies[0].custom_id.as_deref(), Some("b"));
    // A whole line for the same custom_id wins, wherever it stands.
    let whole = whole("a");
    for file in [[&whole[..30], &whole[..]].join("\n"), [&whole[..], &whole[..30]].join("\n")] {
        let (joined, outcomes) = joined(&["a"], file.as_bytes());
        assert_eq!(outcomes, [("a".to_owned(), OutcomeKind::Succeeded)]);
        assert_eq!((joined.anomalies.len(), joined.unreadable), (1, 0), "{:?}", joined.anomalies);
    }
}

#[test]
fn an_array_around_the_lines_is_told_once_and_read() {
    let answers = Value::from(vec![answer("a"), answer("b"), answer("c")]);
    let each: Vec<String> = answers.as_array().unwrap().iter().map(Value::to_string).collect();
    for file in [
        answers.to_string(),
        pretty(&answers),
        format!("[\n{}\n]\n", each.join(",\n")),
        format!("[{}\n]", each.join("\n,")),
        format!("\u{feff}[\n{}\n]", each.join("\n,\n")),
        format!("[{},\n  {}]", each[..2].join(", "), each[2]),
    ] {
        let report = inspect(file.as_bytes());
        assert_eq!((report.lines, report.succeeded, report.unreadable), (3, 3, 0), "{file}");
        let codes: Vec<_> = report.anomalies.iter().map(|anomaly| anomaly.code.as_str()).collect();
        let told: Vec<_> = codes.iter().filter(|code| **code != "bom" && **code != "object_over_lines").collect();
        assert_eq!(told, [&"array_around_lines"], "{file}: {codes:?}");
        let (_, outcomes) = joined(&["b", "a", "c"], file.as_bytes());
        assert!(outcomes.iter().all(|(_, outcome)| *outcome == OutcomeKind::Succeeded), "{file}");
    }
    let requests = Value::from(vec![request("a"), request("b")]);
    for file in [requests.to_string(), format!("[\n{},\n{}\n]", request("a"), request("b"))] {
        let findings = found(file.as_bytes());
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].line, findings[0].code), (Some(1), FindingCode::ArrayAroundLines));
        assert_eq!(findings[0].message, inspect(answers.to_string().as_bytes()).anomalies[0].message);
    }
    // Cut off: what is whole is read.
    let cut = answers.to_string();
    let (joined, outcomes) = joined(&["a", "b", "c"], &cut.as_bytes()[..cut.len() - 20]);
    let kinds: Vec<OutcomeKind> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    assert_eq!(kinds, [OutcomeKind::Succeeded, OutcomeKind::Succeeded, OutcomeKind::Unreadable]);
    assert_eq!(joined.anomalies.len(), 2);
    // A comma alone is nothing outside of an array.
    assert_eq!(odd(&inspect(b",\n, ,")), ["1:unreadable_line", "2:unreadable_line"]);
    assert_eq!(found(b",").len(), 1);
    // An array of something else is a faulty line.
    assert_eq!(
        odd(&inspect(b"[1,2]\n[]\n[[{\"custom_id\":\"a\"}]]")),
        ["1:unreadable_line", "2:unreadable_line", "3:wrapped_list"]
    );
}

#[test]
fn text_after_an_object_is_told_once_and_the_object_read() {
    let each = ["a", "b", "c"].map(|id| answer(id).to_string());
    for (file, unreadable) in [
        (each.concat(), 0),
        (each.join(","), 0),
        (each.join(",\n"), 0),
        (format!("{} {}\n{},", each[0], each[1], each[2]), 0),
        (format!("{} // note\n{}\n{} x", each[0], each[1], each[2]), 2),
        (format!("{}{}{}", each[0], each[1], &each[2][..40]), 1),
    ] {
        let report = inspect(file.as_bytes());
        let readable = if file.ends_with('}') || file.ends_with(',') || file.ends_with('x') { 3 } else { 2 };
        assert_eq!((report.succeeded, report.unreadable), (readable, unreadable), "{file}");
        let told = report.anomalies.iter().filter(|anomaly| anomaly.code.as_str() == "text_after_object").count();
        assert_eq!(told, 1, "{file}");
        let (_, outcomes) = joined(&["a", "b"], file.as_bytes());
        assert!(outcomes.iter().all(|(_, outcome)| *outcome == OutcomeKind::Succeeded), "{file}");
    }
    // The bytes that are left are named with their place.
    let report = inspect(format!("{} // note", each[0]).as_bytes());
    let rest = report.anomalies.last().unwrap();
    assert_eq!((rest.excerpt.as_deref(), rest.offset), (Some("// note"), Some(each[0].len() as u64 + 1)));
}

#[test]
fn lines_that_end_with_a_carriage_return_alone_are_told_once_and_read() {
    for end in ["", "\r", "\r\r", "\r\n", "\n"] {
        let file = ["a", "b", "c"].map(|id| answer(id).to_string()).join("\r") + end;
        let report = inspect(file.as_bytes());
        assert_eq!((report.lines, report.succeeded, report.unreadable), (3, 3, 0), "{report:?}");
        assert_eq!(odd(&report), ["1:carriage_returns"]);
        let (_, outcomes) = joined(&["b", "a", "c"], file.as_bytes());
        assert!(outcomes.iter().all(|(_, outcome)| *outcome == OutcomeKind::Succeeded), "{outcomes:?}");
        let file = ["a", "b", "c"].map(|id| request(id).to_string()).join("\r") + end;
        let findings = found(file.as_bytes());
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].line, findings[0].code), (Some(1), FindingCode::CarriageReturns));
        assert_eq!(findings[0].message, report.anomalies[0].message);
    }
    // The last one cut off, and an end of Windows is none of these.
    let file = ["a", "b"].map(|id| answer(id).to_string()).join("\r");
    let report = inspect(&file.as_bytes()[..file.len() - 9]);
    assert_eq!((report.succeeded, report.unreadable), (1, 1));
    let windows = ["a", "b"].map(|id| answer(id).to_string()).join("\r\n");
    assert_eq!(odd(&inspect(windows.as_bytes())), [""; 0]);
}

#[test]
fn lines_without_a_quote_go_on_with_an_object_as_others_do() {
    let of = |lines: &[&str]| {
        let text = lines.join("\n");
        let report = inspect(text.as_bytes());
        assert_eq!(
            found(text.as_bytes()).iter().filter(|f| f.code == FindingCode::ObjectOverLines).count(),
            report.anomalies.iter().filter(|a| a.code.as_str() == "object_over_lines").count(),
            "{text}"
        );
        (report.lines, report.succeeded, odd(&report))
    };
    let told = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>();
    let head = "{\"custom_id\":\"a\",\"response\":{\"status_code\":200,\"body\":{\"x\":[";
    assert_eq!(
        of(&[head, "1,", "{}", ",", "[", "[", "]", "]", "]", "}", "}", "}"]),
        (1, 1, told(&["1:object_over_lines"]))
    );
    // What does not go on leaves the lines before as they were.
    assert_eq!(of(&[head, "]", "} } } x", "]}}}"]).0, 3);
    // No object begins where a key belongs.
    assert_eq!(of(&["{", "{", "{"]).0, 3);
    assert_eq!(of(&["{", "} x", "}"]).0, 3);
}

#[test]
fn what_follows_a_line_that_was_not_closed_is_judged_as_it_is_elsewhere() {
    let whole = request("a").to_string();
    let alone = |line: &str| -> Vec<_> {
        // Between two whole lines, so that nothing of it depends on where it stands.
        let file = [&whole, line, &request("z").to_string()].map(|line| line.to_owned() + "\n").concat();
        found(file.as_bytes()).into_iter().map(|finding| (finding.code, finding.message)).collect()
    };
    let get = request("b").to_string().replace("POST", "GET");
    for next in [
        request("b").to_string().replace("\"custom_id\":\"b\",", ""),
        request("b").to_string().replace("\"b\"", "7"),
        "{\"method\":\"POST\",\"url\":\"/v1/responses\"}".to_owned(),
        get.clone(),
        "[1,2]".to_owned(),
        "garbage".to_owned(),
        "{}".to_owned(),
        "{\"x\":\"y\"}".to_owned(),
        "17".to_owned(),
        "nul".to_owned(),
    ] {
        let expected = alone(&next);
        assert!(!expected.is_empty(), "{next}");
        // Not closed: an object, an object behind a comma or a value, an array, a text.
        for cut in 0..whole.len() - 1 {
            let last = whole.as_bytes()[cut];
            // Where a value may stand, what follows may be one, but a request line is one of its own.
            if matches!(last, b':' | b'[') && next != get && !next.contains("url") {
                continue;
            }
            let file = format!("{}\n{next}\n{}\n", &whole[..=cut], request("z"));
            let told: Vec<_> = found(file.as_bytes())
                .into_iter()
                .filter(|finding| finding.line == Some(2))
                .map(|finding| (finding.code, finding.message))
                .collect();
            assert_eq!(told, expected, "{file}");
        }
    }
}

#[test]
fn conflict_markers_are_told_once_and_both_sides_read() {
    let [a, b, c] = ["a", "b", "c"].map(|id| answer(id).to_string());
    let file = format!("{a}\n<<<<<<< HEAD\n{b}\n||||||| base\n=======\n{c}\n>>>>>>> branch\n");
    let report = inspect(file.as_bytes());
    assert_eq!((report.lines, report.succeeded, report.unreadable), (4, 3, 1));
    assert_eq!(odd(&report), ["2:conflict_markers"]);
    let file = format!("{}\n<<<<<<< HEAD\n{}\n=======\n{}\n>>>>>>> branch\n", request("a"), request("b"), request("c"));
    let findings = found(file.as_bytes());
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!((findings[0].line, findings[0].code), (Some(2), FindingCode::ConflictMarkers));
    assert_eq!(findings[0].message, report.anomalies[0].message);
    // Alone, the line in the middle is nothing of Git's.
    assert_eq!(odd(&inspect(b"=======\n<<<<<<<<x\n")), ["1:unreadable_line", "2:unreadable_line"]);
}

#[test]
fn shapes_that_are_not_known_are_unreadable_and_name_their_keys() {
    for (line, named) in [
        (
            r#"{"custom_id":"a","result":{"type":"succeeded","message":{"content":[]}}}"#,
            "custom_id, result (so are the results of Anthropic",
        ),
        (
            r#"{"recordId":"a","modelInput":{},"modelOutput":{"x":1}}"#,
            "recordId, modelInput, modelOutput (so are the results of Bedrock",
        ),
        (r#"{"key":"a","response":{"candidates":[],"usageMetadata":{}}}"#, "its keys are key, response"),
        (r#"{"custom_id":"a","response":{"candidates":[]}}"#, "its keys are candidates (so are the results of Gemini"),
        (r#"{"custom_id":"a","response":{"id":"c","choices":[]}}"#, "its keys are id, choices"),
        (r#"{"custom_id":"a","output":"x"}"#, "its keys are custom_id, output"),
        (
            r#"{"custom_id":"a","method":"POST","url":"/v1/responses","body":{}}"#,
            "custom_id, method, url, body (it is a request line)",
        ),
        (r#"{"custom_id":"a","1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1}"#, "5, 6, 7, … (2 more)"),
        (r#"{"custom_id":"a","1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1}"#, "5, 6, 7, … (1 more)"),
    ] {
        let report = inspect(line.as_bytes());
        assert_eq!((report.lines, report.unreadable), (1, 1), "{line}");
        assert!(report.anomalies[0].message.contains(named), "{}", report.anomalies[0].message);
        let (joined, outcomes) = joined(&["a"], line.as_bytes());
        assert_eq!(outcomes, [("a".to_owned(), OutcomeKind::Unreadable)], "{line}");
        assert_eq!((joined.unreadable, joined.missing), (1, 0));
    }
    let eight = inspect(br#"{"custom_id":"a","1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1}"#);
    assert!(eight.anomalies[0].message.ends_with("its keys are custom_id, 1, 2, 3, 4, 5, 6, 7"));
    // Services that leave one of the two out are readable.
    for line in [
        r#"{"custom_id":"a","error":{"type":"request_failed","message":"m"}}"#,
        r#"{"custom_id":"a","response":{"status_code":200,"body":"{\"model\":\"m\",\"x\":1}"}}"#,
        r#"{"batch_id":"b","custom_id":"a","response":{"status_code":500,"message":"m"},"error":null}"#,
        r#"{"custom_id":"a","result":1,"error":"m"}"#,
    ] {
        assert_eq!(inspect(line.as_bytes()).unreadable, 0, "{line}");
    }
}

#[test]
fn a_comma_before_an_object_is_told_once() {
    let line = r#"{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"x"}}"#;
    let other = line.replace("\"a\"", "\"b\"");
    for text in [format!(",{line}\n"), format!("  ,,{line}\n,{other}\n"), format!("{line}\n,{other}\n")] {
        let findings = found(text.as_bytes());
        assert_eq!(findings.len(), 1, "{text}: {findings:?}");
        assert_eq!(findings[0].code, FindingCode::TextAfterObject);
        assert!(findings[0].message.starts_with("a comma stands before the object"), "{}", findings[0].message);
    }
    let answer = r#",{"custom_id":"a","error":{"code":"c","message":"m"}}"#;
    assert_eq!(odd(&inspect(answer.as_bytes())), ["1:text_after_object"]);
    // Also before one that is cut off, and not before anything else.
    let cut = &answer[..answer.len() - 2];
    assert_eq!(odd(&inspect(cut.as_bytes())), ["1:text_after_object", "1:unreadable_line"]);
    assert_eq!(odd(&inspect(b",x")), ["1:unreadable_line"]);
    let array = format!("[{line}\n,{other}]");
    assert_eq!(
        found(array.as_bytes()).iter().map(|finding| finding.code).collect::<Vec<_>>(),
        [FindingCode::ArrayAroundLines]
    );
}
