//! What clients do in a scenario, and what they know when it is over.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::check::{self, Batch, Report, Seen};
use super::client::{Client, Told};
use super::place::Place;
use super::process::{Gateways, Setup};
use super::witness::Witness;

/// Most requests of one process at the upstream.
pub(super) const AT_ONCE: usize = 8;

/// Two keys of one account, and one of another.
pub(super) const KEYS: &str = "alpha = sk-alpha-1\nalpha = sk-alpha-2\nbeta = sk-beta\n";
const ALPHA: &str = "sk-alpha-1";
const ALPHA_TOO: &str = "sk-alpha-2";
const BETA: &str = "sk-beta";

/// How long batches may take to end when everything has settled.
const END: Duration = Duration::from_secs(90);

const PAUSE: Duration = Duration::from_millis(60);

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

struct Story {
    client: Client,
    witness: Arc<Witness>,
    known: Mutex<Known>,
    seen: Mutex<Vec<Seen>>,
}

/// A batch that is to be made.
#[derive(Clone)]
struct Wish {
    key: &'static str,
    name: &'static str,
    manners: Vec<&'static str>,
    more: Value,
    ends: &'static [&'static str],
    /// Whether the create has an idempotency key.
    keyed: bool,
    /// Whether its input is broken.
    bad: bool,
}

impl Wish {
    fn new(key: &'static str, name: &'static str, lines: usize, manner: &'static str) -> Wish {
        let manners = vec![manner; lines];
        Wish { key, name, manners, more: json!({}), ends: &["completed"], keyed: false, bad: false }
    }
}

