//! Owns the services that the tests talk to: the embedded gateway in this process, and odd ones
//! that answer what they are told; never asserts what `lote` prints.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use lote_gateway::{Builder, Gateway};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::common::{Ended, command, ended};

/// The key that the tests use; it must never be printed.
pub(crate) const KEY: &str = "mk-hunter22-hunter22";

/// `lote` that talks to a service at this URL.
pub(crate) fn at(url: &str) -> Command {
    let mut command = command();
    command.env("LOTE_BASE_URL", url).env("LOTE_API_KEY", KEY);
    command
}

/// Runs `lote` on a service; the key must not be printed.
pub(crate) fn ask<A: AsRef<OsStr>>(url: &str, args: impl IntoIterator<Item = A>) -> Ended {
    let ended = ended(at(url).args(args), b"");
    assert!(!ended.stdout.contains(KEY) && !ended.stderr.contains(KEY), "{ended:?}");
    ended
}

/// What was printed, as JSON.
pub(crate) fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// What was printed, a JSON object a line.
pub(crate) fn json_lines(ended: &Ended) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON on each line")).collect()
}

/// The embedded gateway in this process. It stops when dropped.
pub(crate) struct Embedded {
    url: String,
    // Before the runtime that it lives on.
    gateway: Arc<Gateway>,
    runtime: Runtime,
}

impl Embedded {
    pub(crate) fn start() -> Self {
        Self::with(Gateway::builder())
    }

    pub(crate) fn with(builder: Builder) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let gateway = runtime.block_on(builder.start()).expect("the gateway starts");
        Self { url: gateway.url(), gateway: Arc::new(gateway), runtime }
    }

    /// One whose batches end when the test lets time pass.
    pub(crate) fn standing(builder: Builder) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        Self::with(builder.virtual_clock_at(now.try_into().expect("a time")))
    }

    /// Lets time pass where it stands.
    pub(crate) fn pass(&self, length: Duration) {
        self.runtime.block_on(self.gateway.advance(length));
    }

    /// Lets time pass where it stands, as long as this is done.
    pub(crate) fn passing<T>(&self, work: impl FnOnce() -> T) -> T {
        let gateway = Arc::clone(&self.gateway);
        let passes = self.runtime.spawn(async move {
            loop {
                gateway.advance(Duration::from_secs(1)).await;
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        let done = work();
        passes.abort();
        done
    }

    /// Where it behaves as MKA1 does.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where it behaves as OpenAI does.
    pub(crate) fn openai(&self) -> String {
        format!("{}/v1", self.url)
    }

    /// Runs `lote` on it.
    pub(crate) fn lote<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ended {
        ask(&self.url, args)
    }

    /// Uploads these bytes; gives back the id of the file.
    pub(crate) fn upload(&self, bytes: &[u8]) -> String {
        let ended = ended(at(&self.url).args(["files", "upload", "-"]), bytes);
        assert_eq!(ended.code, 0, "{ended:?}");
        json(&ended)["id"].as_str().expect("an id").to_owned()
    }

    /// Uploads one request line for each prompt and creates a batch over them; gives back its id.
    pub(crate) fn batch(&self, prompts: &[&str]) -> String {
        let created = self.lote(["batches", "create", &self.upload(&requests(prompts)), "--endpoint", "chat"]);
        assert_eq!(created.code, 0, "{created:?}");
        json(&created)["id"].as_str().expect("an id").to_owned()
    }
}

/// A request line for each prompt.
pub(crate) fn requests(prompts: &[&str]) -> Vec<u8> {
    let line = |(at, prompt): (usize, &&str)| {
        let body = serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": prompt}]});
        let line = serde_json::json!({
            "custom_id": format!("row-{}", at + 1), "method": "POST", "url": "/v1/chat/completions", "body": body,
        });
        format!("{line}\n")
    };
    prompts.iter().enumerate().map(line).collect::<String>().into_bytes()
}

/// A service that answers each connection with the next of its answers. Fails the test when some
/// are left over.
pub(crate) struct Odd {
    url: String,
    asked: Receiver<Asked>,
    left: Arc<Mutex<Vec<Vec<u8>>>>,
    _thread: JoinHandle<()>,
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The request line and the headers, header names in lower case.
    pub(crate) head: String,
    /// The body, as text.
    pub(crate) body: String,
}

impl Odd {
    /// An empty answer closes the connection.
    pub(crate) fn answering(answers: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut answers: Vec<_> = answers.into_iter().collect();
        answers.reverse();
        let left = Arc::new(Mutex::new(answers));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let (send, asked) = channel();
        let thread = std::thread::spawn({
            let left = Arc::clone(&left);
            move || {
                let mut posted = (false, false);
                for stream in listener.incoming() {
                    let mut stream = stream.expect("a connection");
                    let asked = read(&stream);
                    // Before its first create a run asks whether an earlier one has made a batch of the same lines.
                    if asked.head.starts_with("GET ")
                        && asked.head.contains("/batches?limit=100 ")
                        && posted == (true, false)
                    {
                        let _ =
                            stream.write_all(&answer("200 OK", "application/json", r#"{"data":[],"has_more":false}"#));
                        continue;
                    }
                    if asked.head.starts_with("POST ") {
                        let path = asked.head.split(' ').nth(1).unwrap_or_default();
                        posted = (posted.0 || path.ends_with("/files"), posted.1 || path.ends_with("/batches"));
                    }
                    let Some(answer) = left.lock().expect("no test panicked with it").pop() else { return };
                    // Nobody is left to be told when the test has ended.
                    let _ = send.send(asked);
                    // The client may have gone.
                    let _ = stream.write_all(&answer);
                }
            }
        });
        Self { url, asked, left, _thread: thread }
    }

    /// One that answers once, with this JSON.
    pub(crate) fn saying(json: &Value) -> Self {
        Self::answering([answer("200 OK", "application/json", &json.to_string())])
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next request that came.
    pub(crate) fn asked(&self) -> Asked {
        self.asked.recv().expect("a request came")
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.left.lock().expect("no test panicked with it").is_empty(), "answers were left over");
        }
    }
}

/// An answer, after which the connection closes.
pub(crate) fn answer(status: &str, media_type: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Reads a request to its end.
pub(crate) fn read(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).expect("a line") == 0 || line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.split_once(": ") {
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().expect("a length");
            }
            line = format!("{}: {value}", name.to_ascii_lowercase());
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the whole body");
    Asked { head, body: String::from_utf8(body).expect("UTF-8") }
}

/// A port that takes connections and tells whether any came.
pub(crate) struct Unasked(TcpListener);

impl Unasked {
    pub(crate) fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a listener");
        Self(listener)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("its address"))
    }

    /// Fails the test when anybody has connected.
    pub(crate) fn assert(&self, what: impl std::fmt::Debug) {
        let came = self.0.accept();
        assert!(came.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "{what:?} was sent");
    }
}

/// A service that answers each request by its method and path, as often as it is asked. Its thread ends with the test.
pub(crate) struct Steady(String);

impl Steady {
    pub(crate) fn answering(says: impl Fn(&str) -> Value + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                let said = says(&read(&stream).head).to_string();
                // The client may have gone.
                let _ = stream.write_all(&answer("200 OK", "application/json", &said));
            }
        });
        Self(url)
    }

    pub(crate) fn url(&self) -> &str {
        &self.0
    }
}
