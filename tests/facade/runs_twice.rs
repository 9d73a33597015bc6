//! Owns the tests of runs that could pay twice: two batches over one file, other ids than were made, a folder that is
//! replaced between the intent and the create.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use lote::{
    Batch, BatchId, Cadence, Client, Status, Tolerance,
    run::{Progress, Repair, Run, RunPhase, status},
};
use lote_gateway::{
    Builder, Event, Gateway,
    faults::{Effect, Fault, Faults, Operation, Refusal, Takes},
};
use serde_json::{Value, json};

use crate::{
    common::{Odd, Reply},
    runs_common::{FAST, Place, chat, copy, happened, paid, passing},
};

impl Place {
    /// The run, in batches of one line.
    fn single(&self, client: &Client) -> Run {
        quick(self.run(client, 1))
    }

    fn resume(&self, client: &Client) -> Run {
        quick(Run::open(client, self.path("requests.run")))
    }

    /// The batch of each shard, as the log says.
    fn batches(&self) -> Vec<Option<BatchId>> {
        status(self.path("requests.run")).expect("its status").shards.into_iter().map(|shard| shard.batch).collect()
    }
}

fn quick(run: Run) -> Run {
    let tolerance = Tolerance::default().unknown_for(FAST * 5);
    run.settle_after_loss(FAST * 5).cadence(Cadence::new(FAST, FAST * 5)).tolerance(tolerance)
}

async fn start(builder: Builder, faults: Vec<Fault>) -> (Gateway, Client) {
    let faults = faults.into_iter().fold(Faults::new(), Faults::fault);
    let gateway = builder.journal(true).faults(faults).start().await.expect("it starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").build().expect("a client");
    (gateway, client)
}

fn create(nth: u64, effect: Effect) -> Fault {
    Fault::on(Operation::CreateBatch).nth(nth).then(effect)
}

/// All answers of a service that keeps no metadata.
fn no_metadata() -> impl Iterator<Item = Fault> {
    let operations = [Operation::CreateBatch, Operation::GetBatch, Operation::ListBatches];
    operations.into_iter().map(|operation| Fault::on(operation).then(Effect::NullField("metadata".to_owned())))
}

/// The batch that failed for want of room is in the list, over the same file and with the same name of the shard: it is not
/// taken for the one whose answer was lost.
#[tokio::test]
async fn a_failed_batch_then_a_lost_create_over_the_same_file() {
    for metadata in [true, false] {
        for lost in [Effect::AnswerLost, Effect::AnswerReplaced(Refusal::status(502))] {
            let mut faults = vec![create(1, Effect::TokenLimit), create(2, lost.clone())];
            faults.extend(no_metadata().filter(|_| !metadata));
            let (gateway, client) = start(Gateway::builder(), faults).await;
            let place = Place::new(&[chat("a", "x")]);
            let report = place.single(&client).execute().await.unwrap_or_else(|error| panic!("{lost:?}: {error}"));
            assert!(report.all_succeeded(), "{lost:?}, {metadata}");
            let (batches, lines) = paid(&gateway);
            assert_eq!((batches, lines["a"]), (2, 1), "{lost:?}, {metadata}: one failed, and one was found");
            let uploads = gateway.journal().iter().filter(|e| matches!(e.event, Event::FileUploaded { .. })).count();
            assert_eq!(uploads, 1, "over the same file");
        }
    }
}

/// What is tried again is sent as the same bytes, which a service that knows files by their hash takes for the same file.
#[tokio::test]
async fn an_attempt_whose_file_equals_that_of_the_one_before() {
    let faults = vec![Fault::on(Operation::UploadFile).then(Effect::Deduplicated), create(2, Effect::AnswerLost)];
    let (gateway, client) = start(Gateway::builder(), faults).await;
    let place = Place::new(&[chat("a", "[[status=500]]")]);
    let first = place.single(&client).execute().await.expect("a report");
    assert_eq!((first.joined.failed, first.batches.len()), (1, 1));
    let second = place.resume(&client).repair(Repair::default()).await.expect("a report");
    assert_eq!((second.joined.failed, second.batches.len()), (1, 2));
    let batches: Vec<Option<BatchId>> = place.batches();
    assert!(batches[0].is_some() && batches[1].is_some() && batches[0] != batches[1], "{batches:?}");
    let (made, lines) = paid(&gateway);
    assert_eq!((made, lines["a"]), (2, 2), "one batch for each attempt");
    let files: BTreeSet<String> = gateway
        .journal()
        .into_iter()
        .filter_map(|entry| match entry.event {
            Event::FileUploaded { file_id, .. } => Some(file_id),
            _ => None,
        })
        .collect();
    assert_eq!(files.len(), 1, "of one file");
}

