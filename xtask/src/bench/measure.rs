//! Runs a process and says what it took, as the operating system accounts it.

use std::{
    fs::{self, File},
    io::{Read, Seek},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use wait4::Wait4;

use crate::report::Failure;

/// What a process took.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    /// Of all processors, in user and in system mode.
    pub(super) cpu: Duration,
    pub(super) wall: Duration,
    /// The most memory it had, in KiB.
    pub(super) peak: u64,
    /// The least that can be told of that: what this process had when it started the other, since Linux passes that on.
    pub(super) least: u64,
    /// What it printed.
    pub(super) stdout: String,
}

/// Runs a command to its end, which must be one of these exit codes.
pub(super) fn run(command: &mut Command, exits: &[i32]) -> Result<Taken, Failure> {
    let what = shown(command);
    let cannot = |error| Failure::new(format!("{what}: {error}"), "see whether it runs by itself");
    let (mut stdout, mut stderr) = (tempfile::tempfile().map_err(cannot)?, tempfile::tempfile().map_err(cannot)?);
    command.stdin(Stdio::null()).stdout(stdout.try_clone().map_err(cannot)?);
    command.stderr(stderr.try_clone().map_err(cannot)?);
    forget_peak();
    let began = Instant::now();
    let mut child = command.spawn().map_err(cannot)?;
    let (code, mut taken) = wait(&mut child, began).map_err(cannot)?;
    taken.least = own_peak();
    taken.stdout = text(&mut stdout).map_err(cannot)?;
    if !code.is_some_and(|code| exits.contains(&code)) {
        let said = text(&mut stderr).map_err(cannot)?;
        let end = said.char_indices().rev().nth(2000).map_or(0, |(at, _)| at);
        let ended = code.map_or("ended by a signal".to_owned(), |code| format!("ended with exit code {code}"));
        return Err(Failure::new(format!("{what}: {ended}\n{}", &said[end..]), "correct what it says"));
    }
    Ok(taken)
}

/// Waits for a process that was started then; its exit code and what it took.
pub(super) fn wait(child: &mut Child, began: Instant) -> std::io::Result<(Option<i32>, Taken)> {
    let ended = child.wait4()?;
    let wall = began.elapsed();
    let usage = ended.rusage;
    let taken =
        Taken { cpu: usage.utime + usage.stime, wall, peak: usage.maxrss >> 10, least: 0, stdout: String::new() };
    Ok((ended.status.code(), taken))
}

/// A command as it would be typed, without what was set in its environment.
pub(super) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn text(file: &mut File) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Lets the most memory that this process has had start anew, where Linux can; see [`Taken::peak`].
fn forget_peak() {
    _ = fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that this process has had since, in KiB; 0 where that is not known, and nothing is passed on.
fn own_peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = |line: &str| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok();
    status.lines().find_map(kib).unwrap_or(0)
}

/// Least, middle and most of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

impl Spread {
    pub(super) fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        Self { min: at(0), median: f64::midpoint(at(last / 2), at(last.div_ceil(2))), max: at(last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_an_even_number_lies_between_two() {
        assert_eq!(Spread::of([4.0, 1.0, 3.0, 10.0]), Spread { min: 1.0, median: 3.5, max: 10.0 });
        assert_eq!(Spread::of([4.0, 1.0, 10.0]), Spread { min: 1.0, median: 4.0, max: 10.0 });
        assert!(Spread::of([]).median.is_nan());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_process_takes_is_its_own() {
        let shell = |script: &str| run(Command::new("sh").args(["-c", script]), &[0]).unwrap();
        let idle = shell("sleep 0.05");
        assert!(idle.wall >= Duration::from_millis(50) && idle.cpu < Duration::from_millis(40), "{idle:?}");
        let busy = shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo $i");
        assert!(busy.cpu > idle.cpu && busy.stdout == "200000\n", "{busy:?}");
        let big = shell("head -c 100000000 /dev/zero | tail -c 100000000 | wc -c");
        assert!(big.peak > 90_000 && big.peak > big.least, "{big:?}");
        assert!(idle.peak < 60_000 && idle.least > 1_000, "{idle:?}");
        let failed = run(Command::new("sh").args(["-c", "echo no >&2; exit 3"]), &[0]).unwrap_err();
        assert!(failed.to_string().contains("exit code 3\nno"), "{failed}");
    }
}
