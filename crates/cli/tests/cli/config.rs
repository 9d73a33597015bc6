//! `lote config`: where the file is, what is in force, and the example.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::common::{Ended, command, ended, folder, repository};
use crate::service::json;

fn home(place: &Path) -> Command {
    let mut lote = command();
    lote.env("XDG_CONFIG_HOME", place);
    lote
}

fn run(command: &mut Command, args: &[&str]) -> Ended {
    ended(command.args(args), b"")
}

#[test]
fn the_file_is_where_the_variables_say() {
    let place = folder(&[]);
    let absolute = place.path().display().to_string();
    let lote = |variables: &[(&str, &str)]| {
        let mut lote = command();
        lote.env_remove("XDG_CONFIG_HOME").envs(variables.iter().copied());
        let ended = run(&mut lote, &["config", "path"]);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
        ended.stdout.trim_end().to_owned()
    };
    assert_eq!(lote(&[("LOTE_CONFIG", "mine.toml"), ("XDG_CONFIG_HOME", &absolute)]), "mine.toml");
    assert_eq!(lote(&[("XDG_CONFIG_HOME", &absolute), ("HOME", "/nowhere")]), format!("{absolute}/lote/config.toml"));
    #[cfg(unix)]
    assert_eq!(run(command().env("LOTE_CONFIG", "/dev/null"), &["config", "show"]).code, 0, "a file without a profile");
    // As the standard has it, one that is not absolute counts as not set.
    for set in ["", "config"] {
        let path = lote(&[("XDG_CONFIG_HOME", set), ("HOME", &absolute), ("LOTE_CONFIG", "")]);
        assert_eq!(path, format!("{absolute}/.config/lote/config.toml"));
    }
}

#[test]
fn the_example_is_written_once_and_each_of_its_lines_is_understood() {
    let place = folder(&[]);
    let path = place.path().join("lote/config.toml");
    let before = run(&mut home(place.path()), &["config"]);
    assert_eq!(before.code, 0, "{before:?}");
    assert!(before.stdout.contains("which is not there\n  lote config init  # writes an example\n"), "{before:?}");
    let written = run(&mut home(place.path()), &["config", "init"]);
    assert_eq!((written.code, written.stdout), (0, format!("written: {}\n", path.display())));
    let example = fs::read_to_string(&path).expect("the example");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).expect("the file").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(place.path().join("lote")).expect("the folder").permissions().mode() & 0o777, 0o700);
    }
    fs::write(&path, "# mine\n").expect("an edit");
    let again = run(&mut home(place.path()), &["config", "init"]);
    assert!(again.code == 2 && again.stderr.contains("there is one already"), "{again:?}");
    assert_eq!(fs::read_to_string(&path).expect("the file"), "# mine\n");

    // As it is it says nothing; without its marks, everything.
    fs::write(&path, &example).expect("the example");
    let shown = json(&run(&mut home(place.path()), &["config", "--json"]));
    assert_eq!(shown, json!({"path": path, "exists": true, "default_profile": null, "profiles": []}));
    let is_setting = |line: &&str| line.contains(" = ") && !line.contains(". ") || line.starts_with("# [");
    let said: String = example.lines().filter(is_setting).map(|line| format!("{}\n", &line[2..])).collect();
    let said = said.replace("key_file", "#").replace("ca_cert", "#");
    fs::write(&path, said).expect("what it says");
    let shown = json(&run(&mut home(place.path()), &["config", "--json"]));
    let expected =
        json!({"path": path, "exists": true, "default_profile": "work", "profiles": ["local", "openai", "work"]});
    assert_eq!(shown, expected);
    for (profile, url) in [
        ("work", "https://apigw.mka1.com/api/v1/llm"),
        ("openai", "https://api.openai.com/v1"),
        ("local", "http://127.0.0.1:8787/api/v1/llm"),
    ] {
        let shown = json(&run(&mut home(place.path()), &["config", "show", "--json", "--profile", profile]));
        assert_eq!(
            (&shown["settings"]["base_url"]["value"], &shown["settings"]["key"]["set"]),
            (&json!(url), &json!(true))
        );
    }
    let listed = run(&mut home(place.path()), &["config"]).stdout;
    assert!(listed.contains("\nprofile local\nprofile openai\nprofile work, the default\n"), "{listed}");
    // The page of the documentation shows it as it is written.
    let page = fs::read_to_string(repository("docs/settings.md")).expect("the page");
    let shown = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block");
    assert_eq!(shown, example);
}

#[test]
fn what_is_in_force_is_shown_with_its_source_and_no_key() {
    let place = folder(&[]);
    fs::create_dir(place.path().join("lote")).expect("a folder");
    fs::write(place.path().join("lote/config.toml"), "[profile.p]\nkey_command = ['echo', 'hunter22']\nretries = 5\n")
        .expect("it");
    let path = place.path().join("lote/config.toml").display().to_string();
    let mut lote = home(place.path());
    lote.env("LOTE_PROFILE", "p").env("LOTE_BASE_URL", "https://api.openai.com/v1").env_remove("LOTE_RETRIES");
    let shown = run(&mut lote, &["config", "show"]);
    let expected = format!(
        "config file   {path}\nprofile       p (LOTE_PROFILE)\nbase_url      https://api.openai.com/v1 (LOTE_BASE_URL)\n\
         dialect       openai (guessed from the host api.openai.com)\nkey           set (by key_command of profile p)\n\
         on_behalf_of  nobody\nca_cert       the machine's alone\nretries       5 (profile p)\n"
    );
    assert_eq!((shown.code, shown.stdout), (0, expected));
    let mut lote = command();
    lote.env("LOTE_API_KEY", "hunter22").env("OPENAI_API_KEY", "hunter22").env_remove("LOTE_RETRIES");
    let shown = run(&mut lote, &["config", "show"]);
    let expected = "config file   none\nprofile       none\nbase_url      https://apigw.mka1.com/api/v1/llm (default)\n\
                    dialect       mka1 (the default)\nkey           set (by LOTE_API_KEY)\non_behalf_of  nobody\n\
                    ca_cert       the machine's alone\nretries       3 (default)\n";
    assert_eq!((shown.code, shown.stdout.as_str()), (0, expected));
    // A key that is not taken is told.
    let shown = run(command().env("OPENAI_API_KEY", "hunter22"), &["config", "show"]);
    assert!(shown.stdout.contains("\nkey           not set\n"), "{shown:?}");
    assert!(
        shown.stdout.ends_with("or with a base URL of OpenAI's host\n") && !shown.stdout.contains("hunter22"),
        "{shown:?}"
    );
}

/// The commands of the page run as they are printed, in a place of their own.
#[cfg(unix)]
#[test]
fn the_commands_of_the_page_run() {
    use crate::service::Embedded;
    use crate::shell::{blocks, shell};
    let gateway = Embedded::start();
    let place = folder(&[]);
    let config = [("XDG_CONFIG_HOME", place.path().display().to_string())];
    let blocks = blocks("docs/settings.md");
    assert!(!blocks.is_empty());
    for block in blocks {
        let ran = shell(&block, &gateway, place.path(), &config);
        assert_eq!(ran.code, 0, "{block}: {ran:?}");
    }
}
