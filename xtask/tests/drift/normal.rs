//! Owns the trials of what is no drift, though it is written in another way, and of what is.

use crate::{findings, told};

/// A document with one schema that is sent and answered, under a version, with components.
fn document(version: &str, schema: &str, components: &str) -> String {
    format!(
        "openapi: {version}\npaths:\n  /v1/batches:\n    post:\n      requestBody:\n        content:\n          application/json:\n\
         \x20           schema: {schema}\n      responses:\n        '200':\n          content:\n            application/json:\n\
         \x20             schema: {schema}\ncomponents:\n  schemas:\n    Unused: {{}}\n{components}"
    )
}

const SAME: [(&str, &str, &str); 41] = [
    ("order", "{ type: object, properties: { a: {}, b: {} } }", "{ properties: { b: {}, a: {} }, type: object }"),
    ("order of values", "{ enum: [a, b] }", "{ enum: [b, a, b] }"),
    ("order of required", "{ required: [a, b] }", "{ required: [b, a] }"),
    ("a reference", "{ type: string, minLength: 3 }", "{ $ref: '#/components/schemas/Text' }"),
    ("an encoded reference", "{ type: string }", "{ $ref: '#/components/schemas/A%7Bb%7d%20c' }"),
    ("a reference to a reference", "{ type: string, minLength: 3 }", "{ $ref: '#/components/schemas/Alias' }"),
    ("allOf of one", "{ type: string, minLength: 3 }", "{ allOf: [{ $ref: '#/components/schemas/Text' }] }"),
    (
        "allOf of parts",
        "{ type: object, required: [a], properties: { a: { type: string }, b: {} } }",
        "{ allOf: [{ type: object, properties: { a: { type: string } } }, { properties: { b: {} }, required: [a] }] }",
    ),
    ("nullable", "{ type: string, nullable: true }", "{ type: [string, 'null'] }"),
    ("anyOf with null", "{ type: string, nullable: true }", "{ anyOf: [{ type: string }, { type: 'null' }] }"),
    ("oneOf with null", "{ type: string, nullable: true }", "{ oneOf: [{ type: 'null' }, { type: string }] }"),
    (
        "a nullable reference",
        "{ nullable: true, allOf: [{ $ref: '#/components/schemas/Text' }] }",
        "{ anyOf: [{ $ref: '#/components/schemas/Text' }, { type: 'null' }] }",
    ),
    ("a nullable enum", "{ type: string, nullable: true, enum: [a, null] }", "{ enum: [a, null] }"),
    (
        "an enum of null beside",
        "{ type: string, nullable: true }",
        "{ anyOf: [{ type: string }, { enum: [null], nullable: true }] }",
    ),
    ("const", "{ type: string, enum: [a] }", "{ const: a }"),
    ("oneOf constants", "{ type: string, enum: [a, b] }", "{ oneOf: [{ const: a }, { const: b }] }"),
    ("a type that an enum implies", "{ enum: [a, b] }", "{ type: string, enum: [a, b] }"),
    ("a type that fields imply", "{ properties: { a: {} } }", "{ type: object, properties: { a: {} } }"),
    (
        "exclusive bounds",
        "{ type: number, minimum: 0, exclusiveMinimum: true }",
        "{ type: number, exclusiveMinimum: 0 }",
    ),
    ("a flag that is off", "{ type: number, minimum: 0, exclusiveMinimum: false }", "{ type: number, minimum: 0 }"),
    (
        "whole exclusive bounds",
        "{ type: integer, exclusiveMinimum: 0, maximum: 9 }",
        "{ type: integer, minimum: 1, exclusiveMaximum: 10 }",
    ),
    ("numbers", "{ type: number, minimum: 1, maximum: 1000 }", "{ type: number, minimum: 1.0, maximum: 1e3 }"),
    (
        "types as alternatives",
        "{ type: [string, integer], minLength: 2 }",
        "{ anyOf: [{ type: integer }, { type: string, minLength: 2 }] }",
    ),
    (
        "oneOf or anyOf of what cannot be both",
        "{ oneOf: [{ type: string }, { type: integer }] }",
        "{ anyOf: [{ type: integer }, { type: string }] }",
    ),
    (
        "null inside an alternative",
        "{ oneOf: [{ type: string, nullable: true }, { type: integer }] }",
        "{ nullable: true, oneOf: [{ type: string }, { type: integer }] }",
    ),
    (
        "alternatives in alternatives",
        "{ anyOf: [{ type: string }, { anyOf: [{ type: integer }, { type: boolean }] }] }",
        "{ anyOf: [{ type: boolean }, { type: string }, { type: integer }] }",
    ),
    ("an alternative twice", "{ anyOf: [{ type: string }, { type: string }] }", "{ type: string }"),
    ("extensions", "{ type: string, x-a: 1 }", "{ type: string, x-b: { $ref: nowhere } }"),
    ("examples", "{ type: string, example: a }", "{ type: string, examples: [b, c] }"),
    ("titles", "{ type: string, title: A }", "{ type: string, title: B }"),
    ("defaults of keywords", "{ type: string, minLength: 0, nullable: false, deprecated: false }", "{ type: string }"),
    ("anything more", "{ type: object, additionalProperties: true }", "{ type: object, additionalProperties: {} }"),
    ("any items", "{ type: array, items: {} }", "{ type: array }"),
    ("any schema", "{}", "true"),
    ("white space in prose", "{ description: a b }", "{ description: \"a\\n  b\\n\" }"),
    ("binary", "{ type: string, format: binary }", "{ type: string, contentMediaType: application/octet-stream }"),
    ("base64", "{ type: string, format: byte }", "{ type: string, contentEncoding: base64 }"),
    ("a number that may be whole", "{ type: [number, integer] }", "{ type: number }"),
    (
        "a field that is only required",
        "{ type: object, required: [a] }",
        "{ type: object, required: [a], properties: { a: {} } }",
    ),
    ("no values", "{ type: object, properties: {}, required: [] }", "{ type: object }"),
    (
        "a mapping of a discriminator to other names",
        "{ discriminator: { propertyName: t, mapping: { a: '#/x' } }, oneOf: [{ type: string }, { type: integer }] }",
        "{ discriminator: { mapping: { a: '#/y' }, propertyName: t }, oneOf: [{ type: string }, { type: integer }] }",
    ),
];

