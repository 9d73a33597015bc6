//! Files that are compressed with gzip or zstd are read as what they hold, and say so when they are
//! damaged.
#![cfg(feature = "compressed")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::fs;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use flate2::write::GzEncoder;
use flate2::{Compression, Crc};
use lote_lines::{AnomalyCode, CheckOptions, Inspected, Inspection, Joined, check, decompressed, join, open_lines};
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
    // A member that begins far behind the bytes that are looked at first: its tables come a few bytes at a time, and with
    // them nothing that is inflated.
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let noise: Vec<u8> = (0..5_000).map(|_| noise()).collect();
    assert_eq!(unpacked(&[gzip(&noise), gzip(&plain)].concat()).unwrap(), [&noise[..], &plain].concat());
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
    }
}

#[test]
fn requests_that_are_cut_off_or_damaged_are_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let requests: String = (0..500).map(|n| format!("{{\"custom_id\":\"row-{n}\",\"body\":{{}}}}\n")).collect();
    for (name, compress) in BOTH {
        let bytes = compress(requests.as_bytes());
        for length in [7, bytes.len() / 2, bytes.len() - 1] {
            let cut = write(folder.path(), "cut", &bytes[..length]);
            let error = join(&cut, &[], &mut Vec::new()).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("cut: ") && text.contains(&format!("the {name} data ends too early")), "{text}");
            let lines = open_lines(&cut).unwrap();
            let error = check(lines, &CheckOptions::default(), &mut drop, None).unwrap_err();
            assert!(error.to_string().contains("ends too early"), "{error}");
        }
    }
}

/// What came of damaged answers: the lines that were read, the anomaly, and what joining makes of 500 requests.
fn of_damaged(bytes: &[u8]) -> (Inspected, Joined) {
    let folder = tempfile::tempdir().unwrap();
    let requests: String = (0..500).map(|n| format!("{{\"custom_id\":\"row-{n}\",\"body\":{{}}}}\n")).collect();
    let requests = write(folder.path(), "requests", requests.as_bytes());
    let output = write(folder.path(), "output", bytes);
    let mut inspection = Inspection::default();
    inspection.read("output", open_lines(&output).unwrap()).unwrap();
    assert!(!inspection.all_readable());
    let mut out = Vec::new();
    let joined = join(&requests, &[&output], &mut out).unwrap();
    assert!(!joined.all_succeeded());
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 500);
    let report = inspection.report();
    for (anomalies, damaged) in [(&report.anomalies, report.damaged_files), (&joined.anomalies, joined.damaged_files)] {
        assert_eq!((anomalies[0].code, damaged), (AnomalyCode::DamagedCompression, 1));
        assert!(anomalies[1..].iter().all(|anomaly| anomaly.code != AnomalyCode::DamagedCompression));
    }
    assert_eq!(report.anomalies[0].message, joined.anomalies[0].message);
    // What is lost may have been the answer, so that nobody is told that the service gave none.
    assert_eq!((joined.missing, joined.succeeded + joined.unreadable), (0, 500));
    assert_eq!(joined.succeeded, report.succeeded);
    (report, joined)
}

/// The frames of one block each, or the members, so that only a part of the data is hit.
fn in_blocks(compress: Compress, plain: &[u8]) -> Vec<Vec<u8>> {
    plain
        .split_inclusive(|byte| *byte == b'\n')
        .collect::<Vec<_>>()
        .chunks(50)
        .map(|lines| compress(&lines.concat()))
        .collect()
}

