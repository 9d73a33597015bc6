//! The upload of a file: a multipart form, its parts in any order, written to disk as it arrives.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use multer::{Constraints, Field, Multipart, SizeLimit};
use serde_json::{Value, json};

use crate::app::App;
use crate::blobs::Spool;
use crate::contract::{UPLOAD_PURPOSES, View};
use crate::error::{ApiError, quote};
use crate::expiry;
use crate::files::paced::{HeadTooLong, Paced, Pacer};
use crate::files::{media, name};
use crate::http::{Caller, Kept, text};
use crate::journal::Event;
use crate::state::{NewFile, State as Keeper};
use crate::tenant::AccountId;

/// Largest part that is not the file, in bytes.
const TEXT_LIMIT: usize = 1024;

/// Longest name of a file, in bytes.
const LONGEST_NAME: usize = 1024;

/// Most a form may hold beside the file: boundaries, heads, texts; in bytes.
const FORM_OVERHEAD: u64 = 64 * 1024;

/// What has arrived of the form.
#[derive(Debug, Default)]
struct Form {
    file: Option<Received>,
    purpose: Option<String>,
    /// `expires_after`, from whichever parts it came in.
    expires_after: Option<Value>,
}

impl Form {
    /// Sets one field of `expires_after`; returns whether it was set before.
    fn expire(&mut self, field: &str, value: Value) -> bool {
        let expires_after = self.expires_after.get_or_insert_with(|| json!({}));
        match expires_after {
            Value::Object(fields) => fields.insert(field.to_owned(), value).is_some(),
            _ => true,
        }
    }
}

#[derive(Debug)]
struct Received {
    filename: String,
    media_type: Option<&'static str>,
    spool: Spool,
}

/// `POST /files`
pub(crate) async fn upload(
    State(app): State<Arc<App>>,
    caller: Caller,
    Kept(state): Kept,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let boundary = boundary(&headers)?;
    let most = app.settings.max_file_bytes.max(app.settings.max_upload_bytes);
    if declared_length(&headers).is_some_and(|length| length > most.saturating_add(FORM_OVERHEAD)) {
        return Err(ApiError::too_large(most));
    }
    let pacer = Pacer::default();
    let limits = Constraints::new().size_limit(SizeLimit::new().whole_stream(most.saturating_add(FORM_OVERHEAD)));
    let body = Paced::new(body.into_data_stream(), pacer.clone());
    let parts = Multipart::with_constraints(body, boundary, limits);
    let form = receive(&app, &caller.account, caller.view, parts, &pacer).await?;
    store(&app, state, caller, form).await
}

/// The boundary of the form; another content type is a 415.
fn boundary(headers: &HeaderMap) -> Result<String, ApiError> {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    multer::parse_boundary(value.unwrap_or_default()).map_err(|error| match error {
        multer::Error::NoBoundary => {
            ApiError::new(StatusCode::BAD_REQUEST, "The content type 'multipart/form-data' has no boundary.")
        }
        _ => ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "Unsupported content type: send the file as 'multipart/form-data'.",
        ),
    })
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn receive(
    app: &App,
    account: &AccountId,
    view: View,
    mut parts: Multipart<'_>,
    pacer: &Pacer,
) -> Result<Form, ApiError> {
    let mut form = Form::default();
    loop {
        pacer.expect_head();
        let Some(part) = parts.next_field().await? else { return Ok(form) };
        let name = part.name().unwrap_or_default().to_owned();
        let repeated = match name.as_str() {
            "file" => {
                let limit = size_limit(app, form.purpose.as_deref());
                let spool = app.state.spool(account).await.map_err(|error| ApiError::storage(&error))?;
                let received = receive_file(spool, view, part, pacer, limit).await?;
                form.file.replace(received).is_some()
            }
            "purpose" => form.purpose.replace(receive_text(part, pacer).await?).is_some(),
            // As openapi.yaml has it: one part with JSON in it.
            "expires_after" => {
                let text = receive_text(part, pacer).await?;
                let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
                form.expires_after.replace(value).is_some()
            }
            // As OpenAI's clients have it, and as Azure has it.
            "expires_after[anchor]" | "expires_after.anchor" => {
                let anchor = receive_text(part, pacer).await?;
                form.expire("anchor", Value::String(anchor))
            }
            "expires_after[seconds]" | "expires_after.seconds" => {
                let text = receive_text(part, pacer).await?;
                let seconds = text.parse::<i64>().map_or(Value::String(text), Value::from);
                form.expire("seconds", seconds)
            }
            // OpenAI's description allows no further fields: CreateFileRequest has additionalProperties false.
            _ if view == View::OpenAi => {
                return Err(
                    ApiError::param(&name, format!("Unknown parameter: {}.", quote(&name))).code("unknown_parameter")
                );
            }
            _ => {
                receive_text(part, pacer).await?;
                false
            }
        };
        if repeated {
            return Err(ApiError::param(&name, format!("The part {} came twice.", quote(&name))));
        }
    }
}

