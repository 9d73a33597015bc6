//! A receiver of a service's webhooks: it checks the signature and the age, refuses what came before, and wakes waits.
//!
//! OpenAI sends an event when a batch ends (`batch.completed`, `batch.failed`, `batch.expired`, `batch.cancelled`),
//! signed as the Standard Webhooks specification says; MKA1 sends none. An event may come late, twice or never: a wait
//! that is woken by one ([`Wait::woken_by`](crate::Wait::woken_by)) asks the service, and goes on polling.
//!
//! ```
//! # async fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
//! # let client = lote::Client::builder().base_url(gateway.url()).api_key("mk-…").build()?;
//! # let line = "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"1 + 1?\"}]}}\n";
//! # let upload = client.files().upload_reader(line.as_bytes(), "a.jsonl", lote::UploadPurpose::Batch);
//! # let batch = client.batches().create(&upload.send().await?.id, lote::Endpoint::ChatCompletions).send().await?;
//! use lote::webhook::Receiver;
//!
//! let receiver = Receiver::new("whsec_MDEyMzQ1Njc4OWFiY2RlZg==")?;
//!
//! // In the handler of your web framework, with headers and body as they came:
//! # let headers = [("webhook-id", "evt_1"), ("webhook-timestamp", "1"), ("webhook-signature", "v1,AAAA")];
//! # let body = b"{}";
//! let status = match receiver.receive(headers, body) {
//!     Ok(event) => { println!("{}: {:?}", event.kind, event.batch); 200 }
//!     Err(rejected) => rejected.status(),
//! };
//! # assert_eq!(status, 400);
//!
//! // Where the batch is waited for:
//! let wait = client.batches().wait(&batch.id).woken_by(&receiver);
//! let waited = wait.until_over().await;
//! # assert!(matches!(waited, lote::Waited::Ended(_)));
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! #     let gateway = lote_gateway::Gateway::builder().start().await.unwrap();
//! #     example(&gateway).await.unwrap();
//! # });
//! ```

use std::{
    collections::HashMap,
    fmt,
    future::pending,
    sync::{Arc, Mutex, PoisonError},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook};
use tokio::sync::broadcast::{self, error::RecvError};

use crate::{BatchId, Error, UnixSeconds};

/// How far the clocks of both sides, and the time of signing and of receiving, may be apart: 300 seconds, as in OpenAI's
/// SDKs and the specification.
pub const TOLERANCE_SECONDS: i64 = 300;

/// How many events a wait may be behind before it asks without looking at them.
const EVENTS: usize = 1024;

/// Receives the webhooks that are signed with one secret. Cheap to clone; clones remember the same events.
#[derive(Clone)]
pub struct Receiver(Arc<Inner>);

struct Inner {
    webhook: Webhook,
    taken: Mutex<Taken>,
    events: broadcast::Sender<BatchId>,
}

/// The events that were taken.
#[derive(Default)]
struct Taken {
    /// Until when each could be sent again.
    until: HashMap<String, i64>,
    /// When it was last looked which could not: not for each of many in the same second.
    cleared_at: i64,
}

impl Taken {
    /// Whether this event had been taken before.
    fn again(&mut self, id: &str, now: i64, until: i64) -> bool {
        if self.cleared_at != now {
            self.until.retain(|_, until| *until >= now);
            self.cleared_at = now;
        }
        self.until.insert(id.to_owned(), until).is_some()
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// An event whose signature is right and which was not received before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// The id of the delivery, from `webhook-id`.
    pub id: String,
    /// What has happened, such as `batch.completed`.
    pub kind: String,
    /// When it happened, if the event says so.
    pub created_at: Option<UnixSeconds>,
    /// The batch, when the event is about one.
    pub batch: Option<BatchId>,
}

impl Receiver {
    /// A receiver for the signing secret that the service showed when the webhook was set up (`whsec_…`).
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when the secret is empty or no Base64.
    pub fn new(secret: &str) -> Result<Self, Error> {
        let secret = secret.trim();
        let webhook = Webhook::new(secret)
            .ok()
            .filter(|_| !secret.strip_prefix("whsec_").unwrap_or(secret).is_empty())
            .ok_or_else(|| Error::invalid("webhook secret: it is not whsec_ and Base64; copy it as a whole"))?;
        let (events, _) = broadcast::channel(EVENTS);
        Ok(Self(Arc::new(Inner { webhook, taken: Mutex::default(), events })))
    }

    /// Checks a request and reads its event, with the headers in any spelling and the body as it came, byte for byte.
    /// Waits for the batch are woken.
    ///
    /// # Errors
    /// See [`Rejected`], which says what to answer.
    pub fn receive<N, V>(&self, headers: impl IntoIterator<Item = (N, V)>, body: &[u8]) -> Result<Event, Rejected>
    where
        N: AsRef<str>,
        V: AsRef<[u8]>,
    {
        self.receive_at(UnixSeconds::now().get(), &signed_headers(headers), body)
    }