/// Whoever takes the name of the folder after the intent was written down gets nothing of the run, and is not paid for: the
/// batch is told, and found again by the folder that the run was in.
#[cfg(unix)]
#[tokio::test]
async fn a_folder_replaced_between_intent_and_create() {
    let place = Place::new(&[chat("a", "x")]);
    let (folder, moved) = (place.path("requests.run"), place.path("moved.run"));
    let (from, to) = (folder.clone(), moved.clone());
    let answer = json!({"custom_id": "a", "response": {"status_code": 200, "body": {"x": 1}}}).to_string();
    let metadata = Arc::new(Mutex::new(Value::Null));
    let batch = move |status: &str, metadata: &Value| {
        json!({"id": "batch_1", "object": "batch", "status": status, "output_file_id": "o", "input_file_id": "file-1",
               "metadata": metadata})
    };
    let odd = Odd::answering(move |head, _| {
        let word = |at: usize| head.split([' ', '?']).nth(at).unwrap_or_default().to_owned();
        match (word(0).as_str(), word(1).as_str()) {
            ("POST", "/v1/files") => Reply::json(200, json!({"id": "file-1"})),
            ("POST", "/v1/batches") => {
                // The intent is written down by now.
                let log = fs::read_to_string(from.join("log.jsonl")).expect("the log");
                assert!(log.contains("\"creating\"") && !log.contains("\"created\""), "{log}");
                let frame = log.lines().find(|line| line.contains("\"creating\"")).expect("an intent");
                let frame: Value = serde_json::from_str(frame).expect("JSON");
                let record: Value =
                    serde_json::from_slice(&fs::read(from.join("run.json")).expect("a record")).expect("JSON");
                *metadata.lock().expect("it") = json!({
                    "lote_run": record["run"], "lote_shard": "1", "lote_create": frame["events"][0]["nonce"],
                });
                fs::rename(&from, &to).expect("moved");
                fs::create_dir(&from).expect("made");
                fs::write(from.join("run.json"), "another's").expect("written");
                Reply::json(200, batch("validating", &Value::Null))
            }
            ("GET", "/v1/batches") => {
                let listed = batch("completed", &metadata.lock().expect("it"));
                Reply::json(200, json!({"object": "list", "data": [listed], "has_more": false}))
            }
            ("GET", "/v1/files/o/content") => Reply::new(200, &[], &answer),
            ("GET", _) => Reply::json(200, batch("completed", &metadata.lock().expect("it"))),
            other => panic!("{other:?}"),
        }
    });
    let error = place.single(&odd.client()).execute().await.expect_err("lost");
    assert!(error.is_lost(), "{error}");
    assert_eq!(error.batches().iter().map(BatchId::as_str).collect::<Vec<_>>(), ["batch_1"]);
    assert!(error.to_string().contains("batch batch_1 goes on"), "{error}");
    assert_eq!(fs::read(folder.join("run.json")).expect("kept"), b"another's");
    assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1);
    let found = quick(Run::open(&odd.client(), &moved)).execute().await.expect("gone on with");
    assert!(found.all_succeeded());
    let creates = odd.requests().iter().filter(|head| head.starts_with("POST /v1/batches ")).count();
    assert_eq!(creates, 1);
}

