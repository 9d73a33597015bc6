//! Listings: order, cursors, filters, and pages that stay put while the list grows.

use crate::common::{CHAT, MKA1, OPENAI, PREFIXES, answer, chats, plain};
use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

fn ids(page: &Value) -> Vec<String> {
    let data = page["data"].as_array().unwrap();
    data.iter().map(|object| object["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn batches_come_newest_first_in_pages() {
    for prefix in PREFIXES {
        let (_gateway, caller) = plain(prefix).await;
        let (status, empty) = caller.get("/batches").await;
        assert_eq!(status, 200);
        assert_eq!(empty, json!({"object": "list", "data": [], "first_id": null, "last_id": null, "has_more": false}));
        let file = caller.upload(chats(["one"])).await;
        let mut made = Vec::new();
        for _ in 0..25 {
            made.push(caller.create(&file, CHAT).await["id"].as_str().unwrap().to_owned());
        }
        made.reverse();

        let (_, first) = caller.get("/batches").await;
        assert_eq!(ids(&first), made[..20]);
        assert_eq!(first["has_more"], true);
        assert_eq!(first["first_id"], made[0].as_str());
        assert_eq!(first["last_id"], made[19].as_str());

        // New ones do not move what follows a cursor.
        caller.create(&file, CHAT).await;
        let path = format!("/batches?limit=5&after={}", made[19]);
        let (_, last) = caller.get(&path).await;
        assert_eq!(ids(&last), made[20..]);
        assert_eq!(last["has_more"], false);
        let (_, beyond) = caller.get(&format!("/batches?after={}", made[24])).await;
        assert_eq!(ids(&beyond), Vec::<String>::new());
    }
}

#[tokio::test]
async fn files_have_an_order_filters_and_cursors_that_outlive_them() {
    let (_gateway, caller) = plain(MKA1).await;
    let mut made = Vec::new();
    for n in 0..6 {
        let purpose = if n % 2 == 0 { "batch" } else { "user_data" };
        let part = Part::text(format!("content {}", n % 3)).file_name("a.txt");
        let form = Form::new().part("file", part).text("purpose", purpose);
        made.push(caller.upload_form(form).await.1);
    }
    let id = |n: usize| made[n]["id"].as_str().unwrap().to_owned();
    let list = |query: String| {
        let caller = &caller;
        async move {
            let (status, page) = caller.get(&format!("/files{query}")).await;
            assert_eq!(status, 200, "{page}");
            page
        }
    };
    assert_eq!(ids(&list(String::new()).await), [5, 4, 3, 2, 1, 0].map(id));
    assert_eq!(ids(&list("?order=asc".to_owned()).await), [0, 1, 2, 3, 4, 5].map(id));
    assert_eq!(ids(&list("?purpose=batch".to_owned()).await), [4, 2, 0].map(id));
    let sha256 = made[1]["sha256"].as_str().unwrap();
    assert_eq!(ids(&list(format!("?sha256={sha256}")).await), [4, 1].map(id));

    let page = list(format!("?order=asc&limit=2&after={}", id(1))).await;
    assert_eq!(ids(&page), [2, 3].map(id));
    assert_eq!(page["has_more"], true);
    let page = list(format!("?limit=1&purpose=batch&after={}", id(4))).await;
    assert_eq!(ids(&page), [2].map(id));
    assert_eq!(page["has_more"], true);

    let deletion = caller.request(Method::DELETE, &format!("/files/{}", id(3)));
    let (_, deleted) = answer(deletion).await;
    assert_eq!(deleted, json!({"id": id(3), "object": "file", "deleted": true}));
    assert_eq!(ids(&list(format!("?after={}", id(3))).await), [2, 1, 0].map(id));
    assert_eq!(caller.get(&format!("/files/{}", id(3))).await.0, 404);
    let again = caller.request(Method::DELETE, &format!("/files/{}", id(3)));
    assert_eq!(answer(again).await.0, 404);
}

#[tokio::test]
async fn the_sha256_filter_is_mka1s_alone() {
    let (_gateway, caller) = plain(OPENAI).await;
    caller.upload("content").await;
    let (_, page) = caller.get("/files?sha256=0000").await;
    assert_eq!(ids(&page).len(), 1);
}
