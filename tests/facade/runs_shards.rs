//! Owns the tests of runs of several batches, and of runs that end at any step and are gone on with: that each line is
//! handed to the model once, whatever happens on this side.

use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lote::{
    Cadence, Client, Tolerance,
    run::{Progress, Repair, Run, RunPhase, status},
};
use lote_gateway::{
    Gateway,
    faults::{Effect, Fault, Lag, Operation, Refusal},
};
use serde_json::{Value, json};

use crate::{
    common::{Odd, Reply},
    runs_common::{FAST, Place, chat, copy, embedding, gateway_with, ids, json_lines, paid, passing, standing},
    runs_surplus::until,
};

#[tokio::test]
async fn several_batches_give_one_file_in_the_order_of_the_input() {
    // Endpoints mixed line by line, and more lines than a batch takes.
    let lines: Vec<String> = (0..23)
        .map(|at| match at % 3 {
            0 => embedding(&format!("e-{at}")),
            _ if at == 7 => chat("c-7", "[[status=400]]"),
            _ => chat(&format!("c-{at}"), &format!("[[sleep={}]] {at}", (23 - at) % 5)),
        })
        .collect();
    let (gateway, client) = gateway_with(None).await;
    let one = Place::new(&lines);
    let many = Place::new(&lines);
    let whole = one.run(&client, 1_000).execute().await.expect("a report");
    assert_eq!(whole.batches.len(), 2, "a batch for each endpoint");
    for max_open in [1, 3, usize::MAX] {
        let cut = many.run(&client, 4).max_open(max_open).folder(many.path(&format!("{max_open}.run")));
        let report = cut.execute().await.expect("a report");
        assert_eq!((report.batches.len(), report.joined.lines, report.joined.succeeded), (6, 23, 22));
        assert!(!report.all_succeeded());
        let results = json_lines(&report.results);
        assert_eq!(ids(&results), ids(&json_lines(&many.path("requests.jsonl"))));
        let failed = json_lines(&report.folder.join("failed.jsonl"));
        assert_eq!(ids(&failed), ["c-7"]);
        let answers = |results: &[Value]| -> Vec<Value> {
            results.iter().map(|line| line["response"]["body"]["choices"][0]["message"]["content"].clone()).collect()
        };
        assert_eq!(answers(&results), answers(&one.results()));
        assert_eq!(report.joined.usage, whole.joined.usage);
    }
    let (_, lines) = paid(&gateway);
    assert!(lines.values().all(|times| *times == 4), "{lines:?}");
}

#[tokio::test]
async fn no_more_batches_are_open_at_once_than_may_be() {
    let lines: Vec<String> = (0..6).map(|at| chat(&format!("{at}"), "x")).collect();
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&lines);
    let (folder, most) = (place.path("requests.run"), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&most);
    let run = place.run(&client, 1).max_open(2).on_progress(move |_| {
        if let Ok(status) = status(&folder) {
            seen.fetch_max(status.open(), Ordering::Relaxed);
        }
    });
    assert!(run.execute().await.expect("a report").all_succeeded());
    assert_eq!(most.load(Ordering::Relaxed), 2);
}

/// A run that ends at every step that it tells of, and is given again each time: whatever the step, there are as many
/// batches as shards, no line is handed to the model twice, and the results are whole.
#[tokio::test]
async fn a_run_that_ends_at_any_step_is_gone_on_with() {
    let lines: Vec<String> = (0..5).map(|at| chat(&format!("{at}"), &format!("[[sleep=3]] {at}"))).collect();
    let mut steps = 0;
    for end_at in 1.. {
        let (gateway, client) = gateway_with(None).await;
        let place = Place::new(&lines);
        let (count, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Notify::new()));
        let (counted, stopping) = (Arc::clone(&count), Arc::clone(&stop));
        let first = place.run(&client, 2).on_progress(move |_| {
            if counted.fetch_add(1, Ordering::Relaxed) + 1 == end_at {
                stopping.notify_one();
            }
        });
        // Dropped at its next pause, the run leaves what a killed process leaves.
        let ended = tokio::select! {
            biased;
            () = stop.notified() => None,
            ended = first.execute() => Some(ended.expect("a report")),
        };
        let report = match ended {
            Some(report) => report,
            None => place.run(&client, 2).execute().await.unwrap_or_else(|error| panic!("at {end_at}: {error}")),
        };
        assert!(report.all_succeeded(), "at {end_at}");
        assert_eq!(ids(&place.results()), ["0", "1", "2", "3", "4"], "at {end_at}");
        let (batches, lines) = paid(&gateway);
        assert_eq!((batches, lines.values().max()), (3, Some(&1)), "at {end_at}");
        steps = steps.max(count.load(Ordering::Relaxed));
        if count.load(Ordering::Relaxed) < end_at {
            break;
        }
    }
    assert!(steps > 12, "{steps} steps");
}

