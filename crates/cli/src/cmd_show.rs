//! `lote show`: requests of a run beside what came of them, for reading.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use lote::run::{Ledger, LedgerLine, ledger};
use lote::text::visible;

use crate::exit::{CliError, Exit};
use crate::input;
use crate::interrupt::Interrupt;
use crate::layout;
use crate::out;
use crate::place;
use crate::shell;
use crate::show::{self, Manner};

/// How many lines are drawn when nothing else is asked for.
const SAMPLE: u64 = 3;

/// How many ids are suggested, and how much like the one that was given they are at least.
const NEAR: usize = 3;
const LIKE: f64 = 0.7;

/// The longest id that is held against others.
const LONGEST: usize = 200;

/// Show requests of a run, and what came of them
///
/// Prints the messages by role and the answer, or the error, of some lines, wrapped to the
/// terminal: those that are named, those that did not succeed, or some that are drawn, the same
/// ones each time. Of vectors it is told how long they are. Lines come in the order of the input.
///
/// It reads the folder of the run, from any terminal, while a lote may be at work on it: of a line
/// without an outcome yet it says why. Nothing is asked of the service, and no more is held than
/// the lines that are drawn, whatever the run.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote show requests.run
  lote show requests.jsonl row-17 row-23
  lote show requests.run --failed | less
  lote show requests.run --sample 5 --seed 2
  lote show requests.run --failed --json | jq -r .error.code | sort | uniq -c

Exit 0: they were shown. 2: there is no such run, or no line with such a custom_id."
)]
pub(crate) struct ShowArgs {
    /// The folder of the run, or the file of requests that it stands beside
    #[arg(value_parser = input::path())]
    run: PathBuf,

    /// Only the lines with these ids, whole
    #[arg(value_name = "CUSTOM_ID", conflicts_with_all = ["failed", "sample"])]
    ids: Vec<String>,

    /// Only lines that have ended and did not succeed: all of them, or as many as --sample says
    #[arg(long)]
    failed: bool,

    /// So many lines, drawn from those that have an outcome [default: 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    sample: Option<u64>,

    /// Which lines are drawn: the same number gives the same lines
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,

    /// All of each text; else its first 12 lines, unless ids are given
    #[arg(long)]
    full: bool,

    /// Print each line as one JSON object: custom_id, outcome, attempts, request, response, error
    #[arg(long)]
    json: bool,
}

/// # Errors
/// With exit 2 when there is no run that can be read, or a line is not in it.
pub(crate) fn run(args: &ShowArgs, interrupt: &Interrupt) -> Result<Exit, CliError> {
    let folder = place::of_run(&args.run)?;
    let read = || ledger(&folder).map_err(|error| CliError::usage(error.to_string()));
    let lines = read()?;
    let all = lines.lines();
    let mut printed = Printed::new(args);
    if !args.ids.is_empty() {
        let missing = printed.named(&args.ids, lines, interrupt)?;
        return match missing.is_empty() {
            true => Ok(Exit::Success),
            false => Err(missed(&missing, read()?, &shell::quoted(&folder), interrupt)?),
        };
    }
    let sample = if args.failed { args.sample } else { Some(args.sample.unwrap_or(SAMPLE)) };
    match sample {
        None => {
            for line in lines {
                interrupt.check()?;
                let line = line?;
                if is_failed(&line)? {
                    printed.line(&line)?;
                }
            }
        }
        Some(count) => {
            let drawn = Drawn::from(lines, count, args, interrupt)?;
            drawn.lines.iter().try_for_each(|(_, line)| printed.line(line))?;
            if !args.json && drawn.open > 0 {
                out::note(format_args!("{} without an outcome yet", out::count(drawn.open, "line")));
            }
            if !args.json && drawn.of > count {
                let what = if args.failed { "lines that did not succeed" } else { "lines" };
                let next = args.seed.wrapping_add(1);
                out::note(format_args!("drawn from {} {what}; --seed {next} draws others", drawn.of));
            }
        }
    }
    if printed.count == 0 {
        out::note(match args.failed {
            true => format!("no line of {} has failed so far", out::count(all, "line")),
            false => "the run has no lines".to_owned(),
        });
    }
    Ok(Exit::Success)
}

/// Whether a line has ended, and did not succeed.
fn is_failed(line: &LedgerLine) -> Result<bool, CliError> {
    Ok(line.outcome()?.is_some_and(|outcome| !outcome.is_succeeded()))
}

