//! What only the full shape of the command can do: `cargo test --workspace --features lote-cli/full --test full`.

mod caps;
#[path = "../cli/common.rs"]
#[expect(dead_code, reason = "most of it is for the tests of the commands")]
mod common;
#[cfg(unix)]
mod expect;
mod rows;
#[cfg(unix)]
#[path = "../cli/service.rs"]
#[expect(dead_code, reason = "most of it is for the tests of the commands")]
mod service;
#[cfg(unix)]
#[path = "../cli/shell.rs"]
#[expect(dead_code, reason = "most of it is for the tests of the commands")]
mod shell;
mod tables;

#[test]
fn the_version_says_which_shape_it_is() {
    let said = format!("lote {} (full)\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(common::lote(["--version"]).stdout, said);
}
