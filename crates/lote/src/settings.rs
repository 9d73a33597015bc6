//! Tables that users write in TOML: reading them, and faults at their line.

use std::{fmt, fs, io::Read, ops::Range, path::Path};

use crate::Error;

/// The most bytes of a file that are read.
const LONGEST: u64 = 1 << 20;

/// The text of a file.
///
/// # Errors
/// One that [`is_invalid`](Error::is_invalid), says what the file was to be, and names it.
pub(crate) fn text(what: &str, path: &Path) -> Result<String, Error> {
    let failed = |error: &dyn fmt::Display| Error::invalid(format!("{what} {}: {error}", path.display()));
    let mut text = String::new();
    let file = fs::File::open(path).map_err(|error| failed(&error))?;
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(|error| failed(&error))?;
    if text.len() as u64 > LONGEST {
        return Err(failed(&"it is longer than 1 MiB"));
    }
    Ok(text)
}

/// An error at its line. Of the line only the key is shown: the value may be a secret.
pub(crate) fn refused(what: &str, from: &str, text: &str, at: Option<Range<usize>>, message: &str) -> Error {
    let Some(before) = at.and_then(|at| text.get(..at.start)) else {
        return Error::invalid(format!("{what} {from}: {message}"));
    };
    let number = before.matches('\n').count();
    let key = text.lines().nth(number).and_then(|line| line.split(['=', '#']).next()).unwrap_or_default().trim();
    Error::invalid(format!("{what} {from}, line {}, at {key}: {message}", number + 1))
}
