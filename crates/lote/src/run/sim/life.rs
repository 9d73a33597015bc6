//! The lives of one run: it is begun, ends anywhere, is gone on with, and at the end all is counted.

use std::{
    any::Any,
    collections::BTreeSet,
    fs,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{
    Crash, UNSYNCED, WALL, WIRE,
    choices::Choices,
    nature::Nature,
    service::{self, Service},
    setup::{Scenario, Setup, Way},
    wire::{Wire, World},
};
use crate::{
    BatchId, Client, Dialect,
    lines::Limits,
    run::{
        Pace, Progress, Report, Run, RunError,
        event::Event,
        folder::{Folder, Seen},
        log::Log,
        state::Phase,
    },
    save::Dir,
};

/// How long a lost create is looked for, twice.
pub(super) const SETTLE: Duration = Duration::from_secs(120);

/// After how many lives without new faults a run must have ended.
const LIVES: usize = 60;

thread_local! {
    static CLIENTS: Clients = Clients::new();
}

/// Clients are made once: that takes longer than the life of a run.
struct Clients {
    wire: Wire,
    plain: Client,
    keys: Client,
    elsewhere: Client,
}

impl Clients {
    fn new() -> Self {
        let nothing = || Service::new(Nature::plain(), 0);
        let wire = Wire::new(World::new(0, Choices::scripted(Vec::new()), [nothing(), nothing()]));
        let dialect = |table: &str| Dialect::from_toml(table).unwrap();
        let client = |url: &str, dialect: Dialect| {
            let builder = Client::builder().base_url(url).api_key("sk").dialect(dialect);
            builder.carrier(Arc::new(wire.clone())).build().unwrap()
        };
        let here = "http://127.0.0.1:1/v1";
        Self {
            plain: client(here, dialect("name = \"plain\"\ncancel.delivers = true")),
            keys: client(
                here,
                dialect(
                    "name = \"keys\"\ncancel.delivers = true\ncreate.idempotency = { header = \"idempotency-key\" }",
                ),
            ),
            elsewhere: client("http://127.0.0.2:1/v1", dialect("name = \"plain\"")),
            wire,
        }
    }
}

/// How a life ended.
enum Ended {
    Done(Box<Report>),
    /// There was nothing to do but to wait.
    Later,
    Crashed,
    Failed(RunError),
}

pub(super) struct Play<'a> {
    pub(super) setup: &'a Setup,
    pub(super) wire: Wire,
    client: Client,
    elsewhere: Client,
    rng: fastrand::Rng,
    place: tempfile::TempDir,
    pub(super) folder: PathBuf,
    /// Batches of which it was said that they are too many.
    pub(super) told: Arc<Mutex<BTreeSet<String>>>,
    /// What a person says of shards in the next life.
    adopt: Vec<(u32, BatchId)>,
    no_batch: Vec<u32>,
    /// Which process the embedded gateway is in.
    pub(super) process: u32,
    /// Whether what the scenario is about has happened.
    happened: bool,
    /// What was changed in the folder, and how it was.
    altered: Option<(PathBuf, String)>,
    /// A copy of the folder as it once was.
    snapshot: Option<PathBuf>,
}

impl<'a> Play<'a> {
    pub(super) fn new(setup: &'a Setup, choices: Choices) -> Self {
        let epoch = SystemTime::now();
        let seconds = epoch.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let (wire, client, elsewhere) = CLIENTS.with(|clients| {
            let client = if setup.nature.keys { &clients.keys } else { &clients.plain };
            (clients.wire.clone(), client.clone(), clients.elsewhere.clone())
        });
        fastrand::seed(setup.seed);
        let services = [Service::new(setup.nature.clone(), seconds), Service::new(Nature::plain(), seconds)];
        let mut world = World::new(setup.seed, choices, services);
        world.all_calls = !setup.search;
        world.bad_endings = !setup.search;
        wire.replace(world);
        WIRE.set(Some(wire.clone()));
        WALL.set(Some((Instant::now(), epoch, 0)));
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let folder = place.path().join("requests.run");
        let line = |(id, number): (String, usize)| format!("{}\n", request(&id, number));
        let text: String = setup.requests().into_iter().map(line).collect();
        fs::write(place.path().join("requests.jsonl"), text).unwrap();
        Self {
            setup,
            wire,
            client,
            elsewhere,
            rng: fastrand::Rng::with_seed(setup.seed ^ 0x11fe),
            place,
            folder,
            told: Arc::default(),
            adopt: Vec::new(),
            no_batch: Vec::new(),
            process: 1,
            happened: false,
            altered: None,
            snapshot: None,
        }
    }

    pub(super) fn taken(&self) -> Vec<(usize, usize)> {
        self.wire.world().choices.taken.clone()
    }

