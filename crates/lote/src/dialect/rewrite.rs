//! Rewrites a service's JSON answers into the contract's shape. Error answers and the content of files do not pass
//! here.
//!
//! What would make an answer unreadable is undone whatever the dialect: a list or a created batch that is wrapped as in
//! any of the known tables, and a list without a wrapper. So is a known table's word for an end that the contract does
//! not have: a wait would not see it. What else is readable either way (another spelling, milliseconds) is undone by the
//! dialect that declares it.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::{
    Dialect,
    table::{Object, Table, Times},
};
use crate::{Status, time};

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

/// What is undone whatever the dialect, from the tables of all known ones.
struct Common {
    lists: Vec<String>,
    batches: Vec<String>,
    /// Their statuses of a batch that is over to the contract's.
    statuses: Vec<(String, String)>,
}

static COMMON: LazyLock<Common> = LazyLock::new(|| {
    let known: Vec<Dialect> = Dialect::KNOWN.iter().filter_map(|name| Dialect::named(name).ok()).collect();
    let all = |field: fn(&Table) -> &Option<String>| known.iter().filter_map(|it| field(&it.0).clone()).collect();
    let statuses = known.iter().filter_map(|it| it.0.answer.batch.values.get("status")).flatten();
    Common {
        statuses: statuses
            .filter(|(_, ours)| Status::from(ours.as_str()).is_terminal())
            .map(|(theirs, ours)| (theirs.clone(), ours.clone()))
            .collect(),
        lists: all(|table| &table.answer.list_in),
        batches: all(|table| &table.answer.created_in),
    }
});

impl Dialect {
    /// Turns the answer to an operation into what the contract says, and says whether anything had to be changed.
    /// An answer of another shape stays as it is.
    pub(crate) fn to_contract(&self, operation: &str, answer: &mut Value) -> bool {
        let rules = &self.0.answer;
        match operation {
            "create_batch" => {
                // The dialect declares this wrapper, so the object around it is not the batch even if it has an id.
                let mut changed = unwrap(answer, rules.created_in.iter());
                if answer.get("id").is_none_or(Value::is_null) {
                    changed |= unwrap(answer, COMMON.batches.iter());
                }
                changed | self.batch(answer)
            }
            "get_batch" | "cancel_batch" => self.batch(answer),
            "list_batches" => self.list(answer, |batch| self.batch(batch)),
            "upload_file" | "get_file" => self.file(answer),
            "list_files" => self.list(answer, |file| self.file(file)),
            _ => false,
        }
    }

    fn list(&self, answer: &mut Value, each: impl Fn(&mut Value) -> bool) -> bool {
        let (rules, mut changed) = (&self.0.answer, false);
        if answer.is_array() {
            // A bare list has no cursor and no has_more: it is the whole list.
            *answer = Value::from_iter([("data", answer.take()), ("has_more", Value::Bool(false))]);
            changed = true;
        }
        let Some(list) = answer.as_object_mut() else { return false };
        if list.get("data").is_none_or(Value::is_null)
            && let Some(name) = rules.list_in.iter().chain(&COMMON.lists).find(|name| is_array(list, name))
            && let Some(entries) = list.remove(name)
        {
            list.insert("data".to_owned(), entries);
            changed = true;
        }
        if let Some(Value::Array(entries)) = list.get_mut("data") {
            for entry in entries {
                changed |= each(entry);
            }
            if !rules.paged && list.get("has_more").is_none_or(Value::is_null) {
                list.insert("has_more".to_owned(), Value::Bool(false));
                changed = true;
            }
        }
        changed
    }

    fn batch(&self, batch: &mut Value) -> bool {
        let Some(batch) = batch.as_object_mut() else { return false };
        let mut changed = self.object(batch, &self.0.answer.batch);
        if let Some(Value::String(status)) = batch.get_mut("status")
            && let Status::Other(theirs) = Status::from(status.as_str())
            && let Some((_, ours)) = COMMON.statuses.iter().find(|(known, _)| known.eq_ignore_ascii_case(&theirs))
        {
            status.clone_from(ours);
            changed = true;
        }
        let spelling = self.0.create.spelling.iter();
        if let Some(Value::String(endpoint)) = batch.get_mut("endpoint")
            && let Some((ours, _)) = spelling.into_iter().find(|(_, theirs)| *theirs == endpoint)
        {
            endpoint.clone_from(ours);
            changed = true;
        }
        changed
    }

    fn file(&self, file: &mut Value) -> bool {
        file.as_object_mut().is_some_and(|file| self.object(file, &self.0.answer.file))
    }

    fn object(&self, object: &mut Map<String, Value>, rules: &Object) -> bool {
        let mut changed = false;
        for (theirs, ours) in &rules.rename {
            // Keep a field that is there under the contract's name already.
            if object.get(ours).is_none_or(Value::is_null)
                && let Some(value) = object.remove(theirs)
            {
                object.insert(ours.clone(), value);
                changed = true;
            }
        }
        for (field, spellings) in &rules.values {
            if let Some(Value::String(value)) = object.get_mut(field)
                && let Some((_, ours)) = spellings.iter().find(|(theirs, _)| theirs.eq_ignore_ascii_case(value))
            {
                changed |= value != ours;
                value.clone_from(ours);
            }
        }
        for name in INSTANTS {
            if let Some(value) = object.get_mut(name)
                && let Some(seconds) = seconds(self.0.answer.times, value)
            {
                *value = Value::from(seconds);
                changed = true;
            }
        }
        changed
    }
}

/// Gives the object with an id that is in a wrapper, and says whether there was one.
fn unwrap<'a>(answer: &mut Value, mut wrappers: impl Iterator<Item = &'a String>) -> bool {
    let Some(outer) = answer.as_object_mut() else { return false };
    let inner = wrappers.find_map(|name| match outer.get_mut(name) {
        Some(inner) if inner.get("id").is_some_and(|id| !id.is_null()) => Some(inner.take()),
        _ => None,
    });
    let Some(Value::Object(mut inner)) = inner else { return false };
    // Keep the fields beside it, such as a warning.
    for (name, value) in std::mem::take(outer).into_iter().filter(|(_, value)| !value.is_null()) {
        inner.entry(name).or_insert(value);
    }
    *answer = Value::Object(inner);
    true
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
