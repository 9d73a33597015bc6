//! What nobody else sees to, in short transactions: windows that are over, workers that are silent, files that have
//! expired, bytes that nobody needs. And how much there is.

use crate::metrics::Census;
use crate::state::StateError;
use crate::state::record::status_named;
use crate::state::sql::Lane;
use crate::state::sql::again::retried;
use crate::state::sql::cells::{Fields, corrupt, int, text};
use crate::state::sql::charge::PATIENCE_MS;
use crate::state::sql::database::Database;
use crate::tenant::Tenant;

/// How long what is gone stays a place in lists, in milliseconds: 30 days.
const REMEMBERED_MS: i64 = 30 * 86_400_000;

/// Most of one kind that a sweep does at once.
const AT_ONCE: i64 = 200;

impl Database {
    pub(super) async fn sweep(&self) -> Result<(), StateError> {
        self.recover_silent().await?;
        for id in self.overdue().await? {
            retried(|| async {
                let mut tx = self.begin(Lane::Work).await?;
                self.begin_expiry(&mut *tx, &id).await?;
                tx.commit().await
            })
            .await?;
        }
        retried(|| self.settle_again()).await?;
        while retried(|| self.expire_some(None)).await? {}
        retried(|| self.tell_of_pending()).await?;
        self.give_up_pending().await?;
        self.collect().await?;
        retried(|| self.forget()).await
    }

    /// Batches whose window is over.
    async fn overdue(&self) -> Result<Vec<String>, StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let sql = "SELECT id FROM batches WHERE stage = 1 AND ending = 0 AND stuck = 0 AND deadline <= $1 \
                   ORDER BY deadline, id LIMIT $2";
        let now = tx.now_ms();
        let rows = tx.query(sql, &[int(now), int(AT_ONCE)]).await?;
        rows.into_iter().map(|row| Fields::from(row).text()).collect()
    }

    /// What this process is writing is not given up, however slowly it comes.
    async fn tell_of_pending(&self) -> Result<(), StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let due = tx.now_ms().saturating_add(PATIENCE_MS);
        let sql = "UPDATE blobs SET due = $1 WHERE state = 0 AND owner = $2";
        tx.execute(sql, &[int(due), text(&self.owner)]).await?;
        tx.commit().await
    }

    /// Gives up what is pending and nobody tells of: of other processes that are silent, or, where there can be no others, of
    /// those that were before.
    pub(super) async fn give_up_pending(&self) -> Result<(), StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let until = if self.engine().lease().is_some() { tx.now_ms() } else { i64::MAX };
        let sql = "SELECT key FROM blobs WHERE state = 0 AND owner <> $1 AND due <= $2";
        let rows = tx.query(sql, &[text(&self.owner), int(until)]).await?;
        drop(tx);
        for row in rows {
            let key = Fields::from(row).text()?;
            retried(|| self.give_up(&key)).await?;
        }
        Ok(())
    }

    /// Removes bytes that nobody needs: first the bytes, then what is known of them, so that none are forgotten.
    async fn collect(&self) -> Result<(), StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let sql = "SELECT key FROM blobs WHERE state = 2 AND due <= $1 AND NOT EXISTS \
                   (SELECT 1 FROM batches b WHERE b.input_blob = blobs.key AND b.stage < 3 AND b.input_blob IS NOT NULL) \
                   ORDER BY due LIMIT $2";
        let now = tx.now_ms();
        let rows = tx.query(sql, &[int(now), int(AT_ONCE)]).await?;
        drop(tx);
        let mut failed = None;
        for row in rows {
            let key = Fields::from(row).text()?;
            // One that cannot be removed is no reason for the others to stay; it comes last the next time.
            let (sql, result) = match self.blobs.remove(&key).await {
                Ok(()) => ("DELETE FROM blobs WHERE key = $1 AND state = 2", Ok(())),
                Err(error) => ("UPDATE blobs SET due = due + 60000 WHERE key = $1 AND state = 2", Err(error)),
            };
            let mut tx = self.begin(Lane::Work).await?;
            tx.execute(sql, &[text(&key)]).await?;
            tx.commit().await?;
            failed = failed.or(result.err());
        }
        failed.map_or(Ok(()), |error| Err(StateError::NotDone(Box::new(error))))
    }

    /// Rows that were kept for who still asks for them.
    async fn forget(&self) -> Result<(), StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let before = int(tx.now_ms().saturating_sub(REMEMBERED_MS));
        for sql in [
            "DELETE FROM files WHERE gone IS NOT NULL AND gone <= $1",
            "DELETE FROM batches WHERE stage = 4 AND made <= $1",
            "DELETE FROM workers WHERE dead = 1 AND lease_until <= $1",
        ] {
            tx.execute(sql, std::slice::from_ref(&before)).await?;
        }
        tx.commit().await
    }

    pub(super) async fn census(&self) -> Result<Census, StateError> {
        let mut tx = self.begin(Lane::Requests).await?;
        let mut census = Census::default();
        let sql = "SELECT status, COUNT(*) FROM batches WHERE stage < 4 GROUP BY status";
        for row in tx.query(sql, &[]).await? {
            let mut fields = Fields::from(row);
            let status = status_named(&fields.text()?).ok_or_else(|| corrupt("there is no such status"))?;
            census.batches.insert(status.name(), fields.count()?);
        }
        let sql = "SELECT b.tenant, CAST(SUM(s.lines - s.ok - s.failed) AS BIGINT), CAST(SUM(s.resent) AS BIGINT) \
                   FROM batches b JOIN slices s ON s.batch = b.id WHERE b.stage < 3 GROUP BY b.tenant";
        for row in tx.query(sql, &[]).await? {
            let mut fields = Fields::from(row);
            census.waiting.insert(Tenant::new(fields.digest()?), fields.count()?);
            census.resent += fields.count::<u64>()?;
        }
        Ok(census)
    }
}
