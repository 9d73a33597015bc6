//! How often memory is asked for while lines are read: never, once buffers have their size.

mod made;

use std::fs;
use std::path::PathBuf;

use allocation_counter::measure;
use lote_lines::{Answer, CheckOptions, Inspection, check, join};
use made::Style;

/// Fewer and more lines; what the second take beyond the first is what a line takes.
const FEW: usize = 2_000;
const MANY: usize = 2 * FEW;

/// More than an index takes that grows a few times for thousands of lines.
const NOTHING: f64 = 0.02;

/// How often memory is asked for, for each line beyond the first ones.
fn a_line(mut read: impl FnMut(usize)) -> f64 {
    let mut count = |lines| measure(|| read(lines)).count_total as f64;
    let few = count(FEW);
    (count(MANY) - few) / (MANY - FEW) as f64
}

#[track_caller]
fn nothing(what: &str, style: Style, measured: f64) {
    assert!(measured <= NOTHING, "{what}, {}: {measured} a line", style.name());
}

#[test]
fn what_is_asked_for_is_counted() {
    let boxes = |lines: usize| (0..lines).for_each(|number| drop(std::hint::black_box(Box::new(number))));
    assert_eq!(a_line(boxes).to_string(), "1");
    assert_eq!(a_line(|_| ()).to_string(), "0");
}

#[test]
fn checking_asks_for_nothing() {
    for style in Style::ALL {
        let texts = [FEW, MANY].map(|count| style.requests(count));
        let measured = a_line(|count| {
            let text = &texts[usize::from(count == MANY)];
            let checked = check(text.as_bytes(), &CheckOptions::default(), &mut |finding| panic!("{finding:?}"), None);
            assert_eq!(checked.expect("it is read").lines, count as u64);
        });
        nothing("check", style, measured);
    }
}

#[test]
fn reading_an_answer_asks_for_nothing() {
    for style in Style::ALL {
        let text = style.answers(MANY);
        let lines: Vec<&[u8]> = text.lines().map(str::as_bytes).collect();
        let parse = |line: &&[u8]| drop(Answer::parse(line).expect("an answer"));
        nothing("an answer", style, a_line(|count| lines[..count].iter().for_each(parse)));
        let measured = a_line(|count| {
            let end = lines[..count].iter().map(|line| line.len() + 1).sum();
            let mut inspection = Inspection::default();
            inspection.read("output", &text.as_bytes()[..end]).expect("it is read");
            assert_eq!(inspection.report().succeeded, count as u64);
        });
        nothing("inspect", style, measured);
    }
}

#[test]
fn joining_asks_for_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: String, text: String| -> PathBuf {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("written");
        path
    };
    for style in Style::ALL {
        let files = [FEW, MANY].map(|count| {
            let name = format!("{count}-{}", style.name());
            [file(format!("{name}.in"), style.requests(count)), file(format!("{name}.out"), style.answers(count))]
        });
        let measured = a_line(|count| {
            let [requests, output] = &files[usize::from(count == MANY)];
            let joined = join(requests, &[output], &mut std::io::sink()).expect("it is joined");
            assert_eq!(joined.succeeded, count as u64);
        });
        nothing("join", style, measured);
    }
}
