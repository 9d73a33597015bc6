//! How a dialect is chosen when none is given.

use std::fmt;

use reqwest::Url;

use super::Dialect;
use crate::Error;

/// How the dialect of a client was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DialectChoice {
    /// It was given.
    Given,
    /// Guessed from this host, which is known.
    Host(String),
    /// Guessed from a base URL that ends in `/v1`, OpenAI's prefix, on a host that is not known.
    Prefix,
    /// Nothing else is known: the default.
    Default,
}

impl DialectChoice {
    /// Whether it is a guess that its user should see.
    pub fn is_guess(&self) -> bool {
        matches!(self, Self::Host(_) | Self::Prefix)
    }
}

impl fmt::Display for DialectChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("as given"),
            Self::Host(host) => write!(f, "guessed from the host {host}"),
            Self::Prefix => f.write_str("guessed from a base URL that ends in /v1"),
            Self::Default => f.write_str("the default"),
        }
    }
}

impl Dialect {
    /// The dialect for a base URL when none is given: of a known host its own; else OpenAI's when the URL ends in
    /// `/v1`, which is the prefix of OpenAI and of what copies it; else MKA1's.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when it is no URL.
    pub fn guess(base_url: &str) -> Result<(Self, DialectChoice), Error> {
        let url = Url::parse(base_url.trim()).map_err(|error| Error::invalid(format!("base URL: {error}")))?;
        Self::guessed(&url)
    }

    pub(crate) fn guessed(url: &Url) -> Result<(Self, DialectChoice), Error> {
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        for &name in Self::KNOWN {
            let dialect = Self::named(name)?;
            if dialect.0.hosts.iter().any(|known| is_host(known, &host)) {
                let choice = if name == Self::KNOWN[0] { DialectChoice::Default } else { DialectChoice::Host(host) };
                return Ok((dialect, choice));
            }
        }
        let path = url.path().trim_end_matches('/');
        if path.ends_with("/v1") {
            return Ok((Self::named("openai")?, DialectChoice::Prefix));
        }
        Ok((Self::named(Self::KNOWN[0])?, DialectChoice::Default))
    }

    /// The path for a base URL that has none.
    pub(crate) fn base_path(&self) -> &str {
        &self.0.base_path.0
    }

    /// The base URL of the service, for a client that is given none.
    pub(crate) fn url(&self) -> Option<&str> {
        self.0.url.as_deref()
    }
}

fn is_host(known: &str, host: &str) -> bool {
    match known.strip_prefix('*') {
        Some(end) => host.len() > end.len() && host.ends_with(end),
        None => known == host,
    }
}
