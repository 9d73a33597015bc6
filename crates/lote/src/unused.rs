//! Writes what is odd about answers, with the bytes of the lines that were not used.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    lines::{Anomaly, open_seekable},
    save::AtomicFile,
    secrets::Secrets,
};

/// The longest line whose bytes are repeated: it is held in memory.
const LONGEST: usize = 16 << 20;

/// How much of a line is written as base64 at a time: a multiple of three bytes, so that nothing stands between the pieces.
const PIECE: usize = 3 << 12;

/// A file with one anomaly a line, as JSON. Where it is about a line of a file, the bytes of that follow: `text` when they
/// are UTF-8, else `base64`; but not of a line of more than 16 MiB, of which the place is told.
pub(crate) struct Unused {
    atomic: AtomicFile,
    out: BufWriter<File>,
    line: Vec<u8>,
    /// The files that lines stand in, by the names that anomalies have for them, each opened when it is asked for.
    files: BTreeMap<String, (PathBuf, Option<File>)>,
    secrets: Secrets,
    /// The longest line that is read.
    most: usize,
    failed: Option<io::Error>,
}

impl Unused {
    /// Into a file, of lines of these files.
    pub(crate) fn new(mut atomic: AtomicFile, files: &[PathBuf], secrets: Secrets) -> io::Result<Self> {
        let out = BufWriter::with_capacity(64 << 10, atomic.file().try_clone()?);
        let files = files.iter().map(|path| (path.display().to_string(), (path.clone(), None))).collect();
        Ok(Self { atomic, out, line: Vec::new(), files, secrets, most: LONGEST, failed: None })
    }

    /// Adds an anomaly. What fails is said at the end.
    pub(crate) fn add(&mut self, anomaly: &Anomaly) {
        if self.failed.is_none()
            && let Err(error) = self.write(anomaly)
        {
            self.failed = Some(error);
        }
    }

    /// Makes the file durable and gives it its name.
    pub(crate) fn commit(mut self) -> io::Result<()> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.out.flush()?;
        drop(self.out);
        self.atomic.commit()
    }

    fn write(&mut self, anomaly: &Anomaly) -> io::Result<()> {
        let mut blanked = anomaly.clone();
        self.secrets.blank_anomaly(&mut blanked);
        let mut told = serde_json::to_vec(&blanked)?;
        let length = anomaly.length.and_then(|length| usize::try_from(length).ok());
        let place = anomaly.offset.zip(length).filter(|(_, length)| (1..=self.most).contains(length));
        if let (Some((offset, length)), Some((path, file))) = (place, self.files.get_mut(&anomaly.file)) {
            let file = match file {
                Some(file) => file,
                file => file.insert(open_seekable(path)?),
            };
            told.pop();
            self.out.write_all(&told)?;
            file.seek(SeekFrom::Start(offset))?;
            write_bytes(file, length, &mut self.line, &self.secrets, &mut self.out)?;
            told = b"}".to_vec();
        }
        told.push(b'\n');
        self.out.write_all(&told)
    }
}

