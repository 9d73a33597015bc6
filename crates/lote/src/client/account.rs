//! Whose batches are made, without a secret in it.

use sha2::{Digest, Sha256};

/// The key and the end user of a client, as the first digits of their hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) key: String,
    pub(crate) user: Option<String>,
}

impl Account {
    pub(super) fn new(key: &str, user: Option<&str>) -> Self {
        Self { key: digits(key), user: user.map(digits) }
    }
}

/// The first 12 hexadecimal digits of the SHA-256 of a text: enough to tell two apart, too few to find the text.
pub(super) fn digits(text: &str) -> String {
    Sha256::digest(text).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}
