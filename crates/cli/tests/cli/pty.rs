//! Owns the terminals that the tests run commands in; never asserts what they print.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Runs a command with a terminal of so many columns as stdin, stdout and stderr; gives back what the terminal was sent.
pub(crate) fn run(mut command: Command, columns: u16) -> String {
    // One that has colours, unless the test says otherwise.
    if command.get_envs().all(|(name, _)| name != "TERM") {
        command.env("TERM", "xterm-256color");
    }
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal of ours");
    let name = ptsname(&master, Vec::new()).expect("its name");
    let terminal = File::from(open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other end"));
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).expect("a size");
    let end = || Stdio::from(terminal.try_clone().expect("the same end again"));
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("it starts");
    // Both hold the other end open, which would never end then.
    drop((command, terminal));
    let mut sent = Vec::new();
    // Linux says so by an error when nobody has the other end any more.
    let _ = File::from(master).read_to_end(&mut sent);
    child.wait().expect("it ends");
    String::from_utf8(sent).expect("UTF-8")
}

/// Without what we send ourselves: the progress bar's cursor up and down, erase, carriage return; the terminal's ends of
/// lines; and colours, at the beginning of an error, and around a line that tells of a success.
pub(crate) fn without_ours(sent: &str) -> String {
    let (mut rest, mut left) = (sent, String::new());
    while let Some(c) = rest.chars().next() {
        let sequence = rest.strip_prefix("\u{1b}[").and_then(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '?')?;
            let allowed = matches!(&rest[..=end], "2K" | "K" | "0J" | "J" | "?25l" | "?25h")
                || matches!(rest.as_bytes()[end], b'A' | b'B');
            allowed.then(|| &rest[end + 1..])
        });
        match sequence {
            Some(behind) => rest = behind,
            None => {
                left.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    let plain = |line: &str| {
        if let Some(rest) = line.strip_prefix("\u{1b}[1;31merror:\u{1b}[0m ") {
            return format!("error: {rest}\n");
        }
        let success = line.strip_prefix("\u{1b}[32m").and_then(|line| line.strip_suffix("\u{1b}[0m"));
        format!("{}\n", success.unwrap_or(line))
    };
    left.replace('\r', "\n").lines().map(plain).collect()
}

/// What stands on the terminal at the end: the lines without those that were drawn over and taken away, and colours.
pub(crate) fn screen(sent: &str) -> String {
    let mut lines = vec![String::new()];
    let mut rest = sent;
    while let Some(c) = rest.chars().next() {
        if let Some(sequence) = rest.strip_prefix("\u{1b}[") {
            let end =
                sequence.find(|c: char| !c.is_ascii_digit() && !matches!(c, '?' | ';')).expect("a whole sequence");
            let count: usize = sequence[..end].parse().unwrap_or(1);
            match sequence.as_bytes()[end] {
                b'A' => drop(lines.drain(lines.len().saturating_sub(count).max(1)..)),
                b'K' => lines.last_mut().expect("a line").clear(),
                _ => {}
            }
            rest = &sequence[end + 1..];
            continue;
        }
        match c {
            '\n' => lines.push(String::new()),
            '\r' => {}
            c => lines.last_mut().expect("a line").push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect::<String>().trim_matches('\n').to_owned() + "\n"
}
