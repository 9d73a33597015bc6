//! Owns the listening socket, the connections and the end of a gateway. Never looks into a request.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::builder::Builder;
use crate::http;

/// How long connections may finish their requests once the gateway stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// Pause after a failed accept: usually the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Most bytes of a request's head, and of a body read ahead.
const READ_BUFFER: usize = 64 * 1024;

/// A running gateway. It stops when it is shut down or dropped; its temporary files go with it.
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
                app.tasks.spawn(connection(Arc::clone(app), stream, router.clone(), slot));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(app: Arc<App>, stream: TcpStream, router: Router, _slot: OwnedSemaphorePermit) {
    // Without it answers are only slower.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(http::StallGuard::new(stream, app.settings.stall_timeout));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(app.settings.header_timeout)
        .max_header_size(READ_BUFFER)
        .max_buf_size(READ_BUFFER);
    let connection = builder.serve_connection(io, TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    // A connection that breaks concerns its client only.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = app.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(SHUTDOWN_GRACE, connection).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn temporary_files_go_with_the_gateway() {
        for dropped in [false, true] {
            let gateway = Gateway::builder().start().await.unwrap();
            let mut spool = gateway.app.disk.spool().await.unwrap();
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
