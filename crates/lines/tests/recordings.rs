//! Answers of real servers, recorded: every line of their output and error files is understood.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "helpers of tests may panic and say what they skip")]

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use lote_lines::{Answer, Inspection, LineReader, OutcomeKind, ResultLine};
use serde_json::Value;

/// The bodies of all file contents that a server gave, by the name of the request.
fn contents(server: &str) -> Option<Vec<(String, String)>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/recordings");
    let path = path.join(format!("{server}.jsonl"));
    let Ok(file) = File::open(&path) else {
        println!("skipped: {} is absent", path.display());
        return None;
    };
    let mut lines = LineReader::new(BufReader::new(file));
    let mut contents = Vec::new();
    while let Some(line) = lines.next_line().unwrap() {
        let answer: Value = serde_json::from_slice(line.bytes).unwrap();
        let name = answer["name"].as_str().unwrap().to_owned();
        let is_content = answer["path"].as_str().unwrap().ends_with("/content");
        if is_content && answer["status"] == 200 {
            contents.push((name, answer["body"].as_str().unwrap().to_owned()));
        }
    }
    Some(contents)
}

#[test]
fn recorded_files_are_read_fully() {
    let mut seen = 0;
    for (server, model, code, message) in [
        ("ogx", "stub/stub-chat", "request_failed", "Error code: 400 - model stub: injected 400"),
        ("dwctl", "stub-chat", "invalid_request_error", "model stub: injected 400"),
    ] {
        let Some(contents) = contents(server) else { continue };
        seen += 1;
        assert_eq!(contents.len(), 2, "{server}");
        let mut inspection = Inspection::default();
        for (name, body) in &contents {
            inspection.read(name, body.as_bytes()).unwrap();
        }
        assert!(inspection.all_readable());
        let report = inspection.report();
        assert_eq!((report.lines, report.succeeded, report.failed), (2, 1, 1), "{server}");
        assert!(report.anomalies.is_empty(), "{server}: {:?}", report.anomalies);
        assert_eq!(report.models.get(model), Some(&1), "{server}");
        let usage = report.usage;
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.total_tokens), (1, 2, 3), "{server}");
        assert_eq!(report.errors[0].code, code, "{server}");
        assert_eq!(report.errors[0].message.as_deref(), Some(message), "{server}");
        for (name, body) in &contents {
            normalised_fits_the_contract(name, body);
        }
    }
    println!("{seen} of 2 recordings read");
}

fn normalised_fits_the_contract(name: &str, body: &str) {
    let answer = Answer::parse(body.trim_end().as_bytes()).unwrap();
    let mut out = Vec::new();
    answer.write_normalised(&mut out).unwrap();
    let line: ResultLine = serde_json::from_slice(&out).unwrap();
    assert_eq!(line.id.as_deref(), answer.id.as_deref());
    if name.starts_with("output") {
        assert_eq!((line.custom_id.as_str(), answer.outcome()), ("a", OutcomeKind::Succeeded));
        let response = line.response.unwrap();
        assert_eq!(response.body["choices"][0]["message"]["content"], "echo: alpha");
        assert!(line.error.is_none());
    } else {
        assert_eq!((line.custom_id.as_str(), answer.outcome()), ("b", OutcomeKind::Failed));
        assert!(line.response.is_none());
        assert!(line.error.unwrap().message.unwrap().contains("injected 400"));
    }
}
