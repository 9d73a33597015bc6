//! `lote config`: where the config file is, what is in force, and an example to begin with.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::exit::{CliError, Exit};
use crate::out;
use crate::service::ServiceArgs;
use crate::settings::{Config, Key, Made, Place, Settings, Source, place};
use crate::shell;

/// The example that `lote config init` writes, and that docs/settings.md shows.
const EXAMPLE: &str = include_str!("config.toml");

/// Say where the config file is, and what is in force
///
/// A config file has profiles: settings of a service that have a name. --profile NAME or
/// LOTE_PROFILE takes one; default_profile in the file says which counts without. It is looked for
/// as $LOTE_CONFIG, else as lote/config.toml in $XDG_CONFIG_HOME, else as
/// ~/.config/lote/config.toml, on macOS too. Without a file everything works as ever.
///
/// Of each setting the first of these counts:
///   1. the flag, such as --base-url
///   2. the variable, such as LOTE_BASE_URL
///   3. the profile
///   4. of key and base URL: OPENAI_API_KEY and OPENAI_BASE_URL, where the dialect is named as
///      openai, or the base URL is of OpenAI's host
///   5. the default
///
/// The key of a profile goes to the service of that profile alone, and OPENAI_API_KEY to OpenAI's
/// host or OPENAI_BASE_URL alone, whatever else a flag, a variable or a profile names. A key is
/// never in the file: the profile names a command that prints it, or a file that only you can read.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote config
  lote config init
  lote config show --profile work
  ${EDITOR:-vi} \"$(lote config path)\"
  LOTE_PROFILE=work lote run requests.jsonl -o results.jsonl"
)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: Option<ConfigCommand>,

    /// Print one JSON object
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    Show(Box<ShowArgs>),
    Init(InitArgs),
    Path(PathArgs),
}

/// Print the settings in force, each with where it comes from
///
/// Of the key only whether there is one and what names it: it is not read, and nothing is sent.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote config show
  lote config show --profile work --json | jq -r .settings.base_url.value"
)]
struct ShowArgs {
    #[command(flatten)]
    service: ServiceArgs,
}

/// Write an example of a config file, with a comment on each setting
///
/// Never over a file that is there.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote config init
  LOTE_CONFIG=./lote.toml lote config init"
)]
struct InitArgs {}

/// Print the path of the config file, whether it is there or not
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lote config path
  cat \"$(lote config path)\"")]
struct PathArgs {}

/// # Errors
/// With exit 2 when the file cannot be read or written, or says what is not understood.
pub(crate) fn run(args: &ConfigArgs) -> Result<Exit, CliError> {
    match &args.command {
        None => overview(args.json),
        Some(ConfigCommand::Show(of)) => show(of, args.json),
        Some(ConfigCommand::Init(InitArgs {})) => init(args.json),
        Some(ConfigCommand::Path(PathArgs {})) => path(args.json),
    }?;
    Ok(Exit::Success)
}

fn found() -> Result<Place, CliError> {
    let why = "there is no place for a config file: neither LOTE_CONFIG nor XDG_CONFIG_HOME nor a home is set";
    place().ok_or_else(|| CliError::usage(why))
}

fn text_of(path: &Path) -> Result<&str, CliError> {
    path.to_str().ok_or_else(|| CliError::usage(format!("{}: the path is not UTF-8", path.display())))
}

fn path(as_json: bool) -> Result<(), CliError> {
    let path = found()?.path;
    match as_json {
        true => out::line(json!({ "path": text_of(&path)?, "exists": path.exists() })),
        // As it is, for other programs; a terminal is steered by no name of a folder.
        false => out::copy(&mut format!("{}\n", text_of(&path)?).as_bytes()),
    }
}

fn overview(as_json: bool) -> Result<(), CliError> {
    let place = found()?;
    let config = Config::read(&Place { path: place.path.clone(), is_named: false })?;
    let exists = config.is_some();
    let config = config.unwrap_or_default();
    let default = config.default_profile.map(|at| at.value);
    if as_json {
        let profiles: Vec<&String> = config.profiles.keys().collect();
        let path = text_of(&place.path)?;
        return out::line(json!({
            "path": path, "exists": exists, "default_profile": default, "profiles": profiles,
        }));
    }
    let path = shell::quoted(&place.path);
    if !exists {
        out::text(format_args!("config file: {path}, which is not there"))?;
        return out::text("  lote config init  # writes an example");
    }
    out::text(format_args!("config file: {path}"))?;
    if config.profiles.is_empty() {
        out::text("it has no profile: its [profile.NAME] are commented out, or none")?;
    }
    for name in config.profiles.keys() {
        let is_default = if default.as_ref() == Some(name) { ", the default" } else { "" };
        out::text(format_args!("profile {name}{is_default}"))?;
    }
    out::text("  lote config show  # what is in force")
}

/// A setting as it is shown.
struct Shown {
    name: &'static str,
    value: Option<Value>,
    source: Source,
    /// What is said in place of a value that is not there.
    otherwise: &'static str,
}

