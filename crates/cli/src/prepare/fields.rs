//! `--field NAME=JSON`: what is in the body of every row, and the same in each.

use std::path::Path;

use super::body;
use super::rows::MAX_ROW_BYTES;
use crate::exit::CliError;
use crate::input;

/// `NAME=JSON`; the value may hold more `=`.
pub(crate) fn parse(text: &str) -> Result<(String, String), String> {
    let Some((name, json)) = text.split_once('=') else {
        return Err("give NAME=JSON, such as top_p=0.9, or NAME=@FILE".to_owned());
    };
    if name.split('.').any(|part| part.trim().is_empty()) {
        return Err("its name is empty, or a part of it between dots: give NAME=JSON, such as top_p=0.9".to_owned());
    }
    Ok((name.to_owned(), json.to_owned()))
}

/// The fields of a body, in the order in which they were given.
#[derive(Debug, Default)]
pub(crate) struct Fields(Vec<(String, Node)>);

#[derive(Debug)]
enum Node {
    /// The flag that has set it, and its JSON; none for what another place of the body has.
    Set(&'static str, Option<String>),
    Object(Vec<(String, Node)>),
}

impl Fields {
    /// Keeps a name for what the body has by another flag.
    pub(crate) fn reserve(&mut self, flag: &'static str, name: &str) {
        self.0.push((name.to_owned(), Node::Set(flag, None)));
    }

    /// Sets a field to JSON. With a dot in its name it is one of an object.
    ///
    /// # Errors
    /// With exit 2 when it is set already.
    pub(crate) fn set(&mut self, flag: &'static str, name: &str, json: String) -> Result<(), CliError> {
        let twice = |other: &str, at: &str| {
            let both =
                if other == flag { format!("{flag} sets it twice") } else { format!("{other} and {flag} both set it") };
            Err(CliError::usage(format!("the field {at:?} of the body: {both}; leave one of them out")))
        };
        let parts: Vec<&str> = name.split('.').collect();
        let mut level = &mut self.0;
        for (at, part) in parts.iter().enumerate() {
            let is_last = at + 1 == parts.len();
            let found = level.iter().position(|(known, _)| known == part);
            match found {
                Some(found) if is_last => return twice(level[found].1.flag(), name),
                Some(found) => match &mut level[found].1 {
                    Node::Object(inner) => level = inner,
                    Node::Set(other, _) => return twice(other, &parts[..=at].join(".")),
                },
                None if is_last => {
                    level.push(((*part).to_owned(), Node::Set(flag, Some(json))));
                    return Ok(());
                }
                None => {
                    level.push(((*part).to_owned(), Node::Object(Vec::new())));
                    let Some((_, Node::Object(inner))) = level.last_mut() else { return Ok(()) };
                    level = inner;
                }
            }
        }
        Ok(())
    }

    /// Sets one that was given as `--field`.
    ///
    /// # Errors
    /// With exit 2 when it is no JSON, or set already.
    pub(crate) fn given(&mut self, name: &str, given: &str) -> Result<(), CliError> {
        let text = match given.strip_prefix('@') {
            Some(file) => input::whole_text(Path::new(file), MAX_ROW_BYTES)?,
            None => given.to_owned(),
        };
        let json = body::compact(&text).map_err(|error| {
            let hint = match given.starts_with('@') {
                true => String::new(),
                false => format!("; a text has quotes, which the shell must leave: --field '{name}=\"…\"'"),
            };
            CliError::usage(format!("--field {name}: the value is not JSON ({error}){hint}"))
        })?;
        self.set("--field", name, json)
    }

    /// The fields as the end of an object: each with a comma before it.
    pub(crate) fn text(&self) -> Result<String, serde_json::Error> {
        let mut text = String::new();
        write(&mut text, &self.0, true)?;
        Ok(text)
    }
}

impl Node {
    fn flag(&self) -> &'static str {
        match self {
            Self::Set(flag, _) => flag,
            Self::Object(_) => "--field",
        }
    }
}

fn write(text: &mut String, fields: &[(String, Node)], mut comma: bool) -> Result<(), serde_json::Error> {
    for (name, node) in fields {
        if matches!(node, Node::Set(_, None)) {
            continue;
        }
        if std::mem::replace(&mut comma, true) {
            text.push(',');
        }
        text.push_str(&serde_json::to_string(name)?);
        text.push(':');
        match node {
            Node::Set(_, json) => text.push_str(json.as_deref().unwrap_or("null")),
            Node::Object(inner) => {
                text.push('{');
                write(text, inner, false)?;
                text.push('}');
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(fields: &[&str]) -> Result<String, String> {
        let mut made = Fields::default();
        made.reserve("--model", "model");
        for field in fields {
            let (name, json) = parse(field)?;
            made.given(&name, &json).map_err(|error| error.to_string())?;
        }
        made.text().map_err(|error| error.to_string())
    }

    #[test]
    fn fields_are_written_as_they_were_given() {
        assert_eq!(made(&[]).as_deref(), Ok(""));
        let fields = ["b.y.z=[1, 2]", "seed=123456789012345678901234567890", "b.x=\"a=b\"", "a={ \"k\": 1.50 }"];
        let expected = r#","b":{"y":{"z":[1,2]},"x":"a=b"},"seed":123456789012345678901234567890,"a":{"k":1.50}"#;
        assert_eq!(made(&fields).as_deref(), Ok(expected));
    }

    #[test]
    fn what_cannot_be_set_is_said() {
        for (fields, expected) in [
            (&["a"][..], "give NAME=JSON"),
            (&["=1"], "its name is empty"),
            (&["a..b=1"], "a part of it between dots"),
            (&["a=yes"], "--field a: the value is not JSON (expected value at line 1 column 1); a text has quotes"),
            (&["a={\"k\":1,\"k\":2}"], "the key \"k\" comes twice"),
            (&["model=1"], "the field \"model\" of the body: --model and --field both set it"),
            (&["a=1", "a=2"], "--field sets it twice"),
            (&["a=1", "a.b=2"], "the field \"a\" of the body: --field sets it twice"),
            (&["a.b=1", "a=2"], "--field sets it twice"),
        ] {
            let said = made(fields).expect_err("a refusal");
            assert!(said.contains(expected), "{fields:?}: {said}");
        }
    }
}
