//! What a user sets of a run.

use std::{
    fmt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{OnProgress, Pace, Partition, Progress, Repair, adopt, caps::Caps, schedule::Bounds, stream::Queue};
use crate::{
    BatchId, BatchOptions, Cadence, Client, Tolerance,
    expect::Expect,
    lines::Limits,
    options,
    prices::{Cost, Prices},
};

/// How long a create whose answer was lost is looked for twice, one after the other, before another is sent.
const SETTLE_AFTER_LOSS: Duration = Duration::from_secs(120);

/// A run to be made, or to be gone on with: check, cut into shards, upload, create, wait, download, join.
///
/// The folder appears when the check has passed, and goes again when the service has refused the first upload. While a run
/// is at work in it, it holds a lock there (`lock`), and never writes to a folder that has taken the place of its own.
/// The same run given again goes on with what the folder holds; one that differs, in its lines, its service or its
/// options, is refused. All that is written may be read only by who may read the input.
///
/// ```
/// # async fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
/// # let client = lote::Client::builder().base_url(gateway.url()).api_key("mk-…").build()?;
/// # let folder = tempfile::tempdir()?;
/// # let requests = folder.path().join("requests.jsonl");
/// # std::fs::write(&requests, "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"1 + 1?\"}]}}\n")?;
/// let report = lote::run::Run::new(&client, &requests).execute().await?;
/// assert_eq!(report.joined.succeeded, report.joined.lines);
/// let tokens = report.joined.usage.total_tokens;
/// println!("{tokens} tokens, in {}", report.results.display());
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// #     let gateway = lote_gateway::Gateway::builder().start().await.unwrap();
/// #     example(&gateway).await.unwrap();
/// # });
/// ```
#[derive(Clone)]
#[must_use = "nothing runs until it is executed"]
pub struct Run {
    pub(super) client: Client,
    /// None of a run that is there, which knows them.
    pub(super) inputs: Option<Vec<PathBuf>>,
    pub(super) folder: Option<PathBuf>,
    /// What is its folder when none was named.
    pub(super) default_folder: Option<PathBuf>,
    /// Whether its folder is the one in which it will be.
    pub(super) is_placed: bool,
    pub(super) output: Option<PathBuf>,
    pub(super) replace_output: bool,
    pub(super) endpoint: Option<String>,
    pub(super) limits: Option<Limits>,
    pub(super) limit: Option<u64>,
    pub(super) partition: Option<Partition>,
    pub(super) dedupe: bool,
    pub(crate) options: BatchOptions,
    pub(super) deadline: Option<Duration>,
    /// Since when that counts, if not since it is executed.
    pub(super) begun: Option<Instant>,
    pub(super) cadence: Cadence,
    pub(super) tolerance: Option<Tolerance>,
    pub(super) bounds: Bounds,
    pub(super) limits_in: Option<PathBuf>,
    pub(super) attempts: u32,
    pub(super) repairs: Repair,
    pub(super) expect: Option<Expect>,
    pub(super) settle_after_loss: Duration,
    pub(super) anew: bool,
    pub(super) clean_remote: bool,
    pub(super) partial: bool,
    /// By which prices it is told what the run costs, if any were named.
    pub(super) prices: Option<Prices>,
    pub(super) caps: Caps,
    pub(super) synchronous: bool,
    pub(super) rescue_before: Option<Duration>,
    pub(super) rescue_anyway: bool,
    pub(super) pace: Pace,
    pub(super) gateway: Option<String>,
    /// What a person has said of shards that were held.
    pub(super) words: Vec<Word>,
    pub(super) on_progress: OnProgress,
    /// Where a reader takes what is told, if one does.
    pub(super) told: Option<Arc<Queue>>,
}

/// What a person has said of a create whose answer was lost.
#[derive(Clone, Debug)]
pub(super) enum Word {
    NoBatch(u32),
    Adopt(u32, BatchId),
}

options::held!(Run, options);

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("client", &self.client).field("inputs", &self.inputs).finish_non_exhaustive()
    }
}

impl Run {
    /// The key of a batch's metadata that holds the hash of its lines: a pair whose key begins with `lote_` cannot be given.
    pub const SHA256: &'static str = adopt::SHA256;

    /// A run of the request lines in `input`, a file; a pipe will do, as it is read once, but cannot be gone on with by
    /// giving the same run again: [open](Self::open) its folder.
    pub fn new(client: &Client, input: impl Into<PathBuf>) -> Self {
        Self::of(client, Some(vec![input.into()]))
    }

    /// A run of the request lines in several files, one after another.
    pub fn of_files(client: &Client, inputs: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self::of(client, Some(inputs.into_iter().map(Into::into).collect()))
    }

