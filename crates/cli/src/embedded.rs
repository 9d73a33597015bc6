//! The gateway inside this process that an embedded run has in place of a service.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;
use lote::run::Run;
use lote::{Cadence, Client};
use lote_gateway::Gateway;

use crate::exit::CliError;

/// A gateway that lets only this process in. It ends with the command, and so do its batches.
pub(crate) struct Inside {
    gateway: Gateway,
    client: Client,
    name: String,
}

impl Inside {
    /// # Errors
    /// With exit 2 when it cannot start.
    pub(crate) async fn start() -> Result<Self, CliError> {
        let gateway = Gateway::builder()
            .only_random_key()
            .start()
            .await
            .map_err(|error| CliError::usage(format!("the embedded gateway cannot start: {error}")))?;
        let key = gateway.random_key().unwrap_or_default();
        let client = Client::builder().base_url(gateway.url()).api_key(key).build()?;
        Ok(Self { gateway, client, name: format!("{:016x}", RandomState::new().hash_one(std::process::id())) })
    }

    /// What talks to it.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// A run of it, whose batches take no time to speak of.
    pub(crate) fn run(&self, run: Run) -> Run {
        run.embedded(&self.name).cadence(Cadence::new(Duration::from_millis(20), Duration::from_millis(500)))
    }

    /// Ends it.
    pub(crate) async fn shutdown(self) {
        self.gateway.shutdown().await;
    }
}

/// Whether the run in a folder has a gateway inside the command in place of a service.
pub(crate) fn is_run_of(folder: &Path) -> bool {
    lote::run::status(folder).is_ok_and(|status| status.base_url == "embedded")
}

/// The flag that names a service, if one was given. Settings in the environment are not meant for an embedded run; whoever
/// gives a flag means a service.
pub(crate) fn service_flag(matches: Option<&ArgMatches>) -> Option<String> {
    let given = |id: &&str| matches.is_some_and(|matches| matches.value_source(id) == Some(ValueSource::CommandLine));
    let id = ["base_url", "dialect", "api_key", "profile", "on_behalf_of"].into_iter().find(|id| given(id))?;
    Some(format!("--{}", id.replace('_', "-")))
}
