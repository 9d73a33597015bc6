//! Owns `lote gateway`: its flags, and its start and end; never what it answers.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use lote_gateway::Gateway;
use serde_json::json;

use crate::exit::{CliError, Exit};
use crate::input;
use crate::interrupt::Stop;
use crate::out;

/// Run the embedded gateway alone
///
/// Serves the batch and file endpoints with a built-in model that reads the prompt, under two
/// base URLs: as MKA1 under /api/v1/llm, as OpenAI under /v1. No account, no network; nothing
/// is kept once it stops. Ctrl-C or SIGTERM stops it, with exit 0.
///
/// Directives in a prompt ask for trouble: [[status=429]] makes the line fail with that HTTP
/// status, [[sleep=1500]] takes that many milliseconds, [[fail=2:503]] fails twice inside the
/// batch and then succeeds.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote gateway
  lote gateway --listen 127.0.0.1:0 --json
  lote gateway --listen 0.0.0.0:8787 --key-file keys.txt"
)]
pub(crate) struct GatewayArgs {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787", value_parser = address)]
    listen: SocketAddr,

    /// A key to let in, each a tenant of its own (repeatable) [default: any key is let in]
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    key: Vec<String>,

    /// A file of keys to let in, one on each line
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,

    /// Print where it listens as one JSON object
    #[arg(long)]
    json: bool,
}

impl std::fmt::Debug for GatewayArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayArgs").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// # Errors
/// With exit 2 when the address or the keys cannot be used.
pub(crate) fn run(args: &GatewayArgs) -> Result<Exit, CliError> {
    let keys = keys(args)?;
    if keys.is_empty() && !args.listen.ip().is_loopback() {
        return Err(CliError::usage(format!(
            "{}: anyone who reaches this address could use the gateway; \
             add --key or --key-file, or listen on 127.0.0.1",
            args.listen
        )));
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::usage(format!("the runtime cannot start: {error}")))?
        .block_on(serve(args, &keys))
}

async fn serve(args: &GatewayArgs, keys: &[String]) -> Result<Exit, CliError> {
    let mut stop = Stop::listen().map_err(|error| CliError::usage(format!("signals cannot be handled: {error}")))?;
    let mut builder = Gateway::builder().listen(args.listen);
    for key in keys {
        builder = builder.key(key);
    }
    let gateway = builder.start().await.map_err(|error| cannot_listen(args, &error))?;
    let url = gateway.url();
    let (mka1, openai) = (format!("{url}/api/v1/llm"), format!("{url}/v1"));
    if args.json {
        out::line(json!({
            "listen": gateway.addr().to_string(), "base_urls": [mka1, openai], "keys": keys.len(),
        }))?;
    } else {
        let who = match keys.len() {
            0 => "any key is let in".to_owned(),
            n => format!("{} let in", out::count(n as u64, "key")),
        };
        out::text(format_args!("{mka1}  as MKA1\n{openai}  as OpenAI\n{who}; Ctrl-C stops"))?;
    }
    tokio::select! {
        () = stop.asked() => {}
        () = gateway.stopped() => return Err(CliError::usage("the gateway has ended by itself")),
    }
    tokio::select! {
        () = gateway.shutdown() => {}
        // The second time means at once.
        () = stop.asked() => {}
    }
    Ok(Exit::Success)
}

fn cannot_listen(args: &GatewayArgs, error: &io::Error) -> CliError {
    let listen = args.listen;
    CliError::usage(match error.kind() {
        ErrorKind::AddrInUse => {
            format!("{listen}: the port is in use; choose another with --listen, or port 0 for a free one")
        }
        ErrorKind::AddrNotAvailable => {
            format!("{listen}: this machine does not have this address; listen on 127.0.0.1")
        }
        ErrorKind::PermissionDenied => {
            format!("{listen}: this port may not be used ({error}); choose one above 1023")
        }
        _ => format!("{listen}: the gateway cannot start: {error}"),
    })
}

fn keys(args: &GatewayArgs) -> Result<Vec<String>, CliError> {
    let mut keys = args.key.clone();
    if let Some(path) = &args.key_file {
        let text = fs::read_to_string(path).map_err(|error| input::cannot_read(path, &error))?;
        let before = keys.len();
        keys.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
        if keys.len() == before {
            return Err(CliError::usage(format!(
                "{}: holds no key; write one on each line, or leave --key-file out",
                path.display()
            )));
        }
    }
    Ok(keys)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let text = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    text.parse().map_err(|_| "give an IP address and a port, such as 127.0.0.1:8787".to_owned())
}
