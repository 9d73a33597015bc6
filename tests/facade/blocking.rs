//! The blocking client: the whole way, from threads, from async code, on a service that fails.

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
    blocking::Client,
    run::{Progress, RunError},
};
use lote_gateway::Gateway;
use serde_json::json;
use tokio::runtime::Runtime;

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

/// Every call that there is, each of which must be refused.
fn all_refused(client: &Client, content: &mut lote::blocking::Content) {
    let (batches, files) = (client.batches(), client.files());
    let (id, file) = (batch_id("batch_1"), file_id("file-1"));
    let refused = |error: Error| {
        assert!(error.is_invalid() && error.to_string().contains("spawn_blocking"), "{error}");
    };
    let unasked = |waited| match waited {
        Waited::CouldNotAsk { error, last: None } => refused(error),
        other => panic!("{other:?}"),
    };
    refused(batches.get(&id).expect_err("get"));
    refused(batches.cancel(&id).expect_err("cancel"));
    refused(batches.create(&file, Endpoint::Embeddings).send().expect_err("create"));
    refused(batches.list().page().expect_err("page"));
    let mut list = batches.list().into_iter();
    refused(list.next().expect("a refusal").expect_err("list"));
    assert!(list.next().is_none());
    unasked(batches.wait(&id).until_over());
    let looks: Vec<Look> = batches.wait(&id).into_iter().collect();
    let [Look::Over(_)] = looks[..] else { panic!("{looks:?}") };
    let two = || [id.clone(), batch_id("batch_2"), id.clone()];
    for waited in [batches.wait_all(two()).until_over(), batches.wait_all(two()).into_iter().collect()] {
        assert_eq!(waited.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["batch_1", "batch_2"]);
        waited.into_iter().for_each(|(_, waited)| unasked(waited));
    }
    refused(files.get(&file).expect_err("get"));
    refused(files.delete(&file).expect_err("delete"));
    refused(files.content(&file).expect_err("content"));
    refused(files.verified_content(&file).expect_err("content"));
    refused(files.list().page().expect_err("page"));
    refused(files.list().into_iter().next().expect("a refusal").expect_err("list"));
    refused(files.upload("absent.jsonl", UploadPurpose::Batch).send().expect_err("upload"));
    refused(files.upload_reader(io::empty(), "a.jsonl", UploadPurpose::Batch).send().expect_err("upload"));
    refused(content.chunk().expect_err("chunk"));
    let error = client.run("absent.jsonl").execute().expect_err("a run");
    let RunError::Refused(error) = error else { panic!("{error}") };
    refused(error);
}

#[test]
fn async_code_is_told_so_and_sends_nothing() {
    let odd = Odd::new([Reply::new(200, &[], "content")]);
    let client = blocking(&odd);
    let content = Mutex::new(client.files().content(&file_id("file-1")).expect("content"));
    let refused = || all_refused(&client, &mut content.lock().expect("content"));

    let current = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    current.block_on(async { refused() });
    current.block_on(tokio::task::unconstrained(async { assert!(client.base_url().ends_with("/v1")) }));
    let many = Runtime::new().expect("a runtime");
    many.block_on(async { refused() });
    let (own, fetched) = (client.clone(), Mutex::new(None));
    many.block_on(async {
        // Made, cloned and dropped in a task.
        let task = tokio::spawn(async move {
            drop(own);
            let other = Client::new(lote::Client::builder().api_key("any").build()?)?;
            let error = other.files().get(&file_id("file-1")).expect_err("refused");
            drop(other);
            Ok::<_, Error>(error)
        });
        *fetched.lock().expect("an error") = Some(task.await.expect("no panic").expect("a client"));
    });
    assert!(fetched.into_inner().expect("an error").is_some_and(|error| error.is_invalid()));
    assert_eq!(odd.requests().len(), 1);
    // Refused is not lost: the content goes on where it may be read.
    let mut text = String::new();
    content.into_inner().expect("content").into_reader().read_to_string(&mut text).expect("the rest");
    assert_eq!(text, "content");
}

