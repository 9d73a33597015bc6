//! Events on their way to those who want to know when a batch has ended. They are made in the transaction of its last step,
//! so that none is lost and none is of a step that was not taken.

use std::time::Duration;

use crate::state::record::status_named;
use crate::state::sql::batches::BatchRow;
use crate::state::sql::cells::{Fields, bytes, corrupt, count, int, text};
use crate::state::sql::database::Database;
use crate::state::sql::{Lane, Transaction, Words};
use crate::state::{Parcel, StateError};
use crate::tenant::Tenant;

/// How long a parcel that somebody has taken is nobody else's.
const TAKEN_MS: i64 = 60_000;

impl Database {
    /// What is to be sent when a batch has ended.
    pub(super) async fn tell(&self, tx: &mut dyn Transaction, row: &BatchRow) -> Result<(), StateError> {
        let now_ms = tx.now_ms();
        let status = row.record.status;
        for subscription in self.options.subscriptions.iter().filter(|to| to.statuses.contains(&status)) {
            let sql = "INSERT INTO outbox (id, endpoint, tenant, batch, status, created, tries, due) \
                       VALUES ($1, $2, $3, $4, $5, $6, 0, $7) ON CONFLICT DO NOTHING";
            let cells = [
                text(&subscription.event_id(&row.record.id, status)),
                text(&subscription.endpoint),
                bytes(row.tenant.as_bytes()),
                text(&row.record.id),
                text(status.name()),
                int(now_ms.div_euclid(1000)),
                int(now_ms),
            ];
            tx.execute(sql, &cells).await?;
        }
        Ok(())
    }

    pub(super) async fn due(&self, most: usize) -> Result<Vec<Parcel>, StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let now = tx.now_ms();
        let Words { for_update, skip_locked, .. } = self.words();
        let sql = format!(
            "UPDATE outbox SET due = $1 WHERE id IN \
             (SELECT id FROM outbox WHERE due <= $2 ORDER BY due, id LIMIT $3{for_update}{skip_locked}) \
             RETURNING id, endpoint, tenant, batch, status, created, tries"
        );
        let rows = tx.query(&sql, &[int(now.saturating_add(TAKEN_MS)), int(now), count(most as u64)]).await?;
        let mut parcels = Vec::with_capacity(rows.len());
        for row in rows {
            let mut fields = Fields::from(row);
            parcels.push(Parcel {
                id: fields.text()?,
                endpoint: fields.text()?,
                tenant: Tenant::new(fields.digest()?),
                batch: fields.text()?,
                status: status_named(&fields.text()?).ok_or_else(|| corrupt("there is no such status"))?,
                created_at: fields.int()?,
                tries: fields.count()?,
            });
        }
        tx.commit().await?;
        // The order of what a statement returns is nobody's promise.
        parcels.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        Ok(parcels)
    }

    pub(super) async fn done(&self, id: &str) -> Result<(), StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        tx.execute("DELETE FROM outbox WHERE id = $1", &[text(id)]).await?;
        tx.commit().await
    }

    pub(super) async fn put_off(&self, id: &str, pause: Duration) -> Result<(), StateError> {
        let mut tx = self.begin(Lane::Work).await?;
        let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        let due = tx.now_ms().saturating_add(pause);
        tx.execute("UPDATE outbox SET due = $1, tries = tries + 1 WHERE id = $2", &[int(due), text(id)]).await?;
        tx.commit().await
    }
}
