//! Tests of what becomes of folders and files when processes die, hang, or get in each other's way.
#![cfg(unix)]

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::common::{Ended, command, ended, folder, hangups_end_what_is_started, names, phase, signal, until};
use crate::service::{Embedded, Odd, answer, at, json, requests};

/// A service that takes connections and never answers.
struct Silent(TcpListener);

impl Silent {
    fn listen() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").expect("a free port"))
    }

    fn url(&self) -> String {
        format!("http://{}", self.0.local_addr().expect("its address"))
    }

    /// Waits until a request has begun to come.
    fn asked(&self) -> TcpStream {
        let (mut stream, _) = self.0.accept().expect("a connection");
        stream.read_exact(&mut [0]).expect("a byte");
        stream
    }
}

fn spawn(mut command: Command, folder: &Path, args: &[&str]) -> Child {
    command
        .current_dir(folder)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("lote starts")
}

fn run(command: Command, folder: &Path) -> Ended {
    run_with(command, folder, &[])
}

fn run_with(mut command: Command, folder: &Path, args: &[&str]) -> Ended {
    ended(command.current_dir(folder).args(["run", "requests.jsonl"]).args(args), b"")
}

fn stage(folder: &Path) -> Option<&'static str> {
    phase(&folder.join("requests.run"))
}

/// What a run has written down.
fn written(folder: &Path) -> [Vec<u8>; 2] {
    ["run.json", "log.jsonl"].map(|name| fs::read(folder.join("requests.run").join(name)).expect("written down"))
}

fn uploaded() -> Vec<u8> {
    answer("200 OK", "application/json", r#"{"id":"file-1","object":"file"}"#)
}

fn code(child: Child) -> Option<i32> {
    child.wait_with_output().expect("it ends").status.code()
}

#[test]
fn of_two_at_once_the_second_is_told_of_the_first() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let silent = Silent::listen();
    let first = spawn(at(&silent.url()), place.path(), &["run", "requests.jsonl"]);
    let _connection = silent.asked();
    let gateway = Embedded::start();
    let second = run(at(gateway.url()), place.path());
    assert_eq!(second.code, 2, "{second:?}");
    let holder = format!("a lote (pid {}) is at work in it", first.id());
    assert!(second.stderr.contains(&holder) && !second.stderr.contains("delete"), "{second:?}");
    signal(&first, "KILL");
    assert_eq!(code(first), None);
    // Nothing was created: the folder is used again.
    let third = run(at(gateway.url()), place.path());
    assert_eq!(third.code, 0, "{third:?}");
    assert_eq!(names(place.path()), ["requests.jsonl", "requests.run"]);
}

#[test]
fn a_run_whose_folder_was_taken_by_another_leaves_the_others_record() {
    hangups_end_what_is_started();
    for name in ["TERM", "HUP", "INT", "KILL"] {
        let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
        let silent = Silent::listen();
        let first = spawn(at(&silent.url()), place.path(), &["run", "requests.jsonl"]);
        let connection = silent.asked();
        fs::remove_dir_all(place.path().join("requests.run")).expect("deleted by the user");
        // The create of the second run is lost.
        let odd = Odd::answering([uploaded(), Vec::new()]);
        let second = run_with(at(odd.url()), place.path(), &["--deadline", "1s"]);
        assert_eq!(second.code, 5, "{second:?}");
        let before = written(place.path());
        assert_eq!(stage(place.path()), Some("creating"));

        signal(&first, name);
        assert_eq!(code(first), if name == "KILL" { None } else { Some(130) }, "{name}");
        drop(connection);
        assert_eq!(written(place.path()), before, "{name}");
        let third = run(at("http://127.0.0.1:9"), place.path());
        assert_eq!(third.code, 2, "{third:?}");
        assert!(third.stderr.contains("a run that is not finished") && !third.stderr.contains("delete"), "{third:?}");
    }
}

