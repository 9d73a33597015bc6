//! Owns the way from a service's JSON answers to the contract's shape; never file content, and never an error answer.
//!
//! What would make an answer unreadable is undone whatever the dialect: a list or a created batch that is wrapped as in
//! any of the known tables, and a list without a wrapper. What is readable either way (a spelling, milliseconds) is
//! undone by the dialect that declares it.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::{
    Dialect,
    table::{Object, Table, Times},
};
use crate::time;

/// The fields of a batch and of a file that hold instants.
const INSTANTS: [&str; 9] = [
    "created_at",
    "in_progress_at",
    "expires_at",
    "finalizing_at",
    "completed_at",
    "failed_at",
    "expired_at",
    "cancelling_at",
    "cancelled_at",
];

/// The wrappers of all known dialects.
struct Wrappers {
    lists: Vec<String>,
    batches: Vec<String>,
}

static WRAPPERS: LazyLock<Wrappers> = LazyLock::new(|| {
    let known: Vec<Dialect> = Dialect::KNOWN.iter().filter_map(|name| Dialect::named(name).ok()).collect();
    let all = |field: fn(&Table) -> &Option<String>| known.iter().filter_map(|it| field(&it.0).clone()).collect();
    Wrappers { lists: all(|table| &table.answer.list_in), batches: all(|table| &table.answer.created_in) }
});

impl Dialect {
    /// Turns the answer to an operation into what the contract says. Whatever it is, it never fails.
    pub(super) fn to_contract(&self, operation: &str, answer: &mut Value) {
        let rules = &self.0.answer;
        match operation {
            "create_batch" => {
                // Of one that is declared it is known that what is around it is not the batch.
                unwrap(answer, rules.created_in.iter());
                if answer.get("id").is_none_or(Value::is_null) {
                    unwrap(answer, WRAPPERS.batches.iter());
                }
                self.batch(answer);
            }
            "get_batch" | "cancel_batch" => self.batch(answer),
            "list_batches" => self.list(answer, |batch| self.batch(batch)),
            "upload_file" | "get_file" => self.file(answer),
            "list_files" => self.list(answer, |file| self.file(file)),
            _ => {}
        }
    }

    fn list(&self, answer: &mut Value, each: impl Fn(&mut Value)) {
        let rules = &self.0.answer;
        if answer.is_array() {
            // No cursor, no word on what follows: it is the whole list.
            *answer = Value::from_iter([("data", answer.take()), ("has_more", Value::Bool(false))]);
        }
        let Some(list) = answer.as_object_mut() else { return };
        if list.get("data").is_none_or(Value::is_null)
            && let Some(name) = rules.list_in.iter().chain(&WRAPPERS.lists).find(|name| is_array(list, name))
            && let Some(entries) = list.remove(name)
        {
            list.insert("data".to_owned(), entries);
        }
        if let Some(Value::Array(entries)) = list.get_mut("data") {
            entries.iter_mut().for_each(each);
            if !rules.paged && list.get("has_more").is_none_or(Value::is_null) {
                list.insert("has_more".to_owned(), Value::Bool(false));
            }
        }
    }

    fn batch(&self, batch: &mut Value) {
        let Some(batch) = batch.as_object_mut() else { return };
        self.object(batch, &self.0.answer.batch);
        let spelling = self.0.create.spelling.iter();
        if let Some(Value::String(endpoint)) = batch.get_mut("endpoint")
            && let Some((ours, _)) = spelling.into_iter().find(|(_, theirs)| *theirs == endpoint)
        {
            endpoint.clone_from(ours);
        }
    }

    fn file(&self, file: &mut Value) {
        if let Some(file) = file.as_object_mut() {
            self.object(file, &self.0.answer.file);
        }
    }

    fn object(&self, object: &mut Map<String, Value>, rules: &Object) {
        for (theirs, ours) in &rules.rename {
            // A field that is there under the contract's name is the one that counts.
            if object.get(ours).is_none_or(Value::is_null)
                && let Some(value) = object.remove(theirs)
            {
                object.insert(ours.clone(), value);
            }
        }
        for (field, spellings) in &rules.values {
            if let Some(Value::String(value)) = object.get_mut(field)
                && let Some((_, ours)) = spellings.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(value))
            {
                value.clone_from(ours);
            }
        }
        for name in INSTANTS {
            if let Some(value) = object.get_mut(name)
                && let Some(seconds) = seconds(self.0.answer.times, value)
            {
                *value = Value::from(seconds);
            }
        }
    }
}

/// Gives the object with an id that is in a wrapper.
fn unwrap<'a>(answer: &mut Value, mut wrappers: impl Iterator<Item = &'a String>) {
    let Some(outer) = answer.as_object_mut() else { return };
    let inner = wrappers.find_map(|name| match outer.get_mut(name) {
        Some(inner) if inner.get("id").is_some_and(|id| !id.is_null()) => Some(inner.take()),
        _ => None,
    });
    let Some(Value::Object(mut inner)) = inner else { return };
    // What stands beside it, such as a warning, is not lost.
    for (name, value) in std::mem::take(outer).into_iter().filter(|(_, value)| !value.is_null()) {
        inner.entry(name).or_insert(value);
    }
    *answer = Value::Object(inner);
}

fn is_array(list: &Map<String, Value>, name: &str) -> bool {
    list.get(name).is_some_and(Value::is_array)
}

/// An instant in seconds, when it is one of another form. What is no instant stays, for the reader to name.
fn seconds(times: Times, value: &Value) -> Option<i64> {
    match (times, value) {
        (Times::Milliseconds, Value::Number(number)) => number.as_i64().map(|number| number.div_euclid(1_000)),
        (Times::Milliseconds, Value::String(text)) => {
            text.trim().parse::<i64>().ok().map(|number| number.div_euclid(1_000)).or_else(|| time::rfc_3339(text))
        }
        (Times::Iso8601, Value::String(text)) => time::rfc_3339(text),
        _ => None,
    }
}
