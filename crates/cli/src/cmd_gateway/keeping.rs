//! Where `lote gateway` keeps its state.

use lote_gateway::Builder;

use crate::cmd_gateway::GatewayArgs;
use crate::exit::CliError;
use crate::full;

/// Sets what --data, or --database and --blobs, say.
///
/// # Errors
/// With exit 2 when it takes the full shape of the command, or an environment variable is not there.
pub(super) fn set(builder: Builder, args: &GatewayArgs) -> Result<Builder, CliError> {
    if let Some(folder) = &args.data {
        return Ok(builder.data(folder));
    }
    let database = match (&args.database, &args.database_env) {
        (None, None) if args.blobs.is_some() => {
            return Err(CliError::usage("--blobs is beside a database: add --database or --database-env"));
        }
        (None, None) => return Ok(builder),
        (Some(url), _) => url.clone(),
        (None, Some(name)) => std::env::var(name)
            .map_err(|_| CliError::usage(format!("--database-env: there is no environment variable {name}")))?,
    };
    shared(builder, &database, args.blobs.as_deref().unwrap_or_default())
}

#[cfg(feature = "full")]
fn shared(builder: Builder, database: &str, blobs: &str) -> Result<Builder, CliError> {
    full::only("--database")?;
    Ok(builder.shared(database, blobs))
}

#[cfg(not(feature = "full"))]
fn shared(_: Builder, _: &str, _: &str) -> Result<Builder, CliError> {
    Err(full::needed("--database"))
}

/// Whether anything is kept.
pub(super) fn is_kept(args: &GatewayArgs) -> bool {
    told(args) != "memory"
}

/// Where, in a word.
pub(super) fn told(args: &GatewayArgs) -> &'static str {
    match args {
        GatewayArgs { data: Some(_), .. } => "folder",
        GatewayArgs { database: Some(_), .. } | GatewayArgs { database_env: Some(_), .. } => "database",
        _ => "memory",
    }
}
