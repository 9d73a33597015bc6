//! How connections are made: TLS, trusted certificates, proxies, keep-alive, limits on time.

use std::{iter, sync::OnceLock, time::Duration};

use reqwest::{
    Certificate, Proxy,
    header::{HeaderValue, USER_AGENT},
    redirect::Policy,
};

use crate::Error;

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
compile_error!("lote needs a TLS library: its feature rustls, which is a default, or native-tls");

/// How often an idle connection shows that it is alive, so that nothing in between forgets it.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What all connections of a client have in common.
pub(super) struct Connections {
    pub(super) user_agent: HeaderValue,
    pub(super) connect_timeout: Duration,
    pub(super) root_certificates: Vec<Certificate>,
    pub(super) proxy: Option<Proxy>,
    /// Whether the service is on this machine.
    pub(super) local: bool,
    /// Whether it is spoken to without TLS.
    pub(super) plain: bool,
    /// For downloads, once there is one: to load what is trusted takes longer than a call.
    pub(super) downloads: OnceLock<reqwest::Client>,
}

impl Connections {
    /// For calls, which have a limit on the whole, and uploads, whose answer may come long after their first byte.
    pub(super) fn calls(&self) -> Result<reqwest::Client, Error> {
        self.client(None)
    }

    /// For downloads: gives up when nothing arrives for this long.
    pub(super) fn downloads(&self, idle_timeout: Duration) -> Result<reqwest::Client, Error> {
        if let Some(downloads) = self.downloads.get() {
            return Ok(downloads.clone());
        }
        let made = self.client(Some(idle_timeout))?;
        Ok(self.downloads.get_or_init(|| made).clone())
    }

    /// The cryptography of rustls is one for the whole process: what it has chosen, or else ring.
    #[cfg(feature = "rustls")]
    fn choose_cryptography() {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // An error says that another thread was first.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
    }

    #[cfg(not(feature = "rustls"))]
    fn choose_cryptography() {}

    fn client(&self, read_timeout: Option<Duration>) -> Result<reqwest::Client, Error> {
        Self::choose_cryptography();
        let mut builder = reqwest::Client::builder()
            .connect_timeout(self.connect_timeout)
            .tcp_keepalive(KEEP_ALIVE)
            .http2_keep_alive_interval(KEEP_ALIVE)
            // A create that is redirected would turn into a GET, and a header meant for one host reach another.
            .redirect(Policy::none())
            // Nothing is unpacked, whatever reqwest can do: a limit on bytes would hold for those of the package.
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .default_headers(iter::once((USER_AGENT, self.user_agent.clone())).collect());
        if let Some(timeout) = read_timeout {
            builder = builder.read_timeout(timeout);
        }
        match &self.proxy {
            Some(proxy) => builder = builder.proxy(proxy.clone()),
            // A proxy set for the machine is not meant for the machine itself.
            None if self.local => builder = builder.no_proxy(),
            None => {}
        }
        // Where neither the service nor a proxy is spoken to by TLS, nothing is trusted, and nothing is loaded for it.
        let builder = match &self.proxy {
            None if self.local && self.plain => builder.tls_certs_only(iter::empty()),
            _ => trusting(builder, &self.root_certificates),
        };
        builder.build().map_err(|error| Error::invalid(format!("TLS or proxy settings: {error}")))
    }
}

#[cfg(feature = "bundled-roots")]
fn trusting(builder: reqwest::ClientBuilder, certificates: &[Certificate]) -> reqwest::ClientBuilder {
    let bundled = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter_map(|der| Certificate::from_der(der).ok());
    builder.tls_certs_only(bundled.chain(certificates.iter().cloned()))
}

#[cfg(not(feature = "bundled-roots"))]
fn trusting(builder: reqwest::ClientBuilder, certificates: &[Certificate]) -> reqwest::ClientBuilder {
    if certificates.is_empty() { builder } else { builder.tls_certs_merge(certificates.iter().cloned()) }
}

/// The certificates of PEM texts, of which each must hold one.
pub(super) fn certificates(pems: &[Vec<u8>]) -> Result<Vec<Certificate>, Error> {
    let mut all = Vec::new();
    for pem in pems {
        let found = Certificate::from_pem_bundle(pem)
            .map_err(|error| Error::invalid(format!("root certificates: they are not PEM: {error}")))?;
        if found.is_empty() {
            return Err(Error::invalid("root certificates: there is none; give PEM, which begins with -----BEGIN"));
        }
        all.extend(found);
    }
    Ok(all)
}

/// A proxy for every call. Its URL may hold a password, and is not repeated.
pub(super) fn proxy(url: &str) -> Result<Proxy, Error> {
    Proxy::all(url).map_err(|_| Error::invalid("proxy: it is no URL such as http://proxy.example:3128"))
}
