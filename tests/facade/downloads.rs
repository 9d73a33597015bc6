//! Downloads that break off, are taken up again, and are verified at the end.

use std::{sync::Mutex, time::Duration};

use lote::{Error, FileId, Retry};

use crate::common::{Odd, Reply};

const TEXT: &[u8] = b"one\ntwo\nthree\n";

fn id() -> FileId {
    FileId::new("file_1").expect("an id")
}

/// An answer that announces all of `body` and sends only its first bytes.
fn broken(status: &str, headers: &[&str], body: &[u8], sent: usize) -> Reply {
    let mut bytes = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n", body.len()).into_bytes();
    for header in headers {
        bytes.extend_from_slice(format!("{header}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body[..sent]);
    Reply::Bytes(bytes)
}

/// The part of the text from this byte on.
fn rest(first: usize, sent: usize) -> Reply {
    let range = format!("content-range: bytes {first}-{}/{}", TEXT.len() - 1, TEXT.len());
    broken("206", &[&range], &TEXT[first..], sent)
}

async fn fetch(odd: &Odd) -> Result<Vec<u8>, Error> {
    let quick = Retry::default().pauses(Duration::from_millis(1), Duration::from_millis(2));
    let client = odd.builder().retry(quick).build().expect("a client");
    let mut text = Vec::new();
    let content = client.files().content(&id()).await.expect("a head");
    content.copy_to(&mut text).await.map(|bytes| {
        assert_eq!(bytes, text.len() as u64);
        text
    })
}

#[tokio::test]
async fn what_breaks_off_goes_on_where_it_was() {
    let tag = ["etag: \"v1\""];
    let odd = Odd::new([broken("200", &tag, TEXT, 3), Reply::Nothing, rest(3, 4), rest(7, 7)]);
    assert_eq!(fetch(&odd).await.expect("whole"), TEXT);
    let ranges: Vec<Option<String>> = odd
        .requests()
        .iter()
        .map(|head| head.lines().find_map(|line| line.strip_prefix("range: ")).map(str::to_owned))
        .collect();
    let expected = [None, Some("bytes=3-"), Some("bytes=3-"), Some("bytes=7-")];
    assert_eq!(ranges, expected.map(|range| range.map(str::to_owned)));
    assert!(odd.requests()[1..].iter().all(|head| head.contains("if-range: \"v1\"")));
}

#[tokio::test]
async fn a_service_without_ranges_starts_over_and_nothing_comes_twice() {
    let whole = || Reply::new(200, &[], TEXT);
    for again in [vec![whole()], vec![Reply::new(416, &[], ""), whole()], vec![broken("200", &[], TEXT, 2), whole()]] {
        let odd = Odd::new([vec![broken("200", &[], TEXT, 9)], again].into_iter().flatten());
        assert_eq!(fetch(&odd).await.expect("whole"), TEXT);
    }
    // Without a length nothing tells which file a part is of: the whole is asked for.
    let chunks = b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n".to_vec();
    let odd = Odd::new([Reply::Bytes(chunks), whole()]);
    assert_eq!(fetch(&odd).await.expect("whole"), TEXT);
    assert!(odd.requests().iter().all(|head| !head.contains("range: ")));
}

#[tokio::test]
async fn what_has_changed_meanwhile_is_never_joined() {
    let other: &[u8] = b"uno\ndos\ntres\n\n";
    let wrong_part = "content-range: bytes 4-13/14";
    for (again, word) in [
        (Reply::new(200, &[], other), "begins"),
        (Reply::new(200, &[], &TEXT[1..]), "length"),
        (Reply::new(200, &["etag: \"v2\""], TEXT), "entity tag"),
        (Reply::new(206, &[wrong_part], &TEXT[4..]), "another part"),
        (Reply::new(206, &["content-range: bytes 3-13/15"], &TEXT[3..]), "another part"),
        (Reply::new(206, &[], &TEXT[3..]), "another part"),
    ] {
        let odd = Odd::new([broken("200", &["etag: \"v1\""], TEXT, 3), again]);
        let error = fetch(&odd).await.expect_err("changed");
        let told = error.to_string();
        assert!(error.is_undecodable() && told.contains("content of file file_1"), "{told}");
        assert!(told.contains(word) || (word == "begins" && told.contains("began with")), "{told}");
    }
}

#[tokio::test]
async fn breaks_without_progress_come_to_an_end() {
    let odd = Odd::new([broken("200", &[], TEXT, 5), rest(5, 0), rest(5, 0), Reply::Nothing]);
    assert!(fetch(&odd).await.expect_err("in vain").is_connection());
    // A file that is gone is not asked for again.
    let odd = Odd::new([broken("200", &[], TEXT, 5), Reply::new(404, &[], "")]);
    assert!(fetch(&odd).await.expect_err("gone").is_not_found());
}

#[tokio::test]
async fn the_sha256_is_verified_where_the_service_gives_one() {
    let sha256 = "E2A3D2AC5A65DFD2E4B6F5D0D56B8E1F0F1E6E6C9D0C4A0A7F7C4F7D1E0F1A2B";
    let file = |sha256: &str| Reply::json(200, format!(r#"{{"id":"file_1","sha256":"{sha256}"}}"#));
    let right = hex(TEXT);
    let verified = async |odd: &Odd| {
        let mka1 = odd.builder().dialect(lote::Dialect::named("mka1").expect("a dialect")).build().expect("a client");
        let content = mka1.files().verified_content(&id()).await.expect("a head");
        content.copy_to(&mut tokio::io::sink()).await
    };
    let odd = Odd::new([Reply::new(200, &[], TEXT), file(&right.to_uppercase())]);
    assert_eq!(verified(&odd).await.expect("right"), TEXT.len() as u64);
    let odd = Odd::new([Reply::new(200, &[], TEXT), Reply::json(200, r#"{"id":"file_1","sha256":null}"#)]);
    verified(&odd).await.expect("not told");
    let odd = Odd::new([Reply::new(200, &[], TEXT), Reply::new(500, &[], "")]);
    verified(&odd).await.expect("not told");
    let odd = Odd::new([Reply::new(200, &[], TEXT), file(sha256)]);
    let error = verified(&odd).await.expect_err("wrong");
    assert!(error.is_undecodable() && error.to_string().contains(&right), "{error}");

    // Other services are not asked for what they do not know.
    let odd = Odd::new([Reply::new(200, &[], TEXT)]);
    let content = odd.client().files().verified_content(&id()).await.expect("a head");
    assert_eq!(content.copy_to(&mut tokio::io::sink()).await.expect("whole"), TEXT.len() as u64);
}

fn hex(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_call_that_is_dropped_in_a_break_loses_nothing() {
    let odd = Odd::new([broken("200", &[], TEXT, 3), rest(3, 11)]);
    let client = odd.builder().retry(Retry::default()).build().expect("a client");
    let troubles = std::sync::Arc::new(Mutex::new(0));
    let seen = std::sync::Arc::clone(&troubles);
    let mut content =
        client.files().content(&id()).await.expect("a head").on_trouble(move |_| *seen.lock().expect("a count") += 1);
    let mut text = content.chunk().await.expect("bytes").expect("bytes").to_vec();
    // Dropped while it pauses before going on.
    while *troubles.lock().expect("a count") == 0 {
        let _ = tokio::time::timeout(Duration::from_millis(20), content.chunk()).await;
    }
    while let Some(chunk) = content.chunk().await.expect("bytes") {
        text.extend_from_slice(&chunk);
    }
    assert_eq!(text, TEXT);
}
