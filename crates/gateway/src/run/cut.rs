//! Cuts an input file into slices, while its lines are looked at.

use crate::run::reader::Place;
use crate::state::{Cut, Slice};

/// A file is cut into about so many slices, where they may be so small.
const SLICES: u64 = 64;

/// The slices of one file so far.
#[derive(Debug)]
pub(super) struct Slices {
    cut: Cut,
    file_bytes: u64,
    lines: u64,
    done: Vec<Slice>,
    open: Option<Slice>,
    most: u32,
}

impl Slices {
    pub(super) fn new(cut: Cut, file_bytes: u64) -> Slices {
        Slices { cut, file_bytes, lines: 0, done: Vec::new(), open: None, most: 1 }
    }

    /// The next line that is not blank.
    pub(super) fn add(&mut self, place: Place) {
        self.lines += 1;
        let end = place.start + place.bytes;
        if let Some(open) = &mut self.open
            && open.lines < self.most
            && end - open.start <= self.cut.most_bytes
        {
            open.lines += 1;
            open.bytes = end - open.start;
            return;
        }
        self.most = self.lines_of_next(end);
        self.done.extend(self.open.take());
        let number = u32::try_from(self.done.len()).unwrap_or(u32::MAX);
        self.open = Some(Slice { number, first_line: place.number, lines: 1, start: place.start, bytes: place.bytes });
    }

    /// By how many lines there will be, if the rest is like what has come.
    fn lines_of_next(&self, end: u64) -> u32 {
        let in_all = u128::from(self.lines) * u128::from(self.file_bytes) / u128::from(end.max(1));
        let lines = u32::try_from(in_all / u128::from(SLICES)).unwrap_or(u32::MAX);
        if self.cut.most_lines == u32::MAX { u32::MAX } else { lines.clamp(1, self.cut.most_lines) }
    }

    pub(super) fn end(mut self) -> Vec<Slice> {
        self.done.extend(self.open.take());
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(cut: Cut, lines: &[u64]) -> Vec<Slice> {
        let mut slices = Slices::new(cut, lines.iter().map(|bytes| bytes + 1).sum());
        let mut start = 0;
        for (number, bytes) in (1..).zip(lines) {
            slices.add(Place { number, start, bytes: *bytes });
            start += bytes + 1;
        }
        slices.end()
    }

    #[test]
    fn slices_hold_every_line_once_and_keep_their_bounds() {
        let bounds = Cut { most_lines: 256, most_bytes: 8_000 };
        for lines in [vec![], vec![5], vec![100; 63], vec![100; 640], vec![10; 50_000], vec![9_000, 1, 9_000, 9_000, 1]]
        {
            let slices = cut(bounds, &lines);
            let mut next = 1;
            for (number, slice) in (0..).zip(&slices) {
                assert_eq!((slice.number, slice.first_line), (number, next));
                assert!((1..=256).contains(&slice.lines) && (slice.bytes <= 8_000 || slice.lines == 1), "{slice:?}");
                next += u64::from(slice.lines);
            }
            assert_eq!(next - 1, lines.len() as u64);
        }
        assert_eq!(cut(bounds, &[100; 640]).len(), 64);
        assert_eq!(cut(bounds, &[10; 50_000]).len(), 196);
    }

    #[test]
    fn without_bounds_there_is_one() {
        assert_eq!(cut(Cut { most_lines: u32::MAX, most_bytes: u64::MAX }, &[3; 1_000]).len(), 1);
    }
}
