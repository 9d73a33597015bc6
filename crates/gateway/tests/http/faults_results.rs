//! Faults on result files: what a file says that was distorted, and that others are not.

use lote_gateway::Gateway;
use lote_gateway::faults::{Effect, Fault, Operation};
use serde_json::{Value, json};

use crate::common::{CHAT, Caller, OPENAI, chats, start};

/// The result files of a batch of four lines, the last of which fails: output and error, as text.
/// Those without an id are none.
async fn results(on: Operation, effect: Effect, texts: &[&str]) -> (Value, Option<Vec<u8>>, Option<Vec<u8>>) {
    let fault = Fault::on(on).nth(1).then(effect.clone());
    let gateway = start(Gateway::builder().virtual_clock().seed(1).fault(fault)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let file = caller.upload(chats(texts)).await;
    let batch = caller.create(&file, CHAT).await;
    let batch = caller.ended(&batch).await;
    assert_eq!(batch["status"], "completed");
    let mut contents = Vec::new();
    for field in ["output_file_id", "error_file_id"] {
        contents.push(match batch[field].as_str() {
            None | Some("") => None,
            Some(id) => Some(caller.bytes(id).await),
        });
    }
    let error = contents.pop().unwrap();
    // Only what names a file without lines has nothing to do where there are some.
    let idle = on == Operation::OutputFile && effect == Effect::EmptyFileId && texts == ["one"];
    assert_eq!(gateway.leftovers().len(), usize::from(idle));
    gateway.forgive_leftovers();
    // The next batch is as it should be.
    let second = caller.create(&file, CHAT).await;
    let second = caller.ended(&second).await;
    if let Some(id) = second["output_file_id"].as_str() {
        let lines = String::from_utf8(caller.bytes(id).await).unwrap();
        let succeed = texts.iter().filter(|text| !text.contains("status=")).count();
        assert_eq!(lines.lines().count(), succeed);
    }
    (batch, contents.pop().unwrap(), error)
}

const FOUR: [&str; 4] = ["one", "two", "three", "[[status=500]]"];

/// The custom_ids of a file, in file order; a line that cannot be read is `?`.
fn ids(content: &[u8]) -> Vec<String> {
    let lines = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| match serde_json::from_slice::<Value>(line) {
            Ok(line) => line["custom_id"].as_str().unwrap().to_owned(),
            Err(_) => "?".to_owned(),
        })
        .collect()
}

#[tokio::test]
async fn lines_come_in_odd_numbers_and_orders() {
    for (effect, expected) in [
        (Effect::DuplicatedLines { lines: 2 }, vec!["r-0", "r-1", "r-2", "r-0", "r-1"]),
        (Effect::MissingLines { lines: 1 }, vec!["r-0", "r-1"]),
        (Effect::MissingLines { lines: 99 }, vec![]),
        (Effect::ForeignLines { lines: 2 }, vec!["foreign-1", "foreign-2", "r-0", "r-1", "r-2"]),
        (Effect::UndecodableLines { lines: 1 }, vec!["?", "r-1", "r-2"]),
        (Effect::TruncatedLine, vec!["r-0", "r-1", "?"]),
    ] {
        let (_, output, error) = results(Operation::OutputFile, effect.clone(), &FOUR).await;
        assert_eq!(ids(&output.unwrap()), expected, "{effect:?}");
        assert_eq!(ids(&error.unwrap()), ["r-3"], "{effect:?}");
    }
    let (_, output, _) = results(Operation::OutputFile, Effect::ShuffledLines, &FOUR).await;
    let shuffled = ids(&output.unwrap());
    assert_ne!(shuffled, ["r-0", "r-1", "r-2"]);
    let mut sorted = shuffled.clone();
    sorted.sort();
    assert_eq!(sorted, ["r-0", "r-1", "r-2"]);
    let (_, output, _) = results(Operation::OutputFile, Effect::NoFinalNewline, &FOUR).await;
    assert_eq!(output.unwrap().last(), Some(&b'}'));
}

#[tokio::test]
async fn lines_have_odd_shapes() {
    let line = |content: Option<Vec<u8>>| -> Value {
        serde_json::from_slice(content.unwrap().split(|byte| *byte == b'\n').next().unwrap()).unwrap()
    };
    for operation in [Operation::OutputFile, Operation::ErrorFile] {
        let (_, output, error) = results(operation, Effect::BothSet, &FOUR).await;
        let line = line(if operation == Operation::OutputFile { output } else { error });
        assert!(line["response"]["status_code"].is_u64(), "{line}");
        assert_eq!(line["error"]["code"], "processing_error");
    }
    let (_, output, _) = results(Operation::OutputFile, Effect::HalfLines, &FOUR).await;
    let half = line(output);
    assert_eq!((half.get("error"), half["response"]["status_code"].as_u64()), (None, Some(200)));
    let (_, output, _) = results(Operation::OutputFile, Effect::BodyAsText, &FOUR).await;
    let body: Value = serde_json::from_str(line(output)["response"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["object"], "chat.completion");
    let (_, output, _) = results(Operation::OutputFile, Effect::NullRequestId, &FOUR).await;
    assert_eq!(line(output)["response"]["request_id"], Value::Null);
}

#[tokio::test]
async fn files_are_named_oddly() {
    let good = ["one"];
    let bad = ["[[status=500]]"];
    let (batch, output, _) = results(Operation::OutputFile, Effect::NoFile, &FOUR).await;
    assert_eq!((&batch["output_file_id"], output), (&Value::Null, None));
    assert_eq!(batch["request_counts"], json!({"total": 4, "completed": 3, "failed": 1}));

    let (batch, ..) = results(Operation::ErrorFile, Effect::EmptyFileId, &good).await;
    assert_eq!(batch["error_file_id"], "");
    let (batch, ..) = results(Operation::OutputFile, Effect::EmptyFileId, &bad).await;
    assert_eq!(batch["output_file_id"], "");
    let (_, _, error) = results(Operation::ErrorFile, Effect::EmptyFile, &good).await;
    assert_eq!(error, Some(Vec::new()));
    // Where there are lines, both leave the file alone.
    let (_, output, _) = results(Operation::OutputFile, Effect::EmptyFileId, &good).await;
    assert_eq!(ids(&output.unwrap()), ["r-0"]);
}
