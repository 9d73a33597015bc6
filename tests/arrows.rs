//! Owns the arrows between the crates of this workspace: which may depend on which, and which may use the generator.
//! Never what comes from elsewhere otherwise; deny.toml has those rules.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

/// For each crate, the crates of this workspace that it may name: in what it ships, and in its own tests besides.
///
/// The gateway names none, not even in tests: a shared bug would agree with itself. The command goes through the facade
/// and never around it. What keeps the contract needs the line schemas and nothing that is made from the contract. The
/// tests of the lines, and of the fuzz targets, ask for a feature of their own crate.
const ARROWS: [(&str, &[&str], &[&str]); 8] = [
    ("lote-client", &[], &[]),
    ("lote-lines", &[], &["lote-lines"]),
    ("lote-gateway", &[], &[]),
    ("lote", &["lote-client", "lote-lines"], &["lote-gateway"]),
    ("lote-cli", &["lote", "lote-gateway"], &[]),
    ("xtask", &["lote-lines"], &[]),
    ("lote-fuzz", &["lote", "lote-gateway", "lote-lines", "xtask"], &["lote-fuzz"]),
    ("lote-contract", &[], &["lote", "lote-cli", "lote-client", "lote-gateway", "lote-lines", "xtask"]),
];

/// Crates from elsewhere that only the named crates may name.
const KEPT_IN: [(&str, &[&str]); 2] = [
    // A user of the library never compiles the generator, nor a parser of arguments.
    ("progenitor", &["lote-contract"]),
    ("clap", &["lote-cli", "xtask"]),
];

fn metadata() -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The names of what each crate depends on: in what it ships or builds, and in its tests.
fn dependencies(metadata: &Value) -> BTreeMap<&str, (BTreeSet<&str>, BTreeSet<&str>)> {
    let mut crates = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let (mut ships, mut tests) = (BTreeSet::new(), BTreeSet::new());
        for dependency in package["dependencies"].as_array().unwrap() {
            let names = if dependency["kind"] == "dev" { &mut tests } else { &mut ships };
            names.insert(dependency["name"].as_str().unwrap());
        }
        crates.insert(package["name"].as_str().unwrap(), (ships, tests));
    }
    crates
}

#[test]
fn crates_depend_on_each_other_as_the_design_says() {
    let metadata = metadata();
    let crates = dependencies(&metadata);
    let ours: BTreeSet<&str> = ARROWS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(
        crates.keys().copied().collect::<BTreeSet<_>>(),
        ours,
        "a crate without a rule, or a rule without a crate"
    );
    for (name, may_ship, may_test) in ARROWS {
        let (ships, tests) = &crates[name];
        for other in ships.intersection(&ours) {
            assert!(may_ship.contains(other), "{name} may not depend on {other}");
        }
        for other in tests.intersection(&ours) {
            assert!(
                may_ship.contains(other) || may_test.contains(other),
                "the tests of {name} may not depend on {other}"
            );
        }
    }
}

#[test]
fn crates_from_elsewhere_stay_where_they_belong() {
    let metadata = metadata();
    for (name, (ships, tests)) in dependencies(&metadata) {
        for (other, only) in KEPT_IN {
            let depends = ships.contains(other) || tests.contains(other);
            assert!(!depends || only.contains(&name), "{name} may not depend on {other}");
        }
    }
}

/// What whoever depends on `lote` compiles, `lote` and its two rooms among them. Fewer is better: lower the number then.
/// Twenty-two of them are what host names beyond ASCII take (`idna_adapter` and ICU's data), and twelve what limits on
/// requests and tokens a minute take (`governor`; they build in a few seconds).
#[test]
fn a_dependant_compiles_no_crate_more_than_it_did() {
    const CRATES: usize = 147;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "tree",
            "--package",
            "lote",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--offline",
        ])
        .args(["--no-dedupe", "--target", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let name = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let crates: BTreeSet<String> = text.lines().map(name).filter(|name| !name.is_empty()).collect();
    assert!(crates.len() <= CRATES, "{}: {crates:#?}", crates.len());
    assert!(crates.iter().any(|name| name.starts_with("reqwest ")), "{crates:?}");
}
