//! `lote check`: prints the findings of a request file and a summary.

use std::io::BufRead;
use std::path::PathBuf;

use clap::Args;
use lote::Dialect;
use serde_json::json;

use crate::endpoint::Endpoint;
use crate::exit::{CliError, Exit};
use crate::input;
use crate::lines::{CheckOptions, Checked, Finding, FindingGroups, check};
use crate::out;
use crate::service::ProfileArgs;
use crate::summary;

/// Check a request file before a byte of it is sent
///
/// Reads the file to its end and prints every finding with its line number and custom_id, then
/// a summary; what is the same in many lines is printed once, with a count. Bodies are held
/// against what their endpoint takes. Nothing is sent, and nothing is changed.
///
/// Exit 0: no findings. Exit 3: findings.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote check requests.jsonl
  lote check requests.jsonl --endpoint embeddings --json | jq .findings
  lote check requests.jsonl --dialect groq
  lote prepare rows.csv --template @chat.json --endpoint chat -o - | lote check -"
)]
pub(crate) struct CheckArgs {
    /// The request file, or - for stdin
    #[arg(value_parser = input::path())]
    file: PathBuf,

    /// The endpoint that each line's url must name, and that lines without one are for [default: that of the first line]
    #[arg(long, value_name = "ENDPOINT")]
    endpoint: Option<Endpoint>,

    /// Hold it against the lines, limits and endpoints of this dialect: a known one or a file of your own
    ///
    /// Without one it is held against OpenAI's limits and every endpoint that is known.
    #[arg(long, value_name = "NAME|FILE", env = "LOTE_DIALECT", hide_env_values = true)]
    dialect: Option<String>,

    #[command(flatten)]
    profile: ProfileArgs,

    /// How many findings to list, those that are the same counting as one; all are counted
    #[arg(long, value_name = "N", default_value_t = 100)]
    max_findings: u64,

    /// Print one JSON object: lines, bytes, endpoint, models, findings, findings_total
    #[arg(long)]
    json: bool,
}

/// # Errors
/// When the file cannot be read or stdout cannot be written.
pub(crate) fn run(args: &CheckArgs) -> Result<Exit, CliError> {
    let dialect = match args.profile.fill(&args.dialect, &None)?.dialect {
        None => CheckOptions::default(),
        Some(dialect) => Dialect::load(&dialect)?.check_options(),
    };
    let endpoint = args.endpoint.clone().map(String::from);
    let options = CheckOptions { endpoint, hash: args.json, ..dialect };
    let mut listed = Vec::new();
    let mut groups = FindingGroups::new(usize::try_from(args.max_findings).unwrap_or(usize::MAX));
    let mut on_finding = |finding: Finding| {
        if !args.json {
            groups.push(finding);
        } else if (listed.len() as u64) < args.max_findings {
            listed.push(finding);
        }
    };
    let reader: Box<dyn BufRead> = input::open(&args.file)?;
    let checked =
        check(reader, &options, &mut on_finding, None).map_err(|error| input::cannot_read(&args.file, &error))?;
    if args.json {
        let Checked { lines, bytes, endpoint, models, without_model, findings, sha256, .. } = checked;
        out::line(json!({
            "file": input::shown(&args.file), "lines": lines, "bytes": bytes, "endpoint": endpoint,
            "models": models, "without_model": without_model, "sha256": sha256,
            "findings": listed, "findings_total": findings,
        }))?;
        return Ok(exit(findings));
    }
    for group in groups.groups() {
        out::text(group)?;
    }
    let rest = groups.beyond();
    if rest > 0 {
        out::text(format_args!("… and {rest} more; list them with --max-findings {}", checked.findings))?;
    }
    let sum = format!("{}: {}", input::shown(&args.file), summary(&checked));
    if checked.findings == 0 { out::success(sum) } else { out::text(sum) }?;
    Ok(exit(checked.findings))
}

const fn exit(findings: u64) -> Exit {
    if findings == 0 { Exit::Success } else { Exit::Refused }
}

fn summary(checked: &Checked) -> String {
    let mut summary = format!("{}, {} bytes", out::count(checked.lines, "request line"), checked.bytes);
    if let Some(endpoint) = &checked.endpoint {
        summary.push_str(&format!(", endpoint {endpoint}"));
    } else if checked.lines > 0 {
        summary.push_str(", no endpoint (give --endpoint, or bodies are not held against any)");
    }
    if let Some(models) = summary::models(&checked.models, checked.without_model) {
        summary.push_str(&format!(", models: {models}"));
    }
    summary.push_str("; ");
    summary.push_str(&match checked.findings {
        0 => "no findings".to_owned(),
        findings => out::count(findings, "finding"),
    });
    summary
}
