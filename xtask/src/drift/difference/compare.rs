//! Owns the comparison of two models: a pure function from two trees to what changed at which place, classed by what it
//! does to whoever reads answers or writes requests. It never groups, prints or decides.

mod said;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::drift::{
    change::{Change, Class, Side},
    keywords::{LOWER, UPPER},
    node::{EITHER, Node, Step, Steps, UNREAD, UNSAID},
};

/// How a set of values moved.
#[derive(Clone, Copy, PartialEq)]
enum Moved {
    /// Fewer values.
    Narrower,
    /// More values.
    Wider,
    /// Other values.
    Other,
}

/// What to compare.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whether prose counts.
    pub wording: bool,
    /// The roots that are sent; the others are read.
    pub sent: BTreeSet<String>,
}

/// What changed from `old` to `new`, in the order of places.
#[must_use]
pub fn compare(old: &Node, new: &Node, options: &Options) -> Vec<Change> {
    let mut comparison = Comparison::new(options);
    comparison.children(old, new);
    comparison.changes
}

/// Whether two models say the same at a place of both, as far as both say it.
#[must_use]
pub fn agree(one: &Node, other: &Node, place: &[Step]) -> bool {
    let options = Options::default();
    let mut comparison = Comparison::new(&options);
    let (Some(first), Some(second)) = (one.at(place), other.at(place)) else { return false };
    let silent = |model: &Node| model.at(&place[..1]).into_iter().flat_map(Node::unsaid).map(str::to_owned).collect();
    comparison.silence = [silent(one), silent(other)];
    comparison.node(first, second);
    comparison.changes.is_empty()
}

struct Comparison<'a> {
    options: &'a Options,
    changes: Vec<Change>,
    place: Steps,
    side: Side,
    /// What the old and the new source never say here.
    silence: [BTreeSet<String>; 2],
}

impl<'a> Comparison<'a> {
    fn new(options: &'a Options) -> Self {
        Self {
            options,
            changes: Vec::new(),
            place: Steps::new(),
            side: Side::Request,
            silence: [BTreeSet::new(), BTreeSet::new()],
        }
    }

    fn push(&mut self, aspect: &str, subject: &str, class: Class, old: Option<String>, new: Option<String>) {
        let (place, side) = (self.place.clone(), self.side);
        self.changes.push(Change { place, side, aspect: aspect.into(), subject: subject.into(), class, old, new });
    }

    /// The class of a change of the values that are allowed.
    fn class(&self, moved: Moved) -> Class {
        let inverted =
            self.place.iter().any(|step| matches!(step, Step::Schema(name) if UNCLEAR.contains(&name.as_str())));
        match (self.side, if inverted { Moved::Other } else { moved }) {
            (Side::Request, Moved::Wider) => Class::NewAbility,
            (Side::Request, _) => Class::BreaksWriting,
            (Side::Response, Moved::Narrower) => Class::Removed,
            (Side::Response, _) => Class::BreaksReading,
        }
    }

    fn enter(&mut self, step: &Step) -> Side {
        let before = self.side;
        match step {
            Step::Parameter(_) | Step::Request => self.side = Side::Request,
            Step::Response(_) => self.side = Side::Response,
            Step::Root(name) if self.options.sent.contains(name) => self.side = Side::Request,
            Step::Root(_) => self.side = Side::Response,
            Step::Operation(_) => self.side = Side::Request,
            Step::Header(_) | Step::Content(_) | Step::Schema(_) => {}
        }
        self.place.push(step.clone());
        before
    }

    fn leave(&mut self, side: Side) {
        self.place.pop();
        self.side = side;
    }

    /// Both at one place.
    fn node(&mut self, old: &Node, new: &Node) {
        if old.is(UNREAD) || new.is(UNREAD) {
            return;
        }
        let before = self.silence.clone();
        for (silence, node) in self.silence.iter_mut().zip([old, new]) {
            silence.remove("field");
            silence.extend(node.unsaid().map(str::to_owned));
        }
        self.inside(old, new);
        self.silence = before;
    }

