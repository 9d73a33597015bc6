//! One request line that is sent by itself: what is sent of it, and the result line that is made of what came.

use std::{borrow::Cow, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::{
    Client, Error, call,
    error_answer::ErrorAnswer,
    lines::write_error,
    run::plan::{ShardPlan, hex},
};

/// The header by which a service knows a request that it has answered.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest answer that is taken.
const LONGEST: usize = 256 << 20;

/// How the message of a request begins that was never answered.
const NEVER_ANSWERED: &str = "the request was sent, and no answer can be kept of it";

/// What is the same for all lines of a shard.
#[derive(Clone)]
pub(in crate::run) struct Question {
    client: Client,
    /// Below the base URL.
    path: String,
    /// What the keys of all lines begin with.
    key: Arc<Sha256>,
    timeout: Duration,
}

/// A request line, as far as it is sent by itself.
#[derive(Deserialize)]
pub(in crate::run) struct Line<'a> {
    /// A text, as it stands in the line.
    #[serde(borrow)]
    pub(in crate::run) custom_id: &'a RawValue,
    #[serde(borrow)]
    body: &'a RawValue,
}

/// What came of a request.
#[derive(Debug)]
pub(in crate::run) enum Came {
    /// A status and a body, which may be a refusal.
    Answer { status: u16, request_id: Option<String>, body: Bytes, refusal: Option<Error> },
    /// None.
    Nothing(Error),
}

impl Question {
    /// The lines of a shard of a run, of which the nonce tells which purchase it is.
    pub(in crate::run) fn new(
        client: &Client,
        run: &str,
        plan: &ShardPlan,
        attempt: u32,
        nonce: &str,
        timeout: Duration,
    ) -> Self {
        let mut key = Sha256::new();
        for part in [run, &attempt.to_string(), nonce] {
            key.update((part.len() as u64).to_le_bytes());
            key.update(part);
        }
        // The prefix of the service stands in its base URL, in place of that of the contract.
        let path = plan.endpoint.strip_prefix("/v1").filter(|rest| rest.starts_with('/')).unwrap_or(&plan.endpoint);
        Self { client: client.clone(), path: path.to_owned(), key: Arc::new(key), timeout }
    }

    /// The key of a line: the same in every process and each time that it is sent.
    fn key(&self, custom_id: &RawValue) -> String {
        let mut key = Sha256::clone(&self.key);
        key.update(custom_id.get());
        let mut key = hex(key);
        key.truncate(40);
        format!("lote-{key}")
    }

    /// Sends a line once.
    pub(in crate::run) async fn ask(&self, line: &Line<'_>) -> Came {
        match self.asked(line).await {
            Ok(came) => came,
            Err(error) => Came::Nothing(error),
        }
    }

    async fn asked(&self, line: &Line<'_>) -> Result<Came, Error> {
        let shared = self.client.shared();
        let key = HeaderValue::try_from(self.key(line.custom_id)).map_err(|_| Error::invalid("an idempotency key"))?;
        let headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, key)]);
        let body = Bytes::copy_from_slice(line.body.get().as_bytes());
        let sent = shared.calls().ask(&self.path, body, headers, self.timeout).await;
        let mut response = match sent {
            Ok(response) => response,
            Err(lote_client::Error::CommunicationError(error)) => return Err(call::transport(shared, error)),
            Err(error) => return Err(Error::invalid(format!("the request could not be made: {error}"))),
        };
        let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| call::transport(shared, error))? {
            if body.len() + chunk.len() > LONGEST {
                return Err(Error::undecodable(format!("the answer is longer than {} MiB", LONGEST >> 20)));
            }
            body.extend_from_slice(&chunk);
        }
        let body = body.freeze();
        let good = (200..300).contains(&status);
        let refusal = || ErrorAnswer::read(status, &headers, &body, shared.secrets());
        let request_id = headers.get("x-request-id").and_then(|id| id.to_str().ok());
        Ok(Came::Answer {
            status,
            request_id: request_id.map(|id| shared.secrets().blanked(id)),
            refusal: (!good).then(|| Error::service(refusal())),
            // Services repeat keys in refusals; what they answer is their own, as the content of a file is.
            body: if good { body } else { blanked(&self.client, body) },
        })
    }
}

/// The body of a refusal without secrets.
fn blanked(client: &Client, body: Bytes) -> Bytes {
    let secrets = client.shared().secrets();
    match std::str::from_utf8(&body).map(|text| secrets.blanked_out_of(text)) {
        Ok(Cow::Borrowed(_)) => body,
        Ok(Cow::Owned(text)) => text.into(),
        Err(_) => secrets.blanked(&String::from_utf8_lossy(&body)).into(),
    }
}

