//! Tests of runs that go on: after whatever ended them, by the same command or by `lote resume`, and of their cancelling.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lote_gateway::Gateway;
use serde_json::Value;

use crate::common::{Ended, command, folder, lote_in, names, phase, signal, status, until};
use crate::service::{Embedded, Steady, Unasked, at, json, requests};

fn spawn(mut command: Command, folder: &Path, args: &[&str]) -> Child {
    let command = command.current_dir(folder).args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("lote starts")
}

/// A run of `requests.jsonl` in this folder, whose batch has been created.
fn at_work(command: Command, folder: &Path, more: &[&str]) -> Child {
    let child = spawn(command, folder, &[&["run", "requests.jsonl"], more].concat());
    until("the batch is made", || phase(&folder.join("requests.run")) == Some("created"));
    child
}

fn batches(gateway: &Embedded) -> Vec<Value> {
    json(&gateway.lote(["batches", "list", "--limit", "100"]))["data"].as_array().expect("a list").clone()
}

fn results(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the results");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON on each line")).collect()
}

/// What a model answered to each line, without what differs from one batch to another.
fn answers(path: &Path) -> Vec<(String, Value, Value)> {
    let of = |line: &Value| {
        let body = &line["response"]["body"];
        let id = line["custom_id"].as_str().expect("an id").to_owned();
        (id, line["response"]["status_code"].clone(), serde_json::json!([body["choices"], body["data"], body["error"]]))
    };
    results(path).iter().map(of).collect()
}

#[test]
fn whatever_ends_a_run_it_goes_on_with_its_batch() {
    for (name, again) in [
        ("INT", &["run", "requests.jsonl"][..]),
        ("TERM", &["resume", "requests.run"]),
        ("KILL", &["resume", "requests.run"]),
    ] {
        let place = folder(&[("requests.jsonl", &requests(&["[[sleep=1000]] a", "b"]))]);
        let gateway = Embedded::standing(Gateway::builder());
        let first = at_work(at(gateway.url()), place.path(), &[]);
        signal(&first, name);
        let output = first.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), if name == "KILL" { None } else { Some(130) });
        gateway.pass(Duration::from_secs(1));
        let next = lote_in(at(gateway.url()), place.path(), &[again, &["-o", "results.jsonl"]].concat());
        assert_eq!(next.code, 0, "{name}: {next:?}");
        assert!(next.stdout.starts_with("2 of 2 lines succeeded"), "{next:?}");
        assert!(next.stderr.contains("goes on with the run in it, which has 1 batch\n"), "{next:?}");
        assert_eq!(batches(&gateway).len(), 1, "{name}");
        let kept = fs::read(place.path().join("requests.run/results.jsonl")).expect("the results");
        assert_eq!(fs::read(place.path().join("results.jsonl")).expect("the results"), kept);
        assert_eq!(names(place.path()), ["requests.jsonl", "requests.run", "results.jsonl"]);
    }
}

#[test]
fn a_finished_run_makes_no_call_and_writes_the_results_again() {
    for (prompts, code) in [(&["a", "b"][..], 0), (&["a", "[[status=400]] b"], 1)] {
        let place = folder(&[("requests.jsonl", &requests(prompts))]);
        let gateway = Embedded::start();
        let url = gateway.url().to_owned();
        let run = ["run", "requests.jsonl", "-o", "results.jsonl", "--json"];
        let first = lote_in(at(&url), place.path(), &run);
        assert_eq!(first.code, code, "{first:?}");
        let written = fs::read(place.path().join("results.jsonl")).expect("the results");
        // Nobody is there to be called.
        drop(gateway);
        let resume = ["resume", "requests.run", "-o", "results.jsonl", "--json"];
        let ticked = ["resume", "requests.run", "-o", "results.jsonl", "--json", "--detach"];
        for again in [&run[..], &resume, &ticked] {
            fs::remove_file(place.path().join("results.jsonl")).expect("there");
            let next = lote_in(at(&url), place.path(), again);
            assert_eq!((next.code, next.stderr.as_str()), (code, ""), "{next:?}");
            let (mut before, mut now) = (json(&first), json(&next));
            for summary in [&mut before, &mut now] {
                summary["seconds"] = Value::Null;
            }
            assert_eq!(before, now);
            assert_eq!(fs::read(place.path().join("results.jsonl")).expect("the results"), written);
        }
    }
}

