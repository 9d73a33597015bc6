//! What a batch is created with: the same body from a create, from a run and from either's blocking twin.

use crate::common::{Odd, Reply};
use lote::{BatchOptions, Client, Dialect, Endpoint, Error, ExpiresAfter, FileId, run::Run};
use serde_json::{Value, json};

/// A service that knows everything that the contract names, and sets two fields of its own.
const ALL: &str = r#"
name = "all"
extends = "openai"
[create]
windows = ["24h..7d"]
max_concurrency = true
output_expires_after = true
idempotency = { field = "idem" }
fields = { tier = "batch", region = "eu" }
[create.spelling]
"/v1/chat/completions" = "/chat/completions"
"#;

const LINE: &str = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"auto","messages":[{"role":"user","content":"x"}]}}"#;

fn dialect(toml: &str) -> Dialect {
    Dialect::from_toml(toml).expect("a dialect")
}

fn input() -> FileId {
    FileId::new("file-1").expect("an id")
}

fn options() -> BatchOptions {
    BatchOptions::new()
        .metadata("team", "search")
        .completion_window("2d")
        .max_concurrency(4)
        .output_expires_after(ExpiresAfter::seconds(3_600).expect("in range"))
        .idempotency_key("mine")
        .field("priority", 1)
        .field("tier", "flex")
        .field("nested", json!({"a": [1, null]}))
}

fn created(odd: &Odd) -> Value {
    let bodies = odd.bodies();
    serde_json::from_slice(bodies.last().expect("a body")).expect("JSON")
}

fn sent() -> Value {
    json!({
        "input_file_id": "file-1", "endpoint": "/chat/completions", "completion_window": "2d",
        "metadata": {"team": "search"}, "max_concurrency": 4,
        "output_expires_after": {"anchor": "created_at", "seconds": 3_600},
        // What the caller gives stands in place of what the dialect has.
        "idem": "mine", "priority": 1, "tier": "flex", "region": "eu", "nested": {"a": [1, null]},
    })
}

fn batch() -> Reply {
    Reply::json(200, json!({"id": "batch_1", "status": "validating"}))
}

#[tokio::test]
async fn a_create_and_a_run_send_the_same() {
    let odd = Odd::new([batch()]);
    let client = odd.builder().dialect(dialect(ALL)).build().expect("a client");
    client.batches().create(&input(), Endpoint::ChatCompletions).options(options()).send().await.expect("a batch");
    assert_eq!(created(&odd), sent());

    // The same setters, on the create itself.
    let odd = Odd::new([batch()]);
    let client = odd.builder().dialect(dialect(ALL)).build().expect("a client");
    let create = client.batches().create(&input(), Endpoint::ChatCompletions);
    let create = create.metadata("team", "search").completion_window("2d").max_concurrency(4).idempotency_key("mine");
    let create = create.output_expires_after(ExpiresAfter::seconds(3_600).expect("in range"));
    let create = create.field("priority", 1).field("tier", "flex").field("nested", json!({"a": [1, null]}));
    create.send().await.expect("a batch");
    assert_eq!(created(&odd), sent());

    let odd = Odd::new([
        Reply::json(200, json!({"id": "file-1"})),
        batch(),
        Reply::json(200, json!({"id": "batch_1", "status": "failed"})),
    ]);
    let client = odd.builder().dialect(dialect(ALL)).build().expect("a client");
    let folder = tempfile::tempdir().expect("a folder");
    let requests = folder.path().join("requests.jsonl");
    std::fs::write(&requests, LINE).expect("written");
    let ended = Run::new(&client, &requests).options(options()).execute().await;
    assert!(ended.as_ref().is_err_and(lote::run::RunError::is_failed), "{ended:?}");
    let mut body: Value = serde_json::from_slice(&odd.bodies()[1]).expect("JSON");
    let pairs = body["metadata"].as_object_mut().expect("pairs");
    for (own, length) in [(Run::SHA256, 64), ("lote_run", 32), ("lote_create", 32), ("lote_shard", 1)] {
        assert!(
            pairs.remove(own).is_some_and(|value| value.as_str().is_some_and(|text| text.len() == length)),
            "{own}"
        );
    }
    assert_eq!(pairs.remove("lote_requests"), Some(json!("requests.jsonl")));
    assert_eq!(body, sent());
}

#[test]
fn the_blocking_twins_send_the_same() {
    let odd = Odd::new([batch(), batch()]);
    let client = odd.builder().dialect(dialect(ALL)).build_blocking().expect("a client");
    let create = || client.batches().create(&input(), "/v1/chat/completions");
    create().options(options()).send().expect("a batch");
    assert_eq!(created(&odd), sent());
    create().metadata("only", "this").idempotency_key("k").send().expect("a batch");
    assert_eq!(
        created(&odd),
        json!({
            "input_file_id": "file-1", "endpoint": "/chat/completions", "completion_window": "24h",
            "metadata": {"only": "this"}, "idem": "k", "tier": "batch", "region": "eu",
        })
    );
}

#[test]
fn an_endpoint_of_a_dialects_own_is_reached_without_async() {
    let odd = Odd::new([batch()]);
    let groq = Dialect::named("groq").expect("known");
    let client = odd.builder().dialect(groq).build_blocking().expect("a client");
    client.batches().create(&input(), "/v1/audio/transcriptions").send().expect("a batch");
    assert_eq!(created(&odd)["endpoint"], "/v1/audio/transcriptions");
}

