//! What is made of bytes as they pass, to know them again when they come once more.

use std::io::{self, Read};

use sha2::{Digest, Sha256};

/// How much of a file is read at a time.
pub(super) const PIECE: usize = 256 << 10;

/// A checksum, or a hash where one is compared at the end or kept: that takes ten times as long.
#[derive(Clone)]
pub(super) enum Sum {
    Crc32(crc32fast::Hasher),
    Sha256(Sha256),
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Crc32,
    Sha256,
}

impl Kind {
    /// Of no bytes.
    pub(super) fn empty(self) -> Sum {
        match self {
            Self::Crc32 => Sum::Crc32(crc32fast::Hasher::new()),
            Self::Sha256 => Sum::Sha256(Sha256::new()),
        }
    }
}

impl Sum {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Crc32(_) => Kind::Crc32,
            Self::Sha256(_) => Kind::Sha256,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(sum) => sum.update(bytes),
            Self::Sha256(digest) => digest.update(bytes),
        }
    }

    /// Whether both are of the same bytes; never of two kinds.
    pub(super) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Crc32(one), Self::Crc32(other)) => one.clone().finalize() == other.clone().finalize(),
            (Self::Sha256(one), Self::Sha256(other)) => one.clone().finalize() == other.clone().finalize(),
            _ => false,
        }
    }

    /// The hash in lowercase hexadecimal digits, where it is one.
    pub(super) fn sha256(&self) -> Option<String> {
        match self {
            Self::Crc32(_) => None,
            Self::Sha256(digest) => Some(hex(digest)),
        }
    }
}

/// A hash in lowercase hexadecimal digits.
pub(super) fn hex(digest: &Sha256) -> String {
    digest.clone().finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hands all that a reader gives on, a piece at a time.
pub(super) fn each_piece(mut from: impl Read, mut then: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => then(&piece[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_of_the_same_bytes_or_not() {
        for kind in [Kind::Crc32, Kind::Sha256] {
            let sum = |pieces: &[&[u8]]| {
                let mut sum = kind.empty();
                pieces.iter().for_each(|piece| sum.update(piece));
                sum
            };
            assert_eq!(sum(&[]).kind(), kind);
            assert!(sum(&[b"one", b"two"]).is(&sum(&[b"onet", b"wo"])));
            assert!(!sum(&[b"one"]).is(&sum(&[b"two"])));
        }
        assert!(!Kind::Crc32.empty().is(&Kind::Sha256.empty()));
        assert_eq!(Kind::Crc32.empty().sha256(), None);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Kind::Sha256.empty().sha256().as_deref(), Some(empty));
    }
}
