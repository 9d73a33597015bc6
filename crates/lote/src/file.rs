//! What a stored file is to its user, and how it is read from an answer.

use lote_client::types as wire;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use crate::{Error, FileId, FilePurpose, FileStatus, UnixSeconds, bound, field, field::Field};

/// A stored file, as a service described it.
///
/// Serialises as the service's own JSON without its nulls, fields that the contract does not name included, and is read
/// back from that through the same checks as an answer. Sources: MKA1's page "upload a file" and its SDK 0.12.128;
/// OpenAI's API description of 2026-08-21.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct File {
    /// The id of the file.
    pub id: FileId,
    /// Its size in bytes, in the contract's [range](crate::bound::FILE_BYTES), which allows less than 0. One server sends
    /// an estimate for output files.
    pub bytes: Option<i64>,
    /// When it was stored.
    pub created_at: Option<UnixSeconds>,
    /// When the service deletes it.
    pub expires_at: Option<UnixSeconds>,
    /// The name that it was uploaded under.
    pub filename: Option<String>,
    /// What it is for.
    pub purpose: Option<FilePurpose>,
    /// Whether it was processed. Deprecated by the services.
    pub status: Option<FileStatus>,
    /// Why it was not processed. Deprecated by the services.
    pub status_details: Option<String>,
    /// The SHA-256 of its content, in lowercase hexadecimal digits. MKA1 only.
    pub sha256: Option<String>,
    raw: Map<String, Value>,
}

impl File {
    /// The fields of the contract, in its order.
    pub const FIELDS: &'static [&'static str] = &[
        "id",
        "object",
        "bytes",
        "created_at",
        "expires_at",
        "filename",
        "purpose",
        "status",
        "status_details",
        "sha256",
    ];

    /// The field of the service's own JSON, for what the contract does not name.
    pub fn raw(&self, field: &str) -> Option<&Value> {
        self.raw.get(field)
    }

    pub(crate) fn read(at: &str, wire: wire::File) -> Result<Self, Error> {
        let raw = field::raw(&wire);
        let wire::File {
            id,
            object: _,
            bytes,
            created_at,
            expires_at,
            filename,
            purpose,
            status,
            status_details,
            sha256,
            extra: _,
        } = wire;
        let field = |name, value| Field::new(at, name, value);
        Ok(Self {
            id: field("id", id)
                .id(FileId::new)?
                .ok_or_else(|| Error::undecodable(format!("{at}.id: it is missing: this is no file")))?,
            bytes: field("bytes", bytes).integer(&bound::FILE_BYTES)?,
            created_at: field("created_at", created_at).instant()?,
            expires_at: field("expires_at", expires_at).instant()?,
            filename: field("filename", filename).text()?,
            purpose: field("purpose", purpose).text()?.map(|text| FilePurpose::from(text.as_str())),
            status: field("status", status).text()?.map(|text| FileStatus::from(text.as_str())),
            status_details: field("status_details", status_details).text()?,
            sha256: field("sha256", sha256).text()?,
            raw,
        })
    }
}

impl Serialize for File {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        field::in_order(&self.raw, Self::FIELDS, serializer)
    }
}

impl<'de> Deserialize<'de> for File {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read("file", wire::File::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// The answer to a deletion.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deletion {
    /// The file that was deleted.
    pub id: FileId,
    /// Whether it is gone. Services answer a refusal with an error, not with false.
    pub deleted: bool,
}

impl Deletion {
    pub(crate) fn read(asked: &FileId, wire: wire::FileDeletion) -> Result<Self, Error> {
        let wire::FileDeletion { id: _, object: _, deleted, extra: _ } = wire;
        let deleted = Field::new("file", "deleted", deleted).flag()?.unwrap_or(true);
        Ok(Self { id: asked.clone(), deleted })
    }
}
