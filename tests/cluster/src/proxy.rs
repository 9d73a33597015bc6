//! A connection that breaks where a test wants it to.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens next, once. Texts are sought in what the client sends in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is cut before this is sent.
    Before(&'static str),
    /// It is cut when this was sent, and answered: the answer is lost.
    After(&'static str),
    /// It is cut when the server has sent so many bytes.
    Answer(u64),
    /// From now on no byte of the server arrives, on any connection.
    Silence,
}

/// Stands before a server on the loopback address.
pub struct Proxy {
    port: u16,
    fault: Arc<Mutex<Option<Fault>>>,
    alive: watch::Sender<u64>,
}

impl Proxy {
    pub async fn before(server: u16) -> Proxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let fault = Arc::new(Mutex::new(None));
        let (alive, watched) = watch::channel(0);
        let shared = Arc::clone(&fault);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await else { continue };
                let (fault, mut cut) = (Arc::clone(&shared), watched.clone());
                cut.mark_unchanged();
                tokio::spawn(async move {
                    tokio::select! {
                        () = carry(client, server, &fault) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Proxy { port, fault, alive }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of the PostgreSQL behind it.
    pub fn postgres(&self) -> String {
        crate::postgres::url(self.port)
    }

    /// Lets this happen, once.
    pub fn fault(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    /// Ends a silence: what was said meanwhile is lost.
    pub fn restore(&self) {
        *self.fault.lock().unwrap() = None;
        self.cut();
    }

    /// Whether what was to happen has happened.
    pub fn has_failed(&self) -> bool {
        self.fault.lock().unwrap().is_none()
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        self.alive.send_modify(|cuts| *cuts += 1);
    }
}

/// Carries bytes both ways, until one side ends or a fault does it.
async fn carry(mut client: TcpStream, mut server: TcpStream, fault: &Mutex<Option<Fault>>) {
    let (mut asked, mut told) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut sent = 0;
    loop {
        let silent = *fault.lock().unwrap() == Some(Fault::Silence);
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(length @ 1..) = read else { return };
                let bytes = &asked[..length];
                let is_in = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
                let happens = take(fault, |fault| match fault {
                    Fault::Before(text) | Fault::After(text) => is_in(text),
                    Fault::Answer(_) | Fault::Silence => false,
                });
                if let Some(Fault::Before(_)) = happens {
                    return;
                }
                if server.write_all(bytes).await.is_err() {
                    return;
                }
                if happens.is_some() {
                    // The first byte of the answer: it was done.
                    let _ = server.read(&mut told).await;
                    return;
                }
            }
            read = server.read(&mut told), if !silent => {
                let Ok(length @ 1..) = read else { return };
                sent += length as u64;
                let most = |fault| match fault {
                    Fault::Answer(most) => sent >= most,
                    _ => false,
                };
                if take(fault, most).is_some() || client.write_all(&told[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Takes the fault, if it is to happen now.
fn take(fault: &Mutex<Option<Fault>>, happens: impl Fn(Fault) -> bool) -> Option<Fault> {
    let mut fault = fault.lock().unwrap();
    if fault.is_some_and(happens) { fault.take() } else { None }
}
