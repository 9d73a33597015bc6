//! What is kept of the lines of a shard that are sent one by one: each answer with a checksum, before anybody is told of it.
//!
//! A line of the file says that a request is about to be sent (`sent`), that nothing came of it that could be charged
//! (`undone`), or what came (`result`, a result line). They are written at once and made durable in groups; what a crash has
//! torn is cut off, and a line that is damaged is passed over. So a request line that is finished has its answer here.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    lines::{Answer, OutcomeKind},
    run::log::{proven, sealed},
    save::{Access, Dir},
};

/// The name of the file in the folder of a shard.
pub(in crate::run) const SYNC: &str = "sync.jsonl";

/// More bytes than any line of it has.
const LONGEST: u64 = 600 << 20;

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Frame<'a> {
    /// The number of the request line in the shard, from 1.
    line: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    sent: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    undone: bool,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(said: &bool) -> bool {
    !said
}

/// Which lines of a shard have their answers, a bit for each.
#[derive(Clone, Debug, Default)]
pub(in crate::run) struct Done {
    words: Vec<u64>,
    count: u64,
}

impl Done {
    pub(in crate::run) fn has(&self, line: u64) -> bool {
        let (word, bit) = place(line);
        self.words.get(word).is_some_and(|word| word >> bit & 1 == 1)
    }

    /// How many they are.
    pub(in crate::run) fn count(&self) -> u64 {
        self.count
    }

    /// Takes note of one. Whether it is new.
    fn take(&mut self, line: u64) -> bool {
        let (word, bit) = place(line);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] >> bit & 1 == 0;
        self.words[word] |= 1 << bit;
        self.count += u64::from(new);
        new
    }
}

fn place(line: u64) -> (usize, u32) {
    (usize::try_from(line / 64).unwrap_or(usize::MAX), (line % 64) as u32)
}

/// What is known of the lines of a shard.
#[derive(Debug, Default)]
pub(in crate::run) struct Records {
    file: Option<Arc<File>>,
    pub(in crate::run) done: Done,
    /// Those whose answers are good.
    pub(in crate::run) succeeded: u64,
    /// Requests that were sent and of which nothing is known: whatever they did may be charged.
    open: BTreeSet<u64>,
    /// How often a request was sent although one before may have been answered.
    pub(in crate::run) sent_again: u64,
    /// Answers that are written and may not be durable.
    pub(in crate::run) loose: usize,
}

impl Records {
    /// Opens the file of a shard of so many lines, which is made if it is not there. What is torn is cut off.
    pub(in crate::run) fn open(dir: &Dir, access: Access, lines: u64) -> io::Result<Self> {
        let name = SYNC.as_ref();
        let mut file = match dir.open_file(name, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let file = dir.create_new(name, access.file_mode())?;
                access.narrow(&file)?;
                file.sync_all()?;
                dir.sync()?;
                file
            }
            opened => opened?,
        };
        let mut records = Self::default();
        let whole = read(&file, &mut |frame| records.take(&frame, lines))?;
        if file.metadata()?.len() > whole {
            file.set_len(whole)?;
            file.sync_all()?;
        }
        file.seek(SeekFrom::Start(whole))?;
        Ok(Self { file: Some(Arc::new(file)), ..records })
    }

    fn take(&mut self, frame: &Frame<'_>, lines: u64) {
        if !(1..=lines).contains(&frame.line) || self.done.has(frame.line) {
            return;
        }
        if frame.sent && !self.open.insert(frame.line) {
            self.sent_again += 1;
        }
        if frame.undone {
            self.open.remove(&frame.line);
        }
        if let Some(result) = frame.result {
            self.open.remove(&frame.line);
            self.done.take(frame.line);
            self.succeeded += u64::from(is_good(result.get()));
        }
    }

    /// Whether nothing was ever sent that can be charged.
    pub(in crate::run) fn is_untouched(&self) -> bool {
        self.done.count() == 0 && self.open.is_empty()
    }

    /// A request is about to be sent.
    pub(in crate::run) fn sent(&mut self, line: u64) -> io::Result<()> {
        self.write(&Frame { line, sent: true, undone: false, result: None })
    }

    /// Nothing came of the request that was sent last, and it is certain that it did nothing that is charged.
    pub(in crate::run) fn undone(&mut self, line: u64) -> io::Result<()> {
        self.write(&Frame { line, sent: false, undone: true, result: None })
    }

    /// What came of a line, as a result line without its end.
    pub(in crate::run) fn came(&mut self, line: u64, result: &[u8]) -> io::Result<()> {
        let result = serde_json::from_slice::<&RawValue>(result)?;
        self.write(&Frame { line, sent: false, undone: false, result: Some(result) })?;
        self.loose += 1;
        Ok(())
    }

    fn write(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        let Some(file) = &self.file else { return Err(io::Error::other("it is not open")) };
        // At once: what a process that is killed has written stays.
        (&**file).write_all(&sealed(frame)?)?;
        self.take(frame, u64::MAX);
        Ok(())
    }

    /// What is to be synced for all answers to be durable; they count as that from here on.
    pub(in crate::run) fn settle(&mut self) -> Option<Arc<File>> {
        self.loose = 0;
        self.file.clone()
    }

    /// Goes through the answers of a shard that are in its folder, each once, with the number of its line.
    pub(in crate::run) fn walk(
        dir: &Dir,
        lines: u64,
        take: &mut dyn FnMut(u64, &str) -> io::Result<()>,
    ) -> io::Result<Done> {
        let file = dir.open_file(SYNC.as_ref(), false)?;
        let (mut done, mut failed) = (Done::default(), None);
        read(&file, &mut |frame| {
            if let Some(result) = frame.result
                && failed.is_none()
                && (1..=lines).contains(&frame.line)
                && done.take(frame.line)
            {
                failed = take(frame.line, result.get()).err();
            }
        })?;
        failed.map_or(Ok(done), Err)
    }
}

