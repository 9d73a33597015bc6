//! Owns the proof that a create is repeated only where that cannot make a second batch; never another retry.

use std::time::Duration;

use crate::common::{Odd, Reply};
use lote::{Client, Dialect, Endpoint, FileId, Retry, UploadPurpose, run::Run};
use lote_gateway::{
    Event, Gateway,
    faults::{Effect, Fault, Operation, Refusal},
};
use serde_json::{Value, json};

/// A dialect of the embedded gateway with its idempotency on, as a user would write it.
const LOTE_GATEWAY: &str = r#"
name = "lote-gateway"
extends = "mka1"
create.idempotency = { header = "Idempotency-Key" }
"#;

const LINE: &str = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"auto","messages":[{"role":"user","content":"x"}]}}"#;

fn input_id() -> FileId {
    FileId::new("file-1").expect("an id")
}

fn quick() -> Retry {
    Retry::default().pauses(Duration::from_millis(1), Duration::from_millis(2))
}

async fn gateway(lost: Effect) -> Gateway {
    let fault = Fault::on(Operation::CreateBatch).nth(1).then(lost);
    Gateway::builder().idempotency(true).journal(true).fault(fault).start().await.expect("the gateway starts")
}

fn client(gateway: &Gateway, dialect: &str) -> Client {
    let builder = Client::builder().base_url(gateway.url()).api_key("mk-test").retry(quick());
    builder.dialect(Dialect::from_toml(dialect).expect("a dialect")).build().expect("a client")
}

async fn uploaded(client: &Client) -> FileId {
    let upload = client.files().upload_reader(LINE.as_bytes(), "requests.jsonl", UploadPurpose::Batch);
    upload.send().await.expect("uploaded").id
}

