//! `lote run`: its flags, what it prints, and its exit code.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use lote::run::{Progress, Report, Run, RunError};
use lote::{Batch, BatchId, Cadence, Client};
use lote_gateway::Gateway;
use serde_json::json;

use crate::batch_options::BatchOptionArgs;
use crate::endpoint::Endpoint;
use crate::exit::{CliError, Exit};
use crate::fetch::{self, NoRoom};
use crate::input;
use crate::interrupt::Stop;
use crate::out;
use crate::progress::Bar;
use crate::service::ServiceArgs;
use crate::shell::{self, CommandLine};
use crate::summary;
use crate::values;

/// How many findings are printed when the input is refused.
const SHOWN_FINDINGS: usize = 20;

/// Run a file of requests to a file of results
///
/// Checks the requests, uploads them, creates one batch, waits for its end, fetches its files,
/// and writes one result line for each request line, in the order of the requests. A request
/// that was not answered has error.code "missing", one whose answer cannot be read "unreadable".
///
/// What the batch says of itself is held against what came. A batch that is over and names no
/// file of its lines is asked for again, for two minutes. Counts and tokens that differ from those
/// of its lines are anomalies in the summary; they change no exit code by themselves.
///
/// The folder keeps what was sent, the batch, what came back, and the results. The intent is
/// written there before the batch is created, so that nothing is paid for unnoticed; a folder
/// that holds a run already is refused, but for one that ended before its create, which is used
/// again. All that is written may be read only by who may read the requests.
///
/// -o is tried before anything is sent. It replaces no file but an empty one, or, with --force,
/// any; a pipe or a device is written to when the results are there.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote run examples/requests.jsonl --embedded
  LOTE_API_KEY=mk-… lote run requests.jsonl -o results.jsonl
  lote run requests.jsonl --base-url https://api.openai.com/v1 --deadline 26h
  lote run requests.jsonl --embedded --json | jq .usage.total_tokens

Exit 0: every line succeeded. 1: some did not, or the batch expired or was cancelled.
2: usage, the folder holds a run, or the disk refuses. 3: the input was refused.
4: the service refused, could not be reached, or failed the batch. 5: gave up waiting.
130: interrupted."
)]
pub(crate) struct RunArgs {
    /// The request file
    #[arg(value_parser = input::path())]
    requests: PathBuf,

    /// Use a gateway inside this process, with a built-in model: no account, no network
    ///
    /// The settings of a service in the environment are not used then.
    #[arg(long)]
    embedded: bool,

    /// Where the run is kept [default: beside the requests, named after them: requests.run]
    #[arg(long, value_name = "FOLDER", value_parser = input::path())]
    dir: Option<PathBuf>,

    /// Where the results are to be as well; the folder keeps its own copy
    #[arg(short, long, value_name = "FILE", value_parser = input::output())]
    output: Option<PathBuf>,

    /// Let -o replace whatever file is there
    #[arg(long, requires = "output")]
    force: bool,

    /// The endpoint that each line's url must name [default: that of the first line]
    #[arg(long, value_name = "ENDPOINT")]
    endpoint: Option<Endpoint>,

    /// How long the run may take in all, such as 90s, 10m, 26h or 1d [default: until it is done]
    #[arg(long, visible_alias = "timeout", value_name = "DURATION", value_parser = values::duration)]
    deadline: Option<Duration>,

    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    batch: BatchOptionArgs,

    #[command(flatten)]
    service: ServiceArgs,
}