    fn receive_at(&self, now: i64, headers: &HeaderMap, body: &[u8]) -> Result<Event, Rejected> {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let signed_at: i64 = header(HEADER_WEBHOOK_TIMESTAMP)
            .and_then(|seconds| seconds.parse().ok())
            .ok_or(Rejected(Why::NotSigned("webhook-timestamp is missing or no number")))?;
        // Checked here first: standardwebhooks overflows on timestamps at the ends of the range.
        if now.saturating_sub(signed_at).unsigned_abs() > TOLERANCE_SECONDS.unsigned_abs() {
            return Err(Rejected(Why::OutOfTime));
        }
        self.0.webhook.verify(body, headers).map_err(|_| Rejected(Why::NotSigned("the signature is not right")))?;
        let id = header(HEADER_WEBHOOK_ID).unwrap_or_default().to_owned();
        let event = read(id, body).ok_or(Rejected(Why::NoEvent))?;
        let again = {
            let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.again(&event.id, now, signed_at.saturating_add(TOLERANCE_SECONDS))
        };
        if again {
            return Err(Rejected(Why::Again));
        }
        if let Some(batch) = &event.batch {
            // An error means that no wait listens, which is fine.
            let _ = self.0.events.send(batch.clone());
        }
        Ok(event)
    }

    pub(crate) fn bell(&self, id: &BatchId) -> Bell {
        Bell { id: id.clone(), events: self.0.events.subscribe() }
    }
}

/// Only the three headers that matter; of one that is given twice none, since a check and a reader might differ.
fn signed_headers<N: AsRef<str>, V: AsRef<[u8]>>(headers: impl IntoIterator<Item = (N, V)>) -> HeaderMap {
    let mut signed = HeaderMap::new();
    let mut twice = Vec::new();
    for (name, value) in headers {
        let name = name.as_ref().to_ascii_lowercase();
        if let Some(known) = [HEADER_WEBHOOK_ID, HEADER_WEBHOOK_TIMESTAMP, HEADER_WEBHOOK_SIGNATURE]
            .into_iter()
            .find(|known| *known == name)
            && let Ok(value) = HeaderValue::from_bytes(value.as_ref())
            && signed.insert(HeaderName::from_static(known), value).is_some()
        {
            twice.push(known);
        }
    }
    for name in twice {
        signed.remove(name);
    }
    signed
}

fn read(id: String, body: &[u8]) -> Option<Event> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let kind = value.get("type")?.as_str()?.to_owned();
    let about = value.pointer("/data/id").and_then(Value::as_str);
    let batch = about.filter(|_| kind.starts_with("batch.")).and_then(|id| BatchId::new(id).ok());
    let created_at = value.get("created_at").and_then(Value::as_i64).and_then(|at| UnixSeconds::new(at).ok());
    Some(Event { id, kind, created_at, batch })
}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected(Why);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    NotSigned(&'static str),
    OutOfTime,
    Again,
    NoEvent,
}

impl Rejected {
    /// Whether the same event was taken before: the service sends again what was not answered in time.
    pub fn is_replay(self) -> bool {
        self.0 == Why::Again
    }

    /// The HTTP status to answer with: 200 for a replay, which is to stop, else 400.
    pub fn status(self) -> u16 {
        if self.is_replay() { 200 } else { 400 }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Why::NotSigned(why) => write!(f, "the webhook is not signed with the secret: {why}"),
            Why::OutOfTime => write!(
                f,
                "the webhook was signed more than {TOLERANCE_SECONDS} seconds ago or ahead; is the clock right?"
            ),
            Why::Again => f.write_str("the webhook was received before"),
            Why::NoEvent => f.write_str("the webhook's body is no event: it has no type"),
        }
    }
}

impl std::error::Error for Rejected {}

/// What wakes a wait.
#[derive(Debug)]
pub(crate) struct Bell {
    id: BatchId,
    events: broadcast::Receiver<BatchId>,
}

