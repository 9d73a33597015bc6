//! `lote export`: which rows, columns and cells a table has, and what is refused.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Ended, command, ended, folder, lote_in, names};

/// A result line of a chat completion that says this.
pub(crate) fn said(id: &str, content: &str) -> String {
    chat(id, &json!({"content": content}), "stop")
}

fn chat(id: &str, message: &Value, finish: &str) -> String {
    let body = json!({"model": "m-1", "choices": [{"message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 5}});
    answered(id, &body)
}

pub(crate) fn answered(id: &str, body: &Value) -> String {
    line(&json!({"id": "r", "custom_id": id, "response": {"status_code": 200, "body": body}, "error": null}))
}

pub(crate) fn failed(id: &str, message: &str) -> String {
    line(&json!({"id": "r", "custom_id": id, "response": null, "error": {"code": "server_error", "message": message}}))
}

pub(crate) fn vectors(id: &str, vectors: &[&[f32]]) -> String {
    let data: Vec<Value> =
        vectors.iter().enumerate().map(|(index, vector)| json!({"index": index, "embedding": vector})).collect();
    answered(id, &json!({"data": data, "model": "e-1", "usage": {"prompt_tokens": 1, "total_tokens": 1}}))
}

pub(crate) fn line(value: &Value) -> String {
    format!("{value}\n")
}

/// A folder with these results, and a file of the user's.
pub(crate) fn place(results: &[String], rows: &str) -> TempDir {
    folder(&[("results.jsonl", results.concat().as_bytes()), ("rows.csv", rows.as_bytes())])
}

pub(crate) fn export(place: &TempDir, args: &[&str]) -> Ended {
    let mut words = vec!["export", "results.jsonl"];
    words.extend(args);
    lote_in(command(), place.path(), &words)
}

/// The table that the command prints, each row as its cells.
pub(crate) fn table(place: &TempDir, args: &[&str]) -> Vec<Vec<String>> {
    let mut words = vec!["-o", "-"];
    words.extend(args);
    let ended = export(place, &words);
    assert_eq!(ended.code, 0, "{ended:?}");
    cells(ended.stdout.as_bytes())
}

pub(crate) fn cells(text: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text);
    reader.records().map(|record| record.expect("a record").iter().map(str::to_owned).collect()).collect()
}

#[test]
fn each_result_is_a_row_in_their_order() {
    let results =
        [said("b", "Hello, \"you\"\nthere"), failed("a", "no, never"), chat("c", &json!({"content": "cut"}), "length")];
    let place = place(&results, "");
    let table = table(&place, &[]);
    let expected = [
        "custom_id,outcome,text,model,finish_reason,input_tokens,output_tokens,error_code,error_message",
        "b,succeeded,HELLO,m-1,stop,2,3,,",
        "a,failed,,,,,,server_error,no; never",
        "c,succeeded,cut,m-1,length,2,3,,",
    ];
    let shown: Vec<String> =
        table.iter().map(|row| row.iter().map(|cell| cell.replace(',', ";")).collect::<Vec<_>>().join(",")).collect();
    assert_eq!(shown.iter().map(|row| row.replace("Hello; \"you\"\nthere", "HELLO")).collect::<Vec<_>>(), expected);

    let ended = export(&place, &["-o", "table.jsonl", "--json"]);
    let summary: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((ended.code, &summary["rows"], &summary["columns"]), (0, &json!(3), &json!(9)), "{summary}");
    let text = fs::read_to_string(place.path().join("table.jsonl")).expect("a table");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(rows[0]["text"], "Hello, \"you\"\nthere");
    assert_eq!(
        (&rows[1]["text"], &rows[1]["error_code"], &rows[0]["input_tokens"]),
        (&json!(null), &json!("server_error"), &json!(2))
    );
}

#[test]
fn the_folder_of_a_run_is_a_table_of_its_results() {
    let place = folder(&[("rows.csv", b"ticket,question\nT1,one?\nT2,[[status=500]]\n")]);
    let run = |args: &[&str]| lote_in(command(), place.path(), args);
    let template = r#"{"messages":[{"role":"user","content": {{ question }} }]}"#;
    let prepare =
        ["prepare", "rows.csv", "--endpoint", "chat", "--model", "m", "--id", "{{ ticket }}", "-o", "r.jsonl"];
    let prepared = run(&[&prepare[..], &["--template", template]].concat());
    assert_eq!(prepared.code, 0, "{prepared:?}");
    assert_eq!(run(&["export", "r.run", "-o", "t.csv"]).code, 2, "there is no run yet");
    assert_eq!(run(&["run", "r.jsonl", "--embedded"]).code, 1);
    let export = ["export", "r.run", "-o", "t.csv", "--rows", "rows.csv", "--id", "{{ ticket }}"];
    let ended = run(&export);
    let told = "t.csv: 2 rows, 11 columns\ncost: nothing, as the embedded gateway answered\n";
    assert_eq!((ended.code, ended.stdout.as_str()), (0, told), "{ended:?}");
    let table = cells(&fs::read(place.path().join("t.csv")).expect("a table"));
    assert_eq!(table[0][..5], ["ticket", "question", "custom_id", "outcome", "text"]);
    assert_eq!((&*table[1][0], &*table[1][3], &*table[2][3]), ("T1", "succeeded", "failed"));
    assert!(table[1][4].contains("one?"), "{table:?}");
    // The same command again is no other table.
    assert_eq!(run(&export).code, 0);

    for name in ["t.csv", "results.jsonl"] {
        let within = format!("r.run/{name}");
        let ended = run(&["export", "r.run", "-o", &within, "--force"]);
        assert_eq!(ended.code, 2, "{ended:?}");
    }
    fs::remove_file(place.path().join("r.run/results.jsonl")).expect("it was there");
    let ended = run(&export);
    assert!(ended.code == 2 && ended.stderr.contains("lote resume r.run"), "{ended:?}");
    let ended = run(&["export", ".", "-o", "u.csv"]);
    assert!(ended.code == 2 && ended.stderr.contains("holds no run"), "{ended:?}");
}

#[test]
fn results_that_were_cut_between_two_lines_are_no_table() {
    let place = folder(&[("r.jsonl", &crate::service::requests(&["a"; 3]))]);
    assert_eq!(lote_in(command(), place.path(), &["run", "r.jsonl", "--embedded"]).code, 0);
    let results = place.path().join("r.run/results.jsonl");
    let whole = fs::read_to_string(&results).expect("results");
    let (end, _) = whole.match_indices('\n').nth(1).expect("two lines");
    fs::write(&results, &whole[..=end]).expect("written");
    for words in [&["-o", "t.csv"][..], &["-o", "-", "--to", "outcomes"]] {
        let ended = lote_in(command(), place.path(), &[&["export", "r.run"], words].concat());
        let said =
            "r.run: its results are 2 lines, and were 3: the file was cut or changed; lote resume r.run writes it anew";
        assert!(ended.code == 2 && ended.stderr.contains(said), "{ended:?}");
    }
    assert_eq!(names(place.path()), ["r.jsonl", "r.run"]);
    assert_eq!(lote_in(command(), place.path(), &["resume", "r.run"]).code, 0);
    assert_eq!(lote_in(command(), place.path(), &["export", "r.run", "-o", "t.csv"]).code, 0);
}

#[test]
fn fields_of_answers_are_columns_when_all_are_objects() {
    let results = [
        said("a", r#"{"good":true,"why":{"short":"x","n":12345678901234567890123},"model":"mine","tags":["=a",1]}"#),
        said("b", r#"{"good":false,"late":null,"why":7,"late":-1.50}"#),
        chat("c", &json!({"content": r#"{"good":tr"#}), "length"),
        failed("d", "no"),
    ];
    let place = place(&results, "");
    let rows = table(&place, &[]);
    let names = "custom_id,outcome,good,why.short,why.n,model,tags,late,why,model_2,finish_reason,input_tokens,\
        output_tokens,error_code,error_message";
    assert_eq!(rows[0].join(","), names);
    assert_eq!(rows[1][2..10], ["true", "x", "12345678901234567890123", "mine", r#"["=a",1]"#, "", "", "m-1"]);
    assert_eq!(rows[2][2..10], ["false", "", "", "", "", "-1.50", "7", "m-1"]);
    assert_eq!((rows[3][2].as_str(), rows[3][10].as_str(), rows[4][1].as_str()), ("", "length", "failed"));

    let rows = table(&place, &["--fields", "why.short,nothing"]);
    assert_eq!(rows[0][1..5], ["outcome", "why.short", "nothing", "model"]);
    assert_eq!(rows[1][2..4], ["x", ""]);
    let rows = table(&place, &["--text"]);
    assert_eq!((rows[0][2].as_str(), rows[3][2].as_str()), ("text", r#"{"good":tr"#));
    // Of JSON lines only the outermost fields are taken apart.
    let ended = export(&place, &["-o", "-", "--to", "jsonl"]);
    let first: Value = serde_json::from_str(ended.stdout.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&first["why"]["short"], &first["tags"]), (&json!("x"), &json!(["=a", 1])), "{first}");
    assert!(ended.stdout.contains(r#""n":12345678901234567890123"#), "{}", ended.stdout);

    // With one complete answer that is no object, all are texts.
    let mixed = self::place(&[said("a", r#"{"good":true}"#), said("b", "well"), said("c", "[1]")], "");
    let rows = table(&mixed, &[]);
    assert_eq!((rows[0][2].as_str(), rows[1][2].as_str(), rows[3][2].as_str()), ("text", r#"{"good":true}"#, "[1]"));

    let many = |from: u64| (from..from + 600).map(|at| format!(r#""f{at}":1"#)).collect::<Vec<_>>().join(",");
    let wide = self::place(&[said("a", &format!("{{{}}}", many(0))), said("b", &format!("{{{}}}", many(600)))], "");
    let ended = export(&wide, &["-o", "-"]);
    assert!(ended.code == 3 && ended.stderr.contains("more than 1000") && ended.stdout.is_empty(), "{ended:?}");
    assert_eq!(table(&wide, &["--fields", "f1,f601"])[2][2..4], ["", "1"]);
}

#[test]
fn what_a_spreadsheet_would_run_is_made_harmless_and_said() {
    let results = [said("=1+1", "=HYPERLINK(\"x\")"), said("b", "-1.5"), said("c", "- a\n- b"), failed("d", "@x")];
    let place = place(&results, "n,x\n=1+1,=own\nb,1\nc,2\nd,3\n");
    let rows = table(&place, &[]);
    assert_eq!((&*rows[1][0], &*rows[1][2], &*rows[2][2]), ("'=1+1", "'=HYPERLINK(\"x\")", "-1.5"));
    assert_eq!((&*rows[3][2], &*rows[4][8]), ("'- a\n- b", "'@x"));
    let said = export(&place, &["-o", "t.csv"]).stdout;
    assert!(said.contains("4 texts that a spreadsheet would take for a formula"), "{said}");
    assert_eq!(table(&place, &["--raw"])[1][0], "=1+1");
    // What is the user's own stays theirs.
    let beside = table(&place, &["--rows", "rows.csv", "--id", "{{ n }}"]);
    assert_eq!(beside[1][..3], ["=1+1", "=own", "'=1+1"]);
    let marked = export(&place, &["-o", "-", "--bom"]).stdout;
    assert!(marked.starts_with("\u{feff}custom_id,"), "{marked}");
}

#[test]
fn results_stand_beside_the_rows_that_they_are_of() {
    let results = [said("r-1", "one"), said("r-2", "two"), said("r-3", "three")];
    let place = place(&results, "id,text\n1,eins\n2,zwei\n9,neun\n3,drei\n");
    let rows = table(&place, &["--rows", "rows.csv", "--id", "r-{{ id }}"]);
    assert_eq!(rows[0][..5], ["id", "text", "custom_id", "outcome", "text_2"]);
    let shown: Vec<[&str; 3]> = rows[1..].iter().map(|row| [&*row[0], &*row[2], &*row[4]]).collect();
    assert_eq!(shown, [["1", "r-1", "one"], ["2", "r-2", "two"], ["9", "", ""], ["3", "r-3", "three"]]);

    // In any order, and of JSON lines.
    let lines = r#"{"id":3,"big":12345678901234567890123,"in":{"a":[1]}}
{"id":2,"other":"=x"}
{"id":1}
"#;
    fs::write(place.path().join("rows.jsonl"), lines).expect("written");
    let rows = table(&place, &["--rows", "rows.jsonl", "--id", "r-{{ id }}"]);
    assert_eq!(rows[0][..4], ["id", "big", "in", "other"]);
    assert_eq!(rows[1][..5], ["3", "12345678901234567890123", r#"{"a":[1]}"#, "", "r-3"]);
    assert_eq!((rows[2][3].as_str(), rows[2][6].as_str(), rows[3][6].as_str()), ("=x", "two", "one"));

    // No result may be left over: most likely the ids are others.
    for (rows, id, first, count) in
        [("rows.csv", "x-{{ id }}", "r-1", "3 results"), ("rows.csv", "r-{{ [id, '1'] | min }}", "r-2", "2 results")]
    {
        let ended = export(&place, &["-o", "t.csv", "--rows", rows, "--id", id]);
        assert_eq!(ended.code, 3, "{ended:?}");
        assert!(ended.stderr.contains(count) && ended.stderr.contains(&format!("{first:?}")), "{ended:?}");
    }
    fs::write(place.path().join("twice.jsonl"), [said("b", "x"), said("a", "y"), said("a", "z")].concat())
        .expect("written");
    fs::write(place.path().join("ab.csv"), "id\na\nb\n").expect("written");
    let ended = lote_in(
        command(),
        place.path(),
        &["export", "twice.jsonl", "-o", "t.csv", "--rows", "ab.csv", "--id", "{{ id }}"],
    );
    assert!(ended.code == 3 && ended.stderr.contains("two results are for custom_id \"a\""), "{ended:?}");
    // A delimiter that was forgotten is named here as well.
    fs::write(place.path().join("semicolons.csv"), "id;text\n1;eins\n").expect("written");
    let ended = export(&place, &["-o", "t.csv", "--rows", "semicolons.csv", "--id", "r-{{ id }}"]);
    let hint = "\n  there is one field, \"id;text\": add --delimiter ';' if ';' stands between the fields\n";
    assert!(ended.code == 3 && ended.stderr.contains(hint), "{ended:?}");
    assert!(!names(place.path()).contains(&"t.csv".to_owned()));
}

#[test]
fn every_kind_of_answer_has_its_column() {
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}});
    let results = [
        said("a", "words"),
        chat("b", &json!({"content": null, "refusal": "I will not"}), "stop"),
        chat("c", &json!({"content": null, "tool_calls": [call]}), "tool_calls"),
        vectors("d", &[&[0.5, -1.0]]),
        vectors("e", &[&[1.0], &[2.0]]),
        answered("f", &json!({"data": [{"url": "https://x.test/i.png"}]})),
        answered("g", &json!({"id": "modr", "results": [{"flagged": false}]})),
    ];
    let place = place(&results, "");
    let rows = table(&place, &[]);
    assert_eq!(rows[0][2..8], ["text", "refusal", "tool_calls", "embedding", "image", "answer"]);
    let cell = |row: usize, column: usize| rows[row][column].as_str();
    assert_eq!((cell(1, 2), cell(2, 3)), ("words", "I will not"));
    let calls: Value = serde_json::from_str(cell(3, 4)).expect("JSON");
    assert_eq!((&calls[0]["name"], &calls[0]["arguments"]), (&json!("f"), &json!("{\"x\":1}")));
    assert_eq!((cell(4, 5), cell(5, 5), cell(6, 6)), ("[0.5,-1]", "[[1],[2]]", "https://x.test/i.png"));
    assert!(cell(7, 7).contains("\"flagged\":false"), "{rows:?}");
    // Each row has one of them.
    for row in &rows[1..] {
        assert_eq!(row[2..8].iter().filter(|cell| !cell.is_empty()).count(), 1, "{row:?}");
    }
}

/// The rows of a matrix of numpy.
fn matrix(path: &Path) -> Vec<Vec<f32>> {
    let bytes = fs::read(path).expect("a matrix");
    assert!(bytes.starts_with(b"\x93NUMPY\x01\x00"));
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let text = std::str::from_utf8(&bytes[10..10 + header]).expect("a header");
    let shape = text.split_once("'shape': (").expect("a shape").1;
    let (rows, rest) = shape.split_once(", ").expect("two numbers");
    let columns: usize = rest.split_once(')').expect("two numbers").0.parse().expect("a number");
    let numbers: Vec<f32> = bytes[10 + header..]
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
        .collect();
    let rows: usize = rows.parse().expect("a number");
    assert_eq!(numbers.len(), rows * columns);
    numbers.chunks(columns).map(<[f32]>::to_vec).collect()
}

#[test]
fn vectors_are_a_matrix_whose_rows_are_named() {
    let results = [vectors("a", &[&[0.5, 1.0]]), failed("b", "no"), vectors("c", &[&[2.0, 3.0], &[4.0, 5.0]])];
    let place = place(&results, "");
    let ended = export(&place, &["-o", "e.npy"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    assert!(ended.stdout.starts_with("e.npy: 4 rows, 2 columns\ne.rows.jsonl: "), "{ended:?}");
    let rows = matrix(&place.path().join("e.npy"));
    assert_eq!((&*rows[0], &*rows[2], &*rows[3]), (&[0.5, 1.0][..], &[2.0, 3.0][..], &[4.0, 5.0][..]));
    assert!(rows[1].iter().all(|number| number.is_nan()));
    let named = fs::read_to_string(place.path().join("e.rows.jsonl")).expect("names");
    let named: Vec<Value> = named.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let expected = [("a", 0, "succeeded"), ("b", 0, "failed"), ("c", 0, "succeeded"), ("c", 1, "succeeded")];
    for (row, (id, input, outcome)) in expected.into_iter().enumerate() {
        assert_eq!(named[row], json!({"row": row, "custom_id": id, "input": input, "outcome": outcome}));
    }

    let odd = self::place(&[vectors("a", &[&[0.5, 1.0]]), vectors("b", &[&[0.5]])], "");
    let ended = export(&odd, &["-o", "e.npy"]);
    assert!(ended.code == 3 && ended.stderr.contains("\"b\": its embedding has 1 numbers"), "{ended:?}");
    let texts = self::place(&[said("a", "x")], "");
    assert_eq!(export(&texts, &["-o", "e.npy"]).code, 3);
    assert_eq!(names(texts.path()), ["results.jsonl", "rows.csv"]);
}

#[test]
fn what_cannot_be_read_has_no_row_and_is_said() {
    let place = place(&[said("a", "x"), "{\"custom_id\":\"b\",\n".to_owned(), said("c", "y")], "");
    let ended = export(&place, &["-o", "t.csv"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.stdout.contains("1 line cannot be read and has no row: "), "{ended:?}");
    assert_eq!(cells(&fs::read(place.path().join("t.csv")).expect("a table")).len(), 3);
    let ended = export(&place, &["-o", "t.csv", "--json", "--force"]);
    let told: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert!(told["unreadable"] == 1 && told["first_unreadable"].is_string(), "{told}");
    // From stdin, to stdout: the summary is beside.
    let text = fs::read(place.path().join("results.jsonl")).expect("results");
    let ended = ended_of(&place, &["export", "-", "-o", "-"], &text);
    assert_eq!((ended.code, cells(ended.stdout.as_bytes()).len()), (1, 3), "{ended:?}");
    assert!(ended.stderr.contains("stdout: 2 rows, 9 columns"), "{ended:?}");
    // Nothing is a table without rows.
    let ended = ended_of(&place, &["export", "-", "-o", "-"], b"");
    assert_eq!((ended.code, ended.stdout.lines().count()), (0, 1), "{ended:?}");
}

fn ended_of(place: &TempDir, args: &[&str], stdin: &[u8]) -> Ended {
    ended(command().current_dir(place.path()).args(args), stdin)
}

#[test]
fn wrong_words_are_refused_before_anything_is_written() {
    let place = place(&[said("a", "x")], "id\na\n");
    for (args, why) in [
        (&["-o", "t.xlsx"][..], "tables are .csv, .tsv, .jsonl, .parquet or .npy"),
        (&["-o", "t"], "--to"),
        (&["-o", "results.jsonl", "--force"], "the results would be overwritten"),
        (&["-o", "rows.csv", "--rows", "rows.csv", "--force"], "the rows would be overwritten"),
        (&["-o", "rows.csv"], "--force"),
        (&["-o", "-", "--to", "npy"], "name one with -o"),
        (&["-o", "t.npy", "--rows", "rows.csv"], "leave --rows out"),
        (&["-o", "t.npy", "--text"], "no columns"),
        (&["-o", "t.npy", "--prices", "prices.toml"], "no column of costs"),
        (&["-o", "t.jsonl", "--bom"], "for CSV"),
        (&["-o", "t.csv", "--rows", "-"], "name a file"),
        (&["-o", "t.csv", "--id", "x"], "--rows"),
        (&["-o", "t.csv", "--text", "--fields", "a"], "--fields"),
        (&["-o", "t.csv", "--rows", "nothing.csv"], "nothing.csv"),
        (&["-o", "t.csv", "--rows", "rows.csv", "--id", "{{ nothing }}"], "row 1"),
        (&["-o", "t.csv", "--rows", "rows.csv", "--id", "{{ "], "--id"),
        (&["-o", "no/such/t.csv"], "no/such/t.csv"),
    ] {
        let ended = export(&place, args);
        assert!([2, 3].contains(&ended.code), "{args:?}: {ended:?}");
        assert!(ended.stderr.contains(why), "{args:?}: {ended:?}");
    }
    assert_eq!(names(place.path()), ["results.jsonl", "rows.csv"]);
    assert_eq!(fs::read(place.path().join("rows.csv")).expect("rows"), b"id\na\n");
}

#[cfg(not(feature = "full"))]
#[test]
fn the_default_shape_says_which_one_writes_parquet() {
    let place = place(&[said("a", "x")], "");
    for args in [&["-o", "t.parquet"][..], &["-o", "T.PARQUET"], &["-o", "-", "--to", "parquet"]] {
        let ended = export(&place, args);
        let told = "error: a table as Parquet is in the full shape of the command: cargo install --locked --path crates/cli \
                    --features full, in the repository of lote\n";
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (2, "", told), "{args:?}");
    }
    assert_eq!(names(place.path()), ["results.jsonl", "rows.csv"]);
}

#[cfg(unix)]
#[test]
fn the_guides_commands_make_the_tables_that_it_tells_of() {
    use crate::service::Embedded;
    use crate::shell::{blocks, shell};

    let page = fs::read_to_string(crate::common::repository("docs/guide/tables.md")).expect("the page");
    let rows = page.split_once("```csv\n").and_then(|(_, rest)| rest.split_once("```")).expect("the rows").0;
    let schema = page.split_once("```json\n").and_then(|(_, rest)| rest.split_once("```")).expect("a schema").0;
    let place = folder(&[("tickets.csv", rows.as_bytes()), ("schema.json", schema.as_bytes())]);
    let gateway = Embedded::start();
    for code in blocks("docs/guide/tables.md") {
        let ended = shell(&format!("set -e\n{code}"), &gateway, place.path(), &[]);
        assert_eq!(ended.code, 0, "{code}: {ended:?}");
    }
    let answers = cells(&fs::read(place.path().join("answers.csv")).expect("a table"));
    let expected = "ticket_id,subject,body,custom_id,outcome,text,model,finish_reason,input_tokens,output_tokens,error_code,\
        error_message";
    assert_eq!(answers[0].join(","), expected);
    let ids: Vec<&str> = answers[1..].iter().map(|row| row[0].as_str()).collect();
    assert!(ids == ["T1", "T2", "T3"] && answers[1..].iter().all(|row| row[4] == "succeeded"), "{answers:?}");
    assert_eq!(fs::read_to_string(place.path().join("answers.jsonl")).expect("a table").lines().count(), 3);
    assert!(fs::read_to_string(place.path().join("answers.tsv")).expect("a table").starts_with("custom_id\toutcome\t"));
}
