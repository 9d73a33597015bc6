//! A state as scripted faults let it be seen, so that whoever asks it holds none of them.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::blobs::{Blob, Spool};
use crate::clock::Clock;
use crate::contract::Status;
use crate::faults::hidden::Hidden;
use crate::faults::lines::{Distorted, distort};
use crate::faults::renamed::Renamed;
use crate::faults::{Effect, Fired, Operation, Script, Stage, Strike};
use crate::ids::Ids;
use crate::metrics::Census;
use crate::state::{
    Ask, BatchRecord, Beat, Created, Cut, End, Fate, FileRecord, Finding, Held, Holding, NewBatch, NewFile, Page,
    Parcel, Query, Recorded, ResultFile, Results, Role, Segment, Slice, State, StateError, Withdrawn, Work, Worker,
};
use crate::tenant::{AccountId, Tenant};

/// What the faults of one gateway have done to its state, for all who ask it.
pub(crate) struct Masks {
    script: Arc<Script>,
    clock: Clock,
    ids: Arc<Ids>,
    hidden: Hidden,
    renamed: Renamed,
    /// By batch: those that fail for too many tokens, unless something else fails them before.
    token_limits: Mutex<HashMap<String, Strike>>,
}

/// A state behind masks, as one call sees it.
struct Struck {
    state: Arc<dyn State>,
    masks: Arc<Masks>,
    fired: Fired,
}

impl Masks {
    /// None for a script in which nothing goes wrong.
    pub(crate) fn new(script: &Arc<Script>, clock: &Clock, ids: &Arc<Ids>) -> Option<Arc<Masks>> {
        let masks = || Masks {
            script: Arc::clone(script),
            clock: clock.clone(),
            ids: Arc::clone(ids),
            hidden: Hidden::default(),
            renamed: Renamed::default(),
            token_limits: Mutex::default(),
        };
        (!script.is_empty()).then(|| Arc::new(masks()))
    }

    /// The state, as a call on which this has fired sees it.
    pub(crate) fn over(self: &Arc<Self>, state: &Arc<dyn State>, fired: Fired) -> Arc<dyn State> {
        Arc::new(Struck { state: Arc::clone(state), masks: Arc::clone(self), fired })
    }

    /// Gives the batches of an answered list their other ids.
    pub(crate) fn rename(&self, fired: &Fired, answer: &mut Value) {
        self.renamed.rewrite(fired, answer);
    }

    fn token_limits(&self) -> MutexGuard<'_, HashMap<String, Strike>> {
        self.token_limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// A batch whose result files are not all named yet.
    fn named(&self, mut batch: BatchRecord) -> BatchRecord {
        let late = |id: &String| self.hidden.is_unnamed(id, self.now_ms());
        batch.output_file_id = batch.output_file_id.filter(|id| !late(id));
        batch.error_file_id = batch.error_file_id.filter(|id| !late(id));
        batch
    }

    fn hide(&self, tenant: Tenant, id: &str, fired: &Fired) {
        self.hidden.hide(tenant, id, fired, self.now_ms());
    }
}

impl Struck {
    fn strike(&self, effect: &Effect) -> Option<&Strike> {
        self.fired.at(Stage::Made).find(|strike| strike.effect == *effect)
    }

    /// What a list leaves out. `prefix` is that of its ids.
    fn beside(&self, tenant: Tenant, prefix: &str, query: &Query) -> Query {
        let hidden = self.masks.hidden.unlisted(tenant, prefix, self.masks.now_ms());
        Query { hidden: query.hidden.union(&hidden).cloned().collect(), ..query.clone() }
    }

    /// The file that holds these bytes already, when a fault lets it stand for the new one.
    async fn earlier(&self, tenant: Tenant, new: &NewFile) -> Option<Arc<FileRecord>> {
        let strike = self.strike(&Effect::Deduplicated)?;
        let query = Query {
            limit: 1,
            oldest_first: true,
            purpose: Some(new.purpose.clone()),
            sha256: Some(new.blob.sha256().to_owned()),
            ..Query::default()
        };
        let (files, _) = self.state.files(tenant, &query).await.ok()?.ok()?;
        let file = files.into_iter().next()?;
        strike.happened();
        Some(file)
    }

