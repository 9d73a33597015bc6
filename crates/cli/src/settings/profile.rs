//! The text of a config file as profiles. An error has the line and the key, and never a value, which may be a secret.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::settings::file::Config;

/// A value, and the line that it is on.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) line: usize,
}

/// Settings that have a name.
#[derive(Clone, Default)]
pub(crate) struct Profile {
    pub(crate) base_url: Option<At<String>>,
    pub(crate) dialect: Option<At<String>>,
    pub(crate) key: Option<At<KeyFrom>>,
    pub(crate) on_behalf_of: Option<At<String>>,
    pub(crate) ca_cert: Option<At<PathBuf>>,
    pub(crate) retries: Option<At<u32>>,
}

/// Where the key of a profile is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum KeyFrom {
    /// The first line that a command prints: its words.
    Command(Vec<String>),
    /// The first line of a file.
    File(PathBuf),
}

impl KeyFrom {
    /// The key of the config file that names it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Command(_) => "key_command",
            Self::File(_) => "key_file",
        }
    }
}

/// What a profile may say.
pub(crate) const KEYS: &[&str] =
    &["base_url", "dialect", "key_command", "key_file", "on_behalf_of", "ca_cert", "retries"];

/// What stands at the top of the file.
const TOP: &[&str] = &["default_profile", "profile"];

/// What people call a key that is written down as it is.
const PLAIN_KEYS: &[&str] = &["key", "api_key", "apikey", "api-key", "token", "secret", "password", "bearer"];

/// Reads the text of a config file in this folder.
///
/// # Errors
/// What is not understood, with its line.
pub(crate) fn parse(text: &str, folder: &Path) -> Result<Config, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let line_of = |at: usize| text[..at.min(text.len())].bytes().filter(|byte| *byte == b'\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        // Its own words would repeat the line, which may hold a secret.
        let at = error.span().map_or(0, |span| span.start);
        format!("line {}: {}", line_of(at), error.message())
    })?;
    let mut config = Config::default();
    for (name, value) in table.get_ref() {
        let read =
            Reader { line: line_of(name.span().start), place: String::new(), name: name.get_ref(), value, folder };
        match &**name.get_ref() {
            "default_profile" => config.default_profile = Some(read.text()?),
            "profile" => {
                for (profile, settings) in read.table("[profile.NAME]")? {
                    let line = line_of(profile.span().start);
                    let read = Reader { line, place: String::new(), name: profile.get_ref(), value: settings, folder };
                    let settings = read.table("a table, [profile.NAME]")?;
                    let profile = profile.get_ref().to_string();
                    if profile.trim().is_empty() {
                        return Err(format!("line {line}: a profile without a name"));
                    }
                    let read = of_profile(settings, &profile, folder, &line_of)?;
                    config.profiles.insert(profile, read);
                }
            }
            _ if read.is_plain_key() => return Err(read.in_plain_sight()),
            _ => return Err(read.unknown(TOP)),
        }
    }
    Ok(config)
}

fn of_profile(
    settings: &DeTable<'_>,
    profile: &str,
    folder: &Path,
    line_of: &impl Fn(usize) -> usize,
) -> Result<Profile, String> {
    let mut read_so_far = Profile::default();
    for (name, value) in settings {
        let place = format!("profile {profile}: ");
        let read = Reader { line: line_of(name.span().start), place, name: name.get_ref(), value, folder };
        let key = |from: KeyFrom| At { value: from, line: read.line };
        let key = match &**name.get_ref() {
            "base_url" => {
                read_so_far.base_url = Some(read.text()?);
                continue;
            }
            "dialect" => {
                read_so_far.dialect = Some(read.dialect()?);
                continue;
            }
            "on_behalf_of" => {
                read_so_far.on_behalf_of = Some(read.text()?);
                continue;
            }
            "ca_cert" => {
                read_so_far.ca_cert = Some(At { value: read.path()?, line: read.line });
                continue;
            }
            "retries" => {
                read_so_far.retries = Some(read.number()?);
                continue;
            }
            "key_command" => key(KeyFrom::Command(read.words()?)),
            "key_file" => key(KeyFrom::File(read.path()?)),
            _ if read.is_plain_key() => return Err(read.in_plain_sight()),
            _ => return Err(read.unknown(KEYS)),
        };
        if let Some(other) = read_so_far.key.replace(key) {
            let line = read.line.max(other.line);
            let both = Reader { line, ..read };
            return Err(both.wrong("key_command and key_file are both there: leave one of them out"));
        }
    }
    Ok(read_so_far)
}

