//! The ways in which a run can end early, each telling what was paid for by then.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use super::{Holder, Report, plan::SourceFindings, standing::Standing, state::State};
use crate::{BatchId, Error, lines::Checked};

/// Why a run did not end with results.
///
/// What there is by then is told by [`batches`](Self::batches) and [`folder`](Self::folder); the same run, or
/// [`Run::open`](super::Run::open) of its folder, goes on from there.
#[derive(Debug)]
pub struct RunError(Box<Repr>);

#[derive(Debug)]
struct Repr {
    kind: Kind,
    folder: Option<PathBuf>,
    batches: Vec<BatchId>,
    /// What of the run is at the service; none where that has nothing to do with it.
    standing: Option<Standing>,
    report: Option<Report>,
    /// Whether the call that failed may be made again, whatever became of it.
    repeatable: bool,
    /// Whether the service seems to have no batches at all.
    without_batches: bool,
}

/// A batch of another run that has the same lines as a shard of this one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Twin {
    /// The number of the shard here.
    pub shard: u32,
    /// The batch.
    pub batch: BatchId,
    /// Its status, fit to be shown.
    pub status: String,
}

/// Why.
#[derive(Debug)]
pub(super) enum Kind {
    /// The request lines are not fit to be sent.
    Input { checked: Box<Checked>, sources: Vec<SourceFindings> },
    /// A place that cannot be used.
    Place { path: PathBuf, why: String, error: Option<io::Error> },
    /// The folder holds something that this run cannot go on with.
    Taken { why: String },
    /// Somebody else is at work in the folder.
    Busy(Holder),
    /// The record or the log of the run cannot be read.
    Unreadable { name: &'static str, why: String },
    /// The folder was removed or replaced.
    Lost,
    /// It would cost, or use, more than it may, or nobody can say that it does not.
    Capped { why: String },
    /// The service refused, or could not be reached.
    Service(Error),
    /// Batches are open, and it was not possible to follow them, or to fetch what they have.
    Unfetched(Error),
    /// Another run, whose folder is not beside this one, has made batches of the same lines.
    Twins(Vec<Twin>),
    /// The service has batches of this run that its log does not know.
    Behind(Vec<BatchId>),
    /// It cannot be told what became of some shards, of which some may have batches that are not known.
    Held { shards: Vec<(u32, String)>, may_have_others: bool },
    /// It was time to give up.
    GaveUp,
    /// All batches failed at validation, or were refused to the last line.
    Failed(Vec<String>),
    /// The results could not be put where they were wanted as well.
    NotCopied { output: PathBuf, error: io::Error, report: Box<Report> },
    /// A file on this side could not be read or written.
    Io { doing: String, error: io::Error },
}

impl RunError {
    /// How many findings are kept of a file.
    pub const MAX_FINDINGS: usize = 1_000;

    pub(super) fn new(kind: Kind) -> Self {
        Self(Box::new(Repr {
            kind,
            folder: None,
            batches: Vec::new(),
            standing: None,
            report: None,
            repeatable: false,
            without_batches: false,
        }))
    }

    pub(super) fn place(path: &Path, why: impl Into<String>) -> Self {
        Self::new(Kind::Place { path: path.to_owned(), why: why.into(), error: None })
    }

    /// A place that the system does not let us use.
    pub(super) fn closed(path: &Path, error: io::Error) -> Self {
        Self::new(Kind::Place { path: path.to_owned(), why: error.to_string(), error: Some(error) })
    }

    pub(super) fn io(doing: impl fmt::Display, at: &Path, error: io::Error) -> Self {
        Self::new(Kind::Io { doing: format!("{doing} {}", at.display()), error })
    }

    pub(crate) fn refused(error: Error) -> Self {
        Self::new(Kind::Service(error))
    }

    /// In this folder.
    pub(super) fn at(mut self, folder: &Path) -> Self {
        self.0.folder = Some(folder.to_owned());
        self
    }

    /// With this batch too.
    pub(super) fn and(mut self, batch: BatchId) -> Self {
        if !self.0.batches.contains(&batch) {
            self.0.batches.push(batch.clone());
        }
        self.0.standing.get_or_insert_default().and(batch);
        self
    }

