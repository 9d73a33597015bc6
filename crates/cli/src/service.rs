//! The flags shared by all commands that talk to a service, the client that they make, and the exit codes of its errors.

use std::ffi::OsString;
use std::sync::OnceLock;
use std::{fmt, path::PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches};
use lote::{Client, ClientBuilder, Dialect, Retry};

use crate::exit::{CliError, Exit};
use crate::input;
use crate::out;
use crate::settings::{Given, Key, Made, Settings, Source};
use crate::shell::CommandLine;

/// How long a file of certificates may be: those that systems come with have a quarter of a megabyte.
const MOST_CERTIFICATES: u64 = 16 << 20;

/// Which service, and who asks.
#[derive(Args)]
#[command(next_help_heading = "Service")]
struct ServiceFlags {
    /// Where the service is; without a path, the dialect's is added [default: MKA1's gateway]
    #[arg(long, value_name = "URL", env = "LOTE_BASE_URL", hide_env_values = true)]
    base_url: Option<String>,

    /// How the service deviates: a known dialect or a file of your own [default: guessed from the URL]
    ///
    /// mka1, openai, azure, groq, together, ogx, litellm, vllm, doubleword, aibrix; a file is named with its path,
    /// such as ./mine.toml. See docs/dialects.md.
    #[arg(long, value_name = "NAME|FILE", env = "LOTE_DIALECT", hide_env_values = true)]
    dialect: Option<String>,

    /// The key; better in the environment, where other users of this machine do not see it
    #[arg(long, value_name = "KEY", env = "LOTE_API_KEY", hide_env_values = true)]
    api_key: Option<String>,

    #[command(flatten)]
    profile: ProfileArgs,

    /// The end user for whom this is done: a stable id, not an e-mail address
    #[arg(long, value_name = "ID", env = "LOTE_ON_BEHALF_OF", hide_env_values = true)]
    on_behalf_of: Option<String>,

    /// A file of certificates (PEM) to trust beside the machine's, such as those of a company's own authority
    #[arg(long, value_name = "FILE", env = "LOTE_CA_CERT", hide_env_values = true, value_parser = input::path())]
    ca_cert: Option<PathBuf>,

    /// How often a call is tried again when its error may pass; a create only if nothing was sent [default: 3]
    #[arg(long, value_name = "N", env = "LOTE_RETRIES", hide_env_values = true)]
    retries: Option<u32>,
}

/// Which profile of the config file counts.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ProfileArgs {
    /// Take what the flags and variables leave open from this profile of the config file; see lote config --help
    #[arg(long, value_name = "NAME", env = "LOTE_PROFILE", hide_env_values = true)]
    profile: Option<String>,
}

impl ProfileArgs {
    /// The dialect and the base URL, as a command has them from its own flags or else from the profile.
    ///
    /// # Errors
    /// With exit 2 when the config file cannot be read, or has not that profile.
    pub(crate) fn fill(&self, dialect: &Option<String>, base_url: &Option<String>) -> Result<Filled, CliError> {
        let made = |setting: &Option<String>| {
            Some(Made { value: set(setting)?.to_owned(), source: Source::Flag { name: "--profile" } })
        };
        let given = Given {
            profile: made(&self.profile),
            dialect: made(dialect),
            base_url: made(base_url),
            ..Given::default()
        };
        let Settings { dialect, base_url, .. } = Settings::settle(&given)?;
        Ok(Filled { dialect: dialect.map(|made| made.value), base_url: base_url.map(|made| made.value) })
    }
}

/// What a command that makes no call takes of the settings.
pub(crate) struct Filled {
    pub(crate) dialect: Option<String>,
    pub(crate) base_url: Option<String>,
}

/// The settings of a service as they were given, and as they are in force once they are asked for.
#[derive(Clone, Default)]
pub(crate) struct ServiceArgs {
    given: Given,
    settled: OnceLock<Settings>,
}

