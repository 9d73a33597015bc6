//! The plan of faults: the file, its errors, the example of the README, leftovers.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lote_gateway::Gateway;
use lote_gateway::faults::{Effect, ErrorBody, Fault, Faults, Lag, Operation, Refusal, RetryAfter};
use reqwest::Method;
use serde_json::Value;

use crate::common::{CHAT, Caller, MKA1, chats, create_body, start};
use crate::wire::Watched;

const README: &str = include_str!("../../README.md");

#[test]
fn errors_name_the_line_and_the_key() {
    let head = "[[fault]]\non = \"get-batch\"\n";
    for (text, line, key, says) in [
        (
            format!("{head}effect = \"reset\"\nnht = 1"),
            4,
            "nht",
            "known are: on, nth, calls, probability, times, effect",
        ),
        (format!("sed = 1\n{head}effect = \"reset\""), 1, "sed", "known are: seed, fault"),
        (head.to_owned(), 1, "effect", "lacks it"),
        ("\n\n[[fault]]\neffect = \"reset\"".to_owned(), 3, "on", "lacks it"),
        (format!("{head}effect = \"explode\""), 3, "effect", "'explode' is not known"),
        ("[[fault]]\non = \"fetch\"".to_owned(), 2, "on", "known are: connection, any, create-batch"),
        (format!("{head}nth = 0\neffect = \"reset\""), 3, "nth", "integer of at least 1"),
        (format!("{head}nth = -1\neffect = \"reset\""), 3, "nth", "integer"),
        (format!("{head}nth = \"1\"\neffect = \"reset\""), 3, "nth", "integer"),
        (format!("{head}calls = [3, 2]\neffect = \"reset\""), 3, "calls", "counted from 1"),
        (format!("{head}calls = [3]\neffect = \"reset\""), 3, "calls", "[2, 4]"),
        (format!("{head}nth = 1\ncalls = [1, 2]\neffect = \"reset\""), 4, "calls", "leave one of them out"),
        (format!("{head}times = 0\neffect = \"reset\""), 3, "times", "at least 1"),
        (format!("{head}probability = 1.5\neffect = \"reset\""), 3, "probability", "from 0 to 1"),
        (format!("{head}probability = nan\neffect = \"reset\""), 3, "probability", "number"),
        (format!("{head}effect = \"status\""), 1, "status", "lacks it"),
        (format!("{head}effect = \"status\"\nstatus = 200"), 4, "status", "from 400 to 599"),
        (format!("{head}effect = \"status\"\nstatus = 99999"), 4, "status", "from 400 to 599"),
        (format!("{head}effect = \"status\"\nstatus = 500\nbody = \"xml\""), 5, "body", "known are: openai, text"),
        (
            format!("{head}effect = \"status\"\nstatus = 429\nretry_after_date = 999999999999"),
            5,
            "retry_after_date",
            "at most 253402300799",
        ),
        (format!("{head}effect = \"delay\"\nseconds = 1e300"), 4, "seconds", "too large"),
        (format!("{head}effect = \"unlisted\"\nlooks = 1"), 3, "effect", "cannot strike 'get-batch'"),
        (format!("{head}effect = \"slow-body\"\nbytes_per_second = 0"), 4, "bytes_per_second", "at least 1"),
        (format!("{head}effect = \"timestamp\"\nfield = \"created_at\"\nvalue = 5"), 5, "value", "text"),
        ("[[fault]]\non = \"create-batch\"\neffect = \"unlisted\"".to_owned(), 1, "looks", "one of 'looks' and"),
        (format!("{head}effect = \"late\"\nseconds = 1"), 3, "effect", "cannot strike 'get-batch'"),
        ("[[fault]]\non = \"create-batch\"\neffect = \"late\"".to_owned(), 1, "seconds", "lacks it"),
        (
            "[[fault]]\non = \"create-batch\"\neffect = \"late\"\nseconds = 1\nstatus = 200".to_owned(),
            5,
            "status",
            "from 400 to 599",
        ),
        (
            "[[fault]]\non = \"create-batch\"\neffect = \"late\"\nseconds = 1\nbody = \"text\"".to_owned(),
            5,
            "body",
            "known are: on, nth, calls, probability, times, effect, seconds, status",
        ),
        ("[[fault]]\non = \"list-batches\"\neffect = \"cut-list\"".to_owned(), 1, "entries", "lacks it"),
        (
            "[[fault]]\non = \"list-files\"\neffect = \"cut-list\"\nentries = 1\nhas_more = \"no\"".to_owned(),
            5,
            "has_more",
            "known are: false, true, absent",
        ),
        ("fault = 3".to_owned(), 1, "fault", "[[fault]]"),
    ] {
        let error = Faults::from_toml(&text).unwrap_err();
        assert_eq!((error.line(), error.key()), (line, Some(key)), "{text}: {error}");
        let shown = error.to_string();
        assert!(shown.starts_with(&format!("line {line}, key '{key}': ")) && shown.contains(says), "{shown}");
    }
    let broken = Faults::from_toml("seed = 1\n[[fault]]\non = \"get").unwrap_err();
    assert_eq!((broken.line(), broken.key()), (3, None), "{broken}");
}

