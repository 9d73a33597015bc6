//! The page that tells of a run: what it is made of, and how it is written.

mod bill;
mod histogram;
mod next;
mod tally;
mod timeline;
mod words;

use std::io::{self, Write};
use std::path::Path;

use lote::prices::Prices;
use lote::run::{RunHistory, RunPhase, RunStatus};
use lote::{OutcomeKind, UnixSeconds};
use minijinja::Environment;
use minijinja::value::{Serde, Value};
use serde::Serialize;

use self::bill::Bill;
use self::histogram::Shown;
use self::next::Step;
use self::tally::{KINDS, OfError, OfModel, Tally};
use self::timeline::Timeline;
use crate::exit::CliError;
use crate::export::costs::Costs;
use crate::interrupt::Interrupt;
use crate::shell;

/// What every page begins with: by this a file is known to be one of ours.
pub(crate) const BEGINS: &str = "<!doctype html>\n<!-- made by lote report -->\n";

/// How many errors, models, inputs and oddities are listed.
const SHOWN: usize = 20;

/// All that the page shows.
#[derive(Serialize)]
pub(crate) struct Page {
    name: String,
    folder: String,
    run: String,
    state: State,
    /// What is left, of a run that is not finished.
    unfinished: Option<String>,
    /// Why not all of its results are told of.
    unread: Option<String>,
    made: String,
    lote: &'static str,
    lines: String,
    cards: Vec<Card>,
    outcomes: Vec<Ending>,
    /// Of those that succeeded.
    short: Vec<Fact>,
    steps: Vec<Step>,
    errors: Vec<Error>,
    errors_left: usize,
    models: Vec<Model>,
    models_left: usize,
    bill: Option<Bill>,
    input: Option<Shown>,
    output: Option<Shown>,
    timeline: Timeline,
    charged: Vec<String>,
    odd: Vec<String>,
    odd_left: u64,
    inputs: Vec<Fact>,
    inputs_left: usize,
    facts: Vec<Fact>,
}

/// What a run is at.
#[derive(Serialize)]
struct State {
    /// A class of the style.
    class: &'static str,
    words: &'static str,
}

/// A figure at the top.
#[derive(Serialize)]
struct Card {
    what: &'static str,
    figure: String,
    below: String,
}

/// How many lines came to an end.
#[derive(Serialize)]
struct Ending {
    kind: String,
    count: String,
    share: String,
    from: f64,
    width: f64,
}

#[derive(Serialize)]
struct Fact {
    what: String,
    value: String,
}

#[derive(Serialize)]
struct Error {
    kind: String,
    code: String,
    count: String,
    message: String,
    named: String,
}

#[derive(Clone, Serialize)]
struct Model {
    model: String,
    answers: String,
    input: String,
    output: String,
    cost: String,
}

/// What a program is told of the page.
pub(crate) struct Told {
    pub(crate) finished: bool,
    pub(crate) lines: u64,
    pub(crate) without_outcome: u64,
    pub(crate) damaged: u64,
    /// Why not all results were read, if they were not.
    pub(crate) unread: Option<String>,
}

impl Page {
    /// What is known of the run in a folder now. Its results are read once. What they cost is told by these prices; of a run
    /// that is finished its invoice tells more, unless the prices are the user's `own`, named for this page.
    ///
    /// # Errors
    /// With exit 2 when there is no run that can be read.
    pub(crate) fn of(
        folder: &Path,
        prices: Prices,
        by_own: bool,
        interrupt: &Interrupt,
    ) -> Result<(Self, Told), CliError> {
        let failed = |error: lote::run::RunError| CliError::usage(error.to_string());
        let status = lote::run::status(folder).map_err(failed)?;
        let history = lote::run::history(folder).map_err(failed)?;
        let mut tally = Tally::new(Costs::new(prices, status.base_url == "embedded"));
        let (mut undecided, mut unread) = (0, None);
        match lote::run::outcomes(folder) {
            Ok(outcomes) => {
                undecided = outcomes.undecided();
                for outcome in outcomes {
                    interrupt.check()?;
                    match outcome {
                        Ok(outcome) => tally.add(&outcome),
                        Err(error) if error.is_undecodable() => tally.damaged += 1,
                        // What else is known of the run is told all the same.
                        Err(error) => unread = Some(error.to_string()),
                    }
                }
            }
            Err(error) => unread = Some(error.to_string()),
        }
        let (finished, damaged) = (status.phase == RunPhase::Finished, tally.damaged);
        let unread_words = unread.as_deref().map(words::shown);
        let told = Told { finished, lines: status.lines, without_outcome: undecided, damaged, unread };
        Ok((Self { unread: unread_words, ..Self::new(&status, &history, &tally, undecided, by_own) }, told))
    }

