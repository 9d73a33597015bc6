//! The JSONL formats of LLM batches: request lines (what is sent) and result lines (what comes
//! back), read, checked, counted and joined as streams.
//!
//! This crate owns the shape of a line. It never opens a connection, never waits, and never holds
//! a file in memory: at most a line, or a few megabytes of them, and what is known of each line in a
//! temporary file when there are very many.
//!
//! - [`RequestLine`] and [`ResultLine`] are the two formats, and own their schemas in the contract
//!   ([`schemas`]).
//! - [`check()`] reads an input file before a byte of it is sent, and reports every finding.
//! - [`CheckMany`] reads files whose lines are to be cut into many batches.
//! - [`Firsts`] finds request lines that ask for the same.
//! - [`Answer`] reads one result line of any service, however it deviates.
//! - [`Inspection`] counts what output and error files say.
//! - [`join()`] puts the answers back into the order of the request lines, one result line for each.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod anomaly;
mod answer;
mod check;
mod error_text;
mod fields;
mod finding;
mod firsts;
mod fit;
mod foreign;
mod groups;
mod ids;
mod index;
mod inspect;
mod join;
mod layout;
mod open;
mod proof;
mod quotes;
mod raw;
mod read_at;
mod reader;
mod request;
mod result;
mod scan;
#[cfg(feature = "schemas")]
mod schema;
mod skip;
mod sorter;
mod spent;
mod sum;
mod tally;
mod tape;
mod temporary;
mod to_json;
mod uniqueness;
mod usage;

/// The example of the README, run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use anomaly::{Anomaly, AnomalyCode, MAX_ANOMALIES, MAX_EXCERPT};
pub use answer::{Answer, OutcomeKind, Shortfall, Unreadable, UnreadableKind, write_error, write_missing};
pub use check::{CheckMany, CheckManyError, CheckOptions, Checked, CheckedLine, CountLines, ENDPOINTS, Limits, check};
pub use finding::{Finding, FindingCode};
pub use firsts::Firsts;
pub use fit::{Fit, FitTally, MAX_UNFIT, Unfit, UnfitKind, UnfitPlace};
pub use foreign::{Foreign, foreign, misplaced_rows};
pub use groups::{FindingGroup, FindingGroups};
pub use ids::CustomIds;
pub use inspect::{Inspected, Inspection};
pub use join::{Join, JoinError, Joined, Named, join};
pub use open::{decompressed, open_lines, open_seekable};
pub use raw::replace_lone_surrogates;
pub use reader::{DEFAULT_MAX_LINE_BYTES, Line, LineReader};
pub use request::{Method, RequestLine};
pub use result::{ResultError, ResultLine, ResultResponse};
#[cfg(feature = "schemas")]
pub use schema::schemas;
pub use spent::{Spending, Spent, SpentOn};
pub use sum::Sum;
pub use tally::{ErrorCount, TOP_ERRORS};
pub use temporary::TemporaryError;
pub use to_json::{NotJson, to_json, to_json_object};
pub use uniqueness::Uniqueness;
pub use usage::Usage;