/// So many bytes of a file, as a member of an object that has others. A secret that a service has sent back is blanked:
/// the service's own file has the line as it came.
fn write_bytes(
    file: &mut File,
    length: usize,
    line: &mut Vec<u8>,
    secrets: &Secrets,
    out: &mut impl Write,
) -> io::Result<()> {
    line.resize(length, 0);
    file.read_exact(line)?;
    if let Ok(text) = str::from_utf8(line) {
        out.write_all(b",\"text\":")?;
        return Ok(serde_json::to_writer(out, &secrets.blanked_out_of(text))?);
    }
    // Piece by piece: a copy would be a third longer than the line, or three times as long.
    if line.utf8_chunks().any(|chunk| secrets.are_in(chunk.valid())) {
        out.write_all(b",\"text\":\"")?;
        for chunk in line.utf8_chunks() {
            let json = serde_json::to_string(&secrets.blanked_out_of(chunk.valid()))?;
            out.write_all(&json.as_bytes()[1..json.len() - 1])?;
            if !chunk.invalid().is_empty() {
                out.write_all("\u{fffd}".as_bytes())?;
            }
        }
    } else {
        out.write_all(b",\"base64\":\"")?;
        for piece in line.chunks(PIECE) {
            out.write_all(STANDARD.encode(piece).as_bytes())?;
        }
    }
    out.write_all(b"\"")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{lines::AnomalyCode, save::Access};

    #[test]
    fn a_long_line_is_written_in_pieces_that_are_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output.jsonl");
        let secrets = Secrets::new("sk-hunter22", []);
        for length in [PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 2] {
            let bytes: Vec<u8> = (0..length).map(|at| if at % 7 == 0 { 0xff } else { b'a' }).collect();
            for secret in [&b""[..], b"sk-hunter22"] {
                let line = [&bytes, secret].concat();
                std::fs::write(&path, &line).unwrap();
                let mut written = b"{\"code\":1".to_vec();
                let mut file = File::open(&path).unwrap();
                write_bytes(&mut file, line.len(), &mut Vec::new(), &secrets, &mut written).unwrap();
                written.push(b'}');
                let told: Value = serde_json::from_slice(&written).unwrap();
                match secret {
                    b"" => assert!(STANDARD.decode(told["base64"].as_str().unwrap()).unwrap() == line, "{length}"),
                    _ => {
                        let expected = String::from_utf8_lossy(&line).replace("sk-hunter22", "[key]");
                        assert!(told["text"] == expected.as_str(), "{length}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_bytes_of_a_line_are_kept_whatever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output.jsonl");
        let lines: [&[u8]; 6] =
            [b"{\"a\":\"\xc3\xa9\n\"}", b"", b"\xff{", &[0xfe; 1_000], &[b'x'; 1_001], b"my sk-hunter22 \xff"];
        std::fs::write(&path, lines.concat()).unwrap();
        let kept = folder.path().join("anomalies.jsonl");
        let atomic = AtomicFile::with(&kept, Access::default()).unwrap();
        let mut unused = Unused::new(atomic, std::slice::from_ref(&path), Secrets::new("sk-hunter22", [])).unwrap();
        unused.most = 1_000;
        let (mut offset, name) = (0, path.display().to_string());
        for (number, line) in (1..).zip(lines) {
            let mut anomaly = Anomaly::new(&name, number, AnomalyCode::UnreadableLine, "m");
            let length = u64::try_from(line.len()).unwrap();
            (anomaly.offset, anomaly.length) = (Some(offset), Some(length));
            offset += length;
            unused.add(&anomaly);
        }
        // What is about no line, and about a file of others, is told all the same.
        unused.add(&Anomaly::new("batch b", 0, AnomalyCode::CountsDiffer, "m"));
        let mut gone = Anomaly::new("gone.jsonl", 1, AnomalyCode::UnreadableLine, "m");
        (gone.offset, gone.length) = (Some(0), Some(1));
        unused.add(&gone);
        unused.commit().unwrap();
        let text = std::fs::read_to_string(&kept).unwrap();
        let read: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read.len(), 8);
        for (anomaly, line) in read.iter().zip(lines) {
            let bytes = match (anomaly["text"].as_str(), anomaly["base64"].as_str()) {
                (Some(text), None) => text.as_bytes().to_vec(),
                (None, Some(base64)) => STANDARD.decode(base64).unwrap(),
                (None, None) => Vec::new(),
                both => panic!("{both:?}"),
            };
            let expected = match line {
                [b'm', ..] => "my [key] \u{fffd}".as_bytes(),
                line if line.len() > 1_000 => b"",
                line => line,
            };
            assert!(bytes == expected, "line {}: {anomaly}", anomaly["line"]);
        }
        assert_eq!((&read[6]["code"], &read[7]["file"]), (&"counts_differ".into(), &"gone.jsonl".into()));
    }
}
