//! `lote export`: from the results of a run to a table.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use lote::prices::Cost;
use lote::save::Replace;
use serde::Serialize;

use crate::embedded;
use crate::exit::{CliError, Exit};
use crate::export::beside::Beside;
use crate::export::columns::{Fields, Survey};
use crate::export::costs::{Costs, Sum};
use crate::export::npy::{Matrix, Shape};
use crate::export::outcomes;
#[cfg(feature = "full")]
use crate::export::parquet;
use crate::export::results::{Results, Unreadable};
use crate::export::table::{Style, Table};
use crate::export::walk::Walk;
use crate::full;
use crate::input;
use crate::interrupt::Interrupt;
use crate::out;
use crate::prepare::output::Output;
use crate::prepare::rows::{self, Format};
use crate::prices::PricesArgs;

/// What the command makes, in messages.
const WHAT: &str = "table";

/// Make a table of the results of a run: CSV, TSV, JSON lines, Parquet, or a matrix of numpy
///
/// Writes one row for each request line, in their order: custom_id, outcome, what was answered,
/// model, finish_reason, input_tokens, output_tokens, error_code and error_message. When all answers
/// are JSON objects (structured output), each of their fields is a column, those of objects within
/// them under names with dots; else the text is one column. Refusals, tool calls, embeddings, images
/// and other answers have columns where there are any; lists are JSON in their cell.
///
/// cost is what each result cost in its batch, in dollars, from its own model and tokens; empty where
/// the price is not known. The column is there when the price of any is known: by the prices that the
/// run was told, and for OpenAI's service by those that are built in; of a file of results, by the
/// latter. --prices names a table of your own, which comes first.
///
/// With --rows the columns of your own table come first, and the results beside them, found by the
/// same --id that lote prepare was given. A result without a row is refused; a row may have none.
///
/// A text that a spreadsheet would take for a formula (it begins with = + - or @, and is no number)
/// has an apostrophe before it in CSV, and how many have is said; --raw leaves them.
///
/// FILE.parquet (in the full shape of the command) has columns with types, and vectors as lists of
/// 32-bit floats: a field of the answers is a number, a truth value or an instant (RFC 3339, with an
/// offset) where all of its values are such, and else text.
///
/// FILE.npy is a matrix of 32-bit floats, a row for each vector; a line without one has a row of NaN.
/// FILE.rows.jsonl beside it names the custom_id of each row.
///
/// --to outcomes is for programs: a JSON object a line with custom_id, outcome, status_code, model,
/// finish_reason, texts, body, error (code and message) and usage. To stdout they come as they are
/// read; the exit code says whether those were all.
///
/// All is read twice, for Parquet three times, a line at a time. With --rows in another order than the
/// results are, 16 bytes for each result are kept in memory, and the results in a temporary file.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote export requests.run -o answers.csv
  lote export requests.run -o answers.csv --rows tickets.csv --id '{{ ticket_id }}'
  lote export results.jsonl -o - --to jsonl | jq .text
  lote export requests.run -o embeddings.npy
  lote export requests.run -o - --to outcomes | jq -c 'select(.outcome == \"failed\").error'
  lote export requests.run -o answers.csv --prices prices.toml

Exit 0: the table has a row for each result. 1: some lines could not be read and have none.
2: usage, or a file that cannot be read or written. 3: refused, such as results that have no
row, or vectors of several lengths. 130: interrupted."
)]
pub(crate) struct ExportArgs {
    /// The folder of a run, a file of results, or - for stdin
    #[arg(value_name = "RUN|RESULTS", value_parser = input::path())]
    results: PathBuf,

    /// Where the table is to be; - is stdout, and then the summary goes to stderr
    #[arg(short, long, required = true, value_name = "FILE", value_parser = input::output())]
    output: PathBuf,

    /// What to write [default: by the ending of FILE; csv for -]
    #[arg(long, value_enum, value_name = "KIND")]
    to: Option<Kind>,

    /// Your own table, whose columns come first: a .csv, .tsv, .jsonl, .ndjson or .parquet file
    #[arg(long, value_name = "FILE", value_parser = input::path())]
    rows: Option<PathBuf>,

    /// The template of the custom_id, as lote prepare was given it
    #[arg(long, value_name = "TEXT", requires = "rows", default_value = "row-{{ row_number }}")]
    id: String,

    /// How the rows are written [default: by the ending of their file]
    #[arg(long, value_enum, requires = "rows")]
    format: Option<Format>,

