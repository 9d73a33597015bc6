//! The settings of a client and their defaults.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use lote_client::{Carrier, Inner};
use reqwest::header::HeaderValue;

use super::{
    Account, Client, Shared,
    address::Address,
    border::Border,
    clock::ServiceClock,
    connections::{self, Connections},
};
use crate::{Dialect, Error, Retry, policy::Budget};

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
    root_certificates: Vec<Vec<u8>>,
    proxy: Option<String>,
    carrier: Option<Arc<dyn Carrier>>,
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
            root_certificates: Vec::new(),
            proxy: None,
            carrier: None,
        }
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One that is not checked yet may hold a password, or a token in its query.
        let base_url = self.base_url.as_deref().map(|url| if url.contains(['@', '?', '#']) { "…" } else { url });
        f.debug_struct("ClientBuilder")
            .field("base_url", &base_url)
            .field("dialect", &self.dialect)
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .field("on_behalf_of", &self.on_behalf_of.as_ref().map(|_| "…"))
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

    /// Trusts the certificates in this PEM text as well, such as those of a company's own authority. May be called again.
    ///
    /// What is trusted without it is what the machine trusts (on Linux also what `SSL_CERT_FILE` and `SSL_CERT_DIR` name),
    /// or with the feature `bundled-roots` Mozilla's list in its place.
    #[must_use]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root_certificates.push(pem.into());
        self
    }

    /// Reaches the service through this proxy (`http://`, `https://`), and none that is set for the machine. Without it
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` count, but never for a service on this machine.
    #[must_use]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// A service inside this process, in place of one that the network leads to.
    #[cfg(test)]
    pub(crate) fn carrier(mut self, carrier: Arc<dyn Carrier>) -> Self {
        self.carrier = Some(carrier);
        self
    }

    /// The client. Sends nothing yet.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when there is no key, or a setting cannot be used.
    pub fn build(self) -> Result<Client, Error> {
        let Address { base_url, local, plain, dialect } = Address::new(self.base_url, self.dialect)?;
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
        let user = self.on_behalf_of.filter(|user| !user.is_empty());
        let account = Account::new(key, user.as_deref());
        let on_behalf_of = user.map(|user| header("on-behalf-of", &user)).transpose()?;
        let headers = dialect.headers(on_behalf_of)?;
        let user_agent = header("user agent", &self.user_agent)?;
        let secrets = dialect.secrets(key);
        let clock = Arc::new(ServiceClock::new());
        let answers: Arc<dyn lote_client::Answers> =
            Arc::new(Border { dialect: dialect.dialect.clone(), secrets: secrets.clone(), clock: Arc::clone(&clock) });

        let connections = Connections {
            user_agent,
            connect_timeout: self.connect_timeout,
            root_certificates: connections::certificates(&self.root_certificates)?,
            proxy: self.proxy.as_deref().map(connections::proxy).transpose()?,
            local,
            plain,
            downloads: OnceLock::new(),
        };
        let inner = Inner {
            authorization,
            headers,
            query: dialect.query(),
            call_timeout: Some(self.call_timeout),
            answers,
            carrier: self.carrier,
        };
        Ok(Client(Arc::new(Shared {
            calls: lote_client::Client::new_with_client(&base_url, connections.calls()?, inner),
            connections: Arc::new(connections),
            base_url,
            dialect,
            secrets,
            clock,
            account,
            idle_timeout: self.idle_timeout,
            call_timeout: self.call_timeout,
            retry: self.retry,
            budget: Arc::new(Budget::new()),
        })))
    }
}

pub(super) fn header(what: &str, value: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(value)
        .map_err(|_| Error::invalid(format!("{what} {value:?}: it holds characters that no header can carry")))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for text in [
            format!("{client:?}"),
            format!("{:?}", client.shared().calls()),
            format!("{:?}", client.shared().downloads().unwrap()),
        ] {
            assert!(!text.contains("hunter22"), "{text}");
        }
    }
}
