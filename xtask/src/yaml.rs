//! Owns the rendering of a JSON value as YAML that people read: block style, long texts folded. It never reads YAML.
//!
//! What it prints reads back as the same value under YAML 1.1 and 1.2; a text that either would take for something
//! else is quoted.

use serde_json::Value;

/// Words that some YAML reader takes for something else than a text.
const RESERVED: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

/// `value` as a block of lines without indentation, each ended by a newline. Texts are folded to stay within `width`
/// characters where they have blanks to break at.
#[must_use]
pub fn render(value: &Value, width: usize) -> String {
    let mut printer = Printer { text: String::new(), width };
    match value {
        Value::Object(map) if !map.is_empty() => printer.map(value, 0, false),
        Value::Array(list) if !list.is_empty() => printer.list(list, 0),
        scalar => {
            printer.scalar(scalar, 0, 0);
            printer.text.push('\n');
        }
    }
    printer.text
}

struct Printer {
    text: String,
    width: usize,
}

impl Printer {
    /// The entries of a map; the first one continues the line when `inline` (after the dash of a list).
    fn map(&mut self, value: &Value, indent: usize, inline: bool) {
        for (index, (key, value)) in value.as_object().into_iter().flatten().enumerate() {
            if index > 0 || !inline {
                self.indent(indent);
            }
            let key = if is_plain(key) { key.clone() } else { quoted(key) };
            self.text.push_str(&key);
            self.text.push(':');
            self.value(value, indent, indent + key.chars().count() + 2);
        }
    }

    fn list(&mut self, list: &[Value], indent: usize) {
        for value in list {
            self.indent(indent);
            self.text.push('-');
            match value {
                Value::Object(map) if !map.is_empty() => {
                    self.text.push(' ');
                    self.map(value, indent + 2, true);
                }
                value => self.value(value, indent, indent + 2),
            }
        }
    }

    /// What follows a colon or a dash, up to the end of the line or block.
    fn value(&mut self, value: &Value, indent: usize, column: usize) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                self.text.push('\n');
                self.map(value, indent + 2, false);
            }
            Value::Array(list) if !list.is_empty() => {
                self.text.push('\n');
                self.list(list, indent + 2);
            }
            scalar => {
                self.text.push(' ');
                self.scalar(scalar, indent, column);
                self.text.push('\n');
            }
        }
    }

    fn scalar(&mut self, value: &Value, indent: usize, column: usize) {
        match value {
            Value::String(text) => {
                let fits = column + text.chars().count() <= self.width;
                if !fits && can_fold(text) {
                    self.folded(text, indent + 2);
                } else if is_plain(text) {
                    self.text.push_str(text);
                } else {
                    self.text.push_str(&quoted(text));
                }
            }
            Value::Array(_) => self.text.push_str("[]"),
            Value::Object(_) => self.text.push_str("{}"),
            other => self.text.push_str(&other.to_string()),
        }
    }

    /// A text of words and paragraphs as `>-`, broken at blanks.
    fn folded(&mut self, text: &str, indent: usize) {
        self.text.push_str(">-");
        for (index, paragraph) in text.split('\n').enumerate() {
            // A line break inside the text is an empty line in a folded block.
            if index > 0 {
                self.text.push('\n');
            }
            let mut column = usize::MAX;
            for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
                let length = word.chars().count();
                if column.saturating_add(1 + length) > self.width {
                    self.text.push('\n');
                    self.indent(indent);
                    column = indent;
                } else {
                    self.text.push(' ');
                    column += 1;
                }
                self.text.push_str(word);
                column += length;
            }
        }
    }

    fn indent(&mut self, indent: usize) {
        self.text.extend(std::iter::repeat_n(' ', indent));
    }
}