    /// What stands between the values of CSV rows, such as ';', or tab [default: , or, for tsv, a tab]
    #[arg(long, value_name = "CHARACTER", requires = "rows", value_parser = rows::delimiter)]
    delimiter: Option<u8>,

    /// Only these fields of the answers, with dots for those within others
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', conflicts_with = "text")]
    fields: Vec<String>,

    /// The answers as they are, in one column, also when they are JSON
    #[arg(long)]
    text: bool,

    /// Leave texts that a spreadsheet would take for formulas as they are
    #[arg(long)]
    raw: bool,

    /// Begin CSV with a byte order mark, without which Excel on Windows shows other letters
    #[arg(long)]
    bom: bool,

    #[command(flatten)]
    prices: PricesArgs,

    /// Replace the output although it holds something else
    #[arg(long)]
    force: bool,

    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// What a table can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Comma-separated values under a line of names
    Csv,
    /// Tab-separated values under a line of names
    Tsv,
    /// One JSON object on each line
    Jsonl,
    /// Columns with types, compressed; in the full shape of the command
    Parquet,
    /// The vectors of embeddings as a matrix of numpy, and the custom_id of each row in a file beside it
    Npy,
    /// One JSON object on each line, for programs: what became of the request, its texts, body, error and usage
    Outcomes,
}

/// What was written, for people and as JSON.
#[derive(Serialize)]
struct Summary {
    output: String,
    rows: u64,
    columns: usize,
    /// Rows of the user's table that have no result.
    without_result: u64,
    /// Cells that have an apostrophe before them.
    made_harmless: u64,
    unreadable: u64,
    /// What the rows cost whose price is known, in dollars; none when there is no such.
    cost: Option<Cost>,
    /// Rows that used tokens of a model whose price is not known.
    without_price: u64,
    #[serde(skip)]
    sum: Sum,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_unreadable: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    names_of_rows: Option<String>,
}

/// # Errors
/// When there is no table, with the exit code that says why.
pub(crate) fn run(args: &ExportArgs, interrupt: &Interrupt) -> Result<Exit, CliError> {
    let kind = kind(args)?;
    let beside = args.rows.as_deref().map(|rows| beside(args, rows)).transpose()?;
    let results = Results::of(&args.results)?;
    refuse_overwriting(args, &results)?;
    let inputs: Vec<&Path> = std::iter::once(results.path()).chain(args.rows.as_deref()).collect();
    let replace = || if args.force { Replace::Anything } else { Replace::Same };
    if kind == Kind::Outcomes && input::is_dash(&args.output) {
        return tell(args, for_programs(&results, outcomes::Lines::printed(), interrupt)?);
    }
    let output = Output::of_any_kind(&args.output, WHAT, replace(), &inputs)?;
    if let Some(path) = output.half_made() {
        interrupt.half_made(path);
    }
    if kind == Kind::Npy {
        let names = args.output.with_extension("rows.jsonl");
        let names_to = Output::of_any_kind(&names, "names of its rows", replace(), &inputs)?;
        let summary = matrix(&results, output, names_to, interrupt)?;
        return tell(args, Summary { names_of_rows: Some(names.display().to_string()), ..summary });
    }
    let summary = match kind {
        Kind::Outcomes => for_programs(&results, outcomes::Lines::File(Box::new(output)), interrupt)?,
        kind => table(args, kind, &results, beside.as_ref(), output, interrupt)?,
    };
    tell(args, summary)
}

/// Writes each result as a line for programs.
fn for_programs(results: &Results, mut lines: outcomes::Lines, interrupt: &Interrupt) -> Result<Summary, CliError> {
    let (mut rows, mut is_read) = (0, true);
    let read = results.each(interrupt, |outcome, answer| {
        is_read = lines.write(outcome, answer).map_err(|error| cannot_write(&error))?;
        rows += 1;
        // Nobody reads the rest.
        if is_read { Ok(()) } else { Err(CliError::interrupted()) }
    });
    let unreadable = if is_read { read? } else { Unreadable::default() };
    let output = lines.finish().map_err(|error| cannot_write(&error))?;
    interrupt.check()?;
    if let Some(output) = output {
        output.finish()?;
    }
    Ok(Summary { rows, columns: outcomes::FIELDS, ..Summary::new(unreadable) })
}

