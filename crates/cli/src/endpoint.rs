//! Owns the endpoint names that the command line accepts; never what a service supports.

use std::fmt;

use clap::ValueEnum;
use clap::builder::PossibleValue;

/// A batch-wide endpoint, by its path or by a short name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    ChatCompletions,
    Responses,
    Embeddings,
    ImagesGenerations,
    Completions,
    Moderations,
    ImagesEdits,
    Videos,
}

impl Endpoint {
    /// The path that goes into each request line's `url`.
    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Responses => "/v1/responses",
            Self::Embeddings => "/v1/embeddings",
            Self::ImagesGenerations => "/v1/images/generations",
            Self::Completions => "/v1/completions",
            Self::Moderations => "/v1/moderations",
            Self::ImagesEdits => "/v1/images/edits",
            Self::Videos => "/v1/videos",
        }
    }

    const fn short(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::ImagesGenerations => "images",
            Self::Completions => "completions",
            Self::Moderations => "moderations",
            Self::ImagesEdits => "image-edits",
            Self::Videos => "videos",
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

impl ValueEnum for Endpoint {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::ChatCompletions,
            Self::Responses,
            Self::Embeddings,
            Self::ImagesGenerations,
            Self::Completions,
            Self::Moderations,
            Self::ImagesEdits,
            Self::Videos,
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.short()).alias(self.path()).help(self.path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_those_that_lines_may_name() {
        let mut ours: Vec<_> = Endpoint::value_variants().iter().map(|endpoint| endpoint.path()).collect();
        let mut known = crate::lines::ENDPOINTS.to_vec();
        ours.sort_unstable();
        known.sort_unstable();
        assert_eq!(ours, known);
    }
}