#[test]
fn a_file_says_what_the_builder_says() {
    let text = r#"
        seed = 0x2a

        [[fault]]
        on = "any"
        calls = [2, 5]
        times = 3
        effect = "status"
        status = 429
        retry_after_ms = 1_500
        body = "text"

        [[fault]]
        on = "create-batch"
        effect = "unlisted"
        seconds = 2.5

        [[fault]]
        on = "output-file"
        probability = 0.5
        effect = "missing-lines"
    "#;
    let refusal = Refusal::status(429).retry_after(RetryAfter::Milliseconds(1_500)).body(ErrorBody::Text);
    let lag = Lag::Time(std::time::Duration::from_millis(2_500));
    let built = Faults::new()
        .seed(42)
        .fault(Fault::on(Operation::Any).calls(2..=5).times(3).then(Effect::Status(refusal)))
        .fault(Fault::on(Operation::CreateBatch).then(Effect::Unlisted(lag)))
        .fault(Fault::on(Operation::OutputFile).probability(0.5).then(Effect::MissingLines { lines: 1 }));
    assert_eq!(Faults::from_toml(text), Ok(built));
    assert_eq!(Faults::from_toml(""), Ok(Faults::new()));
}

/// Every effect of the README's table can be read, with the keys that the table gives it, and on an
/// operation that the table names.
#[test]
fn the_readme_lists_every_effect_with_its_keys() {
    let rows: Vec<Vec<&str>> = README
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches('|').count() == 6)
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let mut names = Vec::new();
    for row in &rows {
        let [name, on, keys, ..] = row[..] else { panic!("{row:?}") };
        let name = name.trim_matches('`');
        for operation in on.split(", ") {
            let mut text = format!("[[fault]]\non = \"{}\"\neffect = \"{name}\"\n", operation.trim_matches('`'));
            for key in keys.split(", ").filter(|key| key.starts_with('`')) {
                text.push_str(key.trim_matches('`'));
                text.push('\n');
            }
            assert!(Faults::from_toml(&text).is_ok(), "{text}{}", Faults::from_toml(&text).unwrap_err());
        }
        names.push(name);
    }
    // The library's own list, from its source: what the README lacks is named here.
    let source = include_str!("../../src/faults/effect.rs");
    let known: Vec<&str> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Effect::")?.split_once("=> \""))
        .filter_map(|(_, name)| name.strip_suffix("\","))
        .collect();
    assert!(known.len() > 30, "{known:?}");
    assert_eq!(names, known);
}

/// A faults file that names another operation is told all that there are; the README names the same.
#[test]
fn the_readme_lists_every_operation() {
    let error = Faults::from_toml("[[fault]]\non = \"fetch\"").unwrap_err().to_string();
    let (_, known) = error.split_once("known are: ").unwrap();
    let listed = README.lines().find(|line| line.starts_with("Operations: ")).unwrap();
    let names: Vec<&str> = listed.split('`').skip(1).step_by(2).collect();
    assert_eq!(names, known.split(", ").collect::<Vec<_>>());
}

