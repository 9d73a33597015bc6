//! The key of a profile: what a command prints, or a file holds. Neither is ever repeated in an error.

use std::convert::Infallible;
use std::fs::{self, File};
use std::future::pending;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt};
use tokio::process::{Child, Command};

use crate::settings::profile::KeyFrom;
use crate::shell;

/// How long a command that prints a key may take: a person may have to unlock where it is kept.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long a key may be.
const MOST_BYTES: u64 = 64 << 10;

impl KeyFrom {
    /// The key. When this is dropped, as after Ctrl-C, a command that was to print it is ended.
    ///
    /// # Errors
    /// Why there is none, and what to do about it.
    pub(crate) async fn read(&self) -> Result<String, String> {
        let key = match self {
            Self::Command(words) => printed(words, PATIENCE).await,
            Self::File(path) => in_file(path),
        }?;
        match key.trim() {
            "" => Err(format!("{}: its first line is empty, and no key", self.name())),
            _ if key.len() as u64 >= MOST_BYTES => {
                Err(format!("{}: its first line has {MOST_BYTES} bytes or more, and is no key", self.name()))
            }
            key => Ok(key.to_owned()),
        }
    }
}

/// The first line that a command prints. It reads nothing, since stdin may be the requests, and what it says on stderr is
/// not shown, since that may be anything.
async fn printed(words: &[String], patience: Duration) -> Result<String, String> {
    let [program, rest @ ..] = words else { return Err("key_command: it names no program".to_owned()) };
    // The other words may hold what nobody should see.
    let name = shell::quoted(program);
    let wrong = |what: &str| format!("key_command: {name} {what}; run it by itself to see why");
    let (stdin, stdout, stderr) = (Stdio::null(), Stdio::piped(), Stdio::null());
    let mut command = Command::new(program);
    let started = command.args(rest).stdin(stdin).stdout(stdout).stderr(stderr).kill_on_drop(true).spawn();
    let mut child = started.map_err(|error| format!("key_command: {name} cannot be started: {error}"))?;
    let ended = tokio::time::timeout(patience, run(&mut child)).await;
    let (line, status) = ended
        .map_err(|_| wrong(&format!("took longer than {} seconds", patience.as_secs())))?
        .map_err(|error| wrong(&format!("cannot be waited for: {error}")))?;
    match (status.success(), status.code()) {
        (true, _) => line.map_err(|error| wrong(&format!("printed no text: {error}"))),
        (false, Some(code)) => Err(wrong(&format!("failed with exit code {code}"))),
        (false, None) => Err(wrong("was ended by a signal")),
    }
}

/// The first line that it prints, and how it ends.
async fn run(child: &mut Child) -> io::Result<(io::Result<String>, ExitStatus)> {
    let Some(stdout) = child.stdout.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
    let mut stdout = tokio::io::BufReader::new(stdout.take(MOST_BYTES));
    let mut line = String::new();
    let line = stdout.read_line(&mut line).await.map(|_| unmarked(&line));
    // It may print more, and must not fail for it; what it has started may go on printing when it has ended.
    let mut stdout = stdout.into_inner().into_inner();
    let more = async {
        let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
        pending::<Infallible>().await
    };
    tokio::select! {
        status = child.wait() => Ok((line, status?)),
        never = more => match never {},
    }
}

/// The first line of a file that only its owner, or its group, may read.
fn in_file(path: &Path) -> Result<String, String> {
    let wrong = |what: String| format!("key_file: {}: {what}", path.display());
    let unread = |error: io::Error| wrong(format!("cannot be read: {error}"));
    // Looked at before it is opened: a pipe would be waited for.
    let found = fs::metadata(path).map_err(unread)?;
    if !found.is_file() {
        return Err(wrong("is no file; what a program prints is taken by key_command".to_owned()));
    }
    if others_can(6, &found) {
        let quoted = shell::quoted(path);
        return Err(wrong(format!(
            "every user of this machine can read or change it: chmod 600 {quoted}; where that cannot be, \
             key_command = [\"cat\", …]"
        )));
    }
    let mut line = String::new();
    let file = File::open(path).map_err(unread)?;
    BufReader::new(file.take(MOST_BYTES)).read_line(&mut line).map_err(unread)?;
    Ok(unmarked(&line))
}