const COMPONENTS: &str = "    Text: { type: string, minLength: 3 }\n    Alias: { $ref: '#/components/schemas/Text' }\n    'A{b} c': { type: string }\n";

#[test]
fn what_means_the_same_is_no_drift() {
    for (what, old, new) in SAME {
        for (from, to) in [("3.0.3", "3.1.0"), ("3.1.0", "3.1.1"), ("3.1.0", "3.0.0")] {
            let (old, new) = (document(from, old, COMPONENTS), document(to, new, COMPONENTS));
            assert_eq!(told(&findings(&old, &new)), [""; 0], "{what}, {from} to {to}");
            assert_eq!(told(&findings(&new, &old)), [""; 0], "{what}, back");
        }
    }
}

/// What changed, what is told of the request, and what of the answer; then the same back.
const OTHER: [(&str, &str, [&str; 4]); 28] = [
    (
        "{ type: string }",
        "{ type: integer }",
        ["breaks writing: type", "breaks reading: type", "breaks writing: type", "breaks reading: type"],
    ),
    (
        "{ type: integer }",
        "{ type: number }",
        ["new ability: type", "breaks reading: type", "breaks writing: type", "removed: type"],
    ),
    ("{ type: string }", "{}", ["new ability: type", "breaks reading: type", "breaks writing: type", "removed: type"]),
    (
        "{ type: string }",
        "{ anyOf: [{ type: string }, { type: integer }] }",
        [
            "new ability: variant-added",
            "breaks reading: variant-added",
            "breaks writing: variant-removed",
            "removed: variant-removed",
        ],
    ),
    (
        "{ type: string }",
        "{ type: string, nullable: true }",
        ["new ability: nullable", "breaks reading: nullable", "breaks writing: nullable", "removed: nullable"],
    ),
    (
        "{ enum: [a] }",
        "{ enum: [a, b] }",
        [
            "new ability: enum-added",
            "breaks reading: enum-added",
            "breaks writing: enum-removed",
            "removed: enum-removed",
        ],
    ),
    (
        "{ type: string, enum: [a] }",
        "{ type: string }",
        ["new ability: enum", "breaks reading: enum", "breaks writing: enum", "removed: enum"],
    ),
    (
        "{ type: string, maxLength: 9 }",
        "{ type: string, maxLength: 10 }",
        ["new ability: maxLength", "breaks reading: maxLength", "breaks writing: maxLength", "removed: maxLength"],
    ),
    (
        "{ type: integer, minimum: 2 }",
        "{ type: integer, minimum: 1 }",
        ["new ability: minimum", "breaks reading: minimum", "breaks writing: minimum", "removed: minimum"],
    ),
    (
        "{ type: number, exclusiveMaximum: 2 }",
        "{ type: number }",
        [
            "new ability: exclusiveMaximum",
            "breaks reading: exclusiveMaximum",
            "breaks writing: exclusiveMaximum",
            "removed: exclusiveMaximum",
        ],
    ),
    (
        "{ type: string, pattern: a }",
        "{ type: string, pattern: b }",
        ["breaks writing: pattern", "breaks reading: pattern", "breaks writing: pattern", "breaks reading: pattern"],
    ),
    (
        "{ type: string, format: uuid }",
        "{ type: string }",
        ["new ability: format", "breaks reading: format", "breaks writing: format", "breaks reading: format"],
    ),
    (
        "{ type: string, default: a }",
        "{ type: string, default: b }",
        ["breaks writing: default", "breaks reading: default", "breaks writing: default", "breaks reading: default"],
    ),
    (
        "{ type: string }",
        "{ type: string, deprecated: true }",
        ["removed: deprecated", "removed: deprecated", "new ability: deprecated", "new ability: deprecated"],
    ),
    (
        "{ type: object }",
        "{ type: object, properties: { a: { type: string } } }",
        ["new ability: field-added", "new ability: field-added", "removed: field-removed", "removed: field-removed"],
    ),
    (
        "{ type: object }",
        "{ type: object, required: [a] }",
        [
            "breaks writing: field-added",
            "breaks reading: field-added",
            "removed: field-removed",
            "removed: field-removed",
        ],
    ),
    (
        "{ properties: { a: {} } }",
        "{ properties: { a: {} }, required: [a] }",
        ["breaks writing: required", "breaks reading: required", "new ability: optional", "breaks reading: optional"],
    ),
    (
        "{ type: object, additionalProperties: false }",
        "{ type: object }",
        [
            "new ability: condition-removed",
            "breaks reading: condition-removed",
            "breaks writing: condition-added",
            "removed: condition-added",
        ],
    ),
    (
        "{ additionalProperties: { type: string } }",
        "{ additionalProperties: { type: integer } }",
        ["breaks writing: type", "breaks reading: type", "breaks writing: type", "breaks reading: type"],
    ),
    (
        "{ type: object, patternProperties: { '^a': { type: string } } }",
        "{ type: object }",
        [
            "new ability: condition-removed",
            "breaks reading: condition-removed",
            "breaks writing: condition-added",
            "removed: condition-added",
        ],
    ),
    (
        "{ items: { type: string } }",
        "{ items: { type: string, minLength: 1 } }",
        ["breaks writing: minLength", "removed: minLength", "new ability: minLength", "breaks reading: minLength"],
    ),
    (
        "{ not: { type: string } }",
        "{ not: { type: integer } }",
        ["breaks writing: type", "breaks reading: type", "breaks writing: type", "breaks reading: type"],
    ),
    (
        "{ oneOf: [{ required: [a] }, { required: [b] }] }",
        "{ anyOf: [{ required: [a] }, { required: [b] }] }",
        ["new ability: choice", "breaks reading: choice", "breaks writing: choice", "removed: choice"],
    ),
    (
        "{ discriminator: { propertyName: a } }",
        "{ discriminator: { propertyName: b } }",
        [
            "breaks writing: discriminator",
            "breaks reading: discriminator",
            "breaks writing: discriminator",
            "breaks reading: discriminator",
        ],
    ),
    (
        "{ type: object, unheard: 1 }",
        "{ type: object, unheard: 2 }",
        ["breaks writing: unheard", "breaks reading: unheard", "breaks writing: unheard", "breaks reading: unheard"],
    ),
    (
        "{ type: string, readOnly: true }",
        "{ type: string }",
        [
            "breaks writing: readOnly",
            "breaks reading: readOnly",
            "breaks writing: readOnly",
            "breaks reading: readOnly",
        ],
    ),
    (
        "{ description: Up to 16. }",
        "{ description: Up to 32. }",
        ["wording: wording", "wording: wording", "wording: wording", "wording: wording"],
    ),
    (
        "{ type: array }",
        "{ type: array, description: Of any., items: { description: Anything. } }",
        ["wording: wording", "wording: wording", "wording: wording", "wording: wording"],
    ),
];

