//! Tests of the cleaning of runs: what goes, what stays whatever happens, and that nothing is missed afterwards.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use futures_util::TryStreamExt;
use lote::{
    Cadence, Client, UploadPurpose,
    run::{Clean, Partition, Progress, RemoteKind, RemoteState, Repair, Run, clean, join_parts},
};
use lote_gateway::{
    Event, Gateway,
    faults::{Effect, Fault, Operation, Refusal},
};
use serde_json::json;

use crate::{
    common::{Odd, Reply},
    runs_common::{FAST, Place, chat, embedding, gateway_with, ids, json_lines, paid, passing, standing},
};

/// All files below a folder, each with what it holds.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push((path.clone(), fs::read(&path).expect("a file"))),
        }
    }
    found.sort();
    found
}

/// The names of the files below a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let name = |path: &Path| path.strip_prefix(folder).expect("below it").to_str().expect("UTF-8").to_owned();
    files(folder).iter().map(|(path, _)| name(path)).collect()
}

/// The names that went between two looks.
fn gone(before: &BTreeSet<String>, folder: &Path) -> Vec<String> {
    before.difference(&names(folder)).cloned().collect()
}

fn mixed(prompt: &str) -> Vec<String> {
    vec![chat("a", "x"), embedding("b"), chat("c", prompt), embedding("d"), chat("e", "y")]
}

fn open(place: &Place, client: &Client) -> Run {
    Run::open(client, place.path("requests.run")).cadence(Cadence::new(FAST, FAST * 5))
}

#[tokio::test]
async fn of_a_run_that_succeeded_what_is_needed_no_more_goes() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&mixed("x"));
    let folder = place.path("requests.run");
    let report = place.run(&client, 2).execute().await.expect("a report");
    let (before, calls) = (names(&folder), gateway.journal().len());
    let (results, summary) = (fs::read(&report.results), fs::read(folder.join("summary.json")));

    // To say what would go changes nothing.
    let whole = files(&folder);
    let said = clean(&folder, Clean::new().dry_run(true)).expect("cleaned");
    assert_eq!(files(&folder), whole);
    assert!(said.dry_run && said.bytes > 64 << 10, "{said:?}");

    let cleaned = clean(&folder, Clean::new()).expect("cleaned");
    assert_eq!((cleaned.bytes, &cleaned.files), (said.bytes, &said.files));
    let shards =
        (1..=3).flat_map(|shard| ["requests", "results"].map(|name| format!("shards/000{shard}/{name}.jsonl")));
    let mut expected: Vec<String> =
        ["order", "progress.json", "reserve"].map(str::to_owned).into_iter().chain(shards).collect();
    expected.retain(|name| before.contains(name));
    assert_eq!(gone(&before, &folder), expected);
    assert!(expected.len() >= 8, "{expected:?}");
    let told: BTreeSet<String> = cleaned.files.iter().map(|file| file.path.display().to_string()).collect();
    assert!(told.into_iter().eq(expected));

    // Twice is once, and nothing that can be done with a finished run misses it.
    let again = clean(&folder, Clean::new()).expect("cleaned");
    assert_eq!((again.bytes, again.files.len()), (0, 0));
    let same = place.run(&client, 2).attempts(3).output(place.path("out.jsonl")).execute().await.expect("a report");
    assert_eq!((&same.joined, &same.batches), (&report.joined, &report.batches));
    let repaired = open(&place, &client).repair(Repair::new().refusals(true).missing(true)).await.expect("a report");
    assert_eq!(repaired.joined, report.joined);
    assert_eq!(fs::read(place.path("out.jsonl")).expect("results"), results.expect("results"));
    assert_eq!(fs::read(folder.join("summary.json")).expect("a summary"), summary.expect("a summary"));
    let status = lote::run::status(&folder).expect("a status");
    assert_eq!((status.succeeded, status.shards.len()), (5, 3));
    assert_eq!(gateway.journal().len(), calls);
}

