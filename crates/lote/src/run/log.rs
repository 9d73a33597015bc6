//! The log of a run: what happened, in frames that are written at once, each with a checksum, synced before anything
//! else is done.
//!
//! A frame is a line: `{"v":1,"seq":1,"epoch":1,"wall":…,"events":[…],"crc32":"…"}`. The checksum is that of the bytes
//! before its own field. A frame that was cut off by a crash is the last one, and is cut away when the log is opened to
//! be written to; damage before that is refused, and nothing is changed.

use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
};

use serde::{Deserialize, Serialize};

use super::{event::Event, seam};
use crate::{
    UnixSeconds,
    save::{Access, Dir},
};

/// The version of a frame.
const VERSION: u32 = 1;

/// More bytes than any frame has.
const LONGEST: u64 = 64 << 20;

/// What stands between the frame and its checksum.
const SEAL: &str = ",\"crc32\":\"";

/// How much is kept free for the frame that says that there is a batch.
const RESERVE_BYTES: usize = 64 << 10;

/// Events that were written together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Frame {
    v: u32,
    /// The number of the frame, from 1.
    pub(super) seq: u64,
    /// The number of the process that wrote it, from 1.
    pub(super) epoch: u64,
    /// When, by this side's clock.
    pub(super) wall: UnixSeconds,
    pub(super) events: Vec<Event>,
}

/// A log that this process writes to.
#[derive(Debug)]
pub(super) struct Log {
    dir: Dir,
    file: File,
    access: Access,
    /// How long the file is when all that we wrote is in it.
    length: u64,
    seq: u64,
    epoch: u64,
    /// Why nothing more is written.
    dead: bool,
}

/// What a log says.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) frames: Vec<Frame>,
    /// Bytes of whole frames.
    length: u64,
    /// Whether something stands after the last whole frame.
    pub(super) torn: bool,
}

/// Why a log cannot be read.
#[derive(Debug)]
pub(super) enum LogError {
    Io(io::Error),
    /// A line before the last is not a frame.
    Damaged {
        line: u64,
        why: String,
    },
    /// A newer version wrote it.
    Newer(u32),
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Damaged { line, why } => write!(f, "line {line} is damaged ({why})"),
            Self::Newer(version) => write!(f, "its frames have version {version}, and this lote knows {VERSION}"),
        }
    }
}

impl From<io::Error> for LogError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Log {
    /// The name of the file in the folder.
    pub(super) const NAME: &'static str = "log.jsonl";
    /// A file that is removed when the disk is full, so that what must be written can be.
    pub(super) const RESERVE: &'static str = "reserve";

    /// Begins the log of a new run.
    pub(super) fn create(dir: &Dir, access: Access) -> io::Result<Self> {
        let file = dir.create_new(Self::NAME.as_ref(), access.file_mode())?;
        access.narrow(&file)?;
        let log = Self { dir: dir.clone(), file, access, length: 0, seq: 0, epoch: 1, dead: false };
        log.reserve()?;
        Ok(log)
    }

    /// Opens the log of a run to go on with it. A torn end is cut away first, durably.
    pub(super) fn open(dir: &Dir, access: Access) -> Result<(Self, Written), LogError> {
        let mut file = dir.open_file(Self::NAME.as_ref(), true)?;
        let written = read(&file)?;
        if written.torn {
            file.set_len(written.length)?;
            file.sync_all()?;
        }
        file.seek(SeekFrom::Start(written.length))?;
        let last = written.frames.last();
        // Whoever made it was the first, even if nothing is left of what it wrote.
        let (seq, epoch) = last.map_or((0, 2), |last| (last.seq, last.epoch + 1));
        let log = Self { dir: dir.clone(), file, access, length: written.length, seq, epoch, dead: false };
        // A disk that is full now may have room later.
        let _ = log.reserve();
        Ok((log, written))
    }

    /// Reads the log of a run that another process may be writing to.
    pub(super) fn look(dir: &Dir) -> Result<Written, LogError> {
        read(&dir.open_file(Self::NAME.as_ref(), false)?)
    }

