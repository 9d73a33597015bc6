//! Instants as whole seconds.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Error, bound::UNIX_SECONDS};

/// An instant in whole seconds since 1970-01-01T00:00:00Z, from −9007199254740991 to 9007199254740991 (±(2^53 − 1)).
///
/// The range is the contract's (source: MKA1's batch pages). It is checked wherever a value comes in, and never
/// clamped. `Display` is RFC 3339 as far as [`jiff::Timestamp`] reaches (the years −9999 to 9999), and the number
/// beyond.
///
/// ```
/// use lote::UnixSeconds;
///
/// let created = UnixSeconds::new(1_704_067_200)?;
/// assert_eq!(created.to_string(), "2024-01-01T00:00:00Z");
/// assert_eq!(UnixSeconds::MAX.to_string(), "9007199254740991");
/// assert!(UnixSeconds::new(9_007_199_254_740_992).unwrap_err().is_out_of_range());
/// # Ok::<(), lote::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(i64);

impl UnixSeconds {
    /// The earliest instant: −9007199254740991.
    pub const MIN: Self = Self(UNIX_SECONDS.min);
    /// The latest instant: 9007199254740991.
    pub const MAX: Self = Self(UNIX_SECONDS.max);

    /// The instant so many seconds after the epoch, or before it when negative.
    ///
    /// # Errors
    /// One that [`is_out_of_range`](Error::is_out_of_range) when the value is not from [`MIN`](Self::MIN) to
    /// [`MAX`](Self::MAX).
    pub fn new(seconds: i64) -> Result<Self, Error> {
        UNIX_SECONDS.check("unix seconds", seconds).map(Self)
    }

    /// As [`new`](Self::new), with the name of the field in the error.
    pub(crate) fn named(field: &str, seconds: i64) -> Result<Self, Error> {
        UNIX_SECONDS.check(field, seconds).map(Self)
    }

    /// The present, from the system's clock, its fraction of a second dropped.
    pub fn now() -> Self {
        Self::try_from(SystemTime::now()).unwrap_or(Self::MAX)
    }

    /// Seconds since the epoch.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// How long this is after `earlier`; zero when it is before.
    pub fn since(self, earlier: Self) -> Duration {
        // Both are within 2^53, so the difference fits.
        Duration::from_secs(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

/// Seconds since the epoch of an RFC 3339 text with its offset, rounded down.
pub(crate) fn rfc_3339(text: &str) -> Option<i64> {
    text.trim().parse::<Timestamp>().ok().map(|time| UnixSeconds::from(time).0)
}

impl TryFrom<i64> for UnixSeconds {
    type Error = Error;

    fn try_from(seconds: i64) -> Result<Self, Error> {
        Self::new(seconds)
    }
}

impl From<UnixSeconds> for i64 {
    fn from(instant: UnixSeconds) -> Self {
        instant.0
    }
}

impl TryFrom<SystemTime> for UnixSeconds {
    type Error = Error;

    /// Rounds down to a whole second.
    fn try_from(time: SystemTime) -> Result<Self, Error> {
        let seconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i128::from(after.as_secs()),
            Err(before) => {
                let before = before.duration();
                -i128::from(before.as_secs()) - i128::from(before.subsec_nanos() > 0)
            }
        };
        let seconds = i64::try_from(seconds).map_err(|_| UNIX_SECONDS.refuse("system time", &seconds.to_string()))?;
        Self::named("system time", seconds)
    }
}

impl TryFrom<UnixSeconds> for SystemTime {
    type Error = Error;

    /// Fails where the system's clock type does not reach so far.
    fn try_from(instant: UnixSeconds) -> Result<Self, Error> {
        let distance = Duration::from_secs(instant.0.unsigned_abs());
        match instant.0 {
            0.. => SystemTime::UNIX_EPOCH.checked_add(distance),
            _ => SystemTime::UNIX_EPOCH.checked_sub(distance),
        }
        .ok_or_else(|| Error::out_of_range(format!("unix seconds: {} is out of range of the system's time", instant.0)))
    }
}

impl From<Timestamp> for UnixSeconds {
    /// Rounds down to a whole second. Every [`Timestamp`] is in range.
    fn from(time: Timestamp) -> Self {
        let borrow = i64::from(time.subsec_nanosecond() < 0);
        Self(time.as_second() - borrow)
    }
}

impl TryFrom<UnixSeconds> for Timestamp {
    type Error = Error;

    /// Fails outside the years −9999 to 9999.
    fn try_from(instant: UnixSeconds) -> Result<Self, Error> {
        Timestamp::from_second(instant.0).map_err(|_| {
            Error::out_of_range(format!("unix seconds: {} is out of range: the years -9999 to 9999", instant.0))
        })
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::try_from(*self) {
            Ok(time) => f.pad(&time.to_string()),
            Err(_) => f.pad(&self.0.to_string()),
        }
    }
}

impl Serialize for UnixSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.0)
    }
}

impl<'de> Deserialize<'de> for UnixSeconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EDGE: i64 = 9_007_199_254_740_991;

    #[test]
    fn every_border_takes_the_ends_and_refuses_one_beyond() {
        for value in [-EDGE, -1, 0, 1, EDGE] {
            assert_eq!(UnixSeconds::new(value).unwrap().get(), value);
            assert_eq!(i64::from(UnixSeconds::try_from(value).unwrap()), value);
            let text = value.to_string();
            let read: UnixSeconds = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
        for value in [-EDGE - 1, EDGE + 1, i64::MIN, i64::MAX] {
            assert!(UnixSeconds::new(value).unwrap_err().is_out_of_range());
            assert!(UnixSeconds::try_from(value).is_err());
            let error = serde_json::from_str::<UnixSeconds>(&value.to_string()).unwrap_err();
            assert!(error.to_string().contains(&value.to_string()), "{error}");
        }
        assert!(serde_json::from_str::<UnixSeconds>("1.5").is_err());
    }

    #[test]
    fn display_is_rfc_3339_and_the_number_beyond() {
        for (value, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (1_704_067_200, "2024-01-01T00:00:00Z"),
            (253_402_207_200, "9999-12-30T22:00:00Z"),
            (253_402_207_201, "253402207201"),
            (EDGE, "9007199254740991"),
            (-EDGE, "-9007199254740991"),
        ] {
            assert_eq!(UnixSeconds::new(value).unwrap().to_string(), text);
        }
    }

    #[test]
    fn conversions_round_down_and_come_back() {
        let half_before = SystemTime::UNIX_EPOCH - Duration::from_millis(500);
        assert_eq!(UnixSeconds::try_from(half_before).unwrap().get(), -1);
        assert_eq!(UnixSeconds::from(Timestamp::from_millisecond(-500).unwrap()).get(), -1);
        assert_eq!(UnixSeconds::from(Timestamp::MIN).get(), Timestamp::MIN.as_second());
        for value in [-86_400, 0, 1_704_067_200] {
            let instant = UnixSeconds::new(value).unwrap();
            assert_eq!(UnixSeconds::try_from(SystemTime::try_from(instant).unwrap()).unwrap(), instant);
            assert_eq!(UnixSeconds::from(Timestamp::try_from(instant).unwrap()), instant);
        }
        assert!(Timestamp::try_from(UnixSeconds::MAX).unwrap_err().is_out_of_range());
    }

    #[test]
    fn since_never_overflows() {
        assert_eq!(UnixSeconds::MAX.since(UnixSeconds::MIN).as_secs(), 2 * EDGE.unsigned_abs());
        assert_eq!(UnixSeconds::MIN.since(UnixSeconds::MAX), Duration::ZERO);
    }
}
