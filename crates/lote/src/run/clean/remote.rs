//! Deletes what a finished run has put at the service, and nothing else: the files that its log and the summaries of its
//! shards name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use serde::Serialize;

use super::Clean;
use crate::{
    Batch, BatchId, Client, Error, FileId,
    deadline::Deadline,
    heavy::blocking,
    run::{
        OnProgress, Progress, RunError,
        adopt::{self, Whose},
        event::Event,
        folder::{Folder, RESULTS},
        merge::{Fault, read_summary},
        record::{Asked, Record},
        state::Phase,
    },
    save::{self, Written},
};

/// What became of the files that a run has put at the service.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct CleanedRemote {
    /// Whether it was only said what would be deleted.
    pub dry_run: bool,
    /// The files, but for those that an earlier cleaning has deleted.
    pub files: Vec<RemoteFile>,
    /// Why none of them was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A file that a run has put at the service, or that one of its batches has made there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RemoteFile {
    /// Its id.
    pub id: FileId,
    /// The shard that it is of.
    pub shard: u32,
    /// What it holds.
    pub kind: RemoteKind,
    /// What became of it.
    pub state: RemoteState,
    /// Why it was kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// What a file at the service holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RemoteKind {
    /// Request lines.
    Input,
    /// The answers of a batch.
    Output,
    /// The errors of a batch.
    Errors,
}

/// What became of a file at the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RemoteState {
    /// It was deleted.
    Deleted,
    /// It was gone already.
    Gone,
    /// It is still there.
    Kept,
    /// It would be deleted.
    Found,
}

impl CleanedRemote {
    /// None of them could be looked at.
    pub(in crate::run) fn failed(error: RunError) -> Self {
        Self { problem: Some(error.to_string()), ..Self::default() }
    }

    /// The files that are still at the service although they were to be deleted.
    pub fn kept(&self) -> impl Iterator<Item = &RemoteFile> {
        self.files.iter().filter(|file| file.state == RemoteState::Kept)
    }

    /// Whether nothing is left that was to be deleted.
    pub fn is_whole(&self) -> bool {
        self.problem.is_none() && self.kept().next().is_none()
    }
}

/// What is at a service of a run, and how it is reached.
pub(in crate::run) struct Remote<'a> {
    pub(in crate::run) client: &'a Client,
    pub(in crate::run) folder: &'a mut Folder,
    pub(in crate::run) deadline: Deadline,
    pub(in crate::run) on_progress: &'a OnProgress,
}