#[tokio::test]
async fn what_was_sent_stays_unless_the_input_still_holds_it() {
    let (_gateway, client) = gateway_with(None).await;
    for change in ["gone", "changed", "more", "as it was"] {
        let place = Place::new(&[chat("a", &format!("x {change}")), chat("b", &format!("y {change}"))]);
        place.run(&client, 1).execute().await.expect("a report");
        let (folder, input) = (place.path("requests.run"), place.path("requests.jsonl"));
        let text = fs::read_to_string(&input).expect("the input");
        match change {
            "gone" => fs::remove_file(&input),
            "changed" => fs::write(&input, text.replace('y', "z")),
            "more" => fs::write(&input, text + &chat("c", "x")),
            // Blank lines and their ends are no part of it.
            _ => fs::write(&input, text.replace('\n', "\r\n\n")),
        }
        .expect("written");
        let before = names(&folder);
        clean(&folder, Clean::new()).expect("cleaned");
        let requests = gone(&before, &folder).iter().filter(|name| name.ends_with("requests.jsonl")).count();
        assert_eq!(requests, if change == "as it was" { 2 } else { 0 }, "{change}");
    }
}

#[tokio::test]
async fn a_part_is_cleaned_against_the_whole_input_and_is_joined_as_before() {
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&mixed("x"));
    let mut folders = Vec::new();
    for part in 1..=2 {
        let run = place.run(&client, 10).partition(Partition::new(part, 2).expect("a part")).first_lines(4);
        folders.push(run.execute().await.expect("a report").folder);
    }
    let (mut first, mut second) = (Vec::new(), Vec::new());
    join_parts(&folders, &mut first).expect("joined");
    for folder in &folders {
        let before = names(folder);
        clean(folder, Clean::new()).expect("cleaned");
        assert!(gone(&before, folder).contains(&"shards/0001/requests.jsonl".to_owned()), "{before:?}");
    }
    join_parts(&folders, &mut second).expect("joined");
    assert_eq!(first, second);
}

/// What can be tried again stays, and the results of shards that went are made again of what is here.
#[tokio::test]
async fn a_cleaned_run_is_repaired_like_any_other() {
    let (gateway, client) = gateway_with(None).await;
    let (plain, cleaned) = (Place::new(&mixed("[[status=429]]")), Place::new(&mixed("[[status=429]]")));
    let mut reports = Vec::new();
    for (place, is_cleaned) in [(&plain, false), (&cleaned, true)] {
        place.run(&client, 2).anew(true).execute().await.expect("a report");
        let folder = place.path("requests.run");
        if is_cleaned {
            let before = names(&folder);
            clean(&folder, Clean::new()).expect("cleaned");
            let gone = gone(&before, &folder);
            assert_eq!(gone.iter().filter(|name| name.ends_with("/results.jsonl")).count(), 3, "{gone:?}");
            assert!(!gone.iter().any(|name| name == "order" || name.ends_with("requests.jsonl")), "{gone:?}");
            // The service has nothing of it any more, either.
            let remote = open(place, &client).delete_remote(Clean::new()).await.expect("deleted");
            assert!(remote.is_whole() && remote.files.len() > 5, "{remote:?}");
        }
        let report = open(place, &client).repair(Repair::new()).await.expect("a report");
        assert_eq!(ids(&json_lines(&report.results)), ["a", "b", "c", "d", "e"]);
        reports.push((report.joined.succeeded, report.joined.failed, report.batches.len()));
    }
    assert_eq!(reports, [(4, 1, 4), (4, 1, 4)]);
    let (_, times) = paid(&gateway);
    assert_eq!((times["a"], times["c"]), (2, 4), "each place once, and the line that failed once more");
}

