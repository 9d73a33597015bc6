//! Ids as opaque texts that are safe in a path.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    Error,
    text::{is_hidden, shortened, visible},
};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        ///
        /// Opaque: services spell ids in many ways. Of 1 to 256 characters, never `.` or `..` (which would reach another
        /// path), and without what people would not see; everything else is percent-encoded in a URL.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// Takes an id as a service gave it.
            ///
            /// # Errors
            /// One that [`is_invalid`](Error::is_invalid) when it is empty, longer than 256 characters, `.` or `..`, or
            /// holds characters that are [hidden](crate::text::is_hidden).
            pub fn new(id: impl Into<String>) -> Result<Self, Error> {
                let id = id.into();
                match fault(&id) {
                    None => Ok(Self(id)),
                    Some(fault) => Err(Error::invalid(format!("{} id {}: {fault}", $what, shown(&id)))),
                }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(id: &str) -> Result<Self, Error> {
                Self::new(id)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
    };
}

id!(
    /// The id of a batch, such as `batch_aa87e2b1112a455b8deabed784372198`.
    BatchId,
    "batch"
);
id!(
    /// The id of a file, such as `file-abc123`.
    FileId,
    "file"
);

/// The most characters of an id. Those of all known services have fewer than 100.
const LONGEST: usize = 256;

fn fault(id: &str) -> Option<&'static str> {
    match id {
        "" => Some("it is empty; give the id that the service gave"),
        "." | ".." => Some("it would reach another path; give the id that the service gave"),
        _ if id.chars().nth(LONGEST).is_some() => Some("it is longer than 256 characters"),
        _ if id.contains(is_hidden) => Some("it holds a character that nobody would see"),
        _ => None,
    }
}

/// An id that cannot be used, as far as it is short.
fn shown(id: &str) -> String {
    format!("\"{}\"", visible(&shortened(id, 40)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_opaque_but_safe_in_a_path() {
        for id in ["batch_1", "file-abc", "550e8400-e29b-41d4-a716-446655440000", "a/b", "...", "é", "a b"] {
            assert_eq!(BatchId::new(id).unwrap().as_str(), id);
        }
        assert!(BatchId::new("é".repeat(256)).is_ok());
        let long = "é".repeat(257);
        for id in ["", ".", "..", "a\nb", "\0", "a\u{202e}b", "a\u{200b}", "\u{e0041}", "a\u{2028}", long.as_str()] {
            let error = FileId::new(id).unwrap_err();
            assert!(error.is_invalid(), "{id:?}");
            assert!(error.to_string().starts_with("file id \"") && error.to_string().len() < 200, "{error}");
            assert!(serde_json::from_value::<FileId>(id.into()).is_err());
        }
    }
}
