//! Any table is a table of prices or an error, and what tokens cost by it can be asked of every model.

use lote::{
    Usage,
    prices::{Cost, Prices},
};

use crate::text;

/// One trial.
pub fn prices(data: &[u8]) {
    let text = text(data);
    if let Ok(cost) = text.parse::<Cost>() {
        assert_eq!(cost.exact().parse::<Cost>().ok(), Some(cost));
        assert!(cost.to_string().starts_with('$'));
    }
    match Prices::from_toml(text) {
        Err(error) => assert!(error.is_invalid() && error.to_string().starts_with("prices the table")),
        Ok(prices) => {
            for model in text.split(['\'', '"']).chain(["gpt-4.1-2025-04-14", ""]) {
                let Some(price) = prices.find(model) else { continue };
                for tokens in [0, 1, 272_001, u64::MAX] {
                    let mut usage = Usage::default();
                    (usage.input_tokens, usage.cached_tokens, usage.output_tokens) = (tokens, tokens / 2, tokens);
                    let _ = (price.cost(&usage), price.batch_cost(&usage), price.source(), price.date());
                }
            }
            let _ = prices.at("https://api.openai.com/v1").find("gpt-4.1");
        }
    }
}
