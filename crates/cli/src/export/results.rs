//! The results that a table is made of, and finding those of one line.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use lote::{Outcome, Outcomes};
use tempfile::NamedTempFile;

use super::answer::Answer;
use crate::exit::CliError;
use crate::input;
use crate::interrupt::Interrupt;
use crate::out;
use crate::shell;
use crate::spool::{NotCopied, copy_all};

/// Results, which are read more than once.
pub(crate) struct Results {
    path: PathBuf,
    /// What messages call them.
    name: String,
    /// How many the run has, which is finished.
    lines: Option<u64>,
    _spool: Option<NamedTempFile>,
}

/// What could not be read of them.
#[derive(Default)]
pub(crate) struct Unreadable {
    pub(crate) lines: u64,
    /// The first of them, and why.
    pub(crate) first: Option<String>,
}

impl Results {
    /// Those of a run, or in a file; `-` is stdin, which is kept in a temporary file meanwhile.
    ///
    /// # Errors
    /// When there are none.
    pub(crate) fn of(named: &Path) -> Result<Self, CliError> {
        let name = input::shown(named);
        if named.is_dir() {
            let path = named.join("results.jsonl");
            return match (path.is_file(), named.join("run.json").exists()) {
                (true, _) => {
                    let status = lote::run::status(named).ok();
                    let lines = status.and_then(|status| status.results).map(|joined| joined.lines);
                    Ok(Self { path, name, lines, _spool: None })
                }
                (false, true) => {
                    let folder = shell::quoted(named);
                    Err(CliError::usage(format!(
                        "{name}: its run has no results yet; lote resume {folder} goes on with it"
                    )))
                }
                (false, false) => {
                    Err(CliError::usage(format!("{name}: the folder holds no run; name one, or a file of results")))
                }
            };
        }
        let mut source = input::open_as_is(named)?;
        if fs::metadata(named).is_ok_and(|found| found.is_file()) {
            return Ok(Self { path: named.to_owned(), name, lines: None, _spool: None });
        }
        let mut spool = temporary()?;
        copy_all(&mut source, spool.as_file_mut()).map_err(|error| match error {
            NotCopied::Read(error) => input::cannot_read(named, &error),
            NotCopied::Write(error) => cannot_keep(&error),
        })?;
        Ok(Self { path: spool.path().to_owned(), name, lines: None, _spool: Some(spool) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn open(&self) -> Result<Outcomes, CliError> {
        Outcomes::open(&self.path).map_err(|error| self.failed(&error))
    }

    /// Looks at each result, in their order.
    ///
    /// # Errors
    /// When the file cannot be read, or has not as many as its run, and those of the visit.
    pub(crate) fn each(
        &self,
        interrupt: &Interrupt,
        mut visit: impl FnMut(&Outcome, &Answer) -> Result<(), CliError>,
    ) -> Result<Unreadable, CliError> {
        let (mut outcomes, mut unreadable) = (self.open()?, Unreadable::default());
        let mut read = 0;
        while let Some(outcome) = self.next(&mut outcomes, &mut unreadable)? {
            interrupt.check()?;
            visit(&outcome, &Answer::of(&outcome))?;
            read += 1;
        }
        read += unreadable.lines;
        match self.lines {
            Some(lines) if lines != read => {
                let folder = shell::quoted(self.path.parent().unwrap_or(Path::new("")));
                Err(CliError::usage(format!(
                    "{}: its results are {}, and were {lines}: the file was cut or changed; lote resume {folder} writes it anew",
                    self.name,
                    out::count(read, "line")
                )))
            }
            _ => Ok(unreadable),
        }
    }

    /// The next result that can be read.
    fn next(&self, outcomes: &mut Outcomes, unreadable: &mut Unreadable) -> Result<Option<Outcome>, CliError> {
        loop {
            match outcomes.next() {
                None => return Ok(None),
                Some(Ok(outcome)) => return Ok(Some(outcome)),
                Some(Err(error)) if error.is_undecodable() => {
                    unreadable.lines += 1;
                    unreadable.first.get_or_insert_with(|| error.to_string());
                }
                Some(Err(error)) => return Err(self.failed(&error)),
            }
        }
    }

    fn failed(&self, error: &lote::Error) -> CliError {
        CliError::usage(format!("{}: {error}", self.name))
    }
}

/// Finds the result of a line. Where results are in the order in which they are asked for, nothing is kept of them; else
/// 16 bytes for each are in memory.
pub(crate) struct Finder<'a> {
    results: &'a Results,
    outcomes: Outcomes,
    ahead: Option<Outcome>,
    index: Option<Index>,
    /// Those that cannot be read.
    pub(crate) unreadable: Unreadable,
}

impl<'a> Finder<'a> {
    pub(crate) fn new(results: &'a Results) -> Result<Self, CliError> {
        let outcomes = results.open()?;
        Ok(Self { results, outcomes, ahead: None, index: None, unreadable: Unreadable::default() })
    }

    /// The result of this line. Each is given once.
    ///
    /// # Errors
    /// When a file cannot be read or written, or two results are for one line.
    pub(crate) fn find(&mut self, custom_id: &str) -> Result<Option<Outcome>, CliError> {
        if let Some(index) = &mut self.index {
            return index.take(custom_id);
        }
        self.look_ahead()?;
        match self.ahead.take_if(|ahead| ahead.custom_id() == custom_id) {
            Some(outcome) => Ok(Some(outcome)),
            None if self.ahead.is_none() => Ok(None),
            None => {
                let index = Index::of(self)?;
                self.index.insert(index).take(custom_id)
            }
        }
    }

    /// The first of the results that nobody has asked for, and how many those are.
    pub(crate) fn left(mut self) -> Result<Option<(String, u64)>, CliError> {
        if let Some(index) = &mut self.index {
            return index.left();
        }
        self.look_ahead()?;
        let Some(first) = self.ahead.take() else { return Ok(None) };
        let mut count = 1;
        while self.results.next(&mut self.outcomes, &mut self.unreadable)?.is_some() {
            count += 1;
        }
        Ok(Some((first.custom_id().to_owned(), count)))
    }

    fn look_ahead(&mut self) -> Result<(), CliError> {
        if self.ahead.is_none() {
            self.ahead = self.results.next(&mut self.outcomes, &mut self.unreadable)?;
        }
        Ok(())
    }
}

/// Where each result is in a temporary file.
struct Index {
    file: BufReader<File>,
    /// By the hash of the custom_id; of those that were given out the place is [`TAKEN`].
    places: Vec<(u64, u64)>,
    hasher: RandomState,
}

const TAKEN: u64 = u64::MAX;

impl Index {
    /// Of all that come next.
    fn of(finder: &mut Finder<'_>) -> Result<Self, CliError> {
        let file = tempfile::tempfile().map_err(|error| cannot_keep(&error))?;
        let hasher = RandomState::new();
        let (mut to, mut places, mut at) = (BufWriter::new(&file), Vec::new(), 0);
        let mut next = finder.ahead.take();
        while let Some(outcome) = next {
            places.push((hasher.hash_one(outcome.custom_id()), at));
            let line = outcome.line();
            to.write_all(line.as_bytes()).and_then(|()| to.write_all(b"\n")).map_err(|error| cannot_keep(&error))?;
            at += line.len() as u64 + 1;
            next = finder.results.next(&mut finder.outcomes, &mut finder.unreadable)?;
        }
        to.flush().map_err(|error| cannot_keep(&error))?;
        drop(to);
        places.sort_unstable();
        let mut index = Self { file: BufReader::new(file), places, hasher };
        if let Some(id) = index.twice()? {
            let message = format!(
                "{}: two results are for custom_id {id:?}; lote join, given the requests, makes one of them",
                finder.results.name
            );
            return Err(CliError::refused(message));
        }
        Ok(index)
    }

    /// A custom_id that two results have.
    fn twice(&mut self) -> Result<Option<String>, CliError> {
        for at in 1..self.places.len() {
            let [(before, first), (hash, second)] = [self.places[at - 1], self.places[at]];
            // Two ids may have one hash.
            if before == hash {
                let (first, second) = (self.read(first)?, self.read(second)?);
                if first.custom_id() == second.custom_id() {
                    return Ok(Some(first.custom_id().to_owned()));
                }
            }
        }
        Ok(None)
    }

    fn take(&mut self, custom_id: &str) -> Result<Option<Outcome>, CliError> {
        let hash = self.hasher.hash_one(custom_id);
        let from = self.places.partition_point(|(known, _)| *known < hash);
        for at in (from..self.places.len()).take_while(|at| self.places[*at].0 == hash).collect::<Vec<_>>() {
            let (_, place) = self.places[at];
            if place == TAKEN {
                continue;
            }
            let outcome = self.read(place)?;
            if outcome.custom_id() == custom_id {
                self.places[at].1 = TAKEN;
                return Ok(Some(outcome));
            }
        }
        Ok(None)
    }

    fn left(&mut self) -> Result<Option<(String, u64)>, CliError> {
        let left = || self.places.iter().map(|(_, place)| *place).filter(|place| *place != TAKEN);
        let (first, count) = (left().min(), left().count() as u64);
        let Some(first) = first else { return Ok(None) };
        Ok(Some((self.read(first)?.custom_id().to_owned(), count)))
    }

    fn read(&mut self, at: u64) -> Result<Outcome, CliError> {
        let mut line = String::new();
        let read = self.file.seek(SeekFrom::Start(at)).and_then(|_| self.file.read_line(&mut line));
        read.map_err(|error| cannot_keep(&error))?;
        line.truncate(line.trim_end_matches('\n').len());
        Outcome::from_line(line).map_err(|error| cannot_keep(&io::Error::other(error.to_string())))
    }
}

fn temporary() -> Result<NamedTempFile, CliError> {
    NamedTempFile::new().map_err(|error| cannot_keep(&error))
}

fn cannot_keep(error: &io::Error) -> CliError {
    let folder = std::env::temp_dir();
    CliError::usage(format!("{}: results cannot be kept there while the table is made: {error}", folder.display()))
}
