//! Tests of what `lote` says of batches, and of going on, when a run ends early: what is said is so, and each command that is
//! printed does what was meant.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lote_gateway::Gateway;
use lote_gateway::faults::{Effect, Fault, Operation, Refusal};
use serde_json::json;

use crate::common::{command, ended, folder, lote_in, names, phase, signal, until};
use crate::service::{Embedded, Steady, Unasked, at, json as printed, requests};

/// A service of which no batch ever ends, nor stops, and whose list is empty. How often it was asked to read the list, and
/// to stop a batch. Creates are answered with a batch, or with nothing that can be read.
fn endless(creates: bool) -> (Steady, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (lists, stops): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
    let (listed, stopped) = (Arc::clone(&lists), Arc::clone(&stops));
    let service = Steady::answering(move |head| match head.split(' ').next() {
        Some("POST") if head.contains("/files") => json!({"id": "file-1"}),
        Some("POST") if head.contains("/cancel") => {
            stopped.fetch_add(1, Ordering::Relaxed);
            json!({"id": "batch_1", "status": "cancelling"})
        }
        Some("POST") if creates => json!({"id": "batch_1", "status": "in_progress"}),
        Some("POST") => json!({}),
        _ if head.contains("/batches/batch_1") => json!({"id": "batch_1", "status": "in_progress"}),
        _ => {
            listed.fetch_add(1, Ordering::Relaxed);
            json!({"object": "list", "data": [], "has_more": false})
        }
    });
    (service, lists, stops)
}

#[test]
fn an_interrupted_cancel_does_not_say_that_its_batches_go_on() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let (service, _, stops) = endless(true);
    assert_eq!(lote_in(at(service.url()), place.path(), &["run", "requests.jsonl", "--detach"]).code, 5);
    let mut cancel = at(service.url());
    cancel.current_dir(place.path()).args(["cancel", "requests.run"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = cancel.spawn().expect("lote starts");
    until("the batch is asked to stop", || stops.load(Ordering::Relaxed) > 0);
    signal(&child, "INT");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said =
        "interrupted; batch batch_1 is to stop, as the run was cancelled: what it finishes until then is charged\n";
    assert!(stderr.contains(said), "{stderr}");
    assert!(!stderr.contains("goes on, and will be charged"), "{stderr}");
    assert!(stderr.contains("\n  lote cancel requests.run "), "{stderr}");
    // So it is when its time is over.
    let late = lote_in(at(service.url()), place.path(), &["cancel", "requests.run", "--deadline", "1s"]);
    assert_eq!(late.code, 5, "{late:?}");
    assert!(late.stderr.contains("gave up waiting; batch batch_1 is to stop"), "{late:?}");
}

#[test]
fn lost_creates_are_not_counted_as_batches() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b"]))]);
    let (service, lists, _) = endless(false);
    let run = ["run", "requests.jsonl", "--shard-lines", "1", "--settle-after-loss", "50ms"];
    assert_eq!(lote_in(at(service.url()), place.path(), &run).code, 6);
    let before = lists.load(Ordering::Relaxed);
    let mut resume = at(service.url());
    resume.current_dir(place.path()).args(["resume", "requests.run"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = resume.spawn().expect("lote starts");
    until("it looks for them", || lists.load(Ordering::Relaxed) > before);
    signal(&child, "INT");
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said =
        "interrupted; the answers to 2 creates were lost: what they made, if anything, goes on, and will be charged\n";
    assert!(output.status.code() == Some(130) && stderr.contains(said), "{stderr}");
    assert!(stderr.contains("\n  lote cancel requests.run "), "{stderr}");
}

#[test]
fn what_is_printed_for_going_on_is_what_was_asked_for() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=60000]]"])), ("out.jsonl", b"mine")]);
    let gateway = Embedded::start();
    let asked = "-o out.jsonl --force --max-open 2 --settle-after-loss 90s --attempts 3 --clean-remote";
    let args: Vec<&str> = ["run", "requests.jsonl", "--deadline", "1s"].into_iter().chain(asked.split(' ')).collect();
    let ended = lote_in(at(gateway.url()), place.path(), &args);
    assert_eq!(ended.code, 5, "{ended:?}");
    let line = |what: &str| ended.stderr.lines().find(|line| line.ends_with(what)).expect(what).to_owned();
    let resume = line("  # goes on");
    assert!(resume.contains(&format!(" {asked}  # ")), "{resume}");
    // A run that is cancelled is not tried again, and deletes nothing.
    assert!(line("  # stops what is at work").contains(" -o out.jsonl --force  # "), "{ended:?}");
    // As it stands, it goes on.
    let words: Vec<&str> = resume.trim().split("  #").next().expect("a command").split(' ').skip(1).collect();
    let again = lote_in(at(gateway.url()), place.path(), &[&words[..], &["--deadline", "1s"]].concat());
    assert_eq!(again.code, 5, "{again:?}");
}

