//! Virtual time: a day in milliseconds, and the same bytes for the same requests.

use std::time::{Duration, Instant};

use lote_gateway::faults::{Effect, Fault, OddTime, Operation};
use lote_gateway::{Builder, Gateway};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::common::{CHAT, Caller, MKA1, OPENAI, answer, chats, create_body, start};
use crate::wire::Watched;

const START: i64 = 1_767_225_600;
const DAY: Duration = Duration::from_secs(86_400);

async fn virtual_gateway(builder: Builder) -> (Watched, Caller) {
    let gateway = start(builder.virtual_clock()).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    (gateway, caller)
}

#[tokio::test]
async fn a_window_of_a_day_ends_at_once_and_exactly() {
    let (gateway, caller) = virtual_gateway(Gateway::builder()).await;
    let before = Instant::now();
    let hour = "[[sleep=3600000]]";
    let day = "[[sleep=86400000]]";
    let file = caller.upload(chats(["quick", hour, day, hour])).await;
    let mut body = create_body(&file, CHAT);
    body["max_concurrency"] = json!(2);
    let (_, batch) = caller.post("/batches", &body).await;
    assert_eq!(batch["created_at"], START);

    gateway.advance(Duration::from_secs(3_599)).await;
    assert_eq!(caller.batch(&batch).await["request_counts"], json!({"total": 4, "completed": 1, "failed": 0}));
    gateway.advance(Duration::from_secs(1)).await;
    assert_eq!(caller.batch(&batch).await["request_counts"]["completed"], 2);
    gateway.advance(DAY).await;
    let batch = caller.batch(&batch).await;
    assert_eq!(batch["status"], "expired");
    assert_eq!(batch["expired_at"], START + 86_400);
    assert_eq!(batch["request_counts"], json!({"total": 4, "completed": 3, "failed": 0}));
    let errors = caller.lines(&batch["error_file_id"]).await;
    assert_eq!((errors.len(), &errors[0]["error"]["code"]), (1, &json!("batch_expired")));
    assert_eq!(gateway.now(), START + 3_600 + 86_400);
    assert!(before.elapsed() < Duration::from_secs(5), "{:?}", before.elapsed());
}

#[tokio::test]
async fn slow_large_lines_of_one_tenant_are_not_in_the_way_of_another() {
    let (gateway, caller) = virtual_gateway(Gateway::builder().journal(true)).await;
    // Three times what all lines may take in memory together.
    let text = "x".repeat(4 << 20);
    let slow = caller.submit(chats(vec![format!("{text} [[fail=1:503]] [[sleep=3600000]]"); 24]), CHAT).await;
    assert_eq!(caller.batch(&slow).await["status"], "in_progress");

    let other = Caller::new(&gateway, MKA1, "sk-other");
    let quick = other.submit(chats(["one", &text]), CHAT).await;
    let quick = other.batch(&quick).await;
    assert_eq!((&quick["status"], gateway.now()), (&json!("completed"), START), "{quick}");

    gateway.advance(Duration::from_secs(3_601)).await;
    let slow = caller.batch(&slow).await;
    assert_eq!((&slow["status"], &slow["request_counts"]["completed"]), (&json!("completed"), &json!(24)), "{slow}");
    // A pause is no attempt.
    let attempts = |wanted: u32| {
        let executed = |entry: &&lote_gateway::Entry| match entry.event {
            lote_gateway::Event::LineExecuted { attempt, .. } => attempt == wanted,
            _ => false,
        };
        gateway.journal().iter().filter(executed).count()
    };
    assert_eq!((attempts(1), attempts(2), attempts(3)), (26, 24, 0));
}

