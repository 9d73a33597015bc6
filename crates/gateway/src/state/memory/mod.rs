//! The state that lives in memory and ends with the process. Its answers are there at once, so that the same requests
//! are answered alike to the byte. A batch has one slice, whose answers are written where its result files will be.

mod batches;
mod files;
mod shelf;
mod work;

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::blobs::{Accounts, Disk, Spool};
use crate::metrics::Census;
use crate::state::{
    Ask, BatchRecord, Beat, Created, Cut, End, Fate, FileRecord, Finding, Held, Holding, NewBatch, NewFile, Options,
    Page, Parcel, Query, Recorded, Results, Segment, Slice, State, StateError, Withdrawn, Work, Worker,
};
use crate::tenant::{AccountId, Tenant};

use batches::Job;
use shelf::Shelved;

/// Everything of every tenant, until the gateway ends.
#[derive(Debug)]
pub(crate) struct Memory {
    options: Options,
    disk: Disk,
    accounts: Arc<Accounts>,
    workers: AtomicU64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    shelves: HashMap<Tenant, Shelf>,
    jobs: HashMap<String, Job>,
    /// The ids of the batches in the order in which they were made.
    order: Vec<String>,
    /// What an `Idempotency-Key` has made.
    made: HashMap<(Tenant, String), ([u8; 32], String)>,
    /// Events, each with the instant from which it may be taken, in milliseconds since 1970.
    parcels: Vec<(i64, Parcel)>,
}

/// Everything of one tenant.
#[derive(Debug, Default)]
struct Shelf {
    files: Shelved<Arc<FileRecord>>,
    batches: Shelved<BatchRecord>,
}

impl Memory {
    pub(crate) fn new(options: Options, disk: Disk, accounts: Arc<Accounts>) -> Memory {
        Memory { options, disk, accounts, workers: AtomicU64::new(0), kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now, in seconds since 1970.
    fn now(&self) -> i64 {
        self.options.clock.now()
    }
}

/// What is there already.
fn now<'a, T: Send + 'a>(answer: T) -> Ask<'a, T> {
    ready(Ok(answer)).boxed()
}

impl State for Memory {
    fn lease(&self) -> Option<Duration> {
        None
    }

    fn is_durable(&self) -> bool {
        false
    }

    fn seed(&self) -> Option<[u8; 16]> {
        None
    }

    fn cut(&self) -> Cut {
        Cut { most_lines: u32::MAX, most_bytes: u64::MAX }
    }

    fn ready(&self) -> Ask<'_, ()> {
        now(())
    }

    fn spool<'a>(&'a self, account: &'a AccountId) -> BoxFuture<'a, io::Result<Spool>> {
        let account = self.accounts.of(*account);
        if account.is_tight() {
            self.let_expired_go();
        }
        async move { self.disk.spool(&account).await }.boxed()
    }

