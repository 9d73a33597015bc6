//! What the gateway reads of a request that it forwards, and the one thing that it changes: the name of the model.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

/// What is read of a body.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    text: &'a str,
    /// What it calls the model, and where that stands.
    model: Option<(Cow<'a, str>, Range<usize>)>,
    pub(super) streams: bool,
    /// About how many tokens it takes: one for four bytes, and the most that it allows for the output.
    pub(super) tokens: u64,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    max_completion_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    max_output_tokens: Option<&'a RawValue>,
}

impl<'a> Asked<'a> {
    /// # Errors
    /// In words for the client, when one of these fields is there twice, or the model is no text.
    pub(super) fn read(body: &'a RawValue) -> Result<Asked<'a>, String> {
        let text = body.get();
        let fields: Fields<'a> =
            serde_json::from_str(text).map_err(|error| format!("We could not read the body: {error}."))?;
        let model = match fields.model.filter(|raw| raw.get() != "null") {
            None => None,
            Some(raw) => {
                let name = serde_json::from_str::<String>(raw.get())
                    .map_err(|_| "Invalid type for 'model': expected a string.".to_owned())?;
                let start = raw.get().as_ptr() as usize - text.as_ptr() as usize;
                Some((Cow::Owned(name), start..start + raw.get().len()))
            }
        };
        let number = |raw: Option<&RawValue>| raw.and_then(|raw| raw.get().parse::<u64>().ok());
        let output = [fields.max_tokens, fields.max_completion_tokens, fields.max_output_tokens];
        let output = output.into_iter().filter_map(number).max().unwrap_or(0);
        Ok(Asked {
            text,
            model,
            streams: fields.stream.is_some_and(|raw| raw.get() == "true"),
            tokens: (text.len() as u64 / 4 + 1).saturating_add(output),
        })
    }

    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_ref().map(|(name, _)| name.as_ref())
    }

    /// The body with the model by another name; all else byte for byte.
    pub(super) fn with_model(&self, name: &str) -> String {
        match &self.model {
            Some((before, at)) if before != name => {
                let name = serde_json::Value::from(name).to_string();
                [&self.text[..at.start], &name, &self.text[at.end..]].concat()
            }
            _ => self.text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn only_the_model_changes() {
        let body =
            raw(r#"{ "messages": [{"model": "a"}], "model" : "\u0061", "n": 1.0, "stream": true, "max_tokens": 40}"#);
        let asked = Asked::read(&body).unwrap();
        assert_eq!((asked.model(), asked.streams), (Some("a"), true));
        assert_eq!(asked.tokens, body.get().len() as u64 / 4 + 41);
        let expected =
            r#"{ "messages": [{"model": "a"}], "model" : "q\"x", "n": 1.0, "stream": true, "max_tokens": 40}"#;
        assert_eq!(asked.with_model("q\"x"), expected);
        assert_eq!(asked.with_model("a"), body.get());
    }

    #[test]
    fn a_body_without_a_model_stays_as_it_is_and_an_odd_one_is_refused() {
        for text in ["{}", r#"{"model":null}"#, r#"{"stream":"true"}"#] {
            let body = raw(text);
            let asked = Asked::read(&body).unwrap();
            assert_eq!((asked.model(), asked.streams, asked.with_model("x").as_str()), (None, false, text));
        }
        for text in [r#"{"model":1}"#, r#"{"model":"a","model":"b"}"#] {
            assert!(Asked::read(&raw(text)).unwrap_err().contains("model"), "{text}");
        }
    }
}
