//! Whether what a run has written is in its folder as it was written.

use std::{io, path::Path};

use super::{BATCH, ERRORS, Folder, OUTPUT, RESULTS, SUMMARY};
use crate::{
    run::{
        RunError,
        clean::Missing,
        event::{Event, Fetched},
        merge::{read_summary, read_surplus},
        record::{shard_folder, surplus_folder},
        report::Summary,
        seal,
        state::{Phase, SurplusPhase},
    },
    save::{Stored, Written},
};

impl Folder {
    /// What was settled is as it was written, or is joined again from what was fetched, or fetched again.
    pub(super) fn verify(&mut self) -> Result<(), RunError> {
        if let Some(finished) = &self.state.finished {
            if are_there(&self.path, finished)? {
                return Ok(());
            }
            // They are put together again of what the shards have.
            self.state.finished = None;
        }
        // What cannot be made again of the answers that are here is fetched again.
        let _ = Missing::of(&self.path, self.access, &self.state).make();
        for (number, shard) in &self.state.shards {
            let at = self.path.join(shard_folder(*number));
            let read = |name: &str, is: io::Result<bool>| match is {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                is => is.map_err(|error| RunError::io("read", &at.join(name), error).at(&self.path)),
            };
            let is = |name: &str, stored: &Stored| read(name, Stored::of(&at.join(name)).map(|found| found == *stored));
            let is_written =
                |name: &str, written: &Written| read(name, Written::of(&at.join(name)).map(|found| found == *written));
            for (at, surplus) in shard.surplus.iter().enumerate() {
                let SurplusPhase::Settled(Some(written)) = &surplus.phase else { continue };
                let within = surplus_folder(at);
                let whole = is_written(&within.join(RESULTS).to_string_lossy(), written)?;
                if !(whole && read_surplus(&self.path, *number, &within).is_ok()) {
                    let (batch, status) = (surplus.batch.clone(), surplus.status.clone().unwrap_or_default());
                    self.unsettled.push(Event::SurplusOver { shard: *number, batch, status });
                }
            }
            let settled = match &shard.phase {
                Phase::Settled(written) => is_written(RESULTS, written)? && read_summary(&self.path, *number).is_ok(),
                Phase::Fetched => false,
                _ => continue,
            };
            if settled {
                continue;
            }
            let fetched = match &shard.fetched {
                None => false,
                Some(Fetched { batch, output, errors, .. }) => {
                    let files = [(BATCH, batch.as_ref()), (OUTPUT, output.as_ref()), (ERRORS, errors.as_ref())];
                    let mut files = files.into_iter().filter_map(|(name, stored)| Some((name, stored?)));
                    files.try_fold(true, |all, (name, stored)| Ok(all && is(name, stored)?))?
                }
            };
            if !(fetched && shard.phase == Phase::Fetched) {
                self.unsettled.push(Event::Unsettled { shard: *number, fetched });
            }
        }
        Ok(())
    }
}

/// Whether the results of a finished run are in its folder as they were written, with a summary that can be read.
pub(super) fn are_there(path: &Path, finished: &Written) -> Result<bool, RunError> {
    let results = path.join(RESULTS);
    let summary = || seal::read::<Summary>(&path.join(SUMMARY)).is_ok();
    match Written::of(&results) {
        Ok(found) => Ok(found == *finished && summary()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(RunError::io("read", &results, error).at(path)),
    }
}
