//! Writes what is odd about answers, with the bytes of the lines that were not used.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    path::PathBuf,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::{
    lines::{Anomaly, DEFAULT_MAX_LINE_BYTES, open_seekable},
    save::AtomicFile,
    secrets::Secrets,
};

/// How many bytes of a line that is too long are read at a time; a multiple of three, so that base64 has no padding between.
const PIECE: usize = 48 << 10;

/// A file with one anomaly a line, as JSON. Where it is about a line of a file, the bytes of that follow: `text` when they
/// are UTF-8, else `base64`.
pub(crate) struct Unused {
    atomic: AtomicFile,
    out: BufWriter<File>,
    line: Vec<u8>,
    /// The files that lines stand in, by the names that anomalies have for them, each opened when it is asked for.
    files: BTreeMap<String, (PathBuf, Option<File>)>,
    secrets: Secrets,
    /// More bytes than this are not held, and not looked at.
    most: usize,
    failed: Option<io::Error>,
}

impl Unused {
    /// Into a file, of lines of these files.
    pub(crate) fn new(mut atomic: AtomicFile, files: &[PathBuf], secrets: Secrets) -> io::Result<Self> {
        let out = BufWriter::with_capacity(PIECE, atomic.file().try_clone()?);
        let files = files.iter().map(|path| (path.display().to_string(), (path.clone(), None))).collect();
        Ok(Self { atomic, out, line: Vec::new(), files, secrets, most: DEFAULT_MAX_LINE_BYTES, failed: None })
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
        let place = anomaly.offset.zip(anomaly.length).filter(|(_, length)| *length > 0);
        if let (Some((offset, length)), Some((path, file))) = (place, self.files.get_mut(&anomaly.file)) {
            let file = match file {
                Some(file) => file,
                file => file.insert(open_seekable(path)?),
            };
            told.pop();
            self.out.write_all(&told)?;
            file.seek(SeekFrom::Start(offset))?;
            write_bytes(file, length, self.most, &mut self.line, &mut self.out)?;
            told = b"}".to_vec();
        }
        told.push(b'\n');
        self.out.write_all(&told)
    }
}

/// So many bytes of a file, as a member of an object that has others.
fn write_bytes(file: &mut File, length: u64, most: usize, line: &mut Vec<u8>, out: &mut impl Write) -> io::Result<()> {
    let fits = usize::try_from(length).ok().filter(|length| *length <= most);
    if let Some(fits) = fits {
        line.resize(fits, 0);
        file.read_exact(line)?;
        if let Ok(text) = std::str::from_utf8(line) {
            out.write_all(b",\"text\":")?;
            return Ok(serde_json::to_writer(out, text)?);
        }
        file.seek_relative(-i64::try_from(length).map_err(io::Error::other)?)?;
    }
    out.write_all(b",\"base64\":\"")?;
    let mut left = file.take(length);
    line.resize(PIECE, 0);
    loop {
        let mut filled = 0;
        while filled < PIECE {
            match left.read(&mut line[filled..])? {
                0 => break,
                read => filled += read,
            }
        }
        out.write_all(STANDARD.encode(&line[..filled]).as_bytes())?;
        if filled < PIECE {
            break;
        }
    }
    match left.limit() {
        0 => out.write_all(b"\""),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{lines::AnomalyCode, save::Access};

    #[test]
    fn the_bytes_of_a_line_are_kept_whatever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output.jsonl");
        let large: Vec<u8> = (0..PIECE * 3 + 5).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let lines: [&[u8]; 5] = [b"{\"a\":\"\xc3\xa9\n\"}", b"", b"\xff{", &[0xfe; PIECE], &large];
        std::fs::write(&path, lines.concat()).unwrap();
        let kept = folder.path().join("anomalies.jsonl");
        let atomic = AtomicFile::with(&kept, Access::default()).unwrap();
        let mut unused = Unused::new(atomic, std::slice::from_ref(&path), Secrets::new("sk-hunter22", [])).unwrap();
        unused.most = PIECE * 3;
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
        assert_eq!(read.len(), 7);
        for (anomaly, line) in read.iter().zip(lines) {
            let bytes = match (anomaly["text"].as_str(), anomaly["base64"].as_str()) {
                (Some(text), None) => text.as_bytes().to_vec(),
                (None, Some(base64)) => STANDARD.decode(base64).unwrap(),
                (None, None) => Vec::new(),
                both => panic!("{both:?}"),
            };
            assert!(bytes == line, "line {}", anomaly["line"]);
        }
        assert_eq!((&read[5]["code"], &read[6]["file"]), (&"counts_differ".into(), &"gone.jsonl".into()));
    }
}
