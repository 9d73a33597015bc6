//! Requests for `/v1/responses`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Messages, ReasoningEffort, Tool, ToolChoice, Wire,
    body::{Body, common, filled, setters, text_setters},
    chat::write_tools,
    message::conversation,
    schema,
};
use crate::{Endpoint, Error, lines};

/// A request for `/v1/responses`, which OpenAI's reference calls a model response.
///
/// ```
/// use lote::request::{ModelResponse, ReasoningEffort};
///
/// let line = ModelResponse::new("gpt-5-mini")
///     .instructions("Answer in one word.")
///     .user("The capital of Peru?")
///     .reasoning_effort(ReasoningEffort::Low)
///     .max_output_tokens(50)
///     .line("row-1")?;
/// assert_eq!(line.url, "/v1/responses");
/// assert_eq!(line.body["reasoning"]["effort"], "low");
/// # Ok::<(), lote::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "it is nothing until .line(…) makes a request line of it"]
pub struct ModelResponse {
    model: String,
    pub(super) messages: Messages,
    tools: Vec<Tool>,
    metadata: BTreeMap<String, String>,
    pub(super) body: Body,
}

impl ModelResponse {
    /// A request of this model.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            messages: Messages::default(),
            tools: Vec::new(),
            metadata: BTreeMap::new(),
            body: Body::default(),
        }
    }

    setters!(
        /// How much chance there is in the answer: 0 to 2 at OpenAI.
        temperature: f64,
        /// Of the likeliest tokens, how much probability to choose from: 0 to 1.
        top_p: f64,
        /// The most tokens of the answer, reasoning included.
        max_output_tokens: u64,
        /// How many alternatives to give for each token: 0 to 20 at OpenAI.
        top_logprobs: u32,
        /// Whether several tools may be called at once.
        parallel_tool_calls: bool,
        /// Whether the service may keep the answer.
        store: bool,
    );

    text_setters!(
        /// What the model is to do, before all messages.
        instructions,
        /// What to do when the conversation is too long for the model: `auto` drops its middle, `disabled` fails.
        truncation,
    );

    /// How much the model is to think: `effort` within the field `reasoning`.
    pub fn reasoning_effort(mut self, effort: ReasoningEffort) -> Self {
        self.body.set_in("reasoning", "effort", &effort);
        self
    }

    /// The end user that the request is for, by a name that is stable and tells nothing: the field `user`.
    pub fn end_user(mut self, id: impl Into<String>) -> Self {
        self.body.set("user", &id.into());
        self
    }

    /// A pair of the caller's own that the service keeps with the answer: at OpenAI at most 16, of keys up to 64 and
    /// values up to 512 characters.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self.body.set("metadata", &self.metadata);
        self
    }

    /// Adds a tool that the model may call, or one that the service runs itself: see [`Tool::raw`].
    pub fn tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// Whether, and which, tool to call.
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.body.set("tool_choice", &choice.write(Wire::Responses));
        self
    }

    /// Asks for an answer that is JSON of `T`, through `text.format`: see
    /// [`ChatCompletion::json_output`](super::ChatCompletion::json_output) for what `T` may be.
    #[cfg(feature = "schema")]
    pub fn json_output<T: schemars::JsonSchema>(self) -> Self {
        let (name, schema) = (schema::name_of::<T>(), schema::strict_schema_of::<T>());
        self.format(schema::json_schema_format(Wire::Responses, &name, schema, true), "json_output: ")
    }

    /// Asks for an answer that is JSON of a schema of one's own, sent as it is. `strict` has the service force the
    /// answer into the schema, which must then be in the strict subset.
    pub fn json_schema(self, name: impl AsRef<str>, schema: impl Serialize, strict: bool) -> Self {
        let schema = lines::to_json(&schema).map_err(|error| error.to_string());
        self.format(schema::json_schema_format(Wire::Responses, name.as_ref(), schema, strict), "")
    }

    /// Asks for an answer that is a JSON object of any kind. Services want the word JSON in a message then.
    pub fn json_object(self) -> Self {
        self.format(Ok(json!({"type": "json_object"})), "")
    }

    fn format(mut self, format: Result<Value, String>, what: &str) -> Self {
        match format {
            Ok(format) => self.body.set_in("text", "format", &format),
            Err(problem) => self.body.problem("text.format", format_args!("{what}{problem}")),
        }
        self
    }

    /// The body of the request line.
    ///
    /// # Errors
    /// Those of [`line`](Self::line).
    pub fn body(self) -> Result<Map<String, Value>, Error> {
        let Self { model, messages, tools, metadata: _, mut body } = self;
        write_tools(&mut body, &tools, Wire::Responses);
        let first = [("model", filled(&model, "name a model")), ("input", messages.write(Wire::Responses))];
        body.finish("model response", first)
    }
}

conversation!(ModelResponse);
common!(ModelResponse, Endpoint::Responses);
