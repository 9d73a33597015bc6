//! The short names of the endpoints; which of them a service takes is its dialect's matter.

use std::{ffi::OsStr, fmt};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser, ValueParserFactory};
use clap::{Arg, Command, Error};

/// A batch-wide endpoint: one of the contract by its path or by a short name, or any other by its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint(String);

impl Endpoint {
    /// The path that goes into each request line's `url`.
    pub(crate) fn path(&self) -> &str {
        &self.0
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The last word of the path, but for those that nobody would type.
fn short(endpoint: lote::Endpoint) -> &'static str {
    match endpoint {
        lote::Endpoint::ChatCompletions => "chat",
        lote::Endpoint::ImagesGenerations => "images",
        lote::Endpoint::ImagesEdits => "image-edits",
        _ => endpoint.as_str().rsplit('/').next().unwrap_or_default(),
    }
}

/// Reads an endpoint from the command line.
#[derive(Clone, Debug)]
pub(crate) struct Parser;

impl Parser {
    fn names() -> impl Iterator<Item = PossibleValue> {
        lote::Endpoint::ALL.iter().map(|endpoint| PossibleValue::new(short(*endpoint)).help(endpoint.as_str()))
    }
}

impl TypedValueParser for Parser {
    type Value = Endpoint;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Endpoint, Error> {
        if let Some(path) = value.to_str().filter(|text| text.starts_with('/')) {
            return Ok(Endpoint(path.to_owned()));
        }
        let name = PossibleValuesParser::new(Self::names()).parse_ref(command, arg, value)?;
        let named = lote::Endpoint::ALL.iter().find(|endpoint| short(**endpoint) == name);
        Ok(Endpoint(named.map_or(name.as_str(), |endpoint| endpoint.as_str()).to_owned()))
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Self::names()))
    }
}

impl ValueParserFactory for Endpoint {
    type Parser = Parser;

    fn value_parser() -> Parser {
        Parser
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, Error> {
        Parser.parse_ref(&Command::new("lote"), None, text.as_ref()).map(String::from)
    }

    #[test]
    fn short_names_are_told_apart() {
        let mut names: Vec<&str> = lote::Endpoint::ALL.iter().map(|endpoint| short(*endpoint)).collect();
        assert_eq!(names[..4], ["chat", "responses", "embeddings", "images"]);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), lote::Endpoint::ALL.len());
    }

    #[test]
    fn a_short_name_is_its_path_and_any_path_is_itself() {
        for endpoint in lote::Endpoint::ALL {
            assert_eq!(parse(short(*endpoint)).unwrap(), endpoint.as_str());
            assert_eq!(parse(endpoint.as_str()).unwrap(), endpoint.as_str());
        }
        assert_eq!(parse("/v1/audio/transcriptions").unwrap(), "/v1/audio/transcriptions");
        for text in ["", "audio", "v1/chat/completions"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
