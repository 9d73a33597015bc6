//! Owns the trials of what is decided and kept, records and the baseline, each in a small repository in a folder of its
//! own.

use std::{fs, path::Path};

use serde_json::{Value, json};
use xtask::drift::{Request, fetch::Limits};

use crate::drift;

/// A contract in the manner of ours: comments, both styles, references.
pub(super) const CONTRACT: &str = "# A comment at the top.
openapi: 3.0.3
servers: [{ url: /api }] # ours
paths:
  /batches:
    post:
      operationId: createBatch
      parameters:
        # A comment in a list.
        - { name: X-A, in: header, schema: { type: string } }
      requestBody:
        required: true
        content:
          application/json:
            schema:
              $ref: '#/components/schemas/Create'
      responses:
        '200':
          description: Ours.
          content:
            application/json:
              schema:
                allOf:
                  - $ref: '#/components/schemas/Batch'
components:
  schemas:
    Create:
      description: Ours.
      type: object
      required: [endpoint]
      properties:
        endpoint:
          # MKA1 and others.
          description: Ours.
          type: string
          enum:
            - a # the first
            - b # the last

        window: { description: Ours., type: string, enum: [24h] } # in brackets
        count:
          description: Ours.
          type: integer
          minimum: 1 # one
          # no maximum
        shared:
          $ref: '#/components/schemas/Shared'
        # the end of the fields
    # Between two schemas.
    Batch:
      description: Ours.
      type: object
      properties:
        id: { description: Ours., type: string }
        shared:
          $ref: '#/components/schemas/Shared'
    Shared:
      description: Ours.
      type: integer
      maximum: 9
    # xtask:begin lines
    # xtask:end lines
# The end, without a newline";

const UPSTREAM: &str = "# Comments stay.
upstreams:
  other:
    # And these.
    document: nowhere.yaml
    prefix: /v1
    decided:
      # xtask:begin decided other
      # A comment between the markers.
      # xtask:end decided other
    baseline: # and this
      # xtask:begin baseline other
      # xtask:end baseline other
  # The end.
";

/// What upstream says: the same as the contract, in its own words and places.
pub(super) const THEIRS: &str = "openapi: 3.1.0
servers: [{ url: 'https://example.org/v1' }]
paths:
  /batches:
    post:
      description: Up to 100 at once.
      parameters:
        - { name: X-A, in: header, schema: { type: string } }
      requestBody:
        required: true
        content:
          application/json:
            schema:
              type: object
              required: [endpoint]
              properties:
                endpoint: { enum: [a, b] }
                window: { const: 24h }
                count: { type: integer, minimum: 1 }
                shared: { type: integer, maximum: 9 }
      responses:
        '200':
          description: Theirs.
          content:
            application/json:
              schema: { type: object, properties: { id: { type: string }, shared: { type: integer, maximum: 9 } } }
";

pub(super) struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    /// With a baseline of [`THEIRS`].
    pub(super) fn new() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(repository.root().join("openapi.yaml"), CONTRACT).unwrap();
        fs::write(repository.root().join("upstream.yaml"), UPSTREAM).unwrap();
        let (code, printed) = repository.drift(THEIRS, &Request { baseline: true, ..Request::default() });
        assert_eq!((code, printed.as_str()), (0, "wrote: upstream.yaml baseline other, 12 places of the document\n"));
        repository
    }

    pub(super) fn root(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }

    pub(super) fn drift(&self, theirs: &str, request: &Request) -> (u8, String) {
        let path = self.root().join("theirs.yaml");
        fs::write(&path, theirs).unwrap();
        let Request { accept, reason, baseline, apply, json, .. } = request;
        let request = Request {
            sources: vec!["other".to_owned()],
            from: path.to_str().map(str::to_owned),
            accept: accept.clone(),
            reason: reason.clone(),
            baseline: *baseline,
            apply: apply.clone(),
            json: *json,
            all: false,
            limits: Limits::default(),
        };
        drift(self.root(), &request)
    }

    /// The findings, each with its id, kind and state.
    fn findings(&self, theirs: &str) -> Vec<(String, String, String)> {
        let (code, printed) = self.drift(theirs, &Request { json: true, ..Request::default() });
        let report: Value = serde_json::from_str(&printed).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let all = report["findings"].as_array().unwrap();
        let all: Vec<_> = all.iter().map(|one| (text(&one["id"]), text(&one["kind"]), text(&one["state"]))).collect();
        assert_eq!(code, if all.is_empty() { 0 } else { 4 }, "{printed}");
        all
    }

    pub(super) fn id(&self, theirs: &str, kind: &str) -> String {
        let found = self.findings(theirs);
        found.iter().find(|(_, other, _)| other == kind).unwrap_or_else(|| panic!("{kind} in {found:?}")).0.clone()
    }

    fn accept(&self, theirs: &str, ids: &[String]) {
        let request = Request {
            accept: ids.to_vec(),
            reason: Some("For a \"reason\": 'so' # so".to_owned()),
            ..Request::default()
        };
        let (code, printed) = self.drift(theirs, &request);
        assert_eq!(code, 0, "{printed}");
    }
}