/// A list shows other ids than the creates did. Where those of the creates are not taken any more, a person says which
/// batches they are, and nothing is bought again.
#[tokio::test]
async fn lists_that_show_other_ids_buy_nothing_again() {
    let lines = [chat("a", "x"), chat("b", "y"), chat("c", "z")];
    for takes in [Takes::Both, Takes::Made, Takes::Listed] {
        let rewritten = Fault::on(Operation::ListBatches).then(Effect::RewrittenIds { takes });
        let (gateway, client) = start(Gateway::builder(), vec![rewritten, create(1, Effect::AnswerLost)]).await;
        let place = Place::new(&lines);
        let mut ended = place.single(&client).execute().await;
        if takes == Takes::Listed {
            let error = ended.as_ref().expect_err("nobody knows some of its batches");
            assert!(error.is_held(), "{error}");
            assert_eq!(status(place.path("requests.run")).expect("its status").phase, RunPhase::Held);
            // It is said each time, and ends each time.
            ended = place.resume(&client).execute().await;
        }
        // Where the ids of the creates are taken, a batch that was found is waited for by its listed id only as long as the
        // list shows it to be at work.
        for _ in 0..3 {
            let Err(error) = &ended else { break };
            assert!(error.is_held() && takes != Takes::Both, "{takes:?}: {error}");
            let ids = match takes {
                Takes::Listed => listed(&client).await,
                _ => made(&gateway),
            };
            let held = error.held().iter().map(|(shard, _)| *shard);
            let run = held.fold(place.resume(&client), |run, shard| run.adopt(shard, ids[&shard].clone()));
            ended = run.execute().await;
        }
        let report = ended.unwrap_or_else(|error| panic!("{takes:?}: {error}"));
        assert!(report.all_succeeded(), "{takes:?}");
        let (batches, lines) = paid(&gateway);
        assert_eq!((batches, lines.values().max()), (3, Some(&1)), "{takes:?}");
    }
}

/// By the number of the shard, the ids that the list shows.
async fn listed(client: &Client) -> BTreeMap<u32, BatchId> {
    let page = client.batches().list().page().await.expect("a page");
    let shard = |batch: &Batch| batch.metadata["lote_shard"].parse().expect("a number");
    page.data.into_iter().map(|batch| (shard(&batch), batch.id)).collect()
}

/// By the number of the shard, the ids that the creates made, which were sent in this order.
fn made(gateway: &Gateway) -> BTreeMap<u32, BatchId> {
    let made = gateway.journal().into_iter().filter_map(|entry| match entry.event {
        Event::BatchCreated { batch_id, .. } => Some(batch_id.parse().expect("an id")),
        _ => None,
    });
    (1..).zip(made).collect()
}

/// What the run told of surplus batches.
fn surplus(run: Run) -> (Run, Arc<Mutex<Vec<BatchId>>>) {
    let told: Arc<Mutex<Vec<BatchId>>> = Arc::default();
    let tell = Arc::clone(&told);
    let run = run.on_progress(move |progress| {
        if let Progress::Surplus { batch, .. } = progress {
            tell.lock().expect("it").push(batch.id.clone());
        }
    });
    (run, told)
}

/// A batch that the account had before: a list that shows none proves nothing.
async fn earlier(client: &Client) {
    let place = Place::new(&[chat("earlier", "x")]);
    place.single(client).execute().await.expect("a report");
}

/// The create takes effect when the list has proved that there is no batch, and another was sent. That is paid twice, as
/// docs/runs.md says that it may be, and never unannounced.
#[tokio::test]
async fn a_create_that_takes_effect_after_its_absence_was_proved_is_told_and_cancelled() {
    let late = Effect::Late { after: Duration::from_secs(1), answer: None };
    let (gateway, client) = start(Gateway::builder().virtual_clock(), vec![create(2, late)]).await;
    earlier(&client).await;
    let place = Place::new(&[chat("a", "[[sleep=2500]] x")]);
    let (run, told) = surplus(place.single(&client));
    let time = async {
        // The one that counts is made: the late one is at work when that is over, and until it was asked to stop.
        happened(&gateway, 2, |event| matches!(event, Event::BatchCreated { .. })).await;
        gateway.advance(Duration::from_secs(1)).await;
        gateway.advance(Duration::from_millis(1_500)).await;
        happened(&gateway, 1, |event| matches!(event, Event::BatchCancelled { .. })).await;
        passing(&gateway, std::future::pending::<()>()).await;
    };
    let report = tokio::select! {
        report = run.execute() => report.expect("a report"),
        () = time => unreachable!("time does not end"),
    };
    assert!(report.all_succeeded());
    let made = made(&gateway);
    assert_eq!(made.len(), 3, "the earlier one, the one that counts, and the late one");
    assert_eq!((&report.batches[0].id, told.lock().expect("it").as_slice()), (&made[&2], &[made[&3].clone()][..]));
    let cancelled = |id: &str| {
        gateway
            .journal()
            .iter()
            .any(|entry| matches!(&entry.event, Event::BatchCancelled { batch_id } if batch_id == id))
    };
    assert!(cancelled(made[&3].as_str()) && !cancelled(made[&2].as_str()));
}