#[test]
fn what_differs_from_the_run_of_the_folder_is_told_and_nothing_is_sent() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b"])), ("other.jsonl", &requests(&["a", "c"]))]);
    let gateway = Embedded::start();
    let url = gateway.url().to_owned();
    let first = lote_in(at(&url), place.path(), &["run", "requests.jsonl", "--metadata", "for=ana"]);
    assert_eq!(first.code, 0, "{first:?}");
    drop(gateway);
    let same = ["requests.jsonl", "--metadata", "for=ana"];
    for (args, said) in [
        (
            &["other.jsonl", "--metadata", "for=ana", "--dir", "requests.run"][..],
            "the request lines were those with the hash",
        ),
        (&["requests.jsonl"], "metadata was"),
        (&["requests.jsonl", "--metadata", "for=ben"], "metadata was"),
        (&[&same[..], &["--endpoint", "chat"]].concat(), "the endpoint was none, and is /v1/chat/completions now"),
        (&[&same[..], &["--limit", "1"]].concat(), "the limit of lines was none, and is 1 now"),
        (&[&same[..], &["--shard-lines", "1"]].concat(), "a batch was to hold "),
    ] {
        let refused = lote_in(at(&url), place.path(), &[&["run"], args].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains(said), "{args:?}: {refused:?}");
        assert!(
            refused.stderr.contains("a finished run of something else") && refused.stderr.contains("--dir"),
            "{refused:?}"
        );
    }
    let elsewhere = Unasked::listen();
    let refused = lote_in(at(&elsewhere.url()), place.path(), &["run", "requests.jsonl", "--metadata", "for=ana"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("the service was "), "{refused:?}");
    elsewhere.assert("a run of another service");
}

#[test]
fn a_detached_run_is_gone_on_with_tick_by_tick() {
    let prompts = ["[[sleep=700]] a", "b", "[[status=400]] c"];
    let place = folder(&[("requests.jsonl", &requests(&prompts))]);
    let gateway = Embedded::standing(Gateway::builder());
    let args = ["run", "requests.jsonl", "--detach", "--shard-lines", "1", "--max-open", "1"];
    let first = lote_in(at(gateway.url()), place.path(), &args);
    assert_eq!(first.code, 5, "{first:?}");
    assert!(first.stdout.starts_with("requests.run: stopped"), "{first:?}");
    for said in ["1 batch at work; to go on: lote resume requests.run --base-url ", "2 of 3 shards are sent by nobody"]
    {
        assert!(first.stderr.contains(said), "{said}: {first:?}");
    }
    let mut ticks = 0;
    let mut last = None;
    until("a tick finds it done", || {
        ticks += 1;
        let args = ["resume", "requests.run", "--detach", "--max-open", "1", "-o", "results.jsonl"];
        let tick = lote_in(at(gateway.url()), place.path(), &args);
        let done = tick.code != 5;
        gateway.pass(Duration::from_millis(700));
        last = done.then_some(tick);
        done
    });
    let last = last.expect("the last tick");
    assert!(ticks > 1);
    assert_eq!(last.code, 1, "{last:?}");
    assert!(last.stdout.starts_with("2 of 3 lines succeeded, 1 failed"), "{last:?}");
    assert_eq!(results(&place.path().join("results.jsonl")).len(), 3);
    assert_eq!(batches(&gateway).len(), 3);
}

/// A line for embeddings.
fn embedding(id: &str, text: &str) -> String {
    let body = serde_json::json!({"model": "auto", "input": text});
    let line = serde_json::json!({"custom_id": id, "method": "POST", "url": "/v1/embeddings", "body": body});
    format!("{line}\n")
}

