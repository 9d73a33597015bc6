//! Blanks the key, and other values that may be secret, out of what a service sent.

use std::{borrow::Cow, cmp::Reverse, collections::BTreeMap, mem};

use serde_json::Value;

use crate::lines::{Anomaly, Joined};
use crate::run::Invoice;

/// The shortest key that is blanked out of messages. A shorter one would blank out half of the text.
const SHORTEST_KEY: usize = 4;

/// The shortest secret that is blanked out of what programs read. What is shorter is no secret, but may well be a part
/// of a model's name, or of somebody's metadata.
const SHORTEST: usize = 8;

/// What is blanked out of everything that comes from a service and is printed or written: some repeat what they were
/// sent. The content of files is the service's own, and stays as it came.
#[derive(Clone)]
pub(crate) struct Secrets(Vec<Secret>);

#[derive(Clone)]
struct Secret {
    value: String,
    /// What is shown in its place.
    name: String,
}

impl Secrets {
    /// The key, and other values that may be secret, each with the name that is shown in its place.
    pub(crate) fn new<'a>(key: &str, others: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut secrets = Vec::new();
        let mut add = |value: &str, name: &str, shortest: usize| {
            if value.len() >= shortest {
                let name = format!("[{name}]");
                let in_url = in_url(value);
                if in_url != value {
                    secrets.push(Secret { value: in_url, name: name.clone() });
                }
                secrets.push(Secret { value: value.to_owned(), name });
            }
        };
        add(key, "key", SHORTEST_KEY);
        for (name, value) in others {
            // A service may repeat what stands after a scheme such as Bearer alone.
            for value in [value, value.split_once(' ').map_or("", |(_, rest)| rest)] {
                add(value, name, SHORTEST);
            }
        }
        // One that holds another goes first.
        secrets.sort_by_key(|secret| Reverse(secret.value.len()));
        Self(secrets)
    }

    /// A message without them.
    pub(crate) fn blanked(&self, text: &str) -> String {
        let mut text = text.to_owned();
        self.blank_text(&mut text, SHORTEST_KEY);
        text
    }

    /// The same of a text that may be large: it is copied only when one of them is in it.
    pub(crate) fn blanked_out_of<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.are_in(text) { Cow::Owned(self.blanked(text)) } else { Cow::Borrowed(text) }
    }

    /// Whether any of them is in a message.
    pub(crate) fn are_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(&secret.value))
    }

    /// Blanks them out of a JSON answer: its texts and its keys.
    pub(crate) fn blank(&self, answer: &mut Value) {
        match answer {
            Value::String(text) => self.blank_text(text, SHORTEST),
            Value::Array(entries) => entries.iter_mut().for_each(|entry| self.blank(entry)),
            Value::Object(fields) => {
                if fields.keys().any(|name| self.is_in(name)) {
                    let without = |(mut name, value): (String, Value)| {
                        self.blank_text(&mut name, SHORTEST);
                        (name, value)
                    };
                    *fields = mem::take(fields).into_iter().map(without).collect();
                }
                for (name, value) in fields {
                    match value {
                        // What people read, and programs do not.
                        Value::String(text) if name == "message" => self.blank_text(text, SHORTEST_KEY),
                        value => self.blank(value),
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// Blanks them out of a summary, whose words are those of result lines.
    pub(crate) fn blank_summary(&self, joined: &mut Joined) {
        for error in &mut joined.errors {
            self.blank_text(&mut error.code, SHORTEST);
            error.message.iter_mut().for_each(|message| self.blank_text(message, SHORTEST_KEY));
        }
        joined.anomalies.iter_mut().for_each(|anomaly| self.blank_anomaly(anomaly));
        if joined.models.keys().any(|model| self.is_in(model)) {
            let mut models = BTreeMap::new();
            for (mut model, count) in mem::take(&mut joined.models) {
                self.blank_text(&mut model, SHORTEST);
                *models.entry(model).or_default() += count;
            }
            joined.models = models;
        }
        let models = joined.spent.iter_mut().filter_map(|spent| spent.model.as_mut());
        models.for_each(|model| self.blank_text(model, SHORTEST));
    }

    /// Blanks them out of an invoice, whose models are those that result lines name.
    pub(crate) fn blank_invoice(&self, invoice: &mut Invoice) {
        let models = invoice.models.iter_mut().filter_map(|of| of.model.as_mut());
        models.for_each(|model| self.blank_text(model, SHORTEST));
    }

    /// Blanks them out of an anomaly.
    pub(crate) fn blank_anomaly(&self, anomaly: &mut Anomaly) {
        anomaly.custom_id.iter_mut().for_each(|id| self.blank_text(id, SHORTEST));
        self.blank_text(&mut anomaly.message, SHORTEST_KEY);
        anomaly.excerpt.iter_mut().for_each(|excerpt| self.blank_text(excerpt, SHORTEST_KEY));
    }

    fn is_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| secret.value.len() >= SHORTEST && text.contains(&secret.value))
    }

    fn blank_text(&self, text: &mut String, shortest: usize) {
        for Secret { value, name } in self.0.iter().filter(|secret| secret.value.len() >= shortest) {
            if text.contains(value.as_str()) {
                *text = text.replace(value.as_str(), name);
            }
        }
    }
}

/// A value as it stands in the query of a URL.
fn in_url(value: &str) -> String {
    reqwest::Url::parse_with_params("http://x/", [("", value)])
        .ok()
        .and_then(|url| url.query().map(|query| query.trim_start_matches('=').to_owned()))
        .unwrap_or_else(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn other_secrets_are_blanked_as_a_whole_and_in_part() {
        let others = [("x-gateway", "Bearer hunter2222"), ("x-team", "batch"), ("x-two", "hunter2222-more")];
        let secrets = Secrets::new("key", others);
        let text = "key batch hunter2222-more Bearer hunter2222, hunter2222";
        assert_eq!(secrets.blanked(text), "key batch [x-two] [x-gateway], [x-gateway]");
        assert_eq!(Secrets::new("a/b+c=", []).blanked("?k=a%2Fb%2Bc%3D&a/b+c="), "?k=[key]&[key]");
    }

    #[test]
    fn every_text_of_an_answer_is_blanked() {
        let secrets = Secrets::new("sk-hunter22", []);
        let mut answer = json!({
            "id": "b", "sk-hunter22": 1, "metadata": {"a": "Bearer sk-hunter22"},
            "errors": {"data": [{"message": "no sk-hunter22", "more": [["sk-hunter22"]]}]},
        });
        secrets.blank(&mut answer);
        let expected = json!({
            "id": "b", "[key]": 1, "metadata": {"a": "Bearer [key]"},
            "errors": {"data": [{"message": "no [key]", "more": [["[key]"]]}]},
        });
        assert_eq!(answer, expected);
    }

    #[test]
    fn a_key_that_is_a_word_spoils_no_data() {
        let secrets = Secrets::new("test", []);
        let mut answer = json!({"id": "test-1", "metadata": {"team": "test"}, "message": "wrong key: test"});
        secrets.blank(&mut answer);
        assert_eq!(answer, json!({"id": "test-1", "metadata": {"team": "test"}, "message": "wrong key: [key]"}));
    }
}
