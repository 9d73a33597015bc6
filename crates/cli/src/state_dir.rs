//! Where `lote` keeps what it has learned, beside all runs.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of what services were seen to take at once: `lote/limits` in `$XDG_STATE_HOME`, else in `~/.local/state`; in
/// `~/Library/Application Support` on macOS, and in `%LOCALAPPDATA%` on Windows. None where there is no such place.
pub(crate) fn limits() -> Option<PathBuf> {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    let named = |name: &str| env::var_os(name).map(PathBuf::from).and_then(absolute);
    let home = || env::home_dir().and_then(absolute);
    let root = if cfg!(windows) {
        named("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        named("XDG_STATE_HOME").or_else(|| Some(home()?.join("Library/Application Support")))
    } else {
        named("XDG_STATE_HOME").or_else(|| Some(home()?.join(".local/state")))
    };
    Some(root?.join(Path::new("lote").join("limits")))
}
