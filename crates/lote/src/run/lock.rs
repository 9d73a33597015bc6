//! The lock on the folder of a run: held by the process at work in it, and the proof that the folder is still the one
//! that was opened.

use std::{
    ffi::OsStr,
    fmt,
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::save::{self, Access, AtomicFile, Dir};

/// How often a lock is tried whose file somebody else removes or looks at just then.
const TRIES: usize = 10;

/// Who is at work in a folder, as the lock says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Holder {
    /// The number of the process; none when that could not be read.
    #[serde(default)]
    pub pid: Option<u32>,
    /// The host that the process runs on.
    #[serde(default)]
    pub host: Option<String>,
}

impl Holder {
    fn this() -> Self {
        Self { pid: Some(std::process::id()), host: Some(save::host()).filter(|host| !host.is_empty()) }
    }

    fn read(file: &File) -> Self {
        let mut text = Vec::new();
        // On some systems nobody else may read a file that is locked.
        let read = file.take(4 << 10).read_to_end(&mut text);
        read.ok().and_then(|_| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.pid, &self.host) {
            (Some(pid), Some(host)) if *host != save::host() => write!(f, "a lote (pid {pid} on {host})"),
            (Some(pid), _) => write!(f, "a lote (pid {pid})"),
            (None, _) => write!(f, "a lote"),
        }
    }
}

/// Why a folder is not held.
#[derive(Debug)]
pub(super) enum NotHeld {
    /// Another process, or another run of this one, is at work in it.
    Busy(Holder),
    /// The folder, or the lock in it, cannot be opened or locked.
    Io(io::Error),
}

/// A folder that this process is at work in. Other processes keep out until it is dropped, which frees the folder and
/// removes nothing.
#[derive(Debug)]
pub(super) struct Lock {
    dir: Dir,
    file: File,
}

impl Lock {
    /// The name of the file in the folder.
    pub(super) const NAME: &'static str = "lock";

