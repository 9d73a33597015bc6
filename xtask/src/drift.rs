//! Owns `cargo xtask drift`: what is compared with what, and the exit code. It never edits a file unless it was asked to,
//! and never drops what it found.
//!
//! In the order of reading: `source` (where documents come from), `model` (what they come to), `difference` (what is
//! other), `decision` (what was decided of that), `print`, and `follow` (how openapi.yaml is edited).

pub mod decision;
pub mod difference;
pub mod follow;
pub mod model;
pub mod print;
pub mod source;

pub use decision::{decide, judge, mapping};
pub use difference::{change, compare, finding};
pub use follow::{apply, edit, spans};
pub use model::{keywords, node, project, schema, variants, wording};
pub use source::{document, fetch, package};

use std::{io::Write, path::Path};

use serde_json::{Map, Value, json};

use compare::{Options, compare};
use document::Document;
use fetch::Limits;
use finding::group;
use judge::{Heard, judge, moved, together};
use mapping::{FILE, Upstream, Upstreams, Witness};
use print::{Entry, Report, State};
use project::{Mapping, Ours, Projection, operations, project};
use schema::Uncompared;

use crate::{
    codegen::CONTRACT,
    files,
    report::{EXIT_FAILED, EXIT_FRESH, EXIT_STALE, Failure},
};

/// What `cargo xtask drift` was asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// An upstream, or an old and a new document or package.
    pub sources: Vec<String>,
    /// Whether every upstream is meant.
    pub all: bool,
    /// The document or the package of the upstream, in place of what upstream.yaml names.
    pub from: Option<String>,
    /// Ids to record, for [`Request::reason`].
    pub accept: Vec<String>,
    /// Why they are lived with.
    pub reason: Option<String>,
    /// Whether to take what is said as the new baseline.
    pub baseline: bool,
    /// Ids to bring into openapi.yaml.
    pub apply: Vec<String>,
    /// Whether to print JSON.
    pub json: bool,
    /// On documents and packages.
    pub limits: Limits,
}

/// Compares, prints to `out`, edits what was asked, and returns the exit code: 0 when nothing was found or what was
/// asked is done, 4 with findings, 100 when something could not be compared. A failure is printed as JSON too when JSON
/// was asked for.
///
/// # Errors
///
/// When it cannot be known or done: a document cannot be read, an id is not among the findings, a file cannot be
/// written.
pub fn run(root: &Path, request: &Request, out: &mut dyn Write) -> Result<u8, Failure> {
    let answered = answer(root, request, out);
    if let (Err(failure), true) = (&answered, request.json) {
        writeln!(out, "{:#}", failed(failure))?;
        return Ok(EXIT_FAILED);
    }
    answered
}

/// A failure as JSON.
fn failed(Failure(finding): &Failure) -> Value {
    json!({ "error": { "problem": finding.problem, "fix": finding.fix }, "exit": EXIT_FAILED })
}

fn answer(root: &Path, request: &Request, out: &mut dyn Write) -> Result<u8, Failure> {
    match request.sources.as_slice() {
        [] if request.all => every(root, request, out),
        [old, new] => {
            let report = pair(root, old, new, request.limits)?;
            finish(&report, request.json, out)
        }
        [name] => upstream(root, name, request, out),
        _ => Err(Failure::new("nothing to compare", "name an upstream, or an old and a new document")),
    }
}

/// What to do about what could not be compared.
pub const BY_EYE: &str =
    "correct the document, or teach xtask/packages what is new in a package; until then compare what is named by eye";

/// The exit code of a report.
fn code(report: &Report) -> u8 {
    match () {
        () if !report.uncompared.is_empty() => EXIT_FAILED,
        () if !report.entries.is_empty() => EXIT_STALE,
        () => EXIT_FRESH,
    }
}

/// Prints a report; the exit code.
fn finish(report: &Report, json: bool, out: &mut dyn Write) -> Result<u8, Failure> {
    let code = code(report);
    if json {
        writeln!(out, "{:#}", report.json(code))?;
        return Ok(code);
    }
    report.text(out)?;
    match report.uncompared.first() {
        Some((document, first)) => Err(incomplete(document, first, report.uncompared.len())),
        None => Ok(code),
    }
}

fn incomplete(document: &str, first: &Uncompared, count: usize) -> Failure {
    let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
    let Uncompared { place, reason } = first;
    let place = if place.is_empty() { String::new() } else { format!(" {place}") };
    let problem = format!("not everything could be compared: {document}{place}: {reason}{more}");
    Failure::new(problem, BY_EYE)
}

