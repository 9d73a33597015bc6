//! The outcomes of a run, whether it is finished or not, read from its folder.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use super::{
    RunError,
    folder::{Folder, RESULTS},
    merge::{Fault, Pair, Parts},
};
use crate::{Error, Outcome, Outcomes};

/// About how many bytes of lines go from the thread that reads to the one that asks at once, and how often ahead.
const CHUNK: usize = 64 << 10;
const AHEAD: usize = 2;

/// The outcomes of a run that are there: of all lines when it is finished, of those of its settled shards before. See
/// [`outcomes`](fn@outcomes).
#[must_use = "nothing is read until the first is taken"]
pub struct RunOutcomes {
    folder: PathBuf,
    lines: u64,
    undecided: u64,
    source: Source,
}

enum Source {
    Results(Box<Outcomes>),
    /// Not begun.
    Parts(Parts),
    Thread(Lines),
    Over,
}

/// Result lines from a thread that puts those of several files in order.
struct Lines {
    chunks: Receiver<Result<Vec<u8>, Fault>>,
    chunk: Vec<u8>,
    at: usize,
}

impl fmt::Debug for RunOutcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOutcomes")
            .field("folder", &self.folder)
            .field("lines", &self.lines)
            .field("undecided", &self.undecided)
            .finish_non_exhaustive()
    }
}

/// The outcomes that the run in a folder has by now, in the order of the input, whether it is finished or not.
///
/// Lines of shards that are not settled are left out, [`undecided`](RunOutcomes::undecided) in number, and so are those
/// that another attempt has at work. Nothing is asked of a service, and nothing is written: another process may be at
/// work on the run meanwhile. They are those of the moment of this call; call it again for more. Memory does not grow with
/// the run.
///
/// ```
/// # async fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
/// # let client = lote::Client::builder().base_url(gateway.url()).api_key("mk-…").build()?;
/// # let place = tempfile::tempdir()?;
/// # let requests = place.path().join("requests.jsonl");
/// # std::fs::write(&requests, "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"1 + 1?\"}]}}\n")?;
/// # let run = lote::run::Run::new(&client, &requests);
/// # let folder = run.folder_path();
/// # run.execute().await?;
/// let outcomes = lote::run::outcomes(&folder)?;
/// println!("{} of {} lines have no outcome yet", outcomes.undecided(), outcomes.lines());
/// for outcome in outcomes {
///     let outcome = outcome?;
///     println!("{}: {}", outcome.custom_id(), outcome.text()?);
/// }
/// # assert_eq!(lote::run::outcomes(&folder)?.count(), 1);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// #     let gateway = lote_gateway::Gateway::builder().start().await.unwrap();
/// #     example(&gateway).await.unwrap();
/// # });
/// ```
///
/// # Errors
/// One that [`is_place`](RunError::is_place), [`is_taken`](RunError::is_taken) or
/// [`is_unreadable`](RunError::is_unreadable) when there is no run that can be read.
pub fn outcomes(folder: impl AsRef<Path>) -> Result<RunOutcomes, RunError> {
    let path = folder.as_ref();
    let seen = Folder::look(path)?;
    let parts = Parts::in_state(&seen.state, &seen.record);
    let (lines, mut undecided) = parts.lines();
    if parts.has_copies() && undecided > 0 && seen.state.finished.is_none() {
        undecided =
            count_undecided(path, &parts).map_err(|Fault(file, error)| RunError::io("read", &file, error).at(path))?;
    }
    let source = match seen.state.finished {
        Some(_) => {
            let results = path.join(RESULTS);
            let opened = fs::File::open(&results).map_err(|error| RunError::io("read", &results, error).at(path))?;
            Source::Results(Box::new(Outcomes::reading(opened, &results)))
        }
        None => Source::Parts(parts),
    };
    Ok(RunOutcomes { folder: path.to_owned(), lines, undecided, source })
}

impl RunOutcomes {
    /// How many request lines there are.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// How many of them have no outcome yet, and are left out. They may be answered, and paid for, by now: what the service
    /// has of them is fetched when their batch is over.
    pub fn undecided(&self) -> u64 {
        self.undecided
    }

