//! The fixtures of odd lines, which the fuzz targets begin with: each of them is odd in the way that its custom_id says.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::path::Path;

use lote_lines::{Answer, CheckOptions, Inspection, OutcomeKind, check, join};
use serde_json::Value;

const ANSWERS: &str = include_str!("fixtures/odd-answers.jsonl");
const REQUESTS: &str = include_str!("fixtures/odd-requests.jsonl");

#[test]
fn each_answer_is_what_its_custom_id_says() {
    let place = tempfile::tempdir().unwrap();
    let requests = place.path().join("requests.jsonl");
    // The custom_id stands first, and is legible whatever follows.
    let ids: Vec<&str> = ANSWERS.lines().map(|line| line.split('"').nth(3).unwrap()).collect();
    std::fs::write(&requests, ids.iter().map(|id| format!("{{\"custom_id\":\"{id}\"}}\n")).collect::<String>())
        .unwrap();
    let answers = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/odd-answers.jsonl");
    let mut out = Vec::new();
    let joined = join(&requests, &[&answers], &mut out).unwrap();
    let out = String::from_utf8(out).unwrap();
    assert_eq!((out.lines().count(), ids.len()), (22, 22));
    for (line, id) in out.lines().zip(&ids) {
        let answer = Answer::parse(line.as_bytes()).unwrap();
        assert_eq!(answer.custom_id, *id);
        assert_eq!(id.split(':').next(), Some(answer.outcome().to_string().as_str()), "{line}");
    }
    let of = |kind: OutcomeKind| ids.iter().filter(|id| id.starts_with(&kind.to_string())).count() as u64;
    assert_eq!((joined.succeeded, joined.failed), (of(OutcomeKind::Succeeded), of(OutcomeKind::Failed)));
    assert_eq!((joined.expired, joined.cancelled, joined.unreadable, joined.missing), (1, 1, 4, 0));
    assert_eq!((joined.cut_off, joined.filtered, joined.refused), (1, 1, 1));

    // What is told of the file alone is the same.
    let mut inspection = Inspection::default();
    inspection.read("odd-answers.jsonl", ANSWERS.as_bytes()).unwrap();
    let report = inspection.report();
    assert_eq!((report.succeeded, report.failed, report.unreadable), (joined.succeeded, joined.failed, 4));
    assert_eq!(report.errors.iter().find(|error| error.code == "no_paint").unwrap().count, 1);
}

#[test]
fn each_request_but_the_first_is_found_at_fault() {
    let mut faulty = Vec::new();
    let options = CheckOptions::default();
    check(REQUESTS.as_bytes(), &options, &mut |finding| faulty.push(finding.line), None).unwrap();
    faulty.dedup();
    assert_eq!(faulty, (2..=15).map(Some).collect::<Vec<_>>());
    let fine: Value = serde_json::from_str(REQUESTS.lines().next().unwrap()).unwrap();
    assert_eq!(fine["custom_id"], "fine: a chat completion");
}
