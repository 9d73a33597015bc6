//! Upstreams as an operator names them: by methods, or in a file of TOML.

use std::fmt;
use std::time::Duration;

use axum::http::{HeaderValue, Uri};
use serde::Deserialize;
use toml::Spanned;

/// One OpenAI-style server that answers requests at once: what it is and how much it may be sent.
///
/// ```
/// use std::time::Duration;
/// use lote_gateway::upstream::Upstream;
///
/// let local = Upstream::new("http://127.0.0.1:11434/v1")?.max_concurrency(4).timeout(Duration::from_secs(900));
/// let named = Upstream::new("http://10.0.0.7:8000/v1")?.key("secret")?.model("qwen*").model_as("small", "qwen2.5:0.5b");
/// # Ok::<(), lote_gateway::upstream::UpstreamError>(())
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

/// Why an upstream cannot be used: the line and the key of a file, where it was in one, and the reason. Never a value that may
/// be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamError(String);

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UpstreamError {}

fn wrong(message: impl Into<String>) -> UpstreamError {
    UpstreamError(message.into())
}

impl Upstream {
    /// A server by its base URL, the version included: `http://127.0.0.1:8000/v1`.
    ///
    /// # Errors
    /// When it is no http or https URL, or one with a user, a password, a query or a fragment.
    pub fn new(url: &str) -> Result<Upstream, UpstreamError> {
        let uri: Uri =
            url.parse().map_err(|_| wrong("the url is no URL; give one such as http://127.0.0.1:8000/v1"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong("the url has to begin with http:// or https://"));
        }
        if uri.authority().is_none_or(|authority| authority.as_str().contains('@') || authority.host().is_empty()) {
            return Err(wrong("the url needs a host, and no user or password: a key is given by itself"));
        }
        if uri.query().is_some() || url.contains('#') {
            return Err(wrong("the url has a query or a fragment: leave it out"));
        }
        Ok(Upstream {
            url: url.trim_end_matches('/').to_owned(),
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
    pub fn key(mut self, key: &str) -> Result<Upstream, UpstreamError> {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    upstream: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    url: Spanned<String>,
    key_env: Option<Spanned<String>>,
    #[serde(default)]
    models: Vec<Named>,
    max_concurrency: Option<Spanned<usize>>,
    requests_per_minute: Option<Spanned<u64>>,
    tokens_per_minute: Option<Spanned<u64>>,
    timeout: Option<Spanned<u64>>,
    retries: Option<Spanned<u32>>,
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

/// Upstreams of a file, as `lote gateway --config FILE` reads it. `env` gives the value of an environment variable: keys
/// stand in none of the operator's files.
///
/// ```
/// let upstreams = lote_gateway::upstream::from_toml(
///     r#"
///     [[upstream]]
///     url = "http://127.0.0.1:8000/v1"
///     key_env = "VLLM_KEY"
///     models = ["qwen*", { name = "small", there = "qwen2.5:0.5b" }]
///     max_concurrency = 64
///     requests_per_minute = 6000
///     tokens_per_minute = 1000000
///     timeout = 600
///     retries = 4
///     "#,
///     |name| (name == "VLLM_KEY").then(|| "secret".to_owned()),
/// )?;
/// assert_eq!(upstreams.len(), 1);
/// # Ok::<(), lote_gateway::upstream::UpstreamError>(())
/// ```
///
/// # Errors
/// When it is no TOML, a key of it is unknown or has a value that it cannot have, or a variable is not set; at its line.
pub fn from_toml(text: &str, env: impl Fn(&str) -> Option<String>) -> Result<Vec<Upstream>, UpstreamError> {
    let at = |start: usize, key: &str, message: &dyn fmt::Display| {
        let line = text.get(..start).unwrap_or_default().matches('\n').count() + 1;
        wrong(format!("line {line}, at {key}: {message}"))
    };
    let file: File = toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let before = text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count();
        // Of the line only the key is shown: a value may be a secret in the wrong place.
        let key = text.lines().nth(line).and_then(|line| line.split(['=', '#']).next()).unwrap_or_default().trim();
        at(start, key, &error.message())
    })?;
    let mut upstreams = Vec::new();
    for entry in file.upstream {
        let Entry { url, key_env, models, max_concurrency, requests_per_minute, tokens_per_minute, timeout, retries } =
            entry.into_inner();
        let mut upstream = Upstream::new(url.get_ref()).map_err(|error| at(url.span().start, "url", &error))?;
        if let Some(name) = key_env {
            let failed = |message: &dyn fmt::Display| at(name.span().start, "key_env", message);
            let key = env(name.get_ref())
                .ok_or_else(|| failed(&format_args!("the environment variable {} is not set", name.get_ref())))?;
            upstream = upstream.key(&key).map_err(|error| failed(&error))?;
        }
        for model in models {
            let (pattern, there) = match model {
                Named::Same(name) => (name, None),
                Named::Other(Other { name, there }) => (name, Some(there)),
            };
            if pattern.is_empty() || there.as_deref() == Some("") {
                return Err(at(url.span().start, "models", &"the name of a model is empty"));
            }
            upstream.models.push(Model { pattern, there });
        }
        let positive = |key: &str, value: &Spanned<u64>| match *value.get_ref() {
            0 => Err(at(value.span().start, key, &"0 would let nothing through; leave it out for no limit")),
            value => Ok(value),
        };
        if let Some(value) = max_concurrency {
            if *value.get_ref() == 0 {
                return Err(at(value.span().start, "max_concurrency", &"0 would let nothing through"));
            }
            upstream = upstream.max_concurrency(value.into_inner());
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
        upstreams.push(upstream);
    }
    Ok(upstreams)
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

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_without_secrets() {
        let read = |text: &str| from_toml(text, |name| (name == "KEY").then(|| "sk-secret\n".to_owned()));
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
        ] {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(&format!("line {line},")) && error.contains(words), "{text}: {error}");
            assert!(!error.contains("sk-secret"), "{error}");
        }
        let upstream = read(&entry("key_env = \"KEY\"")).unwrap().remove(0);
        assert!(upstream.authorization.is_some() && !format!("{upstream:?}").contains("secret"));
        assert!(read("").unwrap().is_empty());
    }
}
