//! Uploads the lines of a shard and creates its batch.

use std::{io, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::Driver;
use crate::{
    Batch, Error, FileId, UploadPurpose,
    heavy::blocking,
    run::{
        Progress, RunError, adopt,
        error::Kind,
        event::Event,
        folder::REQUESTS,
        record::random_name,
        refusal::{self, Lack},
        seam::{self, Rule, kept},
        state::{Phase, Shard},
    },
    save::Stored,
};

/// How often in a row a service may say that there is no room, while none of the run's batches is at work.
const MOST_REFUSED: u32 = 10;

/// How often an upload of a shard that was cut off is begun again.
const MOST_CUT_OFF: u32 = 3;

/// The longest pause that a service may ask for while batches are at work.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

impl Driver {
    /// Uploads the lines of a shard, unless that was done, and creates its batch.
    pub(super) async fn submit(&mut self, number: u32) -> Result<(), RunError> {
        let Some(shard) = self.folder.state.shards.get(&number).cloned() else { return Ok(()) };
        let is_there = |file: &FileId| shard.phase == Phase::Uploaded && !self.folder.state.deleted.contains(file);
        let file = match shard.file.filter(is_there) {
            Some(file) => file,
            None => {
                let Some(file) = self.upload(number).await? else { return Ok(()) };
                self.folder.say(Event::Uploaded { shard: number, file: file.clone() })?;
                file
            }
        };
        if !self.looked && !self.folder.state.anew && kept(Rule::Twins) {
            self.look_for_twins().await?;
        }
        // After a refusal that may not have been one, and once in a run that was opened again, the list is looked at first.
        let again = self.folder.epoch() > 1 && !self.looked;
        let found = (again || shard.why.is_some()) && kept(Rule::Behind) && self.look_once(number).await?;
        self.looked = true;
        if found {
            return Ok(());
        }
        // What is not sent cannot have made a batch.
        self.manner.deadline.check().map_err(|error| self.service(before(error)))?;
        self.heed_cancel().await?;
        if self.folder.state.cancelled {
            return Ok(());
        }
        let nonce = random_name();
        self.folder.say(Event::Creating { shard: number, nonce: nonce.clone(), at: seam::now() })?;
        match self.create(number, &file, &nonce).await {
            Ok(batch) => self.created(number, batch, false),
            Err(error) => self.not_created(number, nonce, error).await,
        }
    }

    /// The lines of a shard at the service; none when it was too big for that, and was halved.
    async fn upload(&mut self, number: u32) -> Result<Option<FileId>, RunError> {
        if let Some(error) = self.altered_requests(number).await {
            return self.lacks_requests(number, error).map(|()| None);
        }
        let path = self.folder.shard(number).join(REQUESTS);
        let total = self.folder.state.shards.get(&number).map_or(0, |shard| shard.plan.bytes);
        let on_progress = Arc::clone(&self.manner.on_progress);
        let run = self.folder.record.run.get(..8).unwrap_or_default();
        let upload = self
            .client
            .files()
            .upload(&path, UploadPurpose::Batch)
            .file_name(format!("lote-{run}-{number:04}.jsonl"))
            .on_progress(move |sent| on_progress(Progress::Uploading { sent, total }));
        match self.manner.deadline.bound(upload.send()).await {
            Ok(file) => {
                self.reach.answered();
                Ok(Some(file.id))
            }
            Err(error) if error.is_deadline() => Err(self.service(before(error))),
            Err(error) if refusal::is_too_big(&error) => self.too_big(number, error).await.map(|()| None),
            Err(error) => match refusal::lack(&error) {
                Some(lack) => self.make_room(number, lack, error).await.map(|()| None),
                None => {
                    let times = self.cut_off.entry(number).or_default();
                    *times += u32::from(error.is_ambiguous());
                    // A file that was taken all the same costs nothing, and no batch is made of it.
                    let may_again = *times <= MOST_CUT_OFF;
                    let error = self.service_of_a_first(error);
                    Err(if may_again { error.repeatable() } else { error })
                }
            },
        }
    }

    /// Why the request lines of a shard cannot be read, or are others than were checked.
    pub(super) async fn altered_requests(&self, number: u32) -> Option<io::Error> {
        let sha256 = self.folder.state.shards.get(&number).map(|shard| shard.plan.sha256.clone());
        let path = self.folder.shard(number).join(REQUESTS);
        match blocking(move || Stored::of(&path)).await {
            Ok(stored) if sha256.is_none_or(|sha256| sha256 == stored.sha256) || !kept(Rule::Checked) => None,
            Ok(_) => Some(io::Error::other("it holds other request lines than were checked")),
            Err(error) => Some(error),
        }
    }

    /// The request lines of a shard are lost or damaged. While there is something to be done for others, it waits.
    pub(super) fn lacks_requests(&mut self, number: u32, error: io::Error) -> Result<(), RunError> {
        let path = self.folder.shard(number).join(REQUESTS);
        // Those of attempts and halves are made of other shards, not of the input.
        let is_of_input = self.folder.record.shards.iter().any(|plan| plan.number == number);
        let hint = if is_of_input { "; lote run, given the same requests, writes them anew" } else { "" };
        let error = io::Error::new(error.kind(), format!("{error}{hint}"));
        let goes_on = |shard: &Shard| shard.held.is_none() && !shard.is_ended();
        if self.folder.state.shards.iter().any(|(other, shard)| *other != number && goes_on(shard)) {
            return self.hold(number, format!("{}: {error}", path.display()));
        }
        Err(self.failed("read", &path, error))
    }

    pub(super) async fn create(&self, number: u32, file: &FileId, nonce: &str) -> Result<Batch, Error> {
        let Some(shard) = self.folder.state.shards.get(&number) else {
            return Err(Error::invalid("there is no such shard"));
        };
        let alone = self.folder.state.shards.len() == 1 && shard.batches.is_empty() && shard.why.is_none();
        let options = adopt::marked(&self.options, &self.folder.record.run, shard, nonce, alone);
        let options = adopt::named(options, &self.folder.record, &self.client);
        let create = self.client.batches().create(file, &shard.plan.endpoint).options(options);
        self.manner.deadline.bound(create.send()).await
    }

    pub(super) fn created(&mut self, number: u32, batch: Batch, adopted: bool) -> Result<(), RunError> {
        self.windows.seen(&batch, self.service_time());
        let written = self.folder.say(Event::Created { shard: number, batch: batch.id.clone(), adopted, said: false });
        // An id that could not be written down is told all the same.
        self.tell(if adopted { Progress::Found(&batch) } else { Progress::Created(&batch) });
        written.map_err(|error| error.and(batch.id))?;
        self.refused = 0;
        self.reach.answered();
        self.note_waits(None);
        Ok(())
    }

    /// A create failed: what that says of a batch is written down.
    async fn not_created(&mut self, number: u32, nonce: String, error: Error) -> Result<(), RunError> {
        if let Some(batch) = error.batch_id().cloned() {
            // There is a batch although its answer cannot be read.
            let written =
                self.folder.say(Event::Created { shard: number, batch: batch.clone(), adopted: false, said: false });
            self.tell(Progress::Survived(&error));
            written.map_err(|error| error.and(batch))?;
            return Ok(());
        }
        if error.is_ambiguous() {
            if error.is_deadline() {
                return Err(self.service(error));
            }
            self.tell(Progress::Survived(&error));
            // What became of it is looked for next.
            if kept(Rule::Look) {
                return Ok(());
            }
        }
        self.folder.say(Event::Refused { shard: number, nonce, why: error.to_string() })?;
        if let Some(lack) = refusal::lack(&error) {
            return match self.is_over(number, lack) {
                true => self.halve(number, error.to_string()).await,
                false => self.make_room(number, lack, error).await,
            };
        }
        // Nothing was sent: it is when there is a connection again.
        if error.is_unreached() {
            return Err(self.service(error));
        }
        if refusal::is_too_big(&error) {
            // Not before it is certain that it made none all the same.
            let gone_on = self.folder.state.cancelled || self.look_once(number).await?;
            return if gone_on { Ok(()) } else { self.too_big(number, error).await };
        }
        if self.has_lost_its_file(number, &error).await? {
            return Ok(());
        }
        // With other batches at work this one waits for a person, while they go on.
        if self.folder.state.batches().is_empty() {
            return Err(self.service_of_a_first(error));
        }
        self.tell(Progress::Survived(&error));
        self.hold(number, format!("its batch was not created: {error}"))
    }

    /// An upload or a create failed: where there never was a batch, the service may have none at all.
    fn service_of_a_first(&self, error: Error) -> RunError {
        let lacks = matches!(error.status(), Some(404 | 405 | 501)) && self.folder.state.batches().is_empty();
        let error = self.service(error);
        if lacks { error.without_batches() } else { error }
    }

    /// Whether a create was refused because its file is not at the service any more, where it may have been deleted or have
    /// expired: then it is uploaded again. Each process asks once for each shard.
    async fn has_lost_its_file(&mut self, number: u32, refusal: &Error) -> Result<bool, RunError> {
        let file = self.folder.state.shards.get(&number).and_then(|shard| shard.file.clone());
        let Some(file) = file.filter(|_| refusal::may_be_of_the_file(refusal)) else { return Ok(false) };
        if !self.sought.insert(number) {
            return Ok(false);
        }
        match self.manner.deadline.bound(self.client.files().get(&file)).await {
            Err(error) if error.is_not_found() => {}
            _ => return Ok(false),
        }
        // A batch that was made of it all the same is known by it.
        if self.folder.state.cancelled || self.look_once(number).await? {
            return Ok(true);
        }
        self.tell(Progress::Trouble(refusal));
        self.folder.say(Event::Deleted { file })?;
        Ok(true)
    }

    /// The account has too much at work: less at once, or a pause when none of it is ours.
    pub(super) async fn make_room(&mut self, number: u32, lack: Lack, error: Error) -> Result<(), RunError> {
        self.tell(Progress::Trouble(&error));
        if let Some(shard) = self.folder.state.shards.get(&number) {
            self.schedule.refused(&self.folder.state, &shard.plan, lack);
            self.keep_limits();
        }
        if self.folder.state.open() > 0 {
            let until = |after: Duration| Instant::now().checked_add(after.min(LONGEST_PAUSE));
            self.paused_until = error.retry_after().and_then(until);
            return Ok(());
        }
        self.refused += 1;
        if self.refused > MOST_REFUSED {
            return Err(self.service(error));
        }
        let pause = error.retry_after().unwrap_or_else(|| self.manner.cadence.pauses().next(None, None) * self.refused);
        self.note_waits(Some((None, format!("the service has no room: {error}"))));
        self.manner.deadline.within(sleep(pause)).await.map_err(|late| self.service(late))
    }

    /// Stops when another run, whose folder is lost, has made a batch of the same lines. A list that cannot be read stops
    /// nobody.
    async fn look_for_twins(&mut self) -> Result<(), RunError> {
        let (folder, on_progress) = (&self.folder, &self.manner.on_progress);
        let twins = adopt::twins(&self.client, on_progress, folder.path(), &folder.record.run, &folder.state);
        match self.manner.deadline.bound(twins).await {
            Ok(twins) if !twins.is_empty() => Err(self.ended(Kind::Twins(twins))),
            Err(error) if error.is_deadline() => Err(self.service(before(error))),
            Err(error) if error.is_unreached() && self.outlasts_any() => Err(self.service(error).repeatable()),
            _ => Ok(()),
        }
    }
}

/// Tells that there is no batch, when the deadline has passed before the create.
fn before(error: Error) -> Error {
    error.and("nothing was created for these lines")
}
