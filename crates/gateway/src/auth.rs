//! Owns who is asking: bearer keys, `X-On-Behalf-Of`, the tenant they make. Never keeps or prints
//! a key; only digests of keys are held.

use std::fmt;

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::error::ApiError;

/// One tenant: the digest of (key, end user). Nothing of one tenant is reachable by another.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Tenant([u8; 32]);

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tenant(..)")
    }
}

/// The keys that are let in: with none configured, any non-empty one is.
#[derive(Clone, Default)]
pub(crate) struct Keys {
    digests: Vec<[u8; 32]>,
    blank: bool,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.digests.len())
    }
}

impl Keys {
    pub(crate) fn add(&mut self, key: &str) {
        self.blank |= key.trim().is_empty();
        self.digests.push(Sha256::digest(key.as_bytes()).into());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Whether one of them could never be sent.
    pub(crate) fn has_blank(&self) -> bool {
        self.blank
    }

    /// Compares with every key, and each in constant time.
    fn admits(&self, key: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(key).into();
        let found = self.digests.iter().fold(Choice::from(0), |found, known| found | known.ct_eq(&digest));
        self.digests.is_empty() || bool::from(found)
    }

    /// The tenant of a request, from its headers.
    ///
    /// The scheme is taken in any case. An empty `X-On-Behalf-Of` counts as none.
    pub(crate) fn tenant(&self, headers: &HeaderMap) -> Result<Tenant, ApiError> {
        let mut sent = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (sent.next(), sent.next()) else {
            return Err(ApiError::unauthorized());
        };
        let key = bearer(value.as_bytes()).ok_or_else(ApiError::unauthorized)?;
        if !self.admits(key) {
            return Err(ApiError::unauthorized());
        }
        let mut digest = Sha256::new();
        digest.update((key.len() as u64).to_le_bytes());
        digest.update(key);
        if let Some(user) = headers.get("x-on-behalf-of") {
            digest.update(user.as_bytes().trim_ascii());
        }
        Ok(Tenant(digest.finalize().into()))
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, key) = value.split_at_checked(7)?;
    let key = key.trim_ascii();
    (scheme.eq_ignore_ascii_case(b"bearer ") && !key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn keys_are_told_apart_and_never_shown() {
        let mut keys = Keys::default();
        keys.add("sk-secret");
        keys.add("sk-other");
        assert!(keys.tenant(&headers(&[("authorization", "Bearer sk-secret")])).is_ok());
        assert!(keys.tenant(&headers(&[("authorization", "bearer sk-other")])).is_ok());
        for bad in ["Bearer sk-secre", "Bearer ", "Bearer", "Basic sk-secret", "sk-secret", ""] {
            assert!(keys.tenant(&headers(&[("authorization", bad)])).is_err(), "{bad:?}");
        }
        assert!(keys.tenant(&headers(&[])).is_err());
        assert!(!format!("{keys:?}").contains("secret"));
    }

    #[test]
    fn key_and_user_cannot_be_shifted_into_one_another() {
        let keys = Keys::default();
        let one = headers(&[("authorization", "Bearer ab"), ("x-on-behalf-of", "c")]);
        let two = headers(&[("authorization", "Bearer a"), ("x-on-behalf-of", "bc")]);
        assert_ne!(keys.tenant(&one).unwrap(), keys.tenant(&two).unwrap());
    }
}
