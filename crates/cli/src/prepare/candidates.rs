//! Which column could be the custom_id: one in which no value comes twice.

use std::io;

use lote::lines::Uniqueness;
use minijinja::Value;

use super::rows::Row;

/// The longest value that is taken for an id.
const LONGEST: usize = 64;

/// How many columns are looked at.
const MOST: usize = 6;

/// After so many rows only the best one is looked at any more: what is known of more rows goes to a temporary file.
const SEVERAL: u64 = 100_000;

/// The columns that may be ids, as far as the rows so far tell.
#[derive(Default)]
pub(crate) struct Candidates {
    /// The likeliest first.
    columns: Vec<Column>,
    rows: u64,
}

struct Column {
    name: String,
    seen: Uniqueness,
}

impl Candidates {
    pub(crate) fn add(&mut self, row: &Row) {
        self.rows += 1;
        if self.rows == 1 {
            let names = row.names();
            let mut names: Vec<String> = names.into_iter().filter(|name| value(row, name).is_some()).collect();
            names.sort_by_key(|name| !is_like_an_id(name));
            let temporary = std::env::temp_dir();
            let column = |name| Column { name, seen: Uniqueness::spilling(&temporary) };
            self.columns = names.into_iter().take(MOST).map(column).collect();
        }
        if self.rows == SEVERAL {
            self.columns.truncate(1);
        }
        let number = row.number;
        self.columns.retain_mut(|column| {
            let value = value(row, &column.name);
            value.is_some_and(|value| matches!(column.seen.insert(&value, number), Ok(None)))
        });
    }

    /// The likeliest column, when there are rows enough to tell.
    pub(crate) fn best(self) -> Option<String> {
        let Column { name, seen } = self.columns.into_iter().next().filter(|_| self.rows > 1)?;
        let mut is_unique = true;
        let looked: io::Result<()> = seen.finish(&mut |_, _| is_unique = false);
        (looked.is_ok() && is_unique).then_some(name)
    }
}

/// What a row has there, if that may be an id.
fn value(row: &Row, name: &str) -> Option<String> {
    let value = row.fields.get_item(&Value::from(name)).ok()?;
    let text = match value.as_str() {
        Some(text) => text.to_owned(),
        None if value.is_integer() => value.to_string(),
        None => return None,
    };
    let fits =
        !text.is_empty() && text.len() <= LONGEST && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    fits.then_some(text)
}

/// Whether a name is one that people give to ids.
fn is_like_an_id(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    ["id", "key", "uuid", "guid"].iter().any(|word| words.contains(word))
        || name.ends_with("Id")
        || name.ends_with("ID")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(names: &[&str], rows: &[&[&str]]) -> Option<String> {
        let mut candidates = Candidates::default();
        for (number, row) in (1..).zip(rows) {
            let fields = Value::from_pairs(names.iter().zip(*row).map(|(name, value)| (*name, Value::from(*value))));
            candidates.add(&Row { number, line: None, fields });
        }
        candidates.best()
    }

    #[test]
    fn a_column_without_a_value_twice_is_named_one_like_an_id_first() {
        let names = ["sku", "ticket_id", "text"];
        let rows: &[&[&str]] = &[&["a", "1", "one word"], &["b", "2", "two"], &["c", "3", "three"]];
        assert_eq!(best(&names, rows).as_deref(), Some("ticket_id"));
        assert_eq!(best(&names, &[rows[0], &["b", "1", "two"], rows[2]]).as_deref(), Some("sku"));
        assert_eq!(best(&names, &[rows[0], &["a", "1", "two"]]), None);
        assert_eq!(best(&names, &[rows[0], &["b", "", "two"]]).as_deref(), Some("sku"));
        // One row tells nothing, and a text is no id.
        assert_eq!(best(&names, &rows[..1]), None);
        assert_eq!(best(&["text"], &[&["one word"], &["other"]]), None);
        let long = "x".repeat(65);
        assert_eq!(best(&["id"], &[&["a"], &[&long]]), None);
    }
}