#[test]
fn of_answers_that_are_cut_off_all_that_came_is_taken() {
    let plain = answers(500);
    for (name, compress) in BOTH {
        let whole = compress(&plain);
        let mut before = 0;
        for length in [3, 9, whole.len() / 4, whole.len() / 2, whole.len() - 20, whole.len() - 1] {
            let (report, _) = of_damaged(&whole[..length.max(4)]);
            assert!(report.succeeded >= before, "{name}, {length}");
            before = report.succeeded;
            let anomaly = &report.anomalies[0];
            assert_eq!(anomaly.line, report.succeeded + 1);
            let text = anomaly.to_string();
            let told = format!("output, line {}: the {name} data ends too early", anomaly.line);
            assert!(text.starts_with(&told), "{text}");
            let came = format!("; read before it: {} whole line", report.succeeded);
            assert!(text.contains(&came) && text.ends_with(" bytes"), "{text}");
            // A last line that was cut is one that cannot be read, as any other.
            assert!(report.unreadable <= 1 && report.failed == 0, "{name}, {length}: {report:?}");
        }
        // Only a check at the end is lacking, and all came.
        assert_eq!(before, 500, "{name}");
    }
    for (count, lines) in [(1, "1 whole line"), (2, "2 whole lines")] {
        let plain = answers(count);
        let whole = gzip(&plain);
        let (report, _) = of_damaged(&whole[..whole.len() - 1]);
        let expected = format!(
            "the gzip data ends too early: was the file cut off? Fetch it again; read before it: {lines}, {} bytes",
            plain.len()
        );
        assert_eq!(report.anomalies[0].message, expected);
    }
    // Of gzip, what came is all that is there up to the byte.
    let whole = gzip(&plain);
    let (report, _) = of_damaged(&whole[..whole.len() / 2]);
    assert!(report.succeeded > 200, "{}", report.succeeded);
    // Of zstd, whole blocks: also where the decoder holds back what later ones may refer to.
    let large = [&b"\x28\xb5\x2f\xfd\x00\x58"[..], &raw_blocks(&plain)].concat();
    let (report, _) = of_damaged(&large[..large.len() - 5]);
    assert!(report.succeeded > 400, "{}", report.succeeded);
    // With a checksum that is not there any more.
    let checked = [&b"\x28\xb5\x2f\xfd\x04\x58"[..], &raw_blocks(&plain), b"\x01\0\0\x12\x34"].concat();
    let (report, _) = of_damaged(&checked);
    assert_eq!(report.succeeded, 500);
    assert!(report.anomalies[0].message.contains("ends too early"), "{:?}", report.anomalies[0]);
    // Twice compressed.
    for inner in [gzip(&plain), zstd(&plain)] {
        for outer in [gzip(&inner), zstd(&inner)] {
            let (report, _) = of_damaged(&outer[..outer.len() - 9]);
            assert!(report.anomalies[0].message.contains("ends too early"), "{:?}", report.anomalies[0]);
        }
        let outer = gzip(&inner[..inner.len() - 3]);
        assert_eq!(of_damaged(&outer).0.succeeded, 500);
    }
}

/// Blocks of zstd that hold a text as it is, the last one not marked.
fn raw_blocks(text: &[u8]) -> Vec<u8> {
    let block = |part: &[u8]| [&((part.len() as u32) << 3).to_le_bytes()[..3], part].concat();
    text.chunks(1 << 10).flat_map(block).collect()
}

#[test]
fn of_answers_that_are_damaged_what_came_before_is_taken_and_not_vouched_for() {
    let plain = answers(500);
    for (name, compress) in BOTH {
        let mut members = in_blocks(compress, &plain);
        let at = members[4].len() - if name == "gzip" { 6 } else { 2 };
        members[4][at] ^= 1;
        let (report, _) = of_damaged(&members.concat());
        assert!(report.succeeded >= 250 - 50 && report.succeeded <= 250, "{name}: {}", report.succeeded);
        let message = &report.anomalies[0].message;
        assert!(message.starts_with(&format!("the {name} data is damaged (")), "{message}");
        assert!(message.ends_with(", but no checksum says that it is what was written"), "{message}");
        // Something after the data.
        let (report, _) = of_damaged(&[&compress(&plain)[..], b"garbage"].concat());
        assert_eq!(report.succeeded, 500);
        assert!(report.anomalies[0].message.contains("stands something that is no"), "{:?}", report.anomalies[0]);
    }
    // A block of a kind that there is none of, behind others and with more to come.
    let broken = [&b"\x28\xb5\x2f\xfd\x00\x58"[..], &raw_blocks(&plain), &[6; 99]].concat();
    let (report, _) = of_damaged(&broken);
    assert_eq!(report.succeeded, 500);
    assert!(report.anomalies[0].message.starts_with("the zstd data is damaged ("), "{:?}", report.anomalies[0]);
    // In the middle of what gzip deflated, with nothing before in a member of its own.
    let mut whole = gzip(&plain);
    let at = whole.len() / 2;
    whole[at..at + 40].fill(0xff);
    let (report, _) = of_damaged(&whole);
    assert!(report.succeeded > 200, "{}", report.succeeded);
}

#[test]
fn of_two_answers_in_a_damaged_file_neither_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let requests = write(folder.path(), "requests", b"{\"custom_id\":\"a\"}\n{\"custom_id\":\"b\"}\n");
    let line = |id: &str, text: &str| {
        format!("{{\"custom_id\":\"{id}\",\"response\":{{\"status_code\":200,\"body\":{{\"text\":\"{text}\"}}}}}}\n")
    };
    // Who knows whether the first is not that to b, with one bit turned.
    let plain = line("a", "1") + &line("a", "2");
    for (damage, succeeded) in [(&b"garbage"[..], 0), (b"", 1)] {
        let output = write(folder.path(), "output", &[&gzip(plain.as_bytes()), damage].concat());
        let mut out = Vec::new();
        let joined = join(&requests, &[&output], &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(
            (joined.succeeded, out.contains("one of the two may be another request's")),
            (succeeded, succeeded == 0)
        );
    }
    // One in a file that is not damaged is taken.
    let [damaged, other] = [
        write(folder.path(), "damaged", &[&gzip(line("a", "1").as_bytes())[..], b"garbage"].concat()),
        write(folder.path(), "other", (line("a", "2") + &line("b", "3")).as_bytes()),
    ];
    let joined = join(&requests, &[&other, &damaged], &mut Vec::new()).unwrap();
    assert_eq!((joined.succeeded, joined.damaged_files, joined.all_succeeded()), (2, 1, false));
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
        if name == "zstd" {
            // A frame that is to be skipped may be cut off as well.
            let skipped = b"\x50\x2a\x4d\x18\x03\0\0\0abc";
            for length in 5..skipped.len() {
                for data in [skipped[..length].to_vec(), [&whole[..], &skipped[..length]].concat()] {
                    let error = unpacked(&data).unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{length}: {error}");
                }
            }
            assert_eq!(unpacked(skipped).unwrap(), b"");
        }
        let appended = unpacked(&[&whole[..], b"{\"custom_id\":\"a\"}\n"].concat()).unwrap_err();
        assert!(appended.to_string().contains(&format!("after the {name} data stands something")), "{appended}");
    }
}

