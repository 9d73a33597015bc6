//! A gateway that forwards, replays, logs: what stands behind it and what it tells of that.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::{Running, chat};
use crate::common::{command, folder, lote};

#[test]
fn requests_go_to_another_server_with_its_key() {
    let server = Running::start(&["--key", "sk-of-the-operator"]);
    let url = server.ready["base_urls"][1].as_str().expect("a URL");
    let mut with_key = command();
    with_key.env("UPSTREAM_KEY", "sk-of-the-operator");
    let gateway = Running::run(with_key, &["--upstream", url, "--upstream-key-env", "UPSTREAM_KEY"]);
    assert_eq!(gateway.ready["upstreams"], 1);
    let (status, answer) = chat(&gateway, "a word of mine");
    assert!(status == 200 && answer.contains("a word of mine"), "{answer}");

    let text = format!("[[upstream]]\nurl = \"{url}\"\nkey_env = \"UPSTREAM_KEY\"\nmodels = [\"m*\"]\n");
    let folder = folder(&[("gateway.toml", text.as_bytes())]);
    let config = folder.path().join("gateway.toml");
    let mut with_key = command();
    with_key.env("UPSTREAM_KEY", "sk-of-the-operator");
    let gateway = Running::run(with_key, &["--config", config.to_str().expect("UTF-8")]);
    assert_eq!(chat(&gateway, "x").0, 200);
}

#[test]
fn a_server_that_cannot_be_used_is_a_wrong_usage_without_its_key() {
    let folder = folder(&[("gateway.toml", b"[[upstream]]\nurl = \"http://h/v1\"\nkey = \"sk-secret\"\n")]);
    let config = folder.path().join("gateway.toml");
    let path = config.to_str().expect("UTF-8");
    for (flags, words) in [
        (vec!["--upstream", "localhost:8000"], "http://"),
        (vec!["--upstream", "http://u:sk-secret@h/v1"], "no user or password"),
        (vec!["--upstream", "http://h/v1", "--upstream-key-env", "LOTE_NOT_SET"], "LOTE_NOT_SET"),
        (vec!["--upstream", "http://h/v1", "--clock", "virtual"], "--clock virtual"),
        (vec!["--upstream", "http://h/v1", "--config", path], "--config"),
        (vec!["--config", path], "line 3"),
        (vec!["--config", "nowhere.toml"], "nowhere.toml"),
    ] {
        let ended = lote([&["gateway", "--listen", "127.0.0.1:0"], flags.as_slice()].concat());
        assert!(ended.code == 2 && ended.stderr.contains(words), "{flags:?}: {}", ended.stderr);
        assert!(!ended.stderr.contains("sk-secret"), "{}", ended.stderr);
    }
}

#[test]
fn the_page_does_what_it_says() {
    let page = include_str!("../../../../../docs/gateway.md");
    let server = Running::start(&["--key", "sk-of-the-server"]);
    let url = server.ready["base_urls"][1].as_str().expect("a URL");
    // The servers of the page are this one.
    let here = |text: &str| {
        let is_url = |word: &&str| word.trim_matches('"').starts_with("http://");
        text.split(' ')
            .filter(is_url)
            .fold(text.to_owned(), |text, word| text.replace(word.trim().trim_matches('"'), url))
    };
    let block = |fence: &str| {
        let parts = page.split("```").skip(1).step_by(2);
        let of = parts.filter_map(|part| part.strip_prefix(fence)?.strip_prefix('\n').map(str::to_owned));
        of.collect::<Vec<_>>()
    };
    let [config] = &block("toml")[..] else { panic!("one file") };
    let config = config.lines().map(|line| here(line) + "\n").collect::<String>();
    let folder = folder(&[("gateway.toml", config.as_bytes()), ("keys.txt", b"mine = sk-client\n")]);
    let commands: Vec<String> = block("sh").iter().flat_map(|block| block.lines()).map(here).collect();
    let gateways: Vec<_> = commands.iter().filter_map(|line| line.strip_prefix("lote gateway ")).collect();
    let (replays, gateways): (Vec<&str>, Vec<&str>) =
        gateways.into_iter().partition(|flags| flags.contains("--replay"));
    assert_eq!((replays.len(), gateways.len()), (1, 5), "{commands:?}");
    for flags in gateways {
        let mut flags: Vec<&str> = flags.split(' ').collect();
        // Ports of its own.
        if let Some(at) = flags.iter().position(|flag| *flag == "--listen") {
            flags.drain(at..at + 2);
        }
        if let Some(at) = flags.iter().position(|flag| *flag == "--admin-listen") {
            flags[at + 1] = "127.0.0.1:0";
        }
        let mut there = command();
        there
            .current_dir(folder.path())
            .env("SERVER_KEY", "sk-of-the-server")
            .env("HOOK_SECRET", "whsec_MDEyMzQ1Njc4OWFiY2RlZg==");
        if !flags.contains(&"--config") && !flags.contains(&"--upstream-key-env") {
            flags.extend(["--upstream-key-env", "SERVER_KEY"]);
        }
        let gateway = Running::run(there, &flags);
        assert!(gateway.ready["upstreams"].as_u64() > Some(0), "{}", gateway.ready);
        assert_eq!(chat(&gateway, "x").0, 200, "{flags:?}");
        if let Some(admin) = gateway.ready["admin"].as_str() {
            let mut stream = TcpStream::connect(admin).expect("it listens");
            write!(stream, "GET /metrics HTTP/1.1\r\nhost: {admin}\r\nconnection: close\r\n\r\n").expect("it is sent");
            let mut text = String::new();
            stream.read_to_string(&mut text).expect("an answer");
            assert!(text.contains("lote_gateway_upstream_answers_total{"), "{text}");
        }
    }
}

#[test]
fn a_log_is_for_people_or_for_programs() {
    for kind in ["text", "json"] {
        let mut gateway = Running::start(&["--log", kind]);
        assert_eq!(chat(&gateway, "a prompt of mine").0, 200);
        gateway.child.kill().expect("it runs");
        let mut log = String::new();
        gateway.child.stderr.take().expect("a pipe").read_to_string(&mut log).expect("UTF-8");
        assert!(log.contains("chat") && log.contains("req_") && !log.contains("prompt"), "{log}");
        let line = log.lines().next().expect("a line");
        match kind {
            "json" => {
                let notice: Value = serde_json::from_str(line).expect("JSON");
                assert_eq!((&notice["notice"], &notice["status"]), (&json!("answered"), &json!(200)));
                assert!(notice["at"].is_string(), "{line}");
            }
            _ => assert!(line.contains("chat 200 in "), "{line}"),
        }
    }
}

#[test]
fn recorded_answers_come_again() {
    let answer = r#"{"custom_id":"a","response":{"status_code":200,"body":{"choices":[],"said":"once"}},"error":null}"#;
    let request = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"x"}]}}"#;
    let files =
        [("results.jsonl", answer.as_bytes()), ("requests.jsonl", request.as_bytes()), ("odd.jsonl", b"{}".as_slice())];
    let folder = folder(&files);
    let mut here = command();
    here.current_dir(folder.path());
    let gateway = Running::run(here, &["--replay", "results.jsonl", "--replay-requests", "requests.jsonl"]);
    let (status, answer) = chat(&gateway, "x");
    assert!(status == 200 && answer.contains("once"), "{answer}");
    assert_eq!(chat(&gateway, "y").0, 404);
    let odd = folder.path().join("odd.jsonl");
    let ended = lote(["gateway", "--replay", odd.to_str().expect("UTF-8")]);
    assert!(ended.code == 2 && ended.stderr.contains("line 1"), "{}", ended.stderr);
}
