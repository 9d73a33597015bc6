//! Where settings come from: flags, variables, profiles, OpenAI's variables, defaults; and where a key may go.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::{Ended, command, ended, folder, lote_in, signal, until};
use crate::service::{Embedded, Odd, Unasked, answer, at, json, requests};

/// A certificate, for settings that name a file of them.
const PEM: &str = "-----BEGIN CERTIFICATE-----
MIIBdjCCARugAwIBAgIUVAZsFvyC7usJLM2ADJHuT3ECFncwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMzAwMzE0MzJaGA8yMTI2MTEwNjAzMTQz
MlowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBu/
t2etc60mPiyixqNnEJL5Tvel+g5zNFuRgDqh6JhQdyyKQdRSXUb4VhhJLkV3YI7L
u8+jZrwUXdF+viLESXujUzBRMB0GA1UdDgQWBBRAwEkNUkV0j6D70uvodW7/ob3D
6DAfBgNVHSMEGDAWgBRAwEkNUkV0j6D70uvodW7/ob3D6DAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0kAMEYCIQC+YHfQ0J6EDjxAvZgyM0cf6cTOR5rBZT9V
c5go11aUJgIhANhVY6xQk2lC6/jJstmZcOzfGnrTZ+etLU2j0sEapJqu
-----END CERTIFICATE-----
";

/// A key that must be seen by nobody but the service that it is for.
const SECRET: &str = "sk-hunter22-hunter22";

const EMPTY: &str = r#"{"data":[],"has_more":false}"#;

/// `lote` in a folder with this config file.
fn with(place: &Path, config: &str) -> Command {
    fs::write(place.join("config.toml"), config).expect("the config file");
    let mut lote = command();
    lote.env("LOTE_CONFIG", place.join("config.toml")).current_dir(place);
    lote
}

fn run(command: &mut Command, args: &[&str]) -> Ended {
    let ended = ended(command.args(args), b"");
    assert!(!ended.stdout.contains("hunter22") && !ended.stderr.contains("hunter22"), "{ended:?}");
    ended
}

fn ok() -> Vec<u8> {
    answer("200 OK", "application/json", EMPTY)
}

