//! Dialects: tables that say how a service deviates from the contract in what it is sent and in the shape of what it
//! answers.

mod choice;
mod chosen;
mod create;
mod rewrite;
mod table;
mod window;

use std::{fmt, ops::Range, path::Path, str::FromStr, sync::Arc, time::Duration};

use toml::Value as Toml;

pub use choice::DialectChoice;
pub(crate) use chosen::{ChosenDialect, Form};

use self::table::{Idempotency, LineKey, Most, Table};
use crate::{BatchOptions, Endpoint, Error, lines, settings};

/// How a service deviates from the contract: a table of what it is sent, and of what its answers look like.
///
/// The known ones are [`KNOWN`](Self::KNOWN); another is a TOML file in the same format, which may
/// [extend](Self::from_toml) a known one. Nothing in reading depends on it: a dialect makes exact what would be readable
/// anyhow, and refuses what a service would not understand before it is sent.
///
/// ```
/// use lote::{Client, Dialect};
///
/// let groq = Dialect::named("groq")?;
/// assert_eq!(groq.limits().max_bytes, 100_000_000);
/// let client = Client::builder().dialect(groq).api_key("gsk_…").build()?;
/// assert_eq!(client.base_url(), "https://api.groq.com/openai/v1");
///
/// let ours = Dialect::from_toml(
///     r#"
///     name = "ours"
///     extends = "openai"
///     url = "https://llm.example.org"
///     on_behalf_of = true
///     create.idempotency = { header = "Idempotency-Key" }
///     "#,
/// )?;
/// let builder = Client::builder().dialect(ours).api_key("sk-…");
/// let client = builder.on_behalf_of("user-7").build()?;
/// assert_eq!(client.base_url(), "https://llm.example.org/v1");
/// assert_eq!(client.dialect().name(), "ours");
/// # Ok::<(), lote::Error>(())
/// ```
#[derive(Clone)]
pub struct Dialect(Arc<Table>);

/// The known dialects: their names, and the table of each, which stands in the file of its name.
macro_rules! known {
    ($($name:literal)*) => {
        const KNOWN: &[&str] = &[$($name),*];
        const TABLES: &[&str] = &[$(include_str!(concat!("table/", $name, ".toml"))),*];
    };
}

known! { "mka1" "openai" "azure" "groq" "together" "ogx" "litellm" "vllm" "doubleword" "aibrix" }

/// For how long an idempotency key is trusted where it is not known for how long it is kept.
const KEYS_KEPT: Duration = Duration::from_secs(10 * 60);

impl Dialect {
    /// The names of the known dialects; the first is the default.
    pub const KNOWN: &[&str] = KNOWN;

    /// A known dialect.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) and names the known ones.
    pub fn named(name: &str) -> Result<Self, Error> {
        match Self::toml(name) {
            Some(text) => read(&format!("{name}.toml"), text),
            None => Err(Error::invalid(format!(
                "dialect {name:?} is none of {}; a file of your own is named with its path, such as ./{name}.toml",
                Self::KNOWN.join(", ")
            ))),
        }
    }

