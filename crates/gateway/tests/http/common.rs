//! What all tests share: a gateway, a plain HTTP caller that is not our own client, patience with a bound.

use std::time::Duration;

use lote_gateway::{Builder, Gateway};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::contract;
use crate::wire::Watched;

/// No wait in a test is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const MKA1: &str = "/api/v1/llm";
pub(crate) const OPENAI: &str = "/v1";
pub(crate) const PREFIXES: [&str; 2] = [MKA1, OPENAI];
pub(crate) const CHAT: &str = "/v1/chat/completions";

/// A gateway and somebody who talks to it through one prefix with one key.
pub(crate) struct Caller {
    pub(crate) url: String,
    pub(crate) key: String,
    pub(crate) http: reqwest::Client,
}

#[cfg(feature = "data")]
/// With this in the environment, gateways keep their state in a folder, wherever that is possible: all that holds of a state
/// in memory holds of it as well.
const KEPT: &str = "LOTE_TEST_KEPT";

pub(crate) async fn start(builder: Builder) -> Watched {
    #[cfg(feature = "data")]
    if std::env::var_os(KEPT).is_some() {
        let folder = tempfile::tempdir().unwrap();
        match builder.clone().data(folder.path()).start().await {
            Ok(gateway) => return Watched::new(gateway, Some(folder)).await,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{error}"),
        }
    }
    in_memory(builder).await
}

/// A gateway whose state is in memory even then: the test is about what is so there alone.
pub(crate) async fn in_memory(builder: Builder) -> Watched {
    Watched::new(builder.start().await.unwrap(), None).await
}

/// A default gateway and a caller under `prefix`.
pub(crate) async fn plain(prefix: &str) -> (Watched, Caller) {
    let gateway = start(Gateway::builder()).await;
    let caller = Caller::new(&gateway, prefix, "sk-test");
    (gateway, caller)
}

/// A client of HTTP. Built beside crates that speak TLS it wants to know whose cryptography to use, and no test here uses any.
pub(crate) fn http() -> reqwest::Client {
    // An error says that another test has installed it.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::new()
}

impl Caller {
    pub(crate) fn new(gateway: &Watched, prefix: &str, key: &str) -> Caller {
        Caller { url: format!("{}{prefix}", gateway.url()), key: key.to_owned(), http: http() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key)
    }

    /// The same, for an answer that a fault makes odd: nobody holds it against the contract.
    pub(crate) fn odd(&self, method: Method, path: &str) -> RequestBuilder {
        self.request(method, path).header("x-odd", "1")
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        answer(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn bytes(&self, file_id: &str) -> Vec<u8> {
        let response = send(self.request(Method::GET, &format!("/files/{file_id}/content"))).await;
        assert_eq!(response.status(), 200);
        response.bytes().await.unwrap().to_vec()
    }

    /// The result lines of a file, in file order.
    pub(crate) async fn lines(&self, file_id: &Value) -> Vec<Value> {
        let bytes = self.bytes(file_id.as_str().unwrap()).await;
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        for line in &lines {
            contract::valid("ResultLine", line, "a line of the file");
        }
        lines
    }

    pub(crate) async fn upload_form(&self, form: Form) -> (StatusCode, Value) {
        answer(self.request(Method::POST, "/files").multipart(form)).await
    }

    /// Uploads an input file and returns its id.
    pub(crate) async fn upload(&self, content: impl Into<Vec<u8>>) -> String {
        let part = Part::bytes(content.into()).file_name("requests.jsonl");
        let form = Form::new().text("purpose", "batch").part("file", part);
        let (status, file) = self.upload_form(form).await;
        assert_eq!(status, 200, "{file}");
        file["id"].as_str().unwrap().to_owned()
    }

    /// Creates a batch on an uploaded file.
    pub(crate) async fn create(&self, file_id: &str, endpoint: &str) -> Value {
        let body = create_body(file_id, endpoint);
        let (status, batch) = self.post("/batches", &body).await;
        assert_eq!(status, 200, "{batch}");
        batch
    }

    /// Uploads and creates.
    pub(crate) async fn submit(&self, content: impl Into<Vec<u8>>, endpoint: &str) -> Value {
        let file_id = self.upload(content).await;
        self.create(&file_id, endpoint).await
    }

    pub(crate) async fn batch(&self, batch: &Value) -> Value {
        let path = format!("/batches/{}", batch["id"].as_str().unwrap());
        let (status, batch) = self.get(&path).await;
        assert_eq!(status, 200, "{batch}");
        batch
    }

    /// Asks for the batch until it is as `wanted`.
    pub(crate) async fn until(&self, batch: &Value, wanted: impl Fn(&Value) -> bool) -> Value {
        let asking = async {
            loop {
                let batch = self.batch(batch).await;
                if wanted(&batch) {
                    return batch;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(batch) => batch,
            Err(_) => panic!("never as wanted: {}", self.batch(batch).await),
        }
    }

    /// Asks for the batch until it has ended.
    pub(crate) async fn ended(&self, batch: &Value) -> Value {
        let terminal = ["completed", "failed", "expired", "cancelled"];
        self.until(batch, |batch| terminal.contains(&batch["status"].as_str().unwrap())).await
    }

    /// Uploads, creates, waits for the end.
    pub(crate) async fn run(&self, content: impl Into<Vec<u8>>, endpoint: &str) -> Value {
        let batch = self.submit(content, endpoint).await;
        self.ended(&batch).await
    }

    pub(crate) async fn cancel(&self, batch: &Value) -> (StatusCode, Value) {
        let path = format!("/batches/{}/cancel", batch["id"].as_str().unwrap());
        answer(self.request(Method::POST, &path)).await
    }
}

pub(crate) fn create_body(file_id: &str, endpoint: &str) -> Value {
    json!({"input_file_id": file_id, "endpoint": endpoint, "completion_window": "24h"})
}

pub(crate) async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

/// Sends, and reads a JSON answer.
pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = send(request).await;
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text:?}")))
}

/// A chat request line.
pub(crate) fn chat(custom_id: &str, text: &str) -> Value {
    json!({"custom_id": custom_id, "method": "POST", "url": CHAT, "body": {
        "model": "gpt-test", "messages": [{"role": "user", "content": text}],
    }})
}

/// Chat request lines, one for each text, with custom_ids `r-0`, `r-1`, …
pub(crate) fn chats<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> String {
    texts.into_iter().enumerate().map(|(at, text)| format!("{}\n", chat(&format!("r-{at}"), text.as_ref()))).collect()
}

/// A request line for any endpoint.
pub(crate) fn line(custom_id: &str, endpoint: &str, body: &Value) -> String {
    let line = json!({
        "custom_id": custom_id, "method": "POST", "url": endpoint, "body": body,
    });
    format!("{line}\n")
}

/// The result line of `custom_id`.
pub(crate) fn by_id<'a>(lines: &'a [Value], custom_id: &str) -> &'a Value {
    lines.iter().find(|line| line["custom_id"] == custom_id).unwrap()
}
