//! The crates as they would be published: each is packaged, and compiled from what its package holds, beside nothing of the
//! repository but the other packages.
//!
//! `cargo package` compiles each by itself, with features of its own, which takes as long as all other steps of the compiler
//! together: that is for the night. Here they are one workspace, so that most of what they depend on is there already.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    client::cargo,
    report::{EXIT_FRESH, EXIT_STALE, Failure, Finding},
    tee,
};

/// What is published, in the order in which that can be done.
pub const PUBLISHED: [&str; 5] = ["lote-lines", "lote-client", "lote", "lote-gateway", "lote-cli"];

/// Packages all crates, and compiles them from their packages. Exit code 0 when that succeeds, otherwise 4.
///
/// # Errors
///
/// When cargo or tar cannot be run, or the folder of builds cannot be written.
pub fn run(root: &Path, out: &mut dyn Write) -> Result<u8, Failure> {
    let target = target(root);
    let mut package = package(&target);
    package.args(["--no-verify", "--quiet"]);
    if !passes(package, root, out)? {
        return failed("a crate cannot be packaged", out);
    }
    let folder = target.join("packages");
    let cannot = |error: std::io::Error| Failure::new(format!("{}: {error}", folder.display()), "make it writable");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(cannot)?;
    }
    fs::create_dir_all(&folder).map_err(cannot)?;
    let version = env!("CARGO_PKG_VERSION");
    let names = PUBLISHED.map(|name| format!("{name}-{version}"));
    for name in &names {
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(target.join("package").join(format!("{name}.crate"))).arg("-C").arg(&folder);
        if !passes(tar, root, out)? {
            return failed("a package cannot be opened", out);
        }
    }
    fs::write(folder.join("Cargo.toml"), workspace(&names)).map_err(cannot)?;
    // The versions that are tested; what no package wants is taken from it.
    fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).map_err(cannot)?;
    let mut check = Command::new(cargo());
    check
        .args(["check", "--workspace", "--lib", "--bins", "--features", "lote-cli/full"])
        .env("CARGO_TARGET_DIR", &target);
    if !passes(check, &folder, out)? {
        return failed("a package does not compile", out);
    }
    Ok(EXIT_FRESH)
}

/// Packages all crates as `cargo publish` does, and compiles each by itself from its package. Exit code 0 when that succeeds,
/// otherwise 4.
///
/// # Errors
///
/// When cargo cannot be run.
pub fn verify(root: &Path, out: &mut dyn Write) -> Result<u8, Failure> {
    if passes(package(&target(root)), root, out)? { Ok(EXIT_FRESH) } else { failed("a crate cannot be published", out) }
}

fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target))
}

/// Of what is published. What is not committed is packaged as well: this says whether it is complete.
fn package(target: &Path) -> Command {
    let mut package = Command::new(cargo());
    package.args(["package", "--locked", "--allow-dirty"]);
    package.args(PUBLISHED.iter().flat_map(|name| ["--package", name])).env("CARGO_TARGET_DIR", target);
    package
}

/// A workspace of the packages, each of which finds the others.
fn workspace(names: &[String]) -> String {
    let mut text = format!("[workspace]\nresolver = \"3\"\nmembers = {names:?}\n\n[patch.crates-io]\n");
    for (package, name) in PUBLISHED.iter().zip(names) {
        text += &format!("{package} = {{ path = {name:?} }}\n");
    }
    text
}

fn passes(mut command: Command, folder: &Path, out: &mut dyn Write) -> Result<bool, Failure> {
    command.current_dir(folder).stdin(Stdio::null());
    let name = command.get_program().to_string_lossy().into_owned();
    let pass = |bytes: &[u8]| out.write_all(bytes).and_then(|()| out.flush());
    let status = tee::run(command, None, pass)
        .map_err(|error| Failure::new(format!("{name} cannot be run: {error}"), format!("install {name}")))?;
    Ok(status.success())
}

fn failed(what: &str, out: &mut dyn Write) -> Result<u8, Failure> {
    writeln!(out, "{}", Finding::new(what, "let its package hold all that it needs: see what is said above"))?;
    Ok(EXIT_STALE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The crates of the workspace that are no secret, each after those that it wants.
    #[test]
    fn what_is_published_comes_after_what_it_wants() {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
        let mut found = Vec::new();
        for entry in fs::read_dir(crates).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path().join("Cargo.toml")).unwrap();
            let name =
                text.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')).unwrap().to_owned();
            assert!(!text.contains("publish = false"), "{name}");
            let at = PUBLISHED.iter().position(|published| *published == name);
            let at = at.unwrap_or_else(|| panic!("{name} is not in PUBLISHED"));
            let wanted = text.split("\n[dependencies]\n").nth(1).unwrap_or_default();
            let wanted = wanted.split("\n[").next().unwrap_or_default();
            for line in wanted.lines() {
                let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
                if let Some(other) = PUBLISHED.iter().position(|published| *published == name) {
                    assert!(other < at, "{} before {name}", PUBLISHED[at]);
                }
            }
            for needed in ["description", "keywords", "categories", "readme"] {
                assert!(text.contains(&format!("\n{needed} = ")), "{name} has no {needed}");
            }
            found.push(name);
        }
        assert_eq!(found.len(), PUBLISHED.len());
    }

    /// Of a library whose items need features, docs.rs says which.
    #[test]
    fn features_are_shown_at_docs_rs() {
        for name in ["lines", "lote", "gateway"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates").join(name);
            let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
            let asked = manifest.split_once("[package.metadata.docs.rs]\n").unwrap().1.split("\n[").next().unwrap();
            assert!(
                asked.contains("rustdoc-args = [\"--cfg\", \"docsrs\"]") && asked.contains("features = "),
                "{name}"
            );
            let library = fs::read_to_string(folder.join("src/lib.rs")).unwrap();
            assert!(library.contains("#![cfg_attr(docsrs, feature(doc_cfg))]"), "{name}");
        }
    }

    #[test]
    fn packages_find_each_other() {
        let names: Vec<String> = PUBLISHED.iter().map(|name| format!("{name}-1.2.3")).collect();
        let text = workspace(&names);
        assert!(text.contains("members = [\"lote-lines-1.2.3\", "), "{text}");
        assert!(text.contains("\nlote-client = { path = \"lote-client-1.2.3\" }\n"), "{text}");
    }
}
