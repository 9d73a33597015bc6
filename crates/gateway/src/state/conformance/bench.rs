//! What the checks have in common: a state with a few tenants, and the steps of a batch in short.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::io::AsyncReadExt;

use crate::blobs::{Blob, Bounds};
use crate::contract::{Endpoint, RESULT_PURPOSE, Status, View};
use crate::state::conformance::Place;
use crate::state::{
    Answered, BatchRecord, Claim, Counts, Created, End, Fate, FileRecord, Held, NewBatch, NewFile, Options, Query,
    ResultFile, Results, Segment, Slice, State, Subscription, Usage, Work, Worker,
};
use crate::tenant::{AccountId, Tenant};

/// Who everything is done for unless something else is said.
pub(super) const ONE: Tenant = Tenant::new([1; 32]);
pub(super) const TWO: Tenant = Tenant::new([2; 32]);

pub(super) fn account(number: u8) -> AccountId {
    AccountId::new([number; 32])
}

/// The window of a batch.
pub(super) const WINDOW: Duration = Duration::from_secs(86_400);

/// A state on trial.
pub(super) struct Bench {
    place: Place,
    pub(super) options: Options,
    opened: Option<Arc<dyn State>>,
}

impl Bench {
    pub(super) fn new(place: Place) -> Bench {
        let bounds = Bounds { bytes: 1 << 40, files: 1_000_000, batches: 1_000_000 };
        let options = Options { clock: place.clock.clone(), bounds, subscriptions: Vec::new() };
        Bench { place, options, opened: None }
    }

    pub(super) async fn open(&mut self) -> Arc<dyn State> {
        if let Some(state) = &self.opened {
            return Arc::clone(state);
        }
        let state = (self.place.open)(self.options.clone()).await;
        self.opened = Some(Arc::clone(&state));
        state
    }

    pub(super) fn bounded(&mut self, bytes: u64, files: u64, batches: u64) {
        self.options.bounds = Bounds { bytes, files, batches };
    }

    pub(super) fn subscribed(&mut self, endpoint: &str, statuses: &[Status]) {
        let (endpoint, statuses) = (endpoint.to_owned(), statuses.to_vec());
        self.options.subscriptions.push(Subscription { endpoint, statuses });
    }

    /// Opens it anew, as after a kill; what earlier processes held is free again then. Whoever calls has dropped all else of
    /// it.
    pub(super) async fn killed(&mut self, state: Arc<dyn State>) -> Arc<dyn State> {
        let lease = state.lease();
        state.clear().await;
        drop(state);
        self.opened = None;
        let state = self.open().await;
        if let Some(lease) = lease {
            self.pass(lease + Duration::from_secs(1)).await;
            state.sweep(&state.join().await.unwrap()).await.unwrap();
        }
        state
    }

    pub(super) async fn pass(&self, length: Duration) {
        self.place.clock.advance(length).await;
    }

    pub(super) fn now(&self) -> i64 {
        self.place.clock.now()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.opened = None;
        // The place goes last.
        let _ = &self.place.keep;
    }
}

pub(super) async fn written(state: &dyn State, account: AccountId, content: &str) -> Arc<Blob> {
    let mut spool = state.spool(&account).await.unwrap();
    spool.write(content.as_bytes()).await.unwrap();
    Arc::new(spool.seal().await.unwrap())
}

pub(super) fn new_file(id: &str, purpose: &str, blob: Arc<Blob>) -> NewFile {
    let filename = format!("{id}.jsonl");
    NewFile { id: id.to_owned(), filename, purpose: purpose.to_owned(), media_type: None, lives: None, blob }
}

/// A file of the first tenant.
pub(super) async fn file(state: &dyn State, id: &str, content: &str) -> Arc<FileRecord> {
    let blob = written(state, account(1), content).await;
    state.add_file(ONE, account(1), new_file(id, "batch", blob)).await.unwrap()
}

pub(super) async fn content(blob: &Blob, from: u64) -> String {
    let mut text = String::new();
    blob.open(from).await.unwrap().read_to_string(&mut text).await.unwrap();
    text
}

pub(super) fn query() -> Query {
    Query { after: None, limit: 100, oldest_first: false, purpose: None, sha256: None, hidden: HashSet::new() }
}

/// A batch of the first tenant over the file `input`.
pub(super) fn new_batch(id: &str) -> NewBatch {
    NewBatch {
        id: id.to_owned(),
        tenant: ONE,
        account: account(1),
        origin: View::OpenAi,
        endpoint: Endpoint::ChatCompletions,
        input_file_id: "input".to_owned(),
        needs_input: false,
        metadata: json!({"b": "1", "a": "2"}).as_object().cloned(),
        max_concurrency: 1_000,
        output_expires_after: None,
        window: WINDOW,
        idempotency: None,
    }
}

pub(super) async fn create(state: &dyn State, new: &NewBatch) -> BatchRecord {
    match state.create_batch(new).await.unwrap() {
        Created::Made(batch) => batch,
        other => panic!("{other:?}"),
    }
}

/// A batch that is to be validated, over a file that is there.
pub(super) async fn made(state: &dyn State, id: &str) -> BatchRecord {
    if state.file(ONE, "input").await.unwrap().is_none() {
        file(state, "input", "line\n").await;
    }
    create(state, &new_batch(id)).await
}

