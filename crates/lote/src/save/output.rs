//! An output that a user names: tried before any work is done, and no file replaced that is somebody else's.

use std::{
    fs::{self, File, Metadata},
    io::{self, BufReader, Seek, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, de::IgnoredAny};

use super::{Access, AtomicFile, Place, Stored, Written, place, place::Name, same, sweep};
use crate::lines::TemporaryError;

/// Which file that is there may be replaced. An empty one always is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replace {
    /// None.
    Nothing,
    /// One that is as one of these, which we wrote.
    Written(Vec<Written>),
    /// One that holds the very bytes that are written.
    Same,
    /// One that begins with a request line.
    Requests,
    /// Any.
    Anything,
}

/// Where a user wants something written.
#[derive(Clone, Debug)]
pub struct Output {
    path: PathBuf,
    replace: Replace,
    access: Access,
}

impl Output {
    /// An output at a path.
    pub fn new(path: impl Into<PathBuf>, replace: Replace) -> Self {
        Self { path: path.into(), replace, access: Access::default() }
    }

    /// Nobody is to read it who may not read this input.
    #[must_use]
    pub fn private_as(mut self, input: &Path) -> Self {
        self.access = self.access.and(Access::of(input));
        self
    }

    pub(crate) fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Why a file of this name should not hold lines of JSON, if its ending says that it holds something else.
    pub fn ending_fault(path: &Path, what: &str) -> Option<String> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        let table = ["csv", "tsv", "npy", "npz", "parquet", "arrow", "feather", "avro", "orc"];
        let sheet = ["xlsx", "xls", "ods"];
        let packed = ["gz", "zst", "bz2", "xz", "zip", "7z"];
        if table.contains(&&*ending) || sheet.contains(&&*ending) {
            let instead = if what == "results" { ", and make a table of it with lote export" } else { "" };
            Some(format!("{what} are JSONL, not .{ending}; name a .jsonl file{instead}"))
        } else if packed.contains(&&*ending) {
            Some(format!("{what} are JSONL, not compressed; name a .jsonl file, and compress it afterwards"))
        } else {
            None
        }
    }

    /// Tries, by the real name, whether it can be written, and removes what dead processes left beside it. Leaves
    /// nothing.
    ///
    /// # Errors
    /// When it cannot be written, or holds what may not be replaced; in words that follow the path and a colon.
    pub fn try_out(&self) -> io::Result<()> {
        match place(&self.path)? {
            Place::File(name) => {
                sweep(name.dir.path());
                name.try_out()?;
                self.may_replace(&name)
            }
            Place::Stream(_) => Ok(()),
        }
    }

    /// Whether it is a pipe or a device, or a file that is open already, which are written to and never replaced.
    pub fn is_stream(&self) -> bool {
        matches!(place(&self.path), Ok(Place::Stream(_)))
    }

    /// Begins to write.
    ///
    /// # Errors
    /// As [`try_out`](Self::try_out).
    pub fn begin(&self) -> io::Result<Writing> {
        Ok(Writing(match place(&self.path)? {
            Place::File(name) => {
                self.may_replace(&name)?;
                let atomic = AtomicFile::with(&self.path, self.access)?;
                To::File { atomic, name, replace: self.replace.clone() }
            }
            Place::Stream(path) => {
                let spool = tempfile::tempfile();
                let spool = spool.map_err(|error| TemporaryError::wrap(&std::env::temp_dir(), error))?;
                To::Stream { spool, path }
            }
        }))
    }

    fn may_replace(&self, Name { dir, name, there }: &Name) -> io::Result<()> {
        let Some(found) = there.as_ref().filter(|found| found.len() > 0) else { return Ok(()) };
        let (may, whose) = match &self.replace {
            // Whether it is the same is known when all is written.
            Replace::Anything | Replace::Same => (true, ""),
            Replace::Nothing => (false, "it is there already"),
            Replace::Written(written) => {
                let alike = written.iter().any(|written| found.len() == written.bytes);
                let as_written = alike && written.contains(&Written::read(dir.open_file(name, false)?)?);
                (as_written, "it is there already, and not as it was written here")
            }
            Replace::Requests => {
                (begins_with_a_request(&dir.open_file(name, false)?), "it is there already, and holds no request lines")
            }
        };
        if may { Ok(()) } else { Err(taken(whose)) }
    }
}

fn taken(whose: &str) -> io::Error {
    let message = format!("{whose}; name another file, or replace it with --force");
    io::Error::new(io::ErrorKind::AlreadyExists, message)
}

fn begins_with_a_request(file: &File) -> bool {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only that the keys are there is asked")]
    struct Request {
        custom_id: IgnoredAny,
        url: IgnoredAny,
        body: IgnoredAny,
    }
    let mut lines = serde_json::Deserializer::from_reader(BufReader::new(file)).into_iter::<Request>();
    matches!(lines.next(), Some(Ok(_)))
}

/// Bytes on their way to an [`Output`]. Dropped before [`commit`](Self::commit), they leave nothing.
#[derive(Debug)]
pub struct Writing(To);

#[derive(Debug)]
enum To {
    File {
        atomic: AtomicFile,
        name: Name,
        replace: Replace,
    },
    /// Gathered first, so that nothing half made is given out.
    Stream {
        spool: File,
        path: PathBuf,
    },
}

impl Writing {
    fn file(&mut self) -> &mut File {
        match &mut self.0 {
            To::File { atomic, .. } => atomic.file(),
            To::Stream { spool, .. } => spool,
        }
    }

    /// Whether it becomes a file of its own, which can be read again.
    pub fn is_file(&self) -> bool {
        matches!(self.0, To::File { .. })
    }

