//! Owns the download that goes on where an earlier one broke off, which the contract does not name; never decides
//! whether what comes is the rest.

use progenitor_client::{ClientHooks, OperationInfo, encode_path};
use reqwest::header::{HeaderValue, IF_RANGE, RANGE};

use crate::generated::{ByteStream, Client, Error, ResponseValue};

impl Client {
    /// The content of a file from this byte on: `GET /files/{file_id}/content` with a Range. Answered with 206 and the
    /// rest, or with 200 and the whole where the service does not know ranges or the file no longer has this entity tag.
    pub async fn get_file_content_from(
        &self,
        file_id: &str,
        first_byte: u64,
        entity_tag: Option<&HeaderValue>,
    ) -> Result<ResponseValue<ByteStream>, Error<()>> {
        let url = format!("{}/files/{}/content", self.baseurl, encode_path(file_id));
        let mut request = self.client.get(url).header(RANGE, format!("bytes={first_byte}-"));
        if let Some(tag) = entity_tag {
            request = request.header(IF_RANGE, tag);
        }
        let mut request = request.build()?;
        let info = OperationInfo { operation_id: "get_file_content" };
        self.pre(&mut request, &info).await?;
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        let response = result?;
        if response.status().is_success() {
            Ok(ResponseValue::stream(response))
        } else {
            Err(Error::UnexpectedResponse(response))
        }
    }
}
