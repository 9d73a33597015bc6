//! The tenant: whose files and batches a request may see.

use std::fmt;

/// One tenant: the digest of a key and an end user. Nothing of one tenant is reachable by another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Tenant([u8; 32]);

impl Tenant {
    /// The tenant that `digest`, made of a key and an end user, stands for.
    pub(crate) fn new(digest: [u8; 32]) -> Tenant {
        Tenant(digest)
    }

    /// The digest.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tenant(..)")
    }
}
