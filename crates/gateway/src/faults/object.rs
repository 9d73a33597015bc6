//! What becomes of the objects in an answer that a fault strikes: odd statuses, instants, counts, fields.

use serde_json::{Map, Value, json};

use crate::clock::http_date;
use crate::faults::{Effect, Fired, HasMore, OddTime, Stage};

/// The bound on instants: 2^53 − 1, the highest integer that every JSON client reads exactly; MKA1's client has it.
const BOUND: i64 = 9_007_199_254_740_991;

/// Distorts the batches and files in an answer, which may be a list of them.
pub(crate) fn patch(fired: &Fired, answer: &mut Value) {
    for strike in fired.at(Stage::Object) {
        if let Effect::CutList { entries, has_more } = strike.effect {
            if cut(answer, entries, has_more) {
                strike.happened();
            }
            continue;
        }
        let objects = match answer.get_mut("data") {
            Some(Value::Array(data)) => data.as_mut_slice(),
            _ => std::slice::from_mut(answer),
        };
        for object in objects.iter_mut().filter_map(Value::as_object_mut) {
            let before = object.clone();
            distort(&strike.effect, object);
            if *object != before {
                strike.happened();
            }
        }
    }
}

/// Cuts a list; whether it had more entries, or says something else of more now.
fn cut(list: &mut Value, entries: usize, has_more: HasMore) -> bool {
    let Some(list) = list.as_object_mut() else { return false };
    let Some(Value::Array(data)) = list.get_mut("data") else { return false };
    let longer = data.len() > entries;
    data.truncate(entries);
    let id = |entry: Option<&Value>| entry.and_then(|entry| entry.get("id")).cloned().unwrap_or_default();
    let (first, last) = (id(data.first()), id(data.last()));
    list.insert("first_id".to_owned(), first);
    list.insert("last_id".to_owned(), last);
    let before = list.get("has_more").cloned();
    match has_more {
        HasMore::False => drop(list.insert("has_more".to_owned(), json!(false))),
        HasMore::True => drop(list.insert("has_more".to_owned(), json!(true))),
        HasMore::Absent => drop(list.shift_remove("has_more")),
    }
    longer || list.get("has_more") != before.as_ref()
}

fn distort(effect: &Effect, object: &mut Map<String, Value>) {
    match effect {
        Effect::UnknownStatus(status) => {
            object.insert("status".to_owned(), json!(status));
        }
        Effect::Timestamp { field, value } => {
            if let Some(at) = object.get_mut(field)
                && let Some(seconds) = at.as_i64()
            {
                *at = odd(*value, seconds);
            }
        }
        Effect::AbsentField(field) => {
            object.shift_remove(field);
        }
        Effect::NullField(field) => {
            object.insert(field.clone(), Value::Null);
        }
        Effect::CountsBackwards => counts(object, &["completed", "failed"], |count| count / 2),
        Effect::CountsZero => counts(object, &["total", "completed", "failed"], |_| 0),
        _ => {}
    }
}

fn counts(object: &mut Map<String, Value>, names: &[&str], change: fn(u64) -> u64) {
    let Some(Value::Object(counts)) = object.get_mut("request_counts") else { return };
    for name in names {
        if let Some(count) = counts.get_mut(*name) {
            *count = json!(change(count.as_u64().unwrap_or(0)));
        }
    }
}

fn odd(value: OddTime, seconds: i64) -> Value {
    match value {
        OddTime::Lowest => json!(-BOUND),
        OddTime::Highest => json!(BOUND),
        OddTime::BelowLowest => json!(-BOUND - 1),
        OddTime::AboveHighest => json!(BOUND + 1),
        OddTime::Milliseconds => json!(seconds.saturating_mul(1000)),
        OddTime::Fractional => json!(seconds as f64 + 0.5),
        OddTime::Text => json!(http_date(seconds)),
    }
}
