//! Writing an object: a short one at once, a longer one in parts.

use std::io;
use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::runtime::Handle;

use crate::blobs::Sink;
use crate::blobs::object::failed;

/// Every part but the last has this length: some stores take no others.
const PART: usize = 8 << 20;

/// An object on its way. One part of it is in memory.
pub(super) struct Upload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    gathered: Vec<Bytes>,
    /// How many bytes are gathered, and how many there are in all.
    pending: usize,
    size: u64,
    parts: Option<Box<dyn MultipartUpload>>,
}

impl Upload {
    pub(super) fn new(store: Arc<dyn ObjectStore>, path: Path) -> Upload {
        Upload { store, path, gathered: Vec::new(), pending: 0, size: 0, parts: None }
    }

    async fn add(&mut self, mut bytes: Bytes) -> io::Result<()> {
        self.size += bytes.len() as u64;
        while self.pending + bytes.len() > PART {
            self.gather(bytes.split_to(PART - self.pending));
            self.send().await?;
        }
        self.gather(bytes);
        Ok(())
    }

    fn gather(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.pending += bytes.len();
            self.gathered.push(bytes);
        }
    }

    fn payload(&mut self) -> PutPayload {
        self.pending = 0;
        mem::take(&mut self.gathered).into_iter().collect()
    }

    /// Sends what is gathered as one part.
    async fn send(&mut self) -> io::Result<()> {
        let payload = self.payload();
        let parts = match &mut self.parts {
            Some(parts) => parts,
            None => self.parts.insert(self.store.put_multipart(&self.path).await.map_err(failed)?),
        };
        parts.put_part(payload).await.map_err(failed)
    }

    async fn end(mut self) -> io::Result<()> {
        let ended = if self.parts.is_none() {
            let payload = self.payload();
            self.store.put(&self.path, payload).await
        } else {
            self.send().await?;
            match &mut self.parts {
                Some(parts) => parts.complete().await,
                None => return Ok(()),
            }
        };
        let Err(error) = ended else {
            self.parts = None;
            return Ok(());
        };
        // Perhaps only the answer was lost. Nobody else writes this key, so that the size tells.
        match self.store.head(&self.path).await {
            Ok(found) if found.size == self.size => {
                self.parts = None;
                Ok(())
            }
            _ => Err(failed(error)),
        }
    }
}

impl Sink for Upload {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(self.add(bytes))
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, io::Result<()>> {
        Box::pin(self.end())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // A store keeps the parts of what is not complete, and asks money for them. What is not aborted here, since the
        // process ends, is the matter of the bucket's rules of lifecycle.
        if let (Some(mut parts), Ok(runtime)) = (self.parts.take(), Handle::try_current()) {
            runtime.spawn(async move { drop(parts.abort().await) });
        }
    }
}
