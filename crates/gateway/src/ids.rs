//! Makes the ids of files, batches, requests and result lines. What a client sent goes into one as a digest only.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

/// Makes ids: digests of a seed and a counter. With a random seed no other gateway makes the same.
#[derive(Debug)]
pub(crate) struct Ids {
    seed: [u64; 2],
    /// Of this process, where others make ids of the same seed; they make others then.
    process: [u64; 2],
    made: AtomicU64,
}

impl Ids {
    /// From this seed, or from a random one. What is `kept` goes before: ids of the same parts are the same in every
    /// process that has it, new ones are not.
    pub(crate) fn new(seed: Option<u64>, kept: Option<[u8; 16]>) -> Ids {
        let random = || RandomState::new().hash_one(0_u8);
        let (seed, process) = match kept {
            Some(kept) => ([0, 8].map(|at| number(&kept[at..])), [random(), random()]),
            None => (seed.map_or_else(|| [random(), random()], |seed| [seed, 0]), [0, 0]),
        };
        Ids { seed, process, made: AtomicU64::new(0) }
    }

    /// A new id: `prefix` and 32 lowercase hex digits.
    pub(crate) fn next(&self, prefix: &str) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        self.id(prefix, |digest| {
            digest.update(number.to_le_bytes());
            if self.process != [0, 0] {
                self.process.iter().for_each(|part| digest.update(part.to_le_bytes()));
            }
        })
    }

    /// The id that belongs to `parts`, of the same shape: the same whenever and in whatever order it
    /// is asked for.
    pub(crate) fn of(&self, prefix: &str, parts: &[&str]) -> String {
        self.id(prefix, |digest| {
            for part in [prefix].iter().chain(parts) {
                digest.update((part.len() as u64).to_le_bytes());
                digest.update(part.as_bytes());
            }
        })
    }

    fn id(&self, prefix: &str, content: impl FnOnce(&mut Sha256)) -> String {
        let mut digest = Sha256::new();
        digest.update(self.seed[0].to_le_bytes());
        digest.update(self.seed[1].to_le_bytes());
        content(&mut digest);
        let mut id = String::from(prefix);
        push_hex(&mut id, &digest.finalize()[..16]);
        id
    }
}

/// The first eight bytes as a number.
fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
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
        let ids = Ids::new(None, None);
        let (one, two) = (ids.next("file-"), ids.next("file-"));
        assert_ne!(one, two);
        assert_ne!(one, Ids::new(None, None).next("file-"));
        let digits = one.strip_prefix("file-").unwrap();
        assert_eq!(digits.len(), 32);
        assert!(digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
    }

    #[test]
    fn a_seed_decides_all_ids() {
        let (one, two) = (Ids::new(Some(1), None), Ids::new(Some(1), None));
        assert_eq!(one.next("req_"), two.next("req_"));
        assert_eq!(one.of("req_", &["a", "b"]), two.of("req_", &["a", "b"]));
        assert_ne!(one.of("req_", &["a", "b"]), one.of("req_", &["ab", ""]));
        assert_ne!(one.of("req_", &["a"])[4..], one.of("file-", &["a"])[5..]);
        assert_ne!(one.next("req_"), Ids::new(Some(2), None).next("req_"));
    }

    #[test]
    fn what_is_kept_decides_ids_of_parts_and_not_new_ones() {
        let (one, two) = (Ids::new(None, Some([7; 16])), Ids::new(Some(1), Some([7; 16])));
        assert_eq!(one.of("req_", &["a"]), two.of("req_", &["a"]));
        assert_ne!(one.of("req_", &["a"]), Ids::new(None, Some([8; 16])).of("req_", &["a"]));
        assert_ne!(one.next("req_"), two.next("req_"));
    }

    #[test]
    fn hex_is_lowercase_and_padded() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
