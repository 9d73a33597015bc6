//! What clients cannot see yet: batches and files that lists leave out, that reads do not find, or that batches do not name.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::faults::{Effect, Fired, Lag, Stage};
use crate::tenant::Tenant;

/// What is hidden of all tenants, by id.
#[derive(Debug, Default)]
pub(crate) struct Hidden(Mutex<HashMap<String, Veil>>);

#[derive(Debug)]
struct Veil {
    tenant: Tenant,
    unlisted: Left,
    unread: Left,
    /// Of a result file: its batch does not name it.
    unnamed: Left,
}

/// What is left of a lag.
#[derive(Debug, Default)]
enum Left {
    #[default]
    Nothing,
    Looks(u64),
    UntilMs(i64),
}

impl Left {
    fn new(lag: Lag, now_ms: i64) -> Left {
        match lag {
            Lag::Looks(looks) => Left::Looks(looks),
            Lag::Time(length) => {
                Left::UntilMs(now_ms.saturating_add(i64::try_from(length.as_millis()).unwrap_or(i64::MAX)))
            }
        }
    }

    /// Looks once; returns whether there is nothing to be seen.
    fn look(&mut self, now_ms: i64) -> bool {
        let hides = match self {
            Left::Nothing => false,
            Left::Looks(looks) => {
                let hides = *looks > 0;
                *looks = looks.saturating_sub(1);
                hides
            }
            Left::UntilMs(until) => now_ms < *until,
        };
        if !hides {
            *self = Left::Nothing;
        }
        hides
    }

    fn is_over(&self) -> bool {
        matches!(self, Left::Nothing)
    }
}

impl Veil {
    fn is_over(&self) -> bool {
        self.unlisted.is_over() && self.unread.is_over() && self.unnamed.is_over()
    }
}

impl Hidden {
    /// Hides what is about to be made, as far as the call that makes it was struck so. With this
    /// the effects that hide it have happened: nothing refuses the call after it.
    pub(crate) fn hide(&self, tenant: Tenant, id: &str, fired: &Fired, now_ms: i64) {
        let mut veil = Veil { tenant, unlisted: Left::Nothing, unread: Left::Nothing, unnamed: Left::Nothing };
        for strike in fired.at(Stage::Made) {
            match strike.effect {
                Effect::Unlisted(lag) => veil.unlisted = Left::new(lag, now_ms),
                Effect::NotFound(lag) => veil.unread = Left::new(lag, now_ms),
                Effect::NamedLate(lag) => veil.unnamed = Left::new(lag, now_ms),
                _ => continue,
            }
            strike.happened();
        }
        if !veil.is_over() {
            self.veils().insert(id.to_owned(), veil);
        }
    }

    /// The ids that one list of this tenant's things leaves out. `prefix` is that of their ids.
    pub(crate) fn unlisted(&self, tenant: Tenant, prefix: &str, now_ms: i64) -> HashSet<String> {
        let mut veils = self.veils();
        let unlisted = veils
            .iter_mut()
            .filter(|(id, veil)| veil.tenant == tenant && id.starts_with(prefix))
            .filter_map(|(id, veil)| veil.unlisted.look(now_ms).then(|| id.clone()))
            .collect();
        veils.retain(|_, veil| !veil.is_over());
        unlisted
    }

    /// Whether one read by id does not find this, which is there.
    pub(crate) fn is_unread(&self, id: &str, now_ms: i64) -> bool {
        self.veils().get_mut(id).is_some_and(|veil| veil.unread.look(now_ms))
    }

    /// Whether one look at its batch does not show the id of this result file, which is there.
    pub(crate) fn is_unnamed(&self, file_id: &str, now_ms: i64) -> bool {
        self.veils().get_mut(file_id).is_some_and(|veil| veil.unnamed.look(now_ms))
    }

    fn veils(&self) -> MutexGuard<'_, HashMap<String, Veil>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
