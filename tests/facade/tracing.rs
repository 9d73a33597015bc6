//! What the spans of a call say, and what they never say.

use std::{
    fmt::{self, Debug},
    sync::{Arc, Mutex},
    thread::{self, ThreadId},
    time::Duration,
};

use lote::{BatchId, Client, Endpoint, FileId, Retry, UploadPurpose};
use serde_json::json;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, Registry, layer::Context, prelude::*, registry::LookupSpan};

use crate::common::{Odd, Reply};

/// Writes down all that is said on one thread, a line for each. A subscriber of that thread alone would miss what other
/// tests came by first: interest in a place is remembered for all threads.
#[derive(Clone)]
struct Heard(Arc<Mutex<Vec<String>>>, ThreadId);

struct Words<'a>(&'a mut String);

impl Visit for Words<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        fmt::write(self.0, format_args!(" {field}={value:?}")).expect("text");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        fmt::write(self.0, format_args!(" {field}={value}")).expect("text");
    }
}

impl Heard {
    /// What the crates below ours say is theirs to answer for.
    fn hear(&self, metadata: &Metadata<'_>, what: &str, record: impl FnOnce(&mut Words<'_>)) {
        if metadata.target().starts_with("lote") && thread::current().id() == self.1 {
            let mut line = what.to_owned();
            record(&mut Words(&mut line));
            self.0.lock().expect("lines").push(line);
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Heard {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.hear(span.metadata(), span.metadata().name(), |words| span.record(words));
    }

    fn on_record(&self, span: &Id, values: &Record<'_>, context: Context<'_, S>) {
        self.hear(context.metadata(span).expect("a span"), "then", |words| values.record(words));
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.hear(event.metadata(), "event", |words| event.record(words));
    }
}

#[tokio::test]
async fn a_call_tells_its_operation_attempt_status_and_request_id_and_no_secret() {
    let heard = Heard(Arc::default(), thread::current().id());
    tracing::subscriber::set_global_default(Registry::default().with(heard.clone())).expect("the only one");

    let secret = json!({"error": {"message": "sk-hunter22 body-of-the-service"}});
    let odd = Odd::new([
        Reply::new(503, &["x-request-id: req_1"], secret.to_string()),
        Reply::json(200, json!({"id": "batch_1", "status": "completed", "metadata": {"k": "body-of-the-service"}})),
        Reply::json(200, json!({"id": "file_1"})),
        Reply::new(401, &["x-request-id: req_sk-hunter22"], secret.to_string()),
        Reply::Nothing,
    ]);
    let quick = Retry::default().retries(1).pauses(Duration::from_millis(1), Duration::from_millis(1));
    let client: Client = odd.builder().retry(quick).build().expect("a client");
    client.batches().get(&BatchId::new("batch_1").expect("an id")).await.expect("at the second try");
    let upload = client.files().upload_reader(&b"body-of-the-user"[..], "a.jsonl", UploadPurpose::Batch);
    let input: FileId = upload.send().await.expect("a file").id;
    let create = || client.batches().create(&input, Endpoint::ChatCompletions).metadata("k", "body-of-the-user");
    create().send().await.expect_err("refused");
    create().send().await.expect_err("lost");

    let lines = heard.0.lock().expect("lines").clone();
    let all = lines.join("\n");
    for part in [
        "lote.call attempt=1\nlote.request operation=get_batch\nthen status=503\nthen request_id=req_1\nevent",
        "lote.call attempt=2\nlote.request operation=get_batch\nthen status=200",
        "operation=upload_file",
        "operation=create_batch\nthen status=401\nthen request_id=req_[key]",
        "failure=connection lost",
    ] {
        assert!(all.contains(part), "{part} is not in:\n{all}");
    }
    for secret in ["hunter22", "body-of", "127.0.0.1"] {
        assert!(!all.contains(secret), "{secret} is in:\n{all}");
    }
}
