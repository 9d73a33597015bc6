//! The tests of `lote gateway`: how it starts, lets keys in, and ends. What it answers is tested in lote-gateway.

mod bounds;
#[cfg(unix)]
mod kept;
mod servers;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::{command, folder, lote};
use serde_json::{Value, json};

/// A running `lote gateway`, killed when dropped.
struct Running {
    child: Child,
    /// What it printed when it was ready.
    ready: Value,
}

impl Running {
    fn start(flags: &[&str]) -> Self {
        Self::run(command(), flags)
    }

    fn run(mut command: Command, flags: &[&str]) -> Self {
        let mut child = command
            .args(["gateway", "--listen", "localhost:0", "--json"])
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("lote starts");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().expect("stdout is a pipe")).read_line(&mut line).expect("a line");
        let ready = serde_json::from_str(&line).expect("JSON");
        Self { child, ready }
    }

    /// The status of a list of batches under a prefix, with this key.
    fn status(&self, prefix: &str, key: &str) -> u16 {
        let answer = self.ask(&format!("GET {prefix}/batches"), key, "", "");
        answer.get(9..12).and_then(|status| status.parse().ok()).expect("a status")
    }

    /// The whole answer to a request with further headers, each with its line break, and a body;
    /// what came of it when the connection was reset.
    fn ask(&self, what: &str, key: &str, headers: &str, body: &str) -> String {
        let listen = self.ready["listen"].as_str().expect("an address");
        let mut stream = TcpStream::connect(listen).expect("it listens");
        write!(
            stream,
            "{what} HTTP/1.1\r\nhost: {listen}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
             content-length: {}\r\n{headers}\r\n{body}",
            body.len()
        )
        .expect("the request is sent");
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer);
        answer
    }

    /// The JSON in the answer to a JSON body.
    fn post(&self, path: &str, headers: &str, asked: &Value) -> Value {
        let headers = format!("content-type: application/json\r\n{headers}");
        body(&self.ask(&format!("POST {path}"), "k", &headers, &asked.to_string()))
    }

    /// The id of an uploaded input file with one request line.
    fn upload(&self, prompt: &str) -> Value {
        let line = json!({"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {
            "model": "m", "messages": [{"role": "user", "content": prompt}],
        }});
        let part = "--b\r\ncontent-disposition: form-data; name=";
        let form = format!(
            "{part}\"purpose\"\r\n\r\nbatch\r\n{part}\"file\"; filename=\"r.jsonl\"\r\n\r\n{line}\r\n--b--\r\n"
        );
        let headers = "content-type: multipart/form-data; boundary=b\r\n";
        body(&self.ask("POST /v1/files", "k", headers, &form))["id"].clone()
    }

    /// Ends it, and returns what it printed to stderr.
    #[cfg(unix)]
    fn end(mut self) -> String {
        crate::common::signal(&self.child, "TERM");
        let status = self.child.wait().expect("it ends");
        assert_eq!(status.code(), Some(0));
        let mut stderr = String::new();
        self.child.stderr.take().expect("stderr is a pipe").read_to_string(&mut stderr).expect("text");
        stderr
    }
}

/// A chat of a client, and the answer's status.
fn chat(gateway: &Running, text: &str) -> (u16, String) {
    let body = json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string();
    let answer = gateway.ask("POST /v1/chat/completions", "sk-client", "content-type: application/json\r\n", &body);
    (answer.get(9..12).and_then(|status| status.parse().ok()).expect("a status"), answer)
}

/// Asks until it is so.
fn until(what: &str, so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::yield_now();
    }
}

/// The JSON body of an answer.
fn body(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    serde_json::from_str(body).expect("JSON")
}

