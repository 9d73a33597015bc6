//! The ledger of a run: each request line beside what came of it, read from its folder whether the run is finished or not.

use std::{
    fmt,
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread, vec,
};

use super::{
    RunError,
    clean::holds_the_lines,
    folder::{Folder, RESULTS, Seen},
    invoice::Way,
    merge::{Beaten, Fault, Pair, Parts, Visit, custom_id},
};
use crate::{
    Error, Outcome,
    lines::{Answer, DEFAULT_MAX_LINE_BYTES, LineReader, open_lines},
};

/// About how many bytes of lines go from the thread that reads to the one that asks at once, and how often ahead.
const CHUNK: usize = 64 << 10;
const AHEAD: usize = 2;

/// The request lines of a run, in the order of the input, each with what came of it so far. See [`ledger`](fn@ledger).
#[must_use = "nothing is read until the first line is taken"]
pub struct Ledger {
    folder: PathBuf,
    lines: u64,
    source: Source,
}

enum Source {
    /// Not begun.
    Folder(Box<Reading>),
    Thread {
        chunks: Receiver<Result<Vec<LedgerLine>, Fault>>,
        chunk: vec::IntoIter<LedgerLine>,
    },
    Over,
}

/// What is read, and where.
struct Reading {
    root: PathBuf,
    parts: Parts,
    finished: bool,
    /// The files that hold the lines, of a run that was cleaned.
    sources: Option<Vec<PathBuf>>,
}

/// A request line of a run, and what came of it so far.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LedgerLine {
    request: Option<String>,
    came: Came,
    attempts: Option<u32>,
}

#[derive(Clone, Debug)]
enum Came {
    Result(String),
    Nothing { why: String },
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("folder", &self.folder).field("lines", &self.lines).finish_non_exhaustive()
    }
}

/// The ledger of the run in a folder: its request lines in the order of the input, each with its outcome, or with why it has
/// none yet.
///
/// Nothing is asked of a service, and nothing is written: another process may be at work on the run meanwhile. What is read
/// is that of the moment of this call. Memory does not grow with the run. Of a run that was [cleaned](fn@super::clean)
/// request lines that are not in the folder any more are read from the files that they came from, if those still hold them.
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
/// for line in lote::run::ledger(&folder)? {
///     let line = line?;
///     match line.outcome()? {
///         Some(outcome) => println!("{}: {}", line.request().unwrap_or("(cleaned)"), outcome.text()?),
///         None => println!("{}: {}", line.custom_id()?, line.why().unwrap_or_default()),
///     }
/// #   assert!(line.request().is_some_and(|request| request.contains("1 + 1?")) && line.attempts() == Some(1));
/// }
/// # assert_eq!(lote::run::ledger(&folder)?.count(), 1);
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
pub fn ledger(folder: impl AsRef<Path>) -> Result<Ledger, RunError> {
    let path = folder.as_ref();
    let Seen { record, state, holder: _ } = Folder::look(path)?;
    let parts = Parts::in_state(&state, &record);
    let (lines, _) = parts.lines();
    let finished = state.finished.is_some();
    let sources = (finished && !parts.can_be_walked(path)).then(|| match parts.requests(path) {
        Some(requests) => requests,
        None if holds_the_lines(&record) => record.sources.iter().map(|source| PathBuf::from(&source.path)).collect(),
        None => Vec::new(),
    });
    let reading = Reading { root: path.to_owned(), parts, finished, sources };
    Ok(Ledger { folder: path.to_owned(), lines, source: Source::Folder(Box::new(reading)) })
}

impl Ledger {
    /// How many request lines there are.
    pub fn lines(&self) -> u64 {
        self.lines
    }
}

impl LedgerLine {
    /// The request line, as JSON; none where it is neither in the folder any more nor in the file that it came from.
    pub fn request(&self) -> Option<&str> {
        self.request.as_deref()
    }

    /// The result line, as JSON; none of a line that has no outcome yet.
    pub fn result(&self) -> Option<&str> {
        match &self.came {
            Came::Result(line) => Some(line),
            Came::Nothing { .. } => None,
        }
    }

