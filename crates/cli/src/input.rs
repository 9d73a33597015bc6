//! Opens files that commands read, `-` being stdin.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::exit::CliError;
use crate::lines::{TemporaryError, decompressed};

/// Whether this path stands for stdin or stdout.
pub(crate) fn is_dash(path: &Path) -> bool {
    path == Path::new("-")
}

/// A path that a flag or an argument gives. An empty one is refused, as of a variable of the shell that was never set.
pub(crate) fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(named)
}

/// The files that arguments name. One with `*`, `?` or `[` in it that is no file itself is a pattern, for shells that do
/// not expand those; its files come in the order of their names.
///
/// # Errors
/// With exit 2 when a pattern is none, or no file matches it.
pub(crate) fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut files = Vec::new();
    for path in named {
        let pattern = path.to_str().filter(|text| text.contains(['*', '?', '[']) && !path.exists());
        let Some(pattern) = pattern else {
            files.push(path.clone());
            continue;
        };
        let refuse = |why: String| CliError::usage(format!("{pattern}: {why}"));
        let before = files.len();
        for found in glob::glob(pattern).map_err(|error| refuse(error.to_string()))? {
            files.push(found.map_err(|error| refuse(error.to_string()))?);
        }
        if files.len() == before {
            return Err(refuse("no file matches it".to_owned()));
        }
    }
    Ok(files)
}

/// Where output goes: the names that systems have for stdout are stdout, which may be somebody's file, to be written to
/// and not to be replaced. The number of an open file is refused if whoever started us has not opened it: the command
/// line is read before anything is opened here, which could have that number later. A file in the folder of a run is
/// refused, whichever run that is.
pub(crate) fn output() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|text| {
        let path = named(text)?;
        match lote::save::descriptor(&path) {
            Some(1) => Ok(PathBuf::from("-")),
            Some(number) if std::fs::metadata(&path).is_err() => Err(format!(
                "no file is open as number {number}: open one for lote, as with {number}>>FILE, or name a file"
            )),
            _ if is_dash(&path) => Ok(path),
            _ => match lote::run::folder_of(&path) {
                None => Ok(path),
                Some(run) => Err(format!(
                    "it is in the folder of a run, {}, which keeps its own results; name another file",
                    run.display()
                )),
            },
        }
    })
}

fn named(path: OsString) -> Result<PathBuf, String> {
    if path.is_empty() { Err("the path is empty: name a file or folder".to_owned()) } else { Ok(path.into()) }
}

/// Opens a file, or stdin, with gzip and zstd undone.
///
/// # Errors
/// With exit 2 when the file cannot be opened or is a folder.
pub(crate) fn open(path: &Path) -> Result<Box<dyn BufRead>, CliError> {
    decompressed(open_as_is(path)?).map(|reader| reader as Box<dyn BufRead>).map_err(|error| cannot_read(path, &error))
}

/// Opens a file, or stdin, with what is compressed left so.
///
/// # Errors
/// Those of [`open`].
pub(crate) fn open_as_is(path: &Path) -> Result<Box<dyn BufRead + Send>, CliError> {
    if is_dash(path) {
        return Ok(Box::new(BufReader::with_capacity(1 << 16, io::stdin())));
    }
    let file = File::open(path).map_err(|error| cannot_read(path, &error))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(CliError::usage(format!("{}: is a folder; name a file in it", shown(path))));
    }
    Ok(Box::new(BufReader::with_capacity(1 << 16, file)))
}

/// The whole of a file that is small: of one that has no end, such as a device, no more than this is in memory.
///
/// # Errors
/// When it cannot be read, or has more bytes.
pub(crate) fn whole(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

/// The whole of a file of text, without the mark that some editors put before it.
///
/// # Errors
/// With exit 2 when it cannot be read, has more bytes, or is no UTF-8.
pub(crate) fn whole_text(path: &Path, most: u64) -> Result<String, CliError> {
    let bytes = whole(path, most).map_err(|error| cannot_read(path, &error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to() + 1;
        CliError::usage(format!("{}: is not valid UTF-8 at byte {at}; save it as UTF-8", shown(path)))
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The error of a file that cannot be opened or read, or of the temporary file that what is read of it is kept in.
pub(crate) fn cannot_read(path: &Path, error: &io::Error) -> CliError {
    if let Some(temporary) = TemporaryError::inside(error) {
        return self::temporary(temporary, temporary.folder());
    }
    CliError::usage(format!("{}: cannot be read: {error}", shown(path)))
}

/// What is said of a temporary file in this folder that cannot be written.
pub(crate) fn temporary(said: impl Display, folder: &Path) -> CliError {
    let is_the_systems = folder == std::env::temp_dir();
    let hint = if is_the_systems && cfg!(unix) { "; TMPDIR names another folder" } else { "" };
    CliError::usage(format!("{said}{hint}"))
}

/// What messages call this input.
pub(crate) fn shown(path: &Path) -> String {
    if is_dash(path) { "stdin".to_owned() } else { path.display().to_string() }
}
