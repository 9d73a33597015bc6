//! Webhooks: servers that are told when a batch has ended, by the Standard Webhooks scheme and in OpenAI's events.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{StatusCode, Uri};
use serde_json::json;
use sha2::{Digest, Sha256};
use standardwebhooks::{HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP};
use tokio::sync::Semaphore;

use crate::contract::Status;
use crate::ids::hex;
use crate::outside;
use crate::state::{Parcel, Subscription};
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
pub(crate) struct Webhooks(Vec<Receiver>);

#[derive(Debug)]
pub(crate) struct Receiver {
    webhook: Webhook,
    /// What it is known by in the state.
    endpoint: String,
    http: reqwest::Client,
    /// For what is being sent.
    places: Semaphore,
}

impl Webhooks {
    pub(crate) fn new(webhooks: Vec<Webhook>) -> std::io::Result<Webhooks> {
        let receiver = |webhook: Webhook| {
            let http = outside::client(&webhook.url)?;
            let endpoint = hex(&Sha256::digest(&webhook.url)[..16]);
            Ok(Receiver { webhook, endpoint, http, places: Semaphore::new(AT_ONCE) })
        };
        webhooks.into_iter().map(receiver).collect::<std::io::Result<_>>().map(Webhooks)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What each wants to hear of.
    pub(crate) fn subscriptions(&self) -> Vec<Subscription> {
        let wants = |to: &Receiver, status: Status| {
            let kind = kind(status);
            EVENTS.contains(&kind.as_str())
                && (to.webhook.events.is_empty() || to.webhook.events.contains(&kind.as_str()))
        };
        let subscription = |to: &Receiver| Subscription {
            endpoint: to.endpoint.clone(),
            statuses: Status::LAST.into_iter().filter(|status| wants(to, *status)).collect(),
        };
        self.0.iter().map(subscription).collect()
    }

    pub(crate) fn receiver(&self, endpoint: &str) -> Option<&Receiver> {
        self.0.iter().find(|receiver| receiver.endpoint == endpoint)
    }
}

/// The type of an event.
fn kind(status: Status) -> String {
    format!("batch.{}", status.name())
}

impl Receiver {
    pub(crate) fn host(&self) -> String {
        self.webhook.host()
    }

    /// How long to wait after a try, of which there were so many before; none when there have been enough.
    pub(crate) fn pause_after(&self, tries: u32) -> Option<Duration> {
        PAUSES.get(tries as usize).copied().map(Duration::from_secs)
    }

    /// The status of one try; none when there was no answer.
    pub(crate) async fn send(&self, parcel: &Parcel) -> Option<StatusCode> {
        let Parcel { id, created_at, batch, status, .. } = parcel;
        let data = json!({"id": batch});
        let body = json!({"id": id, "object": "event", "created_at": created_at, "type": kind(*status), "data": data});
        let body = body.to_string();
        // The semaphore is never closed.
        let _place = self.places.acquire().await;
        // By the real time, whatever the gateway's clock shows: the receiver has another.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let timestamp = i64::try_from(now).ok()?;
        let signature = self.webhook.secret.sign(id, timestamp, body.as_bytes()).ok()?;
        let request = self
            .http
            .post(&self.webhook.url)
            .header("content-type", "application/json")
            .header(HEADER_WEBHOOK_ID, id)
            .header(HEADER_WEBHOOK_TIMESTAMP, timestamp)
            .header(HEADER_WEBHOOK_SIGNATURE, signature)
            .timeout(PATIENCE)
            .body(body);
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
