//! Counts the texts of a request as its model does, with what the service puts around them (docs/facts.md, 13.1). What is no
//! text, such as a picture, has a token for each four bytes of it.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};
use tiktoken::CoreBpe;

/// Around each message, and before the answer.
const MESSAGE: u64 = 3;
const ANSWER: u64 = 3;

/// Beside the name of who says something.
const NAME: u64 = 1;

/// The vocabulary of a model.
pub(crate) struct Counter(&'static CoreBpe);

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counter(..)")
    }
}

impl Counter {
    /// That of a model, if it is known.
    pub(crate) fn of(model: &str) -> Option<Self> {
        tiktoken::encoding_for_model(model).map(Self)
    }

    /// How many tokens the input of a request line has; none of an endpoint whose requests nobody here knows.
    pub(crate) fn line(&self, endpoint: &str, line: &[u8]) -> Option<u64> {
        #[derive(Deserialize)]
        struct Line {
            body: Map<String, Value>,
        }
        let Line { body } = serde_json::from_slice(line).ok()?;
        let text = match endpoint {
            "/v1/chat/completions" => self.messages(body.get("messages")?) + ANSWER,
            "/v1/responses" => {
                let instructions = body.get("instructions").filter(|text| text.is_string());
                let instructions = instructions.map_or(0, |text| MESSAGE + self.text("system") + self.value(text));
                instructions + self.items(body.get("input")) + ANSWER
            }
            "/v1/embeddings" | "/v1/moderations" => self.texts(body.get("input")?),
            "/v1/completions" => self.texts(body.get("prompt")?),
            _ => return None,
        };
        // What a model is told of tools and of the shape of its answer is a text of their JSON, or about as long.
        let told = ["tools", "functions", "response_format", "text"].iter().filter_map(|name| body.get(*name));
        Some(told.fold(text, |sum, value| sum.saturating_add(self.value(value))))
    }

    fn text(&self, text: &str) -> u64 {
        self.0.count(text) as u64
    }

    /// A text, or the text of its JSON.
    fn value(&self, value: &Value) -> u64 {
        match value {
            Value::Null => 0,
            Value::String(text) => self.text(text),
            value => self.text(&value.to_string()),
        }
    }

    fn messages(&self, messages: &Value) -> u64 {
        let messages = messages.as_array().map(Vec::as_slice).unwrap_or_default();
        messages.iter().map(|message| self.message(message)).fold(0, u64::saturating_add)
    }

    fn message(&self, message: &Value) -> u64 {
        let Some(fields) = message.as_object() else { return MESSAGE + self.value(message) };
        let fields = fields.iter().map(|(name, value)| match (name.as_str(), value) {
            ("type" | "id" | "status", _) => 0,
            ("content", value) => self.content(value),
            ("name", value) => NAME + self.value(value),
            (_, value) => self.value(value),
        });
        fields.fold(MESSAGE, u64::saturating_add)
    }

    /// What is said: a text, or parts of it, some of which are none.
    fn content(&self, content: &Value) -> u64 {
        let Some(parts) = content.as_array() else { return self.value(content) };
        let part = |part: &Value| match (part.get("text"), part.get("refusal")) {
            (Some(text), _) | (None, Some(text)) => self.value(text),
            (None, None) => (part.to_string().len() as u64).div_ceil(4),
        };
        parts.iter().map(part).fold(0, u64::saturating_add)
    }

    /// The input of a response: a text, or messages and what came of calls.
    fn items(&self, input: Option<&Value>) -> u64 {
        match input {
            None => 0,
            Some(Value::String(text)) => MESSAGE + self.text("user") + self.text(text),
            Some(items) => self.messages(items),
        }
    }