    /// Takes the lock of a folder that is there.
    pub(super) fn take(folder: &Path, access: Access) -> Result<Self, NotHeld> {
        let name = OsStr::new(Self::NAME);
        let mut busy = None;
        for attempt in 0..TRIES {
            let dir = Dir::open(folder).map_err(NotHeld::Io)?;
            let mut file = match dir.create_new(name, access.file_mode()) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => match dir.open_file(name, true) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    file => file.map_err(NotHeld::Io)?,
                },
                file => file.map_err(NotHeld::Io)?,
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    // Whoever only looks whether it is free has it for a moment.
                    busy = Some(Holder::read(&file));
                    std::thread::sleep(std::time::Duration::from_millis(attempt as u64));
                    continue;
                }
                Err(TryLockError::Error(error)) => {
                    let why = format!("its file system cannot lock it ({error}); put the run on another, with --dir");
                    return Err(NotHeld::Io(io::Error::new(error.kind(), why)));
                }
            }
            let written = (|| {
                // Between opening and locking, both may have been removed, and others put in their place.
                if !dir.names(name, &file)? || !dir.is_in_place()? {
                    return Ok(false);
                }
                access.narrow(&file)?;
                file.set_len(0)?;
                file.rewind()?;
                // At once: who looks in meanwhile is to take it for nothing else.
                let mut holder = serde_json::to_vec(&Holder::this())?;
                holder.push(b'\n');
                file.write_all(&holder).map(|()| true)
            })();
            match written {
                Ok(true) => return Ok(Self { dir, file }),
                Ok(false) => {}
                Err(error) => return Err(NotHeld::Io(error)),
            }
        }
        Err(NotHeld::Busy(busy.unwrap_or_default()))
    }

    /// Takes the lock of a folder that a dead process has left. None when there is no lock, or its process lives.
    pub(super) fn take_left(folder: &Path) -> Option<Self> {
        let dir = Dir::open(folder).ok()?;
        let file = dir.open_file(Self::NAME.as_ref(), false).ok()?;
        file.try_lock().ok()?;
        let lock = Self { dir, file };
        lock.is_ours().ok()?.then_some(lock)
    }

    /// Whether what has the name of a lock in a folder is one.
    pub(super) fn is_one(folder: &Path) -> bool {
        let file = Dir::open(folder).and_then(|dir| dir.open_file(Self::NAME.as_ref(), false));
        // An empty one was made by a process that died before it could write.
        file.is_ok_and(|file| file.metadata().is_ok_and(|found| found.len() == 0) || Holder::read(&file).pid.is_some())
    }

    /// Who is at work in a folder, if anybody is.
    pub(super) fn holder(folder: &Path) -> Option<Holder> {
        let file = Dir::open(folder).ok()?.open_file(Self::NAME.as_ref(), false).ok()?;
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| Holder::read(&file))
    }

    /// The folder has been renamed by its holder.
    pub(super) fn moved_to(&mut self, folder: &Path) -> io::Result<()> {
        self.dir.moved_to(folder)
    }

    /// Whether the path still names the folder that was opened, and the lock in it is still this one. Asked before each
    /// step that changes something; the step itself goes by the opened folder, whatever becomes of the path.
    pub(super) fn is_ours(&self) -> io::Result<bool> {
        Ok(self.dir.is_in_place()? && self.dir.names(Self::NAME.as_ref(), &self.file)?)
    }

    pub(super) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Begins a file in the folder.
    pub(super) fn begin(&self, name: &str, access: Access) -> io::Result<AtomicFile> {
        AtomicFile::within(self.dir.clone(), name.as_ref(), access)
    }

    /// Removes these files, then the lock, and then the folder, if nothing else is in it. What cannot be removed stays.
    /// Where it ends early, what is left is still a folder that the next run may use.
    pub(super) fn remove(self, names: &[&str], folder_too: bool) {
        if !self.is_ours().unwrap_or(false) {
            return;
        }
        save::sweep(self.dir.path());
        for name in names {
            let _ = self.dir.remove(name.as_ref());
        }
        let _ = self.dir.remove(Self::NAME.as_ref());
        // Only an empty folder goes, and no folder of another run is ever empty.
        if folder_too && self.dir.is_in_place().unwrap_or(false) {
            let _ = fs::remove_dir(self.dir.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(folder: &Path) -> Option<Holder> {
        match Lock::take(folder, Access::default()) {
            Err(NotHeld::Busy(holder)) => Some(holder),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn of_two_one_is_told_who_the_other_is() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path(), Access::default()).unwrap();
        assert!(lock.is_ours().unwrap());
        let holder = Lock::holder(folder.path()).unwrap();
        assert_eq!(busy(folder.path()), Some(holder.clone()));
        assert_eq!(holder.to_string(), format!("a lote (pid {})", std::process::id()));
        drop(lock);
        assert_eq!(Lock::holder(folder.path()), None);
        assert!(folder.path().join(Lock::NAME).exists(), "nothing is deleted on drop");
        drop(Lock::take(folder.path(), Access::default()).unwrap());
    }

    #[test]
    fn a_holder_elsewhere_is_named_with_its_host_and_an_unknown_one_without_a_number() {
        let holder = |pid, host: Option<&str>| Holder { pid, host: host.map(str::to_owned) }.to_string();
        assert_eq!(holder(Some(7), Some("no host of ours")), "a lote (pid 7 on no host of ours)");
        assert_eq!(holder(None, None), "a lote");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_or_lock_that_was_replaced_is_not_ours() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("run");
        fs::create_dir(&folder).unwrap();
        let first = Lock::take(&folder, Access::default()).unwrap();
        fs::remove_file(folder.join(Lock::NAME)).unwrap();
        assert!(!first.is_ours().unwrap());
        let second = Lock::take(&folder, Access::default()).unwrap();
        assert!(!first.is_ours().unwrap() && second.is_ours().unwrap());
        fs::remove_dir_all(&folder).unwrap();
        assert!(!second.is_ours().unwrap());
        fs::create_dir(&folder).unwrap();
        let third = Lock::take(&folder, Access::default()).unwrap();
        fs::write(folder.join("run.json"), "third").unwrap();
        for lock in [first, second] {
            assert!(!lock.is_ours().unwrap());
            lock.remove(&["run.json"], true);
        }
        assert_eq!(fs::read(folder.join("run.json")).unwrap(), b"third");
        third.remove(&["run.json"], true);
        assert!(!folder.exists());
    }

    #[test]
    fn a_folder_with_something_else_in_it_stays() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("run");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("notes"), "mine").unwrap();
        Lock::take(&folder, Access::default()).unwrap().remove(&["run.json"], true);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
}
