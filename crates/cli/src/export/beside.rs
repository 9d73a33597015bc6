//! The user's own rows, beside which the results are put.

use std::collections::HashSet;
use std::path::PathBuf;

use serde_json::value::RawValue;

use super::cell::Cell;
use crate::exit::CliError;
use crate::input;
use crate::interrupt::Interrupt;
use crate::prepare::findings::delimiter_advice;
use crate::prepare::json;
use crate::prepare::rows::{self, Fault, Format, Row, Rows};
use crate::prepare::template::Refusal;
use crate::prepare::text::Text;

/// A file of rows, which is read more than once.
pub(crate) struct Beside {
    path: PathBuf,
    format: Format,
    delimiter: Option<u8>,
    id: Text,
}

impl Beside {
    /// # Errors
    /// When the template of the ids is wrong.
    pub(crate) fn new(path: PathBuf, format: Format, delimiter: Option<u8>, id: String) -> Result<Self, CliError> {
        let id = Text::new("--id", id).map_err(CliError::refused)?;
        Ok(Self { path, format, delimiter, id })
    }

    /// The names of the columns, in the order in which they come.
    pub(crate) fn names(&self, interrupt: &Interrupt) -> Result<Vec<String>, CliError> {
        let (mut found, mut known) = (Vec::new(), HashSet::new());
        let mut add = |names: &[String]| {
            found.extend(names.iter().filter(|name| known.insert((*name).clone())).cloned());
        };
        let mut rows = self.open()?;
        add(rows.names());
        if self.format == Format::Jsonl {
            while let Some(row) = self.next(&mut rows)? {
                interrupt.check()?;
                add(&row.names());
            }
        }
        Ok(found)
    }

    /// Gives each row, with its custom_id and its cells under these names.
    ///
    /// # Errors
    /// When the file cannot be read, a row has no id, and those of the visit.
    pub(crate) fn each(
        &self,
        names: &[String],
        mut visit: impl FnMut(&str, Vec<Cell>) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let mut rows = self.open()?;
        while let Some(row) = self.next(&mut rows)? {
            let id = self.id.render(&row).map_err(|refusal| {
                let (Refusal::Template(why) | Refusal::Row(why) | Refusal::Undefined(why)) = refusal;
                self.at_row(row.number, row.line, &why).with(self.delimiter_advice(&rows))
            })?;
            let cells = names.iter().map(|name| self.cell(&row, name)).collect::<Result<_, _>>()?;
            visit(&id, cells)?;
        }
        Ok(())
    }

    /// The file, in messages.
    pub(crate) fn shown(&self) -> String {
        input::shown(&self.path)
    }

    fn cell(&self, row: &Row, name: &str) -> Result<Cell, CliError> {
        let Ok(value) = row.fields.get_item(&name.into()) else { return Ok(Cell::Empty) };
        if value.is_undefined() || value.is_none() {
            return Ok(Cell::Empty);
        }
        if let Some(text) = value.as_str() {
            return Ok(Cell::Own(text.to_owned()));
        }
        let cell = json::to_json(&value)
            .map_err(|error| error.to_string())
            .and_then(|json| RawValue::from_string(json).map_err(|error| error.to_string()));
        cell.map(|raw| Cell::of_json(&raw)).map_err(|why| self.at_row(row.number, row.line, &why))
    }

    fn open(&self) -> Result<Rows, CliError> {
        Rows::open(&self.path, self.format, self.delimiter)?.map_err(|fault| self.fault(fault))
    }

    fn next(&self, rows: &mut Rows) -> Result<Option<Row>, CliError> {
        rows.next().transpose().map_err(|fault| self.fault(fault))
    }

    /// What is said besides where the values seem to be parted by something else.
    fn delimiter_advice(&self, rows: &Rows) -> Option<String> {
        let delimiter = self.delimiter.or_else(|| self.format.delimiter())?;
        delimiter_advice(rows.names(), delimiter).map(|advice| format!("  {advice}"))
    }

    fn fault(&self, fault: Fault) -> CliError {
        match fault {
            Fault::Row { number, line, message, kind: _ } => self.at_row(number, line, &message),
            Fault::Text(message) => CliError::refused(format!("{}: {message}", input::shown(&self.path))),
            Fault::Io(error) => input::cannot_read(&self.path, &error),
        }
    }

    fn at_row(&self, number: u64, line: Option<u64>, why: &str) -> CliError {
        CliError::refused(format!("{}, {}: {why}", input::shown(&self.path), rows::place(number, line)))
    }
}
