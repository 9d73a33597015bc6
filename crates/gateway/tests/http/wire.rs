//! The proxy between every test and its gateway, on a port of its own: it reads along, however the test speaks, and holds
//! each answer against the contract. It changes no byte, nor how a connection ends.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lote_gateway::Gateway;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::contract::contract;

/// A request as far as the referee needs it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ask {
    pub(crate) method: String,
    /// Without its query.
    pub(crate) path: String,
    /// The test has asked, with the header `X-Odd`, for an answer that a fault has touched.
    pub(crate) is_odd: bool,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The value of a header; `name` is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

type Findings = Arc<Mutex<Vec<String>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A gateway whose answers are watched. Dropping it fails the test when one broke the contract.
pub(crate) struct Watched {
    gateway: Gateway,
    addr: SocketAddr,
    findings: Findings,
    proxy: AbortHandle,
    /// Where its state is, if that is a folder; it goes after the gateway.
    _folder: Option<tempfile::TempDir>,
}

impl Watched {
    pub(crate) async fn new(gateway: Gateway, folder: Option<tempfile::TempDir>) -> Watched {
        let findings = Findings::default();
        let (addr, proxy) = watch(gateway.addr(), Arc::clone(&findings)).await;
        Watched { gateway, addr, findings, proxy, _folder: folder }
    }

    /// Where tests speak to it.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where it really listens: for tests of the connections themselves.
    pub(crate) fn unwatched(&self) -> SocketAddr {
        self.gateway.addr()
    }
}

impl Deref for Watched {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.gateway
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.proxy.abort();
        let findings = lock(&self.findings);
        assert!(
            findings.is_empty() || std::thread::panicking(),
            "answers break the contract:\n{}",
            findings.join("\n")
        );
    }
}

/// Passes on whatever comes to the returned address, until aborted.
async fn watch(upstream: SocketAddr, findings: Findings) -> (SocketAddr, AbortHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, upstream, Arc::clone(&findings)));
        }
    });
    (addr, accepting.abort_handle())
}

/// How one direction of a connection ended.
enum End {
    /// With a FIN, which has been passed on.
    Closed,
    /// With an RST, or because the other side takes nothing more.
    Reset,
}

