//! What those who run a gateway are told.

use std::time::Duration;

use lote_gateway::upstream::Upstream;
use lote_gateway::{Builder, Gateway};
use reqwest::Method;

use crate::common::{CHAT, Caller, OPENAI, PATIENCE, chat, chats, http, start};

const HERE: std::net::SocketAddr = std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

async fn ask(url: &str) -> (u16, String) {
    let response = http().get(url).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// The value of a line of metrics, which begins with that.
fn value(text: &str, begins: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.strip_prefix(begins).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn a_gateway_lives_and_is_ready_whoever_asks() {
    for builder in [Gateway::builder(), Gateway::builder().key("sk-1"), Gateway::builder().virtual_clock()] {
        let gateway = start(builder).await;
        for path in ["healthz", "readyz"] {
            assert_eq!(ask(&format!("{}/{path}", gateway.url())).await, (200, "ok\n".to_owned()));
        }
    }
}

#[tokio::test]
async fn what_is_counted_is_for_operators_alone_where_there_are_keys() {
    let gateway = start(Gateway::builder().named_key("acme", "sk-1").admin_listen(HERE)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-1");
    assert_eq!(caller.get("/batches").await.0, 200);
    let (status, _) = ask(&format!("{}/metrics", gateway.url())).await;
    assert_eq!(status, 404);
    let admin = format!("http://{}", gateway.admin_addr().unwrap());
    assert_eq!(ask(&format!("{admin}/readyz")).await.0, 200);
    assert_eq!(ask(&format!("{admin}/v1/batches")).await.0, 404);
    let (status, text) = ask(&format!("{admin}/metrics")).await;
    assert_eq!(status, 200);
    assert_eq!(value(&text, "lote_gateway_http_requests_total{operation=\"list-batches\",status=\"200\"}"), Some(1.0));
    assert!(text.ends_with("# EOF\n"));
}

async fn metrics(builder: Builder, key: &str) -> String {
    let gateway = start(builder.admin_listen(HERE)).await;
    let caller = Caller::new(&gateway, OPENAI, key);
    let done = caller.run(chats(["a", "b", "[[status=400]] a prompt of mine"]), CHAT).await;
    assert_eq!(done["request_counts"]["total"], 3);
    let request = caller.request(Method::POST, "/chat/completions").json(&chat("1", "x")["body"]);
    assert_eq!(request.header("X-On-Behalf-Of", "user-1").send().await.unwrap().status(), 200);
    // One that is not over.
    let slow = caller.submit(chats(["[[sleep=86400000]]", "[[sleep=86400000]]"]), CHAT).await;
    caller.until(&slow, |batch| batch["status"] == "in_progress").await;
    let metrics = format!("http://{}/metrics", gateway.admin_addr().unwrap());
    let begun = tokio::time::Instant::now();
    loop {
        let text = ask(&metrics).await.1;
        // Both are on their way, if there is an upstream.
        let in_flight = text.lines().find(|line| line.starts_with("lote_gateway_upstream_in_flight"));
        if in_flight.is_none_or(|line| line.ends_with(" 2")) || begun.elapsed() > PATIENCE {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn lines_batches_and_tokens_are_counted_and_nobody_is_told_of() {
    for (key, name) in [("sk-named", "acme"), ("sk-secret", "key-2")] {
        let builder = Gateway::builder().named_key("acme", "sk-named").key("sk-secret");
        let text = metrics(builder, key).await;
        for (begins, expected) in [
            ("lote_gateway_lines_total{outcome=\"succeeded\"}", 2.0),
            ("lote_gateway_lines_total{outcome=\"failed\"}", 1.0),
            ("lote_gateway_batches{status=\"completed\"}", 1.0),
            ("lote_gateway_batches{status=\"in_progress\"}", 1.0),
            (&format!("lote_gateway_lines_waiting{{tenant=\"{name}\"}}"), 2.0),
            ("lote_gateway_http_requests_total{operation=\"chat\",status=\"200\"}", 1.0),
        ] {
            assert_eq!(value(&text, begins), Some(expected), "{begins}\n{text}");
        }
        let tokens = "lote_gateway_tokens_total{direction=\"input\",asked_by=\"batch\"}";
        assert!(value(&text, tokens).is_some_and(|tokens| tokens > 0.0), "{text}");
        assert!(!["sk-", "a prompt", "user-1"].iter().any(|secret| text.contains(secret)), "{text}");
    }
    let any = metrics(Gateway::builder(), "sk-any").await;
    assert_eq!(value(&any, "lote_gateway_lines_waiting{tenant=\"other\"}"), Some(2.0), "{any}");
}

#[tokio::test]
async fn upstreams_are_measured() {
    let server = start(Gateway::builder()).await;
    let upstream = Upstream::new(&format!("{}/v1", server.url())).unwrap().key("sk-1").unwrap();
    let text = metrics(Gateway::builder().upstream(upstream), "sk-any").await;
    let url = format!("{}/v1", server.url());
    let of = |name: &str| value(&text, &format!("lote_gateway_upstream_{name}{{upstream=\"{url}\"}}"));
    assert_eq!((of("in_flight"), of("waiting")), (Some(2.0), Some(0.0)), "{text}");
    assert!(of("limit").is_some_and(|limit| limit >= 8.0));
    assert_eq!(of("answer_seconds_count"), Some(4.0), "{text}");
    let answers = format!("lote_gateway_upstream_answers_total{{upstream=\"{url}\",answer=\"400\"}}");
    assert_eq!(value(&text, &answers), Some(1.0), "{text}");
}
