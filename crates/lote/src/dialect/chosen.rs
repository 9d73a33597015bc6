//! Owns what a dialect makes of what is sent, and refuses what its service would not understand; never sends anything.

use std::collections::HashMap;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::{
    Dialect, DialectChoice,
    table::{ExpiresAfter, Idempotency, Most},
};
use crate::{Error, UploadPurpose, secrets::Secrets};

/// A dialect and how it was chosen, for what is sent: its errors say both.
#[derive(Clone, Debug)]
pub(crate) struct ChosenDialect {
    pub(crate) dialect: Dialect,
    pub(crate) choice: DialectChoice,
}

/// What is asked of a create beyond the contract's body.
pub(crate) struct Asked<'a> {
    pub(crate) endpoint: &'a str,
    pub(crate) window: Option<&'a str>,
    pub(crate) metadata: &'a HashMap<String, String>,
    pub(crate) max_concurrency: bool,
    pub(crate) output_expires_after: bool,
}

/// The parts of an upload's form that a dialect spells.
#[derive(Clone)]
pub(crate) struct Form {
    pub(crate) path: String,
    pub(crate) media_type: String,
    pub(crate) file_name: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl ChosenDialect {
    /// The error for what the dialect does not know.
    fn refuse(&self, what: impl std::fmt::Display) -> Error {
        Error::invalid(format!(
            "dialect {} ({}) {what}; nothing was sent; if the service speaks another dialect, name it (--dialect, LOTE_DIALECT)",
            self.dialect.name(),
            self.choice
        ))
    }

    /// Where the key goes, marked as a secret.
    pub(crate) fn authorization(&self, key: &str) -> Result<(HeaderName, HeaderValue), Error> {
        let auth = &self.dialect.0.auth;
        let value = match auth.scheme.0.as_str() {
            "" => key.to_owned(),
            scheme => format!("{scheme} {key}"),
        };
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| Error::invalid("API key: it holds characters that no header can carry"))?;
        value.set_sensitive(true);
        Ok((auth.header.0.clone(), value))
    }

