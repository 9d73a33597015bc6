//! Owns the marked regions of a text: finds them and replaces what is between the markers, as text. It never
//! parses YAML and never touches a byte outside the region.
//!
//! A region is opened by a line `# xtask:begin NAME` and closed by a line `# xtask:end NAME`; both may be indented. In
//! Markdown they are comments: `<!-- xtask:begin NAME -->`.

use std::{
    fmt::{self, Display},
    ops::Range,
};

const BEGIN: &str = "# xtask:begin ";
const END: &str = "# xtask:end ";

/// A marked region of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// The name in both markers.
    pub name: String,
    /// The bytes between the two marker lines.
    pub inside: Range<usize>,
    /// The white space before the opening marker; the lines inside begin with it.
    pub indent: String,
    /// The line ending of the opening marker; the lines inside end with it.
    pub newline: &'static str,
}

/// Why the markers of a text make no sense. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkerError {
    /// No region has this name.
    Missing {
        /// The name that was looked for.
        name: String,
    },
    /// A region is opened and never closed.
    NotClosed {
        /// The name of the region.
        name: String,
        /// The line of its opening marker.
        line: usize,
    },
    /// A region is closed that is not the open one.
    NotOpen {
        /// The name in the closing marker.
        name: String,
        /// The line of the closing marker.
        line: usize,
    },
    /// A region is opened inside another.
    Nested {
        /// The name of the inner region.
        name: String,
        /// The line of its opening marker.
        line: usize,
    },
    /// Two regions have one name.
    Duplicate {
        /// The name of both.
        name: String,
        /// The line of the second opening marker.
        line: usize,
    },
    /// A marker without a name.
    Nameless {
        /// Its line.
        line: usize,
    },
    /// The new text has a marker of its own and would break the file.
    MarkerInBody {
        /// The name of the region that it was meant for.
        name: String,
    },
}

impl Display for MarkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name } => write!(f, "no line `{BEGIN}{name}`"),
            Self::NotClosed { name, line } => write!(f, "line {line}: `{BEGIN}{name}` has no `{END}{name}` after it"),
            Self::NotOpen { name, line } => write!(f, "line {line}: `{END}{name}` closes a fragment that is not open"),
            Self::Nested { name, line } => write!(f, "line {line}: `{BEGIN}{name}` is inside another fragment"),
            Self::Duplicate { name, line } => write!(f, "line {line}: a second fragment is named {name}"),
            Self::Nameless { line } => write!(f, "line {line}: an xtask marker without a name"),
            Self::MarkerInBody { name } => write!(f, "the new text of fragment {name} has an xtask marker of its own"),
        }
    }
}

impl std::error::Error for MarkerError {}

enum Marker<'a> {
    Begin(&'a str),
    End(&'a str),
}

fn marker(line: &str) -> Option<Marker<'_>> {
    let line = line.trim_start();
    if let Some(words) = line.strip_prefix("<!-- ").and_then(|rest| rest.trim_end().strip_suffix("-->")) {
        let word = |marker: &str| words.strip_prefix(marker.trim_start_matches("# ")).map(str::trim);
        return word(BEGIN).map(Marker::Begin).or_else(|| word(END).map(Marker::End));
    }
    // The space after the word is part of the constants; a marker without a name lost it to an editor.
    let padded = |word: &str| line.trim_end() == word.trim_end();
    match (line.strip_prefix(BEGIN), line.strip_prefix(END)) {
        (Some(name), _) => Some(Marker::Begin(name.trim())),
        (_, Some(name)) => Some(Marker::End(name.trim())),
        _ if padded(BEGIN) => Some(Marker::Begin("")),
        _ if padded(END) => Some(Marker::End("")),
        _ => None,
    }
}

/// All regions of `text`, in order.
///
/// # Errors
///
/// When a marker is missing, duplicate, nested in another region, out of order or without a name.
pub fn regions(text: &str) -> Result<Vec<Region>, MarkerError> {
    let mut found: Vec<Region> = Vec::new();
    let mut open: Option<(Region, usize)> = None;
    let mut start = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let end = start + line.len();
        match marker(line) {
            Some(Marker::Begin("") | Marker::End("")) => return Err(MarkerError::Nameless { line: number }),
            Some(Marker::Begin(name)) => {
                let name = name.to_owned();
                if open.is_some() {
                    return Err(MarkerError::Nested { name, line: number });
                }
                if found.iter().any(|region| region.name == name) {
                    return Err(MarkerError::Duplicate { name, line: number });
                }
                let indent = line[..line.len() - line.trim_start().len()].to_owned();
                let newline = if line.ends_with("\r\n") { "\r\n" } else { "\n" };
                open = Some((Region { name, inside: end..end, indent, newline }, number));
            }
            Some(Marker::End(name)) => match open.take() {
                Some((region, _)) if region.name == name => {
                    found.push(Region { inside: region.inside.start..start, ..region });
                }
                _ => return Err(MarkerError::NotOpen { name: name.to_owned(), line: number }),
            },
            None => {}
        }
        start = end;
    }
    match open {
        Some((region, line)) => Err(MarkerError::NotClosed { name: region.name, line }),
        None => Ok(found),
    }
}

/// The region `name` of `text`.
///
/// # Errors
///
/// As [`regions`], and when no region has that name.
pub fn region(text: &str, name: &str) -> Result<Region, MarkerError> {
    let found = regions(text)?.into_iter().find(|region| region.name == name);
    found.ok_or_else(|| MarkerError::Missing { name: name.to_owned() })
}

