//! Owns the way from a fact about a service to a row of docs/dialects.md: it is answered byte for byte, asked by the
//! facade, and written down. The facts themselves are in `facts`.

use std::{collections::BTreeMap, env, fmt::Write, fs};

use crate::{
    common::{Odd, Reply},
    facts::{self, Fact},
};
use futures_util::TryStreamExt;
use lote::{Batch, BatchId, Client, Dialect, Error, ExpiresAfter, File, FileId, UploadPurpose, lines::Joined};
use serde_json::Value;

/// What the facade is told to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    /// Get this batch.
    Get(&'static str),
    /// Cancel a batch.
    Cancel,
    /// Create a batch.
    Create(&'static str, Create),
    /// Every batch, page by page.
    List,
    /// Every file, page by page.
    ListFiles,
    /// Files by their hash.
    Sha256,
    /// Upload a file of this name for this purpose, to be kept so many seconds.
    Upload(&'static str, UploadPurpose, Option<i64>),
    /// Get a file.
    File,
    /// Delete a file.
    Delete,
    /// Fetch the content of a file.
    Content,
    /// Make a client for an end user and get a batch.
    OnBehalfOf,
    /// Put the lines of a result file, which the answer is, back to the request `a`.
    Join,
}

/// What a create asks for beyond its endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Create {
    /// Nothing.
    Plain,
    /// A completion window.
    Window(&'static str),
    /// Lines in flight.
    MaxConcurrency,
    /// Its files be deleted.
    OutputExpiresAfter,
    /// So many pairs of metadata, with values of so many characters.
    Metadata(usize, usize),
    /// An idempotency key.
    Key(&'static str),
}

/// One answer of the service.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: &'static [&'static str],
    pub(crate) body: String,
}

/// The example of docs/dialects.md, which is this text.
pub(crate) const AZURE_CLASSIC: &str = r#"
name = "azure-classic"
extends = "azure"
base_path = "/openai"
query = { api-version = "2024-10-21" }
"#;

fn input() -> FileId {
    FileId::new("file-1").expect("an id")
}

fn client(odd: &Odd, dialect: &str, user: bool) -> Result<Client, Error> {
    let mut builder = Client::builder().base_url(odd.url()).api_key("sk-secret").retry(lote::Retry::none());
    builder = match dialect {
        "" => builder,
        toml if toml.contains('=') => builder.dialect(Dialect::from_toml(toml)?),
        name => builder.dialect(Dialect::named(name)?),
    };
    if user {
        builder = builder.on_behalf_of("user-7");
    }
    builder.build()
}

async fn said(client: Result<Client, Error>, fact: &Fact) -> Result<String, Error> {
    let client = client?;
    let (batches, files) = (client.batches(), client.files());
    let batch_id = |id: &str| BatchId::new(id);
    Ok(match fact.ask {
        Ask::Join => join(&fact.answers[0].body),
        Ask::Get(id) => batch(&batches.get(&batch_id(id)?).await?),
        Ask::OnBehalfOf => batch(&batches.get(&batch_id("b")?).await?),
        Ask::Cancel => batch(&batches.cancel(&batch_id("b")?).await?),
        Ask::Create(endpoint, with) => {
            let create = batches.create(&input(), endpoint);
            let create = match with {
                Create::Plain => create,
                Create::Window(window) => create.completion_window(window),
                Create::MaxConcurrency => create.max_concurrency(4),
                Create::OutputExpiresAfter => create.output_expires_after(ExpiresAfter::seconds(86_400)?),
                Create::Key(key) => create.idempotency_key(key),
                Create::Metadata(pairs, length) => {
                    (0..pairs).fold(create, |create, at| create.metadata(format!("k{at}"), "x".repeat(length)))
                }
            };
            batch(&create.send().await?)
        }
        Ask::List => {
            let all: Vec<Batch> = batches.list().stream().try_collect().await?;
            if all.is_empty() { "no batches".to_owned() } else { all.iter().map(batch).collect::<Vec<_>>().join(" / ") }
        }
        Ask::ListFiles => {
            let all: Vec<File> = files.list().stream().try_collect().await?;
            all.iter().map(file).collect::<Vec<_>>().join(" / ")
        }
        Ask::Sha256 => format!("{} files", files.list().sha256("ab12").page().await?.data.len()),
        Ask::Upload(name, purpose, seconds) => {
            let upload = files.upload_reader(&b"{}\n"[..], name, purpose).length(3);
            let upload = match seconds {
                Some(seconds) => upload.expires_after(ExpiresAfter::seconds(seconds)?),
                None => upload,
            };
            file(&upload.send().await?)
        }
        Ask::File => file(&files.get(&input()).await?),
        Ask::Delete => format!("deleted: {}", files.delete(&input()).await?.deleted),
        Ask::Content => {
            let mut bytes = Vec::new();
            files.content(&input()).await?.copy_to(&mut bytes).await?;
            format!("the bytes {}", String::from_utf8_lossy(&bytes))
        }
    })
}

/// What the facade says of a batch: every typed field that is there.
fn batch(batch: &Batch) -> String {
    let mut said = format!("batch {}, {}", batch.id, batch.status);
    if batch.is_terminal() {
        said.push_str(", over");
    }
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            write!(said, "; {name} {value}").expect("a text");
        }
    };
    add("endpoint", batch.endpoint.clone());
    add("completion_window", batch.completion_window.clone());
    add("output_file_id", batch.output_file_id.as_ref().map(ToString::to_string));
    add("error_file_id", batch.error_file_id.as_ref().map(ToString::to_string));
    for error in &batch.errors {
        add("error", Some(error.to_string()));
    }
    let counts = batch
        .request_counts
        .map(|counts| format!("{} of {} completed, {} failed", counts.completed, counts.total, counts.failed));
    add("request_counts", counts);
    add("late files:", batch.late_files().map(|late| late.to_string()));
    for (name, instant) in [
        ("created_at", batch.created_at),
        ("expires_at", batch.expires_at),
        ("completed_at", batch.completed_at),
        ("cancelled_at", batch.cancelled_at),
    ] {
        add(name, instant.map(|instant| instant.to_string()));
    }
    for (key, value) in &batch.metadata {
        add(&format!("metadata {key} ="), Some(value.clone()));
    }
    add("max_concurrency", batch.max_concurrency.map(|lines| lines.to_string()));
    add("model", batch.model.clone());
    add("usage", batch.usage.map(|usage| format!("{} tokens", usage.total_tokens)));
    for name in ["dwext", "warning", "progress"] {
        add(&format!("raw {name}"), batch.raw(name).map(ToString::to_string));
    }
    said
}

