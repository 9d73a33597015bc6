//! Owns the trials on packages as they were published, which pip brings. Without a registry each says so and passes; where
//! CI runs there is one, and it fails.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock},
};

use xtask::drift::{Request, mapping::Upstreams, mapping::Witness, package};

use crate::{
    drift,
    packages::{between, python, read},
    root, told,
};

/// The path of a wheel, which lasts as long as this process; none when no registry answers.
fn wheel(requirement: &'static str) -> Option<String> {
    static BROUGHT: OnceLock<Mutex<HashMap<&str, Option<package::Wheel>>>> = OnceLock::new();
    if !python() {
        return None;
    }
    let mut brought = BROUGHT.get_or_init(Mutex::default).lock().unwrap();
    // Asked once: whoever does not answer the first time is not waited for again.
    if brought.values().any(Option::is_none) {
        eprintln!("skipped: no registry answers");
        return None;
    }
    let one = brought.entry(requirement).or_insert_with(|| match package::download(requirement) {
        Ok(wheel) => Some(wheel),
        Err(failure) => {
            assert!(std::env::var_os("CI").is_none(), "where CI runs there is a registry: {failure}");
            eprintln!("skipped: {failure}");
            None
        }
    });
    one.as_ref().map(|wheel| wheel.path.display().to_string())
}

/// From which package to which, and what is told of it.
type Pair = (&'static str, &'static str, &'static [&'static str]);

const PAIRS: [Pair; 7] = [
    (
        "meetkai-mka1==0.12.60",
        "meetkai-mka1==0.12.95",
        &[
            "breaks reading: field-added max_concurrency",
            "new ability: field-added max_concurrency",
            "wording: wording deleteFile",
        ],
    ),
    (
        "meetkai-mka1==0.12.95",
        "meetkai-mka1==0.12.128",
        &["new ability: field-added sha256", "new ability: parameter-added query sha256"],
    ),
    ("meetkai-mka1==0.12.128", "meetkai-mka1==0.12.128", &[]),
    // The package had another name inside, and only that.
    ("meetkai-mka1==0.5.25", "meetkai-mka1==0.6.0", &[]),
    ("openai==3.57.0", "openai==3.57.0", &[]),
    ("openai==1.54.5", "openai==1.55.0", &["wording: wording input_file_id", "wording: wording uploadFile"]),
    ("openai==1.109.1", "openai==2.0.0", &["new ability: field-added model", "new ability: field-added usage"]),
];

#[test]
fn what_was_published_is_told_and_nothing_else() {
    for (old, new, expected) in PAIRS {
        let (Some(from), Some(to)) = (wheel(old), wheel(new)) else { return };
        let (before, after) = (read(&from).unwrap(), read(&to).unwrap());
        assert!(
            before.uncompared.is_empty() && after.uncompared.is_empty(),
            "{:?} {:?}",
            before.uncompared,
            after.uncompared
        );
        let mut found = told(&between(&before, &after));
        found.sort();
        assert_eq!(found, expected, "{old} to {new}");
    }
    // The numbers of a text are told with it, and a package with its version and its date.
    let (Some(from), Some(to)) = (wheel(PAIRS[0].0), wheel(PAIRS[0].1)) else { return };
    let (code, printed) = drift(&root(), &Request { sources: vec![from, to], ..Request::default() });
    assert_eq!(code, 4, "{printed}");
    assert!(printed.contains("its numbers from none to 400, 409"), "{printed}");
    assert!(printed.contains("(meetkai-mka1 0.12.95 of 2026-10-15, by Speakeasy)"), "{printed}");
}

/// The baselines in upstream.yaml are what these say, and every difference from openapi.yaml has its record.
#[test]
fn the_baselines_of_packages_are_what_they_say() {
    let text = std::fs::read_to_string(root().join("upstream.yaml")).unwrap();
    let upstreams = Upstreams::parse(&text).unwrap();
    for (name, requirement) in [("mka1", "meetkai-mka1==0.12.128"), ("openai", "openai==3.57.0")] {
        let Some(path) = wheel(requirement) else { return };
        let baseline = upstreams.get(name).unwrap().baseline(Witness::Package).unwrap().unwrap();
        assert!(baseline == read(&path).unwrap().model, "{name}");
        let request = Request { sources: vec![name.to_owned()], from: Some(path), ..Request::default() };
        let (code, printed) = drift(&root(), &request);
        assert_eq!(code, 0, "{printed}");
    }
}

/// A package of before that shape is not guessed at.
#[test]
fn a_package_of_another_shape_is_refused() {
    let Some(path) = wheel("openai==0.28.1") else { return };
    let (code, printed) = drift(&root(), &Request { sources: vec![path.clone(), path], ..Request::default() });
    assert!(
        code == 100 && printed.contains("no package in it is one that Speakeasy or Stainless generated"),
        "{printed}"
    );
}
