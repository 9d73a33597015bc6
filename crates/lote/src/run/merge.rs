//! The results of all shards, put together in the order of the input: one result line for each request line, the best
//! that any attempt brought.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    RunError,
    folder::{ANOMALIES, FAILED, Folder, ORDER, REQUESTS, RESULTS, SUMMARY},
    plan::ShardPlan,
    record::{shard_folder, surplus_folder},
    report::Summary,
    state::{Phase, State, SurplusPhase},
};
use crate::{
    Batch, BatchId, Client,
    heavy::blocking,
    lines::{Answer, Joined, OutcomeKind, Sum, write_error},
    save::{AtomicFile, Stored},
};

#[cfg(test)]
mod tests;

/// The `error.code` of lines whose shard waits for a word of a person, and of those that were not sent yet.
const HELD: &str = "held";
const NOT_SENT: &str = "not_sent";

/// What is written down of a shard that was settled.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ShardSummary {
    pub(super) batch: Batch,
    pub(super) joined: Joined,
}

/// Writes the results of all shards, the lines that did not succeed, what is odd, and the summary. The results of lines
/// whose shard is not over say so, and are not among those that are fit to be sent again. Gives back the results as they
/// were written.
pub(super) async fn put_together(folder: &Folder, client: &Client) -> Result<Stored, RunError> {
    folder.check()?;
    let failed = |doing: &str, path: &Path, error| {
        RunError::io(doing, path, error).at(folder.path()).with(folder.state.batches())
    };
    let merge = Merge::new(folder).map_err(|error| failed("write", &folder.join(RESULTS), error))?;
    let merged = blocking(move || merge.write()).await;
    let mut merged = merged.map_err(|Fault(path, error)| failed("put together", &path, error))?;
    // The words are those of the result lines.
    client.shared().secrets().blank_summary(&mut merged.joined);
    folder.write_json(SUMMARY, &Summary::new(folder, merged.joined, merged.undecided))?;
    Ok(merged.results)
}

/// What all of it is put together from.
struct Merge {
    root: PathBuf,
    parts: Parts,
    results: AtomicFile,
    failed: AtomicFile,
    anomalies: AtomicFile,
}

/// All shards of a run, and what came of each.
#[derive(Default)]
pub(super) struct Parts {
    shards: BTreeMap<u32, Part>,
    in_order: bool,
}

/// A shard, and what came of it.
struct Part {
    plan: ShardPlan,
    attempt: u32,
    /// Whether its lines are a part of those of another shard, which stands for them in the order of the input.
    is_half: bool,
    /// Batches that were made of the same lines for nothing, and where what they finished is.
    surplus: Vec<(BatchId, PathBuf)>,
    came: Came,
}

enum Came {
    /// It was settled.
    Results,
    /// None of its lines was run: what its result lines say.
    Nothing { code: &'static str, why: String },
    /// These shards have its lines, one after the other.
    Halved([u32; 2]),
}

/// What was put together.
struct Merged {
    joined: Joined,
    /// Lines that have no outcome yet.
    undecided: u64,
    results: Stored,
}

/// Which file could not be read or written.
#[derive(Debug)]
pub(super) struct Fault(pub(super) PathBuf, pub(super) io::Error);

/// A pair of lines: what was asked, and the best that came.
pub(super) struct Pair<'a> {
    /// The shard of the first attempt that the line is in, no halved one.
    pub(super) shard: u32,
    /// The shard whose result it is.
    pub(super) from: u32,
    pub(super) request: &'a [u8],
    pub(super) result: &'a [u8],
}

impl Merge {
    /// Over what the folder holds.
    fn new(folder: &Folder) -> io::Result<Self> {
        Ok(Self {
            root: folder.path().to_owned(),
            parts: Parts::of(folder),
            results: folder.begin(RESULTS)?,
            failed: folder.begin(FAILED)?,
            anomalies: folder.begin(ANOMALIES)?,
        })
    }

