//! What is printed at the end of a run: the counts, and on a terminal some of its answers and the commands that come next.

use lote::Outcomes;
use lote::run::{Deduplicated, GivenUpBatch, Report, SurplusBatch, SynchronousLines};
use lote::text::visible;

use crate::exit::CliError;
use crate::invoice;
use crate::layout;
use crate::out;
use crate::shell::{self, CommandLine};
use crate::show;
use crate::summary;

/// Prints what came of the run, of which so many shards are held. `export` puts its answers beside the rows of its table, if
/// it has one.
///
/// # Errors
/// When stdout cannot be written.
pub(super) fn print(report: &Report, held: usize, json: bool, export: Option<CommandLine>) -> Result<(), CliError> {
    if json {
        let text = serde_json::to_string(report).map_err(|error| CliError::usage(format!("summary: {error}")))?;
        return out::line(text);
    }
    let mut of = match report.batches.as_slice() {
        [] if held > 0 => String::new(),
        [] if report.synchronous.is_some() => String::new(),
        [] => "; there was nothing to send".to_owned(),
        [one] => format!("; batch {} {}", one.id, one.status),
        many => {
            let completed = many.iter().filter(|batch| batch.status == "completed").count();
            format!("; {completed} of {} batches completed", many.len())
        }
    };
    match held {
        0 => {}
        1 => of.push_str("; 1 shard is held"),
        several => of.push_str(&format!("; {several} shards are held")),
    }
    if let Some(SynchronousLines { lines, sent_again, .. }) = report.synchronous {
        of.push_str(&format!("; {} sent one by one", out::count(lines, "line")));
        if sent_again > 0 {
            out::problem(format_args!(
                "{} sent again, since the answer to one before was lost: that one may be charged as well",
                match sent_again {
                    1 => "1 request was".to_owned(),
                    several => format!("{several} requests were"),
                }
            ));
        }
    }
    for surplus in &report.surplus {
        let SurplusBatch { shard, id, status, answers, usage, .. } = surplus;
        out::problem(format_args!(
            "batch {id}, a second one of shard {shard}, is {}: {} with {} tokens may be charged as well",
            visible(status),
            out::count(*answers, "answer"),
            usage.total_tokens,
        ));
    }
    for GivenUpBatch { shard, id, lines, .. } in &report.given_up {
        out::problem(format_args!(
            "batch {id} of shard {shard} was given up: what it did of its {} may be charged as well",
            out::count(*lines, "line"),
        ));
    }
    for batch in &report.batches {
        for error in &batch.errors {
            out::problem(format_args!("batch {}: {}", batch.id, out::short(error)));
        }
    }
    let lines = summary::lines(&report.joined, &of, Some(&report.folder.join("summary.json")));
    let (first, rest) = lines.split_at(lines.len().min(1));
    let first = first.iter().flat_map(|line| match layout::columns() {
        Some(columns) => layout::parted(line, columns),
        None => vec![line.clone()],
    });
    out::told(first, report.all_succeeded())?;
    out::lines(rest)?;
    if let Some(Deduplicated { lines, usage, .. }) = &report.deduplicated {
        let (lines, tokens) = (out::count(*lines, "line"), usage.total_tokens);
        out::text(format_args!("{lines} equal others and were not sent: {tokens} tokens were not used for them"))?;
    }
    if let Some(invoice) = &report.invoice {
        out::lines(invoice::lines(invoice, report.quote.as_deref()))?;
    }
    if report.undecided > 0 {
        let lines = out::count(report.undecided, "line");
        out::text(format_args!(
            "{lines} of those that failed may still be answered: their shards are held or not sent"
        ))?;
        out::text("what is written are the results of the others, and for these lines why they have none yet")?;
    }
    out::text(format_args!("time: {:.1} s", report.seconds))?;
    out::text(format_args!("results: {}", shell::quoted(&report.results)))?;
    if let Some(columns) = layout::columns() {
        out::lines(for_people(report, columns, export))?;
    } else if let Some(export) = export {
        out::note(format_args!("  {export}  # puts the answers beside the rows"));
    }
    Ok(())
}

/// The lines for people who sit before a terminal of so many columns.
fn for_people(report: &Report, columns: usize, export: Option<CommandLine>) -> Vec<String> {
    let outcomes = Outcomes::open(&report.results).into_iter().flatten().flatten();
    let answers = show::answers(outcomes, columns);
    let mut lines = Vec::new();
    if !answers.is_empty() {
        lines.push("answers:".to_owned());
        lines.extend(answers);
    }
    if report.joined.lines == 0 || out::is_quiet() {
        return lines;
    }
    let command = |name: &str| CommandLine::new(name).word(&report.folder);
    lines.push("next:".to_owned());
    let failed = report.joined.lines - report.joined.succeeded;
    let next = [
        (failed == 0).then(|| command("show")),
        (failed > 0).then(|| command("show").switch("--failed")),
        (failed > 0 && report.undecided == 0).then(|| command("repair")),
        Some(export.unwrap_or_else(|| command("export").flag("-o", "answers.csv"))),
    ];
    // No line of these is cut: they are there to be copied.
    lines.extend(next.into_iter().flatten().map(|line| format!("  {line}")));
    lines
}
