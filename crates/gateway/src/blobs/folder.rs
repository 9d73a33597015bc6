//! Bytes in a folder, which survive a crash of the machine: written beside, synced, renamed, and the folder synced.

use std::fs::{self, File};
use std::io::{self, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tempfile::{NamedTempFile, TempPath};
use tokio::io::AsyncSeekExt;

use crate::blobs::{Blobs, Reader, Sink};

/// Where bytes are before they are whole: no key is spelled so. Nobody but the process that has the lock of all of it writes
/// there.
const UNFINISHED: &str = ".unfinished";

/// Bytes in a folder.
#[derive(Debug)]
pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    /// In this folder, which is made if need be. What a process has left unfinished is removed: there must be one process
    /// alone.
    pub(crate) fn open(root: &Path) -> io::Result<Folder> {
        let unfinished = root.join(UNFINISHED);
        fs::create_dir_all(&unfinished)?;
        for left in fs::read_dir(&unfinished)? {
            fs::remove_file(left?.path())?;
        }
        sync_folder(root)?;
        Ok(Folder { root: root.to_owned() })
    }

    /// The path of a key. No key leads out of the folder, or to what is unfinished.
    fn path(&self, key: &str) -> io::Result<PathBuf> {
        let part = |part: &str| {
            let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !part.is_empty() && part.bytes().all(is_plain)
        };
        if key.split('/').all(part) {
            Ok(self.root.join(key))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "this is no key of a blob"))
        }
    }
}

impl Blobs for Folder {
    fn begin<'a>(&'a self, key: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Sink>>> {
        async move {
            let path = self.path(key)?;
            let unfinished = self.root.join(UNFINISHED);
            let (file, temporary) = off(move || NamedTempFile::new_in(unfinished)).await?.into_parts();
            let root = self.root.clone();
            let sink: Box<dyn Sink> = Box::new(Writing { file: Arc::new(file), temporary, path, root });
            Ok(sink)
        }
        .boxed()
    }

    fn read<'a>(&'a self, key: &'a str, from: u64) -> BoxFuture<'a, io::Result<Reader>> {
        async move {
            let mut file = tokio::fs::File::open(self.path(key)?).await?;
            if from > 0 {
                file.seek(SeekFrom::Start(from)).await?;
            }
            let reader: Reader = Box::pin(file);
            Ok(reader)
        }
        .boxed()
    }

    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, io::Result<()>> {
        async move {
            match tokio::fs::remove_file(self.path(key)?).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        }
        .boxed()
    }
}

/// A file on its way. Its temporary name goes when it is dropped.
struct Writing {
    file: Arc<File>,
    temporary: TempPath,
    path: PathBuf,
    root: PathBuf,
}

impl Sink for Writing {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, io::Result<()>> {
        let file = Arc::clone(&self.file);
        off(move || (&*file).write_all(&bytes)).boxed()
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, io::Result<()>> {
        off(move || {
            let Writing { file, temporary, path, root } = *self;
            file.sync_all()?;
            let folder = path.parent().unwrap_or(&root);
            make_folder(folder, &root)?;
            temporary.persist(&path).map_err(|error| error.error)?;
            sync_folder(folder)
        })
        .boxed()
    }
}

/// Makes a folder below `root`, such that it survives a crash.
fn make_folder(folder: &Path, root: &Path) -> io::Result<()> {
    if folder == root || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(root);
    make_folder(parent, root)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_folder(parent)
}

/// Lets the names in a folder survive a crash; Windows sees to that itself.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Work on a disk, off the runtime.
async fn off<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::blobs::conformance;

    async fn put(blobs: &Folder, key: &str, parts: &[&'static str]) {
        let mut sink = blobs.begin(key).await.unwrap();
        for part in parts {
            sink.write(Bytes::from(*part)).await.unwrap();
        }
        sink.finish().await.unwrap();
    }

    #[tokio::test]
    async fn a_folder_does_what_a_place_for_blobs_has_to() {
        let root = tempfile::tempdir().unwrap();
        let open = || -> Arc<dyn Blobs> { Arc::new(Folder::open(root.path()).unwrap()) };
        conformance::check(&open()).await;
        assert_eq!(conformance::read(&open(), "kept", 0).await.unwrap(), b"kept");
    }

    #[tokio::test]
    async fn what_is_finished_is_found_and_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Folder::open(root.path()).unwrap();
        put(&blobs, "ab/cd-1", &["one ", "two"]).await;
        put(&blobs, "ab/cd-2", &[]).await;
        let mut text = String::new();
        blobs.read("ab/cd-1", 4).await.unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "two");
        drop(blobs.begin("ab/cd-3").await.unwrap());
        assert_eq!(blobs.read("ab/cd-3", 0).await.err().unwrap().kind(), io::ErrorKind::NotFound);
        assert_eq!(fs::read_dir(root.path().join(UNFINISHED)).unwrap().count(), 0);
        blobs.remove("ab/cd-1").await.unwrap();
        blobs.remove("ab/cd-1").await.unwrap();
        assert_eq!(blobs.read("ab/cd-1", 0).await.err().unwrap().kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn what_the_dead_have_left_goes_and_the_rest_stays() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Folder::open(root.path()).unwrap();
        put(&blobs, "kept", &["kept"]).await;
        fs::write(root.path().join(UNFINISHED).join("left"), "left").unwrap();
        let blobs = Folder::open(root.path()).unwrap();
        assert_eq!(fs::read_dir(root.path().join(UNFINISHED)).unwrap().count(), 0);
        assert!(blobs.read("kept", 0).await.is_ok());
    }

    #[tokio::test]
    async fn no_key_leads_out_of_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let blobs = Folder::open(root.path()).unwrap();
        for key in ["", "/", "/etc", "a//b", "a/", "..", "a/../b", "A", "a.b", ".unfinished/x", "a\\b", "a\0"] {
            assert_eq!(blobs.begin(key).await.err().unwrap().kind(), io::ErrorKind::InvalidInput, "{key:?}");
        }
    }
}
