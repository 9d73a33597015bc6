//! `lote prepare`: makes request lines of rows and a template, and prints a summary or what is wrong.

use std::collections::HashMap;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use lote::save::Replace;
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::exit::{CliError, Exit};
use crate::input;
use crate::interrupt::Interrupt;
use crate::out;
use crate::prepare::findings::{Findings, delimiter_advice};
use crate::prepare::output::Output;
use crate::prepare::rows::{Fault, Format, Row, Rows};
use crate::prepare::template::{Refusal, Templates};
use crate::prepare::{body, rows};

/// Make request lines from rows and a template
///
/// Reads rows (JSON lines, or CSV with a line of field names), renders the template once for
/// each, and writes one request line per row: custom_id, method, url, body.
///
/// The template is the JSON text of a body, with Jinja expressions. It sees the row's fields by
/// name, `row_number` (from 1), and `row`, the whole row, for names that are no identifiers, as
/// in {{ row["full name"] }}.
///
/// An expression renders a whole JSON value, with quotes of its own where it is text:
///
///   "content": {{ question }}
///   "content": {{ "Q: " ~ question }}
///
/// Text captured by {% set x %}…{% endset %} or a macro is plain text until it is written with
/// {{ x }}.
///
/// Refused, with exit 3 and nothing written: a template that is wrong, a row that is invalid or
/// lacks a field that the template uses (it does not become null), a field named `row_number`,
/// an empty or duplicate id, and a body that is no JSON object or has a key twice. What is the
/// same for many rows is said once, with a count. CSV values are strings. Numbers of JSON rows
/// keep their value, however long they are.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote prepare questions.jsonl --template @chat.json --endpoint chat -o requests.jsonl
  lote prepare reviews.csv --endpoint chat --model auto --id 'review-{{ id }}' \\
    --template '{\"messages\":[{\"role\":\"user\",\"content\": {{ \"Sum up: \" ~ text }} }]}' \\
    -o requests.jsonl
  jq -c '.[]' array.json | lote prepare - --endpoint embeddings --model e-1 \\
    --template '{\"input\": {{ text }} }' -o requests.jsonl"
)]
pub(crate) struct PrepareArgs {
    /// The rows: a .jsonl, .ndjson, .csv or .tsv file, or - for stdin
    #[arg(value_parser = input::path())]
    rows: PathBuf,

    /// The template of the body, or @FILE to read it from a file
    #[arg(long, value_name = "TEXT|@FILE")]
    template: String,

    /// The endpoint, by short name or by path such as /v1/chat/completions
    #[arg(long, value_name = "ENDPOINT")]
    endpoint: Endpoint,

    /// The template of the custom_id: plain text, not JSON
    #[arg(long, value_name = "TEXT", default_value = "row-{{ row_number }}")]
    id: String,

    /// The model to put into each body that does not name one; not visible to the template
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    model: Option<String>,

    /// How the rows are written [default: by the file's extension; jsonl for -]
    #[arg(long, value_enum)]
    format: Option<Format>,

    /// What stands between the values of CSV rows, such as ';', or tab [default: , or, for tsv, a tab]
    #[arg(long, value_name = "CHARACTER", value_parser = rows::delimiter)]
    delimiter: Option<u8>,

    /// Where to write the request lines, or - for stdout
    #[arg(short, long, value_name = "FILE", value_parser = input::output())]
    output: PathBuf,

    /// Let -o replace a file that holds no request lines
    #[arg(long)]
    force: bool,

    /// Print the summary as JSON (on stderr with -o -)
    #[arg(long)]
    json: bool,
}

/// # Errors
/// As the help says.
pub(crate) fn run(args: &PrepareArgs, interrupt: &Interrupt) -> Result<Exit, CliError> {
    let format = format(args)?;
    let templates = Templates::new(template(&args.template)?, args.id.clone()).map_err(CliError::refused)?;
    refuse_overwriting(args)?;
    let mut maker = Maker {
        args,
        templates,
        ids: HashMap::new(),
        hashers: (RandomState::new(), RandomState::new()),
        findings: Findings::default(),
    };
    let mut advice = None;
    let template = args.template.strip_prefix('@').map(Path::new);
    // Of what stdin was redirected from; a pipe says nothing.
    let rows = if input::is_dash(&args.rows) { Path::new("/dev/stdin") } else { args.rows.as_path() };
    let inputs: Vec<&Path> = [rows].into_iter().chain(template).collect();
    // Other request lines are replaced: one command makes them again.
    let replace = if args.force { Replace::Anything } else { Replace::Requests };
    let mut output = Output::new(&args.output, "request lines", replace, &inputs)?;
    if let Some(path) = output.half_made() {
        interrupt.half_made(path);
    }
    // After that, since the first bytes of stdin may be long in coming.
    let source = input::open(&args.rows)?;
    let (mut rows_read, mut lines) = (0_u64, 0_u64);
    match Rows::new(source, format, args.delimiter) {
        Err(fault) => maker.fault(fault)?,
        Ok(mut rows) => {
            let usual = format.delimiter().unwrap_or_default();
            advice = delimiter_advice(rows.names(), args.delimiter.unwrap_or(usual));
            while let Some(next) = rows.next() {
                interrupt.check()?;
                rows_read += 1;
                let made = next.and_then(|row| maker.line(&row));
                match made {
                    Ok(line) if maker.findings.is_empty() => {
                        output.line(&line)?;
                        lines += 1;
                    }
                    Ok(_) => {}
                    Err(fault) => {
                        let last = !matches!(fault, Fault::Row { .. });
                        maker.fault(fault)?;
                        if last || maker.findings.are_enough() {
                            break;
                        }
                    }
                }
            }
        }
    }
    if rows_read == 0 && maker.findings.is_empty() {
        maker.fault(Fault::Text("holds no rows".to_owned()))?;
    }
    if !maker.findings.is_empty() {
        return refuse(args, rows_read, &maker.findings, advice);
    }
    let bytes = output.bytes();
    output.finish()?;
    let summary = if args.json {
        let output = args.output.to_string_lossy();
        json!({"rows": rows_read, "lines": lines, "bytes": bytes, "output": output}).to_string()
    } else {
        let output = if input::is_dash(&args.output) { "stdout".into() } else { args.output.to_string_lossy() };
        format!("{output}: {}, {bytes} bytes, for {}", out::count(lines, "request line"), args.endpoint)
    };
    if input::is_dash(&args.output) {
        out::note_line(summary);
    } else {
        out::line(summary)?;
    }
    Ok(Exit::Success)
}

