//! Files: kept, found, let go.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::state::sql::again::retried;
use crate::state::sql::cells::{Fields, bytes, corrupt, count, int, maybe_int, maybe_text, text};
use crate::state::sql::database::Database;
use crate::state::sql::{Lane, Row, Transaction};
use crate::state::{FileRecord, NewFile, StateError};
use crate::tenant::{AccountId, Tenant};

/// What [`Database::read_file`] reads.
pub(super) const FILE: &str = "id, filename, purpose, media, created, expires, blob, bytes, sha256";

/// How long the bytes of a file stay after it: who reads them meanwhile reads on. In milliseconds.
const GRACE_MS: i64 = 3_600_000;

/// Files that go in one transaction.
const AT_ONCE: i64 = 200;

impl Database {
    pub(super) async fn add_file(
        &self,
        tenant: Tenant,
        account: AccountId,
        file: &NewFile,
    ) -> Result<Arc<FileRecord>, StateError> {
        let mut tx = self.begin(Lane::Requests).await?;
        let record = self.insert_file(&mut *tx, tenant, &account, file).await?;
        tx.commit().await?;
        self.is_settled(file, &record);
        Ok(record)
    }

    /// After the commit: nothing of this file is to be given up any more, if it is the one that is kept.
    pub(super) fn is_settled(&self, file: &NewFile, kept: &FileRecord) {
        if let Some(key) = file.blob.key().filter(|key| kept.blob.key() == Some(*key)) {
            self.settled().insert(key.to_owned());
        }
    }

