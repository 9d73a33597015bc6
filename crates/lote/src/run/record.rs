//! What was asked of a run: `run.json`, written once.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    Cut, Partition,
    caps::Caps,
    plan::{EqualLines, Planned, ShardPlan, Taken, Whole, quote::Quote},
    seal,
};
use crate::{BatchOptions, Client, Error, UnixSeconds, save::Written};

/// The number of the format of `run.json`.
pub(super) const FORMAT: u32 = 3;

/// More bytes than any `run.json` has.
const LONGEST: u64 = 64 << 20;

/// What was asked, and how the lines were put into shards.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    /// The format of this record.
    pub(super) format: u32,
    /// The version of lote that made it.
    pub(super) lote: String,
    /// The name of the run, also in the metadata of its batches.
    pub(super) run: String,
    pub(super) begun_at: UnixSeconds,
    /// What it is a run of; all that must be the same for the run to be gone on with.
    #[serde(flatten)]
    pub(super) asked: Asked,
    /// The files that the lines came from.
    pub(super) sources: Vec<Source>,
    /// All that the lines are a part of, if they are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) whole: Option<Whole>,
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(super) models: BTreeMap<String, u64>,
    pub(super) shards: Vec<ShardPlan>,
    /// Whether the shards, one after another, hold the lines in the order of the input. If not, `order` says it.
    pub(super) in_order: bool,
    /// What `order` was written with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) order: Option<Written>,
    /// The lines that equal earlier ones, and are not sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) copies: Option<Copies>,
    /// What the lines were to cost, by the prices that were told then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) quote: Option<Box<Quote>>,
    /// How much it might cost then; the log says what was said later.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub(super) caps: Caps,
    /// The user's own table of prices, as it was told then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prices: Option<String>,
}

fn is_nothing(caps: &Caps) -> bool {
    *caps == Caps::default()
}

/// Lines that are not sent, since each equals one that is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Copies {
    #[serde(flatten)]
    pub(super) equal: EqualLines,
    /// What `copies` was written with, which says of each the line that it equals.
    pub(super) file: Written,
}

/// The identity of a run: the lines, and all that is sent with them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// The SHA-256 of the canonical lines in the order of the input, in lowercase hexadecimal digits.
    pub(super) sha256: String,
    /// The service; `embedded` for the gateway inside a process, whatever its port.
    pub(super) base_url: String,
    pub(super) dialect: String,
    #[serde(default)]
    pub(super) on_behalf_of: Option<String>,
    /// The endpoint that every line must be for, if one was given.
    pub(super) endpoint: Option<String>,
    /// The options of the batches, as they are sent.
    pub(super) options: Map<String, Value>,
    pub(super) cut: Cut,
    /// Only so many lines of the input.
    pub(super) limit: Option<u64>,
    /// Only one part of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) partition: Option<Partition>,
    /// Lines that are equal are sent once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) dedupe: bool,
}

