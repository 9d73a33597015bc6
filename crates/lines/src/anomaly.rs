//! Owns the list of what is odd in output and error files. It never grows without bound.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::raw::{SHOWN_ID, clip};

mod held;

pub(crate) use held::Held;

/// How many anomalies are kept; further ones are only counted.
pub const MAX_ANOMALIES: usize = 1_000;

/// How many bytes of what cannot be read an anomaly repeats.
pub const MAX_EXCERPT: usize = 1_024;

/// What is odd about a line of an output or error file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnomalyCode {
    /// The file, or a line of it, begins with a byte order mark. It was passed over.
    Bom,
    /// The file holds no lines of JSON: it is compressed, a page, in another encoding, or the like.
    NotJsonl,
    /// The file is compressed, and the compressed data is cut off or damaged. What came before was read.
    DamagedCompression,
    /// The lines stand in a JSON array. They were read.
    ArrayAroundLines,
    /// The answers stand in a list inside an object, or in a list of lists. They were not read.
    WrappedList,
    /// An object stands over several lines. It was read, as were others like it.
    ObjectOverLines,
    /// Something follows an object on its line: a comma, or another object, which was read.
    TextAfterObject,
    /// The lines end with a carriage return alone. They were read.
    CarriageReturns,
    /// Git's conflict markers stand in the file.
    ConflictMarkers,
    /// The line is no JSON object, or not whole.
    UnreadableLine,
    /// The line is a JSON object in no shape that is known.
    UnknownShape,
    /// The line is longer than the reader's limit and was passed over.
    LineTooLong,
    /// The line names no custom_id, so nobody can say what it answers.
    NoCustomId,
    /// The line gives a key twice, such as `response`.
    DoubledKey,
    /// The custom_id was already answered by another line.
    DuplicateCustomId,
    /// The custom_id is in no request line.
    ForeignCustomId,
    /// The line has neither a response nor an error.
    EmptyAnswer,
    /// The line has both a response and an error.
    ResponseAndError,
    /// The response has no status code, or one that is no number.
    NoStatusCode,
    /// The body of the response is no JSON object.
    BodyNotObject,
    /// The line was not there any more, or was another one, when it was read again.
    ChangedWhileReading,
    /// The counts of the batch are not those of its files.
    CountsDiffer,
    /// The usage of the batch is not the sum over its lines.
    UsageDiffers,
}

impl AnomalyCode {
    /// The code as it is serialised, such as `duplicate_custom_id`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bom => "bom",
            Self::NotJsonl => "not_jsonl",
            Self::DamagedCompression => "damaged_compression",
            Self::ArrayAroundLines => "array_around_lines",
            Self::WrappedList => "wrapped_list",
            Self::ObjectOverLines => "object_over_lines",
            Self::TextAfterObject => "text_after_object",
            Self::CarriageReturns => "carriage_returns",
            Self::ConflictMarkers => "conflict_markers",
            Self::UnreadableLine => "unreadable_line",
            Self::UnknownShape => "unknown_shape",
            Self::LineTooLong => "line_too_long",
            Self::NoCustomId => "no_custom_id",
            Self::DoubledKey => "doubled_key",
            Self::DuplicateCustomId => "duplicate_custom_id",
            Self::ForeignCustomId => "foreign_custom_id",
            Self::EmptyAnswer => "empty_answer",
            Self::ResponseAndError => "response_and_error",
            Self::NoStatusCode => "no_status_code",
            Self::BodyNotObject => "body_not_object",
            Self::ChangedWhileReading => "changed_while_reading",
            Self::CountsDiffer => "counts_differ",
            Self::UsageDiffers => "usage_differs",
        }
    }
}

impl fmt::Display for AnomalyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something odd in an output or error file, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Anomaly {
    /// The file, as the caller named it; of a batch as a whole, `batch` and its id.
    pub file: String,
    /// The line's number, from 1; 0 when it is no line that is odd.
    pub line: u64,
    /// The line's custom_id, if it is known; cut after 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_id: Option<String>,
    /// What is odd, for programs.
    pub code: AnomalyCode,
    /// What is odd, in words.
    pub message: String,
    /// Where the bytes begin that could not be read, in bytes from the start of the file; of a
    /// compressed file, from the start of what it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// How many bytes could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// The first of them, at most [`MAX_EXCERPT`]; what is no UTF-8 is U+FFFD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

/// The bytes that an anomaly is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes<'b> {
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// The bytes, or the first of them.
    pub(crate) known: &'b [u8],
}