    /// Which process of those that worked on the run this is, from 1.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Writes events down, durably. After a failure nothing more is written.
    pub(super) fn append(&mut self, events: &[Event]) -> io::Result<()> {
        if self.dead {
            return Err(io::Error::other("an earlier step could not be written down"));
        }
        self.seq += 1;
        let frame = Frame { v: VERSION, seq: self.seq, epoch: self.epoch, wall: seam::now(), events: events.to_vec() };
        let line = sealed(&frame)?;
        let creating = frame.events.iter().any(|event| matches!(event, Event::Creating { .. }));
        let mut written = self.write(&line, creating);
        if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::StorageFull) {
            written = self.dir.remove(Self::RESERVE.as_ref()).and_then(|()| self.write(&line, creating));
        }
        match written {
            Ok(()) => self.length += line.len() as u64,
            Err(_) => self.dead = true,
        }
        written
    }

    /// Whether the name still leads to this file, and it is as long as we made it.
    pub(super) fn is_ours(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() == self.length && self.dir.names(Self::NAME.as_ref(), &self.file)?)
    }

    fn write(&mut self, line: &[u8], creating: bool) -> io::Result<()> {
        // What a failed write has left is written over.
        self.file.seek(SeekFrom::Start(self.length))?;
        let written = self.file.write_all(line).and_then(|()| {
            seam::written(&self.file, self.length);
            seam::synced(&self.file, self.length, creating)
        });
        if written.is_err() {
            let _ = self.file.set_len(self.length);
        }
        written
    }

    fn reserve(&self) -> io::Result<()> {
        let name: &OsStr = Self::RESERVE.as_ref();
        match self.dir.create_new(name, self.access.file_mode()) {
            // Bytes that are all alike may take no room on some file systems.
            Ok(mut file) => {
                file.write_all(&std::iter::repeat_with(|| fastrand::u8(..)).take(RESERVE_BYTES).collect::<Vec<_>>())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// An object as a line with its checksum.
pub(super) fn sealed(object: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(object)?;
    line.pop();
    let sum = crc32fast::hash(&line);
    writeln!(line, "{SEAL}{sum:08x}\"}}")?;
    Ok(line)
}

/// What stands before the checksum of a line without its end, which is an object but for its brace, if the checksum is
/// right.
pub(super) fn proven(line: &[u8]) -> Option<&[u8]> {
    let (body, seal) = line.split_at_checked(line.len().checked_sub(SEAL.len() + 10)?)?;
    let sum = seal.strip_prefix(SEAL.as_bytes())?.strip_suffix(b"\"}")?;
    let sum = u32::from_str_radix(std::str::from_utf8(sum).ok()?, 16).ok()?;
    (sum == crc32fast::hash(body)).then_some(body)
}

/// The frame in a line without its end.
fn opened(line: &[u8]) -> Result<Frame, String> {
    let body = proven(line).ok_or("its checksum is wrong or missing")?;
    serde_json::from_slice(&[body, b"}"].concat()).map_err(|error| error.to_string())
}

fn read(file: &File) -> Result<Written, LogError> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let (mut written, mut fault, mut number, mut line) = (Written::default(), None, 0, Vec::new());
    let mut reader = BufReader::new(file);
    loop {
        let mut next = Vec::new();
        if io::Read::take(&mut reader, LONGEST).read_until(b'\n', &mut next)? == 0 {
            break;
        }
        line = next;
        number += 1;
        if let Some(why) = fault {
            return Err(LogError::Damaged { line: number - 1, why });
        }
        let ended = line.pop_if(|last| *last == b'\n').is_some();
        match opened(&line) {
            Ok(frame) if frame.v > VERSION => return Err(LogError::Newer(frame.v)),
            Ok(frame) if ended && frame.seq == written.frames.len() as u64 + 1 => {
                written.length += line.len() as u64 + 1;
                written.frames.push(frame);
            }
            Ok(frame) if ended => {
                let why = format!("it is frame {} and not {}", frame.seq, written.frames.len() + 1);
                return Err(LogError::Damaged { line: number, why });
            }
            Ok(_) => fault = Some("it has no end".to_owned()),
            // A whole line of a newer version, whose checksum may be made otherwise.
            Err(why) => match serde_json::from_slice::<Version>(&line) {
                Ok(Version { v }) if v > VERSION => return Err(LogError::Newer(v)),
                _ => fault = Some(why),
            },
        }
    }
    // What a crash has torn is the beginning of one frame: nothing stands after its checksum.
    match fault {
        Some(why) if goes_on_after_its_seal(&line) => Err(LogError::Damaged { line: number, why }),
        fault => {
            written.torn = fault.is_some();
            Ok(written)
        }
    }
}

/// Whether a broken line holds more than one frame. Texts in a frame hold no quotation mark as such.
fn goes_on_after_its_seal(line: &[u8]) -> bool {
    let seal = line.windows(SEAL.len()).position(|part| part == SEAL.as_bytes());
    seal.is_some_and(|at| line.len() > at + SEAL.len() + 10)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn events(shard: u32) -> Vec<Event> {
        vec![Event::Released { shard }, Event::Held { shard, why: "é\n\"".to_owned() }]
    }

    fn begun(frames: u32) -> (tempfile::TempDir, Dir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open(folder.path()).unwrap();
        let mut log = Log::create(&dir, Access::default()).unwrap();
        for shard in 1..=frames {
            log.append(&events(shard)).unwrap();
            assert!(log.is_ours().unwrap());
        }
        (folder, dir)
    }

    #[test]
    fn what_was_written_is_read_and_gone_on_with() {
        let (_folder, dir) = begun(2);
        let (mut log, written) = Log::open(&dir, Access::default()).unwrap();
        assert!(!written.torn);
        assert_eq!(written.frames.iter().map(|frame| (frame.seq, frame.epoch)).collect::<Vec<_>>(), [(1, 1), (2, 1)]);
        assert_eq!(written.frames[1].events, events(2));
        log.append(&events(3)).unwrap();
        let frames = Log::look(&dir).unwrap().frames;
        assert_eq!((frames.len(), frames[2].seq, frames[2].epoch), (3, 3, 2));
    }

    #[test]
    fn a_log_cut_at_every_byte_of_its_last_frame_loses_that_frame_alone() {
        let (folder, dir) = begun(3);
        let path = folder.path().join(Log::NAME);
        let whole = fs::read(&path).unwrap();
        let before = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        for end in before..=whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            let looked = Log::look(&dir).unwrap();
            let frames = if end == whole.len() { 3 } else { 2 };
            assert_eq!((looked.frames.len(), looked.torn), (frames, end != before && end != whole.len()), "{end}");
            assert_eq!(fs::read(&path).unwrap().len(), end, "a look changes nothing");
            let (mut log, _) = Log::open(&dir, Access::default()).unwrap();
            log.append(&events(9)).unwrap();
            let again = Log::look(&dir).unwrap();
            assert_eq!((again.frames.len(), again.torn), (frames + 1, false), "{end}");
        }
    }

    #[test]
    fn damage_before_the_last_frame_is_refused_wherever_it_is() {
        let (folder, dir) = begun(3);
        let path = folder.path().join(Log::NAME);
        let whole = fs::read(&path).unwrap();
        let last = whole[..whole.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        for at in 0..last {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            fs::write(&path, &damaged).unwrap();
            let line = whole[..at].iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
            match Log::open(&dir, Access::default()) {
                Err(LogError::Damaged { line: said, .. }) => assert!(said == line || said == line + 1, "{at}: {said}"),
                other => panic!("{at}: {other:?}"),
            }
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
    }

    #[test]
    fn a_missing_frame_and_a_newer_version_are_refused() {
        let (folder, dir) = begun(3);
        let path = folder.path().join(Log::NAME);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        fs::write(&path, [lines[0], lines[2]].concat()).unwrap();
        assert!(matches!(Log::look(&dir), Err(LogError::Damaged { line: 2, .. })));
        fs::write(&path, [lines[0], "{\"v\":2,\"more\":1}\n"].concat()).unwrap();
        assert!(matches!(Log::look(&dir), Err(LogError::Newer(2))));
    }

    #[test]
    fn events_of_a_newer_version_are_known_as_such() {
        let text = br#"[{"event":"opened","lote":"9","pid":1,"host":"h","folder":"f","key":"k"},{"event":"taught","shard":1}]"#;
        let events: Vec<Event> = serde_json::from_slice(text).unwrap();
        assert_eq!(events[1], Event::Unknown);
    }
}