/// # Errors
/// When there are no results, with the exit code that says why.
pub(crate) fn run(args: &RunArgs, matches: Option<&ArgMatches>) -> Result<Exit, CliError> {
    if args.embedded {
        refuse_service(matches)?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::usage(format!("the runtime cannot start: {error}")))?;
    let ended = runtime.block_on(async {
        let mut stop =
            Stop::listen().map_err(|error| CliError::usage(format!("signals cannot be handled: {error}")))?;
        if args.embedded {
            let gateway = Gateway::builder()
                .only_random_key()
                .start()
                .await
                .map_err(|error| CliError::usage(format!("the embedded gateway cannot start: {error}")))?;
            let client =
                Client::builder().base_url(gateway.url()).api_key(gateway.random_key().unwrap_or_default()).build()?;
            let ended = execute(args, &client, &mut stop).await;
            gateway.shutdown().await;
            ended
        } else {
            execute(args, &args.service.client()?, &mut stop).await
        }
    });
    // A check or copy that goes on after an interrupt notices, and leaves nothing behind.
    runtime.shutdown_timeout(Duration::from_secs(5));
    ended
}

/// The settings of a service may be in the environment of an embedded run, but not in its flags: whoever gives both
/// means one of them otherwise.
fn refuse_service(matches: Option<&ArgMatches>) -> Result<(), CliError> {
    let given = |id: &&str| matches.is_some_and(|matches| matches.value_source(id) == Some(ValueSource::CommandLine));
    match ["base_url", "dialect", "api_key", "on_behalf_of"].iter().find(|id| given(id)) {
        Some(id) => Err(CliError::usage(format!(
            "--embedded and --{} were both given: leave one of them out; nothing was sent",
            id.replace('_', "-")
        ))),
        None => Ok(()),
    }
}

async fn execute(args: &RunArgs, client: &Client, stop: &mut Stop) -> Result<Exit, CliError> {
    let bar = Bar::new();
    let seen: Arc<Mutex<Option<Batch>>> = Arc::default();
    let run = {
        let (bar, seen) = (bar.clone(), Arc::clone(&seen));
        plan(args, client)?.on_progress(move |progress| {
            if let Progress::Created(batch) | Progress::Waiting(batch) = &progress {
                *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(Batch::clone(batch));
            }
            bar.show(&progress);
        })
    };
    let folder = run.folder_path();
    let ended = tokio::select! {
        ended = run.execute() => ended,
        () = stop.asked() => {
            bar.clear();
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
            return Err(interrupted(args, &folder, seen.as_ref()));
        }
    };
    bar.clear();
    match ended {
        Ok(report) => {
            let exit = if report.all_succeeded() { Exit::Success } else { Exit::Incomplete };
            print(args, &report)?;
            Ok(exit)
        }
        Err(RunError::Input { checked, findings, groups, .. }) => {
            if args.json {
                out::line(json!({ "findings": findings, "findings_total": checked.findings }))?;
            }
            for group in groups.groups().iter().take(SHOWN_FINDINGS) {
                out::note(group);
            }
            Err(CliError::refused(format!(
                "{}: {}; nothing was sent; see all with lote check",
                args.requests.display(),
                out::count(checked.findings, "finding")
            )))
        }
        Err(RunError::NotCopied { output, error, report, .. }) => {
            print(args, &report)?;
            Err(CliError::usage(format!("{}: cannot be written: {error}", output.display())))
        }
        Err(error) => {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
            Err(ended_early(args, &error, seen.as_ref(), &folder))
        }
    }
}

fn plan(args: &RunArgs, client: &Client) -> Result<Run, CliError> {
    let options = args.batch.options()?;
    if args.output.as_deref().is_some_and(input::is_dash) {
        return Err(CliError::usage(
            "-o -: results are not printed; name a file, or read them in the folder of the run",
        ));
    }
    let mut run = Run::new(client, &args.requests).options(options);
    if let Some(folder) = &args.dir {
        run = run.folder(folder);
    }
    if let Some(output) = &args.output {
        run = run.output(output).replace_output(args.force);
    }
    if let Some(endpoint) = args.endpoint.clone() {
        run = run.endpoint(endpoint);
    }
    if let Some(deadline) = args.deadline {
        run = run.deadline(deadline);
    }
    if args.embedded {
        run = run.cadence(Cadence::new(Duration::from_millis(20), Duration::from_millis(500)));
    }
    Ok(run)
}

