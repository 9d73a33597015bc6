//! Names of request lines that every service takes. A [`RequestFile`](super::RequestFile) keeps which are in use.

use std::fmt::{self, Write as _};

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{Endpoint, Error, text::shortened};

/// The longest name that every service takes.
const LONGEST: usize = 64;

/// Hexadecimal digits of a hash in a name: 96 bits.
const HASH: usize = 24;

/// What stands before a hash.
const MARK: &str = "-h";

/// A name of a request line in the portable form: 1 to 64 printable characters of ASCII, with no blank. Services
/// publish no bound of their own; this is what all that were tried take.
///
/// ```
/// use lote::request::CustomId;
///
/// assert_eq!(CustomId::from_key("user-42").as_str(), "user-42");
/// let id = CustomId::from_key("user 42/ä");
/// assert_eq!(id.as_str(), "user_42_-h36050a11dd6832d3c0a19e0b");
/// assert!(CustomId::portable("user 42/ä").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomId(String);

impl CustomId {
    /// Takes a name that is in the portable form already.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when it is not.
    pub fn portable(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        match fault(&text) {
            None => Ok(Self(text)),
            Some(fault) => {
                let advice = "derive one with CustomId::from_key";
                Err(Error::invalid(format!("custom_id {:?}: {fault}; {advice}", shortened(&text, 100))))
            }
        }
    }

    /// A name for a key of any form. The same key gives the same name, in every version of this library; different
    /// keys give different names.
    ///
    /// A key of at most 64 letters and digits of ASCII, `_` and `-` is its own name. Of any other, and of one that looks
    /// like it was made here, what can be read of it is followed by `-h` and 96 bits of its SHA-256.
    pub fn from_key(key: &str) -> Self {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if (1..=LONGEST).contains(&key.len()) && key.chars().all(plain) && !is_derived(key) {
            return Self(key.to_owned());
        }
        let mut name = String::with_capacity(LONGEST);
        for c in key.chars().take(LONGEST - MARK.len() - HASH) {
            let c = if plain(c) { c } else { '_' };
            // Two blanks in a row tell no more than one.
            if c != '_' || !name.ends_with('_') {
                name.push(c);
            }
        }
        Self(format!("{name}{MARK}{}", hash(key.as_bytes())))
    }

    /// A name made of what is asked: `content-h` and 96 bits of the SHA-256 of the endpoint and the body. The order of
    /// keys in the body is no difference.
    pub fn of_content(endpoint: Endpoint, body: &Map<String, Value>) -> Self {
        let mut text = format!("{endpoint}\n");
        canonical(&mut text, &body.clone().into());
        Self(format!("content{MARK}{}", hash(text.as_bytes())))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What keeps a text from being portable.
pub(super) fn fault(text: &str) -> Option<&'static str> {
    match text {
        "" => Some("it is empty"),
        _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Some("only printable ASCII without blanks is taken everywhere")
        }
        _ if text.len() > LONGEST => Some("only 64 characters are taken everywhere"),
        _ => None,
    }
}

/// Whether a text ends as the names that are made here.
fn is_derived(text: &str) -> bool {
    let hash = text.rsplit_once(MARK).map_or("", |(_, hash)| hash);
    hash.len() == HASH && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn hash(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(HASH);
    for byte in Sha256::digest(bytes).iter().take(HASH / 2) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// JSON without blanks and with sorted keys.
fn canonical(out: &mut String, value: &Value) {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_unstable_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (key, value) in entries {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(out, value);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for value in values {
                canonical(out, value);
                out.push(',');
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

impl fmt::Display for CustomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for CustomId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<CustomId> for String {
    fn from(id: CustomId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::HashMap;

    #[test]
    fn every_key_has_a_portable_name_of_its_own() {
        let mut names: HashMap<String, String> = HashMap::new();
        let long = "x".repeat(65);
        let keys =
            ["", " ", "a", "A", "a b", "a_b", "a  b", "a/b", "ä", "a\u{308}", "\0", "~", "a-h", "row:1", "-", &long];
        let derived: Vec<String> = keys.iter().map(|key| CustomId::from_key(key).0).collect();
        for key in keys.iter().map(|key| (*key).to_owned()).chain(derived) {
            let name = CustomId::from_key(&key).0;
            assert_eq!(CustomId::portable(&name).unwrap().as_str(), name, "{key:?}");
            assert_eq!(CustomId::from_key(&key).0, name);
            let other = names.insert(name.clone(), key.clone());
            assert!(other.as_ref().is_none_or(|other| *other == key), "{other:?} and {key:?} are both {name}");
        }
        assert_eq!(CustomId::from_key(&"é".repeat(500)).as_str().len(), 1 + MARK.len() + HASH);
        assert_eq!(CustomId::from_key(&"xé".repeat(500)).as_str().len(), LONGEST);
    }

    #[test]
    fn equal_content_has_an_equal_name() {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let name = |value| CustomId::of_content(Endpoint::Embeddings, &object(value));
        let one = name(json!({"model": "m", "input": {"b": [1, 2], "a": "x"}}));
        assert_eq!(one, name(json!({"input": {"a": "x", "b": [1, 2]}, "model": "m"})));
        assert_eq!(fault(one.as_str()), None);
        for other in [json!({"model": "m", "input": {"b": [12], "a": "x"}}), json!({"model": "m"}), json!({})] {
            assert_ne!(one, name(other));
        }
        assert_ne!(
            one,
            CustomId::of_content(Endpoint::Responses, &object(json!({"model": "m", "input": {"b": [1, 2], "a": "x"}})))
        );
    }
}
