//! Owns the proof that what is committed is what the contract makes, in the words of `cargo xtask codegen --check`;
//! never writes anything.

use std::path::Path;

use lote_contract::{GENERATED, OPENAPI};
use xtask::{
    codegen::{Artefact, CLIENT, CONTRACT, client, fragments, pages, problems},
    files::read,
    lint::lint,
    report::Finding,
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Fails with the findings, as codegen prints them.
#[track_caller]
fn assert_none(findings: &[Finding]) {
    let lines: String = findings.iter().map(|finding| format!("\n{finding}")).collect();
    assert!(findings.is_empty(), "{lines}");
}

#[test]
fn the_committed_client_is_what_build_rs_makes() {
    let artefact = client(root(), GENERATED.to_owned()).unwrap();
    assert_eq!(artefact.path, CLIENT);
    assert_none(artefact.finding().as_slice());
}

#[test]
fn the_line_schemas_are_those_of_the_rust_types() {
    let artefact = fragments(root()).unwrap();
    assert_none(artefact.finding().as_slice());
}

#[test]
fn the_table_of_the_readme_and_the_schemas_for_editors_are_fresh() {
    let pages = pages(root(), OPENAPI).unwrap();
    assert_eq!(pages.len(), 4);
    let stale: Vec<Finding> = pages.iter().filter_map(Artefact::finding).collect();
    assert_none(&stale);
}

#[test]
fn the_contract_is_clean() {
    assert_eq!(read(root(), CONTRACT).unwrap(), OPENAPI, "the library has the contract as it is committed");
    assert_none(&lint(OPENAPI).unwrap());
}

#[test]
fn one_wrong_byte_in_the_client_is_named_with_its_fix() {
    let findings = problems(root(), &format!("{GENERATED} ")).unwrap();
    let report: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(report, ["problem: crates/client/src/generated.rs is stale\nfix: cargo xtask codegen"]);
}

#[test]
fn a_page_that_is_not_what_the_contract_makes_is_named_with_its_fix() {
    let renamed = OPENAPI.replace("operationId: getFileContent", "operationId: getFileBytes");
    let stale: Vec<String> = pages(root(), &renamed)
        .unwrap()
        .iter()
        .filter_map(Artefact::finding)
        .map(|finding| finding.to_string())
        .collect();
    assert_eq!(stale, ["problem: README.md fragment operations is stale\nfix: cargo xtask codegen"]);
    for mut page in pages(root(), OPENAPI).unwrap() {
        page.old = page.old.map(|text| text.replacen("a", "b", 1));
        let expected = format!("problem: {} is stale\nfix: cargo xtask codegen", page.name);
        assert_eq!(page.finding().map(|finding| finding.to_string()), Some(expected));
    }
}
