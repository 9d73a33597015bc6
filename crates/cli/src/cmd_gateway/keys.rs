//! The keys that `lote gateway` lets in: reads the file of `--key-file`.

use std::path::Path;

use crate::exit::CliError;

/// Most keys in all: each request is compared with every one of them.
const MOST_KEYS: usize = 10_000;

/// A key to let in, and what its tenant is called.
pub(super) struct Key {
    pub(super) name: Option<String>,
    pub(super) key: String,
}

/// Adds the keys of a file with this text to those that were given. A name may have several keys, so that one can be
/// replaced while the other is still in use.
///
/// # Errors
/// With exit 2, naming the line and never a key.
pub(super) fn read(path: &Path, text: &str, mut keys: Vec<Key>) -> Result<Vec<Key>, CliError> {
    let before = keys.len();
    for (number, line) in (1..).zip(text.lines()) {
        let wrong = |what: &str| CliError::usage(format!("{}, line {number}: {what}", path.display()));
        let Some(key) = key(line).map_err(wrong)? else { continue };
        if keys.len() == MOST_KEYS {
            return Err(wrong(&format!("at most {MOST_KEYS} keys may be let in")));
        }
        keys.push(key);
    }
    if keys.len() == before {
        return Err(CliError::usage(format!(
            "{}: holds no key; write one on each line, or leave --key-file out",
            path.display()
        )));
    }
    Ok(keys)
}

/// The key on one line: `KEY`, `NAME KEY`, `NAME = KEY` or `NAME = "KEY"`; none on a line that is
/// blank or begins with `#`. Without a blank the whole line is the key, since keys may have a `=`.
fn key(line: &str) -> Result<Option<Key>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if line.chars().any(is_unseen) {
        return Err("holds a character that cannot be seen, such as a byte order mark; no key has one");
    }
    let Some((name, rest)) = line.split_once(char::is_whitespace) else {
        return Ok(Some(Key { name: None, key: line.to_owned() }));
    };
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').filter(|rest| rest.starts_with([' ', '\t', '"'])).unwrap_or(rest).trim();
    let quoted = rest.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let key = quoted.unwrap_or(rest);
    if key.is_empty() || key == "=" || key.contains(char::is_whitespace) {
        return Err("expected a key, or a name and a key: NAME = KEY");
    }
    Ok(Some(Key { name: Some(name.to_owned()), key: key.to_owned() }))
}

/// What editors and other programs leave in a text and nobody types into a key: controls, zero-width characters, marks of
/// direction.
fn is_unseen(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}
