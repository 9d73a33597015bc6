//! Owns the rules about operations; never those about what they carry.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Contract, finding, walk::step};
use crate::report::Finding;

/// The header that names the end user on whose behalf a call is made.
const ON_BEHALF_OF: &str = "X-On-Behalf-Of";
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

struct Operation<'a> {
    place: String,
    path: &'a str,
    object: &'a Map<String, Value>,
    /// Those of the path and those of the operation, references followed.
    parameters: Vec<&'a Value>,
}

fn operations<'a>(contract: &'a Contract<'_>) -> Vec<Operation<'a>> {
    let mut operations = Vec::new();
    for (path, item) in contract.root["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let (true, Some(object)) = (METHODS.contains(&method.as_str()), operation.as_object()) else { continue };
            let lists = [item.get("parameters"), object.get("parameters")];
            let parameters = lists.into_iter().flatten().filter_map(Value::as_array).flatten();
            operations.push(Operation {
                place: step(&step("#/paths", path), method),
                path,
                object,
                parameters: parameters.filter_map(|parameter| contract.follow(parameter)).collect(),
            });
        }
    }
    operations
}

/// Each operation has an operationId of its own: it becomes the name of a method.
pub(super) fn unique_ids(contract: &Contract<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut first: HashMap<&str, String> = HashMap::new();
    for Operation { place, object, .. } in operations(contract) {
        match object.get("operationId").and_then(Value::as_str) {
            None => findings.push(finding(&place, "no operationId", "name the operation")),
            Some(id) => {
                if let Some(other) = first.get(id) {
                    let problem = format!("operationId {id} is also that of {other}");
                    findings.push(finding(&place, &problem, "give one of the two another name"));
                } else {
                    first.insert(id, place);
                }
            }
        }
    }
    findings
}

/// Each operation says what it answers when it succeeds and when it does not.
pub(super) fn responses(contract: &Contract<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Operation { place, object, .. } in operations(contract) {
        let statuses: Vec<&String> =
            object.get("responses").and_then(Value::as_object).into_iter().flat_map(Map::keys).collect();
        if !statuses.iter().any(|status| status.starts_with('2')) {
            findings.push(finding(&place, "no success response", "add the response 200"));
        }
        if !statuses.iter().any(|status| *status == "default" || status.starts_with(['4', '5'])) {
            findings.push(finding(&place, "no error response", "add the response default"));
        }
    }
    findings
}

/// Each operation can be called on behalf of an end user.
pub(super) fn on_behalf_of(contract: &Contract<'_>) -> Vec<Finding> {
    let is_it = |parameter: &&Value| {
        parameter["in"] == "header"
            && parameter["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(ON_BEHALF_OF))
    };
    let without = operations(contract).into_iter().filter(|operation| !operation.parameters.iter().any(is_it));
    let problem = format!("no parameter {ON_BEHALF_OF}");
    without
        .map(|operation| finding(&operation.place, &problem, "refer to #/components/parameters/OnBehalfOf"))
        .collect()
}

/// The parameters in a path are declared, and no others are.
pub(super) fn path_parameters(contract: &Contract<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Operation { place, path, parameters, .. } in operations(contract) {
        let in_path: Vec<&str> = path.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0)).collect();
        let declared = parameters.iter().filter(|parameter| parameter["in"] == "path");
        let declared: Vec<&str> = declared.filter_map(|parameter| parameter["name"].as_str()).collect();
        for name in in_path.iter().filter(|name| !declared.contains(name)) {
            findings.push(finding(&place, &format!("no path parameter {name}"), "declare it"));
        }
        for name in declared.iter().filter(|name| !in_path.contains(name)) {
            findings.push(finding(&place, &format!("path parameter {name} is not in the path"), "remove or rename it"));
        }
    }
    findings
}
