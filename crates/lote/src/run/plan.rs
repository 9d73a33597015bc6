//! The first pass over the input of a run: checks the request lines of all files and cuts them into shards, each the
//! lines of one batch.

use std::{
    cell::{Cell, RefCell},
    fmt,
    io::{self, BufRead, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::partition::Partition;
use crate::{
    lines::{
        self, CheckMany, CheckManyError, CheckOptions, Checked, CheckedLine, CountLines, Firsts, Limits, TemporaryError,
    },
    save::Hashing,
};

pub(super) mod dry;
mod error;
pub(super) mod quote;
#[cfg(test)]
mod tests;

pub use error::{PlanError, SourceFindings};

/// How many shards are open at once: each is a file that is written.
const OPEN: usize = 64;

/// What is kept of a shard before it is written.
const BUFFER: usize = 1 << 15;

/// What one batch may hold, and how lines are put into several. It prints as
/// `50000 lines, 200000000 bytes, one model`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cut {
    /// Request lines.
    pub lines: u64,
    /// Bytes of the canonical lines, each with its LF.
    pub bytes: u64,
    /// Texts to embed.
    pub inputs: Option<u64>,
    /// Lines of different models are not in the same batch.
    pub one_model: bool,
}

impl Cut {
    /// What the options say of one batch.
    pub(super) fn of(options: &CheckOptions) -> Self {
        let CheckOptions { limits: Limits { max_lines, max_bytes }, max_models, max_inputs, .. } = options;
        Self { lines: *max_lines, bytes: *max_bytes, inputs: *max_inputs, one_model: max_models.is_some() }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = |most: u64, what| (most != u64::MAX).then(|| format!("{most} {what}"));
        let inputs = self.inputs.and_then(|most| bound(most, "texts to embed"));
        let model = self.one_model.then(|| "one model".to_owned());
        let parts = [bound(self.lines, "lines"), bound(self.bytes, "bytes"), inputs, model];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "no limit" } else { "" })?;
        f.write_str(&parts.join(", "))
    }
}

/// Which lines of the input are taken: the first so many, of those one part, and of lines that are equal the first.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    pub(super) limit: Option<u64>,
    pub(super) partition: Option<Partition>,
    pub(super) dedupe: bool,
}

/// Lines that equal an earlier one in all but their custom_id, and are in no shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EqualLines {
    /// How many there are.
    pub lines: u64,
    /// The bytes of their canonical lines, each with its LF.
    pub bytes: u64,
    /// About how many tokens their prompts have: a quarter of the bytes of the lines.
    pub tokens: u64,
}

/// The input that a part is of: the same for all of its parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Whole {
    /// Request lines.
    pub(super) lines: u64,
    /// SHA-256 of the canonical lines, each with its LF, in lower-case hex.
    pub(super) sha256: String,
}

/// One shard: the request lines of one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShardPlan {
    /// Its number, from 1, in the order of each shard's first line.
    pub number: u32,
    /// The endpoint of its lines.
    pub endpoint: String,
    /// The model of its lines, where a batch has one model and the lines name it.
    pub model: Option<String>,
    /// How many lines it has.
    pub lines: u64,
    /// The bytes of its canonical lines, each with its LF.
    pub bytes: u64,
    /// Texts to embed in it.
    pub inputs: u64,
    /// About how many tokens its prompts have: a quarter of the bytes of its lines.
    #[serde(default)]
    pub tokens: u64,
    /// SHA-256 of its canonical lines, each with its LF, in lower-case hex.
    pub sha256: String,
}

impl ShardPlan {
    /// About how many tokens its prompts have; also of a run that was planned before they were counted.
    pub(super) fn weight(&self) -> u64 {
        if self.tokens > 0 { self.tokens } else { tokens(self.bytes) }
    }
}

