//! What is said of a run that ended early: why, what of it is at the service, and the commands that go on from there.

use std::path::Path;

use lote::BatchId;
use lote::run::{RunError, RunPhase, RunStatus, ShardStatus, status};
use serde_json::{Value, json};

use super::Course;
use crate::embedded;
use crate::exit::{CliError, Exit};
use crate::fetch::NoRoom;
use crate::input;
use crate::no_batches;
use crate::out;
use crate::progress::Bar;
use crate::run_table;
use crate::shell::{self, CommandLine};

/// How many findings are printed when the input is refused.
const SHOWN_FINDINGS: usize = 20;

/// What is said of a row in place of a request line.
const ROWS: &str = "the line is no request line but a row with ";

/// Of how many held shards it is printed how to buy their lines again.
const SHOWN_HELD: usize = 3;

impl Course<'_> {
    /// What is said when there are no results: the error, and the commands that go on from there.
    pub(super) fn ended_early(&self, error: &RunError, folder: &Path) -> Result<CliError, CliError> {
        if let Some(checked) = error.checked() {
            let total = checked.findings;
            if self.args.json {
                let findings: Vec<_> = error.findings().iter().flat_map(|source| &source.findings).collect();
                out::line(json!({ "findings": findings, "findings_total": total }))?;
            }
            let several = self.inputs.len() > 1;
            for source in error.findings() {
                for group in source.groups.groups().iter().take(SHOWN_FINDINGS) {
                    match several {
                        true => out::problem(format_args!("{}: {group}", source.source.display())),
                        false => out::problem(group),
                    }
                }
            }
            let names: Vec<String> = self.inputs.iter().map(|input| input::shown(input)).collect();
            // Line 3 is made of row 3.
            let way = if self.table.is_some() { "lote prepare and lote check" } else { "lote check" };
            let groups = || error.findings().iter().flat_map(|source| source.groups.groups());
            let example = match self.inputs {
                [rows] if self.table.is_none() && groups().any(|group| group.to_string().contains(ROWS)) => {
                    Some(run_table::example(rows))
                }
                _ => None,
            };
            let said =
                format!("{}: {}; nothing was sent; see all with {way}", names.join(", "), out::count(total, "finding"));
            return Ok(CliError::refused(said).with(example));
        }
        let mut text = error.to_string();
        if let Some(spooled) = self.spooled {
            text = spooled.in_words(&text);
        }
        let mut lines = text.split('\n').map(out::short);
        let said = CliError::new(exit(error), lines.next().unwrap_or_default());
        let mut below: Vec<String> = lines.collect();
        below.extend(error.error().filter(|error| error.is_unreached()).map(|_| self.service.unreached()));
        let no_file = error.error().is_some_and(no_batches::is_no_file);
        if no_file {
            below.push(no_batches::SEEMS.to_owned());
        }
        if (error.lacks_batches() || no_file) && !self.reach.is_some_and(|reach| reach.one_by_one.is_asked()) {
            let command =
                if self.inputs.is_empty() { "lote resume with --sync" } else { "the same command with --sync" };
            below.push(format!("  {command} sends the lines one by one, each answered at once, without a batch"));
            below.push(no_batches::gateway(self.service));
        }
        below.extend(NoRoom::of(error).map(|room| match room {
            NoRoom::Disk => "  the disk is full: make room".to_owned(),
            NoRoom::FileLimit => room.advice(),
        }));
        if error.is_taken() || error.is_busy() || error.is_unreadable() {
            if self.table.is_some() && error.is_taken() && said.to_string().contains("the request lines were ") {
                let why = "the table, or what is asked of its rows, is not what it was when that run was begun";
                below.push(format!("  {why}; lote resume goes on with that one"));
            }
            // Only a run that is given with its requests can have another folder.
            if error.is_taken() && !self.embedded && embedded::is_run_of(folder) {
                below.push("  the run in it was a trial with --embedded: name another folder with --dir".to_owned());
            } else if !self.inputs.is_empty() {
                below.push("  another folder is named with --dir; where a run has batches, it pays again".to_owned());
            }
        } else if self.embedded {
            if !error.batches().is_empty() {
                below.push("  the embedded gateway and its batches ended with this command; give it again".to_owned());
            }
        } else if error.is_twin() {
            let mut adopt = self.service.again("resume").word(folder);
            for twin in error.twins() {
                adopt = adopt.flag("--adopt", format!("{}={}", twin.shard, twin.batch));
            }
            below.push(format!("  {adopt}  # takes them over"));
            below.push(format!("  {} pays for the lines again", self.anew()));
        } else if error.is_behind() {
            below.push(format!("  go on with the newer folder; {} pays for the lines again", self.anew()));
        } else if error.folder().is_some() && !error.is_lost() {
            below.extend(self.go_on(folder, error.is_held().then(|| error.held()), error.report().is_some()));
        }
        Ok(said.with(below))
    }

    /// The commands that go on with what is in the folder: each works as it stands.
    fn go_on(&self, folder: &Path, held: Option<&[(u32, String)]>, partial: bool) -> Vec<String> {
        let Ok(status) = status(folder) else { return Vec::new() };
        let resume = || self.resume(folder);
        if status.phase == RunPhase::Finished {
            return vec![format!("  {}  # writes -o again", resume())];
        }
        let what = match held {
            None => "goes on",
            Some(held) if held.iter().all(|(number, _)| has_no_other(&status, *number)) => "looks again",
            Some(_) => "looks for it again",
        };
        let mut lines = vec![format!("  {}  # {what}", resume())];
        if let Some(held) = held {
            let of = |number: u32| status.shards.iter().find(|shard| shard.shard == number);
            let held: Vec<&ShardStatus> = held.iter().filter_map(|(number, _)| of(*number)).collect();
            // Of a batch that is known nobody need ask whether there is one: only whether its lines are bought again.
            // What was never sent, or is fetched by now, waits for its own lines, and for nobody's word.
            let asks = |shard: &&ShardStatus| !matches!(shard.phase, "planned" | "fetched");
            let (known, unknown): (Vec<_>, Vec<_>) =
                held.into_iter().filter(asks).partition(|shard| shard.batch.is_some());
            if let Some(ShardStatus { shard, .. }) = unknown.first() {
                let list = self.service.again("batches list").switch("--all").switch("--json");
                lines.push(format!("  {list} | grep {}  # whether there is a batch of it", shell::quoted(&status.run)));
                lines.push(format!("  {}  # there is one", resume().flag("--adopt", format!("{shard}=BATCH"))));
                lines.push(format!("  {}  # there is none", resume().flag("--no-batch", shard.to_string())));
            }
            for ShardStatus { shard, lines: count, .. } in known.iter().take(SHOWN_HELD) {
                let again = resume().flag("--no-batch", shard.to_string());
                let what = match count {
                    1 => "its line".to_owned(),
                    several => format!("its {several} lines"),
                };
                lines.push(format!("  {again}  # gives up its batch, and buys {what} again"));
            }
            if !partial && status.shards.iter().any(|shard| shard.phase == "settled") {
                lines.push(format!("  {}  # writes the results of the others now", resume().switch("--partial")));
            }
        }
        if status.open() + status.unanswered() > 0 {
            let cancel = self.with_output(self.service.again("cancel").word(folder));
            lines.push(format!("  {cancel}  # stops what is at work"));
        }
        lines
    }

    /// One JSON object of a run that is not finished: what is said, and what there is. Where its results are there so far,
    /// or are in its folder alone, it is their summary with the same in it.
    pub(super) fn print_early(&self, error: Option<&RunError>, said: &CliError, folder: &Path) -> Result<(), CliError> {
        let report = error.and_then(RunError::report);
        let is_early = matches!(said.exit(), Exit::Service | Exit::GaveUp | Exit::Held | Exit::Interrupted);
        if report.is_none() && !is_early {
            return Ok(());
        }
        let status = status(folder).ok();
        let mut object = match report {
            Some(report) => json!(report),
            None => {
                let shards = status.iter().flat_map(|status| &status.shards);
                let of_shard = |shard: &ShardStatus| {
                    let ShardStatus { shard, attempt, lines, phase, batch, status, .. } = shard;
                    let id = batch.as_ref()?;
                    Some(json!({
                        "shard": shard, "attempt": attempt, "id": id, "status": status, "lines": lines, "phase": phase,
                    }))
                };
                let batches: Vec<Value> = match (&status, error) {
                    (None, Some(error)) => error.batches().iter().map(|id| json!({ "id": id })).collect(),
                    _ => shards.filter_map(of_shard).collect(),
                };
                let mut object = json!({
                    "run": status.as_ref().map(|status| &status.run),
                    "folder": status.as_ref().map(|status| status.folder.display().to_string()),
                    "batches": batches,
                });
                if let Some(status) = &status {
                    object["surplus"] = json!(status.surplus);
                    object["given_up"] = json!(status.given_up);
                }
                object
            }
        };
        let held = error.map(RunError::held).unwrap_or_default().iter();
        object["held"] = held.map(|(shard, why)| json!({ "shard": shard, "why": why })).collect();
        object["error"] = said.to_string().into();
        object["exit_code"] = said.exit().code().into();
        out::line(object)
    }

    /// # Errors
    /// When stdout can no longer be written.
    pub(super) fn interrupted(&self, bar: &Bar, folder: &Path) -> Result<CliError, CliError> {
        bar.clear();
        let said = self.said_interrupted(folder);
        if self.args.json {
            self.print_early(None, &said, folder)?;
        }
        Ok(said)
    }

    fn said_interrupted(&self, folder: &Path) -> CliError {
        let say = |message: String| CliError::new(Exit::Interrupted, message);
        if self.embedded {
            let ended = say("interrupted; the embedded gateway and its batches ended with this command".to_owned());
            // A run whose folder is not there begins again, with the same command.
            return match status(folder) {
                Err(_) => ended,
                Ok(_) => {
                    ended.with([format!("  {}  # goes on", self.with_output(CommandLine::new("resume").word(folder)))])
                }
            };
        }
        let Ok(status) = status(folder) else {
            return say("interrupted; no batch was created".to_owned());
        };
        let made = status.shards.iter().filter(|shard| shard.batch.is_some()).count();
        let message = match (status.phase, at_the_service(&status)) {
            (RunPhase::Finished, _) => "the run is finished".to_owned(),
            (_, Some(said)) => said,
            (_, None) => match made {
                0 => "no batch was created".to_owned(),
                1 => "its batch is over, and the results are not all here yet".to_owned(),
                _ => "its batches are over, and the results are not all here yet".to_owned(),
            },
        };
        let message = format!("interrupted; {message}");
        say(message).with(self.go_on(folder, None, false))
    }
}

