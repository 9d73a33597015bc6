//! Where a key may go: the origin of a base URL, which is scheme, host and port, as the client reads it.

use lote::{Client, Dialect};

use crate::settings::profile::Profile;
use crate::settings::{Made, Settings, Source};

/// The base URL that a client of these settings has; none when no client can be made of them.
pub(crate) fn reached(base_url: Option<&str>, dialect: Option<&str>) -> Option<String> {
    let mut builder = Client::builder().api_key("-");
    if let Some(url) = base_url {
        builder = builder.base_url(url);
    }
    if let Some(dialect) = dialect {
        builder = builder.dialect(Dialect::load(dialect).ok()?);
    }
    builder.build().ok().map(|client| client.base_url().to_owned())
}

/// Scheme, host and port of a base URL that a client has.
fn origin(reached: &str) -> &str {
    let host = reached.find("://").map_or(0, |at| at + 3);
    reached[host..].find('/').map_or(reached, |end| &reached[..host + end])
}

/// Whether the key of a profile may be sent there: to the service of the profile, wherever on it. One that names no
/// service says only who asks, and its key goes wherever the rest of the settings lead.
///
/// # Errors
/// Why it may not.
pub(super) fn key_goes_to(
    name: &str,
    profile: &Profile,
    base_url: Option<&Made<String>>,
    dialect: Option<&Made<String>>,
) -> Result<(), String> {
    let own_url = profile.base_url.as_ref().map(|at| at.value.as_str());
    let own_dialect = profile.dialect.as_ref().map(|at| at.value.as_str());
    let is_own = |setting: Option<&Made<String>>| setting.is_none_or(Settings::is_of_profile);
    if (own_url, own_dialect) == (None, None) || (is_own(base_url) && is_own(dialect)) {
        return Ok(());
    }
    let Some(own) = reached(own_url, own_dialect) else {
        // A dialect without a service of its own leads nowhere by itself.
        return if own_url.is_none() {
            Ok(())
        } else {
            Err(format!("  the base URL of profile {name} cannot be used"))
        };
    };
    let value = |setting: Option<&Made<String>>| setting.map(|made| made.value.clone());
    let asked = reached(value(base_url).as_deref(), value(dialect).as_deref());
    if asked.as_deref().map(origin) == Some(origin(&own)) {
        return Ok(());
    }
    let by = base_url.or(dialect).map_or(Source::Default, |made| made.source.clone());
    Err(format!("  the key of profile {name} is for {} alone, and {by} names another service", origin(&own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_all_before_the_path() {
        for (url, expected) in [
            ("https://api.openai.com/v1", "https://api.openai.com"),
            ("http://127.0.0.1:8787/api/v1/llm", "http://127.0.0.1:8787"),
            ("http://[::1]:1", "http://[::1]:1"),
        ] {
            assert_eq!(origin(url), expected);
        }
        let reached = reached(Some("HTTPS://user@Example.com"), None);
        assert_eq!(reached, None, "no client is made of a URL with a user");
    }
}
