//! `lote report`: a page that tells of a run.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use lote::save::Replace;
use serde_json::json;

use crate::exit::{CliError, Exit};
use crate::input;
use crate::interrupt::Interrupt;
use crate::out;
use crate::prepare::output::Output;
use crate::prices::PricesArgs;
use crate::report::{BEGINS, Page};

/// What the command makes, in messages.
const WHAT: &str = "page";

/// Make a page that tells of a run: what became of its lines, and when
///
/// Writes one HTML file, which needs nothing else and no network: outcomes, errors, tokens and costs
/// by model, the times of its shards, what is odd about the answers, and what to do next. It can be
/// looked at by whoever gets it, printed, and kept beside the results. It holds no answer, but
/// messages of errors, custom_ids of lines with errors, and names of files.
///
/// A run that is not finished has a page too, which says so; the same command makes it again. The
/// results are read once, a line at a time. Nothing is asked of the service.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote report requests.run -o report.html
  lote report requests.run -o report.html --prices prices.toml

Exit 0: the page is written, whatever became of the run. 1: it is, but not all results can be
read. 2: usage, or a run or file that cannot be read or written. 130: interrupted."
)]
pub(crate) struct ReportArgs {
    /// The folder of the run
    #[arg(value_parser = input::path())]
    run: PathBuf,

    /// Where the page is to be; - is stdout
    #[arg(short, long, required = true, value_name = "FILE", value_parser = input::output())]
    output: PathBuf,

    #[command(flatten)]
    prices: PricesArgs,

    /// Replace the output although it is no such page
    #[arg(long)]
    force: bool,

    /// Print where the page is, and of how many lines, as one JSON object
    #[arg(long)]
    json: bool,
}

/// # Errors
/// When there is no page, with the exit code that says why.
pub(crate) fn run(args: &ReportArgs, interrupt: &Interrupt) -> Result<Exit, CliError> {
    let is_dash = input::is_dash(&args.output);
    // Before anything is begun to be written.
    lote::run::status(&args.run).map_err(|error| CliError::usage(error.to_string()))?;
    let prices = args.prices.of_results(&args.run)?;
    let replace = if args.force || is_page(&args.output) { Replace::Anything } else { Replace::Same };
    let mut output = Output::of_any_kind(&args.output, WHAT, replace, &[&args.run.join("run.json")])?;
    if let Some(path) = output.half_made() {
        interrupt.half_made(path);
    }
    let (page, told) = Page::of(&args.run, prices, args.prices.is_given(), interrupt)?;
    page.write(&mut output).map_err(|error| cannot_write(&error))?;
    interrupt.check()?;
    output.finish()?;
    let place = if is_dash { "stdout".to_owned() } else { args.output.display().to_string() };
    let tell = |text: String| {
        if is_dash {
            out::note(text);
            return Ok(());
        }
        out::text(text)
    };
    if args.json {
        let object = json!({
            "output": place,
            "finished": told.finished,
            "lines": told.lines,
            "without_outcome": told.without_outcome,
            "unreadable": told.damaged,
            "unread": told.unread,
        });
        if is_dash { out::note_line(object) } else { out::line(object)? }
    } else {
        let lines = out::count(told.lines, "line");
        tell(match told.finished {
            true => format!("{place}: a run of {lines}"),
            false => format!("{place}: a run of {lines}, {} without an outcome yet", told.without_outcome),
        })?;
        if let Some(why) = &told.unread {
            tell(format!("not all of its results can be read, which the page says: {}", out::short(why)))?;
        }
        if told.damaged > 0 {
            tell(format!("{} cannot be read, and counted as nothing", out::count(told.damaged, "result line")))?;
        }
    }
    Ok(if told.damaged == 0 && told.unread.is_none() { Exit::Success } else { Exit::Incomplete })
}

/// Whether a file is a page that this command has made, of whatever run: it can be made again.
fn is_page(path: &Path) -> bool {
    let mut begins = [0; BEGINS.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut begins));
    read.is_ok() && begins == BEGINS.as_bytes()
}

fn cannot_write(error: &io::Error) -> CliError {
    CliError::usage(format!("the {WHAT} cannot be written: {error}; nothing was left under the final name"))
}
