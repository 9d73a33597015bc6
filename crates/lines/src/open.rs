//! Owns the opening of a file of lines, with gzip and zstd undone: what a file is, its first bytes say.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek as _, Write as _};
#[cfg(feature = "compressed")]
use std::io::{Cursor, Read as _};
use std::path::Path;

use crate::TemporaryError;
#[cfg(feature = "compressed")]
use crate::foreign::{START, peek};

mod damage;
#[cfg(feature = "compressed")]
mod gzip;
#[cfg(feature = "compressed")]
mod zstd;

pub(crate) use damage::{Damage, Salvage};

const CAPACITY: usize = 65_536;

/// How often data may be compressed: a `.gz` that a server compressed again on its way, and once more.
#[cfg(feature = "compressed")]
const LAYERS: usize = 3;

/// Opens a file of lines for reading. What is compressed with gzip or zstd is decompressed while it
/// is read, whatever its name; several members or frames, one after the other, are one file.
///
/// Without the crate's feature `compressed` a file comes as it is; who reads its lines then says that it
/// is compressed.
///
/// ```
/// use std::io::BufRead;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("output.jsonl");
/// std::fs::write(&path, "{\"custom_id\":\"a\"}\n")?;
/// let lines = lote_lines::open_lines(&path)?;
/// assert_eq!(lines.lines().count(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// When the file cannot be opened or its first bytes cannot be read. Reading it later fails, with words
/// for people, when compressed data is damaged ([`io::ErrorKind::InvalidData`]) or ends too early
/// ([`io::ErrorKind::UnexpectedEof`]); all that can be decompressed before comes first. Of answers
/// [`Inspection`](crate::Inspection) and [`join`](crate::join()) take what came, and name the damage among the
/// anomalies.
pub fn open_lines(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    decompressed(BufReader::with_capacity(CAPACITY, File::open(path)?))
}

/// Does for a stream, such as stdin, what [`open_lines`] does for a file.
///
/// # Errors
///
/// Those of [`open_lines`].
pub fn decompressed(reader: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    #[cfg(feature = "compressed")]
    let reader = undo(reader)?;
    Ok(Box::new(reader))
}

#[cfg(feature = "compressed")]
fn undo(reader: impl BufRead + Send + 'static) -> io::Result<Box<dyn BufRead + Send>> {
    let (mut start, reader) = peek(reader)?;
    let mut reader: Box<dyn BufRead + Send> = Box::new(reader);
    for _ in 0..LAYERS {
        let inner: Box<dyn io::Read + Send> = if gzip::is(&start) {
            Box::new(gzip::Gzip::new(reader))
        } else if zstd::is(&start) {
            Box::new(zstd::Zstd::new(reader))
        } else {
            break;
        };
        (start, reader) = peek_before_damage(BufReader::with_capacity(CAPACITY, inner))?;
    }
    Ok(reader)
}

/// As [`peek`], with damage among the first bytes kept for who reads on.
#[cfg(feature = "compressed")]
fn peek_before_damage(reader: impl BufRead + Send + 'static) -> io::Result<(Vec<u8>, Box<dyn BufRead + Send>)> {
    let mut reader = Salvage::new(reader);
    let mut start = Vec::new();
    reader.by_ref().take(START as u64).read_to_end(&mut start)?;
    let first = Cursor::new(start.clone());
    let reader: Box<dyn BufRead + Send> = match reader.into_parts() {
        (_, Some(damage)) => Box::new(first.chain(damage::Failing(damage))),
        (rest, None) => Box::new(first.chain(rest)),
    };
    Ok((start, reader))
}

/// The file as one that can be read at any place: itself, or, of one that is compressed, a temporary one without a name
/// that holds what it holds decompressed, up to the damage if there is any.
///
/// # Errors
///
/// When it cannot be read, or the temporary file not be written.
pub fn open_seekable(path: &Path) -> io::Result<File> {
    let reader = match seekable(path)? {
        Seekable::Itself(file) => return Ok(file),
        Seekable::Compressed(reader) => reader,
    };
    let folder = std::env::temp_dir();
    let in_words = |error| TemporaryError::wrap(&folder, error);
    let mut file = tempfile::tempfile_in(&folder).map_err(in_words)?;
    spool(reader, &mut file)?.and_then(|_| file.rewind()).map_err(in_words)?;
    Ok(file)
}

/// A file that is to be read at any place.
pub(crate) enum Seekable {
    /// It is as it is.
    Itself(File),
    /// It is compressed: here is what it holds, to be kept elsewhere.
    #[cfg_attr(not(feature = "compressed"), expect(dead_code, reason = "nothing is taken for compressed then"))]
    Compressed(Box<dyn BufRead + Send>),
}

pub(crate) fn seekable(path: &Path) -> io::Result<Seekable> {
    let file = File::open(path)?;
    #[cfg(feature = "compressed")]
    {
        let mut start = Vec::new();
        (&file).take(8).read_to_end(&mut start)?;
        if gzip::is(&start) || zstd::is(&start) {
            return open_lines(path).map(Seekable::Compressed);
        }
        (&file).rewind()?;
    }
    Ok(Seekable::Itself(file))
}

/// Keeps what can be read here: how many bytes that are, and what is wrong with the rest. The inner error is that of
/// the writing side.
pub(crate) fn spool(reader: impl BufRead, to: &mut File) -> io::Result<io::Result<(u64, Option<Damage>)>> {
    let mut lines = Salvage::new(reader);
    let mut length = 0;
    loop {
        let chunk = match lines.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if chunk.is_empty() {
            return Ok(Ok((length, lines.into_damage())));
        }
        if let Err(error) = to.write_all(chunk) {
            return Ok(Err(error));
        }
        let read = chunk.len();
        length += read as u64;
        lines.consume(read);
    }
}

#[cfg(all(test, feature = "compressed"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_is_kept_behind_what_was_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output.gz");
        std::fs::write(&path, b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0").unwrap();
        let mut read = Vec::new();
        open_seekable(&path).unwrap().read_to_end(&mut read).unwrap();
        assert!(read.is_empty());
        let Seekable::Compressed(_) = seekable(&path).unwrap() else { panic!("it is compressed") };
        let mut kept = tempfile::tempfile().unwrap();
        for (text, expected) in [("one", 3), ("", 0), ("two", 3)] {
            let (length, damage) = spool(text.as_bytes(), &mut kept).unwrap().unwrap();
            assert!(length == expected && damage.is_none());
        }
        kept.rewind().unwrap();
        kept.read_to_end(&mut read).unwrap();
        assert_eq!(read, b"onetwo");
    }
}
