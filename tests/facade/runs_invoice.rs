//! Owns the tests of what runs were to cost and did cost: the quote in their folder beside the invoice, by what the gateway
//! says that its answers used.

use std::fs;

use lote::{
    Client,
    prices::{Cost, Prices},
    run::{Charge, Invoice, Quote, Report, Run, prices_of, status},
};
use lote_gateway::{
    Gateway,
    faults::{Effect, Fault, Operation},
};
use serde_json::{Value, json};

use crate::runs_common::{Place, gateway_with, json_lines};

const PRICES: &str = "
    [[price]]
    models = ['chatty', 'auto']
    input = 2
    output = 1000
    batch = 0.5
    source = 'our contract'
    date = 2026-11-05
    [[price.tier]]
    above = 30
    input = 4
    output = 2000
    [[price]]
    models = ['embed']
    input = 8
    batch = 0.5
    [[price]]
    models = ['free']
    input = 0
    output = 0";

fn line(id: &str, url: &str, body: &Value) -> String {
    json!({"custom_id": id, "method": "POST", "url": url, "body": body}).to_string() + "\n"
}

fn chat(id: &str, model: &str, prompt: &str) -> String {
    limited(id, model, prompt, 400)
}

fn limited(id: &str, model: &str, prompt: &str, most: u32) -> String {
    let messages = json!([{"role": "user", "content": prompt}]);
    line(id, "/v1/chat/completions", &json!({"model": model, "max_completion_tokens": most, "messages": messages}))
}

fn prices() -> Prices {
    Prices::from_toml(PRICES).expect("a table")
}

/// What each result did cost by itself, summed up.
fn by_line(report: &Report, prices: &Prices) -> Cost {
    let outcomes = report.outcomes().expect("outcomes").map(|outcome| outcome.expect("an outcome"));
    outcomes.filter_map(|outcome| prices.find(outcome.model()?)?.batch_cost(&outcome.usage()?)).sum()
}

fn both(report: &Report) -> (&Quote, &Invoice) {
    (report.quote.as_deref().expect("a quote"), report.invoice.as_deref().expect("an invoice"))
}

#[tokio::test]
async fn the_invoice_is_the_sum_of_the_answers_and_within_the_quote_for_every_endpoint() {
    let (gateway, client) = gateway_with(None).await;
    // Some are longer than the tier, as the whole line counts in the quote, and their texts do in the invoice.
    let mut lines: Vec<String> = (0..20).map(|at| chat(&format!("c{at}"), "chatty", &"long ".repeat(at * 3))).collect();
    lines.extend((0..3).map(|at| limited(&format!("s{at}"), "chatty", "tell me a long story, in many words", 1)));
    for at in 0..10 {
        let text = "some words ".repeat(at + 1);
        let body = json!({"model": "chatty", "max_output_tokens": 400, "input": text});
        lines.push(line(&format!("r{at}"), "/v1/responses", &body));
        lines.push(line(&format!("e{at}"), "/v1/embeddings", &json!({"model": "embed", "input": [text, "more"]})));
    }
    let place = Place::new(&lines);
    let report = place.run(&client, 7).prices(prices()).execute().await.expect("a report");
    assert_eq!((report.joined.succeeded, report.joined.lines), (43, 43), "{report:?}");
    let (quote, invoice) = both(&report);
    let cost = invoice.charges.total.cost.expect("a cost");
    assert_eq!(cost, by_line(&report, &prices()), "{invoice:?}");
    assert!(cost > Cost::ZERO && invoice.charges.total.unpriced == 0 && invoice.silent == 0, "{invoice:?}");
    assert_eq!((quote.unlimited_lines, quote.unpriced_lines, quote.counted_lines), (0, 0, 0));
    assert!(cost <= [quote.input, quote.output_at_most].into_iter().sum(), "{cost:?} {quote:?}");
    // By model as well: what is read costs no more than about what was said, and what is written at most that.
    for of in &invoice.models {
        let said = quote.models.iter().find(|said| said.model == of.model).expect("a quote of the model");
        assert_eq!((said.lines, of.attempt), (of.charges.succeeded.answers, 1));
        assert!(of.charges.total.usage.input_tokens <= said.tokens, "{of:?} {said:?}");
        assert!(of.charges.total.usage.output_tokens <= said.output_tokens_at_most, "{of:?} {said:?}");
        assert_eq!(said.price, of.price);
    }
    assert_eq!(invoice.models.len(), 2);
    // Long and short requests cost otherwise, and some are cut off: both were among them.
    assert_eq!(invoice.charges.cut_off.answers, 3, "{invoice:?}");
    assert!(invoice.charges.cut_off.cost.is_some_and(|wasted| wasted > Cost::ZERO && wasted < cost), "{invoice:?}");
    let longest = json_lines(&report.results).iter().filter_map(input).max().expect("tokens");
    assert!(longest > 30, "{longest}");
    // In the folder, and from outside.
    let summary: Value =
        serde_json::from_slice(&fs::read(place.path("requests.run/summary.json")).expect("a summary")).expect("JSON");
    assert_eq!(summary["invoice"]["total"]["cost"], json!(cost.exact()));
    assert_eq!(summary["quote"]["output_at_most"], json!(quote.output_at_most.exact()));
    let told = status(place.path("requests.run")).expect("its status");
    assert_eq!((told.invoice.as_deref(), told.quote.as_deref()), (Some(invoice), Some(quote)));
    drop(gateway);
}

fn input(line: &Value) -> Option<u64> {
    let usage = &line["response"]["body"]["usage"];
    usage["prompt_tokens"].as_u64().or_else(|| usage["input_tokens"].as_u64())
}

