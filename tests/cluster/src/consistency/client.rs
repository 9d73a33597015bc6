//! A client of the gateways, who never gives up and believes only what it was told.

use std::sync::Arc;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long an answer is waited for.
const TIMEOUT: Duration = Duration::from_secs(8);

/// How long something is asked for again and again.
const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(60);

/// What came of a request.
#[derive(Clone, Debug)]
pub enum Told {
    Answer(u16, Value),
    /// There was no whole answer.
    Broken,
}

/// Asks the gateways in turn.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    ports: Arc<Vec<u16>>,
    next: Arc<AtomicUsize>,
    key: &'static str,
}

fn http() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    // It is there already where another test of the process was first.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder().pool_max_idle_per_host(0).timeout(TIMEOUT).no_proxy().build().unwrap()
}

/// Whether a gateway can be asked.
pub(super) async fn ready(port: u16) -> bool {
    match http().get(format!("http://127.0.0.1:{port}/readyz")).send().await {
        Ok(response) => response.status().is_success(),
        Err(_) => false,
    }
}

impl Client {
    pub fn new(ports: Vec<u16>, key: &'static str) -> Client {
        Client { http: http(), ports: Arc::new(ports), next: Arc::default(), key }
    }

    /// The same with another key.
    pub fn with(&self, key: &'static str) -> Client {
        Client { key, ..self.clone() }
    }

    pub fn key(&self) -> &'static str {
        self.key
    }

    /// The port of whoever is next.
    pub fn port(&self) -> u16 {
        self.ports[self.next.fetch_add(1, Ordering::Relaxed) % self.ports.len()]
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/v1{path}", self.port())
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Told {
        let Ok(response) = request.bearer_auth(self.key).send().await else { return Told::Broken };
        let status = response.status().as_u16();
        match response.bytes().await.map(|bytes| serde_json::from_slice(&bytes)) {
            Ok(Ok(body)) => Told::Answer(status, body),
            Ok(Err(_)) | Err(_) => Told::Broken,
        }
    }

    pub async fn get(&self, path: &str) -> Told {
        self.send(self.http.get(self.url(path))).await
    }

    pub async fn post(&self, path: &str, body: &Value, key: Option<&str>) -> Told {
        let mut request =
            self.http.post(self.url(path)).header("Content-Type", "application/json").body(body.to_string());
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.send(request).await
    }

    pub async fn upload(&self, text: &str) -> Told {
        let boundary = "lote-boundary";
        let form = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--{boundary}\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"requests.jsonl\"\r\n\r\n{text}\r\n--{boundary}--\r\n"
        );
        let content = format!("multipart/form-data; boundary={boundary}");
        self.send(self.http.post(self.url("/files")).header("Content-Type", content).body(form)).await
    }

    /// Asks until there is an answer that is no server error; the last one, when there never is.
    pub async fn get_patiently(&self, path: &str) -> Told {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.get(path).await {
                Told::Answer(status, body) if status < 500 => return Told::Answer(status, body),
                told if Instant::now() > until => return told,
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// The bytes of a file, or what was told instead.
    pub async fn content(&self, id: &str) -> Result<String, String> {
        let until = Instant::now() + PATIENCE;
        loop {
            let response = self.http.get(self.url(&format!("/files/{id}/content"))).bearer_auth(self.key).send().await;
            let told = match response {
                Ok(response) if response.status().is_success() => match response.text().await {
                    Ok(text) => return Ok(text),
                    Err(error) => error.to_string(),
                },
                Ok(response) if response.status().as_u16() < 500 => return Err(response.status().to_string()),
                Ok(response) => response.status().to_string(),
                Err(error) => error.to_string(),
            };
            if Instant::now() > until {
                return Err(told);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// All batches, page by page; none when a page was not told.
    pub async fn batches(&self, limit: usize) -> Option<Vec<Value>> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let after = all.last().and_then(|batch| batch["id"].as_str()).map(|id| format!("&after={id}"));
            let path = format!("/batches?limit={limit}{}", after.unwrap_or_default());
            let Told::Answer(200, page) = self.get(&path).await else { return None };
            all.extend(page["data"].as_array().unwrap().iter().cloned());
            if page["has_more"] != true {
                return Some(all);
            }
        }
    }
}