    fn new(status: &RunStatus, history: &RunHistory, tally: &Tally, undecided: u64, by_own: bool) -> Self {
        let now = UnixSeconds::now();
        let timeline = Timeline::new(history, status, now);
        let name = status.folder.file_name().unwrap_or(status.folder.as_os_str()).to_string_lossy();
        let errors = tally.errors();
        let bill = status
            .invoice
            .as_deref()
            .filter(|_| !by_own)
            .map(|invoice| Bill::new(invoice, status.quote.as_deref(), SHOWN));
        let mut answered: Vec<(&String, &OfModel)> = tally.models.iter().collect();
        answered.sort_by_key(|(_, of)| std::cmp::Reverse(of.answers));
        let (models, models_left) = match &bill {
            Some(bill) => (bill.models.clone(), bill.models_left),
            None => (
                answered.iter().take(SHOWN).map(|(model, of)| Model::new(model, of)).collect(),
                answered.len().saturating_sub(SHOWN),
            ),
        };
        let anomalies = status.results.as_ref().map(|joined| joined.anomalies.as_slice()).unwrap_or_default();
        let omitted = status.results.as_ref().map_or(0, |joined| joined.anomalies_omitted);
        Self {
            name: words::shown(&name),
            folder: words::shown(&status.folder.display().to_string()),
            run: words::shown(&status.run),
            state: state(status),
            unfinished: unfinished(status, undecided),
            unread: None,
            made: words::instant(now),
            lote: env!("CARGO_PKG_VERSION"),
            lines: words::count(status.lines),
            cards: cards(status, tally, &timeline, bill.as_ref()),
            outcomes: outcomes(tally),
            short: short(tally, status),
            steps: next::steps(status, tally),
            errors: errors.iter().take(SHOWN).map(|(kind, code, error)| Error::new(*kind, code, error)).collect(),
            errors_left: errors.len().saturating_sub(SHOWN),
            models,
            models_left,
            bill,
            input: tally.input.shown(words::count, words::range),
            output: tally.output.shown(words::count, words::range),
            timeline,
            charged: charged(status, history),
            odd: anomalies.iter().take(SHOWN).map(|odd| words::shown(&odd.to_string())).collect(),
            odd_left: anomalies.len().saturating_sub(SHOWN) as u64 + omitted,
            inputs: history.inputs.iter().take(SHOWN).map(input).collect(),
            inputs_left: history.inputs.len().saturating_sub(SHOWN),
            facts: facts(status, history),
        }
    }

    /// Writes the page: one file, which needs no other and no network.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&self, to: impl Write) -> io::Result<()> {
        let mut environment = Environment::new();
        // A template whose name ends so has every value escaped.
        let added = environment
            .add_template("page.html", include_str!("page.html"))
            .and_then(|()| environment.add_template("style.css", include_str!("style.css")));
        added.map_err(io::Error::other)?;
        let mut to = to;
        to.write_all(BEGINS.as_bytes())?;
        let page = environment.get_template("page.html").map_err(io::Error::other)?;
        page.render_captured_to(Value::from(Serde(self)), &mut to).map(drop).map_err(io::Error::other)
    }
}