    /// A result file as its faults leave it.
    async fn result(&self, held: &Held, role: Role, file: Option<ResultFile>) -> io::Result<Option<ResultFile>> {
        let fired = self.masks.script.fire(match role {
            Role::Output => Operation::OutputFile,
            Role::Error => Operation::ErrorFile,
        });
        let Struck { state, masks, .. } = self;
        let known = match &file {
            Some(ResultFile::File(file)) => Some(&*file.blob),
            Some(ResultFile::EmptyId) | None => None,
        };
        let of = |blob: Blob| NewFile::of_results(&masks.ids, &held.batch, role, Arc::new(blob));
        let file = match distort(|| state.spool(&held.account), &fired, known).await? {
            Distorted::Not => file,
            Distorted::None => None,
            Distorted::EmptyId => Some(ResultFile::EmptyId),
            Distorted::File(spool) => Some(ResultFile::File(of(spool.seal().await?))),
        };
        if let Some(ResultFile::File(file)) = &file {
            masks.hide(held.tenant, &file.id, &fired);
        }
        Ok(file)
    }
}

/// OpenAI's finding when a queue is full; line and param are null (openai-python#2084).
fn over_token_limit(model: Option<&str>) -> Finding {
    let model = model.unwrap_or("this model");
    let message = format!(
        "Enqueued token limit reached for {model} in organization. Please try again once some in_progress batches have \
         been completed."
    );
    Finding { code: "token_limit_exceeded".into(), message, param: None, line: None }
}

