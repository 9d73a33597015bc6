//! `lote gateway`: its flags, its start and its end.

mod keeping;
mod keys;
mod log;
mod upstreams;

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use lote_gateway::faults::Faults;
use lote_gateway::{Builder, Config, Gateway, Replay};
use serde_json::json;

use self::keys::Key;
use crate::exit::{CliError, Exit};
use crate::input;
use crate::interrupt::{self, Stop};
use crate::out;
use crate::values;

/// Serve a batch API here: a built-in model for tests, or before a server of yours
///
/// Serves the batch and file endpoints with a built-in model that reads the prompt, under two
/// base URLs: as MKA1 under /api/v1/llm, as OpenAI under /v1. No account, no network; nothing
/// is kept once it stops, unless --data says where. Ctrl-C or SIGTERM stops it, with exit 0.
///
/// With --upstream, or --config for several, requests go to OpenAI-style servers in place of the
/// built-in model: so vLLM, SGLang, llama.cpp and Ollama, which have no batch API, get one. How
/// much each takes at once is learned; requests of clients go before the lines of batches, and
/// these wait for a server that cannot be reached, for a quarter of an hour.
///
/// With --data all is kept in a folder and survives the death of the process at any moment: what
/// was accepted goes on at the next start, and a line whose answer is recorded is never sent
/// again. With --database and --blobs any number of gateways share files, batches and work.
///
/// It also answers single requests at once, streamed or whole, by the same model: POST to
/// chat/completions, responses, embeddings and images/generations, as OpenAI also to
/// completions, moderations, images/edits and videos. GET models lists the model's names.
///
/// Directives in a prompt ask for trouble: [[status=429]] makes the line fail with that HTTP
/// status, [[sleep=1500]] takes that many milliseconds, [[fail=2:503]] fails twice inside the
/// batch and then succeeds. Of a single request it fails the first two tries of the client, and
/// [[retry-after=2]] beside it, or beside a status, says when to try again.
///
/// --faults scripts trouble for whole operations: lost answers, rate limits, lagging lists,
/// distorted results. The page of lote-gateway has the table of faults and an example.
#[derive(Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote gateway
  lote gateway --listen 127.0.0.1:0 --json
  lote gateway --listen 0.0.0.0:8787 --key-file keys.txt
  lote gateway --faults faults.toml --seed 7 --journal
  lote gateway --clock virtual
  lote gateway --upstream http://127.0.0.1:11434/v1
  lote gateway --upstream http://127.0.0.1:8000/v1 --data gateway.data --grace 60s
  lote gateway --replay requests.run/results.jsonl --replay-requests requests.jsonl
  lote gateway --config gateway.toml --key-file keys.txt --log text"
)]
pub(crate) struct GatewayArgs {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8787", value_parser = address)]
    listen: SocketAddr,

    /// Another address for those who run it: /healthz, /readyz and /metrics, without a key
    ///
    /// Without it the first two are at --listen, and so is /metrics when any key is let in.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    admin_listen: Option<SocketAddr>,

    /// A key to let in, each a tenant of its own (repeatable) [default: any key is let in]
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    key: Vec<String>,

    /// A file of keys to let in, one on each line, with or without a name: NAME = KEY
    #[arg(long, value_name = "FILE", value_parser = input::path())]
    key_file: Option<PathBuf>,

    /// Answer by this OpenAI-style server, its /v1 included, in place of the built-in model
    #[arg(long, value_name = "URL", conflicts_with = "config")]
    upstream: Option<String>,

    /// The environment variable that has the key of --upstream [default: no key is sent]
    #[arg(long, value_name = "NAME", requires = "upstream", value_parser = NonEmptyStringValueParser::new())]
    upstream_key_env: Option<String>,

    /// A TOML file of servers: those that answer ([[upstream]]) and those that are told when a batch has
    /// ended ([[webhook]])
    ///
    /// [[upstream]] has url, key_env, models, max_concurrency, requests_per_minute, tokens_per_minute,
    /// timeout and retries; [[webhook]] has url, secret_env and events. docs/gateway.md has an example.
    #[arg(long, value_name = "FILE", value_parser = input::path())]
    config: Option<PathBuf>,

    /// Answer with the recorded result lines of this file, by custom_id, in place of the built-in model
    #[arg(long, value_name = "RESULTS", conflicts_with = "upstream", value_parser = input::path())]
    replay: Option<PathBuf>,

    /// The request lines that were answered so: then the same body is answered so as well
    #[arg(long, value_name = "REQUESTS", requires = "replay", value_parser = input::path())]
    replay_requests: Vec<PathBuf>,

    /// Keep files, batches and answers in this folder; one gateway at a time has it [default: in memory]
    #[arg(long, value_name = "DIR", conflicts_with = "database", value_parser = input::path())]
    data: Option<PathBuf>,

