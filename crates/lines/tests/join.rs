//! How answers find back to their request lines.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use lote_lines::{AnomalyCode, JoinError, Joined, join};
use tempfile::TempDir;

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// An input file with these custom_ids.
    fn input(&self, ids: &[&str]) -> PathBuf {
        self.write("input", ids.iter().map(|id| request(id)).collect::<String>())
    }
}

fn request(id: &str) -> String {
    format!("{{\"custom_id\":\"{id}\",\"method\":\"POST\",\"url\":\"/v1/responses\",\"body\":{{}}}}\n")
}

fn ok(id: &str, text: &str) -> String {
    format!(
        "{{\"id\":\"i\",\"custom_id\":\"{id}\",\"response\":{{\"status_code\":200,\"body\":{{\"model\":\"m\",\
         \"text\":\"{text}\",\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":2}}}}}},\"error\":null}}\n"
    )
}

fn failed(id: &str, code: &str) -> String {
    format!(
        "{{\"id\":null,\"custom_id\":\"{id}\",\"response\":null,\"error\":{{\"code\":\"{code}\",\"message\":null}}}}\n"
    )
}

fn missing(id: &str) -> String {
    let mut out = Vec::new();
    lote_lines::write_missing(id, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn joined(input: &Path, answers: &[&Path]) -> (Joined, String) {
    let mut out = Vec::new();
    let joined = join(input, answers, &mut out).unwrap();
    let sum = joined.succeeded + joined.failed + joined.expired + joined.cancelled + joined.unreadable + joined.missing;
    assert_eq!(joined.lines, sum);
    (joined, String::from_utf8(out).unwrap())
}

/// `FILE:LINE:CODE` of every anomaly.
fn anomalies(joined: &Joined) -> Vec<String> {
    let name = |file: &str| Path::new(file).file_name().unwrap().to_string_lossy().into_owned();
    joined.anomalies.iter().map(|a| format!("{}:{}:{}", name(&a.file), a.line, a.code)).collect()
}

#[test]
fn writes_one_line_for_each_request_in_input_order() {
    let files = Files::new();
    let input = files.input(&["a", "b", "c", "d", "e"]);
    let output = files.write("output", format!("{}\n\r\n{}", ok("e", "5"), ok("a", "1").trim_end()));
    let errors = files.write("errors", [failed("d", "batch_expired"), failed("b", "batch_cancelled")].concat());
    let (joined, out) = joined(&input, &[&output, &errors]);
    let expected =
        [ok("a", "1"), failed("b", "batch_cancelled"), missing("c"), failed("d", "batch_expired"), ok("e", "5")];
    assert_eq!(out, expected.concat());
    assert_eq!((joined.lines, joined.succeeded, joined.failed, joined.answers), (5, 2, 0, 4));
    assert_eq!((joined.expired, joined.cancelled, joined.missing), (1, 1, 1));
    assert_eq!((joined.usage.total_tokens, joined.models["m"]), (6, 2));
    assert!(joined.anomalies.is_empty() && !joined.all_succeeded());
    let codes: Vec<_> = joined.errors.iter().map(|e| e.code.as_str()).collect();
    assert_eq!(codes, ["batch_cancelled", "batch_expired", "missing"]);
    let value = serde_json::to_value(&joined).unwrap();
    assert_eq!(value["missing"], 1);
    assert_eq!(value["anomalies_omitted"], 0);
}

#[test]
fn ids_are_compared_as_texts() {
    let files = Files::new();
    let input = files.input(&["\\u0061\\\"é", "A", "a"]);
    let output = files.write("output", [ok("a\\\"\\u00e9", "1"), ok("a", "3"), ok("a ", "4")].concat());
    let (joined, out) = joined(&input, &[&output]);
    assert_eq!(out, [ok("a\\\"\\u00e9", "1"), missing("A"), ok("a", "3")].concat());
    assert_eq!(anomalies(&joined), ["output:3:foreign_custom_id"]);
    assert_eq!(joined.anomalies[0].custom_id.as_deref(), Some("a "));
}

#[test]
fn of_two_answers_the_first_success_wins() {
    let files = Files::new();
    let input = files.input(&["a", "b", "c"]);
    let one = files.write("one", [failed("a", "x"), ok("b", "1"), failed("c", "first")].concat());
    let two = files.write("two", [ok("a", "2"), failed("b", "y"), failed("c", "z"), ok("a", "3")].concat());
    let (joined, out) = joined(&input, &[&one, &two]);
    assert_eq!(out, [ok("a", "2"), ok("b", "1"), failed("c", "first")].concat());
    assert_eq!(
        anomalies(&joined),
        [
            "one:1:duplicate_custom_id",
            "two:2:duplicate_custom_id",
            "two:3:duplicate_custom_id",
            "two:4:duplicate_custom_id"
        ]
    );
    assert!(joined.anomalies[3].message.contains("two, line 1"), "{}", joined.anomalies[3]);
}

#[test]
fn a_complete_answer_wins_over_one_that_falls_short() {
    let files = Files::new();
    let input = files.input(&["a"]);
    let chat = |reason: &str, text: &str| {
        format!(
            "{{\"id\":\"i\",\"custom_id\":\"a\",\"response\":{{\"status_code\":200,\"body\":{{\"choices\":[{{\"message\":\
             {{\"content\":\"{text}\"}},\"finish_reason\":\"{reason}\"}}]}}}},\"error\":null}}\n"
        )
    };
    let incomplete = ok("a", "2").replace("\"model\"", "\"status\":\"incomplete\",\"model\"");
    let whole = chat("stop", "1");
    for short in [chat("length", "2"), chat("content_filter", ""), incomplete] {
        for lines in [[&short, &whole], [&whole, &short]] {
            let output = files.write("output", lines.map(String::as_str).concat());
            let (joined, out) = joined(&input, &[&output]);
            assert_eq!(out, whole);
            assert_eq!((joined.succeeded, joined.cut_off, joined.filtered), (1, 0, 0));
            let loser = if lines[0] == &whole { 2 } else { 1 };
            assert_eq!(anomalies(&joined), [format!("output:{loser}:duplicate_custom_id")]);
        }
        // It is still better than a failure, and the first of several.
        let other = short.replace("\"2\"", "\"3\"");
        let output = files.write("output", failed("a", "x") + &short + &other);
        let (joined, out) = joined(&input, &[&output]);
        assert_eq!((out, joined.succeeded), (short, 1));
    }
}

#[test]
fn what_is_unreadable_is_named_and_what_is_lost_is_missing() {
    let files = Files::new();
    let input = files.input(&["a", "b", "c"]);
    let cut = ok("c", "3");
    let output = files.write("output", format!("\u{feff}{}garbage\n{{}}\n{}", ok("a", "1"), &cut[..cut.len() / 2]));
    let (joined, out) = joined(&input, &[&output]);
    assert!(out.starts_with(&[ok("a", "1"), missing("b")].concat()), "{out}");
    let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    let place = format!("{}, line 4", output.display());
    assert_eq!((&last["custom_id"], &last["response"]), (&"c".into(), &serde_json::Value::Null));
    assert_eq!(last["error"]["code"], "unreadable");
    let message = last["error"]["message"].as_str().unwrap();
    assert!(message.contains(&format!("cannot be read: {place}: the line ends inside the JSON object")), "{message}");
    assert_eq!((joined.succeeded, joined.unreadable, joined.missing), (1, 1, 1));
    assert_eq!(
        anomalies(&joined),
        ["output:1:bom", "output:2:unreadable_line", "output:3:no_custom_id", "output:4:unreadable_line"]
    );
    let (lost, bytes) = (&joined.anomalies[3], fs::read(&output).unwrap());
    let (from, length) = (lost.offset.unwrap() as usize, lost.length.unwrap() as usize);
    assert_eq!(bytes[from..from + length], cut.as_bytes()[..cut.len() / 2]);
    assert_eq!((lost.custom_id.as_deref(), lost.excerpt.as_deref()), (Some("c"), Some(&cut[..cut.len() / 2])));
    // Its joined line is unreadable to whoever inspects it, and the next join takes a better one.
    let mut inspection = lote_lines::Inspection::default();
    inspection.read("results", out.as_bytes()).unwrap();
    let report = inspection.report();
    assert_eq!((report.succeeded, report.unreadable, report.missing), (1, 1, 1));
    assert!(!inspection.all_readable());
    let results = files.write("results", &out);
    let late = files.write("late", [ok("c", "3"), ok("b", "2")].concat());
    let (again, out) = self::joined(&input, &[&results, &late]);
    assert_eq!(out, [ok("a", "1"), ok("b", "2"), ok("c", "3")].concat());
    assert!(again.anomalies.is_empty(), "{:?}", again.anomalies);
}

#[test]
fn no_answers_and_no_requests() {
    let files = Files::new();
    let input = files.input(&["a"]);
    let empty = files.write("empty", "");
    assert_eq!(joined(&input, &[]).1, missing("a"));
    assert_eq!(joined(&input, &[&empty]).1, missing("a"));
    let output = files.write("output", ok("z", ""));
    let (joined, out) = joined(&empty, &[&output]);
    assert_eq!((out.as_str(), joined.lines), ("", 0));
    assert_eq!(joined.anomalies[0].code, AnomalyCode::ForeignCustomId);
}

#[test]
fn shuffled_answers_of_every_size_come_back_in_order() {
    let files = Files::new();
    let count = 3_000_u64;
    let text = |n: u64| "x".repeat((n * 7919 % 997) as usize) + &n.to_string();
    let ids: Vec<String> = (0..count).map(|n| format!("row-{n}")).collect();
    let input = files.input(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    // 7919 and 3000 share no factor, so this visits each number once.
    let shuffled = (0..count).map(|n| n * 7919 % count);
    let lines: Vec<String> = shuffled.map(|n| ok(&format!("row-{n}"), &text(n))).collect();
    let one = files.write("one", lines[..1_000].concat());
    let two = files.write("two", lines[1_000..].concat());
    let (joined, out) = joined(&input, &[&two, &one]);
    let expected: String = (0..count).map(|n| ok(&format!("row-{n}"), &text(n))).collect();
    assert!(out == expected);
    assert_eq!(joined.succeeded, count);
    assert!(joined.all_succeeded());
}

#[test]
fn foreign_answers_are_bounded() {
    let files = Files::new();
    let input = files.input(&["a"]);
    let lines: String = (0..1_500).map(|n| ok(&n.to_string(), "")).collect();
    let output = files.write("output", lines);
    let (joined, _) = joined(&input, &[&output]);
    assert_eq!((joined.anomalies.len(), joined.anomalies_omitted), (1_000, 500));
    assert_eq!(joined.anomalies[999].line, 1_000);
}

#[test]
fn errors_name_the_file_and_the_line() {
    let files = Files::new();
    let good = files.input(&["a"]);
    let absent = files.0.path().join("absent");
    for (path, error) in [
        (&absent, join(&absent, &[], &mut io::sink()).unwrap_err()),
        (&absent, join(&good, &[&absent], &mut io::sink()).unwrap_err()),
    ] {
        assert!(error.to_string().starts_with(&format!("cannot read {}", path.display())), "{error}");
        assert_eq!(error.io_error().unwrap().kind(), io::ErrorKind::NotFound);
        assert_eq!(error.source().unwrap().to_string(), error.io_error().unwrap().to_string());
        assert!(!error.is_write());
    }
    for (content, line) in [
        (request("a") + "\n" + &request("a"), 3),
        (request("a") + &request("\\u0061"), 2),
        (request("a") + "{\"custom_id\":", 2),
        ("{\"custom_id\":7}".to_owned(), 1),
        ("{}".to_owned(), 1),
    ] {
        let input = files.write("bad", &content);
        let output = files.write("output", ok("a", "1"));
        for answers in [&[][..], &[output.as_path()]] {
            let error = join(&input, answers, &mut io::sink()).unwrap_err();
            assert!(matches!(&error, JoinError::Input { line: l, .. } if *l == line), "{content}: {error}");
            assert!(error.to_string().contains(&format!("bad, line {line}: ")), "{error}");
            assert!(error.io_error().is_none() && error.source().is_none());
        }
    }
}

#[test]
fn a_full_disk_is_the_writers_error() {
    /// Takes so many bytes, then is full.
    struct Disk(usize);
    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes.len() > self.0 {
                return Err(io::Error::from_raw_os_error(28));
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let files = Files::new();
    let ids: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
    let input = files.input(&ids.iter().map(String::as_str).collect::<Vec<_>>());
    for room in [0, 100_000] {
        let error = join(&input, &[], &mut Disk(room)).unwrap_err();
        assert!(error.is_write());
        assert_eq!(error.io_error().unwrap().raw_os_error(), Some(28));
        assert!(error.to_string().starts_with("cannot write the results, at request line "), "{error}");
    }
}
