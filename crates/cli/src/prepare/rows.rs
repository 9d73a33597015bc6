//! Reads rows, JSON lines or CSV, one at a time.

use std::io::{self, BufRead, Chain, Cursor, Read};
use std::path::Path;

use clap::ValueEnum;
use minijinja::Value;

use super::quotes::QuoteWatch;
use super::value;
use crate::exit::CliError;
use crate::input;
use crate::lines;

/// The most bytes one row may have: as many as OpenAI lets a whole input file have
/// (docs/facts.md, 4).
pub(crate) const MAX_ROW_BYTES: u64 = 200_000_000;

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One JSON object on each line
    Jsonl,
    /// Comma-separated values under a line of field names
    Csv,
    /// Tab-separated values under a line of field names
    Tsv,
}

impl Format {
    /// What usually stands between two values, where something does.
    pub(crate) fn delimiter(self) -> Option<u8> {
        match self {
            Self::Jsonl => None,
            Self::Csv => Some(b','),
            Self::Tsv => Some(b'\t'),
        }
    }
}

/// How a file of rows is written, as it is said or by the ending of its name; of stdin, by whether values have a delimiter.
///
/// # Errors
/// With exit 2 when the ending does not tell.
pub(crate) fn format(path: &Path, said: Option<Format>, is_delimited: bool) -> Result<Format, CliError> {
    if let Some(format) = said {
        return Ok(format);
    }
    if input::is_dash(path) {
        return Ok(if is_delimited { Format::Csv } else { Format::Jsonl });
    }
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    match extension.to_ascii_lowercase().as_str() {
        "jsonl" | "ndjson" | "json" => Ok(Format::Jsonl),
        "csv" => Ok(Format::Csv),
        "tsv" => Ok(Format::Tsv),
        _ => Err(CliError::usage(format!(
            "{}: the extension does not tell how the rows are written; \
             add --format jsonl, csv or tsv",
            path.display()
        ))),
    }
}

/// A delimiter as it is given: one character of ASCII, or a word for the tab, which is hard to type.
///
/// # Errors
/// Says what can be given.
pub(crate) fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [one] if one.is_ascii() && !matches!(one, b'"' | b'\r' | b'\n' | 0) => Ok(*one),
        _ => Err("it is one character such as ';', ',' or '|', or the word tab".to_owned()),
    }
}

/// One row of the user's data.
pub(crate) struct Row {
    /// From 1, in the order of the file.
    pub(crate) number: u64,
    /// The line of the file on which it starts, from 1.
    pub(crate) line: u64,
    /// A map from field names to values.
    pub(crate) fields: Value,
}

impl Row {
    /// The names of its fields.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = self.fields.try_iter().into_iter().flatten();
        names.map(|name| name.as_str().map_or_else(|| name.to_string(), str::to_owned)).collect()
    }
}

/// Why there is no row.
pub(crate) enum Fault {
    /// This row is bad; the next one can be read.
    Row { number: u64, line: u64, message: String },
    /// Nothing more can be read, because of the text.
    Text(String),
    /// Nothing more can be read, because of the file.
    Io(io::Error),
}

/// The rows of one source.
pub(crate) enum Rows<R: BufRead> {
    Jsonl(Jsonl<R>),
    Csv(Box<Csv<R>>),
}

/// How many bytes of a file tell what it is.
const START: u64 = 1 << 10;

/// The rows of a source whose first bytes were looked at.
pub(crate) type Looked<R> = Rows<Chain<Cursor<Vec<u8>>, R>>;

impl<R: BufRead> Looked<R> {
    /// # Errors
    /// When the file holds no rows at all, in the words of `lote check`; or when the line of field names of a CSV file
    /// cannot be used.
    pub(crate) fn new(mut source: R, format: Format, delimiter: Option<u8>) -> Result<Self, Fault> {
        let mut start = Vec::new();
        source.by_ref().take(START).read_to_end(&mut start).map_err(Fault::Io)?;
        let foreign = lines::foreign(&start).map(|foreign| foreign.to_string());
        let astray = || (format == Format::Jsonl).then(|| lines::misplaced_rows(&start)).flatten();
        if let Some(message) = foreign.or_else(astray) {
            return Err(Fault::Text(message));
        }
        let source = Cursor::new(start).chain(source);
        Ok(match format.delimiter() {
            None => Self::Jsonl(Jsonl { source, buffer: Vec::new(), line: 0, number: 0 }),
            Some(usual) => Self::Csv(Box::new(Csv::new(source, delimiter.unwrap_or(usual))?)),
        })
    }
}

