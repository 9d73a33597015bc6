//! Owns the settings of a client: where, who, how long; never a call.

use std::{env, fmt, future::Future, net::IpAddr, sync::Arc, time::Duration};

use lote_client::Inner;
use reqwest::{
    Url,
    header::{HeaderValue, USER_AGENT},
    redirect::Policy,
};

use crate::{Batches, Dialect, DialectChoice, Error, Files, Retry, dialect::Sent, retry::Budget};

/// A client of one service with one key. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

/// What the parts of a client share.
pub(crate) struct Shared {
    /// For calls, which have a limit on the whole, and uploads, whose answer may come long after their first byte.
    calls: lote_client::Client,
    /// For downloads: gives up when nothing arrives for the idle timeout.
    downloads: lote_client::Client,
    base_url: String,
    dialect: Sent,
    secret: String,
    idle_timeout: Duration,
    call_timeout: Duration,
    retry: Retry,
    budget: Budget,
}

impl Shared {
    pub(crate) fn calls(&self) -> &lote_client::Client {
        &self.calls
    }

    pub(crate) fn downloads(&self) -> &lote_client::Client {
        &self.downloads
    }

    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// What the dialect makes of what is sent.
    pub(crate) fn dialect(&self) -> &Sent {
        &self.dialect
    }

    /// The key, only to blank it out of texts.
    pub(crate) fn secret(&self) -> &str {
        &self.secret
    }

    /// Makes a call that looks or deletes, again and again as the policy allows. For these a conflict passes: MKA1
    /// answers 409 to the deletion of a file that was just attached to a store, and to the next one no more.
    pub(crate) async fn retried<T, F, Fut>(&self, call: F) -> Result<T, Error>
    where
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        self.retry.run(&self.budget, |error| error.is_transient() || error.is_conflict(), call).await
    }

    /// Makes a call that does the same however often it is made, but whose conflict is its answer.
    pub(crate) async fn retried_but_conflicts<T, F, Fut>(&self, call: F) -> Result<T, Error>
    where
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        self.retry.run(&self.budget, Error::is_transient, call).await
    }

    /// Makes a call that must not be made twice, and makes it again only when nothing can have been sent.
    pub(crate) async fn retried_unsent<T, F, Fut>(&self, call: F) -> Result<T, Error>
    where
        F: FnMut(u32) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        self.retry.run(&self.budget, |error| error.is_connection() && !error.is_ambiguous(), call).await
    }

    pub(crate) fn retry(&self) -> &Retry {
        &self.retry
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    pub(crate) fn call_timeout(&self) -> Duration {
        self.call_timeout
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base_url", &self.0.base_url).finish_non_exhaustive()
    }
}

impl Client {
    /// Settings for a client, of which only the key has no default.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client with the settings of the environment: `LOTE_API_KEY`, and if they are set `LOTE_BASE_URL`,
    /// `LOTE_DIALECT` (a name or a file, see [`Dialect::load`]) and `LOTE_ON_BEHALF_OF`.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when there is no key or a setting cannot be used.
    pub fn from_env() -> Result<Self, Error> {
        let set = |name: &str| match env::var(name) {
            Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
            Err(env::VarError::NotPresent) => Ok(None),
            // Taken as absent, the key would go to another service than the one that was meant.
            Err(env::VarError::NotUnicode(_)) => Err(Error::invalid(format!("{name}: it is not UTF-8"))),
        };
        let mut builder = Self::builder();
        if let Some(url) = set("LOTE_BASE_URL")? {
            builder = builder.base_url(url);
        }
        if let Some(dialect) = set("LOTE_DIALECT")? {
            builder = builder.dialect(Dialect::load(&dialect)?);
        }
        if let Some(key) = set("LOTE_API_KEY")? {
            builder = builder.api_key(key);
        }
        if let Some(user) = set("LOTE_ON_BEHALF_OF")? {
            builder = builder.on_behalf_of(user);
        }
        builder.build()
    }

