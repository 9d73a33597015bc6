//! What `check` says is wrong with an input file, for programs and for people.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::raw::{SHOWN_ID, clip};

/// What is wrong with a request line, or with an input file as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingCode {
    /// The file holds no request line.
    EmptyFile,
    /// The file holds no lines of JSON: it is compressed, a page, in another encoding, or the like.
    NotJsonl,
    /// The file has more request lines than one batch may have.
    TooManyLines,
    /// The file has more bytes than one batch may have.
    FileTooLarge,
    /// The line alone has more bytes than a file may have. Nothing else was looked at.
    LineTooLong,
    /// A byte order mark stands before the line.
    Bom,
    /// The line is not UTF-8.
    InvalidUtf8,
    /// The line ends before its JSON object does.
    TruncatedLine,
    /// The line is no JSON.
    InvalidJson,
    /// Something follows the JSON object, such as a comma or another object.
    TextAfterObject,
    /// The lines stand in a JSON array.
    ArrayAroundLines,
    /// An object stands over several lines.
    ObjectOverLines,
    /// The lines end with a carriage return alone.
    CarriageReturns,
    /// Git's conflict markers stand in the file.
    ConflictMarkers,
    /// The line is JSON, but no object.
    NotAnObject,
    /// One of `custom_id`, `method`, `url` and `body` is missing.
    MissingKey,
    /// One of the four keys is given twice.
    DuplicateKey,
    /// One of the four keys, or a known field of the body, has a value of the wrong type.
    WrongType,
    /// The line holds half of a character (a lone surrogate), which is no text.
    LoneSurrogate,
    /// The custom_id is the empty text.
    EmptyCustomId,
    /// The custom_id has more characters than the service takes.
    CustomIdTooLong,
    /// The custom_id is that of an earlier line.
    DuplicateCustomId,
    /// The method is not POST.
    MethodNotPost,
    /// The url is none of the known endpoints.
    UnknownUrl,
    /// The url differs from the batch's endpoint, or from the first line's url.
    UrlDiffers,
    /// The body asks for a stream.
    StreamRequested,
    /// The body lacks a field that its endpoint needs, such as `model` or `messages`.
    MissingField,
    /// The body has a field that another endpoint has, and this one calls otherwise.
    MisplacedField,
    /// A field of the body has a shape that belongs elsewhere, such as a schema at the wrong level.
    WrongShape,
    /// A field of the body is less or more than the endpoint takes.
    OutOfRange,
    /// A text to embed is empty, or there is none.
    EmptyInput,
    /// One line has more texts to embed than one request takes.
    TooManyInputs,
    /// The file has more texts to embed than one batch takes.
    TooManyInputsInFile,
    /// The bodies name more models than one batch of the service takes.
    SeveralModels,
    /// The line, or the file, is of another format: request lines of another service, result lines, a bare body, rows.
    OtherFormat,
}

impl FindingCode {
    /// The code as it is serialised, such as `duplicate_custom_id`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EmptyFile => "empty_file",
            Self::NotJsonl => "not_jsonl",
            Self::TooManyLines => "too_many_lines",
            Self::FileTooLarge => "file_too_large",
            Self::LineTooLong => "line_too_long",
            Self::Bom => "bom",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::TruncatedLine => "truncated_line",
            Self::InvalidJson => "invalid_json",
            Self::TextAfterObject => "text_after_object",
            Self::ArrayAroundLines => "array_around_lines",
            Self::ObjectOverLines => "object_over_lines",
            Self::CarriageReturns => "carriage_returns",
            Self::ConflictMarkers => "conflict_markers",
            Self::NotAnObject => "not_an_object",
            Self::MissingKey => "missing_key",
            Self::DuplicateKey => "duplicate_key",
            Self::WrongType => "wrong_type",
            Self::LoneSurrogate => "lone_surrogate",
            Self::EmptyCustomId => "empty_custom_id",
            Self::CustomIdTooLong => "custom_id_too_long",
            Self::DuplicateCustomId => "duplicate_custom_id",
            Self::MethodNotPost => "method_not_post",
            Self::UnknownUrl => "unknown_url",
            Self::UrlDiffers => "url_differs",
            Self::StreamRequested => "stream_requested",
            Self::MissingField => "missing_field",
            Self::MisplacedField => "misplaced_field",
            Self::WrongShape => "wrong_shape",
            Self::OutOfRange => "out_of_range",
            Self::EmptyInput => "empty_input",
            Self::TooManyInputs => "too_many_inputs",
            Self::TooManyInputsInFile => "too_many_inputs_in_file",
            Self::SeveralModels => "several_models",
            Self::OtherFormat => "other_format",
        }
    }
}

impl fmt::Display for FindingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is wrong with an input file. It prints as
/// `line 42 ("inv-7"): url differs from the batch's endpoint: …`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// The line's number, from 1 with blank lines counted; `None` when it is about the file.
    pub line: Option<u64>,
    /// The line's custom_id, if it has one that can be read; cut after 512 bytes.
    pub custom_id: Option<String>,
    /// What is wrong, for programs.
    pub code: FindingCode,
    /// What is wrong and what to do, in words.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}")?;
            if let Some(custom_id) = &self.custom_id {
                write!(f, " ({:?})", clip(custom_id, SHOWN_ID))?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for Finding {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_where_what_and_what_to_do() {
        let mut finding = Finding {
            line: Some(42),
            custom_id: Some("inv\n7".to_owned()),
            code: FindingCode::UrlDiffers,
            message: "url differs".to_owned(),
        };
        assert_eq!(finding.to_string(), "line 42 (\"inv\\n7\"): url differs");
        finding.custom_id = None;
        assert_eq!(finding.to_string(), "line 42: url differs");
        finding.line = None;
        assert_eq!(finding.to_string(), "url differs");
        assert_eq!(
            serde_json::to_string(&finding).unwrap(),
            r#"{"line":null,"custom_id":null,"code":"url_differs","message":"url differs"}"#
        );
    }

    #[test]
    fn codes_are_spelled_once() {
        use FindingCode as C;
        for code in [
            C::EmptyFile,
            C::NotJsonl,
            C::TooManyLines,
            C::FileTooLarge,
            C::LineTooLong,
            C::Bom,
            C::InvalidUtf8,
            C::TruncatedLine,
            C::InvalidJson,
            C::TextAfterObject,
            C::ArrayAroundLines,
            C::ObjectOverLines,
            C::CarriageReturns,
            C::ConflictMarkers,
            C::NotAnObject,
            C::MissingKey,
            C::DuplicateKey,
            C::WrongType,
            C::LoneSurrogate,
            C::EmptyCustomId,
            C::CustomIdTooLong,
            C::DuplicateCustomId,
            C::MethodNotPost,
            C::UnknownUrl,
            C::UrlDiffers,
            C::StreamRequested,
            C::MissingField,
            C::MisplacedField,
            C::WrongShape,
            C::OutOfRange,
            C::EmptyInput,
            C::TooManyInputs,
            C::TooManyInputsInFile,
            C::SeveralModels,
            C::OtherFormat,
        ] {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }
}
