//! The flags of what a batch is created with, the same in every command that creates one.

use clap::{Args, value_parser};
use lote::{BatchOptions, ExpiresAfter, bound};
use serde_json::Value;

use crate::exit::CliError;
use crate::values;

/// What a batch is created with besides its input file and its endpoint.
#[derive(Debug, Args)]
#[command(next_help_heading = "Batch")]
pub(crate) struct BatchOptionArgs {
    /// A pair for the batch's metadata (repeatable)
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::pair)]
    metadata: Vec<(String, String)>,

    /// Within which time the batch is to be done, of the windows of the dialect, such as 24h, or 7d
    /// at Groq [default: 24h]
    #[arg(long, value_name = "WINDOW")]
    completion_window: Option<String>,

    /// Under which key the service makes one batch however often it is asked; sent only to those
    /// that honour it
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,

    /// How many lines may be in flight at once, at least 1 (MKA1 only)
    #[arg(long, value_name = "N", value_parser = value_parser!(i64).range(bound::MAX_CONCURRENCY.min..))]
    max_concurrency: Option<i64>,

    /// When the output and error files are deleted after they were made: seconds, or a time such
    /// as 36h or 7d; 1h to 30d (OpenAI only)
    #[arg(long, value_name = "TIME", value_parser = values::expires_after)]
    output_expires_after: Option<ExpiresAfter>,

    /// A field of the create that has no flag, sent as it is given: priority=1, or 'tier="flex"' for
    /// a text (repeatable)
    #[arg(long, value_name = "NAME=JSON", value_parser = values::field)]
    batch_field: Vec<(String, Value)>,
}

impl BatchOptionArgs {
    /// The options.
    ///
    /// # Errors
    /// With exit 2 when a pair or a field is given twice. What a service would not understand is refused later, by the
    /// library.
    pub(crate) fn options(&self) -> Result<BatchOptions, CliError> {
        let Self { metadata, completion_window, idempotency_key, max_concurrency, output_expires_after, batch_field } =
            self;
        values::no_pair_twice("metadata", metadata)?;
        values::no_pair_twice("batch-field", batch_field)?;
        let mut options = BatchOptions::new();
        for (key, value) in metadata {
            options = options.metadata(key, value);
        }
        if let Some(window) = completion_window {
            options = options.completion_window(window);
        }
        if let Some(key) = idempotency_key {
            options = options.idempotency_key(key);
        }
        if let Some(lines) = *max_concurrency {
            options = options.max_concurrency(lines);
        }
        if let Some(after) = *output_expires_after {
            options = options.output_expires_after(after);
        }
        for (name, value) in batch_field {
            options = options.field(name, value);
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_create_that_has_a_place_of_its_own_has_a_flag() {
        let command = BatchOptionArgs::augment_args(clap::Command::new("lote"));
        let flags: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        for field in BatchOptions::FIELDS {
            // The input file and the endpoint are the command's own.
            let own = matches!(*field, "input_file_id" | "endpoint");
            assert_eq!(flags.contains(&field.replace('_', "-").as_str()), !own, "{field}: {flags:?}");
        }
    }
}
