//! What the lines of a plan will cost, as far as that can be told before they are sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::tokens;
use crate::{
    lines::CheckedLine,
    prices::{Cost, Price, Prices},
};

/// What the lines of a plan will cost in batches, before they are sent: about, for what is read, and at most, for what is
/// written. [`PlanOptions::prices`](super::dry::PlanOptions::prices) asks for it.
///
/// Tokens are not counted. A line is taken to have a token for each four of its bytes, rounded up, the names of its fields
/// and all else in it included. Text in English has about as many; another script has more, a picture in the line far fewer.
/// What is written can be bounded where the lines say it: by `max_completion_tokens`, `max_tokens` or `max_output_tokens`,
/// for each of the `n` (or `best_of`) answers that they ask for.
///
/// Costs are texts in JSON, in dollars with every digit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Quote {
    /// By model, in the order of their names; lines that name none come first.
    pub models: Vec<ModelQuote>,
    /// By shard, in their order.
    pub shards: Vec<ShardQuote>,
    /// About what the input of all lines costs whose price is known.
    pub input: Cost,
    /// The most that the output of those lines may cost which set a limit.
    pub output_at_most: Cost,
    /// How many lines of models with a known price set no limit. When there are any, output may cost more than that.
    pub unlimited_lines: u64,
    /// How many lines have a model whose price is not known, or none. Their costs are in no sum.
    pub unpriced_lines: u64,
}

/// The lines of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModelQuote {
    /// The model; `None` for lines that name none.
    pub model: Option<String>,
    /// Request lines.
    pub lines: u64,
    /// About how many tokens they have.
    pub tokens: u64,
    /// What the model costs; `None` when that is not known, and then nothing below is. Its JSON is `source` and `date`.
    #[serde(serialize_with = "whence")]
    pub price: Option<Price>,
    /// About what the input costs.
    pub input: Option<Cost>,
    /// The most tokens that the lines may be answered with which set a limit.
    pub output_tokens_at_most: u64,
    /// The most that those tokens may cost.
    pub output_at_most: Option<Cost>,
    /// How many lines set no limit.
    pub unlimited_lines: u64,
}

/// The lines of one shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ShardQuote {
    /// The number of the shard.
    pub number: u32,
    /// About what the input of those of its lines costs whose price is known.
    pub input: Cost,
    /// How many of its lines have a model whose price is not known.
    pub unpriced_lines: u64,
}

fn whence<S: Serializer>(price: &Option<Price>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Whence<'a> {
        source: Option<&'a str>,
        date: Option<&'a str>,
    }
    price.as_ref().map(|price| Whence { source: price.source(), date: price.date() }).serialize(serializer)
}

/// Sums up the lines while they are cut into shards.
#[derive(Debug)]
pub(super) struct Quoting {
    prices: Prices,
    models: BTreeMap<String, ModelQuote>,
    /// Of the lines that name no model.
    nameless: ModelQuote,
    shards: Vec<ShardQuote>,
}

impl Quoting {
    pub(super) fn new(prices: Prices) -> Self {
        Self { prices, models: BTreeMap::new(), nameless: ModelQuote::new(None, None), shards: Vec::new() }
    }

    /// A line went into a shard.
    pub(super) fn line(&mut self, shard: u32, line: &CheckedLine<'_>) {
        let tokens = tokens(line.canonical.len() as u64 + 1);
        let quote = match line.model {
            None => &mut self.nameless,
            Some(model) => {
                if !self.models.contains_key(model) {
                    let price = self.prices.find(model).cloned();
                    self.models.insert(model.to_owned(), ModelQuote::new(Some(model), price));
                }
                match self.models.get_mut(model) {
                    Some(quote) => quote,
                    None => return,
                }
            }
        };
        let input = quote.add(line, tokens);
        let shard = self.shard(shard);
        match input {
            Some(input) => shard.input += input,
            None => shard.unpriced_lines += 1,
        }
    }

    fn shard(&mut self, number: u32) -> &mut ShardQuote {
        let at = number as usize - 1;
        while self.shards.len() <= at {
            let number = self.shards.len() as u32 + 1;
            self.shards.push(ShardQuote { number, input: Cost::ZERO, unpriced_lines: 0 });
        }
        &mut self.shards[at]
    }

    pub(super) fn finish(self) -> Quote {
        let Self { models, nameless, shards, .. } = self;
        let nameless = (nameless.lines > 0).then_some(nameless);
        let models: Vec<_> = nameless.into_iter().chain(models.into_values()).collect();
        let priced = || models.iter().filter(|model| model.price.is_some());
        Quote {
            input: priced().filter_map(|model| model.input).sum(),
            output_at_most: priced().filter_map(|model| model.output_at_most).sum(),
            unlimited_lines: priced().map(|model| model.unlimited_lines).sum(),
            unpriced_lines: shards.iter().map(|shard| shard.unpriced_lines).sum(),
            models,
            shards,
        }
    }
}

