//! What the path of an output leads to: a regular file, which is replaced whole, or something that bytes are written
//! into, such as a pipe.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
};

use super::{Access, AtomicFile, Dir, folder};

/// Where a path leads.
#[derive(Debug)]
pub(crate) enum Place {
    /// A regular file, or the free name of one.
    File(Name),
    /// A pipe, a character device such as `/dev/null`, or a file that is open already: it is written to, never replaced.
    Stream(PathBuf),
}

/// The name of a file in an opened folder, links followed.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) dir: Dir,
    pub(crate) name: OsString,
    /// The file of that name, if there is one.
    pub(crate) there: Option<Box<Metadata>>,
}

/// How many links are followed.
const LINKS: usize = 40;

/// Looks where a path leads.
///
/// # Errors
/// When it leads nowhere that a file could be, in words that follow the path and a colon.
pub(crate) fn place(path: &Path) -> io::Result<Place> {
    let invalid = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    if path.as_os_str().is_empty() {
        return invalid("it is empty; name a file");
    }
    let there = match fs::metadata(path) {
        Ok(found) => Some(found),
        Err(_) if path.is_symlink() => return invalid("it is a link that leads nowhere"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let path = match &there {
        Some(found) if found.is_dir() => {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder; name a file in it"));
        }
        Some(found) if !found.is_file() || descriptor(path).is_some() => {
            #[cfg(unix)]
            {
                use std::os::unix::fs::FileTypeExt;
                if found.file_type().is_block_device() {
                    return invalid("it is a disk; name a file");
                }
                if found.file_type().is_socket() {
                    return invalid("it is a socket, which cannot be opened by a name; name a file or a pipe");
                }
            }
            return Ok(Place::Stream(path.to_owned()));
        }
        Some(_) => fs::canonicalize(path)?,
        None => path.to_owned(),
    };
    let Some(name) = path.file_name().map(OsStr::to_owned) else { return invalid("it names no file") };
    let parent = folder(&path);
    if there.is_none() {
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            return invalid("it ends as the name of a folder does, and there is none; name a file");
        }
        match fs::metadata(parent) {
            Ok(found) if !found.is_dir() => return invalid("what should be its folder is no folder"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(io::Error::new(io::ErrorKind::NotFound, "its folder does not exist; make it first"));
            }
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        #[cfg(unix)]
        if fs::canonicalize(parent).is_ok_and(|parent| parent == Path::new("/dev")) {
            return invalid("there is no such device");
        }
    }
    Ok(Place::File(Name { dir: Dir::open(parent)?, name, there: there.map(Box::new) }))
}

/// The number of the open file that a path such as `/dev/stdout` or `/proc/self/fd/1`, or a link to one, stands for.
pub fn descriptor(path: &Path) -> Option<u32> {
    let mut path = std::path::absolute(path).ok()?;
    for _ in 0..LINKS {
        let name = path.file_name()?.to_owned();
        let parent = fs::canonicalize(path.parent()?).ok()?;
        let of_a_process = parent.starts_with("/proc") && parent.file_name() == Some("fd".as_ref());
        if of_a_process || parent == Path::new("/dev/fd") {
            return name.to_str()?.parse().ok();
        }
        path = parent.join(name);
        path = parent.join(fs::read_link(&path).ok()?);
    }
    None
}

impl Name {
    /// Tries whether a file can be written there, by its real name. Leaves nothing.
    ///
    /// # Errors
    /// When the folder or the file refuses.
    pub(crate) fn try_out(&self) -> io::Result<()> {
        match &self.there {
            Some(found) if found.permissions().readonly() => {
                Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only; name another file"))
            }
            Some(_) => self.dir.open_file(&self.name, true).map(drop),
            None => match self.dir.create_new(&self.name, 0o600) {
                Ok(file) => {
                    // It is removed only if nobody has put another in its place.
                    if self.dir.names(&self.name, &file)? {
                        self.dir.remove(&self.name)?;
                    }
                    Ok(())
                }
                // Somebody has made it just now; what may be done with it is decided when it is to be replaced.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                Err(error) => Err(error),
            },
        }?;
        // The folder takes a new name beside it too, which is how files are replaced.
        AtomicFile::within(self.dir.clone(), &self.name, Access::default()).map(drop)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn why(path: &Path) -> String {
        match place(path) {
            Ok(Place::File(name)) => name.try_out().map_or_else(|error| error.to_string(), |()| "file".to_owned()),
            Ok(Place::Stream(_)) => "stream".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_path_is_taken_for_what_it_leads_to() {
        let at = tempfile::tempdir().unwrap();
        let path = |name: &str| at.path().join(name);
        fs::write(path("there"), "x").unwrap();
        fs::write(path("readonly"), "x").unwrap();
        let mut permissions = fs::metadata(path("readonly")).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(path("readonly"), permissions).unwrap();
        symlink("nowhere", path("dangling")).unwrap();
        symlink("there", path("link")).unwrap();
        symlink("/dev/stdout", path("out")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        for (name, part) in [
            ("new", "file"),
            ("there", "file"),
            ("link", "file"),
            ("readonly", "read-only"),
            ("dangling", "leads nowhere"),
            ("absent/new", "folder does not exist"),
            ("there/new", "irectory"),
            ("new/", "name of a folder"),
            (".", "a folder"),
            ("out", "stream"),
            ("socket", "a socket"),
            (&"n".repeat(256), "too long"),
        ] {
            assert!(why(&path(name)).contains(part), "{name}: {}", why(&path(name)));
        }
        for name in ["/dev/null", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"] {
            assert_eq!(why(Path::new(name)), "stream", "{name}");
        }
        assert_eq!(why(Path::new("/dev/stdou")), "there is no such device");
        assert_eq!(fs::read_dir(&at).unwrap().count(), 6, "nothing is left");
        assert_eq!(fs::read(path("there")).unwrap(), b"x");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn shared_memory_is_a_place_like_another() {
        let at = tempfile::tempdir_in("/dev/shm").unwrap();
        assert_eq!(why(&at.path().join("x")), "file");
        super::super::write(&at.path().join("x"), b"x").unwrap();
        assert_eq!(fs::read(at.path().join("x")).unwrap(), b"x");
    }

    #[test]
    fn descriptors_are_known_through_links() {
        let at = tempfile::tempdir().unwrap();
        symlink("/dev/stdout", at.path().join("a")).unwrap();
        symlink("a", at.path().join("b")).unwrap();
        assert_eq!(descriptor(&at.path().join("b")), Some(1));
        assert_eq!(descriptor(Path::new("/dev/stderr")), Some(2));
        assert_eq!(descriptor(Path::new("/dev/null")), None);
        assert_eq!(descriptor(at.path()), None);
        symlink("loop", at.path().join("loop")).unwrap();
        assert_eq!(descriptor(&at.path().join("loop")), None);
    }
}
