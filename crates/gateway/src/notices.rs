//! What those who run a gateway may want to read in its log. Never a prompt, a key or the name of an end user.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// Something that happened. In JSON the name is the field `notice`: `answered`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// A request was answered.
    Answered {
        /// As the answer's header `x-request-id` has it.
        request_id: String,
        /// Such as `create-batch`.
        operation: String,
        /// The HTTP status.
        status: u16,
        /// How long it took until the answer began.
        milliseconds: u64,
    },
    /// A batch has come further.
    BatchChanged {
        /// The batch.
        batch_id: String,
        /// Where it is now.
        status: &'static str,
        /// Its lines, once they are counted.
        total: u64,
        /// Those that succeeded.
        completed: u64,
        /// Those that did not.
        failed: u64,
        /// The name of the key; none when any key is let in.
        #[serde(skip_serializing_if = "Option::is_none")]
        tenant: Option<String>,
    },
    /// An upstream cannot be reached; lines wait for it.
    UpstreamUnreachable {
        /// Its base URL.
        upstream: String,
    },
    /// It can be reached again.
    UpstreamReached {
        /// Its base URL.
        upstream: String,
    },
    /// The state, or the storage beside it, could not be used; what was to be done is tried again.
    StateTrouble {
        /// Such as `record`.
        what: &'static str,
        /// What kind of trouble it was.
        problem: String,
    },
    /// This process was silent for too long: its work was given to others, and it begins anew.
    WorkerLost,
    /// A webhook was not taken, for a day or because it is gone.
    WebhookGivenUp {
        /// Where it was sent to, without what may be a secret in its path.
        host: String,
        /// The id of the event, as the header `webhook-id` had it.
        webhook_id: String,
        /// The last status, or none when there was no answer.
        status: Option<u16>,
    },
}

type Tell = dyn Fn(&Notice) + Send + Sync;

/// Who is told.
#[derive(Clone, Default)]
pub(crate) struct Notices(Option<Arc<Tell>>);

impl Notices {
    pub(crate) fn to(told: impl Fn(&Notice) + Send + Sync + 'static) -> Notices {
        Notices(Some(Arc::new(told)))
    }

    pub(crate) fn tell(&self, notice: impl FnOnce() -> Notice) {
        if let Some(told) = &self.0 {
            told(&notice());
        }
    }
}

impl fmt::Debug for Notices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "told" } else { "nobody is told" })
    }
}
