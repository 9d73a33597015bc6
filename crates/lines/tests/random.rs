//! Random and damaged input: nothing panics, nothing is lost, and what is written can be read.

use std::fs;

use lote_lines::{Answer, CheckOptions, Inspection, check, join};

/// A linear congruential generator: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

const SEEDS: [&str; 6] = [
    r#"{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"model":"m","input":"x","stream":false}}"#,
    r#"{"id":"i","custom_id":"a","response":{"status_code":200,"request_id":null,"body":"{\"model\":\"m\",\"usage\":{\"prompt_tokens\":1}}"},"error":null}"#,
    r#"{"custom_id":"b\ud83d\ude00é","error":{"code":null,"message":"{\"details\":{\"body\":\"{}\"}}"}}"#,
    r#"{"custom_id":7,"response":{"status_code":"429","body":{"error":{"message":"m"}}},"error":"x"}"#,
    "[{\"a\":[1,2e5,-0.5,true,null]}]",
    "\u{feff}{}\r\n\r\n",
];

const PIECES: [&[u8]; 22] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud800",
    b":",
    b",",
    b"\n",
    b"\r",
    b" ",
    b"\xff",
    b"\xc3",
    b"\xef\xbb\xbf",
    b"null",
    b"true",
    b"1e999",
    b"\"custom_id\":\"a\"",
    b"\"response\":{\"status_code\":200}",
    b"\0",
];

fn damaged(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    let lines = 1 + random.below(3);
    for _ in 0..lines {
        bytes.extend_from_slice(SEEDS[random.below(SEEDS.len())].as_bytes());
        bytes.extend_from_slice([&b"\n"[..], b"\r\n", b""][random.below(3)]);
    }
    let wounds = random.below(12) * random.below(2);
    for _ in 0..wounds {
        let at = random.below(bytes.len() + 1);
        match random.below(4) {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] = random.below(256) as u8,
            2 if at < bytes.len() => {
                bytes.remove(at);
            }
            _ => {
                let piece = PIECES[random.below(PIECES.len())];
                bytes.splice(at..at, piece.iter().copied());
            }
        }
    }
    bytes
}

#[test]
fn nothing_panics_and_counts_agree() {
    let mut random = Random(20_261_121);
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("input"), folder.path().join("output"));
    let (mut clean, mut readable) = (0, 0);
    for round in 0..4_000 {
        let bytes = damaged(&mut random);
        let lossy = || String::from_utf8_lossy(&bytes).into_owned();
        let mut sink = Vec::new();
        let mut findings = Vec::new();
        let options = CheckOptions::default();
        let checked = check(&bytes[..], &options, &mut |f| findings.push(f), Some(&mut sink)).unwrap();
        assert_eq!(checked.bytes, sink.len() as u64, "{}", lossy());
        assert!(findings.iter().all(|f| !f.to_string().is_empty()));
        if findings.is_empty() {
            clean += 1;
            let again = check(&sink[..], &options, &mut |f| panic!("{f}"), None).unwrap();
            assert_eq!(again, checked);
        }

        let mut inspection = Inspection::default();
        inspection.read("f", &bytes[..]).unwrap();
        let report = inspection.report();
        let outcomes = report.succeeded + report.failed + report.expired + report.cancelled;
        assert_eq!(outcomes + report.unreadable, report.lines, "{}", lossy());

        for line in bytes.split(|b| *b == b'\n') {
            let Ok(answer) = Answer::parse(line) else { continue };
            readable += 1;
            let _ = (answer.error_code(), answer.error_message(), answer.usage(), answer.model(), answer.body());
            let mut out = Vec::new();
            answer.write_normalised(&mut out).unwrap();
            let text = out.strip_suffix(b"\n").unwrap();
            assert!(!text.contains(&b'\n') && !text.contains(&b'\r'));
            let again = Answer::parse(text).unwrap();
            assert_eq!((&again.custom_id, again.outcome()), (&answer.custom_id, answer.outcome()), "{}", lossy());
            let mut twice = Vec::new();
            again.write_normalised(&mut twice).unwrap();
            assert_eq!(out, twice);
        }

        if round % 10 == 0 {
            fs::write(&input, if findings.is_empty() { &sink } else { &b"{\"custom_id\":\"a\"}"[..] }).unwrap();
            fs::write(&output, &bytes).unwrap();
            let mut out = Vec::new();
            let joined = join(&input, &[&output], &mut out).unwrap();
            assert_eq!(joined.lines as usize, out.split_inclusive(|b| *b == b'\n').count(), "{}", lossy());
        }
    }
    // The damage must leave something whole, or this test says little.
    assert!(clean > 100 && readable > 1_000, "{clean} {readable}");
}
