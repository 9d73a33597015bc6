//! Fetches result files in spite of errors that pass.

use std::{sync::Arc, time::Duration};

use crate::{
    Cadence, Client, Error, FileId, Tolerance,
    deadline::Deadline,
    policy::Trouble,
    save::{Stored, Target},
};

/// For how long a file of a batch that is over is asked for.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Which errors are survived while files are fetched, unless the caller says.
pub(crate) fn patience() -> Tolerance {
    Tolerance::default().lasting(PATIENCE)
}

/// Told of every error that is survived.
pub(crate) type OnTrouble = Arc<dyn Fn(&Error) + Send + Sync>;

/// Fetches a file, surviving what passes: a service may need a moment before it knows a file that it has just made, and
/// may replace it once more. Gives back what was written, which is hashed on its way. One that changes while it is fetched is fetched anew, once.
pub(crate) async fn fetch(
    client: &Client,
    id: &FileId,
    target: &Target,
    tolerance: Tolerance,
    deadline: Deadline,
    on_trouble: OnTrouble,
) -> Result<Stored, Error> {
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
                    saved => return saved,
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
