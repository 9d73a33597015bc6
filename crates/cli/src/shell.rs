//! Command lines that are printed for people to run, with every word quoted for a POSIX shell.

use std::ffi::OsStr;
use std::fmt;

use lote::text::is_hidden;

/// A command of `lote`.
#[derive(Clone, Debug)]
pub(crate) struct CommandLine {
    command: String,
    words: String,
    flags: String,
    dashed: String,
}

impl CommandLine {
    /// `lote` with this subcommand, such as `batches wait`, which is printed as it is.
    pub(crate) fn new(subcommand: &str) -> Self {
        let empty = String::new;
        Self { command: format!("lote {subcommand}"), words: empty(), flags: empty(), dashed: empty() }
    }

    /// A word that is no flag, such as an id.
    pub(crate) fn word(mut self, word: impl AsRef<OsStr>) -> Self {
        // One that looks like a flag goes behind the last of them.
        let dashed = word.as_ref().as_encoded_bytes().starts_with(b"-");
        let place = if dashed { &mut self.dashed } else { &mut self.words };
        place.push_str(&format!(" {}", quoted(word)));
        self
    }

    /// A flag without a value.
    pub(crate) fn switch(mut self, name: &str) -> Self {
        self.flags.push_str(&format!(" {name}"));
        self
    }

    /// A flag with its value.
    pub(crate) fn flag(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        let value = value.as_ref();
        let between = if value.as_encoded_bytes().starts_with(b"-") && name.starts_with("--") { '=' } else { ' ' };
        self.flags.push_str(&format!(" {name}{between}{}", quoted(value)));
        self
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, words, flags, dashed } = self;
        write!(f, "{command}{words}{flags}")?;
        if dashed.is_empty() { Ok(()) } else { write!(f, " --{dashed}") }
    }
}

/// A word as a shell takes it, whatever is in it, and printable: in `'…'` when it holds more than letters, digits and
/// the like, in `$'…'` (bash, zsh, ksh, POSIX 2024) when it holds what a terminal does not show.
pub(crate) fn quoted(word: impl AsRef<OsStr>) -> String {
    let bytes = word.as_ref().as_encoded_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) if is_plain(text) => text.to_owned(),
        Ok(text) if !text.contains(is_hidden) => format!("'{}'", text.replace('\'', r"'\''")),
        _ => escaped(bytes),
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:@%+,".contains(&byte))
}

fn escaped(bytes: &[u8]) -> String {
    let mut word = String::from("$'");
    // Three octal digits: how many a shell takes of hexadecimal ones differs.
    let octal = |word: &mut String, bytes: &[u8]| {
        for byte in bytes {
            word.push_str(&format!("\\{byte:03o}"));
        }
    };
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' | '\\' => word.extend(['\\', c]),
                c if is_hidden(c) => octal(&mut word, c.encode_utf8(&mut [0; 4]).as_bytes()),
                c => word.push(c),
            }
        }
        octal(&mut word, chunk.invalid());
    }
    word.push('\'');
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_only_where_it_is_needed() {
        for (word, expected) in [
            ("batch_1", "batch_1"),
            ("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1"),
            ("", "''"),
            ("x;touch p;#", "'x;touch p;#'"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("~", "'~'"),
            ("=ls", "'=ls'"),
            ("é", "'é'"),
            ("a\n'\\\u{202e}", r"$'a\012\'\\\342\200\256'"),
        ] {
            assert_eq!(quoted(word), expected, "{word:?}");
        }
    }

    #[test]
    fn what_looks_like_a_flag_is_none() {
        let line = CommandLine::new("files content").word("-rf").flag("--base-url", "-x").flag("-o", "a b");
        assert_eq!(line.to_string(), "lote files content --base-url=-x -o 'a b' -- -rf");
        let line = CommandLine::new("batches wait").word("b;c").flag("--dialect", "./my own.toml");
        assert_eq!(line.to_string(), "lote batches wait 'b;c' --dialect './my own.toml'");
    }

    /// A shell of this machine gives every word back as it was.
    #[cfg(unix)]
    #[test]
    fn a_shell_reads_what_was_meant() {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};
        use std::process::Command;
        let every_byte: Vec<u8> = (1..=255).collect();
        let words: Vec<Vec<u8>> = [
            &b"$(touch p)`touch p`;touch p #&|<>*?[a]{b,c}~!\"'\\"[..],
            b"-",
            b"",
            b" ",
            b"a\nb",
            b"\xff7'\\",
            "\u{202e}7é".as_bytes(),
            &every_byte,
        ]
        .map(<[u8]>::to_vec)
        .into();
        for word in words {
            let quoted = quoted(OsStr::from_bytes(&word));
            assert!(!quoted.contains(is_hidden), "{quoted:?}");
            // Only bash is sure to know $'…'.
            let shells: &[&str] = if quoted.starts_with('$') { &["bash"] } else { &["sh", "bash"] };
            for shell in shells {
                let Ok(output) = Command::new(shell).arg("-c").arg(format!("printf %s {quoted}")).output() else {
                    continue;
                };
                assert_eq!(std::ffi::OsString::from_vec(output.stdout), std::ffi::OsString::from_vec(word.clone()));
            }
        }
    }
}