    fn inside(&mut self, old: &Node, new: &Node) {
        let said = [old, new].map(|node| !node.wording.is_empty());
        if self.options.wording && old.wording != new.wording && !self.muted("text", said) {
            self.push("wording", "", Class::Wording, prose(old), prose(new));
        }
        if old.is(EITHER) || new.is(EITHER) {
            self.either(old, new);
        } else {
            self.required(old, new);
        }
        let several = |node: &Node| node.variants().next().is_some();
        if !several(old) && !several(new) {
            self.outer(old, new);
            self.single(old, new);
        } else if several(old) && several(new) {
            self.outer(old, new);
            self.inner(old, new);
            self.variants(old.variants().collect(), new.variants().collect());
        } else {
            self.one_and_several(old, new);
        }
    }

    fn required(&mut self, old: &Node, new: &Node) {
        let words = |must: bool| Some(if must { "required" } else { "optional" }.to_owned());
        match (old.is("required"), new.is("required")) {
            (false, true) => self.push("required", "", self.class(Moved::Other), words(false), words(true)),
            (true, false) => self.push("optional", "", self.class(Moved::Wider), words(true), words(false)),
            _ => {}
        }
    }

    /// One type each.
    fn single(&mut self, old: &Node, new: &Node) {
        let (from, to) = (old.text("type"), new.text("type"));
        let plain = |node: &Node| node.text("type").map(str::to_owned);
        match (from, to) {
            _ if from == to => {}
            (Some("integer"), Some("number")) => {
                self.push("type", "", self.class(Moved::Wider), plain(old), plain(new))
            }
            (Some("number"), Some("integer")) => {
                self.push("type", "", self.class(Moved::Narrower), plain(old), plain(new));
            }
            _ => {
                let moved = match (from, to) {
                    (_, None) if !new.is("never") => Moved::Wider,
                    (None, _) if !old.is("never") => Moved::Narrower,
                    _ => Moved::Other,
                };
                // What is below has no counterpart.
                return self.push("type", "", self.class(moved), Some(old.shown()), Some(new.shown()));
            }
        }
        self.inner(old, new);
    }

    /// One type on one side, alternatives on the other.
    fn one_and_several(&mut self, old: &Node, new: &Node) {
        let forward = new.variants().next().is_some();
        let (one, several) = if forward { (old, new) } else { (new, old) };
        let mixed = several.facts.keys().any(|keyword| !OUTER.contains(&keyword.as_str()))
            || several.children.keys().any(|step| !crate::drift::node::is_variant(step));
        if one.text("type").is_none() || mixed {
            let moved = if one.text("type").is_some() {
                Moved::Other
            } else if forward {
                Moved::Narrower
            } else {
                Moved::Wider
            };
            return self.push("type", "", self.class(moved), Some(old.shown()), Some(new.shown()));
        }
        let outer = |node: &Node| Node {
            facts: node.facts.iter().filter(|(keyword, _)| OUTER.contains(&keyword.as_str())).map(own).collect(),
            ..Node::default()
        };
        let inner = Node {
            facts: one.facts.iter().filter(|(keyword, _)| !OUTER.contains(&keyword.as_str())).map(own).collect(),
            children: one.children.clone(),
            ..Node::default()
        };
        self.outer(&outer(old), &outer(new));
        let step = Step::Schema(format!("anyOf/{}", one.text("type").unwrap_or_default()));
        let single = vec![(&step, &inner)];
        if forward {
            self.variants(single, several.variants().collect());
        } else {
            self.variants(several.variants().collect(), single);
        }
    }

    /// Alternatives: equal ones first, then those with one label, then those of one type by what they share.
    fn variants(&mut self, mut old: Vec<(&Step, &Node)>, mut new: Vec<(&Step, &Node)>) {
        let mut pairs = Vec::new();
        let kind = |node: &Node| node.text("type").map(str::to_owned);
        let shared = |a: &Node, b: &Node| a.children.keys().filter(|step| b.children.contains_key(step)).count();
        for round in 0..3 {
            let mut rest = Vec::new();
            for (step, node) in std::mem::take(&mut old) {
                let fits = |(other_step, other): &(&Step, &Node)| match round {
                    0 => node.same(other),
                    1 => step == *other_step,
                    _ => kind(node) == kind(other),
                };
                let best = (0..new.len()).filter(|at| fits(&new[*at])).max_by_key(|at| shared(node, new[*at].1));
                match best {
                    Some(at) => pairs.push((step, node, new.remove(at).1)),
                    None => rest.push((step, node)),
                }
            }
            old = rest;
        }
        pairs.sort_by_key(|(step, ..)| *step);
        for (step, old, new) in pairs {
            let side = self.enter(step);
            self.node(old, new);
            self.leave(side);
        }
        for (step, node) in old {
            self.alone(step, Some(node), None);
        }
        for (step, node) in new {
            self.alone(step, None, Some(node));
        }
    }

