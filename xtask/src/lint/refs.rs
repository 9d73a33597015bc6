//! Owns the rules about references: that they lead somewhere, and that each component is led to.

use std::collections::BTreeSet;

use super::{Contract, finding, walk::step};
use crate::report::Finding;

/// Kinds of components that are reached by name, not by reference.
const BY_NAME: &str = "securitySchemes";

/// Each reference leads to something in this document.
pub(super) fn resolve(contract: &Contract<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for node in &contract.nodes {
        if let Some(target) = node.text("$ref")
            && contract.resolve(target).is_none()
        {
            let problem = format!("$ref to {target}, which is not there");
            findings.push(finding(&node.place, &problem, "correct the reference or add what it names"));
        }
    }
    findings
}

/// Each component is used by an operation, directly or through others. Schemas between markers are for people and
/// editors: files are bytes on the wire, so no operation names them.
pub(super) fn used(contract: &Contract<'_>) -> Vec<Finding> {
    let mut reached: BTreeSet<String> = BTreeSet::new();
    let mut open: Vec<String> = vec!["#/paths".to_owned()];
    open.extend(contract.spliced.iter().map(|name| step("#/components/schemas", name)));
    while let Some(place) = open.pop() {
        let below = format!("{place}/");
        for node in contract.nodes.iter().filter(|node| node.place == place || node.place.starts_with(&below)) {
            if let Some(target) = node.text("$ref")
                && reached.insert(target.to_owned())
            {
                open.push(target.to_owned());
            }
        }
    }
    let mut findings = Vec::new();
    for (kind, components) in contract.root["components"].as_object().into_iter().flatten() {
        for name in components.as_object().into_iter().flat_map(|map| map.keys()).filter(|_| kind != BY_NAME) {
            let place = step(&step("#/components", kind), name);
            let spliced = kind == "schemas" && contract.spliced.contains(name);
            if !spliced && !reached.contains(&place) {
                findings.push(finding(&place, "no operation uses it", "remove it, or refer to it"));
            }
        }
    }
    findings
}