/// gzip data whose head has these flags and all that they stand for (RFC 1952, 2.3).
fn with_head(flags: u8, plain: &[u8]) -> (Vec<u8>, usize) {
    let mut head = vec![0x1f, 0x8b, 8, flags, 1, 2, 3, 4, 0, 255];
    if flags & 4 != 0 {
        head.extend_from_slice(&258_u16.to_le_bytes());
        head.extend_from_slice(&[7; 256]);
        head.extend_from_slice(b"\0x");
    }
    for (flag, text) in [(8, &b"output.jsonl\0"[..]), (16, b"\0")] {
        if flags & flag != 0 {
            head.extend_from_slice(text);
        }
    }
    if flags & 2 != 0 {
        let mut crc = Crc::new();
        crc.update(&head);
        head.extend_from_slice(&crc.sum().to_le_bytes()[..2]);
    }
    let length = head.len();
    head.extend_from_slice(&gzip(plain)[10..]);
    (head, length)
}

#[test]
fn a_head_of_gzip_may_have_any_of_its_fields() {
    let plain = answers(3);
    for flags in 0..0x20 {
        let (whole, head) = with_head(flags, &plain);
        assert_eq!(unpacked(&whole).unwrap(), plain, "{flags:#x}");
        // The same in a member behind another.
        assert_eq!(unpacked(&[gzip(&plain), whole.clone()].concat()).unwrap(), plain.repeat(2), "{flags:#x}");
        for length in (3..head).step_by(if flags & 4 == 0 { 1 } else { 17 }).chain([head - 1]) {
            let error = unpacked(&whole[..length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{flags:#x}, {length}: {error}");
        }
        if flags & 2 != 0 {
            for (at, bit) in [(head - 1, 1), (head - 2, 0x80), (4, 1)] {
                let mut other = whole.clone();
                other[at] ^= bit;
                let error = unpacked(&other).unwrap_err().to_string();
                assert!(error.contains("(the checksum of its head differs)"), "{error}");
            }
        }
    }
    // Fields that nobody knows, and another way to compress.
    for (at, byte) in [(3, 0x20), (3, 0x40), (3, 0x80), (2, 7)] {
        let (mut whole, _) = with_head(0, &plain);
        whole[at] = byte;
        let error = unpacked(&whole).unwrap_err();
        assert!(error.to_string().contains("(its head is none)"), "{at} {byte}: {error}");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}

/// A stream that is interrupted before each piece of it, and fails at its end.
struct Shaky {
    data: io::Cursor<Vec<u8>>,
    interrupted: bool,
    fails: bool,
}

impl Read for Shaky {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(ErrorKind::Interrupted.into());
        }
        match self.data.read(buffer)? {
            0 if self.fails => Err(ErrorKind::ConnectionReset.into()),
            count => Ok(count),
        }
    }
}

#[test]
fn interruptions_are_passed_over_and_errors_of_a_stream_are_its_own() {
    let plain = answers(300);
    for (name, compress) in BOTH {
        let whole = compress(&plain);
        let read = |data: &[u8], fails| {
            let shaky = Shaky { data: io::Cursor::new(data.to_vec()), interrupted: false, fails };
            let mut out = Vec::new();
            decompressed(BufReader::with_capacity(7, shaky))?.read_to_end(&mut out).map(|_| out)
        };
        assert!(read(&whole, false).unwrap() == plain, "{name}");
        // Within the head, the data, and what stands at the end.
        for length in [6, whole.len() / 2, whole.len() - 2, whole.len()] {
            let error = read(&whole[..length], true).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{name}, {length}: {error}");
        }
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
            let mut inspection = Inspection::default();
            inspection.read("f", decompressed(io::Cursor::new(bytes.clone())).unwrap()).unwrap();
            assert_eq!(inspection.all_readable(), unpacked(&bytes).is_ok(), "{name}");
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
