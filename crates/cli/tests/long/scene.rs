//! A run in a folder beside a gateway: how it is given again until it has ended, and what must be true of it then.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lote::{Client, Endpoint, UploadPurpose};
use lote_gateway::{Event, Gateway};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::common::{folder, names, signal};
use crate::modes::{Course, Mode};
use crate::proxy::Proxy;
use crate::service::{KEY, at};

/// How often the command is given again, at the most, until it ends well.
const AGAIN: usize = 12;

/// More time than any command takes, also on a machine that is busy with other work.
const LONGEST: Duration = Duration::from_secs(600);

/// Lines of the run.
const LINES: usize = 5;

/// How long a lost create is looked for, twice.
const SETTLE: &str = "100ms";

/// A dialect of the gateway that honours idempotency keys.
const HONOURED: &str =
    "name = \"honoured\"\nextends = \"mka1\"\ncreate.idempotency = { header = \"Idempotency-Key\" }\n";

fn line(id: &str, prompt: &str) -> String {
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": prompt}]});
    json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string() + "\n"
}

/// A service, a folder, and what was said of the run in it.
pub(crate) struct Scene<'a> {
    pub(crate) mode: &'a Mode,
    pub(crate) gateway: Gateway,
    pub(crate) proxy: Proxy,
    pub(crate) place: TempDir,
    /// For what is beside the run: the report of the tracer.
    pub(crate) aside: TempDir,
    pub(crate) said: String,
}

impl<'a> Scene<'a> {
    pub(crate) fn new(runtime: &Runtime, mode: &'a Mode) -> Self {
        let grace = Duration::from_millis(20);
        let builder =
            Gateway::builder().cancel_grace(grace).journal(true).idempotency(mode.honours).faults(mode.faults.clone());
        let gateway = runtime.block_on(builder.start()).expect("the gateway starts");
        // By a client of its own, which the proxy does not see.
        runtime.block_on(async {
            let client = Client::builder().base_url(gateway.url()).api_key(KEY).build().expect("a client");
            let upload =
                client.files().upload_reader(Cursor::new(line("earlier", "x")), "x.jsonl", UploadPurpose::Batch);
            let file = upload.send().await.expect("uploaded").id;
            client.batches().create(&file, Endpoint::ChatCompletions).send().await.expect("created");
        });
        let requests: String = (0..LINES).map(|at| line(&format!("row-{at}"), &mode.course.prompt(at))).collect();
        let place = folder(&[("requests.jsonl", requests.as_bytes())]);
        let aside = folder(&[("honoured.toml", HONOURED.as_bytes())]);
        let proxy = Proxy::start(runtime, gateway.addr());
        let mut scene = Self { mode, gateway, proxy, place, aside, said: String::new() };
        if mode.course == Course::Cancel {
            let (code, said) = scene.ends(scene.begun(&["--detach", "--max-open", "2"]));
            assert_eq!(code, Some(5), "{said}");
        }
        scene
    }