    /// Facts about the place as a whole.
    fn outer(&mut self, old: &Node, new: &Node) {
        self.facts(old, new, |keyword| OUTER.contains(&keyword));
    }

    /// Facts about the values of one type, and what is below but for alternatives.
    fn inner(&mut self, old: &Node, new: &Node) {
        self.facts(old, new, |keyword| !OUTER.contains(&keyword) && keyword != "type");
        self.children(old, new);
    }

    fn facts(&mut self, old: &Node, new: &Node, of: impl Fn(&str) -> bool) {
        let keywords: BTreeSet<&String> = old.facts.keys().chain(new.facts.keys()).collect();
        let either = old.is(EITHER) || new.is(EITHER);
        let passed = |keyword: &str| {
            ["required", UNSAID, UNREAD, EITHER].contains(&keyword) || (keyword == "nullable" && either)
        };
        let named = of("enum") && self.named(old, new);
        for keyword in keywords.into_iter().filter(|keyword| of(keyword) && !passed(keyword)) {
            let (from, to) = (old.facts.get(keyword), new.facts.get(keyword));
            let there = [from.is_some(), to.is_some()];
            if from != to && !self.muted(keyword, there) && !(named && ["enum", "open"].contains(&keyword.as_str())) {
                self.fact(keyword, from, to);
            }
        }
    }

    fn fact(&mut self, keyword: &str, from: Option<&Value>, to: Option<&Value>) {
        let text = |value: Option<&Value>| value.map(Value::to_string);
        if let ("enum", Some(Value::Array(from)), Some(Value::Array(to))) = (keyword, from, to) {
            for value in from.iter().filter(|value| !to.contains(value)) {
                let value = text(Some(value));
                self.push("enum-removed", &value.clone().unwrap_or_default(), self.class(Moved::Narrower), value, None);
            }
            for value in to.iter().filter(|value| !from.contains(value)) {
                let value = text(Some(value));
                self.push("enum-added", &value.clone().unwrap_or_default(), self.class(Moved::Wider), None, value);
            }
            return;
        }
        let number = |value: Option<&Value>| value.and_then(Value::as_f64);
        let moved = match (from, to) {
            (None, _) if keyword == "nullable" || keyword == "open" => Moved::Wider,
            (Some(_), _) if keyword == "nullable" || keyword == "open" => Moved::Narrower,
            (None, _) => Moved::Narrower,
            (_, None) => Moved::Wider,
            _ if LOWER.contains(&keyword) || UPPER.contains(&keyword) => {
                let raised = number(to) > number(from);
                if raised == LOWER.contains(&keyword) { Moved::Narrower } else { Moved::Wider }
            }
            _ => Moved::Other,
        };
        let class = match keyword {
            "deprecated" if to.is_some() => Class::Removed,
            "deprecated" => Class::NewAbility,
            "default" if from.is_none() => Class::NewAbility,
            // Another way to read the same type.
            "format" if self.side == Side::Response => Class::BreaksReading,
            "default" | "style" | "explode" | "encoding" | "readOnly" | "writeOnly" => self.class(Moved::Other),
            "security" => {
                let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
                let kept = list(from).iter().all(|value| list(to).contains(value));
                self.class(if kept { Moved::Wider } else { Moved::Other })
            }
            "allowReserved" | "allowEmptyValue" => {
                self.class(if to.is_some() { Moved::Wider } else { Moved::Narrower })
            }
            _ => self.class(moved),
        };
        self.push(keyword, "", class, text(from), text(to));
    }

