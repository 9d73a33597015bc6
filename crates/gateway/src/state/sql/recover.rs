//! Takes from workers what they hold: from those that leave, and from those that are silent, which counts against the work.

use crate::state::sql::again::retried;
use crate::state::sql::batches::Stage;
use crate::state::sql::cells::{Fields, int, maybe_int, text};
use crate::state::sql::database::Database;
use crate::state::sql::slices::{self, SliceRow, answered};
use crate::state::sql::{Lane, Transaction};
use crate::state::{Holding, StateError, Worker};

/// After so many deaths a line that was alone in flight is not sent again.
const TOO_MANY: u32 = 5;

/// The batches of which a worker holds something.
const HELD_BY: &str = "SELECT id FROM batches WHERE worker = $1 AND stage < 3 \
                       UNION SELECT batch FROM slices WHERE worker = $1 AND state = 1 ORDER BY 1";

impl Database {
    /// Of workers whose lease is over.
    pub(super) async fn recover_silent(&self) -> Result<(), StateError> {
        if self.engine().lease().is_none() {
            return Ok(());
        }
        let mut tx = self.begin(Lane::Work).await?;
        let sql = "SELECT id FROM workers WHERE dead = 0 AND lease_until <= $1 ORDER BY id";
        let now = tx.now_ms();
        let rows = tx.query(sql, &[int(now)]).await?;
        drop(tx);
        for row in rows {
            let id = Fields::from(row).text()?;
            retried(|| self.take_from(&id, true)).await?;
        }
        Ok(())
    }

    /// Of all workers there ever were: this process is alone, and has none yet.
    pub(super) async fn recover_all(&self) -> Result<(), StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let rows = tx.query("SELECT id FROM workers WHERE dead = 0 ORDER BY id", &[]).await?;
        drop(tx);
        for row in rows {
            self.take_from(&Fields::from(row).text()?, true).await?;
        }
        let mut tx = self.begin(Lane::Work).await?;
        tx.execute("DELETE FROM workers", &[]).await?;
        tx.commit().await
    }

    /// Whoever it is holds nothing any more, and gets nothing.
    pub(super) async fn take_from(&self, worker: &str, died: bool) -> Result<(), StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let now = tx.now_ms();
        let was_there = if died && self.engine().lease().is_some() {
            // It may have told meanwhile that it lives, or another process may be at it.
            let sql = "UPDATE workers SET dead = 1 WHERE id = $1 AND dead = 0 AND lease_until <= $2";
            tx.execute(sql, &[text(worker), int(now)]).await? > 0
        } else {
            tx.execute("UPDATE workers SET dead = 1 WHERE id = $1 AND dead = 0", &[text(worker)]).await? > 0
        };
        if !was_there {
            return Ok(());
        }
        for row in tx.query(HELD_BY, &[text(worker)]).await? {
            self.take_batch(&mut *tx, &Fields::from(row).text()?, worker, died, &[]).await?;
        }
        tx.commit().await
    }

    /// A worker that lives holds no more than it knows of.
    pub(super) async fn hold_only(&self, me: &Worker, known: &[Holding]) -> Result<(), StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        for row in tx.query(HELD_BY, &[text(&me.id)]).await? {
            self.take_batch(&mut *tx, &Fields::from(row).text()?, &me.id, false, known).await?;
        }
        tx.commit().await
    }

    async fn take_batch(
        &self,
        tx: &mut dyn Transaction,
        id: &str,
        worker: &str,
        died: bool,
        but: &[Holding],
    ) -> Result<(), StateError> {
        let is_known = |slice: Option<u32>, epoch: i64| {
            but.iter().any(|known| known.batch == id && known.slice == slice && known.epoch == epoch)
        };
        let Some(mut row) = self.lock(tx, id).await? else { return Ok(()) };
        if row.stage < Stage::Over && row.worker.as_deref() == Some(worker) && !is_known(None, row.epoch) {
            row.attempts += u32::from(died);
            self.free(tx, &mut row).await?;
        }
        let sql = format!(
            "SELECT {} FROM slices WHERE batch = $1 AND worker = $2 AND state = 1 ORDER BY number{}",
            slices::COLUMNS,
            self.words().for_update
        );
        for slice in tx.query(&sql, &[text(id), text(worker)]).await? {
            let slice = SliceRow::read(slice)?;
            if !is_known(Some(slice.slice.number), slice.epoch) {
                self.free_slice(tx, id, &slice, died).await?;
            }
        }
        self.settle_stage(tx, &mut row).await?;
        row.save(tx).await
    }

    /// Lets others have a slice. Whoever had it can record nothing more.
    pub(super) async fn free_slice(
        &self,
        tx: &mut dyn Transaction,
        batch: &str,
        row: &SliceRow,
        died: bool,
    ) -> Result<(), StateError> {
        let attempts = row.attempts + u32::from(died);
        let mut poisoned = row.poisoned;
        if died
            && attempts >= TOO_MANY
            && let Some(alone) = row.sent.checked_sub(1)
        {
            let lines = answered(tx, batch, row.slice).await?;
            if lines.get(alone as usize) == Some(&false) {
                poisoned = Some(alone);
            }
        }
        let sql = "UPDATE slices SET state = 0, worker = NULL, epoch = epoch + 1, slots = 0, attempts = $1, poisoned = $2 \
                   WHERE batch = $3 AND number = $4";
        let cells = [int(attempts), maybe_int(poisoned), text(batch), int(row.slice.number)];
        tx.execute(sql, &cells).await?;
        Ok(())
    }
}
