//! The modules of the gateway use each other in one direction: their graph has no circle.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};
use syn::{File, Item, ItemUse, UseTree};

/// The modules that each module uses. A module is a path such as `blobs::disk`; the root, whose name is empty, only
/// declares the others.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// All source files of the crate, each with the name of its module.
fn modules() -> BTreeMap<String, File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == "tests.rs") {
                // Tests use what they like.
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let file = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
                modules.insert(name(path.strip_prefix(&root).unwrap().with_extension("")), file);
            }
        }
    }
    modules
}

fn name(path: PathBuf) -> String {
    let parts: Vec<_> = path.iter().map(|part| part.to_str().unwrap()).collect();
    match parts.split_last().unwrap() {
        (&"mod", folders) => folders.join("::"),
        (&"lib", []) => String::new(),
        _ => parts.join("::"),
    }
}

/// Every path of a file, those of `use` and those within the code; without its tests.
#[derive(Default)]
struct Paths(Vec<Vec<String>>);

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        let is_test = matches!(item, Item::Mod(module) if module.ident == "tests");
        if !is_test {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.tree(Vec::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.0.push(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }
}

impl Paths {
    fn tree(&mut self, mut before: Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(before, &path.tree);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.tree(before.clone(), tree)),
            UseTree::Name(name) => {
                before.push(name.ident.to_string());
                self.0.push(before);
            }
            UseTree::Rename(rename) => {
                before.push(rename.ident.to_string());
                self.0.push(before);
            }
            UseTree::Glob(_) => self.0.push(before),
        }
    }
}

/// The module in which a path of `crate::…` ends: the longest beginning of it that is one. A module and what it is a
/// part of are one thing to everybody else, and use each other as they like.
fn target(path: &[String], modules: &BTreeMap<String, File>) -> Option<String> {
    let (first, rest) = path.split_first()?;
    let is_ours = first == "crate" && !rest.is_empty();
    let ends = (1..=rest.len()).rev().map(|length| rest[..length].join("::"));
    is_ours.then(|| ends.into_iter().find(|name| modules.contains_key(name)))?
}

fn is_part_of(part: &str, whole: &str) -> bool {
    part == whole || part.strip_prefix(whole).is_some_and(|rest| rest.starts_with("::"))
}

fn graph(modules: &BTreeMap<String, File>) -> Graph {
    let mut graph = Graph::new();
    for (name, file) in modules.iter().filter(|(name, _)| !name.is_empty()) {
        let mut paths = Paths::default();
        paths.visit_file(file);
        let used = paths.0.iter().filter_map(|path| target(path, modules));
        let used = used.filter(|other| !is_part_of(name, other) && !is_part_of(other, name)).collect();
        graph.insert(name.clone(), used);
    }
    graph
}

/// The same between the folders and files at the top alone.
fn at_the_top(graph: &Graph) -> Graph {
    let top = |name: &str| name.split("::").next().unwrap().to_owned();
    let mut tops = Graph::new();
    for (name, used) in graph {
        let used = used.iter().map(|other| top(other)).filter(|other| *other != top(name));
        tops.entry(top(name)).or_default().extend(used);
    }
    tops
}

/// A circle, from one module back to itself, if there is any.
fn circle(graph: &Graph) -> Option<Vec<String>> {
    fn walk<'a>(graph: &'a Graph, at: &'a str, way: &mut Vec<&'a str>, done: &mut BTreeSet<&'a str>) -> bool {
        if done.contains(at) {
            return false;
        }
        if let Some(begin) = way.iter().position(|before| *before == at) {
            way.drain(..begin);
            way.push(at);
            return true;
        }
        way.push(at);
        if graph.get(at).into_iter().flatten().any(|next| walk(graph, next, way, done)) {
            return true;
        }
        way.pop();
        done.insert(at);
        false
    }
    let mut done = BTreeSet::new();
    graph.keys().find_map(|name| {
        let mut way = Vec::new();
        walk(graph, name, &mut way, &mut done).then(|| way.into_iter().map(str::to_owned).collect())
    })
}

#[test]
fn no_module_uses_itself_by_way_of_others() {
    let modules = modules();
    let graph = graph(&modules);
    let arrows: usize = graph.values().map(BTreeSet::len).sum();
    assert!(graph.len() > 50 && arrows > 100, "{} modules, {arrows} arrows: the reading of them broke", graph.len());
    for graph in [&graph, &at_the_top(&graph)] {
        if let Some(circle) = circle(graph) {
            panic!("the modules go in a circle: {}", circle.join(" -> "));
        }
    }
}

#[test]
fn the_leaves_use_no_module() {
    let modules = modules();
    let graph = graph(&modules);
    for leaf in ["contract", "tenant"] {
        assert!(graph[leaf].is_empty(), "{leaf} uses {:?}", graph[leaf]);
    }
}

/// The rooms below, and what each may use of the others at the top: work knows nothing of HTTP, the state nothing of work,
/// bytes nothing of rows.
#[test]
fn rooms_know_only_what_is_below_them() {
    let modules = modules();
    let tops = at_the_top(&graph(&modules));
    for (room, known) in [
        ("blobs", &["ids", "outside", "points", "tenant"][..]),
        ("state", &["blobs", "clock", "contract", "ids", "metrics", "outside", "points", "tenant"]),
        ("recorder", &["notices", "state"]),
        ("lease", &["state"]),
        (
            "run",
            &[
                "answering",
                "app",
                "blobs",
                "clock",
                "contract",
                "error",
                "executor",
                "ids",
                "journal",
                "lease",
                "notices",
                "recorder",
                "state",
                "tenant",
            ],
        ),
    ] {
        let used: Vec<&str> = tops[room].iter().map(String::as_str).filter(|used| !known.contains(used)).collect();
        assert!(used.is_empty(), "{room} uses {used:?}");
    }
}

/// Scripted faults strike a state from outside, and answers on their way: whoever asks the state holds none of them.
#[test]
fn the_straight_paths_hold_no_faults() {
    let modules = modules();
    let tops = at_the_top(&graph(&modules));
    for room in ["batches", "blobs", "files", "lease", "recorder", "requests", "run", "state"] {
        assert!(!tops[room].contains("faults"), "{room} uses faults");
    }
}

#[test]
fn a_circle_is_found_wherever_it_begins() {
    let graph = |arrows: &[(&str, &str)]| -> Graph {
        let mut graph = Graph::new();
        for (from, to) in arrows {
            graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        graph
    };
    assert_eq!(circle(&graph(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])), None);
    let found = circle(&graph(&[("a", "b"), ("b", "c"), ("c", "d"), ("d", "b")])).unwrap();
    assert_eq!(found, ["b", "c", "d", "b"]);
    // Two files whose folders use each other are a circle at the top only.
    let nested = graph(&[("a::one", "b::one"), ("b::two", "a::two")]);
    assert_eq!(circle(&nested), None);
    assert_eq!(circle(&at_the_top(&nested)).unwrap(), ["a", "b", "a"]);
}

#[test]
fn paths_in_code_count_and_paths_in_tests_do_not() {
    let modules: BTreeMap<String, File> = [
        ("a", "use crate::{b::c::Thing, d}; fn f() { crate::e::g(); } mod tests { use crate::f::X; }"),
        ("b", ""),
        ("b::c", ""),
        ("d", ""),
        ("e", ""),
        ("f", ""),
    ]
    .map(|(name, text)| (name.to_owned(), syn::parse_str(text).unwrap()))
    .into();
    let used: Vec<String> = graph(&modules)["a"].iter().cloned().collect();
    assert_eq!(used, ["b::c", "d", "e"]);
}
