//! Colours and silence: when a terminal is told to change its colour, and what `--quiet` leaves.

use crate::common::{command, ended, folder, lote_in};
use crate::service::{Odd, answer, at, requests};
use crate::terminal::in_terminal;

const RED: &str = "\u{1b}[1;31merror:\u{1b}[0m ";
const GREEN: &str = "\u{1b}[32mrequests.jsonl: 1 request line";

/// The same rule for errors, for success and for clap's help.
#[test]
fn colours_are_for_terminals_and_follow_the_variables() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    for (variables, on_terminal, in_pipe) in [
        (&[][..], true, false),
        (&[("NO_COLOR", "1")], false, false),
        (&[("NO_COLOR", "")], true, false),
        (&[("CLICOLOR", "0")], false, false),
        (&[("TERM", "dumb")], false, false),
        (&[("CLICOLOR_FORCE", "1")], true, true),
        (&[("CLICOLOR_FORCE", "")], true, false),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false, false),
    ] {
        for (args, coloured) in [
            (&["status", "nowhere.run"][..], RED),
            (&["exprot"], RED),
            (&["check", "requests.jsonl"], GREEN),
            (&["check", "--help"], "\u{1b}["),
        ] {
            let lote = || {
                let mut lote = command();
                lote.args(args).envs(variables.iter().copied()).current_dir(&place);
                lote
            };
            let shown = in_terminal(lote());
            assert_eq!(shown.contains(coloured), on_terminal, "{variables:?} {args:?}: {shown:?}");
            assert!(on_terminal || !shown.contains('\u{1b}'), "{variables:?} {args:?}: {shown:?}");
            let piped = ended(&mut lote(), b"");
            let piped = piped.stdout + &piped.stderr;
            assert_eq!(piped.contains(coloured), in_pipe, "{variables:?} {args:?}: {piped:?}");
            assert!(in_pipe || !piped.contains('\u{1b}'), "{variables:?} {args:?}: {piped:?}");
        }
    }
}

#[test]
fn quiet_leaves_results_and_errors_and_no_progress() {
    let requests = requests(&["a"]);
    let place = folder(&[("requests.jsonl", &requests)]);
    let loud = lote_in(command(), place.path(), &["run", "requests.jsonl", "--embedded"]);
    let lote = |args: &[&str]| {
        let mut lote = command();
        lote.args(args).current_dir(&place);
        lote
    };
    for args in [
        &["-q", "run", "requests.jsonl", "--embedded", "--new"][..],
        &["run", "requests.jsonl", "--embedded", "--new", "--quiet"],
    ] {
        // A bar would be drawn on a terminal.
        let shown = in_terminal(lote(args)).replace("\u{1b}[32m", "").replace("\u{1b}[0m", "");
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
        assert!(shown.contains("\nanswers:\r\n") && !shown.contains("next:"), "{shown:?}");
        assert!(
            shown.starts_with("1 of 1 line succeeded") && loud.stdout.starts_with("1 of 1 line succeeded"),
            "{shown:?}"
        );
    }
    // A guess of the dialect is a note.
    let list = || answer("200 OK", "application/json", r#"{"data":[],"has_more":false}"#);
    let refused = || answer("403 Forbidden", "application/json", "{}");
    let odd = Odd::answering([list(), list(), refused()]);
    let url = format!("{}/v1", odd.url());
    let noted = ended(at(&url).args(["batches", "list"]), b"");
    assert!(noted.code == 0 && noted.stderr.starts_with("dialect openai, guessed from"), "{noted:?}");
    let quiet = ended(at(&url).args(["batches", "list", "-q"]), b"");
    assert_eq!((quiet.code, quiet.stderr.as_str(), &quiet.stdout), (0, "", &noted.stdout));
    let failed = ended(at(&url).args(["batches", "list", "-q"]), b"");
    assert!(failed.code == 4 && failed.stderr.starts_with("error: "), "{failed:?}");
}

#[test]
fn quiet_does_not_hide_why_an_input_was_refused() {
    let place = folder(&[("bad.jsonl", b"{}\n"), ("rows.csv", b"a\n1\n")]);
    for args in [
        &["run", "bad.jsonl", "--embedded"][..],
        &["prepare", "rows.csv", "--endpoint", "chat", "--template", "{{ nothing }}", "-o", "requests.jsonl"],
    ] {
        let loud = lote_in(command(), place.path(), args);
        let quiet = lote_in(command(), place.path(), &[args, &["-q"]].concat());
        assert_eq!((loud.code, loud.stderr.lines().count() > 1), (3, true), "{loud:?}");
        assert_eq!((quiet.code, &quiet.stderr), (3, &loud.stderr), "{quiet:?}");
    }
}
