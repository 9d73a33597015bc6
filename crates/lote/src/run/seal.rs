//! The small files of a run that are read again (`run.json`, `summary.json`): JSON for people, with a checksum in it, so
//! that one that was damaged is not believed. The checksum is that of the bytes before its own field.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use serde::{Serialize, de::DeserializeOwned};

use crate::save::AtomicFile;

const SEAL: &str = ",\n  \"crc32\": \"";
const END: &str = "\"\n}\n";

/// Writes an object, and gives the file its name.
pub(super) fn write(mut atomic: AtomicFile, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    // Without its last brace.
    text.truncate(text.trim_ascii_end().len().saturating_sub(1));
    text.truncate(text.trim_ascii_end().len());
    let sum = crc32fast::hash(&text);
    write!(text, "{SEAL}{sum:08x}{END}")?;
    atomic.file().write_all(&text)?;
    atomic.commit()
}

/// Reads an object that is as it was written.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    let text = fs::read(path)?;
    check(&text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Whether a text is as it was written.
///
/// # Errors
/// Says that it is not.
pub(super) fn check(text: &[u8]) -> io::Result<()> {
    let sealed = || {
        let body = text.strip_suffix(END.as_bytes())?;
        let (body, sum) = body.split_at_checked(body.len().checked_sub(8)?)?;
        let body = body.strip_suffix(SEAL.as_bytes())?;
        (format!("{:08x}", crc32fast::hash(body)).as_bytes() == sum).then_some(())
    };
    sealed()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is not as it was written: its checksum differs"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn any_damage_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.json");
        let value = json!({"a": [1, {"b": "}\n"}], "z": null});
        write(AtomicFile::new(&path).unwrap(), &value).unwrap();
        let text = fs::read(&path).unwrap();
        check(&text).unwrap();
        let mut read: Value = serde_json::from_slice(&text).unwrap();
        assert!(read.as_object_mut().unwrap().remove("crc32").is_some());
        assert_eq!(read, value);
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut damaged = text.clone();
                damaged[at] ^= 1 << bit;
                assert!(check(&damaged).is_err(), "bit {bit} of byte {at}");
            }
            assert!(check(&text[..at]).is_err(), "cut at {at}");
        }
        assert!(check(&[&text[..], b" "].concat()).is_err());
    }
}
