//! Whether an archive holds what it should: it is opened, and what is in it used as a machine would use it.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
};

use super::{COMMAND, COMPLETIONS, DOCUMENTS, DOCUMENTS_AT, PAGES, ask, cannot, default_folder, make, sum, sum_of};
use crate::{
    outside::{self, Ended},
    report::{Failure, Finding},
};

/// How each shell completes `lote sta`, which is to become `lote status`; the script is the last word.
const SHELLS: [(&str, &[&str]); 3] = [
    (
        "bash",
        &[
            "--norc",
            "--noprofile",
            "-c",
            "source \"$1\" && COMP_WORDS=(lote sta) COMP_CWORD=1 && _lote lote sta lote && printf '%s\\n' \"${COMPREPLY[@]}\"",
            "bash",
        ],
    ),
    // It completes on a terminal alone: here it is seen that the script is taken for that of the command, and loads.
    (
        "zsh",
        &[
            "-f",
            "-c",
            "fpath=(${1:h} $fpath); autoload -Uz compinit && compinit -u -D && autoload +X $_comps[lote] && \
             [[ $functions[_lote] == *status* ]] && print status",
            "zsh",
        ],
    ),
    ("fish", &["--no-config", "-c", "source $argv[1]; and complete --do-complete 'lote sta'"]),
];

/// What reads manual pages; each complains on one of its outputs, or says nothing there.
const READERS: [(&str, &[&str]); 3] = [
    ("man", &["--warnings", "--local-file"]),
    ("groff", &["-Kutf8", "-Tutf8", "-man", "-ww"]),
    // Its warnings are about style, such as a date that is not there.
    ("mandoc", &["-Tlint", "-Werror"]),
];

/// Makes the archive of the full command as it is built for tests, and looks at what is in it.
///
/// # Errors
///
/// When the command does not build, or the archive cannot be made or opened.
pub fn check(root: &Path, out: &mut dyn Write) -> Result<Ended, Failure> {
    let folder = default_folder(root);
    let command = outside::build_full(root, out)?;
    let archive = make(root, &command, None, &folder)?;
    let opened = folder.join("opened");
    if opened.exists() {
        fs::remove_dir_all(&opened).map_err(cannot(&opened, "make it writable"))?;
    }
    fs::create_dir_all(&opened).map_err(cannot(&opened, "make it writable"))?;
    let (archive_word, opened_word) = (archive.to_string_lossy(), opened.to_string_lossy());
    ask(Path::new("tar"), &["-xzf", &archive_word, "--strip-components=1", "-C", &opened_word])?;

    let mut found = Vec::new();
    let told = fs::read_to_string(sum_of(&archive)).map_err(cannot(&archive, "make it readable"))?;
    if told.split_whitespace().next() != Some(&sum(&archive).map_err(cannot(&archive, "make it readable"))?) {
        found.push("its SHA-256 is not that of its file".to_owned());
    }
    ask(&opened.join(COMMAND), &["--version"])?;
    let documents = DOCUMENTS.map(|name| format!("{DOCUMENTS_AT}/{name}"));
    let scripts = COMPLETIONS.map(|(_, name)| name.to_owned());
    for name in documents.iter().chain(&scripts) {
        if fs::metadata(opened.join(name)).map_or(0, |file| file.len()) == 0 {
            found.push(format!("{name} is not there, or empty"));
        }
    }
    let mut left_out = Vec::new();
    shells(&opened, &mut found, &mut left_out)?;
    pages(&opened.join(PAGES), &mut found, &mut left_out)?;
    for reason in &left_out {
        writeln!(out, "skipped: {reason}")?;
    }
    for problem in &found {
        let finding = Finding::new(format!("{}: {problem}", archive.display()), "correct what it is made of");
        writeln!(out, "{finding}")?;
    }
    Ok(if found.is_empty() { Ended::Passed { left_out } } else { Ended::Failed })
}

/// Whether each shell that is here completes the command.
fn shells(opened: &Path, found: &mut Vec<String>, left_out: &mut Vec<String>) -> Result<(), Failure> {
    for ((shell, words), (_, script)) in SHELLS.into_iter().zip(COMPLETIONS) {
        let mut command = Command::new(shell);
        command.args(words).arg(opened.join(script)).env("HOME", opened);
        match answer(command, shell)? {
            None => left_out.push(format!("completions of {shell}, which is not installed")),
            Some((printed, _)) if printed.split_whitespace().next() == Some("status") => {}
            Some((printed, said)) => found.push(format!("{script} does not complete `lote sta`: {printed}{said}")),
        }
    }
    Ok(())
}

/// Whether each reader that is here shows all pages without a complaint.
fn pages(folder: &Path, found: &mut Vec<String>, left_out: &mut Vec<String>) -> Result<(), Failure> {
    let mut pages = Vec::new();
    for page in fs::read_dir(folder).map_err(cannot(folder, "make it readable"))? {
        pages.push(page.map_err(cannot(folder, "make it readable"))?.path());
    }
    pages.sort();
    for (reader, words) in READERS {
        for page in &pages {
            let mut command = Command::new(reader);
            command.args(words).arg(page).env("LC_ALL", "C.UTF-8").env("MANWIDTH", "80").env_remove("MANPAGER");
            let Some((printed, said)) = answer(command, reader)? else {
                left_out.push(format!("manual pages as {reader} shows them, which is not installed"));
                break;
            };
            let complaint = if reader == "mandoc" { &printed } else { &said };
            if !complaint.is_empty() || (reader != "mandoc" && !printed.contains("User Commands")) {
                found.push(format!("{reader} of {}: {printed:.200}{complaint}", page.display()));
            }
        }
    }
    Ok(())
}

/// What a program prints and what it says; none when it is not installed.
fn answer(mut command: Command, name: &str) -> Result<Option<(String, String)>, Failure> {
    match command.stdin(Stdio::null()).output() {
        Ok(output) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Ok(Some((text(&output.stdout), text(&output.stderr))))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::new(format!("{name} cannot be run: {error}"), format!("mend {name}"))),
    }
}
