//! The variables of OpenAI's own tools: when they count, and where their key may go.

use std::env;

use lote::{Dialect, DialectChoice};

use crate::settings::{Key, Made, Source, reached};

pub(super) const API_KEY: &str = "OPENAI_API_KEY";
pub(super) const BASE_URL: &str = "OPENAI_BASE_URL";

/// What OpenAI's variables say.
#[derive(Clone, Default)]
pub(crate) struct OpenAi {
    pub(super) key: Option<String>,
    pub(super) base_url: Option<String>,
}

impl OpenAi {
    pub(crate) fn from_env() -> Self {
        let set =
            |name: &str| env::var(name).ok().map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        Self { key: set(API_KEY), base_url: set(BASE_URL) }
    }

    /// What they are worth where our own settings name this dialect and this base URL.
    pub(super) fn for_service<'a>(
        &'a self,
        dialect: Option<&'a Made<String>>,
        ours: Option<&'a Made<String>>,
    ) -> ForService<'a> {
        // To look at the host takes as long as much else that a command does: only where it matters.
        let is_set = self.key.is_some() || self.base_url.is_some();
        let is_meant = || {
            dialect.is_some_and(|dialect| dialect.value == "openai") || ours.is_some_and(|url| is_openais(&url.value))
        };
        ForService { openai: self, ours, counts: is_set && is_meant() }
    }
}

/// What OpenAI's variables are worth for one service.
pub(super) struct ForService<'a> {
    openai: &'a OpenAi,
    ours: Option<&'a Made<String>>,
    /// Whether OpenAI is meant at all.
    counts: bool,
}

impl ForService<'_> {
    /// The base URL, where none of ours is there.
    pub(super) fn base_url(&self) -> Option<Made<String>> {
        let url = self.openai.base_url.as_ref().filter(|_| self.counts && self.ours.is_none())?;
        Some(Made { value: url.clone(), source: Source::Variable { name: BASE_URL } })
    }

    /// The key, if there is one.
    ///
    /// # Errors
    /// Why it does not go to this service.
    pub(super) fn key(&self) -> Result<Option<Made<Key>>, String> {
        let Some(key) = &self.openai.key else { return Ok(None) };
        if !self.counts {
            return Err(format!(
                "  {API_KEY} is set, and not taken: it counts with --dialect openai, or with a base URL of OpenAI's host"
            ));
        }
        if let Some(ours) = self.ours
            && !is_openais(&ours.value)
            && !self.is_theirs(&ours.value)
        {
            return Err(format!(
                "  {API_KEY} is set, and not taken: it goes to OpenAI's host or to {BASE_URL} alone, and {} names \
                 another; LOTE_API_KEY goes anywhere",
                ours.source
            ));
        }
        Ok(Some(Made { value: Key::Text(key.clone()), source: Source::Variable { name: API_KEY } }))
    }

    /// Whether a base URL is the one of the variable, as the client reads both.
    fn is_theirs(&self, url: &str) -> bool {
        let reached = |url: &str| reached(Some(url), Some("openai"));
        self.openai.base_url.as_deref().and_then(reached).is_some_and(|theirs| Some(theirs) == reached(url))
    }
}

/// Whether a base URL is of OpenAI's own host, by TLS: without it anybody on the way would read the key.
fn is_openais(url: &str) -> bool {
    let is_secure = url.trim().get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
    is_secure
        && Dialect::guess(url)
            .is_ok_and(|(of, choice)| of.name() == "openai" && matches!(choice, DialectChoice::Host(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openais_host_is_known_by_its_url_as_the_client_reads_it() {
        for (url, expected) in [
            ("https://api.openai.com/v1", true),
            (" HTTPS://API.OpenAI.com ", true),
            ("https://api.openai.com:8443/v1", true),
            ("http://api.openai.com/v1", false),
            ("https://api.openai.com@127.0.0.1/v1", false),
            ("https://api.openai.com.example.org/v1", false),
            ("https://example.org/api.openai.com/v1", false),
            ("https://127.0.0.1/v1", false),
            ("https://", false),
            ("", false),
            ("äöüäöü", false),
        ] {
            assert_eq!(is_openais(url), expected, "{url}");
        }
    }
}
