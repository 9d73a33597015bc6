//! Owns the listening socket, the connections and the end of a gateway. Never looks into a request.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::builder::Builder;
use crate::faults::{Abort, Aborts, Operation};
use crate::http::{self, Talk, Unheard};
use crate::journal::Entry;

/// How long connections may finish their requests once the gateway stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// Pause after a failed accept: usually the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Most bytes of a request's head, and of a body read ahead.
const READ_BUFFER: usize = 64 * 1024;

/// A running gateway. It stops when it is shut down or dropped; its temporary files go with it.
///
/// Dropping it panics when a scripted fault without a probability never happened: the test did not
/// test what it says. (Not while already panicking, and not after
/// [`forgive_leftovers`](Gateway::forgive_leftovers).)
pub struct Gateway {
    addr: SocketAddr,
    app: Arc<App>,
    ended: CancellationToken,
}

impl Gateway {
    /// Settings for a new gateway.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) async fn start(builder: Builder) -> io::Result<Gateway> {
        let listener = TcpListener::bind(builder.listen).await?;
        let addr = listener.local_addr()?;
        let app = Arc::new(App::new(builder)?);
        let ended = CancellationToken::new();
        tokio::spawn(serve(Arc::clone(&app), listener, ended.clone()));
        Ok(Gateway { addr, app, ended })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://ADDRESS:PORT`, without a slash at the end. The two services are below it, under
    /// `/api/v1/llm` and `/v1`.
    ///
    /// When it listens on every address (`0.0.0.0`, `[::]`), this names the loopback one.
    pub fn url(&self) -> String {
        let mut addr = self.addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(match addr {
                SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{addr}")
    }

    /// Moves the virtual clock on, and returns when everything that is due by then has happened, in
    /// order: a day passes in the time that its work takes. The clock stops at 9999-12-31T23:59:59Z,
    /// the last second that an HTTP date can name.
    ///
    /// # Panics
    ///
    /// When the gateway has no [virtual clock](Builder::virtual_clock): its time cannot be moved.
    pub async fn advance(&self, length: Duration) {
        let moved = self.app.clock.advance(length).await;
        assert!(moved, "this gateway runs on the system's clock; build it with virtual_clock()");
    }

    /// What the gateway shows as the time, in seconds since 1970.
    pub fn now(&self) -> i64 {
        self.app.clock.now()
    }

    /// Everything that it did so far, for all tenants; nothing unless the
    /// [journal](Builder::journal) is enabled.
    pub fn journal(&self) -> Vec<Entry> {
        self.app.journal.all()
    }

    /// Scripted faults that should have happened by now and did not, one sentence each.
    pub fn leftovers(&self) -> Vec<String> {
        self.app.script.leftovers()
    }

    /// Lets faults be left over: dropping the gateway no longer panics for them.
    pub fn forgive_leftovers(&self) {
        self.app.script.forgive();
    }

    /// Stops accepting, lets requests in flight finish for up to two seconds, ends all batches and
    /// removes the temporary files.
    pub async fn shutdown(&self) {
        self.app.stop.cancel();
        self.stopped().await;
    }

    /// Resolves when the gateway has ended.
    pub async fn stopped(&self) {
        self.ended.cancelled().await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.app.stop.cancel();
        let leftovers = self.app.script.leftovers();
        assert!(
            leftovers.is_empty() || std::thread::panicking(),
            "the gateway was dropped with faults left over: {}; forgive_leftovers() allows that",
            leftovers.join("; ")
        );
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// Accepts until told to stop, then waits for what still runs.
async fn serve(app: Arc<App>, listener: TcpListener, ended: CancellationToken) {
    let _ended = ended.drop_guard();
    let router = http::router(Arc::clone(&app));
    let slots = Arc::new(Semaphore::new(app.settings.max_connections));
    tokio::select! {
        () = app.stop.cancelled() => {}
        () = accept(&app, &listener, &router, &slots) => {}
    }
    drop(listener);
    app.tasks.close();
    // A task that outlives its grace is left to the runtime; its files go all the same.
    let _ = tokio::time::timeout(SHUTDOWN_GRACE * 2, app.tasks.wait()).await;
    app.store.clear();
    app.disk.close();
}

async fn accept(app: &Arc<App>, listener: &TcpListener, router: &Router, slots: &Arc<Semaphore>) {
    // The semaphore is never closed.
    while let Ok(slot) = Arc::clone(slots).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                if !app.script.fire(Operation::Connection).is_empty() {
                    // Without it the connection ends all the same, only more politely.
                    let _ = stream.set_zero_linger();
                    continue;
                }
                app.tasks.spawn(connection(Arc::clone(app), stream, router.clone(), slot));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(app: Arc<App>, stream: TcpStream, router: Router, _slot: OwnedSemaphorePermit) {
    // Without it answers are only slower.
    let _ = stream.set_nodelay(true);
    let talk = Talk::default();
    let guarded = http::StallGuard::new(stream, app.settings.stall_timeout);
    let io = TokioIo::new(Unheard::new(guarded, talk.clone()));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(app.settings.header_timeout)
        .max_header_size(READ_BUFFER)
        .max_buf_size(READ_BUFFER);
    let abort = Abort::default();
    let router = TowerToHyperService::new(router);
    let service = hyper::service::service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(abort.clone());
        let (answering, answer) = (talk.begin(), router.call(request));
        async move { answer.await.map(|response| answering.with(response)) }
    });
    let mut connection = builder.serve_connection(io, service);
    // A connection that breaks concerns its client only.
    let asked = tokio::select! {
        _ = &mut connection => None,
        how = abort.asked() => Some(how),
        () = app.stop.cancelled() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            let _ = tokio::time::timeout(SHUTDOWN_GRACE, &mut connection).await;
            None
        }
    };
    let stream = connection.into_parts().io.into_inner().into_inner();
    if asked == Some(Aborts::Reset) {
        // Without it the connection ends all the same, only more politely.
        let _ = stream.into_inner().set_zero_linger();
    } else if let Some(status) = talk.refused() {
        let _ = http::refuse(&app, status, stream).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn temporary_files_go_with_the_gateway() {
        for dropped in [false, true] {
            let gateway = Gateway::builder().start().await.unwrap();
            let mut spool = gateway.app.disk.spool(&crate::store::Account::unbounded()).await.unwrap();
            spool.write(b"text").await.unwrap();
            let blob = spool.seal().await.unwrap();
            let folder = blob.folder();
            assert!(folder.is_dir());
            let ended = gateway.ended.clone();
            if dropped {
                drop(gateway);
            } else {
                gateway.shutdown().await;
            }
            ended.cancelled().await;
            assert!(!folder.exists());
        }
    }
}
