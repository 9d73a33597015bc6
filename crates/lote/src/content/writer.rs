//! Writes what comes to a file, off the runtime: more comes meanwhile, and what is to be hashed is hashed there.

use std::{
    fs::File,
    io::{self, IoSlice, Seek, Write},
    mem,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use super::sum::{Kind, Sum, each_piece};

/// How much is gathered before it is handed over: that costs as much as to write some kilobytes.
const BATCH: usize = 384 << 10;

/// How many pieces are written by one call.
const SLICES: usize = 64;

/// A file that is written to. What was taken last may not be in it before its [`end`](Self::end).
pub(super) struct Writer {
    /// Where it will be, to be told.
    path: PathBuf,
    /// `None` while a job has it, and after one that failed.
    sink: Option<Sink>,
    /// One at a time: the next batch is gathered meanwhile.
    job: Option<Job>,
    /// What the system said when it refused something: all that comes later fails for that too.
    refused: Option<i32>,
    gathered: Vec<Bytes>,
    size: usize,
    /// The kind of what [`sum`](Self::sum) tells.
    pub(super) kind: Kind,
}

/// Where it goes, and what is made of all that went there.
struct Sink {
    file: File,
    sum: Option<Sum>,
}

/// The hash of the whole file is what comes of a job that reads it.
type Job = JoinHandle<io::Result<(Sink, Option<Sum>)>>;

impl Writer {
    /// Behind what the file holds. With a sum, of all that came before, one is made of what is written as well; without,
    /// the file is read when it is asked for.
    pub(super) fn new(path: &Path, file: File, sum: Option<Sum>) -> Self {
        let kind = sum.as_ref().map_or(Kind::Sha256, Sum::kind);
        let sink = Some(Sink { file, sum });
        Self { path: path.to_owned(), sink, job: None, refused: None, gathered: Vec::new(), size: 0, kind }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes bytes, which are written when there are enough of them.
    pub(super) async fn write(&mut self, bytes: Bytes) -> io::Result<()> {
        self.size += bytes.len();
        self.gathered.push(bytes);
        if self.size < BATCH { Ok(()) } else { self.hand_over().await }
    }

    async fn hand_over(&mut self) -> io::Result<()> {
        self.done().await?;
        self.size = 0;
        let batch = mem::take(&mut self.gathered);
        if !batch.is_empty() {
            self.begin(move |sink| sink.write(&batch).map(|()| None))?;
        }
        Ok(())
    }

    fn begin(&mut self, work: impl FnOnce(&mut Sink) -> io::Result<Option<Sum>> + Send + 'static) -> io::Result<()> {
        let mut sink = self.sink.take().ok_or_else(|| lost(self.refused))?;
        self.job = Some(spawn_blocking(move || work(&mut sink).map(|made| (sink, made))));
        Ok(())
    }

    /// Waits for the job, and says what came of it. Dropped before, it can be waited for again.
    async fn done(&mut self) -> io::Result<Option<Sum>> {
        let Some(job) = &mut self.job else { return Ok(None) };
        let done = job.await;
        self.job = None;
        let done = done.map_err(io::Error::other).and_then(|done| done);
        let (sink, made) = done.inspect_err(|error| self.refused = error.raw_os_error())?;
        self.sink = Some(sink);
        Ok(made)
    }

    /// The sum of all that there is, of this writer's kind.
    pub(super) async fn sum(&mut self) -> io::Result<Sum> {
        self.hand_over().await?;
        self.done().await?;
        if let Some(sum) = self.sink.as_ref().and_then(|sink| sink.sum.clone()) {
            return Ok(sum);
        }
        self.begin(|sink| read(&mut sink.file).map(Some))?;
        self.done().await?.ok_or_else(|| lost(self.refused))
    }

    /// Once all is written: its sum, if one was made.
    pub(super) async fn end(mut self) -> io::Result<Option<Sum>> {
        self.hand_over().await?;
        self.done().await?;
        self.sink.map(|sink| sink.sum).ok_or_else(|| lost(self.refused))
    }
}

fn lost(refused: Option<i32>) -> io::Error {
    refused.map_or_else(|| io::Error::other("not all of it was written"), io::Error::from_raw_os_error)
}

impl Sink {
    fn write(&mut self, batch: &[Bytes]) -> io::Result<()> {
        if let Some(sum) = &mut self.sum {
            batch.iter().for_each(|bytes| sum.update(bytes));
        }
        write_all(&mut self.file, batch)
    }
}

/// The hash of a whole file; more is written behind it then.
fn read(file: &mut File) -> io::Result<Sum> {
    let mut sum = Kind::Sha256.empty();
    file.rewind()?;
    each_piece(file, |piece| {
        sum.update(piece);
        Ok(())
    })?;
    Ok(sum)
}

/// Small pieces go many at a time.
fn write_all(file: &mut File, batch: &[Bytes]) -> io::Result<()> {
    for some in batch.chunks(SLICES) {
        let mut slices = [IoSlice::new(&[]); SLICES];
        slices.iter_mut().zip(some).for_each(|(slice, bytes)| *slice = IoSlice::new(bytes));
        let mut rest = &mut slices[..some.len()];
        // Those that are empty are passed over.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match file.write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Pieces of many sizes, some of them empty, and all of them together.
    fn pieces() -> (Vec<Bytes>, Vec<u8>) {
        let sizes = (0..300).map(|at| [0, 1, 7, 16 << 10, BATCH / 3][at % 5]);
        let sizes = sizes.chain([2 * BATCH + 1, 0, 3]);
        let pieces: Vec<Vec<u8>> = sizes.enumerate().map(|(at, size)| vec![(at % 251) as u8; size]).collect();
        let all = pieces.concat();
        (pieces.into_iter().map(Bytes::from).collect(), all)
    }

    fn of(bytes: &[u8], kind: Kind) -> Sum {
        let mut sum = kind.empty();
        sum.update(bytes);
        sum
    }

    #[tokio::test]
    async fn all_is_written_in_order_and_its_sum_is_told_at_any_time() {
        let (pieces, all) = pieces();
        for kind in [None, Some(Kind::Crc32), Some(Kind::Sha256)] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(b"before").unwrap();
            let before = kind.map(|kind| of(b"before", kind));
            let mut writer = Writer::new(file.path(), file.as_file().try_clone().unwrap(), before);
            let mut expected = b"before".to_vec();
            for (at, piece) in pieces.iter().enumerate() {
                writer.write(piece.clone()).await.unwrap();
                expected.extend_from_slice(piece);
                if at % 97 == 0 {
                    let sum = writer.sum().await.unwrap();
                    assert_eq!(sum.kind(), writer.kind);
                    assert!(sum.is(&of(&expected, writer.kind)), "{kind:?} {at}");
                    // One who does not wait for the answer changes nothing.
                    let _ = tokio::time::timeout(std::time::Duration::ZERO, writer.sum()).await;
                }
            }
            let sum = writer.end().await.unwrap();
            assert_eq!(sum.as_ref().map(Sum::kind), kind);
            assert!(sum.is_none_or(|sum| sum.is(&of(&expected, sum.kind()))));
            assert!(fs::read(file.path()).unwrap() == [b"before", &all[..]].concat());
        }
    }

    #[tokio::test]
    async fn what_the_disk_refuses_is_told_and_nothing_hangs() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let writer = || Writer::new(file.path(), File::open(file.path()).unwrap(), Some(Kind::Crc32.empty()));
        let mut one = writer();
        let piece = Bytes::from(vec![0; BATCH]);
        let mut refused = 0;
        for _ in 0..5 {
            refused += usize::from(one.write(piece.clone()).await.is_err());
        }
        assert!(refused > 0);
        assert!(one.sum().await.is_err() && one.end().await.is_err());
        let mut two = writer();
        two.write(piece.slice(..5)).await.unwrap();
        assert!(two.end().await.is_err());
        let mut three = writer();
        three.write(piece.slice(..5)).await.unwrap();
        assert!(three.sum().await.is_err());
        assert_eq!(file.as_file().metadata().unwrap().len(), 0);
    }
}
