//! `lote batches wait`: what it shows and prints, and its exit code.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use lote::{Batch, BatchId, Client, Error, Status, Tolerance, Waited};
use tokio::time::{Instant, timeout_at};

use crate::exit::{CliError, Exit};
use crate::fetch;
use crate::out;
use crate::progress::Bar;
use crate::service::ServiceArgs;
use crate::shell::CommandLine;
use crate::values;

/// How many validation errors are named; the printed batch has all of them.
const SHOWN_ERRORS: usize = 20;

/// Wait until batches are over
///
/// Asks the service again and again, more and more slowly, and survives a quarter of an hour of
/// trouble on the way there. Prints the batch as JSON when it is over, and as it was last seen
/// when the wait gave up; of several batches each on a line of its own, as they end. The batches
/// themselves go on, whatever becomes of the wait.
///
/// A batch that is over, and whose counts say that lines ended, but that does not name its files
/// yet, is asked for again, for two minutes, or until the deadline.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote batches wait batch_abc123
  lote batches wait batch_abc123 --deadline 26h
  lote batches wait batch_abc123 | jq -r .output_file_id
  lote batches wait batch_abc123 batch_def456 batch_ghi789 | jq -r '[.id, .status] | @tsv'

Exit 0: completed, and every line succeeded. 1: some lines did not, or the batch expired or was
cancelled. 4: it failed at validation, names no output file although lines succeeded, or could
not be asked for. 5: gave up waiting, for the batch or its files. 130: interrupted. Of several
batches the worst of them: 4, then 5, then 1."
)]
pub(super) struct WaitArgs {
    /// The ids of the batches
    #[arg(required = true, value_name = "ID")]
    ids: Vec<BatchId>,

    /// How long to wait, such as 90s, 10m, 26h or 1d [default: until they are over]
    #[arg(long, visible_alias = "timeout", value_name = "DURATION", value_parser = values::duration)]
    deadline: Option<Duration>,

    #[command(flatten)]
    service: ServiceArgs,
}

/// How long a batch that is over is asked for again when it does not name its files.
const LATE: Duration = Duration::from_secs(120);

/// The batches that a wait has seen, each as it was last seen.
#[derive(Default)]
pub(super) struct Seen(Mutex<HashMap<BatchId, Batch>>);

impl Seen {
    /// Takes note of a look; what is to be said when the wait goes on for files that are late, once for each batch.
    fn saw(&self, batch: &Batch, end: Option<Instant>) -> Option<String> {
        let before = self.lock().insert(batch.id.clone(), batch.clone());
        let late = batch.late_files()?;
        if before.is_some_and(|before| before.late_files().is_some()) {
            return None;
        }
        let left = end.map_or(LATE, |end| LATE.min(end.saturating_duration_since(Instant::now())));
        let left = match left.as_secs() {
            seconds if seconds < LATE.as_secs() => {
                format!("until the deadline, for {}", out::count(seconds + 1, "second"))
            }
            _ => "for two minutes".to_owned(),
        };
        Some(format!("batch {} is {}, and {late}; asking again {left}", batch.id, batch.status))
    }

