//! Owns the result lines of a batch and the files they end up in: successes in the output file,
//! everything else in the error file. Never orders them; they come as lines are done.

use std::io;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::app::App;
use crate::auth::Tenant;
use crate::executor::LineAnswer;
use crate::expiry::default_life;
use crate::store::{BatchRecord, FileRecord, Spool};
use crate::view::RESULT_PURPOSE;

/// Why a line has no HTTP answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unanswered {
    Expired,
    Cancelled,
    /// The gateway itself broke on it.
    Broken,
}

impl Unanswered {
    fn error(self) -> Value {
        let (code, message) = match self {
            Unanswered::Expired => {
                ("batch_expired", "This request could not be executed before the completion window expired.")
            }
            Unanswered::Cancelled => {
                ("batch_cancelled", "This request was not executed because the batch was cancelled.")
            }
            Unanswered::Broken => ("processing_error", "The request could not be processed."),
        };
        json!({"code": code, "message": message})
    }
}

/// The two result files in the making. Neither exists before its first line.
pub(super) struct Results {
    app: Arc<App>,
    output: Option<Spool>,
    error: Option<Spool>,
}

impl Results {
    pub(super) fn new(app: &Arc<App>) -> Results {
        Results { app: Arc::clone(app), output: None, error: None }
    }

    /// Writes an HTTP answer; returns whether it is a success.
    pub(super) async fn answered(&mut self, custom_id: &str, answer: &LineAnswer) -> io::Result<bool> {
        let success = (200..300).contains(&answer.status_code);
        let response = json!({
            "status_code": answer.status_code,
            "request_id": self.app.ids.next("req_"),
            "body": answer.body,
        });
        self.write(success, custom_id, response, Value::Null).await?;
        Ok(success)
    }

    /// Writes a line for a request that got no answer.
    pub(super) async fn unanswered(&mut self, custom_id: &str, why: Unanswered) -> io::Result<()> {
        self.write(false, custom_id, Value::Null, why.error()).await
    }

    async fn write(&mut self, success: bool, custom_id: &str, response: Value, error: Value) -> io::Result<()> {
        let id = self.app.ids.next("batch_req_");
        let line = json!({"id": id, "custom_id": custom_id, "response": response, "error": error});
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        let slot = if success { &mut self.output } else { &mut self.error };
        let spool = match slot {
            Some(spool) => spool,
            None => slot.insert(self.app.disk.spool().await?),
        };
        spool.write(&bytes).await
    }

    /// Makes files of what was written; returns the ids of the output and of the error file.
    pub(super) async fn keep(
        self,
        app: &App,
        tenant: Tenant,
        batch: &BatchRecord,
    ) -> io::Result<(Option<String>, Option<String>)> {
        Ok((
            keep(app, tenant, batch, self.output, "output").await?,
            keep(app, tenant, batch, self.error, "error").await?,
        ))
    }
}

async fn keep(
    app: &App,
    tenant: Tenant,
    batch: &BatchRecord,
    spool: Option<Spool>,
    role: &str,
) -> io::Result<Option<String>> {
    let Some(spool) = spool else { return Ok(None) };
    let created_at = app.clock.now();
    let lives = batch.output_expires_after.or_else(|| default_life(batch.origin, RESULT_PURPOSE));
    let file = FileRecord {
        id: app.ids.next("file-"),
        filename: format!("{}_{role}.jsonl", batch.id),
        purpose: RESULT_PURPOSE.to_owned(),
        media_type: None,
        created_at,
        expires_at: lives.map(|seconds| created_at.saturating_add(seconds)),
        blob: Arc::new(spool.seal().await?),
    };
    Ok(Some(app.store.add_file(tenant, file).id.clone()))
}
