//! Who gets what to do. What a batch needs as a whole goes before slices, and of slices those of the account and of the
//! batch that have the fewest lines in flight.

use crate::state::sql::batches::{Ending, Stage};
use crate::state::sql::cells::{Fields, count, int, text};
use crate::state::sql::database::Database;
use crate::state::sql::slices::{self, READY, SliceRow, answered, held_slots};
use crate::state::sql::{Cell, Lane, Transaction};
use crate::state::{Claim, StateError, Work, Worker};

/// After so many deaths of their workers the lines of a slice go one by one.
const SINGLY: u32 = 3;

/// How often another is looked for when somebody else was quicker.
const TRIES: usize = 4;

/// Lines that may be sent without being asked for once more, as many times the slots.
const AHEAD: u32 = 2;

/// What came of looking for a slice.
enum Found {
    Slice(Box<Claim>),
    Nothing,
    /// Somebody else was quicker.
    Taken,
}

impl Database {
    pub(super) async fn claim(&self, me: &Worker, slots: u32, batch: Option<&str>) -> Result<Option<Work>, StateError> {
        for _ in 0..TRIES {
            let mut tx = self.begin(Lane::Work).await?;
            if !self.lives(&mut *tx, me).await? {
                return Ok(None);
            }
            self.end_window(&mut *tx, batch).await?;
            let work = match self.whole(&mut *tx, me, batch).await? {
                Some(work) => Some(work),
                None if slots == 0 => None,
                None => match self.slice(&mut *tx, me, slots, batch).await? {
                    Found::Slice(claim) => Some(Work::Execute(claim)),
                    Found::Nothing => None,
                    Found::Taken => continue,
                },
            };
            tx.commit().await?;
            return Ok(work);
        }
        Ok(None)
    }

    /// Whether this worker has not been given up. It cannot be, until the end of the transaction.
    pub(super) async fn lives(&self, tx: &mut dyn Transaction, me: &Worker) -> Result<bool, StateError> {
        let sql = format!("SELECT dead FROM workers WHERE id = $1{}", self.words().for_share);
        let rows = tx.query(&sql, &[text(&me.id)]).await?;
        rows.into_iter().next().map_or(Ok(false), |row| Ok(Fields::from(row).int()? == 0))
    }

    /// A batch whose window is over is not worked on any more.
    async fn end_window(&self, tx: &mut dyn Transaction, batch: Option<&str>) -> Result<(), StateError> {
        let now = int(tx.now_ms());
        let free = self.free_of("b");
        let (only, cells) = of_batch(batch, "$2", vec![now]);
        let sql = format!(
            "SELECT b.id FROM batches b WHERE b.stage = 1 AND b.ending = 0 AND b.stuck = 0 AND b.deadline <= $1{only} \
             ORDER BY b.deadline LIMIT 1{free}"
        );
        for row in tx.query(&sql, &cells).await? {
            self.begin_expiry(tx, &Fields::from(row).text()?).await?;
        }
        Ok(())
    }

    /// A batch that is to be validated or finished.
    async fn whole(
        &self,
        tx: &mut dyn Transaction,
        me: &Worker,
        batch: Option<&str>,
    ) -> Result<Option<Work>, StateError> {
        let free = self.free_of("b");
        let (only, cells) = of_batch(batch, "$1", Vec::new());
        let sql = format!(
            "SELECT b.id FROM batches b WHERE b.stage IN (0, 2) AND b.stage < 3 AND b.worker IS NULL AND b.stuck = 0{only} \
             ORDER BY b.stage DESC, b.made, b.seq LIMIT 1{free}"
        );
        let Some(row) = tx.query(&sql, &cells).await?.into_iter().next() else { return Ok(None) };
        let Some(mut row) = self.lock(tx, &Fields::from(row).text()?).await? else { return Ok(None) };
        row.worker = Some(me.id.clone());
        row.epoch += 1;
        row.save(tx).await?;
        if row.stage == Stage::Validating {
            return Ok(Some(Work::Validate(self.held(row))));
        }
        super::batches::sum_up(tx, &mut row.record).await?;
        Ok(Some(Work::Finish(self.held(row))))
    }

