//! The names of temporary files and folders, by which those of dead processes are found and removed.
//!
//! Each is held by a lock as long as its process lives, so that whoever gets the lock knows that the process is gone.
//! Each name says on which host it was made, since not every shared file system tells one host of the locks of another.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, TryLockError},
    io,
    path::Path,
    sync::LazyLock,
};

use sha2::{Digest, Sha256};

use super::{Access, Dir};

/// How many names are tried before giving up.
const TRIES: usize = 100;

/// The end of the name of a temporary file.
const PART: &str = ".part";

/// The name of this host, as people know it.
pub(crate) fn host() -> String {
    #[cfg(unix)]
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    name
}

/// What names of temporary files say of this host.
fn tag() -> &'static str {
    static TAG: LazyLock<String> =
        LazyLock::new(|| Sha256::digest(host()).iter().take(4).map(|byte| format!("{byte:02x}")).collect());
    &TAG
}

/// A new name of a staging folder.
pub(crate) fn staging_name() -> OsString {
    format!(".lote-run-{}-{:012x}", tag(), fastrand::u64(..1 << 48)).into()
}

/// Whether this is the name of a staging folder of this host.
pub(crate) fn is_staging(name: &OsStr) -> bool {
    name.to_str()
        .and_then(|name| name.strip_prefix(".lote-run-")?.strip_prefix(tag()))
        .is_some_and(|rest| rest.starts_with('-'))
}

/// Whether this is the name of a temporary file of ours, of whatever host.
pub(crate) fn is_temporary(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(".lote-") && name.ends_with(PART))
}

fn is_temporary_here(name: &OsStr) -> bool {
    let ours = |name: &str| {
        name.strip_prefix(".lote-")?.strip_prefix(tag())?.strip_suffix(PART).map(|rest| rest.starts_with('-'))
    };
    name.to_str().and_then(ours).unwrap_or(false)
}

/// Makes a temporary file, and locks it.
pub(crate) fn create(dir: &Dir, access: Access) -> io::Result<(OsString, File)> {
    for _ in 0..TRIES {
        let name = OsString::from(format!(".lote-{}-{:012x}{PART}", tag(), fastrand::u64(..1 << 48)));
        let file = match dir.create_new(&name, access.file_mode()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            file => file?,
        };
        // Between these two steps another process may have taken the file for a dead one's, and removed it.
        let held = match file.try_lock() {
            Ok(()) => dir.names(&name, &file)?,
            Err(TryLockError::WouldBlock) => false,
            // Where there are no locks nothing is swept either.
            Err(TryLockError::Error(_)) => true,
        };
        if held {
            access.narrow(&file)?;
            return Ok((name, file));
        }
    }
    Err(io::Error::other("no temporary file could be made that stays"))
}

/// Removes the temporary files that dead processes of this host have left in a folder. What cannot be removed stays.
pub(crate) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut dir = None;
    for name in entries.flatten().map(|entry| entry.file_name()).filter(|name| is_temporary_here(name)) {
        if dir.is_none() {
            dir = Dir::open(folder).ok();
        }
        if let Some(dir) = &dir {
            let _ = remove_dead(dir, &name);
        }
    }
}

fn remove_dead(dir: &Dir, name: &OsStr) -> io::Result<()> {
    let file = dir.open_file(name, false)?;
    // Held until the file is removed: nobody begins with it meanwhile.
    if file.try_lock().is_ok() && dir.names(name, &file)? {
        dir.remove(name)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_dead_process_of_this_host_left_is_swept() {
        let place = tempfile::tempdir().unwrap();
        let dir = Dir::open(place.path()).unwrap();
        let (live, held) = create(&dir, Access::default()).unwrap();
        let (dead, file) = create(&dir, Access::default()).unwrap();
        drop(file);
        let elsewhere = OsString::from(".lote-0badcafe-0123456789ab.part");
        let kept = OsString::from("output.jsonl.incomplete");
        for name in [&elsewhere, &kept, &OsString::from(".lote-notes.part")] {
            fs::write(place.path().join(name), "x").unwrap();
        }
        #[cfg(unix)]
        {
            let link = format!(".lote-{}-000000000000.part", tag());
            std::os::unix::fs::symlink("output.jsonl.incomplete", place.path().join(link)).unwrap();
        }
        sweep(place.path());
        assert!(!place.path().join(&dead).exists());
        for name in [&live, &elsewhere, &kept] {
            assert!(place.path().join(name).exists(), "{name:?}");
        }
        drop(held);
        sweep(place.path());
        assert!(!place.path().join(&live).exists());
    }

    #[test]
    fn names_are_told_apart() {
        assert!(is_staging(&staging_name()) && !is_staging(".lote-run-0badcafe-0123".as_ref()));
        assert!(is_temporary(".lote-0badcafe-0123.part".as_ref()) && !is_temporary("x.part".as_ref()));
        assert!(!is_temporary_here(&staging_name()));
    }
}
