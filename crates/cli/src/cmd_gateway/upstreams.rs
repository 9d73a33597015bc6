//! The servers that `lote gateway` forwards to: reads `--upstream` and the file of `--config`.

use std::env;

use lote_gateway::upstream::{self, Upstream};

use super::{ClockKind, GatewayArgs, small_text};
use crate::exit::CliError;

/// The servers, none for the built-in model.
///
/// # Errors
/// With exit 2, naming the flag or the line and never a key.
pub(super) fn of(args: &GatewayArgs) -> Result<Vec<Upstream>, CliError> {
    let upstreams = match (&args.upstream, &args.config) {
        (Some(url), _) => {
            let upstream = Upstream::new(url).map_err(|error| CliError::usage(format!("--upstream: {error}")))?;
            vec![match &args.upstream_key_env {
                None => upstream,
                Some(name) => {
                    let failed = |what: &str| CliError::usage(format!("--upstream-key-env {name}: {what}"));
                    let key = env::var(name).map_err(|_| failed("the environment variable is not set"))?;
                    upstream.key(&key).map_err(|error| failed(&error.to_string()))?
                }
            }]
        }
        (None, Some(path)) => {
            let wrong = |what: &str| CliError::usage(format!("{}: {what}", path.display()));
            let upstreams = upstream::from_toml(&small_text(path)?, |name| env::var(name).ok());
            let upstreams = upstreams.map_err(|error| wrong(&error.to_string()))?;
            if upstreams.is_empty() {
                return Err(wrong("holds no [[upstream]]; name one by its url, or leave --config out"));
            }
            upstreams
        }
        (None, None) => Vec::new(),
    };
    if !upstreams.is_empty() && args.clock == ClockKind::Virtual {
        return Err(CliError::usage("--clock virtual: a server that is forwarded to takes real time; leave it out"));
    }
    Ok(upstreams)
}

/// What is said of them at the start, a line each.
pub(super) fn told(upstreams: &[Upstream]) -> Vec<String> {
    upstreams.iter().map(|upstream| format!("{}  answers", upstream.url())).collect()
}
