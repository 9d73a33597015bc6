//! Where PostgreSQL is, how it is reached, and by what it is trusted.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use rustls::ClientConfig;
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

/// What a URL says. The error does not repeat it, since a password may be in any part of one that is mistyped.
pub(super) fn config(url: &str) -> io::Result<Config> {
    let mut config: Config = url.parse().map_err(|_| {
        invalid(
            "the URL of PostgreSQL cannot be read: it is postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require",
        )
    })?;
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
    Ok(config)
}

fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

/// TLS that trusts what the machine trusts. A certificate is always held against the name of the host.
pub(super) fn tls() -> io::Result<MakeRustlsConnect> {
    outside::install_cryptography();
    Ok(MakeRustlsConnect::new(ClientConfig::with_platform_verifier().map_err(io::Error::other)?))
}

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
            let told = config(url).unwrap_err();
            assert!(!format!("{told} {told:?}").contains("cret"), "{told}");
        }
        let config = config("postgres://me:secret@db.example/x").unwrap();
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
        ] {
            assert_eq!(config(url).unwrap().get_ssl_mode(), mode, "{url}");
        }
    }

    #[test]
    fn of_several_servers_the_one_that_takes_changes_is_meant() {
        let of = |url: &str| config(url).unwrap().get_target_session_attrs();
        assert_eq!(of("postgres://me@one,two/x"), TargetSessionAttrs::ReadWrite);
        assert_eq!(of("postgres://me@one/x"), TargetSessionAttrs::Any);
    }
}
