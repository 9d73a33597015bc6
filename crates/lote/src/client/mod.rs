//! The client, and what all of its operations share.

mod account;
mod address;
mod border;
mod builder;
mod clock;
mod connections;

use std::{env, fmt, future::Future, sync::Arc, time::Duration};

pub(crate) use account::Account;
pub use builder::ClientBuilder;
use clock::ServiceClock;
use connections::Connections;

use crate::{
    Batches, Dialect, DialectChoice, Error, Files, Retry, UnixSeconds,
    dialect::ChosenDialect,
    policy::{Budget, Try},
    secrets::Secrets,
};

/// A client of one service with one key. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

/// What the parts of a client share.
#[derive(Clone)]
pub(crate) struct Shared {
    calls: lote_client::Client,
    connections: Arc<Connections>,
    base_url: String,
    dialect: ChosenDialect,
    secrets: Secrets,
    clock: Arc<ServiceClock>,
    account: Account,
    idle_timeout: Duration,
    call_timeout: Duration,
    retry: Retry,
    budget: Arc<Budget>,
}

impl Shared {
    pub(crate) fn calls(&self) -> &lote_client::Client {
        &self.calls
    }

    /// What downloads: it gives up when nothing arrives for the idle timeout.
    pub(crate) fn downloads(&self) -> Result<lote_client::Client, Error> {
        self.connections.downloads(self.idle_timeout).map(|connections| self.calls.over(connections))
    }

    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The dialect, as it was chosen.
    pub(crate) fn dialect(&self) -> &ChosenDialect {
        &self.dialect
    }

    /// The service's time, as its answers tell it.
    pub(crate) fn time(&self) -> UnixSeconds {
        self.clock.now()
    }

    /// What is to be blanked out of texts.
    pub(crate) fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Makes a call that looks or deletes, again and again as the policy allows. For these a conflict passes: MKA1
    /// answers 409 to the deletion of a file that was just attached to a store, and to the next one no more.
    pub(crate) async fn retried<T, F, Fut>(&self, call: F) -> Result<T, Error>
    where
        F: FnMut(Try) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        self.retry.run(&self.budget, |error| error.is_transient() || error.is_conflict(), call).await
    }

    /// Makes a call that does the same however often it is made, but whose conflict is its answer.
    pub(crate) async fn retried_but_conflicts<T, F, Fut>(&self, call: F) -> Result<T, Error>
    where
        F: FnMut(Try) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        self.retry.run(&self.budget, Error::is_transient, call).await
    }

    /// Makes a call that must not be made twice, and makes it again only when nothing can have been sent.
    pub(crate) async fn retried_unsent<T, F, Fut>(&self, call: F) -> Result<T, Error>
    where
        F: FnMut(Try) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        self.retry.run(&self.budget, |error| error.is_connection() && !error.is_ambiguous(), call).await
    }

    /// Whose batches these are.
    pub(crate) fn account(&self) -> &Account {
        &self.account
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
    /// `LOTE_DIALECT` (a name or a file, see [`Dialect::load`]), `LOTE_ON_BEHALF_OF` and `LOTE_CA_CERT` (a file, see
    /// [`ClientBuilder::root_certificates`]).
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when there is no key or a setting cannot be used.
    pub fn from_env() -> Result<Self, Error> {
        let set = |name: &str| match env::var(name) {
            Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
            Err(env::VarError::NotPresent) => Ok(None),
            // An error, not a default: the key would go to another service than the one that was meant.
            Err(env::VarError::NotUnicode(_)) => Err(Error::invalid(format!("{name}: it is not UTF-8"))),
        };
        let mut builder = Self::builder();
        if let Some(url) = set("LOTE_BASE_URL")? {
            builder = builder.base_url(url);
        }
        if let Some(dialect) = set("LOTE_DIALECT")? {
            builder = builder.dialect(Dialect::load(&dialect)?);
        }
        if let Some(path) = set("LOTE_CA_CERT")? {
            let pem = std::fs::read(&path).map_err(|error| Error::path("LOTE_CA_CERT: read", path.as_ref(), error))?;
            builder = builder.root_certificates(pem);
        }
        if let Some(key) = set("LOTE_API_KEY")? {
            builder = builder.api_key(key);
        }
        if let Some(user) = set("LOTE_ON_BEHALF_OF")? {
            builder = builder.on_behalf_of(user);
        }
        builder.build()
    }

    /// The same client on behalf of an end user, over the same connections: cheap enough for each request of a server.
    /// See [`ClientBuilder::on_behalf_of`].
    ///
    /// ```
    /// # async fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = lote::Client::builder().base_url(gateway.url()).api_key("mk-…").build()?;
    /// let ana = client.on_behalf_of("user-17")?;
    /// let files = ana.files().list().page().await?;
    /// assert!(files.data.is_empty());
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// #     let gateway = lote_gateway::Gateway::builder().start().await.unwrap();
    /// #     example(&gateway).await.unwrap();
    /// # });
    /// ```
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when the id is empty or no header can carry it, or the dialect does not
    /// understand `X-On-Behalf-Of`.
    pub fn on_behalf_of(&self, user: &str) -> Result<Self, Error> {
        if user.is_empty() {
            return Err(Error::invalid("on-behalf-of: the id of the end user is empty"));
        }
        let headers = self.0.dialect.headers(Some(builder::header("on-behalf-of", user)?))?;
        let calls = self.0.calls.with(headers);
        let account = Account { user: Some(account::digits(user)), ..self.0.account.clone() };
        Ok(Self(Arc::new(Shared { calls, account, ..Shared::clone(&self.0) })))
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