#[tokio::test]
async fn prices_that_nobody_knows_are_said_and_free_models_cost_nothing() {
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "free", "x"), chat("b", "chatty", "x"), chat("c", "gpt-4.1-mini", "x")]);
    let report = place.run(&client, 50).prices(prices()).execute().await.expect("a report");
    let (quote, invoice) = both(&report);
    let total = invoice.charges.total;
    // OpenAI's price of a model says nothing of another service.
    assert_eq!((quote.unpriced_lines, total.answers, total.unpriced), (1, 3, 1), "{invoice:?}");
    assert_eq!(total.cost, Some(by_line(&report, &prices().at(client.base_url()))));
    let free = invoice.models.iter().find(|of| of.model.as_deref() == Some("free")).expect("the free one");
    assert_eq!((free.charges.total.cost, free.charges.total.unpriced), (Some(Cost::ZERO), 0));
    let unknown = invoice.models.iter().find(|of| of.model.as_deref() == Some("gpt-4.1-mini")).expect("the other");
    assert_eq!((unknown.charges.total.cost, unknown.price.as_ref()), (None, None));
    assert!(unknown.charges.total.usage.total_tokens > 0, "what it used is told all the same");
}

#[tokio::test]
async fn a_run_keeps_the_prices_that_it_was_told_until_others_are() {
    let cost = |report: &Report| report.invoice.as_ref().and_then(|invoice| invoice.charges.total.cost);
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "chatty", "x"), chat("b", "chatty", "[[status=500]]")]);
    let first = place.run(&client, 50).prices(prices()).execute().await.expect("a report");
    let told = cost(&first).expect("a cost");
    assert_eq!(told, by_line(&first, &prices()));
    // Whoever goes on with it, and whatever they know of prices.
    let open = || Run::open(&client, place.path("requests.run"));
    let again = open().attempts(2).execute().await.expect("a report");
    assert_eq!(cost(&again), Some(by_line(&again, &prices())));
    assert_eq!(
        prices_of(place.path("requests.run")).expect("prices").find("chatty").and_then(|price| price.source()),
        Some("our contract")
    );
    let dearer = Prices::from_toml(&PRICES.replace("output = 1000", "output = 3000")).expect("a table");
    let last = open().attempts(3).prices(dearer.clone()).execute().await.expect("a report");
    assert_eq!(cost(&last), Some(by_line(&last, &dearer)));
    assert!(cost(&last) > Some(told), "{last:?}");
    drop(gateway);
}

#[tokio::test]
async fn answers_that_were_bought_twice_are_on_the_invoice_and_not_among_the_results() {
    // Each line of the first file of answers is there twice.
    let twice = Fault::on(Operation::OutputFile).nth(1).then(Effect::DuplicatedLines { lines: 2 });
    let (_gateway, client) = gateway_with(Some(twice)).await;
    let place = Place::new(&[chat("a", "chatty", "x"), chat("b", "chatty", "y"), chat("c", "chatty", "z")]);
    let report = place.run(&client, 50).prices(prices()).execute().await.expect("a report");
    let (_, invoice) = both(&report);
    assert_eq!(report.joined.succeeded, 3);
    let Charge { answers, usage, .. } = invoice.charges.extra;
    assert_eq!((answers, invoice.charges.succeeded.answers), (2, 3), "{invoice:?}");
    assert!(usage.total_tokens > 0);
    let all = report.joined.usage.total_tokens + usage.total_tokens;
    assert_eq!(invoice.charges.total.usage.total_tokens, all);
}

#[tokio::test]
async fn nobody_is_paid_for_an_embedded_run() {
    let gateway = Gateway::builder().start().await.expect("it starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").build().expect("a client");
    let place = Place::new(&[chat("a", "chatty", "x")]);
    let report = place.run(&client, 50).embedded("one").prices(prices()).execute().await.expect("a report");
    let (_, invoice) = both(&report);
    assert!(invoice.embedded && invoice.charges.total.cost == Some(Cost::ZERO), "{invoice:?}");
    assert!(invoice.charges.total.usage.total_tokens > 0);
}

#[tokio::test]
async fn what_is_asked_for_one_by_one_costs_as_that_and_not_as_a_batch() {
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "chatty", "x"), chat("b", "chatty", &"long ".repeat(40))]);
    let report = place.run(&client, 50).synchronous(true).prices(prices()).execute().await.expect("a report");
    let (quote, invoice) = both(&report);
    let outcomes = report.outcomes().expect("outcomes").map(|outcome| outcome.expect("an outcome"));
    let at_once: Cost = outcomes.filter_map(|outcome| prices().find(outcome.model()?)?.cost(&outcome.usage()?)).sum();
    assert_eq!(invoice.charges.total.cost, Some(at_once));
    assert_eq!(at_once.picodollars(), 2 * by_line(&report, &prices()).picodollars());
    assert!(at_once <= [quote.input, quote.output_at_most].into_iter().sum(), "{quote:?}");
}

#[tokio::test]
async fn lines_that_equal_others_are_paid_for_once() {
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "chatty", "x"), chat("b", "chatty", "x"), chat("c", "chatty", "y")]);
    let report = place.run(&client, 50).dedupe(true).prices(prices()).execute().await.expect("a report");
    let (quote, invoice) = both(&report);
    assert_eq!((report.joined.succeeded, invoice.charges.succeeded.answers, invoice.silent), (3, 2, 0), "{invoice:?}");
    assert_eq!(quote.models.iter().map(|model| model.lines).sum::<u64>(), 2);
    assert_eq!(invoice.charges.total.usage, report.joined.usage);
    assert!(invoice.charges.total.cost < Some(by_line(&report, &prices())), "{invoice:?}");
}
