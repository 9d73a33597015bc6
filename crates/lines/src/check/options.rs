//! What an input file is checked against: limits, the shape of a request line, and what the service has of its own.

use std::collections::BTreeMap;

/// The endpoints that batches of OpenAI and MKA1 take, as OpenAI's API description of 2026-08-21
/// lists them. MKA1 takes four of them: chat completions, responses, embeddings and image
/// generations.
pub const ENDPOINTS: &[&str] = &[
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/images/generations",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/edits",
    "/v1/videos",
];

/// How much one input file may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Request lines in one file.
    pub max_lines: u64,
    /// Bytes in one file, line endings included.
    pub max_bytes: u64,
}

impl Default for Limits {
    /// OpenAI's limits: 50,000 request lines and 200 MB (taken as 200,000,000 bytes), stated in the
    /// description of `POST /batches` in its API description of 2026-08-21. MKA1 publishes none.
    fn default() -> Self {
        Self { max_lines: 50_000, max_bytes: 200_000_000 }
    }
}

/// What an input file is checked against.
///
/// Bodies are held against what OpenAI's API description says of their endpoint: the fields that have to be there, and
/// the types and ranges of those that are known. A field that is not known is never a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOptions {
    /// The batch's endpoint. Without one, the first url that is known is taken for it.
    pub endpoint: Option<String>,
    /// How much the file may hold.
    pub limits: Limits,
    /// The urls that the service is known to take; empty when every url is to pass.
    pub known_endpoints: Vec<String>,
    /// Other spellings of a url that the service takes, each with the endpoint that it stands for.
    pub spellings: BTreeMap<String, String>,
    /// The characters that a custom_id may have, where the service limits them.
    pub max_custom_id: Option<u64>,
    /// Whether each request line needs a `method`. Every one needs `custom_id` and `body`.
    pub needs_method: bool,
    /// Whether each request line needs a `url`. A line without one is for the batch's endpoint.
    pub needs_url: bool,
    /// By endpoint, the fields of a body that are the service's own: nothing is said of their type, range or place.
    pub own_fields: BTreeMap<String, Vec<String>>,
    /// By endpoint, the fields of a body that the service does not need.
    pub optional_fields: BTreeMap<String, Vec<String>>,
    /// Whether the service is known to refuse what OpenAI is known to refuse and others may take: null in a field that is
    /// not nullable, a field of another endpoint that nothing stands for here, fewer `max_output_tokens` than 16.
    pub strict: bool,
    /// How many different models the bodies of one file may name, where the service limits them.
    pub max_models: Option<u64>,
    /// How many texts the `input` of one embeddings request may hold.
    pub max_line_inputs: Option<u64>,
    /// How many texts all embeddings requests of one file may hold.
    pub max_inputs: Option<u64>,
    /// Whether [`check`](crate::check()) hashes the lines, which takes as long as most of its checks together.
    pub hash: bool,
}

impl CheckOptions {
    /// How many texts one embeddings request may hold: 2,048, as OpenAI's schema `CreateEmbeddingRequest` says.
    pub const MAX_LINE_INPUTS: u64 = 2_048;
    /// How many texts the embeddings requests of one batch may hold: 50,000, as OpenAI's schema `CreateBatchRequest`
    /// says.
    pub const MAX_INPUTS: u64 = 50_000;
    /// How many objects and arrays of a body may stand in each other, itself among them: 127, as deep as most readers of
    /// JSON go. No service says how deep it reads.
    pub const MAX_LEVELS: usize = 127;

    /// The endpoint that a url stands for.
    pub(crate) fn endpoint_of<'u>(&'u self, url: &'u str) -> &'u str {
        if self.spellings.is_empty() {
            return url;
        }
        self.spellings.get(url).map_or(url, String::as_str)
    }
}

impl Default for CheckOptions {
    /// No endpoint, the default [`Limits`], [`ENDPOINTS`], all four keys, OpenAI's limits of embeddings, as strict as it, and
    /// any number of models. The lines are hashed.
    fn default() -> Self {
        Self {
            endpoint: None,
            limits: Limits::default(),
            known_endpoints: ENDPOINTS.iter().copied().map(str::to_owned).collect(),
            spellings: BTreeMap::new(),
            max_custom_id: None,
            needs_method: true,
            needs_url: true,
            own_fields: BTreeMap::new(),
            optional_fields: BTreeMap::new(),
            strict: true,
            max_models: None,
            max_line_inputs: Some(Self::MAX_LINE_INPUTS),
            max_inputs: Some(Self::MAX_INPUTS),
            hash: true,
        }
    }
}