/// A file that lines came from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Source {
    pub(super) path: String,
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Asked {
    /// What is the base URL of all embedded gateways.
    pub(super) const EMBEDDED: &'static str = "embedded";

    /// Whether an embedded gateway answers.
    pub(super) fn is_embedded(&self) -> bool {
        self.base_url == Self::EMBEDDED
    }

    pub(super) fn new(client: &Client, embedded: bool, options: &BatchOptions, endpoint: Option<String>) -> Self {
        Self {
            sha256: String::new(),
            base_url: if embedded { Self::EMBEDDED } else { client.base_url() }.to_owned(),
            dialect: client.dialect().name().to_owned(),
            on_behalf_of: client.shared().account().user.clone(),
            endpoint,
            options: options.to_json(),
            cut: Cut::default(),
            limit: None,
            partition: None,
            dedupe: false,
        }
    }

    /// Which lines of the input it is of.
    pub(super) fn taken(&self) -> Taken {
        Taken { limit: self.limit, partition: self.partition, dedupe: self.dedupe }
    }

    /// What differs, in words for people; none when nothing does.
    pub(super) fn differs(&self, now: &Self) -> Option<String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
        let limit = |limit: Option<u64>| text(&limit.map(|limit| limit.to_string()));
        let dedupe = |dedupe: bool| if dedupe { "sent once" } else { "each sent" }.to_owned();
        let part = |part: Option<Partition>| part.map_or_else(|| "all".to_owned(), |part| part.to_string());
        // Another service has another dialect, and other limits: that alone says nothing.
        let of_service = |text: String| if self.base_url == now.base_url { text } else { String::new() };
        let mut all = vec![
            ("the service was".to_owned(), self.base_url.clone(), now.base_url.clone()),
            ("the dialect was".to_owned(), of_service(self.dialect.clone()), of_service(now.dialect.clone())),
            ("the end user was".to_owned(), text(&self.on_behalf_of), text(&now.on_behalf_of)),
            ("the endpoint was".to_owned(), text(&self.endpoint), text(&now.endpoint)),
            ("the limit of lines was".to_owned(), limit(self.limit), limit(now.limit)),
            ("the part of the input was".to_owned(), part(self.partition), part(now.partition)),
            ("equal lines were".to_owned(), dedupe(self.dedupe), dedupe(now.dedupe)),
            ("a batch was to hold".to_owned(), of_service(self.cut.to_string()), of_service(now.cut.to_string())),
        ];
        let names: BTreeSet<&String> = self.options.keys().chain(now.options.keys()).collect();
        let value = |asked: &Self, name: &str| text(&asked.options.get(name).map(Value::to_string));
        all.extend(names.into_iter().map(|name| (format!("{name} was"), value(self, name), value(now, name))));
        if all.iter().all(|(_, then, now)| then == now) {
            let short = |sha256: &str| format!("those with the hash {}…", sha256.get(..12).unwrap_or(sha256));
            all = vec![("the request lines were".to_owned(), short(&self.sha256), short(&now.sha256))];
        }
        let differing = all.into_iter().filter(|(_, then, now)| then != now);
        let now_is = |what: &str| match what.rsplit_once(' ') {
            Some((_, "were")) => "are",
            Some((_, "hold")) => "is to hold",
            _ => "is",
        };
        let said: Vec<String> =
            differing.map(|(what, then, now)| format!("{what} {then}, and {} {now} now", now_is(&what))).collect();
        (!said.is_empty()).then(|| said.join("; "))
    }
}

impl Record {
    /// The name of the file in the folder.
    pub(super) const NAME: &'static str = "run.json";

    pub(super) fn new(asked: Asked, planned: &Planned, order: Written, copies: Option<Written>) -> Self {
        let sources = planned.sources.iter().map(|source| Source {
            path: source.path.to_string_lossy().into_owned(),
            lines: source.lines,
            bytes: source.bytes,
            sha256: source.sha256.clone(),
        });
        Self {
            format: FORMAT,
            lote: env!("CARGO_PKG_VERSION").to_owned(),
            run: random_name(),
            begun_at: UnixSeconds::now(),
            asked: Asked { sha256: planned.checked.sha256.clone(), ..asked },
            sources: sources.collect(),
            whole: planned.whole.clone(),
            lines: planned.checked.lines,
            bytes: planned.checked.bytes,
            models: planned.checked.models.clone(),
            shards: planned.shards.clone(),
            in_order: planned.in_order,
            order: Some(order).filter(|_| !planned.in_order),
            copies: copies.map(|file| Copies { equal: planned.copies, file }),
            quote: None,
            caps: Caps::default(),
            prices: None,
        }
    }

    pub(super) fn options(&self) -> Result<BatchOptions, Error> {
        BatchOptions::from_json(&self.asked.options)
    }

    /// What its requests are called: the name of their file, without the folders that it is in.
    pub(super) fn requests(&self) -> Option<String> {
        let (first, others) = self.sources.split_first()?;
        let name = Path::new(&first.path).file_name()?.to_str()?;
        let name = known_as(name);
        Some(match others.len() {
            0 => name.to_owned(),
            others => format!("{name} and {others} more"),
        })
    }

