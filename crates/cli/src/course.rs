//! What `lote run`, `resume` and `cancel` share: a run is driven, shown and, when it ends early, told how to go on with.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use lote::run::{Progress, Repair, Report, Run, RunError, RunPhase, RunStatus};
use serde_json::json;

use crate::cmd_clean;
use crate::cmd_status;
use crate::embedded;
use crate::exit::{CliError, Exit};
use crate::expect::ExpectArgs;
use crate::input;
use crate::interrupt::Stop;
use crate::one_by_one::OneByOneArgs;
use crate::out;
use crate::prices::PricesArgs;
use crate::progress::Bar;
use crate::run_table::Table;
use crate::service::ServiceArgs;
use crate::shell::{self, CommandLine};
use crate::spool::Spooled;
use crate::state_dir;
use crate::values;

mod early;
mod ended;

pub(crate) use early::exit;

/// How a run is driven, whatever it is a run of. None of it is part of what the run is: it may differ each time.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "How it runs")]
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
    #[arg(long, value_name = "N", value_parser = values::positive::<u32>)]
    max_open: Option<u32>,

    /// About how many tokens the prompts at work may have for each model [default: as many as the service takes]
    ///
    /// Tokens are counted as a quarter of the bytes of the request lines, as lote plan --json shows
    /// them. A shard that has more by itself is halved. Lines that do not have to name one model
    /// count together.
    #[arg(long, value_name = "N", value_parser = values::positive::<u64>)]
    max_enqueued_tokens: Option<u64>,

    /// How many batches may be created within an hour, by the clock of this machine [default: any number]
    ///
    /// Those that an earlier process of the same run has created count; those of other runs do not.
    #[arg(long, value_name = "N", value_parser = values::positive::<u32>)]
    creates_per_hour: Option<u32>,

    /// How long a create whose answer was lost is looked for, twice, before another is sent [default: 2m]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    settle_after_loss: Option<Duration>,

    #[command(flatten)]
    expect: ExpectArgs,

    #[command(flatten)]
    prices: PricesArgs,

    /// Print the summary as one JSON object
    ///
    /// A run that ends before it is finished (exit 4, 5, 6 or 130) has one too: exit_code, error, folder,
    /// the batches with their states, and the shards that are held, with why. With --detach it is that
    /// of lote status, and exit_code.
    #[arg(long)]
    json: bool,
}

/// How far a run is driven by the commands that begin it and go on with it.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "How it runs")]
pub(crate) struct ReachArgs {
    /// Return when the batches are created, as many as may be at work at once; lote resume goes on
    #[arg(long)]
    detach: bool,

    /// How often lines that do not succeed and can are tried in all, as lote repair does it [default: 1]
    #[arg(long, value_name = "N", value_parser = values::positive::<u32>, conflicts_with = "detach")]
    attempts: Option<u32>,

    /// Once the run is finished, delete what it has put at the service, as lote clean --remote does
    ///
    /// What cannot be deleted is told, and changes no exit code.
    #[arg(long)]
    clean_remote: bool,

    #[command(flatten)]
    one_by_one: OneByOneArgs,
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

    /// Whether what comes of it is printed as JSON.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// The same error of what went wrong before there was a run, printed as JSON if that was asked for.
    ///
    /// # Errors
    /// That one.
    pub(crate) fn before_it_began<T>(&self, said: CliError) -> Result<T, CliError> {
        if self.json && matches!(said.exit(), Exit::GaveUp | Exit::Interrupted) {
            let mut object = json!({ "run": null, "folder": null, "batches": [], "held": [] });
            object["error"] = said.to_string().into();
            object["exit_code"] = said.exit().code().into();
            out::line(object)?;
        }
        Err(said)
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
        if let Some(expect) = self.expect.load()? {
            run = run.expect(expect);
        }
        self.prices.apply(run)
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
    /// Requests that are kept in a file whose path says nothing to the user.
    pub(crate) spooled: Option<&'a Spooled>,
    /// The table that they were made of.
    pub(crate) table: Option<&'a Table>,
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
        reach.one_by_one.check(reach.detach)?;
        let bar = if self.embedded { Bar::new() } else { Bar::of_run() };
        let own = run.folder_path();
        let placed = tokio::select! {
            placed = run.placed() => placed,
            () = stop.asked() => return Err(self.interrupted(&bar, &own)?),
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
            let was =
                if !self.embedded && embedded::is_run_of(&own) { "was a trial with --embedded" } else { "is finished" };
            let (own, folder) = (shell::quoted(&own), shell::quoted(&folder));
            bar.note(format_args!("{own}: its run {was}; this is another one, in {folder}"));
        }
        let was_finished = lote::run::status(&folder).is_ok_and(|status| status.phase == RunPhase::Finished);
        let run = run.attempts(reach.attempts.unwrap_or(1)).clean_remote(reach.clean_remote);
        bar.follow(&folder);
        let run = shown(reach.one_by_one.apply(run), &bar);
        if reach.detach {
            let ended = tokio::select! {
                ended = run.clone().submit() => ended,
                () = stop.asked() => return Err(self.interrupted(&bar, &folder)?),
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
            () = stop.asked() => return Err(self.interrupted(&bar, &folder)?),
        };
        bar.clear();
        // It may also be a run of something else.
        if was_finished && reach.only_reads() && ended.is_ok() {
            self.finished_before(&folder).into_iter().for_each(out::note);
        }
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
            Ok(Some(report)) => {
                self.finished_before(&folder).into_iter().for_each(out::note);
                self.end(Ok(Some(report)), &folder).map(Some)
            }
            Err(error) => self.end(Err(error), &folder).map(Some),
        }
    }