#[test]
fn what_means_something_else_is_found_and_classed_by_its_side() {
    for (old, new, expected) in OTHER {
        for version in ["3.0.3", "3.1.0"] {
            // 3.0 and 3.1 write exclusive bounds in different ways; both are read in either.
            let (old, new) = (document(version, old, ""), document(version, new, ""));
            for (old, new, expected) in [(&old, &new, &expected[..2]), (&new, &old, &expected[2..])] {
                let found = findings(old, new);
                let side = |side: &str| {
                    let told: Vec<String> = found
                        .iter()
                        .filter(|finding| finding.places().iter().any(|place| place.body.starts_with(side)))
                        .map(|finding| format!("{}: {}", finding.class.words(), finding.aspect))
                        .collect();
                    told
                };
                for (side, expected) in [(side("request"), expected[0]), (side("response"), expected[1])] {
                    assert!(side.contains(&expected.to_owned()), "{old} to {new}: {side:?} for {expected}");
                    assert!(side.iter().all(|one| one == expected), "{old} to {new}: {side:?} for {expected}");
                }
            }
        }
    }
}

/// What a reference says beside itself counts in 3.1, and is nothing in 3.0.
#[test]
fn a_reference_may_say_more_in_3_1() {
    let document = |version: &str, says: &str| {
        format!(
            "openapi: {version}\npaths: {{ /v1/batches: {{ get: {{ responses: {{ 200: {{ $ref: '#/components/responses/A'{says} }} }} }} }} }}\n\
             components: {{ responses: {{ A: {{ description: Yes. }} }} }}\n"
        )
    };
    for (version, expected) in [("3.1.0", vec!["wording: wording 200".to_owned()]), ("3.0.3", vec![])] {
        let found = findings(&document(version, ""), &document(version, ", description: Up to 100."));
        assert_eq!(told(&found), expected, "{version}");
    }
}

/// Links and callbacks are told as they are written.
#[test]
fn links_and_callbacks_are_not_passed_over() {
    let document = |more: &str, within: &str| {
        format!(
            "openapi: 3.0.3\npaths: {{ /v1/batches: {{ get: {{ responses: {{ 200: {{ description: a {within} }} }} {more} }} }} }}\n"
        )
    };
    let plain = document("", "");
    for other in [document(", callbacks: { a: {} }", ""), document("", ", links: { a: { operationId: b } }")] {
        assert_eq!(findings(&plain, &other).len(), 1, "{other}");
    }
}
