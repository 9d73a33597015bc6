//! A batch service in memory, with the oddities that services have, which keeps account of every line that it sells.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::nature::{List, Nature};

/// What becomes of a create.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Now,
    Late,
    None,
}

#[derive(Debug)]
pub(super) struct Stored {
    id: String,
    bytes: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Batch {
    pub(super) id: String,
    file: String,
    endpoint: String,
    metadata: BTreeMap<String, String>,
    /// The lines in it, by their custom_ids.
    pub(super) lines: Vec<String>,
    made: Duration,
    ends: Duration,
    ending: Ending,
    cancelled: bool,
    over: Option<Over>,
    /// The service does not know it for so long.
    pub(super) unknown_until: Duration,
}

/// How a batch will end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Completed,
    /// With the first half of its lines done.
    Expired,
    Failed,
    NoRoom,
    /// Failed for its size, when it has more than one line.
    TooBig,
}

impl Ending {
    /// Whether lines are sold in it at all.
    fn sells(self) -> bool {
        matches!(self, Self::Completed | Self::Expired)
    }
}

#[derive(Debug)]
struct Over {
    status: &'static str,
    /// The lines that were answered, and are to be paid.
    answered: Vec<String>,
    output: Option<String>,
}

/// A create that will take effect, its answer lost.
#[derive(Debug)]
struct Pending {
    at: Duration,
    body: Value,
    key: Option<String>,
    ending: Ending,
    lasts: Duration,
}

/// An answer of the service.
#[derive(Debug)]
pub(super) enum Reply {
    Json(u16, Value),
    Bytes(Vec<u8>),
}

impl Reply {
    pub(super) fn error(status: u16, code: &str) -> Self {
        Self::Json(status, json!({"error": {"message": code, "type": "simulated", "code": code, "param": null}}))
    }
}

#[derive(Debug)]
pub(super) struct Service {
    pub(super) nature: Nature,
    /// The service's clock when the simulation begins, in seconds since the epoch.
    epoch: u64,
    files: Vec<Stored>,
    pub(super) batches: Vec<Batch>,
    keys: BTreeMap<String, String>,
    pending: Vec<Pending>,
    next: u64,
    /// What was answered to lines that came by themselves, each answer paid, by the line.
    pub(super) asked: BTreeMap<String, Vec<String>>,
    /// The lines that were answered for a key.
    answered: BTreeMap<String, String>,
    /// Lines that were sold again although an earlier purchase was open or had brought an answer: line, earlier, later.
    pub(super) doubled: Vec<(String, String, String)>,
}

impl Service {
    pub(super) fn new(nature: Nature, epoch: u64) -> Self {
        let mut service = Self {
            nature,
            epoch,
            files: Vec::new(),
            batches: Vec::new(),
            keys: BTreeMap::new(),
            pending: Vec::new(),
            next: 1,
            asked: BTreeMap::new(),
            answered: BTreeMap::new(),
            doubled: Vec::new(),
        };
        if service.nature.earlier {
            // That of another run.
            let pairs = [("lote_run", "another"), ("lote_shard", "1"), ("lote_create", "x"), ("lote_sha256", "x")];
            let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let metadata = if service.nature.metadata { BTreeMap::from(pairs) } else { BTreeMap::new() };
            let over = Over { status: "completed", answered: Vec::new(), output: None };
            let id = service.id("batch");
            service.batches.push(Batch {
                id,
                file: "file-before".to_owned(),
                endpoint: "/v1/chat/completions".to_owned(),
                metadata,
                lines: Vec::new(),
                made: Duration::ZERO,
                ends: Duration::ZERO,
                ending: Ending::Completed,
                cancelled: false,
                over: Some(over),
                unknown_until: Duration::ZERO,
            });
        }
        service
    }

    /// One that knows nothing of this one, and gives other ids.
    pub(super) fn another(&self) -> Self {
        Self { next: self.next, ..Self::new(self.nature.clone(), self.epoch) }
    }

    fn id(&mut self, of: &str) -> String {
        self.next += 1;
        format!("{of}-{}", self.next)
    }

