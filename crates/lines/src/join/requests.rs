//! The reading of the request lines: their custom_ids are kept in their order, and sorted by their hashes.

use std::borrow::Cow;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

use tempfile::SpooledTempFile;

use super::{Bounds, JoinError, Named};
use crate::foreign;
use crate::ids::IdHasher;
use crate::open::open_lines;
use crate::raw;
use crate::reader::{Line, LineReader};
use crate::scan::BOM;
use crate::sorter::Sorter;

/// How many bytes of custom_ids are held in memory; more are in a temporary file.
const TEXTS: usize = 1 << 23;

/// The request lines of an input file.
pub(super) struct Requests {
    /// The hash of each custom_id and the number of its line.
    pub(super) entries: Sorter<3>,
    pub(super) custom_ids: CustomIdWriter,
    /// Why no more of them were read.
    pub(super) refused: Option<JoinError>,
}

impl Requests {
    /// Reads the request lines, up to the first that is none. The error is that of temporary files.
    pub(super) fn read(input: Named<'_>, bounds: &Bounds, hasher: &IdHasher) -> io::Result<Self> {
        let mut requests = Self {
            entries: Sorter::new(bounds.spill(bounds.requests)),
            custom_ids: CustomIdWriter::new(bounds),
            refused: None,
        };
        let mut kept = Ok(());
        let read = each(input, &mut |line, custom_id| {
            kept = requests.keep(hasher, line, custom_id);
            kept.is_ok()
        });
        requests.refused = read.err();
        kept.map(|()| requests)
    }

    fn keep(&mut self, hasher: &IdHasher, line: u64, custom_id: &str) -> io::Result<()> {
        let [one, other] = hasher.hash(custom_id);
        self.entries.push([one, other, line])?;
        self.custom_ids.push(custom_id)
    }
}

/// Calls `visit` with the number and the custom_id of each request line, until it says `false`.
fn each(input: Named<'_>, visit: &mut dyn FnMut(u64, &str) -> bool) -> Result<(), JoinError> {
    let shown = input.shown();
    let read = |error| JoinError::read(shown, error);
    let (start, reader) = foreign::peek(open_lines(input.path).map_err(read)?).map_err(read)?;
    if let Some(foreign) = foreign::foreign(&start) {
        return Err(JoinError::Input { path: shown.to_owned(), line: 1, message: foreign.to_string() });
    }
    let mut reader = LineReader::new(reader);
    while let Some(line) = reader.next_line().map_err(read)? {
        // A mark of an editor, or of files that were put together: it is no part of a line.
        if line.bytes.strip_prefix(BOM).is_some_and(|rest| rest.iter().all(u8::is_ascii_whitespace)) {
            continue;
        }
        let refuse = |message: String| JoinError::Input { path: shown.to_owned(), line: line.number, message };
        if !visit(line.number, &custom_id(&line).map_err(refuse)?) {
            break;
        }
    }
    Ok(())
}

/// The custom_id of a request line.
fn custom_id<'l>(line: &Line<'l>) -> Result<Cow<'l, str>, String> {
    if line.too_long {
        return Err(format!("the line has {} bytes, which is too long", line.length));
    }
    let bytes = line.bytes.strip_prefix(BOM).unwrap_or(line.bytes);
    let text = raw::utf8(bytes).map_err(|error| error.to_string())?;
    let mut custom_id = None;
    raw::entries(text, &mut |key, value| {
        if key == "custom_id" {
            custom_id = raw::text(value);
        }
    })
    .map_err(|broken| broken.to_string())?;
    custom_id.ok_or_else(|| "the request line has no custom_id that is a text".to_owned())
}

/// Custom_ids, one after another.
pub(super) struct CustomIdWriter(BufWriter<SpooledTempFile>);

impl CustomIdWriter {
    fn new(bounds: &Bounds) -> Self {
        let spool = tempfile::spooled_tempfile_in(TEXTS, bounds.folder.clone());
        Self(BufWriter::with_capacity(1 << 16, spool))
    }

    fn push(&mut self, custom_id: &str) -> io::Result<()> {
        self.0.write_all(&(custom_id.len() as u64).to_le_bytes())?;
        self.0.write_all(custom_id.as_bytes())
    }

    pub(super) fn finish(self) -> io::Result<CustomIds> {
        let mut spool = self.0.into_inner().map_err(io::IntoInnerError::into_error)?;
        spool.rewind()?;
        Ok(CustomIds(BufReader::with_capacity(1 << 16, spool)))
    }
}

/// The custom_ids that were written, in their order.
pub(super) struct CustomIds(BufReader<SpooledTempFile>);

impl CustomIds {
    /// Puts the next one behind what is in `to`.
    pub(super) fn next(&mut self, to: &mut String) -> io::Result<()> {
        let mut length = [0; 8];
        self.0.read_exact(&mut length)?;
        let length = u64::from_le_bytes(length);
        let before = to.len() as u64;
        self.0.by_ref().take(length).read_to_string(to)?;
        if to.len() as u64 - before == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
