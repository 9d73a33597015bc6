//! Owns the tests of templates of whole bodies: `lote prepare --template`.

use crate::common::lote_with;
use serde_json::{Value, json};

/// Prepares one row from stdin and gives the body, or what stderr said.
fn body(row: &Value, template: &str) -> Result<Value, String> {
    let ended = lote_with(
        ["prepare", "-", "--endpoint", "chat", "-o", "-", "--template", template],
        row.to_string().as_bytes(),
    );
    match ended.code {
        0 => {
            let line: Value = serde_json::from_str(&ended.stdout).expect("one request line");
            Ok(line["body"].clone())
        }
        3 => {
            assert_eq!(ended.stdout, "", "nothing is printed when a row is refused");
            Err(ended.stderr)
        }
        code => panic!("exit {code}: {}", ended.stderr),
    }
}

#[test]
fn an_expression_renders_a_whole_value() {
    let row = json!({
        "q": "say \"hi\" \\ {{ x }}\n\u{2028}<b>é", "n": 7, "f": 0.5, "t": true, "z": null,
        "list": [1, "two", null], "map": {"b": [1], "a": "\""}, "full name": "Ada",
    });
    let q = &row["q"];
    let asked = format!("Q: {}", q.as_str().expect("text"));
    for (template, expected) in [
        (r#"{"c": {{ q }} }"#, json!({"c": q})),
        (r#"{"c": {{ q | tojson }} }"#, json!({"c": q})),
        (r#"{"c": {{ "Q: " ~ q }} }"#, json!({"c": asked})),
        (r#"{"c":{{q}},"d":[{{n}},{{f}},{{t}},{{z}}]}"#, json!({"c": q, "d": [7, 0.5, true, null]})),
        (r#"{"c": {{ list }}, "d": {{ map }} }"#, json!({"c": row["list"], "d": row["map"]})),
        (r#"{"c": {{ [q, {"k": q | tojson}] }} }"#, json!({"c": [q, {"k": q}]})),
        (r#"{"c": {{ row["full name"] }}, "n": {{ row_number }} }"#, json!({"c": "Ada", "n": 1})),
        (r#"{"c": {{ row | tojson }} }"#, json!({"c": row})),
        (r#"{ {{ q }}: 1 }"#, json!({q.as_str().expect("text"): 1})),
        (r#"{{ map }}"#, row["map"].clone()),
        (
            r#"{"c": {{ n + 1 }}, "d": {{ n > 3 }}, "e": {{ n if n < 3 else "big" }} }"#,
            json!({"c": 8, "d": true, "e": "big"}),
        ),
        (r#"{"c": {{ absent | default("d") }}, "d": {{ absent is defined }} }"#, json!({"c": "d", "d": false})),
        (
            r#"{"c": [{% for x in list %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}]}"#,
            json!({"c": row["list"]}),
        ),
        (r#"{% if n > 5 %}{"c": {{ q }} }{% else %}{"c": "x"}{% endif %}"#, json!({"c": q})),
        (r#"{% set p %}Q: {{ q }}{% endset %}{"c": {{ p }} }"#, json!({"c": asked})),
        (r#"{% macro ask(x) %}Q: {{ x }}{% endmacro %}{"c": {{ ask(q) }} }"#, json!({"c": asked})),
        (r#"{"c": {% filter trim %} "Q: {{ q }}{% endfilter %} }"#, json!({"c": format!("\"{asked}")})),
        (
            r#"{"c": "{% raw %}{{ q }}{% endraw %}", "d": "\"{# no #}", "e": {{ q }} }"#,
            json!({"c": "{{ q }}", "d": "\"", "e": q}),
        ),
        ("{\n  \"c\": {{ q }},\n  \"d\": \" a  b \"\n}\n", json!({"c": q, "d": " a  b "})),
    ] {
        assert_eq!(body(&row, template).as_ref(), Ok(&expected), "{template}");
    }
}

/// What becomes of a value in a body.
type Expected = fn(&str) -> Value;

#[test]
fn no_value_changes_the_structure_of_a_body() {
    let values = [
        "\"",
        "\\",
        "\\\"",
        "\", \"stream\": true, \"x\": \"",
        "\"}]}",
        "{{ q }}",
        "{% endset %}",
        "x\" y",
        "\u{0}\u{1}\n\r\t",
        "\u{2028}\u{feff}",
        "1}, {\"a\":1",
        "null",
        "",
    ];
    let templates: &[(&str, Expected)] = &[
        (r#"{"c": {{ q }} }"#, |q| json!({"c": q})),
        (r#"{"c": {{ q | tojson }} }"#, |q| json!({"c": q})),
        (r#"{"c": {{ q | safe }} }"#, |q| json!({"c": q})),
        (r#"{% autoescape false %}{"c": {{ q }} }{% endautoescape %}"#, |q| json!({"c": q})),
        (
            r#"{% autoescape "html" %}{% set p %}{{ q }}{% endset %}{"c": {{ p }} }{% endautoescape %}"#,
            |q| json!({"c": q}),
        ),
        (
            r#"{% autoescape "json" %}{% set p %}{{ q }}{% endset %}{"c": {{ p }} }{% endautoescape %}"#,
            |q| json!({"c": q}),
        ),
        (r#"{% set p %}{{ q }}{% endset %}{"c": {{ p | safe }} }"#, |q| json!({"c": q})),
        (r#"{% block b %}{"c": {{ q }} }{% endblock %}"#, |q| json!({"c": q})),
        (
            r#"{% macro m(x) %}{{ caller(x) }}{% endmacro %}{"c": {% call(x) m(q) %}{{ x }}{% endcall %} }"#,
            |q| json!({"c": q}),
        ),
        (
            r#"{"c": [{% for x in [[q]] recursive %}{% if x is string %}{{ x }}{% else %}{{ loop(x) }}{% endif %}{% endfor %}]}"#,
            |q| json!({"c": [q]}),
        ),
    ];
    let rows: String = values.map(|q| format!("{}\n", json!({"q": q}))).concat();
    for (template, expected) in templates {
        let ended =
            lote_with(["prepare", "-", "--endpoint", "chat", "-o", "-", "--template", template], rows.as_bytes());
        assert_eq!(ended.code, 0, "{template}: {}", ended.stderr);
        let bodies: Vec<Value> = ended
            .stdout
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("a request line")["body"].take())
            .collect();
        assert_eq!(bodies, values.map(expected), "{template}");
    }
}

#[test]
fn numbers_keep_their_value() {
    let rows = r#"{"a":9007199254740993,"b":18446744073709551615,"c":123456789012345678901234567890123456789012345,"d":0.12345678901234567890,"e":-0.5}"#;
    let template = r#"{"x":[{{a}},{{b}},{{c}},{{d}},{{e}}],"y":{{row}},"z":{{ "n " ~ c }}}"#;
    let ended = lote_with(["prepare", "-", "--endpoint", "chat", "-o", "-", "--template", template], rows.as_bytes());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let x = "[9007199254740993,18446744073709551615,123456789012345678901234567890123456789012345,0.12345678901234567890,-0.5]";
    let expected = format!(
        "{{\"custom_id\":\"row-1\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":\
         {{\"x\":{x},\"y\":{rows},\"z\":\"n 123456789012345678901234567890123456789012345\"}}}}\n"
    );
    assert_eq!(ended.stdout, expected);
    // What cannot be computed exactly is not computed.
    let message = body(&serde_json::from_str(r#"{"a":1}"#).expect("a row"), r#"{"x": {{ 1e308 * 10 }} }"#);
    assert!(message.as_ref().is_err_and(|m| m.contains("the number inf has no JSON form")), "{message:?}");
}

#[test]
fn wrong_templates_and_rows_are_refused_with_their_place() {
    let row = json!({"q": "x\"y", "n": 2, "o": {"a": 1}});
    for (template, expected) in [
        (r#"{"c": "{{ q }}"}"#, "template line 1, column 11: an expression stands inside quotes"),
        ("{\n\"c\": \"Q: {{ q }}\"}", "template line 2, column 13: an expression stands inside quotes"),
        (r#"{"c": "{{ q }}"}"#, r#"write "content": {{ question }}, and join texts"#),
        (r#"{"c": "{{ q | tojson }}"}"#, "inside quotes"),
        (r#"{"c": "\\\"{{ q }}"}"#, "inside quotes"),
        (r#"{"c": "{% if n %}{{ q }}{% endif %}"}"#, "inside quotes"),
        (r#"{"c": "{% for x in [q] %}{{ x }}{% endfor %}"}"#, "inside quotes"),
        (r#"{"c": "{% filter upper %}a{% endfilter %}"}"#, "inside quotes"),
        (r#"{"c": "{% block b %}{{ q }}{% endblock %}"}"#, "inside quotes"),
        (r#"{"c": {{ missing }} }"#, "row 1 (line 1): template line 1, column 10: `missing` is undefined"),
        (r#"{"c": {{ o.b }} }"#, "`o.b` is undefined"),
        (r#"{"c": {{ "Q: " ~ missing }} }"#, "`missing` is undefined"),
        (r#"{"c": {{ missing | tojson }} }"#, "has no value"),
        (r#"{"c": {{ [missing] }} }"#, r#"fields the row does not have: ["missing"]"#),
        (r#"{"c": {% if missing %}1{% else %}2{% endif %} }"#, "`missing` is undefined"),
        (r#"{"c": {{ "x" if n == 3 }} }"#, "an `if` with no `else`"),
        (r#"{"c": 1{{ n }} }"#, "row 1 (line 1): the body is not valid JSON: expected `,` or `}`; near: {\"c\": 1 2"),
        (r#"{"c": {{ n }}{{ n }} }"#, "not valid JSON"),
        (r#"{"c": 1, {{ "c" }}: 2}"#, r#"the key "c" comes twice"#),
        (r#"[{{ n }}]"#, "the body is no JSON object"),
        (r#"{{ q }}"#, "the body is no JSON object"),
        ("{# nothing #}", "the template rendered nothing"),
        (r#"{"c": {{ }"#, "template line 1, column 10: syntax error"),
        (r#"{"c": {{ q | nope }} }"#, "filter nope is unknown"),
        (r#"{"c": {{ range }} }"#, "has no JSON form"),
        (r#"{% include "other" %}"#, "template not found"),
    ] {
        let message = body(&row, template).expect_err(template);
        assert!(message.contains(expected), "{template}: {message}");
        assert!(message.contains("error: "), "{template}: {message}");
    }
}
