//! Request lines and what came of them, read side by side in the order of the input; never written.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{Came, Fault, Pair, Part, Parts};
use crate::{
    lines::{Answer, OutcomeKind, write_error},
    run::{
        folder::{ALTERED, ORDER, REQUESTS, RESULTS},
        invoice::Way,
        plan::ShardPlan,
        record::shard_folder,
    },
    save::{Hashed, Passed, Summed, Written},
};

/// Takes request lines with their results.
pub(in crate::run) trait Visit {
    /// Offered all lines of a shard at once, none of which has another result. Gives back whether it takes them.
    fn whole(&mut self, shard: u32) -> Result<bool, Fault> {
        let _ = shard;
        Ok(false)
    }

    fn pair(&mut self, pair: Pair<'_>) -> Result<(), Fault>;

    /// Told, before the pair of a line, of each result of it that is not as good, or came before one that is no better.
    fn beaten(&mut self, beaten: Beaten<'_>) -> Result<(), Fault> {
        let _ = beaten;
        Ok(())
    }
}

/// A result in whose place another is.
pub(in crate::run) struct Beaten<'a> {
    /// The shard whose result it is.
    pub(in crate::run) from: u32,
    /// By what: another attempt, or another batch of the same lines.
    pub(in crate::run) way: Way,
    pub(in crate::run) request: &'a [u8],
    pub(in crate::run) result: &'a [u8],
}

impl<F: FnMut(Pair<'_>) -> Result<(), Fault>> Visit for F {
    fn pair(&mut self, pair: Pair<'_>) -> Result<(), Fault> {
        self(pair)
    }
}

/// Request lines with their results, shard by shard and line by line.
pub(super) struct Pairs<'a> {
    root: &'a Path,
    shards: &'a BTreeMap<u32, Part>,
    in_order: bool,
    /// What `order` was written with.
    order: Option<&'a Written>,
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
    beaten: Vec<Vec<u8>>,
}

/// How good a result is: an answer that is whole before one that falls short, and both before none.
type Rank = (bool, bool);

const NONE: Rank = (false, false);

/// Reads the requests and the results of a shard side by side.
struct Reader {
    number: u32,
    left: u64,
    requests: Proven<Hashed>,
    /// The hash of all request lines.
    sha256: String,
    results: Results,
    above: Above,
    request: Vec<u8>,
    result: Vec<u8>,
    /// What other batches of the same line have of it, or its own batch, that is not the best.
    beaten: Vec<Vec<u8>>,
}

enum Results {
    Lines(Lines),
    Nothing { code: &'static str, why: String },
}

pub(super) struct Lines {
    pub(super) path: PathBuf,
    reader: BufReader<File>,
}

/// Lines that are held against what was written, once they are read.
pub(super) struct Proven<P> {
    pub(super) lines: Lines,
    passed: P,
}

impl<P: Passed> Proven<P> {
    pub(super) fn open(path: PathBuf) -> Result<Self, Fault> {
        Ok(Self { lines: Lines::open(path)?, passed: P::default() })
    }

    pub(super) fn next(&mut self, line: &mut Vec<u8>) -> Result<(), Fault> {
        self.lines.next(line)?;
        self.passed.add(line);
        self.passed.add(b"\n");
        Ok(())
    }

    /// All lines were read.
    pub(super) fn end(&mut self, is: impl FnOnce(P::Made) -> bool) -> Result<(), Fault> {
        let all = std::mem::take(&mut self.passed).made();
        let rest =
            self.lines.reader.fill_buf().map(<[u8]>::len).map_err(|error| Fault(self.lines.path.clone(), error))?;
        if rest == 0 && is(all) { Ok(()) } else { Err(altered(&self.lines.path)) }
    }
}

pub(super) fn altered(path: &Path) -> Fault {
    Fault(path.to_owned(), io::Error::other(ALTERED))
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
            Came::Results(_) => Results::Lines(Lines::open(folder.join(RESULTS))?),
            Came::Nothing { code, why } => Results::Nothing { code, why: why.clone() },
            Came::Halved(_) => return Err(Fault(folder, io::Error::other("its lines are in other shards"))),
        };
        Ok(Self {
            number: part.plan.number,
            left: part.plan.lines,
            requests: Proven::open(folder.join(REQUESTS))?,
            sha256: part.plan.sha256.clone(),
            results,
            above: Above::open(root, part)?,
            request: Vec::new(),
            result: Vec::new(),
            beaten: Vec::new(),
        })
    }

    fn next(&mut self) -> Result<(), Fault> {
        self.left -= 1;
        self.requests.next(&mut self.request)?;
        if self.left == 0 {
            self.requests.end(|read| read.sha256 == self.sha256)?;
        }
        match &mut self.results {
            Results::Lines(lines) => lines.next(&mut self.result)?,
            Results::Nothing { code, why } => {
                self.result.clear();
                let at = |error| Fault(self.requests.lines.path.clone(), error);
                let custom_id = custom_id(&self.request).map_err(at)?;
                write_error(&custom_id, code, why, &mut self.result).map_err(at)?;
                self.result.pop();
            }
        }
        self.beaten.clear();
        self.above.better(&mut self.result, &mut self.beaten)
    }
}

impl Above {
    fn open(root: &Path, part: &Part) -> Result<Self, Fault> {
        let shard = root.join(shard_folder(part.plan.number));
        let lines = part.surplus.iter().map(|(_, folder)| Lines::open(shard.join(folder).join(RESULTS)));
        Ok(Self { left: part.plan.lines, lines: lines.collect::<Result<_, _>>()? })
    }

