//! Owns upstream.yaml: what it says of each upstream, and the edits of it, as text within its markers, so that comments
//! and order stay. It never decides what is written.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::drift::{finding::Finding, node::Node, project::Mapping};
use crate::{
    fragment::{self, MarkerError},
    report::Failure,
};

/// The file, from the root of the repository.
pub const FILE: &str = "upstream.yaml";

/// The services whose documents are compared with ours.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "upstream.yaml of lote")]
pub struct Upstreams {
    /// Each upstream by the name that `cargo xtask drift NAME` takes.
    pub upstreams: BTreeMap<String, Upstream>,
}

/// What tells us what a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Witness {
    /// Its OpenAPI document.
    Document,
    /// Its Python package, which is generated from its document.
    Package,
}

impl Witness {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Package => "package",
        }
    }

    /// The name of its baseline between markers.
    fn marker(self, name: &str) -> String {
        match self {
            Self::Document => format!("baseline {name}"),
            Self::Package => format!("package-baseline {name}"),
        }
    }
}

/// One upstream.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Where its document is: a URL, or a file. Left out when it is published nowhere that we know of.
    pub document: Option<String>,
    /// The name of its Python package, which pip brings; or, with a slash in it, the path of a wheel or a folder. Of a kind
    /// that xtask/packages reads.
    pub package: Option<String>,
    /// The prefix of its paths before ours, such as `/v1`.
    pub prefix: String,
    /// Schemas of its document that no operation refers to, by their names there.
    #[serde(default)]
    pub roots: BTreeMap<String, Root>,
    /// The differences that we live with.
    pub decided: Option<Vec<Decision>>,
    /// What we cover of the document as we knew it last: for each operation and each place a line of facts, and under
    /// `text` a hash of the prose and the numbers in it. Written by `--baseline`.
    pub baseline: Option<BTreeMap<String, Lines>>,
    /// The same of the package.
    #[serde(rename = "package-baseline")]
    pub package_baseline: Option<BTreeMap<String, Lines>>,
}

/// The facts at each place of an operation.
pub type Lines = BTreeMap<String, Map<String, Value>>;

/// A schema that no operation refers to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// The name of its counterpart in openapi.yaml.
    pub ours: String,
    /// Which way it goes.
    pub is: Way,
}

/// Which way a schema goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// We write it.
    Sent,
    /// We read it.
    Read,
}

/// Why we live with some differences.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Why.
    pub reason: String,
    /// Which differences, and what they looked like when this was decided.
    pub differences: Vec<Difference>,
}

/// A difference as it looked when it was decided.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The id of the finding.
    pub id: String,
    /// Which witness says so, when it is not the first one: the document, or the package of a service without one. What
    /// the first one says holds for the others too.
    pub by: Option<Witness>,
    /// The first place, how many more there are, and a hash of them all.
    pub at: String,
    /// What openapi.yaml had; of prose, what the baseline had.
    pub ours: String,
    /// What upstream's document had.
    pub theirs: String,
}

impl Difference {
    /// What a finding looks like now.
    #[must_use]
    pub fn of(finding: &Finding, by: Option<Witness>) -> Self {
        let (ours, theirs) = finding.looks();
        Self { id: finding.id.clone(), by, at: finding.at(), ours, theirs }
    }

    /// Whether both look the same, whoever says so.
    #[must_use]
    pub fn looks(&self, other: &Self) -> bool {
        (&self.id, &self.at, &self.ours, &self.theirs) == (&other.id, &other.at, &other.ours, &other.theirs)
    }

    fn line(&self) -> String {
        let Self { at, ours, theirs, .. } = self;
        let quote = |text: &str| Value::from(text).to_string();
        format!("    {} at: {}, ours: {}, theirs: {} }}", self.start(), quote(at), quote(ours), quote(theirs))
    }

