//! What all operations share of HTTP: reading a request, framing its answer, bounds on clients that are slow or broken.

mod extract;
mod frame;
mod guard;
mod json;
mod patience;
mod query;
mod struck;
mod unheard;

pub(crate) use extract::{Caller, Id, Kept, RequestId};
pub(crate) use frame::frame;
pub(crate) use guard::StallGuard;
pub(crate) use json::{expect_json, json_object, text};
pub(crate) use query::Params;
pub(crate) use unheard::{Talk, Unheard, refuse};
