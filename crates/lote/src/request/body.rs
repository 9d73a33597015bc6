//! The body of a request while it is built: named fields in order, and what is wrong so far.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{Error, lines};

/// Fields as they were set. Setters cannot fail: what is wrong is kept until the body is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Body {
    fields: Map<String, Value>,
    /// Fields given by name: they win over all others, whenever they were given.
    given: Map<String, Value>,
    problems: Vec<String>,
}

impl Body {
    /// Sets a field, or replaces what it was.
    pub(super) fn set<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        if let Some(value) = self.json(name, value) {
            self.fields.insert(name.to_owned(), value);
        }
    }

    /// Sets a field within a field that is an object, such as `effort` in `reasoning`.
    pub(super) fn set_in<T: Serialize + ?Sized>(&mut self, outer: &str, name: &str, value: &T) {
        if let Some(value) = self.json(&format!("{outer}.{name}"), value) {
            let entry = self.fields.entry(outer).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(object) = entry {
                object.insert(name.to_owned(), value);
            }
        }
    }

    /// Sets a field by the caller's word.
    pub(super) fn give<T: Serialize + ?Sized>(&mut self, name: String, value: &T) {
        if let Some(value) = self.json(&name, value) {
            self.given.insert(name, value);
        }
    }

    /// Sets a field to what was made, or keeps why it could not be.
    pub(super) fn set_made(&mut self, name: &str, made: Result<Value, String>) {
        match made {
            Ok(value) => self.set(name, &value),
            Err(problem) => self.problem(name, problem),
        }
    }

    pub(super) fn problem(&mut self, name: &str, problem: impl std::fmt::Display) {
        self.problems.push(format!("{name}: {problem}"));
    }

    /// The whole body: the fields that every request of the endpoint has, then the others.
    pub(super) fn finish(
        self,
        what: &str,
        first: impl IntoIterator<Item = (&'static str, Result<Value, String>)>,
    ) -> Result<Map<String, Value>, Error> {
        let Self { fields, given, mut problems } = self;
        let mut body = Map::new();
        for (name, value) in first {
            match value {
                // What the caller gave in its place makes up for what is missing.
                _ if given.contains_key(name) => drop(body.insert(name.to_owned(), Value::Null)),
                Ok(value) => drop(body.insert(name.to_owned(), value)),
                Err(problem) => problems.push(format!("{name}: {problem}")),
            }
        }
        body.extend(fields);
        body.extend(given);
        if body.get("stream") == Some(&Value::Bool(true)) {
            problems.push("stream: a batch cannot stream; leave it out".to_owned());
        }
        if problems.is_empty() { Ok(body) } else { Err(Error::invalid(format!("{what}: {}", problems.join("; ")))) }
    }

    fn json<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Option<Value> {
        match lines::to_json(value) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problem(name, problem);
                None
            }
        }
    }
}

/// A text that must not be empty.
pub(super) fn filled(text: &str, advice: &str) -> Result<Value, String> {
    if text.is_empty() { Err(format!("it is empty; {advice}")) } else { Ok(Value::from(text)) }
}

/// What every builder has beside the fields of its endpoint.
macro_rules! common {
    ($builder:ident, $endpoint:expr) => {
        impl $builder {
            /// The endpoint that the request is for.
            pub const ENDPOINT: $crate::Endpoint = $endpoint;

            /// Sets any field of the body by its name on the wire: what is newer than this library, or a service's own.
            ///
            /// It wins over the setter of the same field, whichever came first, and replaces the whole of it. A value
            /// that JSON cannot hold, such as NaN, is an error when the line is made.
            pub fn field(mut self, name: impl Into<String>, value: impl serde::Serialize) -> Self {
                self.body.give(name.into(), &value);
                self
            }

            /// The request line, under the caller's name for it: a text, or a [`CustomId`](super::CustomId).
            ///
            /// # Errors
            /// One that [`is_invalid`](crate::Error::is_invalid), naming every field that is wrong, and for an empty
            /// `custom_id`.
            pub fn line(self, custom_id: impl Into<String>) -> Result<$crate::lines::RequestLine, $crate::Error> {
                $crate::request::line(custom_id.into(), Self::ENDPOINT, self.body()?)
            }

            /// The request line, named after its content: see [`CustomId::of_content`](super::CustomId::of_content).
            /// Two equal requests get the same name, and one file does not take both.
            ///
            /// # Errors
            /// Those of [`line`](Self::line).
            pub fn line_by_content(self) -> Result<$crate::lines::RequestLine, $crate::Error> {
                let body = self.body()?;
                let custom_id = super::CustomId::of_content(Self::ENDPOINT, &body);
                $crate::request::line(custom_id.into(), Self::ENDPOINT, body)
            }
        }

        impl super::rows::Sealed for $builder {}
    };
}

/// Setters that put one value into the field of their name.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {
        $(
            $(#[$doc])*
            pub fn $name(mut self, $name: $type) -> Self {
                self.body.set(stringify!($name), &$name);
                self
            }
        )*
    };
}

/// Setters of fields that hold a text.
macro_rules! text_setters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        $(
            $(#[$doc])*
            pub fn $name(mut self, $name: impl Into<String>) -> Self {
                self.body.set(stringify!($name), &$name.into());
                self
            }
        )*
    };
}

/// Enums of names that are sent.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
            #[non_exhaustive]
            pub enum $name { $($(#[$vdoc])* $variant,)* }

            impl $name {
                /// The spelling on the wire.
                pub const fn as_str(self) -> &'static str {
                    match self { $(Self::$variant => $text,)* }
                }
            }

            impl serde::Serialize for $name {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_str(self.as_str())
                }
            }
        )*
    };
}

pub(super) use {common, names, setters, text_setters};
