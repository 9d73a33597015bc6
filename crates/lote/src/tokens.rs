//! How many tokens the input of a request has, counted by the vocabulary of its model; with the feature `tokens` alone.

#[cfg(feature = "tokens")]
mod count;

#[cfg(feature = "tokens")]
pub(crate) use count::Counter;

/// Counts nothing: the feature `tokens` is off.
#[cfg(not(feature = "tokens"))]
#[derive(Debug)]
pub(crate) enum Counter {}

#[cfg(not(feature = "tokens"))]
impl Counter {
    pub(crate) fn of(_: &str) -> Option<Self> {
        None
    }

    pub(crate) fn line(&self, _: &str, _: &[u8]) -> Option<u64> {
        match *self {}
    }
}
