//! The files that are read: requests, answers and errors, made once from a seed, below the folder of builds.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::text::{Draw, Style, Texts};
use crate::report::Failure;

/// A change of what is made makes other files.
const VERSION: &str = "v1";

/// Of a thousand requests, how many have failed, and how many no file answers.
const FAILED: u64 = 20;
const MISSING: u64 = 1;

/// What a set of files is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) lines: u64,
    /// About so many thousand bytes a line, in UTF-8.
    pub(super) kilobytes: u64,
    pub(super) style: Style,
}

/// How many requests of a set have which outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) missing: u64,
}

impl Set {
    pub(super) const fn counts(self) -> Counts {
        let (failed, missing) = (self.lines * FAILED / 1000, self.lines * MISSING / 1000);
        Counts { succeeded: self.lines - failed - missing, failed, missing }
    }

    fn name(self, what: &str) -> String {
        format!("{what}-{}-{}k-{}.jsonl", self.lines, self.kilobytes, self.style.name())
    }
}

/// The files that are there.
#[derive(Debug)]
pub(super) struct Data {
    folder: PathBuf,
}

/// What was answered to the requests of a set.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) output: PathBuf,
    pub(super) errors: PathBuf,
}

impl Data {
    pub(super) fn new(place: &Path) -> Result<Self, Failure> {
        let folder = place.join("data").join(VERSION);
        fs::create_dir_all(&folder).map_err(|error| cannot(&folder, &error))?;
        Ok(Self { folder })
    }

    /// The requests of a set.
    pub(super) fn requests(&self, set: Set, out: &mut dyn Write) -> Result<PathBuf, Failure> {
        let lines = Lines::new(set);
        self.made(&set.name("requests"), out, |file| {
            let mut line = Vec::new();
            (0..set.lines).try_for_each(|number| {
                line.clear();
                lines.request(&mut line, number);
                file.write_all(&line)
            })
        })
    }

    /// What was answered to them, shuffled.
    pub(super) fn answers(&self, set: Set, out: &mut dyn Write) -> Result<Answers, Failure> {
        let (lines, order) = (Lines::new(set), Order::of(set.lines));
        let Counts { succeeded, failed, .. } = set.counts();
        let write = |file: &mut dyn Write, from: u64, to: u64, push: &dyn Fn(&mut Vec<u8>, u64)| {
            let mut line = Vec::new();
            (from..to).try_for_each(|place| {
                line.clear();
                push(&mut line, order.at(place));
                file.write_all(&line)
            })
        };
        let answered = failed + succeeded;
        let errors = |file: &mut dyn Write| write(file, 0, failed, &|line, number| lines.error(line, number));
        let output = |file: &mut dyn Write| write(file, failed, answered, &|line, number| lines.output(line, number));
        Ok(Answers {
            errors: self.made(&set.name("errors"), out, errors)?,
            output: self.made(&set.name("output"), out, output)?,
        })
    }

    /// A file, made if it is not there; says its size and hash.
    fn made(
        &self,
        name: &str,
        out: &mut dyn Write,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<PathBuf, Failure> {
        let path = self.folder.join(name);
        let label = path.with_extension("sha256");
        let known = fs::read_to_string(&label).ok().filter(|_| path.is_file());
        let hash = match known {
            Some(hash) => hash,
            None => {
                let half = path.with_extension("half");
                let hash = save(&half, write).map_err(|error| cannot(&half, &error))?;
                let named = fs::rename(&half, &path).and_then(|()| fs::write(&label, &hash));
                named.map_err(|error| cannot(&path, &error))?;
                hash
            }
        };
        let bytes = fs::metadata(&path).map_err(|error| cannot(&path, &error))?.len();
        writeln!(out, "  {name}: {bytes} bytes, SHA-256 {}", hash.get(..16).unwrap_or(&hash))?;
        Ok(path)
    }
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()), "make room there, and let it be written")
}