    /// The run that a folder holds, to be gone on with. Its lines, endpoint, limits and options are those with which it
    /// was begun: setters of those change nothing.
    pub fn open(client: &Client, folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), ..Self::of(client, None) }
    }

    fn of(client: &Client, inputs: Option<Vec<PathBuf>>) -> Self {
        Self {
            client: client.clone(),
            inputs,
            folder: None,
            default_folder: None,
            is_placed: false,
            output: None,
            replace_output: false,
            endpoint: None,
            limits: None,
            limit: None,
            partition: None,
            dedupe: false,
            options: BatchOptions::new(),
            deadline: None,
            begun: None,
            cadence: Cadence::default(),
            tolerance: None,
            bounds: Bounds { max_open: usize::MAX, max_enqueued_tokens: None, creates_per_hour: None },
            limits_in: None,
            attempts: 1,
            repairs: Repair::new(),
            expect: None,
            settle_after_loss: SETTLE_AFTER_LOSS,
            anew: false,
            clean_remote: false,
            partial: false,
            prices: None,
            caps: Caps::default(),
            synchronous: false,
            rescue_before: None,
            rescue_anyway: false,
            pace: Pace::new(),
            gateway: None,
            words: Vec::new(),
            on_progress: Arc::new(|_| ()),
            told: None,
        }
    }

    /// The folder of the run. The default stands beside the input and is named after it: `requests.run` for
    /// `requests.jsonl`, `requests.2-of-5.run` for a [part](Self::partition) of it.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The folder of a run whose input says nothing by its own place, such as a temporary file, unless one is
    /// [named](Self::folder).
    pub fn default_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.default_folder = Some(folder.into());
        self
    }

    /// Where the results are to be as well; the folder keeps its own copy. A file that is there is refused before
    /// anything is sent, but for an empty one and one that is as this run has written it; see
    /// [`replace_output`](Self::replace_output). A pipe or a device is written to at the end.
    pub fn output(mut self, output: impl Into<PathBuf>) -> Self {
        self.output = Some(output.into());
        self
    }

    /// Whether the [`output`](Self::output) may replace whatever file is there.
    pub fn replace_output(mut self, replace: bool) -> Self {
        self.replace_output = replace;
        self
    }

    /// The endpoint that every line must be for: an [`Endpoint`](crate::Endpoint), or the path of another that the
    /// dialect [declares](crate::Dialect::endpoints). The default is that of each line, with a batch for each.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// How much one batch takes; what is more goes into further batches. The default is what the client's dialect says:
    /// see [`Dialect::limits`](crate::Dialect::limits).
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Only the first lines of the input, for a trial.
    pub fn first_lines(mut self, lines: u64) -> Self {
        self.limit = Some(lines);
        self
    }

    /// Only one part of the lines, of the [first ones](Self::first_lines) if not all are wanted; the folder is named after
    /// it: `requests.2-of-5.run`. All lines are read and checked, so that no two parts have a custom_id in common. A part
    /// without a line is a run of nothing, which finishes at once.
    pub fn partition(mut self, part: Partition) -> Self {
        self.partition = Some(part);
        self
    }

    /// Whether lines that ask for the same are sent once: the first of them, whose outcome each of the others gets under its
    /// own custom_id, also where it failed and is tried again. Equal are lines whose url and body are the same byte for
    /// byte, but for white space between the values; the order of keys counts, since that in a schema is the one in which a
    /// model answers. Tokens are counted once; [`Report::deduplicated`](super::Report::deduplicated) says what was saved.
    ///
    /// Where a model would give several answers to the same question, as at a temperature above 0, there is one: leave this
    /// off where you ask several times on purpose. Lines are equal within one run, so within a [part](Self::partition).
    /// What is told while the run goes on, shard by shard, is told of the lines that are sent.
    pub fn dedupe(mut self, dedupe: bool) -> Self {
        self.dedupe = dedupe;
        self
    }

    /// How many batches may be at work at once, at least 1. The default is as many as the service takes: when it says
    /// that there are too many, the run waits for some of its own to end.
    pub fn max_open(mut self, batches: usize) -> Self {
        self.bounds.max_open = batches.max(1);
        self
    }

    /// About how many tokens the prompts at work may have, for each model; one quarter of the bytes of the request lines,
    /// as in [`ShardPlan::tokens`](super::ShardPlan::tokens). A shard that has more by itself is halved, and a line that has more goes alone. The
    /// default is as many as the service takes. Lines that do not have to name one model count together.
    pub fn max_enqueued_tokens(mut self, tokens: u64) -> Self {
        self.bounds.max_enqueued_tokens = Some(tokens.max(1));
        self
    }

    /// How many batches may be created within an hour, by the clock of this machine, at least 1. Those of an earlier
    /// process of the same run count, and those of other runs do not.
    pub fn creates_per_hour(mut self, batches: u32) -> Self {
        self.bounds.creates_per_hour = Some(batches.max(1));
        self
    }

    /// A folder for what the service was seen to take at once, so that the next run of the same account need not be
    /// refused first. There is a file for each account, which counts for a week; one that cannot be read is told and not
    /// used. Without a folder every run learns for itself.
    pub fn keep_limits_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.limits_in = Some(folder.into());
        self
    }

    /// How often lines are tried that do not succeed and can, in all: those that [`repairs`](Self::repairs) says. The default
    /// is 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// Which lines further [`attempts`](Self::attempts) take. The default is [`Repair::new`]: what can well succeed the next
    /// time.
    pub fn repairs(mut self, repairs: Repair) -> Self {
        self.repairs = repairs;
        self
    }

    /// What answers are to be. When the results are put together each answer is held against it, and
    /// [`Joined::fit`](crate::lines::Joined::fit) says how many fit, and what the others fall short of, and where; none is
    /// dropped. Of several answers to a line one that fits is the best. It is no part of what the run is, and may be
    /// another one each time: a run that is finished is looked through once more then, without a call.
    pub fn expect(mut self, expect: Expect) -> Self {
        self.expect = Some(expect);
        self
    }

    /// How long a create whose answer was lost is looked for in the service's list: twice this time passes before another
    /// is sent, and no batch that the list shows later than that is found. The default is 2 minutes.
    pub fn settle_after_loss(mut self, time: Duration) -> Self {
        self.settle_after_loss = time;
        self
    }

    /// How long the run may take in all, from the check to the last download, by the clock that stands still while a machine
    /// sleeps and by the wall clock: the first that gets there counts. What has been begun is dropped then. See
    /// [`RunError`](super::RunError) for what there is by then. Without one, until it is done.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Since when the [deadline](Self::deadline) counts. The default is since the run is executed.
    pub fn begun(mut self, begun: Instant) -> Self {
        self.begun = Some(begun);
        self
    }

    /// How often to look at the batches. The default is [`Cadence::default`].
    pub fn cadence(mut self, cadence: Cadence) -> Self {
        self.cadence = cadence;
        self
    }

    /// Which errors to survive while waiting and while fetching, and for how long to ask again for files that are
    /// [late](Tolerance::late_files). The default is that of a wait, but that a fetch survives five minutes of errors, and
    /// that a service which was reached is waited for as long as no connection can be made.
    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// The service is a gateway inside this process, of this name, which no other has: its batches end with it and are
    /// not paid for, so that a run that broke off sends again what was not settled.
    pub fn embedded(mut self, gateway: impl Into<String>) -> Self {
        self.gateway = Some(gateway.into());
        self
    }

    /// Makes batches of these lines although a run whose folder is lost has made some within a day: see
    /// [`RunError::is_twin`](super::RunError::is_twin). When a finished run is in the folder, another one begins beside
    /// it: see [`placed`](Self::placed). One that is not finished is gone on with.
    pub fn anew(mut self, anew: bool) -> Self {
        self.anew = anew;
        self
    }

    /// Once the run is finished, deletes what it has put at the service, as [`delete_remote`](Self::delete_remote) does. A
    /// file that cannot be deleted is told, and makes no finished run fail.
    pub fn clean_remote(mut self, clean: bool) -> Self {
        self.clean_remote = clean;
        self
    }

    /// When all that is left to do waits for a word of a person, writes the results that there are by then, and also before
    /// a lost create is looked for ([`Progress::Partial`](super::Progress::Partial)). The run is
    /// [held](super::RunError::is_held) all the same, and the error has their [report](super::RunError::report). Lines
    /// without an outcome yet have the `error.code` `held`, or `not_sent` where their batch waits for others to end. They
    /// may have been paid for: they are not in `failed.jsonl`. When the shards are released, all results are written anew.
    pub fn partial(mut self, partial: bool) -> Self {
        self.partial = partial;
        self
    }

    /// By which prices it is told what the run costs, before ([`Report::quote`](super::Report::quote)) and after
    /// ([`Report::invoice`](super::Report::invoice)): a table of one's own, and the built-in ones where they
    /// [hold](Prices::at). The default are the latter. The folder keeps the table, until another is named.
    pub fn prices(mut self, prices: Prices) -> Self {
        self.prices = Some(prices);
        self
    }

    /// The most that the run may cost in all, with all of its attempts: what its answers did cost, and what the lines may
    /// cost that have none yet, as [`Quote`](super::Quote) says it, with tokens counted. What is above that is not sent: the
    /// run is [refused](super::RunError::is_capped), and another attempt is not begun
    /// ([`Progress::Capped`](super::Progress::Capped)). So is one of which nobody can say it, as when the price of a model is
    /// not known, or a line sets no limit on its answer, and any run where the feature `tokens` is off. The folder keeps it, until
    /// another is named.
    pub fn max_cost(mut self, cost: Cost) -> Self {
        self.caps.max_cost = Some(cost);
        self
    }

    /// The most tokens that the run may use in all, read and written, as [`max_cost`](Self::max_cost).
    pub fn max_run_tokens(mut self, tokens: u64) -> Self {
        self.caps.max_tokens = Some(tokens);
        self
    }

    /// What the answer to a line is taken to have that sets no limit, for [`max_cost`](Self::max_cost) and
    /// [`max_run_tokens`](Self::max_run_tokens). It is an assumption: nobody holds an answer to it.
    pub fn assume_output_tokens(mut self, tokens: u64) -> Self {
        self.caps.assumed = Some(tokens);
        self
    }

    /// Sends the request lines one by one, each to its endpoint and answered at once, in place of batches: no batch API is
    /// needed, and nothing of one is called. The folder, the results and all that is said of lines are the same.
    ///
    /// Each answer is kept on disk before the line counts as finished, and no finished line is sent again, whatever ends the
    /// process. What was in flight then is sent again, with the same idempotency key, and told in the report
    /// ([`SynchronousLines::sent_again`](super::SynchronousLines::sent_again)).
    ///
    /// It is no part of what the run is: shards whose batches were begun go on as batches, and the others go this way. A
    /// shard that went this way stays on it, whatever is set later.
    pub fn synchronous(mut self, synchronous: bool) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Rescues what would not be done in time: so long before a batch's window ends, by the service's clock, the batch is
    /// stopped, waited for until it is over, and fetched; the lines that it has left unanswered are sent one by one
    /// ([`pace`](Self::pace)). So are those that a batch has left which expired. No line is sent that may still be answered
    /// by its batch.
    ///
    /// Where stopping a batch does not bring what it has finished ([`Dialect::cancel_delivers`](crate::Dialect::cancel_delivers)),
    /// its end is waited for. One that does not come to its end although its window is over holds its shard: see
    /// [`rescue_anyway`](Self::rescue_anyway). Once it was decided for a shard, it is done by every process that goes on.
    pub fn rescue_before(mut self, time: Duration) -> Self {
        self.rescue_before = Some(time);
        self
    }

    /// Sends the lines of a rescued batch one by one although it has not ended when its window is over: all of them, of
    /// which it may have answered some, or answer them later, and may charge all. The batch is
    /// [given up](super::Report::given_up).
    pub fn rescue_anyway(mut self, anyway: bool) -> Self {
        self.rescue_anyway = anyway;
        self
    }

    /// How fast lines are sent that are sent one by one. The default is [`Pace::new`].
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// A person has made sure that the lost create of a shard that was [held](super::RunError::held) has made no batch: it
    /// is created again. Of a held shard whose batch is known, but not at the service any more or without its files, this
    /// gives up that batch ([`GivenUpBatch`](super::GivenUpBatch)), and buys the lines again.
    pub fn no_batch(mut self, shard: u32) -> Self {
        self.words.push(Word::NoBatch(shard));
        self
    }

    /// A person has found the batch of a shard that was [held](super::RunError::held), or takes that of another run over
    /// the same lines, whose folder is lost, for this run's own. One that the service does not know, or that cannot be of
    /// these lines, is refused ([`is_place`](super::RunError::is_place)) before it is written down.
    pub fn adopt(mut self, shard: u32, batch: BatchId) -> Self {
        self.words.push(Word::Adopt(shard, batch));
        self
    }

    /// Called with every step, and often while bytes move.
    pub fn on_progress(mut self, call: impl Fn(Progress<'_>) + Send + Sync + 'static) -> Self {
        self.on_progress = Arc::new(call);
        self
    }

    /// The folder that the run will have.
    pub fn folder_path(&self) -> PathBuf {
        let ending = || self.partition.map_or_else(|| "run".to_owned(), |part| format!("{}.run", part.in_names()));
        let beside = || match self.inputs.as_deref() {
            Some([first, ..]) => first.with_extension(ending()),
            _ => PathBuf::from("requests").with_extension(ending()),
        };
        self.folder.clone().or_else(|| self.default_folder.clone()).unwrap_or_else(beside)
    }
}
