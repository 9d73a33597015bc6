//! Owns the gateway's temporary folder: its making, its end, and the end of those that killed gateways left. Never
//! touches a folder whose gateway lives.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fs4::FileExt;
use tempfile::{NamedTempFile, TempDir};

use crate::store::account::{Account, Charge};
use crate::store::blob::Spool;

/// What the names of all gateways' folders begin with.
const PREFIX: &str = "lote-gateway-";

/// The file in it that a living gateway keeps locked.
const LOCK: &str = "lock";

/// How often the removal of the folder is tried: files in it may be going by themselves meanwhile.
const MOST_TRIES: usize = 5;

/// The gateway's own temporary folder; it goes with everything in it when the gateway ends.
#[derive(Debug)]
pub(crate) struct Disk(Arc<Mutex<Option<Folder>>>);

#[derive(Debug)]
struct Folder {
    folder: TempDir,
    /// The system lets it go when this process ends, however it ends.
    _lock: File,
}

impl Disk {
    /// A new folder among the temporary ones. Those that nobody uses any more are removed.
    pub(crate) fn new() -> io::Result<Disk> {
        Disk::new_in(&std::env::temp_dir())
    }

    fn new_in(parent: &Path) -> io::Result<Disk> {
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        // Locked before it has its name: a lock that can be found and taken is nobody's.
        let unnamed = NamedTempFile::new_in(&folder)?;
        FileExt::try_lock(unnamed.as_file()).map_err(io::Error::other)?;
        let lock = unnamed.persist(folder.path().join(LOCK)).map_err(io::Error::from)?;
        sweep(parent, folder.path());
        Ok(Disk(Arc::new(Mutex::new(Some(Folder { folder, _lock: lock })))))
    }

    /// Starts a new file on this account.
    pub(crate) async fn spool(&self, account: &Arc<Account>) -> io::Result<Spool> {
        let charge = Charge::file(account)?;
        let shared = Arc::clone(&self.0);
        // The folder is held meanwhile, so that it cannot end around a file that is being made.
        let make = move || match &*folder(&shared) {
            Some(open) => NamedTempFile::new_in(&open.folder),
            None => Err(io::Error::other("the gateway has stopped")),
        };
        let (file, path) = tokio::task::spawn_blocking(make).await.map_err(io::Error::other)??.into_parts();
        Ok(Spool::new(file, path, charge))
    }

    /// Removes the folder. Nothing can be spooled afterwards.
    pub(crate) fn close(&self) {
        let Some(Folder { folder, _lock }) = folder(&self.0).take() else { return };
        let path = folder.keep();
        for _ in 0..MOST_TRIES {
            match fs::remove_dir_all(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {}
                _ => return,
            }
        }
        // The next gateway tries again.
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        self.close();
    }
}

fn folder(shared: &Mutex<Option<Folder>>) -> MutexGuard<'_, Option<Folder>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes what gateways left that were killed. Whatever cannot be removed stays.
fn sweep(parent: &Path, own: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path != own && entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) && is_like(&path, own) {
            remove_left(&path);
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

/// Removes a folder if its lock can be had. One without a lock is just being made.
fn remove_left(path: &Path) {
    let lock = path.join(LOCK);
    if !fs::symlink_metadata(&lock).is_ok_and(|found| found.is_file()) {
        return;
    }
    let Ok(lock) = File::options().read(true).write(true).open(lock) else { return };
    // The standard library's own needs Rust 1.89.
    if FileExt::try_lock(&lock).is_ok() {
        // A failure leaves it to the next gateway.
        let _ = fs::remove_dir_all(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_dead_go_and_all_others_stay() {
        let parent = tempfile::tempdir().unwrap();
        let at = |name: &str| parent.path().join(name);
        for (folder, locked) in [("lote-gateway-dead", true), ("lote-gateway-new", false), ("other-dead", true)] {
            fs::create_dir(at(folder)).unwrap();
            fs::write(at(folder).join("spooled"), "bytes").unwrap();
            if locked {
                fs::write(at(folder).join(LOCK), "").unwrap();
            }
        }
        fs::write(at("lote-gateway-file"), "").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(at("other-dead"), at("lote-gateway-link")).unwrap();
        let living = Disk::new_in(parent.path()).unwrap();
        let lives = folder(&living.0).as_ref().unwrap().folder.path().to_owned();
        let second = Disk::new_in(parent.path()).unwrap();
        assert_eq!(fs::read_dir(&lives).unwrap().count(), 1, "the lock");
        assert!(!at("lote-gateway-dead").exists());
        for kept in ["lote-gateway-new/spooled", "other-dead/spooled", "lote-gateway-file"] {
            assert!(at(kept).is_file(), "{kept}");
        }
        // Gone as if killed: the lock is let go, and the folder stays.
        let killed = folder(&living.0).take().unwrap();
        let left = killed.folder.keep();
        drop(killed._lock);
        assert!(left.is_dir());
        drop(Disk::new_in(parent.path()).unwrap());
        assert!(!left.exists());
        drop(second);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn nothing_is_left_when_files_are_made_while_it_ends() {
        let parent = tempfile::tempdir().unwrap();
        for _ in 0..50 {
            let disk = Arc::new(Disk::new_in(parent.path()).unwrap());
            let makers: Vec<_> = (0..4)
                .map(|_| {
                    let disk = Arc::clone(&disk);
                    tokio::spawn(async move {
                        let account = Account::unbounded();
                        let mut made = Vec::new();
                        while let Ok(spool) = disk.spool(&account).await {
                            made.push(spool);
                        }
                    })
                })
                .collect();
            tokio::task::yield_now().await;
            disk.close();
            for maker in makers {
                maker.await.unwrap();
            }
            assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        }
    }
}
