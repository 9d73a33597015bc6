//! What one client of a story does: each makes batches of its own manner, or reads what there is.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::check::Seen;
use super::client::Told;
use super::story::{ALPHA, ALPHA_TOO, BETA, Kind, Made, PAUSE, Story, Wish, create, is_terminal, lines};

/// A batch whose create is repeated by another key of the account.
pub(super) async fn by_key(story: Arc<Story>, lines: usize) {
    let made = story.make(&Wish { keyed: true, ..Wish::new(ALPHA, "keyed", lines, "quick") }).await;
    let file =
        story.known().files.iter().find(|(_, _, text)| text.contains(&format!("{}-0 ", made.mark))).unwrap().1.clone();
    let (client, body) = (story.client.with(ALPHA_TOO), create(&file, &made.mark, &json!({})));
    for _ in 0..20 {
        match client.post("/batches", &body, Some(&format!("key-{}", made.mark))).await {
            Told::Answer(200, batch) if batch["id"] == made.id.as_str() => break,
            Told::Answer(500..=599, _) | Told::Broken => {}
            Told::Answer(status, batch) => {
                story.known().violations.push(format!("a repeated create is a {status}: {batch}"));
                break;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

pub(super) async fn bad(story: Arc<Story>) {
    story.make(&Wish { bad: true, ends: &["failed"], ..Wish::new(ALPHA, "bad", 2, "quick") }).await;
}

pub(super) async fn beta(story: Arc<Story>, kind: Kind) {
    let lines = if kind == Kind::Upstream { 10 } else { 24 };
    let mut wish = Wish::new(BETA, "beta", lines, "quick");
    wish.manners[3] = "large";
    wish.manners[7] = "large";
    story.make(&wish).await;
    story.make(&Wish { keyed: true, ..Wish::new(BETA, "beta-slow", 6, "slow") }).await;
}

pub(super) async fn upstream(story: Arc<Story>) {
    let manners = ["late", "twice", "never", "error", "broken", "quick", "twice", "twice"];
    story.make(&Wish { manners: manners.to_vec(), ..Wish::new(BETA, "upstream", 0, "") }).await;
}

/// One line of these kills whoever sends it; the others are answered all the same.
pub(super) async fn poison(story: Arc<Story>) {
    let mut manners = vec!["quick"; 12];
    manners[5] = "kills";
    story.make(&Wish { manners, ..Wish::new(BETA, "poison", 0, "") }).await;
}

/// A batch that is cancelled while its lines are at the upstream.
pub(super) async fn cancelled(story: Arc<Story>) {
    let wish = Wish {
        more: json!({"max_concurrency": 2}),
        ends: &["cancelled", "completed"],
        ..Wish::new(ALPHA, "cancelled", 12, "slow")
    };
    let made = story.make(&wish).await;
    let until = Instant::now() + Duration::from_secs(5);
    while story.witness.count(&made.mark) == 0 && Instant::now() < until {
        tokio::time::sleep(PAUSE).await;
    }
    let path = format!("/batches/{}/cancel", made.id);
    loop {
        match story.client.post(&path, &json!({}), None).await {
            Told::Answer(200, batch) => {
                let is_cancelled = batch["status"] == "cancelling" || batch["status"] == "cancelled";
                let mut known = story.known();
                if !is_cancelled {
                    known.violations.push(format!("a cancelled batch is {}", batch["status"]));
                }
                if let Some(made) = known.made.iter_mut().find(|other| other.id == made.id) {
                    made.ends = &["cancelled"];
                }
                return;
            }
            Told::Answer(409, _) => return,
            Told::Answer(500..=599, _) | Told::Broken => {}
            Told::Answer(status, body) => {
                story.known().violations.push(format!("a cancel is a {status}: {body}"));
                return;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A batch of which only a part is answered in its window.
pub(super) async fn expiring(story: Arc<Story>) {
    let wish =
        Wish { more: json!({"max_concurrency": 1}), ends: &["expired"], ..Wish::new(ALPHA, "expiring", 16, "slow") };
    story.make(&wish).await;
}

/// A client that goes as soon as it has asked.
pub(super) async fn disconnecting(story: Arc<Story>) {
    for name in ["gone-1", "gone-2", "gone-3"] {
        let wish = Wish::new(ALPHA, name, 2, "quick");
        let (text, names) = lines(name, &wish);
        let file = story.upload(&story.client, &text).await;
        let body = create(&file, name, &json!({})).to_string();
        let request = format!(
            "POST /v1/batches HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {ALPHA}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let made = Made { id: String::new(), key: ALPHA, mark: name.to_owned(), lines: names, ends: wish.ends };
        story.known().unknown.push(made);
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", story.client.port())).await {
            let _ = stream.write_all(request.as_bytes()).await;
        }
    }
}

/// Small batches, one after the other, for who reads the lists.
pub(super) async fn small(story: Arc<Story>) {
    for name in ["small-1", "small-2", "small-3", "small-4", "small-5", "small-6"] {
        story.make(&Wish::new(ALPHA, name, 2, "quick")).await;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Reads the lists while batches are added: none that was there before is left out, and none is twice there.
pub(super) async fn read_lists(story: Arc<Story>) {
    loop {
        let known: Vec<Made> = story.known().made.iter().filter(|made| made.key == ALPHA).cloned().collect();
        if let Some(batches) = story.client.batches(3).await {
            let ids: Vec<&str> = batches.iter().filter_map(|batch| batch["id"].as_str()).collect();
            let distinct: HashSet<&&str> = ids.iter().collect();
            if distinct.len() != ids.len() {
                story.known().violations.push("a list names a batch twice".to_owned());
            }
            for made in known.iter().filter(|made| !made.id.is_empty() && !ids.contains(&made.id.as_str())) {
                story.known().violations.push(format!("a list leaves out {}", made.mark));
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Notes how many lines of each batch were recorded when.
pub(super) async fn watch(story: Arc<Story>) {
    loop {
        for key in [ALPHA, BETA] {
            let Some(batches) = story.client.with(key).batches(100).await else { continue };
            let at = Instant::now();
            let mut seen = story.seen.lock().unwrap();
            for batch in batches {
                let count = |name: &str| batch["request_counts"][name].as_u64().unwrap_or(0);
                if count("total") > 0 && !is_terminal(&batch) {
                    let mark = batch["metadata"]["mark"].as_str().unwrap_or_default().to_owned();
                    seen.push(Seen { at, mark, recorded: count("completed") + count("failed") });
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
