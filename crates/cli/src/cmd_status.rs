//! `lote status` and `lote runs`: how far runs have come, as their folders say.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use lote::BatchId;
use lote::run::{GivenUpBatch, RunError, RunPhase, RunStatus, ShardStatus, list, list_below, status};
use lote::text::visible;

use crate::exit::{CliError, Exit};
use crate::invoice;
use crate::layout;
use crate::out;
use crate::place;
use crate::quote;
use crate::shell;
use crate::summary;

/// How often --watch looks.
const WATCHED: Duration = Duration::from_secs(2);

/// How many shards are listed one by one.
const SHOWN: usize = 20;

/// Say how far a run has come
///
/// Reads the run's folder, from any terminal, while a lote may be at work on it. Nothing is asked
/// of the service, and nothing is written.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote status requests.run
  lote status requests.run --watch
  lote status requests.run --json | jq .phase

Exit 0: the run could be read, whatever became of it. 2: it could not."
)]
pub(crate) struct StatusArgs {
    /// The folder of the run, or its file of requests [default: the only one in this folder]
    run: Option<PathBuf>,

    /// Say it again whenever it changes, until no lote is at work on it
    #[arg(long)]
    watch: bool,

    /// Print it as one JSON object
    #[arg(long)]
    json: bool,
}

/// List the runs below a folder
///
/// All of them, however deep, the youngest first: state, lines, when they were begun. Links are not
/// followed, and the folder of a run is not looked into. A run or folder that cannot be read has a
/// line of its own, at the end.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote runs
  lote runs ~/batches --json | jq -r 'select(.phase == \"stopped\").folder'

Exit 0: the folder could be read. 2: it could not, or a run or folder in it."
)]
pub(crate) struct RunsArgs {
    /// The folder that the runs are below
    #[arg(default_value = ".")]
    folder: PathBuf,

    /// Print each as one JSON object, line by line
    #[arg(long)]
    json: bool,
}

/// # Errors
/// With exit 2 when there is no run that can be read.
pub(crate) fn run(args: &StatusArgs) -> Result<Exit, CliError> {
    let folder = match &args.run {
        Some(named) => place::of_run(named)?,
        None => only_run()?,
    };
    let mut before = String::new();
    loop {
        let status = status(&folder).map_err(|error| CliError::usage(error.to_string()))?;
        let text = json(&status)?;
        if text != before {
            match args.json {
                true => out::line(&text)?,
                false => out::lines(lines(&status).iter().flat_map(|line| on_screen(line)))?,
            }
            before = text;
        }
        if !args.watch || status.phase != RunPhase::Working {
            return Ok(Exit::Success);
        }
        std::thread::sleep(WATCHED);
    }
}

/// A line in as many as the terminal needs; in a pipe it is one.
fn on_screen(line: &str) -> Vec<String> {
    match layout::columns() {
        Some(columns) => layout::listed(line, columns),
        None => vec![line.to_owned()],
    }
}

/// The only run in the current folder. What was passed over, since it cannot be read, is told.
fn only_run() -> Result<PathBuf, CliError> {
    let runs = list(".").map_err(|error| CliError::usage(error.to_string()))?;
    let (runs, unread): (Vec<_>, Vec<_>) = runs.into_iter().partition(Result::is_ok);
    for error in unread.into_iter().filter_map(Result::err) {
        out::problem(format_args!("passed over: {}", unreadable(&error)));
    }
    let mut folders = runs.into_iter().flatten().map(|run| here(&run.folder));
    match (folders.next(), folders.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(CliError::usage("there is no run in this folder that can be read; name one (lote runs)")),
        (Some(_), Some(_)) => Err(CliError::usage("there are several runs in this folder; name one (lote runs)")),
    }
}

/// Why a run cannot be read, behind its folder.
fn unreadable(error: &RunError) -> String {
    let folder = error.folder().map(here).unwrap_or_default();
    let why = error.to_string();
    let of_folder = |why: &str| Some(why.strip_prefix(&*error.folder()?.to_string_lossy())?.to_owned());
    let why = of_folder(&why).unwrap_or(why);
    let why = why.trim_start_matches([':', '/', ' ']);
    format!("{}  cannot be read: {why}", shell::quoted(&folder))
}

/// A path without the `./` of a folder in the current one.
fn here(path: &Path) -> PathBuf {
    path.strip_prefix(".").ok().filter(|path| !path.as_os_str().is_empty()).unwrap_or(path).to_owned()
}

/// # Errors
/// With exit 2 when the folder cannot be read.
pub(crate) fn runs(args: &RunsArgs) -> Result<Exit, CliError> {
    let found = list_below(&args.folder).map_err(|error| CliError::usage(error.to_string()))?;
    if found.is_empty() {
        out::note(format_args!("there is no run below {}", shell::quoted(&args.folder)));
    }
    let mut exit = Exit::Success;
    for run in found {
        match run {
            Ok(mut status) => {
                status.folder = here(&status.folder);
                match args.json {
                    true => out::line(json(&status)?)?,
                    false => out::lines(on_screen(&format!(
                        "{}  {}  {}{}  begun {}",
                        shell::quoted(&status.folder),
                        phase(&status),
                        came(&status),
                        status
                            .invoice
                            .as_deref()
                            .and_then(invoice::brief)
                            .map(|cost| format!(", {cost}"))
                            .unwrap_or_default(),
                        status.begun_at
                    )))?,
                }
            }
            Err(error) => {
                exit = Exit::Usage;
                match args.json {
                    true => out::line(serde_json::json!({
                        "folder": error.folder().map(|folder| here(folder).display().to_string()),
                        "unreadable": error.to_string(),
                    }))?,
                    false => out::text(unreadable(&error))?,
                }
            }
        }
    }
    Ok(exit)
}