    fn stamp(&self, at: Duration) -> u64 {
        self.epoch + at.as_secs()
    }

    /// What happens by itself until now.
    pub(super) fn advance(&mut self, now: Duration) {
        let mut due: Vec<Pending> = self.pending.extract_if(.., |pending| pending.at <= now).collect();
        due.sort_by_key(|pending| pending.at);
        for pending in due {
            self.make(pending.at, &pending.body, pending.key, pending.ending, pending.lasts);
        }
        for at in 0..self.batches.len() {
            let batch = &self.batches[at];
            if batch.over.is_some() || batch.ends > now {
                continue;
            }
            let half = batch.lines.len() / 2;
            let (status, answered) = match batch.ending {
                _ if batch.cancelled => ("cancelled", &batch.lines[..half]),
                Ending::Completed => ("completed", &batch.lines[..]),
                Ending::Expired => ("expired", &batch.lines[..half]),
                Ending::Failed | Ending::NoRoom | Ending::TooBig => ("failed", &batch.lines[..0]),
            };
            let answered = answered.to_vec();
            let output = (status != "failed" && !answered.is_empty()).then(|| {
                let kept = if self.nature.loses_lines && answered.len() > 1 { &answered[1..] } else { &answered[..] };
                let bytes = kept.iter().flat_map(|line| answer(line, &self.batches[at].id)).collect();
                self.store(bytes)
            });
            self.batches[at].over = Some(Over { status, answered, output });
        }
    }

    fn store(&mut self, bytes: Vec<u8>) -> String {
        if self.nature.one_file_a_content
            && let Some(known) = self.files.iter().find(|file| file.bytes == bytes)
        {
            return known.id.clone();
        }
        let id = self.id("file");
        self.files.push(Stored { id: id.clone(), bytes });
        id
    }

    pub(super) fn upload(&mut self, bytes: Vec<u8>) -> Reply {
        let id = self.store(bytes);
        self.file(&id)
    }

    /// How many lines a file has.
    pub(super) fn lines(&self, id: &str) -> usize {
        let file = self.files.iter().find(|file| file.id == id);
        file.map_or(0, |file| file.bytes.iter().filter(|byte| **byte == b'\n').count())
    }

    /// All files are gone.
    pub(super) fn lose_files(&mut self) {
        self.files.clear();
    }

    pub(super) fn file(&self, id: &str) -> Reply {
        match self.files.iter().find(|file| file.id == id) {
            Some(file) => Reply::Json(
                200,
                json!({"id": id, "object": "file", "bytes": file.bytes.len(), "created_at": self.epoch,
                       "filename": "x.jsonl", "purpose": "batch", "status": "processed"}),
            ),
            None => Reply::error(404, "not_found"),
        }
    }

    pub(super) fn content(&self, id: &str) -> Reply {
        match self.files.iter().find(|file| file.id == id) {
            Some(file) => Reply::Bytes(file.bytes.clone()),
            None => Reply::error(404, "not_found"),
        }
    }

    /// Answers a line that comes by itself, which is paid unless its key was answered before.
    pub(super) fn ask(&mut self, body: &[u8], key: Option<String>) -> Reply {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let prompt = body["messages"][0]["content"].as_str().unwrap_or_default();
        let line = format!("r{}", prompt.trim_start_matches("question "));
        let key = key.filter(|_| self.nature.keys);
        if let Some(content) = key.as_ref().and_then(|key| self.answered.get(key)) {
            return Reply::Json(200, completion(content));
        }
        let content = self.id("ask");
        for earlier in self.batches.iter().filter(|earlier| earlier.lines.contains(&line)) {
            let paid = earlier.over.as_ref().is_none_or(|over| over.answered.contains(&line));
            if paid && earlier.ending.sells() {
                self.doubled.push((line.clone(), earlier.id.clone(), content.clone()));
            }
        }
        if let Some(key) = key {
            self.answered.insert(key, content.clone());
        }
        self.asked.entry(line).or_default().push(content.clone());
        Reply::Json(200, completion(&content))
    }

    /// How many answers to lines that came by themselves were paid although there was one before.
    pub(super) fn asked_again(&self) -> usize {
        self.asked.values().map(|answers| answers.len() - 1).sum()
    }