    /// Puts what a surplus batch has of the next line in the place of a result that is not as good, and adds the other one to
    /// those that are beaten.
    fn better(&mut self, result: &mut Vec<u8>, beaten: &mut Vec<Vec<u8>>) -> Result<(), Fault> {
        self.left = self.left.saturating_sub(1);
        for lines in &mut self.lines {
            let mut line = Vec::new();
            lines.next(&mut line)?;
            if rank(&line) > rank(result) {
                std::mem::swap(&mut line, result);
            }
            beaten.push(line);
        }
        Ok(())
    }
}

/// The custom_id of a line that was checked, or that this run wrote.
pub(in crate::run) fn custom_id(line: &[u8]) -> io::Result<String> {
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
        let custom_id = custom_id(&reader.request).map_err(|error| Fault(reader.requests.lines.path.clone(), error))?;
        let (result, beaten) = (std::mem::take(&mut reader.result), std::mem::take(&mut reader.beaten));
        let rank = rank(&result);
        self.head = Some(Head { custom_id, shard: reader.number, result, rank, beaten });
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
            above.better(&mut reader.result, &mut reader.beaten)?;
        }
        self.above.retain(|above| above.left > 0);
        Ok(self.reader.as_mut())
    }

    fn is_at_end(&self) -> bool {
        self.left.is_empty() && self.reader.as_ref().is_none_or(|reader| reader.left == 0)
    }
}

impl<'a> Pairs<'a> {
    pub(super) fn new(root: &'a Path, parts: &'a Parts) -> Self {
        let Parts { shards, in_order, order, copies: _ } = parts;
        let mut lanes: BTreeMap<_, Vec<&Part>> = BTreeMap::new();
        for part in shards.values().filter(|part| part.attempt > 1 && !part.is_half) {
            let ShardPlan { endpoint, model, .. } = &part.plan;
            lanes.entry((part.attempt, endpoint.as_str(), model.as_deref())).or_default().push(part);
        }
        let again = lanes.into_iter().map(|(lane, parts)| {
            let chain = Chain::of(shards, parts.into_iter().rev().collect());
            (lane, Again { chain, head: None })
        });
        let (in_order, order) = (*in_order, order.as_ref());
        Self { root, shards, in_order, order, open: BTreeMap::new(), again: again.collect() }
    }

    pub(super) fn walk(&mut self, visit: &mut dyn Visit) -> Result<(), Fault> {
        let first = self.shards.values().filter(|part| part.attempt == 1 && !part.is_half);
        if self.in_order {
            let first: Vec<(u32, u64)> = first.map(|part| (part.plan.number, part.plan.lines)).collect();
            return first.into_iter().try_for_each(|(shard, count)| {
                let alone = self.shards.get(&shard).is_some_and(|part| part.surplus.is_empty());
                if alone && self.again.is_empty() && visit.whole(shard)? {
                    return Ok(());
                }
                self.stretch(shard, count, visit)
            });
        }
        let mut order: Proven<Summed> = Proven::open(self.root.join(ORDER))?;
        let mut left: u64 = first.map(|part| part.plan.lines).sum();
        let mut text = Vec::new();
        while left > 0 {
            order.next(&mut text)?;
            let run = std::str::from_utf8(&text).ok().and_then(|text| {
                let (shard, count) = text.split_once(' ')?;
                Some((shard.parse().ok()?, count.parse::<u64>().ok()?))
            });
            let fault = || altered(&order.lines.path);
            let (shard, count) = run.filter(|(_, count)| *count <= left).ok_or_else(fault)?;
            self.stretch(shard, count, visit)?;
            left -= count;
        }
        order.end(|read| self.order.as_ref().is_none_or(|written| **written == read))
    }

    /// So many lines of a shard, as the first attempt had it, one after another.
    fn stretch(&mut self, shard: u32, count: u64, visit: &mut dyn Visit) -> Result<(), Fault> {
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
            let surplus = |from: u32, beaten: &[Vec<u8>], request: &[u8], visit: &mut dyn Visit| {
                let mut all = beaten.iter();
                all.try_for_each(|result| visit.beaten(Beaten { from, way: Way::Surplus, request, result }))
            };
            surplus(reader.number, &reader.beaten, &reader.request, visit)?;
            let mut best: Option<Head> = None;
            if !self.again.is_empty() {
                let at = |error| Fault(reader.requests.lines.path.clone(), error);
                let custom_id = custom_id(&reader.request).map_err(at)?;
                let plan =
                    self.shards.get(&shard).map(|part| (part.plan.endpoint.as_str(), part.plan.model.as_deref()));
                for ((_, endpoint, model), again) in &mut self.again {
                    if plan != Some((*endpoint, *model)) {
                        continue;
                    }
                    again.fill(self.root)?;
                    let Some(head) = again.head.take_if(|head| head.custom_id == custom_id) else { continue };
                    surplus(head.shard, &head.beaten, &reader.request, visit)?;
                    let known = best.as_ref().map_or_else(|| rank(&reader.result), |best| best.rank);
                    // Of two that are as good the later one says more of how things stand.
                    let (from, result) = if head.rank > known || (head.rank, known) == (NONE, NONE) {
                        match best.replace(head) {
                            Some(before) => (before.shard, before.result),
                            None => (reader.number, reader.result.clone()),
                        }
                    } else {
                        (head.shard, head.result)
                    };
                    let (way, request) = (Way::Replaced, reader.request.as_slice());
                    visit.beaten(Beaten { from, way, request, result: &result })?;
                }
            }
            let (from, result) = match &best {
                Some(head) => (head.shard, head.result.as_slice()),
                None => (reader.number, reader.result.as_slice()),
            };
            visit.pair(Pair { shard: reader.number, from, request: &reader.request, result, is_copy: false })?;
            if chain.is_at_end() {
                self.open.remove(&shard);
            }
        }
        Ok(())
    }
}
