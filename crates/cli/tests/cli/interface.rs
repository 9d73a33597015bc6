//! Owns what other programs rely on: the shapes of `--json` and the exit codes, as schemas/command.schema.json has them. A
//! shape changes only with the version of that document.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::common::{command, folder, lote, lote_in, repository};
use crate::service::{json_lines, requests};

fn document() -> Value {
    let text = fs::read_to_string(repository("schemas/command.schema.json")).expect("the schemas");
    serde_json::from_str(&text).expect("JSON")
}

/// A schema that lets no field be there that it does not name.
fn strict(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("type") && fields.contains_key("properties") {
                fields.entry("additionalProperties").or_insert(json!(false));
            }
            fields.values_mut().for_each(strict);
        }
        Value::Array(items) => items.iter_mut().for_each(strict),
        _ => {}
    }
}

/// What is wrong with what a command printed, by one of the schemas.
fn wrong(definitions: &Value, name: &str, printed: &Value) -> Vec<String> {
    let schema = json!({"$ref": format!("#/$defs/{name}"), "$defs": definitions});
    let schema = jsonschema::draft202012::new(&schema).expect("a schema");
    schema.iter_errors(printed).map(|error| format!("{name}, at {}: {error}", error.instance_path())).collect()
}

#[test]
fn what_commands_print_has_the_shapes_that_are_documented() {
    let mut definitions = document()["$defs"].take();
    strict(&mut definitions);
    let mixed = requests(&["one", "[[status=400]] two", "one"]);
    let refused = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"m"}}"#;
    let place = folder(&[
        ("mixed.jsonl", &mixed),
        ("refused.jsonl", refused.as_bytes()),
        ("rows.csv", b"id,text\n1,one\n2,two\n"),
    ]);
    let mut shown = BTreeSet::new();
    let mut assert_shape = |name: &str, args: &str, code: i32| {
        let args: Vec<&str> = args.split(' ').collect();
        let ended = lote_in(command(), place.path(), &args);
        assert_eq!(ended.code, code, "{args:?}: {ended:?}");
        let printed = json_lines(&ended);
        assert!(!printed.is_empty(), "{args:?}: {ended:?}");
        for value in &printed {
            assert_eq!(wrong(&definitions, name, value), [""; 0], "{args:?}: {value}");
        }
        shown.insert(name.to_owned());
    };
    for (name, args, code) in [
        ("run", "run mixed.jsonl --embedded --json --dir one.run", 1),
        ("run", "run mixed.jsonl --embedded --json --dir two.run --dedupe", 1),
        ("run", "run mixed.jsonl --embedded --json --dir three.run --sync", 1),
        ("run", "run mixed.jsonl --embedded --json --dir one.run", 1),
        ("findings", "run refused.jsonl --embedded --json", 3),
        ("refused_rows", "run rows.csv --user {{texts}} --model m --embedded --json", 3),
        ("status", "status one.run --json", 0),
        ("status", "status three.run --json", 0),
        ("status", "runs --json", 0),
        ("check", "check mixed.jsonl --json", 0),
        ("check", "check refused.jsonl --json", 3),
        ("plan", "plan mixed.jsonl --json", 0),
        ("findings", "plan refused.jsonl --json", 3),
        ("inspect", "inspect one.run/results.jsonl --json", 0),
        ("show", "show one.run --json --sample 9", 0),
        ("export", "export one.run -o table.csv --json", 0),
        ("outcome", "export one.run -o - --to outcomes", 0),
        ("join", "join mixed.jsonl one.run/results.jsonl -o joined.jsonl --json", 1),
        ("clean", "clean one.run --json", 0),
        ("prepare", "prepare rows.csv --user {{text}} --model m -o rows.jsonl --json", 0),
        ("prepare", "prepare rows.csv --user {{texts}} --model m -o other.jsonl --json", 3),
    ] {
        assert_shape(name, args, code);
    }
    // A field that is not documented, and one that is not there, are both seen.
    let bare = json!({"folder": "a", "dry_run": false, "bytes": 1});
    assert_eq!(wrong(&definitions, "clean", &bare).len(), 1);
    let mut more = bare;
    (more["files"], more["more"]) = (json!([]), json!(1));
    assert_eq!(wrong(&definitions, "clean", &more).len(), 1);
}

#[test]
fn exit_codes_are_those_of_the_help() {
    let help = lote(["--help"]).stdout;
    let (_, list) = help.split_once("Exit codes:\n").expect("the list");
    let listed: Map<String, Value> = list
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.trim().split_once(' '))
        .map(|(code, words)| (code.to_owned(), json!(words.trim())))
        .collect();
    assert_eq!(Value::Object(listed), document()["exit_codes"]);
}

/// All that a program can rely on: each field with its type, and whether it is always there.
fn paths(schema: &Value, at: &str, paths: &mut BTreeSet<String>) {
    let Value::Object(fields) = schema else { return };
    let kinds: Vec<String> =
        ["type", "enum", "$ref"].iter().filter_map(|key| fields.get(*key)).map(Value::to_string).collect();
    if !kinds.is_empty() {
        paths.insert(format!("{at}: {}", kinds.join(" ")));
    }
    let required = |name: &str| schema["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        let sometimes = if required(name) { "" } else { "?" };
        self::paths(below, &format!("{at}.{name}{sometimes}"), paths);
    }
    self::paths(&schema["items"], &format!("{at}[]"), paths);
    for one in schema["anyOf"].as_array().into_iter().flatten() {
        self::paths(one, at, paths);
    }
}

#[test]
fn a_shape_changes_only_with_its_version() {
    let document = document();
    let version = document["version"].as_str().expect("a version");
    let mut now = BTreeSet::new();
    for (name, schema) in document["$defs"].as_object().expect("definitions") {
        paths(schema, name, &mut now);
    }
    now.insert(format!("exit codes: {}", document["exit_codes"]));
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/interface.txt");
    let kept = fs::read_to_string(&file).unwrap_or_default();
    let (before, lines) = kept.split_once('\n').unwrap_or_default();
    let then: BTreeSet<String> = lines.lines().map(str::to_owned).collect();
    if now == then {
        assert_eq!(version, before, "the version was raised, and no shape has changed");
        return;
    }
    let first = |version: &str| version.split('.').next().map(str::to_owned);
    assert_ne!(version, before, "a shape has changed: raise \"version\" in schemas/command.schema.json");
    let gone: Vec<&String> = then.difference(&now).collect();
    assert!(
        gone.is_empty() || first(version) != first(before),
        "raise the first number of the version: gone is {gone:?}"
    );
    let accepts = std::env::var_os("LOTE_ACCEPT_SCREENS").is_some();
    assert!(accepts, "keep the new shapes: LOTE_ACCEPT_SCREENS=1 cargo test --workspace --test cli interface");
    let lines: Vec<&str> = std::iter::once(version).chain(now.iter().map(String::as_str)).collect();
    fs::write(file, lines.join("\n") + "\n").expect("written");
}
