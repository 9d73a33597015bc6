//! The subset of JSON Schema that strict structured outputs take (docs/facts.md, 3.5): what it is called and how much of
//! it there may be.

/// The formats of strings.
pub(super) const FORMATS: [&str; 9] =
    ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"];

/// Properties of all objects.
pub(super) const MOST_PROPERTIES: usize = 5_000;

/// Objects in each other.
pub(super) const MOST_LEVELS: usize = 10;

/// Values of all enums.
pub(super) const MOST_VALUES: usize = 1_000;

/// Characters of the names of properties and definitions, and of the values of enums and consts.
pub(super) const MOST_TEXT: usize = 120_000;

/// From more texts than this, an enum has a limit of its own.
pub(super) const LARGE_ENUM: usize = 250;

/// Characters of the texts of such an enum.
pub(super) const MOST_LARGE_ENUM_TEXT: usize = 15_000;
