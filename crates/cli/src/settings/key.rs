//! The key of a profile: what a command prints, or a file holds. Neither is ever repeated in an error.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::settings::profile::KeyFrom;
use crate::shell;

/// How long a command that prints a key may take: a person may have to unlock where it is kept.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often it is asked whether a command has ended.
const LOOK: Duration = Duration::from_millis(5);

/// How long a key may be.
const MOST_BYTES: u64 = 64 << 10;

impl KeyFrom {
    /// The key.
    ///
    /// # Errors
    /// Why there is none, and what to do about it.
    pub(crate) fn read(&self) -> Result<String, String> {
        let key = match self {
            Self::Command(words) => printed(words, PATIENCE),
            Self::File(path) => in_file(path),
        }?;
        match key.trim() {
            "" => Err(format!("{}: its first line is empty, and no key", self.name())),
            key => Ok(key.to_owned()),
        }
    }
}

/// The first line that a command prints. It reads nothing, since stdin may be the requests, and what it says on stderr is
/// not shown, since that may be anything.
fn printed(words: &[String], patience: Duration) -> Result<String, String> {
    let [program, rest @ ..] = words else { return Err("key_command: it names no program".to_owned()) };
    // The other words may hold what nobody should see.
    let name = shell::quoted(program);
    let wrong = |what: &str| format!("key_command: {name} {what}; run it by itself to see why");
    let begun = Instant::now();
    let (stdin, stdout, stderr) = (Stdio::null(), Stdio::piped(), Stdio::null());
    let started = Command::new(program).args(rest).stdin(stdin).stdout(stdout).stderr(stderr).spawn();
    let mut child = started.map_err(|error| format!("key_command: {name} cannot be started: {error}"))?;
    let Some(stdout) = child.stdout.take() else { return Err(wrong("prints nothing")) };
    let (send, printed) = channel();
    // On a thread of its own, which ends with the command: a read has no limit in time.
    std::thread::spawn(move || {
        let mut stdout = BufReader::new(stdout.take(MOST_BYTES));
        // Nobody may wait any more.
        let _ = send.send(first_line(&mut stdout));
        // It may print more, and must not fail for it.
        let _ = io::copy(&mut stdout.into_inner().into_inner(), &mut io::sink());
    });
    let line = printed.recv_timeout(patience);
    let status =
        until_end(&mut child, begun + patience).map_err(|error| wrong(&format!("cannot be waited for: {error}")))?;
    let (Ok(line), Some(status)) = (line, status) else {
        // It may have ended by itself, just now.
        let _ = child.kill();
        let _ = child.wait();
        return Err(wrong(&format!("took longer than {} seconds", patience.as_secs())));
    };
    match (status.success(), status.code()) {
        (true, _) => line.map_err(|error| wrong(&format!("printed no text: {error}"))),
        (false, Some(code)) => Err(wrong(&format!("failed with exit code {code}"))),
        (false, None) => Err(wrong("was ended by a signal")),
    }
}

/// How a command ended, if it has until then. One that has printed its line may still be at work, or hang.
fn until_end(child: &mut Child, end: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        match child.try_wait()? {
            None if Instant::now() < end => std::thread::sleep(LOOK),
            ended => return Ok(ended),
        }
    }
}

/// The first line of a file that only its owner, or its group, may read.
fn in_file(path: &Path) -> Result<String, String> {
    let wrong = |what: String| format!("key_file: {}: {what}", path.display());
    let file = File::open(path).map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let found = file.metadata().map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if !found.is_file() {
        return Err(wrong("is no file".to_owned()));
    }
    if others_can_read(&found) {
        let quoted = shell::quoted(path);
        return Err(wrong(format!(
            "every user of this machine can read it: chmod 600 {quoted}; where that cannot be, key_command = [\"cat\", …]"
        )));
    }
    first_line(&mut BufReader::new(file.take(MOST_BYTES))).map_err(|error| wrong(format!("cannot be read: {error}")))
}

#[cfg(unix)]
fn others_can_read(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    found.permissions().mode() & 0o004 != 0
}

/// Who may read a file is not told in a few bits elsewhere.
#[cfg(not(unix))]
fn others_can_read(_: &fs::Metadata) -> bool {
    false
}

fn first_line(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line).map(|_| line.trim_start_matches('\u{feff}').to_owned())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn command(script: &str) -> Result<String, String> {
        KeyFrom::Command(["sh", "-c", script].map(str::to_owned).to_vec()).read()
    }

    #[test]
    fn the_first_line_that_a_command_prints_is_the_key() {
        assert_eq!(command("echo ' mk-1 '; echo user: ana; cat"), Ok("mk-1".to_owned()));
        // More than a pipe holds.
        assert_eq!(command("echo mk-2; head -c 300000 /dev/zero"), Ok("mk-2".to_owned()));
    }

    #[test]
    fn a_command_that_fails_is_told_without_what_it_printed() {
        for (script, expected) in [
            ("echo hunter22; echo hunter22 >&2; exit 7", "key_command: sh failed with exit code 7"),
            ("echo hunter22; kill -9 $$", "key_command: sh was ended by a signal"),
            ("true # hunter22", "key_command: its first line is empty"),
            ("printf '\\377hunter22'", "key_command: sh printed no text"),
        ] {
            let error = command(script).expect_err(script);
            assert!(error.starts_with(expected) && !error.contains("hunter22"), "{script}: {error}");
        }
        let nowhere = KeyFrom::Command(vec!["/nowhere/at/all".to_owned()]).read().expect_err("no such command");
        assert!(nowhere.starts_with("key_command: /nowhere/at/all cannot be started"), "{nowhere}");
    }

    #[test]
    fn a_command_that_does_not_end_is_ended() {
        for script in ["exec sleep 600", "echo hunter22; exec sleep 600"] {
            let words = ["sh", "-c", script].map(str::to_owned);
            let error = printed(&words, Duration::from_millis(50)).expect_err(script);
            assert!(error.contains("sh took longer than 0 seconds") && !error.contains("hunter22"), "{error}");
        }
    }

    #[test]
    fn a_file_of_a_key_is_read_unless_everybody_can_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("it's a key");
        fs::write(&path, "\u{feff}mk-1\r\nmore\n").expect("written");
        let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        set(0o640);
        assert_eq!(KeyFrom::File(path.clone()).read(), Ok("mk-1".to_owned()));
        set(0o644);
        let error = KeyFrom::File(path.clone()).read().expect_err("all can read it");
        assert!(error.contains("every user of this machine can read it: chmod 600 '"), "{error}");
        assert!(!error.contains("mk-1"), "{error}");
        for (path, expected) in
            [(folder.path().join("none"), "cannot be read"), (folder.path().to_owned(), "is no file")]
        {
            let error = KeyFrom::File(path).read().expect_err(expected);
            assert!(error.starts_with("key_file: /") && error.contains(expected), "{error}");
        }
    }
}
