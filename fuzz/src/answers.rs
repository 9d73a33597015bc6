//! Any JSON answer is brought to the contract's shape by every dialect, and read as a batch or a file, without a panic.
//! What was read as a batch is read back from what it prints as.

use std::sync::LazyLock;

use lote::{Batch, Dialect, File, raw::to_contract};
use serde_json::Value;

static DIALECTS: LazyLock<Vec<Dialect>> =
    LazyLock::new(|| Dialect::KNOWN.iter().map(|name| Dialect::named(name).expect("a known dialect")).collect());

/// One trial.
pub fn answers(data: &[u8]) {
    for answer in serde_json::Deserializer::from_slice(data).into_iter::<Value>().map_while(Result::ok) {
        match answer {
            // As the answers stand in tests/facade/fixtures.
            Value::Object(mut seen) if seen.contains_key("headers") => {
                read(&seen.remove("body").unwrap_or_default());
            }
            answer => read(&answer),
        }
    }
}

fn read(answer: &Value) {
    for dialect in DIALECTS.iter() {
        for operation in ["create_batch", "get_batch", "list_batches", "get_file", "list_files", "delete_file"] {
            let mut answer = answer.clone();
            to_contract(dialect, operation, &mut answer);
            if let Ok(batch) = serde_json::from_value::<Batch>(answer.clone()) {
                let printed = serde_json::to_value(&batch).expect("a batch can be printed");
                let again: Batch = serde_json::from_value(printed.clone()).expect("what was printed can be read");
                assert_eq!(serde_json::to_value(&again).expect("a batch can be printed"), printed);
            }
            let _ = serde_json::from_value::<File>(answer);
        }
    }
}
