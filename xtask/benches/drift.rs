//! Owns the measure of `cargo xtask drift` on two real documents, beside the limit that nothing which reads them can
//! beat: the parser alone. Never a test: it judges nothing.
//!
//! `cargo bench -p xtask --bench drift -- OLD NEW`; without arguments, on the documents beside the repository.

#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde::de::IgnoredAny;
use xtask::{
    drift::{self, Request},
    report::Failure,
};

const ROUNDS: u32 = 5;

/// The best of some rounds.
fn best(mut run: impl FnMut() -> Result<(), Failure>) -> Result<Duration, Failure> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed());
    }
    Ok(best)
}

fn main() -> Result<(), Failure> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned();
    // Cargo adds --bench.
    let sources: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if sources.is_empty() {
        println!("skipped: give two documents after --, such as those of OpenAI at two dates");
        return Ok(());
    }
    let texts: Vec<String> = sources.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    let bytes: usize = texts.iter().map(String::len).sum();
    println!("{} documents, {bytes} bytes, best of {ROUNDS}", texts.len());

    let request = Request { sources: sources.clone(), ..Request::default() };
    let whole = best(|| drift::run(&root, &request, &mut std::io::sink()).map(drop))?;
    let parse = best(|| {
        for text in &texts {
            // Nothing is kept; JSON is YAML as well.
            let parsed: Result<IgnoredAny, _> = yaml_serde::from_str(text);
            parsed.map_err(|error| Failure::new(format!("not YAML: {error}"), "give documents that parse"))?;
        }
        Ok(())
    })?;
    println!("cargo xtask drift OLD NEW: {:.3} s", whole.as_secs_f64());
    println!("the YAML parser alone:     {:.3} s", parse.as_secs_f64());
    Ok(())
}
