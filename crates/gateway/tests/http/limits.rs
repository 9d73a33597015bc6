//! Patience and its end: slow clients, clients that do not read, too many of them.

use std::time::Duration;

use lote_gateway::{Builder, Gateway};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::common::{Caller, OPENAI, PATIENCE, start};
use crate::wire::Watched;

/// A gateway without patience.
fn impatient() -> Builder {
    Gateway::builder().header_timeout(Duration::from_millis(200)).stall_timeout(Duration::from_millis(200))
}

/// Sends `text` and nothing more, and reads until the gateway closes.
async fn send_and_wait(gateway: &Watched, text: &str) -> String {
    let mut stream = TcpStream::connect(gateway.addr()).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A reset is an end as well.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_connection_that_sends_no_request_is_closed() {
    let gateway = start(impatient()).await;
    assert_eq!(send_and_wait(&gateway, "").await, "");
    send_and_wait(&gateway, "GET /v1/batches HTTP/1.1\r\nHost: x\r\nAuth").await;
}

#[tokio::test]
async fn a_body_that_stalls_is_refused() {
    let gateway = start(impatient()).await;
    let head = "Host: x\r\nAuthorization: Bearer k\r\nContent-Length: 1000\r\n";
    for request in [
        format!("POST /v1/batches HTTP/1.1\r\n{head}Content-Type: application/json\r\n\r\n{{"),
        format!(
            "POST /v1/files HTTP/1.1\r\n{head}Content-Type: multipart/form-data; boundary=b\r\n\r\n\
             --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nxyz"
        ),
    ] {
        let answer = send_and_wait(&gateway, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("stalled"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_is_let_go() {
    // There is one place, and whoever wants it next gets it only when this client has lost it.
    let gateway = start(impatient().max_connections(1)).await;
    let caller = Caller::new(&gateway, OPENAI, "k");
    // More than the buffers of both sockets hold.
    let id = caller.upload(vec![b'x'; 50_000_000]).await;
    drop(caller);
    let mut stream = TcpStream::connect(gateway.unwatched()).await.unwrap();
    let request = format!("GET /v1/files/{id}/content HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let next = send_and_wait(&gateway, "GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(next.starts_with("HTTP/1.1 404 "), "{next}");
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    assert!(answer.len() < 50_000_000, "{} bytes", answer.len());
}

#[tokio::test]
async fn heads_are_limited() {
    let gateway = start(Gateway::builder()).await;
    let request =
        format!("GET /v1/batches HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: {}\r\n\r\n", "x".repeat(100_000));
    let answer = send_and_wait(&gateway, &request).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    let request = format!("GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{many}\r\n");
    let answer = send_and_wait(&gateway, &request).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}

/// No handler hears of these; they are answered as all others are.
#[tokio::test]
async fn what_is_no_http_gets_a_whole_answer() {
    let gateway = start(Gateway::builder().virtual_clock()).await;
    let long = "x".repeat(100_000);
    let many: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    let good = "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n";
    for (request, status, answers) in [
        ("hello\r\n\r\n".to_owned(), "400 Bad Request", 1),
        ("GET /nowhere HTTP/7.0\r\n\r\n".to_owned(), "400 Bad Request", 1),
        ("GET /nowhere HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), "400 Bad Request", 1),
        ("POST /v1/files HTTP/1.1\r\nContent-Length: x\r\n\r\n".to_owned(), "400 Bad Request", 1),
        (format!("GET /nowhere HTTP/1.1\r\n{many}\r\n"), "431 Request Header Fields Too Large", 1),
        (format!("GET /nowhere HTTP/1.1\r\nX-Long: {long}\r\n\r\n"), "431 Request Header Fields Too Large", 1),
        (format!("GET /{long} HTTP/1.1\r\n\r\n"), "431 Request Header Fields Too Large", 1),
        // After good ones, on the same connection.
        (format!("{good}{good}\0\r\n\r\n"), "400 Bad Request", 3),
    ] {
        let all = send_and_wait(&gateway, &request).await;
        let shown = &request[..request.len().min(60)];
        assert_eq!(all.matches("HTTP/1.1 ").count(), answers, "{shown:?}: {all}");
        let at = all.rfind("HTTP/1.1 ").unwrap();
        let (head, body) = all[at..].split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{shown:?}: {head}");
        for header in [
            "\r\nx-request-id: req_",
            "\r\ncontent-type: application/json",
            "\r\nconnection: close",
            "\r\ndate: Thu, 01 Jan 2026",
            &format!("\r\ncontent-length: {}", body.len()),
        ] {
            assert!(head.contains(header), "{shown:?}: {header:?} in {head}");
        }
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["error"]["type"], "invalid_request_error", "{shown:?}");
    }
    // The next connection is as good as ever.
    assert!(send_and_wait(&gateway, "GET /nowhere HTTP/1.0\r\n\r\n").await.starts_with("HTTP/1.0 404 "));
}

/// The head of an upload whose body is yet to come.
fn upload_head(length: usize) -> String {
    format!(
        "POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nConnection: close\r\nContent-Length: {length}\r\n\
         Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
}

const FORM: &str = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nuser_data\r\n\
                    --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nxyz\r\n--b--\r\n";

#[tokio::test]
async fn a_place_is_kept_while_its_connection_is_busy_and_given_up_when_it_is_idle() {
    let gateway = start(Gateway::builder().max_connections(1)).await;
    let mut busy = TcpStream::connect(gateway.unwatched()).await.unwrap();
    busy.write_all(upload_head(FORM.len()).as_bytes()).await.unwrap();
    let (first, rest) = FORM.split_at(10);
    busy.write_all(first.as_bytes()).await.unwrap();
    let request = "GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let mut waiting = std::pin::pin!(send_and_wait(&gateway, request));
    let early = timeout(Duration::from_millis(400), waiting.as_mut()).await;
    assert!(early.is_err(), "answered beside the busy connection");
    busy.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(waiting.await.starts_with("HTTP/1.1 404 "));

    // One that has been answered and is kept open, and one that never said anything, are idle.
    for said in ["GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", "", "GET / HT"] {
        let mut idle = TcpStream::connect(gateway.unwatched()).await.unwrap();
        idle.write_all(said.as_bytes()).await.unwrap();
        assert!(send_and_wait(&gateway, request).await.starts_with("HTTP/1.1 404 "), "{said:?}");
        // It was closed, not forgotten.
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, idle.read_to_end(&mut rest)).await.unwrap();
    }
}

#[tokio::test]
async fn many_that_only_connect_keep_nobody_out() {
    let gateway = start(Gateway::builder().max_connections(8)).await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(TcpStream::connect(gateway.unwatched()).await.unwrap());
    }
    let request = "GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = timeout(PATIENCE, send_and_wait(&gateway, request)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    drop(idle);
}

#[tokio::test]
async fn a_body_that_trickles_is_refused_long_before_its_end() {
    let builder = Gateway::builder().stall_timeout(Duration::from_millis(300)).min_upload_rate(1_000_000);
    let gateway = start(builder).await;
    let mut slow = TcpStream::connect(gateway.unwatched()).await.unwrap();
    slow.write_all(upload_head(1_000_000).as_bytes()).await.unwrap();
    slow.write_all(&FORM.as_bytes()[..FORM.len() - 9]).await.unwrap();
    let (mut reading, mut writing) = slow.into_split();
    // Each byte comes in time.
    let trickle = async {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut answer = vec![0; 4_096];
    let read = tokio::select! {
        read = reading.read(&mut answer) => read.unwrap(),
        () = trickle => panic!("closed without an answer"),
        () = tokio::time::sleep(PATIENCE) => panic!("the gateway has all the time in the world"),
    };
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("below 1000000 bytes a second"), "{answer}");
}

#[tokio::test]
async fn a_dropped_gateway_stops() {
    let gateway = start(Gateway::builder()).await;
    let addr = gateway.unwatched();
    drop(gateway);
    let refused = async { while TcpStream::connect(addr).await.is_ok() {} };
    timeout(PATIENCE, refused).await.unwrap();
}
