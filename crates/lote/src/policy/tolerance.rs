//! Which errors a wait survives, and for how long.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::Error;

/// How long a batch or file may be unknown after its creation.
const JUST_MADE: Duration = Duration::from_secs(30);

/// How long a batch that is over may take to name its files.
const JUST_ENDED: Duration = Duration::from_secs(2 * 60);

type Also = dyn Fn(&Error) -> bool + Send + Sync;

/// Which errors a wait survives, how many in a row, and for how long.
///
/// Survived is what may pass by itself ([`Error::is_transient`]: no connection, a lost one, timeouts, 408, 429, 5xx), and
/// a 404 of a batch that was never seen: a service may need a moment before it knows what it has just made. Any other
/// error ends the wait at once. Every look that succeeds forgives the errors before it.
///
/// Survived as well is a batch that is over and does not name its files yet: see [`late_files`](Self::late_files).
#[derive(Clone)]
pub struct Tolerance {
    lasting: Duration,
    in_a_row: u32,
    unknown: Duration,
    late_files: Duration,
    also: Option<Arc<Also>>,
    /// Whether the service was ever reached, where it is waited for as long as no connection can be made after that.
    reached: Option<Arc<AtomicBool>>,
}

impl fmt::Debug for Tolerance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lasting, in_a_row, unknown, late_files, also, reached } = self;
        f.debug_struct("Tolerance")
            .field("lasting", lasting)
            .field("in_a_row", in_a_row)
            .field("unknown", unknown)
            .field("late_files", late_files)
            .field("also", &also.is_some())
            .field("reached", reached)
            .finish()
    }
}

impl Default for Tolerance {
    /// A quarter of an hour of errors, however many; a 404 for half a minute; files that are not named for two minutes.
    fn default() -> Self {
        Self {
            lasting: Duration::from_secs(15 * 60),
            in_a_row: u32::MAX,
            unknown: JUST_MADE,
            late_files: JUST_ENDED,
            also: None,
            reached: None,
        }
    }
}

impl Tolerance {
    /// No error is survived.
    pub fn none() -> Self {
        Self { in_a_row: 0, ..Self::default() }
    }

    /// For how long errors in a row are survived. The default is 15 minutes.
    #[must_use]
    pub fn lasting(mut self, lasting: Duration) -> Self {
        self.lasting = lasting;
        self
    }

    /// How many errors in a row are survived. By default any number.
    #[must_use]
    pub fn in_a_row(mut self, errors: u32) -> Self {
        self.in_a_row = errors;
        self
    }

    /// For how long a batch that was never seen may be unknown (404). The default is 30 seconds.
    #[must_use]
    pub fn unknown_for(mut self, unknown: Duration) -> Self {
        self.unknown = unknown;
        self
    }

    /// For how long a batch that is over is asked for again while it lacks files that its counts speak of (see
    /// [`Batch::late_files`](crate::Batch::late_files)), and a file of it while it is not there (404) or empty. The
    /// default is two minutes. Zero takes the batch as it is.
    #[must_use]
    pub fn late_files(mut self, late: Duration) -> Self {
        self.late_files = late;
        self
    }

    /// Whether an error is survived for any time.
    fn outlasts(&self, error: &Error) -> bool {
        let reached = self.reached.as_ref().is_some_and(|reached| reached.load(Ordering::Relaxed));
        reached && error.is_unreached()
    }

    /// For how long files may be late.
    pub(crate) fn late(&self) -> Duration {
        self.late_files
    }

    /// The same for a file of a batch that is over, which may be unknown for as long as it may be late.
    pub(crate) fn for_files(self) -> Self {
        let unknown = self.unknown.max(self.late_files);
        Self { unknown, ..self }
    }

    /// Survives for any time that no connection can be made, once the service was reached, as a machine that was taken away
    /// from its network. What goes wrong before and after that is not counted together.
    pub(crate) fn outlasting(self, reached: Arc<AtomicBool>) -> Self {
        Self { reached: Some(reached), ..self }
    }

