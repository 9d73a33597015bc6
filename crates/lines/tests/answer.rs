//! How one result line is read and written, whatever the service made of it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use lote_lines::{Answer, OutcomeKind, ResultLine, UnreadableKind, Usage, write_missing};
use serde_json::{Value, json};

fn normalised(line: &str) -> String {
    let mut out = Vec::new();
    Answer::parse(line.as_bytes()).unwrap().write_normalised(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn outcomes() {
    use OutcomeKind::{Cancelled, Expired, Failed, Succeeded};
    let ok = r#"{"status_code":200,"body":{"n":1}}"#;
    for (response, error, expected) in [
        (ok, "null", Succeeded),
        (r#"{"status_code":299,"body":"error: said"}"#, "null", Failed),
        (r#"{"status_code":299,"body":"00:00 --> 00:01"}"#, "null", Succeeded),
        (r#"{"status_code":"200","body":[1]}"#, "null", Succeeded),
        (r#"{"status_code":200.0,"body":"{\"n\":1}"}"#, "null", Succeeded),
        (r#"{"body":{"n":1}}"#, "null", Succeeded),
        (r#"{"status_code":null,"body":{"n":1}}"#, "null", Succeeded),
        (r#"{"status_code":"ok","body":{"n":1}}"#, "null", Failed),
        (ok, "{}", Succeeded),
        (ok, "\"\"", Succeeded),
        (ok, r#"{"code":null,"message":null}"#, Succeeded),
        (ok, r#"{"code":"","message":""}"#, Succeeded),
        (ok, r#"{"code":"x"}"#, Failed),
        (ok, "\"went wrong\"", Failed),
        (ok, "false", Succeeded),
        (ok, "[]", Succeeded),
        (ok, "true", Failed),
        (ok, "[1]", Failed),
        (r#"{"status_code":300}"#, "null", Failed),
        (r#"{"status_code":199}"#, "null", Failed),
        (r#"{"status_code":400,"body":{"error":{"code":"batch_expired"}}}"#, "null", Failed),
        (r#"{"status_code":-200}"#, "null", Failed),
        (r#"{"status_code":70000}"#, "null", Failed),
        (r#"{"status_code":null}"#, "null", Failed),
        (r#"{"status_code":200,"status_code":500}"#, "null", Failed),
        (r#"{"body":{}}"#, "null", Failed),
        ("\"text\"", "\"e\"", Failed),
        ("[]", "\"e\"", Failed),
        ("{}", "null", Failed),
        ("null", "null", Failed),
        ("null", r#"{"code":"batch_expired","message":"late"}"#, Expired),
        ("null", r#"{"code":"batch_cancelled"}"#, Cancelled),
        ("null", r#"{"type":"batch_cancelled"}"#, Cancelled),
        ("null", "\"batch_expired\"", Expired),
        (ok, r#"{"code":"batch_expired"}"#, Expired),
        ("null", r#"{"code":"request_timeout"}"#, Failed),
    ] {
        let line = format!(r#"{{"custom_id":"a","response":{response},"error":{error},"x":1}}"#);
        let answer = Answer::parse(line.as_bytes()).unwrap();
        assert_eq!(answer.outcome(), expected, "{line}");
    }
    assert_eq!(Answer::parse(br#"{"custom_id":"a"}"#).unwrap().outcome(), Failed);
    assert_eq!(Answer::parse(br#"{"custom_id":"a","id":"b","error":{}}"#).unwrap().outcome(), Failed);
    assert_eq!(format!("{:>10}", Expired), "   expired");
    assert_eq!(serde_json::to_value(OutcomeKind::Missing).unwrap(), "missing");
}

#[test]
fn unreadable_lines() {
    use UnreadableKind::{NoCustomId, NotAnObject, NotUtf8, UnknownShape};
    for (line, expected) in [
        (&b""[..], NotAnObject),
        (b"{", NotAnObject),
        (br#"{"custom_id":"a"} x"#, NotAnObject),
        (br#"[{"custom_id":"a"}]"#, NotAnObject),
        (br#"{"custom_id":"a","response":{"body":"#, NotAnObject),
        (b"{\"custom_id\":\"a\xff\"}", NotUtf8),
        (b"{}", NoCustomId),
        (br#"{"custom_id":null}"#, NoCustomId),
        (br#"{"custom_id":{}}"#, NoCustomId),
        (br#"{"custom_id":"\ud800"}"#, NoCustomId),
        (br#"{"recordId":"a","modelOutput":{}}"#, NoCustomId),
        (br#"{"custom_id":"a","result":{"type":"expired"}}"#, UnknownShape),
        (br#"{"custom_id":"a","result":{},"response":null,"error":null}"#, UnknownShape),
        (br#"{"custom_id":"a","output":"x"}"#, UnknownShape),
        (br#"{"custom_id":"a","response":{"candidates":[]}}"#, UnknownShape),
        (br#"{"custom_id":"a","response":"hello"}"#, UnknownShape),
        (br#"{"custom_id":"a","response":[]}"#, UnknownShape),
        (br#"{"custom_id":"a","method":"POST","url":"/v1/responses","body":{}}"#, UnknownShape),
    ] {
        let error = Answer::parse(line).unwrap_err();
        assert_eq!(error.kind(), expected, "{}", String::from_utf8_lossy(line));
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn fields_and_what_is_in_them() {
    let line = json!({
        "id": "batch_req_1", "custom_id": "é\"", "error": null,
        "response": {"status_code": 200, "request_id": "r", "body": {
            "model": "m", "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7},
            "error": null, "text": "x",
        }},
    });
    let line = line.to_string();
    let answer = Answer::parse(line.as_bytes()).unwrap();
    assert_eq!(answer.custom_id, "é\"");
    assert_eq!(answer.id.as_deref(), Some("batch_req_1"));
    assert_eq!(answer.request_id().as_deref(), Some("r"));
    assert_eq!(answer.status_code(), Some(200));
    assert_eq!(answer.model().as_deref(), Some("m"));
    let mut usage = Usage::default();
    (usage.input_tokens, usage.output_tokens, usage.total_tokens) = (3, 4, 7);
    assert_eq!(answer.usage(), Some(usage));
    assert_eq!((answer.error_code(), answer.error_message()), (None, None));

    let line = br#"{"custom_id":12,"id":7,"response":{"status_code":200,"body":"{\"model\":\"m\"}"}}"#;
    let answer = Answer::parse(line).unwrap();
    assert_eq!(answer.custom_id, "12");
    assert_eq!(answer.id.as_deref(), Some("7"));
    assert_eq!(answer.body().unwrap().get(), r#"{"model":"m"}"#);
    assert_eq!(answer.model().as_deref(), Some("m"));
}

#[test]
fn code_and_message_wherever_they_are() {
    for (fields, code, message) in [
        (r#""error":{"code":"c","message":"m"}"#, Some("c"), Some("m")),
        (r#""error":{"code":500,"message":"m"}"#, Some("500"), Some("m")),
        (r#""error":{"type":"t","message":"m"}"#, Some("t"), Some("m")),
        (r#""error":"m""#, None, Some("m")),
        (r#""response":{"status_code":400,"body":{"error":{"code":"c","message":"m"}}}"#, Some("c"), Some("m")),
        (r#""response":{"status_code":429,"body":{"error":"Rate limit exceeded"}}"#, None, Some("Rate limit exceeded")),
        (r#""response":{"status_code":400,"body":"{\"error\":{\"message\":\"m\"}}"}"#, None, Some("m")),
        (r#""response":{"status_code":502,"body":"Bad gateway"}"#, None, Some("Bad gateway")),
        (r#""response":{"status_code":502}"#, None, None),
        (r#""response":{"status_code":400,"body":{"error":{"code":"c"}}},"error":"m""#, Some("c"), Some("m")),
        (r#""response":{"status_code":200,"body":{"error":"no"}}"#, Some("no_answer"), Some("no")),
        (r#""response":{"status_code":500,"message":"m"}"#, None, Some("m")),
        (r#""response":{"status_code":500,"code":"c","message":"m"}"#, Some("c"), Some("m")),
        (r#""response":{"status_code":500,"error":{"code":"c","message":"m"}}"#, Some("c"), Some("m")),
        (r#""response":{"status_code":500,"body":{},"error":{"code":"c","message":"m"}}"#, Some("c"), Some("m")),
        (r#""response":{"status_code":400,"message":"beside","body":{"message":"m"}}"#, None, Some("m")),
        (r#""response":{"status_code":404,"body":{"detail":"m"}}"#, None, Some("m")),
        (
            r#""response":{"status_code":422,"body":{"detail":[{"loc":["a"],"msg":"m","type":"t"}]}}"#,
            Some("t"),
            Some("m"),
        ),
        (r#""response":{"status_code":400,"body":{"message":"{\"error\":{\"message\":\"m\"}}"}}"#, None, Some("m")),
        (r#""error":{"message":"half \ud83d"}"#, None, Some("half \u{fffd}")),
        (r#""response":null"#, Some("no_answer"), Some("the line has neither a response nor an error")),
    ] {
        let line = format!(r#"{{"custom_id":"a",{fields}}}"#);
        let answer = Answer::parse(line.as_bytes()).unwrap();
        assert_eq!((answer.error_code().as_deref(), answer.error_message().as_deref()), (code, message), "{line}");
    }
}

#[test]
fn what_is_right_is_kept_byte_for_byte() {
    for line in [
        "{\"id\":\"x\",\"custom_id\":\"\\u0061é\",\"response\":{ \"status_code\" : 200,\"n\":1.50e3, \"body\":{\"z\":1,\"a\":[ ]} },\"error\":null}\n",
        "{\"id\":null,\"custom_id\":\"a\",\"response\":null,\"error\":{ \"message\":\"m\", \"code\":null,\"x\":1}}\n",
        "{\"id\":null,\"custom_id\":\"a\",\"response\":{\"status_code\":502,\"body\":\"Bad {\"},\"error\":null}\n",
        "{\"id\":null,\"custom_id\":\"a\",\"response\":{\"status_code\":200,\"body\":\"42\"},\"error\":null}\n",
    ] {
        assert_eq!(normalised(line.trim_end()), line);
    }
}

#[test]
fn other_shapes_become_the_contracts() {
    for (line, expected) in [
        (
            r#"{"error":"late","x":1,"custom_id":"a"}"#,
            r#"{"id":null,"custom_id":"a","response":null,"error":{"code":null,"message":"late"}}"#,
        ),
        (
            r#"{"custom_id":"a","error":{"type":"t","message":"m"}}"#,
            r#"{"id":null,"custom_id":"a","response":null,"error":{"code":null,"message":"m","type":"t"}}"#,
        ),
        (
            r#"{"custom_id":"a","error":{"code":500,"message":{"x":"y"}}}"#,
            r#"{"id":null,"custom_id":"a","response":null,"error":{"code":"500","message":"{\"x\":\"y\"}"}}"#,
        ),
        (
            r#"{"custom_id":"a","error":[1]}"#,
            r#"{"id":null,"custom_id":"a","response":null,"error":{"code":null,"message":"[1]"}}"#,
        ),
        (
            r#"{"custom_id":"a","response":null,"error":null}"#,
            r#"{"id":null,"custom_id":"a","response":null,"error":{"code":"no_answer","message":"the line has neither a response nor an error"}}"#,
        ),
        (
            r#"{"custom_id":7,"id":8,"error":{},"response":{"body":"{\"k\":\"\\u00e9\\n\",\n\"l\":1}","status_code":"201"}}"#,
            r#"{"id":"8","custom_id":"7","response":{"body":{"k":"\u00e9\n", "l":1},"status_code":201},"error":null}"#,
        ),
        (
            "{\"custom_id\":\"a\",\r\"response\":{\"status_code\":200,\r\"body\":{\r}}}",
            r#"{"id":null,"custom_id":"a","response":{"status_code":200, "body":{ }},"error":null}"#,
        ),
    ] {
        let got = normalised(line);
        assert_eq!(got, format!("{expected}\n"), "{line}");
        assert_eq!(normalised(got.trim_end()), got, "twice");
        serde_json::from_str::<ResultLine>(&got).unwrap();
    }
}

#[test]
fn deep_bodies_need_no_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{\"error\":", "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let text = serde_json::to_string(&deep).unwrap();
        for field in [
            format!(r#""response":{{"status_code":200,"body":{deep}}}"#),
            format!(r#""response":{{"status_code":400,"body":{text}}}"#),
            format!(r#""response":{{"body":1,"x":{deep}}}"#),
            format!(r#""error":{deep}"#),
            format!(r#""error":{{"message":{text}}}"#),
            format!(r#""x":{deep}"#),
        ] {
            let line = format!(r#"{{"custom_id":"a","error":"e",{field}}}"#);
            let answer = Answer::parse(line.as_bytes()).unwrap();
            let _ = (answer.outcome(), answer.usage(), answer.error_code(), answer.error_message());
            let mut out = Vec::new();
            answer.write_normalised(&mut out).unwrap();
            assert!(Answer::parse(out.trim_ascii_end()).is_ok());
        }
    }
}

#[test]
fn missing_lines_are_result_lines() {
    let mut out = Vec::new();
    write_missing("a\"\n", &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out.clone()).unwrap(),
        "{\"id\":null,\"custom_id\":\"a\\\"\\n\",\"response\":null,\"error\":{\"code\":\"missing\",\
         \"message\":\"the service returned no line for this request\"}}\n"
    );
    let line: ResultLine = serde_json::from_slice(&out).unwrap();
    assert_eq!(line.custom_id, "a\"\n");
    assert_eq!(normalised(std::str::from_utf8(out.trim_ascii_end()).unwrap()).as_bytes(), out);
    let value: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(value["error"]["code"], "missing");
}

#[test]
fn a_status_code_is_the_number_that_is_written() {
    for (json, expected) in [
        ("200", Some(200)),
        ("2e2", Some(200)),
        ("200.00", Some(200)),
        ("0.2E+3", Some(200)),
        ("\"2e2\"", Some(200)),
        ("\" 200 \"", Some(200)),
        ("4.29e2", Some(429)),
        ("200.5", None),
        ("-2e2", None),
        ("1e9", None),
        ("\"inf\"", None),
        ("\"nan\"", None),
    ] {
        let line = format!(r#"{{"custom_id":"a","response":{{"status_code":{json},"body":{{"x":1}}}}}}"#);
        let answer = Answer::parse(line.as_bytes()).unwrap();
        assert_eq!(answer.status_code(), expected, "{json}");
        let succeeded = answer.outcome() == OutcomeKind::Succeeded;
        assert_eq!(succeeded, expected == Some(200), "{json}");
    }
}