#[test]
fn a_batch_that_was_found_is_not_called_created() {
    let lost = Fault::on(Operation::CreateBatch).nth(1).then(Effect::AnswerReplaced(Refusal::status(502)));
    let gateway = Embedded::with(Gateway::builder().fault(lost));
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let ended = lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains(" found: an earlier create of this run has made it\n"), "{ended:?}");
    assert!(!ended.stderr.contains(" created\n"), "{ended:?}");
}

#[test]
fn a_file_that_was_changed_says_nothing_of_batches() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b"]))]);
    let gateway = Embedded::start();
    for part in ["1/2", "2/2"] {
        assert_eq!(lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl", "--partition", part]).code, 0);
    }
    fs::write(place.path().join("requests.2-of-2.run/results.jsonl"), "{}\n").expect("damaged");
    let join = ["join", "requests.1-of-2.run", "requests.2-of-2.run", "-o", "all.jsonl"];
    let joined = lote_in(command(), place.path(), &join);
    assert!(joined.code == 2 && joined.stderr.contains("is not as the run of part 2/2"), "{joined:?}");
    assert!(!joined.stderr.contains("batch"), "{joined:?}");
    fs::write(place.path().join("requests.1-of-2.run/shards/0001/summary.json"), "{").expect("damaged");
    let cleaned = lote_in(at(gateway.url()), place.path(), &["clean", "requests.1-of-2.run", "--remote"]);
    assert!(cleaned.code == 2 && cleaned.stderr.contains("summary.json"), "{cleaned:?}");
    assert!(!cleaned.stderr.contains("there is no batch"), "{cleaned:?}");
}

#[test]
fn a_lost_folder_is_taken_over_by_a_command_that_is_there() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b"]))]);
    let gateway = Embedded::start();
    let run = ["run", "requests.jsonl", "--shard-lines", "1"];
    assert_eq!(lote_in(at(gateway.url()), place.path(), &run).code, 0);
    fs::remove_dir_all(place.path().join("requests.run")).expect("lost");
    let again = lote_in(at(gateway.url()), place.path(), &run);
    assert!(again.code == 2 && again.stderr.contains("the same command with --new"), "{again:?}");
    let resumed = lote_in(at(gateway.url()), place.path(), &["resume", "requests.run"]);
    assert_eq!(resumed.code, 2, "{resumed:?}");
    assert!(!resumed.stderr.contains("the same command with --new"), "{resumed:?}");
    assert!(resumed.stderr.contains("lote run with the requests and --new pays for the lines again"), "{resumed:?}");
}

#[test]
fn a_log_without_its_record_is_kept_since_batches_may_be_at_work() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=60000]] a"]))]);
    let gateway = Embedded::start();
    let run = ["run", "requests.jsonl", "--detach"];
    assert_eq!(lote_in(at(gateway.url()), place.path(), &run).code, 5);
    let at_work = place.path().join("requests.run");
    fs::remove_file(at_work.join("run.json")).expect("removed");
    let before = (names(&at_work), fs::read(at_work.join("log.jsonl")).expect("the log"));
    for args in [&run[..], &["resume", "requests.run"], &["status", "requests.run"], &["clean", "requests.run"]] {
        let refused = lote_in(at(gateway.url()), place.path(), args);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused:?}");
        assert!(refused.stderr.contains("a batch of it may be at work"), "{refused:?}");
    }
    assert_eq!((names(&at_work), fs::read(at_work.join("log.jsonl")).expect("the log")), before);
    let batches = printed(&gateway.lote(["batches", "list"]));
    assert_eq!(batches["data"].as_array().map(Vec::len), Some(1));
}

