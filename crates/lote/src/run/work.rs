//! What a run does: it is begun or gone on with, driven to its end, cancelled, tried again and cleaned up behind.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use super::{
    Clean, CleanedRemote, Progress, Repair, Report, Run, RunError, RunStatus,
    caps::Caps,
    clean::{self, Missing, Remote},
    drive::{Driver, Manner, Stopped},
    error::Kind,
    event::Event,
    fit,
    folder::{Draft, Folder, NOT_FINISHED, Prepared, REQUESTS, RESULTS, SUMMARY, is_of_a_trial},
    limits::Kept,
    merge::{Fault, put_together},
    record::Record,
    refuse::check_endpoint,
    repair::Search,
    report::Summary,
    seal,
    seam::{Rule, kept},
    state::{Phase, Shard, State},
    status,
};
use crate::{
    deadline::Deadline,
    heavy::blocking,
    save::{Access, Output},
};

/// What is said when answers are to be tried again whose request lines are gone.
const CLEANED: &str = "its request lines were cleaned away, as they had all succeeded: to ask again, run them anew \
                       (lote run with the requests and --new)";

impl Run {
    /// Runs it to its end, from wherever its folder is. A run that is finished makes no call. Dropping the future stops
    /// this side only: batches that were created go on, and the same run goes on with them.
    ///
    /// # Errors
    /// See [`RunError`], whose predicates tell what was paid for by then.
    pub async fn execute(self) -> Result<Report, RunError> {
        let started = Instant::now();
        let run = Box::pin(self.placed()).await?;
        // Boxed here and below: all that a run does would be much for the stack of a thread.
        Box::pin(run.executed(started)).await
    }

    async fn executed(self, started: Instant) -> Result<Report, RunError> {
        if self.only_reads()
            && let Some(report) = self.finished().await?
        {
            return Ok(report);
        }
        let mut driver = Box::pin(self.begin(false)).await?;
        loop {
            match Box::pin(self.drive(&mut driver, started)).await {
                Ok(()) if driver.folder.state.attempt < self.attempts && !driver.folder.state.cancelled => {
                    match Box::pin(self.attempt(&mut driver, self.repairs)).await {
                        Ok(true) => {}
                        Ok(false) => return self.end(driver, started).await,
                        // What there is stays what came of it.
                        Err(error) if error.is_capped() => {
                            (self.on_progress)(Progress::Capped { why: &error.to_string() });
                            return self.end(driver, started).await;
                        }
                        Err(error) => return Err(error),
                    }
                }
                Ok(()) => return self.end(driver, started).await,
                Err(Stopped::Failed(error)) if error.is_held() && self.partial => {
                    return Err(self.write_partial(driver, error, started).await);
                }
                Err(Stopped::Failed(error)) => return Err(self.broke_off(driver, error)),
                Err(Stopped::Later | Stopped::Interim) => return Err(RunError::new(Kind::GaveUp)),
            }
        }
    }