/// What the facade says of a file.
fn file(file: &File) -> String {
    let mut said = format!("file {}", file.id);
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            write!(said, "; {name} {value}").expect("a text");
        }
    };
    add("filename", file.filename.clone());
    add("bytes", file.bytes.map(|bytes| bytes.to_string()));
    add("purpose", file.purpose.as_ref().map(ToString::to_string));
    add("status", file.status.as_ref().map(ToString::to_string));
    add("created_at", file.created_at.map(|instant| instant.to_string()));
    add("sha256", file.sha256.clone());
    said
}

/// A request as it came: its line, the headers that dialects differ in, and its body.
fn sent(head: &str, body: &[u8]) -> String {
    let mut lines = head.lines();
    let line = lines.next().unwrap_or_default();
    let mut sent = line.strip_suffix(" HTTP/1.1").unwrap_or(line).to_owned();
    for header in lines {
        let lower = header.to_ascii_lowercase();
        if ["authorization:", "api-key:", "x-on-behalf-of:", "idempotency-key:", "x-team:"]
            .iter()
            .any(|name| lower.starts_with(name))
        {
            write!(sent, "; {header}").expect("a text");
        }
    }
    let body = String::from_utf8_lossy(body);
    if body.starts_with("--") {
        sent.push_str(&form(&body));
    } else if !body.is_empty() {
        let body: Value = serde_json::from_str(&body).expect("JSON");
        write!(sent, "; {}", sorted(body)).expect("a text");
    }
    sent
}

