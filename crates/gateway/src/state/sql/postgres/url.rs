//! Where PostgreSQL is, how it is reached, and by what it is trusted.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::ConfigVerifierExt;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::outside;

/// How long a connection may take.
pub(super) const CONNECT: Duration = Duration::from_secs(2);

/// A connection on which nothing comes for this long is asked whether it is there, so often, and then given up.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_AGAIN: Duration = Duration::from_secs(5);
const KEEPALIVE_TRIES: u32 = 3;

/// How long bytes may be on their way without a receipt.
const RECEIPT: Duration = Duration::from_secs(15);

/// A PostgreSQL, and who vouches for it.
pub(super) struct Server {
    pub(super) config: Config,
    /// A file of the certificates that are trusted in place of the machine's.
    authority: Option<PathBuf>,
}

/// What a URL says. The error does not repeat it, since a password may be in any part of one that is mistyped.
pub(super) fn server(url: &str) -> io::Result<Server> {
    let (url, authority) = without_ours(url);
    let mut config: Config = url.parse().map_err(|_| {
        invalid(
            "the URL of PostgreSQL cannot be read: it is postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require",
        )
    })?;
    if authority.is_some() && config.get_ssl_mode() == SslMode::Prefer {
        config.ssl_mode(SslMode::Require);
    }
    if config.get_hosts().is_empty() {
        return Err(invalid("the URL of PostgreSQL names no host"));
    }
    // In the environment it is not seen by everybody who can list processes.
    if config.get_password().is_none()
        && let Ok(password) = std::env::var("PGPASSWORD")
    {
        config.password(password);
    }
    if config.get_application_name().is_none() {
        config.application_name("lote-gateway");
    }
    // Of several servers only one takes changes.
    if config.get_hosts().len() > 1 && config.get_target_session_attrs() == TargetSessionAttrs::Any {
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    }
    // On this machine there is nobody to hide from, and certificates there are seldom good.
    if config.get_ssl_mode() == SslMode::Prefer && config.get_hosts().iter().all(is_here) {
        config.ssl_mode(SslMode::Disable);
    }
    config
        .connect_timeout(CONNECT)
        .tcp_user_timeout(RECEIPT)
        .keepalives(true)
        .keepalives_idle(KEEPALIVE)
        .keepalives_interval(KEEPALIVE_AGAIN)
        .keepalives_retries(KEEPALIVE_TRIES);
    Ok(Server { config, authority })
}

/// The URL without what PostgreSQL's own library has in it and the crate does not know: `sslrootcert`, and the modes that hold
/// a certificate against its authority and the name of the host, which is done in any mode.
fn without_ours(url: &str) -> (String, Option<PathBuf>) {
    let Some((before, parameters)) = url.split_once('?') else { return (url.to_owned(), None) };
    let mut authority = None;
    let mut rest = Vec::new();
    for parameter in parameters.split('&') {
        match parameter.split_once('=') {
            Some(("sslrootcert", "system")) => {}
            Some(("sslrootcert", path)) => {
                authority = Some(PathBuf::from(percent_decode_str(path).decode_utf8_lossy().into_owned()));
            }
            Some(("sslmode", "verify-ca" | "verify-full")) => rest.push("sslmode=require"),
            _ => rest.push(parameter),
        }
    }
    let parameters = if rest.is_empty() { String::new() } else { format!("?{}", rest.join("&")) };
    (format!("{before}{parameters}"), authority)
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

impl Server {
    /// TLS that trusts the authority, or else what the machine trusts. A certificate is always held against the name of the
    /// host.
    pub(super) fn tls(&self) -> io::Result<MakeRustlsConnect> {
        outside::install_cryptography();
        let config = match &self.authority {
            None => ClientConfig::with_platform_verifier().map_err(io::Error::other)?,
            Some(path) => {
                let roots = roots(path).map_err(|why| {
                    io::Error::new(io::ErrorKind::InvalidInput, format!("sslrootcert {}: {why}", path.display()))
                })?;
                ClientConfig::builder().with_root_certificates(roots).with_no_client_auth()
            }
        };
        Ok(MakeRustlsConnect::new(config))
    }
}

fn roots(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        roots.add(certificate.map_err(|error| error.to_string())?).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() { Err("holds no certificate (PEM)".to_owned()) } else { Ok(roots) }
}

/// What to do about a certificate that is not trusted.
pub(super) const UNTRUSTED: &str = "sslrootcert=FILE in its URL names the authority of its certificate, which has to be for the \
     host of the URL; sslmode=disable speaks without TLS";

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_error_repeats_a_password() {
        for url in [
            "postgres://me:secret@db:54e32/x",
            "postgres://me@db:secret/x",
            "postgres://me:secret@db/x?secret=secret",
            "host=db password=secret port=x",
            "http://secret",
            "postgres:///x",
        ] {
            let told = server(url).err().unwrap();
            assert!(!format!("{told} {told:?}").contains("cret"), "{told}");
        }
        let config = server("postgres://me:secret@db.example/x").unwrap().config;
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn only_another_machine_is_spoken_to_by_tls_unasked() {
        for (url, mode) in [
            ("postgres://me@127.0.0.1,localhost,[::1]/x", SslMode::Disable),
            ("postgres://me@%2Fvar%2Frun/x", SslMode::Disable),
            ("postgres://me@localhost/x?sslmode=require", SslMode::Require),
            ("postgres://me@localhost,db.example/x", SslMode::Prefer),
            ("postgres://me@db.example/x?sslmode=disable", SslMode::Disable),
            ("postgres://me@localhost/x?sslmode=verify-full", SslMode::Require),
            ("postgres://me@localhost/x?sslrootcert=/a.pem", SslMode::Require),
            ("postgres://me@db.example/x?sslrootcert=system&connect_timeout=3", SslMode::Prefer),
        ] {
            assert_eq!(server(url).unwrap().config.get_ssl_mode(), mode, "{url}");
        }
    }

    #[test]
    fn an_authority_is_a_file_of_certificates() {
        let url =
            "postgres://me@localhost/x?application_name=mine&sslrootcert=%2Fnowhere%2Fa%20b.pem&sslmode=verify-ca";
        let known = server(url).unwrap();
        assert_eq!(known.config.get_application_name(), Some("mine"));
        let told = known.tls().err().unwrap();
        assert!(told.to_string().starts_with("sslrootcert /nowhere/a b.pem: "), "{told}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        std::fs::write(&path, "nothing\n").unwrap();
        let told = server(&format!("postgres://me@localhost/x?sslrootcert={}", path.display())).unwrap().tls();
        assert!(told.err().unwrap().to_string().ends_with("holds no certificate (PEM)"));
    }

    #[test]
    fn of_several_servers_the_one_that_takes_changes_is_meant() {
        let of = |url: &str| server(url).unwrap().config.get_target_session_attrs();
        assert_eq!(of("postgres://me@one,two/x"), TargetSessionAttrs::ReadWrite);
        assert_eq!(of("postgres://me@one/x"), TargetSessionAttrs::Any);
    }
}
