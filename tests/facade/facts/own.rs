//! Owns the facts about servers of one's own: OGX, LiteLLM, AIBrix, vLLM's files, and a dialect of one's own.

use lote::{Endpoint, UploadPurpose};

use super::{BATCH, CHAT, Of};
use crate::conformance::{Ask, Create};

pub(super) fn all() -> Vec<(&'static str, Of)> {
    vec![
        ("ogx", ogx()),
        ("litellm", litellm()),
        ("aibrix", aibrix()),
        ("vllm", vllm()),
        ("a dialect of one's own", mine()),
    ]
}

fn ogx() -> Of {
    Of::new("ogx")
        .answered(
            "a key that is honoured, in the body",
            Ask::Create(CHAT, Create::Key("run-7")),
            [(200, r#"{"id":"b","status":"validating","expires_at":null,"request_counts":null,"metadata":null}"#)],
            "validating",
        )
        .answered(
            "with other parameters",
            Ask::Create(CHAT, Create::Key("run-7")),
            [(409, r#"{"error":{"message":"Idempotency key already used"}}"#)],
            "409 Conflict: Idempotency key already used",
        )
        .refused("three endpoints", Ask::Create(Endpoint::Responses.as_str(), Create::Plain), "does not take endpoint /v1/responses")
        .refused("one window", Ask::Create(CHAT, Create::Window("1h")), "window of \"1h\", only 24h")
        .refused("no end users", Ask::OnBehalfOf, "does not understand X-On-Behalf-Of")
        .answered(
            "several errors, in a list without a name",
            Ask::Get("b"),
            [(
                200,
                r#"{"id":"b","status":"failed","errors":{"data":[{"code":"invalid_json_line","line":2,"message":"not JSON","param":null},{"code":"invalid_url","line":3,"message":"other endpoint","param":"url"}],"object":null}}"#,
            )],
            "error line 2: not JSON (invalid_json_line); error line 3: other endpoint (invalid_url)",
        )
        .answered(
            "both files, though they may be empty",
            Ask::Get("b"),
            [(
                200,
                r#"{"id":"b","status":"completed","output_file_id":"file-2","error_file_id":"file-3","request_counts":{"completed":0,"failed":0,"total":0}}"#,
            )],
            "output_file_id file-2; error_file_id file-3; request_counts 0 of 0 completed",
        )
        .answered(
            "a stale cursor starts again at the first page",
            Ask::List,
            [
                (200, r#"{"data":[{"id":"b","status":"completed"},{"id":"c","status":"failed"}],"has_more":true}"#),
                (200, r#"{"data":[{"id":"b","status":"completed"},{"id":"c","status":"failed"}],"has_more":true}"#),
            ],
            "the list does not end",
        )
        .joined(
            "a body that is JSON in a text",
            r#"{"id":"r","custom_id":"a","response":{"status_code":200,"request_id":"r","body":"{\"model\":\"m\",\"choices\":[{\"message\":{\"content\":\"Yes.\"}}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4,\"total_tokens\":7}}"}}"#,
            "1 succeeded, 0 failed; 7 tokens",
        )
        .joined(
            "an error with a type in place of a code, and no response",
            r#"{"id":"r","custom_id":"a","error":{"type":"request_failed","message":"Error code: 400"}}"#,
            "0 succeeded, 1 failed; ",
        )
        .answered(
            "cancelling what is over",
            Ask::Cancel,
            [(409, r#"{"error":{"message":"Cannot cancel batch 'b' with status 'completed'"}}"#)],
            "409 Conflict: Cannot cancel",
        )
}

fn litellm() -> Of {
    Of::new("litellm")
        .answered(
            "its database's word",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"complete","output_file_id":"file-2"}"#)],
            "batch b, completed, over",
        )
        .answered(
            "ids with slashes",
            Ask::Get("openai/b"),
            [(200, r#"{"id":"openai/b","status":"in_progress"}"#)],
            "openai/b",
        )
        .answered(
            "uploads end in .jsonl",
            Ask::Upload("upload", BATCH, None),
            [(200, r#"{"id":"bGl0ZWxsbV9wcm94eTph","filename":"upload.jsonl","purpose":"batch"}"#)],
            "bGl0ZWxsbV9wcm94eTph",
        )
        .answered(
            "an error whose code is the status, as text",
            Ask::Get("b"),
            [(
                404,
                r#"{"error":{"message":"{'error': 'b'}","type":"internal_server_error","param":"None","code":"404"}}"#,
            )],
            "404 Not Found: {'error': 'b'} (code 404, param None)",
        )
}

fn aibrix() -> Of {
    Of::new("aibrix")
        .answered(
            "a status of its own, 1d for 24h, no counts until it runs",
            Ask::Create(CHAT, Create::Plain),
            [(200, r#"{"id":"550e8400","status":"scheduling","completion_window":"1d","usage":{"total_tokens":0}}"#)],
            "batch 550e8400, validating; completion_window 24h",
        )
        .answered("a window of an hour", Ask::Create(CHAT, Create::Window("1h")), [(200, r#"{"id":"b","status":"validating"}"#)], "b")
        .answered(
            "a result file without a purpose",
            Ask::File,
            [(200, r#"{"id":"f","bytes":1539,"created_at":1795298431,"filename":"out","purpose":null,"status":"uploaded"}"#)],
            "bytes 1539; status uploaded",
        )
        .answered(
            "findings as an error",
            Ask::Create(CHAT, Create::Plain),
            [(422, r#"{"detail":[{"type":"value_error","loc":["body","input_file_id"],"msg":"no such file"}]}"#)],
            "body.input_file_id: no such file",
        )
        .answered(
            "a failed batch without counts or a line",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"failed","errors":{"data":[{"code":"validation_error","message":"bad file"}]}}"#)],
            "failed, over; error bad file (validation_error)",
        )
}

fn vllm() -> Of {
    Of::new("vllm")
        .refused("a command, and no service", Ask::Get("b"), "is of files, and has no service to talk to")
        .joined(
            "a success",
            r#"{"id":"vllm-1","custom_id":"a","response":{"status_code":200,"request_id":"r","body":{"model":"m","choices":[{"message":{"content":"Yes."}}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}},"error":null}"#,
            "1 succeeded, 0 failed; 7 tokens",
        )
        .joined(
            "a failure in the same file, its error a text",
            r#"{"id":"vllm-1","custom_id":"a","response":{"status_code":400,"request_id":"r"},"error":"max_tokens is too large"}"#,
            "0 succeeded, 1 failed; ",
        )
        .joined(
            "or an object",
            r#"{"id":"vllm-1","custom_id":"a","response":{"status_code":400,"request_id":"r","body":null},"error":{"object":"error","message":"too long","code":400}}"#,
            "0 succeeded, 1 failed; ",
        )
}

fn mine() -> Of {
    Of::new(
        r#"
name = "mine"
extends = "openai"
base_path = "/llm/v2"
on_behalf_of = true
headers = { x-team = "batch" }
auth = { header = "authorization", scheme = "Token" }
create.idempotency = { header = "Idempotency-Key" }
create.fields = { priority = 1 }
upload.fields = { target_model_names = "gpt-5" }
answer.times = "milliseconds"
answer.created_in = "result"
answer.batch.values.status = { PROGRESS = "in_progress" }
"#,
    )
    .answered(
        "its headers, its key, its end users",
        Ask::OnBehalfOf,
        [(200, r#"{"id":"b","status":"PROGRESS"}"#)],
        "in_progress",
    )
    .answered(
        "its fields and wrapper, and times in milliseconds",
        Ask::Create(CHAT, Create::Key("run-7")),
        [(200, r#"{"result":{"id":"b","status":"validating","created_at":1704067200999}}"#)],
        "created_at 2024-01-01T00:00:00Z",
    )
    .answered(
        "its form for batches",
        Ask::Upload("rows.jsonl", BATCH, None),
        [(200, r#"{"id":"file-1"}"#)],
        "file file-1",
    )
    .answered(
        "and for no other file",
        Ask::Upload("a.pdf", UploadPurpose::UserData, None),
        [(200, r#"{"id":"file-2"}"#)],
        "file file-2",
    )
}
