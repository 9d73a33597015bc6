//! Owns a service that says what a test tells it to, byte for byte; never more, and never less.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// What the service does with a request.
pub(crate) enum Reply {
    /// Sends these bytes and closes the connection.
    Bytes(Vec<u8>),
    /// Closes the connection without a word.
    Nothing,
    /// Sends these bytes and then nothing, until the client has gone.
    Stall(Vec<u8>),
}

impl Reply {
    /// A whole answer.
    pub(crate) fn new(status: u16, headers: &[&str], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
        for header in headers {
            bytes.push_str(header);
            bytes.push_str("\r\n");
        }
        bytes.push_str("\r\n");
        Self::Bytes([bytes.as_bytes(), body].concat())
    }

    /// A JSON answer.
    pub(crate) fn json(status: u16, body: impl ToString) -> Self {
        Self::new(status, &["content-type: application/json"], body.to_string())
    }
}

/// A service that gives each request the next reply. Dropped with replies left over, it fails the test.
pub(crate) struct Odd {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    replies: Mutex<VecDeque<Reply>>,
    requests: Mutex<Vec<String>>,
    bodies: Mutex<Vec<Vec<u8>>>,
    over: AtomicBool,
    answer: Option<Answer>,
}

/// What answers a request, by its head and how many of its method and path have come.
type Answer = Box<dyn Fn(&str, usize) -> Reply + Send + Sync>;

impl Odd {
    pub(crate) fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::of(State { replies: Mutex::new(replies.into_iter().collect()), ..State::default() })
    }

    /// A service that answers by what it is asked: the head of a request, and how many of its method and path have come.
    pub(crate) fn answering(answer: impl Fn(&str, usize) -> Reply + Send + Sync + 'static) -> Self {
        Self::of(State { answer: Some(Box::new(answer)), ..State::default() })
    }

    fn of(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(state);
        let served = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if served.over.load(Ordering::SeqCst) {
                    return;
                }
                // A client that goes away in mid-answer is part of some tests.
                let _ = stream.and_then(|stream| serve(stream, &served));
            }
        });
        Self { address, state }
    }

    /// Replies after those that were given before.
    pub(crate) fn more(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.replies.lock().expect("replies").extend(replies);
    }

    pub(crate) fn client(&self) -> lote::Client {
        self.builder().build().expect("a client")
    }

    pub(crate) fn builder(&self) -> lote::ClientBuilder {
        lote::Client::builder().base_url(format!("{}/v1", self.url())).api_key("sk-hunter22").retry(lote::Retry::none())
    }

    /// Where it is, without a path.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The request bodies so far.
    pub(crate) fn bodies(&self) -> Vec<Vec<u8>> {
        self.state.bodies.lock().expect("bodies").clone()
    }

    /// The request heads so far, one text each: method, path, headers.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.state.requests.lock().expect("requests").clone()
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        // The thread is not waited for: a client that stalls is dropped by a runtime that this would hold up.
        let left = self.state.replies.lock().expect("replies").len();
        if !std::thread::panicking() {
            assert_eq!(left, 0, "replies that nothing asked for");
        }
    }
}

fn serve(mut stream: TcpStream, state: &State) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let lower = head.to_ascii_lowercase();
    // Taken before the request is seen: a client that is dropped in mid-upload has used its reply.
    let reply = {
        let mut requests = state.requests.lock().expect("requests");
        let call = |head: &str| head.split(['?', '\r']).next().unwrap_or_default().replace(" HTTP/1.1", "");
        // Before its first create a run asks whether an earlier one has made a batch of the same lines: here none has.
        let sent = |what: &str| {
            requests.iter().any(|before| call(before).starts_with("POST ") && call(before).ends_with(what))
        };
        if call(&head).ends_with("/batches") && head.contains("?limit=100 ") && sent("/files") && !sent("/batches") {
            drop(requests);
            let Reply::Bytes(none) = Reply::json(200, r#"{"data":[],"has_more":false}"#) else { return Ok(()) };
            return stream.write_all(&none);
        }
        let asked = 1 + requests.iter().filter(|before| call(before) == call(&head)).count();
        let answer = state.answer.as_ref().map(|answer| answer(&head, asked));
        let reply = answer.or_else(|| state.replies.lock().expect("replies").pop_front());
        requests.push(head);
        reply
    };
    let mut body = Vec::new();
    if let Some(length) = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok()) {
        reader.by_ref().take(length).read_to_end(&mut body)?;
    }
    state.bodies.lock().expect("bodies").push(body);
    match reply.unwrap_or_else(|| Reply::json(500, r#"{"error":"the test has no reply for this"}"#)) {
        Reply::Bytes(bytes) => stream.write_all(&bytes),
        Reply::Nothing => Ok(()),
        Reply::Stall(bytes) => {
            stream.write_all(&bytes)?;
            std::io::copy(&mut reader, &mut std::io::sink()).map(|_| ())
        }
    }
}