impl Remote<'_> {
    /// Whether the log holds all that is to be had from the service: results, or that no line was run.
    pub(in crate::run) fn is_over(folder: &Folder) -> bool {
        folder.state.finished.is_some() || folder.state.has_failed()
    }

    /// The files that are, or may be, there. The order is that of the shards.
    pub(in crate::run) fn files(folder: &Folder) -> Result<Vec<RemoteFile>, RunError> {
        let mut files: BTreeMap<FileId, (u32, RemoteKind)> = BTreeMap::new();
        let uploads = folder.state.uploads.iter();
        files.extend(uploads.map(|(file, shard)| (file.clone(), (*shard, RemoteKind::Input))));
        for (number, shard) in &folder.state.shards {
            if !matches!(shard.phase, Phase::Settled(_)) {
                continue;
            }
            let read = read_summary(folder.path(), *number);
            let read = read.map_err(|Fault(path, error)| RunError::io("read", &path, error).at(folder.path()))?;
            let Some(Batch { output_file_id, error_file_id, .. }) = read.batch else { continue };
            for (file, kind) in [(output_file_id, RemoteKind::Output), (error_file_id, RemoteKind::Errors)] {
                if let Some(file) = file {
                    files.entry(file).or_insert((*number, kind));
                }
            }
        }
        files.retain(|file, _| !folder.state.deleted.contains(file));
        let file = |(id, (shard, kind))| RemoteFile { id, shard, kind, state: RemoteState::Found, why: None };
        let mut files: Vec<RemoteFile> = files.into_iter().map(file).collect();
        files.sort_by_key(|file| file.shard);
        Ok(files)
    }

    /// Deletes these files, but for inputs that something at work may read. Each that is gone is written down.
    pub(in crate::run) async fn delete(
        &mut self,
        files: Vec<RemoteFile>,
        clean: Clean,
    ) -> Result<CleanedRemote, RunError> {
        let mut cleaned = CleanedRemote { dry_run: clean.dry_run, files, problem: None };
        if cleaned.files.is_empty() {
            return Ok(cleaned);
        }
        self.check_results().await?;
        let in_use = self.in_use(&cleaned.files).await;
        // What no other file would fare better with.
        let mut stopped: Option<String> = None;
        for file in &mut cleaned.files {
            let why = match (&in_use, &stopped) {
                (_, Some(why)) => Some(why.clone()),
                (Ok(in_use), _) => in_use.get(&file.id).cloned(),
                (Err(why), _) => (file.kind == RemoteKind::Input).then(|| why.clone()),
            };
            (file.state, file.why) = match why {
                Some(why) => (RemoteState::Kept, Some(why)),
                None if clean.dry_run => (RemoteState::Found, None),
                None => match self.delete_one(&file.id).await {
                    Ok(state) => (state, None),
                    Err(error) => {
                        if error.is_deadline() || error.is_connection() || error.is_unauthorized() {
                            stopped = Some(error.to_string());
                        }
                        (RemoteState::Kept, Some(error.to_string()))
                    }
                },
            };
            if matches!(file.state, RemoteState::Deleted | RemoteState::Gone) {
                self.folder.say(Event::Deleted { file: file.id.clone() })?;
            }
            (self.on_progress)(Progress::Cleaned(file));
        }
        Ok(cleaned)
    }

    /// Nothing is deleted whose results are not here.
    async fn check_results(&self) -> Result<(), RunError> {
        let Some(written) = self.folder.state.finished.clone() else { return Ok(()) };
        let path = self.folder.join(RESULTS);
        let found = blocking(move || Written::of(&path)).await;
        match found.map_err(|error| self.folder.failed("read", RESULTS, error))? {
            found if found == written => Ok(()),
            _ => {
                let error = std::io::Error::other("it is not as this run has written it; nothing was deleted");
                Err(self.folder.failed("read", RESULTS, error))
            }
        }
    }

    async fn delete_one(&self, id: &FileId) -> Result<RemoteState, Error> {
        let files = self.client.files();
        match self.deadline.bound(files.delete(id)).await {
            Ok(deletion) if deletion.deleted => Ok(RemoteState::Deleted),
            Ok(_) => Err(Error::invalid("the service says that it was not deleted")),
            // A service that deletes no files may say so in this way, too.
            Err(error) if error.is_not_found() => match self.deadline.bound(files.get(id)).await {
                Err(error) if error.is_not_found() => Ok(RemoteState::Gone),
                Err(error) => Err(error),
                Ok(_) => Err(error),
            },
            Err(error) => Err(error),
        }
    }

    /// Which of these inputs something may still read, each with what that is; or why that cannot be told.
    async fn in_use(&self, files: &[RemoteFile]) -> Result<BTreeMap<FileId, String>, String> {
        let inputs = files.iter().filter(|file| file.kind == RemoteKind::Input);
        let inputs: BTreeSet<FileId> = inputs.map(|file| file.id.clone()).collect();
        if inputs.is_empty() {
            return Ok(BTreeMap::new());
        }
        let read = inputs.clone();
        let at_work = move |batch: &Batch| {
            let file = batch.input_file_id.as_ref().filter(|_| !batch.is_terminal());
            Whose::from(file.filter(|file| read.contains(*file)).map(|_| 0))
        };
        let listed = self.deadline.bound(adopt::list(self.client, self.on_progress, at_work)).await;
        let listed = listed.map_err(|error| format!("a batch at work may read it: {error}"))?;
        if !listed.whole {
            return Err("a batch at work may read it: the service's list does not say where it ends".to_owned());
        }
        let batches = listed.found.into_iter().filter_map(|(_, batch)| {
            let reads = |id: &BatchId| format!("batch {id} is at work and reads it");
            Some((batch.input_file_id?, reads(&batch.id)))
        });
        let folder = self.folder.path().to_owned();
        let mut in_use = blocking(move || used_beside(&folder, &inputs)).await;
        in_use.extend(batches);
        Ok(in_use)
    }
}

/// Which of these files unfinished runs beside this one have yet to make batches of: services that know equal files by
/// their hash give one id to all of them.
fn used_beside(folder: &Path, files: &BTreeSet<FileId>) -> BTreeMap<FileId, String> {
    let mut used = BTreeMap::new();
    let ours = fs::canonicalize(folder).ok();
    let Ok(entries) = fs::read_dir(save::folder(folder)) else { return used };
    for entry in entries.flatten() {
        let path = entry.path();
        if !path.join(Record::NAME).is_file() || fs::canonicalize(&path).ok() == ours {
            continue;
        }
        let Ok(seen) = Folder::look(&path) else { continue };
        if seen.state.finished.is_some() || seen.record.asked.base_url == Asked::EMBEDDED {
            continue;
        }
        let shards = seen.state.shards.values().filter(|shard| !shard.is_ended());
        for file in shards.filter_map(|shard| shard.file.as_ref()).filter(|file| files.contains(*file)) {
            used.insert(file.clone(), format!("the run in {} makes a batch of it", path.display()));
        }
    }
    used
}
