//! Owns the tests of what is the same for all commands: help, version, usage errors, completions.

use std::process::Stdio;

use crate::common::{command, folder, lote, lote_in, names};

const COMMANDS: &[&str] = &[
    "prepare",
    "check",
    "plan",
    "run",
    "resume",
    "status",
    "runs",
    "show",
    "cancel",
    "repair",
    "clean",
    "batches",
    "files",
    "inspect",
    "join",
    "export",
    "report",
    "gateway",
    "config",
    "completions",
];

#[test]
fn every_help_ends_with_examples() {
    let top = lote(["--help"]);
    assert_eq!(top.code, 0);
    assert!(top.stdout.contains("Exit codes:") && top.stdout.contains("Examples:"), "{}", top.stdout);
    for command in COMMANDS {
        for flag in ["--help", "-h"] {
            let help = lote([command, flag]);
            assert_eq!(help.code, 0, "{command}");
            let (_, examples) = help.stdout.split_once("\nExamples:\n").expect(command);
            assert!(examples.trim_start().starts_with(&format!("lote {command}")), "{examples}");
        }
        assert!(top.stdout.contains(&format!("\n  {command} ")), "{command}: {}", top.stdout);
    }
}

/// The commands of the commands.
const SUBCOMMANDS: &[(&str, &[&str])] = &[
    ("batches", &["create", "get", "list", "cancel", "wait"]),
    ("files", &["upload", "get", "list", "content", "delete"]),
    ("config", &["show", "init", "path"]),
];

#[test]
fn every_help_of_a_command_of_a_command_ends_with_examples() {
    for (command, names) in SUBCOMMANDS {
        // One of them has something to say by itself.
        assert_eq!(lote([command]).code, if *command == "config" { 0 } else { 2 }, "{command}");
        let top = lote([command, "--help"]).stdout;
        for name in *names {
            assert!(top.contains(&format!("\n  {name} ")), "{command} {name}: {top}");
            let help = lote([command, name, "--help"]);
            let (_, examples) = help.stdout.split_once("\nExamples:\n").expect(name);
            let rest = examples.trim_start().strip_prefix(&format!("lote {command} {name}"));
            assert!(rest.is_some_and(|rest| rest.starts_with([' ', '\n'])), "{examples}");
            let secret = command_with_secrets([command, name, "--help"]);
            assert_eq!(secret, help.stdout, "{command} {name}");
        }
    }
}

/// What is printed when every setting of the environment is made.
fn command_with_secrets(args: [&str; 3]) -> String {
    let mut command = command();
    for name in ["LOTE_API_KEY", "LOTE_BASE_URL", "LOTE_ON_BEHALF_OF", "LOTE_PROFILE"] {
        command.env(name, "secret-7");
    }
    String::from_utf8(command.args(args).output().expect("lote starts").stdout).expect("UTF-8")
}

#[test]
fn no_environment_value_is_shown() {
    for name in COMMANDS {
        let output = command()
            .args([name, "--help"])
            .env("LOTE_API_KEY", "sk-secret-7")
            .env("LOTE_BASE_URL", "https://base-secret-7.invalid")
            .env("LOTE_ON_BEHALF_OF", "user-secret-7")
            .output()
            .expect("lote starts");
        let help = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(!help.contains("secret-7"), "{help}");
        // Nor is there room for one: an empty value would look like a setting.
        assert!(!help.contains("=]"), "{help}");
    }
}

#[test]
fn version_and_usage() {
    let version = lote(["--version"]);
    // The full shape says that it is.
    let shape = if cfg!(feature = "full") { " (full)" } else { "" };
    let said = format!("lote {}{shape}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!((version.code, version.stdout), (0, said));
    for args in [&[][..], &["nope"], &["prepare"], &["prepare", "--nope"], &["completions", "tcsh"]] {
        let ended = lote(args);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{args:?}");
        assert!(ended.stderr.contains("--help"), "{args:?}: {}", ended.stderr);
    }
}

#[test]
fn completions_for_five_shells() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ended = lote(["completions", shell]);
        assert_eq!(ended.code, 0, "{shell}");
        let below = SUBCOMMANDS.iter().flat_map(|(_, names)| names.iter());
        for command in COMMANDS.iter().chain(below) {
            assert!(ended.stdout.contains(command), "{shell}: {command}");
        }
        let control = ended.stdout.find(|c: char| c.is_control() && !matches!(c, '\n' | '\t'));
        assert_eq!(control, None, "{shell}");
    }
}