    fn children(&mut self, old: &Node, new: &Node) {
        let steps: BTreeSet<&Step> = old.children.keys().chain(new.children.keys()).collect();
        for step in steps.into_iter().filter(|step| !crate::drift::node::is_variant(step)) {
            let nothing = Node::default();
            // A condition that allows everything is the same as none, but for what is said of it.
            let counts = |node: &&Node| node.is("required") || !is_condition(step) || !node.same(&nothing);
            let (from, to) = (old.children.get(step), new.children.get(step));
            match (from.filter(counts), to.filter(counts)) {
                (None, None) => {
                    let side = self.enter(step);
                    self.node(from.unwrap_or(&nothing), to.unwrap_or(&nothing));
                    self.leave(side);
                }
                (Some(old), Some(new)) => {
                    let side = self.enter(step);
                    self.node(old, new);
                    self.leave(side);
                }
                (old, new) => self.alone(step, old, new),
            }
        }
    }

    /// What is on one side only.
    fn alone(&mut self, step: &Step, old: Option<&Node>, new: Option<&Node>) {
        let what = match step {
            Step::Response(_) => "status",
            Step::Header(_) => "header",
            Step::Schema(name) if name.starts_with("properties/") => "field",
            Step::Schema(name) if !name.starts_with("anyOf/") => "condition",
            _ => "",
        };
        let unread = matches!(step, Step::Operation(_)) && old.or(new).is_some_and(|node| node.is(UNREAD));
        if unread || self.muted(what, [old.is_some(), new.is_some()]) {
            return;
        }
        let side = self.enter(step);
        let added = new.is_some();
        let must = old.or(new).is_some_and(|node| node.is("required"));
        let gone_or = |class: Class| if added { class } else { Class::Removed };
        let given = if must { self.class(Moved::Other) } else { Class::NewAbility };
        let (what, class) = match step {
            Step::Operation(_) => ("operation", gone_or(Class::NewAbility)),
            Step::Root(_) => ("schema", gone_or(Class::NewAbility)),
            Step::Parameter(_) => ("parameter", gone_or(given)),
            Step::Request => ("body", gone_or(given)),
            Step::Response(_) => ("status", gone_or(Class::NewAnswer)),
            Step::Header(_) => ("header", gone_or(Class::NewAnswer)),
            Step::Content(_) if self.side == Side::Response => ("media-type", gone_or(Class::NewAnswer)),
            Step::Content(_) => ("media-type", self.class(if added { Moved::Wider } else { Moved::Narrower })),
            Step::Schema(name) if name.starts_with("properties/") => ("field", gone_or(given)),
            Step::Schema(name) if name.starts_with("anyOf/") => {
                ("variant", self.class(if added { Moved::Wider } else { Moved::Narrower }))
            }
            // Every other keyword is a condition.
            Step::Schema(_) => ("condition", self.class(if added { Moved::Narrower } else { Moved::Wider })),
        };
        let shown = |node: Option<&Node>| {
            node.map(|node| format!("{}{}", if node.is("required") { "required " } else { "" }, node.shown()))
        };
        let aspect = format!("{what}-{}", if added { "added" } else { "removed" });
        self.push(&aspect, "", class, shown(old), shown(new));
        self.leave(side);
    }
}

/// Facts about a place whatever the type of its values.
const OUTER: [&str; 18] = [
    "nullable",
    EITHER,
    UNSAID,
    UNREAD,
    "required",
    "default",
    "deprecated",
    "readOnly",
    "writeOnly",
    "discriminator",
    "choice",
    "security",
    "style",
    "explode",
    "encoding",
    "allowReserved",
    "allowEmptyValue",
    "never",
];
/// Below these, what allows more may forbid more.
const UNCLEAR: [&str; 7] = ["not", "if", "then", "else", "contains", "unevaluatedProperties", "unevaluatedItems"];

/// Whether a step leads to a condition on the values above it, and not to a value of its own.
fn is_condition(step: &Step) -> bool {
    matches!(step, Step::Schema(name) if !name.starts_with("properties/") && !name.starts_with("anyOf/"))
}

fn own((keyword, value): (&String, &Value)) -> (String, Value) {
    (keyword.clone(), value.clone())
}

/// What is said at a node, or what was kept of it.
fn prose(node: &Node) -> Option<String> {
    let texts = &node.wording.texts;
    let text = if texts.is_empty() { node.wording.kept().to_owned() } else { texts.join("\n") };
    (!node.wording.is_empty()).then_some(text)
}
