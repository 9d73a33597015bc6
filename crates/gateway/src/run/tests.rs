//! The work on batches without HTTP: what is in a state is done, wherever that is.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::app::App;
use crate::contract::{Endpoint, Status, View};
use crate::run::{launch, schedule};
use crate::settings::Setup;
use crate::state::{BatchRecord, Created, NewBatch, NewFile};
use crate::tenant::{AccountId, Tenant};

const TENANT: Tenant = Tenant::new([1; 32]);
const ACCOUNT: AccountId = AccountId::new([2; 32]);

/// A batch over these lines.
async fn submit(app: &App, lines: &str) -> BatchRecord {
    let mut spool = app.state.spool(&ACCOUNT).await.unwrap();
    spool.write(lines.as_bytes()).await.unwrap();
    let file = NewFile {
        id: app.ids.next("file-"),
        filename: "requests.jsonl".to_owned(),
        purpose: "batch".to_owned(),
        media_type: None,
        lives: None,
        blob: Arc::new(spool.seal().await.unwrap()),
    };
    let file = app.state.add_file(TENANT, ACCOUNT, file).await.unwrap();
    let new = NewBatch {
        id: app.ids.next("batch_"),
        tenant: TENANT,
        account: ACCOUNT,
        origin: View::OpenAi,
        endpoint: Endpoint::ChatCompletions,
        input_file_id: file.id.clone(),
        needs_input: true,
        metadata: None,
        max_concurrency: 8,
        output_expires_after: None,
        window: Duration::from_secs(86_400),
        idempotency: None,
    };
    let Created::Made(batch) = app.state.create_batch(&new).await.unwrap() else { panic!("it is made") };
    batch
}

fn lines(prompts: impl IntoIterator<Item = String>) -> String {
    let line = |(at, prompt): (usize, String)| {
        let body = serde_json::json!({"model": "m", "messages": [{"role": "user", "content": prompt}]});
        let url = "/v1/chat/completions";
        serde_json::json!({"custom_id": at.to_string(), "method": "POST", "url": url, "body": body}).to_string() + "\n"
    };
    prompts.into_iter().enumerate().map(line).collect()
}

async fn until(app: &App, id: &str, so: impl Fn(&BatchRecord) -> bool) -> BatchRecord {
    loop {
        let batch = app.state.batch(TENANT, id).await.unwrap().unwrap();
        if so(&batch) {
            return batch;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The custom_ids of a result file, in order.
async fn ids(app: &App, file: Option<&str>) -> Vec<usize> {
    let Some(file) = file else { return Vec::new() };
    let file = app.state.file(TENANT, file).await.unwrap().unwrap();
    let mut text = String::new();
    file.blob.open(0).await.unwrap().read_to_string(&mut text).await.unwrap();
    let id = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["custom_id"].as_str().unwrap().parse().unwrap()
    };
    text.lines().map(id).collect()
}

/// Does a test with the state in memory, and in a folder where there is such a thing.
async fn everywhere(test: impl AsyncFn(&Arc<App>)) {
    let app = Arc::new(App::new(Setup::default()).await.unwrap());
    test(&app).await;
    #[cfg(feature = "data")]
    {
        let folder = tempfile::tempdir().unwrap();
        let keeping = crate::keeping::Keeping::Folder(folder.path().to_owned());
        let app = Arc::new(App::new(Setup { keeping, ..Setup::default() }).await.unwrap());
        let worker = tokio::spawn(schedule(Arc::clone(&app)));
        test(&app).await;
        app.drain.cancel();
        worker.await.unwrap();
        app.state.clear().await;
    }
}

#[tokio::test]
async fn lines_of_all_slices_are_answered_once() {
    everywhere(async |app| {
        let prompt = |at| if at % 7 == 0 { "[[status=400]]".to_owned() } else { format!("line {at}") };
        let batch = submit(app, &lines((0..700).map(prompt))).await;
        launch(app, &batch.id);
        let batch = until(app, &batch.id, |batch| batch.status.is_terminal()).await;
        assert_eq!((batch.status, batch.counts.total), (Status::Completed, 700));
        assert_eq!((batch.counts.completed, batch.counts.failed), (600, 100));
        let mut all = ids(app, batch.output_file_id.as_deref()).await;
        all.extend(ids(app, batch.error_file_id.as_deref()).await);
        all.sort_unstable();
        assert_eq!(all, (0..700).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn what_is_cancelled_has_a_line_for_each_request() {
    everywhere(async |app| {
        let prompts = (0..200).map(|at| if at < 3 { "quick".to_owned() } else { "[[sleep=86400000]]".to_owned() });
        let batch = submit(app, &lines(prompts)).await;
        launch(app, &batch.id);
        until(app, &batch.id, |batch| batch.counts.completed == 3).await;
        assert!(app.state.cancel(TENANT, &batch.id, false).await.unwrap().unwrap().1);
        app.cancel(&batch.id);
        let batch = until(app, &batch.id, |batch| batch.status.is_terminal()).await;
        assert_eq!((batch.status, batch.counts.completed, batch.counts.failed), (Status::Cancelled, 3, 0));
        assert_eq!(ids(app, batch.error_file_id.as_deref()).await, (3..200).collect::<Vec<_>>());
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_waits_does_not_keep_others_waiting() {
    everywhere(async |app| {
        // Servers that are away, so to say: more lines than one batch may have in flight.
        for _ in 0..5 {
            let slow = submit(app, &lines((0..100).map(|_| "[[sleep=86400000]]".to_owned()))).await;
            launch(app, &slow.id);
            until(app, &slow.id, |batch| batch.status == Status::InProgress).await;
        }
        let quick = submit(app, &lines((0..100).map(|at| format!("line {at}")))).await;
        launch(app, &quick.id);
        assert_eq!(until(app, &quick.id, |batch| batch.status.is_terminal()).await.status, Status::Completed);
        app.drain.cancel();
        app.stop.cancel();
    })
    .await;
}
