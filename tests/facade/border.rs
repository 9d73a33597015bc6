//! What a service may send, and what of it may go further: answers that cost too much, ids that are none, secrets.

use std::fmt::Write as _;

use lote::{BatchId, Error, FileId};
use serde_json::{Value, json};

use crate::common::{Odd, Reply};

const KEY: &str = "sk-hunter22";

fn id() -> BatchId {
    BatchId::new("b").expect("an id")
}

async fn got(reply: Reply) -> Result<lote::Batch, Error> {
    Odd::new([reply]).client().batches().get(&id()).await
}

fn body(text: String) -> Reply {
    Reply::new(200, &["content-type: application/json"], text)
}

#[tokio::test]
async fn an_answer_that_costs_too_much_is_refused_before_it_is_a_tree() {
    let long = format!(r#"{{"id":"b","status":"{}"}}"#, "x".repeat(1 << 20));
    let many = format!(r#"{{"id":"b","status":"x","more":[{}{{}}]}}"#, "{},".repeat(200_000));
    let deep = format!(r#"{{"id":"b","status":"x","more":{}1{}}}"#, "[".repeat(70), "]".repeat(70));
    for (text, said) in [
        (long, "it is longer than 1 MiB"),
        (many, "values would take more than 32 MiB of memory"),
        (deep, "its values are nested more than 64 deep"),
    ] {
        let error = got(body(text)).await.expect_err(said);
        assert!(error.is_undecodable(), "{error}");
        let error = error.to_string();
        assert!(error.starts_with("get batch b: the answer is not what the contract says: "), "{error}");
        assert!(error.contains(said) && error.len() < 300, "{error}");
    }
    // A page may be longer, and a long one of the contract's is.
    let file = json!({"id": "file-1", "filename": "x".repeat(300), "bytes": 1, "created_at": 1, "purpose": "batch"});
    let page = |count| body(json!({"data": vec![file.clone(); count], "has_more": false}).to_string());
    let list = |reply| async { Odd::new([reply]).client().files().list().page().await };
    assert_eq!(list(page(10_000)).await.expect("a page").data.len(), 10_000);
    let small = format!(r#"{{"data":[{}{{}}]}}"#, "{},".repeat(300_000));
    let error = list(body(small)).await.expect_err("too much").to_string();
    assert!(error.contains("more than 128 MiB of memory"), "{error}");
}

#[tokio::test]
async fn what_is_packed_is_not_unpacked() {
    // The first bytes of gzip, with a header that would have reqwest unpack it.
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0x4b, 4, 0];
    let odd = Odd::new([Reply::new(200, &["content-type: application/json", "content-encoding: gzip"], gzip)]);
    let error = odd.client().batches().get(&id()).await.expect_err("packed").to_string();
    assert!(error.contains("the answer is compressed, with gzip"), "{error}");
    assert!(!odd.requests()[0].to_ascii_lowercase().contains("accept-encoding"), "{:?}", odd.requests());
    // What is downloaded stays as it came.
    let odd = Odd::new([Reply::new(200, &["content-encoding: gzip"], gzip)]);
    let content = odd.client().files().content(&FileId::new("f").expect("an id")).await.expect("a head");
    let mut bytes = Vec::new();
    content.copy_to(&mut bytes).await.expect("all of it");
    assert_eq!(bytes, gzip);
}

#[tokio::test]
async fn long_heads_and_long_errors_are_cut_off() {
    let mut head = String::from("HTTP/1.1 200 X\r\n");
    for at in 0..200_000 {
        write!(head, "x-{at}: {}\r\n", "y".repeat(40)).expect("a string");
    }
    let error = got(Reply::Bytes(head.into_bytes())).await.expect_err("a long head");
    assert!(error.is_connection() && error.to_string().len() < 300, "{error}");

    for text in ["x".repeat(8 << 20), format!(r#"{{"error":{{"message":"{}"}}}}"#, "x".repeat(8 << 20))] {
        let error = got(Reply::new(400, &[], text)).await.expect_err("refused");
        assert_eq!(error.status(), Some(400));
        assert!(error.to_string().chars().count() < 800, "{error}");
    }
}

#[tokio::test]
async fn ids_are_bounded_and_an_error_names_the_field() {
    let long = "x".repeat(257);
    for wrong in [long.as_str(), "a\nb", "a\u{1b}[2Jb", "a\u{202e}b", "a\u{200b}b", "\u{e0041}", "a\u{2028}b", ".."] {
        for field in ["id", "input_file_id", "output_file_id", "error_file_id"] {
            let mut batch = json!({"id": "b", "status": "completed"});
            batch[field] = wrong.into();
            let error = got(body(batch.to_string())).await.expect_err(field);
            let text = error.to_string();
            assert!(error.is_undecodable() && text.contains(&format!("batch.{field}: ")), "{text}");
            assert!(text.len() < 250 && !text.contains(lote::text::is_hidden), "{text:?}");
        }
        let list = Odd::new([body(json!({"data": [{"id": wrong}]}).to_string())]);
        let error = list.client().files().list().page().await.expect_err("a wrong id").to_string();
        assert!(error.contains("list.data[0].id: "), "{error}");
    }
    // A blank, a semicolon: odd, but an id. Whoever prints a command quotes it.
    let odd = got(body(json!({"id": "x;touch p;#", "status": "completed"}).to_string())).await.expect("a batch");
    assert_eq!(odd.id.as_str(), "x;touch p;#");
}

#[tokio::test]
async fn the_key_is_in_nothing_that_is_made_of_an_answer() {
    let words = format!("Bearer {KEY} is bad");
    let batch = json!({
        "id": "b", "status": format!("no {KEY}"), "endpoint": words, "model": words, "metadata": {"a": words, KEY: "b"},
        "errors": {"data": [{"code": KEY, "message": words, "param": words, "line": 1, "more": [words]}]},
        "more": {"a": [words]}, KEY: {KEY: 1},
    });
    let got = got(body(batch.to_string())).await.expect("a batch");
    let written = serde_json::to_string(&got).expect("JSON");
    for text in [format!("{got:?}"), written.clone(), got.errors[0].to_string(), got.status.to_string()] {
        assert!(!text.contains(KEY) && text.contains("[key]"), "{text}");
    }
    // It is the same otherwise.
    let expected: Value = serde_json::from_str(&batch.to_string().replace(KEY, "[key]")).expect("JSON");
    assert_eq!(serde_json::from_str::<Value>(&written).expect("JSON"), expected);

    let list = Odd::new([body(json!({"data": [{"id": "f", "filename": words}], "last_id": words}).to_string())]);
    let page = list.client().files().list().page().await.expect("a page");
    assert!(!serde_json::to_string(&page).expect("JSON").contains(KEY), "{page:?}");
}

#[test]
fn a_base_url_with_a_password_is_shown_nowhere() {
    for url in ["https://me:hunter22@host/v1", "https://host/v1?key=hunter22", "https://host/v1#hunter22", "hunter22@"]
    {
        let builder = lote::Client::builder().base_url(url).api_key("k").on_behalf_of("somebody");
        assert!(!format!("{builder:?}").contains("hunter22") && !format!("{builder:?}").contains("somebody"));
        let error = builder.build().expect_err("refused").to_string();
        assert!(!error.contains("hunter22"), "{error}");
    }
}

#[tokio::test]
async fn the_key_is_in_nothing_that_a_run_writes_but_the_files_of_the_service() {
    let folder = tempfile::tempdir().expect("a folder");
    let requests = folder.path().join("requests.jsonl");
    let line = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[{"role":"user","content":"x"}]}}"#;
    std::fs::write(&requests, line).expect("the requests");
    let words = format!("wrong key {KEY}");
    let output = json!({
        "custom_id": "a", "error": {"code": KEY, "message": words},
        "response": {"status_code": 401, "body": {"model": words, "error": {"code": words, "message": words}}},
    });
    let foreign = json!({"custom_id": KEY, "response": {"status_code": 200, "body": {"model": KEY, "choices": []}}});
    let output = format!("{output}\n{foreign}\n{KEY}\n");
    let odd = Odd::new([
        body(json!({"id": "file-1", "filename": words}).to_string()),
        body(json!({"id": "b", "status": words, "metadata": {"a": words}}).to_string()),
        body(json!({"id": "b", "status": "completed", "model": words, "error_file_id": "file-2"}).to_string()),
        Reply::new(200, &[], &output),
    ]);
    let report = lote::run::Run::new(&odd.client(), &requests).execute().await.expect("a report");
    let report = format!("{report:?}{}", serde_json::to_string(&report).expect("JSON"));
    assert!(!report.contains(KEY) && report.contains("[key]"), "{report}");
    let run = folder.path().join("requests.run");
    let ours =
        ["run.json", "log.jsonl", "summary.json", "anomalies.jsonl", "progress.json", "shards/0001/summary.json"];
    for name in ours {
        let Ok(text) = std::fs::read_to_string(run.join(name)) else {
            // How far it was is told once a second.
            assert_eq!(name, "progress.json");
            continue;
        };
        assert!(!text.contains(KEY), "{name}: {text}");
    }
    // What the service sent is its own, and stays as it came.
    assert_eq!(std::fs::read_to_string(run.join("shards/0001/errors.jsonl")).expect("the file"), output);
}