    /// With the results that there are.
    pub(super) fn with_report(mut self, report: Report) -> Self {
        self.0.report = Some(report);
        self
    }

    /// The same error, of a call that does the same however often it is made.
    pub(super) fn repeatable(mut self) -> Self {
        self.0.repeatable = true;
        self
    }

    /// The same error, of a service that seems to have no batches at all.
    pub(super) fn without_batches(mut self) -> Self {
        self.0.without_batches = true;
        self
    }

    /// The error of a call that was not answered, and can be made again without doing anything twice.
    pub(super) fn unanswered(&self) -> Option<&Error> {
        let error = self.error()?;
        let nothing_sent = error.is_unreached() && !error.is_ambiguous() && matches!(self.0.kind, Kind::Service(_));
        (nothing_sent || self.0.repeatable && error.is_unanswered()).then_some(error)
    }

    /// Of a run that has come so far.
    pub(super) fn of(mut self, state: &State) -> Self {
        self.0.batches = state.batches();
        self.0.standing = Some(Standing::of(state));
        self
    }

    /// With these batches.
    pub(super) fn with(mut self, batches: Vec<BatchId>) -> Self {
        self.0.batches = batches;
        self
    }

    /// The request lines are not fit to be sent; nothing was. See [`findings`](Self::findings).
    pub fn is_input(&self) -> bool {
        matches!(self.0.kind, Kind::Input { .. })
    }

    /// What is to be sent may cost or use more than the run [may](super::Run::max_cost), or nobody can say that it does not.
    /// It was not sent; batches that were made before go on.
    pub fn is_capped(&self) -> bool {
        matches!(self.0.kind, Kind::Capped { .. })
    }

    /// A place cannot be read, or cannot take what is to be written there; nothing was sent.
    pub fn is_place(&self) -> bool {
        matches!(self.0.kind, Kind::Place { .. })
    }

    /// The folder holds something else, or the run of other requests or other options; nothing was sent.
    pub fn is_taken(&self) -> bool {
        matches!(self.0.kind, Kind::Taken { .. })
    }

    /// Another process, or another run of this one, is at work in the folder. Nothing was sent.
    pub fn is_busy(&self) -> bool {
        matches!(self.0.kind, Kind::Busy(_))
    }

    /// What the folder says of its run cannot be read, or was made by a newer version: there may be batches of it. Nothing
    /// was sent.
    pub fn is_unreadable(&self) -> bool {
        matches!(self.0.kind, Kind::Unreadable { .. })
    }

    /// The folder was removed or replaced while the run was at work in it. What is at its path now was not touched.
    pub fn is_lost(&self) -> bool {
        matches!(self.0.kind, Kind::Lost)
    }

    /// The service refused, or could not be reached, before there was a batch of this run: nothing is to be paid.
    pub fn is_refused(&self) -> bool {
        let nothing = self.0.standing.as_ref().is_none_or(|standing| !standing.has_sent_lines());
        matches!(self.0.kind, Kind::Service(_)) && self.0.batches.is_empty() && nothing
    }

    /// The service answered the upload or the create of a run's first batch as one that has no batches (404, 405, 501); or the
    /// base URL is not that of its API. Nothing is to be paid. [`Run::synchronous`](super::Run::synchronous) needs no batches.
    pub fn lacks_batches(&self) -> bool {
        self.0.without_batches
    }

    /// It cannot be told whether a create whose answer was lost has made a batch, or what became of a batch, as when the
    /// service does not know it any more or its files could not be fetched: a person must say, unless the same run, given
    /// again, finds it. See [`held`](Self::held).
    pub fn is_held(&self) -> bool {
        matches!(self.0.kind, Kind::Held { .. })
    }

    /// There may be a batch that this run does not know of. The same run looks for it again.
    pub fn is_ambiguous(&self) -> bool {
        match &self.0.kind {
            Kind::Held { may_have_others, .. } => *may_have_others,
            Kind::Service(error) => error.is_ambiguous(),
            _ => false,
        }
    }

