//! What errors of PostgreSQL say of a transaction.

use std::error::Error;
use std::fmt;
use std::io;

use tokio_postgres::error::{Severity, SqlState};

use crate::state::sql::again::Collision;
use crate::state::sql::postgres::url::UNTRUSTED;
use crate::state::{Cause, StateError};

/// Why a statement has no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    /// PostgreSQL refused it: the transaction is void, the connection is as good as before.
    Refused(tokio_postgres::Error),
    /// Nobody knows what became of it.
    Lost(Cause),
}

impl Trouble {
    /// Only an error of the severity ERROR is an answer to the statement: what is worse ends the connection at any moment,
    /// also between a commit and its answer.
    pub(super) fn of(error: tokio_postgres::Error) -> Trouble {
        match error.as_db_error() {
            Some(told) if told.parsed_severity() == Some(Severity::Error) => Trouble::Refused(error),
            _ => Trouble::Lost(Box::new(Told(error))),
        }
    }

    /// What it means before COMMIT was sent, or after COMMIT was refused.
    pub(super) fn not_done(self) -> StateError {
        match self {
            Trouble::Refused(error) if is_collision(&error) => {
                StateError::NotDone(Box::new(Collision(Box::new(Told(error)))))
            }
            Trouble::Refused(error) => StateError::NotDone(Box::new(Told(error))),
            Trouble::Lost(cause) => StateError::NotDone(cause),
        }
    }
}

/// Also when another process has changed a table: then only the statement is old, and is prepared anew.
pub(super) fn is_collision(error: &tokio_postgres::Error) -> bool {
    let worth = [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED];
    error.code().is_some_and(|code| worth.contains(code)) || is_stale(error)
}

/// "cached plan must not change result type".
pub(super) fn is_stale(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::FEATURE_NOT_SUPPORTED)
}

/// An error with its cause, in one line: by itself it says no more than "db error".
#[derive(Debug)]
pub(super) struct Told(pub(super) tokio_postgres::Error);

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_db_error() {
            Some(told) => write!(f, "PostgreSQL says: {} (SQLSTATE {})", told.message(), told.code().code()),
            None => {
                write!(f, "the connection to PostgreSQL: {}", self.0)?;
                let mut cause = self.0.source();
                let mut is_untrusted = false;
                while let Some(error) = cause {
                    write!(f, ": {error}")?;
                    is_untrusted |= is_of_a_certificate(error);
                    cause = error.source();
                }
                if is_untrusted { write!(f, "; {UNTRUSTED}") } else { Ok(()) }
            }
        }
    }
}

impl Error for Told {}

fn is_of_a_certificate(error: &(dyn Error + 'static)) -> bool {
    let within = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let found = within.and_then(|inner| inner.downcast_ref()).or_else(|| error.downcast_ref::<rustls::Error>());
    matches!(found, Some(rustls::Error::InvalidCertificate(_)))
}
