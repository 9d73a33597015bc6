//! `lote resume`, `lote cancel` and `lote repair`: a run that is there goes on, is stopped, or is tried again in part.

use std::path::{Path, PathBuf};

use clap::{ArgMatches, Args};
use lote::BatchId;
use lote::run::{Repair, Run, status};

use crate::caps::CapArgs;
use crate::course::{Course, CourseArgs, ReachArgs};
use crate::embedded::{self, Inside};
use crate::exit::{CliError, Exit};
use crate::input;
use crate::interrupt::{self, Stop};
use crate::one_by_one::OneByOneArgs;
use crate::service::ServiceArgs;

/// Go on with a run, without naming its requests again
///
/// Goes on from what the folder says: looks for creates whose answers were lost, submits what was
/// not, waits, fetches, and writes the results. What the run was begun with (requests, options,
/// limits) stays as it is. A finished run makes no call; -o is written again.
///
/// With --detach it does what can be done now and returns, which is fit for cron. What is over is
/// fetched first; then a create whose answer was lost is looked for before anything is sent, for four
/// minutes or twice --settle-after-loss, and half as long by the next command. A run of
/// lote run --embedded goes on with a gateway inside this process, without a key: what was not settled
/// is sent again, since the gateway of before ended with its process.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote resume requests.run
  lote resume requests.run -o results.jsonl --deadline 2h
  lote resume requests.run --detach
  lote resume requests.run --sync
  lote resume requests.run --adopt 3=batch_abc123
  lote resume requests.run --partial -o results.jsonl

Exit codes are those of lote run."
)]
pub(crate) struct ResumeArgs {
    /// The folder of the run
    #[arg(value_parser = input::path())]
    run: PathBuf,

    /// The batch of a shard whose create's answer was lost, once you have found it yourself
    #[arg(long, value_name = "SHARD=BATCH", value_parser = adopted)]
    adopt: Vec<(u32, BatchId)>,

    /// The lost create of this shard has made no batch, as you have made sure yourself: it is created again
    ///
    /// Of a held shard whose batch is known, but not at the service any more or without its files: the
    /// batch is given up, and the lines are bought again. It stays in the status and the summary.
    #[arg(long, value_name = "SHARD")]
    no_batch: Vec<u32>,

    /// When shards are held, write the results of the others now; the exit code is 6 all the same
    ///
    /// They are written before a create whose answer was lost is looked for, which takes minutes.
    /// Lines without an outcome yet have error.code "held", or "not_sent" where their batch waits for
    /// others to end. They may have been paid for, and are not in failed.jsonl. Once the shards are
    /// released, lote resume writes all results anew, -o too.
    #[arg(long)]
    partial: bool,

    #[command(flatten)]
    course: CourseArgs,

    #[command(flatten)]
    reach: ReachArgs,

    #[command(flatten)]
    caps: CapArgs,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Cancel a run: stop its batches, and fetch what they finished
///
/// Creates no more batches, asks those at work to stop, waits until they have, and writes the
/// results: what was finished is there, and what was not has error.code "batch_cancelled". A lote
/// that is at work on the run is asked to do so itself.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote cancel requests.run
  lote cancel requests.run -o results.jsonl

Exit 0: every line had succeeded, or the lote at work was asked. 1: some lines were cancelled.
The others are those of lote run."
)]
pub(crate) struct CancelArgs {
    /// The folder of the run
    #[arg(value_parser = input::path())]
    run: PathBuf,

    #[command(flatten)]
    course: CourseArgs,

    #[command(flatten)]
    service: ServiceArgs,
}

/// Try again what did not succeed
///
/// Makes another attempt of a finished run, with the lines that can well succeed now: those that
/// expired or were cancelled, and those that failed with 408, 409, 425, 429, 5xx, or an error in a
/// 2xx. Lines that are missing or unreadable are sent again only when the batch's files hold as
/// many lines as it counts: otherwise they may have been answered, and would be paid for twice.
/// Then the results are written anew; what had succeeded stays, unless it was asked for again and
/// what came is better. With nothing to try again it makes no call. The same request may well be
/// cut off, or not fit, once more: what it asks for does not change.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote repair requests.run
  lote repair requests.run --all -o results.jsonl
  lote repair requests.run --cut-off
  lote repair requests.run --unfit --expect @schema.json
  lote repair requests.run --sync

Exit codes are those of lote run."
)]
pub(crate) struct RepairArgs {
    /// The folder of the run
    #[arg(value_parser = input::path())]
    run: PathBuf,

    /// Refusals as well: other 4xx, and the lines of batches that failed at validation
    #[arg(long)]
    all: bool,

    /// Lines that are missing or unreadable as well, whatever the counts say: some may have been paid for
    #[arg(long)]
    missing: bool,

    /// Answers that end at a limit of tokens as well; one that is whole takes their place
    #[arg(long)]
    cut_off: bool,

    /// Answers that do not fit --expect as well, whatever they fall short of; one that fits takes their place
    #[arg(long, requires = "expect")]
    unfit: bool,