    fn add_file<'a>(&'a self, tenant: Tenant, _: AccountId, file: NewFile) -> Ask<'a, Arc<FileRecord>> {
        now(self.add(tenant, file))
    }

    fn file<'a>(&'a self, tenant: Tenant, id: &'a str) -> Ask<'a, Option<Arc<FileRecord>>> {
        now(self.find(tenant, id))
    }

    fn files<'a>(&'a self, tenant: Tenant, query: &'a Query) -> Ask<'a, Page<Arc<FileRecord>>> {
        now(self.list_files(tenant, query))
    }

    fn remove_file<'a>(&'a self, tenant: Tenant, id: &'a str) -> Ask<'a, bool> {
        now(self.remove(tenant, id))
    }

    fn create_batch<'a>(&'a self, new: &'a NewBatch) -> Ask<'a, Created> {
        now(self.create(new))
    }

    fn withdraw<'a>(&'a self, new: &'a NewBatch) -> Ask<'a, Withdrawn> {
        now(self.take_back(new))
    }

    fn batch<'a>(&'a self, tenant: Tenant, id: &'a str) -> Ask<'a, Option<BatchRecord>> {
        now(self.find_batch(tenant, id))
    }

    fn batches<'a>(&'a self, tenant: Tenant, query: &'a Query) -> Ask<'a, Page<BatchRecord>> {
        now(self.list_batches(tenant, query))
    }

    fn cancel<'a>(&'a self, tenant: Tenant, id: &'a str, stuck: bool) -> Ask<'a, Option<(BatchRecord, bool)>> {
        now(self.begin_cancel(tenant, id, stuck))
    }

    fn join(&self) -> Ask<'_, Worker> {
        now(Worker { id: format!("worker-{}", self.workers.fetch_add(1, Ordering::Relaxed) + 1) })
    }

    fn claim<'a>(&'a self, _: &'a Worker, slots: u32, batch: Option<&'a str>) -> Ask<'a, Option<Work>> {
        now(self.take_work(slots, batch))
    }

    fn validated<'a>(
        &'a self,
        _: &'a Worker,
        held: &'a Held,
        slices: &'a [Slice],
        model: Option<&'a str>,
    ) -> Ask<'a, Option<BatchRecord>> {
        now(self.begin_lines(held, slices, model))
    }

    fn fail<'a>(&'a self, _: &'a Worker, held: &'a Held, findings: &'a [Finding]) -> Ask<'a, Option<BatchRecord>> {
        now(self.end_failed(held, findings))
    }

    fn record<'a>(&'a self, _: &'a Worker, group: &'a [Segment]) -> Ask<'a, Vec<Fate>> {
        async move {
            let mut fates = Vec::with_capacity(group.len());
            for segment in group {
                let fate = self.keep(segment).await;
                fates.push(fate.map_err(|error| StateError::NotDone(Box::new(error)))?);
            }
            Ok(fates)
        }
        .boxed()
    }

    fn expire<'a>(&'a self, held: &'a Held) -> Ask<'a, ()> {
        self.begin_expiry(held);
        now(())
    }

    fn give_back<'a>(&'a self, _: &'a Worker, held: &'a Held, slice: Option<(u32, i64)>) -> Ask<'a, ()> {
        self.let_go(held, slice);
        now(())
    }

    fn hold_only<'a>(&'a self, _: &'a Worker, _: &'a [Holding]) -> Ask<'a, ()> {
        // No answer is ever lost here.
        now(())
    }

    fn results<'a>(&'a self, held: &'a Held) -> Ask<'a, Results> {
        async move { Ok(self.written(held).await) }.boxed()
    }

    fn recorded<'a>(&'a self, _: &'a Held, _: u32) -> Ask<'a, Vec<Recorded>> {
        // All of it is in the two files.
        now(Vec::new())
    }

    fn finish<'a>(&'a self, _: &'a Worker, held: &'a Held, end: End) -> Ask<'a, Option<BatchRecord>> {
        now(self.end(held, end))
    }

    fn heartbeat<'a>(&'a self, _: &'a Worker) -> Ask<'a, Beat> {
        now(Beat::Alive(self.ending()))
    }

    fn sweep<'a>(&'a self, _: &'a Worker) -> Ask<'a, ()> {
        self.end_windows();
        self.let_expired_go();
        now(())
    }

    fn leave<'a>(&'a self, _: &'a Worker) -> Ask<'a, ()> {
        now(())
    }

    fn due<'a>(&'a self, _: &'a Worker, most: usize) -> Ask<'a, Vec<Parcel>> {
        now(self.take_parcels(most))
    }

    fn done<'a>(&'a self, id: &'a str) -> Ask<'a, ()> {
        self.kept().parcels.retain(|(_, parcel)| parcel.id != id);
        now(())
    }

    fn put_off<'a>(&'a self, id: &'a str, pause: Duration) -> Ask<'a, ()> {
        self.put_parcel_off(id, pause);
        now(())
    }

    fn census(&self) -> Ask<'_, Census> {
        now(self.count())
    }

    fn clear(&self) -> BoxFuture<'_, ()> {
        *self.kept() = Kept::default();
        self.disk.close();
        ready(()).boxed()
    }
}
