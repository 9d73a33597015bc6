//! `lote files`: its flags and what it prints.

use std::error::Error as _;
use std::io::{self, ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, value_parser};
use lote::run::Progress;
use lote::save::{Output, Replace};
use lote::{Content, ExpiresAfter, FileId, Order, UploadPurpose, bound};
use tokio::io::AsyncWriteExt;

use crate::again;
use crate::exit::{CliError, Exit};
use crate::fetch::NoRoom;
use crate::input;
use crate::interrupt;
use crate::listing::{self, SinceArgs, Wanted};
use crate::no_batches;
use crate::out;
use crate::progress::Bar;
use crate::service::ServiceArgs;
use crate::shell::CommandLine;
use crate::values;

/// Upload, look at, list, download and delete files
///
/// Each prints the service's own JSON; list prints a table on a terminal, and content the bytes of
/// the file.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote files upload requests.jsonl | jq -r .id
  lote files content file-abc123 -o output.jsonl
  lote files list --all --purpose batch | jq -r .id"
)]
pub(crate) struct FilesArgs {
    #[command(subcommand)]
    command: FilesCommand,

    /// Print JSON, as these commands do but for list on a terminal
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum FilesCommand {
    Upload(UploadArgs),
    Get(GetArgs),
    List(ListArgs),
    Content(ContentArgs),
    Delete(DeleteArgs),
}

/// Upload a file
///
/// Streams the file, whatever its size, and prints what the service stored as JSON. It is sent
/// as it is: see lote check for what a service would refuse.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote files upload requests.jsonl
  lote files upload notes.txt --purpose user_data --expires-after 7d
  zcat requests.jsonl.gz | lote files upload - --file-name requests.jsonl"
)]
struct UploadArgs {
    /// The file, or - for stdin
    #[arg(value_parser = input::path())]
    path: PathBuf,

    /// What the file is for
    #[arg(long, value_name = "PURPOSE", default_value = "batch", value_parser = purpose())]
    purpose: UploadPurpose,

    /// The name that the service is told [default: that of the file]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    file_name: Option<String>,

    /// When the service deletes the file: seconds, or a time such as 36h or 7d; 1h to 30d
    /// (OpenAI only)
    #[arg(long, value_name = "TIME", value_parser = values::expires_after)]
    expires_after: Option<ExpiresAfter>,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Print what is known of a file
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lote files get file-abc123
  lote files get file-abc123 | jq .bytes")]
struct GetArgs {
    /// The id of the file
    id: FileId,

    #[command(flatten)]
    service: ServiceArgs,
}

/// List files
///
/// On a terminal it prints a table: the id, the purpose, the size, the age and the name. What does
/// not fit is left out, from the right.
///
/// Elsewhere, and with --json, it prints one page as a JSON object: data, first_id, last_id, has_more;
/// with --all, every file of every page, one JSON object a line.
///
/// No service has a filter for --since: page after page is asked for, until --limit (20) files are
/// found, or 10000 were looked at. How many were looked at is said on stderr.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote files list --limit 5 --order asc
  lote files list --since 2d
  lote files list --all --purpose batch_output | jq -r .id
  lote files list --sha256 $(sha256sum requests.jsonl | cut -c -64)"
)]
struct ListArgs {
    /// Only files after this one, in the list's order
    #[arg(long, value_name = "ID")]
    after: Option<FileId>,

    /// How many a page holds at the most, 1 to 10000; with --since, how many are found [default: the
    /// service's, 10000; with --since 20]
    #[arg(long, value_name = "N", value_parser = value_parser!(i64).range(bound::FILE_PAGE.min..=bound::FILE_PAGE.max))]
    limit: Option<i64>,

    /// By creation, oldest or newest first [default: the service's, desc]
    #[arg(long, value_name = "ORDER", value_parser = order())]
    order: Option<Order>,

    /// Only files with this purpose, such as batch or batch_output
    #[arg(long, value_name = "PURPOSE", value_parser = NonEmptyStringValueParser::new())]
    purpose: Option<String>,

    /// Only files with this content, by its SHA-256 (MKA1 only; others list all files)
    #[arg(long, value_name = "HEX", value_parser = values::sha256)]
    sha256: Option<String>,