    /// Writes all of it.
    fn write(mut self) -> Result<Merged, Fault> {
        let root = self.root.clone();
        let at = |name: &'static str| {
            let path = root.join(name);
            move |error| Fault(path, error)
        };
        let (mut sum, mut undecided) = (Sum::default(), 0);
        // Shards of which every line succeeded, in a run that was tried once: their results were counted when they were joined.
        let mut counted = BTreeSet::new();
        let tried_once = self.parts.shards.values().all(|part| part.attempt == 1);
        {
            let mut anomalies = BufWriter::new(self.anomalies.file());
            for (number, part) in &self.parts.shards {
                if let Came::Results = part.came {
                    let joined = read_summary(&self.root, *number)?.joined;
                    if tried_once && joined.succeeded == joined.lines {
                        sum.add(&joined);
                        counted.insert(*number);
                    } else {
                        sum.add_found(&joined);
                    }
                    write_anomalies(&self.root, Path::new(""), (*number, None), &joined, &mut anomalies)?;
                }
                // Whose lines are no more than others of the same lines: their answers are not counted.
                for (batch, folder) in &part.surplus {
                    let joined = read_surplus(&self.root, *number, folder)?.joined;
                    write_anomalies(&self.root, folder, (*number, Some(batch)), &joined, &mut anomalies)?;
                }
            }
            anomalies.flush().map_err(at(ANOMALIES))?;
        }
        {
            let mut results = BufWriter::with_capacity(256 << 10, self.results.file());
            let mut failed = BufWriter::new(self.failed.file());
            self.parts.walk(&self.root, &mut |pair| {
                results.write_all(pair.result).map_err(at(RESULTS))?;
                results.write_all(b"\n").map_err(at(RESULTS))?;
                if counted.contains(&pair.from) {
                    return Ok(());
                }
                let Ok(answer) = Answer::parse(pair.result) else {
                    let path = root.join(shard_folder(pair.from)).join(RESULTS);
                    return Err(Fault(path, io::Error::other("a line that this run wrote cannot be read")));
                };
                sum.add_line(&answer);
                if self.parts.is_undecided(pair.from) {
                    undecided += 1;
                } else if answer.outcome() != OutcomeKind::Succeeded {
                    failed.write_all(pair.request).map_err(at(FAILED))?;
                    failed.write_all(b"\n").map_err(at(FAILED))?;
                }
                Ok(())
            })?;
            results.flush().map_err(at(RESULTS))?;
            failed.flush().map_err(at(FAILED))?;
        }
        let results = self.results.stored().map_err(at(RESULTS))?;
        self.failed.commit().map_err(at(FAILED))?;
        self.anomalies.commit().map_err(at(ANOMALIES))?;
        self.results.commit().map_err(at(RESULTS))?;
        Ok(Merged { joined: sum.finish(), undecided, results })
    }
}

impl Parts {
    /// As the state of the run has them.
    pub(super) fn of(folder: &Folder) -> Self {
        Self::in_state(&folder.state, folder.record.in_order)
    }

    /// As a state has them; `in_order` as the record of the run says.
    pub(super) fn in_state(state: &State, in_order: bool) -> Self {
        let part = |shard: &super::state::Shard| {
            let nothing = |code, why: &str| Came::Nothing { code, why: why.to_owned() };
            let came = match &shard.phase {
                Phase::Settled(_) => Came::Results,
                Phase::Failed(why) => nothing("batch_failed", why),
                Phase::Halved(halves) => Came::Halved(*halves),
                Phase::Cancelled => nothing("batch_cancelled", "the run was cancelled before this line was sent"),
                Phase::Planned | Phase::Uploaded if shard.held.is_none() => {
                    nothing(NOT_SENT, "it was not sent yet: its batch waits for others to end")
                }
                _ => nothing(HELD, shard.held.as_deref().unwrap_or("its batch was not settled")),
            };
            let surplus = shard.surplus.iter().enumerate();
            let surplus = surplus.filter_map(|(place, surplus)| match &surplus.phase {
                SurplusPhase::Settled(Some(_)) => Some((surplus.batch.clone(), surplus_folder(place))),
                _ => None,
            });
            Part {
                plan: shard.plan.clone(),
                attempt: shard.attempt,
                is_half: shard.half_of.is_some(),
                surplus: surplus.collect(),
                came,
            }
        };
        let shards = state.shards.iter().map(|(number, shard)| (*number, part(shard))).collect();
        Self { shards, in_order }
    }

