//! Owns the multipart upload, which progenitor does not generate; never opens or names a file.

use std::{io, pin::Pin};

use bytes::Bytes;
use futures_util::Stream;
use progenitor_client::{ClientHooks, OperationInfo};
use reqwest::{
    Body,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE},
};

use crate::{
    answer,
    form::Form,
    generated::{Client, Error, ResponseValue, types},
};

/// The parts of an upload.
pub struct Upload {
    /// Where it goes, below the base URL: `/files`.
    pub path: String,
    /// The fields of the form before the file: `purpose` and what else the service takes.
    pub fields: Vec<(String, String)>,
    /// The name that the service is told.
    pub file_name: String,
    /// The media type that the service is told.
    pub media_type: String,
    /// The bytes.
    pub body: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>,
    /// How many bytes there are, when it is known: a service may refuse a body without a length.
    pub length: Option<u64>,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("path", &self.path).field("length", &self.length).finish_non_exhaustive()
    }
}

impl Client {
    /// Uploads a file: `POST /files`, or to another path.
    pub async fn upload_file(&self, upload: Upload) -> Result<ResponseValue<types::File>, Error<()>> {
        let Upload { path, fields, file_name, media_type, body, length } = upload;
        if media_type.contains(char::is_control) {
            return Err(Error::InvalidRequest(format!("a media type is one line: {media_type:?}")));
        }
        // The purpose before the file, so that a server knows it when the bytes arrive.
        let form = Form::new(&fields, &file_name, &media_type);
        let mut request = self
            .client
            .post(format!("{}{path}", self.baseurl))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, form.content_type());
        if let Some(length) = length {
            request = request.header(CONTENT_LENGTH, form.length(length));
        }
        let mut request = request.body(Body::wrap_stream(form.around(body))).build()?;
        let info = OperationInfo { operation_id: "upload_file" };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        if response.status().is_success() {
            answer::decoded(response).await
        } else {
            Err(Error::UnexpectedResponse(response))
        }
    }
}
