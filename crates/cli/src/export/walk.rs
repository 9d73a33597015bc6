//! The rows of a table, one after the other: the user's own cells, and beside them those of their result.

use super::answer::Answer;
use super::beside::Beside;
use super::cell::Cell;
use super::columns::Columns;
#[cfg(feature = "full")]
use super::parquet::kind::{Kind, Seen};
use super::results::{Finder, Results};
use crate::exit::CliError;
use crate::interrupt::Interrupt;
use crate::out;

/// What rows are made of. They can be walked over again.
pub(crate) struct Walk<'a> {
    pub(crate) results: &'a Results,
    pub(crate) beside: Option<&'a Beside>,
    /// The names of the user's own columns.
    pub(crate) own: Vec<String>,
    pub(crate) columns: Columns,
    pub(crate) interrupt: &'a Interrupt,
}

impl Walk<'_> {
    /// The names of all columns.
    pub(crate) fn names(&self) -> Vec<String> {
        self.own.iter().chain(&self.columns.names).cloned().collect()
    }

    /// The types of all columns, for which all rows are walked over.
    ///
    /// # Errors
    /// As [`each`](Self::each).
    #[cfg(feature = "full")]
    pub(crate) fn kinds(&self) -> Result<Vec<Kind>, CliError> {
        let wanted: Vec<_> = self.own.iter().map(|_| None).chain(self.columns.kinds()).collect();
        let mut seen = vec![Seen::default(); wanted.len()];
        self.each(|cells| {
            seen.iter_mut().zip(cells).for_each(|(seen, cell)| seen.add(cell));
            Ok(())
        })?;
        Ok(seen.into_iter().zip(wanted).map(|(seen, wanted)| seen.kind(wanted)).collect())
    }

    /// Gives each row; how many of the user's rows have no result.
    ///
    /// # Errors
    /// When a file cannot be read, a result is that of no row, and those of the visit.
    pub(crate) fn each(&self, mut visit: impl FnMut(&[Cell]) -> Result<(), CliError>) -> Result<u64, CliError> {
        let Some(beside) = self.beside else {
            self.results.each(self.interrupt, |outcome, answer| visit(&self.columns.cells(outcome, answer)))?;
            return Ok(0);
        };
        let (mut finder, mut without) = (Finder::new(self.results)?, 0);
        beside.each(&self.own, |id, mut cells| {
            self.interrupt.check()?;
            match finder.find(id)? {
                Some(outcome) => cells.extend(self.columns.cells(&outcome, &Answer::of(&outcome))),
                None => {
                    without += 1;
                    cells.resize(cells.len() + self.columns.names.len(), Cell::Empty);
                }
            }
            visit(&cells)
        })?;
        match finder.left()? {
            None => Ok(without),
            Some((first, count)) => Err(CliError::refused(format!(
                "{}: no row is that of {}, first of custom_id {first:?}; is --id that of lote prepare?",
                beside.shown(),
                out::count(count, "result"),
            ))),
        }
    }
}
