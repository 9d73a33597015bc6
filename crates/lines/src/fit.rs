//! Counts of answers that were held against what was expected of them: how many fit, and what those that do not fall short
//! of, and where. Whether one fits is decided elsewhere. No more than a bounded number of places is kept.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::raw::clip;

/// How many answers that do not fit a [`Fit`] names, the first ones, and how many places, the most frequent first.
pub const MAX_UNFIT: usize = 20;

/// How many places are told apart; the rest is counted together.
const MAX_PLACES: usize = 1_000;
const OTHER: &str = "(other)";

/// How many bytes of a text are kept.
const LONGEST: usize = 300;

/// What an answer falls short of that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnfitKind {
    /// It ends at a limit of tokens.
    CutOff,
    /// The service held content back.
    Filtered,
    /// The model refused.
    Refused,
    /// It has no text, or one that is no JSON.
    NoJson,
    /// It is JSON, but not of the schema.
    Mismatched,
    /// The schema that its line asks for cannot be used, so that nobody knows whether it fits.
    Unusable,
}

impl UnfitKind {
    /// In words, behind a number of answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CutOff => "cut off",
            Self::Filtered => "filtered",
            Self::Refused => "refused",
            Self::NoJson => "no JSON",
            Self::Mismatched => "not of the schema",
            Self::Unusable => "of a schema that cannot be used",
        }
    }
}

impl fmt::Display for UnfitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An answer that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unfit {
    /// The custom_id of its request line.
    pub custom_id: String,
    /// What it falls short of.
    pub kind: UnfitKind,
    /// Where in the answer, as a JSON pointer: `/items/3/price`. Empty is all of it.
    pub path: String,
    /// What the schema wants there, as a JSON pointer into it: `/properties/items/items/properties/price/type`.
    pub schema_path: String,
    /// Why, in words, cut after 300 bytes.
    pub message: String,
}

impl Unfit {
    /// One that falls short as a whole.
    #[must_use]
    pub fn new(kind: UnfitKind, custom_id: &str, message: &str) -> Self {
        Self {
            custom_id: clip(custom_id, LONGEST).into_owned(),
            kind,
            path: String::new(),
            schema_path: String::new(),
            message: clip(message, LONGEST).into_owned(),
        }
    }

    /// One that falls short at a place, each a JSON pointer: in the answer, and in the schema.
    #[must_use]
    pub fn at(mut self, path: &str, schema_path: &str) -> Self {
        self.path = clip(path, LONGEST).into_owned();
        self.schema_path = clip(schema_path, LONGEST).into_owned();
        self
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { custom_id, kind, path, schema_path: _, message } = self;
        write!(f, "{custom_id}: {kind}")?;
        if !path.is_empty() {
            write!(f, ", at {path}")?;
        }
        if message.is_empty() { Ok(()) } else { write!(f, ": {message}") }
    }
}

/// How often answers fall short at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct UnfitPlace {
    /// What they fall short of.
    pub kind: UnfitKind,
    /// Where in the answer, as a JSON pointer with a `*` for the number of an item: `/items/*/price`.
    pub path: String,
    /// What the schema wants there, as a JSON pointer into it.
    pub schema_path: String,
    /// How many answers do so, each counted at the first place that was found.
    pub count: u64,
}

/// How answers that succeeded were held against what was expected of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fit {
    /// What was expected: `requested`, what each line asks for, or the SHA-256 of a schema.
    pub expected: String,
    /// Answers that fit.
    pub fitting: u64,
    /// Answers to lines that ask for no JSON, where what each line asks for was expected.
    pub unasked: u64,
    /// Answers that do not fit, by what they fall short of.
    pub unfit: BTreeMap<UnfitKind, u64>,
    /// The places at which most of them do so, at most [`MAX_UNFIT`].
    pub places: Vec<UnfitPlace>,
    /// The first of them, at most [`MAX_UNFIT`].
    pub first: Vec<Unfit>,
}

impl Fit {
    /// How many answers do not fit.
    #[must_use]
    pub fn unfitting(&self) -> u64 {
        self.unfit.values().sum()
    }
}

