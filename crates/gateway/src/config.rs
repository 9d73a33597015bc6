//! What an operator writes down for a gateway, in a file of TOML: the servers that answer, and those that are told.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;

use crate::upstream::Upstream;
use crate::webhook::Webhook;
use crate::wrong::{ConfigError, wrong};

/// What is in such a file, for [`Builder::config`](crate::Builder::config).
///
/// ```
/// let config = lote_gateway::Config::from_toml(
///     r#"
///     [[upstream]]
///     url = "http://127.0.0.1:8000/v1"
///     key_env = "SERVER_KEY"
///     models = ["qwen*", { name = "small", there = "qwen2.5:0.5b" }]
///     max_concurrency = 64
///     requests_per_minute = 6000
///     tokens_per_minute = 1000000
///     timeout = 600
///     retries = 4
///
///     [[webhook]]
///     url = "https://example.com/hooks"
///     secret_env = "HOOK_SECRET"
///     events = ["batch.completed", "batch.failed"]
///     "#,
///     |name| match name {
///         "SERVER_KEY" => Some("secret".to_owned()),
///         "HOOK_SECRET" => Some("whsec_MDEyMzQ1Njc4OWFiY2RlZg==".to_owned()),
///         _ => None,
///     },
/// )?;
/// assert_eq!((config.upstreams.len(), config.webhooks.len()), (1, 1));
/// # Ok::<(), lote_gateway::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The servers that answer; the built-in model does when there is none.
    pub upstreams: Vec<Upstream>,
    /// The servers that are told when a batch has ended.
    pub webhooks: Vec<Webhook>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    upstream: Vec<Entry>,
    #[serde(default)]
    webhook: Vec<Receiver>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    url: Spanned<String>,
    key_env: Option<Spanned<String>>,
    #[serde(default)]
    models: Vec<Named>,
    max_concurrency: Option<Spanned<u64>>,
    requests_per_minute: Option<Spanned<u64>>,
    tokens_per_minute: Option<Spanned<u64>>,
    timeout: Option<Spanned<u64>>,
    retries: Option<Spanned<u32>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receiver {
    url: Spanned<String>,
    secret_env: Spanned<String>,
    #[serde(default)]
    events: Vec<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a name, or {name = \"…\", there = \"…\"}")]