impl Args for ServiceArgs {
    fn augment_args(command: clap::Command) -> clap::Command {
        ServiceFlags::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        ServiceFlags::augment_args_for_update(command)
    }
}

impl FromArgMatches for ServiceArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let ServiceFlags {
            base_url,
            dialect,
            api_key,
            profile: ProfileArgs { profile },
            on_behalf_of,
            ca_cert,
            retries,
        } = ServiceFlags::from_arg_matches(matches)?;
        let source = |id: &str, flag: &'static str, variable: &'static str| match matches.value_source(id) {
            Some(ValueSource::EnvVariable) => Source::Variable { name: variable },
            _ => Source::Flag { name: flag },
        };
        // An empty one counts as not made.
        let text = |given: Option<String>, source: Source| {
            let value = set(&given)?.to_owned();
            Some(Made { value, source })
        };
        let key = text(api_key, source("api_key", "--api-key", "LOTE_API_KEY"));
        let ca_cert = ca_cert.filter(|path| !path.as_os_str().is_empty());
        let given = Given {
            profile: text(profile, source("profile", "--profile", "LOTE_PROFILE")),
            base_url: text(base_url, source("base_url", "--base-url", "LOTE_BASE_URL")),
            dialect: text(dialect, source("dialect", "--dialect", "LOTE_DIALECT")),
            api_key: key.map(|Made { value, source }| Made { value: Key::Text(value), source }),
            on_behalf_of: text(on_behalf_of, source("on_behalf_of", "--on-behalf-of", "LOTE_ON_BEHALF_OF")),
            ca_cert: ca_cert.map(|value| Made { value, source: source("ca_cert", "--ca-cert", "LOTE_CA_CERT") }),
            retries: retries.map(|value| Made { value, source: source("retries", "--retries", "LOTE_RETRIES") }),
        };
        Ok(Self { given, settled: OnceLock::new() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl fmt::Debug for ServiceArgs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every setting may hold a secret; a base URL may hold a password.
        f.write_str("ServiceArgs(..)")
    }
}

impl ServiceArgs {
    /// A client with these settings; an empty one counts as not made.
    ///
    /// # Errors
    /// With exit 2 when there is no key or a setting cannot be used. Nothing is sent.
    pub(crate) async fn client(&self) -> Result<Client, CliError> {
        self.client_or("lote gateway runs a service on this machine, with a built-in model and for any key").await
    }

