//! Reads one JSON row into template values, with every digit of its numbers.
//!
//! A number becomes a native number of the template when that keeps its value: integers
//! up to 128 bits, and decimals that a 64-bit float prints back with the same value. Any
//! other number is an [`ExactNumber`]: it prints as it was written, and arithmetic on it
//! is an error instead of a silent rounding.

use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Object, ObjectRepr};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// How deep a row may be nested: the depth to which `serde_json` reads.
const MAX_DEPTH: usize = 128;

/// A number that no native number of the template holds exactly.
#[derive(Debug)]
pub(crate) struct ExactNumber(String);

impl ExactNumber {
    /// The number as it was written, which is legal JSON.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl Object for ExactNumber {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The fields of a row that is one JSON object, in their order.
///
/// # Errors
/// Says what is wrong with the text, as the end of a sentence that starts with the row.
pub(crate) fn fields(text: &str) -> Result<Vec<(String, Value)>, String> {
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| format!("is not valid JSON: {error}"))?;
    match raw.get().as_bytes().first() {
        Some(b'{') => object(raw, 1),
        Some(b'[') => {
            Err("is an array, not an object; put one object on each line, with no array around them".to_owned())
        }
        _ => Err("is no JSON object; a row is one object whose keys are the fields".to_owned()),
    }
}

fn object(raw: &RawValue, depth: usize) -> Result<Vec<(String, Value)>, String> {
    let Pairs(pairs) = parse(raw)?;
    pairs.into_iter().map(|(key, raw)| Ok((key, value(raw, depth)?))).collect()
}

fn value(raw: &RawValue, depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err(format!("is nested deeper than {MAX_DEPTH} levels"));
    }
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        Some(b'{') => Value::from_pairs(object(raw, depth + 1)?),
        Some(b'[') => {
            let elements: Vec<&RawValue> = parse(raw)?;
            let elements = elements.into_iter().map(|raw| value(raw, depth + 1));
            Value::from(elements.collect::<Result<Vec<_>, _>>()?)
        }
        Some(b'"') => Value::from(parse::<String>(raw)?),
        Some(b't') => Value::from(true),
        Some(b'f') => Value::from(false),
        Some(b'n') => Value::from(()),
        _ => number(text),
    })
}

fn parse<'a, T: Deserialize<'a>>(raw: &'a RawValue) -> Result<T, String> {
    serde_json::from_str(raw.get()).map_err(|error| format!("is not valid JSON: {error}"))
}

/// A number as it is written, with every digit: nothing is computed with it.
#[cfg(feature = "full")]
pub(crate) fn exact(text: String) -> Value {
    Value::from_object(ExactNumber(text))
}

/// A number of JSON, which keeps its value.
pub(crate) fn number(text: &str) -> Value {
    if let Ok(integer) = text.parse::<i64>() {
        Value::from(integer)
    } else if let Ok(integer) = text.parse::<u64>() {
        Value::from(integer)
    } else if let Ok(integer) = text.parse::<i128>() {
        Value::from(integer)
    } else if let Ok(integer) = text.parse::<u128>() {
        Value::from(integer)
    } else {
        match text.parse::<f64>() {
            Ok(float)
                if float.is_finite()
                    && text.contains(['.', 'e', 'E'])
                    && decimal(text).is_some_and(|d| Some(d) == decimal(&format!("{float:e}"))) =>
            {
                Value::from(float)
            }
            _ => Value::from_object(ExactNumber(text.to_owned())),
        }
    }
}

/// A decimal as (negative, significant digits, exponent), the same for the same value.
fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some((negative, String::new(), 0));
    }
    let zeros = i64::try_from(digits.len() - significant.len()).ok()?;
    let fraction = i64::try_from(fraction.len()).ok()?;
    let exponent = exponent.checked_sub(fraction)?.checked_add(zeros)?;
    Some((negative, significant.to_owned(), exponent))
}

/// The pairs of an object in order; a key that comes twice is an error.
struct Pairs<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;

        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                let mut seen = std::collections::HashSet::new();
                while let Some((key, raw)) = map.next_entry::<String, &RawValue>()? {
                    if !seen.insert(key.clone()) {
                        return Err(de::Error::custom(format_args!("the key {key:?} comes twice")));
                    }
                    pairs.push((key, raw));
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(PairsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_value() {
        // (as written, as printed, native)
        for (text, printed, native) in [
            ("0", "0", true),
            ("-7", "-7", true),
            ("9007199254740993", "9007199254740993", true),
            ("18446744073709551615", "18446744073709551615", true),
            ("340282366920938463463374607431768211455", "340282366920938463463374607431768211455", true),
            ("-170141183460469231731687303715884105728", "-170141183460469231731687303715884105728", true),
            ("340282366920938463463374607431768211456", "340282366920938463463374607431768211456", false),
            ("0.1", "0.1", true),
            ("1.10", "1.1", true),
            ("1.5e3", "1500.0", true),
            ("-2.50E-1", "-0.25", true),
            ("0.1234567890123456789", "0.1234567890123456789", false),
            ("1e400", "1e400", false),
            ("1e-400", "1e-400", false),
            ("1e99999999999999999999", "1e99999999999999999999", false),
        ] {
            let value = number(text);
            assert_eq!(value.to_string(), printed, "{text}");
            assert_eq!(value.is_number(), native, "{text}");
        }
    }

    #[test]
    fn rows_that_are_no_object_are_named() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        for (text, expected) in [
            ("[1]", "is an array"),
            ("\"x\"", "is no JSON object"),
            ("{\"a\":1", "is not valid JSON: EOF"),
            ("{\"a\":1} x", "is not valid JSON: trailing characters"),
            ("{\"a\":1,\"a\":2}", "the key \"a\" comes twice"),
            ("{\"o\":{\"b\":1,\"b\":2}}", "the key \"b\" comes twice"),
            ("{\"a\":\"\\ud800\"}", "is not valid JSON"),
            ("{\"a\":01}", "is not valid JSON"),
            (deep.as_str(), "nested deeper"),
        ] {
            let message = fields(text).expect_err(text);
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