    /// The table of a known dialect, sources included: where to begin one's own.
    pub fn toml(name: &str) -> Option<&'static str> {
        KNOWN.iter().zip(TABLES).find_map(|(known, text)| (*known == name).then_some(*text))
    }

    /// A dialect of one's own, from its table. With `extends = "…"` it has what that known one has, but for the keys
    /// that it gives itself; a list that it gives stands in place of the other's.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) and names the line and the key.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        read("the dialect", text)
    }

    /// As [`from_toml`](Self::from_toml), from a file.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) and names the file, the line and the key.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = settings::text("dialect", path)?;
        read(&path.display().to_string(), &text)
    }

    /// What the settings name: a known dialect, or a file when there is a slash or a dot in it.
    ///
    /// # Errors
    /// Those of [`named`](Self::named) and [`from_file`](Self::from_file).
    pub fn load(name_or_file: &str) -> Result<Self, Error> {
        match name_or_file.contains(['/', '\\', '.']) {
            true => Self::from_file(name_or_file),
            false => Self::named(name_or_file),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The endpoints that its batches take.
    pub fn endpoints(&self) -> Vec<String> {
        match self.0.create.endpoints.is_empty() {
            true => Endpoint::ALL.iter().map(|endpoint| endpoint.as_str().to_owned()).collect(),
            false => self.0.create.endpoints.iter().map(|path| path.0.clone()).collect(),
        }
    }

    /// The completion windows that it offers, the default first: texts such as `24h` and `24h to 7d`.
    pub fn windows(&self) -> Vec<String> {
        self.0.create.windows.iter().map(ToString::to_string).collect()
    }

    /// How much one input file may hold. Where a service publishes no limit it is OpenAI's.
    pub fn limits(&self) -> lines::Limits {
        let (limits, default) = (&self.0.limits, lines::Limits::default());
        let most = |limit: Option<Most>, default| match limit {
            None => default,
            Some(Most::None) => u64::MAX,
            Some(Most::Of(most)) => most,
        };
        lines::Limits {
            max_lines: most(limits.lines, default.max_lines),
            max_bytes: most(limits.bytes, default.max_bytes),
        }
    }

    /// What `lote check` and a run hold an input file against.
    pub fn check_options(&self) -> lines::CheckOptions {
        let Table { create, lines: shape, limits, .. } = &*self.0;
        let most = |limit: Option<Most>, unpublished| match limit {
            None => unpublished,
            Some(Most::None) => None,
            Some(Most::Of(most)) => Some(most),
        };
        let spellings = create.spelling.iter().map(|(endpoint, spelling)| (spelling.clone(), endpoint.clone()));
        lines::CheckOptions {
            limits: self.limits(),
            known_endpoints: self.endpoints(),
            spellings: spellings.collect(),
            max_custom_id: most(limits.custom_id, None),
            needs_method: shape.keys.contains(&LineKey::Method),
            needs_url: shape.keys.contains(&LineKey::Url),
            own_fields: shape.own.clone(),
            optional_fields: shape.optional.clone(),
            strict: shape.strict,
            max_models: most(limits.models, None),
            max_line_inputs: most(limits.line_inputs, None),
            max_inputs: most(limits.inputs, None),
            ..lines::CheckOptions::default()
        }
    }

    /// Whether a create that carries an idempotency key can be sent again without making a second batch.
    pub fn honours_idempotency_keys(&self) -> bool {
        self.0.create.idempotency != Idempotency::None
    }

    /// For how long after a create its idempotency key is honoured, as far as that is known: zero where keys are not, ten
    /// minutes where nobody says, and [`Duration::MAX`] where they are kept as long as the batch. What is older is looked
    /// for in the list by a run before it is sent again.
    pub fn idempotency_keys_kept(&self) -> Duration {
        match (&self.0.create.idempotency, self.0.create.idempotency_kept) {
            (Idempotency::None, _) => Duration::ZERO,
            (_, None) => KEYS_KEPT,
            (_, Some(Most::None)) => Duration::MAX,
            (_, Some(Most::Of(seconds))) => Duration::from_secs(seconds),
        }
    }

    /// Whether a batch that is cancelled brings what it has finished by then, as far as that is known. A
    /// [rescue](crate::run::Run::rescue_before) stops batches only where it does; elsewhere it waits for their end.
    pub fn cancel_delivers(&self) -> bool {
        self.0.cancel.delivers
    }

    /// Whether `X-On-Behalf-Of` is understood.
    pub fn understands_on_behalf_of(&self) -> bool {
        self.0.on_behalf_of
    }
}

impl fmt::Debug for Dialect {
    /// The name: headers of a table of one's own may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dialect").field(&self.0.name).finish()
    }
}

impl FromStr for Dialect {
    type Err = Error;

    /// The same as [`Dialect::load`].
    fn from_str(text: &str) -> Result<Self, Error> {
        Self::load(text)
    }
}

/// Reads a table, laid over the one that it extends.
fn read(from: &str, text: &str) -> Result<Dialect, Error> {
    let refuse = |error: &toml::de::Error| refused(from, text, error.span(), error.message());
    // Parse this table alone first: its errors then name the line.
    let mut table: Table = toml::from_str(text).map_err(|error| refuse(&error))?;
    if let Some(base) = &table.extends {
        let Some(below) = Dialect::toml(base) else {
            let message = format!("extends: {base:?} is none of {}", Dialect::KNOWN.join(", "));
            return Err(refused(from, text, None, &message));
        };
        let mut whole: toml::Table = toml::from_str(below).map_err(|error| refuse(&error))?;
        // Name, hosts and address are not inherited: this is another service.
        for own in ["name", "hosts", "url"] {
            whole.remove(own);
        }
        lay(&mut whole, toml::from_str(text).map_err(|error| refuse(&error))?);
        table = Toml::Table(whole).try_into().map_err(|error| refuse(&error))?;
    }
    for (at, missing) in [("name", table.name.is_empty()), ("create.windows", table.create.windows.is_empty())] {
        if missing {
            return Err(refused(from, text, None, &format!("{at}: it is missing or empty")));
        }
    }
    if let Some(missing) = [LineKey::CustomId, LineKey::Body].iter().find(|key| !table.lines.keys.contains(key)) {
        let message = format!("lines.keys: {missing:?} is not among them, and no line can do without it");
        return Err(refused(from, text, None, &message.replace("CustomId", "custom_id").replace("Body", "body")));
    }
    let own = |name: &&String| {
        name.is_empty() || BatchOptions::FIELDS.contains(&name.as_str()) || table.create.is_idempotency(name)
    };
    if let Some(name) = table.create.fields.keys().find(own) {
        let message = match name.as_str() {
            "" => "create.fields: a field without a name".to_owned(),
            name => format!("create.fields.{name}: it has a place of its own"),
        };
        return Err(refused(from, text, None, &message));
    }
    Ok(Dialect(Arc::new(table)))
}

/// Lays a table over another: tables are merged, all else is replaced.
fn lay(below: &mut toml::Table, above: toml::Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            // `idempotency` is one value that is written as a table: replaced, not merged.
            (Some(Toml::Table(below)), Toml::Table(above)) if key != "idempotency" => lay(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

/// An error at its line.
fn refused(from: &str, text: &str, at: Option<Range<usize>>, message: &str) -> Error {
    settings::refused("dialect", from, text, at, message)
}

#[cfg(test)]
mod tests;
