//! The log of `lote gateway`: a line for each notice, to stderr.

use jiff::Timestamp;
use lote_gateway::Notice;
use serde::Serialize;

use super::LogKind;
use crate::out;

/// A notice, and when it was.
#[derive(Serialize)]
struct Line<'a> {
    at: Timestamp,
    #[serde(flatten)]
    notice: &'a Notice,
}

/// Writes one line, however quiet the command is: --log has said that it is wanted.
pub(super) fn write(kind: LogKind, notice: &Notice) {
    let at = Timestamp::now();
    match kind {
        LogKind::Text => out::problem(format_args!("{} {}", at.strftime("%FT%TZ"), text(notice))),
        LogKind::Json => {
            // Texts and numbers can always be written.
            let line = serde_json::to_string(&Line { at, notice }).unwrap_or_default();
            out::note_line(line);
        }
    }
}

fn text(notice: &Notice) -> String {
    match notice {
        Notice::Answered { request_id, operation, status, milliseconds } => {
            format!("{operation} {status} in {milliseconds} ms ({request_id})")
        }
        Notice::BatchChanged { batch_id, status, total, completed, failed, tenant } => {
            let whose = tenant.as_ref().map(|tenant| format!(" of {tenant}")).unwrap_or_default();
            let counts = match total {
                0 => String::new(),
                total => format!(": {completed} of {} succeeded, {failed} failed", out::count(*total, "line")),
            };
            format!("batch {batch_id}{whose} is {status}{counts}")
        }
        Notice::UpstreamUnreachable { upstream } => format!("{upstream} cannot be reached; lines wait for it"),
        Notice::UpstreamReached { upstream } => format!("{upstream} can be reached again"),
        Notice::WebhookGivenUp { host, webhook_id, status } => {
            let why = status.map_or_else(|| "no answer".to_owned(), |status| format!("status {status}"));
            format!("webhook {webhook_id} was not taken by {host}: {why}")
        }
        other => format!("{other:?}"),
    }
}
