//! A plan without a run: what the shards of a run would be, with nothing written and nothing sent.

use std::{collections::BTreeMap, io, num::NonZeroU64, path::PathBuf};

use serde::Serialize;

use super::{
    Cut, EqualLines, PlanError, ShardPlan, Shards, Taken,
    quote::{Manner, Quote, Quoting},
};
use crate::{
    Dialect,
    lines::{CheckOptions, Checked, CheckedLine, Limits},
    prices::{Cost, Prices},
    run::{
        Partition,
        caps::{Caps, Committed},
    },
};

/// What [`plan()`] goes by.
#[derive(Clone, Debug, Default)]
#[must_use = "these are options of `plan`"]
pub struct PlanOptions {
    dialect: Option<Dialect>,
    endpoint: Option<String>,
    limit: Option<NonZeroU64>,
    partition: Option<Partition>,
    shard_lines: Option<NonZeroU64>,
    shard_bytes: Option<NonZeroU64>,
    prices: Option<Prices>,
    caps: Caps,
    counts: bool,
    dedupe: bool,
}

impl PlanOptions {
    /// OpenAI's limits, and every endpoint that is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// The service that the lines are for, with its limits and endpoints.
    pub fn dialect(mut self, dialect: &Dialect) -> Self {
        self.dialect = Some(dialect.clone());
        self
    }

    /// The endpoint that every line must be for. Without one, lines of several endpoints go into several shards.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// Reads only the first so many request lines.
    pub fn limit(mut self, lines: NonZeroU64) -> Self {
        self.limit = Some(lines);
        self
    }

    /// Only one part of the lines, of the first ones if there is a limit. All of them are read and checked.
    pub fn partition(mut self, part: Partition) -> Self {
        self.partition = Some(part);
        self
    }

    /// Whether lines that equal an earlier one in all but their custom_id are in no shard: see
    /// [`Run::dedupe`](crate::run::Run::dedupe).
    pub fn dedupe(mut self, dedupe: bool) -> Self {
        self.dedupe = dedupe;
        self
    }

    /// How many request lines a shard may have, in place of what the dialect says.
    pub fn shard_lines(mut self, lines: NonZeroU64) -> Self {
        self.shard_lines = Some(lines);
        self
    }

    /// How many bytes a shard may have, in place of what the dialect says.
    pub fn shard_bytes(mut self, bytes: NonZeroU64) -> Self {
        self.shard_bytes = Some(bytes);
        self
    }

    /// Says by these prices what the lines will cost, as [`Plan::quote`]. Without them nothing is computed.
    ///
    /// ```
    /// use lote::{prices::Prices, run::{PlanOptions, plan}};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// let requests = folder.path().join("requests.jsonl");
    /// let line = |id| format!("{{\"custom_id\":\"{id}\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\
    ///                          \"body\":{{\"model\":\"gpt-4.1-mini\",\"max_completion_tokens\":1000,\
    ///                          \"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}]}}}}\n");
    /// std::fs::write(&requests, (1..=500).map(line).collect::<String>())?;
    /// let plan = plan([requests], &PlanOptions::new().prices(Prices::built_in()))?;
    /// let quote = plan.quote.expect("prices were given");
    /// assert_eq!(quote.input.to_string(), "$0.0043"); // about
    /// assert_eq!(quote.output_at_most.to_string(), "$0.40");
    /// assert_eq!((quote.unlimited_lines, quote.unpriced_lines), (0, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn prices(mut self, prices: Prices) -> Self {
        self.prices = Some(prices);
        self
    }

    /// Whether the tokens of the lines are counted for the [quote](Plan::quote), by the vocabularies of the models that are
    /// known, where the feature `tokens` is on; of others a token is taken for each four bytes. It takes about ten times as long
    /// as the check alone.
    pub fn count_tokens(mut self, count: bool) -> Self {
        self.counts = count;
        self
    }

    /// The most that a run may cost, as [`Run::max_cost`](crate::run::Run::max_cost): [`Plan::refused`] says whether it may
    /// cost more. It wants [`prices`](Self::prices).
    pub fn max_cost(mut self, cost: Cost) -> Self {
        self.caps.max_cost = Some(cost);
        self
    }

    /// The most tokens that a run may use, as [`Run::max_run_tokens`](crate::run::Run::max_run_tokens): [`Plan::refused`] says
    /// whether it may use more.
    pub fn max_run_tokens(mut self, tokens: u64) -> Self {
        self.caps.max_tokens = Some(tokens);
        self
    }

    /// What the answer to a line that sets no limit is taken to have, for the [quote](Plan::quote). It is an assumption, and
    /// none that holds anybody.
    pub fn assume_output_tokens(mut self, tokens: u64) -> Self {
        self.caps.assumed = Some(tokens);
        self
    }
}