fn exit(error: &RunError) -> Exit {
    match error {
        RunError::Input { .. } => Exit::Refused,
        RunError::Held { .. }
        | RunError::Busy { .. }
        | RunError::Unreadable { .. }
        | RunError::Lost { .. }
        | RunError::Place { .. }
        | RunError::Io { .. } => Exit::Usage,
        // A value that this side refused, such as a max_concurrency of 0, and a disk that is full.
        RunError::Refused(error) | RunError::Unfetched { error, .. } if error.is_invalid() || error.is_io() => {
            Exit::Usage
        }
        RunError::GaveUp { .. } => Exit::GaveUp,
        RunError::Refused(error) | RunError::Ambiguous { error, .. } | RunError::Unfetched { error, .. }
            if error.is_deadline() =>
        {
            Exit::GaveUp
        }
        // The answers cannot be read, or the service refused.
        RunError::Refused(_)
        | RunError::Unfetched { .. }
        | RunError::Ambiguous { .. }
        | RunError::BatchFailed { .. }
        | RunError::Unjoined { .. } => Exit::Service,
        _ => Exit::Service,
    }
}

/// What is said when there are no results: the error, and the commands that go on from there. An embedded gateway, and
/// its batch, has ended by then.
fn ended_early(args: &RunArgs, error: &RunError, seen: Option<&Batch>, folder: &Path) -> CliError {
    let exit = exit(error);
    if let Some(lines) = seen.filter(|batch| batch.is_terminal()).and_then(|batch| over(args, error, batch, folder)) {
        return CliError::new(exit, error.to_string()).with(lines);
    }
    match error {
        RunError::GaveUp { .. }
        | RunError::Unfetched { .. }
        | RunError::Io { batch: Some(_), .. }
        | RunError::Lost { batch: Some(_), .. }
            if args.embedded =>
        {
            let ended = "  the embedded gateway and its batch ended with this command".to_owned();
            CliError::new(exit, error.to_string()).with([ended])
        }
        RunError::Unfetched { id, error: late, .. } if late.is_late() => {
            CliError::new(exit, error.to_string()).with(fetch_later(args, id, seen, folder))
        }
        RunError::GaveUp { id, .. }
        | RunError::Unfetched { id, .. }
        | RunError::Io { batch: Some(id), .. }
        | RunError::Lost { batch: Some(id), .. } => {
            CliError::new(exit, error.to_string()).with(go_on(args, id, seen, folder))
        }
        RunError::Ambiguous { sha256, .. } => {
            let list = args.service.again("batches list").switch("--all");
            CliError::new(exit, error.to_string()).with([format!("  {list} | grep {}", shell::quoted(sha256))])
        }
        // An embedded batch ended with its gateway: there is nothing to fetch, and nothing was paid.
        RunError::Held { record: Some(record), .. } if record.may_go_on() && !args.embedded => {
            let mut lines = match &record.batch_id {
                Some(id) => go_on(args, id, seen, folder),
                None => {
                    let list = args.service.again("batches list").switch("--all");
                    vec![format!("  {list} | grep {}", shell::quoted(&record.sha256))]
                }
            };
            lines.push("  another folder, named with --dir, pays for these requests again".to_owned());
            CliError::new(exit, error.to_string()).with(lines)
        }
        RunError::Held { .. } | RunError::Busy { .. } | RunError::Unreadable { .. } => {
            CliError::new(exit, error.to_string()).with(["  another folder is named with --dir".to_owned()])
        }
        // The lines are ours: the library makes those of the service visible.
        RunError::BatchFailed { .. } => {
            let text = error.to_string();
            let mut lines = text.split('\n').map(str::to_owned);
            CliError::new(exit, lines.next().unwrap_or_default()).with(lines)
        }
        _ => CliError::new(exit, error.to_string()),
    }
}

