//! The blocking client: the whole way from a file to its results, alone and from many threads.

use std::{
    fs,
    io::{self, BufRead, Cursor, Read},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use crate::common::{Odd, Reply};
use lote::{
    BatchId, Cadence, Endpoint, Error, FileId, Look, OutcomeKind, Retry, Status, UploadPurpose, Waited,
    blocking::Client, run::Progress,
};
use lote_gateway::Gateway;
use serde_json::json;
use tokio::runtime::Runtime;

mod broken;
mod callers;
#[cfg(unix)]
mod signals;

const FAST: Duration = Duration::from_millis(2);

/// A gateway on threads of its own, as a script finds it.
struct Running {
    gateway: Gateway,
    _runtime: Runtime,
}

impl Running {
    fn new() -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let gateway = runtime.block_on(Gateway::builder().start()).expect("a gateway");
        Self { gateway, _runtime: runtime }
    }

    fn client(&self) -> Client {
        Client::builder().base_url(self.gateway.url()).api_key("any").build_blocking().expect("a client")
    }
}

fn blocking(odd: &Odd) -> Client {
    odd.builder().build_blocking().expect("a client")
}

fn fast() -> Cadence {
    Cadence::new(FAST, FAST)
}

fn lines(ids: &[&str]) -> String {
    let line = |id| {
        let body = json!({"model": "auto", "messages": [{"role": "user", "content": format!("say {id}")}]});
        json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string() + "\n"
    };
    ids.iter().map(line).collect()
}

fn batch_id(name: &str) -> BatchId {
    BatchId::new(name).expect("an id")
}

fn file_id(name: &str) -> FileId {
    FileId::new(name).expect("an id")
}

/// A batch over these lines, to be waited for.
fn create(client: &Client, lines: String) -> lote::Batch {
    let input = client.files().upload_reader(Cursor::new(lines), "a.jsonl", UploadPurpose::Batch).send();
    let input = input.expect("an upload").id;
    client.batches().create(&input, Endpoint::ChatCompletions).metadata("run", "7").send().expect("a batch")
}

#[test]
fn from_a_file_to_its_results() -> Result<(), Box<dyn std::error::Error>> {
    let running = Running::new();
    let client = running.client();
    let folder = tempfile::tempdir()?;
    let requests = folder.path().join("requests.jsonl");
    fs::write(&requests, lines(&["a", "b"]))?;

    let sent = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&sent);
    let upload = client.files().upload(&requests, UploadPurpose::Batch).file_name("mine.jsonl");
    let input = upload.on_progress(move |bytes| *seen.lock().expect("bytes") = bytes).send()?;
    assert_eq!(*sent.lock().expect("bytes"), fs::metadata(&requests)?.len());
    assert_eq!(client.files().get(&input.id)?.filename.as_deref(), Some("mine.jsonl"));

    let batch = client.batches().create(&input.id, Endpoint::ChatCompletions).metadata("run", "7").send()?;
    let mut looks = 0;
    let wait = client.batches().wait(&batch.id).cadence(fast()).on_progress(|_| looks += 1);
    let Waited::Ended(batch) = wait.until_over() else { panic!("not over") };
    assert!(looks > 0);
    assert_eq!(batch.status, Status::Completed);
    assert_eq!(client.batches().get(&batch.id)?.metadata.get("run").map(String::as_str), Some("7"));
    assert!(client.batches().cancel(&batch.id).expect_err("over").is_conflict());

    let output = batch.output_file_id.clone().expect("an output file");
    let content = client.files().content(&output)?;
    assert!(content.length().is_some());
    let saved = folder.path().join("output.jsonl");
    let bytes = content.save(&saved)?;
    let text = fs::read_to_string(&saved)?;
    assert_eq!(text.len() as u64, bytes);
    let mut copied = Vec::new();
    assert_eq!(client.files().verified_content(&output)?.copy_to(&mut copied)?, bytes);
    assert_eq!(copied, text.as_bytes());
    let mut chunks = Vec::new();
    let mut content = client.files().content(&output)?;
    while let Some(chunk) = content.chunk()? {
        chunks.extend_from_slice(&chunk);
    }
    assert_eq!(chunks, text.as_bytes());
    let read: Vec<String> = client.files().content(&output)?.into_reader().lines().collect::<Result<_, _>>()?;
    assert_eq!(read, text.lines().collect::<Vec<_>>());

    let outcomes = client.batches().outcomes(&batch, &requests).folder(folder.path().join("kept")).fetch()?;
    let kinds: Vec<OutcomeKind> = outcomes.map(|outcome| Ok(outcome?.kind())).collect::<Result<_, Error>>()?;
    assert_eq!(kinds, [OutcomeKind::Succeeded; 2]);

    assert_eq!(client.files().list().purpose("batch").page()?.data.len(), 1);
    assert!(client.files().delete(&input.id)?.deleted);
    assert!(client.files().get(&input.id).expect_err("deleted").is_not_found());

    let report = client.run(&requests).metadata("run", "8").cadence(fast()).execute()?;
    assert!(report.all_succeeded());
    assert_eq!(report.outcomes()?.count(), 2);
    assert_eq!(client.batches().list().page()?.data.len(), 2);
    Ok(())
}

#[test]
fn what_comes_one_by_one_comes_whole_and_ends() {
    let running = Running::new();
    let client = running.client();
    let ids: Vec<BatchId> = ["a", "b", "c", "d", "e"].map(|id| create(&client, lines(&[id])).id).into();

    // Given twice, it comes once; in the order in which they were given.
    let twice = ids.iter().chain(&ids[..1]).cloned();
    let waited = client.batches().wait_all(twice).cadence(fast()).until_over();
    assert!(waited.iter().all(|(_, waited)| matches!(waited, Waited::Ended(_))), "{waited:?}");
    assert_eq!(waited.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), ids);
    let mut ended: Vec<BatchId> = client.batches().wait_all(ids.clone()).into_iter().map(|(id, _)| id).collect();
    ended.sort_by_key(|id| ids.iter().position(|other| other == id));
    assert_eq!(ended, ids);

    let (mut batches, mut looks) =
        (client.batches().list().limit(2).into_iter(), client.batches().wait(&ids[0]).into_iter());
    // What is walked goes on without the client.
    drop(client);
    assert_eq!(batches.by_ref().map(|batch| batch.expect("a batch").id).collect::<Vec<_>>().len(), 5);
    assert!(batches.next().is_none());
    assert!(matches!(looks.next(), Some(Look::Seen(_))));
    assert!(matches!(looks.next(), Some(Look::Over(Waited::Ended(_)))));
    assert!(looks.next().is_none() && looks.next().is_none());
}

#[test]
fn many_threads_share_a_client() {
    let running = Running::new();
    let client = running.client();
    let ended = AtomicUsize::new(0);
    thread::scope(|scope| {
        for n in 0..12 {
            let (client, ended) = (if n % 2 == 0 { client.clone() } else { running.client() }, &ended);
            scope.spawn(move || {
                let batch = create(&client, lines(&[&format!("line-{n}")]));
                let Waited::Ended(batch) = client.batches().wait(&batch.id).cadence(fast()).until_over() else {
                    panic!("not over")
                };
                let mut text = String::new();
                let content = client.files().content(&batch.output_file_id.expect("an output file"));
                content.expect("content").into_reader().read_to_string(&mut text).expect("text");
                assert!(text.contains(&format!("line-{n}")), "{text}");
                ended.fetch_add(1, Ordering::SeqCst);
            });
        }
    });
    assert_eq!(ended.into_inner(), 12);
}
