//! The program of the guide's page "waiting": how often to ask, what to survive, and the three ways in which a wait ends.
//! With no account it runs against an embedded gateway. `cargo run --example waiting`

#![expect(clippy::print_stdout, reason = "printing is what an example does")]

use std::{
    env,
    error::Error,
    pin::pin,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures_util::StreamExt;
use lote::{Batch, Cadence, Client, Endpoint, Look, Tolerance, UploadPurpose, Waited, webhook::Receiver};
use lote_gateway::Gateway;

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZg==";

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let gateway = Gateway::builder().stage_delay(Duration::from_millis(50)).start().await?;
    let client = match env::var_os("LOTE_API_KEY") {
        Some(_) => Client::from_env()?,
        None => Client::builder().base_url(gateway.url()).api_key("any").build()?,
    };

    let batch = batch_of(&client, "1 + 1?").await?;
    let wait = client
        .batches()
        .wait(&batch.id)
        .cadence(Cadence::new(Duration::from_secs(1), Duration::from_secs(60)))
        .tolerance(Tolerance::default().lasting(Duration::from_secs(60 * 60)))
        .deadline(Duration::from_secs(26 * 60 * 60))
        .on_progress(|batch| println!("{}: {:?}", batch.status, batch.progress()))
        .on_trouble(|error| println!("asking again after {error}"));
    match wait.until_over().await {
        Waited::Ended(batch) => println!("{} is {}", batch.id, batch.status),
        Waited::GaveUp(last) => println!("not over after 26 hours: {last:?}; it goes on"),
        Waited::CouldNotAsk { error, last } => println!("{error}; last seen: {last:?}; it goes on"),
    }

    let batch = batch_of(&client, "1 + 2?").await?;
    let batch = client.batches().wait(&batch.id).until_over().await.ended()?.completed()?;
    println!("{} is completed: {:?}", batch.id, batch.request_counts);

    let batch = batch_of(&client, "2 + 2?").await?;
    let mut looks = pin!(client.batches().wait(&batch.id).into_stream());
    while let Some(look) = looks.next().await {
        match look {
            Look::Seen(batch) => println!("{}: {:?}", batch.status, batch.request_counts),
            Look::Trouble(error) => println!("{error}"),
            Look::Over(waited) => println!("over: {}", waited.ended()?.status),
        }
    }

    let ids = [batch_of(&client, "3 + 3?").await?.id, batch_of(&client, "4 + 4?").await?.id];
    for (id, waited) in client.batches().wait_all(ids).until_over().await {
        match waited.ended() {
            Ok(batch) => println!("{id} is {}", batch.status),
            Err(error) => println!("{id}: {error}"),
        }
    }

    let receiver = Receiver::new(SECRET)?;
    let batch = batch_of(&client, "5 + 5?").await?;
    let wait = client.batches().wait(&batch.id).cadence(Cadence::every(Duration::from_secs(600))).woken_by(&receiver);
    let (waited, status) = tokio::join!(wait.until_over(), async {
        until_over(&client, &batch).await;
        let (headers, body) = event_of(&batch);
        on_request(&receiver, headers, body.as_bytes())
    });
    assert!(matches!(waited, Waited::Ended(_)));
    assert_eq!(status, 200);
    Ok(())
}

/// The handler of a web framework: headers and body as they came, and the status to answer with.
fn on_request(receiver: &Receiver, headers: [(&'static str, String); 3], body: &[u8]) -> u16 {
    match receiver.receive(headers, body) {
        Ok(event) => {
            println!("{}: {:?}", event.kind, event.batch);
            200
        }
        Err(rejected) => rejected.status(),
    }
}

/// What OpenAI would send of a batch that has ended, signed as it signs.
fn event_of(batch: &Batch) -> ([(&'static str, String); 3], String) {
    let body = format!(r#"{{"id":"evt_1","type":"batch.completed","data":{{"id":"{}"}}}}"#, batch.id);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let signature = standardwebhooks::Webhook::new(SECRET)
        .and_then(|webhook| webhook.sign("msg_1", now.try_into().unwrap_or(i64::MAX), body.as_bytes()))
        .unwrap_or_default();
    let headers = [("webhook-id", "msg_1".to_owned()), ("webhook-timestamp", now.to_string())];
    let [id, timestamp] = headers;
    ([id, timestamp, ("webhook-signature", signature)], body)
}

async fn until_over(client: &Client, batch: &Batch) {
    let wait = client.batches().wait(&batch.id);
    assert!(matches!(wait.until_over().await, Waited::Ended(_)));
}

/// A batch of one request line.
async fn batch_of(client: &Client, question: &str) -> Result<Batch, Box<dyn Error>> {
    let line = lote::request::ChatCompletion::new("auto").user(question).line("question")?;
    let mut bytes = Vec::new();
    line.write_to(&mut bytes)?;
    let upload = client.files().upload_reader(std::io::Cursor::new(bytes), "question.jsonl", UploadPurpose::Batch);
    let input = upload.send().await?;
    Ok(client.batches().create(&input.id, Endpoint::ChatCompletions).send().await?)
}
