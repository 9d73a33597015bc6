//! What a model said in one answer, as chat completions, responses and legacy completions write it.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use super::json::{self, Json};
use crate::Error;

/// Why a model stopped. A reason that is not known is kept.
///
/// Of responses it is told by the status and `incomplete_details`: completed is [`Stop`](Self::Stop), or
/// [`ToolCalls`](Self::ToolCalls) when there are some; `max_output_tokens` is [`Length`](Self::Length).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FinishReason {
    /// It had said all.
    Stop,
    /// A limit of tokens: the answer is cut off.
    Length,
    /// It called tools.
    ToolCalls,
    /// The service held content back.
    ContentFilter,
    /// A reason that is not known, as it came.
    Other(String),
}

impl FinishReason {
    /// The spelling of chat completions.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Other(text) => text,
        }
    }
}

impl From<&str> for FinishReason {
    /// What is not known is kept.
    fn from(text: &str) -> Self {
        match text {
            "stop" | "completed" => Self::Stop,
            "length" | "max_tokens" | "max_output_tokens" | "model_length" => Self::Length,
            "tool_calls" | "function_call" => Self::ToolCalls,
            "content_filter" | "content_filtered" | "safety" => Self::ContentFilter,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A call of a tool that the model asks for.
///
/// ```
/// # let line = r#"{"custom_id":"a","response":{"status_code":200,"body":{"choices":[{"message":{"tool_calls":[{"id":"call_1","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Lima\"}"}}]}}]}}}"#;
/// # let outcome = lote::Outcome::from_line(line)?;
/// use lote::request::{ChatCompletion, Message};
///
/// #[derive(serde::Deserialize)]
/// struct Place {
///     city: String,
/// }
///
/// let calls = outcome.tool_calls()?;
/// let place: Place = calls[0].arguments_as()?;
/// assert_eq!((calls[0].name.as_str(), place.city.as_str()), ("get_weather", "Lima"));
///
/// // The next request carries the call and its result.
/// let result = Message::tool(&calls[0].id, "18 °C, dry");
/// let next = ChatCompletion::new("auto").user("Rain in Lima?");
/// let next = next.message(Message::tool_calls(calls)).message(result);
/// assert_eq!(next.line("a-2")?.body["messages"][2]["tool_call_id"], "call_1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// The id under which its result is to be given back: see [`Message::tool`](crate::request::Message::tool).
    pub id: String,
    /// The name of the function.
    pub name: String,
    /// The arguments as the model wrote them: JSON, unless the model made a mistake.
    pub arguments: String,
}

impl ToolCall {
    /// A call, to be put into a conversation.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> Self {
        Self { id: id.into(), name: name.into(), arguments: arguments.into() }
    }

    /// The arguments as the type that the tool was [declared with](crate::request::Tool::parameters_of).
    ///
    /// # Errors
    /// One that [`is_undecodable`](Error::is_undecodable) when they are no JSON of a `T`.
    pub fn arguments_as<T: DeserializeOwned>(&self) -> Result<T, Error> {
        json::parse(&self.arguments)
            .map_err(|error| Error::unreadable(format!("arguments of tool call {} ({}): {error}", self.name, self.id)))
    }
}

/// One answer: a choice of a chat completion, or a response.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// What it said, each message that has a text. A choice has one at the most.
    pub(super) messages: Vec<Message>,
    pub(super) refusal: Option<String>,
    pub(super) tool_calls: Vec<ToolCall>,
    pub(super) finish: Option<FinishReason>,
    /// The error within an answer that failed although its status is 200.
    pub(super) failure: Option<String>,
}

/// The text of one message, as the service divided it.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) parts: Vec<String>,
}

impl Message {
    pub(super) fn text(&self) -> String {
        self.parts.concat()
    }
}

/// All that was answered, or none when the body holds no answers of a model.
pub(super) fn replies(body: Json<'_>) -> Option<Vec<Reply>> {
    // What was transcribed, as a text of its own.
    if let Some(text) = body.text() {
        return Some(vec![Reply { messages: vec![Message { parts: vec![text] }], ..Reply::default() }]);
    }
    let [choices, output, object] = body.fields(["choices", "output", "object"]);
    if let Some(choices) = choices.and_then(Json::items) {
        return Some(choices.into_iter().map(choice).collect());
    }
    let output = output.and_then(Json::items);
    let is_response = output.is_some() || object.and_then(Json::text).is_some_and(|object| object == "response");
    is_response.then(|| vec![response(body, &output.unwrap_or_default())])
}

