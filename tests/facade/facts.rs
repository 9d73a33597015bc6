//! Owns the facts of docs/dialects.md: how services deviate, written by hand after what is known of them; never how a
//! fact is tried (see `conformance`).

use lote::{Endpoint, UploadPurpose};

use crate::conformance::{Answer, Ask, Create};

mod hosted;
mod own;

/// A way in which a service deviates, and what the facade must say of it.
pub(crate) struct Fact {
    /// The name of a dialect, the text of one, or nothing for the one that is guessed.
    pub(crate) dialect: &'static str,
    pub(crate) fact: &'static str,
    pub(crate) ask: Ask,
    pub(crate) answers: Vec<Answer>,
    /// What the facade must say, among other things.
    pub(crate) expected: &'static str,
}

const CHAT: &str = Endpoint::ChatCompletions.as_str();
const BATCH: UploadPurpose = UploadPurpose::Batch;

/// The facts of one dialect.
struct Of(&'static str, Vec<Fact>);

impl Of {
    fn new(dialect: &'static str) -> Self {
        Self(dialect, Vec::new())
    }

    /// A fact about answers: bodies with their statuses.
    fn answered<const N: usize>(
        mut self,
        fact: &'static str,
        ask: Ask,
        answers: [(u16, &str); N],
        expected: &'static str,
    ) -> Self {
        let answer = |(status, body): (u16, &str)| {
            let headers: &[&str] = match body.as_bytes().first() {
                Some(b'{' | b'[') => &["content-type: application/json"],
                _ => &["content-type: text/plain; charset=utf-8"],
            };
            Answer { status, headers, body: body.to_owned() }
        };
        let answers = answers.map(answer).to_vec();
        self.1.push(Fact { dialect: self.0, fact, ask, answers, expected });
        self
    }

    /// A fact about a result line.
    fn joined(self, fact: &'static str, line: &str, expected: &'static str) -> Self {
        self.answered(fact, Ask::Join, [(200, line)], expected)
    }

    /// A fact about what is refused before it is sent.
    fn refused(self, fact: &'static str, ask: Ask, expected: &'static str) -> Self {
        self.answered(fact, ask, [], expected)
    }
}

/// The facts, under the titles of the page.
pub(crate) fn all() -> Vec<(&'static str, Vec<Fact>)> {
    let mut all = vec![("Whatever the dialect", whatever().1)];
    all.extend(hosted::all().into_iter().chain(own::all()).map(|(title, Of(_, facts))| (title, facts)));
    all
}

/// What is read although nothing is known of the service: the client below has no dialect but the default.
fn whatever() -> Of {
    Of::new("")
        .answered("201", Ask::Create(CHAT, Create::Plain), [(201, r#"{"id":"b","status":"validating"}"#)], "validating")
        .answered("202", Ask::Create(CHAT, Create::Plain), [(202, r#"{"id":"b","status":"validating"}"#)], "validating")
        .answered("204 to a deletion", Ask::Delete, [(204, "")], "deleted: true")
        .answered(
            "null is absent",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"failed","errors":null,"request_counts":null,"metadata":null,"usage":null}"#)],
            "failed, over",
        )
        .answered(
            "an unknown status is kept",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"scheduling"}"#)],
            "scheduling (unrecognised)",
        )
        .answered(
            "a status that some known service spells otherwise",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"complete"}"#)],
            "completed, over",
        )
        .answered(
            "an unknown status with the instant of an end",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"done","completed_at":1704067200}"#)],
            "done (unrecognised), over",
        )
        .answered("capitals", Ask::Get("b"), [(200, r#"{"id":"b","status":"COMPLETED"}"#)], "completed, over")
        .answered(
            "numbers as text",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"completed","created_at":"1704067200","request_counts":{"total":"2"}}"#)],
            "0 of 2 completed, 0 failed; created_at 2024-01-01T00:00:00Z",
        )
        .answered(
            "flags as text",
            Ask::List,
            [(200, r#"{"data":[{"id":"b","status":"completed"}],"has_more":"False"}"#)],
            "batch b, completed, over",
        )
        .answered(
            "validation errors in a bare list",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"FAILED","errors":[{"message":"no model","line":2}]}"#)],
            "error line 2: no model",
        )
        .answered(
            "validation errors as a text",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"failed","errors":"bad file"}"#)],
            "error bad file",
        )
        .answered(
            "instants in words",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"completed","created_at":"2024-01-01T01:00:00.5+01:00"}"#)],
            "created_at 2024-01-01T00:00:00Z",
        )
        .answered(
            "instants with a fraction",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"completed","created_at":1704067200.75}"#)],
            "created_at 2024-01-01T00:00:00Z",
        )
        .answered(
            "an instant out of range is named",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"completed","created_at":9007199254740992}"#)],
            "batch.created_at: 9007199254740992 is out of range",
        )
        .answered(
            "an error file id that is empty is none",
            Ask::Get("b"),
            [(200, r#"{"id":"b","status":"completed","error_file_id":""}"#)],
            "batch b, completed, over",
        )
        .answered(
            "a batch in a wrapper",
            Ask::Create(CHAT, Create::Plain),
            [(201, r#"{"job":{"id":"b","status":"VALIDATING"},"warning":"soon"}"#)],
            r#"batch b, validating; raw warning "soon""#,
        )
        .answered(
            "a list that is a bare array",
            Ask::List,
            [(200, r#"[{"id":"b","status":"COMPLETED"},{"id":"c","status":"FAILED"}]"#)],
            "batch b, completed, over / batch c, failed, over",
        )
        .answered(
            "a list under another name",
            Ask::List,
            [(200, r#"{"value":[{"id":"b","status":"completed"}],"has_more":false}"#)],
            "batch b, completed",
        )
        .answered(
            "an empty page that promises more ends the list",
            Ask::List,
            [(200, r#"{"object":"list","data":[],"first_id":null,"last_id":null,"has_more":true}"#)],
            "",
        )
        .answered(
            "a list that starts again ends with an error",
            Ask::List,
            [
                (200, r#"{"data":[{"id":"b","status":"completed"}],"has_more":true}"#),
                (200, r#"{"data":[{"id":"b","status":"completed"}],"has_more":true}"#),
            ],
            "the list does not end",
        )
        .answered(
            "a text as an error",
            Ask::Get("b"),
            [(404, "Batch with ID b not found")],
            "404 Not Found: Batch with",
        )
        .answered("an error without a body", Ask::Get("b"), [(503, "")], "503 Service Unavailable")
        .answered("an error as a page", Ask::Get("b"), [(502, "<title>Bad Gateway</title>")], "an HTML page titled")
        .answered(
            "an error that is a text in JSON",
            Ask::Get("b"),
            [(429, r#"{"error":"Rate limit exceeded"}"#)],
            "429 Too Many Requests: Rate limit exceeded",
        )
        .answered(
            "an integer as the code of an error",
            Ask::Get("b"),
            [(404, r#"{"error":{"message":"not here","code":404}}"#)],
            "not here (code 404)",
        )
        .answered(
            "findings as an error",
            Ask::Get("b"),
            [(422, r#"{"detail":[{"loc":["path","id"],"msg":"no UUID","type":"t"}]}"#)],
            "422 Unprocessable Entity: path.id: no UUID",
        )
        .answered(
            "content is never rewritten",
            Ask::Content,
            [(200, r#"{"job":{"id":"b"},"value":[],"status":"COMPLETED","created_at":"2024-01-01T00:00:00Z"}"#)],
            r#"the bytes {"job":{"id":"b"},"value":[],"status":"COMPLETED","created_at":"2024-01-01T00:00:00Z"}"#,
        )
}