/// Every way of losing the answer to a create, in a run of several batches, with the list behind for a while.
#[tokio::test]
async fn lost_creates_are_found_however_they_were_lost() {
    let lines: Vec<String> = (0..4).map(|at| chat(&format!("{at}"), "x")).collect();
    for effect in [
        Effect::AnswerLost,
        Effect::AnswerReplaced(Refusal::status(500)),
        Effect::AnswerReplaced(Refusal::status(502)),
        Effect::Unlisted(Lag::Looks(1)),
    ] {
        for nth in 1..=2 {
            let fault = Fault::on(Operation::CreateBatch).nth(nth).then(effect.clone());
            let (gateway, client) = gateway_with(Some(fault)).await;
            let place = Place::new(&lines);
            let report = place.run(&client, 2).execute().await.unwrap_or_else(|error| panic!("{effect:?}: {error}"));
            assert!(report.all_succeeded(), "{effect:?}");
            let (batches, lines) = paid(&gateway);
            assert_eq!((batches, lines.values().max()), (2, Some(&1)), "{effect:?}, {nth}");
        }
    }
}

/// The folder as it was before its create, in a copy or a restored backup: the batch that was made since is found.
#[tokio::test]
async fn a_copy_of_a_folder_makes_no_second_batch() {
    let lines: Vec<String> = (0..4).map(|at| chat(&format!("{at}"), "x")).collect();
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&lines);
    let (from, to) = (place.path("requests.run"), place.path("copy.run"));
    let copied = Arc::new(Mutex::new(false));
    let run = place.run(&client, 2).on_progress(move |progress| {
        let mut copied = copied.lock().expect("the copy");
        if let (Progress::Uploading { .. }, false) = (progress, *copied) {
            copy(&from, &to);
            *copied = true;
        }
    });
    let first = run.execute().await.expect("a report");
    let second = place.run(&client, 2).folder(place.path("copy.run")).execute().await.expect("the same batches");
    assert_eq!((&second.run, &second.batches), (&first.run, &first.batches));
    assert_eq!(paid(&gateway).0, 2);
}

/// A log whose last frame was torn off, however much of it is left: what it said is found again.
#[tokio::test]
async fn a_torn_log_makes_no_second_batch() {
    let lines = [chat("a", "x"), chat("b", "y")];
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&lines);
    let folder = place.path("requests.run");
    let (at_create, kept) = (Arc::new(Mutex::new(Vec::new())), folder.join("log.jsonl"));
    let seen = Arc::clone(&at_create);
    let log = kept.clone();
    let run = place.run(&client, 10).on_progress(move |progress| {
        if let Progress::Created(_) = progress {
            *seen.lock().expect("the log") = fs::read(&log).expect("the log");
        }
    });
    run.execute().await.expect("a report");
    let whole = at_create.lock().expect("the log").clone();
    let frame = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').expect("frames") + 1;
    for end in [frame, frame + 1, frame + 40, whole.len() - 1] {
        fs::write(&kept, &whole[..end]).expect("torn");
        let report = place.run(&client, 10).execute().await.unwrap_or_else(|error| panic!("{end}: {error}"));
        assert!(report.all_succeeded(), "{end}");
        assert_eq!(paid(&gateway).0, 1, "{end}");
    }
    // Damage before the end is refused, and changes nothing.
    let mut damaged = whole.clone();
    damaged[10] ^= 1;
    fs::write(&kept, &damaged).expect("damaged");
    let error = place.run(&client, 10).execute().await.expect_err("damaged");
    assert!(error.is_unreadable() && error.to_string().contains("line 1 is damaged"), "{error}");
    assert!(status(&folder).expect_err("damaged").is_unreadable());
    assert_eq!(fs::read(&kept).expect("the log"), damaged);
}

