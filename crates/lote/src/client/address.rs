//! The base URL of a service: its check, its prefix, its dialect.

use std::net::IpAddr;

use reqwest::Url;

use crate::{Dialect, DialectChoice, Error, dialect::ChosenDialect};

/// Where a service is.
pub(super) struct Address {
    /// With its prefix and without a slash at the end.
    pub(super) base_url: String,
    /// Whether it is on this machine.
    pub(super) local: bool,
    /// Whether it is spoken to without TLS.
    pub(super) plain: bool,
    pub(super) dialect: ChosenDialect,
}

impl Address {
    /// Checks a base URL, or takes that of the dialect.
    pub(super) fn new(given: Option<String>, dialect: Option<Dialect>) -> Result<Self, Error> {
        let given = match (given, &dialect) {
            (Some(given), _) => given,
            (None, None) => Dialect::named(Dialect::KNOWN[0])?.url().unwrap_or_default().to_owned(),
            (None, Some(dialect)) => dialect.url().map(str::to_owned).ok_or_else(|| {
                let name = dialect.name();
                Error::invalid(format!(
                    "no base URL: dialect {name} has no service of its own; set LOTE_BASE_URL, or give one"
                ))
            })?,
        };
        let given = given.trim();
        // A text that cannot be parsed may still hold a password: it is not repeated.
        let mut url = Url::parse(given).map_err(|error| {
            Error::invalid(format!("base URL: {error}; give one such as https://api.openai.com/v1"))
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::invalid(format!("base URL: {}:// is neither http:// nor https://", url.scheme())));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::invalid("base URL: it holds a user or password; give the key as the API key"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Error::invalid("base URL: it has a query or a fragment; give only scheme, host and path"));
        }
        let dialect = match dialect {
            Some(dialect) => ChosenDialect { dialect, choice: DialectChoice::Given },
            None => {
                let (dialect, choice) = Dialect::guessed(&url)?;
                ChosenDialect { dialect, choice }
            }
        };
        if url.path().trim_matches('/').is_empty() {
            url.set_path(dialect.dialect.base_path());
        }
        let local = url.host_str().is_some_and(|host| {
            let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        });
        let plain = url.scheme() == "http";
        Ok(Self { base_url: url.as_str().trim_end_matches('/').to_owned(), local, plain, dialect })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(given: &str) -> Address {
        Address::new(Some(given.to_owned()), None).unwrap()
    }

    #[test]
    fn a_base_url_with_a_path_is_the_prefix_itself() {
        for (given, expected) in [
            ("https://apigw.mka1.com", "https://apigw.mka1.com/api/v1/llm"),
            ("https://apigw.mka1.com/", "https://apigw.mka1.com/api/v1/llm"),
            ("https://api.openai.com/v1", "https://api.openai.com/v1"),
            ("https://api.openai.com/v1/", "https://api.openai.com/v1"),
            ("http://127.0.0.1:8787", "http://127.0.0.1:8787/api/v1/llm"),
            (" http://localhost:1/v1 ", "http://localhost:1/v1"),
        ] {
            assert_eq!(address(given).base_url, expected, "{given}");
        }
        assert!(address("http://[::1]:8787").local);
        assert!(!address("https://apigw.mka1.com").local);
    }
}