fn choice(choice: Json<'_>) -> Reply {
    let [message, text, finish] = choice.fields(["message", "text", "finish_reason"]);
    let mut reply =
        Reply { finish: finish.and_then(Json::text).map(|reason| reason.as_str().into()), ..Reply::default() };
    let Some(message) = message else {
        // Legacy completions have the text itself.
        reply.messages.extend(text.and_then(parts));
        return reply;
    };
    let [content, refusal, calls, function] = message.fields(["content", "refusal", "tool_calls", "function_call"]);
    reply.messages.extend(content.and_then(parts).or_else(|| text.and_then(parts)));
    let refusal = refusal.and_then(Json::text).filter(|text| !text.is_empty());
    reply.refusal = refusal.or_else(|| content.and_then(self::refusal));
    for call in calls.and_then(Json::items).unwrap_or_default() {
        let [function, custom] = call.fields(["function", "custom"]);
        reply.tool_calls.push(tool_call(call.text_of("id"), function.or(custom).unwrap_or(call)));
    }
    // `function_call`, which came before `tool_calls`.
    if let Some(function) = function.filter(|call| call.is_object()) {
        reply.tool_calls.push(tool_call(None, function));
    }
    reply
}

fn response(body: Json<'_>, output: &[Json<'_>]) -> Reply {
    let mut reply = Reply::default();
    let mut cut_off = false;
    for item in output {
        match item.get("type").and_then(Json::text).as_deref() {
            Some("function_call" | "custom_tool_call") => {
                let id = item.text_of("call_id").or_else(|| item.text_of("id"));
                reply.tool_calls.push(tool_call(id, *item));
            }
            Some("message") | None => {
                let [content, status] = item.fields(["content", "status"]);
                reply.messages.extend(content.and_then(parts));
                reply.refusal = reply.refusal.or_else(|| content.and_then(refusal));
                cut_off |= status.and_then(Json::text).is_some_and(|status| status == "incomplete");
            }
            // Reasoning, and calls of tools that the service ran itself.
            Some(_) => {}
        }
    }
    let [details, status, error] = body.fields(["incomplete_details", "status", "error"]);
    let reason = details.and_then(|details| details.text_of("reason"));
    let status = status.and_then(Json::text).filter(|status| !status.is_empty());
    reply.finish = match (reason, status.as_deref()) {
        (Some(reason), _) => Some(reason.as_str().into()),
        // A message that is not whole, in a response that does not say so.
        (None, Some("completed") | None) if cut_off => Some(FinishReason::Length),
        (None, Some("completed") | None) if !reply.tool_calls.is_empty() => Some(FinishReason::ToolCalls),
        (None, status) => status.map(FinishReason::from),
    };
    if status.as_deref() == Some("failed") {
        let message = error.and_then(|error| error.text_of("message"));
        reply.failure = Some(message.unwrap_or_else(|| "the service does not say why".to_owned()));
    }
    reply
}

fn tool_call(id: Option<String>, function: Json<'_>) -> ToolCall {
    // `input` is that of custom tools. Some services give arguments as an object.
    let [name, arguments, input] = function.fields(["name", "arguments", "input"]);
    let arguments = match arguments.or(input) {
        None => String::new(),
        Some(arguments) if arguments.is_null() => String::new(),
        Some(arguments) => arguments.text().unwrap_or_else(|| arguments.as_str().to_owned()),
    };
    ToolCall { id: id.unwrap_or_default(), name: name.and_then(Json::text).unwrap_or_default(), arguments }
}

/// The text of a content, which is the text itself or comes in parts; none where there is no text.
fn parts(content: Json<'_>) -> Option<Message> {
    let parts = match content.items() {
        None => content.text().into_iter().collect::<Vec<_>>(),
        Some(parts) => {
            let texts = parts.into_iter().filter_map(|part| {
                let [kind, text] = part.fields(["type", "text"]);
                let kind = kind.map(|kind| kind.text().unwrap_or_default());
                let is_text = kind.is_none_or(|kind| kind == "text" || kind == "output_text");
                text.filter(|_| is_text).and_then(Json::text)
            });
            texts.collect()
        }
    };
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then_some(Message { parts })
}

/// The refusal among the parts of a content.
fn refusal(content: Json<'_>) -> Option<String> {
    content.items()?.into_iter().find_map(|part| part.text_of("refusal"))
}