/// What is left of a text without what is between markers.
fn outside(text: &str) -> String {
    let mut inside = false;
    let keep = |line: &&str| {
        let end = line.contains("xtask:end");
        let keep = !inside || end || line.trim().starts_with('#');
        inside = (inside || line.contains("xtask:begin")) && !end;
        keep
    };
    text.split_inclusive('\n').filter(keep).collect()
}

#[test]
fn nothing_is_found_in_what_is_known() {
    let repository = Repository::new();
    assert_eq!(repository.findings(THEIRS), []);
    assert_eq!(outside(&repository.read("upstream.yaml")), UPSTREAM, "comments and order stay");
    let before = repository.read("upstream.yaml");
    assert_eq!(repository.drift(THEIRS, &Request { baseline: true, ..Request::default() }).0, 0);
    assert_eq!(repository.read("upstream.yaml"), before, "the same baseline is the same bytes");
}

#[test]
fn a_difference_is_open_recorded_changed_and_gone() {
    let repository = Repository::new();
    let with = |bound: &str| {
        THEIRS.replace(
            "count: { type: integer, minimum: 1 }",
            &format!("count: {{ type: integer, minimum: 1, maximum: {bound} }}"),
        )
    };
    let nine = with("9");
    let id = repository.id(&nine, "maximum");
    assert_eq!(repository.findings(&nine), [(id.clone(), "maximum".to_owned(), "open".to_owned())]);

    // Not without a decision.
    let before = repository.read("upstream.yaml");
    let (code, printed) = repository.drift(&nine, &Request { baseline: true, ..Request::default() });
    assert!(code == 4 && printed.contains("the baseline is not taken"), "{printed}");
    assert_eq!(repository.read("upstream.yaml"), before);

    repository.accept(&nine, std::slice::from_ref(&id));
    let recorded = repository.read("upstream.yaml");
    assert_eq!(outside(&recorded), UPSTREAM, "comments and order stay");
    assert!(recorded.contains("- reason: \"For a \\\"reason\\\": 'so' # so\"\n"), "{recorded}");
    assert_eq!(repository.findings(&nine), []);

    // It changes again: reported, with what it was; recorded anew in the place of the old record.
    let eight = with("8");
    assert_eq!(repository.findings(&eight), [(id.clone(), "maximum".to_owned(), "changed".to_owned())]);
    let (_, printed) = repository.drift(&eight, &Request::default());
    assert!(printed.contains("decided when: absent with us, 9 at other"), "{printed}");
    repository.accept(&eight, std::slice::from_ref(&id));
    assert_eq!(repository.read("upstream.yaml").matches(&id).count(), 1);
    assert_eq!(repository.read("upstream.yaml").matches("- reason").count(), 1);

    // It vanishes: reported until its record goes.
    assert_eq!(repository.findings(THEIRS), [(id.clone(), "maximum".to_owned(), "vanished".to_owned())]);
    let (code, printed) =
        repository.drift(THEIRS, &Request { accept: vec![id], reason: Some("x".to_owned()), ..Request::default() });
    assert!(code == 100 && printed.contains("take its record out of upstream.yaml"), "{printed}");
}

