//! `lote run`: its flags, and what they make of a run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::{ArgMatches, Args};
use lote::Client;
use lote::lines::Limits;
use lote::run::{Partition, Run};

use crate::batch_options::BatchOptionArgs;
use crate::caps::CapArgs;
use crate::course::{Course, CourseArgs, ReachArgs};
use crate::embedded::{self, Inside};
use crate::endpoint::Endpoint;
use crate::exit::{CliError, Exit};
use crate::input;
use crate::interrupt::{self, Stop};
use crate::out;
use crate::prepare::args::AskArgs;
use crate::run_table::{Lines, Table};
use crate::service::ServiceArgs;
use crate::spool::Spooled;
use crate::values;

/// Run files of requests, or a table, to a file of results
///
/// Checks the requests, cuts them into as many batches as the service's limits, endpoints and
/// models want, uploads each and creates its batch, waits, fetches, and writes one result line for
/// each request line, in the order of the requests. A request that was not answered has error.code
/// "missing", one whose answer cannot be read "unreadable".
///
/// A table (CSV, JSON lines or Parquet) is run with what is asked of each row: --user and --model,
/// --embed or --template, as lote prepare has them. Its request lines are made first, and are kept
/// in the folder of the run, which is named after the table; the same command again goes on with
/// it. lote export --rows puts the answers beside the rows.
///
/// A run is a folder, which keeps what was sent, every step, what came back, and the results. The
/// same command again goes on with it, whatever ended it: a crash, Ctrl-C, a closed laptop. Nothing
/// is created twice: the intent is written down before it is sent, and a create whose answer was
/// lost is looked for in the service's list, twice, before another is sent. A finished run makes no
/// call; --new begins another one beside it, as does what was tried with --embedded before. Any
/// other folder that holds a run of something else is refused; so are lines of which a run whose
/// folder is lost has made batches within a day (--new, or lote resume --adopt).
///
/// What a batch says of itself is held against what came. A batch that is over and names no
/// file of its lines is asked for again, for two minutes. Counts and tokens that differ from those
/// of its lines are anomalies in the summary; they change no exit code by themselves.
///
/// -o is tried before anything is sent. It replaces no file but an empty one, one as this run has
/// written it at any time, or, with --force, any; a pipe or a device is written to when the results
/// are there. All that is written may be read only by who may read the requests.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote run examples/requests.jsonl --embedded
  lote run tickets.csv --user '{{ subject }}: {{ body }}' --model auto --id '{{ ticket_id }}'
  LOTE_API_KEY=mk-… lote run requests.jsonl -o results.jsonl
  lote run part-1.jsonl part-2.jsonl.gz --dir both.run --detach
  lote run requests.jsonl --base-url https://api.openai.com/v1 --deadline 26h
  lote run requests.jsonl --max-enqueued-tokens 2000000 --creates-per-hour 2000
  lote run requests.jsonl --partition 2/5
  lote run requests.jsonl --sync --requests-per-minute 500
  lote run requests.jsonl --rescue-before 2h
  lote run requests.jsonl --dedupe
  lote run requests.jsonl --expect @schema.json
  lote run requests.jsonl --embedded --json | jq .usage.total_tokens
  lote prepare rows.csv --template @chat.json --endpoint chat -o - | lote run - -o results.jsonl

Exit 0: every line succeeded. 1: some did not, a file of answers is damaged, or a
batch expired or was cancelled.
2: usage, the folder holds something else, or the disk refuses. 3: the input was refused. 4: the
service refused, could not be reached, or failed all batches. 5: gave up waiting, or detached.
6: a person must say what became of a create or of a batch. 130: interrupted."
)]
pub(crate) struct RunArgs {
    /// The request files, one after another, or patterns of their names, or - for stdin; gzip and zstd
    /// are read as they are. Or one table, with --user, --embed or --template
    #[arg(required = true, value_parser = input::path())]
    requests: Vec<PathBuf>,

    /// Use a gateway inside this process, with a built-in model: no account, no network
    ///
    /// The settings of a service in the environment are not used then. A run that broke off sends
    /// again what was not settled: its gateway is gone, and nothing was paid.
    #[arg(long)]
    embedded: bool,

    /// Where the run is kept [default: beside the first file, named after it: requests.run]
    ///
    /// Of requests from stdin: here, named after what they are: stdin-1a2b3c4d.run. The same requests
    /// again go on with it. Of a part of the requests: requests.2-of-5.run.
    #[arg(long, value_name = "FOLDER", value_parser = input::path())]
    dir: Option<PathBuf>,

    /// The endpoint that each line's url must name [default: a batch for each endpoint]; of a table that of its
    /// lines [default: chat; embeddings with --embed]
    #[arg(long, value_name = "ENDPOINT")]
    endpoint: Option<Endpoint>,

    /// Only the first lines, or rows of a table, for a trial; what is behind them is not looked at
    #[arg(long, value_name = "N", value_parser = values::positive::<u64>)]
    limit: Option<u64>,

    /// Only part I of N of the lines, of the first ones with --limit; for several machines, or one after another
    ///
    /// Lines are dealt out like cards: part 2/5 has the lines 2, 7, 12 and so on, on every machine.
    /// All lines are checked, whatever part they are in. A part without a line is finished at once,
    /// with exit 0. lote join puts the results of all parts together in the order of the requests.
    #[arg(long, value_name = "I/N")]
    partition: Option<Partition>,

    /// Send lines that ask for the same once: each gets the answer under its own custom_id
    ///
    /// Equal are lines whose url and body are the same byte for byte, but for white space between the
    /// values; the order of keys counts, since that in a schema is the one in which a model answers.
    /// Tokens are counted once, and the summary says what was saved (deduplicated). Where a model would
    /// give several answers to one question, as at a temperature above 0, there is one. It is part of
    /// what the run is; with --partition, lines are equal within a part.
    #[arg(long)]
    dedupe: bool,

