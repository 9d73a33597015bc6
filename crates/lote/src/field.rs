//! Reads single fields of an answer: it takes what services are seen to send, and says exactly what is wrong and where.

use std::fmt;

use serde_json::{Map, Value};

use crate::{Error, UnixSeconds, bound, bound::Bound, text::shortened, time};

/// A field of an answer: where it stands and what is there.
pub(crate) struct Field {
    name: String,
    value: Option<Value>,
}

impl Field {
    /// The field `name` of `parent`; null is the same as absent.
    pub(crate) fn new(parent: &str, name: &str, value: Option<Value>) -> Self {
        Self { name: format!("{parent}.{name}"), value: value.filter(|value| !value.is_null()) }
    }

    /// A field whose full name is known, such as an entry of a list.
    pub(crate) fn named(name: String, value: Value) -> Self {
        Self { name, value: Some(value).filter(|value| !value.is_null()) }
    }

    /// The text if it is one, else the field again.
    pub(crate) fn into_text(self) -> Result<String, Self> {
        match self.value {
            Some(Value::String(text)) => Ok(text),
            value => Err(Self { name: self.name, value }),
        }
    }

    /// Whether it is a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.value, Some(Value::Array(_)))
    }

    fn wrong(&self, expected: &str) -> Error {
        let found = match &self.value {
            None => "it is missing".to_owned(),
            Some(value) => format!("{} is not {expected}", beginning(value)),
        };
        Error::undecodable(format!("{}: {found}", self.name))
    }

    /// An integer in `bound`: a number without a fraction, or the text of one.
    pub(crate) fn integer(self, bound: &Bound) -> Result<Option<i64>, Error> {
        self.checked_integer(bound).map_err(Error::received)
    }

    fn checked_integer(self, bound: &Bound) -> Result<Option<i64>, Error> {
        let value = match &self.value {
            None => return Ok(None),
            Some(Value::Number(number)) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Some(Value::String(text)) => {
                let text = text.trim();
                if text.bytes().any(|byte| byte.is_ascii_digit())
                    && text.strip_prefix('-').unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit())
                {
                    Some(text.parse::<i64>().map_err(|_| bound.refuse(&self.name, text))?)
                } else {
                    None
                }
            }
            Some(_) => None,
        };
        match value {
            Some(value) => bound.check(&self.name, value).map(Some),
            None => match &self.value {
                // An integer beyond 64 bits is out of range rather than of another type.
                Some(Value::Number(number)) if number.is_u64() || number.as_f64().is_some_and(|n| n.fract() == 0.0) => {
                    Err(bound.refuse(&self.name, &number.to_string()))
                }
                _ => Err(self.wrong("an integer")),
            },
        }
    }

    /// A count of at least zero.
    pub(crate) fn count(self, bound: &Bound) -> Result<Option<u64>, Error> {
        Ok(self.integer(bound)?.map(i64::unsigned_abs))
    }

    /// An instant: seconds, whose fraction is dropped, or an RFC 3339 text, which can be nothing else.
    pub(crate) fn instant(mut self) -> Result<Option<UnixSeconds>, Error> {
        let seconds = match &self.value {
            Some(Value::String(text)) => time::rfc_3339(text),
            // A fraction of a second, as time.time() of Python gives it.
            Some(Value::Number(number)) if number.is_f64() => {
                number.as_f64().and_then(|seconds| whole(seconds.floor()))
            }
            _ => None,
        };
        if let Some(seconds) = seconds {
            self.value = Some(seconds.into());
        }
        let name = self.name.clone();
        self.integer(&bound::UNIX_SECONDS)?.map(|seconds| UnixSeconds::named(&name, seconds)).transpose()
    }

    /// A text; a number or boolean is taken as its text.
    pub(crate) fn text(self) -> Result<Option<String>, Error> {
        match self.value {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(Value::Bool(flag)) => Ok(Some(flag.to_string())),
            Some(Value::Array(_) | Value::Object(_) | Value::Null) => Err(self.wrong("a text")),
        }
    }

    /// A text that has to be there.
    pub(crate) fn required_text(self) -> Result<String, Error> {
        if self.value.is_none() {
            return Err(self.wrong("a text"));
        }
        Ok(self.text()?.unwrap_or_default())
    }

    /// An id; services send an empty text for none.
    pub(crate) fn id<T>(self, new: impl Fn(String) -> Result<T, Error>) -> Result<Option<T>, Error> {
        let name = self.name.clone();
        match self.text()?.filter(|id| !id.is_empty()) {
            None => Ok(None),
            Some(id) => new(id).map(Some).map_err(|error| Error::undecodable(format!("{name}: {error}"))),
        }
    }

    /// A flag, or the text of one.
    pub(crate) fn flag(self) -> Result<Option<bool>, Error> {
        match &self.value {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(self.wrong("true or false")),
        }
    }

    /// An object, for the generated type of a component; together with its name.
    pub(crate) fn object<T: serde::de::DeserializeOwned>(self) -> Result<Option<(String, T)>, Error> {
        match &self.value {
            None => Ok(None),
            Some(Value::Object(_)) => {
                let value = self.value.unwrap_or_default();
                match serde_json::from_value(value) {
                    Ok(object) => Ok(Some((self.name, object))),
                    Err(error) => {
                        Err(Error::undecodable(format!("{}: it is no object of the contract: {error}", self.name)))
                    }
                }
            }
            Some(_) => Err(self.wrong("an object")),
        }
    }

    /// A list, with the name of each entry.
    pub(crate) fn list(self) -> Result<Option<Vec<(String, Value)>>, Error> {
        match self.value {
            None => Ok(None),
            Some(Value::Array(entries)) => {
                let name = &self.name;
                let named = |(at, entry)| (format!("{name}[{at}]"), entry);
                Ok(Some(entries.into_iter().enumerate().map(named).collect()))
            }
            Some(_) => Err(self.wrong("a list")),
        }
    }

    /// Pairs of texts; a value that is no text is kept as its JSON.
    pub(crate) fn pairs(self) -> Result<Option<std::collections::BTreeMap<String, String>>, Error> {
        match self.value {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map.into_iter().map(|(key, value)| (key, as_text(value))).collect())),
            Some(_) => Err(self.wrong("an object of texts")),
        }
    }
}

