//! Reads a file a block at a time, off the runtime and a block ahead, without copying what was read.

use std::{
    fs::File,
    io::{self, Read},
};

use bytes::Bytes;
use futures_util::{Stream, stream};
use tokio::task::{JoinHandle, spawn_blocking};

/// How much is read at a time: to hand it over costs as much as to copy some kilobytes.
pub(crate) const BLOCK: usize = 512 << 10;

/// A block that is being read, and the rest of the file.
type Reading = JoinHandle<(io::Take<File>, io::Result<Vec<u8>>)>;

/// The first bytes of a file, at most so many; after an error nothing. To be called within a runtime.
pub(crate) fn blocks(file: File, most: u64) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::unfold(Some(begin(file.take(most))), next)
}

fn begin(mut file: io::Take<File>) -> Reading {
    // The memory is that of one thread, whichever reads: the allocator keeps some for each.
    let mut block = Vec::with_capacity(BLOCK);
    spawn_blocking(move || {
        let read = file.by_ref().take(BLOCK as u64).read_to_end(&mut block);
        (file, read.map(|_| block))
    })
}

async fn next(reading: Option<Reading>) -> Option<(io::Result<Bytes>, Option<Reading>)> {
    match reading?.await {
        Ok((_, Ok(block))) if block.is_empty() => None,
        Ok((file, Ok(block))) => Some((Ok(block.into()), Some(begin(file)))),
        Ok((_, Err(error))) => Some((Err(error), None)),
        Err(error) => Some((Err(io::Error::other(error)), None)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use futures_util::{StreamExt, TryStreamExt};

    use super::*;

    fn of(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[tokio::test]
    async fn a_file_is_its_blocks_and_no_more_than_was_wanted() {
        let bytes: Vec<u8> = (0..2 * BLOCK + 5).map(|at| (at % 251) as u8).collect();
        let file = of(&bytes);
        for most in [0, 1, BLOCK, BLOCK + 1, bytes.len(), bytes.len() + 7] {
            let opened = File::open(file.path()).unwrap();
            let read: Vec<Bytes> = blocks(opened, most as u64).try_collect().await.unwrap();
            assert!(read.iter().all(|block| !block.is_empty() && block.len() <= BLOCK));
            assert!(read.concat() == bytes[..most.min(bytes.len())], "{most}");
        }
    }

    #[tokio::test]
    async fn an_error_is_the_last_that_comes() {
        let file = of(b"x");
        let unreadable = File::options().write(true).open(file.path()).unwrap();
        let read: Vec<_> = blocks(unreadable, 10).collect().await;
        assert!(matches!(read[..], [Err(_)]), "{read:?}");
    }
}
