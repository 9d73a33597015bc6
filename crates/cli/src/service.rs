//! The settings shared by all commands that talk to a service, and the exit codes of its errors.

use std::{fmt, fs, path::PathBuf};

use clap::Args;
use lote::{Client, ClientBuilder, Dialect, Retry};

use crate::exit::{CliError, Exit};
use crate::input;
use crate::out;
use crate::shell::CommandLine;

/// Which service, and who asks.
#[derive(Clone, Default, Args)]
#[command(next_help_heading = "Service")]
pub(crate) struct ServiceArgs {
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

    /// The end user for whom this is done: a stable id, not an e-mail address
    #[arg(long, value_name = "ID", env = "LOTE_ON_BEHALF_OF", hide_env_values = true)]
    on_behalf_of: Option<String>,

    /// A file of certificates (PEM) to trust beside the machine's, such as those of a company's own authority
    #[arg(long, value_name = "FILE", env = "LOTE_CA_CERT", hide_env_values = true, value_parser = input::path())]
    ca_cert: Option<PathBuf>,

    /// How often a call is tried again when its error may pass; a create only if nothing was sent
    #[arg(long, value_name = "N", env = "LOTE_RETRIES", hide_env_values = true, default_value_t = 3)]
    retries: u32,
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
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        let Some(key) = set(&self.api_key) else {
            let no_key = CliError::usage("no API key: set LOTE_API_KEY, or give --api-key; nothing was sent");
            return Err(no_key.with(set(&self.base_url).is_none().then(|| self.unreached())));
        };
        let client = self.settings()?.api_key(key).build()?;
        if client.dialect_choice().is_guess() {
            let (name, choice) = (client.dialect().name(), client.dialect_choice());
            out::note(format_args!("dialect {name}, {choice}; --dialect names another"));
        }
        Ok(client)
    }

    /// A client for what makes no call: no key is needed.
    ///
    /// # Errors
    /// With exit 2 when a setting cannot be used.
    pub(crate) fn keyless(&self) -> Result<Client, CliError> {
        Ok(self.settings()?.api_key("-").build()?)
    }

    /// Where the service is looked for, and what names another place.
    pub(crate) fn unreached(&self) -> String {
        let place = match set(&self.base_url) {
            Some(_) => "is the service there?",
            None => "no service was named, so that it is MKA1's gateway:",
        };
        format!("  {place} --base-url (LOTE_BASE_URL) names another")
    }

    /// Another command for the same service and the same end user.
    pub(crate) fn again(&self, subcommand: &str) -> CommandLine {
        let mut line = CommandLine::new(subcommand);
        // A URL that a client was made with holds no secret.
        if set(&self.base_url).is_some()
            && let Ok(client) = self.settings().and_then(|settings| Ok(settings.api_key("-").build()?))
        {
            line = line.flag("--base-url", client.base_url());
        }
        if let Some(dialect) = set(&self.dialect) {
            line = line.flag("--dialect", dialect);
        }
        if let Some(path) = &self.ca_cert {
            line = line.flag("--ca-cert", path);
        }
        if let Some(user) = set(&self.on_behalf_of) {
            line = line.flag("--on-behalf-of", user);
        }
        line
    }

    /// All settings but the key.
    fn settings(&self) -> Result<ClientBuilder, CliError> {
        let mut builder = Client::builder().retry(Retry::default().retries(self.retries));
        if let Some(url) = set(&self.base_url) {
            builder = builder.base_url(url);
        }
        if let Some(dialect) = set(&self.dialect) {
            builder = builder.dialect(Dialect::load(dialect)?);
        }
        if let Some(path) = self.ca_cert.as_deref().filter(|path| !path.as_os_str().is_empty()) {
            let pem = fs::read(path)
                .map_err(|error| CliError::usage(format!("certificates: {}: {error}", path.display())))?;
            builder = builder.root_certificates(pem);
        }
        if let Some(user) = set(&self.on_behalf_of) {
            builder = builder.on_behalf_of(user);
        }
        Ok(builder)
    }
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

    fn args(base_url: &str, api_key: &str) -> ServiceArgs {
        ServiceArgs {
            base_url: Some(base_url.to_owned()),
            dialect: None,
            api_key: Some(api_key.to_owned()),
            on_behalf_of: None,
            ca_cert: None,
            retries: 0,
        }
    }

    #[test]
    fn settings_become_a_client() {
        for (url, expected) in [
            ("http://127.0.0.1:1", "http://127.0.0.1:1/api/v1/llm"),
            ("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1"),
            ("", "https://apigw.mka1.com/api/v1/llm"),
        ] {
            let client = args(url, "mk-1").client();
            assert_eq!(client.as_ref().map(Client::base_url).ok(), Some(expected), "{client:?}");
        }
    }

    #[test]
    fn another_command_reaches_the_same_service_for_the_same_user() {
        let args = ServiceArgs {
            dialect: Some("./my own.toml".to_owned()),
            ca_cert: Some("it's.pem".into()),
            on_behalf_of: Some("ana;b".to_owned()),
            ..args("http://127.0.0.1:1/a'b", "mk-1")
        };
        // The dialect is not there, so that no client can be made to say what the whole URL is.
        let line = args.again("batches wait").word("b 1").to_string();
        assert_eq!(
            line,
            r"lote batches wait 'b 1' --dialect './my own.toml' --ca-cert 'it'\''s.pem' --on-behalf-of 'ana;b'"
        );
        let with_secrets =
            ServiceArgs { base_url: Some("http://me:hunter22@127.0.0.1/?k=hunter22".to_owned()), ..args };
        assert!(!with_secrets.again("files list").to_string().contains("hunter22"));
    }

    #[test]
    fn what_cannot_be_used_is_exit_2() {
        for (url, key, expected) in [
            ("", "", "no API key: set LOTE_API_KEY"),
            ("", " \n", "no API key: set LOTE_API_KEY"),
            ("ftp://127.0.0.1", "mk-1", ""),
            ("not a url", "mk-1", ""),
        ] {
            let error = args(url, key).client().expect_err(url);
            assert_eq!(error.exit(), Exit::Usage, "{url}: {error}");
            assert!(error.to_string().contains(expected), "{url}: {error}");
        }
    }

    #[test]
    fn certificates_that_cannot_be_read_are_exit_2() {
        for path in ["/nowhere/at/all.pem", "Cargo.toml"] {
            let args = ServiceArgs { ca_cert: Some(path.into()), ..args("", "mk-1") };
            let error = args.client().expect_err(path);
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