fn save(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<String> {
    let mut file = BufWriter::with_capacity(1 << 20, Hashed { file: File::create(path)?, hash: Sha256::new() });
    write(&mut file)?;
    let hashed = file.into_inner()?;
    Ok(hashed.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A file whose hash is taken while it is written.
struct Hashed {
    file: File,
    hash: Sha256,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes lines of a set.
struct Lines {
    texts: Texts,
    /// Bytes of text in a line.
    text: u64,
    request: [String; 4],
    output: [String; 4],
    error: [String; 4],
}

impl Lines {
    fn new(set: Set) -> Self {
        let pieces = |pieces: [&str; 4]| pieces.map(|piece| set.style.piece(piece));
        Self {
            texts: Texts::new(set.style),
            text: (set.kilobytes * 1000).saturating_sub(270),
            request: pieces([
                r#"{"custom_id":"row-"#,
                r#"","method":"POST","url":"/v1/chat/completions","body":{"model":"small-1","messages":[{"role":"system","content":"Answer in one sentence."},{"role":"user","content":""#,
                r#""}],"temperature":0.2,"max_tokens":"#,
                "}}\n",
            ]),
            output: pieces([
                r#"{"id":"batch_req_5f2c","custom_id":"row-"#,
                r#"","response":{"status_code":200,"request_id":"req_8a41","body":{"id":"chatcmpl-77d1","object":"chat.completion","created":1764374400,"model":"small-1","choices":[{"index":0,"message":{"role":"assistant","content":""#,
                r#"","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":310,"completion_tokens":290,"total_tokens":600},"service_tier":"batch","seed":"#,
                "}},\"error\":null}\n",
            ]),
            error: pieces([
                r#"{"id":"batch_req_5f2c","custom_id":"row-"#,
                r#"","response":{"status_code":400,"request_id":"req_8a41","body":{"error":{"message":""#,
                r#"","type":"invalid_request_error","param":null,"code":null},"seed":"#,
                "}},\"error\":null}\n",
            ]),
        }
    }

    fn push(&self, line: &mut Vec<u8>, pieces: &[String; 4], kind: u64, number: u64) {
        let mut draw = Draw::of(kind, number);
        let [before, between, behind, end] = pieces;
        line.extend_from_slice(before.as_bytes());
        line.extend_from_slice(number.to_string().as_bytes());
        line.extend_from_slice(between.as_bytes());
        // Between half as long and half as long again.
        let about = self.text / 2 + draw.below(self.text.max(1));
        self.texts.push(line, &mut draw, about);
        line.extend_from_slice(behind.as_bytes());
        line.extend_from_slice((100 + draw.below(400)).to_string().as_bytes());
        line.extend_from_slice(end.as_bytes());
    }

    fn request(&self, line: &mut Vec<u8>, number: u64) {
        self.push(line, &self.request, 1, number);
    }

    fn output(&self, line: &mut Vec<u8>, number: u64) {
        self.push(line, &self.output, 2, number);
    }

    fn error(&self, line: &mut Vec<u8>, number: u64) {
        self.push(line, &self.error, 3, number);
    }
}

/// The numbers below `count` in an order that looks like chance, each once, of which none is kept in memory: a Feistel
/// network over the next power of four, taken again until what comes is below `count`.
struct Order {
    count: u64,
    half: u32,
}

impl Order {
    fn of(count: u64) -> Self {
        let bits = u64::BITS - count.saturating_sub(1).leading_zeros();
        Self { count, half: bits.div_ceil(2).max(1) }
    }

    fn at(&self, place: u64) -> u64 {
        let mask = (1 << self.half) - 1;
        let mut at = place;
        loop {
            let (mut left, mut right) = (at >> self.half, at & mask);
            for round in 0..4 {
                (left, right) = (right, left ^ (Draw::of(100 + round, right).below(u64::MAX) & mask));
            }
            at = (left << self.half) | right;
            if at < self.count {
                return at;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    const SET: Set = Set { lines: 1000, kilobytes: 1, style: Style::Utf8 };

    fn read(path: &Path) -> Vec<Value> {
        fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn an_order_has_each_number_once() {
        for count in [1, 2, 3, 5, 64, 65, 1000] {
            let order = Order::of(count);
            let seen: Vec<u64> = (0..count).map(|place| order.at(place)).collect();
            assert_eq!(seen.iter().copied().collect::<BTreeSet<_>>(), (0..count).collect(), "{count}");
            assert!(count < 64 || seen.iter().zip(0..).filter(|(at, place)| *at == place).count() < 8, "{seen:?}");
        }
    }

    #[test]
    fn what_is_made_is_the_same_everywhere_and_is_as_it_is_described() {
        let place = tempfile::tempdir().unwrap();
        let data = Data::new(place.path()).unwrap();
        let mut said = Vec::new();
        let requests = data.requests(SET, &mut said).unwrap();
        let answers = data.answers(SET, &mut said).unwrap();
        let escaped = data.requests(Set { style: Style::Escaped, ..SET }, &mut said).unwrap();
        let said = String::from_utf8(said).unwrap();
        let hashes: Vec<&str> = said.lines().filter_map(|line| line.rsplit(' ').next()).collect();
        assert_eq!(hashes, ["aabde2912b53ec59", "b1efd04f89cf0f56", "e859f14fbfb41edc", "59e4503ef29ea3f0"], "{said}");
        // Not made a second time.
        fs::write(&requests, "{}").unwrap();
        assert_eq!(fs::read(data.requests(SET, &mut Vec::new()).unwrap()).unwrap(), b"{}");
        fs::remove_file(&requests).unwrap();
        data.requests(SET, &mut Vec::new()).unwrap();

        let text = fs::read_to_string(&requests).unwrap();
        let not_ascii = text.bytes().filter(|byte| !byte.is_ascii()).count() * 100 / text.len();
        assert!((15..30).contains(&not_ascii), "{not_ascii} %");
        let (plain, python) = (read(&requests), read(&escaped));
        assert_eq!(plain, python, "the same in both styles");
        assert!(fs::read_to_string(&escaped).unwrap().is_ascii());

        let asked: BTreeSet<String> = plain.iter().map(|line| line["custom_id"].to_string()).collect();
        let (output, errors) = (read(&answers.output), read(&answers.errors));
        let answered: BTreeSet<String> =
            output.iter().chain(&errors).map(|line| line["custom_id"].to_string()).collect();
        assert_eq!((asked.len(), output.len(), errors.len(), answered.len()), (1000, 979, 20, 999));
        assert!(answered.is_subset(&asked));
        assert_eq!(SET.counts(), Counts { succeeded: 979, failed: 20, missing: 1 });
        assert!(output.iter().all(|line| line["response"]["status_code"] == 200));
        assert!(errors.iter().all(|line| line["response"]["status_code"] == 400));
    }
}
