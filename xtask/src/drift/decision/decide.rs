//! Owns the edits of upstream.yaml: records of what was decided, and baselines. Each is read back before it is written.

use std::{io::Write, path::Path};

use crate::drift::{
    compare::compare,
    finding::Finding,
    judge::{Heard, all},
    mapping::{self, Difference, FILE, Upstream, Upstreams, Witness},
    print::{Entry, Report, State},
};
use crate::{
    files,
    report::{EXIT_FRESH, Failure},
};

/// The entries with these ids, which are findings that can be decided on: of several witnesses that say otherwise, each.
///
/// # Errors
///
/// When there is none, or nothing is to be decided on it.
pub fn chosen<'r>(report: &'r Report, ids: &[String]) -> Result<Vec<&'r Entry>, Failure> {
    let mut found = Vec::new();
    for id in ids {
        let entries: Vec<&Entry> = report.entries.iter().filter(|entry| entry.finding.id == *id).collect();
        let open = entries.iter().filter(|entry| matches!(entry.state, State::Open | State::Changed(_)));
        let open: Vec<&Entry> = open.copied().collect();
        match (open.is_empty(), entries.first().map(|entry| &entry.state)) {
            (false, _) => found.extend(open),
            (_, Some(State::Vanished)) => {
                return Err(Failure::new(format!("{id} is there no more"), format!("take its record out of {FILE}")));
            }
            (_, Some(_)) => {
                return Err(Failure::new(format!("{id} is settled already"), "take the baseline: --baseline"));
            }
            (_, None) => {
                return Err(Failure::new(format!("no finding has the id {id}"), "name one that the command prints"));
            }
        }
    }
    Ok(found)
}

/// Records findings, for a reason; the exit code. `reports` are those of the witnesses by themselves.
///
/// # Errors
///
/// When there is no reason, or the file cannot be edited.
pub fn accept(
    root: &Path,
    text: &str,
    name: &str,
    one: &Upstream,
    (ids, reason): (&[String], &str),
    (whole, reports): (&Report, &[Report]),
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let mut differences: Vec<Difference> = Vec::new();
    for entry in chosen(whole, ids)? {
        let says = |witness: Witness| -> Option<&Finding> {
            let entries = reports.iter().flat_map(|report| &report.entries);
            let mut own = entries.filter(|own| own.witnesses == [witness] && own.finding.id == entry.finding.id);
            own.next().map(|own| &own.finding)
        };
        for witness in &entry.witnesses {
            let difference = Difference::of(says(*witness).unwrap_or(&entry.finding), one.by(*witness));
            // What the first one says holds for the others, when it looks the same.
            if !differences.iter().any(|other| other.by.is_none() && other.looks(&difference)) {
                differences.push(difference);
            }
        }
    }
    if reason.trim().is_empty() {
        return Err(Failure::new("no reason is given", "say why it is lived with: --reason \"…\""));
    }
    let edited = mapping::with_decision(text, name, reason.trim(), &differences)?;
    let parsed = Upstreams::parse(&edited)?;
    if !differences.iter().all(|one| parsed.upstreams[name].differences().any(|there| there == one)) {
        return Err(Failure::new(format!("{FILE} would not read back as written"), "record it by hand"));
    }
    files::write(root, FILE, &edited)?;
    for Difference { id, .. } in differences {
        writeln!(out, "recorded: {id}")?;
    }
    Ok(EXIT_FRESH)
}

/// Takes what the witnesses say as the new baselines; nothing may be open. The exit code.
///
/// # Errors
///
/// When the file cannot be edited.
pub fn baseline(
    root: &Path,
    text: &str,
    name: &str,
    one: &Upstream,
    heard: &[Heard],
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    // What was decided of prose is in the baseline now.
    let taken = |record: &&Difference| heard.iter().any(|heard| one.by(heard.witness) == record.by);
    let prose: Vec<Difference> = one
        .differences()
        .filter(|record| record.id.starts_with("wording.") || record.id.starts_with("prefix."))
        .filter(taken)
        .cloned()
        .collect();
    let mut edited = if prose.is_empty() { text.to_owned() } else { mapping::without(text, name, &prose)? };
    for Heard { witness, theirs, .. } in heard {
        edited = mapping::with_baseline(&edited, name, *witness, &theirs.model)?;
        let back = Upstreams::parse(&edited)?.get(name)?.baseline(*witness)?;
        if back.as_ref().is_none_or(|back| !compare(back, &theirs.model, &all(one)).is_empty()) {
            return Err(Failure::new(format!("{FILE} would not read back as written"), "this is a fault of xtask"));
        }
    }
    files::write(root, FILE, &edited)?;
    for Difference { id, .. } in prose {
        writeln!(out, "dropped: {id}, as the baseline has it now")?;
    }
    for Heard { witness, theirs, .. } in heard {
        let places = theirs.model.count() - 1;
        writeln!(out, "wrote: {FILE} baseline {name}, {places} places of the {}", witness.word())?;
    }
    Ok(EXIT_FRESH)
}