    async fn slice(
        &self,
        tx: &mut dyn Transaction,
        me: &Worker,
        slots: u32,
        batch: Option<&str>,
    ) -> Result<Found, StateError> {
        let free = self.free_of("b");
        // Of slices that workers have died with each worker has one at a time: else the others of them would be in flight at
        // the next death as well, and be blamed for it.
        let sql = format!("SELECT number FROM slices WHERE state = 1 AND worker = $1 AND attempts >= {SINGLY} LIMIT 1");
        let is_at_risk = !tx.query(&sql, &[text(&me.id)]).await?.is_empty();
        let calm = if is_at_risk { format!(" AND r.attempts < {SINGLY}") } else { String::new() };
        let (only, cells) = of_batch(batch, "$2", vec![int(tx.now_ms())]);
        let sql = format!(
            "WITH held AS (SELECT batch, SUM(slots) AS slots FROM slices WHERE state = 1 GROUP BY batch), \
             accounts_held AS (SELECT o.account AS account, SUM(h.slots) AS slots FROM held h \
             JOIN batches o ON o.id = h.batch GROUP BY o.account) \
             SELECT b.id FROM batches b LEFT JOIN held h ON h.batch = b.id \
             LEFT JOIN accounts_held a ON a.account = b.account \
             WHERE b.stage = 1 AND b.ending = 0 AND b.stuck = 0 AND b.deadline > $1{only} \
             AND COALESCE(h.slots, 0) < b.max_concurrency \
             AND EXISTS (SELECT 1 FROM slices r WHERE r.batch = b.id AND r.state = 0{calm}) \
             ORDER BY COALESCE(a.slots, 0), COALESCE(h.slots, 0), b.made, b.seq LIMIT 1{free}"
        );
        let Some(row) = tx.query(&sql, &cells).await?.into_iter().next() else { return Ok(Found::Nothing) };
        let Some(batch) = self.lock(tx, &Fields::from(row).text()?).await? else { return Ok(Found::Taken) };
        // What was read before the lock may have changed.
        let left = batch.max_concurrency.saturating_sub(held_slots(tx, &batch.record.id).await?);
        let is_open = batch.stage == Stage::Running && batch.ending == Ending::Not;
        let sql = format!(
            "SELECT {} FROM slices r WHERE r.batch = $1 AND r.state = {READY}{calm} ORDER BY r.number LIMIT 1{}",
            slices::COLUMNS,
            self.words().for_update
        );
        let row = tx.query(&sql, &[text(&batch.record.id)]).await?.into_iter().next();
        let (true, Some(row), Ok(left @ 1..)) = (is_open, row, u32::try_from(left.min(u32::MAX.into()))) else {
            return Ok(Found::Taken);
        };
        let row = SliceRow::read(row)?;
        let lines = answered(tx, &batch.record.id, row.slice).await?;
        let unanswered = u32::try_from(lines.iter().filter(|line| !**line).count()).unwrap_or(u32::MAX);
        let singly = row.attempts >= SINGLY;
        let slots = if singly { 1 } else { slots.min(left).min(unanswered.max(1)) };
        let sent = if singly { place(&lines, 1) } else { place(&lines, slots.saturating_mul(AHEAD)) };
        // Lines that may have gone out before and go out again: an upper bound.
        let again = lines.iter().take(row.sent as usize).filter(|line| !**line).count();
        let epoch = row.epoch + 1;
        let sql = "UPDATE slices SET state = 1, worker = $1, epoch = $2, slots = $3, sent = $4, resent = resent + $5 \
                   WHERE batch = $6 AND number = $7";
        let (id, again) = (text(&batch.record.id), count(again as u64));
        let cells = [text(&me.id), int(epoch), int(slots), int(sent), again, id, int(row.slice.number)];
        tx.execute(sql, &cells).await?;
        Ok(Found::Slice(Box::new(Claim {
            held: self.held(batch),
            slice: row.slice,
            epoch,
            answered: lines,
            slots,
            sent,
            attempts: row.attempts,
            poisoned: row.poisoned,
        })))
    }
}

/// Only this batch, if one is named: what that adds to a statement and its values.
fn of_batch(batch: Option<&str>, parameter: &str, mut cells: Vec<Cell>) -> (String, Vec<Cell>) {
    match batch {
        Some(batch) => {
            cells.push(text(batch));
            (format!(" AND b.id = {parameter}"), cells)
        }
        None => (String::new(), cells),
    }
}

/// The place below which there are so many lines without an answer.
fn place(answered: &[bool], most: u32) -> u32 {
    let unanswered = answered.iter().enumerate().filter(|(_, answered)| !**answered);
    let last = unanswered.take(most as usize).last().map_or(0, |(line, _)| line + 1);
    u32::try_from(last).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_out_below_a_place_that_answers_move_on() {
        let answered = [true, false, true, false, false];
        assert_eq!([1, 2, 3, 9].map(|most| place(&answered, most)), [2, 4, 5, 5]);
        assert_eq!(place(&[true, true], 4), 0);
        assert_eq!(place(&[], 4), 0);
    }
}