#[test]
fn prose_is_compared_with_the_baseline_and_then_taken_into_it() {
    let repository = Repository::new();
    let theirs = THEIRS.replace("Up to 100 at once.", "Up to 200 at once.");
    let (code, printed) = repository.drift(&theirs, &Request::default());
    assert!(
        code == 4 && printed.contains("the text about createBatch changed, and its numbers from 100 to 200"),
        "{printed}"
    );
    let id = repository.id(&theirs, "wording");
    assert!(printed.contains(&format!("cargo xtask drift other --accept {id} --reason ")), "{printed}");
    let (_, printed) = repository.drift(&theirs, &Request { json: true, ..Request::default() });
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(report["findings"][0]["numbers"], json!({ "old": ["100"], "new": ["200"] }));
    assert_eq!(report["findings"][0]["class"], "wording");

    assert_eq!(repository.drift(&theirs, &Request { baseline: true, ..Request::default() }).0, 4, "it is open");
    repository.accept(&theirs, std::slice::from_ref(&id));
    assert_eq!(repository.findings(&theirs), []);
    let (code, printed) = repository.drift(&theirs, &Request { baseline: true, ..Request::default() });
    assert!(code == 0 && printed.contains(&format!("dropped: {id}, as the baseline has it now")), "{printed}");
    assert_eq!(repository.findings(&theirs), []);
    assert_eq!(outside(&repository.read("upstream.yaml")), UPSTREAM);
    assert_eq!(repository.findings(THEIRS).len(), 1, "and back is a change as well");
}

#[test]
fn another_prefix_is_told_and_the_rest_is_compared() {
    let repository = Repository::new();
    let theirs = THEIRS.replace("example.org/v1", "example.org/v2").replace("minimum: 1 }", "minimum: 2 }");
    let kinds: Vec<String> = repository.findings(&theirs).into_iter().map(|(_, kind, _)| kind).collect();
    assert_eq!(kinds, ["minimum", "prefix"]);
    // The same path, parted in another way between the server and the path.
    let parted = THEIRS.replace("example.org/v1", "example.org").replace("  /batches:", "  /v1/batches:");
    assert_eq!(repository.findings(&parted), []);
}

#[test]
fn a_change_that_the_contract_has_already_only_waits_for_the_baseline() {
    let repository = Repository::new();
    let contract = CONTRACT.replace("minimum: 1 # one", "minimum: 2 # one");
    fs::write(repository.root().join("openapi.yaml"), contract).unwrap();
    let theirs = THEIRS.replace("minimum: 1 }", "minimum: 2 }");
    let found = repository.findings(&theirs);
    assert_eq!(
        found.iter().map(|(_, kind, state)| (kind.as_str(), state.as_str())).collect::<Vec<_>>(),
        [("minimum", "settled")]
    );
    assert_eq!(repository.drift(&theirs, &Request { baseline: true, ..Request::default() }).0, 0);
    assert_eq!(repository.findings(&theirs), []);
}

#[test]
fn wrong_names_and_broken_files_are_told() {
    let repository = Repository::new();
    let theirs = THEIRS.replace("minimum: 1 }", "minimum: 2 }");
    let (code, printed) = repository.drift(
        &theirs,
        &Request { accept: vec!["no.such".to_owned()], reason: Some("x".to_owned()), ..Request::default() },
    );
    assert!(code == 100 && printed.contains("no finding has the id no.such"), "{printed}");
    let id = repository.id(&theirs, "minimum");
    let (code, printed) = repository
        .drift(&theirs, &Request { accept: vec![id.clone()], reason: Some(" ".to_owned()), ..Request::default() });
    assert!(code == 100 && printed.contains("no reason is given"), "{printed}");
    let (code, printed) =
        drift(repository.root(), &Request { sources: vec!["nobody".to_owned()], ..Request::default() });
    assert!(code == 100 && printed.contains("has no upstream nobody\nfix: name one of: other"), "{printed}");

    let good = repository.read("upstream.yaml");
    let accept = Request { accept: vec![id], reason: Some("x".to_owned()), ..Request::default() };
    for (from, to, expected) in [
        ("# xtask:end decided other", "", "is inside another fragment"),
        ("prefix: /v1", "prefx: /v1", "cannot be used"),
        ("prefix: /v1", "prefix: /v1\n    prefix: /v2", "cannot be used"),
        ("upstreams:", "upstreams: [", "cannot be used"),
        ("\"parameter header x-a\"", "\"parameter\"", "a place that makes no sense"),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(repository.root().join("upstream.yaml"), good.replacen(from, to, 1)).unwrap();
        let (code, printed) = repository.drift(&theirs, &accept);
        assert!(code == 100 && printed.contains(expected), "{expected}: {printed}");
        assert_eq!(repository.read("upstream.yaml"), good.replacen(from, to, 1), "nothing is written");
    }
    fs::remove_file(repository.root().join("upstream.yaml")).unwrap();
    let (code, printed) = repository.drift(&theirs, &accept);
    assert!(code == 100 && printed.contains("there is no upstream.yaml"), "{printed}");
}
