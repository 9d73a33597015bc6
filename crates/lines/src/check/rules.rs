//! What OpenAI's API says of the bodies that its batch endpoints take: which fields are known, of which type, within
//! which range, which are needed, and what a field of another endpoint is called here.
//!
//! The source is OpenAI's API description of 2026-08-21 (openai/openai-openapi, `info.version` 2.3.0; docs/facts.md, 3.4);
//! each endpoint names the schema of its body there. Facts are restated in our own words. A field that is not listed is never judged,
//! and no list of values (models, sizes, effort levels) is repeated, since those grow from month to month; but for roles and
//! encodings, which stand for another shape of what is sent or answered.
//!
//! The gateway holds bodies against the same description from its own code; `tests/facade/agree.rs` holds the two against
//! each other.

use crate::raw::Kind;

/// The JSON types that a field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Takes(u8);

const TEXT: Takes = Takes(1);
const NUMBER: Takes = Takes(2);
const INTEGER: Takes = Takes(4);
const BOOL: Takes = Takes(8);
const LIST: Takes = Takes(16);
const OBJECT: Takes = Takes(32);
const NULL: Takes = Takes(64);

impl Takes {
    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether it takes this value, which is valid JSON.
    pub(super) fn takes(self, kind: Kind, json: &str) -> bool {
        let bit = match kind {
            Kind::String => TEXT,
            Kind::Number if self.0 & NUMBER.0 != 0 => NUMBER,
            // As JSON Schema has it, 3.0 is an integer.
            Kind::Number if is_whole(json) => INTEGER,
            Kind::Number => return false,
            Kind::Bool => BOOL,
            Kind::Array => LIST,
            Kind::Object => OBJECT,
            Kind::Null => NULL,
        };
        self.0 & bit.0 != 0
    }

    /// What is taken, in words; null is left out, since it means the same as leaving the field out.
    pub(super) fn words(self) -> String {
        let names = [
            (TEXT, "a string"),
            (NUMBER, "a number"),
            (INTEGER, "a whole number"),
            (BOOL, "true or false"),
            (LIST, "an array"),
            (OBJECT, "an object"),
        ];
        let taken: Vec<_> = names.iter().filter(|(bit, _)| self.0 & bit.0 != 0).map(|(_, name)| *name).collect();
        taken.join(" or ")
    }
}

pub(super) fn is_whole(json: &str) -> bool {
    !json.contains(['.', 'e', 'E']) || json.parse::<f64>().is_ok_and(|number| number.fract() == 0.0)
}

/// Whether a body has to have a field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Need {
    /// It may be left out.
    No,
    /// It has to be there.
    Yes,
    /// It has to be there unless one of these is.
    Unless(&'static [&'static str]),
}

/// What is looked at inside a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    Nothing,
    /// The messages of a chat.
    Messages,
    /// The items of a response's input.
    Items,
    /// What is to be embedded.
    Embedded,
    /// The `response_format` of a chat.
    ChatFormat,
    /// The `text` of a response, which has its format.
    ResponseText,
    /// The tools of a chat, or the choice among them.
    ChatTools,
    /// The tools of a response, or the choice among them.
    ResponseTools,
    /// Pairs of texts.
    Metadata,
    /// What is to be completed.
    Completed,
    /// What is to be moderated.
    Moderated,
}

/// One field of a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) takes: Takes,
    /// The least and the most, of a number its value, of an array its length.
    pub(super) within: Option<(f64, f64)>,
    /// Whether the range is said of the strict service only.
    pub(super) strict_range: bool,
    /// The least and the most characters of a text.
    pub(super) characters: Option<(usize, usize)>,
    /// The texts that it may be; empty for any.
    pub(super) values: &'static [&'static str],
    pub(super) need: Need,
    pub(super) inside: Inside,
}

const fn field(name: &'static str, takes: Takes) -> Field {
    Field {
        name,
        takes,
        within: None,
        strict_range: false,
        characters: None,
        values: &[],
        need: Need::No,
        inside: Inside::Nothing,
    }
}

