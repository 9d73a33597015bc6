//! What was answered, for who puts the result files together.

use bytes::Bytes;
use tokio::io::AsyncReadExt;

use crate::state::sql::cells::{Fields, corrupt, int, text};
use crate::state::sql::database::Database;
use crate::state::sql::slices::{self, SliceRow, unpack};
use crate::state::sql::{Cell, Lane};
use crate::state::{Held, Recorded, Results, StateError};

impl Database {
    pub(super) async fn results(&self, held: &Held) -> Result<Results, StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let sql = format!("SELECT {} FROM slices WHERE batch = $1 ORDER BY number", slices::COLUMNS);
        let rows = tx.query(&sql, &[text(&held.batch.id)]).await?;
        let slices = rows.into_iter().map(|row| Ok(SliceRow::read(row)?.slice)).collect::<Result<_, StateError>>()?;
        Ok(Results::Slices(slices))
    }

    /// All segments of a slice, in the order in which its answers came.
    pub(super) async fn recorded(&self, held: &Held, slice: u32) -> Result<Vec<Recorded>, StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let sql = "SELECT answered, lines, blob FROM segments WHERE batch = $1 AND slice = $2 ORDER BY epoch, number";
        let cells: [Cell; 2] = [text(&held.batch.id), int(slice)];
        let rows = tx.query(sql, &cells).await?;
        // Nothing is read from beside the database while others wait for this transaction.
        drop(tx);
        let mut recorded = Vec::with_capacity(rows.len());
        for row in rows {
            let mut fields = Fields::from(row);
            let answered = unpack(&fields.bytes()?)?;
            let lines = match (fields.maybe_bytes()?, fields.maybe_text()?) {
                (Some(lines), _) => lines,
                (None, Some(key)) => {
                    let mut lines = Vec::new();
                    let not_done = |error| StateError::NotDone(Box::new(error));
                    let mut reader = self.blobs.read(&key, 0).await.map_err(not_done)?;
                    reader.read_to_end(&mut lines).await.map_err(not_done)?;
                    lines
                }
                (None, None) => return Err(corrupt("a segment has no lines")),
            };
            recorded.push(Recorded { answered, lines: Bytes::from(lines) });
        }
        Ok(recorded)
    }
}