    /// How many lines a batch holds at the most [default: the service's limit]
    #[arg(long, value_name = "N", value_parser = values::positive::<u64>)]
    shard_lines: Option<u64>,

    /// How many bytes a batch's file has at the most [default: the service's limit]
    #[arg(long, value_name = "BYTES", value_parser = values::positive::<u64>)]
    shard_bytes: Option<u64>,

    /// Begin another run where the one in the folder is finished, beside it: requests.2.run, or the next that is free
    ///
    /// One that is not finished is gone on with, as without the flag. With --dir that folder has to be
    /// free. Batches are made of the lines although a run whose folder is lost has made some within a day.
    #[arg(long)]
    new: bool,

    #[command(flatten)]
    ask: Box<AskArgs>,

    #[command(flatten)]
    course: CourseArgs,

    #[command(flatten)]
    reach: ReachArgs,

    #[command(flatten)]
    caps: CapArgs,

    #[command(flatten)]
    batch: BatchOptionArgs,

    #[command(flatten)]
    service: ServiceArgs,
}

/// # Errors
/// When there are no results, with the exit code that says why.
pub(crate) fn run(args: &RunArgs, matches: Option<&ArgMatches>) -> Result<Exit, CliError> {
    if args.embedded
        && let Some(flag) = embedded::service_flag(matches)
    {
        let message = format!("--embedded and {flag} were both given: leave one of them out; nothing was sent");
        return Err(CliError::usage(message));
    }
    let requests = input::files(&args.requests)?;
    let table = Table::of(&args.ask, &requests, args.endpoint.as_ref(), args.limit)?;
    interrupt::drive_run(args.embedded, async |stop| {
        let started = Instant::now();
        let spooled = match (&table, requests.as_slice()) {
            (Some(table), _) => Some(lines(args, table, stop).await?),
            (None, [one]) if input::is_dash(one) => {
                let read = Spooled::read(stop, args.course.deadline()).await;
                Some(read.or_else(|said| args.course.before_it_began(said))?)
            }
            (None, several) if several.iter().any(|one| input::is_dash(one)) => {
                return Err(CliError::usage("-: requests from stdin are given alone; nothing was sent"));
            }
            _ => None,
        };
        let spooled = spooled.as_ref();
        let course = Course {
            args: &args.course,
            service: &args.service,
            reach: Some(&args.reach),
            embedded: args.embedded,
            inputs: &requests,
            spooled,
            table: table.as_deref(),
        };
        if args.embedded {
            let inside = Inside::start().await?;
            let run = inside.run(args.course.apply(plan(args, &requests, spooled, inside.client())?)?.begun(started));
            let ended = course.execute(run, stop).await;
            inside.shutdown().await;
            ended
        } else {
            let Some(client) = stop.unless_asked(args.service.client_or_embedded()).await else {
                return args.course.before_it_began(CliError::interrupted());
            };
            let run = match client {
                // A finished run is told, and its -o written, without a call.
                Err(error) => finished(args, &requests, spooled).await.ok_or(error)?,
                Ok(client) => plan(args, &requests, spooled, &client)?,
            };
            course.execute(args.course.apply(run)?.begun(started), stop).await
        }
    })
}

/// The request lines of a table.
async fn lines(args: &RunArgs, table: &Arc<Table>, stop: &mut Stop) -> Result<Spooled, CliError> {
    let made = table.lines(stop, args.course.deadline(), args.course.is_json()).await;
    let Lines { spooled, advice } = made.or_else(|said| args.course.before_it_began(said))?;
    let folder = args.dir.clone().unwrap_or_else(|| spooled.folder(args.partition));
    // A run that is there has the names that it has.
    if let Some(advice) = advice.filter(|_| !args.course.is_json() && !folder.exists()) {
        out::note(advice);
    }
    Ok(spooled)
}

/// The run without a key, if its folder has all that came of it and nothing more is asked.
async fn finished(args: &RunArgs, requests: &[PathBuf], spooled: Option<&Spooled>) -> Option<Run> {
    let client = args.service.keyless().ok().filter(|_| args.reach.only_reads() && !args.new)?;
    // Where there was a trial, that is not what came of it.
    let run = plan(args, requests, spooled, &client).ok()?.placed().await.ok()?;
    let came_of_it = Run::open(&client, run.folder_path()).finished().await;
    matches!(came_of_it, Ok(Some(_))).then_some(run)
}

fn plan(args: &RunArgs, requests: &[PathBuf], spooled: Option<&Spooled>, client: &Client) -> Result<Run, CliError> {
    let run = match spooled {
        Some(spooled) => Run::new(client, spooled.path()).default_folder(spooled.folder(args.partition)),
        None => Run::of_files(client, requests),
    };
    let run = run.options(args.batch.options()?).anew(args.new).dedupe(args.dedupe);
    let mut run = args.caps.apply(run)?;
    if let Some(folder) = &args.dir {
        run = run.folder(folder);
    }
    if let Some(endpoint) = args.endpoint.clone() {
        run = run.endpoint(endpoint);
    }
    if let Some(lines) = args.limit {
        run = run.first_lines(lines);
    }
    if let Some(part) = args.partition {
        run = run.partition(part);
    }
    let limits = client.dialect().limits();
    let smaller = |asked: Option<u64>, limit: u64| asked.map_or(limit, |asked| asked.min(limit));
    run = run.limits(Limits {
        max_lines: smaller(args.shard_lines, limits.max_lines),
        max_bytes: smaller(args.shard_bytes, limits.max_bytes),
    });
    Ok(run)
}