/// The same, its fields in an order that does not hang on how serde_json was built.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<String, Value> = map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::from_iter(sorted)
        }
        other => other,
    }
}

/// The fields of a multipart form.
fn form(body: &str) -> String {
    let boundary = body.lines().next().unwrap_or_default();
    let parts = body.split(boundary).filter_map(|part| part.split_once("\r\n\r\n"));
    parts.fold(String::new(), |mut form, (head, value)| {
        let quoted = |name: &str| head.split(&format!(" {name}=\"")).nth(1).and_then(|rest| rest.split('"').next());
        let name = quoted("name").unwrap_or_default();
        let media_type = head.lines().find_map(|line| line.strip_prefix("Content-Type: ")).unwrap_or_default();
        match quoted("filename") {
            Some(file) => write!(form, "; {name}: the bytes as {file}, {media_type}"),
            None => write!(form, "; {name}: {}", value.trim_end()),
        }
        .expect("a text");
        form
    })
}

/// The cell of a table: one line, nothing that Markdown reads, no address and no key of this run.
fn cell(text: &str, odd: &Odd) -> String {
    let text = text.replace(&odd.url(), "URL").replace('\n', " ⏎ ").replace('|', "\\|").replace("sk-secret", "KEY");
    assert!(!text.contains('`'), "{text}");
    if text.is_empty() { "nothing".to_owned() } else { format!("`{text}`") }
}

/// What is long is cut: a value of 513 letters tells nothing.
fn shortened(text: &str) -> String {
    let mut text = text.to_owned();
    for run in [513, 512] {
        text = text.replace(&"x".repeat(run), &format!("x × {run}"));
    }
    text
}

/// The request line of every join.
const LINE: &str = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m"}}"#;

/// What comes of a result file.
fn join(results: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let [input, output] = ["input.jsonl", "output.jsonl"].map(|name| folder.path().join(name));
    fs::write(&input, LINE).expect("written");
    fs::write(&output, results).expect("written");
    counted(&lote::lines::join(&input, &[&output], &mut Vec::new()).expect("joined"))
}

/// How request lines ended, the tokens, and the errors.
pub(crate) fn counted(joined: &Joined) -> String {
    let mut said = format!("{} succeeded, {} failed", joined.succeeded, joined.failed);
    for (count, what) in [
        (joined.expired, "expired"),
        (joined.cancelled, "cancelled"),
        (joined.unreadable, "unreadable"),
        (joined.missing, "missing"),
    ] {
        if count > 0 {
            write!(said, ", {count} {what}").expect("a text");
        }
    }
    if joined.usage.total_tokens > 0 {
        write!(said, "; {} tokens", joined.usage.total_tokens).expect("a text");
    }
    for error in &joined.errors {
        write!(said, "; {}: {}", error.code, error.message.as_deref().unwrap_or("no message")).expect("a text");
    }
    said
}