    #[command(flatten)]
    course: CourseArgs,

    #[command(flatten)]
    caps: CapArgs,

    #[command(flatten)]
    one_by_one: OneByOneArgs,

    #[command(flatten)]
    service: ServiceArgs,
}

fn adopted(text: &str) -> Result<(u32, BatchId), String> {
    let (shard, batch) = text.split_once('=').ok_or("a shard and its batch are given as 3=batch_abc123")?;
    let shard = shard.parse().map_err(|_| format!("{shard:?} is not the number of a shard"))?;
    Ok((shard, batch.parse().map_err(|error: lote::Error| error.to_string())?))
}

/// # Errors
/// When there are no results, with the exit code that says why.
pub(crate) fn run(args: &ResumeArgs, matches: Option<&ArgMatches>) -> Result<Exit, CliError> {
    let only_reads = args.adopt.is_empty() && args.no_batch.is_empty() && args.reach.only_reads();
    let (course, service, reach) = (&args.course, &args.service, Some(&args.reach));
    let there = There { reach, only_reads, ..There::driven(&args.run, course, service, matches) };
    there.work(async |course, run, stop| {
        let mut run = args.caps.apply(run)?.partial(args.partial);
        for (shard, batch) in &args.adopt {
            run = run.adopt(*shard, batch.clone());
        }
        for shard in &args.no_batch {
            run = run.no_batch(*shard);
        }
        course.execute(run, stop).await
    })
}

/// # Errors
/// When there are no results, with the exit code that says why.
pub(crate) fn cancel(args: &CancelArgs, matches: Option<&ArgMatches>) -> Result<Exit, CliError> {
    let there = There::driven(&args.run, &args.course, &args.service, matches);
    there.work(async |course, run, stop| course.cancel(run, stop).await)
}

/// # Errors
/// When there are no results, with the exit code that says why.
pub(crate) fn repair(args: &RepairArgs, matches: Option<&ArgMatches>) -> Result<Exit, CliError> {
    let there = There::driven(&args.run, &args.course, &args.service, matches);
    let repair = Repair::new().refusals(args.all).missing(args.missing).cut_off(args.cut_off).unfit(args.unfit);
    let again = |run: Run| args.caps.apply(args.one_by_one.apply(run));
    there.work(async |course, run, stop| course.repair(again(run)?, repair, stop).await)
}

/// A run that is there, and how it is gone on with.
struct There<'a> {
    folder: &'a Path,
    course: &'a CourseArgs,
    service: &'a ServiceArgs,
    reach: Option<&'a ReachArgs>,
    /// Whether nothing is asked of a run that is finished but what came of it.
    only_reads: bool,
    matches: Option<&'a ArgMatches>,
}

impl<'a> There<'a> {
    /// One of which something is asked, whatever came of it.
    fn driven(
        folder: &'a Path,
        course: &'a CourseArgs,
        service: &'a ServiceArgs,
        matches: Option<&'a ArgMatches>,
    ) -> Self {
        Self { folder, course, service, reach: None, only_reads: false, matches }
    }

    /// Does this work on the run, at its service, or at a gateway inside this process if it had one: the folder says so.
    fn work(
        &self,
        work: impl AsyncFnOnce(&Course<'_>, Run, &mut Stop) -> Result<Exit, CliError>,
    ) -> Result<Exit, CliError> {
        let embedded = embedded::is_run_of(self.folder);
        if let (true, Some(flag)) = (embedded, embedded::service_flag(self.matches)) {
            return Err(CliError::usage(format!(
                "{}: its gateway is inside the command, and {flag} names a service: leave that out; nothing was sent",
                self.folder.display()
            )));
        }
        let Self { course: args, service, reach, .. } = *self;
        let course = Course { args, service, reach, embedded, inputs: &[], spooled: None, table: None };
        interrupt::drive_run(embedded, async |stop| {
            if !embedded {
                let Some(client) = stop.unless_asked(self.service.client()).await else {
                    return self.course.before_it_began(CliError::interrupted());
                };
                let client = match client {
                    // What came of a finished run is told without a key: nothing is asked of the service.
                    Err(error) if self.only_reads => {
                        let Ok(keyless) = self.service.keyless() else { return Err(error) };
                        let run = self.course.apply(Run::open(&keyless, self.folder))?;
                        return course.finished(run).await?.ok_or(error);
                    }
                    // Of what is no run, the key is not what is wrong.
                    client => client.map_err(|error| match status(self.folder) {
                        Err(no_run) => CliError::usage(no_run.to_string()),
                        Ok(_) => error,
                    })?,
                };
                let run = Run::open(&client, self.folder);
                return work(&course, self.course.apply(run)?, stop).await;
            }
            let inside = Inside::start().await?;
            let run = inside.run(self.course.apply(Run::open(inside.client(), self.folder))?);
            let ended = work(&course, run, stop).await;
            inside.shutdown().await;
            ended
        })
    }
}
