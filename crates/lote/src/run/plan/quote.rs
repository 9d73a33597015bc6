//! What the lines of a plan will cost, as far as that can be told before they are sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::tokens;
use crate::{
    lines::CheckedLine,
    prices::{Cost, Price, PriceRead, Prices},
    tokens::Counter,
};

/// What the lines of a plan will cost in batches, before they are sent: about, for what is read, and at most, for what is
/// written. [`PlanOptions::prices`](super::dry::PlanOptions::prices) asks for it.
///
/// Tokens are taken by a rule: a token for each four bytes of a line, rounded up, the names of its fields and all else in it
/// included. Text in English has about as many; another script has more, a picture in the line far fewer. With the feature
/// `tokens`, [`PlanOptions::count_tokens`](super::dry::PlanOptions::count_tokens) has them counted for the models whose
/// vocabulary is known. What is written can be bounded where the lines say it: by `max_completion_tokens`, `max_tokens` or
/// `max_output_tokens`, for each of the `n` (or `best_of`) answers that they ask for.
///
/// Costs are texts in JSON, in dollars with every digit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Quote {
    /// By model, in the order of their names; lines that name none come first.
    pub models: Vec<ModelQuote>,
    /// By shard, in their order; of a run that is begun they are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shards: Vec<ShardQuote>,
    /// About how many tokens all lines have.
    pub tokens: u64,
    /// Of how many lines the tokens were counted; those of the others are taken by the rule.
    pub counted_lines: u64,
    /// The most tokens that the lines may be answered with which set a limit, or are taken to.
    pub output_tokens_at_most: u64,
    /// About what the input of all lines costs whose price is known.
    pub input: Cost,
    /// The most that the output of those lines may cost which set a limit.
    pub output_at_most: Cost,
    /// How many lines of models with a known price set no limit. When there are any, output may cost more than that.
    pub unlimited_lines: u64,
    /// How many lines set no limit, and were taken to be answered with so many tokens as was
    /// [assumed](super::dry::PlanOptions::assume_output_tokens).
    #[serde(default, skip_serializing_if = "is_none")]
    pub assumed_lines: u64,
    /// How many lines have a model whose price is not known, or none. Their costs are in no sum.
    pub unpriced_lines: u64,
}

fn is_none(lines: &u64) -> bool {
    *lines == 0
}

/// The lines of one model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelQuote {
    /// The model; `None` for lines that name none.
    pub model: Option<String>,
    /// Request lines.
    pub lines: u64,
    /// About how many tokens they have.
    pub tokens: u64,
    /// Of how many lines they were counted, by the vocabulary of the model.
    pub counted_lines: u64,
    /// Where and when the price of the model was read; `None` when it is not known, and then nothing below is.
    pub price: Option<PriceRead>,
    /// About what the input costs.
    pub input: Option<Cost>,
    /// The most tokens that the lines may be answered with which set a limit, or are taken to.
    pub output_tokens_at_most: u64,
    /// The most that those tokens may cost.
    pub output_at_most: Option<Cost>,
    /// How many lines set no limit.
    pub unlimited_lines: u64,
}

/// The lines of one shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ShardQuote {
    /// The number of the shard.
    pub number: u32,
    /// About what the input of those of its lines costs whose price is known.
    pub input: Cost,
    /// How many of its lines have a model whose price is not known.
    pub unpriced_lines: u64,
}

/// How lines are quoted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::run) struct Manner {
    /// Their tokens are counted, where that can be done.
    pub(in crate::run) counts: bool,
    /// What the answer to a line may have that sets no limit.
    pub(in crate::run) assumed: Option<u64>,
    /// They are sent one by one, and not in batches.
    pub(in crate::run) at_once: bool,
}

/// Sums up the lines while they are cut into shards.
#[derive(Debug)]
pub(in crate::run) struct Quoting {
    prices: Prices,
    manner: Manner,
    models: BTreeMap<String, OfModel>,
    /// Of the lines that name no model.
    nameless: OfModel,
    shards: Vec<ShardQuote>,
    assumed_lines: u64,
}

/// A line, as far as it matters to what it costs.
#[derive(Clone, Copy)]
struct Line<'a> {
    endpoint: &'a str,
    canonical: &'a [u8],
    output_limit: Option<u64>,
}

impl Quoting {
    pub(in crate::run) fn new(prices: Prices, manner: Manner) -> Self {
        let (models, nameless) = (BTreeMap::new(), OfModel::new(None, None, None));
        Self { prices, manner, models, nameless, shards: Vec::new(), assumed_lines: 0 }
    }

    /// A line went into a shard.
    pub(in crate::run) fn line(&mut self, shard: u32, line: &CheckedLine<'_>) {
        let CheckedLine { endpoint, canonical, output_limit, model, .. } = *line;
        self.add(shard, model, Line { endpoint, canonical, output_limit });
    }

