//! The media types of file contents.

use crate::contract::{RESULT_PURPOSE, View};
use crate::state::FileRecord;

/// File name endings and media types: exactly those that MKA1 declares for contents (the list in
/// its client's content operation). Its client fails on any other.
const KNOWN: [(&str, &str); 31] = [
    ("txt", "text/plain"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("css", "text/css"),
    ("js", "text/javascript"),
    ("md", "text/markdown"),
    ("py", "text/x-python"),
    ("xml", "application/xml"),
    ("json", "application/json"),
    ("ndjson", "application/x-ndjson"),
    ("jsonl", "application/jsonl"),
    ("pdf", "application/pdf"),
    ("rtf", "application/rtf"),
    ("doc", "application/msword"),
    ("xls", "application/vnd.ms-excel"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("png", "image/png"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("tiff", "image/tiff"),
    ("tif", "image/tiff"),
    ("svg", "image/svg+xml"),
    ("htm", "text/html"),
    ("log", "text/plain"),
    ("", "text/xml"),
    ("", "application/javascript"),
];

/// The media type that a client sent, if contents are served as it.
pub(super) fn known(sent: &str) -> Option<&'static str> {
    KNOWN.iter().map(|(_, known)| *known).find(|known| known.eq_ignore_ascii_case(sent))
}

/// The type that the content of `file` is served as: by its purpose, its name, its upload.
pub(super) fn media_type(file: &FileRecord, view: View) -> &'static str {
    if file.purpose == "batch" || file.purpose == RESULT_PURPOSE {
        return "application/jsonl";
    }
    let ending = file.filename.rsplit_once('.').map_or("", |(_, ending)| ending);
    let named = KNOWN.iter().find(|(known, _)| !known.is_empty() && known.eq_ignore_ascii_case(ending));
    match (named, file.media_type, view) {
        (Some((_, named)), _, _) => named,
        (None, Some(uploaded), _) => uploaded,
        (None, None, View::Mka1) => "text/plain",
        (None, None, View::OpenAi) => "application/octet-stream",
    }
}