    /// Another run, whose folder is not beside this one, has made batches of the same lines within a day: they would be
    /// paid for again. Nothing was created. [`adopt`](super::Run::adopt) takes one of [these](Self::twins) for this run's
    /// own, and [`anew`](super::Run::anew) makes others.
    pub fn is_twin(&self) -> bool {
        matches!(self.0.kind, Kind::Twins(_))
    }

    /// The service has batches of this run over lines that its folder does not know: the folder is an older copy, and what
    /// was done since would be paid for again. Nothing more was created. [`anew`](super::Run::anew) goes on all the same.
    pub fn is_behind(&self) -> bool {
        matches!(self.0.kind, Kind::Behind(_))
    }

    /// The batches of another run over the same lines.
    pub fn twins(&self) -> &[Twin] {
        match &self.0.kind {
            Kind::Twins(twins) => twins,
            _ => &[],
        }
    }

    /// The batches exist, but could not be followed, or their files not be fetched, for want of a connection or of time. The
    /// same run tries again. Where one batch alone is at fault, its shard is [held](Self::is_held).
    pub fn is_unfetched(&self) -> bool {
        matches!(self.0.kind, Kind::Unfetched(_))
    }

    /// The deadline passed, or the run was detached. Batches that are at work go on at the service.
    pub fn gave_up(&self) -> bool {
        match &self.0.kind {
            Kind::GaveUp => true,
            Kind::Service(error) | Kind::Unfetched(error) => error.is_deadline(),
            _ => false,
        }
    }

    /// All batches failed at validation, or no line is small enough for the service: there are no results, and nothing is
    /// to be paid.
    pub fn is_failed(&self) -> bool {
        matches!(self.0.kind, Kind::Failed(_))
    }

    /// A file on this side could not be read or written.
    pub fn is_io(&self) -> bool {
        match &self.0.kind {
            Kind::Io { .. } | Kind::NotCopied { .. } => true,
            Kind::Unfetched(error) => error.is_io(),
            _ => false,
        }
    }

    /// What is wrong with the request lines, file by file.
    pub fn findings(&self) -> &[SourceFindings] {
        match &self.0.kind {
            Kind::Input { sources, .. } => sources,
            _ => &[],
        }
    }

    /// What was counted of request lines that are not fit to be sent.
    pub fn checked(&self) -> Option<&Checked> {
        match &self.0.kind {
            Kind::Input { checked, .. } => Some(checked),
            _ => None,
        }
    }

    /// The shards of which it cannot be told what became of them, each with why.
    pub fn held(&self) -> &[(u32, String)] {
        match &self.0.kind {
            Kind::Held { shards, .. } => shards,
            _ => &[],
        }
    }

    /// The folder of the run, when it is still there and has something of the run in it.
    pub fn folder(&self) -> Option<&Path> {
        self.0.folder.as_deref()
    }

    /// The batches of the run, as far as they are known, those that are over included. What is said of the error says how
    /// many go on at the service.
    pub fn batches(&self) -> &[BatchId] {
        &self.0.batches
    }

    /// The error of the service, or of the call, that ended it.
    pub fn error(&self) -> Option<&Error> {
        match &self.0.kind {
            Kind::Service(error) | Kind::Unfetched(error) => Some(error),
            _ => None,
        }
    }

    /// The same, taken out.
    pub fn into_error(self) -> Option<Error> {
        match self.0.kind {
            Kind::Service(error) | Kind::Unfetched(error) => Some(error),
            _ => None,
        }
    }

