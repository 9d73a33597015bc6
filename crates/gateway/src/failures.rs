//! How often a request that is answered at once has failed as its directive asks (`[[fail=2:503]]`): each time that the same
//! one comes is another attempt, and it is the client who makes it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::idempotency::Asked;
use crate::tenant::Tenant;

/// Most requests that are remembered; beyond it the oldest begin anew.
const MOST: usize = 10_000;

/// The failures of all tenants, of requests that have not been answered since.
#[derive(Debug, Default)]
pub(crate) struct Failures(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    failed: HashMap<Name, u32>,
    /// In the order of their first failure; some have been answered.
    order: VecDeque<Name>,
}

type Name = (Tenant, Asked);

impl Failures {
    /// Which attempt this is, from 1.
    pub(crate) fn attempt(&self, tenant: Tenant, asked: Asked) -> u32 {
        self.book().failed.get(&(tenant, asked)).map_or(1, |failed| failed.saturating_add(1))
    }

    /// The request has failed once more.
    pub(crate) fn failed(&self, tenant: Tenant, asked: Asked) {
        let (name, mut book) = ((tenant, asked), self.book());
        if let Some(failed) = book.failed.get_mut(&name) {
            *failed = failed.saturating_add(1);
            return;
        }
        book.failed.insert(name, 1);
        book.order.push_back(name);
        while book.order.len() > MOST
            && let Some(oldest) = book.order.pop_front()
        {
            book.failed.remove(&oldest);
        }
    }

    /// The request was answered: the next one that is the same begins anew.
    pub(crate) fn answered(&self, tenant: Tenant, asked: Asked) {
        let (name, mut book) = ((tenant, asked), self.book());
        if book.failed.remove(&name).is_some() {
            book.order.retain(|other| *other != name);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_until_the_answer_and_within_a_bound() {
        let failures = Failures::default();
        let tenant = Tenant::new([1; 32]);
        let asked = |n: usize| Asked::of("/v1", "/v1/embeddings", &n.to_string());
        failures.failed(tenant, asked(0));
        failures.failed(tenant, asked(0));
        assert_eq!(failures.attempt(tenant, asked(0)), 3);
        assert_eq!(failures.attempt(Tenant::new([2; 32]), asked(0)), 1);
        failures.answered(tenant, asked(0));
        assert_eq!(failures.attempt(tenant, asked(0)), 1);
        for n in 0..=MOST {
            failures.failed(tenant, asked(n));
        }
        assert_eq!((failures.attempt(tenant, asked(0)), failures.attempt(tenant, asked(MOST))), (1, 2));
        let book = failures.book();
        assert_eq!((book.failed.len(), book.order.len()), (MOST, MOST));
    }
}
