//! What one, two and three gateways on one PostgreSQL take to execute batches: lines a second, and of the database
//! transactions and bytes of WAL for each 1,000 lines. Files are in a folder; the built-in model answers.
//!
//! `LOTE_BIN=…/target/release/lote cargo run --release --example execution [LINES [BATCHES]]`, with a release build of the full
//! command. `LOTE_SLOW=1` lets each answer take 20 ms.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lote_cluster_tests::Postgres;
use lote_cluster_tests::consistency::{Client, Told, lote};
use serde_json::{Value, json};

#[tokio::main]
async fn main() {
    let arguments: Vec<usize> = std::env::args().skip(1).map(|text| text.parse().expect("a number")).collect();
    let (lines, batches) = (arguments.first().copied().unwrap_or(20_000), arguments.get(1).copied().unwrap_or(1));
    let prompt = if std::env::var_os("LOTE_SLOW").is_some() { "[[sleep=20]] hello" } else { "hello" };
    let Some(postgres) = Postgres::start() else { return };
    let input: String = (0..lines)
        .map(|line| {
            let body = json!({"model": "m", "messages": [{"role": "user", "content": format!("{prompt} {line}")}]});
            let url = "/v1/chat/completions";
            format!("{}\n", json!({"custom_id": line.to_string(), "method": "POST", "url": url, "body": body}))
        })
        .collect();
    println!("{batches} batches of {lines} lines each");
    println!(
        "{:<10} {:>10} {:>12} {:>18} {:>20}",
        "gateways", "lines/s", "CPU a line", "transactions/1000", "KiB of WAL/1000"
    );
    for many in 1..=3 {
        let database = format!("gateways_{many}");
        postgres.sql("postgres", &format!("CREATE DATABASE {database}"));
        let folder = tempfile::tempdir().expect("a folder");
        let gateways: Vec<Gateway> =
            (0..many).map(|_| Gateway::start(&postgres.url_of(&database), folder.path())).collect();
        let client = Client::new(gateways.iter().map(|gateway| gateway.port).collect(), "sk-any");
        let number = |sql: &str| postgres.sql(&database, sql).parse::<f64>().expect("a number");
        let wal = || number("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')");
        let transactions = || number("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()");
        let (wal_before, transactions_before, began) = (wal(), transactions(), Instant::now());
        let mut ids = Vec::new();
        for _ in 0..batches {
            let Told::Answer(200, file) = client.upload(&input).await else { panic!("no upload") };
            let body = json!({
                "input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h",
                "max_concurrency": 256,
            });
            let Told::Answer(200, batch) = client.post("/batches", &body, None).await else { panic!("no batch") };
            ids.push(batch["id"].as_str().expect("an id").to_owned());
        }
        for id in ids {
            loop {
                let Told::Answer(200, batch) = client.get_patiently(&format!("/batches/{id}")).await else {
                    panic!("no batch")
                };
                match batch["status"].as_str() {
                    Some("completed") => {
                        assert_eq!(batch["request_counts"]["completed"], lines, "{batch}");
                        break;
                    }
                    Some("failed" | "expired" | "cancelled") => panic!("{batch}"),
                    _ => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        }
        let took = began.elapsed().as_secs_f64();
        // Statistics are told when a connection has been idle for a second.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let all = (lines * batches) as f64;
        let cpu: f64 = gateways.iter().map(Gateway::cpu).sum();
        println!(
            "{many:<10} {:>10.0} {:>9.0} us {:>18.1} {:>20.1}",
            all / took,
            cpu / all * 1e6,
            (transactions() - transactions_before) / all * 1e3,
            (wal() - wal_before) / all * 1e3 / 1024.0
        );
    }
}

struct Gateway {
    child: Child,
    port: u16,
}

impl Gateway {
    fn start(database: &str, folder: &Path) -> Gateway {
        let blobs = format!("file://{}", folder.join("blobs").display());
        fs::create_dir_all(folder.join("blobs")).expect("a folder");
        let mut child = Command::new(lote())
            .args(["gateway", "--listen", "127.0.0.1:0", "--json", "--database", database, "--blobs", &blobs])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the command starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).expect("JSON");
        let port = said["listen"].as_str().and_then(|listen| listen.rsplit(':').next()?.parse().ok());
        Gateway { child, port: port.expect("a port") }
    }

    /// Seconds of all processors so far, by a clock of 100 ticks a second.
    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).expect("Linux");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
        (ticks(11) + ticks(12)) / 100.0
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
