//! The archive of a release, of a command that is a script of a few lines. `cargo xtask ci archive` makes one of the real
//! command.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use flate2::read::GzDecoder;
use tempfile::TempDir;

const MANIFEST: &str = "[workspace]\n\n[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";

/// What the command can do of which an archive is made.
const COMMAND: &str = "#!/bin/sh\ncase $1 in\n--version) echo \"lote VERSION (the full shape)\" ;;\n\
    completions) echo \"for $2\" ;;\nman) mkdir -p \"$2\"; for page in lote-run lote; do echo \"of $page\" > \"$2/$page.1\"; \
    done; echo '2 pages written' >&2 ;;\nesac\n";

const NAME: &str = concat!("lote-", env!("CARGO_PKG_VERSION"), "-some-machine");

/// A repository that has what an archive needs, and nothing else.
struct Repository {
    folder: TempDir,
}

impl Repository {
    fn new(command: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("Cargo.toml", MANIFEST);
        fs::create_dir(folder.path().join("src")).unwrap();
        write("src/lib.rs", "");
        for name in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"] {
            write(name, &format!("the text of {name}\n"));
        }
        write("command", command);
        fs::set_permissions(folder.path().join("command"), fs::Permissions::from_mode(0o700)).unwrap();
        Self { folder }
    }

    /// The exit code, what is printed, and what is said.
    fn archive(&self, output: &str, date: Option<&str>) -> (Option<i32>, String, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(["archive", "--command", "command", "--target", "some-machine", "--output", output]);
        command.current_dir(self.folder.path()).env_remove("SOURCE_DATE_EPOCH");
        // No repository above the temporary folder is asked for a date.
        command.env("GIT_CEILING_DIRECTORIES", self.folder.path().parent().unwrap());
        let output = command.envs(date.map(|date| ("SOURCE_DATE_EPOCH", date))).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn made(&self, output: &str) -> PathBuf {
        self.folder.path().join(output).join(format!("{NAME}.tar.gz"))
    }
}

fn command() -> String {
    COMMAND.replace("VERSION", env!("CARGO_PKG_VERSION"))
}

/// What is in an archive: of each file name, mode and text. Its date, and that it has no owner, are held here.
fn opened(archive: &Path, date: u64) -> Vec<(String, u32, String)> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(archive).unwrap()));
    let one = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        assert_eq!((header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()), (date, 0, 0));
        assert_eq!((header.username().unwrap(), header.groupname().unwrap()), (Some(""), Some("")));
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        let name = entry.path().unwrap().to_string_lossy().into_owned();
        (name.strip_prefix(&format!("{NAME}/")).unwrap().to_owned(), header.mode().unwrap(), text)
    };
    archive.entries().unwrap().map(one).collect()
}

#[test]
fn an_archive_is_a_prefix_with_all_that_is_to_be_installed() {
    let repository = Repository::new(&command());
    let (code, printed, said) = repository.archive("out", Some("1700000000"));
    assert_eq!((code, &*said), (Some(0), ""));
    let archive = repository.made("out");
    assert_eq!(printed.lines().next().unwrap(), format!("out/{NAME}.tar.gz"));
    let files = opened(&archive, 1_700_000_000);
    let expected: [(&str, u32, String); 10] = [
        ("bin/lote", 0o755, command()),
        ("share/bash-completion/completions/lote", 0o644, "for bash\n".to_owned()),
        ("share/doc/lote/CHANGELOG.md", 0o644, "the text of CHANGELOG.md\n".to_owned()),
        ("share/doc/lote/LICENSE-APACHE", 0o644, "the text of LICENSE-APACHE\n".to_owned()),
        ("share/doc/lote/LICENSE-MIT", 0o644, "the text of LICENSE-MIT\n".to_owned()),
        ("share/doc/lote/README.md", 0o644, "the text of README.md\n".to_owned()),
        ("share/fish/vendor_completions.d/lote.fish", 0o644, "for fish\n".to_owned()),
        ("share/man/man1/lote-run.1", 0o644, "of lote-run\n".to_owned()),
        ("share/man/man1/lote.1", 0o644, "of lote\n".to_owned()),
        ("share/zsh/site-functions/_lote", 0o644, "for zsh\n".to_owned()),
    ];
    assert_eq!(files, expected.map(|(name, mode, text)| (name.to_owned(), mode, text)));
    // As `sha256sum --check` takes it, and readable by everybody.
    let mut sums = Command::new("sha256sum");
    sums.args(["--check", "--quiet", &format!("{NAME}.tar.gz.sha256")]).current_dir(archive.parent().unwrap());
    assert!(sums.status().unwrap().success());
    assert_eq!(fs::metadata(&archive).unwrap().permissions().mode() & 0o777, 0o644);
    // Nothing else is left.
    assert_eq!(fs::read_dir(archive.parent().unwrap()).unwrap().count(), 2);
}

#[test]
fn the_same_command_of_the_same_date_gives_the_same_bytes() {
    let made = [Repository::new(&command()), Repository::new(&command())].map(|repository| {
        // Another time, and a program of another mode.
        fs::set_permissions(repository.folder.path().join("command"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(repository.archive("some/where", Some("1700000000")).0, Some(0));
        let first = fs::read(repository.made("some/where")).unwrap();
        assert_eq!(repository.archive("some/where", Some("1700000000")).0, Some(0));
        assert_eq!(fs::read(repository.made("some/where")).unwrap(), first);
        first
    });
    assert_eq!(made[0], made[1]);
}

#[test]
fn the_date_is_that_of_the_commit() {
    let repository = Repository::new(&command());
    let (code, _, said) = repository.archive("out", None);
    assert_eq!(code, Some(100));
    assert!(said.contains("fix: set SOURCE_DATE_EPOCH to seconds since 1970"), "{said}");
    let git = |words: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@example.com"]).args(words);
        git.env("GIT_COMMITTER_DATE", "1600000000 +0200").current_dir(repository.folder.path());
        assert!(git.output().unwrap().status.success(), "{words:?}");
    };
    git(&["init"]);
    git(&["commit", "--allow-empty", "--message", "one"]);
    assert_eq!(repository.archive("out", None).0, Some(0));
    assert!(!opened(&repository.made("out"), 1_600_000_000).is_empty());
}

#[test]
fn a_command_that_cannot_be_packed_is_named() {
    for (command, problem) in [
        ("#!/bin/sh\necho lote 0.0.7\n", "command is \"lote 0.0.7\", and this repository"),
        ("#!/bin/sh\necho no such flag >&2; exit 2\n", "--version ended with exit status: 2: no such flag"),
        ("\u{7f}ELF of another machine", "cannot be run"),
    ] {
        let repository = Repository::new(command);
        let (code, printed, said) = repository.archive("out", Some("1700000000"));
        assert_eq!((code, &*printed), (Some(100), ""), "{said}");
        assert!(said.contains(problem) && said.contains("fix: "), "{said}");
        assert!(!repository.made("out").exists());
    }
}
