//! The operations on batches, but for waiting (see `wait`).

use std::path::PathBuf;

use futures_util::Stream;
use lote_client::types as wire;

use crate::{
    Batch, BatchId, BatchOptions, Client, Error, FetchOutcomes, FileId, Page, Wait, WaitAll, bound,
    call::{decode, map_error},
    options,
    page::{self, WirePage},
    policy::Try,
};

/// The operations on batches. See [`Client::batches`].
#[derive(Clone, Debug)]
pub struct Batches {
    client: Client,
}

impl Batches {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// A new batch over an uploaded input file, all of whose lines are for `endpoint`: an [`Endpoint`], or the path of
    /// another that the dialect [declares](crate::Dialect::endpoints), such as Groq's `/v1/audio/transcriptions`. What
    /// the dialect does not declare is refused when it is sent.
    ///
    /// A create that fails with an error that [`is_ambiguous`](Error::is_ambiguous) may have made a batch: look for it
    /// before sending another.
    ///
    /// [`Endpoint`]: crate::Endpoint
    pub fn create(&self, input: &FileId, endpoint: impl Into<String>) -> CreateBatch {
        CreateBatch {
            client: self.client.clone(),
            input: input.clone(),
            endpoint: endpoint.into(),
            options: BatchOptions::new(),
        }
    }

    /// The batch as it stands now.
    ///
    /// # Errors
    /// One that [`is_not_found`](Error::is_not_found) when there is none, or it is somebody else's; some services need a
    /// moment after the create.
    pub async fn get(&self, id: &BatchId) -> Result<Batch, Error> {
        self.client.shared().retried(|_| self.look(id)).await
    }

    /// Asks once, without retries: a wait asks again by itself.
    pub(crate) async fn look(&self, id: &BatchId) -> Result<Batch, Error> {
        let (shared, doing) = (self.client.shared(), format!("get batch {id}"));
        let answer = map_error(shared, &doing, shared.calls().get_batch(id.as_str()).await).await?;
        decode(shared, &doing, Batch::read("batch", answer.into_inner()))
    }

    /// The outcomes of a batch that is over, one for each request line of `requests`, the file that was uploaded for it.
    ///
    /// ```
    /// # async fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
    /// use lote::{Endpoint, UploadPurpose, request::{Embeddings, RequestFile}};
    ///
    /// # let client = lote::Client::builder().base_url(gateway.url()).api_key("mk-…").build()?;
    /// # let folder = tempfile::tempdir()?;
    /// # let requests = folder.path().join("requests.jsonl");
    /// let embed = Embeddings::new("auto").input("some words").dimensions(8);
    /// let mut file = RequestFile::create(&requests)?;
    /// file.push(&embed.line("a")?)?;
    /// file.finish()?;
    ///
    /// let upload = client.files().upload(&requests, UploadPurpose::Batch);
    /// let input = upload.send().await?;
    /// let create = client.batches().create(&input.id, Endpoint::Embeddings);
    /// let batch = create.send().await?;
    /// let batch = client.batches().wait(&batch.id).until_over().await.ended()?;
    /// for outcome in client.batches().outcomes(&batch, &requests).fetch().await? {
    ///     let outcome = outcome?;
    ///     println!("{}: {} numbers", outcome.custom_id(), outcome.embedding()?.len());
    /// #   assert_eq!(outcome.embedding()?.len(), 8);
    /// }
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// #     let gateway = lote_gateway::Gateway::builder().start().await.unwrap();
    /// #     example(&gateway).await.unwrap();
    /// # });
    /// ```
    pub fn outcomes(&self, batch: &Batch, requests: impl Into<PathBuf>) -> FetchOutcomes {
        FetchOutcomes::new(self.client.clone(), batch.clone(), requests.into())
    }

    /// Asks that no further line be started. The batch is then `cancelling`, and `cancelled` a while later.
    ///
    /// # Errors
    /// One that [`is_conflict`](Error::is_conflict) when it is already over.
    pub async fn cancel(&self, id: &BatchId) -> Result<Batch, Error> {
        let (shared, doing) = (self.client.shared(), format!("cancel batch {id}"));
        let (shared, doing) = (&shared, doing.as_str());
        let cancel = |this: Try| async move {
            let answer = match map_error(shared, doing, shared.calls().cancel_batch(id.as_str()).await).await {
                // An earlier try may have cancelled it, with its answer lost: then this conflict is no error.
                Err(error) if this.maybe_done && error.is_conflict() => {
                    let batch = self.look(id).await?;
                    return if batch.cancelling_at.is_some() { Ok(batch) } else { Err(error) };
                }
                answer => answer?,
            };
            decode(shared, doing, Batch::read("batch", answer.into_inner()))
        };
        // A conflict says that the batch is over, which no later try changes.
        shared.retried_but_conflicts(cancel).await
    }