    /// One shard alone, if it was settled: its lines in their order.
    pub(super) fn only(mut self, shard: u32) -> Option<Self> {
        let part = self.shards.remove(&shard).filter(|part| matches!(part.came, Came::Results))?;
        let part = Part { attempt: 1, is_half: false, ..part };
        Some(Self { shards: [(shard, part)].into(), in_order: true })
    }

    /// How many lines there are, and how many of them have no outcome yet.
    pub(super) fn lines(&self) -> (u64, u64) {
        let whole = self.shards.values().filter(|part| part.attempt == 1 && !part.is_half);
        let open = self.shards.values().filter(|part| self.is_undecided(part.plan.number));
        (whole.map(|part| part.plan.lines).sum(), open.map(|part| part.plan.lines).sum())
    }

    pub(super) fn plan(&self, shard: u32) -> Option<&ShardPlan> {
        self.shards.get(&shard).map(|part| &part.plan)
    }

    /// Whether the lines of a shard have no outcome yet: they may have been paid for, or are sent by the run itself later.
    pub(super) fn is_undecided(&self, shard: u32) -> bool {
        let code = self.shards.get(&shard).map(|part| &part.came);
        matches!(code, Some(Came::Nothing { code: HELD | NOT_SENT, .. }))
    }

    /// Whether the run was cancelled before the shard was submitted.
    pub(super) fn was_never_sent(&self, shard: u32) -> bool {
        let code = self.shards.get(&shard).map(|part| &part.came);
        matches!(code, Some(Came::Nothing { code: "batch_cancelled", .. }))
    }

    /// Walks through the request lines in the order of the input, each with the best result of all attempts.
    pub(super) fn walk(&self, root: &Path, visit: &mut dyn FnMut(Pair<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        Pairs::new(root, &self.shards, self.in_order).walk(visit)
    }
}

pub(super) fn read_summary(root: &Path, shard: u32) -> Result<ShardSummary, Fault> {
    summary(root.join(shard_folder(shard)).join(SUMMARY))
}

/// That of a surplus batch, in this folder below that of its shard.
pub(super) fn read_surplus(root: &Path, shard: u32, folder: &Path) -> Result<ShardSummary, Fault> {
    summary(root.join(shard_folder(shard)).join(folder).join(SUMMARY))
}

fn summary(path: PathBuf) -> Result<ShardSummary, Fault> {
    let read = std::fs::read(&path).and_then(|text| Ok(serde_json::from_slice(&text)?));
    read.map_err(|error| Fault(path, error))
}

/// What is odd about the answers of a shard, or of a surplus batch of it in a folder below, each with whose it is.
fn write_anomalies(
    root: &Path,
    folder: &Path,
    (shard, surplus): (u32, Option<&BatchId>),
    joined: &Joined,
    out: &mut impl Write,
) -> Result<(), Fault> {
    #[derive(Serialize)]
    struct Whose<'a> {
        shard: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        surplus: Option<&'a BatchId>,
    }
    let path = root.join(shard_folder(shard)).join(folder).join(ANOMALIES);
    let mut written = || -> io::Result<()> {
        let mut whose = serde_json::to_vec(&Whose { shard, surplus })?;
        whose.pop();
        whose.push(b',');
        match File::open(&path) {
            Ok(file) => copy_lines(BufReader::with_capacity(128 << 10, file), &whose, out),
            // It was settled by a version that kept none of its own.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut lines = Vec::new();
                for anomaly in &joined.anomalies {
                    serde_json::to_writer(&mut lines, anomaly)?;
                    lines.push(b'\n');
                }
                copy_lines(&*lines, &whose, out)
            }
            Err(error) => Err(error),
        }
    };
    written().map_err(|error| Fault(path.clone(), error))
}

