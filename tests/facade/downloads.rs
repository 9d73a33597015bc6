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

/// The part of the text from this byte on, with the entity tag of the whole.
fn rest(first: usize, sent: usize) -> Reply {
    let range = format!("content-range: bytes {first}-{}/{}", TEXT.len() - 1, TEXT.len());
    broken("206", &[&range, TAG], &TEXT[first..], sent)
}

const TAG: &str = "etag: \"v1\"";

/// The ranges that were asked for.
fn ranges(odd: &Odd) -> Vec<Option<String>> {
    let range = |head: &String| head.lines().find_map(|line| line.strip_prefix("range: ")).map(str::to_owned);
    odd.requests().iter().map(range).collect()
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
    let odd = Odd::new([broken("200", &[TAG], TEXT, 3), Reply::Nothing, rest(3, 4), rest(7, 7)]);
    assert_eq!(fetch(&odd).await.expect("whole"), TEXT);
    let expected = [None, Some("bytes=3-"), Some("bytes=3-"), Some("bytes=7-")];
    assert_eq!(ranges(&odd), expected.map(|range| range.map(str::to_owned)));
    assert!(odd.requests()[1..].iter().all(|head| head.contains("if-range: \"v1\"")));
}

#[tokio::test]
async fn a_service_without_ranges_starts_over_and_nothing_comes_twice() {
    let whole = || Reply::new(200, &[], TEXT);
    for again in [vec![whole()], vec![Reply::new(416, &[], ""), whole()], vec![broken("200", &[], TEXT, 2), whole()]] {
        let odd = Odd::new([vec![broken("200", &[TAG], TEXT, 9)], again].into_iter().flatten());
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
        (Reply::new(206, &[wrong_part, TAG], &TEXT[4..]), "another part"),
        (Reply::new(206, &["content-range: bytes 3-13/15", TAG], &TEXT[3..]), "another part"),
        (Reply::new(206, &[TAG], &TEXT[3..]), "another part"),
        (Reply::new(206, &["content-range: bytes 3-13/14", "etag: \"v2\""], &TEXT[3..]), "entity tag"),
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
    let odd = Odd::new([broken("200", &[TAG], TEXT, 5), rest(5, 0), rest(5, 0), Reply::Nothing]);
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
    let odd = Odd::new([broken("200", &[TAG], TEXT, 3), rest(3, 11)]);
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

/// A file of the same length and with a common beginning is what a length alone cannot tell from another.
#[tokio::test]
async fn without_a_strong_tag_or_a_hash_the_whole_comes_again_and_is_compared() {
    for headers in [&[][..], &["etag: W/\"v1\""], &["last-modified: Thu, 01 Jan 2026 00:00:00 GMT"]] {
        let odd = Odd::new([broken("200", headers, TEXT, 5), Reply::new(200, headers, TEXT)]);
        assert_eq!(fetch(&odd).await.expect("whole"), TEXT);
        assert_eq!(ranges(&odd), [None, None], "{headers:?}");
        assert!(odd.requests().iter().all(|head| !head.contains("if-range")));
        let odd = Odd::new([broken("200", headers, TEXT, 5), Reply::new(200, headers, "ONE\ntwo\nthree\n")]);
        let error = fetch(&odd).await.expect_err("another file");
        assert!(error.to_string().contains("what it began with is not the same"), "{error}");
    }
    // A service that ignores If-Range sends the rest of whatever there is: without a tag it proves nothing.
    let part = || Reply::new(206, &["content-range: bytes 5-13/14"], "ABCDEFGHI");
    let odd = Odd::new([broken("200", &[TAG], TEXT, 5), part(), Reply::new(200, &[], TEXT)]);
    assert_eq!(fetch(&odd).await.expect("whole"), TEXT);
    assert_eq!(ranges(&odd), [None, Some("bytes=5-".to_owned()), None]);
}

/// Where a hash is compared at the end, the rest alone will do.
#[tokio::test]
async fn a_hash_makes_a_part_good_enough() {
    let part = |text: &[u8]| Reply::new(206, &["content-range: bytes 5-13/14"], text);
    for (rest, right) in [(&TEXT[5..], true), (&b"ABCDEFGHI"[..], false)] {
        let odd = Odd::new([broken("200", &[], TEXT, 5), part(rest)]);
        let client = odd.builder().retry(quick()).build().expect("a client");
        let content = client.files().content(&id()).await.expect("a head").verify_sha256(&hex(TEXT));
        let ended = content.copy_to(&mut tokio::io::sink()).await;
        assert_eq!(ended.is_ok(), right, "{ended:?}");
        assert_eq!(ranges(&odd)[1].as_deref(), Some("bytes=5-"));
    }
}

fn quick() -> Retry {
    Retry::default().pauses(Duration::from_millis(1), Duration::from_millis(2))
}

/// Saves to a file of this name, which is given up after the first break.
async fn save(odd: &Odd, path: &std::path::Path) -> Result<u64, Error> {
    odd.client().files().content(&id()).await?.save(path).await
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_came_is_kept_and_gone_on_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("output.jsonl");
    let odd = Odd::new([
        broken("200", &[TAG], TEXT, 5),
        // The same again, which gets further.
        broken("200", &[TAG], TEXT, 0),
        rest(5, 4),
        broken("200", &[TAG], TEXT, 0),
        rest(9, 5),
    ]);
    for kept in [5, 9] {
        let error = save(&odd, &path).await.expect_err("broken").to_string();
        assert!(error.contains("content of file file_1") && error.contains("was lost"), "{error}");
        assert!(error.contains(&format!("; {kept} of 14 bytes are kept in ")), "{error}");
        assert!(error.contains("output.jsonl.lote-part; fetch file file_1"), "{error}");
        assert_eq!(std::fs::read(folder.path().join("output.jsonl.lote-part")).expect("a part"), &TEXT[..kept]);
    }
    assert_eq!(save(&odd, &path).await.expect("whole"), TEXT.len() as u64);
    assert_eq!(std::fs::read(&path).expect("the file"), TEXT);
    assert_eq!(names(folder.path()), ["output.jsonl"]);
    let (five, nine) = (Some("bytes=5-".to_owned()), Some("bytes=9-".to_owned()));
    assert_eq!(ranges(&odd), [None, None, five, None, nine]);
}

#[tokio::test]
async fn a_part_of_anything_else_is_not_gone_on_from() {
    let whole = || Reply::new(200, &[TAG], TEXT);
    let spoil = |name: &str, text: &str| {
        let (name, text) = (name.to_owned(), text.to_owned());
        move |folder: &std::path::Path| std::fs::write(folder.join(&name), &text).expect("a file")
    };
    type Spoil = Box<dyn Fn(&std::path::Path)>;
    let cases: Vec<(Reply, Spoil)> = vec![
        // Another version, one that is not told apart, a part that was changed, and a label that is none.
        (Reply::new(200, &["etag: \"v2\""], TEXT), Box::new(|_| ())),
        (Reply::new(200, &[], TEXT), Box::new(|_| ())),
        (whole(), Box::new(spoil("f.lote-part", "ONE\nt"))),
        (whole(), Box::new(spoil("f.lote-part", "one\nto"))),
        (whole(), Box::new(spoil("f.lote-part.json", "{}"))),
    ];
    for (again, spoil) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        let odd = Odd::new([broken("200", &[TAG], TEXT, 5), again]);
        save(&odd, &path).await.expect_err("broken");
        spoil(folder.path());
        assert_eq!(save(&odd, &path).await.expect("whole"), TEXT.len() as u64);
        assert_eq!(std::fs::read(&path).expect("the file"), TEXT);
        assert_eq!(ranges(&odd), [None, None]);
        assert_eq!(names(folder.path()), ["f"]);
    }
    // Of another service: the same id says nothing there.
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("f");
    let (one, two) = (Odd::new([broken("200", &[TAG], TEXT, 5)]), Odd::new([whole()]));
    save(&one, &path).await.expect_err("broken");
    save(&two, &path).await.expect("whole");
    assert_eq!(ranges(&two), [None]);
}

#[tokio::test]
async fn a_part_whose_rest_does_not_fit_is_taken_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("f");
    let odd = Odd::new([
        broken("200", &[], TEXT, 5),
        broken("200", &[], TEXT, 0),
        Reply::new(206, &["content-range: bytes 5-13/14"], "ABCDEFGHI"),
        Reply::new(200, &[], TEXT),
    ]);
    let save = async || {
        let content = odd.client().files().content(&id()).await.expect("a head").verify_sha256(&hex(TEXT));
        content.save(&path).await
    };
    assert!(save().await.expect_err("broken").is_connection());
    assert!(save().await.expect_err("the hash").to_string().contains("its SHA-256 is"));
    assert!(names(folder.path()).is_empty());
    save().await.expect("from the start");
    assert_eq!(std::fs::read(&path).expect("the file"), TEXT);
}

