//! Owns the tests of `lote batches` on a service that behaves, and of what it refuses to send.

use std::time::Duration;

use lote_gateway::Gateway;
use serde_json::{Value, json};

use crate::common::{Ended, ended, folder, lote};
use crate::service::{Embedded, Odd, Steady, Unasked, answer, ask, at, json, json_lines};

#[test]
fn from_create_to_its_end() {
    let gateway = Embedded::start();
    let input = gateway.upload(&crate::service::requests(&["1 + 1?", "2 + 2?"]));
    let created =
        gateway.lote(["batches", "create", &input, "--endpoint", "/v1/chat/completions", "--metadata", "run=7"]);
    assert_eq!((created.code, created.stderr.as_str()), (0, ""), "{created:?}");
    assert!(created.stdout.starts_with("{\n  \"id\": \"batch_"), "{}", created.stdout);
    let created = json(&created);
    assert_eq!((&created["input_file_id"], &created["metadata"]), (&json!(input), &json!({"run": "7"})));
    let id = created["id"].as_str().expect("an id");

    let waited = gateway.lote(["batches", "wait", id, "--timeout", "99999999h"]);
    assert_eq!((waited.code, waited.stderr.as_str()), (0, ""), "{waited:?}");
    let batch = json(&waited);
    assert_eq!(batch["status"], "completed");
    assert_eq!(batch["request_counts"], json!({"total": 2, "completed": 2, "failed": 0}));

    let got = gateway.lote(["batches", "get", id]);
    assert_eq!((got.code, json(&got)), (0, batch.clone()));
    let content = gateway.lote(["files", "content", batch["output_file_id"].as_str().expect("an output file")]);
    assert_eq!((content.code, json_lines(&content).len()), (0, 2), "{content:?}");

    let cancelled = gateway.lote(["batches", "cancel", id]);
    assert_eq!((cancelled.code, cancelled.stdout.as_str()), (4, ""), "{cancelled:?}");
    assert!(
        cancelled.stderr.starts_with(&format!("error: cancel batch {id}: the service answered 409")),
        "{cancelled:?}"
    );
}

#[test]
fn a_wait_tells_how_it_ended() {
    let gateway = Embedded::start();
    let expiring = Embedded::with(Gateway::builder().window(Duration::from_millis(1)));
    let wait = |gateway: &Embedded, id: &str| gateway.lote(["batches", "wait", id]);
    let check = |ended: &Ended, code: i32, status: &str, stderr: &str| {
        assert_eq!((ended.code, json(ended)["status"].as_str()), (code, Some(status)), "{ended:?}");
        assert!(ended.stderr.contains(stderr), "{ended:?}");
    };

    let failing = gateway.batch(&["1 + 1?", "[[status=429]]", "2 + 2?"]);
    check(&wait(&gateway, &failing), 1, "completed", "2 of 3 lines succeeded");
    check(&wait(&expiring, &expiring.batch(&["[[sleep=60000]]"])), 1, "expired", "is expired");

    let slow = gateway.batch(&["[[sleep=60000]]"]);
    let gave_up = gateway.lote(["batches", "wait", &slow, "--deadline", "300ms"]);
    assert_eq!(gave_up.code, 5, "{gave_up:?}");
    assert_eq!(json(&gave_up)["id"], slow.as_str());
    assert!(gave_up.stderr.contains(&format!("lote batches wait {slow}")), "{gave_up:?}");
    let unseen = gateway.lote(["batches", "wait", "batch_unknown", "--deadline", "300ms"]);
    assert_eq!((unseen.code, unseen.stdout.as_str()), (5, ""), "{unseen:?}");
    assert!(unseen.stderr.contains("batch batch_unknown was not seen"), "{unseen:?}");
    let cancel = gateway.lote(["batches", "cancel", &slow]);
    assert_eq!(cancel.code, 0, "{cancel:?}");
    check(&wait(&gateway, &slow), 1, "cancelled", "is cancelled");

    let bad = gateway.upload(b"{\"custom_id\":\"a\"}\nno JSON\n");
    let bad = json(&gateway.lote(["batches", "create", &bad, "--endpoint", "chat"]));
    let failed = wait(&gateway, bad["id"].as_str().expect("an id"));
    check(&failed, 4, "failed", "failed at validation");
    assert!(failed.stderr.contains("\n  line 1: "), "{failed:?}");
}