/// Our contract, and the operations in it.
///
/// # Errors
///
/// When openapi.yaml cannot be read.
pub fn contract(root: &Path) -> Result<(Document, Vec<Ours>), Failure> {
    let document = Document::parse(CONTRACT, files::read(root, CONTRACT)?.as_bytes())?;
    let ours = operations(&document);
    Ok((document, ours))
}

/// Two documents or packages of one upstream.
fn pair(root: &Path, old: &str, new: &str, limits: Limits) -> Result<Report, Failure> {
    let (_, ours) = contract(root)?;
    let upstreams = match files::read_if_there(root, FILE)? {
        Some(text) => Upstreams::parse(&text)?,
        None => Upstreams::default(),
    };
    let (roots, sent) = upstreams.roots();
    let mapping = Mapping { prefix: None, roots };
    if old == "-" && new == "-" {
        return Err(Failure::new("both documents are standard input", "give at least one of them as a file or a URL"));
    }
    let read = |source: &str| {
        let document = Document::load(source, &ours, limits)?;
        Ok::<_, Failure>((project(&document, &ours, &mapping)?, document.source, document.is_package))
    };
    let ((before, old, old_packed), (after, new, new_packed)) = (read(old)?, read(new)?);
    let (mut old_model, mut new_model) = (before.model.clone(), after.model.clone());
    if old_packed != new_packed {
        // A package says nothing of schemas that no operation refers to.
        for model in [&mut old_model, &mut new_model] {
            model.children.retain(|step, _| !matches!(step, node::Step::Root(_)));
        }
    }
    let mut changes = compare(&old_model, &new_model, &Options { wording: true, sent });
    changes.extend(moved(&after, &before.prefix));
    let entries = group(changes).into_iter().map(|finding| Entry {
        problem: finding.problem(None),
        fix: finding.advice().to_owned(),
        state: State::Open,
        witnesses: Vec::new(),
        finding,
    });
    let entries = entries.collect();
    let named = |source: &str, side: Projection| {
        side.uncompared.into_iter().map(|place| (source.to_owned(), place)).collect::<Vec<_>>()
    };
    let uncompared = [named(&old, before), named(&new, after)].concat();
    Ok(Report { old, new, entries, uncompared, ..Report::default() })
}

/// What is known of an upstream: what its witnesses say, and what is to be said of that.
struct Known {
    ours: Vec<Ours>,
    heard: Vec<Heard>,
    reports: Vec<Report>,
    whole: Report,
}

/// Asks the witnesses of one upstream, or the one that was given. One that cannot be read keeps none of the others from
/// being heard.
fn ask(root: &Path, name: &str, one: &Upstream, request: &Request) -> Result<Known, Failure> {
    let (contract, ours) = contract(root)?;
    let asked: Vec<(Witness, Result<Document, Failure>)> = match &request.from {
        Some(from) => {
            let document = Document::load(from, &ours, request.limits)?;
            let witness = if document.is_package { Witness::Package } else { Witness::Document };
            vec![(witness, Ok(document))]
        }
        None => one
            .witnesses()
            .into_iter()
            .map(|witness| (witness, find(root, one, witness, &ours, request.limits)))
            .collect(),
    };
    if asked.is_empty() {
        let problem = format!("{FILE} names neither a document nor a package of {name}");
        return Err(Failure::new(problem, format!("give one: cargo xtask drift {name} --from DOCUMENT|WHEEL|FOLDER")));
    }
    let several = asked.len() > 1;
    let mine = project(&contract, &ours, &one.ours())?;
    let (mut heard, mut lost) = (Vec::new(), Vec::new());
    for (witness, document) in asked {
        let said = document.and_then(|document| {
            let mapping = Mapping { roots: roots(one, &document), ..one.mapping() };
            Ok(Heard { witness, theirs: project(&document, &ours, &mapping)?, source: document.source })
        });
        match said {
            Ok(said) => heard.push(said),
            Err(failure) if several => lost.push((witness, failure)),
            Err(failure) => return Err(failure),
        }
    }
    let mut reports = Vec::new();
    for heard in &heard {
        let packed = heard.witness == Witness::Package;
        reports.push(if packed {
            judge(name, one, &without_roots(&mine), heard)?
        } else {
            judge(name, one, &mine, heard)?
        });
    }
    let mut whole = together(reports.clone(), &heard);
    for (witness, Failure(finding)) in lost {
        let reason = format!("it cannot be had: {}; {}", finding.problem, finding.fix);
        whole
            .uncompared
            .push((format!("the {} of {name}", witness.word()), Uncompared { place: String::new(), reason }));
    }
    Ok(Known { ours, heard, reports, whole })
}

