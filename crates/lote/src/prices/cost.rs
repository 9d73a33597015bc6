//! An amount of money, exact.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Error;

/// Decimals of a dollar that an amount has.
const DECIMALS: u32 = 12;

/// A dollar.
const DOLLAR: u128 = 10_u128.pow(DECIMALS);

/// What something costs, exact to 0.000000000001 dollars. Sums stop at the largest number instead of wrapping.
///
/// Printed, it is rounded up to what a person reads: cents from a dollar on, two digits below. [`exact`](Self::exact) has
/// every digit, and so has its JSON, a text.
///
/// ```
/// use lote::prices::{Cost, Prices};
///
/// let prices = Prices::built_in();
/// let mini = prices.find("gpt-4.1-mini").unwrap();
/// let mut usage = lote::Usage::default();
/// usage.input_tokens = 1234;
/// usage.output_tokens = 567;
/// let cost = mini.batch_cost(&usage).unwrap();
/// assert_eq!((cost.to_string(), cost.exact()), ("$0.00071".to_owned(), "0.0007004".to_owned()));
/// let many: Cost = std::iter::repeat_n(cost, 100_000).sum();
/// assert_eq!(many.to_string(), "$70.04");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(u128);

impl Cost {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many tokens, at this price for each, in 1e-12 dollars.
    pub(super) fn of(tokens: u64, price: u128) -> Self {
        Self(u128::from(tokens).saturating_mul(price))
    }

    /// In 1e-12 dollars.
    pub fn picodollars(self) -> u128 {
        self.0
    }

    /// In dollars, with every digit and none that is not needed, such as `0.0042` and `12`.
    pub fn exact(self) -> String {
        let text = decimal(self.0);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// In dollars, with all decimals.
fn decimal(picodollars: u128) -> String {
    format!("{}.{:012}", picodollars / DOLLAR, picodollars % DOLLAR)
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.pad("$0");
        }
        // Cents, or the first two digits of less than a dollar.
        let step = match self.0.ilog10() {
            digits if digits >= DECIMALS => DOLLAR / 100,
            digits => 10_u128.pow(digits.saturating_sub(1)),
        };
        let text = decimal(self.0.div_ceil(step).saturating_mul(step));
        let (dollars, decimals) = text.split_once('.').unwrap_or((&text, ""));
        let shown = decimals.trim_end_matches('0').len().max(2);
        f.pad(&format!("${dollars}.{}", &decimals[..shown]))
    }
}

impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.exact())
    }
}

impl<'de> Deserialize<'de> for Cost {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Reads dollars, such as `12`, `0.0042` and `$12.50`.
impl FromStr for Cost {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fault = |why: &str| Error::invalid(format!("{text:?} {why}"));
        let amount = text.trim();
        let amount = amount.strip_prefix('$').unwrap_or(amount);
        let (whole, decimals) = amount.split_once('.').unwrap_or((amount, ""));
        let decimals = decimals.trim_end_matches('0');
        if amount.is_empty()
            || amount == "."
            || !whole.bytes().chain(decimals.bytes()).all(|byte| byte.is_ascii_digit())
        {
            return Err(fault("is no amount in dollars, such as 12.50"));
        }
        if decimals.len() > DECIMALS as usize {
            return Err(fault("has more than 12 decimals"));
        }
        let digits = format!("{whole}{decimals:0<width$}", width = DECIMALS as usize);
        digits.parse().map(Self).map_err(|_| fault("is more than can be counted"))
    }
}

impl Add for Cost {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_rounded_up_for_people_and_exact_for_programs() {
        for (picodollars, shown, exact) in [
            (0, "$0", "0"),
            (1, "$0.000000000001", "0.000000000001"),
            (123, "$0.00000000013", "0.000000000123"),
            (4_200_000_000, "$0.0042", "0.0042"),
            (4_200_000_001, "$0.0043", "0.004200000001"),
            (50_000_000_000, "$0.05", "0.05"),
            (500_000_000_000, "$0.50", "0.5"),
            (994_000_000_000, "$1.00", "0.994"),
            (DOLLAR, "$1.00", "1"),
            (12 * DOLLAR + 331_000_000_000, "$12.34", "12.331"),
            (1_000_000 * DOLLAR, "$1000000.00", "1000000"),
        ] {
            let cost = Cost(picodollars);
            assert_eq!((cost.to_string().as_str(), cost.exact().as_str()), (shown, exact));
            assert_eq!(serde_json::to_string(&cost).unwrap(), format!("\"{exact}\""));
            assert_eq!(
                (exact.parse::<Cost>().unwrap(), cost),
                (cost, serde_json::from_str(&format!("{exact:?}")).unwrap())
            );
        }
        assert_eq!(format!("{:>6}|{:<4}|", Cost(50_000_000_000), Cost(0)), " $0.05|$0  |");
    }

    #[test]
    fn amounts_are_read_to_the_last_digit_and_nothing_else_is_taken_for_one() {
        for (text, picodollars) in
            [("$12.50", 12_500_000_000_000), (" 7. ", 7 * DOLLAR), (".5", DOLLAR / 2), ("1.0000000000000", DOLLAR)]
        {
            assert_eq!(text.parse::<Cost>().unwrap().picodollars(), picodollars, "{text}");
        }
        let most = Cost(u128::MAX);
        assert_eq!(most.exact().parse::<Cost>().unwrap(), most);
        for (text, why) in [
            ("", "is no amount in dollars, such as 12.50"),
            (".", "is no amount"),
            ("$", "is no amount"),
            ("-1", "is no amount"),
            ("1e3", "is no amount"),
            ("1,50", "is no amount"),
            ("12 USD", "is no amount"),
            ("0.0000000000001", "has more than 12 decimals"),
            ("999999999999999999999999999999999999999", "is more than can be counted"),
        ] {
            let error = text.parse::<Cost>().unwrap_err();
            assert!(error.is_invalid() && error.to_string().contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn sums_stop_at_the_largest_number() {
        let most = Cost(u128::MAX);
        assert_eq!(most + Cost(1), most);
        assert_eq!([most, most].into_iter().sum::<Cost>(), most);
        assert!(most.to_string().starts_with("$340282366920938463463374607"), "{most}");
        assert_eq!(Cost::of(u64::MAX, u128::MAX), most);
    }
}