/// What becomes of the rows, one by one.
struct Maker<'a> {
    args: &'a PrepareArgs,
    templates: Templates,
    /// 128 bits of each id's hash, and the row that has it.
    ids: HashMap<u128, u64>,
    hashers: (RandomState, RandomState),
    findings: Findings,
}

impl Maker<'_> {
    fn line(&mut self, row: &Row) -> Result<String, Fault> {
        self.try_line(row).map_err(|refusal| {
            let message = match refusal {
                Refusal::Template(message) => return Fault::Text(message),
                Refusal::Row(message) => message,
                Refusal::Undefined(message) => {
                    self.findings.fields.get_or_insert_with(|| row.names());
                    message
                }
            };
            Fault::Row { number: row.number, line: row.line, message }
        })
    }

    fn try_line(&mut self, row: &Row) -> Result<String, Refusal> {
        let id = self.templates.id(row)?;
        if id.is_empty() {
            return Err(Refusal::Row("--id renders an empty id; use fields that are never empty".to_owned()));
        }
        let (a, b) = &self.hashers;
        let hash = u128::from(a.hash_one(&id)) << 64 | u128::from(b.hash_one(&id));
        if let Some(first) = self.ids.insert(hash, row.number) {
            return Err(Refusal::Row(format!(
                "the id {id:?} is already that of row {first}; \
                 use --id with a field that differs, or with {{{{ row_number }}}}"
            )));
        }
        let text = self.templates.body(row)?;
        let body = body::finish(&text, self.args.model.as_deref()).map_err(Refusal::Row)?;
        let id = serde_json::to_string(&id).map_err(|e| Refusal::Row(e.to_string()))?;
        Ok(format!(r#"{{"custom_id":{id},"method":"POST","url":"{}","body":{body}}}"#, self.args.endpoint.path()))
    }

    fn fault(&mut self, fault: Fault) -> Result<(), CliError> {
        let (place, message) = match fault {
            Fault::Row { number, line, message } => (Some((number, line)), message),
            Fault::Text(message) => (None, message),
            Fault::Io(error) => return Err(input::cannot_read(&self.args.rows, &error)),
        };
        self.findings.push(place, message);
        Ok(())
    }
}

fn refuse(args: &PrepareArgs, rows_read: u64, findings: &Findings, advice: Option<String>) -> Result<Exit, CliError> {
    if args.json {
        let summary = json!({
            "rows": rows_read, "lines": 0, "bytes": 0, "output": null, "findings": findings.json(),
            "fields": findings.fields,
        });
        if input::is_dash(&args.output) {
            out::note_line(summary);
        } else {
            out::line(summary)?;
        }
    }
    findings.texts().for_each(out::problem);
    if let Some(advice) = advice {
        out::problem(advice);
    } else if let Some(fields) = &findings.fields {
        let shown: Vec<_> = fields.iter().take(20).map(|field| format!("{field:?}")).collect();
        let more = if fields.len() > 20 { ", …" } else { "" };
        out::problem(format_args!("the fields as read: {}{more}", shown.join(", ")));
    }
    Err(CliError::refused(format!("{}: {}; nothing was written", input::shown(&args.rows), findings.count())))
}

fn format(args: &PrepareArgs) -> Result<Format, CliError> {
    let format = rows::format(&args.rows, args.format, args.delimiter.is_some())?;
    if args.delimiter.is_some() && format == Format::Jsonl {
        return Err(CliError::usage("--delimiter is for rows of CSV: add --format csv, or leave it out"));
    }
    Ok(format)
}

fn template(text: &str) -> Result<String, CliError> {
    let Some(path) = text.strip_prefix('@') else {
        return Ok(text.to_owned());
    };
    fs::read_to_string(path).map_err(|error| input::cannot_read(Path::new(path), &error))
}

fn refuse_overwriting(args: &PrepareArgs) -> Result<(), CliError> {
    let real = |path: &Path| fs::canonicalize(path).ok();
    let template = args.template.strip_prefix('@').map(Path::new);
    for (path, what) in [(Some(args.rows.as_path()), "rows"), (template, "template")] {
        if path.and_then(real).is_some_and(|path| Some(path) == real(&args.output)) {
            return Err(CliError::usage(format!(
                "{}: the {what} would be overwritten by the request lines; choose another -o",
                args.output.display()
            )));
        }
    }
    Ok(())
}
