//! Owns the tests of `lote run` of a table: one command from rows to answers, which is gone on with like any other run.

use std::fs;

use lote_gateway::Gateway;

use crate::common::{command, folder, lote_in, names};
use crate::service::{Embedded, at, json, json_lines};

const TICKETS: &[u8] = b"ticket_id,subject,body\nT1,Refund,twice\nT2,Login,\"cannot,\nreally\"\nT3,Praise,great\n";
const ASK: [&str; 4] = ["--user", "{{ subject }}: {{ body }}", "--model", "auto"];

fn run<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    [&["run", "tickets.csv"], &ASK[..], rest].concat()
}

#[test]
fn the_same_command_again_goes_on_with_the_same_run() {
    let gateway = Embedded::start();
    let place = folder(&[("tickets.csv", TICKETS)]);
    let kept = folder(&[]);
    let lote = || {
        let mut lote = at(gateway.url());
        lote.env("TMPDIR", kept.path());
        lote
    };
    let first = lote_in(lote(), place.path(), &run(&["-o", "results.jsonl"]));
    assert_eq!(first.code, 0, "{first:?}");
    assert!(first.stdout.starts_with("3 of 3 lines succeeded"), "{first:?}");
    let export =
        "  lote export tickets.run -o tickets.answers.csv --rows tickets.csv  # puts the answers beside the rows";
    assert!(first.stderr.contains("\"ticket_id\" differs in every row") && first.stderr.contains(export), "{first:?}");
    assert_eq!(names(place.path()), ["results.jsonl", "tickets.csv", "tickets.run"]);
    assert_eq!(names(kept.path()), [""; 0], "what was made of the table is in the folder of the run alone");
    let sent = fs::read_to_string(place.path().join("tickets.run/shards/0001/requests.jsonl")).expect("what was sent");
    assert_eq!(sent.lines().count(), 3);

    let batches = || json_lines(&gateway.lote(["batches", "list", "--all"])).len();
    let made = batches();
    assert_eq!(made, 1);
    let again = lote_in(lote(), place.path(), &run(&["-o", "results.jsonl"]));
    assert_eq!((again.code, batches()), (0, made), "nothing is paid for twice: {again:?}");
    assert!(!again.stderr.contains("differs in every row"), "the names are those of the run: {again:?}");
    let resumed = lote_in(lote(), place.path(), &["resume", "tickets.run"]);
    assert_eq!((resumed.code, batches()), (0, made), "{resumed:?}");

    // Another question is another run.
    let other = ["run", "tickets.csv", "--user", "{{ body }}", "--model", "auto"];
    let refused = lote_in(lote(), place.path(), &other);
    assert_eq!((refused.code, batches()), (2, made), "{refused:?}");
    assert!(refused.stderr.contains("the table, or what is asked of its rows, is not what it was"), "{refused:?}");
    let beside = lote_in(lote(), place.path(), &[&other[..], &["--dir", "other.run"]].concat());
    assert_eq!(beside.code, 0, "{beside:?}");
    // The same at another service: the table is what it was.
    let elsewhere = lote_in(lote(), place.path(), &run(&["--base-url", "http://127.0.0.1:1/v1"]));
    let said = "holds a finished run of something else (the service was ";
    assert!(elsewhere.code == 2 && elsewhere.stderr.contains(said), "{elsewhere:?}");
    for not in ["is not what it was", "a batch was to hold", "the dialect was", "finished before"] {
        assert!(!elsewhere.stderr.contains(not), "{not}: {elsewhere:?}");
    }
    // As it is after a trial.
    let trial = lote_in(command(), place.path(), &run(&["--embedded", "--dir", "trial.run"]));
    assert_eq!(trial.code, 0, "{trial:?}");
    let real = lote_in(lote(), place.path(), &run(&["--dir", "trial.run"]));
    let said = "\n  the run in it was a trial with --embedded: name another folder with --dir\n";
    assert!(real.code == 2 && real.stderr.ends_with(said), "{real:?}");

    // The answers stand beside the rows.
    let told = export.trim().split("  #").next().expect("a command");
    let exported = lote_in(lote(), place.path(), &told.split(' ').skip(1).collect::<Vec<_>>());
    assert_eq!(exported.code, 0, "{exported:?}");
    let table = fs::read_to_string(place.path().join("tickets.answers.csv")).expect("a table");
    assert!(table.starts_with("ticket_id,subject,body,custom_id,outcome,text"), "{table}");
    assert!(table.contains("T1,Refund,twice,row-1,succeeded,"), "{table}");
}

