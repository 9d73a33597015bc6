//! The gateway answers whatever is uploaded or posted: never with a 5xx, and it goes on afterwards.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::LazyLock,
    thread,
    time::Duration,
};

use lote_gateway::Gateway;

/// Where it listens. It has a thread of its own and lives as long as this process.
static ADDRESS: LazyLock<SocketAddr> = LazyLock::new(|| {
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let gateway = Gateway::builder().journal(false).start().await.expect("a gateway");
            tell.send(gateway.addr()).expect("somebody waits");
            std::future::pending::<()>().await;
        });
    });
    told.recv().expect("an address")
});

/// One trial.
pub fn gateway(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    let (path, media) = match kind % 4 {
        0 => ("/v1/files", "multipart/form-data; boundary=b"),
        1 => ("/api/v1/llm/files", "multipart/form-data; boundary=b"),
        2 => ("/v1/batches", "application/json"),
        _ => ("/api/v1/llm/batches", "application/json"),
    };
    let mut stream = TcpStream::connect(*ADDRESS).expect("the gateway listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: g\r\nAuthorization: Bearer k\r\nContent-Type: {media}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // It may answer, and close, before it has read everything.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    let mut answer = [0; 12];
    if stream.read_exact(&mut answer).is_ok() {
        assert!(answer.starts_with(b"HTTP/1.1 ") && answer[9] != b'5', "{}", String::from_utf8_lossy(&answer));
    }
}
