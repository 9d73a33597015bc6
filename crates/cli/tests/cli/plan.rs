//! Owns the tests of `lote plan`: what is printed, and the exit codes. How lines are cut is tested in lote.

use crate::common::{command, ended, folder, lote, lote_in, lote_with, names, repository};
use serde_json::{Value, json};

fn chat(custom_id: &str, model: &str) -> String {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"x"}}]}}"#);
    format!("{{\"custom_id\":\"{custom_id}\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{body}}}\n")
}

fn embeddings(custom_id: &str) -> String {
    let body = r#"{"model":"e","input":["x","y"]}"#;
    format!("{{\"custom_id\":\"{custom_id}\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":{body}}}\n")
}

#[test]
fn the_shards_are_a_table() {
    let one = chat("1", "m").len();
    let files = folder(&[
        ("a.jsonl", (chat("1", "m") + &chat("2", "m") + &chat("3", "n")).as_bytes()),
        ("b.jsonl", (chat("4", "m") + &embeddings("5")).as_bytes()),
    ]);
    let run = |flags: &[&str]| {
        let mut command = command();
        ended(command.current_dir(files.path()).args(["plan", "a.jsonl", "b.jsonl"]).args(flags), b"")
    };
    let plain = run(&["--shard-lines", "3"]);
    let (three, one_text, texts) = (3 * one, one.to_string(), embeddings("5").len());
    let total = 4 * one + texts;
    let expected = format!(
        "shard  lines  bytes  texts  endpoint\n\
         {:>5}  {:>5}  {three:>5}  {:>5}  /v1/chat/completions\n\
         {:>5}  {:>5}  {one_text:>5}  {:>5}  /v1/chat/completions\n\
         {:>5}  {:>5}  {texts:>5}  {:>5}  /v1/embeddings\n\
         3 shards: 5 request lines, {total} bytes, models: m (3), e (1), n (1)\n\
         cost: not known, as no model here has a known price; --prices names a table of yours\n  \
         m: 3 lines, about {} tokens; its price is not known\n  \
         e: 1 line, about {} tokens; its price is not known\n  \
         n: 1 line, about {} tokens; its price is not known\n",
        1,
        3,
        0,
        2,
        1,
        0,
        3,
        1,
        2,
        3 * one.div_ceil(4),
        texts.div_ceil(4),
        one.div_ceil(4)
    );
    assert_eq!((plain.code, plain.stdout, plain.stderr.as_str()), (0, expected, ""));
    // OpenAI's batches have one model.
    let openai = run(&["--dialect", "openai", "--limit", "4"]);
    assert_eq!(openai.code, 0, "{openai:?}");
    assert!(openai.stdout.contains("endpoint              model\n"), "{openai:?}");
    assert!(openai.stdout.contains("  /v1/chat/completions  n\n2 shards: 4 request lines, "), "{openai:?}");
    // Nothing was written.
    assert_eq!(names(files.path()), ["a.jsonl", "b.jsonl"]);
}

const PRICES: &str = "
[[price]]
models = ['m']
input = 1000
output = 4000
batch = 0.5
date = 2026-11-05
";