/// The beginning of a value's JSON. What is not shown is not written either: it may be a mebibyte.
fn beginning(value: &Value) -> String {
    struct Beginning(String);
    impl fmt::Write for Beginning {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0.push_str(text);
            // Some hundred bytes hold 80 characters, and the error ends the writing.
            if self.0.len() > 4 * SHOWN { Err(fmt::Error) } else { Ok(()) }
        }
    }
    let mut text = Beginning(String::new());
    let _ = fmt::Write::write_fmt(&mut text, format_args!("{value}"));
    shortened(&text.0, SHOWN).into_owned()
}

/// How many characters of a value are shown.
const SHOWN: usize = 80;

fn as_text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// A float without a fraction that an i64 holds exactly.
fn whole(number: f64) -> Option<i64> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    // Within 2^53 the conversion is exact; beyond, the float is not what the service meant.
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within 2^53")]
    (number.fract() == 0.0 && number.abs() < EXACT).then_some(number as i64)
}

/// The JSON of an answer as it came, nulls left out.
pub(crate) fn raw(value: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

/// Writes an object as it came, the fields of the contract first and in its order.
pub(crate) fn in_order<S: serde::Serializer>(
    raw: &Map<String, Value>,
    order: &[&str],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let known = order.iter().filter_map(|name| raw.get_key_value(*name));
    let others = raw.iter().filter(|(name, _)| !order.contains(&name.as_str()));
    let mut map = serializer.serialize_map(Some(raw.len()))?;
    for (name, value) in known.chain(others) {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn integer(value: Value) -> Result<Option<i64>, Error> {
        Field::new("batch", "created_at", Some(value)).integer(&bound::UNIX_SECONDS)
    }

    #[test]
    fn integers_in_every_spelling() {
        for (value, expected) in [
            (json!(null), None),
            (json!(5), Some(5)),
            (json!("5"), Some(5)),
            (json!("-5"), Some(-5)),
            (json!(5.0), Some(5)),
            (json!(9_007_199_254_740_991_i64), Some(9_007_199_254_740_991)),
        ] {
            assert_eq!(integer(value.clone()).unwrap(), expected, "{value}");
        }
    }

    #[test]
    fn instants_in_words() {
        let instant = |value: Value| Field::new("batch", "created_at", Some(value)).instant();
        for (text, seconds) in [
            ("2024-01-01T00:00:00Z", 1_704_067_200),
            ("2024-01-01T01:00:00.999999+01:00", 1_704_067_200),
            ("1969-12-31T23:59:59.5Z", -1),
        ] {
            assert_eq!(instant(text.into()).unwrap().unwrap().get(), seconds, "{text}");
        }
        for (number, seconds) in [(1_704_067_200.75, 1_704_067_200), (-0.5, -1), (5.0, 5)] {
            assert_eq!(instant(number.into()).unwrap().unwrap().get(), seconds, "{number}");
        }
        assert!(instant(1e300.into()).unwrap_err().is_out_of_range());
        // Without an offset it could be any of a day's instants.
        let error = instant("2024-01-01T00:00:00".into()).unwrap_err();
        assert!(error.to_string().contains("is not an integer"), "{error}");
    }

    #[test]
    fn what_is_wrong_names_field_and_value() {
        for (value, part) in [
            (json!(9_007_199_254_740_992_i64), "9007199254740992 is out of range"),
            (json!(-9_007_199_254_740_992_i64), "-9007199254740992 is out of range"),
            (json!(u64::MAX), "18446744073709551615 is out of range"),
            (json!("99999999999999999999"), "99999999999999999999 is out of range"),
            (json!(1e300), "1e+300 is out of range"),
            (json!(1.5), "1.5 is not an integer"),
            (json!("soon"), "\"soon\" is not an integer"),
            (json!(""), "\"\" is not an integer"),
            (json!("-"), "\"-\" is not an integer"),
            (json!("--5"), "\"--5\" is not an integer"),
            (json!(true), "true is not an integer"),
            (json!([]), "[] is not an integer"),
        ] {
            let error = integer(value.clone()).unwrap_err().to_string();
            assert!(error.starts_with("batch.created_at: ") && error.contains(part), "{value}: {error}");
        }
        let error = Field::new("batch", "id", None).required_text().unwrap_err();
        assert_eq!(error.to_string(), "batch.id: it is missing");
    }
}
