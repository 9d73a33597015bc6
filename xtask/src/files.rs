//! Owns reading and writing files of the repository: errors that name the file, and writes that are whole or not at
//! all. It never writes a file that already has the bytes.

use std::{fs, io::Write, path::Path};

use crate::report::Failure;

/// The text of `root/path`.
///
/// # Errors
///
/// When the file is missing, cannot be read or is not UTF-8.
pub fn read(root: &Path, path: &str) -> Result<String, Failure> {
    fs::read_to_string(root.join(path))
        .map_err(|error| Failure::new(format!("{path} cannot be read: {error}"), format!("restore {path}")))
}

/// The text of `root/path`, or none when there is no such file.
///
/// # Errors
///
/// When the file is there and cannot be read or is not UTF-8.
pub fn read_if_there(root: &Path, path: &str) -> Result<Option<String>, Failure> {
    let there = root.join(path).try_exists().unwrap_or(true);
    if there { read(root, path).map(Some) } else { Ok(None) }
}

/// Puts `text` into `root/path`: into a temporary file of the same folder, which then takes the place and has the mode
/// of the old one. Nothing happens when the file already reads so. The folder must exist.
///
/// # Errors
///
/// When the file cannot be written; the old one is then as it was.
pub fn write(root: &Path, path: &str, text: &str) -> Result<(), Failure> {
    // A symbolic link stays one: what it leads to is replaced.
    let joined = root.join(path);
    let target = fs::canonicalize(&joined).unwrap_or(joined);
    if fs::read(&target).is_ok_and(|bytes| bytes == text.as_bytes()) {
        return Ok(());
    }
    replace(&target, text).map_err(|error| {
        Failure::new(format!("{path} cannot be written: {error}"), "make its folder writable and run the command again")
    })
}

fn replace(target: &Path, text: &str) -> std::io::Result<()> {
    let folder = target.parent().unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".xtask-");
    #[cfg(unix)]
    let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(mode); // less the umask; a temporary file is its owner's alone otherwise
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    if let Ok(old) = fs::metadata(target) {
        file.as_file().set_permissions(old.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(target)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_whole_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["one\n", "", "two\r\n"] {
            write(folder.path(), "a file", text).unwrap();
            assert_eq!(read(folder.path(), "a file").unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_same_text_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a", "text").unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        fs::File::options().write(true).open(folder.path().join("a")).unwrap().set_modified(old).unwrap();
        let modified = || fs::metadata(folder.path().join("a")).unwrap().modified().unwrap();
        write(folder.path(), "a", "text").unwrap();
        assert_eq!(modified(), old);
        write(folder.path(), "a", "texts").unwrap();
        assert_ne!(modified(), old);
    }

    #[test]
    fn errors_name_the_file_and_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read_if_there(folder.path(), "a").unwrap().is_none());
        let failure = read(folder.path(), "a").unwrap_err().0;
        assert!(failure.problem.starts_with("a cannot be read: "), "{failure}");
        assert_eq!(failure.fix, "restore a");
        fs::write(folder.path().join("a"), b"\xff").unwrap();
        assert!(read_if_there(folder.path(), "a").is_err());
        assert!(
            write(folder.path(), "no folder/a", "").unwrap_err().0.problem.contains("no folder/a cannot be written")
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_mode_is_kept_and_a_link_stays_a_link() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a", "1").unwrap();
        let mode = |name: &str| fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_ne!(mode("a") & 0o044, 0, "a new file is readable as any other is");
        fs::set_permissions(folder.path().join("a"), fs::Permissions::from_mode(0o751)).unwrap();
        symlink("a", folder.path().join("link")).unwrap();
        write(folder.path(), "link", "2").unwrap();
        assert_eq!((mode("a"), read(folder.path(), "a").unwrap().as_str()), (0o751, "2"));
        assert!(fs::symlink_metadata(folder.path().join("link")).unwrap().is_symlink());
    }
}