    /// A line of a shard, as it is sent, that was checked before.
    pub(in crate::run) fn sent(&mut self, shard: u32, endpoint: &str, canonical: &[u8]) {
        #[derive(Deserialize)]
        struct Sent {
            body: Body,
        }
        /// What is no number of tokens is no limit.
        #[derive(Deserialize)]
        struct Body {
            model: Option<String>,
            max_completion_tokens: Option<serde_json::Value>,
            max_tokens: Option<serde_json::Value>,
            max_output_tokens: Option<serde_json::Value>,
            n: Option<serde_json::Value>,
            best_of: Option<serde_json::Value>,
        }
        let sent = serde_json::from_slice::<Sent>(canonical).ok();
        let (mut model, mut output_limit) = (None, None);
        if let Some(Sent { body }) = sent {
            let Body { max_completion_tokens, max_tokens, max_output_tokens, n, best_of, .. } = body;
            let most = |values: &[Option<serde_json::Value>]| {
                values.iter().flatten().filter_map(serde_json::Value::as_u64).max()
            };
            let answers = most(&[n, best_of]).unwrap_or(1).max(1);
            output_limit = most(&[max_completion_tokens, max_tokens, max_output_tokens])
                .map(|limit: u64| limit.saturating_mul(answers));
            model = body.model;
        }
        self.add(shard, model.as_deref(), Line { endpoint, canonical, output_limit });
    }

    fn add(&mut self, shard: u32, model: Option<&str>, line: Line<'_>) {
        let of = match model {
            None => &mut self.nameless,
            Some(model) => {
                if !self.models.contains_key(model) {
                    let price = self.prices.find(model).cloned();
                    let counter = if self.manner.counts { Counter::of(model) } else { None };
                    self.models.insert(model.to_owned(), OfModel::new(Some(model), price, counter));
                }
                match self.models.get_mut(model) {
                    Some(of) => of,
                    None => return,
                }
            }
        };
        // What only reads writes nothing.
        let reads = matches!(line.endpoint, "/v1/embeddings" | "/v1/moderations");
        let limit = if reads { Some(0) } else { line.output_limit };
        self.assumed_lines += u64::from(limit.is_none() && self.manner.assumed.is_some());
        let input = of.add(line, limit.or(self.manner.assumed), self.manner.at_once);
        let shard = self.shard(shard);
        match input {
            Some(input) => shard.input += input,
            None => shard.unpriced_lines += 1,
        }
    }

    fn shard(&mut self, number: u32) -> &mut ShardQuote {
        let at = (number as usize).saturating_sub(1);
        while self.shards.len() <= at {
            let number = self.shards.len() as u32 + 1;
            self.shards.push(ShardQuote { number, input: Cost::ZERO, unpriced_lines: 0 });
        }
        &mut self.shards[at]
    }

    pub(in crate::run) fn finish(self) -> Quote {
        let Self { models, nameless, shards, assumed_lines, .. } = self;
        let nameless = (nameless.quote.lines > 0).then_some(nameless);
        let models: Vec<_> = nameless.into_iter().chain(models.into_values()).map(|of| of.quote).collect();
        let priced = || models.iter().filter(|model| model.price.is_some());
        let sum = |of: fn(&ModelQuote) -> u64| models.iter().map(of).fold(0, u64::saturating_add);
        Quote {
            tokens: sum(|model| model.tokens),
            counted_lines: sum(|model| model.counted_lines),
            output_tokens_at_most: sum(|model| model.output_tokens_at_most),
            input: priced().filter_map(|model| model.input).sum(),
            output_at_most: priced().filter_map(|model| model.output_at_most).sum(),
            unlimited_lines: priced().map(|model| model.unlimited_lines).sum(),
            assumed_lines,
            unpriced_lines: models.iter().filter(|model| model.price.is_none()).map(|model| model.lines).sum(),
            models,
            shards,
        }
    }
}

/// The lines of one model, and how they are counted.
#[derive(Debug)]
struct OfModel {
    quote: ModelQuote,
    price: Option<Price>,
    counter: Option<Counter>,
}

impl OfModel {
    fn new(model: Option<&str>, price: Option<Price>, counter: Option<Counter>) -> Self {
        let nothing = price.as_ref().map(|_| Cost::ZERO);
        let quote = ModelQuote {
            model: model.map(str::to_owned),
            lines: 0,
            tokens: 0,
            counted_lines: 0,
            price: price.as_ref().map(Price::read),
            input: nothing,
            output_tokens_at_most: 0,
            output_at_most: nothing,
            unlimited_lines: 0,
        };
        Self { quote, price, counter }
    }

    /// About what the input of the line costs, if its price is known.
    fn add(&mut self, line: Line<'_>, limit: Option<u64>, at_once: bool) -> Option<Cost> {
        let Self { quote, price, counter } = self;
        let counted = counter.as_ref().and_then(|counter| counter.line(line.endpoint, line.canonical));
        let tokens = counted.unwrap_or_else(|| tokens(line.canonical.len() as u64 + 1));
        quote.lines += 1;
        quote.counted_lines += u64::from(counted.is_some());
        quote.tokens = quote.tokens.saturating_add(tokens);
        let (input, output) = match price {
            None => (None, None),
            Some(price) => {
                let (input, output) = price.parts(tokens, limit.unwrap_or_default(), at_once);
                (Some(input), if limit == Some(0) { Some(Cost::ZERO) } else { output })
            }
        };
        // Output that has no price has no most either.
        match limit.filter(|_| price.is_none() || output.is_some()) {
            Some(limit) => quote.output_tokens_at_most = quote.output_tokens_at_most.saturating_add(limit),
            None => quote.unlimited_lines += 1,
        }
        if let (Some(sum), Some(most), Some(_)) = (&mut quote.output_at_most, output, limit) {
            *sum += most;
        }
        if let (Some(sum), Some(input)) = (&mut quote.input, input) {
            *sum += input;
        }
        input
    }
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
