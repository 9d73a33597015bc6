//! Tests of runs that send equal lines once: each line has the outcome of the one that it equals, and that is paid once.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use lote::{
    Cadence, Client,
    lines::Limits,
    run::{
        Clean, Partition, PlanOptions, Repair, Run, RunOutcomes, RunPhase, clean, join_parts, outcomes, plan, status,
    },
};
use lote_gateway::faults::{Effect, Fault, Operation, Refusal};
use serde_json::{Value, json};

use crate::runs_common::{FAST, Place, chat, gateway_with, ids, json_lines, paid, passing, standing};

/// The same line in other white space, with its keys in another order.
fn spelled(line: &str) -> String {
    let line: Value = serde_json::from_str(line).expect("JSON");
    let body = serde_json::to_string_pretty(&line["body"]).expect("JSON").replace('\n', " ");
    format!(
        "{{ \"body\": {body}, \"url\": {}, \"method\": \"POST\", \"custom_id\": {} }}\n",
        line["url"], line["custom_id"]
    )
}

fn open(place: &Place, client: &Client) -> Run {
    Run::open(client, place.path("requests.run")).cadence(Cadence::new(FAST, FAST * 5))
}

/// What came of a line, whatever it is called.
fn came(line: &Value) -> Value {
    let mut line = line.clone();
    line["custom_id"] = Value::Null;
    line
}

/// What the model said, or why it did not: the same for each line of the same body.
fn said(line: &Value) -> Value {
    let body = &line["response"]["body"];
    json!([line["response"]["status_code"], body["choices"], body["data"], body["error"], line["error"]])
}

#[tokio::test]
async fn equal_lines_are_sent_once_and_each_has_the_answer() {
    let (gateway, client) = gateway_with(None).await;
    let lines = [
        chat("a", "1 + 1?"),
        chat("b", "2 + 2?"),
        spelled(&chat("c", "1 + 1?")),
        chat("d \" é\n", "1 + 1?"),
        chat("e", "[[status=400]]"),
        chat("f", "1 + 1? "),
        spelled(&chat("g", "[[status=400]]")),
        chat("h", "2 + 2?"),
    ];
    let place = Place::new(&lines);
    let planned = plan([place.path("requests.jsonl")], &PlanOptions::new().dedupe(true)).expect("a plan");
    let equal = planned.deduplicated.expect("it was asked for");
    assert_eq!((planned.lines, planned.shards[0].lines, equal.lines), (8, 4, 4));
    let lengths: usize = [2, 3, 6, 7].iter().map(|at| lines[*at].len()).sum();
    assert_eq!(equal.bytes, lengths as u64);

    let run = || place.run(&client, 2).dedupe(true);
    let report = run().execute().await.expect("a report");
    let results = place.results();
    let expected: Vec<String> = ids(&json_lines(&place.path("requests.jsonl")));
    assert_eq!(ids(&results), expected);
    for (one, other) in [(0, 2), (0, 3), (4, 6), (1, 7)] {
        assert_eq!(came(&results[one]), came(&results[other]));
    }
    assert_ne!(came(&results[0]), came(&results[5]));
    assert_eq!((report.joined.lines, report.joined.succeeded, report.joined.failed), (8, 6, 2));
    assert_eq!(report.joined.models.values().sum::<u64>(), 6);
    // Tokens of the lines that were sent, and beside them those of the others.
    let tokens = |at: usize| results[at]["response"]["body"]["usage"]["total_tokens"].as_u64().unwrap_or_default();
    assert_eq!(report.joined.usage.total_tokens, [0, 1, 4, 5].map(tokens).iter().sum::<u64>());
    let saved = report.deduplicated.expect("it was asked for");
    assert_eq!((saved.lines, saved.usage.total_tokens), (4, [2, 3, 6, 7].map(tokens).iter().sum()));
    let summary: Value =
        serde_json::from_slice(&fs::read(place.path("requests.run/summary.json")).expect("a summary")).expect("JSON");
    assert_eq!(summary["deduplicated"]["lines"], json!(4));
    // What failed is fit to be sent again, each line under its own name.
    let failed = json_lines(&place.path("requests.run/failed.jsonl"));
    let asked = json_lines(&place.path("requests.jsonl"));
    assert_eq!(failed, [asked[4].clone(), asked[6].clone()]);
    let (batches, times) = paid(&gateway);
    assert_eq!((batches, times.len(), times.values().max()), (2, 4, Some(&1)));
    let status = status(&report.folder).expect("a status");
    assert_eq!((status.lines, status.ended, status.deduplicated), (8, 8, 4));

    // It is told again without a call, and is another run than one that sends each line.
    let again = run().execute().await.expect("a report");
    assert_eq!((again.joined, again.deduplicated), (report.joined, report.deduplicated));
    let error = place.run(&client, 2).execute().await.expect_err("another run");
    assert!(
        error.is_taken() && error.to_string().contains("equal lines were sent once, and are each sent now"),
        "{error}"
    );
    let names: Vec<String> =
        outcomes(&report.folder).expect("outcomes").map(|one| one.expect("one").custom_id().to_owned()).collect();
    assert_eq!(names, expected);
    assert_eq!(paid(&gateway).0, 2);
}

