//! What clients do in a scenario, and what they know when it is over.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::acts;
use super::check::{self, Batch, Report, Seen};
use super::client::{Client, Told};
use super::place::Place;
use super::process::{Gateways, Setup};
use super::trouble::trouble;
use super::witness::Witness;

/// Most requests of one process at the upstream.
pub(super) const AT_ONCE: usize = 8;

/// Two keys of one account, and one of another.
pub(super) const KEYS: &str = "alpha = sk-alpha-1\nalpha = sk-alpha-2\nbeta = sk-beta\n";
pub(super) const ALPHA: &str = "sk-alpha-1";
pub(super) const ALPHA_TOO: &str = "sk-alpha-2";
pub(super) const BETA: &str = "sk-beta";

/// How long batches may take to end when everything has settled.
const END: Duration = Duration::from_secs(90);

pub(super) const PAUSE: Duration = Duration::from_millis(60);

/// What is done to the processes from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: only what is planned at points happens.
    Plain,
    /// Windows are so short that a batch expires.
    Expiry,
    /// All connections to the database are ended, again and again.
    Cut,
    /// The database crashes, and comes back.
    Crash,
    /// Each process is killed once, at no point in particular.
    Kill,
    /// Each process is stopped for longer than its lease.
    Stop,
    /// The process may write no more than so much, and then as much as it likes.
    Full,
    /// SIGTERM with a grace, and a new start.
    Term,
    /// Two signals at once: it ends without any grace.
    TermTwice,
    /// One line kills the process that sends it, each time.
    Poison,
    /// The upstream fails, answers late, twice, in part, or never.
    Upstream,
}

/// One run.
pub struct Scenario {
    pub place: Place,
    pub kind: Kind,
    /// What happens at which points.
    pub plan: Option<String>,
    pub folder: PathBuf,
    /// How long a process stays stopped; by default longer than its lease.
    pub stop_for: Option<Duration>,
}

/// What was promised of a batch, or perhaps was.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub(super) id: String,
    pub(super) key: &'static str,
    /// The names of its lines begin so.
    pub(super) mark: String,
    pub(super) lines: Vec<String>,
    /// The statuses that it may end with.
    pub(super) ends: &'static [&'static str],
}

/// What the clients know.
#[derive(Default)]
pub(super) struct Known {
    pub(super) made: Vec<Made>,
    /// Marks of creates that were answered with an error.
    pub(super) refused: Vec<String>,
    /// Marks of creates without an answer.
    pub(super) unknown: Vec<Made>,
    /// Files that were taken: the key, the id, the text.
    pub(super) files: Vec<(&'static str, String, String)>,
    pub(super) violations: Vec<String>,
}

pub(super) struct Story {
    pub(super) client: Client,
    pub(super) witness: Arc<Witness>,
    known: Mutex<Known>,
    pub(super) seen: Mutex<Vec<Seen>>,
}

/// A batch that is to be made.
#[derive(Clone)]
pub(super) struct Wish {
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) manners: Vec<&'static str>,
    pub(super) more: Value,
    pub(super) ends: &'static [&'static str],
    /// Whether the create has an idempotency key.
    pub(super) keyed: bool,
    /// Whether its input is broken.
    pub(super) bad: bool,
}

impl Wish {
    pub(super) fn new(key: &'static str, name: &'static str, lines: usize, manner: &'static str) -> Wish {
        let manners = vec![manner; lines];
        Wish { key, name, manners, more: json!({}), ends: &["completed"], keyed: false, bad: false }
    }
}