    /// What came of a run whose results are in its folder, but not where they were wanted as well; or what there is so far
    /// of one that is [held](Self::is_held), if that was to be written: see [`Run::partial`](super::Run::partial).
    pub fn report(&self) -> Option<&Report> {
        match &self.0.kind {
            Kind::NotCopied { report, .. } => Some(report),
            _ => self.0.report.as_ref(),
        }
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = || self.0.folder.as_deref().unwrap_or(Path::new("the folder")).display();
        match &self.0.kind {
            Kind::Input { checked, sources } => {
                write!(f, "the input was refused, {} findings, nothing was sent", checked.findings)?;
                match sources.iter().find_map(|source| source.groups.groups().first()) {
                    Some(first) => write!(f, "; the first: {first}"),
                    None => Ok(()),
                }
            }
            Kind::Place { path, why, .. } => write!(f, "{}: {why}", path.display()),
            Kind::Taken { why } => write!(f, "{} {why}", folder()),
            Kind::Busy(holder) => {
                write!(f, "{}: {holder} is at work in it; wait until it has ended, or name another folder", folder())
            }
            Kind::Unreadable { name, why } => write!(
                f,
                "{}/{name}: {why}; a batch of it may be at work or wait to be fetched, so keep the folder and name \
                 another one",
                folder(),
            ),
            Kind::Capped { why } => {
                write!(f, "{why}")?;
                match self.0.standing.as_ref().filter(|standing| !standing.is_nothing()) {
                    None => write!(f, "; nothing was sent"),
                    Some(standing) => write!(f, "; nothing more was sent; {standing}"),
                }
            }
            Kind::Lost => {
                write!(f, "{} was removed or replaced while this run was at work in it; ", folder())?;
                match self.0.standing.as_ref().filter(|standing| !standing.is_nothing()) {
                    None => write!(f, "what is there now was not touched, and no batch was created"),
                    Some(standing) => write!(f, "what is there now was not touched, and {standing}"),
                }
            }
            Kind::Service(error) => {
                write!(f, "{error}")?;
                if self.0.without_batches {
                    write!(f, "; the service seems to have no batch API, if that is its base URL")?;
                }
                match self.0.standing.as_ref().filter(|standing| !standing.is_nothing()) {
                    None => Ok(()),
                    Some(standing) => write!(f, "; {standing}"),
                }
            }
            Kind::Unfetched(error) => {
                write!(f, "{error}")?;
                self.0.standing.iter().try_for_each(|standing| write!(f, "; {}", standing.said(true)))
            }
            Kind::Twins(twins) => {
                write!(
                    f,
                    "a run whose folder is not beside {} has made batches of the same request lines, which would be paid \
                     for again; nothing was created",
                    folder()
                )?;
                for Twin { shard, batch, status } in twins {
                    write!(f, "\n  shard {shard}: batch {batch} ({status})")?;
                }
                Ok(())
            }
            Kind::Behind(batches) => {
                let ids: Vec<&str> = batches.iter().take(20).map(BatchId::as_str).collect();
                write!(
                    f,
                    "{} is an older copy of its run: the service has batches of the run that it does not know ({}), and \
                     what is in them would be paid for again; nothing more was created",
                    folder(),
                    ids.join(", ")
                )
            }
            Kind::Held { shards, .. } => {
                match shards.len() {
                    1 => write!(f, "1 shard waits for a word of yours:")?,
                    several => write!(f, "{several} shards wait for a word of yours:")?,
                }
                for (shard, why) in shards {
                    write!(f, "\n- shard {shard}: {why}")?;
                }
                Ok(())
            }
            Kind::GaveUp => {
                write!(f, "gave up waiting")?;
                self.0.standing.iter().try_for_each(|standing| write!(f, "; {standing}"))
            }
            Kind::Failed(whys) => {
                let ids: Vec<&str> = self.0.batches.iter().map(BatchId::as_str).collect();
                match ids.as_slice() {
                    [] => write!(f, "the service takes none of the request lines, and no batch was made")?,
                    ids => write!(f, "batch {} failed at validation", ids.join(", "))?,
                }
                for why in whys {
                    write!(f, "\n  {why}")?;
                }
                Ok(())
            }
            Kind::NotCopied { output, error, report } => {
                write!(f, "write {}: {error}; the results are in {}", output.display(), report.results.display())
            }
            Kind::Io { doing, error } => {
                write!(f, "{doing}: {error}")?;
                match &self.0.standing {
                    None => Ok(()),
                    Some(standing) if standing.is_nothing() => write!(f, "; there is no batch"),
                    Some(standing) => write!(f, "; {}", standing.said(true)),
                }
            }
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            Kind::Service(error) | Kind::Unfetched(error) => Some(error),
            Kind::NotCopied { error, .. } | Kind::Io { error, .. } => Some(error),
            Kind::Place { error: Some(error), .. } => Some(error),
            _ => None,
        }
    }
}
