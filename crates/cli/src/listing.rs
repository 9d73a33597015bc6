//! Lists of a service: a table on a terminal, the service's JSON elsewhere, and filters that the service does not have,
//! which are held against page after page.

use std::pin::pin;
use std::time::Duration;

use clap::Args;
use futures_util::{Stream, TryStreamExt};
use lote::text::visible;
use lote::{Batch, File, Page, RequestCounts, UnixSeconds};
use serde::Serialize;

use crate::exit::CliError;
use crate::layout;
use crate::out;
use crate::table::{Column, Table};
use crate::values;

/// How many entries a filter is held against at the most, unless all are asked for.
const LOOKED: u64 = 10_000;

/// How many are found at the most, unless it is said or all are asked for: as many as a page of most services.
const FOUND: usize = 20;

/// How many rows are laid out at once.
const ROWS: usize = 100;

/// Which entries are wanted of a list, by their age.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SinceArgs {
    /// Only those made within this time, such as 2h, 2d or 1w
    ///
    /// The service is asked for page after page until --limit of them are found, 10000 were looked at, or, where the
    /// list is newest first, an older one comes; with --all to the end of the list.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    since: Option<Duration>,
}

/// What is an entry of a list.
pub(crate) trait Entry: Serialize {
    fn id(&self) -> &str;
    fn created_at(&self) -> Option<UnixSeconds>;
    /// What the entries are called.
    const NOUN: &'static str;
}

impl Entry for Batch {
    const NOUN: &'static str = "batch";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn created_at(&self) -> Option<UnixSeconds> {
        self.created_at
    }
}

impl Entry for File {
    const NOUN: &'static str = "file";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn created_at(&self) -> Option<UnixSeconds> {
        self.created_at
    }
}

/// Says of an entry whether it is wanted.
pub(crate) type Filter<T> = Box<dyn Fn(&T) -> bool>;

/// What is wanted of a list.
pub(crate) struct Wanted<T> {
    since: Option<UnixSeconds>,
    takes: Option<Filter<T>>,
}

impl<T: Entry> Wanted<T> {
    pub(crate) fn new(since: &SinceArgs, takes: Option<Filter<T>>) -> Result<Self, CliError> {
        let since = since.since.map(|time| {
            let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
            UnixSeconds::new(UnixSeconds::now().get().saturating_sub(seconds).max(0))
        });
        Ok(Self { since: since.transpose()?, takes })
    }

    /// Whether anything is left out.
    pub(crate) fn is_filter(&self) -> bool {
        self.since.is_some() || self.takes.is_some()
    }

    fn is_old(&self, entry: &T) -> bool {
        self.since.is_some_and(|since| entry.created_at().is_some_and(|made| made < since))
    }

    fn is_wanted(&self, entry: &T) -> bool {
        !self.is_old(entry) && self.takes.as_ref().is_none_or(|takes| takes(entry))
    }
}

/// Holds a list against what is wanted, as far as that needs, and gives what was found to `found`, which says whether it
/// takes more. Gives back how many were looked at, and whether there may be more.
async fn search<T: Entry>(
    entries: impl Stream<Item = Result<T, lote::Error>>,
    wanted: &Wanted<T>,
    most: Option<usize>,
    mut found: impl AsyncFnMut(T) -> Result<bool, CliError>,
) -> Result<(u64, bool), CliError> {
    let mut entries = pin!(entries);
    let (mut looked, mut taken) = (0, 0);
    // The order is known once two entries were not made at the same time.
    let (mut newest_first, mut differ) = (true, false);
    let mut before: Option<UnixSeconds> = None;
    while let Some(entry) = entries.try_next().await? {
        looked += 1;
        let made = entry.created_at();
        newest_first &= before.zip(made).is_none_or(|(before, made)| made <= before);
        differ |= before.zip(made).is_some_and(|(before, made)| made != before);
        before = made.or(before);
        if wanted.is_wanted(&entry) {
            taken += 1;
            if !found(entry).await? {
                return Ok((looked, true));
            }
        } else if most.is_some() && newest_first && differ && wanted.is_old(&entry) {
            return Ok((looked, false));
        }
        if most.is_some_and(|most| taken >= most || looked >= LOOKED) {
            return Ok((looked, true));
        }
    }
    Ok((looked, false))
}

/// Prints what is wanted of all pages as they come, or so much of it as `most` says.
///
/// # Errors
/// Those of the list and of stdout.
pub(crate) async fn print<T: Entry, const N: usize>(
    entries: impl Stream<Item = Result<T, lote::Error>>,
    wanted: &Wanted<T>,
    all: bool,
    limit: Option<i64>,
    shown: Shown<T, N>,
) -> Result<(), CliError> {
    let most = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(FOUND);
    let most = (!all).then_some(most);
    let Some(columns) = shown.columns() else {
        if all {
            let mut found = 0;
            let (looked, has_more) = search(entries, wanted, None, async |entry| {
                found += 1;
                out::json_line_to_reader(&entry).await
            })
            .await?;
            if wanted.is_filter() {
                out::note(told::<T>(looked, found, has_more));
            }
            return Ok(());
        }
        let mut data = Vec::new();
        let (looked, has_more) = search(entries, wanted, most, async |entry| {
            data.push(entry);
            Ok(true)
        })
        .await?;
        out::note(told::<T>(looked, data.len(), has_more));
        return out::json(&Found {
            first_id: data.first().map(|entry| entry.id().to_owned()),
            last_id: data.last().map(|entry| entry.id().to_owned()),
            has_more,
            data,
        })
        .await;
    };
    let mut table = Table::new(shown.heads, columns);
    let (mut rows, mut count) = (Vec::new(), 0);
    let (looked, has_more) = search(entries, wanted, most, async |entry| {
        rows.push((shown.row)(&entry));
        count += 1;
        if rows.len() == ROWS {
            out::lines(table.lines(&std::mem::take(&mut rows)))?;
        }
        Ok(true)
    })
    .await?;
    if !rows.is_empty() {
        out::lines(table.lines(&rows))?;
    }
    match (wanted.is_filter(), count) {
        (true, _) => out::note(told::<T>(looked, count, has_more)),
        (false, 0) => out::note(none::<T>()),
        (false, _) => {}
    }
    Ok(())
}

