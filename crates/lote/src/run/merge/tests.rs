//! The ledger: whatever comes back, in however many shards, halves, surplus batches and attempts, each request line has one
//! outcome, the best that came, and no line that came is lost.

use std::{collections::BTreeSet, fs};

use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Value, json};

use super::*;
use crate::{
    BatchOptions, Client, Dialect, FileId, UnixSeconds,
    collect::join_all,
    lines::{CheckOptions, Limits},
    run::{
        event::{Event, Opened},
        folder::{Draft, ERRORS, OUTPUT, REQUESTS},
        halve::halve,
        invoice::Charges,
        money::Money,
        plan::Cut,
        record::Asked,
        repair::{Repair, Search},
    },
    save::Dir,
    secrets::Secrets,
    unused::Unused,
};

/// What is done with a request line on the other side, each time that it is answered.
#[derive(Clone, Debug)]
enum Answered {
    Well,
    /// Cut off at a limit of tokens.
    Short,
    Status(u16),
    Expired,
    /// Well, but only the first part of the line is there.
    Torn(Index),
}

/// What one batch is like.
#[derive(Clone, Debug)]
struct Kind {
    /// How often and how each line is answered; the lines take turns.
    lines: Vec<Vec<Answered>>,
    foreign: Vec<Answered>,
    order: u64,
    in_errors: u64,
    halved: bool,
    surplus: bool,
}

