//! Reads rows, one at a time: JSON lines, CSV or Parquet.

mod csv;
mod jsonl;
#[cfg(feature = "full")]
mod parquet;
mod utf8;

use std::io::{self, BufRead, Chain, Cursor, Read};
use std::path::Path;

use clap::ValueEnum;
use minijinja::Value;

use self::csv::Csv;
use self::jsonl::Jsonl;
use crate::exit::CliError;
use crate::full;
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
    /// Columns with types (in the full shape of the command)
    Parquet,
}

impl Format {
    /// What usually stands between two values, where something does.
    pub(crate) fn delimiter(self) -> Option<u8> {
        match self {
            Self::Jsonl | Self::Parquet => None,
            Self::Csv => Some(b','),
            Self::Tsv => Some(b'\t'),
        }
    }

    /// What the ending of a file's name says, behind one that says how it is compressed.
    fn of(path: &Path) -> Option<Self> {
        let ending = |path: &Path| path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let inner = path.with_extension("");
        let path = if ["gz", "zst"].contains(&ending(path).as_str()) { inner.as_path() } else { path };
        match ending(path).as_str() {
            "jsonl" | "ndjson" | "json" => Some(Self::Jsonl),
            "csv" => Some(Self::Csv),
            "tsv" | "tab" => Some(Self::Tsv),
            "parquet" | "parq" | "pq" => Some(Self::Parquet),
            _ => None,
        }
    }
}

/// Whether the ending of a file's name says that it is a table, and so no file of requests.
pub(crate) fn is_table(path: &Path) -> bool {
    Format::of(path).is_some_and(|format| format != Format::Jsonl)
}

/// How a file of rows is written, as it is said or by the ending of its name; of stdin, by whether values have a delimiter.
///
/// # Errors
/// With exit 2 when the ending does not tell, a delimiter was given where there is none, and for Parquet in the default
/// shape of the command.
pub(crate) fn format(path: &Path, said: Option<Format>, is_delimited: bool) -> Result<Format, CliError> {
    let of_stdin = || input::is_dash(path).then_some(if is_delimited { Format::Csv } else { Format::Jsonl });
    let found = said.or_else(of_stdin).or_else(|| Format::of(path));
    let format = found.ok_or_else(|| {
        CliError::usage(format!(
            "{}: the extension does not tell how the rows are written; \
             add --format jsonl, csv, tsv or parquet",
            path.display()
        ))
    })?;
    if is_delimited && format.delimiter().is_none() {
        return Err(CliError::usage("--delimiter is for rows of CSV: add --format csv, or leave it out"));
    }
    if format == Format::Parquet {
        let shown = input::shown(path);
        let convert = format!(
            "  or make JSON lines of it first, as with DuckDB: duckdb -c \"COPY (FROM '{shown}') TO 'rows.jsonl' (FORMAT json)\""
        );
        full::only("reading rows of Parquet").map_err(|error| error.with([convert]))?;
    }
    Ok(format)
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
    /// The line of the file on which it starts, from 1, where there are lines.
    pub(crate) line: Option<u64>,
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

/// A row's place, for people.
pub(crate) fn place(number: u64, line: Option<u64>) -> String {
    match line {
        Some(line) => format!("row {number} (line {line})"),
        None => format!("row {number}"),
    }
}

/// Why there is no row.
pub(crate) enum Fault {
    /// This row is bad; the next one can be read. Faults of one kind are told once, whatever their words.
    Row { number: u64, line: Option<u64>, message: String, kind: Option<&'static str> },
    /// Nothing more can be read, because of the text.
    Text(String),
    /// Nothing more can be read, because of the file.
    Io(io::Error),
}

/// How many bytes of a file tell what it is.
const START: u64 = 1 << 10;

/// A source whose first bytes were looked at.
type Source = Chain<Cursor<Vec<u8>>, Box<dyn BufRead>>;

/// The rows of one source.
pub(crate) enum Rows {
    Jsonl(Jsonl<Source>),
    Csv(Box<Csv<Source>>),
    #[cfg(feature = "full")]
    Parquet(Box<parquet::Parquet>),
}

impl Rows {
    /// Opens a file of rows, or stdin.
    ///
    /// # Errors
    /// When the file cannot be opened; when it holds no rows at all, in the words of `lote check`; or when its field names
    /// cannot be used.
    pub(crate) fn open(path: &Path, format: Format, delimiter: Option<u8>) -> Result<Result<Self, Fault>, CliError> {
        #[cfg(feature = "full")]
        if format == Format::Parquet {
            return parquet::Parquet::open(path).map(|opened| opened.map(|rows| Self::Parquet(Box::new(rows))));
        }
        let source = input::open(path)?;
        Ok(Self::read(source, format, delimiter))
    }

    fn read(mut source: Box<dyn BufRead>, format: Format, delimiter: Option<u8>) -> Result<Self, Fault> {
        let mut start = Vec::new();
        source.by_ref().take(START).read_to_end(&mut start).map_err(Fault::Io)?;
        let expected = if format.delimiter().is_some() { "plain CSV" } else { "lines of JSON" };
        let foreign = lines::foreign(&start).map(|foreign| foreign.in_place_of(expected));
        let astray = || (format == Format::Jsonl).then(|| lines::misplaced_rows(&start)).flatten();
        if let Some(message) = foreign.or_else(astray) {
            return Err(Fault::Text(message));
        }
        let source = Cursor::new(start).chain(source);
        Ok(match format.delimiter() {
            None => Self::Jsonl(Jsonl::new(source)),
            Some(usual) => Self::Csv(Box::new(Csv::new(source, delimiter.unwrap_or(usual))?)),
        })
    }

    /// The field names, where all rows have the same; of JSON lines there are none.
    pub(crate) fn names(&self) -> &[String] {
        match self {
            Self::Jsonl(_) => &[],
            Self::Csv(rows) => rows.names(),
            #[cfg(feature = "full")]
            Self::Parquet(rows) => rows.names(),
        }
    }

    /// The next row, or `None` after the last one.
    pub(crate) fn next(&mut self) -> Option<Result<Row, Fault>> {
        match self {
            Self::Jsonl(rows) => rows.next().transpose(),
            Self::Csv(rows) => rows.next().transpose(),
            #[cfg(feature = "full")]
            Self::Parquet(rows) => rows.next().transpose(),
        }
    }
}

/// Refuses names that are there twice: one of the columns would be lost.
fn no_name_twice(names: &[String]) -> Result<(), String> {
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) {
            return Err(format!("the field name {name:?} comes twice; rename one of the columns"));
        }
    }
    Ok(())
}

fn row_value(fields: Vec<(String, Value)>) -> Result<Value, String> {
    if fields.iter().any(|(name, _)| name == "row_number") {
        return Err("has a field `row_number`, which is the name of the row's place in the file; \
             rename the field"
            .to_owned());
    }
    Ok(Value::from_pairs(fields))
}
