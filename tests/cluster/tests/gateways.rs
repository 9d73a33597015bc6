//! Gateways that share a database and a store for files, and are cut off from them.

use std::collections::BTreeSet;
use std::time::Duration;

use lote_cluster_tests::{Fault, Postgres, Proxy};
use lote_gateway::Gateway;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};

const LINES: usize = 300;

const MOST_CUTS: usize = 100;

/// Two gateways, each with a way of its own to the database.
struct Pair {
    ways: [Proxy; 2],
    gateways: [Gateway; 2],
    client: Client,
    _postgres: Postgres,
    _folder: tempfile::TempDir,
}

impl Pair {
    async fn start() -> Option<Pair> {
        let postgres = Postgres::start()?;
        // An error says that another test was faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let blobs = format!("file://{}", folder.path().display());
        let ways = [Proxy::before(postgres.port()).await, Proxy::before(postgres.port()).await];
        let start = async |way: &Proxy| {
            let builder =
                Gateway::builder().key("sk-test").shared(&way.postgres(), &blobs).lease(Duration::from_secs(2));
            builder.start().await.unwrap()
        };
        let gateways = [start(&ways[0]).await, start(&ways[1]).await];
        Some(Pair { ways, gateways, client: Client::new(), _postgres: postgres, _folder: folder })
    }

    async fn ask(&self, request: RequestBuilder) -> Value {
        let answer = request.bearer_auth("sk-test").send().await.unwrap().error_for_status().unwrap();
        answer.json().await.unwrap()
    }

    /// Uploads through one, and creates through the other.
    async fn create(&self) -> String {
        let line = |number: usize| {
            let message = json!([{"role": "user", "content": format!("[[sleep=40]] {number}")}]);
            let body = json!({"model": "m", "messages": message});
            let line = json!({"custom_id": format!("line-{number}"), "method": "POST", "url": "/v1/chat/completions", "body": body});
            format!("{line}\n")
        };
        let lines: String = (0..LINES).map(line).collect();
        let form = Form::new().text("purpose", "batch").part("file", Part::text(lines).file_name("lines.jsonl"));
        let file = self.ask(self.client.post(format!("{}/v1/files", self.gateways[0].url())).multipart(form)).await;
        let asked =
            json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"});
        let batch = self.ask(self.client.post(format!("{}/v1/batches", self.gateways[1].url())).json(&asked)).await;
        batch["id"].as_str().unwrap().to_owned()
    }

    /// The batch as one of them shows it, if it can.
    async fn batch(&self, gateway: usize, id: &str) -> Option<Value> {
        let url = format!("{}/v1/batches/{id}", self.gateways[gateway].url());
        let answer = self.client.get(url).bearer_auth("sk-test").send().await.unwrap();
        if answer.status().is_server_error() {
            return None;
        }
        Some(answer.error_for_status().unwrap().json().await.unwrap())
    }

    /// Waits until so many lines are answered, with something to do meanwhile.
    async fn wait(&self, gateway: usize, id: &str, lines: u64, mut meanwhile: impl FnMut()) -> Value {
        loop {
            meanwhile();
            tokio::time::sleep(Duration::from_millis(200)).await;
            let Some(batch) = self.batch(gateway, id).await else { continue };
            let status = batch["status"].as_str().unwrap();
            assert!(["validating", "in_progress", "finalizing", "completed"].contains(&status), "{batch}");
            if status == "completed" || batch["request_counts"]["completed"].as_u64().unwrap() >= lines {
                return batch;
            }
        }
    }

    /// Whether each line has one answer, as both of them show it.
    async fn check(&self, id: &str) {
        for gateway in [0, 1] {
            let batch = self.batch(gateway, id).await.unwrap();
            assert_eq!(batch["status"], "completed", "{batch}");
            assert_eq!(batch["request_counts"], json!({"total": LINES, "completed": LINES, "failed": 0}));
            let file = batch["output_file_id"].as_str().unwrap();
            let url = format!("{}/v1/files/{file}/content", self.gateways[gateway].url());
            let text = self.client.get(url).bearer_auth("sk-test").send().await.unwrap().text().await.unwrap();
            let ids: Vec<String> = text
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap()["custom_id"].as_str().unwrap().to_owned())
                .collect();
            assert_eq!(ids.len(), LINES);
            assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), LINES);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_survives_connections_that_are_cut_all_the_time() {
    let Some(pair) = Pair::start().await else { return };
    let id = pair.create().await;
    let mut cuts = 0;
    let cut = || {
        // A slow machine does nothing between two cuts.
        if cuts == MOST_CUTS {
            return;
        }
        pair.ways[cuts % 2].cut();
        cuts += 1;
        // The answer to a commit, every other time.
        if cuts % 4 == 0 {
            pair.ways[cuts / 4 % 2].fault(Fault::After("COMMIT"));
        }
    };
    pair.wait(0, &id, LINES as u64, cut).await;
    assert!(cuts > 3);
    for way in &pair.ways {
        way.restore();
    }
    while pair.batch(1, &id).await.is_none_or(|batch| batch["status"] != "completed") {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    pair.check(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_holds_that_is_cut_off_is_done_by_the_other() {
    let Some(pair) = Pair::start().await else { return };
    let id = pair.create().await;
    pair.wait(0, &id, 1, || {}).await;
    pair.ways[0].fault(Fault::Silence);
    while pair.wait(1, &id, LINES as u64, || {}).await["status"] != "completed" {}
    // It comes back, and has no part in what was given to the other.
    pair.ways[0].restore();
    while pair.batch(0, &id).await.is_none() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    pair.check(&id).await;
}