/// Any mix of lines, shards, parts and failures: each line has what a run that sends all has for it.
#[tokio::test]
async fn each_line_has_the_outcome_of_the_line_that_it_equals_whatever_the_mix() {
    // A linear congruential generator: the same numbers on every machine.
    let mut state = 11_u64;
    let mut below = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let mut shared = 0;
    for case in 0..40 {
        let kinds = 1 + below(6);
        let line = |id: u64, kind: u64| match kind % 4 {
            0 => chat(&format!("{id}"), &format!("[[status=400]] {kind}")),
            1 => chat(&format!("{id}"), &format!("[[status=429]] {kind}")),
            2 => {
                let body = json!({"model": "auto", "input": format!("{kind}")});
                json!({"custom_id": format!("{id}"), "method": "POST", "url": "/v1/embeddings", "body": body})
                    .to_string()
                    + "\n"
            }
            _ => chat(&format!("{id}"), &format!("{kind}")),
        };
        let offset = below(4);
        let chosen: Vec<u64> = (0..1 + below(14)).map(|_| offset + below(kinds)).collect();
        let lines: Vec<String> = (0..)
            .zip(&chosen)
            .map(|(id, kind)| if below(3) == 0 { spelled(&line(id, *kind)) } else { line(id, *kind) })
            .collect();
        let (part, size, attempts) = (below(3), 1 + below(4), 1 + below(2) as u32);
        // The lines of the part that is run.
        let taken: Vec<usize> = (0..chosen.len()).filter(|at| part == 0 || *at as u64 % 2 == part - 1).collect();
        let refused = Fault::on(Operation::CreateBatch).nth(1).then(Effect::AnswerReplaced(Refusal::status(500)));
        let faults = (below(3) == 0 && !taken.is_empty()).then_some(refused);
        let (gateway, client) = gateway_with(faults).await;
        let place = Place::new(&lines);
        let of_part = |run: Run| match part {
            0 => run,
            part => run.partition(Partition::new(part as u32, 2).expect("a part")),
        };
        let run = of_part(place.run(&client, size)).folder(place.path("once.run")).dedupe(true).attempts(attempts);
        let report = run.execute().await.unwrap_or_else(|error| panic!("{case}: {error}"));
        let (_, times) = paid(&gateway);
        let results = json_lines(&report.results);

        let expected: Vec<String> = taken.iter().map(usize::to_string).collect();
        assert_eq!(ids(&results), expected, "{case}");
        let mut first: BTreeMap<u64, usize> = BTreeMap::new();
        for (place, at) in taken.iter().enumerate() {
            let of = *first.entry(chosen[*at]).or_insert(place);
            assert_eq!(came(&results[place]), came(&results[of]), "{case}");
        }
        // Those that were sent, and how often: what may well succeed is tried again.
        let sent: BTreeMap<String, u32> = first
            .iter()
            .map(|(kind, place)| (taken[*place].to_string(), if kind % 4 == 1 { attempts } else { 1 }))
            .collect();
        assert_eq!(times, sent, "{case}");
        let saved = report.deduplicated.map_or(0, |saved| saved.lines);
        assert_eq!(saved as usize, taken.len() - first.len(), "{case}");
        shared += saved;
        let tokens = |results: &[Value]| -> u64 {
            results.iter().filter_map(|line| line["response"]["body"]["usage"]["total_tokens"].as_u64()).sum()
        };
        let saved = report.deduplicated.map_or(0, |saved| saved.usage.total_tokens);
        assert_eq!(report.joined.usage.total_tokens + saved, tokens(&results), "{case}");

        let all = of_part(place.run(&client, size)).folder(place.path("all.run")).anew(true);
        let all = all.execute().await.unwrap_or_else(|error| panic!("{case}: {error}"));
        let results_of_all = json_lines(&all.results);
        for (once, each) in results.iter().zip(&results_of_all) {
            assert_eq!((&once["custom_id"], said(once)), (&each["custom_id"], said(each)), "{case}");
        }
        let failed = |folder: &Path| json_lines(&folder.join("failed.jsonl"));
        assert_eq!(failed(&report.folder), failed(&all.folder), "{case}");
        let counts =
            |joined: &lote::lines::Joined| (joined.lines, joined.succeeded, joined.failed, joined.models.clone());
        assert_eq!(counts(&report.joined), counts(&all.joined), "{case}");
    }
    assert!(shared > 100, "{shared} lines were not sent");
}

