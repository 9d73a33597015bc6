//! Tests of `lote resume --partial`: what is written and said while shards are held.

use std::fs;

use lote_gateway::Gateway;
use lote_gateway::faults::{Effect, Fault, Operation, Refusal};

use crate::common::{folder, lote_in};
use crate::service::{Embedded, Steady, at, json, requests};

#[test]
fn held_shards_are_exit_6_with_the_results_of_the_others() {
    let refused = |nth| Fault::on(Operation::CreateBatch).nth(nth).then(Effect::Status(Refusal::status(400)));
    let builder = [2, 4, 5, 6].into_iter().map(refused).fold(Gateway::builder(), lote_gateway::Builder::fault);
    let gateway = Embedded::with(builder);
    let place = folder(&[("requests.jsonl", &requests(&["a", "b", "[[status=429]] c"]))]);
    let run = ["run", "requests.jsonl", "--shard-lines", "1", "-o", "results.jsonl"];
    let first = lote_in(at(gateway.url()), place.path(), &run);
    assert_eq!((first.code, first.stdout.as_str()), (6, ""), "{first:?}");
    let hint = first.stderr.lines().find(|line| line.ends_with("  # writes the results of the others now"));
    assert!(hint.is_some_and(|line| line.contains(" -o results.jsonl") && line.contains(" --partial")), "{first:?}");
    assert!(!place.path().join("results.jsonl").exists());

    let resume = ["resume", "requests.run", "-o", "results.jsonl"];
    let partial = lote_in(at(gateway.url()), place.path(), &[&resume[..], &["--partial"]].concat());
    assert_eq!(partial.code, 6, "{partial:?}");
    assert!(
        partial
            .stdout
            .starts_with("1 of 3 lines succeeded, 2 failed, 0 missing; 2 of 2 batches completed; 1 shard is held\n"),
        "{partial:?}"
    );
    let undecided = "\n1 line of those that failed may still be answered: their shards are held or not sent\n";
    assert!(partial.stdout.contains(undecided), "{partial:?}");
    assert!(partial.stderr.contains("error: 1 shard waits for a word of yours:\n"), "{partial:?}");
    assert!(!partial.stderr.contains("# writes the results of the others now"), "{partial:?}");
    let lines = || fs::read_to_string(place.path().join("results.jsonl")).expect("the results");
    assert_eq!((lines().lines().count(), lines().matches("\"held\"").count()), (3, 1));
    for more in [&["--partial", "--json"][..], &["--partial", "--json", "--detach"]] {
        let again = lote_in(at(gateway.url()), place.path(), &[&resume[..], more].concat());
        assert_eq!((again.code, &json(&again)["undecided"]), (6, &1.into()), "{again:?}");
    }

    // What was written meanwhile is no obstacle, and neither is what is written now to a repair.
    let whole = lote_in(at(gateway.url()), place.path(), &[&resume[..], &["--json"]].concat());
    assert_eq!((whole.code, &json(&whole)["succeeded"]), (1, &2.into()), "{whole:?}");
    assert!(json(&whole).get("undecided").is_none());
    assert!(!lines().contains("\"held\""));
    let repaired =
        lote_in(at(gateway.url()), place.path(), &["repair", "requests.run", "-o", "results.jsonl", "--json"]);
    assert_eq!((repaired.code, json(&repaired)["batches"].as_array().map(Vec::len)), (1, Some(4)), "{repaired:?}");
    fs::write(place.path().join("results.jsonl"), "mine\n").expect("written");
    let somebodys = lote_in(at(gateway.url()), place.path(), &resume);
    assert!(somebodys.code == 2 && somebodys.stderr.contains("not as it was written here"), "{somebodys:?}");
}

#[test]
fn where_all_shards_are_held_that_is_told_and_what_was_written() {
    // Its creates are answered with nothing that can be read, and its list shows nothing at all.
    let service = Steady::answering(|head| match head.split(' ').next() {
        Some("POST") if head.contains("/files") => serde_json::json!({"id": "file-1"}),
        Some("POST") => serde_json::json!({}),
        _ => serde_json::json!({"object": "list", "data": [], "has_more": false}),
    });
    for (prompts, said) in [(&["a"][..], "1 shard is held"), (&["a", "b"], "2 shards are held")] {
        let place = folder(&[("requests.jsonl", &requests(prompts))]);
        let quickly = ["-o", "results.jsonl", "--settle-after-loss", "50ms"];
        let run = [&["run", "requests.jsonl", "--shard-lines", "1"][..], &quickly].concat();
        let first = lote_in(at(service.url()), place.path(), &run);
        assert_eq!((first.code, first.stdout.as_str()), (6, ""), "{first:?}");
        let resume = [&["resume", "requests.run", "--partial"][..], &quickly].concat();
        let partial = lote_in(at(service.url()), place.path(), &resume);
        let lines = if prompts.len() == 1 { "1 line" } else { "2 lines" };
        let begins = format!("0 of {lines} succeeded, {} failed, 0 missing; {said}\n", prompts.len());
        assert!(partial.code == 6 && partial.stdout.starts_with(&begins), "{partial:?}");
        assert!(partial.stdout.contains("\nwhat is written are the results of the others"), "{partial:?}");
        assert!(partial.stdout.contains("\nresults: results.jsonl\n"), "{partial:?}");
        let written = fs::read_to_string(place.path().join("results.jsonl")).expect("the results");
        assert_eq!(written.matches("\"held\"").count(), prompts.len());
    }
}
