//! Owns the reading of the lists that hold what was asked for: choices, outputs, data and results, and whether they say
//! something.

use super::{is_empty, reason};
use crate::answer::{Shortfall, is_no_error};
use crate::fields::Walk;
use crate::raw::Kind;

/// The list of a key that holds what was asked for, such as `choices`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum List {
    #[default]
    Absent,
    /// Null or without an element.
    Empty,
    /// With elements that say nothing where an answer is to be.
    Hollow,
    Some,
}

impl List {
    pub(super) fn of(some: bool) -> Self {
        if some { Self::Some } else { Self::Empty }
    }

    fn of_items(any: bool, some: bool) -> Self {
        if any && !some { Self::Hollow } else { Self::of(some) }
    }
}

pub(super) struct Choices {
    pub(super) some: bool,
    pub(super) failed: bool,
    pub(super) shortfall: Shortfall,
}

pub(super) fn choices(walk: &mut Walk<'_>) -> Choices {
    let mut all = Choices { some: false, failed: false, shortfall: Shortfall::default() };
    walk.items(&mut |walk| {
        let (mut says, mut spoke, mut text, mut finished) = (false, false, false, false);
        let mut short = Shortfall::default();
        let mut refused = false;
        let mut failed = false;
        walk.fields(&mut |key, walk| match key.as_ref() {
            "finish_reason" => {
                let value = walk.value();
                finished = Kind::of(value) == Kind::String && value != "\"\"";
                failed |= value == "\"error\"";
                short = reason(value);
            }
            "message" | "delta" => {
                walk.fields(&mut |key, walk| match key.as_ref() {
                    "role" => {}
                    "refusal" => {
                        let value = walk.value();
                        let refusal = Kind::of(value) == Kind::String && value != "\"\"";
                        refused |= refusal;
                        says |= refusal;
                    }
                    "content" if walk.kind() == Kind::Array => {
                        walk.items(&mut |walk| {
                            let part = part(walk);
                            refused |= part.refusal;
                            says |= part.says;
                        });
                    }
                    // A model may say nothing, once it has ended.
                    "content" => {
                        let value = walk.value();
                        spoke |= Kind::of(value) == Kind::String;
                        says |= !is_empty(value);
                    }
                    _ => says |= !is_empty(walk.value()),
                });
            }
            "text" => text = walk.kind() == Kind::String,
            "error" => failed |= !is_no_error(walk.value()),
            _ => {}
        });
        let stopped = short != Shortfall::default();
        short.refused |= refused;
        all.some |= text || stopped || says || (spoke && finished);
        all.failed |= failed;
        all.shortfall.add(short);
    });
    all
}

/// A list of what was asked for. `says` tells of each value in it, with the walk at it, whether it says something as an
/// object; one that is neither an object nor null does. What is no list is an answer if it is not empty.
fn list(walk: &mut Walk<'_>, says: &mut dyn FnMut(&mut Walk<'_>) -> bool) -> List {
    if walk.kind() != Kind::Array {
        return List::of(!is_empty(walk.value()));
    }
    let (mut any, mut some) = (false, false);
    walk.items(&mut |walk| {
        any |= walk.kind() != Kind::Null;
        some |= !matches!(walk.kind(), Kind::Null | Kind::Object);
        some |= says(walk);
    });
    List::of_items(any, some)
}

/// The output of a response; of other endpoints it may be a text or an object.
pub(super) fn output(walk: &mut Walk<'_>, short: &mut Shortfall) -> List {
    list(walk, &mut |walk| {
        // Of a message its content counts, and of any other item that it is there.
        let (mut message, mut typed, mut says, mut more) = (false, false, false, false);
        walk.fields(&mut |key, walk| match key.as_ref() {
            "content" if walk.kind() == Kind::Array => walk.items(&mut |walk| {
                let part = part(walk);
                short.refused |= part.refusal;
                says |= part.says;
            }),
            "content" => says |= says_value(walk.value()),
            // A message that is not whole, whatever the response says of itself.
            "status" => {
                let incomplete = walk.value() == "\"incomplete\"";
                short.cut_off |= incomplete;
                says |= incomplete;
            }
            "type" => {
                let value = walk.value();
                message = value == "\"message\"";
                typed = !message && Kind::of(value) == Kind::String;
            }
            "id" | "role" => {}
            _ => more |= !is_empty(walk.value()),
        });
        says || typed || (more && !message)
    })
}

/// A part of a content.
struct Part {
    refusal: bool,
    /// It holds a text, even an empty one, or something else than marks.
    says: bool,
}

fn part(walk: &mut Walk<'_>) -> Part {
    let mut part = Part { refusal: false, says: !matches!(walk.kind(), Kind::Null | Kind::Object) };
    walk.fields(&mut |key, walk| {
        let value = walk.value();
        match key.as_ref() {
            "type" => part.refusal |= value == "\"refusal\"",
            "id" | "index" | "annotations" | "logprobs" => {}
            _ => part.says |= says_value(value),
        }
    });
    part
}

/// Whether a value is a text, even an empty one, or holds something.
fn says_value(value: &str) -> bool {
    Kind::of(value) == Kind::String || !is_empty(value)
}

/// The embeddings, images or other objects of a list. Each embedding is to be there: a list with a gap is no answer to
/// the texts that were given.
pub(super) fn data(walk: &mut Walk<'_>) -> List {
    let mut gap = false;
    let found = list(walk, &mut |walk| {
        let (mut some, mut named, mut embedding) = (false, false, None);
        walk.fields(&mut |key, walk| match key.as_ref() {
            "object" => named = walk.value() == "\"embedding\"",
            "embedding" => embedding = Some(!is_empty(walk.value())),
            "index" | "revised_prompt" => {}
            _ => some |= !is_empty(walk.value()),
        });
        gap |= embedding.map_or(named, |there| !there);
        some || embedding == Some(true)
    });
    if gap && found == List::Some { List::Hollow } else { found }
}

/// The results of a moderation, or what else is called so.
pub(super) fn results(walk: &mut Walk<'_>) -> List {
    list(walk, &mut |walk| {
        let mut some = false;
        walk.fields(&mut |_, walk| some |= !is_empty(walk.value()));
        some
    })
}