/// Both copies of a folder look at the list before either has created: neither can know of the other, and the one that knows
/// that it is a copy tells of the second batch.
#[tokio::test]
async fn two_copies_of_a_folder_that_create_at_once_are_told_of() {
    let delay = Effect::Delay(Duration::from_secs(1));
    let (gateway, client) =
        start(Gateway::builder(), vec![Fault::on(Operation::CreateBatch).calls(2..=3).then(delay)]).await;
    let place = Place::new(&[chat("a", "[[sleep=1000]] x"), chat("b", "y")]);
    place.single(&client).max_open(1).submit().await.expect("the first is at work");
    copy(&place.path("requests.run"), &place.path("copy.run"));
    let (original, told) = surplus(place.resume(&client));
    let (copied, told_to_the_copy) = surplus(quick(Run::open(&client, place.path("copy.run"))));
    let (original, copied) = tokio::join!(original.execute(), copied.execute());
    let [original, copied] = [original, copied].map(|ended| ended.expect("a report"));
    assert!(original.all_succeeded() && copied.all_succeeded());
    assert_eq!(made(&gateway).len(), 3, "one of the second shard is too many");
    assert_eq!(original.batches[0], copied.batches[0]);
    assert_ne!(original.batches[1].id, copied.batches[1].id);
    assert_eq!(told_to_the_copy.lock().expect("it").as_slice(), [original.batches[1].id.clone()]);
    assert_eq!(told.lock().expect("it").as_slice(), []);
}

/// Two attempts over one file, at a service that keeps no metadata: whose batch it is nobody can tell, and a person says.
#[tokio::test]
async fn an_attempt_over_the_same_file_that_nothing_tells_apart_is_held() {
    let mut faults = vec![Fault::on(Operation::UploadFile).then(Effect::Deduplicated), create(2, Effect::AnswerLost)];
    faults.extend(no_metadata());
    let (gateway, client) = start(Gateway::builder(), faults).await;
    let place = Place::new(&[chat("a", "[[status=500]]")]);
    place.single(&client).execute().await.expect("a report");
    let error = place.resume(&client).repair(Repair::default()).await.expect_err("nobody can tell");
    assert!(error.is_held() && error.held().len() == 1, "{error}");
    let made = made(&gateway);
    assert_eq!(made.len(), 2, "and nothing is bought again");
    assert!(error.to_string().contains(made[&2].as_str()), "the one that it may be is named: {error}");
    let report = place.resume(&client).adopt(2, made[&2].clone()).execute().await.expect("a report");
    assert_eq!((report.joined.failed, report.batches.len()), (1, 2));
    assert_eq!(paid(&gateway).0, 2);
}

/// A batch that says that it is being cancelled for ever is over when it names the instant of its end. When it does not, it
/// ends no wait but by the deadline. Either way nothing is lost or bought again.
#[tokio::test]
async fn a_batch_that_is_being_cancelled_for_ever_is_not_waited_for_for_ever() {
    for names_its_end in [true, false] {
        let mut faults = vec![Fault::on(Operation::CancelBatch).nth(1).then(Effect::CancellingForEver)];
        let hidden = [Operation::CancelBatch, Operation::GetBatch, Operation::ListBatches];
        let hidden = hidden.map(|operation| Fault::on(operation).then(Effect::NullField("cancelled_at".to_owned())));
        faults.extend(hidden.into_iter().filter(|_| !names_its_end));
        let (gateway, client) = start(Gateway::builder(), faults).await;
        let place = Place::new(&[chat("a", "[[sleep=60000]]"), chat("b", "[[sleep=60000]]")]);
        place.single(&client).submit().await.expect("both are made");
        // One that has begun has a file when it was cancelled.
        for id in made(&gateway).values() {
            while client.batches().get(id).await.expect("a batch").status != Status::InProgress {
                tokio::time::sleep(FAST).await;
            }
        }
        let cancel = || async { place.resume(&client).deadline(Duration::from_millis(1_500)).cancel().await };
        if names_its_end {
            let report = cancel().await.expect("over").expect("a report");
            assert_eq!((report.joined.cancelled, report.joined.missing), (1, 1), "one has no files");
            assert_eq!(made(&gateway).len(), 2);
            continue;
        }
        for _ in 0..2 {
            let error = cancel().await.expect_err("one never ends");
            assert!(error.gave_up() && error.batches().len() == 2, "{error}");
        }
        let status = status(place.path("requests.run")).expect("its status");
        let settled = status.shards.iter().filter(|shard| shard.phase == "settled").count();
        assert!(status.cancelled && settled == 1, "the other one has ended: {status:?}");
        assert_eq!(made(&gateway).len(), 2);
    }
}