    /// The operations on batches.
    pub fn batches(&self) -> Batches {
        Batches::new(self.clone())
    }

    /// The operations on files.
    pub fn files(&self) -> Files {
        Files::new(self.clone())
    }

    /// The base URL with its prefix, without a slash at the end.
    pub fn base_url(&self) -> &str {
        &self.0.base_url
    }

    /// The dialect that the service is taken to speak.
    pub fn dialect(&self) -> &Dialect {
        &self.0.dialect.dialect
    }

    /// How the dialect was chosen.
    pub fn dialect_choice(&self) -> &DialectChoice {
        &self.0.dialect.choice
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0
    }
}

/// Settings for a [`Client`].
#[derive(Clone)]
pub struct ClientBuilder {
    base_url: Option<String>,
    dialect: Option<Dialect>,
    api_key: Option<String>,
    on_behalf_of: Option<String>,
    user_agent: String,
    connect_timeout: Duration,
    idle_timeout: Duration,
    call_timeout: Duration,
    retry: Retry,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            base_url: None,
            dialect: None,
            api_key: None,
            on_behalf_of: None,
            user_agent: concat!("lote/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            call_timeout: Duration::from_secs(120),
            retry: Retry::default(),
        }
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("base_url", &self.base_url)
            .field("dialect", &self.dialect)
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .field("on_behalf_of", &self.on_behalf_of)
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    /// Where the service is. One with a path is the prefix itself (`https://api.openai.com/v1`); one without a path,
    /// or with `/` alone, gets that of the dialect: `/api/v1/llm` at MKA1. The default is the dialect's own service,
    /// and without one MKA1's gateway.
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// How the service deviates from the contract. Without one it is [guessed](Dialect::guess) from the base URL.
    #[must_use]
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = Some(dialect);
        self
    }

    /// The key, with or without `Bearer ` before it.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// A stable id of the end user on whose behalf every call is made: `X-On-Behalf-Of`. Not an e-mail address.
    /// Refused for a dialect that does not understand it: a service that ignored it would show every end user what
    /// belongs to the others.
    #[must_use]
    pub fn on_behalf_of(mut self, user: impl Into<String>) -> Self {
        self.on_behalf_of = Some(user.into());
        self
    }

    /// What the client calls itself. The default is `lote/` and the version.
    #[must_use]
    pub fn user_agent(mut self, agent: impl Into<String>) -> Self {
        self.user_agent = agent.into();
        self
    }

    /// How long making a connection may take. The default is 10 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a transfer may stand still. The default is 60 seconds. A transfer as a whole takes as long as it takes.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How long a call that moves no file may take as a whole. The default is 120 seconds.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// When calls are tried again. See [`Retry`] for what that means for each.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The client. Sends nothing yet.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when there is no key, or a setting cannot be used.
    pub fn build(self) -> Result<Client, Error> {
        let (base_url, local, dialect) = base_url(self.base_url, self.dialect)?;
        let key = self.api_key.unwrap_or_default();
        let key = key.trim();
        let key = match key.strip_prefix("Bearer") {
            Some(rest) if rest.is_empty() || rest.starts_with(' ') => rest.trim_start(),
            _ => key,
        };
        if key.is_empty() {
            return Err(Error::invalid("no API key: set LOTE_API_KEY, or give one"));
        }
        let authorization = dialect.authorization(key)?;
        let on_behalf_of =
            self.on_behalf_of.filter(|user| !user.is_empty()).map(|user| header("on-behalf-of", &user)).transpose()?;
        let headers = dialect.headers(on_behalf_of)?;
        let user_agent = header("user agent", &self.user_agent)?;
        let answers: Arc<dyn lote_client::Answers> = Arc::new(dialect.dialect.clone());

        let build = |read_timeout: Option<Duration>| {
            let mut builder = reqwest::Client::builder()
                .connect_timeout(self.connect_timeout)
                // A create that is redirected would turn into a GET, and a header meant for one host reach another.
                .redirect(Policy::none())
                .default_headers([(USER_AGENT, user_agent.clone())].into_iter().collect());
            if let Some(timeout) = read_timeout {
                builder = builder.read_timeout(timeout);
            }
            if local {
                // A proxy set for the machine is not meant for the machine itself.
                builder = builder.no_proxy();
            }
            let client = builder.build().map_err(|error| Error::invalid(format!("TLS or proxy settings: {error}")))?;
            let inner = Inner {
                authorization: authorization.clone(),
                headers: headers.clone(),
                query: dialect.query(),
                fields: serde_json::Map::new(),
                call_timeout: Some(self.call_timeout),
                answers: Arc::clone(&answers),
            };
            Ok::<_, Error>(lote_client::Client::new_with_client(&base_url, client, inner))
        };
        Ok(Client(Arc::new(Shared {
            calls: build(None)?,
            downloads: build(Some(self.idle_timeout))?,
            base_url: base_url.clone(),
            dialect: dialect.clone(),
            secret: key.to_owned(),
            idle_timeout: self.idle_timeout,
            call_timeout: self.call_timeout,
            retry: self.retry,
            budget: Budget::new(),
        })))
    }
}

