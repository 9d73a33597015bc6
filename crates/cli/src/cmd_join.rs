//! `lote join`: from request lines and answers that are here already to a file of results.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use lote::expect::Watching;
use lote::run::join_parts;
use lote::save::Replace;
use serde::Serialize;
use tempfile::{NamedTempFile, TempPath};

use crate::exit::{CliError, Exit};
use crate::expect::ExpectArgs;
use crate::input;
use crate::interrupt::Interrupt;
use crate::lines::{CheckOptions, Join, JoinError, Joined, Named, TemporaryError, check};
use crate::out;
use crate::prepare::output::Output;
use crate::shell;
use crate::spool::{NotCopied, copy_all};
use crate::summary;

/// Put answers that are here into the order of their requests
///
/// Writes one result line for each request line, in the order of the requests, taken from output
/// and error files in any order: what lote run does at its end, with the same summary and the same
/// exit codes. A request that no file answers has error.code "missing", one whose answer cannot be
/// read "unreadable". Nothing is sent. Files that are compressed (gzip, zstd) are read as they are;
/// of answers whose compressed data is cut off or damaged what came is taken, and the rest is
/// "unreadable". The memory does not grow with the lines: what is known of more than 262,144
/// answers is in temporary files beside the results, less than 300 bytes for each, of which nothing
/// is left.
///
/// Given the folders of the runs of all parts of one input (lote run --partition), in any order, it
/// puts their results together in the order of the input. They are read side by side, in a memory
/// that does not grow with them; a part that is missing, not finished or of another input is
/// refused.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  lote join requests.jsonl output.jsonl -o results.jsonl
  lote join requests.jsonl output.jsonl errors.jsonl -o results.jsonl --json | jq .missing
  lote files content file-abc123 | lote join requests.jsonl - errors.jsonl -o results.jsonl
  lote join requests.*-of-5.run -o results.jsonl
  lote join requests.jsonl output.jsonl -o results.jsonl --expect requested

Exit 0: every line succeeded. 1: some did not, or a file of answers is damaged. 2: usage, or a
file that cannot be read or written. 3: the requests are refused, such as two with one
custom_id, or none. 130: interrupted."
)]
pub(crate) struct JoinArgs {
    /// The request file, or - for stdin; or the folder of the run of a part
    #[arg(value_parser = input::path())]
    requests: PathBuf,

    /// Output and error files, or - for stdin; or the folders of the runs of the other parts
    #[arg(value_parser = input::path())]
    answers: Vec<PathBuf>,

    /// Where the results are to be; - is stdout, and then the summary goes to stderr. For the summary alone, /dev/null:
    /// answers are then read once and not twice
    #[arg(short, long, required = true, value_name = "FILE", value_parser = input::output())]
    output: PathBuf,

    /// Replace the output although it holds something else than these results
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    expect: ExpectArgs,

    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// What is printed as JSON: the fields of the join, and where its results are.
#[derive(Serialize)]
struct Summary<'a> {
    #[serde(flatten)]
    joined: &'a Joined,
    results: String,
    seconds: f64,
}

