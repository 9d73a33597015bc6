//! Tests of `lote run -`: requests that come through a pipe are read once, and their run goes on all the same.

use std::path::Path;
use std::process::Command;

use crate::common::{Ended, command, ended, folder, names};
use crate::service::{Embedded, Unasked, at, json, requests};

fn run(mut command: Command, place: &Path, args: &[&str], stdin: &[u8]) -> Ended {
    // What is kept for a while is kept in a folder of the test's own.
    let kept = folder(&[]);
    let ended = ended(command.env("TMPDIR", kept.path()).current_dir(place).args(["run", "-"]).args(args), stdin);
    assert!(names(kept.path()).is_empty(), "{:?}", names(kept.path()));
    ended
}

#[test]
fn the_same_requests_from_a_pipe_are_the_same_run() {
    let place = folder(&[]);
    let gateway = Embedded::start();
    let lines = requests(&["a", "b"]);
    let first = run(at(gateway.url()), place.path(), &["-o", "results.jsonl"], &lines);
    assert_eq!(first.code, 0, "{first:?}");
    let made = names(place.path());
    let [results, stdin] = made.as_slice() else { panic!("{made:?}") };
    assert_eq!(results, "results.jsonl");
    let digits = stdin.strip_prefix("stdin-").and_then(|rest| rest.strip_suffix(".run")).expect("a name of its own");
    assert!(digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{stdin}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |name: &str| {
            let found = std::fs::metadata(place.path().join(name)).expect("there");
            found.permissions().mode() & 0o777
        };
        assert_eq!((mode(stdin), mode("results.jsonl")), (0o700, 0o600));
        for file in ["run.json", "results.jsonl", "shards/0001/requests.jsonl"] {
            assert_eq!(mode(&format!("{stdin}/{file}")), 0o600, "{file}");
        }
    }
    let again = run(at(gateway.url()), place.path(), &["-o", "results.jsonl"], &lines);
    assert_eq!(again.code, 0, "{again:?}");
    assert_eq!(names(place.path()), made);
    let others = run(at(gateway.url()), place.path(), &[], &requests(&["a", "c"]));
    assert_eq!(others.code, 0, "{others:?}");
    let named = run(at(gateway.url()), place.path(), &["--dir", "mine.run"], &lines);
    assert_eq!(named.code, 0, "{named:?}");
    let now = names(place.path());
    assert!(now.len() == 4 && now.contains(&"mine.run".to_owned()), "{now:?}");
    let batches = json(&gateway.lote(["batches", "list"]));
    assert_eq!(batches["data"].as_array().map(Vec::len), Some(3));
}

#[cfg(unix)]
#[test]
fn an_interrupt_while_requests_come_leaves_nothing() {
    use crate::common::{signal, until};
    use std::process::Stdio;
    let (place, kept) = (folder(&[]), folder(&[]));
    let mut lote = at("http://127.0.0.1:9");
    lote.env("TMPDIR", kept.path()).current_dir(place.path()).args(["run", "-"]);
    lote.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = lote.spawn().expect("lote starts");
    let _open = child.stdin.take().expect("stdin is a pipe");
    until("it reads", || !names(kept.path()).is_empty());
    signal(&child, "INT");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(names(kept.path()).is_empty() && names(place.path()).is_empty(), "{:?}", names(kept.path()));
}

#[test]
fn a_pipe_that_is_no_good_leaves_nothing() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let unasked = Unasked::listen();
    for (stdin, code, said) in [
        (&b""[..], 3, "stdin: "),
        (b"{\"custom_id\":1}\n", 3, "stdin: "),
        (b"\x1f\x8bno gzip", 2, "read stdin: the gzip data"),
    ] {
        let refused = run(at(&unasked.url()), place.path(), &[], stdin);
        assert_eq!((refused.code, refused.stdout.as_str()), (code, ""), "{refused:?}");
        assert!(refused.stderr.contains(said), "{refused:?}");
    }
    let several = run(at(&unasked.url()), place.path(), &["requests.jsonl"], &requests(&["a"]));
    assert_eq!(several.code, 2, "{several:?}");
    assert!(several.stderr.contains("given alone"), "{several:?}");
    unasked.assert("bad requests");
    let embedded = run(command(), place.path(), &["--embedded", "--dir", "e.run"], &requests(&["a"]));
    assert_eq!(embedded.code, 0, "{embedded:?}");
    assert_eq!(names(place.path()), ["e.run", "requests.jsonl"]);
}