/// What an embedded gateway did ended with it: nobody owes anything for it.
#[test]
fn a_log_of_an_embedded_run_without_its_record_is_no_obstacle() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=60000]] a"]))]);
    let run = ["run", "requests.jsonl", "--embedded"];
    let mut lote = command();
    let mut child = lote.current_dir(place.path()).args(run).spawn().expect("lote starts");
    until("the batch is made", || phase(&place.path().join("requests.run")) == Some("created"));
    child.kill().expect("killed");
    child.wait().expect("gone");
    fs::remove_file(place.path().join("requests.run/run.json")).expect("removed");
    fs::write(place.path().join("requests.jsonl"), requests(&["a"])).expect("written");
    let again = lote_in(command(), place.path(), &run);
    assert_eq!(again.code, 0, "{again:?}");
}

#[test]
fn a_run_that_gives_way_to_another_is_told() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    // Its upload is never answered: nothing is owed.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", silent.local_addr().expect("its address"));
    let mut first = at(&url);
    let mut child = first.current_dir(place.path()).args(["run", "requests.jsonl"]).spawn().expect("lote starts");
    until("there is a run", || phase(&place.path().join("requests.run")) == Some("planned"));
    child.kill().expect("killed");
    child.wait().expect("gone");
    let gateway = Embedded::start();
    let second = lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl"]);
    assert_eq!(second.code, 0, "{second:?}");
    let said = format!("requests.run: takes the place of a run of which nothing is to be paid (the service was {url}/");
    assert!(second.stderr.contains(&said), "{second:?}");
}

#[test]
fn who_only_reads_a_finished_run_needs_no_key_and_writes_nothing() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b"]))]);
    let gateway = Embedded::start();
    assert_eq!(lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl"]).code, 0);
    let run = place.path().join("requests.run");
    for name in ["lock", "reserve"] {
        let _ = fs::remove_file(run.join(name));
    }
    let before = names(&run);
    let unasked = Unasked::listen();
    let keyless = || {
        let mut lote = command();
        lote.env("LOTE_BASE_URL", unasked.url());
        lote
    };
    let dry = lote_in(keyless(), place.path(), &["clean", "requests.run", "--dry-run"]);
    assert!(dry.code == 0 && dry.stdout.contains("shards/0001/requests.jsonl: "), "{dry:?}");
    assert_eq!(names(&run), before);
    let resume = ["resume", "requests.run", "-o", "out.jsonl"];
    for more in [&[][..], &["--deadline", "0s"], &["--detach"]] {
        let same = lote_in(keyless(), place.path(), &[&resume[..], more].concat());
        assert!(same.code == 0 && same.stdout.starts_with("2 of 2 lines succeeded"), "{same:?}");
        assert_eq!(names(&run), before);
    }
    assert_eq!(
        fs::read(place.path().join("out.jsonl")).expect("written"),
        fs::read(run.join("results.jsonl")).expect("results")
    );
    // So does the command that began the run, also where the service is not there any more.
    let url = gateway.url().to_owned();
    drop(gateway);
    let keyless = || {
        let mut lote = command();
        lote.env("LOTE_BASE_URL", &url);
        lote
    };
    let begun = ["run", "requests.jsonl", "-o", "out.jsonl"];
    for more in [&[][..], &["--deadline", "0s"], &["--detach"]] {
        let same = lote_in(keyless(), place.path(), &[&begun[..], more].concat());
        assert!(same.code == 0 && same.stdout.starts_with("2 of 2 lines succeeded"), "{more:?}: {same:?}");
    }
    let other = lote_in(keyless(), place.path(), &[&begun[..], &["--limit", "1"]].concat());
    assert!(other.code == 2 && other.stderr.contains("the limit of lines"), "{other:?}");
    // What asks the service needs a key.
    let remote = lote_in(keyless(), place.path(), &[&resume[..], &["--clean-remote"]].concat());
    assert!(remote.code == 2 && remote.stderr.contains("no API key"), "{remote:?}");
    fs::write(run.join("results.jsonl"), "damaged\n").expect("written");
    let again = lote_in(keyless(), place.path(), &["resume", "requests.run"]);
    assert!(again.code == 2 && again.stderr.contains("no API key"), "{again:?}");
    for args in [&begun[..], &["run", "requests.jsonl", "--attempts", "2"]] {
        let lost = lote_in(keyless(), place.path(), args);
        assert!(lost.code == 2 && lost.stderr.contains("no API key"), "{lost:?}");
    }
    unasked.assert("a finished run");
}

