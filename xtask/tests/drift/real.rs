//! Trials on OpenAI's real documents of 2025-04-29 and 2026-08-21, which are large: they are in the folder that
//! LOTE_OPENAI_DOCUMENTS names, as openai-DATE.yaml, or the trials say so and pass. What is claimed anywhere is shown
//! without them.

use std::{env, fs, path::PathBuf};

use xtask::drift::{
    Request, contract,
    judge::{Heard, judge},
    mapping::{Upstreams, Witness},
    node::Step,
    project::{Projection, project},
};

use crate::{drift, findings, read, root, told};

/// Where a real document is.
fn place(date: &str) -> Option<PathBuf> {
    let Some(folder) = env::var_os("LOTE_OPENAI_DOCUMENTS") else {
        eprintln!("skipped: LOTE_OPENAI_DOCUMENTS names no folder of OpenAI's documents");
        return None;
    };
    Some(PathBuf::from(folder).join(format!("openai-{date}.yaml")))
}

/// The text of a real document.
fn document(date: &str) -> Option<String> {
    place(date).map(|path| fs::read_to_string(path).unwrap())
}

#[test]
fn what_a_year_and_a_half_brought_is_found_and_nothing_else() {
    let (Some(old), Some(new)) = (document("2025-04-29"), document("2026-08-21")) else { return };
    let found = findings(&old, &new);
    let told = told(&found);
    let instants = ["cancelled", "cancelling", "completed", "created", "expired", "expires", "failed", "finalizing"];
    let mut expected: Vec<String> = [
        "new ability: enum-added endpoint (\"/v1/moderations\")",
        "new ability: enum-added endpoint (\"/v1/images/generations\")",
        "new ability: enum-added endpoint (\"/v1/images/edits\")",
        "new ability: enum-added endpoint (\"/v1/videos\")",
        "new ability: field-added output_expires_after",
        "new ability: field-added expires_after",
        "new ability: field-added model",
        "new ability: field-added usage",
        "breaks reading: enum-added purpose (\"user_data\")",
        "removed: schema-removed BatchRequestInput",
        "removed: schema-removed BatchRequestOutput",
        "breaks reading: format in_progress_at",
        "wording: wording endpoint",
        "wording: wording purpose",
        "wording: wording deleteFile",
        "wording: wording uploadFile",
        "wording: wording getFileContent",
    ]
    .map(str::to_owned)
    .into();
    expected.extend(instants.map(|name| format!("breaks reading: format {name}_at")));
    let mut sorted = told.clone();
    sorted.sort();
    expected.sort();
    assert_eq!(sorted, expected);

    // A number that moved is told with both numbers.
    let upload = found.iter().find(|finding| finding.aspect == "wording" && finding.name() == "uploadFile").unwrap();
    let (before, after) = upload.numbers().unwrap();
    assert!(before.contains(&"100".to_owned()) && after.contains(&"2.5".to_owned()), "{before:?} {after:?}");
    // A finding of a batch shows wherever a batch is answered.
    let model = found.iter().find(|finding| finding.name() == "model").unwrap();
    let operations: Vec<String> = model.places().into_iter().map(|place| place.operation).collect();
    assert_eq!(operations, ["cancelBatch", "createBatch", "getBatch", "listBatches"]);
}

#[test]
fn schemas_that_were_lifted_into_components_are_no_drift() {
    let (Some(old), Some(new)) = (document("2026-05-13"), document("2026-08-21")) else { return };
    assert_eq!(told(&findings(&old, &new)), ["wording: wording getFileContent"]);
    assert_eq!(told(&findings(&new, &new)), [""; 0]);
}

#[test]
fn the_baseline_and_the_records_are_those_of_the_newest_document() {
    let Some(new) = document("2026-08-21") else { return };
    let text = fs::read_to_string(root().join("upstream.yaml")).unwrap();
    let upstreams = Upstreams::parse(&text).unwrap();
    let baseline = upstreams.get("openai").unwrap().baseline(Witness::Document).unwrap().unwrap();
    assert!(baseline == read(&new).model, "the baseline is the projection");

    let from = place("2026-08-21").map(|path| path.to_str().unwrap().to_owned());
    let (code, report) = drift(&root(), &Request { sources: vec!["openai".to_owned()], from, ..Request::default() });
    assert_eq!(code, 0, "{report}");
    assert!(report.contains("findings: none; recorded: "), "{report}");
}

/// Without the documents: an edit of openapi.yaml that departs from what an upstream is known to say needs a reason.
#[test]
fn each_difference_of_our_contract_from_a_baseline_has_a_reason() {
    let upstreams = Upstreams::parse(&fs::read_to_string(root().join("upstream.yaml")).unwrap()).unwrap();
    let (contract, ours) = contract(&root()).unwrap();
    let mut judged = Vec::new();
    for (name, one) in &upstreams.upstreams {
        for witness in one.witnesses() {
            let Some(model) = one.baseline(witness).unwrap() else { continue };
            let theirs =
                Projection { model, prefix: one.prefix.clone(), operations: ours.len(), uncompared: Vec::new() };
            let heard = Heard { witness, source: "its baseline".to_owned(), theirs };
            let mut mine = project(&contract, &ours, &one.ours()).unwrap();
            if witness == Witness::Package {
                mine.model.children.retain(|step, _| !matches!(step, Step::Root(_)));
            }
            let report = judge(name, one, &mine, &heard).unwrap();
            let mut text = Vec::new();
            report.text(&mut text).unwrap();
            assert!(report.entries.is_empty(), "{}", String::from_utf8(text).unwrap());
            judged.push(format!("{name} {}", witness.word()));
        }
    }
    assert_eq!(judged, ["mka1 package", "openai document", "openai package"]);
}