/// One setting: its flag, variable and key in a profile; a value for each, and what it is by default.
struct Row {
    name: &'static str,
    flag: &'static str,
    variable: &'static str,
    values: [&'static str; 3],
    default: Value,
}

/// Of each setting the first source that there is counts, whatever else is there.
#[test]
fn the_whole_table_of_what_comes_first() {
    let place = folder(&[("a.pem", PEM.as_bytes()), ("b.pem", PEM.as_bytes()), ("c.pem", PEM.as_bytes())]);
    let path = |name: &str| place.path().join(name).display().to_string();
    let rows = [
        Row {
            name: "base_url",
            flag: "--base-url",
            variable: "LOTE_BASE_URL",
            values: ["http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1", "http://127.0.0.1:3/v1"],
            default: "https://apigw.mka1.com/api/v1/llm".into(),
        },
        Row {
            name: "dialect",
            flag: "--dialect",
            variable: "LOTE_DIALECT",
            values: ["openai", "groq", "together"],
            default: "mka1".into(),
        },
        Row {
            name: "on_behalf_of",
            flag: "--on-behalf-of",
            variable: "LOTE_ON_BEHALF_OF",
            values: ["ana", "ben", "eva"],
            default: Value::Null,
        },
        Row {
            name: "ca_cert",
            flag: "--ca-cert",
            variable: "LOTE_CA_CERT",
            values: ["a.pem", "b.pem", "c.pem"],
            default: Value::Null,
        },
        Row {
            name: "retries",
            flag: "--retries",
            variable: "LOTE_RETRIES",
            values: ["7", "8", "9"],
            default: 3.into(),
        },
        Row { name: "key", flag: "--api-key", variable: "LOTE_API_KEY", values: [SECRET; 3], default: Value::Null },
    ];
    for Row { name, flag, variable, values, default } in &rows {
        for level in 0..4 {
            // All that come after it are there as well.
            let of_profile = match *name {
                "key" => "key_file = \"/nowhere\"".to_owned(),
                "retries" => format!("{name} = {}", values[2]),
                name => format!("{name} = {:?}", values[2]),
            };
            let config = if level <= 2 { format!("[profile.p]\n{of_profile}\n") } else { "[profile.p]\n".to_owned() };
            let mut lote = with(place.path(), &config);
            lote.env_remove("LOTE_RETRIES").args(["config", "show", "--json", "--profile", "p"]);
            if level == 0 {
                lote.args([flag, &values[0]]);
            }
            if level <= 1 {
                lote.env(variable, values[1]);
            }
            let shown = json(&run(&mut lote, &[]));
            let setting = &shown["settings"][*name];
            let source = match level {
                0 => json!({ "from": "flag", "name": flag }),
                1 => json!({ "from": "variable", "name": variable }),
                2 => json!({ "from": "profile", "name": "p", "line": 2 }),
                _ => json!({ "from": "default" }),
            };
            assert_eq!(setting["source"], source, "{name} {level}: {shown}");
            if *name == "key" {
                assert_eq!(setting["set"], level < 3, "{shown}");
                continue;
            }
            let expected = match (*name, level) {
                (_, 3) => default.clone(),
                ("retries", level) => json!(values[level].parse::<u32>().expect("a number")),
                // Paths of a profile are from its file on.
                ("ca_cert", 2) => path(values[2]).into(),
                (_, level) => values[level].into(),
            };
            assert_eq!(setting["value"], expected, "{name} {level}: {shown}");
        }
    }
}

#[test]
fn the_profile_is_named_by_a_flag_a_variable_or_the_file() {
    let place = folder(&[]);
    let config = "default_profile = 'one'\n[profile.one]\nretries = 1\n[profile.two]\nretries = 2\n[profile.three]\nretries = 3\n";
    for (args, variable, retries, source) in [
        (&[][..], "", 1, json!({ "from": "config_file", "line": 1 })),
        (&[], "two", 2, json!({ "from": "variable", "name": "LOTE_PROFILE" })),
        (&["--profile", "three"], "two", 3, json!({ "from": "flag", "name": "--profile" })),
        (&["--profile", ""], "two", 1, json!({ "from": "config_file", "line": 1 })),
    ] {
        let mut lote = with(place.path(), config);
        lote.env("LOTE_PROFILE", variable).env_remove("LOTE_RETRIES").args(["config", "show", "--json"]);
        let shown = json(&run(&mut lote, args));
        assert_eq!((&shown["settings"]["retries"]["value"], &shown["profile"]["source"]), (&json!(retries), &source));
    }
    for (config, args, said) in [
        (config, &["--profile", "tow"][..], "there is no profile \"tow\": did you mean two?"),
        (config, &["--profile", "zzzzz"], "there is no profile \"zzzzz\"; known are one, three, two"),
        ("", &["--profile", "one"], "there is no profile \"one\"; it has none"),
        (
            "\ndefault_profile = 'on'\n[profile.one]\n",
            &[],
            "config.toml: line 2: default_profile: there is no profile \"on\": did you mean one?",
        ),
    ] {
        let refused = run(&mut with(place.path(), config), &[&["batches", "list"], args].concat());
        assert!(refused.code == 2 && refused.stderr.contains(said), "{refused:?}");
    }
    let unwritten = run(&mut command(), &["batches", "list", "--profile", "one"]);
    let said =
        "error: --profile one: there is no config file, /nowhere/at/all/lote/config.toml; lote config init writes";
    assert!(unwritten.code == 2 && unwritten.stderr.starts_with(said), "{unwritten:?}");
    let unfound = run(command().env("LOTE_CONFIG", "/nowhere.toml"), &["batches", "list"]);
    assert!(unfound.code == 2 && unfound.stderr.contains("; LOTE_CONFIG names it"), "{unfound:?}");
}

#[test]
fn a_config_file_that_is_not_understood_is_told_with_its_line_and_no_value() {
    let place = folder(&[]);
    for (config, said) in [
        ("[profile.p]\nbase-url = 'hunter22'\n", "line 2: profile p: unknown key \"base-url\": did you mean base_url?"),
        (
            "[profile.p]\n\napi_key = 'sk-hunter22'\n",
            "line 3: profile p: api_key would be a key in plain sight. In its place write key_command",
        ),
        ("api_key = 'sk-hunter22'\n", "line 1: api_key would be a key in plain sight."),
        ("[profile.p]\nretries = 'hunter22'\n", "line 2: profile p: retries is of the wrong type, string"),
        ("[profile.p\nkey = 'hunter22'", "line 1: "),
    ] {
        // Also of a command that makes no call, but takes the dialect of the profile.
        for args in [&["batches", "list"][..], &["config", "show"], &["config"], &["check", "config.toml"]] {
            let refused = run(&mut with(place.path(), config), args);
            assert!(refused.code == 2 && refused.stderr.contains(&format!("config.toml: {said}")), "{refused:?}");
        }
        // What needs no service needs no config file either.
        assert_eq!(run(&mut with(place.path(), config), &["--version"]).code, 0);
    }
    for (config, said) in [
        ("[profile.p]\nbase_url = 'ftp://x'\n", "  it is that of profile p: "),
        ("[profile.p]\n\ndialect = 'opneai'\n", "config.toml, line 3\n"),
        ("[profile.p]\nca_cert = 'none.pem'\n", "config.toml, line 2\n"),
    ] {
        let refused = run(&mut with(place.path(), config), &["files", "list", "--profile", "p", "--api-key", "k"]);
        assert!(refused.code == 2 && refused.stderr.contains(said), "{refused:?}");
    }
    let variable = run(command().env("LOTE_BASE_URL", "ftp://x").env("LOTE_API_KEY", "k"), &["files", "list"]);
    assert!(variable.code == 2 && variable.stderr.ends_with("\n  it is that of LOTE_BASE_URL\n"), "{variable:?}");
}

/// It names a command that is run, and where a key goes.
#[cfg(unix)]
#[test]
fn a_config_file_that_everybody_can_change_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let place = folder(&[("it's.toml", b"[profile.p]\nkey_command = ['touch', 'ran']\n")]);
    let path = place.path().join("it's.toml");
    let listed = |mode| {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        run(command().current_dir(&place).env("LOTE_CONFIG", "it's.toml"), &["batches", "list", "--profile", "p"])
    };
    let refused = listed(0o602);
    let said = r"it's.toml: every user of this machine can change it: chmod 600 'it'\''s.toml'";
    assert!(refused.code == 2 && refused.stderr.contains(said), "{refused:?}");
    assert!(!place.path().join("ran").exists());
    let read = listed(0o664);
    assert!(read.stderr.contains("its first line is empty") && place.path().join("ran").exists(), "{read:?}");
    // A device is everybody's, and has no end.
    let none = run(command().env("LOTE_CONFIG", "/dev/null"), &["config"]);
    assert_eq!(none.code, 0, "{none:?}");
    let endless = run(command().env("LOTE_CONFIG", "/dev/zero"), &["config"]);
    assert!(endless.code == 2 && endless.stderr.contains("/dev/zero: the config file cannot be read: "), "{endless:?}");
}

