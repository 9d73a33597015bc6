//! Owns the opening of a file of lines, with gzip and zstd undone: what a file is, its first bytes say.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
#[cfg(feature = "compressed")]
use std::io::{Cursor, Read as _};
use std::path::Path;

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
    seekable(path, &std::env::temp_dir()).map(|(file, _)| file)
}

/// As [`open_seekable`], with the temporary file in this folder, and with what is wrong with the compressed data.
#[cfg_attr(not(feature = "compressed"), expect(unused_variables, reason = "nothing is decompressed"))]
pub(crate) fn seekable(path: &Path, folder: &Path) -> io::Result<(File, Option<Damage>)> {
    let file = File::open(path)?;
    #[cfg(feature = "compressed")]
    {
        use std::io::Seek as _;
        let mut start = Vec::new();
        (&file).take(8).read_to_end(&mut start)?;
        if gzip::is(&start) || zstd::is(&start) {
            return spool(open_lines(path)?, folder);
        }
        (&file).rewind()?;
    }
    Ok((file, None))
}

/// A temporary file without a name in this folder that holds what can be read here, and what is wrong with the rest.
#[cfg(feature = "compressed")]
fn spool(reader: impl BufRead, folder: &Path) -> io::Result<(File, Option<Damage>)> {
    use std::io::{Seek as _, Write as _};
    let in_words = |error: io::Error| {
        let folder = folder.display();
        io::Error::new(error.kind(), format!("a temporary file in {folder} cannot be written: {error}"))
    };
    let mut spool = tempfile::tempfile_in(folder).map_err(in_words)?;
    let mut lines = Salvage::new(reader);
    loop {
        let chunk = match lines.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if chunk.is_empty() {
            break;
        }
        spool.write_all(chunk).map_err(in_words)?;
        let read = chunk.len();
        lines.consume(read);
    }
    spool.rewind()?;
    Ok((spool, lines.into_damage()))
}

#[cfg(all(test, feature = "compressed"))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (path, gone) = (folder.path().join("output.gz"), folder.path().join("gone"));
        std::fs::write(&path, b"\x1f\x8b\x08\0\0\0\0\0\0\x03\x03\0\0\0\0\0\0\0\0\0").unwrap();
        let (mut spooled, damage) = seekable(&path, folder.path()).unwrap();
        let mut read = Vec::new();
        spooled.read_to_end(&mut read).unwrap();
        assert!(read.is_empty() && damage.is_none());
        let error = seekable(&path, &gone).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let start = format!("a temporary file in {} cannot be written: ", gone.display());
        assert!(error.to_string().starts_with(&start), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