/// Whether a shard has no batch beside one that is known, if it has any.
fn has_no_other(status: &RunStatus, number: u32) -> bool {
    let known = |shard: &ShardStatus| shard.batch.is_some() || shard.phase == "planned";
    status.shards.iter().any(|shard| shard.shard == number && known(shard))
}

/// What of a run goes on although its command was interrupted; none when nothing does.
fn at_the_service(status: &RunStatus) -> Option<String> {
    let created =
        status.shards.iter().filter(|shard| shard.phase == "created").filter_map(|shard| shard.batch.as_ref());
    let open: Vec<&BatchId> = created.chain(&status.surplus).collect();
    let open = match (open.as_slice(), status.cancelled) {
        ([], _) => None,
        ([id], false) => Some(format!("batch {id} at work goes on, and will be charged")),
        (open, false) => Some(format!("{} batches at work go on, and will be charged", open.len())),
        ([id], true) => {
            Some(format!("batch {id} is to stop, as the run was cancelled: what it finishes until then is charged"))
        }
        (open, true) => Some(format!(
            "{} batches are to stop, as the run was cancelled: what they finish until then is charged",
            open.len()
        )),
    };
    let lost = match status.unanswered() {
        0 => None,
        1 => Some(
            "a create was sent whose answer has not come: if there is a batch, it goes on, and will be charged"
                .to_owned(),
        ),
        lost => Some(format!(
            "the answers to {lost} creates were lost: what they made, if anything, goes on, and will be charged"
        )),
    };
    let one_by_one = status.shards.iter().any(|shard| shard.phase == "synchronous").then(|| {
        "what was answered of the lines that are sent one by one is kept, and what was in flight may be charged"
            .to_owned()
    });
    let said: Vec<String> = open.into_iter().chain(lost).chain(one_by_one).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// The exit code of a run that ended early.
pub(crate) fn exit(error: &RunError) -> Exit {
    let ours = |error: &lote::Error| error.is_invalid() || error.is_io();
    if error.gave_up() {
        Exit::GaveUp
    } else if error.is_held() {
        Exit::Held
    } else if error.is_input() || error.is_capped() {
        Exit::Refused
    } else if error.is_place()
        || error.is_taken()
        || error.is_busy()
        || error.is_twin()
        || error.is_behind()
        || error.is_unreadable()
        || error.is_lost()
        || error.is_io()
        || error.error().is_some_and(ours)
    {
        Exit::Usage
    } else {
        Exit::Service
    }
}
