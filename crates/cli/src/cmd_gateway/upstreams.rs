//! The servers that `lote gateway` forwards to, and those that it tells: reads `--upstream` and the file of `--config`.

use std::env;

use lote_gateway::Config;
use lote_gateway::upstream::Upstream;

use super::{ClockKind, GatewayArgs, small_text};
use crate::exit::CliError;

/// All that was given of them.
///
/// # Errors
/// With exit 2, naming the flag or the line and never a key.
pub(super) fn of(args: &GatewayArgs) -> Result<Config, CliError> {
    let config = match (&args.upstream, &args.config) {
        (Some(url), _) => {
            let upstream = Upstream::new(url).map_err(|error| CliError::usage(format!("--upstream: {error}")))?;
            let upstream = match &args.upstream_key_env {
                None => upstream,
                Some(name) => {
                    let failed = |what: &str| CliError::usage(format!("--upstream-key-env {name}: {what}"));
                    let key = env::var(name).map_err(|_| failed("the environment variable is not set"))?;
                    upstream.key(&key).map_err(|error| failed(&error.to_string()))?
                }
            };
            Config { upstreams: vec![upstream], webhooks: Vec::new() }
        }
        (None, Some(path)) => {
            let wrong = |what: &str| CliError::usage(format!("{}: {what}", path.display()));
            let config = Config::from_toml(&small_text(path)?, |name| env::var(name).ok());
            let config = config.map_err(|error| wrong(&error.to_string()))?;
            if config.upstreams.is_empty() && config.webhooks.is_empty() {
                return Err(wrong(
                    "holds no [[upstream]] and no [[webhook]]; name one by its url, or leave --config out",
                ));
            }
            config
        }
        (None, None) => Config::default(),
    };
    if !config.upstreams.is_empty() && args.clock == ClockKind::Virtual {
        return Err(CliError::usage("--clock virtual: a server that is forwarded to takes real time; leave it out"));
    }
    Ok(config)
}

/// What is said of them at the start, a line each.
pub(super) fn told(upstreams: &[Upstream]) -> Vec<String> {
    upstreams.iter().map(|upstream| format!("{}  answers", upstream.url())).collect()
}
