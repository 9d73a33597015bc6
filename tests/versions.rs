//! The oldest Rust that is supported is stated in Cargo.toml; where people read it, it is the same.

use std::fs;

#[test]
fn the_oldest_rust_is_told_as_cargo_toml_states_it() {
    let manifest = fs::read_to_string("Cargo.toml").unwrap();
    let stated = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    for page in ["README.md", "CONTRIBUTING.md"] {
        let text = fs::read_to_string(page).unwrap();
        assert!(text.contains(&format!("{stated} or newer")), "{page}: say Rust {stated} or newer");
    }
}