    /// What came of it; none of a line that has no outcome yet: it may be answered, and paid for, by now.
    ///
    /// # Errors
    /// One that [`is_undecodable`](Error::is_undecodable) when the result line cannot be read.
    pub fn outcome(&self) -> Result<Option<Outcome>, Error> {
        self.result().map(Outcome::from_line).transpose()
    }

    /// Why it has no outcome yet, for people; none of a line that has one.
    pub fn why(&self) -> Option<&str> {
        match &self.came {
            Came::Result(_) => None,
            Came::Nothing { why } => Some(why),
        }
    }

    /// How often it was tried so far; none where the folder does not say so any more.
    pub fn attempts(&self) -> Option<u32> {
        self.attempts
    }

    /// Its custom_id.
    ///
    /// # Errors
    /// One that [`is_undecodable`](Error::is_undecodable) when neither line can be read.
    pub fn custom_id(&self) -> Result<String, Error> {
        let line = self.request().or(self.result()).unwrap_or_default();
        custom_id(line.as_bytes()).map_err(|error| Error::unreadable(format!("a line has no custom_id: {error}")))
    }
}

impl Iterator for Ledger {
    type Item = Result<LedgerLine, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Source::Folder(_) = &self.source
            && let Source::Folder(reading) = std::mem::replace(&mut self.source, Source::Over)
        {
            match reading.begin() {
                Ok(chunks) => self.source = Source::Thread { chunks, chunk: Vec::new().into_iter() },
                Err(error) => return Some(Err(Error::io("start a thread that reads", error))),
            }
        }
        let Source::Thread { chunks, chunk } = &mut self.source else { return None };
        if let Some(line) = chunk.next() {
            return Some(Ok(line));
        }
        match chunks.recv() {
            Ok(Ok(next)) => {
                *chunk = next.into_iter();
                chunk.next().map(Ok)
            }
            Ok(Err(Fault(path, error))) => {
                self.source = Source::Over;
                Some(Err(Error::path("read", &path, error)))
            }
            Err(_) => {
                self.source = Source::Over;
                None
            }
        }
    }
}

impl std::iter::FusedIterator for Ledger {}

impl Reading {
    /// Reads in a thread of its own, only so far ahead. It ends when nobody asks any more.
    fn begin(self) -> io::Result<Receiver<Result<Vec<LedgerLine>, Fault>>> {
        let (out, chunks) = sync_channel(AHEAD);
        thread::Builder::new().name("lote-ledger".to_owned()).spawn(move || {
            let mut sending = Sending { out: out.clone(), chunk: Vec::new(), bytes: 0 };
            let read = match &self.sources {
                Some(sources) => self.join(sources, &mut sending),
                None => self.walk(&mut sending),
            };
            if let Err(fault) = read.and_then(|()| sending.end()) {
                let _ = out.send(Err(fault));
            }
        })?;
        Ok(chunks)
    }

    /// From the shards. Of a finished run the results are those that it has put together.
    fn walk(&self, sending: &mut Sending) -> Result<(), Fault> {
        let results = self.finished.then(|| Results::open(&self.root)).transpose()?;
        let mut walking = Walking { parts: &self.parts, results, attempts: 1, sending };
        self.parts.walk(&self.root, &std::env::temp_dir(), &mut walking)
    }

    /// From the results, and the request lines in the files that they came from, which are in the same order.
    fn join(&self, sources: &[PathBuf], sending: &mut Sending) -> Result<(), Fault> {
        let mut results = Results::open(&self.root)?;
        let mut requests = Requests { left: sources.to_vec(), reader: None };
        requests.left.reverse();
        while let Some(result) = results.next()? {
            let id = custom_id(result.as_bytes()).map_err(|error| Fault(results.path.clone(), error))?;
            let request = requests.find(&id)?;
            sending.send(LedgerLine { request, came: Came::Result(result), attempts: None })?;
        }
        Ok(())
    }
}

/// Lines on their way to who asks, many at once.
struct Sending {
    out: SyncSender<Result<Vec<LedgerLine>, Fault>>,
    chunk: Vec<LedgerLine>,
    bytes: usize,
}

