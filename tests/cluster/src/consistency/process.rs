//! The processes of a scenario: started, killed, stopped and woken, and started again when they have died.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinHandle;

use super::client::ready;
use super::place::Place;
use super::witness::Witness;

/// How long a process may be silent before others take its work.
pub(super) const LEASE: Duration = Duration::from_millis(1500);

/// How often is looked whether a process has died or stopped.
const LOOK: Duration = Duration::from_millis(15);

/// How long a start may take: all of this runs beside builds.
const START: Duration = Duration::from_secs(60);

/// What has happened to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Died,
    /// It has ended with this code.
    Ended(i32),
    Stopped,
    Woken,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Happened {
    pub(super) at: Instant,
    pub(super) what: What,
}

/// How a process is started.
struct Recipe {
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: PathBuf,
    /// The most that it may write into one file, in units of 512 bytes; none for as much as it likes.
    most_blocks: Mutex<Option<u64>>,
}

struct Process {
    port: u16,
    child: Option<Child>,
    stopped: Option<Instant>,
    /// Whether it is started again when it dies.
    is_kept: bool,
    starts: usize,
}

struct Inner {
    recipe: Recipe,
    processes: Vec<Mutex<Process>>,
    happened: Mutex<Vec<Happened>>,
    stop_for: Duration,
}

/// All processes of a scenario. They are killed when this is dropped.
pub struct Gateways {
    inner: Arc<Inner>,
    looking: JoinHandle<()>,
}

/// What the processes are told beside where their state is.
pub(super) struct Setup<'a> {
    pub(super) place: &'a Place,
    pub(super) witness: &'a Witness,
    pub(super) folder: &'a Path,
    /// For all processes but the last: so that one goes on.
    pub(super) plan: Option<&'a str>,
    pub(super) window: Option<Duration>,
    pub(super) most_blocks: Option<u64>,
    pub(super) grace: Duration,
    pub(super) stop_for: Option<Duration>,
    /// How long the upstream is waited for, in seconds.
    pub(super) timeout: u32,
}

/// The command that is tried.
pub fn lote() -> PathBuf {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/debug/lote");
    std::env::var_os("LOTE_BIN").map_or(built, PathBuf::from)
}

/// A port that nobody has, below those that the system gives to clients.
fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 10_000).unwrap();
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

impl Gateways {
    /// Starts all processes, and waits until they can be asked.
    pub(super) async fn start(setup: Setup<'_>) -> Gateways {
        let Setup { place, witness, folder, plan, window, most_blocks, grace, stop_for, timeout } = setup;
        fs::create_dir_all(folder.join("tmp")).unwrap();
        let config = format!(
            "[[upstream]]\nurl = \"{}\"\nmax_concurrency = {}\ntimeout = {timeout}\nretries = 8\n",
            witness.url(),
            super::story::AT_ONCE
        );
        fs::write(folder.join("config.toml"), config).unwrap();
        fs::write(folder.join("keys.txt"), super::story::KEYS).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let mut arguments = place.arguments();
        arguments.extend(["--config".to_owned(), path("config.toml"), "--key-file".to_owned(), path("keys.txt")]);
        arguments.extend(["--log".to_owned(), "text".to_owned()]);
        arguments.extend(["--grace".to_owned(), format!("{}s", grace.as_secs())]);
        let mut environment = place.environment();
        environment.push(("LOTE_GATEWAY_LEASE_MS".to_owned(), LEASE.as_millis().to_string()));
        environment.push(("TMPDIR".to_owned(), path("tmp")));
        if let Some(window) = window {
            environment.push(("LOTE_GATEWAY_WINDOW_MS".to_owned(), window.as_millis().to_string()));
        }
        let recipe = Recipe { arguments, environment, folder: folder.to_owned(), most_blocks: Mutex::new(most_blocks) };
        let count = place.processes();
        let processes = (0..count)
            .map(|_| Mutex::new(Process { port: port(), child: None, stopped: None, is_kept: true, starts: 0 }))
            .collect();
        let usual = if count == 1 { Duration::from_secs(1) } else { LEASE * 2 + LEASE / 4 };
        let stop_for = stop_for.unwrap_or(usual);
        let inner = Arc::new(Inner { recipe, processes, happened: Mutex::default(), stop_for });
        for at in 0..count {
            let plan = plan.filter(|_| count == 1 || at + 1 < count);
            inner.spawn(at, plan);
        }
        let looker = Arc::clone(&inner);
        let looking = tokio::spawn(async move {
            loop {
                looker.look();
                tokio::time::sleep(LOOK).await;
            }
        });
        let gateways = Gateways { inner, looking };
        gateways.ready().await;
        gateways
    }

    /// Waits until all can be asked.
    pub(super) async fn ready(&self) {
        let until = Instant::now() + START;
        for port in self.ports() {
            while !ready(port).await {
                assert!(Instant::now() < until, "a gateway does not start: {}", self.logs());
                tokio::time::sleep(LOOK).await;
            }
        }
    }

