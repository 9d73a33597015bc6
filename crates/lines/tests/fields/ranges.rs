//! Ranges of numbers, and of how many entries or characters a field has.

use std::collections::BTreeMap;

use lote_lines::CheckOptions;
use serde_json::{Value, json};

use super::{CHAT, COMPLETIONS, EDITS, EMBEDDINGS, IMAGES, RESPONSES, VIDEOS, fine, told, told_with, wrong};

#[test]
fn a_number_may_be_at_each_border_and_not_beyond() {
    let ranges: [(&[&str], &str, f64, f64); 14] = [
        (&[CHAT, RESPONSES, COMPLETIONS], "temperature", 0.0, 2.0),
        (&[CHAT, RESPONSES, COMPLETIONS], "top_p", 0.0, 1.0),
        (&[CHAT, COMPLETIONS], "n", 1.0, 128.0),
        (&[IMAGES, EDITS], "n", 1.0, 10.0),
        (&[CHAT, COMPLETIONS], "frequency_penalty", -2.0, 2.0),
        (&[CHAT, COMPLETIONS], "presence_penalty", -2.0, 2.0),
        (&[CHAT, RESPONSES], "top_logprobs", 0.0, 20.0),
        (&[COMPLETIONS], "logprobs", 0.0, 5.0),
        (&[COMPLETIONS], "best_of", 0.0, 20.0),
        (&[IMAGES, EDITS], "output_compression", 0.0, 100.0),
        (&[IMAGES, EDITS], "partial_images", 0.0, 3.0),
        (&[COMPLETIONS], "max_tokens", 0.0, f64::INFINITY),
        (&[EMBEDDINGS], "dimensions", 1.0, f64::INFINITY),
        (&[RESPONSES], "max_output_tokens", 16.0, f64::INFINITY),
    ];
    for (endpoints, name, least, most) in ranges {
        let right = match (least.is_finite(), most.is_finite()) {
            (true, true) => format!("from {least} to {most}"),
            _ => format!("at least {least}"),
        };
        let beyond = |number: f64| (json!(number), format!("out_of_range: {name} is {number:?}: it must be {right}"));
        for endpoint in endpoints {
            let borders = [least, most, least + 1.0].into_iter().filter(|number| number.is_finite());
            fine(endpoint, name, &borders.map(Value::from).collect::<Vec<_>>());
            for (value, expected) in [beyond(least - 1.0), beyond(most + 1.0)] {
                if value != Value::Null {
                    wrong(endpoint, name, &[(value, &expected)]);
                }
            }
        }
    }
    // What is no range says nothing, and neither does what is the service's own.
    fine(CHAT, "max_tokens", &[json!(-5), json!(0), json!(1e9)]);
    let own = BTreeMap::from([(CHAT.to_owned(), vec!["n".to_owned()])]);
    let options = CheckOptions { own_fields: own, ..CheckOptions::default() };
    assert_eq!(told_with(CHAT, &json!({"n": 0}), &options), [""; 0]);
    assert_eq!(told_with(CHAT, &json!({"n": "x"}), &options), [""; 0]);
    assert_eq!(told_with(CHAT, &json!({"top_p": 2}), &options).len(), 1);
}

#[test]
fn a_list_may_have_as_many_entries_as_the_border_and_not_more() {
    let list = |length: usize, entry: Value| Value::from(vec![entry; length]);
    let function = json!({"name": "f"});
    fine(CHAT, "stop", &[list(1, "a".into()), list(4, "a".into()), json!("a"), json!(null)]);
    fine(COMPLETIONS, "stop", &[list(1, "a".into()), list(4, "a".into()), json!("a"), json!(null)]);
    for endpoint in [CHAT, COMPLETIONS] {
        let expected = "out_of_range: stop has 5 entries: it must have from 1 to 4";
        let empty = "out_of_range: stop is empty: it must have from 1 to 4";
        wrong(endpoint, "stop", &[(list(5, "a".into()), expected), (json!([]), empty)]);
    }
    fine(CHAT, "functions", &[list(1, function.clone()), list(128, function.clone())]);
    wrong(
        CHAT,
        "functions",
        &[
            (json!([]), "out_of_range: functions is empty: it must have from 1 to 128"),
            (list(129, function), "out_of_range: functions has 129 entries: it must have from 1 to 128"),
        ],
    );
    fine(EDITS, "images", &[list(1, json!({})), list(16, json!({}))]);
    wrong(
        EDITS,
        "images",
        &[
            (json!([]), "out_of_range: images is empty: it must have from 1 to 16"),
            (list(17, json!({})), "out_of_range: images has 17 entries: it must have from 1 to 16"),
        ],
    );
    fine(RESPONSES, "context_management", &[json!([{}]), json!(null)]);
    wrong(
        RESPONSES,
        "context_management",
        &[(json!([]), "out_of_range: context_management is empty: it must have at least 1")],
    );
    wrong(CHAT, "messages", &[(json!([]), "out_of_range: messages is empty: it must have at least 1")]);
    // Other lists may be empty.
    fine(CHAT, "tools", &[json!([])]);
    fine(CHAT, "modalities", &[json!([])]);
    fine(RESPONSES, "input", &[json!([])]);
    fine(RESPONSES, "include", &[json!([])]);
}

