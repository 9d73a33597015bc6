//! What requests with an `Idempotency-Key` were answered with, so that the model is not asked a second time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use bytes::Bytes;
use tokio::sync::OwnedMutexGuard;

use crate::error::ApiError;
use crate::idempotency::{Asked, checked};
use crate::tenant::Tenant;

/// The most memory that answers take, in bytes; beyond it the oldest are forgotten.
const MOST_BYTES: usize = 64 * 1024 * 1024;

/// Most keys whose requests are being answered, or wait for that: they may have outlived their clients.
const MOST_OPEN: usize = 16_384;

/// About what an answer takes beside its body and its key.
const ENTRY: usize = 512;

/// A tenant and its key.
type Name = (Tenant, String);

/// The answer to a key. Whoever asks with the same key waits until the one before is answered.
type Slot = Arc<tokio::sync::Mutex<Option<Bytes>>>;

/// The answers of all tenants.
#[derive(Debug)]
pub(crate) struct Answers(Option<Mutex<Book>>);

#[derive(Debug)]
struct Book {
    most: usize,
    most_open: usize,
    places: HashMap<Name, Place>,
    /// Names with an answer, the oldest first.
    answered: VecDeque<Name>,
    bytes: usize,
}

#[derive(Debug)]
struct Place {
    asked: Asked,
    slot: Slot,
    /// What its answer takes; none as long as there is none.
    bytes: usize,
}

/// The turn of one request among those with the same key. Dropped without an answer, it leaves the key free.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    answers: &'a Answers,
    name: Name,
    slot: OwnedMutexGuard<Option<Bytes>>,
}

impl Answers {
    pub(crate) fn new(enabled: bool) -> Answers {
        Answers::within(enabled, MOST_BYTES, MOST_OPEN)
    }

    fn within(enabled: bool, most: usize, most_open: usize) -> Answers {
        let (places, answered) = (HashMap::new, VecDeque::new);
        let book = || Mutex::new(Book { most, most_open, places: places(), answered: answered(), bytes: 0 });
        Answers(enabled.then(book))
    }

    /// Whether keys are obeyed.
    pub(crate) fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Waits until no other request with this key is being answered; none where keys are not obeyed.
    ///
    /// A key that was used for something else is a 409, one too many a 503.
    pub(crate) async fn turn(&self, tenant: Tenant, key: &str, asked: Asked) -> Result<Option<Turn<'_>>, ApiError> {
        let name = (tenant, key.to_owned());
        let Some(slot) = self.slot(&name, asked)? else { return Ok(None) };
        Ok(Some(Turn { answers: self, name, slot: slot.lock_owned().await }))
    }

    fn slot(&self, name: &Name, asked: Asked) -> Result<Option<Slot>, ApiError> {
        let Some(mut book) = self.book() else { return Ok(None) };
        checked(&name.1)?;
        let open = book.places.len() - book.answered.len();
        if open >= book.most_open && !book.places.contains_key(name) {
            let message = "Too many requests with an Idempotency-Key are being answered; try again later.";
            return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message));
        }
        let place = book.places.entry(name.clone()).or_insert_with(|| Place { asked, slot: Slot::default(), bytes: 0 });
        if place.asked != asked {
            let message = "This Idempotency-Key was used with another body; use another key for another request.";
            return Err(ApiError::new(StatusCode::CONFLICT, message));
        }
        Ok(Some(Arc::clone(&place.slot)))
    }

    fn book(&self) -> Option<MutexGuard<'_, Book>> {
        self.0.as_ref().map(|book| book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Turn<'_> {
    /// The answer that a request before has got.
    pub(crate) fn answer(&self) -> Option<Bytes> {
        self.slot.clone()
    }

    /// Keeps the answer for those to come.
    pub(crate) fn keep(mut self, answer: &Bytes) {
        let Some(mut book) = self.answers.book() else { return };
        *self.slot = Some(answer.clone());
        let bytes = ENTRY + 2 * self.name.1.len() + answer.len();
        if let Some(place) = book.places.get_mut(&self.name) {
            place.bytes = bytes;
            book.bytes += bytes;
            book.answered.push_back(self.name.clone());
        }
        while book.bytes > book.most
            && let Some(oldest) = book.answered.pop_front()
        {
            book.bytes -= book.places.remove(&oldest).map_or(0, |place| place.bytes);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.slot.is_some() {
            return;
        }
        let Some(mut book) = self.answers.book() else { return };
        // One is the book's, one is held here; all others wait for their turn.
        let slot = OwnedMutexGuard::mutex(&self.slot);
        if Arc::strong_count(slot) == 2 {
            book.places.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn turn<'a>(answers: &'a Answers, key: &str, asked: u8) -> Result<Turn<'a>, ApiError> {
        answers.turn(Tenant::new([1; 32]), key, Asked([asked; 32])).await.map(Option::unwrap)
    }

    fn held(answers: &Answers) -> (usize, usize) {
        let book = answers.book().unwrap();
        (book.places.len(), book.bytes)
    }

    #[tokio::test]
    async fn a_key_without_an_answer_is_free_again() {
        let answers = Answers::within(true, 10_000, 100);
        let first = turn(&answers, "k", 1).await.unwrap();
        assert!(turn(&answers, "k", 2).await.is_err(), "while it is being answered");
        let mut second = std::pin::pin!(turn(&answers, "k", 1));
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        drop(first);
        assert!(turn(&answers, "k", 2).await.is_err(), "while another one waits");
        let second = second.await.unwrap();
        assert_eq!(second.answer(), None);
        drop(second);
        assert_eq!(held(&answers), (0, 0));
        turn(&answers, "k", 2).await.unwrap().keep(&Bytes::from_static(b"yes"));
        assert_eq!(turn(&answers, "k", 2).await.unwrap().answer(), Some(Bytes::from_static(b"yes")));
        assert!(turn(&answers, "k", 1).await.is_err());
    }

    #[tokio::test]
    async fn keys_that_are_open_are_bounded() {
        let answers = Answers::within(true, 10_000, 2);
        for n in 0..5 {
            turn(&answers, &n.to_string(), 1).await.unwrap().keep(&Bytes::new());
        }
        let first = turn(&answers, "a", 1).await.unwrap();
        let _second = turn(&answers, "b", 1).await.unwrap();
        assert!(turn(&answers, "c", 1).await.is_err());
        assert!(turn(&answers, "4", 1).await.unwrap().answer().is_some());
        drop(first);
        assert!(turn(&answers, "c", 1).await.is_ok());
    }

    #[tokio::test]
    async fn the_oldest_answers_make_room() {
        let answers = Answers::within(true, 10_000, 100);
        for n in 0..100 {
            turn(&answers, &n.to_string(), 1).await.unwrap().keep(&Bytes::from(vec![0; 1_000]));
        }
        assert_eq!(turn(&answers, "0", 2).await.unwrap().answer(), None);
        assert!(turn(&answers, "99", 1).await.unwrap().answer().is_some());
        let (places, bytes) = held(&answers);
        assert!((3..10).contains(&places) && bytes <= 10_000, "{places} {bytes}");
        // One that is larger than all room is kept by nobody.
        turn(&answers, "large", 1).await.unwrap().keep(&Bytes::from(vec![0; 20_000]));
        assert_eq!(held(&answers), (0, 0));
    }
}
