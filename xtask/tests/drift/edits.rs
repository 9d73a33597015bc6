//! Owns the trials of `--apply`: what it edits, that every other byte stays, and what it refuses.

use similar::{ChangeTag, TextDiff};
use xtask::drift::{
    Request, apply, contract,
    document::Document,
    judge::{Heard, judge},
    mapping::{Upstreams, Witness},
    print::State,
    project::project,
};

use crate::records::{CONTRACT, Repository, THEIRS};

/// The kind, what is replaced by what in upstream's document, and the lines that come and go in ours.
type Case = (&'static str, &'static str, &'static str, &'static [&'static str], &'static [&'static str]);

/// What the mechanical cases are, and the lines that each puts in or takes out.
const APPLIED: [Case; 9] = [
    ("enum-added", "enum: [a, b]", "enum: [a, b, /v1/c]", &["            - /v1/c"], &[]),
    (
        "enum-added",
        "const: 24h",
        "enum: [24h, 'no']",
        &["        window: { description: Ours., type: string, enum: [24h, 'no'] } # in brackets"],
        &["        window: { description: Ours., type: string, enum: [24h] } # in brackets"],
    ),
    ("minimum", "minimum: 1 }", "minimum: 3 }", &["          minimum: 3 # one"], &["          minimum: 1 # one"]),
    (
        "minimum",
        "count: { type: integer, minimum: 1 }",
        "count: { type: integer }",
        &[],
        &["          minimum: 1 # one"],
    ),
    ("maximum", "minimum: 1 }", "minimum: 1, maximum: 7 }", &["          maximum: 7"], &[]),
    (
        "field-added",
        "                window:",
        "                more: { type: object, required: [x], description: Some more. And., properties: { x: { type: integer } } }\n                window:",
        &[
            "        more:",
            "          description: Some more.",
            "          type: object",
            "          required:",
            "            - x",
            "          properties:",
            "            x:",
            "              description: As other has it, which does not say what it is.",
            "              type: integer",
        ],
        &[],
    ),
    (
        "field-added",
        "{ id: { type: string },",
        "{ id: { type: string }, when: { type: [string, 'null'], description: 'At: once' },",
        &["        when:", "          description: 'At: once'", "          type: string", "          nullable: true"],
        &[],
    ),
    (
        "parameter-added",
        "      parameters:\n",
        "      parameters:\n        - { name: q, in: query, description: What., schema: { type: string, maxLength: 9 } }\n",
        &[
            "        - name: q",
            "          in: query",
            "          description: What.",
            "          schema:",
            "            type: string",
            "            maxLength: 9",
        ],
        &[],
    ),
    ("maximum", "maximum: 9", "maximum: 10", &["      maximum: 10"], &["      maximum: 9"]),
];

/// The contract after one finding of a kind was applied, or why not.
fn applied(theirs: &str, kind: &str) -> Result<String, String> {
    let repository = Repository::new();
    let upstreams = Upstreams::parse(&repository.read("upstream.yaml")).unwrap();
    let one = upstreams.get("other").unwrap();
    let (document, ours) = contract(repository.root()).unwrap();
    let theirs = project(&Document::parse("theirs", theirs.as_bytes()).unwrap(), &ours, &one.mapping()).unwrap();
    let heard = Heard { witness: Witness::Document, source: String::new(), theirs };
    let mut text = CONTRACT.to_owned();
    let mine = project(&document, &ours, &one.ours()).unwrap();
    for entry in judge("other", one, &mine, &heard).unwrap().entries {
        if entry.state == State::Open && entry.finding.aspect == kind {
            // A finding that another edit settled is gone by now.
            match apply::applied(&text, "other", one, &entry.finding, &heard, &ours) {
                Ok(edited) => text = edited,
                Err(failure) => return Err(failure.0.problem),
            }
        }
    }
    let mine = project(&Document::parse("ours", text.as_bytes()).unwrap(), &ours, &one.ours()).unwrap();
    let left = judge("other", one, &mine, &heard).unwrap().entries;
    assert!(left.iter().all(|entry| entry.state == State::Settled), "{left:?}");
    Ok(text)
}

fn own(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}

#[test]
fn what_is_mechanical_is_applied_and_every_other_byte_stays() {
    for (kind, from, to, added, removed) in APPLIED {
        let theirs = THEIRS.replace(from, to);
        assert_ne!(theirs, THEIRS, "{from}");
        let text = applied(&theirs, kind).unwrap_or_else(|why| panic!("{to}: {why}"));
        let diff = TextDiff::from_lines(CONTRACT, &text);
        let changed = |tag: ChangeTag| {
            let changes = diff.iter_all_changes().filter(move |change| change.tag() == tag);
            changes.map(|change| change.value().trim_end_matches('\n').to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            (changed(ChangeTag::Insert), changed(ChangeTag::Delete)),
            (own(added), own(removed)),
            "{to}:\n{text}"
        );
        assert!(text.ends_with("# The end, without a newline"));
    }
}

#[test]
fn what_is_not_mechanical_is_refused_and_says_why() {
    let cases = [
        (
            "field-added",
            "                window:",
            "                more: { type: string }\n                window:",
            "required: [endpoint]",
            "required: [endpoint, more]",
            "needs thought",
        ),
        (
            "field-added",
            "                window:",
            "                more: { anyOf: [{ type: string }, { type: integer }] }\n                window:",
            "",
            "",
            "more than fields, lists and plain values",
        ),
        ("type", "count: { type: integer, minimum: 1 }", "count: { type: string }", "", "", "needs thought"),
        (
            "maximum",
            "shared: { type: integer, maximum: 9 }\n",
            "shared: { type: integer, maximum: 8 }\n",
            "",
            "",
            "would also change another place",
        ),
        ("enum-removed", "enum: [a, b]", "enum: [a]", "", "", "needs thought"),
    ];
    for (kind, from, to, also, becomes, expected) in cases {
        let theirs = THEIRS.replacen(from, to, 1);
        let theirs = if also.is_empty() { theirs } else { theirs.replacen(also, becomes, 1) };
        assert_ne!(theirs, THEIRS, "{from}");
        let why = applied(&theirs, kind).unwrap_err();
        assert!(why.contains("is not applied: ") && why.contains(expected), "{expected}: {why}");
    }
    // By way of the command, nothing is written.
    let repository = Repository::new();
    let theirs =
        THEIRS.replacen("shared: { type: integer, maximum: 9 }\n", "shared: { type: integer, maximum: 8 }\n", 1);
    let id = repository.id(&theirs, "maximum");
    let (code, printed) = repository.drift(&theirs, &Request { apply: vec![id], ..Request::default() });
    assert!(code == 100 && printed.contains("edit openapi.yaml by hand"), "{printed}");
    assert_eq!(repository.read("openapi.yaml"), CONTRACT);
}
