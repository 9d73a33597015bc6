//! What a batch is to its user, and how it is read from an answer.

use std::{collections::BTreeMap, time::Duration};

use lote_client::types as wire;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use crate::{BatchId, Error, FileId, Status, UnixSeconds, Usage, bound, field, field::Field, text::visible};

/// A batch, as a service described it.
///
/// Fields that a service leaves out or sends as null are `None`. Serialises as the service's own JSON without its
/// nulls, fields that the contract does not name included, and is read back from that through the same checks as an
/// answer.
///
/// Instants are those of the service's clock, in whole seconds (see [`UnixSeconds`] for their range). Sources: MKA1's
/// pages "create a batch" and "get a batch" and its SDK 0.12.128; OpenAI's API description of 2026-08-21.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Batch {
    /// The id of the batch.
    pub id: BatchId,
    /// Where it stands.
    pub status: Status,
    /// The endpoint that it was created for; any text, since services know more than the contract.
    pub endpoint: Option<String>,
    /// The window that it was created with. One server was seen to answer `1d` for `24h`.
    pub completion_window: Option<String>,
    /// The input file.
    pub input_file_id: Option<FileId>,
    /// The file with the lines that succeeded. A completed batch has none when no line succeeded.
    pub output_file_id: Option<FileId>,
    /// The file with the lines that did not succeed. May name an empty file.
    pub error_file_id: Option<FileId>,
    /// The validation errors of a failed batch. Not the error file.
    pub errors: Vec<ValidationError>,
    /// How the lines stand. `None` when the service does not say, as some do until the batch runs.
    pub request_counts: Option<RequestCounts>,
    /// When it was created.
    pub created_at: Option<UnixSeconds>,
    /// When the first lines were started.
    pub in_progress_at: Option<UnixSeconds>,
    /// When it expires if it is not done: the deadline, not the event.
    pub expires_at: Option<UnixSeconds>,
    /// When all lines had been run.
    pub finalizing_at: Option<UnixSeconds>,
    /// When it was completed.
    pub completed_at: Option<UnixSeconds>,
    /// When it failed.
    pub failed_at: Option<UnixSeconds>,
    /// When it expired.
    pub expired_at: Option<UnixSeconds>,
    /// When it was asked to stop.
    pub cancelling_at: Option<UnixSeconds>,
    /// When it had stopped.
    pub cancelled_at: Option<UnixSeconds>,
    /// The caller's own pairs; a server may have added its own.
    pub metadata: BTreeMap<String, String>,
    /// How many lines may be in flight at once, at least 1. MKA1 only.
    pub max_concurrency: Option<i64>,
    /// The model that ran it. OpenAI only.
    pub model: Option<String>,
    /// The tokens that it consumed, over all its lines, each [0 or more](crate::bound::TOKENS) and 0 where the service does
    /// not say. OpenAI only; batches made before September 2025 lack it.
    pub usage: Option<Usage>,
    raw: Map<String, Value>,
}

/// How many request lines there are, and how many have ended each way: each [0 or more](crate::bound::LINES). Some
/// services let them go backwards, or say 0 of 0 until the batch runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RequestCounts {
    /// All lines. 0 while the batch is validating.
    pub total: u64,
    /// The lines that succeeded.
    pub completed: u64,
    /// The lines that failed.
    pub failed: u64,
}

/// A finding about an input file, from the `errors` of a batch that failed its validation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ValidationError {
    /// A code for programs, such as `duplicate_custom_id`.
    pub code: Option<String>,
    /// What is wrong.
    pub message: Option<String>,
    /// The field at fault.
    pub param: Option<String>,
    /// The line of the input file, counted from 1. As it came: the contract states no range.
    pub line: Option<i64>,
}

impl std::fmt::Display for ValidationError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&visible(self.message.as_deref().unwrap_or("no message")))?;
        match &self.code {
            Some(code) => write!(f, " ({})", visible(code)),
            None => Ok(()),
        }
    }
}

