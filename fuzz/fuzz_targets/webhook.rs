//! Whoever may post to the receiver of webhooks cannot make it panic, and is not believed without the signature.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lote::webhook::Receiver;

fuzz_target!(|input: (&str, &str, &str, &[u8])| {
    let (id, timestamp, signature, body) = input;
    let receiver = Receiver::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
    let headers = [("webhook-id", id), ("webhook-timestamp", timestamp), ("webhook-signature", signature)];
    assert!(receiver.receive(headers, body).is_err(), "nobody can guess a signature");
});
