//! Tests of runs of parts of an input: the loops of the guide in a real shell, and what `lote join` makes of their folders.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::{command, ended, folder, lote_in, lote_with, names};
use crate::service::{Embedded, Unasked, at, json, requests};
use crate::shell::{blocks, shell};

fn ids(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("the results");
    let id = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON on each line");
        line["custom_id"].as_str().expect("an id").to_owned()
    };
    text.lines().map(id).collect()
}

#[test]
fn the_guides_loops_run_all_parts_and_join_them() {
    let blocks = blocks("docs/guide/parts.md");
    let [in_turn, at_once, kubernetes, slurm, airflow] = blocks.as_slice() else { panic!("{blocks:?}") };
    let prompts = ["a", "b", "[[status=400]] c", "d", "e", "f", "g"];
    let expected: Vec<String> = (1..=7).map(|row| format!("row-{row}")).collect();
    let gateway = Embedded::start();
    let place = || folder(&[("requests.jsonl", &requests(&prompts))]);
    let join = "lote join requests.*-of-4.run -o results.jsonl";

    let first = place();
    let looped = shell(in_turn, &gateway, first.path(), &[]);
    assert_eq!(looped.code, 1, "a line failed: {looped:?}");
    assert_eq!(ids(&first.path().join("results.jsonl")), expected);
    let made = names(first.path());
    let runs: Vec<String> = (1..=4).map(|part| format!("requests.{part}-of-4.run")).collect();
    assert!(runs.iter().all(|run| made.contains(run)) && made.len() == 6, "{made:?}");
    let batches = || json(&gateway.lote(["batches", "list", "--limit", "100"]))["data"].as_array().map(Vec::len);
    assert_eq!(batches(), Some(4));
    // Again: finished parts make no call, and the same results are written over themselves.
    assert_eq!(shell(in_turn, &gateway, first.path(), &[]).code, 1);
    assert_eq!(batches(), Some(4));

    // A run whose folder is elsewhere would be noticed: the lines of each of these are others.
    let with_others = |name: &str| {
        let lines = String::from_utf8(requests(&prompts)).expect("UTF-8").replace("row-", name);
        (folder(&[("requests.jsonl", lines.as_bytes())]), expected.iter().map(|id| id.replace("row-", name)).collect())
    };
    let (second, expected): (_, Vec<String>) = with_others("once-");
    let once = shell(&format!("{at_once}\n{join}"), &gateway, second.path(), &[]);
    assert_eq!(once.code, 1, "{once:?}");
    assert_eq!(ids(&second.path().join("results.jsonl")), expected);

    let numbered = |from: u32, name: &'static str| (0..4).map(move |at| vec![(name, (at + from).to_string())]);
    let slurm_count = ("SLURM_ARRAY_TASK_COUNT", "4".to_owned());
    type Settings = Vec<(&'static str, String)>;
    let tasks: [(&str, &str, Vec<Settings>); 3] = [
        ("k8s-", kubernetes, numbered(0, "JOB_COMPLETION_INDEX").collect()),
        (
            "slurm-",
            slurm,
            numbered(1, "SLURM_ARRAY_TASK_ID").map(|set| [set, vec![slurm_count.clone()]].concat()).collect(),
        ),
        ("airflow-", airflow, numbered(1, "PART").collect()),
    ];
    for (name, command, tasks) in tasks {
        let (place, expected): (_, Vec<String>) = with_others(name);
        for (at, task) in tasks.iter().enumerate() {
            let ran = shell(command, &gateway, place.path(), task);
            assert_eq!(ran.code, i32::from(at == 2), "{name}: {ran:?}");
        }
        assert_eq!(shell(join, &gateway, place.path(), &[]).code, 1);
        assert_eq!(ids(&place.path().join("results.jsonl")), expected, "{name}");
    }
}

#[test]
fn a_part_is_planned_as_it_is_run() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b", "c", "d", "e"]))]);
    let planned = lote_in(crate::common::command(), place.path(), &["plan", "requests.jsonl", "--partition", "2/3"]);
    assert_eq!(planned.code, 0, "{planned:?}");
    assert!(planned.stdout.contains("\npart 2/3, 1 shard: 2 request lines, "), "{planned:?}");
    let args = ["plan", "requests.jsonl", "--partition", "2/3", "--limit", "4", "--json"];
    let planned = json(&lote_in(crate::common::command(), place.path(), &args));
    assert_eq!((&planned["lines"], &planned["partition"]), (&1.into(), &serde_json::json!({"part": 2, "of": 3})));
    let whole = json(&lote_in(crate::common::command(), place.path(), &["plan", "requests.jsonl", "--json"]));
    assert!(whole.get("partition").is_none(), "{whole}");
    let none = lote_in(crate::common::command(), place.path(), &["plan", "requests.jsonl", "--partition", "9/9"]);
    assert!(none.code == 0 && none.stdout.ends_with("part 9/9, 0 shards: 0 request lines, 0 bytes\n"), "{none:?}");
    assert_eq!(names(place.path()), ["requests.jsonl"]);
    for part in ["0/3", "4/3", "1/0", "1", "a/b", "-1/2"] {
        for command in ["plan", "run"] {
            let refused = lote_in(
                crate::common::command(),
                place.path(),
                &[command, "requests.jsonl", &format!("--partition={part}")],
            );
            assert_eq!(refused.code, 2, "{refused:?}");
            assert!(refused.stderr.contains("--partition"), "{refused:?}");
        }
    }
}

