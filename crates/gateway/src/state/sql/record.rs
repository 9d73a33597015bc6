//! Keeps answers: each segment once, however often it is told, and none of who no longer holds its slice.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;

use crate::state::sql::batches::{BatchRow, Ending, Stage};
use crate::state::sql::cells::{bytes, count, int, maybe_int, text};
use crate::state::sql::database::Database;
use crate::state::sql::slices::{DONE, HELD, pack};
use crate::state::sql::{Cell, Lane, Transaction};
use crate::state::{Fate, Segment, StateError, Worker};

/// Longer segments are kept beside the database.
const LONGEST: usize = 256 * 1024;

/// Deaths that a slice is left with when a line that was behind them is out of it: the others go one by one all the same,
/// and the next death is not their fault at once.
const ATTEMPTS_AFTER_POISON: i32 = 3;

impl Database {
    pub(super) async fn record(&self, me: &Worker, group: &[Segment]) -> Result<Vec<Fate>, StateError> {
        // A key for each that is long: another one for each try.
        let mut beside: Vec<Option<String>> = Vec::with_capacity(group.len());
        for segment in group {
            beside.push(if segment.lines.len() > LONGEST { Some(self.put(&segment.lines).await?) } else { None });
        }
        let mut tx = self.begin(Lane::Work).await?;
        let mut fates = vec![Fate::Fenced; group.len()];
        if self.lives(&mut *tx, me).await? {
            let mut batches: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
            for (at, segment) in group.iter().enumerate() {
                batches.entry(&segment.batch).or_default().push(at);
            }
            // Batches in one order, and each before its slices: two transactions never wait for each other, and of two who
            // end the last two slices the second sees the first.
            for (id, mut segments) in batches {
                let Some(mut row) = self.lock(&mut *tx, id).await? else { continue };
                segments.sort_by_key(|at| group.get(*at).map(|segment| segment.slice));
                self.record_batch(&mut *tx, me, &mut row, group, &segments, &beside, &mut fates).await?;
            }
        }
        for (fate, key) in fates.iter().zip(&beside) {
            if let (Fate::Fenced, Some(key)) = (fate, key) {
                let now = tx.now_ms();
                let sql = "UPDATE blobs SET state = 2, due = $1 WHERE key = $2 AND state = 0";
                tx.execute(sql, &[int(now), text(key)]).await?;
            }
        }
        tx.commit().await?;
        Ok(fates)
    }

    #[expect(clippy::too_many_arguments, reason = "one step of the transaction above")]
    async fn record_batch(
        &self,
        tx: &mut dyn Transaction,
        me: &Worker,
        row: &mut BatchRow,
        group: &[Segment],
        segments: &[usize],
        beside: &[Option<String>],
        fates: &mut [Fate],
    ) -> Result<(), StateError> {
        let mut last = None;
        for at in segments {
            let (Some(segment), Some(key)) = (group.get(*at), beside.get(*at)) else { continue };
            let fate = self.record_one(tx, me, segment, key.as_deref()).await?;
            if matches!(fate, Kept::Now) {
                last = Some(*at);
            }
            if let (true, Some(place)) = (!matches!(fate, Kept::Not), fates.get_mut(*at)) {
                *place = Fate::Kept(None);
            }
        }
        let (Some(last), Stage::Running) = (last, row.stage) else { return Ok(()) };
        self.settle_stage(tx, row).await?;
        if row.stage == Stage::Finishing {
            row.save(tx).await?;
            if let (Ending::Not, Some(place)) = (row.ending, fates.get_mut(last)) {
                let mut record = row.record.clone();
                super::batches::sum_up(tx, &mut record).await?;
                *place = Fate::Kept(Some(record));
            }
        }
        Ok(())
    }

