//! Faults on the wire: refusals, resets, lost answers, bodies that do not end as they should.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use lote_gateway::Gateway;
use lote_gateway::faults::{Effect, ErrorBody, Fault, Operation, Refusal, RetryAfter};
use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::{CHAT, Caller, OPENAI, chats, create_body, start};
use crate::wire::Watched;

/// A gateway with one fault, and a caller.
async fn with(fault: Fault) -> (Watched, Caller) {
    let gateway = start(Gateway::builder().fault(fault)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    (gateway, caller)
}

/// How many batches the list has.
async fn listed(caller: &Caller) -> usize {
    caller.get("/batches").await.1["data"].as_array().unwrap().len()
}

/// The bytes of an answer as they come, and how the connection ended.
async fn raw(gateway: &Gateway, path: &str) -> (Vec<u8>, Option<ErrorKind>) {
    let mut stream = TcpStream::connect(gateway.addr()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-test\r\nX-Odd: 1\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer).await;
    (answer, ended.err().map(|error| error.kind()))
}

#[tokio::test]
async fn refusals_have_every_shape_and_nothing_happens() {
    let refusal = Refusal::status;
    for (status, refusal, media_type, body, header) in [
        (
            429,
            refusal(429).retry_after(RetryAfter::Seconds(2)),
            Some("application/json"),
            r#"{"error":{"message":"Rate limit exceeded","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#,
            Some(("retry-after", "2")),
        ),
        (
            429,
            refusal(429).body(ErrorBody::Text).retry_after(RetryAfter::Milliseconds(250)),
            Some("application/json"),
            r#"{"error":"Rate limit exceeded"}"#,
            Some(("retry-after-ms", "250")),
        ),
        (
            422,
            refusal(422).body(ErrorBody::Detail),
            Some("application/json"),
            r#"{"detail":[{"loc":["body"],"msg":"Unprocessable Entity","type":"value_error"}]}"#,
            None,
        ),
        (500, refusal(500).body(ErrorBody::Plain), Some("text/plain; charset=utf-8"), "Internal Server Error", None),
        (
            502,
            refusal(502).body(ErrorBody::Html),
            Some("text/html"),
            "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
             <center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n",
            None,
        ),
        (503, refusal(503).body(ErrorBody::Empty), None, "", None),
    ] {
        let (_gateway, caller) = with(Fault::on(Operation::CreateBatch).nth(1).then(Effect::Status(refusal))).await;
        let file = caller.upload(chats(["one"])).await;
        let request = caller.odd(Method::POST, "/batches").json(&create_body(&file, CHAT));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status);
        let headers = response.headers();
        assert!(headers.contains_key("x-request-id"));
        assert_eq!(headers.get("content-type").map(|value| value.to_str().unwrap()), media_type, "{status}");
        if let Some((name, value)) = header {
            assert_eq!(headers[name], value);
        }
        assert_eq!(response.text().await.unwrap(), body);
        assert_eq!(listed(&caller).await, 0);
        caller.create(&file, CHAT).await;
    }
}

#[tokio::test]
async fn retry_after_can_be_a_date() {
    let refusal = Refusal::status(503).retry_after(RetryAfter::Date(5));
    let on = Fault::on(Operation::ListFiles).nth(1).then(Effect::Status(refusal));
    let gateway = start(Gateway::builder().virtual_clock().fault(on)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let response = caller.request(Method::GET, "/files").send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "Thu, 01 Jan 2026 00:00:05 GMT");
    assert_eq!(response.headers()["date"], "Thu, 01 Jan 2026 00:00:00 GMT");
}

#[tokio::test]
async fn a_date_ends_with_the_year_9999() {
    let refusal = Refusal::status(503).retry_after(RetryAfter::Date(253_402_300_799));
    let on = Fault::on(Operation::ListFiles).nth(1).then(Effect::Status(refusal));
    let (_gateway, caller) = with(on).await;
    let response = caller.request(Method::GET, "/files").send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "Fri, 31 Dec 9999 23:59:59 GMT");
}

