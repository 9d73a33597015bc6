//! Connections to servers of others.

use std::io;
use std::time::Duration;

/// How long it may take to connect.
pub(crate) const CONNECT: Duration = Duration::from_secs(10);

/// The cryptography of TLS is one for the whole process: what it has chosen, or else ring.
pub(crate) fn install_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // An error says that somebody else was faster.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

/// A client for a server by its URL. It follows no redirects.
pub(crate) fn client(url: &str) -> io::Result<reqwest::Client> {
    install_cryptography();
    let mut builder = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT)
        .tcp_keepalive(Duration::from_secs(60));
    // A proxy that is set for the machine is not meant for a server on it.
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(io::Error::other)
}

fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<axum::http::Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