    fn over(&self, id: &BatchId) -> Option<Batch> {
        self.lock().get(id).filter(|batch| batch.is_terminal()).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<BatchId, Batch>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said when the user stops the wait.
pub(super) fn stopped(args: &WaitArgs, seen: &Seen) -> CliError {
    let ids = distinct(&args.ids);
    let over: Vec<Batch> = ids.iter().filter_map(|id| seen.over(id)).collect();
    let fetch = |batch: &Batch| fetch::lines(&args.service, batch, None, Path::new(""));
    let interrupted = |message: String| CliError::new(Exit::Interrupted, format!("interrupted; {message}"));
    match (ids.as_slice(), over.as_slice()) {
        ([_], [batch]) => fetch::interrupted(batch).with(fetch(batch)),
        ([id], _) => {
            let cancel = args.service.again("batches cancel").word(id.as_str());
            let wait = wait_again(args, [id]);
            interrupted(format!("batch {id} goes on at the service"))
                .with([format!("  {wait}  # goes on waiting"), format!("  {cancel}  # stops it")])
        }
        (ids, []) => {
            let again = wait_again(args, ids);
            interrupted("the batches go on at the service".to_owned()).with([format!("  {again}  # goes on waiting")])
        }
        (ids, over) if ids.len() == over.len() => {
            let again = wait_again(args, ids);
            interrupted("the batches are over".to_owned())
                .with([format!("  {again}  # prints them, with the ids of their files")])
        }
        (ids, over) => {
            let open = ids.iter().filter(|id| over.iter().all(|batch| batch.id != **id));
            let (over, all) = (over.len(), ids.len());
            let again = wait_again(args, open);
            interrupted(format!("{over} of {all} batches are over; the others go on at the service"))
                .with([format!("  {again}  # goes on waiting")])
        }
    }
}

/// Each id once.
fn distinct(ids: &[BatchId]) -> Vec<BatchId> {
    let mut known = HashSet::new();
    ids.iter().filter(|id| known.insert(*id)).cloned().collect()
}

/// The command that goes on waiting.
fn wait_again<'a>(args: &WaitArgs, ids: impl IntoIterator<Item = &'a BatchId>) -> CommandLine {
    ids.into_iter().fold(args.service.again("batches wait"), |line, id| line.word(id.as_str()))
}

/// `one_a_line` prints even a single batch on one line.
pub(super) async fn run(args: &WaitArgs, seen: &Seen, one_a_line: bool) -> Result<Exit, CliError> {
    let client = args.service.client().await?;
    let end = args.deadline.and_then(|deadline| Instant::now().checked_add(deadline));
    let waiting = Waiting { client: &client, args, seen, end };
    match distinct(&args.ids).as_slice() {
        [id] => waiting.one(id, one_a_line).await,
        ids => waiting.many(ids).await,
    }
}

/// A wait on its way.
#[derive(Clone, Copy)]
struct Waiting<'a> {
    client: &'a Client,
    args: &'a WaitArgs,
    seen: &'a Seen,
    /// When to give up. A deadline beyond the clock's reach is none.
    end: Option<Instant>,
}