#[test]
fn openais_variables_are_taken_where_openai_is_meant_and_it_is_said_once() {
    let place = folder(&[]);
    let odd = Odd::answering([ok(), ok(), ok()]);
    let url = format!("{}/v1", odd.url());
    let openai = || {
        let mut lote = with(place.path(), "[profile.p]\ndialect = 'openai'\n");
        lote.env("OPENAI_API_KEY", SECRET).env("OPENAI_BASE_URL", &url);
        lote
    };
    let note = "the key is that of OPENAI_API_KEY, the base URL that of OPENAI_BASE_URL, as for OpenAI's own tools; \
                LOTE_API_KEY and LOTE_BASE_URL would come first\n";
    for (args, said) in
        [(&["--dialect", "openai"][..], note), (&["--profile", "p"], note), (&["--profile", "p", "-q"], "")]
    {
        let listed = run(&mut openai(), &[&["batches", "list"], args].concat());
        assert_eq!((listed.code, listed.stderr.as_str()), (0, said), "{listed:?}");
        let asked = odd.asked();
        assert!(asked.head.contains(&format!("authorization: Bearer {SECRET}\r\n")), "{asked:?}");
    }
    // Ours come first, and nothing is said then.
    let ours = Odd::answering([ok()]);
    let mut lote = openai();
    lote.env("LOTE_API_KEY", "mk-1").env("LOTE_BASE_URL", ours.url());
    let listed = run(&mut lote, &["batches", "list", "--dialect", "openai"]);
    assert_eq!((listed.code, listed.stderr.as_str()), (0, ""), "{listed:?}");
    assert!(ours.asked().head.contains("authorization: Bearer mk-1\r\n"));
    // Where nothing says OpenAI, they are not taken, and that is told with the reason.
    let refused = run(&mut openai(), &["batches", "list"]);
    assert!(
        refused.code == 2 && refused.stderr.contains("  OPENAI_API_KEY is set, and not taken: it counts with"),
        "{refused:?}"
    );
}

