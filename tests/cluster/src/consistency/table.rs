//! What came of all scenarios, as a table of points and modes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The cells of the table: a row for each point, a column for each mode.
#[derive(Default)]
pub struct Table {
    cells: BTreeMap<String, BTreeMap<String, String>>,
}

impl Table {
    pub fn put(&mut self, point: &str, mode: &str, cell: impl Into<String>) {
        self.cells.entry(point.to_owned()).or_default().insert(mode.to_owned(), cell.into());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modes: BTreeSet<&str> = self.cells.values().flat_map(|row| row.keys().map(String::as_str)).collect();
        let first = self.cells.keys().map(String::len).max().unwrap_or(0);
        write!(f, "{:first$}", "")?;
        for mode in &modes {
            write!(f, "  {mode}")?;
        }
        writeln!(f)?;
        for (point, row) in &self.cells {
            write!(f, "{point:first$}")?;
            for mode in &modes {
                let cell = row.get(*mode).map_or("", String::as_str);
                write!(f, "  {cell:width$}", width = mode.len())?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