fn answered() -> impl Strategy<Value = Answered> {
    prop_oneof![
        4 => Just(Answered::Well),
        1 => Just(Answered::Short),
        2 => prop_oneof![Just(400u16), Just(429), Just(500)].prop_map(Answered::Status),
        1 => Just(Answered::Expired),
        2 => any::<Index>().prop_map(Answered::Torn),
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    let lines = vec(vec(answered(), 0..=3), 1..6);
    (lines, vec(answered(), 0..=2), any::<u64>(), any::<u64>(), any::<bool>(), any::<bool>()).prop_map(
        |(lines, foreign, order, in_errors, halved, surplus)| Kind {
            lines,
            foreign,
            order,
            in_errors,
            halved,
            surplus,
        },
    )
}

/// A line that came from the service.
#[derive(Clone, Debug)]
struct Came {
    custom_id: String,
    tag: String,
    answered: Answered,
    bytes: Vec<u8>,
    /// The folder whose results it may be in.
    of: PathBuf,
}

/// The run, and what the service has answered so far.
struct World {
    folder: Folder,
    kinds: Vec<Kind>,
    batches: usize,
    came: Vec<Came>,
    /// What the run did cost when its results were put together last.
    invoice: Invoice,
}

/// A number that depends on nothing else.
fn mixed(seed: u64, at: usize) -> u64 {
    let at = u64::try_from(at).unwrap();
    (seed ^ at.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(31)
}

impl World {
    fn line(&mut self, custom_id: &str, answered: &Answered, of: &Path) -> Vec<u8> {
        let tag = format!("tag-{}-", self.came.len());
        let response = |status: u16, body: Value| json!({"id": "r", "custom_id": custom_id, "response": {"status_code": status, "body": body}, "error": null});
        // Each answer has used another number of tokens, and some name no model.
        let used = |mut body: Value| {
            let tokens = self.came.len() + 1;
            body["usage"] = json!({"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1});
            if !tokens.is_multiple_of(5) {
                body["model"] = "m".into();
            }
            body
        };
        let chat = |reason: &str| {
            let message = json!({"role": "assistant", "content": tag});
            response(200, used(json!({"choices": [{"index": 0, "finish_reason": reason, "message": message}]})))
        };
        let text = match answered {
            Answered::Well | Answered::Torn(_) => chat("stop"),
            Answered::Short => chat("length"),
            Answered::Status(status) => response(*status, used(json!({"error": {"message": tag}}))),
            Answered::Expired => {
                let error = json!({"code": "batch_expired", "message": tag});
                json!({"id": "r", "custom_id": custom_id, "response": null, "error": error})
            }
        };
        let mut bytes = text.to_string().into_bytes();
        if let Answered::Torn(at) = answered {
            bytes.truncate(1 + at.index(bytes.len() - 1));
        }
        let came = Came {
            custom_id: custom_id.to_owned(),
            tag,
            answered: answered.clone(),
            bytes: bytes.clone(),
            of: of.to_owned(),
        };
        self.came.push(came);
        bytes.push(b'\n');
        bytes
    }

    /// Writes what a batch over the lines of this file has, into a folder, and joins it.
    fn answer(&mut self, requests: &Path, at: &Path) -> Written {
        let kind = self.kinds[self.batches % self.kinds.len()].clone();
        self.batches += 1;
        let text = fs::read_to_string(requests).unwrap();
        let ids = text.lines().map(|line| custom_id(line.as_bytes()).unwrap());
        let mut lines = Vec::new();
        for (number, id) in ids.enumerate() {
            for answered in &kind.lines[number % kind.lines.len()] {
                lines.push(self.line(&id, answered, at));
            }
        }
        for (number, answered) in kind.foreign.iter().enumerate() {
            lines.push(self.line(&format!("foreign-{}-{number}", self.batches), answered, at));
        }
        let mut order: Vec<usize> = (0..lines.len()).collect();
        order.sort_by_key(|line| mixed(kind.order, *line));
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        for line in order {
            let file = if mixed(kind.in_errors, line).is_multiple_of(4) { &mut errors } else { &mut output };
            file.extend_from_slice(&lines[line]);
        }
        let files = [(OUTPUT, output), (ERRORS, errors)].map(|(name, bytes)| {
            fs::write(at.join(name), bytes).unwrap();
            at.join(name)
        });
        let begin =
            |name: &str| AtomicFile::within(Dir::open(at).unwrap(), name.as_ref(), self.folder.access()).unwrap();
        let unused = Unused::new(begin(ANOMALIES), &files, Secrets::new("sk-hunter22", [])).unwrap();
        let batch = json!({"id": format!("batch_{}", self.batches), "status": "completed"});
        let batch = Batch::read("batch", serde_json::from_value(batch).unwrap()).unwrap();
        let Ok((joined, results)) =
            join_all(requests, &files, (Some(begin(RESULTS)), Vec::new()), Some(unused), Some(&batch))
        else {
            panic!("it was not joined")
        };
        seal::write(begin(SUMMARY), &ShardSummary::new(Some(batch), joined)).unwrap();
        let stored = results.written().unwrap();
        assert_eq!(stored, Written::of(&at.join(RESULTS)).unwrap());
        stored
    }

    /// A shard is uploaded, created, answered and settled; or halved first. It may have a surplus batch.
    fn settle(&mut self, shard: u32) {
        let plan = self.folder.state.shards[&shard].plan.clone();
        let kind = self.kinds[self.batches % self.kinds.len()].clone();
        if kind.surplus {
            let batch: BatchId = format!("surplus_{}", self.batches).parse().unwrap();
            let status = "cancelled".to_owned();
            self.folder.say(Event::Surplus { shard, batch: batch.clone() }).unwrap();
            self.folder.say(Event::SurplusOver { shard, batch: batch.clone(), status }).unwrap();
            let at = self.folder.begin_surplus(shard, 0).unwrap();
            let results = self.answer(&self.folder.shard(shard).join(REQUESTS), &at);
            self.folder.say(Event::SurplusSettled { shard, batch, results: Some(results) }).unwrap();
        }
        if kind.halved && plan.lines > 1 {
            let (root, access) = (self.folder.path().to_owned(), self.folder.access());
            let halves = halve(&root, access, &plan, self.folder.state.next_number()).unwrap();
            let numbers = [halves[0].plan.number, halves[1].plan.number];
            self.folder.say(Event::Halved { shard, why: "too big".to_owned(), halves: halves.into() }).unwrap();
            numbers.into_iter().for_each(|half| self.settle(half));
            return;
        }
        let file: FileId = format!("file-{shard}").parse().unwrap();
        let batch: BatchId = format!("batch_{shard}").parse().unwrap();
        let at = self.folder.shard(shard);
        for event in [
            Event::Uploaded { shard, file },
            Event::Creating { shard, nonce: "n".to_owned(), at: UnixSeconds::now() },
            Event::Created { shard, batch: batch.clone(), adopted: false, said: false },
            Event::Over { shard, batch, status: "completed".to_owned() },
        ] {
            self.folder.say(event).unwrap();
        }
        let results = self.answer(&at.join(REQUESTS), &at);
        self.folder.say(Event::Settled { shard, results }).unwrap();
    }

    fn settle_all(&mut self) {
        let open = |shard: &&super::super::state::Shard| shard.phase == Phase::Planned;
        let shards: Vec<u32> = self.folder.state.shards.values().filter(open).map(|shard| shard.plan.number).collect();
        shards.into_iter().for_each(|shard| self.settle(shard));
        let Ok(Merged { results, invoice, .. }) = Merge::new(&self.folder).unwrap().write() else {
            panic!("it was not merged")
        };
        self.invoice = invoice;
        self.folder.say(Event::Finished { results }).unwrap();
    }

    fn lines(&self, path: impl AsRef<Path>) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join(path)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Holds the ledger against all that came.
    fn check(&self, ids: &[String]) {
        let results = self.lines(RESULTS);
        let of: Vec<&str> = results.iter().map(|line| line["custom_id"].as_str().unwrap()).collect();
        assert_eq!(of, ids, "each line once, in the order of the input");
        let succeeded = |line: &Value| line["response"]["status_code"] == 200;
        let failed = self.lines(FAILED);
        let failed: Vec<&str> = failed.iter().map(|line| line["custom_id"].as_str().unwrap()).collect();
        let expected: Vec<&str> =
            results.iter().filter(|line| !succeeded(line)).map(|line| line["custom_id"].as_str().unwrap()).collect();
        assert_eq!(failed, expected);
        for line in &results {
            let id = line["custom_id"].as_str().unwrap();
            let came: Vec<&Came> = self.came.iter().filter(|came| came.custom_id == id).collect();
            let well = |came: &&&Came| matches!(came.answered, Answered::Well);
            let short = |came: &&&Came| matches!(came.answered, Answered::Short);
            let text = line.to_string();
            let is_one_of =
                |wanted: &dyn Fn(&&&Came) -> bool| came.iter().filter(wanted).any(|came| text.contains(&came.tag));
            if came.iter().any(|came| well(&came)) {
                assert!(succeeded(line) && is_one_of(&well), "{id}: a whole answer came, and {line}");
            } else if came.iter().any(|came| short(&came)) {
                assert!(succeeded(line) && is_one_of(&short), "{id}: an answer came, and {line}");
            } else {
                assert!(!succeeded(line), "{id}: {line}");
            }
            if came.is_empty() {
                assert_eq!(line["error"]["code"], "missing", "{id}");
            }
        }
        // What came is a result of its batch, or told as not used, with its bytes.
        let told: Vec<String> =
            self.lines(ANOMALIES).iter().filter_map(|line| Some(line["text"].as_str()?.to_owned())).collect();
        let mut own = BTreeMap::new();
        for came in &self.came {
            let own = own.entry(&came.of).or_insert_with(|| fs::read_to_string(came.of.join(RESULTS)).unwrap());
            let text = std::str::from_utf8(&came.bytes).unwrap();
            let is_result = own.contains(&came.tag);
            let is_told = told.iter().any(|told| told.contains(text));
            let torn = matches!(came.answered, Answered::Torn(_));
            assert!(is_result != is_told || torn && is_told, "{came:?}: result {is_result}, told {is_told}");
        }
        self.check_invoice(&results);
        let results: BTreeSet<&str> = of.into_iter().collect();
        assert_eq!(results.len(), ids.len());
    }

    /// Each answer that says what it used is on the invoice once, whatever became of it.
    fn check_invoice(&self, results: &[Value]) {
        let Charges { total, succeeded, cut_off, failed, expired, replaced, surplus, extra, .. } = self.invoice.charges;
        let says = |came: &&Came| !matches!(came.answered, Answered::Torn(_) | Answered::Expired);
        let read = |(at, came): (usize, &Came)| if says(&came) { at as u64 + 1 } else { 0 };
        assert_eq!(total.answers, self.came.iter().filter(says).count() as u64);
        assert_eq!(total.usage.input_tokens, self.came.iter().enumerate().map(read).sum::<u64>());
        let parts = [succeeded, failed, expired, replaced, surplus, extra];
        assert_eq!(total.answers, parts.iter().map(|part| part.answers).sum::<u64>());
        assert_eq!(total.usage.input_tokens, parts.iter().map(|part| part.usage.input_tokens).sum::<u64>());
        // Those of the results are what the results say.
        let tokens = |line: &Value| line["response"]["body"]["usage"]["prompt_tokens"].as_u64().unwrap_or(0);
        let of_results = [succeeded, failed, expired].map(|part| part.usage.input_tokens).iter().sum::<u64>();
        assert_eq!(of_results, results.iter().map(tokens).sum::<u64>());
        let ended = |reason: &str| {
            let is = |line: &&Value| line["response"]["body"]["choices"][0]["finish_reason"] == reason;
            results.iter().filter(is).count() as u64
        };
        assert_eq!((succeeded.answers, cut_off.answers), (ended("stop") + ended("length"), ended("length")));
        assert_eq!(self.invoice.silent, 0);
        // Where an answer names no model, its request does; of answers to nothing nobody knows it.
        for of in self.invoice.models.iter().filter(|of| of.model.as_deref() != Some("m")) {
            let Charges { succeeded, failed, expired, replaced, .. } = of.charges;
            let counted = [succeeded, failed, expired, replaced].map(|charge| charge.answers);
            assert_eq!((&of.model, counted), (&None, [0; 4]));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_line_has_one_outcome_and_nothing_that_came_is_lost(
        chats in vec(any::<bool>(), 1..20),
        shard_lines in 1u64..8,
        attempts in 1u32..4,
        kinds in vec(kind(), 1..8),
    ) {
        let root = tempfile::tempdir().unwrap();
        let input = root.path().join("requests.jsonl");
        let mut ids = Vec::new();
        let lines = chats.iter().enumerate().map(|(at, chat)| {
            ids.push(format!("line-{at}"));
            let body = match chat {
                true => json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}),
                false => json!({"model": "m", "input": "x"}),
            };
            let url = if *chat { "/v1/chat/completions" } else { "/v1/embeddings" };
            json!({"custom_id": ids[at], "method": "POST", "url": url, "body": body}).to_string() + "\n"
        });
        fs::write(&input, lines.collect::<String>()).unwrap();
        let client = Client::builder().base_url("http://127.0.0.1:9/v1").api_key("sk-hunter22").build().unwrap();
        let limits = Limits { max_lines: shard_lines, ..Limits::default() };
        let check = CheckOptions { limits, ..Dialect::named("mka1").unwrap().check_options() };
        let asked = Asked { cut: Cut::of(&check), ..Asked::new(&client, false, &BatchOptions::new(), None) };
        let path = root.path().join("requests.run");
        let inputs = [input];
        let (who, money) = (Opened::default(), Money::none());
        let draft = Draft { path: &path, inputs: &inputs, check: &check, asked, who, mends: true, money };
        let folder = Folder::prepare(draft, &|| true).unwrap().folder;
        let mut world = World { folder, kinds, batches: 0, came: Vec::new(), invoice: Invoice::default() };
        world.settle_all();
        world.check(&ids);
        for attempt in 2..=attempts {
            let search = Search::new(&world.folder, Repair::new().refusals(true).missing(true));
            let shards = search.shards().unwrap();
            if shards.is_empty() {
                break;
            }
            world.folder.say(Event::Attempt { attempt, shards }).unwrap();
            world.settle_all();
            world.check(&ids);
        }
    }
}

#[test]
fn a_shard_is_copied_as_it_was_written_or_not_at_all() {
    let root = tempfile::tempdir().unwrap();
    let at = root.path().join(shard_folder(1));
    fs::create_dir_all(&at).unwrap();
    let long = format!("{}\n", "x".repeat(700_000));
    for (written, there) in [
        ("one\ntwo\n", "one\ntwo\n"),
        (&*format!("{long}{long}"), &*format!("{long}{long}")),
        ("", ""),
        ("one\ntwo\n", "one\n"),
        ("one\ntwo\n", "one\ntwo\nthree\n"),
        ("one\ntwo\n", "one\ntwp\n"),
        ("one\ntwo\n", "one\ntwo"),
        ("", "one\n"),
    ] {
        fs::write(at.join(RESULTS), there).unwrap();
        let (mut results, mut failed) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let (parts, as_written) = (Parts::default(), Written::read(written.as_bytes()).unwrap());
        let counted = BTreeMap::from([(1, &as_written)]);
        let mut writing = Writing {
            root: root.path(),
            parts: &parts,
            counted: &counted,
            results: BufWriter::new(Summing::new(&mut results)),
            failed: BufWriter::new(&mut failed),
            sum: Sum::default(),
            bill: Bill::of_whole([1]),
            undecided: 0,
            deduplicated: Deduplicated::default(),
        };
        assert!(!writing.whole(2).unwrap());
        match writing.whole(1) {
            Ok(taken) => {
                let Ok(results) = writing.results.into_inner() else { panic!("it is not written") };
                assert!(taken && written == there, "{there:?}");
                assert_eq!(results.into_parts().1, as_written);
            }
            Err(Fault(path, error)) => {
                assert!(written != there && error.to_string().contains("not as this run has written"), "{error}");
                assert_eq!(path, at.join(RESULTS));
            }
        }
    }
}
