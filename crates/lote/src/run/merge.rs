//! The results of all shards, put together in the order of the input: one result line for each request line, the best
//! that any attempt brought.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    Invoice, RunError,
    folder::{ALTERED, ANOMALIES, COPIES, FAILED, Folder, ORDER, REQUESTS, RESULTS, SUMMARY},
    money,
    plan::ShardPlan,
    record::{Copies, Record, shard_folder, surplus_folder},
    report::{Deduplicated, Summary},
    seal,
    state::{Phase, State, SurplusPhase},
};
use crate::{
    Batch, BatchId, Client,
    expect::{self, Expect},
    heavy::blocking,
    lines::{Answer, FitTally, Joined, OutcomeKind, Spent, Sum},
    prices::Prices,
    save::{AtomicFile, Summing, Written},
};

mod bill;
mod copies;
mod pairs;
#[cfg(test)]
mod tests;

use bill::Bill;
use pairs::Pairs;
pub(super) use pairs::{Beaten, Visit, custom_id};

/// The `error.code` of lines whose shard waits for a word of a person, and of those that were not sent yet.
const HELD: &str = "held";
const NOT_SENT: &str = "not_sent";

/// What is written down of a shard that was settled.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ShardSummary {
    /// None of a shard whose lines were sent one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) batch: Option<Batch>,
    pub(super) joined: Joined,
    /// The tokens of its answers; none of a shard that was settled by a version that did not count them by model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) spent: Option<Vec<Spent>>,
}

impl ShardSummary {
    pub(super) fn new(batch: Option<Batch>, joined: Joined) -> Self {
        Self { spent: Some(joined.spent.clone()), batch, joined }
    }
}

/// Writes the results of all shards, the lines that did not succeed, what is odd, and the summary. The results of lines
/// whose shard is not over say so, and are not among those that are fit to be sent again. Answers are held against what is
/// expected of them. Gives back the results as they were written.
pub(super) async fn put_together(
    folder: &Folder,
    client: &Client,
    expect: Option<&Expect>,
) -> Result<Written, RunError> {
    folder.check()?;
    let failed = |doing: &str, path: &Path, error| {
        RunError::io(doing, path, error).at(folder.path()).with(folder.state.batches())
    };
    let merge = Merge::new(folder, expect).map_err(|error| failed("write", &folder.join(RESULTS), error))?;
    let merged = blocking(move || merge.write()).await;
    let mut merged = merged.map_err(|Fault(path, error)| failed("put together", &path, error))?;
    // The words are those of the result lines.
    client.shared().secrets().blank_summary(&mut merged.joined);
    client.shared().secrets().blank_invoice(&mut merged.invoice);
    let results = merged.results.clone();
    folder.write_sealed(SUMMARY, &Summary::new(folder, merged))?;
    Ok(results)
}

/// What all of it is put together from.
struct Merge {
    root: PathBuf,
    parts: Parts,
    /// By which it is told what the answers did cost, and whether nobody was paid.
    prices: Prices,
    embedded: bool,
    results: AtomicFile,
    failed: AtomicFile,
    anomalies: AtomicFile,
}

/// All shards of a run, and what came of each.
#[derive(Default)]
pub(super) struct Parts {
    shards: BTreeMap<u32, Part>,
    in_order: bool,
    /// What `order` was written with, of a run whose shards are not in the order of the input.
    order: Option<Written>,
    /// The lines that are in no shard, since each equals one that is.
    copies: Option<Copies>,
    /// What answers are to be: of several to a line one that fits is the best.
    expect: Option<Expect>,
}

/// A shard, and what came of it.
struct Part {
    plan: ShardPlan,
    attempt: u32,
    /// Whether its lines were sent one by one, and answered at once.
    at_once: bool,
    /// Whether its lines are a part of those of another shard, which stands for them in the order of the input.
    is_part: bool,
    /// The shard that has the lines which its batch has left unanswered, in their order.
    rest: Option<u32>,
    /// Whether it is such a one.
    is_rest: bool,
    /// Batches that were made of the same lines for nothing, and where what they finished is.
    surplus: Vec<(BatchId, PathBuf)>,
    came: Came,
}