    /// Goes as far as until there is nothing to do but to wait: creates the batches, as many as may be at work at once,
    /// and settles those that are over. How far the run is then; given again, it goes on.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn submit(self) -> Result<RunStatus, RunError> {
        let started = Instant::now();
        let run = Box::pin(self.placed()).await?;
        Box::pin(run.submitted(started)).await
    }

    async fn submitted(self, started: Instant) -> Result<RunStatus, RunError> {
        if self.only_reads() && self.is_finished().await? {
            return status(self.folder_path());
        }
        let mut driver = Box::pin(self.begin(true)).await?;
        match Box::pin(self.drive(&mut driver, started)).await {
            Err(Stopped::Failed(error)) if error.is_held() && self.partial => {
                Err(self.write_partial(driver, error, started).await)
            }
            Ok(()) | Err(Stopped::Later | Stopped::Interim) => {
                let path = driver.folder.path().to_owned();
                drop(driver);
                status(path)
            }
            Err(Stopped::Failed(error)) => Err(self.broke_off(driver, error)),
        }
    }

    /// The run in the folder in which it will be. That is its own, but for one that is to be made [anew](Self::anew) while a
    /// finished run is there: then that of an unfinished one of the same beside it, or the first that is free
    /// (`requests.2.run`). So it is of one that goes to a service while a finished run with an embedded gateway is there, which
    /// was a trial; a finished one of the same beside that is told of. [`execute`](Self::execute) and
    /// [`submit`](Self::submit) find the folder themselves; this tells it before.
    ///
    /// # Errors
    /// One that [`is_taken`](RunError::is_taken) when the folder was [named](Self::folder), and holds a finished run of the
    /// same; those of reading the input.
    pub async fn placed(self) -> Result<Self, RunError> {
        let may_move = !self.is_placed && (self.anew || self.is_after_a_trial());
        let Some(inputs) = self.inputs.clone().filter(|_| may_move) else { return Ok(self) };
        let (path, check, asked, who) = (self.folder_path(), self.check_rules(), self.asked(), self.who());
        let money = self.money();
        let (is_named, anew) = (self.folder.is_some(), self.anew);
        let here = Arc::new(());
        let seen = Arc::downgrade(&here);
        let wanted = move || seen.strong_count() > 0;
        let another = blocking(move || {
            let draft = Draft { path: &path, inputs: &inputs, check: &check, asked, who, mends: false, money };
            draft.another(is_named, anew, &wanted)
        });
        let another = self.ends().within(another).await;
        drop(here);
        let folder =
            another.map_err(|error| RunError::refused(error.context("gave up before the end of the check")))??;
        let folder = if folder == self.folder_path() { self.folder.clone() } else { Some(folder) };
        Ok(Self { folder, is_placed: true, ..self })
    }

    /// Whether this goes to a service, and its own folder has a run that an embedded gateway has answered: a trial, of which
    /// nothing was paid, and whose command without `--embedded` means this run.
    fn is_after_a_trial(&self) -> bool {
        self.folder.is_none() && !self.asked().is_embedded() && is_of_a_trial(&self.folder_path())
    }

    /// When all of it has to be done.
    fn ends(&self) -> Deadline {
        Deadline::since(self.deadline, self.begun)
    }

    /// What came of a run that is finished, read from its folder: no call is made, and nothing is written but the
    /// [`output`](Self::output), if one is wanted. None when it is not finished, or its results are not there as they were
    /// written.
    ///
    /// # Errors
    /// Those of opening its folder: see [`RunError`].
    pub async fn finished(&self) -> Result<Option<Report>, RunError> {
        let started = Instant::now();
        self.check_places()?;
        if !self.is_finished().await? {
            return Ok(None);
        }
        let path = self.folder_path();
        let seen = Folder::look(&path)?;
        self.report(&path, &seen.state, Access::of(&path.join(Record::NAME)), started).await.map(Some)
    }

    async fn is_finished(&self) -> Result<bool, RunError> {
        let path = self.folder_path();
        blocking(move || Folder::look(&path)?.is_finished(&path)).await
    }

    /// Whether nothing is to be done with a run that is finished but to tell what came of it.
    fn only_reads(&self) -> bool {
        self.inputs.is_none() && self.words.is_empty() && self.attempts == 1 && !self.clean_remote
    }

    /// Cancels it: creates no more batches, asks those at work to stop, waits until they have, and fetches what they
    /// finished. When another process is at work on it, that one is asked to do so, and this one has no report.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn cancel(mut self) -> Result<Option<Report>, RunError> {
        let started = Instant::now();
        // Nothing is sent.
        self.caps = Caps::default();
        let path = self.folder_path();
        self.check_places()?;
        match Folder::open(&path) {
            Err(error) if error.is_busy() => Folder::ask_to_cancel(&path).map(|()| None),
            Err(error) => Err(error),
            Ok(folder) => {
                let mut driver = Box::pin(self.enter(folder, self.ends(), false)).await?;
                if driver.folder.state.finished.is_none() && !driver.folder.state.cancelled {
                    driver.folder.say(Event::Cancelled)?;
                }
                match Box::pin(self.drive(&mut driver, started)).await {
                    Ok(()) => self.end(driver, started).await.map(Some),
                    Err(Stopped::Failed(error)) => Err(error),
                    Err(Stopped::Later | Stopped::Interim) => Err(RunError::new(Kind::GaveUp)),
                }
            }
        }
    }

    /// Tries again what did not succeed and can, as another attempt of the run that the folder holds; lines of a run that
    /// was cancelled which were not sent are sent then. When nothing can, the report is that of the run as it is.
    ///
    /// # Errors
    /// See [`RunError`]. One that [`is_place`](RunError::is_place) when the run is not finished, or the request lines of
    /// answers that are to be tried again were [cleaned](super::clean) away.
    pub async fn repair(self, repair: Repair) -> Result<Report, RunError> {
        let started = Instant::now();
        self.check_repair(repair).map_err(RunError::refused)?;
        let mut driver = Box::pin(self.begin(false)).await?;
        Box::pin(self.attempt(&mut driver, repair)).await?;
        match Box::pin(self.drive(&mut driver, started)).await {
            Ok(()) => self.end(driver, started).await,
            Err(Stopped::Failed(error)) => Err(error),
            Err(Stopped::Later | Stopped::Interim) => Err(RunError::new(Kind::GaveUp)),
        }
    }

    /// Deletes what a finished run has put at the service, and nothing else: the files of lines that it has uploaded, and
    /// the output and error files of its batches, by the ids that its folder holds. Its results stay in the folder. A file
    /// of lines that a batch at work reads, or a run beside this one is to make a batch of, is kept, and so are all of them
    /// when the service's list does not tell. What is gone is written down, so that each file is asked for until then only.
    ///
    /// # Errors
    /// One that [`is_place`](RunError::is_place) when the run is not finished, or those of opening it: see [`RunError`].
    /// That a file could not be deleted is no error: see [`CleanedRemote::kept`].
    pub async fn delete_remote(self, clean: Clean) -> Result<CleanedRemote, RunError> {
        let mut folder = Folder::open(&self.folder_path())?;
        self.delete_files(&mut folder, self.ends(), clean).await
    }

    async fn delete_files(
        &self,
        folder: &mut Folder,
        deadline: Deadline,
        clean: Clean,
    ) -> Result<CleanedRemote, RunError> {
        if !Remote::is_over(folder) {
            return Err(RunError::place(folder.path(), NOT_FINISHED).at(folder.path()));
        }
        let files = match &folder.state.opened {
            // What an embedded gateway had ended with it.
            Some(before) if before.gateway.is_some() && before.gateway != self.gateway => Vec::new(),
            _ => Remote::files(folder)?,
        };
        if !files.is_empty() {
            self.check_account(folder, deadline).await?;
        }
        let (client, on_progress) = (&self.client, &self.on_progress);
        Remote { client, folder, deadline, on_progress }.delete(files, clean).await
    }

    /// Begins another attempt, if there is anything to be tried again.
    async fn attempt(&self, driver: &mut Driver, repair: Repair) -> Result<bool, RunError> {
        let deadline = driver.deadline();
        let folder = &mut driver.folder;
        if folder.state.finished.is_none() && !folder.state.has_failed() {
            return Err(RunError::place(folder.path(), NOT_FINISHED).at(folder.path()));
        }
        // A run that is finished was opened without that.
        self.check_account(folder, deadline).await?;
        if folder.state.finished.is_some() && clean::all_succeeded(folder.path(), &folder.state)? {
            if !repair.takes_answers() {
                return Ok(false);
            }
            if folder.state.shards.keys().any(|shard| !folder.shard(*shard).join(REQUESTS).exists()) {
                return Err(RunError::place(folder.path(), CLEANED).at(folder.path()));
            }
        }
        // They may have been cleaned away.
        let missing = Missing::of(folder.path(), folder.access(), &folder.state);
        let made = blocking(move || missing.make()).await;
        made.map_err(|Fault(path, error)| {
            RunError::io("make again", &path, error).at(folder.path()).of(&folder.state)
        })?;
        let search = Search::new(folder, repair, self.expect.as_ref());
        let found = blocking(move || search.shards()).await;
        let shards = found.map_err(|Fault(path, error)| {
            RunError::io("look through", &path, error).at(folder.path()).of(&folder.state)
        })?;
        let unsent = folder.state.shards.values().any(|shard| shard.phase == Phase::Cancelled);
        if shards.is_empty() && !unsent {
            return Ok(false);
        }
        if let Some(why) = self.refuses(folder, &shards).await? {
            return Err(RunError::new(Kind::Capped { why }).at(folder.path()).of(&folder.state));
        }
        if !folder.is_fresh() {
            folder.enter(self.who())?;
        }
        self.say_money(folder)?;
        // Also where a cancelled run had sent everything: what is cancelled submits nothing.
        if folder.state.cancelled {
            folder.say(Event::Resumed)?;
        }
        if !shards.is_empty() {
            folder.sync_shards()?;
            let attempt = folder.state.attempt + 1;
            folder.say(Event::Attempt { attempt, shards })?;
        }
        Ok(true)
    }

    /// The folder is made or opened, and this process is at work in it.
    async fn begin(&self, detach: bool) -> Result<Driver, RunError> {
        let deadline = self.ends();
        self.check_options().map_err(RunError::refused)?;
        self.check_places()?;
        let folder = match &self.inputs {
            None => Folder::open(&self.folder_path())?,
            Some(inputs) => {
                // Of a finished run there is nothing left to wait for: only to see that it is the same.
                let path = self.folder_path();
                let is_finished =
                    blocking(move || Folder::look(&path)).await.is_ok_and(|seen| seen.state.finished.is_some());
                let within = if is_finished { Deadline::after(None) } else { deadline };
                let prepared = within.within(self.prepare(inputs)).await;
                prepared.map_err(|error| RunError::refused(error.context("gave up before the end of the check")))??
            }
        };
        self.enter(folder, deadline, detach).await
    }

    /// Checks and cuts the input, or finds the run of it that is there.
    async fn prepare(&self, inputs: &[PathBuf]) -> Result<Folder, RunError> {
        let (path, inputs, check, asked) = (self.folder_path(), inputs.to_vec(), self.check_rules(), self.asked());
        let (who, mends, money) = (self.who(), kept(Rule::Checked), self.money());
        // The thread does not stop when this future is dropped: it asks `wanted` whether to go on.
        let here = Arc::new(());
        let seen = Arc::downgrade(&here);
        let wanted = move || seen.strong_count() > 0;
        let prepared = blocking(move || {
            let draft = Draft { path: &path, inputs: &inputs, check: &check, asked, who, mends, money };
            Folder::prepare(draft, &wanted)
        })
        .await;
        let Prepared { folder, checked, replaces } = prepared?;
        drop(here);
        if let Some(what) = replaces {
            (self.on_progress)(Progress::Replaces { folder: folder.path(), what: &what });
        }
        if let Some(checked) = checked {
            (self.on_progress)(Progress::Checked(&checked));
        }
        let fault = folder.record.shards.iter().find_map(|shard| check_endpoint(&self.client, &shard.endpoint).err());
        match fault {
            None => Ok(folder),
            Some(error) => {
                folder.remove();
                Err(RunError::refused(error))
            }
        }
    }

    /// Writes down that this process goes on with the run, and what a person has said.
    async fn enter(&self, mut folder: Folder, deadline: Deadline, detach: bool) -> Result<Driver, RunError> {
        let goes_on = !folder.is_fresh() && folder.state.finished.is_none();
        if goes_on {
            self.check_account(&folder, deadline).await?;
            self.hold_against_caps(&folder).await?;
        }
        let state = if goes_on { folder.state_when_entered(self.who())? } else { folder.state.clone() };
        let words = self.check_words(&folder, &state, deadline).await?;
        if goes_on {
            folder.enter(self.who())?;
            let batches = folder.state.batches();
            (self.on_progress)(Progress::GoesOn { folder: folder.path(), batches: &batches });
            self.say_money(&mut folder)?;
        }
        for word in words {
            folder.say(word)?;
        }
        // All others are looked at again.
        let held = folder.state.shards.values().filter(|shard| shard.held.is_some());
        let held: Vec<u32> = held.map(|shard| shard.plan.number).collect();
        for shard in held {
            folder.say(Event::Released { shard })?;
        }
        let options = folder.record.options().map_err(RunError::refused)?;
        let manner = Manner {
            cadence: self.cadence.clone(),
            tolerance: self.tolerance.clone(),
            deadline,
            bounds: self.bounds.clone(),
            limits: self.limits_in.as_ref().filter(|_| self.gateway.is_none()).map(|at| Kept::of(at, &self.client)),
            settle_after_loss: self.settle_after_loss,
            detach,
            partial: self.partial,
            expect: self.expect.clone(),
            synchronous: self.synchronous,
            rescue_before: self.rescue_before,
            rescue_anyway: self.rescue_anyway,
            pace: self.pace.clone(),
            on_progress: Arc::clone(&self.on_progress),
            told: self.told.clone(),
        };
        Ok(Driver::new(self.client.clone(), folder, options, manner))
    }

    /// A run that this process made, and of which nothing was begun, leaves nothing.
    fn broke_off(&self, driver: Driver, error: RunError) -> RunError {
        let nothing = driver.folder.state.nothing_was_begun()
            && driver.folder.state.shards.values().all(|shard| shard.nonce.is_none());
        if nothing && self.inputs.is_some() && error.is_refused() {
            driver.folder.remove();
        }
        error
    }

    /// Drives it as far as it goes. Where results are wanted although some shards have none, those that there are are written
    /// before lost creates are looked for, which takes minutes.
    async fn drive(&self, driver: &mut Driver, started: Instant) -> Result<(), Stopped> {
        loop {
            match driver.drive().await {
                Err(Stopped::Interim) => {
                    let settled = |shard: &Shard| matches!(shard.phase, Phase::Settled(_));
                    if driver.folder.state.shards.values().any(settled) {
                        let Report { results, undecided, .. } = self.so_far(&mut driver.folder, started).await?;
                        (self.on_progress)(Progress::Partial { results: &results, undecided });
                    }
                }
                ended => return ended,
            }
        }
    }

    /// Writes the results that there are although shards are held, and has the error tell of them.
    async fn write_partial(&self, driver: Driver, held: RunError, started: Instant) -> RunError {
        let mut folder = driver.folder;
        match self.so_far(&mut folder, started).await {
            Ok(report) => held.with_report(report),
            Err(error) => error,
        }
    }

    /// Writes the results that there are so far.
    async fn so_far(&self, folder: &mut Folder, started: Instant) -> Result<Report, RunError> {
        (self.on_progress)(Progress::Joining);
        let results = put_together(folder, &self.client, self.expect.as_ref()).await;
        let results = results.map_err(|error| error.of(&folder.state))?;
        if !folder.state.written.contains(&results) {
            folder.say(Event::Partial { results })?;
        }
        self.report(folder.path(), &folder.state, folder.access(), started).await
    }

    /// The end of a finished run: its report, and what is still to be done with it.
    async fn end(&self, driver: Driver, started: Instant) -> Result<Report, RunError> {
        let deadline = driver.deadline();
        let mut folder = driver.folder;
        let mut report = self.report(folder.path(), &folder.state, folder.access(), started).await?;
        if self.clean_remote {
            let cleaned = self.delete_files(&mut folder, deadline, Clean::new()).await;
            report.remote = Some(cleaned.unwrap_or_else(CleanedRemote::failed));
        }
        Ok(report)
    }

    /// The report of a finished run, and its results where they are wanted as well.
    async fn report(&self, folder: &Path, state: &State, access: Access, started: Instant) -> Result<Report, RunError> {
        let path = folder.join(SUMMARY);
        let Summary {
            run,
            batches,
            undecided,
            surplus,
            given_up,
            quote,
            invoice,
            synchronous,
            deduplicated,
            mut joined,
        } = seal::read(&path).map_err(|error| RunError::io("read", &path, error).at(folder).of(state))?;
        if let Some(expect) = &self.expect
            // What was expected when they were put together was something else, or nothing.
            && joined.fit.as_ref().is_none_or(|fit| fit.expected != expect.name())
        {
            let (folder, expect) = (folder.to_owned(), expect.clone());
            let fit = blocking(move || fit::count(&folder, &expect)).await.map_err(|error| error.of(state))?;
            joined.fit = Some(fit);
        }
        let mut report = Report {
            run,
            batches,
            surplus,
            given_up,
            quote,
            invoice,
            synchronous,
            joined,
            undecided,
            deduplicated,
            folder: folder.to_owned(),
            results: folder.join(RESULTS),
            seconds: started.elapsed().as_secs_f64(),
            remote: None,
        };
        if let Some(output) = &self.output {
            let to = Output::new(output, self.may_replace(state.written.clone())).access(access);
            let output = output.clone();
            match copy_results(&report.results, to).await {
                Ok(true) => report.results = output,
                // What went into a pipe or a device cannot be read again.
                Ok(false) => {}
                Err(error) => {
                    return Err(RunError::new(Kind::NotCopied { output, error, report: Box::new(report) }).at(folder));
                }
            }
        }
        Ok(report)
    }
}

/// Copies the results to where they are wanted as well, whole or not at all. Whether they are a file there.
async fn copy_results(results: &Path, output: Output) -> std::io::Result<bool> {
    let results = results.to_owned();
    blocking(move || {
        let mut writing = output.begin()?;
        std::io::copy(&mut std::fs::File::open(results)?, &mut writing)?;
        let file = writing.is_file();
        writing.commit().map(|()| file)
    })
    .await
}
