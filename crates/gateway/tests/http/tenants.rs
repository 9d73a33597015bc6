//! Who may see what: keys, end users, the two prefixes.

use crate::common::{CHAT, Caller, MKA1, OPENAI, PREFIXES, answer, chats, create_body, http, plain, start};
use lote_gateway::Gateway;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

#[tokio::test]
async fn only_known_keys_are_let_in() {
    let gateway = start(Gateway::builder().key("sk-one").key("sk-two")).await;
    let http = http();
    for prefix in PREFIXES {
        for path in ["/batches", "/files", "/files/file-x/content", "/batches/batch_x"] {
            let url = format!("{}{prefix}{path}", gateway.url());
            for header in [
                None,
                Some(""),
                Some("Bearer"),
                Some("Bearer "),
                Some("Bearer sk-three"),
                Some("Basic sk-one"),
                Some("sk-one"),
                Some("Bearer sk-one sk-two"),
            ] {
                let mut request = http.get(&url);
                if let Some(value) = header {
                    request = request.header("authorization", value);
                }
                let response = crate::common::send(request).await;
                assert_eq!(response.status(), 401, "{path} {header:?}");
                assert_eq!(response.headers()["www-authenticate"], "Bearer");
                assert!(response.headers().contains_key("x-request-id"));
                let body: Value = response.json().await.unwrap();
                assert_eq!(body["error"]["code"], Value::Null);
                assert!(!body.to_string().contains("sk-three"));
            }
        }
        for key in ["sk-one", "sk-two"] {
            let caller = Caller::new(&gateway, prefix, key);
            assert_eq!(caller.get("/batches").await.0, 200);
        }
    }
}

#[tokio::test]
async fn without_configured_keys_any_key_is_a_tenant() {
    let gateway = start(Gateway::builder()).await;
    let http = http();
    let url = format!("{}/v1/batches", gateway.url());
    assert_eq!(answer(http.get(&url)).await.0, 401);
    assert_eq!(answer(http.get(&url).bearer_auth("")).await.0, 401);
    assert_eq!(answer(http.get(&url).bearer_auth("anything")).await.0, 200);
    assert_eq!(answer(http.get(&url).header("authorization", "bearer anything")).await.0, 200);
}

#[tokio::test]
async fn nothing_of_one_tenant_is_reachable_by_another() {
    let gateway = start(Gateway::builder()).await;
    let owner = Caller::new(&gateway, MKA1, "sk-owner");
    let for_user = |request: RequestBuilder, user: &str| request.header("x-on-behalf-of", user);
    let file = owner.upload(chats(["one"])).await;
    let batch = owner.create(&file, CHAT).await;
    let batch_id = batch["id"].as_str().unwrap();

    let other = Caller::new(&gateway, MKA1, "sk-other");
    let strangers = |method: Method, path: &str| {
        [
            other.request(method.clone(), path),
            for_user(owner.request(method.clone(), path), "user-1"),
            for_user(other.request(method, path), "user-1"),
        ]
    };
    for (method, path) in [
        (Method::GET, format!("/files/{file}")),
        (Method::GET, format!("/files/{file}/content")),
        (Method::DELETE, format!("/files/{file}")),
        (Method::GET, format!("/batches/{batch_id}")),
        (Method::POST, format!("/batches/{batch_id}/cancel")),
    ] {
        for request in strangers(method.clone(), &path) {
            assert_eq!(answer(request).await.0, 404, "{method} {path}");
        }
    }
    for path in [format!("/files?after={file}"), format!("/batches?after={batch_id}")] {
        for request in strangers(Method::GET, &path) {
            assert_eq!(answer(request).await.0, 400, "{path}");
        }
    }
    for request in strangers(Method::POST, "/batches") {
        assert_eq!(answer(request.json(&create_body(&file, CHAT))).await.0, 404);
    }
    for path in ["/files", "/batches"] {
        for request in strangers(Method::GET, path) {
            assert_eq!(answer(request).await.1["data"], json!([]));
        }
    }

    // The owner still has all of it, under both prefixes; an empty end user is none.
    let views = [owner, Caller::new(&gateway, OPENAI, "sk-owner")];
    for owner in &views {
        assert_eq!(owner.get(&format!("/files/{file}")).await.0, 200);
        assert_eq!(owner.batch(&batch).await["id"], batch_id);
        let request = for_user(owner.request(Method::GET, "/batches"), "");
        assert_eq!(answer(request).await.1["data"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn each_end_user_has_a_store_of_their_own() {
    let gateway = start(Gateway::builder()).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let file = caller.upload(chats(["one"])).await;
    for user in ["user-1", "user-2"] {
        let form = reqwest::multipart::Form::new()
            .text("purpose", "batch")
            .part("file", reqwest::multipart::Part::text("x").file_name("x"));
        let request = caller.request(Method::POST, "/files").header("x-on-behalf-of", user);
        let (status, own) = answer(request.multipart(form)).await;
        assert_eq!(status, 200);
        let list = caller.request(Method::GET, "/files").header("x-on-behalf-of", user);
        let (_, page) = answer(list).await;
        assert_eq!(page["data"].as_array().unwrap().len(), 1);
        assert_eq!(page["data"][0]["id"], own["id"]);
        assert_ne!(own["id"], file.as_str());
    }
}

#[tokio::test]
async fn a_random_key_is_the_only_one_that_is_let_in() {
    let mut keys = Vec::new();
    for _ in 0..2 {
        let gateway = Gateway::builder().key("sk-other").only_random_key().start().await.unwrap();
        let key = gateway.random_key().unwrap().to_owned();
        assert!(!format!("{gateway:?}").contains(&key));
        let gateway = crate::wire::Watched::new(gateway, None).await;
        for (key, status) in [(key.as_str(), 200), ("sk-other", 401), ("sk-", 401), ("embedded", 401)] {
            assert_eq!(Caller::new(&gateway, OPENAI, key).get("/batches").await.0, status);
        }
        keys.push(key);
    }
    assert!(keys[0] != keys[1] && keys.iter().all(|key| key.len() >= 64));
    assert_eq!(Gateway::builder().start().await.unwrap().random_key(), None);
}

#[tokio::test]
async fn two_end_users_in_one_request_are_refused() {
    for prefix in PREFIXES {
        let (_gateway, caller) = plain(prefix).await;
        for users in [["a", "b"], ["a", "a"], ["a", ""]] {
            let mut request = caller.request(Method::GET, "/batches");
            for user in users {
                request = request.header("x-on-behalf-of", user);
            }
            let (status, body) = answer(request).await;
            assert_eq!(status, 400, "{users:?}: {body}");
            assert!(
                body["error"]["message"].as_str().unwrap().contains("'X-On-Behalf-Of' came more than once"),
                "{body}"
            );
        }
    }
}

#[tokio::test]
async fn two_idempotency_keys_are_refused_and_make_nothing() {
    let (_gateway, caller) = plain(OPENAI).await;
    let file = caller.upload(chats(["one"])).await;
    let create = caller.request(Method::POST, "/batches").json(&create_body(&file, CHAT));
    let (status, body) = answer(create.header("idempotency-key", "a").header("idempotency-key", "b")).await;
    assert_eq!(status, 400, "{body}");
    assert_eq!(caller.get("/batches").await.1["data"], json!([]));
}
