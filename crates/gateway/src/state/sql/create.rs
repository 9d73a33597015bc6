//! The making of batches, and the taking back of those whose making is in doubt.

use crate::blobs::Full;
use crate::state::sql::batches::{BatchRow, COLUMNS, Ending, Stage};
use crate::state::sql::cells::{Fields, bytes, count, int, maybe_int, maybe_text, text};
use crate::state::sql::charge::know_account;
use crate::state::sql::database::Database;
use crate::state::sql::{Lane, Transaction};
use crate::state::{BatchRecord, Created, NewBatch, StateError, Withdrawn};

/// An input file: where its bytes are, how many, their digest, its purpose.
type Found = (String, i64, String, String);

impl Database {
    pub(super) async fn create_batch(&self, new: &NewBatch) -> Result<Created, StateError> {
        let mut tx = self.begin(Lane::Requests).await?;
        if let Some(before) = self.repeated(&mut *tx, new).await? {
            return Ok(before);
        }
        let input = self.input(&mut *tx, new).await?;
        if new.needs_input && input.as_ref().is_none_or(|(.., purpose)| purpose != "batch") {
            return Ok(Created::NoInput(input.map(|(.., purpose)| purpose)));
        }
        let record = BatchRecord::new(new, tx.now_ms());
        if !insert(&mut *tx, new, &record, Stage::Validating, input.as_ref()).await? {
            // The same create, asked for once more.
            let there = find(&mut *tx, new).await?.filter(|row| row.stage != Stage::Withdrawn);
            return match there {
                Some(row) => Ok(Created::Made(row.live(&mut *tx).await?)),
                None => Err(StateError::NotDone("the batch was withdrawn before it was made".into())),
            };
        }
        // The account comes last: all creates of it wait for each other from here to the end.
        know_account(&mut *tx, &new.account).await?;
        let sql = "UPDATE accounts SET batches = batches + 1, last_seq = last_seq + 1 WHERE id = $1 AND batches < $2 \
                   RETURNING last_seq";
        let most = self.options.bounds.batches;
        let rows = tx.query(sql, &[bytes(new.account.as_bytes()), count(most)]).await?;
        let Some(row) = rows.into_iter().next() else { return Ok(Created::Full(Full::new(most, "batches"))) };
        let seq = Fields::from(row).int()?;
        tx.execute("UPDATE batches SET seq = $1 WHERE id = $2", &[int(seq), text(&new.id)]).await?;
        tx.commit().await?;
        Ok(Created::Made(record))
    }

    /// What the key has made before; none when it is new, and it is this batch's from now on.
    async fn repeated(&self, tx: &mut dyn Transaction, new: &NewBatch) -> Result<Option<Created>, StateError> {
        let Some((key, asked)) = &new.idempotency else { return Ok(None) };
        let sql = "INSERT INTO idempotency (tenant, key, asked, batch) VALUES ($1, $2, $3, $4) \
                   ON CONFLICT (tenant, key) DO NOTHING";
        let tenant = bytes(new.tenant.as_bytes());
        if tx.execute(sql, &[tenant.clone(), text(key), bytes(asked), text(&new.id)]).await? > 0 {
            return Ok(None);
        }
        let sql = "SELECT asked, batch FROM idempotency WHERE tenant = $1 AND key = $2";
        let Some(row) = tx.query(sql, &[tenant, text(key)]).await?.into_iter().next() else {
            return Err(StateError::NotDone("an idempotency key has gone meanwhile".into()));
        };
        let mut fields = Fields::from(row);
        let (before, id) = (fields.bytes()?, fields.text()?);
        if before != asked {
            return Ok(Some(Created::Conflict));
        }
        let sql = format!("SELECT {COLUMNS} FROM batches WHERE id = $1");
        let Some(row) = tx.query(&sql, &[text(&id)]).await?.into_iter().next() else {
            return Err(StateError::Corrupt("an idempotency key has made a batch that is missing".into()));
        };
        let batch = BatchRow::read(row)?.live(tx).await?;
        Ok(Some(if id == new.id { Created::Made(batch) } else { Created::Repeated(batch) }))
    }

    /// The input file, which cannot be deleted before the batch is made.
    async fn input(&self, tx: &mut dyn Transaction, new: &NewBatch) -> Result<Option<Found>, StateError> {
        let sql = format!(
            "SELECT blob, bytes, sha256, purpose FROM files WHERE id = $1 AND tenant = $2 AND gone IS NULL \
             AND (expires IS NULL OR expires > $3){}",
            self.words().for_share
        );
        let now = tx.now_ms().div_euclid(1000);
        let rows = tx.query(&sql, &[text(&new.input_file_id), bytes(new.tenant.as_bytes()), int(now)]).await?;
        let Some(row) = rows.into_iter().next() else { return Ok(None) };
        let mut fields = Fields::from(row);
        Ok(Some((fields.text()?, fields.int()?, fields.text()?, fields.text()?)))
    }

    /// Waits for a create that is on its way, and then either finds its batch or makes it impossible.
    pub(super) async fn withdraw(&self, new: &NewBatch) -> Result<Withdrawn, StateError> {
        let mut tx = self.begin(Lane::Requests).await?;
        let record = BatchRecord::new(new, tx.now_ms());
        if insert(&mut *tx, new, &record, Stage::Withdrawn, None).await? {
            tx.commit().await?;
            return Ok(Withdrawn::Never);
        }
        match find(&mut *tx, new).await? {
            Some(row) if row.stage != Stage::Withdrawn => Ok(Withdrawn::Exists(row.live(&mut *tx).await?)),
            _ => Ok(Withdrawn::Never),
        }
    }
}

async fn find(tx: &mut dyn Transaction, new: &NewBatch) -> Result<Option<BatchRow>, StateError> {
    let sql = format!("SELECT {COLUMNS} FROM batches WHERE id = $1");
    tx.query(&sql, &[text(&new.id)]).await?.into_iter().next().map(BatchRow::read).transpose()
}

/// Whether it was not there before. Its place in lists is given later.
async fn insert(
    tx: &mut dyn Transaction,
    new: &NewBatch,
    record: &BatchRecord,
    stage: Stage,
    input: Option<&Found>,
) -> Result<bool, StateError> {
    let now_ms = tx.now_ms();
    let window = i64::try_from(new.window.as_millis()).unwrap_or(i64::MAX);
    let text_of_record = serde_json::to_string(record).map_err(|error| StateError::NotDone(Box::new(error)))?;
    let sql = "INSERT INTO batches (id, account, tenant, made, stage, status, ending, stuck, deadline, epoch, attempts, \
               max_concurrency, input_blob, input_bytes, input_sha256, input_purpose, record) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, 0, 0, $9, $10, $11, $12, $13, $14) ON CONFLICT (id) DO NOTHING";
    let cells = [
        text(&record.id),
        bytes(new.account.as_bytes()),
        bytes(new.tenant.as_bytes()),
        int(now_ms),
        int(stage as i32),
        text(record.status.name()),
        int(Ending::Not as i32),
        int(now_ms.saturating_add(window)),
        count(new.max_concurrency as u64),
        maybe_text(input.map(|(key, ..)| key.as_str())),
        maybe_int(input.map(|(_, size, ..)| *size)),
        maybe_text(input.map(|(_, _, sha256, _)| sha256.as_str())),
        maybe_text(input.map(|(.., purpose)| purpose.as_str())),
        text(&text_of_record),
    ];
    Ok(tx.execute(sql, &cells).await? > 0)
}
