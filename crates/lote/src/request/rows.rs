//! Makes many request lines that differ in their content alone, one at a time.

use super::{ChatCompletion, Embeddings, ImageGeneration, Input, Messages, ModelResponse};
use crate::{Endpoint, Error, lines::RequestLine, text::shortened};

/// Keeps [`Request`] to the builders of this module.
pub trait Sealed {}

/// A builder of requests, as [`RequestLines`] needs it: its settings are shared, its content is a row's own.
pub trait Request: Clone + Sealed {
    /// What a row brings: messages, what to embed, or a prompt.
    type Content;

    /// The endpoint that the request is for.
    const ENDPOINT: Endpoint;

    /// The request with the content of a row, after what it holds already.
    #[must_use]
    fn content(self, content: Self::Content) -> Self;

    /// The request line.
    ///
    /// # Errors
    /// When a field is wrong, or `custom_id` is empty.
    fn into_line(self, custom_id: String) -> Result<RequestLine, Error>;
}

macro_rules! request {
    ($builder:ident, $content:ty, $with:ident) => {
        impl Request for $builder {
            type Content = $content;

            const ENDPOINT: Endpoint = $builder::ENDPOINT;

            fn content(self, content: $content) -> Self {
                self.$with(content)
            }

            fn into_line(self, custom_id: String) -> Result<RequestLine, Error> {
                self.line(custom_id)
            }
        }
    };
}

request!(ChatCompletion, Messages, messages);
request!(ModelResponse, Messages, messages);
request!(Embeddings, Input, input);
request!(ImageGeneration, String, prompt);

/// Request lines of one model with shared settings: rows bring a custom_id and their content.
///
/// ```
/// use lote::request::{ChatCompletion, Embeddings, Message, RequestLines};
///
/// let judge = ChatCompletion::new("gpt-4o-mini").system("Is it true?");
/// let judge = RequestLines::new(judge.temperature(0.0));
/// let claims = [("moon", "The moon is cheese."), ("sun", "The sun is hot.")];
/// let lines: Vec<_> = judge.for_rows(claims).collect::<Result<_, _>>()?;
/// assert_eq!(lines[1].body["messages"][1]["content"], "The sun is hot.");
/// // A row of several messages.
/// let talk = [
///     Message::user("Mars is red."),
///     Message::assistant("Yes."),
///     Message::user("Why?"),
/// ];
/// let line = judge.line("mars", talk)?;
/// assert_eq!(line.body["messages"].as_array().map(Vec::len), Some(4));
///
/// let embed = Embeddings::new("text-embedding-3-small").dimensions(256);
/// let embed = RequestLines::new(embed);
/// assert_eq!(embed.line("text-1", "some words")?.body["input"], "some words");
/// # Ok::<(), lote::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RequestLines<R> {
    shared: R,
}

impl<R: Request> RequestLines<R> {
    /// Lines that share the settings, and the messages, of this request.
    pub fn new(shared: R) -> Self {
        Self { shared }
    }

    /// One line.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid), naming every field that is wrong, and for an empty `custom_id`.
    pub fn line(&self, custom_id: impl Into<String>, content: impl Into<R::Content>) -> Result<RequestLine, Error> {
        let custom_id = custom_id.into();
        let line = self.shared.clone().content(content.into()).into_line(custom_id.clone());
        line.map_err(|error| error.context(format_args!("request line {:?}", shortened(&custom_id, 100))))
    }

    /// One line for each row, made when it is asked for.
    pub fn for_rows<I, C>(
        &self,
        rows: impl IntoIterator<Item = (I, C)>,
    ) -> impl Iterator<Item = Result<RequestLine, Error>>
    where
        I: Into<String>,
        C: Into<R::Content>,
    {
        rows.into_iter().map(|(custom_id, content)| self.line(custom_id, content))
    }
}