#[tokio::test]
async fn large_lines_are_all_accounted_for_when_the_window_is_over() {
    let (gateway, caller) = virtual_gateway(Gateway::builder()).await;
    let text = "x".repeat(5 << 20);
    let file = caller.upload(chats(vec![format!("{text} [[sleep=50000000]]"); 10])).await;
    let mut body = create_body(&file, CHAT);
    body["max_concurrency"] = json!(3);
    let (_, batch) = caller.post("/batches", &body).await;
    gateway.advance(DAY).await;
    let batch = caller.batch(&batch).await;
    assert_eq!(batch["status"], "expired");
    assert_eq!(caller.lines(&batch["output_file_id"]).await.len(), 3);
    assert_eq!(caller.lines(&batch["error_file_id"]).await.len(), 7);
}

/// There is no step from validating to expired: whoever waited in the queue until the end passes through in_progress.
#[tokio::test]
async fn a_batch_whose_window_ends_in_the_queue_expires_then_and_legally() {
    let (gateway, caller) = virtual_gateway(Gateway::builder().max_running_batches(1)).await;
    let day = "[[sleep=86400000]]";
    let mut batches = Vec::new();
    for _ in 0..4 {
        batches.push(caller.submit(chats([day, day]), CHAT).await);
    }
    gateway.advance(DAY - Duration::from_secs(1)).await;
    for waiting in &batches[1..] {
        assert_eq!(caller.batch(waiting).await["status"], "validating");
    }
    gateway.advance(Duration::from_secs(1)).await;
    for batch in &batches[1..] {
        let batch = caller.batch(batch).await;
        assert_eq!(batch["status"], "expired", "{batch}");
        for field in ["in_progress_at", "expired_at", "expires_at"] {
            assert_eq!(batch[field], START + 86_400, "{field}");
        }
        assert_eq!(batch["request_counts"], json!({"total": 2, "completed": 0, "failed": 0}));
        let errors = caller.lines(&batch["error_file_id"]).await;
        assert!(errors.len() == 2 && errors.iter().all(|line| line["error"]["code"] == "batch_expired"), "{errors:?}");
    }
}

#[tokio::test]
async fn stages_and_graces_follow_the_clock() {
    let minute = Duration::from_secs(60);
    let (gateway, caller) = virtual_gateway(Gateway::builder().stage_delay(minute).cancel_grace(minute)).await;
    let watched = caller.submit(chats(["one"]), CHAT).await;
    for (status, at) in [("validating", START), ("finalizing", START + 60), ("completed", START + 120)] {
        let batch = caller.batch(&watched).await;
        assert_eq!((&batch["status"], gateway.now()), (&json!(status), at), "{batch}");
        gateway.advance(minute).await;
    }
    let running = caller.submit(chats(["[[sleep=86400000]]"]), CHAT).await;
    gateway.advance(minute).await;
    assert_eq!(caller.cancel(&running).await.1["status"], "cancelling");
    gateway.advance(minute - Duration::from_secs(1)).await;
    assert_eq!(caller.batch(&running).await["status"], "cancelling");
    gateway.advance(Duration::from_secs(1)).await;
    let batch = caller.batch(&running).await;
    assert_eq!(batch["status"], "cancelled");
    assert_eq!(batch["cancelled_at"].as_i64().unwrap() - batch["cancelling_at"].as_i64().unwrap(), 60);
}

#[tokio::test]
async fn files_go_when_their_time_has_come() {
    let (gateway, caller) = virtual_gateway(Gateway::builder()).await;
    let batch = caller.run(chats(["one"]), CHAT).await;
    let path = format!("/files/{}", batch["output_file_id"].as_str().unwrap());
    gateway.advance(DAY * 30 - Duration::from_secs(1)).await;
    assert_eq!(caller.get(&path).await.0, 200);
    gateway.advance(Duration::from_secs(1)).await;
    assert_eq!(caller.get(&path).await.0, 404);
    assert_eq!(caller.get("/files").await.1["data"], json!([]));
    assert_eq!(caller.batch(&batch).await["status"], "completed");
}

