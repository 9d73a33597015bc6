//! Which run is meant: its folder, or the file of requests that it stands beside.

use std::fs;
use std::path::{Path, PathBuf};

use crate::exit::CliError;
use crate::input;
use crate::out;
use crate::shell;

/// The folder of the run that is named by it, or by the file of requests that it is a run of.
///
/// # Errors
/// With exit 2 when there is no such folder.
pub(crate) fn of_run(named: &Path) -> Result<PathBuf, CliError> {
    if !named.is_file() {
        return Ok(named.to_owned());
    }
    let folder = named.with_extension("run");
    let beside = runs_of(named);
    match (folder.is_dir(), beside.as_slice()) {
        (true, _) => {
            if let [_, ..] = others(&beside, &folder).as_slice() {
                let others: Vec<String> = others(&beside, &folder).iter().map(shell::quoted).collect();
                out::note(format_args!("there are other runs of it: {}", others.join(", ")));
            }
            Ok(folder)
        }
        (false, [one]) => Ok(one.clone()),
        (false, []) => Err(CliError::usage(format!(
            "{}: there is no run of it here, such as {}; name the folder of one (lote runs)",
            input::shown(named),
            shell::quoted(&folder),
        ))),
        (false, several) => Err(CliError::usage(format!(
            "{}: there are several runs of it; name one: {}",
            input::shown(named),
            several.iter().map(shell::quoted).collect::<Vec<_>>().join(", "),
        ))),
    }
}

fn others<'a>(beside: &'a [PathBuf], folder: &Path) -> Vec<&'a PathBuf> {
    beside.iter().filter(|other| *other != folder).collect()
}

/// The folders of runs that are named after a file of requests: `requests.run`, `requests.2.run`, `requests.1-of-5.run`.
fn runs_of(requests: &Path) -> Vec<PathBuf> {
    let Some(stem) = requests.file_stem().map(|stem| stem.to_string_lossy().into_owned()) else { return Vec::new() };
    let parent = requests.parent().filter(|parent| !parent.as_os_str().is_empty());
    let entries = fs::read_dir(parent.unwrap_or(Path::new("."))).into_iter().flatten().flatten();
    let is_named = |name: &str| {
        let middle = name.strip_prefix(&stem).and_then(|rest| rest.strip_suffix(".run"));
        middle.is_some_and(|middle| {
            let number = middle.trim_start_matches('.');
            middle.is_empty() || (middle.starts_with('.') && number.starts_with(|c: char| c.is_ascii_digit()))
        })
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_named(name))
        .map(|name| requests.with_file_name(name))
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}