async fn row(fact: &Fact, wrong: &mut Vec<String>) -> String {
    let reply = |answer: &Answer| Reply::new(answer.status, answer.headers, &answer.body);
    let joins = matches!(fact.ask, Ask::Join);
    let odd = Odd::new(fact.answers.iter().filter(|_| !joins).map(reply));
    // A result file is read the same whatever its service: the vllm dialect has none.
    let dialect = if joins { "" } else { fact.dialect };
    let client = client(&odd, dialect, matches!(fact.ask, Ask::OnBehalfOf));
    let said = said(client, fact).await.unwrap_or_else(|error| format!("error: {error}"));
    let requests: Vec<String> = odd.requests().iter().zip(odd.bodies()).map(|(head, body)| sent(head, &body)).collect();
    let received: Vec<String> = match joins {
        true => fact.answers.iter().map(|answer| answer.body.clone()).collect(),
        false => fact.answers.iter().map(|it| format!("{} {}", it.status, it.body).trim_end().to_owned()).collect(),
    };
    if !said.contains(fact.expected) {
        wrong.push(format!("{}: {said:?} says nothing of {:?}", fact.fact, fact.expected));
    }
    let cell = |text: String| cell(&shortened(&text), &odd);
    format!(
        "| {} | {} | {} | {} |\n",
        fact.fact,
        if joins { cell(format!("the request line {LINE}")) } else { cell(requests.join("; then ")) },
        cell(received.join("; then ")),
        cell(said)
    )
}

const BEGIN: &str = "<!-- conformance:begin -->\n";
const END: &str = "<!-- conformance:end -->\n";

#[tokio::test]
async fn the_conformance_table_is_what_the_facade_does() {
    let (mut tables, mut wrong) = (String::new(), Vec::new());
    for (title, facts) in facts::all() {
        write!(tables, "\n### {title}\n\n| fact | sent | received | the facade said |\n| --- | --- | --- | --- |\n")
            .expect("a text");
        for fact in &facts {
            tables.push_str(&row(fact, &mut wrong).await);
        }
    }
    tables.push('\n');
    assert!(wrong.is_empty(), "{wrong:#?}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dialects.md");
    let page = fs::read_to_string(path).expect("docs/dialects.md");
    let (before, rest) = page.split_once(BEGIN).expect("the mark where the tables begin");
    let (committed, after) = rest.split_once(END).expect("the mark where the tables end");
    if committed == tables {
        return;
    }
    if env::var_os("LOTE_BLESS").is_some() {
        fs::write(path, format!("{before}{BEGIN}{tables}{END}{after}")).expect("written");
        return;
    }
    let differs = committed.lines().zip(tables.lines()).find(|(committed, now)| committed != now);
    panic!(
        "problem: the tables of docs/dialects.md are not what the facade does: {differs:#?}\n\
         fix: LOTE_BLESS=1 cargo test --test facade conformance, and read the change"
    );
}

/// The pieces of the page in a language.
fn pieces(language: &str) -> Vec<String> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dialects.md")).expect("docs/dialects.md");
    let begin = format!("```{language}\n");
    page.split(&begin).skip(1).map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_pages_tables_are_dialects() {
    let tables = pieces("toml");
    assert_eq!(tables.len(), 2);
    assert_eq!(tables[0].trim(), AZURE_CLASSIC.trim());
    for table in tables {
        let dialect = Dialect::from_toml(&table).unwrap_or_else(|error| panic!("{error}"));
        assert!(table.contains(dialect.name()));
    }
}

#[test]
fn the_pages_code_runs() -> Result<(), Box<dyn std::error::Error>> {
    let table = AZURE_CLASSIC;
    // page:begin
    use lote::{Client, Dialect, DialectChoice};

    let guessed = Client::builder().base_url("https://api.groq.com").api_key("gsk_…").build()?;
    assert_eq!(guessed.dialect().name(), "groq");
    assert_eq!(guessed.base_url(), "https://api.groq.com/openai/v1");
    assert_eq!(guessed.dialect_choice(), &DialectChoice::Host("api.groq.com".to_owned()));

    let mine = Dialect::from_toml(table)?;
    let client = Client::builder().dialect(mine).base_url("https://me.openai.azure.com").api_key("…").build()?;
    assert_eq!(client.base_url(), "https://me.openai.azure.com/openai");
    // page:end
    let source = include_str!("conformance.rs");
    let shown = source.split("    // page:begin\n").nth(1).and_then(|part| part.split("    // page:end\n").next());
    let code = shown.unwrap_or_default().lines();
    let code: String = code.map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line))).collect();
    assert_eq!(pieces("rust"), [code]);
    Ok(())
}