    /// The batches of the caller, a page at a time or all of them.
    pub fn list(&self) -> ListBatches {
        ListBatches { client: self.client.clone(), after: None, limit: None }
    }

    /// Waits until a batch is over.
    pub fn wait<'a>(&self, id: &BatchId) -> Wait<'a> {
        Wait::new(self.client.clone(), id.clone())
    }

    /// Waits until each of many batches is over, paging the list rather than asking for each.
    pub fn wait_all<'a>(&self, ids: impl IntoIterator<Item = BatchId>) -> WaitAll<'a> {
        WaitAll::new(self.client.clone(), ids)
    }
}

/// A batch to be created. See [`Batches::create`].
#[derive(Clone, Debug)]
#[must_use = "nothing is created until it is sent"]
pub struct CreateBatch {
    client: Client,
    input: FileId,
    endpoint: String,
    pub(crate) options: BatchOptions,
}

options::held!(CreateBatch, options);

impl CreateBatch {
    /// Creates the batch. Where the dialect honours idempotency keys it is tried again like any other call; else it is
    /// never sent twice, and tried again only when no connection could be made.
    ///
    /// # Errors
    /// See [`Error`]; ask [`is_ambiguous`](Error::is_ambiguous) before doing it again. One that
    /// [`is_invalid`](Error::is_invalid) when the dialect does not offer what is asked; nothing was sent then.
    pub async fn send(self) -> Result<Batch, Error> {
        let Self { client, input, endpoint, options } = self;
        let shared = client.shared();
        let doing = format!("create a batch over {input}");
        let created = shared.dialect().create(&input, &endpoint, options);
        let (headers, body) = created.map_err(|error| error.context(&doing))?;
        let calls = shared.calls().with(headers);
        let (body, at, calls) = (&body, doing.as_str(), &calls);
        let create = |_| async move { map_error(shared, at, calls.create_batch(body).await).await };
        let answer = match client.dialect().honours_idempotency_keys() {
            true => shared.retried_but_conflicts(create).await,
            false => shared.retried_unsent(create).await,
        };
        let answer = answer?.into_inner();
        // Keep the id even if the rest of the answer cannot be read: the batch exists and is paid for.
        let id = answer.id.as_ref().and_then(|id| BatchId::new(id.as_str()?).ok());
        decode(shared, &doing, Batch::read("batch", answer)).map_err(|error| error.about(id))
    }
}

/// The batches of the caller. See [`Batches::list`].
#[derive(Clone, Debug)]
#[must_use = "nothing is asked until a page or the stream is"]
pub struct ListBatches {
    client: Client,
    after: Option<String>,
    limit: Option<i64>,
}

impl ListBatches {
    /// Only batches after this one, in the service's order.
    pub fn after(mut self, id: &BatchId) -> Self {
        self.after = Some(id.as_str().to_owned());
        self
    }

    /// How many a page holds at the most: 1 to 100, checked when it is sent. The services' default is 20.
    pub fn limit(mut self, limit: i64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// One page.
    ///
    /// # Errors
    /// One that [`is_out_of_range`](Error::is_out_of_range) when the limit is not in its [range](bound::BATCH_PAGE), and
    /// nothing was asked; else those of the call: see [`Error`].
    pub async fn page(self) -> Result<Page<Batch>, Error> {
        let Self { client, after, limit } = self;
        let limit = limit.map(|limit| bound::BATCH_PAGE.check("limit", limit)).transpose()?;
        let (shared, after) = (client.shared(), after.as_deref());
        let list =
            |_| async move { map_error(shared, "list batches", shared.calls().list_batches(after, limit).await).await };
        let answer = shared.retried(list).await?;
        let wire::BatchList { object: _, data, first_id, last_id, has_more, extra: _ } = answer.into_inner();
        decode(shared, "list batches", Page::read(WirePage { data, first_id, last_id, has_more }, Batch::read))
    }

    /// All of them, page after page as they are taken. Ends with an error, not a loop, when a service starts again, and
    /// with that of the first page that fails.
    pub fn stream(self) -> impl Stream<Item = Result<Batch, Error>> + Send + use<> {
        let Self { client, after, limit } = self;
        // The largest pages unless told otherwise: fewer calls.
        let limit = limit.or(Some(bound::BATCH_PAGE.max));
        let fetch = move |after| ListBatches { client: client.clone(), after, limit }.page();
        page::pages(fetch, after, |batch: &Batch| batch.id.as_str())
    }
}
