//! A state with a named point before and after each call, at which a test lets the process die, stop or fail.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::blobs::Spool;
use crate::metrics::Census;
use crate::points::{self, Ill};
use crate::state::{
    Ask, BatchRecord, Beat, Created, Cut, End, Fate, FileRecord, Finding, Held, Holding, NewBatch, NewFile, Page,
    Parcel, Query, Recorded, Results, Segment, Slice, State, StateError, Withdrawn, Work, Worker,
};
use crate::tenant::{AccountId, Tenant};

struct Pointed(Arc<dyn State>);

/// Puts points around every call of a state, if there is a plan for any.
pub(crate) fn pointed(state: Arc<dyn State>) -> Arc<dyn State> {
    if points::are_watched() { Arc::new(Pointed(state)) } else { state }
}

fn around<'a, T: Send + 'a>(name: &'static str, call: impl FnOnce() -> Ask<'a, T> + Send + 'a) -> Ask<'a, T> {
    async move {
        let before = points::pass(name, "before").await;
        if before == Some(Ill::Error) {
            return Err(StateError::NotDone("a point lets it fail".into()));
        }
        let told = points::doing(name, call()).await;
        if before.or(points::pass(name, "after").await).is_some() && told.is_ok() {
            return Err(StateError::Unknown("a point loses the answer".into()));
        }
        told
    }
    .boxed()
}

impl State for Pointed {
    fn lease(&self) -> Option<Duration> {
        self.0.lease()
    }

    fn is_durable(&self) -> bool {
        self.0.is_durable()
    }

    fn seed(&self) -> Option<[u8; 16]> {
        self.0.seed()
    }

    fn cut(&self) -> Cut {
        self.0.cut()
    }

    fn ready(&self) -> Ask<'_, ()> {
        around("ready", move || self.0.ready())
    }

    fn spool<'a>(&'a self, account: &'a AccountId) -> BoxFuture<'a, io::Result<Spool>> {
        async move {
            if points::pass("spool", "before").await.is_some() {
                return Err(io::Error::other("a point lets it fail"));
            }
            let told = points::doing("spool", self.0.spool(account)).await;
            if points::pass("spool", "after").await.is_some() {
                return Err(io::Error::other("a point loses the answer"));
            }
            told
        }
        .boxed()
    }

    fn add_file<'a>(&'a self, tenant: Tenant, account: AccountId, file: NewFile) -> Ask<'a, Arc<FileRecord>> {
        around("add_file", move || self.0.add_file(tenant, account, file))
    }

    fn file<'a>(&'a self, tenant: Tenant, id: &'a str) -> Ask<'a, Option<Arc<FileRecord>>> {
        around("file", move || self.0.file(tenant, id))
    }

    fn files<'a>(&'a self, tenant: Tenant, query: &'a Query) -> Ask<'a, Page<Arc<FileRecord>>> {
        around("files", move || self.0.files(tenant, query))
    }

    fn remove_file<'a>(&'a self, tenant: Tenant, id: &'a str) -> Ask<'a, bool> {
        around("remove_file", move || self.0.remove_file(tenant, id))
    }

    fn create_batch<'a>(&'a self, new: &'a NewBatch) -> Ask<'a, Created> {
        around("create_batch", move || self.0.create_batch(new))
    }

    fn withdraw<'a>(&'a self, new: &'a NewBatch) -> Ask<'a, Withdrawn> {
        around("withdraw", move || self.0.withdraw(new))
    }

    fn batch<'a>(&'a self, tenant: Tenant, id: &'a str) -> Ask<'a, Option<BatchRecord>> {
        around("batch", move || self.0.batch(tenant, id))
    }

    fn batches<'a>(&'a self, tenant: Tenant, query: &'a Query) -> Ask<'a, Page<BatchRecord>> {
        around("batches", move || self.0.batches(tenant, query))
    }

    fn cancel<'a>(&'a self, tenant: Tenant, id: &'a str, stuck: bool) -> Ask<'a, Option<(BatchRecord, bool)>> {
        around("cancel", move || self.0.cancel(tenant, id, stuck))
    }

    fn join(&self) -> Ask<'_, Worker> {
        around("join", move || self.0.join())
    }

    fn claim<'a>(&'a self, me: &'a Worker, slots: u32, batch: Option<&'a str>) -> Ask<'a, Option<Work>> {
        async move {
            let told = around("claim", move || self.0.claim(me, slots, batch)).await;
            // What was claimed has points of its own: most claims find nothing.
            let found = match &told {
                Ok(Some(Work::Validate(_))) => "claim.validate",
                Ok(Some(Work::Execute(_))) => "claim.execute",
                Ok(Some(Work::Finish(_))) => "claim.finish",
                Ok(None) | Err(_) => return told,
            };
            match points::pass(found, "").await {
                None => told,
                Some(_) => Err(StateError::Unknown("a point loses the answer".into())),
            }
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
        around("validated", move || self.0.validated(me, held, slices, model))
    }

    fn fail<'a>(&'a self, me: &'a Worker, held: &'a Held, findings: &'a [Finding]) -> Ask<'a, Option<BatchRecord>> {
        around("fail", move || self.0.fail(me, held, findings))
    }

    fn record<'a>(&'a self, me: &'a Worker, group: &'a [Segment]) -> Ask<'a, Vec<Fate>> {
        around("record", move || self.0.record(me, group))
    }

    fn expire<'a>(&'a self, held: &'a Held) -> Ask<'a, ()> {
        around("expire", move || self.0.expire(held))
    }

    fn give_back<'a>(&'a self, me: &'a Worker, held: &'a Held, slice: Option<(u32, i64)>) -> Ask<'a, ()> {
        around("give_back", move || self.0.give_back(me, held, slice))
    }

    fn hold_only<'a>(&'a self, me: &'a Worker, known: &'a [Holding]) -> Ask<'a, ()> {
        around("hold_only", move || self.0.hold_only(me, known))
    }

    fn results<'a>(&'a self, held: &'a Held) -> Ask<'a, Results> {
        around("results", move || self.0.results(held))
    }

    fn recorded<'a>(&'a self, held: &'a Held, slice: u32) -> Ask<'a, Vec<Recorded>> {
        around("recorded", move || self.0.recorded(held, slice))
    }

    fn finish<'a>(&'a self, me: &'a Worker, held: &'a Held, end: End) -> Ask<'a, Option<BatchRecord>> {
        around("finish", move || self.0.finish(me, held, end))
    }

    fn heartbeat<'a>(&'a self, me: &'a Worker) -> Ask<'a, Beat> {
        around("heartbeat", move || self.0.heartbeat(me))
    }

    fn sweep<'a>(&'a self, me: &'a Worker) -> Ask<'a, ()> {
        around("sweep", move || self.0.sweep(me))
    }

    fn leave<'a>(&'a self, me: &'a Worker) -> Ask<'a, ()> {
        around("leave", move || self.0.leave(me))
    }

    fn due<'a>(&'a self, me: &'a Worker, most: usize) -> Ask<'a, Vec<Parcel>> {
        around("due", move || self.0.due(me, most))
    }

    fn done<'a>(&'a self, id: &'a str) -> Ask<'a, ()> {
        around("done", move || self.0.done(id))
    }

    fn put_off<'a>(&'a self, id: &'a str, pause: Duration) -> Ask<'a, ()> {
        around("put_off", move || self.0.put_off(id, pause))
    }

    fn census(&self) -> Ask<'_, Census> {
        around("census", move || self.0.census())
    }

    fn clear(&self) -> BoxFuture<'_, ()> {
        self.0.clear()
    }
}
