//! Tests of two processes at one run: one that stands still while it holds the run, and one that cancels it while the
//! other's create is under way.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lote_gateway::faults::{Effect, Fault, Operation};
use lote_gateway::{Builder, Event, Gateway};
use tokio::runtime::Runtime;

use crate::common::{folder, lote_in, phase, signal, until};
use crate::service::{Unasked, at, requests};

/// A gateway in this process that says what it did.
struct Watched {
    gateway: Gateway,
    _runtime: Runtime,
}

impl Watched {
    fn with(builder: Builder) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let gateway = runtime.block_on(builder.journal(true).start()).expect("the gateway starts");
        Self { gateway, _runtime: runtime }
    }

    /// How many batches were made, and how many were asked to stop.
    fn batches(&self) -> (usize, usize) {
        let journal = self.gateway.journal();
        let count = |wanted: fn(&Event) -> bool| journal.iter().filter(|entry| wanted(&entry.event)).count();
        (
            count(|event| matches!(event, Event::BatchCreated { .. })),
            count(|event| matches!(event, Event::BatchCancelled { .. })),
        )
    }
}

fn spawn(mut command: Command, folder: &Path, args: &[&str]) -> Child {
    let command = command.current_dir(folder).args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("lote starts")
}

#[test]
fn a_holder_that_stands_still_keeps_its_run_and_goes_on_with_it() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=300]] a", "b", "c"]))]);
    let watched = Watched::with(Gateway::builder());
    let url = watched.gateway.url();
    let first = spawn(at(&url), place.path(), &["run", "requests.jsonl", "--shard-lines", "1", "--max-open", "1"]);
    let run = place.path().join("requests.run");
    until("the batch is made", || phase(&run) == Some("created"));
    signal(&first, "STOP");
    let log = fs::read(run.join("log.jsonl")).expect("the log");
    let unasked = Unasked::listen();
    let holder = format!("a lote (pid {})", first.id());
    for args in
        [&["run", "requests.jsonl", "--shard-lines", "1"][..], &["resume", "requests.run"], &["repair", "requests.run"]]
    {
        // Whoever is asked.
        let refused = lote_in(at(&url), place.path(), args);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains(&holder), "{args:?}: {refused:?}");
    }
    // Who only looks in is told, and asks nobody.
    let status = lote_in(at(&unasked.url()), place.path(), &["status", "requests.run"]);
    assert_eq!(status.code, 0, "{status:?}");
    unasked.assert("a look at a run");
    // Its batch is over by then, and nothing of the run is anybody else's.
    until("the batch is over", || {
        lote_in(at(&url), place.path(), &["batches", "list"]).stdout.contains("\"completed\"")
    });
    assert_eq!(fs::read(run.join("log.jsonl")).expect("the log"), log);
    assert_eq!(watched.batches(), (1, 0));
    signal(&first, "CONT");
    let output = first.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stdout.starts_with(b"3 of 3 lines succeeded"), "{output:?}");
    assert_eq!(watched.batches(), (3, 0));
}

#[test]
fn a_run_is_cancelled_while_a_create_is_in_flight() {
    let half_a_second = Duration::from_millis(500);
    let on = || Fault::on(Operation::CreateBatch).nth(2);
    for (name, faults) in [
        ("it is answered", vec![on().then(Effect::Delay(half_a_second))]),
        ("its answer is lost", vec![on().then(Effect::Delay(half_a_second)), on().then(Effect::AnswerLost)]),
        ("it takes effect later", vec![on().then(Effect::Late { after: half_a_second, answer: None })]),
    ] {
        let place = folder(&[("requests.jsonl", &requests(&["[[sleep=60000]] a", "[[sleep=60000]] b", "c"]))]);
        let watched = Watched::with(faults.into_iter().fold(Gateway::builder(), Builder::fault));
        let url = watched.gateway.url();
        let args = ["run", "requests.jsonl", "--shard-lines", "1", "--settle-after-loss", "1s", "--json"];
        let first = spawn(at(&url), place.path(), &args);
        let run = place.path().join("requests.run");
        let second = || lote::run::status(&run).ok().map(|status| status.shards[1].phase);
        until("the second create is under way", || second() == Some("creating"));
        let cancel = lote_in(at(&url), place.path(), &["cancel", "requests.run"]);
        assert_eq!((cancel.code, cancel.stderr.as_str()), (0, ""), "{name}: {cancel:?}");
        let output = first.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(1), "{name}: {output:?}");
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        // A batch that is cancelled while it is validated has no file that says so of its line.
        let ended = ["cancelled", "missing"].map(|kind| summary[kind].as_u64().expect("a count"));
        assert!(ended[0] > 0 && ended[0] + ended[1] == 3, "{name}: {summary}");
        // The one that was in flight was found, and asked to stop; the third was never made.
        assert_eq!(watched.batches(), (2, 2), "{name}");
    }
}
