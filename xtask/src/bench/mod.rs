//! `cargo xtask bench`: what lote's commands take of processor, time and memory, beside what others take for the same
//! work, in the same run and in turn.

mod against;
mod chart;
mod data;
mod figures;
mod limits;
mod measure;
mod network;
mod offline;
mod peers;
mod programs;
mod reasons;
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
    figures::Figures,
    measure::Taken,
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
    /// Count instructions in place of all else, here and at this revision.
    pub against: Option<String>,
    /// So many rounds of each work, in place of as many as it takes by default.
    pub rounds: Option<usize>,
    /// The program to measure, in place of one that is built.
    pub lote: Option<PathBuf>,
}

/// The names of the works.
#[must_use]
pub fn names() -> Vec<&'static str> {
    work::names().collect()
}

/// What one command took, and what the gateway took that was there for it alone.
struct Round {
    taken: Taken,
    gateway: Option<Taken>,
}

/// Measures. What was measured with all peers is written to docs/BENCHMARKS.md, beside what was measured before of other works.
///
/// # Errors
///
/// When something does not build or run, or does not say what it should.
pub fn run(root: &Path, request: &Request, out: &mut dyn Write) -> Result<u8, Failure> {
    let place = root.join("target").join("bench");
    if let Some(revision) = &request.against {
        return against::against(root, &place, revision, out);
    }
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
    let commit = figures::commit(root);
    for (name, make) in work::chosen(&request.only) {
        writeln!(out, "== {name}")?;
        let mut work = make(&scene, name, out)?;
        work.rounds = request.rounds.unwrap_or(work.rounds);
        let figures = Figures::of(&work, &commit, &measure(&scene, &work, out)?);
        table::print(&figures, out)?;
        all.push(figures);
        // After each, since all of them take long.
        if request.peers && !request.quick && peers.absent.is_empty() {
            write_page(root, &place.join("figures"), &all, &peers)?;
            writeln!(out, "written: docs/BENCHMARKS.md and docs/benchmarks.svg")?;
        }
        out.flush()?;
    }
    if !request.quick {
        limits::print(&all, out)?;
    }
    if request.quick {
        writeln!(out, "\nThis was --quick: its figures are no claim. Every work runs and says what it should.")?;
    }
    _ = fs::remove_dir_all(&scratch);
    Ok(EXIT_FRESH)
}

/// Writes docs/BENCHMARKS.md and its picture, with what was kept of other works.
fn write_page(root: &Path, kept: &Path, all: &[Figures], peers: &Peers) -> Result<(), Failure> {
    all.iter().try_for_each(|figures| figures.keep(kept)).map_err(|error| cannot(kept, &error))?;
    let all: Vec<Figures> = work::names().filter_map(|name| Figures::kept(kept, name)).collect();
    for (name, text) in [("BENCHMARKS.md", table::page(&all, peers)), ("benchmarks.svg", chart::chart(&all))] {
        let path = root.join("docs").join(name);
        fs::write(&path, text).map_err(|error| cannot(&path, &error))?;
    }
    Ok(())
}

/// Does a work: each command once, in turn, as often as there are rounds.
fn measure(scene: &Scene<'_>, work: &Work, out: &mut dyn Write) -> Result<Vec<Vec<Round>>, Failure> {
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
    Ok(rounds)
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
