//! Owns the trials of an upstream that has two witnesses, a document and a package: who says what, what both say, and what
//! is recorded of it. Each in a small repository in a folder of its own.

use std::fs;

use serde_json::Value;
use xtask::drift::Request;

use crate::{
    drift,
    packages::{Package, python},
};

const DOCUMENT: &str = "openapi: 3.1.0
servers: [{ url: 'https://example.org/v1' }]
security: [{ bearer: [] }]
paths:
  /batches/{batch_id}:
    get:
      operationId: getBatch
      parameters: [{ name: batch_id, in: path, required: true, schema: { type: string } }]
      responses:
        '200': { description: The batch., content: { application/json: { schema: { $ref: '#/components/schemas/Batch' } } } }
components:
  securitySchemes: { bearer: { type: http, scheme: bearer } }
  schemas:
    Batch:
      type: object
      required: [id, created_at, object, status, phase]
      properties:
        id: { type: string, maxLength: 99 }
        created_at: { type: integer, minimum: 0 }
        object: { const: batch }
        status: { enum: [running, done] }
        phase: { anyOf: [{ type: string }, { enum: [early, late] }] }
        errors: { type: object, properties: { data: { type: array, items: { type: string } } } }
        ended_at: { type: integer }
        extra: {}
        metadata: { type: object, additionalProperties: { type: string } }
";

const UPSTREAM: &str = "upstreams:
  one:
    document: theirs.yaml
    package: ./package
    prefix: /v1
    decided:
      # xtask:begin decided one
      # xtask:end decided one
    baseline:
      # xtask:begin baseline one
      # xtask:end baseline one
    package-baseline:
      # xtask:begin package-baseline one
      # xtask:end package-baseline one
  two:
    package: ./package
    prefix: /v1
    decided:
      # xtask:begin decided two
      # xtask:end decided two
    package-baseline:
      # xtask:begin package-baseline two
      # xtask:end package-baseline two
";

struct Repository {
    folder: tempfile::TempDir,
}

impl Repository {
    /// With both baselines.
    fn new() -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap() };
        repository.write("openapi.yaml", DOCUMENT);
        repository.write("upstream.yaml", UPSTREAM);
        repository.says(DOCUMENT, Package::new("stainless"));
        let (code, printed) = repository.run(Request { baseline: true, ..one() });
        assert_eq!(code, 0, "{printed}");
        assert!(
            printed.contains("places of the document\n") && printed.contains("places of the package\n"),
            "{printed}"
        );
        assert_eq!(repository.run(one()).0, 0);
        repository
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// What both say from now on.
    fn says(&self, document: &str, package: Package) {
        self.write("theirs.yaml", document);
        let path = self.folder.path().join("package");
        let _ = fs::remove_dir_all(&path);
        fs::rename(package.path(), path).unwrap();
    }

    fn run(&self, request: Request) -> (u8, String) {
        drift(self.folder.path(), &request)
    }

    /// Each finding as its id, state and witnesses, and the whole report.
    fn findings(&self, request: Request) -> (Vec<String>, Value) {
        let (_, printed) = self.run(Request { json: true, ..request });
        let report: Value = serde_json::from_str(&printed).unwrap();
        let one = |finding: &Value| {
            let id = finding["id"].as_str().unwrap();
            let name = id.rsplit_once('.').map_or(id, |(name, _)| name);
            let words: Vec<&str> = finding["witnesses"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            format!("{name} {} {}", finding["state"].as_str().unwrap(), words.join("+"))
        };
        (report["findings"].as_array().into_iter().flatten().map(one).collect(), report)
    }

    fn accept(&self, request: Request) -> String {
        let (_, report) = self.findings(request.clone());
        let ids = report["findings"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned());
        let mut ids: Vec<String> = ids.collect();
        ids.dedup();
        let request = Request { accept: ids, reason: Some("Because.".to_owned()), ..request };
        let (code, printed) = self.run(request);
        assert_eq!(code, 0, "{printed}");
        fs::read_to_string(self.folder.path().join("upstream.yaml")).unwrap()
    }
}

fn one() -> Request {
    Request { sources: vec!["one".to_owned()], ..Request::default() }
}

const PACKAGE: &str = "small/types/batch.py";

#[test]
fn what_both_say_is_said_once_and_what_one_says_names_it() {
    if !python() {
        return;
    }
    let repository = Repository::new();
    let more = DOCUMENT
        .replace("        extra: {}\n", "        extra: {}\n        more: { type: [string, 'null'], maxLength: 9 }\n");
    let package =
        Package::new("stainless").with(PACKAGE, "    id: str\n", "    id: str\n\n    more: Optional[str] = None\n");
    repository.says(&more, package);
    let (found, _) = repository.findings(one());
    assert_eq!(found, ["field-added.more open document+package"]);
    let (code, printed) = repository.run(one());
    assert!(code == 4 && printed.contains("  says: the document and the package\n"), "{printed}");

    // The document alone, then the package alone.
    repository.says(&more, Package::new("stainless"));
    assert_eq!(repository.findings(one()).0, ["field-added.more open document"]);
    let package =
        Package::new("stainless").with(PACKAGE, "    id: str\n", "    id: str\n\n    more: Optional[str] = None\n");
    repository.says(DOCUMENT, package);
    assert_eq!(repository.findings(one()).0, ["field-added.more open package"]);
    // Both, and otherwise.
    let package = Package::new("stainless").with(PACKAGE, "    id: str\n", "    id: str\n\n    more: int\n");
    repository.says(&more, package);
    assert_eq!(repository.findings(one()).0, ["field-added.more open package", "field-added.more open document"]);
}

