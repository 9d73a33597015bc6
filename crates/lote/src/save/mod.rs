//! Files that are whole or not there: written beside the name, synced, then renamed.
//!
//! For the command `lote`; no stability is promised here.

mod access;
mod dir;
mod output;
mod place;
mod stored;
mod temporary;

use std::{
    ffi::{OsStr, OsString},
    fs::{File, Metadata},
    io::{self, Seek, Write},
    path::{Path, PathBuf},
};

pub(crate) use access::Access;
pub(crate) use dir::{Dir, same};
pub(crate) use output::same_file;
pub use output::{Output, Replace, Writing};
pub use place::descriptor;
pub(crate) use place::{Place, place};
pub(crate) use stored::{Hashed, Hashing, Passed, Summed, Summing};
pub use stored::{Stored, Written};
pub(crate) use temporary::{host, is_staging, is_temporary, staging_name, sweep};

/// A file on its way to its name. Dropped before [`commit`](Self::commit), it leaves nothing.
///
/// It comes into the folder that was there when it was begun, or nowhere.
#[derive(Debug)]
pub(crate) struct AtomicFile {
    dir: Dir,
    /// Locked: who finds it can tell that its process lives.
    file: File,
    temporary: OsString,
    name: OsString,
    done: bool,
}

impl AtomicFile {
    /// Begins a file in the folder of `path`, whose link is followed if it is one.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        Self::with(path, Access::default())
    }

    /// Begins a file as [`new`](Self::new) does, which nobody beyond `access` can read. What replaces a file that only
    /// its owner may read is for its owner too.
    pub(crate) fn with(path: &Path, access: Access) -> io::Result<Self> {
        match place(path)? {
            Place::File(place::Name { dir, name, there }) => Self::begin(dir, &name, access, there.as_deref()),
            // Renaming over a device or a pipe would replace it.
            Place::Stream(_) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a device or a pipe; name a regular file"))
            }
        }
    }

    /// Begins a file in an opened folder.
    pub(crate) fn within(dir: Dir, name: &OsStr, access: Access) -> io::Result<Self> {
        Self::begin(dir, name, access, None)
    }

    fn begin(dir: Dir, name: &OsStr, access: Access, replaced: Option<&Metadata>) -> io::Result<Self> {
        let (temporary, file) = temporary::create(&dir, access)?;
        let begun = Self { dir, file, temporary, name: name.to_owned(), done: false };
        if let Some(replaced) = replaced {
            access.take_over(&begun.file, replaced)?;
        }
        Ok(begun)
    }

    /// The file to write to.
    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// What it holds so far.
    pub(crate) fn stored(&mut self) -> io::Result<Stored> {
        self.file.rewind()?;
        Stored::read(&self.file)
    }

    /// Where it is until then.
    pub(crate) fn temporary_path(&self) -> PathBuf {
        self.dir.path().join(&self.temporary)
    }

    /// Makes the file durable and gives it its name.
    pub(crate) fn commit(self) -> io::Result<()> {
        self.persist(Dir::rename)
    }

    /// Makes the file durable and gives it its name, unless something has that name by now.
    pub(crate) fn commit_new(self) -> io::Result<()> {
        self.persist(Dir::rename_new)
    }

    /// Gives the file its name, durable or not: for what is no loss.
    pub(crate) fn commit_unsynced(mut self) -> io::Result<()> {
        self.dir.rename(&self.temporary, &self.name)?;
        self.done = true;
        Ok(())
    }

    fn persist(mut self, rename: fn(&Dir, &OsStr, &OsStr) -> io::Result<()>) -> io::Result<()> {
        self.file.sync_all()?;
        rename(&self.dir, &self.temporary, &self.name)?;
        self.done = true;
        self.dir.sync()
    }

    /// The name that it will have.
    pub(crate) fn target(&self) -> PathBuf {
        self.dir.path().join(&self.name)
    }

    /// Gives what there is another name in its folder, for somebody to go on from. Nothing sweeps that.
    pub(crate) fn keep_as(mut self, name: &OsStr) -> io::Result<()> {
        self.file.sync_all()?;
        self.dir.rename(&self.temporary, name)?;
        self.done = true;
        Ok(())
    }
}

/// Where a file is to be written, and who may read it.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    path: PathBuf,
    access: Access,
}

impl Target {
    /// A file that anybody may read, as far as the umask says, or who may read what it replaces.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), access: Access::default() }
    }

    /// Nobody beyond this is to read it.
    pub(crate) fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn begin(&self) -> io::Result<AtomicFile> {
        AtomicFile::with(&self.path, self.access)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if !self.done {
            // Its own temporary file, in the very folder that it was made in. What stays is swept later.
            let _ = self.dir.remove(&self.temporary);
        }
    }
}

/// Writes a small file whole.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut atomic = AtomicFile::new(path)?;
    atomic.file().write_all(bytes)?;
    atomic.commit()
}

/// The folder that a path is in.
pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn nothing_is_there_until_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a file");
        let mut atomic = AtomicFile::new(&path).unwrap();
        atomic.file().write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(atomic);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);

        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn what_has_come_meanwhile_is_not_replaced_by_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a file");
        let mut atomic = AtomicFile::new(&path).unwrap();
        atomic.file().write_all(b"ours").unwrap();
        fs::write(&path, b"theirs").unwrap();
        assert_eq!(atomic.commit_new().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }

    #[test]
    fn what_is_no_file_is_never_replaced() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(write(folder.path(), b"x").unwrap_err().kind(), io::ErrorKind::IsADirectory);
        #[cfg(unix)]
        {
            for device in ["/dev/null", "/dev/stdout", "/proc/self/fd/1"] {
                assert_eq!(write(Path::new(device), b"x").unwrap_err().kind(), io::ErrorKind::InvalidInput);
            }
            let dangling = folder.path().join("dangling");
            std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
            assert!(write(&dangling, b"x").is_err() && dangling.is_symlink());
            let (real, link) = (folder.path().join("real"), folder.path().join("link"));
            use std::os::unix::fs::PermissionsExt;
            fs::write(&real, b"old").unwrap();
            fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
            std::os::unix::fs::symlink(&real, &link).unwrap();
            write(&link, b"new").unwrap();
            assert_eq!(fs::read(&real).unwrap(), b"new");
            assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_comes_into_the_folder_it_was_begun_in_or_nowhere() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("run");
        fs::create_dir(&folder).unwrap();
        let begin = || {
            let mut atomic = AtomicFile::new(&folder.join("run.json")).unwrap();
            atomic.file().write_all(b"old").unwrap();
            atomic
        };
        let (committed, dropped) = (begin(), begin());
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("run.json"), b"another's").unwrap();
        assert_eq!(committed.commit().unwrap_err().kind(), io::ErrorKind::NotFound);
        drop(dropped);
        assert_eq!(fs::read(folder.join("run.json")).unwrap(), b"another's");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    }
}