impl Error {
    fn new(kind: OutcomeKind, code: &str, error: &OfError) -> Self {
        let message = error.message.as_deref().map(words::shown).unwrap_or_default();
        let named: Vec<String> = error.named.iter().map(|id| words::shown(id)).collect();
        let more = if error.count > named.len() as u64 { ", …" } else { "" };
        Self {
            kind: kind.to_string(),
            code: words::shown(code),
            count: words::count(error.count),
            message: if error.differs { format!("{message} (others say something else)") } else { message },
            named: format!("{}{more}", named.join(", ")),
        }
    }
}

impl Model {
    fn new(model: &str, of: &OfModel) -> Self {
        Self {
            model: words::shown(model),
            answers: words::count(of.answers),
            input: words::count(of.input_tokens),
            output: words::count(of.output_tokens),
            cost: of.cost.map_or_else(|| "not known".to_owned(), |cost| cost.to_string()),
        }
    }
}

fn state(status: &RunStatus) -> State {
    let (class, words) = match (status.phase, status.cancelled) {
        (RunPhase::Finished, true) => ("done", "finished, cancelled"),
        (RunPhase::Finished, false) => ("done", "finished"),
        (RunPhase::Working, _) => ("works", "at work"),
        (RunPhase::Held, _) => ("held", "held"),
        (_, _) => ("stopped", "not finished"),
    };
    State { class, words }
}

fn unfinished(status: &RunStatus, undecided: u64) -> Option<String> {
    if status.phase == RunPhase::Finished {
        return None;
    }
    let (left, lines) = (words::count(undecided), words::count(status.lines));
    Some(format!(
        "This run is not finished: {left} of {lines} lines have no outcome here yet. What follows is of the others, at the \
         time when this page was made."
    ))
}

fn cards(status: &RunStatus, tally: &Tally, timeline: &Timeline, bill: Option<&Bill>) -> Vec<Card> {
    let succeeded = tally.of(OutcomeKind::Succeeded);
    let batches = status.shards.iter().filter(|shard| shard.batch.is_some()).count() as u64;
    // Of a run that is finished the invoice has more than its results: what was paid for and not used.
    let cost = bill.map(|bill| (bill.total.clone(), bill.below.clone()));
    let cost = cost.unwrap_or_else(|| match (tally.sum.embedded, tally.sum.cost, tally.sum.unpriced) {
        (true, ..) => ("nothing".to_owned(), "the embedded gateway answered".to_owned()),
        (false, Some(cost), 0) => (cost.to_string(), "of the answers, at prices of batches".to_owned()),
        (false, Some(cost), _) => (cost.to_string(), "and models whose price is not known".to_owned()),
        (false, None, 0) => ("–".to_owned(), "no answer says what it used".to_owned()),
        (false, None, _) => ("not known".to_owned(), "lote report --prices names prices".to_owned()),
    });
    // Of lines that equal others, the results are counted each, and the tokens once.
    let (input, output) = match &status.results {
        Some(joined) => (joined.usage.input_tokens, joined.usage.output_tokens),
        None => (tally.input_tokens, tally.output_tokens),
    };
    vec![
        Card {
            what: "succeeded",
            figure: words::share(succeeded, status.lines),
            below: format!("{} of {} lines", words::count(succeeded), words::count(status.lines)),
        },
        Card {
            what: "tokens",
            figure: words::count(input.saturating_add(output)),
            below: format!("{} in, {} out", words::count(input), words::count(output)),
        },
        Card { what: "cost", figure: cost.0, below: cost.1 },
        Card {
            what: "time",
            figure: timeline.took.clone(),
            below: format!("{} in all", crate::out::count(batches, "batch")),
        },
    ]
}

fn outcomes(tally: &Tally) -> Vec<Ending> {
    let mut from = 0;
    let endings = KINDS.into_iter().map(|kind| {
        let count = tally.of(kind);
        let ending = Ending {
            kind: kind.to_string(),
            count: words::count(count),
            share: words::share(count, tally.lines),
            from: words::percent(from, tally.lines),
            width: words::percent(count, tally.lines),
        };
        from += count;
        (count, ending)
    });
    endings.filter(|(count, ending)| *count > 0 || ending.kind == "succeeded").map(|(_, ending)| ending).collect()
}

