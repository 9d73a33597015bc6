//! Owns MKA1's own history, row by row as docs/facts.md, 7, lists it, on a document written for this test.

use crate::{findings, told};

/// What MKA1's document may have said of these operations before all the rows; each row edits it.
const BEFORE: &str = r#"
openapi: 3.1.0
info: { title: MKA1, version: 1.1.0 }
servers: [{ url: 'https://apigw.mka1.com' }]
security: [{ key: [] }]
paths:
  /api/v1/llm/batches:
    post:
      operationId: createBatch
      description: Creates a batch.
      x-codeSamples: [{ lang: python, source: import mka1 }]
      parameters: []
      requestBody:
        required: true
        content:
          application/json:
            schema: { $ref: '#/components/schemas/CreateBatchRequest' }
      responses:
        '200': { description: The batch., content: { application/json: { schema: { $ref: '#/components/schemas/Batch' } } } }
  /api/v1/llm/batches/{batch_id}:
    get:
      operationId: getBatch
      parameters: [{ name: batch_id, in: path, required: true, schema: { type: string } }]
      responses:
        '200': { description: The batch., content: { application/json: { schema: { $ref: '#/components/schemas/Batch' } } } }
  /api/v1/llm/files:
    get:
      operationId: listFiles
      parameters:
        - { name: limit, in: query, schema: { type: integer, minimum: 1, maximum: 10000, default: 10000 } }
      responses:
        '200':
          description: A page.
          content:
            application/json:
              schema: { type: object, required: [data], properties: { data: { type: array, items: { $ref: '#/components/schemas/File' } } } }
    post:
      operationId: uploadFile
      description: Uploads a file.
      requestBody:
        required: true
        content:
          multipart/form-data:
            schema:
              type: object
              required: [file, purpose]
              properties:
                file: { type: string, format: binary }
                purpose: { type: string, enum: [assistants, batch, fine-tune, vision, user_data] }
      responses:
        '200': { description: The file., content: { application/json: { schema: { $ref: '#/components/schemas/File' } } } }
  /api/v1/llm/files/{file_id}:
    delete:
      operationId: deleteFile
      description: Deletes a file.
      parameters: [{ name: file_id, in: path, required: true, schema: { type: string } }]
      responses:
        '200': { description: Deleted. }
components:
  securitySchemes: { key: { type: http, scheme: bearer } }
  schemas:
    CreateBatchRequest:
      type: object
      required: [input_file_id, endpoint, completion_window]
      properties:
        input_file_id: { type: string }
        endpoint: { type: string, enum: [/v1/chat/completions, /v1/embeddings, /v1/images/generations] }
        completion_window: { const: 24h }
        # request
    Batch:
      type: object
      required: [id, status]
      properties:
        id: { type: string }
        status: { type: string }
        # batch
    File:
      type: object
      required: [id, bytes]
      properties:
        id: { type: string }
        bytes: { type: integer }
        # file
"#;

/// What a row says; what is put in the place of what; and what is to be found.
type Row = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

const ROWS: [Row; 10] = [
    ("the module was renamed, and the snippets with it", &[("import mka1", "import meetkai_mka1")], &[]),
    (
        "endpoint value /v1/responses",
        &[("[/v1/chat/completions,", "[/v1/chat/completions, /v1/responses,")],
        &["new ability: enum-added endpoint (\"/v1/responses\")"],
    ),
    (
        "text batches need write:responses",
        &[("Creates a batch.", "Creates a batch. Text batches need the permission write:responses.")],
        &["wording: wording createBatch"],
    ),
    (
        "upload: a file name that is not blank, and not blob",
        &[("Uploads a file.", "Uploads a file. The name must not be blank, and `blob` counts as missing.")],
        &["wording: wording uploadFile"],
    ),
    (
        "max_concurrency in the request (optional) and in Batch (required)",
        &[
            ("        # request\n", "        max_concurrency: { type: integer }\n"),
            ("        # batch\n", "        max_concurrency: { type: integer }\n"),
            ("required: [id, status]", "required: [id, status, max_concurrency]"),
        ],
        &["breaks reading: field-added max_concurrency", "new ability: field-added max_concurrency"],
    ),
    (
        "delete file: 400 feature_unavailable and 409 described",
        &[(
            "Deletes a file.",
            "Deletes a file. 400 feature_unavailable when search is down, 409 when it was attached.",
        )],
        &["wording: wording deleteFile"],
    ),
    (
        "sha256 on File, and as a filter of list files",
        &[
            ("        # file\n", "        sha256: { type: [string, 'null'] }\n"),
            (
                "default: 10000 } }\n",
                "default: 10000 } }\n        - { name: sha256, in: query, schema: { type: string } }\n",
            ),
        ],
        &["new ability: parameter-added query sha256", "new ability: field-added sha256"],
    ),
    (
        "X-On-Behalf-Of shown as a header parameter",
        &[("parameters: []", "parameters: [{ name: X-On-Behalf-Of, in: header, schema: { type: string } }]")],
        &["new ability: parameter-added header x-on-behalf-of"],
    ),
    (
        "evals in the upload purposes",
        &[("user_data]", "user_data, evals]")],
        &["new ability: enum-added purpose (\"evals\")"],
    ),
    ("every other model unchanged", &[], &[]),
];

#[test]
fn each_row_is_found_and_classed() {
    for (row, edits, expected) in ROWS {
        let mut after = BEFORE.to_owned();
        for (from, to) in edits {
            assert_eq!(after.matches(from).count(), 1, "{row}: {from}");
            after = after.replace(from, to);
        }
        assert_eq!(told(&findings(BEFORE, &after)), expected, "{row}");
    }
}

#[test]
fn the_numbers_of_a_text_are_told() {
    let after = BEFORE.replace("Deletes a file.", "Deletes a file. 400 when search is down, 409 when it was attached.");
    let found = findings(BEFORE, &after);
    assert_eq!(found[0].numbers().unwrap(), (vec![], vec!["400".to_owned(), "409".to_owned()]));
}

/// The version never moved while all of this did.
#[test]
fn the_version_of_the_document_means_nothing() {
    assert_eq!(told(&findings(BEFORE, &BEFORE.replace("1.1.0", "2.0.0"))), [""; 0]);
}
