//! What the gateway takes to execute batches, in memory and with its state in a folder: lines a second, processor a line,
//! memory at the most; and how long clients wait for single requests while batches are at work beside them.
//!
//! `cargo build --release && cargo run --release -p lote-gateway --example execution [LINES [BATCHES]]`, on Linux, where the command
//! `lote` was built beside it. The gateway is a process of its own; its upstream and its client are in this one, and do not
//! count. With `LOTE_GATEWAY_FLAGS`, such as `--database … --blobs …`, gateways with these flags are measured as well.
#![expect(clippy::print_stdout, reason = "printing figures is all that it does")]

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lote_gateway::Gateway;
use serde_json::{Value, json};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// How long the upstream takes for an answer.
const ANSWER: Duration = Duration::from_millis(20);

/// Single requests that are timed, by so many clients.
const SINGLE: usize = 2_000;
const CLIENTS: usize = 4;

/// Batches at work beside them.
const LOAD: usize = 8;

/// Ticks of the clock in /proc a second: what Linux has on every machine that this runs on.
const TICKS: f64 = 100.0;

fn main() -> Fallible<()> {
    // Nothing here speaks TLS, but a client of HTTP wants to know whose cryptography it would use.
    drop(rustls::crypto::ring::default_provider().install_default());
    let args: Vec<String> = std::env::args().skip(1).collect();
    // At most 50,000, which is the gateway's limit.
    let lines: usize = args.first().map_or(Ok(20_000), |text| text.parse())?;
    let batches: usize = args.get(1).map_or(Ok(1), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let upstream = runtime.block_on(Gateway::builder().start())?;
    let upstream = format!("{}/v1", upstream.url());
    let given: Vec<String> =
        std::env::var("LOTE_GATEWAY_FLAGS").unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    println!("{batches} batches of {lines} lines each; the upstream answers after {} ms", ANSWER.as_millis());
    println!("{:<44} {:>12} {:>14} {:>10}", "state, who answers", "lines/s", "CPU a line", "at most");
    let mut states = vec![("in memory", Vec::new()), ("in a folder", vec!["--data".to_owned(), "DATA".to_owned()])];
    if !given.is_empty() {
        states.push(("as LOTE_GATEWAY_FLAGS says", given));
    }
    for (state, flags) in &states {
        for (who, url, prompt) in
            [("the built-in model", None, ""), ("an upstream", Some(upstream.as_str()), "[[sleep=20]] ")]
        {
            let folder = tempfile::tempdir()?;
            let gateway = Process::start(folder.path(), flags, url)?;
            let (took, cpu) = runtime.block_on(gateway.batches(lines, batches, prompt))?;
            let all = (lines * batches) as f64;
            println!(
                "{:<44} {:>12.0} {:>11.0} us {:>6.0} MiB",
                format!("{state}, {who}"),
                all / took.as_secs_f64(),
                cpu / all * 1e6,
                gateway.most_memory()?
            );
        }
    }
    println!("single requests of {CLIENTS} clients, {SINGLE} in all, to the same upstream");
    println!("{:<44} {:>10} {:>10}", "state", "median", "99 %");
    for (state, flags) in &states {
        let folder = tempfile::tempdir()?;
        let gateway = Process::start(folder.path(), flags, Some(&upstream))?;
        let alone = runtime.block_on(gateway.single())?;
        let beside = runtime.block_on(async {
            let mut last = String::new();
            for _ in 0..LOAD {
                last = gateway.create(lines, "[[sleep=20]] ").await?;
                gateway.running(&last).await?;
            }
            let beside = gateway.single().await?;
            let ended = gateway.batch(&last).await?;
            if ended["status"] != "in_progress" {
                return Err("the batches were over before the single requests were: give more lines".into());
            }
            Fallible::Ok(beside)
        })?;
        for (what, times) in [("alone", &alone), ("a full batch beside them", &beside)] {
            let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1e3;
            println!("{:<44} {:>7.1} ms {:>7.1} ms", format!("{state}, {what}"), at(50), at(99));
        }
    }
    Ok(())
}

/// A gateway at work.
struct Process {
    child: Child,
    url: String,
    http: reqwest::Client,
}

impl Process {
    fn start(folder: &Path, flags: &[String], upstream: Option<&str>) -> Fallible<Process> {
        let mut command = Command::new(lote()?);
        command.args(["gateway", "--listen", "127.0.0.1:0", "--json"]).env("TMPDIR", folder);
        for flag in flags {
            match flag.as_str() {
                "DATA" => command.arg(folder.join("state")),
                flag => command.arg(flag),
            };
        }
        if let Some(upstream) = upstream {
            command
                .args(["--upstream", upstream, "--upstream-key-env", "LOTE_BENCH_KEY"])
                .env("LOTE_BENCH_KEY", "sk-upstream");
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line)?;
        let url = format!("http://{}/v1", said["listen"].as_str().ok_or("no address")?);
        Ok(Process { child, url, http: reqwest::Client::builder().no_proxy().build()? })
    }

    async fn create(&self, lines: usize, prompt: &str) -> Fallible<String> {
        let mut file = Vec::new();
        for line in 0..lines {
            let content = format!("{prompt}Say what is in ticket {line}, and who should see to it, in one sentence.");
            let body = json!({"model": "m", "messages": [{"role": "user", "content": content}]});
            let request = json!({"custom_id": format!("ticket-{line}"), "method": "POST", "url": "/v1/chat/completions", "body": body});
            serde_json::to_writer(&mut file, &request)?;
            file.write_all(b"\n")?;
        }
        let part = reqwest::multipart::Part::bytes(file).file_name("requests.jsonl");
        let form = reqwest::multipart::Form::new().text("purpose", "batch").part("file", part);
        let file = self.answer(self.http.post(format!("{}/files", self.url)).multipart(form)).await?;
        let body = json!({
            "input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h",
            "max_concurrency": 256,
        });
        let batch = self.answer(self.http.post(format!("{}/batches", self.url)).json(&body)).await?;
        Ok(batch["id"].as_str().ok_or("no id")?.to_owned())
    }

    async fn batch(&self, id: &str) -> Fallible<Value> {
        self.answer(self.http.get(format!("{}/batches/{id}", self.url))).await
    }

    async fn running(&self, id: &str) -> Fallible<()> {
        loop {
            let batch = self.batch(id).await?;
            match batch["status"].as_str() {
                Some("in_progress") => return Ok(()),
                Some("validating") => tokio::time::sleep(Duration::from_millis(20)).await,
                _ => return Err(format!("a batch does not run: {batch}").into()),
            }
        }
    }

    /// The time until all are over, from the creation of the last, and what the gateway took of the processor.
    async fn batches(&self, lines: usize, batches: usize, prompt: &str) -> Fallible<(Duration, f64)> {
        let (began, before) = (Instant::now(), self.cpu()?);
        let mut ids = Vec::new();
        for _ in 0..batches {
            ids.push(self.create(lines, prompt).await?);
        }
        for id in ids {
            loop {
                let batch = self.batch(&id).await?;
                match batch["status"].as_str() {
                    Some("completed") if batch["request_counts"]["completed"] == lines => break,
                    Some("completed" | "failed" | "expired" | "cancelled") => {
                        return Err(format!("a batch has ended so: {batch}").into());
                    }
                    _ => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        }
        Ok((began.elapsed(), self.cpu()? - before))
    }

    /// How long single requests took, in order.
    async fn single(&self) -> Fallible<Vec<Duration>> {
        let one = async || {
            let mut times = Vec::new();
            for _ in 0..SINGLE / CLIENTS {
                let body = json!({"model": "m", "messages": [{"role": "user", "content": "[[sleep=20]] hello"}]});
                let began = Instant::now();
                self.answer(self.http.post(format!("{}/chat/completions", self.url)).json(&body)).await?;
                times.push(began.elapsed());
            }
            Fallible::Ok(times)
        };
        let mut times = Vec::new();
        for of_one in futures_util::future::join_all((0..CLIENTS).map(|_| one())).await {
            times.extend(of_one?);
        }
        times.sort_unstable();
        Ok(times)
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Fallible<Value> {
        let response = request.bearer_auth("sk-bench").send().await?;
        let status = response.status();
        let body = response.text().await?;
        if status.is_success() { Ok(serde_json::from_str(&body)?) } else { Err(format!("{status}: {body}").into()) }
    }

    /// Seconds of all processors so far.
    fn cpu(&self) -> Fallible<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields: Vec<&str> = stat.rsplit_once(')').ok_or("no name")?.1.split_whitespace().collect();
        let ticks: f64 =
            fields.get(11).ok_or("no time")?.parse::<f64>()? + fields.get(12).ok_or("no time")?.parse::<f64>()?;
        Ok(ticks / TICKS)
    }

    /// MiB.
    fn most_memory(&self) -> Fallible<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no memory")?;
        Ok(line.split_whitespace().next().ok_or("no memory")?.parse::<f64>()? / 1024.0)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The command that was built beside this program.
fn lote() -> Fallible<PathBuf> {
    let examples = std::env::current_exe()?;
    let folder = examples.parent().and_then(Path::parent).ok_or("this program is nowhere")?;
    let lote = folder.join("lote");
    if lote.is_file() { Ok(lote) } else { Err("build it first: cargo build --release --bin lote".into()) }
}
