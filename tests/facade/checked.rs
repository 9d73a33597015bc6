//! Writes the table of docs/dialects.md that says what `check` makes of request lines: each kind of fault by one line, and
//! what each dialect takes that others do not.

use std::{env, fmt::Write, fs};

use lote::{
    Dialect,
    lines::{CheckOptions, check},
};

/// A request file of one line or more, and what must be said of it; nothing when it is clean.
struct Row {
    dialect: &'static str,
    kind: &'static str,
    lines: String,
    expected: &'static str,
}

const CHAT: &str = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":BODY}"#;
const MESSAGES: &str = r#""messages":[{"role":"user","content":"x"}]"#;

fn chat(body: &str) -> String {
    CHAT.replace("BODY", &format!("{{{body}}}"))
}

fn to(endpoint: &str, body: &str) -> String {
    chat(body).replace("/v1/chat/completions", endpoint)
}

fn rows() -> Vec<Row> {
    let plain = || chat(&format!("\"model\":\"m\",{MESSAGES}"));
    let with = |more: &str| chat(&format!("\"model\":\"m\",{MESSAGES},{more}"));
    let two_models = || format!("{}\n{}", plain(), plain().replace("\"a\"", "\"b\"").replace("\"m\"", "\"n\""));
    let short = || format!("{{\"custom_id\":\"a\",\"body\":{{\"model\":\"m\",{MESSAGES}}}}}");
    let row = |dialect, kind, lines, expected| Row { dialect, kind, lines, expected };
    vec![
        row("mka1", "a field that has to be there", chat(r#""model":"m""#), "messages is missing"),
        row("mka1", "no model", chat(MESSAGES), "model is missing"),
        row("mka1", "a model that the service chooses", chat(&format!("\"model\":\"auto\",{MESSAGES}")), ""),
        row(
            "mka1",
            "a field of another endpoint",
            to("/v1/responses", r#""model":"m","input":"x","response_format":{"type":"json_object"}"#),
            "there it is text.format",
        ),
        row(
            "mka1",
            "its name for a limit",
            to("/v1/responses", r#""model":"m","input":"x","max_tokens":9"#),
            "there it is max_output_tokens",
        ),
        row(
            "mka1",
            "a schema at the wrong level",
            with(r#""response_format":{"type":"json_schema","name":"s","schema":{}}"#),
            "response_format is flat",
        ),
        row("mka1", "a field of the wrong type", with(r#""temperature":"0.7""#), "it must be a number"),
        row("mka1", "a field out of its range", to("/v1/images/generations", r#""prompt":"x","n":11"#), "from 1 to 10"),
        row("mka1", "a field that nobody knows", with(r#""top_k":"many""#), ""),
        row("mka1", "nothing to embed", to("/v1/embeddings", r#""model":"m","input":["x",""]"#), "input[1] is empty"),
        row("mka1", "half of a character", with(r#""user":"\ud83d""#), "half of a character"),
        row("mka1", "a key that is near", plain().replace("\"method\"", "\" method\""), "write \"method\""),
        row("mka1", "a line of Anthropic's", r#"{"custom_id":"a","params":{}}"#.to_owned(), "one of Anthropic's"),
        row("mka1", "a line of Gemini's", r#"{"key":"a","request":{}}"#.to_owned(), "one of Gemini's"),
        row("mka1", "a row of data", r#"{"question":"x"}"#.to_owned(), "`lote prepare` makes"),
        row("mka1", "rows of CSV, said once", "id,text\n1,x\n2,y".to_owned(), "`lote prepare` makes"),
        row("mka1", "what is no JSON", with(r#""n":NaN"#), "NaN is no JSON"),
        row("mka1", "Python's way to write it", plain().replace('"', "'"), "double quotes only"),
        row("mka1", "a comma too many", plain().replace("}}", "},}"), "before the closing bracket"),
        row("mka1", "several models", two_models(), ""),
        row("openai", "several models", two_models(), "a batch has one model here"),
        row("azure", "its own spelling of a url", plain().replace("/v1/chat", "/chat"), ""),
        row("openai", "the same elsewhere", plain().replace("/v1/chat", "/chat"), "write \"/v1/chat/completions\""),
        row("together", "a line with two keys", short(), ""),
        row("openai", "the same elsewhere", short(), "method is missing"),
        row("together", "a field of its own", with(r#""logprobs":5"#), ""),
        row("openai", "the same elsewhere", with(r#""logprobs":5"#), "it must be true or false"),
        row("openai", "null where it may not be", with(r#""tools":null"#), "tools is null"),
        row("mka1", "the same elsewhere", with(r#""tools":null"#), ""),
        row("vllm", "a role of its own", plain().replace("\"user\"", "\"judge\""), ""),
        row("openai", "the same elsewhere", plain().replace("\"user\"", "\"judge\""), "it is one of developer"),
        row("vllm", "a field that it does not need", chat(MESSAGES), ""),
    ]
}

fn said(row: &Row) -> String {
    let dialect = Dialect::named(row.dialect).expect("a dialect").check_options();
    let options =
        CheckOptions { endpoint: row.lines.starts_with("{\"custom_id\":\"a\",\"body\"").then(endpoint), ..dialect };
    let mut findings = Vec::new();
    check(row.lines.as_bytes(), &options, &mut |finding| findings.push(finding), None).expect("readable");
    let texts: Vec<_> = findings.iter().map(|finding| format!("{}: {finding}", finding.code)).collect();
    texts.join(" ⏎ ")
}

fn endpoint() -> String {
    "/v1/chat/completions".to_owned()
}

const BEGIN: &str = "<!-- lines:begin -->\n";
const END: &str = "<!-- lines:end -->\n";

#[test]
fn the_table_of_request_lines_is_what_check_says() {
    let mut table = "\n| dialect | kind | the lines | `lote check` says |\n| --- | --- | --- | --- |\n".to_owned();
    let cell = |text: &str| match text {
        "" => "nothing".to_owned(),
        // In Markdown a code that holds a grave accent stands between two.
        text => format!("`` {} ``", text.replace('\n', " ⏎ ").replace('|', "\\|")),
    };
    for row in rows() {
        let said = said(&row);
        let right = if row.expected.is_empty() { said.is_empty() } else { said.contains(row.expected) };
        assert!(right, "{} {}: {said:?} is not {:?}", row.dialect, row.kind, row.expected);
        writeln!(table, "| {} | {} | {} | {} |", row.dialect, row.kind, cell(&row.lines), cell(&said)).expect("a text");
    }
    table.push('\n');
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dialects.md");
    let page = fs::read_to_string(path).expect("docs/dialects.md");
    let (before, rest) = page.split_once(BEGIN).expect("the mark where the table begins");
    let (committed, after) = rest.split_once(END).expect("the mark where the table ends");
    if committed == table {
        return;
    }
    if env::var_os("LOTE_BLESS").is_some() {
        fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).expect("written");
        return;
    }
    let differs = committed.lines().zip(table.lines()).find(|(committed, now)| committed != now);
    panic!(
        "problem: the table of request lines in docs/dialects.md is not what check says: {differs:#?}\n\
         fix: LOTE_BLESS=1 cargo test --test facade checked, and read the change"
    );
}
