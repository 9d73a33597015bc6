//! Owns the lint of the contract: which rules there are and what each says. It never reads or writes a file, and never
//! judges what the types already forbid.

mod examples;
mod operations;
mod refs;
mod schemas;
mod walk;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    fragment,
    report::{Failure, Finding},
};
use walk::Node;

/// The one version that the contract may have: progenitor reads 3.0.x only.
const VERSION: &str = "3.0.3";

/// The contract, parsed and taken apart.
struct Contract<'a> {
    root: &'a Value,
    nodes: Vec<Node<'a>>,
    /// Names of the component schemas between markers.
    spliced: BTreeSet<String>,
}

impl Contract<'_> {
    /// What a reference such as `#/components/schemas/Batch` points to.
    fn resolve(&self, reference: &str) -> Option<&Value> {
        self.root.pointer(reference.strip_prefix('#')?)
    }

    /// The value, or what it refers to when it is a reference.
    fn follow<'v>(&'v self, value: &'v Value) -> Option<&'v Value> {
        match walk::reference(value) {
            Some(reference) => self.resolve(reference),
            None => Some(value),
        }
    }
}

/// What is wrong with the contract whose text is `text`, rule by rule and in the order of the document.
///
/// # Errors
///
/// When `text` is not YAML, has a key twice, or its markers make no sense.
pub fn lint(text: &str) -> Result<Vec<Finding>, Failure> {
    let root = parse(text)?;
    let spliced = spliced(text)?;
    if root["openapi"] != VERSION {
        let is = root.get("openapi").map_or_else(|| "missing".to_owned(), Value::to_string);
        return Ok(vec![Finding::new(
            format!("openapi.yaml: openapi is {is}"),
            format!("make it {VERSION}, the one version that the generator reads"),
        )]);
    }
    if let Err(error) = serde_json::from_value::<openapiv3::OpenAPI>(root.clone()) {
        return Ok(vec![Finding::new(
            format!("openapi.yaml is not an OpenAPI {VERSION} document: {error}"),
            "correct it; until then nothing else in it is judged",
        )]);
    }
    let contract = Contract { nodes: walk::nodes(&root), root: &root, spliced };
    let rules = [
        operations::unique_ids,
        operations::responses,
        operations::on_behalf_of,
        operations::path_parameters,
        refs::resolve,
        refs::used,
        schemas::described,
        schemas::keywords,
        examples::valid,
    ];
    Ok(rules.iter().flat_map(|rule| rule(&contract)).collect())
}

/// `text` as JSON.
pub(crate) fn parse(text: &str) -> Result<Value, Failure> {
    let failure = |error: &dyn std::fmt::Display| {
        Failure::new(format!("openapi.yaml does not parse: {error}"), "correct the YAML at that place")
    };
    // In two steps, as only the first refuses a key that is there twice.
    let yaml: yaml_serde::Value = yaml_serde::from_str(text).map_err(|error| failure(&error))?;
    serde_json::to_value(yaml).map_err(|error| failure(&error))
}

/// The names at the top of each marked region.
fn spliced(text: &str) -> Result<BTreeSet<String>, Failure> {
    let regions = fragment::regions(text).map_err(|error| markers(&error))?;
    let names = regions.into_iter().filter_map(|region| yaml_serde::from_str::<Value>(&text[region.inside]).ok());
    Ok(names.filter_map(|value| Some(value.as_object()?.keys().cloned().collect::<Vec<_>>())).flatten().collect())
}

/// The failure for markers that make no sense.
pub(crate) fn markers(error: &fragment::MarkerError) -> Failure {
    Failure::new(
        format!("openapi.yaml: {error}"),
        "put each pair of lines `# xtask:begin NAME` and `# xtask:end NAME` back once, under components.schemas",
    )
}

fn finding(place: &str, problem: &str, fix: &str) -> Finding {
    Finding::new(format!("openapi.yaml {place}: {problem}"), fix)
}

#[cfg(test)]
#[path = "lint/tests.rs"]
mod tests;