#[test]
fn a_run_of_a_table_is_detached_and_resumed() {
    let gateway = Embedded::standing(Gateway::builder());
    // They are not answered before they are waited for.
    let slow = String::from_utf8_lossy(TICKETS).replace("twice", "[[sleep=3000]] twice");
    let place = folder(&[("tickets.csv", slow.as_bytes())]);
    let lote = || at(gateway.url());
    let rest = ["--id", "{{ ticket_id }}", "--shard-lines", "2", "--detach"];
    let detached = lote_in(lote(), place.path(), &run(&rest));
    assert_eq!(detached.code, 5, "{detached:?}");
    assert!(!detached.stderr.contains("differs in every row"), "{detached:?}");
    // The table is not needed any more: what is sent is in the folder.
    fs::remove_file(place.path().join("tickets.csv")).expect("removed");
    let resumed = gateway.passing(|| lote_in(lote(), place.path(), &["resume", "tickets.run", "--json"]));
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert_eq!(json(&resumed)["succeeded"], 3, "{resumed:?}");
    let results = fs::read_to_string(place.path().join("tickets.run/results.jsonl")).expect("results");
    let ids: Vec<bool> = results
        .lines()
        .zip(["T1", "T2", "T3"])
        .map(|(line, id)| line.contains(&format!("\"custom_id\":\"{id}\"")))
        .collect();
    assert_eq!(ids, [true; 3]);
}

#[test]
fn parts_and_rows_of_stdin_have_folders_of_their_own() {
    let place = folder(&[("tickets.csv", TICKETS), ("rows.jsonl", b"{\"q\":1}\n{\"q\":2}\n")]);
    let part = lote_in(command(), place.path(), &run(&["--embedded", "--partition", "2/2"]));
    assert_eq!(part.code, 0, "{part:?}");
    let mut piped = command();
    piped.current_dir(place.path()).args(["run", "-", "--user", "{{ q }}", "--model", "auto", "--embedded"]);
    let piped = crate::common::ended(&mut piped, b"{\"q\":1}\n{\"q\":2}\n");
    assert_eq!(piped.code, 0, "{piped:?}");
    // JSON lines are rows as soon as something is asked of them, and the limit is one of rows.
    let args = ["run", "rows.jsonl", "--embed", "{{ q }}", "--model", "e-1", "--embedded", "--limit", "1"];
    let limited = lote_in(command(), place.path(), &args);
    assert!(limited.code == 0 && limited.stdout.starts_with("1 of 1 line succeeded"), "{limited:?}");
    let names = names(place.path());
    assert_eq!(names.len(), 5, "{names:?}");
    assert!(["rows.run", "tickets.2-of-2.run"].iter().all(|name| names.contains(&(*name).to_owned())), "{names:?}");
    assert!(names.iter().any(|name| name.starts_with("stdin-") && name.ends_with(".run")), "{names:?}");
}

