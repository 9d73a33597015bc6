//! Waiting: for one batch and for many, on a service that lags, fails and ends.

use std::{sync::Mutex, time::Duration};

use crate::common::{Odd, Reply};
use futures_util::{StreamExt, future};
use lote::{BatchId, Cadence, Client, Endpoint, Look, Status, Tolerance, UploadPurpose, WaitError, Waited, webhook};
use lote_gateway::Gateway;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const FAST: Duration = Duration::from_millis(2);

fn id(name: &str) -> BatchId {
    BatchId::new(name).expect("an id")
}

fn batch(id: &str, status: &str) -> Value {
    json!({"id": id, "status": status})
}

fn page(batches: &[Value], has_more: bool) -> Reply {
    Reply::json(200, json!({"object": "list", "data": batches, "has_more": has_more}))
}

fn one(id: &str, status: &str) -> Reply {
    Reply::json(200, batch(id, status))
}

/// What was asked, as paths.
fn asked(odd: &Odd) -> Vec<String> {
    odd.requests().iter().map(|head| head.split(' ').nth(1).expect("a path").replace("/v1/batches", "")).collect()
}

fn endings(waited: Vec<(BatchId, Waited)>) -> Vec<(String, String)> {
    waited
        .into_iter()
        .map(|(id, waited)| {
            let ending = match waited {
                Waited::Ended(batch) => batch.status.to_string(),
                Waited::GaveUp(last) => format!("gave up: {:?}", last.map(|batch| batch.status)),
                Waited::CouldNotAsk { error, last } => {
                    format!("{:?}: {:?}", error.status(), last.map(|batch| batch.status))
                }
            };
            (id.to_string(), ending)
        })
        .collect()
}

#[tokio::test]
async fn many_are_followed_by_paging_the_list() {
    let others: Vec<Value> = (0..3).map(|n| batch(&format!("other{n}"), "in_progress")).collect();
    let first = [others.as_slice(), &[batch("a", "in_progress"), batch("b", "validating")]].concat();
    let odd = Odd::new([
        page(&first, true),
        page(&["c", "d", "e"].map(|id| batch(id, "completed")), true),
        // From now on the list is asked for from where it showed the first of them.
        page(&[batch("a", "completed"), batch("b", "in_progress")], true),
        page(&[batch("b", "failed")], true),
    ]);
    let wait = odd.client().batches().wait_all(["a", "b", "c", "a", "d", "e"].map(id)).cadence(Cadence::every(FAST));
    let ended = endings(wait.until_over().await);
    let expected = [("a", "completed"), ("b", "failed")];
    assert_eq!(ended[..2], expected.map(|(id, ending)| (id.to_owned(), ending.to_owned())));
    assert_eq!(ended.len(), 5);
    assert_eq!(asked(&odd), ["?limit=100", "?after=b&limit=100", "?after=other2&limit=100", "?after=other2&limit=100"]);
}

#[tokio::test]
async fn a_list_that_starts_again_is_read_once() {
    let ids: Vec<String> = (0..6).map(|n| format!("mine{n}")).collect();
    let turn = |name: &str| page(&[batch(name, "completed")], true);
    // It would be read for as many pages as there are batches to ask for, each of them in vain.
    let mut replies = vec![turn("x"), turn("y"), turn("x")];
    replies.extend(ids.iter().map(|_| one("another", "completed")));
    let odd = Odd::new(replies);
    let ended = endings(odd.client().batches().wait_all(ids.iter().map(|name| id(name))).until_over().await);
    // What is answered under another id is told under the one that was asked for.
    assert_eq!(ended, ids.iter().map(|name| (name.clone(), "completed".to_owned())).collect::<Vec<_>>());
    assert_eq!(asked(&odd).iter().filter(|path| path.contains("limit")).count(), 3);
}

#[tokio::test]
async fn what_the_list_does_not_show_is_asked_for_by_its_id() {
    // A list that lags, one that ends early, and one that is refused: none keeps a batch from being followed.
    let odd = Odd::new([
        page(&[batch("a", "in_progress")], false),
        Reply::json(404, json!({"error": "not yet"})),
        Reply::json(403, json!({"error": "no lists for you"})),
        one("a", "cancelled"),
        Reply::json(401, json!({"error": "no"})),
    ]);
    let troubles = Mutex::new(Vec::new());
    let wait = odd
        .client()
        .batches()
        .wait_all(["a", "b"].map(id))
        .cadence(Cadence::every(FAST))
        .on_trouble(|error| troubles.lock().expect("troubles").push(error.status()));
    let mut ended = endings(wait.until_over().await);
    // Of two calls at once the server decides which is answered first.
    ended.sort_by_key(|(_, ending)| ending.clone());
    assert_eq!(ended.len(), 2);
    assert!(ended[0].1.starts_with("Some(401)") && ended[1].1 == "cancelled", "{ended:?}");
    assert_eq!(*troubles.lock().expect("troubles"), [Some(404), Some(403)]);
    assert_eq!(asked(&odd)[..3], ["?limit=100", "/b", "?limit=100"]);
}

