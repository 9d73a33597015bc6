//! The types of the fields that an endpoint is known to have.

use serde_json::Value;

use crate::contract::Endpoint;
use crate::model::Refusal;
use crate::model::body::{Body, given};

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    Integer,
    Boolean,
    List,
    Object,
    TextOrList,
    TextOrObject,
}

use Kind::{Boolean, Integer, List, Number, Object, Text, TextOrList, TextOrObject};

impl Kind {
    fn holds(self, value: &Value) -> bool {
        match self {
            Text => value.is_string(),
            Number => value.is_number(),
            // JSON Schema counts 2.0 among the integers.
            Integer => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
            Boolean => value.is_boolean(),
            List => value.is_array(),
            Object => value.is_object(),
            TextOrList => value.is_string() || value.is_array(),
            TextOrObject => value.is_string() || value.is_object(),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Text => "a string",
            Number => "a number",
            Integer => "an integer",
            Boolean => "a boolean",
            List => "an array",
            Object => "an object",
            TextOrList => "a string or an array",
            TextOrObject => "a string or an object",
        }
    }
}

/// CreateChatCompletionRequest.
const CHAT: &[(&str, Kind)] = &[
    ("audio", Object),
    ("frequency_penalty", Number),
    ("function_call", TextOrObject),
    ("functions", List),
    ("logit_bias", Object),
    ("logprobs", Boolean),
    ("max_completion_tokens", Integer),
    ("max_tokens", Integer),
    ("messages", List),
    ("metadata", Object),
    ("modalities", List),
    ("model", Text),
    ("moderation", Object),
    ("n", Integer),
    ("parallel_tool_calls", Boolean),
    ("prediction", Object),
    ("presence_penalty", Number),
    ("prompt_cache_key", Text),
    ("prompt_cache_options", Object),
    ("prompt_cache_retention", Text),
    ("reasoning_effort", Text),
    ("response_format", Object),
    ("safety_identifier", Text),
    ("seed", Integer),
    ("service_tier", Text),
    ("stop", TextOrList),
    ("store", Boolean),
    ("stream", Boolean),
    ("stream_options", Object),
    ("temperature", Number),
    ("tool_choice", TextOrObject),
    ("tools", List),
    ("top_logprobs", Integer),
    ("top_p", Number),
    ("user", Text),
    ("verbosity", Text),
    ("web_search_options", Object),
];

/// CreateResponse.
const RESPONSES: &[(&str, Kind)] = &[
    ("background", Boolean),
    ("context_management", List),
    ("conversation", TextOrObject),
    ("include", List),
    ("input", TextOrList),
    ("instructions", Text),
    ("max_output_tokens", Integer),
    ("max_tool_calls", Integer),
    ("metadata", Object),
    ("model", Text),
    ("moderation", Object),
    ("parallel_tool_calls", Boolean),
    ("previous_response_id", Text),
    ("prompt", Object),
    ("prompt_cache_key", Text),
    ("prompt_cache_options", Object),
    ("prompt_cache_retention", Text),
    ("reasoning", Object),
    ("safety_identifier", Text),
    ("service_tier", Text),
    ("store", Boolean),
    ("stream", Boolean),
    ("stream_options", Object),
    ("temperature", Number),
    ("text", Object),
    ("tool_choice", TextOrObject),
    ("tools", List),
    ("top_logprobs", Integer),
    ("top_p", Number),
    ("truncation", Text),
    ("user", Text),
];

/// CreateEmbeddingRequest.
const EMBEDDINGS: &[(&str, Kind)] =
    &[("dimensions", Integer), ("encoding_format", Text), ("input", TextOrList), ("model", Text), ("user", Text)];

/// CreateCompletionRequest.
const COMPLETIONS: &[(&str, Kind)] = &[
    ("best_of", Integer),
    ("echo", Boolean),
    ("frequency_penalty", Number),
    ("logit_bias", Object),
    ("logprobs", Integer),
    ("max_tokens", Integer),
    ("model", Text),
    ("n", Integer),
    ("presence_penalty", Number),
    ("prompt", TextOrList),
    ("seed", Integer),
    ("stop", TextOrList),
    ("stream", Boolean),
    ("stream_options", Object),
    ("suffix", Text),
    ("temperature", Number),
    ("top_p", Number),
    ("user", Text),
];

