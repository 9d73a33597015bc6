//! Tests of damage to the files of a run between two commands: what was changed is never believed, nothing is paid for
//! twice, and what can be made again of the input or the answers is.

use std::{fs, path::Path};

use lote::{
    Cadence, Client,
    run::{Repair, Run, status},
};

use crate::runs_common::{FAST, Place, chat, embedding, gateway_with, ids, paid, passing, standing};

/// Changes a file; it had the text before.
fn alter(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("the file");
    assert!(text.contains(from), "{from} in {text}");
    fs::write(path, text.replacen(from, to, 1)).expect("written");
}

fn open(place: &Place, client: &Client) -> Run {
    Run::open(client, place.path("requests.run")).cadence(Cadence::new(FAST, FAST * 5))
}

/// Six lines in three batches, which are at work.
async fn detached() -> (lote_gateway::Gateway, Client, Place) {
    let (gateway, client) = standing(None).await;
    let place = Place::new(&["a", "b", "c", "d", "e", "f"].map(|id| chat(id, "[[sleep=5000]] x")));
    place.run(&client, 2).submit().await.expect("submitted");
    (gateway, client, place)
}

#[tokio::test]
async fn request_lines_that_were_changed_are_not_joined_and_come_from_the_input_again() {
    for (alters, single) in [(true, false), (false, false), (true, true)] {
        let (gateway, client, place) = detached().await;
        for shard in if single { vec![1, 2, 3] } else { vec![2] } {
            let requests = place.path(&format!("requests.run/shards/000{shard}/requests.jsonl"));
            match alters {
                true => alter(&requests, r#""custom_id":""#, r#""custom_id":"x"#),
                false => fs::remove_file(&requests).expect("it was there"),
            }
        }
        let error = passing(&gateway, open(&place, &client).execute()).await.expect_err("damaged");
        assert!(error.to_string().contains("requests.jsonl"), "{error}");
        assert!(!place.path("requests.run/results.jsonl").exists());
        if !single {
            // Held as long as others go on, which end in any order.
            assert!(error.is_held() || error.is_io(), "{error}");
            let phases: Vec<&str> =
                status(place.path("requests.run")).expect("a run").shards.iter().map(|shard| shard.phase).collect();
            assert_eq!(phases, ["settled", "fetched", "settled"], "what others have is fetched first");
        }
        // Without the input it stays so.
        let again = passing(&gateway, open(&place, &client).execute()).await.expect_err("damaged");
        assert!(again.to_string().contains("lote run, given the same requests"), "{again}");
        // With it, all comes to its end.
        let report = passing(&gateway, place.run(&client, 2).execute()).await.expect("a report");
        assert!(report.all_succeeded());
        assert_eq!(ids(&place.results()), ["a", "b", "c", "d", "e", "f"]);
        let (batches, lines) = paid(&gateway);
        assert_eq!((batches, lines.len()), (3, 6));
        assert!(lines.values().all(|times| *times == 1), "{lines:?}");
    }
}

/// A shard that is not submitted yet lacks its lines: the batches that were paid for are fetched all the same.
#[tokio::test]
async fn a_planned_shard_without_its_lines_holds_up_nobody() {
    let (gateway, client) = standing(None).await;
    let place = Place::new(&["a", "b", "c"].map(|id| chat(id, "[[sleep=5000]] x")));
    let run = || place.run(&client, 1).max_open(2.try_into().expect("a number"));
    run().submit().await.expect("submitted");
    fs::remove_file(place.path("requests.run/shards/0003/requests.jsonl")).expect("it was there");
    let error = passing(&gateway, open(&place, &client).execute()).await.expect_err("it lacks lines");
    assert!(error.is_held() && !error.is_ambiguous(), "{error}");
    let seen = status(place.path("requests.run")).expect("a run");
    assert_eq!(seen.shards.iter().map(|shard| shard.phase).collect::<Vec<_>>(), ["settled", "settled", "planned"]);
    let report = passing(&gateway, run().execute()).await.expect("a report");
    assert!(report.all_succeeded());
    assert_eq!((paid(&gateway).0, ids(&place.results())), (3, ["a", "b", "c"].map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn an_attempt_sends_no_line_that_was_changed() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x"), chat("b", "[[status=503]] hello")]);
    place.run(&client, 2).execute().await.expect("a report");
    alter(&place.path("requests.run/shards/0001/requests.jsonl"), "hello", "hellO");
    let error = open(&place, &client).repair(Repair::default()).await.expect_err("damaged");
    assert!(error.to_string().contains("not as this run has written it"), "{error}");
    assert_eq!(paid(&gateway).0, 1);
}

#[tokio::test]
async fn no_damage_of_the_record_is_believed() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x"), embedding("b"), chat("c", "y")]);
    place.run(&client, 1).execute().await.expect("a report");
    let (folder, path) = (place.path("requests.run"), place.path("requests.run/run.json"));
    let text = fs::read(&path).expect("the record");
    let calls = gateway.journal().len();
    for at in 0..text.len() {
        let mut damaged = text.clone();
        damaged[at] ^= 1 << (at % 7);
        fs::write(&path, &damaged).expect("written");
        let error = status(&folder).expect_err("damaged");
        // What says that it is of a first, or a later, version is refused too.
        assert!(error.is_unreadable() || error.is_taken(), "byte {at}: {error}");
    }
    fs::write(&path, text).expect("written");
    open(&place, &client).execute().await.expect("as it was");
    assert_eq!(gateway.journal().len(), calls);
}

#[tokio::test]
async fn a_damaged_summary_or_order_is_made_again() {
    let (gateway, client) = gateway_with(None).await;
    let place =
        Place::new(&[chat("a", "x"), embedding("b"), chat("c", "[[status=503]]"), embedding("d"), chat("e", "z")]);
    let first = place.run(&client, 3).execute().await.expect("a report");
    assert_eq!((first.joined.lines, first.joined.failed), (5, 1));
    let (calls, results) = (gateway.journal().len(), place.results());
    assert_eq!(ids(&results), ["a", "b", "c", "d", "e"]);

    // One more that succeeded, of one line less.
    for (from, to) in [("\"lines\": 5", "\"lines\": 4"), ("\"failed\": 1", "\"failed\": 0")] {
        alter(&place.path("requests.run/summary.json"), from, to);
        let report = open(&place, &client).execute().await.expect("a report");
        assert_eq!((report.joined.lines, report.joined.failed), (5, 1), "{from}");
    }
    alter(&place.path("requests.run/shards/0001/summary.json"), "\"lines\": 3", "\"lines\": 2");
    fs::remove_file(place.path("requests.run/results.jsonl")).expect("it was there");
    let report = open(&place, &client).execute().await.expect("a report");
    assert_eq!((report.joined.lines, report.joined.failed), (5, 1));

    // Other lines in the places of two: it is seen when all is put together, and the input tells how it was.
    let order = place.path("requests.run/order");
    let text = fs::read_to_string(&order).expect("the order");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines, ["1 1", "2 1", "1 1", "2 1", "1 1"]);
    for damaged in ["1 1\n2 1\n1 1\n1 1\n2 1\n", "1 1\n2 1\n1 1\n2 1\n1 1\n1 1\n", "1 1\n2 1\n", ""] {
        fs::write(&order, damaged).expect("written");
        fs::remove_file(place.path("requests.run/results.jsonl")).expect("it was there");
        let error = open(&place, &client).execute().await.expect_err("damaged");
        assert!(error.to_string().contains("order"), "{damaged:?}: {error}");
        assert!(!place.path("requests.run/results.jsonl").exists());
        place.run(&client, 3).execute().await.expect("a report");
        assert_eq!(place.results(), results, "{damaged:?}");
    }
    assert_eq!(gateway.journal().len(), calls, "no call was made");
}