/// A value, and what errors about it say.
struct Reader<'a> {
    line: usize,
    place: String,
    name: &'a str,
    value: &'a Spanned<DeValue<'a>>,
    folder: &'a Path,
}

impl Reader<'_> {
    fn wrong(&self, what: &str) -> String {
        format!("line {}: {}{what}", self.line, self.place)
    }

    fn expected(&self, what: &str) -> String {
        let found = self.value.get_ref().type_str();
        self.wrong(&format!("{} is of the wrong type, {found}: give {what}", self.name))
    }

    fn unknown(&self, known: &[&str]) -> String {
        let all = known.join(", ");
        self.wrong(&match nearest(self.name, known.iter().copied()) {
            Some(name) => format!("unknown key {:?}: did you mean {name}? Known are {all}", self.name),
            None => format!("unknown key {:?}; known are {all}", self.name),
        })
    }

    fn is_plain_key(&self) -> bool {
        PLAIN_KEYS.contains(&self.name.to_ascii_lowercase().as_str())
    }

    fn in_plain_sight(&self) -> String {
        self.wrong(&format!(
            "{} would be a key in plain sight. In its place write key_command, such as \
             key_command = [\"pass\", \"show\", \"lote\"], or key_file = \"PATH\"; or set LOTE_API_KEY",
            self.name
        ))
    }

    fn text(&self) -> Result<At<String>, String> {
        let text = self.value.get_ref().as_str().ok_or_else(|| self.expected("a text, in \"quotes\""))?.trim();
        match text.is_empty() {
            true => Err(self.wrong(&format!("{} is empty: leave it out, or give a value", self.name))),
            false => Ok(At { value: text.to_owned(), line: self.line }),
        }
    }

    /// A path, from the folder of the config file on; `~/` is the home of the user.
    fn path(&self) -> Result<PathBuf, String> {
        let text = self.text()?.value;
        let home = text.strip_prefix("~/").and_then(|rest| Some(std::env::home_dir()?.join(rest)));
        Ok(home.unwrap_or_else(|| self.folder.join(&text)))
    }

    /// A name, or a path as others are.
    fn dialect(&self) -> Result<At<String>, String> {
        let text = self.text()?;
        if !text.value.contains(['/', '\\', '.']) {
            return Ok(text);
        }
        let path = self.path()?;
        let value = path.to_str().ok_or_else(|| self.wrong("dialect: its path is not UTF-8"))?;
        Ok(At { value: value.to_owned(), line: self.line })
    }

    fn number(&self) -> Result<At<u32>, String> {
        let number = self
            .value
            .get_ref()
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        let value = number.ok_or_else(|| self.expected("a whole number, 0 or more"))?;
        Ok(At { value, line: self.line })
    }

    fn words(&self) -> Result<Vec<String>, String> {
        let expected = || self.expected("an array of words, as [\"pass\", \"show\", \"lote\"]; no shell reads them");
        let words = self.value.get_ref().as_array().ok_or_else(expected)?;
        let words: Option<Vec<String>> = words.iter().map(|word| Some(word.get_ref().as_str()?.to_owned())).collect();
        let words = words.ok_or_else(expected)?;
        match words.first().is_some_and(|program| !program.is_empty()) {
            true => Ok(words),
            false => Err(self.wrong("key_command names no program")),
        }
    }

    fn table(&self, what: &str) -> Result<&DeTable<'_>, String> {
        self.value.get_ref().as_table().ok_or_else(|| self.expected(what))
    }
}