/// # Errors
/// When there are no results, with the exit code that says why.
pub(crate) fn run(args: &JoinArgs, interrupt: &Interrupt) -> Result<Exit, CliError> {
    let started = Instant::now();
    if args.requests.is_dir() {
        return parts(args, interrupt, started);
    }
    if args.answers.is_empty() {
        let why =
            "no file of answers is named: lote join REQUESTS OUTPUT -o RESULTS, with the error file behind the output";
        return Err(CliError::usage(format!("{}: {why}", input::shown(&args.requests))));
    }
    let expect = args.expect.load()?;
    check_places(args)?;
    let inputs: Vec<&Path> = std::iter::once(&args.requests).chain(&args.answers).map(PathBuf::as_path).collect();
    // The same command again leaves the file as it is.
    let replace = if args.force { Replace::Anything } else { Replace::Same };
    let mut output = Output::new(&args.output, "results", replace, &inputs)?;
    if let Some(path) = output.half_made() {
        interrupt.half_made(path);
    }
    let sources: Vec<Source> =
        std::iter::once(&args.requests).chain(&args.answers).map(|path| Source::new(path)).collect::<Result<_, _>>()?;
    let named: Vec<Named<'_>> = sources.iter().map(Source::named).collect();
    let mut join = Join::new(named[0], named[1..].iter().copied());
    if !input::is_dash(&args.output) {
        join = join.folder(folder(&args.output));
    }
    let joined = match &expect {
        Some(expect) => {
            let watching = Watching::new(expect, &mut output).requests(&sources[0].path);
            let mut watching = watching.map_err(|error| CliError::usage(error.to_string()))?;
            join.write(&mut watching).map(|joined| fitting(joined, watching))
        }
        None if is_null(&args.output) => join.count(),
        None => join.write(&mut output),
    };
    let joined = joined.map_err(|error| refused(&error))?;
    interrupt.check()?;
    if joined.lines == 0 {
        return Err(without_a_line(&sources[0])?);
    }
    output.finish()?;
    print(args, &joined, started.elapsed().as_secs_f64())?;
    Ok(if joined.all_succeeded() { Exit::Success } else { Exit::Incomplete })
}

/// What was joined, with how the answers fit.
fn fitting<W: io::Write>(mut joined: Joined, watching: Watching<W>) -> Joined {
    joined.fit = Some(watching.finish().1);
    joined
}

/// Whether nobody can read what is written to a path: it is `/dev/null`.
#[cfg(unix)]
fn is_null(path: &Path) -> bool {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    let device = |path: &Path| {
        let found = fs::metadata(path).ok().filter(|found| found.file_type().is_char_device());
        found.map(|found| found.rdev())
    };
    !input::is_dash(path) && device(path).is_some_and(|number| device(Path::new("/dev/null")) == Some(number))
}

#[cfg(not(unix))]
fn is_null(_: &Path) -> bool {
    false
}

/// Puts the results of parts together.
fn parts(args: &JoinArgs, interrupt: &Interrupt, started: Instant) -> Result<Exit, CliError> {
    let folders: Vec<&Path> = std::iter::once(&args.requests).chain(&args.answers).map(PathBuf::as_path).collect();
    if let Some(file) = folders.iter().find(|folder| !folder.is_dir()) {
        let message = format!("{}: no folder: the parts of an input are the folders of their runs", file.display());
        return Err(CliError::usage(message));
    }
    let expect = args.expect.load()?;
    if expect.as_ref().is_some_and(|expect| expect.name() == "requested") {
        let why = "--expect requested: the folders of parts are put together without the requests, which say what was asked \
                   for: give it to lote run, or hold the results against the requests (lote join REQUESTS RESULTS)";
        return Err(CliError::usage(why));
    }
    let results: Vec<PathBuf> = folders.iter().map(|folder| folder.join("results.jsonl")).collect();
    let inputs: Vec<&Path> = results.iter().map(PathBuf::as_path).collect();
    let replace = if args.force { Replace::Anything } else { Replace::Same };
    let mut output = Output::new(&args.output, "results", replace, &inputs)?;
    if let Some(path) = output.half_made() {
        interrupt.half_made(path);
    }
    let joined = match &expect {
        Some(expect) => {
            let mut watching = Watching::new(expect, &mut output);
            join_parts(&folders, &mut watching).map(|joined| fitting(joined, watching))
        }
        None => join_parts(&folders, &mut output),
    };
    let joined = joined.map_err(|error| CliError::usage(error.to_string()))?;
    interrupt.check()?;
    output.finish()?;
    print(args, &joined, started.elapsed().as_secs_f64())?;
    Ok(if joined.all_succeeded() { Exit::Success } else { Exit::Incomplete })
}

