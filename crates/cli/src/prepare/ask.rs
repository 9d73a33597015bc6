//! From a row to the request line that is made of it.

use std::path::{Path, PathBuf};

use super::args::{AskArgs, ID};
use super::body;
use super::fields::Fields;
use super::rows::{MAX_ROW_BYTES, Row};
use super::schema::Format;
use super::template::{Refusal, Template};
use super::text::Text;
use crate::endpoint::Endpoint;
use crate::exit::CliError;
use crate::input;

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const EMBEDDINGS: &str = "/v1/embeddings";

/// What is asked of each row.
pub(crate) struct Ask {
    body: Body,
    /// None when each is named after its number.
    id: Option<Text>,
    endpoint: String,
    /// The files that it was read from.
    files: Vec<PathBuf>,
}

/// How a body is made.
enum Body {
    /// By a template of the whole, and a model for those that name none.
    Template(Box<Template>, Option<String>),
    Texts(Box<Texts>),
}

/// Texts of a row, between what is the same for every row.
struct Texts {
    before: String,
    /// What the model is to do, and what stands behind it.
    system: Option<(Text, &'static str)>,
    text: Text,
    after: String,
}

impl Ask {
    /// # Errors
    /// With exit 2 when flags do not go together or a file cannot be read, and exit 3 when a template or a schema is wrong.
    pub(crate) fn new(args: &AskArgs, endpoint: Option<&Endpoint>) -> Result<Self, CliError> {
        let mut files = Vec::new();
        let id = args.id.clone().filter(|id| id != ID);
        let id = id.map(|id| Text::new("--id", id).map_err(CliError::refused)).transpose()?;
        let (body, endpoint) = match &args.template {
            Some(template) => {
                refuse_beside_template(args)?;
                let Some(endpoint) = endpoint else {
                    let why =
                        "--template: --endpoint says what the bodies are for, such as --endpoint chat; it is missing";
                    return Err(CliError::usage(why));
                };
                let template = Template::new(read(template, &mut files)?).map_err(CliError::refused)?;
                (Body::Template(Box::new(template), args.model.clone()), endpoint.path().to_owned())
            }
            None => texts(args, endpoint.map(Endpoint::path), &mut files)?,
        };
        files.extend(args.schema.as_deref().and_then(|given| given.strip_prefix('@')).map(PathBuf::from));
        Ok(Self { body, id, endpoint, files })
    }

    /// The files that say what is asked.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(PathBuf::as_path)
    }

    /// The endpoint of the lines.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whether lines are named after the numbers of their rows.
    pub(crate) const fn counts(&self) -> bool {
        self.id.is_none()
    }

    /// The custom_id of a row.
    ///
    /// # Errors
    /// Says what is wrong, without the row.
    pub(crate) fn id(&self, row: &Row) -> Result<String, Refusal> {
        match &self.id {
            None => Ok(format!("row-{}", row.number)),
            Some(id) => id.render(row),
        }
    }

