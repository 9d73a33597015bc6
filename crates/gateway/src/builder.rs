//! Owns the settings of a gateway and their defaults. Never starts anything by itself.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::auth::Keys;
use crate::faults::{Fault, Faults};
use crate::server::Gateway;
use crate::store::Bounds;

/// Sets up a [`Gateway`]. Made by [`Gateway::builder`].
#[derive(Clone)]
#[must_use = "a gateway runs once it is started"]
pub struct Builder {
    pub(crate) listen: SocketAddr,
    pub(crate) keys: Keys,
    pub(crate) settings: Settings,
    pub(crate) faults: Faults,
    pub(crate) seed: Option<u64>,
    /// What a virtual clock shows at first, in seconds since 1970.
    pub(crate) virtual_start: Option<i64>,
    pub(crate) journal: bool,
    pub(crate) idempotency: bool,
}

/// What a virtual clock shows unless something else is asked for: 2026-01-01T00:00:00Z.
const VIRTUAL_START: i64 = 1_767_225_600;

/// What the running parts look up.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) max_lines: u64,
    pub(crate) max_line_bytes: u64,
    pub(crate) max_file_bytes: u64,
    pub(crate) max_upload_bytes: u64,
    pub(crate) stored: Bounds,
    pub(crate) line_concurrency: usize,
    pub(crate) max_line_concurrency: usize,
    pub(crate) window: Duration,
    pub(crate) stage_delay: Duration,
    pub(crate) cancel_grace: Duration,
    pub(crate) max_running_batches: usize,
    pub(crate) max_connections: usize,
    pub(crate) header_timeout: Duration,
    pub(crate) stall_timeout: Duration,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            keys: Keys::default(),
            faults: Faults::default(),
            seed: None,
            virtual_start: None,
            journal: false,
            idempotency: false,
            settings: Settings {
                max_lines: 50_000,
                max_line_bytes: 16 * 1024 * 1024,
                max_file_bytes: 200_000_000,
                max_upload_bytes: 512_000_000,
                stored: Bounds { bytes: 20_000_000_000, files: 100_000, batches: 50_000 },
                line_concurrency: 64,
                max_line_concurrency: 1024,
                window: Duration::from_secs(86_400),
                stage_delay: Duration::ZERO,
                cancel_grace: Duration::from_secs(1),
                max_running_batches: 128,
                max_connections: 16_384,
                header_timeout: Duration::from_secs(60),
                stall_timeout: Duration::from_secs(30),
            },
        }
    }
}

impl Builder {
    /// The address to listen on; the default is `127.0.0.1:0`, a free port on loopback.
    ///
    /// An address that is not loopback is refused by [`start`](Builder::start) unless there is a
    /// [`key`](Builder::key).
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Lets this key in, and with it only the keys given so. May be repeated; each key is a tenant
    /// of its own. Without any, every non-empty bearer key is let in.
    pub fn key(mut self, key: impl AsRef<str>) -> Self {
        self.keys.add(key.as_ref(), None);
        self
    }

    /// The same, with a name for the tenant: the journal calls it so. Others are called `key-1`,
    /// `key-2`, … by their place.
    pub fn named_key(mut self, name: impl AsRef<str>, key: impl AsRef<str>) -> Self {
        self.keys.add(key.as_ref(), Some(name.as_ref()));
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
        self.faults = self.faults.fault(fault);
        self
    }

