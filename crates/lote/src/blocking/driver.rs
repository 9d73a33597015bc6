//! The threads that a blocking client's connections live on, and how the caller's thread waits for a future.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
};

use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::consume_budget,
};

use crate::Error;

/// How many threads there are: one goes on when a callback of an upload holds up the other.
const THREADS: usize = 2;

/// What drives the async client. Clones share its threads, which end with the last of them.
#[derive(Clone)]
pub(super) struct Driver(Arc<Owned>);

struct Owned {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Do not wait for its threads: a plain drop does, and panics in async code.
            runtime.shutdown_background();
        }
    }
}

impl Driver {
    pub(super) fn new() -> Result<Self, Error> {
        let mut builder = Builder::new_multi_thread();
        let started = builder.worker_threads(THREADS).thread_name("lote-blocking").enable_all().build();
        let runtime = started.map_err(|error| Error::io("start the threads of the blocking client", error))?;
        Ok(Self(Arc::new(Owned { handle: runtime.handle().clone(), runtime: Some(runtime) })))
    }

    /// What the future gives. Polled on the caller's thread, so that callbacks are called there and may call the client.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) in async code; the future is dropped without having begun.
    pub(super) fn run<T>(&self, future: impl Future<Output = T>) -> Result<T, Error> {
        if in_async_code() {
            return Err(refusal());
        }
        let _timers_and_connections = self.0.handle.enter();
        // Not the runtime's own block_on, which panics where it finds itself inside another.
        Ok(pollster::block_on(future))
    }
}

/// What a call from async code ends with.
pub(super) fn refusal() -> Error {
    Error::invalid(
        "the blocking client was called from async code, where it would hold up other tasks: use lote::Client there, or \
         call it inside tokio::task::spawn_blocking",
    )
}

/// Whether a task of tokio is being polled on this thread.
///
/// That there is a runtime does not tell: there is one inside `spawn_blocking` as well, where blocking is the purpose.
/// But tokio gives each poll of a task a budget of steps (128 by now), and other code none. What is not found so, a task
/// that was made `unconstrained`, is held up like by any code that blocks.
fn in_async_code() -> bool {
    const MORE_THAN_A_BUDGET: usize = 512;
    let mut context = Context::from_waker(Waker::noop());
    Handle::try_current().is_ok()
        && (0..MORE_THAN_A_BUDGET).any(|_| pin!(consume_budget()).poll(&mut context).is_pending())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_task_from_a_thread_that_may_block() {
        assert!(!in_async_code());
        let current = Builder::new_current_thread().build().unwrap();
        assert!(current.block_on(async { in_async_code() }));
        let _entered = current.enter();
        assert!(!in_async_code());

        let many = Builder::new_multi_thread().build().unwrap();
        let found = many.block_on(async {
            let task = tokio::spawn(async { (in_async_code(), tokio::task::block_in_place(in_async_code)) });
            (task.await.unwrap(), tokio::task::spawn_blocking(in_async_code).await.unwrap())
        });
        assert_eq!(found, ((true, false), false));
    }

    #[test]
    fn ends_on_a_thread_of_its_own_without_panic() {
        let driver = Driver::new().unwrap();
        let handle = driver.0.handle.clone();
        let (dropped, waited) = std::sync::mpsc::channel();
        handle.spawn(async move {
            drop(driver);
            dropped.send(()).unwrap();
        });
        waited.recv().unwrap();
    }

    #[test]
    fn runs_inside_what_it_runs() {
        let driver = Driver::new().unwrap();
        let inner = driver.clone();
        let paused = || tokio::time::sleep(std::time::Duration::from_millis(1));
        let found = driver.run(async {
            paused().await;
            let found = inner.run(async { paused().await });
            paused().await;
            found.is_ok()
        });
        assert!(found.unwrap());
    }
}
