//! The life of one batch, from validating to a terminal status.

mod execute;
mod in_flight;
mod inputs;
mod line;
mod reader;
mod results;
mod validate;

use std::io;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::blobs::{Account, Full};
use crate::contract::Status;
use crate::error::quote;
use crate::faults::Strike;
use crate::run::execute::Ending;
use crate::run::results::Results;
use crate::run::validate::Report;
use crate::state::{BatchRecord, FileRecord, Finding};
use crate::tenant::Tenant;

pub(crate) use line::Body;

/// One batch on its way.
#[derive(Clone)]
pub(crate) struct Run {
    app: Arc<App>,
    tenant: Tenant,
    /// As it was created; what changes is in the store.
    batch: Arc<BatchRecord>,
    cancel: CancellationToken,
    order: Order,
}

/// What a batch is to run by, beside what was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    /// Who pays for the result files.
    pub(crate) account: Arc<Account>,
    /// When its window is over, in milliseconds since 1970.
    pub(crate) deadline_ms: i64,
    /// A fault that lets it fail for too many enqueued tokens, unless something else fails it before.
    pub(crate) token_limit: Option<Strike>,
}

/// Stores the batch and starts its task, which ends with the batch or with the gateway.
pub(crate) fn launch(app: &Arc<App>, tenant: Tenant, batch: BatchRecord, input: Option<Arc<FileRecord>>, order: Order) {
    let cancel = app.cancel_token(&batch.id);
    app.changed(tenant, &batch);
    app.store.add_batch(tenant, batch.clone());
    let run = Run { app: Arc::clone(app), tenant, batch: Arc::new(batch), cancel, order };
    app.tasks.spawn(app.clock.watch(async move {
        tokio::select! {
            biased;
            () = run.app.stop.cancelled() => {}
            result = run.live(input) => if let Err(error) = result { run.break_down(&error) },
        }
        run.app.forget_cancel(&run.batch.id);
    }));
}

impl Run {
    async fn live(&self, input: Option<Arc<FileRecord>>) -> io::Result<()> {
        let Some(input) = self.input(input) else { return Ok(()) };
        let _place = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return self.end(Status::Cancelled, None).await,
            // The semaphore is never closed.
            place = self.app.running.acquire() => place,
        };
        let report = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return self.end(Status::Cancelled, None).await,
            report = self.validate(&input) => report?,
        };
        if !report.findings.is_empty() {
            self.fail(report.findings);
            return Ok(());
        }
        if let Some(strike) = &self.order.token_limit {
            self.fail_by(strike, over_token_limit(report.model.as_deref()));
            return Ok(());
        }
        let Report { total, model, .. } = report;
        let started = self.update(|batch, now| {
            let started = batch.enter(Status::InProgress, now);
            if started {
                batch.counts.total = total;
                batch.model = model.clone();
            }
            started
        });
        if !started {
            return self.end(Status::Cancelled, None).await;
        }

        let mut results = Results::new(&self.app, &self.order.account, &self.batch.id);
        match self.execute(&input, &mut results).await? {
            Ending::Expired => self.end(Status::Expired, Some(results)).await,
            Ending::Cancelled => self.end(Status::Cancelled, Some(results)).await,
            Ending::Done => {
                self.update(|batch, now| batch.enter(Status::Finalizing, now));
                tokio::select! {
                    biased;
                    () = self.cancel.cancelled() => {}
                    () = self.app.clock.sleep(self.app.settings.stage_delay) => {}
                }
                self.end(Status::Completed, Some(results)).await
            }
        }
    }

    /// The input file, or a failed batch.
    fn input(&self, input: Option<Arc<FileRecord>>) -> Option<Arc<FileRecord>> {
        let id = quote(&self.batch.input_file_id);
        let message = match input {
            Some(file) if file.purpose == "batch" => return Some(file),
            Some(file) => format!("File {id} has purpose '{}', not 'batch'.", file.purpose),
            None => format!("No such File object: {id}."),
        };
        self.fail(vec![Finding {
            code: "invalid_request".into(),
            message,
            param: Some("input_file_id".to_owned()),
            line: None,
        }]);
        None
    }

    async fn validate(&self, input: &Arc<FileRecord>) -> io::Result<Report> {
        self.app.clock.sleep(self.app.settings.stage_delay).await;
        self.app.clock.working(self.check(&input.blob)).await
    }

    fn fail(&self, findings: Vec<Finding>) {
        self.update(|batch, now| {
            if batch.enter(Status::Failed, now) {
                batch.findings.clone_from(&findings);
            } else {
                batch.enter(Status::Cancelled, now);
            }
        });
    }

    /// A fault fails the batch, unless it was cancelled before.
    fn fail_by(&self, strike: &Strike, finding: Finding) {
        self.update(|batch, now| {
            if batch.enter(Status::Failed, now) {
                strike.happened();
                batch.findings = vec![finding.clone()];
            } else {
                batch.enter(Status::Cancelled, now);
            }
        });
    }

    /// The gateway's own storage failed the batch, or the bounds of the key did: then its code is OGX's.
    fn break_down(&self, error: &io::Error) {
        let (code, message) = match Full::of(error) {
            Some(full) => ("output_failed", format!("There is no room for the results. {full}")),
            None => ("internal_error", format!("The gateway could not use its temporary storage: {}.", error.kind())),
        };
        self.fail(vec![Finding { code: code.into(), message, param: None, line: None }]);
    }

    /// Keeps the results and takes the last step. A cancellation that came first wins over it.
    async fn end(&self, status: Status, results: Option<Results>) -> io::Result<()> {
        if self.update(|batch, _| batch.stuck) {
            return Ok(());
        }
        let files = match results {
            Some(results) => self.app.clock.working(results.keep(&self.app, self.tenant, &self.batch)).await?,
            None => (None, None),
        };
        self.update(|batch, now| {
            if batch.stuck {
                return;
            }
            (batch.output_file_id, batch.error_file_id) = files.clone();
            if !batch.enter(status, now) {
                // Only ever refused because the batch is being cancelled, or can be.
                batch.enter(Status::Cancelling, now);
                batch.enter(Status::Cancelled, now);
            }
        });
        Ok(())
    }

    /// Changes the batch in the store, now.
    fn update<T: Default>(&self, mut change: impl FnMut(&mut BatchRecord, i64) -> T) -> T {
        let now = self.app.clock.now();
        let mut result = T::default();
        self.app.update_batch(self.tenant, &self.batch.id, &mut |batch| {
            result = change(batch, now);
        });
        result
    }
}

/// OpenAI's finding when a queue is full; line and param are null (openai-python#2084).
fn over_token_limit(model: Option<&str>) -> Finding {
    let message = format!(
        "Enqueued token limit reached for {} in organization. Please try again once some in_progress batches have \
         been completed.",
        model.unwrap_or("this model")
    );
    Finding { code: "token_limit_exceeded".into(), message, param: None, line: None }
}