    /// Scripts all faults of a plan, in place of any that were scripted before.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Makes the gateway's ids, and the draws of its faults, from this number instead of random
    /// ones. With a [virtual clock](Builder::virtual_clock) as well, the same requests, sent one
    /// after the other, get the same answers to the byte.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
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
        self.virtual_start = Some(start);
        self
    }

    /// Keeps a journal of what the gateway does: [`Gateway::journal`], `GET /_lote/journal`. It is
    /// held in memory and grows until the gateway ends. Off by default.
    pub fn journal(mut self, enabled: bool) -> Self {
        self.journal = enabled;
        self
    }

    /// Obeys `Idempotency-Key` on creates: the same key and the same body of one tenant get
    /// the batch that they made the first time, as it is now; another body a 409. Off by
    /// default, since neither MKA1 nor OpenAI documents it; OGX does (contract facts 5.4).
    pub fn idempotency(mut self, enabled: bool) -> Self {
        self.idempotency = enabled;
        self
    }

    /// Most request lines in an input file; the default is 50,000, OpenAI's limit. A batch with
    /// more fails with `too_many_tasks`.
    pub fn max_lines(mut self, lines: u64) -> Self {
        self.settings.max_lines = lines;
        self
    }

    /// Longest request line in an input file, in bytes without its line break; the default is 16,777,216 (16 MiB), room
    /// for a picture in Base64. No service names a limit. A batch with a longer line fails with `invalid_request` and
    /// the number of the line, which is not held in memory for that. Answering one takes several times its length.
    pub fn max_line_bytes(mut self, bytes: u64) -> Self {
        self.settings.max_line_bytes = bytes;
        self
    }

    /// Largest upload with purpose `batch`, in bytes; the default is 200,000,000, OpenAI's limit.
    /// Anything larger is a 413.
    pub fn max_file_bytes(mut self, bytes: u64) -> Self {
        self.settings.max_file_bytes = bytes;
        self
    }

    /// Largest upload with any other purpose, in bytes; the default is 512,000,000, OpenAI's limit.
    pub fn max_upload_bytes(mut self, bytes: u64) -> Self {
        self.settings.max_upload_bytes = bytes;
        self
    }

    /// The most bytes that one key may have on disk, with those of its end users, of result files and of what is being
    /// written; the default is 20,000,000,000. An upload beyond it is a 403 with the code `storage_limit_exceeded`; a
    /// batch whose results go beyond it fails with `output_failed`. What is deleted or expires makes room.
    pub fn max_stored_bytes(mut self, bytes: u64) -> Self {
        self.settings.stored.bytes = bytes;
        self
    }

    /// The most files that one key may have, counted in the same way; the default is 100,000.
    pub fn max_stored_files(mut self, files: u64) -> Self {
        self.settings.stored.files = files;
        self
    }

    /// The most batches that one key may ever create; the default is 50,000. They are held in memory, and no operation
    /// deletes one. A create beyond it is a 403 with the code `storage_limit_exceeded`.
    pub fn max_stored_batches(mut self, batches: u64) -> Self {
        self.settings.stored.batches = batches;
        self
    }

    /// Request lines of one batch in flight at once, when the batch does not ask for a number
    /// (`max_concurrency`); the default is 64, the least is 1.
    pub fn line_concurrency(mut self, lines: usize) -> Self {
        self.settings.line_concurrency = lines.max(1);
        self
    }

    /// The ceiling on a batch's `max_concurrency`; the default is 1024, the least is 1. A batch
    /// that asks for more gets this many.
    pub fn max_line_concurrency(mut self, lines: usize) -> Self {
        self.settings.max_line_concurrency = lines.max(1);
        self
    }

    /// How long a batch may take before it expires; the default is 24 hours, which is what the
    /// contract's completion window says. Shorter values are for trying out expiry; `expires_at`
    /// follows, in whole seconds rounded up.
    pub fn window(mut self, window: Duration) -> Self {
        self.settings.window = window;
        self
    }

    /// How long a batch stays in `validating` and again in `finalizing`, at least; the default is
    /// no time at all. For trying out clients that watch a batch pass through its statuses.
    pub fn stage_delay(mut self, delay: Duration) -> Self {
        self.settings.stage_delay = delay;
        self
    }

    /// How long a cancelled batch waits for its lines in flight; the default is one second. Lines
    /// that take longer end as `batch_cancelled`.
    pub fn cancel_grace(mut self, grace: Duration) -> Self {
        self.settings.cancel_grace = grace;
        self
    }

    /// Most batches that run at once, over all tenants; the default is 128, the least is 1. Further
    /// ones wait in `validating`, first come, first served: one tenant can take all places, at most
    /// until its batches expire. Each running one holds up to three files open.
    pub fn max_running_batches(mut self, batches: usize) -> Self {
        self.settings.max_running_batches = batches.max(1);
        self
    }

    /// Most connections at once; the default is 16,384. Further ones wait to be accepted.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.settings.max_connections = connections.max(1);
        self
    }

    /// How long a connection may take to send the head of a request, and how long it may be idle
    /// between two; the default is 60 seconds. Then it is closed.
    pub fn header_timeout(mut self, timeout: Duration) -> Self {
        self.settings.header_timeout = timeout;
        self
    }

    /// How long a client may neither send the next piece of a body nor take the next piece of an
    /// answer; the default is 30 seconds. Then the request ends.
    pub fn stall_timeout(mut self, timeout: Duration) -> Self {
        self.settings.stall_timeout = timeout;
        self
    }

    /// Starts the gateway on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// When the address is not loopback and no key is set, a key is blank or a fault cannot happen
    /// (kind `InvalidInput`); when the address cannot be listened on, or when no temporary folder can be made.
    pub async fn start(self) -> io::Result<Gateway> {
        if self.keys.has_blank() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a key is blank: nobody could use it"));
        }
        for (at, fault) in self.faults.faults.iter().enumerate() {
            if let Some((key, problem)) = fault.wrong() {
                let message = format!("fault {}, {key}: {problem}", at + 1);
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
            }
        }
        if !self.listen.ip().is_loopback() && self.keys.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is not a loopback address: set a key, or listen on 127.0.0.1", self.listen),
            ));
        }
        Gateway::start(self).await
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("listen", &self.listen)
            .field("keys", &self.keys)
            .field("settings", &self.settings)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}