    /// Only those of one shard, in the order of its lines, as its batch has answered them; a later attempt may have better
    /// ones. Lines that [equal](super::Run::dedupe) them are in no shard: theirs are among those of the run alone. For work on each shard as [`RunEvent::Settled`](super::RunEvent::Settled) tells of it.
    ///
    /// # Errors
    /// One that [`is_place`](RunError::is_place) when the run has no such shard, or it is not settled.
    pub fn of_shard(self, shard: u32) -> Result<Self, RunError> {
        let seen = Folder::look(&self.folder)?;
        let Some(only) = Parts::in_state(&seen.state, &seen.record).only(shard) else {
            return Err(RunError::place(&self.folder, format!("its run has no shard {shard} that is settled")));
        };
        let (lines, undecided) = only.lines();
        Ok(Self { lines, undecided, source: Source::Parts(only), ..self })
    }
}

impl Iterator for RunOutcomes {
    type Item = Result<Outcome, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Source::Parts(_) = &self.source
            && let Source::Parts(parts) = std::mem::replace(&mut self.source, Source::Over)
        {
            match Lines::read(self.folder.clone(), parts) {
                Ok(lines) => self.source = Source::Thread(lines),
                Err(error) => return Some(Err(Error::io("start a thread that reads", error))),
            }
        }
        match &mut self.source {
            Source::Results(outcomes) => outcomes.next(),
            Source::Thread(lines) => {
                let next = lines.next();
                if matches!(next, None | Some(Err(_))) {
                    self.source = Source::Over;
                }
                let outcome = |line: Result<String, Error>| {
                    Outcome::from_line(line?).map_err(|error| error.context(self.folder.display()))
                };
                next.map(outcome)
            }
            Source::Parts(_) | Source::Over => None,
        }
    }
}

impl std::iter::FusedIterator for RunOutcomes {}

impl Lines {
    /// Reads in a thread of its own, only so far ahead. It ends when nobody asks any more.
    fn read(root: PathBuf, parts: Parts) -> io::Result<Self> {
        let (out, chunks) = sync_channel(AHEAD);
        thread::Builder::new().name("lote-outcomes".to_owned()).spawn(move || {
            if let Err(fault) = walk(&root, &parts, &out) {
                let _ = out.send(Err(fault));
            }
        })?;
        Ok(Self { chunks, chunk: Vec::new(), at: 0 })
    }

    fn next(&mut self) -> Option<Result<String, Error>> {
        if self.at >= self.chunk.len() {
            match self.chunks.recv().ok()? {
                Ok(chunk) => (self.chunk, self.at) = (chunk, 0),
                Err(Fault(path, error)) => return Some(Err(Error::path("read", &path, error))),
            }
        }
        let rest = self.chunk.get(self.at..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let line = rest.get(..end).unwrap_or_default();
        self.at += end + 1;
        let line = String::from_utf8(line.to_vec());
        Some(line.map_err(|error| Error::unreadable(format!("a result line is no text: {error}"))))
    }
}

/// How many lines have no outcome yet, those among them that equal others.
fn count_undecided(root: &Path, parts: &Parts) -> Result<u64, Fault> {
    let mut undecided = 0;
    parts.walk(root, &std::env::temp_dir(), &mut |pair: Pair<'_>| {
        undecided += u64::from(parts.is_undecided(pair.from));
        Ok(())
    })?;
    Ok(undecided)
}

/// Sends the result lines that are decided, many at once.
fn walk(root: &Path, parts: &Parts, out: &SyncSender<Result<Vec<u8>, Fault>>) -> Result<(), Fault> {
    let gone = |_| Fault(root.to_owned(), io::ErrorKind::BrokenPipe.into());
    let mut chunk = Vec::new();
    parts.walk(root, &std::env::temp_dir(), &mut |pair: Pair<'_>| {
        if parts.is_undecided(pair.from) {
            return Ok(());
        }
        chunk.extend_from_slice(pair.result);
        chunk.push(b'\n');
        if chunk.len() < CHUNK {
            return Ok(());
        }
        out.send(Ok(std::mem::take(&mut chunk))).map_err(gone)
    })?;
    if chunk.is_empty() { Ok(()) } else { out.send(Ok(chunk)).map_err(gone) }
}
