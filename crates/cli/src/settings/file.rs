//! The config file: where it is, and its profiles. Nothing is asked of the disk but the one file.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::exit::CliError;
use crate::input;
use crate::settings::key::others_can;
use crate::settings::profile::{self, At, Profile};
use crate::shell;

/// How long a config file may be, lest a wrong path fills the memory.
const MOST_BYTES: u64 = 1 << 20;

/// Where the config file is looked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// Whether `LOTE_CONFIG` names it: then it has to be there.
    pub(crate) is_named: bool,
}

/// `$LOTE_CONFIG`, else `lote/config.toml` in `$XDG_CONFIG_HOME`, else in `~/.config`, on macOS too; on Windows in
/// `%APPDATA%`. None where there is no such place.
pub(crate) fn place() -> Option<Place> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    if let Some(path) = set("LOTE_CONFIG") {
        return Some(Place { path, is_named: true });
    }
    let home = || Some(env::home_dir().and_then(absolute)?.join(".config"));
    let windows = || if cfg!(windows) { set("APPDATA").and_then(absolute) } else { None };
    let folder = set("XDG_CONFIG_HOME").and_then(absolute).or_else(windows).or_else(home)?;
    Some(Place { path: folder.join("lote").join("config.toml"), is_named: false })
}

/// What a config file says.
#[derive(Default)]
pub(crate) struct Config {
    pub(crate) default_profile: Option<At<String>>,
    pub(crate) profiles: BTreeMap<String, Profile>,
}

impl Config {
    /// Reads the file; none when it is not there and nobody has named it.
    ///
    /// # Errors
    /// With exit 2, the file and the line, when it cannot be read or says what is not understood.
    pub(crate) fn read(place: &Place) -> Result<Option<Self>, CliError> {
        let Place { path, is_named } = place;
        let refuse = |why: String| CliError::usage(format!("{}: {why}", path.display()));
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) && !is_named => {
                return Ok(None);
            }
            Err(error) => {
                let named = if *is_named { "; LOTE_CONFIG names it" } else { "" };
                return Err(refuse(format!("the config file cannot be read: {error}{named}")));
            }
        };
        if found.is_dir() {
            return Err(refuse("this is a folder, and no config file".to_owned()));
        }
        // It names a command that is run, and where a key goes. A device, such as /dev/null, is everybody's.
        if found.is_file() && others_can(2, &found) {
            let quoted = shell::quoted(path);
            return Err(refuse(format!("every user of this machine can change it: chmod 600 {quoted}")));
        }
        let bytes = input::whole(path, MOST_BYTES)
            .map_err(|error| refuse(format!("the config file cannot be read: {error}")))?;
        let text = String::from_utf8(bytes).map_err(|_| refuse("it is not UTF-8; save it as such".to_owned()))?;
        profile::parse(&text, path.parent().unwrap_or(Path::new(""))).map(Some).map_err(refuse)
    }
}
