//! Owns the tests of runs of one batch, by what they are about, and what they share: that nothing is paid for twice, lost or
//! swapped; never of the command line (crates/cli/tests).

use std::{
    fs,
    path::{Path, PathBuf},
};

use lote::{
    Cadence, Client,
    run::{Run, RunStatus, status},
};
use lote_gateway::Gateway;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{common::Reply, runs_common::FAST};

mod files;
mod folders;
mod history;
mod lost;
mod outputs;
mod refused;
mod results;

fn line(id: &str, prompt: &str) -> String {
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": prompt}]});
    json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string()
}

/// A folder with requests.jsonl in it.
struct Place(TempDir);

impl Place {
    fn new(lines: &[String]) -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("requests.jsonl"), lines.join("\n")).expect("written");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, client: &Client) -> Run {
        Run::new(client, self.path("requests.jsonl")).cadence(Cadence::new(FAST, FAST * 10))
    }

    fn status(&self) -> RunStatus {
        status(self.path("requests.run")).expect("a run")
    }

    /// What the folder says of its only shard: how far it is, and its batch.
    fn shard(&self) -> (&'static str, Option<String>) {
        let shard = self.status().shards.remove(0);
        (shard.phase, shard.batch.map(|id| id.to_string()))
    }

    fn names(&self) -> Vec<String> {
        names(self.0.path())
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

async fn gateway() -> (Gateway, Client) {
    let gateway = Gateway::builder().start().await.expect("the gateway starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").build().expect("a client");
    (gateway, client)
}

fn uploaded() -> Reply {
    Reply::json(200, json!({"id": "file-1", "object": "file"}))
}

fn batch(fields: Value) -> Reply {
    let mut batch = json!({"id": "batch_1", "object": "batch", "status": "in_progress"});
    batch.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    Reply::json(200, batch)
}

fn succeeded(id: &str) -> String {
    let body = json!({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}});
    json!({"id": "r", "custom_id": id, "response": {"status_code": 200, "body": body}, "error": null}).to_string()
        + "\n"
}

fn file(lines: &[String]) -> Reply {
    Reply::new(200, &[], lines.concat())
}