#[tokio::test]
async fn another_key_is_taken_over_only_when_it_knows_the_batches() {
    let builder = Gateway::builder().key("mk-old").key("mk-other").virtual_clock();
    let gateway = builder.start().await.expect("it starts");
    let client = |key: &str| Client::builder().base_url(gateway.url()).api_key(key).build().expect("a client");
    let place = Place::new(&[chat("a", "[[sleep=3000]]")]);
    let status = place.run(&client("mk-old"), 10).submit().await.expect("submitted");
    assert_eq!((status.open(), status.phase), (1, RunPhase::Stopped));
    let error = place.run(&client("mk-other"), 10).execute().await.expect_err("another account");
    assert!(error.is_taken() && error.to_string().contains("does not know its batch"), "{error}");
    let user = client("mk-old").on_behalf_of("somebody").expect("a client");
    assert!(place.run(&user, 10).execute().await.expect_err("another user").is_taken());
    let report = passing(&gateway, place.run(&client("mk-old"), 10).execute()).await.expect("a report");
    assert!(report.all_succeeded());

    // A key that was renewed.
    let reply = |fields: Value| Reply::json(200, fields);
    let over = json!({"id": "batch_1", "object": "batch", "status": "completed", "output_file_id": "o"});
    let answer = json!({"custom_id": "a", "response": {"status_code": 200, "body": {"x": 1}}});
    let odd = Odd::new([
        reply(json!({"id": "file-1"})),
        reply(json!({"id": "batch_1", "status": "validating"})),
        reply(json!({"id": "batch_1", "status": "in_progress"})),
        // The new key is asked whether it knows the batch.
        reply(json!({"id": "batch_1", "status": "in_progress"})),
        reply(over),
        Reply::new(200, &[], answer.to_string()),
    ]);
    let place = Place::new(&[chat("a", "x")]);
    let renewed = |key: &str| odd.builder().api_key(key).build().expect("a client");
    place.run(&renewed("mk-old"), 10).submit().await.expect("submitted");
    assert!(place.run(&renewed("mk-new"), 10).execute().await.expect("a report").all_succeeded());
}

/// A process that ended after any of its steps was written down, and left all, or none, of the files that it wrote later.
#[tokio::test]
async fn whatever_step_was_the_last_there_is_no_second_batch() {
    let lines: Vec<String> = (0..5).map(|at| chat(&format!("{at}"), "x")).collect();
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&lines);
    let whole = place.run(&client, 2).execute().await.expect("a report");
    let (log, results) = (place.path("requests.run/log.jsonl"), place.path("requests.run/results.jsonl"));
    let (written, expected) = (fs::read_to_string(&log).expect("the log"), fs::read(&results).expect("the results"));
    let frames: Vec<&str> = written.split_inclusive('\n').collect();
    assert!(frames.len() > 15, "{written}");
    for kept in 0..=frames.len() {
        for later in [true, false] {
            fs::write(&log, frames[..kept].concat()).expect("cut");
            if !later {
                for shard in 1..=3 {
                    for name in ["output.jsonl", "results.jsonl", "summary.json"] {
                        let _ = fs::remove_file(place.path(&format!("requests.run/shards/000{shard}/{name}")));
                    }
                }
                for name in ["results.jsonl", "summary.json", "failed.jsonl"] {
                    let _ = fs::remove_file(place.path("requests.run").join(name));
                }
            }
            let ended = place.run(&client, 2).execute().await;
            let report = ended.unwrap_or_else(|error| panic!("{kept}: {error}"));
            assert_eq!((&report.run, &report.batches), (&whole.run, &whole.batches), "{kept}");
            assert_eq!(fs::read(&results).expect("the results"), expected, "{kept}");
            assert_eq!(paid(&gateway).0, 3, "after {kept} of {} frames", frames.len());
        }
    }
}

