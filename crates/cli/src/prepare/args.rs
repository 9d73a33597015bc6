//! The flags that say what is asked of each row, of `lote prepare` and `lote run`.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use super::fields;
use super::rows::{self, Format};
use crate::values;

/// What is asked of each row, and how the rows are written.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "What is asked of each row")]
pub(crate) struct AskArgs {
    /// The text that the user says, with {{ column }} for what is in a column: a chat of each row
    ///
    /// It is a template of plain text, as --system, --embed and --id are. {{ column }} is the value
    /// of a column, {{ row["any name"] }} that of one whose name is no word, {{ row_number }} the
    /// number of the row, from 1. A row that lacks the column, or has null there, is refused:
    /// {{ column or "unknown" }} says what to write instead. Lists and objects become JSON.
    #[arg(long, value_name = "TEXT|@FILE")]
    pub(crate) user: Option<String>,

    /// The text that says what the model is to do, before that of the user
    #[arg(long, value_name = "TEXT|@FILE")]
    pub(crate) system: Option<String>,

    /// The model that answers; with --template, of bodies that name none
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) model: Option<String>,

    /// Answers are to be JSON of this schema, in strict mode
    ///
    /// The schema is sent as it is written. What strict mode cannot say is refused, with its place
    /// in the schema: every object has "additionalProperties": false and all its properties in
    /// "required", and there is no oneOf, allOf, not, if or default (docs/facts.md, 3.5).
    #[arg(long, value_name = "@FILE|JSON")]
    pub(crate) schema: Option<String>,

    /// How much chance there is in the answers, from 0 to 2
    #[arg(long, value_name = "NUMBER", value_parser = temperature)]
    pub(crate) temperature: Option<String>,

    /// The text to embed, in place of a chat: vectors of each row
    #[arg(long, value_name = "TEXT|@FILE")]
    pub(crate) embed: Option<String>,

    /// How many numbers a vector is to have
    #[arg(long, value_name = "N", value_parser = values::positive::<u64>)]
    pub(crate) dimensions: Option<u64>,

    /// Any other field of the body, the same for every row, such as max_completion_tokens=500
    ///
    /// The value is JSON, or @FILE with JSON in it: a text has quotes, as in --field 'user="me"'.
    /// A dot leads into an object: --field 'reasoning.effort="low"'. May be given several times.
    #[arg(long, value_name = "NAME=JSON", value_parser = fields::parse)]
    pub(crate) field: Vec<(String, String)>,

    /// The template of a whole body, as JSON, for what the flags above cannot say
    #[arg(long, value_name = "TEXT|@FILE")]
    pub(crate) template: Option<String>,

    /// The template of the custom_id, by which an answer is told [default: row-{{ row_number }}]
    #[arg(long, value_name = "TEXT")]
    pub(crate) id: Option<String>,

    /// How the rows are written [default: by the file's extension; jsonl for -]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,

    /// What stands between the values of CSV rows, such as ';', or tab [default: , or, for tsv, a tab]
    #[arg(long, value_name = "CHARACTER", value_parser = rows::delimiter)]
    pub(crate) delimiter: Option<u8>,
}

/// The custom_id of a row, when nothing is said of it.
pub(crate) const ID: &str = "row-{{ row_number }}";

impl AskArgs {
    /// Whether rows are asked something, so that what is given is a table.
    pub(crate) const fn is_given(&self) -> bool {
        self.user.is_some() || self.embed.is_some() || self.template.is_some()
    }

    /// The first flag that is given although it says nothing by itself.
    pub(crate) fn first(&self) -> Option<&'static str> {
        let Self { user: _, system, model, schema, temperature, embed: _, dimensions, field, .. } = self;
        let Self { template: _, id, format, delimiter, .. } = self;
        [
            ("--system", system.is_some()),
            ("--model", model.is_some()),
            ("--schema", schema.is_some()),
            ("--temperature", temperature.is_some()),
            ("--dimensions", dimensions.is_some()),
            ("--field", !field.is_empty()),
            ("--id", id.is_some()),
            ("--format", format.is_some()),
            ("--delimiter", delimiter.is_some()),
        ]
        .into_iter()
        .find_map(|(flag, is_given)| is_given.then_some(flag))
    }
}

/// A number from 0 to 2, as JSON.
fn temperature(text: &str) -> Result<String, String> {
    let number: f64 = text.trim().parse().map_err(|_| "give a number from 0 to 2, such as 0.2".to_owned())?;
    if !(0.0..=2.0).contains(&number) {
        return Err("it is from 0 to 2".to_owned());
    }
    Ok(if number.fract() == 0.0 { format!("{number:.0}") } else { number.to_string() })
}
