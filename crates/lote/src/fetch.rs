//! Owns the fetching of result files that must not be lost to a passing trouble, and work off the runtime; never joins.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use tokio::task::spawn_blocking;

use crate::{Client, Error, FileId, pace::Pace, wait::JUST_MADE};

/// For how long a file of a batch that is over is asked for.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// How often a file is asked for, all in all: a transfer that always breaks off must end.
const ATTEMPTS: u32 = 60;

/// Fetches a file, surviving what passes: a service may need a moment before it knows a file that it has just made.
pub(crate) async fn fetch(
    client: &Client,
    id: &FileId,
    path: &Path,
    on_trouble: &(dyn Fn(&Error) + Send + Sync),
) -> Result<(), Error> {
    let mut pace = Pace::new(Duration::from_millis(200), Duration::from_secs(10));
    let mut trouble_since: Option<Instant> = None;
    let mut attempts = 0;
    loop {
        let result = match client.files().content(id).await {
            Ok(content) => {
                // A long transfer is no trouble.
                let result = content.save(path).await;
                if result.as_ref().is_err_and(Error::is_transient) {
                    trouble_since = None;
                }
                result
            }
            Err(error) => Err(error),
        };
        match result {
            Ok(_) => return Ok(()),
            Err(error) => {
                let patience = if error.is_not_found() { JUST_MADE } else { PATIENCE };
                let passes = error.is_transient() || error.is_not_found();
                attempts += 1;
                let since = *trouble_since.get_or_insert_with(Instant::now);
                if !passes || since.elapsed() >= patience || attempts >= ATTEMPTS {
                    return Err(error);
                }
                on_trouble(&error);
                pace.pause(error.retry_after()).await;
            }
        }
    }
}

/// Work that would hold up the runtime.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
