//! Why a wait did not see the end of its batch.

use std::{error::Error as StdError, fmt};

use super::Waited;
use crate::{Batch, Error};

/// Why a wait did not see the end of its batch: see [`Waited::ended`]. The batch, if there is one, goes on at the service,
/// and can be waited for again.
#[derive(Debug)]
pub enum WaitError {
    /// The deadline passed first, or the wait was told to stop; with what was last seen of the batch.
    GaveUp(Option<Box<Batch>>),
    /// The service could not be asked, or not for longer than is tolerated.
    CouldNotAsk {
        /// Why the last attempt failed.
        error: Error,
        /// What was last seen of the batch.
        last: Option<Box<Batch>>,
    },
}

impl Waited {
    /// The batch that is over, or an error that says which of the other two endings it was.
    ///
    /// Over is not succeeded: the batch may have failed, have expired or been cancelled. See
    /// [`Batch::completed`](crate::Batch::completed).
    ///
    /// # Errors
    /// [`WaitError`], with what was last seen of the batch.
    pub fn ended(self) -> Result<Batch, WaitError> {
        match self {
            Self::Ended(batch) => Ok(*batch),
            Self::GaveUp(last) => Err(WaitError::GaveUp(last)),
            Self::CouldNotAsk { error, last } => Err(WaitError::CouldNotAsk { error, last }),
        }
    }
}

impl WaitError {
    /// What was last seen of the batch; `None` when it was not seen at all.
    pub fn last(&self) -> Option<&Batch> {
        match self {
            Self::GaveUp(last) | Self::CouldNotAsk { last, .. } => last.as_deref(),
        }
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GaveUp(None) => f.write_str("gave up waiting before the batch was seen"),
            Self::GaveUp(Some(last)) => {
                write!(f, "gave up waiting for batch {}, last seen {}; it goes on at the service", last.id, last.status)
            }
            Self::CouldNotAsk { error, last: None } => write!(f, "{error}; the batch was not seen"),
            Self::CouldNotAsk { error, last: Some(last) } => {
                write!(f, "{error}; the batch was last seen {}, and goes on at the service", last.status)
            }
        }
    }
}

impl StdError for WaitError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::GaveUp(_) => None,
            Self::CouldNotAsk { error, .. } => Some(error),
        }
    }
}
