//! Counts what one body asks to be embedded, without a tree of it.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// How many inputs are in `input` of a body: a text or a list of tokens is one, a list of either as many as it has.
pub(super) fn count(input: &RawValue) -> u64 {
    serde_json::from_str(input.get()).map_or(0, |Inputs(count)| count)
}

struct Inputs(u64);

impl<'de> Deserialize<'de> for Inputs {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Counting;
        impl<'de> Visitor<'de> for Counting {
            type Value = Inputs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list")
            }

            fn visit_str<E>(self, _: &str) -> Result<Inputs, E> {
                Ok(Inputs(1))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Inputs, A::Error> {
                let (mut count, mut are_tokens) = (0, true);
                while let Some(Item { is_token }) = items.next_element()? {
                    count += 1;
                    are_tokens &= is_token;
                }
                Ok(Inputs(if are_tokens { count.min(1) } else { count }))
            }
        }
        input.deserialize_any(Counting)
    }
}

struct Item {
    is_token: bool,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(item: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }

            fn visit_u64<E>(self, _: u64) -> Result<Item, E> {
                Ok(Item { is_token: true })
            }

            fn visit_i64<E>(self, _: i64) -> Result<Item, E> {
                Ok(Item { is_token: true })
            }

            fn visit_f64<E>(self, _: f64) -> Result<Item, E> {
                Ok(Item { is_token: true })
            }

            fn visit_bool<E>(self, _: bool) -> Result<Item, E> {
                Ok(Item { is_token: false })
            }

            fn visit_unit<E>(self) -> Result<Item, E> {
                Ok(Item { is_token: false })
            }

            fn visit_str<E>(self, _: &str) -> Result<Item, E> {
                Ok(Item { is_token: false })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Item, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Item { is_token: false })
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Item, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Item { is_token: false })
            }
        }
        item.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_one_input_and_texts_are_as_many_as_there_are() {
        for (input, expected) in [
            (r#""a""#, 1),
            (r#"["a", "b", "a"]"#, 3),
            ("[1, 2, 3]", 1),
            ("[[1, 2], [3], []]", 3),
            ("[]", 0),
            (r#"[1, "a"]"#, 2),
            (r#"[{"a": [1, 2]}, null, true]"#, 3),
            ("7", 0),
            (r#"{"a": 1}"#, 0),
        ] {
            assert_eq!(count(&RawValue::from_string(input.to_owned()).unwrap()), expected, "{input}");
        }
    }
}
