//! What was measured as a table: on the terminal, and as docs/BENCHMARKS.md.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{self, Write},
};

use super::{
    figures::{Figure, Figures},
    limits::{self, Held},
    measure::Spread,
    peers::{PACKAGES, Peers},
    reasons::REASONS,
};

/// Seconds, or milliseconds where they are few.
pub(super) fn time(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 0.1 => format!("{:.1} ms", seconds * 1e3),
        seconds if seconds < 10.0 => format!("{seconds:.3} s"),
        seconds => format!("{seconds:.1} s"),
    }
}

fn times(Spread { min, median, max }: Spread) -> String {
    format!("{} ({} – {})", time(median), time(min), time(max))
}

/// The most memory of any round; what is as little as can be told is told as that.
fn memory(Figure { peak, least, .. }: &Figure) -> String {
    if peak.max <= least + 0.25 { format!("under {:.0} MiB", peak.max.ceil()) } else { format!("{:.0} MiB", peak.max) }
}

fn rows(figures: &Figures) -> impl Iterator<Item = [String; 5]> {
    let ours = figures.commands.first().map_or(f64::NAN, |figure| figure.cpu.median);
    figures.commands.iter().map(move |figure| {
        let gateway = figure.gateway.map_or_else(String::new, |gateway| format!("; gateway {}", time(gateway.median)));
        [
            figure.name.clone(),
            format!("{}{gateway}", times(figure.cpu)),
            time(figure.wall.median),
            memory(figure),
            format!("{:.2}", figure.cpu.median / ours),
        ]
    })
}

pub(super) fn print(figures: &Figures, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} ({} rounds)", figures.title, figures.rounds)?;
    let rows: Vec<[String; 5]> = rows(figures).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    for [name, cpu, wall, peak, ratio] in &rows {
        let [first, second, third, fourth, fifth] = widths;
        writeln!(
            out,
            "  {name:<first$}  CPU {cpu:<second$}  wall {wall:>third$}  peak {peak:>fourth$}  {ratio:>fifth$} ×"
        )?;
    }
    Ok(())
}

/// This machine, by its cores and memory alone.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    });
    let memory = memory.map_or_else(String::new, |kib| format!(" and {} GiB of memory", (kib + (1 << 19)) >> 20));
    format!("{cores} cores{memory}")
}

/// The page.
pub(super) fn page(all: &[Figures], peers: &Peers) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    _ = write_page(&mut page, all, peers);
    page
}

fn write_page(page: &mut String, all: &[Figures], peers: &Peers) -> std::fmt::Result {
    let packages = PACKAGES.lines().map(|line| line.replace("==", " ")).collect::<Vec<_>>().join(", ");
    let programs = peers.versions().join(", ");
    writeln!(
        page,
        "# Benchmarks\n\n\
         Written by `cargo xtask bench --peers`, which makes its data from a seed, installs the peers below the folder of \
         builds, and runs the commands of a table in turn (A B A B), each as a whole process. Figures are those of the \
         operating system: CPU is user and system time of all processors, median (least – most); wall is the median; peak \
         is the most memory of any round. The load is how many processes wanted a core in the last minute, ours included: \
         on a machine that others use as well, wall time says little, and CPU is more than on an idle one, for all commands \
         alike. The last column is CPU over that of the first command. A command that does not \
         say the right counts, or leaves a file of another size, ends the whole run.\n\n\
         Machine: {}. Peers: {packages}; {programs}; async-openai and reqwest as in \
         `xtask/src/bench/peers/rust/Cargo.lock`. The scripts are in `xtask/src/bench/peers`.\n\n\
         Data: chat requests and answers of about 1 KB a line, and requests of 4 KB; a quarter of the text is not ASCII, \
         once as UTF-8, once escaped as Python's `json.dumps` writes it, which makes the same texts longer. Of the \
         requests 2 % have failed and 0.1 % have no answer; answers are shuffled.",
        machine(),
    )?;
    writeln!(
        page,
        "\n## Bounds\n\nWhat lote is to reach, and what it took here. [SPEED.md](SPEED.md) says where the time of \
         check and join goes, and why a bound of theirs is not met.\n\n| work | bound | measured | |\n| --- | --- | --- | --- |"
    )?;
    for Held { work, text, measured, holds } in limits::held(all) {
        let holds = if holds { "holds" } else { "**not yet**" };
        writeln!(page, "| `{work}` | {text} | {measured} | {holds} |")?;
    }
    for (work, reason) in REASONS {
        if limits::held(all).iter().any(|held| held.work == work && !held.holds) {
            writeln!(page, "\n`{work}`: {reason}")?;
        }
    }
    for figures in all {
        let Figures { name, title, rounds, commit, load, commands } = figures;
        let load = load.map_or_else(String::new, |load| format!(", load {load:.0}"));
        writeln!(
            page,
            "\n## {title}\n\n`cargo xtask bench --peers --only {name}` at {commit}, {rounds} rounds{load}.\n\n\
             | command | CPU | wall | peak | × |\n| --- | --- | --- | --- | --- |"
        )?;
        for row in rows(figures) {
            writeln!(page, "| {} |", row.join(" | "))?;
        }
        let mut lacks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for figure in commands.iter().filter(|figure| !figure.lacks.is_empty()) {
            lacks.entry(&figure.lacks).or_default().push(&figure.name);
        }
        if !lacks.is_empty() {
            let lacks: Vec<String> =
                lacks.iter().map(|(lacks, names)| format!("{}: {lacks}", names.join(", "))).collect();
            writeln!(page, "\nNot done by peers. {}.", lacks.join(". "))?;
        }
    }
    Ok(())
}
