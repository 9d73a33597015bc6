//! `lote prepare`: makes request lines of rows, and prints a summary or what is wrong.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use lote::save::Replace;
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::exit::{CliError, Exit};
use crate::input;
use crate::interrupt::Interrupt;
use crate::out;
use crate::prepare::args::AskArgs;
use crate::prepare::ask::Ask;
use crate::prepare::make::{Made, Making, Refused, id_advice};
use crate::prepare::output::Output;
use crate::prepare::rows;

/// Make request lines from a table: one of each row
///
///   lote prepare tickets.csv --user '{{ subject }}: {{ body }}' --model auto -o requests.jsonl
///   lote prepare tickets.csv --system 'Sort the ticket.' --user '{{ body }}' --schema @kinds.json \
///     --id '{{ ticket_id }}' --model auto -o requests.jsonl
///   lote prepare papers.parquet --embed '{{ title }}: {{ abstract }}' --model e-1 -o requests.jsonl
///
/// Rows are CSV under a line of field names, JSON lines, or Parquet. Each becomes one request line:
/// custom_id, method, url, body. CSV values are texts; numbers of JSON and Parquet keep every digit.
/// lote run takes the same flags, and makes the lines and runs them in one.
///
/// With --template you write the JSON of a body yourself. Every expression in it renders a whole
/// JSON value, with quotes of its own where it is text, so that no value can change the structure:
///
///   "content": {{ question }}
///   "content": {{ "Q: " ~ question }}
///
/// Text captured by {% set x %}…{% endset %} or a macro is plain text until it is written with
/// {{ x }}.
///
/// All templates are Jinja, and see the row's fields by name, `row_number` (from 1), and `row`, the
/// whole row, for names that are no words, as in {{ row["full name"] }}.
///
/// Refused, with exit 3 and nothing written: a template that is wrong, a row that is invalid or
/// lacks a field that a template uses (it does not become null), a field named `row_number`, an
/// empty or duplicate id, a text with nothing in it, and a body that is no JSON object or has a key
/// twice. What is the same for many rows is said once, with a count.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote prepare reviews.csv --user 'Is this review good? {{ text }}' --model auto -o requests.jsonl
  lote prepare tickets.csv --system @system.txt --user @user.txt --model auto --temperature 0 \\
    --field max_completion_tokens=200 --id '{{ ticket_id }}' -o requests.jsonl
  lote prepare reviews.jsonl --user '{{ text }}' --schema @verdict.json --model auto -o lines.jsonl
  lote prepare texts.csv --embed '{{ text }}' --model e-1 --dimensions 256 -o requests.jsonl
  lote prepare questions.jsonl --template @chat.json --endpoint chat -o requests.jsonl
  jq -c '.[]' array.json | lote prepare - --user '{{ text }}' --model auto -o requests.jsonl"
)]
pub(crate) struct PrepareArgs {
    /// The rows: a .csv, .tsv, .jsonl, .ndjson or .parquet file, or - for stdin
    #[arg(value_parser = input::path())]
    rows: PathBuf,

    /// Where to write the request lines, or - for stdout
    #[arg(short, long, value_name = "FILE", value_parser = input::output())]
    output: PathBuf,

    /// Let -o replace a file that holds no request lines
    #[arg(long)]
    force: bool,

    /// Print the summary as JSON (on stderr with -o -)
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    ask: AskArgs,

    /// The endpoint, by short name or by path [default: chat; embeddings with --embed]
    ///
    /// With --user it may be responses as well. With --template it has to be given.
    #[arg(long, value_name = "ENDPOINT", help_heading = "What is asked of each row")]
    endpoint: Option<Endpoint>,
}

/// # Errors
/// As the help says.
pub(crate) fn run(args: &PrepareArgs, interrupt: &Interrupt) -> Result<Exit, CliError> {
    let format = rows::format(&args.rows, args.ask.format, args.ask.delimiter.is_some())?;
    let ask = Ask::new(&args.ask, args.endpoint.as_ref())?;
    refuse_overwriting(args, &ask)?;
    // Of what stdin was redirected from; a pipe says nothing.
    let rows = if input::is_dash(&args.rows) { Path::new("/dev/stdin") } else { args.rows.as_path() };
    let inputs: Vec<&Path> = [rows].into_iter().chain(ask.files()).collect();
    // Other request lines are replaced: one command makes them again.
    let replace = if args.force { Replace::Anything } else { Replace::Requests };
    let mut output = Output::new(&args.output, "request lines", replace, &inputs)?;
    if let Some(path) = output.half_made() {
        interrupt.half_made(path);
    }
    // After that, since the first bytes of stdin may be long in coming.
    let making = Making { rows: &args.rows, format, delimiter: args.ask.delimiter, ask: &ask, limit: None };
    let mut lines = 0_u64;
    let made = making.make(interrupt, &mut |line| {
        lines += 1;
        output.line(line)
    })?;
    let (rows, id) = match made {
        Made::Lines { rows, id } => (rows, id),
        Made::Refused(refused) => return refuse(args, &refused),
    };
    let bytes = output.bytes();
    output.finish()?;
    let to_stderr = input::is_dash(&args.output);
    if args.json {
        let output = args.output.to_string_lossy();
        print_json(json!({"rows": rows, "lines": lines, "bytes": bytes, "output": output}), to_stderr)?;
        return Ok(Exit::Success);
    }
    let output = if to_stderr { "stdout".into() } else { args.output.to_string_lossy() };
    let summary = format!("{output}: {}, {bytes} bytes, for {}", out::count(lines, "request line"), ask.endpoint());
    if to_stderr {
        out::note(summary);
    } else {
        out::text(summary)?;
    }
    if let Some(column) = id {
        out::note(id_advice(&column));
    }
    Ok(Exit::Success)
}

fn refuse(args: &PrepareArgs, refused: &Refused) -> Result<Exit, CliError> {
    if args.json {
        let findings = &refused.findings;
        let summary = json!({
            "rows": refused.rows, "lines": 0, "bytes": 0, "output": null, "findings": findings.json(),
            "fields": findings.fields,
        });
        print_json(summary, input::is_dash(&args.output))?;
    }
    Err(refused.tell(&args.rows, "nothing was written"))
}

fn print_json(summary: serde_json::Value, to_stderr: bool) -> Result<(), CliError> {
    if to_stderr {
        out::note_line(summary);
        Ok(())
    } else {
        out::line(summary)
    }
}

fn refuse_overwriting(args: &PrepareArgs, ask: &Ask) -> Result<(), CliError> {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let of_ask = ask.files().map(|path| (path, "file that says what is asked"));
    for (path, what) in [(args.rows.as_path(), "rows")].into_iter().chain(of_ask) {
        if real(path).is_some_and(|path| Some(path) == real(&args.output)) {
            return Err(CliError::usage(format!(
                "{}: the {what} would be overwritten by the request lines; choose another -o",
                args.output.display()
            )));
        }
    }
    Ok(())
}
