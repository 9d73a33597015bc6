//! Owns the proof that the facade's bounds, names and fields are those of openapi.yaml; never a copy of them.

use lote::{
    Batch, BatchOptions, Endpoint, File, FilePurpose, FileStatus, Order, Status, UploadPurpose,
    bound::{self, Bound},
};
use serde_json::Value;

fn contract() -> Value {
    yaml_serde::from_str(lote_contract::OPENAPI).expect("openapi.yaml is YAML")
}

fn at<'a>(contract: &'a Value, pointer: &str) -> &'a Value {
    contract.pointer(pointer).unwrap_or_else(|| panic!("openapi.yaml has nothing at {pointer}"))
}

fn property<'a>(contract: &'a Value, schema: &str, name: &str) -> &'a Value {
    at(contract, &format!("/components/schemas/{schema}/properties/{name}"))
}

fn parameter<'a>(contract: &'a Value, path: &str, name: &str) -> &'a Value {
    let parameters = at(contract, &format!("/paths/{}/get/parameters", path.replace('/', "~1")));
    let found = parameters.as_array().and_then(|list| list.iter().find(|one| one["name"] == name));
    &found.unwrap_or_else(|| panic!("{path} has no parameter {name}"))["schema"]
}

/// Every integer of the contract that has a bound, with the facade's.
fn bounded(contract: &Value) -> Vec<(String, &Value, Bound)> {
    let mut all = vec![
        ("GET /batches limit".to_owned(), parameter(contract, "/batches", "limit"), bound::BATCH_PAGE),
        ("GET /files limit".to_owned(), parameter(contract, "/files", "limit"), bound::FILE_PAGE),
    ];
    let mut add = |schema: &str, name: &str, bound| {
        all.push((format!("{schema}.{name}"), property(contract, schema, name), bound));
    };
    for instant in [
        "created_at",
        "in_progress_at",
        "expires_at",
        "finalizing_at",
        "completed_at",
        "failed_at",
        "expired_at",
        "cancelling_at",
        "cancelled_at",
    ] {
        add("Batch", instant, bound::UNIX_SECONDS);
    }
    for instant in ["created_at", "expires_at"] {
        add("File", instant, bound::UNIX_SECONDS);
    }
    add("File", "bytes", bound::FILE_BYTES);
    add("Batch", "max_concurrency", bound::MAX_CONCURRENCY);
    add("CreateBatchRequest", "max_concurrency", bound::MAX_CONCURRENCY);
    add("ExpiresAfter", "seconds", bound::EXPIRES_AFTER);
    for count in ["total", "completed", "failed"] {
        add("RequestCounts", count, bound::LINES);
    }
    for tokens in ["input_tokens", "output_tokens", "total_tokens"] {
        add("BatchUsage", tokens, bound::TOKENS);
    }
    add("InputTokensDetails", "cached_tokens", bound::TOKENS);
    add("OutputTokensDetails", "reasoning_tokens", bound::TOKENS);
    all
}

#[test]
fn every_bound_of_the_contract_is_the_facades() {
    let contract = contract();
    for (place, schema, bound) in bounded(&contract) {
        let said = |key: &str, open: i64| schema.get(key).map_or(open, |n| n.as_i64().expect("a bound is an i64"));
        assert_eq!(
            (said("minimum", i64::MIN), said("maximum", i64::MAX)),
            (bound.min, bound.max),
            "{place}: {schema} and {bound:?}"
        );
        assert_eq!(schema["type"], "integer", "{place}");
        assert_eq!(schema["format"], "int64", "{place}");
    }
}

#[test]
fn no_bound_of_the_contract_is_forgotten() {
    fn count(value: &Value) -> usize {
        match value {
            Value::Object(map) => {
                // The line schemas are lote-lines', which has them from its own types.
                usize::from(map.contains_key("minimum") || map.contains_key("maximum"))
                    + map
                        .iter()
                        .filter(|(key, _)| !key.starts_with("Result"))
                        .map(|(_, value)| count(value))
                        .sum::<usize>()
            }
            Value::Array(list) => list.iter().map(count).sum(),
            _ => 0,
        }
    }
    let contract = contract();
    assert_eq!(count(&contract), bounded(&contract).len());
}

#[test]
fn every_name_of_the_contract_is_the_facades() {
    let contract = contract();
    let said = |schema: &str| -> Vec<String> {
        let names = at(&contract, &format!("/components/schemas/{schema}/enum")).as_array().expect("an enum");
        names.iter().map(|name| name.as_str().expect("a text").to_owned()).collect()
    };
    fn texts<T>(all: &[T], text: impl Fn(&T) -> &str) -> Vec<String> {
        all.iter().map(|value| text(value).to_owned()).collect()
    }
    assert_eq!(texts(Endpoint::ALL, |value| value.as_str()), said("Endpoint"));
    assert_eq!(texts(UploadPurpose::ALL, |value| value.as_str()), said("UploadPurpose"));
    assert_eq!(texts(Order::ALL, |value| value.as_str()), said("Order"));
    assert_eq!(texts(Status::KNOWN, Status::as_str), said("BatchStatus"));
    assert_eq!(texts(FilePurpose::KNOWN, FilePurpose::as_str), said("FilePurpose"));
    assert_eq!(texts(FileStatus::KNOWN, FileStatus::as_str), said("FileStatus"));
    assert_eq!(lote::lines::ENDPOINTS.iter().copied().map(str::to_owned).collect::<Vec<_>>(), said("Endpoint"));
}

#[test]
fn every_field_of_the_contract_is_the_facades() {
    let contract = contract();
    let said = |schema: &str| -> Vec<String> {
        let properties = at(&contract, &format!("/components/schemas/{schema}/properties"));
        let mut names: Vec<String> = properties.as_object().expect("properties").keys().cloned().collect();
        names.sort();
        names
    };
    let sorted = |names: &[&str]| {
        let mut names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(sorted(Batch::FIELDS), said("Batch"));
    assert_eq!(sorted(File::FIELDS), said("File"));
    assert_eq!(sorted(BatchOptions::FIELDS), said("CreateBatchRequest"));
}