#[tokio::test]
async fn a_wait_for_many_survives_gives_up_and_is_told_to_stop() {
    let odd = Odd::new([
        Reply::new(503, &["retry-after-ms: 1"], ""),
        Reply::Nothing,
        page(&[batch("a", "completed")], false),
    ]);
    let wait = odd.client().batches().wait_all([id("a")]).cadence(Cadence::every(FAST));
    assert_eq!(endings(wait.until_over().await)[0].1, "completed");

    // An error that lasts for longer than is tolerated ends each of them, with its own error.
    let odd = Odd::new([Reply::new(503, &[], ""), Reply::new(503, &[], ""), Reply::new(503, &[], "")]);
    let wait = odd.client().batches().wait_all(["a", "b"].map(id)).tolerance(Tolerance::none());
    assert!(endings(wait.until_over().await).iter().all(|(_, ending)| ending == "Some(503): None"));

    let odd = Odd::new([page(&[batch("a", "in_progress")], false)]);
    let wait = odd.client().batches().wait_all([id("a")]).cadence(Cadence::every(Duration::from_secs(3600)));
    let stop = async {
        while odd.requests().is_empty() {
            tokio::task::yield_now().await
        }
    };
    let ended = wait.deadline(Duration::from_millis(300)).stop_when(async {
        stop.await;
        future::pending().await
    });
    assert_eq!(endings(ended.until_over().await)[0].1, "gave up: Some(InProgress)");
    assert!(odd.client().batches().wait_all([]).until_over().await.is_empty());
}

#[tokio::test]
async fn a_stream_shows_every_look_and_ends_with_the_ending() {
    let odd =
        Odd::new([one("a", "validating"), Reply::new(500, &[], ""), one("a", "in_progress"), one("a", "completed")]);
    let looks = odd.client().batches().wait(&id("a")).cadence(Cadence::every(FAST)).into_stream();
    let seen: Vec<String> = looks
        .map(|look| match look {
            Look::Seen(batch) => batch.status.to_string(),
            Look::Trouble(error) => format!("{:?}", error.status()),
            Look::Over(Waited::Ended(batch)) => format!("over: {}", batch.status),
            Look::Over(other) => panic!("{other:?}"),
        })
        .collect()
        .await;
    assert_eq!(seen, ["validating", "Some(500)", "in_progress", "completed", "over: completed"]);
}

#[tokio::test]
async fn tolerance_counts_errors_and_knows_which_to_survive() {
    let wait = |odd: &Odd, tolerance| {
        odd.client().batches().wait(&id("a")).cadence(Cadence::every(FAST)).tolerance(tolerance).until_over()
    };
    let busy = || Reply::json(400, json!({"error": {"message": "busy", "code": "busy"}}));
    let odd = Odd::new([busy(), busy(), one("a", "completed")]);
    let also = Tolerance::default().also(|error| error.code() == Some("busy")).in_a_row(2);
    assert!(matches!(wait(&odd, also.clone()).await, Waited::Ended(_)));
    let odd = Odd::new([busy(), busy(), busy()]);
    assert!(matches!(wait(&odd, also).await, Waited::CouldNotAsk { last: None, .. }));
    let odd = Odd::new([Reply::new(404, &[], "")]);
    let impatient = Tolerance::default().unknown_for(Duration::ZERO);
    assert!(matches!(wait(&odd, impatient).await, Waited::CouldNotAsk { last: None, .. }));
}

#[tokio::test]
async fn a_wait_that_is_told_to_stop_gives_up_with_what_it_saw() {
    let odd = Odd::new([one("a", "in_progress")]);
    let (tell, told) = tokio::sync::oneshot::channel::<()>();
    let mut tell = Some(tell);
    let wait = odd
        .client()
        .batches()
        .wait(&id("a"))
        .cadence(Cadence::every(Duration::from_secs(3600)))
        .on_progress(|_| drop(tell.take()))
        .stop_when(async { drop(told.await) });
    match wait.until_over().await {
        Waited::GaveUp(Some(last)) => assert_eq!(last.status, Status::InProgress),
        other => panic!("{other:?}"),
    }
}

