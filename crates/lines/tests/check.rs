//! What `check` accepts, refuses, counts and passes on.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::io::{self, BufReader, Read, Write};

use lote_lines::{CheckOptions, Checked, Finding, FindingCode, Limits, check};

const LINE: &str = r#"{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"input":"x","model":"m"}}"#;

fn run(input: impl AsRef<[u8]>, options: &CheckOptions) -> (Checked, Vec<Finding>, Vec<u8>) {
    let mut findings = Vec::new();
    let mut sink = Vec::new();
    let checked = check(input.as_ref(), options, &mut |finding| findings.push(finding), Some(&mut sink)).unwrap();
    assert_eq!(checked.findings, findings.len() as u64);
    (checked, findings, sink)
}

/// `LINE@CODE` of every finding.
fn codes(input: impl AsRef<[u8]>, options: &CheckOptions) -> Vec<String> {
    let (_, findings, _) = run(input, options);
    let code = |f: &Finding| format!("{}@{}", f.line.map_or("-".to_owned(), |n| n.to_string()), f.code);
    findings.iter().map(code).collect()
}

fn line(custom_id: &str) -> String {
    format!(r#"{{"custom_id":"{custom_id}","method":"POST","url":"/v1/responses","body":{{"prompt":{{"id":"p"}}}}}}"#)
}

/// The same JSON over many lines.
fn pretty(json: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(json).unwrap();
    serde_json::to_string_pretty(&value).unwrap()
}

#[test]
fn accepts_what_differs_only_in_form() {
    let spaced = format!("  {}\t", line("b").replace(':', " : "));
    let extra = LINE.replace("{\"custom_id\"", "{\"x\":[1,{}],\"y\":\"\\\\ud800\",\"custom_id\"");
    let escaped = LINE.replace("\"url\"", "\"u\\u0072l\"");
    let deep = LINE.replace("\"m\"", &format!("\"m\",\"x\":{}{}", "[".repeat(126), "]".repeat(126)));
    let wide = deep.replace("\"x\":", "\"y\":[[],{}],\"x\":");
    let streams = LINE.replace("\"m\"", r#""m","stream":false,"x":{"stream":true}"#);
    let large = LINE.replace("\"m\"", "\"m\",\"x\":\"\\ud83d\\ude00\",\"y\":1e999");
    let brackets = LINE.replace("\"m\"", &format!("\"m\",\"x\":\"\\\"{}\"", "[".repeat(1_000)));
    let huge_number = LINE.replace("\"m\"", "\"m\",\"y\":123456789012345678901234567890");
    for input in [
        LINE.to_owned(),
        format!("{LINE}\n"),
        format!("{LINE}\r\n{}\r\n", line("b")),
        format!("\n\n{LINE}\n \t\r\n\n{}", line("b")),
        spaced,
        extra,
        escaped,
        deep,
        wide,
        streams,
        large,
        brackets,
        huge_number,
        line(&"é".repeat(5_000)),
        line("\\ud83d\\ude00"),
    ] {
        let (checked, findings, _) = run(&input, &CheckOptions::default());
        assert!(findings.is_empty(), "{}: {findings:?}", &input[..input.len().min(200)]);
        assert_eq!(checked.endpoint.as_deref(), Some("/v1/responses"));
    }
}

#[test]
fn refuses_every_fault_by_its_name() {
    let key = |from: &str, to: &str| {
        assert!(LINE.contains(from));
        LINE.replace(from, to)
    };
    let second = |from: &str, to: &str| format!("{LINE}\n\n{}\n", line("b").replace(from, to));
    let body = |to: &str| key(r#"{"input":"x","model":"m"}"#, to);
    let with = |more: &str| key(r#""m"}"#, &format!(r#""m",{more}}}"#));
    let cases: Vec<(Vec<u8>, &[&str])> = vec![
        (b"".to_vec(), &["-@empty_file"]),
        (b"\r\n \n".to_vec(), &["-@empty_file"]),
        (b"\xef\xbb\xbf".to_vec(), &["-@empty_file"]),
        (b"\xef\xbb\xbf\r\n\n".to_vec(), &["-@empty_file"]),
        ([b"\xef\xbb\xbf\n", LINE.as_bytes()].concat(), &["1@bom"]),
        // One fault, one finding.
        (key("\"body\"", "\"body\":{},\"body\"").into(), &["1@duplicate_key"]),
        (key("\"body\"", "\"body\":7,\"body\"").into(), &["1@duplicate_key"]),
        (key("\"POST\"", "\"POST\\ud800\"").into(), &["1@lone_surrogate"]),
        (key("/v1/responses", "/v1/\\ud800").into(), &["1@lone_surrogate"]),
        (pretty(&format!("[{LINE},{}]", line("b"))).into(), &["1@array_around_lines"]),
        (pretty(LINE).into(), &["1@object_over_lines"]),
        (format!("{}\n{}", key("\"x\"", "\"x\ny\""), line("b")).into(), &["1@invalid_json"]),
        (format!("{}\n{}", key("\"x\"", "\"x\r\n\r\n{y\n\\\"z\""), line("b")).into(), &["1@invalid_json"]),
        (key("\"x\"", "\"x\ny\",\"temperature\":9").into(), &["1@invalid_json", "1@out_of_range"]),
        // A file that breaks off in a text, and a line that does so among others.
        (format!("{}\n{}", &LINE[..73], line("b")).into(), &["1@truncated_line"]),
        (format!("{LINE}\n{}", &line("b")[..40]).into(), &["2@truncated_line"]),
        (format!("{}\nx\ny", &LINE[..73]).into(), &["1@truncated_line", "2@invalid_json", "3@invalid_json"]),
        // What ends the text does not end the object, or makes no object of it.
        (key("\"x\"", "\"x\ny\",\n\"z\":1").into(), &["1@truncated_line", "2@invalid_json", "3@invalid_json"]),
        (key("\"x\"", "\"x\ny\" z").into(), &["1@truncated_line", "2@invalid_json"]),
        (format!("{{\"data\":[{LINE}]}}").into(), &["1@other_format"]),
        (pretty(&format!("{{\"data\":[{LINE}]}}")).into(), &["1@other_format"]),
        (pretty(r#"{"error":{"message":"no key","code":7}}"#).into(), &["1@other_format"]),
        ([b"\xef\xbb\xbf", LINE.as_bytes()].concat(), &["1@bom"]),
        ([LINE.as_bytes(), b"\n\xef\xbb\xbf", line("b").as_bytes()].concat(), &["2@bom"]),
        ([b"\xff\xfe{\0", LINE.as_bytes()].concat(), &["-@not_jsonl"]),
        ([LINE.as_bytes(), b"\n{\"custom_id\":\"\xc3\x28\"}"].concat(), &["2@invalid_utf8"]),
        ([&LINE.as_bytes()[..70], b"\xff", &LINE.as_bytes()[70..]].concat(), &["1@invalid_utf8"]),
        (LINE[..40].into(), &["1@truncated_line"]),
        (LINE[..LINE.len() - 1].into(), &["1@truncated_line"]),
        (b"{".to_vec(), &["1@truncated_line"]),
        (key("\"m\"", "m").into(), &["1@invalid_json"]),
        (key("\"m\"", "\"m\",").into(), &["1@invalid_json"]),
        (key("\"m\"", "\"\t\"").into(), &["1@invalid_json"]),
        (key("\"m\"", "NaN").into(), &["1@invalid_json"]),
        (b"custom_id,method,url,body".to_vec(), &["1@other_format"]),
        (format!("{LINE},").into(), &["1@text_after_object"]),
        (format!("{LINE}{LINE}").into(), &["1@text_after_object"]),
        (format!("{LINE} // note").into(), &["1@text_after_object"]),
        (format!("{LINE}\r{}", line("b")).into(), &["1@carriage_returns"]),
        (format!("[{LINE}]").into(), &["1@array_around_lines"]),
        (format!("[\n{LINE},\n{}\n]\n", line("b")).into(), &["1@array_around_lines"]),
        (format!("{LINE}\na,b,c").into(), &["2@invalid_json"]),
        (format!("{LINE}\n17\n\"x\"\nnull").into(), &["2@not_an_object", "3@not_an_object", "4@not_an_object"]),
        (b"{}".to_vec(), &["1@missing_key", "1@missing_key", "1@missing_key", "1@missing_key"]),
        (with("\"x\":\"\\ud800\"").into(), &["1@lone_surrogate"]),
        (with("\"x\\ud800\":1").into(), &["1@lone_surrogate"]),
        (with("\"text\":{\"format\":{\"type\":\"\\ud800\"}}").into(), &["1@lone_surrogate"]),
        (with("\"x\":[{\"y\":\"\\ude00\\ud83d\"}]").into(), &["1@lone_surrogate"]),
        (key("{\"custom_id\"", "{\"x\":\"\\ud800\",\"custom_id\"").into(), &["1@lone_surrogate"]),
        (key("\"custom_id\"", "\"Custom_ID\"").into(), &["1@missing_key"]),
        (key("\"method\":\"POST\",", "").into(), &["1@missing_key"]),
        (second(r#","body":{"prompt":{"id":"p"}}"#, "").into(), &["3@missing_key"]),
        (key("\"method\":\"POST\"", "\"method\":\"POST\",\"method\":\"POST\"").into(), &["1@duplicate_key"]),
        (key("{\"custom_id\"", "{\"custom\\u005fid\":\"z\",\"custom_id\"").into(), &["1@duplicate_key"]),
        (key("\"a\"", "7").into(), &["1@wrong_type"]),
        (key("\"a\"", "null").into(), &["1@wrong_type"]),
        (key("\"POST\"", "null").into(), &["1@wrong_type"]),
        (key("\"/v1/responses\"", "[]").into(), &["1@wrong_type"]),
        (body("[]").into(), &["1@wrong_type"]),
        (body("\"{}\"").into(), &["1@wrong_type"]),
        (body("null").into(), &["1@wrong_type"]),
        (key("\"a\"", "\"x\\ud800\"").into(), &["1@lone_surrogate"]),
        (key("\"a\"", "\"\\udc00\\ud800\"").into(), &["1@lone_surrogate"]),
        (key("\"a\"", "\"\"").into(), &["1@empty_custom_id"]),
        (key("\"POST\"", "\"post\"").into(), &["1@method_not_post"]),
        (key("\"POST\"", "\"GET\"").into(), &["1@method_not_post"]),
        (key("/v1/responses", "/v1/respones").into(), &["1@unknown_url"]),
        (key("/v1/responses", "/v1/responses/").into(), &["1@unknown_url"]),
        (
            second("/v1/responses", "/v1/embeddings").replace(r#"{"prompt""#, r#"{"model":"m","input":"x","y""#).into(),
            &["3@url_differs"],
        ),
        (second("/v1/responses", "/nope").into(), &["3@url_differs"]),
        (with(r#""stream":true"#).into(), &["1@stream_requested"]),
        (with(r#""str\u0065am":true"#).into(), &["1@stream_requested"]),
        (with(r#""stream":true,"stream":false"#).into(), &["1@duplicate_key", "1@stream_requested"]),
        // 127 levels are taken, of which the body is one; brackets in a text are none.
        (with(&format!("\"x\":{}{}", "[".repeat(127), "]".repeat(127))).into(), &["1@out_of_range"]),
        (with(&format!("\"x\":{}{}", "{\"a\":[".repeat(50_000), "]}".repeat(50_000))).into(), &["1@out_of_range"]),
        (second("\"b\"", "\"a\"").into(), &["3@duplicate_custom_id"]),
        (second("\"b\"", "\"\\u0061\"").into(), &["3@duplicate_custom_id"]),
        (
            format!("{}\n", line("z").replace("POST", "PUT").replace(r#"{"prompt""#, r#"{"stream":true,"prompt""#))
                .into(),
            &["1@method_not_post", "1@stream_requested"],
        ),
    ];
    for (input, expected) in cases {
        let got = codes(&input, &CheckOptions::default());
        assert_eq!(got, expected, "{}", String::from_utf8_lossy(&input));
    }
}

#[test]
fn messages_say_where_what_and_what_to_do() {
    let first = |input: &str| {
        let (_, findings, _) = run(input, &CheckOptions::default());
        findings[0].to_string()
    };
    let other = line("inv-7")
        .replace("responses", "embeddings")
        .replace("{\"prompt\"", "{\"model\":\"m\",\"input\":\"x\",\"y\"");
    assert_eq!(
        first(&format!("{LINE}\n{other}")),
        "line 2 (\"inv-7\"): url differs from that of line 1: \"/v1/embeddings\" instead of \
         \"/v1/responses\"; one batch has one endpoint"
    );
    let options = CheckOptions { endpoint: Some("/v1/videos".into()), ..CheckOptions::default() };
    let (_, findings, _) = run(&other, &options);
    assert!(findings[0].to_string().starts_with("line 1 (\"inv-7\"): url differs from the batch's endpoint: "));
    assert_eq!(
        first(&format!("{LINE}\n\n{LINE}")),
        "line 3 (\"a\"): custom_id was used before, in line 1: make it unique within the file"
    );
    let half = LINE.replace("\"m\"", "\"m\",\"x\":\"\\ud83d\"");
    assert_eq!(
        first(&half),
        format!(
            "line 1 (\"a\"): body.x has half of a character, \\ud83d at column {}, which is no text: write the whole \
             character (was a text cut in the middle of an emoji?)",
            half.find("\\ud83d").unwrap() + 1
        )
    );
    // The custom_id is named even when the rest of the line is lost.
    assert!(first(&LINE[..50]).starts_with("line 1 (\"a\"): the line ends inside the JSON object, at column 50: "));
    assert!(first(&format!("{LINE}  x")).contains(&format!("at column {}", LINE.len() + 3)));
    let bad = [&LINE.as_bytes()[..70], b"\xff", &LINE.as_bytes()[70..]].concat();
    let (_, findings, _) = run(bad, &CheckOptions::default());
    assert!(findings[0].message.contains("at column 71"), "{}", findings[0]);
}

#[test]
fn the_endpoint_is_the_options_or_the_first_known_url() {
    let unknown = LINE.replace("/v1/responses", "/nope");
    let (checked, findings, _) = run(format!("{unknown}\n{}", line("b")), &CheckOptions::default());
    assert_eq!(findings.len(), 1);
    assert_eq!((findings[0].line, findings[0].code), (Some(1), FindingCode::UnknownUrl));
    assert_eq!(checked.endpoint.as_deref(), Some("/v1/responses"));
    let any = CheckOptions { known_endpoints: Vec::new(), ..CheckOptions::default() };
    assert!(codes(&unknown, &any).is_empty());
    let own = CheckOptions { known_endpoints: vec!["/nope".to_owned()], ..CheckOptions::default() };
    assert!(codes(&unknown, &own).is_empty());
    assert_eq!(codes(LINE, &own), ["1@unknown_url"]);
}

#[test]
fn a_custom_id_is_measured_in_characters() {
    let limited = CheckOptions { max_custom_id: Some(5), ..CheckOptions::default() };
    assert!(codes(line("ééééé"), &limited).is_empty());
    assert_eq!(codes(line("éééééé"), &limited), ["1@custom_id_too_long"]);
}

#[test]
fn finds_a_duplicate_40_000_lines_apart() {
    let mut input = String::new();
    for number in 0..40_001 {
        let id = if number == 40_000 { "row-\\u0030".to_owned() } else { format!("row-{number}") };
        input.push_str(&line(&id));
        input.push('\n');
    }
    let (checked, findings, _) = run(&input, &CheckOptions::default());
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].line, Some(40_001));
    assert_eq!(findings[0].custom_id.as_deref(), Some("row-0"));
    assert!(findings[0].message.contains("in line 1:"));
    assert_eq!((checked.lines, checked.without_model), (40_001, 40_001));
}

#[test]
fn limits_are_reported_once_each_and_reading_goes_on() {
    let size = line("0").len() as u64 + 1;
    let limits =
        |max_lines, max_bytes| CheckOptions { limits: Limits { max_lines, max_bytes }, ..CheckOptions::default() };
    let input: String = (0..5).map(|n| line(&n.to_string()) + "\n").collect();
    assert!(codes(&input, &limits(5, 5 * size)).is_empty());
    assert_eq!(codes(&input, &limits(3, 1_000_000)), ["4@too_many_lines"]);
    assert_eq!(codes(&input, &limits(5, 5 * size - 1)), ["5@file_too_large"]);
    assert_eq!(codes(&input, &limits(1, size)), ["2@too_many_lines", "2@file_too_large"]);
    // CRLF and blank lines are no part of what would be sent.
    let crlf = input.replace('\n', "\r\n\r\n");
    assert!(codes(&crlf, &limits(5, 5 * size)).is_empty());

    // A text with a line break in it is put together as long as it is within the limit.
    let (start, end) = LINE.split_at(LINE.find("x\"").unwrap());
    let (torn, length) = (format!("{start}\n{end}"), LINE.len() as u64);
    assert_eq!(codes(&torn, &limits(5, length + 2)), ["1@invalid_json"]);
    assert_eq!(codes(&torn, &limits(5, length + 1)), ["2@file_too_large", "1@invalid_json"]);
    assert_eq!(codes(&torn, &limits(5, length)), ["2@file_too_large", "1@truncated_line", "2@invalid_json"]);

    let long = format!("{}\n{}\n{}", line("a"), line(&"x".repeat(500)), line("a"));
    let (checked, findings, sink) = run(&long, &limits(5, 300));
    let codes: Vec<_> = findings.iter().map(|f| (f.line, f.code.as_str())).collect();
    assert_eq!(codes, [(Some(2), "line_too_long"), (Some(2), "file_too_large"), (Some(3), "duplicate_custom_id")]);
    assert_eq!((checked.lines, checked.bytes), (3, long.len() as u64 + 1));
    assert_eq!(sink, format!("{0}\n{0}\n", line("a")).as_bytes());
}

#[test]
fn passes_on_canonical_lines_and_hashes_them() {
    let inner = line("c").replace(",\"body\"", "\r,\t\"body\"");
    let canonical = format!("{LINE}\n  {} \n{}\n", line("b"), inner.replace('\r', " "));
    let odd = format!("\n{LINE}\r\n\r\n  {} \n \n{inner}", line("b"));
    let (checked, findings, sink) = run(&odd, &CheckOptions::default());
    assert!(findings.is_empty());
    assert_eq!(String::from_utf8(sink).unwrap(), canonical);
    let (again, _, _) = run(&canonical, &CheckOptions::default());
    assert_eq!(checked, again);
    assert_eq!((checked.lines, checked.bytes), (3, canonical.len() as u64));
    assert_eq!((checked.models["m"], checked.without_model), (1, 2));
    // What `sha256sum` says of a file that holds LINE and a line feed.
    let (one, _, _) = run(LINE, &CheckOptions::default());
    assert_eq!(one.sha256, "52186e23d7e3f5ba00aca3908010e4de8e0a4ca5b2b9ea7f06ae514ddbba9ccf");
}

#[test]
fn a_line_of_50_mb_passes() {
    let before = LINE.replace("\"m\"}}", "\"m\",\"user\":\"");
    let after = "\"}}\n".to_owned();
    let reader = before.as_bytes().chain(io::repeat(b'x').take(50_000_000)).chain(after.as_bytes());
    let mut findings = Vec::new();
    let reader = BufReader::with_capacity(1 << 16, reader);
    let checked = check(reader, &CheckOptions::default(), &mut |f| findings.push(f), Some(&mut io::sink())).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(checked.bytes, 50_000_000 + (before.len() + after.len()) as u64);
    assert_eq!(checked.models["m"], 1);
}

#[test]
fn a_full_disk_is_an_error_of_the_writing_side() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = check(LINE.as_bytes(), &CheckOptions::default(), &mut |_| {}, Some(&mut Full)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(error.to_string().starts_with("cannot write the canonical lines: "));
}

/// More ids than are kept in memory: what was used far apart is found at the end.
#[test]
fn custom_ids_are_told_however_far_apart_they_are_used() {
    const LINES: u64 = 240_000;
    let line = |number| {
        let id = if number == LINES { 3 } else { number };
        format!("{{\"custom_id\":\"{id}\",\"method\":\"POST\",\"url\":\"/x\",\"body\":{{}}}}\n")
    };
    let file: String = (1..=LINES).map(line).collect();
    let limits = Limits { max_lines: LINES, ..Limits::default() };
    let options = CheckOptions { hash: false, known_endpoints: Vec::new(), limits, ..CheckOptions::default() };
    let mut used_before = Vec::new();
    let on_finding = &mut |finding: Finding| used_before.push(finding.to_string());
    let checked = check(file.as_bytes(), &options, on_finding, None).unwrap();
    assert_eq!((checked.lines, checked.sha256.as_str()), (LINES, ""));
    let expected = "line 240000: custom_id was used before, in line 3: make it unique within the file";
    assert_eq!(used_before, [expected]);
}