#[test]
fn a_text_may_have_as_many_characters_as_the_border_and_not_more() {
    let text = |length: usize| Value::from("é".repeat(length));
    for endpoint in [CHAT, RESPONSES] {
        fine(endpoint, "safety_identifier", &[text(64), json!(""), json!(null)]);
        let expected = "out_of_range: safety_identifier has 65 characters, more than 64";
        wrong(endpoint, "safety_identifier", &[(text(65), expected)]);
    }
    for endpoint in [EDITS, VIDEOS] {
        fine(endpoint, "prompt", &[text(1), text(32_000)]);
        wrong(
            endpoint,
            "prompt",
            &[
                (json!(""), "out_of_range: prompt is empty: it must have a text"),
                (text(32_001), "out_of_range: prompt has 32001 characters, more than 32000"),
            ],
        );
    }
    // Escapes are one character each.
    let escaped = json!({"safety_identifier": "\n".repeat(64)});
    assert_eq!(told(CHAT, &escaped), [""; 0]);
}

#[test]
fn a_text_is_one_of_those_that_there_are() {
    fine(EMBEDDINGS, "encoding_format", &[json!("float"), json!("base64")]);
    wrong(
        EMBEDDINGS,
        "encoding_format",
        &[
            (json!("int8"), "out_of_range: encoding_format is \"int8\": it must be float or base64"),
            (json!(""), "out_of_range: encoding_format is \"\": it must be float or base64"),
        ],
    );
    wrong(
        CHAT,
        "model",
        &[
            (json!(""), "missing_field: model is empty: name the model that is to answer"),
            (json!(" \t"), "missing_field: model is empty: name the model that is to answer"),
        ],
    );
    fine(COMPLETIONS, "suffix", &[json!("")]);
}

#[test]
fn of_a_model_the_borders_are_its_own() {
    let with = |model: &str, more: Value| {
        let mut fields = json!({ "model": model });
        fields.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        told(IMAGES, &fields)
    };
    let text = |length: usize| json!({"prompt": "é".repeat(length)});
    for (model, most) in [("dall-e-2", 1_000), ("dall-e-3", 4_000)] {
        assert_eq!(with(model, text(most)), [""; 0]);
        let more = most + 1;
        let expected =
            format!("out_of_range: prompt has {more} characters, more than the {most} that the model {model} takes");
        assert_eq!(with(model, text(more)), [expected]);
    }
    assert_eq!(with("dall-e-4", text(4_001)), [""; 0]);
    assert_eq!(with("dall-e-3", json!({"n": 1})), [""; 0]);
    assert_eq!(with("dall-e-3", json!({"n": null})), [""; 0]);
    assert_eq!(with("dall-e-2", json!({"n": 2})), [""; 0]);
    assert_eq!(with("dall-e-3", json!({"n": 2})), ["out_of_range: n is 2: with the model dall-e-3 it must be 1"]);
    // What is the service's own is not judged for one of its models either.
    for (own, fields) in [
        ("n", json!({"model": "dall-e-3", "n": 2})),
        ("prompt", json!({"model": "dall-e-3", "prompt": "x".repeat(4_001)})),
    ] {
        let own = BTreeMap::from([(IMAGES.to_owned(), vec![own.to_owned()])]);
        let options = CheckOptions { own_fields: own, ..CheckOptions::default() };
        assert_eq!(told_with(IMAGES, &fields, &options), [""; 0], "{fields}");
    }
}

#[test]
fn one_number_is_not_less_than_another() {
    for fields in [
        json!({"best_of": 2, "n": 2}),
        json!({"best_of": 3, "n": 2}),
        json!({"best_of": 1}),
        json!({"n": 5}),
        json!({"best_of": null, "n": 2}),
        json!({"best_of": 1, "n": null}),
    ] {
        assert_eq!(told(COMPLETIONS, &fields), [""; 0], "{fields}");
    }
    for fields in [json!({"best_of": 2, "n": 3}), json!({"n": 3, "best_of": 2})] {
        let expected = "out_of_range: best_of is 2: it must be at least n, which is 3";
        assert_eq!(told(COMPLETIONS, &fields), [expected], "{fields}");
        let own = BTreeMap::from([(COMPLETIONS.to_owned(), vec!["best_of".to_owned()])]);
        let options = CheckOptions { own_fields: own, ..CheckOptions::default() };
        assert_eq!(told_with(COMPLETIONS, &fields, &options), [""; 0], "{fields}");
    }
    // Only where there are both.
    assert_eq!(told(CHAT, &json!({"best_of": 1, "n": 2})), [""; 0]);
}

#[test]
fn fields_of_other_endpoints_are_named_at_each() {
    for (endpoint, fields, expected) in [
        (EMBEDDINGS, json!({"messages": []}), "messages is no field of /v1/embeddings: there it is input"),
        (EMBEDDINGS, json!({"prompt": "x"}), "prompt is no field of /v1/embeddings: there it is input"),
        (
            IMAGES,
            json!({"instructions": "x"}),
            "instructions is no field of /v1/images/generations: there it is prompt",
        ),
        (COMPLETIONS, json!({"input": "x"}), "input is no field of /v1/completions: there it is prompt"),
        (COMPLETIONS, json!({"tools": []}), "tools is no field of /v1/completions: ask for it by /v1/chat/completions"),
        ("/v1/moderations", json!({"messages": []}), "messages is no field of /v1/moderations: there it is input"),
        (EDITS, json!({"input": "x"}), "input is no field of /v1/images/edits: there it is prompt"),
        (VIDEOS, json!({"input": "x"}), "input is no field of /v1/videos: there it is prompt"),
        (RESPONSES, json!({"seed": 1}), "seed is no field of /v1/responses: leave it out"),
    ] {
        assert_eq!(told(endpoint, &fields), [format!("misplaced_field: {expected}")]);
        // Null means the same as leaving it out.
        let name = fields.as_object().expect("an object").keys().next().expect("a key");
        assert_eq!(told(endpoint, &json!({ name.as_str(): null })), [""; 0], "{endpoint} {name}");
    }
}