async fn pass(mut client: TcpStream, upstream: SocketAddr, findings: Findings) {
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let talk = Mutex::new(Talk::new(findings));
    let reset = {
        let ((mut from_client, mut to_client), (mut from_server, mut to_server)) = (client.split(), server.split());
        let answers = async {
            let mut piece = vec![0; 64 * 1024];
            loop {
                match from_server.read(&mut piece).await {
                    Ok(0) => {
                        lock(&talk).ended();
                        let _ = to_client.shutdown().await;
                        return End::Closed;
                    }
                    Ok(length) => {
                        // Before the client has it: what a test knows of has been judged.
                        lock(&talk).answer(&piece[..length]);
                        if to_client.write_all(&piece[..length]).await.is_err() {
                            return End::Reset;
                        }
                    }
                    Err(_) => {
                        lock(&talk).ended();
                        return End::Reset;
                    }
                }
            }
        };
        let asks = async {
            let mut piece = vec![0; 64 * 1024];
            let mut takes = true;
            loop {
                match from_client.read(&mut piece).await {
                    Ok(0) => {
                        let _ = to_server.shutdown().await;
                        return End::Closed;
                    }
                    Ok(length) => {
                        lock(&talk).ask(&piece[..length]);
                        // One that takes no more may still say something.
                        takes = takes && to_server.write_all(&piece[..length]).await.is_ok();
                    }
                    Err(_) => return End::Reset,
                }
            }
        };
        let (mut answers, mut asks) = (std::pin::pin!(answers), std::pin::pin!(asks));
        let (mut answered, mut asked) = (false, false);
        loop {
            let (end, done) = tokio::select! {
                end = &mut answers, if !answered => (end, &mut answered),
                end = &mut asks, if !asked => (end, &mut asked),
                else => break false,
            };
            match end {
                End::Closed => *done = true,
                End::Reset => break true,
            }
        }
    };
    if reset {
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

/// One connection: requests and answers in the order they come.
struct Talk {
    findings: Findings,
    asks: Messages,
    answers: Messages,
    asked: VecDeque<Ask>,
    /// The answer that is under way.
    current: Option<(Ask, Answer)>,
}

impl Talk {
    fn new(findings: Findings) -> Talk {
        Talk {
            findings,
            asks: Messages::default(),
            answers: Messages::default(),
            asked: VecDeque::new(),
            current: None,
        }
    }

    fn ask(&mut self, piece: &[u8]) {
        self.asks.add(piece);
        while let Some(event) = self.asks.next() {
            let Event::Head(Head { first, headers }) = event else { continue };
            let mut words = first.split(' ').map(str::to_owned);
            let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let path = target.split('?').next().unwrap_or_default().to_owned();
            let is_odd = header(&headers, "x-odd").is_some();
            self.asks.body = framing(&headers).or(Some(Body::Length(0)));
            self.asked.push_back(Ask { method, path, is_odd });
        }
    }

    fn answer(&mut self, piece: &[u8]) {
        self.answers.add(piece);
        while let Some(event) = self.answers.next() {
            match event {
                Event::Head(Head { first, headers }) => {
                    let Some(status) = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok())
                    else {
                        self.finds(&Ask::default(), 0, "this is no HTTP");
                        self.answers.body = Some(Body::Rest);
                        continue;
                    };
                    if (100..200).contains(&status) {
                        continue;
                    }
                    let ask = self.asked.pop_front().unwrap_or_default();
                    let is_bare = ask.method == "HEAD" || [204, 304].contains(&status);
                    let body = if is_bare { Some(Body::Length(0)) } else { framing(&headers) };
                    self.answers.body = body.or(Some(Body::Rest));
                    self.current = Some((ask, Answer { status, headers, body: Vec::new() }));
                }
                Event::Data(data) => {
                    if let Some((_, answer)) = &mut self.current
                        && answer.header("content-type") == Some("application/json")
                    {
                        answer.body.extend(data);
                    }
                }
                Event::End => self.judge(),
            }
        }
    }

    /// The gateway says no more.
    fn ended(&mut self) {
        if matches!(self.answers.body, Some(Body::Rest)) {
            self.judge();
        } else if let Some((ask, answer)) = self.current.take()
            && !ask.is_odd
        {
            self.finds(&ask, answer.status, "the answer ended early");
        }
    }

    fn judge(&mut self) {
        let Some((ask, answer)) = self.current.take() else { return };
        if !answer.header("x-request-id").is_some_and(|id| id.starts_with("req_")) {
            self.finds(&ask, answer.status, "no x-request-id");
        }
        if !ask.is_odd {
            for finding in contract().findings(&ask, &answer) {
                self.finds(&ask, answer.status, &finding);
            }
        }
    }

    fn finds(&self, ask: &Ask, status: u16, finding: &str) {
        lock(&self.findings).push(format!("{} {}: {status}: {finding}", ask.method, ask.path));
    }
}

/// The messages of one direction, piece by piece.
#[derive(Default)]
struct Messages {
    bytes: Vec<u8>,
    /// How many of them are done with.
    at: usize,
    /// What is left of the body that is under way.
    body: Option<Body>,
}

enum Body {
    Length(usize),
    Chunks,
    /// Until the connection ends.
    Rest,
}

enum Event {
    Head(Head),
    Data(Vec<u8>),
    End,
}

struct Head {
    /// The first line.
    first: String,
    headers: Vec<(String, String)>,
}

impl Messages {
    fn add(&mut self, piece: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.at));
        self.bytes.extend_from_slice(piece);
    }

    /// What comes next, if all of it is here. After a head, `body` is to be set.
    fn next(&mut self) -> Option<Event> {
        let bytes = &self.bytes[self.at..];
        let until = |mark: &[u8]| bytes.windows(mark.len()).position(|window| window == mark);
        match self.body {
            None => {
                let end = until(b"\r\n\r\n")?;
                let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
                self.at += end + 4;
                let mut lines = text.split("\r\n");
                let first = lines.next().unwrap_or_default().to_owned();
                let pair = |line: &str| {
                    let (name, value) = line.split_once(':')?;
                    Some((name.to_ascii_lowercase(), value.trim().to_owned()))
                };
                Some(Event::Head(Head { first, headers: lines.filter_map(pair).collect() }))
            }
            Some(Body::Length(0)) => {
                self.body = None;
                Some(Event::End)
            }
            Some(Body::Length(ref mut left)) => {
                let length = (*left).min(bytes.len());
                let data = bytes[..length].to_vec();
                *left -= length;
                self.at += length;
                (length > 0).then_some(Event::Data(data))
            }
            Some(Body::Chunks) => {
                let line = until(b"\r\n")?;
                let size = std::str::from_utf8(&bytes[..line]).ok()?.split(';').next()?.trim();
                let size = usize::from_str_radix(size, 16).ok()?;
                let data = bytes.get(line + 2..line + 2 + size)?.to_vec();
                // Nobody here sends trailers.
                bytes.get(line + 2 + size..line + 4 + size)?;
                self.at += line + 4 + size;
                if size > 0 {
                    return Some(Event::Data(data));
                }
                self.body = None;
                Some(Event::End)
            }
            Some(Body::Rest) => {
                let data = bytes.to_vec();
                self.at = self.bytes.len();
                (!data.is_empty()).then_some(Event::Data(data))
            }
        }
    }
}

/// The body that a head announces.
fn framing(headers: &[(String, String)]) -> Option<Body> {
    if header(headers, "transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
        return Some(Body::Chunks);
    }
    Some(Body::Length(header(headers, "content-length")?.parse().ok()?))
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// What the referee finds when a service gives this answer to this request.
pub(crate) async fn findings_of_one(ask: &str, answer: &str) -> Vec<String> {
    let service = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = service.local_addr().unwrap();
    let (length, answer) = (ask.len(), answer.to_owned());
    tokio::spawn(async move {
        let (mut stream, _) = service.accept().await.unwrap();
        stream.read_exact(&mut vec![0; length]).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let findings = Findings::default();
    let (addr, proxy) = watch(upstream, Arc::clone(&findings)).await;
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(ask.as_bytes()).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    proxy.abort();
    lock(&findings).clone()
}