/// A line that came to nothing is sent again once, for all that equal it.
#[tokio::test]
async fn what_is_tried_again_is_tried_once_for_all() {
    let missing = Fault::on(Operation::OutputFile).nth(1).then(Effect::MissingLines { lines: 1 });
    let (gateway, client) = gateway_with(Some(missing)).await;
    let lines = [chat("a", "x"), chat("b", "x"), chat("c", "x"), chat("d", "y")];
    let place = Place::new(&lines);
    let report = place.run(&client, 4).dedupe(true).execute().await.expect("a report");
    let lost = report.joined.missing;
    assert!(lost == 3 || lost == 1, "{lost}");
    let report = open(&place, &client).repair(Repair::new().missing(true)).await.expect("a report");
    assert!(report.all_succeeded(), "{report:?}");
    assert_eq!(ids(&place.results()), ["a", "b", "c", "d"]);
    let results = place.results();
    assert!(came(&results[0]) == came(&results[1]) && came(&results[0]) == came(&results[2]));
    let (batches, times) = paid(&gateway);
    assert_eq!((batches, times.values().sum::<u32>(), times.len()), (2, 3, 2));
}

/// A shard that was halved, and one that is cancelled before it was sent.
#[tokio::test]
async fn halves_and_cancelled_shards_have_their_equals() {
    let big = Fault::on(Operation::UploadFile).nth(1).then(Effect::Status(Refusal::status(413)));
    let (_gateway, client) = gateway_with(Some(big)).await;
    let lines: Vec<String> = (0..12).map(|at| chat(&format!("{at}"), &format!("{}", at % 4))).collect();
    let place = Place::new(&lines);
    let report = place.run(&client, 4).dedupe(true).execute().await.expect("a report");
    assert!(report.all_succeeded() && report.batches.len() == 2, "{report:?}");
    let results = place.results();
    assert_eq!(ids(&results), (0..12).map(|at| at.to_string()).collect::<Vec<_>>());
    assert!((4..12).all(|at| came(&results[at]) == came(&results[at % 4])));

    let (_gateway, client) = gateway_with(None).await;
    // The first batch is not over before it is cancelled, so that the second is never made.
    let (x, y) = ("[[sleep=60000]] x", "[[sleep=60000]] y");
    let place = Place::new(&[chat("a", x), chat("b", y), chat("c", x), chat("d", y)]);
    place.run(&client, 1).max_open(1).dedupe(true).submit().await.expect("submitted");
    let report = open(&place, &client).cancel().await.expect("a report").expect("it is not at work elsewhere");
    let results = place.results();
    assert_eq!(ids(&results), ["a", "b", "c", "d"]);
    assert_eq!((came(&results[0]), came(&results[1])), (came(&results[2]), came(&results[3])));
    assert_eq!(results[3]["error"]["code"], "batch_cancelled");
    assert_eq!(report.joined.lines, 4);
}