    /// What its line begins with: no other record's does.
    fn start(&self) -> String {
        let by = self.by.map_or(String::new(), |by| format!(" by: {},", by.word()));
        format!("- {{ id: {},{by}", Value::from(self.id.as_str()))
    }
}

impl Upstreams {
    /// Reads the text of the file.
    ///
    /// # Errors
    ///
    /// When it is not YAML, or not of this form.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        // In two steps, as only the first refuses a key that is there twice.
        let value: Result<yaml_serde::Value, _> = yaml_serde::from_str(text);
        value.and_then(yaml_serde::from_value).map_err(|error| {
            Failure::new(
                format!("{FILE} cannot be used: {error}"),
                "correct it; schemas/upstream.schema.json says its form",
            )
        })
    }

    /// The upstream with this name.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub fn get(&self, name: &str) -> Result<&Upstream, Failure> {
        self.upstreams.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.upstreams.keys().map(String::as_str).collect();
            let fix = format!("name one of: {}; or give two documents, OLD and NEW", known.join(", "));
            Failure::new(format!("{FILE} has no upstream {name}"), fix)
        })
    }

    /// The roots of all upstreams, under their own names, and which of them are sent.
    #[must_use]
    pub fn roots(&self) -> (BTreeMap<String, String>, BTreeSet<String>) {
        let roots = self.upstreams.values().flat_map(|upstream| &upstream.roots);
        let names = roots.clone().map(|(name, _)| (name.clone(), name.clone())).collect();
        (names, roots.filter(|(_, root)| root.is == Way::Sent).map(|(name, _)| name.clone()).collect())
    }
}

impl Upstream {
    /// What of its document is covered.
    #[must_use]
    pub fn mapping(&self) -> Mapping {
        let roots = self.roots.keys().map(|name| (name.clone(), name.clone())).collect();
        Mapping { prefix: Some(self.prefix.clone()), roots }
    }

    /// What of openapi.yaml is its counterpart, with roots under upstream's names.
    #[must_use]
    pub fn ours(&self) -> Mapping {
        let roots = self.roots.iter().map(|(name, root)| (root.ours.clone(), name.clone())).collect();
        Mapping { prefix: None, roots }
    }

    /// The roots that are sent.
    #[must_use]
    pub fn sent(&self) -> BTreeSet<String> {
        self.roots.iter().filter(|(_, root)| root.is == Way::Sent).map(|(name, _)| name.clone()).collect()
    }

    /// Every difference that was decided.
    pub fn differences(&self) -> impl Iterator<Item = &Difference> {
        self.decided.iter().flatten().flat_map(|decision| &decision.differences)
    }

    /// Who tells us of it, the first one first.
    #[must_use]
    pub fn witnesses(&self) -> Vec<Witness> {
        let named = [(Witness::Document, &self.document), (Witness::Package, &self.package)];
        named.into_iter().filter(|(_, named)| named.is_some()).map(|(witness, _)| witness).collect()
    }

    /// Who a record by this witness names: nobody when it is the first one.
    #[must_use]
    pub fn by(&self, witness: Witness) -> Option<Witness> {
        self.witnesses().first().is_some_and(|first| *first != witness).then_some(witness)
    }

    /// What a witness said when it was last taken, as a model; none when there is nothing yet.
    ///
    /// # Errors
    ///
    /// When a place in it makes no sense.
    pub fn baseline(&self, witness: Witness) -> Result<Option<Node>, Failure> {
        let lines = match witness {
            Witness::Document => &self.baseline,
            Witness::Package => &self.package_baseline,
        };
        let Some(lines) = lines else { return Ok(None) };
        let mut model = Node::default();
        for (top, places) in lines {
            for (place, facts) in places {
                model.insert(top, place, facts.clone()).ok_or_else(|| {
                    let problem = format!("{FILE}: the baseline has a place that makes no sense: {top} {place}");
                    Failure::new(problem, "restore the line, or take the baseline anew")
                })?;
            }
        }
        Ok(Some(model))
    }
}

