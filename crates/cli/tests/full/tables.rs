//! `lote export` to Parquet: which types columns have, and what is in them.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Ended, command, folder, lote_in, names};

/// A result line of a chat completion that says this, and used so many tokens.
fn said(id: &str, content: &str, tokens: u64) -> String {
    let choices = json!([{"message": {"content": content}, "finish_reason": "stop"}]);
    let usage = json!({"prompt_tokens": tokens, "completion_tokens": 3, "total_tokens": tokens.saturating_add(3)});
    answered(id, &json!({"model": "gpt-4.1-mini", "choices": choices, "usage": usage}))
}

fn answered(id: &str, body: &Value) -> String {
    line(&json!({"id": "r", "custom_id": id, "response": {"status_code": 200, "body": body}, "error": null}))
}

fn failed(id: &str) -> String {
    line(&json!({"id": "r", "custom_id": id, "response": null, "error": {"code": "server_error", "message": "no"}}))
}

fn vectors(id: &str, vectors: &[&[f32]]) -> String {
    let data: Vec<Value> =
        vectors.iter().enumerate().map(|(index, vector)| json!({"index": index, "embedding": vector})).collect();
    answered(id, &json!({"data": data, "model": "e-1", "usage": {"prompt_tokens": 1, "total_tokens": 1}}))
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

fn place(results: &[String]) -> TempDir {
    folder(&[("results.jsonl", results.concat().as_bytes())])
}

fn export(place: &TempDir, args: &[&str]) -> Ended {
    lote_in(command(), place.path(), &[&["export", "results.jsonl"], args].concat())
}

/// A table: its columns with their types, and its rows.
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    /// How many rows each group has.
    groups: Vec<i64>,
}

impl Table {
    fn read(path: &Path) -> Self {
        let reader = SerializedFileReader::new(File::open(path).expect("a table")).expect("Parquet");
        let groups = reader.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
        let fields = reader.metadata().file_metadata().schema().get_fields().to_vec();
        let kind = |field: &parquet::schema::types::Type| match field.is_primitive() {
            true => match field.get_basic_info().logical_type_ref() {
                None => format!("{:?}", field.get_physical_type()),
                Some(logical) => format!("{logical:?}").split(['(', ' ']).next().expect("a word").to_owned(),
            },
            false => "List".to_owned(),
        };
        let columns = fields.iter().map(|field| format!("{} {}", field.name(), kind(field))).collect();
        let row = |row: parquet::record::Row| row.get_column_iter().map(|(_, field)| value(field)).collect();
        let rows = reader.get_row_iter(None).expect("rows").map(|found| row(found.expect("a row"))).collect();
        Self { columns, rows, groups }
    }

    /// The cells of a column.
    fn column(&self, name: &str) -> Vec<Value> {
        let at = self.columns.iter().position(|column| column.split(' ').next() == Some(name)).expect(name);
        self.rows.iter().map(|row| row[at].clone()).collect()
    }
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(truth) => json!(truth),
        Field::Long(number) | Field::TimestampMicros(number) => json!(number),
        Field::Double(number) => json!(number),
        Field::Float(number) => json!(number),
        Field::Str(text) => json!(text),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        other => panic!("{other:?}"),
    }
}

