//! `--schema`: a JSON Schema that answers are to keep, as a body asks for it in strict mode.

use std::path::Path;

use lote::request::strict_faults;
use serde_json::Value;

use super::body;
use super::rows::MAX_ROW_BYTES;
use crate::exit::CliError;
use crate::input;
use crate::out;

/// How many faults are told.
const SHOWN: usize = 20;

/// The longest name of a schema (docs/facts.md, 3.4).
const LONGEST_NAME: usize = 64;

/// The format that asks for answers of a schema, which is sent as it is written.
pub(crate) struct Format {
    name: String,
    schema: String,
}

impl Format {
    /// From JSON, or `@FILE`.
    ///
    /// # Errors
    /// With exit 2 when the file cannot be read as text; exit 3 when it is no JSON, or strict mode cannot say it.
    pub(crate) fn load(given: &str) -> Result<Self, CliError> {
        let (text, shown, stem) = match given.strip_prefix('@').map(Path::new) {
            None => (given.to_owned(), "--schema".to_owned(), None),
            Some(path) => {
                let text = input::whole_text(path, MAX_ROW_BYTES)?;
                let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                (text, path.display().to_string(), stem)
            }
        };
        let no_json = |why: String| {
            let hint =
                if given.starts_with('@') { "" } else { "; a file is named with @, as in --schema @schema.json" };
            CliError::refused(format!("{shown}: the schema is not JSON: {why}{hint}"))
        };
        let schema = body::compact(&text).map_err(no_json)?;
        let value: Value = serde_json::from_str(&schema).map_err(|error| no_json(error.to_string()))?;
        let faults = strict_faults(&value);
        if !faults.is_empty() {
            let lines = faults.iter().take(SHOWN).map(|fault| format!("  {fault}"));
            let more = faults.len().saturating_sub(SHOWN);
            let more = (more > 0).then(|| format!("  and {more} more"));
            let way = "  a schema that your service takes all the same is sent with --field response_format=@FILE";
            let said = format!(
                "{shown}: strict mode cannot say this schema: {}; nothing was written",
                out::count(faults.len() as u64, "problem")
            );
            let inner = is_around_a_schema(&value)
                .then(|| "  it is what stands around a schema: give what is under \"schema\" in it".to_owned());
            return Err(
                CliError::refused(said).with(inner.into_iter().chain(lines).chain(more).chain([way.to_owned()]))
            );
        }
        let title = value.get("title").and_then(Value::as_str).map(str::to_owned);
        let name = [title, stem].into_iter().flatten().find_map(|name| named(&name));
        Ok(Self { name: name.unwrap_or_else(|| "answer".to_owned()), schema })
    }

    /// The value of `response_format`, as chat completions have it.
    pub(crate) fn nested(&self) -> String {
        let Self { name, schema } = self;
        format!(r#"{{"type":"json_schema","json_schema":{{"name":"{name}","strict":true,"schema":{schema}}}}}"#)
    }

    /// The value of `text.format`, as responses have it.
    pub(crate) fn flat(&self) -> String {
        let Self { name, schema } = self;
        format!(r#"{{"type":"json_schema","name":"{name}","strict":true,"schema":{schema}}}"#)
    }
}

/// Whether this is a whole `response_format`, or the `json_schema` in one, and not the schema in that.
fn is_around_a_schema(value: &Value) -> bool {
    value.get("properties").is_none() && ["json_schema", "schema"].iter().any(|key| value[*key].is_object())
}

/// A name that services take, as near to this one as can be.
fn named(text: &str) -> Option<String> {
    let keep = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    let name: String = text.trim().chars().map(keep).take(LONGEST_NAME).collect();
    name.contains(|c: char| c.is_ascii_alphanumeric()).then_some(name)
}