/// Whether a result line is that of a request that succeeded.
fn is_good(result: &str) -> bool {
    Answer::parse(result.as_bytes()).is_ok_and(|answer| answer.outcome() == OutcomeKind::Succeeded)
}

/// Reads the whole lines of a file; where the last of them ends.
fn read(file: &File, take: &mut dyn FnMut(Frame<'_>)) -> io::Result<u64> {
    let mut reader = BufReader::with_capacity(128 << 10, file);
    reader.seek(SeekFrom::Start(0))?;
    let (mut line, mut at, mut whole) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        let read = Read::take(&mut reader, LONGEST).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(whole);
        }
        at += read as u64;
        if line.pop_if(|last| *last == b'\n').is_none() {
            continue;
        }
        let Some(body) = proven(&line).map(<[u8]>::len) else { continue };
        line.truncate(body);
        line.push(b'}');
        if let Ok(frame) = serde_json::from_slice(&line) {
            take(frame);
        }
        whole = at;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn opened(folder: &tempfile::TempDir) -> Records {
        Records::open(&Dir::open(folder.path()).unwrap(), Access::default(), 100).unwrap()
    }

    fn answer(line: u64) -> Vec<u8> {
        format!(
            r#"{{"id":null,"custom_id":"r{line}","response":{{"status_code":200,"request_id":null,"body":{{"choices":[{{"message":{{"content":"é"}}}}]}}}},"error":null}}"#
        )
        .into_bytes()
    }

    fn walked(folder: &tempfile::TempDir) -> Vec<u64> {
        let mut lines = Vec::new();
        let dir = Dir::open(folder.path()).unwrap();
        let done = Records::walk(&dir, 100, &mut |line, result| {
            assert_eq!(result.as_bytes(), answer(line));
            lines.push(line);
            Ok(())
        })
        .unwrap();
        assert_eq!(done.count(), lines.len() as u64);
        lines
    }

    #[test]
    fn what_was_answered_is_known_again_and_so_is_what_was_in_flight() {
        let folder = tempfile::tempdir().unwrap();
        let mut records = opened(&folder);
        assert!(records.is_untouched());
        for line in [1, 2, 3] {
            records.sent(line).unwrap();
        }
        records.came(2, &answer(2)).unwrap();
        records.undone(3).unwrap();
        assert_eq!(records.loose, 1);
        records.settle().unwrap().sync_data().unwrap();
        assert_eq!((records.loose, records.succeeded, records.sent_again), (0, 1, 0));
        drop(records);
        let mut records = opened(&folder);
        assert_eq!((records.done.has(1), records.done.has(2), records.done.count()), (false, true, 1));
        // The first was in flight, the third was refused.
        records.sent(1).unwrap();
        records.sent(3).unwrap();
        assert_eq!(records.sent_again, 1);
        // What comes twice counts once.
        records.came(1, &answer(1)).unwrap();
        records.came(1, &answer(1)).unwrap();
        assert_eq!((records.done.count(), records.succeeded), (2, 2));
        assert_eq!(walked(&folder), [2, 1]);
        assert_eq!(opened(&folder).sent_again, 1);
    }

    #[test]
    fn a_file_that_is_cut_anywhere_loses_no_more_than_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let mut records = opened(&folder);
        for line in 1..=3 {
            records.sent(line).unwrap();
            records.came(line, &answer(line)).unwrap();
        }
        drop(records);
        let path = folder.path().join(SYNC);
        let whole = fs::read(&path).unwrap();
        let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').map(|at| at + 1).collect();
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let frames = ends.iter().filter(|end| **end <= cut).count();
            let mut records = opened(&folder);
            assert_eq!(records.done.count(), frames as u64 / 2, "{cut}");
            assert_eq!(fs::read(&path).unwrap(), whole[..ends[..frames].last().copied().unwrap_or(0)], "{cut}");
            records.came(9, &answer(9)).unwrap();
            drop(records);
            assert!(walked(&folder).ends_with(&[9]), "{cut}");
        }
    }

    #[test]
    fn a_line_that_is_damaged_takes_no_other_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut records = opened(&folder);
        for line in 1..=3 {
            records.sent(line).unwrap();
            records.came(line, &answer(line)).unwrap();
        }
        drop(records);
        let path = folder.path().join(SYNC);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() - 1 {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let records = opened(&folder);
            assert!(records.done.count() >= 2 && records.sent_again == 0, "{at}: {:?}", records.done);
            for line in walked(&folder) {
                assert!(records.done.has(line), "{at}");
            }
        }
    }
}