#[test]
fn a_run_whose_folder_was_taken_goes_no_further_when_its_upload_ends() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let silent = Silent::listen();
    let first = spawn(at(&silent.url()), place.path(), &["run", "requests.jsonl"]);
    let mut connection = silent.asked();
    fs::remove_dir_all(place.path().join("requests.run")).expect("deleted by the user");
    let odd = Odd::answering([uploaded(), Vec::new()]);
    assert_eq!(run_with(at(odd.url()), place.path(), &["--deadline", "1s"]).code, 5);
    let before = written(place.path());
    let kept = names(&place.path().join("requests.run"));
    std::io::Write::write_all(&mut connection, &uploaded()).expect("answered");
    let output = first.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("removed or replaced") && stderr.contains("no batch was created"), "{stderr}");
    assert_eq!(written(place.path()), before);
    assert_eq!(names(&place.path().join("requests.run")), kept);
    // No create was sent.
    silent.0.set_nonblocking(true).expect("a listener");
    assert!(silent.0.accept().is_err());
}

#[test]
fn however_a_run_ends_before_its_create_the_next_one_goes_on() {
    hangups_end_what_is_started();
    let gateway = Embedded::start();
    for name in ["TERM", "HUP", "INT", "KILL"] {
        let place = folder(&[("requests.jsonl", &requests(&[name]))]);
        let silent = Silent::listen();
        let first = spawn(at(&silent.url()), place.path(), &["run", "requests.jsonl"]);
        let _connection = silent.asked();
        signal(&first, name);
        let output = first.wait_with_output().expect("it ends");
        if name != "KILL" {
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(130), "{name}: {stderr}");
            assert!(stderr.contains("no batch was created"), "{stderr}");
        }
        assert_eq!(stage(place.path()), Some("planned"));
        let next = run(at(gateway.url()), place.path());
        assert_eq!(next.code, 0, "{name}: {next:?}");
        assert_eq!(names(place.path()), ["requests.jsonl", "requests.run"]);
    }
}

#[test]
fn a_run_that_is_killed_at_any_moment_is_never_paid_for_twice() {
    for delay in (0..24).map(|step| std::time::Duration::from_millis(step * 4)) {
        let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
        let gateway = Embedded::start();
        // A list that shows no batch at all proves nothing.
        gateway.batch(&["an earlier one"]);
        let mut first = spawn(at(gateway.url()), place.path(), &["run", "requests.jsonl"]);
        std::thread::sleep(delay);
        // It may have ended.
        let _ = first.kill();
        first.wait().expect("gone");
        let next = run_with(at(gateway.url()), place.path(), &["--settle-after-loss", "300ms"]);
        assert_eq!(next.code, 0, "{delay:?}: {next:?}");
        let batches = json(&gateway.lote(["batches", "list"]));
        assert_eq!(batches["data"].as_array().map(Vec::len), Some(2), "{delay:?}: {next:?}");
        assert_eq!(names(place.path()), ["requests.jsonl", "requests.run"], "{delay:?}");
    }
}

