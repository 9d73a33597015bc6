//! The last step of a batch: its files, its counts, the news of it, and the end of all that only work needed.

use std::sync::Arc;

use crate::contract::Status;
use crate::state::sql::batches::{BatchRow, Stage, sum_up};
use crate::state::sql::cells::{int, text};
use crate::state::sql::database::Database;
use crate::state::sql::{Lane, Transaction};
use crate::state::{BatchRecord, End, FileRecord, Finding, Held, NewFile, ResultFile, StateError, Worker};

impl Database {
    pub(super) async fn finish(&self, me: &Worker, held: &Held, end: &End) -> Result<Option<BatchRecord>, StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let is_alive = self.lives(&mut *tx, me).await?;
        let Some(mut row) = self.lock(&mut *tx, &held.batch.id).await? else { return Ok(None) };
        if !is_alive || !row.is_held(me, held) {
            return Ok(None);
        }
        match row.stage {
            Stage::Finishing if !row.record.stuck => {}
            // It was done, and the answer was lost.
            Stage::Over => return Ok(Some(row.record)),
            _ => return Ok(None),
        }
        sum_up(&mut *tx, &mut row.record).await?;
        row.record.counts = end.counts;
        let mut kept = Vec::new();
        row.record.output_file_id = self.keep_result(&mut *tx, &row, end.output.as_ref(), &mut kept).await?;
        row.record.error_file_id = self.keep_result(&mut *tx, &row, end.error.as_ref(), &mut kept).await?;
        let now = tx.now_ms().div_euclid(1000);
        if !row.record.enter(end.status, now) {
            // Only ever refused because the batch is being cancelled, or can be.
            row.record.enter(Status::Cancelling, now);
            row.record.enter(Status::Cancelled, now);
        }
        self.end(&mut *tx, &mut row).await?;
        tx.commit().await?;
        for (file, kept) in kept {
            self.is_settled(file, &kept);
        }
        Ok(Some(row.record))
    }

    /// The id by which a batch names a result file.
    async fn keep_result<'a>(
        &self,
        tx: &mut dyn Transaction,
        row: &BatchRow,
        result: Option<&'a ResultFile>,
        kept: &mut Vec<(&'a NewFile, Arc<FileRecord>)>,
    ) -> Result<Option<String>, StateError> {
        match result {
            None => Ok(None),
            Some(ResultFile::EmptyId) => Ok(Some(String::new())),
            Some(ResultFile::File(file)) => {
                let record = self.insert_file(tx, row.tenant, &row.account, file).await?;
                let id = record.id.clone();
                kept.push((file, record));
                Ok(Some(id))
            }
        }
    }

    /// Told by who holds the batch, or one of its slices.
    pub(super) async fn fail(
        &self,
        me: &Worker,
        held: &Held,
        findings: &[Finding],
    ) -> Result<Option<BatchRecord>, StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let is_alive = self.lives(&mut *tx, me).await?;
        let Some(mut row) = self.lock(&mut *tx, &held.batch.id).await? else { return Ok(None) };
        let is_held = match row.stage {
            Stage::Running => {
                let sql = "SELECT number FROM slices WHERE batch = $1 AND state = 1 AND worker = $2 LIMIT 1";
                row.epoch == held.epoch && !tx.query(sql, &[text(&row.record.id), text(&me.id)]).await?.is_empty()
            }
            _ => row.is_held(me, held),
        };
        if !is_alive || !is_held || row.record.stuck {
            return Ok(None);
        }
        if row.stage == Stage::Over {
            return Ok(Some(row.record));
        }
        sum_up(&mut *tx, &mut row.record).await?;
        let now = tx.now_ms().div_euclid(1000);
        if row.record.enter(Status::Failed, now) {
            row.record.findings = findings.to_vec();
        } else {
            row.record.enter(Status::Cancelled, now);
        }
        row.worker = Some(me.id.clone());
        self.end(&mut *tx, &mut row).await?;
        tx.commit().await?;
        Ok(Some(row.record))
    }

    /// Nothing is left to do. Worker and epoch stay, so that who asks for the same once more is answered alike.
    async fn end(&self, tx: &mut dyn Transaction, row: &mut BatchRow) -> Result<(), StateError> {
        row.stage = Stage::Over;
        row.save(tx).await?;
        let id = text(&row.record.id);
        let now = int(tx.now_ms());
        let sql = "UPDATE blobs SET state = 2, due = $1 WHERE key IN \
                   (SELECT blob FROM segments WHERE batch = $2 AND blob IS NOT NULL)";
        tx.execute(sql, &[now, id.clone()]).await?;
        tx.execute("DELETE FROM segments WHERE batch = $1", std::slice::from_ref(&id)).await?;
        tx.execute("DELETE FROM slices WHERE batch = $1", &[id]).await?;
        self.tell(tx, row).await
    }
}