fn header(what: &str, value: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(value)
        .map_err(|_| Error::invalid(format!("{what} {value:?}: it holds characters that no header can carry")))
}

/// The base URL with its prefix and without a slash at the end, whether it is on this machine, and the dialect.
fn base_url(given: Option<String>, dialect: Option<Dialect>) -> Result<(String, bool, Sent), Error> {
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
    let mut url = Url::parse(given)
        .map_err(|error| Error::invalid(format!("base URL: {error}; give one such as https://api.openai.com/v1")))?;
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
        Some(dialect) => Sent { dialect, choice: DialectChoice::Given },
        None => {
            let (dialect, choice) = Dialect::guessed(&url)?;
            Sent { dialect, choice }
        }
    };
    if url.path().trim_matches('/').is_empty() {
        url.set_path(dialect.dialect.base_path());
    }
    let local = url.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    });
    Ok((url.as_str().trim_end_matches('/').to_owned(), local, dialect))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(base_url(Some(given.to_owned()), None).unwrap().0, expected, "{given}");
        }
        assert!(base_url(Some("http://[::1]:8787".to_owned()), None).unwrap().1);
        assert!(!base_url(Some("https://apigw.mka1.com".to_owned()), None).unwrap().1);
    }

    #[test]
    fn settings_that_cannot_be_used_are_refused_without_repeating_a_secret() {
        for (url, part) in [
            ("apigw.mka1.com", "base URL"),
            ("ftp://x/", "neither http"),
            ("https://user:hunter22@x/", "user or password"),
            ("https://x/?key=hunter22", "query"),
            ("https://hunter22:hunter22@:x/", "base URL"),
        ] {
            let error = Client::builder().base_url(url).api_key("k").build().unwrap_err();
            assert!(error.is_invalid() && error.to_string().contains(part), "{error}");
            assert!(!error.to_string().contains("hunter22"), "{error}");
        }
        for key in ["", "  ", "Bearer ", "hunter22\nx"] {
            let error = Client::builder().api_key(key).build().unwrap_err();
            assert!(error.is_invalid() && !error.to_string().contains("hunter22"), "{error}");
        }
    }

    #[test]
    fn debug_never_shows_the_key() {
        let builder = Client::builder().base_url("http://127.0.0.1:1").api_key("sk-hunter22");
        assert!(!format!("{builder:?}").contains("hunter22"));
        let client = builder.build().unwrap();
        for text in [format!("{client:?}"), format!("{:?}", client.0.calls), format!("{:?}", client.0.downloads)] {
            assert!(!text.contains("hunter22"), "{text}");
        }
    }
}