    /// Keep batches and answers in PostgreSQL, which gateways share: postgres://USER@HOST/DATABASE
    ///
    /// Other users of the machine see what is in a command line: with a password, use --database-env.
    #[arg(long, value_name = "URL", requires = "blobs", conflicts_with = "database_env")]
    database: Option<String>,

    /// The environment variable that has the URL of --database
    #[arg(long, value_name = "NAME", requires = "blobs", conflicts_with = "data", value_parser = NonEmptyStringValueParser::new())]
    database_env: Option<String>,

    /// Keep files in this store, which gateways share: file:///FOLDER or s3://BUCKET/PREFIX
    ///
    /// S3 takes its keys and addresses from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL.
    #[arg(long, value_name = "URL")]
    blobs: Option<String>,

    /// How long to finish what is at an upstream when told to stop, before it is handed back
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = values::duration)]
    grace: Duration,

    /// Stop as well when standard input ends, as it does when the program that started this one dies
    #[arg(long)]
    stop_with_stdin: bool,

    /// A TOML file of what is to go wrong, and when
    #[arg(long, value_name = "FILE", value_parser = input::path())]
    faults: Option<PathBuf>,

    /// The time: real, or 2026-01-01 until POST /_lote/clock/advance {"seconds": N} moves it
    #[arg(long, value_enum, default_value_t = ClockKind::System)]
    clock: ClockKind,

    /// Make ids and draw faults from this number [default: random ids]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Keep a journal of what is done, for GET /_lote/journal; beyond 256 MiB the oldest entries go
    #[arg(long)]
    journal: bool,

    /// Obey Idempotency-Key on creates, as OGX does, and on single requests; MKA1 and OpenAI do not say that they do
    #[arg(long)]
    idempotency: bool,

    /// Longest request line and single request, in bytes; a batch with a longer line fails [default: 16777216]
    #[arg(long, value_name = "N")]
    max_line_bytes: Option<u64>,

    /// Most bytes that one key may have stored, results included [default: 20000000000]
    #[arg(long, value_name = "N")]
    max_stored_bytes: Option<u64>,

    /// Most files that one key may have stored [default: 100000]
    #[arg(long, value_name = "N")]
    max_stored_files: Option<u64>,

    /// Most batches that one key may create [default: 50000]
    #[arg(long, value_name = "N")]
    max_stored_batches: Option<u64>,

    /// Write a line to stderr for each request, and each step of a batch: for people, or as JSON
    ///
    /// No line holds a prompt, a key or the name of an end user.
    #[arg(long, value_enum, value_name = "HOW")]
    log: Option<LogKind>,

    /// Print where it listens as one JSON object
    #[arg(long)]
    json: bool,
}

/// Longest file of keys or of faults, in bytes.
const MOST_BYTES: u64 = 1024 * 1024;

/// Which time it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ClockKind {
    /// The system's
    System,
    /// One that stands until it is moved
    Virtual,
}

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogKind {
    /// For people
    Text,
    /// A JSON object a line
    Json,
}

impl std::fmt::Debug for GatewayArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayArgs").field("listen", &self.listen).finish_non_exhaustive()
    }
}

/// # Errors
/// With exit 2 when the address, the keys or the faults cannot be used.
pub(crate) fn run(args: &GatewayArgs) -> Result<Exit, CliError> {
    let keys = keys(args)?;
    let faults = args.faults.as_deref().map(faults).transpose()?;
    let config = upstreams::of(args)?;
    let replay = replay(args)?;
    if replay.is_some() && !config.upstreams.is_empty() {
        return Err(CliError::usage("--replay and an [[upstream]]: only one of them can answer; leave one out"));
    }
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
        .block_on(serve(args, &keys, faults, config, replay))
}

fn builder(args: &GatewayArgs, keys: &[Key], faults: Option<Faults>) -> Result<Builder, CliError> {
    let mut builder = Gateway::builder().listen(args.listen).journal(args.journal).idempotency(args.idempotency);
    for Key { name, key } in keys {
        builder = match name {
            Some(name) => builder.named_key(name, key),
            None => builder.key(key),
        };
    }
    if let Some(kind) = args.log {
        builder = builder.notices(move |notice| log::write(kind, notice));
    }
    if let Some(address) = args.admin_listen {
        builder = builder.admin_listen(address);
    }
    builder = keeping::set(builder.grace(args.grace), args)?;
    if let Some(faults) = faults {
        builder = builder.faults(faults);
    }
    if let Some(seed) = args.seed {
        builder = builder.seed(seed);
    }
    let limits = [
        (args.max_line_bytes, Builder::max_line_bytes as fn(Builder, u64) -> Builder),
        (args.max_stored_bytes, Builder::max_stored_bytes),
        (args.max_stored_files, Builder::max_stored_files),
        (args.max_stored_batches, Builder::max_stored_batches),
    ];
    for (most, limit) in limits {
        if let Some(most) = most {
            builder = limit(builder, most);
        }
    }
    Ok(match args.clock {
        ClockKind::System => builder,
        ClockKind::Virtual => builder.virtual_clock(),
    })
}

