//! Reads an answer as text, JSON, tool calls, vectors and images.

use std::any::type_name;

use serde::de::DeserializeOwned;

use super::{
    Embedding, FinishReason, Image, Outcome, OutcomeError, ToolCall, embedding,
    error::{Kind, clip},
    image,
    json::{self, Json},
    reply::{Message, Reply, replies},
};

impl Outcome {
    /// What the model said: of a chat completion its content, of a response the text of its message, of a transcription
    /// that is asked for as a text the transcript. A text that was cut off is given all the same: see
    /// [`is_cut_off`](Self::is_cut_off).
    ///
    /// # Errors
    /// When the line did not succeed, when there is a refusal, a tool call, or no text, and one that
    /// [`is_several`](OutcomeError::is_several) when there are several texts: [`texts`](Self::texts) gives each.
    pub fn text(&self) -> Result<String, OutcomeError> {
        let wanted = "a text";
        let (message, _) = self.message(wanted)?;
        Ok(message.text())
    }

    /// All that the model said: of a chat completion each of its answers (`n`), of a response each of its messages, in
    /// their order. A response may have several: words before a call of a tool, or an answer that was begun twice.
    ///
    /// # Errors
    /// When the line did not succeed, and when one of the answers has no text.
    pub fn texts(&self) -> Result<Vec<String>, OutcomeError> {
        let wanted = "texts";
        let mut texts = Vec::new();
        for reply in self.replies(wanted)? {
            if reply.messages.is_empty() {
                return Err(self.instead(wanted, &reply));
            }
            texts.extend(reply.messages.iter().map(Message::text));
        }
        Ok(texts)
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
    /// off, or comes in several parts, and keeps the answer.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, OutcomeError> {
        let name = type_name::<T>().rsplit("::").next().unwrap_or_default().trim_end_matches('>');
        let wanted = format!("JSON of {name}");
        let (message, finish) = self.message(&wanted)?;
        let text = message.text();
        json::parse(&text).map_err(|error| match (finish, message.parts.len()) {
            (Some(FinishReason::Length), _) => {
                let found = format!("the answer was cut off ({error}); raise the limit of tokens");
                OutcomeError::new(self, &wanted, Kind::CutOff, found)
            }
            (Some(FinishReason::ContentFilter), _) => {
                let found = format!("the service held a part of the answer back ({error})");
                OutcomeError::new(self, &wanted, Kind::Filtered, found)
            }
            (_, 0 | 1) => {
                let found = format!("the text does not fit: {error}: {:?}", clip(&text));
                OutcomeError::new(self, &wanted, Kind::NotTheType, found)
            }
            (_, parts) => {
                let found =
                    format!("found a text of {parts} parts, which do not fit together: {error}: {:?}", clip(&text));
                OutcomeError::new(self, &wanted, Kind::Several(parts), found)
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
    /// Those of [`embeddings`](Self::embeddings), and one that [`is_several`](OutcomeError::is_several) when there are
    /// several vectors.
    pub fn embedding(&self) -> Result<Embedding, OutcomeError> {
        let wanted = "one embedding";
        let mut all = self.vectors(wanted)?;
        match (all.pop(), all.len()) {
            (Some(only), 0) => Ok(only),
            (None, _) => Err(OutcomeError::other(self, wanted, "none")),
            (Some(_), others) => {
                let count = others + 1;
                Err(OutcomeError::new(self, wanted, Kind::Several(count), format_args!("found {count}")))
            }
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
        match image::read(body) {
            Some(Ok(images)) => Ok(images),
            Some(Err(problem)) => Err(OutcomeError::other(self, wanted, problem)),
            None => Err(self.something_else(wanted, body)),
        }
    }

    fn vectors(&self, wanted: &str) -> Result<Vec<Embedding>, OutcomeError> {
        let body = self.answer(wanted)?;
        match embedding::read(body) {
            Some(Ok(embeddings)) => Ok(embeddings),
            Some(Err(problem)) => Err(OutcomeError::other(self, wanted, problem)),
            None => Err(self.something_else(wanted, self.body_json(wanted)?)),
        }
    }

    /// The body of an answer that succeeded.
    fn answer(&self, wanted: &str) -> Result<&str, OutcomeError> {
        let body = self.body().filter(|_| self.is_succeeded());
        body.ok_or_else(|| OutcomeError::unanswered(self, wanted))
    }

    fn body_json(&self, wanted: &str) -> Result<Json<'_>, OutcomeError> {
        Json::parse(self.answer(wanted)?)
            .map_err(|error| OutcomeError::other(self, wanted, format_args!("a body that cannot be read: {error}")))
    }

    fn replies(&self, wanted: &str) -> Result<Vec<Reply>, OutcomeError> {
        let body = self.body_json(wanted)?;
        replies(body).ok_or_else(|| self.something_else(wanted, body))
    }

    /// The first answer of the model.
    fn reply(&self, wanted: &str) -> Result<Reply, OutcomeError> {
        let first = self.replies(wanted)?.into_iter().next();
        first.ok_or_else(|| OutcomeError::other(self, wanted, "no answer of the model"))
    }

    /// The one message that the model said, and why it stopped.
    fn message(&self, wanted: &str) -> Result<(Message, Option<FinishReason>), OutcomeError> {
        let mut replies = self.replies(wanted)?;
        let messages: usize = replies.iter().map(|reply| reply.messages.len()).sum();
        if messages > 1 {
            let what = if replies.len() > 1 { "answers" } else { "messages" };
            let found = format!("found {messages} {what}; texts() gives each");
            return Err(OutcomeError::new(self, wanted, Kind::Several(messages), found));
        }
        if let Some(at) = replies.iter().position(|reply| !reply.messages.is_empty())
            && let mut reply = replies.swap_remove(at)
            && let Some(message) = reply.messages.pop()
        {
            return Ok((message, reply.finish));
        }
        Err(match replies.first() {
            Some(reply) => self.instead(wanted, reply),
            None => OutcomeError::other(self, wanted, "no answer of the model"),
        })
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
        let text: String = reply.messages.iter().map(Message::text).collect();
        match (&reply.finish, text.as_str()) {
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
    fn something_else(&self, wanted: &str, body: Json<'_>) -> OutcomeError {
        if let Some(replies) = replies(body) {
            let Some(reply) = replies.first() else {
                return OutcomeError::other(self, wanted, "no answer of the model");
            };
            return self.instead(wanted, reply);
        }
        let data = body.get("data").and_then(Json::items).unwrap_or_default();
        let has = |name: &str| data.iter().any(|item| item.get(name).is_some());
        let found = if has("embedding") {
            format!("embeddings: {}", data.len())
        } else if has("b64_json") || has("url") {
            format!("images: {}", data.len())
        } else if body.is_object() {
            let keys = body.keys();
            let keys: Vec<&str> = keys.iter().take(8).map(String::as_str).collect();
            format!("an object of another kind, with the keys {}", clip(&keys.join(", ")))
        } else if body.is_array() {
            "an array".to_owned()
        } else {
            body.text().map_or_else(|| clip(body.as_str()), |text| length(&text))
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