/// The folder that a path is in.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses what would lose a file, or read stdin twice.
fn check_places(args: &JoinArgs) -> Result<(), CliError> {
    let inputs = || std::iter::once(&args.requests).chain(&args.answers);
    if inputs().filter(|path| input::is_dash(path)).count() > 1 {
        return Err(CliError::usage("-: stdin can be only one of the files"));
    }
    let real = |path: &Path| fs::canonicalize(path).ok();
    let output = real(&args.output).filter(|_| !input::is_dash(&args.output));
    match inputs().find(|path| output.is_some() && real(path) == output) {
        Some(path) => Err(CliError::usage(format!(
            "{}: it is one of the files to join ({}); choose another -o",
            args.output.display(),
            path.display()
        ))),
        None => Ok(()),
    }
}

/// One of the files; stdin, which can be read only once, from a temporary file.
struct Source {
    path: PathBuf,
    name: String,
    _spool: Option<TempPath>,
}

impl Source {
    fn new(path: &Path) -> Result<Self, CliError> {
        let name = input::shown(path);
        let regular = fs::metadata(path).is_ok_and(|found| found.is_file());
        if regular {
            return Ok(Self { path: path.to_owned(), name, _spool: None });
        }
        // Opened first: what is not there, or is a folder, is told before anything is made.
        let mut source = input::open_as_is(path)?;
        let cannot_keep = |error: &io::Error| {
            let folder = std::env::temp_dir();
            CliError::usage(format!("{}: {name} cannot be kept there while it is joined: {error}", folder.display()))
        };
        let mut spooled = NamedTempFile::new().map_err(|error| cannot_keep(&error))?;
        copy_all(&mut source, spooled.as_file_mut()).map_err(|error| match error {
            NotCopied::Read(error) => input::cannot_read(path, &error),
            NotCopied::Write(error) => cannot_keep(&error),
        })?;
        // Closed, since there may be many of them.
        let spooled = spooled.into_temp_path();
        Ok(Self { path: spooled.to_path_buf(), name, _spool: Some(spooled) })
    }

    fn named(&self) -> Named<'_> {
        Named::new(&self.path, &self.name)
    }
}

/// What `lote check` says of requests without a line.
fn without_a_line(requests: &Source) -> Result<CliError, CliError> {
    let mut said = None;
    let options = CheckOptions::default();
    check(input::open(&requests.path)?, &options, &mut |finding| said = said.take().or(Some(finding.message)), None)
        .map_err(|error| input::cannot_read(&requests.path, &error))?;
    let said = said.unwrap_or_else(|| "the file was changed while it was read; join again".to_owned());
    Ok(CliError::refused(format!("{}: {said}", requests.name)))
}

fn refused(error: &JoinError) -> CliError {
    if let JoinError::Temporary { folder, .. } = error {
        return input::temporary(error, folder);
    }
    if let Some(temporary) = error.io_error().and_then(TemporaryError::inside) {
        return input::temporary(temporary, temporary.folder());
    }
    let exit = if error.io_error().is_some() { Exit::Usage } else { Exit::Refused };
    CliError::new(exit, error.to_string())
}

fn print(args: &JoinArgs, joined: &Joined, seconds: f64) -> Result<(), CliError> {
    let (shown, quoted) = match input::is_dash(&args.output) {
        true => ("stdout".to_owned(), "stdout".to_owned()),
        false => (args.output.display().to_string(), shell::quoted(&args.output)),
    };
    let to_stderr = input::is_dash(&args.output);
    if args.json {
        let summary = Summary { joined, results: shown, seconds };
        let text = serde_json::to_string(&summary).map_err(|error| CliError::usage(format!("summary: {error}")))?;
        if !to_stderr {
            return out::line(text);
        }
        out::note_line(text);
        return Ok(());
    }
    let mut lines = summary::lines(joined, "", None);
    lines.extend([format!("time: {seconds:.1} s"), format!("results: {quoted}")]);
    if !to_stderr {
        let (first, rest) = lines.split_at(1);
        out::told(first, joined.all_succeeded())?;
        return out::lines(rest);
    }
    lines.iter().for_each(out::note);
    Ok(())
}
