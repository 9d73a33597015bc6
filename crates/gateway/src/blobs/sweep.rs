//! Removes the folders that killed gateways left behind, in the background.
//!
//! A folder is emptied first and loses its lock last, so that a sweep which is itself killed leaves something that the
//! next one knows again.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fs4::FileExt;

/// What the names of all gateways' folders begin with.
pub(super) const PREFIX: &str = "lote-gateway-";

/// The file in a folder that a living gateway keeps locked.
pub(super) const LOCK: &str = "lock";

/// How often the removal of a folder is tried: files in it may be going by themselves meanwhile.
const MOST_TRIES: usize = 5;

/// A folder without a lock that nobody has touched for so long is not being made: its gateway was killed before it had
/// locked it, or a sweep of an older version was killed in the middle.
const ABANDONED: Duration = Duration::from_secs(86_400);

/// A sweep on a thread of its own. The process does not wait for it: what is not done when it ends, the next does.
#[derive(Debug)]
pub(super) struct Sweep {
    stop: Arc<AtomicBool>,
    /// None when no thread could be had; then nothing is swept.
    thread: Option<JoinHandle<()>>,
}

impl Sweep {
    /// Sweeps `parent`, where the folder `own` is one of ours that lives.
    pub(super) fn begin(parent: &Path, own: &Path) -> Sweep {
        let stop = Arc::new(AtomicBool::new(false));
        let (parent, own, stopped) = (parent.to_owned(), own.to_owned(), Arc::clone(&stop));
        let thread = thread::Builder::new().name("lote-gateway-sweep".to_owned()).spawn(move || {
            sweep(&parent, &own, &stopped);
        });
        Sweep { stop, thread: thread.ok() }
    }

    /// Waits until it is done.
    #[cfg(test)]
    pub(super) fn wait(&mut self) {
        self.thread.take().map(JoinHandle::join).transpose().unwrap();
    }
}

impl Drop for Sweep {
    /// Leaves the rest to the next gateway.
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take());
    }
}

fn sweep(parent: &Path, own: &Path, stop: &AtomicBool) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let path = entry.path();
        if path != own && entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) && is_like(&path, own) {
            // Whatever cannot be removed stays.
            let _ = remove_dead(&path, stop);
        }
    }
}

/// Whether it is a folder, not a link to one, and belongs to whom `own` belongs to.
fn is_like(path: &Path, own: &Path) -> bool {
    let (Ok(theirs), Ok(own)) = (fs::symlink_metadata(path), fs::symlink_metadata(own)) else { return false };
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::uid(&theirs) != std::os::unix::fs::MetadataExt::uid(&own) {
        return false;
    }
    theirs.file_type() == own.file_type()
}

/// Removes a folder if its gateway is dead: if its lock can be had, or if there is none and it is old.
fn remove_dead(path: &Path, stop: &AtomicBool) -> io::Result<()> {
    let lock = path.join(LOCK);
    let file = match File::options().read(true).write(true).open(&lock) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return remove_lockless(path, stop),
        Err(error) => return Err(error),
    };
    // The standard library's own needs Rust 1.89.
    FileExt::try_lock(&file).map_err(io::Error::other)?;
    // Somebody else may have removed the folder, and its lock, between the two steps.
    if is_at(&file, &lock)? { empty(path, stop)?.then(|| remove_empty(path)).transpose().map(drop) } else { Ok(()) }
}

/// Whether an open file is the one that has this name now.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let (open, named) = (file.metadata()?, fs::symlink_metadata(path)?);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
    }
    #[cfg(not(unix))]
    Ok(open.is_file() && named.is_file())
}

/// Removes a folder that has no lock: at once when nothing is in it (who is making it begins again), otherwise when
/// nobody has touched it for long.
fn remove_lockless(path: &Path, stop: &AtomicBool) -> io::Result<()> {
    if fs::remove_dir(path).is_ok() {
        return Ok(());
    }
    let age = fs::symlink_metadata(path)?.modified()?.elapsed().unwrap_or_default();
    if age >= ABANDONED && empty(path, stop)? { remove_empty(path) } else { Ok(()) }
}

/// Removes all that is in a folder but its lock; returns whether it came to the end.
fn empty(path: &Path, stop: &AtomicBool) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let entry = entry?;
        if entry.file_name() == LOCK {
            continue;
        }
        let removed =
            if entry.file_type()?.is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(true)
}

/// Removes a folder in which nothing is but its lock.
fn remove_empty(path: &Path) -> io::Result<()> {
    match fs::remove_file(path.join(LOCK)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::remove_dir(path),
    }
}

/// Removes a folder whose lock is ours. What fails is left to the next gateway.
pub(super) fn remove_own(path: &Path) {
    let stop = AtomicBool::new(false);
    for _ in 0..MOST_TRIES {
        match empty(path, &stop).and_then(|_| remove_empty(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn folder(parent: &Path, name: &str, files: &[&str]) -> std::path::PathBuf {
        let path = parent.join(name);
        fs::create_dir(&path).unwrap();
        for file in files {
            fs::write(path.join(file), "bytes").unwrap();
        }
        path
    }

    #[test]
    fn a_sweep_that_is_stopped_anywhere_leaves_what_the_next_one_removes() {
        let parent = tempfile::tempdir().unwrap();
        let own = folder(parent.path(), "lote-gateway-own", &[]);
        let files: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        let names: Vec<&str> = files.iter().map(String::as_str).chain([LOCK]).collect();
        // Killed before each of its steps: nothing, some or all files are gone; then the lock as well.
        for gone in 0..=names.len() {
            let left = folder(parent.path(), "lote-gateway-dead", &names[gone.min(names.len())..]);
            sweep(parent.path(), &own, &AtomicBool::new(false));
            assert!(!left.exists(), "{gone} of {}", names.len());
        }
        assert!(own.is_dir());
    }

    #[test]
    fn the_lock_goes_last() {
        let parent = tempfile::tempdir().unwrap();
        let left = folder(parent.path(), "lote-gateway-dead", &["a", "b", LOCK]);
        fs::create_dir(left.join("c")).unwrap();
        assert!(empty(&left, &AtomicBool::new(false)).unwrap());
        let names: Vec<_> = fs::read_dir(&left).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [LOCK]);
        remove_empty(&left).unwrap();
        assert!(!left.exists());
    }

    #[test]
    fn a_folder_without_a_lock_goes_when_it_is_old() {
        let parent = tempfile::tempdir().unwrap();
        let own = folder(parent.path(), "lote-gateway-own", &[]);
        let new = folder(parent.path(), "lote-gateway-new", &["spooled"]);
        let old = folder(parent.path(), "lote-gateway-old", &["spooled"]);
        let long_ago = SystemTime::now() - ABANDONED * 2;
        File::open(&old).unwrap().set_modified(long_ago).unwrap();
        sweep(parent.path(), &own, &AtomicBool::new(false));
        assert!(new.join("spooled").is_file() && !old.exists());
    }

    #[test]
    fn what_is_locked_stays() {
        let parent = tempfile::tempdir().unwrap();
        let own = folder(parent.path(), "lote-gateway-own", &[]);
        let lives = folder(parent.path(), "lote-gateway-lives", &[LOCK, "spooled"]);
        let lock = File::options().write(true).open(lives.join(LOCK)).unwrap();
        FileExt::try_lock(&lock).unwrap();
        sweep(parent.path(), &own, &AtomicBool::new(false));
        assert!(lives.join("spooled").is_file());
        drop(lock);
        sweep(parent.path(), &own, &AtomicBool::new(false));
        assert!(!lives.exists());
    }
}
