//! Files that are compressed with gzip or zstd are read as what they hold, and say so when they are
//! damaged.
#![cfg(feature = "compressed")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::fs;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use lote_lines::{Inspection, decompressed, join, open_lines};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    compress_to_vec(data, CompressionLevel::Fastest)
}

type Compress = fn(&[u8]) -> Vec<u8>;
const BOTH: [(&str, Compress); 2] = [("gzip", gzip), ("zstd", zstd)];

fn answers(count: usize) -> Vec<u8> {
    let line = |n: usize| {
        format!(
            "{{\"custom_id\":\"row-{n}\",\"response\":{{\"status_code\":200,\"body\":{{\"text\":\"{}\"}}}},\"error\":null}}\n",
            "ab".repeat(n * 7919 % 97)
        )
    };
    (0..count).map(line).collect::<String>().into_bytes()
}

fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    // As a pipe gives it, a few bytes at a time.
    let reader = BufReader::with_capacity(5, io::Cursor::new(bytes.to_vec()));
    decompressed(reader)?.read_to_end(&mut out)?;
    Ok(out)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn what_is_compressed_is_read_as_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let plain = answers(2_000);
    assert_eq!(unpacked(&plain).unwrap(), plain);
    for (name, compress) in BOTH {
        let (one, two) = plain.split_at(12_345);
        let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        let mut forms = vec![
            compress(&plain),
            [compress(one), compress(two)].concat(),
            [compress(b""), compress(&plain), compress(b"")].concat(),
            compress(&compress(&plain)),
            gzip(&zstd(&plain)),
        ];
        match name {
            "gzip" => forms.push([compress(&plain), vec![0; 1_000]].concat()),
            _ => forms.push([skippable.clone(), compress(one), skippable.clone(), compress(two), skippable].concat()),
        }
        for (form, bytes) in forms.iter().enumerate() {
            assert_eq!(unpacked(bytes).unwrap(), plain, "{name}, form {form}");
            // The name says nothing.
            let path = write(folder.path(), "output.jsonl", bytes);
            let mut read = Vec::new();
            open_lines(&path).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(read, plain, "{name}, form {form}");
        }
        assert_eq!(unpacked(&compress(b"")).unwrap(), b"");
    }
    let empty = write(folder.path(), "empty.jsonl.gz", b"");
    let mut inspection = Inspection::default();
    inspection.read("empty", open_lines(&empty).unwrap()).unwrap();
    assert_eq!(inspection.report().lines, 0);
    assert_eq!(open_lines(&folder.path().join("absent")).err().unwrap().kind(), ErrorKind::NotFound);
}

#[test]
fn joining_takes_compressed_files_as_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let count = 500;
    let requests: String = (0..count).rev().map(|n| format!("{{\"custom_id\":\"row-{n}\",\"body\":{{}}}}\n")).collect();
    let plain = answers(count);
    let [requests_path, output] =
        [("requests", requests.as_bytes()), ("output", &plain)].map(|(name, bytes)| write(folder.path(), name, bytes));
    let mut expected = Vec::new();
    let joined = join(&requests_path, &[&output], &mut expected).unwrap();
    assert_eq!(joined.succeeded, count as u64);
    let (one, two) = plain.split_at(plain.len() / 2);
    let end = one.iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    let (one, two) = (&one[..end], &[&one[end..], two].concat()[..]);
    for (name, compress) in BOTH {
        let requests = write(folder.path(), "requests.x", &compress(requests.as_bytes()));
        let files = [write(folder.path(), "one", &compress(two)), write(folder.path(), "two", one)];
        let mut out = Vec::new();
        let again = join(&requests, &[&files[0], &files[1]], &mut out).unwrap();
        assert!(out == expected, "{name}");
        assert_eq!(again, joined);
        // Cut off, it is an error that names the file, and no half of the answers.
        let bytes = compress(two);
        let cut = write(folder.path(), "cut", &bytes[..bytes.len() - 3]);
        let error = join(&requests, &[&cut], &mut Vec::new()).unwrap_err();
        assert!(!error.is_write());
        let text = error.to_string();
        assert!(text.contains("cut: ") && text.contains(&format!("the {name} data ends too early")), "{text}");
    }
}

#[test]
fn what_is_cut_off_or_followed_by_something_says_so() {
    let plain = answers(300);
    for (name, compress) in BOTH {
        let whole = compress(&plain);
        for length in (6..60).chain((60..whole.len()).step_by(311)).chain(whole.len() - 9..whole.len()) {
            let error = unpacked(&whole[..length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{name}, {length}: {error}");
            assert!(error.to_string().starts_with(&format!("the {name} data ends too early")), "{error}");
        }
        for garbage in [&b"x"[..], b"{\"custom_id\":\"a\"}\n", b"\x1f\x8c0123456789", &[7; 5_000]] {
            let error = unpacked(&[&whole, garbage].concat()).unwrap_err();
            assert_ne!(error.kind(), ErrorKind::Other, "{name}: {error}");
            let text = error.to_string();
            assert!(text.contains(name) && text.contains('?') || text.contains("damaged"), "{text}");
        }
        let appended = unpacked(&[&whole[..], b"{\"custom_id\":\"a\"}\n"].concat()).unwrap_err();
        assert!(appended.to_string().contains(&format!("after the {name} data stands something")), "{appended}");
    }
}

#[test]
fn damage_is_told_and_nothing_panics() {
    let plain = answers(60);
    let mut state = 5_u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    for (name, compress) in BOTH {
        let whole = compress(&plain);
        let mut told = 0;
        for _ in 0..1_500 {
            let mut bytes = whole.clone();
            for _ in 0..=below(3) {
                // After the bytes by which the kind is told.
                let at = 4 + below(bytes.len() - 4);
                bytes[at] ^= 1 << below(8);
            }
            match unpacked(&bytes) {
                // The time of a gzip file may be any.
                Ok(read) => assert!(read == plain, "{name}: damage went unnoticed"),
                Err(error) => {
                    told += 1;
                    assert!(error.to_string().contains(name), "{error}");
                }
            }
        }
        assert!(told > 1_000, "{name}: {told}");
    }
}
