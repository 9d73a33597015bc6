//! The blocking operations on files.

use std::{io::Read, path::PathBuf};

use super::{Content, Each, driver::Driver, mirror::mirror, reader::read_aside};
use crate as lote;
use crate::{Deletion, Error, ExpiresAfter, File, FileId, Order, Page, UploadPurpose};

/// The operations on files. See [`Client::files`](super::Client::files).
#[derive(Clone)]
pub struct Files {
    driver: Driver,
    inner: crate::Files,
}

impl std::fmt::Debug for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl Files {
    pub(super) fn new(driver: Driver, inner: crate::Files) -> Self {
        Self { driver, inner }
    }

    /// The upload of a file on disk, streamed.
    pub fn upload(&self, path: impl Into<PathBuf>, purpose: UploadPurpose) -> Upload {
        Upload { driver: self.driver.clone(), inner: self.inner.upload(path, purpose) }
    }

    /// The upload of what a reader gives, streamed. Say its [`length`](Upload::length) when it is known: some services
    /// take no body without one.
    ///
    /// The reader is read on a thread of its own, from when it is sent. When the upload fails, that thread ends with the
    /// read that it is in.
    pub fn upload_reader(
        &self,
        reader: impl Read + Send + 'static,
        file_name: impl Into<String>,
        purpose: UploadPurpose,
    ) -> Upload {
        let inner = self.inner.upload_reader(read_aside(reader), file_name, purpose);
        Upload { driver: self.driver.clone(), inner }
    }

    /// What is known of a file.
    ///
    /// # Errors
    /// Those of [`lote::Files::get`](crate::Files::get).
    pub fn get(&self, id: &FileId) -> Result<File, Error> {
        self.driver.run(self.inner.get(id))?
    }

    /// Deletes a file for good.
    ///
    /// # Errors
    /// Those of [`lote::Files::delete`](crate::Files::delete).
    pub fn delete(&self, id: &FileId) -> Result<Deletion, Error> {
        self.driver.run(self.inner.delete(id))?
    }

    /// The bytes of a file, as they arrive.
    ///
    /// # Errors
    /// Those of [`lote::Files::content`](crate::Files::content).
    pub fn content(&self, id: &FileId) -> Result<Content, Error> {
        let content = self.driver.run(self.inner.content(id))??;
        Ok(Content::new(self.driver.clone(), content))
    }

    /// As [`content`](Self::content), and verified at the end against the SHA-256 that the service knows of the file:
    /// see [`lote::Files::verified_content`](crate::Files::verified_content).
    ///
    /// # Errors
    /// As those of [`content`](Self::content).
    pub fn verified_content(&self, id: &FileId) -> Result<Content, Error> {
        let content = self.driver.run(self.inner.verified_content(id))??;
        Ok(Content::new(self.driver.clone(), content))
    }

    /// The files of the caller, a page at a time or one after another.
    pub fn list(&self) -> ListFiles {
        ListFiles { driver: self.driver.clone(), inner: self.inner.list() }
    }
}

mirror! {
    /// An upload to be sent. See [`Files::upload`].
    ///
    /// What is given to `on_progress` is called on a thread of the client: it cannot call the client, and should be quick.
    #[must_use = "nothing is uploaded until it is sent"]
    Upload of lote {
        fn file_name(name: impl Into<String>);
        fn length(bytes: u64);
        fn expires_after(after: ExpiresAfter);
        fn on_progress(call: impl Fn(u64) + Send + Sync + 'static);
    }
}

impl Upload {
    /// Uploads the file.
    ///
    /// # Errors
    /// Those of [`lote::Upload::send`](crate::Upload::send).
    pub fn send(self) -> Result<File, Error> {
        self.driver.run(self.inner.send())?
    }
}

mirror! {
    /// The files of the caller: `for file in client.files().list()`, each a `Result`, page after page as they are taken.
    /// Ends with an error, not a loop, when a service starts again. See [`Files::list`].
    #[derive(Clone)]
    #[must_use = "nothing is asked until a page is, or the first file"]
    ListFiles of lote {
        fn after(id: &FileId);
        fn limit(limit: i64);
        fn order(order: Order);
        fn purpose(purpose: impl Into<String>);
        fn sha256(sha256: impl Into<String>);
    }
}

impl ListFiles {
    /// One page.
    ///
    /// # Errors
    /// Those of [`lote::ListFiles::page`](crate::ListFiles::page).
    pub fn page(self) -> Result<Page<File>, Error> {
        self.driver.run(self.inner.page())?
    }
}

impl IntoIterator for ListFiles {
    type Item = Result<File, Error>;
    type IntoIter = Each<'static, Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        Each::new(self.driver, self.inner.stream(), Err)
    }
}
