//! Where and how it is called: from async code, from callbacks, until it is stopped.

use super::*;

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
    refused(error.into_error().expect("an error of the call"));
}

#[test]
fn async_code_is_told_so_and_sends_nothing() {
    let odd = Odd::new([Reply::new(200, &[], "content")]);
    let client = blocking(&odd);
    let content = Mutex::new(client.files().content(&file_id("file-1")).expect("content"));
    let refused = || all_refused(&client, &mut content.lock().expect("content"));

    let current = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    current.block_on(async { refused() });
    let many = Runtime::new().expect("a runtime");
    many.block_on(async { refused() });
    let (own, fetched) = (client.clone(), Mutex::new(None));
    many.block_on(async {
        // Made, cloned and dropped in a task.
        let task = tokio::spawn(async move {
            drop(own);
            let other = Client::builder().api_key("any").build_blocking()?;
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
    // What tokio does not tell is held up and does not panic.
    let listed_in_a_task = caller.block_on(tokio::task::unconstrained(async { listed(&client) }));
    assert_eq!(listed_in_a_task, 0);
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
    assert_eq!(*seen.lock().expect("batches"), [report.batches[0].id.clone()]);
}

#[test]
fn a_callback_that_does_wrong_spoils_nothing() {
    let running = Running::new();
    let client = running.client();
    // On a thread of the client, where it would wait for itself.
    let (own, refusals) = (client.clone(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&refusals);
    let upload = client.files().upload_reader(&b"a"[..], "a.jsonl", UploadPurpose::Batch).on_progress(move |_| {
        assert!(own.files().list().page().expect_err("refused").is_invalid());
        counted.fetch_add(1, Ordering::SeqCst);
    });
    upload.send().expect("an upload");
    assert!(refusals.load(Ordering::SeqCst) > 0);

    let id = create(&client, lines(&["a"])).id;
    let panics =
        || client.batches().wait(&id).on_progress(|_| std::panic::resume_unwind(Box::new("mine"))).until_over();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).expect_err("its panic");
    assert_eq!(panicked.downcast_ref(), Some(&"mine"));
    assert!(matches!(client.batches().wait(&id).cadence(fast()).until_over(), Waited::Ended(_)));
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
