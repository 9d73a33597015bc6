//! The guide: a page for each thing that people come for, with code that runs.
//!
//! [first_batch]: crate::guide::first_batch
//! [structured_outputs]: crate::guide::structured_outputs
//! [embeddings]: crate::guide::embeddings
//! [waiting]: crate::guide::waiting
//! [runs]: crate::guide::runs
//! [rescue]: crate::guide::rescue
//! [parts]: crate::guide::parts
//! [tables]: crate::guide::tables
//! [cost]: crate::guide::cost
//! [errors]: crate::guide::errors
//! [multi_user_servers]: crate::guide::multi_user_servers
//! [testing]: crate::guide::testing
//! [python]: crate::guide::python
//! [moving]: crate::guide::moving
//!
#![doc = include_str!("../guide/README.md")]

// The pages are those of docs/guide in the repository, linked into this crate so that they are packaged with it. All
// their code is held against examples that CI runs, so this module is not there where rustdoc would run it once more.

/// A page, followed by where its things are in the reference. Links between pages, which are between files in the
/// repository, lead to modules here: of two definitions of a link the first counts.
macro_rules! page {
    ($(#[doc = $reference:literal])* $name:ident) => {
        #[doc = "[first_batch]: crate::guide::first_batch"]
        #[doc = "[structured_outputs]: crate::guide::structured_outputs"]
        #[doc = "[waiting]: crate::guide::waiting"]
        #[doc = "[runs]: crate::guide::runs"]
        #[doc = "[rescue]: crate::guide::rescue"]
        #[doc = "[parts]: crate::guide::parts"]
        #[doc = "[cost]: crate::guide::cost"]
        #[doc = "[errors]: crate::guide::errors"]
        #[doc = "[multi_user_servers]: crate::guide::multi_user_servers"]
        #[doc = "[testing]: crate::guide::testing"]
        #[doc = "[tables]: crate::guide::tables"]
        #[doc = "[python]: crate::guide::python"]
        #[doc = ""]
        #[doc = include_str!(concat!("../guide/", stringify!($name), ".md"))]
        #[doc = "# In the reference"]
        #[doc = ""]
        $(#[doc = $reference])*
        pub mod $name {}
    };
}

page! {
    /// [`Client::from_env`](crate::Client::from_env), [`request`](crate::request), [`Run`](crate::run::Run),
    /// [`RunError`](crate::run::RunError), [`Outcome`](crate::Outcome).
    first_batch
}

page! {
    /// [`ChatCompletion::json_output`](crate::request::ChatCompletion::json_output),
    /// [`ModelResponse::json_output`](crate::request::ModelResponse::json_output),
    /// [`Outcome::json`](crate::Outcome::json), [`OutcomeError`](crate::OutcomeError).
    structured_outputs
}

page! {
    /// [`Embeddings`](crate::request::Embeddings), [`CustomId`](crate::request::CustomId),
    /// [`Files::upload`](crate::Files::upload), [`Batches::create`](crate::Batches::create),
    /// [`Batches::outcomes`](crate::Batches::outcomes), [`Outcome::embeddings`](crate::Outcome::embeddings).
    embeddings
}

page! {
    /// [`Wait`](crate::Wait), [`WaitAll`](crate::WaitAll), [`Cadence`](crate::Cadence), [`Tolerance`](crate::Tolerance),
    /// [`Waited`](crate::Waited), [`WaitError`](crate::WaitError), [`NotCompleted`](crate::NotCompleted),
    /// [`Look`](crate::Look); with its feature, the module `webhook`.
    waiting
}

page! {
    /// [`Run`](crate::run::Run), [`run::status`](crate::run::status()), [`run::list`](crate::run::list),
    /// [`run::plan`](crate::run::plan()), [`run::clean`](crate::run::clean()),
    /// [`RunStatus`](crate::run::RunStatus), [`Repair`](crate::run::Repair),
    /// [`RunError`](crate::run::RunError), [`RunEvent`](crate::run::RunEvent), [`run::outcomes`](crate::run::outcomes()).
    runs
}

page! {
    /// [`Run::synchronous`](crate::run::Run::synchronous), [`Run::rescue_before`](crate::run::Run::rescue_before),
    /// [`Run::rescue_anyway`](crate::run::Run::rescue_anyway), [`Pace`](crate::run::Pace),
    /// [`SynchronousLines`](crate::run::SynchronousLines),
    /// [`Dialect::cancel_delivers`](crate::Dialect::cancel_delivers).
    rescue
}

page! {
    /// [`Partition`](crate::run::Partition), [`Run::partition`](crate::run::Run::partition),
    /// [`run::join_parts`](crate::run::join_parts), [`PlanOptions`](crate::run::PlanOptions).
    parts
}

page! {
    /// [`Outcomes`](crate::Outcomes), [`Outcome`](crate::Outcome), which the rows of a table are made of.
    tables
}

page! {
    /// [`Prices`](crate::prices::Prices), [`Price`](crate::prices::Price), [`Cost`](crate::prices::Cost),
    /// [`PlanOptions::prices`](crate::run::PlanOptions::prices), [`Quote`](crate::run::Quote).
    cost
}

page! {
    /// [`Error`](crate::Error), [`Retry`](crate::Retry), [`OutcomeKind`](crate::OutcomeKind),
    /// [`OutcomeError`](crate::OutcomeError), [`RunError`](crate::run::RunError).
    errors
}

page! {
    /// [`ClientBuilder::on_behalf_of`](crate::ClientBuilder::on_behalf_of), [`Dialect`](crate::Dialect).
    multi_user_servers
}

page! {
    /// The gateway is a crate of its own, `lote-gateway`.
    testing
}

page! {
    /// What the package drives is [`Run`](crate::run::Run).
    python
}

page! {
    /// [`Client`](crate::Client), [`RequestFile`](crate::request::RequestFile), [`Batches`](crate::Batches),
    /// [`Files`](crate::Files), [`Outcomes`](crate::Outcomes).
    moving
}
