//! Slices as rows, and which of their lines are answered.

use crate::state::sql::cells::{Fields, corrupt, int, text};
use crate::state::sql::{Row, Transaction};
use crate::state::{Answered, Slice, StateError};

/// What [`SliceRow::read`] reads.
pub(super) const COLUMNS: &str =
    "number, first_line, lines, start_at, size, state, worker, epoch, sent, attempts, ok, failed, poisoned";

/// Whether a slice waits, is in somebody's hands, or has all of its answers.
pub(super) const READY: i32 = 0;
pub(super) const HELD: i32 = 1;
pub(super) const DONE: i32 = 2;

/// One slice of a batch that is locked.
#[derive(Debug)]
pub(super) struct SliceRow {
    pub(super) slice: Slice,
    pub(super) state: i64,
    pub(super) worker: Option<String>,
    pub(super) epoch: i64,
    pub(super) sent: u32,
    pub(super) attempts: u32,
    pub(super) answered: u32,
    pub(super) poisoned: Option<u32>,
}

impl SliceRow {
    pub(super) fn read(row: Row) -> Result<SliceRow, StateError> {
        let mut fields = Fields::from(row);
        let slice = Slice {
            number: fields.count()?,
            first_line: fields.count()?,
            lines: fields.count()?,
            start: fields.count()?,
            bytes: fields.count()?,
        };
        let (state, worker, epoch) = (fields.int()?, fields.maybe_text()?, fields.int()?);
        let (sent, attempts) = (fields.count()?, fields.count()?);
        let answered = fields.count::<u32>()?.saturating_add(fields.count()?);
        let poisoned = fields.maybe_int()?.map(u32::try_from).transpose();
        let poisoned = poisoned.map_err(|_| corrupt("a line is out of bounds"))?;
        Ok(SliceRow { slice, state, worker, epoch, sent, attempts, answered, poisoned })
    }
}

/// How many slots are held of a batch.
pub(super) async fn held_slots(tx: &mut dyn Transaction, batch: &str) -> Result<i64, StateError> {
    let sql = "SELECT CAST(COALESCE(SUM(slots), 0) AS BIGINT) FROM slices WHERE batch = $1 AND state = 1";
    let rows = tx.query(sql, &[text(batch)]).await?;
    rows.into_iter().next().map_or(Ok(0), |row| Fields::from(row).int())
}

/// For each line of a slice whether it is answered. A statement of its own, after the slice is locked: one that waits for
/// the lock would not see what was committed meanwhile.
pub(super) async fn answered(tx: &mut dyn Transaction, batch: &str, slice: Slice) -> Result<Vec<bool>, StateError> {
    let mut lines = vec![false; slice.lines as usize];
    let sql = "SELECT answered FROM segments WHERE batch = $1 AND slice = $2";
    for row in tx.query(sql, &[text(batch), int(slice.number)]).await? {
        for answered in unpack(&Fields::from(row).bytes()?)? {
            if let Some(line) = lines.get_mut(answered.line as usize) {
                *line = true;
            }
        }
    }
    Ok(lines)
}

/// Of one answer: its line, whether it is a success, and its length.
const PACKED: usize = 9;

pub(super) fn pack(answered: &[Answered]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(answered.len() * PACKED);
    for Answered { line, ok, bytes } in answered {
        packed.extend(line.to_le_bytes());
        packed.push(u8::from(*ok));
        packed.extend(bytes.to_le_bytes());
    }
    packed
}

pub(super) fn unpack(packed: &[u8]) -> Result<Vec<Answered>, StateError> {
    let (answers, rest) = packed.as_chunks::<PACKED>();
    if !rest.is_empty() {
        return Err(corrupt("a segment is cut"));
    }
    let read = |&[a, b, c, d, ok, e, f, g, h]: &[u8; PACKED]| Answered {
        line: u32::from_le_bytes([a, b, c, d]),
        ok: ok != 0,
        bytes: u32::from_le_bytes([e, f, g, h]),
    };
    Ok(answers.iter().map(read).collect())
}
