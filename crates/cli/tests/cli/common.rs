//! Owns the starting of the real binary for the tests; never asserts what it prints.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a finished `lote` left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The variables that `lote` takes settings from, and those that decide on colours.
const SETTINGS: [&str; 13] = [
    "LOTE_BASE_URL",
    "LOTE_API_KEY",
    "LOTE_ON_BEHALF_OF",
    "LOTE_DIALECT",
    "LOTE_CA_CERT",
    "LOTE_PROFILE",
    "LOTE_CONFIG",
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "CI",
];

/// `lote` with an environment in which no setting is made.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lote"));
    for name in SETTINGS {
        command.env_remove(name);
    }
    // No config file of whoever runs the tests, and none in a home either.
    command.env("XDG_CONFIG_HOME", "/nowhere/at/all");
    // What is tried again is the library's, and tested there: here every answer counts.
    command.env("LOTE_RETRIES", "0");
    // What one test's service takes says nothing of another's, which may have its port, and nothing is left in a home.
    command.env("XDG_STATE_HOME", "").env("HOME", "").env("LOCALAPPDATA", "");
    command.env("COLUMNS", "100").stdin(Stdio::null());
    command
}

pub(crate) fn lote<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Ended {
    lote_with(args, b"")
}

/// Runs `lote` with these bytes on its stdin.
pub(crate) fn lote_with<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>, stdin: &[u8]) -> Ended {
    ended(command().args(args), stdin)
}

/// Runs a command with these bytes on its stdin.
pub(crate) fn ended(command: &mut Command, stdin: &[u8]) -> Ended {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut pipe = child.stdin.take().expect("stdin is a pipe");
    let stdin = stdin.to_vec();
    // A command that refuses its flags does not read stdin: a closed pipe is fine.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("stdin is written");
    Ended {
        code: output.status.code().expect("it ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}

/// Runs a command in a folder.
pub(crate) fn lote_in(mut command: Command, folder: &Path, args: &[&str]) -> Ended {
    ended(command.current_dir(folder).args(args), b"")
}

/// A folder of its own for one test, with files in it.
pub(crate) fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("the file is written");
    }
    folder
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder exists")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// How far the run in a folder has come; none as long as there is no run.
pub(crate) fn status(run: &Path) -> Option<lote::run::RunStatus> {
    lote::run::status(run).ok()
}

/// What the first batch of a run is at.
pub(crate) fn phase(run: &Path) -> Option<&'static str> {
    Some(status(run)?.shards.first()?.phase)
}

/// A path from the root of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Waits until this holds; fails the test after two minutes.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed().as_secs() < 120, "it never came about that {what}");
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// Gives SIGHUP its default effect on what is started from now on, also where the tests themselves were started to
/// survive it, as by nohup: an ignored signal is inherited, a handled one is not.
#[cfg(unix)]
pub(crate) fn hangups_end_what_is_started() {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    // The handler stays when this is dropped.
    drop(runtime.block_on(async { signal(SignalKind::hangup()) }).expect("a handler"));
}

/// Sends a signal to a process, such as INT or KILL.
#[cfg(unix)]
pub(crate) fn signal(child: &std::process::Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.expect("kill starts").success());
}

/// How many rows [`word_problems`] has.
pub(crate) const PROBLEMS: usize = 1_319;

/// Rows of word problems as JSONL, always the same: of many lengths, with text of several scripts, written plainly in one
/// row and as escapes in the next.
pub(crate) fn word_problems() -> String {
    const NAMES: [&str; 7] = ["Zoë", "Владимир", "美咲", "Ørjan", "François", "O\u{2019}Hara", "Ann \"Annie\" Lee"];
    const THINGS: [&str; 5] = ["crêpes", "eggs\tin a box", "📚 books", "piñatas", "C:\\tiles"];
    let mut rows = String::new();
    for n in 0..PROBLEMS {
        let (name, thing) = (NAMES[n % NAMES.len()], THINGS[n / NAMES.len() % THINGS.len()]);
        let mut question = format!("{name} has {} {thing} \u{2013} {}% more than last week.", n + 3, n % 97 + 1);
        for day in 1..=n % 40 {
            question += &format!("\nOn day {day}, {} are sold for \u{20ac}{}.50 each.", day * 2, n % 13 + 1);
        }
        question += " How many are left?";
        let mut row = serde_json::json!({"question": question, "answer": format!("#### {}", n * 7)}).to_string();
        if n % 2 == 1 {
            row = escaped(&row);
        }
        rows += &(row + "\n");
    }
    rows
}

/// The same JSON in ASCII.
fn escaped(json: &str) -> String {
    let mut units = [0; 2];
    json.chars().fold(String::new(), |mut ascii, char| {
        match char.is_ascii() {
            true => ascii.push(char),
            false => char.encode_utf16(&mut units).iter().for_each(|unit| ascii += &format!("\\u{unit:04x}")),
        }
        ascii
    })
}
