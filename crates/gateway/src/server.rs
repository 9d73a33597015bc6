//! A running gateway: its listening socket, its connections, its end.

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
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::auth::Keys;
use crate::faults::{Abort, Aborts, Operation};
use crate::http::{self, Talk, Unheard};
use crate::ids::hex;
use crate::journal::Entry;
use crate::operators;
use crate::places::{Place, Places};
use crate::post::post;
use crate::routes::router;
use crate::run::schedule;
use crate::settings::Setup;

/// How long connections may finish their requests once the gateway stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// How long the work may take to give back what it has at the end.
const HAND_BACK: Duration = Duration::from_secs(15);

/// How long a connection whose place is wanted may take to begin a request after all.
const LEAVE_GRACE: Duration = Duration::from_millis(20);

/// Pause after a failed accept.
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
    admin_addr: Option<SocketAddr>,
    app: Arc<App>,
    ended: CancellationToken,
    random_key: Option<String>,
}

impl Gateway {
    pub(crate) async fn start(mut setup: Setup) -> io::Result<Gateway> {
        let random_key = setup.only_random_key.then(random_key).transpose()?;
        if let Some(key) = &random_key {
            setup.keys = Keys::default();
            setup.keys.add(key, None);
        }
        let listener = TcpListener::bind(setup.listen).await?;
        let addr = listener.local_addr()?;
        let admin = match setup.admin_listen {
            Some(address) => Some(TcpListener::bind(address).await?),
            None => None,
        };
        let admin_addr = admin.as_ref().map(TcpListener::local_addr).transpose()?;
        let app = Arc::new(App::new(setup).await?);
        if let Some(listener) = admin {
            tokio::spawn(operators::serve(Arc::clone(&app), listener));
        }
        let ended = CancellationToken::new();
        tokio::spawn(serve(Arc::clone(&app), listener, ended.clone()));
        Ok(Gateway { addr, admin_addr, app, ended, random_key })
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address for those who run it, if it is another: [`Builder::admin_listen`](crate::Builder::admin_listen).
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
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

    /// The key that [`Builder::only_random_key`](crate::Builder::only_random_key) made; none without it.
    pub fn random_key(&self) -> Option<&str> {
        self.random_key.as_deref()
    }

    /// Moves the virtual clock on, and returns when everything that is due by then has happened, in
    /// order: a day passes in the time that its work takes. The clock stops at 9999-12-31T23:59:59Z,
    /// the last second that an HTTP date can name.
    ///
    /// # Panics
    ///
    /// When the gateway has no [virtual clock](crate::Builder::virtual_clock): its time cannot be moved.
    pub async fn advance(&self, length: Duration) {
        let moved = self.app.clock.advance(length).await;
        assert!(moved, "this gateway runs on the system's clock; build it with virtual_clock()");
    }

    /// What the gateway shows as the time, in seconds since 1970.
    pub fn now(&self) -> i64 {
        self.app.clock.now()
    }

    /// What it did so far, for all tenants; nothing unless the [journal](crate::Builder::journal) is enabled. Of a very
    /// long journal the beginning is missing: see [`journal_dropped`](Gateway::journal_dropped).
    pub fn journal(&self) -> Vec<Entry> {
        self.app.journal.all()
    }

    /// How many entries the journal no longer has, because it had grown beyond
    /// [its bound](crate::Builder::max_journal_bytes).
    pub fn journal_dropped(&self) -> u64 {
        self.app.journal.dropped()
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
    ///
    /// A gateway whose state outlives it begins nothing new, and first finishes what is at an upstream, for up to its
    /// [grace](crate::Builder::grace); what is left, another or the next one goes on with.
    pub async fn shutdown(&self) {
        if self.app.state.is_durable() {
            self.app.drain.cancel();
        } else {
            self.app.stop.cancel();
        }
        self.stopped().await;
    }

    /// The same without any grace: answers that have come are still recorded, and what was at an upstream is sent again by
    /// whoever goes on with it.
    pub async fn stop(&self) {
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

/// A key that nobody can guess.
fn random_key() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(format!("no random key: {error}")))?;
    Ok(format!("sk-{}", hex(&bytes)))
}

/// Accepts until told to stop, then waits for what still runs.
async fn serve(app: Arc<App>, listener: TcpListener, ended: CancellationToken) {
    let _ended = ended.drop_guard();
    let router = router(Arc::clone(&app));
    let places = Places::new(app.settings.max_connections.min(app.shares.connections));
    app.tasks.spawn(app.clock.watch(post(Arc::clone(&app))));
    let mut work = tokio::spawn(work(Arc::clone(&app)));
    tokio::select! {
        () = app.stop.cancelled() => {}
        // It ends when all is drained.
        _ = &mut work => {}
        () = accept(&app, &listener, &router, &places) => {}
    }
    app.stop.cancel();
    drop(listener);
    app.tasks.close();
    // A task that outlives its grace is left to the runtime; its files go all the same.
    let _ = tokio::time::timeout(SHUTDOWN_GRACE * 2, app.tasks.wait()).await;
    if !work.is_finished() {
        // Longer than what is recorded at the end takes; the next process sees to what is left.
        let _ = tokio::time::timeout(HAND_BACK, work).await;
    }
    app.state.clear().await;
    app.disk.close();
}

/// Works on what a durable state has to do, until the gateway drains; then for as long as its grace allows.
async fn work(app: Arc<App>) {
    if !app.state.is_durable() {
        return app.stop.cancelled().await;
    }
    let grace = async {
        app.drain.cancelled().await;
        tokio::time::sleep(app.settings.grace).await;
        app.stop.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = schedule(Arc::clone(&app)) => {}
        () = grace => {}
    }
}

async fn accept(app: &Arc<App>, listener: &TcpListener, router: &Router, places: &Arc<Places>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if !app.script.fire(Operation::Connection).is_empty() {
                    // Without it the connection ends all the same, only more politely.
                    let _ = stream.set_zero_linger();
                    continue;
                }
                let talk = Talk::default();
                let Some(place) = places.take(&talk).await else { return };
                app.tasks.spawn(connection(Arc::clone(app), stream, router.clone(), talk, place));
            }
            // Usually the process has as many files open as it may: other parts of it do not keep to any share.
            Err(_) => {
                places.shed();
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(app: Arc<App>, stream: TcpStream, router: Router, talk: Talk, place: Place) {
    // Without it answers are only slower.
    let _ = stream.set_nodelay(true);
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
        () = place.wanted() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            let is_done = tokio::time::timeout(LEAVE_GRACE, &mut connection).await.is_ok();
            if is_done || talk.idle_since().is_some() {
                None
            } else {
                // Who has begun to ask by now is answered first.
                tokio::select! {
                    _ = &mut connection => None,
                    how = abort.asked() => Some(how),
                    () = app.stop.cancelled() => None,
                }
            }
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
            let mut spool = gateway.app.disk.spool(&crate::blobs::Account::unbounded()).await.unwrap();
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