#[tokio::test]
async fn the_clock_is_moved_over_http_with_a_key() {
    let gateway = start(Gateway::builder().virtual_clock_at(1_000).key("sk-test")).await;
    let caller = Caller::new(&gateway, "", "sk-test");
    let (status, moved) = caller.post("/_lote/clock/advance", &json!({"seconds": 86_400.5})).await;
    assert_eq!((status.as_u16(), &moved["now"]), (200, &json!(87_400)));
    for bad in [json!({}), json!({"seconds": -1}), json!({"seconds": "1"}), json!({"seconds": 1e30})] {
        assert_eq!(caller.post("/_lote/clock/advance", &bad).await.0, 400, "{bad}");
    }
    assert_eq!(gateway.now(), 87_400);
    let stranger = Caller::new(&gateway, "", "sk-other");
    assert_eq!(stranger.post("/_lote/clock/advance", &json!({"seconds": 1})).await.0, 401);

    let plain = start(Gateway::builder()).await;
    let caller = Caller::new(&plain, "", "sk-test");
    for (method, path) in [(Method::POST, "/_lote/clock/advance"), (Method::GET, "/_lote/journal")] {
        assert_eq!(answer(caller.request(method, path).json(&json!({"seconds": 1}))).await.0, 404);
    }
}

#[tokio::test]
async fn the_clock_ends_with_the_year_9999() {
    const LAST: i64 = 253_402_300_799;
    let on = Fault::on(Operation::GetFile)
        .nth(2)
        .then(Effect::Timestamp { field: "created_at".to_owned(), value: OddTime::Text });
    let gateway = start(Gateway::builder().virtual_clock_at(LAST - 100).fault(on)).await;
    let control = Caller::new(&gateway, "", "sk-test");
    let (status, refused) = control.post("/_lote/clock/advance", &json!({"seconds": 101})).await;
    assert_eq!((status.as_u16(), &refused["error"]["param"]), (400, &json!("seconds")), "{refused}");
    assert_eq!(gateway.now(), LAST - 100);
    assert_eq!(control.post("/_lote/clock/advance", &json!({"seconds": 99})).await.1["now"], LAST - 1);
    // From Rust it goes as far as it can.
    gateway.advance(Duration::MAX).await;
    assert_eq!(gateway.now(), LAST);
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let file = caller.upload(chats(["one"])).await;
    let ask = async || caller.odd(Method::GET, &format!("/files/{file}")).send().await.unwrap();
    assert_eq!(ask().await.headers()["date"], "Fri, 31 Dec 9999 23:59:59 GMT");
    assert_eq!(ask().await.json::<Value>().await.unwrap()["created_at"], "Fri, 31 Dec 9999 23:59:59 GMT");

    for (start_at, now, date) in
        [(i64::MAX, LAST, "Fri, 31 Dec 9999 23:59:59 GMT"), (i64::MIN, 0, "Thu, 01 Jan 1970 00:00:00 GMT")]
    {
        let gateway = start(Gateway::builder().virtual_clock_at(start_at)).await;
        assert_eq!(gateway.now(), now);
        let caller = Caller::new(&gateway, OPENAI, "sk-test");
        let response = caller.request(Method::GET, "/files").send().await.unwrap();
        assert_eq!((response.status().as_u16(), &response.headers()["date"]), (200, &date.parse().unwrap()));
    }
}

#[tokio::test]
#[should_panic(expected = "virtual_clock()")]
async fn the_time_of_the_system_cannot_be_moved() {
    start(Gateway::builder()).await.advance(DAY).await;
}

