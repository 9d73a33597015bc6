//! What killed gateways leave behind, and what one takes that many clients ask at once.

use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Running, body, create, until};
use crate::common::{command, folder};

#[cfg(unix)]
#[test]
fn what_a_killed_gateway_left_is_removed_by_the_next_one() {
    let folder = folder(&[]);
    let start = || {
        let mut command = command();
        command.env("TMPDIR", folder.path());
        Running::run(command, &[])
    };
    let left = || std::fs::read_dir(folder.path()).expect("a folder").count();
    let mut killed = start();
    killed.upload("one");
    let living = start();
    living.upload("two");
    assert_eq!(left(), 2);
    killed.child.kill().expect("it runs");
    killed.child.wait().expect("it ends");
    assert_eq!(left(), 2);
    let last = start();
    until("the dead one's is gone", || left() == 2);
    // The living one has all that it had.
    assert!(living.ask("GET /v1/files", "k", "", "").contains("r.jsonl"));
    assert!(living.upload("three").is_string());
    living.end();
    last.end();
    assert_eq!(left(), 0);
}

#[cfg(unix)]
#[test]
fn gateways_that_are_killed_while_they_remove_what_others_left_leave_nothing_for_ever() {
    let folder = folder(&[]);
    let left = || std::fs::read_dir(folder.path()).expect("a folder").count();
    let start = || {
        let mut command = command();
        command.env("TMPDIR", folder.path());
        Running::run(command, &[])
    };
    // What dead gateways left: enough that each of the next ones is killed on the way.
    for dead in 0..4 {
        let dead = folder.path().join(format!("lote-gateway-dead{dead}"));
        std::fs::create_dir(&dead).expect("a folder");
        std::fs::write(dead.join("lock"), "").expect("a lock");
        for file in 0..4_000 {
            std::fs::write(dead.join(file.to_string()), "").expect("a file");
        }
    }
    let mut kills = 0;
    while left() > kills && kills < 15 {
        let mut killed = start();
        // It answers while it sweeps.
        assert_eq!(killed.status("/v1", "k"), 200);
        killed.child.kill().expect("it runs");
        killed.child.wait().expect("it ends");
        kills += 1;
    }
    assert!(kills > 1, "the sweeps were over before anything could be killed");
    let last = start();
    until("one folder, its own", || left() == 1);
    last.end();
    assert_eq!(left(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn two_thousand_idle_connections_keep_nobody_out_of_a_gateway_with_few_files() {
    // The limit is set for the gateway alone.
    let mut limited = Command::new("sh");
    let lote = env!("CARGO_BIN_EXE_lote");
    limited.args(["-c", "ulimit -n 256 && exec \"$0\" \"$@\"", lote]);
    let gateway = Running::run(limited, &[]);
    let listen = gateway.ready["listen"].as_str().expect("an address").to_owned();
    let mut idle = Vec::new();
    for _ in 0..500 {
        idle.push(TcpStream::connect(&listen).expect("it listens"));
    }
    let connecting = std::thread::spawn(move || {
        for _ in 0..1_500 {
            idle.push(TcpStream::connect(&listen).expect("it listens"));
        }
        idle
    });
    let file = gateway.upload("one");
    let batch = gateway.post("/v1/batches", "", &create(&file));
    assert!(batch["id"].is_string(), "{batch}");
    let idle = connecting.join().expect("all are connected");
    assert_eq!(gateway.status("/v1", "k"), 200);
    let process = format!("/proc/{}", gateway.child.id());
    let open = std::fs::read_dir(format!("{process}/fd")).expect("a process").count();
    assert!(open < 200, "{open} files are open");
    // And it rests: it does not ask again and again for what it cannot have.
    let used = || -> u64 {
        let stat = std::fs::read_to_string(format!("{process}/stat")).expect("a process");
        let (_, rest) = stat.rsplit_once(')').expect("a name");
        let ticks = rest.split_whitespace().skip(11).take(2);
        ticks.map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
    };
    let (before, begun) = (used(), Instant::now());
    assert_eq!(gateway.status("/v1", "k"), 200);
    std::thread::sleep(Duration::from_secs(1));
    let ticks = used() - before;
    // A hundred ticks are a second of work.
    assert!(ticks < 50, "{ticks} ticks in {:?}", begun.elapsed());
    drop(idle);
}

#[cfg(target_os = "linux")]
#[test]
fn six_megabytes_of_nested_objects_take_no_more_than_the_gateway_has_room_for() {
    let gateway = Running::start(&["--clock", "virtual"]);
    let nested = format!("[{}{{}}]", "{\"a\":{}},".repeat(640_000));
    assert!(nested.len() > 5_700_000);
    let line = format!(
        "{{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{{\"model\":\"m\",\
         \"messages\":[{{\"role\":\"user\",\"content\":\"x\"}}],\"metadata\":{{\"a\":{nested}}}}}}}\n"
    );
    let part = "--b\r\ncontent-disposition: form-data; name=";
    let form =
        format!("{part}\"purpose\"\r\n\r\nbatch\r\n{part}\"file\"; filename=\"r.jsonl\"\r\n\r\n{line}\r\n--b--\r\n");
    let file = body(&gateway.ask("POST /v1/files", "k", "content-type: multipart/form-data; boundary=b\r\n", &form));
    let batch = gateway.post("/v1/batches", "", &create(&file["id"]));
    let path = format!("GET /v1/batches/{}", batch["id"].as_str().expect("an id"));
    let batch = body(&gateway.ask(&path, "k", "", ""));
    assert_eq!((&batch["status"], &batch["request_counts"]["failed"]), (&json!("completed"), &json!(1)), "{batch}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.child.id())).expect("a process");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(kib < 100 * 1024, "{kib} KiB at the most");
}