fn table(
    args: &ExportArgs,
    kind: Kind,
    results: &Results,
    beside: Option<&Beside>,
    output: Output,
    interrupt: &Interrupt,
) -> Result<Summary, CliError> {
    let own = beside.map(|beside| beside.names(interrupt)).transpose()?.unwrap_or_default();
    let fields = match (args.text, args.fields.as_slice()) {
        (true, _) => Fields::Text,
        (false, []) => Fields::Auto,
        (false, named) => Fields::Named(named.to_vec()),
    };
    let is_embedded = args.results.is_dir() && embedded::is_run_of(&args.results);
    let costs = Costs::new(args.prices.of_results(&args.results)?, is_embedded);
    let mut survey = Survey::new(fields, kind != Kind::Jsonl, costs);
    let unreadable = results.each(interrupt, |outcome, answer| {
        survey.add(outcome, answer);
        Ok(())
    })?;
    let sum = survey.sum;
    let columns = survey.columns(&own, kind == Kind::Parquet);
    let columns = columns.map_err(|why| CliError::refused(format!("{}: {why}", named(args))))?;
    let Sum { cost, unpriced: without_price, embedded } = sum;
    let cost = cost.or(embedded.then_some(Cost::ZERO));
    let walk = Walk { results, beside, own, columns, interrupt };
    let names = walk.names();
    let mut summary = Summary { columns: names.len(), cost, without_price, sum, ..Summary::new(unreadable) };
    let output = match kind {
        #[cfg(feature = "full")]
        Kind::Parquet => typed(&walk, names, output, &mut summary)?,
        kind => {
            let style = match kind {
                Kind::Jsonl => Style::Jsonl,
                Kind::Tsv => Style::Csv(b'\t'),
                _ => Style::Csv(b','),
            };
            let begun = Table::begin(output, style, names, args.raw, args.bom);
            let mut table = begun.map_err(|error| cannot_write(&error))?;
            let without = walk.each(|cells| {
                summary.rows += 1;
                summary.made_harmless += table.row(cells).map_err(|error| cannot_write(&error))?;
                Ok(())
            })?;
            summary.without_result = without;
            table.finish().map_err(|error| cannot_write(&error))?
        }
    };
    interrupt.check()?;
    output.finish()?;
    Ok(summary)
}

/// Writes Parquet, whose columns have types: what is in them is looked at first.
#[cfg(feature = "full")]
fn typed(walk: &Walk<'_>, names: Vec<String>, output: Output, summary: &mut Summary) -> Result<Output, CliError> {
    let begun = parquet::Table::begin(output, names, &walk.kinds()?);
    let mut table = begun.map_err(|error| cannot_write(&error))?;
    let without = walk.each(|cells| {
        summary.rows += 1;
        table.row(cells).map_err(|error| cannot_write(&error))
    })?;
    summary.without_result = without;
    table.finish().map_err(|error| cannot_write(&error))
}

fn matrix(results: &Results, output: Output, names: Output, interrupt: &Interrupt) -> Result<Summary, CliError> {
    let mut shape = Shape::default();
    let unreadable =
        results.each(interrupt, |outcome, answer| shape.add(outcome, answer).map_err(CliError::refused))?;
    let (rows, columns) = shape.size();
    let mut matrix = Matrix::begin(output, names, &shape).map_err(|error| cannot_write(&error))?;
    results.each(interrupt, |outcome, answer| matrix.line(outcome, answer).map_err(|error| cannot_write(&error)))?;
    interrupt.check()?;
    let (output, names) = matrix.finish();
    // The names first: a matrix has them whenever it is there.
    names.finish()?;
    output.finish()?;
    Ok(Summary { rows, columns, ..Summary::new(unreadable) })
}

impl Summary {
    fn new(unreadable: Unreadable) -> Self {
        Self {
            output: String::new(),
            rows: 0,
            columns: 0,
            without_result: 0,
            made_harmless: 0,
            unreadable: unreadable.lines,
            cost: None,
            without_price: 0,
            sum: Sum::default(),
            first_unreadable: unreadable.first,
            names_of_rows: None,
        }
    }

