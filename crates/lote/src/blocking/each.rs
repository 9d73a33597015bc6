//! An iterator over a stream of the async client.

use std::{fmt, pin::Pin};

use futures_util::{Stream, StreamExt};

use super::driver::Driver;
use crate::Error;

/// What comes one by one, each asked for when it is taken: the entries of a list, the looks of a wait, or the events of a
/// run.
#[must_use = "nothing is asked until the first is taken"]
pub struct Each<'a, T> {
    driver: Driver,
    /// None at the end.
    stream: Option<Pin<Box<dyn Stream<Item = T> + Send + 'a>>>,
    refused: fn(Error) -> T,
}

impl<T> fmt::Debug for Each<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Each").field("over", &self.stream.is_none()).finish_non_exhaustive()
    }
}

impl<'a, T> Each<'a, T> {
    /// `refused` makes the last one of a refusal of the driver.
    pub(super) fn new(driver: Driver, stream: impl Stream<Item = T> + Send + 'a, refused: fn(Error) -> T) -> Self {
        Self { driver, stream: Some(Box::pin(stream)), refused }
    }
}

impl<T> Iterator for Each<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match self.driver.run(self.stream.as_mut()?.next()) {
            Ok(Some(next)) => Some(next),
            Ok(None) => {
                self.stream = None;
                None
            }
            Err(error) => {
                self.stream = None;
                Some((self.refused)(error))
            }
        }
    }
}

impl<T> std::iter::FusedIterator for Each<'_, T> {}
