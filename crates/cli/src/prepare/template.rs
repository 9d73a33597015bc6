//! Renders bodies and ids, so that a row's value cannot change the structure of a body.
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

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Object, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, UndefinedBehavior, Value};

use super::json;
use super::rows::Row;

const QUOTED: &str = "an expression stands inside quotes, but it renders a whole JSON value, \
    with quotes of its own; write \"content\": {{ question }}, and join texts in the expression: \
    \"content\": {{ \"Q: \" ~ question }}";

/// The template of the bodies and that of the ids.
pub(crate) struct Templates {
    bodies: Environment<'static>,
    ids: Environment<'static>,
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

impl Templates {
    /// # Errors
    /// A message that names the template and the line of its fault.
    pub(crate) fn new(body: String, id: String) -> Result<Self, String> {
        let sink = Sink::default();
        let mut bodies = environment();
        bodies.add_filter("tojson", json::tojson);
        let shared = sink.clone();
        bodies.set_formatter(move |out, _, value| shared.format(out, value));
        bodies.add_template_owned("template", body).map_err(|error| explain(&error))?;
        let mut ids = environment();
        ids.add_filter("tojson", json::tojson);
        ids.add_template_owned("--id", id).map_err(|error| explain(&error))?;
        let template = bodies.get_template("template").map_err(|e| explain(&e))?;
        let mut names: Vec<_> = template.undeclared_variables(false).into_iter().collect();
        names.retain(|name| !bodies.globals().any(|(global, _)| global == name));
        names.sort();
        Ok(Self { bodies, ids, sink, names })
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
                let lacks: Vec<_> = self.names.iter().filter(|name| lacks(row, name)).collect();
                if !lacks.is_empty() {
                    message.push_str(&format!("; fields the row does not have: {lacks:?}"));
                }
            }
            return Err(match blame(&error, message, place.found_quotes) {
                Refusal::Row(message) if place.found_undefined => Refusal::Undefined(message),
                refusal => refusal,
            });
        }
        String::from_utf8(place.text).map_err(|_| Refusal::Template("the body is not UTF-8".to_owned()))
    }

    /// One row's id: plain text.
    ///
    /// # Errors
    /// As [`Templates::body`].
    pub(crate) fn id(&self, row: &Row) -> Result<String, Refusal> {
        self.ids
            .get_template("--id")
            .and_then(|template| template.render(context(row)))
            .map_err(|error| blame(&error, explain(&error), false))
    }
}

fn lacks(row: &Row, name: &str) -> bool {
    name != "row" && name != "row_number" && row.fields.get_attr(name).is_ok_and(|value| value.is_undefined())
}

fn blame(error: &Error, message: String, quotes: bool) -> Refusal {
    match error.kind() {
        ErrorKind::UnknownFilter
        | ErrorKind::UnknownFunction
        | ErrorKind::UnknownTest
        | ErrorKind::TemplateNotFound => Refusal::Template(message),
        _ if quotes => Refusal::Template(message),
        ErrorKind::UndefinedError => Refusal::Undefined(message),
        _ => Refusal::Row(message),
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_debug(true);
    environment
}

/// What a template sees: the row's fields, `row_number`, and `row` unless that is a field.
#[derive(Debug)]
struct Context {
    fields: Value,
    number: u64,
}

fn context(row: &Row) -> Value {
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

/// A template error in one line: where, what, and what to do.
fn explain(error: &Error) -> String {
    struct Located<'a>(&'a Error);

    impl fmt::Display for Located<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match (self.0.name(), self.0.line()) {
                (Some("template"), Some(line)) => write!(f, "template line {line}: ")?,
                (Some(name), _) => write!(f, "{name}: ")?,
                _ => {}
            }
            match (self.0.kind(), self.0.detail()) {
                (ErrorKind::BadSerialization, Some(detail)) => f.write_str(detail),
                (ErrorKind::InvalidOperation, Some(detail)) => f.write_str(detail),
                (ErrorKind::UndefinedError, Some(detail)) => write!(
                    f,
                    "{detail}; every row needs what the template uses; \
                     if it may be absent, write {{{{ field | default(\"…\") }}}}"
                ),
                (kind, Some(detail)) => write!(f, "{kind}: {detail}"),
                (kind, None) => write!(f, "{kind}"),
            }
        }
    }

    let mut text = Located(error).to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&match cause.downcast_ref::<Error>() {
            Some(error) => Located(error).to_string(),
            None => cause.to_string(),
        });
        source = cause.source();
    }
    text
}
