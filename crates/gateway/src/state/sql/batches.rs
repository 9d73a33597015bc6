//! A batch as a row: its record, and beside it what the work needs.

use std::sync::Arc;

use crate::contract::Status;
use crate::state::sql::cells::{Fields, bytes, corrupt, int, maybe_text, text};
use crate::state::sql::database::Database;
use crate::state::sql::{Lane, Row, Transaction};
use crate::state::{BatchRecord, Held, Input, StateError, Worker};
use crate::tenant::{AccountId, Tenant};

/// What [`BatchRow::read`] reads.
pub(super) const COLUMNS: &str = "tenant, account, stage, ending, deadline, worker, epoch, attempts, max_concurrency, \
                                  input_blob, input_bytes, input_sha256, input_purpose, record";

/// How far a batch is, beside its status on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Validating = 0,
    Running = 1,
    Finishing = 2,
    Over = 3,
    /// It was never made, and is never to be.
    Withdrawn = 4,
}

/// Why a batch is to end before all of its lines are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Not = 0,
    Expired = 1,
    Cancelled = 2,
}

/// One batch. Who changes it has it locked.
#[derive(Debug)]
pub(super) struct BatchRow {
    pub(super) tenant: Tenant,
    pub(super) account: AccountId,
    pub(super) stage: Stage,
    pub(super) ending: Ending,
    pub(super) deadline: i64,
    pub(super) worker: Option<String>,
    pub(super) epoch: i64,
    pub(super) attempts: u32,
    pub(super) max_concurrency: i64,
    pub(super) input: Option<InputRow>,
    pub(super) record: BatchRecord,
}

/// The input of a batch as it was when that was made.
#[derive(Debug)]
pub(super) struct InputRow {
    key: String,
    bytes: u64,
    sha256: String,
    purpose: String,
}

impl BatchRow {
    pub(super) fn read(row: Row) -> Result<BatchRow, StateError> {
        let mut fields = Fields::from(row);
        let (tenant, account) = (Tenant::new(fields.digest()?), AccountId::new(fields.digest()?));
        let stage = match fields.int()? {
            0 => Stage::Validating,
            1 => Stage::Running,
            2 => Stage::Finishing,
            3 => Stage::Over,
            4 => Stage::Withdrawn,
            _ => return Err(corrupt("there is no such stage")),
        };
        let ending = match fields.int()? {
            0 => Ending::Not,
            1 => Ending::Expired,
            2 => Ending::Cancelled,
            _ => return Err(corrupt("there is no such ending")),
        };
        let (deadline, worker, epoch) = (fields.int()?, fields.maybe_text()?, fields.int()?);
        let (attempts, max_concurrency) = (fields.count()?, fields.int()?);
        let input = match (fields.maybe_text()?, fields.maybe_int()?, fields.maybe_text()?, fields.maybe_text()?) {
            (Some(key), Some(bytes), Some(sha256), Some(purpose)) => {
                let bytes = u64::try_from(bytes).map_err(|_| corrupt("an input has a negative length"))?;
                Some(InputRow { key, bytes, sha256, purpose })
            }
            _ => None,
        };
        let record = fields.text()?;
        let record = serde_json::from_str(&record).map_err(|error| StateError::Corrupt(Box::new(error)))?;
        Ok(BatchRow {
            tenant,
            account,
            stage,
            ending,
            deadline,
            worker,
            epoch,
            attempts,
            max_concurrency,
            input,
            record,
        })
    }

    /// Whether this worker holds it as it was then.
    pub(super) fn is_held(&self, me: &Worker, held: &Held) -> bool {
        self.worker.as_ref() == Some(&me.id) && self.epoch == held.epoch
    }

    /// Nobody holds it from now on.
    pub(super) fn let_go(&mut self) {
        self.worker = None;
        self.epoch += 1;
    }

    /// Only its end is before it.
    pub(super) fn begin_to_finish(&mut self, now_ms: i64) {
        self.let_go();
        self.stage = Stage::Finishing;
        self.attempts = 0;
        if self.ending == Ending::Not {
            self.record.enter(Status::Finalizing, now_ms.div_euclid(1000));
        }
    }

    /// Keeps what was changed.
    pub(super) async fn save(&self, tx: &mut dyn Transaction) -> Result<(), StateError> {
        let record = serde_json::to_string(&self.record).map_err(|error| StateError::NotDone(Box::new(error)))?;
        let sql = "UPDATE batches SET stage = $1, status = $2, ending = $3, stuck = $4, worker = $5, epoch = $6, \
                   attempts = $7, record = $8 WHERE id = $9";
        let cells = [
            int(self.stage as i32),
            text(self.record.status.name()),
            int(self.ending as i32),
            int(self.record.stuck),
            maybe_text(self.worker.as_deref()),
            int(self.epoch),
            int(self.attempts),
            text(&record),
            text(&self.record.id),
        ];
        tx.execute(sql, &cells).await?;
        Ok(())
    }

    /// The record with the counts of now: while lines are answered they are the sums over the slices.
    pub(super) async fn live(self, tx: &mut dyn Transaction) -> Result<BatchRecord, StateError> {
        let mut record = self.record;
        if matches!(self.stage, Stage::Running | Stage::Finishing) {
            sum_up(tx, &mut record).await?;
        }
        Ok(record)
    }
}

/// The counts of a batch as its slices have them.
pub(super) async fn sum_up(tx: &mut dyn Transaction, record: &mut BatchRecord) -> Result<(), StateError> {
    let sum = |column: &str| format!("CAST(COALESCE(SUM({column}), 0) AS BIGINT)");
    let columns = ["ok", "failed", "input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"].map(sum);
    let sql = format!("SELECT {} FROM slices WHERE batch = $1", columns.join(", "));
    for row in tx.query(&sql, &[text(&record.id)]).await? {
        let mut fields = Fields::from(row);
        (record.counts.completed, record.counts.failed) = (fields.count()?, fields.count()?);
        let usage = &mut record.usage;
        (usage.input, usage.cached) = (fields.count()?, fields.count()?);
        (usage.output, usage.reasoning) = (fields.count()?, fields.count()?);
    }
    Ok(())
}

impl Database {
    /// A batch, locked until the end of the transaction.
    pub(super) async fn lock(&self, tx: &mut dyn Transaction, id: &str) -> Result<Option<BatchRow>, StateError> {
        let sql = format!("SELECT {COLUMNS} FROM batches WHERE id = $1 AND stage < 4{}", self.words().for_update);
        tx.query(&sql, &[text(id)]).await?.into_iter().next().map(BatchRow::read).transpose()
    }

    pub(super) async fn batch(&self, tenant: Tenant, id: &str) -> Result<Option<BatchRecord>, StateError> {
        let mut tx = self.begin(Lane::Requests).await?;
        let sql = format!("SELECT {COLUMNS} FROM batches WHERE id = $1 AND tenant = $2 AND stage < 4");
        let rows = tx.query(&sql, &[text(id), bytes(tenant.as_bytes())]).await?;
        match rows.into_iter().next().map(BatchRow::read).transpose()? {
            Some(row) => row.live(&mut *tx).await.map(Some),
            None => Ok(None),
        }
    }

    /// A batch as its worker gets it.
    pub(super) fn held(&self, row: BatchRow) -> Held {
        let input = row
            .input
            .map(|InputRow { key, bytes, sha256, purpose }| Input { purpose, blob: self.blob(key, bytes, sha256) });
        Held {
            tenant: row.tenant,
            account: row.account,
            batch: Arc::new(row.record),
            input,
            deadline_ms: row.deadline,
            epoch: row.epoch,
            attempts: row.attempts,
        }
    }
}
