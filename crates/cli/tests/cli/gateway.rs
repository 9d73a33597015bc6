//! Owns the tests of `lote gateway`: how it starts, lets keys in, and ends. What it answers is
//! tested in lote-gateway.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use crate::common::{command, folder, lote};
use serde_json::Value;

/// A running `lote gateway`, killed when dropped.
struct Running {
    child: Child,
    /// What it printed when it was ready.
    ready: Value,
}

impl Running {
    fn start(flags: &[&str]) -> Self {
        let mut child = command()
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
        let listen = self.ready["listen"].as_str().expect("an address");
        let mut stream = TcpStream::connect(listen).expect("it listens");
        write!(
            stream,
            "GET {prefix}/batches HTTP/1.1\r\nhost: {listen}\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
        )
        .expect("the request is sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.get(9..12).and_then(|status| status.parse().ok()).expect("a status")
    }
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
fn only_the_given_keys_are_let_in() {
    let folder = folder(&[("keys.txt", b"\n key-2 \r\nkey-3\n")]);
    let keys = folder.path().join("keys.txt");
    let gateway = Running::start(&["--key", "key-1", "--key-file", keys.to_str().expect("a UTF-8 path")]);
    assert_eq!(gateway.ready["keys"], 3);
    for (key, status) in [("key-1", 200), ("key-2", 200), ("key-3", 200), ("key-4", 401), ("key-", 401)] {
        assert_eq!(gateway.status("/v1", key), status, "{key}");
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
    let folder = folder(&[("empty.txt", b"\n \n")]);
    let path = |name: &str| folder.path().join(name).to_str().expect("a UTF-8 path").to_owned();
    let (empty, absent) = (path("empty.txt"), path("absent.txt"));
    for (flags, expected) in [
        (&["--listen", "0.0.0.0:0"][..], "add --key or --key-file"),
        (&["--listen", "[::]:0"], "add --key or --key-file"),
        (&["--listen", "8787"], "give an IP address and a port"),
        (&["--listen", "example.org:80"], "give an IP address and a port"),
        (&["--key", ""], "a value is required for '--key"),
        (&["--key-file", &empty], "empty.txt: holds no key"),
        (&["--key-file", &absent], "absent.txt: cannot be read"),
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
