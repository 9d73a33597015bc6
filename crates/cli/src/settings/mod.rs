//! What the settings of a service are, and where each comes from: a flag, a variable, a profile, a default.
//!
//! For each the first that there is counts: flag, `LOTE_*`, profile, `OPENAI_*` where it may, default. A key goes only
//! where it belongs: that of a profile to the profile's service, that of `OPENAI_API_KEY` to OpenAI or `OPENAI_BASE_URL`.

mod file;
mod key;
mod openai;
mod places;
mod profile;

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::exit::CliError;
pub(crate) use file::{Config, Place, place};
pub(crate) use openai::OpenAi;
pub(crate) use places::reached;
pub(crate) use profile::{At, KeyFrom, Profile, nearest};

/// How often a call is tried again when nothing says otherwise.
pub(crate) const RETRIES: u32 = 3;

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub(crate) enum Source {
    /// This flag.
    Flag { name: &'static str },
    /// This environment variable.
    Variable { name: &'static str },
    /// This profile of the config file, on this line of it.
    Profile { name: String, line: usize },
    /// The config file, outside of its profiles.
    ConfigFile { line: usize },
    /// Nothing says it.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag { name } | Self::Variable { name } => f.write_str(name),
            Self::Profile { name, .. } => write!(f, "profile {name}"),
            Self::ConfigFile { .. } => f.write_str("the config file"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting that was made, and by what.
#[derive(Clone)]
pub(crate) struct Made<T> {
    pub(crate) value: T,
    pub(crate) source: Source,
}

/// The key, or how to come by it. As all that may hold a secret here, a base URL too, it has no `Debug`.
#[derive(Clone)]
pub(crate) enum Key {
    /// This text.
    Text(String),
    /// What a profile names.
    Kept(KeyFrom),
}

/// What the command line and the `LOTE_*` variables say.
#[derive(Clone, Default)]
pub(crate) struct Given {
    pub(crate) profile: Option<Made<String>>,
    pub(crate) base_url: Option<Made<String>>,
    pub(crate) dialect: Option<Made<String>>,
    pub(crate) api_key: Option<Made<Key>>,
    pub(crate) on_behalf_of: Option<Made<String>>,
    pub(crate) ca_cert: Option<Made<PathBuf>>,
    pub(crate) retries: Option<Made<u32>>,
}

/// The settings in force.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) profile: Option<Made<String>>,
    pub(crate) base_url: Option<Made<String>>,
    pub(crate) dialect: Option<Made<String>>,
    pub(crate) key: Option<Made<Key>>,
    pub(crate) on_behalf_of: Option<Made<String>>,
    pub(crate) ca_cert: Option<Made<PathBuf>>,
    pub(crate) retries: Made<u32>,
    /// Keys that are there and do not go to this service, each with the reason.
    pub(crate) untaken: Vec<String>,
    /// The config file, where one was read.
    pub(crate) file: Option<PathBuf>,
}

impl Settings {
    /// The settings in force, of what is given, the config file and OpenAI's variables.
    ///
    /// # Errors
    /// With exit 2 when the config file cannot be read, or has not the profile that is named.
    pub(crate) fn settle(given: &Given) -> Result<Self, CliError> {
        let place = place();
        let config = match &place {
            Some(place) => Config::read(place)?,
            None => None,
        };
        let file = place.as_ref().filter(|_| config.is_some()).map(|place| place.path.clone());
        let profile = chosen(given, config.as_ref(), place.as_ref())?;
        let of_profile = profile.as_ref().and_then(|name| config.as_ref()?.profiles.get(&name.value));
        let mut settled = Self::of(given, profile.clone(), of_profile, &OpenAi::from_env());
        settled.file = file;
        Ok(settled)
    }

    /// The same, of what was read.
    pub(crate) fn of(
        given: &Given,
        profile: Option<Made<String>>,
        settings: Option<&Profile>,
        openai: &OpenAi,
    ) -> Self {
        let none = Profile::default();
        let settings = settings.unwrap_or(&none);
        let name = profile.as_ref().map_or("", |profile| profile.value.as_str());
        let mut untaken = Vec::new();
        let dialect = given.dialect.clone().or_else(|| of_profile(&settings.dialect, name));
        let ours = given.base_url.clone().or_else(|| of_profile(&settings.base_url, name));
        let openai = openai.for_service(dialect.as_ref(), ours.as_ref());
        let base_url = ours.clone().or_else(|| openai.base_url());
        let mut key = given.api_key.clone();
        if key.is_none()
            && let Some(At { value: from, line }) = &settings.key
        {
            match places::key_goes_to(name, settings, base_url.as_ref(), dialect.as_ref()) {
                Ok(()) => {
                    let source = Source::Profile { name: name.to_owned(), line: *line };
                    key = Some(Made { value: Key::Kept(from.clone()), source });
                }
                Err(why) => untaken.push(why),
            }
        }
        if key.is_none() {
            match openai.key() {
                Ok(theirs) => key = theirs,
                Err(why) => untaken.push(why),
            }
        }
        Self {
            base_url,
            dialect,
            key,
            on_behalf_of: given.on_behalf_of.clone().or_else(|| of_profile(&settings.on_behalf_of, name)),
            ca_cert: given.ca_cert.clone().or_else(|| of_profile(&settings.ca_cert, name)),
            retries: (given.retries.clone().or_else(|| of_profile(&settings.retries, name)))
                .unwrap_or(Made { value: RETRIES, source: Source::Default }),
            profile,
            untaken,
            file: None,
        }
    }

    /// Whether a setting comes from the profile, which the profile's name then stands for.
    pub(crate) fn is_of_profile<T>(setting: &Made<T>) -> bool {
        matches!(setting.source, Source::Profile { .. })
    }

    /// What says where a setting stands that cannot be used, if that is in the config file.
    pub(crate) fn blame<T>(&self, setting: Option<&Made<T>>) -> Option<String> {
        let Source::Profile { name, line } = &setting?.source else { return None };
        let file = self.file.as_deref()?.display();
        Some(format!("  it is that of profile {name}: {file}, line {line}"))
    }

    /// What is said when OpenAI's own variables are used; nothing else says that they are.
    pub(crate) fn openai_note(&self) -> Option<String> {
        let is_theirs = |source: &Source| matches!(source, Source::Variable { name } if name.starts_with("OPENAI_"));
        let url = self.base_url.as_ref().filter(|url| is_theirs(&url.source)).map(|_| openai::BASE_URL);
        let key = self.key.as_ref().filter(|key| is_theirs(&key.source)).map(|_| openai::API_KEY);
        let (what, instead) = match (key, url) {
            (None, None) => return None,
            (Some(key), None) => (format!("the key is that of {key}"), "LOTE_API_KEY"),
            (None, Some(url)) => (format!("the base URL is that of {url}"), "LOTE_BASE_URL"),
            (Some(key), Some(url)) => {
                (format!("the key is that of {key}, the base URL that of {url}"), "LOTE_API_KEY and LOTE_BASE_URL")
            }
        };
        Some(format!("{what}, as for OpenAI's own tools; {instead} would come first"))
    }
}

fn of_profile<T: Clone>(setting: &Option<At<T>>, profile: &str) -> Option<Made<T>> {
    let At { value, line } = setting.as_ref()?;
    Some(Made { value: value.clone(), source: Source::Profile { name: profile.to_owned(), line: *line } })
}

/// The profile that counts: the one that is named, or the file's own choice.
fn chosen(given: &Given, config: Option<&Config>, place: Option<&Place>) -> Result<Option<Made<String>>, CliError> {
    let at = place.map_or("the config file".to_owned(), |place| place.path.display().to_string());
    let Some(config) = config else {
        return match &given.profile {
            None => Ok(None),
            Some(Made { value, source }) => {
                let (init, why) = ("lote config init writes an example", "there is no config file");
                Err(CliError::usage(format!("{source} {value}: {why}, {at}; {init}; nothing was sent")))
            }
        };
    };
    let named = given.profile.clone().or_else(|| {
        let At { value, line } = config.default_profile.as_ref()?;
        Some(Made { value: value.clone(), source: Source::ConfigFile { line: *line } })
    });
    let Some(Made { value: name, source }) = &named else { return Ok(None) };
    if config.profiles.contains_key(name) {
        return Ok(named);
    }
    let known = || config.profiles.keys().map(String::as_str);
    let hint = match (nearest(name, known()), config.profiles.is_empty()) {
        (_, true) => "; it has none".to_owned(),
        (Some(nearest), false) => format!(": did you mean {nearest}?"),
        (None, false) => format!("; known are {}", known().collect::<Vec<_>>().join(", ")),
    };
    let said_by = match source {
        Source::ConfigFile { line } => format!("{at}: line {line}: default_profile: "),
        source => format!("{source}: {at}: "),
    };
    Err(CliError::usage(format!("{said_by}there is no profile {name:?}{hint}")))
}

#[cfg(test)]
mod tests;