#[test]
fn however_the_lines_are_cut_the_results_are_those_of_one_batch() {
    let chat = String::from_utf8(requests(&["a", "[[status=429]] b", "c", "d", "e"])).expect("UTF-8");
    let place = folder(&[("chat.jsonl", chat.as_bytes())]);
    let gateway = Embedded::start();
    let whole = lote_in(at(gateway.url()), place.path(), &["run", "chat.jsonl"]);
    assert_eq!(whole.code, 1, "{whole:?}");
    assert_eq!(batches(&gateway).len(), 1);
    let cut =
        lote_in(at(gateway.url()), place.path(), &["run", "chat.jsonl", "--shard-lines", "2", "--dir", "cut.run"]);
    assert_eq!(cut.code, 1, "{cut:?}");
    assert!(cut.stdout.starts_with("4 of 5 lines succeeded, 1 failed, 0 missing; 3 of 3 batches completed"), "{cut:?}");
    assert_eq!(batches(&gateway).len(), 4);
    let [whole, cut] = ["chat.run", "cut.run"].map(|run| answers(&place.path().join(run).join("results.jsonl")));
    assert_eq!(whole, cut);

    // Two files, and two endpoints in turn.
    let lines: Vec<&str> = chat.lines().collect();
    let first = format!("{}{}\n{}", embedding("e-1", "x"), lines[0], embedding("e-2", "y"));
    let second = format!("{}\n{}{}\n", lines[2], embedding("e-3", "z"), lines[3]);
    fs::write(place.path().join("first.jsonl"), first).expect("written");
    fs::write(place.path().join("second.jsonl"), second).expect("written");
    let args = ["run", "first.jsonl", "second.jsonl", "--shard-lines", "2", "-o", "mixed.jsonl"];
    let mixed = lote_in(at(gateway.url()), place.path(), &args);
    assert_eq!(mixed.code, 0, "{mixed:?}");
    let mixed = answers(&place.path().join("mixed.jsonl"));
    let ids: Vec<&str> = mixed.iter().map(|(id, ..)| id.as_str()).collect();
    assert_eq!(ids, ["e-1", "row-1", "e-2", "row-3", "e-3", "row-4"]);
    let whole: BTreeMap<&str, _> = whole.iter().map(|answer| (answer.0.as_str(), answer)).collect();
    for answer in &mixed {
        match whole.get(answer.0.as_str()) {
            Some(alone) => assert_eq!(answer, *alone),
            None => assert!(answer.2[1].is_array(), "{answer:?}"),
        }
    }
    // In one batch for each endpoint they are the same.
    let args = ["run", "first.jsonl", "second.jsonl", "--dir", "both.run", "-o", "both.jsonl"];
    assert_eq!(lote_in(at(gateway.url()), place.path(), &args).code, 0);
    assert_eq!(answers(&place.path().join("both.jsonl")), mixed);
    let both = status(&place.path().join("both.run")).expect("its status");
    assert_eq!(both.shards.len(), 2);
}

#[test]
fn no_more_batches_are_at_work_than_may_be() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=1100]] a", "[[sleep=1100]] b", "c"]))]);
    let gateway = Embedded::start();
    let args = ["run", "requests.jsonl", "--shard-lines", "1", "--max-open", "1"];
    let ended = lote_in(at(gateway.url()), place.path(), &args);
    assert_eq!(ended.code, 0, "{ended:?}");
    let mut times: Vec<(u64, u64)> = batches(&gateway)
        .iter()
        .map(|batch| (batch["created_at"].as_u64().expect("a time"), batch["completed_at"].as_u64().expect("a time")))
        .collect();
    times.sort_unstable();
    assert_eq!(times.len(), 3);
    assert!(times.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{times:?}");
}

#[test]
fn a_run_at_work_is_cancelled_from_another_process_and_ends_with_what_it_has() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=60000]] a", "b"]))]);
    let gateway = Embedded::start();
    let first = at_work(at(gateway.url()), place.path(), &["--json"]);
    // What comes at once is there before the run is cancelled.
    until("a line has ended", || {
        batches(&gateway)[0]["request_counts"]["completed"].as_u64().is_some_and(|completed| completed > 0)
    });
    let cancel = lote_in(at(gateway.url()), place.path(), &["cancel", "requests.run"]);
    assert_eq!((cancel.code, cancel.stderr.as_str()), (0, ""), "{cancel:?}");
    assert!(cancel.stdout.contains("was asked to cancel the run"), "{cancel:?}");
    let output = first.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let summary: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&summary["succeeded"], &summary["cancelled"]), (&1.into(), &1.into()), "{summary}");
    let results = results(&place.path().join("requests.run/results.jsonl"));
    assert_eq!(results[0]["error"]["code"], "batch_cancelled");
    assert_eq!(results[1]["response"]["status_code"], 200);
    // Again it has nothing to do, whoever is asked.
    for args in [&["cancel", "requests.run"][..], &["resume", "requests.run"], &["run", "requests.jsonl"]] {
        let again = lote_in(at(gateway.url()), place.path(), args);
        assert_eq!(again.code, 1, "{args:?}: {again:?}");
    }
    assert_eq!(batches(&gateway).len(), 1);
}

