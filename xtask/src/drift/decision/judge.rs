//! Owns the judgement of one upstream: what a witness says, held against openapi.yaml, against what it said before, and
//! against what was decided; and what several witnesses say, as one report. It never reads or writes a file.

use crate::drift::{
    apply,
    change::{Change, Class, Side},
    compare::{Options, agree, compare},
    finding::{Finding, group},
    mapping::{Difference, FILE, Upstream, Witness},
    node::Step,
    print::{Entry, Report, State},
    project::Projection,
};
use crate::{codegen::CONTRACT, report::Failure};

/// What a witness said.
#[derive(Debug)]
pub struct Heard {
    /// Who.
    pub witness: Witness,
    /// What it is called in messages.
    pub source: String,
    /// What it said of our operations.
    pub theirs: Projection,
}

/// Everything counts: prose too.
#[must_use]
pub fn all(one: &Upstream) -> Options {
    Options { wording: true, sent: one.sent() }
}

/// Everything that one witness has to say: `mine` is our contract.
///
/// # Errors
///
/// When the baseline makes no sense.
pub fn judge(name: &str, one: &Upstream, mine: &Projection, heard: &Heard) -> Result<Report, Failure> {
    let Heard { witness, source, theirs } = heard;
    let standing = group(compare(&mine.model, &theirs.model, &Options { wording: false, sent: one.sent() }));
    let baseline = one.baseline(*witness)?;
    let mut report = Report { old: against(name, baseline.is_some()), new: source.clone(), ..Report::default() };
    let mut since = baseline.map_or_else(Vec::new, |baseline| compare(&baseline, &theirs.model, &all(one)));
    since.extend(moved(theirs, &one.prefix));
    let since = group(since);

    let records: Vec<&Difference> = one.differences().filter(|record| heard_by(one, record, *witness)).collect();
    let mine_only = |id: &str| standing.iter().any(|finding| finding.id == id);
    let decide = format!("cargo xtask drift {name} --accept ID --reason \"…\"");
    let mut seen = Vec::new();
    for finding in standing.iter().chain(since.iter().filter(|finding| !mine_only(&finding.id))) {
        let against_baseline = !standing.iter().any(|other| std::ptr::eq(other, finding));
        let decided_apart = matches!(finding.aspect.as_str(), "wording" | "prefix");
        seen.push(finding.id.clone());
        let now = Difference::of(finding, None);
        if one.differences().any(|record| record.by.is_none_or(|by| by == *witness) && record.looks(&now)) {
            report.recorded.insert(finding.id.clone());
            continue;
        }
        let changed = since.iter().find(|other| other.id == finding.id).filter(|_| !against_baseline);
        let (state, fix) = match records.iter().find(|record| record.id == finding.id) {
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
        report.entries.push(Entry { finding: finding.clone(), state, problem, fix, witnesses: vec![*witness] });
    }
    for record in records.iter().filter(|record| !seen.contains(&record.id)) {
        report.entries.push(vanished(record, *witness));
    }
    let named = |source: &str, side: &Projection| {
        side.uncompared.iter().map(|place| (source.to_owned(), place.clone())).collect::<Vec<_>>()
    };
    report.uncompared = [named(CONTRACT, mine), named(source, theirs)].concat();
    report.entries.sort_by_key(|entry| entry.finding.class);
    Ok(report)
}

/// What the witnesses are held against, in words.
fn against(name: &str, known: bool) -> String {
    let none = if known { "" } else { " (there is none yet)" };
    format!("{CONTRACT}, and the baseline of {name} in {FILE}{none}")
}

/// Whether a record is about what this witness says.
fn heard_by(one: &Upstream, record: &Difference, witness: Witness) -> bool {
    record.by == one.by(witness)
}

/// Several reports as one: what two witnesses agree on is said once.
#[must_use]
pub fn together(reports: Vec<Report>, heard: &[Heard]) -> Report {
    let mut whole = Report::default();
    for report in reports {
        whole.old = report.old;
        whole.new =
            [whole.new, report.new].into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(", and ");
        for entry in report.entries {
            let same = whole.entries.iter_mut().find(|other| is_same(other, &entry, heard));
            match same {
                Some(other) => {
                    let Finding { places, .. } = &mut other.finding;
                    places.extend(
                        entry.finding.places.into_iter().filter(|place| !places.contains(place)).collect::<Vec<_>>(),
                    );
                    other.witnesses.extend(entry.witnesses);
                }
                None => whole.entries.push(entry),
            }
        }
        whole.recorded.extend(report.recorded);
        whole
            .uncompared
            .extend(report.uncompared.into_iter().filter(|one| !whole.uncompared.contains(one)).collect::<Vec<_>>());
    }
    // What the first one no longer says, another may: the record is still of use.
    let recorded = whole.recorded.clone();
    whole.entries.retain(|entry| entry.state != State::Vanished || !recorded.contains(&entry.finding.id));
    whole.entries.sort_by_key(|entry| entry.finding.class);
    whole
}

fn is_same(one: &Entry, other: &Entry, heard: &[Heard]) -> bool {
    let Some(place) = one.finding.places.first() else { return false };
    let models: Vec<_> = [one, other]
        .iter()
        .filter_map(|entry| heard.iter().find(|heard| entry.witnesses.contains(&heard.witness)))
        .map(|heard| &heard.theirs.model)
        .collect();
    one.finding.id == other.finding.id
        && one.state == other.state
        && one.state != State::Vanished
        && (one.finding.looks() == other.finding.looks()
            || (one.finding.aspect.ends_with("-added") && matches!(models[..], [a, b] if agree(a, b, place))))
}

/// The change of the prefix, if it is another.
#[must_use]
pub fn moved(new: &Projection, old: &str) -> Vec<Change> {
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

/// The finding that a recorded difference is there no more.
fn vanished(record: &Difference, witness: Witness) -> Entry {
    let Difference { id, at, ours, theirs, .. } = record;
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
        witnesses: vec![witness],
    }
}
