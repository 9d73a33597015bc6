//! What breaks off: answers, contents, readers.

use super::*;

#[test]
fn odd_answers_are_the_errors_of_the_async_client() {
    let odd = Odd::new([
        Reply::json(401, json!({"error": {"message": "no such key", "code": "invalid_api_key"}})),
        Reply::new(200, &[], "<html>"),
        Reply::Nothing,
        Reply::json(200, json!({"data": [{"id": "batch_1", "status": "failed"}], "has_more": true})),
        Reply::json(200, json!({"data": [{"id": "batch_1", "status": "failed"}], "has_more": true})),
    ]);
    let client = blocking(&odd);
    let error = client.batches().get(&batch_id("batch_1")).expect_err("a wrong key");
    assert!(error.is_unauthorized() && error.code() == Some("invalid_api_key"), "{error}");
    assert!(client.files().list().page().expect_err("a login page").is_undecodable());
    let error = client.batches().create(&file_id("file-1"), Endpoint::Embeddings).send().expect_err("no answer");
    assert!(error.is_ambiguous(), "{error}");

    // A service that starts again: an error, and then the end.
    let mut list = client.batches().list().into_iter();
    assert_eq!(list.next().expect("a batch").expect("a batch").id, batch_id("batch_1"));
    assert!(list.next().expect("an error").expect_err("no loop").is_undecodable());
    assert!(list.next().is_none() && list.next().is_none());
    assert!(!format!("{client:?}").contains("hunter22"));
}

#[test]
fn a_content_that_breaks_off_is_an_error_and_not_an_end() {
    let part = || {
        Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\netag: \"1\"\r\nconnection: close\r\n\r\nhello".to_vec())
    };
    let rest = || {
        let headers = ["content-range: bytes 5-9/10", "etag: \"1\""];
        Reply::new(206, &headers, "world")
    };
    let odd = Odd::new([part(), rest(), part(), part(), Reply::new(403, &[], "")]);
    let id = file_id("file-1");
    let mut reader = blocking(&odd).files().content(&id).expect("content").into_reader();
    let (mut text, mut buffer) = (Vec::new(), [0; 3]);
    let error = loop {
        match reader.read(&mut buffer) {
            Ok(0) => panic!("the end, after {text:?}"),
            Ok(length) => text.extend_from_slice(&buffer[..length]),
            Err(error) => break error,
        }
    };
    assert_eq!(text, b"hello");
    assert!(error.downcast::<Error>().expect("our error").is_connection());
    // Read on, it is taken up again.
    reader.read_to_end(&mut text).expect("the rest");
    assert_eq!(text, b"helloworld");
    assert_eq!(reader.read(&mut buffer).expect("still the end"), 0);

    let folder = tempfile::tempdir().expect("a folder");
    let content = blocking(&odd).files().content(&id).expect("content");
    assert!(content.save(folder.path().join("a")).expect_err("broken").is_connection());
    assert!(!folder.path().join("a").exists());
    assert_eq!(fs::read(folder.path().join("a.lote-part")).expect("the part"), b"hello");

    // What is survived is told, on this thread.
    let (told, here) = (Arc::new(AtomicUsize::new(0)), thread::current().id());
    let counted = Arc::clone(&told);
    let client = odd.builder().retry(Retry::default()).build_blocking().expect("a client");
    let content = client.files().content(&id).expect("content").on_trouble(move |_| {
        assert_eq!(thread::current().id(), here);
        counted.fetch_add(1, Ordering::SeqCst);
    });
    let mut text = Vec::new();
    assert_eq!(content.copy_to(&mut text).expect_err("refused").status(), Some(403));
    assert_eq!((text.as_slice(), told.load(Ordering::SeqCst)), (&b"hello"[..], 1));
}

/// Gives a word and then does what it is told.
struct Then<F>(Option<&'static [u8]>, F);

impl<F: FnMut() -> io::Result<usize>> Read for Then<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.take() {
            Some(mut word) => word.read(buffer),
            None => (self.1)(),
        }
    }
}

#[test]
fn a_reader_that_fails_or_dies_is_no_shorter_file() {
    let running = Running::new();
    let client = running.client();
    let failing = Then(Some(b"half a line"), || Err(io::Error::other("the disk is gone")));
    let error = client.files().upload_reader(failing, "a.jsonl", UploadPurpose::Batch).send().expect_err("no file");
    assert!(error.is_io() && error.to_string().contains("the disk is gone"), "{error}");
    let dying = Then(Some(b"half a line"), || std::panic::resume_unwind(Box::new("dead")));
    let error = client.files().upload_reader(dying, "a.jsonl", UploadPurpose::Batch).send().expect_err("no file");
    assert!(error.is_io() && error.to_string().contains("the reader panicked"), "{error}");
    assert_eq!(client.files().list().into_iter().count(), 0);
}

#[test]
fn a_reader_may_be_a_download_and_may_be_interrupted() {
    let running = Running::new();
    let client = running.client();
    let mut interruptions = 3;
    let reader = Then(Some(b"a\n"), move || {
        interruptions -= 1;
        if interruptions > 0 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(0) }
    });
    let first = client.files().upload_reader(reader, "a.jsonl", UploadPurpose::Batch).send().expect("an upload");
    let content = client.files().content(&first.id).expect("content").into_reader();
    // Longer than was said: what is over is not sent.
    let second = client.files().upload_reader(content.chain(io::repeat(b'b')), "b.jsonl", UploadPurpose::Batch);
    let second = second.length(200_000).send().expect("an upload");
    assert_eq!(second.bytes, Some(200_000));
    let mut text = Vec::new();
    client.files().content(&second.id).expect("content").copy_to(&mut text).expect("text");
    assert!(text.starts_with(b"a\nbbb") && text.len() == 200_000);
}
