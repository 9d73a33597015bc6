//! The tenant: whose files and batches a request may see.

use std::fmt;

use sha2::{Digest, Sha256};

/// One tenant: the digest of a key and an end user. Nothing of one tenant is reachable by another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Tenant([u8; 32]);

impl Tenant {
    /// The tenant that `digest`, made of a key and an end user, stands for.
    pub(crate) const fn new(digest: [u8; 32]) -> Tenant {
        Tenant(digest)
    }

    /// The digest.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// Who pays: the keys of one name, or one key, with all its end users. A digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct AccountId([u8; 32]);

impl AccountId {
    pub(crate) const fn new(digest: [u8; 32]) -> AccountId {
        AccountId(digest)
    }

    /// The account of all keys of this name.
    pub(crate) fn named(name: &str) -> AccountId {
        let mut digest = Sha256::new();
        digest.update(b"account ");
        digest.update(name);
        AccountId(digest.finalize().into())
    }

    /// The digest.
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountId(..)")
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tenant(..)")
    }
}
