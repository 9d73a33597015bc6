//! `lote inspect`: what output and error files hold, for people and for programs.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use lote::text::visible;

use crate::exit::{CliError, Exit};
use crate::input;
use crate::lines::{Inspected, Inspection, Usage};
use crate::out;

/// How many models are listed for people.
const SHOWN_MODELS: usize = 20;

/// Say what output and error files hold
///
/// Reads output and error files of any service and counts outcomes, tokens, models and errors
/// over all of them; lists what is odd, such as a custom_id that is answered twice.
///
/// An answer succeeded when there is an answer in it, whatever its status; those that were cut off,
/// filtered or refused are counted beside. Files may be compressed with gzip or zstd; of one that is
/// cut off or damaged, what came before is read. What cannot be read is named with its file and
/// line, and with --json its bytes.
///
/// Exit 0: every line was readable. Exit 1: some were not, or a file is damaged.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote inspect output.jsonl error.jsonl
  lote inspect output.jsonl --json | jq .usage.total_tokens
  lote files content file-abc123 | lote inspect -"
)]
pub(crate) struct InspectArgs {
    /// Output and error files, or - for stdin
    #[arg(required = true, value_name = "FILE", value_parser = input::path())]
    files: Vec<PathBuf>,

    /// How many anomalies to list for people; all are counted
    #[arg(long, value_name = "N", default_value_t = 20)]
    max_anomalies: usize,

    /// Print one JSON object: lines, succeeded, failed, usage, models, errors, anomalies
    #[arg(long)]
    json: bool,
}

/// # Errors
/// When a file cannot be read or stdout cannot be written.
pub(crate) fn run(args: &InspectArgs) -> Result<Exit, CliError> {
    let mut inspection = Inspection::default();
    for path in &args.files {
        inspection.read(&input::shown(path), input::open(path)?).map_err(|error| input::cannot_read(path, &error))?;
    }
    let report = inspection.report();
    if args.json {
        let json = serde_json::to_string(&report).map_err(|error| CliError::usage(error.to_string()))?;
        out::line(json)?;
    } else {
        out::lines(table(&report, args.max_anomalies).lines())?;
    }
    Ok(if inspection.all_readable() { Exit::Success } else { Exit::Incomplete })
}

fn table(report: &Inspected, max_anomalies: usize) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<11} {}", visible(value));
    };
    for (name, count) in [
        ("lines", report.lines),
        ("succeeded", report.succeeded),
        ("failed", report.failed),
        ("expired", report.expired),
        ("cancelled", report.cancelled),
        ("missing", report.missing),
        ("unreadable", report.unreadable),
    ] {
        row(name, &count.to_string());
    }
    if report.damaged_files > 0 {
        row("damaged", &out::count(report.damaged_files, "file"));
    }
    // Of those that succeeded.
    for (name, count) in [("cut off", report.cut_off), ("filtered", report.filtered), ("refused", report.refused)] {
        if count > 0 {
            row(name, &count.to_string());
        }
    }
    row("tokens", &tokens(&report.usage));
    let mut models: Vec<_> = report.models.iter().collect();
    models.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let omitted = models.len().saturating_sub(SHOWN_MODELS);
    for (at, (model, count)) in models.iter().take(SHOWN_MODELS).enumerate() {
        row(if at == 0 { "models" } else { "" }, &format!("{count:>7}  {model}"));
    }
    if omitted > 0 {
        row("", &format!("… and {omitted} more"));
    }
    for (at, error) in report.errors.iter().enumerate() {
        let message = error.message.as_deref().unwrap_or_default().replace(['\n', '\r'], " ");
        row(if at == 0 { "errors" } else { "" }, format!("{:>7}  {}  {message}", error.count, error.code).trim_end());
    }
    let anomalies = report.anomalies.len() as u64 + report.anomalies_omitted;
    row("anomalies", &anomalies.to_string());
    for anomaly in report.anomalies.iter().take(max_anomalies) {
        let _ = writeln!(text, "  {}", visible(&anomaly.to_string()));
    }
    let rest = anomalies.saturating_sub(max_anomalies as u64);
    if rest > 0 && max_anomalies > 0 {
        let _ = writeln!(text, "  … and {rest} more; list them with --max-anomalies or --json");
    }
    text
}

fn tokens(usage: &Usage) -> String {
    let Usage { input_tokens, output_tokens, total_tokens, cached_tokens, reasoning_tokens, .. } = *usage;
    let mut text = format!("{total_tokens} (input {input_tokens}, output {output_tokens}");
    for (name, count) in [("cached", cached_tokens), ("reasoning", reasoning_tokens)] {
        if count > 0 {
            let _ = write!(text, ", {name} {count}");
        }
    }
    text.push(')');
    text
}