/// Counts answers, one by one, into a [`Fit`].
#[derive(Debug, Clone, Default)]
pub struct FitTally {
    fit: Fit,
    places: BTreeMap<(UnfitKind, String, String), u64>,
}

impl FitTally {
    /// Of no answer yet, against this.
    pub fn new(expected: impl Into<String>) -> Self {
        Self { fit: Fit { expected: expected.into(), ..Fit::default() }, ..Self::default() }
    }

    /// Counts an answer that fits.
    pub fn fits(&mut self) {
        self.fit.fitting += 1;
    }

    /// Counts one of which nothing was expected.
    pub fn unasked(&mut self) {
        self.fit.unasked += 1;
    }

    /// Counts one that does not fit.
    pub fn unfit(&mut self, unfit: Unfit) {
        *self.fit.unfit.entry(unfit.kind).or_default() += 1;
        let mut place = (unfit.kind, without_numbers(&unfit.path), unfit.schema_path.clone());
        if self.places.len() >= MAX_PLACES && !self.places.contains_key(&place) {
            place = (unfit.kind, OTHER.to_owned(), String::new());
        }
        *self.places.entry(place).or_default() += 1;
        if self.fit.first.len() < MAX_UNFIT {
            self.fit.first.push(unfit);
        }
    }

    /// What was counted.
    #[must_use]
    pub fn finish(self) -> Fit {
        let mut places: Vec<_> = self.places.into_iter().collect();
        places.sort_by(|(one, count), (other, more)| (Reverse(count), one).cmp(&(Reverse(more), other)));
        let place = |((kind, path, schema_path), count)| UnfitPlace { kind, path, schema_path, count };
        Fit { places: places.into_iter().take(MAX_UNFIT).map(place).collect(), ..self.fit }
    }
}

/// A JSON pointer with a `*` for each number of an item.
fn without_numbers(path: &str) -> String {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    path.split('/').map(|part| if is_number(part) { "*" } else { part }).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mismatched(id: u32, path: &str, schema: &str) -> Unfit {
        Unfit::new(UnfitKind::Mismatched, &format!("row-{id}"), "no").at(path, schema)
    }

    #[test]
    fn places_are_counted_without_the_numbers_of_items() {
        let mut tally = FitTally::new("requested");
        tally.fits();
        tally.unasked();
        for (id, path) in [(1, "/items/3/price"), (2, "/items/12/price"), (3, "/items/x1/price"), (4, "/3")] {
            tally.unfit(mismatched(id, path, "/s"));
        }
        tally.unfit(Unfit::new(UnfitKind::CutOff, "row-5", ""));
        let fit = tally.finish();
        assert_eq!((fit.fitting, fit.unasked, fit.unfitting()), (1, 1, 5));
        assert_eq!(fit.unfit[&UnfitKind::Mismatched], 4);
        let places: Vec<_> = fit.places.iter().map(|place| (place.kind, place.path.as_str(), place.count)).collect();
        let other = UnfitKind::Mismatched;
        assert_eq!(
            places,
            [(other, "/items/*/price", 2), (UnfitKind::CutOff, "", 1), (other, "/*", 1), (other, "/items/x1/price", 1)]
        );
        assert_eq!(fit.first[0].to_string(), "row-1: not of the schema, at /items/3/price: no");
        assert_eq!(fit.first[4].to_string(), "row-5: cut off");
        let json = serde_json::to_value(&fit).unwrap();
        assert_eq!(json["unfit"], serde_json::json!({"cut_off": 1, "mismatched": 4}));
        assert_eq!(serde_json::from_value::<Fit>(json).unwrap(), fit);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut tally = FitTally::new("x".repeat(64));
        let long = "é".repeat(10_000);
        for id in 0..3_000 {
            tally.unfit(mismatched(id, &format!("/p{id}{long}"), &long));
        }
        assert_eq!(tally.places.len(), MAX_PLACES + 1);
        let fit = tally.finish();
        assert_eq!((fit.places.len(), fit.first.len(), fit.unfitting()), (MAX_UNFIT, MAX_UNFIT, 3_000));
        assert_eq!((fit.places[0].path.as_str(), fit.places[0].count), (OTHER, 2_000));
        assert!(serde_json::to_string(&fit).unwrap().len() < 40_000);
    }
}