    /// Within a transaction. A file that is there already stays as it is.
    pub(super) async fn insert_file(
        &self,
        tx: &mut dyn Transaction,
        tenant: Tenant,
        account: &AccountId,
        file: &NewFile,
    ) -> Result<Arc<FileRecord>, StateError> {
        let NewFile { id, filename, purpose, media_type, lives, blob } = file;
        let key =
            blob.key().ok_or_else(|| StateError::NotDone("the file is not where this state keeps files".into()))?;
        let created = tx.now_ms().div_euclid(1000);
        let expires = lives.map(|seconds| created.saturating_add(seconds));
        let there = format!("SELECT {FILE} FROM files WHERE id = $1 AND tenant = $2");
        if let Some(row) = tx.query(&there, &[text(id), bytes(tenant.as_bytes())]).await?.into_iter().next() {
            return self.read_file(row);
        }
        let seq = self.settle(tx, account, key, blob.bytes()).await?;
        let sql = "INSERT INTO files (id, account, tenant, seq, blob, bytes, sha256, filename, purpose, media, created, expires) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let cells = [
            text(id),
            bytes(account.as_bytes()),
            bytes(tenant.as_bytes()),
            int(seq),
            text(key),
            count(blob.bytes()),
            text(blob.sha256()),
            text(filename),
            text(purpose),
            maybe_text(*media_type),
            int(created),
            maybe_int(expires),
        ];
        tx.execute(sql, &cells).await?;
        Ok(Arc::new(FileRecord {
            id: id.clone(),
            filename: filename.clone(),
            purpose: purpose.clone(),
            media_type: *media_type,
            created_at: created,
            expires_at: expires,
            blob: self.blob(key.to_owned(), blob.bytes(), blob.sha256().to_owned()),
        }))
    }

    pub(super) async fn file(&self, tenant: Tenant, id: &str) -> Result<Option<Arc<FileRecord>>, StateError> {
        let mut tx = self.begin(Lane::Requests).await?;
        let now = tx.now_ms().div_euclid(1000);
        let sql = format!(
            "SELECT {FILE} FROM files WHERE id = $1 AND tenant = $2 AND gone IS NULL AND (expires IS NULL OR expires > $3)"
        );
        let rows = tx.query(&sql, &[text(id), bytes(tenant.as_bytes()), int(now)]).await?;
        rows.into_iter().next().map(|row| self.read_file(row)).transpose()
    }

    pub(super) fn read_file(&self, row: Row) -> Result<Arc<FileRecord>, StateError> {
        let mut fields = Fields::from(row);
        Ok(Arc::new(FileRecord {
            id: fields.text()?,
            filename: fields.text()?,
            purpose: fields.text()?,
            media_type: fields.maybe_text()?.map(|media| known_for_ever(&media)),
            created_at: fields.int()?,
            expires_at: fields.maybe_int()?,
            blob: self.blob(fields.text()?, fields.count()?, fields.text()?),
        }))
    }

    pub(super) async fn remove_file(&self, tenant: Tenant, id: &str) -> Result<bool, StateError> {
        let mut tx = self.begin(Lane::Requests).await?;
        let now = tx.now_ms();
        let sql = "UPDATE files SET gone = $1 WHERE id = $2 AND tenant = $3 AND gone IS NULL \
                   AND (expires IS NULL OR expires > $4) RETURNING blob, bytes, account";
        let cells = [int(now), text(id), bytes(tenant.as_bytes()), int(now.div_euclid(1000))];
        let went = tx.query(sql, &cells).await?;
        let was_there = !went.is_empty();
        let_go(&mut *tx, went).await?;
        tx.commit().await?;
        Ok(was_there)
    }

    /// Lets the files of an account go that have expired, so that there is room for others.
    pub(super) async fn expire_of(&self, account: &AccountId) -> Result<(), StateError> {
        while retried(|| self.expire_some(Some(account))).await? {}
        Ok(())
    }

    /// Lets some files go that have expired; whether there may be more.
    pub(super) async fn expire_some(&self, account: Option<&AccountId>) -> Result<bool, StateError> {
        let mut tx = self.begin(Lane::Requests).await?;
        let now = tx.now_ms();
        let mut cells = vec![int(now), int(now.div_euclid(1000))];
        let of_account = match account {
            Some(account) => {
                cells.push(bytes(account.as_bytes()));
                " AND account = $3"
            }
            None => "",
        };
        let crate::state::sql::Words { for_update, skip_locked, .. } = self.words();
        let sql = format!(
            "UPDATE files SET gone = $1 WHERE id IN (SELECT id FROM files WHERE gone IS NULL AND expires IS NOT NULL \
             AND expires <= $2{of_account} ORDER BY id LIMIT {AT_ONCE}{for_update}{skip_locked}) \
             RETURNING blob, bytes, account"
        );
        let went = tx.query(&sql, &cells).await?;
        let is_full = went.len() as i64 == AT_ONCE;
        let_go(&mut *tx, went).await?;
        tx.commit().await?;
        Ok(is_full)
    }
}

/// The blobs of files that are gone, and what they took of their accounts.
async fn let_go(tx: &mut dyn Transaction, went: Vec<Row>) -> Result<(), StateError> {
    let due = tx.now_ms().saturating_add(GRACE_MS);
    let mut accounts = Vec::new();
    for row in went {
        let mut fields = Fields::from(row);
        let (key, size, account) = (fields.text()?, fields.int()?, fields.bytes()?);
        if tx
            .execute("UPDATE blobs SET state = 2, due = $1 WHERE key = $2 AND state = 1", &[int(due), text(&key)])
            .await?
            == 0
        {
            return Err(corrupt("a file has no blob"));
        }
        accounts.push((account, size));
    }
    // In one order, so that no two transactions wait for each other.
    accounts.sort();
    for (account, size) in accounts {
        let sql = "UPDATE accounts SET files = files - 1, bytes = bytes - $1 WHERE id = $2";
        tx.execute(sql, &[int(size), bytes(&account)]).await?;
    }
    Ok(())
}

/// A media type as a text that is never let go: there are some thirty of them, since uploads keep no others.
fn known_for_ever(media: &str) -> &'static str {
    static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    match known.get(media).copied() {
        Some(media) => media,
        None => {
            let media: &'static str = Box::leak(media.to_owned().into_boxed_str());
            known.insert(media);
            media
        }
    }
}