#[tokio::test]
async fn a_run_whose_answers_are_damaged_here_is_not_cleaned_of_what_they_gave() {
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&mixed("[[status=429]]"));
    place.run(&client, 10).execute().await.expect("a report");
    let folder = place.path("requests.run");
    let answers = folder.join("shards/0001/output.jsonl");
    let came = fs::read_to_string(&answers).expect("answers");
    fs::write(&answers, came.replacen("\"a\"", "\"z\"", 1)).expect("damaged");
    let before = names(&folder);
    clean(&folder, Clean::new()).expect("cleaned");
    let gone = gone(&before, &folder);
    assert!(!gone.contains(&"shards/0001/results.jsonl".to_owned()), "{gone:?}");
    assert!(gone.contains(&"shards/0002/results.jsonl".to_owned()), "{gone:?}");
    // Damaged later, it is not taken for what came: nothing is sold again on its word.
    let other = folder.join("shards/0002/output.jsonl");
    fs::write(&other, fs::read_to_string(&other).expect("answers").replacen("\"b\"", "\"z\"", 1)).expect("damaged");
    let error = open(&place, &client).repair(Repair::new().missing(true)).await.expect_err("damaged answers");
    assert!(error.is_io() && error.to_string().contains("not what this run has written"), "{error}");
}

#[tokio::test]
async fn a_run_that_is_not_finished_is_not_cleaned() {
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "[[sleep=60000]]")]);
    place.run(&client, 10).submit().await.expect("submitted");
    let folder = place.path("requests.run");
    fs::remove_file(folder.join("reserve")).expect("there");
    let before = files(&folder);
    for error in [
        clean(&folder, Clean::new()).expect_err("not finished"),
        open(&place, &client).delete_remote(Clean::new()).await.expect_err("not finished"),
    ] {
        assert!(error.is_place() && error.to_string().contains("not finished: go on with it first"), "{error}");
        let _ = fs::remove_file(folder.join("reserve"));
        assert_eq!(files(&folder), before);
    }
    assert!(clean(place.path("nowhere"), Clean::new()).expect_err("no run").is_place());
}

/// The ids of all files at a service.
async fn at_service(client: &Client) -> BTreeSet<String> {
    let files: Vec<_> = client.files().list().stream().try_collect().await.expect("a list");
    files.into_iter().map(|file| file.id.to_string()).collect()
}

fn deleted(gateway: &Gateway) -> usize {
    gateway.journal().iter().filter(|entry| matches!(entry.event, Event::FileDeleted { .. })).count()
}

#[tokio::test]
async fn all_that_the_run_put_at_the_service_goes_and_nothing_else() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&mixed("[[status=429]]"));
    let foreign =
        client.files().upload(place.path("requests.jsonl"), UploadPurpose::Batch).send().await.expect("a file");
    let other = Place::new(&[chat("other", "x")]);
    other.run(&client, 10).execute().await.expect("a report");
    let others = at_service(&client).await;
    // Two attempts, each with files of its own.
    let report = place.run(&client, 2).attempts(2).execute().await.expect("a report");
    let ours: BTreeSet<String> = at_service(&client).await.difference(&others).cloned().collect();
    assert!(others.contains(foreign.id.as_str()) && ours.len() >= 4 * 2, "{ours:?}");

    let said = open(&place, &client).delete_remote(Clean::new().dry_run(true)).await.expect("said");
    let listed =
        |files: &[lote::run::RemoteFile]| files.iter().map(|file| file.id.to_string()).collect::<BTreeSet<_>>();
    assert_eq!(listed(&said.files), ours);
    assert!(said.files.iter().all(|file| file.state == RemoteState::Found));
    assert_eq!(deleted(&gateway), 0);

    // One is gone already, which is as well.
    client.files().delete(&said.files[2].id).await.expect("deleted");
    let cleaned = open(&place, &client).delete_remote(Clean::new()).await.expect("deleted");
    assert!(cleaned.is_whole());
    assert_eq!(listed(&cleaned.files), ours);
    let gone: Vec<&str> =
        cleaned.files.iter().filter(|file| file.state == RemoteState::Gone).map(|file| file.id.as_str()).collect();
    assert_eq!(gone, [said.files[2].id.as_str()]);
    assert_eq!((at_service(&client).await, deleted(&gateway)), (others, ours.len()));

    // It is written down: nothing is asked for again, not even where nobody answers.
    gateway.shutdown().await;
    let again = open(&place, &client).delete_remote(Clean::new()).await.expect("nothing to do");
    assert!(again.files.is_empty() && again.is_whole());
    let same = place.run(&client, 2).attempts(2).clean_remote(true).execute().await.expect("a report");
    assert_eq!(same.joined, report.joined);
    assert!(same.remote.expect("nothing to do").is_whole());
}