/// The batches that the gateway made, with the keys of their creates, and how many creates came again.
fn made(gateway: &Gateway) -> (Vec<(String, Option<String>)>, usize) {
    let (mut batches, mut again) = (Vec::new(), 0);
    for entry in gateway.journal() {
        match entry.event {
            Event::BatchCreated { batch_id, idempotency_key, .. } => batches.push((batch_id, idempotency_key)),
            Event::CreateRepeated { .. } => again += 1,
            _ => {}
        }
    }
    (batches, again)
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_makes_one_batch_where_keys_are_honoured() {
    for lost in [Effect::AnswerLost, Effect::AnswerReplaced(Refusal::status(502))] {
        let gateway = gateway(lost).await;
        let client = client(&gateway, LOTE_GATEWAY);
        let input = uploaded(&client).await;
        let batch = client.batches().create(&input, Endpoint::ChatCompletions).send().await.expect("a batch");
        let (batches, again) = made(&gateway);
        assert_eq!((batches.len(), again), (1, 1));
        assert_eq!(batches[0].0, batch.id.as_str());
        let key = batches[0].1.as_deref().expect("a key of its own");
        assert!(key.starts_with("lote-") && key.len() == 37, "{key}");

        // Another create has another key.
        let other = client.batches().create(&input, Endpoint::ChatCompletions).send().await.expect("a batch");
        assert_ne!(other.id, batch.id);
        assert_ne!(made(&gateway).0[1].1.as_deref(), Some(key));
    }
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_ambiguous_where_they_are_not() {
    let gateway = gateway(Effect::AnswerLost).await;
    let client = client(&gateway, "name = \"plain\"\nextends = \"mka1\"");
    let input = uploaded(&client).await;
    let create = client.batches().create(&input, Endpoint::ChatCompletions).idempotency_key("mine");
    let error = create.send().await.expect_err("its answer was lost");
    assert!(error.is_ambiguous() && error.is_connection(), "{error}");
    let (batches, again) = made(&gateway);
    // The key is not sent where it would promise nothing.
    assert_eq!((batches.len(), again, &batches[0].1), (1, 0, &None));
}

#[tokio::test]
async fn the_same_key_with_other_parameters_is_a_conflict_at_once() {
    let gateway = Gateway::builder().idempotency(true).journal(true).start().await.expect("the gateway starts");
    let client = client(&gateway, LOTE_GATEWAY);
    let input = uploaded(&client).await;
    let create = |note: &str| {
        let create = client.batches().create(&input, Endpoint::ChatCompletions).metadata("note", note);
        create.idempotency_key("mine").send()
    };
    let first = create("a").await.expect("a batch");
    assert_eq!(create("a").await.expect("the same batch").id, first.id);
    assert!(create("b").await.expect_err("another batch").is_conflict());
    assert_eq!(made(&gateway).0, [(first.id.to_string(), Some("mine".to_owned()))]);

    let error = client.batches().create(&input, Endpoint::ChatCompletions).idempotency_key("a\nb").send().await;
    assert!(error.expect_err("no header carries it").is_invalid());
}

#[tokio::test]
async fn each_intent_of_a_run_has_a_key_of_its_own() {
    let gateway = gateway(Effect::AnswerLost).await;
    let client = client(&gateway, LOTE_GATEWAY);
    let folder = tempfile::tempdir().expect("a folder");
    let requests = folder.path().join("requests.jsonl");
    std::fs::write(&requests, LINE).expect("written");
    let run = |name: &str| {
        let run = Run::new(&client, &requests).folder(folder.path().join(name));
        run.cadence(lote::Cadence::new(Duration::from_millis(2), Duration::from_millis(20))).execute()
    };
    let first = run("first").await.expect("one batch, although the answer was lost");
    let second = run("second").await.expect("run again on purpose");
    assert_ne!(first.batches[0].id, second.batches[0].id);
    let (batches, again) = made(&gateway);
    assert_eq!((batches.len(), again), (2, 1));
    for ((_, key), report) in batches.iter().zip([&first, &second]) {
        let batch = client.batches().get(&report.batches[0].id).await.expect("the batch");
        let expected = format!("lote-{}-1-{}", report.run, batch.metadata["lote_create"]);
        assert_eq!(key.as_deref(), Some(expected.as_str()));
    }
}

#[tokio::test]
async fn a_lost_create_that_is_older_than_its_key_is_looked_for_and_not_sent_again() {
    // The answer is lost after a second, which is as long as this service keeps a key.
    for (kept, repeated) in [("1", 0), ("60", 1), ("\"none\"", 1)] {
        let lost = |effect| Fault::on(Operation::CreateBatch).nth(1).then(effect);
        let slow = Gateway::builder().fault(lost(Effect::Delay(Duration::from_millis(1_100))));
        let gateway =
            slow.fault(lost(Effect::AnswerLost)).idempotency(true).journal(true).start().await.expect("it starts");
        let dialect =
            Dialect::from_toml(&format!("{LOTE_GATEWAY}create.idempotency_kept = {kept}\n")).expect("a dialect");
        let builder = Client::builder().base_url(gateway.url()).api_key("mk-test").retry(Retry::none());
        let client = builder.dialect(dialect).build().expect("a client");
        let folder = tempfile::tempdir().expect("a folder");
        let requests = folder.path().join("requests.jsonl");
        std::fs::write(&requests, LINE).expect("written");
        let run = Run::new(&client, &requests).settle_after_loss(Duration::from_millis(20));
        let report = run.execute().await.unwrap_or_else(|error| panic!("{kept}: {error}"));
        assert!(report.all_succeeded());
        let (batches, again) = made(&gateway);
        assert_eq!((batches.len(), again), (1, repeated), "{kept}");
    }
}

#[tokio::test]
async fn ogx_takes_the_key_in_the_body() {
    let batch = json!({"id": "batch_1", "status": "validating"});
    let odd = Odd::new([Reply::Nothing, Reply::new(503, &[], ""), Reply::json(200, &batch)]);
    let ogx = odd.builder().dialect(Dialect::named("ogx").expect("known")).retry(quick()).build().expect("a client");
    let create = ogx.batches().create(&input_id(), Endpoint::ChatCompletions).idempotency_key("mine");
    assert_eq!(create.send().await.expect("at the third try").id.as_str(), "batch_1");
    for (head, body) in odd.requests().iter().zip(odd.bodies()) {
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(body["idempotency_key"], "mine");
        assert!(!head.to_ascii_lowercase().contains("idempotency"), "{head}");
    }
}

#[tokio::test]
async fn a_refusal_after_a_lost_try_leaves_open_whether_there_is_a_batch() {
    for refusal in [Reply::new(409, &[], "the key is in use"), Reply::new(401, &[], "the key has expired")] {
        let odd = Odd::new([Reply::json(200, json!({"id": "file-1"})), Reply::Nothing, refusal]);
        let ogx =
            odd.builder().dialect(Dialect::named("ogx").expect("known")).retry(quick()).build().expect("a client");
        let folder = tempfile::tempdir().expect("a folder");
        let requests = folder.path().join("requests.jsonl");
        std::fs::write(&requests, LINE).expect("written");
        // The same key is tried once more, and then the list is asked.
        odd.more([Reply::new(401, &[], "the key has expired"), Reply::new(401, &[], "the key has expired")]);
        let error = Run::new(&ogx, &requests).execute().await.expect_err("refused");
        // The input file is not deleted, and the folder keeps the intent.
        assert!(error.is_ambiguous(), "{error}");
        assert!(error.to_string().contains("there may be a batch all the same"), "{error}");
        let status = lote::run::status(folder.path().join("requests.run")).expect("a run");
        assert_eq!(status.shards[0].phase, "creating");
    }
}

#[tokio::test]
async fn a_file_that_no_try_can_have_deleted_was_not_deleted() {
    let odd = Odd::new([Reply::new(429, &[], "slow down"), Reply::new(404, &[], "no such file")]);
    let client = odd.builder().retry(quick()).build().expect("a client");
    assert!(client.files().delete(&input_id()).await.expect_err("it was never there").is_not_found());

    let odd = Odd::new([Reply::Nothing, Reply::new(404, &[], "no such file")]);
    let client = odd.builder().retry(quick()).build().expect("a client");
    assert!(client.files().delete(&input_id()).await.expect("an earlier try has done it").deleted);
}

#[tokio::test]
async fn conflicts_are_tried_again_where_they_pass_and_nowhere_else() {
    let file = json!({"id": "file-1", "object": "file", "deleted": true});
    let odd = Odd::new([Reply::new(409, &[], "attached meanwhile"), Reply::json(200, &file)]);
    let client = odd.builder().retry(quick()).build().expect("a client");
    assert!(client.files().delete(&input_id()).await.expect("at the second try").deleted);
    assert_eq!(odd.requests().len(), 2);

    let odd = Odd::new([Reply::new(409, &[], "it is completed")]);
    let client = odd.builder().retry(quick()).build().expect("a client");
    let id = lote::BatchId::new("batch_1").expect("an id");
    assert!(client.batches().cancel(&id).await.expect_err("over").is_conflict());
    assert_eq!(odd.requests().len(), 1);

    let odd = Odd::new([Reply::new(409, &[], "other parameters")]);
    let ogx = odd.builder().dialect(Dialect::named("ogx").expect("known")).retry(quick()).build().expect("a client");
    let create = ogx.batches().create(&input_id(), Endpoint::ChatCompletions).idempotency_key("mine");
    assert!(create.send().await.expect_err("another batch has the key").is_conflict());
    assert_eq!(odd.requests().len(), 1);
}
