//! Owns the trials of the whole program: on a small repository in a folder with a blank in its name, whose facade does
//! not compile. Never the real repository; its own tests do that.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

const CONTRACT: &str = "openapi.yaml";
const CLIENT: &str = "crates/client/src/generated.rs";
const README: &str = "README.md";

/// The files of the small repository; all that is derived in it is stale.
const FILES: [(&str, &str); 8] = [
    (
        "Cargo.toml",
        "[workspace]\nmembers = [\"crates/lote\"]\nresolver = \"3\"\n\n[package]\nname = \"lote-contract\"\nversion = \"0.1.0\"\n\
         edition = \"2024\"\nbuild = \"build.rs\"\n",
    ),
    (
        "Cargo.lock",
        "version = 4\n\n[[package]]\nname = \"lote\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"lote-contract\"\nversion = \"0.1.0\"\n",
    ),
    // A generator that needs no other crate: the operationIds, one a line.
    (
        "build.rs",
        r#"fn main() {
    println!("cargo::rerun-if-changed=openapi.yaml");
    let contract = std::fs::read_to_string("openapi.yaml").unwrap();
    let ids = contract.lines().filter_map(|line| line.trim().strip_prefix("operationId: "));
    let client: String = ids.map(|id| format!("// {id}\n")).collect();
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(std::path::Path::new(&out).join("client.rs"), client).unwrap();
}
"#,
    ),
    ("src/lib.rs", "//! Nothing.\n"),
    ("crates/lote/Cargo.toml", "[package]\nname = \"lote\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
    ("crates/lote/src/lib.rs", "this does not compile\n"),
    (
        CONTRACT,
        "# A comment that stays.
openapi: 3.0.3
info: { title:   Odd spacing that stays, version: 0.1.0 }
paths:
  /things:
    get:
      operationId: listThings
      parameters:
        - { name: X-On-Behalf-Of, in: header, schema: { type: string } }
      responses:
        '200': { description: Things. }
        default: { description: A failure. }
components:
  schemas:
    # xtask:begin lines
    Old: { description: Of an earlier time. }
    # xtask:end lines
# The end, without a newline",
    ),
    (README, "# A page\n\n<!-- xtask:begin operations -->\n<!-- xtask:end operations -->\n"),
];

/// What is made besides, in the order of the report.
const PAGES: [&str; 4] = [
    "README.md fragment operations",
    "schemas/request-line.schema.json",
    "schemas/result-line.schema.json",
    "schemas/upstream.schema.json",
];

struct Repository {
    // Removed when dropped.
    _folder: tempfile::TempDir,
    root: PathBuf,
    target: PathBuf,
}

#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// The bytes and the time of every file.
type Snapshot = BTreeMap<PathBuf, (Vec<u8>, SystemTime)>;

impl Repository {
    fn stale() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a repository");
        for (path, text) in FILES {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::create_dir_all(root.join("crates/client/src")).unwrap();
        let target = folder.path().join("the target");
        Self { _folder: folder, root, target }
    }

    fn fresh() -> Self {
        let repository = Self::stale();
        let ended = repository.xtask(&["codegen"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        repository
    }

    fn xtask(&self, arguments: &[&str]) -> Ended {
        self.xtask_in(&self.root, arguments)
    }

    fn xtask_in(&self, folder: &Path, arguments: &[&str]) -> Ended {
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(arguments)
            .current_dir(folder)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_NET_OFFLINE", "true")
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root.join(path)).unwrap()
    }

    /// Replaces the one place of `from` in a file.
    fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert_eq!(text.matches(from).count(), 1, "{from}");
        fs::write(self.root.join(path), text.replace(from, to)).unwrap();
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::new();
        let mut open = vec![self.root.clone()];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                let modified = fs::metadata(&path).unwrap().modified().unwrap();
                snapshot.insert(path.clone(), (fs::read(&path).unwrap(), modified));
            }
        }
        snapshot
    }
}