/// The largest file there may be, as far as the purpose is known yet.
fn size_limit(app: &App, purpose: Option<&str>) -> u64 {
    let settings = &app.settings;
    match purpose {
        Some("batch") => settings.max_file_bytes,
        Some(_) => settings.max_upload_bytes,
        None => settings.max_file_bytes.max(settings.max_upload_bytes),
    }
}

async fn receive_file(
    mut spool: Spool,
    view: View,
    mut part: Field<'_>,
    pacer: &Pacer,
    limit: u64,
) -> Result<Received, ApiError> {
    let filename = name::of(&part).unwrap_or_default();
    if filename.trim().is_empty() {
        return Err(ApiError::param("file", "The file needs a name that is not blank."));
    }
    if filename.len() > LONGEST_NAME {
        return Err(ApiError::param("file", format!("The file's name is longer than {LONGEST_NAME} bytes.")));
    }
    if view == View::Mka1 && filename == "blob" {
        return Err(ApiError::param(
            "file",
            "The file name 'blob' counts as missing: send the file with a name of its own.",
        ));
    }
    let media_type = part.content_type().and_then(|media| media::known(media.essence_str()));
    pacer.expect_data();
    while let Some(piece) = part.chunk().await? {
        if piece.len() as u64 > limit - spool.bytes() {
            return Err(ApiError::too_large(limit));
        }
        spool.write(&piece).await.map_err(|error| ApiError::storage(&error))?;
    }
    Ok(Received { filename, media_type, spool })
}

async fn receive_text(part: Field<'_>, pacer: &Pacer) -> Result<String, ApiError> {
    pacer.expect_data();
    let name = part.name().unwrap_or_default().to_owned();
    let too_long = || ApiError::param(&name, format!("The part {} is too long.", quote(&name)));
    let bytes = text(part, TEXT_LIMIT).await?.ok_or_else(too_long)?;
    String::from_utf8(bytes).map_err(|_| ApiError::param(&name, format!("The part {} is not UTF-8.", quote(&name))))
}

/// A form that could not be read.
impl From<multer::Error> for ApiError {
    fn from(error: multer::Error) -> ApiError {
        match error {
            multer::Error::StreamReadFailed(cause) if cause.is::<HeadTooLong>() => {
                ApiError::new(StatusCode::BAD_REQUEST, "The head of a part of the form is too long.")
            }
            multer::Error::StreamReadFailed(cause) => ApiError::broken_body(cause.as_ref()),
            multer::Error::StreamSizeExceeded { limit } => ApiError::too_large(limit),
            other => ApiError::new(StatusCode::BAD_REQUEST, format!("The multipart form could not be read: {other}.")),
        }
    }
}

/// Checks the whole form and keeps the file.
async fn store(app: &Arc<App>, state: Arc<dyn Keeper>, caller: Caller, form: Form) -> Result<Json<Value>, ApiError> {
    let Form { file, purpose, expires_after } = form;
    let purpose = purpose.ok_or_else(|| ApiError::missing("purpose"))?;
    if !UPLOAD_PURPOSES.contains(&purpose.as_str()) {
        return Err(ApiError::unsupported("purpose", &purpose, &UPLOAD_PURPOSES));
    }
    let Received { filename, media_type, spool } = file.ok_or_else(|| ApiError::missing("file"))?;
    let limit = size_limit(app, Some(&purpose));
    if spool.bytes() > limit {
        return Err(ApiError::too_large(limit));
    }
    let asked = expiry::read("expires_after", expires_after.as_ref())?;
    let blob = spool.seal().await.map_err(|error| ApiError::storage(&error))?;
    let lives = asked.or_else(|| caller.view.file_life(&purpose));
    let file = NewFile { id: app.ids.next("file-"), filename, purpose, media_type, lives, blob: Arc::new(blob) };
    let add = async move { state.add_file(caller.tenant, caller.account, file).await };
    let file = app.to_its_end(add).await?;
    app.journal.record(caller.tenant, app.clock.now(), || Event::FileUploaded {
        file_id: file.id.clone(),
        filename: file.filename.clone(),
        purpose: file.purpose.clone(),
        bytes: file.blob.bytes(),
        sha256: file.blob.sha256().to_owned(),
    });
    Ok(Json(caller.view.file(&file)))
}