/// CreateModerationRequest.
const MODERATIONS: &[(&str, Kind)] = &[("input", TextOrList), ("model", Text)];

/// CreateImageRequest.
const IMAGES: &[(&str, Kind)] = &[
    ("background", Text),
    ("model", Text),
    ("moderation", Text),
    ("n", Integer),
    ("output_compression", Integer),
    ("output_format", Text),
    ("partial_images", Integer),
    ("prompt", Text),
    ("quality", Text),
    ("response_format", Text),
    ("size", Text),
    ("stream", Boolean),
    ("style", Text),
    ("user", Text),
];

/// EditImageBodyJsonParam.
const EDITS: &[(&str, Kind)] = &[
    ("background", Text),
    ("images", List),
    ("input_fidelity", Text),
    ("mask", Object),
    ("model", Text),
    ("moderation", Text),
    ("n", Integer),
    ("output_compression", Integer),
    ("output_format", Text),
    ("partial_images", Integer),
    ("prompt", Text),
    ("quality", Text),
    ("size", Text),
    ("stream", Boolean),
    ("user", Text),
];

/// CreateVideoJsonBody.
const VIDEOS: &[(&str, Kind)] =
    &[("input_reference", Object), ("model", Text), ("prompt", Text), ("seconds", Text), ("size", Text)];

/// The fields that may not be null. All others may, by "nullable" or by a type of their own.
fn never_null(endpoint: Endpoint) -> &'static [&'static str] {
    match endpoint {
        Endpoint::ChatCompletions => &[
            "function_call",
            "functions",
            "messages",
            "model",
            "parallel_tool_calls",
            "prompt_cache_options",
            "response_format",
            "tool_choice",
            "tools",
            "user",
            "web_search_options",
        ],
        Endpoint::Responses => &["input", "model", "prompt_cache_options", "text", "tool_choice", "tools", "user"],
        Endpoint::Embeddings => &["dimensions", "encoding_format", "input", "model", "user"],
        Endpoint::Completions => &["model", "user"],
        Endpoint::Moderations => &["input", "model"],
        Endpoint::ImageGenerations => &["prompt", "user"],
        Endpoint::ImageEdits => &["images", "mask", "prompt", "user"],
        Endpoint::Videos => &["input_reference", "model", "prompt", "seconds", "size"],
    }
}

/// What CreateEmbeddingRequest and MKA1's EmbeddingsRequest have for `encoding_format`.
const ENCODINGS: [&str; 2] = ["float", "base64"];

pub(super) fn check(strict: bool, endpoint: Endpoint, body: &Body) -> Result<(), Refusal> {
    let fields = match endpoint {
        Endpoint::ChatCompletions => CHAT,
        Endpoint::Responses => RESPONSES,
        Endpoint::Embeddings => EMBEDDINGS,
        Endpoint::Completions => COMPLETIONS,
        Endpoint::Moderations => MODERATIONS,
        Endpoint::ImageGenerations => IMAGES,
        Endpoint::ImageEdits => EDITS,
        Endpoint::Videos => VIDEOS,
    };
    for (name, kind) in fields {
        let is_wrong = match body.get(*name) {
            None => false,
            Some(Value::Null) => strict && never_null(endpoint).contains(name),
            Some(value) => !kind.holds(value),
        };
        if is_wrong {
            return Err(Refusal::wrong_type(*name, kind.words()));
        }
    }
    match given(body, "encoding_format") {
        Some(format) if endpoint == Endpoint::Embeddings && !ENCODINGS.iter().any(|known| format == known) => {
            let message = "'encoding_format' must be 'float' or 'base64'.";
            Err(Refusal::param("encoding_format", message).code("invalid_value"))
        }
        _ => Ok(()),
    }
}