    /// For people.
    fn lines(&self) -> Vec<String> {
        let (rows, columns) = (out::count(self.rows, "row"), out::count(self.columns as u64, "column"));
        let mut lines = vec![format!("{}: {rows}, {columns}", self.output)];
        if let Some(names) = &self.names_of_rows {
            lines.push(format!("{names}: the custom_id of each row"));
        }
        if self.without_result > 0 {
            lines.push(format!("{} without a result", out::count(self.without_result, "row")));
        }
        if self.made_harmless > 0 {
            let cells = out::count(self.made_harmless, "text");
            lines.push(format!(
                "{cells} that a spreadsheet would take for a formula: ' was put before (--raw: leaves them)"
            ));
        }
        lines.extend(self.sum.line());
        if let Some(first) = &self.first_unreadable {
            lines.push(match self.unreadable {
                1 => format!("1 line cannot be read and has no row: {first}"),
                lines => format!("{lines} lines cannot be read and have no row, first: {first}"),
            });
        }
        lines
    }
}

/// What is to be written.
fn kind(args: &ExportArgs) -> Result<Kind, CliError> {
    let ending = args.output.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let kind = match (args.to, ending.as_str()) {
        (Some(kind), _) => kind,
        (None, _) if input::is_dash(&args.output) => Kind::Csv,
        (None, "csv") => Kind::Csv,
        (None, "tsv") => Kind::Tsv,
        (None, "jsonl" | "ndjson") => Kind::Jsonl,
        (None, "parquet") => Kind::Parquet,
        (None, "npy") => Kind::Npy,
        (None, _) => {
            return Err(CliError::usage(format!(
                "{}: tables are .csv, .tsv, .jsonl, .parquet or .npy; name such a file, or say what to write with --to",
                args.output.display()
            )));
        }
    };
    let refuse = |why: &str| Err(CliError::usage(format!("{}: {why}", named(args))));
    if kind == Kind::Parquet {
        full::only("a table as Parquet")?;
    }
    match kind {
        Kind::Npy if input::is_dash(&args.output) => refuse("a matrix has a file of names beside it: name one with -o"),
        Kind::Npy if args.rows.is_some() => {
            refuse("a matrix holds vectors alone: leave --rows out, or name a .csv file")
        }
        Kind::Npy if args.text || !args.fields.is_empty() => refuse("a matrix has no columns of fields or texts"),
        Kind::Npy if args.prices.is_given() => refuse("a matrix has no column of costs"),
        Kind::Outcomes if args.rows.is_some() || args.text || !args.fields.is_empty() || args.prices.is_given() => {
            refuse("outcomes are no table: leave --rows, --text, --fields and --prices out, or write jsonl")
        }
        Kind::Jsonl | Kind::Npy | Kind::Parquet | Kind::Outcomes if args.raw || args.bom => {
            refuse("--raw and --bom are for CSV")
        }
        kind => Ok(kind),
    }
}

fn beside(args: &ExportArgs, rows: &Path) -> Result<Beside, CliError> {
    if input::is_dash(rows) {
        return Err(CliError::usage("--rows -: the rows are read twice; name a file"));
    }
    let format = rows::format(rows, args.format, args.delimiter.is_some())?;
    Beside::new(rows.to_owned(), format, args.delimiter, args.id.clone())
}

/// Refuses what would write over what is read.
fn refuse_overwriting(args: &ExportArgs, results: &Results) -> Result<(), CliError> {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let output = real(&args.output).filter(|_| !input::is_dash(&args.output));
    for (path, what) in [(Some(results.path()), "results"), (args.rows.as_deref(), "rows")] {
        if output.is_some() && path.and_then(real) == output {
            return Err(CliError::usage(format!(
                "{}: the {what} would be overwritten by the table; choose another -o",
                args.output.display()
            )));
        }
    }
    Ok(())
}

fn named(args: &ExportArgs) -> String {
    input::shown(&args.results)
}

fn cannot_write(error: &io::Error) -> CliError {
    CliError::usage(format!("the {WHAT} cannot be written: {error}; nothing was left under the final name"))
}

fn tell(args: &ExportArgs, summary: Summary) -> Result<Exit, CliError> {
    let to_stderr = input::is_dash(&args.output);
    let output = if to_stderr { "stdout".to_owned() } else { args.output.display().to_string() };
    let summary = Summary { output, ..summary };
    let exit = if summary.unreadable == 0 { Exit::Success } else { Exit::Incomplete };
    if args.json {
        let text = serde_json::to_string(&summary).map_err(|error| CliError::usage(format!("summary: {error}")))?;
        if to_stderr {
            out::note_line(text);
        } else {
            out::line(text)?;
        }
        return Ok(exit);
    }
    let lines = summary.lines();
    if to_stderr {
        lines.iter().for_each(out::note);
    } else {
        out::lines(lines)?;
    }
    Ok(exit)
}