#[tokio::test]
async fn a_run_that_is_to_be_cleaned_is_cleaned_at_its_end_and_fails_for_nothing_in_it() {
    let refusal = Fault::on(Operation::DeleteFile).nth(2).then(Effect::Status(Refusal::status(400)));
    let (gateway, client) = gateway_with(Some(refusal)).await;
    let place = Place::new(&mixed("x"));
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&told);
    let run = place.run(&client, 2).clean_remote(true).on_progress(move |progress| {
        if let Progress::Cleaned(file) = progress {
            seen.lock().expect("told").push((file.id.clone(), file.state));
        }
    });
    let report = run.execute().await.expect("a report");
    assert!(report.all_succeeded());
    let remote = report.remote.expect("what became of it");
    let kept: Vec<_> = remote.kept().map(|file| (file.id.clone(), file.why.clone())).collect();
    assert_eq!(kept.len(), 1);
    assert!(kept[0].1.as_ref().is_some_and(|why| why.contains("400")), "{kept:?}");
    let all: Vec<_> = remote.files.iter().map(|file| (file.id.clone(), file.state)).collect();
    assert_eq!(*told.lock().expect("told"), all);
    assert_eq!(at_service(&client).await, [kept[0].0.to_string()].into());
    // The rest later, and not what is gone.
    let before = deleted(&gateway);
    let rest = open(&place, &client).clean_remote(true).execute().await.expect("a report").remote.expect("the rest");
    assert_eq!((rest.files.len(), rest.is_whole(), deleted(&gateway) - before), (1, true, 1));
    assert!(at_service(&client).await.is_empty());
}

/// After a call that could not be made the others are not tried, and what was deleted by then is known.
#[tokio::test]
async fn a_cleaning_that_breaks_off_is_gone_on_with() {
    let cut = Fault::on(Operation::DeleteFile).calls(3..=6).then(Effect::Reset);
    let builder = Gateway::builder().journal(true).fault(cut);
    let gateway = builder.start().await.expect("it starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").retry(lote::Retry::none()).build();
    let client = client.expect("a client");
    let place = Place::new(&mixed("x"));
    place.run(&client, 1).execute().await.expect("a report");
    let all = at_service(&client).await.len();
    let mut deletions = 0;
    for round in 0..5 {
        let cleaned = open(&place, &client).delete_remote(Clean::new()).await.expect("deleted");
        deletions += cleaned.files.iter().filter(|file| file.state == RemoteState::Deleted).count();
        assert_eq!(cleaned.is_whole(), round == 4, "{cleaned:?}");
    }
    assert_eq!((deletions, deleted(&gateway)), (all, all));
}

#[tokio::test]
async fn an_input_that_a_batch_at_work_reads_is_kept_until_that_is_over() {
    let (gateway, client) = standing(None).await;
    let place = Place::new(&[chat("a", "[[sleep=20000]]")]);
    passing(&gateway, place.run(&client, 10).execute()).await.expect("a report");
    let files = open(&place, &client).delete_remote(Clean::new().dry_run(true)).await.expect("said").files;
    let input = files.iter().find(|file| file.kind == RemoteKind::Input).expect("an input").id.clone();
    let batch = client.batches().create(&input, lote::Endpoint::ChatCompletions).send().await.expect("a batch");
    let cleaned = open(&place, &client).delete_remote(Clean::new()).await.expect("deleted");
    let kept: Vec<_> = cleaned.kept().collect();
    assert!(kept.len() == 1 && kept[0].id == input, "{cleaned:?}");
    assert_eq!(kept[0].why.as_deref(), Some(format!("batch {} is at work and reads it", batch.id).as_str()));
    assert_eq!(deleted(&gateway), files.len() - 1);
    let wait = client.batches().wait(&batch.id).cadence(Cadence::new(FAST, FAST * 5));
    passing(&gateway, wait.until_over()).await.ended().expect("over").completed().expect("completed");
    let cleaned = open(&place, &client).delete_remote(Clean::new()).await.expect("deleted");
    assert!(cleaned.is_whole() && cleaned.files.len() == 1, "{cleaned:?}");
}

