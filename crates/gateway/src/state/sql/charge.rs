//! Who pays for bytes: an account takes them before they are written, in steps, so that a process that dies has never
//! written more than is counted. What never becomes a file is given back.

use std::io;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};

use crate::blobs::{Charge, Full, Spool};
use crate::state::StateError;
use crate::state::sql::again::retried;
use crate::state::sql::cells::{Fields, bytes, count, int, signed, text};
use crate::state::sql::database::Database;
use crate::state::sql::{Lane, Transaction};
use crate::tenant::AccountId;

/// Bytes that are taken at once.
const STEP: u64 = 8 * 1024 * 1024;

/// How long what is pending is believed in without a word of its process, in milliseconds.
pub(super) const PATIENCE_MS: i64 = 3_600_000;

/// One file on its way, and the bytes that are taken for it.
struct Reserved {
    database: Arc<Database>,
    account: AccountId,
    key: String,
    taken: u64,
    used: u64,
}

impl Charge for Reserved {
    fn grow(&mut self, more: u64) -> BoxFuture<'_, io::Result<()>> {
        let used = self.used.saturating_add(more);
        if used <= self.taken {
            self.used = used;
            return ready(Ok(())).boxed();
        }
        async move {
            let missing = used - self.taken;
            let step = missing.max(STEP);
            let mut taken = None;
            // In turn: a large step, exactly what is needed, and that again without files that have expired.
            for (step, after_expiry) in [(step, false), (missing, false), (missing, true)] {
                if after_expiry {
                    self.database.expire_of(&self.account).await.map_err(io::Error::other)?;
                }
                if self.database.take(&self.account, &self.key, step).await.map_err(io::Error::other)? {
                    taken = Some(step);
                    break;
                }
            }
            let Some(taken) = taken else {
                return Err(Full::new(self.database.options.bounds.bytes, "bytes").into());
            };
            self.taken += taken;
            self.used = used;
            Ok(())
        }
        .boxed()
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.database.settled().remove(&self.key) {
            return;
        }
        // Without a runtime the sweep does it.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let (database, key) = (Arc::downgrade(&self.database), std::mem::take(&mut self.key));
            runtime.spawn(async move {
                if let Some(database) = database.upgrade() {
                    // If it fails, the sweep does it.
                    let _ = retried(|| database.give_up(&key)).await;
                }
            });
        }
    }
}

impl Database {
    /// Begins a file on this account.
    pub(super) async fn spool(self: &Arc<Self>, account: AccountId) -> io::Result<Spool> {
        let key = self.new_key()?;
        let begin = || retried(|| self.begin_file(&account, &key));
        if !begin().await.map_err(io::Error::other)? {
            self.expire_of(&account).await.map_err(io::Error::other)?;
            if !begin().await.map_err(io::Error::other)? {
                return Err(Full::new(self.options.bounds.files, "files").into());
            }
        }
        let charge = Reserved { database: Arc::clone(self), account, key: key.clone(), taken: 0, used: 0 };
        Spool::kept(Arc::clone(&self.blobs), key, Box::new(charge)).await
    }

    async fn begin_file(&self, account: &AccountId, key: &str) -> Result<bool, StateError> {
        let mut tx = self.begin(Lane::Requests).await?;
        self.add_pending(&mut *tx, key, Some(account)).await?;
        know_account(&mut *tx, account).await?;
        let one_more = "UPDATE accounts SET files = files + 1 WHERE id = $1 AND files < $2";
        if tx.execute(one_more, &[bytes(account.as_bytes()), count(self.options.bounds.files)]).await? == 0 {
            return Ok(false);
        }
        tx.commit().await?;
        Ok(true)
    }

    /// A blob that is about to be written; on no account when it is not a file.
    pub(super) async fn add_pending(
        &self,
        tx: &mut dyn Transaction,
        key: &str,
        account: Option<&AccountId>,
    ) -> Result<(), StateError> {
        let due = tx.now_ms().saturating_add(PATIENCE_MS);
        let sql = "INSERT INTO blobs (key, state, account, reserved, owner, due) VALUES ($1, 0, $2, 0, $3, $4)";
        let account = account.map_or(crate::state::sql::Cell::Null, |account| bytes(account.as_bytes()));
        tx.execute(sql, &[text(key), account, text(&self.owner), int(due)]).await?;
        Ok(())
    }

    async fn take(&self, account: &AccountId, key: &str, step: u64) -> Result<bool, StateError> {
        let Some(room) = self.options.bounds.bytes.checked_sub(step) else { return Ok(false) };
        retried(|| async {
            let mut tx = self.begin(Lane::Requests).await?;
            let due = tx.now_ms().saturating_add(PATIENCE_MS);
            let sql = "UPDATE blobs SET reserved = reserved + $1, due = $2 WHERE key = $3 AND state = 0";
            if tx.execute(sql, &[count(step), int(due), text(key)]).await? == 0 {
                return Err(StateError::NotDone("the file was given up, since nothing was heard of it".into()));
            }
            let sql = "UPDATE accounts SET bytes = bytes + $1 WHERE id = $2 AND bytes <= $3";
            if tx.execute(sql, &[count(step), bytes(account.as_bytes()), count(room)]).await? == 0 {
                return Ok(false);
            }
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Gives back what was taken for a blob, if it never became a file.
    pub(super) async fn give_up(&self, key: &str) -> Result<(), StateError> {
        let mut tx = self.begin(Lane::Requests).await?;
        let due = tx.now_ms();
        let sql = "UPDATE blobs SET state = 2, due = $1 WHERE key = $2 AND state = 0 RETURNING account, reserved";
        for row in tx.query(sql, &[int(due), text(key)]).await? {
            let mut fields = Fields::from(row);
            if let (Some(account), reserved) = (fields.maybe_bytes()?, fields.int()?) {
                let sql = "UPDATE accounts SET files = files - 1, bytes = bytes - $1 WHERE id = $2";
                tx.execute(sql, &[int(reserved), bytes(&account)]).await?;
            }
        }
        tx.commit().await
    }

    /// What a blob has taken, when it becomes a file: from now on the account has its bytes, no more. The result is the place
    /// of the file in lists.
    pub(super) async fn settle(
        &self,
        tx: &mut dyn Transaction,
        account: &AccountId,
        key: &str,
        used: u64,
    ) -> Result<i64, StateError> {
        let sql = "UPDATE blobs SET state = 1 WHERE key = $1 AND state = 0 RETURNING reserved";
        let Some(row) = tx.query(sql, &[text(key)]).await?.into_iter().next() else {
            return Err(StateError::NotDone("the file was given up, since nothing was heard of it".into()));
        };
        let spare = Fields::from(row).int()?.saturating_sub(signed(used));
        let sql = "UPDATE accounts SET bytes = bytes - $1, last_seq = last_seq + 1 WHERE id = $2 RETURNING last_seq";
        let rows = tx.query(sql, &[int(spare), bytes(account.as_bytes())]).await?;
        rows.into_iter()
            .next()
            .map_or(Err(StateError::Corrupt("an account is missing".into())), |row| Fields::from(row).int())
    }
}

/// Lets an account be there.
pub(super) async fn know_account(tx: &mut dyn Transaction, account: &AccountId) -> Result<(), StateError> {
    let sql = "INSERT INTO accounts (id, last_seq, files, bytes, batches) VALUES ($1, 0, 0, 0, 0) ON CONFLICT (id) DO NOTHING";
    tx.execute(sql, &[bytes(account.as_bytes())]).await?;
    Ok(())
}