enum Named {
    Same(String),
    Other(Other),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Other {
    name: String,
    there: String,
}

impl Config {
    /// Reads a file, as `lote gateway --config FILE` does. `env` gives the value of an environment variable: keys and secrets
    /// stand in none of the operator's files.
    ///
    /// # Errors
    /// When it is no TOML, a key of it is unknown or has a value that it cannot have, or a variable is not set; at its line.
    pub fn from_toml(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<Config, ConfigError> {
        let at = |start: usize, key: &str, message: &dyn fmt::Display| {
            let line = text.get(..start).unwrap_or_default().matches('\n').count() + 1;
            wrong(format!("line {line}, at {key}: {message}"))
        };
        let file: File = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or_default();
            // Of the line only the key is shown: a value may be a secret in the wrong place.
            let line = text.lines().nth(before.matches('\n').count());
            let key = line.and_then(|line| line.split(['=', '#']).next()).unwrap_or_default().trim();
            at(start, key, &error.message())
        })?;
        let variable = |key: &str, name: &Spanned<String>| {
            let message = format_args!("the environment variable {} is not set", name.get_ref()).to_string();
            env(name.get_ref()).ok_or_else(|| at(name.span().start, key, &message))
        };
        let mut config = Config::default();
        for Entry { url, key_env, models, max_concurrency, requests_per_minute, tokens_per_minute, timeout, retries } in
            file.upstream
        {
            let mut upstream = Upstream::new(url.get_ref()).map_err(|error| at(url.span().start, "url", &error))?;
            if let Some(name) = key_env {
                let key = variable("key_env", &name)?;
                upstream = upstream.key(&key).map_err(|error| at(name.span().start, "key_env", &error))?;
            }
            for model in models {
                let (pattern, there) = match model {
                    Named::Same(name) => (name, None),
                    Named::Other(Other { name, there }) => (name, Some(there)),
                };
                if pattern.is_empty() || there.as_deref() == Some("") {
                    return Err(at(url.span().start, "models", &"the name of a model is empty"));
                }
                upstream = match there {
                    None => upstream.model(&pattern),
                    Some(there) => upstream.model_as(&pattern, &there),
                };
            }
            let positive = |key: &str, value: &Spanned<u64>| match *value.get_ref() {
                0 => Err(at(value.span().start, key, &"0 would let nothing through")),
                value => Ok(value),
            };
            if let Some(value) = &max_concurrency {
                let most = usize::try_from(positive("max_concurrency", value)?).unwrap_or(usize::MAX);
                upstream = upstream.max_concurrency(most);
            }
            if let Some(value) = &requests_per_minute {
                upstream = upstream.requests_per_minute(positive("requests_per_minute", value)?);
            }
            if let Some(value) = &tokens_per_minute {
                upstream = upstream.tokens_per_minute(positive("tokens_per_minute", value)?);
            }
            if let Some(value) = &timeout {
                upstream = upstream.timeout(Duration::from_secs(positive("timeout", value)?));
            }
            if let Some(value) = retries {
                if *value.get_ref() > 9 {
                    return Err(at(value.span().start, "retries", &"at most 9"));
                }
                upstream = upstream.retries(value.into_inner());
            }
            config.upstreams.push(upstream);
        }
        for Receiver { url, secret_env, events } in file.webhook {
            let secret = variable("secret_env", &secret_env)?;
            // Which of both is wrong: the URL is tried with a secret that is none of anybody's.
            let place = match Webhook::new(url.get_ref(), &"A".repeat(24)) {
                Ok(_) => (secret_env.span().start, "secret_env"),
                Err(_) => (url.span().start, "url"),
            };
            let mut webhook = Webhook::new(url.get_ref(), &secret).map_err(|error| at(place.0, place.1, &error))?;
            for event in events {
                webhook = webhook.only(event.get_ref()).map_err(|error| at(event.span().start, "events", &error))?;
            }
            config.webhooks.push(webhook);
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_without_secrets() {
        let read = |text: &str| {
            Config::from_toml(text, |name| match name {
                "KEY" => Some("sk-secret\n".to_owned()),
                "SECRET" => Some("whsec_MDEyMzQ1Njc4OWFiY2RlZg==".to_owned()),
                _ => None,
            })
        };
        let hook = |more: &str| format!("[[webhook]]\nurl = \"http://h/\"\n{more}\n");
        let entry = |more: &str| format!("# mine\n[[upstream]]\nurl = \"http://h/v1\"\n{more}\n");
        for (text, line, words) in [
            (entry("key_env = \"NONE\""), 4, "NONE is not set"),
            (entry("timeout = 0"), 4, "timeout"),
            (entry("max_concurrency = 0"), 4, "max_concurrency"),
            (entry("requests_per_minute = -1"), 4, "requests_per_minute"),
            (entry("key = \"sk-secret\""), 4, "key"),
            (entry("retries = 10"), 4, "retries"),
            (entry("models = [1]"), 4, "models"),
            (entry("models = [\"\"]"), 3, "models"),
            ("[[upstream]]\nurl = \"ftp://h\"\n".to_owned(), 2, "http://"),
            ("[[upstream]]\nurl = \"http://user:sk-secret@h/v1\"\n".to_owned(), 2, "no user or password"),
            ("[[upstream]]\nurl = \"h/v1\"\n".to_owned(), 2, "http"),
            ("[[upstream]]\n".to_owned(), 1, "url"),
            ("nonsense".to_owned(), 1, "nonsense"),
            (hook(""), 1, "secret_env"),
            (hook("secret_env = \"NONE\""), 3, "NONE is not set"),
            (hook("secret_env = \"KEY\""), 3, "whsec_"),
            (hook("secret_env = \"SECRET\"\nevents = [\"done\"]"), 4, "batch.completed"),
            ("[[webhook]]\nurl = \"h\"\nsecret_env = \"SECRET\"\n".to_owned(), 2, "http"),
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(&format!("line {line},")) && error.contains(words), "{text}: {error}");
            assert!(!error.contains("sk-secret"), "{error}");
        }
        let whole = entry("key_env = \"KEY\"") + &hook("secret_env = \"SECRET\"");
        let config = read(&whole).unwrap();
        assert_eq!((config.upstreams.len(), config.webhooks.len()), (1, 1));
        let shown = format!("{config:?}");
        assert!(shown.contains("has_key: true") && !shown.contains("secret") && !shown.contains("MDEy"), "{shown}");
        assert!(read("").unwrap().upstreams.is_empty());
    }
}
