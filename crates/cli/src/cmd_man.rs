//! `lote man`: manual pages from the same words as the help.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use crate::args::Cli;
use crate::exit::{CliError, Exit};
use crate::input;
use crate::out;
use crate::shell;

/// Write a manual page for each command, for packages
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lote man /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The folder of the pages, which is made if it is not there
    #[arg(value_name = "FOLDER", value_parser = input::path())]
    folder: PathBuf,
}

/// # Errors
/// With exit 2 when a page cannot be written.
pub(crate) fn run(args: &ManArgs) -> Result<Exit, CliError> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let written = fs::create_dir_all(&args.folder).and_then(|()| write(&command, &args.folder));
    let count = written.map_err(|error| CliError::usage(format!("{}: {error}", args.folder.display())))?;
    out::note(format_args!("{} written to {}", out::count(count, "page"), shell::quoted(&args.folder)));
    Ok(Exit::Success)
}

/// The pages of a command and of those below it; how many.
fn write(command: &Command, folder: &Path) -> io::Result<u64> {
    let mut count = 1;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        count += write(below, folder)?;
    }
    let man = Man::new(command.clone());
    fs::write(folder.join(man.get_filename()), page(&man, command)?)?;
    Ok(count)
}

/// A page. What stands below a help, such as its examples, keeps its lines, which would otherwise be filled as prose.
fn page(man: &Man, command: &Command) -> io::Result<Vec<u8>> {
    // Not the generator's: it leaves out a date that is empty, and what follows is then shown in its place.
    let name = man.get_filename();
    let name = name.trim_end_matches(".1");
    let mut page = format!(".TH {name} 1 \"\" \"lote {}\" \"User Commands\"\n", env!("CARGO_PKG_VERSION")).into_bytes();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|below| !below.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(below) = command.get_after_help() {
        page.extend(verbatim(&below.to_string()).bytes());
    }
    Ok(page)
}

/// Lines of text as they are, those that end in a colon and are not indented as headings.
fn verbatim(text: &str) -> String {
    let mut page = String::new();
    let mut is_open = false;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let heading = line.strip_suffix(':').filter(|heading| !heading.starts_with(' '));
        if let Some(heading) = heading {
            page.push_str(if is_open { ".fi\n" } else { "" });
            page.push_str(&format!(".SH {}\n.nf\n", heading.to_uppercase()));
        } else {
            page.push_str(if is_open { "" } else { ".SH NOTES\n.nf\n" });
            // A point or an apostrophe at the beginning would be a request to roff, and a hyphen alone a dash.
            page.push_str(&format!("\\&{}\n", line.replace('\\', "\\e").replace('-', "\\-")));
        }
        is_open = true;
    }
    page.push_str(if is_open { ".fi\n" } else { "" });
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_below_a_help_keeps_its_lines_and_asks_nothing_of_roff() {
        let page = verbatim("Examples:\n  lote x -o 'a\\b'\n.so /etc/passwd\n\nExit codes:\n  0  all");
        let expected = ".SH EXAMPLES\n.nf\n\\&  lote x \\-o 'a\\eb'\n\\&.so /etc/passwd\n.fi\n.SH EXIT CODES\n.nf\n\\&  0  all\n.fi\n";
        assert_eq!(page, expected);
        assert_eq!(verbatim("Exit 0: yes"), ".SH NOTES\n.nf\n\\&Exit 0: yes\n.fi\n");
        assert_eq!(verbatim(""), "");
    }
}
