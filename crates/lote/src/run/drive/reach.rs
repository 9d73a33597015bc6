//! Whether the service can be reached. While it cannot, the run goes on waiting, and says so once in a while.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::{Driver, Stopped, noted::Unreached};
use crate::{
    Error, Tolerance,
    policy::{Pauses, Trouble},
    run::{OnProgress, Progress, RunError, seam},
};

/// When it is said again that the service is not reached: each time after twice as long, up to the longest.
const FIRST: Duration = Duration::from_secs(5 * 60);
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// What is known of the way to the service. Clones share it.
#[derive(Clone)]
pub(super) struct Reach {
    reached: Arc<AtomicBool>,
    away: Arc<Mutex<Option<Away>>>,
    on_progress: OnProgress,
}

/// Since when there is no connection, and when that is said next.
struct Away {
    noted: Unreached,
    since: Instant,
    next: Instant,
    pause: Duration,
}

/// What is said of an error.
enum Say {
    Nothing,
    Trouble,
    /// For how long there was no connection.
    Still(Duration),
}

/// The calls of the driver itself that were not answered, in a row.
pub(super) struct Unanswered {
    trouble: Trouble,
    pauses: Pauses,
}

impl Unanswered {
    pub(super) fn new(pauses: Pauses) -> Self {
        Self { trouble: Trouble::default(), pauses }
    }

    fn over(&mut self) {
        self.trouble.over();
        self.pauses.restart();
    }
}

impl Reach {
    pub(super) fn new(on_progress: OnProgress) -> Self {
        Self { reached: Arc::default(), away: Arc::default(), on_progress }
    }

    fn away(&self) -> MutexGuard<'_, Option<Away>> {
        self.away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The service has answered.
    pub(super) fn answered(&self) {
        self.reached.store(true, Ordering::Relaxed);
        *self.away() = None;
    }

    /// Since when it is not reached, if it is not.
    fn unreached(&self) -> Option<Unreached> {
        self.away().as_ref().map(|away| away.noted.clone())
    }

    /// Tells of an error that is survived. That a service is not reached which was reached before is told the first time,
    /// and then less and less often.
    pub(super) fn trouble(&self, error: &Error) {
        let say = if error.is_unreached() && self.reached.load(Ordering::Relaxed) {
            self.still_away(error)
        } else {
            *self.away() = None;
            Say::Trouble
        };
        match say {
            Say::Nothing => {}
            Say::Trouble => (self.on_progress)(Progress::Trouble(error)),
            Say::Still(since) => (self.on_progress)(Progress::Unreached { since, error }),
        }
    }

    /// There is no connection, again or still.
    fn still_away(&self, error: &Error) -> Say {
        let now = Instant::now();
        match &mut *self.away() {
            Some(away) if now < away.next => Say::Nothing,
            Some(away) => {
                away.pause = (away.pause * 2).min(LONGEST);
                away.next = now + away.pause;
                Say::Still(now - away.since)
            }
            none => {
                let noted = Unreached { since: seam::now(), why: error.to_string() };
                *none = Some(Away { noted, since: now, next: now + FIRST, pause: FIRST });
                Say::Trouble
            }
        }
    }
}

impl Driver {
    /// Which errors are survived: as the user says, or as is usual where something is done, and any time without a
    /// connection to a service that was reached.
    pub(super) fn tolerance(&self, usual: Tolerance) -> Tolerance {
        match &self.manner.tolerance {
            Some(tolerance) => tolerance.clone(),
            // It was asked to do what can be done now.
            None if self.manner.detach => usual,
            None => usual.outlasting(Arc::clone(&self.reach.reached)),
        }
    }

    /// Whether this process waits for any time while no connection can be made.
    pub(super) fn outlasts_any(&self) -> bool {
        let reached = self.reach.reached.load(Ordering::Relaxed);
        reached && !self.manner.detach && self.manner.tolerance.is_none()
    }

    /// A step was taken.
    pub(super) fn went_on(&mut self) {
        self.unanswered.over();
        self.note_reach();
    }

    /// Leaves for who looks on whether the service is reached, when that has changed.
    pub(super) fn note_reach(&mut self) {
        let unreached = self.reach.unreached();
        if unreached != self.noted.unreached {
            self.noted.unreached = unreached;
            self.folder.note(&self.noted);
        }
    }

    /// Pauses after a step that failed because the service did not answer, if it can be taken again without doing anything
    /// twice; else that is the end.
    pub(super) async fn outlast(&mut self, error: RunError) -> Result<(), Stopped> {
        let reached = self.reach.reached.load(Ordering::Relaxed);
        let Some(unanswered) = error.unanswered().filter(|_| reached && !self.manner.detach) else {
            return Err(error.into());
        };
        let tolerance = self.tolerance(Tolerance::default());
        if !self.unanswered.trouble.is_survived(&tolerance, unanswered) {
            return Err(error.into());
        }
        self.reach.trouble(unanswered);
        self.note_reach();
        let pause = sleep(self.unanswered.pauses.next(None, None));
        self.manner.deadline.within(pause).await.map_err(|late| self.service(late).into())
    }
}
