//! The border: each question is one transaction, tried again when it met another one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::blobs::Spool;
use crate::metrics::Census;
use crate::state::sql::Lane;
use crate::state::sql::again::retried;
use crate::state::sql::database::Sql;
use crate::state::{
    Ask, BatchRecord, Beat, Created, Cut, End, Fate, FileRecord, Finding, Held, Holding, NewBatch, NewFile, Page,
    Parcel, Query, Recorded, Results, Segment, Slice, State, Withdrawn, Work, Worker,
};
use crate::tenant::{AccountId, Tenant};

/// Most lines and bytes of a slice: what is lost of a crash, and what one worker has at once.
const CUT: Cut = Cut { most_lines: 256, most_bytes: 8 * 1024 * 1024 };

impl State for Sql {
    fn lease(&self) -> Option<Duration> {
        self.0.engine().lease()
    }

    fn is_durable(&self) -> bool {
        true
    }

    fn seed(&self) -> Option<[u8; 16]> {
        Some(self.0.seed)
    }

    fn cut(&self) -> Cut {
        CUT
    }

    fn ready(&self) -> Ask<'_, ()> {
        async move {
            let mut tx = self.0.begin(Lane::Requests).await?;
            tx.query("SELECT CAST(1 AS BIGINT)", &[]).await.map(drop)
        }
        .boxed()
    }

    fn spool<'a>(&'a self, account: &'a AccountId) -> BoxFuture<'a, io::Result<Spool>> {
        self.0.spool(*account).boxed()
    }

    fn add_file<'a>(&'a self, tenant: Tenant, account: AccountId, file: NewFile) -> Ask<'a, Arc<FileRecord>> {
        async move { retried(|| self.0.add_file(tenant, account, &file)).await }.boxed()
    }

    fn file<'a>(&'a self, tenant: Tenant, id: &'a str) -> Ask<'a, Option<Arc<FileRecord>>> {
        retried(move || self.0.file(tenant, id)).boxed()
    }

    fn files<'a>(&'a self, tenant: Tenant, query: &'a Query) -> Ask<'a, Page<Arc<FileRecord>>> {
        retried(move || self.0.files(tenant, query)).boxed()
    }

    fn remove_file<'a>(&'a self, tenant: Tenant, id: &'a str) -> Ask<'a, bool> {
        retried(move || self.0.remove_file(tenant, id)).boxed()
    }

    fn create_batch<'a>(&'a self, new: &'a NewBatch) -> Ask<'a, Created> {
        retried(move || self.0.create_batch(new)).boxed()
    }

    fn withdraw<'a>(&'a self, new: &'a NewBatch) -> Ask<'a, Withdrawn> {
        retried(move || self.0.withdraw(new)).boxed()
    }

    fn batch<'a>(&'a self, tenant: Tenant, id: &'a str) -> Ask<'a, Option<BatchRecord>> {
        retried(move || self.0.batch(tenant, id)).boxed()
    }

    fn batches<'a>(&'a self, tenant: Tenant, query: &'a Query) -> Ask<'a, Page<BatchRecord>> {
        retried(move || self.0.batches(tenant, query)).boxed()
    }

    fn cancel<'a>(&'a self, tenant: Tenant, id: &'a str, stuck: bool) -> Ask<'a, Option<(BatchRecord, bool)>> {
        retried(move || self.0.cancel(tenant, id, stuck)).boxed()
    }

    fn join(&self) -> Ask<'_, Worker> {
        retried(|| self.0.join()).boxed()
    }

    fn claim<'a>(&'a self, me: &'a Worker, slots: u32, batch: Option<&'a str>) -> Ask<'a, Option<Work>> {
        retried(move || self.0.claim(me, slots, batch)).boxed()
    }

    fn validated<'a>(
        &'a self,
        me: &'a Worker,
        held: &'a Held,
        slices: &'a [Slice],
        model: Option<&'a str>,
    ) -> Ask<'a, Option<BatchRecord>> {
        retried(move || self.0.validated(me, held, slices, model)).boxed()
    }

    fn fail<'a>(&'a self, me: &'a Worker, held: &'a Held, findings: &'a [Finding]) -> Ask<'a, Option<BatchRecord>> {
        retried(move || self.0.fail(me, held, findings)).boxed()
    }

    fn record<'a>(&'a self, me: &'a Worker, group: &'a [Segment]) -> Ask<'a, Vec<Fate>> {
        retried(move || self.0.record(me, group)).boxed()
    }

    fn expire<'a>(&'a self, held: &'a Held) -> Ask<'a, ()> {
        retried(move || self.0.expire(held)).boxed()
    }

    fn give_back<'a>(&'a self, me: &'a Worker, held: &'a Held, slice: Option<(u32, i64)>) -> Ask<'a, ()> {
        retried(move || self.0.give_back(me, held, slice)).boxed()
    }

    fn hold_only<'a>(&'a self, me: &'a Worker, known: &'a [Holding]) -> Ask<'a, ()> {
        retried(move || self.0.hold_only(me, known)).boxed()
    }

    fn results<'a>(&'a self, held: &'a Held) -> Ask<'a, Results> {
        retried(move || self.0.results(held)).boxed()
    }

    fn recorded<'a>(&'a self, held: &'a Held, slice: u32) -> Ask<'a, Vec<Recorded>> {
        retried(move || self.0.recorded(held, slice)).boxed()
    }

    fn finish<'a>(&'a self, me: &'a Worker, held: &'a Held, end: End) -> Ask<'a, Option<BatchRecord>> {
        async move { retried(|| self.0.finish(me, held, &end)).await }.boxed()
    }

    fn heartbeat<'a>(&'a self, me: &'a Worker) -> Ask<'a, Beat> {
        retried(move || self.0.heartbeat(me)).boxed()
    }

    fn sweep<'a>(&'a self, _: &'a Worker) -> Ask<'a, ()> {
        self.0.sweep().boxed()
    }

    fn leave<'a>(&'a self, me: &'a Worker) -> Ask<'a, ()> {
        retried(move || self.0.leave(me)).boxed()
    }

    fn due<'a>(&'a self, _: &'a Worker, most: usize) -> Ask<'a, Vec<Parcel>> {
        retried(move || self.0.due(most)).boxed()
    }

    fn done<'a>(&'a self, id: &'a str) -> Ask<'a, ()> {
        retried(move || self.0.done(id)).boxed()
    }

    fn put_off<'a>(&'a self, id: &'a str, pause: Duration) -> Ask<'a, ()> {
        retried(move || self.0.put_off(id, pause)).boxed()
    }

    fn census(&self) -> Ask<'_, Census> {
        retried(|| self.0.census()).boxed()
    }

    fn clear(&self) -> BoxFuture<'_, ()> {
        self.0.engine().close()
    }
}
