//! Owns the proof that the guide says what runs: every example ends well, and every page shows its example; never code
//! that the guide does not show.

use std::{collections::BTreeSet, env, error::Error, fs, path::Path, process::Command};

#[path = "../../examples/cost.rs"]
mod cost;
#[path = "../../examples/embeddings.rs"]
mod embeddings;
#[path = "../../examples/errors.rs"]
mod errors;
#[path = "../../examples/first_batch.rs"]
mod first_batch;
#[path = "../../examples/moving.rs"]
mod moving;
#[path = "../../examples/multi_user_servers.rs"]
mod multi_user_servers;
#[path = "../../examples/parts.rs"]
mod parts;
#[path = "../../examples/rescue.rs"]
mod rescue;
#[path = "../../examples/runs.rs"]
mod runs;
#[path = "../../examples/structured_outputs.rs"]
mod structured_outputs;
#[path = "../../examples/tables.rs"]
mod tables;
#[path = "../../examples/testing.rs"]
mod testing;
#[path = "../../examples/waiting.rs"]
mod waiting;

type Main = fn() -> Result<(), Box<dyn Error>>;

/// The name of a page and of its example, and what runs it.
const PAGES: [(&str, Main); 13] = [
    ("first_batch", first_batch::main),
    ("structured_outputs", structured_outputs::main),
    ("embeddings", embeddings::main),
    ("waiting", waiting::main),
    ("runs", runs::main),
    ("rescue", rescue::main),
    ("parts", parts::main),
    ("tables", tables::main),
    ("cost", cost::main),
    ("errors", errors::main),
    ("multi_user_servers", multi_user_servers::main),
    ("testing", testing::main),
    ("moving", moving::main),
];

/// The page whose code is no Rust: CI's step `python` runs it.
const PYTHON: &str = "python";

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of the files of a folder that end so, without the ending.
fn stems(folder: &str, ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(Path::new(ROOT).join(folder)).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
}

/// The code blocks of a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(fence.as_str()).skip(1).map(|part| part.split("```").next().unwrap_or_default()).collect()
}

/// Whether a source has these lines one after the other, all of them indented by as much.
fn shows(source: &str, block: &str) -> bool {
    [0, 4, 8, 12].into_iter().any(|width| {
        let indented: String = block
            .lines()
            .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{:width$}{line}\n", "") })
            .collect();
        format!("\n{source}").contains(&format!("\n{indented}"))
    })
}

#[test]
fn every_example_runs_with_no_account() {
    if env::var_os("LOTE_GUIDE_CHILD").is_some() {
        for (name, main) in PAGES {
            println!("example {name}");
            main().unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        return;
    }
    // The settings come from the environment, which only another process can be given.
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", "guide::every_example_runs_with_no_account", "--nocapture"]).env("LOTE_GUIDE_CHILD", "1");
    for name in ["LOTE_BASE_URL", "LOTE_API_KEY", "LOTE_ON_BEHALF_OF", "LOTE_DIALECT"] {
        child.env_remove(name);
    }
    let output = child.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("example ").count(), PAGES.len(), "{said}");
}

#[test]
fn every_page_shows_what_its_example_runs() {
    for (name, _) in PAGES {
        let (page, source) = (read(&format!("docs/guide/{name}.md")), read(&format!("examples/{name}.rs")));
        let blocks = blocks(&page, "rust");
        assert!(!blocks.is_empty(), "docs/guide/{name}.md shows no code");
        for block in blocks {
            assert!(shows(&source, block), "docs/guide/{name}.md: this is not in examples/{name}.rs:\n{block}");
        }
        assert!(page.contains(&format!("cargo run --example {name}")), "docs/guide/{name}.md names no example");
        // What its pieces use comes first, all of it.
        let used = source.split_once("\nuse ").and_then(|(_, rest)| rest.split("\n\n#[").next()).unwrap_or_default();
        let first = page.split("```rust\n").nth(1).and_then(|part| part.split("\n```").next()).unwrap_or_default();
        let left = first.strip_prefix("use ").and_then(|first| used.strip_prefix(first));
        let left = left.unwrap_or_else(|| panic!("docs/guide/{name}.md lacks its use lines"));
        assert!(!left.contains("\nuse "), "docs/guide/{name}.md lacks some of its use lines:{left}");
    }
    assert!(shows("fn f() {\n    a();\n\n    b();\n}\n", "a();\n\nb();\n"));
    assert!(!shows("fn f() {\n    a();\n    b();\n}\n", "a();\n\nb();\n"));
    assert!(!shows("aa();\n", "a();\n"));
}

#[test]
fn pages_examples_and_lists_are_the_same() {
    let pages: BTreeSet<String> = PAGES.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(stems("examples", ".rs"), pages);
    let mut on_disk = stems("docs/guide", ".md");
    assert!(on_disk.remove("README") && on_disk.remove(PYTHON));
    assert_eq!(on_disk, pages);
    let (readme, index) = (read("README.md"), read("docs/guide/README.md"));
    for name in pages.iter().map(String::as_str).chain([PYTHON]) {
        assert!(readme.contains(&format!("](docs/guide/{name}.md)")), "README.md has no link to {name}.md");
        assert!(index.contains(&format!("][{name}]")), "docs/guide/README.md has no link to {name}.md");
        assert!(
            index.contains(&format!("\n[{name}]: {name}.md\n")),
            "docs/guide/README.md says not where {name}.md is"
        );
    }
}

#[test]
fn the_guide_is_packaged_with_the_crate() {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let words = ["package", "--list", "--allow-dirty", "--offline", "-p", "lote"];
    let output = Command::new(cargo).args(words).current_dir(ROOT).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let packaged = String::from_utf8_lossy(&output.stdout);
    for name in PAGES.iter().map(|(name, _)| *name).chain(["README", PYTHON]) {
        let file = format!("guide/{name}.md");
        assert!(packaged.lines().any(|line| line == file), "{file} is not packaged:\n{packaged}");
        assert_eq!(read(&format!("crates/lote/{file}")), read(&format!("docs/{file}")));
    }
}

#[test]
fn links_between_pages_lead_somewhere_in_the_repository_and_in_the_reference() {
    let reference = read("crates/lote/src/guide.rs");
    let pages = || PAGES.iter().map(|(name, _)| *name).chain([PYTHON]);
    for page in pages() {
        let text = read(&format!("docs/guide/{page}.md"));
        assert!(reference.contains(&format!("\n    {page}\n}}")), "lote::guide lacks {page}");
        assert!(!text.contains(".md)"), "docs/guide/{page}.md: a link that is no reference leads nowhere in rustdoc");
        for name in pages() {
            let (used, said) =
                (text.contains(&format!("][{name}]")), text.contains(&format!("\n[{name}]: {name}.md\n")));
            assert_eq!(used, said, "docs/guide/{page}.md: the link to {name}.md");
            if used {
                let link = format!("#[doc = \"[{name}]: crate::guide::{name}\"]");
                assert!(reference.contains(&link), "lote::guide lacks {link}");
            }
        }
    }
}
