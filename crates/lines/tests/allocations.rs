//! How often memory is asked for while lines are read: never, once buffers have their size. What is not so yet is named
//! here with its count, so that it cannot grow.

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

/// serde_json's stack of open brackets, asked for by each value that holds others and is taken unparsed: the body of a
/// request, the response of an answer.
const BRACKETS: f64 = 1.0;

/// `check/shapes.rs` writes down the places of a message and of its content before it knows that something is wrong
/// there, each in two steps. So this is for each message of a request.
const PLACES: f64 = 4.0;

/// `join.rs` copies the custom_id of a request, and writes down the place of its answer, in two steps, before it is known
/// to be odd.
const NAMES: f64 = 3.0;

/// How often memory is asked for, for each line beyond the first ones.
fn a_line(mut read: impl FnMut(usize)) -> f64 {
    let mut count = |lines| measure(|| read(lines)).count_total as f64;
    let few = count(FEW);
    (count(MANY) - few) / (MANY - FEW) as f64
}

/// Holds what was measured to what is known, which is to be lowered when it is less.
fn hold(what: &str, style: Style, known: f64, measured: f64) {
    println!("{what}, {}: {measured:.2} a line, known are {known}", style.name());
    assert!(measured <= known + NOTHING, "{what}, {}: {measured} a line, more than {known}", style.name());
}

#[test]
fn what_is_asked_for_is_counted() {
    let boxes = |lines: usize| (0..lines).for_each(|number| drop(std::hint::black_box(Box::new(number))));
    assert_eq!(a_line(boxes).to_string(), "1");
    assert_eq!(a_line(|_| ()).to_string(), "0");
}

#[test]
fn checking_asks_for_no_more_than_is_known() {
    for style in Style::ALL {
        let texts = [FEW, MANY].map(|count| style.requests(count));
        let measured = a_line(|count| {
            let text = &texts[usize::from(count == MANY)];
            let checked = check(text.as_bytes(), &CheckOptions::default(), &mut |finding| panic!("{finding:?}"), None);
            assert_eq!(checked.expect("it is read").lines, count as u64);
        });
        hold("check", style, BRACKETS + PLACES, measured);
    }
}

#[test]
fn reading_an_answer_asks_for_no_more_than_is_known() {
    for style in Style::ALL {
        let text = style.answers(MANY);
        let lines: Vec<&[u8]> = text.lines().map(str::as_bytes).collect();
        let parse = |line: &&[u8]| drop(Answer::parse(line).expect("an answer"));
        hold("an answer", style, BRACKETS, a_line(|count| lines[..count].iter().for_each(parse)));
        let measured = a_line(|count| {
            let end = lines[..count].iter().map(|line| line.len() + 1).sum();
            let mut inspection = Inspection::default();
            inspection.read("output", &text.as_bytes()[..end]).expect("it is read");
            assert_eq!(inspection.report().succeeded, count as u64);
        });
        hold("inspect", style, BRACKETS, measured);
    }
}

#[test]
fn joining_asks_for_no_more_than_is_known() {
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
        // An answer is read twice.
        hold("join", style, 3.0 * BRACKETS + NAMES, measured);
    }
}
