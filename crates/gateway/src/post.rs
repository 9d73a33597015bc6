//! Takes events to their receivers. An event is written with the last step of its batch, and stays until it is taken or a
//! day has passed: where the state outlives the process, so do events.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;

use crate::app::App;
use crate::notices::Notice;
use crate::state::Parcel;

/// Most events that are taken at once.
const AT_ONCE: usize = 32;

/// How often events are asked for that nobody here has heard of.
const POLL: Duration = Duration::from_secs(5);

/// Sends what is due, until the gateway stops.
pub(crate) async fn post(app: Arc<App>) {
    if app.webhooks.is_empty() {
        return;
    }
    tokio::select! {
        biased;
        () = app.stop.cancelled() => {}
        () = send_what_is_due(&app) => {}
    }
}

async fn send_what_is_due(app: &Arc<App>) {
    loop {
        // When the state cannot be asked, it is asked again.
        let parcels = app.state.due(&app.lease.me(), AT_ONCE).await.unwrap_or_default();
        let is_all = parcels.len() < AT_ONCE;
        for parcel in parcels {
            let sender = Arc::clone(app);
            app.tasks.spawn(app.clock.watch(async move {
                tokio::select! {
                    biased;
                    () = sender.stop.cancelled() => {}
                    () = send(&sender, parcel) => {}
                }
            }));
        }
        if !is_all {
            continue;
        }
        let next = app.outbox.next(app.clock.now_ms());
        tokio::select! {
            biased;
            () = app.outbox.awake() => {}
            () = app.clock.sleep_until(next.unwrap_or_default()), if next.is_some() => {}
            () = tokio::time::sleep(POLL), if app.state.is_durable() => {}
        }
    }
}

/// Sends one event once.
async fn send(app: &Arc<App>, parcel: Parcel) {
    let receiver = app.webhooks.receiver(&parcel.endpoint);
    let answer = match receiver {
        // The operator no longer wants it to be told.
        None => None,
        Some(receiver) => Some((receiver, app.clock.working(receiver.send(&parcel)).await)),
    };
    let settled = match answer {
        None => app.state.done(&parcel.id).await,
        Some((_, Some(status))) if status.is_success() => app.state.done(&parcel.id).await,
        Some((receiver, status)) => match receiver.pause_after(parcel.tries) {
            Some(pause) if status != Some(StatusCode::GONE) => {
                let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
                let at = app.clock.now_ms().saturating_add(pause_ms);
                let settled = app.state.put_off(&parcel.id, pause).await;
                app.outbox.at(at);
                settled
            }
            _ => {
                app.notices.tell(|| Notice::WebhookGivenUp {
                    host: receiver.host(),
                    webhook_id: parcel.id.clone(),
                    status: status.map(|status| status.as_u16()),
                });
                app.state.done(&parcel.id).await
            }
        },
    };
    if let Err(error) = settled {
        // It is sent once more, with the same id.
        app.notices.tell(|| Notice::StateTrouble { what: "webhook", problem: error.kind() });
    }
}
