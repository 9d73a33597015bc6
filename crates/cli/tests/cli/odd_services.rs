//! Owns the tests of what `lote batches` and `lote files` say of services that do not behave.

use std::net::TcpListener;

use crate::common::ended;
use crate::service::{Embedded, KEY, Odd, answer, ask, at, json};
use lote_gateway::Gateway;
use serde_json::json;

#[test]
fn each_odd_answer_is_exit_4_and_says_what_came() {
    let json_of = |status: &str, body: &str| answer(status, "application/json", body);
    let page = "<!doctype html><html><head><title>Sign in</title></head></html>";
    let late = r#"{"id":"batch_1","status":"completed","created_at":9007199254740992}"#;
    for (answer, expected) in [
        (answer("200 OK", "text/html", page), "not JSON but an HTML page titled \"Sign in\""),
        (answer("502 Bad Gateway", "text/html", page), "answered 502 Bad Gateway: an HTML page titled \"Sign in\""),
        (json_of("200 OK", ""), "the answer is empty"),
        (json_of("200 OK", "[1]"), "the answer is not what the contract says"),
        (json_of("200 OK", "{}"), "batch.id: it is missing"),
        (json_of("200 OK", late), "batch.created_at: 9007199254740992 is out of range"),
        (json_of("200 OK", r#"{"id":"b","status":[7]}"#), "batch.status: [7]"),
        (json_of("401 Unauthorized", &format!(r#"{{"error":{{"message":"bad key {KEY}"}}}}"#)), "bad key [key]"),
        (json_of("403 Forbidden", &format!(r#"{{"error":"{KEY} may not"}}"#)), "[key] may not"),
        (answer("400 Bad Request", "text/plain", KEY), "answered 400 Bad Request: [key]"),
        (answer("200 OK", "text/plain", KEY), "not JSON but [key]"),
        (json_of("404 Not Found", r#"{"detail":"no such batch"}"#), "answered 404 Not Found: no such batch"),
        (json_of("500 Internal Server Error", ""), "answered 500 Internal Server Error"),
        (json_of("400 Bad Request", r#"{"error":{"message":"a\u001b[2Jb","code":"x_y"}}"#), "a\\u{1b}[2Jb (code x_y)"),
        (b"HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n".to_vec(), "it points to /login"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"id\":".to_vec(), "was lost"),
        (b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), "was lost"),
        (Vec::new(), "was lost"),
    ] {
        let odd = Odd::answering([answer]);
        let got = ask(odd.url(), ["batches", "get", "batch_1"]);
        assert_eq!((got.code, got.stdout.as_str()), (4, ""), "{expected}: {got:?}");
        assert!(got.stderr.starts_with("error: get batch batch_1: "), "{expected}: {got:?}");
        assert!(got.stderr.contains(expected), "{expected}: {got:?}");
        assert!(!got.stderr.trim_end().contains(|c: char| c.is_control()), "{expected}: {got:?}");
    }
}

#[test]
fn a_fault_in_a_list_is_named() {
    for (noun, more) in [("batches", json!({"status": "completed"})), ("files", json!({}))] {
        let mut late = json!({"id": "x_2", "created_at": 9_007_199_254_740_992_i64});
        late.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let mut first = more.clone();
        first["id"] = json!("x_1");
        let listed = ask(Odd::saying(&json!({"data": [first, late]})).url(), [noun, "list"]);
        assert_eq!((listed.code, listed.stdout.as_str()), (4, ""), "{listed:?}");
        assert!(listed.stderr.contains("data[1].created_at: 9007199254740992 is out of range"), "{listed:?}");
    }
}

#[test]
fn a_service_that_is_not_there_is_exit_4_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    drop(listener);
    for args in [
        &["batches", "get", "batch_1"][..],
        &["batches", "wait", "batch_1"],
        &["batches", "list", "--all"],
        &["batches", "create", "file-1", "--endpoint", "chat"],
        &["files", "upload", "-"],
        &["files", "content", "file-1"],
    ] {
        let ended = ask(&url, args);
        assert_eq!((ended.code, ended.stdout.as_str()), (4, ""), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(&format!("could not reach {url}")), "{args:?}: {ended:?}");
        assert!(!ended.stderr.contains("may have been made"), "{args:?}: {ended:?}");
    }
}

#[test]
fn a_wrong_key_is_exit_4() {
    let gateway = Embedded::with(Gateway::builder().key("mk-right"));
    for args in [["batches", "list"], ["batches", "wait"], ["files", "list"]] {
        let args = args.iter().copied().chain((args[1] == "wait").then_some("batch_1"));
        let ended = gateway.lote(args);
        assert_eq!((ended.code, ended.stdout.as_str()), (4, ""), "{ended:?}");
        assert!(ended.stderr.contains("the service answered 401 Unauthorized"), "{ended:?}");
    }
    let right = gateway.lote(["batches", "list", "--api-key", "mk-right"]);
    assert_eq!((right.code, &json(&right)["data"]), (0, &json!([])), "{right:?}");
}

#[test]
fn a_proxy_is_not_meant_for_this_machine() {
    let gateway = Embedded::start();
    let mut command = at(gateway.url());
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, "http://127.0.0.1:1");
    }
    let listed = ended(command.args(["files", "list"]), b"");
    assert_eq!(listed.code, 0, "{listed:?}");
}
