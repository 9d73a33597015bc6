//! What a dialect makes of what is sent, and what it refuses because its service would not understand it.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::{
    Dialect, DialectChoice,
    table::{ExpiresAfter, Most},
};
use crate::{Error, UploadPurpose, secrets::Secrets};

/// A dialect and how it was chosen, for what is sent: its errors say both.
#[derive(Clone, Debug)]
pub(crate) struct ChosenDialect {
    pub(crate) dialect: Dialect,
    pub(crate) choice: DialectChoice,
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
    pub(super) fn refuse(&self, what: impl std::fmt::Display) -> Error {
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
                // A service that ignores the header would show every end user the others' batches.
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