async fn serve(
    args: &GatewayArgs,
    keys: &[Key],
    faults: Option<Faults>,
    config: Config,
    replay: Option<Replay>,
) -> Result<Exit, CliError> {
    let mut stop = Stop::listen().map_err(|error| CliError::usage(format!("signals cannot be handled: {error}")))?;
    let who_answers = upstreams::told(&config.upstreams);
    let mut builder = builder(args, keys, faults)?.config(config);
    if let Some(replay) = replay {
        builder = builder.replay(replay);
    }
    let gateway = builder.start().await.map_err(|error| cannot_listen(args, &error))?;
    let url = gateway.url();
    let (mka1, openai) = (format!("{url}/api/v1/llm"), format!("{url}/v1"));
    if args.json {
        out::line(json!({
            "listen": gateway.addr().to_string(), "base_urls": [mka1, openai], "keys": keys.len(),
            "upstreams": who_answers.len(), "state": keeping::told(args), "admin": gateway.admin_addr().map(|address| address.to_string()),
        }))?;
    } else {
        let who = match keys.len() {
            0 => "any key is let in".to_owned(),
            n => format!("{} let in", out::count(n as u64, "key")),
        };
        let mut lines = vec![format!("{mka1}  as MKA1"), format!("{openai}  as OpenAI")];
        lines.extend(who_answers);
        lines.extend(gateway.admin_addr().map(|address| format!("http://{address}/metrics  for operators")));
        if let Some(folder) = &args.data {
            lines.push(format!("state in {}", folder.display()));
        }
        lines.push(format!("{who}; Ctrl-C stops"));
        out::lines(lines)?;
    }
    tokio::select! {
        () = stop.asked() => {}
        () = interrupt::stdin_ends(), if args.stop_with_stdin => {}
        () = gateway.stopped() => return Err(CliError::usage("the gateway has ended by itself")),
    }
    if keeping::is_kept(args) {
        out::note(format_args!(
            "finishing what is at work, for up to {}; once more to stop now",
            values::shown(args.grace)
        ));
    }
    tokio::select! {
        () = gateway.shutdown() => {}
        () = stop.asked() => tokio::select! {
            // What was at an upstream is sent again by the next gateway; answers that have come are kept.
            () = gateway.stop(), if keeping::is_kept(args) => {}
            // A third Ctrl-C, or a second without a state, waits for nothing.
            () = stop.asked(), if keeping::is_kept(args) => {}
            else => {}
        },
    }
    for leftover in gateway.leftovers() {
        out::note(format_args!("note: {leftover}"));
    }
    // Forget unused faults: they were reported above, and dropping the gateway would panic for them.
    gateway.forgive_leftovers();
    Ok(Exit::Success)
}

fn faults(path: &Path) -> Result<Faults, CliError> {
    Faults::from_toml(&small_text(path)?).map_err(|error| CliError::usage(format!("{}: {error}", path.display())))
}

/// The recorded answers, if they are to be given.
fn replay(args: &GatewayArgs) -> Result<Option<Replay>, CliError> {
    let Some(path) = &args.replay else { return Ok(None) };
    let wrong = |path: &Path, error| CliError::usage(format!("{}: {error}", path.display()));
    let mut replay = Replay::open(path).map_err(|error| wrong(path, error))?;
    for path in &args.replay_requests {
        replay = replay.requests(path).map_err(|error| wrong(path, error))?;
    }
    Ok(Some(replay))
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
        // The state, which names itself.
        _ if keeping::is_kept(args) => format!("the gateway cannot start: {error}"),
        _ => format!("{listen}: the gateway cannot start: {error}"),
    })
}

fn keys(args: &GatewayArgs) -> Result<Vec<Key>, CliError> {
    let given = args.key.iter().map(|key| Key { name: None, key: key.clone() }).collect();
    match &args.key_file {
        Some(path) => keys::read(path, &small_text(path)?, given),
        None => Ok(given),
    }
}

/// The text of a file that has to be small, without a byte order mark.
fn small_text(path: &Path) -> Result<String, CliError> {
    let cannot_read = |error| input::cannot_read(path, &error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot_read)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(cannot_read)?;
    let wrong = |what: &str| CliError::usage(format!("{}: {what}", path.display()));
    if bytes.len() as u64 > MOST_BYTES {
        return Err(wrong(&format!("is longer than {MOST_BYTES} bytes; is it the right file?")));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8; save it as such"))?;
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let text = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    text.parse().map_err(|_| "give an IP address and a port, such as 127.0.0.1:8787".to_owned())
}
