//! Webhooks: servers that are told when a batch has ended, by the Standard Webhooks scheme and in OpenAI's events.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{StatusCode, Uri};
use serde_json::json;
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP};
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::contract::Status;
use crate::notices::{Notice, Notices};
use crate::outside;
use crate::wrong::{ConfigError, server, wrong};

/// The events that there are.
const EVENTS: [&str; 4] = ["batch.completed", "batch.failed", "batch.expired", "batch.cancelled"];

/// Pauses before each try after the first: a day and a minute in all.
const PAUSES: [u64; 12] = [5, 55, 300, 900, 1800, 3600, 7200, 10_800, 14_400, 14_400, 14_400, 18_600];

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Most that are being sent at once to one receiver.
const AT_ONCE: usize = 8;

/// A server that is told when a batch has ended.
///
/// ```
/// use lote_gateway::webhook::Webhook;
///
/// let all = Webhook::new("https://example.com/hooks", "whsec_MDEyMzQ1Njc4OWFiY2RlZg==")?;
/// let some = Webhook::new("https://example.com/alarm", "whsec_MDEyMzQ1Njc4OWFiY2RlZg==")?.only("batch.failed")?;
/// # Ok::<(), lote_gateway::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "a webhook is given to a builder"]
pub struct Webhook {
    url: String,
    secret: Arc<standardwebhooks::Webhook>,
    /// Empty for all.
    events: Vec<&'static str>,
}

impl Webhook {
    /// A receiver by its URL, and the secret that both sides know: `whsec_` and Base64 of at least 16 bytes.
    ///
    /// # Errors
    /// When it is no http or https URL, or one with a user, a password or a fragment; when the secret is none.
    pub fn new(url: &str, secret: &str) -> Result<Webhook, ConfigError> {
        let secret = secret.trim();
        let is_short = secret.strip_prefix("whsec_").unwrap_or(secret).trim_end_matches('=').len() < 22;
        let none = "the secret is none: whsec_ and Base64 of at least 16 bytes";
        let secret = standardwebhooks::Webhook::new(secret).ok().filter(|_| !is_short).ok_or_else(|| wrong(none))?;
        Ok(Webhook { url: server(url)?.to_owned(), secret: Arc::new(secret), events: Vec::new() })
    }

    /// Only this event: `batch.completed`, `batch.failed`, `batch.expired` or `batch.cancelled`. May be repeated; without
    /// any, all are sent.
    ///
    /// # Errors
    /// When there is no such event.
    pub fn only(mut self, event: &str) -> Result<Webhook, ConfigError> {
        let Some(event) = EVENTS.into_iter().find(|known| *known == event) else {
            return Err(wrong(format!("there is no such event; there are {}", EVENTS.join(", "))));
        };
        self.events.push(event);
        Ok(self)
    }

    fn host(&self) -> String {
        self.url.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned)).unwrap_or_default()
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("host", &self.host()).field("events", &self.events).finish_non_exhaustive()
    }
}

/// All receivers.
#[derive(Debug)]
pub(crate) struct Webhooks(Vec<Arc<Receiver>>);

#[derive(Debug)]
struct Receiver {
    webhook: Webhook,
    http: reqwest::Client,
    /// For what is being sent.
    places: Semaphore,
}

/// An event on its way to one receiver.
#[derive(Debug)]
pub(crate) struct Delivery {
    to: Arc<Receiver>,
    id: String,
    body: String,
}

impl Webhooks {
    pub(crate) fn new(webhooks: Vec<Webhook>) -> std::io::Result<Webhooks> {
        let receiver = |webhook: Webhook| {
            let http = outside::client(&webhook.url)?;
            Ok(Arc::new(Receiver { webhook, http, places: Semaphore::new(AT_ONCE) }))
        };
        webhooks.into_iter().map(receiver).collect::<std::io::Result<_>>().map(Webhooks)
    }

    /// What is to be sent when a batch has come to this status.
    pub(crate) fn deliveries(
        &self,
        batch_id: &str,
        status: Status,
        now: i64,
        event_id: impl Fn() -> String,
    ) -> Vec<Delivery> {
        let kind = format!("batch.{}", status.name());
        if !EVENTS.contains(&kind.as_str()) {
            return Vec::new();
        }
        let wants = |to: &&Arc<Receiver>| to.webhook.events.is_empty() || to.webhook.events.contains(&kind.as_str());
        let delivery = |to: &Arc<Receiver>| {
            let id = event_id();
            let body = json!({"id": id, "object": "event", "created_at": now, "type": kind, "data": {"id": batch_id}});
            Delivery { to: Arc::clone(to), id, body: body.to_string() }
        };
        self.0.iter().filter(wants).map(delivery).collect()
    }
}

impl Delivery {
    /// Sends it until it is taken, its receiver is gone, or a day has passed.
    pub(crate) async fn deliver(self, clock: &Clock, notices: &Notices) {
        let mut last = None;
        for pause in std::iter::once(0).chain(PAUSES) {
            clock.sleep(Duration::from_secs(pause)).await;
            last = clock.working(self.send()).await;
            match last {
                Some(status) if status.is_success() => return,
                Some(StatusCode::GONE) => break,
                _ => {}
            }
        }
        notices.tell(|| Notice::WebhookGivenUp {
            host: self.to.webhook.host(),
            webhook_id: self.id.clone(),
            status: last.map(|status| status.as_u16()),
        });
    }

    /// The status of one try; none when there was no answer.
    async fn send(&self) -> Option<StatusCode> {
        // The semaphore is never closed.
        let _place = self.to.places.acquire().await;
        // By the real time, whatever the gateway's clock shows: the receiver has another.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let timestamp = i64::try_from(now).ok()?;
        let signature = self.to.webhook.secret.sign(&self.id, timestamp, self.body.as_bytes()).ok()?;
        let request = self
            .to
            .http
            .post(&self.to.webhook.url)
            .header("content-type", "application/json")
            .header(HEADER_WEBHOOK_ID, &self.id)
            .header(HEADER_WEBHOOK_TIMESTAMP, timestamp)
            .header(HEADER_WEBHOOK_SIGNATURE, signature)
            .timeout(PATIENCE)
            .body(self.body.clone());
        Some(request.send().await.ok()?.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_for_a_day() {
        assert_eq!(PAUSES.iter().sum::<u64>(), 86_400 + 60);
        assert!(PAUSES.is_sorted());
    }

    #[test]
    fn what_is_no_secret_or_no_event_is_refused_and_nothing_is_shown() {
        for secret in ["", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%%%%%%%%%%%%%%%%%%%%%%"] {
            assert!(
                Webhook::new("http://h/", secret).unwrap_err().to_string().contains("whsec_ and Base64"),
                "{secret}"
            );
        }
        let webhook = Webhook::new("https://h/path-of-mine", "whsec_MDEyMzQ1Njc4OWFiY2RlZg==").unwrap();
        assert!(webhook.clone().only("batch.done").is_err());
        let shown = format!("{webhook:?}");
        assert!(!shown.contains("MDEy") && !shown.contains("path-of-mine"), "{shown}");
    }
}