#[test]
fn a_run_that_nobody_is_at_work_on_is_cancelled_here() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=60000]] a", "b"]))]);
    let gateway = Embedded::start();
    let args = ["run", "requests.jsonl", "--detach", "--shard-lines", "1", "--max-open", "1"];
    assert_eq!(lote_in(at(gateway.url()), place.path(), &args).code, 5);
    // An output that would replace something is refused before anything is stopped.
    let refused = lote_in(at(gateway.url()), place.path(), &["cancel", "requests.run", "-o", "requests.jsonl"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(!status(&place.path().join("requests.run")).expect("its status").cancelled);
    let cancel = lote_in(at(gateway.url()), place.path(), &["cancel", "requests.run", "-o", "results.jsonl"]);
    assert_eq!(cancel.code, 1, "{cancel:?}");
    assert!(cancel.stdout.starts_with("0 of 2 lines succeeded, 0 failed, 2 cancelled"), "{cancel:?}");
    assert_eq!(results(&place.path().join("results.jsonl")).len(), 2);
    assert_eq!(batches(&gateway).len(), 1);
}

#[test]
fn an_embedded_run_that_was_killed_is_gone_on_with_by_the_same_command() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=1500]] a", "b"]))]);
    let mut first = at_work(command(), place.path(), &["--embedded"]);
    first.kill().expect("killed");
    first.wait().expect("gone");
    let again = lote_in(command(), place.path(), &["run", "requests.jsonl", "--embedded"]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stdout.starts_with("2 of 2 lines succeeded"), "{again:?}");
    // Finished, it is that run for ever.
    let twice = lote_in(command(), place.path(), &["run", "requests.jsonl", "--embedded"]);
    let first_line = |ended: &Ended| ended.stdout.lines().next().map(str::to_owned);
    assert_eq!((twice.code, first_line(&twice)), (0, first_line(&again)), "{twice:?}");
}

/// The folder says that its gateway was inside a process: no service is asked, whatever the environment names.
#[test]
fn an_embedded_run_that_was_killed_is_gone_on_with_by_its_folder_alone() {
    let unasked = Unasked::listen();
    let killed = |prompts: &[&str], more: &[&str]| {
        let place = folder(&[("requests.jsonl", &requests(prompts))]);
        let mut first = at_work(command(), place.path(), &[&["--embedded"], more].concat());
        first.kill().expect("killed");
        first.wait().expect("gone");
        fs::remove_file(place.path().join("requests.jsonl")).expect("there");
        place
    };
    let place = killed(&["[[sleep=1500]] a", "b", "[[status=429]] c"], &["--shard-lines", "2"]);
    let resumed = lote_in(at(&unasked.url()), place.path(), &["resume", "requests.run", "-o", "results.jsonl"]);
    assert_eq!(resumed.code, 1, "{resumed:?}");
    assert!(resumed.stdout.starts_with("2 of 3 lines succeeded, 1 failed"), "{resumed:?}");
    assert_eq!(results(&place.path().join("results.jsonl")).len(), 3);
    // What failed is tried again there as well; and what is finished needs no key either.
    let repaired = lote_in(command(), place.path(), &["repair", "requests.run", "--json"]);
    assert_eq!((repaired.code, &json(&repaired)["succeeded"]), (1, &2.into()), "{repaired:?}");
    let attempts: Vec<Value> =
        json(&repaired)["batches"].as_array().expect("batches").iter().map(|batch| batch["attempt"].clone()).collect();
    assert_eq!(attempts, [1, 1, 2]);
    let same = lote_in(command(), place.path(), &["resume", "requests.run"]);
    let finished = "requests.run: finished before, and nothing is sent\n";
    assert_eq!((same.code, same.stderr.as_str()), (1, finished), "{same:?}");

    // Cancelled, it sends nothing more.
    let place = killed(&["[[sleep=60000]] a", "b"], &[]);
    let cancelled = lote_in(command(), place.path(), &["cancel", "requests.run"]);
    assert_eq!(cancelled.code, 1, "{cancelled:?}");
    assert!(cancelled.stdout.starts_with("0 of 2 lines succeeded, 0 failed, 2 cancelled"), "{cancelled:?}");

    // Whoever names a service means another run.
    for command in ["resume", "repair", "cancel"] {
        let refused =
            lote_in(at(&unasked.url()), place.path(), &[command, "requests.run", "--base-url", &unasked.url()]);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused:?}");
        assert!(refused.stderr.contains("--base-url names a service: leave that out"), "{refused:?}");
    }
    unasked.assert("a run of an embedded gateway");
}

