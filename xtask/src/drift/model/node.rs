//! Owns the normalised model: a tree of places with the facts that hold at each, and its form in upstream.yaml, one
//! line a place. It never reads an OpenAPI document and never compares.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value, json};

use crate::drift::wording::Wording;

/// One step into the model. Ordered as places are reported.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// An operation, by our operationId.
    Operation(String),
    /// A schema that no operation refers to, by upstream's name.
    Root(String),
    /// A parameter: where it stands, and its name or (in a path) its position.
    Parameter(String),
    /// The request.
    Request,
    /// The response with this status.
    Response(String),
    /// A header of a response, in lower case.
    Header(String),
    /// A body with this media type.
    Content(String),
    /// Within a schema: one or two tokens of a JSON pointer, such as `properties/id` or `items`.
    Schema(String),
}

/// A way from the top of the model.
pub type Steps = Vec<Step>;

/// What holds at one place, and what is below it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Node {
    /// What decides about values, by keyword. Nothing that is the same as leaving the keyword out.
    pub facts: BTreeMap<String, Value>,
    /// What is said in prose.
    pub wording: Wording,
    /// What is below.
    pub children: BTreeMap<Step, Node>,
    /// Where in the document it is written, as a JSON pointer.
    pub origin: Origin,
}

/// A place in a document. All are equal: where something is written means nothing.
#[derive(Debug, Clone, Default)]
pub struct Origin(pub String);

impl PartialEq for Origin {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Node {
    /// The text of a fact.
    #[must_use]
    pub fn text(&self, fact: &str) -> Option<&str> {
        self.facts.get(fact)?.as_str()
    }

    /// Whether a fact is `true`.
    #[must_use]
    pub fn is(&self, fact: &str) -> bool {
        self.facts.get(fact) == Some(&Value::Bool(true))
    }

    /// The alternatives: the children that are variants, with their labels.
    pub fn variants(&self) -> impl Iterator<Item = (&Step, &Node)> {
        self.children.iter().filter(|(step, _)| is_variant(step))
    }

    /// What the source of this node never says, so that it not being there means nothing.
    pub fn unsaid(&self) -> impl Iterator<Item = &str> {
        self.facts.get(UNSAID).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Whether both allow the same, whatever is said of it in prose.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        self.facts == other.facts
            && self.children.len() == other.children.len()
            && self.children.iter().all(|(step, child)| other.children.get(step).is_some_and(|other| child.same(other)))
    }

    /// The node at the end of a way.
    #[must_use]
    pub fn at(&self, steps: &[Step]) -> Option<&Self> {
        steps.iter().try_fold(self, |node, step| node.children.get(step))
    }

    /// How many nodes there are, this one included.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.children.values().map(Self::count).sum::<usize>()
    }

    /// What the node allows, in short and without prose: two nodes with the same text allow the same.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut text = self.text("type").unwrap_or("any").to_owned();
        if self.is("never") {
            "nothing".clone_into(&mut text);
        }
        for (keyword, value) in &self.facts {
            match keyword.as_str() {
                "type" | "required" | "never" | UNSAID | UNREAD => {}
                _ if *value == Value::Bool(true) => text.push_str(&format!(" {keyword}")),
                _ => text.push_str(&format!(" {keyword}={value}")),
            }
        }
        let children: Vec<String> = self
            .children
            .iter()
            .map(|(step, child)| {
                let name = match step {
                    Step::Schema(pointer) => unescape(pointer.strip_prefix("properties/").unwrap_or(pointer)),
                    other => other.to_string(),
                };
                let must = if child.is("required") { "!" } else { "" };
                format!("{name}{must}: {}", child.shown())
            })
            .collect();
        if children.is_empty() { text } else { format!("{text} {{{}}}", children.join(", ")) }
    }

    /// One line for each place below: the operation or root, the rest of the place, and what holds there.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, String, Value)> {
        let mut lines = Vec::new();
        for (step, child) in &self.children {
            child.append(&mut vec![step.clone()], &mut lines);
        }
        lines
    }

    fn append(&self, steps: &mut Steps, lines: &mut Vec<(String, String, Value)>) {
        let mut facts: Map<String, Value> = self.facts.clone().into_iter().collect();
        if !self.wording.is_empty() {
            facts.insert(TEXT.to_owned(), json!(self.wording.kept()));
        }
        lines.push((steps[0].to_string(), rest(&steps[1..]), facts.into()));
        for (step, child) in &self.children {
            steps.push(step.clone());
            child.append(steps, lines);
            steps.pop();
        }
    }

    /// Puts one line back; the inverse of [`Node::lines`]. None when the place makes no sense.
    pub fn insert(&mut self, top: &str, place: &str, facts: Map<String, Value>) -> Option<()> {
        let mut steps = vec![parse_top(top)?];
        steps.extend(parse_rest(place)?);
        let mut node = self;
        for step in steps {
            node = node.children.entry(step).or_default();
        }
        for (keyword, value) in facts {
            match (keyword.as_str(), value) {
                (TEXT, Value::String(kept)) => node.wording = Wording::from_kept(&kept),
                (_, value) => {
                    node.facts.insert(keyword, value);
                }
            }
        }
        Some(())
    }
}

