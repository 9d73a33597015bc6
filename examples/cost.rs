//! The program of the guide's page "cost": what requests will cost, and what their answers did cost.
//! It runs against an embedded gateway, whatever LOTE_API_KEY says. `cargo run --example cost`

#![expect(clippy::print_stdout, reason = "printing is what an example does")]

use std::error::Error;

use lote::{
    Client,
    prices::{Cost, Prices},
    request::{ChatCompletion, RequestFile},
    run::{PlanOptions, Run, plan},
};
use lote_gateway::Gateway;

const PRICES: &str = r#"
[[price]]
models = ["auto"]
input = 0.50
output = 2.00
batch = 0.5
"#;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    let requests = place.path().join("requests.jsonl");
    let gateway = Gateway::builder().start().await?;
    let client = Client::builder().base_url(gateway.url()).api_key("any").build()?;
    let prices = Prices::from_toml(PRICES)?;

    let mut file = RequestFile::create(&requests)?;
    for (id, text) in [("q1", "1 + 1?"), ("q2", "2 + 2?")] {
        file.push(&ChatCompletion::new("auto").max_completion_tokens(200).user(text).line(id)?)?;
    }
    file.finish()?;

    let plan = plan([&requests], &PlanOptions::new().prices(prices.clone()))?;
    let quote = plan.quote.ok_or("no prices were given")?;
    println!("about {} for input, at most {} for output", quote.input, quote.output_at_most);
    assert_eq!((quote.output_at_most.exact().as_str(), quote.unlimited_lines), ("0.0004", 0));

    let report = Run::new(&client, &requests).prices(prices.clone()).execute().await?;
    if let Some(invoice) = &report.invoice {
        let charges = &invoice.charges;
        println!("{:?}, of which for answers that were cut off {:?}", charges.total.cost, charges.cut_off.cost);
    }

    let mut sum = Cost::ZERO;
    for outcome in report.outcomes()? {
        let outcome = outcome?;
        let price = outcome.model().and_then(|model| prices.find(model));
        match price.zip(outcome.usage()).and_then(|(price, usage)| price.batch_cost(&usage)) {
            Some(cost) => sum += cost,
            None => println!("{}: what it cost is not known", outcome.custom_id()),
        }
    }
    println!("{sum}");
    assert_eq!(report.invoice.and_then(|invoice| invoice.charges.total.cost), Some(sum));
    assert!(sum > Cost::ZERO && sum <= quote.input + quote.output_at_most, "{sum}");
    Ok(())
}
