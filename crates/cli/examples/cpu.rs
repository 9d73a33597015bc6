//! What a run takes of the processor, beside what its work takes when each part is done alone, in the same run: check the
//! requests, hash what goes and what comes, upload, download, join. The service is in this process, and does not count.
//!
//! `cargo build --release && cargo run --release -p lote-cli --example cpu [LINES [ROUNDS]]`, on Linux. 1,000,000 lines need
//! 3 GB of disk below the folder for temporary files. What others do on the machine only adds to a figure: of each, the least
//! of all rounds counts.
#![expect(clippy::print_stdout, reason = "printing figures is all that it does")]

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use lote::save::Stored;
use lote_gateway::Gateway;
use serde_json::Value;

type Fallible<T> = Result<T, Box<dyn Error>>;

/// How much more than its parts a run may take.
const MOST: f64 = 1.15;

/// What a run is made of.
const PARTS: [&str; 5] = ["check", "SHA-256", "upload", "download", "join"];

/// The argument with which this program hashes files, as one of the parts.
const HASH: &str = "--hash";

fn main() -> Fallible<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|first| first == HASH) {
        for path in args.iter().skip(1) {
            Stored::of(Path::new(path))?;
        }
        return Ok(());
    }
    let lines: u64 = args.first().map_or(Ok(100_000), |text| text.parse())?;
    let rounds: u32 = args.get(1).map_or(Ok(3), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut parts, mut run) = (PARTS.map(|_| f64::MAX), f64::MAX);
    for _ in 0..rounds {
        let folder = tempfile::tempdir()?;
        let requests = folder.path().join("requests.jsonl");
        write_requests(&requests, lines)?;
        let gateway = runtime.block_on(Gateway::builder().start())?;
        let service = Service { url: gateway.url(), folder: folder.path().to_owned() };
        run = run.min(service.cpu(&mut service.lote(&["run", "requests.jsonl"])?)?);
        for (least, seconds) in parts.iter_mut().zip(service.parts()?) {
            *least = least.min(seconds);
        }
    }
    println!("{lines} lines, the least of {rounds} rounds");
    for (name, seconds) in PARTS.iter().zip(&parts) {
        println!("  {name:<10} {seconds:>8.2} s");
    }
    let all: f64 = parts.iter().sum();
    println!("all parts    {all:>8.2} s of the processor\na run        {run:>8.2} s, {:.2} times as much", run / all);
    if run > all * MOST {
        return Err(format!("a run takes more than {MOST} times what its parts take").into());
    }
    Ok(())
}

struct Service {
    url: String,
    folder: PathBuf,
}

impl Service {
    /// `lote`, as it was built beside this program.
    fn lote(&self, args: &[&str]) -> Fallible<Command> {
        let here = std::env::current_exe()?;
        let lote = here.parent().and_then(Path::parent).ok_or("no folder of built programs")?.join("lote");
        let mut command = Command::new(lote);
        command.args(args).env("LOTE_BASE_URL", &self.url).env("LOTE_API_KEY", "sk-none");
        Ok(command)
    }

    /// Runs a command to its end; the time that it took of the processor, in seconds.
    fn cpu(&self, command: &mut Command) -> Fallible<f64> {
        let before = of_children()?;
        let ended = command.current_dir(&self.folder).stdin(Stdio::null()).stdout(Stdio::null()).output()?;
        if !ended.status.success() {
            return Err(format!("{}: {}", ended.status, String::from_utf8_lossy(&ended.stderr)).into());
        }
        Ok(of_children()? - before)
    }

    fn json(&self, args: &[&str]) -> Fallible<Value> {
        let output = self.lote(args)?.current_dir(&self.folder).stderr(Stdio::inherit()).output()?;
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Does again, one after another, what the run did.
    fn parts(&self) -> Fallible<[f64; PARTS.len()]> {
        let mut sums = [0.0; PARTS.len()];
        let mut add = |part: usize, seconds: f64| sums[part] += seconds;
        let status = self.json(&["status", "requests.run", "--json"])?;
        for (at, shard) in status["shards"].as_array().ok_or("no shards")?.iter().enumerate() {
            let sent = self.folder.join(format!("requests.run/shards/{:04}/requests.jsonl", at + 1));
            let sent = sent.to_str().ok_or("a path that is no text")?;
            add(0, self.cpu(&mut self.lote(&["check", sent])?)?);
            add(2, self.cpu(&mut self.lote(&["files", "upload", sent])?)?);
            let batch = self.json(&["batches", "get", shard["batch"].as_str().ok_or("no batch")?])?;
            let output = batch["output_file_id"].as_str().ok_or("no output")?;
            add(3, self.cpu(&mut self.lote(&["files", "content", output, "-o", "came.jsonl", "--force"])?)?);
            let mut hash = Command::new(std::env::current_exe()?);
            add(1, self.cpu(hash.args([HASH, sent, "came.jsonl"]))?);
            add(4, self.cpu(&mut self.lote(&["join", sent, "came.jsonl", "-o", "joined.jsonl", "--force"])?)?);
            for name in ["came.jsonl", "joined.jsonl"] {
                fs::remove_file(self.folder.join(name))?;
            }
        }
        Ok(sums)
    }
}

/// What all processes that this one has started, and that have ended, took of the processor, in seconds.
fn of_children() -> Fallible<f64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name, which may hold anything, is the only field in brackets; the 16th and 17th field are those of children.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u32 =
        fields.get(13..15).ok_or("too few fields")?.iter().map(|field| field.parse::<u32>()).sum::<Result<_, _>>()?;
    let a_second = Command::new("getconf").arg("CLK_TCK").output()?.stdout;
    Ok(f64::from(ticks) / String::from_utf8(a_second)?.trim().parse::<f64>()?)
}

fn write_requests(path: &Path, lines: u64) -> Fallible<()> {
    let mut requests = BufWriter::new(File::create(path)?);
    for at in 0..lines {
        let body =
            format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"What is {at} + 1? The number."}}]}}"#);
        let line = format!(r#"{{"custom_id":"row-{at}","method":"POST","url":"/v1/chat/completions","body":{body}}}"#);
        writeln!(requests, "{line}")?;
    }
    Ok(requests.flush()?)
}