fn show(args: &ShowArgs, as_json: bool) -> Result<(), CliError> {
    let settings = args.service.settings()?;
    // What a client makes of them: the whole base URL, and the dialect if that is guessed.
    let client = args.service.keyless()?;
    let of = |made: &Option<Made<String>>| {
        made.as_ref().map_or((None, Source::Default), |made| (Some(made.value.clone()), made.source.clone()))
    };
    let (_, url_source) = of(&settings.base_url);
    let (_, dialect_source) = of(&settings.dialect);
    let (user, user_source) = of(&settings.on_behalf_of);
    let ca_cert = settings.ca_cert.as_ref();
    let is_set = settings.key.is_some();
    let guessed = settings.dialect.is_none() && client.dialect_choice().is_guess();
    let shown = [
        Shown { name: "base_url", value: Some(client.base_url().into()), source: url_source, otherwise: "" },
        Shown { name: "dialect", value: Some(client.dialect().name().into()), source: dialect_source, otherwise: "" },
        Shown {
            name: "key",
            value: is_set.then(|| Value::Bool(true)),
            source: settings.key.as_ref().map_or(Source::Default, |key| key.source.clone()),
            otherwise: "not set",
        },
        Shown { name: "on_behalf_of", value: user.map(Value::String), source: user_source, otherwise: "nobody" },
        Shown {
            name: "ca_cert",
            value: ca_cert.map(|made| made.value.display().to_string().into()),
            source: ca_cert.map_or(Source::Default, |made| made.source.clone()),
            otherwise: "the machine's alone",
        },
        Shown {
            name: "retries",
            value: Some(settings.retries.value.into()),
            source: settings.retries.source.clone(),
            otherwise: "",
        },
    ];
    match as_json {
        true => print_json(settings, &shown, guessed),
        false => print_text(settings, &shown, &client.dialect_choice().to_string()),
    }
}

fn print_json(settings: &Settings, shown: &[Shown], guessed: bool) -> Result<(), CliError> {
    let mut all = serde_json::Map::new();
    for Shown { name, value, source, .. } in shown {
        let mut one = json!({ "source": source });
        match *name {
            "key" => one["set"] = json!(value.is_some()),
            _ => one["value"] = json!(value),
        }
        if *name == "dialect" {
            one["guessed"] = json!(guessed);
        }
        if let ("key", Some(Made { value: Key::Kept(kept), .. })) = (*name, &settings.key) {
            one["by"] = json!(kept.name());
        }
        all.insert((*name).to_owned(), one);
    }
    let untaken: Vec<&str> = settings.untaken.iter().map(|why| why.trim()).collect();
    let profile = settings.profile.as_ref().map(|made| json!({ "name": made.value, "source": made.source }));
    let file = settings.file.as_ref().map(|path| path.display().to_string());
    out::line(json!({ "file": file, "profile": profile, "settings": all, "keys_not_taken": untaken }))
}

fn print_text(settings: &Settings, shown: &[Shown], choice: &str) -> Result<(), CliError> {
    let line = |name: &str, value: &str| out::text(format_args!("{name:<13} {value}"));
    match &settings.file {
        Some(path) => line("config file", &shell::quoted(path))?,
        None => line("config file", "none")?,
    }
    match &settings.profile {
        Some(Made { value, source }) => line("profile", &format!("{value} ({source})"))?,
        None => line("profile", "none")?,
    }
    for Shown { name, value, source, otherwise } in shown {
        let said = match (*name, value) {
            ("key", Some(_)) => match &settings.key {
                Some(Made { value: Key::Kept(kept), .. }) => format!("set (by {} of {source})", kept.name()),
                _ => format!("set (by {source})"),
            },
            ("dialect", Some(value)) if *source == Source::Default => format!("{} ({choice})", plain(value)),
            (_, Some(value)) => format!("{} ({source})", plain(value)),
            (_, None) => (*otherwise).to_owned(),
        };
        line(name, &said)?;
    }
    out::lines(&settings.untaken)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn init(as_json: bool) -> Result<(), CliError> {
    let path = found()?.path;
    let refuse = |why: String| CliError::usage(format!("{}: {why}", path.display()));
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder).map_err(|error| refuse(format!("its folder cannot be made: {error}")))?;
    }
    match write_new(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(refuse("there is one already; edit it, or move it away first".to_owned()));
        }
        Err(error) => return Err(refuse(format!("the config file cannot be written: {error}"))),
    }
    match as_json {
        true => out::line(json!({ "path": text_of(&path)?, "written": true })),
        false => out::text(format_args!("written: {}", shell::quoted(&path))),
    }
}

/// A folder, and those around it, for the user alone.
fn make_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The example, whole or not at all, and never over a file, a link included.
fn write_new(path: &PathBuf) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(EXAMPLE.as_bytes()).and_then(|()| file.sync_all()).inspect_err(|_| {
        // What is half there would be read as a config file. That it is gone is all that can be done.
        let _ = fs::remove_file(path);
    })
}
