//! The gateway's temporary folder: its making, the files in it, its end.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fs4::FileExt;
use tempfile::{NamedTempFile, TempDir};

use crate::blobs::account::{Account, Counted};
use crate::blobs::blob::Spool;
use crate::blobs::sweep::{self, LOCK, PREFIX, Sweep};

/// How often another name is tried when a sweep of another gateway removes the empty folder before it is locked.
const MOST_TRIES: usize = 10;

/// The gateway's own temporary folder; it goes with everything in it when the gateway ends.
#[derive(Clone, Debug)]
pub(crate) struct Disk(Arc<Shared>);

/// None once it is closed.
#[derive(Debug)]
struct Shared(Mutex<Option<Folder>>);

#[derive(Debug)]
struct Folder {
    folder: TempDir,
    /// The system lets it go when this process ends, however it ends.
    _lock: File,
    sweep: Sweep,
}

/// A folder and its lock.
fn make(parent: &Path) -> io::Result<(TempDir, File)> {
    let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
    // Locked before it has its name: a lock that can be found and taken is nobody's.
    let unnamed = NamedTempFile::new_in(&folder)?;
    FileExt::try_lock(unnamed.as_file()).map_err(io::Error::other)?;
    let lock = unnamed.persist(folder.path().join(LOCK)).map_err(io::Error::from)?;
    Ok((folder, lock))
}

impl Disk {
    /// A new folder among the temporary ones. Those that nobody uses any more are removed in the background.
    pub(crate) fn new() -> io::Result<Disk> {
        let parent = std::env::temp_dir();
        Disk::new_in(&parent).map_err(|error| {
            let message = format!("a temporary folder in {} cannot be made: {error}", parent.display());
            io::Error::new(error.kind(), message)
        })
    }

    fn new_in(parent: &Path) -> io::Result<Disk> {
        let mut tries = 1;
        let (folder, lock) = loop {
            match make(parent) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < MOST_TRIES => tries += 1,
                made => break made?,
            }
        };
        let sweep = Sweep::begin(parent, folder.path());
        Ok(Disk(Arc::new(Shared(Mutex::new(Some(Folder { folder, _lock: lock, sweep }))))))
    }

    /// Starts a new file on this account.
    pub(crate) async fn spool(&self, account: &Arc<Account>) -> io::Result<Spool> {
        let charge = Box::new(Counted::file(account)?);
        let shared = Arc::clone(&self.0);
        // The folder is held meanwhile, so that it cannot end around a file that is being made.
        let make = move || match &*shared.folder() {
            Some(open) => NamedTempFile::new_in(&open.folder),
            None => Err(io::Error::other("the gateway has stopped")),
        };
        let (file, path) = tokio::task::spawn_blocking(make).await.map_err(io::Error::other)??.into_parts();
        Ok(Spool::temporary(file, path, charge))
    }

    /// Removes the folder. Nothing can be spooled afterwards.
    pub(crate) fn close(&self) {
        self.0.close();
    }
}

impl Shared {
    fn folder(&self) -> MutexGuard<'_, Option<Folder>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let Some(Folder { folder, _lock, sweep: _sweep }) = self.folder().take() else { return };
        sweep::remove_own(&folder.keep());
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A new folder, when its sweep is done.
    fn swept(parent: &Path) -> Disk {
        let disk = Disk::new_in(parent).unwrap();
        disk.0.folder().as_mut().unwrap().sweep.wait();
        disk
    }

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
        let living = swept(parent.path());
        let lives = living.0.folder().as_ref().unwrap().folder.path().to_owned();
        let second = swept(parent.path());
        assert_eq!(fs::read_dir(&lives).unwrap().count(), 1, "the lock");
        assert!(!at("lote-gateway-dead").exists());
        for kept in ["lote-gateway-new/spooled", "other-dead/spooled", "lote-gateway-file"] {
            assert!(at(kept).is_file(), "{kept}");
        }
        // Gone as if killed: the lock is let go, and the folder stays.
        let killed = living.0.folder().take().unwrap();
        let left = killed.folder.keep();
        drop(killed._lock);
        assert!(left.is_dir());
        drop(swept(parent.path()));
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