    /// All pages; as JSON, one object a line
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    since: SinceArgs,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Download a file
///
/// Prints the bytes of the file to stdout. With -o, they go into a file, which appears under its
/// name only when it is whole. A file that is there, unless it is empty, is replaced only with
/// --force.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote files content file-abc123 -o output.jsonl
  lote files content file-abc123 | lote inspect -"
)]
struct ContentArgs {
    /// The id of the file
    id: FileId,

    /// Where to write it, or - for stdout
    #[arg(short, long, value_name = "FILE", default_value = "-", hide_default_value = true, value_parser = input::output())]
    output: PathBuf,

    /// Let -o replace a file that is there
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Delete a file for good
///
/// A batch itself cannot be deleted; its input, output and error files can.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lote files delete file-abc123
  lote files delete $(lote batches get batch_abc123 | jq -r .output_file_id)")]
struct DeleteArgs {
    /// The id of the file
    id: FileId,

    #[command(flatten)]
    service: ServiceArgs,
}

/// # Errors
/// With exit 2 for what was refused or failed on this side, and 4 for what the service refused.
pub(crate) fn run(args: FilesArgs) -> Result<Exit, CliError> {
    match args.command {
        FilesCommand::Upload(args) => {
            let service = args.service.clone();
            let list = move || service.again("files list").flag("--limit", "5");
            let may_have = "the file may be stored, or not: a second one does no harm but takes its room";
            interrupt::drive_or(|| again::interrupted(may_have, list(), "whether it is"), upload(args))
        }
        FilesCommand::Get(args) => interrupt::drive("interrupted", get(args)),
        FilesCommand::List(list) => interrupt::drive("interrupted", self::list(list, args.json)),
        FilesCommand::Content(args) => interrupt::drive_or(|| stopped(&args), content(&args)),
        FilesCommand::Delete(args) => {
            let get = (args.service.clone(), args.id.clone());
            let get = move || get.0.again("files get").word(get.1.as_str());
            let may_have = "the file may have been deleted all the same";
            interrupt::drive_or(|| again::interrupted(may_have, get(), "whether it is there"), delete(args))
        }
    }
}

async fn upload(args: UploadArgs) -> Result<Exit, CliError> {
    let client = args.service.client().await?;
    let mut bar = None;
    let mut upload = if input::is_dash(&args.path) {
        client.files().upload_reader(tokio::io::stdin(), "stdin", args.purpose)
    } else {
        let upload = client.files().upload(&args.path, args.purpose);
        match std::fs::metadata(&args.path) {
            Ok(found) if found.is_file() => {
                let total = found.len();
                let bar = bar.insert(Bar::new()).clone();
                bar.show(&Progress::Uploading { sent: 0, total });
                upload.on_progress(move |sent| bar.show(&Progress::Uploading { sent, total }))
            }
            _ => upload,
        }
    };
    if let Some(name) = args.file_name {
        upload = upload.file_name(name);
    }
    if let Some(after) = args.expires_after {
        upload = upload.expires_after(after);
    }
    let file = upload.send().await;
    if let Some(bar) = bar {
        bar.clear();
    }
    let file = file.map_err(|error| {
        let lacks = no_batches::lines(&args.service, &error, None);
        CliError::from(error).with(lacks)
    })?;
    out::json(&file).await?;
    Ok(Exit::Success)
}

async fn get(args: GetArgs) -> Result<Exit, CliError> {
    let client = args.service.client().await?;
    out::json(&client.files().get(&args.id).await?).await?;
    Ok(Exit::Success)
}

async fn list(args: ListArgs, json: bool) -> Result<Exit, CliError> {
    let wanted = Wanted::new(&args.since, None)?;
    let shown = listing::files(json);
    let client = args.service.client().await?;
    let mut list = client.files().list();
    if let Some(id) = &args.after {
        list = list.after(id);
    }
    if let Some(limit) = args.limit.filter(|_| args.all || !wanted.is_filter()) {
        list = list.limit(limit);
    }
    if let Some(order) = args.order {
        list = list.order(order);
    }
    if let Some(purpose) = args.purpose {
        list = list.purpose(purpose);
    }
    if let Some(sha256) = args.sha256 {
        list = list.sha256(sha256);
    }
    if args.all || wanted.is_filter() {
        listing::print(list.stream(), &wanted, args.all, args.limit, shown).await?;
    } else {
        listing::print_page(&list.page().await?, shown).await?;
    }
    Ok(Exit::Success)
}

/// What is said when the user stops a download.
fn stopped(args: &ContentArgs) -> CliError {
    let again = (!input::is_dash(&args.output)).then(|| format!("  {}", content_again(args, &args.output)));
    CliError::interrupted().with(again)
}

/// The command that fetches the file to this place.
fn content_again(args: &ContentArgs, output: &Path) -> CommandLine {
    let line = args.service.again("files content").word(args.id.as_str()).flag("-o", output);
    if args.force { line.switch("--force") } else { line }
}

async fn content(args: &ContentArgs) -> Result<Exit, CliError> {
    let client = args.service.client().await?;
    if input::is_dash(&args.output) {
        print(client.files().verified_content(&args.id).await?).await?;
    } else {
        // Before the bytes are asked for, which may be many.
        let replace = if args.force { Replace::Anything } else { Replace::Nothing };
        let at = |error| CliError::usage(format!("{}: {error}", args.output.display()));
        let output = Output::new(&args.output, replace);
        output.try_out().map_err(at)?;
        let content = client.files().verified_content(&args.id).await?;
        let bar = Bar::new();
        bar.show(&Progress::Downloading { name: "the file" });
        let saved = if output.is_stream() {
            let opened = tokio::fs::OpenOptions::new().append(true).open(&args.output).await;
            content.copy_to(&mut opened.map_err(at)?).await
        } else {
            content.save(&args.output).await
        };
        bar.clear();
        saved.map_err(|error| {
            let room = NoRoom::of(&error).filter(|_| error.is_io());
            let next = error.is_connection() || error.is_timeout();
            let place = match room {
                Some(room) => room
                    .place(args.output.parent().unwrap_or(Path::new("")))
                    .join(args.output.file_name().unwrap_or_default()),
                None => args.output.clone(),
            };
            let again = (next || room.is_some()).then(|| format!("  {}", content_again(args, &place)));
            CliError::from(error).with(room.map(NoRoom::advice)).with(again)
        })?;
    }
    Ok(Exit::Success)
}

/// The bytes to stdout, as long as somebody reads them; to a terminal as it may show them.
async fn print(content: Content) -> Result<(), CliError> {
    if io::stdout().is_terminal() {
        return show(content).await;
    }
    match content.copy_to(&mut tokio::io::stdout()).await {
        Ok(_) => Ok(()),
        Err(error) if is_closed_stdout(&error) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn show(mut content: Content) -> Result<(), CliError> {
    let (mut stdout, mut screen) = (tokio::io::stdout(), out::Screen::default());
    let refused = |error: io::Error| CliError::usage(format!("stdout cannot be written: {error}"));
    while let Some(chunk) = content.chunk().await? {
        stdout.write_all(screen.show(&chunk).as_bytes()).await.map_err(refused)?;
    }
    stdout.write_all(screen.end().as_bytes()).await.map_err(refused)?;
    stdout.flush().await.map_err(refused)
}

fn is_closed_stdout(error: &lote::Error) -> bool {
    error.is_io()
        && error
            .source()
            .and_then(|source| source.downcast_ref::<io::Error>())
            .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

async fn delete(args: DeleteArgs) -> Result<Exit, CliError> {
    let client = args.service.client().await?;
    let deletion = client.files().delete(&args.id).await?;
    out::json(&deletion).await?;
    if deletion.deleted {
        Ok(Exit::Success)
    } else {
        Err(CliError::new(Exit::Service, format!("delete file {}: the service says that it was not deleted", args.id)))
    }
}

fn purpose() -> impl TypedValueParser<Value = UploadPurpose> {
    PossibleValuesParser::new(UploadPurpose::ALL.iter().map(|purpose| purpose.as_str()))
        .try_map(|text| text.parse::<UploadPurpose>())
}

fn order() -> impl TypedValueParser<Value = Order> {
    PossibleValuesParser::new(Order::ALL.iter().map(|order| order.as_str())).try_map(|text| text.parse::<Order>())
}
