//! An answer as server-sent events, as the services stream it: made from the answer that is whole, piece by piece.

mod chat;
mod completions;
mod images;
mod responses;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::contract::{Endpoint, View};
use crate::run::Body;

/// Characters in a piece of text: about four tokens.
const PIECE: usize = 16;

/// What is asked of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streaming {
    view: View,
    /// Whether the usage is to come at the end (`stream_options.include_usage`).
    usage: bool,
}

/// The events of one answer.
pub(super) type Events = Box<dyn Iterator<Item = Bytes> + Send>;

impl Streaming {
    /// Set when a body asks for a stream. What is no boolean the model refuses.
    pub(super) fn asked(view: View, body: &RawValue) -> Option<Streaming> {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Options {
            include_usage: Option<bool>,
        }
        let body: Body<'_> = serde_json::from_str(body.get()).ok()?;
        body.stream.filter(|stream| stream.get() == "true")?;
        let options: Options =
            body.stream_options.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        Some(Streaming { view, usage: options.include_usage == Some(true) })
    }
}

/// What makes events of an answer.
type Maker = fn(Value, Streaming) -> Events;

fn maker(endpoint: Endpoint) -> Option<Maker> {
    match endpoint {
        Endpoint::ChatCompletions => Some(chat::events),
        Endpoint::Completions => Some(completions::events),
        Endpoint::Responses => Some(responses::events),
        Endpoint::ImageGenerations => Some(images::generated),
        Endpoint::ImageEdits => Some(images::edited),
        Endpoint::Embeddings | Endpoint::Moderations | Endpoint::Videos => None,
    }
}

/// Whether an endpoint has a stream.
pub(super) fn has(endpoint: Endpoint) -> bool {
    maker(endpoint).is_some()
}

/// The events of a successful answer; none where an endpoint has no stream.
pub(super) fn events(endpoint: Endpoint, streaming: Streaming, answer: &[u8]) -> Option<Events> {
    // The gateway wrote it.
    Some(maker(endpoint)?(serde_json::from_slice(answer).ok()?, streaming))
}

/// An event without a name.
fn data(body: &Value) -> Bytes {
    format!("data: {body}\n\n").into()
}

/// An event with the name that its body has as `type`.
fn named(body: &Value) -> Bytes {
    format!("event: {}\ndata: {body}\n\n", body["type"].as_str().unwrap_or_default()).into()
}

/// What ends a stream of events without names.
fn done() -> Bytes {
    Bytes::from_static(b"data: [DONE]\n\n")
}

/// The items of a list in an answer.
fn list(answer: &mut Value, name: &str) -> Vec<Value> {
    match answer.get_mut(name).map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// A text piece by piece; an empty one has none.
fn pieces(text: Value) -> impl Iterator<Item = String> + Send {
    let text = if let Value::String(text) = text { text } else { String::new() };
    let mut at = 0;
    std::iter::from_fn(move || {
        let piece: String = text[at..].chars().take(PIECE).collect();
        at += piece.len();
        (!piece.is_empty()).then_some(piece)
    })
}

/// The chunks of an answer with choices: those of each choice, then perhaps the usage, then the end.
fn chunks<I>(mut answer: Value, object: &'static str, streaming: Streaming, of: fn(Value) -> I) -> Events
where
    I: Iterator<Item = Value> + Send + 'static,
{
    let choices = list(&mut answer, "choices");
    let usage = answer["usage"].take();
    let chunk = move |choices: Vec<Value>, usage: Value| {
        let mut chunk = json!({
            "id": answer["id"], "object": object, "created": answer["created"], "model": answer["model"],
            "choices": choices,
        });
        if streaming.usage {
            chunk["usage"] = usage;
        }
        data(&chunk)
    };
    let last = streaming.usage.then(|| chunk(Vec::new(), usage));
    let chunks = choices.into_iter().flat_map(of).map(move |choice| chunk(vec![choice], Value::Null));
    Box::new(chunks.chain(last).chain([done()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(events: Events) -> Vec<String> {
        events.map(|event| String::from_utf8(event.to_vec()).unwrap()).collect()
    }

    #[test]
    fn a_stream_is_asked_for_by_true_alone() {
        for (body, usage) in [
            (r#"{"stream": true}"#, Some(false)),
            (r#"{"stream": true, "stream_options": {"include_usage": true}}"#, Some(true)),
            (r#"{"stream": true, "stream_options": {"include_usage": null, "other": 1}}"#, Some(false)),
            (r#"{"stream": true, "stream_options": null}"#, Some(false)),
            (r#"{"stream": false, "stream": true}"#, Some(false)),
            (r#"{"stream": true, "stream": false}"#, None),
            (r#"{"stream": "true"}"#, None),
            (r#"{"stream": null}"#, None),
            ("{}", None),
        ] {
            let raw = RawValue::from_string(body.to_owned()).unwrap();
            assert_eq!(Streaming::asked(View::OpenAi, &raw).map(|streaming| streaming.usage), usage, "{body}");
        }
    }

    #[test]
    fn the_pieces_are_the_text() {
        for text in ["", "a", "äöü€😀", &"wörter und mehr ".repeat(9)] {
            let found: Vec<String> = pieces(json!(text)).collect();
            assert_eq!(found.concat(), text);
            assert!(found.iter().all(|piece| (1..=PIECE).contains(&piece.chars().count())), "{found:?}");
        }
    }

    #[test]
    fn a_chat_streams_its_choices_its_usage_and_its_end() {
        let answer = json!({
            "id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m",
            "choices": [{
                "index": 0, "message": {"role": "assistant", "content": "seventeen letters", "refusal": null},
                "logprobs": null, "finish_reason": "length",
            }],
            "usage": {"total_tokens": 3},
        });
        let head = r#"data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"m","#;
        let choice = |delta: &str, reason: &str, more: &str| {
            format!(
                "{head}\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\"finish_reason\":{reason}}}]{more}}}\n\n"
            )
        };
        let expected = |more: &str| {
            vec![
                choice(r#"{"role":"assistant","content":"","refusal":null}"#, "null", more),
                choice(r#"{"content":"seventeen letter"}"#, "null", more),
                choice(r#"{"content":"s"}"#, "null", more),
                choice("{}", r#""length""#, more),
            ]
        };
        let bytes = answer.to_string().into_bytes();
        let found =
            |usage| joined(events(Endpoint::ChatCompletions, Streaming { view: View::OpenAi, usage }, &bytes).unwrap());
        let mut plain = expected("");
        plain.push("data: [DONE]\n\n".to_owned());
        assert_eq!(found(false), plain);
        let mut counted = expected(r#","usage":null"#);
        counted.push(format!("{head}\"choices\":[],\"usage\":{{\"total_tokens\":3}}}}\n\n"));
        counted.push("data: [DONE]\n\n".to_owned());
        assert_eq!(found(true), counted);
        assert!(events(Endpoint::Embeddings, Streaming { view: View::OpenAi, usage: false }, &bytes).is_none());
    }
}
