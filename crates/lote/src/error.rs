//! The one error of this crate.

use std::{error::Error as StdError, fmt, io, path::Path, time::Duration};

use crate::{BatchId, error_answer::ErrorAnswer, secrets::Secrets, text::visible};

/// Why a call did not do what was asked.
///
/// Opaque: ask it with its predicates. The message says what was attempted, what went wrong and, where it is known,
/// what to do; the cause, if any, is its [`source`](StdError::source) and part of the message. A key is never part of
/// it, even when a service answers with it.
///
/// # Troubleshooting
/// - [`is_unauthorized`](Self::is_unauthorized): the key is missing, wrong, or of another service.
/// - [`is_not_found`](Self::is_not_found): the id is wrong, belongs to somebody else, or the base URL lacks its prefix
///   (`/api/v1/llm` at MKA1, `/v1` at OpenAI).
/// - [`is_undecodable`](Self::is_undecodable): what answers is not the service, often a proxy or a login page.
#[derive(Debug)]
pub struct Error(Box<Repr>);

#[derive(Debug)]
struct Repr {
    kind: Kind,
    message: String,
    answer: Option<ErrorAnswer>,
    batch: Option<BatchId>,
    /// Whether an earlier try of the same call may have done it.
    maybe_done: bool,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What kind of trouble it is. Private: the predicates are the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Refused here, before anything was sent.
    Invalid,
    /// A number outside its range, refused here before anything was sent.
    OutOfRange,
    /// A number outside its range in an answer.
    ReceivedOutOfRange,
    /// The service answered with an error.
    Service,
    /// The connection could not be made: nothing was sent.
    Connect,
    /// The connection was made and then lost.
    Connection,
    /// It took too long.
    Timeout,
    /// The deadline of the whole work has passed.
    Deadline,
    /// The answer is not what the contract says.
    Undecodable,
    /// A file is another than when its first bytes came.
    Changed,
    /// A batch that is over does not name its files.
    Late,
    /// What was read on this side is not what it should be.
    Unreadable,
    /// A file or stream on this side.
    Io,
}

