//! Owns the tests of the files of a batch that is over: those that are named late or never, and counts that differ from
//! what came.

use std::{fs, time::Duration};

use lote::Tolerance;
use serde_json::{Value, json};

use super::{Place, batch, file, line, succeeded, uploaded};
use crate::common::{Odd, Reply};

/// What a service says of a batch that is over: its counts, and the files that it names.
fn over(status: &str, [total, completed, failed]: [u64; 3], files: Value) -> Reply {
    let mut fields = json!({
        "status": status, "request_counts": {"total": total, "completed": completed, "failed": failed},
    });
    fields.as_object_mut().expect("an object").extend(files.as_object().expect("an object").clone());
    batch(fields)
}

fn failed(id: &str, code: &str) -> String {
    json!({"id": "r", "custom_id": id, "response": null, "error": {"code": code, "message": "x"}}).to_string() + "\n"
}

fn three() -> Place {
    Place::new(&["a", "b", "c"].map(|id| line(id, "x")))
}

/// The paths that were asked for after the create.
fn looked(odd: &Odd) -> Vec<String> {
    let paths = odd.requests().into_iter().skip(2);
    paths.map(|head| head.split(' ').nth(1).expect("a path").replace("/v1/", "")).collect()
}

#[tokio::test]
async fn files_that_are_named_late_are_waited_for() {
    let output = json!({"output_file_id": "o"});
    let both = json!({"output_file_id": "o", "error_file_id": "e"});
    let all = || file(&["c", "a", "b"].map(succeeded));
    let (two, one) = (|| file(&["a", "b"].map(succeeded)), || file(&[failed("c", "server_error")]));
    let (look, o, e) = ("batches/batch_1", "files/o/content", "files/e/content");
    let answered = succeeded;
    for (what, replies, asked, succeeded) in [
        (
            "nothing is named at first, or by an empty name",
            vec![
                over("completed", [3, 3, 0], json!({})),
                over("completed", [3, 3, 0], json!({"output_file_id": "", "error_file_id": ""})),
                over("completed", [3, 3, 0], output.clone()),
                all(),
            ],
            vec![look, look, look, o],
            3,
        ),
        (
            "the error file is named later than the output file",
            vec![
                over("completed", [3, 2, 1], output.clone()),
                two(),
                over("completed", [3, 2, 1], both.clone()),
                one(),
            ],
            vec![look, o, look, e],
            2,
        ),
        (
            "the output file is named later than the error file",
            vec![
                over("expired", [3, 2, 1], json!({"error_file_id": "e"})),
                one(),
                // Asked elsewhere, it knows less.
                over("in_progress", [3, 0, 0], json!({})),
                over("expired", [3, 2, 1], output.clone()),
                two(),
            ],
            vec![look, e, look, look, o],
            2,
        ),
        (
            "a file is empty just after the end",
            vec![
                over("completed", [3, 3, 0], output.clone()),
                file(&[]),
                over("completed", [3, 3, 0], output.clone()),
                all(),
            ],
            vec![look, o, look, o],
            3,
        ),
        (
            "looks that fail are survived",
            vec![
                over("completed", [3, 3, 0], json!({})),
                Reply::Nothing,
                over("completed", [3, 3, 0], output.clone()),
                all(),
            ],
            vec![look, look, look, o],
            3,
        ),
        (
            "all lines are in one file: nothing is late",
            vec![
                over("completed", [3, 2, 1], output.clone()),
                file(&[answered("a"), answered("b"), failed("c", "server_error")]),
            ],
            vec![look, o],
            2,
        ),
        (
            "all lines failed: no output file is needed",
            vec![
                over("completed", [3, 0, 3], json!({"output_file_id": null, "error_file_id": "e"})),
                file(&["a", "b", "c"].map(|id| failed(id, "server_error"))),
            ],
            vec![look, e],
            0,
        ),
        (
            "counts leave out what expired",
            vec![
                over("expired", [3, 1, 0], both.clone()),
                file(&[answered("a")]),
                file(&["b", "c"].map(|id| failed(id, "batch_expired"))),
            ],
            vec![look, o, e],
            1,
        ),
    ] {
        let place = three();
        let odd = Odd::new([uploaded(), batch(json!({}))].into_iter().chain(replies));
        let report = place.run(&odd.client()).execute().await.expect(what);
        assert_eq!(looked(&odd), asked, "{what}");
        let joined = &report.joined;
        assert_eq!((joined.succeeded, joined.missing, joined.anomalies.len()), (succeeded, 0, 0), "{what}: {joined:?}");
        let summary = fs::read(report.folder.join("shards/0001/summary.json")).expect("it");
        let batch = serde_json::from_slice::<Value>(&summary).expect("JSON")["batch"].clone();
        assert_eq!(batch["output_file_id"].as_str().is_some(), succeeded > 0, "{what}");
    }
}