/// The example in the README, run from end to end: everything in it happens.
#[tokio::test]
async fn the_example_of_the_readme_runs() {
    let (_, rest) = README.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let faults = Faults::from_toml(example).unwrap();
    let gateway = start(Gateway::builder().faults(faults).journal(true)).await;
    let caller = Caller::new(&gateway, MKA1, "sk-test");
    let file = caller.upload(chats(["one", "two", "three"])).await;
    let create = caller.request(Method::POST, "/batches").json(&create_body(&file, CHAT));
    assert!(create.send().await.is_err(), "the answer is lost");
    for looks in 0..3 {
        let (_, page) = caller.get("/batches").await;
        assert_eq!(page["data"].as_array().unwrap().len(), usize::from(looks == 2), "look {looks}");
    }
    let batch = loop {
        // The list is never refused.
        let batch = caller.get("/batches").await.1["data"][0].clone();
        if batch["status"] == "completed" {
            break batch;
        }
    };
    assert_eq!(batch["request_counts"]["completed"], 3);
    let path = format!("/batches/{}", batch["id"].as_str().unwrap());
    let output = String::from_utf8(caller.bytes(batch["output_file_id"].as_str().unwrap()).await).unwrap();
    assert_eq!(output.lines().count(), 2, "one is missing");
    let mut limited = 0;
    for _ in 0..200 {
        let response = caller.request(Method::GET, &path).send().await.unwrap();
        if response.status() == 429 {
            limited += 1;
            assert_eq!(response.headers()["retry-after"], "1");
            assert_eq!(response.json::<Value>().await.unwrap()["error"], "Rate limit exceeded");
        }
    }
    assert!(limited > 0);
    assert_eq!(gateway.leftovers(), Vec::<String>::new());
}

#[tokio::test]
async fn leftovers_fail_the_test_that_drops_the_gateway() {
    let fault = || Fault::on(Operation::CreateBatch).nth(1).then(Effect::AnswerLost);
    let message = |drop: Result<(), Box<dyn std::any::Any + Send>>| {
        drop.err().map(|panic| panic.downcast_ref::<String>().cloned().unwrap_or_default())
    };
    let gateway = start(Gateway::builder().fault(fault())).await;
    let panic = message(catch_unwind(AssertUnwindSafe(|| drop(gateway)))).unwrap();
    assert!(panic.contains("fault 1 ('answer-lost' on 'create-batch') was never used"), "{panic}");

    let gateway = start(Gateway::builder().fault(fault())).await;
    gateway.forgive_leftovers();
    assert_eq!(message(catch_unwind(AssertUnwindSafe(|| drop(gateway)))), None);

    // A panic that is under way is not made worse.
    let gateway = start(Gateway::builder().fault(fault())).await;
    let first = catch_unwind(AssertUnwindSafe(move || {
        let _gateway = gateway;
        panic!("{}", String::from("the test's own"));
    }));
    assert_eq!(message(first).as_deref(), Some("the test's own"));

    // What is left to chance is no leftover; what was to happen on every call is one.
    let maybe = || Fault::on(Operation::CreateBatch).probability(0.5).then(Effect::AnswerLost);
    let gateway = start(Gateway::builder().fault(maybe())).await;
    assert_eq!(message(catch_unwind(AssertUnwindSafe(|| drop(gateway)))), None);
    let always = Fault::on(Operation::CreateBatch).then(Effect::TokenLimit);
    let gateway = start(Gateway::builder().fault(maybe()).fault(always)).await;
    let panic = message(catch_unwind(AssertUnwindSafe(|| drop(gateway)))).unwrap();
    assert!(panic.contains("fault 2 ('token-limit' on 'create-batch') was never used"), "{panic}");
}