/// All bytes of an answer: status, headers, body.
async fn bytes(log: &mut String, request: RequestBuilder) -> Value {
    let response = request.send().await.unwrap();
    log.push_str(&format!("{} {:#?}\n", response.status(), response.headers()));
    let text = response.text().await.unwrap();
    log.push_str(&text);
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

/// A long sequence of requests, and everything that came back.
async fn sequence(seed: u64) -> String {
    let builder = Gateway::builder()
        .seed(seed)
        .max_running_batches(2)
        .journal(true)
        .fault(Fault::on(Operation::OutputFile).then(Effect::ShuffledLines))
        .fault(Fault::on(Operation::GetBatch).probability(0.3).then(Effect::CountsZero));
    let (gateway, caller) = virtual_gateway(builder).await;
    let mut log = String::new();
    let mut batches = Vec::new();
    for round in 0..4 {
        let texts: Vec<String> =
            (0..20).map(|n| format!("{n} [[sleep={}]] [[fail={}:503]]", (n * 37 + round) % 5 * 700, n % 3)).collect();
        let part = reqwest::multipart::Part::text(chats(&texts)).file_name("r.jsonl");
        // The boundary of a form is drawn by the client, and not part of any answer.
        let form = reqwest::multipart::Form::new().text("purpose", "batch").part("file", part);
        let file = bytes(&mut log, caller.request(Method::POST, "/files").multipart(form)).await;
        let body = create_body(file["id"].as_str().unwrap(), CHAT);
        batches.push(bytes(&mut log, caller.request(Method::POST, "/batches").json(&body)).await);
        for stream in [false, true] {
            let ask = json!({"model": "m", "input": format!("{round} [[fail=1:503]]"), "stream": stream});
            for _ in 0..2 {
                bytes(&mut log, caller.request(Method::POST, "/responses").json(&ask)).await;
            }
        }
        gateway.advance(Duration::from_millis(500)).await;
    }
    let path = |batch: &Value, rest: &str| format!("/batches/{}{rest}", batch["id"].as_str().unwrap());
    bytes(&mut log, caller.request(Method::POST, &path(&batches[2], "/cancel"))).await;
    gateway.advance(DAY).await;
    for batch in &batches {
        let batch = bytes(&mut log, caller.request(Method::GET, &path(batch, ""))).await;
        for field in ["output_file_id", "error_file_id"] {
            if let Some(id) = batch[field].as_str() {
                bytes(&mut log, caller.request(Method::GET, &format!("/files/{id}/content"))).await;
            }
        }
    }
    for path in ["/batches", "/files", "/files/file-x", "/nowhere"] {
        bytes(&mut log, caller.request(Method::GET, path)).await;
    }
    let control = Caller::new(&gateway, "", "sk-test");
    bytes(&mut log, control.request(Method::GET, "/_lote/journal")).await;
    log
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_requests_get_the_same_bytes() {
    let first = sequence(7).await;
    for _ in 0..3 {
        let again = sequence(7).await;
        if let Some((one, two)) = first.lines().zip(again.lines()).find(|(one, two)| one != two) {
            panic!("{one}\n{two}");
        }
        assert_eq!(first.len(), again.len());
    }
    assert!(first.contains("batch_cancelled") && first.contains("Fri, 02 Jan 2026"), "it exercises something");
    assert_ne!(first, sequence(8).await);
}

#[tokio::test]
async fn many_sleepers_and_both_prefixes_share_the_clock() {
    let (gateway, openai) = virtual_gateway(Gateway::builder()).await;
    let mka1 = Caller::new(&gateway, MKA1, "sk-test");
    let texts: Vec<String> = (1..=2_000).map(|n| format!("{n} [[sleep={}]]", n * 1_000)).collect();
    let batch = mka1.submit(chats(&texts), CHAT).await;
    gateway.advance(DAY / 2).await;
    let batch = openai.batch(&batch).await;
    assert_eq!(batch["status"], "completed");
    // 64 at a time, each of the first 64 followed by the next in line.
    assert!(batch["completed_at"].as_i64().unwrap() > START + 2_000, "{batch}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_without_pauses_has_ended_when_it_is_first_asked_for() {
    let (_gateway, caller) = virtual_gateway(Gateway::builder().max_line_concurrency(4_000)).await;
    let texts: Vec<String> = (0..4_000).map(|n| format!("question {n}")).collect();
    let file = caller.upload(chats(&texts)).await;
    for _ in 0..3 {
        let mut body = create_body(&file, CHAT);
        body["max_concurrency"] = json!(4_000);
        let (_, batch) = caller.post("/batches", &body).await;
        assert_eq!(batch["status"], "validating");
        let batch = caller.batch(&batch).await;
        assert_eq!((&batch["status"], &batch["request_counts"]["completed"]), (&json!("completed"), &json!(4_000)));
    }
}
