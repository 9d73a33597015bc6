//! Tests of runs whose lines are sent one by one: no batch API is needed, the results are those that a batch would have, and
//! no line is sent again that has its answer.

use std::{collections::BTreeMap, fs, time::Duration};

use lote::{
    Client, OutcomeKind, Retry,
    run::{Pace, Progress, Report, Run, outcomes, status},
};
use lote_gateway::{
    Event, Gateway,
    faults::{Effect, Fault, Faults, Operation, Refusal},
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::runs_common::{FAST, Place, chat, embedding, happened, ids, paid, passing, standing};

/// A gateway with a journal, and a client that does not wait long between tries.
async fn service(faults: Faults, honours: bool) -> (Client, Gateway) {
    let builder = Gateway::builder().journal(true).idempotency(honours).faults(faults);
    let gateway = builder.start().await.expect("it starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").retry(quick()).build().expect("a client");
    (client, gateway)
}

fn quick() -> Retry {
    Retry::default().pauses(FAST, FAST)
}

/// How often the model was asked with each key, and how many answers were given again.
fn asked(gateway: &Gateway) -> (BTreeMap<String, u32>, usize) {
    let (mut executed, mut repeated) = (BTreeMap::new(), 0);
    for entry in gateway.journal() {
        match entry.event {
            Event::RequestExecuted { idempotency_key, attempt: 1, .. } => {
                *executed.entry(idempotency_key.expect("each has a key")).or_default() += 1;
            }
            Event::RequestRepeated { .. } => repeated += 1,
            Event::RequestExecuted { .. } => {}
            other => panic!("nothing else was to be asked for: {other:?}"),
        }
    }
    (executed, repeated)
}

fn prompts(count: usize) -> Vec<String> {
    (0..count).map(|at| chat(&format!("row-{at}"), &format!("question {at}"))).collect()
}

/// The results without what is a service's own.
fn plain(place: &Place) -> Vec<Value> {
    let mut results = place.results();
    for line in &mut results {
        for own in ["/id", "/response/request_id", "/response/body/id", "/response/body/created"] {
            if let Some(value) = line.pointer_mut(own) {
                *value = Value::Null;
            }
        }
    }
    results
}

#[tokio::test]
async fn the_results_are_those_of_batches_and_nothing_of_a_batch_api_is_called() {
    let mut lines = prompts(5);
    lines.insert(2, embedding("e"));
    lines.push(chat("refused", "[[status=400]] x"));
    let (client, gateway) = service(Faults::new(), false).await;
    let batches = Place::new(&lines);
    batches.run(&client, 3).execute().await.expect("a report");
    let (client, other) = service(Faults::new(), false).await;
    let place = Place::new(&lines);
    let report = place.run(&client, 3).synchronous(true).execute().await.expect("a report");
    assert_eq!(plain(&place), plain(&batches));
    assert_eq!((report.joined.succeeded, report.joined.failed), (6, 1));
    let synchronous = report.synchronous.expect("what was sent one by one");
    assert_eq!((synchronous.lines, synchronous.sent_again), (7, 0));
    assert!(report.batches.is_empty());
    let (executed, repeated) = asked(&other);
    assert_eq!((executed.len(), repeated), (7, 0));
    assert!(executed.values().all(|times| *times == 1), "{executed:?}");
    assert_eq!(paid(&gateway).0, 3);
    // It is finished, and makes no call.
    let again = place.run(&client, 3).execute().await.expect("a report");
    assert_eq!(again.synchronous, report.synchronous);
    assert_eq!(other.journal().len(), 7);
}

#[tokio::test]
async fn what_is_refused_for_now_is_sent_again_and_no_line_fails_of_it() {
    let (client, gateway) = service(Faults::new(), false).await;
    let mut lines = prompts(4);
    lines.push(chat("busy", "[[fail=1:429]] x"));
    lines.push(chat("overloaded", "[[fail=1:503]] x"));
    lines.push(chat("broken", "[[fail=2:500]] x"));
    let place = Place::new(&lines);
    let report = place.run(&client, 9).synchronous(true).execute().await.expect("a report");
    assert!(report.all_succeeded(), "{report:?}");
    // A server error may have come after the answer; that it is too much does not.
    assert_eq!(report.synchronous.expect("it was").sent_again, 2);
    drop(gateway);
}

#[tokio::test]
async fn what_goes_wrong_for_good_is_the_result_of_its_line_and_can_be_tried_again() {
    let (client, gateway) = service(Faults::new(), false).await;
    let place = Place::new(&[chat("a", "x"), chat("b", "[[fail=5:500]] x")]);
    let report = place.run(&client, 9).synchronous(true).execute().await.expect("a report");
    assert_eq!((report.joined.succeeded, report.joined.failed), (1, 1));
    assert_eq!(place.results()[1]["response"]["status_code"], 500);
    // Another attempt goes the same way: the fifth time it fails, and then no more.
    let report = place.run(&client, 9).synchronous(true).attempts(2).execute().await.expect("a report");
    assert!(report.all_succeeded(), "{report:?}");
    assert_eq!(report.synchronous.expect("it was").lines, 3);
    drop(gateway);
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again_and_told() {
    for honours in [true, false] {
        let lost = Fault::on(Operation::Chat).nth(2).then(Effect::AnswerLost);
        let (client, gateway) = service(Faults::new().fault(lost), honours).await;
        let place = Place::new(&prompts(3));
        let report = place.run(&client, 9).synchronous(true).execute().await.expect("a report");
        assert!(report.all_succeeded());
        assert_eq!(report.synchronous.expect("it was").sent_again, 1);
        let (executed, repeated) = asked(&gateway);
        let times: u32 = executed.values().sum();
        assert_eq!((executed.len(), times, repeated), if honours { (3, 3, 1) } else { (3, 4, 0) });
    }
}

#[tokio::test]
async fn a_request_that_is_never_answered_is_a_result_line_that_says_so() {
    let lost = Fault::on(Operation::Chat).calls(1..=4).then(Effect::AnswerLost);
    let (client, gateway) = service(Faults::new().fault(lost), false).await;
    let place = Place::new(&[chat("a", "x")]);
    let report = place.run(&client, 9).synchronous(true).execute().await.expect("a report");
    assert_eq!((report.joined.failed, report.synchronous.expect("it was").sent_again), (1, 3));
    let result = &place.results()[0];
    assert_eq!((&result["response"], &result["error"]["code"]), (&Value::Null, &"connection_lost".into()));
    drop(gateway);
}

#[tokio::test]
async fn a_process_that_ends_sends_no_finished_line_again() {
    let lines: Vec<String> =
        (0..40).map(|at| chat(&format!("r{at}"), &format!("[[sleep={}]] {at}", at % 7 * 3))).collect();
    let (client, gateway) = service(Faults::new(), false).await;
    let place = Place::new(&lines);
    let run = || place.run(&client, 25).synchronous(true).pace(Pace::new().max_in_flight(4));
    // The hash by which the journal names a body, and how often it was asked for when its line was known to be finished.
    let hash = |id: &str| {
        let line = lines.iter().find(|line| line.contains(&format!("\"{id}\""))).expect("a line");
        let line: Value = serde_json::from_str(line).expect("JSON");
        Sha256::digest(line["body"].to_string()).iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let times = |wanted: &str| {
        let is_of = |event: &Event| matches!(event, Event::RequestExecuted { sha256, .. } if sha256 == wanted);
        gateway.journal().iter().filter(|entry| is_of(&entry.event)).count()
    };
    let mut kept = BTreeMap::new();
    for ends in 1..=6 {
        let executed = |event: &Event| matches!(event, Event::RequestExecuted { .. });
        tokio::select! {
            ended = run().execute() => panic!("it has ended: {ended:?}"),
            () = happened(&gateway, ends * 5, executed) => {}
        }
        for number in 1..=2 {
            let path = place.path(&format!("requests.run/shards/{number:04}/sync.jsonl"));
            let text = fs::read_to_string(path).unwrap_or_default();
            for line in text.split_inclusive('\n').filter(|line| line.contains("\"result\"") && line.ends_with('\n')) {
                let line: Value = serde_json::from_str(line).expect("JSON");
                let hash = hash(line["result"]["custom_id"].as_str().expect("an id"));
                let times = times(&hash);
                assert!(times > 0);
                kept.entry(hash).or_insert(times);
            }
        }
    }
    assert!(kept.len() >= 6, "{kept:?}");
    let report = run().execute().await.expect("a report");
    assert!(report.all_succeeded());
    for (hash, known) in kept {
        assert_eq!(times(&hash), known, "a finished line was sent again");
    }
    assert_eq!(ids(&place.results()), (0..40).map(|at| format!("r{at}")).collect::<Vec<_>>());
    let (executed, _) = asked(&gateway);
    let surplus: u32 = executed.values().map(|times| times - 1).sum();
    let told = report.synchronous.expect("it was").sent_again;
    assert_eq!(executed.len(), 40, "each line has a key of its own, the same in every process");
    assert!(u64::from(surplus) <= told && told <= 6 * 4, "{surplus} were sent again, and {told} are told");
}

#[tokio::test]
async fn a_run_that_has_batches_goes_on_with_them_and_the_rest_is_sent_one_by_one() {
    let (gateway, client) = standing(None).await;
    let mut lines = prompts(4);
    lines[0] = chat("row-0", "[[sleep=5000]] x");
    let place = Place::new(&lines);
    let status = place.run(&client, 2).max_open(1).submit().await.expect("a status");
    assert_eq!((status.open(), status.to_submit()), (1, 1));
    let report = passing(&gateway, place.run(&client, 2).synchronous(true).execute()).await.expect("a report");
    assert!(report.all_succeeded());
    assert_eq!((report.batches.len(), report.synchronous.expect("it was").lines), (1, 2));
    let (batches, lines) = paid(&gateway);
    assert_eq!((batches, lines.keys().map(String::as_str).collect::<Vec<_>>()), (1, vec!["row-0", "row-1"]));
}

/// A run of two shards, of which the second was begun to be sent one by one, and gave up.
async fn given_up(gateway: &Gateway, client: &Client) -> Place {
    let place = Place::new(&[chat("a", "x"), chat("b", "y"), chat("c", "x"), chat("d", "[[sleep=600000]] y")]);
    let run = place.run(client, 2).synchronous(true).pace(Pace::new().max_in_flight(1));
    let error = run.deadline(Duration::from_secs(5)).execute().await.expect_err("it gave up");
    assert!(error.gave_up() && !error.is_refused(), "{error}");
    assert!(error.to_string().contains("1 of 2 lines have their answers"), "{error}");
    let status = status(place.path("requests.run")).expect("a status");
    let phases: Vec<_> = status.shards.iter().map(|shard| (shard.phase, shard.ended)).collect();
    assert_eq!(phases, [("settled", 2), ("synchronous", 1)]);
    assert!(gateway.journal().iter().all(|entry| matches!(entry.event, Event::RequestExecuted { .. })));
    place
}

#[tokio::test]
async fn a_shard_that_was_begun_one_by_one_stays_so_whatever_is_asked_later() {
    let (gateway, client) = standing(None).await;
    let place = given_up(&gateway, &client).await;
    let run = Run::open(&client, place.path("requests.run"));
    let report = passing(&gateway, run.execute()).await.expect("a report");
    assert!(report.all_succeeded());
    let synchronous = report.synchronous.expect("it was");
    assert_eq!((synchronous.lines, synchronous.sent_again), (4, 1));
    assert_eq!(asked(&gateway).0.values().copied().collect::<Vec<_>>().iter().sum::<u32>(), 5);
}

#[tokio::test]
async fn a_cancelled_run_keeps_what_was_answered_and_sends_nothing_more() {
    let (gateway, client) = standing(None).await;
    let place = given_up(&gateway, &client).await;
    let before = gateway.journal().len();
    let report = Run::open(&client, place.path("requests.run")).cancel().await.expect("cancelled").expect("a report");
    assert_eq!((report.joined.succeeded, report.joined.cancelled), (3, 1));
    assert_eq!((gateway.journal().len(), report.synchronous.expect("it was").lines), (before, 3));
    // What was not sent is sent by a repair, which may go either way.
    let run = Run::open(&client, place.path("requests.run")).synchronous(true);
    let report = passing(&gateway, run.repair(lote::run::Repair::new())).await.expect("a report");
    assert!(report.all_succeeded());
    assert_eq!(paid(&gateway).0, 0);
}

#[tokio::test]
async fn a_run_is_cancelled_while_lines_are_in_flight_and_these_are_kept() {
    let (gateway, client) = standing(None).await;
    let place = Place::new(&[chat("a", "[[sleep=60000]] x"), chat("b", "y"), chat("c", "z")]);
    let run = place.run(&client, 9).synchronous(true).pace(Pace::new().max_in_flight(1));
    let cancelled = async {
        happened(&gateway, 1, |event| matches!(event, Event::RequestExecuted { .. })).await;
        let other = Run::open(&client, place.path("requests.run")).cancel().await.expect("it is asked");
        assert!(other.is_none());
        // It is noticed within a second, and the gateway's time stands still until then.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        passing(&gateway, std::future::pending::<()>()).await;
    };
    let report = tokio::select! {
        report = run.execute() => report.expect("a report"),
        () = cancelled => unreachable!("it waits for ever"),
    };
    assert_eq!((report.joined.succeeded, report.joined.cancelled), (1, 2));
    assert_eq!(asked(&gateway).0.len(), 1);
}

#[tokio::test]
async fn a_service_that_takes_no_line_leaves_nothing_and_is_told_in_its_words() {
    let refusals = [(401, false), (404, false), (403, false), (402, false), (400, true), (422, true)];
    for (status, of_the_line) in refusals {
        let refused = Fault::on(Operation::Chat).then(Effect::Status(Refusal::status(status)));
        let (client, gateway) = service(Faults::new().fault(refused), false).await;
        let place = Place::new(&prompts(3));
        let ended = place.run(&client, 2).synchronous(true).execute().await;
        match (ended, of_the_line) {
            (Err(error), false) => {
                assert!(error.is_refused() && error.error().and_then(lote::Error::status) == Some(status), "{error}");
                assert!(!place.path("requests.run").exists(), "{status}");
            }
            (Ok(report), true) => assert_eq!(report.joined.failed, 3),
            (ended, _) => panic!("{status}: {ended:?}"),
        }
        gateway.forgive_leftovers();
    }
}

#[tokio::test]
async fn a_key_that_is_refused_later_stops_the_run_and_what_came_is_kept() {
    let refused = Fault::on(Operation::Chat).calls(4..=4).then(Effect::Status(Refusal::status(401)));
    let (client, gateway) = service(Faults::new().fault(refused), false).await;
    let place = Place::new(&prompts(6));
    let run = || place.run(&client, 9).synchronous(true).pace(Pace::new().max_in_flight(1));
    let error = run().execute().await.expect_err("it is refused");
    assert!(!error.is_refused() && error.error().is_some_and(lote::Error::is_unauthorized), "{error}");
    let report = run().execute().await.expect("a report");
    assert!(report.all_succeeded());
    let (executed, _) = asked(&gateway);
    assert!(executed.len() == 6 && executed.values().all(|times| *times == 1), "{executed:?}");
    assert_eq!(report.synchronous.expect("it was").sent_again, 0);
}

#[tokio::test]
async fn a_service_that_is_too_much_for_too_long_ends_the_run_with_its_words() {
    // Pauses that it asks for itself are short.
    let busy = Refusal::status(429).retry_after(lote_gateway::faults::RetryAfter::Milliseconds(1));
    let refused = Fault::on(Operation::Chat).calls(2..).then(Effect::Status(busy));
    let (client, gateway) = service(Faults::new().fault(refused), false).await;
    // Few lines may be to blame themselves.
    let place = Place::new(&prompts(9));
    let run = place.run(&client, 9).synchronous(true).pace(Pace::new().max_in_flight(1));
    let error = run.execute().await.expect_err("it is refused");
    assert!(error.error().is_some_and(lote::Error::is_rate_limited), "{error}");
    let status = status(place.path("requests.run")).expect("a status");
    assert_eq!((status.shards[0].phase, status.shards[0].ended), ("synchronous", 5));
    gateway.forgive_leftovers();
}

#[tokio::test]
async fn lines_that_are_too_much_for_ever_hold_up_no_other_and_fail_in_the_end() {
    let (client, gateway) = service(Faults::new(), false).await;
    let mut lines = prompts(6);
    // As OpenAI refuses a request that is larger than what may be used in a minute.
    lines.insert(1, chat("large", "[[status=429]][[retry-after=0]] x"));
    lines.push(chat("larger", "[[status=429]][[retry-after=0]] y"));
    let place = Place::new(&lines);
    let report = place.run(&client, 20).synchronous(true).execute().await.expect("a report");
    assert_eq!((report.joined.succeeded, report.joined.failed), (6, 2));
    assert_eq!(place.results()[1]["response"]["status_code"], 429);
    assert_eq!(report.synchronous.expect("it was").sent_again, 0);
    drop(gateway);
}

#[tokio::test]
async fn a_service_without_batches_is_told_as_such() {
    for operation in [Operation::UploadFile, Operation::CreateBatch] {
        for status in [404, 405, 501] {
            let refused = Fault::on(operation).then(Effect::Status(Refusal::status(status)));
            let (client, gateway) = service(Faults::new().fault(refused), false).await;
            let place = Place::new(&prompts(2));
            let error = place.run(&client, 9).execute().await.expect_err("it has none");
            assert!(error.lacks_batches() && error.to_string().contains("no batch API"), "{error}");
            let report = place.run(&client, 9).synchronous(true).execute().await.expect("a report");
            assert!(report.all_succeeded());
            gateway.forgive_leftovers();
        }
    }
    let refused = Fault::on(Operation::UploadFile).then(Effect::Status(Refusal::status(403)));
    let (client, gateway) = service(Faults::new().fault(refused), false).await;
    let error = Place::new(&prompts(2)).run(&client, 9).execute().await.expect_err("it is refused");
    assert!(!error.lacks_batches(), "{error}");
    gateway.forgive_leftovers();
}

#[tokio::test]
async fn a_line_that_asks_for_a_stream_is_refused_before_anything_is_sent() {
    let (client, gateway) = service(Faults::new(), false).await;
    let stream = chat("s", "x").replace("\"model\"", "\"stream\":true,\"model\"");
    let place = Place::new(&[chat("a", "x"), stream]);
    let error = place.run(&client, 9).synchronous(true).execute().await.expect_err("it is refused");
    assert!(error.is_input(), "{error}");
    assert!(gateway.journal().is_empty() && !place.path("requests.run").exists());
}

#[tokio::test]
async fn answers_that_are_lost_from_the_folder_are_bought_again_only_when_a_person_says_so() {
    let (gateway, client) = standing(None).await;
    let place = given_up(&gateway, &client).await;
    let before = gateway.journal().len();
    let shard = place.path("requests.run/shards/0001");
    let again = || Run::open(&client, place.path("requests.run"));
    // What can be made again of what is there is.
    fs::write(shard.join("output.jsonl"), "{}\n").expect("damaged");
    fs::remove_file(shard.join("results.jsonl")).expect("removed");
    let error = again().deadline(Duration::from_secs(4)).execute().await.expect_err("it gave up");
    assert!(error.gave_up(), "{error}");
    assert_eq!(gateway.journal().len(), before + 1, "but for the one in flight");
    // What cannot is held.
    for name in ["output.jsonl", "sync.jsonl", "results.jsonl"] {
        fs::remove_file(shard.join(name)).expect("removed");
    }
    let error = passing(&gateway, again().execute()).await.expect_err("it is held");
    assert!(error.is_held() && error.to_string().contains("2 answers that had come are"), "{error}");
    let before = gateway.journal().len();
    let report = passing(&gateway, again().no_batch(1).execute()).await.expect("a report");
    assert!(report.all_succeeded());
    assert_eq!(gateway.journal().len(), before + 2);
}

#[tokio::test]
async fn what_happens_is_told_and_outcomes_are_there_as_they_come() {
    let (client, gateway) = service(Faults::new(), false).await;
    let place = Place::new(&prompts(4));
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let tells = std::sync::Arc::clone(&told);
    let run = place.run(&client, 2).synchronous(true).on_progress(move |progress| {
        if let Progress::Answering { shard, lines, .. } = progress {
            tells.lock().expect("no panic").push((shard, lines));
        }
    });
    let Report { joined, .. } = run.execute().await.expect("a report");
    let mut told = std::mem::take(&mut *told.lock().expect("no panic"));
    told.dedup();
    assert_eq!(told, [(1, 2), (2, 2)]);
    let all: Vec<_> = outcomes(place.path("requests.run")).expect("outcomes").collect();
    assert_eq!(all.len() as u64, joined.lines);
    assert!(all.into_iter().all(|outcome| outcome.expect("an outcome").kind() == OutcomeKind::Succeeded));
    drop(gateway);
}
