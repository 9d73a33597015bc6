//! The format of a dialect's table, the same for the known ones and a user's own.

use std::{collections::BTreeMap, fmt};

use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, de};

use super::window::Window;

/// A dialect as its TOML says it. A key that is not known is an error; one that is left out has its default.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Table {
    pub(super) name: String,
    /// The dialect that has what this one leaves out. Taken out before the tables are laid over each other.
    pub(super) extends: Option<String>,
    /// Whether there is a service at all, and not only files.
    pub(super) service: bool,
    pub(super) url: Option<String>,
    /// Hosts that this dialect is guessed from; `*.` at the beginning stands for any labels.
    pub(super) hosts: Vec<String>,
    pub(super) base_path: AbsolutePath,
    pub(super) on_behalf_of: bool,
    pub(super) auth: Auth,
    pub(super) headers: BTreeMap<Name, Text>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) upload: Upload,
    pub(super) create: Create,
    pub(super) cancel: Cancel,
    pub(super) lines: Lines,
    pub(super) limits: Limits,
    pub(super) list: List,
    pub(super) answer: Answer,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            name: String::new(),
            extends: None,
            service: true,
            url: None,
            hosts: Vec::new(),
            base_path: AbsolutePath("/v1".to_owned()),
            on_behalf_of: false,
            auth: Auth::default(),
            headers: BTreeMap::new(),
            query: BTreeMap::new(),
            upload: Upload::default(),
            create: Create::default(),
            cancel: Cancel::default(),
            lines: Lines::default(),
            limits: Limits::default(),
            list: List::default(),
            answer: Answer::default(),
        }
    }
}

/// Where the key goes.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Auth {
    pub(super) header: Name,
    /// The word before the key; empty for the key alone.
    pub(super) scheme: Text,
}

impl Default for Auth {
    fn default() -> Self {
        Self { header: Name(AUTHORIZATION), scheme: Text("Bearer".to_owned()) }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Upload {
    pub(super) path: AbsolutePath,
    /// What the purpose `batch` is called.
    pub(super) purpose: String,
    /// What the name of a batch's input file ends in; empty when it does not matter.
    pub(super) suffix: String,
    pub(super) refused_names: Vec<String>,
    pub(super) media_type: Text,
    /// A field of the form that has the file's name once more.
    pub(super) name_field: Option<String>,
    /// Further fields of the form.
    pub(super) fields: BTreeMap<String, String>,
    pub(super) expires_after: ExpiresAfter,
    /// In seconds, when it is more than the contract's.
    pub(super) expires_after_least: Option<i64>,
}

impl Default for Upload {
    fn default() -> Self {
        Self {
            path: AbsolutePath("/files".to_owned()),
            purpose: "batch".to_owned(),
            suffix: ".jsonl".to_owned(),
            refused_names: Vec::new(),
            media_type: Text("application/jsonl".to_owned()),
            name_field: None,
            fields: BTreeMap::new(),
            expires_after: ExpiresAfter::default(),
            expires_after_least: None,
        }
    }
}

/// How the form of an upload spells `expires_after`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ExpiresAfter {
    /// Not understood.
    #[default]
    None,
    /// `expires_after[seconds]`.
    Brackets,
    /// `expires_after.seconds`.
    Dots,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Create {
    /// Empty for all that the contract names.
    pub(super) endpoints: Vec<AbsolutePath>,
    /// The first one, or where it begins, is the default.
    pub(super) windows: Vec<Window>,
    pub(super) max_concurrency: bool,
    pub(super) output_expires_after: bool,
    /// Whether there is a field for metadata. What a run marks its batches with is sent all the same.
    pub(super) metadata: bool,
    pub(super) idempotency: Idempotency,
    /// For how many seconds a key is honoured; none for ever. Where it is not known a key is trusted for minutes.
    pub(super) idempotency_kept: Option<Most>,
    /// The contract's endpoint to the service's own spelling.
    pub(super) spelling: BTreeMap<String, String>,
    /// Further fields of the body.
    pub(super) fields: BTreeMap<String, toml::Value>,
}

impl Default for Create {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            windows: vec![Window::day()],
            max_concurrency: false,
            output_expires_after: false,
            metadata: true,
            idempotency: Idempotency::default(),
            idempotency_kept: None,
            spelling: BTreeMap::new(),
            fields: BTreeMap::new(),
        }
    }
}

impl Create {
    /// Whether this field of the body is where the idempotency key goes.
    pub(super) fn is_idempotency(&self, field: &str) -> bool {
        matches!(&self.idempotency, Idempotency::Field(name) if name == field)
    }
}