/// The commands with which the user fetches what a batch has that is over, and joins it.
fn over(args: &RunArgs, error: &RunError, batch: &Batch, folder: &Path) -> Option<Vec<String>> {
    let lines = |kept, place: &Path| fetch::lines(&args.service, batch, kept, place);
    match error {
        _ if args.embedded => None,
        // What is in the place of a folder that was lost is not of this run.
        RunError::Lost { batch: Some(_), .. } => Some(lines(None, Path::new(""))),
        RunError::Unfetched { error, .. } if error.is_late() => None,
        RunError::Unfetched { .. } | RunError::Io { batch: Some(_), .. } => Some(match NoRoom::of(error) {
            // What is in the folder is whole; the rest needs room.
            Some(room) => [vec![room.advice()], lines(Some(folder), &room.place(folder))].concat(),
            None => lines(Some(folder), folder),
        }),
        _ => None,
    }
}

/// The commands with which the user fetches what a batch has finished once the service names it.
fn fetch_later(args: &RunArgs, id: &BatchId, seen: Option<&Batch>, folder: &Path) -> Vec<String> {
    let output = seen.and_then(|batch| batch.output_file_id.as_ref()).map_or("OUTPUT_FILE_ID", |id| id.as_str());
    let join = CommandLine::new("join").word(folder.join("requests.jsonl")).word("output.jsonl");
    vec![
        format!("  {}  # prints the ids of its files", args.service.again("batches wait").word(id.as_str())),
        format!("  {}", args.service.again("files content").word(output).flag("-o", "output.jsonl")),
        format!("  {}", join.flag("-o", "results.jsonl")),
    ]
}

/// The commands with which the user follows or ends a batch, and fetches what it has: each works as it stands.
fn go_on(args: &RunArgs, id: &BatchId, seen: Option<&Batch>, folder: &Path) -> Vec<String> {
    let again = |subcommand: &str| args.service.again(subcommand);
    let wait = again("batches wait").word(id.as_str());
    let mut lines = vec![
        format!("  {wait}  # prints the ids of its files, for lote files content"),
        format!("  {}", again("batches cancel").word(id.as_str())),
    ];
    let files = seen.map(|batch| [&batch.output_file_id, &batch.error_file_id]).into_iter().flatten();
    for (file, name) in files.zip(["output.jsonl", "errors.jsonl"]) {
        if let Some(file) = file {
            let content = again("files content").word(file.as_str()).flag("-o", folder.join(name));
            lines.push(format!("  {content}"));
        }
    }
    lines
}

fn interrupted(args: &RunArgs, folder: &Path, seen: Option<&Batch>) -> CliError {
    let message = match seen {
        _ if args.embedded => "interrupted; the embedded gateway and its batch ended with this command".to_owned(),
        Some(batch) if batch.is_terminal() => {
            let lines = fetch::lines(&args.service, batch, Some(folder), folder);
            return fetch::interrupted(batch).with(lines);
        }
        Some(Batch { id, .. }) => {
            let cancel = args.service.again("batches cancel").word(id.as_str());
            format!("interrupted; batch {id} goes on at the service, and will be charged; to stop it: {cancel}")
        }
        None => match lote::run::Record::read(folder) {
            Some(record) if record.nothing_was_begun() => {
                format!("interrupted; no batch was created, and the next run uses {} again", shell::quoted(folder))
            }
            Some(record) if record.may_go_on() => {
                format!("interrupted; {} says how far it came: {record}", shell::quoted(folder.join("run.json")))
            }
            _ => "interrupted; no batch was created".to_owned(),
        },
    };
    CliError::new(Exit::Interrupted, message)
}

fn print(args: &RunArgs, report: &Report) -> Result<(), CliError> {
    if args.json {
        let text = serde_json::to_string(report).map_err(|error| CliError::usage(format!("summary: {error}")))?;
        return out::line(text);
    }
    let of = format!("; batch {} {}", report.batch.id, report.batch.status);
    for error in report.batch.errors.iter().take(SHOWN_FINDINGS) {
        out::note(format_args!("batch {}: {error}", report.batch.id));
    }
    out::lines(summary::lines(&report.joined, &of, Some(&report.folder.join("summary.json"))))?;
    out::text(format_args!("time: {:.1} s", report.seconds))?;
    out::text(format_args!("results: {}", shell::quoted(&report.results)))
}
