//! Counts the tasks that are at work: a task counts from the moment it is woken to the moment it waits again.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio::task::coop::unconstrained;

/// How many things are going on.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    going_on: AtomicUsize,
    quiet: Notify,
}

impl Count {
    fn begin(&self) {
        self.going_on.fetch_add(1, Ordering::SeqCst);
    }

    fn end(&self) {
        if self.going_on.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.quiet.notify_waiters();
        }
    }
}

/// Something that goes on until this is dropped.
#[derive(Debug)]
pub(super) struct Busy(Arc<Count>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Activity {
    pub(super) fn busy(&self) -> Busy {
        self.0.begin();
        Busy(Arc::clone(&self.0))
    }

    /// Resolves at a moment when nothing goes on.
    pub(super) async fn quiet(&self) {
        loop {
            let mut notified = std::pin::pin!(self.0.quiet.notified());
            notified.as_mut().enable();
            if self.0.going_on.load(Ordering::SeqCst) == 0 {
                return;
            }
            notified.await;
        }
    }
}

/// A task that counts as going on except while it waits unwoken.
pub(super) struct Tracked {
    /// Without tokio's budget: a task that pauses for it is not woken until later, and would seem
    /// to wait.
    task: BoxFuture<'static, ()>,
    alarm: Arc<Alarm>,
}

/// The waker of a tracked task.
#[derive(Debug)]
struct Alarm {
    count: Arc<Count>,
    /// Woken, and so counted, and not polled since.
    rung: AtomicBool,
    outer: Mutex<Option<Waker>>,
}

impl Alarm {
    fn outer(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.outer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            self.count.begin();
        }
        let outer = self.outer().clone();
        if let Some(outer) = outer {
            outer.wake();
        }
    }
}

impl Tracked {
    pub(super) fn new<F>(activity: &Activity, task: F) -> Tracked
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let count = Arc::clone(&activity.0);
        count.begin();
        let alarm = Arc::new(Alarm { count, rung: AtomicBool::new(true), outer: Mutex::default() });
        Tracked { task: unconstrained(task).boxed(), alarm }
    }
}

impl Future for Tracked {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let count = Arc::clone(&self.alarm.count);
        *self.alarm.outer() = Some(cx.waker().clone());
        // From here on a wake-up counts anew; this poll takes over what the last one counted.
        if !self.alarm.rung.swap(false, Ordering::SeqCst) {
            count.begin();
        }
        let _busy = Busy(count);
        let waker = Waker::from(Arc::clone(&self.alarm));
        self.task.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Drop for Tracked {
    fn drop(&mut self) {
        // A wake-up after this counts for nobody: the flag stays up.
        if self.alarm.rung.swap(true, Ordering::SeqCst) {
            self.alarm.count.end();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_counts_while_it_is_awake() {
        let activity = Activity::default();
        let (wake, woken) = tokio::sync::oneshot::channel::<()>();
        let task = Tracked::new(&activity, async {
            let _ = woken.await;
        });
        let going_on = || activity.0.going_on.load(Ordering::SeqCst);
        assert_eq!(going_on(), 1, "before its first poll");
        let mut task = std::pin::pin!(task);
        assert!(futures_util::poll!(task.as_mut()).is_pending());
        assert_eq!(going_on(), 0, "while it waits");
        wake.send(()).unwrap();
        assert_eq!(going_on(), 1, "from the moment it is woken");
        task.as_mut().await;
        assert_eq!(going_on(), 0, "after its end");
    }

    #[tokio::test]
    async fn a_dropped_task_does_not_count() {
        let activity = Activity::default();
        let notify = Arc::new(Notify::new());
        let shared = Arc::clone(&notify);
        let mut task = Box::pin(Tracked::new(&activity, async move { shared.notified().await }));
        assert!(futures_util::poll!(task.as_mut()).is_pending());
        notify.notify_one();
        drop(task);
        activity.quiet().await;
        drop(Tracked::new(&activity, async {}));
        activity.quiet().await;
    }
}
