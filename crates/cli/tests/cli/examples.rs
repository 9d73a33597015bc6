//! Owns the proof that examples/requests.jsonl is what `lote prepare` makes of its neighbours.

use crate::common::{lote, repository};

#[test]
fn preparing_the_examples_again_gives_the_same_bytes() {
    let path = |name: &str| repository(name).to_str().expect("a UTF-8 path").to_owned();
    let ended = lote([
        "prepare",
        &path("examples/questions.jsonl"),
        "--template",
        &format!("@{}", path("examples/chat.template.json")),
        "--endpoint",
        "chat",
        "--id",
        "{{ id }}",
        "-o",
        "-",
    ]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let committed = std::fs::read_to_string(path("examples/requests.jsonl")).expect("the request file");
    assert!(
        ended.stdout == committed,
        "problem: examples/requests.jsonl is stale\nfix: lote prepare examples/questions.jsonl --template \
         @examples/chat.template.json --endpoint chat --id '{{{{ id }}}}' -o examples/requests.jsonl"
    );
    assert_eq!(committed.lines().count(), 60);
}
