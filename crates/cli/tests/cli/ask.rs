//! Owns the tests of what `lote prepare` asks of each row without a template of a whole body: the flags, and what is
//! said of what cannot be asked.

use crate::common::{Ended, command, folder, lote_in, lote_with, names};
use serde_json::{Value, json};

const TICKETS: &[u8] = b"ticket_id,subject,body,order no\n\
    T1,Refund,\"I was charged twice, \"\"please\"\" help\",17\n\
    T2,Login,\"two\nlines\",18\n";

/// Prepares the tickets with these flags.
fn prepare(flags: &[&str]) -> Ended {
    let place = folder(&[("tickets.csv", TICKETS)]);
    let ended = lote_in(command(), place.path(), &[&["prepare", "tickets.csv", "-o", "-"], flags].concat());
    assert_eq!(names(place.path()), ["tickets.csv"], "nothing is left behind");
    ended
}

/// The request lines that are made with these flags.
fn lines(flags: &[&str]) -> Vec<Value> {
    let ended = prepare(flags);
    assert_eq!(ended.code, 0, "{flags:?}: {ended:?}");
    ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_chat_of_each_row_needs_no_template() {
    let made = lines(&["--model", "m", "--user", "{{ subject }}: {{ body }}"]);
    assert_eq!(
        made[0],
        json!({"custom_id": "row-1", "method": "POST", "url": "/v1/chat/completions", "body": {
            "model": "m", "messages": [{"role": "user", "content": "Refund: I was charged twice, \"please\" help"}]}})
    );
    assert_eq!(made[1]["body"]["messages"][0]["content"], "Login: two\nlines");

    let all = ["--model", "m", "--system", "Sort ticket {{ row_number }}.", "--user", "{{ row[\"order no\"] }}"];
    let more = ["--temperature", "0.20", "--field", "max_completion_tokens=9", "--field", "metadata.a=\"b\""];
    let made = lines(&[&all[..], &more, &["--field", "metadata.c=\"d\"", "--id", "{{ ticket_id }}"]].concat());
    assert_eq!(made[0]["custom_id"], "T1");
    assert_eq!(
        made[1]["body"],
        json!({
            "model": "m",
            "messages": [{"role": "system", "content": "Sort ticket 2."}, {"role": "user", "content": "18"}],
            "temperature": 0.2, "max_completion_tokens": 9, "metadata": {"a": "b", "c": "d"},
        })
    );
}

#[test]
fn responses_and_embeddings_have_bodies_of_their_own() {
    let flags = ["--model", "m", "--user", "{{ subject }}", "--endpoint", "responses", "--temperature", "1"];
    let made = &lines(&flags)[0];
    assert_eq!(
        (&made["url"], &made["body"]),
        (&json!("/v1/responses"), &json!({"model": "m", "input": "Refund", "temperature": 1}),)
    );
    let made = &lines(&[&flags[..], &["--system", "Be kind."]].concat())[0];
    assert_eq!(made["body"], json!({"model": "m", "instructions": "Be kind.", "input": "Refund", "temperature": 1}));
    let made = &lines(&["--model", "e", "--embed", "{{ subject }}", "--dimensions", "256"])[0];
    assert_eq!(
        (&made["url"], &made["body"]),
        (&json!("/v1/embeddings"), &json!({"model": "e", "input": "Refund", "dimensions": 256}),)
    );
}

#[test]
fn texts_and_values_come_from_files_as_well() {
    let schema = br#"{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"number","maximum":1.50}},
        "required":["z","a"],"additionalProperties":false}"#;
    let place = folder(&[
        ("tickets.csv", TICKETS),
        ("system.txt", "\u{feff}Sort it.\n".as_bytes()),
        ("user.txt", b"Subject: {{ subject }}\n\n{{ body }}\n"),
        ("kinds of it.json", schema),
        ("stop.json", b"[\n  \"END\"\n]\n"),
    ]);
    let flags = ["prepare", "tickets.csv", "--model", "m", "--system", "@system.txt", "--user", "@user.txt", "-o", "-"];
    let more = ["--schema", "@kinds of it.json", "--field", "stop=@stop.json"];
    let made = lote_in(command(), place.path(), &[&flags[..], &more].concat());
    assert_eq!(made.code, 0, "{made:?}");
    let line = made.stdout.lines().next().expect("a line");
    // The schema is sent as it is written: in the order of its keys, and with its digits.
    let format = r#""response_format":{"type":"json_schema","json_schema":{"name":"kinds_of_it","strict":true,"schema":{"type":"object","properties":{"z":{"type":"string"},"a":{"type":"number","maximum":1.50}},"required":["z","a"],"additionalProperties":false}}}"#;
    assert!(line.ends_with(&format!(r#"}}],{format},"stop":["END"]}}}}"#)), "{line}");
    let line: Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(line["body"]["messages"][0]["content"], "Sort it.");
    let said = "Subject: Refund\n\nI was charged twice, \"please\" help";
    assert_eq!(line["body"]["messages"][1]["content"], said);
    let made = lote_in(command(), place.path(), &[&flags[..], &more, &["--endpoint", "responses"]].concat());
    let line: Value = serde_json::from_str(made.stdout.lines().next().expect("a line")).expect("JSON");
    let format = &line["body"]["text"]["format"];
    assert_eq!((&format["name"], &format["strict"]), (&json!("kinds_of_it"), &json!(true)), "{line}");
    // What is sent passes the check.
    let requests = lote_in(command(), place.path(), &[&flags[..8], &more, &["-o", "requests.jsonl"]].concat());
    assert_eq!(requests.code, 0, "{requests:?}");
    let checked = lote_in(command(), place.path(), &["check", "requests.jsonl"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    // None of the files is written over.
    let over = lote_in(command(), place.path(), &[&flags[..8], &["-o", "user.txt", "--force"]].concat());
    assert!(over.code == 2 && over.stderr.contains("would be overwritten"), "{over:?}");
}

#[test]
fn flags_that_do_not_go_together_say_so() {
    let chat = ["--model", "m", "--user", "{{ body }}"];
    for (flags, expected) in [
        (&["--model", "m"][..], "say what is asked of each row: --user TEXT for a chat"),
        (&["--user", "{{ body }}"], "--model says which model answers"),
        (&["--template", "{}"], "--template: --endpoint says what the bodies are for"),
        (&["--template", "{}", "--endpoint", "chat", "--user", "x"], "--template and --user were both given"),
        (&["--template", "{}", "--endpoint", "chat", "--field", "a=1"], "--template and --field were both given"),
        (&["--user", "x", "--embed", "y", "--model", "m"], "leave one of them out"),
        (&["--embed", "x", "--model", "m", "--system", "s"], "--system is for chats"),
        (&[&chat[..], &["--dimensions", "3"]].concat(), "--dimensions is for vectors"),
        (&[&chat[..], &["--endpoint", "embeddings"]].concat(), "--user is for chats, at /v1/chat/completions or"),
        (&["--embed", "x", "--model", "m", "--endpoint", "chat"], "--embed is for /v1/embeddings"),
        (&[&chat[..], &["--temperature", "2.1"]].concat(), "it is from 0 to 2"),
        (&[&chat[..], &["--temperature", "hot"]].concat(), "give a number from 0 to 2"),
        (&[&chat[..], &["--field", "stop=END"]].concat(), "--field stop: the value is not JSON"),
        (&[&chat[..], &["--field", "messages=[]"]].concat(), "--user and --field both set it"),
        (&[&chat[..], &["--field", "model=1"]].concat(), "--model and --field both set it"),
        (
            &[&chat[..], &["--temperature", "1", "--field", "temperature=1"]].concat(),
            "--temperature and --field both set it",
        ),
        (&["--model", "m", "--user", "Sort {subject}."], "would ask the same: {subject} is written {{ subject }}"),
        (&["--model", "m", "--system", "Sort it.", "--user", "x"], "write {{ and }} around the name of a column"),
        (&["--model", "m", "--embed", "{ }"], "--embed takes nothing from the rows"),
        (&["--model", "m", "--user", "@/dev/zero"], "/dev/zero: cannot be read: it has more than "),
        (&["--model", "m", "--user", "@absent.txt"], "absent.txt: cannot be read: "),
        (&["--model", "m", "--user", "@anna: {{ body }}"], "a text that begins with @ itself is written {{ \"@\" }}…"),
        (&[&chat[..], &["--schema", "@absent.json"]].concat(), "absent.json: cannot be read: "),
        (&[&chat[..], &["--format", "jsonl", "--delimiter", ";"]].concat(), "--delimiter is for rows of CSV"),
    ] {
        let ended = prepare(flags);
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{flags:?}: {ended:?}");
        assert!(ended.stderr.starts_with("error: ") && ended.stderr.contains(expected), "{flags:?}: {ended:?}");
    }
}

#[test]
fn a_schema_that_strict_mode_cannot_say_is_refused_with_its_places() {
    let open =
        r#"{"type":"object","properties":{"a":{"type":"string","minLength":1},"b":{"allOf":[]}},"required":["a"]}"#;
    let cycle = r##"{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"required":["a"],"additionalProperties":false,
        "$defs":{"A":{"$ref":"#/$defs/B"},"B":{"$ref":"#/$defs/A"}}}"##;
    for (schema, expected) in [
        (
            open,
            &[
                "error: --schema: strict mode cannot say this schema: 4 problems; nothing was written",
                "  the root: an object is closed",
                "\"b\" to \"required\"",
                "  /properties/a/minLength: ",
                "  /properties/b/allOf: strict mode does not take allOf",
                "--field response_format=@FILE",
            ][..],
        ),
        (cycle, &["  /$defs/A: $ref \"#/$defs/B\" leads back to itself", "  /$defs/B: "]),
        (
            "{\"type\": \"object\",\n  oops}",
            &["--schema: the schema is not JSON: key must be a string at line 2 column 3"],
        ),
        ("schema.json", &["the schema is not JSON", "a file is named with @, as in --schema @schema.json"]),
        (r#"{"type":"object","type":"object"}"#, &["the key \"type\" comes twice"]),
        ("", &["the schema is not JSON"]),
        ("[]", &["the root: the answer must be an object"]),
        (
            r#"{"type":"json_schema","json_schema":{"name":"a","schema":{"type":"object"}}}"#,
            &["\n  it is what stands around a schema: give what is under \"schema\" in it\n"],
        ),
    ] {
        let ended = prepare(&["--model", "m", "--user", "{{ body }}", "--schema", schema]);
        assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{schema}: {ended:?}");
        for expected in expected {
            assert!(ended.stderr.contains(expected), "{schema}: {expected}: {ended:?}");
        }
    }
}

#[test]
fn a_misspelt_column_is_said_once_with_the_nearest() {
    for (user, expected) in [
        (
            "{{ subjct }}",
            "--user line 1, column 4: `subjct` is undefined; did you mean subject? (and in 1 more row: 2)",
        ),
        ("{{ Subject }}", "did you mean subject?"),
        ("\n {{ row.bdy }}", "--user line 2, column 5: "),
        ("\n {{ row.bdy }}", "did you mean body?"),
        ("{{ row[\"order_no\"] }}", "did you mean row[\"order no\"]?"),
        ("{{ orderno }}", "did you mean row[\"order no\"]?"),
    ] {
        let ended = prepare(&["--model", "m", "--user", user]);
        let said: Vec<&str> = ended.stderr.lines().collect();
        assert_eq!((ended.code, said.len()), (3, 3), "{user}: {ended:?}");
        assert!(said[0].starts_with("row 1 (line 2): ") && said[0].contains(expected), "{user}: {ended:?}");
        assert_eq!(said[1], r#"the fields as read: "ticket_id", "subject", "body", "order no""#);
    }
    let ended = prepare(&["--model", "m", "--user", "{{ order no }}"]);
    assert_eq!(ended.code, 3);
    assert!(ended.stderr.contains("--user line 1, column 10: syntax error"), "{ended:?}");
    assert!(ended.stderr.contains("is written {{ row[\"order no\"] }}"), "{ended:?}");
    let ended = prepare(&["--model", "m", "--user", "{{ Preis € }}"]);
    assert!(ended.code == 3 && ended.stderr.contains("is written {{ row[\"Preis €\"] }}"), "{ended:?}");
    let both = ["--model", "m", "--user", "{{ row.subject }}{{ row[\"order no\"] }}"];
    assert_eq!(lines(&both)[0]["body"]["messages"][0]["content"], "Refund17");
}

#[test]
fn a_column_that_could_name_the_lines_is_named() {
    let chat = ["--model", "m", "--user", "{{ body }}"];
    let ended = prepare(&chat);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("\"ticket_id\" differs in every row: with --id '{{ ticket_id }}'"), "{ended:?}");
    for flags in [&["--id", "{{ subject }}"][..], &["--json"]] {
        let ended = prepare(&[&chat[..], flags].concat());
        assert!(ended.code == 0 && !ended.stderr.contains("differs"), "{ended:?}");
    }
    // Nothing is named that is there twice, at any distance.
    let mut rows = String::from("id,text\n");
    (0..120_000).for_each(|row| rows.push_str(&format!("{},x\n", row % 119_999)));
    let args = ["prepare", "-", "--format", "csv", "-o", "-", "--model", "m", "--user", "{{ text }}"];
    let ended = lote_with(args, rows.as_bytes());
    assert!(ended.code == 0 && !ended.stderr.contains("differs"), "{:?}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 120_000);
}

#[test]
fn bad_rows_are_told_by_their_place() {
    let many: String = (0..40).map(|row| format!("{},x\n", row / 2)).collect();
    let ragged: String = (0..40).map(|row| if row % 2 == 0 { "1,2,3\n" } else { "1\n" }).collect();
    for (rows, user, id, expected) in [
        ("id,q\r\n1,a\r\n2,\"b\r\n", "{{ q }}", "{{ id }}", "the quoted field that starts on line 3 is never closed"),
        ("id,q\n1,a\n2,  \n", "{{ q }}", "{{ id }}", "row 2 (line 3): there is nothing to ask"),
        ("id,q\r\n1,\"a\r\nb\"\r\n\r\n\n2,  \r\n", "{{ q }}", "{{ id }}", "row 2 (line 6): there is nothing to ask"),
        ("id,row\n1,a\n", "{{ row.id }}", "{{ id }}", "the rows have a field `row`, which stands in the place"),
        (
            &format!("id,q\n{many}"),
            "{{ q }}",
            "{{ id }}",
            "row 2 (line 3): the id \"0\" is already that of row 1; use --id",
        ),
        (&format!("id,q\n{many}"), "{{ q }}", "{{ id }}", " (and in 19 more rows: 4, 6, 8, 10, 12, …)"),
        (&format!("id,q\n{ragged}"), "{{ q }}", "{{ id }}", " (and in 39 more rows: 2, 3, 4, 5, 6, …)"),
    ] {
        let args = ["prepare", "-", "--format", "csv", "-o", "-", "--model", "m", "--user", user, "--id", id];
        let ended = lote_with(args, rows.as_bytes());
        assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{rows}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{expected}: {ended:?}");
        assert!(ended.stderr.ends_with("error: stdin: 1 problem; nothing was written\n"), "{ended:?}");
    }
    // The line and the byte of what is no text, also behind a quoted line feed.
    let args = ["prepare", "-", "--format", "csv", "-o", "-", "--model", "m", "--user", "{{ q }}"];
    let ended = lote_with(args, b"\xef\xbb\xbfid,q\n1,\"\xc3\xa4\nb\xff\"\n2,c\n3,\xe4\n");
    let expected =
        "row 1 (line 2): is not valid UTF-8 at byte 2 of line 3; save the file as UTF-8 (and in 1 more row: 3)";
    assert!(ended.code == 3 && ended.stderr.starts_with(expected), "{ended:?}");
    // Null is no word.
    let args = ["prepare", "-", "-o", "-", "--model", "m", "--user"];
    let rows = b"{\"q\":null}\n{\"q\":[1,\"a\"]}\n{\"q\":true}\n";
    let ended = lote_with(args.iter().chain(&["{{ q }}"]), rows);
    assert!(
        ended.code == 3 && ended.stderr.contains("row 1 (line 1): --user line 1, column 4: a value is null"),
        "{ended:?}"
    );
    let ended = lote_with(args.iter().chain(&["{{ q or 'none' }}"]), rows);
    let said: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let said: Vec<&Value> = said.iter().map(|line| &line["body"]["messages"][0]["content"]).collect();
    assert_eq!(said, ["none", "[1,\"a\"]", "true"]);
}

#[test]
fn a_huge_cell_goes_through() {
    let cell = "ä\"".repeat(4 << 20);
    let rows = format!("q\n\"{}\"\n", cell.replace('"', "\"\""));
    let args = ["prepare", "-", "--format", "csv", "-o", "-", "--model", "m", "--user", "{{ q }}"];
    let ended = lote_with(args, rows.as_bytes());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let line: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert!(line["body"]["messages"][0]["content"] == cell);
}

#[test]
fn the_help_begins_with_examples_and_a_compressed_table_is_read() {
    let help = lote_with(["prepare", "--help"], b"").stdout;
    let examples = help.lines().skip(2).filter(|line| line.trim_start().starts_with("lote prepare ")).count();
    assert!(help.lines().nth(2).is_some_and(|line| line.starts_with("  lote prepare ")) && examples >= 3, "{help}");
    // What ends in .csv.gz is CSV; this one is not compressed, which makes no difference.
    let place = folder(&[("tickets.csv.gz", TICKETS)]);
    let args = ["prepare", "tickets.csv.gz", "--model", "m", "--user", "{{ body }}", "-o", "-"];
    let ended = lote_in(command(), place.path(), &args);
    assert_eq!((ended.code, ended.stdout.lines().count()), (0, 2), "{ended:?}");
}

#[cfg(not(feature = "full"))]
#[test]
fn parquet_is_in_the_full_shape() {
    let place = folder(&[("tickets.parquet", b"PAR1")]);
    let args = ["prepare", "tickets.parquet", "--model", "m", "--user", "{{ body }}", "-o", "requests.jsonl"];
    let ended = lote_in(command(), place.path(), &args);
    assert_eq!(ended.code, 2, "{ended:?}");
    for expected in
        ["reading rows of Parquet is in the full shape of the command", "duckdb -c", "FROM 'tickets.parquet'"]
    {
        assert!(ended.stderr.contains(expected), "{ended:?}");
    }
    assert_eq!(names(place.path()), ["tickets.parquet"]);
}