#[tokio::test]
async fn a_run_is_gone_on_with_by_its_folder_alone() {
    let (gateway, client) = standing(None).await;
    let place = Place::new(&[chat("a", "[[sleep=3000]]"), chat("b", "[[sleep=3000]]")]);
    let first = place.run(&client, 1).metadata("team", "x").submit().await.expect("submitted");
    assert_eq!((first.open(), first.to_submit()), (2, 0));
    fs::remove_file(place.path("requests.jsonl")).expect("removed");
    let open = || Run::open(&client, place.path("requests.run")).cadence(Cadence::new(FAST, FAST * 5));
    let report = passing(&gateway, open().output(place.path("out.jsonl")).execute()).await.expect("a report");
    assert!(report.all_succeeded());
    assert_eq!(ids(&json_lines(&place.path("out.jsonl"))), ["a", "b"]);
    for batch in &report.batches {
        let batch = client.batches().get(&batch.id).await.expect("the batch");
        assert_eq!((batch.metadata["team"].as_str(), batch.metadata["lote_run"].as_str()), ("x", report.run.as_str()));
    }
    assert_eq!(open().execute().await.expect("the same").joined, report.joined);
    assert_eq!(paid(&gateway).0, 2);
    let error = Run::open(&client, place.path("nowhere.run")).execute().await.expect_err("no run");
    assert!(error.is_place(), "{error}");
}

#[tokio::test]
async fn a_cancelled_run_keeps_what_was_finished_and_can_be_repaired() {
    let (gateway, client) = standing(None).await;
    let lines = [chat("a", "x"), chat("b", "[[sleep=60000]]"), chat("c", "z")];
    let place = Place::new(&lines);
    // One batch at a time: the second does not end, the third is never created.
    let created = AtomicUsize::new(0);
    until(place.run(&client, 1).max_open(1), move |progress| {
        matches!(progress, Progress::Created(_)) && created.fetch_add(1, Ordering::Relaxed) == 1
    })
    .await;
    let open = || Run::open(&client, place.path("requests.run")).cadence(Cadence::new(FAST, FAST * 5));
    let report = passing(&gateway, open().cancel()).await.expect("cancelled").expect("nobody else is at work");
    let kinds: Vec<Value> = place.results().iter().map(|line| line["error"]["code"].clone()).collect();
    assert_eq!(kinds, [Value::Null, json!("batch_cancelled"), json!("batch_cancelled")]);
    assert_eq!((report.joined.succeeded, report.joined.cancelled, paid(&gateway).0), (1, 2, 2));
    assert!(status(place.path("requests.run")).expect("a run").cancelled);
    // The same run says the same, and makes no batch.
    assert_eq!(place.run(&client, 1).execute().await.expect("the same").joined, report.joined);
    assert_eq!(paid(&gateway).0, 2);
}

#[tokio::test]
async fn what_failed_and_can_succeed_is_tried_again_and_nothing_else() {
    let (gateway, client) = gateway_with(None).await;
    let lines: Vec<String> = [
        ("a", "x"),
        ("busy", "[[status=429]]"),
        ("b", "y"),
        ("refused", "[[status=400]]"),
        ("broken", "[[status=503]]"),
        ("c", "z"),
    ]
    .map(|(id, prompt)| chat(id, prompt))
    .into();
    let place = Place::new(&lines);
    let report = place.run(&client, 2).attempts(2).execute().await.expect("a report");
    assert_eq!((report.joined.succeeded, report.joined.failed), (3, 3));
    assert_eq!(ids(&place.results()), ["a", "busy", "b", "refused", "broken", "c"]);
    let (_, times) = paid(&gateway);
    let expected = [("a", 1), ("b", 1), ("broken", 2), ("busy", 2), ("c", 1), ("refused", 1)];
    assert_eq!(times, expected.map(|(id, times)| (id.to_owned(), times)).into());
    assert_eq!(report.batches.iter().map(|batch| batch.attempt).collect::<Vec<_>>(), [1, 1, 1, 2]);
    // Refusals only when they are asked for.
    let open = || Run::open(&client, place.path("requests.run")).cadence(Cadence::new(FAST, FAST * 5));
    let again = open().repair(Repair::new().refusals(true)).await.expect("a report");
    assert_eq!((again.joined.lines, again.joined.succeeded, again.joined.failed), (6, 3, 3));
    let (_, times) = paid(&gateway);
    assert_eq!((times["a"], times["refused"], times["busy"]), (1, 2, 3));
    assert_eq!(ids(&json_lines(&place.path("requests.run/failed.jsonl"))), ["busy", "refused", "broken"]);
}

