//! The caps on what a run may cost and use, and tokens that are counted: as the command says them, and as a run holds them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use lote::prices::{Cost, Prices};
use lote::run::{PlanOptions, Progress, Repair, Run, plan};
use lote::{Cadence, Client};
use lote_gateway::{Event, Gateway};
use serde_json::{Value, json};
use tempfile::TempDir;

const PRICES: &str = "
    [[price]]
    models = ['chatty', 'gpt-4o']
    input = 1
    output = 10
    date = 2026-11-05
    [[price]]
    models = ['embed']
    input = 1";

fn chat(id: &str, model: &str, prompt: &str, more: &Value) -> String {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": prompt}]});
    for (name, value) in more.as_object().expect("fields") {
        body[name] = value.clone();
    }
    json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string() + "\n"
}

fn limited(id: &str, prompt: &str) -> String {
    chat(id, "chatty", prompt, &json!({"max_completion_tokens": 1000}))
}

fn place(lines: &[String]) -> TempDir {
    let place = tempfile::tempdir().expect("a folder");
    fs::write(place.path().join("r.jsonl"), lines.concat()).expect("written");
    fs::write(place.path().join("prices.toml"), PRICES).expect("written");
    place
}

/// The exit code, stdout and stderr of the command in a folder.
fn lote(place: &Path, url: Option<&str>, args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lote"));
    for name in ["LOTE_BASE_URL", "LOTE_API_KEY", "LOTE_ON_BEHALF_OF", "LOTE_DIALECT", "LOTE_PROFILE", "LOTE_CONFIG"] {
        command.env_remove(name);
    }
    command
        .env("XDG_CONFIG_HOME", "/nowhere/at/all")
        .env("HOME", "")
        .env("XDG_STATE_HOME", "")
        .env("LOCALAPPDATA", "")
        .env("LOTE_RETRIES", "0");
    if let Some(url) = url {
        command.env("LOTE_BASE_URL", url).env("LOTE_API_KEY", "mk-test");
    }
    let ended = command.current_dir(place).args(args).stdin(Stdio::null()).output().expect("it ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (ended.status.code().expect("a code"), text(ended.stdout), text(ended.stderr))
}

#[test]
fn a_plan_counts_tokens_where_the_model_is_known_and_says_how() {
    let hello = chat("a", "gpt-4o", "hello world", &json!({"max_tokens": 5}));
    let place = place(&[hello.clone(), limited("b", "hello world")]);
    let (code, said, _) = lote(place.path(), None, &["plan", "r.jsonl", "--prices", "prices.toml"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("(tokens counted where the model is known, else a token for 4 bytes)"), "{said}");
    // Three around the message, its role, its two tokens, and three before the answer.
    assert!(said.contains("gpt-4o: 1 line, about 9 tokens;"), "{said}");
    let bytes = limited("b", "hello world").len();
    assert!(said.contains(&format!("chatty: 1 line, about {} tokens;", bytes.div_ceil(4))), "{said}");
    fs::write(place.path().join("r.jsonl"), hello).expect("written");
    let (_, said, _) = lote(place.path(), None, &["plan", "r.jsonl", "--json"]);
    let quote: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!((&quote["quote"]["tokens"], &quote["quote"]["counted_lines"]), (&json!(9), &json!(1)), "{quote}");
}

#[test]
fn a_plan_says_whether_a_run_would_be_refused() {
    let line = limited("a", "x");
    let tokens = line.len().div_ceil(4);
    let place = place(&[line]);
    let plan = |args: &[&str]| {
        let (code, said, err) =
            lote(place.path(), None, &[&["plan", "r.jsonl", "--prices", "prices.toml"], args].concat());
        assert_eq!(err, "");
        let refused = said.split_once("a run is refused: ").map(|(_, why)| why.trim_end().to_owned());
        assert_eq!(code, if refused.is_some() { 3 } else { 0 }, "{said}");
        refused
    };
    // To the last token, and to the last digit of a dollar.
    let all = (tokens + 1000).to_string();
    assert_eq!(plan(&["--max-run-tokens", &all]), None);
    let less = (tokens + 999).to_string();
    let refused = plan(&["--max-run-tokens", &less]).expect("refused");
    assert_eq!(
        refused,
        format!(
            "it may use {all} tokens, more than the {less} that it may use (--max-run-tokens): about {tokens} of input and \
             at most 1000 of output"
        )
    );
    let cost = format!("0.{:06}", tokens + 10_000);
    assert_eq!(plan(&["--max-cost", &cost]), None);
    let refused = plan(&["--max-cost", &format!("0.{:06}", tokens + 9_999)]).expect("refused");
    assert!(
        refused.starts_with("it may cost $0.011, more than the $0.011 that it may cost (--max-cost): about $0.00"),
        "{refused}"
    );
    let (code, said, _) = lote(place.path(), None, &["plan", "r.jsonl", "--max-run-tokens", "1", "--json"]);
    let plan: Value = serde_json::from_str(&said).expect("JSON");
    assert!(code == 3 && plan["refused"].as_str().is_some_and(|why| why.contains("more than the 1")), "{plan}");
}

#[test]
fn what_has_no_most_is_refused_with_what_to_do() {
    let place = place(&[
        limited("a", "x"),
        chat("b", "chatty", "x", &json!({})),
        chat("c", "nobody", "x", &json!({"max_tokens": 1})),
    ]);
    let run = |file: &str, args: &[&str]| {
        lote(place.path(), Some("http://127.0.0.1:9"), &[&["run", file, "--prices", "prices.toml"], args].concat())
    };
    let (code, _, said) = run("r.jsonl", &["--max-cost", "100"]);
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("the price of \"nobody\" is not known") && said.contains("(--prices)"), "{said}");
    assert!(said.contains("nothing was sent"), "{said}");
    let (code, _, said) = run("r.jsonl", &["--max-run-tokens", "100000"]);
    assert!(
        code == 3 && said.contains("1 line sets no limit on the answer") && said.contains("--assume-output-tokens"),
        "{said}"
    );
    // Nothing is left, and nothing was asked of the service, which is not there.
    assert!(!place.path().join("r.run").exists());
    for (args, why) in [
        (["--max-cost=-1", "--json"], "is no amount in dollars"),
        (["--max-cost", "ten"], "is no amount in dollars"),
        (["--max-run-tokens", "0"], "0"),
    ] {
        let (code, _, said) = run("r.jsonl", &args);
        assert!(code == 2 && said.contains(why), "{args:?}: {said}");
    }
    // What is assumed bounds it.
    let assumed = ["--max-run-tokens", "100000", "--assume-output-tokens", "50"];
    let (code, said, _) = lote(place.path(), None, &[&["plan", "r.jsonl"][..], &assumed].concat());
    assert_eq!(code, 0, "{said}");
    let (code, said, _) =
        lote(place.path(), None, &["plan", "r.jsonl", "--max-run-tokens", "200", "--assume-output-tokens", "50"]);
    assert!(code == 3 && said.contains("at most 1051 of output"), "{said}");
}

struct World {
    gateway: Gateway,
    client: Client,
    place: TempDir,
}

impl World {
    async fn of(lines: &[String]) -> Self {
        Self::with(Gateway::builder(), lines).await
    }

    async fn with(gateway: lote_gateway::Builder, lines: &[String]) -> Self {
        let gateway = gateway.journal(true).start().await.expect("it starts");
        let client = Client::builder().base_url(gateway.url()).api_key("mk-test").build().expect("a client");
        Self { gateway, client, place: place(lines) }
    }

    fn run(&self) -> Run {
        let fast = std::time::Duration::from_millis(2);
        let run = Run::new(&self.client, self.place.path().join("r.jsonl")).cadence(Cadence::new(fast, fast));
        run.prices(Prices::from_toml(PRICES).expect("a table"))
    }

    fn open(&self) -> Run {
        Run::open(&self.client, self.place.path().join("r.run"))
    }

    fn batches(&self) -> usize {
        self.gateway.journal().iter().filter(|entry| matches!(entry.event, Event::BatchCreated { .. })).count()
    }
}

#[tokio::test]
async fn another_attempt_that_would_pass_the_cap_is_not_begun_and_the_run_keeps_its_cap() {
    let lines = [limited("a", "x"), limited("b", "[[status=500]]")];
    let world = World::of(&lines).await;
    let quoted = plan(
        [world.place.path().join("r.jsonl")],
        &PlanOptions::new().prices(Prices::from_toml(PRICES).expect("a table")),
    );
    let quote = quoted.expect("a plan").quote.expect("a quote");
    let most = quote.input + quote.output_at_most;
    // Enough for the first attempt by its bound, and for a second one only since the first did cost less.
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let telling = |run: Run| {
        let told = std::sync::Arc::clone(&told);
        run.on_progress(move |progress| {
            if let Progress::Capped { why } = progress {
                told.lock().expect("a lock").push(why.to_owned());
            }
        })
    };
    let report = telling(world.run().max_cost(most).attempts(2)).execute().await.expect("a report");
    assert_eq!((world.batches(), report.joined.succeeded, told.lock().expect("a lock").len()), (2, 1, 0));
    // The cap is the run's, whoever goes on with it.
    let refused = world.open().max_cost("0.001".parse().expect("an amount")).repair(Repair::new()).await;
    let refused = refused.expect_err("it is refused");
    assert!(refused.is_capped() && refused.to_string().contains("of what was sent before"), "{refused}");
    assert!(refused.to_string().contains("nothing more was sent"), "{refused}");
    assert_eq!(world.batches(), 2);
    // One that is refused was not written down: the one of before holds.
    world.open().repair(Repair::new()).await.expect("a report");
    assert_eq!(world.batches(), 3);
    let report = telling(world.open().max_cost("0.01".parse().expect("an amount")).attempts(9)).execute().await;
    let report = report.expect("what there is");
    let said = told.lock().expect("a lock").clone();
    assert_eq!((world.batches(), said.len(), report.joined.failed), (3, 1, 1), "{said:?}");
    assert!(said[0].contains("more than the $0.01 that it may cost (--max-cost)"), "{said:?}");
}

#[tokio::test]
async fn a_cap_that_a_run_is_told_later_holds_from_then_on() {
    let lines: Vec<String> = (0..4).map(|at| limited(&format!("l{at}"), "[[sleep=1500]]")).collect();
    // Batches end when time passes.
    let world = World::with(Gateway::builder().virtual_clock(), &lines).await;
    let limits = lote::lines::Limits { max_lines: 1, ..lote::lines::Limits::default() };
    // One of four batches at a time, and then no more.
    let run = || world.run().limits(limits).max_open(1);
    run().submit().await.expect("one is at work");
    assert_eq!(world.batches(), 1);
    let refused = run().max_run_tokens(3_000).execute().await.expect_err("it is refused");
    assert!(refused.is_capped() && refused.to_string().contains("--max-run-tokens"), "{refused}");
    assert_eq!((world.batches(), refused.batches().len()), (1, 1), "what is at work is named, and goes on");
    let passes = async {
        loop {
            world.gateway.advance(std::time::Duration::from_secs(1)).await;
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    let report = tokio::select! {
        report = run().max_run_tokens(10_000).execute() => report.expect("a report"),
        () = passes => unreachable!("time passes for ever"),
    };
    assert_eq!((world.batches(), report.joined.succeeded), (4, 4));
    // It is over: there is nothing left to be refused, whatever the cap.
    run().max_run_tokens(1).execute().await.expect("the same report");
}

#[tokio::test]
async fn what_is_refused_is_to_the_last_picodollar_and_counts_what_answers_have_used() {
    let world = World::of(&[limited("a", "x")]).await;
    let place = world.place.path().join("r.jsonl");
    let prices = || Prices::from_toml(PRICES).expect("a table");
    let quote = plan([&place], &PlanOptions::new().prices(prices())).expect("a plan").quote.expect("a quote");
    let most = quote.input + quote.output_at_most;
    let less: Cost = {
        let digits = most.picodollars() - 1;
        format!("{}.{:012}", digits / 1_000_000_000_000, digits % 1_000_000_000_000).parse().expect("an amount")
    };
    let refused = world.run().max_cost(less).execute().await.expect_err("it is refused");
    assert!(refused.is_capped() && refused.to_string().ends_with("; nothing was sent"), "{refused}");
    assert!(!world.place.path().join("r.run").exists() && world.batches() == 0);
    let report = world.run().max_cost(most).execute().await.expect("a report");
    assert_eq!((report.joined.succeeded, world.batches()), (1, 1));
    assert!(report.invoice.expect("an invoice").charges.total.cost < Some(most));
}
