//! What a dialect makes of a create, and what it refuses of one before anything is sent.

use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
};

use lote_client::types as wire;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};

use super::{
    ChosenDialect,
    table::{Idempotency, Most},
};
use crate::{BatchOptions, Error, ExpiresAfter, FileId, lines};

impl ChosenDialect {
    /// Refuses an endpoint that the service does not take.
    pub(crate) fn check_endpoint(&self, endpoint: &str) -> Result<(), Error> {
        let offered = self.dialect.endpoints();
        match offered.iter().any(|offered| offered == endpoint) {
            true => Ok(()),
            false => Err(self.refuse(format_args!("does not take endpoint {endpoint}, only {}", offered.join(", ")))),
        }
    }

    /// Refuses options that no service would understand, or that this one would not.
    pub(crate) fn check_batch(&self, options: &BatchOptions) -> Result<(), Error> {
        options.check()?;
        let rules = &self.dialect.0.create;
        if let Some(window) = &options.completion_window
            && !rules.windows.iter().any(|offered| offered.takes(window))
        {
            let offered = self.dialect.windows().join(", ");
            return Err(self.refuse(format_args!("does not offer a completion window of {window:?}, only {offered}")));
        }
        if options.max_concurrency.is_some() && !rules.max_concurrency {
            return Err(self.refuse("does not know max_concurrency"));
        }
        if options.output_expires_after.is_some() && !rules.output_expires_after {
            return Err(self.refuse("does not know output_expires_after, and would keep the files"));
        }
        if let Some(name) = options.fields.keys().find(|name| rules.is_idempotency(name)) {
            let own = ".idempotency_key(…), --idempotency-key";
            return Err(
                self.refuse(format_args!("has the idempotency key in the field {name}, which is given by {own}"))
            );
        }
        if let Some(key) = &options.idempotency_key {
            self.idempotency(key)?;
        }
        self.check_metadata(&options.metadata)
    }

    /// Whether a create may carry these options, of which a pair of metadata is only for people to read.
    pub(crate) fn has_room_for(&self, options: &BatchOptions) -> bool {
        self.dialect.0.create.metadata && self.check_batch(options).is_ok()
    }

    /// The headers and the body of a create.
    ///
    /// # Errors
    /// Those of the two checks.
    pub(crate) fn create(
        &self,
        input: &FileId,
        endpoint: &str,
        options: BatchOptions,
    ) -> Result<(HeaderMap, wire::CreateBatchRequest), Error> {
        self.check_endpoint(endpoint)?;
        self.check_batch(&options)?;
        let rules = &self.dialect.0.create;
        let BatchOptions {
            metadata,
            completion_window,
            max_concurrency,
            output_expires_after,
            idempotency_key,
            fields,
            problems: _,
        } = options;
        let mut extra = Map::new();
        for (name, value) in &rules.fields {
            let value = lines::to_json(value)
                .map_err(|error| Error::invalid(format!("dialect: create.fields.{name}: {error}")))?;
            extra.insert(name.clone(), value);
        }
        extra.extend(fields);
        let (headers, key) = self.idempotency(&idempotency_key.unwrap_or_else(own_key))?;
        extra.extend(key);
        let window = rules.windows.first().map_or("24h", |window| window.first());
        let body = wire::CreateBatchRequest {
            input_file_id: input.as_str().to_owned(),
            endpoint: rules.spelling.get(endpoint).map_or(endpoint, String::as_str).to_owned(),
            completion_window: completion_window.unwrap_or_else(|| window.to_owned()),
            metadata: (!metadata.is_empty()).then(|| wire::Metadata(Some(metadata.into_iter().collect()))),
            max_concurrency,
            output_expires_after: output_expires_after.map(ExpiresAfter::wire),
            extra,
        };
        Ok((headers, body))
    }

    fn check_metadata(&self, metadata: &BTreeMap<String, String>) -> Result<(), Error> {
        let limits = &self.dialect.0.limits;
        let over = |limit: Option<Most>, count: usize| match limit {
            Some(Most::Of(most)) if count as u64 > most => Some(most),
            _ => None,
        };
        if let Some(most) = over(limits.metadata_pairs, metadata.len()) {
            return Err(self.refuse(format_args!("takes {most} pairs of metadata, not {}", metadata.len())));
        }
        for (key, value) in metadata {
            for (what, limit, text) in [("a key", limits.metadata_key, key), ("a value", limits.metadata_value, value)]
            {
                let count = text.chars().count();
                if let Some(most) = over(limit, count) {
                    let key: String = key.chars().take(40).collect();
                    return Err(self.refuse(format_args!(
                        "takes {what} of metadata of {most} characters, not the {count} of {key:?}"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Where an idempotency key goes: a header, a field of the body, or nowhere when it would not be honoured.
    pub(super) fn idempotency(&self, key: &str) -> Result<(HeaderMap, Map<String, Value>), Error> {
        let (mut headers, mut fields) = (HeaderMap::new(), Map::new());
        match &self.dialect.0.create.idempotency {
            Idempotency::None => {}
            Idempotency::Header(name) => {
                let value = HeaderValue::from_str(key).map_err(|_| {
                    Error::invalid(format!("idempotency key {key:?}: it holds characters that no header can carry"))
                })?;
                headers.insert(name.0.clone(), value);
            }
            Idempotency::Field(name) => {
                fields.insert(name.clone(), key.into());
            }
        }
        Ok((headers, fields))
    }
}

/// A random key.
fn own_key() -> String {
    // The standard library draws the first half from the system's randomness.
    format!("lote-{:016x}{:016x}", RandomState::new().hash_one(0), fastrand::u64(..))
}