fn json(status: &RunStatus) -> Result<String, CliError> {
    serde_json::to_string(status).map_err(|error| CliError::usage(format!("status: {error}")))
}

fn phase(status: &RunStatus) -> String {
    let phase = match status.phase {
        RunPhase::Working => match &status.holder {
            Some(holder) => format!("{holder} is at work on it"),
            None => "at work".to_owned(),
        },
        RunPhase::Stopped => {
            let held = match status.shards.iter().filter(|shard| shard.held).count() {
                0 => "",
                1 => "; a shard is held, and lote resume says what for",
                _ => "; some shards are held, and lote resume says what for",
            };
            format!("stopped: the same command goes on with it{held}")
        }
        RunPhase::Held => "held: lote resume says what for".to_owned(),
        RunPhase::Finished => "finished".to_owned(),
        _ => "unknown".to_owned(),
    };
    if status.cancelled { format!("{phase}, cancelled") } else { phase }
}

/// How far the lines are; of a finished run, what came of them.
fn came(status: &RunStatus) -> String {
    match &status.results {
        Some(joined) => summary::counts(joined),
        None => format!("{}, {} succeeded", ended(status.ended, status.lines), status.succeeded),
    }
}

fn ended(ended: u64, lines: u64) -> String {
    format!("{ended} of {} ended", out::count(lines, "line"))
}

/// The status for people, line by line.
pub(crate) fn lines(status: &RunStatus) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", shell::quoted(&status.folder), phase(status)), came(status)];
    match (&status.invoice, &status.quote) {
        (Some(invoice), quote) => lines.extend(invoice::lines(invoice, quote.as_deref())),
        (None, Some(quote)) => lines.extend(quote::quoted(quote)),
        (None, None) => {}
    }
    lines.extend(status.partition.map(|part| format!("part {part} of its requests")));
    if status.deduplicated > 0 {
        lines.push(format!(
            "{} equal others: they are not sent, and end with those",
            out::count(status.deduplicated, "line")
        ));
    }
    if let Some(unreached) = &status.unreached {
        let (since, why) = (unreached.since, out::short(&unreached.why));
        lines.push(match status.holder {
            Some(_) => format!("the service is not reached since {since}: {why}"),
            None => format!("the service was not reached when it was asked last, since {since}: {why}"),
        });
    }
    if let Some(why) = &status.refused {
        lines.push(format!("no batch is created: {}", out::short(why)));
    }
    if let Some(why) = &status.waits {
        lines.push(format!("no other batch is created for now: {}", out::short(why)));
    }
    lines.extend(status.given_up.iter().take(SHOWN).map(|GivenUpBatch { shard, id, lines, .. }| {
        format!(
            "batch {id} of shard {shard} was given up: what it did of its {} may be charged",
            out::count(*lines, "line")
        )
    }));
    // Those that are at work, or stand in the way, before those that are done.
    let mut shards: Vec<&ShardStatus> = status.shards.iter().collect();
    shards.sort_by_key(|shard| (matches!(shard.phase, "settled"), shard.shard));
    lines.extend(shards.iter().take(SHOWN).map(|shard| self::shard(shard)));
    if shards.len() > SHOWN {
        lines.push(format!("  and {} more shards, listed with --json", shards.len() - SHOWN));
    }
    lines
}

fn shard(shard: &ShardStatus) -> String {
    let attempt = if shard.attempt > 1 { format!(", attempt {}", shard.attempt) } else { String::new() };
    let batch = match (&shard.batch, &shard.status) {
        (Some(id), Some(status)) => format!(", batch {id} ({})", visible(status)),
        (Some(id), None) => format!(", batch {id}"),
        _ => String::new(),
    };
    let why = shard.why.as_ref().map(|why| format!(": {}", out::short(why))).unwrap_or_default();
    let surplus: Vec<&str> = shard.surplus.iter().map(BatchId::as_str).collect();
    let surplus = match surplus.as_slice() {
        [] => String::new(),
        ids => format!(", made a second time as {}, which may be charged", ids.join(", ")),
    };
    let held = if shard.held { ", held" } else { "" };
    let rescued = match (shard.rescued, shard.rest_of) {
        (Some(_), _) => ", rescued".to_owned(),
        (None, Some(of)) => format!(", what shard {of} has left"),
        (None, None) => String::new(),
    };
    let came = match shard.phase {
        "settled" => format!("{} of {} succeeded", shard.succeeded, out::count(shard.lines, "line")),
        _ => ended(shard.ended, shard.lines),
    };
    format!("  shard {}{attempt}: {}{held}{rescued}{batch}{surplus}, {came}{why}", shard.shard, shard.phase)
}