#[test]
fn what_a_person_says_of_shards_is_held_against_the_run() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=60000]] a"]))]);
    let gateway = Embedded::start();
    assert_eq!(lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl", "--detach"]).code, 5);
    for (args, said) in [
        (["--adopt", "1"], "given as 3=batch_abc123"),
        (["--adopt", "one=batch_1"], "\"one\" is not the number of a shard"),
        (["--adopt", "1="], "batch id"),
        (["--no-batch", "one"], "--no-batch"),
        (["--adopt", "9=batch_1"], "the run has no shard 9"),
        (["--adopt", "1=batch_1"], "shard 1 has its batch, batch_"),
        (["--no-batch", "1"], "shard 1 has its batch, batch_"),
    ] {
        let refused = lote_in(at(gateway.url()), place.path(), &[&["resume", "requests.run"][..], &args].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains(said), "{args:?}: {refused:?}");
    }
    assert_eq!(batches(&gateway).len(), 1);
}

#[test]
fn a_create_that_nobody_can_tell_of_is_exit_6_until_a_person_has_said_what_became_of_it() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let creates: Arc<AtomicUsize> = Arc::default();
    let counted = Arc::clone(&creates);
    // Its creates are answered with nothing that can be read, and its list shows nothing at all.
    let service = Steady::answering(move |head| match head.split(' ').next() {
        Some("POST") if head.contains("/files") => serde_json::json!({"id": "file-1"}),
        Some("POST") => {
            counted.fetch_add(1, Ordering::Relaxed);
            serde_json::json!({})
        }
        _ if head.contains("/content") => {
            let message = serde_json::json!({"role": "assistant", "content": "2"});
            let body = serde_json::json!({"choices": [{"index": 0, "message": message}]});
            serde_json::json!({"custom_id": "row-1", "response": {"status_code": 200, "body": body}})
        }
        _ if head.contains("/files") => serde_json::json!({"id": "o"}),
        _ if head.contains("/batches/batch_7") => {
            serde_json::json!({"id": "batch_7", "status": "completed", "output_file_id": "o"})
        }
        _ => serde_json::json!({"object": "list", "data": [], "has_more": false}),
    });
    let quickly = ["--settle-after-loss", "50ms"];
    let first = lote_in(at(service.url()), place.path(), &[&["run", "requests.jsonl"][..], &quickly].concat());
    assert_eq!((first.code, first.stdout.as_str()), (6, ""), "{first:?}");
    for said in [
        "\n- shard 1: the answer to its create was lost, and the service's list shows no batch, not even an old one\n",
        "error: 1 shard waits for a word of yours:\n",
        "  # looks for it again\n",
        " --all --json | grep ",
        " --adopt '1=BATCH'  # there is one\n",
        " --no-batch 1  # there is none\n",
    ] {
        assert!(first.stderr.contains(said), "{said}: {first:?}");
    }
    assert_eq!(creates.load(Ordering::Relaxed), 1);
    let told = lote_in(command(), place.path(), &["status", "requests.run"]);
    assert!(told.stdout.starts_with("requests.run: held: lote resume says what for\n"), "{told:?}");
    let resume = ["resume", "requests.run"];
    // Nothing is sent by asking again.
    let again = lote_in(at(service.url()), place.path(), &[&resume[..], &quickly].concat());
    assert_eq!((again.code, creates.load(Ordering::Relaxed)), (6, 1), "{again:?}");
    let none = lote_in(at(service.url()), place.path(), &[&resume[..], &quickly, &["--no-batch", "1"]].concat());
    assert_eq!((none.code, creates.load(Ordering::Relaxed)), (6, 2), "{none:?}");
    let found = lote_in(at(service.url()), place.path(), &[&resume[..], &["--adopt", "1=batch_7"]].concat());
    assert_eq!((found.code, creates.load(Ordering::Relaxed)), (0, 2), "{found:?}");
    assert!(
        found.stdout.starts_with("1 of 1 line succeeded, 0 failed, 0 missing; batch batch_7 completed"),
        "{found:?}"
    );
}