impl Waiting<'_> {
    async fn one(self, id: &BatchId, one_a_line: bool) -> Result<Exit, CliError> {
        let args = self.args;
        let mut bar = None;
        let waited = self.wait(id, &mut bar).await;
        if let Some(bar) = bar {
            bar.clear();
        }
        let print = async |batch: &Batch| if one_a_line { out::json_line(batch).await } else { out::json(batch).await };
        match waited {
            Waited::Ended(batch) => {
                print(&batch).await?;
                Ok(self.judge(&batch))
            }
            Waited::GaveUp(last) => {
                if let Some(batch) = &last {
                    print(batch).await?;
                }
                let again = wait_again(args, [id]);
                let message = match last {
                    Some(batch) => format!("batch {id} is {} and goes on; to go on waiting: {again}", batch.status),
                    None => format!("batch {id} was not seen; is the id right, and is the service there?"),
                };
                Err(CliError::new(Exit::GaveUp, format!("gave up waiting: {message}")))
            }
            Waited::CouldNotAsk { error, .. } => Err(error.into()),
        }
    }

    /// A first look, which tells at once when the service is not there, and then the wait. The bar
    /// comes with the first batch that is seen.
    async fn wait(self, id: &BatchId, bar: &mut Option<Bar>) -> Waited {
        let Self { client, seen, end, .. } = self;
        let mut show = |batch: &Batch| {
            let late = seen.saw(batch, end);
            let bar = bar.get_or_insert_with(Bar::new);
            bar.batch(batch);
            late.into_iter().for_each(|late| bar.note(late));
        };
        let last = match first_look(client, id, end).await {
            Ok(Some(batch)) if batch.is_terminal() && batch.late_files().is_none() => {
                return Waited::Ended(Box::new(batch));
            }
            Ok(Some(batch)) => {
                show(&batch);
                Some(Box::new(batch))
            }
            Ok(None) => None,
            Err(ended) => return ended,
        };
        let mut wait = client
            .batches()
            .wait(id)
            .tolerance(Tolerance::default().late_files(LATE))
            .on_progress(show)
            .on_trouble(|error| out::note(format_args!("{error}; asking again")));
        if let Some(end) = end {
            wait = wait.deadline(end.saturating_duration_since(Instant::now()));
        }
        match (wait.until_over().await, last) {
            // It was over at the first look, whatever became of the looks after it.
            (Waited::GaveUp(None) | Waited::CouldNotAsk { last: None, .. }, Some(batch)) if batch.is_terminal() => {
                Waited::Ended(batch)
            }
            (Waited::GaveUp(None), last) => Waited::GaveUp(last),
            (ended, _) => ended,
        }
    }

    /// The wait for several batches, each printed as it ends.
    async fn many(self, ids: &[BatchId]) -> Result<Exit, CliError> {
        let Self { client, args, seen, end } = self;
        if let Some(first) = ids.first()
            && let Err(Waited::CouldNotAsk { error, .. }) = first_look(client, first, end).await
            && is_unreachable(&error)
        {
            return Err(error.into());
        }
        let board = Arc::new(Board::new(ids));
        let (shown, troubled) = (Arc::clone(&board), Arc::clone(&board));
        let mut wait = client
            .batches()
            .wait_all(ids.iter().cloned())
            .tolerance(Tolerance::default().late_files(LATE))
            .on_progress(move |batch| {
                let late = seen.saw(batch, end);
                shown.saw(batch, late);
            })
            .on_trouble(move |error| {
                troubled.clear();
                out::note(format_args!("{error}; asking again"));
            });
        if let Some(end) = end {
            wait = wait.deadline(end.saturating_duration_since(Instant::now()));
        }
        let mut ended = pin!(wait.into_stream());
        let (mut worst, mut open) = (Exit::Success, Vec::new());
        while let Some((id, waited)) = ended.next().await {
            board.clear();
            let exit = match waited {
                Waited::Ended(batch) => {
                    out::json_line(&batch).await?;
                    self.judge(&batch)
                }
                Waited::GaveUp(last) => {
                    match last {
                        Some(batch) => {
                            out::json_line(&batch).await?;
                            out::note(format_args!("gave up waiting: batch {id} is {} and goes on", batch.status));
                        }
                        None => out::note(format_args!("gave up waiting: batch {id} was not seen; is the id right?")),
                    }
                    open.push(id);
                    Exit::GaveUp
                }
                Waited::CouldNotAsk { error, .. } => {
                    let error = CliError::from(error);
                    out::problem(format_args!("batch {id}: {error}"));
                    error.exit()
                }
            };
            worst = worst.worse(exit);
        }
        board.clear();
        if !open.is_empty() {
            out::note(format_args!("to go on waiting: {}", wait_again(args, &open)));
        }
        Ok(worst)
    }

    /// The exit code of a batch that is over; why it is not 0 goes to stderr.
    fn judge(self, batch: &Batch) -> Exit {
        let exit = judge_lines(batch);
        let Some(late) = batch.late_files() else { return exit };
        let id = &batch.id;
        let gave_up = self.end.is_some_and(|end| Instant::now() >= end);
        out::note(format_args!(
            "{}batch {id} is {}, and {late}; what it finished is at the service; ask for it later: {}",
            if gave_up { "gave up waiting for its files: " } else { "" },
            batch.status,
            wait_again(self.args, [id])
        ));
        exit.worse(match late.is_output() {
            _ if gave_up => Exit::GaveUp,
            true => Exit::Service,
            false => Exit::Incomplete,
        })
    }
}