    /// The record in a folder.
    pub(super) fn read(folder: &Path) -> Found {
        let path = folder.join(Self::NAME);
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Found::None,
            Err(error) => return Found::Unreadable(error.to_string()),
            Ok(found) if !found.is_file() => return Found::Unreadable("it is not a regular file".to_owned()),
            Ok(_) => {}
        }
        let mut text = Vec::new();
        let read = fs::File::open(&path).and_then(|file| file.take(LONGEST).read_to_end(&mut text));
        if let Err(error) = read {
            return Found::Unreadable(error.to_string());
        }
        let value: Value = match serde_json::from_slice(&text) {
            Ok(value) => value,
            Err(error) => return Found::Unreadable(error.to_string()),
        };
        let word = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        match value.get("format").and_then(Value::as_u64) {
            Some(1) => Found::First { batch: word("batch_id"), stage: word("stage").unwrap_or_default() },
            Some(format) if format > u64::from(FORMAT) => {
                let made_by = word("lote").unwrap_or_else(|| "of unknown version".to_owned());
                let ours = env!("CARGO_PKG_VERSION");
                Found::Unreadable(format!(
                    "it has format {format}, made by lote {made_by}; this is lote {ours}, which knows formats up to \
                     {FORMAT}: go on with the newer lote"
                ))
            }
            format
                if (format == Some(u64::from(FORMAT)) || value.get("crc32").is_some())
                    && seal::check(&text).is_err() =>
            {
                Found::Unreadable("it is not as it was written: its checksum differs".to_owned())
            }
            _ => match serde_json::from_value(value) {
                Ok(record) => Found::Record(Box::new(record)),
                Err(error) => Found::Unreadable(error.to_string()),
            },
        }
    }
}

/// What stands in the place of a record.
pub(super) enum Found {
    None,
    Record(Box<Record>),
    /// Why it cannot be read, or is a newer lote's.
    Unreadable(String),
    /// One of the first format, in which a run had one batch.
    First {
        batch: Option<String>,
        stage: String,
    },
}

/// A name that nothing else has: 128 bits, half of them from the system's randomness.
pub(super) fn random_name() -> String {
    use std::hash::{BuildHasher, RandomState};
    format!("{:016x}{:016x}", RandomState::new().hash_one(0), fastrand::u64(..))
}

/// Where a shard is kept in the folder of its run.
pub(super) fn shard_folder(number: u32) -> PathBuf {
    Path::new("shards").join(format!("{number:04}"))
}

/// Where what a surplus batch has finished is kept in the folder of its shard, by its place among those.
pub(super) fn surplus_folder(at: usize) -> PathBuf {
    PathBuf::from(format!("surplus-{}", at.saturating_add(1)))
}

/// What people call a file: of what the command keeps meanwhile of stdin or of a table, `lote-tickets.csv-A1b2C3.jsonl`, what
/// that is. By the name alone, so that a create says the same whenever it is sent.
pub(super) fn known_as(name: &str) -> &str {
    let kept = name.strip_prefix("lote-").and_then(|name| name.strip_suffix(".jsonl")?.rsplit_once('-'));
    match kept {
        Some((known, drawn)) if drawn.len() == 6 && drawn.bytes().all(|byte| byte.is_ascii_alphanumeric()) => known,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_the_command_keeps_is_called_what_it_was_made_of() {
        for (name, known) in [
            ("requests.jsonl", "requests.jsonl"),
            ("lote-stdin-5WlYYz.jsonl", "stdin"),
            ("lote-tickets.csv-taNpJ0.jsonl", "tickets.csv"),
            ("lote-my-rows.csv-taNpJ0.jsonl", "my-rows.csv"),
            ("lote-tickets.jsonl", "lote-tickets.jsonl"),
            ("lote-tickets-2026.jsonl", "lote-tickets-2026.jsonl"),
        ] {
            assert_eq!(known_as(name), known);
        }
    }
}
