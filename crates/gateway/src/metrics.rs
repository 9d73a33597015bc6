//! What is counted and measured for those who run a gateway, in the text format of Prometheus. Never a prompt, a key or the
//! name of an end user.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::tenant::Tenant;

/// What the gateway counts. Cheap to count in; all the rest is done when it is asked for.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    lines: Family<Outcome, Counter>,
    tokens: Family<Tokens, Counter>,
    upstream_answers: Family<Answer, Counter>,
    upstream_seconds: Family<Server, Histogram, fn() -> Histogram>,
    /// Set when somebody asks.
    batches: Family<Status, Gauge>,
    waiting: Family<Name, Gauge>,
    resent: Gauge,
    upstream_limit: Family<Server, Gauge>,
    upstream_in_flight: Family<Server, Gauge>,
    upstream_waiting: Family<Server, Gauge>,
    names: Mutex<HashMap<Tenant, String>>,
}

/// How much there is at one instant.
#[derive(Debug, Default)]
pub(crate) struct Census {
    /// Batches by their status.
    pub(crate) batches: BTreeMap<&'static str, u64>,
    /// Lines of batches that are not answered, by tenant.
    pub(crate) waiting: HashMap<Tenant, u64>,
    /// Lines of batches at work that were sent again after their worker was gone: at most so many.
    pub(crate) resent: u64,
}

/// How much there is at one upstream.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) url: String,
    /// How many requests it takes at once, as far as was learned.
    pub(crate) limit: usize,
    pub(crate) in_flight: usize,
    pub(crate) waiting: usize,
}

/// Most tenants whose names are kept.
const MOST_NAMES: usize = 10_000;

/// Who has no name in the operator's files.
const OTHER: &str = "other";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Request {
    operation: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Tokens {
    direction: &'static str,
    asked_by: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answer {
    upstream: String,
    /// The status, or the code of a failure.
    answer: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Server {
    upstream: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Status {
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Name {
    tenant: String,
}

/// From 10 ms to 11 minutes.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.01, 2.0, 17))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("lote_gateway");
        let requests = Family::default();
        registry.register("http_requests", "Requests that were answered, by operation and status", requests.clone());
        let lines = Family::default();
        registry.register("lines", "Lines of batches that are done, by outcome", lines.clone());
        let tokens = Family::default();
        registry.register("tokens", "Tokens that answers say they took", tokens.clone());
        let upstream_answers = Family::default();
        registry.register("upstream_answers", "Tries at upstreams, by what came of them", upstream_answers.clone());
        let upstream_seconds = Family::new_with_constructor(seconds as fn() -> Histogram);
        let help = "How long upstreams took for answers that came whole";
        registry.register_with_unit("upstream_answer", help, Unit::Seconds, upstream_seconds.clone());
        let batches = Family::default();
        registry.register("batches", "Batches there are, by status", batches.clone());
        let waiting = Family::default();
        let help = "Lines of batches that are not answered, by the name of the key";
        registry.register("lines_waiting", help, waiting.clone());
        let resent = Gauge::default();
        let help =
            "Lines of batches that are not over which may have been sent twice, since a process died; at the most";
        registry.register("lines_sent_again", help, resent.clone());
        let upstream_limit = Family::default();
        let help = "Requests that an upstream takes at once, as far as was learned";
        registry.register("upstream_limit", help, upstream_limit.clone());
        let upstream_in_flight = Family::default();
        registry.register("upstream_in_flight", "Requests at an upstream now", upstream_in_flight.clone());
        let upstream_waiting = Family::default();
        let help = "Requests that wait for a place at an upstream, of clients and of batches";
        registry.register("upstream_waiting", help, upstream_waiting.clone());
        Metrics {
            registry,
            requests,
            lines,
            tokens,
            upstream_answers,
            upstream_seconds,
            batches,
            waiting,
            resent,
            upstream_limit,
            upstream_in_flight,
            upstream_waiting,
            names: Mutex::default(),
        }
    }
}

impl Metrics {
    /// Learns what the operator calls a tenant.
    pub(crate) fn meet(&self, tenant: Tenant, name: Option<&str>) {
        let Some(name) = name else { return };
        let mut names = self.names();
        if names.len() < MOST_NAMES && !names.contains_key(&tenant) {
            names.insert(tenant, name.to_owned());
        }
    }

    /// What the operator calls a tenant, if anything.
    pub(crate) fn name(&self, tenant: Tenant) -> Option<String> {
        self.names().get(&tenant).cloned()
    }

    pub(crate) fn request(&self, operation: impl fmt::Display, status: u16) {
        self.requests.get_or_create(&Request { operation: operation.to_string(), status }).inc();
    }

    /// A line is done.
    pub(crate) fn line(&self, outcome: &'static str) {
        self.lines.get_or_create(&Outcome { outcome }).inc();
    }

    /// An answer took so many tokens.
    pub(crate) fn tokens(&self, input: u64, output: u64, asked_by: &'static str) {
        for (direction, amount) in [("input", input), ("output", output)] {
            if amount > 0 {
                self.tokens.get_or_create(&Tokens { direction, asked_by }).inc_by(amount);
            }
        }
    }

    /// An upstream was tried: how long an answer took, where one came.
    pub(crate) fn upstream(&self, url: &str, answer: &str, took: Option<Duration>) {
        let upstream = url.to_owned();
        if let Some(took) = took {
            self.upstream_seconds.get_or_create(&Server { upstream: upstream.clone() }).observe(took.as_secs_f64());
        }
        self.upstream_answers.get_or_create(&Answer { upstream, answer: answer.to_owned() }).inc();
    }

    /// All of it as text.
    pub(crate) fn text(&self, census: Census, loads: Vec<Load>) -> String {
        // Of two who ask at once, the second waits.
        let names = self.names();
        self.batches.clear();
        for (status, count) in census.batches {
            self.batches.get_or_create(&Status { status }).set(signed(count));
        }
        self.waiting.clear();
        for (tenant, count) in census.waiting {
            let tenant = names.get(&tenant).map_or(OTHER, String::as_str).to_owned();
            self.waiting.get_or_create(&Name { tenant }).inc_by(signed(count));
        }
        self.resent.set(signed(census.resent));
        for Load { url: upstream, limit, in_flight, waiting } in loads {
            let server = Server { upstream };
            for (gauge, count) in [
                (&self.upstream_limit, limit),
                (&self.upstream_in_flight, in_flight),
                (&self.upstream_waiting, waiting),
            ] {
                gauge.get_or_create(&server).set(signed(count as u64));
            }
        }
        let mut text = String::new();
        // Writing into a text cannot fail.
        let _ = encode(&mut text, &self.registry);
        drop(names);
        text
    }

    fn names(&self) -> MutexGuard<'_, HashMap<Tenant, String>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