#[test]
fn what_dead_processes_left_is_swept_and_what_is_alive_is_not() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    for name in ["dead", "live"] {
        assert!(Command::new("mkfifo").arg(place.path().join(name)).status().expect("mkfifo").success());
    }
    // Both wait for their input in the middle of the check, when the staging folder is there: somebody holds the other
    // end open.
    let begin = |name: &str| {
        let child = spawn(command(), place.path(), &["run", name, "--dir", &format!("{name}.run"), "--embedded"]);
        let end = fs::File::options().write(true).open(place.path().join(name)).expect("it reads");
        (child, end, names(place.path()))
    };
    let (dead, _end, with_one) = begin("dead");
    signal(&dead, "KILL");
    code(dead);
    let left = with_one.iter().find(|name| name.starts_with(".lote-run-")).expect("a staging folder").clone();
    assert!(place.path().join(&left).exists());
    let kept = [".lote-run-0badcafe-000000000000", "output.jsonl.incomplete", ".lote-0badcafe-000000000000.part"];
    fs::create_dir(place.path().join(kept[0])).expect("of another host");
    fs::write(place.path().join(kept[1]), "x").expect("written");
    fs::write(place.path().join(kept[2]), "x").expect("written");

    let (live, _live_end, with_two) = begin("live");
    assert!(!place.path().join(&left).exists(), "what the dead one left is swept");
    let alive = with_two.iter().find(|name| name.starts_with(".lote-run-") && **name != left && *name != kept[0]);
    let ended = run_with(command(), place.path(), &["--embedded", "-o", "results.jsonl"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(place.path().join(alive.expect("of the live one")).join("lock").exists());
    for name in kept {
        assert!(place.path().join(name).exists(), "{name}");
    }
    signal(&live, "KILL");
    code(live);
}

#[test]
fn a_download_that_was_killed_leaves_a_part_that_the_next_one_sweeps() {
    let place = folder(&[]);
    let silent = Silent::listen();
    let mut child = spawn(at(&silent.url()), place.path(), &["files", "content", "file-1", "-o", "out.jsonl"]);
    let mut stream = silent.asked();
    let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 99\r\n\r\n{";
    std::io::Write::write_all(&mut stream, head).expect("answered");
    until("the file is begun", || !names(place.path()).is_empty());
    child.kill().expect("killed");
    child.wait().expect("gone");
    let left = names(place.path());
    assert!(left[0].starts_with(".lote-") && left[0].ends_with(".part"), "{left:?}");
    let gateway = Embedded::start();
    let id = gateway.upload(b"{}\n");
    let saved =
        ended(at(gateway.url()).current_dir(place.path()).args(["files", "content", &id, "-o", "out.jsonl"]), b"");
    assert_eq!(saved.code, 0, "{saved:?}");
    assert_eq!(names(place.path()), ["out.jsonl"]);
    // What is there is not replaced by another file unless that is said.
    for (force, expected) in [(&[][..], 2), (&["--force"], 0)] {
        let mut again = at(gateway.url());
        again.current_dir(place.path()).args(["files", "content", &id, "-o", "out.jsonl"]).args(force);
        assert_eq!(ended(&mut again, b"").code, expected);
    }
}

#[test]
fn a_download_that_is_stopped_leaves_nothing_and_says_how_to_do_it_again() {
    let place = folder(&[]);
    let silent = Silent::listen();
    let child =
        spawn(at(&silent.url()), place.path(), &["files", "content", "file-1", "-o", "my output.jsonl", "--force"]);
    let _connection = silent.asked();
    signal(&child, "INT");
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("\n  lote files content file-1 ") && stderr.ends_with("-o 'my output.jsonl' --force\n"));
    assert!(names(place.path()).is_empty(), "{:?}", names(place.path()));
}

/// `lote` as nohup starts it.
fn surviving_hangups() -> Command {
    let mut shell = Command::new("sh");
    let lote = command();
    shell.envs(lote.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(lote.get_program());
    shell
}

#[test]
fn a_hangup_ends_a_command_as_a_termination_does_unless_it_was_to_be_survived() {
    hangups_end_what_is_started();
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=60000]]"]))]);
    let child = spawn(command(), place.path(), &["run", "requests.jsonl", "--embedded"]);
    until("the batch is made", || stage(place.path()) == Some("created"));
    signal(&child, "HUP");
    assert_eq!(code(child), Some(130));
    if cfg!(target_os = "linux") {
        let place = folder(&[("requests.jsonl", &requests(&["[[sleep=1500]]"]))]);
        let child = spawn(surviving_hangups(), place.path(), &["run", "requests.jsonl", "--embedded"]);
        until("the batch is made", || stage(place.path()) == Some("created"));
        signal(&child, "HUP");
        assert_eq!(code(child), Some(0), "nohup lote run");
    }
}