/// The signature of `{id}.{timestamp}.{body}` that a service would send.
fn signed(receiver: &webhook::Receiver, batch: &str) {
    let secret = standardwebhooks::Webhook::new(SECRET).expect("a secret");
    let body = json!({"type": "batch.completed", "data": {"id": batch}}).to_string();
    let now = lote::UnixSeconds::now().get();
    let signature = secret.sign("msg_1", now, body.as_bytes()).expect("a signature");
    let headers = [("webhook-id", "msg_1"), ("webhook-timestamp", &now.to_string()), ("webhook-signature", &signature)];
    receiver.receive(headers, body.as_bytes()).expect("an event");
}

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

#[tokio::test]
async fn a_webhook_wakes_a_wait() {
    let odd = Odd::new([one("a", "in_progress"), one("a", "completed")]);
    let receiver = webhook::Receiver::new(SECRET).expect("a secret");
    let bell = receiver.clone();
    let wait = odd
        .client()
        .batches()
        .wait(&id("a"))
        .cadence(Cadence::every(Duration::from_secs(3600)))
        .woken_by(&receiver)
        .on_progress(move |batch| {
            if !batch.is_terminal() {
                signed(&bell, "a")
            }
        });
    assert!(matches!(wait.until_over().await, Waited::Ended(_)));
}

/// A server that gives what it is sent to a receiver; its URL.
async fn hooks(receiver: webhook::Receiver) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = String::new();
            let (head, body) = loop {
                let mut piece = [0; 4096];
                let read = stream.read(&mut piece).await.expect("it is sent");
                text.push_str(std::str::from_utf8(&piece[..read]).expect("UTF-8"));
                if let Some((head, body)) = text.split_once("\r\n\r\n")
                    && body.ends_with('}')
                {
                    break (head, body);
                }
            };
            let headers = head.lines().filter_map(|line| line.split_once(": "));
            let headers = headers.filter(|(name, _)| name.starts_with("webhook-"));
            receiver.receive(headers, body.as_bytes()).expect("an event");
            let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.expect("it is taken");
        }
    });
    url
}

#[tokio::test]
async fn the_gateway_s_webhooks_wake_a_wait_that_would_ask_in_an_hour() {
    let receiver = webhook::Receiver::new(SECRET).expect("a secret");
    let hook = lote_gateway::webhook::Webhook::new(&hooks(receiver.clone()).await, SECRET).expect("a webhook");
    let gateway = Gateway::builder().webhook(hook).start().await.expect("the gateway starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-any").build().expect("a client");
    let line = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"auto","messages":[{"role":"user","content":"[[sleep=300]] x"}]}}"#;
    let upload = client.files().upload_reader(line.as_bytes(), "a.jsonl", UploadPurpose::Batch);
    let input = upload.send().await.expect("an upload").id;
    let batch = client.batches().create(&input, Endpoint::ChatCompletions).send().await.expect("a batch");
    let wait = client.batches().wait(&batch.id).cadence(Cadence::every(Duration::from_secs(3600))).woken_by(&receiver);
    assert!(matches!(wait.until_over().await, Waited::Ended(batch) if batch.status == Status::Completed));
    gateway.shutdown().await;
}

#[tokio::test]
async fn hundreds_of_batches_cost_a_call_for_each_page() {
    let gateway = Gateway::builder().start().await.expect("the gateway starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-any").build().expect("a client");
    let line = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"auto","messages":[{"role":"user","content":"x"}]}}"#;
    let upload = client.files().upload_reader(line.as_bytes(), "a.jsonl", UploadPurpose::Batch);
    let input = upload.send().await.expect("an upload").id;
    let mut ids = Vec::new();
    for _ in 0..250 {
        let create = client.batches().create(&input, Endpoint::ChatCompletions);
        ids.push(create.send().await.expect("a batch").id);
    }
    let mut looks = 0;
    let wait = client.batches().wait_all(ids.clone()).cadence(Cadence::every(FAST)).on_progress(|_| looks += 1);
    let ended = wait.until_over().await;
    assert_eq!(ended.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), ids);
    for (id, waited) in ended {
        assert!(matches!(waited, Waited::Ended(batch) if batch.id == id && batch.status == Status::Completed));
    }
    assert!(looks >= 250);
}

