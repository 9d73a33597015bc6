//! Owns the trials of what runs tools from outside: with a Python and a rustup that are scripts of a few lines, so that
//! every ending can be had. Never a real client; `cargo xtask ci clients` does that.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

const MANIFEST: &str = "[workspace]\n\n[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
                        [[bin]]\nname = \"lote\"\npath = \"main.rs\"\n";
const PYTHON: &str =
    "#!/bin/sh\n[ \"$1\" = -c ] && exit \"$NEED\"\necho \"$@\"\nprintf '%b' \"$PRINTS\"\nexit \"$CODE\"\n";

/// Stands for `rustup run nightly cargo fuzz …`: libFuzzer speaks on standard error, and in the target $FINDS it finds
/// something.
const RUSTUP: &str = "#!/bin/sh\necho \"of the fuzzer: $*\" >&2\n[ \"$5\" = run ] || exit 0\n\
                      case \"$*\" in *\" $FINDS fuzz/\"*) exit 77 ;; esac\necho 'stat::number_of_executed_units: 4321' >&2\n";

struct Repository {
    // Removed when dropped.
    _folder: tempfile::TempDir,
    root: PathBuf,
    tools: PathBuf,
    target: PathBuf,
}

impl Repository {
    fn new(main: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name| folder.path().join(name);
        let (root, tools, target) = (at("a repository"), at("tools"), at("the target"));
        fs::create_dir(&root).unwrap();
        fs::create_dir(&tools).unwrap();
        fs::write(root.join("Cargo.toml"), MANIFEST).unwrap();
        fs::write(root.join("main.rs"), main).unwrap();
        // A test stands beside the program when it is built.
        fs::create_dir(root.join("tests")).unwrap();
        fs::write(root.join("tests/cli.rs"), "").unwrap();
        for (name, script) in [("python3", PYTHON), ("rustup", RUSTUP)] {
            fs::write(tools.join(name), script).unwrap();
            fs::set_permissions(tools.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        Self { _folder: folder, root, tools, target }
    }

    /// The exit code and the standard output of the step clients.
    fn clients(&self, path: OsString, variables: &[(&str, &str)]) -> (Option<i32>, String) {
        self.xtask(&["ci", "clients"], path, variables)
    }

    fn xtask(&self, words: &[&str], path: OsString, variables: &[(&str, &str)]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(words)
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_NET_OFFLINE", "true")
            .env("PATH", path)
            .env_remove("CI")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// The path with our Python before all others.
    fn path(&self) -> OsString {
        let rest = env::var_os("PATH").unwrap();
        env::join_paths(std::iter::once(self.tools.clone()).chain(env::split_paths(&rest))).unwrap()
    }
}

#[test]
fn the_exit_code_decides_and_what_was_left_out_is_told() {
    let repository = Repository::new("fn main() {}");
    let cases = [
        ("0", "ok: a\\n", Some(0), "passed: clients (", ""),
        ("0", "skipped: b: no node\\nok: a\\n", Some(0), "passed: clients (", "skipped: clients: b: no node\n"),
        ("77", "skipped: no registry\\n", Some(0), "skipped: clients (no registry)\n", ""),
        (
            "1",
            "ok: a\\nfailed: b",
            Some(4),
            "failed: clients (",
            "problem: step clients failed\nfix: correct the gateway",
        ),
        ("2", "", Some(4), "failed: clients (", "problem: step clients failed\n"),
    ];
    for (code, prints, expected, first, then) in cases {
        let (seen, out) = repository.clients(repository.path(), &[("NEED", "0"), ("CODE", code), ("PRINTS", prints)]);
        assert_eq!(seen, expected, "{out}");
        let (before, summary) = out.split_once("== summary\n").unwrap();
        assert!(summary.starts_with(first) && summary.contains(then), "{out}");
        assert_eq!(summary.contains("skipped: "), prints.contains("skipped: "), "{out}");
        assert!(before.contains(&prints.replace("\\n", "\n")), "what it prints is passed on: {out}");

        let lote = built(before, &repository.target);
        assert!(lote.is_file(), "{out}");
    }
}

/// The program that the script was given.
fn built(printed: &str, target: &Path) -> PathBuf {
    let words = "-B tests/clients/run.py clients --lote ";
    let lote = printed.lines().find_map(|line| line.strip_prefix(words)).unwrap();
    assert!(Path::new(lote).starts_with(target), "{lote}");
    lote.into()
}

#[test]
fn without_python_it_is_skipped_and_without_a_program_it_fails() {
    let repository = Repository::new("this does not compile");
    let nothing = repository.root.join("nothing");
    fs::create_dir(&nothing).unwrap();
    let skipped = "skipped: clients (python3 (3.11 or newer) is not installed)\n";
    let ready = [("NEED", "0"), ("CODE", "0"), ("PRINTS", "")];
    let cases = [
        (nothing.into_os_string(), &[][..], Some(0), skipped),
        (repository.path(), &[("NEED", "1")], Some(0), skipped),
        (repository.path(), &ready, Some(4), "failed: clients ("),
    ];
    for (path, variables, expected, summary) in cases {
        let (code, out) = repository.clients(path, variables);
        assert_eq!(code, expected, "{out}");
        assert!(out.contains(&format!("== summary\n{summary}")), "{out}");
        assert!(!out.contains("run.py clients --lote"), "the script is not run: {out}");
    }
}

#[test]
fn on_ci_a_step_that_is_skipped_fails() {
    let repository = Repository::new("fn main() {}");
    let variables = [("NEED", "0"), ("CODE", "77"), ("PRINTS", "skipped: no registry\n"), ("CI", "true")];
    let (code, out) = repository.clients(repository.path(), &variables);
    assert_eq!(code, Some(4), "{out}");
    assert!(out.contains("failed: clients\nproblem: step clients was skipped on CI: no registry\nfix: "), "{out}");
}

#[test]
fn what_the_fuzzer_prints_is_shown_when_it_finds_something() {
    let repository = Repository::new("fn main() {}");
    let words = ["night", "fuzz", "--seconds", "15"];
    let (code, out) = repository.xtask(&words, repository.path(), &[]);
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("== fuzz join: 15 s\n4321 inputs, nothing found\n"), "{out}");
    assert!(!out.contains("of the fuzzer: run nightly cargo fuzz run"), "{out}");

    let (code, out) = repository.xtask(&words, repository.path(), &[("FINDS", "join")]);
    assert_eq!(code, Some(4), "{out}");
    assert_eq!(out.matches("of the fuzzer: run nightly cargo fuzz run").count(), 1, "{out}");
    let shown = "--features libfuzzer join fuzz/corpus/join -- -max_total_time=15 ";
    assert!(out.contains(shown) && out.contains("-verbosity=0"), "{out}");
    assert!(out.contains("problem: the fuzz target join found something"), "{out}");
    assert!(out.contains("fix: cargo test --workspace --test sample join"), "{out}");
}