    /// The temporary file beside the final one.
    pub fn half_made(&self) -> Option<PathBuf> {
        match &self.0 {
            To::File { atomic, .. } => Some(atomic.temporary_path()),
            To::Stream { .. } => None,
        }
    }

    /// Puts everything where it is wanted.
    ///
    /// # Errors
    /// When the disk, or whoever reads, does not take it, or a file has come there meanwhile. What was there is then
    /// as it was.
    pub fn commit(self) -> io::Result<()> {
        match self.0 {
            To::File { atomic, replace: Replace::Anything, .. } => atomic.commit(),
            To::File { atomic, name: Name { there: None, .. }, .. } => {
                atomic.commit_new().map_err(|error| match error.kind() {
                    io::ErrorKind::AlreadyExists => taken("it has come there meanwhile"),
                    _ => error,
                })
            }
            To::File { mut atomic, name: Name { dir, name, there: Some(there) }, replace } => {
                if replace == Replace::Same
                    && there.len() > 0
                    && Stored::read(dir.open_file(&name, false)?)? != atomic.stored()?
                {
                    return Err(taken("it is there already, and holds something else"));
                }
                match dir.open_file(&name, false).and_then(|file| file.metadata()) {
                    Ok(now) if unchanged(&there, &now) => atomic.commit(),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => atomic.commit(),
                    Ok(_) => Err(taken("it was changed meanwhile")),
                    Err(error) => Err(error),
                }
            }
            To::Stream { mut spool, path } => {
                spool.rewind()?;
                // At the end of what is there: a file that is open already may be somebody's log.
                let mut stream = File::options().append(true).open(path)?;
                io::copy(&mut spool, &mut stream).map(drop)
            }
        }
    }
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

fn unchanged(before: &Metadata, now: &Metadata) -> bool {
    same(before, now) && before.len() == now.len() && before.modified().ok() == now.modified().ok()
}

/// Whether two paths lead to one file: the same path, a link, or another name of it.
pub(crate) fn same_file(a: &Path, b: &Path) -> bool {
    match (fs::metadata(a), fs::metadata(b), fs::canonicalize(a), fs::canonicalize(b)) {
        (Ok(a), Ok(b), Ok(path_a), Ok(path_b)) => path_a == path_b || (cfg!(unix) && same(&a, &b)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(output: &Output, text: &str) -> io::Result<()> {
        let mut writing = output.begin()?;
        writing.write_all(text.as_bytes())?;
        writing.commit()
    }

    #[test]
    fn only_what_is_ours_is_replaced_without_being_told() {
        let at = tempfile::tempdir().unwrap();
        let path = at.path().join("results.jsonl");
        let output = |replace: &Replace| Output::new(&path, replace.clone());
        text(&output(&Replace::Nothing), "one").unwrap();
        let ours = Replace::Written(vec![Written::read(&b"earlier"[..]).unwrap(), Written::of(&path).unwrap()]);
        assert_eq!(output(&Replace::Nothing).try_out().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        output(&ours).try_out().unwrap();
        text(&output(&ours), "two").unwrap();
        // Of the same size, and another content.
        for replace in [&ours, &Replace::Nothing, &Replace::Requests] {
            let error = text(&output(replace), "three").unwrap_err();
            assert!(error.to_string().contains("--force"), "{error}");
        }
        assert_eq!(fs::read(&path).unwrap(), b"two");
        text(&output(&Replace::Anything), r#"{"custom_id":"a","method":"POST","url":"/v1","body":{}}"#).unwrap();
        text(&output(&Replace::Requests), "").unwrap();
        // An empty file holds nothing to lose.
        text(&output(&Replace::Nothing), "five").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"five");
        assert_eq!(fs::read_dir(&at).unwrap().count(), 1);
    }

    #[test]
    fn what_comes_or_changes_meanwhile_is_not_replaced() {
        let at = tempfile::tempdir().unwrap();
        let path = at.path().join("results.jsonl");
        let output = Output::new(&path, Replace::Nothing);
        let writing = output.begin().unwrap();
        fs::write(&path, "theirs").unwrap();
        assert!(writing.commit().unwrap_err().to_string().contains("meanwhile"));
        fs::write(&path, "").unwrap();
        let writing = output.begin().unwrap();
        fs::write(&path, "theirs").unwrap();
        assert!(writing.commit().unwrap_err().to_string().contains("meanwhile"));
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
    }

    #[test]
    fn endings_of_other_formats_are_named() {
        for (name, part) in [
            ("a.csv", "not .csv"),
            ("a.PARQUET", ".parquet"),
            ("b.npy", "JSONL"),
            ("c.xlsx", "JSONL"),
            ("d.jsonl.gz", "compress"),
        ] {
            let fault = Output::ending_fault(Path::new(name), "results").unwrap();
            assert!(fault.starts_with("results are JSONL") && fault.contains(part), "{fault}");
        }
        for name in ["a.jsonl", "a", "csv", ".csv", "a.json", "a.txt"] {
            assert_eq!(Output::ending_fault(Path::new(name), "results"), None, "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn an_open_file_is_appended_to_and_not_replaced() {
        let at = tempfile::tempdir().unwrap();
        let log = at.path().join("log");
        fs::write(&log, "before\n").unwrap();
        let open = File::open(&log).unwrap();
        use std::os::fd::AsRawFd;
        let path = format!("/dev/fd/{}", open.as_raw_fd());
        text(&Output::new(path, Replace::Nothing), "after\n").unwrap();
        assert_eq!(fs::read(&log).unwrap(), b"before\nafter\n");
        text(&Output::new("/dev/null", Replace::Nothing), "x").unwrap();
    }
}