/// What a create asks for.
fn create(file: &Value) -> Value {
    json!({"input_file_id": file, "endpoint": "/v1/chat/completions", "completion_window": "24h"})
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_serves_two_prefixes_to_any_key() {
    let gateway = Running::start(&[]);
    let listen = gateway.ready["listen"].as_str().expect("an address");
    assert_eq!(gateway.ready["base_urls"][0], format!("http://{listen}/api/v1/llm"));
    assert_eq!(gateway.ready["base_urls"][1], format!("http://{listen}/v1"));
    for prefix in ["/api/v1/llm", "/v1"] {
        assert_eq!(gateway.status(prefix, "anything"), 200, "{prefix}");
        assert_eq!(gateway.status(prefix, ""), 401, "{prefix}");
    }
}

#[test]
fn it_stops_with_what_gives_it_its_stdin() {
    let mut command = command();
    command.stdin(Stdio::piped());
    let mut gateway = Running::run(command, &["--stop-with-stdin"]);
    let mut stdin = gateway.child.stdin.take().expect("stdin is a pipe");
    stdin.write_all(b"what comes there is nothing to it\n").expect("it reads");
    assert_eq!(gateway.status("/v1", "k"), 200);
    drop(stdin);
    assert_eq!(gateway.child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn only_the_given_keys_are_let_in() {
    let folder = folder(&[("keys.txt", b"\n key-2 \r\nkey-3\n")]);
    let keys = folder.path().join("keys.txt");
    let gateway = Running::start(&["--key", "key-1", "--key-file", keys.to_str().expect("a UTF-8 path")]);
    assert_eq!(gateway.ready["keys"], 3);
    for (key, status) in [("key-1", 200), ("key-2", 200), ("key-3", 200), ("key-4", 401), ("key-", 401)] {
        assert_eq!(gateway.status("/v1", key), status, "{key}");
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_a_key() {
    let folder = folder(&[("keys.txt", "\u{feff}key-1\nkey-2\n".as_bytes())]);
    let keys = folder.path().join("keys.txt");
    let gateway = Running::start(&["--key-file", keys.to_str().expect("a UTF-8 path")]);
    for (key, status) in [("key-1", 200), ("key-2", 200), ("\u{feff}key-1", 401)] {
        assert_eq!(gateway.status("/v1", key), status, "{key:?}");
    }
}

#[test]
fn keys_of_a_file_have_names_or_none() {
    let content = "# ours\nplain-key==\nacme = key-a\nglobex key-b\ninitech = \"key-c\"\nacme = key-d\n";
    let folder = folder(&[("keys.txt", content.as_bytes())]);
    let keys = folder.path().join("keys.txt");
    let gateway = Running::start(&["--journal", "--key-file", keys.to_str().expect("a UTF-8 path")]);
    assert_eq!(gateway.ready["keys"], 5);
    // The last one is to replace the second: they are one tenant.
    let named = [("key-a", "acme"), ("key-b", "globex"), ("key-c", "initech"), ("key-d", "acme")];
    for (key, name) in [("plain-key==", "key-1")].into_iter().chain(named) {
        let part = "--b\r\ncontent-disposition: form-data; name=";
        let form = format!("{part}\"purpose\"\r\n\r\nbatch\r\n{part}\"file\"; filename=\"r\"\r\n\r\nx\r\n--b--\r\n");
        gateway.ask("POST /v1/files", key, "content-type: multipart/form-data; boundary=b\r\n", &form);
        let journal = body(&gateway.ask("GET /_lote/journal", key, "", ""));
        assert_eq!(journal["data"][0]["tenant"], name, "{journal}");
        assert!(!journal.to_string().contains(key));
    }
    for key in ["acme", "\"key-c\"", "# ours", "plain-key"] {
        assert_eq!(gateway.status("/v1", key), 401, "{key}");
    }
}

#[cfg(unix)]
#[test]
fn faults_of_a_file_happen_and_leftovers_are_told() {
    let faults = "\
[[fault]]
on = \"create-batch\"
nth = 1
effect = \"answer-lost\"

[[fault]]
on = \"list-batches\"
nth = 2
effect = \"status\"
status = 503
retry_after = 9
body = \"html\"

[[fault]]
on = \"get-file\"
nth = 1
effect = \"reset\"
";
    let folder = folder(&[("faults.toml", faults.as_bytes())]);
    let faults = folder.path().join("faults.toml");
    let gateway = Running::start(&["--faults", faults.to_str().expect("a UTF-8 path"), "--journal"]);
    let file = gateway.upload("one");
    let lost = gateway.ask("POST /v1/batches", "k", "content-type: application/json\r\n", &create(&file).to_string());
    assert_eq!(lost, "");
    let listed = body(&gateway.ask("GET /v1/batches", "k", "", ""));
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1), "{listed}");
    let refused = gateway.ask("GET /v1/batches", "k", "", "");
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: 9"), "{refused}");
    assert!(refused.contains("<html>"), "{refused}");
    let stderr = gateway.end();
    assert_eq!(stderr, "note: fault 3 ('reset' on 'get-file', line 14) was never used; calls seen: 0\n");
}

#[test]
fn a_day_passes_when_it_is_told_to_and_a_seed_repeats_all_ids() {
    let day = || {
        let gateway = Running::start(&["--clock", "virtual", "--seed", "7", "--idempotency"]);
        let file = gateway.upload("[[sleep=86000000]]");
        let key = "idempotency-key: once\r\n";
        let created = gateway.post("/v1/batches", key, &create(&file));
        let moved = gateway.post("/_lote/clock/advance", "", &json!({"seconds": 86_000}));
        assert_eq!(moved["now"], 1_767_225_600 + 86_000);
        let again = gateway.post("/v1/batches", key, &create(&file));
        assert_eq!((&again["id"], &again["status"]), (&created["id"], &json!("completed")));
        assert_eq!(again["completed_at"], 1_767_225_600 + 86_000);
        assert_eq!(body(&gateway.ask("GET /_lote/journal", "k", "", ""))["error"]["param"], Value::Null);
        again
    };
    assert_eq!(day(), day());
}

#[test]
fn limits_are_flags() {
    let gateway = Running::start(&["--clock", "virtual", "--max-line-bytes", "200"]);
    for (prompt, status) in [("one", "completed"), (&"x".repeat(200), "failed")] {
        let batch = gateway.post("/v1/batches", "", &create(&gateway.upload(prompt)));
        let path = format!("GET /v1/batches/{}", batch["id"].as_str().expect("an id"));
        let batch = body(&gateway.ask(&path, "k", "", ""));
        assert_eq!(batch["status"], status, "{batch}");
    }
    for (flags, what) in [
        (["--max-stored-bytes", "10"], "at most 10 bytes"),
        (["--max-stored-files", "0"], "at most 0 files"),
        (["--max-stored-batches", "0"], "at most 0 batches"),
    ] {
        let gateway = Running::start(&flags);
        let part = "--b\r\ncontent-disposition: form-data; name=";
        let form =
            format!("{part}\"purpose\"\r\n\r\nbatch\r\n{part}\"file\"; filename=\"r\"\r\n\r\n0123456789ab\r\n--b--");
        let answer = if flags[0] == "--max-stored-batches" {
            gateway.post("/v1/batches", "", &create(&json!("file-x")))
        } else {
            body(&gateway.ask("POST /v1/files", "k", "content-type: multipart/form-data; boundary=b\r\n", &form))
        };
        assert!(answer["error"]["message"].as_str().is_some_and(|message| message.contains(what)), "{answer}");
    }
}

#[cfg(unix)]
#[test]
fn signals_end_it_with_exit_0() {
    for name in ["INT", "TERM"] {
        let mut gateway = Running::start(&[]);
        crate::common::signal(&gateway.child, name);
        let status = gateway.child.wait().expect("it ends");
        assert_eq!(status.code(), Some(0), "{name}");
        let mut stderr = String::new();
        gateway.child.stderr.take().expect("stderr is a pipe").read_to_string(&mut stderr).expect("text");
        assert_eq!(stderr, "", "{name}");
    }
}

#[test]
fn what_cannot_be_used_is_exit_2() {
    let folder = folder(&[
        ("empty.txt", b"\n \n"),
        ("words.txt", b"one two three\n"),
        ("faults.toml", b"[[fault]]\non = \"get-batch\"\neffect = \"answer-lost\"\nntn = 1\n"),
        ("broken.toml", b"seed = 1\n[[fault\n"),
        ("mark.txt", "key-1\n\u{feff}key-2\n".as_bytes()),
        ("unseen.txt", "key\u{200b}-1\n".as_bytes()),
        ("utf16.txt", b"\xff\xfek\0e\0y\0"),
        ("long.txt", &[b'k'; 1_048_577]),
        ("many.txt", "k\n".repeat(10_001).as_bytes()),
        ("only-a-mark.txt", "\u{feff}\n".as_bytes()),
    ]);
    let path = |name: &str| folder.path().join(name).to_str().expect("a UTF-8 path").to_owned();
    let (empty, absent) = (path("empty.txt"), path("absent.txt"));
    let (words, unknown, broken) = (path("words.txt"), path("faults.toml"), path("broken.toml"));
    for (flags, expected) in [
        (&["--listen", "0.0.0.0:0"][..], "add --key or --key-file"),
        (&["--listen", "[::]:0"], "add --key or --key-file"),
        (&["--listen", "8787"], "give an IP address and a port"),
        (&["--listen", "example.org:80"], "give an IP address and a port"),
        (&["--key", ""], "a value is required for '--key"),
        (&["--key-file", &empty], "empty.txt: holds no key"),
        (&["--key-file", &absent], "absent.txt: cannot be read"),
        (&["--key-file", &words], "words.txt, line 1: expected a key"),
        (&["--key-file", &path("mark.txt")], "mark.txt, line 2: holds a character that cannot be seen"),
        (&["--key-file", &path("unseen.txt")], "unseen.txt, line 1: holds a character that cannot be seen"),
        (&["--key-file", &path("utf16.txt")], "utf16.txt: is not UTF-8"),
        (&["--key-file", &path("long.txt")], "long.txt: is longer than 1048576 bytes"),
        (&["--key-file", &path("many.txt")], "many.txt, line 10001: at most 10000 keys"),
        (&["--key-file", &path("only-a-mark.txt")], "only-a-mark.txt: holds no key"),
        (&["--faults", &path("long.txt")], "long.txt: is longer than 1048576 bytes"),
        (&["--faults", &absent], "absent.txt: cannot be read"),
        (&["--faults", &unknown], "faults.toml: line 4, key 'ntn': not known here; known are: on, nth,"),
        (&["--faults", &broken], "broken.toml: line 2: this is no TOML"),
        (&["--clock", "sundial"], "invalid value 'sundial'"),
        (&["--seed", "-1"], "unexpected argument '-1'"),
    ] {
        let ended = lote(["gateway"].iter().chain(flags));
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{flags:?}: {ended:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(expected), "{flags:?}: {ended:?}");
    }
}

#[test]
fn a_busy_port_is_exit_2() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let ended = lote(["gateway", "--listen", &address]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
    assert!(ended.stderr.starts_with(&format!("error: {address}: the port is in use")), "{ended:?}");
}