/// The batch, nothing when the error may pass, or how the wait ended.
async fn first_look(client: &Client, id: &BatchId, end: Option<Instant>) -> Result<Option<Batch>, Waited> {
    let batches = client.batches();
    let look = batches.get(id);
    let look = match end {
        None => look.await,
        Some(end) => match timeout_at(end, look).await {
            Ok(look) => look,
            Err(_) => return Err(Waited::GaveUp(None)),
        },
    };
    match look {
        Ok(batch) => Ok(Some(batch)),
        Err(error) if is_hopeless(&error) => Err(Waited::CouldNotAsk { error, last: None }),
        Err(error) => {
            out::note(format_args!("{error}; asking again"));
            Ok(None)
        }
    }
}

/// Whether an error of the very first look will hardly pass by itself: nothing listens there, or
/// the service refuses. A batch that was just made may be unknown for a moment.
fn is_hopeless(error: &Error) -> bool {
    error.is_connection() || !(error.is_transient() || error.is_not_found())
}

/// Whether the error is of the service, and not of the one batch that was asked for.
fn is_unreachable(error: &Error) -> bool {
    error.is_connection() || error.is_unauthorized()
}

/// How far several batches have come, and the bar that shows it.
struct Board(Mutex<Shown>);

struct Shown {
    bar: Option<Bar>,
    all: usize,
    seen: HashMap<BatchId, (bool, u64, u64)>,
}

impl Board {
    fn new(ids: &[BatchId]) -> Self {
        Self(Mutex::new(Shown { bar: None, all: ids.len(), seen: HashMap::new() }))
    }

    fn saw(&self, batch: &Batch, late: Option<String>) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = batch.request_counts.unwrap_or_default();
        let ended = counts.completed.saturating_add(counts.failed).min(counts.total);
        shown.seen.insert(batch.id.clone(), (batch.is_terminal(), ended, counts.total));
        let over = shown.seen.values().filter(|(over, ..)| *over).count();
        let sum = |of: fn(&(bool, u64, u64)) -> u64| shown.seen.values().map(of).fold(0, u64::saturating_add);
        let (ended, total, all) = (sum(|seen| seen.1), sum(|seen| seen.2), shown.all);
        let bar = shown.bar.get_or_insert_with(Bar::new);
        bar.batches(over, all, ended, total);
        late.into_iter().for_each(|late| bar.note(late));
    }

    /// Takes the bar away, for what is printed.
    fn clear(&self) {
        if let Some(bar) = self.0.lock().unwrap_or_else(PoisonError::into_inner).bar.take() {
            bar.clear();
        }
    }
}

fn judge_lines(batch: &Batch) -> Exit {
    match batch.status {
        Status::Completed => {}
        Status::Failed => {
            // Some services keep what was finished before a batch failed.
            let run = batch.output_file_id.is_some() || batch.error_file_id.is_some();
            let failed = if run { "failed; what it finished is in its files" } else { "failed at validation" };
            out::problem(format_args!("batch {} {failed}", batch.id));
            for error in batch.errors.iter().take(SHOWN_ERRORS).map(out::short) {
                out::problem(format_args!("  {error}"));
            }
            return Exit::Service;
        }
        _ => {
            out::note(format_args!("batch {} is {}", batch.id, batch.status));
            return Exit::Incomplete;
        }
    }
    // Some services always say 0 of 0: that is no count.
    match batch.request_counts.filter(|counts| counts.total > 0) {
        Some(counts) if counts.completed == counts.total && counts.failed == 0 => Exit::Success,
        Some(counts) => {
            let succeeded = format!("{} of {} succeeded", counts.completed, out::count(counts.total, "line"));
            out::note(format_args!("batch {}: {succeeded}", batch.id));
            Exit::Incomplete
        }
        None if batch.error_file_id.is_none() => Exit::Success,
        None => {
            out::note(format_args!(
                "batch {}: the service does not say how many lines succeeded, and there is an error file",
                batch.id
            ));
            Exit::Incomplete
        }
    }
}
