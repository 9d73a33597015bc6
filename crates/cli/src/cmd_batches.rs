//! Owns `lote batches`: its flags and what it prints; never the waiting (see `wait`).

mod wait;

use clap::{Args, Subcommand, value_parser};
use lote::{BatchId, ExpiresAfter, FileId, bound};

use crate::endpoint::Endpoint;
use crate::exit::{CliError, Exit};
use crate::interrupt;
use crate::out;
use crate::service::ServiceArgs;
use crate::values;
use wait::WaitArgs;

/// Create, look at, list, cancel and wait for batches
///
/// Each prints the service's own JSON. For the way from a file of requests to a file of results
/// in one command, see lote run.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote batches create file-abc123 --endpoint chat | jq -r .id
  lote batches wait batch_abc123 --deadline 26h
  lote batches list --all | jq -r 'select(.status == \"in_progress\").id'"
)]
pub(crate) struct BatchesArgs {
    #[command(subcommand)]
    command: BatchesCommand,

    /// Print JSON, as these commands always do; wait then prints each batch on one line
    #[arg(long, global = true, hide = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum BatchesCommand {
    Create(CreateArgs),
    Get(GetArgs),
    List(ListArgs),
    Cancel(CancelArgs),
    Wait(WaitArgs),
}

/// Create a batch over an uploaded input file
///
/// Prints the new batch as JSON. It is never sent twice: when the connection breaks, look for
/// the batch with lote batches list before you create another.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote batches create file-abc123 --endpoint chat
  lote batches create file-abc123 --endpoint /v1/embeddings --metadata team=search
  lote batches create file-abc123 --endpoint responses --output-expires-after 7d"
)]
struct CreateArgs {
    /// The id of the uploaded input file
    input_file_id: FileId,

    /// The endpoint that all lines of the input file name
    #[arg(long, value_name = "ENDPOINT")]
    endpoint: Endpoint,

    /// A pair for the batch's metadata (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::pair)]
    metadata: Vec<(String, String)>,

    /// Within which time the batch is to be done, of the windows of the dialect, such as 24h, or 7d
    /// at Groq [default: 24h]
    #[arg(long, value_name = "WINDOW")]
    completion_window: Option<String>,

    /// Under which key the service makes one batch however often it is asked; sent only to those
    /// that honour it
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,

    /// How many lines may be in flight at once, at least 1 (MKA1 only)
    #[arg(long, value_name = "N", value_parser = value_parser!(i64).range(bound::MAX_CONCURRENCY.min..))]
    max_concurrency: Option<i64>,

    /// When the output and error files are deleted after they were made: seconds, or a time such
    /// as 36h or 7d; 1h to 30d (OpenAI only)
    #[arg(long, value_name = "TIME", value_parser = values::expires_after)]
    output_expires_after: Option<ExpiresAfter>,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Print a batch as it stands now
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lote batches get batch_abc123
  lote batches get batch_abc123 | jq -r .output_file_id")]
struct GetArgs {
    /// The id of the batch
    id: BatchId,

    #[command(flatten)]
    service: ServiceArgs,
}

/// List batches
///
/// Prints one page as a JSON object: data, first_id, last_id, has_more. With --all, every batch
/// of every page, one JSON object a line.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote batches list --limit 5
  lote batches list --after batch_abc123
  lote batches list --all | jq -r '[.id, .status] | @tsv'"
)]
struct ListArgs {
    /// Only batches after this one, in the service's order
    #[arg(long, value_name = "ID")]
    after: Option<BatchId>,

    /// How many a page holds at the most, 1 to 100 [default: the service's, 20]
    #[arg(long, value_name = "N", value_parser = value_parser!(i64).range(bound::BATCH_PAGE.min..=bound::BATCH_PAGE.max))]
    limit: Option<i64>,

    /// All pages, one JSON object a line
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Cancel a batch
///
/// Asks the service to start no further line, and prints the batch. It is cancelling then, and
/// cancelled a while later; what was finished stays in its files.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote batches cancel batch_abc123
  lote batches cancel batch_abc123 && lote batches wait batch_abc123"
)]
struct CancelArgs {
    /// The id of the batch
    id: BatchId,

    #[command(flatten)]
    service: ServiceArgs,
}

/// # Errors
/// With exit 2 for what was refused or failed on this side, and 4 for what the service refused.
pub(crate) fn run(args: BatchesArgs) -> Result<Exit, CliError> {
    match args.command {
        BatchesCommand::Create(args) => {
            let stopped = "interrupted; the batch may have been made all the same: see lote batches list";
            interrupt::drive(stopped, create(args))
        }
        BatchesCommand::Get(args) => interrupt::drive("interrupted", get(args)),
        BatchesCommand::List(args) => interrupt::drive("interrupted", list(args)),
        BatchesCommand::Cancel(args) => {
            interrupt::drive("interrupted; the batch may have been cancelled all the same", cancel(args))
        }
        BatchesCommand::Wait(wait) => interrupt::drive(&wait::stopped(&wait), wait::run(&wait, args.json)),
    }
}

async fn create(args: CreateArgs) -> Result<Exit, CliError> {
    values::no_pair_twice(&args.metadata)?;
    let client = args.service.client()?;
    let mut create = client.batches().create(&args.input_file_id, args.endpoint);
    for (key, value) in &args.metadata {
        create = create.metadata(key, value);
    }
    if let Some(window) = &args.completion_window {
        create = create.completion_window(window);
    }
    if let Some(key) = &args.idempotency_key {
        create = create.idempotency_key(key);
    }
    if let Some(lines) = args.max_concurrency {
        create = create.max_concurrency(lines);
    }
    if let Some(after) = args.output_expires_after {
        create = create.output_expires_after(after);
    }
    let batch = create.send().await.map_err(|error| {
        let hint = match error.batch_id() {
            Some(id) => format!("; there is a batch all the same: {id}"),
            None if error.is_ambiguous() => {
                "; the batch may have been made all the same: see lote batches list before you create another"
                    .to_owned()
            }
            None => String::new(),
        };
        let error = CliError::from(error);
        CliError::new(error.exit(), format!("{error}{hint}"))
    })?;
    out::json(&batch).await?;
    Ok(Exit::Success)
}

async fn get(args: GetArgs) -> Result<Exit, CliError> {
    let client = args.service.client()?;
    out::json(&client.batches().get(&args.id).await?).await?;
    Ok(Exit::Success)
}

async fn list(args: ListArgs) -> Result<Exit, CliError> {
    let client = args.service.client()?;
    let mut list = client.batches().list();
    if let Some(id) = &args.after {
        list = list.after(id);
    }
    if let Some(limit) = args.limit {
        list = list.limit(limit);
    }
    if args.all {
        out::json_lines(list.stream()).await?;
    } else {
        out::json(&list.page().await?).await?;
    }
    Ok(Exit::Success)
}

async fn cancel(args: CancelArgs) -> Result<Exit, CliError> {
    let client = args.service.client()?;
    out::json(&client.batches().cancel(&args.id).await?).await?;
    Ok(Exit::Success)
}