impl Anomaly {
    /// An anomaly that another reader found; line 0 is that of a file or a batch as a whole.
    #[must_use]
    pub fn new(file: impl Into<String>, line: u64, code: AnomalyCode, message: impl Into<String>) -> Self {
        let (file, message) = (file.into(), message.into());
        Self { file, line, custom_id: None, code, message, offset: None, length: None, excerpt: None }
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        if let Some(custom_id) = &self.custom_id {
            write!(f, " ({:?})", clip(custom_id, SHOWN_ID))?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The first [`MAX_ANOMALIES`] anomalies, and how many more there were.
#[derive(Default)]
pub(crate) struct Anomalies<'e> {
    /// The anomalies, in the order in which they were found.
    pub(crate) anomalies: Vec<Anomaly>,
    /// How many were found beyond those listed.
    pub(crate) anomalies_omitted: u64,
    /// Told of each, also of those beyond the list.
    each: Option<&'e mut dyn FnMut(&Anomaly)>,
    /// Those that wait for others to come before them.
    held: Option<Held>,
}

impl fmt::Debug for Anomalies<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { anomalies, anomalies_omitted, each: _, held: _ } = self;
        f.debug_struct("Anomalies")
            .field("anomalies", anomalies)
            .field("anomalies_omitted", anomalies_omitted)
            .finish_non_exhaustive()
    }
}

impl<'e> Anomalies<'e> {
    /// An empty list, whose anomalies are told to somebody else as well.
    pub(crate) fn telling(each: Option<&'e mut dyn FnMut(&Anomaly)>) -> Self {
        Self { each, ..Self::default() }
    }

    /// Whether whatever is added now is only counted.
    pub(crate) fn only_counts(&self) -> bool {
        match &self.held {
            Some(held) => held.only_counts(),
            None => self.is_full() && self.each.is_none(),
        }
    }

    /// Holds back what is added from now on, in temporary files in this folder where it is much.
    pub(crate) fn hold(&mut self, folder: &Path) {
        self.held = Some(Held::new(self.each.is_some(), folder.to_owned()));
    }

    /// Says how many answers were read before what is added next.
    pub(crate) fn at(&mut self, answers: u64) {
        if let Some(held) = &mut self.held {
            held.at = answers;
        }
    }

    /// Holds nothing back from now on; gives what was held back, to be [released](Self::release) in its order.
    pub(crate) fn take_held(&mut self) -> Option<Held> {
        self.held.take()
    }

    /// Adds what was held back.
    pub(crate) fn release(&mut self, anomaly: Anomaly) {
        match anomaly.code {
            AnomalyCode::DamagedCompression => self.push_first(anomaly),
            _ => self.add(anomaly),
        }
    }

    /// Adds an anomaly about bytes that are not repeated: where they stand.
    pub(crate) fn push_place(
        &mut self,
        file: &str,
        line: u64,
        custom_id: Option<&str>,
        (code, message): (AnomalyCode, String),
        (offset, length): (u64, u64),
    ) {
        self.push_bytes(file, line, custom_id, code, message, Some(Bytes { offset, length, known: &[] }));
    }

    pub(crate) fn push(
        &mut self,
        file: &str,
        line: u64,
        custom_id: Option<&str>,
        code: AnomalyCode,
        message: impl Into<String>,
    ) {
        self.push_bytes(file, line, custom_id, code, message, None);
    }

    /// Adds an anomaly about bytes that could not be read.
    pub(crate) fn push_bytes(
        &mut self,
        file: &str,
        line: u64,
        custom_id: Option<&str>,
        code: AnomalyCode,
        message: impl Into<String>,
        bytes: Option<Bytes<'_>>,
    ) {
        if self.only_counts() {
            self.omit(1);
            return;
        }
        let anomaly = Anomaly {
            file: file.to_owned(),
            line,
            custom_id: custom_id.map(|id| clip(id, 512).into_owned()),
            code,
            message: message.into(),
            offset: bytes.map(|bytes| bytes.offset),
            length: bytes.map(|bytes| bytes.length),
            excerpt: bytes.filter(|bytes| !bytes.known.is_empty()).map(|bytes| excerpt(bytes.known)),
        };
        self.add(anomaly);
    }

    fn add(&mut self, anomaly: Anomaly) {
        if let Some(held) = &mut self.held {
            return held.push(anomaly);
        }
        if let Some(each) = &mut self.each {
            each(&anomaly);
        }
        if self.is_full() {
            self.omit(1);
        } else {
            self.anomalies.push(anomaly);
        }
    }

    /// Adds one that is not to be lost among many others.
    pub(crate) fn push_first(&mut self, anomaly: Anomaly) {
        if let Some(held) = &mut self.held {
            return held.push(anomaly);
        }
        if let Some(each) = &mut self.each {
            each(&anomaly);
        }
        if self.is_full() {
            self.anomalies.pop();
            self.omit(1);
        }
        self.anomalies.insert(0, anomaly);
    }

