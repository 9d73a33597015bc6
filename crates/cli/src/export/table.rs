//! Tables as text: CSV, TSV and JSON lines.

use std::io::{self, Write};

use super::cell::Cell;

/// What a byte order mark is in UTF-8: Excel on Windows takes a CSV file without one for another encoding.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Csv(u8),
    Jsonl,
}

/// A table that is written row by row.
pub(crate) enum Table<W: Write> {
    Csv { writer: Box<csv::Writer<W>>, raw: bool },
    Jsonl { to: W, names: Vec<String> },
}

impl<W: Write> Table<W> {
    /// With these columns. `raw` leaves cells that a spreadsheet would take for a formula as they are, and `mark` begins a
    /// CSV file as Excel wants it.
    pub(crate) fn begin(mut to: W, style: Style, names: Vec<String>, raw: bool, mark: bool) -> io::Result<Self> {
        match style {
            Style::Csv(delimiter) => {
                if mark {
                    to.write_all(MARK)?;
                }
                let mut writer = Box::new(csv::WriterBuilder::new().delimiter(delimiter).from_writer(to));
                writer.write_record(names.iter().map(|name| harmless(name, raw).0.into_owned()))?;
                Ok(Self::Csv { writer, raw })
            }
            Style::Jsonl => Ok(Self::Jsonl { to, names }),
        }
    }

    /// Writes a row; how many of its cells were made harmless.
    pub(crate) fn row(&mut self, cells: &[Cell]) -> io::Result<u64> {
        match self {
            Self::Csv { writer, raw } => {
                let mut made = 0;
                for cell in cells {
                    match cell {
                        Cell::Empty => writer.write_field("")?,
                        Cell::Own(text) | Cell::Plain(text) | Cell::Json(text) => writer.write_field(text)?,
                        Cell::Vectors(_) => writer.write_field(cell.json())?,
                        Cell::Text(text) => {
                            let (text, was_made) = harmless(text, *raw);
                            made += u64::from(was_made);
                            writer.write_field(&*text)?;
                        }
                    }
                }
                writer.write_record(None::<&[u8]>)?;
                Ok(made)
            }
            Self::Jsonl { to, names } => {
                for (at, (name, cell)) in names.iter().zip(cells).enumerate() {
                    let before = if at == 0 { '{' } else { ',' };
                    write!(to, "{before}{}:{}", serde_json::Value::from(name.as_str()), cell.json())?;
                }
                to.write_all(b"}\n")?;
                Ok(0)
            }
        }
    }

    /// Gives back what was written to.
    pub(crate) fn finish(self) -> io::Result<W> {
        match self {
            Self::Csv { writer, .. } => writer.into_inner().map_err(|error| error.into_error()),
            Self::Jsonl { to, .. } => Ok(to),
        }
    }
}

/// A text that no spreadsheet takes for a formula, and whether it was changed for that: an apostrophe is put before one
/// that begins with `=`, `+`, `-`, `@`, a tab or the end of a line, as OWASP advises, unless it is a number.
fn harmless(text: &str, raw: bool) -> (std::borrow::Cow<'_, str>, bool) {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    match formula && !raw && text.parse::<f64>().is_err() {
        true => (format!("'{text}").into(), true),
        false => (text.into(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_made_harmless_and_numbers_stay() {
        for text in ["=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "- a list", "＝1"] {
            assert_eq!(harmless(text, false), (format!("'{text}").into(), true), "{text}");
            assert_eq!(harmless(text, true), (text.into(), false));
        }
        for text in ["", "a=1", "-1.5", "+3", "-1e9", "'=", "1-1"] {
            assert_eq!(harmless(text, false), (text.into(), false), "{text}");
        }
    }

    #[test]
    fn a_row_is_written_whole_in_each_style() {
        let cells = [
            Cell::Text("a \"b\", c\nd".to_owned()),
            Cell::Empty,
            Cell::Plain("1.50".to_owned()),
            Cell::Json("[-1]".to_owned()),
            Cell::Text("=1".to_owned()),
        ];
        let names = ["x", "y", "z", "=l", "f"].map(str::to_owned).to_vec();
        let mut table = Table::begin(Vec::new(), Style::Csv(b','), names.clone(), false, true).unwrap();
        assert_eq!(table.row(&cells).unwrap(), 1);
        let text = String::from_utf8(table.finish().unwrap()).unwrap();
        assert_eq!(text, "\u{feff}x,y,z,'=l,f\n\"a \"\"b\"\", c\nd\",,1.50,[-1],'=1\n");
        let mut table = Table::begin(Vec::new(), Style::Jsonl, names, false, true).unwrap();
        assert_eq!(table.row(&cells).unwrap(), 0);
        let text = String::from_utf8(table.finish().unwrap()).unwrap();
        assert_eq!(text, "{\"x\":\"a \\\"b\\\", c\\nd\",\"y\":null,\"z\":1.50,\"=l\":[-1],\"f\":\"=1\"}\n");
    }
}