/// What is saved is compared with what is in the file by then, whether it is hashed on its way or not.
#[tokio::test]
async fn what_was_saved_before_a_break_is_compared_with_what_comes_again() {
    let other: &[u8] = b"one\ntwO\nthree\n";
    for (again, whole, hashed) in [
        (TEXT, true, false),
        (other, false, false),
        (TEXT, true, true),
        (other, false, true),
        (&TEXT[..3], false, false),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        // The second answer breaks off as well, before all that was there has come again.
        let twice = broken("200", &[], TEXT, 4);
        let again = if again.len() == TEXT.len() { Reply::new(200, &[], again) } else { broken("200", &[], again, 3) };
        let odd = Odd::new([broken("200", &[], TEXT, 9), twice, again]);
        let client = odd.builder().retry(quick()).build().expect("a client");
        let content = client.files().content(&id()).await.expect("a head");
        // The service does not know ranges, so that the rest alone never comes.
        let content = if hashed { content.verify_sha256(&hex(TEXT)) } else { content };
        let saved = content.save(&path).await;
        if whole {
            assert_eq!(saved.expect("whole"), TEXT.len() as u64);
            assert_eq!(std::fs::read(&path).expect("the file"), TEXT);
            assert_eq!(names(folder.path()), ["f"]);
        } else {
            let error = saved.expect_err("another file");
            assert!(error.is_undecodable() && error.to_string().contains("has changed"), "{error}");
            assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
        }
    }
}

