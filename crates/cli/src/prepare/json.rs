//! Writes a template value as JSON text. A value that is undefined is an error, not null.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Kwargs, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use super::value::ExactNumber;

/// How deep a value may be nested: the depth to which `serde_json` reads it back.
const MAX_DEPTH: usize = 120;

/// What the filter `tojson` gives: JSON text, which is not encoded a second time
/// where it stands alone, and which is plain text where it is joined to text.
#[derive(Debug)]
struct JsonText(String);

impl Object for JsonText {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The filter `tojson`, with Jinja's `indent`.
///
/// # Errors
/// As [`to_json`].
pub(crate) fn tojson(value: &Value, indent: Option<usize>, kwargs: Kwargs) -> Result<Value, Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => kwargs.get("indent")?,
    };
    kwargs.assert_all_used()?;
    let mut writer = Writer { text: String::new(), indent };
    writer.value(value, 0)?;
    Ok(Value::from_object(JsonText(writer.text)))
}

/// A value as one JSON value, without white space between tokens.
///
/// # Errors
/// When the value is undefined or has no JSON form (a function, infinity, bytes).
pub(crate) fn to_json(value: &Value) -> Result<String, Error> {
    let mut writer = Writer { text: String::new(), indent: None };
    writer.value(value, 0)?;
    Ok(writer.text)
}

/// The error that an invalid value is.
fn inside(value: &Value) -> Error {
    let found =
        Value::from(vec![value.clone()]).try_iter().and_then(|values| values.checked().collect::<Result<Vec<_>, _>>());
    found.err().unwrap_or_else(|| refuse("a value cannot be read".to_owned()))
}

struct Writer {
    text: String,
    indent: Option<usize>,
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(refuse(format!("a value is nested deeper than {MAX_DEPTH} levels")));
        }
        match value.kind() {
            ValueKind::None => self.text.push_str("null"),
            ValueKind::Bool => self.text.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.number(value)?,
            ValueKind::String => self.string(value.as_str().unwrap_or_default())?,
            ValueKind::Seq | ValueKind::Iterable => {
                let mut empty = true;
                self.text.push('[');
                for element in value.try_iter()?.checked() {
                    self.next(&mut empty, depth);
                    self.value(&element?, depth + 1)?;
                }
                self.close(']', empty, depth);
            }
            ValueKind::Map => self.map(value, depth)?,
            ValueKind::Plain => {
                if let Some(number) = value.downcast_object_ref::<ExactNumber>() {
                    self.text.push_str(number.text());
                } else if let Some(json) = value.downcast_object_ref::<JsonText>() {
                    self.text.push_str(&json.0);
                } else {
                    return Err(refuse(format!("{value} has no JSON form")));
                }
            }
            ValueKind::Undefined => {
                return Err(Error::new(
                    ErrorKind::UndefinedError,
                    "an expression has no value (an undefined element, or an `if` with no `else`; \
                     to write text only sometimes, use {% if … %}…{% endif %})",
                ));
            }
            ValueKind::Invalid => return Err(inside(value)),
            kind => return Err(refuse(format!("a value of kind {kind} has no JSON form"))),
        }
        Ok(())
    }

    fn map(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let mut empty = true;
        self.text.push('{');
        if let Some(pairs) = value.as_object().and_then(|map| map.try_iter_pairs()) {
            for (key, value) in pairs {
                self.next(&mut empty, depth);
                match key.kind() {
                    ValueKind::String => self.string(key.as_str().unwrap_or_default())?,
                    ValueKind::Number => {
                        self.text.push('"');
                        self.number(&key)?;
                        self.text.push('"');
                    }
                    kind => return Err(refuse(format!("a {kind} cannot be a key in JSON"))),
                }
                self.text.push_str(if self.indent.is_some() { ": " } else { ":" });
                self.value(&value, depth + 1)?;
            }
        }
        self.close('}', empty, depth);
        Ok(())
    }

    fn number(&mut self, value: &Value) -> Result<(), Error> {
        if value.is_integer() {
            self.text.push_str(&value.to_string());
            return Ok(());
        }
        match f64::try_from(value.clone()) {
            Ok(float) if float.is_finite() => match serde_json::to_string(&float) {
                Ok(text) => self.text.push_str(&text),
                Err(error) => return Err(refuse(error.to_string())),
            },
            _ => return Err(refuse(format!("the number {value} has no JSON form"))),
        }
        Ok(())
    }

    fn string(&mut self, text: &str) -> Result<(), Error> {
        let text = serde_json::to_string(text).map_err(|error| refuse(error.to_string()))?;
        self.text.push_str(&text);
        Ok(())
    }

    fn next(&mut self, empty: &mut bool, depth: usize) {
        if !*empty {
            self.text.push(',');
        }
        *empty = false;
        self.line(depth + 1);
    }

    fn close(&mut self, bracket: char, empty: bool, depth: usize) {
        if !empty {
            self.line(depth);
        }
        self.text.push(bracket);
    }

    fn line(&mut self, depth: usize) {
        if let Some(indent) = self.indent {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n(' ', indent.min(16) * depth));
        }
    }
}

fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadSerialization, message.into())
}