/// How a create and a run with these options end, against a service that is never asked.
async fn refusals(table: &str, options: BatchOptions) -> [Error; 2] {
    let odd = Odd::new([]);
    let client = odd.builder().dialect(dialect(table)).build().expect("a client");
    let folder = tempfile::tempdir().expect("a folder");
    let requests = folder.path().join("requests.jsonl");
    std::fs::write(&requests, LINE).expect("written");
    let create = client.batches().create(&input(), Endpoint::ChatCompletions).options(options.clone());
    let create = create.send().await.expect_err("refused");
    let run = match Run::new(&client, &requests).options(options).execute().await {
        Err(ended) => ended.into_error().expect("an error of the call"),
        ended => panic!("not refused: {ended:?}"),
    };
    assert!(odd.requests().is_empty());
    assert!(!folder.path().join("requests.run").exists());
    [create, run]
}

#[tokio::test]
async fn what_no_service_would_understand_is_refused_before_anything_is_sent() {
    let new = BatchOptions::new;
    let mut cases = vec![
        (ALL, new().field("idem", "x"), "the field idem, which is given by .idempotency_key(…), --idempotency-key"),
        (ALL, new().field("", 1), "a field without a name"),
        (ALL, new().field("weight", f64::NAN), "field weight: NaN is no number of JSON"),
        (ALL, new().max_concurrency(0), "max_concurrency: 0 is out of range"),
        (ALL, new().completion_window("8d"), "does not offer a completion window of \"8d\""),
        ("name = \"bare\"", new().max_concurrency(1), "does not know max_concurrency"),
        (
            "name = \"bare\"",
            new().output_expires_after(ExpiresAfter::seconds(3_600).expect("in range")),
            "does not know output_expires_after",
        ),
        (
            "name = \"keyed\"\ncreate.idempotency = { header = \"Idempotency-Key\" }",
            new().idempotency_key("a\nb"),
            "characters that no header can carry",
        ),
        ("name = \"few\"\nlimits.metadata_key = 3", new().metadata("four", "x"), "takes a key of metadata of 3"),
    ];
    for (field, place) in [
        ("input_file_id", "it is the file that the batch is created over"),
        ("endpoint", "Batches::create(…), Run::endpoint(…), --endpoint"),
        ("completion_window", ".completion_window(…), --completion-window"),
        ("metadata", ".metadata(…), --metadata"),
        ("max_concurrency", ".max_concurrency(…), --max-concurrency"),
        ("output_expires_after", ".output_expires_after(…), --output-expires-after"),
    ] {
        assert!(BatchOptions::FIELDS.contains(&field));
        cases.push((ALL, new().field(field, "x"), place));
    }
    for (table, options, expected) in cases {
        for error in refusals(table, options).await {
            assert!(error.is_invalid() && error.to_string().contains(expected), "{error}, not {expected}");
        }
    }
}

#[test]
fn a_dialect_cannot_set_what_has_a_place_of_its_own() {
    for field in BatchOptions::FIELDS.iter().copied().chain(["idem"]) {
        let table =
            format!("name = \"x\"\ncreate.idempotency = {{ field = \"idem\" }}\ncreate.fields = {{ {field} = 1 }}");
        let error = Dialect::from_toml(&table).expect_err(field);
        assert!(error.to_string().contains(&format!("create.fields.{field}: it has a place of its own")), "{error}");
    }
    let error = Dialect::from_toml("name = \"x\"\ncreate.fields = { \"\" = 1 }");
    assert!(error.is_err(), "a field without a name");
}

#[test]
fn values_of_unknown_fields_are_not_in_debug() {
    let options = BatchOptions::new().metadata("k", "v").field("callback_token", "hunter22");
    let client = Client::builder().base_url("http://127.0.0.1:9").api_key("any").build().expect("a client");
    let create = client.batches().create(&input(), Endpoint::ChatCompletions).options(options.clone());
    for debug in [format!("{options:?}"), format!("{create:?}")] {
        assert!(debug.contains("callback_token") && !debug.contains("hunter22"), "{debug}");
    }
}

#[tokio::test]
async fn the_name_of_the_requests_travels_where_there_is_room_for_it() {
    let long = format!("{}.jsonl", "x".repeat(80));
    let mine = || BatchOptions::new().metadata("team", "search");
    for (more, file, options, expected) in [
        ("", "tickets.jsonl", BatchOptions::new(), Some("tickets.jsonl")),
        ("limits.metadata_pairs = 6", "tickets.jsonl", mine(), Some("tickets.jsonl")),
        // What the caller gave comes first, and so do the marks of the run.
        ("limits.metadata_pairs = 5", "tickets.jsonl", mine(), None),
        ("limits.metadata_value = 64", long.as_str(), mine(), None),
        ("limits.metadata_key = 12", "tickets.jsonl", mine(), None),
        ("create.metadata = false", "tickets.jsonl", mine(), None),
    ] {
        let odd = Odd::new([
            Reply::json(200, json!({"id": "file-1"})),
            batch(),
            Reply::json(200, json!({"id": "batch_1", "status": "failed"})),
        ]);
        let table = format!("name = \"x\"\n{more}\n");
        let client = odd.builder().dialect(dialect(&table)).build().expect("a client");
        let folder = tempfile::tempdir().expect("a folder");
        let requests = folder.path().join(file);
        std::fs::write(&requests, LINE).expect("written");
        let ended = Run::new(&client, &requests).options(options).execute().await;
        assert!(ended.as_ref().is_err_and(lote::run::RunError::is_failed), "{more}: {ended:?}");
        let body: Value = serde_json::from_slice(&odd.bodies()[1]).expect("JSON");
        let sent = &body["metadata"];
        assert_eq!(sent["lote_requests"].as_str(), expected, "{more}: {sent}");
        let given = if more.is_empty() { Value::Null } else { json!("search") };
        assert_eq!((&sent["team"], sent["lote_shard"].as_str()), (&given, Some("1")), "{more}: {sent}");
    }
}
