//! What lote is to reach, and whether it does: each bound with the figures that it is held against.

use std::io::{self, Write};

use super::figures::Figures;

/// A bound of one command of ours.
pub(super) struct Limit {
    work: &'static str,
    ours: &'static str,
    bound: Bound,
}

enum Bound {
    /// At most so many times the processor time of the least of these.
    Times(f64, &'static [&'static str]),
    /// At most so many seconds of all processors.
    Seconds(f64),
    /// At most so many seconds that the gateway takes of all processors.
    Gateway(f64),
    /// At most so many MiB at once.
    Mebibytes(f64),
}

const fn limit(work: &'static str, ours: &'static str, bound: Bound) -> Limit {
    Limit { work, ours, bound }
}

const CHECK: &str = "lote check";
const JOIN: &str = "lote join";
const SETTLE: &str = "lote join, results to /dev/null";

/// All of them. Those in seconds are of two processors of 2026, those in MiB of 64-bit Linux.
const LIMITS: [Limit; 23] = [
    limit("check", CHECK, Bound::Times(1.0 / 0.7, &["parse, bodies walked"])),
    limit("check", CHECK, Bound::Times(0.5, &["Python msgspec"])),
    limit("check", CHECK, Bound::Times(0.2, &["Python orjson"])),
    limit("check", CHECK, Bound::Times(0.1, &["Python json"])),
    limit("check-escaped", CHECK, Bound::Times(1.0 / 0.7, &["parse, bodies walked"])),
    limit("check-escaped", CHECK, Bound::Times(0.5, &["Python msgspec"])),
    limit("check-long", CHECK, Bound::Times(1.0 / 0.7, &["parse, bodies walked"])),
    limit("check-long", CHECK, Bound::Times(0.5, &["Python msgspec"])),
    limit("check-many", CHECK, Bound::Mebibytes(64.0)),
    limit("join", SETTLE, Bound::Times(0.1, &["Python json"])),
    limit("join", SETTLE, Bound::Times(0.25, &["Python orjson"])),
    limit("join", SETTLE, Bound::Times(1.0 / 1.5, &["DuckDB"])),
    limit("join", JOIN, Bound::Times(1.6, &[SETTLE])),
    limit("join-many", JOIN, Bound::Mebibytes(64.0)),
    limit("upload", "lote files upload", Bound::Times(1.15, &["socket", "reqwest, blocking reads of 256 KiB"])),
    limit("download", "lote files content, without (OpenAI)", Bound::Times(0.65, &["curl"])),
    limit("download", "lote files content, without (OpenAI)", Bound::Mebibytes(16.0)),
    limit("get", "lote batches get", Bound::Seconds(0.006)),
    limit("get", "lote batches get", Bound::Times(1.0, &["curl"])),
    limit("version", "lote --version", Bound::Seconds(0.0014)),
    limit("run", "lote run", Bound::Seconds(0.45)),
    limit("run", "lote run", Bound::Gateway(2.5)),
    limit("run-many", "lote run", Bound::Mebibytes(64.0)),
];

/// A bound and what was measured.
pub(super) struct Held {
    pub(super) work: &'static str,
    pub(super) text: String,
    pub(super) measured: String,
    pub(super) holds: bool,
}

/// The bounds of works that were measured, with the peers that they need.
pub(super) fn held(all: &[Figures]) -> Vec<Held> {
    LIMITS.iter().filter_map(|limit| limit.hold(all)).collect()
}

/// Whether this work has any.
#[cfg(test)]
pub(super) fn are_of(work: &str) -> bool {
    LIMITS.iter().any(|limit| limit.work == work)
}

pub(super) fn print(all: &[Figures], out: &mut dyn Write) -> io::Result<()> {
    let held = held(all);
    if held.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n== bounds")?;
    for Held { work, text, measured, holds } in held {
        let holds = if holds { "holds     " } else { "DOES NOT  " };
        writeln!(out, "  {holds} {work}: {text}: {measured}")?;
    }
    Ok(())
}

impl Limit {
    fn hold(&self, all: &[Figures]) -> Option<Held> {
        let figures = all.iter().find(|figures| figures.name == self.work)?;
        let ours = figures.command(self.ours)?;
        let cpu = ours.cpu.median;
        let (text, value, bound, unit) = match self.bound {
            Bound::Times(most, peers) => {
                let peers: Option<Vec<_>> = peers.iter().map(|name| figures.command(name)).collect();
                let least = peers?.into_iter().min_by(|one, other| one.cpu.median.total_cmp(&other.cpu.median))?;
                (format!("{} takes at most {most:.2} × {}", self.ours, least.name), cpu / least.cpu.median, most, "×")
            }
            Bound::Seconds(most) if most < 0.1 => {
                (format!("{} takes at most {} ms", self.ours, most * 1e3), cpu * 1e3, most * 1e3, "ms")
            }
            Bound::Seconds(most) => (format!("{} takes at most {most} s", self.ours), cpu, most, "s"),
            Bound::Gateway(most) => {
                (format!("the gateway takes at most {most} s for {}", self.ours), ours.gateway?.median, most, "s")
            }
            Bound::Mebibytes(most) => (format!("{} has at most {most} MiB", self.ours), ours.peak.max, most, "MiB"),
        };
        let shown = if unit == "MiB" { format!("{value:.0} {unit}") } else { format!("{value:.2} {unit}") };
        Some(Held { work: self.work, text, measured: shown, holds: value <= bound })
    }
}

#[cfg(test)]
mod tests {
    use super::super::work;
    use super::*;

    #[test]
    fn every_bound_is_of_a_work_that_there_is() {
        for limit in &LIMITS {
            assert!(work::names().any(|name| name == limit.work), "{}", limit.work);
        }
    }
}