#[test]
fn a_trial_looks_at_no_more_rows_than_it_runs() {
    let place = folder(&[("late.csv", b"id,q\n1,a\n2,b\n3\n")]);
    let ask = ["run", "late.csv", "--user", "{{ q }}", "--model", "auto", "--embedded"];
    let all = lote_in(command(), place.path(), &ask);
    assert!(all.code == 3 && all.stderr.starts_with("row 3 (line 4): has 1 column"), "{all:?}");
    let trial = lote_in(command(), place.path(), &[&ask[..], &["--limit", "2"]].concat());
    assert!(trial.code == 0 && trial.stdout.starts_with("2 of 2 lines succeeded"), "{trial:?}");
    // Of the rest nobody knows.
    assert!(!trial.stderr.contains("differs in every row"), "{trial:?}");
    // And it is gone on with as such.
    let again = lote_in(command(), place.path(), &[&ask[..], &["--limit", "2"]].concat());
    assert!(again.code == 0 && again.stderr.starts_with("late.run: finished before"), "{again:?}");
}

#[test]
fn what_is_wrong_is_told_before_anything_is_sent() {
    let files = [("tickets.csv", TICKETS), ("requests.jsonl", b""), ("rows.jsonl", b"{\"q\":1}\n")];
    let place = folder(&files);
    for (args, code, expected) in [
        (&["run", "tickets.csv", "--embedded"][..], 2, "tickets.csv: is a table: say what is asked of each row"),
        (&["run", "tickets.csv", "--embedded"], 2, "  lote run tickets.csv --user '{{ column }}' --model auto"),
        (
            &["run", "rows.jsonl", "--embedded"],
            3,
            "lote check\n  lote run rows.jsonl --user '{{ column }}' --model auto  # with",
        ),
        (&["run", "requests.jsonl", "--embedded", "--model", "m"], 2, "--model is for the rows of a table"),
        (&["run", "requests.jsonl", "--embedded", "--id", "x"], 2, "--id is for the rows of a table"),
        (&[&["run", "tickets.csv", "requests.jsonl", "--embedded"], &ASK[..]].concat(), 2, "a table is given alone"),
        (&["run", "absent.csv", "--user", "{{ x }}", "--model", "m", "--embedded"], 2, "absent.csv: cannot be read"),
        (&["run", "tickets.csv", "--user", "{{ bdy }}", "--model", "m", "--embedded"], 3, "did you mean body?"),
        (
            &["run", "tickets.csv", "--user", "{{ bdy }}", "--model", "m", "--embedded"],
            3,
            "1 problem; nothing was sent",
        ),
        // What the check finds is said of the table.
        (
            &run(&["--embedded", "--field", "n=\"x\""]),
            3,
            "tickets.csv: 3 findings; nothing was sent; see all with lote prepare",
        ),
    ] {
        let ended = lote_in(command(), place.path(), args);
        assert_eq!((ended.code, ended.stdout.as_str()), (code, ""), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{args:?}: {ended:?}");
        assert_eq!(names(place.path()), ["requests.jsonl", "rows.jsonl", "tickets.csv"], "{args:?}");
    }
    let args = ["run", "tickets.csv", "--user", "{{ bdy }}", "--model", "m", "--embedded", "--json"];
    let told = json(&lote_in(command(), place.path(), &args));
    assert_eq!((&told["findings_total"], &told["findings"][0]["rows"]), (&1.into(), &3.into()), "{told}");
}

#[cfg(unix)]
#[test]
fn what_is_written_is_readable_by_who_may_read_the_table_and_all_that_is_asked() {
    use std::os::unix::fs::PermissionsExt;

    let place = folder(&[("tickets.csv", TICKETS), ("user.txt", b"{{ body }}")]);
    let set = |name: &str, mode: u32| {
        fs::set_permissions(place.path().join(name), fs::Permissions::from_mode(mode)).expect("a mode");
    };
    let mode = |name: &str| fs::metadata(place.path().join(name)).expect("a file").permissions().mode() & 0o777;
    set("tickets.csv", 0o644);
    for (private, dir, expected) in [(0o644, "a.run", 0o644), (0o600, "b.run", 0o600)] {
        set("user.txt", private);
        let args = ["run", "tickets.csv", "--user", "@user.txt", "--model", "auto", "--embedded", "--dir", dir];
        let ended = lote_in(command(), place.path(), &args);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(mode(&format!("{dir}/results.jsonl")), expected, "{dir}");
    }
}
