//! Owns a request that is answered at once, at whatever endpoint, of which the contract names none; never reads a good answer.

use std::time::Duration;

use bytes::Bytes;
use progenitor_client::{ClientHooks, OperationInfo};
use reqwest::{
    Response,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap},
};

use crate::{
    generated::{Client, Error},
    hooks::ASK,
};

impl Client {
    /// Sends a JSON body to a path below the base URL, with these headers as well. A good answer comes as it is, its body
    /// still on its way; that of another status is here, as far as error answers are read. All of it has to come in this
    /// time.
    pub async fn ask(
        &self,
        path: &str,
        body: Bytes,
        headers: HeaderMap,
        timeout: Duration,
    ) -> Result<Response, Error<()>> {
        let mut request = self
            .client
            .post(format!("{}{path}", self.baseurl))
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .headers(headers)
            .body(body)
            .build()?;
        let info = OperationInfo { operation_id: ASK };
        self.pre(&mut request, &info).await?;
        *request.timeout_mut() = Some(timeout);
        let result = self.exec(request, &info).await;
        self.post(&result, &info).await?;
        Ok(result?)
    }
}
