//! What was measured of a work, kept below the folder of builds, so that a page can be written of works that were measured
//! one after another. All commands of one work are always of one run.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use serde::{Deserialize, Serialize};

use super::{Round, measure::Spread, work::Work};

/// What came of a work.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Figures {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) rounds: usize,
    /// The commit that the working tree was at.
    pub(super) commit: String,
    /// How busy the machine was with this and all else.
    #[serde(default)]
    pub(super) load: Option<f64>,
    pub(super) commands: Vec<Figure>,
}

/// What one command took.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Figure {
    pub(super) name: String,
    /// What it does not do of what ours does.
    pub(super) lacks: String,
    /// Seconds of all processors.
    pub(super) cpu: Spread,
    /// Seconds.
    pub(super) wall: Spread,
    /// MiB.
    pub(super) peak: Spread,
    /// The least that can be told of that, in MiB.
    #[serde(default)]
    pub(super) least: f64,
    /// Seconds of all processors that the gateway took which was there for it alone.
    pub(super) gateway: Option<Spread>,
}

impl Figures {
    pub(super) fn of(work: &Work, commit: &str, rounds: &[Vec<Round>]) -> Self {
        let figure = |(contender, rounds): (&super::work::Contender, &Vec<Round>)| {
            let spread = |of: &dyn Fn(&Round) -> f64| Spread::of(rounds.iter().map(of));
            let gateway = rounds.iter().map(|round| Some(round.gateway.as_ref()?.cpu.as_secs_f64()));
            Figure {
                name: contender.name.to_owned(),
                lacks: contender.lacks.to_owned(),
                cpu: spread(&|round| round.taken.cpu.as_secs_f64()),
                wall: spread(&|round| round.taken.wall.as_secs_f64()),
                peak: spread(&|round| round.taken.peak as f64 / 1024.0),
                least: spread(&|round| round.taken.least as f64 / 1024.0).max,
                gateway: gateway.collect::<Option<Vec<_>>>().map(Spread::of),
            }
        };
        Self {
            name: work.name.to_owned(),
            title: work.title.clone(),
            rounds: work.rounds,
            commit: commit.to_owned(),
            load: load(),
            commands: work.contenders.iter().zip(rounds).map(figure).collect(),
        }
    }

    /// A command by its name.
    pub(super) fn command(&self, name: &str) -> Option<&Figure> {
        self.commands.iter().find(|figure| figure.name == name)
    }

    /// Keeps them for the page.
    pub(super) fn keep(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(place(folder, &self.name), serde_json::to_vec(self)?)
    }

    /// Those that were kept of a work.
    pub(super) fn kept(folder: &Path, name: &str) -> Option<Self> {
        serde_json::from_slice(&fs::read(place(folder, name)).ok()?).ok()
    }
}

fn place(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

/// The commit that is checked out, where git knows it, and whether what is built differs from it.
pub(super) fn commit(root: &Path) -> String {
    let git = |words: &[&str]| Command::new("git").args(words).current_dir(root).output().ok();
    let said = git(&["rev-parse", "--short=9", "HEAD"]).filter(|output| output.status.success());
    let Some(said) = said else { return "an unknown commit".to_owned() };
    let commit = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let built = ["diff", "--quiet", "HEAD", "--", "crates", "Cargo.toml", "Cargo.lock"];
    match git(&built).is_some_and(|output| output.status.success()) {
        true => commit,
        false => format!("{commit} with changes"),
    }
}

/// How many processes were at work or waited for it in the last minute, where Linux tells.
fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}