impl Batch {
    /// The fields of the contract, in its order.
    pub const FIELDS: &'static [&'static str] = &[
        "id",
        "object",
        "endpoint",
        "errors",
        "input_file_id",
        "completion_window",
        "status",
        "output_file_id",
        "error_file_id",
        "created_at",
        "in_progress_at",
        "expires_at",
        "finalizing_at",
        "completed_at",
        "failed_at",
        "expired_at",
        "cancelling_at",
        "cancelled_at",
        "request_counts",
        "metadata",
        "max_concurrency",
        "model",
        "usage",
    ];

    /// Whether it is over. One that is `cancelling` with `cancelled_at` set is: one server leaves it so for ever. So is
    /// one of a status that is not known with the instant of an end: nobody can say which of the service's words is its
    /// last, and a wait for another would have no end.
    pub fn is_terminal(&self) -> bool {
        match self.status {
            Status::Cancelling => self.cancelled_at.is_some(),
            Status::Other(_) => self.ended_at().is_some(),
            ref known => known.is_terminal(),
        }
    }

    /// The instant of any end. Zero is what some services say for none.
    fn ended_at(&self) -> Option<UnixSeconds> {
        let ends = [self.completed_at, self.failed_at, self.expired_at, self.cancelled_at];
        ends.into_iter().flatten().find(|at| at.get() != 0)
    }

    /// The share of lines that have ended, from 0 to 1. `None` while the service does not say how many there are.
    pub fn progress(&self) -> Option<f64> {
        let RequestCounts { total, completed, failed } = self.request_counts.filter(|counts| counts.total > 0)?;
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        Some((completed.saturating_add(failed) as f64 / total as f64).min(1.0))
    }

    /// How long it took from its creation to its end, or has taken until now.
    pub fn elapsed(&self) -> Option<Duration> {
        let end = match self.status {
            Status::Completed => self.completed_at,
            Status::Failed => self.failed_at.or(self.completed_at),
            Status::Expired => self.expired_at,
            Status::Cancelled | Status::Cancelling if self.is_terminal() => self.cancelled_at,
            Status::Other(_) if self.is_terminal() => self.ended_at(),
            _ => Some(UnixSeconds::now()),
        };
        Some(end?.since(self.created_at?))
    }

    /// The field of the service's own JSON, for what the contract does not name.
    pub fn raw(&self, field: &str) -> Option<&Value> {
        self.raw.get(field)
    }

    pub(crate) fn read(at: &str, wire: wire::Batch) -> Result<Self, Error> {
        let raw = field::raw(&wire);
        let wire::Batch {
            id,
            object: _,
            endpoint,
            errors,
            input_file_id,
            completion_window,
            status,
            output_file_id,
            error_file_id,
            created_at,
            in_progress_at,
            expires_at,
            finalizing_at,
            completed_at,
            failed_at,
            expired_at,
            cancelling_at,
            cancelled_at,
            request_counts,
            metadata,
            max_concurrency,
            model,
            usage,
            extra: _,
        } = wire;
        let field = |name, value| Field::new(at, name, value);
        Ok(Self {
            id: field("id", id)
                .id(BatchId::new)?
                .ok_or_else(|| Error::undecodable(format!("{at}.id: it is missing: this is no batch")))?,
            status: Status::from(field("status", status).required_text()?.as_str()),
            endpoint: field("endpoint", endpoint).text()?,
            completion_window: field("completion_window", completion_window).text()?,
            input_file_id: field("input_file_id", input_file_id).id(FileId::new)?,
            output_file_id: field("output_file_id", output_file_id).id(FileId::new)?,
            error_file_id: field("error_file_id", error_file_id).id(FileId::new)?,
            errors: validation_errors(field("errors", errors))?,
            request_counts: field("request_counts", request_counts).object()?.map(counts).transpose()?.flatten(),
            created_at: field("created_at", created_at).instant()?,
            in_progress_at: field("in_progress_at", in_progress_at).instant()?,
            expires_at: field("expires_at", expires_at).instant()?,
            finalizing_at: field("finalizing_at", finalizing_at).instant()?,
            completed_at: field("completed_at", completed_at).instant()?,
            failed_at: field("failed_at", failed_at).instant()?,
            expired_at: field("expired_at", expired_at).instant()?,
            cancelling_at: field("cancelling_at", cancelling_at).instant()?,
            cancelled_at: field("cancelled_at", cancelled_at).instant()?,
            metadata: field("metadata", metadata).pairs()?.unwrap_or_default(),
            max_concurrency: field("max_concurrency", max_concurrency).integer(&bound::MAX_CONCURRENCY)?,
            model: field("model", model).text()?,
            usage: field("usage", usage).object()?.map(self::usage).transpose()?,
            raw,
        })
    }
}

