//! The result files of two servers, OGX and dwctl, in the shape in which they were seen (docs/facts.md, 10): every line is
//! understood. Ids, texts and numbers are our own.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use lote_lines::{Answer, Inspection, OutcomeKind, ResultLine};

/// A server, its two files, and what its shapes make of the same two answers.
struct Server {
    name: &'static str,
    output: &'static str,
    errors: &'static str,
    model: &'static str,
    code: &'static str,
    message: &'static str,
}

const SERVERS: [Server; 2] = [
    Server {
        name: "ogx",
        output: include_str!("fixtures/ogx-output.jsonl"),
        errors: include_str!("fixtures/ogx-errors.jsonl"),
        model: "paint/colour-1",
        code: "request_failed",
        message: "Error code: 400 - no such colour: octarine",
    },
    Server {
        name: "dwctl",
        output: include_str!("fixtures/dwctl-output.jsonl"),
        errors: include_str!("fixtures/dwctl-errors.jsonl"),
        model: "colour-1",
        code: "invalid_request_error",
        message: "no such colour: octarine",
    },
];

#[test]
fn the_files_of_two_servers_are_read_fully() {
    for Server { name, output, errors, model, code, message } in SERVERS {
        let mut inspection = Inspection::default();
        inspection.read("output.jsonl", output.as_bytes()).unwrap();
        inspection.read("errors.jsonl", errors.as_bytes()).unwrap();
        assert!(inspection.all_readable());
        let report = inspection.report();
        assert_eq!((report.lines, report.succeeded, report.failed), (2, 1, 1), "{name}");
        assert!(report.anomalies.is_empty(), "{name}: {:?}", report.anomalies);
        assert_eq!(report.models.get(model), Some(&1), "{name}");
        let usage = report.usage;
        assert_eq!((usage.input_tokens, usage.output_tokens, usage.total_tokens), (14, 9, 23), "{name}");
        assert_eq!(report.errors[0].code, code, "{name}");
        assert_eq!(report.errors[0].message.as_deref(), Some(message), "{name}");

        let (id, kind, line) = normalised(output);
        assert_eq!((id.as_str(), kind), ("a", OutcomeKind::Succeeded), "{name}");
        let response = line.response.unwrap();
        assert_eq!(response.body["choices"][0]["message"]["content"], "Türkis ist blau und grün.", "{name}");
        assert!(line.error.is_none(), "{name}");

        let (id, kind, line) = normalised(errors);
        assert_eq!((id.as_str(), kind), ("b", OutcomeKind::Failed), "{name}");
        assert!(line.response.is_none(), "{name}");
        assert!(line.error.unwrap().message.unwrap().contains("no such colour: octarine"), "{name}");
    }
}

/// The one line of a file, as it is joined: that fits the contract.
fn normalised(file: &str) -> (String, OutcomeKind, ResultLine) {
    let answer = Answer::parse(file.trim_end().as_bytes()).unwrap();
    let mut out = Vec::new();
    answer.write_normalised(&mut out).unwrap();
    let line: ResultLine = serde_json::from_slice(&out).unwrap();
    assert_eq!(line.id.as_deref(), answer.id.as_deref());
    (line.custom_id.clone(), answer.outcome(), line)
}