/// The fact that names what a source never says, here and below; at a list of another page than its items, `field`
/// names the fields beside them.
pub const UNSAID: &str = "unsaid";
/// The fact that what is here could not be read; it is compared with nothing.
pub const UNREAD: &str = "unread";
/// The fact that a field may be missing or null, or both, as far as its source says.
pub const EITHER: &str = "absent-or-null";

/// The key of the wording in a line.
const TEXT: &str = "text";
const ROOT: &str = "schema ";

/// Whether a step leads to one of several alternatives.
#[must_use]
pub fn is_variant(step: &Step) -> bool {
    matches!(step, Step::Schema(pointer) if pointer.starts_with("anyOf/"))
}

/// What comes after the operation: the part, a blank, and the JSON pointer within it.
#[must_use]
pub fn rest(steps: &[Step]) -> String {
    let mut text = String::new();
    for (index, step) in steps.iter().enumerate() {
        let within = matches!(step, Step::Schema(_)) && index > 0 && matches!(steps[index - 1], Step::Schema(_));
        if index > 0 && !within {
            text.push(' ');
        }
        text.push_str(&step.to_string());
    }
    text
}

fn parse_top(text: &str) -> Option<Step> {
    match text.strip_prefix(ROOT) {
        Some(name) => Some(Step::Root(name.to_owned())),
        None => (!text.is_empty()).then(|| Step::Operation(text.to_owned())),
    }
}

fn parse_rest(text: &str) -> Option<Steps> {
    let (parts, pointer) = match text.find(" /") {
        _ if text.starts_with('/') => ("", text),
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, ""),
    };
    let mut steps = Steps::new();
    let mut words = parts.split(' ').filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        steps.push(match word {
            "parameter" => Step::Parameter(format!("{} {}", words.next()?, words.next()?)),
            "request" => Step::Request,
            "response" => Step::Response(words.next()?.to_owned()),
            "header" => Step::Header(words.next()?.to_owned()),
            media => Step::Content(media.to_owned()),
        });
    }
    let mut tokens = pointer.split('/').skip(1);
    while let Some(token) = tokens.next() {
        steps.push(Step::Schema(if MAPS.contains(&token) {
            format!("{token}/{}", tokens.next()?)
        } else {
            token.to_owned()
        }));
    }
    Some(steps)
}

/// Keywords whose schemas have a name or a number of their own.
const MAPS: [&str; 6] = ["properties", "patternProperties", "dependentSchemas", "prefixItems", "anyOf", "allOf"];

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(name) | Self::Content(name) => f.write_str(name),
            Self::Root(name) => write!(f, "{ROOT}{name}"),
            Self::Parameter(name) => write!(f, "parameter {name}"),
            Self::Request => f.write_str("request"),
            Self::Response(status) => write!(f, "response {status}"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Schema(pointer) => write!(f, "/{pointer}"),
        }
    }
}

/// A name as a token of a JSON pointer, with blanks escaped too, as blanks part the words of a place.
#[must_use]
pub fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1").replace(' ', "%20")
}

/// The name in a token.
#[must_use]
pub fn unescape(token: &str) -> String {
    token.replace("%20", " ").replace("~1", "/").replace("~0", "~")
}
