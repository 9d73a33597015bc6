//! The request lines of shards, their order, and what says which are equal, that were lost or damaged: cut from the input once more when that is given
//! again.

use std::{
    collections::BTreeMap,
    io::{self, BufWriter, Write},
    path::Path,
};

use super::{COPIES, Folder, REQUESTS, appear::make_folder};
use crate::{
    run::plan::Shards,
    save::{AtomicFile, Stored, Written},
};

/// Takes the lines of the shards that lack them.
pub(super) struct Mending<'a> {
    folder: &'a Folder,
    /// The hash of the lines of each.
    lacking: BTreeMap<u32, String>,
    copies: BufWriter<Out>,
}

/// The lines of a shard; of one that has them nothing is kept.
pub(super) struct Out(Option<AtomicFile>);

impl<'a> Mending<'a> {
    /// Those of a run that is not finished: of one that is, they may have been cleaned away.
    pub(super) fn of(folder: &'a Folder, mends: bool) -> io::Result<Self> {
        let plans = folder.record.shards.iter().filter(|_| mends && folder.state.finished.is_none());
        let lacks = |path: &Path, sha256: &str| match Stored::of(path) {
            Ok(found) => found.sha256 != sha256,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        let lacking = plans.filter(|plan| lacks(&folder.shard(plan.number).join(REQUESTS), &plan.sha256));
        let lacking = lacking.map(|plan| (plan.number, plan.sha256.clone())).collect();
        let copies = beside(folder, COPIES, folder.record.copies.as_ref().map(|copies| &copies.file))?;
        Ok(Self { folder, lacking, copies: BufWriter::new(copies) })
    }

    /// It is the same input: what says which lines are equal stays.
    pub(super) fn commit(self) -> io::Result<()> {
        self.copies.into_inner().map_err(io::IntoInnerError::into_error)?.commit()
    }
}

/// A file of this name that was written with the lines, of a run that is not finished and lacks it.
pub(super) fn beside(folder: &Folder, name: &str, written: Option<&Written>) -> io::Result<Out> {
    let is_there = |written: &Written| Written::of(&folder.join(name)).is_ok_and(|found| found == *written);
    let lacks = folder.state.finished.is_none() && written.is_some_and(|written| !is_there(written));
    Ok(Out(if lacks { Some(folder.begin(name)?) } else { None }))
}

impl Out {
    /// What was written is what was lacking.
    pub(super) fn commit(self) -> io::Result<()> {
        self.0.map_or(Ok(()), AtomicFile::commit)
    }
}

impl Shards for Mending<'_> {
    type Out = Out;

    fn begin(&mut self, number: u32) -> io::Result<Out> {
        if !self.lacking.contains_key(&number) {
            return Ok(Out(None));
        }
        if !self.folder.is_ours() {
            return Err(io::Error::other("the folder of the run is no longer the one that was opened"));
        }
        make_folder(&self.folder.shard(number), self.folder.access())?;
        self.folder.begin_in(number, REQUESTS).map(Some).map(Out)
    }

    fn copy(&mut self, text: &[u8]) -> io::Result<()> {
        self.copies.write_all(text)
    }

    fn finish(&mut self, number: u32, Out(file): Out, sha256: &str) -> io::Result<()> {
        match file {
            Some(file) if self.lacking.get(&number).is_some_and(|lacks| lacks == sha256) => file.commit(),
            // They are those of another input.
            _ => Ok(()),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Some(file) => file.file().write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), |file| file.file().flush())
    }
}
