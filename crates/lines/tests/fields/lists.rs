//! What is to be embedded, completed or moderated.

use lote_lines::CheckOptions;
use serde_json::json;

use super::{COMPLETIONS, EMBEDDINGS, MODERATIONS, fine, told_with, wrong};

#[test]
fn texts_or_tokens_are_to_be_embedded() {
    fine(
        EMBEDDINGS,
        "input",
        &[json!("x"), json!(["x"]), json!(["x", "y"]), json!([1]), json!([1, 2.0]), json!([[1], [2, 3]])],
    );
    let empty = "empty_input: input is empty: there is nothing to embed; leave the line out";
    wrong(
        EMBEDDINGS,
        "input",
        &[
            (json!(""), empty),
            (json!([]), empty),
            (json!([""]), "empty_input: input[0] is empty: leave it out"),
            (json!(["x", "", ""]), "empty_input: input[1] is empty: leave it out"),
            (json!([1.5, 2]), "wrong_type: input[0] is no whole number, as tokens are"),
            (json!([1, 2, 1e-3]), "wrong_type: input[2] is no whole number, as tokens are"),
            (json!([[]]), "empty_input: input[0] is empty: leave it out"),
            (json!([[1], []]), "empty_input: input[1] is empty: leave it out"),
            (json!([[1, "x"]]), "wrong_type: input[0] is an array that holds more than numbers of tokens"),
            (json!([["x", 1]]), "wrong_type: input[0] is an array that holds more than numbers of tokens"),
            (json!([[1, 1.5]]), "wrong_type: input[0] is an array that holds more than numbers of tokens"),
            (json!(["x", 1]), "wrong_type: input[1] is of another type than input[0]"),
            (json!([1, [1]]), "wrong_type: input[1] is of another type than input[0]"),
            (json!([[1], "x", 7]), "wrong_type: input[1] is of another type than input[0]"),
            (json!([null]), "wrong_type: input[0] is neither a text nor tokens"),
            (json!(["x", {}]), "wrong_type: input[1] is neither a text nor tokens"),
            (json!(["x", true, null]), "wrong_type: input[1] is neither a text nor tokens"),
        ],
    );
}

#[test]
fn so_many_inputs_are_taken_and_no_more() {
    let texts = |count: usize| json!({"input": vec!["x"; count]});
    let tokens = |count: usize| json!({"input": vec![1; count]});
    let options = CheckOptions { max_line_inputs: Some(3), max_inputs: Some(2), ..CheckOptions::default() };
    let of_line = |what: &str| {
        format!(
            "too_many_inputs: input has 4 {what}, more than the 3 that one request takes: spread them over several lines"
        )
    };
    let of_file = "too_many_inputs_in_file: with this line the file passes 2 texts to embed, the limit of one batch: split the file";
    assert_eq!(told_with(EMBEDDINGS, &texts(2), &options), [""; 0]);
    assert_eq!(told_with(EMBEDDINGS, &texts(3), &options), [of_file]);
    assert_eq!(told_with(EMBEDDINGS, &texts(4), &options), [of_line("texts"), of_file.to_owned()]);
    // The tokens of one text are one input.
    assert_eq!(told_with(EMBEDDINGS, &tokens(3), &options), [""; 0]);
    assert_eq!(told_with(EMBEDDINGS, &tokens(4), &options), [of_line("tokens in one array")]);
}

#[test]
fn prompts_may_be_none_and_empty() {
    fine(
        COMPLETIONS,
        "prompt",
        &[json!(""), json!([]), json!(["", "x"]), json!([1, 2]), json!([[1]]), json!(null), json!("x")],
    );
    wrong(
        COMPLETIONS,
        "prompt",
        &[
            (json!([1.5]), "wrong_type: prompt[0] is no whole number, as tokens are"),
            (json!([[1], []]), "empty_input: prompt[1] is empty: leave it out"),
            (json!(["x", 1]), "wrong_type: prompt[1] is of another type than prompt[0]"),
            (json!([null]), "wrong_type: prompt[0] is neither a text nor tokens"),
            (json!({}), "wrong_type: prompt is an object: it must be a string or an array"),
        ],
    );
}

#[test]
fn texts_or_parts_are_to_be_moderated() {
    let text = json!({"type": "text", "text": "x"});
    let image = json!({"image_url": {"url": "https://example.org/a.png"}, "type": "image_url"});
    fine(MODERATIONS, "input", &[json!(""), json!([]), json!(["x", ""]), json!([text]), json!([text, image, text])]);
    let part = "wrong_type: input[0] is neither {\"type\": \"text\", \"text\": \"…\"} nor {\"type\": \"image_url\", \
                \"image_url\": {\"url\": \"…\"}}";
    let neither = "wrong_type: input[0] is neither a text nor a part with a type";
    wrong(
        MODERATIONS,
        "input",
        &[
            (json!([{"type": "text"}]), part),
            (json!([{"type": "text", "text": 7}]), part),
            (json!([{"type": "text", "image_url": {}}]), part),
            (json!([{"type": "image_url"}]), part),
            (json!([{"type": "image_url", "text": "x"}]), part),
            (json!([{"type": "image_url", "image_url": "https://example.org/a.png"}]), part),
            (json!([{"text": "x", "image_url": {}}]), part),
            (json!([{"type": "video", "text": "x"}]), part),
            (json!([7]), neither),
            (json!([null, {}]), neither),
            (json!([["x"], "x"]), neither),
            (json!(["x", text, 7]), "wrong_type: input[1] is of another type than input[0]"),
            (json!([text, "x"]), "wrong_type: input[1] is of another type than input[0]"),
        ],
    );
}