/// The known name that is most like this one, if any is.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let alike = |known: &str| strsim::normalized_damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase());
    let best = known.into_iter().map(|known| (alike(known), known)).max_by(|one, other| one.0.total_cmp(&other.0));
    best.filter(|(alike, _)| *alike > 0.5).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, Profile>, String> {
        parse(text, Path::new("/etc/lote")).map(|config| config.profiles)
    }

    #[test]
    fn what_a_profile_says_is_read_with_its_lines() {
        let text = "\u{feff}default_profile = 'a b'\n[profile.'a b']\nbase_url = ' http://x/v1 '\ndialect = './mine.toml'\n\
                    key_command = ['pass', 'show', '']\non_behalf_of = 'ana'\nca_cert = 'own.pem'\nretries = 0x1_0\n\
                    [profile.b]\ndialect = 'openai'\nkey_file = '/run/key'\n";
        let config = parse(text, Path::new("/etc/lote")).unwrap_or_default();
        assert!(config.default_profile == Some(At { value: "a b".to_owned(), line: 1 }));
        let Profile { base_url, dialect, key, on_behalf_of, ca_cert, retries } = &config.profiles["a b"];
        assert!(*base_url == Some(At { value: "http://x/v1".to_owned(), line: 3 }));
        assert!(*dialect == Some(At { value: "/etc/lote/./mine.toml".to_owned(), line: 4 }));
        let words = ["pass", "show", ""].map(str::to_owned).to_vec();
        assert!(*key == Some(At { value: KeyFrom::Command(words), line: 5 }));
        assert!(*on_behalf_of == Some(At { value: "ana".to_owned(), line: 6 }));
        assert!(*ca_cert == Some(At { value: "/etc/lote/own.pem".into(), line: 7 }));
        assert!(*retries == Some(At { value: 16, line: 8 }));
        let other = &config.profiles["b"];
        assert_eq!(other.dialect.as_ref().map(|at| at.value.as_str()), Some("openai"));
        assert_eq!(other.key.as_ref().map(|at| at.value.name()), Some("key_file"));
    }

    #[test]
    fn what_is_not_understood_is_told_with_line_and_key_and_without_a_value() {
        for (text, expected) in [
            ("defaultprofile = 'hunter22'", "line 1: unknown key \"defaultprofile\": did you mean default_profile?"),
            ("[profiles.a]\n", "line 1: unknown key \"profiles\": did you mean profile?"),
            (
                "[profile.a]\n\nbase-url = 'hunter22'",
                "line 3: profile a: unknown key \"base-url\": did you mean base_url?",
            ),
            (
                "[profile.a]\nzzz = 1",
                "line 2: profile a: unknown key \"zzz\"; known are base_url, dialect, key_command",
            ),
            ("[profile.a]\nbase_url = 7", "line 2: profile a: base_url is of the wrong type, integer: give a text"),
            ("[profile.a]\nbase_url = ' '", "line 2: profile a: base_url is empty"),
            (
                "[profile.a]\nretries = '3'",
                "line 2: profile a: retries is of the wrong type, string: give a whole number",
            ),
            ("[profile.a]\nretries = -1", "line 2: profile a: retries is of the wrong type"),
            (
                "[profile.a]\nkey_command = 'pass hunter22'",
                "line 2: profile a: key_command is of the wrong type, string: give an array",
            ),
            ("[profile.a]\nkey_command = ['pass', 1]", "line 2: profile a: key_command is of the wrong type"),
            ("[profile.a]\nkey_command = []", "line 2: profile a: key_command names no program"),
            (
                "[profile.a]\nkey_file = 'a'\nkey_command = ['b']",
                "line 3: profile a: key_command and key_file are both there",
            ),
            ("profile = 1", "line 1: profile is of the wrong type, integer"),
            ("[profile]\na = 'hunter22'", "line 2: a is of the wrong type, string: give a table"),
            ("[profile.'']\n", "line 1: a profile without a name"),
            ("[profile.a]\nx = = hunter22", "line 2: "),
            ("[profile.a]\nretries = 1\nretries = 2", "line 3: duplicate key"),
        ] {
            let error = read(text).err().expect(text);
            assert!(error.starts_with(expected), "{text:?}: {error}");
            assert!(!error.contains("hunter22") && !error.contains('\n'), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_key_in_plain_sight_is_refused_with_what_to_write() {
        for name in PLAIN_KEYS.iter().copied().chain(["API_KEY", "Key"]) {
            assert!(read(&format!("\"{name}\" = 'hunter22'")).err().expect(name).contains("a key in plain sight"));
            let error = read(&format!("[profile.a]\n\"{name}\" = 'hunter22'")).err().expect(name);
            let expected = format!("line 2: profile a: {name} would be a key in plain sight.");
            assert!(error.starts_with(&expected) && error.contains("key_command = ["), "{error}");
            assert!(error.contains("key_file") && !error.contains("hunter22"), "{error}");
        }
    }
}