    /// A text or several, or what are tokens already.
    fn texts(&self, input: &Value) -> u64 {
        match input {
            Value::Array(several) => several.iter().map(|one| self.texts(one)).fold(0, u64::saturating_add),
            Value::Number(_) => 1,
            Value::Object(_) => self.content(&Value::Array(vec![input.clone()])),
            text => self.value(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn counted(model: &str, endpoint: &str, body: Value) -> Option<u64> {
        let line = json!({"custom_id": "a", "method": "POST", "url": endpoint, "body": body}).to_string();
        Counter::of(model).unwrap().line(endpoint, line.as_bytes())
    }

    /// Three around each message, one beside a name, three before the answer (docs/facts.md, 13.1), and the texts.
    #[test]
    fn a_chat_has_its_texts_and_what_is_around_them() {
        let hello = json!({"role": "user", "content": "hello world"});
        let named = json!({"role": "user", "name": "hello", "content": "hello world"});
        for (messages, tokens) in [
            (json!([]), 3),
            (json!([hello]), 3 + 1 + 2 + 3),
            (json!([hello, hello]), 2 * (3 + 1 + 2) + 3),
            (json!([named]), 3 + 1 + (1 + 1) + 2 + 3),
        ] {
            for model in ["gpt-4o", "gpt-4.1-mini", "gpt-4", "gpt-3.5-turbo"] {
                let body = json!({"model": model, "messages": messages, "temperature": 0.5});
                assert_eq!(counted(model, "/v1/chat/completions", body), Some(tokens), "{model}: {messages}");
            }
        }
    }

    #[test]
    fn texts_count_wherever_they_stand_and_what_is_none_by_its_bytes() {
        let model = "gpt-4.1-mini-2025-04-14";
        let hello = Counter::of(model).unwrap().text("hello world");
        assert_eq!(hello, 2);
        let user = Counter::of(model).unwrap().text("user");
        let whole = MESSAGE + user + hello + ANSWER;
        let chat = |content: Value| json!({"model": model, "messages": [{"role": "user", "content": content}]});
        let parts = json!([{"type": "text", "text": "hello world"}]);
        for content in [json!("hello world"), parts.clone()] {
            assert_eq!(counted(model, "/v1/chat/completions", chat(content)), Some(whole));
        }
        let picture =
            json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,".to_owned() + &"A".repeat(400)}});
        let bytes = picture.to_string().len() as u64;
        let with = chat(json!([{"type": "text", "text": "hello world"}, picture]));
        assert_eq!(counted(model, "/v1/chat/completions", with), Some(whole + bytes.div_ceil(4)));
        for input in [json!("hello world"), json!([{"type": "message", "role": "user", "content": "hello world"}])] {
            assert_eq!(counted(model, "/v1/responses", json!({"model": model, "input": input})), Some(whole));
        }
        let system = Counter::of(model).unwrap().text("system");
        let told = json!({"model": model, "instructions": "hello world", "input": "hello world"});
        assert_eq!(counted(model, "/v1/responses", told), Some(whole + MESSAGE + system + hello));
        let tools = json!({"model": model, "input": "hello world", "tools": [{"type": "web_search"}]});
        assert!(counted(model, "/v1/responses", tools).unwrap() > whole);
        assert_eq!(counted(model, "/v1/images/generations", json!({"model": model, "prompt": "x"})), None);
    }

    #[test]
    fn embeddings_have_their_texts_and_nothing_else() {
        let model = "text-embedding-3-small";
        for (input, tokens) in [
            (json!("hello world"), 2),
            (json!(["hello world", "hello"]), 3),
            (json!([1, 2, 3]), 3),
            (json!([[1, 2], [3]]), 3),
            (json!([]), 0),
        ] {
            let body = json!({"model": model, "input": input, "dimensions": 256});
            assert_eq!(counted(model, "/v1/embeddings", body), Some(tokens), "{input}");
        }
    }

    #[test]
    fn models_that_nobody_knows_are_not_guessed() {
        for model in ["auto", "meetkai:functionary", "nobody-knows", "", "my-gpt-4o-copy"] {
            assert!(Counter::of(model).is_none(), "{model}");
        }
    }

    #[test]
    fn no_body_is_so_odd_that_it_panics() {
        for body in [
            json!({}),
            json!({"messages": null, "input": null, "prompt": null}),
            json!({"messages": [1, null, [], {"content": [1, null, {"text": 7}]}], "input": [{}], "prompt": [[["x"]]]}),
            json!({"messages": "x", "input": {"text": "x"}, "prompt": {"a": 1}, "tools": 1, "text": []}),
        ] {
            for endpoint in ["/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/completions", "/v1/odd"] {
                let _ = counted("gpt-4o", endpoint, body.clone());
            }
        }
        assert_eq!(Counter::of("gpt-4o").unwrap().line("/v1/responses", b"{"), None);
    }
}
