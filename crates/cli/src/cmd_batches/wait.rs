//! `lote batches wait`: what it shows and prints, and its exit code.

use std::time::Duration;

use clap::Args;
use lote::{Batch, BatchId, Client, Error, Status, Waited};
use tokio::time::{Instant, timeout_at};

use crate::exit::{CliError, Exit};
use crate::out;
use crate::progress::Bar;
use crate::service::ServiceArgs;
use crate::values;

/// How many validation errors are named; the printed batch has all of them.
const SHOWN_ERRORS: usize = 20;

/// Wait until a batch is over
///
/// Asks the service again and again, more and more slowly, and survives a quarter of an hour of
/// trouble on the way there. Prints the batch as JSON when it is over, and as it was last seen
/// when the wait gave up. The batch itself goes on, whatever becomes of the wait.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote batches wait batch_abc123
  lote batches wait batch_abc123 --deadline 26h
  lote batches wait batch_abc123 | jq -r .output_file_id

Exit 0: completed, and every line succeeded. 1: some lines did not, or the batch expired or
was cancelled. 4: it failed at validation, or the service could not be asked. 5: gave up
waiting. 130: interrupted."
)]
pub(super) struct WaitArgs {
    /// The id of the batch
    id: BatchId,

    /// How long to wait, such as 90s, 10m, 26h or 1d [default: until it is over]
    #[arg(long, visible_alias = "timeout", value_name = "DURATION", value_parser = values::duration)]
    deadline: Option<Duration>,

    #[command(flatten)]
    service: ServiceArgs,
}

/// What is said when the user stops the wait.
pub(super) fn stopped(args: &WaitArgs) -> String {
    let (id, cancel) = (&args.id, args.service.again("batches cancel").word(args.id.as_str()));
    format!("interrupted; batch {id} goes on at the service; to stop it: {cancel}")
}

pub(super) async fn run(args: &WaitArgs) -> Result<Exit, CliError> {
    let client = args.service.client()?;
    let mut bar = None;
    let waited = wait(&client, args, &mut bar).await;
    if let Some(bar) = bar {
        bar.clear();
    }
    match waited {
        Waited::Ended(batch) => {
            out::json(&batch).await?;
            Ok(judge(&batch))
        }
        Waited::GaveUp(last) => {
            if let Some(batch) = &last {
                out::json(batch).await?;
            }
            let (id, again) = (&args.id, args.service.again("batches wait").word(args.id.as_str()));
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
async fn wait(client: &Client, args: &WaitArgs, bar: &mut Option<Bar>) -> Waited {
    // A deadline beyond the clock's reach is none.
    let end = args.deadline.and_then(|deadline| Instant::now().checked_add(deadline));
    let batches = client.batches();
    let look = batches.get(&args.id);
    let look = match end {
        None => look.await,
        Some(end) => match timeout_at(end, look).await {
            Ok(look) => look,
            Err(_) => return Waited::GaveUp(None),
        },
    };
    let last = match look {
        Ok(batch) if batch.is_terminal() => return Waited::Ended(Box::new(batch)),
        Ok(batch) => {
            bar.get_or_insert_with(Bar::new).batch(&batch);
            Some(Box::new(batch))
        }
        Err(error) if is_hopeless(&error) => return Waited::CouldNotAsk { error, last: None },
        Err(error) => {
            out::note(format_args!("{error}; asking again"));
            None
        }
    };
    let mut wait = batches
        .wait(&args.id)
        .on_progress(|batch| bar.get_or_insert_with(Bar::new).batch(batch))
        .on_trouble(|error| out::note(format_args!("{error}; asking again")));
    if let Some(end) = end {
        wait = wait.deadline(end.saturating_duration_since(Instant::now()));
    }
    match wait.until_over().await {
        Waited::GaveUp(None) => Waited::GaveUp(last),
        ended => ended,
    }
}

/// Whether an error of the very first look will hardly pass by itself: nothing listens there, or
/// the service refuses. A batch that was just made may be unknown for a moment.
fn is_hopeless(error: &Error) -> bool {
    error.is_connection() || !(error.is_transient() || error.is_not_found())
}

/// The exit code of a batch that is over; why it is not 0 goes to stderr.
fn judge(batch: &Batch) -> Exit {
    match batch.status {
        Status::Completed => {}
        Status::Failed => {
            out::note(format_args!("batch {} failed at validation", batch.id));
            for error in batch.errors.iter().take(SHOWN_ERRORS) {
                out::note(format_args!("  {error}"));
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
