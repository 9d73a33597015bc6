//! Blobs in an S3 server and in a folder: the suite of all places, and what breaks on the way there.

use std::io;
use std::path::Path;

use lote_cluster_tests::{BUCKET, Fault, Proxy, S3};
use lote_gateway::trial::Store;

/// The store of a bucket that is reached on this port.
fn store(port: u16) -> Store {
    let environment = S3::environment(port);
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    Store::open(&format!("s3://{BUCKET}/some/prefix"), &environment).unwrap()
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place / 7 + place / 65_537) as u8).collect()
}

/// How many files below a folder have this in their paths.
fn files(folder: &Path, text: &str) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { files(&path, text) } else { path.display().to_string().contains(text).into() })
        .sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_keeps_the_rules() {
    let s3 = S3::start().await;
    store(s3.port()).check().await;
    assert_eq!(store(s3.port()).read("kept", 0).await.unwrap(), b"kept");
    assert_eq!(files(&s3.folder(), &format!("{BUCKET}/some/prefix/kept")), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_keeps_the_rules() {
    let folder = tempfile::tempdir().unwrap();
    Store::open(&format!("file://{}", folder.path().display()), &[]).unwrap().check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_answer_is_taken_up_where_it_broke() {
    let s3 = S3::start().await;
    let proxy = Proxy::before(s3.port()).await;
    let store = store(proxy.port());
    let whole = bytes(20 << 20);
    store.write("long", whole.clone()).await.unwrap();
    for most in [100, 300 << 10, 2 << 20, 6 << 20] {
        proxy.cut();
        proxy.fault(Fault::Answer(most));
        assert!(store.read("long", 0).await.unwrap() == whole, "{most}");
        assert!(proxy.has_failed(), "{most}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_to_the_last_step_is_looked_up() {
    let s3 = S3::start().await;
    let proxy = Proxy::before(s3.port()).await;
    let store = store(proxy.port());
    let whole = bytes(9 << 20);
    // The object is there when it is sent again, and the upload is not.
    proxy.fault(Fault::After("CompleteMultipartUpload"));
    store.write("long", whole.clone()).await.unwrap();
    assert!(proxy.has_failed());
    assert!(store.read("long", 0).await.unwrap() == whole);

    proxy.fault(Fault::Before("CompleteMultipartUpload"));
    store.write("longer", whole.clone()).await.unwrap();
    assert!(proxy.has_failed());
    assert!(store.read("longer", 0).await.unwrap() == whole);

    proxy.fault(Fault::After("PUT "));
    store.write("short", b"bytes".to_vec()).await.unwrap();
    assert!(proxy.has_failed());
    assert_eq!(store.read("short", 0).await.unwrap(), b"bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_what_is_given_up_do_not_stay() {
    let s3 = S3::start().await;
    let store = store(s3.port());
    store.begin("given-up", bytes(17 << 20)).await.unwrap();
    while files(&s3.folder(), "part") > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(store.read("given-up", 0).await.unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_the_store_are_told() {
    let s3 = S3::start().await;
    let environment = S3::environment(s3.port());
    let mut environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    environment[3].1 = "not-the-secret";
    let wrong = Store::open(&format!("s3://{BUCKET}"), &environment).unwrap();
    for error in [wrong.write("key", b"bytes".to_vec()).await.unwrap_err(), wrong.read("key", 0).await.unwrap_err()] {
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
        assert!(!format!("{error} {error:?}").contains("not-the-secret"));
    }
    assert!(!format!("{wrong:?}").contains("not-the-secret"));
}