    /// What is said to people of a run that was finished when it was asked for: what comes of it looks like that of one that
    /// was run just now.
    fn finished_before(&self, folder: &Path) -> Option<String> {
        let another = if self.inputs.is_empty() { "" } else { "; --new begins another" };
        let said = || format!("{}: finished before, and nothing is sent{another}", shell::quoted(folder));
        (!self.args.json).then(said)
    }

    /// Cancels the run, and fetches what it finished.
    ///
    /// # Errors
    /// When there are no results, with the exit code that says why.
    pub(crate) async fn cancel(&self, run: Run, stop: &mut Stop) -> Result<Exit, CliError> {
        let bar = Bar::of_run();
        let folder = run.folder_path();
        bar.follow(&folder);
        let ended = tokio::select! {
            ended = shown(run, &bar).cancel() => ended,
            () = stop.asked() => return Err(self.interrupted(&bar, &folder)?),
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
        bar.follow(&folder);
        let ended = tokio::select! {
            ended = shown(run, &bar).repair(repair) => ended.map(Some),
            () = stop.asked() => return Err(self.interrupted(&bar, &folder)?),
        };
        bar.clear();
        self.end(ended, &folder)
    }

    fn end(&self, ended: Result<Option<Report>, RunError>, folder: &Path) -> Result<Exit, CliError> {
        match ended {
            Ok(Some(report)) => {
                ended::print(&report, 0, self.args.json, self.export(&report))?;
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
                if let Some(report) = error.report().filter(|_| !self.args.json) {
                    ended::print(
                        report,
                        if error.is_held() { error.held().len() } else { 0 },
                        false,
                        self.export(report),
                    )?;
                }
                let said = self.ended_early(&error, folder)?;
                if self.args.json {
                    self.print_early(Some(&error), &said, folder)?;
                }
                Err(said)
            }
        }
    }

    fn detached(&self, status: &RunStatus) -> Result<Exit, CliError> {
        if self.args.json {
            let mut text = serde_json::to_value(status).map_err(|error| CliError::usage(format!("status: {error}")))?;
            text["exit_code"] = Exit::GaveUp.code().into();
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

    /// The command that puts the answers beside the rows, when the requests were made of a table.
    fn export(&self, report: &Report) -> Option<CommandLine> {
        self.table.and_then(|table| table.export(&report.folder))
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

    /// The command that makes batches anew, in words: only `lote run` has the flag.
    fn anew(&self) -> &'static str {
        if self.inputs.is_empty() { "lote run with the requests and --new" } else { "the same command with --new" }
    }

    /// The command that goes on, with all that was asked of this one but its deadline: without the bounds it would do more
    /// at once, and without the rest less at the end.
    fn resume(&self, folder: &Path) -> CommandLine {
        let CourseArgs { max_open, max_enqueued_tokens, creates_per_hour, settle_after_loss, expect, .. } = self.args;
        let mut line = self.with_output(self.service.again("resume").word(folder));
        let attempts = self.reach.and_then(|reach| reach.attempts);
        let values = [
            ("--max-open", max_open.map(|most| most.to_string())),
            ("--max-enqueued-tokens", max_enqueued_tokens.map(|most| most.to_string())),
            ("--creates-per-hour", creates_per_hour.map(|most| most.to_string())),
            ("--settle-after-loss", settle_after_loss.map(values::shown)),
            ("--attempts", attempts.map(|most| most.to_string())),
            ("--expect", expect.expect.clone()),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                line = line.flag(name, value);
            }
        }
        let Some(reach) = self.reach else { return line };
        line = reach.one_by_one.again(line);
        if reach.clean_remote { line.switch("--clean-remote") } else { line }
    }

    fn with_output(&self, line: CommandLine) -> CommandLine {
        match &self.args.output {
            None => line,
            Some(output) if self.args.force => line.flag("-o", output).switch("--force"),
            Some(output) => line.flag("-o", output),
        }
    }
}

/// The run, with its steps shown.
fn shown(run: Run, bar: &Bar) -> Run {
    let bar = bar.clone();
    run.on_progress(move |progress: Progress<'_>| bar.show(&progress))
}
