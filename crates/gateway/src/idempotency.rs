//! Owns which create an `Idempotency-Key` has made. Never obeys a key unless it is enabled: neither
//! MKA1 nor OpenAI documents one; OGX does (contract facts 5.4).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::{HeaderMap, StatusCode};

use crate::auth::Tenant;
use crate::batches::CreateBody;
use crate::error::ApiError;

/// Longest key, in bytes: Stripe's bound, since OGX names none.
const LONGEST: usize = 255;

/// The keys of all tenants and what they have made, until the gateway ends.
#[derive(Debug, Default)]
pub(crate) struct Idempotency(Option<Mutex<Made>>);

/// For a tenant and its key: what was asked for, and the id of the batch that came of it.
type Made = HashMap<(Tenant, String), (CreateBody, String)>;

/// What a create is to do.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A batch was made now.
    New,
    /// The batch with this id was made before.
    Again(String),
}

impl Idempotency {
    pub(crate) fn new(enabled: bool) -> Idempotency {
        Idempotency(enabled.then(Mutex::default))
    }

    /// Creates, or finds what the same key has created. `create` returns the id of its batch; while
    /// it does, no other create with a key begins.
    pub(crate) fn once(
        &self,
        tenant: Tenant,
        key: Option<&str>,
        asked: &CreateBody,
        create: impl FnOnce() -> Result<String, ApiError>,
    ) -> Result<Outcome, ApiError> {
        let (Some(made), Some(key)) = (&self.0, key) else { return create().map(|_| Outcome::New) };
        if key.is_empty() || key.len() > LONGEST {
            let message = format!("Invalid 'Idempotency-Key': expected 1 to {LONGEST} bytes, got {}.", key.len());
            return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
        }
        let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (tenant, key.to_owned());
        match made.get(&place) {
            Some((before, id)) if before == asked => Ok(Outcome::Again(id.clone())),
            Some(_) => Err(ApiError::new(
                StatusCode::CONFLICT,
                "This Idempotency-Key was used with other parameters; use another key for another batch.",
            )),
            None => {
                let id = create()?;
                made.insert(place, (asked.clone(), id));
                Ok(Outcome::New)
            }
        }
    }
}

/// The key in a create's headers, as text.
pub(crate) fn key(headers: &HeaderMap) -> Option<String> {
    headers.get("idempotency-key").map(|key| String::from_utf8_lossy(key.as_bytes()).trim().to_owned())
}