impl Serialize for Batch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        field::in_order(&self.raw, Self::FIELDS, serializer)
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read("batch", wire::Batch::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for RequestCounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = wire::RequestCounts::deserialize(deserializer)?;
        let read = counts(("request_counts".to_owned(), wire)).map_err(de::Error::custom)?;
        read.ok_or_else(|| de::Error::custom("request_counts: there is no count in it"))
    }
}

impl<'de> Deserialize<'de> for ValidationError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read("error", wire::BatchError::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// `{object, data: […]}`, or a list or a text where a service sends one.
fn validation_errors(errors: Field) -> Result<Vec<ValidationError>, Error> {
    let errors = match errors.into_text() {
        Ok(message) => {
            let message = Some(message);
            return Ok(vec![ValidationError { code: None, message, param: None, line: None }]);
        }
        Err(errors) => errors,
    };
    let data = match errors.is_list() {
        true => errors,
        false => {
            let Some((at, wire)) = errors.object()? else { return Ok(Vec::new()) };
            let wire::BatchErrors { object: _, data, extra: _ } = wire;
            Field::new(&at, "data", data)
        }
    };
    data.list()?
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(at, entry)| Field::named(at, entry).object().transpose())
        .map(|entry| entry.and_then(|(at, wire)| ValidationError::read(&at, wire)))
        .collect()
}

impl ValidationError {
    fn read(at: &str, wire: wire::BatchError) -> Result<Self, Error> {
        let wire::BatchError { code, message, param, line, extra: _ } = wire;
        let field = |name, value| Field::new(at, name, value);
        Ok(Self {
            code: field("code", code).text()?,
            message: field("message", message).text()?,
            param: field("param", param).text()?,
            line: field("line", line).integer(&bound::LINE_NUMBER)?,
        })
    }
}

/// Counts that are all absent or null are no counts.
fn counts((at, wire): (String, wire::RequestCounts)) -> Result<Option<RequestCounts>, Error> {
    let wire::RequestCounts { total, completed, failed, extra: _ } = wire;
    let count = |name, value| Field::new(&at, name, value).count(&bound::LINES);
    Ok(match (count("total", total)?, count("completed", completed)?, count("failed", failed)?) {
        (None, None, None) => None,
        (total, completed, failed) => Some(RequestCounts {
            total: total.unwrap_or(0),
            completed: completed.unwrap_or(0),
            failed: failed.unwrap_or(0),
        }),
    })
}