/// A service that knows equal files by their hash, and a run beside this one that has yet to make its batch.
#[tokio::test]
async fn an_input_that_a_run_beside_it_is_to_send_is_kept() {
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x")]);
    let (log, run) = (place.path("requests.run/log.jsonl"), place.path("beside.run"));
    fs::create_dir(&run).expect("a folder");
    let beside = run.clone();
    let copy = place.run(&client, 10).on_progress(move |progress| {
        // Its file is uploaded, and its batch is not made yet.
        if let Progress::Created(_) = progress {
            let whole = fs::read_to_string(&log).expect("the log");
            let frames: Vec<&str> = whole.split_inclusive('\n').collect();
            let uploaded = frames.iter().position(|frame| frame.contains("\"uploaded\"")).expect("an upload");
            fs::write(beside.join("log.jsonl"), frames[..=uploaded].concat()).expect("copied");
            fs::copy(log.with_file_name("run.json"), beside.join("run.json")).expect("copied");
        }
    });
    copy.execute().await.expect("a report");
    let kept = open(&place, &client).delete_remote(Clean::new()).await.expect("deleted");
    let kept: Vec<_> = kept.kept().collect();
    assert!(kept.len() == 1 && kept[0].kind == RemoteKind::Input, "{kept:?}");
    assert!(kept[0].why.as_ref().is_some_and(|why| why.contains("beside.run makes a batch of it")), "{kept:?}");
    fs::remove_dir_all(&run).expect("removed");
    assert!(open(&place, &client).delete_remote(Clean::new()).await.expect("deleted").is_whole());
}

#[tokio::test]
async fn what_is_not_here_is_not_deleted_there() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x"), chat("b", "x")]);
    let report = place.run(&client, 10).execute().await.expect("a report");
    let written = fs::read(&report.results).expect("the results");
    fs::write(&report.results, &written[..written.len() - 2]).expect("damaged");
    let error = open(&place, &client).delete_remote(Clean::new()).await.expect_err("damaged results");
    assert!(error.is_place() && error.to_string().contains("not there as they were written"), "{error}");
    assert_eq!(deleted(&gateway), 0);
    // To go on puts them together again.
    open(&place, &client).execute().await.expect("a report");
    assert_eq!(fs::read(&report.results).expect("the results"), written);
    let stranger = Client::builder().base_url("http://127.0.0.1:9").api_key("mk-test").build().expect("a client");
    assert!(open(&place, &stranger).delete_remote(Clean::new()).await.expect_err("another service").is_taken());
    assert_eq!(deleted(&gateway), 0);
}

/// A service whose list has no end that it tells, or that deletes nothing, and says so as if nothing were there.
#[tokio::test]
async fn what_a_service_leaves_open_is_kept() {
    let place = Place::new(&[chat("a", "x")]);
    let over = json!({"id": "batch_1", "object": "batch", "status": "completed", "output_file_id": "file-o"});
    let answer = json!({"custom_id": "a", "response": {"status_code": 200, "body": {"x": 1}}}).to_string();
    let page = Arc::new(Mutex::new(json!({"data": [over]})));
    let said = Arc::clone(&page);
    let ended = over.clone();
    let odd = Odd::answering(move |head, _| match head {
        _ if head.starts_with("POST /v1/files ") => Reply::json(200, json!({"id": "file-i"})),
        _ if head.starts_with("POST /v1/batches ") => {
            Reply::json(200, json!({"id": "batch_1", "status": "validating"}))
        }
        _ if head.starts_with("GET /v1/batches?") => Reply::json(200, said.lock().expect("the list").clone()),
        _ if head.starts_with("GET /v1/batches/") => Reply::json(200, ended.clone()),
        _ if head.contains("/content ") => Reply::new(200, &[], &answer),
        _ if head.starts_with("DELETE /v1/files/file-o ") => Reply::json(200, json!({"id": "file-o", "deleted": true})),
        _ if head.starts_with("GET /v1/files/file-i ") => Reply::json(200, json!({"id": "file-i"})),
        _ => Reply::json(404, json!({"error": {"message": "Not Found"}})),
    });
    let client = odd.client();
    place.run(&client, 10).execute().await.expect("a report");
    for (list, whys) in [
        (json!({"data": [over.clone()]}), "does not say where it ends"),
        (json!({"data": [over.clone()], "has_more": false}), "Not Found"),
    ] {
        *page.lock().expect("the list") = list;
        let cleaned = open(&place, &client).delete_remote(Clean::new()).await.expect("as far as it goes");
        let kept: Vec<_> = cleaned.kept().collect();
        assert!(kept.len() == 1 && kept[0].id.as_str() == "file-i", "{cleaned:?}");
        assert!(kept[0].why.as_ref().is_some_and(|why| why.contains(whys)), "{cleaned:?}");
    }
}