/// The lines of a batch, and the names in them.
pub(super) fn lines(mark: &str, wish: &Wish) -> (String, Vec<String>) {
    let names: Vec<String> = (0..wish.manners.len()).map(|line| format!("{mark}-{line}")).collect();
    let mut text: String = names
        .iter()
        .zip(&wish.manners)
        .map(|(name, manner)| {
            let body = json!({"model": "m", "messages": [{"role": "user", "content": format!("{name} {manner}")}]});
            let line = json!({"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body});
            format!("{line}\n")
        })
        .collect();
    if wish.bad {
        text.push_str("{\"custom_id\": \n");
    }
    (text, names)
}

/// Runs a scenario to its end, and holds it against all that is promised.
pub async fn run(scenario: Scenario) -> Report {
    let since = Instant::now();
    let Scenario { place, kind, plan, folder, stop_for } = scenario;
    let witness = Arc::new(Witness::start().await);
    let setup = Setup {
        place: &place,
        witness: &witness,
        folder: &folder,
        plan: plan.as_deref(),
        window: (kind == Kind::Expiry).then_some(Duration::from_millis(2500)),
        most_blocks: (kind == Kind::Full).then_some(1500),
        grace: Duration::from_secs(20),
        stop_for,
        // Long where lines are not late on purpose: on a busy machine they would be sent again for that.
        timeout: if kind == Kind::Upstream { 2 } else { 12 },
    };
    let gateways = Arc::new(Gateways::start(setup).await);
    let client = Client::new(gateways.ports(), ALPHA);
    let story =
        Arc::new(Story { client, witness: Arc::clone(&witness), known: Mutex::default(), seen: Mutex::default() });
    let watching = tokio::spawn(acts::watch(Arc::clone(&story)));
    let reading = tokio::spawn(acts::read_lists(Arc::clone(&story)));
    let troubling = tokio::spawn(trouble(kind, place.clone(), Arc::clone(&gateways), Arc::clone(&story)));

    let mut clients = JoinSet::new();
    // Slices of one line, or of several where it is about lines.
    let is_about_lines = plan
        .as_deref()
        .is_none_or(|plan| ["record", "claim", "send", "heartbeat"].iter().any(|point| plan.contains(point)));
    clients.spawn(acts::by_key(Arc::clone(&story), if is_about_lines { 300 } else { 40 }));
    clients.spawn(acts::bad(Arc::clone(&story)));
    clients.spawn(acts::beta(Arc::clone(&story), kind));
    clients.spawn(acts::disconnecting(Arc::clone(&story)));
    clients.spawn(acts::small(Arc::clone(&story)));
    if kind == Kind::Expiry {
        clients.spawn(acts::expiring(Arc::clone(&story)));
    } else {
        clients.spawn(acts::cancelled(Arc::clone(&story)));
    }
    if kind == Kind::Poison {
        let killing = Arc::downgrade(&gateways);
        witness.on_kill(move || {
            if let Some(gateways) = killing.upgrade() {
                (0..gateways.ports().len()).for_each(|at| gateways.signal(at, Signal::KILL));
            }
        });
        clients.spawn(acts::poison(Arc::clone(&story)));
    }
    if kind == Kind::Upstream {
        clients.spawn(acts::upstream(Arc::clone(&story)));
    }
    while let Some(act) = clients.join_next().await {
        act.unwrap();
    }
    troubling.await.unwrap();
    let (batches, late) = story.all_ended().await;
    watching.abort();
    reading.abort();
    gateways.ready().await;
    let ended = story.collect(batches).await;
    let mut leaks = place.leaks();
    for _ in 0..20 {
        if leaks.is_empty() {
            break;
        }
        // Who has given something up tells it by himself, a moment later.
        tokio::time::sleep(PAUSE * 4).await;
        leaks = place.leaks();
    }
    let known = std::mem::take(&mut *story.known());
    let seen = std::mem::take(&mut *story.seen.lock().unwrap());
    let mut report = check::check(&known, &ended, &seen, &witness.log(), &gateways, kind, plan.as_deref());
    report.violations.extend(late);
    report.violations.extend(leaks);
    report.took = since.elapsed();
    if !report.violations.is_empty() {
        report.logs = gateways.logs();
    }
    report
}

impl Story {
    pub(super) fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    /// Uploads until a gateway takes it.
    pub(super) async fn upload(&self, client: &Client, text: &str) -> String {
        loop {
            if let Told::Answer(200..=299, body) = client.upload(text).await {
                let id = body["id"].as_str().unwrap().to_owned();
                self.known().files.push((client.key(), id.clone(), text.to_owned()));
                return id;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Makes a batch: with another file and another key after each that was refused.
    pub(super) async fn make(&self, wish: &Wish) -> Made {
        let client = self.client.with(wish.key);
        let mut attempt = 0;
        loop {
            let mark = format!("{}.{attempt}", wish.name);
            attempt += 1;
            let (text, names) = lines(&mark, wish);
            let file = self.upload(&client, &text).await;
            let body = create(&file, &mark, &wish.more);
            let key = wish.keyed.then(|| format!("key-{mark}"));
            let mut made = Made { id: String::new(), key: wish.key, mark: mark.clone(), lines: names, ends: wish.ends };
            let mut is_broken = false;
            loop {
                match client.post("/batches", &body, key.as_deref()).await {
                    Told::Answer(200..=299, batch) => {
                        made.id = batch["id"].as_str().unwrap().to_owned();
                        self.known().made.push(made.clone());
                        return made;
                    }
                    Told::Answer(500..=599, _) if !is_broken => {
                        self.known().refused.push(mark.clone());
                        break;
                    }
                    // It may have been made: with its key it is asked for again.
                    Told::Answer(500..=599, _) | Told::Broken if wish.keyed => is_broken = true,
                    Told::Answer(500..=599, _) | Told::Broken => {
                        self.known().unknown.push(made);
                        break;
                    }
                    Told::Answer(status, body) => {
                        self.known().violations.push(format!("the create of {mark} is a {status}: {body}"));
                        return made;
                    }
                }
                tokio::time::sleep(PAUSE).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until all batches have ended that there are; and tells which have not.
    async fn all_ended(&self) -> (Vec<(&'static str, Value)>, Vec<String>) {
        let until = Instant::now() + END;
        loop {
            let mut all = Vec::new();
            let mut is_whole = true;
            for key in [ALPHA, BETA] {
                match self.client.with(key).batches(100).await {
                    Some(batches) => all.extend(batches.into_iter().map(|batch| (key, batch))),
                    None => is_whole = false,
                }
            }
            let open: Vec<String> = all
                .iter()
                .filter(|(_, batch)| !is_terminal(batch))
                .map(|(_, batch)| {
                    format!("never ends: {} {} {}", batch["metadata"]["mark"], batch["status"], batch["request_counts"])
                })
                .collect();
            if is_whole && open.is_empty() {
                return (all, Vec::new());
            }
            if Instant::now() > until {
                return (all, if is_whole { open } else { vec!["the lists cannot be read".to_owned()] });
            }
            tokio::time::sleep(PAUSE * 2).await;
        }
    }

    /// The result lines of all batches, the files that were uploaded, and what two keys of one account see.
    async fn collect(&self, batches: Vec<(&'static str, Value)>) -> Vec<Batch> {
        let mut ended = Vec::new();
        for (key, batch) in batches {
            let client = self.client.with(key);
            let mut files = [Vec::new(), Vec::new()];
            for (lines, field) in files.iter_mut().zip(["output_file_id", "error_file_id"]) {
                let Some(id) = batch[field].as_str() else { continue };
                match client.content(id).await {
                    Ok(text) => *lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
                    Err(error) => {
                        self.known().violations.push(format!("{field} of {}: {error}", batch["metadata"]["mark"]))
                    }
                }
            }
            let [output, error] = files;
            ended.push(Batch { key, batch, output, error });
        }
        let files = self.known().files.clone();
        for (key, id, text) in files {
            let content = self.client.with(key).content(&id).await;
            if content.as_deref() != Ok(&text) {
                self.known().violations.push(format!("the file {id} was taken and is not what it was: {content:?}"));
            }
        }
        let [one, other] = [ALPHA, ALPHA_TOO].map(|key| self.client.with(key));
        let ids = |batches: Option<Vec<Value>>| {
            batches.unwrap_or_default().iter().map(|batch| batch["id"].to_string()).collect::<Vec<_>>()
        };
        let (one, other) = (ids(one.batches(7).await), ids(other.batches(100).await));
        if one != other {
            self.known().violations.push(format!(
                "two keys of one account see {} and {} batches",
                one.len(),
                other.len()
            ));
        }
        ended
    }
}

pub(super) fn is_terminal(batch: &Value) -> bool {
    ["completed", "failed", "expired", "cancelled"].iter().any(|status| batch["status"] == *status)
}

pub(super) fn create(file: &str, mark: &str, more: &Value) -> Value {
    let mut body = json!({
        "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"mark": mark},
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}
