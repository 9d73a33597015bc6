//! `cargo xtask bench`: what lote's commands take of processor, time and memory, beside what others take for the same
//! work, in the same run and in turn.

mod data;
mod limits;
mod measure;
mod network;
mod offline;
mod peers;
mod programs;
mod service;
mod table;
mod text;
mod work;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

use self::{
    data::Data,
    measure::{Spread, Taken},
    peers::Peers,
    service::{Needs, Service},
    work::{Contender, Scale, Scene, Work},
};
use crate::report::{EXIT_FRESH, Failure};

/// What is asked for.
#[derive(Debug, Default)]
pub struct Request {
    /// Little data, few rounds, the program that tests have built: whether it all works, in under a minute.
    pub quick: bool,
    /// With the peers, which are installed.
    pub peers: bool,
    /// Memory with 4,000,000 lines in place of 1,000,000.
    pub huge: bool,
    /// Only these works, or those whose names begin so.
    pub only: Vec<String>,
    /// The program to measure, in place of one that is built.
    pub lote: Option<PathBuf>,
}

/// The names of the works.
#[must_use]
pub fn names() -> Vec<&'static str> {
    work::names().collect()
}

/// What came of a work.
struct Measured {
    work: Work,
    /// Of each contender, what each round took.
    rounds: Vec<Vec<Round>>,
}

/// What one command took, and what the gateway took that was there for it alone.
struct Round {
    taken: Taken,
    gateway: Option<Taken>,
}

impl Measured {
    fn spread(&self, contender: usize, of: impl Fn(&Round) -> f64) -> Spread {
        Spread::of(self.rounds.get(contender).into_iter().flatten().map(of))
    }

    /// Seconds of all processors.
    fn cpu(&self, contender: usize) -> Spread {
        self.spread(contender, |round| round.taken.cpu.as_secs_f64())
    }

    fn wall(&self, contender: usize) -> Spread {
        self.spread(contender, |round| round.taken.wall.as_secs_f64())
    }

    /// MiB.
    fn peak(&self, contender: usize) -> Spread {
        self.spread(contender, |round| round.taken.peak as f64 / 1024.0)
    }

    /// Seconds of all processors that the gateway took.
    fn gateway(&self, contender: usize) -> Option<Spread> {
        let rounds = self.rounds.get(contender)?;
        let numbers = rounds.iter().map(|round| Some(round.gateway.as_ref()?.cpu.as_secs_f64()));
        numbers.collect::<Option<Vec<_>>>().map(Spread::of)
    }
}

/// Measures. A whole run with the peers writes docs/BENCHMARKS.md.
///
/// # Errors
///
/// When something does not build or run, or does not say what it should.
pub fn run(root: &Path, request: &Request, out: &mut dyn Write) -> Result<u8, Failure> {
    let place = root.join("target").join("bench");
    let scratch = place.join("scratch");
    fresh(&scratch).map_err(|error| cannot(&scratch, &error))?;
    let programs = programs::programs(root, request.quick, request.lote.as_deref(), out)?;
    let peers = match request.peers {
        true => Peers::install(root, &place.join("peers"), out)?,
        false => Peers::default(),
    };
    for absent in &peers.absent {
        writeln!(out, "left out: {absent}")?;
    }
    let data = Data::new(&place)?;
    let scale = match (request.quick, request.huge) {
        (true, _) => Scale::QUICK,
        (_, true) => Scale::HUGE,
        _ => Scale::WHOLE,
    };
    let scene = Scene {
        lote: &programs.lote,
        floor: programs.floor.as_deref(),
        peers: &peers,
        data: &data,
        scratch: &scratch,
        scale,
    };
    let mut all = Vec::new();
    for (name, make) in work::chosen(&request.only) {
        writeln!(out, "== {name}")?;
        let measured = measure(&scene, make(&scene, name, out)?, out)?;
        table::print(&measured, out)?;
        out.flush()?;
        all.push(measured);
    }
    limits::print(&all, out)?;
    if request.quick {
        writeln!(
            out,
            "\nThis was --quick: its figures are no claim. It shows that every work runs and says what it should."
        )?;
    } else if request.peers && request.only.is_empty() && peers.absent.is_empty() {
        let page = root.join("docs").join("BENCHMARKS.md");
        let text = table::page(&all, &peers, scale);
        fs::write(&page, text).map_err(|error| cannot(&page, &error))?;
        writeln!(out, "\nwritten: docs/BENCHMARKS.md")?;
    }
    _ = fs::remove_dir_all(&scratch);
    Ok(EXIT_FRESH)
}

/// Does a work: each command once, in turn, as often as there are rounds.
fn measure(scene: &Scene<'_>, work: Work, out: &mut dyn Write) -> Result<Measured, Failure> {
    let mut rounds: Vec<Vec<Round>> = work.contenders.iter().map(|_| Vec::new()).collect();
    let start = || Service::start(scene.lote, scene.scratch);
    let shared = match &work.needs {
        Needs::File(_) | Needs::Batch(_) => {
            let mut service = start()?;
            service.store(scene.lote, &work.needs)?;
            Some(service)
        }
        Needs::Fresh | Needs::Nothing => None,
    };
    for round in 0..work.rounds {
        write!(out, "\r  round {} of {}", round + 1, work.rounds)?;
        out.flush()?;
        for (contender, taken) in work.contenders.iter().zip(&mut rounds) {
            let own = (work.needs == Needs::Fresh).then(start).transpose()?;
            let result = once(contender, shared.as_ref().or(own.as_ref()))?;
            let gateway = own.map(Service::stop).transpose()?;
            taken.push(Round { taken: result, gateway });
        }
    }
    write!(out, "\r")?;
    if let Some(service) = shared {
        service.stop()?;
    }
    Ok(Measured { work, rounds })
}

/// Runs a command once, and sees that it did its work.
fn once(contender: &Contender, service: Option<&Service>) -> Result<Taken, Failure> {
    if let Some((path, _)) = &contender.leaves {
        gone(path).map_err(|error| cannot(path, &error))?;
    }
    let fill = |word: &str| service.map_or_else(|| word.to_owned(), |service| service.fill(word));
    let mut words = contender.words.iter().map(|word| fill(word));
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    if let Some(service) = service {
        service.environment(&mut command);
    }
    let taken = measure::run(&mut command, contender.exits)?;
    let what = measure::shown(&command);
    for says in contender.says.iter().map(|says| fill(says)) {
        if !taken.stdout.contains(&says) {
            let said: String = taken.stdout.chars().take(2000).collect();
            return Err(Failure::new(format!("{what} does not say {says}, but:\n{said}"), "see what is wrong with it"));
        }
    }
    if let Some((path, bytes)) = &contender.leaves {
        let found = fs::metadata(path).map_err(|error| cannot(path, &error))?;
        if bytes.is_some_and(|bytes| bytes != found.len()) {
            let problem = format!("{what} leaves {} bytes in {}", found.len(), path.display());
            return Err(Failure::new(problem, "see what is wrong with it"));
        }
        gone(path).map_err(|error| cannot(path, &error))?;
    }
    Ok(taken)
}

/// Removes a file or a folder, if it is there.
fn gone(path: &Path) -> io::Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// An empty folder.
fn fresh(path: &Path) -> io::Result<()> {
    gone(path)?;
    fs::create_dir_all(path)
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("{}: {error}", path.display()), "make room there, and let it be written")
}
