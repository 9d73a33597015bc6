//! What the default shape of the command and the full one both need is compiled once. A crate that the full shape wants
//! with one more feature is compiled again, and all that stands on it: for `ring` that is TLS, HTTP and tokio's friends.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

/// Crates that differ, of which little or nothing hangs that both shapes need.
const DIFFER: [&str; 2] = ["half", "ruzstd"];

/// For each crate from elsewhere, by name and version, the sets of features with which a build of all tests has it.
/// None when some of the crates are not on this machine: who builds the default shape alone has not fetched those of the full.
fn features(shape: &[&str]) -> Option<BTreeMap<String, BTreeSet<String>>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--workspace", "--edges", "normal,build,dev", "--prefix", "none", "--format", "{p}|{f}"])
        .args(["--offline", "--target", "x86_64-unknown-linux-gnu"])
        .args(shape)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("--offline") && std::env::var_os("CI").is_none(), "{said}");
        return None;
    }
    let mut crates: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        // A crate that was shown before ends with a star; one of ours is followed by its folder.
        let Some((name, features)) = line.trim_end_matches(" (*)").split_once('|') else { continue };
        let name = name.trim_end_matches(" (proc-macro)");
        if !name.contains('(') {
            crates.entry(name.to_owned()).or_default().insert(features.to_owned());
        }
    }
    Some(crates)
}

#[test]
fn the_full_shape_compiles_no_crate_again() {
    let (Some(default), Some(full)) = (features(&[]), features(&["--features", "lote-cli/full"])) else {
        eprintln!("skipped: the crates of the full shape were not fetched yet");
        return;
    };
    let again: Vec<String> = full
        .iter()
        .filter(|(name, _)| !DIFFER.iter().any(|other| name.split(' ').next() == Some(*other)))
        .filter_map(|(name, wanted)| {
            let had = default.get(name)?;
            let new: Vec<&String> = wanted.difference(had).collect();
            (!new.is_empty()).then(|| format!("{name}\n  default shape: {had:?}\n  full shape: {new:?}"))
        })
        .collect();
    assert!(
        again.is_empty(),
        "fix: name the features that the default shape lacks in Cargo.toml, where `cc` and `ring` are\n{}",
        again.join("\n")
    );
    assert!(full.len() > default.len() && default.keys().any(|name| name.starts_with("ring ")), "{default:?}");
}
