//! Messages, as chat completions and as responses write them.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Content, Part, Wire};
use crate::{lines, outcome::ToolCall};

/// One message of a conversation. The same value serves [`ChatCompletion`](super::ChatCompletion) and
/// [`ModelResponse`](super::ModelResponse), which write it differently.
///
/// ```
/// use lote::request::{ChatCompletion, Message, Part};
///
/// let line = ChatCompletion::new("gpt-4o-mini")
///     .messages([
///         Message::system("Answer in one word."),
///         Message::user([
///             Part::text("What is this?"),
///             Part::image_url("https://example.com/cat.png"),
///         ]),
///         Message::assistant("A dog."),
///         Message::user("Look again."),
///     ])
///     .line("row-1")?;
/// let image = &line.body["messages"][1]["content"][1]["image_url"];
/// assert_eq!(image["url"], "https://example.com/cat.png");
/// # Ok::<(), lote::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    kind: Kind,
    name: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Said { role: &'static str, content: Content },
    Calls(Vec<ToolCall>),
    ToolResult { call_id: String, content: Content },
    Raw(Result<Value, String>),
}

impl Message {
    /// What the model is to do, of role `system`.
    pub fn system(content: impl Into<Content>) -> Self {
        Self::said("system", content)
    }

    /// What the model is to do, of role `developer`: what newer models of OpenAI call `system`.
    pub fn developer(content: impl Into<Content>) -> Self {
        Self::said("developer", content)
    }

    /// What the user says: a text, or [parts](Part) with images, sound and files.
    pub fn user(content: impl Into<Content>) -> Self {
        Self::said("user", content)
    }

    /// What the model said.
    pub fn assistant(content: impl Into<Content>) -> Self {
        Self::said("assistant", content)
    }

    /// What the model called, such as the [tool calls](crate::Outcome::tool_calls) of an earlier outcome.
    pub fn tool_calls(calls: impl IntoIterator<Item = ToolCall>) -> Self {
        Self { kind: Kind::Calls(calls.into_iter().collect()), name: None }
    }

    /// What a tool that was called gave back.
    pub fn tool(call_id: impl Into<String>, content: impl Into<Content>) -> Self {
        Self { kind: Kind::ToolResult { call_id: call_id.into(), content: content.into() }, name: None }
    }

    /// A message in the wire form of its endpoint, sent as it is.
    pub fn raw(message: impl Serialize) -> Self {
        Self { kind: Kind::Raw(lines::to_json(&message).map_err(|error| error.to_string())), name: None }
    }

    /// The name of who speaks, to tell apart speakers of one role. Only chat completions know it.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    fn said(role: &'static str, content: impl Into<Content>) -> Self {
        Self { kind: Kind::Said { role, content: content.into() }, name: None }
    }

    /// The message as the endpoint writes it. Responses write each tool call as an item of its own.
    fn write(&self, wire: Wire, out: &mut Vec<Value>) -> Result<(), String> {
        let mut written = match (&self.kind, wire) {
            (Kind::Raw(value), _) => value.clone()?,
            (Kind::Said { role, content }, _) => {
                json!({"role": role, "content": content.write(wire, *role == "assistant")?})
            }
            (Kind::Calls(calls), Wire::Chat) => {
                let calls: Vec<Value> = calls
                    .iter()
                    .map(|call| {
                        let function = json!({"name": call.name, "arguments": call.arguments});
                        json!({"id": call.id, "type": "function", "function": function})
                    })
                    .collect();
                if calls.is_empty() {
                    return Err("tool_calls: there is none; leave the message out".to_owned());
                }
                json!({"role": "assistant", "tool_calls": calls})
            }
            (Kind::Calls(calls), Wire::Responses) => {
                out.extend(calls.iter().map(|call| {
                    let (id, name, arguments) = (&call.id, &call.name, &call.arguments);
                    json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments})
                }));
                return Ok(());
            }
            (Kind::ToolResult { call_id, content }, Wire::Chat) => {
                json!({"role": "tool", "tool_call_id": call_id, "content": content.write(wire, false)?})
            }
            (Kind::ToolResult { call_id, content }, Wire::Responses) => {
                json!({"type": "function_call_output", "call_id": call_id, "output": content.write(wire, false)?})
            }
        };
        match (&self.name, wire) {
            (None, _) => {}
            (Some(name), Wire::Chat) => written["name"] = json!(name),
            (Some(_), Wire::Responses) => {
                return Err("name: responses know no names of speakers; say it in the text".to_owned());
            }
        }
        out.push(written);
        Ok(())
    }
}

/// Messages, in order. Made of one message, of several, or of a text, which is what the user says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Messages(pub(super) Vec<Message>);

impl Messages {
    pub(super) fn write(&self, wire: Wire) -> Result<Value, String> {
        if self.0.is_empty() {
            return Err("there is none; say something with .user(…)".to_owned());
        }
        let mut out = Vec::with_capacity(self.0.len());
        for (at, message) in self.0.iter().enumerate() {
            message.write(wire, &mut out).map_err(|problem| format!("[{at}]: {problem}"))?;
        }
        Ok(Value::Array(out))
    }
}

impl From<Message> for Messages {
    fn from(message: Message) -> Self {
        Self(vec![message])
    }
}

impl From<&str> for Messages {
    fn from(text: &str) -> Self {
        Message::user(text).into()
    }
}

impl From<String> for Messages {
    fn from(text: String) -> Self {
        Message::user(text).into()
    }
}

impl From<Vec<Message>> for Messages {
    fn from(messages: Vec<Message>) -> Self {
        Self(messages)
    }
}

impl<const N: usize> From<[Message; N]> for Messages {
    fn from(messages: [Message; N]) -> Self {
        Self(messages.into())
    }
}

impl<const N: usize> From<[Part; N]> for Messages {
    /// What the user says, in parts.
    fn from(parts: [Part; N]) -> Self {
        Message::user(parts).into()
    }
}

impl FromIterator<Message> for Messages {
    fn from_iter<I: IntoIterator<Item = Message>>(messages: I) -> Self {
        Self(messages.into_iter().collect())
    }
}

/// The builders that hold a conversation.
macro_rules! conversation {
    ($builder:ident) => {
        impl $builder {
            /// Adds a message of role `system`: what the model is to do.
            pub fn system(self, content: impl Into<super::Content>) -> Self {
                self.message(super::Message::system(content))
            }

            /// Adds a message of role `developer`: what newer models of OpenAI call `system`.
            pub fn developer(self, content: impl Into<super::Content>) -> Self {
                self.message(super::Message::developer(content))
            }

            /// Adds what the user says: a text, or [parts](super::Part) with images, sound and files.
            pub fn user(self, content: impl Into<super::Content>) -> Self {
                self.message(super::Message::user(content))
            }

            /// Adds what the model said.
            pub fn assistant(self, content: impl Into<super::Content>) -> Self {
                self.message(super::Message::assistant(content))
            }

            /// Adds a message of any kind.
            pub fn message(mut self, message: super::Message) -> Self {
                self.messages.0.push(message);
                self
            }

            /// Adds messages. A text is what the user says.
            pub fn messages(mut self, messages: impl Into<super::Messages>) -> Self {
                self.messages.0.extend(messages.into().0);
                self
            }
        }
    };
}

pub(super) use conversation;
