//! Fields that belong to another endpoint, and what they are called here.

use crate::contract::Endpoint;
use crate::model::Refusal;
use crate::model::body::{Body, given};

/// A field that one endpoint has, and the name of the same thing at another, which does not have the field.
type Elsewhere = (&'static str, &'static str);

/// By the properties of CreateChatCompletionRequest and of the others.
const CHAT: &[Elsewhere] = &[
    ("input", "messages"),
    ("prompt", "messages"),
    ("instructions", "messages"),
    ("max_output_tokens", "max_completion_tokens"),
    ("text", "response_format"),
    ("reasoning", "reasoning_effort"),
];

/// By the properties of CreateResponse: a `prompt` there is an object, which names a stored one.
const RESPONSES: &[Elsewhere] = &[
    ("messages", "input"),
    ("prompt", "input"),
    ("response_format", "text.format"),
    ("max_tokens", "max_output_tokens"),
    ("max_completion_tokens", "max_output_tokens"),
    ("reasoning_effort", "reasoning.effort"),
    ("verbosity", "text.verbosity"),
    ("functions", "tools"),
    ("function_call", "tool_choice"),
    ("web_search_options", "tools"),
    ("logprobs", "include"),
];

/// CreateCompletionRequest takes plain text.
const COMPLETIONS: &[Elsewhere] = &[
    ("messages", "prompt"),
    ("input", "prompt"),
    ("instructions", "prompt"),
    ("max_completion_tokens", "max_tokens"),
    ("max_output_tokens", "max_tokens"),
];

/// CreateEmbeddingRequest and CreateModerationRequest.
const INPUTS: &[Elsewhere] = &[("messages", "input"), ("prompt", "input")];

/// CreateImageRequest and CreateVideoJsonBody.
const PICTURES: &[Elsewhere] = &[("messages", "prompt"), ("input", "prompt"), ("instructions", "prompt")];

/// EditImageBodyJsonParam: `image` is a part of the form that the endpoint takes as well, and no batch can.
const EDITS: &[Elsewhere] =
    &[("image", "images"), ("messages", "prompt"), ("input", "prompt"), ("instructions", "prompt")];

/// What no name here stands for, and what to do instead: by the properties of CreateResponse and CreateCompletionRequest.
/// Other services were seen to have some of them there.
fn nowhere(endpoint: Endpoint) -> &'static [&'static str] {
    match endpoint {
        Endpoint::Responses => &[
            "n",
            "stop",
            "seed",
            "frequency_penalty",
            "presence_penalty",
            "logit_bias",
            "modalities",
            "audio",
            "prediction",
        ],
        Endpoint::Completions => &["response_format", "tools", "tool_choice", "functions", "function_call"],
        _ => &[],
    }
}

fn table(endpoint: Endpoint) -> &'static [Elsewhere] {
    match endpoint {
        Endpoint::ChatCompletions => CHAT,
        Endpoint::Responses => RESPONSES,
        Endpoint::Completions => COMPLETIONS,
        Endpoint::Embeddings | Endpoint::Moderations => INPUTS,
        Endpoint::ImageEdits => EDITS,
        Endpoint::ImageGenerations | Endpoint::Videos => PICTURES,
    }
}

/// Those fields of the body that belong elsewhere, with their right names.
fn found(endpoint: Endpoint, body: &Body) -> impl Iterator<Item = Elsewhere> {
    let is_wrong = move |(field, _): &Elsewhere| {
        let is_own = endpoint == Endpoint::Responses && *field == "prompt";
        given(body, field).is_some_and(|value| !(is_own && value.is_object()))
    };
    table(endpoint).iter().copied().filter(is_wrong)
}

pub(super) fn check(strict: bool, endpoint: Endpoint, body: &Body) -> Result<(), Refusal> {
    if strict && let Some(field) = nowhere(endpoint).iter().find(|field| given(body, field).is_some()) {
        let message = format!("Unsupported parameter: '{field}' is no parameter of {}.", endpoint.path());
        return Err(Refusal::param(*field, message).code("unsupported_parameter"));
    }
    match found(endpoint, body).next() {
        Some((field, right)) => {
            Err(Refusal::param(field, format!("Unsupported parameter: {}", sentence(endpoint, field, right)))
                .code("unsupported_parameter"))
        }
        None => Ok(()),
    }
}

/// What to say when a field is absent that another one in the body may be meant for.
pub(super) fn meant_for(endpoint: Endpoint, body: &Body, wanted: &str) -> Option<String> {
    let (field, right) = found(endpoint, body).find(|(_, right)| *right == wanted)?;
    Some(format!("There is {}", sentence(endpoint, field, right)))
}

fn sentence(endpoint: Endpoint, field: &str, right: &str) -> String {
    format!("'{field}', which belongs to another endpoint; in {} it is '{right}'.", endpoint.path())
}