/// Where a service looks for an idempotency key that it honours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Idempotency {
    /// Nowhere: a second create makes a second batch.
    #[default]
    None,
    Header(Name),
    Field(String),
}

/// What a cancel brings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Cancel {
    /// Whether what a batch has finished is in its files when it was cancelled.
    pub(super) delivers: bool,
}

/// What a request line looks like.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Lines {
    /// The keys that each line needs, `custom_id` and `body` among them.
    pub(super) keys: Vec<LineKey>,
    /// By endpoint, the fields of a body that are the service's own: nothing is said of them.
    pub(super) own: BTreeMap<String, Vec<String>>,
    /// By endpoint, the fields of a body that the service does not need.
    pub(super) optional: BTreeMap<String, Vec<String>>,
    /// Whether it is known to refuse null in a field that is not nullable, fields of other endpoints, and fewer
    /// `max_output_tokens` than 16.
    pub(super) strict: bool,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            keys: vec![LineKey::CustomId, LineKey::Method, LineKey::Url, LineKey::Body],
            own: BTreeMap::new(),
            optional: BTreeMap::new(),
            strict: false,
        }
    }
}

/// A key of a request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LineKey {
    CustomId,
    Method,
    Url,
    Body,
}

/// Limits, where the service is known to have them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) lines: Option<Most>,
    pub(super) bytes: Option<Most>,
    /// In characters.
    pub(super) custom_id: Option<Most>,
    /// Different models in one file.
    pub(super) models: Option<Most>,
    /// Texts to embed in one line.
    pub(super) line_inputs: Option<Most>,
    /// Texts to embed in one file.
    pub(super) inputs: Option<Most>,
    pub(super) metadata_pairs: Option<Most>,
    /// In characters.
    pub(super) metadata_key: Option<Most>,
    /// In characters.
    pub(super) metadata_value: Option<Most>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct List {
    /// Whether files can be listed by their hash.
    pub(super) sha256: bool,
}

/// How answers differ from the contract.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Answer {
    pub(super) times: Times,
    /// The field that has the entries of a list, when it is not `data`.
    pub(super) list_in: Option<String>,
    /// The field of the answer to a create that has the batch.
    pub(super) created_in: Option<String>,
    /// Whether a list goes on after a page that does not say so.
    pub(super) paged: bool,
    pub(super) batch: Object,
    pub(super) file: Object,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            times: Times::default(),
            list_in: None,
            created_in: None,
            paged: true,
            batch: Object::default(),
            file: Object::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Times {
    #[default]
    Seconds,
    Milliseconds,
    Iso8601,
}

/// How a batch or a file differs from the contract's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Object {
    /// Their name of a field to the contract's.
    pub(super) rename: BTreeMap<String, String>,
    /// Of a field of the contract: their value to the contract's.
    pub(super) values: BTreeMap<String, BTreeMap<String, String>>,
}

/// At the most so many, or as many as one likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Most {
    None,
    Of(u64),
}

impl<'de> Deserialize<'de> for Most {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Most;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of at least 1, or \"none\"")
            }

            fn visit_i64<E: de::Error>(self, most: i64) -> Result<Most, E> {
                match u64::try_from(most) {
                    Ok(most) if most > 0 => Ok(Most::Of(most)),
                    _ => Err(E::invalid_value(de::Unexpected::Signed(most), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Most, E> {
                match text {
                    "none" => Ok(Most::None),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A text that is checked where it is read, so that an error has its line.
macro_rules! checked {
    ($(#[$doc:meta])* $name:ident($inner:ty), $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub(super) struct $name(pub(super) $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let check: fn(String) -> Result<$inner, &'static str> = $check;
                check(String::deserialize(deserializer)?).map(Self).map_err(de::Error::custom)
            }
        }
    };
}

checked!(
    /// A path from the root, without a slash at the end.
    AbsolutePath(String),
    |path| {
        let fine = path.starts_with('/') && !path.contains(['?', '#']) && !path.contains(char::is_whitespace);
        if fine { Ok(path.trim_end_matches('/').to_owned()) } else { Err("it is no path such as \"/v1\"") }
    }
);
checked!(
    /// The name of a header.
    Name(HeaderName),
    |name| HeaderName::try_from(name).map_err(|_| "it is no name of a header")
);
checked!(
    /// A text that a header can carry.
    Text(String),
    |text| match HeaderValue::from_str(&text) {
        Ok(_) => Ok(text),
        Err(_) => Err("it holds characters that no header can carry"),
    }
);

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}
