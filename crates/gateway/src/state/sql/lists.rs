//! Lists. Their order is that of a number which is given under the lock of the account, so that nothing appears before what
//! a reader has seen already; what is gone stays a place for a while.

use std::sync::Arc;

use crate::state::sql::batches::{BatchRow, COLUMNS};
use crate::state::sql::cells::{Fields, bytes, count, int, text};
use crate::state::sql::database::Database;
use crate::state::sql::files::FILE;
use crate::state::sql::{Cell, Lane, Transaction};
use crate::state::{BatchRecord, FileRecord, Page, Query, StateError, UnknownCursor};
use crate::tenant::Tenant;

/// From where on a list is read, and in which direction.
struct From {
    seq: i64,
    sign: &'static str,
    order: &'static str,
}

impl Database {
    pub(super) async fn files(&self, tenant: Tenant, query: &Query) -> Result<Page<Arc<FileRecord>>, StateError> {
        let mut tx = self.begin(Lane::Requests).await?;
        let place = "SELECT seq FROM files WHERE tenant = $1 AND id = $2";
        let Some(From { seq, sign, order }) = from(&mut *tx, place, tenant, query).await? else {
            return Ok(Err(UnknownCursor));
        };
        let now = tx.now_ms().div_euclid(1000);
        let mut cells = vec![bytes(tenant.as_bytes()), int(seq), int(now)];
        let mut wanted = String::new();
        for (column, value) in [("purpose", &query.purpose), ("sha256", &query.sha256)] {
            if let Some(value) = value {
                cells.push(text(value));
                wanted += &format!(" AND {column} = ${}", cells.len());
            }
        }
        cells.push(most(query));
        let sql = format!(
            "SELECT {FILE} FROM files WHERE tenant = $1 AND seq {sign} $2 AND gone IS NULL \
             AND (expires IS NULL OR expires > $3){wanted} ORDER BY seq {order} LIMIT ${}",
            cells.len()
        );
        let rows = tx.query(&sql, &cells).await?;
        let files = rows.into_iter().map(|row| self.read_file(row)).collect::<Result<Vec<_>, _>>()?;
        Ok(Ok(page(files, query, |file| &file.id)))
    }

    pub(super) async fn batches(&self, tenant: Tenant, query: &Query) -> Result<Page<BatchRecord>, StateError> {
        let mut tx = self.begin(Lane::Requests).await?;
        let place = "SELECT seq FROM batches WHERE tenant = $1 AND id = $2 AND seq IS NOT NULL";
        let Some(From { seq, sign, order }) = from(&mut *tx, place, tenant, query).await? else {
            return Ok(Err(UnknownCursor));
        };
        let sql =
            format!("SELECT {COLUMNS} FROM batches WHERE tenant = $1 AND seq {sign} $2 ORDER BY seq {order} LIMIT $3");
        let rows = tx.query(&sql, &[bytes(tenant.as_bytes()), int(seq), most(query)]).await?;
        let rows = rows.into_iter().map(BatchRow::read).collect::<Result<Vec<_>, _>>()?;
        let (rows, more) = page(rows, query, |row| &row.record.id);
        let mut batches = Vec::with_capacity(rows.len());
        for row in rows {
            batches.push(row.live(&mut *tx).await?);
        }
        Ok(Ok((batches, more)))
    }
}

/// None when the list never had what it is to go on after.
async fn from(
    tx: &mut dyn Transaction,
    place: &str,
    tenant: Tenant,
    query: &Query,
) -> Result<Option<From>, StateError> {
    let (sign, order, mut seq) = if query.oldest_first { (">", "ASC", 0) } else { ("<", "DESC", i64::MAX) };
    if let Some(after) = &query.after {
        let rows = tx.query(place, &[bytes(tenant.as_bytes()), text(after)]).await?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        seq = Fields::from(row).int()?;
    }
    Ok(Some(From { seq, sign, order }))
}

/// One more than are asked for tells whether there are more; those that are hidden are left out here.
fn most(query: &Query) -> Cell {
    count((query.limit + query.hidden.len()) as u64 + 1)
}

fn page<T>(mut things: Vec<T>, query: &Query, id: impl Fn(&T) -> &String) -> (Vec<T>, bool) {
    things.retain(|thing| !query.hidden.contains(id(thing)));
    let more = things.len() > query.limit;
    things.truncate(query.limit);
    (things, more)
}
