//! Refusals: status, param and shape of every one; unknown paths and methods; sizes and types.

use crate::common::{CHAT, Caller, MKA1, OPENAI, PREFIXES, answer, chats, create_body, http, plain, start};
use lote_gateway::Gateway;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, StatusCode};
use serde_json::{Map, Value, json};

/// Asserts OpenAI's error shape and returns the param.
#[track_caller]
fn param(body: &Value) -> Value {
    let error = body["error"].as_object().unwrap();
    let keys: Vec<&str> = error.keys().map(String::as_str).collect();
    assert_eq!(keys, ["message", "type", "param", "code"]);
    assert!(!error["message"].as_str().unwrap().is_empty());
    assert_eq!(error["type"], "invalid_request_error");
    error["param"].clone()
}

#[tokio::test]
async fn create_refuses_with_400_and_names_the_param() {
    let many: Map<String, Value> = (0..17).map(|n| (format!("k{n}"), json!("v"))).collect();
    let expiry = |anchor: Value, seconds: Value| json!({"anchor": anchor, "seconds": seconds});
    let after = "output_expires_after";
    // A field, its value (absent: not sent), the param of the refusal.
    let table: Vec<(&str, Option<Value>, &str)> = vec![
        ("input_file_id", None, "input_file_id"),
        ("input_file_id", Some(json!(null)), "input_file_id"),
        ("input_file_id", Some(json!("")), "input_file_id"),
        ("input_file_id", Some(json!(7)), "input_file_id"),
        ("input_file_id", Some(json!("f".repeat(257))), "input_file_id"),
        ("endpoint", None, "endpoint"),
        ("endpoint", Some(json!("/v1/audio/speech")), "endpoint"),
        ("endpoint", Some(json!("/chat/completions")), "endpoint"),
        ("endpoint", Some(json!(["/v1/embeddings"])), "endpoint"),
        ("completion_window", None, "completion_window"),
        ("completion_window", Some(json!("1h")), "completion_window"),
        ("completion_window", Some(json!(24)), "completion_window"),
        ("metadata", Some(json!([])), "metadata"),
        ("metadata", Some(json!({"a": 1})), "metadata"),
        ("metadata", Some(Value::Object(many)), "metadata"),
        ("metadata", Some(json!({"k".repeat(65): "v"})), "metadata"),
        ("metadata", Some(json!({"k": "v".repeat(513)})), "metadata"),
        ("max_concurrency", Some(json!(0)), "max_concurrency"),
        ("max_concurrency", Some(json!(-1)), "max_concurrency"),
        ("max_concurrency", Some(json!(1.5)), "max_concurrency"),
        ("max_concurrency", Some(json!("4")), "max_concurrency"),
        (after, Some(json!(3600)), after),
        (after, Some(expiry(json!("created_at"), Value::Null)), "output_expires_after.seconds"),
        (after, Some(expiry(json!("created_at"), json!(3599))), "output_expires_after.seconds"),
        (after, Some(expiry(json!("created_at"), json!(2_592_001))), "output_expires_after.seconds"),
        (after, Some(expiry(json!("now"), json!(3600))), "output_expires_after.anchor"),
        (after, Some(expiry(Value::Null, json!(3600))), "output_expires_after.anchor"),
    ];
    for prefix in PREFIXES {
        let (_gateway, caller) = plain(prefix).await;
        let file = caller.upload(chats(["one"])).await;
        for (field, value, expected) in &table {
            let mut body = create_body(&file, CHAT);
            match value {
                Some(value) => body[*field] = value.clone(),
                None => drop(body.as_object_mut().unwrap().remove(*field)),
            }
            let (status, refused) = caller.post("/batches", &body).await;
            assert_eq!(status, 400, "{body}");
            assert_eq!(param(&refused), *expected, "{body}");
        }
        // At the limits it is taken.
        let most: Map<String, Value> = (0..16).map(|n| (format!("{n:064}"), json!("é".repeat(512)))).collect();
        let mut body = create_body(&file, CHAT);
        body["metadata"] = Value::Object(most);
        body["max_concurrency"] = json!(1);
        body[after] = expiry(json!("created_at"), json!(3600));
        let (status, batch) = caller.post("/batches", &body).await;
        assert_eq!(status, 200, "{batch}");
        assert_eq!(batch["metadata"], body["metadata"]);
    }
}

