//! `lote batches`: its flags and what it prints, but for the waiting (see `wait`).

mod wait;

use clap::{Args, Subcommand, value_parser};
use lote::{BatchId, FileId, bound};

use crate::again;
use crate::batch_options::BatchOptionArgs;
use crate::endpoint::Endpoint;
use crate::exit::{CliError, Exit};
use crate::interrupt;
use crate::no_batches;
use crate::out;
use crate::service::ServiceArgs;
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
  lote batches create file-abc123 --endpoint responses --output-expires-after 7d
  lote batches create file-abc123 --endpoint chat --batch-field priority=1"
)]
struct CreateArgs {
    /// The id of the uploaded input file
    input_file_id: FileId,

    /// The endpoint that all lines of the input file name
    #[arg(long, value_name = "ENDPOINT")]
    endpoint: Endpoint,

    #[command(flatten)]
    batch: BatchOptionArgs,

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
            let service = args.service.clone();
            let list = move || service.again("batches list").flag("--limit", "5");
            let may_have = "the batch may have been made all the same: look before you create another";
            interrupt::drive_or(|| again::interrupted(may_have, list(), "whether there is one"), create(args))
        }
        BatchesCommand::Get(args) => interrupt::drive("interrupted", get(args)),
        BatchesCommand::List(args) => interrupt::drive("interrupted", list(args)),
        BatchesCommand::Cancel(args) => {
            let get = (args.service.clone(), args.id.clone());
            let get = move || get.0.again("batches get").word(get.1.as_str());
            let may_have = "the batch may have been cancelled all the same";
            interrupt::drive_or(|| again::interrupted(may_have, get(), "whether it was"), cancel(args))
        }
        BatchesCommand::Wait(wait) => {
            let seen = wait::Seen::default();
            interrupt::drive_or(|| wait::stopped(&wait, &seen), wait::run(&wait, &seen, args.json))
        }
    }
}

async fn create(args: CreateArgs) -> Result<Exit, CliError> {
    let options = args.batch.options()?;
    let client = args.service.client()?;
    let create = client.batches().create(&args.input_file_id, args.endpoint).options(options);
    let batch = create.send().await.map_err(|error| {
        let hint = match error.batch_id() {
            Some(id) => format!("; there is a batch all the same: {id}"),
            None if error.is_ambiguous() => {
                "; the batch may have been made all the same: see lote batches list before you create another"
                    .to_owned()
            }
            None => String::new(),
        };
        let lacks = no_batches::lines(&args.service, &error, Some(args.input_file_id.as_str()));
        let error = CliError::from(error);
        CliError::new(error.exit(), format!("{error}{hint}")).with(lacks)
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