/// A call that a fault strikes without changing anything leaves the fault over, also for the next.
#[tokio::test]
async fn a_fault_that_changes_nothing_is_not_used() {
    let field = || "max_concurrency".to_owned();
    let looks = Lag::Looks(1);
    let on = Fault::on;
    let faults = [
        on(Operation::CreateBatch).times(1).then(Effect::Unlisted(looks)),
        on(Operation::CreateBatch).times(1).then(Effect::TokenLimit),
        on(Operation::CreateBatch).times(1).then(Effect::AnswerReplaced(Refusal::status(504))),
        on(Operation::GetBatch).times(1).then(Effect::UnknownStatus("odd".to_owned())),
        on(Operation::GetBatch).times(1).then(Effect::AbsentField(field())),
        on(Operation::ListBatches).times(1).then(Effect::NullField(field())),
        on(Operation::FileContent).times(1).then(Effect::TruncatedBody { after: 1 }),
        on(Operation::OutputFile).times(1).then(Effect::MissingLines { lines: 1 }),
        on(Operation::OutputFile).times(1).then(Effect::NotFound(looks)),
        on(Operation::ErrorFile).times(1).then(Effect::EmptyFileId),
    ];
    let used_by = |gateway: &Watched| 10 - gateway.leftovers().len();
    let mut builder = Gateway::builder().virtual_clock().key("sk-test");
    for fault in faults {
        builder = builder.fault(fault);
    }
    let gateway = start(builder).await;
    let caller = Caller::new(&gateway, MKA1, "sk-test");
    let stranger = Caller::new(&gateway, MKA1, "sk-stranger");

    let empty = caller.upload("").await;
    let failing = caller.upload(chats(["[[status=500]]"])).await;
    assert_eq!(stranger.post("/batches", &create_body(&failing, CHAT)).await.0, 401);
    assert_eq!(caller.get("/batches/batch_x").await.0, 404);
    assert_eq!(caller.get("/batches").await.0, 200);
    assert_eq!(caller.bytes(&empty).await, b"");
    assert_eq!(gateway.leftovers().len(), 10, "{:?}", gateway.leftovers());

    let create = async |file: &str| {
        let request = caller.request(Method::POST, "/batches").json(&create_body(file, CHAT));
        request.send().await.unwrap().status()
    };
    assert_eq!(create(&failing).await, 504, "the first that does something");
    gateway.advance(std::time::Duration::ZERO).await;
    assert_eq!(used_by(&gateway), 3);
    // It ran into the token limit. The next one runs, and has no output file but an error file.
    assert_eq!(create(&failing).await, 200);
    caller.odd(Method::GET, "/batches").send().await.unwrap();
    let list: Value = caller.odd(Method::GET, "/batches").send().await.unwrap().json().await.unwrap();
    let path = format!("/batches/{}", list["data"][0]["id"].as_str().unwrap());
    assert_eq!(used_by(&gateway), 4, "{:?}", gateway.leftovers());
    let batch: Value = caller.odd(Method::GET, &path).send().await.unwrap().json().await.unwrap();
    assert_eq!((&batch["status"], &batch["output_file_id"]), (&"odd".into(), &Value::Null), "{batch}");
    assert_eq!(used_by(&gateway), 6, "{:?}", gateway.leftovers());
    assert!(caller.odd(Method::GET, &format!("/files/{failing}/content")).send().await.unwrap().bytes().await.is_err());
    // And one of which everything succeeds.
    let good = caller.upload(chats(["one", "two"])).await;
    let batch = caller.create(&good, CHAT).await;
    let batch = caller.batch(&batch).await;
    assert_eq!(batch["error_file_id"], "");
    let output = batch["output_file_id"].as_str().unwrap();
    assert_eq!(caller.request(Method::GET, &format!("/files/{output}/content")).send().await.unwrap().status(), 404);
    assert_eq!(caller.lines(&batch["output_file_id"]).await.len(), 1);
    assert_eq!(gateway.leftovers(), Vec::<String>::new());
}

#[tokio::test]
async fn a_fault_that_cannot_happen_does_not_start() {
    for (fault, says) in [
        (Fault::on(Operation::Connection).then(Effect::AnswerLost), "fault 2, effect: 'answer-lost' cannot strike"),
        (Fault::on(Operation::GetBatch).then(Effect::ShuffledLines), "cannot strike 'get-batch'"),
        (Fault::on(Operation::GetBatch).nth(0).then(Effect::Reset), "fault 2, calls"),
        (Fault::on(Operation::GetBatch).then(Effect::Status(Refusal::status(200))), "fault 2, status"),
        (
            Fault::on(Operation::GetBatch)
                .then(Effect::AnswerReplaced(Refusal::status(503).retry_after(RetryAfter::Date(253_402_300_800)))),
            "fault 2, retry_after_date",
        ),
    ] {
        let good = Fault::on(Operation::GetBatch).then(Effect::Reset);
        let error = Gateway::builder().fault(good).fault(fault).start().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(says), "{error}");
    }
}
