//! Owns the trials of what a Python package says, on two small ones in tests/packages: each change of what its code means
//! is found and classed, no other change is, and what the reader does not know is named.

mod cases;

use std::{fs, path::Path, process::Command, sync::LazyLock};

use xtask::{
    drift::{
        compare::{Options, compare},
        contract,
        document::Document,
        fetch::Limits,
        finding::{Finding, group},
        judge::moved,
        project::{Mapping, Ours, Projection, project},
    },
    report::Failure,
};

use cases::{Case, SAME, SPEAKEASY, STAINLESS, UNKNOWN};

use crate::{root, told};

/// Whether there is a Python to read packages with. Where CI runs, there must be.
pub(super) fn python() -> bool {
    static THERE: LazyLock<bool> = LazyLock::new(|| {
        let ran = Command::new("python3").args(["-c", "import sys; sys.exit(sys.version_info < (3, 11))"]).status();
        let there = ran.is_ok_and(|status| status.success());
        assert!(there || std::env::var_os("CI").is_none(), "CI has python3, 3.11 or newer");
        if !there {
            eprintln!("skipped: python3, 3.11 or newer, is not installed");
        }
        there
    });
    *THERE
}

/// One of the small packages in a folder of its own.
pub(super) struct Package {
    folder: tempfile::TempDir,
}

