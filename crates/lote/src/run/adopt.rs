//! What the service's list says of a create whose answer was lost.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    time::Duration,
};

use lote_client::types as wire;
use serde_json::Value;

use super::{
    OnProgress, Progress,
    error::Twin,
    record::{Found, Record},
    seam::{self, Rule, kept},
    state::{Phase, Shard, State},
};
use crate::{Batch, BatchId, BatchOptions, Client, Error, UnixSeconds, bound, call::map_error};

/// The keys of the metadata by which a run knows its batches.
pub(super) const RUN: &str = "lote_run";
pub(super) const SHARD: &str = "lote_shard";
pub(super) const CREATE: &str = "lote_create";
pub(super) const SHA256: &str = "lote_sha256";
/// The key of the metadata that says which requests they are, for people; nothing goes by it.
const REQUESTS: &str = "lote_requests";

/// How much earlier than the intent a batch may seem to have been made: clocks differ.
const CLOCKS: i64 = 600;

/// For how long a batch of the same lines counts after it was made, in seconds.
const DAY: i64 = 24 * 60 * 60;

/// After how many pages of the list it is told that it goes on, and then each time after twice as many: a service may have a
/// list without an end.
const MANY_PAGES: u64 = 100;

/// How many batches that may be a shard's own are named.
const NAMED: usize = 10;

/// Whose a batch in the list is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// That of a shard that was asked for.
    Shard(u32),
    /// It may be that of any of these shards, and nothing tells; of none of them when there is none.
    Unclear(Vec<u32>),
    /// That of the run over lines that no shard has.
    Stray,
}

impl From<Option<u32>> for Whose {
    fn from(shard: Option<u32>) -> Self {
        shard.map_or_else(|| Self::Unclear(Vec::new()), Self::Shard)
    }
}

/// Whether a batch is that of a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Ours,
    Unclear,
    NotOurs,
}

/// What a reading of the list brought.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// The batches that were wanted, each with the shard that it is of.
    pub(super) found: Vec<(u32, Batch)>,
    /// Batches of this run over lines that the log does not know.
    pub(super) strays: Vec<BatchId>,
    /// Whether the service said that there are no more after the last page.
    pub(super) whole: bool,
    /// Whether it holds any batch at all. A list that does not even show old ones proves nothing.
    pub(super) any: bool,
    /// Whether a batch in it has metadata: then one without is nobody's who gave it some.
    keeps_metadata: bool,
    /// By shard, the first batches that may be its own.
    unclear: BTreeMap<u32, Vec<BatchId>>,
}

impl Listed {
    /// The batches that may be those of a shard, while nothing tells.
    pub(super) fn unclear(&self, shard: u32) -> &[BatchId] {
        match self.unclear.get(&shard) {
            Some(batches) if !self.keeps_metadata => batches,
            _ => &[],
        }
    }

    /// The batches that were wanted, once.
    pub(super) fn take_found(&mut self) -> Vec<(u32, Batch)> {
        std::mem::take(&mut self.found)
    }

    fn take(&mut self, batch: Batch, whose: Whose) {
        self.any = true;
        self.keeps_metadata |= !batch.metadata.is_empty();
        match whose {
            Whose::Shard(shard) => self.found.push((shard, batch)),
            Whose::Stray => self.strays.push(batch.id),
            Whose::Unclear(shards) => {
                for shard in shards {
                    let named = self.unclear.entry(shard).or_default();
                    if named.len() < NAMED {
                        named.push(batch.id.clone());
                    }
                }
            }
        }
    }
}

/// Reads the list to its end, and keeps the batches that are of a shard. Entries of others that cannot be read are passed
/// over.
pub(super) async fn list(
    client: &Client,
    on_progress: &OnProgress,
    of: impl Fn(&Batch) -> Whose + Send,
) -> Result<Listed, Error> {
    list_since(client, on_progress, None, of).await
}