impl Field {
    const fn within(self, least: f64, most: f64) -> Self {
        Self { within: Some((least, most)), ..self }
    }

    const fn at_least(self, least: f64) -> Self {
        self.within(least, f64::INFINITY)
    }

    const fn strictly(self) -> Self {
        Self { strict_range: true, ..self }
    }

    const fn characters(self, least: usize, most: usize) -> Self {
        Self { characters: Some((least, most)), ..self }
    }

    const fn one_of(self, values: &'static [&'static str]) -> Self {
        Self { values, ..self }
    }

    const fn needed(self) -> Self {
        Self { need: Need::Yes, ..self }
    }

    const fn needed_unless(self, others: &'static [&'static str]) -> Self {
        Self { need: Need::Unless(others), ..self }
    }

    const fn inside(self, inside: Inside) -> Self {
        Self { inside, ..self }
    }
}

/// What is known of the bodies of one endpoint.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) endpoint: &'static str,
    /// At most 64, since a walk notes in the bits of a number which it has seen.
    pub(super) fields: &'static [Field],
    /// Fields that other endpoints have and this one has not, with what to write here.
    pub(super) elsewhere: &'static [(&'static str, &'static str)],
    /// Fields of other endpoints that nothing stands for here, with what to do instead. Said of the strict service only:
    /// others were seen to take some of them.
    pub(super) nowhere: &'static [(&'static str, &'static str)],
    /// Of single models: the most of a number, or the most characters of a text.
    pub(super) models: &'static [OfModel],
    /// A number that is not to be less than another, when both are there.
    pub(super) not_less: Option<(&'static str, &'static str)>,
}

/// A model, a field and the most that the field may be with it.
pub(super) type OfModel = (&'static str, &'static str, usize);

const NO_MORE: Rules = Rules { endpoint: "", fields: &[], elsewhere: &[], nowhere: &[], models: &[], not_less: None };

const LEAVE: &str = "leave it out";
const ANOTHER: &str = "ask for it by /v1/chat/completions";

/// The rules for an endpoint of the contract; no other has any.
pub(super) fn of(endpoint: &str) -> Option<&'static Rules> {
    ALL.iter().find(|rules| rules.endpoint == endpoint)
}

