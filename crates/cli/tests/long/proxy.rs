//! Stands between `lote` and the gateway, counts what is asked for, and kills `lote` at a request that was named.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// When in a request `lote` is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    /// It has arrived, and nobody looks at it.
    Arrived,
    /// It was handled, and is not answered.
    Handled,
    /// It was answered.
    Answered,
}

impl Moment {
    pub(crate) const ALL: [Moment; 3] = [Moment::Arrived, Moment::Handled, Moment::Answered];
}

/// The nth request for an operation, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Request {
    pub(crate) operation: &'static str,
    pub(crate) nth: u32,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}", self.operation, self.nth)
    }
}

/// A proxy that serves as long as its runtime.
pub(crate) struct Proxy {
    url: String,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    seen: BTreeMap<&'static str, u32>,
    plan: Option<(Request, Moment)>,
    /// Of the process that is to be killed.
    pid: Option<u32>,
    killed: bool,
}

impl Proxy {
    pub(crate) fn start(runtime: &Runtime, service: SocketAddr) -> Self {
        let shared: Arc<Mutex<Shared>> = Arc::default();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let served = Arc::clone(&shared);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, service, Arc::clone(&served)));
            }
        });
        Self { url, shared }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Begins to count anew, and kills the next process there.
    pub(crate) fn plan(&self, plan: Option<(Request, Moment)>) {
        *self.shared.lock().expect("no test panicked with it") = Shared { plan, ..Shared::default() };
    }

    /// The process to kill.
    pub(crate) fn of(&self, pid: u32) {
        self.shared.lock().expect("no test panicked with it").pid = Some(pid);
    }

    /// All that was asked for since the plan was made.
    pub(crate) fn seen(&self) -> Vec<Request> {
        let shared = self.shared.lock().expect("no test panicked with it");
        let each = |(operation, count): (&&'static str, &u32)| {
            let operation = *operation;
            (1..=*count).map(move |nth| Request { operation, nth })
        };
        shared.seen.iter().flat_map(each).collect()
    }

    pub(crate) fn has_killed(&self) -> bool {
        self.shared.lock().expect("no test panicked with it").killed
    }
}

/// What a request asks for.
fn operation(head: &str) -> &'static str {
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    match (method, path.rsplit('/').next().unwrap_or_default()) {
        ("POST", "files") => "upload",
        ("POST", "batches") => "create",
        ("POST", "cancel") => "cancel",
        ("GET", "batches") => "list",
        ("GET", "content") => "download",
        ("GET", _) if path.contains("/batches/") => "get batch",
        ("GET", _) => "get file",
        _ => "other",
    }
}

/// Serves one request, after which the connection ends.
async fn serve(mut stream: TcpStream, service: SocketAddr, shared: Arc<Mutex<Shared>>) {
    let Some(request) = read(&mut stream).await else { return };
    let head = String::from_utf8_lossy(&request).into_owned();
    let moment = {
        let mut shared = shared.lock().expect("no test panicked with it");
        let operation = operation(&head);
        let nth = shared.seen.entry(operation).and_modify(|count| *count += 1).or_insert(1);
        let this = Request { operation, nth: *nth };
        shared.plan.filter(|(request, _)| *request == this).map(|(_, moment)| moment)
    };
    if moment == Some(Moment::Arrived) {
        return kill(&shared).await;
    }
    let answer = ask(service, &request).await;
    if moment == Some(Moment::Handled) {
        return kill(&shared).await;
    }
    match answer {
        Some(answer) => {
            // The client may have gone.
            let _ = stream.write_all(&answer).await;
        }
        None => {
            let _ = stream.set_zero_linger();
        }
    }
    if moment == Some(Moment::Answered) {
        kill(&shared).await;
    }
}

async fn kill(shared: &Mutex<Shared>) {
    let pid = loop {
        // It may have asked before its number was told.
        if let Some(pid) = shared.lock().expect("no test panicked with it").pid {
            break pid;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let pid = Pid::from_raw(pid.try_into().expect("a pid")).expect("a pid");
    // A process that has ended by itself is not killed.
    let killed = kill_process(pid, Signal::KILL).is_ok();
    shared.lock().expect("no test panicked with it").killed = killed;
}

/// A whole request, as it came; none when it does not come.
async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    loop {
        if let Some(end) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
            let length: Option<usize> =
                head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
            let whole = match length {
                Some(length) => request.len() >= end + 4 + length,
                None if head.contains("transfer-encoding: chunked") => request.ends_with(b"0\r\n\r\n"),
                None => true,
            };
            if whole {
                return Some(request);
            }
        }
        if stream.read_buf(&mut request).await.ok()? == 0 {
            return None;
        }
    }
}

/// The answer of the service; none when it resets the connection, or ends it without a word.
async fn ask(service: SocketAddr, request: &[u8]) -> Option<Vec<u8>> {
    let line = request.windows(2).position(|two| two == b"\r\n")? + 2;
    let mut upstream = TcpStream::connect(service).await.ok()?;
    for part in [&request[..line], b"connection: close\r\n", &request[line..]] {
        upstream.write_all(part).await.ok()?;
    }
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).await.ok()?;
    (!answer.is_empty()).then_some(answer)
}
