//! Transactions that met another one: they were rolled back whole, and the same again may well succeed.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::state::{Cause, StateError};

/// How often a transaction is begun before its failure is told.
const MOST_TRIES: u32 = 5;

/// The longest pause before the second try, in milliseconds; it doubles with each.
const PAUSE_MS: u64 = 20;

/// The cause of a [`StateError::NotDone`] that is worth another try: a deadlock, for example.
#[derive(Debug)]
pub(super) struct Collision(pub(super) Cause);

impl fmt::Display for Collision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "another transaction was in the way: {}", self.0)
    }
}

impl Error for Collision {}

/// Does a whole transaction, again when it met another one.
pub(super) async fn retried<T, F>(mut transaction: impl FnMut() -> F) -> Result<T, StateError>
where
    F: Future<Output = Result<T, StateError>>,
{
    let mut tries = 1;
    loop {
        match transaction().await {
            Err(StateError::NotDone(cause)) if tries < MOST_TRIES && cause.is::<Collision>() => {
                // Of any length, so that the two do not meet again.
                let most = PAUSE_MS << tries;
                let pause = getrandom::u32().map_or(most, |random| u64::from(random) % most);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                tries += 1;
            }
            told => return told,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_what_met_another_is_tried_again_and_not_for_ever() {
        let collision = || StateError::NotDone(Box::new(Collision("deadlock detected".into())));
        let mut begun = 0;
        let done = retried(|| {
            begun += 1;
            let met = begun < 3;
            async move { if met { Err(collision()) } else { Ok(7) } }
        });
        assert_eq!(done.await.unwrap(), 7);
        assert_eq!(begun, 3);

        for (error, tries) in [
            (collision as fn() -> StateError, MOST_TRIES),
            (|| StateError::NotDone("no connection".into()), 1),
            (|| StateError::Unknown(Box::new(Collision("deadlock detected".into()))), 1),
        ] {
            let mut begun = 0;
            let failed = retried(|| {
                begun += 1;
                async move { Err::<(), _>(error()) }
            });
            failed.await.unwrap_err();
            assert_eq!(begun, tries);
        }
    }
}