fn markers(error: &MarkerError) -> Failure {
    Failure::new(
        format!("{FILE}: {error}"),
        "put the lines `# xtask:begin NAME` and `# xtask:end NAME` back: one pair `decided UPSTREAM` under `decided:`, \
         one pair `baseline UPSTREAM` under `baseline:`, one pair `package-baseline UPSTREAM` under `package-baseline:`",
    )
}

/// `text` with another baseline of an upstream.
///
/// # Errors
///
/// When its markers are missing.
pub fn with_baseline(text: &str, name: &str, witness: Witness, model: &Node) -> Result<String, Failure> {
    let mut body = String::new();
    let mut last = None;
    for (top, place, facts) in model.lines() {
        if last.as_ref() != Some(&top) {
            body.push_str(&format!("{}:\n", Value::from(top.as_str())));
        }
        body.push_str(&format!("  {}: {facts}\n", Value::from(place)));
        last = Some(top);
    }
    fragment::splice(text, &witness.marker(name), &body).map_err(|error| markers(&error))
}

/// `text` with these differences recorded for a reason, after all other records. What was recorded of them before goes.
///
/// # Errors
///
/// When the markers are missing, or a record that is to be renewed is not on one line.
pub fn with_decision(text: &str, name: &str, reason: &str, differences: &[Difference]) -> Result<String, Failure> {
    let text = without(text, name, differences)?;
    let region = fragment::region(&text, &format!("decided {name}")).map_err(|error| markers(&error))?;
    let mut record = format!("- reason: {}\n  differences:\n", Value::from(reason));
    for difference in differences {
        record.push_str(&difference.line());
        record.push('\n');
    }
    let lines = record.lines().map(|line| format!("{}{line}{}", region.indent, region.newline));
    let at = region.inside.end;
    Ok(format!("{}{}{}", &text[..at], lines.collect::<String>(), &text[at..]))
}

/// `text` without the records with the ids of these, by the same witness. A decision that has none left goes as well.
///
/// # Errors
///
/// When the markers are missing, or a record is not on one line of its own.
pub fn without(text: &str, name: &str, records: &[Difference]) -> Result<String, Failure> {
    let region = fragment::region(text, &format!("decided {name}")).map_err(|error| markers(&error))?;
    let inside = &text[region.inside.clone()];
    let mut lines: Vec<&str> = Vec::new();
    for line in inside.split_inclusive('\n') {
        let gone = records.iter().any(|record| {
            let rest = line.trim().strip_prefix(&record.start());
            rest.is_some_and(|rest| (record.by.is_some() || !rest.starts_with(" by:")) && rest.ends_with('}'))
        });
        if !gone {
            lines.push(line);
        }
    }
    // A decision whose list is empty now: from its reason to the next decision.
    let mut kept: Vec<&str> = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let empty = line.trim() == "differences:"
            && lines[index + 1..]
                .iter()
                .find(|line| !line.trim().is_empty() && !line.trim().starts_with('#'))
                .is_none_or(|next| !next.trim().starts_with("- { id: ") && !next.trim().starts_with("- id: "));
        if empty {
            while kept.pop().is_some_and(|line| !line.trim().starts_with("- reason:")) {}
        } else {
            kept.push(line);
        }
    }
    let edited = format!("{}{}{}", &text[..region.inside.start], kept.concat(), &text[region.inside.end..]);
    let parsed = Upstreams::parse(&edited)?;
    let left = |record: &&Difference| {
        parsed.get(name).is_ok_and(|one| one.differences().any(|left| left.id == record.id && left.by == record.by))
    };
    if let Some(Difference { id, .. }) = records.iter().find(left) {
        let problem = format!("{FILE}: the record of {id} does not stand on a line of its own");
        return Err(Failure::new(
            problem,
            "write it as `- { id: …, at: …, ours: …, theirs: … }`, or take it out by hand",
        ));
    }
    Ok(edited)
}
