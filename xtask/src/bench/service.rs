//! The gateway that works of the network are done with: always in a process of its own.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::measure::{self, Taken};
use crate::report::Failure;

/// The key that is sent; any is let in.
pub(super) const KEY: &str = "sk-bench";

/// What a work needs of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    /// A gateway of its own for each command, as that keeps what it is sent. What the gateway takes is told as well.
    Fresh,
    /// One gateway for all, which has this file.
    File(PathBuf),
    /// One gateway for all, which has a batch over this file.
    Batch(PathBuf),
}

/// A gateway at work.
pub(super) struct Service {
    child: Option<Child>,
    began: Instant,
    pub(super) url: String,
    pub(super) file: String,
    pub(super) batch: String,
}

impl Service {
    pub(super) fn start(lote: &Path, scratch: &Path) -> Result<Self, Failure> {
        let cannot = |what: &str| Failure::new(format!("lote gateway {what}"), "see whether it runs by itself");
        let began = Instant::now();
        let mut child = Command::new(lote)
            .args(["gateway", "--listen", "127.0.0.1:0", "--json"])
            .env("TMPDIR", scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| cannot(&format!("cannot be started: {error}")))?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or_else(|| cannot("has no output"))?;
        let mut service =
            Self { child: Some(child), began, url: String::new(), file: String::new(), batch: String::new() };
        BufReader::new(stdout).read_line(&mut line).map_err(|error| cannot(&error.to_string()))?;
        let said: Value = serde_json::from_str(&line).unwrap_or_default();
        let listen = said["listen"].as_str().ok_or_else(|| cannot("does not say where it listens"))?;
        service.url = format!("http://{listen}");
        Ok(service)
    }

    /// Puts there what a work needs.
    pub(super) fn store(&mut self, lote: &Path, needs: &Needs) -> Result<(), Failure> {
        let (Needs::File(file) | Needs::Batch(file)) = needs else { return Ok(()) };
        let id = |service: &Self, words: &[&str]| {
            let mut command = Command::new(lote);
            let taken = measure::run(service.environment(command.args(words)), &[0])?;
            let said: Value = serde_json::from_str(&taken.stdout).unwrap_or_default();
            let id = said["id"].as_str().map(str::to_owned);
            id.ok_or_else(|| Failure::new(format!("lote {} names no id", words.join(" ")), "see what it says"))
        };
        self.file = id(self, &["files", "upload", &file.to_string_lossy()])?;
        if matches!(needs, Needs::Batch(_)) {
            self.batch = id(self, &["batches", "create", &self.file, "--endpoint", "chat"])?;
        }
        Ok(())
    }

    /// The service, for every client that looks for one in its environment.
    pub(super) fn environment<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("LOTE_BASE_URL", &self.url)
            .env("LOTE_API_KEY", KEY)
            .env("OPENAI_BASE_URL", format!("{}/v1", self.url))
            .env("OPENAI_API_KEY", KEY)
            .env("NO_PROXY", "*")
            .env("no_proxy", "*")
    }

    /// A word of a command, with what it asks of the service.
    pub(super) fn fill(&self, word: &str) -> String {
        word.replace("{url}", &self.url).replace("{file}", &self.file).replace("{batch}", &self.batch)
    }

    /// Stops it; what it took.
    pub(super) fn stop(mut self) -> Result<Taken, Failure> {
        let cannot = |error| Failure::new(format!("lote gateway does not stop: {error}"), "end the process");
        let mut child = self.child.take().ok_or_else(|| cannot(std::io::Error::other("it was stopped before")))?;
        terminate(&child);
        let (_, taken) = measure::wait(&mut child, self.began).map_err(cannot)?;
        Ok(taken)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            terminate(&child);
            // It removes what it has stored; one that does not heed the signal is not waited for.
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(5) {
                if !matches!(child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            _ = child.kill();
            _ = child.wait();
        }
    }
}

/// Asks a process to end, by the command that every Unix has: a signal by itself would be another crate.
fn terminate(child: &Child) {
    _ = Command::new("kill").arg(child.id().to_string()).status();
}