#[tokio::test]
async fn files_that_are_never_named_are_told_and_nothing_is_taken_for_missing() {
    for (files, said) in [
        (json!({}), "its counts say that 3 lines succeeded, but it names no output file"),
        (json!({"output_file_id": ""}), "its counts say that 3 lines succeeded, but it names no output file"),
        (json!({"output_file_id": "o"}), "its counts say that 3 lines succeeded, but its output file o is empty"),
    ] {
        let place = three();
        let reply = || over("completed", [3, 3, 0], files.clone());
        let empty = files["output_file_id"] == "o";
        let mut replies = vec![uploaded(), batch(json!({})), reply()];
        replies.extend(empty.then(|| file(&[])));
        let odd = Odd::new(replies);
        // No time: it is not asked again.
        let run = place.run(&odd.client()).tolerance(Tolerance::default().late_files(Duration::ZERO));
        let error = run.execute().await.expect_err("late");
        let text = error.to_string();
        assert!(text.contains("batch batch_1 is completed, and ") && text.contains(said), "{text}");
        assert!(error.is_held(), "{text}");
        assert!(!error.is_ambiguous(), "{text}");
        assert!(!place.path("requests.run/results.jsonl").exists());
        assert_eq!(place.shard(), ("over", Some("batch_1".to_owned())));
        // The same run asks again, and finds it there.
        odd.more([over("completed", [3, 3, 0], json!({"output_file_id": "o"})), file(&["a", "b", "c"].map(succeeded))]);
        let report = place.run(&odd.client()).execute().await.expect("a report");
        assert!(report.all_succeeded());
    }
}

#[tokio::test]
async fn what_the_batch_says_is_held_against_what_came() {
    let both = json!({"output_file_id": "o", "error_file_id": "e"});
    let usage = |tokens: u64| json!({"input_tokens": 4, "output_tokens": 2, "total_tokens": tokens});
    let with_usage = |tokens: u64| {
        let mut files = json!({"output_file_id": "o"});
        files["usage"] = usage(tokens);
        files
    };
    let two = || file(&["a", "b"].map(succeeded));
    let counts = "batch batch_1: its counts say that ";
    for (replies, lines, code, said) in [
        (
            vec![over("completed", [3, 3, 0], json!({"output_file_id": "o"})), two()],
            3,
            "counts_differ",
            format!("{counts}3 of 3 lines ended (3 completed, 0 failed), but its files hold 2"),
        ),
        (
            vec![over("completed", [2, 1, 0], both.clone()), two(), file(&[failed("c", "batch_cancelled")])],
            3,
            "counts_differ",
            format!("{counts}1 of 2 lines ended (1 completed, 0 failed), but its files hold 2"),
        ),
        (
            // The error file is never named.
            vec![over("completed", [3, 2, 1], json!({"output_file_id": "o"})), two()],
            3,
            "counts_differ",
            format!("{counts}3 of 3 lines ended (2 completed, 1 failed), but its files hold 2"),
        ),
        (
            vec![over("completed", [2, 2, 0], with_usage(60)), two()],
            2,
            "usage_differs",
            "batch batch_1: it says that it used 60 tokens (4 in, 2 out), but its lines say 6 tokens (4 in, 2 out)"
                .to_owned(),
        ),
    ] {
        let place = Place::new(&["a", "b", "c"].map(|id| line(id, "x"))[..lines]);
        let odd = Odd::new([uploaded(), batch(json!({}))].into_iter().chain(replies));
        let run = place.run(&odd.client()).tolerance(Tolerance::default().late_files(Duration::ZERO));
        let report = run.execute().await.expect("a report");
        let found: Vec<_> =
            report.joined.anomalies.iter().map(|found| (found.code.as_str(), found.to_string())).collect();
        assert_eq!(found, [(code, said.clone())]);
        let summary = fs::read_to_string(report.folder.join("summary.json")).expect("the summary");
        let summary: Value = serde_json::from_str(&summary).expect("JSON");
        assert_eq!(
            (summary["anomalies"][0]["code"].as_str(), summary["answers"].as_u64()),
            (Some(code), Some(2 + u64::from(said.contains("1 of 2"))))
        );
    }

    for (counts, files, lines) in [
        // What is not said cannot differ.
        ([0, 0, 0], with_usage(0), 2),
        // All that was used, to the token.
        ([2, 2, 0], with_usage(6), 2),
        // Failed lines that are counted as completed too.
        ([2, 2, 1], both.clone(), 2),
        // A line that expired, counted as one that failed.
        ([3, 2, 1], both, 3),
    ] {
        let place = Place::new(&["a", "b", "c"].map(|id| line(id, "x"))[..lines]);
        let mut replies = vec![uploaded(), batch(json!({})), over("expired", counts, files.clone()), two()];
        if files["error_file_id"] == "e" {
            replies.push(file(if lines == 3 { vec![failed("c", "batch_expired")] } else { Vec::new() }.as_slice()));
        }
        let odd = Odd::new(replies);
        let run = place.run(&odd.client()).tolerance(Tolerance::default().late_files(Duration::ZERO));
        let report = run.execute().await.expect("a report");
        assert_eq!(report.joined.anomalies, [], "{counts:?}");
    }
}
