//! Owns the form of an upload (`multipart/form-data`): reqwest's own would bring three crates, to guess the types of files.

use std::{
    hash::{BuildHasher, RandomState},
    io,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

/// The fields of a form and, behind them, its file.
pub(crate) struct Form {
    /// What stands between the parts, and in no file by chance.
    boundary: String,
    head: String,
}

impl Form {
    pub(crate) fn new(fields: &[(String, String)], file_name: &str, media_type: &str) -> Self {
        let random = || RandomState::new().hash_one(0);
        Self::with_boundary(format!("{:016x}{:016x}", random(), random()), fields, file_name, media_type)
    }

    fn with_boundary(boundary: String, fields: &[(String, String)], file_name: &str, media_type: &str) -> Self {
        let part = |name: &str| format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(name));
        let mut head = String::new();
        for (name, value) in fields {
            head += &format!("{}\r\n\r\n{value}\r\n", part(name));
        }
        head += &format!("{}; filename=\"{}\"\r\nContent-Type: {media_type}\r\n\r\n", part("file"), quoted(file_name));
        Self { boundary, head }
    }

    pub(crate) fn content_type(&self) -> String {
        format!("multipart/form-data; boundary={}", self.boundary)
    }

    fn tail(&self) -> String {
        format!("\r\n--{}--\r\n", self.boundary)
    }

    /// How long it is with a file of so many bytes.
    pub(crate) fn length(&self, file: u64) -> u64 {
        (self.head.len() + self.tail().len()) as u64 + file
    }

    pub(crate) fn around(
        self,
        file: impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
        let tail = self.tail();
        let one = |text: String| stream::iter([Ok(Bytes::from(text))]);
        one(self.head).chain(file).chain(one(tail))
    }
}

/// A text between quotation marks, as it is read back by who follows RFC 7578; ends of lines would end the header.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_as_long_as_it_says_and_no_name_ends_a_header() {
        let fields = [("purpose".to_owned(), "batch".to_owned()), ("a\"b".to_owned(), "ü".to_owned())];
        let form = Form::with_boundary("b".to_owned(), &fields, "x\r\ny\\\"é.jsonl", "application/jsonl");
        let length = form.length(4);
        assert_eq!(form.content_type(), "multipart/form-data; boundary=b");
        let file = stream::iter([Ok(Bytes::from_static(b"o")), Ok(Bytes::from_static(b"ne\n"))]);
        let mut whole = Vec::new();
        let pieces = form.around(file);
        let mut pieces = std::pin::pin!(pieces);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        while let std::task::Poll::Ready(Some(piece)) = pieces.poll_next_unpin(&mut context) {
            whole.extend_from_slice(&piece.unwrap());
        }
        let expected = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
                        --b\r\nContent-Disposition: form-data; name=\"a\\\"b\"\r\n\r\nü\r\n\
                        --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x%0D%0Ay\\\\\\\"é.jsonl\"\r\n\
                        Content-Type: application/jsonl\r\n\r\none\n\r\n--b--\r\n";
        assert_eq!(String::from_utf8(whole).unwrap(), expected);
        assert_eq!(length, expected.len() as u64);
    }

    #[test]
    fn no_two_forms_have_one_boundary() {
        let form = || Form::new(&[], "a", "b").content_type();
        assert_ne!(form(), form());
    }
}