/// Every endpoint with rules.
static ALL: [Rules; 8] = [
    Rules {
        endpoint: "/v1/chat/completions",
        // CreateChatCompletionRequest
        fields: &[
            field("model", TEXT).needed(),
            field("messages", LIST).at_least(1.0).needed().inside(Inside::Messages),
            field("temperature", NUMBER.or(NULL)).within(0.0, 2.0),
            field("max_completion_tokens", INTEGER.or(NULL)),
            field("max_tokens", INTEGER.or(NULL)),
            field("response_format", OBJECT).inside(Inside::ChatFormat),
            field("top_p", NUMBER.or(NULL)).within(0.0, 1.0),
            field("n", INTEGER.or(NULL)).within(1.0, 128.0),
            field("seed", INTEGER.or(NULL)),
            field("stop", TEXT.or(LIST).or(NULL)).within(1.0, 4.0),
            field("stream", BOOL.or(NULL)),
            field("stream_options", OBJECT.or(NULL)),
            field("tools", LIST).inside(Inside::ChatTools),
            field("tool_choice", TEXT.or(OBJECT)).inside(Inside::ChatTools),
            field("parallel_tool_calls", BOOL),
            field("functions", LIST).within(1.0, 128.0),
            field("function_call", TEXT.or(OBJECT)),
            field("frequency_penalty", NUMBER.or(NULL)).within(-2.0, 2.0),
            field("presence_penalty", NUMBER.or(NULL)).within(-2.0, 2.0),
            field("logit_bias", OBJECT.or(NULL)),
            field("logprobs", BOOL.or(NULL)),
            field("top_logprobs", INTEGER.or(NULL)).within(0.0, 20.0),
            field("reasoning_effort", TEXT.or(NULL)),
            field("verbosity", TEXT.or(NULL)),
            field("modalities", LIST.or(NULL)),
            field("audio", OBJECT.or(NULL)),
            field("prediction", OBJECT.or(NULL)),
            field("web_search_options", OBJECT),
            field("service_tier", TEXT.or(NULL)),
            field("store", BOOL.or(NULL)),
            field("metadata", OBJECT.or(NULL)).inside(Inside::Metadata),
            field("user", TEXT),
            field("safety_identifier", TEXT.or(NULL)).characters(0, 64),
            field("prompt_cache_key", TEXT.or(NULL)),
            field("prompt_cache_retention", TEXT.or(NULL)),
            field("prompt_cache_options", OBJECT),
            field("moderation", OBJECT.or(NULL)),
        ],
        elsewhere: &[
            ("input", "messages, a list such as [{\"role\": \"user\", \"content\": \"…\"}]"),
            ("prompt", "messages, a list such as [{\"role\": \"user\", \"content\": \"…\"}]"),
            ("instructions", "a first message with the role \"developer\" or \"system\" in messages"),
            ("max_output_tokens", "max_completion_tokens"),
            ("text", "response_format for text.format, and verbosity for text.verbosity"),
            ("reasoning", "reasoning_effort for reasoning.effort"),
        ],
        ..NO_MORE
    },
    Rules {
        endpoint: "/v1/responses",
        // CreateResponse. What its text leaves open is which of input, prompt, previous_response_id and conversation has
        // to be there; the service wants one of them, and a model unless the prompt has one.
        fields: &[
            field("model", TEXT).needed_unless(&["prompt"]),
            field("input", TEXT.or(LIST))
                .needed_unless(&["prompt", "previous_response_id", "conversation"])
                .inside(Inside::Items),
            field("instructions", TEXT.or(NULL)),
            field("text", OBJECT).inside(Inside::ResponseText),
            field("temperature", NUMBER.or(NULL)).within(0.0, 2.0),
            field("max_output_tokens", INTEGER.or(NULL)).at_least(16.0).strictly(),
            field("reasoning", OBJECT.or(NULL)),
            field("top_p", NUMBER.or(NULL)).within(0.0, 1.0),
            field("stream", BOOL.or(NULL)),
            field("stream_options", OBJECT.or(NULL)),
            field("tools", LIST).inside(Inside::ResponseTools),
            field("tool_choice", TEXT.or(OBJECT)).inside(Inside::ResponseTools),
            field("parallel_tool_calls", BOOL.or(NULL)),
            field("max_tool_calls", INTEGER.or(NULL)),
            field("include", LIST.or(NULL)),
            field("previous_response_id", TEXT.or(NULL)),
            field("conversation", TEXT.or(OBJECT).or(NULL)),
            field("prompt", OBJECT.or(NULL)),
            field("background", BOOL.or(NULL)),
            field("truncation", TEXT.or(NULL)),
            field("context_management", LIST.or(NULL)).at_least(1.0),
            field("top_logprobs", INTEGER.or(NULL)).within(0.0, 20.0),
            field("service_tier", TEXT.or(NULL)),
            field("store", BOOL.or(NULL)),
            field("metadata", OBJECT.or(NULL)).inside(Inside::Metadata),
            field("user", TEXT),
            field("safety_identifier", TEXT.or(NULL)).characters(0, 64),
            field("prompt_cache_key", TEXT.or(NULL)),
            field("prompt_cache_retention", TEXT.or(NULL)),
            field("prompt_cache_options", OBJECT),
            field("moderation", OBJECT.or(NULL)),
        ],
        elsewhere: &[
            ("messages", "input, which takes the same list of roles and contents"),
            ("response_format", "text.format"),
            ("max_tokens", "max_output_tokens"),
            ("max_completion_tokens", "max_output_tokens"),
            ("reasoning_effort", "reasoning.effort"),
            ("verbosity", "text.verbosity"),
            ("functions", "tools"),
            ("function_call", "tool_choice"),
            ("logprobs", "\"message.output_text.logprobs\" in include, and top_logprobs"),
            ("web_search_options", "a tool of type \"web_search\" in tools"),
        ],
        nowhere: &[
            ("n", "write a line for each answer"),
            ("stop", "leave it out, and cut the answer"),
            ("seed", LEAVE),
            ("frequency_penalty", LEAVE),
            ("presence_penalty", LEAVE),
            ("logit_bias", LEAVE),
            ("modalities", LEAVE),
            ("audio", ANOTHER),
            ("prediction", ANOTHER),
        ],
        ..NO_MORE
    },
    Rules {
        endpoint: "/v1/embeddings",
        // CreateEmbeddingRequest. How much input may hold is a limit of its own.
        fields: &[
            field("model", TEXT).needed(),
            field("input", TEXT.or(LIST)).needed().inside(Inside::Embedded),
            field("dimensions", INTEGER).at_least(1.0),
            // By MKA1's EmbeddingsRequest as well.
            field("encoding_format", TEXT).one_of(&["float", "base64"]),
            field("user", TEXT),
        ],
        elsewhere: &[("messages", "input"), ("prompt", "input")],
        ..NO_MORE
    },
    Rules {
        endpoint: "/v1/images/generations",
        // CreateImageRequest
        fields: &[
            field("prompt", TEXT).needed(),
            field("model", TEXT.or(NULL)),
            field("n", INTEGER.or(NULL)).within(1.0, 10.0),
            field("size", TEXT.or(NULL)),
            field("quality", TEXT.or(NULL)),
            field("response_format", TEXT.or(NULL)),
            field("output_format", TEXT.or(NULL)),
            field("output_compression", INTEGER.or(NULL)).within(0.0, 100.0),
            field("background", TEXT.or(NULL)),
            field("moderation", TEXT.or(NULL)),
            field("style", TEXT.or(NULL)),
            field("stream", BOOL.or(NULL)),
            field("partial_images", INTEGER.or(NULL)).within(0.0, 3.0),
            field("user", TEXT),
        ],
        elsewhere: &[("input", "prompt"), ("messages", "prompt"), ("instructions", "prompt")],
        models: &[("dall-e-2", "prompt", 1_000), ("dall-e-3", "prompt", 4_000), ("dall-e-3", "n", 1)],
        ..NO_MORE
    },
    Rules {
        endpoint: "/v1/completions",
        // CreateCompletionRequest
        fields: &[
            field("model", TEXT).needed(),
            field("prompt", TEXT.or(LIST).or(NULL)).needed().inside(Inside::Completed),
            field("temperature", NUMBER.or(NULL)).within(0.0, 2.0),
            field("max_tokens", INTEGER.or(NULL)).at_least(0.0),
            field("top_p", NUMBER.or(NULL)).within(0.0, 1.0),
            field("n", INTEGER.or(NULL)).within(1.0, 128.0),
            field("best_of", INTEGER.or(NULL)).within(0.0, 20.0),
            field("echo", BOOL.or(NULL)),
            field("seed", INTEGER.or(NULL)),
            field("stop", TEXT.or(LIST).or(NULL)).within(1.0, 4.0),
            field("stream", BOOL.or(NULL)),
            field("stream_options", OBJECT.or(NULL)),
            field("suffix", TEXT.or(NULL)),
            field("frequency_penalty", NUMBER.or(NULL)).within(-2.0, 2.0),
            field("presence_penalty", NUMBER.or(NULL)).within(-2.0, 2.0),
            field("logit_bias", OBJECT.or(NULL)),
            field("logprobs", INTEGER.or(NULL)).within(0.0, 5.0),
            field("user", TEXT),
        ],
        elsewhere: &[
            ("messages", "prompt; messages are for /v1/chat/completions"),
            ("input", "prompt"),
            ("max_completion_tokens", "max_tokens"),
            ("instructions", "the beginning of prompt"),
            ("max_output_tokens", "max_tokens"),
        ],
        nowhere: &[
            ("response_format", ANOTHER),
            ("tools", ANOTHER),
            ("tool_choice", ANOTHER),
            ("functions", ANOTHER),
            ("function_call", ANOTHER),
        ],
        not_less: Some(("best_of", "n")),
        ..NO_MORE
    },
    Rules {
        endpoint: "/v1/moderations",
        // CreateModerationRequest
        fields: &[field("input", TEXT.or(LIST)).needed().inside(Inside::Moderated), field("model", TEXT)],
        elsewhere: &[("messages", "input"), ("prompt", "input")],
        ..NO_MORE
    },
    Rules {
        endpoint: "/v1/images/edits",
        // EditImageBodyJsonParam: a batch has JSON, and no form with files.
        fields: &[
            field("images", LIST).within(1.0, 16.0).needed(),
            field("mask", OBJECT),
            field("prompt", TEXT).characters(1, 32_000).needed(),
            field("model", TEXT.or(NULL)),
            field("n", INTEGER.or(NULL)).within(1.0, 10.0),
            field("size", TEXT.or(NULL)),
            field("quality", TEXT.or(NULL)),
            field("input_fidelity", TEXT.or(NULL)),
            field("output_format", TEXT.or(NULL)),
            field("output_compression", INTEGER.or(NULL)).within(0.0, 100.0),
            field("background", TEXT.or(NULL)),
            field("moderation", TEXT.or(NULL)),
            field("stream", BOOL.or(NULL)),
            field("partial_images", INTEGER.or(NULL)).within(0.0, 3.0),
            field("user", TEXT),
        ],
        elsewhere: &[
            ("image", "images, a list such as [{\"file_id\": \"…\"}] or [{\"image_url\": \"…\"}]"),
            ("input", "prompt"),
            ("messages", "prompt"),
            ("instructions", "prompt"),
        ],
        ..NO_MORE
    },
    Rules {
        endpoint: "/v1/videos",
        // CreateVideoJsonBody
        fields: &[
            field("prompt", TEXT).characters(1, 32_000).needed(),
            field("model", TEXT),
            field("input_reference", OBJECT),
            field("seconds", TEXT),
            field("size", TEXT),
        ],
        elsewhere: &[("input", "prompt"), ("messages", "prompt"), ("instructions", "prompt")],
        ..NO_MORE
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_is_there_once_and_no_field_is_both_here_and_elsewhere() {
        let mut endpoints: Vec<_> = ALL.iter().map(|rules| rules.endpoint).collect();
        let mut known = crate::ENDPOINTS.to_vec();
        endpoints.sort_unstable();
        known.sort_unstable();
        assert_eq!(endpoints, known);
        for Rules { endpoint, fields, elsewhere, nowhere, .. } in &ALL {
            assert!(fields.len() <= 64, "{endpoint}");
            let mut names: Vec<_> = fields.iter().map(|field| field.name).collect();
            names.extend(elsewhere.iter().chain(*nowhere).map(|(name, _)| name));
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count, "{endpoint}");
        }
    }

    #[test]
    fn a_type_is_told_from_its_value() {
        for (takes, json, right) in [
            (INTEGER, "3", true),
            (INTEGER, "3.0", true),
            (INTEGER, "3e2", true),
            (INTEGER, "3.5", false),
            (INTEGER, "123456789012345678901234567890", true),
            (NUMBER, "3", true),
            (NUMBER, "-0.5", true),
            (NUMBER, "\"0.5\"", false),
            (NUMBER.or(NULL), "null", true),
            (NUMBER, "null", false),
            (TEXT.or(LIST), "[]", true),
            (TEXT.or(LIST), "{}", false),
            (BOOL, "false", true),
            (BOOL, "0", false),
        ] {
            assert_eq!(takes.takes(Kind::of(json), json), right, "{takes:?} {json}");
        }
        assert_eq!(TEXT.or(LIST).or(NULL).words(), "a string or an array");
        assert_eq!(INTEGER.words(), "a whole number");
    }
}
