//! A slow, plain model of answers, over trees of JSON, against which the quick reading is held: on
//! bodies that were changed at random, and on files whose bytes were damaged at random.

use std::collections::BTreeMap;
use std::fs;

use lote_lines::{Answer, Inspection, OutcomeKind, join, replace_lone_surrogates};
use plain::Random;
use serde_json::{Value, json};

mod plain;

#[test]
fn a_plain_model_agrees_on_bodies_changed_at_random() {
    let mut random = Random(7);
    let seeds: Vec<Value> = plain::seeds();
    let mut outcomes = [0; 2];
    for _ in 0..12_000 {
        let mut body = seeds[random.below(seeds.len())].clone();
        for _ in 0..random.below(4) {
            plain::change(&mut body, &mut random);
        }
        if random.below(10) == 0 {
            body = Value::from(body.to_string());
        }
        let line = json!({"custom_id": "a", "response": {"status_code": 200, "body": body}}).to_string();
        let answer = Answer::parse(line.as_bytes()).unwrap();
        let expected = plain::holds_an_answer(&body);
        assert_eq!(answer.outcome() == OutcomeKind::Succeeded, expected, "{line}");
        let short = answer.shortfall();
        let expected_short = if expected { plain::shortfall(&body) } else { [false; 3] };
        assert_eq!([short.cut_off, short.filtered, short.refused], expected_short, "{line}");
        assert_eq!(answer.error_message().is_none(), expected, "{line}");
        outcomes[usize::from(expected)] += 1;
    }
    assert!(outcomes.iter().all(|count| *count > 2_000), "{outcomes:?}");
}

/// What a line is, if it is one whole result line: its custom_id and outcome.
fn read(line: &[u8]) -> Option<(String, OutcomeKind)> {
    let text = replace_lone_surrogates(std::str::from_utf8(line).ok()?);
    let line: Value = serde_json::from_str(&text).ok()?;
    let id = line.get("custom_id")?.as_str()?.to_owned();
    let response = &line["response"];
    if !plain::no_error(&line["error"]) {
        let code = line["error"]["code"].as_str().unwrap_or_default();
        return Some((id, if code == "batch_expired" { OutcomeKind::Expired } else { OutcomeKind::Failed }));
    }
    if response.get("status_code").is_none() && response.get("body").is_none() {
        let object = line.as_object()?;
        let others =
            || object.iter().filter(|(key, _)| !["id", "custom_id", "response", "error"].contains(&key.as_str()));
        let known = others().all(|(_, value)| !value.is_object() && !value.is_array())
            && (others().count() == 0 || object.contains_key("response") || object.contains_key("error"));
        let nothing = response.is_null() && known || response.as_object().is_some_and(|object| object.is_empty());
        return nothing.then_some((id, OutcomeKind::Failed));
    }
    let status = response.get("status_code").filter(|status| !status.is_null());
    // A plain text is no answer unless the status says so.
    let plain = response.get("body").and_then(Value::as_str);
    let plain = plain.is_some_and(|text| !text.trim().starts_with(['{', '[']) && !text.contains("-->"));
    let accepted = status.map_or(!plain, |status| status.as_u64().is_some_and(|status| (200..300).contains(&status)));
    let holds = plain::holds_an_answer(response.get("body").unwrap_or(&Value::Null));
    Some((id, if accepted && holds { OutcomeKind::Succeeded } else { OutcomeKind::Failed }))
}

/// A result line of one of a few custom_ids.
fn line(random: &mut Random) -> String {
    let id = ["a", "b", "c", "d", "e"][random.below(5)];
    let seeds = plain::seeds();
    let body = &seeds[random.below(seeds.len())];
    let status = [200, 200, 201, 500][random.below(4)];
    let response = json!({"status_code": status, "request_id": "r", "body": body});
    match random.below(8) {
        0 => json!({"custom_id": id, "response": null, "error": {"code": "batch_expired", "message": "late"}}),
        1 => json!({"id": "i", "custom_id": id, "response": null, "error": null}),
        2 => json!({"custom_id": id, "result": {"type": "succeeded"}}),
        _ => json!({"id": "i", "custom_id": id, "response": response, "error": null}),
    }
    .to_string()
}

