//! Where the lines of some files go.

use std::{cell::RefCell, collections::BTreeMap, fs, io, rc::Rc};

use super::*;
use crate::lines::FindingCode;

const CHAT: &str = "/v1/chat/completions";
const EMBEDDINGS: &str = "/v1/embeddings";

fn chat(custom_id: impl fmt::Display, model: &str) -> String {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"x"}}]}}"#);
    format!("{{\"custom_id\":\"{custom_id}\",\"method\":\"POST\",\"url\":\"{CHAT}\",\"body\":{body}}}\n")
}

fn embeddings(custom_id: impl fmt::Display, inputs: usize) -> String {
    let body = format!(r#"{{"model":"e","input":[{}]}}"#, vec!["\"x\""; inputs].join(","));
    format!("{{\"custom_id\":\"{custom_id}\",\"method\":\"POST\",\"url\":\"{EMBEDDINGS}\",\"body\":{body}}}\n")
}

const ANY: Cut = Cut { lines: u64::MAX, bytes: u64::MAX, inputs: None, one_model: false };

/// Keeps the shards in memory, and counts those that are open.
#[derive(Default)]
struct Kept {
    shards: Rc<RefCell<BTreeMap<u32, Vec<u8>>>>,
    finished: Vec<u32>,
    most_open: usize,
}

struct KeptOut(Rc<RefCell<BTreeMap<u32, Vec<u8>>>>, u32);

impl Write for KeptOut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().entry(self.1).or_default().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shards for Kept {
    type Out = KeptOut;

    fn begin(&mut self, number: u32) -> io::Result<KeptOut> {
        assert!(self.shards.borrow_mut().insert(number, Vec::new()).is_none());
        self.most_open = self.most_open.max(self.shards.borrow().len() - self.finished.len());
        Ok(KeptOut(Rc::clone(&self.shards), number))
    }

    fn finish(&mut self, number: u32, out: KeptOut, _: &str) -> io::Result<()> {
        assert_eq!(out.1, number);
        self.finished.push(number);
        Ok(())
    }
}

struct Came {
    planned: Planned,
    shards: Kept,
    order: String,
}

fn write(folder: &Path, files: &[impl AsRef<[u8]>]) -> Vec<PathBuf> {
    let path = |index| folder.join(format!("{index}.jsonl"));
    files.iter().enumerate().for_each(|(index, file)| fs::write(path(index), file).unwrap());
    (0..files.len()).map(path).collect()
}

fn cut_of(paths: &[PathBuf], options: &CheckOptions, cut: &Cut, limit: Option<u64>) -> Result<Came, PlanError> {
    let spill = tempfile::tempdir().unwrap();
    let (mut shards, mut order) = (Kept::default(), Vec::new());
    let taken = Taken { limit, ..Taken::default() };
    let planned = plan(paths, options, cut, taken, spill.path(), &mut shards, &mut order, &|| true)?;
    assert_eq!(fs::read_dir(spill.path()).unwrap().count(), 0);
    Ok(Came { planned, shards, order: String::from_utf8(order).unwrap() })
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The plan of some files, held against what was written. The order gives the input back.
fn cut(files: &[String], cut: &Cut, limit: Option<u64>) -> Came {
    let folder = tempfile::tempdir().unwrap();
    let came = cut_of(&write(folder.path(), files), &CheckOptions::default(), cut, limit).unwrap();
    let Came { planned, shards, order } = &came;
    let input: String = files.concat();
    let input: String = input.split_inclusive('\n').take(limit.unwrap_or(u64::MAX) as usize).collect();
    let shards = shards.shards.borrow();
    let mut left: BTreeMap<u32, Vec<&[u8]>> = shards
        .iter()
        .map(|(number, bytes)| (*number, bytes.split_inclusive(|b| *b == b'\n').rev().collect()))
        .collect();
    let (mut back, mut groups) = (Vec::new(), Vec::new());
    for group in order.lines() {
        let (number, count) = group.split_once(' ').unwrap();
        let (number, count): (u32, u64) = (number.parse().unwrap(), count.parse().unwrap());
        groups.push(number);
        assert_ne!(count, 0);
        (0..count).for_each(|_| back.extend_from_slice(left.get_mut(&number).unwrap().pop().unwrap()));
    }
    assert!(left.values().all(Vec::is_empty));
    assert_eq!(String::from_utf8(back).unwrap(), input);
    assert!(groups.windows(2).all(|two| two[0] != two[1]), "{order}");
    assert_eq!(planned.in_order, groups.is_sorted() && groups.len() == shards.len(), "{order}");
    assert_eq!((planned.checked.lines, planned.checked.bytes), (input.lines().count() as u64, input.len() as u64));
    assert_eq!(planned.checked.sha256, sha256(input.as_bytes()));
    let mut finished = came.shards.finished.clone();
    finished.sort_unstable();
    assert!(finished.iter().eq(shards.keys()));
    for (plan, (number, bytes)) in planned.shards.iter().zip(shards.iter()) {
        assert_eq!(plan.number, *number);
        assert_eq!(plan.sha256, sha256(bytes));
        assert_eq!(plan.bytes, bytes.len() as u64);
        assert_eq!(plan.lines, bytes.split_inclusive(|b| *b == b'\n').count() as u64);
        assert!(plan.lines <= cut.lines && plan.bytes <= cut.bytes && cut.inputs.is_none_or(|n| plan.inputs <= n));
    }
    assert_eq!(planned.shards.len(), shards.len());
    drop(shards);
    came
}

fn lines(came: &Came) -> Vec<u64> {
    came.planned.shards.iter().map(|shard| shard.lines).collect()
}

#[test]
fn a_shard_ends_where_the_next_line_would_pass_a_limit() {
    let file: String = (10..17).map(|id| chat(id, "m")).collect();
    let line = chat(10, "m").len() as u64;
    for (limits, expected) in [
        (ANY, &[7][..]),
        (Cut { lines: 7, ..ANY }, &[7]),
        (Cut { lines: 3, ..ANY }, &[3, 3, 1]),
        (Cut { bytes: line * 3, ..ANY }, &[3, 3, 1]),
        (Cut { bytes: line * 3 - 1, ..ANY }, &[2, 2, 2, 1]),
        (Cut { bytes: line * 3, lines: 2, ..ANY }, &[2, 2, 2, 1]),
    ] {
        let came = cut(std::slice::from_ref(&file), &limits, None);
        assert_eq!(lines(&came), expected, "{limits}");
        assert!(came.planned.in_order);
    }
    let texts: String = [2, 2, 1, 3, 5, 0].iter().enumerate().map(|(id, n)| embeddings(id, *n)).collect();
    let texts = texts.replace("[]", "\"one\"");
    let came = cut(&[texts], &Cut { inputs: Some(5), ..ANY }, None);
    assert_eq!(lines(&came), [3, 1, 1, 1]);
    let inputs: Vec<_> = came.planned.shards.iter().map(|shard| shard.inputs).collect();
    assert_eq!(inputs, [5, 3, 5, 1]);
}

#[test]
fn endpoints_and_models_have_shards_of_their_own() {
    let file: String =
        [chat(1, "m"), embeddings(2, 1), embeddings(3, 1), chat(4, "n"), chat(5, "m"), embeddings(6, 1)].concat();
    let came = cut(std::slice::from_ref(&file), &ANY, None);
    assert_eq!(came.order, "1 1\n2 2\n1 2\n2 1\n");
    let of = |came: &Came| -> Vec<_> {
        let shards = came.planned.shards.iter();
        shards.map(|shard| (shard.endpoint.clone(), shard.model.clone().unwrap_or_default(), shard.lines)).collect()
    };
    let expected = [(CHAT, "", 3), (EMBEDDINGS, "", 3)].map(|(e, m, n)| (e.to_owned(), m.to_owned(), n));
    assert_eq!(of(&came), expected);
    assert!(!came.planned.in_order);
    assert_eq!(came.planned.checked.endpoint, None);
    let came = cut(&[file], &Cut { one_model: true, lines: 2, ..ANY }, None);
    assert_eq!(came.order, "1 1\n2 2\n3 1\n1 1\n4 1\n");
    let expected = [(CHAT, "m", 2), (EMBEDDINGS, "e", 2), (CHAT, "n", 1), (EMBEDDINGS, "e", 1)];
    assert_eq!(of(&came), expected.map(|(e, m, n)| (e.to_owned(), m.to_owned(), n)));
}

#[test]
fn one_endpoint_after_another_is_in_order() {
    let files = [chat(1, "m"), chat(2, "m"), embeddings(3, 1)];
    let came = cut(&files, &ANY, None);
    assert_eq!((came.order.as_str(), came.planned.in_order), ("1 2\n2 1\n", true));
    let sources: Vec<_> = came.planned.sources.iter().map(|source| (source.lines, source.sha256.clone())).collect();
    assert_eq!(sources, files.map(|file| (1, sha256(file.as_bytes()))));
}

#[test]
fn so_many_shards_are_open_and_no_more() {
    let count = OPEN + 3;
    let round: String = (0..count).map(|n| chat(n, &format!("m{n}"))).collect();
    let again: String = [count - 1, 0].map(|n| chat(n + count, &format!("m{n}"))).concat();
    let came = cut(&[round, again], &Cut { one_model: true, ..ANY }, None);
    assert_eq!(came.shards.most_open, OPEN);
    // The last model's shard is still open; the first one's is not, and another is begun.
    assert_eq!(came.planned.shards.len(), count + 1);
    assert_eq!(came.planned.shards[count - 1].lines, 2);
    assert_eq!(came.planned.shards[count].model.as_deref(), Some("m0"));
    assert_eq!(came.shards.finished[..3], [1, 2, 3]);
}

#[test]
fn random_inputs_come_back_by_their_order() {
    // A linear congruential generator: the same numbers on every machine.
    let mut state = 11_u64;
    let mut below = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    for round in 0..60 {
        let files: Vec<String> = (0..1 + below(3))
            .map(|file| {
                let mut line = |at| match below(3) {
                    0 => embeddings(format_args!("{file}-{at}"), 1 + (at % 4) as usize),
                    _ => chat(format_args!("{file}-{at}"), ["m", "n", "long-name"][below(3) as usize]),
                };
                (0..1 + at_most(round)).map(&mut line).collect()
            })
            .collect();
        let limits =
            Cut { lines: 1 + below(9), bytes: 200 + below(600), inputs: Some(4 + below(9)), one_model: below(2) == 0 };
        let limit = (below(3) == 0).then(|| 1 + below(20));
        cut(&files, &limits, limit);
    }
    fn at_most(round: u64) -> u64 {
        round % 23
    }
}

#[test]
fn only_the_first_lines_are_planned() {
    let files = [chat(1, "m") + &chat(2, "m"), chat(3, "m") + "no line\n", "no line\n".to_owned()];
    for (limit, read) in [(1, 1), (2, 1), (3, 2)] {
        let came = cut(&files, &ANY, Some(limit));
        assert_eq!((lines(&came), came.planned.sources.len()), (vec![limit], read));
    }
}

#[cfg(feature = "compressed")]
#[test]
fn compressed_sources_are_read_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let text = chat(1, "m");
    let path = folder.path().join("a.jsonl.gz");
    fs::write(&path, stored_gzip(text.as_bytes())).unwrap();
    let came = cut_of(&[path], &CheckOptions::default(), &ANY, None).unwrap();
    assert_eq!(came.planned.checked.sha256, sha256(text.as_bytes()));
    assert_eq!(came.planned.sources[0].bytes, text.len() as u64);
}

/// Text as gzip in one block that is not compressed.
#[cfg(feature = "compressed")]
fn stored_gzip(text: &[u8]) -> Vec<u8> {
    let mut crc = u32::MAX;
    for byte in text {
        crc ^= u32::from(*byte);
        (0..8).for_each(|_| crc = crc >> 1 ^ (0xedb8_8320 & (crc & 1).wrapping_neg()));
    }
    let length = u16::try_from(text.len()).unwrap();
    let mut gzip = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01".to_vec();
    gzip.extend(length.to_le_bytes());
    gzip.extend((!length).to_le_bytes());
    gzip.extend(text);
    gzip.extend((!crc).to_le_bytes());
    gzip.extend(u32::from(length).to_le_bytes());
    gzip
}

/// `FILE:LINE@CODE` of the findings that refused some files.
fn refused(files: &[String], options: &CheckOptions, cut: &Cut) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    match cut_of(&write(folder.path(), files), options, cut, None) {
        Err(PlanError::Input { checked, sources }) => {
            let found = sources.iter().flat_map(|found| {
                let file = found.source.file_stem().unwrap().to_string_lossy().into_owned();
                let at = |finding: &lines::Finding| finding.line.map_or("-".to_owned(), |line| line.to_string());
                found.findings.iter().map(move |finding| format!("{file}:{}@{}", at(finding), finding.code))
            });
            let found: Vec<_> = found.collect();
            assert_eq!(checked.findings, found.len() as u64);
            found
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("nothing was refused"),
    }
}

#[test]
fn findings_are_told_by_source_and_nothing_is_finished() {
    let files = [chat(1, "m") + &chat(2, "m"), chat(3, "m"), chat(2, "m") + "{}\n"];
    let options = CheckOptions::default();
    assert_eq!(
        refused(&files, &options, &ANY),
        ["2:1@duplicate_custom_id", "2:2@missing_key", "2:2@missing_key", "2:2@missing_key", "2:2@missing_key"]
    );
    // A line that fits into no shard by itself.
    let one = chat(1, "m").len() as u64;
    let long = [chat(1, "m") + &chat(1000, "m")];
    assert_eq!(refused(&long, &options, &Cut { bytes: one, ..ANY }), ["0:2@line_too_long"]);
    let many = [embeddings(1, 3) + &embeddings(2, 4)];
    assert_eq!(refused(&many, &options, &Cut { inputs: Some(3), ..ANY }), ["0:2@too_many_inputs"]);
    // An endpoint that is given is that of every line.
    let options = CheckOptions { endpoint: Some(CHAT.to_owned()), ..options };
    assert_eq!(refused(&[chat(1, "m") + &embeddings(2, 1)], &options, &ANY), ["0:2@url_differs"]);
}

#[test]
fn a_custom_id_far_apart_is_found_with_its_source() {
    let options = CheckOptions { known_endpoints: Vec::new(), ..CheckOptions::default() };
    let line = |id: u64| format!("{{\"custom_id\":\"{id}\",\"method\":\"POST\",\"url\":\"/x\",\"body\":{{}}}}\n");
    let first: String = (0..240_000).map(line).collect();
    // More than are kept, in an order that the hashes do not have.
    let second: String = (5..1_205).map(line).collect();
    let folder = tempfile::tempdir().unwrap();
    let paths = write(folder.path(), &[first, second]);
    let Err(PlanError::Input { checked, sources }) = cut_of(&paths, &options, &ANY, None) else {
        panic!("nothing was found");
    };
    assert_eq!((checked.findings, sources.len()), (1_200, 1));
    let found = &sources[0];
    assert_eq!(found.source, paths[1]);
    assert!(found.findings.iter().map(|finding| finding.line).eq((1..=1_000).map(Some)));
    assert!(found.findings.iter().all(|finding| finding.code == FindingCode::DuplicateCustomId));
    let first = &found.groups.groups()[0].first;
    let expected =
        format!("custom_id was used before, in line 6 of {}: make it unique in all files", paths[0].display());
    assert_eq!((first.line, first.message.as_str()), (Some(1), expected.as_str()));
    assert_eq!((found.groups.groups().len(), found.groups.beyond()), (1_000, 200));
}

#[test]
fn a_pass_that_is_not_wanted_stops() {
    let folder = tempfile::tempdir().unwrap();
    let paths = write(folder.path(), &[chat(1, "m") + &chat(2, "m")]);
    let run = |wanted: &dyn Fn() -> bool| {
        let options = CheckOptions::default();
        plan(&paths, &options, &ANY, Taken::default(), folder.path(), &mut Kept::default(), &mut io::sink(), wanted)
    };
    assert!(run(&|| false).unwrap_err().is_interrupted());
    let calls = Cell::new(0);
    let after_a_line = run(&|| {
        calls.set(calls.get() + 1);
        calls.get() < 4
    });
    assert!(after_a_line.unwrap_err().is_interrupted());
}

/// Fails to begin the shard of a number, to write it, or to finish it.
struct Failing(u32, &'static str);

struct FailingOut(bool);

impl Write for FailingOut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 { Err(io::Error::other("disk full")) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shards for Failing {
    type Out = FailingOut;

    fn begin(&mut self, number: u32) -> io::Result<FailingOut> {
        let fails = |what| self.0 == number && self.1 == what;
        if fails("begin") { Err(io::Error::other("disk full")) } else { Ok(FailingOut(fails("write"))) }
    }

    fn finish(&mut self, number: u32, _: FailingOut, _: &str) -> io::Result<()> {
        if self.0 == number && self.1 == "finish" { Err(io::Error::other("disk full")) } else { Ok(()) }
    }
}

#[test]
fn an_error_says_what_was_being_done() {
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), &[chat(1, "m") + &chat(2, "m"), chat(3, "m")]);
    let run = |paths: &[PathBuf], shards: &mut Failing, order: &mut dyn Write| {
        let (options, limits) = (CheckOptions::default(), Cut { lines: 1, ..ANY });
        plan(paths, &options, &limits, Taken::default(), folder.path(), shards, order, &|| true)
            .unwrap_err()
            .to_string()
    };
    let (first, last) = (files[0].display(), files[1].display());
    for (number, what, expected) in [
        (2, "begin", format!("make shard 2 of {first}: disk full")),
        (2, "write", format!("write shard 2 of {last}: disk full")),
        (1, "finish", format!("write shard 1 of {first}: disk full")),
        (3, "finish", format!("write shard 3 of {last}: disk full")),
    ] {
        assert_eq!(run(&files, &mut Failing(number, what), &mut io::sink()), expected);
    }
    let expected = format!("write the order of the lines of {first}: disk full");
    assert_eq!(run(&files, &mut Failing(0, ""), &mut FailingOut(true)), expected);
    let gone = folder.path().join("gone.jsonl");
    let message = run(std::slice::from_ref(&gone), &mut Failing(0, ""), &mut io::sink());
    assert!(message.starts_with(&format!("open {}: ", gone.display())), "{message}");
}

#[test]
fn a_cut_prints_its_limits() {
    assert_eq!(ANY.to_string(), "no limit");
    let all = Cut { lines: 50_000, bytes: 200_000_000, inputs: Some(7), one_model: true };
    assert_eq!(all.to_string(), "50000 lines, 200000000 bytes, 7 texts to embed, one model");
    let some = Cut { inputs: None, ..all };
    assert_eq!(some.to_string(), "50000 lines, 200000000 bytes, one model");
}

#[test]
fn the_parts_of_an_input_are_dealt_out_line_by_line() {
    let files = [(0..7).map(|id| chat(id, "m")).collect::<String>() + "\n", embeddings("e", 3) + &chat(8, "n")];
    let all: Vec<String> =
        files.concat().lines().filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect();
    let folder = tempfile::tempdir().unwrap();
    let (paths, spill) = (write(folder.path(), &files), tempfile::tempdir().unwrap());
    for (of, limit) in [(1, None), (2, None), (4, None), (4, Some(5)), (12, None), (3, Some(100))] {
        let lines: Vec<&String> = all.iter().take(limit.unwrap_or(u64::MAX) as usize).collect();
        let whole = Whole {
            lines: lines.len() as u64,
            sha256: sha256(lines.iter().copied().cloned().collect::<String>().as_bytes()),
        };
        for part in 1..=of {
            let taken = Taken { limit, partition: Some(Partition::new(part, of).unwrap()), ..Taken::default() };
            let (mut shards, mut order) = (Kept::default(), Vec::new());
            let two = Cut { lines: 2, ..ANY };
            let options = CheckOptions::default();
            let planned = plan(&paths, &options, &two, taken, spill.path(), &mut shards, &mut order, &|| true).unwrap();
            let of_part = lines.iter().skip(part as usize - 1).step_by(of as usize);
            let expected: String = of_part.map(|line| line.as_str()).collect();
            let (count, bytes) = (expected.lines().count() as u64, expected.len() as u64);
            assert_eq!((planned.checked.lines, planned.checked.bytes), (count, bytes), "{part}/{of}");
            assert_eq!(planned.checked.sha256, sha256(expected.as_bytes()), "{part}/{of}");
            assert_eq!(planned.checked.models.values().sum::<u64>(), count, "{part}/{of}");
            assert_eq!(planned.whole.as_ref(), Some(&whole), "{part}/{of}");
            assert_eq!(planned.shards.iter().map(|shard| shard.lines).sum::<u64>(), count, "{part}/{of}");
            let mut sent: Vec<String> = Vec::new();
            for bytes in shards.shards.borrow().values() {
                sent.extend(std::str::from_utf8(bytes).unwrap().lines().map(|line| format!("{line}\n")));
            }
            let mut wanted: Vec<String> = expected.lines().map(|line| format!("{line}\n")).collect();
            sent.sort();
            wanted.sort();
            assert_eq!(sent, wanted, "{part}/{of}");
        }
    }
}

#[test]
fn a_finding_in_any_part_refuses_every_part() {
    let folder = tempfile::tempdir().unwrap();
    for input in [
        // Twice in two different parts.
        chat("a", "m") + &chat("b", "m") + &chat("c", "m") + &chat("a", "m"),
        chat("a", "m") + "{}\n" + &chat("c", "m"),
    ] {
        let paths = write(folder.path(), &[input]);
        for part in 1..=3 {
            let taken = Taken { partition: Some(Partition::new(part, 3).unwrap()), ..Taken::default() };
            let options = CheckOptions::default();
            let spill = tempfile::tempdir().unwrap();
            let refused =
                plan(&paths, &options, &ANY, taken, spill.path(), &mut Kept::default(), &mut io::sink(), &|| true);
            assert!(matches!(refused, Err(PlanError::Input { .. })), "{refused:?}");
        }
    }
}
