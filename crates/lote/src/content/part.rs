//! What came of a download that was given up: kept beside the file that it would have become, and gone on from later if
//! it can be shown that the rest is of the same file.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::sum::{Kind, Sum, each_piece};
use crate::save;
use serde::{Deserialize, Serialize};

/// The two names beside a file: the bytes, which people may read, and what they are of.
pub(super) struct Part {
    pub(super) bytes: PathBuf,
    label: PathBuf,
}

/// Of which file a part is.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Label {
    pub(super) base_url: String,
    pub(super) file_id: String,
    /// The strong entity tag that the file had, if any.
    pub(super) entity_tag: Option<String>,
    /// How many bytes the part has, and their SHA-256: a part that was changed is none.
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Part {
    /// What ends the names of parts. Not the suffix of temporary files, which are swept.
    pub(super) const SUFFIX: &str = ".lote-part";

    pub(super) fn of(target: &Path) -> Self {
        let beside = |suffix: &str| {
            let mut name = OsString::from(target);
            name.push(suffix);
            PathBuf::from(name)
        };
        Self { bytes: beside(Self::SUFFIX), label: beside(".lote-part.json") }
    }

    /// What the part is said to be of; `None` when there is none, or nothing that could be trusted.
    pub(super) fn label(&self) -> Option<Label> {
        let label: Label = serde_json::from_slice(&fs::read(&self.label).ok()?).ok()?;
        let found = fs::symlink_metadata(&self.bytes).ok()?;
        (found.is_file() && found.len() == label.bytes).then_some(label)
    }

    /// Copies the part to a file, and gives the hash of it back if it is what the label says. The file is empty again if
    /// it is not.
    pub(super) fn copy_to(&self, label: &Label, file: &mut fs::File) -> io::Result<Option<Sum>> {
        let mut sum = Kind::Sha256.empty();
        each_piece(fs::File::open(&self.bytes)?, |piece| {
            sum.update(piece);
            file.write_all(piece)
        })?;
        if sum.sha256().as_deref() == Some(&label.sha256) {
            return Ok(Some(sum));
        }
        file.set_len(0)?;
        io::Seek::rewind(file)?;
        Ok(None)
    }

    /// Keeps what came of a download.
    pub(super) fn keep(&self, label: &Label, atomic: save::AtomicFile) -> io::Result<()> {
        // A label is never beside bytes that it is not of.
        self.remove_label()?;
        atomic.keep_as(self.bytes.file_name().unwrap_or_default())?;
        save::write(&self.label, &serde_json::to_vec(label)?)
    }

    /// Takes the part away: the whole is there, or the part is of another file.
    pub(super) fn remove(&self) {
        // Of a name that is not labelled it is not known whose it is.
        if self.label.exists() && self.remove_label().is_ok() {
            let _ = fs::remove_file(&self.bytes);
        }
    }

    fn remove_label(&self) -> io::Result<()> {
        match fs::remove_file(&self.label) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