#[tokio::test]
async fn a_wait_gives_its_batch_or_says_which_other_ending_it_had() {
    let odd = Odd::new([one("a", "in_progress"), one("a", "expired")]);
    let wait = |odd: &Odd| odd.client().batches().wait(&id("a")).cadence(Cadence::new(FAST, FAST));
    let over = wait(&odd).until_over().await.ended().expect("over");
    assert_eq!(over.status, Status::Expired);
    assert_eq!(over.completed().expect_err("over is not completed").batch().id, id("a"));

    let odd = Odd::new([one("a", "in_progress")]);
    let gave_up = wait(&odd).cadence(Cadence::every(Duration::from_secs(600))).deadline(Duration::from_millis(200));
    let error = gave_up.until_over().await.ended().expect_err("not over");
    assert_eq!(error.to_string(), "gave up waiting for batch a, last seen in_progress; it goes on at the service");
    assert!(matches!(&error, WaitError::GaveUp(Some(last)) if last.status == Status::InProgress), "{error:?}");
    assert_eq!(error.last().map(|last| last.id.clone()), Some(id("a")));

    let odd =
        Odd::new([Reply::json(200, batch("a", "validating")), Reply::json(401, json!({"error": {"message": "no"}}))]);
    let error = wait(&odd).until_over().await.ended().expect_err("not over");
    assert!(matches!(&error, WaitError::CouldNotAsk { error, .. } if error.is_unauthorized()), "{error:?}");
    assert_eq!(error.last().map(|last| last.status.clone()), Some(Status::Validating));
    assert!(error.to_string().ends_with("; the batch was last seen validating, and goes on at the service"), "{error}");
    assert!(std::error::Error::source(&error).is_some());

    let odd = Odd::new([Reply::json(401, json!({"error": {"message": "no"}}))]);
    let error = wait(&odd).until_over().await.ended().expect_err("not over");
    assert!(error.last().is_none() && error.to_string().ends_with("; the batch was not seen"), "{error}");
    let error = Waited::GaveUp(None).ended().expect_err("not over");
    assert_eq!(error.to_string(), "gave up waiting before the batch was seen");
}

/// A batch that is over, with counts of one line that succeeded.
fn over(id: &str, output: Value) -> Value {
    let counts = json!({"total": 1, "completed": 1, "failed": 0});
    json!({"id": id, "status": "completed", "request_counts": counts, "output_file_id": output})
}

#[tokio::test]
async fn a_batch_that_names_its_files_late_is_looked_at_again() {
    let said = |batch: &Value| Reply::json(200, batch);
    let (late, whole) = (|id: &str| over(id, json!("")), |id: &str| over(id, json!("o")));
    let odd = Odd::new([said(&late("a")), Reply::Nothing, said(&late("a")), said(&whole("a"))]);
    let client = odd.client();
    let Waited::Ended(seen) = client.batches().wait(&id("a")).cadence(Cadence::every(FAST)).until_over().await else {
        panic!("it is over");
    };
    assert!(seen.output_file_id.is_some() && seen.late_files().is_none());

    let odd = Odd::new([
        page(&[late("a"), batch("b", "in_progress")], false),
        page(&[late("a"), whole("b")], false),
        page(&[whole("a")], false),
    ]);
    let ended = odd.client().batches().wait_all(["a", "b"].map(id)).cadence(Cadence::every(FAST)).until_over().await;
    for (id, waited) in ended {
        assert!(matches!(waited, Waited::Ended(batch) if batch.output_file_id.is_some()), "{id}");
    }

    // As it is, when it is late for too long, and when it cannot be looked at any more.
    let impatient = || Tolerance::default().late_files(Duration::ZERO);
    for (replies, tolerance) in [
        (vec![said(&late("a"))], impatient()),
        (vec![said(&late("a")), Reply::new(401, &[], "")], Tolerance::default()),
    ] {
        let odd = Odd::new(replies);
        let client = odd.client();
        let wait = client.batches().wait(&id("a")).cadence(Cadence::every(FAST)).tolerance(tolerance);
        let Waited::Ended(batch) = wait.until_over().await else { panic!("it is over") };
        assert!(batch.late_files().is_some());
    }
    for (replies, tolerance) in [
        (vec![page(&[late("a")], false)], impatient()),
        (vec![page(&[late("a")], false), page(&[], false), Reply::new(401, &[], "")], Tolerance::default()),
    ] {
        let odd = Odd::new(replies);
        let client = odd.client();
        let wait = client.batches().wait_all([id("a")]).cadence(Cadence::every(FAST)).tolerance(tolerance);
        assert!(matches!(&wait.until_over().await[..], [(_, Waited::Ended(batch))] if batch.late_files().is_some()));
    }
    // A deadline ends the asking, and not the batch.
    let odd = Odd::new([said(&late("a"))]);
    let client = odd.client();
    let wait = client.batches().wait(&id("a")).cadence(Cadence::every(Duration::from_secs(60)));
    assert!(matches!(wait.deadline(Duration::from_secs(2)).until_over().await, Waited::Ended(_)));
}
