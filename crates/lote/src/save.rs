//! Writes files that are whole or not there: beside the name, synced, then renamed.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// A file on its way to its name. Dropped before [`commit`](Self::commit), it leaves nothing.
pub(crate) struct AtomicFile {
    temporary: NamedTempFile,
    target: PathBuf,
}

impl AtomicFile {
    /// Begins a file in the folder of `path`, whose link is followed if it is one.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        let there = fs::metadata(path);
        // /dev/stdout and its like may lead to a regular file, which is somebody's log and not ours to replace.
        if cfg!(unix) && ["/dev", "/proc"].iter().any(|folder| path.starts_with(folder)) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a device; name a regular file"));
        }
        if there.is_err() && path.is_symlink() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a link that leads nowhere"));
        }
        let target = match &there {
            Ok(found) if found.is_file() => fs::canonicalize(path)?,
            Ok(found) if found.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
            // Renaming over a device or a pipe would replace it.
            Ok(_) => return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
            Err(_) => path.to_owned(),
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(".lote-").suffix(".part");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any program creates a file: the umask decides.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let temporary = builder.tempfile_in(folder(&target))?;
        if let Ok(there) = there {
            // What replaces a file that only its owner may read is for its owner too.
            temporary.as_file().set_permissions(there.permissions())?;
        }
        Ok(Self { temporary, target })
    }

    /// The file to write to.
    pub(crate) fn file(&mut self) -> &mut fs::File {
        self.temporary.as_file_mut()
    }

    /// The name that it will have.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Gives what there is another name, for somebody to go on from.
    pub(crate) fn keep_as(self, path: &Path) -> io::Result<()> {
        self.temporary.as_file().sync_all()?;
        self.temporary.persist(path).map(drop).map_err(|error| error.error)
    }

    /// Makes the file durable and gives it its name.
    pub(crate) fn commit(self) -> io::Result<()> {
        self.temporary.as_file().sync_all()?;
        let folder = folder(&self.target).to_owned();
        self.temporary.persist(&self.target).map_err(|error| error.error)?;
        sync_folder(&folder)
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

/// Makes new names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    fs::File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

#[cfg(test)]
mod tests {
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
}
