//! Where an object store is, by a URL and the environment.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use reqwest::Url;

use crate::outside;

/// How often a request is sent again, and for how long: somebody waits for it.
const MOST_RETRIES: usize = 4;
const RETRY: Duration = Duration::from_secs(30);

/// How long a request may take, with its body, which is 8 MiB at most.
const REQUEST: Duration = Duration::from_secs(60);

/// A store, and what all its keys begin with.
pub(super) struct Place {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: Path,
}

/// The place that a URL names.
pub(super) fn of(url: &str, environment: impl Iterator<Item = (String, String)>) -> io::Result<Place> {
    let parsed = Url::parse(url).map_err(|error| {
        invalid(format!(
            "the URL of the object store cannot be read ({error}): it is s3://BUCKET/PREFIX or file:///FOLDER"
        ))
    })?;
    if !parsed.username().is_empty() || parsed.password().is_some() || parsed.query().is_some() {
        // Not repeated: it may be a key.
        return Err(invalid(
            "the URL of an object store has no keys and no options: those are in the environment".into(),
        ));
    }
    match parsed.scheme() {
        "file" => folder(&parsed),
        "s3" => bucket(&parsed, environment),
        "gs" | "gcs" | "az" | "azure" | "abfs" | "abfss" | "adl" => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "{}:// is not among the object stores yet: nobody has tried it. Both clouds have gateways that speak S3",
                parsed.scheme()
            ),
        )),
        other => Err(invalid(format!("{other}:// is no object store: it is s3://BUCKET/PREFIX or file:///FOLDER"))),
    }
}

fn folder(url: &Url) -> io::Result<Place> {
    let path = url
        .to_file_path()
        .map_err(|()| invalid("the URL of a folder is file:///FOLDER, with three strokes and a whole path".into()))?;
    std::fs::create_dir_all(&path)?;
    // Without fsync a database would outlive the bytes that it names.
    let store = LocalFileSystem::new_with_prefix(&path).map_err(io::Error::other)?.with_fsync(true);
    Ok(Place { store: Arc::new(store), prefix: Path::default() })
}

fn bucket(url: &Url, environment: impl Iterator<Item = (String, String)>) -> io::Result<Place> {
    let bucket = url.host_str().filter(|host| !host.is_empty());
    let bucket = bucket.ok_or_else(|| invalid("the URL of a bucket is s3://BUCKET/PREFIX".into()))?;
    let prefix = Path::from_url_path(url.path()).map_err(|error| invalid(error.to_string()))?;
    outside::install_cryptography();
    let mut builder = AmazonS3Builder::new();
    let mut endpoint = None;
    let known = environment.filter(|(name, _)| name.starts_with("AWS_")).filter_map(|(name, value)| {
        let key: AmazonS3ConfigKey = name.to_ascii_lowercase().parse().ok()?;
        Some((key, value))
    });
    let mut options = ClientOptions::new().with_timeout(REQUEST).with_connect_timeout(outside::CONNECT);
    for (key, value) in known {
        match key {
            AmazonS3ConfigKey::Endpoint => endpoint = Some(value.clone()),
            AmazonS3ConfigKey::Client(key) => options = options.with_config(key, value.clone()),
            _ => {}
        }
        builder = builder.with_config(key, value);
    }
    // What stays on this machine needs no TLS; elsewhere AWS_ALLOW_HTTP has to say so.
    if endpoint.as_deref().is_some_and(is_here) {
        options = options.with_allow_http(true);
    }
    let retry = RetryConfig { max_retries: MOST_RETRIES, retry_timeout: RETRY, ..RetryConfig::default() };
    let builder = builder.with_client_options(options).with_retry(retry);
    let store = builder.with_bucket_name(bucket).build().map_err(io::Error::other)?;
    Ok(Place { store: Arc::new(store), prefix })
}

fn is_here(endpoint: &str) -> bool {
    let Ok(url) = Url::parse(endpoint) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_store_is_refused_in_words() {
        for (url, words) in [
            ("gs://bucket/x", "gs:// is not among the object stores yet"),
            ("az://box/x", "az:// is not among the object stores yet"),
            ("ftp://host/x", "ftp:// is no object store"),
            ("/folder", "s3://BUCKET/PREFIX"),
            ("file://folder/x", "three strokes"),
            ("s3:///prefix", "s3://BUCKET/PREFIX"),
            ("s3://key:secret@bucket/x", "in the environment"),
            ("s3://bucket/x?secret=secret", "in the environment"),
        ] {
            let error = of(url, std::iter::empty()).err().unwrap().to_string();
            assert!(error.contains(words), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_store_on_this_machine_may_speak_plainly() {
        for (endpoint, here) in [
            ("http://127.0.0.1:9000", true),
            ("http://localhost:9000/x", true),
            ("http://[::1]:9000", true),
            ("http://store.example", false),
            ("http://127.0.0.1.example", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(is_here(endpoint), here, "{endpoint}");
        }
    }
}
