//! Blobs with a named point before and after each call.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::blobs::{Blobs, Reader, Sink};
use crate::points;

struct Pointed(Arc<dyn Blobs>);

/// Puts points around every call, if there is a plan for any.
pub(crate) fn pointed(blobs: Arc<dyn Blobs>) -> Arc<dyn Blobs> {
    if points::are_watched() { Arc::new(Pointed(blobs)) } else { blobs }
}

async fn around<T>(name: &'static str, call: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    if points::pass(name, "before").await.is_some() {
        return Err(io::Error::other("a point lets it fail"));
    }
    let told = call.await;
    if points::pass(name, "after").await.is_some() {
        return Err(io::Error::other("a point loses the answer"));
    }
    told
}

impl Blobs for Pointed {
    fn begin<'a>(&'a self, key: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Sink>>> {
        async move {
            let sink = around("blob.begin", self.0.begin(key)).await?;
            let pointed: Box<dyn Sink> = Box::new(Writing(sink));
            Ok(pointed)
        }
        .boxed()
    }

    fn read<'a>(&'a self, key: &'a str, from: u64) -> BoxFuture<'a, io::Result<Reader>> {
        around("blob.read", self.0.read(key, from)).boxed()
    }

    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, io::Result<()>> {
        around("blob.remove", self.0.remove(key)).boxed()
    }
}

struct Writing(Box<dyn Sink>);

impl Sink for Writing {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, io::Result<()>> {
        around("blob.write", self.0.write(bytes)).boxed()
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, io::Result<()>> {
        around("blob.finish", self.0.finish()).boxed()
    }
}