/// As [`list`], but only so far as pages have a batch that was made since then: most services list the youngest first.
async fn list_since(
    client: &Client,
    on_progress: &OnProgress,
    since: Option<UnixSeconds>,
    of: impl Fn(&Batch) -> Whose + Send,
) -> Result<Listed, Error> {
    let (mut listed, mut after, mut cursors) = (Listed::default(), None::<String>, HashSet::new());
    let (mut pages, mut told) = (0_u64, MANY_PAGES);
    loop {
        if pages == told {
            on_progress(Progress::Listing { pages });
            told = told.saturating_mul(2);
        }
        pages += 1;
        let (shared, from) = (client.shared(), after.as_deref());
        let page = |_| async move {
            map_error(shared, "list batches", shared.calls().list_batches(from, Some(bound::BATCH_PAGE.max)).await)
                .await
        };
        let wire::BatchList { data, has_more, .. } = shared.retried(page).await?.into_inner();
        let entries = match data {
            Some(Value::Array(entries)) => entries,
            _ => return Err(Error::undecodable("list.data: it is missing: this is no list")),
        };
        listed.any |= !entries.is_empty();
        let last = entries.last().and_then(|last| Some(last.get("id")?.as_str()?.to_owned()));
        let batches: Vec<Batch> = entries
            .into_iter()
            .filter_map(|entry| Batch::read("list.data", serde_json::from_value::<wire::Batch>(entry).ok()?).ok())
            .collect();
        let old = |batch: &Batch| batch.created_at.zip(since).is_some_and(|(at, since)| at < since);
        let all_old = !batches.is_empty() && batches.iter().all(old);
        for batch in batches {
            let whose = of(&batch);
            listed.take(batch, whose);
        }
        if all_old {
            return Ok(listed);
        }
        match (has_more.as_ref().and_then(Value::as_bool), last) {
            (Some(false), _) => {
                listed.whole = true;
                return Ok(listed);
            }
            // A page that says nothing of more, or names no last batch, or repeats a cursor: the end is not known.
            (_, Some(last)) if cursors.insert(last.clone()) => after = Some(last),
            _ => return Ok(listed),
        }
    }
}

/// Whether the key of a create is honoured still. A clock that was set back tells no age.
pub(super) fn is_key_kept(intent: Option<UnixSeconds>, now: UnixSeconds, kept: Duration) -> bool {
    let age = intent.and_then(|at| u64::try_from(now.get().saturating_sub(at.get())).ok());
    age.is_some_and(|age| Duration::from_secs(age) < kept)
}

/// Whether a batch is that of a create of this shard which the log does not hold. The run was begun at `begun`.
pub(super) fn claim(batch: &Batch, run: &str, begun: UnixSeconds, shard: &Shard, state: &State) -> Claim {
    if state.holds(&batch.id) && kept(Rule::Whose) {
        return Claim::NotOurs;
    }
    let said = |key: &str| batch.metadata.get(key).map(String::as_str);
    let ours = |ours| if ours { Claim::Ours } else { Claim::NotOurs };
    match (said(RUN), said(SHARD)) {
        (Some(of), Some(number)) => {
            let number = number.parse::<u32>().ok();
            let same_number = number == Some(shard.plan.number);
            match said(SHA256) {
                _ if !kept(Rule::Whose) => ours(same_number),
                None => ours(of == run && same_number),
                Some(sha256) => {
                    // A log that was behind the world may have given a number again, to other lines: the lines tell then.
                    let has = |number: &u32| state.shards.get(number).is_some_and(|shard| shard.plan.sha256 == sha256);
                    let named = number.filter(has).unwrap_or(shard.plan.number);
                    ours(of == run && sha256 == shard.plan.sha256 && named == shard.plan.number)
                }
            }
        }
        _ if !batch.metadata.is_empty() => Claim::NotOurs,
        // A service that keeps no metadata: the file tells.
        _ => {
            let other = batch.endpoint.as_ref().is_some_and(|endpoint| *endpoint != shard.plan.endpoint);
            let since = |at: UnixSeconds| batch.created_at.is_none_or(|made| made.get() >= at.get() - CLOCKS);
            let files = |file| state.shards.values().filter(|of| of.file.as_ref() == Some(file)).count();
            match (&batch.input_file_id, &shard.file) {
                _ if other => Claim::NotOurs,
                (Some(file), Some(ours)) if file != ours => Claim::NotOurs,
                // The same file may have been made into a batch of another shard, or by another program.
                (Some(file), Some(_)) if files(file) == 1 && shard.intent.is_none_or(since) => Claim::Ours,
                (_, Some(_)) => Claim::Unclear,
                // What is lost of the log may have told of its file.
                (Some(file), None) if files(file) > 0 => Claim::NotOurs,
                (_, None) if since(begun) => Claim::Unclear,
                (_, None) => Claim::NotOurs,
            }
        }
    }
}

