use std::fs;

use super::*;
use crate::anomaly::AnomalyCode;

/// A linear congruential generator: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

fn line(id: &str) -> String {
    format!("{{\"custom_id\":\"{id}\",\"response\":{{\"status_code\":200,\"body\":{{\"x\":1}}}}}}\n")
}

fn requests(ids: &[&str]) -> String {
    ids.iter().map(|id| format!("{{\"custom_id\":\"{id}\"}}\n")).collect()
}

/// What comes of request lines with these custom_ids when a file of answers is another one the second time it is read.
fn joined(bounds: Bounds, first: &str, second: &str, ids: &[&str]) -> Result<(Joined, String), JoinError> {
    let folder = tempfile::tempdir().unwrap();
    let (input, path) = (folder.path().join("input"), folder.path().join("output"));
    fs::write(&input, requests(ids)).unwrap();
    fs::write(&path, first).unwrap();
    let (input, named) = (Named::from(input.as_path()), [Named::new(&path, "output")]);
    let mut anomalies = Anomalies::default();
    let (answers, requests) = read(input, &named, &mut anomalies, &bounds)?;
    fs::write(&path, second).unwrap();
    let mut out = Vec::new();
    let joined = results(input, answers, requests, anomalies, bounds, Some(&mut out))?;
    Ok((joined, String::from_utf8(out).unwrap()))
}

#[test]
fn an_answer_that_changed_is_not_taken() {
    let before = line("a") + &line("b") + &line("c") + &line("d").replace("1}}}", "1}},\"error\":\"x\"}") + &line("e");
    // The second is another's, the third cannot be read, the fourth and the last say something else.
    let after = line("a") + &line("a") + &before[2 * line("a").len()..];
    let after = after.replace(&line("c"), &line("c").replace("}}}", "}} ")).replace("\"x\"}", "\"y\"}");
    let after = after.replace(&line("e"), &line("e").replace(":1}}}", ":2}}}"));
    assert_eq!(before.len(), after.len());
    let (joined, out) = joined(Bounds::default(), &before, &after, &["a", "b", "c", "d", "e"]).unwrap();
    assert_eq!((joined.succeeded, joined.unreadable, joined.anomalies.len()), (1, 4, 4));
    for (anomaly, line) in joined.anomalies.iter().zip(2..) {
        assert_eq!((anomaly.line, anomaly.code), (line, AnomalyCode::ChangedWhileReading));
    }
    let written: Vec<_> = out.lines().collect();
    for (line, id) in written[1..].iter().zip(["b", "c", "d", "e"]) {
        assert!(line.starts_with(&format!("{{\"id\":null,\"custom_id\":\"{id}\",\"response\":null,")), "{out}");
        assert!(line.contains("\"unreadable\"") && line.contains("not the one that stood here"), "{out}");
    }
    assert_eq!(written.len(), 5);
}

#[test]
fn a_file_that_is_cut_off_between_is_an_error() {
    let file = line("a") + &line("b");
    let error = joined(Bounds::default(), &file, &file[..file.len() - 3], &["a", "b"]).unwrap_err();
    assert!(
        matches!(&error, JoinError::Read { source, .. } if source.kind() == io::ErrorKind::UnexpectedEof),
        "{error}"
    );
    let said = error.to_string();
    assert!(said.starts_with("cannot read output: the file was changed while it was read"), "{said}");
}

/// Answers of so many files, of which every third is compressed.
fn many(folder: &Path, count: usize) -> (Vec<String>, Vec<PathBuf>) {
    let ids: Vec<_> = (0..count).map(|number| format!("row-{number}")).collect();
    let write = |(number, id): (usize, &String)| {
        let path = folder.join(format!("output-{number}"));
        let text = line(id);
        let compressed = number % 3 == 2 && cfg!(feature = "compressed");
        fs::write(&path, if compressed { stored_zstd(&text) } else { text.into_bytes() }).unwrap();
        path
    };
    let paths = ids.iter().enumerate().map(write).collect();
    (ids, paths)
}

/// A frame of zstd that holds a short text as it is.
fn stored_zstd(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    let block = (u32::from(length) << 3) | 1;
    [&b"\x28\xb5\x2f\xfd\x20"[..], &[length], &block.to_le_bytes()[..3], text.as_bytes()].concat()
}