/// The result line of an answer, without its end: as a batch's file would have it, but for an id.
pub(in crate::run) fn result(
    line: &Line<'_>,
    status: u16,
    request_id: Option<&str>,
    body: &[u8],
) -> io::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Result<'a> {
        id: Option<&'a str>,
        custom_id: &'a RawValue,
        response: Response<'a>,
        error: Option<&'a str>,
    }
    #[derive(Serialize)]
    struct Response<'a> {
        status_code: u16,
        request_id: Option<&'a str>,
        body: Body<'a>,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Body<'a> {
        Json(&'a RawValue),
        /// What is no JSON, such as a page of a proxy.
        Text(Cow<'a, str>),
    }
    let body = match serde_json::from_slice::<&RawValue>(body) {
        Ok(json) => Body::Json(json),
        Err(_) => Body::Text(String::from_utf8_lossy(body)),
    };
    let response = Response { status_code: status, request_id, body };
    let result = Result { id: None, custom_id: line.custom_id, response, error: None };
    let mut made = serde_json::to_vec(&result)?;
    // A line break in JSON stands between values alone, where it means nothing.
    for byte in &mut made {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    Ok(made)
}

/// The result line of a request that was never answered, without its end.
pub(in crate::run) fn end_without_answer(line: &Line<'_>, error: &Error) -> io::Result<Vec<u8>> {
    let code = match error {
        error if error.is_timeout() => "request_timeout",
        error if error.is_undecodable() => "answer_too_long",
        _ => "connection_lost",
    };
    let custom_id: String = serde_json::from_str(line.custom_id.get())?;
    let mut made = Vec::new();
    write_error(&custom_id, code, &format!("{NEVER_ANSWERED}: {error}"), &mut made)?;
    made.pop();
    Ok(made)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::lines::{Answer, OutcomeKind};

    fn line(text: &str) -> Line<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn an_answer_becomes_a_result_line_whatever_its_body_is() {
        let asked = line(r#"{"custom_id":"r\u00e9 \"1\"","url":"/v1/x","body":{"model":"m"}}"#);
        for (status, body, outcome, expected) in [
            (200, "{\n \"choices\": [{\"message\": {\"content\": \"4\"}}]\r\n}", OutcomeKind::Succeeded, None),
            (400, r#"{"error":{"message":"no","code":"bad"}}"#, OutcomeKind::Failed, Some("bad")),
            (502, "<html>\n<title>Bad Gateway</title></html>", OutcomeKind::Failed, None),
            (200, "", OutcomeKind::Failed, Some("no_answer")),
            (200, "{half", OutcomeKind::Failed, None),
            (200, "What was said, as a text.", OutcomeKind::Succeeded, None),
        ] {
            let made = result(&asked, status, Some("req-1"), body.as_bytes()).unwrap();
            assert!(!made.contains(&b'\n'), "{body}");
            let answer = Answer::parse(&made).unwrap();
            assert_eq!((answer.custom_id.as_ref(), answer.outcome()), ("ré \"1\"", outcome), "{body}");
            assert_eq!((answer.status_code(), answer.request_id().as_deref()), (Some(status), Some("req-1")));
            if let Some(code) = expected {
                assert_eq!(answer.error_code().as_deref(), Some(code), "{body}");
            }
            let value: Value = serde_json::from_slice(&made).unwrap();
            assert_eq!(value["id"], Value::Null);
        }
        let bytes = result(&asked, 200, None, b"\xff").unwrap();
        assert!(serde_json::from_slice::<Value>(&bytes).is_ok());
    }

    #[test]
    fn what_was_never_answered_says_so() {
        let asked = line(r#"{"custom_id":"a","body":{}}"#);
        let made = end_without_answer(&asked, &Error::timeout("it took too long")).unwrap();
        let answer = Answer::parse(&made).unwrap();
        assert_eq!((answer.outcome(), answer.error_code().as_deref()), (OutcomeKind::Failed, Some("request_timeout")));
        assert!(answer.error_message().unwrap().ends_with("of it: it took too long"));
    }

    #[test]
    fn a_line_has_one_key_in_every_process_and_no_two_lines_have_the_same() {
        let client = Client::builder().api_key("k").base_url("http://127.0.0.1:1/api/v1/llm").build().unwrap();
        let plan = |endpoint: &str| -> ShardPlan {
            serde_json::from_value(serde_json::json!({
                "number": 1, "endpoint": endpoint, "model": null, "lines": 1, "bytes": 9, "inputs": 0, "sha256": "0",
            }))
            .unwrap()
        };
        let question = |run: &str, attempt, nonce: &str| {
            Question::new(&client, run, &plan("/v1/chat/completions"), attempt, nonce, Duration::MAX)
        };
        let (a, b) = (r#"{"custom_id":"a","body":{}}"#, r#"{"custom_id":"b","body":{}}"#);
        let key = |question: &Question, text: &str| question.key(line(text).custom_id);
        let first = key(&question("r", 1, "n"), a);
        assert_eq!(first, key(&question("r", 1, "n"), a));
        assert!(first.len() == 45 && first.starts_with("lote-"));
        for (question, text) in [
            (question("r", 1, "n"), b),
            (question("s", 1, "n"), a),
            (question("r", 2, "n"), a),
            (question("r", 1, "m"), a),
            (question("r1", 1, "n"), a),
        ] {
            assert_ne!(first, key(&question, text));
        }
        for (endpoint, path) in [
            ("/v1/chat/completions", "/chat/completions"),
            ("/chat/completions", "/chat/completions"),
            ("/v1x/responses", "/v1x/responses"),
        ] {
            assert_eq!(Question::new(&client, "r", &plan(endpoint), 1, "n", Duration::MAX).path, path);
        }
    }
}
