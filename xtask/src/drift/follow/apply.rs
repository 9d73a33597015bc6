//! Owns `--apply`: which findings can be brought into openapi.yaml without thought, and that nothing else comes with
//! them. It never prints the contract from a parsed document, and refuses what is not mechanical.

use std::{io::Write, path::Path};

use crate::drift::{
    document::Document,
    edit::{self, Edit},
    finding::Finding,
    judge::{Heard, judge},
    mapping::Upstream,
    node::{EITHER, Node, Step, unescape},
    project::{Ours, Projection, project},
};
use crate::{
    codegen::{self, CONTRACT, Mode},
    drift::{
        keywords::{LOWER, UPPER},
        print::{Report, State},
    },
    files,
    report::Failure,
};

/// Whether a finding is of a kind that can be applied without thought.
#[must_use]
pub fn mechanical(finding: &Finding) -> bool {
    let optional = !finding.new.as_deref().is_some_and(|new| new.starts_with("required "));
    match finding.aspect.as_str() {
        "enum-added" => true,
        "field-added" | "parameter-added" => optional,
        keyword => is_bound(keyword),
    }
}

fn is_bound(keyword: &str) -> bool {
    LOWER.contains(&keyword) || UPPER.contains(&keyword)
}

/// Brings findings into openapi.yaml and runs codegen; the exit code of codegen.
///
/// # Errors
///
/// When one is not mechanical, or would change more than it says: nothing is written then. As codegen fails, otherwise.
pub fn run(
    root: &Path,
    name: &str,
    one: &Upstream,
    findings: &[(&Finding, &Heard)],
    ours: &[Ours],
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let mut text = files::read(root, CONTRACT)?;
    for (finding, heard) in findings {
        text = applied(&text, name, one, finding, heard, ours)?;
    }
    files::write(root, CONTRACT, &text)?;
    for (finding, _) in findings {
        writeln!(out, "applied: {}", finding.id)?;
    }
    codegen::run(root, Mode::Write, out)
}

/// The text of the contract with one finding brought in.
///
/// # Errors
///
/// See [`run`].
pub fn applied(
    text: &str,
    name: &str,
    one: &Upstream,
    finding: &Finding,
    heard: &Heard,
    ours: &[Ours],
) -> Result<String, Failure> {
    let refuse = |why: &str| {
        let fix = "edit openapi.yaml by hand, then cargo xtask codegen";
        Failure::new(format!("{} is not applied: {why}", finding.id), fix)
    };
    if !mechanical(finding) {
        return Err(refuse(&format!("{} needs thought: {}", finding.aspect, finding.advice())));
    }
    let before = view(text, one, ours)?;
    let mut places: Vec<String> = Vec::new();
    for place in &finding.places {
        let at = target(finding, place);
        let origin = before.model.at(at).map(|node| node.origin.0.clone()).filter(|origin| !origin.is_empty());
        let origin = origin.ok_or_else(|| refuse("openapi.yaml does not describe the place itself"))?;
        if !places.contains(&origin) {
            places.push(origin);
        }
    }
    let edit = what(name, finding, &heard.theirs).map_err(|why| refuse(&why))?;
    let mut edited = text.to_owned();
    let mut holders = Vec::new();
    for origin in places {
        let document = Document::parse(CONTRACT, edited.as_bytes())?;
        let holder = edit::holder(&document.root, &origin, &edit).ok_or_else(|| refuse("its place is not found"))?;
        // Of two places that are one by reference, one edit.
        if !holders.contains(&holder) {
            edited = edit::edit(&edited, &holder, &edit).map_err(|why| refuse(&why))?;
            holders.push(holder);
        }
    }

    // What the edit does is what was meant, and no more.
    let ids = |report: Report| {
        // What only the baseline has otherwise is no matter of the contract.
        let entries = report.entries.into_iter().filter(|entry| entry.state != State::Settled);
        entries.map(|entry| entry.finding.id).collect::<Vec<_>>()
    };
    let was = ids(judge(name, one, &before, heard)?);
    let after = view(&edited, one, ours)?;
    let is = ids(judge(name, one, &after, heard)?);
    if is.contains(&finding.id) {
        return Err(refuse("the edit would not settle it"));
    }
    if let Some(other) = is.iter().find(|id| !was.contains(id)) {
        return Err(refuse(&format!("the edit would also change another place, as {other} tells")));
    }
    Ok(edited)
}

fn view(text: &str, one: &Upstream, ours: &[Ours]) -> Result<Projection, Failure> {
    project(&Document::parse(CONTRACT, text.as_bytes())?, ours, &one.ours())
}

/// The place in our contract that the edit is made at: what has the field or the parameter, or the place itself.
fn target<'p>(finding: &Finding, place: &'p [Step]) -> &'p [Step] {
    let above = matches!(finding.aspect.as_str(), "field-added" | "parameter-added");
    if above { &place[..place.len().saturating_sub(1)] } else { place }
}

fn what(name: &str, finding: &Finding, theirs: &Projection) -> Result<Edit, String> {
    let place = finding.places.first().ok_or("it has no place")?;
    let new = || theirs.model.at(place).ok_or_else(|| "it is not in the document".to_owned());
    let parsed = |text: &str| serde_json::from_str(text).map_err(|error| format!("its value is not plain: {error}"));
    match (finding.aspect.as_str(), place.last()) {
        ("enum-added", _) => Ok(Edit::Value(parsed(&finding.subject)?)),
        ("field-added", Some(Step::Schema(step))) => {
            let field = unescape(step.strip_prefix("properties/").ok_or("it is no field")?);
            Ok(Edit::Field(field, edit::schema(new()?, name)?))
        }
        ("parameter-added", Some(Step::Parameter(parameter))) => {
            let (kind, parameter) = parameter.split_once(' ').ok_or("it is no parameter")?;
            if kind == "path" {
                return Err("a parameter in the path changes the path".to_owned());
            }
            Ok(Edit::Parameter(edit::parameter(kind, &unescape(parameter), new()?, name)?))
        }
        (keyword, _) if is_bound(keyword) => {
            let bound = finding.new.as_deref().map(parsed).transpose()?;
            Ok(Edit::Bound(keyword.to_owned(), bound))
        }
        _ => Err("it is not mechanical".to_owned()),
    }
}

/// Whether a schema says no more than an edit can write.
#[must_use]
pub fn is_plain(node: &Node) -> bool {
    const PLAIN: [&str; 18] = [
        EITHER,
        "type",
        "format",
        "nullable",
        "enum",
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "pattern",
        "default",
        "deprecated",
        "required",
        "never",
    ];
    let step = |step: &Step| match step {
        Step::Schema(name) => name.starts_with("properties/") || name == "items" || name == "additionalProperties",
        _ => false,
    };
    node.facts.keys().all(|fact| PLAIN.contains(&fact.as_str()))
        && node.children.iter().all(|(at, child)| step(at) && is_plain(child))
}
