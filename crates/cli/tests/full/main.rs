//! What only the full shape of the command can do: `cargo test --workspace --features lote-cli/full --test full`.

mod caps;