/// Ends at every step, and is given again each time.
#[tokio::test]
async fn a_run_that_ends_at_any_step_is_gone_on_with() {
    let lines: Vec<String> = (0..9).map(|at| chat(&format!("{at}"), &format!("[[sleep=3]] {}", at % 4))).collect();
    let mut steps = 0;
    for end_at in 1.. {
        let (gateway, client) = gateway_with(None).await;
        let place = Place::new(&lines);
        let (count, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Notify::new()));
        let (counted, stopping) = (Arc::clone(&count), Arc::clone(&stop));
        let first = place.run(&client, 2).dedupe(true).on_progress(move |_| {
            if counted.fetch_add(1, Ordering::Relaxed) + 1 == end_at {
                stopping.notify_one();
            }
        });
        let ended = tokio::select! {
            biased;
            () = stop.notified() => None,
            ended = first.execute() => Some(ended.expect("a report")),
        };
        if ended.is_none() && place.path("requests.run").exists() {
            // What there is by then is told line by line, each equal one with the one that it equals.
            let so_far: RunOutcomes = outcomes(place.path("requests.run")).expect("outcomes");
            let (all, undecided) = (so_far.lines(), so_far.undecided());
            let came: Vec<u64> = so_far.map(|one| one.expect("one").custom_id().parse().expect("a number")).collect();
            assert_eq!((all, undecided + came.len() as u64), (9, 9), "at {end_at}: {came:?}");
            assert!(came.is_sorted() && came.iter().all(|at| came.contains(&(at % 4))), "at {end_at}: {came:?}");
        }
        let report = match ended {
            Some(report) => report,
            None => {
                let again = place.run(&client, 2).dedupe(true);
                again.execute().await.unwrap_or_else(|error| panic!("at {end_at}: {error}"))
            }
        };
        assert!(report.all_succeeded(), "at {end_at}");
        let results = place.results();
        assert_eq!(ids(&results), (0..9).map(|at| at.to_string()).collect::<Vec<_>>(), "at {end_at}");
        assert!((4..9).all(|at| came(&results[at]) == came(&results[at % 4])), "at {end_at}");
        let (batches, lines) = paid(&gateway);
        assert_eq!((batches, lines.len(), lines.values().max()), (2, 4, Some(&1)), "at {end_at}");
        steps = steps.max(count.load(Ordering::Relaxed));
        if count.load(Ordering::Relaxed) < end_at {
            break;
        }
    }
    assert!(steps > 10, "{steps} steps");
}

/// What says which lines are equal was lost or changed: nothing is told by guess, and the same input makes it again.
#[tokio::test]
async fn what_says_which_lines_are_equal_is_held_against_what_was_written() {
    let lines: Vec<String> = (0..6).map(|at| chat(&format!("{at}"), &format!("[[sleep=60000]] {}", at % 2))).collect();
    let (gateway, client) = standing(None).await;
    let place = Place::new(&lines);
    let submitted = place.run(&client, 1).dedupe(true).submit().await.expect("submitted");
    assert_eq!(submitted.phase, RunPhase::Stopped);
    let copies = place.path("requests.run/copies");
    let written = fs::read_to_string(&copies).expect("the file");
    assert_eq!(written, "2 1 \"2\"\n2 2 \"3\"\n2 1 \"4\"\n2 2 \"5\"\n");
    for changed in [
        "",
        "2 1 \"2\"\n",
        &written.replace("\"5\"", "\"7\""),
        &written.replace("2 2", "2 3"),
        &written.replace("2 2", "2 0"),
        &written.replace("2 2", "9 2"),
        &written.replace("2 2", "1 1"),
        &written.replace(' ', ""),
        &format!("{written}2 1 \"6\"\n"),
        "\u{fffd}\n\n\n\n",
    ] {
        fs::write(&copies, changed).expect("changed");
        let Err(error) = passing(&gateway, open(&place, &client).execute()).await else {
            panic!("{changed:?} was believed")
        };
        assert!(error.is_io() && error.to_string().contains("copies"), "{changed:?}: {error}");
        assert!(!place.path("requests.run/results.jsonl").exists());
        let mut said = outcomes(place.path("requests.run")).expect("nothing is undecided");
        assert!(said.any(|one| one.is_err()), "{changed:?}");
    }
    fs::remove_file(&copies).expect("removed");
    let error = passing(&gateway, open(&place, &client).execute()).await.expect_err("it is not there");
    assert!(error.is_io() && error.to_string().contains("copies"), "{error}");
    // The input is there, and is given again.
    let report = passing(&gateway, place.run(&client, 1).dedupe(true).execute()).await.expect("a report");
    assert_eq!(fs::read_to_string(&copies).expect("the file"), written);
    assert_eq!((report.joined.lines, report.joined.succeeded), (6, 6));
}