/// Slices of so many lines each.
pub(super) fn cut(lines: &[u32]) -> Vec<Slice> {
    let mut first_line = 1;
    let slice = |(number, lines): (usize, &u32)| {
        let number = u32::try_from(number).unwrap();
        let slice = Slice { number, first_line, lines: *lines, start: first_line * 10, bytes: u64::from(*lines) * 10 };
        first_line += u64::from(*lines);
        slice
    };
    lines.iter().enumerate().map(slice).collect()
}

pub(super) async fn validating(state: &dyn State, me: &Worker, id: &str) -> Held {
    match state.claim(me, 4, Some(id)).await.unwrap() {
        Some(Work::Validate(held)) => held,
        other => panic!("{other:?}"),
    }
}

/// A batch whose lines may be answered.
pub(super) async fn running(state: &dyn State, me: &Worker, id: &str, lines: &[u32]) -> BatchRecord {
    made(state, id).await;
    let held = validating(state, me, id).await;
    state.validated(me, &held, &cut(lines), Some("model")).await.unwrap().unwrap()
}

pub(super) async fn slice(state: &dyn State, me: &Worker, slots: u32, id: &str) -> Claim {
    match state.claim(me, slots, Some(id)).await.unwrap() {
        Some(Work::Execute(claim)) => *claim,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn finishing(state: &dyn State, me: &Worker, id: &str) -> Held {
    match state.claim(me, 4, Some(id)).await.unwrap() {
        Some(Work::Finish(held)) => held,
        other => panic!("{other:?}"),
    }
}

/// The answers to these lines: those that are even succeed, each with 2 tokens in and 3 out.
pub(super) fn segment(claim: &Claim, number: u32, lines: &[u32], is_last: bool) -> Segment {
    let (mut text, mut usage) = (String::new(), Usage::default());
    let mut answered = Vec::new();
    for line in lines {
        let result = format!("result of {}.{line}\n", claim.slice.number);
        usage.add(&json!({"prompt_tokens": 2, "completion_tokens": 3}));
        let bytes = u32::try_from(result.len()).unwrap();
        answered.push(Answered { line: *line, ok: line % 2 == 0, bytes });
        text += &result;
    }
    let sent = lines.iter().max().map_or(0, |line| line + 1);
    Segment {
        tenant: claim.held.tenant,
        batch: Arc::from(claim.held.batch.id.as_str()),
        slice: claim.slice.number,
        epoch: claim.epoch,
        number,
        answered,
        lines: Bytes::from(text),
        usage,
        sent,
        is_last,
    }
}

pub(super) async fn record(state: &dyn State, me: &Worker, segment: Segment) -> Fate {
    state.record(me, &[segment]).await.unwrap().remove(0)
}

pub(super) fn is_kept(fate: &Fate) -> bool {
    matches!(fate, Fate::Kept(_))
}

/// All result lines of a batch that is to be finished, in the order in which they are to be written: output, error.
pub(super) async fn results(state: &dyn State, held: &Held) -> (String, String) {
    let (mut output, mut error) = (String::new(), String::new());
    match state.results(held).await.unwrap() {
        Results::Written { output: one, error: two, .. } => {
            for (spool, text) in [(one, &mut output), (two, &mut error)] {
                if let Some(spool) = spool {
                    *text = content(&spool.seal().await.unwrap(), 0).await;
                }
            }
        }
        Results::Slices(slices) => {
            for slice in slices {
                for recorded in state.recorded(held, slice.number).await.unwrap() {
                    let mut start = 0;
                    for Answered { ok, bytes, .. } in recorded.answered {
                        let end = start + bytes as usize;
                        let line = std::str::from_utf8(&recorded.lines[start..end]).unwrap();
                        if ok { &mut output } else { &mut error }.push_str(line);
                        start = end;
                    }
                }
            }
        }
    }
    (output, error)
}

/// How a batch ends with these result files.
pub(super) async fn end(state: &dyn State, held: &Held, status: Status, results: (&str, &str)) -> End {
    let mut files = [None, None];
    for ((role, text), file) in [("output", results.0), ("error", results.1)].into_iter().zip(&mut files) {
        if !text.is_empty() {
            let blob = written(state, held.account, text).await;
            let id = format!("{}-{role}", held.batch.id);
            *file = Some(ResultFile::File(new_file(&id, RESULT_PURPOSE, blob)));
        }
    }
    let [output, error] = files;
    let lines = |text: &str| text.lines().count() as u64;
    let counts = Counts { total: held.batch.counts.total, completed: lines(results.0), failed: lines(results.1) };
    End { status, output, error, counts }
}

/// Finishes a batch that has only its end before it, without files.
pub(super) async fn ended(state: &dyn State, me: &Worker, id: &str, status: Status) -> BatchRecord {
    let held = finishing(state, me, id).await;
    let end = end(state, &held, status, ("", "")).await;
    state.finish(me, &held, end).await.unwrap().unwrap()
}

pub(super) async fn status(state: &dyn State, id: &str) -> Status {
    state.batch(ONE, id).await.unwrap().unwrap().status
}