#[test]
fn codegen_makes_everything_fresh_and_then_leaves_it_alone() {
    let repository = Repository::stale();
    let ended = repository.xtask(&["codegen"]);
    let pages = |word: &str| PAGES.map(|page| format!("{word}: {page}\n")).concat();
    let wrote = pages("wrote");
    let report = format!("clean: openapi.yaml\nwrote: openapi.yaml fragment lines\n{wrote}wrote: {CLIENT}\n");
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), report.as_str()), "{ended:?}");
    assert_eq!(repository.read(CLIENT), "// listThings\n");

    let (_, before) = FILES[6];
    let after = repository.read(CONTRACT);
    let (head, rest) = before.split_once("    Old:").unwrap();
    let (_, tail) = rest.split_once('\n').unwrap();
    let fragment = after.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail)).unwrap();
    assert!(fragment.starts_with("    RequestLine:\n      description: >-\n"), "{fragment}");
    assert!(fragment.lines().all(|line| line.starts_with("    ") && line.len() <= 80), "{fragment}");

    let snapshot = repository.snapshot();
    let fresh = pages("fresh");
    let report = format!("clean: openapi.yaml\nfresh: openapi.yaml fragment lines\n{fresh}fresh: {CLIENT}\n");
    for mode in [&["codegen"][..], &["codegen", "--check"], &["codegen", "--dry-run"]] {
        let ended = repository.xtask_in(&repository.root.join("crates/client/src"), mode);
        assert_eq!((ended.code, &ended.out), (Some(0), &report), "{ended:?}");
        assert!(repository.snapshot() == snapshot, "{ended:?}");
    }
}

#[test]
fn check_and_dry_run_name_what_is_stale_and_write_nothing() {
    let repository = Repository::fresh();
    let fresh = (repository.read(CONTRACT), repository.read(CLIENT));
    // The edit, what is stale by it, and what the diff has. The first one makes the fragment such that it does not parse.
    let lines = "openapi.yaml fragment lines";
    let cases = [
        (CONTRACT, "    ResultError:\n", "", lines, "\n+    ResultError:\n"),
        (CONTRACT, "    # xtask:end", "    Own: {}\n    # xtask:end", lines, "\n-    Own: {}\n"),
        (CLIENT, "// listThings\n", "// listOthers\n", CLIENT, "\n-// listOthers\n+// listThings\n"),
        (CONTRACT, "Id: listThings", "Id: listAll", CLIENT, "\n-// listThings\n+// listAll\n"),
        (README, "| listAll |", "| listSome |", PAGES[0], "\n-| listSome | "),
        (PAGES[1], "\"title\": \"RequestLine\"", "\"title\": \"Other\"", PAGES[1], "\n-  \"title\": \"Other\","),
        (PAGES[2], "\"title\": \"ResultLine\"", "\"title\": \"Other\"", PAGES[2], "\n-  \"title\": \"Other\","),
        (PAGES[3], "\"title\": \"upstream.yaml of lote\"", "\"title\": \"\"", PAGES[3], "\n-  \"title\": \"\","),
    ];
    for (path, from, to, stale, diff) in cases {
        repository.edit(path, from, to);
        let snapshot = repository.snapshot();

        let ended = repository.xtask(&["codegen", "--check"]);
        assert_eq!(ended.code, Some(4), "{ended:?}");
        let report = format!("stale: {stale}\nproblem: {stale} is stale\nfix: cargo xtask codegen\n");
        assert!(ended.out.contains(&report), "{ended:?}");
        // The table names operations as the client does.
        let problems = if from.starts_with("Id: ") { 2 } else { 1 };
        assert_eq!(ended.out.matches("problem: ").count(), problems, "{ended:?}");

        let ended = repository.xtask(&["codegen", "--dry-run"]);
        assert_eq!(ended.code, Some(4), "{ended:?}");
        let file = stale.split(' ').next().unwrap();
        let header = format!("stale: {stale}\n--- a/{file}\n+++ b/{file}\n@@ ");
        assert!(ended.out.contains(&header) && ended.out.contains(diff), "{}", ended.out);
        assert!(repository.snapshot() == snapshot, "nothing is written");

        assert_eq!(repository.xtask(&["codegen"]).code, Some(0));
        assert_eq!(repository.xtask(&["codegen", "--check"]).code, Some(0));
    }
    let listed = fresh.0.replace("Id: listThings", "Id: listAll");
    assert_eq!((repository.read(CONTRACT), repository.read(CLIENT)), (listed, "// listAll\n".to_owned()));
}

