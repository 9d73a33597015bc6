//! What `CheckMany` passes on and refuses: the rules of a line hold, those of a batch do not.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::error::Error;
use std::io;

use lote_lines::{CheckMany, CheckManyError, CheckOptions, Checked, Finding, Limits, check};

const CHAT: &str = "/v1/chat/completions";
const EMBEDDINGS: &str = "/v1/embeddings";

fn chat(custom_id: &str, model: &str) -> String {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"x"}}]}}"#);
    format!(r#"{{"custom_id":"{custom_id}","method":"POST","url":"{CHAT}","body":{body}}}"#)
}

fn embeddings(custom_id: &str, inputs: usize) -> String {
    let input = vec!["\"x\""; inputs].join(",");
    let body = format!(r#"{{"model":"e","input":[{input}]}}"#);
    format!(r#"{{"custom_id":"{custom_id}","method":"POST","url":"{EMBEDDINGS}","body":{body}}}"#)
}

/// What came of some files, named a, b and so on.
struct Came {
    files: Vec<Checked>,
    total: Checked,
    /// `FILE:LINE@CODE`
    findings: Vec<String>,
    messages: Vec<String>,
    /// `FILE:LINE custom_id endpoint model inputs`
    lines: Vec<String>,
    canonical: Vec<u8>,
}

fn run(files: &[String], options: &CheckOptions, limit: Option<u64>) -> Came {
    let folder = tempfile::tempdir().unwrap();
    let mut check = CheckMany::new(options, folder.path()).limit(limit);
    let mut found: Vec<(usize, Finding)> = Vec::new();
    let (mut came, mut lines, mut canonical) = (Vec::new(), Vec::new(), Vec::new());
    for (index, file) in files.iter().enumerate() {
        let on_line = &mut |line: lote_lines::CheckedLine<'_>| {
            let model = line.model.unwrap_or("-");
            let (id, endpoint) = (line.custom_id, line.endpoint);
            lines.push(format!("{}:{} {id} {endpoint} {model} {}", name(index), line.number, line.inputs));
            canonical.extend_from_slice(line.canonical);
            canonical.push(b'\n');
            Ok(true)
        };
        let on_finding = &mut |finding| found.push((index, finding));
        came.push(check.file(name(index), file.as_bytes(), on_finding, on_line).unwrap());
    }
    let total = check.finish(&mut |index, finding| found.push((index, finding))).unwrap();
    assert_eq!(total.findings, found.len() as u64);
    let at = |finding: &Finding| finding.line.map_or("-".to_owned(), |line| line.to_string());
    Came {
        files: came,
        total,
        findings: found
            .iter()
            .map(|(index, finding)| format!("{}:{}@{}", name(*index), at(finding), finding.code))
            .collect(),
        messages: found.iter().map(|(_, finding)| finding.message.clone()).collect(),
        lines,
        canonical,
    }
}

fn name(index: usize) -> String {
    char::from(b'a' + index as u8).to_string()
}

#[test]
fn lines_come_with_what_they_are_cut_by() {
    let first = format!("{}\r\n\n{}", chat("1", "m"), embeddings("2", 3));
    let second =
        concat!(r#"{"custom_id":"3","method":"POST","url":"/v1/moderations","#, "\r", r#""body":{"input":"x"}}"#, "\n");
    let second = second.to_owned();
    let files = [first, second];
    let came = run(&files, &CheckOptions::default(), None);
    assert_eq!(came.findings, [""; 0]);
    assert_eq!(
        came.lines,
        ["a:1 1 /v1/chat/completions m 0", "a:3 2 /v1/embeddings e 3", "b:1 3 /v1/moderations - 0",]
    );
    assert_eq!((came.files[0].endpoint.as_deref(), came.files[1].endpoint.as_deref()), (None, Some("/v1/moderations")));
    assert_eq!((came.total.lines, came.total.without_model, came.total.endpoint), (3, 1, None));
    assert_eq!(came.total.bytes, came.canonical.len() as u64);
    // The hashes are those that `check` has of the same lines.
    let hash = |text: &[u8]| check(text, &CheckOptions::default(), &mut |_| (), None).unwrap().sha256;
    assert_eq!(came.total.sha256, hash(&came.canonical));
    assert_eq!(came.files[0].sha256, hash(files[0].as_bytes()));
    assert_eq!(came.files[1].sha256, hash(files[1].as_bytes()));
}

#[test]
fn the_rules_of_a_batch_are_no_findings_and_those_of_a_line_are() {
    let options = CheckOptions {
        limits: Limits { max_lines: 2, max_bytes: 400 },
        max_models: Some(1),
        max_inputs: Some(4),
        ..CheckOptions::default()
    };
    let lines = [chat("1", "m"), chat("2", "n"), embeddings("3", 4), embeddings("4", 4), embeddings("5", 5)];
    let text = lines.join("\n");
    let codes = |text: &str| run(&[text.to_owned()], &options, None).findings;
    assert_eq!(codes(&text), ["a:5@too_many_inputs"]);
    let long = chat("6", &"m".repeat(400));
    assert_eq!(codes(&format!("{text}\n{long}")), ["a:5@too_many_inputs", "a:6@line_too_long"]);
    // One that fits to the byte is fit to be sent.
    let room = 399 - chat("6", "").len();
    assert_eq!(codes(&chat("6", &"m".repeat(room))), [""; 0]);
    assert_eq!(codes(&chat("6", &"m".repeat(room + 1))), ["a:1@line_too_long"]);
}

#[test]
fn each_line_is_held_against_its_own_endpoint() {
    let wrong = embeddings("2", 1).replace("input", "messages");
    let came = run(&[format!("{}\n{wrong}\n{}", chat("1", "m"), chat("3", "m"))], &CheckOptions::default(), None);
    assert_eq!(came.findings, ["a:2@misplaced_field"]);
    assert_eq!(came.lines.len(), 2, "{:?}", came.lines);
    // An endpoint that is given is that of every line.
    let options = CheckOptions { endpoint: Some(CHAT.to_owned()), ..CheckOptions::default() };
    let came = run(&[format!("{}\n{}", chat("1", "m"), embeddings("2", 1))], &options, None);
    assert_eq!(came.findings, ["a:2@url_differs"]);
    assert_eq!(came.total.endpoint.as_deref(), Some(CHAT));
}

#[test]
fn a_line_without_a_url_needs_an_endpoint_from_elsewhere() {
    let without = chat("2", "m").replace(&format!(r#""url":"{CHAT}","#), "");
    let mut options = CheckOptions { needs_url: false, ..CheckOptions::default() };
    let text = format!("{}\n{without}", chat("1", "m"));
    assert_eq!(run(std::slice::from_ref(&text), &options, None).findings, ["a:2@missing_key"]);
    options.endpoint = Some(CHAT.to_owned());
    let came = run(&[text], &options, None);
    assert_eq!((came.findings.len(), came.lines[1].as_str()), (0, "a:2 2 /v1/chat/completions m 0"));
}

#[test]
fn an_endpoint_is_spelled_one_way_in_all_files() {
    let spelled = chat("1", "m").replace(CHAT, "/chat/completions");
    let mut options = CheckOptions::default();
    options.spellings.insert("/chat/completions".to_owned(), CHAT.to_owned());
    let both = [format!("{spelled}\n{}", embeddings("2", 1)), format!("\n{}", chat("3", "m"))];
    let came = run(&both, &options, None);
    assert_eq!(came.findings, ["b:2@url_differs"]);
    assert_eq!(came.lines[0], "a:1 1 /v1/chat/completions m 0");
    let said =
        r#"url is "/v1/chat/completions", but "/chat/completions" in line 1 of a: spell it the same way everywhere"#;
    assert_eq!(came.messages, [said]);
}

#[test]
fn a_custom_id_is_used_once_in_all_files() {
    let files = [
        [chat("1", "m"), chat("2", "m"), chat("1", "m")].join("\n"),
        format!("\n{}\n{}", chat("3", "m"), chat("2", "m")),
        [chat("1", "m"), chat("4", "m")].join("\n"),
        chat("4", "m"),
    ];
    let came = run(&files, &CheckOptions::default(), None);
    assert_eq!(
        came.findings,
        ["a:3@duplicate_custom_id", "b:3@duplicate_custom_id", "c:1@duplicate_custom_id", "d:1@duplicate_custom_id"]
    );
    assert_eq!(
        came.messages,
        [
            "custom_id was used before, in line 1: make it unique within the file",
            "custom_id was used before, in line 2 of a: make it unique in all files",
            "custom_id was used before, in line 1 of a: make it unique in all files",
            // The last line of its file.
            "custom_id was used before, in line 2 of c: make it unique in all files",
        ]
    );
    assert_eq!(came.lines.len(), 4, "{:?}", came.lines);
}

/// More ids than are kept in memory: what was used far apart is found at the end.
#[test]
fn a_custom_id_is_found_again_after_any_number_of_lines() {
    let options = CheckOptions { known_endpoints: Vec::new(), ..CheckOptions::default() };
    let line = |id: u64| format!(r#"{{"custom_id":"{id}","method":"POST","url":"/x","body":{{}}}}"#);
    let most = 260_000;
    let first: Vec<_> = (0..most).map(line).collect();
    let second = [line(most), line(7), line(most + 1)];
    let came = run(&[first.join("\n"), second.join("\n")], &options, None);
    assert_eq!(came.findings, ["b:2@duplicate_custom_id"]);
    assert_eq!(came.messages, ["custom_id was used before, in line 8 of a: make it unique in all files"]);
    assert_eq!(came.lines.len() as u64, most + 3);
}

#[test]
fn only_the_first_lines_are_read() {
    let files = [
        format!("{}\n\n{}\n", chat("1", "m"), chat("2", "m")),
        format!("{}\n{}\nnot read", chat("3", "m"), chat("4", "m")),
        String::new(),
    ];
    let came = run(&files, &CheckOptions::default(), Some(3));
    assert_eq!((came.findings.len(), came.lines.len(), came.total.lines), (0, 3, 3));
    assert_eq!(came.files[2].lines, 0);
    // Lines with findings count too.
    let came = run(&["{}\n{}\n{}".to_owned()], &CheckOptions::default(), Some(2));
    assert_eq!((came.total.lines, came.lines.len()), (2, 0));
    // Without a limit an empty file is a finding.
    assert_eq!(run(&[chat("1", "m"), String::new()], &CheckOptions::default(), None).findings, ["b:-@empty_file"]);
}

/// A line with breaks around each bracket, so that some of its lines have no text.
fn over_lines(line: &str) -> String {
    ["{", "}", "[", "]"].iter().fold(line.to_owned(), |text, bracket| text.replace(bracket, &format!("\n{bracket}\n")))
}

#[test]
fn what_is_no_whole_line_is_not_passed_on() {
    let (a, b) = (chat("1", "m"), chat("2", "m"));
    let cut = a.find(',').unwrap() + 1;
    for text in [
        format!("{a},\n{b},"),
        format!("{}\n{}", &a[..cut], &a[cut..]),
        format!("{a}{b}"),
        over_lines(&a) + &over_lines(&b),
        // With line breaks inside a text.
        a.replace("\"x\"", "\"x\ny\nz\""),
        format!("<<<<<<< x\n=======\n>>>>>>> y\n{{{b}"),
        "custom_id,b\n1,2\n3,4".to_owned(),
        "\u{1f}\u{8b}".to_owned(),
        format!("\u{feff}{a}"),
    ] {
        let came = run(std::slice::from_ref(&text), &CheckOptions::default(), None);
        assert_eq!(came.lines, [""; 0], "{text}");
        assert_ne!(came.findings.len(), 0, "{text}");
    }
}

#[test]
fn an_error_says_on_which_side_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let options = CheckOptions::default();
    let text = format!("{}\n{}", chat("1", "m"), chat("2", "m"));
    let mut check = CheckMany::new(&options, folder.path());
    let mut calls = 0;
    let stopped = check.file("a", text.as_bytes(), &mut |_| (), &mut |_| {
        calls += 1;
        Err(io::Error::other("full"))
    });
    let error = stopped.unwrap_err();
    assert!(matches!(error, CheckManyError::Line(_)), "{error:?}");
    assert_eq!(error.to_string(), "a line cannot be passed on: full");
    assert_eq!(error.source().unwrap().to_string(), "full");
    assert_eq!(calls, 1);
    // A folder is named itself, and the words for a file are those of its reader.
    let gone = || io::Error::other("gone");
    assert_eq!(CheckManyError::Read(gone()).to_string(), "the file cannot be read: gone");
    assert_eq!(CheckManyError::Spill(gone()).to_string(), "gone");
    let mut check = CheckMany::new(&options, folder.path());
    let stopped = check.file("a", text.as_bytes(), &mut |_| (), &mut |_| Ok(false)).unwrap();
    assert_eq!((stopped.lines, stopped.findings), (1, 0));
}
