//! Owns the running of the guide's shell code; never asserts what it does.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{Ended, ended, repository};
use crate::service::{Embedded, at};

/// The shell code of a page, block by block.
pub(crate) fn blocks(page: &str) -> Vec<String> {
    let page = fs::read_to_string(repository(page)).expect("the page");
    let blocks = page.split("```bash\n").skip(1).map(|part| part.split("```").next().expect("a block").to_owned());
    blocks.collect()
}

/// Runs shell code in a folder, with `lote` at this gateway and these settings in the environment.
pub(crate) fn shell(code: &str, gateway: &Embedded, place: &Path, settings: &[(&str, String)]) -> Ended {
    let lote = at(gateway.url());
    let mut shell = Command::new("bash");
    for (name, value) in lote.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let program = Path::new(lote.get_program()).parent().expect("a folder").to_owned();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").expect("a PATH"));
    shell.env("PATH", path).envs(settings.iter().cloned()).current_dir(place).args(["-c", code]);
    ended(&mut shell, b"")
}
