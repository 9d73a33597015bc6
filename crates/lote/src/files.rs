//! The operations on files, but for the upload.

use std::path::PathBuf;

use futures_util::Stream;
use lote_client::types as wire;
use tokio::io::AsyncRead;

use crate::{
    Client, Content, Deletion, Error, File, FileId, Order, Page, Upload, UploadPurpose, bound,
    call::{decode, map_error},
    page::{self, WirePage},
    policy::Try,
};

/// The operations on files. See [`Client::files`].
#[derive(Clone, Debug)]
pub struct Files {
    client: Client,
}

impl Files {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The upload of a file on disk, streamed.
    pub fn upload(&self, path: impl Into<PathBuf>, purpose: UploadPurpose) -> Upload {
        Upload::from_path(self.client.clone(), path.into(), purpose)
    }

    /// The upload of what a reader gives, streamed. Say its [`length`](Upload::length) when it is known: some services
    /// take no body without one.
    pub fn upload_reader(
        &self,
        reader: impl AsyncRead + Send + 'static,
        file_name: impl Into<String>,
        purpose: UploadPurpose,
    ) -> Upload {
        Upload::from_reader(self.client.clone(), Box::pin(reader), file_name.into(), purpose)
    }

    /// What is known of a file.
    ///
    /// # Errors
    /// One that [`is_not_found`](Error::is_not_found) when there is none, or it is somebody else's.
    pub async fn get(&self, id: &FileId) -> Result<File, Error> {
        self.client.shared().retried(|_| self.look(id)).await
    }

    /// One look, tried once.
    pub(crate) async fn look(&self, id: &FileId) -> Result<File, Error> {
        let (shared, doing) = (self.client.shared(), format!("get file {id}"));
        let answer = map_error(shared, &doing, shared.calls().get_file(id.as_str()).await).await?;
        decode(shared, &doing, File::read("file", answer.into_inner()))
    }

    /// Deletes a file for good.
    ///
    /// # Errors
    /// One that [`is_not_found`](Error::is_not_found) when there is none.
    pub async fn delete(&self, id: &FileId) -> Result<Deletion, Error> {
        let (shared, doing) = (self.client.shared(), format!("delete file {id}"));
        let at = doing.as_str();
        let delete = |this: Try| async move {
            let answer = match shared.calls().delete_file(id.as_str()).await {
                // Azure answers 204 without a body.
                Err(lote_client::Error::InvalidResponsePayload(body, _)) if body.is_empty() => return Ok(None),
                answer => map_error(shared, at, answer).await,
            };
            match answer {
                // An earlier try, whose answer was lost, has deleted it.
                Err(error) if this.maybe_done && error.is_not_found() => Ok(None),
                answer => answer.map(Some),
            }
        };
        match shared.retried(delete).await? {
            None => Ok(Deletion { id: id.clone(), deleted: true }),
            Some(answer) => decode(shared, &doing, Deletion::read(id, answer.into_inner())),
        }
    }

    /// The bytes of a file, as a stream.
    ///
    /// # Errors
    /// One that [`is_not_found`](Error::is_not_found) when there is none; some services need a moment after a batch has
    /// ended.
    pub async fn content(&self, id: &FileId) -> Result<Content, Error> {
        let (shared, doing) = (self.client.shared(), format!("content of file {id}"));
        let at = doing.as_str();
        let content =
            |_| async move { map_error(shared, at, shared.downloads()?.get_file_content(id.as_str()).await).await };
        let answer = shared.retried(content).await?;
        Ok(Content::new(self.client.clone(), id.clone(), answer))
    }

    /// As [`content`](Self::content), and verified at the end against the SHA-256 that the service knows of the file:
    /// a call more, where the dialect's service hashes its files (MKA1).
    ///
    /// # Errors
    /// As those of [`content`](Self::content).
    pub async fn verified_content(&self, id: &FileId) -> Result<Content, Error> {
        let content = self.content(id).await?;
        let hashes = self.client.shared().dialect().knows_sha256();
        Ok(if hashes { content.verify_by_service() } else { content })
    }

    /// The files of the caller, a page at a time or all of them.
    pub fn list(&self) -> ListFiles {
        ListFiles { client: self.client.clone(), after: None, limit: None, order: None, purpose: None, sha256: None }
    }
}

/// The files of the caller. See [`Files::list`].
#[derive(Clone, Debug)]
#[must_use = "nothing is asked until a page or the stream is"]
pub struct ListFiles {
    client: Client,
    after: Option<String>,
    limit: Option<i64>,
    order: Option<Order>,
    purpose: Option<String>,
    sha256: Option<String>,
}

impl ListFiles {
    /// Only files after this one, in the list's order.
    pub fn after(mut self, id: &FileId) -> Self {
        self.after = Some(id.as_str().to_owned());
        self
    }

    /// How many a page holds at the most: 1 to 10,000, checked when it is sent. The services' default is 10,000.
    pub fn limit(mut self, limit: i64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The direction, by creation. The services' default is newest first.
    pub fn order(mut self, order: Order) -> Self {
        self.order = Some(order);
        self
    }

    /// Only files with this purpose; any text, since services know more than the contract.
    pub fn purpose(mut self, purpose: impl Into<String>) -> Self {
        self.purpose = Some(purpose.into());
        self
    }

    /// Only files with this content, by its SHA-256 in lowercase hexadecimal digits. MKA1 only;
    /// refused for a dialect whose service would ignore it and list every file.
    pub fn sha256(mut self, sha256: impl Into<String>) -> Self {
        self.sha256 = Some(sha256.into());
        self
    }

    /// One page.
    ///
    /// # Errors
    /// One that [`is_out_of_range`](Error::is_out_of_range) when the limit is not in its [range](bound::FILE_PAGE), and
    /// nothing was asked; else those of the call: see [`Error`].
    pub async fn page(self) -> Result<Page<File>, Error> {
        let Self { client, after, limit, order, purpose, sha256 } = self;
        let limit = limit.map(|limit| bound::FILE_PAGE.check("limit", limit)).transpose()?;
        let order = order.map(|order| match order {
            Order::Ascending => wire::Order::Asc,
            Order::Descending => wire::Order::Desc,
        });
        let shared = client.shared();
        if sha256.is_some() {
            shared.dialect().sha256_filter().map_err(|error| error.context("list files"))?;
        }
        let (after, purpose, sha256) = (after.as_deref(), purpose.as_deref(), sha256.as_deref());
        let list = |_| async move {
            let result = shared.calls().list_files(after, limit, order, purpose, sha256).await;
            map_error(shared, "list files", result).await
        };
        let answer = shared.retried(list).await?;
        let wire::FileList { object: _, data, first_id, last_id, has_more, extra: _ } = answer.into_inner();
        decode(shared, "list files", Page::read(WirePage { data, first_id, last_id, has_more }, File::read))
    }

    /// All of them, page after page as they are taken. Ends with an error, not a loop, when a service starts again, and
    /// with that of the first page that fails.
    pub fn stream(self) -> impl Stream<Item = Result<File, Error>> + Send + use<> {
        let start = self.after.clone();
        let fetch = move |after| ListFiles { after, ..self.clone() }.page();
        page::pages(fetch, start, |file: &File| file.id.as_str())
    }
}
