//! The client without `async`, for scripts and threads: the calls of [`lote::Client`](crate::Client), which does the
//! work.
//!
//! ```
//! # fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
//! use lote::{Client, Endpoint, UploadPurpose};
//!
//! # let (url, file) = (gateway.url(), tempfile::NamedTempFile::new()?);
//! # std::fs::write(&file, "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"1 + 1?\"}]}}\n")?;
//! # let requests = file.path();
//! let builder = Client::builder().base_url(&url).api_key("mk-…");
//! let client = builder.build_blocking()?;
//!
//! let input = client.files().upload(requests, UploadPurpose::Batch).send()?;
//! let create = client.batches().create(&input.id, Endpoint::ChatCompletions);
//! let batch = create.metadata("run", "7").send()?;
//! let batch = client.batches().wait(&batch.id).until_over().ended()?;
//! for outcome in client.batches().outcomes(&batch, requests).fetch()? {
//!     let outcome = outcome?;
//!     println!("{}: {}", outcome.custom_id(), outcome.text()?);
//! }
//! for batch in client.batches().list() {
//!     let batch = batch?;
//!     println!("{}: {}", batch.id, batch.status);
//! #   assert_eq!(batch.status, lote::Status::Completed);
//! }
//! # let folder = tempfile::tempdir()?;
//!
//! // All of it in one call, with a folder that keeps every step.
//! let report = client.run(requests)
//! #   .folder(folder.path().join("run"))
//!     .execute()?;
//! println!("{} of {} succeeded", report.joined.succeeded, report.joined.lines);
//! # assert!(report.all_succeeded());
//! # Ok(())
//! # }
//! # let runtime = tokio::runtime::Runtime::new().unwrap();
//! # let gateway = runtime.block_on(lote_gateway::Gateway::builder().start()).unwrap();
//! # example(&gateway).unwrap();
//! ```
//!
//! # Threads
//! A client has two threads of its own, for its connections. Clones share them, and so does what a client gives, such as
//! a list that is walked; they end with the last of these. Any number of threads may call at once.
//!
//! Callbacks are called on the thread of the call and may call the client themselves. Only those that count the bytes of
//! an upload are called on a thread of the client, where that is an error.
//!
//! # Async code
//! A call from async code would hold up other tasks: it is an [`Error`] that [`is_invalid`](Error::is_invalid), and
//! nothing is sent. Call it inside `tokio::task::spawn_blocking`, or use [`lote::Client`](crate::Client). Making a
//! client and dropping it are fine anywhere.
//!
//! # When a script is stopped
//! A script that ends in the middle of a call, by Ctrl-C or otherwise, loses nothing that the service has: a batch goes
//! on, and can be waited for by its id, or found by its metadata, later. A file is saved whole or not at all; beside it
//! a `.lote-….part` may be left. A run's folder keeps how far it came. To end a wait in order instead, and be told what
//! was last seen, use [`Wait::stop_when`].

mod batches;
mod content;
mod driver;
mod each;
mod files;
mod mirror;
mod reader;
mod run;
mod wait;

use std::{fmt, path::PathBuf};

pub use batches::{Batches, CreateBatch, FetchOutcomes, ListBatches};
pub use content::{Content, ContentReader};
pub use each::Each;
pub use files::{Files, ListFiles, Upload};
pub use run::Run;
pub use wait::{EachWaited, Wait, WaitAll};

use crate::{ClientBuilder, Dialect, DialectChoice, Error};
use driver::Driver;

/// A client of one service with one key. Cheap to clone; clones share their connections and threads.
#[derive(Clone)]
pub struct Client {
    inner: crate::Client,
    driver: Driver,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl ClientBuilder {
    /// As [`build`](Self::build), for scripts: a [`blocking::Client`](Client).
    ///
    /// # Errors
    /// As those of [`build`](Self::build), and one that [`is_io`](Error::is_io) when no thread can be started.
    pub fn build_blocking(self) -> Result<Client, Error> {
        Client::new(self.build()?)
    }
}

impl Client {
    /// Not for everybody: connections that the async client has open answer only while its own runtime runs.
    fn new(client: crate::Client) -> Result<Self, Error> {
        Ok(Self { inner: client, driver: Driver::new()? })
    }

    /// Settings for a client; end with [`build_blocking`](ClientBuilder::build_blocking).
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A client with the settings of the environment: see [`lote::Client::from_env`](crate::Client::from_env).
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when there is no key or a setting cannot be used.
    pub fn from_env() -> Result<Self, Error> {
        Self::new(crate::Client::from_env()?)
    }

    /// The same client on behalf of an end user, over the same connections and threads: see
    /// [`lote::Client::on_behalf_of`](crate::Client::on_behalf_of).
    ///
    /// # Errors
    /// As those of the async one.
    pub fn on_behalf_of(&self, user: &str) -> Result<Self, Error> {
        Ok(Self { inner: self.inner.on_behalf_of(user)?, driver: self.driver.clone() })
    }

    /// The operations on batches.
    pub fn batches(&self) -> Batches {
        Batches::new(self.driver.clone(), self.inner.batches())
    }

    /// The operations on files.
    pub fn files(&self) -> Files {
        Files::new(self.driver.clone(), self.inner.files())
    }

    /// A run of the request lines in `input`, a file: check, upload, create, wait, download, join.
    pub fn run(&self, input: impl Into<PathBuf>) -> Run {
        Run::new(self.driver.clone(), crate::run::Run::new(&self.inner, input))
    }

    /// A run of the request lines in several files, one after another.
    pub fn run_files(&self, inputs: impl IntoIterator<Item = impl Into<PathBuf>>) -> Run {
        Run::new(self.driver.clone(), crate::run::Run::of_files(&self.inner, inputs))
    }

    /// The run that a folder holds, to be gone on with.
    pub fn open_run(&self, folder: impl Into<PathBuf>) -> Run {
        Run::new(self.driver.clone(), crate::run::Run::open(&self.inner, folder))
    }

    /// The base URL with its prefix, without a slash at the end.
    pub fn base_url(&self) -> &str {
        self.inner.base_url()
    }

    /// The dialect that the service is taken to speak.
    pub fn dialect(&self) -> &Dialect {
        self.inner.dialect()
    }

    /// How the dialect was chosen.
    pub fn dialect_choice(&self) -> &DialectChoice {
        self.inner.dialect_choice()
    }
}
