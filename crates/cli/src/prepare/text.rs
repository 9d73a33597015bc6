//! Templates of plain text: a custom_id, and what is asked in words.

use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, Template, UndefinedBehavior, Value};

use super::explain::{explain, explain_syntax, missing, with_row};
use super::json;
use super::rows::Row;
use super::suggest;
use super::template::{Refusal, context};

/// One template, by the name of the flag that gave it.
pub(crate) struct Text {
    environment: Environment<'static>,
    name: &'static str,
    source: String,
}

impl Text {
    /// # Errors
    /// A message that names the template, and the line and column of its fault.
    pub(crate) fn new(name: &'static str, source: String) -> Result<Self, String> {
        let mut environment = environment();
        environment.set_formatter(|out, _, value| write(out, value));
        environment.add_template_owned(name, source.clone()).map_err(|error| explain_syntax(&error, &source))?;
        Ok(Self { environment, name, source })
    }

    /// Whether it takes nothing from a row.
    pub(crate) fn is_the_same_for_all(&self) -> bool {
        let template = self.environment.get_template(self.name);
        template.is_ok_and(|template| names(&self.environment, &template).is_empty())
    }

    /// What stands in single braces, as other templates have a name, if anything does.
    pub(crate) fn in_single_braces(&self) -> Option<&str> {
        self.source.split('{').skip(1).find_map(|rest| {
            let name = rest.split_once('}')?.0.trim();
            let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            is_name.then_some(name)
        })
    }

    /// The text for one row.
    ///
    /// # Errors
    /// Says what is wrong, without the row.
    pub(crate) fn render(&self, row: &Row) -> Result<String, Refusal> {
        let rendered = self.environment.get_template(self.name).and_then(|template| template.render(context(row)));
        rendered.map_err(|error| blame(&error, explain(&error), row))
    }
}

/// Whether a row or the template is to blame.
pub(super) fn blame(error: &Error, message: String, row: &Row) -> Refusal {
    match error.kind() {
        // `{{ Price (EUR) }}` is a call.
        ErrorKind::UnknownFunction => match called(error).and_then(|name| suggest::nearest(name, &row.names())) {
            Some(found) => Refusal::Template(format!("{message}; did you mean {found}?")),
            None => Refusal::Template(message),
        },
        ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::TemplateNotFound => Refusal::Template(message),
        // An operation on what is not there says so as well: `{{ ticket-id }}` is a difference.
        kind => match missing(error) {
            Some(missing) => Refusal::Undefined(with_row(message, &[missing], row)),
            None if kind == ErrorKind::UndefinedError => Refusal::Undefined(message),
            None => Refusal::Row(message),
        },
    }
}

/// The function that an error says there is none of.
fn called(error: &Error) -> Option<&str> {
    error.detail()?.strip_suffix(" is unknown")?.split_whitespace().last()
}

/// The names that a template takes from a row, sorted.
pub(super) fn names(environment: &Environment<'_>, template: &Template<'_, '_>) -> Vec<String> {
    let mut names: Vec<_> = template.undeclared_variables(false).into_iter().collect();
    names.retain(|name| !environment.globals().any(|(global, _)| global == name));
    names.sort();
    names
}

/// What all templates have in common.
pub(super) fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_debug(true);
    environment.add_filter("tojson", json::tojson);
    environment
}