    fn lote(&self, args: &[&str]) -> Command {
        let mut command = at(self.proxy.url());
        command.current_dir(self.place.path()).args(args);
        if self.mode.honours {
            command.arg("--dialect").arg(self.aside.path().join("honoured.toml"));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// The run of the requests.
    fn begun(&self, more: &[&str]) -> Command {
        let run = ["run", "requests.jsonl", "--shard-lines", self.mode.course.shard(), "--settle-after-loss", SETTLE];
        self.lote(&[&run[..], more].concat())
    }

    /// The command that is given again until it ends well.
    pub(crate) fn command(&self) -> Command {
        match self.mode.course {
            Course::Run | Course::One => self.begun(&["-o", "results.jsonl"]),
            Course::Attempts => self.begun(&["-o", "results.jsonl", "--attempts", "2"]),
            Course::Cancel => {
                self.lote(&["cancel", "requests.run", "-o", "results.jsonl", "--settle-after-loss", SETTLE])
            }
        }
    }

    /// Runs a command to its end; its exit code, none when it was killed.
    pub(crate) fn ends(&mut self, mut command: Command) -> (Option<i32>, String) {
        let told = self.aside.path().join("stderr");
        let file = fs::File::create(&told).expect("a file");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().expect("it starts");
        self.proxy.of(child.id());
        let began = Instant::now();
        let ended = loop {
            match child.try_wait().expect("a child") {
                Some(ended) => break Some(ended),
                None if began.elapsed() > LONGEST => break None,
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        let said = String::from_utf8_lossy(&fs::read(&told).expect("what it said")).into_owned();
        self.said.push_str(&said);
        if ended.is_none() {
            signal(&child, "KILL");
            child.wait().expect("it is dead");
            panic!("it goes on for ever");
        }
        (ended.and_then(|ended| ended.code()), said)
    }

    /// Gives the same command until it ends well, and does what it says has to be done by a person.
    pub(crate) fn finish(&mut self) {
        self.proxy.plan(None);
        for _ in 0..AGAIN {
            let (code, said) = self.ends(self.command());
            match code {
                Some(code) if code == self.mode.course.exit() => return,
                // The same command again goes on from there.
                Some(4) => {}
                Some(6) => self.answer(&said),
                Some(2) if said.contains("# takes them over") => {
                    let word = said.lines().find_map(|line| line.trim().strip_suffix("  # takes them over"));
                    let word = word.expect("a command").to_owned();
                    self.shell(&word);
                }
                _ => panic!("{code:?}"),
            }
        }
        panic!("it does not end");
    }

    /// A command as it was printed.
    fn shell(&mut self, word: &str) {
        let lote = self.lote(&[]);
        let mut command = Command::new("sh");
        let programs = Path::new(lote.get_program()).parent().expect("its folder");
        let path = std::env::join_paths(
            std::iter::once(programs.to_owned())
                .chain(std::env::split_paths(&std::env::var_os("PATH").expect("a path"))),
        );
        command.arg("-c").arg(format!("exec {word}")).env("PATH", path.expect("a path")).current_dir(self.place.path());
        for (name, value) in lote.get_envs().filter_map(|(name, value)| Some((name, value?))) {
            command.env(name, value);
        }
        self.ends(command);
    }

    /// Says of each shard that is held what became of its create, as whoever looks at the service sees it.
    fn answer(&mut self, said: &str) {
        let status = lote::run::status(self.place.path().join("requests.run")).expect("its status");
        let held: BTreeSet<u32> =
            said.lines().filter_map(|line| line.strip_prefix("- shard ")?.split(':').next()?.parse().ok()).collect();
        assert!(!held.is_empty(), "nobody can tell what is held");
        let mut args = vec!["resume".to_owned(), "requests.run".to_owned()];
        for shard in held {
            let known = status.shards.iter().find(|known| known.shard == shard).and_then(|known| known.batch.clone());
            let made = self.made(&status.run, shard);
            match made.iter().rev().find(|id| known.as_ref().is_none_or(|known| known.as_str() != id.as_str())) {
                Some(batch) => args.extend(["--adopt".to_owned(), format!("{shard}={batch}")]),
                None if known.is_none() => args.extend(["--no-batch".to_owned(), shard.to_string()]),
                None => {}
            }
        }
        args.extend(["--settle-after-loss", SETTLE].map(str::to_owned));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.ends(self.lote(&args));
    }

    /// The batches that the service has made of a shard of a run.
    fn made(&self, run: &str, shard: u32) -> Vec<String> {
        let name = format!("lote-{}-{shard:04}.jsonl", &run[..8]);
        let (mut files, mut batches) = (BTreeSet::new(), Vec::new());
        for entry in self.gateway.journal() {
            match entry.event {
                Event::FileUploaded { file_id, filename, .. } if filename == name => drop(files.insert(file_id)),
                Event::BatchCreated { batch_id, input_file_id, .. } if files.contains(&input_file_id) => {
                    batches.push(batch_id);
                }
                _ => {}
            }
        }
        batches
    }

    /// Nothing was paid twice unannounced, lost, swapped or left.
    pub(crate) fn judge(&self, undisturbed: &[String]) {
        let path = self.place.path();
        assert_eq!(self.answers(), undisturbed);
        assert_eq!(undisturbed.len(), LINES);
        let [kept, copied] =
            ["requests.run/results.jsonl", "results.jsonl"].map(|name| fs::read(path.join(name)).expect("results"));
        assert!(kept == copied, "the copy differs");
        assert_eq!(names(path), ["requests.jsonl", "requests.run", "results.jsonl"]);
        let (mut batches, mut lines) = (BTreeSet::new(), BTreeMap::<String, BTreeSet<String>>::new());
        for entry in self.gateway.journal() {
            match entry.event {
                Event::BatchCreated { batch_id, .. } => drop(batches.insert(batch_id)),
                Event::LineExecuted { batch_id, custom_id, attempt: 1 } if custom_id != "earlier" => {
                    assert!(lines.entry(custom_id).or_default().insert(batch_id), "a line was run twice in one batch");
                }
                _ => {}
            }
        }
        // Each that is too many was announced by its id.
        let announced: BTreeSet<&String> =
            batches.iter().filter(|id| self.said.contains(&format!("batch {id} is a second one of shard "))).collect();
        assert_eq!(
            batches.len(),
            1 + self.mode.course.batches() + announced.len(),
            "batches, of which {announced:?} were announced as surplus"
        );
        assert!(!self.mode.honours || announced.is_empty(), "keys are honoured, and there is a surplus");
        for line in 0..LINES {
            let of = lines.remove(&format!("row-{line}")).unwrap_or_default();
            let paid = of.iter().filter(|batch| !announced.contains(batch)).count();
            assert_eq!(paid, self.mode.course.tries(line), "row-{line} was run in {of:?}");
        }
        assert!(lines.is_empty(), "{lines:?}");
        if self.mode.sure {
            assert_eq!(self.gateway.leftovers(), Vec::<String>::new());
        }
        self.gateway.forgive_leftovers();
    }

    /// The results, line by line, but for ids and instants, which are the service's own.
    pub(crate) fn answers(&self) -> Vec<String> {
        let text = fs::read_to_string(self.place.path().join("requests.run/results.jsonl")).expect("the results");
        let answer = |line: &str| {
            let mut line: Value = serde_json::from_str(line).expect("JSON");
            for own in ["/id", "/response/request_id", "/response/body/id", "/response/body/created"] {
                if let Some(value) = line.pointer_mut(own) {
                    *value = Value::Null;
                }
            }
            line.to_string()
        };
        text.lines().map(answer).collect()
    }
}
