//! Who is asking: bearer keys, `X-On-Behalf-Of`, the tenant they make. Only digests of keys are held.

use std::fmt;

use axum::http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::error::ApiError;
use crate::tenant::{AccountId, Tenant};

/// The keys that are let in: with none configured, any non-empty one is.
#[derive(Clone, Default)]
pub(crate) struct Keys {
    known: Vec<Known>,
    blank: bool,
}

#[derive(Clone)]
struct Known {
    digest: [u8; 32],
    name: String,
    account: AccountId,
}

/// Who sent a request.
#[derive(Debug)]
pub(crate) struct Identity<'a> {
    pub(crate) tenant: Tenant,
    /// The digest of the key alone.
    pub(crate) key: [u8; 32],
    pub(crate) account: AccountId,
    /// What the key is called; none when any key is let in.
    pub(crate) name: Option<&'a str>,
    pub(crate) user: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} keys", self.known.len())
    }
}

impl Keys {
    /// Without a name it is called by its place. Keys of one name are one account, so that a key can be replaced.
    pub(crate) fn add(&mut self, key: &str, name: Option<&str>) {
        self.blank |= key.trim().is_empty();
        let digest = Sha256::digest(key.as_bytes()).into();
        let account = name.map_or(AccountId::new(digest), AccountId::named);
        let name = name.map_or_else(|| format!("key-{}", self.known.len() + 1), str::to_owned);
        self.known.push(Known { digest, name, account });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether one of them could never be sent.
    pub(crate) fn has_blank(&self) -> bool {
        self.blank
    }

    /// Whether a key is let in, and what it is called. Compares with every key, and each in constant
    /// time.
    fn admits(&self, digest: &[u8; 32]) -> Option<Option<&Known>> {
        if self.known.is_empty() {
            return Some(None);
        }
        let mut found = Choice::from(0);
        let mut place = 0_u64;
        for (at, known) in (0_u64..).zip(&self.known) {
            let same = known.digest.ct_eq(digest);
            place.conditional_assign(&at, same);
            found |= same;
        }
        let known = usize::try_from(place).ok().and_then(|place| self.known.get(place))?;
        bool::from(found).then_some(Some(known))
    }

    /// Who sent a request, from its headers.
    ///
    /// The scheme is taken in any case. An empty `X-On-Behalf-Of` counts as none; two are a 400, even when they are the
    /// same, since a proxy and a service may each choose another one of them.
    pub(crate) fn identify(&self, headers: &HeaderMap) -> Result<Identity<'_>, ApiError> {
        let mut sent = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (sent.next(), sent.next()) else {
            return Err(ApiError::unauthorized());
        };
        let key = bearer(value.as_bytes()).ok_or_else(ApiError::unauthorized)?;
        let key_digest = Sha256::digest(key).into();
        let known = self.admits(&key_digest).ok_or_else(ApiError::unauthorized)?;
        let account = known.map_or(AccountId::new(key_digest), |known| known.account);
        let mut digest = Sha256::new();
        digest.update(account.as_bytes());
        let user = once(headers, "X-On-Behalf-Of")?.map(|user| user.as_bytes().trim_ascii()).unwrap_or_default();
        digest.update(user);
        let user = (!user.is_empty()).then(|| String::from_utf8_lossy(user).into_owned());
        let name = known.map(|known| known.name.as_str());
        Ok(Identity { tenant: Tenant::new(digest.finalize().into()), key: key_digest, account, name, user })
    }
}

/// The value of a header that may come once.
pub(crate) fn once<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a HeaderValue>, ApiError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(ApiError::repeated_header(name)),
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
        keys.add("sk-secret", None);
        keys.add("sk-other", Some("acme"));
        let name = |value| keys.identify(&headers(&[("authorization", value)])).unwrap().name;
        assert_eq!(name("Bearer sk-secret"), Some("key-1"));
        assert_eq!(name("bearer sk-other"), Some("acme"));
        for bad in ["Bearer sk-secre", "Bearer ", "Bearer", "Basic sk-secret", "sk-secret", ""] {
            assert!(keys.identify(&headers(&[("authorization", bad)])).is_err(), "{bad:?}");
        }
        assert!(keys.identify(&headers(&[])).is_err());
        assert!(!format!("{keys:?}").contains("secret"));
    }

    #[test]
    fn key_and_user_cannot_be_shifted_into_one_another() {
        let keys = Keys::default();
        let one = headers(&[("authorization", "Bearer ab"), ("x-on-behalf-of", "c")]);
        let two = headers(&[("authorization", "Bearer a"), ("x-on-behalf-of", "bc")]);
        assert_ne!(keys.identify(&one).unwrap().tenant, keys.identify(&two).unwrap().tenant);
    }

    #[test]
    fn whoever_names_two_end_users_is_refused() {
        let keys = Keys::default();
        for (one, two) in [("a", "b"), ("a", "a"), ("a", ""), ("", "")] {
            let sent = headers(&[("authorization", "Bearer k"), ("x-on-behalf-of", one)]);
            assert!(keys.identify(&sent).is_ok());
            let mut sent = sent;
            sent.append("x-on-behalf-of", two.parse().unwrap());
            let refused = format!("{:?}", keys.identify(&sent).unwrap_err());
            assert!(refused.contains("400") && refused.contains("X-On-Behalf-Of"), "{refused}");
        }
    }
}