/// Copies objects, one a line, each with other members first. No line is held.
fn copy_lines(mut lines: impl BufRead, first: &[u8], out: &mut impl Write) -> io::Result<()> {
    let mut begins = true;
    loop {
        let buffer = lines.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n').map_or(buffer.len(), |at| at + 1);
        let mut piece = &buffer[..end];
        if std::mem::take(&mut begins) {
            out.write_all(first)?;
            piece = piece.strip_prefix(b"{").unwrap_or(piece);
        }
        out.write_all(piece)?;
        begins = piece.ends_with(b"\n");
        lines.consume(end);
    }
}

/// Request lines with their results, shard by shard and line by line.
struct Pairs<'a> {
    root: &'a Path,
    shards: &'a BTreeMap<u32, Part>,
    in_order: bool,
    /// The shards of the first attempt that are being read.
    open: BTreeMap<u32, Chain<'a>>,
    /// The further attempts, by endpoint and model: the shards of each, one after another, hold a part of the lines of the
    /// input that are for these, in the same order.
    again: BTreeMap<(u32, &'a str, Option<&'a str>), Again<'a>>,
}

/// Shards of an attempt, and the line that comes next.
struct Again<'a> {
    chain: Chain<'a>,
    head: Option<Head>,
}

/// Shards that are read one after another; of one that was halved its halves.
struct Chain<'a> {
    shards: &'a BTreeMap<u32, Part>,
    /// Those that come, the next one last.
    left: Vec<&'a Part>,
    reader: Option<Reader>,
    /// What surplus batches have of halved shards whose halves are being read.
    above: Vec<Above>,
}

/// What surplus batches have of the lines of a shard.
struct Above {
    left: u64,
    lines: Vec<Lines>,
}

struct Head {
    custom_id: String,
    shard: u32,
    result: Vec<u8>,
    rank: Rank,
}

/// How good a result is: an answer that is whole before one that falls short, and both before none.
type Rank = (bool, bool);

const NONE: Rank = (false, false);

/// Reads the requests and the results of a shard side by side.
struct Reader {
    number: u32,
    left: u64,
    requests: Lines,
    results: Results,
    above: Above,
    request: Vec<u8>,
    result: Vec<u8>,
}

enum Results {
    Lines(Lines),
    Nothing { code: &'static str, why: String },
}

struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
}

impl Lines {
    fn open(path: PathBuf) -> Result<Self, Fault> {
        match File::open(&path) {
            Ok(file) => Ok(Self { path, reader: BufReader::with_capacity(128 << 10, file) }),
            Err(error) => Err(Fault(path, error)),
        }
    }