/// The shards that a run of some files would have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The part of the input that it is of, if it is not of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// The shards by number, each one batch.
    pub shards: Vec<ShardPlan>,
    /// Request lines in all, those that are in no shard among them.
    pub lines: u64,
    /// Bytes of the canonical lines, each with its LF.
    pub bytes: u64,
    /// How many request lines ask for each model.
    pub models: BTreeMap<String, u64>,
    /// SHA-256 of the canonical lines in the order of the files, each with its LF, in lower-case hex.
    pub sha256: String,
    /// The lines that equal earlier ones and are in no shard, where equal ones are to be sent
    /// [once](PlanOptions::dedupe).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deduplicated: Option<EqualLines>,
    /// What the lines will cost, when [prices](PlanOptions::prices) were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<Quote>,
    /// Why a run of them would be refused that may cost or use no more than was said; none when it would not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// Checks files of request lines and says which shards a run of them would have. Nothing is sent, and nothing stays
/// written: more than 229,376 lines make temporary files, of 24 bytes a line. Blocks until the files are read.
///
/// ```
/// use lote::run::{PlanOptions, plan};
///
/// # let folder = tempfile::tempdir()?;
/// let requests = folder.path().join("requests.jsonl");
/// let line = |id| format!("{{\"custom_id\":\"{id}\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\
///                          \"body\":{{\"model\":\"m\",\"input\":\"x\"}}}}\n");
/// std::fs::write(&requests, (1..=5).map(line).collect::<String>())?;
/// let plan = plan([requests], &PlanOptions::new().shard_lines(2.try_into()?))?;
/// let lines: Vec<_> = plan.shards.iter().map(|shard| shard.lines).collect();
/// assert_eq!(lines, [2, 2, 1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the lines are not fit to be sent, or a file cannot be read.
pub fn plan(sources: impl IntoIterator<Item = impl Into<PathBuf>>, options: &PlanOptions) -> Result<Plan, PlanError> {
    let PlanOptions { dialect, endpoint, limit, partition, shard_lines, shard_bytes, prices, caps, counts, dedupe } =
        options;
    let sources: Vec<PathBuf> = sources.into_iter().map(Into::into).collect();
    let check = dialect.as_ref().map_or_else(CheckOptions::default, Dialect::check_options);
    let limits = Limits {
        max_lines: shard_lines.map_or(check.limits.max_lines, NonZeroU64::get),
        max_bytes: shard_bytes.map_or(check.limits.max_bytes, NonZeroU64::get),
    };
    let check = CheckOptions { endpoint: endpoint.clone(), limits, ..check };
    let taken = Taken { limit: limit.map(NonZeroU64::get), partition: *partition, dedupe: *dedupe };
    let spill = std::env::temp_dir();
    let manner = Manner { counts: *counts || caps.manner().counts, ..caps.manner() };
    // Tokens are bounded without a price.
    let wanted = prices.clone().or_else(|| (!caps.is_none()).then(Prices::default));
    let mut summed = Summed { quoting: wanted.map(|prices| Quoting::new(prices, manner)) };
    let planned =
        super::plan(&sources, &check, &Cut::of(&check), taken, &spill, &mut summed, &mut io::sink(), &|| true)?;
    let Checked { lines, bytes, models, sha256, .. } = planned.checked;
    let quote = summed.quoting.map(Quoting::finish);
    let refused = quote.as_ref().and_then(|quote| caps.refuse(quote, Committed::default()));
    let quote = quote.filter(|_| prices.is_some());
    let deduplicated = dedupe.then_some(planned.copies);
    let (partition, shards) = (*partition, planned.shards);
    Ok(Plan { partition, shards, lines, bytes, models, sha256, deduplicated, quote, refused })
}

/// Drops the lines.
pub(in crate::run) struct Dropped;

impl Shards for Dropped {
    type Out = io::Sink;

    fn begin(&mut self, _: u32) -> io::Result<io::Sink> {
        Ok(io::sink())
    }

    fn finish(&mut self, _: u32, _: io::Sink, _: &str) -> io::Result<()> {
        Ok(())
    }
}

/// Drops the lines when what they cost was summed up, if that is wanted.
struct Summed {
    quoting: Option<Quoting>,
}

impl Shards for Summed {
    type Out = io::Sink;

    fn put(&mut self, number: u32, line: &CheckedLine<'_>) {
        if let Some(quoting) = &mut self.quoting {
            quoting.line(number, line);
        }
    }

    fn begin(&mut self, number: u32) -> io::Result<io::Sink> {
        Dropped.begin(number)
    }

    fn finish(&mut self, number: u32, out: io::Sink, sha256: &str) -> io::Result<()> {
        Dropped.finish(number, out, sha256)
    }
}
