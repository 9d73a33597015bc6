//! Owns the tests against the answers of two servers, OGX and dwctl, to the sequence of requests that they were asked: the
//! shapes are those that were seen (docs/facts.md, 10 and 10.1); ids, texts and numbers are our own.

use std::{fs, time::Duration};

use crate::common::{Odd, Reply};
use lote::{
    Batch, BatchId, Client, Dialect, Endpoint, Error, File, FileId, FilePurpose, Status, UploadPurpose, run::Run,
};
use serde_json::{Value, json};

/// One answer of a server.
struct Seen {
    name: String,
    method: String,
    path: String,
    status: u16,
    headers: Vec<String>,
    body: String,
}

impl Seen {
    fn read(value: &Value) -> Self {
        let text = |name: &str| value[name].as_str().expect("a text").to_owned();
        let headers = value["headers"].as_object().expect("headers");
        Self {
            name: text("name"),
            method: text("method"),
            path: text("path"),
            status: value["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status"),
            headers: headers.iter().map(|(name, value)| format!("{name}: {}", value.as_str().expect("text"))).collect(),
            // JSON stands in the fixture as JSON, any other body as a text.
            body: value["body"].as_str().map_or_else(|| value["body"].to_string(), str::to_owned),
        }
    }

    fn reply(&self) -> Reply {
        let headers: Vec<&str> = self.headers.iter().map(String::as_str).collect();
        Reply::new(self.status, &headers, &self.body)
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

fn seen(answers: &str) -> Vec<Seen> {
    answers.lines().map(|line| Seen::read(&serde_json::from_str(line).expect("JSON"))).collect()
}

pub(crate) const OGX: &str = include_str!("fixtures/ogx.jsonl");
pub(crate) const DWCTL: &str = include_str!("fixtures/dwctl.jsonl");

/// Both servers, each once with its dialect and once with nothing known of it.
fn all() -> [(&'static str, Vec<Seen>); 4] {
    [("ogx", OGX), ("", OGX), ("doubleword", DWCTL), ("", DWCTL)].map(|(dialect, answers)| (dialect, seen(answers)))
}

fn client(odd: &Odd, dialect: &str) -> Client {
    let builder = odd.builder();
    let builder = if dialect.is_empty() { builder } else { builder.dialect(Dialect::named(dialect).expect("known")) };
    builder.build().expect("a client")
}

/// What the facade makes of an answer.
enum Said {
    Batch(Box<Batch>),
    File(Box<File>),
    Batches(Vec<Batch>, bool),
    Files(Vec<File>, bool),
    Content(Vec<u8>),
}

async fn asked(client: &Client, asked: &Seen) -> Result<Said, Error> {
    let (batches, files) = (client.batches(), client.files());
    let input = FileId::new("file-1")?;
    let parts: Vec<&str> = asked.path.split(['/', '?']).skip(1).collect();
    Ok(match (asked.method.as_str(), parts.as_slice()) {
        ("POST", ["files"]) => {
            let upload = files.upload_reader(&b"{}\n"[..], "in.jsonl", UploadPurpose::Batch);
            Said::File(Box::new(upload.send().await?))
        }
        ("POST", ["batches"]) => Said::Batch(Box::new(batches.create(&input, Endpoint::ChatCompletions).send().await?)),
        ("POST", ["batches", id, "cancel"]) => Said::Batch(Box::new(batches.cancel(&BatchId::new(*id)?).await?)),
        ("GET", ["batches", id]) if !id.contains('=') => Said::Batch(Box::new(batches.get(&BatchId::new(*id)?).await?)),
        ("GET", ["batches", ..]) => {
            let page = batches.list().page().await?;
            Said::Batches(page.data, page.has_more)
        }
        ("GET", ["files", id]) if !id.contains('=') => Said::File(Box::new(files.get(&FileId::new(*id)?).await?)),
        ("GET", ["files", id, "content"]) => {
            let mut bytes = Vec::new();
            files.content(&FileId::new(*id)?).await?.copy_to(&mut bytes).await?;
            Said::Content(bytes)
        }
        ("GET", ["files", ..]) => {
            let page = files.list().page().await?;
            Said::Files(page.data, page.has_more)
        }
        other => panic!("no operation for {other:?}"),
    })
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value[name].as_str()
}

fn batch_is(batch: &Batch, came: &Value, at: &str) {
    assert_eq!(Some(batch.id.as_str()), text(came, "id"), "{at}");
    assert_eq!(Some(batch.status.as_str()), text(came, "status"), "{at}");
    assert!(!matches!(batch.status, Status::Other(_)), "{at}");
    assert_eq!(batch.endpoint.as_deref(), text(came, "endpoint"), "{at}");
    assert_eq!(batch.completion_window.as_deref(), text(came, "completion_window"), "{at}");
    for (id, name) in [
        (&batch.input_file_id, "input_file_id"),
        (&batch.output_file_id, "output_file_id"),
        (&batch.error_file_id, "error_file_id"),
    ] {
        assert_eq!(id.as_ref().map(FileId::as_str), text(came, name), "{at}: {name}");
    }
    for (instant, name) in [
        (batch.created_at, "created_at"),
        (batch.in_progress_at, "in_progress_at"),
        (batch.expires_at, "expires_at"),
        (batch.finalizing_at, "finalizing_at"),
        (batch.completed_at, "completed_at"),
        (batch.failed_at, "failed_at"),
        (batch.cancelling_at, "cancelling_at"),
        (batch.cancelled_at, "cancelled_at"),
    ] {
        assert_eq!(instant.map(|instant| instant.get()), came[name].as_i64(), "{at}: {name}");
    }
    let counts = batch.request_counts.map(|counts| [counts.total, counts.completed, counts.failed]);
    let came_counts = came["request_counts"]
        .as_object()
        .map(|counts| ["total", "completed", "failed"].map(|name| counts[name].as_u64().expect("a count")));
    assert_eq!(counts, came_counts, "{at}");
    assert_eq!(batch.metadata.len(), came["metadata"].as_object().map_or(0, serde_json::Map::len), "{at}");
    assert_eq!(batch.errors.len(), came["errors"]["data"].as_array().map_or(0, Vec::len), "{at}");
    // What is printed is what came, but for its nulls.
    let mut came = came.as_object().expect("an object").clone();
    came.retain(|_, value| !value.is_null());
    assert_eq!(serde_json::to_value(batch).expect("JSON"), Value::Object(came), "{at}");
}

fn file_is(file: &File, came: &Value, dialect: &str, at: &str) {
    assert_eq!(Some(file.id.as_str()), text(came, "id"), "{at}");
    assert_eq!(file.filename.as_deref(), text(came, "filename"), "{at}");
    assert_eq!(file.bytes, came["bytes"].as_i64(), "{at}");
    assert_eq!(file.created_at.map(|instant| instant.get()), came["created_at"].as_i64(), "{at}");
    assert_eq!(file.status.as_ref().map(lote::FileStatus::as_str), text(came, "status"), "{at}");
    let purpose = match (dialect, text(came, "purpose")) {
        ("doubleword", Some("batch_error")) => Some("batch_output"),
        (_, purpose) => purpose,
    };
    assert_eq!(file.purpose.as_ref().map(FilePurpose::as_str), purpose, "{at}");
}

#[tokio::test]
async fn every_answer_is_read_as_it_is() {
    for (dialect, answers) in all() {
        assert!(answers.len() > 40, "{dialect:?}: {}", answers.len());
        for answer in answers {
            let at = format!("{dialect:?}: {}", answer.name);
            let odd = Odd::new([answer.reply()]);
            let said = asked(&client(&odd, dialect), &answer).await;
            assert_eq!(said.is_ok(), answer.status < 300, "{at}");
            match said {
                Ok(Said::Batch(batch)) => batch_is(&batch, &answer.json(), &at),
                Ok(Said::File(file)) => file_is(&file, &answer.json(), dialect, &at),
                Ok(Said::Content(bytes)) => assert_eq!(bytes, answer.body.as_bytes(), "{at}"),
                Ok(Said::Batches(batches, more)) => {
                    let came = answer.json();
                    let data = came["data"].as_array().expect("a list");
                    assert_eq!((batches.len(), Some(more)), (data.len(), came["has_more"].as_bool()), "{at}");
                    batches.iter().zip(data).for_each(|(batch, came)| batch_is(batch, came, &at));
                }
                Ok(Said::Files(files, more)) => {
                    let came = answer.json();
                    let data = came["data"].as_array().expect("a list");
                    assert_eq!((files.len(), Some(more)), (data.len(), came["has_more"].as_bool()), "{at}");
                    files.iter().zip(data).for_each(|(file, came)| file_is(file, came, dialect, &at));
                }
                Err(error) => {
                    assert_eq!(error.status(), Some(answer.status), "{at}");
                    let message = match serde_json::from_str::<Value>(&answer.body) {
                        Ok(came) => came["error"]["message"].as_str().expect("a message").to_owned(),
                        Err(_) => answer.body.clone(),
                    };
                    let begin: String = message.chars().take(60).collect();
                    assert!(error.to_string().contains(&begin), "{at}: {error}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_batch_of_theirs_is_run_from_requests_to_results() {
    for (dialect, answers) in all() {
        let steps = ["upload", "create", "get soon", "get at end", "output_file_id content", "error_file_id content"];
        let replies = steps.map(|step| answers.iter().find(|it| it.name == step).expect("in the fixture").reply());
        let odd = Odd::new(replies);
        let folder = tempfile::tempdir().expect("a folder");
        let requests = folder.path().join("requests.jsonl");
        let line = |id: &str| {
            let body = json!({"model": "colour-1", "messages": [{"role": "user", "content": "Which colour?"}]});
            json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body})
        };
        fs::write(&requests, format!("{}\n{}\n", line("a"), line("b"))).expect("written");
        let fast = Duration::from_millis(1);
        let run = Run::new(&client(&odd, dialect), &requests).cadence(lote::Cadence::every(fast)).execute();
        let report = run.await.unwrap_or_else(|error| panic!("{dialect:?}: {error}"));
        assert_eq!(report.batches[0].status, "completed");
        let joined = &report.joined;
        assert_eq!((joined.lines, joined.succeeded, joined.failed, joined.missing), (2, 1, 1, 0), "{dialect:?}");
        assert!(joined.anomalies.is_empty() && joined.usage.total_tokens > 0, "{dialect:?}");
        let results = fs::read_to_string(&report.results).expect("results");
        let ids: Vec<Value> = results
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["custom_id"].take())
            .collect();
        assert_eq!(ids, ["a", "b"]);
    }
}
