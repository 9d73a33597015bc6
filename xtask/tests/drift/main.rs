//! Owns the trials of `cargo xtask drift`: on the contract of this repository, small documents written for the purpose,
//! and real ones where they are beside the repository. Never the network but for servers of its own on loopback.
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]
#![expect(clippy::print_stderr, reason = "a trial that is left out says so")]

mod edits;
mod history;
mod hostile;
mod mutations;
mod normal;
mod packages;
mod real;
mod records;
mod registry;
mod sources;
mod witnesses;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use serde_json::Value;
use xtask::drift::{
    Request,
    compare::{Options, compare},
    contract,
    document::Document,
    finding::{Finding, group},
    project::{Mapping, Ours, Projection, project},
    run,
};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The exit code and what was printed, where a failure is printed as `main` does it.
fn drift(root: &Path, request: &Request) -> (u8, String) {
    let mut out = Vec::new();
    let ended = run(root, request, &mut out);
    let mut text = String::from_utf8(out).unwrap();
    let code = ended.unwrap_or_else(|failure| {
        text.push_str(&format!("{failure}\n"));
        xtask::report::EXIT_FAILED
    });
    (code, text)
}

/// Two documents as files.
fn pair(old: &str, new: &str) -> (u8, Value) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let sources = vec![path("old", old), path("new", new)];
    let (code, text) = drift(&root(), &Request { sources, json: true, ..Request::default() });
    (code, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// What a document comes to, with the roots of OpenAI's old documents.
fn projected(root: Value) -> Projection {
    static OURS: LazyLock<Vec<Ours>> = LazyLock::new(|| contract(&self::root()).unwrap().1);
    let roots = ["BatchRequestInput", "BatchRequestOutput"].map(|name| (name.to_owned(), name.to_owned()));
    let mapping = Mapping { prefix: None, roots: roots.into() };
    let version = root["openapi"].as_str().unwrap().to_owned();
    project(&Document { source: "a document".to_owned(), version, root, is_package: false }, &OURS, &mapping).unwrap()
}

/// The same of a text.
fn read(text: &str) -> Projection {
    projected(Document::parse("a document", text.as_bytes()).unwrap().root)
}

/// The findings between two documents.
fn findings(old: &str, new: &str) -> Vec<Finding> {
    between(&read(old), &read(new))
}

fn between(old: &Projection, new: &Projection) -> Vec<Finding> {
    assert!(old.uncompared.is_empty() && new.uncompared.is_empty(), "{:?} {:?}", old.uncompared, new.uncompared);
    let options = Options { wording: true, sent: ["BatchRequestInput".to_owned()].into() };
    group(compare(&old.model, &new.model, &options))
}

/// Each finding as `class: kind name`, with the subject in brackets.
fn told(findings: &[Finding]) -> Vec<String> {
    let one = |finding: &Finding| {
        let subject = if finding.subject.is_empty() { String::new() } else { format!(" ({})", finding.subject) };
        format!("{}: {} {}{subject}", finding.class.words(), finding.aspect, finding.name())
    };
    findings.iter().map(one).collect()
}
