//! Tests of runs of parts of an input: each line is in one of them, and their results make up those of the whole.

use std::{fs, path::PathBuf};

use lote::{
    lines::Limits,
    run::{Partition, PlanOptions, Run, RunPhase, join_parts, plan, status},
};
use lote_gateway::Gateway;

use crate::runs_common::{Place, chat, embedding, gateway_with, ids, json_lines, paid};

fn part(part: u32, of: u32) -> Partition {
    Partition::new(part, of).expect("a part")
}

/// Lines of two endpoints in turn, one of which fails.
fn lines(count: u32) -> Vec<String> {
    (0..count)
        .map(|at| match at % 3 {
            0 => embedding(&format!("e-{at}")),
            _ if at == 4 => chat("c-4", "[[status=400]]"),
            _ => chat(&format!("c-{at}"), "x"),
        })
        .collect()
}

#[tokio::test]
async fn the_results_of_all_parts_are_those_of_the_whole_in_its_order() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&lines(11));
    let requests = place.path("requests.jsonl");
    let whole = place.run(&client, 3).folder(place.path("whole.run")).execute().await.expect("a report");
    for of in [1, 2, 4, 13] {
        let mut folders: Vec<PathBuf> = Vec::new();
        for number in 1..=of {
            let report = place.run(&client, 3).partition(part(number, of)).execute().await.expect("a report");
            assert_eq!(report.folder, place.path(&format!("requests.{number}-of-{of}.run")));
            let planned = plan([&requests], &PlanOptions::new().partition(part(number, of))).expect("a plan");
            assert_eq!((planned.lines, planned.partition), (report.joined.lines, Some(part(number, of))));
            let expected: Vec<String> =
                ids(&json_lines(&requests)).into_iter().skip(number as usize - 1).step_by(of as usize).collect();
            assert_eq!(ids(&json_lines(&report.results)), expected, "{number}/{of}");
            assert_eq!(status(&report.folder).expect("a run").partition, Some(part(number, of)));
            folders.push(report.folder);
        }
        folders.reverse();
        let mut results = Vec::new();
        let joined = join_parts(&folders, &mut results).expect("the parts of one input");
        assert_eq!((joined.lines, joined.succeeded, joined.failed), (11, 10, 1));
        assert_eq!(joined.usage, whole.joined.usage);
        fs::write(place.path("joined.jsonl"), results).expect("written");
        let (joined, whole) = (json_lines(&place.path("joined.jsonl")), json_lines(&whole.results));
        assert_eq!(ids(&joined), ids(&whole));
        for (joined, whole) in joined.iter().zip(&whole) {
            for field in ["choices", "data", "error"] {
                assert_eq!(joined["response"]["body"][field], whole["response"]["body"][field]);
            }
        }
    }
    let (_, times) = paid(&gateway);
    assert!(times.len() == 11 && times.values().all(|times| *times == 5), "{times:?}");
}

/// With more parts than lines some have none: each is a run like another, of which nothing is sent.
#[tokio::test]
async fn a_part_without_a_line_is_a_finished_run_of_nothing() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&lines(2));
    let run = || place.run(&client, 10).partition(part(3, 3));
    // Nobody is there to be called.
    let before = gateway.journal().len();
    let submitted = run().submit().await.expect("a status");
    assert_eq!((submitted.phase, submitted.lines, submitted.shards.len()), (RunPhase::Finished, 0, 0));
    for attempts in [1, 3] {
        let report = run().attempts(attempts).output(place.path("out.jsonl")).execute().await.expect("a report");
        assert!(report.all_succeeded() && report.batches.is_empty() && report.joined.lines == 0, "{report:?}");
        assert_eq!(fs::read(place.path("out.jsonl")).expect("the results"), b"");
    }
    let report = Run::open(&client, submitted.folder).execute().await.expect("a report");
    assert_eq!(fs::read(report.results).expect("the results"), b"");
    assert_eq!(gateway.journal().len(), before);
    // A line more, and it has one: nothing is owed for nothing.
    fs::write(place.path("requests.jsonl"), lines(3).concat()).expect("written");
    assert_eq!(run().execute().await.expect("a report").joined.lines, 1);
}

