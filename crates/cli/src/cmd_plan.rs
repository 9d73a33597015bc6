//! `lote plan`: prints the shards that a run of some files would have, or the findings that are in its way.

use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use clap::Args;
use lote::Dialect;
use lote::run::{EqualLines, Partition, Plan, PlanError, PlanOptions, ShardPlan, SourceFindings, plan};
use lote::text::visible;
use serde_json::{Value, json};

use crate::caps::CapArgs;
use crate::endpoint::Endpoint;
use crate::exit::{CliError, Exit};
use crate::input;
use crate::out;
use crate::prices::PricesArgs;
use crate::quote;
use crate::service::{Filled, ProfileArgs};
use crate::summary;

/// How many findings are listed, those that are the same counting as one.
const SHOWN_FINDINGS: usize = 100;

/// How many characters of a model's name are in the table.
const SHOWN_NAME: usize = 60;

/// Say into which shards requests would be cut
///
/// Reads the files to their ends, checks them as lote check does, and prints the shards: the
/// request lines of one batch each. A shard ends where the next line would pass a limit of the
/// dialect; lines of different endpoints are never in the same one, nor lines of different models
/// where a batch has one model. No custom_id may be in two places of all files. Nothing is sent,
/// and no key is needed.
///
/// Says what they will cost in batches, by model and shard: about, for input, where a token is taken
/// for each 4 bytes of a line (text in English has about as many; another script has more, a picture
/// far fewer); at most, for output, from the limits that the lines set themselves (max_tokens,
/// max_completion_tokens, max_output_tokens, times n or best_of). What OpenAI charges is built in,
/// with the date when it was read; --prices names a table of your own, which comes first. A model
/// whose price is not known is said as such, and is in no sum.
///
/// Exit 0: there is a plan. Exit 3: findings, or a run may cost more than --max-cost or use more
/// than --max-run-tokens.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote plan requests.jsonl
  lote plan part-1.jsonl part-2.jsonl.gz --shard-lines 10000
  lote plan requests.jsonl --partition 2/5
  lote plan requests.jsonl --prices prices.toml
  lote plan requests.jsonl --dialect openai --json | jq .quote"
)]
pub(crate) struct PlanArgs {
    /// The request files, in the order of their lines, or patterns of their names; - is stdin
    #[arg(required = true)]
    requests: Vec<PathBuf>,

    /// How many request lines a shard may have [default: as many as a batch of the dialect]
    #[arg(long, value_name = "N")]
    shard_lines: Option<NonZeroU64>,

    /// How many bytes a shard may have [default: as many as an input file of the dialect]
    #[arg(long, value_name = "N")]
    shard_bytes: Option<NonZeroU64>,

    /// Read only the first N request lines
    #[arg(long, value_name = "N")]
    limit: Option<NonZeroU64>,

    /// Plan only part I of N of those, such as 2/5; all of them are checked
    #[arg(long, value_name = "I/N")]
    partition: Option<Partition>,

    /// Plan as lote run --dedupe: of lines that ask for the same the first is in a shard
    #[arg(long)]
    dedupe: bool,

    /// The endpoint that each line's url must name, and that lines without one are for
    #[arg(long, value_name = "ENDPOINT")]
    endpoint: Option<Endpoint>,

    /// Plan by the lines, limits and endpoints of this dialect: a known one or a file of your own
    ///
    /// Without one it is OpenAI's limits and every endpoint that is known.
    #[arg(long, value_name = "NAME|FILE", env = "LOTE_DIALECT", hide_env_values = true)]
    dialect: Option<String>,

    /// The service that the lines are for, by whose prices the quote is; limits are the dialect's
    ///
    /// Without it, it is the service of the dialect, and without a dialect too it is OpenAI.
    #[arg(long, value_name = "URL", env = "LOTE_BASE_URL", hide_env_values = true)]
    base_url: Option<String>,

    #[command(flatten)]
    profile: ProfileArgs,

    #[command(flatten)]
    prices: PricesArgs,

    #[command(flatten)]
    caps: CapArgs,

    /// Print one JSON object: shards, lines, bytes, models, sha256, quote; with --partition, that too; with
    /// --dedupe, deduplicated
    ///
    /// Costs are texts, in dollars with every digit, such as "0.0042".
    #[arg(long)]
    json: bool,
}

/// # Errors
/// When a file cannot be read or stdout cannot be written.
pub(crate) fn run(args: &PlanArgs) -> Result<Exit, CliError> {
    let requests = input::files(&args.requests)?;
    let stdins = requests.iter().filter(|path| input::is_dash(path) || path.as_path() == Path::new(STDIN)).count();
    if stdins > 1 {
        return Err(CliError::usage("-: stdin can be only one of the files"));
    }
    let sources = requests.iter().map(|path| source(path)).collect::<Result<Vec<_>, _>>()?;
    match plan(sources, &options(args)?) {
        Ok(plan) => {
            print(args, &plan)?;
            Ok(if plan.refused.is_none() { Exit::Success } else { Exit::Refused })
        }
        Err(PlanError::Input { checked, sources, .. }) => {
            refused(args, checked.findings, &sources)?;
            Ok(Exit::Refused)
        }
        Err(PlanError::Io { path, error, .. }) if requests.iter().any(|named| is(named, &path)) => {
            Err(input::cannot_read(&path, &error))
        }
        Err(error) => Err(CliError::usage(error.to_string())),
    }
}

