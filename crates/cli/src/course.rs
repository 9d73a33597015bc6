//! What `lote run`, `resume` and `cancel` share: a run is driven, shown and, when it ends early, told how to go on with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use lote::BatchId;
use lote::run::{
    GivenUpBatch, Progress, Repair, Report, Run, RunError, RunPhase, RunStatus, ShardStatus, SurplusBatch, status,
};
use lote::text::visible;
use serde_json::json;

use crate::cmd_clean;
use crate::cmd_status;
use crate::exit::{CliError, Exit};
use crate::fetch::NoRoom;
use crate::input;
use crate::interrupt::Stop;
use crate::out;
use crate::progress::Bar;
use crate::service::ServiceArgs;
use crate::shell::{self, CommandLine};
use crate::state_dir;
use crate::summary;
use crate::values;

/// How many findings are printed when the input is refused.
const SHOWN_FINDINGS: usize = 20;

/// Of how many held shards it is printed how to buy their lines again.
const SHOWN_HELD: usize = 3;

/// How a run is driven, whatever it is a run of. None of it is part of what the run is: it may differ each time.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Course")]
pub(crate) struct CourseArgs {
    /// Where the results are to be as well; the folder keeps its own copy
    #[arg(short, long, value_name = "FILE", value_parser = input::output())]
    output: Option<PathBuf>,

    /// Let -o replace whatever file is there
    #[arg(long, requires = "output")]
    force: bool,

    /// How long this command may take in all, such as 90s, 10m, 26h or 1d [default: until it is done]
    #[arg(long, visible_alias = "timeout", value_name = "DURATION", value_parser = values::duration)]
    deadline: Option<Duration>,

    /// How many batches may be at work at once [default: as many as the service takes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_open: Option<u32>,

    /// About how many tokens the prompts at work may have for each model [default: as many as the service takes]
    ///
    /// Tokens are counted as a quarter of the bytes of the request lines, as lote plan --json shows
    /// them. A shard that has more by itself is halved. Lines that do not have to name one model
    /// count together.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_enqueued_tokens: Option<u64>,

    /// How many batches may be created within an hour, by the clock of this machine [default: any number]
    ///
    /// Those that an earlier process of the same run has created count; those of other runs do not.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    creates_per_hour: Option<u32>,

    /// How long a create whose answer was lost is looked for, twice, before another is sent [default: 2m]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    settle_after_loss: Option<Duration>,

    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// How far a run is driven by the commands that begin it and go on with it.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Course")]
pub(crate) struct ReachArgs {
    /// Return when the batches are created, as many as may be at work at once; lote resume goes on
    #[arg(long)]
    detach: bool,

    /// How often lines that do not succeed and can are tried in all, as lote repair does it [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "detach")]
    attempts: Option<u32>,

    /// Once the run is finished, delete what it has put at the service, as lote clean --remote does
    ///
    /// What cannot be deleted is told, and changes no exit code.
    #[arg(long)]
    clean_remote: bool,
}

impl ReachArgs {
    /// Whether nothing more is asked of a run that is finished.
    pub(crate) fn only_reads(&self) -> bool {
        self.attempts.is_none_or(|attempts| attempts == 1) && !self.clean_remote
    }
}

impl CourseArgs {
    /// How long the command may take in all.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// A run with these settings.
    ///
    /// # Errors
    /// With exit 2 when results are to be printed.
    pub(crate) fn apply(&self, mut run: Run) -> Result<Run, CliError> {
        if let Some(output) = &self.output {
            if input::is_dash(output) {
                return Err(CliError::usage(
                    "-o -: results are not printed; name a file, or read them in the folder of the run",
                ));
            }
            run = run.output(output).replace_output(self.force);
        }
        if let Some(deadline) = self.deadline {
            run = run.deadline(deadline);
        }
        if let Some(max_open) = self.max_open {
            run = run.max_open(max_open as usize);
        }
        if let Some(tokens) = self.max_enqueued_tokens {
            run = run.max_enqueued_tokens(tokens);
        }
        if let Some(creates) = self.creates_per_hour {
            run = run.creates_per_hour(creates);
        }
        if let Some(folder) = state_dir::limits() {
            run = run.keep_limits_in(folder);
        }
        if let Some(time) = self.settle_after_loss {
            run = run.settle_after_loss(time);
        }
        Ok(run)
    }
}

/// A run of which a command is told how to go on.
pub(crate) struct Course<'a> {
    pub(crate) args: &'a CourseArgs,
    pub(crate) service: &'a ServiceArgs,
    /// How far it is driven, by a command that can be told so.
    pub(crate) reach: Option<&'a ReachArgs>,
    /// Whether its gateway is inside this process, and ends with it.
    pub(crate) embedded: bool,
    /// What is said of findings: the files that were checked.
    pub(crate) inputs: &'a [PathBuf],
    /// Where requests from stdin are kept: a path that says nothing to the user.
    pub(crate) spooled: Option<&'a Path>,
}

