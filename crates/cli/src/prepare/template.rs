//! Renders bodies, so that a row's value cannot change the structure of a body.
//!
//! The literal text of a body template goes straight to the [`Sink`]; the result of every
//! expression passes the formatter first, which asks the sink where the text stands:
//!
//! - at the top, outside quotes: the value is written as one whole JSON value, set off by
//!   blanks, so that it cannot run together with the literal text around it;
//! - at the top, inside quotes: refused, with advice;
//! - not at the sink at all (a `set` block, a macro, a filter block): the value is text,
//!   and becomes JSON when the captured text is itself written.
//!
//! The sink refuses text that the formatter wrongly believes to be captured, so a mistake
//! about the place ends in an error, never in a body.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Object, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, Value};

use super::explain::{explain, explain_syntax, with_row};
use super::json;
use super::rows::Row;
use super::text::{blame, environment, names};

const QUOTED: &str = "an expression stands inside quotes, but it renders a whole JSON value, \
    with quotes of its own; write \"content\": {{ question }}, and join texts in the expression: \
    \"content\": {{ \"Q: \" ~ question }}";

/// The template of the bodies.
pub(crate) struct Template {
    bodies: Environment<'static>,
    sink: Sink,
    /// The names that the body takes from the row, sorted.
    names: Vec<String>,
}

/// Why there is no body or id.
pub(crate) enum Refusal {
    /// This row and this template do not go together.
    Row(String),
    /// The row lacks a field that the template uses.
    Undefined(String),
    /// The template is wrong whatever the row.
    Template(String),
}

impl Template {
    /// # Errors
    /// A message that names the template and the line of its fault.
    pub(crate) fn new(body: String) -> Result<Self, String> {
        let sink = Sink::default();
        let mut bodies = environment();
        let shared = sink.clone();
        bodies.set_formatter(move |out, _, value| shared.format(out, value));
        let source = body.clone();
        bodies.add_template_owned("template", body).map_err(|error| explain_syntax(&error, &source))?;
        let template = bodies.get_template("template").map_err(|e| explain(&e))?;
        let names = names(&bodies, &template);
        Ok(Self { bodies, sink, names })
    }

    /// The text of one row's body, which is JSON only if the template's literal text is.
    ///
    /// # Errors
    /// Says what is wrong, without the row.
    pub(crate) fn body(&self, row: &Row) -> Result<String, Refusal> {
        *self.sink.lock() = Place::default();
        let rendered = self
            .bodies
            .get_template("template")
            .and_then(|template| template.render_captured_to(context(row), self.sink.clone()));
        let place = std::mem::take(&mut *self.sink.lock());
        if let Err(error) = rendered {
            let mut message = explain(&error);
            if place.found_undefined {
                let lacks: Vec<_> = self.names.iter().filter(|name| lacks(row, name)).cloned().collect();
                if !lacks.is_empty() {
                    message.push_str(&format!("; fields the row does not have: {lacks:?}"));
                    message = with_row(message, &lacks, row);
                }
            }
            if place.found_quotes {
                return Err(Refusal::Template(message));
            }
            return Err(match blame(&error, message, row) {
                Refusal::Row(message) if place.found_undefined => Refusal::Undefined(message),
                refusal => refusal,
            });
        }
        String::from_utf8(place.text).map_err(|_| Refusal::Template("the body is not UTF-8".to_owned()))
    }
}

fn lacks(row: &Row, name: &str) -> bool {
    name != "row" && name != "row_number" && row.fields.get_attr(name).is_ok_and(|value| value.is_undefined())
}

/// What a template sees: the row's fields, `row_number`, and `row` unless that is a field.
#[derive(Debug)]
struct Context {
    fields: Value,
    number: u64,
}

pub(super) fn context(row: &Row) -> Value {
    Value::from_object(Context { fields: row.fields.clone(), number: row.number })
}

impl Object for Context {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str() {
            Some("row_number") => Some(Value::from(self.number)),
            Some(name) => match self.fields.get_attr(name) {
                Ok(value) if !value.is_undefined() => Some(value),
                _ => (name == "row").then(|| self.fields.clone()),
            },
            None => None,
        }
    }
}

/// Where the rendered text of a body arrives.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Place>>);

/// What has arrived, and what may arrive next.
#[derive(Default)]
struct Place {
    text: Vec<u8>,
    in_string: bool,
    after_backslash: bool,
    expects: Expects,
    /// The formatter has refused an expression inside quotes.
    found_quotes: bool,
    /// The formatter has refused a value that is, or holds, nothing.
    found_undefined: bool,
}

#[derive(Default, PartialEq)]
enum Expects {
    /// Literal text of the template.
    #[default]
    Literal,
    /// The formatter's question whether its output ends up here: an empty write.
    Question,
    /// Nothing: the question has arrived.
    Answer,
    /// One JSON value.
    Json,
    /// Nothing: the formatter writes captured text, elsewhere.
    Elsewhere,
}

impl Sink {
    fn lock(&self) -> MutexGuard<'_, Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect(&self, expects: Expects) {
        self.lock().expects = expects;
    }

    /// The formatter of body templates.
    fn format(&self, out: &mut Output<'_>, value: &Value) -> Result<(), Error> {
        self.expect(Expects::Question);
        out.write_str("")?;
        let (here, in_string) = {
            let place = self.lock();
            (place.expects == Expects::Answer, place.in_string)
        };
        if here {
            if in_string {
                self.lock().found_quotes = true;
                return Err(Error::new(ErrorKind::InvalidOperation, QUOTED));
            }
            let text = json::to_json(value).inspect_err(|error| {
                self.lock().found_undefined = error.kind() == ErrorKind::UndefinedError;
            })?;
            self.expect(Expects::Json);
            write!(out, " {text} ")?;
        } else {
            self.expect(Expects::Elsewhere);
            if value.kind() != ValueKind::Undefined {
                write!(out, "{value}")?;
            }
        }
        self.expect(Expects::Literal);
        Ok(())
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let place = &mut *self.lock();
        match place.expects {
            Expects::Literal => {
                place.literal(bytes);
                Ok(())
            }
            Expects::Json => {
                place.text.extend_from_slice(bytes);
                Ok(())
            }
            Expects::Question if bytes.is_empty() => {
                place.expects = Expects::Answer;
                Ok(())
            }
            _ if bytes.is_empty() => Ok(()),
            _ => Err(io::Error::other("text arrived at the body out of turn")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Place {
    fn literal(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.after_backslash {
                self.after_backslash = false;
            } else if byte == b'"' {
                self.in_string = !self.in_string;
            } else if byte == b'\\' && self.in_string {
                self.after_backslash = true;
            }
        }
        self.text.extend_from_slice(bytes);
    }
}
