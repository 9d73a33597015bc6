//! Blanks the key, and other values that may be secret, out of texts that a service sent.

/// What is blanked out of every text that comes from a service: some repeat what they refuse.
#[derive(Clone)]
pub(crate) struct Secrets(Vec<(String, String)>);

impl Secrets {
    /// The key, and other values that may be secret, each with the name that is shown in its place.
    pub(crate) fn new<'a>(key: &str, others: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut secrets = Vec::new();
        // A secret of a few letters would blank out half of the text.
        if key.len() >= 4 {
            secrets.push((key.to_owned(), "[key]".to_owned()));
        }
        for (name, value) in others {
            // A service may repeat what stands after a scheme such as Bearer alone.
            for value in [value, value.split_once(' ').map_or("", |(_, rest)| rest)] {
                if value.len() >= 8 {
                    secrets.push((value.to_owned(), format!("[{name}]")));
                }
            }
        }
        // One that holds another goes first.
        secrets.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// The text without them.
    pub(crate) fn blanked(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (secret, name)| text.replace(secret, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_secrets_are_blanked_as_a_whole_and_in_part() {
        let others = [("x-gateway", "Bearer hunter2222"), ("x-team", "batch"), ("x-two", "hunter2222-more")];
        let secrets = Secrets::new("key", others);
        let text = "key batch hunter2222-more Bearer hunter2222, hunter2222";
        assert_eq!(secrets.blanked(text), "key batch [x-two] [x-gateway], [x-gateway]");
    }
}