/// Where a witness is, as upstream.yaml names it.
fn find(root: &Path, one: &Upstream, witness: Witness, ours: &[Ours], limits: Limits) -> Result<Document, Failure> {
    let named = match witness {
        Witness::Document => &one.document,
        Witness::Package => &one.package,
    };
    let named = named.as_deref().unwrap_or_default();
    match witness {
        Witness::Document if named.contains("://") => Document::load(named, ours, limits),
        // A file that upstream.yaml names is beside it.
        Witness::Document => Document::load(&root.join(named).display().to_string(), ours, limits),
        Witness::Package if named.contains('/') => {
            Document::load(&root.join(named).display().to_string(), ours, limits)
        }
        Witness::Package => package::newest(named, ours, limits),
    }
}

/// The schemas of a document that no operation refers to. A package has none.
fn roots(one: &Upstream, document: &Document) -> std::collections::BTreeMap<String, String> {
    if document.is_package { std::collections::BTreeMap::new() } else { one.mapping().roots }
}

fn without_roots(mine: &Projection) -> Projection {
    let mut mine = mine.clone();
    mine.model.children.retain(|step, _| !matches!(step, node::Step::Root(_)));
    mine
}

/// What the witnesses of one upstream say, held against what we knew of it and against our contract.
fn upstream(root: &Path, name: &str, request: &Request, out: &mut dyn Write) -> Result<u8, Failure> {
    let text = files::read_if_there(root, FILE)?
        .ok_or_else(|| Failure::new(format!("there is no {FILE}"), "restore it, or give two documents, OLD and NEW"))?;
    let upstreams = Upstreams::parse(&text)?;
    let one = upstreams.get(name)?;
    let Known { ours, heard, reports, whole } = ask(root, name, one, request)?;
    if !request.apply.is_empty() {
        let entries = decide::chosen(&whole, &request.apply)?;
        let said = |entry: &Entry| heard.iter().find(|heard| entry.witnesses.contains(&heard.witness));
        let findings: Vec<_> = entries.into_iter().filter_map(|entry| Some((&entry.finding, said(entry)?))).collect();
        return apply::run(root, name, one, &findings, &ours, out);
    }
    if !request.accept.is_empty() {
        let asked = (request.accept.as_slice(), request.reason.as_deref().unwrap_or_default());
        return decide::accept(root, &text, name, one, asked, (&whole, &reports), out);
    }
    if request.baseline {
        let open = whole.entries.iter().filter(|entry| entry.state != State::Settled).count();
        if open == 0 && whole.uncompared.is_empty() {
            return decide::baseline(root, &text, name, one, &heard, out);
        }
        let code = finish(&whole, request.json, out)?;
        if !request.json {
            writeln!(
                out,
                "\nproblem: the baseline is not taken, as {open} findings are open\nfix: decide on each: --accept ID --reason \"…\", or --apply ID"
            )?;
        }
        return Ok(code);
    }
    finish(&whole, request.json, out)
}

/// Every upstream, each with a report of its own, and a sum. The exit code is the worst of theirs: 100, 4, 0.
fn every(root: &Path, request: &Request, out: &mut dyn Write) -> Result<u8, Failure> {
    let text = files::read(root, FILE)?;
    let upstreams = Upstreams::parse(&text)?;
    let mut worst = EXIT_FRESH;
    let mut reports = Map::new();
    let mut sums = Vec::new();
    for (name, one) in &upstreams.upstreams {
        let known = ask(root, name, one, request);
        let (exit, sum) = match &known {
            Ok(Known { whole, .. }) => (code(whole), whole.sum()),
            Err(Failure(finding)) => (EXIT_FAILED, finding.problem.clone()),
        };
        worst = worst.max(exit);
        sums.push(format!("{name}: exit {exit}; {sum}"));
        match known {
            Ok(Known { whole, .. }) if request.json => drop(reports.insert(name.clone(), whole.json(exit))),
            Err(failure) if request.json => drop(reports.insert(name.clone(), failed(&failure))),
            Ok(Known { whole, .. }) => {
                writeln!(out, "== {name}")?;
                whole.text(out)?;
                writeln!(out)?;
            }
            Err(failure) => writeln!(out, "== {name}\n{failure}\n")?,
        }
    }
    if request.json {
        writeln!(out, "{:#}", json!({ "upstreams": reports, "exit": worst }))?;
    } else {
        writeln!(out, "== summary\n{}", crate::report::visible(&sums.join("\n")))?;
    }
    Ok(worst)
}
