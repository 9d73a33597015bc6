//! Rows of delimited text; every value is a string.

use std::io::{self, Read};

use minijinja::Value;

use super::utf8::Utf8Watch;
use super::{Fault, Row, no_name_twice, row_value};
use crate::out;
use crate::prepare::quotes::QuoteWatch;

/// The rows of a source under its line of field names.
pub(crate) struct Csv<R> {
    reader: csv::Reader<QuoteWatch<Utf8Watch<R>>>,
    names: Vec<String>,
    record: csv::StringRecord,
    number: u64,
}

impl<R: Read> Csv<R> {
    /// # Errors
    /// When the line of field names cannot be used.
    pub(super) fn new(source: R, delimiter: u8) -> Result<Self, Fault> {
        let watched = QuoteWatch::new(Utf8Watch::new(source), delimiter);
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(watched);
        let names = match reader.headers() {
            Ok(names) => names.iter().map(str::to_owned).collect::<Vec<_>>(),
            Err(error) => return Err(fault(&mut reader, error, 0)),
        };
        no_name_twice(&names).map_err(|why| Fault::Text(format!("line 1: {why}")))?;
        Ok(Self { reader, names, record: csv::StringRecord::new(), number: 0 })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The next row, or `None` after the last one.
    pub(super) fn next(&mut self) -> Result<Option<Row>, Fault> {
        self.number += 1;
        match self.reader.read_record(&mut self.record) {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(error) => return Err(fault(&mut self.reader, error, self.number)),
        }
        let line = Some(begins(self.reader.get_mut(), self.record.position()));
        let values = self.record.iter().map(Value::from);
        let pairs = self.names.iter().cloned().zip(values).collect();
        match row_value(pairs) {
            Ok(fields) => Ok(Some(Row { number: self.number, line, fields })),
            Err(message) => Err(Fault::Row { number: self.number, line, message, kind: None }),
        }
    }
}

/// The line on which a row begins that was looked for from this place on.
fn begins<R>(watch: &mut QuoteWatch<R>, position: Option<&csv::Position>) -> u64 {
    let Some(position) = position else { return 0 };
    watch.line_from(position.byte()).unwrap_or_else(|| position.line())
}

fn fault<R: Read>(reader: &mut csv::Reader<QuoteWatch<Utf8Watch<R>>>, error: csv::Error, number: u64) -> Fault {
    let line = begins(reader.get_mut(), error.position());
    let (message, kind) = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => (
            format!(
                "has {}, but line 1 names {expected_len}; \
                 a value that holds the delimiter or a line break must stand in quotes",
                out::count(*len, "column")
            ),
            "columns",
        ),
        csv::ErrorKind::Utf8 { .. } => {
            // A value may have several lines: the record says where it begins, and the watch where the byte is.
            let place = match reader.get_mut().inner().first_from(line) {
                Some((at_line, byte)) => format!(" at byte {byte} of line {at_line}"),
                None => String::new(),
            };
            (format!("is not valid UTF-8{place}; save the file as UTF-8"), "UTF-8")
        }
        _ => {
            return match error.into_kind() {
                csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
                    Fault::Text(error.to_string())
                }
                csv::ErrorKind::Io(error) => Fault::Io(error),
                other => Fault::Text(format!("the CSV text cannot be read: {other:?}")),
            };
        }
    };
    if number == 0 {
        Fault::Text(format!("line 1, the field names, {message}"))
    } else {
        Fault::Row { number, line: Some(line), message, kind: Some(kind) }
    }
}
