//! Holds answers against schemas, by the crate jsonschema. No reference is followed out of a schema: nothing is fetched.

use std::{
    collections::VecDeque,
    fs::File,
    io::Read,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use jsonschema::Validator;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    Expect, Judge, Verdict,
    asked::{Asked, asked},
};
use crate::{
    Error, Outcome,
    lines::{Unfit, UnfitKind},
    outcome::json,
};

/// More bytes than any schema has that is used.
const LONGEST: usize = 1 << 20;

/// How many schemas that lines ask for are kept compiled, and how many bytes they have in all: those that were used last.
const KEPT: usize = 64;
const KEPT_BYTES: usize = 4 << 20;

impl Expect {
    /// Of every answer: that its text is JSON of this schema. A text in a fence of Markdown is no JSON. Of an answer with
    /// several texts each is to be that. The schema's draft is the one that its `$schema` names, else 2020-12; `format` is
    /// no more than a remark from 2019-09 on. A reference to another document is refused.
    ///
    /// ```
    /// use lote::{Outcome, expect::Expect};
    ///
    /// let expect = Expect::schema(&serde_json::json!({"properties": {"age": {"type": "integer"}}}))?;
    /// let answer = |text: &str| {
    ///     let body = serde_json::json!({"choices": [{"finish_reason": "stop", "message": {"content": text}}]});
    ///     let response = serde_json::json!({"status_code": 200, "body": body});
    ///     Outcome::from_line(serde_json::json!({"custom_id": "a", "response": response}).to_string())
    /// };
    /// assert!(expect.check("", &answer(r#"{"age": 7}"#)?).is_ok());
    /// let unfit = expect.check("", &answer(r#"{"age": "7"}"#)?).unwrap_err();
    /// assert_eq!((unfit.path.as_str(), unfit.schema_path.as_str()), ("/age", "/properties/age/type"));
    /// assert_eq!(unfit.to_string(), r#"a: not of the schema, at /age: "7" is not of type "integer""#);
    /// # Ok::<(), lote::Error>(())
    /// ```
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when it is no schema, or refers to another document.
    pub fn schema(schema: &Value) -> Result<Self, Error> {
        let text = schema.to_string();
        let validator = compile(&text, Some(schema)).map_err(|why| Error::invalid(format!("the schema {why}")))?;
        let name = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self(Arc::new(Given { name, validator })))
    }

    /// As [`schema`](Self::schema), of the schema in a file.
    ///
    /// # Errors
    /// One that [`is_io`](Error::is_io) when the file cannot be read, or [`is_invalid`](Error::is_invalid) when it holds no
    /// schema that can be used; both name the file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let mut text = Vec::new();
        let read = File::open(path).and_then(|file| file.take(LONGEST as u64 + 1).read_to_end(&mut text));
        read.map_err(|error| Error::path("read", path, error))?;
        let refuse = |why: String| Error::invalid(format!("{}: {why}", path.display()));
        if text.len() > LONGEST {
            return Err(refuse(format!("the schema {}", too_long())));
        }
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text);
        let schema: Value = serde_json::from_slice(text).map_err(|error| refuse(format!("it is no JSON: {error}")))?;
        Self::schema(&schema).map_err(|error| error.context(path.display()))
    }

    /// Of each answer what its own line asks for: JSON of the schema in `response_format` of a chat completion or in
    /// `text.format` of a response (`json_schema`), or any object (`json_object`). Of a line that asks for neither, and of
    /// an answer that calls tools instead, nothing is expected. Each schema is compiled once; of very many different ones
    /// those that were used last are kept.
    pub fn requested() -> Self {
        Self(Arc::new(Requested::default()))
    }
}

/// One schema for all answers.
struct Given {
    name: String,
    validator: Validator,
}

impl Judge for Given {
    fn name(&self) -> &str {
        &self.name
    }

    fn is_in_requests(&self) -> bool {
        false
    }

    fn judge(&self, _: &[u8], outcome: &Outcome) -> Verdict {
        hold(&self.validator, outcome)
    }
}

/// The schema that the request line asks for.
#[derive(Default)]
struct Requested {
    compiled: Mutex<Compiled>,
}

impl Judge for Requested {
    fn name(&self) -> &str {
        "requested"
    }

    fn is_in_requests(&self) -> bool {
        true
    }