/// Writes a value as text: a text as it is, lists and objects as JSON. Nothing is never written as a word, which would be
/// sent and paid for.
fn write(out: &mut Output<'_>, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::None => Err(Error::new(
            ErrorKind::InvalidOperation,
            "a value is null, and null has no text; write what to say instead, as in {{ field or \"unknown\" }}",
        )),
        ValueKind::Bool => Ok(out.write_str(if value.is_true() { "true" } else { "false" })?),
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => Ok(out.write_str(&json::to_json(value)?)?),
        ValueKind::Undefined => Err(Error::new(
            ErrorKind::UndefinedError,
            "an expression has no value (an undefined element, or an `if` with no `else`; \
             to write text only sometimes, use {% if … %}…{% endif %})",
        )),
        ValueKind::Number
            if !value.is_integer() && f64::try_from(value.clone()).is_ok_and(|number| !number.is_finite()) =>
        {
            Err(Error::new(
                ErrorKind::InvalidOperation,
                format!("a value is no number ({value}), as a table has it where there is none; leave the row out"),
            ))
        }
        _ => Ok(write!(out, "{value}")?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::value;

    fn render(source: &str, row: &str) -> Result<String, String> {
        let fields = Value::from_pairs(value::fields(row).expect("a row"));
        let text = Text::new("--user", source.to_owned())?;
        text.render(&Row { number: 1, line: None, fields }).map_err(|refusal| match refusal {
            Refusal::Row(said) | Refusal::Undefined(said) | Refusal::Template(said) => said,
        })
    }

    #[test]
    fn a_value_is_written_as_people_write_it() {
        let row =
            r#"{"t":"a \"b\"\n","n":9007199254740993,"x":0.10,"b":true,"l":["a",null],"m":{"k":"v"},"z":null,"row":1}"#;
        for (source, expected) in [
            ("{{ t }}|{{ n }}|{{ x }}|{{ b }}", "a \"b\"\n|9007199254740993|0.1|true"),
            ("{{ l }} {{ m }}", r#"["a",null] {"k":"v"}"#),
            ("{{ z or 'none' }}{% if z %}no{% endif %}", "none"),
            ("{{ row_number }}: {{ row }}", "1: 1"),
            ("\"{{ t | upper }}\"\n", "\"A \"B\"\n\""),
            ("{% raw %}{{ t }}{% endraw %}", "{{ t }}"),
        ] {
            assert_eq!(render(source, row).as_deref(), Ok(expected), "{source}");
        }
        let error = render("{{ Price (EUR) }}", r#"{"Price (EUR)":1}"#).unwrap_err();
        assert!(error.ends_with("; did you mean row[\"Price (EUR)\"]?"), "{error}");
    }

    #[test]
    fn a_text_without_a_name_of_a_row_is_the_same_for_all() {
        for (source, expected) in [
            ("Sort it.", true),
            ("{q} }} {", true),
            ("{% raw %}{{ q }}{% endraw %}{# {{ q }} #}{% for x in range(2) %}{{ x }}{% endfor %}", true),
            ("{{ q }}", false),
            ("{{ row.q }}", false),
            ("{% if row_number is odd %}a{% endif %}", false),
        ] {
            let text = Text::new("--user", source.to_owned()).unwrap();
            assert_eq!(text.is_the_same_for_all(), expected, "{source}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place_and_what_to_write() {
        let row = r#"{"subject":"s","full name":"n","größe":1,"ticket-id":2,"z":null}"#;
        for (source, expected) in [
            ("{{ subjct }}", "--user line 1, column 4: `subjct` is undefined"),
            ("{{ subjct }}", "; did you mean subject?"),
            ("a\n  {{ row.subjekt }}", "--user line 2, column 6: "),
            ("a\n  {{ row.subjekt }}", "; did you mean subject?"),
            ("{{ row[\"full nam\"] }}", "; did you mean row[\"full name\"]?"),
            ("{{ ticket-id }}", "; did you mean row[\"ticket-id\"]?"),
            ("{{ full name }}", "--user line 1, column "),
            ("{{ full name }}", "is written {{ row[\"full name\"] }}"),
            ("{{ größe }}", "is written {{ row[\"größe\"] }}"),
            ("x\n{{ subject | upperr }}", "--user line 2, column "),
            ("{{ z }}", "--user line 1, column 4: a value is null, and null has no text"),
            ("{{ subject", "--user line 1"),
            ("{% if subject %}", "--user line 1"),
        ] {
            let said = render(source, row).expect_err(source);
            assert!(said.contains(expected), "{source}: {said}");
        }
        // As tables of other programs have it.
        let fields = Value::from_pairs([("x", Value::from(f64::NAN))]);
        let text = Text::new("--user", "{{ x }}".to_owned()).expect("a template");
        let Err(Refusal::Row(said)) = text.render(&Row { number: 1, line: None, fields }) else {
            panic!("it is asked")
        };
        assert!(said.contains("--user line 1, column 4: a value is no number (NaN)"), "{said}");
        let said = render("{{ row.x }}", r#"{"row":"r"}"#).expect_err("no whole row");
        assert!(said.contains("the rows have a field `row`"), "{said}");
    }
}
