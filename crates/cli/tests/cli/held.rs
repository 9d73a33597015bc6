//! Tests of what is said of held shards, and of what their lines cost when they are bought again.

use std::path::Path;

use lote_gateway::Gateway;
use lote_gateway::faults::{Effect, Fault, Operation};
use serde_json::Value;

use crate::common::{Ended, command, folder, lote_in};
use crate::service::{Embedded, at, json, json_lines, requests};

/// A gateway of which this batch names no output file, whatever its counts say.
fn without_a_file(nth: u64) -> Embedded {
    Embedded::with(Gateway::builder().fault(Fault::on(Operation::OutputFile).nth(nth).then(Effect::NoFile)))
}

fn batches(gateway: &Embedded) -> usize {
    json_lines(&gateway.lote(["batches", "list", "--all"])).len()
}

fn lote(gateway: &Embedded, place: &Path, args: &[&str]) -> Ended {
    lote_in(at(gateway.url()), place, args)
}

#[test]
fn a_batch_that_is_known_is_never_said_to_be_none() {
    // With one batch as with several.
    for (shard_lines, shard, lines) in [("5", 1, "5 lines"), ("3", 2, "2 lines"), ("4", 2, "line")] {
        let place = folder(&[("requests.jsonl", &requests(&["a", "b", "c", "d", "e"]))]);
        let gateway = without_a_file(shard);
        let batches_of_run = usize::try_from(shard).expect("few");
        // One after another: the others are settled by then.
        let asked = ["run", "requests.jsonl", "--shard-lines", shard_lines, "--max-open", "1"];
        let held = lote(&gateway, place.path(), &[&asked[..], &["--deadline", "4s"]].concat());
        assert_eq!(held.code, 6, "{shard_lines}: {held:?}");
        assert!(held.stderr.contains("but it names no output file"), "{held:?}");
        for wrong in ["# there is none", "# there is one", "# whether there is a batch", "=BATCH"] {
            assert!(!held.stderr.contains(wrong), "{wrong}: {held:?}");
        }
        let number = shard.to_string();
        let its = if lines == "line" { "its line".to_owned() } else { format!("its {lines}") };
        let buys = format!(" --no-batch {shard}  # gives up its batch, and buys {its} again\n");
        assert!(held.stderr.contains("  # looks again\n") && held.stderr.contains(&buys), "{held:?}");
        let first = batch_of(&held, &gateway);
        let page = page(place.path());
        for said in [format!("Or give batch {first} up, and buy its "), format!(" --no-batch {shard}</code>")] {
            assert!(page.contains(&said), "{said}: {page}");
        }
        assert!(page.contains("held</span>") && !page.contains("=BATCH"), "{page}");
        // It looks again, and buys nothing.
        let again = lote(&gateway, place.path(), &["resume", "requests.run", "--deadline", "1s"]);
        assert_eq!((again.code, batches(&gateway)), (6, batches_of_run), "{again:?}");
        let bought = lote(&gateway, place.path(), &["resume", "requests.run", "--no-batch", &number, "--json"]);
        assert_eq!((bought.code, batches(&gateway)), (0, batches_of_run + 1), "{bought:?}");
        // What was given up stays where what the run cost is looked for.
        let given_up = serde_json::json!([{"shard": shard, "id": first, "lines": lines.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(1)}]);
        assert_eq!(json(&bought)["given_up"], given_up);
        let summary = std::fs::read(place.path().join("requests.run/summary.json")).expect("it");
        assert_eq!(serde_json::from_slice::<Value>(&summary).expect("JSON")["given_up"], given_up);
        let told = format!("batch {first} of shard {shard} was given up: ");
        let status = lote_in(command(), place.path(), &["status", "requests.run"]);
        assert!(status.code == 0 && status.stdout.contains(&told), "{status:?}");
        let again = lote(&gateway, place.path(), &asked);
        assert!(again.code == 0 && again.stderr.contains(&told), "{again:?}");
    }
}

/// The page of the run.
fn page(place: &Path) -> String {
    let ended = lote_in(command(), place, &["report", "requests.run", "-o", "-"]);
    assert!(ended.code <= 1, "{ended:?}");
    ended.stdout
}

/// The first batch of the run, as its status has it.
fn batch_of(held: &Ended, gateway: &Embedded) -> String {
    let listed = json_lines(&gateway.lote(["batches", "list", "--all"]));
    let ids = listed.iter().filter_map(|batch| batch["id"].as_str());
    ids.into_iter()
        .find(|id| held.stderr.contains(&format!("batch {id} is completed")))
        .expect("it is named")
        .to_owned()
}

#[test]
fn a_shard_that_lacks_its_lines_is_not_offered_for_sale() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b", "c"]))]);
    let gateway = Embedded::start();
    let run = ["run", "requests.jsonl", "--shard-lines", "1"];
    assert_eq!(lote(&gateway, place.path(), &[&run[..], &["--creates-per-hour", "1", "--detach"]].concat()).code, 5);
    std::fs::remove_file(place.path().join("requests.run/shards/0003/requests.jsonl")).expect("it was there");
    let held = lote(&gateway, place.path(), &["resume", "requests.run"]);
    assert_eq!(held.code, 6, "{held:?}");
    assert!(held.stderr.contains("lote run, given the same requests, writes them anew"), "{held:?}");
    assert!(held.stderr.contains("  # looks again\n"), "{held:?}");
    for wrong in ["--no-batch", "--adopt", "# whether there is a batch", "# looks for it again"] {
        assert!(!held.stderr.contains(wrong), "{wrong}: {held:?}");
    }
    let page = page(place.path());
    assert!(page.contains("Look again, which costs nothing:") && !page.contains("--no-batch"), "{page}");
    let ended = lote(&gateway, place.path(), &run);
    assert_eq!((ended.code, batches(&gateway)), (0, 3), "{ended:?}");

    // What clean has removed is cut again as well.
    assert_eq!(lote(&gateway, place.path(), &["clean", "requests.run"]).code, 0);
    std::fs::remove_file(place.path().join("requests.run/results.jsonl")).expect("it was there");
    let ended = lote(&gateway, place.path(), &run);
    assert_eq!((ended.code, batches(&gateway)), (0, 3), "{ended:?}");
    assert!(place.path().join("requests.run/results.jsonl").exists());
}