#[tokio::test]
async fn a_connection_is_reset_before_anything_is_read() {
    let (gateway, caller) = with(Fault::on(Operation::Connection).nth(1).then(Effect::Reset)).await;
    let mut first = TcpStream::connect(gateway.addr()).await.unwrap();
    let mut nothing = Vec::new();
    let ended = first.read_to_end(&mut nothing).await;
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(listed(&caller).await, 0, "the second connection is served");
}

#[tokio::test]
async fn a_create_is_reset_before_or_after_it_happened() {
    for (effect, created) in [(Effect::Reset, 0), (Effect::AnswerLost, 1)] {
        let (_gateway, caller) = with(Fault::on(Operation::CreateBatch).nth(1).then(effect.clone())).await;
        let file = caller.upload(chats(["one"])).await;
        let create = || caller.request(Method::POST, "/batches").json(&create_body(&file, CHAT)).send();
        let lost = create().await.unwrap_err();
        assert!(lost.is_request(), "{lost:?}");
        assert_eq!(listed(&caller).await, created, "{effect:?}");
        assert_eq!(create().await.unwrap().status(), 200);
        assert_eq!(listed(&caller).await, created + 1, "{effect:?}");
    }
}

#[tokio::test]
async fn an_upload_whose_answer_is_lost_is_there() {
    let (_gateway, caller) = with(Fault::on(Operation::UploadFile).nth(1).then(Effect::AnswerLost)).await;
    let part = reqwest::multipart::Part::text("x").file_name("requests.jsonl");
    let form = reqwest::multipart::Form::new().text("purpose", "batch").part("file", part);
    assert!(caller.request(Method::POST, "/files").multipart(form).send().await.is_err());
    assert_eq!(caller.get("/files").await.1["data"][0]["filename"], "requests.jsonl");
}

#[tokio::test]
async fn an_answer_is_replaced_after_the_effect() {
    let refusal = Refusal::status(504).body(ErrorBody::Html);
    let (_gateway, caller) = with(Fault::on(Operation::CreateBatch).nth(1).then(Effect::AnswerReplaced(refusal))).await;
    let file = caller.upload(chats(["one"])).await;
    let create = caller.odd(Method::POST, "/batches").json(&create_body(&file, CHAT));
    let response = create.send().await.unwrap();
    assert_eq!(response.status(), 504);
    assert!(response.text().await.unwrap().contains("504 Gateway Timeout"));
    assert_eq!(listed(&caller).await, 1);
}

/// A create that is refused has no answer to lose, and the fault waits for one that is not.
#[tokio::test]
async fn a_refusal_is_neither_lost_nor_replaced() {
    for effect in [Effect::AnswerLost, Effect::AnswerReplaced(Refusal::status(504))] {
        let on = Fault::on(Operation::CreateBatch).times(1).then(effect.clone());
        let gateway = start(Gateway::builder().key("sk-test").fault(on)).await;
        let (caller, stranger) =
            (Caller::new(&gateway, OPENAI, "sk-test"), Caller::new(&gateway, OPENAI, "sk-stranger"));
        let file = caller.upload(chats(["one"])).await;
        let (status, body) = stranger.post("/batches", &create_body(&file, CHAT)).await;
        assert_eq!((status.as_u16(), &body["error"]["type"]), (401, &"invalid_request_error".into()), "{effect:?}");
        assert_eq!(gateway.leftovers().len(), 1, "{effect:?}");
        let create = caller.request(Method::POST, "/batches").json(&create_body(&file, CHAT)).send().await;
        assert!(create.is_err() || create.unwrap().status() == 504, "{effect:?}");
        assert_eq!((listed(&caller).await, gateway.leftovers().len()), (1, 0), "{effect:?}");
    }
}

