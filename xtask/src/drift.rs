//! Owns `cargo xtask drift`: what is compared with what, what of it was decided, and the exit code. It never edits a
//! file unless it was asked to, and never drops what it found.

pub mod apply;
pub mod change;
pub mod compare;
pub mod document;
pub mod edit;
pub mod fetch;
pub mod finding;
pub mod keywords;
pub mod mapping;
pub mod node;
pub mod print;
pub mod project;
pub mod schema;
pub mod spans;
pub mod variants;
pub mod wording;

use std::{io::Write, path::Path};

use change::{Change, Class, Side};
use compare::{Options, compare};
use document::Document;
use fetch::Limits;
use finding::{Finding, group};
use mapping::{Difference, FILE, Upstream, Upstreams};
use node::{Node, Step};
use print::{Entry, Report, State};
use project::{Mapping, Ours, Projection, operations, project};

use crate::{
    codegen::CONTRACT,
    files,
    report::{EXIT_FAILED, EXIT_FRESH, EXIT_STALE, Failure},
};

/// What `cargo xtask drift` was asked.
#[derive(Debug, Default)]
pub struct Request {
    /// An upstream, or an old and a new document.
    pub sources: Vec<String>,
    /// The document of the upstream, in place of what upstream.yaml names.
    pub from: Option<String>,
    /// Ids to record, for [`Request::reason`].
    pub accept: Vec<String>,
    /// Why they are lived with.
    pub reason: Option<String>,
    /// Whether to take the document as the new baseline.
    pub baseline: bool,
    /// Ids to bring into openapi.yaml.
    pub apply: Vec<String>,
    /// Whether to print JSON.
    pub json: bool,
    /// On documents.
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
    if let (Err(Failure(finding)), true) = (&answered, request.json) {
        let error = serde_json::json!({ "problem": finding.problem, "fix": finding.fix });
        writeln!(out, "{:#}", serde_json::json!({ "error": error, "exit": EXIT_FAILED }))?;
        return Ok(EXIT_FAILED);
    }
    answered
}

fn answer(root: &Path, request: &Request, out: &mut dyn Write) -> Result<u8, Failure> {
    match request.sources.as_slice() {
        [old, new] => {
            let report = pair(root, old, new, request.limits)?;
            finish(&report, request.json, out)
        }
        [name] => upstream(root, name, request, out),
        _ => Err(Failure::new("nothing to compare", "name an upstream, or an old and a new document")),
    }
}

/// Prints a report; the exit code.
fn finish(report: &Report, json: bool, out: &mut dyn Write) -> Result<u8, Failure> {
    let code = match () {
        () if !report.uncompared.is_empty() => EXIT_FAILED,
        () if !report.entries.is_empty() => EXIT_STALE,
        () => EXIT_FRESH,
    };
    if json {
        writeln!(out, "{:#}", report.json(code))?;
        return Ok(code);
    }
    report.text(out)?;
    match report.uncompared.first() {
        Some((document, first)) => Err(incomplete(document, &first.place, &first.reason, report.uncompared.len())),
        None => Ok(code),
    }
}

fn incomplete(document: &str, place: &str, reason: &str, count: usize) -> Failure {
    let more = if count > 1 { format!(" (and {} more)", count - 1) } else { String::new() };
    let problem = format!("not everything could be compared: {document} {place}: {reason}{more}");
    Failure::new(problem, "correct the document, or compare what is named above by eye")
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

/// Two documents of one upstream.
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
    let read = |source: &str| project(&Document::load(source, limits)?, &ours, &mapping);
    let (before, after) = (read(old)?, read(new)?);
    let mut changes = compare(&before.model, &after.model, &Options { wording: true, sent });
    changes.extend(moved(&after, &before.prefix));
    let entries = group(changes).into_iter().map(|finding| Entry {
        problem: finding.problem(None),
        fix: finding.advice().to_owned(),
        state: State::Open,
        finding,
    });
    let named = |source: &str, side: Projection| {
        side.uncompared.into_iter().map(move |place| (fetch::name(source), place)).collect::<Vec<_>>()
    };
    let entries = entries.collect();
    let uncompared = [named(old, before), named(new, after)].concat();
    Ok(Report { old: fetch::name(old), new: fetch::name(new), entries, recorded: 0, uncompared })
}

/// The change of the prefix, if it is another.
fn moved(new: &Projection, old: &str) -> Vec<Change> {
    let tops = new.model.children.keys().filter(|step| matches!(step, Step::Operation(_)) && new.prefix != old);
    let change = |step: &Step| Change {
        place: vec![step.clone()],
        side: Side::Request,
        aspect: "prefix".to_owned(),
        subject: String::new(),
        class: Class::BreaksWriting,
        old: Some(old.to_owned()),
        new: Some(new.prefix.clone()),
    };
    tops.map(change).collect()
}

