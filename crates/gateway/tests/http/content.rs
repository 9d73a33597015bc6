//! Uploads and downloads: what comes back is what was sent, whole or in part.

use crate::common::{CHAT, MKA1, OPENAI, PREFIXES, chats, plain};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

#[tokio::test]
async fn a_file_object_says_what_was_sent() {
    for prefix in PREFIXES {
        let (_gateway, caller) = plain(prefix).await;
        let part = Part::text("hello\n").file_name("näme \"x\".jsonl");
        let form = Form::new().part("file", part).text("purpose", "batch");
        let (_, file) = caller.upload_form(form).await;
        let digits = file["id"].as_str().unwrap().strip_prefix("file-").unwrap();
        assert!(digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
        assert_eq!(file["object"], "file");
        assert_eq!(file["bytes"], 6);
        assert!(file["filename"].as_str().unwrap().contains("me"));
        assert_eq!(file["purpose"], "batch");
        assert_eq!(file["status"], "processed");
        let created_at = file["created_at"].as_i64().unwrap();
        if prefix == MKA1 {
            let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
            assert_eq!(file["sha256"], sha256);
            assert_eq!(file["expires_at"], Value::Null);
        } else {
            assert_eq!(file.get("sha256"), None);
            assert_eq!(file["expires_at"], created_at + 2_592_000);
        }
        assert_eq!(caller.get(&format!("/files/{}", file["id"].as_str().unwrap())).await.1, file);
    }
}

#[tokio::test]
async fn expiry_can_be_asked_for_in_three_spellings() {
    let (_gateway, caller) = plain(OPENAI).await;
    for parts in [
        vec![("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "3600")],
        vec![("expires_after.seconds", "3600"), ("expires_after.anchor", "created_at")],
        vec![("expires_after", r#"{"anchor": "created_at", "seconds": 3600}"#)],
    ] {
        let form = Form::new().text("purpose", "user_data").part("file", Part::text("x").file_name("x.txt"));
        let form = parts.into_iter().fold(form, |form, (name, text)| form.text(name, text));
        let (status, file) = caller.upload_form(form).await;
        assert_eq!(status, 200, "{file}");
        assert_eq!(file["expires_at"], file["created_at"].as_i64().unwrap() + 3_600);
    }
}

#[tokio::test]
async fn every_byte_comes_back() {
    let (_gateway, caller) = plain(OPENAI).await;
    // Everything a form parser could stumble over, and more than one buffer of it.
    let mut bytes = Vec::new();
    for n in 0..200_000_u32 {
        bytes.extend(n.to_le_bytes());
        if n % 997 == 0 {
            bytes.extend(b"\r\n--\r\r\n--boundary\r\n--");
        }
    }
    for content in [Vec::new(), b"\r".to_vec(), b"\r\n--".to_vec(), bytes] {
        let id = caller.upload(content.clone()).await;
        assert!(caller.bytes(&id).await == content, "{} bytes", content.len());
    }
}

#[tokio::test]
async fn ranges() {
    let (_gateway, caller) = plain(OPENAI).await;
    let id = caller.upload("0123456789").await;
    let path = format!("/files/{id}/content");
    let whole = crate::common::send(caller.request(Method::GET, &path)).await;
    let etag = whole.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(whole.headers()["accept-ranges"], "bytes");
    assert_eq!(whole.headers()["content-length"], "10");

    for (range, if_range, status, body, content_range) in [
        ("bytes=2-4", None, 206, "234", Some("bytes 2-4/10")),
        ("bytes=7-", None, 206, "789", Some("bytes 7-9/10")),
        ("bytes=-2", None, 206, "89", Some("bytes 8-9/10")),
        ("bytes=0-100", None, 206, "0123456789", Some("bytes 0-9/10")),
        ("bytes=0-1,4-5", None, 200, "0123456789", None),
        ("pages=1-2", None, 200, "0123456789", None),
        ("bytes=2-4", Some(etag.as_str()), 206, "234", Some("bytes 2-4/10")),
        ("bytes=2-4", Some("\"other\""), 200, "0123456789", None),
    ] {
        let mut request = caller.request(Method::GET, &path).header("range", range);
        if let Some(tag) = if_range {
            request = request.header("if-range", tag);
        }
        let response = crate::common::send(request).await;
        assert_eq!(response.status(), status, "{range}");
        let sent = response.headers().get("content-range").map(|value| value.to_str().unwrap());
        assert_eq!(sent, content_range, "{range}");
        assert_eq!(response.headers()["content-length"], body.len().to_string().as_str());
        assert_eq!(response.text().await.unwrap(), body, "{range}");
    }

    let beyond = crate::common::send(caller.request(Method::GET, &path).header("range", "bytes=10-")).await;
    assert_eq!(beyond.status(), 416);
    assert_eq!(beyond.headers()["content-range"], "bytes */10");
}

#[tokio::test]
async fn media_types_are_ones_that_mka1s_client_knows() {
    for (name, uploaded, purpose, mka1, openai) in [
        ("a.jsonl", "application/octet-stream", "batch", "application/jsonl", "application/jsonl"),
        ("upload", "text/html", "batch", "application/jsonl", "application/jsonl"),
        ("a.TXT", "application/octet-stream", "user_data", "text/plain", "text/plain"),
        ("a.png", "application/octet-stream", "vision", "image/png", "image/png"),
        ("a", "application/pdf", "assistants", "application/pdf", "application/pdf"),
        ("a.bin", "application/x-odd", "evals", "text/plain", "application/octet-stream"),
        ("a", "application/octet-stream", "evals", "text/plain", "application/octet-stream"),
    ] {
        for (prefix, expected) in [(MKA1, mka1), (OPENAI, openai)] {
            let (_gateway, caller) = plain(prefix).await;
            let part = Part::text("x").file_name(name).mime_str(uploaded).unwrap();
            let form = Form::new().text("purpose", purpose).part("file", part);
            let (_, file) = caller.upload_form(form).await;
            let path = format!("/files/{}/content", file["id"].as_str().unwrap());
            let response = crate::common::send(caller.request(Method::GET, &path)).await;
            assert_eq!(response.headers()["content-type"], expected, "{name} {uploaded}");
        }
    }
}

#[tokio::test]
async fn result_files_are_jsonl_under_both_prefixes() {
    for prefix in PREFIXES {
        let (_gateway, caller) = plain(prefix).await;
        let batch = caller.run(chats(["one", "[[status=400]]"]), CHAT).await;
        for role in ["output", "error"] {
            let id = batch[format!("{role}_file_id")].as_str().unwrap();
            let content = caller.request(Method::GET, &format!("/files/{id}/content"));
            let response = crate::common::send(content).await;
            assert_eq!(response.headers()["content-type"], "application/jsonl");
            assert!(response.text().await.unwrap().ends_with("}\n"));
            let (_, file) = caller.get(&format!("/files/{id}")).await;
            let name = format!("{}_{role}.jsonl", batch["id"].as_str().unwrap());
            assert_eq!(file["filename"], json!(name));
        }
    }
}
