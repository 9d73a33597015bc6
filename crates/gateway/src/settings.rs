//! What a gateway is set up with, and the defaults.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::auth::Keys;
use crate::blobs::Bounds;
use crate::faults::Faults;
use crate::keeping::Keeping;
use crate::notices::Notices;
use crate::replay::Replay;
use crate::upstream::Upstream;
use crate::webhook::Webhook;

/// All that a gateway is started with.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) listen: SocketAddr,
    /// Where operators ask, if that is another address.
    pub(crate) admin_listen: Option<SocketAddr>,
    pub(crate) keys: Keys,
    /// A key that is made at the start, in place of all others.
    pub(crate) only_random_key: bool,
    pub(crate) faults: Faults,
    /// Who answers; the built-in model when there is none.
    pub(crate) upstreams: Vec<Upstream>,
    /// Answers that were recorded, in place of a model.
    pub(crate) replay: Option<Replay>,
    pub(crate) webhooks: Vec<Webhook>,
    pub(crate) notices: Notices,
    pub(crate) seed: Option<u64>,
    /// What a virtual clock shows at first, in seconds since 1970.
    pub(crate) virtual_start: Option<i64>,
    pub(crate) journal: bool,
    pub(crate) idempotency: bool,
    pub(crate) keeping: Keeping,
    pub(crate) settings: Settings,
}

/// The part of it that is looked up while the gateway runs.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) max_lines: u64,
    pub(crate) max_line_bytes: u64,
    pub(crate) max_file_bytes: u64,
    pub(crate) max_upload_bytes: u64,
    pub(crate) max_journal_bytes: usize,
    pub(crate) stored: Bounds,
    /// None before it is known who answers.
    pub(crate) line_concurrency: Option<usize>,
    pub(crate) max_line_concurrency: usize,
    pub(crate) window: Duration,
    pub(crate) stage_delay: Duration,
    pub(crate) cancel_grace: Duration,
    pub(crate) grace: Duration,
    pub(crate) max_running_batches: usize,
    pub(crate) max_connections: usize,
    pub(crate) header_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    /// Bytes a second; 0 for none.
    pub(crate) min_upload_rate: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            admin_listen: None,
            keys: Keys::default(),
            only_random_key: false,
            faults: Faults::default(),
            upstreams: Vec::new(),
            replay: None,
            webhooks: Vec::new(),
            notices: Notices::default(),
            seed: None,
            virtual_start: None,
            journal: false,
            idempotency: false,
            keeping: Keeping::default(),
            settings: Settings::default(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_lines: 50_000,
            max_line_bytes: 16 * 1024 * 1024,
            max_file_bytes: 200_000_000,
            max_upload_bytes: 512_000_000,
            max_journal_bytes: 256 * 1024 * 1024,
            stored: Bounds { bytes: 20_000_000_000, files: 100_000, batches: 50_000 },
            line_concurrency: None,
            max_line_concurrency: 1024,
            window: Duration::from_secs(86_400),
            stage_delay: Duration::ZERO,
            cancel_grace: Duration::from_secs(1),
            grace: Duration::from_secs(30),
            max_running_batches: 128,
            max_connections: 16_384,
            header_timeout: Duration::from_secs(60),
            stall_timeout: Duration::from_secs(30),
            min_upload_rate: 1_024,
        }
    }
}

/// Request lines of a batch in flight at once, where nobody says how many.
const LINES_AT_ONCE: usize = 64;

impl Settings {
    pub(crate) fn lines_at_once(&self) -> usize {
        self.line_concurrency.unwrap_or(LINES_AT_ONCE)
    }
}

impl Setup {
    /// Where lines are forwarded, as many of a batch may be in flight as all upstreams take: how many there are at once is
    /// learned before each.
    pub(crate) fn settle(&mut self) {
        #[cfg(debug_assertions)]
        {
            self.settings.window = crate::points::duration("WINDOW", self.settings.window);
        }
        let most: usize = self.upstreams.iter().map(Upstream::most_at_once).sum();
        if most > 0 {
            self.settings.line_concurrency.get_or_insert(most.min(self.settings.max_line_concurrency));
        }
    }
}