/// `text` with `body` in the region `name`: each line of it indented like the opening marker and ended like it. Every
/// byte outside of the region is kept.
///
/// # Errors
///
/// As [`region`], and when `body` has a marker of its own.
pub fn splice(text: &str, name: &str, body: &str) -> Result<String, MarkerError> {
    let region = region(text, name)?;
    let mut spliced = String::with_capacity(text.len() + body.len());
    spliced.push_str(&text[..region.inside.start]);
    for line in body.lines() {
        if marker(line).is_some() {
            return Err(MarkerError::MarkerInBody { name: name.to_owned() });
        }
        if !line.is_empty() {
            spliced.push_str(&region.indent);
            spliced.push_str(line);
        }
        spliced.push_str(region.newline);
    }
    spliced.push_str(&text[region.inside.end..]);
    Ok(spliced)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_indented_and_ended_like_the_opening_marker() {
        let cases = [
            (
                "a\n  # xtask:begin x\nold\n  # xtask:end x\nz",
                "b:\n  c\n",
                "a\n  # xtask:begin x\n  b:\n    c\n  # xtask:end x\nz",
            ),
            ("# xtask:begin x\r\n# xtask:end x\r\n", "b\n\nc", "# xtask:begin x\r\nb\r\n\r\nc\r\n# xtask:end x\r\n"),
            ("\t# xtask:begin x \nold\n# xtask:end x", "b", "\t# xtask:begin x \n\tb\n# xtask:end x"),
            ("# xtask:begin x\nold\n# xtask:end x\n", "", "# xtask:begin x\n# xtask:end x\n"),
        ];
        for (text, body, expected) in cases {
            let once = splice(text, "x", body).unwrap();
            assert_eq!(once, expected);
            assert_eq!(splice(&once, "x", body).unwrap(), once, "a second splice changes nothing");
        }
    }

    #[test]
    fn markers_that_make_no_sense_are_refused() {
        let missing = |name: &str| MarkerError::Missing { name: name.into() };
        let x = || "x".to_owned();
        let cases = [
            ("", missing("x")),
            ("xtask:begin x\nxtask:end x\n", missing("x")),
            ("a: b # xtask:begin x\n# xtask:end xy\n", MarkerError::NotOpen { name: "xy".into(), line: 2 }),
            ("# xtask:begin x", MarkerError::NotClosed { name: x(), line: 1 }),
            ("a\n# xtask:begin x\nb\n", MarkerError::NotClosed { name: x(), line: 2 }),
            ("# xtask:end x\n# xtask:begin x\n", MarkerError::NotOpen { name: x(), line: 1 }),
            ("# xtask:begin x\n# xtask:end y\n# xtask:end x\n", MarkerError::NotOpen { name: "y".into(), line: 2 }),
            (
                "# xtask:begin x\n# xtask:begin y\n# xtask:end y\n# xtask:end x\n",
                MarkerError::Nested { name: "y".into(), line: 2 },
            ),
            ("# xtask:begin x\n# xtask:begin x\n# xtask:end x\n", MarkerError::Nested { name: x(), line: 2 }),
            (
                "# xtask:begin x\n# xtask:end x\n# xtask:begin x\n# xtask:end x\n",
                MarkerError::Duplicate { name: x(), line: 3 },
            ),
            ("# xtask:begin x\n# xtask:end x\n# xtask:end x\n", MarkerError::NotOpen { name: x(), line: 3 }),
            ("# xtask:begin\n", MarkerError::Nameless { line: 1 }),
            ("<!-- xtask:begin -->\n", MarkerError::Nameless { line: 1 }),
            ("<!-- xtask:begin  -->\n", MarkerError::Nameless { line: 1 }),
            ("# xtask:begin  \n", MarkerError::Nameless { line: 1 }),
        ];
        for (text, expected) in cases {
            assert_eq!(splice(text, "x", "b\n"), Err(expected), "{text:?}");
        }
        let text = "# xtask:begin x\n# xtask:end x\n";
        let own = Err(MarkerError::MarkerInBody { name: x() });
        assert_eq!(splice(text, "x", "a\n  # xtask:end x\n"), own);
    }

    /// Every text of up to three pieces before, inside and after, with either line ending: what is outside of the
    /// markers comes out as it went in, and what is inside is the body.
    #[test]
    fn every_byte_outside_is_kept() {
        let pieces =
            ["", "a", "  é: 'x'\t ", "# xtask", "\u{feff}", "\n", "\r\n", "# xtask:begin other\n# xtask:end other\n"];
        let mut texts = Vec::new();
        for first in pieces {
            for second in pieces {
                let text = format!("{first}\n{second}");
                if text.matches("begin other").count() < 2 {
                    texts.push(text);
                }
            }
        }
        for before in &texts {
            for after in &texts {
                if format!("{before}{after}").matches("begin other").count() > 1 {
                    continue;
                }
                for newline in ["\n", "\r\n"] {
                    let head = format!("{before}\n    # xtask:begin x{newline}");
                    for inside in ["", "old", "o\nl\r\nd\n\n"] {
                        let separator = if inside.is_empty() || inside.ends_with('\n') { "" } else { newline };
                        let tail = format!("# xtask:end x{newline}{after}");
                        let text = format!("{head}{inside}{separator}{tail}");
                        let spliced = splice(&text, "x", "n: 1\nm: 2\n").unwrap();
                        assert_eq!(spliced, format!("{head}    n: 1{newline}    m: 2{newline}{tail}"), "{text:?}");
                    }
                }
            }
        }
    }
}