impl Sending {
    fn send(&mut self, line: LedgerLine) -> Result<(), Fault> {
        self.bytes += line.request().map_or(0, str::len) + line.result().map_or(0, str::len) + size_of::<LedgerLine>();
        self.chunk.push(line);
        if self.bytes < CHUNK { Ok(()) } else { self.end() }
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.bytes = 0;
        match std::mem::take(&mut self.chunk) {
            chunk if chunk.is_empty() => Ok(()),
            chunk => self.out.send(Ok(chunk)).map_err(|_| Fault(PathBuf::new(), io::ErrorKind::BrokenPipe.into())),
        }
    }
}

struct Walking<'a> {
    parts: &'a Parts,
    results: Option<Results>,
    /// How often the line that comes next was tried.
    attempts: u32,
    sending: &'a mut Sending,
}

impl Visit for Walking<'_> {
    fn pair(&mut self, pair: Pair<'_>) -> Result<(), Fault> {
        let attempts = std::mem::replace(&mut self.attempts, 1).max(self.parts.attempt(pair.from));
        let result = match &mut self.results {
            Some(results) => results.next()?.ok_or_else(|| results.fault("it ends too soon"))?,
            None => text(pair.result)?,
        };
        let came = match self.results.is_none() && self.parts.is_undecided(pair.from) {
            false => Came::Result(result),
            true => {
                let why = Answer::parse(pair.result).ok().and_then(|answer| answer.error_message());
                Came::Nothing { why: why.unwrap_or_else(|| "it has no outcome yet".to_owned()) }
            }
        };
        self.sending.send(LedgerLine { request: Some(text(pair.request)?), came, attempts: Some(attempts) })
    }

    fn beaten(&mut self, beaten: Beaten<'_>) -> Result<(), Fault> {
        if beaten.way == Way::Replaced {
            self.attempts = self.attempts.max(self.parts.attempt(beaten.from));
        }
        Ok(())
    }
}

/// A line of the folder as text.
fn text(line: &[u8]) -> Result<String, Fault> {
    String::from_utf8(line.to_vec()).map_err(|error| Fault(PathBuf::new(), io::Error::other(error)))
}

/// The results of a finished run, line by line.
struct Results {
    path: PathBuf,
    reader: BufReader<File>,
}

impl Results {
    fn open(root: &Path) -> Result<Self, Fault> {
        let path = root.join(RESULTS);
        match File::open(&path) {
            Ok(file) => Ok(Self { path, reader: BufReader::with_capacity(128 << 10, file) }),
            Err(error) => Err(Fault(path, error)),
        }
    }

    fn next(&mut self) -> Result<Option<String>, Fault> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => Ok(None),
            Ok(_) => {
                line.truncate(line.trim_end_matches('\n').len());
                Ok(Some(line))
            }
            Err(error) => Err(Fault(self.path.clone(), error)),
        }
    }

    fn fault(&self, why: &str) -> Fault {
        Fault(self.path.clone(), io::Error::other(why.to_owned()))
    }
}

/// Request lines in the files that they came from.
struct Requests {
    /// Those that come, the next one last.
    left: Vec<PathBuf>,
    reader: Option<(PathBuf, LineReader<Box<dyn BufRead + Send>>)>,
}

impl Requests {
    /// The next line with this id. Those before it are of other parts of the input.
    fn find(&mut self, id: &str) -> Result<Option<String>, Fault> {
        loop {
            if self.reader.is_none() {
                let Some(path) = self.left.pop() else { return Ok(None) };
                let opened = open_lines(&path).map_err(|error| Fault(path.clone(), error))?;
                self.reader = Some((path, LineReader::new(opened).max_line_bytes(DEFAULT_MAX_LINE_BYTES)));
            }
            let Some((path, reader)) = &mut self.reader else { return Ok(None) };
            match reader.next_line().map_err(|error| Fault(path.clone(), error))? {
                None => self.reader = None,
                Some(line) if custom_id(line.bytes).is_ok_and(|found| found == id) => {
                    return text(line.bytes).map(Some);
                }
                Some(_) => {}
            }
        }
    }
}
