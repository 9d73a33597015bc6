//! An upstream that remembers every request, and misbehaves when the text of a line asks it to.
//!
//! A second answer comes in one piece with the first: then the gateway's client sees that nobody has asked for it, and closes
//! the connection. One that comes later, when the next request is on its way there, is the answer to that for every client of
//! HTTP/1.1: nothing in it says which request it is to.
//!
//! A text is `NAME MANNER`: the name is unlike that of every other line of the run, and the manner says what happens.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// One request.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The name of its line.
    pub line: String,
    pub manner: String,
    pub key: String,
    pub at: Instant,
    pub connection: u64,
    /// What stands in its answer, and in no other.
    pub answer: u64,
    /// When its answer was written, if it was.
    pub answered: Option<Instant>,
}

/// How long an answer takes.
const QUICK: Duration = Duration::from_millis(20);
const SLOW: Duration = Duration::from_millis(400);

/// Characters beside the answer to a large line: more than a database gets of one group.
const LARGE: usize = 300_000;

/// Kills a process, for a line that does so.
type Kill = Arc<Mutex<Option<Box<dyn Fn() + Send>>>>;

pub struct Witness {
    port: u16,
    log: Arc<Mutex<Vec<Sent>>>,
    kill: Kill,
}

impl Witness {
    pub async fn start() -> Witness {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (shared, kill) = (Arc::clone(&log), Kill::default());
        let killing = Arc::clone(&kill);
        let connections = AtomicU64::new(0);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = connections.fetch_add(1, Ordering::Relaxed);
                let (log, kill) = (Arc::clone(&shared), Arc::clone(&killing));
                // An error is a process that has died.
                tokio::spawn(async move { drop(serve(stream, connection, &log, &kill).await) });
            }
        });
        Witness { port, log, kill }
    }

    /// What happens when a line comes that kills its process.
    pub(super) fn on_kill(&self, kill: impl Fn() + Send + 'static) {
        *self.kill.lock().unwrap() = Some(Box::new(kill));
    }

    /// As `--upstream` and `[[upstream]]` want it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// All that was sent so far.
    pub fn log(&self) -> Vec<Sent> {
        lock(&self.log).clone()
    }

    /// How often lines whose names begin so were sent.
    pub fn count(&self, begin: &str) -> usize {
        lock(&self.log).iter().filter(|sent| sent.line.starts_with(begin)).count()
    }
}

fn lock(log: &Mutex<Vec<Sent>>) -> MutexGuard<'_, Vec<Sent>> {
    log.lock().unwrap()
}

/// Whether a line with this manner is sent a second time although nothing went wrong in the gateway.
pub(super) fn is_sent_again(manner: &str) -> bool {
    matches!(manner, "never" | "error" | "broken" | "late")
}

async fn serve(stream: TcpStream, connection: u64, log: &Mutex<Vec<Sent>>, kill: &Kill) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    loop {
        let (mut key, mut length, mut line) = (String::new(), 0, String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let Some((name, value)) = line.split_once(':') else {
                if line.trim().is_empty() {
                    break;
                }
                continue;
            };
            match name.to_ascii_lowercase().as_str() {
                "idempotency-key" => key = value.trim().to_owned(),
                "content-length" => length = value.trim().parse().unwrap(),
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let asked = body["messages"][0]["content"].as_str().unwrap_or_default();
        let (line, manner) = asked.split_once(' ').unwrap_or((asked, "quick"));
        let (place, is_first) = {
            let mut log = lock(log);
            let is_first = !log.iter().any(|sent| sent.line == line);
            let answer = log.len() as u64;
            log.push(Sent {
                line: line.to_owned(),
                manner: manner.to_owned(),
                key,
                at: Instant::now(),
                connection,
                answer,
                answered: None,
            });
            (log.len() - 1, is_first)
        };
        match (manner, is_first) {
            // The gateway gives up waiting, and closes the connection.
            ("never", true) => {
                let mut byte = [0];
                stream.read_exact(&mut byte).await?;
                return Ok(());
            }
            ("kills", _) => {
                if let Some(kill) = &*kill.lock().unwrap() {
                    kill();
                }
                return Ok(());
            }
            // Later than the gateway waits: this answer comes to nobody.
            ("late", true) => tokio::time::sleep(Duration::from_millis(2600)).await,
            ("slow", _) => tokio::time::sleep(SLOW).await,
            _ => tokio::time::sleep(QUICK).await,
        }
        if (manner, is_first) == ("error", true) {
            let told = text(500, &json!({"error": {"message": "too much"}}));
            stream.write_all(told.as_bytes()).await?;
            stream.flush().await?;
            continue;
        }
        let beside = if manner == "large" { "x".repeat(LARGE) } else { String::new() };
        let told = json!({
            "id": format!("chatcmpl-{place}"), "object": "chat.completion", "created": 1, "model": "witness",
            "choices": [{"index": 0, "finish_reason": "stop",
                         "message": {"role": "assistant", "content": format!("{line} answer {place} {beside}")}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        });
        if (manner, is_first) == ("broken", true) {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{\"id\"")
                .await?;
            return Ok(());
        }
        // Before it is written: whoever has it finds it here.
        if let Some(sent) = lock(log).get_mut(place) {
            sent.answered = Some(Instant::now());
        }
        let times = if manner == "twice" { 2 } else { 1 };
        stream.write_all(text(200, &told).repeat(times).as_bytes()).await?;
        stream.flush().await?;
    }
}

/// An answer as it is on the wire.
fn text(status: u16, body: &Value) -> String {
    let body = body.to_string();
    let head =
        format!("HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    head + &body
}
