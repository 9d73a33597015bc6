//! Each rule on the smallest contract that breaks it, and all of them on one that breaks none.

use super::*;

/// A contract that no rule has anything against.
const CLEAN: &str = r##"
openapi: 3.0.3
info: { title: T, version: 0.1.0 }
paths:
  /things/{id}:
    parameters:
      - { name: id, in: path, required: true, schema: { type: string } }
    get:
      operationId: getThing
      parameters:
        - $ref: '#/components/parameters/OnBehalfOf'
        - name: limit
          in: query
          example: 5
          schema: { type: integer, minimum: 1, default: 20 }
      responses:
        '200':
          description: A thing.
          content:
            application/json:
              schema: { $ref: '#/components/schemas/Thing' }
              examples:
                first: { value: { id: a, kind: null, next: { id: b } } }
        default: { description: A failure. }
components:
  securitySchemes:
    key: { type: http, scheme: bearer }
  parameters:
    OnBehalfOf: { name: X-On-Behalf-Of, in: header, schema: { type: string } }
  schemas:
    Thing:
      description: A thing.
      type: object
      required: [id]
      properties:
        id: { description: Its id., type: string, example: a }
        kind: { description: Its kind., type: string, nullable: true, enum: [x] }
        next: { nullable: true, allOf: [ { $ref: '#/components/schemas/Thing' } ] }
        default: { description: A property with the name of a keyword., type: string, x-note: ours }
        any: { description: Anything. }
    # xtask:begin lines
    Line:
      description: A line.
      type: object
      properties:
        part: { $ref: '#/components/schemas/Part' }
    Part: { description: A part., type: string }
    # xtask:end lines
"##;

fn problems(text: &str) -> Vec<String> {
    lint(text).unwrap().into_iter().map(|finding| finding.problem).collect()
}

#[test]
fn a_clean_contract_has_no_findings() {
    assert_eq!(problems(CLEAN), [""; 0]);
    assert_eq!(problems(&CLEAN.replace('\n', "\r\n")), [""; 0]);
}

