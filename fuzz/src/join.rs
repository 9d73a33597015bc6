//! `inspect` and `join` read any answers without a panic and account for each request line once: the custom_ids of the
//! results are those of the requests, in their order, and the counts are the lines that were written.

use std::fs;

use lote_lines::{Answer, Inspection, OutcomeKind};

/// The request lines, so that the bytes need not invent them.
const REQUESTS: [&str; 4] = ["a", "b", "é\\n", "7"];

/// One trial.
pub fn join(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let requests: String = REQUESTS.iter().map(|id| format!("{{\"custom_id\":\"{id}\",\"body\":{{}}}}\n")).collect();
    fs::write(at("requests"), requests).expect("a file");
    // Two files, so that an answer may stand in either.
    let cut = data.iter().position(|byte| *byte == 0x1f).unwrap_or(data.len());
    fs::write(at("output"), &data[..cut]).expect("a file");
    fs::write(at("errors"), data.get(cut + 1..).unwrap_or_default()).expect("a file");

    let mut out = Vec::new();
    let Ok(joined) = lote_lines::join(&at("requests"), &[&at("output"), &at("errors")], &mut out) else {
        return;
    };
    let text = String::from_utf8(out).expect("results are UTF-8");
    let mut kinds = Vec::new();
    for (line, id) in text.lines().zip(REQUESTS) {
        let answer = Answer::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}"));
        let expected: String = serde_json::from_str(&format!("\"{id}\"")).expect("a text");
        assert_eq!(answer.custom_id, expected, "{line}");
        kinds.push(if answer.is_missing() { OutcomeKind::Missing } else { answer.outcome() });
    }
    assert_eq!(text.lines().count(), REQUESTS.len());
    let count = |wanted| kinds.iter().filter(|kind| **kind == wanted).count() as u64;
    let counted = [
        (joined.succeeded, OutcomeKind::Succeeded),
        (joined.failed, OutcomeKind::Failed),
        (joined.expired, OutcomeKind::Expired),
        (joined.cancelled, OutcomeKind::Cancelled),
        (joined.unreadable, OutcomeKind::Unreadable),
        (joined.missing, OutcomeKind::Missing),
    ];
    for (said, kind) in counted {
        assert_eq!(said, count(kind), "{kind}: {text}");
    }

    // What was written is read back as it was told.
    let mut inspection = Inspection::default();
    inspection.read("results", text.as_bytes()).expect("memory can be read");
    let report = inspection.report();
    assert_eq!(report.succeeded, joined.succeeded, "{text}");
    assert_eq!(report.missing, joined.missing, "{text}");
}
