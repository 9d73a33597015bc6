//! The works that need no service: check, join, inspect.

use std::io::Write;

use super::{
    data::{Counts, Set},
    service::Needs,
    text::Style,
    work::{Contender, Scale, Scene, Settled, Work, requests, thousands, word},
};
use crate::report::Failure;

/// The limits of one batch, which lote counts findings by.
const MOST_LINES: u64 = 50_000;
const MOST_BYTES: u64 = 200_000_000;

fn utf8(lines: u64) -> Set {
    Set { lines, kilobytes: 1, style: Style::Utf8 }
}

/// What a work reads, by the end of its name, and how often.
fn variant(scale: Scale, name: &str) -> (Set, usize) {
    let set = utf8(scale.lines);
    match name.split_once('-').map(|(_, end)| end) {
        Some("escaped") => (Set { style: Style::Escaped, ..set }, scale.rounds),
        Some("long") => (Set { lines: scale.long_lines, kilobytes: 4, ..set }, scale.rounds),
        Some("many") => (utf8(scale.many), scale.few),
        _ => (set, scale.rounds),
    }
}

fn size_of(set: Set, bytes: u64) -> String {
    let style = match set.style {
        Style::Utf8 => "UTF-8",
        Style::Escaped => "`\\uXXXX`",
    };
    format!("{} lines of {} KB, {style} ({} MB)", thousands(set.lines), set.kilobytes, bytes / 1_000_000)
}

/// How many findings there are, as a summary says it.
fn found(findings: u8) -> String {
    match findings {
        0 => "no findings".to_owned(),
        1 => "1 finding".to_owned(),
        more => format!("{more} findings"),
    }
}

pub(super) fn check(scene: &Scene<'_>, name: &'static str, out: &mut dyn Write) -> Result<Work, Failure> {
    let (set, rounds) = variant(scene.scale, name);
    let (file, bytes) = requests(scene, set, out)?;
    let read = format!("{} request lines", set.lines);
    // Of a file that is more than one batch takes, that is the only finding.
    let findings = u8::from(set.lines > MOST_LINES) + u8::from(bytes > MOST_BYTES);
    let says = [read.clone(), format!("; {}", found(findings))];
    let lote = word(scene.lote);
    let mut contenders = vec![Contender::new("lote check", [&lote, "check", &file]).exits(&[0, 3]).says(says)];
    if name == "check" {
        let says = [format!("\"lines\":{}", set.lines), format!("\"findings_total\":{findings}")];
        contenders.push(
            Contender::new("lote check --json, with SHA-256", [&lote, "check", "--json", &file])
                .exits(&[0, 3])
                .says(says),
        );
    }
    if let Some(floor) = scene.floor.map(word) {
        let parse = |name, mode: &str| Contender::new(name, [floor.as_str(), mode, &file]).says([&read]);
        contenders.push(
            parse("parse, bodies walked", "walked")
                .lacks("judges nothing: neither unique ids, nor keys that are there twice, nor what bodies hold"),
        );
        contenders.push(parse("parse, bodies unparsed", "unparsed").lacks("the same, and bodies are only passed over"));
    }
    for (name, loader, lacks) in [
        (
            "Python json",
            "json",
            "keys that are there twice, lone surrogates, what bodies hold beyond model and messages",
        ),
        ("Python orjson", "orjson", "keys that are there twice, what bodies hold beyond model and messages"),
        ("Python msgspec", "msgspec", "keys that are there twice, what bodies hold beyond model and messages"),
    ] {
        if let Some(python) = scene.peers.python("check.py", &[loader, &file]) {
            contenders.push(Contender::new(name, python).says([&read]).lacks(lacks));
        }
    }
    let title = format!("Check {}", size_of(set, bytes));
    Ok(Work { name, title, needs: Needs::Nothing, rounds, contenders })
}

pub(super) fn join(scene: &Scene<'_>, name: &'static str, out: &mut dyn Write) -> Result<Work, Failure> {
    let (set, rounds) = variant(scene.scale, name);
    let Settled { requests, output, errors, bytes, counts } = Settled::of(scene, set, out)?;
    let Counts { succeeded, failed, missing } = counts;
    let files = [requests.as_str(), &output, &errors];
    let ours =
        [format!("\"succeeded\":{succeeded},"), format!("\"failed\":{failed},"), format!("\"missing\":{missing},")];
    let theirs = [format!("{succeeded} succeeded, {failed} failed, {missing} missing")];
    let results = scene.scratch.join("results.jsonl");
    let to = |place: &str| {
        let words = [&word(scene.lote), "join", files[0], files[1], files[2], "-o", place, "--json"];
        words.map(str::to_owned)
    };
    let mut contenders = vec![
        Contender::new("lote join", to(&word(&results))).exits(&[1]).says(ours.clone()).leaves(results.clone(), None),
        Contender::new("lote join, results to /dev/null", to("/dev/null")).exits(&[1]).says(ours),
    ];
    let written = word(&results);
    // A million trees are more memory than is asked of a machine here.
    let trees = set.lines <= 200_000;
    for (name, script, first, last, lacks) in [
        ("Python json", "join.py", Some("json"), None, "no results, no look into answers"),
        ("Python orjson", "join.py", Some("orjson"), None, "no results, no look into answers"),
        (
            "Python orjson with offsets",
            "join_offsets.py",
            None,
            Some(written.as_str()),
            "no look into answers; results as they came",
        ),
        ("DuckDB", "join_duckdb.py", None, None, "no results, no look into answers, no request twice"),
    ] {
        if !trees && script == "join.py" {
            continue;
        }
        let words: Vec<&str> = first.into_iter().chain(files).chain(last).collect();
        if let Some(python) = scene.peers.python(script, &words) {
            let contender = Contender::new(name, python).says(theirs.clone()).lacks(lacks);
            contenders.push(match last {
                Some(_) => contender.leaves(results.clone(), None),
                None => contender,
            });
        }
    }
    let title = format!("Join {} in and out", size_of(set, bytes));
    Ok(Work { name, title, needs: Needs::Nothing, rounds, contenders })
}

pub(super) fn inspect(scene: &Scene<'_>, name: &'static str, out: &mut dyn Write) -> Result<Work, Failure> {
    let set = utf8(scene.scale.lines);
    let Settled { output, errors, counts, .. } = Settled::of(scene, set, out)?;
    let says = [format!("\"succeeded\":{},", counts.succeeded), format!("\"failed\":{},", counts.failed)];
    let words = [&word(scene.lote), "inspect", "--json", &output, &errors];
    let ours = Contender::new("lote inspect", words).exits(&[0, 1]).says(says);
    let bytes = super::work::size(output.as_ref())?;
    let title = format!("Inspect {}", size_of(set, bytes));
    Ok(Work { name, title, needs: Needs::Nothing, rounds: scene.scale.few, contenders: vec![ours] })
}