#[test]
fn every_end_of_a_batch_has_its_exit_code() {
    let counts =
        |total: u64, completed: u64, failed: u64| json!({"total": total, "completed": completed, "failed": failed});
    for (status, more, code) in [
        ("completed", json!({"request_counts": counts(2, 2, 0), "output_file_id": "o"}), 0),
        ("COMPLETED", json!({"request_counts": counts(2, 2, 0), "output_file_id": "o", "error_file_id": "empty"}), 0),
        ("completed", json!({"request_counts": counts(2, 1, 1), "output_file_id": "o", "error_file_id": "e"}), 1),
        ("completed", json!({"request_counts": counts(2, 0, 2), "error_file_id": "e"}), 1),
        ("completed", json!({"request_counts": counts(2, 1, 0), "output_file_id": "o"}), 1),
        ("completed", json!({}), 0),
        ("completed", json!({"request_counts": counts(0, 0, 0), "error_file_id": "file_1"}), 1),
        ("completed", json!({"error_file_id": "file_1"}), 1),
        ("cancelled", json!({"request_counts": counts(2, 2, 0), "output_file_id": "o"}), 1),
        ("expired", json!({}), 1),
        ("failed", json!({"errors": {"data": []}}), 4),
    ] {
        let mut batch = json!({"id": "batch_1", "status": status, "x_own": [1]});
        batch.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let waited = ask(Odd::saying(&batch).url(), ["batches", "wait", "batch_1"]);
        assert_eq!((waited.code, json(&waited)), (code, batch), "{waited:?}");
        assert_eq!(waited.stderr.is_empty(), code == 0, "{waited:?}");
    }
}

/// What a service says of a batch that is over, and of which it names these files.
fn over(files: Value) -> Value {
    let counts = json!({"total": 3, "completed": 2, "failed": 1});
    let mut batch = json!({"id": "batch_1", "status": "completed", "request_counts": counts});
    batch.as_object_mut().expect("an object").extend(files.as_object().expect("an object").clone());
    batch
}

