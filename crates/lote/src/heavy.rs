//! Does work that would hold up the runtime: reading, hashing, checking and joining whole files.
//!
//! The threads of the runtime's pool take turns, and the allocator keeps memory for each of those that ever did such work.
//! Here the thread that was idle last is the next to work, so that work that comes one after another is all done by one.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Mutex, MutexGuard, PoisonError,
        mpsc::{self, SendError, Sender},
    },
    thread,
};

use tokio::task::spawn_blocking;

/// What a thread is to do; it gives back how to tell the end of it.
type Job = Box<dyn FnOnce() -> Tell + Send>;
type Tell = Box<dyn FnOnce() + Send>;

/// The threads that wait for work, which is until the process ends.
static IDLE: Mutex<Vec<Sender<Job>>> = Mutex::new(Vec::new());

fn idle() -> MutexGuard<'static, Vec<Sender<Job>>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does work off the runtime. It goes on when nobody waits for it any more, and a runtime that is shut down waits for it.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(|| elsewhere(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// Has the work done by another thread, and waits for it.
fn elsewhere<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> thread::Result<T> {
    let (done, ended) = mpsc::sync_channel(1);
    let job: Job = Box::new(move || {
        let ending = catch_unwind(AssertUnwindSafe(work));
        Box::new(move || drop(done.send(ending)))
    });
    // The list is free again before the work is handed over.
    let thread = idle().pop();
    let left = match thread {
        Some(thread) => thread.send(job).err().map(|SendError(job)| job),
        None => Some(job),
    };
    if let Some(job) = left {
        thread::spawn(|| attend(job));
    }
    ended.recv().unwrap_or_else(|lost| Err(Box::new(lost)))
}

/// The life of a thread: it is idle again before the end of its work is told, and so is found by who gives work next.
fn attend(mut job: Job) {
    let (idler, jobs) = mpsc::channel();
    loop {
        let tell = job();
        idle().push(idler.clone());
        tell();
        match jobs.recv() {
            Ok(next) => job = next,
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[tokio::test]
    async fn work_one_after_another_is_done_by_few_threads_and_a_panic_is_the_callers() {
        let mut threads = HashSet::new();
        for _ in 0..100 {
            threads.insert(blocking(|| thread::current().id()).await);
        }
        // Other tests of this process may give work at the same time.
        assert!(threads.len() < 50, "{}", threads.len());
        let failed = tokio::spawn(blocking(|| panic!("as it should"))).await.unwrap_err();
        assert_eq!(failed.into_panic().downcast_ref(), Some(&"as it should"));
        // Work that is given while other work goes on does not wait for it.
        let (go, gone) = mpsc::channel();
        let waiting = tokio::spawn(blocking(move || gone.recv()));
        assert_eq!(blocking(move || go.send(7)).await, Ok(()));
        assert_eq!(waiting.await.unwrap(), Ok(7));
    }
}
