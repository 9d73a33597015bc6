//! Owns the way to a document: from a file, standard input or the network, within limits on bytes and time. It never
//! looks at what the bytes say.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    time::Duration,
};

use reqwest::Url;

use crate::report::Failure;

/// How much may be read, and how long the network may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The size of a document, in bytes.
    pub bytes: u64,
    /// From the first packet to the last byte.
    pub time: Duration,
}

impl Default for Limits {
    /// Ten times the largest document known, and a minute.
    fn default() -> Self {
        Self { bytes: 32 << 20, time: Duration::from_secs(60) }
    }
}

/// The bytes that `source` leads to: `-` is standard input, `http://…` and `https://…` are fetched, all else is a file.
///
/// # Errors
///
/// When it cannot be read, is over a limit, or a server answers with anything but 200.
pub fn fetch(source: &str, limits: Limits) -> Result<Vec<u8>, Failure> {
    if source == "-" {
        return bounded(io::stdin().lock(), source, limits);
    }
    if source.starts_with("http://") || source.starts_with("https://") {
        return download(source, limits);
    }
    let cannot = |error: io::Error| {
        Failure::new(
            format!("{source} cannot be read: {error}"),
            "name a file, `-` for standard input, or a URL that begins with http:// or https://",
        )
    };
    // A pipe or a device has an end as well, or is cut off by the limit.
    let file = File::open(Path::new(source)).map_err(cannot)?;
    bounded(file, source, limits)
}

/// What a source is called: itself, but a URL without its user, password and query, any of which may be secret.
#[must_use]
pub fn name(source: &str) -> String {
    let url = source.contains("://").then(|| Url::parse(source).ok()).flatten();
    url.map_or_else(|| source.to_owned(), |url| shown(&url))
}

fn bounded(reader: impl Read, source: &str, limits: Limits) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = reader.take(limits.bytes.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| {
        Failure::new(format!("{source} cannot be read: {error}"), "give a document that can be read")
    })?;
    if bytes.len() as u64 > limits.bytes { Err(too_large(source, limits)) } else { Ok(bytes) }
}

fn too_large(source: &str, limits: Limits) -> Failure {
    Failure::new(
        format!("{source} is larger than {} bytes, more than any OpenAPI document known", limits.bytes),
        "check that it is the document; if it is, raise the limit in xtask/src/drift/fetch.rs",
    )
}

/// The body of one GET. Asynchronous inside, since only so can one limit in time hold for the whole of it.
fn download(source: &str, limits: Limits) -> Result<Vec<u8>, Failure> {
    let fix = "check the address and the network, or download it by other means and give the file";
    let failure = |problem: String| Failure::new(problem, fix);
    // A message of reqwest ends with the address, which may carry a password.
    let url = Url::parse(source).map_err(|error| failure(format!("the URL cannot be read: {error}")))?;
    let name = shown(&url);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failure(format!("the network cannot be used: {error}")))?;
    let fetched = runtime.block_on(async { tokio::time::timeout(limits.time, get(url, &name, limits)).await });
    fetched.unwrap_or_else(|_| {
        let seconds = limits.time.as_secs_f64();
        Err(failure(format!("{name} did not come to an end within {seconds} seconds")))
    })
}

async fn get(url: Url, name: &str, limits: Limits) -> Result<Vec<u8>, Failure> {
    let failure = |error: reqwest::Error| {
        let error = error.without_url();
        let mut problem = format!("{name} cannot be fetched: {error}");
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            problem.push_str(&format!(": {inner}"));
            cause = inner.source();
        }
        Failure::new(problem, "check the address and the network, or download it by other means and give the file")
    };
    let loopback = url.host_str().is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"));
    // An error says that it was installed before.
    drop(rustls::crypto::ring::default_provider().install_default());
    let mut builder = reqwest::Client::builder()
        .https_only(url.scheme() == "https")
        .user_agent(concat!("lote-xtask/", env!("CARGO_PKG_VERSION")));
    if loopback {
        builder = builder.no_proxy();
    }
    let mut answer = builder.build().map_err(failure)?.get(url).send().await.map_err(failure)?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(Failure::new(
            format!("{name} answers {}", answer.status()),
            "correct the address (in upstream.yaml when it comes from there), or give a file",
        ));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failure)? {
        if (bytes.len() + chunk.len()) as u64 > limits.bytes {
            return Err(too_large(name, limits));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Cannot fail for http and https.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}
