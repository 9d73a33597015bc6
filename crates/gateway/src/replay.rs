//! Answers that were recorded: result lines of an earlier batch, in place of a model. They stay in their file; in memory is
//! where each stands.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::executor::{Executor, Failure, LineAnswer, LineRequest, Reply, Turn, Whose};
use crate::wrong::{ConfigError, wrong};

/// The longest recorded line, in bytes.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The first half of a SHA-256.
type Key = [u8; 16];

/// Recorded answers, for [`Builder::replay`](crate::Builder::replay).
///
/// A line of a batch gets the answer that was recorded for its custom_id. A request of a client gets the one to the same
/// body, where the request lines are known as well ([`requests`](Replay::requests)); so does a line whose custom_id is not
/// there. What was not recorded is a 404 with the code `not_recorded`.
#[derive(Clone, Debug)]
pub struct Replay {
    file: Arc<Mutex<File>>,
    by_custom_id: HashMap<Key, Place>,
    by_body: HashMap<Key, Place>,
}

/// Where a line is in its file.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u64,
    bytes: u32,
}

#[derive(Deserialize)]
struct ResultLine<'a> {
    custom_id: String,
    #[serde(borrow)]
    response: Option<Response<'a>>,
    error: Option<Error>,
}

#[derive(Deserialize)]
struct Response<'a> {
    status_code: u16,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct Error {
    code: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct RequestLine {
    custom_id: String,
    url: String,
    body: Value,
}

impl Replay {
    /// The answers of a file of result lines, of an output file, an error file or both together. Of two with the same
    /// custom_id the first counts.
    ///
    /// # Errors
    /// When the file cannot be read, or a line of it is no result line; the line is named.
    pub fn open(results: impl AsRef<Path>) -> Result<Replay, ConfigError> {
        let file = File::open(results.as_ref()).map_err(|error| wrong(error.to_string()))?;
        let mut by_custom_id = HashMap::new();
        lines(&file, |place, line| {
            let line: ResultLine<'_> = serde_json::from_str(line).map_err(|error| error.to_string())?;
            if line.response.is_none() && line.error.is_none() {
                return Err("it has neither a response nor an error".to_owned());
            }
            by_custom_id.entry(hash(line.custom_id.as_bytes())).or_insert(place);
            Ok(())
        })?;
        Ok(Replay { file: Arc::new(Mutex::new(file)), by_custom_id, by_body: HashMap::new() })
    }

    /// The request lines that were answered so: by them an answer is found for the same body to the same endpoint, whatever
    /// its spacing, the order of its keys, and whether it is to be streamed. May be repeated.
    ///
    /// # Errors
    /// When the file cannot be read, or a line of it is no request line; the line is named.
    pub fn requests(mut self, requests: impl AsRef<Path>) -> Result<Replay, ConfigError> {
        let file = File::open(requests.as_ref()).map_err(|error| wrong(error.to_string()))?;
        lines(&file, |_, line| {
            let line: RequestLine = serde_json::from_str(line).map_err(|error| error.to_string())?;
            if let Some(place) = self.by_custom_id.get(&hash(line.custom_id.as_bytes()))
                && let Entry::Vacant(entry) = self.by_body.entry(body_key(&line.url, &line.body))
            {
                entry.insert(*place);
            }
            Ok(())
        })?;
        Ok(self)
    }

    fn place(&self, request: &LineRequest) -> Option<Place> {
        let by_id = match &request.whose {
            Whose::Batch { custom_id, .. } => self.by_custom_id.get(&hash(custom_id.as_bytes())),
            Whose::Client { .. } => None,
        };
        let by_body = || {
            let body: Value = serde_json::from_str(request.body.get()).ok()?;
            self.by_body.get(&body_key(request.endpoint.path(), &body))
        };
        by_id.or_else(|| if self.by_body.is_empty() { None } else { by_body() }).copied()
    }
}

/// Calls a function for each line that is not blank.
fn lines(file: &File, mut each: impl FnMut(Place, &str) -> Result<(), String>) -> Result<(), ConfigError> {
    let mut reader = BufReader::with_capacity(256 * 1024, file);
    let (mut line, mut start) = (Vec::new(), 0);
    for number in 1.. {
        line.clear();
        let at = |why: &str| wrong(format!("line {number}: {why}"));
        let read = io::Read::take(&mut reader, LONGEST + 1).read_until(b'\n', &mut line);
        let read = read.map_err(|error| at(&error.to_string()))? as u64;
        if read == 0 {
            break;
        }
        if read > LONGEST {
            return Err(at("it is longer than 64 MiB"));
        }
        let text = std::str::from_utf8(&line).map_err(|_| at("it is not UTF-8"))?.trim();
        if !text.is_empty() {
            let bytes = u32::try_from(read).map_err(|_| at("it is longer than 64 MiB"))?;
            each(Place { start, bytes }, text).map_err(|why| at(&why))?;
        }
        start += read;
    }
    Ok(())
}

fn hash(bytes: &[u8]) -> Key {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let mut key = Key::default();
    key.copy_from_slice(&digest[..16]);
    key
}

/// Names a body at an endpoint, but for how it is spaced and ordered and whether it is to be streamed.
fn body_key(endpoint: &str, body: &Value) -> Key {
    let mut text = endpoint.to_owned();
    write(&mut text, body, true);
    hash(text.as_bytes())
}

/// A value with the keys of its objects in order.
fn write(text: &mut String, value: &Value, is_body: bool) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (key, value) in fields {
                if !is_body || !matches!(key.as_str(), "stream" | "stream_options") {
                    text.push_str(&Value::from(key.as_str()).to_string());
                    text.push(':');
                    write(text, value, false);
                    text.push(',');
                }
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for item in items {
                write(text, item, false);
                text.push(',');
            }
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

/// Answers with what was recorded.
#[derive(Debug)]
pub(crate) struct Recorded {
    replay: Replay,
    /// The models that were seen in answers.
    models: Mutex<Vec<String>>,
}

impl Recorded {
    pub(crate) fn new(replay: Replay) -> Recorded {
        Recorded { replay, models: Mutex::default() }
    }

    async fn try_answer(&self, request: &LineRequest) -> Reply {
        let Some(place) = self.replay.place(request) else {
            let message = "No answer to this request was recorded.";
            let error =
                json!({"message": message, "type": "invalid_request_error", "param": null, "code": "not_recorded"});
            return Reply::Answer(LineAnswer::new(404, &json!({"error": error})));
        };
        let file = Arc::clone(&self.replay.file);
        let read = tokio::task::spawn_blocking(move || {
            let mut line = vec![0; place.bytes as usize];
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(place.start))?;
            file.read_exact(&mut line).map(|()| line)
        });
        let Ok(Ok(line)) = read.await else { return Reply::Failed(Failure::broken()) };
        // The file may have been changed.
        let Ok(line) = serde_json::from_slice::<ResultLine<'_>>(&line) else { return Reply::Failed(Failure::broken()) };
        match (line.response, line.error) {
            (Some(Response { status_code, body }), _) => {
                #[derive(Deserialize)]
                struct Body {
                    model: Option<String>,
                    usage: Option<Value>,
                }
                let Body { model, usage } =
                    serde_json::from_str(body.get()).unwrap_or(Body { model: None, usage: None });
                if let Some(model) = model {
                    self.saw(model);
                }
                let usage = usage.unwrap_or_default();
                let body = body.to_owned();
                Reply::Answer(LineAnswer { status_code, body, usage, ..LineAnswer::new(status_code, &Value::Null) })
            }
            (None, Some(Error { code, message })) => {
                Reply::Failed(Failure::recorded(code.unwrap_or_default(), message.unwrap_or_default()))
            }
            (None, None) => Reply::Failed(Failure::broken()),
        }
    }

    fn saw(&self, model: String) {
        const MOST: usize = 1000;
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if models.len() < MOST && !models.contains(&model) {
            models.push(model);
        }
    }
}

impl Executor for Recorded {
    fn answer<'a>(&'a self, line: &'a LineRequest, _: Turn) -> BoxFuture<'a, Reply> {
        self.try_answer(line).boxed()
    }

    fn models(&self) -> BoxFuture<'_, Vec<String>> {
        std::future::ready(self.models.lock().unwrap_or_else(PoisonError::into_inner).clone()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn a_body_is_the_same_however_it_is_written() {
        let key = |text: &str| body_key("/v1/embeddings", &serde_json::from_str(text).unwrap());
        let one = key(r#"{"a":1,"b":{"c":[1,2],"d":"x"}}"#);
        assert_eq!(one, key(r#"{ "b" : {"d":"\u0078","c":[1,2]}, "stream": true, "a":1 }"#));
        for other in [
            r#"{"a":1,"b":{"c":[2,1],"d":"x"}}"#,
            r#"{"a":1.0,"b":{"c":[1,2],"d":"x"}}"#,
            r#"{"a":1,"b":{"c":[1,2],"d":"x","stream":true}}"#,
        ] {
            assert_ne!(one, key(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_result_is_named_by_its_line() {
        let good = r#"{"custom_id":"a","response":{"status_code":200,"body":{}},"error":null}"#;
        for (text, words) in [
            (format!("{good}\n\nnonsense\n"), "line 3: "),
            (r#"{"custom_id":"a","response":null,"error":null}"#.to_owned(), "line 1: it has neither"),
            (r#"{"response":{"status_code":200,"body":{}}}"#.to_owned(), "custom_id"),
        ] {
            let error = Replay::open(file(&text).path()).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
        let replay = Replay::open(file(good).path()).unwrap();
        let error = replay.requests(file("{}").path()).unwrap_err().to_string();
        assert!(error.starts_with("line 1: "), "{error}");
        assert!(Replay::open("nowhere.jsonl").is_err());
    }
}