enum Came {
    /// It was settled, with these results.
    Results(Written),
    /// None of its lines was run: what its result lines say.
    Nothing { code: &'static str, why: String },
    /// These shards have its lines, one after the other.
    Halved([u32; 2]),
}

/// What was put together.
pub(super) struct Merged {
    pub(super) joined: Joined,
    /// Lines that have no outcome yet.
    pub(super) undecided: u64,
    /// Lines that were not sent, since they equal others.
    pub(super) deduplicated: Option<Deduplicated>,
    pub(super) invoice: Invoice,
    pub(super) results: Written,
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
    /// Whether the line is in no shard, but equals one that is, and has its result.
    pub(super) is_copy: bool,
}

impl Merge {
    /// Over what the folder holds.
    fn new(folder: &Folder, expect: Option<&Expect>) -> io::Result<Self> {
        Ok(Self {
            root: folder.path().to_owned(),
            parts: Parts::of(folder).expecting(expect),
            prices: money::prices(&folder.record, &folder.state),
            embedded: folder.is_embedded(),
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
        let mut sum = Sum::default();
        let mut bill = Bill::new(&self.prices);
        // Shards of which every line succeeded, in a run that was tried once: their results were counted when they were joined.
        let mut counted = BTreeMap::new();
        // What a surplus batch has may be better than an answer that was cut off, also of the halves of its shard.
        let tried_once = self.parts.shards.values().all(|part| part.attempt == 1 && part.surplus.is_empty());
        {
            let mut anomalies = BufWriter::new(self.anomalies.file());
            for (number, part) in &self.parts.shards {
                if let Came::Results(written) = &part.came {
                    let ShardSummary { joined, spent, .. } = read_summary(&self.root, *number)?;
                    let is_counted = tried_once && !part.is_rest && joined.succeeded == joined.lines;
                    bill.shard(*number, part, spent.as_deref(), is_counted);
                    if is_counted {
                        sum.add(&joined);
                        counted.insert(*number, written);
                    } else {
                        sum.add_found(&joined);
                    }
                    write_anomalies(&self.root, Path::new(""), (*number, None), &joined, &mut anomalies)?;
                }
                // Whose lines are no more than others of the same lines: their answers are not counted.
                for (batch, folder) in &part.surplus {
                    let ShardSummary { joined, spent, .. } = read_surplus(&self.root, *number, folder)?;
                    bill.surplus(part, spent.as_deref());
                    write_anomalies(&self.root, folder, (*number, Some(batch)), &joined, &mut anomalies)?;
                }
            }
            anomalies.flush().map_err(at(ANOMALIES))?;
        }
        let (results, sum, bill, undecided, deduplicated, fit) = {
            let mut writing = Writing {
                root: &root,
                parts: &self.parts,
                counted: &counted,
                results: BufWriter::with_capacity(256 << 10, Summing::new(self.results.file())),
                failed: BufWriter::new(self.failed.file()),
                sum,
                bill,
                undecided: 0,
                deduplicated: Deduplicated::default(),
                fit: self.parts.expect.as_ref().map(Expect::tally),
            };
            self.parts.walk(&root, &root, &mut writing)?;
            writing.failed.flush().map_err(at(FAILED))?;
            let results = writing.results.into_inner().map_err(|error| at(RESULTS)(error.into_error()))?;
            let Writing { sum, bill, undecided, deduplicated, fit, .. } = writing;
            (results.into_parts().1, sum, bill, undecided, deduplicated, fit.map(FitTally::finish))
        };
        self.failed.commit().map_err(at(FAILED))?;
        self.anomalies.commit().map_err(at(ANOMALIES))?;
        self.results.commit().map_err(at(RESULTS))?;
        let mut joined = sum.finish();
        let invoice = bill.finish(&self.prices, joined.succeeded, self.embedded);
        let deduplicated = self.parts.copies.is_some().then_some(deduplicated);
        joined.fit = fit;
        Ok(Merged { joined, undecided, deduplicated, invoice, results })
    }
}

/// Where the lines go that are put together.
struct Writing<'m> {
    root: &'m Path,
    parts: &'m Parts,
    /// The shards whose results were counted when they were joined, and have all succeeded.
    counted: &'m BTreeMap<u32, &'m Written>,
    results: BufWriter<Summing<&'m mut File>>,
    failed: BufWriter<&'m mut File>,
    sum: Sum,
    bill: Bill,
    /// Lines that have no outcome yet.
    undecided: u64,
    deduplicated: Deduplicated,
    /// How answers fit what is expected, if something is.
    fit: Option<FitTally>,
}

impl Writing<'_> {
    fn at(&self, name: &'static str) -> impl FnOnce(io::Error) -> Fault + use<> {
        let path = self.root.join(name);
        move |error| Fault(path, error)
    }
}

impl Visit for Writing<'_> {
    fn whole(&mut self, shard: u32) -> Result<bool, Fault> {
        // Where something is expected of answers, each is looked at.
        let is_copied = self.fit.is_none() && self.bill.has(shard);
        let Some(written) = self.counted.get(&shard).filter(|_| is_copied) else { return Ok(false) };
        let path = self.root.join(shard_folder(shard)).join(RESULTS);
        let read = |error| Fault(path.clone(), error);
        let mut from = File::open(&path).map_err(read)?;
        let mut copying = Summing::new(&mut self.results);
        let mut buffer = vec![0; 256 << 10];
        loop {
            let came = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(came) => came,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(read(error)),
            };
            let copied = copying.write_all(&buffer[..came]);
            copied.map_err(|error| Fault(self.root.join(RESULTS), error))?;
        }
        match copying.into_parts().1 == **written {
            true => Ok(true),
            false => Err(read(io::Error::other(ALTERED))),
        }
    }

    fn pair(&mut self, pair: Pair<'_>) -> Result<(), Fault> {
        self.results.write_all(pair.result).map_err(self.at(RESULTS))?;
        self.results.write_all(b"\n").map_err(self.at(RESULTS))?;
        if let Some((tally, expect)) = self.fit.as_mut().zip(self.parts.expect.as_ref())
            && let Some(verdict) = expect.judge(pair.request, pair.result)
        {
            expect::count(tally, verdict);
        }
        let is_counted = self.counted.contains_key(&pair.from) && !pair.is_copy;
        if is_counted && self.bill.has(pair.from) {
            return Ok(());
        }
        let Ok(answer) = Answer::parse(pair.result) else {
            let path = self.root.join(shard_folder(pair.from)).join(RESULTS);
            return Err(Fault(path, io::Error::other("a line that this run wrote cannot be read")));
        };
        self.bill.pair(self.parts, &pair, &answer);
        if is_counted {
            return Ok(());
        }
        match pair.is_copy {
            false => self.sum.add_line(&answer),
            true => {
                self.sum.add_copy(&answer);
                self.deduplicated.lines += 1;
                self.deduplicated.usage += answer.usage().unwrap_or_default();
            }
        }
        if self.parts.is_undecided(pair.from) {
            self.undecided += 1;
        } else if answer.outcome() != OutcomeKind::Succeeded {
            self.failed.write_all(pair.request).map_err(self.at(FAILED))?;
            self.failed.write_all(b"\n").map_err(self.at(FAILED))?;
        }
        Ok(())
    }

    fn beaten(&mut self, beaten: Beaten<'_>) -> Result<(), Fault> {
        self.bill.beaten(self.parts, &beaten);
        Ok(())
    }
}

