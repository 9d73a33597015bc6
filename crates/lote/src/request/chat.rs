//! Requests for `/v1/chat/completions`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    Messages, Tool, ToolChoice, Wire,
    body::{Body, common, filled, names, setters},
    message::conversation,
    schema,
};
use crate::{Endpoint, Error, lines};

names!(
    /// How much a model is to think before it answers. Models differ in what they take; a value that is not here goes
    /// through `field`.
    ReasoningEffort {
        /// Not at all.
        None = "none",
        /// As little as possible.
        Minimal = "minimal",
        /// Little.
        Low = "low",
        /// The usual.
        Medium = "medium",
        /// Much.
        High = "high",
        /// Very much.
        Xhigh = "xhigh",
        /// As much as possible.
        Max = "max",
    }
);

/// A request for `/v1/chat/completions`.
///
/// Setters never fail: what is wrong is said by [`line`](Self::line), all of it at once. Field names are those of
/// OpenAI's API reference, whose bounds are for the service to check.
///
/// ```
/// use lote::request::ChatCompletion;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct Verdict {
///     good: bool,
///     why: Option<String>,
/// }
///
/// let line = ChatCompletion::new("gpt-4o-mini")
///     .system("Judge the review.")
///     .user("Never again.")
///     .temperature(0.2)
///     .max_completion_tokens(200)
///     .json_output::<Verdict>()
///     .field("service_tier", "flex")
///     .line("row-17")?;
/// assert_eq!(line.body["response_format"]["json_schema"]["name"], "Verdict");
///
/// let wrong = ChatCompletion::new("gpt-4o-mini").temperature(f64::NAN);
/// let error = wrong.line("row-18").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "chat completion: temperature: NaN is no number of JSON; \
///      messages: there is none; say something with .user(…)"
/// );
/// # Ok::<(), lote::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "it is nothing until .line(…) makes a request line of it"]
pub struct ChatCompletion {
    model: String,
    pub(super) messages: Messages,
    tools: Vec<Tool>,
    metadata: BTreeMap<String, String>,
    pub(super) body: Body,
}