impl Error {
    fn new(kind: Kind, message: String) -> Self {
        Self(Box::new(Repr { kind, message, answer: None, batch: None, maybe_done: false, source: None }))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message.into())
    }

    pub(crate) fn out_of_range(message: String) -> Self {
        Self::new(Kind::OutOfRange, message)
    }

    /// The same error, of a value that came in an answer.
    pub(crate) fn received(mut self) -> Self {
        if self.0.kind == Kind::OutOfRange {
            self.0.kind = Kind::ReceivedOutOfRange;
        }
        self
    }

    pub(crate) fn undecodable(message: impl Into<String>) -> Self {
        Self::new(Kind::Undecodable, message.into())
    }

    /// A file is another than when its first bytes came: undecodable as a whole, and to be fetched anew.
    pub(crate) fn changed(message: impl Into<String>) -> Self {
        Self::new(Kind::Changed, message.into())
    }

    /// As [`undecodable`](Self::undecodable), of a file or text on this side: no call was made.
    pub(crate) fn unreadable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unreadable, message.into())
    }

    /// A batch that is over does not name its files yet.
    pub(crate) fn late(message: impl Into<String>) -> Self {
        Self::new(Kind::Late, message.into())
    }

    pub(crate) fn timeout(message: impl Into<String>) -> Self {
        Self::new(Kind::Timeout, message.into())
    }

    pub(crate) fn deadline(message: impl Into<String>) -> Self {
        Self::new(Kind::Deadline, message.into())
    }

    pub(crate) fn service(answer: ErrorAnswer) -> Self {
        let mut error = Self::new(Kind::Service, answer.to_string());
        error.0.answer = Some(answer);
        error
    }

    /// An error of the connection. `source` must not name a URL with secrets; ours never hold any.
    pub(crate) fn connection(kind: Kind, message: String, source: impl StdError + Send + Sync + 'static) -> Self {
        let mut error = Self::new(kind, message);
        error.0.source = Some(Box::new(source));
        error
    }

    pub(crate) fn io(what: impl fmt::Display, source: io::Error) -> Self {
        let mut error = Self::new(Kind::Io, format!("{what}: {source}"));
        error.0.source = Some(Box::new(source));
        error
    }

    pub(crate) fn path(doing: &str, path: &Path, source: io::Error) -> Self {
        Self::io(format_args!("{doing} {}", path.display()), source)
    }

    /// The same error, telling what was being done.
    pub(crate) fn context(mut self, doing: impl fmt::Display) -> Self {
        self.0.message = format!("{doing}: {}", self.0.message);
        self
    }

    /// The same error with a word on what became of it.
    pub(crate) fn and(mut self, what: impl fmt::Display) -> Self {
        self.0.message = format!("{}; {what}", self.0.message);
        self
    }

    /// The same error without secrets, which a service may have put into a field that the message repeats.
    pub(crate) fn without(mut self, secrets: &Secrets) -> Self {
        self.0.message = secrets.blanked(&self.0.message);
        self
    }

    /// The same error, naming the batch that the answer is about.
    pub(crate) fn about(mut self, batch: Option<BatchId>) -> Self {
        self.0.batch = batch;
        self
    }

    /// The same error, marked: an earlier try of the call may have done what was asked.
    pub(crate) fn maybe_done(mut self) -> Self {
        self.0.maybe_done = true;
        self
    }

    /// 401: the key is missing or wrong. 403, a key that may not do this, is [`is_forbidden`](Self::is_forbidden).
    pub fn is_unauthorized(&self) -> bool {
        self.status() == Some(401)
    }

    /// 403: the key may not do this.
    pub fn is_forbidden(&self) -> bool {
        self.status() == Some(403)
    }

    /// 404: there is no such thing, or it belongs to somebody else.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// 409: the state of the thing does not allow this, such as cancelling a batch that is over.
    pub fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }

    /// 429: too many calls; see [`retry_after`](Self::retry_after).
    pub fn is_rate_limited(&self) -> bool {
        self.status() == Some(429)
    }

    /// It took too long: on this side, or by the service's word (408, 504).
    pub fn is_timeout(&self) -> bool {
        matches!(self.0.kind, Kind::Timeout | Kind::Deadline) || matches!(self.status(), Some(408 | 504))
    }

    /// The deadline of the whole work has passed, such as that of a [`Run`](crate::run::Run). Nothing is tried again then.
    pub fn is_deadline(&self) -> bool {
        self.0.kind == Kind::Deadline
    }

    /// A number, given or received, is outside its range. The message names the field and the value.
    pub fn is_out_of_range(&self) -> bool {
        matches!(self.0.kind, Kind::OutOfRange | Kind::ReceivedOutOfRange)
    }

    /// What was asked was refused on this side; nothing was sent.
    pub fn is_invalid(&self) -> bool {
        matches!(self.0.kind, Kind::Invalid | Kind::OutOfRange)
    }

    /// The service could not be reached, or the connection to it was lost.
    pub fn is_connection(&self) -> bool {
        matches!(self.0.kind, Kind::Connect | Kind::Connection)
    }

    /// No connection to the service could be made, by the last try of the call.
    pub fn is_unreached(&self) -> bool {
        self.0.kind == Kind::Connect
    }

    /// Whether no answer came: no connection, a lost one, or silence.
    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(self.0.kind, Kind::Connect | Kind::Connection | Kind::Timeout)
    }

    /// The answer, or a result line that was fetched before, is not what the contract says it is: not JSON, no object, a
    /// field of another type.
    pub fn is_undecodable(&self) -> bool {
        matches!(self.0.kind, Kind::Undecodable | Kind::Changed | Kind::Unreadable)
    }

    /// Whether a file was seen to be another than when its first bytes came.
    pub(crate) fn is_changed(&self) -> bool {
        self.0.kind == Kind::Changed
    }

    /// A batch is over, and its counts say that lines succeeded, but the service names no output file yet, or an empty one:
    /// nothing is lost that the service has. Ask for the batch and its outcomes later.
    pub fn is_late(&self) -> bool {
        self.0.kind == Kind::Late
    }

    /// A file or stream on this side could not be read or written. The cause is an [`io::Error`].
    pub fn is_io(&self) -> bool {
        self.0.kind == Kind::Io
    }

    /// Whether the service may have done what was asked although the call failed.
    ///
    /// True when the request was sent and no clear refusal came back: a lost connection, a timeout, a 5xx (but 501), an
    /// answer that could not be read; also when that was how an earlier try of the call ended, whatever became of the last one.
    /// After such an error of a create, look for the batch before creating another.
    pub fn is_ambiguous(&self) -> bool {
        if self.0.maybe_done {
            return true;
        }
        match self.0.kind {
            Kind::Invalid | Kind::OutOfRange | Kind::Connect | Kind::Late | Kind::Unreadable | Kind::Io => false,
            Kind::Connection
            | Kind::Timeout
            | Kind::Deadline
            | Kind::Undecodable
            | Kind::Changed
            | Kind::ReceivedOutOfRange => true,
            // 501 says that the service cannot do it at all.
            Kind::Service => self.status().is_none_or(|status| status == 408 || !matches!(status, 400..=499 | 501)),
        }
    }

    /// Whether the same call may well succeed a little later: no connection, a timeout, 408, 429 or 5xx (but 501 and 505,
    /// which say that the service cannot do it at all), files that are [late](Self::is_late).
    pub fn is_transient(&self) -> bool {
        match self.0.kind {
            Kind::Connect | Kind::Connection | Kind::Timeout | Kind::Late => true,
            Kind::Service => matches!(self.status(), Some(408 | 429 | 500 | 502..=504 | 506..=599)),
            Kind::Invalid
            | Kind::OutOfRange
            | Kind::ReceivedOutOfRange
            | Kind::Deadline
            | Kind::Undecodable
            | Kind::Changed
            | Kind::Unreadable
            | Kind::Io => false,
        }
    }

    /// The HTTP status of the answer, when there was one and it was an error.
    pub fn status(&self) -> Option<u16> {
        self.answer().map(|answer| answer.status)
    }

    /// The batch that an answer named although the rest of it could not be read, or whose files are
    /// [late](Self::is_late). It exists: see [`Batches::get`].
    ///
    /// [`Batches::get`]: crate::Batches::get
    pub fn batch_id(&self) -> Option<&BatchId> {
        self.0.batch.as_ref()
    }

    /// How long the service asks to wait, from `retry-after-ms` or else `Retry-After` (seconds, fractions, HTTP date).
    pub fn retry_after(&self) -> Option<Duration> {
        self.answer()?.retry_after
    }

    /// The service's id of the request, from `x-request-id`: what its support will ask for.
    pub fn request_id(&self) -> Option<&str> {
        self.answer()?.request_id.as_deref()
    }

    /// The service's code for programs, such as `invalid_api_key`; an integer code as text.
    pub fn code(&self) -> Option<&str> {
        self.answer()?.code.as_deref()
    }

    /// What the service said, without what we put around it.
    pub(crate) fn said(&self) -> Option<&str> {
        self.answer()?.message.as_deref()
    }

    fn answer(&self) -> Option<&ErrorAnswer> {
        self.0.answer.as_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&visible(&self.0.message))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
