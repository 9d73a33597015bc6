//! Owns the generated client and the little that progenitor cannot make (headers, limits, the upload, the rest of a
//! download, a request that is answered at once, the place where an answer is brought to the contract's shape); never
//! retries, never interprets an answer.
//! The crate `lote` is the one to use; it shows this one as `lote::raw`.

mod answer;
mod ask;
mod download;
mod form;
#[rustfmt::skip]
#[allow(
    missing_docs, unreachable_pub, clippy::allow_attributes, clippy::allow_attributes_without_reason,
    clippy::all, clippy::unwrap_used, rust_2018_idioms, rustdoc::all,
    reason = "generated: its lints are the generator's"
)]
mod generated;
mod hooks;
mod upload;

pub use generated::{ByteStream, Client, Error, ResponseValue, types};
pub use hooks::{Answers, Carried, Carrier, Inner, ON_BEHALF_OF};
pub use upload::Upload;
