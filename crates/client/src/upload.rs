//! Owns the multipart upload, which progenitor does not generate; never opens or names a file.

use progenitor_client::{ClientHooks, OperationInfo};
use reqwest::{
    Body,
    multipart::{Form, Part},
};

use crate::{
    answer,
    generated::{Client, Error, ResponseValue, types},
};

/// The parts of an upload.
#[derive(Debug)]
pub struct Upload {
    /// Where it goes, below the base URL: `/files`.
    pub path: String,
    /// The fields of the form before the file: `purpose` and what else the service takes.
    pub fields: Vec<(String, String)>,
    /// The name that the service is told.
    pub file_name: String,
    /// The media type that the service is told.
    pub media_type: String,
    /// The bytes, as a stream.
    pub body: Body,
    /// How many bytes there are, when it is known: a service may refuse a body without a length.
    pub length: Option<u64>,
}

impl Client {
    /// Uploads a file: `POST /files`, or to another path.
    pub async fn upload_file(&self, upload: Upload) -> Result<ResponseValue<types::File>, Error<()>> {
        let Upload { path, fields, file_name, media_type, body, length } = upload;
        let part = match length {
            Some(length) => Part::stream_with_length(body, length),
            None => Part::stream(body),
        };
        let part = part.file_name(file_name).mime_str(&media_type)?;
        // The purpose before the file, so that a server knows it when the bytes arrive.
        let form = fields.into_iter().fold(Form::new(), |form, (name, value)| form.text(name, value));
        let form = form.part("file", part);

        let mut request = self
            .client
            .post(format!("{}{path}", self.baseurl))
            .header(reqwest::header::ACCEPT, "application/json")
            .multipart(form)
            .build()?;
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