    fn next(&mut self, line: &mut Vec<u8>) -> Result<(), Fault> {
        line.clear();
        let read = self.reader.read_until(b'\n', line);
        match read {
            Ok(0) => Err(Fault(self.path.clone(), io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {
                line.pop_if(|last| *last == b'\n');
                Ok(())
            }
            Err(error) => Err(Fault(self.path.clone(), error)),
        }
    }
}

impl Reader {
    fn open(root: &Path, part: &Part) -> Result<Self, Fault> {
        let folder = root.join(shard_folder(part.plan.number));
        let results = match &part.came {
            Came::Results => Results::Lines(Lines::open(folder.join(RESULTS))?),
            Came::Nothing { code, why } => Results::Nothing { code, why: why.clone() },
            Came::Halved(_) => return Err(Fault(folder, io::Error::other("its lines are in other shards"))),
        };
        Ok(Self {
            number: part.plan.number,
            left: part.plan.lines,
            requests: Lines::open(folder.join(REQUESTS))?,
            results,
            above: Above::open(root, part)?,
            request: Vec::new(),
            result: Vec::new(),
        })
    }

    fn next(&mut self) -> Result<(), Fault> {
        self.left -= 1;
        self.requests.next(&mut self.request)?;
        match &mut self.results {
            Results::Lines(lines) => lines.next(&mut self.result)?,
            Results::Nothing { code, why } => {
                self.result.clear();
                let at = |error| Fault(self.requests.path.clone(), error);
                let custom_id = custom_id(&self.request).map_err(at)?;
                write_error(&custom_id, code, why, &mut self.result).map_err(at)?;
                self.result.pop();
            }
        }
        self.above.better(&mut self.result)
    }
}

impl Above {
    fn open(root: &Path, part: &Part) -> Result<Self, Fault> {
        let shard = root.join(shard_folder(part.plan.number));
        let lines = part.surplus.iter().map(|(_, folder)| Lines::open(shard.join(folder).join(RESULTS)));
        Ok(Self { left: part.plan.lines, lines: lines.collect::<Result<_, _>>()? })
    }

    /// Puts what a surplus batch has of the next line in the place of a result that is not as good.
    fn better(&mut self, result: &mut Vec<u8>) -> Result<(), Fault> {
        self.left = self.left.saturating_sub(1);
        let mut line = Vec::new();
        for lines in &mut self.lines {
            lines.next(&mut line)?;
            if rank(&line) > rank(result) {
                std::mem::swap(&mut line, result);
            }
        }
        Ok(())
    }
}

/// The custom_id of a line that was checked, or that this run wrote.
fn custom_id(line: &[u8]) -> io::Result<String> {
    #[derive(Deserialize)]
    struct Line {
        custom_id: String,
    }
    Ok(serde_json::from_slice::<Line>(line)?.custom_id)
}

fn rank(line: &[u8]) -> Rank {
    Answer::parse(line).map_or(NONE, |answer| {
        let succeeded = answer.outcome() == OutcomeKind::Succeeded;
        (succeeded, succeeded && answer.shortfall().is_none())
    })
}

impl Again<'_> {
    /// The next line of the attempt, kept until the line of the input comes that it is a result of.
    fn fill(&mut self, root: &Path) -> Result<(), Fault> {
        if self.head.is_some() {
            return Ok(());
        }
        let Some(reader) = self.chain.next(root)? else { return Ok(()) };
        let custom_id = custom_id(&reader.request).map_err(|error| Fault(reader.requests.path.clone(), error))?;
        let result = std::mem::take(&mut reader.result);
        let rank = rank(&result);
        self.head = Some(Head { custom_id, shard: reader.number, result, rank });
        Ok(())
    }
}

impl<'a> Chain<'a> {
    /// All lines of these shards, the first of them last.
    fn of(shards: &'a BTreeMap<u32, Part>, left: Vec<&'a Part>) -> Self {
        Self { shards, left, reader: None, above: Vec::new() }
    }

    /// Goes to the next line, if there is one.
    fn next(&mut self, root: &Path) -> Result<Option<&mut Reader>, Fault> {
        while self.reader.as_ref().is_none_or(|reader| reader.left == 0) {
            let Some(part) = self.left.pop() else { return Ok(None) };
            match &part.came {
                Came::Halved(halves) => {
                    self.left.extend(halves.iter().rev().filter_map(|half| self.shards.get(half)));
                    self.above.push(Above::open(root, part)?);
                }
                _ => self.reader = Some(Reader::open(root, part)?),
            }
        }
        let Some(reader) = &mut self.reader else { return Ok(None) };
        reader.next()?;
        for above in &mut self.above {
            above.better(&mut reader.result)?;
        }
        self.above.retain(|above| above.left > 0);
        Ok(self.reader.as_mut())
    }

