//! Which folder is that of a run, and the runs below a folder. Links are not followed, and no folder of a run is looked into.

use std::{
    cmp::Reverse,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    RunError, RunStatus,
    log::Log,
    record::{Found, Record},
    status,
};
use crate::save;

/// How deep is looked, and into how many folders at the most.
const DEEPEST: usize = 64;
const MOST: usize = 100_000;

/// The folder of a run that a path is in, whether anything is there or not; links are followed. What a run keeps is replaced
/// by nobody else: whoever writes a file that a user has named asks this first.
pub fn folder_of(path: impl AsRef<Path>) -> Option<PathBuf> {
    resolved(path.as_ref()).ancestors().find(|folder| is_run(folder)).map(Path::to_owned)
}

/// Why nothing else is written into the folder of a run, in words that follow the path.
pub(super) fn within_a_run(folder: &Path) -> String {
    format!("it is in the folder of a run, {}, which keeps its own results; name another file", folder.display())
}

/// The runs in the folders of a folder, the youngest first; those that cannot be read are told with why, at the end. Each
/// error names its [folder](RunError::folder).
///
/// # Errors
/// One that [`is_place`](RunError::is_place) when the folder cannot be read.
pub fn list(parent: impl AsRef<Path>) -> Result<Vec<Result<RunStatus, RunError>>, RunError> {
    look(parent.as_ref(), 1, MOST)
}

/// As [`list`], of all runs below a folder, however deep: but for those within the folder of another run, and behind links.
/// A folder that cannot be read is told as well, and so it is when there are too many to look into all.
///
/// # Errors
/// As [`list`].
pub fn list_below(parent: impl AsRef<Path>) -> Result<Vec<Result<RunStatus, RunError>>, RunError> {
    look(parent.as_ref(), DEEPEST, MOST)
}

fn look(parent: &Path, deepest: usize, most: usize) -> Result<Vec<Result<RunStatus, RunError>>, RunError> {
    let at = |path: &Path, why: String| RunError::place(path, why).at(path);
    let (mut runs, mut unread) = (Vec::new(), Vec::new());
    let (mut folders, mut looked) = (vec![(parent.to_owned(), 0)], 0);
    while let Some((folder, depth)) = folders.pop() {
        if looked == most {
            unread.push(at(parent, format!("there are more than {most} folders in it: not all were looked into")));
            break;
        }
        looked += 1;
        let entries = match fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => return Err(at(parent, error.to_string())),
            // It went meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                unread.push(at(&folder, format!("it cannot be looked into: {error}")));
                continue;
            }
        };
        for entry in entries {
            let path = entry.path();
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) || save::is_staging(&entry.file_name()) {
                continue;
            }
            if is_run(&path) {
                match status(&path) {
                    Ok(status) => runs.push(status),
                    Err(error) => unread.push(error.at(&path)),
                }
            } else if depth + 1 < deepest {
                folders.push((path, depth + 1));
            } else if deepest > 1 {
                unread.push(at(&path, format!("it is more than {deepest} folders deep, and was not looked into")));
            }
        }
    }
    runs.sort_by_key(|run| Reverse(run.begun_at.get()));
    unread.sort_by_key(|error| error.folder().map(Path::to_owned));
    Ok(runs.into_iter().map(Ok).chain(unread.into_iter().map(Err)).collect())
}

/// Whether a folder is that of a run, also of one whose record or log is damaged or gone. A `run.json` alone may be that of
/// another program.
fn is_run(folder: &Path) -> bool {
    let found = |name: &str| fs::symlink_metadata(folder.join(name)).ok();
    let is_file = |name| found(name).is_some_and(|found| found.is_file());
    let has_shards = found("shards").is_some_and(|found| found.is_dir());
    if !is_file(Record::NAME) {
        return is_file(Log::NAME) && has_shards;
    }
    let is_named = || folder.extension().is_some_and(|ending| ending == "run");
    let is_record = || matches!(Record::read(folder), Found::Record(_) | Found::First { .. });
    is_file(Log::NAME) || has_shards || is_named() || is_record()
}

/// A path as far as it exists without links, and the rest as it is written.
pub(super) fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find_map(|part| Some((part, fs::canonicalize(part).ok()?)));
    match there {
        Some((part, real)) => path.strip_prefix(part).map_or_else(
            |_| path.clone(),
            |rest| if rest.as_os_str().is_empty() { real.clone() } else { real.join(rest) },
        ),
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(at: &Path) {
        fs::create_dir_all(at.join("shards")).unwrap();
        fs::write(at.join("log.jsonl"), "").unwrap();
        fs::write(at.join("run.json"), "{").unwrap();
    }

    fn told(found: Vec<Result<RunStatus, RunError>>, top: &Path) -> Vec<String> {
        let unread = found.into_iter().map(|found| found.unwrap_err().folder().unwrap().to_owned());
        unread.map(|path| path.strip_prefix(top).unwrap().display().to_string()).collect()
    }

    #[test]
    fn runs_are_found_at_any_depth_and_what_was_passed_over_is_told() {
        let top = tempfile::tempdir().unwrap();
        let path = |name: &str| top.path().join(name);
        for name in ["a.run", "b/c/d/e.run", "a.run/within.run"] {
            run(&path(name));
        }
        // Another program's.
        fs::create_dir(path("b/other")).unwrap();
        fs::write(path("b/other/run.json"), "{\"epochs\": 3}").unwrap();
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(path("b"), path("link")).unwrap();
            std::os::unix::fs::symlink(top.path(), path("b/round")).unwrap();
        }
        assert_eq!(told(list_below(top.path()).unwrap(), top.path()), ["a.run", "b/c/d/e.run"]);
        assert_eq!(told(list(top.path()).unwrap(), top.path()), ["a.run"]);
        assert_eq!(told(look(top.path(), 3, MOST).unwrap(), top.path()), ["a.run", "b/c/d"]);
        assert_eq!(told(look(top.path(), DEEPEST, 2).unwrap(), top.path()), ["", "a.run"]);
        assert!(list_below(path("absent")).unwrap_err().is_place());
    }

    #[test]
    fn a_path_is_in_the_folder_of_a_run_however_it_is_written() {
        let top = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(top.path()).unwrap();
        run(&real.join("a.run"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("a.run/run.json", real.join("link.jsonl")).unwrap();
            assert_eq!(folder_of(top.path().join("link.jsonl")), Some(real.join("a.run")));
        }
        for inside in ["a.run", "a.run/run.json", "a.run/deep/er/new.jsonl"] {
            assert_eq!(folder_of(top.path().join(inside)), Some(real.join("a.run")), "{inside}");
        }
        for outside in ["b.jsonl", "a.run.jsonl", "b/a.run"] {
            assert_eq!(folder_of(top.path().join(outside)), None, "{outside}");
        }
    }
}