#[test]
fn a_part_without_a_line_is_exit_0_and_asks_nobody() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let unasked = Unasked::listen();
    let run = ["run", "requests.jsonl", "--partition", "2/2", "-o", "results.jsonl"];
    for again in [&run[..], &[&run[..], &["--detach"]].concat(), &["resume", "requests.2-of-2.run"]] {
        let ended = lote_in(at(&unasked.url()), place.path(), again);
        assert_eq!(ended.code, 0, "{ended:?}");
        let said = "0 of 0 lines succeeded, 0 failed, 0 missing; there was nothing to send\n";
        assert!(ended.stdout.starts_with(said), "{ended:?}");
    }
    assert_eq!(fs::read(place.path().join("results.jsonl")).expect("results"), b"");
    let status = lote_in(crate::common::command(), place.path(), &["status"]);
    assert!(
        status.stdout.starts_with("requests.2-of-2.run: finished\n0 of 0 lines succeeded, 0 failed, 0 missing\n"),
        "{status:?}"
    );
    assert!(status.stdout.contains("\npart 2/2 of its requests\n"), "{status:?}");
    unasked.assert("a part without a line");
}

#[test]
fn parts_of_stdin_have_folders_of_their_own() {
    let place = folder(&[]);
    let gateway = Embedded::start();
    for part in ["1/2", "2/2"] {
        let mut command = at(gateway.url());
        command.current_dir(place.path()).args(["run", "-", "--partition", part]);
        let ended = ended(&mut command, &requests(&["a", "b", "c"]));
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    let runs = names(place.path());
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert!(runs[0].starts_with("stdin-") && runs[0].ends_with(".1-of-2.run"), "{runs:?}");
    let args = ["join", &runs[1], &runs[0], "-o", "-"];
    let joined = lote_in(crate::common::command(), place.path(), &args);
    assert_eq!((joined.code, joined.stdout.lines().count()), (0, 3), "{joined:?}");
    assert!(joined.stderr.starts_with("3 of 3 lines succeeded"), "{joined:?}");
}

#[test]
fn what_is_no_part_is_not_joined_and_nothing_is_written() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b", "c"])), ("answers.jsonl", b"")]);
    let gateway = Embedded::start();
    for part in ["1/3", "2/3"] {
        assert_eq!(lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl", "--partition", part]).code, 0);
    }
    for (args, said) in [
        (&["requests.1-of-3.run", "requests.2-of-3.run"][..], "these are missing: 3"),
        (&["requests.1-of-3.run", "requests.1-of-3.run"], "is of part 1/3, as is that in"),
        (&["requests.1-of-3.run", "answers.jsonl"], "answers.jsonl: no folder"),
        (&["requests.1-of-3.run", "requests.1-of-3.run/shards"], "holds something else than a run"),
        (&["answers.jsonl", "requests.1-of-3.run"], "is a folder"),
    ] {
        let refused =
            lote_in(crate::common::command(), place.path(), &[&["join"], args, &["-o", "joined.jsonl"]].concat());
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
    for output in ["requests.1-of-3.run/all.jsonl", "requests.2-of-3.run/shards/all.jsonl"] {
        let args = ["join", "requests.1-of-3.run", "requests.2-of-3.run", "-o", output];
        let inside = lote_in(crate::common::command(), place.path(), &args);
        assert!(inside.code == 2 && inside.stderr.contains("it is in the folder of a run"), "{inside:?}");
    }
    assert!(!names(place.path()).contains(&"joined.jsonl".to_owned()));
    assert_eq!(lote_with(["join", "requests.1-of-3.run"], b"").code, 2);
}

#[test]
fn one_part_of_one_is_joined_too() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b"]))]);
    let ran = lote_in(command(), place.path(), &["run", "requests.jsonl", "--partition", "1/1", "--embedded"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let joined = lote_in(command(), place.path(), &["join", "requests.1-of-1.run", "-o", "joined.jsonl"]);
    assert_eq!(joined.code, 0, "{joined:?}");
    let read = |name: &str| std::fs::read(place.path().join(name)).expect("results");
    assert_eq!(read("joined.jsonl"), read("requests.1-of-1.run/results.jsonl"));
    // Of requests alone nothing can be joined.
    let refused = lote_in(command(), place.path(), &["join", "requests.jsonl", "-o", "other.jsonl"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("no file of answers is named"), "{refused:?}");
}
