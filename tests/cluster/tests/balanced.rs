//! Three gateways behind a load balancer, as docs/gateway.md has them, word for word but for the addresses.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use lote_cluster_tests::consistency::{Witness, lote};
use lote_cluster_tests::{Postgres, S3};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../docs/gateway.md");

const LINES: usize = 1_200;

/// What the page lets an upstream take of one gateway at once, as long as nothing says otherwise.
const AT_ONCE: usize = 256;

const PATIENCE: Duration = Duration::from_secs(120);

/// A process that ends with the test.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, log: &Path) -> Running {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let output = (Stdio::from(log.try_clone().unwrap()), Stdio::from(log));
        Running(command.stdin(Stdio::null()).stdout(output.0).stderr(output.1).spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The one block of the page with this fence.
fn block(fence: &str) -> &'static str {
    let parts: Vec<&str> = PAGE.split(&format!("```{fence}\n")).skip(1).collect();
    let [part] = parts[..] else { panic!("{} blocks of {fence}", parts.len()) };
    part.split_once("\n```").unwrap().0
}

/// The text with addresses of this machine, each of which was in it.
fn here(text: &str, addresses: &[(&str, u16)]) -> String {
    let text = addresses.iter().fold(text.to_owned(), |text, (of_page, port)| {
        assert!(text.contains(of_page), "the page has no {of_page} any more");
        text.replace(of_page, &format!("127.0.0.1:{port}"))
    });
    let served = |line: &&str| !line.trim().starts_with('#');
    assert!(!text.lines().filter(served).any(|line| line.contains("10.0.0.")), "{text}");
    text
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until something is so; in vain, the test fails with what was logged.
async fn until(what: &str, folder: &Path, is_so: impl AsyncFn() -> bool) {
    let since = Instant::now();
    while !is_so().await {
        let logs = || {
            let names = ["gateway-0", "gateway-1", "gateway-2", "balancer", "run"];
            names.map(|name| format!("--- {name}\n{}", fs::read_to_string(folder.join(name)).unwrap_or_default()))
        };
        assert!(since.elapsed() < PATIENCE, "{what}\n{}", logs().concat());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_three_gateways_behind_a_load_balancer_outlive_two_of_them() {
    if Command::new("haproxy").arg("-v").output().is_err() {
        eprintln!("skipped: haproxy is not installed");
        assert!(std::env::var_os("CI").is_none(), "install it");
        return;
    }
    let Some(postgres) = Postgres::start() else { return };
    postgres.sql("postgres", "CREATE DATABASE lote");
    let (s3, witness) = (S3::start().await, Witness::start().await);
    let upstream = witness.url().rsplit_once("/v1").unwrap().0.rsplit_once(':').unwrap().1.parse().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("keys.txt"), "mine = sk-client\n").unwrap();
    let line = |number: usize| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": format!("line-{number} quick")}]});
        let line =
            json!({"custom_id": number.to_string(), "method": "POST", "url": "/v1/chat/completions", "body": body});
        format!("{line}\n")
    };
    fs::write(at("requests.jsonl"), (0..LINES).map(line).collect::<String>()).unwrap();

    // `lote` is the one that was built.
    let path = format!("{}:{}", lote().parent().unwrap().display(), std::env::var("PATH").unwrap());
    let ports = [free_port(), free_port(), free_port()];
    let start = |number: usize| {
        let addresses = [
            ("10.0.0.1:8787", ports[number]),
            ("10.0.0.5:5432", postgres.port()),
            ("10.0.0.6:9000", s3.port()),
            ("10.0.0.7:8000", upstream),
        ];
        // What is killed is to be the gateway, not its shell.
        let script = here(block("sh full"), &addresses).replace("\nlote gateway ", "\nexec lote gateway ");
        let mut shell = Command::new("sh");
        shell.args(["-ec", &script]).current_dir(folder.path()).env("PATH", &path).envs(S3::environment(s3.port()));
        shell.env("SERVER_KEY", "sk-of-the-server").env("LOTE_GATEWAY_LEASE_MS", "2000");
        Running::start(&mut shell, &at(&format!("gateway-{number}")))
    };
    let mut gateways: Vec<Running> = (0..3).map(start).collect();
    let front = free_port();
    let addresses = [
        ("10.0.0.10:8080", front),
        ("10.0.0.1:8787", ports[0]),
        ("10.0.0.2:8787", ports[1]),
        ("10.0.0.3:8787", ports[2]),
    ];
    fs::write(at("haproxy.cfg"), here(block("haproxy"), &addresses) + "\n").unwrap();
    let mut balancer = Command::new("haproxy");
    let _balancer = Running::start(balancer.arg("-f").arg(at("haproxy.cfg")), &at("balancer"));
    let client = {
        drop(rustls::crypto::ring::default_provider().install_default());
        reqwest::Client::builder().no_proxy().build().unwrap()
    };
    let ready = async |port: u16| {
        let answer = client.get(format!("http://127.0.0.1:{port}/readyz")).send().await;
        answer.is_ok_and(|answer| answer.status().is_success())
    };
    for port in ports {
        until("a gateway does not start", folder.path(), async || ready(port).await).await;
    }
    until("the balancer finds no gateway", folder.path(), async || ready(front).await).await;

    let base = format!("http://127.0.0.1:{front}/v1");
    let mut run = Command::new(lote());
    run.args(["run", "requests.jsonl", "--base-url", &base, "--dialect", "openai"]);
    run.env("LOTE_API_KEY", "sk-client").current_dir(folder.path());
    let mut run = Running::start(&mut run, &at("run"));
    let sent = async |lines: usize| witness.count("line-") >= lines;
    until("nothing is sent", folder.path(), async || sent(100).await).await;
    gateways[0].signal(Signal::KILL);
    until("the others do not go on", folder.path(), async || sent(400).await).await;
    gateways[1].signal(Signal::TERM);
    gateways[0] = start(0);
    until("the last two do not go on", folder.path(), async || sent(700).await).await;
    gateways[1] = start(1);

    let since = Instant::now();
    let status = loop {
        match run.0.try_wait().unwrap() {
            Some(status) => break status,
            None if since.elapsed() > PATIENCE => panic!("{}", fs::read_to_string(at("run")).unwrap()),
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    assert!(status.success(), "{}", fs::read_to_string(at("run")).unwrap());

    // Each line has one answer, which is one that was given to it.
    let log = witness.log();
    let results = fs::read_to_string(at("requests.run").join("results.jsonl")).unwrap();
    let mut answered = BTreeSet::new();
    for line in results.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let id = line["custom_id"].as_str().unwrap();
        let text = line.pointer("/response/body/choices/0/message/content").and_then(Value::as_str).unwrap();
        let [name, _, answer] = text.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert_eq!(name, format!("line-{id}"));
        assert_eq!(log[answer.parse::<usize>().unwrap()].line, name);
        assert!(answered.insert(id.to_owned()), "two results of line {id}");
    }
    assert_eq!(answered.len(), LINES);
    // What the killed one had in flight was sent again, with the same key; what the other one had was not.
    let mut keys: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for sent in &log {
        keys.entry(&sent.line).or_default().push(&sent.key);
    }
    let again = keys.values().filter(|keys| keys.len() > 1).count();
    assert!(again <= AT_ONCE, "{again} lines were sent again");
    assert!(keys.values().all(|keys| keys.len() <= 2 && keys.iter().all(|key| *key == keys[0])), "{keys:?}");
}
