//! Where another run of the same lines is to be, once the one in their folder is finished.

use std::path::{Path, PathBuf};

use super::{Draft, Folder, There, names, what_is};
use crate::{
    run::{RunError, error::Kind, record::Record, state::State},
    save,
};

/// What a folder is to a run that is to be made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    /// It can be made there.
    Free,
    /// It is there, and is gone on with.
    Open,
    /// It is there, and nothing more comes of it.
    Over,
    /// Something else is there.
    Other,
    /// A run of something else is there, and nothing more comes of it.
    OtherOver,
}

impl Draft<'_> {
    /// The folder of the run, unless what is in it is over: then that of a run of the same beside it, which has to be
    /// unfinished if this is `anew`, or the first free one, `requests.2.run` for `requests.run`. Where the folder `is_named` by
    /// a person, no other takes its place.
    pub(in crate::run) fn another(
        &self,
        is_named: bool,
        anew: bool,
        wanted: &dyn Fn() -> bool,
    ) -> Result<PathBuf, RunError> {
        let mut lines = None;
        let found: Result<Vec<_>, _> = self.inputs.iter().map(std::fs::metadata).collect();
        // That one is not there is told by whoever begins it.
        let Ok(found) = found else { return Ok(self.path.to_owned()) };
        if found.iter().any(|found| !found.is_file()) {
            // What can be read once is not read to be compared.
            let is_over = Folder::look(self.path).is_ok_and(|seen| is_over(&seen.state));
            return if is_over && anew { Err(self.needs_another()) } else { Ok(self.path.to_owned()) };
        }
        match self.what(self.path, &mut lines, wanted)? {
            Is::Over if !anew => return Ok(self.path.to_owned()),
            Is::Over if is_named => return Err(self.needs_another()),
            Is::Over => {}
            Is::OtherOver if !is_named => {}
            // What stands in its way is told by whoever begins it.
            Is::Free | Is::Open | Is::Other | Is::OtherOver => return Ok(self.path.to_owned()),
        }
        let beside =
            numbered(self.path).map_err(|error| RunError::place(save::folder(self.path), error.to_string()))?;
        for number in &beside {
            let path = at(self.path, *number);
            match self.what(&path, &mut lines, wanted)? {
                Is::Open => return Ok(path),
                Is::Over if !anew => return Ok(path),
                _ => {}
            }
        }
        let free = (2..=u32::MAX).map(|number| at(self.path, number));
        let mut free = free.filter(|path| matches!(what_is(path), Ok(There::Nothing | There::Free)));
        free.next().ok_or_else(|| RunError::place(self.path, "no folder beside it is free"))
    }

    fn what(&self, path: &Path, lines: &mut Option<String>, wanted: &dyn Fn() -> bool) -> Result<Is, RunError> {
        let record: Record = match what_is(path) {
            Ok(There::Run(record)) => *record,
            Ok(There::Nothing | There::Free) => return Ok(Is::Free),
            Err(error) if error.is_taken() || error.is_place() => return Ok(Is::Other),
            Err(error) => return Err(error),
        };
        let is_other = self.differs_from(&record, lines, wanted)?.is_some();
        let is_over = Folder::look(path).map(|seen| is_over(&seen.state));
        if is_other {
            // One that cannot be read may not be over.
            return Ok(if is_over.unwrap_or(false) { Is::OtherOver } else { Is::Other });
        }
        Ok(if is_over? { Is::Over } else { Is::Open })
    }

    fn needs_another(&self) -> RunError {
        let why = "holds a finished run, and another one needs a folder of its own: name one that is free, or none";
        RunError::new(Kind::Taken { why: why.to_owned() }).at(self.path)
    }
}

/// Whether a run that is there was answered by an embedded gateway.
pub(in crate::run) fn is_of_a_trial(path: &Path) -> bool {
    matches!(what_is(path), Ok(There::Run(record)) if record.asked.is_embedded())
}

/// Whether nothing more comes of a run by itself.
fn is_over(state: &State) -> bool {
    state.finished.is_some() || state.has_failed()
}

/// The folder of this number beside another: `requests.2.run` for `requests.run`.
fn at(path: &Path, number: u32) -> PathBuf {
    path.with_extension(format!("{number}.run"))
}

/// The numbers of those that are there.
fn numbered(path: &Path) -> std::io::Result<Vec<u32>> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let number = |name: &str| name.strip_prefix(&stem)?.strip_prefix('.')?.strip_suffix(".run")?.parse::<u32>().ok();
    let names = names(save::folder(path))?;
    let mut found: Vec<u32> = names.iter().filter_map(|name| number(&name.to_string_lossy())).collect();
    found.retain(|number| *number > 1);
    found.sort_unstable();
    Ok(found)
}