    fn judge(&self, request: &[u8], outcome: &Outcome) -> Verdict {
        let schema = match std::str::from_utf8(request).map_or(Asked::Nothing, asked) {
            Asked::Nothing => return Verdict::Unasked,
            Asked::Object => Ok(r#"{"type":"object"}"#),
            Asked::Schema(schema) => schema.ok_or("is not there"),
        };
        if outcome.tool_calls().is_ok() {
            return Verdict::Unasked;
        }
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        let validator = schema.map_err(str::to_owned).map(|schema| compiled.get(schema));
        drop(compiled);
        match validator.as_deref() {
            Ok(Ok(validator)) => hold(validator, outcome),
            Ok(Err(why)) | Err(why) => {
                let message = format!("the schema that its line asks for {why}");
                Verdict::Unfit(Unfit::new(UnfitKind::Unusable, outcome.custom_id(), &message))
            }
        }
    }
}

/// A schema, or why it cannot be used.
type Made = Result<Validator, String>;

/// Schemas that were compiled, the one that was used last at the end.
#[derive(Default)]
struct Compiled {
    kept: VecDeque<([u8; 32], usize, Arc<Made>)>,
    bytes: usize,
    /// How many were compiled, in all.
    made: u64,
}

impl Compiled {
    fn get(&mut self, text: &str) -> Arc<Made> {
        let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let at = self.kept.iter().rposition(|(known, ..)| *known == hash);
        if let Some((hash, bytes, made)) = at.and_then(|at| self.kept.remove(at)) {
            self.kept.push_back((hash, bytes, Arc::clone(&made)));
            return made;
        }
        let made = Arc::new(compile(text, None));
        self.made += 1;
        self.bytes += text.len();
        self.kept.push_back((hash, text.len(), Arc::clone(&made)));
        while self.kept.len() > KEPT || self.kept.len() > 1 && self.bytes > KEPT_BYTES {
            let Some((_, bytes, _)) = self.kept.pop_front() else { break };
            self.bytes -= bytes;
        }
        made
    }
}

fn too_long() -> String {
    format!("has more than {LONGEST} bytes")
}

/// Compiles a schema, of which the text and perhaps the value is given.
fn compile(text: &str, value: Option<&Value>) -> Made {
    if text.len() > LONGEST {
        return Err(too_long());
    }
    let read;
    let schema = match value {
        Some(value) => value,
        None => {
            read = json::parse::<Value>(text).map_err(|error| format!("is no JSON: {error}"))?;
            &read
        }
    };
    jsonschema::options().offline().build(schema).map_err(|error| {
        let place = error.instance_path().as_str();
        let at = if place.is_empty() { String::new() } else { format!(", at {place}") };
        format!("cannot be used{at}: {error}")
    })
}

/// Whether each text of an answer is JSON of a schema.
fn hold(validator: &Validator, outcome: &Outcome) -> Verdict {
    let unfit = |kind, message: &str| Unfit::new(kind, outcome.custom_id(), message);
    if outcome.is_refused() {
        return Verdict::Unfit(unfit(UnfitKind::Refused, &outcome.refusal().unwrap_or_default()));
    }
    if outcome.is_filtered() {
        return Verdict::Unfit(unfit(UnfitKind::Filtered, ""));
    }
    if outcome.is_cut_off() {
        return Verdict::Unfit(unfit(UnfitKind::CutOff, ""));
    }
    let texts = match outcome.texts() {
        Ok(texts) if !texts.is_empty() => texts,
        Ok(_) => return Verdict::Unfit(unfit(UnfitKind::NoJson, "it has no text")),
        Err(error) => return Verdict::Unfit(unfit(UnfitKind::NoJson, error.found())),
    };
    for text in texts {
        let value = match json::parse::<Value>(&text) {
            Ok(value) => value,
            Err(error) => return Verdict::Unfit(unfit(UnfitKind::NoJson, &error.to_string())),
        };
        if let Err(error) = validator.validate(&value) {
            let (path, schema_path) = (error.instance_path().as_str(), error.schema_path().as_str());
            return Verdict::Unfit(unfit(UnfitKind::Mismatched, &error.to_string()).at(path, schema_path));
        }
    }
    Verdict::Fits
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(message: Value, finish: &str) -> Outcome {
        let body = json!({"choices": [{"finish_reason": finish, "message": message}]});
        Outcome::from_line(json!({"custom_id": "a", "response": {"status_code": 200, "body": body}}).to_string())
            .unwrap()
    }

    fn said(text: &str) -> Outcome {
        answer(json!({"content": text}), "stop")
    }

    fn kind(verdict: Verdict) -> Option<UnfitKind> {
        match verdict {
            Verdict::Unfit(unfit) => Some(unfit.kind),
            _ => None,
        }
    }

    #[test]
    fn what_an_answer_falls_short_of_is_named() {
        let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
        let expect = Expect::schema(&schema).unwrap();
        let of = |outcome: &Outcome| expect.check("", outcome).err().map(|unfit| unfit.kind);
        assert_eq!(of(&said(r#" {"n": 1, "more": [null]} "#)), None);
        for (outcome, expected) in [
            (said(r#"{"n": 1.5}"#), UnfitKind::Mismatched),
            (said("{}"), UnfitKind::Mismatched),
            (said("1"), UnfitKind::Mismatched),
            (said("```json\n{\"n\": 1}\n```"), UnfitKind::NoJson),
            (said(r#"{"n": 1} {"n": 1}"#), UnfitKind::NoJson),
            (said(&"[".repeat(100_000)), UnfitKind::NoJson),
            (said("Sure!"), UnfitKind::NoJson),
            (answer(json!({"content": "{\"n\": 1}"}), "length"), UnfitKind::CutOff),
            (answer(json!({"content": "{\"n\": 1}"}), "content_filter"), UnfitKind::Filtered),
            (answer(json!({"content": null, "refusal": "no"}), "stop"), UnfitKind::Refused),
            (
                answer(
                    json!({"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
                    "tool_calls",
                ),
                UnfitKind::NoJson,
            ),
        ] {
            assert_eq!(of(&outcome), Some(expected), "{:?}", outcome.texts());
        }
        // Each of several answers.
        let choice = |text: &str| json!({"finish_reason": "stop", "message": {"content": text}});
        let several = |other: &str| {
            let body = json!({"choices": [choice("{\"n\": 1}"), choice(other)]});
            let line = json!({"custom_id": "a", "response": {"status_code": 200, "body": body}});
            Outcome::from_line(line.to_string()).unwrap()
        };
        assert_eq!(of(&several("{\"n\": 2}")), None);
        assert_eq!(of(&several("{\"n\": null}")), Some(UnfitKind::Mismatched));
        // What did not succeed has no answer to be held against anything.
        let failed = json!({"custom_id": "a", "response": {"status_code": 500, "body": {"error": {"message": "n"}}}});
        assert!(expect.judge(b"", failed.to_string().as_bytes()).is_none());
        assert!(expect.judge(b"", b"\xff").is_none() && expect.judge(b"", b"{}").is_none());
    }

    #[test]
    fn a_schema_that_cannot_be_used_is_refused_with_its_place() {
        for (schema, said) in [
            (json!({"properties": {"a": {"type": "whole"}}}), "/properties/a/type"),
            (json!({"$ref": "http://127.0.0.1:9/other.json"}), "other.json"),
            (json!({"$ref": "file:///etc/passwd"}), "passwd"),
            (json!({"$ref": "#/$defs/none"}), "none"),
            (json!(["no"]), "cannot be used"),
            (json!({"pattern": "("}), "cannot be used"),
        ] {
            let error = Expect::schema(&schema).unwrap_err();
            assert!(error.is_invalid() && error.to_string().contains(said), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("schema.json");
        assert!(Expect::load(&path).unwrap_err().is_io());
        for (text, said) in
            [("{", "it is no JSON"), ("{\"type\": 3}", "/type"), (&" ".repeat(LONGEST + 1), "more than")]
        {
            std::fs::write(&path, text).unwrap();
            let error = Expect::load(&path).unwrap_err();
            assert!(error.is_invalid(), "{error}");
            assert!(error.to_string().contains(said) && error.to_string().contains("schema.json"), "{error}");
        }
        std::fs::write(&path, "\u{feff}{\"type\": \"object\"}").unwrap();
        let loaded = Expect::load(&path).unwrap();
        assert_eq!(loaded.name(), Expect::schema(&json!({"type": "object"})).unwrap().name());
        assert_ne!(loaded.name(), Expect::schema(&json!({"type": "array"})).unwrap().name());
    }

    /// A schema that refers to itself: whatever it is held against, it ends.
    #[test]
    fn a_schema_may_refer_to_itself() {
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        let nested = Expect::schema(&json!({"type": "array", "items": {"$ref": "#"}})).unwrap();
        assert!(nested.check("", &said(&deep)).is_ok());
        for schema in [
            json!({"$ref": "#"}),
            json!({"allOf": [{"$ref": "#"}]}),
            json!({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"not": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"}),
            json!({"if": {"$ref": "#"}, "then": {"$ref": "#"}}),
            json!({"$dynamicRef": "#"}),
        ] {
            if let Ok(expect) = Expect::schema(&schema) {
                let _ = expect.check("", &said("{}"));
            }
        }
    }

    #[test]
    fn each_line_has_the_schema_that_it_asks_for_compiled_once() {
        let requested = Requested::default();
        let chat = |format: Value| json!({"custom_id": "a", "body": {"response_format": format}}).to_string();
        let of = |request: &str, text: &str| kind(requested.judge(request.as_bytes(), &said(text)));
        let schema = |wanted: &str| {
            chat(json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": wanted}}}))
        };
        for _ in 0..3 {
            assert_eq!(of(&schema("object"), "{}"), None);
            assert_eq!(of(&schema("array"), "{}"), Some(UnfitKind::Mismatched));
            assert_eq!(of(&chat(json!({"type": "json_object"})), "[]"), Some(UnfitKind::Mismatched));
            assert_eq!(of(&schema("whole"), "{}"), Some(UnfitKind::Unusable));
        }
        let made = requested.compiled.lock().unwrap().made;
        // The object of json_object is another text than that of the schema, or the same.
        assert!((3..=4).contains(&made), "{made}");
        let unasked = |request: &str| requested.judge(request.as_bytes(), &said("x")) == Verdict::Unasked;
        assert!(unasked(&chat(json!({"type": "text"}))) && unasked("{}") && unasked("no JSON"));
        assert!(unasked(&json!({"body": {"input": "x"}}).to_string()));
        assert_eq!(of(&chat(json!({"type": "json_schema"})), "{}"), Some(UnfitKind::Unusable));
        // Tools that the model calls in place of an answer are none of the schema's business.
        let calls =
            json!({"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
        assert_eq!(requested.judge(schema("object").as_bytes(), &answer(calls, "tool_calls")), Verdict::Unasked);
    }

    /// Whatever the pieces in which lines are written.
    #[test]
    fn lines_are_held_against_what_is_expected_on_their_way() {
        use std::io::{Read, Write};

        use crate::expect::Watching;

        let folder = tempfile::tempdir().unwrap();
        let requests = folder.path().join("requests.jsonl");
        let ask = |wanted: &str| {
            let format = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": wanted}}});
            json!({"custom_id": "a", "body": {"response_format": format}}).to_string()
        };
        let plain = json!({"custom_id": "a", "body": {}}).to_string();
        let asked = format!("\u{feff}{}\n\n{}\r\n{plain}\n{}", ask("object"), ask("array"), ask("object"));
        std::fs::write(&requests, asked).unwrap();
        let line = |text: &str| {
            let body = json!({"choices": [{"message": {"content": text}}]});
            json!({"custom_id": "a", "response": {"status_code": 200, "body": body}}).to_string() + "\n"
        };
        let text: String = ["{}", "{}", "x", "é"].map(line).concat();
        for piece in [1, 7, 100, 1_000] {
            let (mut watching, mut from) =
                (Watching::new(&Expect::requested(), Vec::new()).requests(&requests).unwrap(), text.as_bytes());
            let mut buffer = vec![0; piece];
            loop {
                match from.read(&mut buffer).unwrap() {
                    0 => break,
                    read => watching.write_all(&buffer[..read]).unwrap(),
                }
            }
            let (written, fit) = watching.finish();
            assert_eq!(String::from_utf8(written).unwrap(), text);
            assert_eq!((fit.fitting, fit.unasked), (1, 1));
            assert_eq!((fit.unfit[&UnfitKind::Mismatched], fit.unfit[&UnfitKind::NoJson]), (1, 1));
        }
        assert!(Watching::new(&Expect::requested(), Vec::new()).requests(&folder.path().join("none")).is_err());
    }

    #[test]
    fn of_many_schemas_those_used_last_are_kept() {
        let mut compiled = Compiled::default();
        let text = |number: usize| format!(r#"{{"const":{number}}}"#);
        for number in 0..KEPT + 10 {
            assert!(compiled.get(&text(number)).is_ok());
            assert!(compiled.get(&text(0)).is_ok());
        }
        assert_eq!((compiled.kept.len(), compiled.made), (KEPT, KEPT as u64 + 10));
        let long = format!(r#"{{"const":"{}"}}"#, "x".repeat(LONGEST - 20));
        for number in 0..6 {
            assert!(compiled.get(&long.replacen('x', &number.to_string(), 1)).is_ok());
        }
        assert!(compiled.bytes <= KEPT_BYTES && compiled.kept.len() == 4, "{}", compiled.kept.len());
        assert_eq!(compiled.bytes, compiled.kept.iter().map(|(_, bytes, _)| bytes).sum::<usize>());
        assert!(compiled.get(&format!("{long}{long}")).as_ref().as_ref().is_err_and(|why| why.contains("more than")));
    }
}