/// About how many tokens the prompt in a line of so many bytes has. A text in English has about four bytes a token, one in
/// another script fewer, and a picture in the line many more.
pub(super) fn tokens(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// The digits of a hash, in lower case.
pub(super) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where the lines of the shards go.
pub(super) trait Shards {
    /// Takes the lines of one shard. It need not be buffered.
    type Out: Write;

    /// A line was put into a shard, after its bytes were written.
    fn put(&mut self, _number: u32, _line: &CheckedLine<'_>) {}

    /// Begins a shard. Several may be begun at once.
    fn begin(&mut self, number: u32) -> io::Result<Self::Out>;

    /// A line equals an earlier one, and is in no shard: takes what says which, a line of text.
    fn copy(&mut self, _text: &[u8]) -> io::Result<()> {
        Ok(())
    }

    /// Ends a shard, which all its lines were written to.
    fn finish(&mut self, number: u32, out: Self::Out, sha256: &str) -> io::Result<()>;
}

/// What was read of one source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SourceRead {
    /// Where it was read from.
    pub path: PathBuf,
    /// Bytes of its canonical lines, each with its LF.
    pub bytes: u64,
    /// SHA-256 of its canonical lines, each with its LF, in lower-case hex.
    pub sha256: String,
    /// How many request lines were read.
    pub lines: u64,
}

/// What came of the pass.
#[derive(Debug)]
pub(super) struct Planned {
    /// The shards by number.
    pub shards: Vec<ShardPlan>,
    /// What the lines that are taken hold, with the hash of all of them in the order of the input. The endpoint is `None`
    /// when there are several.
    pub checked: Checked,
    /// All that they are a part of, if they are one.
    pub whole: Option<Whole>,
    /// The sources that were read: those after the limit was reached are not.
    pub sources: Vec<SourceRead>,
    /// The shards one after another hold the lines in the order of the input, but for copies.
    pub in_order: bool,
    /// The lines that equal earlier ones, where those are to be sent once.
    pub copies: EqualLines,
}

/// Reads all sources once, in their order, and cuts their lines into shards. No shard mixes endpoints.
///
/// `order` receives a text line `SHARD COUNT` for each group of lines that follow each other in the input and are in
/// the same shard. `taken` says which lines go into shards; all lines up to the limit are checked, whatever part they are
/// in, so that no two parts have a custom_id in common, and one is refused when any is. Large temporary files are made in
/// `spill`, which is to be on a disk. Once there is a finding nothing more is written, and shards that were begun may never be finished.
///
/// Of equal lines the first is put into a shard where `taken` says so, if it has passed all that. For each of the others
/// [`Shards::copy`] receives a text line `SENT FIRST CUSTOM_ID`: it comes after so many lines that are in shards, and equals
/// that one of them, both counted from 1 in the order of the input; its custom_id is written as JSON.
///
/// Memory: the longest line, and less than 24 MiB, whatever the number of lines and shards, and 12 more where equal lines
/// are looked for; but for each shard its plan.
#[expect(clippy::too_many_arguments, reason = "one pass with five sides, called from two places")]
pub(super) fn plan<S: Shards>(
    sources: &[PathBuf],
    options: &CheckOptions,
    cut: &Cut,
    taken: Taken,
    spill: &Path,
    shards: &mut S,
    order: &mut dyn Write,
    wanted: &dyn Fn() -> bool,
) -> Result<Planned, PlanError> {
    // A line that does not fit into a shard by itself is a finding.
    let limits = Limits { max_lines: cut.lines, max_bytes: cut.bytes.min(options.limits.max_bytes) };
    let max_inputs = [options.max_inputs, cut.inputs].into_iter().flatten().min();
    let options = CheckOptions { limits, max_inputs, ..options.clone() };
    let Taken { limit, partition, dedupe } = taken;
    let mut check = CheckMany::new(&options, spill).limit(limit);
    let mut part = partition.map(|partition| (partition, 0, CountLines::default()));
    let mut cutter = Cutter::new(cut, shards, order);
    let mut firsts = dedupe.then(|| Firsts::new(spill));
    let mut found = error::Found::default();
    let mut read: Vec<SourceRead> = Vec::new();
    for path in sources {
        if limit.is_some_and(|limit| read.iter().map(|source| source.lines).sum::<u64>() >= limit) {
            break;
        }
        let stopped = Cell::new(false);
        let failed = |doing: &str, error| PlanError::io(doing, path, error);
        let reader = lines::open_lines(path).map_err(|error| failed("open", error))?;
        let reader = Asking { reader, wanted, stopped: &stopped };
        found.begin(path);
        let found = RefCell::new(&mut found);
        let mut not_written = None;
        let checked = check.file(
            path.display().to_string(),
            reader,
            &mut |finding| found.borrow_mut().add(finding),
            &mut |line| {
                let of_the_part = part.as_mut().is_none_or(|(partition, before, count)| {
                    let takes = partition.takes(*before);
                    *before += 1;
                    if takes {
                        count.add(&line);
                    }
                    takes
                });
                if of_the_part && found.borrow().is_empty() {
                    let put = match firsts.as_mut().map(|firsts| firsts.first(&line)) {
                        Some(Err(error)) => {
                            Err(PlanError::io("write a temporary file in", spill, TemporaryError::cause(error)))
                        }
                        Some(Ok(Some(first))) => {
                            cutter.copy(&line, first).map_err(|(doing, error)| failed(&doing, error))
                        }
                        Some(Ok(None)) | None => cutter.line(&line).map_err(|(doing, error)| failed(&doing, error)),
                    };
                    not_written = put.err();
                }
                Ok(not_written.is_none())
            },
        );
        if let Some(error) = not_written {
            return Err(error);
        }
        let checked = checked.map_err(|error| match error {
            CheckManyError::Read(_) if stopped.get() => failed("read", io::ErrorKind::Interrupted.into()),
            error => not_checked(error, path, spill),
        })?;
        let Checked { lines, bytes, sha256, .. } = checked;
        read.push(SourceRead { path: path.clone(), bytes, sha256, lines });
    }
    let last = sources.last().map_or(spill, PathBuf::as_path);
    let checked = check.finish(&mut |source, finding| found.add_later(source, finding));
    let checked = checked.map_err(|error| not_checked(error, last, spill))?;
    if !found.is_empty() {
        return Err(PlanError::Input { checked: Box::new(checked), sources: found.into_sources() });
    }
    let copies = cutter.copies;
    let (shards, in_order) = cutter.finish().map_err(|(doing, error)| PlanError::io(&doing, last, error))?;
    let (checked, whole) = match part {
        None => (checked, None),
        Some((_, _, count)) => (count.finish(), Some(Whole { lines: checked.lines, sha256: checked.sha256 })),
    };
    Ok(Planned { shards, checked, whole, sources: read, in_order, copies })
}

fn not_checked(error: CheckManyError, path: &Path, spill: &Path) -> PlanError {
    match error {
        CheckManyError::Spill(error) => PlanError::io("write a temporary file in", spill, TemporaryError::cause(error)),
        CheckManyError::Read(error) | CheckManyError::Line(error) => PlanError::io("read", path, error),
        error => PlanError::io("check", path, io::Error::other(error)),
    }
}

/// Puts lines into shards.
struct Cutter<'a, S: Shards> {
    cut: &'a Cut,
    shards: &'a mut S,
    order: &'a mut dyn Write,
    plans: Vec<ShardPlan>,
    open: Vec<Open<S::Out>>,
    /// Lines so far; the time by which the open shards were used.
    lines: u64,
    /// The last group of lines that follow each other in one shard: its number, and how many.
    group: (u32, u64),
    in_order: bool,
    copies: EqualLines,
}