    /// The same, of a command that has `--embedded`.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub(crate) async fn client_or_embedded(&self) -> Result<Client, CliError> {
        self.client_or(
            "--embedded runs the same with a built-in model inside this command, and lote gateway for other programs as well",
        )
        .await
    }

    async fn client_or(&self, without_an_account: &str) -> Result<Client, CliError> {
        let settings = self.settings()?;
        let builder = builder(settings)?;
        let Some(key) = &settings.key else {
            let no_key = CliError::usage(
                "no API key: set LOTE_API_KEY, or give --api-key, or a profile with one (lote config); nothing was sent",
            );
            let unnamed = settings.base_url.is_none().then(|| unreached(settings));
            let account = format!("  without an account: {without_an_account}");
            return Err(no_key.with(unnamed).with(settings.untaken.clone()).with([account]));
        };
        let text = match &key.value {
            Key::Text(text) => text.clone(),
            Key::Kept(kept) => kept.read().await.map_err(|why| {
                CliError::usage(format!("no API key: {why}; nothing was sent")).with(settings.blame(Some(key)))
            })?,
        };
        let client = built(settings, builder.api_key(text))?;
        if client.dialect_choice().is_guess() {
            let (name, choice) = (client.dialect().name(), client.dialect_choice());
            out::note(format_args!("dialect {name}, {choice}; --dialect names another"));
        }
        if let Some(note) = settings.openai_note() {
            out::note(note);
        }
        Ok(client)
    }

    /// A client for what makes no call: no key is needed.
    ///
    /// # Errors
    /// With exit 2 when a setting cannot be used.
    pub(crate) fn keyless(&self) -> Result<Client, CliError> {
        let settings = self.settings()?;
        built(settings, builder(settings)?.api_key("-"))
    }

    /// The settings in force.
    ///
    /// # Errors
    /// With exit 2 when the config file cannot be read, or has not the profile that is named.
    pub(crate) fn settings(&self) -> Result<&Settings, CliError> {
        if let Some(settled) = self.settled.get() {
            return Ok(settled);
        }
        let settled = Settings::settle(&self.given)?;
        Ok(self.settled.get_or_init(|| settled))
    }

    /// Where the service is looked for, and what names another place.
    pub(crate) fn unreached(&self) -> String {
        self.settings().map(unreached).unwrap_or_default()
    }

    /// Another command for the same service and the same end user. What comes from a profile is named by it.
    pub(crate) fn again(&self, subcommand: &str) -> CommandLine {
        let mut line = CommandLine::new(subcommand);
        let Ok(settings) = self.settings() else { return line };
        if let Some(profile) = &settings.profile {
            line = line.flag("--profile", &profile.value);
        }
        // A URL that a client was made with holds no secret.
        if own(&settings.base_url).is_some()
            && let Ok(client) = self.keyless()
        {
            line = line.flag("--base-url", client.base_url());
        }
        let text = |setting: &Option<Made<String>>| Some(OsString::from(&own(setting)?.value));
        let flags = [
            ("--dialect", text(&settings.dialect)),
            ("--ca-cert", own(&settings.ca_cert).map(|path| path.value.clone().into_os_string())),
            ("--on-behalf-of", text(&settings.on_behalf_of)),
        ];
        for (name, value) in flags {
            if let Some(value) = value {
                line = line.flag(name, value);
            }
        }
        line
    }
}

/// A setting that the profile does not make.
fn own<T>(setting: &Option<Made<T>>) -> Option<&Made<T>> {
    setting.as_ref().filter(|made| !Settings::is_of_profile(made))
}

fn unreached(settings: &Settings) -> String {
    let place = match (&settings.base_url, &settings.dialect) {
        (None, None) => "no service was named, so that it is MKA1's gateway:",
        _ => "is the service there?",
    };
    format!("  {place} --base-url (LOTE_BASE_URL) names another")
}

/// All settings but the key.
fn builder(settings: &Settings) -> Result<ClientBuilder, CliError> {
    let mut builder = Client::builder().retry(Retry::default().retries(settings.retries.value));
    if let Some(url) = &settings.base_url {
        builder = builder.base_url(&url.value);
    }
    if let Some(dialect) = &settings.dialect {
        let loaded = Dialect::load(&dialect.value);
        builder = builder
            .dialect(loaded.map_err(|error| CliError::from(error).with(settings.blame(settings.dialect.as_ref())))?);
    }
    if let Some(Made { value: path, .. }) = &settings.ca_cert {
        let pem = input::whole(path, MOST_CERTIFICATES).map_err(|error| {
            let refused = CliError::usage(format!("certificates: {}: {error}", path.display()));
            refused.with(settings.blame(settings.ca_cert.as_ref()))
        })?;
        builder = builder.root_certificates(pem);
    }
    if let Some(user) = &settings.on_behalf_of {
        builder = builder.on_behalf_of(&user.value);
    }
    Ok(builder)
}

/// The client, or what is wrong, and where that stands.
fn built(settings: &Settings, builder: ClientBuilder) -> Result<Client, CliError> {
    builder.build().map_err(|error| {
        let of_url = error.to_string().contains("base URL");
        let variable = settings.base_url.as_ref().filter(|_| of_url).and_then(|url| match url.source {
            Source::Variable { name } => Some(format!("  it is that of {name}")),
            _ => settings.blame(Some(url)),
        });
        CliError::from(error).with(variable)
    })
}

fn set(setting: &Option<String>) -> Option<&str> {
    setting.as_deref().map(str::trim).filter(|value| !value.is_empty())
}