/// A line without the mark that some editors put before a text.
fn unmarked(line: &str) -> String {
    line.trim_start_matches('\u{feff}').to_owned()
}

/// Whether every user of the machine may do one of these with a file: to read it is 4, to change it is 2.
#[cfg(unix)]
pub(super) fn others_can(what: u32, found: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    found.permissions().mode() & what != 0
}

/// Who may do what with a file is not told in a few bits elsewhere.
#[cfg(not(unix))]
pub(super) fn others_can(_: u32, _: &fs::Metadata) -> bool {
    false
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn words(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).to_vec()
    }

    async fn command(script: &str) -> Result<String, String> {
        KeyFrom::Command(words(script)).read().await
    }

    #[tokio::test]
    async fn the_first_line_that_a_command_prints_is_the_key() {
        assert_eq!(command("echo ' mk-1 '; echo user: ana; cat").await, Ok("mk-1".to_owned()));
        // More than a pipe holds.
        assert_eq!(command("echo mk-2; head -c 300000 /dev/zero").await, Ok("mk-2".to_owned()));
        // What it leaves behind keeps its output open.
        assert_eq!(command("echo mk-3; sleep 600 &").await, Ok("mk-3".to_owned()));
    }

    #[tokio::test]
    async fn a_command_that_does_not_end_is_ended_with_a_key_and_without() {
        for script in ["exec sleep 600", "echo hunter22; exec sleep 600", "printf hunter22; exec sleep 600"] {
            let error = printed(&words(script), Duration::from_millis(300)).await.expect_err(script);
            assert!(error.starts_with("key_command: sh took longer than "), "{script}: {error}");
        }
    }

    #[tokio::test]
    async fn a_command_that_fails_is_told_without_what_it_printed() {
        for (script, expected) in [
            ("echo hunter22; echo hunter22 >&2; exit 7", "key_command: sh failed with exit code 7"),
            ("echo hunter22; kill -9 $$", "key_command: sh was ended by a signal"),
            ("true # hunter22", "key_command: its first line is empty"),
            ("printf '\\377hunter22'", "key_command: sh printed no text"),
            ("head -c 70000 /dev/zero", "key_command: its first line has 65536 bytes or more, and is no key"),
        ] {
            let error = command(script).await.expect_err(script);
            assert!(error.starts_with(expected) && !error.contains("hunter22"), "{script}: {error}");
        }
        let nowhere = KeyFrom::Command(vec!["/nowhere/at/all".to_owned()]).read().await.expect_err("no such command");
        assert!(nowhere.starts_with("key_command: /nowhere/at/all cannot be started"), "{nowhere}");
    }

    #[tokio::test]
    async fn a_file_of_a_key_is_read_unless_everybody_can_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("it's a key");
        fs::write(&path, "\u{feff}mk-1\r\nmore\n").expect("written");
        let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        set(0o640);
        assert_eq!(KeyFrom::File(path.clone()).read().await, Ok("mk-1".to_owned()));
        for mode in [0o644, 0o602] {
            set(mode);
            let error = KeyFrom::File(path.clone()).read().await.expect_err("all can read or change it");
            assert!(error.contains("every user of this machine can read or change it: chmod 600 '"), "{error}");
            assert!(!error.contains("mk-1"), "{error}");
        }
        // Nobody writes to it.
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).expect("a pipe");
        for (path, expected) in [
            (folder.path().join("none"), "cannot be read"),
            (folder.path().to_owned(), "is no file"),
            (pipe, "is no file"),
        ] {
            let error = KeyFrom::File(path).read().await.expect_err(expected);
            assert!(error.starts_with("key_file: /") && error.contains(expected), "{error}");
        }
    }
}