#[test]
fn a_record_says_by_whom_it_is_when_it_is_not_by_the_first() {
    if !python() {
        return;
    }
    let repository = Repository::new();
    let other = || Package::new("stainless").with(PACKAGE, "created_at: int", "created_at: str");
    repository.says(DOCUMENT, other());
    let text = repository.accept(one());
    assert!(text.contains("by: package, at: "), "{text}");
    assert_eq!(repository.findings(one()).0, [""; 0]);
    // The document by itself is not asked for what the package says, nor the other way round.
    for from in ["theirs.yaml", "package"] {
        let from = Some(repository.folder.path().join(from).display().to_string());
        assert_eq!(repository.findings(Request { from, ..one() }).0, [""; 0]);
    }
    // The document says so too, in another way: a record of its own, and the package's stays.
    let text = DOCUMENT.replace("created_at: { type: integer, minimum: 0 }", "created_at: { type: boolean }");
    repository.says(&text, other());
    assert_eq!(repository.findings(one()).0, ["type.created_at open document"]);
    let text = repository.accept(one());
    assert_eq!(text.matches("type.created_at.").count(), 2, "{text}");
    assert_eq!(repository.findings(one()).0, [""; 0]);
    // Both agree with us again: both records are of no use.
    repository.says(DOCUMENT, Package::new("stainless"));
    assert_eq!(repository.findings(one()).0, ["type.created_at vanished document", "type.created_at vanished package"]);

    // Both say the same: one record, which holds while either of them says so.
    let repository = Repository::new();
    let text = DOCUMENT.replace("created_at: { type: integer, minimum: 0 }", "created_at: { type: string }");
    repository.says(&text, other());
    assert_eq!(repository.findings(one()).0, ["type.created_at open document+package"]);
    let text = repository.accept(one());
    assert!(text.matches("type.created_at.").count() == 1 && !text.contains("by: "), "{text}");
    assert_eq!(repository.findings(one()).0, [""; 0]);
    repository.says(DOCUMENT, other());
    assert_eq!(repository.findings(one()).0, [""; 0]);
    repository.says(DOCUMENT, Package::new("stainless"));
    assert_eq!(repository.findings(one()).0, ["type.created_at vanished document"]);
}

#[test]
fn a_witness_that_is_gone_keeps_the_other_from_nothing() {
    if !python() {
        return;
    }
    let repository = Repository::new();
    repository.says(DOCUMENT, Package::new("stainless").with(PACKAGE, "created_at: int", "created_at: str"));
    fs::remove_file(repository.folder.path().join("theirs.yaml")).unwrap();
    let (found, report) = repository.findings(one());
    assert_eq!(found, ["type.created_at open package"]);
    assert_eq!((&report["exit"], report["not_compared"].as_array().unwrap().len()), (&100.into(), 1), "{report}");
    let (code, printed) = repository.run(one());
    assert!(code == 100 && printed.contains("not compared: the document of one"), "{printed}");
    let before = fs::read_to_string(repository.folder.path().join("upstream.yaml")).unwrap();
    assert_eq!(repository.run(Request { baseline: true, ..one() }).0, 100);
    assert_eq!(fs::read_to_string(repository.folder.path().join("upstream.yaml")).unwrap(), before);
}

#[test]
fn every_upstream_is_compared_and_summed_up() {
    if !python() {
        return;
    }
    let repository = Repository::new();
    let all = |json: bool| Request { all: true, json, ..Request::default() };
    // The other one has no baseline yet, and no difference.
    let (code, printed) = repository.run(all(false));
    assert_eq!(code, 0, "{printed}");
    assert!(printed.contains("== one\n") && printed.contains("== two\n"), "{printed}");
    assert!(printed.contains("== summary\none: exit 0; findings: none"), "{printed}");
    repository.says(DOCUMENT, Package::new("stainless").with(PACKAGE, "created_at: int", "created_at: str"));
    let (code, printed) = repository.run(all(true));
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, &report["exit"]), (4, &4.into()), "{printed}");
    assert_eq!(report["upstreams"]["two"]["findings"][0]["witnesses"][0], "package");
    // One that cannot be compared at all keeps nothing from the others.
    fs::remove_dir_all(repository.folder.path().join("package")).unwrap();
    let (code, printed) = repository.run(all(true));
    let report: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(code, 100, "{printed}");
    assert!(report["upstreams"]["two"]["error"]["problem"].is_string(), "{printed}");
    assert!(report["upstreams"]["one"]["not_compared"][0]["problem"].is_string(), "{printed}");
    let (code, printed) = repository.run(all(false));
    assert!(code == 100 && printed.contains("two: exit 100; "), "{printed}");
}

/// What only the package says is brought into openapi.yaml as what a document says.
#[test]
fn what_a_package_says_is_applied() {
    if !python() {
        return;
    }
    let repository = Repository::new();
    let package = Package::new("stainless")
        .with(
            PACKAGE,
            "    id: str\n",
            "    id: str\n\n    more: Optional[str] = None\n    \"\"\"What more. There is.\"\"\"\n",
        )
        .with(PACKAGE, "\"running\", \"done\"", "\"running\", \"done\", \"lost\"");
    repository.says(DOCUMENT, package);
    let (_, report) = repository.findings(Request { sources: vec!["two".to_owned()], ..Request::default() });
    let ids: Vec<String> =
        report["findings"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 2, "{report}");
    // The rest of the repository is not there, so that codegen cannot end well; the edit is made before it.
    let _ = repository.run(Request { sources: vec!["two".to_owned()], apply: ids, ..Request::default() });
    let text = fs::read_to_string(repository.folder.path().join("openapi.yaml")).unwrap();
    assert!(text.contains("enum: [running, done, lost]"), "{text}");
    assert!(
        text.contains(
            "        more:\n          description: What more.\n          type: string\n          nullable: true\n"
        ),
        "{text}"
    );
}