/// Whether a text keeps its value when it is broken at its blanks: printable words with one blank between them, in
/// lines that are not empty at either end of the text.
fn can_fold(text: &str) -> bool {
    let clean = |line: &str| !line.contains("  ") && !line.starts_with(' ') && !line.ends_with(' ');
    text.contains(' ')
        && !text.starts_with('\n')
        && !text.ends_with('\n')
        && text.chars().all(|c| c == '\n' || is_printable(c))
        && text.split('\n').all(clean)
}

/// Whether a text stands for itself without quotes, as a key or a value, in a block.
fn is_plain(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_' | '$'))
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && text.chars().all(is_printable)
        && !RESERVED.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Not a control character, a line or paragraph separator or a byte order mark, which readers drop, fold or refuse.
fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// In single quotes, or in double quotes when there is something to escape.
fn quoted(text: &str) -> String {
    if text.chars().all(is_printable) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if is_printable(c) => quoted.push(c),
            c => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_reads_like_the_contract() {
        let value = json!({
            "Line": {
                "description": "A line that is long enough to be folded: it says `more` than one line of text has room for.",
                "type": "object",
                "required": ["custom_id"],
                "properties": {
                    "custom_id": {"description": "Short.", "type": "string", "minLength": 1},
                    "other": {"$ref": "#/components/schemas/Other", "default": {}},
                    "any": {"oneOf": [{"type": "string", "enum": ["no", "24h"]}, {}, ["a", []]]},
                },
            },
        });
        let expected = "\
Line:
  description: >-
    A line that is long enough to be folded: it says `more` than one line
    of text has room for.
  type: object
  required:
    - custom_id
  properties:
    custom_id:
      description: Short.
      type: string
      minLength: 1
    other:
      $ref: '#/components/schemas/Other'
      default: {}
    any:
      oneOf:
        - type: string
          enum:
            - 'no'
            - '24h'
        - {}
        -
          - a
          - []
";
        assert_eq!(render(&value, 74), expected);
    }

    /// Texts that a careless printer would change.
    const TEXTS: [&str; 48] = [
        "",
        " ",
        "a",
        "a b",
        " a",
        "a ",
        "a  b",
        "\ta",
        "a\tb",
        "a\nb",
        "a\n",
        "\na",
        "a\n\nb",
        "a\n b",
        "a\r\nb",
        "a\u{85}b",
        "a\u{2028}b",
        "\u{feff}a",
        "a: b",
        "a:",
        "a #b",
        "#a",
        "- a",
        "-",
        "? a",
        "'a'",
        "it's",
        "\"a\"",
        "\\n",
        "[a]",
        "{a}",
        "null",
        "~",
        "Yes",
        "on",
        "1",
        "1.5",
        "1e3",
        "0x1F",
        "12:30:45",
        "2024-01-01",
        ".inf",
        "<<",
        "=",
        "%a",
        "@a",
        "`a`",
        "\u{7f}\u{1b}",
    ];

    fn assert_reads_back(value: &Value) {
        for width in [0, 1, 8, 20, 74] {
            let text = render(value, width);
            let back: Value = yaml_serde::from_str(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"));
            assert_eq!(&back, value, "width {width}:\n{text}");
            assert!(text.ends_with('\n'));
        }
    }

    #[test]
    fn texts_read_back_wherever_they_stand() {
        for first in TEXTS {
            for second in TEXTS {
                let long = format!("{first} {second}");
                assert_reads_back(
                    &json!({ first: second, "k": { long.clone(): [first, [second, { second: long }]] } }),
                );
                let lines = format!("{first}\n{second} some more words to fold");
                assert_reads_back(&json!([lines, { "k": lines }]));
            }
            assert_reads_back(&json!(first));
        }
    }

    #[test]
    fn numbers_and_empty_values_read_back() {
        for value in [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(1.5),
            json!(1e300),
            json!(-1e-7),
            json!(3.0),
            json!([]),
            json!({}),
            json!([[]]),
            json!([{}]),
            json!({"a": null}),
            json!([[[1], 2], {"a": [{}]}]),
        ] {
            assert_reads_back(&value);
        }
    }
}