impl State for Struck {
    fn add_file<'a>(&'a self, tenant: Tenant, account: AccountId, file: NewFile) -> Ask<'a, Arc<FileRecord>> {
        async move {
            if let Some(earlier) = self.earlier(tenant, &file).await {
                return Ok(earlier);
            }
            self.masks.hide(tenant, &file.id, &self.fired);
            self.state.add_file(tenant, account, file).await
        }
        .boxed()
    }

    fn file<'a>(&'a self, tenant: Tenant, id: &'a str) -> Ask<'a, Option<Arc<FileRecord>>> {
        async move {
            let file = self.state.file(tenant, id).await?;
            Ok(file.filter(|_| !self.masks.hidden.is_unread(id, self.masks.now_ms())))
        }
        .boxed()
    }

    fn files<'a>(&'a self, tenant: Tenant, query: &'a Query) -> Ask<'a, Page<Arc<FileRecord>>> {
        async move { self.state.files(tenant, &self.beside(tenant, "file-", query)).await }.boxed()
    }

    fn create_batch<'a>(&'a self, new: &'a NewBatch) -> Ask<'a, Created> {
        async move {
            // Before anybody can be at work on it.
            if let Some(strike) = self.strike(&Effect::TokenLimit) {
                self.masks.token_limits().insert(new.id.clone(), strike.clone());
            }
            let created = self.state.create_batch(new).await;
            match &created {
                Ok(Created::Made(batch)) => self.masks.hide(new.tenant, &batch.id, &self.fired),
                Ok(_) | Err(StateError::NotDone(_)) => drop(self.masks.token_limits().remove(&new.id)),
                Err(_) => {}
            }
            created
        }
        .boxed()
    }

    fn withdraw<'a>(&'a self, new: &'a NewBatch) -> Ask<'a, Withdrawn> {
        async move {
            let withdrawn = self.state.withdraw(new).await?;
            match &withdrawn {
                Withdrawn::Never => drop(self.masks.token_limits().remove(&new.id)),
                Withdrawn::Exists(batch) => self.masks.hide(new.tenant, &batch.id, &self.fired),
            }
            Ok(withdrawn)
        }
        .boxed()
    }

    fn batch<'a>(&'a self, tenant: Tenant, id: &'a str) -> Ask<'a, Option<BatchRecord>> {
        async move {
            let Some(id) = self.masks.renamed.resolve(id) else { return Ok(None) };
            let batch = self.state.batch(tenant, &id).await?;
            let batch = batch.filter(|_| !self.masks.hidden.is_unread(&id, self.masks.now_ms()));
            Ok(batch.map(|batch| self.masks.named(batch)))
        }
        .boxed()
    }

    fn batches<'a>(&'a self, tenant: Tenant, query: &'a Query) -> Ask<'a, Page<BatchRecord>> {
        async move {
            let mut query = self.beside(tenant, "batch_", query);
            query.after = query.after.map(|after| self.masks.renamed.resolve(&after).unwrap_or(after));
            let page = self.state.batches(tenant, &query).await?;
            Ok(page.map(|(page, more)| (page.into_iter().map(|batch| self.masks.named(batch)).collect(), more)))
        }
        .boxed()
    }

    fn cancel<'a>(&'a self, tenant: Tenant, id: &'a str, stuck: bool) -> Ask<'a, Option<(BatchRecord, bool)>> {
        async move {
            let Some(id) = self.masks.renamed.resolve(id) else { return Ok(None) };
            let strike = self.strike(&Effect::CancellingForEver);
            let cancelled = self.state.cancel(tenant, &id, stuck || strike.is_some()).await?;
            if let (Some(strike), Some((_, true))) = (strike, &cancelled) {
                strike.happened();
            }
            Ok(cancelled.map(|(batch, is_changed)| (self.masks.named(batch), is_changed)))
        }
        .boxed()
    }

    fn validated<'a>(
        &'a self,
        me: &'a Worker,
        held: &'a Held,
        slices: &'a [Slice],
        model: Option<&'a str>,
    ) -> Ask<'a, Option<BatchRecord>> {
        async move {
            let strike = self.masks.token_limits().remove(&held.batch.id);
            let Some(strike) = strike else { return self.state.validated(me, held, slices, model).await };
            let failed = self.state.fail(me, held, &[over_token_limit(model)]).await?;
            // Unless it was cancelled before.
            if failed.as_ref().is_some_and(|batch| batch.status == Status::Failed) {
                strike.happened();
            }
            Ok(failed)
        }
        .boxed()
    }

    fn fail<'a>(&'a self, me: &'a Worker, held: &'a Held, findings: &'a [Finding]) -> Ask<'a, Option<BatchRecord>> {
        drop(self.masks.token_limits().remove(&held.batch.id));
        self.state.fail(me, held, findings)
    }

    fn finish<'a>(&'a self, me: &'a Worker, held: &'a Held, end: End) -> Ask<'a, Option<BatchRecord>> {
        async move {
            drop(self.masks.token_limits().remove(&held.batch.id));
            let End { status, output, error, counts } = end;
            let broken = |error: io::Error| StateError::NotDone(Box::new(error));
            let output = self.result(held, Role::Output, output).await.map_err(broken)?;
            let error = self.result(held, Role::Error, error).await.map_err(broken)?;
            self.state.finish(me, held, End { status, output, error, counts }).await
        }
        .boxed()
    }

    // What no fault strikes.

    fn lease(&self) -> Option<Duration> {
        self.state.lease()
    }

    fn is_durable(&self) -> bool {
        self.state.is_durable()
    }

    fn seed(&self) -> Option<[u8; 16]> {
        self.state.seed()
    }

    fn cut(&self) -> Cut {
        self.state.cut()
    }

    fn ready(&self) -> Ask<'_, ()> {
        self.state.ready()
    }

    fn spool<'a>(&'a self, account: &'a AccountId) -> BoxFuture<'a, io::Result<Spool>> {
        self.state.spool(account)
    }

    fn remove_file<'a>(&'a self, tenant: Tenant, id: &'a str) -> Ask<'a, bool> {
        self.state.remove_file(tenant, id)
    }

    fn join(&self) -> Ask<'_, Worker> {
        self.state.join()
    }

    fn claim<'a>(&'a self, me: &'a Worker, slots: u32, batch: Option<&'a str>) -> Ask<'a, Option<Work>> {
        self.state.claim(me, slots, batch)
    }

    fn record<'a>(&'a self, me: &'a Worker, group: &'a [Segment]) -> Ask<'a, Vec<Fate>> {
        self.state.record(me, group)
    }

    fn expire<'a>(&'a self, held: &'a Held) -> Ask<'a, ()> {
        self.state.expire(held)
    }

    fn give_back<'a>(&'a self, me: &'a Worker, held: &'a Held, slice: Option<(u32, i64)>) -> Ask<'a, ()> {
        self.state.give_back(me, held, slice)
    }

    fn hold_only<'a>(&'a self, me: &'a Worker, known: &'a [Holding]) -> Ask<'a, ()> {
        self.state.hold_only(me, known)
    }

    fn results<'a>(&'a self, held: &'a Held) -> Ask<'a, Results> {
        self.state.results(held)
    }

    fn recorded<'a>(&'a self, held: &'a Held, slice: u32) -> Ask<'a, Vec<Recorded>> {
        self.state.recorded(held, slice)
    }

    fn heartbeat<'a>(&'a self, me: &'a Worker) -> Ask<'a, Beat> {
        self.state.heartbeat(me)
    }

    fn sweep<'a>(&'a self, me: &'a Worker) -> Ask<'a, ()> {
        self.state.sweep(me)
    }

    fn leave<'a>(&'a self, me: &'a Worker) -> Ask<'a, ()> {
        self.state.leave(me)
    }

    fn due<'a>(&'a self, me: &'a Worker, most: usize) -> Ask<'a, Vec<Parcel>> {
        self.state.due(me, most)
    }

    fn done<'a>(&'a self, id: &'a str) -> Ask<'a, ()> {
        self.state.done(id)
    }

    fn put_off<'a>(&'a self, id: &'a str, pause: Duration) -> Ask<'a, ()> {
        self.state.put_off(id, pause)
    }

    fn census(&self) -> Ask<'_, Census> {
        self.state.census()
    }

    fn clear(&self) -> BoxFuture<'_, ()> {
        self.state.clear()
    }
}