/// The words that a shell completes come from the same help, and so do the pages: what is in one is in the other.
#[test]
fn every_command_has_a_manual_page_with_its_flags_and_examples() {
    let place = folder(&[]);
    let folder = place.path().join("share/man1");
    let ended = lote(["man".as_ref(), folder.as_os_str()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let alone = COMMANDS.iter().map(|command| vec![*command]);
    let below = SUBCOMMANDS.iter().flat_map(|(command, names)| names.iter().map(|name| vec![*command, *name]));
    let all: Vec<Vec<&str>> = alone.chain(below).chain([vec![]]).collect();
    assert!(ended.stderr.starts_with(&format!("{} pages written to ", all.len())), "{ended:?}");
    let mut expected = Vec::new();
    for words in all {
        let name = [&["lote"], &words[..]].concat().join("-") + ".1";
        let page = std::fs::read_to_string(folder.join(&name)).expect(&name);
        assert!(page.contains(".SH NAME\n") && page.contains(".SH EXAMPLES\n.nf\n"), "{name}");
        // With all five, in their order: a date that is left out would move the other two.
        let title = format!(
            ".TH {} 1 \"\" \"lote {}\" \"User Commands\"\n",
            name.trim_end_matches(".1"),
            env!("CARGO_PKG_VERSION")
        );
        assert!(page.starts_with(&title), "{page}");
        assert_eq!(page.find(|c: char| c.is_control() && c != '\n'), None, "{name}");
        // Each flag of the help has its entry.
        let help = lote(words.iter().chain(&["--help"])).stdout;
        let flags = help.lines().filter_map(|line| {
            let (_, flag) = line.split_once("--")?;
            line.trim_start().starts_with('-').then(|| flag.split([' ', '=']).next().unwrap_or_default().to_owned())
        });
        for flag in flags {
            assert!(page.contains(&format!("\\-\\-{}", flag.replace('-', "\\-"))), "{name}: {flag}");
        }
        expected.push(name);
    }
    expected.sort();
    assert_eq!(names(&folder), expected);
}

#[test]
fn a_wrong_flag_is_told_with_the_nearest_and_a_usage_that_asks_for_nothing_optional() {
    let place = folder(&[]);
    let mut lote = command();
    lote.env("LOTE_BASE_URL", "http://127.0.0.1:9").env("LOTE_DIALECT", "openai").env("LOTE_PROFILE", "p");
    let ended = lote_in(lote, place.path(), &["run"]);
    assert!(ended.code == 2 && ended.stderr.contains("\nUsage: lote run [OPTIONS] <REQUESTS>...\n"), "{ended:?}");
    for (args, said) in [
        (&["run", "x", "--retrys", "1"][..], "a similar argument exists: '--retries'"),
        (&["export", "x", "--csv"], "unexpected argument '--csv' found"),
        (&["batches", "create", "f", "--endpiont", "chat"], "a similar argument exists: '--endpoint'"),
        (&["--vresion"], "a similar argument exists: '--version'"),
        (&["gatway"], "a similar subcommand exists: 'gateway'"),
    ] {
        let ended = lote_in(command(), place.path(), args);
        assert!(ended.code == 2 && ended.stderr.contains(said), "{args:?}: {ended:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains("\nUsage: lote"), "{args:?}: {ended:?}");
        assert!(!ended.stderr.contains("as a value"), "{args:?}: {ended:?}");
    }
}

#[test]
fn a_closed_stdout_is_no_failure() {
    for args in [&["completions", "bash"][..], &["prepare", "-", "--endpoint", "chat", "--template", "{}", "-o", "-"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut child = command()
            .args(args)
            .stdin(Stdio::piped())
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .expect("lote starts");
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        // Only prepare reads it.
        drop(std::io::Write::write_all(&mut stdin, &b"{}\n".repeat(50_000)));
        drop(stdin);
        let output = child.wait_with_output().expect("lote ends");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(0), "{args:?}: {stderr}");
        assert!(!stderr.contains("panicked") && !stderr.contains("error"), "{args:?}: {stderr}");
    }
}