#[test]
fn a_client_that_is_not_there_is_stale() {
    let repository = Repository::fresh();
    fs::remove_file(repository.root.join(CLIENT)).unwrap();
    let ended = repository.xtask(&["codegen", "--check"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.out.contains(&format!("problem: {CLIENT} is stale\n")), "{ended:?}");
    assert!(!repository.root.join(CLIENT).exists());
}

#[test]
fn findings_of_the_lint_are_told_and_do_not_keep_the_rest_back() {
    let repository = Repository::fresh();
    repository.edit(CONTRACT, "operationId: listThings", "operationId: listAll");
    repository.edit(CONTRACT, "        default: { description: A failure. }\n", "");
    let finding = "problem: openapi.yaml #/paths/~1things/get: no error response\nfix: add the response default\n";
    for (mode, client) in [("--check", "// listThings\n"), ("--dry-run", "// listThings\n"), ("", "// listAll\n")] {
        let mode: &[&str] = if mode.is_empty() { &["codegen"] } else { &["codegen", mode] };
        let ended = repository.xtask(mode);
        assert_eq!(ended.code, Some(4), "{ended:?}");
        assert!(ended.out.contains(finding) && !ended.out.contains("clean: "), "{ended:?}");
        assert_eq!(repository.read(CLIENT), client);
    }
}

#[test]
fn what_cannot_be_done_ends_with_100_and_says_why() {
    let cases = [
        (CONTRACT, "openapi: 3.0.3", "openapi: '3.0.3", "problem: openapi.yaml does not parse: "),
        (
            CONTRACT,
            "    # xtask:end lines\n",
            "",
            "problem: openapi.yaml: line 15: `# xtask:begin lines` has no `# xtask:end lines` after it\n",
        ),
        (CONTRACT, "# xtask:begin lines", "# begin", "closes a fragment that is not open"),
        (CONTRACT, "# xtask:begin lines", "# xtask:begin line", "closes a fragment that is not open"),
        (
            "build.rs",
            "fn main() {",
            "fn main() { panic!(\"no client today\");",
            "problem: cargo build --package lote-contract --lib failed\n",
        ),
        (README, "<!-- xtask:end operations -->\n", "", "problem: README.md: line 3: "),
        ("build.rs", "client.rs", "other.rs", "problem: build.rs left no client.rs in its OUT_DIR: "),
        ("src/lib.rs", "//! Nothing.", "nothing", "problem: cargo build --package lote-contract --lib failed\n"),
    ];
    for (path, from, to, expected) in cases {
        let repository = Repository::stale();
        repository.edit(path, from, to);
        let snapshot = repository.snapshot();
        let ended = repository.xtask(&["codegen", "--check"]);
        assert_eq!(ended.code, Some(100), "{ended:?}");
        assert!(ended.err.contains(expected) && ended.err.contains("\nfix: "), "{expected}\n{ended:?}");
        assert!(repository.snapshot() == snapshot, "{ended:?}");
        if path == CONTRACT {
            assert_eq!(repository.xtask(&["codegen"]).code, Some(100));
            assert!(repository.snapshot() == snapshot, "a contract that makes no sense is not written");
        }
    }
    let repository = Repository::stale();
    fs::remove_file(repository.root.join(CONTRACT)).unwrap();
    let ended = repository.xtask(&["codegen", "--check"]);
    assert_eq!(ended.code, Some(100), "{ended:?}");
    assert!(ended.err.starts_with("problem: openapi.yaml cannot be read: "), "{ended:?}");

    let ended = repository.xtask_in(repository.root.parent().unwrap(), &["codegen"]);
    assert_eq!(ended.code, Some(100), "{ended:?}");
    assert!(
        ended.err.contains("problem: cargo finds no workspace here\nfix: run it inside the repository\n"),
        "{ended:?}"
    );
}

#[test]
fn wrong_usage_ends_with_2() {
    let repository = Repository::stale();
    let drift: [&[&str]; 8] = [
        &["drift"],
        &["drift", "a", "b", "c"],
        &["drift", "a", "--accept", "id"],
        &["drift", "a", "--reason", "why"],
        &["drift", "a", "b", "--baseline"],
        &["drift", "a", "b", "--from", "c"],
        &["drift", "a", "--baseline", "--apply", "id"],
        &["drift", "a", "--accept", "id", "--reason", "why", "--baseline"],
    ];
    let codegen = [&["codegen", "--check", "--dry-run"][..], &["codegen", "more"], &["other"], &[], &["ci", "other"]];
    for arguments in codegen.into_iter().chain(drift) {
        assert_eq!(repository.xtask(arguments).code, Some(2), "{arguments:?}");
    }
}

#[test]
fn drift_compares_documents_in_the_whole_program() {
    let repository = Repository::stale();
    let document = |more: &str| {
        format!(
            "openapi: 3.1.0\npaths: {{ /v1/things: {{ get: {{ responses: {{ 200: {{ description: Yes. }} {more} }} }} }} }}\n"
        )
    };
    fs::write(repository.root.join("old.yaml"), document("")).unwrap();
    fs::write(repository.root.join("new.yaml"), document(", 404: { description: No. }")).unwrap();
    let same = repository.xtask(&["drift", "old.yaml", "old.yaml"]);
    assert_eq!(
        (same.code, same.out.ends_with("findings: none; recorded: 0; not compared: 0\n")),
        (Some(0), true),
        "{same:?}"
    );
    let other = repository.xtask(&["drift", "old.yaml", "new.yaml"]);
    let told = "\nnew answer: status-added.404.";
    assert!(other.code == Some(4) && other.out.contains(told) && other.out.contains("\nfix: "), "{other:?}");
    let nothing = repository.xtask(&["drift", "old.yaml", "none.yaml"]);
    assert!(nothing.code == Some(100) && nothing.err.starts_with("problem: none.yaml cannot be read: "), "{nothing:?}");
    let json = repository.xtask(&["drift", "old.yaml", "none.yaml", "--json"]);
    assert!(json.code == Some(100) && json.out.contains("\"exit\": 100") && json.err.is_empty(), "{json:?}");
    let piped = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["drift", "old.yaml", "-"])
        .current_dir(&repository.root)
        .stdin(fs::File::open(repository.root.join("new.yaml")).unwrap())
        .output()
        .unwrap();
    assert!(String::from_utf8(piped.stdout).unwrap().contains(told));
}

