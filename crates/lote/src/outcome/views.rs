//! Reads an answer as text, JSON, tool calls, vectors and images.

use std::any::type_name;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    Embedding, FinishReason, Image, Outcome, OutcomeError, ToolCall, embedding,
    error::{Kind, clip},
    image,
    reply::{Reply, replies},
};

impl Outcome {
    /// What the model said: of a chat completion its content, of a response all its text put together. Of several
    /// answers (`n`) it is the first: see [`texts`](Self::texts). A text that was cut off is given all the same: see
    /// [`finish_reason`](Self::finish_reason).
    ///
    /// # Errors
    /// When the line did not succeed, and when there is a refusal, a tool call, or no text.
    pub fn text(&self) -> Result<String, OutcomeError> {
        let wanted = "a text";
        let reply = self.reply(wanted)?;
        match reply.text {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.instead(wanted, &reply)),
        }
    }

    /// All that the model said, of a request for several answers (`n`), in their order.
    ///
    /// # Errors
    /// When the line did not succeed, and when one of the answers has no text.
    pub fn texts(&self) -> Result<Vec<String>, OutcomeError> {
        let wanted = "texts";
        let replies = self.replies(wanted)?;
        let texts = replies.into_iter().map(|mut reply| match reply.text.take() {
            Some(text) if !text.is_empty() => Ok(text),
            _ => Err(self.instead(wanted, &reply)),
        });
        texts.collect()
    }

    /// What the model said, as the type that was asked for with
    /// [`json_output`](crate::request::ChatCompletion::json_output), or any other JSON.
    ///
    /// ```
    /// # async fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = lote::Client::builder().base_url(gateway.url()).api_key("mk-…").build()?;
    /// # let folder = tempfile::tempdir()?;
    /// # let requests = folder.path().join("requests.jsonl");
    /// use lote::{request::{ChatCompletion, RequestFile, RequestLines}, run::Run};
    ///
    /// #[derive(serde::Deserialize, schemars::JsonSchema)]
    /// struct Verdict {
    ///     good: bool,
    ///     /// One sentence.
    ///     why: Option<String>,
    /// }
    ///
    /// let judge = ChatCompletion::new("auto").system("Judge the review.");
    /// let judge = RequestLines::new(judge.json_output::<Verdict>());
    /// let mut file = RequestFile::create(&requests)?;
    /// for line in judge.for_rows([("row-1", "Great!"), ("row-2", "Never again.")]) {
    ///     file.push(&line?)?;
    /// }
    /// file.finish()?;
    ///
    /// let report = Run::new(&client, &requests).execute().await?;
    /// # let mut read = 0;
    /// for outcome in report.outcomes()? {
    ///     let outcome = outcome?;
    ///     match outcome.json::<Verdict>() {
    ///         Ok(verdict) => println!("{} {:?}", verdict.good, verdict.why),
    ///         // The error says what there was instead, and keeps the answer.
    ///         Err(error) => eprintln!("{error}: {:?}", error.usage()),
    ///     }
    /// #   read += usize::from(outcome.json::<Verdict>().is_ok());
    /// }
    /// # assert_eq!(read, 2);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// #     let gateway = lote_gateway::Gateway::builder().start().await.unwrap();
    /// #     example(&gateway).await.unwrap();
    /// # });
    /// ```
    ///
    /// # Errors
    /// Those of [`text`](Self::text), and when the text is no JSON of a `T`. The error says whether the text was cut
    /// off, and keeps the answer.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, OutcomeError> {
        let name = type_name::<T>().rsplit("::").next().unwrap_or_default().trim_end_matches('>');
        let wanted = format!("JSON of {name}");
        let reply = self.reply(&wanted)?;
        let Some(text) = reply.text.as_deref().filter(|text| !text.is_empty()) else {
            return Err(self.instead(&wanted, &reply));
        };
        serde_json::from_str(text).map_err(|error| match reply.finish {
            Some(FinishReason::Length) => {
                let found = format!("the answer was cut off ({error}); raise the limit of tokens");
                OutcomeError::new(self, &wanted, Kind::CutOff, found)
            }
            Some(FinishReason::ContentFilter) => {
                let found = format!("the service held a part of the answer back ({error})");
                OutcomeError::new(self, &wanted, Kind::Filtered, found)
            }
            _ => {
                let found = format!("the text does not fit: {error}: {:?}", clip(text));
                OutcomeError::new(self, &wanted, Kind::NotTheType, found)
            }
        })
    }

    /// The tools that the model calls; at least one.
    ///
    /// # Errors
    /// When the line did not succeed, and when the model called none: the error says what it did instead.
    pub fn tool_calls(&self) -> Result<Vec<ToolCall>, OutcomeError> {
        let wanted = "tool calls";
        let reply = self.reply(wanted)?;
        if reply.tool_calls.is_empty() { Err(self.instead(wanted, &reply)) } else { Ok(reply.tool_calls) }
    }

    /// The words in which the model refused.
    ///
    /// # Errors
    /// When the line did not succeed, and when the model did not refuse: the error says what it did instead.
    pub fn refusal(&self) -> Result<String, OutcomeError> {
        let wanted = "a refusal";
        let mut reply = self.reply(wanted)?;
        match reply.refusal.take() {
            Some(refusal) => Ok(refusal),
            None => Err(self.instead(wanted, &reply)),
        }
    }

    /// Why the model stopped.
    ///
    /// # Errors
    /// When the line did not succeed, and when the answer does not say.
    pub fn finish_reason(&self) -> Result<FinishReason, OutcomeError> {
        let wanted = "a finish reason";
        let mut reply = self.reply(wanted)?;
        reply.finish.take().ok_or_else(|| self.instead(wanted, &reply))
    }

    /// The vector of an embeddings request of one input.
    ///
    /// # Errors
    /// Those of [`embeddings`](Self::embeddings), and when there are several vectors.
    pub fn embedding(&self) -> Result<Embedding, OutcomeError> {
        let wanted = "one embedding";
        let mut all = self.vectors(wanted)?;
        match (all.pop(), all.len()) {
            (Some(only), 0) => Ok(only),
            (None, _) => Err(OutcomeError::other(self, wanted, "none")),
            (Some(_), others) => Err(OutcomeError::other(self, wanted, format_args!("{}", others + 1))),
        }
    }

    /// The vectors of an embeddings request, in the order of its inputs, whether they are written as numbers or as
    /// base64 of 32-bit floats.
    ///
    /// # Errors
    /// When the line did not succeed, and when the answer holds something else.
    pub fn embeddings(&self) -> Result<Vec<Embedding>, OutcomeError> {
        self.vectors("embeddings")
    }

    /// The images that were made, each as its bytes or as a URL.
    ///
    /// # Errors
    /// When the line did not succeed, when the answer holds something else, and when bytes cannot be decoded.
    pub fn images(&self) -> Result<Vec<Image>, OutcomeError> {
        let wanted = "images";
        let body = self.body_json(wanted)?;
        match image::read(&body) {
            Some(Ok(images)) => Ok(images),
            Some(Err(problem)) => Err(OutcomeError::other(self, wanted, problem)),
            None => Err(self.something_else(wanted, &body)),
        }
    }

    fn vectors(&self, wanted: &str) -> Result<Vec<Embedding>, OutcomeError> {
        let body = self.answer(wanted)?;
        match embedding::read(body) {
            Some(Ok(embeddings)) => Ok(embeddings),
            Some(Err(problem)) => Err(OutcomeError::other(self, wanted, problem)),
            None => Err(self.something_else(wanted, &self.body_json(wanted)?)),
        }
    }

    /// The body of an answer that succeeded.
    fn answer(&self, wanted: &str) -> Result<&str, OutcomeError> {
        let body = self.body().filter(|_| self.is_succeeded());
        body.ok_or_else(|| OutcomeError::unanswered(self, wanted))
    }

    fn body_json(&self, wanted: &str) -> Result<Value, OutcomeError> {
        serde_json::from_str(self.answer(wanted)?)
            .map_err(|error| OutcomeError::other(self, wanted, format_args!("a body that cannot be read: {error}")))
    }

    fn replies(&self, wanted: &str) -> Result<Vec<Reply>, OutcomeError> {
        let body = self.body_json(wanted)?;
        replies(&body).ok_or_else(|| self.something_else(wanted, &body))
    }

    /// The first answer of the model.
    fn reply(&self, wanted: &str) -> Result<Reply, OutcomeError> {
        let first = self.replies(wanted)?.into_iter().next();
        first.ok_or_else(|| OutcomeError::other(self, wanted, "no answer of the model"))
    }

    /// The error that says what the model did instead.
    fn instead(&self, wanted: &str, reply: &Reply) -> OutcomeError {
        let new = |kind, found: String| OutcomeError::new(self, wanted, kind, found);
        if let Some(failure) = &reply.failure {
            return new(Kind::Other, format!("the response failed: {}", clip(failure)));
        }
        if let Some(refusal) = &reply.refusal {
            return new(Kind::Refusal, format!("found a refusal: {:?}", clip(refusal)));
        }
        if !reply.tool_calls.is_empty() {
            let names: Vec<&str> = reply.tool_calls.iter().map(|call| call.name.as_str()).collect();
            return new(Kind::ToolCalls, format!("found calls of tools: {}", clip(&names.join(", "))));
        }
        match (&reply.finish, reply.text.as_deref().unwrap_or_default()) {
            (Some(FinishReason::ContentFilter), "") => {
                new(Kind::Filtered, "the service held the answer back because of its content".to_owned())
            }
            (Some(FinishReason::Length), "") => {
                let found = "the answer was cut off before its first word; raise the limit of tokens";
                new(Kind::CutOff, found.to_owned())
            }
            (Some(finish), "") => new(Kind::Other, format!("found an empty answer, with finish reason {finish}")),
            (None, "") => new(Kind::Other, "found an empty answer".to_owned()),
            (_, text) => new(Kind::Other, format!("found {}", length(text))),
        }
    }

    /// The error that says what kind of answer there is.
    fn something_else(&self, wanted: &str, body: &Value) -> OutcomeError {
        if let Some(replies) = replies(body) {
            let Some(reply) = replies.first() else {
                return OutcomeError::other(self, wanted, "no answer of the model");
            };
            return self.instead(wanted, reply);
        }
        let data = body.get("data").and_then(Value::as_array);
        let has = |name: &str| data.is_some_and(|data| data.iter().any(|item| item.get(name).is_some()));
        let count = data.map_or(0, Vec::len);
        let found = if has("embedding") {
            format!("embeddings: {count}")
        } else if has("b64_json") || has("url") {
            format!("images: {count}")
        } else {
            match body {
                Value::Object(object) => {
                    let keys: Vec<&str> = object.keys().take(8).map(String::as_str).collect();
                    format!("an object of another kind, with the keys {}", clip(&keys.join(", ")))
                }
                Value::String(text) => length(text),
                Value::Array(_) => "an array".to_owned(),
                other => clip(&other.to_string()),
            }
        };
        OutcomeError::other(self, wanted, found)
    }
}

fn length(text: &str) -> String {
    match text.chars().count() {
        1 => "a text of 1 character".to_owned(),
        count => format!("a text of {count} characters"),
    }
}
