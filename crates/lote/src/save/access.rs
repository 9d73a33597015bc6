//! Who may read what is made of an input: nobody who may not read the input.

use std::{
    fs::{self, File, Metadata},
    io,
    path::Path,
};

/// Who may read and write a file that is made, at the most; the umask takes away from that as ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    mode: u32,
    /// The group that the mode speaks of.
    group: Option<u32>,
}

impl Default for Access {
    /// As any program makes a file: the umask decides.
    fn default() -> Self {
        Self { mode: 0o666, group: None }
    }
}

impl Access {
    /// As narrow as that of this input. One that is no file with a name, such as a pipe, tells nothing.
    pub(crate) fn of(input: &Path) -> Self {
        fs::metadata(input).map_or_else(|_| Self::default(), |found| Self::like(&found))
    }

    /// For its owner alone.
    pub(crate) fn private() -> Self {
        Self { mode: 0o600, group: None }
    }

    /// As narrow as that of this file.
    pub(crate) fn like(found: &Metadata) -> Self {
        #[cfg(unix)]
        if found.is_file() {
            use std::os::unix::fs::MetadataExt;
            // Its owner must be able to go on with what is made, even of a read-only input.
            return Self { mode: found.mode() & 0o666 | 0o600, group: Some(found.gid()) };
        }
        let _ = found;
        Self::default()
    }

    /// As narrow as both.
    pub(crate) fn and(self, other: Self) -> Self {
        let mut mode = self.mode & other.mode;
        if self.group.is_some() && other.group.is_some() && self.group != other.group {
            mode &= !0o070 | (mode & 0o007) << 3;
        }
        Self { mode, group: self.group.or(other.group) }
    }

    /// The mode to make a file with.
    pub(crate) fn file_mode(self) -> u32 {
        self.mode
    }

    /// The mode to make a folder with: who may read a file may enter its folder.
    pub(crate) fn folder_mode(self) -> u32 {
        self.mode | (self.mode & 0o444) >> 2
    }

    /// Narrows a file or folder that was made with such a mode: where it has another group than the input, that group
    /// may do no more than everybody.
    pub(crate) fn narrow(self, made: &File) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::{MetadataExt, PermissionsExt};
            let found = made.metadata()?;
            let mode = found.mode() & 0o7777;
            let mut wanted = mode & (self.folder_mode() | 0o7000);
            if self.group.is_some_and(|group| group != found.gid()) {
                wanted &= !0o070 | (wanted & 0o007) << 3;
            }
            if wanted != mode {
                made.set_permissions(fs::Permissions::from_mode(wanted))?;
            }
        }
        let _ = made;
        Ok(())
    }

    /// Gives a file that replaces another the mode of that one, as far as this allows.
    pub(crate) fn take_over(self, made: &File, replaced: &Metadata) -> io::Result<()> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = replaced.permissions().mode() & 0o777 & self.mode;
            made.set_permissions(fs::Permissions::from_mode(mode))?;
            Self::like(replaced).narrow(made)?;
        }
        #[cfg(not(unix))]
        made.set_permissions(replaced.permissions())?;
        self.narrow(made)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn what_is_made_is_as_private_as_the_input() {
        let place = tempfile::tempdir().unwrap();
        let input = place.path().join("input");
        fs::write(&input, "x").unwrap();
        for (mode, file, folder) in
            [(0o600, 0o600, 0o700), (0o640, 0o640, 0o750), (0o400, 0o600, 0o700), (0o644, 0o644, 0o755)]
        {
            fs::set_permissions(&input, fs::Permissions::from_mode(mode)).unwrap();
            let access = Access::of(&input);
            assert_eq!((access.file_mode(), access.folder_mode()), (file, folder), "{mode:o}");
        }
        assert_eq!(Access::of(Path::new("/dev/null")), Access::default());
        assert_eq!(Access::of(&place.path().join("absent")), Access::default());
    }

    #[test]
    fn another_group_than_the_inputs_gets_nothing_of_its_rights() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("made");
        let made = File::create(&path).unwrap();
        let group = made.metadata().unwrap().gid();
        let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
        for (input, theirs, left) in [(0o660, group, 0o660), (0o660, group + 1, 0o600), (0o664, group + 1, 0o644)] {
            made.set_permissions(fs::Permissions::from_mode(0o666)).unwrap();
            Access { mode: input, group: Some(theirs) }.narrow(&made).unwrap();
            assert_eq!(mode(), left, "{input:o}");
        }
    }
}
