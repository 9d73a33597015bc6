//! Fetches result files in spite of errors that pass, and does blocking work off the runtime.

use std::{sync::Arc, time::Duration};

use tokio::task::spawn_blocking;

use crate::{Cadence, Client, Error, FileId, Tolerance, deadline::Deadline, policy::Trouble, save::Target};

/// For how long a file of a batch that is over is asked for.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Which errors are survived while files are fetched, unless the caller says.
pub(crate) fn patience() -> Tolerance {
    Tolerance::default().lasting(PATIENCE)
}

/// Told of every error that is survived.
pub(crate) type OnTrouble = Arc<dyn Fn(&Error) + Send + Sync>;

/// Fetches a file, surviving what passes: a service may need a moment before it knows a file that it has just made, and
/// may replace it once more. One that changes while it is fetched is fetched anew, once.
pub(crate) async fn fetch(
    client: &Client,
    id: &FileId,
    target: &Target,
    tolerance: Tolerance,
    deadline: Deadline,
    on_trouble: OnTrouble,
) -> Result<(), Error> {
    let late =
        |error: Error| if error.is_deadline() { error.context(format_args!("content of file {id}")) } else { error };
    let mut anew = false;
    let (mut trouble, mut pauses) = (Trouble::default(), Cadence::default().pauses());
    loop {
        match deadline.bound(client.files().verified_content(id)).await.map_err(late) {
            Ok(content) => {
                let told = Arc::clone(&on_trouble);
                let content = content.until(deadline).tolerance(tolerance.clone()).on_trouble(move |error| told(error));
                match content.save_as(target).await {
                    Err(error) if error.is_changed() && !anew => {
                        anew = true;
                        on_trouble(&error);
                    }
                    saved => return saved.map(|_| ()),
                }
            }
            Err(error) => {
                let error = trouble.take(&tolerance, error)?;
                on_trouble(&error);
                let pause = tokio::time::sleep(pauses.next(error.retry_after(), None));
                deadline.within(pause).await.map_err(late)?;
            }
        }
    }
}

/// Work that would hold up the runtime, on a thread of its own that ends with it. The threads of the runtime's pool take
/// turns, and the allocator keeps some memory for each of those that ever did such work; what it keeps of a thread that has
/// ended goes to the next. The pool waits for it, so that a runtime that is shut down does.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let held = || std::thread::spawn(work).join();
    match spawn_blocking(held).await {
        Ok(Ok(done)) => done,
        Ok(Err(panic)) => std::panic::resume_unwind(panic),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
