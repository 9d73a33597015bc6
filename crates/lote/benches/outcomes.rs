//! How fast answers become what a user of the library sees, within this process: the ledger of a batch (one outcome for
//! each request line), one outcome with its text, and the service's JSON as a batch, in each dialect.
//! `cargo bench -p lote --bench outcomes [-- NAME]`.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot read has nothing to say")]

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lote::{Batch, Dialect, Outcome, Outcomes, raw::to_contract};
use serde_json::{Value, json};

const LINES: u64 = 2_000;

fn request(number: u64) -> String {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "größer 🙂 ".repeat(50)}]});
    json!({"custom_id": format!("row-{number}"), "method": "POST", "url": "/v1/chat/completions", "body": body})
        .to_string()
}

fn answer(number: u64) -> String {
    let message = json!({"role": "assistant", "content": "größer 🙂 ".repeat(50)});
    let body = json!({
        "id": "c", "object": "chat.completion", "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    });
    let response = json!({"status_code": 200, "request_id": "q", "body": body});
    json!({"id": "r", "custom_id": format!("row-{number}"), "response": response, "error": null}).to_string()
}

fn ledger(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let (requests, output) = (folder.path().join("requests.jsonl"), folder.path().join("output.jsonl"));
    let lines = |line: fn(u64) -> String| (0..LINES).map(|number| line(number * 7 % LINES) + "\n").collect::<String>();
    let (asked, answered) = (lines(request), lines(answer));
    std::fs::write(&requests, &asked).unwrap();
    std::fs::write(&output, &answered).unwrap();
    let mut group = criterion.benchmark_group("ledger");
    group.throughput(Throughput::Elements(LINES));
    group.bench_function("joined, with texts", |bench| {
        bench.iter(|| {
            let outcomes = Outcomes::join(&requests, [&output]).unwrap();
            outcomes.map(|outcome| outcome.unwrap().text().unwrap().len()).sum::<usize>()
        });
    });
    group.finish();
    let line = answer(1);
    let mut group = criterion.benchmark_group("outcome");
    group.throughput(Throughput::Bytes(line.len() as u64));
    group.bench_function("with its text", |bench| {
        bench.iter(|| Outcome::from_line(black_box(line.as_str())).unwrap().text().unwrap());
    });
    group.finish();
}

fn batch() -> Value {
    json!({
        "id": "batch_1", "object": "batch", "endpoint": "/v1/chat/completions", "model": "m", "errors": null,
        "input_file_id": "file-1", "completion_window": "24h", "status": "completed", "output_file_id": "file-2",
        "error_file_id": null, "created_at": 1_764_374_400, "in_progress_at": 1_764_374_401,
        "expires_at": 1_764_460_800, "finalizing_at": 1_764_374_402, "completed_at": 1_764_374_403, "failed_at": null,
        "expired_at": null, "cancelling_at": null, "cancelled_at": null,
        "request_counts": {"total": 3, "completed": 3, "failed": 0}, "metadata": {"run": "7"},
    })
}

fn conversion(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("conversion");
    for name in ["openai", "mka1"] {
        let dialect = Dialect::named(name).unwrap();
        group.bench_function(BenchmarkId::new("a batch", name), |bench| {
            let read = |mut answer: Value| {
                to_contract(&dialect, "get_batch", &mut answer);
                serde_json::from_value::<Batch>(answer).unwrap()
            };
            bench.iter_batched(batch, read, BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benches, ledger, conversion);
criterion_main!(benches);