impl ModelQuote {
    fn new(model: Option<&str>, price: Option<Price>) -> Self {
        let nothing = price.as_ref().map(|_| Cost::ZERO);
        Self {
            model: model.map(str::to_owned),
            lines: 0,
            tokens: 0,
            price,
            input: nothing,
            output_tokens_at_most: 0,
            output_at_most: nothing,
            unlimited_lines: 0,
        }
    }

    /// About what the input of the line costs, if its price is known.
    fn add(&mut self, line: &CheckedLine<'_>, tokens: u64) -> Option<Cost> {
        self.lines += 1;
        self.tokens = self.tokens.saturating_add(tokens);
        let limit = output_limit(line);
        let (input, output) = match &self.price {
            None => (None, None),
            Some(price) => {
                let (input, output) = price.batch_parts(tokens, limit.unwrap_or_default());
                (Some(input), if limit == Some(0) { Some(Cost::ZERO) } else { output })
            }
        };
        // Output that has no price has no most either.
        match limit.filter(|_| self.price.is_none() || output.is_some()) {
            Some(limit) => self.output_tokens_at_most = self.output_tokens_at_most.saturating_add(limit),
            None => self.unlimited_lines += 1,
        }
        if let (Some(sum), Some(most), Some(_)) = (&mut self.output_at_most, output, limit) {
            *sum += most;
        }
        if let (Some(sum), Some(input)) = (&mut self.input, input) {
            *sum += input;
        }
        input
    }
}