#[tokio::test]
async fn create_refuses_bodies_that_are_no_json_object() {
    let (_gateway, caller) = plain(OPENAI).await;
    let large = format!("{{\"metadata\": \"{}\"}}", "x".repeat(1_100_000));
    for (content_type, body, expected) in [
        ("application/json", "", 400),
        ("application/json", "{", 400),
        ("application/json", "[]", 400),
        ("application/json", "\"text\"", 400),
        ("application/json; charset=utf-8", "null", 400),
        ("text/plain", "{}", 415),
        ("application/x-www-form-urlencoded", "a=b", 415),
        ("application/json", &large, 413),
    ] {
        let request =
            caller.request(Method::POST, "/batches").header("content-type", content_type).body(body.to_owned());
        let (status, refused) = answer(request).await;
        assert_eq!(status, expected, "{content_type}: {body:.40}");
        assert_eq!(param(&refused), Value::Null);
    }
}

#[tokio::test]
async fn a_create_of_very_many_values_is_refused_before_it_is_read() {
    let (_gateway, caller) = plain(OPENAI).await;
    let body = format!(r#"{{"metadata":[{}{{}}]}}"#, r#"{"a":{}},"#.repeat(100_000));
    let request = caller.request(Method::POST, "/batches").header("content-type", "application/json").body(body);
    let (status, body) = answer(request).await;
    assert_eq!(status, 400);
    assert!(body["error"]["message"].as_str().unwrap().contains("too many values"), "{body}");
}

#[tokio::test]
async fn endpoints_are_mka1s_four_and_openais_eight() {
    let extra = ["/v1/completions", "/v1/moderations", "/v1/images/edits", "/v1/videos"];
    let common = ["/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/images/generations"];
    for (prefix, refused) in [(MKA1, 400), (OPENAI, 200)] {
        let (_gateway, caller) = plain(prefix).await;
        let file = caller.upload(chats(["one"])).await;
        for (endpoints, expected) in [(common, 200), (extra, refused)] {
            for endpoint in endpoints {
                let (status, _) = caller.post("/batches", &create_body(&file, endpoint)).await;
                assert_eq!(status, expected, "{prefix} {endpoint}");
            }
        }
    }
}

#[tokio::test]
async fn an_input_file_that_cannot_be_used() {
    let gateway = start(Gateway::builder()).await;
    let mka1 = Caller::new(&gateway, MKA1, "sk-test");
    let openai = Caller::new(&gateway, OPENAI, "sk-test");
    let part = Part::text("hello").file_name("notes.txt");
    let (_, notes) = mka1.upload_form(Form::new().text("purpose", "user_data").part("file", part)).await;
    for (id, expected) in [("file-nowhere", 404), (notes["id"].as_str().unwrap(), 400)] {
        let (status, refused) = mka1.post("/batches", &create_body(id, CHAT)).await;
        assert_eq!(status, expected);
        assert_eq!(param(&refused), "input_file_id");
        let batch = openai.create(id, CHAT).await;
        let batch = openai.ended(&batch).await;
        assert_eq!(batch["status"], "failed");
        assert_eq!(batch["errors"]["data"][0]["code"], "invalid_request");
        assert_eq!(batch["errors"]["data"][0]["param"], "input_file_id");
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let (gateway, caller) = plain(OPENAI).await;
    for (method, path, expected) in [
        (Method::GET, "/v1/nothing", 404),
        (Method::GET, "/nowhere", 404),
        (Method::GET, "/api/v1/llm", 404),
        (Method::POST, "/v2/batches", 404),
        (Method::GET, "/v1/files/", 404),
        (Method::GET, "/v1/files/file-nowhere", 404),
        (Method::GET, "/v1/files/%2e%2e", 404),
        (Method::GET, "/v1/files/..%2fbatches", 404),
        (Method::GET, "/v1/files/%ff", 404),
        (Method::GET, "/v1/files/a/b", 404),
        (Method::GET, "/v1/files/file-nowhere/content", 404),
        (Method::DELETE, "/v1/files/file-nowhere", 404),
        (Method::GET, "/v1/batches/batch_nowhere", 404),
        (Method::POST, "/v1/batches/batch_nowhere/cancel", 404),
        (Method::PUT, "/v1/files", 405),
        (Method::DELETE, "/v1/batches/batch_nowhere", 405),
        (Method::GET, "/v1/batches/batch_nowhere/cancel", 405),
        (Method::PATCH, "/api/v1/llm/batches", 405),
    ] {
        let request = caller.http.request(method.clone(), format!("{}{path}", gateway.url())).bearer_auth(&caller.key);
        let response = crate::common::send(request).await;
        assert_eq!(response.status(), expected, "{method} {path}");
        assert_eq!(response.headers().contains_key("allow"), expected == 405, "{method} {path}");
        assert!(response.headers()["x-request-id"].to_str().unwrap().starts_with("req_"));
        let body: Value = response.json().await.unwrap();
        param(&body);
        assert_eq!(body["error"]["code"], Value::Null, "{method} {path}");
    }
}

#[tokio::test]
async fn head_and_options_are_answered() {
    let (_gateway, caller) = plain(OPENAI).await;
    let file = caller.upload("12345").await;
    let paths = [format!("/files/{file}"), format!("/files/{file}/content"), "/batches".to_owned()];
    for path in &paths {
        let head = crate::common::send(caller.request(Method::HEAD, path)).await;
        assert_eq!(head.status(), 200, "{path}");
        let length = head.headers()["content-length"].clone();
        assert_eq!(path.ends_with("content"), length == "5", "{path}");
        assert_eq!(head.bytes().await.unwrap().len(), 0);
        // Without a key: it says nothing about anyone.
        let url = format!("{}{path}", caller.url);
        let options = crate::common::send(caller.http.request(Method::OPTIONS, url)).await;
        assert_eq!(options.status(), 204, "{path}");
        assert!(options.headers()["allow"].to_str().unwrap().contains("GET"));
    }
    let missing = crate::common::send(caller.request(Method::HEAD, "/files/file-nowhere")).await;
    assert_eq!(missing.status(), 404);
}

#[tokio::test]
async fn queries_outside_the_contract_are_400() {
    for prefix in PREFIXES {
        let (_gateway, caller) = plain(prefix).await;
        for (path, expected) in [
            ("/batches?limit=0", "limit"),
            ("/batches?limit=101", "limit"),
            ("/batches?limit=-1", "limit"),
            ("/batches?limit=ten", "limit"),
            ("/batches?limit=", "limit"),
            ("/batches?limit=1.0", "limit"),
            ("/batches?limit=99999999999999999999", "limit"),
            ("/batches?after=batch_nowhere", "after"),
            ("/batches?after=", "after"),
            ("/files?limit=0", "limit"),
            ("/files?limit=10001", "limit"),
            ("/files?order=up", "order"),
            ("/files?after=file-nowhere", "after"),
        ] {
            let (status, refused) = caller.get(path).await;
            assert_eq!(status, 400, "{path}");
            assert_eq!(param(&refused), expected, "{path}");
        }
        for path in ["/batches?limit=100&order=desc", "/files?limit=10000&order=asc&x=y", "/files?"] {
            assert_eq!(caller.get(path).await.0, 200, "{path}");
        }
        let expected = if prefix == MKA1 { 400 } else { 200 };
        assert_eq!(caller.get("/files?purpose=homework").await.0, expected);
        assert_eq!(caller.get("/files?purpose=batch_output").await.0, 200);
    }
}

#[tokio::test]
async fn uploads_that_are_refused() {
    let file = |name: &str| Part::text("{}").file_name(name.to_owned());
    let expires = |anchor: &str, seconds: &str| {
        Form::new()
            .text("purpose", "batch")
            .text("expires_after[anchor]", anchor.to_owned())
            .text("expires_after[seconds]", seconds.to_owned())
            .part("file", file("a.jsonl"))
    };
    let batch = || Form::new().text("purpose", "batch");
    for prefix in PREFIXES {
        let (_gateway, caller) = plain(prefix).await;
        let forms: Vec<(Form, StatusCode, &str)> = vec![
            (Form::new().part("file", file("a.jsonl")), StatusCode::BAD_REQUEST, "purpose"),
            (batch(), StatusCode::BAD_REQUEST, "file"),
            (batch().text("file", "no name"), StatusCode::BAD_REQUEST, "file"),
            (batch().part("file", file("")), StatusCode::BAD_REQUEST, "file"),
            (batch().part("file", file("  ")), StatusCode::BAD_REQUEST, "file"),
            (batch().part("file", file(&"n".repeat(1025))), StatusCode::BAD_REQUEST, "file"),
            (Form::new().text("purpose", "homework").part("file", file("a")), StatusCode::BAD_REQUEST, "purpose"),
            (Form::new().text("purpose", "batch_output").part("file", file("a")), StatusCode::BAD_REQUEST, "purpose"),
            (batch().text("purpose", "evals").part("file", file("a")), StatusCode::BAD_REQUEST, "purpose"),
            (batch().part("file", file("a")).part("file", file("b")), StatusCode::BAD_REQUEST, "file"),
            (
                Form::new().text("purpose", "b".repeat(2_000)).part("file", file("a")),
                StatusCode::BAD_REQUEST,
                "purpose",
            ),
            (expires("created_at", "3599"), StatusCode::BAD_REQUEST, "expires_after.seconds"),
            (expires("created_at", "soon"), StatusCode::BAD_REQUEST, "expires_after.seconds"),
            (
                Form::new().text("purpose", "batch").text("expires_after", "soon").part("file", file("a")),
                StatusCode::BAD_REQUEST,
                "expires_after",
            ),
            (expires("now", "3600"), StatusCode::BAD_REQUEST, "expires_after.anchor"),
            (
                batch().text("expires_after[seconds]", "3600").part("file", file("a")),
                StatusCode::BAD_REQUEST,
                "expires_after.anchor",
            ),
        ];
        for (at, (form, expected, name)) in forms.into_iter().enumerate() {
            let (status, refused) = caller.upload_form(form).await;
            assert_eq!(status, expected, "form {at}");
            assert_eq!(param(&refused), name, "form {at}");
        }
        assert_eq!(caller.get("/files").await.1["data"], json!([]), "nothing is kept");

        // Where the two differ.
        let mka1 = prefix == MKA1;
        let (status, _) = caller.upload_form(batch().part("file", file("blob"))).await;
        assert_eq!(status, if mka1 { 400 } else { 200 });
        let (status, _) = caller.upload_form(batch().part("file", file("BLOB"))).await;
        assert_eq!(status, 200);
        let extra = batch().text("colour", "red").part("file", file("upload"));
        assert_eq!(caller.upload_form(extra).await.0, if mka1 { 200 } else { 400 });
    }
}

#[tokio::test]
async fn a_name_that_is_only_there_in_its_extended_form_is_a_name() {
    let form = |name: &str| {
        format!(
            "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
             --x\r\nContent-Disposition: form-data; name=\"file\"; {name}\r\n\r\n{{}}\r\n--x--\r\n"
        )
    };
    for prefix in PREFIXES {
        let (_gateway, caller) = plain(prefix).await;
        let upload = async |name: &str| {
            let request = caller.request(Method::POST, "/files");
            answer(request.header("content-type", "multipart/form-data; boundary=x").body(form(name))).await
        };
        for (name, expected) in [
            ("filename*=UTF-8''r%C3%A9sum%C3%A9%20%2F1.jsonl", "résumé /1.jsonl"),
            ("filename=\"plain.jsonl\"; filename*=utf-8'en'better.jsonl", "better.jsonl"),
            ("filename=\"plain.jsonl\"; filename*=utf-8''%FF", "plain.jsonl"),
        ] {
            let (status, file) = upload(name).await;
            assert_eq!((status.as_u16(), &file["filename"]), (200, &json!(expected)), "{name}");
        }
        for name in ["filename*=UTF-8''%20", "filename*=UTF-8''", "filename*=UTF-8''%FF"] {
            let (status, refused) = upload(name).await;
            assert_eq!((status.as_u16(), param(&refused)), (400, json!("file")), "{name}");
        }
        let blob = upload("filename*=UTF-8''blo%62").await.0;
        assert_eq!(blob, if prefix == MKA1 { 400 } else { 200 });
    }
}

#[tokio::test]
async fn uploads_that_are_no_form() {
    let (_gateway, caller) = plain(OPENAI).await;
    let boundless = "multipart/form-data";
    let form = "multipart/form-data; boundary=x";
    let endless = format!("--x\r\nContent-Disposition: form-data; name=\"{}", "n".repeat(1_500_000));
    for (content_type, body, expected) in [
        ("application/json", "{}", 415),
        ("text/plain", "hello", 415),
        (boundless, "hello", 400),
        (form, "", 400),
        (form, "hello", 400),
        (form, "--x\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch", 400),
        (form, endless.as_str(), 400),
    ] {
        let request = caller.request(Method::POST, "/files").header("content-type", content_type).body(body.to_owned());
        let (status, refused) = answer(request).await;
        assert_eq!(status, expected, "{content_type}: {body:.60}");
        param(&refused);
    }
    let untyped = caller.request(Method::POST, "/files").body("hello");
    assert_eq!(answer(untyped).await.0, 415);
}

#[tokio::test]
async fn sizes_are_limited_by_purpose_whatever_the_order_of_the_parts() {
    let gateway = start(Gateway::builder().max_file_bytes(100_000).max_upload_bytes(300_000)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    for (purpose, bytes, expected) in [
        ("batch", 100_000, 200),
        ("batch", 100_001, 413),
        ("user_data", 300_000, 200),
        ("user_data", 300_001, 413),
        ("user_data", 30_000_000, 413),
    ] {
        for purpose_first in [true, false] {
            let part = Part::bytes(vec![b'x'; bytes]).file_name("a.jsonl");
            let form = if purpose_first {
                Form::new().text("purpose", purpose).part("file", part)
            } else {
                Form::new().part("file", part).text("purpose", purpose)
            };
            let (status, body) = caller.upload_form(form).await;
            assert_eq!(status, expected, "{purpose} {bytes} {purpose_first}: {body}");
        }
    }
}

#[tokio::test]
async fn a_form_of_endless_parts_ends() {
    let gateway = start(Gateway::builder().max_file_bytes(10_000).max_upload_bytes(10_000)).await;
    let caller = Caller::new(&gateway, MKA1, "sk-test");
    let part = "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n";
    let parts = futures_util::stream::iter((0..100_000).map(move |_| Ok::<_, std::io::Error>(part)));
    let request = caller
        .request(Method::POST, "/files")
        .header("content-type", "multipart/form-data; boundary=x")
        .body(reqwest::Body::wrap_stream(parts));
    let (status, refused) = answer(request).await;
    assert_eq!(status, 413, "{refused}");
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let (gateway, _) = plain(OPENAI).await;
    let http = http();
    let body = vec![b'x'; 30_000_000];
    let request = http.post(format!("{}/v1/files", gateway.url())).body(body);
    let (status, refused) = answer(request).await;
    assert_eq!(status, 401);
    param(&refused);
}

#[tokio::test]
async fn only_loopback_without_a_key() {
    let everywhere = "0.0.0.0:0".parse().unwrap();
    let refused = Gateway::builder().listen(everywhere).start().await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    for blank in ["", "  "] {
        let refused = Gateway::builder().key("sk-secret").key(blank).start().await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    }
    let gateway = Gateway::builder().listen(everywhere).key("sk-secret").start().await.unwrap();
    assert!(gateway.addr().ip().is_unspecified());
    assert!(gateway.url().starts_with("http://127.0.0.1:"));
    let builder = Gateway::builder().key("sk-secret");
    assert!(!format!("{builder:?} {gateway:?}").contains("secret"));
}