#[tokio::test]
async fn results_are_made_again_after_a_cleaning_and_told_in_part_while_a_shard_is_held() {
    let refused = Fault::on(Operation::CreateBatch).nth(2).then(Effect::Status(Refusal::status(400)));
    let (gateway, client) = gateway_with(Some(refused)).await;
    let place = Place::new(&[chat("a", "x"), chat("b", "y"), chat("c", "x"), chat("d", "y"), chat("e", "y")]);
    let folder = place.path("requests.run");
    let error = place.run(&client, 1).dedupe(true).partial(true).execute().await.expect_err("a shard is held");
    let report = error.report().expect("what there is");
    assert_eq!((report.joined.lines, report.joined.succeeded, report.undecided), (5, 2, 3));
    let codes: Vec<Value> = place.results().iter().map(|line| line["error"]["code"].clone()).collect();
    assert_eq!(codes, [json!(null), json!("held"), json!(null), json!("held"), json!("held")]);
    assert_eq!(ids(&place.results()), ["a", "b", "c", "d", "e"]);
    // Nothing of what is undecided is fit to be sent again.
    assert_eq!(fs::read(folder.join("failed.jsonl")).expect("a file"), b"");
    assert_eq!(outcomes(&folder).expect("outcomes").undecided(), 3);

    let whole = open(&place, &client).execute().await.expect("a report");
    assert!(whole.all_succeeded());
    let results = fs::read(&whole.results).expect("results");
    clean(&folder, Clean::new()).expect("cleaned");
    assert!(!folder.join("copies").exists() && !folder.join("shards/0001/requests.jsonl").exists());
    let again = open(&place, &client).execute().await.expect("a report");
    assert_eq!((&again.joined, again.deduplicated), (&whole.joined, whole.deduplicated));
    // The results are lost as well: they are made again of the answers, with the input.
    fs::remove_file(&whole.results).expect("removed");
    let again = place.run(&client, 1).dedupe(true).execute().await.expect("a report");
    assert_eq!(fs::read(&again.results).expect("results"), results);
    let (batches, times) = paid(&gateway);
    assert!(batches == 2 && times.values().all(|times| *times == 1), "{times:?}");
}

#[tokio::test]
async fn the_parts_of_an_input_count_tokens_once_where_they_are_put_together() {
    let (_gateway, client) = gateway_with(None).await;
    let lines: Vec<String> = (0..9).map(|at| chat(&format!("{at}"), &format!("{}", at % 3))).collect();
    let place = Place::new(&lines);
    let mut folders = Vec::new();
    let (mut tokens, mut saved) = (0, 0);
    for part in 1..=2 {
        let run = place.run(&client, 10).partition(Partition::new(part, 2).expect("a part")).dedupe(true);
        let report = run.execute().await.expect("a report");
        tokens += report.joined.usage.total_tokens;
        saved += report.deduplicated.map_or(0, |saved| saved.lines);
        folders.push(report.folder);
    }
    // Equal within a part: three of each.
    assert_eq!(saved, 3);
    let mut results = Vec::new();
    let joined = join_parts(&folders, &mut results).expect("the parts of one input");
    assert_eq!((joined.lines, joined.succeeded, joined.usage.total_tokens), (9, 9, tokens));
}

/// Nothing is equal: the run is like any other.
#[tokio::test]
async fn a_run_without_equal_lines_has_no_more_than_others() {
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x"), chat("b", "y")]);
    let limits = Limits { max_lines: 1, ..Limits::default() };
    let report = place.run(&client, 1).limits(limits).dedupe(true).execute().await.expect("a report");
    assert!(report.all_succeeded() && report.deduplicated.is_none(), "{report:?}");
    assert!(!place.path("requests.run/copies").exists());
    assert_eq!(status(&report.folder).expect("a status").deduplicated, 0);
}