impl<R: BufRead> Rows<R> {
    /// The field names of a CSV file; of JSON lines there are none.
    pub(crate) fn names(&self) -> &[String] {
        match self {
            Self::Jsonl(_) => &[],
            Self::Csv(rows) => &rows.names,
        }
    }

    /// The next row, or `None` after the last one.
    pub(crate) fn next(&mut self) -> Option<Result<Row, Fault>> {
        match self {
            Self::Jsonl(rows) => rows.next().transpose(),
            Self::Csv(rows) => rows.next().transpose(),
        }
    }
}

/// JSON lines; blank ones count as lines, not as rows.
pub(crate) struct Jsonl<R> {
    source: R,
    buffer: Vec<u8>,
    line: u64,
    number: u64,
}

impl<R: BufRead> Jsonl<R> {
    fn next(&mut self) -> Result<Option<Row>, Fault> {
        loop {
            self.buffer.clear();
            let read = Read::take(&mut self.source, MAX_ROW_BYTES + 1)
                .read_until(b'\n', &mut self.buffer)
                .map_err(Fault::Io)?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            if self.buffer.len() as u64 > MAX_ROW_BYTES {
                return Err(Fault::Text(format!(
                    "line {} has more than {MAX_ROW_BYTES} bytes, too many for a row",
                    self.line
                )));
            }
            let mut bytes = self.buffer.as_slice();
            if self.line == 1 {
                bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            }
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            self.number += 1;
            let fields = std::str::from_utf8(bytes)
                .map_err(|error| {
                    let at = error.valid_up_to() + 1;
                    format!("is not valid UTF-8 at byte {at} of the line; save the file as UTF-8")
                })
                .and_then(value::fields)
                .and_then(row_value);
            return match fields {
                Ok(fields) => Ok(Some(Row { number: self.number, line: self.line, fields })),
                Err(message) => Err(Fault::Row { number: self.number, line: self.line, message }),
            };
        }
    }
}

/// Delimited text; every value is a string.
pub(crate) struct Csv<R> {
    reader: csv::Reader<QuoteWatch<R>>,
    names: Vec<String>,
    record: csv::StringRecord,
    number: u64,
}

impl<R: Read> Csv<R> {
    fn new(source: R, delimiter: u8) -> Result<Self, Fault> {
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(QuoteWatch::new(source, delimiter));
        let names = match reader.headers() {
            Ok(names) => names.iter().map(str::to_owned).collect::<Vec<_>>(),
            Err(error) => return Err(csv_fault(error, 0)),
        };
        for (at, name) in names.iter().enumerate() {
            if names[..at].contains(name) {
                return Err(Fault::Text(format!(
                    "line 1: the field name {name:?} comes twice; rename one of the columns"
                )));
            }
        }
        Ok(Self { reader, names, record: csv::StringRecord::new(), number: 0 })
    }

    fn next(&mut self) -> Result<Option<Row>, Fault> {
        self.number += 1;
        match self.reader.read_record(&mut self.record) {
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(error) => return Err(csv_fault(error, self.number)),
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        let values = self.record.iter().map(Value::from);
        let pairs = self.names.iter().cloned().zip(values).collect();
        match row_value(pairs) {
            Ok(fields) => Ok(Some(Row { number: self.number, line, fields })),
            Err(message) => Err(Fault::Row { number: self.number, line, message }),
        }
    }
}

fn csv_fault(error: csv::Error, number: u64) -> Fault {
    let line = error.position().map_or(0, csv::Position::line);
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!(
            "has {len} columns, but line 1 names {expected_len}; \
             a value that holds the delimiter or a line break must stand in quotes"
        ),
        csv::ErrorKind::Utf8 { .. } => "is not valid UTF-8; save the file as UTF-8".to_owned(),
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
        Fault::Row { number, line, message }
    }
}

fn row_value(fields: Vec<(String, Value)>) -> Result<Value, String> {
    if fields.iter().any(|(name, _)| name == "row_number") {
        return Err("has a field `row_number`, which is the name of the row's place in the file; \
             rename the field"
            .to_owned());
    }
    Ok(Value::from_pairs(fields))
}
