//! Owns the table of operations in the README: one row for each operation of the contract, in its order. It never
//! touches what stands outside its markers.

use serde_json::Value;

/// The name of the fragment of the README.
pub const OPERATIONS: &str = "operations";

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// The rows for the operations of a contract, with the head of the table.
///
/// The names of the library and of the command follow the contract: `getFileContent` of `/files/…` is
/// `files().content(…)` and `files content`.
#[must_use]
pub fn operations(contract: &Value) -> String {
    let mut table = "| operation | request | client | command |\n| --- | --- | --- | --- |\n".to_owned();
    for (path, item) in contract["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let (true, Some(id)) = (METHODS.contains(&method.as_str()), operation["operationId"].as_str()) else {
                continue;
            };
            let group = path.split('/').nth(1).unwrap_or_default();
            let verb = verb(id);
            let takes = if path.contains('{') || operation.get("requestBody").is_some() { "…" } else { "" };
            let method = method.to_uppercase();
            table.push_str(&format!(
                "| {id} | `{method} {path}` | `client.{group}().{verb}({takes})` | `lote {group} {verb}` |\n"
            ));
        }
    }
    table
}

/// The first word of an operationId, or what comes after its noun: `create` of `createBatch`, `content` of
/// `getFileContent`.
fn verb(id: &str) -> String {
    let mut words: Vec<String> = vec![String::new()];
    for c in id.chars() {
        if c.is_uppercase() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    match words.get(2..) {
        Some([]) | None => words.swap_remove(0),
        Some(rest) => rest.join("_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_has_the_names_of_the_library_and_of_the_command() {
        let contract = json!({ "paths": {
            "/batches": { "post": { "operationId": "createBatch", "requestBody": {} }, "get": { "operationId": "listBatches" } },
            "/files/{file_id}/content": { "parameters": [], "get": { "operationId": "getFileContent" } },
            "/others": { "get": {} },
        } });
        let rows = "| createBatch | `POST /batches` | `client.batches().create(…)` | `lote batches create` |\n\
                    | listBatches | `GET /batches` | `client.batches().list()` | `lote batches list` |\n\
                    | getFileContent | `GET /files/{file_id}/content` | `client.files().content(…)` | `lote files content` |\n";
        assert_eq!(operations(&contract).split_once("--- |\n").unwrap().1, rows);
    }
}
