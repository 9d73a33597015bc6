//! Owns the short names of the endpoints; the endpoints themselves are the library's.

use std::fmt;
use std::sync::LazyLock;

use clap::ValueEnum;
use clap::builder::PossibleValue;

/// A batch-wide endpoint, by its path or by a short name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint(lote::Endpoint);

static ALL: LazyLock<Vec<Endpoint>> = LazyLock::new(|| lote::Endpoint::ALL.iter().copied().map(Endpoint).collect());

impl Endpoint {
    /// The path that goes into each request line's `url`.
    pub(crate) const fn path(self) -> &'static str {
        self.0.as_str()
    }

    /// The last word of the path, but for those that nobody would type.
    fn short(self) -> &'static str {
        match self.0 {
            lote::Endpoint::ChatCompletions => "chat",
            lote::Endpoint::ImagesGenerations => "images",
            lote::Endpoint::ImagesEdits => "image-edits",
            _ => self.path().rsplit('/').next().unwrap_or_default(),
        }
    }
}

impl From<Endpoint> for lote::Endpoint {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path())
    }
}

impl ValueEnum for Endpoint {
    fn value_variants<'a>() -> &'a [Self] {
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.short()).alias(self.path()).help(self.path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_told_apart() {
        let mut names: Vec<&str> = ALL.iter().map(|endpoint| endpoint.short()).collect();
        assert_eq!(names[..4], ["chat", "responses", "embeddings", "images"]);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), lote::Endpoint::ALL.len());
    }
}
