//! Named points of the work, at which a test lets a process die, stop, wait or fail. They are compiled into debug builds
//! alone, and a debug build has none of them unless a plan is in its environment.
//!
//! `LOTE_GATEWAY_POINTS` is the plan: `record.commit.before=2:kill;heartbeat.before=1+:error` lets the process kill itself
//! when it passes the first point for the second time, and every heartbeat fail. `LOTE_GATEWAY_POINTS_LOG` names a file to
//! which a line is added for each point that is passed, before anything happens there.

mod plan;

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use plan::{Action, Plan};

const PLAN: &str = "LOTE_GATEWAY_POINTS";
const LOG: &str = "LOTE_GATEWAY_POINTS_LOG";

tokio::task_local! {
    /// What is being done: transactions are called by it.
    static DOING: &'static str;
}

/// What is to happen at a point, where the caller has to see to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ill {
    /// It fails, and is not done.
    Error,
    /// It is done, and the answer is lost.
    Lost,
}

/// The points of this process.
struct Points {
    plan: Mutex<Plan>,
    log: Option<Mutex<File>>,
}

/// None without a plan.
fn points() -> Option<&'static Points> {
    static POINTS: OnceLock<Option<Points>> = OnceLock::new();
    POINTS.get_or_init(read).as_ref()
}

fn read() -> Option<Points> {
    let (plan, log) = (std::env::var(PLAN).ok(), std::env::var_os(LOG));
    if plan.is_none() && log.is_none() {
        return None;
    }
    let plan = match plan.as_deref().map(Plan::read).transpose() {
        Ok(plan) => plan.unwrap_or_default(),
        Err(wrong) => abort(&format!("{PLAN}: {wrong}")),
    };
    let open = |path| OpenOptions::new().create(true).append(true).open(path);
    let log = match log.map(open).transpose() {
        Ok(log) => log.map(Mutex::new),
        Err(error) => abort(&format!("{LOG}: {error}")),
    };
    Some(Points { plan: Mutex::new(plan), log })
}

/// A plan that cannot be followed is a test that tests nothing.
fn abort(why: &str) -> ! {
    let _ = writeln!(std::io::stderr(), "{why}");
    std::process::abort()
}

/// Whether anything may happen anywhere. Without that nothing is put around anything.
pub(crate) fn are_watched() -> bool {
    points().is_some()
}

/// A duration that is as short as a test wants it, in place of this one: `LOTE_GATEWAY_LEASE_MS`, `LOTE_GATEWAY_WINDOW_MS`.
pub(crate) fn duration(name: &str, usual: Duration) -> Duration {
    let asked = std::env::var(format!("LOTE_GATEWAY_{name}_MS")).ok().and_then(|ms| ms.parse().ok());
    asked.map_or(usual, Duration::from_millis)
}

/// Calls the transactions of this work by this name.
pub(crate) async fn doing<F: Future>(name: &'static str, work: F) -> F::Output {
    DOING.scope(name, work).await
}

/// What is being done here; work that nobody has named is `other`.
pub(crate) fn name() -> &'static str {
    DOING.try_with(|name| *name).unwrap_or("other")
}

/// Passes the point `WORK.PART`, or `WORK` where the part is empty: writes a line of it, and does what is planned.
pub(crate) async fn pass(work: &str, part: &str) -> Option<Ill> {
    let points = points()?;
    let name = if part.is_empty() { work.to_owned() } else { format!("{work}.{part}") };
    let action = points.plan.lock().unwrap_or_else(PoisonError::into_inner).pass(&name);
    if let Some(log) = &points.log {
        let line = match action {
            Some(action) => format!("{name} {action}\n"),
            None => format!("{name}\n"),
        };
        // In one write, so that lines of several processes do not mix.
        let _ = log.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
    }
    match action? {
        Action::Kill => signal(Signal::Kill),
        Action::Stop => signal(Signal::Stop),
        Action::Pause(pause) => tokio::time::sleep(pause).await,
        Action::Error => return Some(Ill::Error),
        Action::Lost => return Some(Ill::Lost),
    }
    None
}

enum Signal {
    Kill,
    Stop,
}

#[cfg(unix)]
fn signal(signal: Signal) {
    use rustix::process::{Signal as Unix, getpid, kill_process};
    let signal = match signal {
        Signal::Kill => Unix::KILL,
        Signal::Stop => Unix::STOP,
    };
    if kill_process(getpid(), signal).is_err() {
        abort("a process cannot signal itself");
    }
}

#[cfg(not(unix))]
fn signal(signal: Signal) {
    match signal {
        Signal::Kill => std::process::abort(),
        Signal::Stop => abort("a process cannot be stopped here"),
    }
}