/// The document of one upstream with what we knew of it and with our contract.
fn upstream(root: &Path, name: &str, request: &Request, out: &mut dyn Write) -> Result<u8, Failure> {
    let text = files::read_if_there(root, FILE)?
        .ok_or_else(|| Failure::new(format!("there is no {FILE}"), "restore it, or give two documents, OLD and NEW"))?;
    let upstreams = Upstreams::parse(&text)?;
    let one = upstreams.get(name)?;
    // A file that upstream.yaml names is beside it.
    let named = one
        .document
        .as_ref()
        .map(|name| if name.contains("://") { name.clone() } else { root.join(name).display().to_string() });
    let Some(source) = request.from.as_ref().or(named.as_ref()) else {
        let problem = format!("{FILE} does not say where the document of {name} is: it is published nowhere");
        return Err(Failure::new(problem, format!("give it: cargo xtask drift {name} --from FILE")));
    };
    let (contract, ours) = contract(root)?;
    let document = Document::load(source, request.limits)?;
    let theirs = project(&document, &ours, &one.mapping())?;
    let mine = project(&contract, &ours, &one.ours())?;
    let report = judge(name, one, &mine, &theirs, &document.source)?;

    if !request.apply.is_empty() {
        let findings = chosen(&report, &request.apply)?;
        return apply::run(root, name, one, &findings, &theirs, &ours, out);
    }
    if !request.accept.is_empty() {
        let differences: Vec<Difference> = chosen(&report, &request.accept)?.into_iter().map(Difference::of).collect();
        let reason = request.reason.as_deref().unwrap_or_default().trim();
        if reason.is_empty() {
            return Err(Failure::new("no reason is given", "say why it is lived with: --reason \"…\""));
        }
        let edited = mapping::with_decision(&text, name, reason, &differences)?;
        let recorded: Vec<&Difference> = differences.iter().collect();
        let parsed = Upstreams::parse(&edited)?;
        if !recorded.iter().all(|one| parsed.upstreams[name].differences().any(|there| there == *one)) {
            return Err(Failure::new(format!("{FILE} would not read back as written"), "record it by hand"));
        }
        files::write(root, FILE, &edited)?;
        for Difference { id, .. } in recorded {
            writeln!(out, "recorded: {id}")?;
        }
        return Ok(EXIT_FRESH);
    }
    if request.baseline {
        return take(root, &text, name, one, &report, &theirs, request.json, out);
    }
    finish(&report, request.json, out)
}

/// The entries with these ids, which are findings that can be decided on.
fn chosen<'r>(report: &'r Report, ids: &[String]) -> Result<Vec<&'r Finding>, Failure> {
    let one = |id: &String| {
        let entry = report.entries.iter().find(|entry| entry.finding.id == *id);
        match entry.map(|entry| (&entry.state, &entry.finding)) {
            Some((State::Open | State::Changed(_), finding)) => Ok(finding),
            Some((State::Vanished, _)) => {
                Err(Failure::new(format!("{id} is there no more"), format!("take its record out of {FILE}")))
            }
            Some((State::Settled, _)) => {
                Err(Failure::new(format!("{id} is settled already"), "take the baseline: --baseline"))
            }
            None => Err(Failure::new(format!("no finding has the id {id}"), "name one that the command prints")),
        }
    };
    ids.iter().map(one).collect()
}

/// Takes the document as the new baseline when nothing is open.
#[expect(clippy::too_many_arguments, reason = "one step of `upstream`, apart for its length")]
fn take(
    root: &Path,
    text: &str,
    name: &str,
    one: &Upstream,
    report: &Report,
    theirs: &Projection,
    json: bool,
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let open = report.entries.iter().filter(|entry| entry.state != State::Settled).count();
    if open > 0 || !report.uncompared.is_empty() {
        let code = finish(report, json, out)?;
        if !json {
            writeln!(
                out,
                "\nproblem: the baseline is not taken, as {open} findings are open\nfix: decide on each: --accept ID --reason \"…\", or --apply ID"
            )?;
        }
        return Ok(code);
    }
    // What was decided of prose is in the baseline now.
    let prose: Vec<&str> = one
        .differences()
        .map(|one| one.id.as_str())
        .filter(|id| id.starts_with("wording.") || id.starts_with("prefix."))
        .collect();
    let edited = if prose.is_empty() { text.to_owned() } else { mapping::without(text, name, &prose)? };
    let edited = mapping::with_baseline(&edited, name, &theirs.model)?;
    let back = Upstreams::parse(&edited)?.get(name)?.baseline()?;
    if back.as_ref().is_none_or(|back| !compare(back, &theirs.model, &all(one)).is_empty()) {
        return Err(Failure::new(format!("{FILE} would not read back as written"), "this is a fault of xtask"));
    }
    files::write(root, FILE, &edited)?;
    for id in prose {
        writeln!(out, "dropped: {id}, as the baseline has it now")?;
    }
    writeln!(out, "wrote: {FILE} baseline {name}, {} places", theirs.model.count() - 1)?;
    Ok(EXIT_FRESH)
}

