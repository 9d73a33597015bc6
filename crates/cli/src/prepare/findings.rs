//! Collects what is wrong with rows, and says what is the same for many rows once.

use serde_json::{Value, json};

use super::rows;

/// How many different problems are named before the work stops.
const MOST: usize = 20;

/// How many rows a problem names beside the first.
const NAMED: usize = 5;

/// The number of a row, and of its line where there are lines.
pub(crate) type Place = (u64, Option<u64>);

/// What is wrong with one or more rows, or with the rows as a whole.
struct Finding {
    /// That of the first row, when a row is to blame.
    place: Option<Place>,
    message: String,
    /// What it has in common with others whose words differ.
    kind: Option<&'static str>,
    count: u64,
    /// The numbers of the next few rows.
    rows: Vec<u64>,
}

/// What is wrong with the rows.
#[derive(Default)]
pub(crate) struct Findings {
    list: Vec<Finding>,
    /// The fields of the first row that lacks one.
    pub(crate) fields: Option<Vec<String>>,
}

impl Findings {
    /// Adds a problem; one that is known already, by its words or its kind, is counted.
    pub(crate) fn push(&mut self, place: Option<Place>, message: String, kind: Option<&'static str>) {
        let is_known = |known: &&mut Finding| {
            known.place.is_some() && (known.message == message || kind.is_some() && known.kind == kind)
        };
        if let Some(known) = self.list.iter_mut().find(is_known) {
            known.count += 1;
            known.rows.extend(place.map(|(row, _)| row).filter(|_| known.rows.len() < NAMED));
        } else {
            self.list.push(Finding { place, message, kind, count: 1, rows: Vec::new() });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether there are as many as are named.
    pub(crate) fn are_enough(&self) -> bool {
        self.list.len() >= MOST
    }

    /// How many problems there are, in words.
    pub(crate) fn count(&self) -> String {
        match self.list.len() {
            MOST => format!("stopped at {MOST} problems"),
            n => crate::out::count(n as u64, "problem"),
        }
    }

    /// Each problem as a line for people.
    pub(crate) fn texts(&self) -> impl Iterator<Item = String> {
        self.list.iter().map(|Finding { place, message, count, rows, kind: _ }| {
            let mut text = match place {
                Some((row, line)) => format!("{}: {message}", rows::place(*row, *line)),
                None => message.clone(),
            };
            let more = count - 1;
            if more > 0 {
                let named: Vec<_> = rows.iter().map(u64::to_string).collect();
                let rest = if more > rows.len() as u64 { ", …" } else { "" };
                text.push_str(&format!(
                    " (and in {}: {}{rest})",
                    crate::out::count(more, "more row"),
                    named.join(", ")
                ));
            }
            text
        })
    }

    /// Each problem as JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        let one = |Finding { place, message, count, .. }: &Finding| {
            json!({
                "row": place.map(|(row, _)| row),
                "line": place.and_then(|(_, line)| line),
                "rows": count,
                "message": message,
            })
        };
        self.list.iter().map(one).collect()
    }
}

/// What to say of the field names of a CSV file that was read with another delimiter than its own.
pub(crate) fn delimiter_advice(names: &[String], delimiter: u8) -> Option<String> {
    let [only] = names else { return None };
    let meant = [';', '\t', '|', ','].into_iter().find(|c| only.contains(*c) && *c != char::from(delimiter))?;
    let flag = if meant == '\t' { "tab".to_owned() } else { format!("'{meant}'") };
    Some(format!("there is one field, {only:?}: add --delimiter {flag} if {meant:?} stands between the fields"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_same_is_counted() {
        let mut findings = Findings::default();
        for row in 1..=8 {
            findings.push(Some((row, Some(row + 1))), "`q` is undefined".to_owned(), None);
        }
        findings.push(Some((9, None)), "is no JSON object".to_owned(), None);
        findings.push(Some((10, None)), "is no JSON object".to_owned(), None);
        findings.push(None, "holds no rows".to_owned(), None);
        findings.push(Some((11, Some(12))), "the id 1 is that of row 10".to_owned(), Some("ids"));
        findings.push(Some((12, Some(13))), "the id 2 is that of row 9".to_owned(), Some("ids"));
        let texts: Vec<_> = findings.texts().collect();
        assert_eq!(
            texts,
            [
                "row 1 (line 2): `q` is undefined (and in 7 more rows: 2, 3, 4, 5, 6, …)",
                "row 9: is no JSON object (and in 1 more row: 10)",
                "holds no rows",
                "row 11 (line 12): the id 1 is that of row 10 (and in 1 more row: 12)",
            ]
        );
        assert_eq!((findings.count(), findings.are_enough()), ("4 problems".to_owned(), false));
        assert_eq!(findings.json()[0], json!({"row": 1, "line": 2, "rows": 8, "message": "`q` is undefined"}));
    }

    #[test]
    fn another_delimiter_is_guessed_from_a_single_field() {
        let advice = |names: &[&str], delimiter| {
            delimiter_advice(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(), delimiter)
        };
        let semicolon = advice(&["id;text"], b',').unwrap();
        assert_eq!(semicolon, "there is one field, \"id;text\": add --delimiter ';' if ';' stands between the fields");
        assert!(advice(&["id\ttext"], b',').unwrap().contains("--delimiter tab"));
        assert!(advice(&["id,text"], b'\t').unwrap().contains("--delimiter ','"));
        assert_eq!(advice(&["text"], b','), None);
        assert_eq!(advice(&["a;b", "c"], b','), None);
        assert_eq!(advice(&["a;b"], b';'), None);
    }
}
