//! What all requests and batches of one gateway share.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Keys;
use crate::blobs::{Accounts, Disk};
use crate::clock::Clock;
use crate::contract::Status;
use crate::executor::Executor;
use crate::failures::Failures;
use crate::faults::{Fired, Masks, Script};
use crate::idempotency::Answers;
use crate::ids::Ids;
use crate::journal::Journal;
use crate::lease::{Lease, both_clocks};
use crate::limits::Shares;
use crate::metrics::Metrics;
use crate::model::BuiltIn;
use crate::notices::{Notice, Notices};
use crate::outbox::Outbox;
use crate::recorder::Recorder;
use crate::replay::Recorded;
use crate::settings::{Settings, Setup};
use crate::state::{BatchRecord, Options, State, StateError};
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
    pub(crate) ids: Arc<Ids>,
    pub(crate) script: Arc<Script>,
    /// None when nothing is scripted to go wrong.
    pub(crate) masks: Option<Arc<Masks>>,
    pub(crate) journal: Journal,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) notices: Notices,
    pub(crate) webhooks: Webhooks,
    pub(crate) outbox: Outbox,
    /// Whether an `Idempotency-Key` of a create is obeyed.
    pub(crate) obeys_keys: bool,
    pub(crate) answers: Answers,
    pub(crate) failures: Failures,
    /// For what is not kept: large requests and answers on their way.
    pub(crate) disk: Disk,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) state: Arc<dyn State>,
    /// The same without what is scripted to go wrong.
    pub(crate) bare: Arc<dyn State>,
    pub(crate) lease: Lease,
    /// There may be work.
    pub(crate) wake: Notify,
    /// None where answers are recorded at once.
    pub(crate) recorder: Option<Recorder>,
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
    /// Cancelled when nothing new is to begin.
    pub(crate) drain: CancellationToken,
    /// Cancelled when the gateway is to stop.
    pub(crate) stop: CancellationToken,
    /// Connections and batches in progress.
    pub(crate) tasks: TaskTracker,
    /// Of batches that somebody is at work on, and how many are.
    cancels: Mutex<HashMap<String, (CancellationToken, usize)>>,
}

impl App {
    pub(crate) async fn new(setup: Setup) -> io::Result<App> {
        let shares = Shares::now();
        let clock = setup.virtual_start.map_or(Clock::System, Clock::at);
        let metrics = Arc::new(Metrics::default());
        let disk = Disk::new()?;
        let accounts = Arc::new(Accounts::new(setup.settings.stored));
        let webhooks = Webhooks::new(setup.webhooks)?;
        let options =
            Options { clock: clock.clone(), bounds: setup.settings.stored, subscriptions: webhooks.subscriptions() };
        let bare = setup.keeping.open(options, &disk, &accounts).await?;
        #[cfg(debug_assertions)]
        let bare = crate::state::pointed(bare);
        let script = Arc::new(Script::new(setup.faults, setup.seed.unwrap_or(0)));
        let ids = Arc::new(Ids::new(setup.seed, bare.seed()));
        let masks = Masks::new(&script, &clock, &ids);
        let state = masks.as_ref().map_or_else(|| Arc::clone(&bare), |masks| masks.over(&bare, Fired::default()));
        let asked = both_clocks();
        let me = state.join().await.map_err(io::Error::other)?;
        let lease = Lease::new(me, state.lease(), asked);
        let recorder = state.is_durable().then(|| Recorder::start(Arc::clone(&state), setup.notices.clone()));
        let executor: Arc<dyn Executor> = match (setup.replay, setup.upstreams.is_empty()) {
            (Some(replay), _) => Arc::new(Recorded::new(replay)),
            (None, true) => Arc::new(BuiltIn::new(clock.clone())),
            (None, false) => {
                let (upstreams, notices) = (setup.upstreams, setup.notices.clone());
                Arc::new(Upstreams::new(upstreams, state.seed(), Arc::clone(&metrics), notices)?)
            }
        };
        Ok(App {
            running: Semaphore::new(setup.settings.max_running_batches.min(shares.batches).min(Semaphore::MAX_PERMITS)),
            reads: Semaphore::new(shares.reads.min(Semaphore::MAX_PERMITS)),
            shares,
            accounts,
            journal: Journal::new(setup.journal, setup.settings.max_journal_bytes),
            settings: setup.settings,
            keys: setup.keys,
            disk,
            obeys_keys: setup.idempotency || state.is_durable(),
            ids,
            state,
            bare,
            lease,
            wake: Notify::new(),
            recorder,
            executor,
            metrics,
            notices: setup.notices,
            webhooks,
            outbox: Outbox::default(),
            clock,
            script,
            masks,
            answers: Answers::new(setup.idempotency),
            failures: Failures::default(),
            line_memory: Arc::new(Semaphore::new(LINE_MEMORY_KIB as usize)),
            request_memory: Arc::new(Semaphore::new(LINE_MEMORY_KIB as usize)),
            drain: CancellationToken::new(),
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            cancels: Mutex::default(),
        })
    }

    /// Does a change to its end, even when the client who asked for it has gone: what is asked of a durable state takes
    /// effect, whoever still waits for the answer.
    pub(crate) async fn to_its_end<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl Future<Output = Result<T, StateError>> + Send + 'static,
    ) -> Result<T, StateError> {
        if !self.state.is_durable() {
            return change.await;
        }
        let done = self.tasks.spawn(change).await;
        done.unwrap_or_else(|error| Err(StateError::Unknown(Box::new(error))))
    }

    /// Tells who wants to know when a batch has come further than it was.
    pub(crate) fn changed_from(&self, before: Status, tenant: Tenant, batch: &BatchRecord) {
        if before != batch.status {
            self.changed(tenant, batch);
        }
    }

    /// A batch has another status than before.
    pub(crate) fn changed(&self, tenant: Tenant, batch: &BatchRecord) {
        self.notices.tell(|| Notice::BatchChanged {
            batch_id: batch.id.clone(),
            status: batch.status.name(),
            total: batch.counts.total,
            completed: batch.counts.completed,
            failed: batch.counts.failed,
            tenant: self.metrics.name(tenant),
        });
        if batch.status.is_terminal() {
            self.outbox.wake();
        }
    }

    /// Registers work on a batch; the token is cancelled when the batch is.
    pub(crate) fn cancel_token(&self, batch_id: &str) -> CancellationToken {
        let mut cancels = self.cancels();
        let (token, works) = cancels.entry(batch_id.to_owned()).or_default();
        *works += 1;
        token.clone()
    }

    /// Tells those at work on the batch that it is being cancelled.
    pub(crate) fn cancel(&self, batch_id: &str) {
        if let Some((token, _)) = self.cancels().get(batch_id) {
            token.cancel();
        }
    }

    /// A work on the batch is over.
    pub(crate) fn forget_cancel(&self, batch_id: &str) {
        let mut cancels = self.cancels();
        if let Some((_, works)) = cancels.get_mut(batch_id) {
            *works -= 1;
            if *works == 0 {
                cancels.remove(batch_id);
            }
        }
    }

    fn cancels(&self) -> MutexGuard<'_, HashMap<String, (CancellationToken, usize)>> {
        self.cancels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