/// Why a batch that a person has named cannot be that of a shard; none when it can, or when nothing tells.
pub(super) fn misfit(batch: &Batch, shard: &Shard, state: &State) -> Option<String> {
    let plan = &shard.plan;
    if let Some(endpoint) = batch.endpoint.as_ref().filter(|endpoint| **endpoint != plan.endpoint) {
        return Some(format!("is for {endpoint}, and the shard's lines are for {}", plan.endpoint));
    }
    match batch.metadata.get(SHA256) {
        Some(sha256) if *sha256 == plan.sha256 => return None,
        Some(_) => return Some("is of other request lines, as its metadata says".to_owned()),
        None => {}
    }
    let reads = |shard: &&Shard| shard.file.is_some() && shard.file == batch.input_file_id;
    if let Some(other) = state.shards.values().find(reads).filter(|_| !reads(&shard)) {
        return Some(format!("reads the file of shard {}", other.plan.number));
    }
    let total = batch.request_counts.map_or(0, |counts| counts.total);
    let differs = total > 0 && total != plan.lines;
    differs.then(|| format!("has {total} lines, and the shard {}", plan.lines))
}

/// The shard of which a batch is one more, which the log does not hold. Only a batch that says so is: another may be
/// anybody's, and would be cancelled.
pub(super) fn is_surplus(batch: &Batch, run: &str, state: &State) -> Option<u32> {
    if !kept(Rule::Surplus) {
        return None;
    }
    let said = |key: &str| batch.metadata.get(key).map(String::as_str);
    let (number, sha256) = (said(SHARD)?.parse::<u32>().ok()?, said(SHA256)?);
    let shard = state.shards.get(&number).filter(|shard| shard.plan.sha256 == sha256)?;
    use Phase::{Cancelled, Creating, Planned, Uploaded};
    let has_one = !matches!(shard.phase, Planned | Uploaded | Creating | Cancelled);
    (said(RUN) == Some(run) && has_one && !state.holds(&batch.id)).then_some(number)
}

/// Whether a batch is one of this run over lines that no shard has: the log is behind what was done, as that of an older
/// copy of the folder is, and what it does not know was paid for.
pub(super) fn is_stray(batch: &Batch, run: &str, state: &State) -> bool {
    let said = |key: &str| batch.metadata.get(key).map(String::as_str);
    let known = |sha256: &str| state.shards.values().any(|shard| shard.plan.sha256 == sha256);
    said(RUN) == Some(run)
        && said(SHA256).is_some_and(|sha256| !known(sha256))
        && batch.status != crate::Status::Failed
        && !state.holds(&batch.id)
}

/// Batches of the same lines that another run has made whose folder is not beside this one: live, or over for less than a
/// day; the youngest of each shard. Whoever has lost that folder would pay for the lines again.
pub(super) async fn twins(
    client: &Client,
    on_progress: &OnProgress,
    folder: &Path,
    run: &str,
    state: &State,
) -> Result<Vec<Twin>, Error> {
    if !state.shards.values().any(is_new) {
        return Ok(Vec::new());
    }
    let since = UnixSeconds::new(seam::now().get() - DAY)?;
    let of = |batch: &Batch| {
        let said = |key: &str| batch.metadata.get(key).map(String::as_str);
        let (other, sha256) = (said(RUN).filter(|other| *other != run)?, said(SHA256)?);
        let shard = state.shards.values().filter(|shard| is_new(shard)).find(|shard| shard.plan.sha256 == sha256)?;
        let counts = !batch.is_terminal() || batch.created_at.is_none_or(|at| at >= since);
        (counts && batch.status != crate::Status::Failed && !is_beside(folder, other)).then_some(shard.plan.number)
    };
    let of = |batch: &Batch| Whose::from(of(batch));
    let mut twins: Vec<Twin> = Vec::new();
    for (shard, batch) in list_since(client, on_progress, Some(since), of).await?.found {
        if twins.iter().all(|known| known.shard != shard) {
            twins.push(Twin { shard, batch: batch.id, status: batch.status.to_string() });
        }
    }
    twins.sort_by_key(|twin| twin.shard);
    Ok(twins)
}