    fn is_full(&self) -> bool {
        self.anomalies.len() >= MAX_ANOMALIES
    }

    pub(crate) fn omit(&mut self, count: u64) {
        if let Some(held) = &mut self.held {
            return held.omit(count);
        }
        self.anomalies_omitted = self.anomalies_omitted.saturating_add(count);
    }
}

/// The first bytes as text, cut before a character that would not be whole.
fn excerpt(bytes: &[u8]) -> String {
    let Some(first) = bytes.get(..MAX_EXCERPT) else {
        return String::from_utf8_lossy(bytes).into_owned();
    };
    let back = (1..=3).find(|back| first[MAX_EXCERPT - back] >= 0xc0).filter(|back| {
        let lead = first[MAX_EXCERPT - back];
        *back
            < if lead >= 0xf0 {
                4
            } else if lead >= 0xe0 {
                3
            } else {
                2
            }
    });
    String::from_utf8_lossy(&first[..MAX_EXCERPT - back.unwrap_or(0)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_codes_are_spelled_once() {
        let mut list = Anomalies::default();
        for line in 1..=1_234 {
            list.push("f", line, Some(&"x".repeat(600)), AnomalyCode::Bom, "m");
        }
        assert_eq!(list.anomalies.len(), MAX_ANOMALIES);
        assert_eq!(list.anomalies_omitted, 234);
        assert_eq!(list.anomalies[0].custom_id.as_ref().unwrap().len(), 515);
        list.push_first(Anomaly::new("f", 7, AnomalyCode::DamagedCompression, "m"));
        assert_eq!((list.anomalies.len(), list.anomalies[0].line, list.anomalies_omitted), (MAX_ANOMALIES, 7, 235));
        for code in [
            AnomalyCode::Bom,
            AnomalyCode::NotJsonl,
            AnomalyCode::DamagedCompression,
            AnomalyCode::ArrayAroundLines,
            AnomalyCode::WrappedList,
            AnomalyCode::ObjectOverLines,
            AnomalyCode::TextAfterObject,
            AnomalyCode::CarriageReturns,
            AnomalyCode::ConflictMarkers,
            AnomalyCode::UnreadableLine,
            AnomalyCode::UnknownShape,
            AnomalyCode::LineTooLong,
            AnomalyCode::NoCustomId,
            AnomalyCode::DoubledKey,
            AnomalyCode::DuplicateCustomId,
            AnomalyCode::ForeignCustomId,
            AnomalyCode::EmptyAnswer,
            AnomalyCode::ResponseAndError,
            AnomalyCode::NoStatusCode,
            AnomalyCode::BodyNotObject,
            AnomalyCode::ChangedWhileReading,
            AnomalyCode::CountsDiffer,
            AnomalyCode::UsageDiffers,
        ] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn an_excerpt_is_bounded_and_cuts_no_character() {
        assert_eq!(excerpt(b"a\xff\n"), "a\u{fffd}\n");
        assert_eq!(excerpt(&[b'x'; MAX_EXCERPT]).len(), MAX_EXCERPT);
        for (character, width) in [("é", 2), ("€", 3), ("😀", 4)] {
            for before in MAX_EXCERPT - width..=MAX_EXCERPT {
                let text = "x".repeat(before) + character + &"y".repeat(MAX_EXCERPT);
                let kept = if before + width <= MAX_EXCERPT { before + width } else { before };
                assert_eq!(excerpt(text.as_bytes()), text[..kept], "{character} at {before}");
            }
        }
        let mut list = Anomalies::default();
        let bytes = Bytes { offset: 7, length: 9, known: b"{" };
        list.push_bytes("f", 2, None, AnomalyCode::UnreadableLine, "m", Some(bytes));
        let value = serde_json::to_value(&list.anomalies[0]).unwrap();
        assert_eq!((&value["offset"], &value["length"], &value["excerpt"]), (&7.into(), &9.into(), &"{".into()));
    }

    #[test]
    fn prints_where_and_what() {
        let mut list = Anomalies::default();
        list.push("out.jsonl", 7, Some("a"), AnomalyCode::NoStatusCode, "no status code");
        assert_eq!(list.anomalies[0].to_string(), "out.jsonl, line 7 (\"a\"): no status code");
        let whole = Anomaly::new("batch b", 0, AnomalyCode::CountsDiffer, "3, but 2");
        assert_eq!(whole.to_string(), "batch b: 3, but 2");
    }
}