#[test]
fn ci_goes_on_after_a_failure_and_sums_up() {
    let repository = Repository::fresh();
    let ended = repository.xtask(&["ci", "codegen", "docs"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let order = [
        "== docs: cargo doc --workspace --no-deps --lib --example first_batch --features lote-cli/full,lote/blocking,lote/schema,lote/webhook,lote-lines/schemas\n",
        "== codegen: cargo xtask codegen --check\nclean: ",
        "== summary\nfailed: docs (",
    ];
    let places: Vec<_> = order.iter().map(|line| ended.out.find(line)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?} {ended:?}");
    assert!(
        ended.out.contains("problem: step docs failed\nfix: correct what rustdoc says above\npassed: codegen ("),
        "{ended:?}"
    );
    let (printed, summary) = ended.out.split_once("\n== summary\n").unwrap();
    let (_, again) = summary.split_once("\n-- step docs ended with:\n").unwrap();
    assert!(again.starts_with("error: "), "{ended:?}");
    assert!(printed.contains(again.trim_end()), "what the steps print is seen: {ended:?}");

    fs::remove_file(repository.root.join(CONTRACT)).unwrap();
    let ended = repository.xtask(&["ci", "codegen"]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(
        ended.out.contains("problem: openapi.yaml cannot be read: ") && ended.out.contains("failed: codegen ("),
        "{ended:?}"
    );

    fs::write(repository.root.join(CONTRACT), FILES[6].1).unwrap();
    assert_eq!(repository.xtask(&["codegen"]).code, Some(0));
    let ended = repository.xtask(&["ci", "codegen"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn ci_skips_a_step_whose_tool_is_missing_and_says_so() {
    let repository = Repository::fresh();
    // Cargo looks for cargo-deny on the path and in its home.
    let nothing = repository.target.join("nothing");
    fs::create_dir(&nothing).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["ci", "dependencies"])
        .current_dir(&repository.root)
        .env("CARGO_HOME", &nothing)
        .env_remove("CI")
        .env("PATH", &nothing)
        .output()
        .unwrap();
    let report = "== dependencies: cargo deny --workspace check --hide-inclusion-graph bans licenses sources\nskipped: cargo-deny is not installed\n\
                  == summary\nskipped: dependencies (cargo-deny is not installed)\n";
    assert_eq!((output.status.code(), String::from_utf8(output.stdout).unwrap().as_str()), (Some(0), report));
}