impl Parts {
    /// As the state of the run has them.
    pub(super) fn of(folder: &Folder) -> Self {
        Self::in_state(&folder.state, &folder.record)
    }

    /// As a state has them, in the order that the record of the run says.
    pub(super) fn in_state(state: &State, record: &Record) -> Self {
        let part = |shard: &super::state::Shard| {
            let nothing = |code, why: &str| Came::Nothing { code, why: why.to_owned() };
            let came = match &shard.phase {
                Phase::Settled(written) => Came::Results(written.clone()),
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
                at_once: shard.synchronous,
                is_part: shard.half_of.is_some() || shard.rest_of.is_some(),
                rest: shard.rest,
                is_rest: shard.rest_of.is_some(),
                surplus: surplus.collect(),
                came,
            }
        };
        let shards = state.shards.iter().map(|(number, shard)| (*number, part(shard))).collect();
        Self {
            shards,
            in_order: record.in_order,
            order: record.order.clone(),
            copies: record.copies.clone(),
            expect: None,
        }
    }

    /// One shard alone, if it was settled: its lines in their order, without those that equal them.
    pub(super) fn only(mut self, shard: u32) -> Option<Self> {
        let part = self.shards.remove(&shard).filter(|part| matches!(part.came, Came::Results(_)))?;
        let part = Part { attempt: 1, is_part: false, ..part };
        Some(Self { shards: [(shard, part)].into(), in_order: true, order: None, copies: None, expect: None })
    }

