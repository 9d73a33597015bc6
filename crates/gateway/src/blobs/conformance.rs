//! What every place for blobs has to do, as one suite.

#![expect(clippy::unwrap_used, reason = "a suite of tests, which fail by panics")]

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::AsyncReadExt;

use crate::blobs::Blobs;

/// Longer than two of the parts and ranges in which an object store is written and read.
const LONG: usize = (20 << 20) + 12_345;

/// Checks an empty place. It leaves the blob `kept`, whose bytes are its name, to be found after it is opened again.
pub(crate) async fn check(blobs: &Arc<dyn Blobs>) {
    what_is_written_is_read(blobs).await;
    it_is_read_from_any_place(blobs).await;
    what_is_not_finished_is_not_found(blobs).await;
    what_is_removed_is_gone(blobs).await;
    many_are_written_and_read_at_once(blobs).await;
    write(blobs, "kept", b"kept", 4).await;
}

/// Reads a blob to its end.
pub(crate) async fn read(blobs: &Arc<dyn Blobs>, key: &str, from: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    blobs.read(key, from).await?.read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// Writes a blob in pieces of this length.
pub(crate) async fn write(blobs: &Arc<dyn Blobs>, key: &str, bytes: &[u8], piece: usize) {
    let mut sink = blobs.begin(key).await.unwrap();
    for piece in bytes.chunks(piece) {
        sink.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    sink.finish().await.unwrap();
}

/// Bytes of which no two stretches are alike.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    let mut state = length as u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

async fn what_is_written_is_read(blobs: &Arc<dyn Blobs>) {
    for (key, length, piece) in [
        ("empty", 0, 1),
        ("one", 1, 1),
        ("a/deep-er/place/2", 100_000, 7_001),
        ("part", 8 << 20, 128 << 10),
        ("part-and-one", (8 << 20) + 1, 128 << 10),
        ("two-parts", 16 << 20, 3 << 20),
        ("long", LONG, 131_072),
        ("long-at-once", LONG, LONG),
    ] {
        let bytes = bytes(length);
        write(blobs, key, &bytes, piece).await;
        assert!(read(blobs, key, 0).await.unwrap() == bytes, "{key}");
    }
    let mut sink = blobs.begin("with-pauses").await.unwrap();
    for piece in ["", "of", "", " nothing", ""] {
        sink.write(Bytes::from_static(piece.as_bytes())).await.unwrap();
    }
    sink.finish().await.unwrap();
    assert_eq!(read(blobs, "with-pauses", 0).await.unwrap(), b"of nothing");
}

async fn it_is_read_from_any_place(blobs: &Arc<dyn Blobs>) {
    let bytes = bytes(LONG);
    for from in [1, 8 << 20, (8 << 20) - 1, LONG - 1, LONG] {
        let rest = read(blobs, "long", from as u64).await.unwrap();
        assert!(rest == bytes[from..], "from {from}");
    }
    let mut reader = blobs.read("long", 5).await.unwrap();
    let mut begin = [0; 10];
    reader.read_exact(&mut begin).await.unwrap();
    assert_eq!(begin, bytes[5..15]);
}

async fn what_is_not_finished_is_not_found(blobs: &Arc<dyn Blobs>) {
    let missing = read(blobs, "missing", 0).await.unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    for length in [0, 10, LONG] {
        let key = format!("unfinished/{length}");
        let mut sink = blobs.begin(&key).await.unwrap();
        sink.write(Bytes::from(bytes(length))).await.unwrap();
        assert_eq!(read(blobs, &key, 0).await.unwrap_err().kind(), io::ErrorKind::NotFound, "{key}");
        drop(sink);
        assert_eq!(read(blobs, &key, 0).await.unwrap_err().kind(), io::ErrorKind::NotFound, "{key}");
    }
}

async fn what_is_removed_is_gone(blobs: &Arc<dyn Blobs>) {
    write(blobs, "twins/1", b"one", 1).await;
    write(blobs, "twins/2", b"two", 1).await;
    blobs.remove("twins/1").await.unwrap();
    blobs.remove("twins/1").await.unwrap();
    blobs.remove("never/there").await.unwrap();
    assert_eq!(read(blobs, "twins/1", 0).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!(read(blobs, "twins/2", 0).await.unwrap(), b"two");
}

async fn many_are_written_and_read_at_once(blobs: &Arc<dyn Blobs>) {
    let each = |number: usize| async move {
        let (key, bytes) = (format!("many/{number}"), bytes(number * 300_000));
        write(blobs, &key, &bytes, 50_000).await;
        let (one, two) = tokio::join!(read(blobs, &key, 0), read(blobs, &key, 7 * number as u64));
        assert!(one.unwrap() == bytes && two.unwrap() == bytes[7 * number..], "{key}");
    };
    futures_util::future::join_all((0..20).map(each)).await;
}