    /// The names of the events in its log.
    pub(super) fn events(&self) -> BTreeSet<String> {
        let written = Dir::open(&self.folder).ok().and_then(|dir| Log::look(&dir).ok());
        let frames = written.map(|written| written.frames).unwrap_or_default();
        let events = frames.iter().flat_map(|frame| &frame.events).filter_map(|event| serde_json::to_value(event).ok());
        events.filter_map(|event| event["event"].as_str().map(str::to_owned)).collect()
    }

    /// The run to its end, and what was wrong with it.
    pub(super) async fn play(&mut self) -> Result<(), String> {
        let played = self.lives().await;
        played.map_err(|wrong| format!("{wrong}\n    {}", self.wire.world().history.join("\n    ")))
    }

    fn note(&self, what: impl std::fmt::Display) {
        self.wire.world().note(what);
    }

    async fn lives(&mut self) -> Result<(), String> {
        for _ in 0..LIVES {
            let ended = self.live().await;
            if let Some((path, text)) = self.altered.take() {
                fs::write(path, text).unwrap();
            }
            self.check_log()?;
            if let Some(fault) = self.wire.world().faults.pop() {
                return Err(fault);
            }
            self.note(format_args!(
                "the process ended: {}",
                match &ended {
                    Ended::Done(_) => "done".to_owned(),
                    Ended::Later => "later".to_owned(),
                    Ended::Crashed => "crash".to_owned(),
                    Ended::Failed(error) => error.to_string(),
                }
            ));
            match ended {
                Ended::Done(report) => return self.count(&report),
                Ended::Later => sleep(Duration::from_secs(self.rng.u64(1..600))).await,
                Ended::Crashed => self.after_a_crash().await,
                Ended::Failed(error) if error.is_held() => self.ask_a_person().await,
                Ended::Failed(error) if error.is_twin() => {
                    let twins = error.twins().iter().map(|twin| (twin.shard, twin.batch.clone()));
                    self.adopt = twins.collect();
                }
                // All batches failed at validation: nothing was sold.
                Ended::Failed(error) if error.is_failed() => return self.count_money(None),
                Ended::Failed(_) => sleep(Duration::from_secs(self.rng.u64(1..3_000))).await,
            }
        }
        Err("it does not come to an end".to_owned())
    }

    fn run(&mut self, client: &Client) -> Run {
        let told = Arc::clone(&self.told);
        // At another service its requests would be those of another run.
        let elsewhere = client.shared().base_url() != self.client.shared().base_url();
        let mut run = match elsewhere {
            true => Run::open(client, &self.folder),
            false => Run::new(client, self.place.path().join("requests.jsonl")).folder(&self.folder),
        };
        run = run
            .limits(Limits { max_lines: 2, ..Limits::default() })
            .dedupe(self.setup.repeats())
            .max_open(self.setup.max_open)
            .settle_after_loss(SETTLE)
            .on_progress(move |progress| {
                if let Progress::Surplus { batch, .. } = progress {
                    told.lock().unwrap_or_else(PoisonError::into_inner).insert(batch.id.to_string());
                }
            });
        match self.setup.way {
            Way::Batches => {}
            Way::OneByOne => {
                let most = self.setup.search || self.rng.usize(..4) > 0;
                run = run.synchronous(most).pace(Pace::new().max_in_flight(2));
            }
            Way::Rescue(after) => run = run.rescue_before(Duration::from_secs(86_400 - after)),
        }
        match self.setup.scenario {
            Scenario::Attempts => run = run.attempts(3),
            Scenario::Embedded => run = run.embedded(format!("gateway {}", self.process)),
            _ => {}
        }
        for (shard, batch) in self.adopt.drain(..) {
            run = run.adopt(shard, batch);
        }
        for shard in self.no_batch.drain(..) {
            run = run.no_batch(shard);
        }
        run
    }

