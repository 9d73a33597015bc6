//! What a file held when it was written, so that it can be told whether it still does.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A file as it was sent or fetched: what has the same size and hash is that file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stored {
    /// How many bytes it has.
    pub bytes: u64,
    /// Their SHA-256, in lowercase hexadecimal digits.
    pub sha256: String,
}

/// A file as we made it, of others that are kept: what has another size or checksum was damaged, or is another file. A
/// checksum takes a tenth of the time of a hash, and nobody gains by forging a file that can be made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Written {
    /// How many bytes it has.
    pub bytes: u64,
    /// Their CRC-32. Where a log has none, no file is the one that was written.
    #[serde(default)]
    pub crc32: Option<u32>,
}

impl Stored {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        Self::read(File::open(path)?)
    }

    pub(crate) fn read(from: impl Read) -> io::Result<Self> {
        read::<Hashed>(from)
    }
}

impl Written {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        Self::read(File::open(path)?)
    }

    pub(crate) fn read(from: impl Read) -> io::Result<Self> {
        read::<Summed>(from)
    }
}

/// What is made of bytes as they pass.
pub(crate) trait Passed: Default {
    type Made;
    fn add(&mut self, bytes: &[u8]);
    fn made(self) -> Self::Made;
}

#[derive(Default)]
pub(crate) struct Hashed {
    bytes: u64,
    digest: Sha256,
}

#[derive(Default)]
pub(crate) struct Summed {
    bytes: u64,
    sum: crc32fast::Hasher,
}

impl Passed for Hashed {
    type Made = Stored;

    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.digest.update(bytes);
    }

    fn made(self) -> Stored {
        let sha256 = self.digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Stored { bytes: self.bytes, sha256 }
    }
}

impl Passed for Summed {
    type Made = Written;

    fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.sum.update(bytes);
    }

    fn made(self) -> Written {
        Written { bytes: self.bytes, crc32: Some(self.sum.finalize()) }
    }
}

fn read<P: Passed>(mut from: impl Read) -> io::Result<P::Made> {
    let (mut passed, mut buffer) = (P::default(), vec![0; 256 << 10]);
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(passed.made()),
            Ok(read) => passed.add(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A writer that looks at what passes.
pub(crate) struct Passing<W, P> {
    to: W,
    passed: P,
}

/// Hashes what is written on its way.
pub(crate) type Hashing<W> = Passing<W, Hashed>;

/// Takes the checksum of what is written on its way.
pub(crate) type Summing<W> = Passing<W, Summed>;

impl<W: Write, P: Passed> Passing<W, P> {
    /// Of a writer that was given nothing yet.
    pub(crate) fn new(to: W) -> Self {
        Self { to, passed: P::default() }
    }

    /// The writer, and what was written.
    pub(crate) fn into_parts(self) -> (W, P::Made) {
        (self.to, self.passed.made())
    }
}

impl<W: Write, P: Passed> Write for Passing<W, P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.passed.add(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_has_passed() {
        let bytes = vec![b'x'; 600_000];
        let (mut hashing, mut summing) = (Hashing::new(Vec::new()), Summing::new(Vec::new()));
        for piece in bytes.chunks(70_001) {
            hashing.write_all(piece).unwrap();
            summing.write_all(piece).unwrap();
        }
        let ((hashed, stored), (summed, written)) = (hashing.into_parts(), summing.into_parts());
        assert!(hashed == bytes && summed == bytes);
        assert_eq!(stored, Stored::read(&*bytes).unwrap());
        assert_eq!(written, Written::read(&*bytes).unwrap());
        assert_eq!((stored.bytes, written.bytes), (600_000, 600_000));
        // The check value that the definition of this CRC-32 names.
        assert_eq!(Written::read(&b"123456789"[..]).unwrap().crc32, Some(0xcbf4_3926));
    }

    #[test]
    fn nothing_is_as_a_log_without_checksums_has_it() {
        let text = serde_json::to_value(Stored::read(&b"x"[..]).unwrap()).unwrap();
        let earlier: Written = serde_json::from_value(text).unwrap();
        assert_ne!(earlier, Written::read(&b"x"[..]).unwrap());
    }
}
