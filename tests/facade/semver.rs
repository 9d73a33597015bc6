//! Owns the rule that what a service may add to breaks nobody: which public types may be built and matched in full. Never
//! compares versions, and never sees the types that macros make.

use std::{fs, path::Path};

use syn::{Attribute, Fields, Item, Visibility};

/// Types that are complete on purpose, and why.
const COMPLETE: [(&str, &str); 8] = [
    ("Waited", "a wait has three endings"),
    ("WaitError", "the two endings of a wait that are not the end of the batch"),
    ("Look", "a look is seen, survived, or the last"),
    ("OutcomeKind", "every request line comes to one of six ends"),
    ("RequestLine", "the four fields of a request line, which users write in full"),
    ("Method", "batches know only POST"),
    ("Limits", "settings that users write in full"),
    ("CheckOptions", "settings of which users write some, the rest by ..Default::default()"),
];

/// The public types that others could match or build in full: their names, and whether an attribute keeps them from it.
fn types(items: &[Item], found: &mut Vec<(String, bool)>) {
    let closed =
        |attributes: &[Attribute]| attributes.iter().any(|attribute| attribute.path().is_ident("non_exhaustive"));
    let public = |visibility: &Visibility| matches!(visibility, Visibility::Public(_));
    for item in items {
        match item {
            Item::Enum(item) if public(&item.vis) => found.push((item.ident.to_string(), closed(&item.attrs))),
            Item::Struct(item)
                if public(&item.vis)
                    && !matches!(item.fields, Fields::Unit)
                    && item.fields.iter().all(|field| public(&field.vis)) =>
            {
                found.push((item.ident.to_string(), closed(&item.attrs)));
            }
            Item::Mod(item) => types(item.content.as_ref().map_or(&[], |(_, items)| items.as_slice()), found),
            _ => {}
        }
    }
}

/// The same of all sources below a folder.
fn types_of(folder: &Path, found: &mut Vec<(String, bool)>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            types_of(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).expect("a source");
            types(&syn::parse_file(&source).expect("Rust").items, found);
        }
    }
}

#[test]
fn what_a_service_may_add_to_is_non_exhaustive() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    types_of(&root.join("crates/lote/src"), &mut found);
    types_of(&root.join("crates/lines/src"), &mut found);
    let mut unused: Vec<&str> = COMPLETE.iter().map(|(name, _)| *name).collect();
    for (name, closed) in found {
        unused.retain(|known| *known != name);
        let complete = COMPLETE.iter().any(|(known, _)| *known == name);
        assert!(
            closed || complete,
            "{name} may be matched or built in full: add #[non_exhaustive], or say why not here"
        );
    }
    assert!(unused.is_empty(), "no such type: {unused:?}");
}