#[tokio::test]
async fn a_folder_is_that_of_one_part_and_the_first_lines_are_taken_before_the_part() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&lines(9));
    let folder = || place.path("one.run");
    let run = || place.run(&client, 10).folder(folder());
    let first = run().first_lines(5).partition(part(2, 2)).execute().await.expect("a report");
    assert_eq!(ids(&json_lines(&first.results)), ["c-1", "e-3"]);
    for (other, said) in [
        (run().first_lines(5), "the part of the input was 2/2, and is all now"),
        (run().first_lines(5).partition(part(1, 2)), "the part of the input was 2/2, and is 1/2 now"),
        (run().first_lines(6).partition(part(2, 2)), "the limit of lines was 5, and is 6 now"),
    ] {
        let error = other.execute().await.expect_err("another run");
        assert!(error.is_taken() && error.to_string().contains(said), "{error}");
    }
    assert_eq!(run().first_lines(5).partition(part(2, 2)).execute().await.expect("the same").joined, first.joined);
    // A custom_id that another part has as well.
    fs::write(place.path("requests.jsonl"), lines(9).concat() + &lines(1).concat()).expect("written");
    let error = place.run(&client, 10).partition(part(3, 4)).execute().await.expect_err("a finding of another part");
    assert!(error.is_input(), "{error}");
    let (batches, _) = paid(&gateway);
    assert_eq!(batches, 2);
}

#[tokio::test]
async fn what_is_no_set_of_finished_parts_of_one_input_is_not_put_together() {
    let (_gateway, client) = gateway_with(None).await;
    let changed: Vec<String> =
        lines(5).iter().map(|line| line.replace("e-", "other-").replace("c-", "other-")).collect();
    let (place, other) = (Place::new(&lines(5)), Place::new(&changed));
    let folder = |number: u32| place.path(&format!("requests.{number}-of-2.run"));
    for number in 1..=2 {
        place.run(&client, 10).partition(part(number, 2)).execute().await.expect("a report");
        other.run(&client, 10).partition(part(number, 2)).execute().await.expect("a report");
    }
    place.run(&client, 10).partition(part(1, 3)).execute().await.expect("a report");
    place.run(&client, 10).execute().await.expect("a report");
    let refused = |folders: &[PathBuf]| {
        let error = join_parts(folders, &mut Vec::new()).expect_err("no set of parts");
        assert!(error.is_place(), "{error}");
        error.to_string()
    };
    assert!(refused(&[]).contains("no part"));
    assert!(refused(&[folder(2)]).contains("these are missing: 1"));
    assert!(refused(&[folder(1), folder(1), folder(2)]).contains("is of part 1/2, as is that in"));
    assert!(refused(&[folder(1), other.path("requests.2-of-2.run")]).contains("of another input than that in"));
    assert!(
        refused(&[folder(1), place.path("requests.1-of-3.run")]).contains("its run is one of 3 parts, and that in")
    );
    assert!(refused(&[folder(1), place.path("requests.run")]).contains("not that of a part"));
    assert!(refused(&[folder(1), place.path("nowhere")]).contains("holds no run"));

    // A part that is not finished, and one whose results were changed, in length or not.
    let slow = Place::new(&[chat("a", "x"), chat("b", "[[sleep=60000]]")]);
    slow.run(&client, 10).partition(part(2, 2)).submit().await.expect("submitted");
    assert!(refused(&[slow.path("requests.2-of-2.run")]).contains("part 2/2, is not finished"));
    let results = folder(2).join("results.jsonl");
    let written = fs::read(&results).expect("the results");
    for changed in [
        &written[..written.len() - 1],
        &written[..0],
        &[&written[..], &written[..]].concat(),
        &String::from_utf8_lossy(&written).replace("c-1", "c-9").into_bytes(),
    ] {
        fs::write(&results, changed).expect("changed");
        let error = join_parts([folder(1), folder(2)], &mut Vec::new()).expect_err("changed results");
        assert!(error.is_io() && error.to_string().contains("as the run of part 2/2 has written it"), "{error}");
    }
    fs::write(&results, &written).expect("as it was");
    assert_eq!(join_parts([folder(1), folder(2)], &mut Vec::new()).expect("parts").lines, 5);
}

/// The same cut whatever the limits of a batch and the files that the lines are in.
#[tokio::test]
async fn the_cut_is_the_same_everywhere() {
    let gateway = Gateway::builder().start().await.expect("it starts");
    let client = lote::Client::builder().base_url(gateway.url()).api_key("mk-test").build().expect("a client");
    let lines = lines(12);
    let (one, two) = (Place::new(&lines), Place::new(&lines[..5]));
    fs::write(two.path("more.jsonl"), format!("\n{}\r\n", lines[5..].concat().trim_end())).expect("written");
    let alone = one.run(&client, 1).partition(part(3, 5)).execute().await.expect("a report");
    let inputs = [two.path("requests.jsonl"), two.path("more.jsonl")];
    let limits = Limits { max_lines: 100, ..Limits::default() };
    let together = Run::of_files(&client, inputs).limits(limits).partition(part(3, 5)).execute().await;
    let together = together.expect("a report");
    assert_eq!(ids(&json_lines(&alone.results)), ["c-2", "c-7"]);
    assert_eq!(ids(&json_lines(&together.results)), ["c-2", "c-7"]);
}
