//! Owns the tests of `lote files`: on a service that behaves, on a disk that is full, and of what
//! it refuses to send.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::{ended, folder, names};
use crate::service::{Embedded, KEY, Odd, Unasked, answer, ask, at, json, json_lines};

#[test]
fn from_upload_to_deletion() {
    let gateway = Embedded::start();
    let bytes: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    let folder = folder(&[("data.bin", &bytes)]);
    let (path, copy) = (folder.path().join("data.bin"), folder.path().join("copy.bin"));
    let path = path.to_str().expect("a UTF-8 path");

    let uploaded = gateway.lote(["files", "upload", path, "--purpose", "user_data"]);
    assert_eq!((uploaded.code, uploaded.stderr.as_str()), (0, ""), "{uploaded:?}");
    assert!(uploaded.stdout.starts_with("{\n  \"id\": \"file"), "{}", uploaded.stdout);
    let file = json(&uploaded);
    assert_eq!(
        (&file["bytes"], &file["filename"], &file["purpose"]),
        (&json!(300_000), &json!("data.bin"), &json!("user_data"))
    );
    let id = file["id"].as_str().expect("an id");
    let got = gateway.lote(["files", "get", id]);
    assert_eq!((got.code, json(&got)), (0, file.clone()));

    let saved = gateway.lote(["files", "content", id, "-o", copy.to_str().expect("a UTF-8 path")]);
    assert_eq!((saved.code, saved.stdout.as_str(), saved.stderr.as_str()), (0, "", ""));
    assert!(fs::read(&copy).expect("the copy") == bytes, "the copy differs");
    assert_eq!(names(folder.path()), ["copy.bin", "data.bin"]);
    let printed = at(gateway.url()).args(["files", "content", id]).output().expect("lote ends");
    assert!(printed.status.success() && printed.stdout == bytes, "what was printed differs");

    let deleted = gateway.lote(["files", "delete", id]);
    assert_eq!((deleted.code, &json(&deleted)["deleted"], &json(&deleted)["id"]), (0, &json!(true), &json!(id)));
    for args in [["get", id], ["delete", id], ["content", id]] {
        let gone = gateway.lote(["files"].iter().chain(&args));
        assert_eq!((gone.code, gone.stdout.as_str()), (4, ""), "{gone:?}");
        assert!(gone.stderr.contains("the service answered 404 Not Found"), "{gone:?}");
    }
}

#[test]
fn stdin_is_uploaded_under_the_name_it_is_given() {
    let gateway = Embedded::start();
    for (flags, name) in [
        (&[][..], "stdin.jsonl"),
        (&["--file-name", "a.jsonl"], "a.jsonl"),
        (&["--file-name", "notes", "--purpose", "user_data"], "notes"),
    ] {
        let uploaded = ended(at(gateway.url()).args(["files", "upload", "-"]).args(flags), b"{}\n");
        assert_eq!((uploaded.code, &json(&uploaded)["filename"]), (0, &json!(name)), "{uploaded:?}");
        assert_eq!(json(&uploaded)["bytes"], 3);
    }
}

#[test]
fn an_expiry_is_counted_from_the_upload() {
    let gateway = Embedded::start();
    let args = ["files", "upload", "-", "--purpose", "user_data", "--expires-after", "36h"];
    let file = json(&ended(at(&gateway.openai()).args(args), b"x"));
    let seconds = |field: &str| file[field].as_i64().expect("seconds");
    assert_eq!(seconds("expires_at") - seconds("created_at"), 129_600, "{file}");
}

#[test]
fn lists_are_filtered_ordered_and_paged() {
    let gateway = Embedded::start();
    let batch: Vec<String> = (0..3).map(|at| gateway.upload(format!("{{\"n\":{at}}}\n").as_bytes())).collect();
    let other = ended(at(gateway.url()).args(["files", "upload", "-", "--purpose", "evals"]), b"x");
    let other = json(&other);
    let ids = |args: &[&str]| -> Vec<String> {
        let listed = gateway.lote(["files", "list", "--all"].iter().chain(args));
        assert_eq!((listed.code, listed.stderr.as_str()), (0, ""), "{listed:?}");
        json_lines(&listed).iter().map(|file| file["id"].as_str().expect("an id").to_owned()).collect()
    };
    assert_eq!(ids(&["--order", "asc", "--purpose", "batch", "--limit", "2"]), batch);
    let mut newest_first = batch.clone();
    newest_first.reverse();
    assert_eq!(ids(&["--order", "desc", "--purpose", "batch"]), newest_first);
    assert_eq!(ids(&["--order", "asc", "--purpose", "batch", "--after", &batch[0]]), batch[1..]);
    let sha256 = other["sha256"].as_str().expect("a hash").to_uppercase();
    assert_eq!(ids(&["--sha256", &sha256]), [other["id"].as_str().expect("an id")]);

    let page = json(&gateway.lote(["files", "list", "--order", "asc", "--limit", "1"]));
    assert_eq!((&page["data"][0]["id"], &page["has_more"]), (&json!(batch[0]), &json!(true)));
    let fields: Vec<&str> = page.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(fields, ["data", "first_id", "last_id", "has_more"]);
}

