//! Says what broken JSON is near to: Python's or JavaScript's words, single quotes, a comma too many, comments. Only
//! lines that are no JSON come here.

/// What to do about the fault at this column (counted from 1), when it is a known one.
pub(super) fn advice(line: &str, column: usize, why: &str) -> Option<String> {
    // The fault stands at the column, or just before it when the reader had to look ahead.
    let at = column.saturating_sub(1).min(line.len());
    let word = word_at(line, at);
    let named = match word {
        "NaN" | "nan" | "Infinity" | "-Infinity" | "inf" | "-inf" => {
            format!("{word} is no JSON: write null, or leave the field out")
        }
        "None" => "None is Python's: write null (json.dumps does)".to_owned(),
        "True" => "True is Python's: write true (json.dumps does)".to_owned(),
        "False" => "False is Python's: write false (json.dumps does)".to_owned(),
        "undefined" => "undefined is JavaScript's: write null, or leave the field out".to_owned(),
        _ => return by_sign(line, at, word, why),
    };
    Some(named)
}

fn by_sign(line: &str, at: usize, word: &str, why: &str) -> Option<String> {
    let rest = line.get(at..).unwrap_or_default();
    let before = line.get(..at).unwrap_or_default().trim_end();
    let sign = rest.chars().next();
    let after_comma = before.ends_with(',');
    let advice = match sign {
        Some('}' | ']') if after_comma => "a comma stands before the closing bracket: take it out",
        Some('\'') => "JSON has double quotes only: json.dumps writes them, str and print do not",
        Some('/') if rest.starts_with("//") || rest.starts_with("/*") => "JSON has no comments: take them out",
        Some('#') => "JSON has no comments: take them out",
        Some('\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{2018}' | '\u{2019}') => {
            "typographic quotes are no quotes of JSON: write \""
        }
        _ if why.starts_with("control character") => {
            "a line break or tab inside a text is written \\n or \\t: a JSON library does so by itself"
        }
        _ if why == "invalid escape" => "a backslash in a text is written twice: \\\\",
        Some('(') => "JSON has no tuples: write [ and ]",
        Some(',') if after_comma => "two commas stand in a row: take one out",
        _ if why == "key must be a string" && !word.is_empty() => "keys stand in double quotes",
        _ if why == "invalid number" => "a number begins with a digit other than a leading 0, or with - and one",
        _ => return None,
    };
    Some(advice.to_owned())
}

/// The word, sign included, that covers a place or ends just before it.
fn word_at(line: &str, at: usize) -> &str {
    let bytes = line.as_bytes();
    let of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let at = if bytes.get(at).is_some_and(of_word) { at } else { at.saturating_sub(1) };
    let start = bytes[..at.min(bytes.len())].iter().rposition(|byte| !of_word(byte)).map_or(0, |before| before + 1);
    let length = bytes[start..].iter().take(40).position(|byte| !of_word(byte)).unwrap_or(bytes.len() - start);
    line.get(start..start + length).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::raw::{self, Broken};

    fn told(line: &str) -> String {
        match raw::entries(line, &mut |_, _| {}) {
            Err(Broken::Syntax { column, why }) => {
                super::advice(line, column, &why).unwrap_or_else(|| format!("({why})"))
            }
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn what_is_no_json_is_named() {
        for (line, expected) in [
            (r#"{"a":NaN}"#, "NaN is no JSON"),
            (r#"{"a":{"b":[1, NaN ]}}"#, "NaN is no JSON"),
            (r#"{"a":nan,"b":1}"#, "nan is no JSON"),
            (r#"{"a":Infinity}"#, "Infinity is no JSON"),
            (r#"{"a":-Infinity}"#, "-Infinity is no JSON"),
            (r#"{"a": None}"#, "None is Python's"),
            (r#"{"a":[True]}"#, "True is Python's"),
            (r#"{"a":False,"b":1}"#, "False is Python's"),
            (r#"{"a":undefined}"#, "undefined is JavaScript's"),
            (r#"{'a':1}"#, "double quotes only"),
            (r#"{"a":'x'}"#, "double quotes only"),
            (r#"{"a":1,}"#, "a comma stands before the closing bracket"),
            (r#"{"a":[1, 2, ]}"#, "a comma stands before the closing bracket"),
            (r#"{"a":{"b":1 , }}"#, "a comma stands before the closing bracket"),
            (r#"{"a":1,,"b":2}"#, "two commas"),
            (r#"{"a":1, // one"#, "no comments"),
            (r#"{"a":1 /* one */}"#, "no comments"),
            (r#"{"a":1, # one"#, "no comments"),
            (r#"{a:1}"#, "keys stand in double quotes"),
            (r#"{custom_id:"x"}"#, "keys stand in double quotes"),
            ("{\"a\":\u{201c}x\u{201d}}", "typographic quotes"),
            ("{\u{201c}a\u{201d}:1}", "typographic quotes"),
            ("{\"a\":\"x\ty\"}", "written \\n or \\t"),
            (r#"{"a":"\d"}"#, "written twice"),
            (r#"{"a":(1,2)}"#, "no tuples"),
            (r#"{"a":01}"#, "a number begins"),
        ] {
            assert!(told(line).contains(expected), "{line}: {}", told(line));
        }
        // A word may be the last of the line.
        assert!(told(r#"{"a":NaN"#).starts_with("NaN is no JSON"));
        // What is not known is left to the reader's own words.
        for (line, expected) in [
            (r#"{"a" 1}"#, "(expected `:`)"),
            (r#"{"a":}"#, "(expected value)"),
            (r#"{"a":]}"#, "(expected value)"),
            (r#"{"a":,}"#, "(expected value)"),
            (r#"{"a":/x}"#, "(expected value)"),
            (r#"{"a":NaNs}"#, "(expected value)"),
            (r#"{[1]:2}"#, "(key must be a string)"),
        ] {
            assert_eq!(told(line), expected, "{line}");
        }
    }

    #[test]
    fn any_place_is_fine() {
        for line in ["", "é", "{\"a\":é}", "x", "{\u{201c}"] {
            for column in 0..line.len() + 3 {
                let _ = super::advice(line, column, "expected value");
            }
        }
    }
}