    async fn record_one(
        &self,
        tx: &mut dyn Transaction,
        me: &Worker,
        segment: &Segment,
        key: Option<&str>,
    ) -> Result<Kept, StateError> {
        let place = [text(&segment.batch), int(segment.slice), int(segment.epoch), int(segment.number)];
        let sql = "SELECT number FROM segments WHERE batch = $1 AND slice = $2 AND epoch = $3 AND number = $4";
        if !tx.query(sql, &place).await?.is_empty() {
            if let Some(key) = key {
                let now = tx.now_ms();
                tx.execute("UPDATE blobs SET state = 2, due = $1 WHERE key = $2", &[int(now), text(key)]).await?;
            }
            return Ok(Kept::Before);
        }
        let row = self.slice_row(tx, &segment.batch, segment.slice).await?;
        let is_mine = |state: i64, worker: Option<&String>, epoch: i64| {
            state == i64::from(HELD) && worker == Some(&me.id) && epoch == segment.epoch
        };
        let Some(slice) = row.filter(|row| is_mine(row.state, row.worker.as_ref(), row.epoch)) else {
            return Ok(Kept::Not);
        };
        let [batch, number, epoch, n] = place;
        let (lines, blob) = match key {
            Some(key) => (Cell::Null, text(key)),
            None => (bytes(&segment.lines), Cell::Null),
        };
        let sql = "INSERT INTO segments (batch, slice, epoch, number, answered, lines, blob) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let cells = [batch.clone(), number.clone(), epoch, n, bytes(&pack(&segment.answered)), lines, blob];
        tx.execute(sql, &cells).await?;
        if let Some(key) = key
            && tx.execute("UPDATE blobs SET state = 1 WHERE key = $1 AND state = 0", &[text(key)]).await? == 0
        {
            return Err(StateError::NotDone("the answers were put too long ago".into()));
        }
        let ok = segment.answered.iter().filter(|answered| answered.ok).count();
        let failed = segment.answered.len() - ok;
        let all = slice.answered as usize + segment.answered.len();
        let is_done = segment.is_last || all >= slice.slice.lines as usize;
        let is_cured = slice.poisoned.is_some_and(|line| segment.answered.iter().any(|answered| answered.line == line));
        let (state, worker, slots) = if is_done { (DONE, "NULL", "0") } else { (HELD, "worker", "slots") };
        let attempts = if is_cured { ATTEMPTS_AFTER_POISON.to_string() } else { "attempts".to_owned() };
        let sql = format!(
            "UPDATE slices SET state = {state}, worker = {worker}, slots = {slots}, attempts = {attempts}, ok = ok + $1, \
             failed = failed + $2, input_tokens = input_tokens + $3, cached_tokens = cached_tokens + $4, \
             output_tokens = output_tokens + $5, reasoning_tokens = reasoning_tokens + $6, sent = $7, poisoned = $8 \
             WHERE batch = $9 AND number = $10"
        );
        let usage = &segment.usage;
        let cells = [
            count(ok as u64),
            count(failed as u64),
            count(usage.input),
            count(usage.cached),
            count(usage.output),
            count(usage.reasoning),
            int(slice.sent.max(segment.sent).min(slice.slice.lines)),
            maybe_int(slice.poisoned.filter(|_| !is_cured)),
            batch,
            number,
        ];
        tx.execute(&sql, &cells).await?;
        Ok(Kept::Now)
    }

    /// Bytes beside the database, which a transaction is to name.
    async fn put(&self, lines: &Bytes) -> Result<String, StateError> {
        let not_done = |error: io::Error| StateError::NotDone(Box::new(error));
        let key = self.new_key().map_err(not_done)?;
        let mut tx = self.begin(Lane::Work).await?;
        self.add_pending(&mut *tx, &key, None).await?;
        tx.commit().await?;
        let mut sink = self.blobs.begin(&key).await.map_err(not_done)?;
        sink.write(lines.clone()).await.map_err(not_done)?;
        sink.finish().await.map_err(not_done)?;
        Ok(key)
    }
}

/// What became of one segment.
enum Kept {
    Now,
    Before,
    Not,
}