/// A service that must not see the key of OpenAI, whoever names it, also behind a redirect.
#[test]
fn openais_key_never_reaches_another_service() {
    let place = folder(&[]);
    let unasked = Unasked::listen();
    let other = format!("{}/v1", unasked.url());
    for openai_url in [None, Some("https://api.openai.com/v1")] {
        let lote = |config: &str| {
            let mut lote = with(place.path(), config);
            lote.env("OPENAI_API_KEY", SECRET).envs(openai_url.map(|url| ("OPENAI_BASE_URL", url)));
            lote
        };
        let of_profile = format!("[profile.p]\ndialect = 'openai'\nbase_url = '{other}'\n");
        for (config, args, variable) in [
            ("", &["--dialect", "openai", "--base-url", &other][..], None),
            ("", &["--base-url", &other], None),
            ("", &["--dialect", "openai"], Some(&other)),
            (of_profile.as_str(), &["--profile", "p"], None),
        ] {
            let mut lote = lote(config);
            lote.envs(variable.map(|url| ("LOTE_BASE_URL", url)));
            let refused = run(&mut lote, &[&["batches", "list"], args].concat());
            assert!(refused.code == 2 && refused.stderr.starts_with("error: no API key: "), "{refused:?}");
            assert!(refused.stderr.contains("OPENAI_API_KEY is set, and not taken: "), "{refused:?}");
            unasked.assert(args);
        }
    }
    let elsewhere =
        format!("HTTP/1.1 307 X\r\nlocation: {other}/batches\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let odd = Odd::answering([elsewhere.into_bytes()]);
    let mut lote = command();
    lote.env("OPENAI_API_KEY", SECRET).env("OPENAI_BASE_URL", format!("{}/v1", odd.url()));
    let redirected = run(&mut lote, &["batches", "list", "--dialect", "openai"]);
    assert_eq!(redirected.code, 4, "{redirected:?}");
    assert!(odd.asked().head.contains(SECRET));
    unasked.assert("the redirect");
}

#[cfg(unix)]
#[test]
fn the_key_of_a_profile_is_what_its_command_prints_or_its_file_holds() {
    use std::os::unix::fs::PermissionsExt;
    let place = folder(&[("key", format!("{SECRET}\nmore\n").as_bytes())]);
    let set = |mode| fs::set_permissions(place.path().join("key"), fs::Permissions::from_mode(mode)).expect("its mode");
    set(0o600);
    let odd = Odd::answering([ok(), ok()]);
    let url = odd.url();
    let by_command =
        |script: &str| format!("[profile.p]\nbase_url = '{url}'\nkey_command = ['sh', '-c', '{script}']\n");
    let by_file = format!("[profile.p]\nbase_url = '{url}'\nkey_file = 'key'\n");
    // A shell that read the words would see a comment.
    for config in [by_command(&format!("echo {SECRET} # $0; echo more")), by_file.clone()] {
        let listed = run(&mut with(place.path(), &config), &["batches", "list", "--profile", "p"]);
        assert_eq!((listed.code, listed.stderr.as_str()), (0, ""), "{listed:?}");
        assert!(odd.asked().head.contains(&format!("authorization: Bearer {SECRET}\r\n")));
    }
    set(0o644);
    for (config, said) in [
        (by_command("echo hunter22; echo hunter22 >&2; exit 7"), "no API key: key_command: sh failed with exit code 7"),
        (by_command("true hunter22"), "no API key: key_command: its first line is empty"),
        (by_file, "key: every user of this machine can read or change it: chmod 600 "),
    ] {
        let refused = run(&mut with(place.path(), &config), &["batches", "list", "--profile", "p"]);
        assert!(refused.code == 2 && refused.stderr.contains(said), "{refused:?}");
        assert!(
            refused.stderr.contains("  it is that of profile p: ") && refused.stderr.contains(", line 3\n"),
            "{refused:?}"
        );
    }
    // It goes to the service of the profile alone.
    let unasked = Unasked::listen();
    let config = by_command(&format!("echo {SECRET}"));
    let refused =
        run(&mut with(place.path(), &config), &["batches", "list", "--profile", "p", "--base-url", &unasked.url()]);
    let said = format!("  the key of profile p is for {url} alone, and --base-url names another service\n");
    assert!(refused.code == 2 && refused.stderr.contains(&said), "{refused:?}");
    unasked.assert("the key of the profile");
}

/// A person may have to unlock where a key is kept, and change their mind.
#[cfg(target_os = "linux")]
#[test]
fn what_prints_a_key_is_waited_for_no_longer_than_the_user_wants() {
    use std::process::Stdio;
    let place = folder(&[("requests.jsonl", &requests(&["a"])), ("done.jsonl", &requests(&["b"]))]);
    let gateway = Embedded::start();
    let ran = run(at(gateway.url()).current_dir(&place), &["run", "done.jsonl"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let config = format!(
        "default_profile = 'p'\n[profile.p]\nbase_url = '{}'\n\
         key_command = ['sh', '-c', 'echo $$ > started; mv started pid; exec sleep 600']\n",
        gateway.url()
    );
    for args in [
        &["batches", "list"][..],
        &["run", "requests.jsonl"],
        &["resume", "done.run"],
        &["clean", "done.run", "--remote"],
    ] {
        let mut lote = with(place.path(), &config);
        let mut child = lote.args(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let pid = || fs::read_to_string(place.path().join("pid")).unwrap_or_default().trim().to_owned();
        until("the key is asked for", || !pid().is_empty());
        let asked = pid();
        signal(&child, "INT");
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), Some(130), "{args:?}");
        // What is dead and not yet buried is dead.
        let stat = || fs::read_to_string(format!("/proc/{asked}/stat")).unwrap_or_default();
        until("the command has ended as well", || !stat().contains("(sleep) S"));
        fs::remove_file(place.path().join("pid")).expect("the next one writes it");
    }
    assert!(!place.path().join("requests.run").exists());
}

#[test]
fn an_embedded_run_and_a_profile_exclude_each_other_but_for_the_file() {
    let place = folder(&[("requests.jsonl", &crate::service::requests(&["a"]))]);
    let config = "default_profile = 'p'\n[profile.p]\nkey_command = ['false']\n";
    let ran = run(&mut with(place.path(), config), &["run", "requests.jsonl", "--embedded"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    let both = run(&mut with(place.path(), config), &["run", "requests.jsonl", "--embedded", "--profile", "p"]);
    assert!(both.code == 2 && both.stderr.contains("--embedded and --profile were both given"), "{both:?}");
}

/// The commands that are printed name the profile; what it says need not be repeated, and the run needs no file.
#[cfg(unix)]
#[test]
fn a_run_of_a_profile_goes_on_with_it_or_without() {
    use crate::service::{Embedded, KEY, at};
    let place = folder(&[("requests.jsonl", &crate::service::requests(&["[[sleep=2000]]"]))]);
    let gateway = Embedded::start();
    let config = format!(
        "default_profile = 'my own'\n[profile.'my own']\nbase_url = '{}'\nkey_command = ['echo', '{KEY}']\non_behalf_of = 'ana'\n",
        gateway.url()
    );
    let detached = run(&mut with(place.path(), &config), &["run", "requests.jsonl", "--detach"]);
    assert_eq!(detached.code, 5, "{detached:?}");
    let hint = "to go on: lote resume requests.run --profile 'my own'\n";
    assert!(detached.stderr.contains(hint), "{detached:?}");
    // A flag that comes before the profile is said beside it.
    let flag =
        run(&mut with(place.path(), &config), &["resume", "requests.run", "--detach", "--base-url", gateway.url()]);
    let hint = format!("lote resume requests.run --profile 'my own' --base-url {}/api/v1/llm\n", gateway.url());
    assert!(flag.stderr.contains(&hint), "{flag:?}");
    fs::remove_file(place.path().join("config.toml")).expect("the config file");
    let args = ["resume", "requests.run", "--on-behalf-of", "ana"];
    let resumed = lote_in(at(gateway.url()), place.path(), &args);
    assert_eq!(resumed.code, 0, "{resumed:?}");
}

#[test]
fn a_plan_and_a_check_take_the_dialect_of_the_profile() {
    let place = folder(&[("requests.jsonl", &crate::service::requests(&["a"]))]);
    let config = "[profile.p]\ndialect = './mine.toml'\n";
    fs::write(
        place.path().join("mine.toml"),
        "name = \"mine\"\nextends = \"openai\"\n[create]\nendpoints = [\"/v1/embeddings\"]\n",
    )
    .expect("the dialect");
    for command in ["check", "plan"] {
        let other = run(&mut with(place.path(), config), &[command, "requests.jsonl"]);
        assert_eq!(other.code, 0, "{other:?}");
        let held = run(&mut with(place.path(), config), &[command, "requests.jsonl", "--profile", "p"]);
        assert_eq!(held.code, 3, "{held:?}");
        let flag =
            run(&mut with(place.path(), config), &[command, "requests.jsonl", "--profile", "p", "--dialect", "openai"]);
        assert_eq!(flag.code, 0, "{flag:?}");
    }
}