/// Also a run of one batch has a way out when the service knows that batch no more: it is held, and a person says.
#[tokio::test]
async fn a_run_whose_only_batch_is_not_known_any_more_is_held() {
    let answer = json!({"custom_id": "a", "response": {"status_code": 200, "body": {"x": 1}}}).to_string();
    let odd = Odd::answering(move |head, _| {
        let word = |at: usize| head.split([' ', '?']).nth(at).unwrap_or_default();
        match (word(0), word(1)) {
            ("POST", "/v1/files") => Reply::json(200, json!({"id": "file-1"})),
            ("POST", "/v1/batches") => Reply::json(200, json!({"id": "batch_1", "status": "validating"})),
            ("GET", "/v1/batches/batch_2") => {
                let over = json!({"id": "batch_2", "object": "batch", "status": "completed", "output_file_id": "o"});
                Reply::json(200, over)
            }
            ("GET", "/v1/files/o/content") => Reply::new(200, &[], &answer),
            ("GET", "/v1/batches") => Reply::json(200, json!({"object": "list", "data": [], "has_more": false})),
            ("GET", _) => Reply::json(404, json!({"error": {"message": "no such batch"}})),
            other => panic!("{other:?}"),
        }
    });
    let place = Place::new(&[chat("a", "x")]);
    for run in [place.single(&odd.client()), place.resume(&odd.client())] {
        let error = run.execute().await.expect_err("it is not there");
        assert!(error.is_held(), "{error}");
    }
    let report = place.resume(&odd.client()).adopt(1, "batch_2".parse().expect("an id")).execute().await;
    assert!(report.expect("a report").all_succeeded());
    let creates = odd.requests().iter().filter(|head| head.starts_with("POST /v1/batches ")).count();
    assert_eq!(creates, 1, "and nothing is bought again");
}

/// A batch whose cancel is refused keeps nobody from asking the others, each of which is charged while it goes on.
#[tokio::test]
async fn a_refused_cancel_stops_the_other_batches_all_the_same() {
    for status in [403, 404] {
        let refused = Effect::Status(Refusal::status(status));
        let faults = vec![Fault::on(Operation::CancelBatch).nth(1).then(refused)];
        let (gateway, client) = start(Gateway::builder(), faults).await;
        let place = Place::new(&[chat("a", "[[sleep=60000]]"), chat("b", "[[sleep=60000]]")]);
        place.single(&client).submit().await.expect("both are made");
        let cancelled = || {
            let (client, ids) = (client.clone(), made(&gateway).into_values());
            async move {
                let mut count = 0;
                for id in ids {
                    let status = client.batches().get(&id).await.expect("a batch").status;
                    count += usize::from(matches!(status, Status::Cancelling | Status::Cancelled));
                }
                count
            }
        };
        let first = place.resume(&client).deadline(Duration::from_millis(2_500)).cancel().await;
        // One that is not known at that moment is asked again.
        assert_eq!(first.is_err(), status == 403, "{status}");
        assert!(cancelled().await > 0, "{status}");
        // Asked again, it stops too.
        let report = place.resume(&client).cancel().await.expect("over").expect("a report");
        assert_eq!((report.joined.succeeded, cancelled().await), (0, 2), "{status}");
    }
}
