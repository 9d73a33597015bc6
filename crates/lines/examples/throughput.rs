//! How fast `check`, `Inspection` and `join` read, and how much memory that takes at the most, beside the plain way in the same run: serde_json
//! into a `Value` for each line. `cargo run --release -p lote-lines --example throughput [LINES]`
#![expect(clippy::print_stdout, reason = "printing figures is all that it does")]

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use lote_lines::{CheckOptions, Inspection, check, join};
use serde_json::{Value, json};

type OutcomeKind = Result<(), Box<dyn Error>>;

const ROUNDS: usize = 7;

fn main() -> OutcomeKind {
    let lines: usize = std::env::args().nth(1).map_or(Ok(50_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("input.jsonl");
    let output = folder.path().join("output.jsonl");
    let results = folder.path().join("results.jsonl");
    write_input(&input, lines)?;
    write_output(&output, lines)?;
    let (input_bytes, output_bytes) = (fs::metadata(&input)?.len(), fs::metadata(&output)?.len());
    println!("{lines} lines; input {} MB, output {} MB, shuffled", input_bytes / 1_000_000, output_bytes / 1_000_000);

    let report = |name: &str, bytes: u64, run: &mut dyn FnMut() -> OutcomeKind| -> OutcomeKind {
        forget_peak();
        let best = best_of(run)?.as_secs_f64();
        let memory = peak().map_or_else(|| "?".to_owned(), |kib| (kib / 1024).to_string());
        let (rate, volume) = (lines as f64 / best, bytes as f64 / 1e6 / best);
        println!("{name:<34} {rate:>10.0} lines/s {volume:>8.0} MB/s {memory:>6} MiB");
        Ok(())
    };
    report("check", input_bytes, &mut || {
        let checked = check(open(&input)?, &CheckOptions::default(), &mut |_| {}, None)?;
        expect(checked.findings == 0 && checked.lines as usize == lines)
    })?;
    report("  peer: Value, set of ids", input_bytes, &mut || check_peer(&input, lines))?;
    report("inspect", output_bytes, &mut || {
        let mut inspection = Inspection::default();
        inspection.read("output", open(&output)?)?;
        expect(inspection.report().succeeded as usize == lines)
    })?;
    report("  peer: Value, counting", output_bytes, &mut || inspect_peer(&output, lines))?;
    report("join", input_bytes + output_bytes, &mut || {
        let joined = join(&input, &[&output], &mut File::create(&results)?)?;
        expect(joined.succeeded as usize == lines)
    })?;
    report("  peer: Value, all held in memory", input_bytes + output_bytes, &mut || {
        join_peer(&input, &output, &results, lines)
    })
}

/// Lets the most memory that this process has had start anew. Linux only.
fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that this process has had at once, in KiB. Linux only.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok())
}

fn expect(right: bool) -> OutcomeKind {
    if right { Ok(()) } else { Err("the counts are wrong".into()) }
}

fn best_of(run: &mut dyn FnMut() -> OutcomeKind) -> Result<Duration, Box<dyn Error>> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

fn open(path: &Path) -> std::io::Result<BufReader<File>> {
    Ok(BufReader::with_capacity(1 << 16, File::open(path)?))
}

/// A text of 1 to 3 kB with the escapes that real texts have.
fn text(number: usize) -> String {
    let sentence = "Janet\u{2019}s ducks lay 16 eggs per day. She says: \"I eat three\".\n";
    sentence.repeat(16 + number * 7919 % 31)
}

fn write_input(path: &Path, lines: usize) -> OutcomeKind {
    let mut out = BufWriter::new(File::create(path)?);
    for number in 0..lines {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": text(number)}], "temperature": 0.5});
        let Value::Object(body) = body else { continue };
        lote_lines::RequestLine::new(format!("row-{number}"), "/v1/chat/completions", body).write_to(&mut out)?;
    }
    Ok(out.flush()?)
}

fn write_output(path: &Path, lines: usize) -> OutcomeKind {
    let mut order: Vec<usize> = (0..lines).collect();
    let mut state = 1_u64;
    for index in (1..lines).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        order.swap(index, (state >> 33) as usize % (index + 1));
    }
    let mut out = BufWriter::new(File::create(path)?);
    for number in order {
        let body = json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text(number)}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 200, "total_tokens": 300},
        });
        let line = json!({
            "id": "batch_req_1", "custom_id": format!("row-{number}"),
            "response": {"status_code": 200, "request_id": "r", "body": body}, "error": null,
        });
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

fn check_peer(input: &Path, lines: usize) -> OutcomeKind {
    let mut ids = HashSet::new();
    for line in open(input)?.lines() {
        let line: Value = serde_json::from_str(&line?)?;
        let id = line["custom_id"].as_str().ok_or("no custom_id")?;
        expect(ids.insert(id.to_owned()) && line["method"] == "POST" && line["body"]["stream"] != true)?;
    }
    expect(ids.len() == lines)
}

fn inspect_peer(output: &Path, lines: usize) -> OutcomeKind {
    let (mut succeeded, mut tokens) = (0, 0);
    let mut ids = HashSet::new();
    for line in open(output)?.lines() {
        let line: Value = serde_json::from_str(&line?)?;
        succeeded += usize::from(line["response"]["status_code"] == 200 && line["error"].is_null());
        tokens += line["response"]["body"]["usage"]["total_tokens"].as_u64().unwrap_or(0);
        ids.insert(line["custom_id"].as_str().ok_or("no custom_id")?.to_owned());
    }
    expect(succeeded == lines && ids.len() == lines && tokens > 0)
}

fn join_peer(input: &Path, output: &Path, results: &Path, lines: usize) -> OutcomeKind {
    let mut answers = HashMap::new();
    for line in open(output)?.lines() {
        let line: Value = serde_json::from_str(&line?)?;
        let id = line["custom_id"].as_str().ok_or("no custom_id")?.to_owned();
        answers.insert(id, line);
    }
    let mut out = BufWriter::new(File::create(results)?);
    let mut written = 0;
    for line in open(input)?.lines() {
        let line: Value = serde_json::from_str(&line?)?;
        let id = line["custom_id"].as_str().ok_or("no custom_id")?;
        serde_json::to_writer(&mut out, answers.get(id).ok_or("missing")?)?;
        out.write_all(b"\n")?;
        written += 1;
    }
    out.flush()?;
    expect(written == lines)
}
