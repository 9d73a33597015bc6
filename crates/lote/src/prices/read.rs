//! Reads a table of prices: every fault names its line, and no number passes through a float.

use std::{collections::BTreeMap, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::price::{Both, Price, Rates};
use crate::{Error, settings};

/// The decimals that a price in dollars for a million tokens may have: those that leave a whole number for one token.
const DECIMALS: usize = 6;

/// The highest price, in dollars for a million tokens: what is more was most likely meant for a thousand tokens, or is in
/// another currency.
const HIGHEST: u128 = 10_000;

/// One dollar for a million tokens, in 1e-12 dollars for one.
const DOLLAR: u128 = 1_000_000;

/// What is wrong, and where in the text.
type Fault = (Range<usize>, String);

/// The entries of a table, in their order.
pub(super) fn read(from: &str, text: &str) -> Result<Vec<Price>, Error> {
    let fault = |(at, message): Fault| settings::refused("prices", from, text, Some(at), &message);
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().unwrap_or(text.len()..text.len());
        fault((at, error.message().to_owned()))
    })?;
    let entries = Entry::new(&table).and_then(|mut whole| {
        let entries = whole.tables("price")?;
        whole.nothing_else("price")?;
        entries.into_iter().map(entry).collect::<Result<Vec<_>, _>>()
    });
    let entries = entries.map_err(fault)?;
    let mut seen = BTreeMap::new();
    for (price, at) in &entries {
        for name in &price.models {
            if let Some(before) = seen.insert(name.as_str(), at.clone()) {
                let line = text.get(..before.start).unwrap_or_default().matches('\n').count() + 1;
                return Err(fault((at.clone(), format!("the model {name:?} has a price in line {line} already"))));
            }
        }
    }
    Ok(entries.into_iter().map(|(price, _)| price).collect())
}

/// One price, and where its models stand.
fn entry(mut entry: Entry<'_>) -> Result<(Price, Range<usize>), Fault> {
    let (models, at) = entry.names("models")?;
    let factor = entry.number("batch", 1)?;
    let rates = entry.rates(factor)?;
    let mut tiers = Vec::new();
    for mut tier in entry.tables("tier")? {
        let above = tier.count("above")?;
        tiers.push((above, tier.rates(factor)?));
        tier.nothing_else("above, input, cached_input, output, batch_input, batch_cached_input and batch_output")?;
    }
    tiers.sort_by_key(|(above, _)| std::cmp::Reverse(*above));
    let (source, date) = (entry.text("source")?, entry.date("date")?);
    entry.nothing_else(
        "models, input, cached_input, output, batch, batch_input, batch_cached_input, batch_output, tier, source and date",
    )?;
    Ok((Price { models, rates, tiers, source, date }, at))
}

/// The keys of a table that were not taken yet.
struct Entry<'t> {
    at: Range<usize>,
    keys: BTreeMap<&'t str, (Range<usize>, &'t Spanned<DeValue<'t>>)>,
}

impl<'t> Entry<'t> {
    fn new(table: &'t Spanned<DeTable<'t>>) -> Result<Self, Fault> {
        Ok(Self::of(table.span(), table.get_ref()))
    }

    fn of(at: Range<usize>, table: &'t DeTable<'t>) -> Self {
        let keys = table.iter().map(|(key, value)| (key.get_ref().as_ref(), (key.span(), value)));
        Self { at, keys: keys.collect() }
    }

    fn take(&mut self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.keys.remove(key).map(|(_, value)| value)
    }

    fn needed(&mut self, key: &str) -> Result<&'t Spanned<DeValue<'t>>, Fault> {
        self.take(key).ok_or_else(|| (self.at.clone(), format!("{key} is missing")))
    }

    fn nothing_else(&self, known: &str) -> Result<(), Fault> {
        let unknown = self.keys.iter().min_by_key(|(_, (at, _))| at.start);
        unknown.map_or(Ok(()), |(key, (at, _))| Err((at.clone(), format!("{key:?} is not known here; known: {known}"))))
    }