/// Prints one page: as a table on a terminal, else as the service's JSON.
///
/// # Errors
/// Those of stdout.
pub(crate) async fn print_page<T: Entry, const N: usize>(page: &Page<T>, shown: Shown<T, N>) -> Result<(), CliError> {
    let Some(columns) = shown.columns() else { return out::json(page).await };
    let rows: Vec<_> = page.data.iter().map(&shown.row).collect();
    if rows.is_empty() {
        out::note(none::<T>());
        return Ok(());
    }
    out::lines(Table::new(shown.heads, columns).lines(&rows))?;
    if let Some(last) = page.data.last().filter(|_| page.has_more) {
        let after = format!("there are more: --all, or --after {}", visible(last.id()));
        out::note(if layout::width(&after) <= columns { after } else { "there are more: --all lists them".to_owned() });
    }
    Ok(())
}

fn none<T: Entry>() -> String {
    format!("there are no {}", out::count(0, T::NOUN).trim_start_matches("0 "))
}

/// How many were looked at, and found.
fn told<T: Entry>(looked: u64, found: usize, has_more: bool) -> String {
    let more = if has_more { "; there are more, which --all looks at" } else { "" };
    format!("looked at {}, {found} of them as wanted{more}", out::count(looked, T::NOUN))
}

/// What was found of a list, in the shape of a page.
#[derive(Serialize)]
struct Found<T> {
    data: Vec<T>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

/// How entries are shown.
pub(crate) struct Shown<T, const N: usize> {
    /// Also on a terminal as JSON.
    pub(crate) json: bool,
    pub(crate) heads: [Column; N],
    pub(crate) row: fn(&T) -> [String; N],
}

impl<T, const N: usize> Shown<T, N> {
    /// The columns of the terminal that a table is for; none where JSON is printed.
    fn columns(&self) -> Option<usize> {
        layout::columns().filter(|_| !self.json)
    }
}

/// How batches are shown.
pub(crate) fn batches(json: bool) -> Shown<Batch, 8> {
    Shown {
        json,
        heads: [
            Column::whole("ID"),
            Column::whole("STATUS"),
            Column::number("AGE"),
            Column::number("DONE"),
            Column::text("REQUESTS", 40),
            Column::number("LINES"),
            Column::number("FAILED"),
            Column::whole("RUN"),
        ],
        row: |batch| {
            let counts = batch.request_counts.filter(|counts| counts.total > 0);
            let count = |count: Option<u64>| count.map(|count| count.to_string()).unwrap_or_default();
            let said = |key: &str| batch.metadata.get(key).map(String::as_str);
            // As in the names of the files that a run uploads.
            let run = said("lote_run").map(|run| run.chars().take(8).collect::<String>());
            let run = run.map(|run| said("lote_shard").map_or(run.clone(), |shard| format!("{run}-{shard}")));
            [
                visible(batch.id.as_str()).into_owned(),
                layout::one_line(batch.status.as_str(), 40),
                age(batch.created_at),
                counts.map(done).unwrap_or_default(),
                layout::one_line(said("lote_requests").unwrap_or_default(), 200),
                count(counts.map(|counts| counts.total)),
                count(counts.map(|counts| counts.failed).filter(|failed| *failed > 0)),
                layout::one_line(&run.unwrap_or_default(), 40),
            ]
        },
    }
}

/// How files are shown.
pub(crate) fn files(json: bool) -> Shown<File, 5> {
    Shown {
        json,
        heads: [
            Column::whole("ID"),
            Column::whole("PURPOSE"),
            Column::number("SIZE"),
            Column::number("AGE"),
            Column::text("NAME", 60),
        ],
        row: |file| {
            let size = file.bytes.and_then(|bytes| u64::try_from(bytes).ok());
            let purpose = file.purpose.as_ref().map(lote::FilePurpose::as_str).unwrap_or_default();
            [
                visible(file.id.as_str()).into_owned(),
                layout::one_line(purpose, 40),
                size.map(|bytes| indicatif::BinaryBytes(bytes).to_string()).unwrap_or_default(),
                age(file.created_at),
                layout::one_line(file.filename.as_deref().unwrap_or_default(), 200),
            ]
        },
    }
}

fn age(made: Option<UnixSeconds>) -> String {
    made.filter(|made| made.get() > 0).map(|made| layout::age(UnixSeconds::now().since(made))).unwrap_or_default()
}

/// How much of it is done; all of it only when it is.
fn done(counts: RequestCounts) -> String {
    let ended = counts.completed.saturating_add(counts.failed);
    let percent = u128::from(ended).saturating_mul(100) / u128::from(counts.total.max(1));
    format!("{}%", percent.min(100))
}