impl Package {
    pub(super) fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages").join(name), folder.path());
        Self { folder }
    }

    pub(super) fn path(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    /// With one thing in the place of another in a file; the other must be there.
    pub(super) fn with(self, file: &str, from: &str, to: &str) -> Self {
        let path = self.folder.path().join(file);
        let old = fs::read_to_string(&path).unwrap();
        assert!(old.contains(from), "{file} has no {from}");
        fs::write(path, old.replacen(from, to, 1)).unwrap();
        self
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What a wheel or a folder comes to.
pub(super) fn read(path: &str) -> Result<Projection, Failure> {
    static OURS: LazyLock<Vec<Ours>> = LazyLock::new(|| contract(&root()).unwrap().1);
    project(&Document::load(path, &OURS, Limits::default())?, &OURS, &Mapping::default())
}

pub(super) fn between(old: &Projection, new: &Projection) -> Vec<Finding> {
    let mut changes = compare(&old.model, &new.model, &Options { wording: true, ..Options::default() });
    changes.extend(moved(new, &old.prefix));
    group(changes)
}

fn trials(name: &str, top: &str, cases: &[Case]) {
    if !python() {
        return;
    }
    let original = Package::new(name);
    let known = read(original.path()).unwrap();
    assert!(known.uncompared.is_empty(), "{:?}", known.uncompared);
    assert_eq!(told(&between(&known, &known)), [""; 0]);
    let mut wrong = Vec::new();
    for (file, from, to, expected) in cases {
        let changed = Package::new(name).with(&format!("{top}/{file}"), from, to);
        let after = read(changed.path()).unwrap();
        let mut found = told(&between(&known, &after));
        found.sort();
        found.dedup();
        let mut expected = expected.iter().map(|&one| one.to_owned()).collect::<Vec<_>>();
        expected.sort();
        let fits = if expected == ["*"] { !found.is_empty() } else { found == expected };
        if !fits || !after.uncompared.is_empty() {
            wrong.push(format!("{file}: {to}\n  found {found:?}\n  expected {expected:?}\n  {:?}", after.uncompared));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_change_of_what_a_speakeasy_package_means_is_found_and_classed() {
    trials("speakeasy", "small_sdk", &SPEAKEASY);
}

#[test]
fn each_change_of_what_a_stainless_package_means_is_found_and_classed() {
    trials("stainless", "small", &STAINLESS);
}

#[test]
fn what_means_the_same_in_a_package_is_no_drift() {
    if !python() {
        return;
    }
    for name in ["speakeasy", "stainless"] {
        let known = read(Package::new(name).path()).unwrap();
        for (_, file, from, to) in SAME.iter().filter(|case| case.0 == name) {
            let other = read(Package::new(name).with(file, from, to).path()).unwrap();
            assert!(other.uncompared.is_empty(), "{file}: {to}: {:?}", other.uncompared);
            assert_eq!(told(&between(&known, &other)), [""; 0], "{file}: {to}");
        }
    }
}

/// One construct keeps only its own place from being compared.
#[test]
fn what_is_not_known_is_named_by_file_and_construct_and_nothing_is_guessed() {
    if !python() {
        return;
    }
    for (name, file, from, to, expected) in UNKNOWN {
        let (known, other) = (Package::new(name), Package::new(name).with(file, from, to));
        let sources = vec![known.path().to_owned(), other.path().to_owned()];
        let (code, printed) = crate::drift(&root(), &xtask::drift::Request { sources, ..Default::default() });
        assert_eq!(code, 100, "{to}: {printed}");
        assert!(printed.contains(expected), "{expected}: {printed}");
        assert!(printed.contains("not everything could be compared"), "{printed}");
        assert!(printed.contains("findings: none"), "nothing is guessed: {to}: {printed}");
    }
    // All else is compared.
    let known = Package::new("speakeasy");
    let (_, from, to) = ("", "    total: int", "    total: Strange");
    let other = Package::new("speakeasy").with("small_sdk/models/batch.py", from, to).with(
        "small_sdk/models/file.py",
        "    id: str",
        "    id: int",
    );
    let sources = vec![known.path().to_owned(), other.path().to_owned()];
    let (code, printed) = crate::drift(&root(), &xtask::drift::Request { sources, ..Default::default() });
    assert!(code == 100 && printed.contains("breaks reading: type.id."), "{printed}");
}

/// A bound that a document has and a package cannot say is no difference; one that the package says is.
#[test]
fn what_a_package_never_says_is_not_reported_as_removed() {
    if !python() {
        return;
    }
    let package = read(Package::new("stainless").path()).unwrap();
    let document = |fields: &str, more: &str| {
        let text = format!(
            "openapi: 3.1.0\nservers: [{{ url: 'https://example.org/v1' }}]\n\
             security: [{{ bearer: [] }}]\n\
             paths:\n  /batches/{{id}}:\n    get:\n      description: Retrieves a batch.\n      \
             parameters: [{{ name: id, in: path, required: true, schema: {{ type: string, minLength: 1 }} }}]\n      \
             responses:\n        '200': {{ description: The batch., headers: {{ X-A: {{ schema: {{ type: string }} }} }}, \
             content: {{ application/json: {{ schema: {{ $ref: '#/components/schemas/Batch' }} }} }} }}\n        \
             '404': {{ description: No. }}\n\
             components:\n  securitySchemes: {{ bearer: {{ type: http, scheme: bearer }} }}\n  schemas:\n    Batch:\n      \
             type: object\n      additionalProperties: false\n      \
             required: [id, created_at, object, status, phase]\n      properties:\n        id: {{ type: string, maxLength: 99 }}\n        \
             created_at: {{ type: integer, format: int64, minimum: 0, description: When it was created. }}\n        \
             object: {{ const: batch }}\n        status: {{ enum: [running, done] }}\n        \
             phase: {{ anyOf: [{{ type: string }}, {{ enum: [early, late] }}] }}\n        \
             errors: {{ type: [object, 'null'], properties: {{ data: {{ type: array, items: {{ type: string }} }} }} }}\n        \
             {fields}\n        extra: {{}}\n        metadata: {{ type: object, maxProperties: 16, additionalProperties: {{ type: string, maxLength: 512 }} }}\n{more}"
        );
        crate::read(&text)
    };
    let only = |model: &Projection| {
        let mut package = package.clone();
        package.model.children.retain(|step, _| model.model.children.contains_key(step));
        package
    };
    let ended = "ended_at: { type: integer, description: 'When it ended. At most 24 hours later.' }";
    let same = document(ended, "");
    assert_eq!(told(&between(&same, &only(&same))), [""; 0], "from the document to the package");
    assert_eq!(told(&between(&only(&same), &same)), [""; 0], "and back");
    // Null, or left out, or both: the package does not say which.
    let null = document(&ended.replace("integer", "[integer, 'null']"), "");
    assert_eq!(told(&between(&null, &only(&null))), [""; 0]);
    // What it does say is held against the document.
    let cases = [
        (
            ended,
            "ended_at: { type: string, description: 'When it ended. At most 24 hours later.' }",
            "breaks reading: type ended_at",
        ),
        (
            ended,
            "ended_at: { type: integer, description: 'When it ended. At most 48 hours later.' }",
            "wording: wording ended_at",
        ),
        (ended, "", "new ability: field-added ended_at"),
    ];
    for (from, to, expected) in cases {
        let other = document(&ended.replace(from, to), "");
        assert_eq!(told(&between(&other, &only(&other))), [expected], "{to}");
    }
    let must = document(ended, "        more: {}\n");
    assert_eq!(told(&between(&must, &only(&must))), ["removed: field-removed more"]);
}
