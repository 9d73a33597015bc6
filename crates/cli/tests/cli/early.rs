//! Tests of `--json` of a run that ends before it is finished: one object says what there is.

use std::process::Stdio;

use lote_gateway::Gateway;
use lote_gateway::faults::{Effect, Fault, Operation, Refusal};
use serde_json::{Value, json};

use crate::common::{Ended, folder, lote_in, phase, signal, until};
use crate::service::{Embedded, Steady, at, json as printed, requests};

/// What was printed, once it is one object with all that each of them has.
fn object(ended: &Ended, exit: i32) -> Value {
    assert_eq!((ended.code, ended.stdout.lines().count()), (exit, 1), "{ended:?}");
    let object = printed(ended);
    assert_eq!(object["exit_code"], exit, "{object}");
    for member in ["batches", "held"] {
        assert!(object[member].is_array(), "{member}: {object}");
    }
    let error = object["error"].as_str().expect("why");
    assert!(ended.stderr.contains(&format!("error: {error}\n")), "{ended:?}");
    object
}

#[test]
fn what_a_service_refuses_is_one_object() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let refused = Fault::on(Operation::UploadFile).nth(1).then(Effect::Status(Refusal::status(403)));
    let gateway = Embedded::with(Gateway::builder().fault(refused));
    let run = ["run", "requests.jsonl", "--json"];
    // Nothing is left.
    let nothing = object(&lote_in(at(gateway.url()), place.path(), &run), 4);
    assert!(nothing["folder"].is_null() && nothing["batches"] == json!([]), "{nothing}");
    // A batch that failed at validation is one.
    let failed = Steady::answering(|head| match head.split(' ').next() {
        Some("POST") if head.contains("/files") => json!({"id": "file-1"}),
        _ if head.contains("/batches?") => json!({"data": [], "has_more": false}),
        _ => json!({"id": "batch_1", "status": "failed", "errors": {"data": [{"message": "no such model"}]}}),
    });
    let failed = object(&lote_in(at(failed.url()), place.path(), &run), 4);
    assert_eq!(failed["folder"], "requests.run");
    let batch = &failed["batches"][0];
    assert!(batch["id"] == "batch_1" && batch["status"] == "failed" && batch["phase"] == "failed", "{failed}");
}

#[test]
fn what_goes_on_after_a_deadline_is_one_object() {
    let slow = ["[[status=503]] a", "[[sleep=60000]] b"];
    let place = folder(&[("requests.jsonl", &requests(&slow)), ("quick.jsonl", &requests(&["[[fail=1:503]] a"]))]);
    let gateway = Embedded::start();
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    for command in [["run", "requests.jsonl"], ["resume", "requests.run"]] {
        let late = object(&lote(&[&command[..], &["--json", "--deadline", "1s"]].concat()), 5);
        assert_eq!(
            (late["folder"].as_str(), late["batches"].as_array().map(Vec::len)),
            (Some("requests.run"), Some(1))
        );
        let batch = &late["batches"][0];
        assert!(batch["shard"] == 1 && batch["lines"] == 2 && batch["phase"] == "created", "{late}");
        assert!(batch["id"].as_str().is_some_and(|id| id.starts_with("batch_")), "{late}");
    }
    let detached = lote(&["resume", "requests.run", "--json", "--detach"]);
    let detached = (detached.code, printed(&detached));
    assert!(detached.0 == 5 && detached.1["exit_code"] == 5 && detached.1["shards"].is_array(), "{detached:?}");
    // stdin is no run yet.
    let mut piped = at(gateway.url());
    piped.current_dir(place.path()).args(["run", "-", "--json", "--deadline", "300ms"]);
    piped.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().expect("lote starts");
    let open = child.stdin.take().expect("a pipe");
    until("it has ended", || child.try_wait().expect("a child").is_some());
    drop(open);
    let output = child.wait_with_output().expect("it ends");
    let none: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert!(none["exit_code"] == 5 && none["folder"].is_null(), "{none}");
    // Interrupted it is as well.
    let mut resume = at(gateway.url());
    resume.current_dir(place.path()).args(["resume", "requests.run", "--json"]);
    let child = resume.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("lote starts");
    let run = place.path().join("requests.run");
    until("it is at work", || {
        crate::common::status(&run)
            .is_some_and(|status| status.holder.is_some_and(|holder| holder.pid == Some(child.id())))
    });
    assert_eq!(phase(&run), Some("created"));
    signal(&child, "INT");
    let output = child.wait_with_output().expect("it ends");
    let stopped: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert!(output.status.code() == Some(130) && stopped["exit_code"] == 130, "{stopped}");
    assert_eq!(stopped["batches"][0]["phase"], "created");
}

#[test]
fn what_is_held_is_one_object_with_its_results_or_without() {
    let fault = Fault::on(Operation::OutputFile).nth(2).then(Effect::NoFile);
    let gateway = Embedded::with(Gateway::builder().fault(fault));
    let place = folder(&[("requests.jsonl", &requests(&["a", "b"]))]);
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    let run = ["run", "requests.jsonl", "--shard-lines", "1", "--max-open", "1", "--deadline", "4s", "--json"];
    let held = object(&lote(&run), 6);
    assert_eq!((&held["held"][0]["shard"], held["batches"].as_array().map(Vec::len)), (&json!(2), Some(2)), "{held}");
    assert!(held["held"][0]["why"].as_str().is_some_and(|why| why.contains("names no output file")), "{held}");
    let phases: Vec<_> = held["batches"].as_array().expect("two").iter().map(|batch| &batch["phase"]).collect();
    assert_eq!(phases, ["settled", "over"]);
    let partial = object(&lote(&["resume", "requests.run", "--partial", "--json", "--deadline", "1s"]), 6);
    assert!(partial["succeeded"] == 1 && partial["undecided"] == 1 && partial["held"][0]["shard"] == 2, "{partial}");
    assert!(partial["results"].is_string(), "{partial}");
}
