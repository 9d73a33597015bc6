//! The builder of a gateway: one method for each setting, and the check of all of them before the start.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::config::Config;
use crate::faults::{Fault, Faults};
#[cfg(any(feature = "data", feature = "cluster"))]
use crate::keeping::Keeping;
use crate::notices::{Notice, Notices};
use crate::replay::Replay;
use crate::server::Gateway;
use crate::settings::Setup;
use crate::upstream::Upstream;
use crate::webhook::Webhook;

/// Sets up a [`Gateway`]. Made by [`Gateway::builder`].
#[derive(Clone, Default)]
#[must_use = "a gateway runs once it is started"]
pub struct Builder {
    setup: Setup,
}

/// What a virtual clock shows unless something else is asked for: 2026-01-01T00:00:00Z.
const VIRTUAL_START: i64 = 1_767_225_600;

/// How long a gateway may be silent before others take what it holds.
#[cfg(feature = "cluster")]
const LEASE: Duration = Duration::from_secs(15);

impl Gateway {
    /// Settings for a new gateway.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// The address to listen on; the default is `127.0.0.1:0`, a free port on loopback.
    ///
    /// An address that is not loopback is refused by [`start`](Builder::start) unless there is a
    /// [`key`](Builder::key).
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.setup.listen = address;
        self
    }

    /// Another address to listen on, for those who run the gateway: `/healthz`, `/readyz`, `/metrics`. Nobody is asked for a
    /// key there. Without it, what is counted is told beside the API, and only when any key is let in.
    pub fn admin_listen(mut self, address: SocketAddr) -> Self {
        self.setup.admin_listen = Some(address);
        self
    }

    /// Lets this key in, and with it only the keys given so. May be repeated; each key is a tenant
    /// of its own. Without any, every non-empty bearer key is let in.
    pub fn key(mut self, key: impl AsRef<str>) -> Self {
        self.setup.keys.add(key.as_ref(), None);
        self
    }

    /// The same, with a name for the tenant: the journal calls it so. Others are called `key-1`,
    /// `key-2`, … by their place.
    pub fn named_key(mut self, name: impl AsRef<str>, key: impl AsRef<str>) -> Self {
        self.setup.keys.add(key.as_ref(), Some(name.as_ref()));
        self
    }

    /// Lets in one key that is made at the start, and no other: [`Gateway::random_key`] has it. So only this process can
    /// reach the gateway, and no other user of the machine.
    pub fn only_random_key(mut self) -> Self {
        self.setup.only_random_key = true;
        self
    }

    /// Scripts one fault; see [`Fault`]. May be repeated.
    ///
    /// ```
    /// use lote_gateway::Gateway;
    /// use lote_gateway::faults::{Effect, Fault, Operation};
    ///
    /// let lost = Fault::on(Operation::CreateBatch).nth(1).then(Effect::AnswerLost);
    /// let builder = Gateway::builder().fault(lost);
    /// ```
    pub fn fault(mut self, fault: Fault) -> Self {
        self.setup.faults = self.setup.faults.fault(fault);
        self
    }

    /// Scripts all faults of a plan, in place of any that were scripted before.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.setup.faults = faults;
        self
    }

    /// Forwards requests, of clients and of batches, to this server, in place of the built-in model. May be repeated: a
    /// request goes to the one that has its model and, of several, the least to do.
    pub fn upstream(mut self, upstream: Upstream) -> Self {
        self.setup.upstreams.push(upstream);
        self
    }

    /// Answers with what was recorded, in place of the built-in model.
    pub fn replay(mut self, replay: Replay) -> Self {
        self.setup.replay = Some(replay);
        self
    }

    /// Tells this server when a batch has ended. May be repeated. What is not taken is tried again for a day, as long as the
    /// gateway runs.
    pub fn webhook(mut self, webhook: Webhook) -> Self {
        self.setup.webhooks.push(webhook);
        self
    }

    /// All [upstreams](Builder::upstream) and [webhooks](Builder::webhook) of a file.
    pub fn config(mut self, config: Config) -> Self {
        self.setup.upstreams.extend(config.upstreams);
        self.setup.webhooks.extend(config.webhooks);
        self
    }

    /// Tells what happens, for a log. It is called by whoever is at work, and must not take long.
    pub fn notices(mut self, told: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        self.setup.notices = Notices::to(told);
        self
    }

    /// Keeps all that there is in this folder, which is made if it is not there: an upload or a create that was answered
    /// survives the death of the process at any moment, and so does every answer that was recorded. A line whose answer is
    /// recorded is never sent to an upstream again; those that were there at that moment are, with the same
    /// `Idempotency-Key` as before. Creates obey an `Idempotency-Key` then.
    ///
    /// One process at a time has the folder. The time is the system's.
    #[cfg(feature = "data")]
    pub fn data(mut self, folder: impl Into<std::path::PathBuf>) -> Self {
        self.setup.keeping = Keeping::Folder(folder.into());
        self
    }

    /// Keeps all that there is in PostgreSQL (`postgres://user:password@host/database`) and files in a store
    /// (`file:///folder`, `s3://bucket/prefix`), both of which any number of gateways share. They share the work as well:
    /// lines go out from all of them, and what one holds that dies is taken by others after a [lease](Builder::lease).
    /// Else it is as with [`data`](Builder::data).
    #[cfg(feature = "cluster")]
    pub fn shared(mut self, database: &str, blobs: &str) -> Self {
        let lease = match &self.setup.keeping {
            Keeping::Shared { lease, .. } => *lease,
            _ => LEASE,
        };
        self.setup.keeping = Keeping::Shared { database: database.to_owned(), blobs: blobs.to_owned(), lease };
        self
    }

    /// How long a gateway may be silent before others take what it holds; the default is 15 seconds. It is the same for all
    /// that share a database. To be called after [`shared`](Builder::shared).
    #[cfg(feature = "cluster")]
    pub fn lease(mut self, length: Duration) -> Self {
        if let Keeping::Shared { lease, .. } = &mut self.setup.keeping {
            *lease = length;
        }
        self
    }

    /// Makes the gateway's ids, and the draws of its faults, from this number instead of random
    /// ones. With a [virtual clock](Builder::virtual_clock) as well, the same requests, sent one
    /// after the other, get the same answers to the byte.
    pub fn seed(mut self, seed: u64) -> Self {
        self.setup.seed = Some(seed);
        self
    }

    /// Gives the gateway a clock that shows 2026-01-01T00:00:00Z and stands until
    /// [`Gateway::advance`] or `POST /_lote/clock/advance` moves it. The life of batches and files
    /// follows it: stages, windows, retention, the pauses that directives ask for.
    ///
    /// A request is looked at only when all that is due has happened; so a batch without pauses has
    /// ended when it is first asked for. What happens on the wire takes real time all the same.
    pub fn virtual_clock(self) -> Self {
        self.virtual_clock_at(VIRTUAL_START)
    }

    /// The same, from another instant, in seconds since 1970. One before 1970 or after the year 9999
    /// becomes the nearest that is not.
    pub fn virtual_clock_at(mut self, start: i64) -> Self {
        self.setup.virtual_start = Some(start);
        self
    }

    /// Keeps a journal of what the gateway does: [`Gateway::journal`], `GET /_lote/journal`. It is
    /// held in memory. Off by default.
    pub fn journal(mut self, enabled: bool) -> Self {
        self.setup.journal = enabled;
        self
    }

    /// Most memory that the journal takes, in bytes; the default is 268,435,456 (256 MiB), which is over 500,000 lines.
    /// Beyond it the oldest entries make room: [`Gateway::journal_dropped`] says how many have.
    pub fn max_journal_bytes(mut self, bytes: usize) -> Self {
        self.setup.settings.max_journal_bytes = bytes;
        self
    }

    /// Obeys `Idempotency-Key` on creates: the same key and the same body of one tenant get
    /// the batch that they made the first time, as it is now; another body a 409. Requests that are answered at once get
    /// the answer of the first time. Off by default, since neither MKA1 nor OpenAI documents it; OGX does, for batches.
    pub fn idempotency(mut self, enabled: bool) -> Self {
        self.setup.idempotency = enabled;
        self
    }

    /// Most request lines in an input file; the default is 50,000, OpenAI's limit. A batch with
    /// more fails with `too_many_tasks`.
    pub fn max_lines(mut self, lines: u64) -> Self {
        self.setup.settings.max_lines = lines;
        self
    }

    /// Longest request line in an input file, in bytes without its line break; the default is 16,777,216 (16 MiB), room
    /// for a picture in Base64. No service names a limit. A batch with a longer line fails with `invalid_request` and
    /// the number of the line, which is not held in memory for that. Answering one takes several times its length. The body
    /// of a request that is answered at once may be as long, or it is a 413.
    pub fn max_line_bytes(mut self, bytes: u64) -> Self {
        self.setup.settings.max_line_bytes = bytes;
        self
    }

    /// Largest upload with purpose `batch`, in bytes; the default is 200,000,000, OpenAI's limit.
    /// Anything larger is a 413.
    pub fn max_file_bytes(mut self, bytes: u64) -> Self {
        self.setup.settings.max_file_bytes = bytes;
        self
    }

    /// Largest upload with any other purpose, in bytes; the default is 512,000,000, OpenAI's limit.
    pub fn max_upload_bytes(mut self, bytes: u64) -> Self {
        self.setup.settings.max_upload_bytes = bytes;
        self
    }

    /// The most bytes that one key may have on disk, with those of its end users, of result files and of what is being
    /// written; the default is 20,000,000,000. An upload beyond it is a 403 with the code `storage_limit_exceeded`; a
    /// batch whose results go beyond it fails with `output_failed`. What is deleted or expires makes room.
    pub fn max_stored_bytes(mut self, bytes: u64) -> Self {
        self.setup.settings.stored.bytes = bytes;
        self
    }

    /// The most files that one key may have, counted in the same way; the default is 100,000.
    pub fn max_stored_files(mut self, files: u64) -> Self {
        self.setup.settings.stored.files = files;
        self
    }

    /// The most batches that one key may ever create; the default is 50,000. They are held in memory, and no operation
    /// deletes one. A create beyond it is a 403 with the code `storage_limit_exceeded`.
    pub fn max_stored_batches(mut self, batches: u64) -> Self {
        self.setup.settings.stored.batches = batches;
        self
    }

    /// Request lines of one batch in flight at once, when the batch does not ask for a number
    /// (`max_concurrency`); the default is 64, or with [upstreams](Builder::upstream) as many as these take; the least is 1.
    pub fn line_concurrency(mut self, lines: usize) -> Self {
        self.setup.settings.line_concurrency = Some(lines.max(1));
        self
    }

    /// The ceiling on a batch's `max_concurrency`; the default is 1024, the least is 1. A batch
    /// that asks for more gets this many.
    pub fn max_line_concurrency(mut self, lines: usize) -> Self {
        self.setup.settings.max_line_concurrency = lines.max(1);
        self
    }

    /// How long a batch may take before it expires; the default is 24 hours, which is what the
    /// contract's completion window says. Shorter values are for trying out expiry; `expires_at`
    /// follows, in whole seconds rounded up.
    pub fn window(mut self, window: Duration) -> Self {
        self.setup.settings.window = window;
        self
    }

    /// How long a batch stays in `validating` and again in `finalizing`, at least; the default is
    /// no time at all. For trying out clients that watch a batch pass through its statuses.
    pub fn stage_delay(mut self, delay: Duration) -> Self {
        self.setup.settings.stage_delay = delay;
        self
    }

    /// How long a cancelled batch waits for its lines in flight; the default is one second. Lines
    /// that take longer end as `batch_cancelled`.
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.setup.settings.cancel_grace = grace;
        self
    }

    /// How long a gateway whose state outlives it finishes what is at an upstream when it [ends](Gateway::shutdown); the
    /// default is 30 seconds.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.setup.settings.grace = grace;
        self
    }

    /// Most batches that run at once, over all tenants; the default is 128, the least is 1. Further
    /// ones wait in `validating`, first come, first served: one tenant can take all places, at most
    /// until its batches expire. Each running one holds up to four files open: there are fewer places when the process may
    /// open only few files (`ulimit -n`).
    pub fn max_running_batches(mut self, batches: usize) -> Self {
        self.setup.settings.max_running_batches = batches.max(1);
        self
    }

    /// Most connections at once; the default is 16,384, or fewer when the process may open only few files (`ulimit -n`). A
    /// further one takes the place of the one that has been idle for longest, and waits while all are busy.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.setup.settings.max_connections = connections.max(1);
        self
    }

    /// How long a connection may take to send the head of a request, and how long it may be idle
    /// between two; the default is 60 seconds. Then it is closed.
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.setup.settings.header_timeout = timeout;
        self
    }

    /// How long a client may neither send the next piece of a body nor take the next piece of an
    /// answer; the default is 30 seconds. Then the request ends.
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.setup.settings.stall_timeout = timeout;
        self
    }

    /// The least that a client has to send of a body, in bytes a second; the default is 1,024, and 0 asks for nothing. It
    /// is looked at whenever the gateway has waited for the client for a [stall timeout](Builder::stall_timeout) in all:
    /// a body that comes more slowly is a 400, so that a few trickling uploads cannot keep all connections.
    pub fn min_upload_rate(mut self, bytes_per_second: u64) -> Self {
        self.setup.settings.min_upload_rate = bytes_per_second;
        self
    }

    /// Starts the gateway on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// When the address is not loopback and no key is set, a key is blank, a fault cannot happen, or there is an upstream
    /// beside recorded answers or a virtual clock, which it does not follow (kind `InvalidInput`); when the address cannot be listened on, or when no temporary folder can be made.
    pub async fn start(mut self) -> io::Result<Gateway> {
        if self.setup.virtual_start.is_some() && !self.setup.upstreams.is_empty() {
            let message = "an upstream takes real time: leave the virtual clock out";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if self.setup.keeping.is_durable() && self.setup.virtual_start.is_some() {
            let message = "what is kept has real times: leave the virtual clock out";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if self.setup.keeping.is_durable() && self.setup.only_random_key {
            let message = "what is kept would be nobody's after a restart: give the gateway a key";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if self.setup.replay.is_some() && !self.setup.upstreams.is_empty() {
            let message = "recorded answers and an upstream: only one of them can answer";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        self.setup.settle();
        if self.setup.keys.has_blank() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a key is blank: nobody could use it"));
        }
        for (at, fault) in self.setup.faults.faults.iter().enumerate() {
            if let Some((key, problem)) = fault.wrong() {
                let message = format!("fault {}, {key}: {problem}", at + 1);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
        let has_key = self.setup.only_random_key || !self.setup.keys.is_empty();
        if !self.setup.listen.ip().is_loopback() && !has_key {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is not a loopback address: set a key, or listen on 127.0.0.1", self.setup.listen),
            ));
        }
        Gateway::start(self.setup).await
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("listen", &self.setup.listen)
            .field("keys", &self.setup.keys)
            .field("settings", &self.setup.settings)
            .field("faults", &self.setup.faults)
            .finish_non_exhaustive()
    }
}