/// A shard that may take more lines.
struct Open<O: Write> {
    /// The place of its plan.
    at: usize,
    used: u64,
    out: BufWriter<Hashing<O>>,
}

/// What was being done, and why it failed.
type Failed = (String, io::Error);

impl<'a, S: Shards> Cutter<'a, S> {
    fn new(cut: &'a Cut, shards: &'a mut S, order: &'a mut dyn Write) -> Self {
        let (plans, open) = (Vec::new(), Vec::new());
        let copies = EqualLines::default();
        Self { cut, shards, order, plans, open, lines: 0, group: (0, 0), in_order: true, copies }
    }

    fn line(&mut self, line: &CheckedLine<'_>) -> Result<(), Failed> {
        let open = self.shard_for(line)?;
        self.lines += 1;
        let Open { at, used, out } = &mut self.open[open];
        let plan = &mut self.plans[*at];
        *used = self.lines;
        for bytes in [line.canonical, b"\n"] {
            out.write_all(bytes).map_err(|error| (format!("write shard {} of", plan.number), error))?;
        }
        plan.lines += 1;
        let bytes = line.canonical.len() as u64 + 1;
        plan.bytes += bytes;
        plan.tokens = plan.tokens.saturating_add(tokens(bytes));
        plan.inputs = plan.inputs.saturating_add(line.inputs);
        let number = plan.number;
        self.shards.put(number, line);
        if self.group.0 != number {
            self.end_group()?;
            self.in_order &= number == self.group.0 + 1;
            self.group = (number, 0);
        }
        self.group.1 += 1;
        Ok(())
    }