/// What was uploaded and never sent is uploaded again when it is wanted after all.
#[tokio::test]
async fn a_cancelled_run_that_was_cleaned_can_be_repaired() {
    // The second shard is uploaded, and then the run is cancelled.
    let refused = Fault::on(Operation::CreateBatch).nth(2).then(Effect::Status(Refusal::status(400)));
    let (gateway, client) = standing(Some(refused)).await;
    let place = Place::new(&[chat("a", "[[sleep=60000]] x"), chat("b", "x")]);
    let submitted = place.run(&client, 1).submit().await.expect("the first is at work, and the second was refused");
    assert_eq!((submitted.open(), submitted.to_submit()), (1, 1));
    let report = passing(&gateway, open(&place, &client).cancel()).await.expect("cancelled").expect("a report");
    assert_eq!(report.joined.cancelled, 2);
    assert!(open(&place, &client).delete_remote(Clean::new()).await.expect("deleted").is_whole());
    assert!(at_service(&client).await.is_empty());
    clean(place.path("requests.run"), Clean::new()).expect("cleaned");
    let repaired = passing(&gateway, open(&place, &client).repair(Repair::new())).await.expect("a report");
    assert!(repaired.all_succeeded(), "{repaired:?}");
}

/// A run whose batches were all refused at validation has no results, and its inputs are of no use to anybody.
#[tokio::test]
async fn the_inputs_of_a_run_that_failed_as_a_whole_can_go() {
    let place = Place::new(&[chat("a", "x")]);
    let deletions = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&deletions);
    let failed = json!({"id": "batch_1", "status": "failed", "errors": {"data": [{"code": "bad", "message": "no"}]}});
    let odd = Odd::answering(move |head, _| match head {
        _ if head.starts_with("POST /v1/files ") => Reply::json(200, json!({"id": "file-i"})),
        _ if head.starts_with("POST /v1/batches ") => {
            Reply::json(200, json!({"id": "batch_1", "status": "validating"}))
        }
        _ if head.starts_with("GET /v1/batches?") => Reply::json(200, json!({"data": [failed], "has_more": false})),
        _ if head.starts_with("DELETE /v1/files/file-i ") => {
            *counted.lock().expect("the count") += 1;
            Reply::json(200, json!({"id": "file-i", "deleted": true}))
        }
        _ => Reply::json(200, failed.clone()),
    });
    let error = place.run(&odd.client(), 10).clean_remote(true).execute().await.expect_err("it failed");
    assert!(error.is_failed() && *deletions.lock().expect("the count") == 0, "{error}");
    assert!(clean(place.path("requests.run"), Clean::new()).expect_err("no results").is_place());
    for times in [1, 0] {
        let cleaned = open(&place, &odd.client()).delete_remote(Clean::new()).await.expect("deleted");
        assert_eq!((cleaned.files.len(), cleaned.is_whole()), (times, true), "{cleaned:?}");
    }
    assert_eq!(*deletions.lock().expect("the count"), 1);
}