#[test]
fn where_async_code_allows_blocking_it_works() {
    let running = Running::new();
    let caller = Runtime::new().expect("a runtime");
    let client = running.client();
    let listed = |client: &Client| client.batches().list().into_iter().count();
    let (first, second) = (client.clone(), client.clone());
    caller.block_on(async move {
        assert_eq!(tokio::task::spawn_blocking(move || listed(&first)).await.expect("no panic"), 0);
        let task = tokio::spawn(async move { tokio::task::block_in_place(|| listed(&second)) });
        assert_eq!(task.await.expect("no panic"), 0);
    });
    // A script that holds a runtime of its own, without being inside of it.
    let _entered = caller.enter();
    assert_eq!(listed(&client), 0);
}

#[test]
fn the_last_client_may_be_dropped_anywhere() {
    let running = Running::new();
    let caller = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let client = running.client();
    let looks = client.batches().wait(&create(&client, lines(&["a"])).id).into_iter();
    caller.block_on(async { drop((client, looks)) });

    // On one of its own threads, by the callback of an upload that has outlived the call.
    let odd = Odd::new([Reply::json(200, json!({"id": "file-1"}))]);
    let client = blocking(&odd);
    let held = Mutex::new(Some(client.clone()));
    let upload = client.files().upload_reader(&b"x"[..], "a.jsonl", UploadPurpose::Batch);
    let upload = upload.on_progress(move |_| drop(held.lock().expect("a client").take()));
    drop(client);
    upload.send().expect("an upload");
}

#[test]
fn callbacks_may_call_the_client() {
    let running = Running::new();
    let client = running.client();
    let batch = create(&client, lines(&["[[sleep=60000]]"]));
    // Cancelled by who watches it.
    let cancel = |batch: &lote::Batch| {
        if batch.status == Status::InProgress {
            client.batches().cancel(&batch.id).expect("cancelled");
        }
    };
    let waited = client.batches().wait(&batch.id).cadence(fast()).on_progress(cancel).until_over();
    assert!(matches!(&waited, Waited::Ended(batch) if batch.status == Status::Cancelled), "{waited:?}");

    let folder = tempfile::tempdir().expect("a folder");
    let requests = folder.path().join("requests.jsonl");
    fs::write(&requests, lines(&["a"])).expect("written");
    let (own, seen) = (client.clone(), Arc::new(Mutex::new(Vec::new())));
    let known = Arc::clone(&seen);
    let run = client.run(&requests).cadence(fast()).on_progress(move |progress| {
        if let Progress::Created(batch) = progress {
            known.lock().expect("batches").push(own.batches().get(&batch.id).expect("a batch").id);
        }
    });
    let report = run.execute().expect("a report");
    assert_eq!(*seen.lock().expect("batches"), [report.batch.id]);
}

#[test]
fn a_wait_is_stopped_from_another_thread() {
    let running = Running::new();
    let client = running.client();
    let batch = create(&client, lines(&["[[sleep=60000]]"]));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stop = Mutex::new(Some(stop));
    let wait = client.batches().wait(&batch.id).stop_when(async { drop(stopped.await) });
    let waited = thread::scope(|scope| {
        let wait = wait.on_progress(|_| drop(stop.lock().expect("a sender").take()));
        scope.spawn(|| wait.until_over()).join().expect("no panic")
    });
    assert!(matches!(&waited, Waited::GaveUp(Some(batch)) if !batch.is_terminal()), "{waited:?}");
    let waited = client.batches().wait(&batch.id).deadline(FAST).until_over();
    assert!(matches!(waited, Waited::GaveUp(_)), "{waited:?}");
}

#[test]
fn odd_answers_are_the_errors_of_the_async_client() {
    let odd = Odd::new([
        Reply::json(401, json!({"error": {"message": "no such key", "code": "invalid_api_key"}})),
        Reply::new(200, &[], "<html>"),
        Reply::Nothing,
        Reply::json(200, json!({"data": [{"id": "batch_1", "status": "failed"}], "has_more": true})),
        Reply::json(200, json!({"data": [{"id": "batch_1", "status": "failed"}], "has_more": true})),
    ]);
    let client = blocking(&odd);
    let error = client.batches().get(&batch_id("batch_1")).expect_err("a wrong key");
    assert!(error.is_unauthorized() && error.code() == Some("invalid_api_key"), "{error}");
    assert!(client.files().list().page().expect_err("a login page").is_undecodable());
    let error = client.batches().create(&file_id("file-1"), Endpoint::Embeddings).send().expect_err("no answer");
    assert!(error.is_ambiguous(), "{error}");

    // A service that starts again: an error, and then the end.
    let mut list = client.batches().list().into_iter();
    assert_eq!(list.next().expect("a batch").expect("a batch").id, batch_id("batch_1"));
    assert!(list.next().expect("an error").expect_err("no loop").is_undecodable());
    assert!(list.next().is_none() && list.next().is_none());
    assert!(!format!("{client:?}").contains("hunter22"));
}