    pub(super) fn create(
        &mut self,
        now: Duration,
        body: Value,
        key: Option<String>,
        ending: Ending,
        lasts: Duration,
        effect: Effect,
    ) -> Reply {
        match effect {
            Effect::None => Reply::error(503, "overloaded"),
            Effect::Late => {
                self.pending.push(Pending { at: now + self.nature.late, body, key, ending, lasts });
                Reply::error(504, "timeout")
            }
            Effect::Now => match self.make(now, &body, key, ending, lasts) {
                Some(id) => self.get(now, &id),
                None => Reply::error(400, "no_such_file"),
            },
        }
    }

    fn make(
        &mut self,
        now: Duration,
        body: &Value,
        key: Option<String>,
        ending: Ending,
        lasts: Duration,
    ) -> Option<String> {
        let key = key.filter(|_| self.nature.keys);
        if let Some(known) = key.as_ref().and_then(|key| self.keys.get(key)) {
            return Some(known.clone());
        }
        let file = body["input_file_id"].as_str()?.to_owned();
        let bytes = &self.files.iter().find(|stored| stored.id == file)?.bytes;
        let lines = custom_ids(&String::from_utf8_lossy(bytes));
        let ending = if ending == Ending::TooBig && lines.len() < 2 { Ending::Completed } else { ending };
        let id = self.id("batch");
        for line in &lines {
            if let Some(asked) = self.asked.get(line).and_then(|answers| answers.last()).filter(|_| ending.sells()) {
                self.doubled.push((line.clone(), asked.clone(), id.clone()));
            }
            for earlier in self.batches.iter().filter(|earlier| earlier.lines.contains(line)) {
                let paid = earlier.over.as_ref().is_none_or(|over| over.answered.contains(line));
                // One that fails at validation sells nothing.
                if paid && earlier.ending.sells() && ending.sells() {
                    self.doubled.push((line.clone(), earlier.id.clone(), id.clone()));
                }
            }
        }
        let metadata = match &body["metadata"] {
            Value::Object(pairs) if self.nature.metadata => pairs
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect(),
            _ => BTreeMap::new(),
        };
        if let Some(key) = key {
            self.keys.insert(key, id.clone());
        }
        self.batches.push(Batch {
            id: id.clone(),
            file,
            endpoint: body["endpoint"].as_str().unwrap_or_default().to_owned(),
            metadata,
            lines,
            made: now,
            ends: now + lasts,
            ending,
            cancelled: false,
            over: None,
            unknown_until: Duration::ZERO,
        });
        Some(id)
    }

    pub(super) fn get(&self, now: Duration, id: &str) -> Reply {
        match self.batches.iter().find(|batch| batch.id == id) {
            Some(batch) if batch.unknown_until <= now => Reply::Json(200, self.object(batch)),
            _ => Reply::error(404, "not_found"),
        }
    }

    pub(super) fn cancel(&mut self, now: Duration, id: &str) -> Reply {
        let Some(at) = self.batches.iter().position(|batch| batch.id == id) else {
            return Reply::error(404, "not_found");
        };
        let batch = &mut self.batches[at];
        if batch.over.is_some() {
            return Reply::error(409, "conflict");
        }
        if !batch.cancelled {
            batch.cancelled = true;
            batch.ends = batch.ends.min(now + Duration::from_secs(7));
        }
        self.get(now, id)
    }

    pub(super) fn list(&self, now: Duration, after: Option<&str>, limit: usize) -> Reply {
        // Short pages, so that there are several.
        let limit = limit.min(2);
        let mut shown: Vec<&Batch> = self.batches.iter().filter(|batch| batch.made + self.nature.lag <= now).collect();
        shown.reverse();
        match self.nature.list {
            List::Empty => shown.clear(),
            List::Cut => shown.truncate(1),
            List::Whole | List::NoEnd => {}
        }
        let from = after.and_then(|after| shown.iter().position(|batch| batch.id == after)).map_or(0, |at| at + 1);
        let page: Vec<Value> = shown.iter().skip(from).take(limit).map(|batch| self.object(batch)).collect();
        let mut list = json!({"object": "list", "data": page});
        if self.nature.list != List::NoEnd {
            list["has_more"] = json!(shown.len() > from + limit);
        }
        Reply::Json(200, list)
    }