fn usage((at, wire): (String, wire::BatchUsage)) -> Result<Usage, Error> {
    let wire::BatchUsage {
        input_tokens,
        input_tokens_details,
        output_tokens,
        output_tokens_details,
        total_tokens,
        extra: _,
    } = wire;
    let count = |at: &str, name, value| -> Result<_, Error> {
        Ok(Field::new(at, name, value).count(&bound::TOKENS)?.unwrap_or(0))
    };
    let cached_tokens = match Field::new(&at, "input_tokens_details", input_tokens_details).object()? {
        Some((at, wire::InputTokensDetails { cached_tokens, extra: _ })) => count(&at, "cached_tokens", cached_tokens)?,
        None => 0,
    };
    let reasoning_tokens = match Field::new(&at, "output_tokens_details", output_tokens_details).object()? {
        Some((at, wire::OutputTokensDetails { reasoning_tokens, extra: _ })) => {
            count(&at, "reasoning_tokens", reasoning_tokens)?
        }
        None => 0,
    };
    let mut usage = Usage::default();
    usage.input_tokens = count(&at, "input_tokens", input_tokens)?;
    usage.cached_tokens = cached_tokens;
    usage.output_tokens = count(&at, "output_tokens", output_tokens)?;
    usage.reasoning_tokens = reasoning_tokens;
    usage.total_tokens = count(&at, "total_tokens", total_tokens)?;
    Ok(usage)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Batch, Error> {
        Batch::read("batch", serde_json::from_value(value).unwrap())
    }

    #[test]
    fn the_least_that_a_batch_can_be() {
        let batch =
            read(json!({"id": "b", "status": "scheduling", "error_file_id": "", "request_counts": null})).unwrap();
        assert_eq!(batch.status, Status::Other("scheduling".to_owned()));
        assert!(batch.error_file_id.is_none() && batch.request_counts.is_none() && batch.progress().is_none());
    }

    #[test]
    fn nothing_that_came_is_lost_when_it_is_printed() {
        let value = json!({"dwext": {"a": null}, "status": "completed", "zeta": [1], "id": "b"});
        let text = serde_json::to_string(&read(value).unwrap()).unwrap();
        assert_eq!(text, r#"{"id":"b","status":"completed","dwext":{"a":null},"zeta":[1]}"#);
    }

    #[test]
    fn counts_and_usage() {
        let batch = read(json!({
            "id": "b", "status": "in_progress",
            "request_counts": {"total": 8, "completed": 5, "failed": 1},
            "usage": {"input_tokens": 7, "input_tokens_details": {"cached_tokens": 2}, "total_tokens": 9},
            "metadata": {"a": "b", "n": 1},
        }))
        .unwrap();
        assert_eq!(batch.progress(), Some(0.75));
        assert_eq!(batch.usage.unwrap().cached_tokens, 2);
        assert_eq!(batch.metadata["n"], "1");
        let null =
            read(json!({"id": "b", "status": "x", "request_counts": {"total": null, "completed": null}})).unwrap();
        assert!(null.request_counts.is_none());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (field, value, message) in [
            ("created_at", json!(9_007_199_254_740_992_i64), "batch.created_at: 9007199254740992 is out of range"),
            ("request_counts", json!({"total": -1}), "batch.request_counts.total: -1 is out of range"),
            ("max_concurrency", json!(0), "batch.max_concurrency: 0 is out of range"),
            ("status", json!(null), "batch.status: it is missing"),
            ("errors", json!({"data": [{"line": "x"}]}), "batch.errors.data[0].line: \"x\" is not an integer"),
            ("usage", json!([1]), "batch.usage: [1] is not an object"),
            ("input_file_id", json!(".."), "batch.input_file_id: file id \"..\""),
        ] {
            let mut batch = json!({"id": "b", "status": "completed"});
            batch[field] = value;
            let error = read(batch).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn validation_errors_in_every_shape() {
        let errors = |value| read(json!({"id": "b", "status": "failed", "errors": value})).unwrap().errors;
        let list =
            errors(json!({"object": null, "data": [{"code": "empty_file", "message": "no lines", "line": 1}, null]}));
        assert_eq!(list.len(), 1);
        assert_eq!(list[0].to_string(), "line 1: no lines (empty_file)");
        let bare = errors(json!([{"code": "x", "line": "7"}]));
        assert_eq!((bare[0].code.as_deref(), bare[0].line), (Some("x"), Some(7)));
        assert_eq!(errors(json!("broken"))[0].message.as_deref(), Some("broken"));
        assert!(errors(json!(null)).is_empty());
    }
}