#[test]
fn an_upload_sends_what_it_was_told() {
    let odd = Odd::saying(&json!({"id": "file-1"}));
    let folder = folder(&[("requests.jsonl", b"{\"a\":1}\n")]);
    let path = folder.path().join("requests.jsonl");
    let path = path.to_str().expect("a UTF-8 path");
    let uploaded = ask(odd.url(), ["files", "upload", path, "--expires-after", "3600", "--dialect", "openai"]);
    assert_eq!((uploaded.code, json(&uploaded)), (0, json!({"id": "file-1"})), "{uploaded:?}");
    let asked = odd.asked();
    assert!(asked.head.starts_with("POST /v1/files HTTP/1.1\r\n"), "{asked:?}");
    for part in [
        "name=\"purpose\"\r\n\r\nbatch\r\n",
        "name=\"expires_after[anchor]\"\r\n\r\ncreated_at\r\n",
        "name=\"expires_after[seconds]\"\r\n\r\n3600\r\n",
        "filename=\"requests.jsonl\"",
        "\r\n\r\n{\"a\":1}\n\r\n",
    ] {
        assert!(asked.body.contains(part), "{part:?}: {asked:?}");
    }
}

/// `lote` that may write files of at most 8 KiB or less: a write beyond would end it by a signal, but for what it does
/// about that.
#[cfg(unix)]
fn with_a_full_disk(url: &str) -> Command {
    let lote = at(url);
    let mut sh = Command::new("sh");
    sh.args(["-c", "ulimit -f 8; exec \"$0\" \"$@\""]).arg(lote.get_program());
    for (name, value) in lote.get_envs() {
        match value {
            Some(value) => sh.env(name, value),
            None => sh.env_remove(name),
        };
    }
    sh
}

#[cfg(unix)]
#[test]
fn a_full_disk_leaves_no_half_file() {
    let gateway = Embedded::start();
    let (small, large) = (gateway.upload(b"{}\n"), gateway.upload(&b"{}\n".repeat(100_000)));
    let folder = folder(&[("old.jsonl", b"old")]);
    for (name, kept) in [("new.jsonl", &["old.jsonl"][..]), ("old.jsonl", &["old.jsonl"])] {
        let path = folder.path().join(name);
        let path = path.to_str().expect("a UTF-8 path");
        let saved =
            ended(with_a_full_disk(gateway.url()).args(["files", "content", &large, "--force", "-o", path]), b"");
        assert_eq!((saved.code, saved.stdout.as_str()), (2, ""), "{saved:?}");
        assert!(saved.stderr.starts_with("error: ") && saved.stderr.contains(path), "{saved:?}");
        assert!(saved.stderr.contains("ulimit -f") && saved.stderr.contains("--force\n"), "{saved:?}");
        assert_eq!(names(folder.path()), kept);
        assert_eq!(fs::read(folder.path().join("old.jsonl")).expect("the old file"), b"old");
    }
    // The limit is what stopped it.
    let path = folder.path().join("old.jsonl");
    let args = ["files", "content", &small, "--force", "-o", path.to_str().expect("a UTF-8 path")];
    let saved = ended(with_a_full_disk(gateway.url()).args(args), b"");
    assert_eq!((saved.code, fs::read(&path).expect("the file")), (0, b"{}\n".to_vec()), "{saved:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_way_out_of_a_full_disk_does_not_lead_to_it() {
    let gateway = Embedded::start();
    let id = gateway.upload(&b"{}\n".repeat(100_000));
    let saved = gateway.lote(["files", "content", &id, "-o", "/dev/full"]);
    assert_eq!(saved.code, 2, "{saved:?}");
    let (error, advice) = saved.stderr.split_once('\n').expect("lines");
    assert!(error.contains("No space left") && advice.contains("on another disk"), "{saved:?}");
    assert!(advice.contains("-o ANOTHER_DISK/full\n") && !advice.contains("/dev/full"), "{saved:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_stdout_that_cannot_be_written_is_exit_2() {
    let gateway = Embedded::start();
    let id = gateway.upload(&b"{}\n".repeat(100_000));
    for args in [&["content", &id][..], &["get", &id], &["list", "--all"]] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("the device");
        let output = at(gateway.url()).arg("files").args(args).stdout(full).output().expect("lote ends");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains("No space left"), "{args:?}: {stderr}");
    }
}