    /// The headers of every call, but for the key.
    pub(crate) fn headers(&self, on_behalf_of: Option<HeaderValue>) -> Result<HeaderMap, Error> {
        let table = &self.dialect.0;
        if !table.service {
            return Err(self.refuse("is of files, and has no service to talk to"));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &table.headers {
            let mut value = HeaderValue::from_str(&value.0)
                .map_err(|_| Error::invalid(format!("dialect: header {}: no header can carry it", name.0)))?;
            value.set_sensitive(true);
            headers.insert(name.0.clone(), value);
        }
        if let Some(user) = on_behalf_of {
            if !table.on_behalf_of {
                // A service that ignores it would show every user what belongs to the others.
                return Err(self.refuse("does not understand X-On-Behalf-Of, and would mix up the end users"));
            }
            headers.insert(lote_client::ON_BEHALF_OF, user);
        }
        Ok(headers)
    }

    /// What must not be shown when a service repeats it: the key, and the values of the table's headers and of its
    /// query, of which it is not known which are secret.
    pub(crate) fn secrets(&self, key: &str) -> Secrets {
        let table = &self.dialect.0;
        let headers = table.headers.iter().map(|(name, value)| (name.0.as_str(), value.0.as_str()));
        let query = table.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Secrets::new(key, headers.chain(query))
    }

    /// What every URL ends in.
    pub(crate) fn query(&self) -> Vec<(String, String)> {
        self.dialect.0.query.clone().into_iter().collect()
    }

    /// The fields of a create's body that the dialect spells.
    pub(crate) fn create(&self, asked: &Asked<'_>) -> Result<Map<String, Value>, Error> {
        let rules = &self.dialect.0.create;
        let (endpoint, offered) = (asked.endpoint, self.dialect.endpoints());
        if !offered.iter().any(|offered| offered == endpoint) {
            return Err(self.refuse(format_args!("does not take endpoint {endpoint}, only {}", offered.join(", "))));
        }
        let default = rules.windows.first().map_or("24h", |window| window.first());
        let window = asked.window.unwrap_or(default);
        if !rules.windows.iter().any(|offered| offered.takes(window)) {
            let offered = self.dialect.windows().join(", ");
            return Err(self.refuse(format_args!("does not offer a completion window of {window:?}, only {offered}")));
        }
        if asked.max_concurrency && !rules.max_concurrency {
            return Err(self.refuse("does not know max_concurrency"));
        }
        if asked.output_expires_after && !rules.output_expires_after {
            return Err(self.refuse("does not know output_expires_after, and would keep the files"));
        }
        self.metadata(asked.metadata)?;

        let mut fields = Map::new();
        for (name, value) in &rules.fields {
            let value = serde_json::to_value(value)
                .map_err(|error| Error::invalid(format!("dialect: create.fields.{name}: {error}")))?;
            fields.insert(name.clone(), value);
        }
        let spelled = rules.spelling.get(endpoint).map_or(endpoint, String::as_str);
        fields.insert("endpoint".to_owned(), spelled.into());
        fields.insert("completion_window".to_owned(), window.into());
        Ok(fields)
    }

    fn metadata(&self, metadata: &HashMap<String, String>) -> Result<(), Error> {
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
    pub(crate) fn idempotency(&self, key: &str) -> Result<(HeaderMap, Map<String, Value>), Error> {
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

    /// Whether the service hashes its files.
    pub(crate) fn knows_sha256(&self) -> bool {
        self.dialect.0.list.sha256
    }

    /// Refuses a list of files that are looked for by their hash where the hash would be ignored.
    pub(crate) fn sha256_filter(&self) -> Result<(), Error> {
        match self.dialect.0.list.sha256 {
            true => Ok(()),
            false => Err(self.refuse("does not know the filter sha256, and would list every file")),
        }
    }

    /// Refuses an input file that is larger than the service is known to take.
    pub(crate) fn input_bytes(&self, bytes: u64) -> Result<(), Error> {
        match self.dialect.0.limits.bytes {
            Some(Most::Of(most)) if bytes > most => {
                Err(self.refuse(format_args!("takes input files of {most} bytes at the most, not of {bytes}")))
            }
            _ => Ok(()),
        }
    }

    /// The form of an upload.
    pub(crate) fn upload(&self, name: &str, purpose: UploadPurpose, expires_after: Option<i64>) -> Result<Form, Error> {
        let rules = &self.dialect.0.upload;
        let batch = purpose == UploadPurpose::Batch;
        let file_name = self.file_name(name, batch)?;
        let mut fields =
            vec![("purpose".to_owned(), if batch { rules.purpose.clone() } else { purpose.as_str().to_owned() })];
        if let Some(name) = &rules.name_field {
            fields.push((name.clone(), file_name.clone()));
        }
        if batch {
            fields.extend(rules.fields.clone());
        }
        if let Some(seconds) = expires_after {
            if let Some(least) = rules.expires_after_least.filter(|least| seconds < *least) {
                return Err(self.refuse(format_args!("keeps files for {least} seconds at the least, not {seconds}")));
            }
            let (anchor, after) = match rules.expires_after {
                ExpiresAfter::None => return Err(self.refuse("does not know expires_after, and would keep the file")),
                ExpiresAfter::Brackets => ("expires_after[anchor]", "expires_after[seconds]"),
                ExpiresAfter::Dots => ("expires_after.anchor", "expires_after.seconds"),
            };
            fields.push((anchor.to_owned(), "created_at".to_owned()));
            fields.push((after.to_owned(), seconds.to_string()));
        }
        let media_type = if batch { rules.media_type.0.as_str() } else { "application/octet-stream" };
        Ok(Form { path: rules.path.0.clone(), media_type: media_type.to_owned(), file_name, fields })
    }

    /// A name that the service takes.
    fn file_name(&self, name: &str, batch: bool) -> Result<String, Error> {
        let rules = &self.dialect.0.upload;
        let name = name.trim();
        if name.is_empty() {
            return Err(Error::invalid("upload: the file has no name; give one"));
        }
        let mut name = name.replace(char::is_control, "_");
        if batch && !name.ends_with(&rules.suffix) {
            name.push_str(&rules.suffix);
        }
        if rules.refused_names.contains(&name) {
            name.push_str(".bin");
        }
        Ok(name)
    }
}