    /// The request line of a row.
    ///
    /// # Errors
    /// Says what is wrong, without the row.
    pub(crate) fn line(&self, row: &Row, id: &str) -> Result<String, Refusal> {
        let body = match &self.body {
            Body::Template(template, model) => {
                body::finish(&template.body(row)?, model.as_deref()).map_err(Refusal::Row)?
            }
            Body::Texts(texts) => texts.body(row)?,
        };
        let (id, endpoint) = (quoted(id)?, &self.endpoint);
        Ok(format!(r#"{{"custom_id":{id},"method":"POST","url":"{endpoint}","body":{body}}}"#))
    }
}

impl Texts {
    fn body(&self, row: &Row) -> Result<String, Refusal> {
        let Self { before, system, text, after } = self;
        let mut body = before.clone();
        if let Some((system, behind)) = system {
            body.push_str(&quoted(&system.render(row)?)?);
            body.push_str(behind);
        }
        let said = text.render(row)?;
        if said.trim().is_empty() {
            return Err(Refusal::Row("there is nothing to ask: the text of this row is empty".to_owned()));
        }
        body.push_str(&quoted(&said)?);
        body.push_str(after);
        Ok(body)
    }
}

/// Bodies that are made of texts.
fn texts(args: &AskArgs, endpoint: Option<&str>, files: &mut Vec<PathBuf>) -> Result<(Body, String), CliError> {
    let usage = |why: String| Err(CliError::usage(why));
    let (flag, given) = match (&args.user, &args.embed) {
        (Some(_), Some(_)) => {
            return usage("--user asks for a chat and --embed for vectors: leave one of them out".to_owned());
        }
        (Some(user), None) => ("--user", user),
        (None, Some(embed)) => ("--embed", embed),
        (None, None) => {
            let example = "  such as --user '{{ subject }}: {{ body }}' --model auto, with the names of your columns";
            let why = "say what is asked of each row: --user TEXT for a chat, --embed TEXT for vectors, or --template for a \
                       whole body";
            return Err(CliError::usage(why).with([example.to_owned()]));
        }
    };
    let is_chat = flag == "--user";
    let endpoint = endpoint.unwrap_or(if is_chat { CHAT } else { EMBEDDINGS });
    match (is_chat, endpoint) {
        (true, CHAT | RESPONSES) | (false, EMBEDDINGS) => {}
        (true, other) => {
            return usage(format!("--user is for chats, at {CHAT} or {RESPONSES}: use --template for {other}"));
        }
        (false, other) => return usage(format!("--embed is for {EMBEDDINGS}: use --template for {other}")),
    }
    if !is_chat {
        for (flag, is_given) in [
            ("--system", args.system.is_some()),
            ("--schema", args.schema.is_some()),
            ("--temperature", args.temperature.is_some()),
        ] {
            if is_given {
                return usage(format!("{flag} is for chats, and --embed asks for vectors: leave one of them out"));
            }
        }
    } else if args.dimensions.is_some() {
        return usage("--dimensions is for vectors, and --user asks for a chat: leave one of them out".to_owned());
    }
    let Some(model) = &args.model else {
        return usage(format!("{flag}: --model says which model answers, such as --model auto; it is missing"));
    };
    let mut fields = Fields::default();
    fields.reserve("--model", "model");
    let content = match endpoint {
        CHAT => "messages",
        _ => "input",
    };
    fields.reserve(flag, content);
    if endpoint == RESPONSES && args.system.is_some() {
        fields.reserve("--system", "instructions");
    }
    if let Some(temperature) = &args.temperature {
        fields.set("--temperature", "temperature", temperature.clone())?;
    }
    if let Some(dimensions) = args.dimensions {
        fields.set("--dimensions", "dimensions", dimensions.to_string())?;
    }
    if let Some(schema) = &args.schema {
        let format = Format::load(schema)?;
        match endpoint {
            RESPONSES => fields.set("--schema", "text.format", format.flat())?,
            _ => fields.set("--schema", "response_format", format.nested())?,
        }
    }
    for (name, json) in &args.field {
        fields.given(name, json)?;
    }
    let as_usage = |error: serde_json::Error| CliError::usage(error.to_string());
    let same = fields.text().map_err(as_usage)?;
    let model = serde_json::to_string(model).map_err(as_usage)?;
    let system = args.system.as_deref().map(|system| text("--system", system, files)).transpose()?;
    let text = text(flag, given, files)?;
    if text.is_the_same_for_all() && system.as_ref().is_none_or(Text::is_the_same_for_all) {
        return Err(same_for_all(flag, text.in_single_braces()));
    }
    let user = r#"{"role":"user","content":"#;
    let (begins, between, ends) = match (endpoint, system.is_some()) {
        (CHAT, true) => {
            (r#""messages":[{"role":"system","content":"#.to_owned(), r#"},{"role":"user","content":"#, "}]")
        }
        (CHAT, false) => (format!(r#""messages":[{user}"#), "", "}]"),
        (RESPONSES, true) => (r#""instructions":"#.to_owned(), r#","input":"#, ""),
        _ => (r#""input":"#.to_owned(), "", ""),
    };
    let texts = Texts {
        before: format!(r#"{{"model":{model},{begins}"#),
        system: system.map(|system| (system, between)),
        text,
        after: format!("{ends}{same}}}"),
    };
    Ok((Body::Texts(Box::new(texts)), endpoint.to_owned()))
}

/// What is said of a template by which each row would ask, and be paid for, the same.
fn same_for_all(flag: &str, in_single_braces: Option<&str>) -> CliError {
    let hint = match in_single_braces {
        Some(name) => format!("{{{name}}} is written {{{{ {name} }}}}"),
        None => "write {{ and }} around the name of a column".to_owned(),
    };
    CliError::usage(format!("{flag} takes nothing from the rows, so that all of them would ask the same: {hint}"))
}

/// A template of a whole body says all that the other flags do.
fn refuse_beside_template(args: &AskArgs) -> Result<(), CliError> {
    let AskArgs { user, system, schema, temperature, embed, dimensions, field, .. } = args;
    let beside = [
        ("--user", user.is_some()),
        ("--system", system.is_some()),
        ("--embed", embed.is_some()),
        ("--schema", schema.is_some()),
        ("--temperature", temperature.is_some()),
        ("--dimensions", dimensions.is_some()),
        ("--field", !field.is_empty()),
    ];
    match beside.into_iter().find(|(_, is_given)| *is_given) {
        None => Ok(()),
        Some((flag, _)) => Err(CliError::usage(format!(
            "--template and {flag} were both given: a template says all that is in the body; write it there, or leave \
             --template out"
        ))),
    }
}

fn text(flag: &'static str, given: &str, files: &mut Vec<PathBuf>) -> Result<Text, CliError> {
    Text::new(flag, read(given, files)?).map_err(CliError::refused)
}

/// A text that is given itself, or as the name of its file.
fn read(given: &str, files: &mut Vec<PathBuf>) -> Result<String, CliError> {
    let Some(path) = given.strip_prefix('@') else {
        return Ok(given.to_owned());
    };
    let path = Path::new(path);
    let text = input::whole_text(path, MAX_ROW_BYTES).map_err(|error| {
        let hint = "  a text that begins with @ itself is written {{ \"@\" }}…".to_owned();
        let is_text = given.contains("{{") && !path.exists();
        error.with(is_text.then_some(hint))
    })?;
    files.push(path.to_owned());
    Ok(text)
}

fn quoted(text: &str) -> Result<String, Refusal> {
    serde_json::to_string(text).map_err(|error| Refusal::Row(error.to_string()))
}
