//! What to do next about a run, each with its command.

use std::path::Path;

use lote::OutcomeKind;
use lote::run::{RunPhase, RunStatus};
use serde::Serialize;

use super::tally::Tally;
use super::words;
use crate::out;
use crate::shell::CommandLine;

/// How many held shards are told of.
const SHOWN: usize = 10;

/// One thing to do.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Step {
    what: String,
    /// None when there is nothing to type.
    command: Option<String>,
}

/// What to do next, the most urgent first.
pub(super) fn steps(status: &RunStatus, tally: &Tally) -> Vec<Step> {
    let folder = status.folder.as_path();
    let at_service = |command: &str| {
        let line = CommandLine::new(command).word(folder);
        if status.base_url == "embedded" { line } else { line.flag("--base-url", &status.base_url) }
    };
    let mut steps = Vec::new();
    let mut add = |what: String, command: Option<CommandLine>| {
        steps.push(Step { what, command: command.map(|line| line.to_string()) });
    };
    if let Some(why) = &status.refused {
        add(format!("No batch is created: {}", words::shown(why)), Some(at_service("resume")));
    }
    held(status, &at_service, &mut add);
    match status.phase {
        RunPhase::Working => {
            let line = CommandLine::new("status").word(folder).switch("--watch");
            add("A process is at work on this run. Watch how far it comes:".to_owned(), Some(line));
        }
        RunPhase::Stopped => {
            add("No process is at work on this run. Go on with it:".to_owned(), Some(at_service("resume")))
        }
        RunPhase::Finished => finished(status, tally, &at_service, &mut add),
        // What a held run waits for was said.
        _ => {}
    }
    if status.phase != RunPhase::Finished {
        add(
            "Then make this page again:".to_owned(),
            Some(CommandLine::new("report").word(folder).flag("-o", "report.html")),
        );
    }
    steps
}

/// What releases held shards: to look again costs nothing, and what is bought again is told.
fn held(
    status: &RunStatus,
    at_service: &dyn Fn(&str) -> CommandLine,
    add: &mut dyn FnMut(String, Option<CommandLine>),
) {
    let held: Vec<_> = status.shards.iter().filter(|shard| shard.held).take(SHOWN).collect();
    for shard in &held {
        let why = shard.why.as_deref().map(words::shown).unwrap_or_default();
        add(format!("Shard {} is held: {why}.", shard.shard), None);
    }
    if !held.is_empty() {
        add("Look again, which costs nothing:".to_owned(), Some(at_service("resume")));
    }
    // What was never sent, or is fetched by now, waits for its own lines, and for nobody's word.
    for shard in held.iter().filter(|shard| !matches!(shard.phase, "planned" | "fetched")) {
        let (number, lines) = (shard.shard, out::count(shard.lines, "line"));
        let none = at_service("resume").flag("--no-batch", number.to_string());
        match &shard.batch {
            Some(batch) => add(format!("Or give batch {batch} up, and buy its {lines} again:"), Some(none)),
            None => {
                let list = CommandLine::new("batches list").switch("--all").switch("--json");
                add(
                    format!(
                        "Or look yourself whether there is a batch of shard {number}: {list} shows it with lote_run {}. \
                             If there is one:",
                        status.run
                    ),
                    Some(at_service("resume").flag("--adopt", format!("{number}=BATCH"))),
                );
                add(format!("If there is none, so that its {lines} can be sent again:"), Some(none));
            }
        }
    }
}

fn finished(
    status: &RunStatus,
    tally: &Tally,
    at_service: &dyn Fn(&str) -> CommandLine,
    add: &mut dyn FnMut(String, Option<CommandLine>),
) {
    let folder = status.folder.as_path();
    let not_succeeded = tally.lines - tally.of(OutcomeKind::Succeeded);
    if not_succeeded > 0 {
        let lines = out::count(not_succeeded, "line");
        add(
            format!("Try again what did not succeed and can well do so ({lines} did not):"),
            Some(at_service("repair")),
        );
        add(
            format!(
                "The request lines that did not succeed are in {}, fit to be looked at and changed.",
                words::shown(&folder.join("failed.jsonl").display().to_string())
            ),
            None,
        );
    }
    if tally.of(OutcomeKind::Succeeded) > 0 {
        let table = Path::new("answers.csv");
        add("Make a table of the answers:".to_owned(), Some(CommandLine::new("export").word(folder).flag("-o", table)));
    }
    if not_succeeded == 0 {
        add("Remove from the folder what can be made again:".to_owned(), Some(CommandLine::new("clean").word(folder)));
    }
}
