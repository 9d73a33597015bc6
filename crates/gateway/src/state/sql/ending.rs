//! How batches come to their end: no line is left, their window is over, or they are cancelled. Claims stop at once, who
//! holds slices ends them first, and then the batch is to be finished.

use crate::contract::Status;
use crate::state::sql::batches::{BatchRow, Ending, Stage};
use crate::state::sql::cells::{Fields, text};
use crate::state::sql::database::Database;
use crate::state::sql::{Lane, Transaction};
use crate::state::{BatchRecord, Held, StateError};
use crate::tenant::Tenant;

/// By how much the clocks of workers and of the database may differ, in milliseconds.
const CLOCKS_DIFFER_MS: i64 = 5_000;

impl Database {
    /// Moves a running batch on when no slice is left, or when it is to end and nobody holds one.
    pub(super) async fn settle_stage(&self, tx: &mut dyn Transaction, row: &mut BatchRow) -> Result<(), StateError> {
        if row.stage != Stage::Running {
            return Ok(());
        }
        // Two statements that end at the first row, since a batch may have many slices.
        let is_there = async |tx: &mut dyn Transaction, state: &str| -> Result<bool, StateError> {
            let sql = format!("SELECT number FROM slices WHERE batch = $1 AND state = {state} LIMIT 1");
            Ok(!tx.query(&sql, &[text(&row.record.id)]).await?.is_empty())
        };
        let is_held = is_there(tx, "1").await?;
        if !is_held && (row.ending != Ending::Not || !is_there(tx, "0").await?) {
            row.begin_to_finish(tx.now_ms());
        }
        Ok(())
    }

    /// Whether this has changed it.
    pub(super) async fn cancel(
        &self,
        tenant: Tenant,
        id: &str,
        stuck: bool,
    ) -> Result<Option<(BatchRecord, bool)>, StateError> {
        let mut tx = self.begin(Lane::Requests).await?;
        let row = self.lock(&mut *tx, id).await?.filter(|row| row.tenant == tenant);
        let Some(mut row) = row else { return Ok(None) };
        let now = tx.now_ms().div_euclid(1000);
        if !row.record.enter(Status::Cancelling, now) {
            return Ok(Some((row.live(&mut *tx).await?, false)));
        }
        if stuck {
            row.record.stuck = true;
            row.record.cancelled_at = Some(now);
        }
        row.ending = Ending::Cancelled;
        if row.stage == Stage::Validating && row.worker.is_none() {
            row.begin_to_finish(tx.now_ms());
        }
        self.settle_stage(&mut *tx, &mut row).await?;
        row.save(&mut *tx).await?;
        let record = row.live(&mut *tx).await?;
        tx.commit().await?;
        Ok(Some((record, true)))
    }

    /// Told by who works on it, by whose clock its window is over.
    pub(super) async fn expire(&self, held: &Held) -> Result<(), StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        self.begin_expiry(&mut *tx, &held.batch.id).await?;
        tx.commit().await
    }

    /// Only a batch that is running expires: one that is validated still runs at that instant.
    pub(super) async fn begin_expiry(&self, tx: &mut dyn Transaction, id: &str) -> Result<(), StateError> {
        let Some(mut row) = self.lock(tx, id).await? else { return Ok(()) };
        let is_over = row.deadline <= tx.now_ms().saturating_add(CLOCKS_DIFFER_MS);
        if row.stage != Stage::Running || row.ending != Ending::Not || row.record.stuck || !is_over {
            return Ok(());
        }
        row.ending = Ending::Expired;
        self.settle_stage(tx, &mut row).await?;
        row.save(tx).await
    }

    /// What the last transaction of a batch should have seen to and did not, if there is such a thing.
    pub(super) async fn settle_again(&self) -> Result<(), StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let sql = "SELECT b.id FROM batches b WHERE b.stage = 1 \
                   AND NOT EXISTS (SELECT 1 FROM slices h WHERE h.batch = b.id AND h.state = 1) \
                   AND (b.ending <> 0 OR NOT EXISTS (SELECT 1 FROM slices r WHERE r.batch = b.id AND r.state = 0)) \
                   ORDER BY b.id LIMIT 100";
        let rows = tx.query(sql, &[]).await?;
        let ids = rows.into_iter().map(|row| Fields::from(row).text()).collect::<Result<Vec<_>, _>>()?;
        for id in ids {
            if let Some(mut row) = self.lock(&mut *tx, &id).await? {
                self.settle_stage(&mut *tx, &mut row).await?;
                row.save(&mut *tx).await?;
            }
        }
        tx.commit().await
    }
}
