//! Owns which keys a result line gives twice, of those that say what it answers and how.

/// The keys that are looked for, as they are named to people, in the order of their bits.
const KEYS: [&str; 5] = ["custom_id", "response", "error", "response.status_code", "response.body"];

/// The keys that were seen, and those that were seen again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Doubled {
    seen: u8,
    again: u8,
}

impl Doubled {
    /// Notes one more of these keys.
    pub(super) fn note(&mut self, key: &str) {
        let bit = match key {
            "custom_id" => 1,
            "response" => 1 << 1,
            "error" => 1 << 2,
            "response.status_code" => 1 << 3,
            "response.body" => 1 << 4,
            _ => 0,
        };
        self.again |= self.seen & bit;
        self.seen |= bit;
    }

    pub(super) fn has(self, key: &str) -> bool {
        self.keys().any(|again| again == key)
    }

    /// The keys that stand there more than once.
    pub(crate) fn keys(self) -> impl Iterator<Item = &'static str> {
        KEYS.into_iter().enumerate().filter(move |(at, _)| self.again & (1 << at) != 0).map(|(_, key)| key)
    }
}