/// A line whose canonical form has so many bytes, with its end.
fn long(custom_id: &str, model: &str, more: &str, bytes: usize) -> String {
    let line = |pad: usize| {
        let line = chat(custom_id, model);
        line.replace(r#""content":"x"}]"#, &format!(r#""content":"{}"}}]{more}"#, "x".repeat(pad)))
    };
    let line = line(1 + bytes - line(1).len());
    assert_eq!(line.len(), bytes);
    line
}

#[test]
fn the_quote_is_told_by_shard_and_model() {
    let limited = r#","max_completion_tokens":10,"n":2"#;
    let files = folder(&[
        (
            "a.jsonl",
            (long("1", "m-2026-01-02", limited, 400) + &long("2", "m-2026-01-02", "", 401) + &embeddings("3"))
                .as_bytes(),
        ),
        ("b.jsonl", (long("4", "m", limited, 800) + &long("5", "gpt-4.1-mini", "", 4000)).as_bytes()),
        ("prices.toml", PRICES.as_bytes()),
    ]);
    let run = |args: &[&str]| lote_in(command(), files.path(), &[&["plan", "--prices", "prices.toml"], args].concat());
    let plain = run(&["a.jsonl", "b.jsonl"]);
    assert_eq!((plain.code, plain.stderr.as_str()), (0, ""), "{plain:?}");
    let (tokens, total) = (embeddings("3").len().div_ceil(4), embeddings("3").len() + 5601);
    // 201, 200 and 1000 tokens at half of $1000 and $0.40 a million; 20 tokens of output twice at half of $4000.
    let expected = format!(
        "shard  lines  bytes  texts  input  endpoint\n    \
         1      4   5601      0  $0.21  /v1/chat/completions\n    \
         2      1    {:>3}      2      ?  /v1/embeddings\n\
         2 shards: 5 request lines, {total} bytes, models: m-2026-01-02 (2), e (1), gpt-4.1-mini (1), m (1)\n\
         cost in batches: about $0.21 for input (a token for 4 bytes), no most for output, as 2 lines set no limit, by \
         prices of 2026-09-13 to 2026-11-05; not counted: 1 line whose price is not known\n  \
         m-2026-01-02: 2 lines, about 201 tokens; input about $0.11, output at most $0.04, but 1 line sets no limit\n  \
         e: 1 line, about {tokens} tokens; its price is not known\n  \
         gpt-4.1-mini: 1 line, about 1000 tokens; input about $0.0002, output without a limit\n  \
         m: 1 line, about 200 tokens; input about $0.10, output at most $0.04\n",
        embeddings("3").len()
    );
    assert_eq!(plain.stdout, expected);
    let quote: Value = serde_json::from_str(&run(&["a.jsonl", "b.jsonl", "--json"]).stdout).expect("JSON");
    let quote = &quote["quote"];
    assert_eq!((&quote["input"], &quote["output_at_most"]), (&json!("0.2007"), &json!("0.08")), "{quote}");
    assert_eq!((&quote["unlimited_lines"], &quote["unpriced_lines"]), (&json!(2), &json!(1)), "{quote}");
    assert_eq!(quote["shards"][1], json!({"number": 2, "input": "0", "unpriced_lines": 1}));
    assert_eq!(
        quote["models"][3],
        json!({
            "model": "m-2026-01-02", "lines": 2, "tokens": 201, "counted_lines": 0, "price": {"source": null, "date": "2026-11-05"},
            "input": "0.1005", "output_tokens_at_most": 20, "output_at_most": "0.04", "unlimited_lines": 1,
        })
    );
    assert_eq!(quote["models"][0]["input"], json!(null));
    // All limited: there is a most.
    let limited = run(&["b.jsonl", "--limit", "1"]).stdout;
    let told = "cost in batches: about $0.10 for input (a token for 4 bytes), at most $0.04 for output, by prices of 2026-11-05\n";
    assert!(limited.contains(told), "{limited}");
}

#[test]
fn whose_prices_are_meant_is_said_by_the_service_or_the_dialect() {
    let line = chat("1", "gpt-4.1-mini");
    let files = folder(&[("a.jsonl", line.as_bytes()), ("server.toml", b"name = \"ours\"\nextends = \"vllm\"\n")]);
    for (args, known) in [
        (vec![], true),
        (vec!["--dialect", "openai"], true),
        (vec!["--dialect", "mka1"], false),
        (vec!["--dialect", "azure"], false),
        (vec!["--dialect", "./server.toml"], false),
        (vec!["--base-url", "https://api.openai.com/v1"], true),
        (vec!["--base-url", "https://apigw.mka1.com"], false),
        (vec!["--base-url", "https://api.openai.com.example.org/v1"], false),
        // The dialect of OpenAI is spoken by many.
        (vec!["--base-url", "http://127.0.0.1:8000/v1", "--dialect", "openai"], false),
    ] {
        let ended = lote_in(command(), files.path(), &[&["plan", "a.jsonl"], &args[..]].concat());
        assert_eq!(ended.code, 0, "{ended:?}");
        let is_known = !ended.stdout.contains("cost: not known, as no model here has a known price");
        assert_eq!(is_known, known, "{args:?}: {ended:?}");
    }
}

#[cfg(not(feature = "full"))]
#[test]
fn what_needs_tokens_counted_is_refused_by_the_default_shape_which_says_how_to_get_the_other() {
    let files = folder(&[("a.jsonl", chat("1", "m").as_bytes())]);
    for flag in ["--max-cost", "--max-run-tokens", "--assume-output-tokens"] {
        for command_name in ["plan", "run"] {
            let mut command = command();
            command.env("LOTE_BASE_URL", "http://127.0.0.1:9").env("LOTE_API_KEY", "mk-test");
            let ended = lote_in(command, files.path(), &[command_name, "a.jsonl", flag, "5"]);
            assert_eq!(ended.code, 2, "{ended:?}");
            assert!(ended.stderr.contains(&format!("{flag} is in the full shape of the command")), "{ended:?}");
            assert!(ended.stderr.contains("--features full"), "{ended:?}");
        }
    }
    assert_eq!(names(files.path()), ["a.jsonl"]);
}

#[test]
fn a_fault_of_the_prices_is_told_by_file_and_line() {
    let files =
        folder(&[("a.jsonl", chat("1", "m").as_bytes()), ("bad.toml", b"[[price]]\nmodels = ['m']\ninput = -1\n")]);
    for (args, said) in [
        (["plan", "a.jsonl", "--prices", "bad.toml"], "error: prices bad.toml, line 3, at input: input is less than 0"),
        (["plan", "a.jsonl", "--prices", "gone.toml"], "error: prices gone.toml: "),
    ] {
        let ended = lote_in(command(), files.path(), &args);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{ended:?}");
        assert!(ended.stderr.contains(said), "{ended:?}");
    }
}

#[test]
fn json_is_the_plan() {
    let file = chat("1", "m") + &chat("2", "m");
    let half = (file.len() / 2).to_string();
    let files = folder(&[("a.jsonl", file.as_bytes())]);
    let path = files.path().join("a.jsonl");
    let path = path.to_str().expect("UTF-8");
    let ended = lote(["plan", path, "--json", "--shard-bytes", &half, "--endpoint", "chat"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let plan: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let checked: Value = serde_json::from_str(&lote(["check", path, "--json"]).stdout).expect("JSON");
    for name in ["lines", "bytes", "models", "sha256"] {
        assert_eq!(plan[name], checked[name], "{name}");
    }
    let shards = plan["shards"].as_array().expect("shards");
    assert_eq!(shards.len(), 2);
    let hash = shards[1]["sha256"].clone();
    assert_eq!(hash.as_str().map(str::len), Some(64));
    assert_eq!(
        shards[1],
        json!({
            "number": 2, "endpoint": "/v1/chat/completions", "model": null,
            "lines": 1, "bytes": file.len() / 2, "inputs": 0, "tokens": (file.len() / 2).div_ceil(4), "sha256": hash,
        })
    );
}

#[test]
fn the_examples_are_one_shard() {
    let ended = lote(["plan".as_ref(), repository("examples/requests.jsonl").as_os_str()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("\n1 shard: 60 request lines, "), "{ended:?}");
}

#[test]
fn findings_are_told_with_their_file() {
    let files = folder(&[
        ("a.jsonl", chat("1", "m").as_bytes()),
        ("b.jsonl", (chat("2", "m") + &chat("1", "m") + "{}\n").as_bytes()),
    ]);
    let run = |flags: &[&str]| {
        let mut command = command();
        ended(command.current_dir(files.path()).args(["plan", "a.jsonl", "b.jsonl"]).args(flags), b"")
    };
    let plain = run(&[]);
    assert_eq!(plain.code, 3, "{plain:?}");
    let twice =
        "b.jsonl: line 2 (\"1\"): custom_id was used before, in line 1 of a.jsonl: make it unique in all files\n";
    assert!(plain.stdout.starts_with(twice), "{plain:?}");
    assert!(plain.stdout.contains("b.jsonl: line 3: custom_id is missing"), "{plain:?}");
    assert!(plain.stdout.ends_with("5 findings; there is no plan\n"), "{plain:?}");
    let json: Value = serde_json::from_str(&run(&["--json"]).stdout).expect("JSON");
    assert_eq!(json["findings_total"], 5);
    assert_eq!((&json["findings"][0]["file"], &json["findings"][0]["line"]), (&json!("b.jsonl"), &json!(2)));
    // A line that fits into no shard by itself.
    let long = run(&["--shard-bytes", "20"]);
    assert_eq!(long.code, 3, "{long:?}");
    assert!(long.stdout.contains("a.jsonl: line 1: the line has "), "{long:?}");
    // A finding of the first lines alone counts.
    assert_eq!(run(&["--limit", "2"]).code, 0);
}

#[test]
fn what_cannot_be_planned_is_told() {
    let files = folder(&[]);
    let gone = files.path().join("gone.jsonl");
    let ended = lote(["plan".as_ref(), gone.as_os_str()]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""));
    assert!(ended.stderr.contains("gone.jsonl: cannot be read: "), "{ended:?}");
    let ended = lote(["plan".as_ref(), files.path().as_os_str()]);
    assert!(ended.code == 2 && ended.stderr.contains("is a folder; name files in it"), "{ended:?}");
    for flags in [&["plan"][..], &["plan", "x", "--limit", "0"], &["plan", "x", "--shard-lines", "0"]] {
        assert_eq!(lote(flags).code, 2, "{flags:?}");
    }
}

/// A name that steers the terminal is a name like another.
#[test]
fn what_a_file_says_does_not_steer_the_terminal() {
    let file = chat("1", "\\u001b[31mred") + &chat("2", &"long".repeat(50));
    let files = folder(&[("a.jsonl", file.as_bytes())]);
    let path = files.path().join("a.jsonl");
    let ended = lote(["plan".as_ref(), path.as_os_str(), "--dialect".as_ref(), "openai".as_ref()]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(!ended.stdout.contains('\u{1b}'), "{ended:?}");
    assert!(ended.stdout.contains(&format!("  {}…\n", "long".repeat(15))), "{ended:?}");
}

#[cfg(unix)]
#[test]
fn stdin_is_a_source_too() {
    let ended = lote_with(["plan", "-"], chat("1", "m").as_bytes());
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stdout.contains("\n1 shard: 1 request line, "), "{ended:?}");
    let ended = lote_with(["plan", "-"], b"{");
    assert!(ended.code == 3 && ended.stdout.starts_with("stdin: line 1: "), "{ended:?}");
}

#[test]
fn a_pattern_is_the_files_whose_names_match_in_their_order() {
    let files = [("part-2.jsonl", "b"), ("part-1.jsonl", "a"), ("part-[x].jsonl", "x")];
    let texts = files.map(|(name, id)| (name, chat(id, "m")));
    let place = folder(&texts.each_ref().map(|(name, text)| (*name, text.as_bytes())));
    let printed = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    let planned = |args: &[&str]| {
        let planned = lote_in(command(), place.path(), &[&["plan", "--json"], args].concat());
        assert_eq!(planned.code, 0, "{planned:?}");
        printed(&planned.stdout)["sha256"].as_str().expect("a hash").to_owned()
    };
    assert_eq!(planned(&["part-?.jsonl"]), planned(&["part-1.jsonl", "part-2.jsonl"]));
    assert_eq!(planned(&["part-*.jsonl"]), planned(&["part-1.jsonl", "part-2.jsonl", "part-[x].jsonl"]));
    // What is there by that name is no pattern.
    assert_ne!(planned(&["part-[x].jsonl"]), planned(&["part-1.jsonl"]));
    for (pattern, why) in [("none-*.jsonl", "no file matches it"), ("part-[.jsonl", "invalid range pattern")] {
        for command_name in ["plan", "run"] {
            let refused = lote_in(command(), place.path(), &[command_name, pattern]);
            assert_eq!(refused.code, 2, "{refused:?}");
            assert!(refused.stderr.contains(&format!("{pattern}: ")) && refused.stderr.contains(why), "{refused:?}");
        }
    }
    let ran = lote_in(command(), place.path(), &["run", "part-?.jsonl", "--dir", "all.run", "--embedded", "--json"]);
    assert_eq!((ran.code, printed(&ran.stdout)["lines"].as_u64()), (0, Some(2)), "{ran:?}");
}
