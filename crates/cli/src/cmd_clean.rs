//! `lote clean`: removes what a finished run needs no more, from its folder or at the service.

use std::path::PathBuf;

use clap::Args;
use lote::run::{
    Clean, Cleaned, CleanedRemote, Progress, RemoteFile, RemoteKind, RemoteState, Run, RunError, clean, status,
};
use lote::text::visible;
use serde::Serialize;

use crate::again;
use crate::course::exit;
use crate::exit::{CliError, Exit};
use crate::input;
use crate::interrupt;
use crate::out;
use crate::service::ServiceArgs;
use crate::shell;

/// Remove what a finished run needs no more
///
/// Removes from the folder of a finished run what can be made again or is needed no more: the results
/// of single shards and the order of the lines, and, once every line has succeeded, the request lines
/// as they were sent, if the input is where it was and still holds them. Answers as they came, the
/// results, run.json and the log always stay, and lote repair works as before. No key is needed.
///
/// With --remote it removes nothing here, but deletes what the run has put at the service, and nothing
/// else: its files of request lines, and the output and error files of its batches, by the ids in its
/// folder. A file of lines that a batch at work reads, or of which a run beside this one is yet to make
/// a batch, is kept. What is gone is written down: the same command again asks for the rest. Services
/// that know equal files by their hash have one file where you have uploaded the same lines twice.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote clean requests.run --dry-run
  lote clean requests.run
  lote clean requests.run --remote
  lote clean requests.run --remote --json | jq -r '.files[] | select(.state == \"kept\").id'

Exit 0: all that may go is gone. 1: files stay at the service that were to be deleted.
2: usage, or the run is not finished, busy or unreadable. 4: the service refused, or could not
be reached."
)]
pub(crate) struct CleanArgs {
    /// The folder of the run
    #[arg(value_parser = input::path())]
    run: PathBuf,

    /// Delete what the run has put at the service, in place of what is here
    #[arg(long)]
    remote: bool,

    /// Only say what would go
    #[arg(long)]
    dry_run: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    service: ServiceArgs,
}

/// # Errors
/// When the run is not finished or the folder cannot be used; with --remote, when the service refuses.
pub(crate) fn run(args: &CleanArgs) -> Result<Exit, CliError> {
    let how = Clean::new().dry_run(args.dry_run);
    if !args.remote {
        return interrupt::watch({
            let (folder, as_json) = (args.run.clone(), args.json);
            move |_| {
                let cleaned = clean(folder, how).map_err(|error| refused(&error))?;
                print_local(&cleaned, as_json)?;
                Ok(Exit::Success)
            }
        });
    }
    let status = status(&args.run).map_err(|error| refused(&error))?;
    if status.base_url == "embedded" {
        // Its gateway ended with it, and no key is needed to say so.
        print_remote(args, &CleanedRemote::default())?;
        return Ok(Exit::Success);
    }
    let (as_json, folder) = (args.json, &args.run);
    let line = args.service.again("clean").word(folder).switch("--remote");
    let stopped = || again::interrupted("the files that are left stay at the service", line, "goes on");
    interrupt::drive_or(stopped, async {
        let client = args.service.client().await?;
        let run = Run::open(&client, folder).on_progress(move |progress| {
            if let (Progress::Cleaned(file), false) = (&progress, as_json) {
                // Each as it goes: what was deleted is known even if this ends early.
                let _ = out::text(told(file));
            }
        });
        let cleaned = run.delete_remote(how).await.map_err(|error| refused(&error))?;
        print_remote(args, &cleaned)?;
        Ok(if cleaned.is_whole() { Exit::Success } else { Exit::Incomplete })
    })
}

fn refused(error: &RunError) -> CliError {
    CliError::new(exit(error), error.to_string())
}

fn print_local(cleaned: &Cleaned, as_json: bool) -> Result<(), CliError> {
    if as_json {
        return json_line(cleaned);
    }
    let (verb, folder) = (if cleaned.dry_run { "would be freed" } else { "freed" }, shell::quoted(&cleaned.folder));
    let files = out::count(cleaned.files.len() as u64, "file");
    if cleaned.dry_run {
        out::lines(cleaned.files.iter().map(|file| format!("{}: {} bytes", file.path.display(), file.bytes)))?;
    }
    out::text(format_args!("{folder}: {} bytes {verb}, in {files}", cleaned.bytes))
}

fn print_remote(args: &CleanArgs, cleaned: &CleanedRemote) -> Result<(), CliError> {
    if args.json {
        return json_line(&Remote { folder: args.run.display().to_string(), cleaned });
    }
    out::text(format_args!("{}: {}", shell::quoted(&args.run), sum(cleaned)))
}

/// What is printed as JSON: the fields of what was deleted, and of which run.
#[derive(Serialize)]
struct Remote<'a> {
    folder: String,
    #[serde(flatten)]
    cleaned: &'a CleanedRemote,
}

fn json_line(value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string(value).map_err(|error| CliError::usage(format!("the result: {error}")))?;
    out::line(text)
}

/// What became of a file at the service.
pub(crate) fn told(file: &RemoteFile) -> String {
    let kind = match file.kind {
        RemoteKind::Input => "input",
        RemoteKind::Output => "output",
        RemoteKind::Errors => "errors",
        _ => "file",
    };
    let state = match file.state {
        RemoteState::Deleted => "deleted",
        RemoteState::Gone => "was gone already",
        RemoteState::Kept => "kept",
        _ => "would be deleted",
    };
    let why = file.why.as_ref().map(|why| format!(": {}", visible(why))).unwrap_or_default();
    format!("{} ({kind} of shard {}) {state}{why}", file.id, file.shard)
}

/// What became of all of them.
pub(crate) fn sum(cleaned: &CleanedRemote) -> String {
    if let Some(problem) = &cleaned.problem {
        return format!("no file at the service was deleted: {problem}");
    }
    let count = |state| cleaned.files.iter().filter(|file| file.state == state).count() as u64;
    let found = count(RemoteState::Found);
    let mut text = match cleaned.dry_run {
        true => format!("{} at the service would be deleted", out::count(found, "file")),
        false => format!("{} at the service deleted", out::count(count(RemoteState::Deleted), "file")),
    };
    for (state, what) in [(RemoteState::Gone, "gone already"), (RemoteState::Kept, "kept")] {
        if count(state) > 0 {
            text.push_str(&format!(", {} {what}", count(state)));
        }
    }
    text
}