/// The most tokens that the answer to a line may have, if the line sets a limit.
fn output_limit(line: &CheckedLine<'_>) -> Option<u64> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        body: &'a RawValue,
    }
    /// What is no number of tokens is no limit.
    #[derive(Deserialize)]
    struct Body {
        max_completion_tokens: Option<serde_json::Value>,
        max_tokens: Option<serde_json::Value>,
        max_output_tokens: Option<serde_json::Value>,
        n: Option<serde_json::Value>,
        best_of: Option<serde_json::Value>,
    }

    if matches!(line.endpoint, "/v1/embeddings" | "/v1/moderations") {
        return Some(0);
    }
    let line: Line<'_> = serde_json::from_slice(line.canonical).ok()?;
    let text = line.body.get();
    // Some services want the body as a text of JSON.
    let within: String;
    let text = match serde_json::from_str::<String>(text) {
        Ok(decoded) => {
            within = decoded;
            within.as_str()
        }
        Err(_) => text,
    };
    let Body { max_completion_tokens, max_tokens, max_output_tokens, n, best_of } = serde_json::from_str(text).ok()?;
    let number = |value: Option<serde_json::Value>| value.as_ref().and_then(serde_json::Value::as_u64);
    let limit = [max_completion_tokens, max_tokens, max_output_tokens].into_iter().filter_map(number).max()?;
    let answers = [n, best_of].into_iter().filter_map(number).max().unwrap_or(1).max(1);
    Some(limit.saturating_mul(answers))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::run::{Plan, PlanOptions, plan};

    const PRICES: &str = "
        [[price]]
        models = ['cheap']
        input = 1
        output = 10
        batch = 0.5
        [[price.tier]]
        above = 100
        input = 2
        output = 15
        [[price]]
        models = ['embed']
        input = 4
        [[price]]
        models = ['free']
        input = 0
        output = 0";

    fn line(url: &str, id: usize, body: &str) -> String {
        format!("{{\"custom_id\":\"{id}\",\"method\":\"POST\",\"url\":\"{url}\",\"body\":{body}}}\n")
    }

    fn chat(id: usize, model: &str, more: &str) -> String {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"x"}}]{more}}}"#);
        line("/v1/chat/completions", id, &body)
    }

    fn planned(text: &str, options: PlanOptions) -> Plan {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requests.jsonl");
        fs::write(&path, text).unwrap();
        plan([path], &options).unwrap()
    }

    fn quoted(text: &str) -> Quote {
        let prices = Prices::from_toml(PRICES).unwrap();
        planned(text, PlanOptions::new().prices(prices)).quote.unwrap()
    }

    #[test]
    fn nothing_is_quoted_unless_prices_are_given() {
        assert_eq!(planned(&chat(1, "cheap", ""), PlanOptions::new()).quote, None);
    }

    #[test]
    fn input_costs_a_token_for_four_bytes_by_model_and_shard() {
        let (short, unknown) = (chat(1, "cheap", ""), chat(2, "nobody", ""));
        let long = chat(3, "cheap", &format!(r#","user":"{}""#, "x".repeat(600)));
        let embedding = line("/v1/embeddings", 4, r#"{"model":"embed","input":"x"}"#);
        let text = [short.as_str(), &unknown, &long, &embedding].concat();
        let quote = quoted(&text);
        let tokens = |line: &str| (line.len() as u64).div_ceil(4);
        let picos = |tokens: u64, price: u128| u128::from(tokens) * price;
        let cheap = picos(tokens(&short), 500_000) + picos(tokens(&long), 1_000_000);
        let embed = picos(tokens(&embedding), 4_000_000);
        assert!(tokens(&short) <= 100 && tokens(&long) > 100);
        let models: Vec<_> =
            quote.models.iter().map(|of| (of.model.as_deref().unwrap(), of.lines, of.tokens)).collect();
        let expected = [
            ("cheap", 2, tokens(&short) + tokens(&long)),
            ("embed", 1, tokens(&embedding)),
            ("nobody", 1, tokens(&unknown)),
        ];
        assert_eq!(models, expected);
        let inputs: Vec<_> = quote.models.iter().map(|of| of.input.map(Cost::picodollars)).collect();
        assert_eq!(inputs, [Some(cheap), Some(embed), None]);
        let shards: Vec<_> =
            quote.shards.iter().map(|of| (of.number, of.input.picodollars(), of.unpriced_lines)).collect();
        assert_eq!(shards, [(1, cheap, 1), (2, embed, 0)]);
        assert_eq!((quote.input.picodollars(), quote.unpriced_lines), (cheap + embed, 1));
        // Two lines of chats set no limit, and the embedding has no output.
        assert_eq!((quote.unlimited_lines, quote.output_at_most), (2, Cost::ZERO));
    }

    #[test]
    fn output_costs_at_most_what_the_lines_allow() {
        for (more, tokens) in [
            (r#","max_tokens":100"#, Some(100)),
            (r#","max_completion_tokens":100"#, Some(100)),
            (r#","max_tokens":50,"max_completion_tokens":100"#, Some(100)),
            (r#","max_completion_tokens":100,"n":3"#, Some(300)),
            (r#","max_tokens":18446744073709551615,"n":3"#, Some(u64::MAX)),
            (r#","n":3"#, None),
            (r#","max_tokens":null"#, None),
        ] {
            let quote = quoted(&chat(1, "cheap", more));
            let of = &quote.models[0];
            assert_eq!(of.output_tokens_at_most, tokens.unwrap_or_default(), "{more}");
            assert_eq!(of.unlimited_lines, u64::from(tokens.is_none()), "{more}");
            let most = u128::from(tokens.unwrap_or_default()) * 5_000_000;
            assert_eq!(of.output_at_most.map(Cost::picodollars), Some(most), "{more}");
        }
        let responses = line("/v1/responses", 1, r#"{"model":"cheap","input":"x","max_output_tokens":16}"#);
        assert_eq!(quoted(&responses).output_at_most.picodollars(), 80_000_000);
        let completions =
            line("/v1/completions", 1, r#"{"model":"cheap","prompt":"x","max_tokens":2,"n":1,"best_of":4}"#);
        assert_eq!(quoted(&completions).models[0].output_tokens_at_most, 8);
        // Output without a price has no most, and what costs nothing is known.
        let odd = quoted(&chat(1, "embed", r#","max_tokens":1"#));
        assert_eq!((odd.unlimited_lines, odd.unpriced_lines), (1, 0));
        let free = quoted(&chat(1, "free", r#","max_tokens":1"#));
        assert_eq!((free.models[0].input, free.unlimited_lines, free.unpriced_lines), (Some(Cost::ZERO), 0, 0));
    }

    #[test]
    fn its_json_has_costs_as_texts_and_says_where_a_price_was_read() {
        let text = [chat(1, "gpt-4.1-mini-2025-04-14", r#","max_tokens":10"#), chat(2, "nobody", "")].concat();
        let json = serde_json::to_value(quoted(&text)).unwrap();
        assert_eq!(json["models"][0]["price"]["source"], "docs/facts.md, 13", "{json}");
        assert_eq!(json["models"][0]["output_at_most"], "0.000008", "{json}");
        assert!(json["models"][1]["price"].is_null() && json["models"][1]["input"].is_null(), "{json}");
        assert_eq!(json["shards"][0]["input"], json["input"]);
        assert!(json["input"].as_str().unwrap().starts_with("0.0000"), "{json}");
    }
}