#[test]
fn a_bounded_number_of_files_is_open_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (ids, paths) = many(folder.path(), 30);
    let input = folder.path().join("input");
    let mut shuffled: Vec<_> = ids.iter().map(String::as_str).collect();
    shuffled.sort_unstable_by_key(|id| (id.len() * 7 + usize::from(id.as_bytes()[id.len() - 1])) % 11);
    fs::write(&input, requests(&shuffled)).unwrap();
    for open in [0, 1, 2, 19, 20, 21, 64] {
        let bounds = Bounds { open, block_lines: 4, ..Bounds::default() };
        let mut anomalies = Anomalies::default();
        let named: Vec<_> = paths.iter().map(|path| Named::from(path.as_path())).collect();
        let (answers, asked) = read(Named::from(input.as_path()), &named, &mut anomalies, &bounds).unwrap();
        assert_eq!(answers.files.open_now(), open.clamp(1, 20));
        let mut out = Vec::new();
        let joined = results(Named::from(input.as_path()), answers, asked, anomalies, bounds, Some(&mut out)).unwrap();
        assert_eq!((joined.succeeded, joined.lines), (30, 30));
        let got: Vec<_> = out.split(|byte| *byte == b'\n').map(|line| String::from_utf8_lossy(line)).collect();
        assert!(got.iter().zip(&shuffled).all(|(line, id)| line.contains(&format!("\"{id}\""))), "{got:?}");
    }
}