#[test]
fn a_content_that_breaks_off_is_an_error_and_not_an_end() {
    let part = || Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\nconnection: close\r\n\r\nhello".to_vec());
    let rest = || {
        let headers = ["content-range: bytes 5-9/10"];
        Reply::new(206, &headers, "world")
    };
    let odd = Odd::new([part(), rest(), part(), part(), Reply::new(403, &[], "")]);
    let id = file_id("file-1");
    let mut reader = blocking(&odd).files().content(&id).expect("content").into_reader();
    let (mut text, mut buffer) = (Vec::new(), [0; 3]);
    let error = loop {
        match reader.read(&mut buffer) {
            Ok(0) => panic!("the end, after {text:?}"),
            Ok(length) => text.extend_from_slice(&buffer[..length]),
            Err(error) => break error,
        }
    };
    assert_eq!(text, b"hello");
    assert!(error.downcast::<Error>().expect("our error").is_connection());
    // Read on, it is taken up again.
    reader.read_to_end(&mut text).expect("the rest");
    assert_eq!(text, b"helloworld");
    assert_eq!(reader.read(&mut buffer).expect("still the end"), 0);

    let folder = tempfile::tempdir().expect("a folder");
    let content = blocking(&odd).files().content(&id).expect("content");
    assert!(content.save(folder.path().join("a")).expect_err("broken").is_connection());
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);

    // What is survived is told, on this thread.
    let (told, here) = (Arc::new(AtomicUsize::new(0)), thread::current().id());
    let counted = Arc::clone(&told);
    let client = odd.builder().retry(Retry::default()).build_blocking().expect("a client");
    let content = client.files().content(&id).expect("content").on_trouble(move |_| {
        assert_eq!(thread::current().id(), here);
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let mut text = Vec::new();
    assert_eq!(content.copy_to(&mut text).expect_err("refused").status(), Some(403));
    assert_eq!((text.as_slice(), told.load(Ordering::SeqCst)), (&b"hello"[..], 1));
}

/// Gives a word and then does what it is told.
struct Then<F>(Option<&'static [u8]>, F);

impl<F: FnMut() -> io::Result<usize>> Read for Then<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.take() {
            Some(mut word) => word.read(buffer),
            None => (self.1)(),
        }
    }
}

#[test]
fn a_reader_that_fails_or_dies_is_no_shorter_file() {
    let running = Running::new();
    let client = running.client();
    let failing = Then(Some(b"half a line"), || Err(io::Error::other("the disk is gone")));
    let error = client.files().upload_reader(failing, "a.jsonl", UploadPurpose::Batch).send().expect_err("no file");
    assert!(error.is_io() && error.to_string().contains("the disk is gone"), "{error}");
    let dying = Then(Some(b"half a line"), || std::panic::resume_unwind(Box::new("dead")));
    let error = client.files().upload_reader(dying, "a.jsonl", UploadPurpose::Batch).send().expect_err("no file");
    assert!(error.is_io() && error.to_string().contains("the reader panicked"), "{error}");
    assert_eq!(client.files().list().into_iter().count(), 0);
}

#[test]
fn a_reader_may_be_a_download_and_may_be_interrupted() {
    let running = Running::new();
    let client = running.client();
    let mut interruptions = 3;
    let reader = Then(Some(b"a\n"), move || {
        interruptions -= 1;
        if interruptions > 0 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(0) }
    });
    let first = client.files().upload_reader(reader, "a.jsonl", UploadPurpose::Batch).send().expect("an upload");
    let content = client.files().content(&first.id).expect("content").into_reader();
    // Longer than was said: what is over is not sent.
    let second = client.files().upload_reader(content.chain(io::repeat(b'b')), "b.jsonl", UploadPurpose::Batch);
    let second = second.length(200_000).send().expect("an upload");
    assert_eq!(second.bytes, Some(200_000));
    let mut text = Vec::new();
    client.files().content(&second.id).expect("content").copy_to(&mut text).expect("text");
    assert!(text.starts_with(b"a\nbbb") && text.len() == 200_000);
}