#[test]
fn files_that_are_named_late_are_waited_for() {
    let said = |batch: &Value| answer("200 OK", "application/json", &batch.to_string());
    let whole = over(json!({"output_file_id": "o", "error_file_id": "e"}));
    for late in
        [json!({}), json!({"output_file_id": ""}), json!({"output_file_id": "o"}), json!({"error_file_id": "e"})]
    {
        let odd = Odd::answering([said(&over(late.clone())), said(&over(late)), said(&whole)]);
        let waited = ask(odd.url(), ["batches", "wait", "batch_1"]);
        assert_eq!((waited.code, json(&waited)), (1, whole.clone()), "{waited:?}");
    }
    // At the deadline it is taken as it is, and told: also that it was asked again, and for how long.
    for (files, code, lacking) in [
        (json!({}), 5, "its counts say that 2 lines succeeded and 1 failed, but it names no file of them"),
        (json!({"output_file_id": "o"}), 5, "its counts say that 1 line failed, but it names no error file"),
    ] {
        let batch = over(files);
        let steady = batch.clone();
        let service = Steady::answering(move |_| steady.clone());
        // A busy machine may let a deadline pass before the first look.
        let ended = |seconds: u64| {
            let deadline = format!("{seconds}s");
            let waited = ask(service.url(), ["batches", "wait", "batch_1", "--deadline", &deadline]);
            (!waited.stderr.contains("was not seen")).then_some((seconds, waited))
        };
        let (seconds, waited) = [3, 30, 300].into_iter().find_map(ended).expect("a look");
        assert_eq!((waited.code, json(&waited)), (code, batch), "{waited:?}");
        let begun = format!("{lacking}; asking again until the deadline, for ");
        let [_, left] = waited.stderr.split(&begun).collect::<Vec<_>>()[..] else { panic!("{waited:?}") };
        let (left, rest) = left.split_once(" second").expect("how long");
        assert!((1..=seconds).contains(&left.parse().expect("a number")), "{waited:?}");
        assert!(rest.starts_with(if left == "1" { "\n" } else { "s\n" }), "{waited:?}");
        assert_eq!(waited.stderr.matches("asking again").count(), 1, "{waited:?}");
        assert!(waited.stderr.contains("gave up waiting for its files: "), "{waited:?}");
        assert!(waited.stderr.contains("lote batches wait batch_1"), "{waited:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_wait_that_is_stopped_when_a_batch_is_over_says_how_to_fetch_it() {
    use std::io::{BufRead, BufReader, Read};
    let commands = [
        "\n  lote batches wait batch_1",
        "\n  lote files content OUTPUT_FILE_ID",
        "\n  lote files content e ",
        "\n  lote files content file-9 ",
        "\n  lote join requests.jsonl output.jsonl errors.jsonl -o results.jsonl\n",
    ];
    for (ids, parts) in [
        (&["batch_1"][..], &commands[..]),
        (
            &["batch_1", "batch_2"],
            &["1 of 2 batches are over; the others go on at the service\n  lote batches wait batch_2 --base-url "],
        ),
    ] {
        let service = Steady::answering(|head| {
            if head.contains("batch_2") {
                return json!({"id": "batch_2", "status": "in_progress"});
            }
            // A list names both.
            let first = over(json!({"error_file_id": "e", "input_file_id": "file-9"}));
            match head.contains("batch_1") {
                true => first,
                false => json!({"data": [first, {"id": "batch_2", "status": "in_progress"}], "has_more": false}),
            }
        });
        let mut child = at(service.url())
            .args(["batches", "wait"])
            .args(ids)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("lote starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut said = String::new();
        stderr.read_line(&mut said).expect("a line");
        assert!(said.contains("2 lines succeeded") && said.contains("asking again for two minutes"), "{said}");
        crate::common::signal(&child, "INT");
        stderr.read_to_string(&mut said).expect("the rest");
        assert_eq!(child.wait().expect("it ends").code(), Some(130), "{said}");
        assert!(!said.contains("batch_1 goes on") && !said.contains("cancel"), "{said}");
        for part in parts {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
}

#[test]
fn several_batches_are_waited_for_and_the_worst_of_them_is_the_exit_code() {
    let gateway = Embedded::start();
    let good = [gateway.batch(&["a"]), gateway.batch(&["b", "c"])];
    let failing = gateway.batch(&["[[status=429]]"]);
    let slow = gateway.batch(&["[[sleep=60000]]"]);
    let bad = gateway.upload(b"{\"custom_id\":\"a\"}\n");
    let bad = json(&gateway.lote(["batches", "create", &bad, "--endpoint", "chat"]));
    let bad = bad["id"].as_str().expect("an id").to_owned();
    let wait = |ids: &[&String], more: &[&str]| {
        let ids = ids.iter().map(|id| id.as_str());
        gateway.lote(["batches", "wait"].into_iter().chain(ids).chain(more.iter().copied()))
    };
    // One that is named twice is printed once.
    let waited = wait(&[&good[0], &good[1], &good[0]], &[]);
    let mut ids: Vec<String> =
        json_lines(&waited).iter().map(|batch| batch["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort();
    let mut expected = good.to_vec();
    expected.sort();
    assert_eq!((waited.code, waited.stderr.as_str(), ids), (0, "", expected), "{waited:?}");

    let waited = wait(&[&good[0], &failing], &["--json"]);
    assert_eq!((waited.code, json_lines(&waited).len()), (1, 2), "{waited:?}");
    assert!(waited.stderr.contains("0 of 1 line succeeded"), "{waited:?}");
    let waited = wait(&[&slow, &failing], &["--deadline", "4s"]);
    assert_eq!((waited.code, json_lines(&waited).len()), (5, 2), "{waited:?}");
    assert!(waited.stderr.contains(&format!("to go on waiting: lote batches wait {slow} --base-url")), "{waited:?}");
    let waited = wait(&[&good[1], &bad, &failing], &[]);
    assert_eq!((waited.code, json_lines(&waited).len()), (4, 3), "{waited:?}");

    // One on a line of its own, when that is asked for.
    let one = wait(&[&good[0]], &["--json"]);
    assert_eq!((one.code, one.stdout.lines().count()), (0, 1), "{one:?}");
}

#[test]
fn a_wait_survives_trouble_but_not_a_refusal() {
    let counts = json!({"total": 1, "completed": 1});
    let batch = json!({"id": "batch_1", "status": "completed", "output_file_id": "file-1", "request_counts": counts});
    for trouble in ["404 Not Found", "429 Too Many Requests", "503 Service Unavailable"] {
        let odd = Odd::answering([
            answer(trouble, "text/plain", "just a moment"),
            answer("200 OK", "application/json", &batch.to_string()),
        ]);
        let waited = ask(odd.url(), ["batches", "wait", "batch_1"]);
        assert_eq!((waited.code, json(&waited)), (0, batch.clone()), "{waited:?}");
        assert!(waited.stderr.contains("just a moment; asking again"), "{waited:?}");
    }
    let odd = Odd::answering([answer("401 Unauthorized", "text/plain", "who are you?")]);
    let waited = ask(odd.url(), ["batches", "wait", "batch_1"]);
    assert_eq!((waited.code, waited.stdout.as_str()), (4, ""), "{waited:?}");
}

#[cfg(unix)]
#[test]
fn a_wait_can_be_stopped() {
    for signal in ["INT", "TERM"] {
        // The connection is taken and never answered.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let child = at(&url)
            .args(["batches", "wait", "batch_1"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("lote starts");
        let connection = listener.accept().expect("it asks");
        crate::common::signal(&child, signal);
        let output = child.wait_with_output().expect("it ends");
        drop(connection);
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(130), 0), "{signal}: {stderr}");
        assert!(stderr.contains("lote batches cancel batch_1"), "{signal}: {stderr}");
    }
}

#[test]
fn lists_are_a_page_or_all_of_them() {
    let gateway = Embedded::start();
    let ids: Vec<String> = (0..3).map(|_| gateway.batch(&["hello"])).collect();
    let id = |value: &Value| value["id"].as_str().expect("an id").to_owned();

    let page = json(&gateway.lote(["batches", "list", "--limit", "2"]));
    let data = page["data"].as_array().expect("a list");
    assert_eq!((data.len(), &page["has_more"]), (2, &json!(true)));
    assert_eq!((&page["first_id"], &page["last_id"]), (&data[0]["id"], &data[1]["id"]));
    let rest = json(&gateway.lote(["batches", "list", "--after", &id(&data[1])]));
    assert_eq!((rest["data"].as_array().map(Vec::len), &rest["has_more"]), (Some(1), &json!(false)));

    let all = gateway.lote(["batches", "list", "--all", "--limit", "1"]);
    let mut listed: Vec<String> = json_lines(&all).iter().map(id).collect();
    assert_eq!(listed[..2], [id(&data[0]), id(&data[1])]);
    listed.sort();
    let mut ids = ids;
    ids.sort();
    assert_eq!((all.code, listed), (0, ids), "{all:?}");
    // Another key is another tenant.
    let other = ended(at(gateway.url()).args(["batches", "list", "--all", "--api-key", "other"]), b"");
    assert_eq!((other.code, other.stdout.as_str()), (0, ""), "{other:?}");
}

#[test]
fn a_list_stops_when_nobody_reads() {
    // The next page is never asked for: a second request would find no answer and be an error.
    let page = json!({"data": [{"id": "batch_1", "status": "completed"}], "has_more": true});
    let odd = Odd::saying(&page);
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = at(odd.url()).args(["batches", "list", "--all"]).stdout(writer).output().expect("lote ends");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn what_was_listed_before_the_trouble_is_printed() {
    let page = json!({"data": [{"id": "batch_1", "status": "completed"}], "has_more": true});
    let odd = Odd::answering([
        answer("200 OK", "application/json", &page.to_string()),
        answer("500 Internal Server Error", "text/plain", "it broke"),
    ]);
    let listed = ask(odd.url(), ["batches", "list", "--all"]);
    assert_eq!((listed.code, json_lines(&listed).len()), (4, 1), "{listed:?}");
    assert!(listed.stderr.contains("list batches: the service answered 500") && listed.stderr.contains("it broke"));
}

#[test]
fn a_create_sends_what_it_was_told() {
    let odd = Odd::saying(&json!({"id": "batch_1", "status": "validating"}));
    let created = ended(
        at(odd.url())
            .env("LOTE_ON_BEHALF_OF", "user-7")
            .args(["batches", "create", "file-1", "--endpoint", "embeddings", "--metadata", "a=b=c"])
            .args(["--max-concurrency", "5"]),
        b"",
    );
    assert_eq!(created.code, 0, "{created:?}");
    let asked = odd.asked();
    assert!(asked.head.starts_with("POST /api/v1/llm/batches HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked.head.contains(&format!("\nauthorization: Bearer {}\r", crate::service::KEY)), "{asked:?}");
    assert!(asked.head.contains("\nx-on-behalf-of: user-7\r"), "{asked:?}");
    assert_eq!(
        serde_json::from_str::<Value>(&asked.body).expect("JSON"),
        json!({
            "input_file_id": "file-1", "endpoint": "/v1/embeddings", "completion_window": "24h",
            "metadata": {"a": "b=c"}, "max_concurrency": 5,
        })
    );

    let odd = Odd::saying(&json!({"id": "batch_1", "status": "validating"}));
    let folder = folder(&[("mine.toml", b"name = \"mine\"\nextends = \"openai\"\ncreate.windows = [\"24h..7d\"]\n")]);
    let mine = folder.path().join("mine.toml");
    let created = ended(
        at(odd.url())
            .env("LOTE_DIALECT", &mine)
            .args(["batches", "create", "file-1", "--endpoint", "embeddings"])
            .args(["--completion-window", "7d", "--output-expires-after", "7d"])
            .args(["--batch-field", "priority=1", "--batch-field", r#"tier={"name": "a=b", "weights": [0.5, null]}"#]),
        b"",
    );
    assert_eq!(created.code, 0, "{created:?}");
    let asked = odd.asked();
    assert!(asked.head.starts_with("POST /v1/batches HTTP/1.1\r\n"), "{asked:?}");
    assert_eq!(
        serde_json::from_str::<Value>(&asked.body).expect("JSON"),
        json!({
            "input_file_id": "file-1", "endpoint": "/v1/embeddings", "completion_window": "7d",
            "output_expires_after": {"anchor": "created_at", "seconds": 604_800},
            "priority": 1, "tier": {"name": "a=b", "weights": [0.5, null]},
        })
    );
}

#[test]
fn a_create_that_may_have_made_a_batch_says_so() {
    for (answer, ambiguous) in [
        (Vec::new(), true),
        (answer("502 Bad Gateway", "text/html", "<html></html>"), true),
        (answer("200 OK", "text/html", "<html></html>"), true),
        (answer("400 Bad Request", "application/json", r#"{"error":{"message":"no"}}"#), false),
    ] {
        let odd = Odd::answering([answer]);
        let created = ask(odd.url(), ["batches", "create", "file-1", "--endpoint", "chat"]);
        assert_eq!((created.code, created.stdout.as_str()), (4, ""), "{created:?}");
        assert!(created.stderr.starts_with("error: create a batch over file-1: "), "{created:?}");
        assert_eq!(created.stderr.contains("lote batches list"), ambiguous, "{created:?}");
    }
}

#[test]
fn what_is_wrong_here_is_exit_2_and_not_sent() {
    let service = Unasked::listen();
    let url = service.url();
    for (args, expected) in [
        (&["get", ""][..], "it is empty"),
        (&["get", "."], "would reach another path"),
        (&["get", ".."], "would reach another path"),
        (&["cancel", ".."], "would reach another path"),
        (&["cancel", ""], "it is empty"),
        (&["wait", ".."], "would reach another path"),
        (&["wait", ""], "it is empty"),
        (
            &["wait", "a\nb"],
            "invalid value 'a\\nb' for '<ID>...': batch id \"a\\nb\": it holds a character that nobody",
        ),
        (&["list", "--after", ".."], "would reach another path"),
        (&["list", "--limit", "0"], "0 is not in 1..=100"),
        (&["list", "--limit", "101"], "101 is not in 1..=100"),
        (&["wait", "batch_1", "--deadline", "soon"], "such as 90s, 10m, 26h or 1d"),
        (&["create", "..", "--endpoint", "chat"], "would reach another path"),
        (&["create", "file-1"], "--endpoint"),
        (&["create", "file-1", "--endpoint", "/v1/chat"], "does not take endpoint /v1/chat, only"),
        (&["create", "file-1", "--endpoint", "char"], "invalid value 'char'"),
        (&["create", "file-1", "--endpoint", "chat", "--metadata", "a"], "give KEY=VALUE"),
        (&["create", "file-1", "--endpoint", "chat", "--metadata", "a=1", "--metadata", "a=2"], "given twice"),
        (&["create", "file-1", "--endpoint", "chat", "--max-concurrency", "0"], "0 is not in 1"),
        (&["create", "file-1", "--endpoint", "chat", "--batch-field", "a"], "give NAME=JSON"),
        (&["create", "file-1", "--endpoint", "chat", "--batch-field", "tier=flex"], "a text has quotes"),
        (&["create", "file-1", "--endpoint", "chat", "--batch-field", "a=1", "--batch-field", "a=2"], "given twice"),
        (&["create", "file-1", "--endpoint", "chat", "--batch-field", "metadata={}"], "--metadata"),
        (&["create", "file-1", "--endpoint", "chat", "--batch-field", "max_concurrency=1"], "--max-concurrency"),
        (&["create", "file-1", "--endpoint", "chat", "--output-expires-after", "59m"], "3540 is out of range"),
        (&["create", "file-1", "--endpoint", "chat", "--output-expires-after", "2mo"], "give whole seconds"),
    ] {
        let ended = ask(&url, ["batches"].iter().chain(args));
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{args:?}: {ended:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(expected), "{args:?}: {ended:?}");
        service.assert(args);
    }
}

#[test]
fn without_a_key_nothing_is_sent() {
    let service = Unasked::listen();
    for args in [
        &["batches", "create", "file-1", "--endpoint", "chat"][..],
        &["batches", "get", "batch_1"],
        &["batches", "list", "--all"],
        &["batches", "cancel", "batch_1"],
        &["batches", "wait", "batch_1"],
        &["files", "upload", "-"],
        &["files", "list"],
        &["files", "get", "file-1"],
        &["files", "content", "file-1"],
        &["files", "delete", "file-1"],
    ] {
        let ended = lote(args.iter().copied().chain(["--base-url", &service.url()]));
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{args:?}: {ended:?}");
        assert!(ended.stderr.starts_with("error: no API key: set LOTE_API_KEY"), "{args:?}: {ended:?}");
        service.assert(args);
    }
}
