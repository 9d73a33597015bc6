//! Writes the result lines of a batch as lines are done, and makes files of them: successes in the output file,
//! everything else in the error file.

use std::io;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::app::App;
use crate::blobs::{Account, Spool};
use crate::contract::RESULT_PURPOSE;
use crate::executor::{Failure, LineAnswer};
use crate::expiry::default_life;
use crate::faults::{Operation, ResultFile, distort};
use crate::state::{BatchRecord, FileRecord};
use crate::tenant::Tenant;

/// Why a line has no HTTP answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unanswered<'a> {
    Expired,
    Cancelled,
    Failed(&'a Failure),
}

impl Unanswered<'_> {
    /// As it is counted.
    pub(super) fn name(self) -> &'static str {
        match self {
            Unanswered::Expired => "expired",
            Unanswered::Cancelled => "cancelled",
            Unanswered::Failed(_) => "failed",
        }
    }

    fn error(self) -> Value {
        let (code, message) = match self {
            Unanswered::Expired => {
                ("batch_expired", "This request could not be executed before the completion window expired.")
            }
            Unanswered::Cancelled => {
                ("batch_cancelled", "This request was not executed because the batch was cancelled.")
            }
            Unanswered::Failed(failure) => (&*failure.code, failure.message.as_str()),
        };
        json!({"code": code, "message": message})
    }
}

/// A result line. Its body is text already, and is not made a tree again.
#[derive(Serialize)]
struct ResultLine<'a> {
    id: String,
    custom_id: &'a str,
    response: Option<Response<'a>>,
    error: Value,
}

/// The HTTP answer in a result line.
#[derive(Serialize)]
struct Response<'a> {
    status_code: u16,
    request_id: String,
    body: &'a RawValue,
}

/// The two result files in the making. Neither exists before its first line.
pub(super) struct Results {
    app: Arc<App>,
    account: Arc<Account>,
    batch_id: String,
    output: Option<Spool>,
    error: Option<Spool>,
}

impl Results {
    pub(super) fn new(app: &Arc<App>, account: &Arc<Account>, batch_id: &str) -> Results {
        if account.is_tight() {
            app.store.expire(app.clock.now());
        }
        let (app, account) = (Arc::clone(app), Arc::clone(account));
        Results { app, account, batch_id: batch_id.to_owned(), output: None, error: None }
    }

    /// Writes an HTTP answer; returns whether it is a success.
    pub(super) async fn answered(&mut self, custom_id: &str, answer: &LineAnswer) -> io::Result<bool> {
        let success = (200..300).contains(&answer.status_code);
        let request_id = self.app.ids.of("req_", &[&self.batch_id, custom_id]);
        let response = Response { status_code: answer.status_code, request_id, body: &answer.body };
        self.write(success, custom_id, Some(response), Value::Null).await?;
        Ok(success)
    }

    /// Writes a line for a request that got no answer.
    pub(super) async fn unanswered(&mut self, custom_id: &str, why: Unanswered<'_>) -> io::Result<()> {
        self.write(false, custom_id, None, why.error()).await
    }

    async fn write(
        &mut self,
        success: bool,
        custom_id: &str,
        response: Option<Response<'_>>,
        error: Value,
    ) -> io::Result<()> {
        let id = self.app.ids.of("batch_req_", &[&self.batch_id, custom_id]);
        let line = ResultLine { id, custom_id, response, error };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        let slot = if success { &mut self.output } else { &mut self.error };
        let spool = match slot {
            Some(spool) => spool,
            None => slot.insert(self.app.disk.spool(&self.account).await?),
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
            keep(app, &self.account, tenant, batch, self.output, Operation::OutputFile).await?,
            keep(app, &self.account, tenant, batch, self.error, Operation::ErrorFile).await?,
        ))
    }
}

async fn keep(
    app: &App,
    account: &Arc<Account>,
    tenant: Tenant,
    batch: &BatchRecord,
    spool: Option<Spool>,
    operation: Operation,
) -> io::Result<Option<String>> {
    let fired = app.script.fire(operation);
    let spool = if fired.is_empty() {
        spool
    } else {
        match distort(&app.disk, account, &fired, spool).await? {
            ResultFile::None => None,
            ResultFile::EmptyId => return Ok(Some(String::new())),
            ResultFile::File(spool) => Some(*spool),
        }
    };
    let Some(spool) = spool else { return Ok(None) };
    let role = if operation == Operation::OutputFile { "output" } else { "error" };
    let created_at = app.clock.now();
    let lives = batch.output_expires_after.or_else(|| default_life(batch.origin, RESULT_PURPOSE));
    let file = FileRecord {
        id: app.ids.of("file-", &[&batch.id, role]),
        filename: format!("{}_{role}.jsonl", batch.id),
        purpose: RESULT_PURPOSE.to_owned(),
        media_type: None,
        created_at,
        expires_at: lives.map(|seconds| created_at.saturating_add(seconds)),
        blob: Arc::new(spool.seal().await?),
    };
    app.hidden.hide(tenant, &file.id, &fired, app.clock.now_ms());
    Ok(Some(app.store.add_file(tenant, file).id.clone()))
}
