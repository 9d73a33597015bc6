//! The content of a file for those who read and write with `std::io`, one chunk at a time.

use std::{
    io::{self, BufRead, Read, Write},
    path::Path,
};

use bytes::{Buf, Bytes};
use futures_util::io::AllowStdIo;
use tokio_util::compat::FuturesAsyncWriteCompatExt;

use super::{driver::Driver, mirror::mirror};
use crate as lote;
use crate::{Error, Tolerance};

mirror! {
    /// The bytes of a file, as they arrive. One that breaks off is taken up again: see [`lote::Content`](crate::Content).
    #[must_use = "nothing is kept until it is saved, copied or read"]
    Content of lote {
        fn tolerance(tolerance: Tolerance);
        fn on_trouble(call: impl FnMut(&Error) + Send + Sync + 'static);
        fn verify_sha256(sha256: &str);
    }
}

impl Content {
    pub(super) fn new(driver: Driver, inner: crate::Content) -> Self {
        Self { driver, inner }
    }

    /// How many bytes there are, when the service says so.
    pub fn length(&self) -> Option<u64> {
        self.inner.length()
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// Those of [`lote::Content::chunk`](crate::Content::chunk).
    pub fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.driver.run(self.inner.chunk())?
    }

    /// Writes all of it to `writer`, flushes, and says how many bytes there were.
    ///
    /// # Errors
    /// Those of [`lote::Content::copy_to`](crate::Content::copy_to). What was written by then stays written.
    pub fn copy_to(self, writer: &mut (impl Write + ?Sized)) -> Result<u64, Error> {
        self.driver.run(self.inner.copy_to(&mut AllowStdIo::new(writer).compat_write()))?
    }

    /// Writes all of it to a file, which appears under its name only when it is whole, and says how many bytes it has.
    ///
    /// # Errors
    /// Those of [`lote::Content::save`](crate::Content::save). There is no new file then, and the one that was there is
    /// as it was.
    pub fn save(self, path: impl AsRef<Path>) -> Result<u64, Error> {
        self.driver.run(self.inner.save(path))?
    }

    /// A reader of it, which gives lines as well: `for line in content.into_reader().lines()`.
    pub fn into_reader(self) -> ContentReader {
        ContentReader { content: self, chunk: Bytes::new(), over: false }
    }
}

/// Reads the content of a file. See [`Content::into_reader`].
///
/// An error of a read holds the [`lote::Error`](crate::Error) of [`Content::chunk`], to be had by
/// [`io::Error::downcast`]; the read after it takes the content up again where it broke off.
#[derive(Debug)]
pub struct ContentReader {
    content: Content,
    chunk: Bytes,
    over: bool,
}

impl BufRead for ContentReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.chunk.is_empty() && !self.over {
            match self.content.chunk().map_err(io::Error::other)? {
                Some(chunk) => self.chunk = chunk,
                None => self.over = true,
            }
        }
        Ok(&self.chunk)
    }

    fn consume(&mut self, bytes: usize) {
        self.chunk.advance(bytes);
    }
}

impl Read for ContentReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}