/// The table that this makes.
fn table(place: &TempDir, args: &[&str]) -> Table {
    let ended = export(place, &[&["-o", "t.parquet", "--force"], args].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    Table::read(&place.path().join("t.parquet"))
}

#[test]
fn ours_have_the_same_types_in_every_table() {
    let expected = [
        "custom_id String",
        "outcome String",
        "text String",
        "model String",
        "finish_reason String",
        "input_tokens INT64",
        "output_tokens INT64",
        "cost DOUBLE",
        "error_code String",
        "error_message String",
    ];
    let some = place(&[said("a", "2026-11-29T17:00:00Z", 1000), failed("b"), said("c", "=1\0ü", 0)]);
    let table = table(&some, &[]);
    assert_eq!(table.columns, expected);
    assert_eq!(table.groups, [3]);
    let row = json!(["a", "succeeded", "2026-11-29T17:00:00Z", "gpt-4.1-mini", "stop", 1000, 3, 0.0002024, null, null]);
    assert_eq!(Value::from(table.rows[0].clone()), row);
    let row = json!(["b", "failed", null, null, null, null, null, null, "server_error", "no"]);
    assert_eq!(Value::from(table.rows[1].clone()), row);
    // Nothing is a formula there.
    assert_eq!(table.column("text")[2], json!("=1\0ü"));

    let none = self::table(&place(&[failed("b")]), &[]);
    let without_cost: Vec<&str> = expected.into_iter().filter(|column| !column.starts_with("cost")).collect();
    assert_eq!(none.columns, without_cost);
    let nothing = self::table(&place(&[]), &[]);
    assert_eq!((nothing.columns.len(), nothing.rows.len(), nothing.groups.len()), (9, 0, 0));
    // A service may say anything: what does not fit is there all the same.
    let odd = self::table(&place(&[said("a", "x", 1), said("b", "y", u64::MAX)]), &[]);
    assert_eq!(odd.column("input_tokens"), [json!("1"), json!("18446744073709551615")]);
}

#[test]
fn fields_of_answers_have_the_types_of_their_values() {
    let answers = [
        r#"{"good":true,"n":1,"x":1,"at":"2026-11-29T17:00:00.25+01:00","in":{"n":2},"tags":["a"],"mixed":1,"big":9007199254740993,"no":null}"#,
        r#"{"good":false,"n":-7,"x":0.5,"at":"1969-12-31T23:59:59Z","in":{"n":null},"tags":[],"mixed":"1","big":0.5}"#,
        r#"{"late":12345678901234567890}"#,
    ];
    let results: Vec<String> = answers.iter().enumerate().map(|(at, text)| said(&at.to_string(), text, 1)).collect();
    let place = place(&results);
    let table = table(&place, &[]);
    let expected = [
        "good BOOLEAN",
        "n INT64",
        "x DOUBLE",
        "at Timestamp",
        "in.n INT64",
        "tags String",
        "mixed String",
        "big String",
        "no String",
        "late String",
    ];
    assert_eq!(table.columns[2..12], expected);
    let column = |name: &str| Value::from(table.column(name));
    assert_eq!(column("good"), json!([true, false, null]));
    assert_eq!(column("x"), json!([1.0, 0.5, null]));
    assert_eq!(column("at"), json!([1_795_968_000_250_000_i64, -1_000_000, null]));
    assert_eq!(column("in.n"), json!([2, null, null]));
    assert_eq!(column("tags"), json!([r#"["a"]"#, "[]", null]));
    assert_eq!(column("mixed"), json!(["1", "1", null]));
    assert_eq!(column("big"), json!(["9007199254740993", "0.5", null]));
    assert_eq!(column("no"), json!([null, null, null]));
    assert_eq!(column("late"), json!([null, null, "12345678901234567890"]));
    let named = self::table(&place, &["--fields", "x,in.n"]);
    assert_eq!(named.columns[2..4], ["x DOUBLE", "in.n INT64"]);
    assert_eq!(self::table(&place, &["--text"]).columns[2], "text String");
}

#[test]
fn vectors_are_lists() {
    let one = place(&[vectors("a", &[&[0.5, -1.0]]), failed("b"), vectors("c", &[&[2.0]])]);
    let table = table(&one, &[]);
    assert_eq!(table.columns[2], "embedding List");
    assert_eq!(Value::from(table.column("embedding")), json!([[0.5, -1.0], null, [2.0]]));
    let several = place(&[vectors("a", &[&[0.5], &[1.0, 2.0]]), failed("b"), vectors("c", &[&[3.0]])]);
    let table = self::table(&several, &[]);
    assert_eq!(Value::from(table.column("embedding")), json!([[[0.5], [1.0, 2.0]], null, [[3.0]]]));
}

#[test]
fn the_users_rows_stand_beside_and_no_two_names_are_alike() {
    let place = place(&[said("r-1", "one", 1), said("r-2", "two", 1)]);
    let rows = "id,Text,COST\n1,=eins,007\n2,zwei,2026-11-29T17:00:00Z\n9,neun,\n";
    fs::write(place.path().join("rows.csv"), rows).expect("written");
    let of_csv = table(&place, &["--rows", "rows.csv", "--id", "r-{{ id }}"]);
    let expected = ["id String", "Text String", "COST String", "custom_id String", "outcome String", "text_2 String"];
    assert_eq!(of_csv.columns[..6], expected);
    assert!(of_csv.columns.contains(&"cost_2 DOUBLE".to_owned()), "{:?}", of_csv.columns);
    assert_eq!(Value::from(of_csv.column("COST")), json!(["007", "2026-11-29T17:00:00Z", ""]));
    assert_eq!(Value::from(of_csv.column("text_2")), json!(["one", "two", null]));
    // In another order, with types of JSON.
    let rows = "{\"id\":2,\"x\":1,\"at\":\"2026-11-29T17:00:00Z\"}\n{\"id\":1,\"x\":2.5,\"y\":{\"z\":[1]}}\n";
    fs::write(place.path().join("rows.jsonl"), rows).expect("written");
    let of_json = table(&place, &["--rows", "rows.jsonl", "--id", "r-{{ id }}"]);
    assert_eq!(of_json.columns[..4], ["id INT64", "x DOUBLE", "at String", "y String"]);
    assert_eq!(Value::from(of_json.column("x")), json!([1.0, 2.5]));
    assert_eq!(Value::from(of_json.column("y")), json!([null, r#"{"z":[1]}"#]));
    assert_eq!(Value::from(of_json.column("text")), json!(["two", "one"]));
}

#[test]
fn a_table_is_there_whole_or_not_at_all() {
    let place = place(&[said("a", "x", 1), "{\"custom_id\":\"b\",\n".to_owned()]);
    for (args, why) in [
        (&["-o", "t.parquet", "--raw"][..], "--raw and --bom are for CSV"),
        (&["-o", "no/such/t.parquet"], "no/such"),
        (&["-o", "t.parquet", "--rows", "none.csv"], "none.csv"),
    ] {
        let ended = export(&place, args);
        assert!(ended.code == 2 && ended.stderr.contains(why), "{args:?}: {ended:?}");
    }
    assert_eq!(names(place.path()), ["results.jsonl"]);
    // Nothing is replaced that somebody may want.
    fs::write(place.path().join("t.parquet"), "mine").expect("written");
    let ended = export(&place, &["-o", "t.parquet"]);
    assert!(ended.code == 2 && ended.stderr.contains("--force"), "{ended:?}");
    assert_eq!(fs::read(place.path().join("t.parquet")).expect("a file"), b"mine");
    // What cannot be read has no row, and that is said.
    let ended = export(&place, &["-o", "t.parquet", "--force"]);
    assert!(ended.code == 1 && ended.stdout.contains("1 line cannot be read"), "{ended:?}");
    let table = Table::read(&place.path().join("t.parquet"));
    assert_eq!(table.column("custom_id"), [json!("a")]);
    // To stdout, as any other.
    let whole = fs::read(place.path().join("t.parquet")).expect("a table");
    let output = command()
        .current_dir(place.path())
        .args(["export", "results.jsonl", "-o", "-", "--to", "parquet"])
        .output()
        .expect("lote starts");
    assert!(output.stdout == whole && output.stderr.starts_with(b"stdout: 1 row, "), "{:?}", output.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn a_table_takes_no_more_memory_for_more_rows() {
    use std::process::Stdio;

    /// In KiB.
    const MOST: u64 = 64 << 10;
    let lines: u64 = std::env::var("LOTE_LINES").ok().and_then(|lines| lines.parse().ok()).unwrap_or(50_000);
    let place = folder(&[]);
    let mut results = BufWriter::new(File::create(place.path().join("results.jsonl")).expect("a file"));
    let mut rows = BufWriter::new(File::create(place.path().join("rows.csv")).expect("a file"));
    writeln!(rows, "id,question").expect("written");
    for at in 0..lines {
        // No two alike, and some long: what is kept of a group is bounded by its bytes.
        let text = format!("{:x} ", at.wrapping_mul(0x9E37_79B9_7F4A_7C15)).repeat(8 + (at % 31) as usize);
        let answer = json!({"n": at, "x": at as f64 / 7.0, "text": text}).to_string();
        results.write_all(said(&format!("row-{at}"), &answer, at).as_bytes()).expect("written");
        writeln!(rows, "{at},what is {at}?").expect("written");
    }
    results.into_inner().expect("written");
    rows.into_inner().expect("written");
    let mut child = command()
        .current_dir(place.path())
        .args(["export", "results.jsonl", "-o", "t.parquet", "--rows", "rows.csv", "--id", "row-{{ id }}"])
        .stdout(Stdio::null())
        .spawn()
        .expect("lote starts");
    let status = format!("/proc/{}/status", child.id());
    let (mut peak, began) = (0, std::time::Instant::now());
    let ended = loop {
        // The most that it has taken so far; it is gone with the process.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let now = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(now.unwrap_or(0));
        if let Some(ended) = child.try_wait().expect("a child") {
            break ended;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    println!("{lines} rows: {} MiB at the most, in {} s", peak >> 10, began.elapsed().as_secs());
    assert!(ended.success() && peak > 0 && peak < MOST, "{ended} {peak} KiB");
    let reader = SerializedFileReader::new(File::open(place.path().join("t.parquet")).expect("a table"));
    let groups: Vec<i64> =
        reader.expect("Parquet").metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups.iter().sum::<i64>(), i64::try_from(lines).expect("so many"));
    assert!(groups.len() > 1, "{groups:?}");
}

#[cfg(unix)]
#[test]
fn the_guides_commands_make_the_tables_that_it_tells_of() {
    use crate::common::repository;
    use crate::service::{Embedded, at, requests};
    use crate::shell::shell;

    let page = fs::read_to_string(repository("docs/guide/tables.md")).expect("the page");
    let code = page.split_once("```bash full\n").and_then(|(_, rest)| rest.split_once("```")).expect("the code").0;
    let input = json!({"custom_id": "e", "method": "POST", "url": "/v1/embeddings",
        "body": {"model": "text-embedding-3-small", "input": "x"}});
    let files = [
        ("tickets.csv", b"ticket_id,subject\nrow-1,Refund\nrow-2,Login\n".to_vec()),
        ("requests.jsonl", requests(&["one?", "two?"])),
        ("embeddings.jsonl", line(&input).into_bytes()),
    ];
    let place = folder(&files.each_ref().map(|(name, content)| (*name, content.as_slice())));
    let gateway = Embedded::start();
    for run in ["requests.jsonl", "embeddings.jsonl"] {
        let ended = lote_in(at(gateway.url()), place.path(), &["run", run]);
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    let ended = shell(&format!("set -e\n{code}"), &gateway, place.path(), &[]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let answers = Table::read(&place.path().join("answers.parquet"));
    assert_eq!(answers.column("ticket_id"), [json!("row-1"), json!("row-2")]);
    assert!(answers.columns.contains(&"text String".to_owned()), "{:?}", answers.columns);
    let vectors = Table::read(&place.path().join("vectors.parquet"));
    assert!(vectors.column("embedding")[0].as_array().is_some_and(|vector| !vector.is_empty()));
}