    /// A line that equals an earlier one, the so-many-th of those in shards.
    fn copy(&mut self, line: &CheckedLine<'_>, first: u64) -> Result<(), Failed> {
        let EqualLines { lines, bytes, tokens: sum } = &mut self.copies;
        let length = line.canonical.len() as u64 + 1;
        *lines += 1;
        *bytes += length;
        *sum = sum.saturating_add(tokens(length));
        let text = format!("{} {first} ", self.lines).into_bytes();
        let written = copy_text(text, line.custom_id).and_then(|text| self.shards.copy(&text));
        written.map_err(|error| ("write down the equal lines of".to_owned(), error))
    }

    /// The open shard that takes a line, which may be begun for it.
    fn shard_for(&mut self, line: &CheckedLine<'_>) -> Result<usize, Failed> {
        let model = line.model.filter(|_| self.cut.one_model);
        let takes = |plan: &ShardPlan| plan.endpoint == line.endpoint && plan.model.as_deref() == model;
        if let Some(open) = self.open.iter().position(|open| takes(&self.plans[open.at])) {
            let plan = &self.plans[self.open[open].at];
            let Cut { lines, bytes, inputs, one_model: _ } = self.cut;
            let fits = plan.lines < *lines
                && plan.bytes.saturating_add(line.canonical.len() as u64 + 1) <= *bytes
                && inputs.is_none_or(|most| plan.inputs.saturating_add(line.inputs) <= most);
            if fits {
                return Ok(open);
            }
            self.close(open)?;
        }
        if self.open.len() >= OPEN
            && let Some((longest_ago, _)) = self.open.iter().enumerate().min_by_key(|(_, open)| open.used)
        {
            self.close(longest_ago)?;
        }
        let at = self.plans.len();
        let number = u32::try_from(at + 1)
            .map_err(|_| ("cut".to_owned(), io::Error::other("there are more shards than can be counted")))?;
        let out = self.shards.begin(number).map_err(|error| (format!("make shard {number} of"), error))?;
        let (endpoint, model) = (line.endpoint.to_owned(), model.map(str::to_owned));
        let (lines, bytes, inputs, tokens, sha256) = (0, 0, 0, 0, String::new());
        self.plans.push(ShardPlan { number, endpoint, model, lines, bytes, inputs, tokens, sha256 });
        self.open.push(Open { at, used: 0, out: BufWriter::with_capacity(BUFFER, Hashing::new(out)) });
        Ok(self.open.len() - 1)
    }

    fn close(&mut self, open: usize) -> Result<(), Failed> {
        let Open { at, out, .. } = self.open.swap_remove(open);
        let plan = &mut self.plans[at];
        let number = plan.number;
        let finished = out.into_inner().map_err(io::IntoInnerError::into_error).and_then(|hashing| {
            let (out, stored) = hashing.into_parts();
            plan.sha256 = stored.sha256;
            self.shards.finish(number, out, &plan.sha256)
        });
        finished.map_err(|error| (format!("write shard {number} of"), error))
    }

    fn end_group(&mut self) -> Result<(), Failed> {
        let (number, lines) = self.group;
        if lines == 0 {
            return Ok(());
        }
        writeln!(self.order, "{number} {lines}").map_err(|error| ("write the order of the lines of".to_owned(), error))
    }

    /// The shards by number, and whether they hold the lines in order.
    fn finish(mut self) -> Result<(Vec<ShardPlan>, bool), Failed> {
        while !self.open.is_empty() {
            self.close(0)?;
        }
        self.end_group()?;
        self.order.flush().map_err(|error| ("write the order of the lines of".to_owned(), error))?;
        Ok((self.plans, self.in_order))
    }
}

/// A text with a custom_id at its end, as a line.
fn copy_text(mut text: Vec<u8>, custom_id: &str) -> io::Result<Vec<u8>> {
    serde_json::to_writer(&mut text, custom_id)?;
    text.push(b'\n');
    Ok(text)
}

/// A reader that asks before each piece whether to go on.
struct Asking<'w, R> {
    reader: R,
    wanted: &'w dyn Fn() -> bool,
    stopped: &'w Cell<bool>,
}

impl<R> Asking<'_, R> {
    fn ask(&self) -> io::Result<()> {
        if (self.wanted)() {
            return Ok(());
        }
        self.stopped.set(true);
        // Not `Interrupted`, on which readers try again.
        Err(io::Error::other("it is not wanted any more"))
    }
}

impl<R: Read> Read for Asking<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.ask()?;
        self.reader.read(buffer)
    }
}

impl<R: BufRead> BufRead for Asking<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.ask()?;
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
    }
}
