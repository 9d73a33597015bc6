//! What models cost: a table of prices, and what tokens cost by it.

mod cost;
mod price;
mod read;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, LazyLock},
};

pub use cost::Cost;
pub use price::{Price, PriceRead};
use reqwest::Url;

use crate::{Dialect, Error, settings};

/// The prices of models: those that are built in, and a user's own, which come before them.
///
/// A table is TOML. Prices are dollars for a million tokens:
///
/// ```
/// use lote::prices::Prices;
///
/// let prices = Prices::from_toml(
///     r#"
///     [[price]]
///     models = ["our-model", "meetkai:*"]
///     input = 0.40
///     cached_input = 0.10        # as input, where it is left out
///     output = 1.60              # left out where a model writes nothing, as for embeddings
///     batch = 0.5                # what a batch costs of that; 1 where it is left out
///     batch_cached_input = 0.20  # where a price in a batch is another: batch_input, batch_output
///     source = "our contract"
///     date = 2026-11-05
///
///     [[price.tier]]             # the whole request, when it has more input tokens
///     above = 272000
///     input = 0.80
///     output = 2.40
///     "#,
/// )?;
/// assert_eq!(prices.find("meetkai:small").unwrap().source(), Some("our contract"));
/// assert!(prices.find("gpt-4.1-mini-2025-04-14").is_some());
/// assert!(prices.find("nobody-knows").is_none());
/// # Ok::<(), lote::Error>(())
/// ```
///
/// A model is found by its name; when there is none, by the name without the date at its end (`-2025-04-14`); and then by
/// the first pattern that fits, in which `*` stands for anything. A model that costs nothing has a price of 0; one that is
/// not found has a price that is not known, which is not the same.
#[derive(Clone, Debug)]
pub struct Prices {
    /// Those that come first, first.
    tables: Vec<Arc<Table>>,
    /// The user's own table, as it was written.
    own: Option<Arc<str>>,
}

/// The prices of one table, and how they are found.
#[derive(Debug, Default)]
struct Table {
    prices: Vec<Price>,
    names: BTreeMap<String, usize>,
    patterns: Vec<(String, usize)>,
}

/// The host whose prices are built in.
const OPENAI: &str = "api.openai.com";

const BUILT_IN: &str = include_str!("built_in.toml");

static TABLE: LazyLock<Arc<Table>> = LazyLock::new(|| {
    // Tests read it, so that it has no fault.
    Arc::new(Table::new(read::read("built_in.toml", BUILT_IN).unwrap_or_default()))
});

impl Prices {
    /// The built-in prices, those of OpenAI: of another service they say nothing, and [`at`](Self::at) leaves them out. Each has its [source](Price::source) and the [date](Price::date) at which it was
    /// read: services change their prices at any time.
    pub fn built_in() -> Self {
        Self { tables: vec![Arc::clone(&TABLE)], own: None }
    }

    /// A table of one's own, and the built-in prices of models that it does not name.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) and names the line and the key.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        Self::before_the_built_in("the table", text)
    }

    /// As [`from_toml`](Self::from_toml), from a file.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) and names the file, the line and the key.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = settings::text("prices", path)?;
        Self::before_the_built_in(&path.display().to_string(), &text)
    }

    /// Where every model costs nothing, as at the embedded gateway.
    pub fn free() -> Self {
        let rates = price::Rates { output: Some(0), ..price::Rates::default() };
        let rates = price::Both { now: rates, batch: rates };
        let free = Price { models: vec!["*".to_owned()], rates, tiers: Vec::new(), source: None, date: None };
        Self { tables: vec![Arc::new(Table::new(vec![free]))], own: None }
    }

    /// These prices at the service of a base URL. The built-in ones are those of OpenAI, and hold at `api.openai.com` alone: a
    /// model of the same name at another service, or where the data are to stay in a region, has a price only in a table of
    /// one's own.
    ///
    /// ```
    /// use lote::prices::Prices;
    ///
    /// let prices = Prices::built_in();
    /// assert!(prices.at("https://api.openai.com/v1").find("gpt-4.1").is_some());
    /// assert!(prices.at("https://apigw.mka1.com/api/v1/llm").find("gpt-4.1").is_none());
    /// ```
    pub fn at(&self, base_url: &str) -> Self {
        let host = Url::parse(base_url.trim()).ok().and_then(|url| Some(url.host_str()?.to_ascii_lowercase()));
        let is_openai = host.as_deref() == Some(OPENAI);
        let holds = |table: &&Arc<Table>| is_openai || !Arc::ptr_eq(table, &TABLE);
        Self { tables: self.tables.iter().filter(holds).cloned().collect(), own: self.own.clone() }
    }

    /// These prices at the service that a dialect is of: as [`at`](Self::at) its base URL. At a service whose dialect has none,
    /// such as a server of one's own, no built-in price holds.
    pub fn of(&self, dialect: &Dialect) -> Self {
        self.at(dialect.url().unwrap_or_default())
    }

    /// The table of one's own, as it was written.
    pub(crate) fn own(&self) -> Option<&str> {
        self.own.as_deref()
    }

    /// The numbers of input tokens above which requests cost more.
    pub(crate) fn tiers(&self) -> Vec<u64> {
        let prices = self.tables.iter().flat_map(|table| &table.prices);
        let tiers: BTreeSet<u64> = prices.flat_map(|price| price.tiers.iter().map(|(above, _)| *above)).collect();
        tiers.into_iter().collect()
    }

    /// What a model costs, if that is known.
    pub fn find(&self, model: &str) -> Option<&Price> {
        self.tables.iter().find_map(|table| table.find(model))
    }

    fn before_the_built_in(from: &str, text: &str) -> Result<Self, Error> {
        let own = Arc::new(Table::new(read::read(from, text)?));
        Ok(Self { tables: vec![own, Arc::clone(&TABLE)], own: Some(text.into()) })
    }
}

impl Default for Prices {
    /// The built-in prices.
    fn default() -> Self {
        Self::built_in()
    }
}

impl Table {
    fn new(prices: Vec<Price>) -> Self {
        let (mut names, mut patterns) = (BTreeMap::new(), Vec::new());
        for (at, price) in prices.iter().enumerate() {
            for name in &price.models {
                match name.contains('*') {
                    true => patterns.push((name.clone(), at)),
                    false => drop(names.insert(name.clone(), at)),
                }
            }
        }
        Self { prices, names, patterns }
    }

    fn find(&self, model: &str) -> Option<&Price> {
        let named = |name: &str| self.names.get(name).copied();
        let at = named(model)
            .or_else(|| named(undated(model)?))
            .or_else(|| self.patterns.iter().find(|(pattern, _)| fits(pattern, model)).map(|(_, at)| *at))?;
        self.prices.get(at)
    }
}

/// The name without a date at its end.
fn undated(model: &str) -> Option<&str> {
    let (name, date) = model.split_at_checked(model.len().checked_sub("-2025-04-14".len())?)?;
    let is_date = date.bytes().enumerate().all(|(at, byte)| match at {
        0 | 5 | 8 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    (is_date && !name.is_empty()).then_some(name)
}

/// Whether a name is one that the pattern means.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}
