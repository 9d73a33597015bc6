//! Owns what the tests of runs share: folders of requests, gateways, and what was paid; never a test itself.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use lote::{Cadence, Client, lines::Limits, run::Run};
use lote_gateway::{Event, Gateway, faults::Fault};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const FAST: Duration = Duration::from_millis(2);

pub(crate) fn chat(id: &str, prompt: &str) -> String {
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": prompt}]});
    json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string() + "\n"
}

pub(crate) fn embedding(id: &str) -> String {
    let body = json!({"model": "auto", "input": id});
    json!({"custom_id": id, "method": "POST", "url": "/v1/embeddings", "body": body}).to_string() + "\n"
}

pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new(lines: &[String]) -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("requests.jsonl"), lines.concat()).expect("written");
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A run in batches of so many lines.
    pub(crate) fn run(&self, client: &Client, lines: u64) -> Run {
        let limits = Limits { max_lines: lines, ..Limits::default() };
        let run = Run::new(client, self.path("requests.jsonl")).limits(limits).settle_after_loss(FAST * 5);
        run.cadence(Cadence::new(FAST, FAST * 5))
    }

    pub(crate) fn results(&self) -> Vec<Value> {
        json_lines(&self.path("requests.run/results.jsonl"))
    }
}

pub(crate) fn json_lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the file");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

pub(crate) fn ids(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|line| line["custom_id"].as_str().expect("an id").to_owned()).collect()
}

pub(crate) async fn gateway_with(fault: Option<Fault>) -> (Gateway, Client) {
    let builder = Gateway::builder().journal(true);
    let gateway = fault.into_iter().fold(builder, lote_gateway::Builder::fault).start().await.expect("it starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").build().expect("a client");
    (gateway, client)
}

/// A gateway whose batches end when the test lets time pass.
pub(crate) async fn standing(fault: Option<Fault>) -> (Gateway, Client) {
    let builder = Gateway::builder().journal(true).virtual_clock();
    let gateway = fault.into_iter().fold(builder, lote_gateway::Builder::fault).start().await.expect("it starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").build().expect("a client");
    (gateway, client)
}

/// Lets time pass at a gateway until this is done.
pub(crate) async fn passing<T>(gateway: &Gateway, work: impl Future<Output = T>) -> T {
    let passes = async {
        loop {
            gateway.advance(Duration::from_secs(1)).await;
            tokio::time::sleep(FAST).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = passes => unreachable!("time does not end"),
    }
}

/// Waits until something has happened at a gateway so often.
pub(crate) async fn happened(gateway: &Gateway, times: usize, what: fn(&Event) -> bool) {
    while gateway.journal().iter().filter(|entry| what(&entry.event)).count() < times {
        tokio::time::sleep(FAST).await;
    }
}

/// How many batches were made, and how often each line was handed to the model.
pub(crate) fn paid(gateway: &Gateway) -> (usize, BTreeMap<String, u32>) {
    let (mut batches, mut lines) = (0, BTreeMap::new());
    for entry in gateway.journal() {
        match entry.event {
            Event::BatchCreated { .. } => batches += 1,
            Event::LineExecuted { custom_id, attempt: 1, .. } => *lines.entry(custom_id).or_default() += 1,
            _ => {}
        }
    }
    (batches, lines)
}

/// All that is in a folder, again in another one.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).expect("copied")),
        }
    }
}