    /// Errors to be survived besides, such as those of a service that answers 400 when it is busy.
    #[must_use]
    pub fn also(mut self, survived: impl Fn(&Error) -> bool + Send + Sync + 'static) -> Self {
        self.also = Some(Arc::new(survived));
        self
    }
}

/// The errors since the last look that succeeded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble {
    since: Option<Instant>,
    errors: u32,
    seen: bool,
}

impl Trouble {
    /// A look succeeded.
    pub(crate) fn over(&mut self) {
        *self = Self { seen: true, ..Self::default() };
    }

    /// A failure of the list call, which is not this batch's own.
    pub(crate) fn begin(&mut self, tolerance: &Tolerance, error: &Error) {
        if tolerance.outlasts(error) {
            self.since = None;
        } else {
            self.since.get_or_insert_with(Instant::now);
        }
    }

    /// A look failed: gives the error back when it is survived, else as what ends the wait.
    pub(crate) fn take(&mut self, tolerance: &Tolerance, error: Error) -> Result<Error, Error> {
        if self.is_survived(tolerance, &error) { Ok(error) } else { Err(error) }
    }

    /// A call failed: whether that is survived.
    pub(crate) fn is_survived(&mut self, tolerance: &Tolerance, error: &Error) -> bool {
        if tolerance.outlasts(error) {
            self.since = None;
            return true;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        self.errors = self.errors.saturating_add(1);
        let unknown = error.is_not_found() && !self.seen;
        let passes = error.is_transient() || unknown || tolerance.also.as_ref().is_some_and(|also| also(error));
        let lasting = if unknown { tolerance.lasting.min(tolerance.unknown) } else { tolerance.lasting };
        passes && self.errors <= tolerance.in_a_row && since.elapsed() < lasting
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::error::Kind;

    #[tokio::test(start_paused = true)]
    async fn without_a_connection_what_was_reached_is_waited_for_and_nothing_else_is_counted_with_that() {
        let hours = Duration::from_secs(3 * 60 * 60);
        let of = |kind| Error::connection(kind, "away".to_owned(), io::Error::other("away"));
        let reached = Arc::new(AtomicBool::new(false));
        let tolerance = Tolerance::default().outlasting(Arc::clone(&reached));
        let mut trouble = Trouble::default();
        assert!(trouble.is_survived(&tolerance, &of(Kind::Connect)));
        tokio::time::advance(hours).await;
        assert!(!trouble.is_survived(&tolerance, &of(Kind::Connect)), "it was never reached");
        reached.store(true, Ordering::Relaxed);
        assert!(trouble.is_survived(&tolerance, &of(Kind::Connect)));
        for list in [false, true] {
            tokio::time::advance(hours).await;
            if list {
                trouble.begin(&tolerance, &of(Kind::Connect));
            }
            assert!(trouble.is_survived(&tolerance, &of(Kind::Connect)));
            // What comes after it is counted from there.
            assert!(trouble.is_survived(&tolerance, &of(Kind::Timeout)));
            tokio::time::advance(hours).await;
            assert!(!trouble.is_survived(&tolerance, &of(Kind::Timeout)));
        }
        assert!(!Trouble::default().is_survived(&Tolerance::none(), &of(Kind::Connect)));
    }

    #[test]
    fn files_may_be_late_for_two_minutes_and_unknown_for_as_long() {
        let default = Tolerance::default();
        assert_eq!((default.late(), default.unknown), (Duration::from_secs(120), Duration::from_secs(30)));
        assert_eq!(default.for_files().unknown, Duration::from_secs(120));
        let patient = Tolerance::default().unknown_for(Duration::from_secs(300)).late_files(Duration::ZERO);
        assert_eq!((patient.late(), patient.for_files().unknown), (Duration::ZERO, Duration::from_secs(300)));
    }
}
