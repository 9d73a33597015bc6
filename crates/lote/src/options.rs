//! What a batch is created with, for [`CreateBatch`](crate::CreateBatch) and [`Run`](crate::run::Run) alike.

use std::{collections::BTreeMap, fmt};

use serde_json::{Map, Value};

use crate::{Error, ExpiresAfter, bound};

/// What a batch is created with besides its input file and its endpoint.
///
/// [`CreateBatch`](crate::CreateBatch) and [`Run`](crate::run::Run) have the same setters and hold one of these. On its
/// own it is for options that are the same for many batches:
///
/// ```
/// # async fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
/// # let client = lote::Client::builder().base_url(gateway.url()).api_key("mk-…").build()?;
/// # let line = "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"1 + 1?\"}]}}\n";
/// # let upload = client.files().upload_reader(line.as_bytes(), "a.jsonl", lote::UploadPurpose::Batch);
/// # let input = upload.send().await?.id;
/// use lote::{BatchOptions, Endpoint};
///
/// let options = BatchOptions::new().metadata("team", "search").max_concurrency(8);
/// let create = client.batches().create(&input, Endpoint::ChatCompletions);
/// let batch = create.options(options).send().await?;
/// assert_eq!(batch.metadata["team"], "search");
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// #     let gateway = lote_gateway::Gateway::builder().start().await.unwrap();
/// #     example(&gateway).await.unwrap();
/// # });
/// ```
#[derive(Clone, Default)]
pub struct BatchOptions {
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) completion_window: Option<String>,
    pub(crate) max_concurrency: Option<i64>,
    pub(crate) output_expires_after: Option<ExpiresAfter>,
    pub(crate) idempotency_key: Option<String>,
    /// What this library does not know yet, by its name.
    pub(crate) fields: Map<String, Value>,
    /// What is wrong with what was set: setters cannot fail.
    pub(crate) problems: Vec<String>,
}

/// The setters of the options, for a builder that has them at a path: `setters!(Run, options)`.
macro_rules! setters {
    ($builder:ident $(, $path:ident)*) => {
        impl $builder {
            /// A pair of the caller's own. OpenAI takes 16, with keys of 64 and values of 512 characters; MKA1 publishes
            /// no limits.
            pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
                self$(.$path)*.metadata.insert(key.into(), value.into());
                self
            }

            /// Within which time the batch is to be done, such as `24h` or `7d`; of the windows that the dialect
            /// [offers](crate::Dialect::windows), or it is refused before anything is sent. The default is the
            /// dialect's: `24h` at all known services.
            pub fn completion_window(mut self, window: impl Into<String>) -> Self {
                self$(.$path)*.completion_window = Some(window.into());
                self
            }

            /// How many lines may be in flight at once, at least 1; checked before anything is sent. MKA1 only, and
            /// refused for other dialects; its ceiling is a setting of the gateway.
            pub fn max_concurrency(mut self, lines: i64) -> Self {
                self$(.$path)*.max_concurrency = Some(lines);
                self
            }

            /// When the output and error files are deleted, counted from when they were made. Refused for a dialect that
            /// does not know it, such as MKA1's.
            pub fn output_expires_after(mut self, after: $crate::ExpiresAfter) -> Self {
                self$(.$path)*.output_expires_after = Some(after);
                self
            }

            /// Under which key the service is to make one batch however often it is asked: the same key with the same
            /// parameters gives the same batch, with others a [conflict](crate::Error::is_conflict). Sent only to a
            /// service whose dialect [honours](crate::Dialect::honours_idempotency_keys) it; there, a create without
            /// one gets one of its own.
            pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
                self$(.$path)*.idempotency_key = Some(key.into());
                self
            }

            /// Any other field of the create, by its name: what is newer than this library, or a service's own. It is
            /// sent as it is given, at the top of the body.
            ///
            /// A field that has a setter is refused before anything is sent, with the setter's name; so is a value that
            /// JSON cannot hold, such as NaN.
            pub fn field(mut self, name: impl Into<String>, value: impl serde::Serialize) -> Self {
                self$(.$path)*.give(name.into(), $crate::lines::to_json(&value));
                self
            }
        }
    };
}

/// The same, and all of them at once, for a builder that holds options.
macro_rules! held {
    ($builder:ident, $($path:ident),+) => {
        $crate::options::setters!($builder, $($path),+);

        impl $builder {
            /// All options at once, in place of those that were set before.
            pub fn options(mut self, options: $crate::BatchOptions) -> Self {
                self$(.$path)+ = options;
                self
            }
        }
    };
}