#[test]
fn a_file_that_is_opened_again_is_the_one_that_it_was() {
    for vanishes in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (ids, paths) = many(folder.path(), 2);
        let input = folder.path().join("input");
        fs::write(&input, requests(&ids.iter().map(String::as_str).collect::<Vec<_>>())).unwrap();
        let bounds = Bounds { open: 1, ..Bounds::default() };
        let named = [Named::new(&paths[0], "first"), Named::new(&paths[1], "second")];
        let mut anomalies = Anomalies::default();
        let (answers, asked) = read(Named::from(input.as_path()), &named, &mut anomalies, &bounds).unwrap();
        fs::remove_file(&paths[0]).unwrap();
        if !vanishes {
            fs::write(&paths[0], line(&ids[0]) + " ").unwrap();
        }
        let joined = results(Named::from(input.as_path()), answers, asked, anomalies, bounds, Some(&mut Vec::new()));
        let said = joined.unwrap_err().to_string();
        let expected = if vanishes { "cannot read first: " } else { "cannot read first: the file was changed while" };
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn a_line_that_is_too_long_to_be_held_is_unreadable() {
    let (short, long) = (line("a"), line("bc"));
    let most = short.len() - 1;
    let file = short + &long;
    let bounds = Bounds { max_line_bytes: most, ..Bounds::default() };
    let (joined, out) = joined(bounds, &file, &file, &["a", "bc"]).unwrap();
    assert_eq!((joined.succeeded, joined.unreadable, joined.missing), (1, 1, 0));
    assert_eq!((joined.anomalies.len(), joined.anomalies[0].code), (1, AnomalyCode::LineTooLong));
    let said = format!("cannot be read: output, line 2: the line has {} bytes, too many to be read", most + 1);
    assert!(out.lines().nth(1).unwrap().contains(&said), "{out}");
}

#[test]
fn temporary_files_that_cannot_be_made_are_named_with_their_folder() {
    let folder = tempfile::tempdir().unwrap();
    let gone = folder.path().join("gone");
    let file = line("a") + &line("b") + &line("c");
    for (answers, requests) in [(2, usize::MAX), (usize::MAX, 2)] {
        let bounds = Bounds { folder: gone.clone(), answers, requests, ..Bounds::default() };
        let error = joined(bounds, &file, &file, &["a", "b", "c"]).unwrap_err();
        assert!(!error.is_write());
        assert_eq!(error.io_error().unwrap().kind(), io::ErrorKind::NotFound);
        let start = format!("a temporary file in {} cannot be written: ", gone.display());
        assert!(error.to_string().starts_with(&start), "{error}");
    }
}

/// A line that may be anything that services send.
fn answer(random: &mut Random, kinds: usize) -> Vec<u8> {
    let id = format!("row-{}", random.below(kinds));
    let text = "é".repeat(random.below(40));
    let body = format!("{{\"model\":\"m{}\",\"text\":\"{text}\",\"usage\":{{\"input_tokens\":3}}}}", random.below(300));
    let whole = |id: &str, response: &str, error: &str| {
        format!("{{\"id\":\"i\",\"custom_id\":\"{id}\",\"response\":{response},\"error\":{error}}}")
    };
    let ok = whole(&id, &format!("{{\"status_code\":200,\"body\":{body}}}"), "null");
    let line = match random.below(26) {
        0 => whole(&id, "null", "{\"code\":\"batch_expired\",\"message\":\"m\"}"),
        1 => whole(&id, "null", "{\"code\":429,\"message\":null}"),
        2 => whole(&id, &format!("{{\"status_code\":\"200\",\"body\":{body}}}"), "null"),
        3 => whole(&id, &format!("{{\"status_code\":500,\"body\":{{\"error\":\"{text}\"}}}}"), "null"),
        4 => whole(&id, &format!("{{\"status_code\":200,\"body\":{:?}}}", "{\"text\":1}"), "null"),
        5 => ok[..ok.len() - 1 - random.below(40)].trim_end_matches('é').to_owned(),
        6 => whole(&format!("\\u0072ow-{}", random.below(kinds)), &format!("{{\"body\":{body}}}"), "null"),
        7 => ok.replace(':', ":\n "),
        8 => "garbage".to_owned(),
        9 => ok.replace("\"id\":\"i\"", "\"id\":7"),
        10 => ok.replace("\"id\":\"i\"", "\"response\":null"),
        11 => ok.replace("\"text\"", "\"status\":\"incomplete\",\"text\""),
        12 => format!("{{\"custom_id\":\"{id}\",\"response\":{{\"status_code\":200,\"body\":{}}}}}", "x".repeat(2_100)),
        13 => format!("{ok} {}", ok.replace("row-", "row-1")),
        14 => {
            let mut missing = Vec::new();
            crate::write_missing(&id, &mut missing).unwrap();
            String::from_utf8(missing).unwrap()
        }
        15 => ok.replace("\"input_tokens\":3", "\"input_tokens\":5000000000"),
        16 => return [ok.as_bytes(), b"\xff"].concat(),
        17 => ok.replace("null", "{\"code\":\"x\"}").replace("row-", "nobody-"),
        _ => ok,
    };
    line.into_bytes()
}

fn lines(random: &mut Random, count: usize, kinds: usize) -> Vec<u8> {
    let mut file = Vec::new();
    for _ in 0..count {
        file.extend(answer(random, kinds));
        file.extend_from_slice([&b"\n"[..], b"\r\n", b"\n\n"][random.below(3)]);
    }
    file
}

/// Results, summary and all anomalies that were told.
type Outcome = (Vec<u8>, Result<Joined, String>, Vec<Anomaly>);

#[test]
fn what_is_held_in_memory_changes_nothing() {
    let mut random = Random(7);
    let folder = tempfile::tempdir().unwrap();
    let (input, one, two) = (folder.path().join("input"), folder.path().join("one"), folder.path().join("two"));
    let spills = folder.path().join("spills");
    fs::create_dir(&spills).unwrap();
    let (mut refused, mut told_beyond) = (0, 0);
    for round in 0..120 {
        let kinds = 1 + random.below(if round % 10 == 0 { 3_000 } else { 300 });
        let mut ids: Vec<_> = (0..kinds).filter(|_| random.below(9) > 0).map(|id| format!("row-{id}")).collect();
        for at in (1..ids.len()).rev() {
            ids.swap(at, random.below(at + 1));
        }
        if random.below(6) == 0 && ids.len() > 1 {
            ids.push(ids[random.below(ids.len())].clone());
            ids.push("row-after".to_owned());
        }
        let mut request_lines = requests(&ids.iter().map(String::as_str).collect::<Vec<_>>());
        if random.below(9) == 0 {
            request_lines.push_str("\n{\"custom_id\":");
        }
        fs::write(&input, &request_lines).unwrap();
        fs::write(&one, lines(&mut random, 2 * kinds / 3, kinds)).unwrap();
        let most = random.below(kinds + 1);
        fs::write(&two, lines(&mut random, most, kinds)).unwrap();
        let outcome = |bounds: Bounds, is_telling: bool| -> Outcome {
            let (mut out, mut told) = (Vec::new(), Vec::new());
            let mut each = |anomaly: &Anomaly| told.push(anomaly.clone());
            let mut join = Join::new(input.as_path(), [one.as_path(), two.as_path()]);
            join.bounds = Bounds { max_line_bytes: 2_000, ..bounds };
            let join = if is_telling { join.telling(&mut each) } else { join };
            let joined = join.write(&mut out).map_err(|error| error.to_string());
            (out, joined, told)
        };
        let expected = outcome(Bounds::default(), true);
        refused += usize::from(expected.1.is_err());
        told_beyond += usize::from(expected.2.len() > crate::MAX_ANOMALIES);
        let untold = outcome(Bounds::default(), false);
        assert!((&untold.0, &untold.1) == (&expected.0, &expected.1), "{round}");
        let counted = Join::new(input.as_path(), [one.as_path(), two.as_path()]);
        let counted = Join { bounds: Bounds { max_line_bytes: 2_000, ..Bounds::default() }, ..counted }.count();
        assert_eq!(counted.map_err(|error| error.to_string()), expected.1, "{round}");
        for _ in 0..4 {
            let bounds = Bounds {
                folder: spills.clone(),
                answers: 1 + random.below(200),
                requests: 1 + random.below(200),
                merged: 2 + random.below(4),
                block_bytes: random.below(9_000) as u64,
                block_lines: 1 + random.below(90),
                ..Bounds::default()
            };
            let shown = format!("{round}: {bounds:?}");
            let (out, joined, told) = outcome(bounds, true);
            assert!(out == expected.0, "{shown}");
            assert_eq!(joined, expected.1, "{shown}");
            assert!(told == expected.2, "{shown}");
        }
        assert_eq!(fs::read_dir(&spills).unwrap().count(), 0);
    }
    // The rounds have to say something about each.
    assert!(refused > 10 && refused < 60 && told_beyond > 3, "{refused} {told_beyond}");
}