#[test]
fn an_output_is_taken_for_what_it_is() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let run_to =
        |dir: &str, output: &str| run_with(command(), place.path(), &["--embedded", "--dir", dir, "-o", output]);
    let null = run_to("null.run", "/dev/null");
    assert_eq!(null.code, 0, "{null:?}");
    assert!(null.stdout.contains("results: null.run/results.jsonl"), "{null:?}");
    for stdout in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "-"] {
        let refused = run_to("stdout.run", stdout);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused:?}");
        assert!(refused.stderr.contains("results are not printed"), "{refused:?}");
    }
    // A pipe is written to when the results are there.
    assert!(Command::new("mkfifo").arg(place.path().join("pipe")).status().expect("mkfifo").success());
    let pipe = place.path().join("pipe");
    let reader = std::thread::spawn(move || fs::read_to_string(pipe).expect("what came"));
    assert_eq!(run_to("pipe.run", "pipe").code, 0);
    let results = fs::read_to_string(place.path().join("pipe.run/results.jsonl")).expect("the results");
    assert_eq!(reader.join().expect("read"), results);
    // A file that the shell has opened is appended to.
    fs::write(place.path().join("log"), "before\n").expect("written");
    let lote = command();
    let mut shell = Command::new("sh");
    shell.envs(lote.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(place.path());
    shell.args(["-c", "exec \"$0\" run requests.jsonl --embedded --dir fd.run -o /dev/fd/3 3>>log"]);
    assert_eq!(ended(shell.arg(lote.get_program()), b"").code, 0);
    assert!(fs::read_to_string(place.path().join("log")).expect("the log").starts_with("before\n{"));
    if cfg!(target_os = "linux") {
        let memory = tempfile::tempdir_in("/dev/shm").expect("a folder");
        let output = memory.path().join("results.jsonl");
        let shared = run_to("shm.run", output.to_str().expect("UTF-8"));
        assert_eq!(shared.code, 0, "{shared:?}");
        assert!(output.exists());
    }
    for (output, part) in
        [("results.csv", "results are JSONL"), ("requests.jsonl", "it is the input"), ("log", "--force")]
    {
        let refused = run_to("refused.run", output);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains(part), "{refused:?}");
        assert!(!place.path().join("refused.run").exists());
    }
    assert!(names(place.path()).iter().all(|name| !name.starts_with('.')), "{:?}", names(place.path()));
}

#[cfg(target_os = "linux")]
#[test]
fn only_what_the_caller_has_opened_is_an_open_file() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    std::os::unix::fs::symlink("/dev/fd/5", place.path().join("link")).expect("a link");
    let outputs: Vec<String> = (3..10).map(|number| format!("/dev/fd/{number}")).chain(["link".to_owned()]).collect();
    for output in &outputs {
        let lote = command();
        let mut shell = Command::new("sh");
        shell.envs(lote.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(place.path());
        let closed = "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; exec \"$0\" run requests.jsonl --embedded -o \"$1\"";
        shell.args(["-c", closed]).arg(lote.get_program()).arg(output);
        let refused = ended(&mut shell, b"");
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{output}: {refused:?}");
        assert!(refused.stderr.contains("no file is open as number "), "{output}: {refused:?}");
    }
    assert_eq!(names(place.path()), ["link", "requests.jsonl"]);
}

#[test]
fn an_empty_path_is_named_as_what_it_is() {
    for args in [
        &["run", "r.jsonl", "-o", ""][..],
        &["run", "r.jsonl", "--dir", ""],
        &["run", ""],
        &["prepare", "rows.jsonl", "--endpoint", "chat", "--template", "{}", "-o", ""],
        &["prepare", "", "--endpoint", "chat", "--template", "{}"],
        &["check", ""],
        &["inspect", "a", ""],
        &["join", "", "a", "-o", "b"],
        &["join", "r", "", "-o", "b"],
        &["join", "r", "a", "-o", ""],
        &["files", "upload", ""],
        &["files", "content", "f", "-o", ""],
        &["files", "list", "--ca-cert", ""],
        &["gateway", "--faults", ""],
        &["gateway", "--key-file", ""],
    ] {
        let refused = ended(command().args(args), b"");
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains("the path is empty"), "{args:?}: {refused:?}");
    }
}