fn all(one: &Upstream) -> Options {
    Options { wording: true, sent: one.sent() }
}

/// Everything there is to say of one upstream: `mine` is our contract, `theirs` the document.
///
/// # Errors
///
/// When the baseline makes no sense.
pub fn judge(
    name: &str,
    one: &Upstream,
    mine: &Projection,
    theirs: &Projection,
    source: &str,
) -> Result<Report, Failure> {
    let standing = group(compare(&mine.model, &theirs.model, &Options { wording: false, sent: one.sent() }));
    let baseline: Option<Node> = one.baseline()?;
    let mut since = baseline.map_or_else(Vec::new, |baseline| compare(&baseline, &theirs.model, &all(one)));
    since.extend(moved(theirs, &one.prefix));
    let since = group(since);

    let mut report = Report {
        old: format!(
            "{CONTRACT}, and the baseline of {name} in {FILE}{}",
            if one.baseline.is_some() { "" } else { " (there is none yet)" }
        ),
        new: source.to_owned(),
        ..Report::default()
    };
    let mine_only = |id: &str| standing.iter().any(|finding| finding.id == id);
    let decide = format!("cargo xtask drift {name} --accept ID --reason \"…\"");
    let mut seen = Vec::new();
    for finding in standing.iter().chain(since.iter().filter(|finding| !mine_only(&finding.id))) {
        let against_baseline = !standing.iter().any(|other| std::ptr::eq(other, finding));
        let decided_apart = matches!(finding.aspect.as_str(), "wording" | "prefix");
        seen.push(finding.id.clone());
        let now = Difference::of(finding);
        let record = one.differences().find(|record| record.id == finding.id);
        if record == Some(&now) {
            report.recorded += 1;
            continue;
        }
        let changed = since.iter().find(|other| other.id == finding.id).filter(|_| !against_baseline);
        let (state, fix) = match record {
            Some(Difference { at, ours, theirs, .. }) => {
                let before = format!("{ours} with us, {theirs} at {name}, at {at}");
                (State::Changed(before), format!("{}; or decide again: {decide}", finding.advice()))
            }
            None if against_baseline && !decided_apart => {
                let fix = format!(
                    "openapi.yaml agrees already, or a finding above covers it; once nothing is open: cargo xtask drift {name} --baseline"
                );
                (State::Settled, fix)
            }
            None if decided_apart => (State::Open, format!("{}; then {decide}", finding.advice())),
            None => {
                let apply = if apply::mechanical(finding) {
                    format!("; cargo xtask drift {name} --apply ID does that")
                } else {
                    String::new()
                };
                (State::Open, format!("{}{apply}; or live with it: {decide}", finding.advice()))
            }
        };
        let mut problem = finding.problem((!against_baseline).then_some(name));
        if let Some(changed) = changed {
            problem = format!("{problem}: since the baseline, {}", changed.problem(None));
        }
        let fix = fix.replace(" ID", &format!(" {}", finding.id));
        report.entries.push(Entry { finding: finding.clone(), state, problem, fix });
    }
    for record in one.differences().filter(|record| !seen.contains(&record.id)) {
        report.entries.push(vanished(record));
    }
    let named = |source: &str, side: &Projection| {
        side.uncompared.iter().map(|place| (source.to_owned(), place.clone())).collect::<Vec<_>>()
    };
    report.uncompared = [named(CONTRACT, mine), named(source, theirs)].concat();
    report.entries.sort_by_key(|entry| entry.finding.class);
    Ok(report)
}

/// The finding that a recorded difference is there no more.
fn vanished(record: &Difference) -> Entry {
    let Difference { id, at, ours, theirs } = record;
    let operation = at.split(' ').next().unwrap_or_default();
    let finding = Finding {
        id: id.clone(),
        class: Class::Removed,
        aspect: id.split('.').next().unwrap_or_default().to_owned(),
        subject: String::new(),
        side: Side::Response,
        places: vec![vec![Step::Operation(operation.to_owned())]],
        old: Some(ours.clone()),
        new: Some(theirs.clone()),
    };
    Entry {
        finding,
        state: State::Vanished,
        problem: format!("the difference that was recorded is gone: {ours} with us, {theirs} there, at {at}"),
        fix: format!("take its record out of {FILE}"),
    }
}
