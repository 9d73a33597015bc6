//! What an operator wrote and cannot be used.

use std::fmt;

/// Why a setting cannot be used: the line and the key of a file, where it was in one, and the reason. Never a value that may
/// be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

pub(crate) fn wrong(message: impl Into<String>) -> ConfigError {
    ConfigError(message.into())
}

/// A URL of another server, without a slash at its end.
///
/// # Errors
/// When it is no http or https URL, or one with a user, a password or a fragment.
pub(crate) fn server(url: &str) -> Result<&str, ConfigError> {
    let uri: axum::http::Uri =
        url.parse().map_err(|_| wrong("the url is no URL; give one such as http://127.0.0.1:8000/v1"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err(wrong("the url has to begin with http:// or https://"));
    }
    if uri.authority().is_none_or(|authority| authority.as_str().contains('@') || authority.host().is_empty()) {
        return Err(wrong("the url needs a host, and no user or password: a key is given by itself"));
    }
    if url.contains('#') {
        return Err(wrong("the url has a fragment: leave it out"));
    }
    Ok(url.trim_end_matches('/'))
}
