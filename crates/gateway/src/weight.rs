//! How much memory the values of a JSON text take as a tree, told from its bytes before the tree is made: nested objects
//! take many times their text.
//!
//! The numbers were measured with a counting allocator, over arrays and objects of all sorts: with the bytes of the texts
//! the sum is at or above the most that `serde_json` has allocated at any moment, and within two and a half times of it.

use serde_json::Value;

/// A value in an array: as the array grows, it is there twice for a moment, and has room for as many again.
const VALUE: u64 = 3 * size_of::<Value>() as u64;

/// What a field of an object takes beside its value: its name, and its places in the order and in the table of names.
const FIELD: u64 = 96;

/// What an object with a field in it takes, and an array with a value: both begin with room for a few.
const OBJECT: u64 = 320;
const ARRAY: u64 = 4 * size_of::<Value>() as u64 + 16;

/// What a text takes beside its bytes.
const TEXT: u64 = 32;

/// About the most bytes that the tree of a JSON text takes beside the bytes of its texts, which are at most those of the
/// whole. What is no JSON weighs something as well.
pub(crate) fn weight(json: &[u8]) -> u64 {
    let mut weight = VALUE;
    let mut rest = json;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => {
                weight += TEXT;
                rest = after_text(rest);
            }
            b'{' if !is_empty(rest, b'}') => weight += OBJECT,
            b'[' if !is_empty(rest, b']') => weight += ARRAY,
            b',' => weight += VALUE,
            b':' => weight += FIELD,
            _ => {}
        }
    }
    weight
}

/// How many objects and arrays of a JSON text stand in each other where they are the most.
pub(crate) fn levels(json: &[u8]) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    let mut rest = json;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => rest = after_text(rest),
            b'{' | b'[' => {
                open += 1;
                most = most.max(open);
            }
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
    }
    most
}

/// Whether nothing but blanks comes before the end.
fn is_empty(rest: &[u8], end: u8) -> bool {
    rest.trim_ascii_start().first() == Some(&end)
}

/// What follows a text whose first quote is behind us.
fn after_text(rest: &[u8]) -> &[u8] {
    let mut from = 0;
    while let Some(found) = memchr::memchr2(b'"', b'\\', &rest[from..]) {
        let at = from + found;
        if rest[at] == b'"' {
            return &rest[at + 1..];
        }
        from = (at + 2).min(rest.len());
    }
    &[]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_in_texts_weigh_nothing() {
        let text = |json: &str| weight(json.as_bytes());
        assert_eq!(text(r#""a,b:c{[""#), text(r#""abcdefg""#));
        assert_eq!(text(r#""\",\",\"""#), text(r#""\"-\"-\"""#));
        assert_eq!(text(r#"["\\",1]"#), text(r#"["ab",1]"#));
        for broken in [r#"""#, r#""\"#, "{", "[", r#"{"a"#, ""] {
            assert!(text(broken) < 1_000, "{broken}");
        }
    }

    #[test]
    fn an_empty_object_weighs_less_than_a_full_one() {
        let (empty, full) = (weight(b"[{ },{}]"), weight(br#"[{"a":1},{"a":1}]"#));
        assert!(empty * 2 < full, "{empty}, {full}");
    }
}