    /// One process, from its start to its end.
    async fn live(&mut self) -> Ended {
        // A run of which nothing was begun gives way to another.
        let state = Folder::look(&self.folder).map(|seen| seen.state);
        let begun = state.as_ref().is_ok_and(|state| !state.nothing_was_begun());
        let elsewhere = self.setup.scenario == Scenario::Elsewhere && !self.happened && begun;
        let client = if elsewhere { self.elsewhere.clone() } else { self.client.clone() };
        self.happened |= elsewhere;
        let at = self.folder.clone();
        // Whoever finds that the folder was replaced may have a request under way.
        let replaced = self.setup.scenario == Scenario::Replace;
        self.wire.world().intended = Box::new(move |what| match what.strip_prefix("question ") {
            Some(line) => replaced || is_sent(&at, &format!("r{line}")),
            None => is_intended(&at, what),
        });
        let (wire, search) = (self.wire.clone(), self.setup.search);
        let (in_the_midst, at_the_latest) = (self.rng.u64(1..900), self.rng.u64(1..20_000));
        let run = self.run(&client);
        if self.setup.scenario == Scenario::Ticks && state.is_ok_and(|state| state.finished.is_none()) {
            return self.tick(run).await;
        }
        let life = caught(run);
        let killed = async {
            match search {
                true => std::future::pending().await,
                false => sleep(Duration::from_secs(at_the_latest)).await,
            }
        };
        let ended = match self.setup.scenario {
            Scenario::Replace if !self.happened => {
                self.happened = true;
                let second = caught(self.run(&client));
                let replace = async {
                    sleep(Duration::from_secs(in_the_midst)).await;
                    if !self.folder.exists() {
                        return Err(Box::new(Crash) as Box<_>);
                    }
                    // What was there at some moment before, or now.
                    let old = self.snapshot.take().unwrap_or_else(|| self.copy("old"));
                    fs::rename(&self.folder, self.place.path().join("away.run")).unwrap();
                    fs::rename(old, &self.folder).unwrap();
                    second.await
                };
                tokio::select! {
                    biased;
                    (_, second) = async { tokio::join!(life, replace) } => second,
                    () = wire.crash() => Err(Box::new(Crash) as Box<_>),
                    () = killed => Err(Box::new(Crash) as Box<_>),
                }
            }
            Scenario::Two => {
                let second = caught(Run::open(&client, &self.folder));
                let both = async {
                    tokio::join!(life, async {
                        sleep(Duration::from_secs(in_the_midst)).await;
                        second.await
                    })
                };
                tokio::select! {
                    biased;
                    (first, second) = both => first.and_then(|first| second.map(|_| first)),
                    () = wire.crash() => Err(Box::new(Crash) as Box<_>),
                    () = killed => Err(Box::new(Crash) as Box<_>),
                }
            }
            scenario => {
                let folder = self.folder.clone();
                let meanwhile = async {
                    sleep(Duration::from_secs(in_the_midst)).await;
                    match scenario {
                        Scenario::Jump => {
                            let by = [-3 * 86_400, -2_000, 700, 2_000, 10 * 86_400];
                            let by = by[usize::try_from(in_the_midst).unwrap() % by.len()];
                            WALL.set(WALL.get().map(|(began, base, _)| (began, base, by)));
                        }
                        Scenario::Cancel if Folder::ask_to_cancel(&folder).is_ok() => {
                            let mut world = wire.world();
                            let now = world.now();
                            world.cancelled_at.get_or_insert(now);
                        }
                        _ => {}
                    }
                    std::future::pending::<()>().await;
                };
                tokio::select! {
                    biased;
                    ended = life => ended,
                    () = wire.crash() => Err(Box::new(Crash) as Box<_>),
                    () = killed => Err(Box::new(Crash) as Box<_>),
                    () = meanwhile => Err(Box::new(Crash) as Box<_>),
                }
            }
        };
        self.ended(ended.map(|ended| ended.map(|report| Ended::Done(Box::new(report)))))
    }

    /// A process that goes as far as until there is nothing to do but to wait.
    async fn tick(&mut self, run: Run) -> Ended {
        let tick = AssertUnwindSafe(Box::pin(run.submit())).catch_unwind();
        let wire = self.wire.clone();
        let ended = tokio::select! {
            biased;
            ended = tick => ended,
            () = wire.crash() => Err(Box::new(Crash) as Box<_>),
        };
        self.ended(ended.map(|ended| ended.map(|_| Ended::Later)))
    }

    fn ended(&self, ended: Result<Result<Ended, RunError>, Box<dyn Any + Send>>) -> Ended {
        match ended {
            Ok(Ok(ended)) => ended,
            Ok(Err(error)) => Ended::Failed(error),
            Err(thrown) if thrown.is::<Crash>() => {
                if let Some(length) = UNSYNCED.take() {
                    let log = fs::File::options().write(true).open(self.folder.join(Log::NAME));
                    log.and_then(|log| log.set_len(length)).unwrap();
                }
                Ended::Crashed
            }
            Err(thrown) => std::panic::resume_unwind(thrown),
        }
    }