/// Replaces a piece of the clean contract and names the one problem that this makes.
#[test]
fn each_rule_finds_what_it_is_for() {
    let schema = "openapi.yaml #/components/schemas/Thing";
    let operation = "openapi.yaml #/paths/~1things~1{id}/get";
    let property = |name: &str| format!("{schema}/properties/{name}");
    let cases = [
        ("openapi: 3.0.3", "openapi: 3.1.0", "openapi.yaml: openapi is \"3.1.0\"".to_owned()),
        ("openapi: 3.0.3", "swagger: '2.0'", "openapi.yaml: openapi is missing".to_owned()),
        ("operationId: getThing", "summary: Get", format!("{operation}: no operationId")),
        ("'200':", "'301':", format!("{operation}: no success response")),
        (
            "default: { description: A failure. }",
            "'304': { description: Not new. }",
            format!("{operation}: no error response"),
        ),
        ("name: X-On-Behalf-Of", "name: X-Other", format!("{operation}: no parameter X-On-Behalf-Of")),
        (
            "name: X-On-Behalf-Of, in: header",
            "name: X-On-Behalf-Of, in: query",
            format!("{operation}: no parameter X-On-Behalf-Of"),
        ),
        ("name: id, in: path, required: true", "name: id, in: query", format!("{operation}: no path parameter id")),
        (
            "- name: limit\n          in: query",
            "- name: limit\n          required: true\n          in: path",
            format!("{operation}: path parameter limit is not in the path"),
        ),
        (
            "schema: { $ref: '#/components/schemas/Thing' }\n              examples",
            "schema: { allOf: [ { $ref: '#/components/schemas/Thing' }, { $ref: '#/components/schemas/No' } ] }\n              x-examples",
            format!(
                "{operation}/responses/200/content/application~1json/schema/allOf/1: $ref to #/components/schemas/No, which is not there"
            ),
        ),
        (
            "    # xtask:begin lines\n",
            "    Other: { description: Unused. }\n    # xtask:begin lines\n",
            "openapi.yaml #/components/schemas/Other: no operation uses it".to_owned(),
        ),
        (
            "  parameters:\n    OnB",
            "  headers:\n    Other: { schema: { type: string } }\n  parameters:\n    OnB",
            "openapi.yaml #/components/headers/Other: no operation uses it".to_owned(),
        ),
        ("      description: A thing.\n      type", "      type", format!("{schema}: no description")),
        ("description: Its id., ", "", format!("{}: no description", property("id"))),
        ("description: Its id.", "description: ' '", format!("{}: no description", property("id"))),
        (
            "description: A property with the name of a keyword., type: string",
            "description: D., type: object, properties: { inner: { type: string } }",
            format!("{}/properties/inner: no description", property("default")),
        ),
        ("description: A part., ", "", "openapi.yaml #/components/schemas/Part: no description".to_owned()),
        (
            "x-note: ours",
            "minlength: 1",
            format!("{}: OpenAPI 3.0 has no keyword minlength for schemas", property("default")),
        ),
        (
            "part: { $ref",
            "part: { description: A., $ref",
            "openapi.yaml #/components/schemas/Line/properties/part: what stands beside a $ref is ignored".to_owned(),
        ),
        (
            "example: 5",
            "example: 0",
            format!("{operation}/parameters/1/example: not valid: 0 is less than the minimum of 1"),
        ),
        (
            "default: 20",
            "default: many",
            format!("{operation}/parameters/1/schema/default: not valid: \"many\" is not of type \"integer\""),
        ),
        ("example: a", "example: 1", format!("{}/example: not valid: 1 is not of type \"string\"", property("id"))),
        (
            "next: { id: b }",
            "next: { id: null }",
            format!("{operation}/responses/200/content/application~1json/examples/first: not valid at /next"),
        ),
        (
            "kind: null",
            "kind: y",
            format!(
                "{operation}/responses/200/content/application~1json/examples/first: not valid at /kind: \"y\" is not one of"
            ),
        ),
    ];
    for (from, to, expected) in cases {
        assert_eq!(CLEAN.matches(from).count(), 1, "{from}");
        let found = problems(&CLEAN.replace(from, to));
        assert!(
            found.first().is_some_and(|problem| problem.starts_with(&expected)),
            "{to}\nexpected {expected}\nfound {found:#?}"
        );
        assert_eq!(found.len(), 1, "{found:#?}");
    }
}

#[test]
fn an_operation_id_belongs_to_one_operation() {
    let text = CLEAN.replace("components:\n", "  /others:\n    get:\n      operationId: getThing\n      parameters: [ { $ref: '#/components/parameters/OnBehalfOf' } ]\n      responses: { '204': { description: D. }, '4XX': { description: D. } }\ncomponents:\n");
    assert_eq!(
        problems(&text),
        ["openapi.yaml #/paths/~1others/get: operationId getThing is also that of #/paths/~1things~1{id}/get"]
    );
}

#[test]
fn a_document_of_another_shape_is_one_finding() {
    let text = CLEAN.replace("operationId: getThing", "operationId: [getThing]");
    let found = problems(&text);
    assert!(
        matches!(found.as_slice(), [one] if one.starts_with("openapi.yaml is not an OpenAPI 3.0.3 document: ")),
        "{found:?}"
    );
}

#[test]
fn what_does_not_parse_is_a_failure_that_says_where() {
    let cases = [
        ("openapi: 3.0.3", "openapi: '3.0.3", "openapi.yaml does not parse: "),
        (
            "    Part:",
            "    Line: { description: Again. }\n    Part:",
            "openapi.yaml does not parse: components.schemas: duplicate entry",
        ),
        (
            "    # xtask:end lines\n",
            "",
            "openapi.yaml: line 41: `# xtask:begin lines` has no `# xtask:end lines` after it",
        ),
    ];
    for (from, to, expected) in cases {
        let failure = lint(&CLEAN.replace(from, to)).unwrap_err().0;
        assert!(failure.problem.starts_with(expected), "{failure}");
        assert!(!failure.fix.is_empty());
    }
}
