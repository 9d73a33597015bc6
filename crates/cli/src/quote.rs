//! What a plan will cost, in lines for people.

use lote::prices::{Cost, PriceRead};
use lote::run::{ModelQuote, Quote, ShardQuote};

use crate::out;

/// How many models are listed.
const SHOWN: usize = 20;

/// What input costs, in the table of shards; none when the price of no line is known.
pub(crate) fn cells(quote: &Quote) -> Option<Vec<String>> {
    let is_priced = quote.models.iter().any(|model| model.price.is_some());
    is_priced.then(|| quote.shards.iter().map(cell).collect())
}

fn cell(shard: &ShardQuote) -> String {
    match (shard.unpriced_lines, shard.input) {
        (0, input) => input.to_string(),
        (_, Cost::ZERO) => "?".to_owned(),
        (_, input) => format!("{input} + ?"),
    }
}

/// The sum, and each model; nothing where there is no line.
pub(crate) fn lines(quote: &Quote) -> Vec<String> {
    if quote.models.is_empty() {
        return Vec::new();
    }
    let mut models: Vec<&ModelQuote> = quote.models.iter().collect();
    models.sort_by_key(|model| std::cmp::Reverse(model.lines));
    let mut lines = vec![sum(quote)];
    lines.extend(models.iter().take(SHOWN).map(|model| format!("  {}", one(model))));
    if models.len() > SHOWN {
        lines.push(format!("  and {} more models, see --json", models.len() - SHOWN));
    }
    lines
}

/// When the prices were read.
pub(crate) fn read<'a>(dates: impl Iterator<Item = &'a str>) -> String {
    let mut dates: Vec<&str> = dates.collect();
    dates.sort_unstable();
    match (dates.first(), dates.last()) {
        (Some(first), Some(last)) if first == last => format!(", by prices of {first}"),
        (Some(first), Some(last)) => format!(", by prices of {first} to {last}"),
        _ => String::new(),
    }
}

/// The sum, in a few words.
pub(crate) fn brief(quote: &Quote) -> String {
    let output = match quote.unlimited_lines {
        0 => format!("at most {} for output", quote.output_at_most),
        _ => "no most for output".to_owned(),
    };
    let rest = if quote.unpriced_lines > 0 { " and what is not known" } else { "" };
    format!("about {} for input, {output}{rest}", quote.input)
}

/// What a run was to cost, of one that is at work; none where no price is known, or nobody is paid.
pub(crate) fn quoted(quote: &Quote) -> Option<String> {
    let is_paid =
        quote.models.iter().any(|model| model.price.as_ref().is_some_and(|price| *price != PriceRead::default()));
    let costs = quote.input > Cost::ZERO || quote.output_at_most > Cost::ZERO;
    (is_paid || costs).then(|| format!("quoted: {}", brief(quote)))
}

/// How tokens were taken.
fn counted(quote: &Quote) -> &'static str {
    let lines: u64 = quote.models.iter().map(|model| model.lines).sum();
    match quote.counted_lines {
        0 => "a token for 4 bytes",
        all if all == lines => "tokens counted",
        _ => "tokens counted where the model is known, else a token for 4 bytes",
    }
}

fn sum(quote: &Quote) -> String {
    let read = read(quote.models.iter().filter_map(|model| model.price.as_ref()?.date.as_deref()));
    if quote.models.iter().all(|model| model.price.is_none()) {
        return "cost: not known, as no model here has a known price; --prices names a table of yours".to_owned();
    }
    let output = match quote.unlimited_lines {
        0 => format!("at most {} for output", quote.output_at_most),
        count => format!("no most for output, as {}", unlimited(count)),
    };
    let rest = match quote.unpriced_lines {
        0 => String::new(),
        count => format!("; not counted: {} whose price is not known", out::count(count, "line")),
    };
    let assumed = match quote.assumed_lines {
        0 => String::new(),
        count => format!("; assumed for {}", unlimited(count)),
    };
    let how = counted(quote);
    format!("cost in batches: about {} for input ({how}), {output}{assumed}{read}{rest}", quote.input)
}

fn unlimited(count: u64) -> String {
    format!("{} no limit", out::count(count, "line") + if count == 1 { " sets" } else { " set" })
}

fn one(of: &ModelQuote) -> String {
    let name = of.model.as_deref().unwrap_or("no model named");
    let (lines, tokens) = (out::count(of.lines, "line"), out::count(of.tokens, "token"));
    let about = format!("{name}: {lines}, about {tokens}");
    let (Some(input), Some(output)) = (of.input, of.output_at_most) else {
        return format!("{about}; its price is not known");
    };
    let output = match (of.unlimited_lines, of.lines) {
        (0, _) => format!("output at most {output}"),
        (all, lines) if all == lines => "output without a limit".to_owned(),
        (some, _) => format!("output at most {output}, but {}", unlimited(some)),
    };
    format!("{about}; input about {input}, {output}")
}
