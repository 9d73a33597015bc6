//! How fast lines are read, within this process: check, an answer, inspect, join.
//! `cargo bench -p lote-lines --bench lines [-- NAME]`. Whole commands are measured by `cargo xtask bench`.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot read has nothing to say")]

#[path = "../tests/made/mod.rs"]
mod made;

use std::hint::black_box;
use std::io;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use lote_lines::{Answer, CheckOptions, Inspection, check, join};
use made::Style;

const LINES: usize = 2_000;

/// Measures what reads so many bytes.
fn bench<T>(criterion: &mut Criterion, (name, style): (&str, Style), bytes: usize, mut read: impl FnMut() -> T) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function(BenchmarkId::from_parameter(style.name()), |bench| bench.iter(|| black_box(read())));
    group.finish();
}

fn lines(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    for style in Style::ALL {
        let (requests, answers) = (style.requests(LINES), style.answers(LINES));
        bench(criterion, ("check", style), requests.len(), || {
            check(requests.as_bytes(), &CheckOptions::default(), &mut |_| {}, None).unwrap()
        });
        let line = answers.lines().next().unwrap();
        bench(criterion, ("answer", style), line.len(), || {
            Answer::parse(black_box(line.as_bytes())).unwrap().outcome()
        });
        bench(criterion, ("inspect", style), answers.len(), || {
            let mut inspection = Inspection::default();
            inspection.read("output", answers.as_bytes()).unwrap();
            inspection
        });
        let files = ["in", "out"].map(|end| folder.path().join(format!("{}.{end}", style.name())));
        std::fs::write(&files[0], &requests).unwrap();
        std::fs::write(&files[1], &answers).unwrap();
        bench(criterion, ("join", style), requests.len() + answers.len(), || {
            join(&files[0], &[&files[1]], &mut io::sink()).unwrap()
        });
    }
}

criterion_group!(benches, lines);
criterion_main!(benches);
