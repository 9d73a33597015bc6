//! `--expect`: what answers are to be, and how what came of that is told.

use clap::Args;
use lote::expect::Expect;

use crate::exit::CliError;
use crate::lines::{Fit, UnfitPlace};
use crate::out;

/// How many places, and how many answers, are named.
const SHOWN: usize = 5;

/// What answers are held against.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ExpectArgs {
    /// Hold each answer against a JSON Schema, that in a file (@schema.json) or what its line asks for (requested)
    ///
    /// Answers that are cut off, filtered, refused, no JSON, or not of the schema are counted by what
    /// they fall short of and where, in the answer and in the schema (fit in the summary), and the first
    /// are named. None is dropped; with any of them the exit code is 1. requested is the json_schema or
    /// json_object in response_format (chat) or text.format (responses); of a line without it nothing is
    /// expected. No reference to another document is followed. It is no part of what a run is, and may
    /// be given for one that is finished. In the full shape of the command.
    #[arg(long, value_name = "@FILE|requested")]
    pub(crate) expect: Option<String>,
}

impl ExpectArgs {
    /// What is expected, if something is.
    ///
    /// # Errors
    /// With exit 2 when it is no schema that can be used, and in the default shape of the command.
    pub(crate) fn load(&self) -> Result<Option<Expect>, CliError> {
        self.expect.as_deref().map(load).transpose()
    }
}

#[cfg(feature = "full")]
fn load(given: &str) -> Result<Expect, CliError> {
    match given.strip_prefix('@') {
        Some(file) => Expect::load(file).map_err(|error| CliError::usage(format!("--expect: {error}"))),
        None if given == "requested" => Ok(Expect::requested()),
        None => Err(CliError::usage(format!(
            "--expect {given}: a schema is named as @FILE, as in --expect @schema.json; requested is what each line asks for"
        ))),
    }
}

#[cfg(not(feature = "full"))]
fn load(_: &str) -> Result<Expect, CliError> {
    Err(crate::full::needed("--expect"))
}

/// How answers fit, for people, line by line.
pub(crate) fn lines(fit: &Fit) -> Vec<String> {
    let judged = fit.fitting + fit.unfitting();
    let mut first = format!("{} of {} fit", fit.fitting, out::count(judged, "answer"));
    for (kind, count) in &fit.unfit {
        first.push_str(&format!(", {count} {kind}"));
    }
    if fit.unasked > 0 {
        first.push_str(&format!("; {} asked for no JSON", fit.unasked));
    }
    let places = fit.places.iter().filter(|place| !place.schema_path.is_empty()).take(SHOWN);
    let place = |UnfitPlace { kind, path, schema_path, count, .. }: &UnfitPlace| {
        let path = if path.is_empty() { "the whole" } else { path };
        format!("  {count} × {kind} at {path}: {schema_path}")
    };
    let mut lines = vec![first];
    lines.extend(places.map(place));
    lines.extend(fit.first.iter().take(SHOWN).map(|unfit| format!("  {unfit}")));
    let rest = fit.unfitting().saturating_sub(SHOWN as u64);
    if rest > 0 {
        lines.push(format!("  and {rest} more answers that do not fit; --json has the places of most"));
    }
    lines
}
