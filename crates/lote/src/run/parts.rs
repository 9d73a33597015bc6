//! The results of all parts of an input, put together in the order of the input.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
};

use super::{
    Partition, RunError,
    folder::{Folder, RESULTS, SUMMARY},
    plan::Whole,
    report::Summary,
    seal,
};
use crate::{
    lines::{Answer, Joined, Sum},
    save::{Passed, Summed, Written},
};

/// How much of each part's results is read at once.
const BUFFER: usize = 16 << 10;

/// Puts the results of all [parts](Partition) of an input together, in the order of the input, and says what they hold.
/// The parts are the folders of finished runs, in any order. They are read side by side, whatever their size, and held
/// against what their runs have written down: nothing is taken from a file that was changed, and no part is left out.
///
/// What was written is whole only when no error comes back. Blocks until the files are read.
///
/// ```
/// use lote::run::{Partition, Run, join_parts};
///
/// # async fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
/// # let client = lote::Client::builder().base_url(gateway.url()).api_key("mk-…").build()?;
/// # let folder = tempfile::tempdir()?;
/// # let requests = folder.path().join("requests.jsonl");
/// # let line = |id| format!("{{\"custom_id\":\"{id}\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\
/// #                          \"body\":{{\"model\":\"m\",\"input\":\"x\"}}}}\n");
/// # std::fs::write(&requests, (1..=5).map(line).collect::<String>())?;
/// let mut folders = Vec::new();
/// for part in 1..=2 {
///     let report = Run::new(&client, &requests).partition(Partition::new(part, 2)?).execute().await?;
///     folders.push(report.folder);
/// }
/// let mut results = Vec::new();
/// let joined = join_parts(&folders, &mut results)?;
/// assert_eq!((joined.lines, joined.succeeded), (5, 5));
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// #     let gateway = lote_gateway::Gateway::builder().start().await.unwrap();
/// #     example(&gateway).await.unwrap();
/// # });
/// ```
///
/// # Errors
/// One that [`is_place`](RunError::is_place) when a folder holds no finished run of a part, a part is missing or there
/// twice, or they are not of the same input; one that [`is_io`](RunError::is_io) when a file cannot be read or written, or
/// is not as its run has written it.
pub fn join_parts(
    folders: impl IntoIterator<Item = impl AsRef<Path>>,
    results: &mut dyn Write,
) -> Result<Joined, RunError> {
    let mut parts: BTreeMap<u32, Part> = BTreeMap::new();
    let mut first: Option<(PathBuf, u32, Option<u64>, Whole)> = None;
    for folder in folders {
        let folder = folder.as_ref();
        let refuse = |why: String| Err(RunError::place(folder, why));
        let seen = Folder::look(folder)?;
        let (Some(partition), Some(whole)) = (seen.record.asked.partition, seen.record.whole) else {
            return refuse("its run is not that of a part of an input".to_owned());
        };
        let Some(written) = seen.state.finished else {
            return refuse(format!("its run, of part {partition}, is not finished: go on with it first"));
        };
        let input = (partition.of(), seen.record.asked.limit, whole);
        let (other, of, limit, whole) =
            first.get_or_insert_with(|| (folder.to_owned(), input.0, input.1, input.2.clone()));
        if (*of, *limit, &*whole) != (input.0, input.1, &input.2) {
            let differs = match *of == input.0 {
                true => format!("its run is of another input than that in {}", other.display()),
                false => format!("its run is one of {} parts, and that in {} one of {of}", input.0, other.display()),
            };
            return refuse(format!("{differs} (lote join puts them together by custom_id, given the requests)"));
        }
        if let Some(twice) = parts.get(&partition.part()) {
            return refuse(format!("its run is of part {partition}, as is that in {}", twice.folder.display()));
        }
        parts.insert(partition.part(), Part::open(folder, partition, written)?);
    }
    let Some((folder, of, _, whole)) = first else {
        return Err(RunError::place(Path::new("."), "there is no part to put together"));
    };
    let missing: Vec<String> =
        (1..=of).filter(|part| !parts.contains_key(part)).take(20).map(|part| part.to_string()).collect();
    if !missing.is_empty() {
        let why = format!("of the {of} parts of its input these are missing: {}", missing.join(", "));
        return Err(RunError::place(&folder, why));
    }
    let mut parts: Vec<Part> = parts.into_values().collect();
    let mut sum = Sum::default();
    for part in &parts {
        let found = part.found()?;
        sum.add_found(&found);
        // Answers that several lines share are counted once there.
        sum.add_usage(found.usage);
    }
    let failed = |error| RunError::io("write", Path::new("the results of all parts"), error);
    let mut line = Vec::new();
    let turns = parts.len() as u64;
    for before in 0..whole.lines {
        // As many as `of`, which is a u32.
        let Some(part) = usize::try_from(before % turns).ok().and_then(|turn| parts.get_mut(turn)) else { break };
        part.next(&mut line)?;
        let Ok(answer) = Answer::parse(line.trim_ascii_end()) else {
            return Err(part.changed());
        };
        sum.add_copy(&answer);
        results.write_all(&line).map_err(failed)?;
    }
    parts.into_iter().try_for_each(Part::end)?;
    results.flush().map_err(failed)?;
    Ok(sum.finish())
}

/// The results of a part, as they are read.
struct Part {
    folder: PathBuf,
    partition: Partition,
    /// What its run has written down of them.
    written: Written,
    reader: BufReader<File>,
    /// How many bytes were read.
    bytes: u64,
    sum: Summed,
}

impl Part {
    fn open(folder: &Path, partition: Partition, written: Written) -> Result<Self, RunError> {
        let path = folder.join(RESULTS);
        let file = File::open(&path).map_err(|error| RunError::io("read", &path, error))?;
        let reader = BufReader::with_capacity(BUFFER, file);
        Ok(Self { folder: folder.to_owned(), partition, written, reader, bytes: 0, sum: Summed::default() })
    }

    /// What was odd about its answers.
    fn found(&self) -> Result<Joined, RunError> {
        let path = self.folder.join(SUMMARY);
        seal::read::<Summary>(&path).map(|summary| summary.joined).map_err(|error| RunError::io("read", &path, error))
    }

    /// The next line, with its end. One that grows beyond what the run has written is of a file that was changed.
    fn next(&mut self, line: &mut Vec<u8>) -> Result<(), RunError> {
        line.clear();
        let left = self.written.bytes.saturating_sub(self.bytes);
        let read = Read::take(&mut self.reader, left).read_until(b'\n', line);
        read.map_err(|error| RunError::io("read", &self.folder.join(RESULTS), error))?;
        if !line.ends_with(b"\n") {
            return Err(self.changed());
        }
        self.bytes += line.len() as u64;
        self.sum.add(line);
        Ok(())
    }

    /// All of it was read, and it was what the run has written.
    fn end(mut self) -> Result<(), RunError> {
        let more = self.reader.fill_buf().map(|more| !more.is_empty());
        let more = more.map_err(|error| RunError::io("read", &self.folder.join(RESULTS), error))?;
        if more || std::mem::take(&mut self.sum).made() != self.written {
            return Err(self.changed());
        }
        Ok(())
    }

    fn changed(&self) -> RunError {
        let why = format!("it is not as the run of part {} has written it", self.partition);
        RunError::io("read", &self.folder.join(RESULTS), io::Error::other(why))
    }
}
