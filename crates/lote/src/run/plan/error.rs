//! Why no plan came about, and the findings of each source.

use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
};

use crate::lines::{Checked, Finding, FindingGroups};

/// Why no plan came about.
#[derive(Debug)]
#[non_exhaustive]
pub enum PlanError {
    /// The request lines are not fit to be sent.
    #[non_exhaustive]
    Input {
        /// What was counted in all sources; `checked.findings` says how many findings there are.
        checked: Box<Checked>,
        /// The findings of each source that has any, in the order of the sources.
        sources: Vec<SourceFindings>,
    },
    /// A file on this side could not be read or written.
    #[non_exhaustive]
    Io {
        /// What was being done, to be followed by the path: `read`.
        doing: String,
        /// With which file or folder.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

/// What is wrong with one source.
#[derive(Debug)]
#[non_exhaustive]
pub struct SourceFindings {
    /// The source.
    pub source: PathBuf,
    /// The first findings in the order of the lines, up to [`PlanError::MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// All findings, those put together that say the same of many lines; up to so many groups.
    pub groups: FindingGroups,
}

impl PlanError {
    /// How many findings of a source are kept.
    pub const MAX_FINDINGS: usize = super::super::RunError::MAX_FINDINGS;

    /// Whether nobody wanted the plan any more.
    pub fn is_interrupted(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == io::ErrorKind::Interrupted)
    }

    pub(super) fn io(doing: &str, path: &Path, error: io::Error) -> Self {
        Self::Io { doing: doing.to_owned(), path: path.to_owned(), error }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input { checked, sources } => {
                write!(f, "the input was refused, {} findings", checked.findings)?;
                let first = sources.iter().find_map(|found| Some((&found.source, found.groups.groups().first()?)));
                match first {
                    Some((source, first)) => write!(f, "; the first: {}: {first}", source.display()),
                    None => Ok(()),
                }
            }
            Self::Io { doing, path, error } => write!(f, "{doing} {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for PlanError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Input { .. } => None,
        }
    }
}

/// Keeps the findings while sources are read.
#[derive(Default)]
pub(super) struct Found {
    sources: Vec<SourceFindings>,
    any: bool,
    later: BTreeMap<usize, Later>,
}

/// What was found in a source after all were read, in no order.
#[derive(Default)]
struct Later {
    /// Those of the first lines.
    first: BTreeMap<Option<u64>, Finding>,
    /// How many are not kept.
    beyond: u64,
}

impl Found {
    pub(super) fn begin(&mut self, source: &Path) {
        let groups = FindingGroups::new(PlanError::MAX_FINDINGS);
        self.sources.push(SourceFindings { source: source.to_owned(), findings: Vec::new(), groups });
    }

    /// Adds a finding of the last source that was begun.
    pub(super) fn add(&mut self, finding: Finding) {
        self.any = true;
        if let Some(source) = self.sources.last_mut() {
            source.add(finding);
        }
    }

    /// Adds a finding of a source by its number from 0, once all were read.
    pub(super) fn add_later(&mut self, source: usize, finding: Finding) {
        self.any = true;
        let later = self.later.entry(source).or_default();
        later.first.insert(finding.line, finding);
        if later.first.len() > PlanError::MAX_FINDINGS {
            later.first.pop_last();
            later.beyond += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.any
    }

    pub(super) fn into_sources(mut self) -> Vec<SourceFindings> {
        for (source, later) in self.later {
            let Some(source) = self.sources.get_mut(source) else { continue };
            later.first.into_values().for_each(|finding| source.add(finding));
            source.groups.omit(later.beyond);
            source.findings.sort_by_key(|finding| finding.line);
        }
        self.sources.retain(|source| !source.groups.groups().is_empty());
        self.sources
    }
}

impl SourceFindings {
    fn add(&mut self, finding: Finding) {
        if self.findings.len() < PlanError::MAX_FINDINGS {
            self.findings.push(finding.clone());
        }
        self.groups.push(finding);
    }
}
