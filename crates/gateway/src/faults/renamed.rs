//! The other ids under which lists show batches, and which of the two a request may name.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::faults::{Effect, Fired, Stage, Takes};
use crate::ids::hex;

/// What the ids of batches begin with.
const PREFIX: &str = "batch_";

/// The batches of all tenants that were listed under another id.
#[derive(Debug, Default)]
pub(crate) struct Renamed(Mutex<Names>);

#[derive(Debug, Default)]
struct Names {
    /// By the listed id: that of the create.
    made: HashMap<String, String>,
    /// By the id of the create.
    takes: HashMap<String, Takes>,
}

impl Renamed {
    /// Gives the batches of a list their other ids, as far as the call for it was struck so.
    pub(crate) fn rewrite(&self, fired: &Fired, answer: &mut Value) {
        for strike in fired.at(Stage::Object) {
            let Effect::RewrittenIds { takes } = strike.effect else { continue };
            let Some(Value::Array(entries)) = answer.get_mut("data") else { continue };
            let mut names = self.names();
            for entry in entries {
                let Some(id) = entry["id"].as_str().filter(|id| !names.made.contains_key(*id)) else { continue };
                let listed = listed(id);
                names.made.insert(listed.clone(), id.to_owned());
                names.takes.insert(id.to_owned(), takes);
                entry["id"] = json!(listed);
                strike.happened();
            }
            for end in ["first_id", "last_id"] {
                if let Some(id) = answer[end].as_str().filter(|id| !names.made.contains_key(*id)) {
                    answer[end] = json!(listed(id));
                }
            }
        }
    }

    /// The id of the create for an id that a client names; none when it may not name that.
    pub(crate) fn resolve(&self, named: &str) -> Option<String> {
        let names = self.names();
        let (id, refused) = match names.made.get(named) {
            Some(made) => (made.as_str(), Takes::Made),
            None => (named, Takes::Listed),
        };
        (names.takes.get(id) != Some(&refused)).then(|| id.to_owned())
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id that a list shows for this one of a create.
fn listed(id: &str) -> String {
    format!("{PREFIX}{}", hex(id.as_bytes()))
}
