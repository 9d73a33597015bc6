//! The archive of a release: the command as it was built, its manual pages and completions, and what is to be read. It is
//! laid out as a prefix, so that `tar -xzf ARCHIVE --strip-components=1 -C ~/.local` installs it.
//!
//! The same command of the same commit gives the same bytes.

mod check;

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

pub use self::check::check;
use crate::report::{EXIT_FRESH, Failure};

/// Where the completions of a shell are looked for, below a prefix.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "share/bash-completion/completions/lote"),
    ("zsh", "share/zsh/site-functions/_lote"),
    ("fish", "share/fish/vendor_completions.d/lote.fish"),
];

/// Where manual pages are.
const PAGES: &str = "share/man/man1";

/// What is to be read, from the root of the repository.
const DOCUMENTS: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Where that is.
const DOCUMENTS_AT: &str = "share/doc/lote";

/// The command.
const COMMAND: &str = "bin/lote";

/// Makes the archive of a command that is built, and beside it a file with its SHA-256, in a folder; prints both paths.
/// Exit code 0.
///
/// # Errors
///
/// When the command is not of this version or cannot be run here, or a file cannot be read or written.
pub fn run(
    root: &Path,
    command: &Path,
    target: Option<&str>,
    folder: Option<&Path>,
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let folder = folder.map_or_else(|| default_folder(root), Path::to_owned);
    let archive = make(root, command, target, &folder)?;
    writeln!(out, "{}\n{}", archive.display(), sum_of(&archive).display())?;
    Ok(EXIT_FRESH)
}

fn default_folder(root: &Path) -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target));
    target.join("archive")
}

fn sum_of(archive: &Path) -> PathBuf {
    let mut name = archive.as_os_str().to_owned();
    name.push(".sha256");
    name.into()
}

/// The archive.
fn make(root: &Path, command: &Path, target: Option<&str>, folder: &Path) -> Result<PathBuf, Failure> {
    let command = &fs::canonicalize(command).map_err(cannot(command, "build the command first, and name it"))?;
    let version = env!("CARGO_PKG_VERSION");
    let said = String::from_utf8_lossy(&ask(command, &["--version"])?).trim().to_owned();
    if said.split_whitespace().nth(1) != Some(version) {
        let problem = format!("{} is {said:?}, and this repository {version}", command.display());
        return Err(Failure::new(problem, "build the command of this commit, and name it"));
    }
    let target = target.map_or_else(host, |target| Ok(target.to_owned()))?;
    let date = date(root)?;
    let writable = "make it writable";
    fs::create_dir_all(folder).map_err(cannot(folder, writable))?;
    let staged = tempfile::tempdir_in(folder).map_err(cannot(folder, writable))?;
    let names = stage(root, command, staged.path())?;

    let name = format!("lote-{version}-{target}");
    let archive = folder.join(format!("{name}.tar.gz"));
    let file = tempfile::NamedTempFile::new_in(folder).map_err(cannot(folder, writable))?;
    let packed = pack(file.as_file(), staged.path(), &name, &names, date).and_then(|()| readable(file.as_file()));
    packed.map_err(cannot(&archive, "see that there is room for it"))?;
    let file = file.persist(&archive).map_err(|error| cannot(&archive, writable)(error.error))?;
    drop(file);
    let sum = sum(&archive).map_err(cannot(&archive, "make it readable"))?;
    fs::write(sum_of(&archive), format!("{sum}  {name}.tar.gz\n")).map_err(cannot(folder, writable))?;
    Ok(archive)
}

/// Puts all that the archive holds into a folder, and returns the names of the files, sorted.
fn stage(root: &Path, command: &Path, folder: &Path) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let mut place = |name: String| {
        let path = folder.join(&name);
        names.push(name);
        let made = path.parent().map_or(Ok(()), fs::create_dir_all);
        made.map_err(cannot(folder, "make it writable")).map(|()| path)
    };
    let to = place(COMMAND.to_owned())?;
    fs::copy(command, &to).map_err(cannot(command, "make it readable"))?;
    for document in DOCUMENTS {
        let (from, to) = (root.join(document), place(format!("{DOCUMENTS_AT}/{document}"))?);
        fs::copy(&from, to).map_err(cannot(&from, "restore it"))?;
    }
    for (shell, name) in COMPLETIONS {
        let (script, to) = (ask(command, &["completions", shell])?, place(name.to_owned())?);
        fs::write(&to, script).map_err(cannot(&to, "make it writable"))?;
    }
    let pages = folder.join(PAGES);
    ask(command, &["man", &pages.to_string_lossy()])?;
    let unreadable = cannot(&pages, "make it readable");
    for page in fs::read_dir(&pages).map_err(&unreadable)? {
        names.push(format!("{PAGES}/{}", page.map_err(&unreadable)?.file_name().to_string_lossy()));
    }
    names.sort();
    Ok(names)
}

/// Writes the files as an archive, compressed, with nothing in it of this machine or of this moment.
fn pack(to: &File, from: &Path, name: &str, names: &[String], date: u64) -> io::Result<()> {
    let gzip = GzBuilder::new().mtime(0).write(io::BufWriter::new(to), Compression::best());
    let mut tar = Builder::new(gzip);
    for path in names {
        let file = File::open(from.join(path))?;
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_size(file.metadata()?.len());
        header.set_mode(if path == COMMAND { 0o755 } else { 0o644 });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(date);
        tar.append_data(&mut header, format!("{name}/{path}"), file)?;
    }
    tar.into_inner()?.finish()?.flush()
}

/// A temporary file is its owner's alone; an archive is for everybody.
fn readable(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.sync_all()
}

fn sum(path: &Path) -> io::Result<String> {
    Ok(Sha256::digest(fs::read(path)?).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The date of all files, in seconds since 1970: what `SOURCE_DATE_EPOCH` says, or that of the commit.
fn date(root: &Path) -> Result<u64, Failure> {
    let fix = "set SOURCE_DATE_EPOCH to seconds since 1970";
    let text = match env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text,
        Err(_) => {
            let words = ["log", "-1", "--format=%ct"];
            let output = Command::new("git").args(words).current_dir(root).stdin(Stdio::null()).output();
            let output = output.map_err(|error| Failure::new(format!("git cannot be run: {error}"), fix))?;
            String::from_utf8_lossy(&output.stdout).into_owned()
        }
    };
    text.trim().parse().map_err(|_| Failure::new(format!("the date of the archive is {text:?}"), fix))
}

/// The machine for which rustc builds.
fn host() -> Result<String, Failure> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = ask(Path::new(&rustc), &["--version", "--verbose"])?;
    let said = String::from_utf8_lossy(&said);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| Failure::new("rustc does not say its host", "name it with --target"))
}

/// What a program prints.
fn ask(program: &Path, words: &[&str]) -> Result<Vec<u8>, Failure> {
    let named = format!("{} {}", program.display(), words.join(" "));
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    let output = output.map_err(|error| {
        Failure::new(format!("{named} cannot be run: {error}"), "run it on a machine of the kind that it was built for")
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("{named} ended with {}: {}", output.status, said.trim()), "correct what it says"))
}

fn cannot(path: &Path, fix: &str) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::new(format!("{}: {error}", path.display()), fix)
}