#[tokio::test]
async fn bodies_end_too_early_in_three_ways() {
    let content = "0123456789".repeat(40_000);
    for after in [0, 1, 100_000, u64::MAX] {
        for (effect, length, chunked, error) in [
            (Effect::ResetInBody { after }, true, false, Some(ErrorKind::ConnectionReset)),
            (Effect::TruncatedBody { after }, true, false, None),
            (Effect::TruncatedChunks { after }, false, true, None),
        ] {
            let (gateway, caller) = with(Fault::on(Operation::FileContent).calls(1..=2).then(effect.clone())).await;
            let id = caller.upload(content.clone()).await;
            let (answer, ended) = raw(&gateway, &format!("/v1/files/{id}/content")).await;
            let at = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
            let head = String::from_utf8(answer[..at].to_vec()).unwrap().to_ascii_lowercase();
            let body = &answer[at + 4..];
            assert_eq!(head.contains("content-length: 400000"), length, "{head}");
            assert_eq!(head.contains("transfer-encoding: chunked"), chunked, "{head}");
            assert_eq!(ended, error, "{effect:?}");
            if !chunked {
                assert_eq!(body.len() as u64, after.min(399_999), "{effect:?}");
                assert!(content.as_bytes().starts_with(body));
            }
            assert!(!answer.ends_with(b"0\r\n\r\n"), "{effect:?}");

            let request = caller.odd(Method::GET, &format!("/files/{id}/content"));
            let bytes = async { request.send().await?.bytes().await };
            assert!(bytes.await.is_err(), "{effect:?}");
            assert_eq!(caller.bytes(&id).await, content.as_bytes());
        }
    }
}

#[tokio::test]
async fn the_body_of_a_refusal_is_left_alone() {
    for effect in [
        Effect::ResetInBody { after: 0 },
        Effect::TruncatedBody { after: 0 },
        Effect::TruncatedChunks { after: 0 },
        Effect::SlowBody { bytes_per_second: 1 },
    ] {
        let (gateway, caller) = with(Fault::on(Operation::FileContent).times(1).then(effect.clone())).await;
        let (status, body) = caller.get("/files/file-x/content").await;
        assert_eq!((status.as_u16(), &body["error"]["param"]), (404, &"id".into()), "{effect:?}");
        assert_eq!(gateway.leftovers().len(), 1, "{effect:?}");
        gateway.forgive_leftovers();
    }
}

#[tokio::test]
async fn slow_and_late_answers_take_their_time_and_are_whole() {
    let on = Fault::on(Operation::FileContent);
    for (effect, least) in
        [(Effect::SlowBody { bytes_per_second: 2_000 }, 500), (Effect::Delay(Duration::from_millis(300)), 300)]
    {
        let (_gateway, caller) = with(on.nth(1).then(effect.clone())).await;
        let id = caller.upload("0123456789".repeat(100)).await;
        let before = Instant::now();
        assert_eq!(caller.bytes(&id).await.len(), 1_000);
        assert!(before.elapsed() >= Duration::from_millis(least), "{effect:?}");
        let before = Instant::now();
        assert_eq!(caller.bytes(&id).await.len(), 1_000);
        assert!(before.elapsed() < Duration::from_millis(least), "{effect:?}");
    }
}

#[tokio::test]
async fn a_delay_and_a_status_strike_together() {
    let gateway = start(
        Gateway::builder()
            .fault(Fault::on(Operation::Any).nth(2).then(Effect::Delay(Duration::from_millis(150))))
            .fault(Fault::on(Operation::GetBatch).nth(1).then(Effect::Status(Refusal::status(500)))),
    )
    .await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    assert_eq!(listed(&caller).await, 0);
    let before = Instant::now();
    let (status, body) = caller.get("/batches/batch_x").await;
    assert!(before.elapsed() >= Duration::from_millis(150));
    assert_eq!((status.as_u16(), &body["error"]["code"]), (500, &Value::Null));
    assert_eq!(caller.get("/batches/batch_x").await.0, 404);
}