#[test]
fn of_what_is_no_run_that_is_told_and_not_that_there_is_no_key() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    for (subcommand, path) in [("cancel", "gone.run"), ("repair", "requests.jsonl"), ("resume", ".")] {
        let ended = lote_in(command(), place.path(), &[subcommand, path]);
        let told = ended.stderr.contains(path) && !ended.stderr.contains("API key");
        assert!(ended.code == 2 && told, "{subcommand}: {ended:?}");
    }
}

#[test]
fn a_pipe_that_does_not_end_is_given_up_at_the_deadline() {
    let (place, kept) = (folder(&[]), folder(&[]));
    let mut lote = at("http://127.0.0.1:9");
    lote.env("TMPDIR", kept.path()).current_dir(place.path()).args(["run", "-", "--deadline", "300ms"]);
    lote.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = lote.spawn().expect("lote starts");
    let open = child.stdin.take().expect("stdin is a pipe");
    until("it has ended", || child.try_wait().expect("a child").is_some());
    drop(open);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("gave up before the end of stdin; nothing was sent"), "{stderr}");
    assert!(names(kept.path()).is_empty() && names(place.path()).is_empty(), "{:?}", names(kept.path()));
    // What is left of it is that of the run.
    let mut none = at("http://127.0.0.1:9");
    none.current_dir(place.path()).args(["run", "-", "--deadline", "0s"]);
    assert_eq!(ended(&mut none, &requests(&["a"])).code, 5);
}

#[test]
fn a_run_that_does_not_reach_its_service_says_so_from_outside() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=60000]] a"]))]);
    let gateway = Embedded::start();
    let mut lote = at(gateway.url());
    lote.current_dir(place.path()).args(["run", "requests.jsonl"]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = lote.spawn().expect("lote starts");
    let run = place.path().join("requests.run");
    until("the batch was looked at", || {
        let status = crate::common::status(&run);
        status.is_some_and(|status| status.shards[0].status.is_some())
    });
    drop(gateway);
    let told = || lote_in(command(), place.path(), &["status", "requests.run"]);
    until("it is told", || told().stdout.contains("\nthe service is not reached since "));
    let json = printed(&lote_in(command(), place.path(), &["status", "requests.run", "--json"]));
    assert!(json["unreached"]["since"].is_i64() && json["unreached"]["why"].is_string(), "{json}");
    child.kill().expect("killed");
    child.wait().expect("gone");
    // It was so when it was seen last.
    assert!(told().stdout.contains("\nthe service was not reached when it was asked last, "), "{:?}", told());
}

#[test]
fn wrong_words_are_not_said() {
    let place = folder(&[
        ("requests.jsonl", &requests(&["[[sleep=60000]] a", "[[sleep=60000]] b"])),
        ("more.jsonl", &requests(&["c"])),
    ]);
    let gateway = Embedded::start();
    let run = ["run", "requests.jsonl", "--detach"];
    assert_eq!(lote_in(at(gateway.url()), place.path(), &run).code, 5);
    let other = lote_in(at(gateway.url()), place.path(), &["run", "more.jsonl", "--dir", "requests.run"]);
    assert!(other.code == 2 && other.stderr.contains(", and are those with the hash "), "{other:?}");
    assert_eq!(lote_in(at(gateway.url()), place.path(), &["cancel", "requests.run"]).code, 1);
    let told = lote_in(command(), place.path(), &["status", "requests.run"]);
    assert!(told.stdout.contains("\n0 of 2 lines succeeded, 0 failed, 2 cancelled, 0 missing\n"), "{told:?}");
    assert!(!told.stdout.contains("ended"), "{told:?}");
    let runs = lote_in(command(), place.path(), &["runs"]);
    assert!(runs.stdout.contains("  0 of 2 lines succeeded, 0 failed, 2 cancelled, 0 missing  begun "), "{runs:?}");
}