    /// The same, with what their answers are to be.
    pub(super) fn expecting(self, expect: Option<&Expect>) -> Self {
        Self { expect: expect.cloned(), ..self }
    }

    /// How many lines there are, and how many of those in shards have no outcome yet.
    pub(super) fn lines(&self) -> (u64, u64) {
        let copies = self.copies.as_ref().map_or(0, |copies| copies.equal.lines);
        let whole = self.shards.values().filter(|part| part.attempt == 1 && !part.is_part);
        let open = self.shards.values().filter(|part| self.is_undecided(part.plan.number));
        (whole.map(|part| part.plan.lines).sum::<u64>().saturating_add(copies), open.map(|part| part.plan.lines).sum())
    }

    pub(super) fn plan(&self, shard: u32) -> Option<&ShardPlan> {
        self.shards.get(&shard).map(|part| &part.plan)
    }

    /// Which attempt a shard is of, from 1.
    pub(super) fn attempt(&self, shard: u32) -> u32 {
        self.shards.get(&shard).map_or(1, |part| part.attempt)
    }

    /// Whether all files that [`walk`](Self::walk) reads are there: some go when a run is cleaned.
    pub(super) fn can_be_walked(&self, root: &Path) -> bool {
        let order = (!self.in_order).then_some(ORDER);
        let top = order.into_iter().chain(self.copies.is_some().then_some(COPIES)).map(|name| root.join(name));
        let within = self.shards.iter().filter(|(_, part)| !matches!(part.came, Came::Halved(_)));
        let within = within.flat_map(|(number, part)| {
            let results = matches!(part.came, Came::Results(_)).then_some(RESULTS);
            let folder = root.join(shard_folder(*number));
            [Some(REQUESTS), results].into_iter().flatten().map(move |name| folder.join(name))
        });
        top.chain(within).all(|path| path.is_file())
    }

    /// The files of the folder that hold all request lines, one after another, in the order of the input; none where other
    /// files say that order, or one is not there.
    pub(super) fn requests(&self, root: &Path) -> Option<Vec<PathBuf>> {
        let whole = self.shards.iter().filter(|(_, part)| part.attempt == 1 && !part.is_part);
        let files: Vec<PathBuf> = whole.map(|(number, _)| root.join(shard_folder(*number)).join(REQUESTS)).collect();
        (self.in_order && self.copies.is_none() && files.iter().all(|path| path.is_file())).then_some(files)
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

    /// Walks through the request lines in the order of the input, each with the best result of all attempts. What is kept
    /// of lines that others equal is in temporary files in `spill`.
    pub(super) fn walk(&self, root: &Path, spill: &Path, visit: &mut dyn Visit) -> Result<(), Fault> {
        match &self.copies {
            None => self.walk_sent(root, visit),
            Some(copies) => copies::walk(root, spill, self, copies, visit),
        }
    }

    /// Walks through those of them that are in shards.
    pub(super) fn walk_sent(&self, root: &Path, visit: &mut dyn Visit) -> Result<(), Fault> {
        Pairs::new(root, self).walk(visit)
    }

    /// Whether lines equal others.
    pub(super) fn has_copies(&self) -> bool {
        self.copies.is_some()
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
    seal::read(&path).map_err(|error| Fault(path, error))
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
