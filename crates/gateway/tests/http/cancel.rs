//! Cancelling in every status.

use std::time::Duration;

use crate::common::{CHAT, Caller, OPENAI, PREFIXES, by_id, chats, create_body, plain, start};
use lote_gateway::Gateway;
use serde_json::{Value, json};

#[tokio::test]
async fn a_running_batch_keeps_what_is_done_and_names_what_is_not() {
    for prefix in PREFIXES {
        let gateway = start(Gateway::builder().cancel_grace(Duration::from_millis(500))).await;
        let caller = Caller::new(&gateway, prefix, "sk-test");
        let file = caller.upload(chats(["quick", "[[sleep=300]]", "[[sleep=60000]]", "never"])).await;
        let mut body = create_body(&file, CHAT);
        body["max_concurrency"] = json!(2);
        let (_, batch) = caller.post("/batches", &body).await;
        // The quick line is done, the next two are in flight.
        caller.until(&batch, |batch| batch["request_counts"]["completed"] == 1).await;

        let (status, cancelling) = caller.cancel(&batch).await;
        assert_eq!(status, 200);
        assert_eq!(cancelling["status"], "cancelling");
        assert!(cancelling["cancelling_at"].is_i64());
        let (status, again) = caller.cancel(&batch).await;
        assert_eq!((status.as_u16(), &again["status"]), (200, &json!("cancelling")));

        let batch = caller.ended(&batch).await;
        assert_eq!(batch["status"], "cancelled");
        assert!(batch["cancelled_at"].is_i64());
        assert_eq!(batch["finalizing_at"], Value::Null);
        assert_eq!(batch["request_counts"], json!({"total": 4, "completed": 2, "failed": 0}));
        let output = caller.lines(&batch["output_file_id"]).await;
        assert_eq!(output.len(), 2);
        by_id(&output, "r-1");
        let errors = caller.lines(&batch["error_file_id"]).await;
        assert_eq!(errors.len(), 2);
        for id in ["r-2", "r-3"] {
            assert_eq!(by_id(&errors, id)["error"]["code"], "batch_cancelled");
        }
    }
}

#[tokio::test]
async fn validating_and_finalizing_batches_can_be_cancelled() {
    let gateway = start(Gateway::builder().stage_delay(Duration::from_secs(60))).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let batch = caller.submit(chats(["one"]), CHAT).await;
    assert_eq!(caller.cancel(&batch).await.1["status"], "cancelling");
    let batch = caller.ended(&batch).await;
    assert_eq!(batch["status"], "cancelled");
    assert_eq!(batch["in_progress_at"], Value::Null);
    assert_eq!((&batch["output_file_id"], &batch["error_file_id"]), (&Value::Null, &Value::Null));

    let gateway = start(Gateway::builder().stage_delay(Duration::from_millis(700))).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let batch = caller.submit(chats(["one"]), CHAT).await;
    caller.until(&batch, |batch| batch["status"] == "finalizing").await;
    assert_eq!(caller.cancel(&batch).await.0, 200);
    let batch = caller.ended(&batch).await;
    assert_eq!(batch["status"], "cancelled");
    assert!(batch["finalizing_at"].is_i64());
    assert_eq!(caller.lines(&batch["output_file_id"]).await.len(), 1);
}

#[tokio::test]
async fn a_batch_that_is_over_is_a_conflict_and_stays_as_it_is() {
    let gateway = start(Gateway::builder().window(Duration::from_secs(1))).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let completed = caller.run(chats(["one"]), CHAT).await;
    let failed = caller.run("not json", CHAT).await;
    let expired = caller.run(chats(["[[sleep=60000]]"]), CHAT).await;
    let (_other, patient) = plain(OPENAI).await;
    let running = patient.submit(chats(["[[sleep=100]]"]), CHAT).await;
    patient.cancel(&running).await;
    let cancelled = patient.ended(&running).await;

    for (caller, batch, status) in [
        (&caller, completed, "completed"),
        (&caller, failed, "failed"),
        (&caller, expired, "expired"),
        (&patient, cancelled, "cancelled"),
    ] {
        assert_eq!(batch["status"], status);
        let (code, refused) = caller.cancel(&batch).await;
        assert_eq!(code, 409, "{status}");
        assert_eq!(
            refused["error"],
            json!({
                "message": format!("Cannot cancel a batch with status '{status}'."),
                "type": "invalid_request_error",
                "param": null,
                "code": null,
            })
        );
        assert_eq!(caller.batch(&batch).await, batch);
    }
}
