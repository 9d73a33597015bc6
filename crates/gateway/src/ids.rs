//! Owns the making of ids. Never takes anything from a client into one.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

/// Makes ids that no other gateway makes: a digest of a random seed and a counter.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: [u64; 2],
    made: AtomicU64,
}

impl Ids {
    pub(crate) fn new() -> Ids {
        let random = || RandomState::new().hash_one(0_u8);
        Ids { seed: [random(), random()], made: AtomicU64::new(0) }
    }

    /// A new id: `prefix` and 32 lowercase hex digits.
    pub(crate) fn next(&self, prefix: &str) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let mut digest = Sha256::new();
        digest.update(self.seed[0].to_le_bytes());
        digest.update(self.seed[1].to_le_bytes());
        digest.update(number.to_le_bytes());
        let mut id = String::from(prefix);
        push_hex(&mut id, &digest.finalize()[..16]);
        id
    }
}

/// `bytes` in lowercase hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    push_hex(&mut text, bytes);
    text
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_shape_and_differ() {
        let ids = Ids::new();
        let (one, two) = (ids.next("file-"), ids.next("file-"));
        assert_ne!(one, two);
        let digits = one.strip_prefix("file-").unwrap();
        assert_eq!(digits.len(), 32);
        assert!(digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
    }

    #[test]
    fn hex_is_lowercase_and_padded() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
