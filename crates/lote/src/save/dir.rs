//! A folder that was opened once and is then spoken to by its handle, since its path may come to name another folder.

use std::{
    ffi::OsStr,
    fs::{self, File, Metadata},
    io,
    path::{Path, PathBuf},
};

use super::Access;
#[cfg(unix)]
use {
    rustix::fs::{AtFlags, Mode, OFlags},
    std::sync::Arc,
};

/// An opened folder. On Unix all that is done in it is done in the folder that was opened, whatever has become of its
/// path; elsewhere by the path.
#[derive(Clone, Debug)]
pub(crate) struct Dir {
    path: PathBuf,
    #[cfg(unix)]
    handle: Arc<File>,
}

/// Whether two files, or two folders, are one. The handle of at least one of them must still be open, or its number may
/// have been given to another. Only Unix tells; elsewhere everything is taken for the same.
pub(crate) fn same(a: &Metadata, b: &Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        a.dev() == b.dev() && a.ino() == b.ino()
    }
    #[cfg(not(unix))]
    {
        let _ = (a, b);
        true
    }
}

impl Dir {
    /// Opens a folder; a link to one is followed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if !fs::metadata(path)?.is_dir() {
            return Err(io::Error::from(io::ErrorKind::NotADirectory));
        }
        // The current folder of the process may change later.
        let path = std::path::absolute(path)?;
        #[cfg(unix)]
        let handle =
            File::from(rustix::fs::open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?);
        Ok(Self {
            path,
            #[cfg(unix)]
            handle: Arc::new(handle),
        })
    }

    /// Where it was when it was opened, or was [said](Self::moved_to) to have been moved to; absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Which folder it is on this machine, whatever its path; the path where only that is known.
    pub(crate) fn identity(&self) -> io::Result<String> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let found = self.handle.metadata()?;
            Ok(format!("{}:{}", found.dev(), found.ino()))
        }
        #[cfg(not(unix))]
        Ok(self.path.display().to_string())
    }

    /// The folder has got another name.
    pub(crate) fn moved_to(&mut self, path: &Path) -> io::Result<()> {
        self.path = std::path::absolute(path)?;
        Ok(())
    }

    /// Whether its path still names it.
    pub(crate) fn is_in_place(&self) -> io::Result<bool> {
        match fs::metadata(&self.path) {
            #[cfg(unix)]
            Ok(there) => Ok(same(&there, &self.handle.metadata()?)),
            #[cfg(not(unix))]
            Ok(there) => Ok(there.is_dir()),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Makes a file, to be read and written, of a name that is not there.
    pub(crate) fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        #[cfg(unix)]
        {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            #[expect(clippy::useless_conversion, reason = "the width of a mode is the system's")]
            let mode = mode.try_into().map_err(io::Error::other)?;
            let mode = Mode::from_raw_mode(mode);
            Ok(File::from(rustix::fs::openat(&*self.handle, name, flags, mode)?))
        }
        #[cfg(not(unix))]
        {
            let _ = mode;
            File::options().read(true).write(true).create_new(true).open(self.path.join(name))
        }
    }

    /// Opens a regular file, to be read, and written if so asked. A link is not followed, a pipe not waited for.
    pub(crate) fn open_file(&self, name: &OsStr, write: bool) -> io::Result<File> {
        #[cfg(unix)]
        let file = {
            let access = if write { OFlags::RDWR } else { OFlags::RDONLY };
            let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            File::from(rustix::fs::openat(&*self.handle, name, flags, Mode::empty())?)
        };
        #[cfg(not(unix))]
        let file = File::options().read(true).write(write).open(self.path.join(name))?;
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
        }
    }

    /// Whether this name in it is this file.
    pub(crate) fn names(&self, name: &OsStr, file: &File) -> io::Result<bool> {
        match self.open_file(name, false) {
            Ok(there) => Ok(same(&there.metadata()?, &file.metadata()?)),
            // A link or a pipe now has the name.
            Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error().is_none() => Ok(false),
            #[cfg(unix)]
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Gives a file in it another name in it, over what may have that.
    pub(crate) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        #[cfg(unix)]
        rustix::fs::renameat(&*self.handle, from, &*self.handle, to)?;
        #[cfg(not(unix))]
        fs::rename(self.path.join(from), self.path.join(to))?;
        Ok(())
    }

    /// Gives a file in it a name in it that nothing has.
    pub(crate) fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        #[cfg(unix)]
        match rustix::fs::linkat(&*self.handle, from, &*self.handle, to, AtFlags::empty()) {
            Ok(()) => return self.remove(from),
            Err(rustix::io::Errno::EXIST) => return Err(io::Error::from(io::ErrorKind::AlreadyExists)),
            // A file system without hard links.
            Err(_) => {}
        }
        if self.path.join(to).symlink_metadata().is_ok() {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        self.rename(from, to)
    }

    /// Removes a file in it.
    pub(crate) fn remove(&self, name: &OsStr) -> io::Result<()> {
        #[cfg(unix)]
        rustix::fs::unlinkat(&*self.handle, name, AtFlags::empty())?;
        #[cfg(not(unix))]
        fs::remove_file(self.path.join(name))?;
        Ok(())
    }

    /// Narrows who may enter it.
    pub(crate) fn narrow(&self, access: Access) -> io::Result<()> {
        #[cfg(unix)]
        access.narrow(&self.handle)?;
        #[cfg(not(unix))]
        let _ = access;
        Ok(())
    }

    /// Makes its names durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        #[cfg(unix)]
        self.handle.sync_all()?;
        Ok(())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_told_from_another_at_its_path() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("run");
        fs::create_dir(&path).unwrap();
        let dir = Dir::open(&path).unwrap();
        let file = dir.create_new("a".as_ref(), 0o600).unwrap();
        assert!(dir.is_in_place().unwrap() && dir.names("a".as_ref(), &file).unwrap());

        fs::rename(&path, place.path().join("moved")).unwrap();
        assert!(!dir.is_in_place().unwrap());
        fs::create_dir(&path).unwrap();
        fs::write(path.join("a"), "another's").unwrap();
        assert!(!dir.is_in_place().unwrap());
        // All that is done is done in the folder that was opened.
        dir.rename("a".as_ref(), "b".as_ref()).unwrap();
        dir.remove("b".as_ref()).unwrap();
        assert_eq!(fs::read(path.join("a")).unwrap(), b"another's");
        assert_eq!(fs::read_dir(place.path().join("moved")).unwrap().count(), 0);

        fs::remove_dir(place.path().join("moved")).unwrap();
        assert!(dir.create_new("c".as_ref(), 0o600).is_err());
        assert!(!path.join("c").exists());
    }

    #[test]
    fn a_link_is_not_followed_and_a_new_name_is_new() {
        let place = tempfile::tempdir().unwrap();
        let dir = Dir::open(place.path()).unwrap();
        let file = dir.create_new("a".as_ref(), 0o600).unwrap();
        std::os::unix::fs::symlink("a", place.path().join("link")).unwrap();
        assert!(dir.open_file("link".as_ref(), false).is_err());
        assert!(!dir.names("link".as_ref(), &file).unwrap());
        fs::write(place.path().join("b"), "b").unwrap();
        let error = dir.rename_new("a".as_ref(), "b".as_ref()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        dir.rename_new("a".as_ref(), "c".as_ref()).unwrap();
        assert!(dir.names("c".as_ref(), &file).unwrap() && !place.path().join("a").exists());
    }
}