#[test]
fn of_two_at_once_one_is_at_work_and_the_other_is_told() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=60000]] a"]))]);
    let gateway = Embedded::start();
    let first = at_work(at(gateway.url()), place.path(), &[]);
    let holder = format!("a lote (pid {}) is at work in it", first.id());
    for args in [&["run", "requests.jsonl"][..], &["resume", "requests.run"], &["repair", "requests.run"]] {
        let second = lote_in(at(gateway.url()), place.path(), args);
        assert_eq!((second.code, second.stdout.as_str()), (2, ""), "{second:?}");
        assert!(second.stderr.contains(&holder), "{second:?}");
        // Only a run that is given with its requests can have another folder.
        assert_eq!(second.stderr.contains("--dir"), args[0] == "run", "{second:?}");
    }
    signal(&first, "KILL");
    first.wait_with_output().expect("it ends");
    assert_eq!(batches(&gateway).len(), 1);
}

#[test]
fn a_folder_without_a_run_is_no_run() {
    let place = folder(&[("mine.txt", b"mine")]);
    let unasked = Unasked::listen();
    for command in ["resume", "cancel", "repair", "status"] {
        for run in [".", "absent.run", "mine.txt"] {
            let refused = lote_in(at(&unasked.url()), place.path(), &[command, run]);
            assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{command} {run}: {refused:?}");
        }
    }
    unasked.assert("nothing of a run");
    assert_eq!(names(place.path()), ["mine.txt"]);
}

#[test]
fn results_of_a_finished_run_that_are_not_as_they_were_written_are_put_together_again() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b", "c"]))]);
    let gateway = Embedded::start();
    let run = ["run", "requests.jsonl", "--shard-lines", "2"];
    assert_eq!(lote_in(at(gateway.url()), place.path(), &run).code, 0);
    let (results, summary) = ("requests.run/results.jsonl", "requests.run/summary.json");
    let read = |name: &str| std::fs::read(place.path().join(name)).ok();
    let whole = read(results).expect("results");
    let cut = whole.split(|byte| *byte == b'\n').next().expect("a line").to_vec();
    for (name, damage) in [(results, Some(cut)), (results, None), (summary, None)] {
        match &damage {
            Some(bytes) => std::fs::write(place.path().join(name), bytes).expect("written"),
            None => std::fs::remove_file(place.path().join(name)).expect("removed"),
        }
        let again = lote_in(at(gateway.url()), place.path(), &["resume", "requests.run", "-o", "copy.jsonl"]);
        assert_eq!(again.code, 0, "{name} {damage:?}: {again:?}");
        assert_eq!(
            (read(results), read("copy.jsonl")),
            (Some(whole.clone()), Some(whole.clone())),
            "{name} {damage:?}"
        );
    }
    let batches = json(&gateway.lote(["batches", "list"]));
    assert_eq!(batches["data"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_is_said_of_going_on_keeps_the_bounds_and_an_embedded_run_is_not_detached() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=60000]] a", "b", "c"]))]);
    let gateway = Embedded::start();
    let bounds = ["--max-open", "1", "--max-enqueued-tokens", "5000", "--creates-per-hour", "7"];
    let run = [&["run", "requests.jsonl", "--shard-lines", "1", "--detach"][..], &bounds[..]].concat();
    let ended = lote_in(at(gateway.url()), place.path(), &run);
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(ended.stderr.contains(&bounds.join(" ")), "{ended:?}");
    let refused =
        lote_in(command(), place.path(), &["run", "requests.jsonl", "--dir", "e.run", "--embedded", "--detach"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused:?}");
    assert!(refused.stderr.contains("--detach") && !place.path().join("e.run").exists(), "{refused:?}");
}