pub(crate) use {held, setters};

setters!(BatchOptions);

impl BatchOptions {
    /// The fields of a create that have a place of their own here or in [`Batches::create`](crate::Batches::create), as
    /// the contract names them: what [`field`](Self::field) refuses.
    pub const FIELDS: &'static [&'static str] =
        &["input_file_id", "endpoint", "completion_window", "metadata", "max_concurrency", "output_expires_after"];

    /// No options: what the dialect has as its defaults.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn give(&mut self, name: String, value: Result<Value, crate::lines::NotJson>) {
        match value {
            Ok(_) if Self::FIELDS.contains(&name.as_str()) => self.problems.push(known(&name)),
            Ok(_) if name.is_empty() => self.problems.push("a field without a name".to_owned()),
            Ok(value) => drop(self.fields.insert(name, value)),
            Err(problem) => self.problems.push(format!("field {name}: {problem}")),
        }
    }

    /// All that is sent, by its names in the contract, for a run that goes on later.
    pub(crate) fn to_json(&self) -> Map<String, Value> {
        let Self {
            metadata,
            completion_window,
            max_concurrency,
            output_expires_after,
            idempotency_key,
            fields,
            problems: _,
        } = self;
        let mut all = Map::new();
        let mut keep = |name: &str, value: Value| {
            if !value.is_null() {
                all.insert(name.to_owned(), value);
            }
        };
        keep("metadata", if metadata.is_empty() { Value::Null } else { metadata.clone().into_iter().collect() });
        keep("completion_window", completion_window.clone().into());
        keep("max_concurrency", (*max_concurrency).into());
        keep("output_expires_after", output_expires_after.map(ExpiresAfter::get).into());
        keep(KEY, idempotency_key.clone().into());
        keep(FIELDS, if fields.is_empty() { Value::Null } else { fields.clone().into() });
        all
    }

    /// The options in [`to_json`](Self::to_json).
    pub(crate) fn from_json(all: &Map<String, Value>) -> Result<Self, Error> {
        let text = |name: &str| all.get(name).and_then(Value::as_str).map(str::to_owned);
        let object = |name: &str| all.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        let seconds = all.get("output_expires_after").and_then(Value::as_i64);
        Ok(Self {
            metadata: object("metadata")
                .into_iter()
                .filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())))
                .collect(),
            completion_window: text("completion_window"),
            max_concurrency: all.get("max_concurrency").and_then(Value::as_i64),
            output_expires_after: seconds.map(ExpiresAfter::seconds).transpose()?,
            idempotency_key: text(KEY),
            fields: object(FIELDS),
            problems: Vec::new(),
        })
    }

    /// Refuses what no service would understand: what was wrong when it was set, and a number out of its range.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if !self.problems.is_empty() {
            return Err(Error::invalid(self.problems.join("; ")));
        }
        match self.max_concurrency {
            Some(lines) => bound::MAX_CONCURRENCY.check("max_concurrency", lines).map(drop),
            None => Ok(()),
        }
    }
}

/// The names under which options are kept that are no fields of the contract.
const KEY: &str = "idempotency_key";
const FIELDS: &str = "fields";

/// What is said of a field that is given by name although it has a place of its own.
fn known(name: &str) -> String {
    match name {
        "input_file_id" => "field input_file_id: it is the file that the batch is created over".to_owned(),
        "endpoint" => {
            "field endpoint: it is given on its own: Batches::create(…), Run::endpoint(…), --endpoint".to_owned()
        }
        _ => format!("field {name}: it has a setter and a flag of its own: .{name}(…), --{}", name.replace('_', "-")),
    }
}

impl fmt::Debug for BatchOptions {
    /// Without the values of unknown fields, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            metadata,
            completion_window,
            max_concurrency,
            output_expires_after,
            idempotency_key,
            fields,
            problems,
        } = self;
        f.debug_struct("BatchOptions")
            .field("metadata", metadata)
            .field("completion_window", completion_window)
            .field("max_concurrency", max_concurrency)
            .field("output_expires_after", output_expires_after)
            .field("idempotency_key", idempotency_key)
            .field("fields", &fields.keys().collect::<Vec<_>>())
            .field("problems", problems)
            .finish()
    }
}