#[tokio::test]
async fn an_attempt_replaces_what_it_betters_and_only_that() {
    // The second batch of each line succeeds: its directive counts the tries of the gateway's own model.
    let place = Place::new(&[chat("a", "x"), chat("b", "y"), chat("c", "z")]);
    let (gateway, client) =
        gateway_with(Some(Fault::on(Operation::OutputFile).nth(1).then(Effect::MissingLines { lines: 1 }))).await;
    let report = place.run(&client, 10).execute().await.expect("a report");
    assert_eq!((report.joined.succeeded, report.joined.missing), (2, 1));
    // The counts say that three were answered: a line that is missing may have been paid for.
    let open = || Run::open(&client, place.path("requests.run")).cadence(Cadence::new(FAST, FAST * 5));
    let same = open().repair(Repair::new()).await.expect("nothing to try");
    assert_eq!((same.joined.missing, paid(&gateway).0), (1, 1));
    let better = open().repair(Repair::new().missing(true)).await.expect("a report");
    assert_eq!((better.joined.succeeded, better.joined.missing, paid(&gateway).0), (3, 0, 2));
    assert_eq!(ids(&place.results()), ["a", "b", "c"]);
    assert!(json_lines(&place.path("requests.run/failed.jsonl")).is_empty());
}

#[tokio::test]
async fn a_batch_that_the_account_has_no_room_for_is_created_later() {
    let lines: Vec<String> = (0..3).map(|at| chat(&format!("{at}"), "[[sleep=5]]")).collect();
    // With others at work, and when it is the only one.
    for (nth, at_once) in [(2, usize::MAX), (1, 1)] {
        let limit = Fault::on(Operation::CreateBatch).nth(nth).then(Effect::TokenLimit);
        let (gateway, client) = gateway_with(Some(limit)).await;
        let place = Place::new(&lines);
        let run = place.run(&client, 1).max_open(at_once).tolerance(Tolerance::default());
        let report = run.execute().await.expect("a report");
        assert!(report.all_succeeded(), "{report:?}");
        let (batches, lines) = paid(&gateway);
        assert_eq!((batches, lines.values().max()), (4, Some(&1)));
    }
}

#[tokio::test]
async fn lines_whose_folder_is_lost_are_not_paid_for_again_unnoticed() {
    let (gateway, client) = gateway_with(None).await;
    let lines = [chat("a", "x"), chat("b", "[[sleep=60000]]")];
    let place = Place::new(&lines);
    let first = place.run(&client, 1).submit().await.expect("submitted");
    let folder = place.path("requests.run");
    // A folder beside it says what it is a run of: whoever gives another means another.
    fs::create_dir(place.path("beside")).expect("a folder");
    let beside = place.run(&client, 1).folder(place.path("other.run")).submit().await.expect("submitted");
    assert_ne!(beside.run, first.run);
    assert_eq!(paid(&gateway).0, 4);
    for run in [&folder, &place.path("other.run")] {
        fs::remove_dir_all(run).expect("lost");
    }
    let error = place.run(&client, 1).execute().await.expect_err("there is a batch of these lines");
    let twins = error.twins().iter().map(|twin| twin.shard).collect::<Vec<_>>();
    assert!(error.is_twin() && twins == [1, 2] && error.to_string().contains("\n  shard 1: batch batch_"), "{error}");
    assert_eq!(paid(&gateway).0, 4);
    // Given again, it stops again; and when only one of them is taken over, at the other.
    assert!(place.run(&client, 1).execute().await.expect_err("still").is_twin());
    let ids: Vec<_> = first.shards.iter().map(|shard| shard.batch.clone().expect("a batch")).collect();
    let error = place.run(&client, 1).adopt(1, ids[0].clone()).max_open(2).execute().await.expect_err("the other");
    assert!(error.twins().len() == 1 && error.twins()[0].shard == 2, "{error}");
    assert_eq!(paid(&gateway).0, 4);
    // Its batches are taken over by their ids.
    let (run, seen) = (place.run(&client, 1).adopt(2, ids[1].clone()).max_open(1), folder.clone());
    // The second never ends.
    until(run, move |progress| {
        matches!(progress, Progress::Waiting(_)) && status(&seen).is_ok_and(|run| run.shards[0].phase == "settled")
    })
    .await;
    let status = status(&folder).expect("a run");
    assert_eq!((status.shards[0].phase, status.shards[1].batch.clone()), ("settled", Some(ids[1].clone())));
    assert_eq!(paid(&gateway).0, 4);
    // Or others are made, when that is wanted.
    fs::remove_dir_all(&folder).expect("lost");
    place.run(&client, 1).anew(true).submit().await.expect("submitted");
    assert_eq!(paid(&gateway).0, 6);
}

