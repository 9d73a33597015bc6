//! Owns findings: one change wherever it shows, with an id that stays the same from run to run, in words that say what
//! to do. It never compares and never knows what was decided.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::drift::{
    change::{Change, Class, Side},
    node::{EITHER, Step, Steps, rest, unescape},
    wording::{Wording, digest},
};

/// One change, at every place where it shows.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Stable: made of the kind of change and its first place, never of values that may change again.
    pub id: String,
    /// What the change does.
    pub class: Class,
    /// The kind of change.
    pub aspect: String,
    /// What of several it is about.
    pub subject: String,
    /// Which way values go there.
    pub side: Side,
    /// Where, in the order of the model; never empty.
    pub places: Vec<Steps>,
    /// What was there.
    pub old: Option<String>,
    /// What is there.
    pub new: Option<String>,
}

/// A place in the words of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Our operationId, or `schema NAME` for a schema that no operation refers to.
    pub operation: String,
    /// The part: `request application/json`, `response 200`, `parameter query limit`; empty for the operation.
    pub body: String,
    /// A JSON pointer into the normalised schema of the part; empty for the part itself.
    pub pointer: String,
}

impl Place {
    /// The place at the end of a way.
    #[must_use]
    pub fn new(steps: &[Step]) -> Self {
        let operation = steps.first().map(ToString::to_string).unwrap_or_default();
        let below = steps.get(1..).unwrap_or_default();
        let within = below.iter().position(|step| matches!(step, Step::Schema(_))).unwrap_or(below.len());
        Self { operation, body: rest(&below[..within]), pointer: rest(&below[within..]) }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { operation, body, pointer } = self;
        f.write_str(operation)?;
        [body, pointer].into_iter().filter(|part| !part.is_empty()).try_for_each(|part| write!(f, " {part}"))
    }
}

/// Joins changes that are the same at several places, in the order of classes and places.
#[must_use]
pub fn group(changes: Vec<Change>) -> Vec<Finding> {
    let mut groups: BTreeMap<_, Finding> = BTreeMap::new();
    for change in changes {
        let Change { place, side, aspect, subject, class, old, new } = change;
        let name = if aspect == "prefix" { String::new() } else { leaf(&place) };
        let key = (class, name, aspect.clone(), subject.clone(), side, old.clone(), new.clone());
        let finding = groups.entry(key).or_insert_with(|| Finding {
            id: id(&aspect, &subject, side, &place),
            class,
            aspect,
            subject,
            side,
            places: Vec::new(),
            old,
            new,
        });
        finding.places.push(place);
    }
    let mut findings: Vec<Finding> = groups.into_values().collect();
    findings.sort_by(|a, b| (a.class, &a.places, &a.aspect).cmp(&(b.class, &b.places, &b.aspect)));
    findings
}

/// The end of a way from the last name on: what one would call the place.
fn leaf(place: &[Step]) -> String {
    let named = |step: &Step| !matches!(step, Step::Schema(name) if !name.starts_with("properties/"));
    let start = place.iter().rposition(named).unwrap_or_default();
    let first = match &place[start] {
        Step::Schema(name) => unescape(name.trim_start_matches("properties/")),
        Step::Root(name) | Step::Response(name) | Step::Parameter(name) | Step::Header(name) => unescape(name),
        other => other.to_string(),
    };
    format!("{first}{}", rest(&place[start + 1..]))
}

/// Such as `field-added.usage.3f9a1c`.
fn id(aspect: &str, subject: &str, side: Side, place: &[Step]) -> String {
    let slug = |text: &str| {
        let word: String = text.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' }).collect();
        word.trim_matches('-').to_owned()
    };
    let name = Some(slug(&leaf(place))).filter(|name| !name.is_empty()).unwrap_or_else(|| "any".to_owned());
    let subject_slug = slug(subject);
    let dot = if subject_slug.is_empty() { "" } else { "." };
    let whole = digest(&format!("{aspect}\n{subject}\n{side:?}\n{}", Place::new(place)), 6);
    format!("{aspect}.{name}{dot}{subject_slug}.{whole}")
}

/// A value as a report shows it and upstream.yaml keeps it: long ones are cut, with a hash of the whole, so that two
/// values look the same only when they are.
#[must_use]
pub fn shown(value: Option<&str>) -> String {
    const LONG: usize = 160;
    match value {
        None => "absent".to_owned(),
        Some(text) if text.chars().count() <= LONG && !text.contains('\n') => text.to_owned(),
        Some(text) => {
            let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let cut: String = line.chars().take(LONG).collect();
            format!("{cut} … #{}", digest(text, 8))
        }
    }
}

