//! The work on batches: their validation, the lines of their slices, their end. Where the state is in memory each batch
//! has a task of its own ([`launch`]); where it is durable, [`scheduler`] takes what there is to do from it.

mod cut;
mod execute;
mod finish;
mod in_flight;
mod inputs;
mod line;
mod reader;
mod results;
mod scheduler;
#[cfg(test)]
mod tests;
mod validate;

use std::io;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::blobs::Full;
use crate::contract::Status;
use crate::error::quote;
use crate::run::validate::Report;
use crate::state::{Claim, Finding, Held, StateError, Work, Worker};

pub(crate) use line::Body;
pub(crate) use scheduler::schedule;

/// After so many deaths of their workers batches are not validated again.
const MOST_DEATHS: u32 = 5;

/// A worker at work on one thing.
#[derive(Clone)]
pub(crate) struct Run {
    app: Arc<App>,
    me: Worker,
    /// The batch is to end.
    cancel: CancellationToken,
}

/// Why something was not done.
#[derive(Debug)]
enum Trouble {
    /// Bytes could not be read or written.
    Io(io::Error),
    State(StateError),
    /// It is another worker's now.
    Lost,
}

impl Trouble {
    /// What kind of trouble it is, in words that tell nothing of paths or addresses.
    fn kind(&self) -> String {
        match self {
            Trouble::Io(error) => error.kind().to_string(),
            Trouble::State(error) => error.kind(),
            Trouble::Lost => "it belongs to another worker now".to_owned(),
        }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        Trouble::Io(error)
    }
}

impl From<StateError> for Trouble {
    fn from(error: StateError) -> Trouble {
        Trouble::State(error)
    }
}

/// Lets a new batch run: its task ends with the batch or with the gateway.
pub(crate) fn launch(app: &Arc<App>, id: &str) {
    if app.state.is_durable() {
        app.wake.notify_one();
        return;
    }
    let (app, id) = (Arc::clone(app), id.to_owned());
    let run = Run::new(&app, app.lease.me(), &id);
    app.tasks.spawn(app.clock.watch(async move {
        tokio::select! {
            biased;
            () = run.app.stop.cancelled() => {}
            () = run.drive(&id) => {}
        }
        run.app.forget_cancel(&id);
    }));
}

impl Run {
    fn new(app: &Arc<App>, me: Worker, id: &str) -> Run {
        Run { app: Arc::clone(app), me, cancel: app.cancel_token(id) }
    }

    /// Does all there is to do for one batch.
    async fn drive(&self, id: &str) {
        let mut place = None;
        while let Ok(Some(work)) = self.app.state.claim(&self.me, u32::MAX, Some(id)).await {
            if let Work::Validate(held) = &work
                && place.is_none()
                && fault_of_input(held).is_none()
            {
                tokio::select! {
                    biased;
                    () = self.cancel.cancelled() => {
                        let _ = self.app.state.give_back(&self.me, held, None).await;
                        continue;
                    }
                    // The semaphore is never closed.
                    taken = self.app.running.acquire() => place = taken.ok(),
                }
            }
            let held = held_in(&work);
            if let Err(trouble) = self.perform(work).await {
                let _ = self.break_down(&held, &trouble).await;
            }
        }
    }

    async fn perform(&self, work: Work) -> Result<(), Trouble> {
        match work {
            Work::Validate(held) => self.validate(held).await,
            Work::Execute(claim) => self.execute(*claim).await,
            Work::Finish(held) => self.finish(held).await,
        }
    }

    async fn validate(&self, held: Held) -> Result<(), Trouble> {
        if held.attempts >= MOST_DEATHS {
            let message = "The gateway has died with this file too often.".to_owned();
            return self.fail(&held, vec![finding("internal_error", message)]).await.map(drop);
        }
        let input = match (fault_of_input(&held), &held.input) {
            (None, Some(input)) => input,
            (fault, _) => return self.fail(&held, fault.into_iter().collect()).await.map(drop),
        };
        let check = async {
            self.app.clock.sleep(self.app.settings.stage_delay).await;
            self.app.clock.working(self.check(&held.batch, &input.blob)).await
        };
        let Report { findings, slices, model } = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Ok(self.app.state.give_back(&self.me, &held, None).await?),
            report = check => report?,
        };
        if !findings.is_empty() {
            return self.fail(&held, findings).await.map(drop);
        }
        let batch = self.app.state.validated(&self.me, &held, &slices, model.as_deref()).await?;
        let batch = batch.ok_or(Trouble::Lost)?;
        self.app.changed_from(held.batch.status, held.tenant, &batch);
        Ok(())
    }

    /// Fails a batch, or lets it end as cancelled when that was asked for before; returns how it has ended.
    async fn fail(&self, held: &Held, findings: Vec<Finding>) -> Result<Status, Trouble> {
        let batch = self.app.state.fail(&self.me, held, &findings).await?.ok_or(Trouble::Lost)?;
        self.app.changed_from(held.batch.status, held.tenant, &batch);
        Ok(batch.status)
    }

    /// The gateway's own storage failed the batch, or the bounds of the key did: then its code is OGX's.
    async fn break_down(&self, held: &Held, trouble: &Trouble) -> Result<(), Trouble> {
        if matches!(trouble, Trouble::Lost) {
            return Ok(());
        }
        let finding = match full(trouble) {
            Some(full) => finding("output_failed", format!("There is no room for the results. {full}")),
            None => {
                let kind = trouble.kind();
                finding("internal_error", format!("The gateway could not use its temporary storage: {kind}."))
            }
        };
        self.fail(held, vec![finding]).await.map(drop)
    }
}

/// The bound that trouble is about, if it is about one.
fn full(trouble: &Trouble) -> Option<&Full> {
    match trouble {
        Trouble::Io(error) => Full::of(error),
        Trouble::State(error) => error.full(),
        Trouble::Lost => None,
    }
}

fn held_in(work: &Work) -> Held {
    match work {
        Work::Validate(held) | Work::Finish(held) => held.clone(),
        Work::Execute(claim) => {
            let Claim { held, .. } = &**claim;
            held.clone()
        }
    }
}

fn finding(code: &'static str, message: String) -> Finding {
    Finding { code: code.into(), message, param: None, line: None }
}

/// What is wrong with the input file before it is read.
fn fault_of_input(held: &Held) -> Option<Finding> {
    let id = quote(&held.batch.input_file_id);
    let message = match &held.input {
        Some(file) if file.purpose == "batch" => return None,
        Some(file) => format!("File {id} has purpose '{}', not 'batch'.", file.purpose),
        None => format!("No such File object: {id}."),
    };
    Some(Finding { code: "invalid_request".into(), message, param: Some("input_file_id".to_owned()), line: None })
}
