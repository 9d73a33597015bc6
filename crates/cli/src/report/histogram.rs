//! How numbers are spread, in memory that does not grow with them.

use serde::Serialize;

use super::words;

/// Counts of numbers: in ranges for people, and finer for the quantiles.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    ranges: &'static [u64],
    counts: Vec<u64>,
    fine: Vec<u64>,
    count: u64,
    sum: u128,
    most: u64,
}

/// Where ranges of tokens begin.
pub(super) const TOKENS: &[u64] = &[
    0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000,
    1_000_000, 10_000_000,
];

/// Where ranges of seconds begin.
pub(super) const SECONDS: &[u64] = &[
    0, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 21_600, 28_800, 43_200, 57_600, 72_000,
    86_400, 172_800, 604_800,
];

/// A range of a histogram, as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Range {
    pub(super) label: String,
    pub(super) count: String,
    /// Of the fullest range, in percent.
    pub(super) width: f64,
}

/// A histogram, as it is shown.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Shown {
    pub(super) ranges: Vec<Range>,
    /// What is in the middle, of nine in ten, of 99 in 100 and of all, in words.
    pub(super) half: String,
    pub(super) most_of: String,
    pub(super) nearly_all: String,
    pub(super) most: String,
    pub(super) mean: String,
}

/// Numbers below this are counted one by one; above, each doubling is cut into half as many.
const EXACT: usize = 64;

impl Histogram {
    pub(super) fn new(ranges: &'static [u64]) -> Self {
        let fine = vec![0; place(u64::MAX) + 1];
        Self { ranges, counts: vec![0; ranges.len()], fine, count: 0, sum: 0, most: 0 }
    }

    pub(super) fn add(&mut self, number: u64) {
        let range = self.ranges.partition_point(|from| *from <= number).saturating_sub(1);
        for count in self.counts.get_mut(range).into_iter().chain(self.fine.get_mut(place(number))) {
            *count += 1;
        }
        self.count += 1;
        self.sum += u128::from(number);
        self.most = self.most.max(number);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn most(&self) -> u64 {
        self.most
    }

    /// As it is shown, with these words for a number and for a range; none where nothing was counted.
    pub(super) fn shown(&self, number: fn(u64) -> String, range: fn(u64, Option<u64>) -> String) -> Option<Shown> {
        let (first, last) = (self.counts.iter().position(|n| *n > 0)?, self.counts.iter().rposition(|n| *n > 0)?);
        let fullest = self.counts.iter().copied().max().unwrap_or(1);
        let ranges = (first..=last).map(|at| Range {
            label: range(self.ranges[at], self.ranges.get(at + 1).copied()),
            count: words::count(self.counts[at]),
            width: words::percent(self.counts[at], fullest),
        });
        let mean = u64::try_from(self.sum / u128::from(self.count)).unwrap_or(u64::MAX);
        Some(Shown {
            ranges: ranges.collect(),
            half: number(self.quantile(1, 2)),
            most_of: number(self.quantile(9, 10)),
            nearly_all: number(self.quantile(99, 100)),
            most: number(self.most),
            mean: number(mean),
        })
    }

    /// The number that so many of all are not above, at most 3 in 100 too small.
    fn quantile(&self, share: u64, of: u64) -> u64 {
        let wanted = (u128::from(self.count) * u128::from(share)).div_ceil(u128::from(of));
        let mut seen = 0;
        let found = self.fine.iter().position(|count| {
            seen += u128::from(*count);
            seen >= wanted
        });
        found.map_or(self.most, least).min(self.most)
    }
}

/// Where a number is counted.
fn place(number: u64) -> usize {
    match usize::try_from(number) {
        Ok(small) if small < EXACT => small,
        _ => {
            let doublings = number.ilog2() as usize - 6;
            EXACT + doublings * EXACT / 2 + (number >> (doublings + 1)) as usize % (EXACT / 2)
        }
    }
}

/// The least number that is counted there.
fn least(place: usize) -> u64 {
    match place.checked_sub(EXACT) {
        None => place as u64,
        Some(above) => ((EXACT / 2 + above % (EXACT / 2)) as u64) << (above / (EXACT / 2) + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_counted_where_it_belongs() {
        for number in (0..300).chain((0..64).map(|bit| 1 << bit)).chain([u64::MAX, 999_999, 12_345_678_901]) {
            let at = place(number);
            assert!(least(at) <= number, "{number}");
            assert!(number - least(at) <= number / 32, "{number}: {}", least(at));
            assert!(at == place(u64::MAX) || least(at + 1) > number, "{number}");
        }
    }

    #[test]
    fn a_histogram_shows_the_ranges_that_it_has() {
        let mut histogram = Histogram::new(TOKENS);
        assert!(histogram.shown(words::count, words::range).is_none());
        for number in [7, 7, 7, 12, 100, 1_234, u64::MAX] {
            histogram.add(number);
        }
        let shown = histogram.shown(words::count, words::range).unwrap();
        let labels: Vec<&str> = shown.ranges.iter().map(|range| range.label.as_str()).collect();
        assert_eq!((labels[0], labels[1], labels[5]), ("5–9", "10–19", "200–499"));
        assert_eq!(*labels.last().unwrap(), "10,000,000 and more");
        assert_eq!((shown.ranges[0].count.as_str(), shown.ranges[0].width), ("3", 100.0));
        assert_eq!((shown.ranges[2].count.as_str(), shown.ranges[2].width), ("0", 0.0));
        assert_eq!((shown.half.as_str(), shown.most.as_str()), ("12", "18,446,744,073,709,551,615"));
    }
}
