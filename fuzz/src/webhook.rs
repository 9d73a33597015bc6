//! Whoever may post to the receiver of webhooks cannot make it panic, and is not believed without the signature.

use lote::webhook::Receiver;

use crate::text;

/// One trial.
pub fn webhook(data: &[u8]) {
    // A header a line, and then the body.
    let mut parts = data.splitn(4, |byte| *byte == b'\n');
    let [id, timestamp, signature] = [(); 3].map(|()| text(parts.next().unwrap_or_default()));
    let body = parts.next().unwrap_or_default();
    let receiver = Receiver::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
    let headers = [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
    assert!(receiver.receive(headers, body).is_err(), "nobody can guess a signature");
}