/// Whether no create of a shard was ever sent, of the lines that were asked for first.
fn is_new(shard: &Shard) -> bool {
    let unsent = matches!(shard.phase, Phase::Planned | Phase::Uploaded);
    unsent && shard.attempt == 1 && shard.nonce.is_none() && shard.batches.is_empty()
}

/// Whether a folder beside this one is that of a run.
fn is_beside(folder: &Path, run: &str) -> bool {
    let Ok(entries) = std::fs::read_dir(crate::save::folder(folder)) else { return false };
    entries.flatten().any(|entry| match Record::read(&entry.path()) {
        Found::Record(record) => record.run == run,
        _ => false,
    })
}

/// The one of several batches of one create that is furthest, and the others.
pub(super) fn furthest(mut found: Vec<Batch>) -> Option<(Batch, Vec<Batch>)> {
    let far = |batch: &Batch| {
        let done = batch.request_counts.map_or(0, |counts| counts.completed);
        let may_end_well = !matches!(batch.status, crate::Status::Failed | crate::Status::Cancelled);
        (batch.output_file_id.is_some(), may_end_well, done)
    };
    found.sort_by_key(|batch| std::cmp::Reverse(far(batch)));
    let mut found = found.into_iter();
    Some((found.next()?, found.collect()))
}

/// The options with the name of the file of requests, where the service keeps metadata and there is room for it. They are
/// the same each time: an idempotency key is for one create.
pub(super) fn named(options: BatchOptions, record: &Record, client: &Client) -> BatchOptions {
    let Some(name) = record.requests() else { return options };
    let named = options.clone().metadata(REQUESTS, name);
    if client.shared().dialect().has_room_for(&named) { named } else { options }
}

/// The options of a create of this shard: the run's own, and what it is known by.
pub(super) fn marked(options: &BatchOptions, run: &str, shard: &Shard, nonce: &str, alone: bool) -> BatchOptions {
    let number = shard.plan.number.to_string();
    let mut marked = options
        .clone()
        .metadata(RUN, run)
        .metadata(SHARD, &number)
        .metadata(CREATE, nonce)
        .metadata(SHA256, &shard.plan.sha256);
    // One key is for one batch: of a run of several each has its own. The same intent always has the same key.
    marked.idempotency_key = Some(match marked.idempotency_key.take() {
        Some(key) if alone => key,
        Some(key) => format!("{key}-{number}-{nonce}"),
        None => format!("lote-{run}-{number}-{nonce}"),
    });
    marked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_without_metadata_is_nobodys_where_another_has_some() {
        let batch = |metadata: Value| {
            let batch = serde_json::json!({"id": "batch_1", "status": "completed", "metadata": metadata});
            Batch::read("data", serde_json::from_value(batch).unwrap()).unwrap()
        };
        for (other, unclear) in [(serde_json::json!({}), 1), (serde_json::json!({"by": "another program"}), 0)] {
            let mut listed = Listed::default();
            listed.take(batch(serde_json::json!({})), Whose::Unclear(vec![3]));
            listed.take(batch(other), Whose::Unclear(Vec::new()));
            assert_eq!((listed.unclear(3).len(), listed.unclear(4).len()), (unclear, 0));
        }
    }

    #[test]
    fn a_key_is_trusted_as_long_as_it_is_kept() {
        let at = |seconds: i64| UnixSeconds::new(1_800_000_000 + seconds).unwrap();
        let minute = Duration::from_secs(60);
        for (intent, now, kept, trusted) in [
            (Some(at(0)), at(0), minute, true),
            (Some(at(0)), at(59), minute, true),
            (Some(at(0)), at(60), minute, false),
            (Some(at(0)), at(0), Duration::ZERO, false),
            (Some(at(0)), at(1 << 40), Duration::MAX, true),
            // The clock was set back, or the log has no intent.
            (Some(at(1)), at(0), Duration::MAX, false),
            (None, at(0), Duration::MAX, false),
        ] {
            assert_eq!(is_key_kept(intent, now, kept), trusted, "{intent:?} {now:?} {kept:?}");
        }
    }
}
