//! The programs of ours that are measured, built as they are released.

use std::{
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{client::cargo, outside, report::Failure, tee};

/// What is built for a release: the command, and the parse that it is held against.
pub(super) const RELEASED: [&[&str]; 2] = [
    &["build", "--release", "--package", "lote-cli", "--bin", "lote"],
    &["build", "--release", "--package", "lote-lines", "--example", "floor"],
];

/// What the tests of everything have built already.
const FLOOR: &[&str] = &["build", "--workspace", "--example", "floor"];

pub(super) struct Programs {
    pub(super) lote: PathBuf,
    pub(super) floor: Option<PathBuf>,
}

/// Builds the programs: as they are released, or as tests use them.
pub(super) fn programs(
    root: &Path,
    quick: bool,
    lote: Option<&Path>,
    out: &mut dyn Write,
) -> Result<Programs, Failure> {
    if quick {
        let lote = lote.map_or_else(|| outside::build(root, out), |lote| Ok(lote.to_owned()))?;
        build(root, FLOOR, &[], out)?;
        return Ok(Programs { lote, floor: Some(at(&target(root), "debug/examples/floor")) });
    }
    let target = target(root);
    let built = match lote {
        Some(lote) => lote.to_owned(),
        None => {
            writeln!(out, "building lote as it is released; the first time this takes minutes")?;
            build(root, RELEASED[0], &[], out)?;
            at(&target, "release/lote")
        }
    };
    build(root, RELEASED[1], &[], out)?;
    Ok(Programs { lote: built, floor: Some(at(&target, "release/examples/floor")) })
}

/// Where cargo builds.
pub(super) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |folder| root.join(folder))
}

pub(super) fn at(target: &Path, name: &str) -> PathBuf {
    target.join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
}

/// Runs cargo in a folder.
pub(super) fn build(
    folder: &Path,
    words: &[&str],
    environment: &[(&str, &OsStr)],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    out.flush()?;
    let mut command = Command::new(cargo());
    command.args(words).arg("--quiet").envs(environment.iter().copied()).current_dir(folder).stdin(Stdio::null());
    let pass = |bytes: &[u8]| out.write_all(bytes).and_then(|()| out.flush());
    let what = format!("cargo {}", words.join(" "));
    match tee::run(command, None, pass) {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Failure::new(format!("{what} fails"), "correct what cargo says above")),
        Err(error) => Err(Failure::new(format!("{what} cannot be run: {error}"), "install Rust")),
    }
}
