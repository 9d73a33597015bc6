//! Which endpoint a body is held against.

use std::collections::BTreeMap;

use lote_lines::CheckOptions;
use serde_json::{Value, json};

use super::{CHAT, RESPONSES, chat, line, response, run, told};

#[test]
fn a_body_is_held_against_the_url_of_its_line_or_else_the_batchs_endpoint() {
    let options = |endpoint: Option<&str>| CheckOptions {
        endpoint: endpoint.map(str::to_owned),
        needs_method: false,
        needs_url: false,
        ..CheckOptions::default()
    };
    let short = |body: Value| format!(r#"{{"custom_id":"a","body":{body}}}"#);
    let codes = |input: &str, options: &CheckOptions| -> Vec<String> {
        run(input, options).1.iter().map(|finding| finding.code.to_string()).collect()
    };
    assert_eq!(codes(&short(chat(json!({}))), &options(Some(CHAT))), [""; 0]);
    assert_eq!(codes(&short(json!({"model": "m"})), &options(Some(CHAT))), ["missing_field"]);
    // Where nobody says which endpoint it is, nothing can be said of the body but what holds everywhere.
    let (checked, findings) = run(&short(json!({"stream": true})), &options(None));
    assert_eq!((checked.endpoint, findings.len()), (None, 1));
    // A url that is there is still looked at, and so is a method.
    let input = format!(
        "{}\n{}",
        line(CHAT, &chat(json!({}))),
        line(RESPONSES, &response(json!({}))).replace("\"a\"", "\"b\"")
    );
    assert_eq!(codes(&input, &options(None)), ["url_differs"]);
    assert_eq!(codes(&line(CHAT, &chat(json!({}))).replace("POST", "GET"), &options(None)), ["method_not_post"]);
    assert_eq!(codes(r#"{"custom_id":"a","url":"/v1/responses"}"#, &options(None)), ["missing_key"]);
    // Endpoints without rules take any body.
    let any = CheckOptions { known_endpoints: vec!["/v1/score".to_owned()], ..CheckOptions::default() };
    assert_eq!(told("/v1/score", &json!({"input": 7}), &any), [""; 0]);
    let (checked, findings) = run(&line("/v1/score", &json!({"x": {"model": "n"}, "model": "m"})), &any);
    assert_eq!((findings.len(), checked.models.len(), checked.models.get("m")), (0, 1, Some(&1)));
    assert_eq!(checked.without_model, 0);
}

#[test]
fn spellings_of_a_url_stand_for_their_endpoint() {
    let spellings = BTreeMap::from([("/chat/completions".to_owned(), CHAT.to_owned())]);
    let options = CheckOptions { spellings, ..CheckOptions::default() };
    let short = |id: &str| line("/chat/completions", &chat(json!({}))).replace("\"a\"", &format!("\"{id}\""));
    let (checked, findings) = run(&format!("{}\n{}", short("a"), short("b")), &options);
    assert_eq!((checked.endpoint.as_deref(), findings.len()), (Some(CHAT), 0));
    for endpoint in [CHAT, "/chat/completions"] {
        let options = CheckOptions { endpoint: Some(endpoint.to_owned()), ..options.clone() };
        let (checked, findings) = run(&short("a"), &options);
        assert_eq!((checked.endpoint.as_deref(), findings.len()), (Some(CHAT), 0));
    }
    // A body is held against what the spelling stands for.
    assert_eq!(told("/chat/completions", &json!({"model": "m"}), &options).len(), 1);
    // Two spellings in one file are not one endpoint for a service that compares urls.
    let (_, findings) = run(&format!("{}\n{}", short("b"), line(CHAT, &chat(json!({})))), &options);
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].to_string(),
        "line 2 (\"a\"): url is \"/v1/chat/completions\", but \"/chat/completions\" in line 1: spell it the same way in \
         the whole file"
    );
    let plain = told("/chat/completions", &chat(json!({})), &CheckOptions::default());
    assert!(plain[0].ends_with("; write \"/v1/chat/completions\""), "{plain:?}");
}