/// Bytes that break a line without making another layout of it.
const WOUNDS: [&[u8]; 9] = [b"\xff", b"\x01", b"\"", b"\\", b"\\ud800", b":", b"\xc3", b"nul", b" "];

#[test]
fn a_plain_model_agrees_on_files_damaged_at_random() {
    let mut random = Random(20_261_126);
    let folder = tempfile::tempdir().unwrap();
    let [input, output] = ["input", "output"].map(|name| folder.path().join(name));
    let ids = ["a", "b", "c", "d", "e", "f"];
    let request =
        |id: &&str| format!("{{\"custom_id\":\"{id}\",\"method\":\"POST\",\"url\":\"/v1/responses\",\"body\":{{}}}}\n");
    fs::write(&input, ids.iter().map(request).collect::<String>()).unwrap();
    let (mut unreadable, mut damaged, mut succeeded) = (0, 0, 0);
    for round in 0..700 {
        let mut lines: Vec<Vec<u8>> = (0..1 + random.below(6)).map(|_| line(&mut random).into_bytes()).collect();
        for line in &mut lines {
            if random.below(3) == 0 {
                damaged += 1;
                // After the custom_id.
                let at = 26 + random.below(line.len() - 26);
                match random.below(3) {
                    0 => line.truncate(at),
                    _ => drop(line.splice(at..at, WOUNDS[random.below(WOUNDS.len())].iter().copied())),
                }
            }
        }
        let bytes = lines.join(&b'\n');
        let shown = || String::from_utf8_lossy(&bytes).into_owned();

        // The first whole line that succeeded, else the first whole line, else one that names the id.
        let mut expected: BTreeMap<String, OutcomeKind> = BTreeMap::new();
        let mut counts: BTreeMap<OutcomeKind, u64> = BTreeMap::new();
        for line in &lines {
            let Some((id, outcome)) = read(line) else { continue };
            *counts.entry(outcome).or_default() += 1;
            let known = expected.entry(id).or_insert(outcome);
            if outcome == OutcomeKind::Succeeded {
                *known = outcome;
            }
        }

        let mut inspection = Inspection::default();
        inspection.read("output", &bytes[..]).unwrap();
        let report = inspection.report();
        let count = |outcome| counts.get(&outcome).copied().unwrap_or(0);
        assert_eq!(report.succeeded, count(OutcomeKind::Succeeded), "{}", shown());
        assert_eq!(report.failed, count(OutcomeKind::Failed), "{}", shown());
        assert_eq!(report.expired, count(OutcomeKind::Expired), "{}", shown());
        let readable = report.succeeded + report.failed + report.expired;
        assert_eq!(report.lines, readable + report.unreadable, "{}", shown());
        let broken = lines.len() as u64 - readable;
        assert!(report.unreadable <= broken && (report.unreadable == 0) == (broken == 0), "{}", shown());
        assert_eq!(inspection.all_readable(), broken == 0);

        fs::write(&output, &bytes).unwrap();
        let mut out = Vec::new();
        let joined = join(&input, &[&output], &mut out).unwrap();
        let got: Vec<(String, OutcomeKind)> = out
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| {
                let answer = Answer::parse(line.trim_ascii_end()).unwrap();
                assert!(answer.response.is_some() || answer.error.is_some(), "{}", shown());
                (answer.custom_id.into_owned(), Answer::parse(line.trim_ascii_end()).unwrap().outcome())
            })
            .collect();
        assert_eq!(got.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ids);
        for (id, outcome) in got {
            match expected.get(&id) {
                Some(expected) => assert_eq!(outcome, *expected, "{round} {id}: {}", shown()),
                None => {
                    let begin =
                        [format!("{{\"custom_id\":\"{id}\","), format!("{{\"id\":\"i\",\"custom_id\":\"{id}\",")];
                    let named = lines.iter().any(|line| begin.iter().any(|begin| line.starts_with(begin.as_bytes())));
                    let expected = if named { OutcomeKind::Unreadable } else { OutcomeKind::Missing };
                    assert_eq!(outcome, expected, "{round} {id}: {}", shown());
                }
            }
        }
        unreadable += joined.unreadable;
        succeeded += joined.succeeded;
    }
    assert!(unreadable > 200 && succeeded > 200 && damaged > 500, "{unreadable} {succeeded} {damaged}");
}