#[tokio::test]
async fn results_of_an_attempt_over_interleaved_endpoints_are_kept() {
    let gateway = Gateway::builder()
        .fault(Fault::on(Operation::OutputFile).calls(1..=2).then(Effect::MissingLines { lines: 2 }))
        .start()
        .await
        .expect("the gateway starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").build().expect("a client");
    let place =
        Place::new(&[chat("a", "x"), embedding("b"), chat("c", "x"), embedding("d"), chat("e", "x"), embedding("f")]);
    let report = place.run(&client, 50).execute().await.expect("a report");
    assert_eq!((report.batches.len(), report.joined.missing), (2, 4));
    let again = Repair::new().missing(true);
    let report = place.run(&client, 50).repair(again).await.expect("a report");
    assert_eq!((report.batches.len(), report.joined.succeeded, report.joined.missing), (4, 6, 0));
}

#[tokio::test]
async fn an_empty_list_proves_nothing_to_a_run_with_batches_either() {
    let place = Place::new(&[chat("a", "x"), chat("b", "x")]);
    let creates = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&creates);
    let odd = Odd::answering(move |head, _| match head {
        _ if head.starts_with("POST /v1/files ") => Reply::json(200, json!({"id": "file-1"})),
        _ if head.starts_with("POST /v1/batches ") => match counted.fetch_add(1, Ordering::SeqCst) {
            1 => Reply::Nothing,
            n => Reply::json(200, json!({"id": format!("batch_{n}"), "status": "validating"})),
        },
        _ if head.starts_with("GET /v1/batches?") => Reply::json(200, json!({"data": [], "has_more": false})),
        _ if head.starts_with("GET /v1/batches/") => {
            Reply::json(200, json!({"id": "batch_0", "status": "in_progress"}))
        }
        _ => Reply::new(404, &[], ""),
    });
    let run = place.run(&odd.client(), 1).settle_after_loss(FAST).deadline(Duration::from_millis(500));
    assert!(run.execute().await.is_err());
    assert_eq!(creates.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_cancelled_run_whose_batches_were_all_made_is_repaired() {
    let (gateway, client) = standing(None).await;
    let place = Place::new(&[chat("a", "[[sleep=60000]] x"), chat("b", "x")]);
    place.run(&client, 50).max_concurrency(1).submit().await.expect("a status");
    let open = || Run::open(&client, place.path("requests.run")).cadence(Cadence::new(FAST, FAST * 5));
    let report = passing(&gateway, open().cancel()).await.expect("ended").expect("a report");
    assert_eq!(report.joined.cancelled, 2);
    let repair = passing(&gateway, open().repair(Repair::new()));
    let report = tokio::time::timeout(Duration::from_secs(60), repair).await.expect("it ends").expect("a report");
    assert_eq!(report.joined.succeeded, 2);
}

#[tokio::test]
async fn lines_that_were_sent_after_a_cancellation_all_succeeded() {
    let (gateway, client) = standing(None).await;
    let place = Place::new(&[chat("a", "[[sleep=60000]] x"), chat("b", "x")]);
    place.run(&client, 1).max_open(1).submit().await.expect("a status");
    let open = || Run::open(&client, place.path("requests.run")).cadence(Cadence::new(FAST, FAST * 5));
    let report = passing(&gateway, open().cancel()).await.expect("ended").expect("a report");
    assert_eq!(report.joined.cancelled, 2);
    let report = passing(&gateway, open().repair(Repair::new())).await.expect("a report");
    assert!(report.all_succeeded(), "{:?}", report.batches);
}