/// The lines of a batch, and the names in them.
fn lines(mark: &str, wish: &Wish) -> (String, Vec<String>) {
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
    let watching = tokio::spawn(watch(Arc::clone(&story)));
    let reading = tokio::spawn(read_lists(Arc::clone(&story)));
    let troubling = tokio::spawn(trouble(kind, place.clone(), Arc::clone(&gateways), Arc::clone(&story)));

    let mut acts = JoinSet::new();
    // Slices of one line, or of several where it is about lines.
    let is_about_lines = plan
        .as_deref()
        .is_none_or(|plan| ["record", "claim", "send", "heartbeat"].iter().any(|point| plan.contains(point)));
    acts.spawn(by_key(Arc::clone(&story), if is_about_lines { 300 } else { 40 }));
    acts.spawn(bad(Arc::clone(&story)));
    acts.spawn(beta(Arc::clone(&story), kind));
    acts.spawn(disconnecting(Arc::clone(&story)));
    acts.spawn(small(Arc::clone(&story)));
    if kind == Kind::Expiry {
        acts.spawn(expiring(Arc::clone(&story)));
    } else {
        acts.spawn(cancelled(Arc::clone(&story)));
    }
    if kind == Kind::Poison {
        let killing = Arc::downgrade(&gateways);
        witness.on_kill(move || {
            if let Some(gateways) = killing.upgrade() {
                (0..gateways.ports().len()).for_each(|at| gateways.signal(at, Signal::KILL));
            }
        });
        acts.spawn(poison(Arc::clone(&story)));
    }
    if kind == Kind::Upstream {
        acts.spawn(upstream(Arc::clone(&story)));
    }
    while let Some(act) = acts.join_next().await {
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
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    /// Uploads until a gateway takes it.
    async fn upload(&self, client: &Client, text: &str) -> String {
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
    async fn make(&self, wish: &Wish) -> Made {
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

fn is_terminal(batch: &Value) -> bool {
    ["completed", "failed", "expired", "cancelled"].iter().any(|status| batch["status"] == *status)
}

fn create(file: &str, mark: &str, more: &Value) -> Value {
    let mut body = json!({
        "input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h", "metadata": {"mark": mark},
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// A batch whose create is repeated by another key of the account.
async fn by_key(story: Arc<Story>, lines: usize) {
    let made = story.make(&Wish { keyed: true, ..Wish::new(ALPHA, "keyed", lines, "quick") }).await;
    let file =
        story.known().files.iter().find(|(_, _, text)| text.contains(&format!("{}-0 ", made.mark))).unwrap().1.clone();
    let (client, body) = (story.client.with(ALPHA_TOO), create(&file, &made.mark, &json!({})));
    for _ in 0..20 {
        match client.post("/batches", &body, Some(&format!("key-{}", made.mark))).await {
            Told::Answer(200, batch) if batch["id"] == made.id.as_str() => break,
            Told::Answer(500..=599, _) | Told::Broken => {}
            Told::Answer(status, batch) => {
                story.known().violations.push(format!("a repeated create is a {status}: {batch}"));
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn bad(story: Arc<Story>) {
    story.make(&Wish { bad: true, ends: &["failed"], ..Wish::new(ALPHA, "bad", 2, "quick") }).await;
}

async fn beta(story: Arc<Story>, kind: Kind) {
    let lines = if kind == Kind::Upstream { 10 } else { 24 };
    let mut wish = Wish::new(BETA, "beta", lines, "quick");
    wish.manners[3] = "large";
    wish.manners[7] = "large";
    story.make(&wish).await;
    story.make(&Wish { keyed: true, ..Wish::new(BETA, "beta-slow", 6, "slow") }).await;
}

async fn upstream(story: Arc<Story>) {
    let manners = ["late", "twice", "never", "error", "broken", "quick", "twice", "twice"];
    story.make(&Wish { manners: manners.to_vec(), ..Wish::new(BETA, "upstream", 0, "") }).await;
}

/// One line of these kills whoever sends it; the others are answered all the same.
async fn poison(story: Arc<Story>) {
    let mut manners = vec!["quick"; 12];
    manners[5] = "kills";
    story.make(&Wish { manners, ..Wish::new(BETA, "poison", 0, "") }).await;
}

/// A batch that is cancelled while its lines are at the upstream.
async fn cancelled(story: Arc<Story>) {
    let wish = Wish {
        more: json!({"max_concurrency": 2}),
        ends: &["cancelled", "completed"],
        ..Wish::new(ALPHA, "cancelled", 12, "slow")
    };
    let made = story.make(&wish).await;
    let until = Instant::now() + Duration::from_secs(5);
    while story.witness.count(&made.mark) == 0 && Instant::now() < until {
        tokio::time::sleep(PAUSE).await;
    }
    let path = format!("/batches/{}/cancel", made.id);
    loop {
        match story.client.post(&path, &json!({}), None).await {
            Told::Answer(200, batch) => {
                let is_cancelled = batch["status"] == "cancelling" || batch["status"] == "cancelled";
                let mut known = story.known();
                if !is_cancelled {
                    known.violations.push(format!("a cancelled batch is {}", batch["status"]));
                }
                if let Some(made) = known.made.iter_mut().find(|other| other.id == made.id) {
                    made.ends = &["cancelled"];
                }
                return;
            }
            Told::Answer(409, _) => return,
            Told::Answer(500..=599, _) | Told::Broken => {}
            Told::Answer(status, body) => {
                story.known().violations.push(format!("a cancel is a {status}: {body}"));
                return;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A batch of which only a part is answered in its window.
async fn expiring(story: Arc<Story>) {
    let wish =
        Wish { more: json!({"max_concurrency": 1}), ends: &["expired"], ..Wish::new(ALPHA, "expiring", 16, "slow") };
    story.make(&wish).await;
}

/// A client that goes as soon as it has asked.
async fn disconnecting(story: Arc<Story>) {
    for name in ["gone-1", "gone-2", "gone-3"] {
        let wish = Wish::new(ALPHA, name, 2, "quick");
        let (text, names) = lines(name, &wish);
        let file = story.upload(&story.client, &text).await;
        let body = create(&file, name, &json!({})).to_string();
        let request = format!(
            "POST /v1/batches HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {ALPHA}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let made = Made { id: String::new(), key: ALPHA, mark: name.to_owned(), lines: names, ends: wish.ends };
        story.known().unknown.push(made);
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", story.client.port())).await {
            let _ = stream.write_all(request.as_bytes()).await;
        }
    }
}

/// Small batches, one after the other, for who reads the lists.
async fn small(story: Arc<Story>) {
    for name in ["small-1", "small-2", "small-3", "small-4", "small-5", "small-6"] {
        story.make(&Wish::new(ALPHA, name, 2, "quick")).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Reads the lists while batches are added: none that was there before is left out, and none is twice there.
async fn read_lists(story: Arc<Story>) {
    loop {
        let known: Vec<Made> = story.known().made.iter().filter(|made| made.key == ALPHA).cloned().collect();
        if let Some(batches) = story.client.batches(3).await {
            let ids: Vec<&str> = batches.iter().filter_map(|batch| batch["id"].as_str()).collect();
            let distinct: HashSet<&&str> = ids.iter().collect();
            if distinct.len() != ids.len() {
                story.known().violations.push("a list names a batch twice".to_owned());
            }
            for made in known.iter().filter(|made| !made.id.is_empty() && !ids.contains(&made.id.as_str())) {
                story.known().violations.push(format!("a list leaves out {}", made.mark));
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Notes how many lines of each batch were recorded when.
async fn watch(story: Arc<Story>) {
    loop {
        for key in [ALPHA, BETA] {
            let Some(batches) = story.client.with(key).batches(100).await else { continue };
            let at = Instant::now();
            let mut seen = story.seen.lock().unwrap();
            for batch in batches {
                let count = |name: &str| batch["request_counts"][name].as_u64().unwrap_or(0);
                if count("total") > 0 && !is_terminal(&batch) {
                    let mark = batch["metadata"]["mark"].as_str().unwrap_or_default().to_owned();
                    seen.push(Seen { at, mark, recorded: count("completed") + count("failed") });
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What happens to the processes from outside.
async fn trouble(kind: Kind, place: Place, gateways: Arc<Gateways>, story: Arc<Story>) {
    // In the middle of the work.
    let until = Instant::now() + Duration::from_secs(20);
    while story.witness.log().len() < 20 && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    match kind {
        Kind::Plain | Kind::Expiry | Kind::Upstream | Kind::Poison => {}
        Kind::Cut => {
            for _ in 0..6 {
                place.cut();
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }
        Kind::Crash => {
            for _ in 0..2 {
                tokio::task::block_in_place(|| place.crash(Duration::from_secs(2)));
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Kind::Kill | Kind::Stop => {
            for at in 0..place.processes() {
                gateways.signal(at, if kind == Kind::Kill { Signal::KILL } else { Signal::STOP });
                tokio::time::sleep(Duration::from_millis(700)).await;
            }
        }
        Kind::Full => {
            // Until it has had no more room for a while.
            tokio::time::sleep(Duration::from_secs(4)).await;
            gateways.end(0, &[Signal::KILL]).await;
            gateways.without_limit();
            gateways.again(0);
        }
        Kind::Term | Kind::TermTwice => {
            let signals: &[Signal] = if kind == Kind::Term { &[Signal::TERM] } else { &[Signal::TERM, Signal::TERM] };
            for at in 0..place.processes() {
                let took = gateways.end(at, signals).await;
                if kind == Kind::TermTwice && took > Duration::from_secs(10) {
                    story.known().violations.push(format!("a second signal ends it only after {took:?}"));
                }
                gateways.again(at);
                gateways.ready().await;
            }
        }
    }
}