    /// What happens between two processes.
    async fn after_a_crash(&mut self) {
        if self.setup.search {
            return;
        }
        sleep(Duration::from_secs([0, 1, 100, 5_000][self.rng.usize(..4)])).await;
        if self.setup.scenario == Scenario::Embedded {
            self.process += 1;
            let mut world = self.wire.world();
            world.services[0] = world.services[0].another();
        }
        if self.happened || !self.folder.join(Log::NAME).exists() {
            return;
        }
        match self.setup.scenario {
            Scenario::Copy => {
                self.folder = self.copy("copy");
                self.happened = true;
            }
            Scenario::Restore => match self.snapshot.take() {
                None => self.snapshot = Some(self.copy("old")),
                Some(old) => {
                    fs::remove_dir_all(&self.folder).unwrap();
                    fs::rename(old, &self.folder).unwrap();
                    self.happened = true;
                }
            },
            Scenario::Replace => self.snapshot = Some(self.snapshot.take().unwrap_or_else(|| self.copy("old"))),
            Scenario::Altered => {
                let path = self.folder.join("shards/0001/requests.jsonl");
                let text = fs::read_to_string(&path).unwrap();
                fs::write(&path, text.replace("question", "quackery")).unwrap();
                self.altered = Some((path, text));
                self.happened = true;
            }
            Scenario::Damaged => {
                // Each time, while it is at work.
                for shard in fs::read_dir(self.folder.join("shards")).into_iter().flatten().map(Result::unwrap) {
                    let names = ["results.jsonl", "output.jsonl", "batch.json", "summary.json", "anomalies.jsonl"];
                    let name = names[self.rng.usize(..names.len())];
                    let path = shard.path().join(name);
                    if let Ok(text) = fs::read(&path) {
                        fs::write(&path, &text[..text.len() / 2]).unwrap();
                    }
                }
            }
            Scenario::Lost if Folder::look(&self.folder).is_ok_and(|seen| !seen.state.batches().is_empty()) => {
                fs::remove_dir_all(&self.folder).unwrap();
                self.happened = true;
            }
            _ => {}
        }
    }

    /// A copy of the folder beside it.
    fn copy(&self, name: &str) -> PathBuf {
        let to = self.place.path().join(format!("{name}.run"));
        copy(&self.folder, &to);
        to
    }

    /// A person looks at the service until all is clear, and says what became of each shard.
    async fn ask_a_person(&mut self) {
        sleep(Duration::from_secs(3_000)).await;
        let Ok(seen) = Folder::look(&self.folder) else { return };
        let now = self.wire.world().now();
        let known = seen.state.batches();
        let mut world = self.wire.world();
        let service = &mut world.services[0];
        service.advance(now);
        for (number, shard) in seen.state.shards.iter().filter(|(_, shard)| shard.held.is_some()) {
            if shard.phase != Phase::Creating {
                continue;
            }
            let by_nonce = shard.nonce.as_ref().and_then(|nonce| service.made_by(nonce));
            let found = by_nonce.or_else(|| {
                let requests =
                    fs::read_to_string(self.folder.join(format!("shards/{number:04}/requests.jsonl"))).ok()?;
                let first: Value = serde_json::from_str(requests.lines().next()?).ok()?;
                service.selling(first["custom_id"].as_str()?, |id| known.iter().all(|known| known.as_str() != id))
            });
            match found {
                Some(batch) => self.adopt.push((*number, batch.id.parse().unwrap())),
                None => self.no_batch.push(*number),
            }
        }
    }
}

/// A run, whose end may be a crash.
async fn caught(run: Run) -> Result<Result<Report, RunError>, Box<dyn Any + Send>> {
    // On the heap: without optimization it is more than a thread's stack holds.
    Box::pin(AssertUnwindSafe(run.execute()).catch_unwind()).await
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

fn request(custom_id: &str, number: usize) -> Value {
    json!({
        "custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": [{"role": "user", "content": format!("question {number}")}]},
    })
}

/// Whether the log of a run holds that a shard of this line is sent one by one, and the shard's file that this line is.
fn is_sent(folder: &Path, line: &str) -> bool {
    let Ok(Seen { state, .. }) = Folder::look(folder) else { return false };
    state.shards.iter().filter(|(_, shard)| shard.synchronous).any(|(number, _)| {
        let read =
            |name: &str| fs::read_to_string(folder.join(format!("shards/{number:04}/{name}"))).unwrap_or_default();
        let place = service::custom_ids(&read("requests.jsonl")).iter().position(|own| own == line);
        place.is_some_and(|place| read("sync.jsonl").contains(&format!("{{\"line\":{},\"sent\":true", place + 1)))
    })
}

/// Whether the log of a run holds the intent of this create.
fn is_intended(folder: &Path, nonce: &str) -> bool {
    let Ok(written) = Dir::open(folder).map_err(|_| ()).and_then(|dir| Log::look(&dir).map_err(|_| ())) else {
        return false;
    };
    let mut events = written.frames.iter().flat_map(|frame| &frame.events);
    events.any(|event| matches!(event, Event::Creating { nonce: intended, .. } if intended == nonce))
}