fn options(args: &PlanArgs) -> Result<PlanOptions, CliError> {
    let Filled { dialect, base_url } = args.profile.fill(&args.dialect, &args.base_url)?;
    let dialect = dialect.as_deref().map(Dialect::load).transpose()?;
    let prices = args.prices.load()?;
    // Whose prices are meant: those of the service that is named, or of that of the dialect.
    let prices = match (base_url.as_deref(), &dialect) {
        (Some(url), _) => prices.at(url),
        (None, Some(dialect)) => prices.of(dialect),
        (None, None) => prices,
    };
    let mut options = args.caps.plan(PlanOptions::new().prices(prices).dedupe(args.dedupe))?;
    if let Some(dialect) = &dialect {
        options = options.dialect(dialect);
    }
    if let Some(endpoint) = &args.endpoint {
        options = options.endpoint(endpoint.path());
    }
    options = args.shard_lines.into_iter().fold(options, PlanOptions::shard_lines);
    options = args.shard_bytes.into_iter().fold(options, PlanOptions::shard_bytes);
    options = args.partition.into_iter().fold(options, PlanOptions::partition);
    Ok(args.limit.into_iter().fold(options, PlanOptions::limit))
}

/// The file that a source is read from: stdin has a name where the system gives it one.
fn source(path: &Path) -> Result<PathBuf, CliError> {
    match input::is_dash(path) {
        false if path.is_dir() => Err(CliError::usage(format!("{}: is a folder; name files in it", path.display()))),
        false => Ok(path.to_owned()),
        true if cfg!(unix) => Ok(PathBuf::from(STDIN)),
        true => Err(CliError::usage("stdin cannot be planned here: write the request lines to a file, and name that")),
    }
}

const STDIN: &str = "/dev/stdin";

/// Whether a source that was named is this file.
fn is(named: &Path, path: &Path) -> bool {
    named == path || input::is_dash(named) && path == Path::new(STDIN)
}

fn print(args: &PlanArgs, plan: &Plan) -> Result<(), CliError> {
    if args.json {
        let plan = serde_json::to_value(plan).map_err(|error| CliError::usage(error.to_string()))?;
        return out::line(plan);
    }
    out::lines(table(plan))?;
    let of = plan.partition.map(|part| format!("part {part}, ")).unwrap_or_default();
    let mut text = format!(
        "{of}{}: {}, {} bytes",
        out::count(plan.shards.len() as u64, "shard"),
        out::count(plan.lines, "request line"),
        plan.bytes
    );
    let without = plan.lines.saturating_sub(plan.models.values().sum());
    if let Some(models) = summary::models(&plan.models, without) {
        text.push_str(&format!(", models: {models}"));
    }
    out::text(text)?;
    if let Some(EqualLines { lines, tokens, .. }) = plan.deduplicated {
        let lines = out::count(lines, "line");
        out::text(format_args!("{lines} equal others, and are in no shard: about {tokens} tokens of prompts less"))?;
    }
    out::lines(plan.quote.iter().flat_map(quote::lines))?;
    plan.refused.as_ref().map_or(Ok(()), |why| out::text(format_args!("a run is refused: {}", visible(why))))
}

/// The shards under a line of headings: numbers to the right, names to the left. What no shard has is no column.
fn table(plan: &Plan) -> Vec<String> {
    let shards = &plan.shards;
    let name = |name: &str| -> String {
        let seen = visible(name);
        let cut: String = seen.chars().take(SHOWN_NAME).collect();
        if cut.len() < seen.len() { cut + "…" } else { cut }
    };
    let column = |heading: &str, right: bool, cell: &dyn Fn(&ShardPlan) -> String| {
        (right, std::iter::once(heading.to_owned()).chain(shards.iter().map(cell)).collect::<Vec<_>>())
    };
    let mut columns = vec![
        column("shard", true, &|shard| shard.number.to_string()),
        column("lines", true, &|shard| shard.lines.to_string()),
        column("bytes", true, &|shard| shard.bytes.to_string()),
    ];
    if shards.iter().any(|shard| shard.inputs > 0) {
        columns.push(column("texts", true, &|shard| shard.inputs.to_string()));
    }
    if let Some(costs) = plan.quote.as_ref().and_then(quote::cells) {
        columns.push((true, std::iter::once("input".to_owned()).chain(costs).collect()));
    }
    columns.push(column("endpoint", false, &|shard| name(&shard.endpoint)));
    if shards.iter().any(|shard| shard.model.is_some()) {
        columns.push(column("model", false, &|shard| shard.model.as_deref().map_or_else(|| "-".to_owned(), name)));
    }
    for (right, cells) in &mut columns {
        let width = cells.iter().map(|cell| cell.chars().count()).max().unwrap_or_default();
        for cell in cells {
            *cell = if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
        }
    }
    let line = |row: usize| columns.iter().map(|(_, cells)| cells[row].as_str()).collect::<Vec<_>>().join("  ");
    (0..=shards.len()).map(|row| line(row).trim_end().to_owned()).collect()
}

fn refused(args: &PlanArgs, findings: u64, sources: &[SourceFindings]) -> Result<(), CliError> {
    let shown = |source: &SourceFindings| {
        let dash = args.requests.iter().find(|named| is(named, &source.source));
        input::shown(dash.unwrap_or(&source.source))
    };
    if args.json {
        let listed = sources.iter().flat_map(|source| {
            source.findings.iter().map(move |finding| {
                let mut value = json!(finding);
                value["file"] = Value::String(shown(source));
                value
            })
        });
        let listed: Vec<_> = listed.collect();
        return out::line(json!({ "findings": listed, "findings_total": findings }));
    }
    let groups = sources.iter().flat_map(|source| source.groups.groups().iter().map(move |group| (source, group)));
    let mut told = 0;
    for (source, group) in groups.take(SHOWN_FINDINGS) {
        told += group.count;
        out::text(format_args!("{}: {group}", shown(source)))?;
    }
    if told < findings {
        out::text(format_args!("… and {} more; see those of a file with lote check", findings - told))?;
    }
    out::text(format_args!("{}; there is no plan", out::count(findings, "finding")))
}
