//! The blocking operations on batches.

use std::path::PathBuf;

use super::{Each, Wait, WaitAll, driver::Driver, mirror::mirror};
use crate as lote;
use crate::{Batch, BatchId, Error, FileId, Outcomes, Page, Tolerance, options};

/// The operations on batches. See [`Client::batches`](super::Client::batches).
#[derive(Clone)]
pub struct Batches {
    driver: Driver,
    inner: crate::Batches,
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl Batches {
    pub(super) fn new(driver: Driver, inner: crate::Batches) -> Self {
        Self { driver, inner }
    }

    /// A new batch over an uploaded input file, all of whose lines are for `endpoint`: see
    /// [`lote::Batches::create`](crate::Batches::create).
    pub fn create(&self, input: &FileId, endpoint: impl Into<String>) -> CreateBatch {
        CreateBatch { driver: self.driver.clone(), inner: self.inner.create(input, endpoint) }
    }

    /// The batch as it stands now.
    ///
    /// # Errors
    /// Those of [`lote::Batches::get`](crate::Batches::get).
    pub fn get(&self, id: &BatchId) -> Result<Batch, Error> {
        self.driver.run(self.inner.get(id))?
    }

    /// The outcomes of a batch that is over, one for each request line of `requests`, the file that was uploaded for it.
    pub fn outcomes(&self, batch: &Batch, requests: impl Into<PathBuf>) -> FetchOutcomes {
        FetchOutcomes { driver: self.driver.clone(), inner: self.inner.outcomes(batch, requests) }
    }

    /// Asks that no further line be started. The batch is then `cancelling`, and `cancelled` a while later.
    ///
    /// # Errors
    /// Those of [`lote::Batches::cancel`](crate::Batches::cancel).
    pub fn cancel(&self, id: &BatchId) -> Result<Batch, Error> {
        self.driver.run(self.inner.cancel(id))?
    }

    /// The batches of the caller, a page at a time or one after another.
    pub fn list(&self) -> ListBatches {
        ListBatches { driver: self.driver.clone(), inner: self.inner.list() }
    }

    /// Waits until a batch is over.
    pub fn wait<'a>(&self, id: &BatchId) -> Wait<'a> {
        Wait::new(self.driver.clone(), self.inner.wait(id))
    }

    /// Waits until each of many batches is over, paging the list rather than asking for each.
    pub fn wait_all<'a>(&self, ids: impl IntoIterator<Item = BatchId>) -> WaitAll<'a> {
        WaitAll::new(self.driver.clone(), &self.inner, ids)
    }
}

mirror! {
    /// A batch to be created. See [`Batches::create`].
    #[derive(Clone)]
    #[must_use = "nothing is created until it is sent"]
    CreateBatch of lote {}
}

options::held!(CreateBatch, inner, options);

impl CreateBatch {
    /// Creates the batch.
    ///
    /// # Errors
    /// Those of [`lote::CreateBatch::send`](crate::CreateBatch::send); ask [`is_ambiguous`](Error::is_ambiguous) before
    /// doing it again.
    pub fn send(self) -> Result<Batch, Error> {
        self.driver.run(self.inner.send())?
    }
}

mirror! {
    /// The batches of the caller: `for batch in client.batches().list()`, each a `Result`, page after page as they are
    /// taken. Ends with an error, not a loop, when a service starts again. See [`Batches::list`].
    #[derive(Clone)]
    #[must_use = "nothing is asked until a page is, or the first batch"]
    ListBatches of lote {
        fn after(id: &BatchId);
        fn limit(limit: i64);
    }
}

impl ListBatches {
    /// One page.
    ///
    /// # Errors
    /// Those of [`lote::ListBatches::page`](crate::ListBatches::page).
    pub fn page(self) -> Result<Page<Batch>, Error> {
        self.driver.run(self.inner.page())?
    }
}

impl IntoIterator for ListBatches {
    type Item = Result<Batch, Error>;
    type IntoIter = Each<'static, Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        Each::new(self.driver, self.inner.stream(), Err)
    }
}

mirror! {
    /// The outcomes of a batch that is over, to be fetched. See [`Batches::outcomes`].
    #[must_use = "nothing is fetched until .fetch() is called"]
    FetchOutcomes of lote {
        fn folder(folder: impl Into<PathBuf>);
        fn tolerance(tolerance: Tolerance);
        fn on_trouble(call: impl Fn(&Error) + Send + Sync + 'static);
    }
}

impl FetchOutcomes {
    /// Fetches the output and the error file, as far as there are any, and joins them with the request lines.
    ///
    /// # Errors
    /// Those of [`lote::FetchOutcomes::fetch`](crate::FetchOutcomes::fetch).
    pub fn fetch(self) -> Result<Outcomes, Error> {
        self.driver.run(self.inner.fetch())?
    }
}
