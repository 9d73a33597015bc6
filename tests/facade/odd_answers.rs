//! Writes docs/odd_answers.md: what is made of answers and of batches that are not what they should be, a line for each
//! kind.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{Cursor, Write as _},
    time::Duration,
};

use lote::{
    Outcome, Outcomes, Tolerance,
    lines::{CheckOptions, FindingCode, check, decompressed},
};
use serde_json::{Value, json};

use crate::{
    common::{Odd, Reply},
    conformance::{counted, sorted},
};

/// What came as an output file, and what has to be said of it.
struct Row {
    kind: &'static str,
    came: Vec<u8>,
    /// What the page shows of bytes that are no text; else they are shown as they are.
    shown: &'static str,
    expected: &'static str,
}

fn row(kind: &'static str, came: impl Into<Vec<u8>>, expected: &'static str) -> Row {
    Row { kind, came: came.into(), shown: "", expected }
}

fn bytes(kind: &'static str, came: impl Into<Vec<u8>>, shown: &'static str, expected: &'static str) -> Row {
    Row { shown, ..row(kind, came, expected) }
}

/// A line for the request `a`, with this body at status 200.
fn body(json: &str) -> String {
    format!(r#"{{"custom_id":"a","response":{{"status_code":200,"body":{json}}},"error":null}}"#)
}

fn good() -> String {
    body(r#"{"choices":[{"message":{"content":"Yes."}}]}"#)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).expect("compressed");
    encoder.finish().expect("compressed")
}

/// A frame of zstd that holds a short text as it is.
fn zstd(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("a short text");
    let block = (u32::from(length) << 3) | 1;
    [&b"\x28\xb5\x2f\xfd\x20"[..], &[length], &block.to_le_bytes()[..3], text.as_bytes()].concat()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn answers() -> Vec<Row> {
    vec![
        row("an answer", good(), "1 succeeded"),
        row("a body that is null", body("null"), "1 failed; no_answer"),
        row("an empty body", body("{}"), "1 failed; no_answer"),
        row("no body", r#"{"custom_id":"a","response":{"status_code":200},"error":null}"#, "1 failed; no_answer"),
        row("neither response nor error", r#"{"custom_id":"a","response":null,"error":null}"#, "1 failed; no_answer"),
        row(
            "an error in its place",
            body(r#"{"error":{"code":"overloaded","message":"try later"}}"#),
            "1 failed; overloaded: try later",
        ),
        row("an error that is a text", body(r#"{"error":"try later"}"#), "try later"),
        row("no choices", body(r#"{"object":"chat.completion","choices":[]}"#), "1 failed; no_answer"),
        row(
            "a choice that is an error",
            body(
                r#"{"choices":[{"finish_reason":"error","error":{"code":502,"message":"gone"},"message":{"content":""}}]}"#,
            ),
            "1 failed; 502: gone",
        ),
        row(
            "a response that failed",
            body(
                r#"{"object":"response","status":"failed","error":{"code":"server_error","message":"gone"},"output":[]}"#,
            ),
            "1 failed; server_error: gone",
        ),
        row("one that was cancelled", body(r#"{"object":"response","status":"cancelled","output":[]}"#), "1 failed"),
        row(
            "the request sent back",
            body(r#"{"model":"m","messages":[{"role":"user","content":"Well?"}]}"#),
            "1 failed; no_answer",
        ),
        row("a page as the body", body(r#""<html>Gateway timeout</html>""#), "1 failed; no_answer"),
        row(
            "a message in another place",
            r#"{"custom_id":"a","response":{"status_code":502,"body":{"detail":"gone"}},"error":null}"#,
            "gone",
        ),
        row(
            "a message beside the body",
            r#"{"custom_id":"a","response":{"status_code":502,"message":"gone"},"error":null}"#,
            "gone",
        ),
        row(
            "JSON in a message",
            r#"{"custom_id":"a","response":null,"error":{"message":"{\"error\":{\"code\":\"busy\",\"message\":\"wait\"}}"}}"#,
            "busy: wait",
        ),
        row(
            "a body that is a text of JSON",
            body(r#""{\"choices\":[{\"message\":{\"content\":\"Yes.\"}}]}""#),
            "a says \"Yes.\"",
        ),
        row("two lines for one request, one of them an answer", format!("{}\n{}", good(), body("{}")), "1 succeeded"),
        row("cut off", body(r#"{"choices":[{"finish_reason":"length","message":{"content":"Yes, b"}}]}"#), "1 cut off"),
        row(
            "a response that is incomplete",
            body(
                r#"{"object":"response","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[{"type":"message","content":[{"type":"output_text","text":"Yes, b"}]}]}"#,
            ),
            "1 cut off",
        ),
        row(
            "filtered",
            body(r#"{"choices":[{"finish_reason":"content_filter","message":{"content":""}}]}"#),
            "1 filtered",
        ),
        row(
            "refused",
            body(r#"{"choices":[{"finish_reason":"stop","message":{"content":null,"refusal":"No."}}]}"#),
            "1 refused",
        ),
        row(
            "half of a character",
            body(r#"{"choices":[{"message":{"content":"Yes \ud83d"}}]}"#),
            "a says \"Yes \u{fffd}\"",
        ),
        row(
            "a response of several messages",
            body(
                r#"{"object":"response","status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"1"}]},{"type":"message","content":[{"type":"output_text","text":"2"}]}]}"#,
            ),
            "a says \"1\" and \"2\"; as one JSON value: ",
        ),
        row("an empty error beside an answer", good().replace("null", "[]"), "1 succeeded"),
        row("nothing but model and usage", body(r#"{"model":"m","usage":{"total_tokens":3}}"#), "no_answer"),
        row("a transcript", body(r#""Good morning.""#), "1 succeeded"),
        row("words of a proxy", body(r#""upstream timed out""#), "1 failed; no_answer"),
        row(
            "one that was cut off, and a complete one",
            format!("{}\n{}", good().replace("{\"message", "{\"finish_reason\":\"length\",\"message"), good()),
            "1 succeeded, 0 failed; duplicate_custom_id",
        ),
        row(
            "a key twice",
            good().replace("\"error\"", "\"response\":null,\"error\""),
            "1 succeeded, 0 failed; doubled_key",
        ),
        row(
            "two custom_ids",
            good().replace("\"response\"", "\"custom_id\":\"b\",\"response\""),
            "nobody can say which",
        ),
        row("half of a character in the custom_id", good().replace("\"a\"", r#""a\ud83d""#), "half of a character"),
        row("a line that is cut", good().split_at(60).0, "1 unreadable"),
        row(
            "a line that is cut, and the next one glued to it",
            good().replace("\"a\"", "\"b\"").split_at(60).0.to_owned() + &good(),
            "1 succeeded",
        ),
        bytes(
            "a wrong byte behind the custom_id",
            good().replace("\"a\",", "\"a\"\u{1}"),
            "a line with the byte 01 in the place of the comma",
            "1 unreadable",
        ),
        bytes(
            "bytes that are no text",
            [&good().as_bytes()[..80], b"\xff\"}]}}}"].concat(),
            "a line with the byte ff in it",
            "invalid UTF-8",
        ),
        row("an unknown shape", r#"{"custom_id":"a","result":{"type":"succeeded"}}"#, "its keys are"),
        row("Bedrock's", r#"{"recordId":"a","modelOutput":{"content":[]}}"#, "its keys are"),
        row("Gemini's", r#"{"key":"a","response":{"candidates":[]}}"#, "its keys are"),
        row("an object over several lines", good().replace("\"error\"", "\n\"error\""), "1 succeeded"),
        row("an array around the lines", format!("[{}\n]", good()), "1 succeeded"),
        row(
            "a list of answers inside an object: told, not read",
            format!("{{\"data\":[{},{}]}}", good(), good().replace("\"a\"", "\"b\"")),
            "1 unreadable; unreadable: ",
        ),
        row("a list of answers inside a list: told, not read", format!("[[{}]]", good()), "wrapped_list"),
        row(
            "an answer behind the end of one over several lines",
            good().replace("\"a\"", "\"b\"").replace(",\"error\":null}", "\n}") + &good(),
            "1 succeeded",
        ),
        row("something after the object", format!("{},", good()), "1 succeeded"),
        row(
            "Git's conflict markers",
            format!("<<<<<<< ours\n{}\n=======\n>>>>>>> theirs", good()),
            "a conflict marker of Git",
        ),
        bytes(
            "lines that end with a carriage return alone",
            format!("{}\r{}\r", good(), good().replace("\"a\"", "\"b\"")),
            "two answers, each with a carriage return after it",
            "carriage_returns",
        ),
        row("a custom_id of no request", good().replace("\"a\"", "\"z\""), "1 missing"),
        row("no custom_id", good().replace("custom_id", "customId"), "the line has no custom_id"),
        row("no answer at all", "", "1 missing"),
        row("a page in the place of the file", "<!DOCTYPE html><title>Sign in</title>", "an HTML page"),
        bytes("compressed with gzip: read as it is", gzip(&good()), "gzip of an answer", "1 succeeded"),
        bytes("compressed with zstd: read as it is", zstd(&good()), "zstd of an answer", "1 succeeded"),
        bytes(
            "gzip that is cut off: what came is read",
            {
                let whole = gzip(&format!("{}\n{}", good(), good().replace("Yes", "No")));
                whole[..whole.len() - 14].to_vec()
            },
            "gzip of two answers, without its last bytes",
            "damaged_compression",
        ),
        bytes(
            "something after gzip: what it holds is read",
            [&gzip(&good())[..], b"{}"].concat(),
            "gzip of an answer, and more",
            "damaged_compression",
        ),
        bytes(
            "a byte order mark",
            [&b"\xef\xbb\xbf"[..], good().as_bytes()].concat(),
            "a mark of UTF-8, and an answer",
            "1 succeeded",
        ),
        bytes(
            "a byte order mark between files that were put together",
            format!("{}\n\u{feff}{}", good().replace("\"a\"", "\"b\""), good()),
            "two answers, with a mark of UTF-8 between them",
            "1 succeeded",
        ),
        bytes("UTF-16", [&b"\xff\xfe"[..], &utf16(&good())].concat(), "an answer in UTF-16, with a mark", "in UTF-16"),
        bytes("UTF-16 without a mark", utf16(&good()), "an answer in UTF-16", "in UTF-16"),
        bytes(
            "UTF-32",
            good().chars().flat_map(|char| u32::from(char).to_be_bytes()).collect::<Vec<u8>>(),
            "an answer in UTF-32",
            "in UTF-32",
        ),
        bytes("an archive", &b"PK\x03\x04\x14\0"[..], "the first bytes of a zip file", "a zip archive"),
    ]
}

/// What comes of an output file for the request `a`.
fn said(came: &[u8]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let [requests, output] = ["requests.jsonl", "output.jsonl"].map(|name| folder.path().join(name));
    fs::write(&requests, r#"{"custom_id":"a"}"#).expect("written");
    fs::write(&output, came).expect("written");
    let said = outcomes(Outcomes::join(&requests, [&output]).expect("joined"));
    said.replace(&format!("{}{}", folder.path().display(), std::path::MAIN_SEPARATOR), "")
}

/// What is told of a file as a whole, `check` tells in the same words.
fn check_says_the_same(came: &[u8], said: &str) {
    let mut findings = Vec::new();
    let lines = decompressed(Cursor::new(came.to_vec())).expect("readable");
    let checked = check(lines, &CheckOptions::default(), &mut |finding| findings.push(finding), None);
    if let Err(error) = checked {
        // Requests that were cut off are not to be sent.
        assert!(said.contains("damaged_compression: ") && said.contains(&error.to_string()), "{said}: {error}");
        return;
    }
    for finding in findings.iter().filter(|finding| finding.code == FindingCode::NotJsonl) {
        assert!(said.contains(&finding.message), "{said} is not {finding}");
    }
    let is_told = findings.iter().any(|finding| finding.code == FindingCode::NotJsonl);
    assert_eq!(is_told, said.contains("not_jsonl: "), "{said}: {findings:?}");
}

/// The counts, what is odd, and what answers say.
fn outcomes(outcomes: Outcomes) -> String {
    let joined = outcomes.joined().expect("joined").clone();
    let mut said = counted(&joined);
    for (count, what) in [(joined.cut_off, "cut off"), (joined.filtered, "filtered"), (joined.refused, "refused")] {
        if count > 0 {
            write!(said, "; {count} {what}").expect("a text");
        }
    }
    for anomaly in &joined.anomalies {
        write!(said, "; {}: {anomaly}", anomaly.code).expect("a text");
    }
    for outcome in outcomes {
        said.push_str(&spoken(&outcome.expect("an outcome")));
    }
    said
}

fn spoken(outcome: &Outcome) -> String {
    let Ok(texts) = outcome.texts() else { return String::new() };
    let quoted: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    let mut said = format!("; {} says {}", outcome.custom_id(), quoted.join(" and "));
    if let [_, _, ..] = *texts {
        let error = outcome.json::<Value>().expect_err("several");
        write!(said, "; as one JSON value: {error}").expect("a text");
    }
    said
}

/// A batch as it is said to be, each time it is asked for, the files that are fetched, and what has to be said.
struct Told {
    kind: &'static str,
    batches: Vec<Value>,
    files: Vec<&'static str>,
    expected: &'static str,
}

fn batches() -> Vec<Told> {
    let batch = |counts: [u32; 3], more: Value| {
        let [total, completed, failed] = counts;
        let counts = json!({"total": total, "completed": completed, "failed": failed});
        let mut batch = json!({"id": "b", "status": "completed", "request_counts": counts});
        batch.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        batch
    };
    let told = |kind, batches, files, expected| Told { kind, batches, files, expected };
    let named = json!({"output_file_id": "o"});
    const YES: &str = r#"{"custom_id":"a","response":{"status_code":200,"body":{"choices":[{"message":{"content":"Yes."}}],"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6}}}}"#;
    const NO: &str =
        r#"{"custom_id":"a","response":{"status_code":400,"body":{"error":{"code":"bad","message":"no"}}}}"#;
    vec![
        told(
            "files that are named late: asked for again",
            vec![batch([1, 1, 0], json!({})), batch([1, 1, 0], named.clone())],
            vec![YES],
            "1 succeeded",
        ),
        told("files that are never named", vec![batch([1, 1, 0], json!({}))], vec![], "names no output file"),
        told("counts that differ from what came", vec![batch([3, 3, 0], named.clone())], vec![YES], "counts_differ"),
        told("an output file that is empty", vec![batch([1, 1, 0], named)], vec![""], "its output file o is empty"),
        told(
            "tokens that differ from those of the lines",
            vec![batch(
                [1, 1, 0],
                json!({"output_file_id": "o", "usage": {"input_tokens": 4, "output_tokens": 2, "total_tokens": 60}}),
            )],
            vec![YES],
            "usage_differs",
        ),
        told(
            "all lines failed: an error file alone",
            vec![batch([1, 0, 1], json!({"output_file_id": null, "error_file_id": "e"}))],
            vec![NO],
            "0 succeeded, 1 failed; bad: no",
        ),
        told(
            "an error file without a name",
            vec![batch([1, 1, 0], json!({"output_file_id": "o", "error_file_id": ""}))],
            vec![YES],
            "1 succeeded",
        ),
        told(
            "an error file that is empty",
            vec![batch([1, 1, 0], json!({"output_file_id": "o", "error_file_id": "e"}))],
            vec![YES, ""],
            "1 succeeded",
        ),
        told(
            "a batch whose file was refused",
            vec![
                json!({"id": "b", "status": "failed", "errors": {"data": [{"code": "invalid_json_line", "message": "no JSON", "line": 2}]}}),
            ],
            vec![],
            "no request line was run",
        ),
    ]
}

async fn fetched(told: &Told) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let requests = folder.path().join("requests.jsonl");
    fs::write(&requests, r#"{"custom_id":"a"}"#).expect("written");
    let batches = told.batches.iter().map(|batch| Reply::json(200, batch));
    let odd = Odd::new(batches.chain(told.files.iter().map(|file| Reply::new(200, &[], file))));
    let client = odd.client();
    let batch = client.batches().get(&"b".parse().expect("an id")).await.expect("a batch");
    // Only one that is named in the end is waited for.
    let late = if told.batches.len() > 1 { Duration::from_secs(60) } else { Duration::ZERO };
    let fetch = client.batches().outcomes(&batch, &requests).tolerance(Tolerance::default().late_files(late)).fetch();
    match fetch.await {
        Ok(found) => outcomes(found).replace(&format!("{}{}", folder.path().display(), std::path::MAIN_SEPARATOR), ""),
        Err(error) => format!("error: {error}"),
    }
}

/// The cell of a table.
fn cell(text: &str) -> String {
    // In Markdown a code that holds a grave accent stands between two.
    format!("`` {} ``", text.replace('\n', " ⏎ ").replace('|', "\\|"))
}

const INTRO: &str = "\
# Odd answers

Services answer in ways that no document describes. This page is what lote makes of each kind that we know of, as a test
finds it (`tests/facade/odd_answers.rs`), which also writes the page. Where the kinds were seen is in [facts.md](facts.md),
10, 12.1 and 12.2. What `lote check` says of odd requests, and what the answers of a service's endpoints become, is in
[dialects.md](dialects.md).

Every request line has one of six outcomes: succeeded, failed, expired, cancelled, unreadable, missing. What is odd about a
file is an anomaly, named with its code, and printed by `lote run`, `lote join` and `lote inspect`; of a file that
holds no lines at all, `lote check` says the same. ⏎ stands between lines.

## Answers

The output file is for one request, whose custom_id is `a`.
";

const BATCHES: &str = "
## Batches that are over

What the library makes of a batch of one request, and of the files that it names. A batch that names its files late is
asked for again for two minutes, unless `Tolerance::late_files` says otherwise.

";

#[tokio::test]
async fn the_page_of_odd_answers_is_what_is_made_of_them() {
    let mut page = format!("{INTRO}\n| kind | the output file | what is made of it |\n| --- | --- | --- |\n");
    let mut wrong = Vec::new();
    for row in answers() {
        let said = said(&row.came);
        check_says_the_same(&row.came, &said);
        if !said.contains(row.expected) {
            wrong.push(format!("{}: {said:?} is not {:?}", row.kind, row.expected));
        }
        let came = match (row.shown, String::from_utf8_lossy(&row.came)) {
            ("", came) if came.is_empty() => "nothing".to_owned(),
            ("", came) => cell(&came),
            (shown, _) => shown.to_owned(),
        };
        writeln!(page, "| {} | {came} | {} |", row.kind, cell(&said)).expect("a text");
    }
    page.push_str(BATCHES);
    page.push_str("| kind | the batch | its files | what is made of it |\n| --- | --- | --- | --- |\n");
    for told in batches() {
        let said = fetched(&told).await;
        if !said.contains(told.expected) {
            wrong.push(format!("{}: {said:?} is not {:?}", told.kind, told.expected));
        }
        let batches: Vec<String> = told.batches.iter().map(|batch| sorted(batch.clone()).to_string()).collect();
        let files: Vec<String> = told
            .files
            .iter()
            .map(|file| if file.is_empty() { "an empty file".to_owned() } else { cell(file) })
            .collect();
        let files = if files.is_empty() { "none".to_owned() } else { files.join(", ") };
        writeln!(page, "| {} | {} | {files} | {} |", told.kind, cell(&batches.join("; then ")), cell(&said))
            .expect("a text");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/odd_answers.md");
    let committed = fs::read_to_string(path).unwrap_or_default();
    if committed == page {
        return;
    }
    if env::var_os("LOTE_BLESS").is_some() {
        fs::write(path, page).expect("written");
        return;
    }
    let differs = committed.lines().zip(page.lines()).find(|(committed, now)| committed != now);
    panic!(
        "problem: docs/odd_answers.md is not what is made of odd answers: {differs:#?}\n\
         fix: LOTE_BLESS=1 cargo test --test facade odd_answers, and read the change"
    );
}
