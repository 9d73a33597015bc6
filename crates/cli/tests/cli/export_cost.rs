//! `lote export`: what each row did cost.

use std::fs;

use serde_json::{Value, json};

use crate::common::{command, folder, lote_in, names};
use crate::export::{answered, cells, export, failed, line, place, table};

/// A result line that used these tokens of a model: input, cached input, output.
fn used(id: &str, model: &str, [input, cached, output]: [u64; 3]) -> String {
    let usage = json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": cached}});
    let choices = json!([{"message": {"content": "x"}, "finish_reason": "stop"}]);
    answered(id, &json!({"model": model, "choices": choices, "usage": usage}))
}

#[test]
fn each_row_costs_what_its_own_model_and_tokens_cost_in_a_batch() {
    let results = [
        used("a", "gpt-4.1-mini-2025-04-14", [1000, 0, 100]),
        used("b", "mine", [1000, 900, 7]),
        used("c", "nobody", [5, 0, 5]),
        failed("d", "no"),
        used("e", "gpt-5-nano", [3, 2, 1]),
    ];
    let place = place(&results, "id\ne\na\nd\nx\nc\nb\n");
    let prices = "[[price]]\nmodels = ['mine']\ninput = 2\ncached_input = 1\noutput = 1000\n";
    fs::write(place.path().join("prices.toml"), prices).expect("written");
    let column = |rows: &[Vec<String>]| {
        let at = rows[0].iter().position(|name| name == "cost").expect("a column");
        assert_eq!(rows[0][at - 1..=at + 1], ["output_tokens", "cost", "error_code"]);
        rows[1..].iter().map(|row| row[at].clone()).collect::<Vec<_>>()
    };
    assert_eq!(column(&table(&place, &[])), ["0.00028", "", "", "", "0.00000023"]);
    let own = table(&place, &["--prices", "prices.toml"]);
    assert_eq!(column(&own), ["0.00028", "0.0081", "", "", "0.00000023"]);
    let said = export(&place, &["-o", "t.csv", "--prices", "prices.toml"]).stdout;
    let told = "t.csv: 5 rows, 10 columns\ncost: $0.0084, and 1 row with a model whose price is not known (--prices)\n";
    assert_eq!(said, told);
    let json = export(&place, &["-o", "u.jsonl", "--json"]).stdout;
    let summary: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&summary["cost"], &summary["without_price"]), (&json!("0.00028023"), &json!(2)), "{summary}");
    let lines = fs::read_to_string(place.path().join("u.jsonl")).expect("a table");
    assert!(lines.contains(r#""cost":0.00028,"#) && lines.contains(r#""cost":null"#), "{lines}");
    // Beside rows in another order, of which one has no result.
    let beside = table(&place, &["--rows", "rows.csv", "--id", "{{ id }}", "--prices", "prices.toml"]);
    assert_eq!(column(&beside), ["0.00000023", "0.00028", "", "", "", "0.0081"]);

    // Where no price is known there is no column, and that is said.
    let unknown = self::place(&[used("a", "nobody", [1, 0, 1]), failed("b", "no")], "");
    assert!(!table(&unknown, &[])[0].contains(&"cost".to_owned()));
    let said = export(&unknown, &["-o", "t.csv"]).stdout;
    assert!(said.ends_with("\ncost: not known for 1 row, whose models have no known price (--prices)\n"), "{said}");
    // What costs nothing is known.
    fs::write(unknown.path().join("free.toml"), "[[price]]\nmodels = ['no*']\ninput = 0\noutput = 0\n")
        .expect("written");
    assert_eq!(column(&table(&unknown, &["--prices", "free.toml"])), ["0", ""]);
    fs::write(unknown.path().join("bad.toml"), "[[price]]\nmodels = ['m']\n").expect("written");
    let refused = export(&unknown, &["-o", "v.csv", "--prices", "bad.toml"]);
    assert!(refused.code == 2 && refused.stderr.contains("prices bad.toml, line 1, at [[price]]: input is missing"));
    assert!(!names(unknown.path()).contains(&"v.csv".to_owned()));
}

#[test]
fn a_trial_with_the_embedded_gateway_costs_nothing_and_has_the_column_that_it_will_have() {
    let place = folder(&[]);
    let run = |args: &[&str]| lote_in(command(), place.path(), args);
    let line = |id: &str| {
        line(&json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions",
            "body": {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "x"}]}}))
    };
    fs::write(place.path().join("r.jsonl"), line("a") + &line("b")).expect("written");
    assert_eq!(run(&["run", "r.jsonl", "--embedded"]).code, 0);
    let ended = run(&["export", "r.run", "-o", "-"]);
    let rows = cells(ended.stdout.as_bytes());
    let at = rows[0].iter().position(|name| name == "cost").expect("a column");
    assert_eq!((&*rows[1][at], &*rows[2][at]), ("0", "0"), "{rows:?}");
    assert!(ended.stderr.contains("cost: nothing, as the embedded gateway answered"), "{ended:?}");
    // The same results from elsewhere were paid for.
    let paid = run(&["export", "r.run/results.jsonl", "-o", "-"]);
    assert!(paid.stderr.contains("cost: $0.0000"), "{paid:?}");
}

#[cfg(unix)]
#[test]
fn the_guides_commands_tell_what_requests_will_cost_and_did_cost() {
    use crate::common::repository;
    use crate::service::Embedded;
    use crate::shell::{blocks, shell};

    let page = fs::read_to_string(repository("docs/guide/cost.md")).expect("the page");
    let tables: Vec<&str> =
        page.split("```toml\n").skip(1).map(|part| part.split("```").next().expect("a table")).collect();
    let questions = fs::read(repository("examples/questions.jsonl")).expect("questions");
    let place = folder(&[("prices.toml", tables.concat().as_bytes()), ("questions.jsonl", &questions)]);
    let gateway = Embedded::start();
    let mut said = String::new();
    for code in blocks("docs/guide/cost.md") {
        let ended = shell(&format!("set -e\n{code}"), &gateway, place.path(), &[]);
        assert_eq!(ended.code, 0, "{code}: {ended:?}");
        said.push_str(&ended.stdout);
    }
    assert!(said.contains("cost in batches: about $0.") && said.contains("at most $0."), "{said}");
    assert!(said.contains("by prices of 2026-11-05") && said.contains("output at most $"), "{said}");
    let rows = cells(&fs::read(place.path().join("answers.csv")).expect("a table"));
    let at = rows[0].iter().position(|name| name == "cost").expect("a column");
    assert!(rows.len() > 1 && rows[1..].iter().all(|row| row[at].starts_with("0.0")), "{rows:?}");
    assert!(said.contains("\ncost: $0."), "{said}");
}
