//! Owns the way to the client as build.rs makes it of openapi.yaml. It never builds anything but the root package, so
//! that it works while the others do not compile.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::report::{CODEGEN, Failure};

/// The root package: its build script makes the client.
const PACKAGE: &str = "lote-contract";
/// What the build script leaves in OUT_DIR.
const MADE: &str = "client.rs";

/// The cargo that runs this program, or else the one on the path.
#[must_use]
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The workspace that the current folder belongs to.
///
/// # Errors
///
/// When there is none.
pub fn workspace() -> Result<PathBuf, Failure> {
    let fix = "run it inside the repository";
    let output = Command::new(cargo())
        .args(["locate-project", "--workspace", "--message-format=plain"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::new(format!("cargo cannot be run: {error}"), "install Rust"))?;
    let manifest = String::from_utf8(output.stdout)
        .map_err(|_| Failure::new("the path of the repository is not UTF-8", "move the repository"))?;
    match Path::new(manifest.trim_end_matches(['\r', '\n'])).parent() {
        Some(root) if output.status.success() => Ok(root.to_owned()),
        _ => Err(Failure::new("cargo finds no workspace here", fix)),
    }
}

/// The client that build.rs makes of the openapi.yaml in `root`. With `locked`, Cargo.lock is not touched either.
///
/// # Errors
///
/// When the build fails or leaves no client.
pub fn generate(root: &Path, locked: bool) -> Result<String, Failure> {
    let mut command = Command::new(cargo());
    command.args(["build", "--package", PACKAGE, "--lib", "--quiet", "--message-format=json-render-diagnostics"]);
    if locked {
        command.arg("--locked");
    }
    let output = command
        .current_dir(root)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::new(format!("cargo cannot be run: {error}"), "install Rust"))?;
    if !output.status.success() {
        let problem = format!("cargo build --package {PACKAGE} --lib failed");
        return Err(Failure::new(problem, format!("correct what cargo says above, then {CODEGEN}")));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let Some(folder) = messages.lines().find_map(out_dir) else {
        return Err(Failure::new(format!("cargo names no OUT_DIR of {PACKAGE}"), "restore build.rs"));
    };
    let made = folder.join(MADE);
    std::fs::read_to_string(&made).map_err(|error| {
        let problem = format!("build.rs left no {MADE} in its OUT_DIR: {error}");
        Failure::new(problem, format!("restore build.rs, then {CODEGEN}"))
    })
}

/// The OUT_DIR in a message of cargo, when the message is about the build script of the root package.
fn out_dir(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let ours = message["reason"] == "build-script-executed" && package_name(message["package_id"].as_str()?) == PACKAGE;
    ours.then(|| message["out_dir"].as_str().map(PathBuf::from))?
}

/// The name in a package id: `…#NAME@VERSION`, or `…/NAME#VERSION` when the folder has the name.
fn package_name(id: &str) -> &str {
    let (source, fragment) = id.split_once('#').unwrap_or((id, ""));
    match fragment.split_once('@') {
        Some((name, _)) => name,
        None => source.rsplit('/').next().unwrap_or(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_out_dir_is_that_of_the_root_package() {
        let executed =
            |id: &str| format!(r#"{{"reason":"build-script-executed","package_id":"{id}","out_dir":"/a b/out"}}"#);
        let cases = [
            (executed("path+file:///home/a%20b/lote#lote-contract@0.1.0"), true),
            (executed("path+file:///home/lote-contract#0.1.0"), true),
            (executed("registry+https://example.org/index#lote-contract-other@0.1.0"), false),
            (executed("path+file:///home/lote-contract/crates/other#0.1.0"), false),
            (executed("path+file:///lote-contract#other@0.1.0"), false),
            (executed("path+file:///lote#lote-contract@0.1.0").replace("executed", "finished"), false),
            ("not a message".to_owned(), false),
        ];
        for (message, ours) in cases {
            assert_eq!(out_dir(&message), ours.then(|| PathBuf::from("/a b/out")), "{message}");
        }
    }
}