    fn tables(&mut self, key: &str) -> Result<Vec<Entry<'t>>, Fault> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let wrong = |at: Range<usize>| (at, format!("{key} is a table of its own for each: [[{key}]]"));
        let DeValue::Array(entries) = value.get_ref() else { return Err(wrong(value.span())) };
        let entries = entries.iter().map(|entry| match entry.get_ref() {
            DeValue::Table(table) => Ok(Self::of(entry.span(), table)),
            _ => Err(wrong(entry.span())),
        });
        entries.collect()
    }

    fn names(&mut self, key: &str) -> Result<(Vec<String>, Range<usize>), Fault> {
        let value = self.needed(key)?;
        let wrong = |at| (at, format!("{key} is a list of names, such as [\"our-model\"]"));
        let DeValue::Array(names) = value.get_ref() else { return Err(wrong(value.span())) };
        let names = names.iter().map(|name| match name.get_ref() {
            DeValue::String(name) if !name.trim().is_empty() => Ok(name.to_string()),
            _ => Err(wrong(name.span())),
        });
        let names = names.collect::<Result<Vec<_>, _>>()?;
        if names.is_empty() { Err(wrong(value.span())) } else { Ok((names, value.span())) }
    }

    /// The prices of an entry or a tier. Those in a batch are a part of the others, but for what is said of them.
    fn rates(&mut self, factor: u128) -> Result<Both, Fault> {
        let at = self.needed("input")?;
        let input = price("input", at)?;
        let cached_input = self.price("cached_input")?.unwrap_or(input);
        let now = Rates { input, cached_input, output: self.price("output")? };
        let at = self.at.clone();
        let mut batch = |key: &str, whole: u128| match (self.price(key)?, whole * factor) {
            (Some(own), _) => Ok(own),
            (None, part) if part % DOLLAR == 0 => Ok(part / DOLLAR),
            _ => {
                Err((at.clone(), format!("its price in a batch has more than {DECIMALS} decimals; say it with {key}")))
            }
        };
        let input = batch("batch_input", now.input)?;
        let cached_input = batch("batch_cached_input", now.cached_input)?;
        let output = match now.output {
            Some(output) => Some(batch("batch_output", output)?),
            None => self.price("batch_output")?,
        };
        Ok(Both { now, batch: Rates { input, cached_input, output } })
    }

    fn price(&mut self, key: &str) -> Result<Option<u128>, Fault> {
        self.take(key).map(|value| price(key, value)).transpose()
    }

    /// A number from 0 to `most`, in millionths; `most` where it is left out.
    fn number(&mut self, key: &str, most: u128) -> Result<u128, Fault> {
        let Some(value) = self.take(key) else { return Ok(most * DOLLAR) };
        let number = decimal(key, value)?;
        let fault = || (value.span(), format!("{key} is more than {most}; half the price is 0.5"));
        if number > most * DOLLAR { Err(fault()) } else { Ok(number) }
    }

    fn count(&mut self, key: &str) -> Result<u64, Fault> {
        let value = self.needed(key)?;
        let number = match value.get_ref() {
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| (value.span(), format!("{key} is a number of tokens, such as 272000")))
    }

    fn text(&mut self, key: &str) -> Result<Option<String>, Fault> {
        self.take(key).map_or(Ok(None), |value| match value.get_ref() {
            DeValue::String(text) => Ok(Some(text.to_string())),
            _ => Err((value.span(), format!("{key} is a text"))),
        })
    }

    fn date(&mut self, key: &str) -> Result<Option<String>, Fault> {
        self.take(key).map_or(Ok(None), |value| match value.get_ref() {
            DeValue::Datetime(toml::value::Datetime { date: Some(date), time: None, offset: None }) => {
                Ok(Some(date.to_string()))
            }
            _ => Err((value.span(), format!("{key} is a day, such as 2026-11-05"))),
        })
    }
}

/// A price, in 1e-12 dollars for one token.
fn price(key: &str, value: &Spanned<DeValue<'_>>) -> Result<u128, Fault> {
    let price = decimal(key, value)?;
    if price > HIGHEST * DOLLAR {
        let message = format!("{key} is more than {HIGHEST}: prices are dollars for a million tokens");
        return Err((value.span(), message));
    }
    Ok(price)
}

/// A decimal number in millionths, read digit by digit.
fn decimal(key: &str, value: &Spanned<DeValue<'_>>) -> Result<u128, Fault> {
    let fault = |message: &str| Err((value.span(), format!("{key} {message}")));
    let text = match value.get_ref() {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        _ => return fault("is not a number, such as 0.15"),
    };
    let text = text.strip_prefix('+').unwrap_or(text);
    if text.starts_with('-') {
        return fault("is less than 0");
    }
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let decimals = decimals.trim_end_matches('0');
    if !whole.bytes().chain(decimals.bytes()).all(|byte| byte.is_ascii_digit()) {
        return fault("is not a plain number, such as 0.15");
    }
    if decimals.len() > DECIMALS {
        return fault(&format!("has more than {DECIMALS} decimals"));
    }
    // More digits than these are far above any bound.
    let digits = format!("{whole}{decimals:0<DECIMALS$}");
    Ok(digits.get(..30).unwrap_or(&digits).parse().unwrap_or(u128::MAX))
}