impl ChatCompletion {
    /// A request of this model, such as `gpt-4o-mini`, or `auto` at MKA1.
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
        /// The most tokens of the answer, in the old spelling. Newer models of OpenAI take only
        /// [`max_completion_tokens`](Self::max_completion_tokens).
        max_tokens: u64,
        /// The most tokens of the answer, reasoning included.
        max_completion_tokens: u64,
        /// A number with which a service tries to answer the same again.
        seed: i64,
        /// How many answers to give, each of them paid for: see [`Outcome::texts`](crate::Outcome::texts).
        n: u32,
        /// Against tokens that were used before: -2 to 2 at OpenAI.
        presence_penalty: f64,
        /// Against tokens that were used often: -2 to 2 at OpenAI.
        frequency_penalty: f64,
        /// Whether to give the probabilities of the answer's tokens.
        logprobs: bool,
        /// How many alternatives to give for each token: 0 to 20 at OpenAI, and only with [`logprobs`](Self::logprobs).
        top_logprobs: u32,
        /// Whether several tools may be called at once.
        parallel_tool_calls: bool,
        /// How much the model is to think.
        reasoning_effort: ReasoningEffort,
        /// Whether the service may keep the answer.
        store: bool,
    );

    /// The end user that the request is for, by a name that is stable and tells nothing: the field `user`.
    pub fn end_user(mut self, id: impl Into<String>) -> Self {
        self.body.set("user", &id.into());
        self
    }

    /// Texts at which the answer ends: at most 4 at OpenAI. One is sent as a text, several as an array.
    pub fn stop<S: Into<String>>(mut self, texts: impl IntoIterator<Item = S>) -> Self {
        let mut texts: Vec<String> = texts.into_iter().map(Into::into).collect();
        match texts.len() {
            0 => {}
            1 => self.body.set("stop", &texts.remove(0)),
            _ => self.body.set("stop", &texts),
        }
        self
    }

    /// How likely single tokens are to be, from -100 to 100, by their ids.
    pub fn logit_bias(mut self, biases: impl IntoIterator<Item = (u32, f64)>) -> Self {
        self.body.set("logit_bias", &biases.into_iter().collect::<BTreeMap<_, _>>());
        self
    }

    /// A pair of the caller's own that the service keeps with the answer: at OpenAI at most 16, of keys up to 64 and
    /// values up to 512 characters.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self.body.set("metadata", &self.metadata);
        self
    }

    /// Adds a tool that the model may call.
    pub fn tool(mut self, tool: Tool) -> Self {
        self.tools.push(tool);
        self
    }

    /// Whether, and which, tool to call.
    pub fn tool_choice(mut self, choice: ToolChoice) -> Self {
        self.body.set("tool_choice", &choice.write(Wire::Chat));
        self
    }

    /// Asks for an answer that is JSON of `T`, and that the service forces into the schema of `T`
    /// (`response_format` with `json_schema` and `strict`). Read it with [`Outcome::json`](crate::Outcome::json).
    ///
    /// The schema is derived by schemars 1 and put into the strict subset:
    ///
    /// - Every field is required. An `Option` may be null, but is always there; a field with `#[serde(default)]` is
    ///   always there as well.
    /// - Bounds of lengths, unknown formats and examples, which services do not enforce, are told to the model in the
    ///   description. Doc comments are descriptions too: they steer the model.
    /// - Integers of up to 32 bits get the bounds of their type.
    /// - The tag and the fields of an enum's variants are kept; `oneOf` becomes `anyOf`. Begin the variants of an
    ///   untagged enum with fields of different names: OpenAI was seen to refuse alternatives that begin alike
    ///   (openai/openai-python#2193).
    ///
    /// # Errors of `line`
    /// What strict mode cannot say, each with the path of its field and with what to do instead: a `T` that is no
    /// object, maps, tuples, any-JSON values such as `serde_json::Value`, flattened maps and enums, and more than the
    /// limits of the service.
    #[cfg(feature = "schema")]
    pub fn json_output<T: schemars::JsonSchema>(mut self) -> Self {
        let format =
            schema::json_schema_format(Wire::Chat, &schema::name_of::<T>(), schema::strict_schema_of::<T>(), true);
        self.body.set_made("response_format", format.map_err(|problem| format!("json_output: {problem}")));
        self
    }

    /// Asks for an answer that is JSON of a schema of one's own, sent as it is. `strict` has the service force the
    /// answer into the schema, which must then be in the strict subset.
    pub fn json_schema(mut self, name: impl AsRef<str>, schema: impl Serialize, strict: bool) -> Self {
        let schema = lines::to_json(&schema).map_err(|error| error.to_string());
        self.body.set_made("response_format", schema::json_schema_format(Wire::Chat, name.as_ref(), schema, strict));
        self
    }

    /// Asks for an answer that is a JSON object of any kind. Services want the word JSON in a message then.
    pub fn json_object(mut self) -> Self {
        self.body.set("response_format", &json!({"type": "json_object"}));
        self
    }

    /// The body of the request line.
    ///
    /// # Errors
    /// Those of [`line`](Self::line).
    pub fn body(self) -> Result<Map<String, Value>, Error> {
        let Self { model, messages, tools, metadata: _, mut body } = self;
        write_tools(&mut body, &tools, Wire::Chat);
        let first = [("model", filled(&model, "name a model")), ("messages", messages.write(Wire::Chat))];
        body.finish("chat completion", first)
    }
}

pub(super) fn write_tools(body: &mut Body, tools: &[Tool], wire: Wire) {
    if tools.is_empty() {
        return;
    }
    let written =
        tools.iter().enumerate().map(|(at, tool)| tool.write(wire).map_err(|problem| format!("[{at}]: {problem}")));
    body.set_made("tools", written.collect());
}

conversation!(ChatCompletion);
common!(ChatCompletion, Endpoint::ChatCompletions);