    fn object(&self, batch: &Batch) -> Value {
        let (status, answered, output) = match &batch.over {
            Some(over) => (over.status, over.answered.len(), over.output.clone()),
            None if batch.cancelled => ("cancelling", 0, None),
            None => ("in_progress", 0, None),
        };
        let code = match batch.ending {
            Ending::NoRoom => "token_limit_exceeded",
            Ending::TooBig => "too_many_tasks",
            _ => "invalid",
        };
        let errors = (status == "failed")
            .then(|| json!({"object": "list", "data": [{"code": code, "message": "no", "param": null, "line": null}]}));
        let lines = batch.lines.len();
        json!({
            "id": batch.id, "object": "batch", "endpoint": batch.endpoint, "errors": errors,
            "input_file_id": batch.file, "completion_window": "24h", "status": status,
            "output_file_id": output, "error_file_id": null, "created_at": self.stamp(batch.made),
            "in_progress_at": self.stamp(batch.made), "expires_at": self.stamp(batch.made + Duration::from_secs(86_400)),
            "completed_at": (status == "completed").then(|| self.stamp(batch.ends)),
            "failed_at": (status == "failed").then(|| self.stamp(batch.ends)),
            "expired_at": (status == "expired").then(|| self.stamp(batch.ends)),
            "cancelled_at": (status == "cancelled").then(|| self.stamp(batch.ends)),
            "request_counts": {"total": lines, "completed": answered, "failed": 0},
            "metadata": batch.metadata,
        })
    }

    /// By line, the batches that have answered it: each answer is paid.
    pub(super) fn answers(&self) -> BTreeMap<String, Vec<String>> {
        let mut answers = self.asked.clone();
        for batch in &self.batches {
            for line in batch.over.iter().flat_map(|over| &over.answered) {
                answers.entry(line.clone()).or_default().push(batch.id.clone());
            }
        }
        answers
    }

    /// The batch that was made by this create of a run, if there is one.
    pub(super) fn made_by(&self, nonce: &str) -> Option<&Batch> {
        self.batches.iter().find(|batch| batch.metadata.get("lote_create").is_some_and(|create| create == nonce))
    }

    /// The lines of a batch, if there is such a batch.
    pub(super) fn lines_of(&self, id: &str) -> Option<&[String]> {
        self.batches.iter().find(|batch| batch.id == id).map(|batch| batch.lines.as_slice())
    }

    /// The batches that sell lines and are in the list.
    pub(super) fn listed(&self, now: Duration) -> impl Iterator<Item = &Batch> {
        let sells = |batch: &&Batch| batch.ending.sells();
        let shown = move |batch: &&Batch| batch.made + self.nature.lag <= now && !batch.lines.is_empty();
        self.batches.iter().filter(sells).filter(shown)
    }

    /// The batch that holds a line, one of those that are wanted.
    pub(super) fn selling(&self, line: &str, wanted: impl Fn(&str) -> bool) -> Option<&Batch> {
        let held = |batch: &&Batch| batch.lines.iter().any(|held| held == line);
        self.batches.iter().filter(held).find(|batch| wanted(&batch.id))
    }
}

/// The lines of a file, by their custom_ids.
pub(super) fn custom_ids(text: &str) -> Vec<String> {
    let id = |line| Some(serde_json::from_str::<Value>(line).ok()?["custom_id"].as_str()?.to_owned());
    text.lines().filter_map(id).collect()
}

fn completion(content: &str) -> Value {
    json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    })
}

/// The result line of a request that this batch has answered.
fn answer(line: &str, batch: &str) -> Vec<u8> {
    let body = completion(batch);
    let line = json!({
        "id": format!("{batch}-{line}"), "custom_id": line, "error": null,
        "response": {"status_code": 200, "request_id": "r", "body": body},
    });
    format!("{line}\n").into_bytes()
}