    pub fn ports(&self) -> Vec<u16> {
        self.inner.processes.iter().map(|process| lock(process).port).collect()
    }

    pub(super) fn happened(&self) -> Vec<Happened> {
        self.inner.happened.lock().unwrap().clone()
    }

    /// Sends a signal to a process.
    pub fn signal(&self, at: usize, signal: Signal) {
        let process = lock(&self.inner.processes[at]);
        if let Some(child) = &process.child {
            let _ = kill_process(pid(child), signal);
        }
    }

    /// Lets a process end, and returns when it has; it is not started again by itself.
    pub(super) async fn end(&self, at: usize, signals: &[Signal]) -> Duration {
        lock(&self.inner.processes[at]).is_kept = false;
        let since = Instant::now();
        for signal in signals {
            self.signal(at, *signal);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        while lock(&self.inner.processes[at]).child.is_some() {
            if since.elapsed() > START {
                self.signal(at, Signal::KILL);
            }
            tokio::time::sleep(LOOK).await;
        }
        since.elapsed()
    }

    /// Starts a process again that has ended.
    pub(super) fn again(&self, at: usize) {
        lock(&self.inner.processes[at]).is_kept = true;
        self.inner.spawn(at, None);
    }

    /// From the next start on it may write as much as it likes.
    pub(super) fn without_limit(&self) {
        *self.inner.recipe.most_blocks.lock().unwrap() = None;
    }

    /// Which points were passed, with what was done there, by any process.
    pub(super) fn points(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for at in 0..self.inner.processes.len() {
            let text = fs::read_to_string(self.inner.recipe.folder.join(format!("points-{at}"))).unwrap_or_default();
            lines.extend(text.lines().map(str::to_owned));
        }
        lines
    }

    /// What the processes have logged, each with its number.
    pub(super) fn logs(&self) -> String {
        let read = |at| fs::read_to_string(self.inner.recipe.folder.join(format!("log-{at}"))).unwrap_or_default();
        (0..self.inner.processes.len()).map(|at| format!("--- process {at}\n{}", read(at))).collect()
    }
}

impl Drop for Gateways {
    fn drop(&mut self) {
        self.looking.abort();
        for process in &self.inner.processes {
            let mut process = lock(process);
            process.is_kept = false;
            if let Some(mut child) = process.child.take() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

fn lock(process: &Mutex<Process>) -> MutexGuard<'_, Process> {
    process.lock().unwrap()
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

impl Inner {
    fn spawn(&self, at: usize, plan: Option<&str>) {
        let mut process = lock(&self.processes[at]);
        let folder = &self.recipe.folder;
        let log = File::options().create(true).append(true).open(folder.join(format!("log-{at}"))).unwrap();
        let mut command = match *self.recipe.most_blocks.lock().unwrap() {
            None => Command::new(lote()),
            Some(most) => {
                // The limit makes a write fail, and would kill a process that does not ignore its signal.
                let mut command = Command::new("sh");
                command.args(["-c", &format!("trap '' XFSZ; ulimit -f {most}; exec \"$0\" \"$@\"")]).arg(lote());
                command
            }
        };
        command.arg("gateway").arg("--listen").arg(format!("127.0.0.1:{}", process.port)).args(&self.recipe.arguments);
        command.envs(self.recipe.environment.iter().map(|(name, value)| (name, value)));
        command.env("LOTE_GATEWAY_POINTS_LOG", folder.join(format!("points-{at}")));
        command.env_remove("LOTE_GATEWAY_POINTS");
        if let Some(plan) = plan {
            command.env("LOTE_GATEWAY_POINTS", plan);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).current_dir(folder);
        process.child = Some(command.spawn().unwrap());
        process.stopped = None;
        process.starts += 1;
    }

    fn tell(&self, what: What) {
        self.happened.lock().unwrap().push(Happened { at: Instant::now(), what });
    }

    fn look(&self) {
        for at in 0..self.processes.len() {
            let mut process = lock(&self.processes[at]);
            let Some(child) = &mut process.child else { continue };
            if let Some(status) = child.try_wait().unwrap() {
                self.tell(status.code().map_or(What::Died, What::Ended));
                process.child = None;
                let is_kept = process.is_kept;
                drop(process);
                if is_kept {
                    self.spawn(at, None);
                }
                continue;
            }
            let pid = pid(child);
            match process.stopped {
                None if is_stopped(pid) => {
                    process.stopped = Some(Instant::now());
                    self.tell(What::Stopped);
                }
                Some(since) if since.elapsed() >= self.stop_for => {
                    process.stopped = None;
                    let _ = kill_process(pid, Signal::CONT);
                    self.tell(What::Woken);
                }
                _ => {}
            }
        }
    }
}

fn is_stopped(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}
