//! `lote batches`: its flags and what it prints, but for the waiting (see `wait`).

mod wait;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, value_parser};
use lote::{Batch, BatchId, FileId, Status, bound};

use crate::again;
use crate::batch_options::BatchOptionArgs;
use crate::endpoint::Endpoint;
use crate::exit::{CliError, Exit};
use crate::interrupt;
use crate::listing::{self, Filter, SinceArgs, Wanted};
use crate::no_batches;
use crate::out;
use crate::service::ServiceArgs;
use wait::WaitArgs;

/// Create, look at, list, cancel and wait for batches
///
/// Each prints the service's own JSON; list prints a table on a terminal. For the way from a file
/// of requests to a file of results in one command, see lote run.
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

    /// Print JSON, as these commands do but for list on a terminal; wait then prints each batch on one line
    #[arg(long, global = true)]
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
/// On a terminal it prints a table: the id, the status, the age and how much is done; of a batch that a
/// run has made the file of its requests; how many lines there are and have failed; the run and the
/// shard. What does not fit is left out, from the right.
///
/// Elsewhere, and with --json, it prints one page as a JSON object: data, first_id, last_id, has_more;
/// with --all, every batch of every page, one JSON object a line.
///
/// No service has a filter for --status and --since: page after page is asked for, until --limit (20)
/// of them are found, or 10000 were looked at. How many were looked at is said on stderr.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote batches list --limit 5
  lote batches list --status in_progress,finalizing --since 2d
  lote batches list --after batch_abc123
  lote batches list --all | jq -r '[.id, .status] | @tsv'"
)]
struct ListArgs {
    /// Only batches after this one, in the service's order
    #[arg(long, value_name = "ID")]
    after: Option<BatchId>,

    /// How many a page holds at the most, 1 to 100; with a filter, how many are found [default: the
    /// service's, 20]
    #[arg(long, value_name = "N", value_parser = value_parser!(i64).range(bound::BATCH_PAGE.min..=bound::BATCH_PAGE.max))]
    limit: Option<i64>,

    /// All pages; as JSON, one object a line
    #[arg(long)]
    all: bool,

    /// Only those with one of these statuses, such as in_progress, completed or failed
    #[arg(long, value_name = "STATUS,…", value_delimiter = ',', value_parser = NonEmptyStringValueParser::new())]
    status: Vec<String>,

    #[command(flatten)]
    since: SinceArgs,

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
        BatchesCommand::List(list) => interrupt::drive("interrupted", self::list(list, args.json)),
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
    let client = args.service.client().await?;
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
    let client = args.service.client().await?;
    out::json(&client.batches().get(&args.id).await?).await?;
    Ok(Exit::Success)
}

async fn list(args: ListArgs, json: bool) -> Result<Exit, CliError> {
    let statuses = args.status;
    if let Some(odd) = statuses.iter().find(|status| matches!(Status::from(status.as_str()), Status::Other(_))) {
        let known: Vec<&str> = Status::KNOWN.iter().map(Status::as_str).collect();
        out::note(format_args!("status {odd:?} is a service's own, if it is any; known are {}", known.join(", ")));
    }
    let is_one = (!statuses.is_empty()).then(|| -> Filter<Batch> {
        Box::new(move |batch| statuses.iter().any(|status| Status::from(status.as_str()) == batch.status))
    });
    let wanted = Wanted::new(&args.since, is_one)?;
    let shown = listing::batches(json);
    let client = args.service.client().await?;
    let mut list = client.batches().list();
    if let Some(id) = &args.after {
        list = list.after(id);
    }
    if let Some(limit) = args.limit.filter(|_| args.all || !wanted.is_filter()) {
        list = list.limit(limit);
    }
    if args.all || wanted.is_filter() {
        listing::print(list.stream(), &wanted, args.all, args.limit, shown).await?;
    } else {
        listing::print_page(&list.page().await?, shown).await?;
    }
    Ok(Exit::Success)
}

async fn cancel(args: CancelArgs) -> Result<Exit, CliError> {
    let client = args.service.client().await?;
    out::json(&client.batches().cancel(&args.id).await?).await?;
    Ok(Exit::Success)
}
