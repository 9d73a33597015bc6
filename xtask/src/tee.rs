//! Passes on what the commands of a step print, unchanged, and keeps its end for the summary of a step that failed.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read, Write},
    process::{Command, ExitStatus},
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::Duration,
};

/// How many lines are kept of a step.
pub const KEPT: usize = 80;
/// How much is kept of one line, in bytes.
const WIDTH: usize = 2000;
/// How long a pipe may be silent after its command has ended: something that the command left behind holds it open.
const SILENCE: Duration = Duration::from_secs(2);

/// A writer that passes everything on and keeps the last lines.
pub struct Tee<'a> {
    out: &'a mut dyn Write,
    tail: Tail,
}

impl<'a> Tee<'a> {
    /// A writer to `out`.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self { out, tail: Tail::new(KEPT) }
    }

    /// The last lines.
    #[must_use]
    pub fn into_lines(self) -> Vec<String> {
        self.tail.into_lines()
    }
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.tail.take(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The last lines of what was printed.
#[derive(Debug)]
pub struct Tail {
    most: usize,
    ended: VecDeque<Vec<u8>>,
    /// The line that has not ended yet.
    open: Vec<u8>,
}

impl Tail {
    /// Of so many lines at the most.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, ended: VecDeque::new(), open: Vec::new() }
    }

    /// Takes note of what was printed.
    pub fn take(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = WIDTH.saturating_sub(self.open.len()).min(text.len());
            self.open.extend_from_slice(&text[..room]);
            if ends {
                if self.ended.len() == self.most {
                    self.ended.pop_front();
                }
                self.ended.push_back(std::mem::take(&mut self.open));
            }
        }
    }

    /// The lines.
    #[must_use]
    pub fn into_lines(mut self) -> Vec<String> {
        if !self.open.is_empty() {
            self.take(b"\n");
        }
        self.ended.iter().map(|line| String::from_utf8_lossy(line.trim_ascii_end()).into_owned()).collect()
    }
}

/// Runs a command and hands on what it prints, as it comes: standard output and standard error in one, or standard
/// error alone when standard output goes to a file.
///
/// # Errors
/// When the command cannot be started, and those of `pass`, after which the command is no longer listened to.
pub fn run(
    command: Command,
    stdout: Option<File>,
    pass: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<ExitStatus> {
    run_within(SILENCE, command, stdout, pass)
}

fn run_within(
    silence: Duration,
    mut command: Command,
    stdout: Option<File>,
    mut pass: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<ExitStatus> {
    let (mut reader, writer) = io::pipe()?;
    match stdout {
        Some(file) => command.stdout(file),
        None => command.stdout(writer.try_clone()?),
    };
    let mut child = command.stderr(writer).spawn()?;
    // It holds ends of the pipe, which would never end.
    drop(command);
    let (send, printed) = sync_channel::<Vec<u8>>(16);
    thread::spawn(move || {
        let mut piece = vec![0; 64 << 10];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(count) if send.send(piece[..count].to_vec()).is_ok() => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
    });
    loop {
        match printed.recv_timeout(silence) {
            Ok(piece) => pass(&piece)?,
            Err(RecvTimeoutError::Disconnected) => return child.wait(),
            Err(RecvTimeoutError::Timeout) => {
                if let Some(status) = child.try_wait()? {
                    return Ok(status);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_passed_on_and_the_last_lines_are_kept() {
        let text: String = (0..KEPT + 7).map(|line| format!("line {line}\r\n")).collect::<String>() + "no end \u{e9}";
        for size in [1, 3, 1000] {
            let mut out = Vec::new();
            let mut tee = Tee::new(&mut out);
            for piece in text.as_bytes().chunks(size) {
                tee.write_all(piece).unwrap();
            }
            let lines = tee.into_lines();
            assert_eq!((lines.len(), lines[0].as_str(), lines[KEPT - 1].as_str()), (KEPT, "line 8", "no end é"));
            assert_eq!(out, text.as_bytes());
        }
    }

    #[test]
    fn a_line_without_end_fills_no_memory() {
        let mut tail = Tail::new(2);
        (0..100).for_each(|_| tail.take(&[b'x'; 1000]));
        tail.take(b"\nnext");
        assert_eq!(tail.into_lines(), ["x".repeat(WIDTH), "next".to_owned()]);
    }

    #[cfg(unix)]
    #[test]
    fn both_streams_come_in_their_order_and_a_file_takes_one_of_them() {
        let shell = |script: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", script]);
            shell
        };
        let mut printed = Vec::new();
        let mut pass = |bytes: &[u8]| {
            printed.extend_from_slice(bytes);
            Ok(())
        };
        let status = run(shell("echo a; echo b >&2; printf 'c\\377'; exit 3"), None, &mut pass).unwrap();
        assert_eq!((status.code(), printed.as_slice()), (Some(3), &b"a\nb\nc\xff"[..]));

        let mut file = tempfile::tempfile().unwrap();
        let (mut errors, mut kept) = (Vec::new(), String::new());
        let pass = |bytes: &[u8]| {
            errors.extend_from_slice(bytes);
            Ok(())
        };
        assert!(run(shell("echo a; echo b >&2"), Some(file.try_clone().unwrap()), pass).unwrap().success());
        io::Seek::rewind(&mut file).unwrap();
        file.read_to_string(&mut kept).unwrap();
        assert_eq!((kept.as_str(), errors.as_slice()), ("a\n", &b"b\n"[..]));
    }

    #[cfg(unix)]
    #[test]
    fn what_a_command_leaves_running_holds_nothing_up() {
        let mut shell = Command::new("sh");
        // The grandchild lives until its standard input, held open here, ends.
        let (stdin, held) = io::pipe().unwrap();
        shell.args(["-c", "exec 3<&0; cat <&3 & echo done"]).stdin(stdin);
        let mut printed = Vec::new();
        let status = run_within(Duration::from_millis(50), shell, None, |bytes| {
            printed.extend_from_slice(bytes);
            Ok(())
        });
        assert!(status.unwrap().success());
        assert_eq!(printed, b"done\n");
        drop(held);
    }
}
