//! Any document is compared with itself, without a finding, or refused.

use std::{path::Path, sync::LazyLock};

use xtask::drift::{
    compare::{Options, compare},
    contract,
    document::Document,
    project::{Mapping, Ours, project},
};

static OURS: LazyLock<Vec<Ours>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    contract(root).unwrap_or_else(|failure| panic!("{failure}")).1
});

/// One trial.
pub fn drift(data: &[u8]) {
    let Ok(document) = Document::parse("a document", data) else { return };
    let Ok(one) = project(&document, &OURS, &Mapping::default()) else { return };
    let Ok(two) = project(&document, &OURS, &Mapping::default()) else { panic!("a document that was read once") };
    assert!(compare(&one.model, &two.model, &Options::default()).is_empty());
}