#[test]
fn request_lines_are_as_private_as_their_rows_and_replace_only_request_lines() {
    let place = folder(&[("rows.jsonl", b"{\"q\":\"a\"}\n"), ("notes.txt", b"mine")]);
    fs::set_permissions(place.path().join("rows.jsonl"), fs::Permissions::from_mode(0o600)).expect("set");
    let prepare = |output: &str, force: &[&str]| {
        let args = ["prepare", "rows.jsonl", "--endpoint", "chat", "--template", r#"{"q": {{ q }} }"#, "-o", output];
        ended(command().current_dir(place.path()).args(args).args(force), b"")
    };
    for _ in 0..2 {
        assert_eq!(prepare("requests.jsonl", &[]).code, 0);
        let made = fs::metadata(place.path().join("requests.jsonl")).expect("there");
        assert_eq!(made.permissions().mode() & 0o777, 0o600);
    }
    let refused = prepare("notes.txt", &[]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("--force"), "{refused:?}");
    assert_eq!(fs::read(place.path().join("notes.txt")).expect("kept"), b"mine");
    assert_eq!(prepare("requests.csv", &[]).code, 2);
    assert_eq!(prepare("notes.txt", &["--force"]).code, 0);
}

#[test]
fn the_same_command_again_writes_the_results_again() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let first = run_with(command(), place.path(), &["--embedded", "-o", "results.jsonl"]);
    assert_eq!(first.code, 0, "{first:?}");
    let again = run_with(command(), place.path(), &["--embedded", "-o", "results.jsonl"]);
    let finished = "requests.run: finished before, and nothing is sent; --new begins another\n";
    assert_eq!((again.code, again.stderr.as_str()), (0, finished), "{again:?}");
    let said = |ended: &Ended| -> Vec<String> {
        ended.stdout.lines().filter(|line| !line.starts_with("time: ")).map(str::to_owned).collect()
    };
    assert_eq!(said(&again), said(&first));
    // What the user has made of them meanwhile stays, unless that is said.
    fs::write(place.path().join("results.jsonl"), "mine\n").expect("written");
    let refused = run_with(command(), place.path(), &["--embedded", "-o", "results.jsonl"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("--force") && !refused.stderr.contains("delete"), "{refused:?}");
    assert_eq!(run_with(command(), place.path(), &["--embedded", "-o", "results.jsonl", "--force"]).code, 0);
    let kept = fs::read(place.path().join("requests.run/results.jsonl")).expect("the results");
    assert_eq!(fs::read(place.path().join("results.jsonl")).expect("the results"), kept);
}

#[test]
fn a_run_of_an_earlier_version_is_told_how_to_fetch_it() {
    for (stage, batch, said) in [
        ("created", "\"batch_1\"", ["lote batches get batch_1", "lote join"]),
        ("creating", "null", ["which may have made a batch", "lote batches list"]),
    ] {
        let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
        let record = format!(
            r#"{{"format":1,"lote":"0.1.0","stage":"{stage}","source":"requests.jsonl","base_url":"http://127.0.0.1:1",
            "endpoint":"/v1/chat/completions","lines":1,"bytes":2,"sha256":"abc123","begun_at":5,"input_file_id":"f",
            "batch_id":{batch},"batch_status":null}}"#
        );
        fs::create_dir(place.path().join("requests.run")).expect("a folder");
        fs::write(place.path().join("requests.run/run.json"), record).expect("written");
        let held = run(at("http://127.0.0.1:1"), place.path());
        assert_eq!((held.code, held.stdout.as_str()), (2, ""), "{held:?}");
        assert!(said.iter().all(|said| held.stderr.contains(said)), "{held:?}");
        assert!(
            held.stderr.contains("an earlier version of lote") && held.stderr.contains("it pays again"),
            "{held:?}"
        );
    }
}
