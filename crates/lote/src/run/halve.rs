//! Writes the lines of a shard that is too big into two others.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{
    event::Half,
    folder::{REQUESTS, ToFolder},
    merge::Fault,
    plan::{ShardPlan, Shards, hex, tokens},
    record::shard_folder,
};
use crate::save::Access;

/// The halves of a shard of two lines at least, numbered from `number`; their files are durable, the names of their folders
/// are not. Whatever an earlier process has left of them is written over.
pub(super) fn halve(root: &Path, access: Access, whole: &ShardPlan, number: u32) -> Result<[Half; 2], Fault> {
    let path = root.join(shard_folder(whole.number)).join(REQUESTS);
    let failed = |error| Fault(path.clone(), error);
    let mut lines = BufReader::with_capacity(128 << 10, File::open(&path).map_err(failed)?);
    let (mut hash, mut line) = (Sha256::new(), Vec::new());
    let first = whole.lines / 2;
    let mut half = |number: u32, first_line: u64, count: u64| {
        let mut half = Writing::begin(root, access, whole, number)?;
        for _ in 0..count {
            line.clear();
            lines.read_until(b'\n', &mut line).map_err(failed)?;
            hash.update(&line);
            half.add(&line)?;
        }
        Ok(Half { first_line, plan: half.finish()? })
    };
    let halves = [half(number, 1, first)?, half(number.saturating_add(1), first + 1, whole.lines - first)?];
    let ended = lines.fill_buf().map_err(failed)?.is_empty();
    if !ended || hex(hash) != whole.sha256 {
        let why = "it is not as it was written: it holds other request lines than were checked";
        return Err(failed(io::Error::other(why)));
    }
    Ok(halves)
}

/// A half on its way into its folder.
struct Writing<'a> {
    to: ToFolder<'a>,
    plan: ShardPlan,
    hash: Sha256,
    out: BufWriter<File>,
}

impl<'a> Writing<'a> {
    fn begin(root: &'a Path, access: Access, whole: &ShardPlan, number: u32) -> Result<Self, Fault> {
        let mut to = ToFolder { at: root, access };
        let out = to.begin(number).map_err(|error| Fault(root.join(shard_folder(number)), error))?;
        let plan =
            ShardPlan { number, lines: 0, bytes: 0, inputs: 0, tokens: 0, sha256: String::new(), ..whole.clone() };
        Ok(Self { to, plan, hash: Sha256::new(), out: BufWriter::with_capacity(128 << 10, out) })
    }

    fn add(&mut self, line: &[u8]) -> Result<(), Fault> {
        self.plan.lines += 1;
        let bytes = line.len() as u64;
        self.plan.bytes += bytes;
        self.plan.tokens = self.plan.tokens.saturating_add(tokens(bytes));
        self.plan.inputs = self.plan.inputs.saturating_add(inputs(&self.plan.endpoint, line));
        self.hash.update(line);
        let number = self.plan.number;
        self.out.write_all(line).map_err(|error| Fault(self.to.at.join(shard_folder(number)), error))
    }

    fn finish(self) -> Result<ShardPlan, Fault> {
        let number = self.plan.number;
        let out = self.out.into_inner().map_err(io::IntoInnerError::into_error);
        let written = out.and_then(|out| self.to.end(number, &out));
        written.map_err(|error| Fault(self.to.at.join(shard_folder(number)), error))?;
        Ok(ShardPlan { sha256: hex(self.hash), ..self.plan })
    }
}

/// How many texts a line embeds, which was checked before.
fn inputs(endpoint: &str, line: &[u8]) -> u64 {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        body: Body<'a>,
    }
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        input: Option<&'a RawValue>,
    }
    if endpoint != "/v1/embeddings" {
        return 0;
    }
    let Ok(Line { body: Body { input: Some(input) } }) = serde_json::from_slice(line) else { return 0 };
    match serde_json::from_str::<Vec<&RawValue>>(input.get()) {
        // The tokens of one text.
        Ok(list)
            if list.first().is_some_and(|first| first.get().starts_with(|c: char| c == '-' || c.is_ascii_digit())) =>
        {
            1
        }
        Ok(list) => list.len() as u64,
        Err(_) => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::save::Dir;

    fn begun(lines: &[&str]) -> (tempfile::TempDir, ShardPlan) {
        let root = tempfile::tempdir().unwrap();
        let mut to = ToFolder { at: root.path(), access: Access::default() };
        let mut out = to.begin(1).unwrap();
        let (mut hash, mut bytes) = (Sha256::new(), 0);
        for line in lines {
            let line = format!("{line}\n");
            out.write_all(line.as_bytes()).unwrap();
            hash.update(&line);
            bytes += line.len();
        }
        to.end(1, &out).unwrap();
        let plan = serde_json::json!({
            "number": 1, "endpoint": "/v1/embeddings", "model": "m", "lines": lines.len(), "bytes": bytes, "inputs": 9,
            "sha256": hex(hash),
        });
        (root, serde_json::from_value(plan).unwrap())
    }

    fn embed(input: &str) -> String {
        format!(r#"{{"custom_id":"a","body":{{"model":"m","input":{input}}}}}"#)
    }

    #[test]
    fn the_halves_have_the_lines_and_nothing_else() {
        let lines = [r#""x""#, r#"["x","y","z"]"#, "[1,2,3]", "[[1],[2,3]]", r#"["x"]"#].map(embed);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (root, plan) = begun(&lines);
        // What a process that died in the middle has left.
        for number in [2, 3] {
            ToFolder { at: root.path(), access: Access::default() }
                .begin(number)
                .unwrap()
                .write_all(b"{half a li")
                .unwrap();
        }
        let [first, second] = halve(root.path(), Access::default(), &plan, 2).unwrap();
        assert_eq!((first.first_line, first.plan.number, first.plan.lines, first.plan.inputs), (1, 2, 2, 4));
        assert_eq!((second.first_line, second.plan.number, second.plan.lines, second.plan.inputs), (3, 3, 3, 4));
        let text = |number| fs::read_to_string(root.path().join(shard_folder(number)).join(REQUESTS)).unwrap();
        assert_eq!(text(2) + &text(3), text(1));
        for half in [first, second] {
            let mut hash = Sha256::new();
            hash.update(text(half.plan.number));
            assert_eq!((half.plan.bytes, half.plan.sha256), (text(half.plan.number).len() as u64, hex(hash)));
            assert_eq!((half.plan.endpoint, half.plan.model.as_deref()), (plan.endpoint.clone(), Some("m")));
        }
    }

    #[test]
    fn lines_that_were_not_checked_are_not_halved() {
        let lines = [embed("1"), embed("2"), embed("3")];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (root, plan) = begun(&lines);
        let dir = Dir::open(&root.path().join(shard_folder(1))).unwrap();
        let path = dir.path().join(REQUESTS);
        let whole = fs::read_to_string(&path).unwrap();
        for other in [whole.replace("2", "4"), whole.clone() + "{}\n", whole[..whole.len() - 9].to_owned()] {
            fs::write(&path, other).unwrap();
            let Err(Fault(_, error)) = halve(root.path(), Access::default(), &plan, 2) else { panic!("it was halved") };
            assert!(error.to_string().contains("not as it was written"), "{error}");
        }
    }
}
