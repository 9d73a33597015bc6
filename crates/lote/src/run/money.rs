//! By which prices a run is told what it costs, and how much that may be: what a user says of it, what the folder keeps of
//! that, and what is refused for it.

use std::path::Path;

use super::{
    Run, RunError, ShardPlan,
    caps::{Caps, NEEDED, Reckoning},
    error::Kind,
    event::Event,
    folder::Folder,
    merge::Fault,
    record::{Asked, Record},
    state::State,
};
use crate::{heavy::blocking, prices::Prices};

/// What is told of what a run costs, before it is begun.
#[derive(Clone, Debug)]
pub(in crate::run) struct Money {
    /// What its models cost at its service.
    pub(in crate::run) prices: Prices,
    pub(in crate::run) caps: Caps,
    /// The user's own table, as it was written.
    pub(in crate::run) own: Option<String>,
    /// Whether its lines are sent one by one, and not in batches.
    pub(in crate::run) at_once: bool,
}

impl Money {
    /// What nothing was said of.
    #[cfg(test)]
    pub(in crate::run) fn none() -> Self {
        Self { prices: Prices::built_in(), caps: Caps::default(), own: None, at_once: false }
    }
}

/// The prices of a run: what it was told last, else those that are built in for its service.
pub(super) fn prices(record: &Record, state: &State) -> Prices {
    let own = state.prices.as_ref().or(record.prices.as_ref()).filter(|table| !table.is_empty());
    // It was read when it was told.
    let own = own.and_then(|table| Prices::from_toml(table).ok());
    at(own, &record.asked.base_url)
}

/// These prices at a service.
fn at(prices: Option<Prices>, base_url: &str) -> Prices {
    match base_url {
        Asked::EMBEDDED => Prices::free(),
        base_url => prices.unwrap_or_default().at(base_url),
    }
}

/// By which prices the run in a folder is told what it costs: the table that it was told, and the built-in prices where they
/// hold at its service; nothing costs anything at an [embedded](Run::embedded) gateway.
///
/// # Errors
/// Those of [`status`](fn@super::status).
pub fn prices_of(folder: impl AsRef<Path>) -> Result<Prices, RunError> {
    let seen = Folder::look(folder.as_ref())?;
    Ok(prices(&seen.record, &seen.state))
}

/// How much a run may cost, as it was told last.
fn caps(folder: &Folder) -> &Caps {
    folder.state.caps.as_ref().unwrap_or(&folder.record.caps)
}

impl Run {
    /// What is told of what it costs, of a run that is to be made.
    pub(super) fn money(&self) -> Money {
        let own = self.prices.as_ref().and_then(Prices::own).map(str::to_owned);
        let prices = at(self.prices.clone(), &self.asked().base_url);
        // What is rescued is sent one by one, and costs as that: a cap is to hold then as well.
        let at_once = self.synchronous || self.rescue_before.is_some() && !self.caps.is_none();
        Money { prices, caps: self.caps.clone(), own, at_once }
    }

    /// Holds a run that is gone on with against what it may cost now, and writes down what was said anew.
    pub(super) async fn hold_against_caps(&self, folder: &Folder) -> Result<(), RunError> {
        let now = self.caps.or(caps(folder));
        // What is rescued costs more than the batches that it was held against.
        if now == *caps(folder) && self.rescue_before.is_none() {
            return Ok(());
        }
        match Box::pin(self.over(folder, now, None)).await? {
            None => Ok(()),
            Some(why) => Err(RunError::new(Kind::Capped { why }).at(folder.path()).of(&folder.state)),
        }
    }

    /// Why another attempt with these shards, which were written, may not be begun; none when it may.
    pub(super) async fn refuses(&self, folder: &Folder, shards: &[ShardPlan]) -> Result<Option<String>, RunError> {
        Box::pin(self.over(folder, self.caps.or(caps(folder)), Some(shards.to_vec()))).await
    }

    async fn over(
        &self,
        folder: &Folder,
        caps: Caps,
        further: Option<Vec<ShardPlan>>,
    ) -> Result<Option<String>, RunError> {
        if caps.is_none() {
            return Ok(None);
        }
        if !cfg!(feature = "tokens") {
            return Ok(Some(NEEDED.to_owned()));
        }
        let prices = match &self.prices {
            Some(prices) => at(Some(prices.clone()), &folder.record.asked.base_url),
            None => prices(&folder.record, &folder.state),
        };
        let (root, state) = (folder.path().to_owned(), folder.state.clone());
        let at_once =
            self.synchronous || self.rescue_before.is_some() || state.shards.values().any(|shard| shard.synchronous);
        let reckoning = Reckoning { root, state, prices, caps, at_once };
        let refused = blocking(move || reckoning.refuse(further.as_deref())).await;
        refused.map_err(|Fault(path, error)| RunError::io("read", &path, error).at(folder.path()).of(&folder.state))
    }

    /// Writes down what was said anew of what it costs and may cost.
    pub(super) fn say_money(&self, folder: &mut Folder) -> Result<(), RunError> {
        let now = self.caps.or(caps(folder));
        if now != *caps(folder) {
            folder.say(Event::Capped(now))?;
        }
        let before = folder.state.prices.as_deref().or(folder.record.prices.as_deref()).unwrap_or_default();
        match self.prices.as_ref().and_then(Prices::own) {
            Some(table) if table != before => folder.say(Event::Priced { table: table.to_owned() }),
            _ => Ok(()),
        }
    }
}
