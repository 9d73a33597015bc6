//! Rows of JSON lines.

use std::io::{BufRead, Read};

use super::{Fault, MAX_ROW_BYTES, Row, row_value};
use crate::prepare::value;

/// JSON lines; blank ones count as lines, not as rows.
pub(crate) struct Jsonl<R> {
    source: R,
    buffer: Vec<u8>,
    line: u64,
    number: u64,
}

impl<R: BufRead> Jsonl<R> {
    pub(super) const fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), line: 0, number: 0 }
    }

    /// The next row, or `None` after the last one.
    pub(super) fn next(&mut self) -> Result<Option<Row>, Fault> {
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
                Ok(fields) => Ok(Some(Row { number: self.number, line: Some(self.line), fields })),
                Err(message) => Err(Fault::Row { number: self.number, line: Some(self.line), message, kind: None }),
            };
        }
    }
}