/// What answers fall short of that succeeded.
fn short(tally: &Tally, status: &RunStatus) -> Vec<Fact> {
    let all = [
        (tally.cut_off, "cut off at a limit of tokens"),
        (tally.filtered, "with content held back by a filter"),
        (tally.refused, "in which the model refused"),
    ];
    let some = all.into_iter().filter(|(count, _)| *count > 0);
    let some = some.map(|(count, what)| Fact { what: what.to_owned(), value: words::count(count) });
    // Where something was expected of answers.
    let unfit = status.results.iter().filter_map(|joined| joined.fit.as_ref()).flat_map(|fit| &fit.unfit);
    let unfit =
        unfit.map(|(kind, count)| Fact { what: format!("not as expected: {kind}"), value: words::count(*count) });
    some.chain(unfit).collect()
}

/// What may be charged beside the answers.
fn charged(status: &RunStatus, history: &RunHistory) -> Vec<String> {
    let surplus = status.shards.iter().flat_map(|shard| shard.surplus.iter().map(move |batch| (shard.shard, batch)));
    let surplus = surplus.map(|(shard, batch)| format!("Batch {batch} was made of shard {shard} a second time."));
    let given_up = status.given_up.iter().map(|given_up| {
        let lines = crate::out::count(given_up.lines, "line");
        format!("Batch {} of shard {}, with {lines}, was given up.", given_up.id, given_up.shard)
    });
    let again = history.synchronous.filter(|lines| lines.sent_again > 0).map(|lines| {
        let requests = crate::out::count(lines.sent_again, "request");
        format!("{requests} of lines that were sent one by one had no answer that came, and may have been answered all the same.")
    });
    again.into_iter().chain(surplus).chain(given_up).take(SHOWN).map(|text| words::shown(&text)).collect()
}

fn input(input: &lote::run::RunInput) -> Fact {
    let hash = input.sha256.get(..12).unwrap_or(&input.sha256);
    Fact {
        what: words::shown(&input.path.display().to_string()),
        value: format!("{} lines, {} bytes, SHA-256 {hash}…", words::count(input.lines), words::count(input.bytes)),
    }
}

fn facts(status: &RunStatus, history: &RunHistory) -> Vec<Fact> {
    let mut endpoints: Vec<&str> = history.shards.iter().map(|shard| shard.plan.endpoint.as_str()).collect();
    endpoints.sort_unstable();
    endpoints.dedup();
    let service = match status.base_url.as_str() {
        "embedded" => "the embedded gateway".to_owned(),
        url => format!("{url} ({})", history.dialect),
    };
    let mut models: Vec<_> = history.models.iter().collect();
    models.sort_by_key(|(_, lines)| std::cmp::Reverse(**lines));
    let left = models.len().saturating_sub(SHOWN);
    let mut asked: Vec<String> =
        models.iter().take(SHOWN).map(|(model, lines)| format!("{model} ({})", words::count(**lines))).collect();
    if left > 0 {
        asked.push(format!("and {left} more"));
    }
    let mut facts = vec![
        ("service", service),
        ("endpoint", endpoints.join(", ")),
        ("models asked for", asked.join(", ")),
        ("shards", words::count(history.shards.len() as u64)),
        ("run", status.run.clone()),
        ("folder", shell::quoted(&status.folder)),
        ("begun by", format!("lote {}", history.lote)),
        ("processes at work on it so far", words::count(history.opened_at.len() as u64)),
    ];
    facts.extend(history.synchronous.map(|lines| ("lines sent one by one", words::count(lines.lines))));
    if status.deduplicated > 0 {
        facts.push(("lines that equal others, and were not sent", words::count(status.deduplicated)));
    }
    facts.extend(status.partition.map(|part| ("part of its input", part.to_string())));
    let options = history.options.iter().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Fact { what: words::shown(name), value: words::shown(&value) }
    });
    let facts = facts.into_iter().filter(|(_, value)| !value.is_empty());
    facts.map(|(what, value)| Fact { what: what.to_owned(), value: words::shown(&value) }).chain(options).collect()
}
