//! Owns the tests of what a run's folder says of its past.

use lote::run::{Run, history};
use serde_json::Value;

use super::{Place, gateway, line};

#[tokio::test]
async fn the_past_of_a_run_is_told_from_its_folder() {
    let (_gateway, client) = gateway().await;
    let place = Place::new(&[line("a", "x"), line("b", "y"), line("c", "[[status=500]]")]);
    let limits = lote::lines::Limits { max_lines: 2, ..client.dialect().limits() };
    let run = || place.run(&client).limits(limits).metadata("note", "x");
    run().submit().await.expect("it is begun");
    let folder = place.path("requests.run");
    let begun = history(&folder).expect("a run");
    assert_eq!((begun.opened_at.len(), begun.shards.len()), (1, 2));
    assert!(begun.shards.iter().all(|shard| shard.uploaded_at.is_some() && shard.created_at >= shard.uploaded_at));

    run().execute().await.expect("a report");
    let told = history(&folder).expect("a run");
    assert_eq!((told.lote.as_str(), told.dialect.as_str()), (env!("CARGO_PKG_VERSION"), client.dialect().name()));
    assert_eq!((told.models["auto"], told.inputs.len(), told.inputs[0].lines), (3, 1, 3));
    assert!(told.inputs[0].path.ends_with("requests.jsonl") && told.inputs[0].bytes == told.bytes);
    assert_eq!(told.options["metadata"]["note"], "x");
    assert!(told.finished_at.is_some_and(|at| at >= told.begun_at && at <= told.last_at), "{told:?}");
    for (shard, lines) in told.shards.iter().zip([2, 1]) {
        assert_eq!((shard.plan.lines, shard.attempt), (lines, 1));
        let instants = [shard.uploaded_at, shard.created_at, shard.over_at, shard.fetched_at, shard.settled_at];
        assert!(instants.iter().all(Option::is_some) && instants.is_sorted(), "{shard:?}");
        assert_eq!((shard.failed_at, shard.halved_at), (None, None));
    }
    let json: Value = serde_json::to_value(&told).expect("JSON");
    assert!(json["shards"][0]["number"] == 1 && json["shards"][0]["settled_at"].is_i64(), "{json}");

    // Another attempt is another shard, and the run is finished anew.
    Run::open(&client, &folder).repair(lote::run::Repair::new()).await.expect("a report");
    let again = history(&folder).expect("a run");
    assert_eq!((again.shards.len(), again.shards[2].attempt, again.shards[2].plan.lines), (3, 2, 1));
    assert_eq!(again.opened_at.len(), told.opened_at.len() + 1);
    assert!(again.finished_at >= told.finished_at && again.finished_at.is_some());

    let error = history(place.path("none.run")).expect_err("there is no run");
    assert!(error.is_place(), "{error:?}");
}
