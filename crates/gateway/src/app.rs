//! What all requests and batches of one gateway share.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Keys;
use crate::blobs::{Accounts, Disk};
use crate::clock::Clock;
use crate::executor::Executor;
use crate::failures::Failures;
use crate::faults::{Hidden, Renamed, Script};
use crate::idempotency::{Answers, Idempotency};
use crate::ids::Ids;
use crate::journal::Journal;
use crate::limits::Shares;
use crate::metrics::Metrics;
use crate::model::BuiltIn;
use crate::notices::{Notice, Notices};
use crate::replay::Recorded;
use crate::settings::{Settings, Setup};
use crate::state::BatchRecord;
use crate::store::{Memory, Store};
use crate::tenant::Tenant;
use crate::upstream::Upstreams;
use crate::webhook::Webhooks;

/// Units of [`App::line_memory`] and of [`App::request_memory`]: kibibytes of requests held at once, over all batches, and
/// beside them.
pub(crate) const LINE_MEMORY_KIB: u32 = 32 * 1024;

/// The shared state of one gateway.
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) keys: Keys,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) script: Script,
    pub(crate) hidden: Hidden,
    pub(crate) renamed: Renamed,
    pub(crate) journal: Journal,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) notices: Notices,
    webhooks: Webhooks,
    pub(crate) idempotency: Idempotency,
    pub(crate) answers: Answers,
    pub(crate) failures: Failures,
    pub(crate) disk: Disk,
    pub(crate) accounts: Accounts,
    pub(crate) store: Box<dyn Store>,
    pub(crate) executor: Arc<dyn Executor>,
    /// Keeps large request lines of many batches from filling the memory together.
    pub(crate) line_memory: Arc<Semaphore>,
    /// The same for large requests that are answered at once: no line of a batch is in their way.
    pub(crate) request_memory: Arc<Semaphore>,
    /// Places for running batches.
    pub(crate) running: Semaphore,
    /// Places for reading single lines again.
    pub(crate) reads: Semaphore,
    /// The files that the process may open.
    pub(crate) shares: Shares,
    /// Cancelled when the gateway is to stop.
    pub(crate) stop: CancellationToken,
    /// Connections and batches in progress.
    pub(crate) tasks: TaskTracker,
    cancels: Mutex<HashMap<String, CancellationToken>>,
}

impl App {
    pub(crate) fn new(setup: Setup) -> io::Result<App> {
        let shares = Shares::now();
        let clock = setup.virtual_start.map_or(Clock::System, Clock::at);
        let metrics = Arc::new(Metrics::default());
        let executor: Arc<dyn Executor> = match (setup.replay, setup.upstreams.is_empty()) {
            (Some(replay), _) => Arc::new(Recorded::new(replay)),
            (None, true) => Arc::new(BuiltIn::new(clock.clone())),
            (None, false) => Arc::new(Upstreams::new(setup.upstreams, Arc::clone(&metrics), setup.notices.clone())?),
        };
        Ok(App {
            running: Semaphore::new(setup.settings.max_running_batches.min(shares.batches).min(Semaphore::MAX_PERMITS)),
            reads: Semaphore::new(shares.reads.min(Semaphore::MAX_PERMITS)),
            shares,
            accounts: Accounts::new(setup.settings.stored),
            journal: Journal::new(setup.journal, setup.settings.max_journal_bytes),
            settings: setup.settings,
            keys: setup.keys,
            disk: Disk::new()?,
            store: Box::new(Memory::default()),
            executor,
            metrics,
            notices: setup.notices,
            webhooks: Webhooks::new(setup.webhooks)?,
            clock,
            ids: Ids::new(setup.seed),
            script: Script::new(setup.faults, setup.seed.unwrap_or(0)),
            hidden: Hidden::default(),
            renamed: Renamed::default(),
            idempotency: Idempotency::new(setup.idempotency),
            answers: Answers::new(setup.idempotency),
            failures: Failures::default(),
            line_memory: Arc::new(Semaphore::new(LINE_MEMORY_KIB as usize)),
            request_memory: Arc::new(Semaphore::new(LINE_MEMORY_KIB as usize)),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            cancels: Mutex::default(),
        })
    }

    /// Changes a batch in the store, and tells who wants to know that it has come further.
    pub(crate) fn update_batch(
        self: &Arc<Self>,
        tenant: Tenant,
        id: &str,
        change: &mut dyn FnMut(&mut BatchRecord),
    ) -> Option<BatchRecord> {
        let mut before = None;
        let batch = self.store.update_batch(tenant, id, &mut |batch| {
            before = Some(batch.status);
            change(batch);
        })?;
        if before != Some(batch.status) {
            self.changed(tenant, &batch);
        }
        Some(batch)
    }

    /// A batch has another status than before.
    pub(crate) fn changed(self: &Arc<Self>, tenant: Tenant, batch: &BatchRecord) {
        self.notices.tell(|| Notice::BatchChanged {
            batch_id: batch.id.clone(),
            status: batch.status.name(),
            total: batch.counts.total,
            completed: batch.counts.completed,
            failed: batch.counts.failed,
            tenant: self.metrics.name(tenant),
        });
        let event_id = || self.ids.next("evt_");
        for delivery in self.webhooks.deliveries(&batch.id, batch.status, self.clock.now(), event_id) {
            let app = Arc::clone(self);
            self.tasks.spawn(self.clock.watch(async move {
                tokio::select! {
                    biased;
                    () = app.stop.cancelled() => {}
                    () = delivery.deliver(&app.clock, &app.notices) => {}
                }
            }));
        }
    }

    /// Registers a batch that is about to run; the token is cancelled when the batch is.
    pub(crate) fn cancel_token(&self, batch_id: &str) -> CancellationToken {
        let token = CancellationToken::new();
        self.cancels().insert(batch_id.to_owned(), token.clone());
        token
    }

    /// Tells the batch's task, if it still runs, that the batch is being cancelled.
    pub(crate) fn cancel(&self, batch_id: &str) {
        if let Some(token) = self.cancels().get(batch_id) {
            token.cancel();
        }
    }

    /// The batch no longer runs.
    pub(crate) fn forget_cancel(&self, batch_id: &str) {
        self.cancels().remove(batch_id);
    }

    fn cancels(&self) -> std::sync::MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.cancels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
