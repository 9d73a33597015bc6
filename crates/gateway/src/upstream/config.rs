//! Upstreams as an operator names them.

use std::fmt;
use std::time::Duration;

use axum::http::HeaderValue;

use crate::wrong::{ConfigError, server, wrong};

/// One OpenAI-style server that answers requests at once: what it is and how much it may be sent.
///
/// ```
/// use std::time::Duration;
/// use lote_gateway::upstream::Upstream;
///
/// let local = Upstream::new("http://127.0.0.1:11434/v1")?.max_concurrency(4).timeout(Duration::from_secs(900));
/// let named = Upstream::new("http://10.0.0.7:8000/v1")?.key("secret")?.model("qwen*").model_as("small", "qwen2.5:0.5b");
/// # Ok::<(), lote_gateway::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "an upstream is given to a builder"]
pub struct Upstream {
    /// Without a slash at its end.
    pub(super) url: String,
    pub(super) authorization: Option<HeaderValue>,
    /// Empty for any.
    pub(super) models: Vec<Model>,
    pub(super) max_concurrency: usize,
    pub(super) requests_per_minute: Option<u64>,
    pub(super) tokens_per_minute: Option<u64>,
    pub(super) timeout: Duration,
    pub(super) retries: u32,
}

/// A model, or several, of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Model {
    /// A name; each `*` in it stands for any text.
    pub(super) pattern: String,
    /// What it is called there, if otherwise.
    pub(super) there: Option<String>,
}

impl Upstream {
    /// A server by its base URL, the version included: `http://127.0.0.1:8000/v1`.
    ///
    /// # Errors
    /// When it is no http or https URL, or one with a user, a password, a query or a fragment.
    pub fn new(url: &str) -> Result<Upstream, ConfigError> {
        let url = server(url)?;
        if url.contains('?') {
            return Err(wrong("the url has a query: leave it out"));
        }
        Ok(Upstream {
            url: url.to_owned(),
            authorization: None,
            models: Vec::new(),
            max_concurrency: 256,
            requests_per_minute: None,
            tokens_per_minute: None,
            timeout: Duration::from_secs(600),
            retries: 4,
        })
    }

    /// The key that it wants, as `Authorization: Bearer KEY`. Those of clients never reach it.
    ///
    /// # Errors
    /// When it is blank, or has characters that no header may have.
    pub fn key(mut self, key: &str) -> Result<Upstream, ConfigError> {
        if key.trim().is_empty() {
            return Err(wrong("the key is blank"));
        }
        let mut value = HeaderValue::from_str(&format!("Bearer {}", key.trim()))
            .map_err(|_| wrong("the key has characters that no header may have"))?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    /// A model that it has; each `*` in the name stands for any text. May be repeated; without any, it is asked for every
    /// model. What no upstream has is a 404.
    pub fn model(mut self, pattern: &str) -> Upstream {
        self.models.push(Model { pattern: pattern.to_owned(), there: None });
        self
    }

    /// The same, where the model has another name at the upstream.
    pub fn model_as(mut self, pattern: &str, there: &str) -> Upstream {
        self.models.push(Model { pattern: pattern.to_owned(), there: Some(there.to_owned()) });
        self
    }

    /// Most requests there at once; the default is 256, the least is 1. How many it takes below that is learned.
    pub fn max_concurrency(mut self, requests: usize) -> Upstream {
        self.max_concurrency = requests.max(1);
        self
    }

    /// Most requests in a minute; by default any number. After a pause at most five seconds' worth goes at once.
    pub fn requests_per_minute(mut self, requests: u64) -> Upstream {
        self.requests_per_minute = Some(requests.max(1));
        self
    }

    /// Most tokens in a minute, input and output together; by default any number. Those of a request are guessed (a token
    /// for four bytes, and the most that it allows for the output) until its answer says how many they were.
    pub fn tokens_per_minute(mut self, tokens: u64) -> Upstream {
        self.tokens_per_minute = Some(tokens.max(1));
        self
    }

    /// How long one try may take, to the last byte of its answer; the default is ten minutes. Of a stream, how long
    /// may pass before its first piece, and between two.
    pub fn timeout(mut self, timeout: Duration) -> Upstream {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// How often a line of a batch is tried again when the upstream cannot be reached, does not answer in time, or answers
    /// 408, 425, 429 or 5xx; the default is 4, the most is 9. Requests of clients are tried once: a client tries again.
    pub fn retries(mut self, retries: u32) -> Upstream {
        self.retries = retries.min(9);
        self
    }

    /// Its base URL, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.max_concurrency
    }

    /// What a model that is asked for is called there; none when it is not here.
    pub(super) fn name_of<'a>(&'a self, model: &'a str) -> Option<&'a str> {
        if self.models.is_empty() {
            return Some(model);
        }
        let found = self.models.iter().find(|known| matches(&known.pattern, model))?;
        Some(found.there.as_deref().unwrap_or(model))
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("url", &self.url)
            .field("has_key", &self.authorization.is_some())
            .field("models", &self.models)
            .finish_non_exhaustive()
    }
}

/// Whether a name is one of those that a pattern means.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    let mut rest = rest;
    for part in between {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_their_stars_stand_for() {
        for (pattern, yes, no) in [
            ("gpt-4", &["gpt-4"][..], &["gpt-4o", "xgpt-4", ""][..]),
            ("*", &["", "anything"], &[]),
            ("qwen*", &["qwen", "qwen2.5:0.5b"], &["my-qwen"]),
            ("*-instruct", &["a-instruct", "-instruct"], &["a-instruct-q4"]),
            ("a*b*c", &["abc", "aXbYc", "abbc"], &["ac", "acb", "abcd"]),
            ("a*a", &["aa", "aba"], &["a"]),
            ("Ünï*ö", &["Ünï-ö"], &["Ünï-o"]),
        ] {
            assert!(yes.iter().all(|name| matches(pattern, name)), "{pattern}");
            assert!(!no.iter().any(|name| matches(pattern, name)), "{pattern}");
        }
    }

    #[test]
    fn a_model_goes_by_the_name_that_it_has_there() {
        let upstream = Upstream::new("http://host/v1/").unwrap().model_as("small", "qwen:0.5b").model("llama*");
        assert_eq!(upstream.url, "http://host/v1");
        assert_eq!(upstream.name_of("small"), Some("qwen:0.5b"));
        assert_eq!(upstream.name_of("llama3"), Some("llama3"));
        assert_eq!(upstream.name_of("gpt"), None);
        assert_eq!(Upstream::new("http://host/v1").unwrap().name_of("gpt"), Some("gpt"));
    }
}