#[tokio::test]
async fn bytes_that_were_taken_before_the_rest_is_saved_are_compared_too() {
    for (again, same) in [(TEXT, true), (&b"One\ntwo\nthree\n"[..], false)] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        let odd = Odd::new([broken("200", &[], TEXT, 3), broken("200", &[], TEXT, 8), Reply::new(200, &[], again)]);
        let client = odd.builder().retry(quick()).build().expect("a client");
        let mut content = client.files().content(&id()).await.expect("a head");
        let taken = content.chunk().await.expect("bytes").expect("bytes");
        assert_eq!(taken, TEXT[..3]);
        assert_eq!(content.save(&path).await.is_ok(), same);
        assert_eq!(std::fs::read(&path).ok().as_deref(), same.then_some(&TEXT[3..]));
    }
}

#[tokio::test]
async fn a_hash_that_is_named_too_late_is_not_passed_over() {
    let odd = Odd::new([Reply::new(200, &[], TEXT)]);
    let mut content = odd.client().files().content(&id()).await.expect("a head");
    content.chunk().await.expect("bytes").expect("bytes");
    let mut content = content.verify_sha256(&hex(TEXT));
    let ended = loop {
        match content.chunk().await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    let error = ended.expect_err("not hashed");
    assert!(error.is_invalid() && error.to_string().contains("before its SHA-256"), "{error}");
}
