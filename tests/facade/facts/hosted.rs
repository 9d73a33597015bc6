//! Owns the facts about services that others run: MKA1, OpenAI, Azure, Groq, Together, Doubleword.

use lote::{Endpoint, UploadPurpose};

use super::{BATCH, CHAT, Of};
use crate::conformance::{Ask, Create};

pub(super) fn all() -> Vec<(&'static str, Of)> {
    vec![
        ("mka1", mka1()),
        ("openai", openai()),
        ("azure", azure()),
        ("azure, the classic paths, as a dialect of one's own", azure_classic()),
        ("groq", groq()),
        ("together", together()),
        ("doubleword", doubleword()),
    ]
}

/// The least answer.
const OK: &str = r#"{"id":"b","status":"validating"}"#;

fn mka1() -> Of {
    Of::new("mka1")
        .answered("prefix, bearer key, end user", Ask::OnBehalfOf, [(200, OK)], "validating")
        .answered("lines in flight", Ask::Create(CHAT, Create::MaxConcurrency), [(200, OK)], "validating")
        .refused(
            "four endpoints",
            Ask::Create(Endpoint::Moderations.as_str(), Create::Plain),
            "does not take endpoint /v1/moderations, only /v1/chat/completions, /v1/responses,",
        )
        .refused("one window", Ask::Create(CHAT, Create::Window("7d")), "window of \"7d\", only 24h; nothing was sent")
        .refused(
            "no output_expires_after",
            Ask::Create(CHAT, Create::OutputExpiresAfter),
            "does not know output_expires_after, and would keep the files",
        )
        .refused("no expires_after", Ask::Upload("a.jsonl", BATCH, Some(3_600)), "would keep the file")
        .answered(
            "a name that counts as missing",
            Ask::Upload("blob", UploadPurpose::UserData, None),
            [(200, r#"{"id":"file-1","filename":"blob.bin"}"#)],
            "blob.bin",
        )
        .answered("files by their hash", Ask::Sha256, [(200, r#"{"data":[],"has_more":false}"#)], "0 files")
        .answered(
            "max_concurrency is absent before October 2026",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"in_progress","request_counts":{"total":3,"completed":1,"failed":0}}"#)],
            "1 of 3 completed",
        )
        .joined(
            "a line that failed has no response",
            r#"{"id":"response_1","custom_id":"a","response":null,"error":{"code":"processing_error","message":"The request could not be processed."}}"#,
            "0 succeeded, 1 failed; processing_error: The request could not be processed.",
        )
        .answered(
            "a cancelled batch that looks completed",
            Ask::Cancel,
            [(200, r#"{"id":"b","status":"cancelling","cancelling_at":1704070860,"completed_at":1704070860}"#)],
            "batch b, cancelling; completed_at",
        )
}

fn openai() -> Of {
    Of::new("openai")
        .answered("prefix and bearer key", Ask::Get("b"), [(200, OK)], "validating")
        .answered("eight endpoints", Ask::Create(Endpoint::Videos.as_str(), Create::Plain), [(200, OK)], "validating")
        .answered(
            "files of a batch that go by themselves",
            Ask::Create(CHAT, Create::OutputExpiresAfter),
            [(200, OK)],
            "validating",
        )
        .answered(
            "uploads end in .jsonl and may expire",
            Ask::Upload("upload", BATCH, Some(3_600)),
            [(200, r#"{"id":"file-1","filename":"upload.jsonl","purpose":"batch","status":"processed"}"#)],
            "upload.jsonl",
        )
        .refused("no end users", Ask::OnBehalfOf, "does not understand X-On-Behalf-Of, and would mix up the end users")
        .refused("no lines in flight", Ask::Create(CHAT, Create::MaxConcurrency), "does not know max_concurrency")
        .refused("no filter by hash", Ask::Sha256, "does not know the filter sha256, and would list every file")
        .refused("16 pairs of metadata", Ask::Create(CHAT, Create::Metadata(17, 1)), "takes 16 pairs of metadata, not 17")
        .refused(
            "of 512 characters",
            Ask::Create(CHAT, Create::Metadata(1, 513)),
            "a value of metadata of 512 characters, not the 513 of \"k0\"",
        )
        .answered(
            "a key is not sent where it promises nothing",
            Ask::Create(CHAT, Create::Key("run-7")),
            [(200, OK)],
            "validating",
        )
        .answered(
            "all lines failed: completed, without an output file",
            Ask::Get("b"),
            [(
                200,
                r#"{"id":"b","status":"completed","output_file_id":null,"error_file_id":"file-2","request_counts":{"total":9,"completed":0,"failed":9}}"#,
            )],
            "completed, over; error_file_id file-2; request_counts 0 of 9 completed, 9 failed",
        )
        .answered(
            "model and usage",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"completed","model":"gpt-5","usage":{"total_tokens":30}}"#)],
            "model gpt-5; usage 30 tokens",
        )
        .joined(
            "a line that failed has a response with a status",
            r#"{"id":"batch_req_1","custom_id":"a","response":{"status_code":400,"request_id":"r","body":{"error":{"message":"too long","type":"invalid_request_error","param":null,"code":"context_length_exceeded"}}},"error":null}"#,
            "0 succeeded, 1 failed; ",
        )
        .joined(
            "a line that never ran",
            r#"{"id":"batch_req_1","custom_id":"a","response":null,"error":{"code":"batch_expired","message":"not in time"}}"#,
            "0 succeeded, 0 failed, 1 expired",
        )
        .answered(
            "cancelling what is over",
            Ask::Cancel,
            [(
                409,
                r#"{"error":{"message":"Cannot cancel a batch with status 'completed'.","type":"invalid_request_error","param":null,"code":null}}"#,
            )],
            "409 Conflict: Cannot cancel",
        )
}

fn azure() -> Of {
    Of::new("azure")
        .answered("prefix, and the key in its own header", Ask::Get("b"), [(200, OK)], "validating")
        .answered(
            "an endpoint that is spelled otherwise",
            Ask::Create(CHAT, Create::Plain),
            [(200, r#"{"id":"b","status":"Validating","endpoint":"/chat/completions","completion_window":"24h"}"#)],
            "validating; endpoint /v1/chat/completions",
        )
        .refused(
            "no embeddings",
            Ask::Create(Endpoint::Embeddings.as_str(), Create::Plain),
            "does not take endpoint /v1/embeddings, only /v1/chat/completions, /v1/responses",
        )
        .answered(
            "instants in words, counts of null, an error file of nothing",
            Ask::Get("b"),
            [(
                200,
                r#"{"id":"b","status":"Completed","created_at":"2024-07-19T00:33:29.1619286+00:00","error_file_id":"","request_counts":{"total":null,"completed":null,"failed":null}}"#,
            )],
            "batch b, completed, over; created_at 2024-07-19T00:33:29Z",
        )
        .answered(
            "a failed batch with completed_at",
            Ask::Get("b"),
            [(
                200,
                r#"{"id":"b","status":"failed","completed_at":1720000000,"failed_at":null,"errors":{"object":"list","data":[{"code":"input_modified","message":"changed","line":null}]}}"#,
            )],
            "error changed (input_modified)",
        )
        .answered(
            "a list under value",
            Ask::List,
            [(200, r#"{"value":[{"id":"b","status":"Completed"}],"has_more":false}"#)],
            "batch b, completed",
        )
        .answered(
            "an expiry of 14 days at the least, with dots",
            Ask::Upload("a.jsonl", BATCH, Some(1_209_600)),
            [(201, r#"{"id":"file-1","filename":"a.jsonl"}"#)],
            "a.jsonl",
        )
        .refused(
            "and not less",
            Ask::Upload("a.jsonl", BATCH, Some(86_400)),
            "keeps files for 1209600 seconds at the least, not 86400",
        )
        .answered("204 to a deletion", Ask::Delete, [(204, "")], "deleted: true")
}

fn azure_classic() -> Of {
    Of::new(super::super::conformance::AZURE_CLASSIC)
        .answered("the version in the query", Ask::Get("b"), [(200, OK)], "validating")
        .answered("of every call", Ask::List, [(200, r#"{"data":[],"has_more":false}"#)], "")
}

fn groq() -> Of {
    Of::new("groq")
        .answered("prefix", Ask::Get("b"), [(200, OK)], "validating")
        .answered(
            "any window from a day to a week",
            Ask::Create(CHAT, Create::Window("7d")),
            [(200, r#"{"id":"b","status":"validating","completion_window":"7d"}"#)],
            "completion_window 7d",
        )
        .refused("and no longer", Ask::Create(CHAT, Create::Window("8d")), "window of \"8d\", only 24h to 7d")
        .answered(
            "endpoints that the contract does not name",
            Ask::Create("/v1/audio/transcriptions", Create::Plain),
            [(200, r#"{"id":"b","status":"validating","endpoint":"/v1/audio/transcriptions"}"#)],
            "endpoint /v1/audio/transcriptions",
        )
        .refused(
            "no embeddings",
            Ask::Create(Endpoint::Embeddings.as_str(), Create::Plain),
            "does not take endpoint /v1/embeddings, only /v1/chat/completions, /v1/audio/transcriptions",
        )
        .answered(
            "a file without a status",
            Ask::File,
            [(200, r#"{"id":"file-1","bytes":966,"created_at":1736472501,"filename":"a.jsonl","purpose":"batch"}"#)],
            "purpose batch; created_at",
        )
        .answered(
            "metadata that is no text",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"in_progress","metadata":{"n":1,"deep":{"a":true}}}"#)],
            r#"metadata deep = {"a":true}; metadata n = 1"#,
        )
}

fn together() -> Of {
    Of::new("together")
        .answered(
            "another path, purpose and field for an upload",
            Ask::Upload("rows", BATCH, None),
            [(200, r#"{"id":"file-1","filename":"rows.jsonl","bytes":3,"purpose":"batch-api","FileType":"jsonl"}"#)],
            "filename rows.jsonl; bytes 3; purpose batch",
        )
        .answered(
            "a batch in a wrapper, with names of its own",
            Ask::Create(CHAT, Create::Plain),
            [(
                201,
                r#"{"job":{"id":"b","status":"IN_PROGRESS","created_at":"2024-01-15T14:30:00Z","job_deadline":"2024-01-16T14:30:00Z","model_id":"llama","progress":75},"warning":"slow today"}"#,
            )],
            "batch b, in_progress; created_at 2024-01-15T14:30:00Z; expires_at 2024-01-16T14:30:00Z; model llama",
        )
        .answered(
            "an error that is a text",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"FAILED","error":"line 3 is no JSON"}"#)],
            "failed, over; error line 3 is no JSON",
        )
        .answered(
            "a list that is a bare array",
            Ask::List,
            [(200, r#"[{"id":"b","status":"CANCELLED","completed_at":"2024-01-15T15:45:30Z"}]"#)],
            "batch b, cancelled, over; completed_at 2024-01-15T15:45:30Z",
        )
        .answered(
            "files without a cursor",
            Ask::ListFiles,
            [(200, r#"{"data":[{"id":"file-1","purpose":"batch-generated","created_at":1715021438}]}"#)],
            "file file-1; purpose batch_output; created_at",
        )
}

fn doubleword() -> Of {
    Of::new("doubleword")
        .answered(
            "a window of an hour",
            Ask::Create(CHAT, Create::Window("1h")),
            [(201, r#"{"id":"967d4e40","status":"validating","completion_window":"1h","output_file_id":"03279317"}"#)],
            "completion_window 1h; output_file_id 03279317",
        )
        .refused("and no other", Ask::Create(CHAT, Create::Window("2h")), "window of \"2h\", only 24h, 1h")
        .answered(
            "metadata and fields of its own",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"in_progress","metadata":{"request_source":"api","k":"v"},"dwext":{"source":"api"}}"#)],
            r#"metadata k = v; metadata request_source = api; raw dwext {"source":"api"}"#,
        )
        .answered(
            "a file of errors, and no status",
            Ask::File,
            [(200, r#"{"id":"f","bytes":354,"created_at":1795298431,"filename":"e.jsonl","purpose":"batch_error"}"#)],
            "purpose batch_output",
        )
        .answered(
            "cancelling what is over succeeds",
            Ask::Cancel,
            [(200, r#"{"id":"b","status":"cancelled","completed_at":1795298431,"cancelled_at":1795298432}"#)],
            "cancelled, over",
        )
        .answered(
            "cancelling for ever, with cancelled_at",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"cancelling","cancelled_at":1795298432}"#)],
            "cancelling, over",
        )
        .joined(
            "an error whose message is JSON in a text",
            r#"{"id":"r","custom_id":"a","response":null,"error":{"code":null,"message":"{\"type\":\"NonRetriableHttpStatus\",\"details\":{\"status\":400}}"}}"#,
            "0 succeeded, 1 failed",
        )
        .answered("errors are texts", Ask::Get("nope"), [(400, "Invalid batch ID format")], "400 Bad Request: Invalid")
}