impl Course<'_> {
    /// Drives the run to its end, or so far as it was asked for.
    ///
    /// # Errors
    /// When there are no results, with the exit code that says why.
    pub(crate) async fn execute(&self, run: Run, stop: &mut Stop) -> Result<Exit, CliError> {
        let reach = &self.reach.cloned().unwrap_or_default();
        if self.embedded && reach.detach {
            let why = "--detach: an embedded gateway and its batches end with this command: nothing would go on";
            return Err(CliError::usage(format!("{why}; leave it out")));
        }
        let bar = if self.embedded { Bar::new() } else { Bar::of_run() };
        let own = run.folder_path();
        let placed = tokio::select! {
            placed = run.placed() => placed,
            () = stop.asked() => return Err(self.interrupted(&bar, &own)),
        };
        let run = match placed {
            Ok(run) => run,
            Err(error) => {
                bar.clear();
                return self.end(Err(error), &own);
            }
        };
        let folder = run.folder_path();
        if folder != own {
            let (own, folder) = (shell::quoted(&own), shell::quoted(&folder));
            bar.note(format_args!("{own}: its run is finished; this is another one, in {folder}"));
        }
        let run = shown(run.attempts(reach.attempts.unwrap_or(1)).clean_remote(reach.clean_remote), &bar);
        if reach.detach {
            let ended = tokio::select! {
                ended = run.clone().submit() => ended,
                () = stop.asked() => return Err(self.interrupted(&bar, &folder)),
            };
            match ended {
                // Its results are told, and put where they are wanted, as those of any other.
                Ok(status) if status.phase == RunPhase::Finished => {}
                ended => {
                    bar.clear();
                    return match ended {
                        Ok(status) => self.detached(&status),
                        Err(error) => self.end(Err(error), &folder),
                    };
                }
            }
        }
        let ended = tokio::select! {
            ended = run.execute() => ended.map(Some),
            () = stop.asked() => return Err(self.interrupted(&bar, &folder)),
        };
        bar.clear();
        self.end(ended, &folder)
    }

    /// Tells what came of the run if it is finished, without a call.
    ///
    /// # Errors
    /// When its folder cannot be read, or its results not be put where they are wanted.
    pub(crate) async fn finished(&self, run: Run) -> Result<Option<Exit>, CliError> {
        let folder = run.folder_path();
        match run.finished().await {
            Ok(None) => Ok(None),
            Ok(Some(report)) => self.end(Ok(Some(report)), &folder).map(Some),
            Err(error) => self.end(Err(error), &folder).map(Some),
        }
    }

    /// Cancels the run, and fetches what it finished.
    ///
    /// # Errors
    /// When there are no results, with the exit code that says why.
    pub(crate) async fn cancel(&self, run: Run, stop: &mut Stop) -> Result<Exit, CliError> {
        let bar = Bar::of_run();
        let folder = run.folder_path();
        let ended = tokio::select! {
            ended = shown(run, &bar).cancel() => ended,
            () = stop.asked() => return Err(self.interrupted(&bar, &folder)),
        };
        bar.clear();
        self.end(ended, &folder)
    }

    /// Tries again what did not succeed and can.
    ///
    /// # Errors
    /// When there are no results, with the exit code that says why.
    pub(crate) async fn repair(&self, run: Run, repair: Repair, stop: &mut Stop) -> Result<Exit, CliError> {
        let bar = Bar::of_run();
        let folder = run.folder_path();
        let ended = tokio::select! {
            ended = shown(run, &bar).repair(repair) => ended.map(Some),
            () = stop.asked() => return Err(self.interrupted(&bar, &folder)),
        };
        bar.clear();
        self.end(ended, &folder)
    }

    fn end(&self, ended: Result<Option<Report>, RunError>, folder: &Path) -> Result<Exit, CliError> {
        match ended {
            Ok(Some(report)) => {
                self.print(&report, 0)?;
                self.print_remote(&report);
                Ok(if report.all_succeeded() { Exit::Success } else { Exit::Incomplete })
            }
            Ok(None) => {
                if self.args.json {
                    out::line(json!({ "folder": folder.display().to_string(), "asked_to_cancel": true }))?;
                } else {
                    out::text("the process at work on it was asked to cancel the run, and to fetch what it finished")?;
                }
                if let Some(output) = &self.args.output {
                    let output = shell::quoted(output);
                    out::note(format_args!(
                        "{output} is not written by this command: lote resume writes it at the end"
                    ));
                }
                Ok(Exit::Success)
            }
            Err(error) => {
                if let Some(report) = error.report() {
                    self.print(report, if error.is_held() { error.held().len() } else { 0 })?;
                }
                Err(self.ended_early(&error, folder)?)
            }
        }
    }

    fn detached(&self, status: &RunStatus) -> Result<Exit, CliError> {
        if self.args.json {
            let text = serde_json::to_string(status).map_err(|error| CliError::usage(format!("status: {error}")))?;
            out::line(text)?;
        } else {
            out::lines(cmd_status::lines(status))?;
        }
        let resume = self.resume(&status.folder);
        let lost = match status.unanswered() {
            0 => String::new(),
            1 => ", and a create whose answer was lost".to_owned(),
            lost => format!(", and {lost} creates whose answers were lost"),
        };
        out::note(format_args!("{} at work{lost}; to go on: {resume}", out::count(status.open() as u64, "batch")));
        let waiting = status.to_submit() as u64;
        if waiting > 0 {
            out::note(format_args!("{waiting} of {} shards are sent by nobody until then", status.shards.len()));
        }
        Ok(Exit::GaveUp)
    }

    /// What came of the run, of which so many shards are held.
    fn print(&self, report: &Report, held: usize) -> Result<(), CliError> {
        if self.args.json {
            let text = serde_json::to_string(report).map_err(|error| CliError::usage(format!("summary: {error}")))?;
            return out::line(text);
        }
        let mut of = match report.batches.as_slice() {
            [] if held > 0 => String::new(),
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
        for surplus in &report.surplus {
            let SurplusBatch { shard, id, status, answers, usage, .. } = surplus;
            out::note(format_args!(
                "batch {id}, a second one of shard {shard}, is {}: {} with {} tokens may be charged as well",
                visible(status),
                out::count(*answers, "answer"),
                usage.total_tokens,
            ));
        }
        for GivenUpBatch { shard, id, lines, .. } in &report.given_up {
            out::note(format_args!(
                "batch {id} of shard {shard} was given up: what it did of its {} may be charged as well",
                out::count(*lines, "line"),
            ));
        }
        for batch in &report.batches {
            for error in &batch.errors {
                out::note(format_args!("batch {}: {error}", batch.id));
            }
        }
        out::lines(summary::lines(&report.joined, &of, Some(&report.folder.join("summary.json"))))?;
        if report.undecided > 0 {
            let lines = out::count(report.undecided, "line");
            out::text(format_args!(
                "{lines} of those that failed may still be answered: their shards are held or not sent"
            ))?;
            out::text("what is written are the results of the others, and for these lines why they have none yet")?;
        }
        out::text(format_args!("time: {:.1} s", report.seconds))?;
        out::text(format_args!("results: {}", shell::quoted(&report.results)))
    }

    /// What became of the files at the service, beside what was told of each.
    fn print_remote(&self, report: &Report) {
        let Some(remote) = &report.remote else { return };
        out::note(cmd_clean::sum(remote));
        if !remote.is_whole() && !self.embedded {
            let again = self.service.again("clean").word(&report.folder).switch("--remote");
            out::note(format_args!("  {again}  # tries it again"));
        }
    }

    /// What is said when there are no results: the error, and the commands that go on from there.
    fn ended_early(&self, error: &RunError, folder: &Path) -> Result<CliError, CliError> {
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
                        true => out::note(format_args!("{}: {group}", source.source.display())),
                        false => out::note(group),
                    }
                }
            }
            let names: Vec<String> = self.inputs.iter().map(|input| input::shown(input)).collect();
            return Ok(CliError::refused(format!(
                "{}: {}; nothing was sent; see all with lote check",
                names.join(", "),
                out::count(total, "finding")
            )));
        }
        let mut text = error.to_string();
        if let Some(spooled) = self.spooled {
            text = text.replace(&*spooled.to_string_lossy(), "stdin");
        }
        let mut lines = text.split('\n').map(str::to_owned);
        let said = CliError::new(exit(error), lines.next().unwrap_or_default());
        let mut below: Vec<String> = lines.collect();
        below.extend(error.error().filter(|error| error.is_unreached()).map(|_| self.service.unreached()));
        below.extend(NoRoom::of(error).map(|room| match room {
            NoRoom::Disk => "  the disk is full: make room".to_owned(),
            NoRoom::FileLimit => room.advice(),
        }));
        if error.is_taken() || error.is_busy() || error.is_unreadable() {
            // Only a run that is given with its requests can have another folder.
            if !self.inputs.is_empty() {
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

    /// The command that makes batches anew, in words: only `lote run` has the flag.
    fn anew(&self) -> &'static str {
        if self.inputs.is_empty() { "lote run with the requests and --new" } else { "the same command with --new" }
    }

    /// The command that goes on, with all that was asked of this one but its deadline: without the bounds it would do more
    /// at once, and without the rest less at the end.
    fn resume(&self, folder: &Path) -> CommandLine {
        let CourseArgs { max_open, max_enqueued_tokens, creates_per_hour, settle_after_loss, .. } = self.args;
        let mut line = self.with_output(self.service.again("resume").word(folder));
        let attempts = self.reach.and_then(|reach| reach.attempts);
        let values = [
            ("--max-open", max_open.map(|most| most.to_string())),
            ("--max-enqueued-tokens", max_enqueued_tokens.map(|most| most.to_string())),
            ("--creates-per-hour", creates_per_hour.map(|most| most.to_string())),
            ("--settle-after-loss", settle_after_loss.map(values::shown)),
            ("--attempts", attempts.map(|most| most.to_string())),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                line = line.flag(name, value);
            }
        }
        if self.reach.is_some_and(|reach| reach.clean_remote) { line.switch("--clean-remote") } else { line }
    }

    fn with_output(&self, line: CommandLine) -> CommandLine {
        match &self.args.output {
            None => line,
            Some(output) if self.args.force => line.flag("-o", output).switch("--force"),
            Some(output) => line.flag("-o", output),
        }
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
            Some(held) if held.iter().all(|(number, _)| has_batch(&status, *number)) => "looks again",
            Some(_) => "looks for it again",
        };
        let mut lines = vec![format!("  {}  # {what}", resume())];
        if let Some(held) = held {
            let of = |number: u32| status.shards.iter().find(|shard| shard.shard == number);
            let held: Vec<&ShardStatus> = held.iter().filter_map(|(number, _)| of(*number)).collect();
            // Of a batch that is known nobody need ask whether there is one: only whether its lines are bought again.
            let (known, unknown): (Vec<_>, Vec<_>) = held.into_iter().partition(|shard| shard.batch.is_some());
            if let Some(ShardStatus { shard, .. }) = unknown.first() {
                let list = self.service.again("batches list").switch("--all");
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

    fn interrupted(&self, bar: &Bar, folder: &Path) -> CliError {
        bar.clear();
        let say = |message: String| CliError::new(Exit::Interrupted, message);
        if self.embedded {
            return say("interrupted; the embedded gateway and its batches ended with this command".to_owned());
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

/// Whether the batch of a shard is known.
fn has_batch(status: &RunStatus, number: u32) -> bool {
    status.shards.iter().any(|shard| shard.shard == number && shard.batch.is_some())
}

/// The run, with its steps shown.
fn shown(run: Run, bar: &Bar) -> Run {
    let bar = bar.clone();
    run.on_progress(move |progress: Progress<'_>| bar.show(&progress))
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
    let said: Vec<String> = open.into_iter().chain(lost).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// The exit code of a run that ended early.
pub(crate) fn exit(error: &RunError) -> Exit {
    let ours = |error: &lote::Error| error.is_invalid() || error.is_io();
    if error.gave_up() {
        Exit::GaveUp
    } else if error.is_held() {
        Exit::Held
    } else if error.is_input() {
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