#[test]
fn a_download_stops_when_nobody_reads() {
    let gateway = Embedded::start();
    let id = gateway.upload(&b"{}\n".repeat(100_000));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = at(gateway.url()).args(["files", "content", &id]).stdout(writer).output().expect("lote ends");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_download_that_breaks_off_keeps_its_part_and_says_how_to_go_on() {
    for (broken, of) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"id\":"[..], "6 of 50 bytes"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n{\"id\":\r\n", "6 of an unknown number of bytes"),
    ] {
        let folder = folder(&[]);
        let path = folder.path().join("my output.jsonl");
        let odd = Odd::answering([broken.to_vec()]);
        let saved = ask(odd.url(), ["files", "content", "file-1", "-o", path.to_str().expect("a UTF-8 path")]);
        assert_eq!(saved.code, 4, "{saved:?}");
        assert!(saved.stderr.contains("content of file file-1") && saved.stderr.contains(of), "{saved:?}");
        let again =
            format!("\n  lote files content file-1 --base-url {}/api/v1/llm -o '{}'\n", odd.url(), path.display());
        assert!(saved.stderr.ends_with(&again), "{saved:?}");
        assert_eq!(names(folder.path()), ["my output.jsonl.lote-part", "my output.jsonl.lote-part.json"]);
        assert_eq!(std::fs::read(folder.path().join("my output.jsonl.lote-part")).expect("a part"), b"{\"id\":");
    }
}

#[cfg(unix)]
#[test]
fn a_download_that_is_stopped_leaves_nothing() {
    use std::io::Write;

    let folder = folder(&[]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let child = at(&url)
        .args(["files", "content", "file-1", "-o", folder.path().join("output.jsonl").to_str().expect("UTF-8")])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("lote starts");
    let (mut connection, _) = listener.accept().expect("it connects");
    crate::service::read(&connection);
    connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"id\":").expect("half an answer");
    crate::common::until("the file is begun", || !names(folder.path()).is_empty());
    crate::common::signal(&child, "INT");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(names(folder.path()).is_empty(), "{:?}", names(folder.path()));
}

#[test]
fn a_deletion_is_believed_only_when_the_service_says_so() {
    for (body, code) in [(json!({"id": "file-1", "deleted": true}), 0), (json!({"id": "file-1", "deleted": false}), 4)]
    {
        let deleted = ask(Odd::saying(&body).url(), ["files", "delete", "file-1"]);
        assert_eq!((deleted.code, &json(&deleted)["deleted"]), (code, &body["deleted"]), "{deleted:?}");
    }
    let odd = Odd::answering([b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec()]);
    let deleted = ask(odd.url(), ["files", "delete", "file-1"]);
    assert_eq!((deleted.code, &json(&deleted)["deleted"]), (0, &Value::Bool(true)), "{deleted:?}");
    let refused = format!(r#"{{"error":{{"message":"{KEY} may not delete"}}}}"#);
    let odd = Odd::answering([answer("403 Forbidden", "application/json", &refused)]);
    let deleted = ask(odd.url(), ["files", "delete", "file-1"]);
    assert_eq!((deleted.code, deleted.stdout.as_str()), (4, ""), "{deleted:?}");
}

#[test]
fn what_is_wrong_here_is_exit_2_and_not_sent() {
    let folder = folder(&[("requests.jsonl", b"{}\n")]);
    let path = |name: &str| folder.path().join(name).to_str().expect("a UTF-8 path").to_owned();
    let (requests, absent) = (path("requests.jsonl"), path("absent.jsonl"));
    let service = Unasked::listen();
    let url = service.url();
    for (args, expected) in [
        (&["get", ""][..], "it is empty"),
        (&["get", ".."], "would reach another path"),
        (&["content", ".."], "would reach another path"),
        (&["content", ""], "it is empty"),
        (&["delete", ".."], "would reach another path"),
        (&["delete", "."], "would reach another path"),
        (&["delete", ""], "it is empty"),
        (&["list", "--after", ".."], "would reach another path"),
        (&["list", "--limit", "0"], "0 is not in 1..=10000"),
        (&["list", "--limit", "10001"], "10001 is not in 1..=10000"),
        (&["list", "--order", "up"], "[possible values: asc, desc]"),
        (&["list", "--sha256", "abc"], "give 64 hexadecimal digits"),
        (&["upload"], "PATH"),
        (&["upload", &absent], &absent),
        (&["upload", folder.path().to_str().expect("a UTF-8 path")], "directory"),
        (&["upload", &requests, "--purpose", "batches"], "[possible values: assistants, batch,"),
        (&["upload", &requests, "--file-name", ""], "a value is required for '--file-name"),
        (&["upload", &requests, "--file-name", " "], "the file has no name"),
        (&["upload", &requests, "--expires-after", "31d"], "2678400 is out of range"),
    ] {
        let ended = ask(&url, ["files"].iter().chain(args));
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{args:?}: {ended:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(expected), "{args:?}: {ended:?}");
        service.assert(args);
    }
}

#[test]
fn an_output_that_cannot_be_made_is_exit_2_and_named() {
    let gateway = Embedded::start();
    let id = gateway.upload(b"{}\n");
    let folder = folder(&[]);
    for path in [folder.path().join("absent").join("output.jsonl"), folder.path().to_owned()] {
        let path = path.to_str().expect("a UTF-8 path");
        let saved = gateway.lote(["files", "content", &id, "-o", path]);
        assert_eq!((saved.code, saved.stdout.as_str()), (2, ""), "{saved:?}");
        assert!(saved.stderr.contains(path), "{saved:?}");
    }
}
