//! Workers: they join, they tell that they live, they give back what they hold, they leave. And the first thing that they
//! do with a batch.

use crate::contract::Status;
use crate::ids::hex;
use crate::state::sql::batches::{Ending, Stage};
use crate::state::sql::cells::{Fields, count, int, text};
use crate::state::sql::database::{Database, random};
use crate::state::sql::slices::SliceRow;
use crate::state::sql::{Cell, Lane, Transaction, schema, slices};
use crate::state::{BatchRecord, Beat, Held, Slice, StateError, Worker};

/// Slices that are kept with one statement.
const ROWS: usize = 50;

impl Database {
    pub(super) async fn join(&self) -> Result<Worker, StateError> {
        let id = format!("worker-{}", hex(&random().map_err(|error| StateError::NotDone(Box::new(error)))?));
        let mut tx = self.begin(Lane::Work).await?;
        let until = self.lease_until(&*tx);
        tx.execute("INSERT INTO workers (id, lease_until, dead) VALUES ($1, $2, 0)", &[text(&id), int(until)]).await?;
        tx.commit().await?;
        Ok(Worker { id })
    }

    fn lease_until(&self, tx: &dyn Transaction) -> i64 {
        let lease =
            self.engine().lease().map_or(i64::MAX, |lease| i64::try_from(lease.as_millis()).unwrap_or(i64::MAX));
        tx.now_ms().saturating_add(lease)
    }

    pub(super) async fn heartbeat(&self, me: &Worker) -> Result<Beat, StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        if let (Some(_), Err(newer)) = (self.engine().lease(), schema::check(&mut *tx).await?) {
            return Err(StateError::NotDone(Box::new(newer)));
        }
        let now = tx.now_ms();
        let until = self.lease_until(&*tx);
        let sql = "UPDATE workers SET lease_until = $1 WHERE id = $2 AND dead = 0";
        if tx.execute(sql, &[int(until), text(&me.id)]).await? == 0 {
            return Ok(Beat::Lost);
        }
        let sql = "SELECT b.id FROM batches b WHERE b.stage < 3 AND b.worker = $1 AND b.ending <> 0 \
                   UNION SELECT b.id FROM batches b JOIN slices s ON s.batch = b.id \
                   WHERE s.state = 1 AND s.worker = $1 AND (b.ending <> 0 OR b.deadline <= $2) ORDER BY 1";
        let rows = tx.query(sql, &[text(&me.id), int(now)]).await?;
        let ending = rows.into_iter().map(|row| Fields::from(row).text()).collect::<Result<_, _>>()?;
        tx.commit().await?;
        Ok(Beat::Alive(ending))
    }

    pub(super) async fn validated(
        &self,
        me: &Worker,
        held: &Held,
        cut: &[Slice],
        model: Option<&str>,
    ) -> Result<Option<BatchRecord>, StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let is_alive = self.lives(&mut *tx, me).await?;
        let Some(mut row) = self.lock(&mut *tx, &held.batch.id).await? else { return Ok(None) };
        if !is_alive || !row.is_held(me, held) || row.stage != Stage::Validating {
            return Ok(None);
        }
        let now_ms = tx.now_ms();
        if row.ending == Ending::Not {
            insert(&mut *tx, &row.record.id, cut).await?;
            row.record.counts.total = cut.iter().map(|slice| u64::from(slice.lines)).sum();
            row.record.model = model.map(str::to_owned);
            row.record.enter(Status::InProgress, now_ms.div_euclid(1000));
            row.stage = Stage::Running;
            row.attempts = 0;
            row.let_go();
            if row.deadline <= now_ms {
                row.ending = Ending::Expired;
            }
            self.settle_stage(&mut *tx, &mut row).await?;
        } else {
            row.begin_to_finish(now_ms);
        }
        row.save(&mut *tx).await?;
        let record = row.live(&mut *tx).await?;
        tx.commit().await?;
        Ok(Some(record))
    }

    pub(super) async fn give_back(
        &self,
        me: &Worker,
        held: &Held,
        slice: Option<(u32, i64)>,
    ) -> Result<(), StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let Some(mut row) = self.lock(&mut *tx, &held.batch.id).await? else { return Ok(()) };
        match slice {
            None if row.is_held(me, held) && row.stage < Stage::Over => self.free(&mut *tx, &mut row).await?,
            None => return Ok(()),
            Some((number, epoch)) => {
                let Some(slice) = self.slice_row(&mut *tx, &row.record.id, number).await? else { return Ok(()) };
                if slice.worker.as_ref() != Some(&me.id) || slice.epoch != epoch {
                    return Ok(());
                }
                self.free_slice(&mut *tx, &row.record.id, &slice, false).await?;
            }
        }
        self.settle_stage(&mut *tx, &mut row).await?;
        row.save(&mut *tx).await?;
        tx.commit().await
    }

    /// Gives a batch back; if it was to be validated and is to end, nothing is left to do but that.
    pub(super) async fn free(
        &self,
        tx: &mut dyn Transaction,
        row: &mut super::batches::BatchRow,
    ) -> Result<(), StateError> {
        row.let_go();
        if row.stage == Stage::Validating && row.ending != Ending::Not {
            row.begin_to_finish(tx.now_ms());
        }
        Ok(())
    }

    pub(super) async fn slice_row(
        &self,
        tx: &mut dyn Transaction,
        batch: &str,
        number: u32,
    ) -> Result<Option<SliceRow>, StateError> {
        let sql = format!(
            "SELECT {} FROM slices WHERE batch = $1 AND number = $2{}",
            slices::COLUMNS,
            self.words().for_update
        );
        tx.query(&sql, &[text(batch), int(number)]).await?.into_iter().next().map(SliceRow::read).transpose()
    }

    pub(super) async fn leave(&self, me: &Worker) -> Result<(), StateError> {
        self.take_from(&me.id, false).await
    }
}

async fn insert(tx: &mut dyn Transaction, batch: &str, cut: &[Slice]) -> Result<(), StateError> {
    for group in cut.chunks(ROWS) {
        let mut cells: Vec<Cell> = vec![text(batch)];
        let mut values = Vec::with_capacity(group.len());
        for slice in group {
            let n = cells.len();
            let [a, b, c, d, e] = [n + 1, n + 2, n + 3, n + 4, n + 5];
            values.push(format!("($1, ${a}, ${b}, ${c}, ${d}, ${e}, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)"));
            cells.extend([
                int(slice.number),
                count(slice.first_line),
                int(slice.lines),
                count(slice.start),
                count(slice.bytes),
            ]);
        }
        let sql = format!(
            "INSERT INTO slices (batch, number, first_line, lines, start_at, size, state, epoch, slots, sent, attempts, ok, \
             failed, resent, input_tokens, cached_tokens, output_tokens, reasoning_tokens) VALUES {}",
            values.join(", ")
        );
        tx.execute(&sql, &cells).await?;
    }
    Ok(())
}
