//! The field that somebody may have meant.

/// The nearest of these names, as a template writes it.
pub(crate) fn nearest(meant: &str, names: &[String]) -> Option<String> {
    let plain =
        |name: &str| -> String { name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect() };
    let wanted = plain(meant);
    let same = || names.iter().find(|name| !wanted.is_empty() && plain(name) == wanted);
    // `{{ ticket-id }}` is a difference of `ticket` and `id`, and `{{ ticket.id }}` a part of `ticket`.
    let longer = || {
        let begins = |name: &&String| {
            name.strip_prefix(meant).and_then(|rest| rest.chars().next()).is_some_and(|next| !is_word(next))
        };
        names.iter().find(begins)
    };
    let close = || {
        // At least half of it is right.
        let length = meant.chars().count();
        let most = (length / 3).max(1).min(length / 2);
        let distance = |name: &String| strsim::damerau_levenshtein(&meant.to_lowercase(), &name.to_lowercase());
        names
            .iter()
            .map(|name| (distance(name), name))
            .filter(|(distance, _)| *distance <= most)
            .min()
            .map(|(_, name)| name)
    };
    same().or_else(longer).or_else(close).map(|name| written(name))
}

/// A field as a template names it.
pub(crate) fn written(name: &str) -> String {
    let is_identifier = name.chars().next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_identifier { name.to_owned() } else { format!("row[{name:?}]") }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_near_is_found_and_written_as_it_works() {
        let names = ["ticket-id", "subject", "Body", "created at", "größe", "x"].map(str::to_owned);
        for (meant, found) in [
            ("subjct", Some("subject")),
            ("Subject", Some("subject")),
            ("body", Some("Body")),
            ("ticket_id", Some("row[\"ticket-id\"]")),
            ("ticket", Some("row[\"ticket-id\"]")),
            ("createdat", Some("row[\"created at\"]")),
            ("groesse", None),
            ("y", None),
            ("customer", None),
        ] {
            assert_eq!(nearest(meant, &names).as_deref(), found, "{meant}");
        }
    }
}
