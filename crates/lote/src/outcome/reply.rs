//! What a model said in one answer, as chat completions, responses and legacy completions write it.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

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
            "length" | "max_output_tokens" => Self::Length,
            "tool_calls" | "function_call" => Self::ToolCalls,
            "content_filter" => Self::ContentFilter,
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
        serde_json::from_str(&self.arguments)
            .map_err(|error| Error::unreadable(format!("arguments of tool call {} ({}): {error}", self.name, self.id)))
    }
}

/// One answer: a choice of a chat completion, or a response.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) text: Option<String>,
    pub(super) refusal: Option<String>,
    pub(super) tool_calls: Vec<ToolCall>,
    pub(super) finish: Option<FinishReason>,
    /// The error within a response that failed although its status is 200.
    pub(super) failure: Option<String>,
}

/// All that was answered, or none when the body holds no answers of a model.
pub(super) fn replies(body: &Value) -> Option<Vec<Reply>> {
    if let Some(choices) = body.get("choices").and_then(Value::as_array) {
        return Some(choices.iter().map(choice).collect());
    }
    let output = body.get("output").and_then(Value::as_array);
    let is_response = output.is_some() || body.get("object").is_some_and(|object| object == "response");
    is_response.then(|| vec![response(body, output.map_or(&[], Vec::as_slice))])
}

fn choice(choice: &Value) -> Reply {
    let message = choice.get("message").unwrap_or(&Value::Null);
    let mut reply = Reply {
        // `text` is that of legacy completions.
        text: message.get("content").and_then(content).or_else(|| string(choice, "text")),
        refusal: string(message, "refusal").or_else(|| message.get("content").and_then(refusal)),
        finish: choice.get("finish_reason").and_then(Value::as_str).map(FinishReason::from),
        ..Reply::default()
    };
    let calls = message.get("tool_calls").and_then(Value::as_array);
    for call in calls.into_iter().flatten() {
        let function = call.get("function").or_else(|| call.get("custom")).unwrap_or(call);
        reply.tool_calls.push(tool_call(string(call, "id"), function));
    }
    // `function_call`, which came before `tool_calls`.
    if let Some(function) = message.get("function_call").filter(|call| call.is_object()) {
        reply.tool_calls.push(tool_call(None, function));
    }
    reply
}

fn response(body: &Value, output: &[Value]) -> Reply {
    let mut reply = Reply::default();
    for item in output {
        match item.get("type").and_then(Value::as_str) {
            Some("function_call" | "custom_tool_call") => {
                let id = string(item, "call_id").or_else(|| string(item, "id"));
                reply.tool_calls.push(tool_call(id, item));
            }
            Some("message") | None => {
                let parts = item.get("content").unwrap_or(&Value::Null);
                if let Some(text) = content(parts) {
                    reply.text.get_or_insert_default().push_str(&text);
                }
                reply.refusal = reply.refusal.or_else(|| refusal(parts));
            }
            // Reasoning, and calls of tools that the service ran itself.
            Some(_) => {}
        }
    }
    let reason = body.get("incomplete_details").and_then(|details| string(details, "reason"));
    let status = string(body, "status");
    reply.finish = match (reason, status.as_deref()) {
        (Some(reason), _) => Some(reason.as_str().into()),
        (None, Some("completed") | None) if !reply.tool_calls.is_empty() => Some(FinishReason::ToolCalls),
        (None, status) => status.map(FinishReason::from),
    };
    if status.as_deref() == Some("failed") {
        let message = body.get("error").and_then(|error| string(error, "message"));
        reply.failure = Some(message.unwrap_or_else(|| "the service does not say why".to_owned()));
    }
    reply
}

fn tool_call(id: Option<String>, function: &Value) -> ToolCall {
    // `input` is that of custom tools. Some services give arguments as an object.
    let arguments = function.get("arguments").or_else(|| function.get("input"));
    let arguments = match arguments {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    };
    ToolCall { id: id.unwrap_or_default(), name: string(function, "name").unwrap_or_default(), arguments }
}

/// The text of a content: the text itself, or its parts put together.
fn content(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts
                .iter()
                .filter(|part| part.get("type").is_none_or(|kind| kind == "text" || kind == "output_text"))
                .filter_map(|part| part.get("text").and_then(Value::as_str))
                .collect();
            (!texts.is_empty()).then(|| texts.concat())
        }
        _ => None,
    }
}

/// The refusal among the parts of a content.
fn refusal(content: &Value) -> Option<String> {
    content.as_array()?.iter().find_map(|part| string(part, "refusal"))
}

/// A text that is not empty.
fn string(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}