impl Finding {
    /// The places in words.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        self.places.iter().map(|place| Place::new(place)).collect()
    }

    /// The places in one line: the first one, how many more, and a hash of them all.
    #[must_use]
    pub fn at(&self) -> String {
        let places = self.places();
        let all: Vec<String> = places.iter().map(ToString::to_string).collect();
        let first = all.first().cloned().unwrap_or_default();
        match all.len() {
            0 | 1 => first,
            count => format!("{first} and {} more #{}", count - 1, digest(&all.join("\n"), 8)),
        }
    }

    /// The name of the place: a field, a parameter, a status.
    #[must_use]
    pub fn name(&self) -> String {
        self.places.first().map(|place| leaf(place)).unwrap_or_default()
    }

    /// Both values as the report shows them. Of prose, a hash and the numbers.
    #[must_use]
    pub fn looks(&self) -> (String, String) {
        let kept = |value: &Option<String>| match value {
            Some(text) if self.aspect == "wording" => Some(kept(text)),
            other => other.clone(),
        };
        (shown(kept(&self.old).as_deref()), shown(kept(&self.new).as_deref()))
    }

    /// The numbers in the prose of both sides, when they differ.
    #[must_use]
    pub fn numbers(&self) -> Option<(Vec<String>, Vec<String>)> {
        if self.aspect != "wording" {
            return None;
        }
        let numbers = |value: &Option<String>| {
            let wording = Wording::from_kept(&kept(value.as_deref().unwrap_or_default()));
            wording.numbers().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let (old, new) = (numbers(&self.old), numbers(&self.new));
        (old != new).then_some((old, new))
    }

    /// The difference in words: from then to now, or from us to an upstream.
    #[must_use]
    pub fn problem(&self, upstream: Option<&str>) -> String {
        let (name, subject) = (self.name(), &self.subject);
        let place = if self.side == Side::Request { "what is sent" } else { "what is answered" };
        if let Some(upstream) = upstream {
            return self.standing(upstream, &name, place);
        }
        match self.aspect.as_str() {
            "wording" => match self.numbers() {
                Some((old, new)) => {
                    let list = |list: Vec<String>| if list.is_empty() { "none".into() } else { list.join(", ") };
                    format!("the text about {name} changed, and its numbers from {} to {}", list(old), list(new))
                }
                None => format!("the text about {name} changed, and no number in it"),
            },
            "prefix" => "the paths have another prefix".to_owned(),
            "enum-added" => format!("{name} has the new value {subject} in {place}"),
            "enum-removed" => format!("{name} no longer has the value {subject} in {place}"),
            "required" => format!("{name} is now required in {place}"),
            "optional" => format!("{name} is no longer required in {place}"),
            "type" => format!("{name} has another type in {place}"),
            EITHER => format!("whether {name} may be missing or null changed in {place}"),
            "open" if self.new.is_some() => format!("{name} may now have values that are not listed in {place}"),
            "open" => format!("{name} has no more than the listed values in {place}"),
            "nullable" if self.new.is_some() => format!("{name} may now be null in {place}"),
            "nullable" => format!("{name} may no longer be null in {place}"),
            aspect => match aspect.rsplit_once('-') {
                Some((what, "added")) => format!("{what} {name} is new in {place}"),
                Some((what, "removed")) => format!("{what} {name} is gone from {place}"),
                _ => format!("{aspect} of {name} changed in {place}"),
            },
        }
    }

    fn standing(&self, upstream: &str, name: &str, place: &str) -> String {
        let subject = &self.subject;
        match self.aspect.as_str() {
            "enum-added" => format!("the value {subject} of {name} in {place} is in {upstream}'s document alone"),
            "enum-removed" => format!("the value {subject} of {name} in {place} is in openapi.yaml alone"),
            "required" => format!("{name} in {place} is required at {upstream}, and optional in openapi.yaml"),
            "optional" => format!("{name} in {place} is optional at {upstream}, and required in openapi.yaml"),
            EITHER => format!("{name} in {place} may be missing or null at one of openapi.yaml and {upstream} alone"),
            "open" if self.new.is_some() => {
                format!("{name} in {place} may have values that are not listed at {upstream}, and not in openapi.yaml")
            }
            "nullable" if self.new.is_some() => {
                format!("{name} in {place} may be null at {upstream}, and not in openapi.yaml")
            }
            "nullable" => format!("{name} in {place} may be null in openapi.yaml, and not at {upstream}"),
            aspect => match aspect.rsplit_once('-') {
                Some((what, "added")) => format!("{what} {name} in {place} is in {upstream}'s document alone"),
                Some((what, "removed")) => format!("{what} {name} in {place} is in openapi.yaml alone"),
                _ => format!("{aspect} of {name} in {place} is another at {upstream}"),
            },
        }
    }

    /// What to do about it, as far as openapi.yaml is concerned.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match (self.class, self.aspect.as_str()) {
            (Class::Wording, _) => {
                "read both texts: a limit or a rule may have moved; then correct what we say or check"
            }
            (_, "prefix") => "correct the prefix in upstream.yaml and the servers that we name",
            (Class::BreaksReading, "enum-added") => {
                "add the value to openapi.yaml, and see that a reader keeps values it does not know"
            }
            (Class::BreaksReading, _) => "change openapi.yaml to read both forms, and look at what reads it",
            (Class::BreaksWriting, _) => {
                "change openapi.yaml and what sends it, so that nothing is sent that is now refused"
            }
            (Class::NewAbility, _) => "add it to openapi.yaml when our users need it",
            (Class::NewAnswer, _) => "add it to openapi.yaml, and see what a client does with it",
            (Class::Removed, _) => "stop relying on it; keep it in openapi.yaml only while another service has it",
        }
    }
}

/// Whether a text is what a baseline kept of prose: a hash and numbers.
#[must_use]
pub fn is_kept(text: &str) -> bool {
    text.split(' ').next().is_some_and(|word| word.len() == 12 && word.bytes().all(|b| b.is_ascii_hexdigit()))
        && text.split(' ').skip(1).all(|word| word.bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

fn kept(text: &str) -> String {
    if is_kept(text) { text.to_owned() } else { Wording::new(text.split('\n').map(str::to_owned)).kept().to_owned() }
}
