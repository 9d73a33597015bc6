//! One of several parts of an input, each for a run of its own.

use std::{fmt, num::NonZeroU32, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Error;

/// One of several parts of an input, each for a run of its own, on this machine or another: part 2 of 5 is written `2/5`.
///
/// Lines are dealt out like cards: of five parts the second takes the lines 2, 7, 12 and so on, counted over all files of
/// the input, without blank lines. So the cut needs nothing but the input and is the same everywhere, the parts differ by
/// one line at the most, each has its share of whatever the input is sorted by, and the input is read once. With more
/// parts than lines the last ones are empty. [`join_parts`](super::join_parts) puts the results together again.
///
/// ```
/// use lote::run::Partition;
///
/// let second = Partition::new(2, 5)?;
/// assert_eq!((second, second.to_string().as_str()), ("2/5".parse()?, "2/5"));
/// assert!(Partition::new(6, 5).is_err());
/// # Ok::<(), lote::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Numbers", into = "Numbers")]
pub struct Partition {
    part: NonZeroU32,
    of: NonZeroU32,
}

/// As it is written in JSON.
#[derive(Serialize, Deserialize)]
struct Numbers {
    part: u32,
    of: u32,
}

impl Partition {
    /// The part of this number, from 1, of so many.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when there is no such part.
    pub fn new(part: u32, of: u32) -> Result<Self, Error> {
        match (NonZeroU32::new(part), NonZeroU32::new(of)) {
            (Some(part), Some(of)) if part <= of => Ok(Self { part, of }),
            _ => Err(Error::invalid(format!("partition {part}/{of}: the parts of {of} are numbered from 1 to {of}"))),
        }
    }

    /// Which part it is, from 1.
    pub fn part(self) -> u32 {
        self.part.get()
    }

    /// How many parts there are.
    pub fn of(self) -> u32 {
        self.of.get()
    }

    /// Whether it has the line that comes after so many others.
    pub(super) fn takes(self, before: u64) -> bool {
        before % u64::from(self.of()) == u64::from(self.part() - 1)
    }

    /// What is put before the ending of the folder's name.
    pub(super) fn in_names(self) -> String {
        format!("{}-of-{}", self.part, self.of)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

impl FromStr for Partition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        match text.split_once('/').and_then(|(part, of)| Some((number(part)?, number(of)?))) {
            Some((part, of)) => Self::new(part, of),
            None => Err(Error::invalid(format!("partition {text:?}: a part is written I/N, such as 2/5"))),
        }
    }
}

impl TryFrom<Numbers> for Partition {
    type Error = Error;

    fn try_from(Numbers { part, of }: Numbers) -> Result<Self, Error> {
        Self::new(part, of)
    }
}

impl From<Partition> for Numbers {
    fn from(partition: Partition) -> Self {
        Self { part: partition.part(), of: partition.of() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_in_one_part_and_the_parts_take_turns() {
        for of in 1..=7 {
            let parts: Vec<Partition> = (1..=of).map(|part| Partition::new(part, of).unwrap()).collect();
            for before in 0..30 {
                let takes: Vec<u32> = parts.iter().filter(|part| part.takes(before)).map(|part| part.part()).collect();
                assert_eq!(takes, [u32::try_from(before).unwrap() % of + 1], "{before}, {of}");
            }
        }
    }

    #[test]
    fn what_is_no_part_is_refused_in_words() {
        for text in ["0/1", "2/1", "1/0", "0/0"] {
            let error = text.parse::<Partition>().unwrap_err();
            assert!(error.is_invalid() && error.to_string().contains("numbered from 1"), "{error}");
        }
        for text in ["", "/", "1", "1/", "/2", "1/2/3", "+1/2", " 1/2", "1 / 2", "99999999999/99999999999", "a/b"] {
            let error = text.parse::<Partition>().unwrap_err();
            assert!(error.to_string().contains("such as 2/5"), "{error}");
        }
        assert!(serde_json::from_str::<Partition>(r#"{"part":3,"of":2}"#).is_err());
        let part: Partition = serde_json::from_str(r#"{"part":2,"of":3}"#).unwrap();
        assert_eq!(serde_json::to_string(&part).unwrap(), r#"{"part":2,"of":3}"#);
    }
}
