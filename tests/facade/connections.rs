//! How connections are made: TLS with certificates of one's own, and proxies.

use std::sync::{Arc, Mutex};

use lote::{Batch, BatchId, Client, ClientBuilder, Error, Retry};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{LazyConfigAcceptor, rustls};

use crate::common::{Odd, Reply};

const BATCH: &str = r#"{"id":"batch_1","status":"completed"}"#;

/// A service on TLS with a certificate that signs itself. Its port, the certificate, and what clients offered to speak.
async fn tls_service() -> (u16, String, Arc<Mutex<Vec<Vec<u8>>>>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).expect("a key");
    let key = rustls::pki_types::PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("a configuration");
    let (config, offered) = (Arc::new(config), Arc::new(Mutex::new(Vec::new())));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let seen = Arc::clone(&offered);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let hello = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await.expect("a hello");
            let protocols = hello.client_hello().alpn().map(|names| names.map(<[u8]>::to_vec).collect::<Vec<_>>());
            seen.lock().expect("protocols").extend(protocols.unwrap_or_default());
            // A client that does not trust the certificate goes away.
            let Ok(mut stream) = hello.into_stream(Arc::clone(&config)).await else { continue };
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{BATCH}", BATCH.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    (port, cert.pem(), offered)
}

async fn ask(builder: ClientBuilder) -> Result<Batch, Error> {
    let client = builder.api_key("sk-hunter22").retry(Retry::none()).build()?;
    client.batches().get(&BatchId::new("batch_1").expect("an id")).await
}

#[tokio::test]
async fn a_certificate_of_ones_own_is_trusted_when_it_is_given_and_not_before() {
    let (port, certificate, offered) = tls_service().await;
    let builder = || Client::builder().base_url(format!("https://localhost:{port}/v1"));
    let error = ask(builder()).await.expect_err("not trusted");
    assert!(error.is_connection() && !error.is_ambiguous(), "{error}");
    assert!(error.to_string().to_lowercase().contains("certificate"), "{error}");
    let other = generate_simple_self_signed(["localhost".to_owned()]).expect("a key").cert.pem();
    assert!(ask(builder().root_certificates(&*other)).await.is_err());
    let batch = ask(builder().root_certificates(other).root_certificates(certificate)).await.expect("trusted");
    assert_eq!(batch.id.as_str(), "batch_1");
    assert!(offered.lock().expect("protocols").contains(&b"h2".to_vec()), "HTTP/2 is offered");
}

#[tokio::test]
async fn what_is_no_certificate_or_proxy_is_refused_before_anything_is_sent() {
    let builder = || Client::builder().base_url("https://localhost:1/v1");
    for pem in ["", "not PEM", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        let error = ask(builder().root_certificates(pem)).await.expect_err(pem);
        assert!(error.is_invalid() && error.to_string().contains("root certificates"), "{pem:?}: {error}");
    }
    let error = ask(builder().proxy("http://user:hunter22@:x")).await.expect_err("no URL");
    assert!(error.is_invalid() && !error.to_string().contains("hunter22"), "{error}");
}

#[tokio::test]
async fn a_proxy_that_is_given_carries_every_call() {
    let proxy = Odd::new([Reply::json(200, BATCH)]);
    let url = proxy.client().base_url().replace("/v1", "");
    let builder = Client::builder().base_url("http://service.example/v1").proxy(url);
    assert_eq!(ask(builder).await.expect("a batch").id.as_str(), "batch_1");
    assert!(proxy.requests()[0].starts_with("GET http://service.example/v1/batches/batch_1 "));
}