impl Bell {
    /// Done when there was an event of the batch, or too many of others to know.
    pub(crate) async fn rung(&mut self) {
        loop {
            match self.events.recv().await {
                Ok(id) if id == self.id => return,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return,
                Err(RecvError::Closed) => pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const BODY: &[u8] =
        br#"{"id":"evt_9","object":"event","type":"batch.completed","created_at":1700000000,"data":{"id":"batch_1"}}"#;

    fn signed(id: &str, at: i64, body: &[u8]) -> [(String, String); 3] {
        let signature = Webhook::new(SECRET).unwrap().sign(id, at, body).unwrap();
        [("Webhook-Id", id.to_owned()), ("Webhook-Timestamp", at.to_string()), ("Webhook-Signature", signature)]
            .map(|(name, value)| (name.to_owned(), value))
    }

    fn receive(receiver: &Receiver, id: &str, at: i64, body: &[u8]) -> Result<Event, Rejected> {
        receiver.receive(signed(id, at, body), body)
    }

    #[test]
    fn a_signed_event_is_read_and_taken_once() {
        let (receiver, now) = (Receiver::new(SECRET).unwrap(), UnixSeconds::now().get());
        let mut bell = receiver.bell(&BatchId::new("batch_1").unwrap());
        let event = receive(&receiver, "msg_1", now, BODY).unwrap();
        assert_eq!((event.id.as_str(), event.kind.as_str()), ("msg_1", "batch.completed"));
        assert_eq!(event.batch.unwrap().as_str(), "batch_1");
        assert_eq!(event.created_at.unwrap().get(), 1_700_000_000);
        assert_eq!(bell.events.try_recv().unwrap().as_str(), "batch_1");

        let again = receive(&receiver.clone(), "msg_1", now + 1, BODY).unwrap_err();
        assert!(again.is_replay() && again.status() == 200);
        assert!(bell.events.try_recv().is_err());
        receive(&receiver, "msg_2", now, BODY).unwrap();
    }

    #[test]
    fn what_is_forged_old_or_no_event_is_rejected() {
        let (receiver, now) = (Receiver::new(SECRET).unwrap(), UnixSeconds::now().get());
        for at in [now - 400, now + 400, i64::MIN, i64::MAX, 0] {
            assert_eq!(receive(&receiver, "m", at, BODY).unwrap_err(), Rejected(Why::OutOfTime), "{at}");
        }
        for body in [&b"not json"[..], b"[]", b"{}", br#"{"type":1}"#] {
            assert_eq!(receive(&receiver, "m", now, body).unwrap_err(), Rejected(Why::NoEvent));
        }
        let right = signed("m", now, BODY);
        for changed in 0..3 {
            let mut headers = right.to_vec();
            headers[changed].1 = match changed {
                0 => "other".to_owned(),
                1 => (now + 1).to_string(),
                _ => format!("v1,{}", "A".repeat(44)),
            };
            assert_eq!(receiver.receive(headers, BODY).unwrap_err().status(), 400);
            let mut headers = right.to_vec();
            headers.remove(changed);
            assert_eq!(receiver.receive(headers, BODY).unwrap_err().status(), 400);
            let mut headers = right.to_vec();
            headers.push(right[changed].clone());
            assert_eq!(receiver.receive(headers, BODY).unwrap_err().status(), 400);
        }
        assert_eq!(receiver.receive(right.clone(), &BODY[1..]).unwrap_err().status(), 400);
        // Another version of the signature, or the right one under another name, proves nothing; one among others does.
        let signature = |text: String| [right[0].clone(), right[1].clone(), (right[2].0.clone(), text)];
        let (_, bare) = right[2].1.split_once(',').unwrap();
        for wrong in
            [format!("v1a,{bare}"), format!("v2,{bare}"), bare.to_owned(), format!("v1,{bare}="), "v1,".to_owned()]
        {
            assert_eq!(receiver.receive(signature(wrong.clone()), BODY).unwrap_err().status(), 400, "{wrong}");
        }
        let among = signature(format!("v1a,AAAA v1,{} v1,{bare}", "A".repeat(44)));
        Receiver::new(SECRET).unwrap().receive(among, BODY).unwrap();
        assert_eq!(Receiver::new("whsec_AAAA").unwrap().receive(right.clone(), BODY).unwrap_err().status(), 400);
        // The rejected ones above were not recorded as taken, so the event is still new.
        receiver.receive(right, BODY).unwrap();
    }

    #[test]
    fn what_was_taken_is_forgotten_when_it_could_not_come_again() {
        let (receiver, now) = (Receiver::new(SECRET).unwrap(), UnixSeconds::now().get());
        let early = signed_headers(signed("early", now - 250, BODY));
        receiver.receive_at(now, &early, BODY).unwrap();
        let late = signed_headers(signed("late", now + 100, BODY));
        receiver.receive_at(now + 100, &late, BODY).unwrap();
        let taken = receiver.0.taken.lock().unwrap();
        assert!(!taken.until.contains_key("early") && taken.until.contains_key("late"));
    }

    #[test]
    fn secrets_that_cannot_be_used_are_refused_and_none_is_shown() {
        for secret in ["", "whsec_", "whsec_hunter22!", "  "] {
            let error = Receiver::new(secret).unwrap_err();
            assert!(error.is_invalid() && !error.to_string().contains("hunter22"), "{error}");
        }
        assert_eq!(format!("{:?}", Receiver::new(SECRET).unwrap()), "Receiver { .. }");
    }
}