impl From<lote::Error> for CliError {
    /// What never left this machine is exit 2; what the service or the way to it refused is 4.
    fn from(error: lote::Error) -> Self {
        let exit = if error.is_invalid() || error.is_io() { Exit::Usage } else { Exit::Service };
        let hint = error.is_unreached().then(|| "  --base-url (LOTE_BASE_URL) says where the service is".to_owned());
        Self::new(exit, error.to_string()).with(hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::OpenAi;

    /// What these flags make, whatever this machine's own config file says.
    fn given(flags: &[&str]) -> ServiceArgs {
        let command = ServiceArgs::augment_args(clap::Command::new("lote").no_binary_name(true));
        let args = ServiceArgs::from_arg_matches(&command.get_matches_from(flags)).expect("flags");
        let profile = ["--profile", "LOTE_PROFILE"];
        assert!(args.given.profile.is_none(), "{profile:?} would need a file");
        let settled = Settings::of(&args.given, None, None, &OpenAi::default());
        ServiceArgs { settled: OnceLock::from(settled), ..args }
    }

    fn args(base_url: &str, api_key: &str) -> ServiceArgs {
        given(&["--base-url", base_url, "--api-key", api_key])
    }

    #[tokio::test]
    async fn settings_become_a_client() {
        for (url, expected) in [
            ("http://127.0.0.1:1", "http://127.0.0.1:1/api/v1/llm"),
            ("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1"),
            ("", "https://apigw.mka1.com/api/v1/llm"),
        ] {
            let client = args(url, "mk-1").client().await;
            assert_eq!(client.as_ref().map(Client::base_url).ok(), Some(expected), "{client:?}");
        }
    }

    #[test]
    fn another_command_reaches_the_same_service_for_the_same_user() {
        let rest = ["--dialect", "./my own.toml", "--ca-cert", "it's.pem", "--on-behalf-of", "ana;b", "--base-url"];
        let at = |url: &'static str| given(&[&rest[..], &[url]].concat());
        let args = at("http://127.0.0.1:1/a'b");
        // The dialect is not there, so that no client can be made to say what the whole URL is.
        let line = args.again("batches wait").word("b 1").to_string();
        assert_eq!(
            line,
            r"lote batches wait 'b 1' --dialect './my own.toml' --ca-cert 'it'\''s.pem' --on-behalf-of 'ana;b'"
        );
        let with_secrets = at("http://me:hunter22@127.0.0.1/?k=hunter22");
        assert!(!with_secrets.again("files list").to_string().contains("hunter22"));
    }

    #[tokio::test]
    async fn what_cannot_be_used_is_exit_2() {
        for (url, key, expected) in [
            ("", "", "no API key: set LOTE_API_KEY"),
            ("", " \n", "no API key: set LOTE_API_KEY"),
            ("ftp://127.0.0.1", "mk-1", ""),
            ("not a url", "mk-1", ""),
        ] {
            let error = args(url, key).client().await.expect_err(url);
            assert_eq!(error.exit(), Exit::Usage, "{url}: {error}");
            assert!(error.to_string().contains(expected), "{url}: {error}");
        }
    }

    #[tokio::test]
    async fn certificates_that_cannot_be_read_are_exit_2() {
        for path in ["/nowhere/at/all.pem", "Cargo.toml"] {
            let args = given(&["--api-key", "mk-1", "--ca-cert", path]);
            let error = args.client().await.expect_err(path);
            assert_eq!(error.exit(), Exit::Usage, "{error}");
            assert!(error.to_string().contains("certificates"), "{error}");
        }
    }

    #[test]
    fn the_help_names_every_known_dialect() {
        let help = ServiceArgs::augment_args(clap::Command::new("lote")).render_long_help().to_string();
        for &name in Dialect::KNOWN {
            assert!(help.contains(name), "{name} is not in {help}");
        }
    }

    #[test]
    fn secrets_are_not_in_debug() {
        let debug = format!("{:?}", args("http://me:secret@127.0.0.1:1", "mk-secret"));
        assert!(!debug.contains("secret"), "{debug}");
    }
}