/// What is printed, line by line.
struct Printed {
    json: bool,
    manner: Manner,
    count: u64,
}

impl Printed {
    fn new(args: &ShowArgs) -> Self {
        let full = args.full || !args.ids.is_empty();
        Self { json: args.json, manner: Manner { columns: layout::columns(), full }, count: 0 }
    }

    fn line(&mut self, line: &LedgerLine) -> Result<(), CliError> {
        self.count += 1;
        if self.json {
            return out::line(show::json(line)?);
        }
        let mut lines = self.manner.lines(line)?;
        if self.count > 1 {
            lines.insert(0, String::new());
        }
        out::lines(lines)
    }

    /// Prints those with these ids; gives back the ids that no line has.
    fn named<'a>(
        &mut self,
        ids: &'a [String],
        lines: Ledger,
        interrupt: &Interrupt,
    ) -> Result<BTreeSet<&'a str>, CliError> {
        let mut wanted: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        for line in lines {
            interrupt.check()?;
            let line = line?;
            if wanted.remove(line.custom_id()?.as_str()) {
                self.line(&line)?;
                if wanted.is_empty() {
                    break;
                }
            }
        }
        Ok(wanted)
    }
}

/// Lines that were drawn, in their order, how many they were drawn from, and how many others have no outcome yet.
struct Drawn {
    lines: Vec<(u64, LedgerLine)>,
    of: u64,
    open: u64,
}

impl Drawn {
    /// Draws each line with the same chance, and holds no more than are wanted: those with an outcome, or, where none has
    /// one, those without.
    fn from(lines: Ledger, count: u64, args: &ShowArgs, interrupt: &Interrupt) -> Result<Self, CliError> {
        let [mut ended, mut open] = [(); 2].map(|()| Self { lines: Vec::new(), of: 0, open: 0 });
        let mut dice = [fastrand::Rng::with_seed(args.seed), fastrand::Rng::with_seed(args.seed)];
        for (at, line) in (0..).zip(lines) {
            interrupt.check()?;
            let line = line?;
            match (args.failed, line.result().is_some()) {
                (true, _) if !is_failed(&line)? => {}
                (true, _) | (false, true) => ended.offer(at, line, count, &mut dice[0]),
                (false, false) => open.offer(at, line, count, &mut dice[1]),
            }
        }
        ended.open = open.of;
        let mut drawn = if ended.of > 0 { ended } else { open };
        drawn.lines.sort_by_key(|(at, _)| *at);
        Ok(drawn)
    }

    fn offer(&mut self, at: u64, line: LedgerLine, count: u64, dice: &mut fastrand::Rng) {
        self.of += 1;
        if (self.lines.len() as u64) < count {
            return self.lines.push((at, line));
        }
        let place = usize::try_from(dice.u64(..self.of)).unwrap_or(usize::MAX);
        if let Some(taken) = self.lines.get_mut(place) {
            *taken = (at, line);
        }
    }
}

/// What is said of ids that no line has, with those that are most like them.
fn missed(missing: &BTreeSet<&str>, lines: Ledger, run: &str, interrupt: &Interrupt) -> Result<CliError, CliError> {
    let mut near: Vec<(&str, Vec<(f64, String)>)> = missing.iter().map(|id| (*id, Vec::new())).collect();
    for line in lines {
        interrupt.check()?;
        let id = line?.custom_id()?;
        for (wanted, found) in &mut near {
            if id.len().max(wanted.len()) > LONGEST {
                continue;
            }
            let like = strsim::normalized_damerau_levenshtein(wanted, &id);
            if like >= LIKE && (found.len() < NEAR || found.last().is_some_and(|(least, _)| *least < like)) {
                let place = found.partition_point(|(other, _)| *other >= like);
                found.insert(place, (like, id.clone()));
                found.truncate(NEAR);
            }
        }
    }
    let said = |(wanted, found): (&str, Vec<(f64, String)>)| {
        let found: Vec<String> = found.into_iter().map(|(_, id)| shell::quoted(id)).collect();
        let near = if found.is_empty() { String::new() } else { format!("; near it: {}", found.join(", ")) };
        format!("{run}: no line has the custom_id {}{near}", visible(&format!("{wanted:?}")))
    };
    let mut said = near.into_iter().map(said);
    let first = CliError::usage(said.next().unwrap_or_default());
    Ok(first.with(said.map(|line| format!("error: {line}"))))
}
