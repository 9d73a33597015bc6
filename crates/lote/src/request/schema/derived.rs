//! The schema and the name of a Rust type, by schemars.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use super::{LONGEST_NAME, strict};

/// The schema of a type in the strict subset, or all that cannot be expressed in it.
pub(in crate::request) fn strict_schema_of<T: JsonSchema>() -> Result<Value, String> {
    let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
    strict::strict(&T::schema_name(), schema.into())
}

/// The name of the schema of a type: the type's, with what is not allowed in it replaced.
pub(in crate::request) fn name_of<T: JsonSchema>() -> String {
    let name = T::schema_name();
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(LONGEST_NAME).collect();
    if name.is_empty() { "output".to_owned() } else { name }
}