    fn is_at_end(&self) -> bool {
        self.left.is_empty() && self.reader.as_ref().is_none_or(|reader| reader.left == 0)
    }
}

impl<'a> Pairs<'a> {
    fn new(root: &'a Path, shards: &'a BTreeMap<u32, Part>, in_order: bool) -> Self {
        let mut lanes: BTreeMap<_, Vec<&Part>> = BTreeMap::new();
        for part in shards.values().filter(|part| part.attempt > 1 && !part.is_half) {
            let ShardPlan { endpoint, model, .. } = &part.plan;
            lanes.entry((part.attempt, endpoint.as_str(), model.as_deref())).or_default().push(part);
        }
        let again = lanes.into_iter().map(|(lane, parts)| {
            let chain = Chain::of(shards, parts.into_iter().rev().collect());
            (lane, Again { chain, head: None })
        });
        Self { root, shards, in_order, open: BTreeMap::new(), again: again.collect() }
    }

    fn walk(&mut self, visit: &mut dyn FnMut(Pair<'_>) -> Result<(), Fault>) -> Result<(), Fault> {
        let first = self.shards.values().filter(|part| part.attempt == 1 && !part.is_half);
        if self.in_order {
            let first: Vec<(u32, u64)> = first.map(|part| (part.plan.number, part.plan.lines)).collect();
            return first.into_iter().try_for_each(|(shard, count)| self.stretch(shard, count, visit));
        }
        let mut order = Lines::open(self.root.join(ORDER))?;
        let mut left: u64 = first.map(|part| part.plan.lines).sum();
        let mut text = Vec::new();
        while left > 0 {
            order.next(&mut text)?;
            let run = std::str::from_utf8(&text).ok().and_then(|text| {
                let (shard, count) = text.split_once(' ')?;
                Some((shard.parse().ok()?, count.parse::<u64>().ok()?))
            });
            let fault = || Fault(order.path.clone(), io::Error::other("it holds a line that this run did not write"));
            let (shard, count) = run.filter(|(_, count)| *count <= left).ok_or_else(fault)?;
            self.stretch(shard, count, visit)?;
            left -= count;
        }
        Ok(())
    }

    /// So many lines of a shard, as the first attempt had it, one after another.
    fn stretch(
        &mut self,
        shard: u32,
        count: u64,
        visit: &mut dyn FnMut(Pair<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        for _ in 0..count {
            if !self.open.contains_key(&shard) {
                let fault =
                    || Fault(self.root.join(ORDER), io::Error::other("it names a shard that is not in the plan"));
                let part = self.shards.get(&shard).filter(|part| !part.is_half).ok_or_else(fault)?;
                self.open.insert(shard, Chain::of(self.shards, vec![part]));
            }
            let Some(chain) = self.open.get_mut(&shard) else { continue };
            let Some(reader) = chain.next(self.root)? else {
                return Err(Fault(self.root.join(ORDER), io::Error::other("it has more lines than the shards")));
            };
            let mut best: Option<Head> = None;
            if !self.again.is_empty() {
                let at = |error| Fault(reader.requests.path.clone(), error);
                let custom_id = custom_id(&reader.request).map_err(at)?;
                let plan =
                    self.shards.get(&shard).map(|part| (part.plan.endpoint.as_str(), part.plan.model.as_deref()));
                for ((_, endpoint, model), again) in &mut self.again {
                    if plan != Some((*endpoint, *model)) {
                        continue;
                    }
                    again.fill(self.root)?;
                    let Some(head) = again.head.take_if(|head| head.custom_id == custom_id) else { continue };
                    let known = best.as_ref().map_or_else(|| rank(&reader.result), |best| best.rank);
                    // Of two that are as good the later one says more of how things stand.
                    if head.rank > known || (head.rank, known) == (NONE, NONE) {
                        best = Some(head);
                    }
                }
            }
            let (from, result) = match &best {
                Some(head) => (head.shard, head.result.as_slice()),
                None => (reader.number, reader.result.as_slice()),
            };
            visit(Pair { shard: reader.number, from, request: &reader.request, result })?;
            if chain.is_at_end() {
                self.open.remove(&shard);
            }
        }
        Ok(())
    }
}
