//! What differs from service to service: fields of its own, how strict it is, how many models and texts it takes.

use std::collections::BTreeMap;

use lote_lines::CheckOptions;
use serde_json::{Value, json};

use super::{CHAT, EMBEDDINGS, RESPONSES, chat, line, response, run, told, without};

#[test]
fn a_field_of_the_services_own_is_not_judged() {
    let fields =
        |names: &[&str]| BTreeMap::from([(CHAT.to_owned(), names.iter().copied().map(str::to_owned).collect())]);
    let body =
        chat(json!({"logprobs": 5, "input": "x", "messages": [{"role": "user", "content": [{"type": "input_text"}]}]}));
    assert_eq!(told(CHAT, &body, &CheckOptions::default()).len(), 3);
    let own =
        CheckOptions { own_fields: fields(&["logprobs", "input", "messages.content"]), ..CheckOptions::default() };
    assert_eq!(told(CHAT, &body, &own), [""; 0]);
    // An own field is needed all the same, unless that is said as well.
    let own = CheckOptions { own_fields: fields(&["model"]), ..CheckOptions::default() };
    assert_eq!(told(CHAT, &without(chat(json!({})), "model"), &own).len(), 1);
    let optional = CheckOptions { optional_fields: fields(&["model"]), ..CheckOptions::default() };
    assert_eq!(told(CHAT, &without(chat(json!({})), "model"), &optional), [""; 0]);
    assert_eq!(told(RESPONSES, &json!({"input": "x"}), &optional).len(), 1);
    // One that may be left out is not missing where it has another endpoint's name either.
    let optional = CheckOptions { optional_fields: fields(&["messages"]), ..CheckOptions::default() };
    let told = told(CHAT, &json!({"model": "m", "prompt": "x"}), &optional);
    assert!(told.len() == 1 && told[0].starts_with("misplaced_field: prompt"), "{told:?}");
}

#[test]
fn what_only_a_strict_service_refuses_is_told_for_it_alone() {
    let loose = CheckOptions { strict: false, max_line_inputs: None, ..CheckOptions::default() };
    for (endpoint, body, told_first) in [
        (CHAT, chat(json!({"tools": null})), "wrong_type: tools is null"),
        (RESPONSES, response(json!({"input": null, "prompt": {"id": "p"}})), "wrong_type: input is null"),
        (
            RESPONSES,
            response(json!({"n": 2})),
            "misplaced_field: n is no field of /v1/responses: write a line for each",
        ),
        (RESPONSES, response(json!({"max_output_tokens": 15})), "out_of_range: max_output_tokens"),
        (EMBEDDINGS, json!({"model": "m", "input": vec!["x"; 2_049]}), "too_many_inputs: input has 2049"),
    ] {
        let strict = told(endpoint, &body, &CheckOptions::default());
        assert!(strict.len() == 1 && strict[0].starts_with(told_first), "{endpoint}: {strict:?}");
        assert_eq!(told(endpoint, &body, &loose), [""; 0], "{endpoint}");
    }
    // Where the field is needed, null is not there for any service.
    for (endpoint, body) in [
        (CHAT, chat(json!({"messages": null}))),
        (RESPONSES, response(json!({"input": null}))),
        (EMBEDDINGS, json!({"model": null, "input": "x"})),
    ] {
        assert_eq!(told(endpoint, &body, &loose).len(), 1, "{endpoint} {body}");
    }
}

#[test]
fn texts_to_embed_are_counted_over_the_file() {
    let lines = |bodies: &[Value]| -> String {
        let one =
            |(number, body): (usize, &Value)| line(EMBEDDINGS, body).replace("\"a\"", &format!("\"{number}\"")) + "\n";
        bodies.iter().enumerate().map(one).collect()
    };
    let body = |input: Value| json!({"model": "m", "input": input});
    let four = lines(&[body(json!("x")), body(json!([1, 2, 3])), body(json!(["x", "y"])), body(json!("x"))]);
    let options = |most| CheckOptions { max_inputs: Some(most), ..CheckOptions::default() };
    assert_eq!(run(&four, &options(5)).1.len(), 0);
    for (most, at) in [(4, 4), (3, 3), (1, 2)] {
        let (_, findings) = run(&four, &options(most));
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].line, findings[0].code.as_str()), (Some(at), "too_many_inputs_in_file"));
    }
    let none = CheckOptions { max_inputs: None, max_line_inputs: None, ..CheckOptions::default() };
    assert_eq!(run(&lines(&vec![body(json!(vec!["x"; 3_000])); 20]), &none).1.len(), 0);
    let whole = lines(&vec![body(json!(vec!["x"; 2_000])); 26]);
    let (_, findings) = run(&whole, &CheckOptions::default());
    assert_eq!((findings.len(), findings[0].line), (1, Some(26)));
}

#[test]
fn more_models_than_the_service_takes_are_told() {
    let names = ["m", "m", "n", "o", "n"];
    let input: String = names
        .iter()
        .enumerate()
        .map(|(number, model)| {
            line(CHAT, &chat(json!({"model": model}))).replace("\"a\"", &format!("\"{number}\"")) + "\n"
        })
        .collect();
    assert_eq!(run(&input, &CheckOptions::default()).1.len(), 0);
    let lines = |most| -> Vec<_> {
        let options = CheckOptions { max_models: Some(most), ..CheckOptions::default() };
        run(&input, &options).1.into_iter().map(|finding| (finding.line, finding.code.to_string())).collect()
    };
    let several = |line| (Some(line), "several_models".to_owned());
    assert_eq!(lines(1), [several(3), several(4), several(5)]);
    assert_eq!(lines(2), [several(4)]);
    assert_eq!(lines(3), []);
    let options = CheckOptions { max_models: Some(1), ..CheckOptions::default() };
    assert_eq!(
        run(&input, &options).1[0].message,
        "model is \"n\" after \"m\" (line 1): a batch has one model here, so write a file for each model"
    );
}
