//! What each key and its end users have stored, counted while it is on disk, and the bounds of it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;

use crate::blobs::Charge;
use crate::tenant::AccountId;

/// The most that one key may have stored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) bytes: u64,
    pub(crate) files: u64,
    pub(crate) batches: u64,
}

/// The accounts of all keys that have stored anything.
#[derive(Debug)]
pub(crate) struct Accounts {
    bounds: Bounds,
    accounts: Mutex<HashMap<AccountId, Arc<Account>>>,
}

/// What one key has stored.
#[derive(Debug)]
pub(crate) struct Account {
    bounds: Bounds,
    bytes: AtomicU64,
    files: AtomicU64,
    batches: AtomicU64,
}

/// A key may store no more. The text tells a client what, and how much there may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Full(String);

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Full {}

impl From<Full> for io::Error {
    fn from(full: Full) -> io::Error {
        io::Error::new(io::ErrorKind::QuotaExceeded, full)
    }
}

impl Full {
    /// There may be so many and no more of these: bytes, files, batches.
    pub(crate) fn new(most: u64, what: &str) -> Full {
        Full(format!("This key may store at most {most} {what}."))
    }

    /// Why an error came about, if it was for this.
    pub(crate) fn of(error: &io::Error) -> Option<&Full> {
        error.get_ref()?.downcast_ref()
    }
}

impl Accounts {
    pub(crate) fn new(bounds: Bounds) -> Accounts {
        Accounts { bounds, accounts: Mutex::default() }
    }

    pub(crate) fn of(&self, id: AccountId) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(accounts.entry(id).or_insert_with(|| Arc::new(Account::new(self.bounds))))
    }
}

impl Account {
    fn new(bounds: Bounds) -> Account {
        Account { bounds, bytes: AtomicU64::new(0), files: AtomicU64::new(0), batches: AtomicU64::new(0) }
    }

    /// Counts one more batch, for good: batches cannot be deleted.
    pub(crate) fn add_batch(&self) -> Result<(), Full> {
        add(&self.batches, 1, self.bounds.batches, "batches")
    }

    /// Whether so much is stored that files which have expired should go first.
    pub(crate) fn is_tight(&self) -> bool {
        let over_half = |stored: &AtomicU64, most: u64| stored.load(Ordering::Relaxed) > most / 2;
        over_half(&self.bytes, self.bounds.bytes) || over_half(&self.files, self.bounds.files)
    }
}

fn add(stored: &AtomicU64, more: u64, most: u64, what: &str) -> Result<(), Full> {
    let sum = |stored: u64| stored.checked_add(more).filter(|sum| *sum <= most);
    match stored.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum) {
        Ok(_) => Ok(()),
        Err(_) => Err(Full::new(most, what)),
    }
}

/// One file and its bytes on an account, until it is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    account: Arc<Account>,
    bytes: u64,
}

impl Counted {
    pub(super) fn file(account: &Arc<Account>) -> Result<Counted, Full> {
        add(&account.files, 1, account.bounds.files, "files")?;
        Ok(Counted { account: Arc::clone(account), bytes: 0 })
    }

    fn add(&mut self, bytes: u64) -> Result<(), Full> {
        add(&self.account.bytes, bytes, self.account.bounds.bytes, "bytes")?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Charge for Counted {
    fn grow(&mut self, bytes: u64) -> BoxFuture<'_, io::Result<()>> {
        let grown = self.add(bytes).map_err(io::Error::from);
        Box::pin(std::future::ready(grown))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.account.files.fetch_sub(1, Ordering::Relaxed);
        self.account.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
impl Account {
    /// One without bounds.
    pub(crate) fn unbounded() -> Arc<Account> {
        Arc::new(Account::new(Bounds { bytes: u64::MAX, files: u64::MAX, batches: u64::MAX }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_may_be_stored_again() {
        let accounts = Accounts::new(Bounds { bytes: 10, files: 2, batches: 1 });
        let account = accounts.of(AccountId::new([1; 32]));
        let mut one = Counted::file(&account).unwrap();
        let mut two = Counted::file(&account).unwrap();
        assert_eq!(Counted::file(&account).unwrap_err().to_string(), "This key may store at most 2 files.");
        one.add(6).unwrap();
        two.add(4).unwrap();
        assert!(two.add(1).is_err() && two.add(u64::MAX).is_err());
        // Another key has its own.
        Counted::file(&accounts.of(AccountId::new([2; 32]))).unwrap().add(10).unwrap();
        drop(one);
        assert!(Counted::file(&account).is_ok());
        two.add(6).unwrap();
        assert_eq!(two.bytes, 10);
        account.add_batch().unwrap();
        assert!(account.add_batch().is_err());
    }
}
