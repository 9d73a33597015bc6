//! `lote run` of a table: its request lines are made first, and kept in a private file while their run is at work.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::oneshot;

use crate::endpoint::Endpoint;
use crate::exit::{CliError, Exit};
use crate::input;
use crate::interrupt::{Interrupt, Stop};
use crate::out;
use crate::prepare::args::AskArgs;
use crate::prepare::ask::Ask;
use crate::prepare::make::{Made, Making, Refused, id_advice};
use crate::prepare::rows::{self, Format};
use crate::progress::Bar;
use crate::shell::CommandLine;
use crate::spool::Spooled;

/// A table, and what is asked of each row.
pub(crate) struct Table {
    rows: PathBuf,
    format: Format,
    ask: Ask,
    args: AskArgs,
    /// How many of the first rows are run.
    limit: Option<u64>,
}

/// The request lines of a table.
pub(crate) struct Lines {
    pub(crate) spooled: Spooled,
    /// What is said of a column that could name them.
    pub(crate) advice: Option<String>,
}

/// The command that runs a table, to be filled in.
pub(crate) fn example(table: &Path) -> String {
    let line = CommandLine::new("run").word(table).flag("--user", "{{ column }}").flag("--model", "auto");
    format!("  {line}  # with the names of your columns")
}

impl Table {
    /// The table that is given, if what is given is one.
    ///
    /// # Errors
    /// With exit 2 when flags do not go together, and exit 3 when a template or a schema is wrong.
    pub(crate) fn of(
        args: &AskArgs,
        files: &[PathBuf],
        endpoint: Option<&Endpoint>,
        limit: Option<u64>,
    ) -> Result<Option<Arc<Self>>, CliError> {
        if !args.is_given() {
            if let Some(flag) = args.first() {
                return Err(CliError::usage(format!(
                    "{flag} is for the rows of a table: say what is asked of each with --user, --embed or --template; \
                     nothing was sent"
                )));
            }
            let Some(table) = files.iter().find(|file| rows::is_table(file)) else { return Ok(None) };
            return Err(CliError::usage(format!(
                "{}: is a table: say what is asked of each row; nothing was sent",
                table.display()
            ))
            .with([example(table)]));
        }
        let [rows] = files else {
            return Err(CliError::usage("a table is given alone: run one after another; nothing was sent"));
        };
        let format = rows::format(rows, args.format, args.delimiter.is_some())?;
        let ask = Ask::new(args, endpoint)?;
        Ok(Some(Arc::new(Self { rows: rows.clone(), format, ask, args: args.clone(), limit })))
    }

    /// Makes the request lines, within this time if there is a limit.
    ///
    /// # Errors
    /// With exit 3 when something is wrong with the rows, which is told; exit 2 when they cannot be read or the lines not
    /// be kept; exit 5 when that takes too long; exit 130 when the command was interrupted.
    pub(crate) async fn lines(
        self: &Arc<Self>,
        stop: &mut Stop,
        within: Option<Duration>,
        is_json: bool,
    ) -> Result<Lines, CliError> {
        // A report names the file; the user knows the table.
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let name = input::shown(Path::new(self.rows.file_name().unwrap_or_default()));
        let name: String = name.chars().filter(is_plain).take(40).collect();
        let file = Spooled::file(&format!("lote-{name}-"))?;
        self.share(file.as_file());
        let to = file.reopen().map_err(|error| input::temporary(error, file.path()))?;
        let interrupt = Interrupt::default();
        let (send, made) = oneshot::channel();
        let (table, flag) = (Arc::clone(self), interrupt.clone());
        // A thread of its own: a blocked read of stdin cannot be cancelled, and nothing is to wait for it.
        std::thread::spawn(move || send.send(table.make(to, &flag)));
        let too_long = async {
            match within {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        let bar = Bar::new();
        bar.say("making request lines of the rows");
        let made = tokio::select! {
            biased;
            made = made => made.unwrap_or_else(|_| Err(CliError::usage("the rows were not read to their end"))),
            () = stop.asked() => Err(CliError::interrupted()),
            () = too_long => Err(CliError::new(Exit::GaveUp, "gave up before the end of the rows; nothing was sent")),
        };
        // Before anything is printed.
        bar.clear();
        if made.is_err() {
            interrupt.press();
        }
        match made? {
            Made::Refused(refused) => Err(self.refuse(&refused, is_json)?),
            Made::Lines { id, .. } => {
                let shown = format!("the request lines of {}", input::shown(&self.rows));
                let spooled = match input::is_dash(&self.rows) {
                    true => Spooled::of_stdin(file)?,
                    false => Spooled::of(file, self.rows.clone(), shown),
                };
                Ok(Lines { spooled, advice: id.map(|column| id_advice(&column)) })
            }
        }
    }

    fn make(&self, to: File, interrupt: &Interrupt) -> Result<Made, CliError> {
        let Self { rows, format, ask, args, limit } = self;
        let cannot = |error: io::Error| input::temporary(error, &std::env::temp_dir());
        let mut to = BufWriter::with_capacity(1 << 16, to);
        let making = Making { rows, format: *format, delimiter: args.delimiter, ask, limit: *limit };
        let made = making.make(interrupt, &mut |line| {
            to.write_all(line.as_bytes()).and_then(|()| to.write_all(b"\n")).map_err(cannot)
        })?;
        to.into_inner().map_err(|error| cannot(error.into_error()))?.sync_all().map_err(cannot)?;
        Ok(made)
    }

    fn refuse(&self, refused: &Refused, is_json: bool) -> Result<CliError, CliError> {
        if is_json {
            let findings = refused.findings.json();
            out::line(
                json!({ "findings_total": findings.len(), "findings": findings, "fields": refused.findings.fields }),
            )?;
        }
        Ok(refused.tell(&self.rows, "nothing was sent"))
    }

    /// Lets read the lines who may read all that they are made of, as it is of a file of requests.
    fn share(&self, lines: &File) {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let files = self.ask.files().chain((!input::is_dash(&self.rows)).then_some(self.rows.as_path()));
            let mode = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode());
            let all = files.map(mode).reduce(|all, mode| all & mode);
            if let Some(mode) = all {
                // Where that fails they are the owner's alone.
                let _ = lines.set_permissions(std::fs::Permissions::from_mode(mode & 0o644 | 0o600));
            }
        }
        #[cfg(not(unix))]
        let _ = lines;
    }

    /// The command that puts the answers of a run beside the rows.
    pub(crate) fn export(&self, run: &Path) -> Option<CommandLine> {
        let Self { rows, args, .. } = self;
        if input::is_dash(rows) {
            return None;
        }
        let mut line =
            CommandLine::new("export").word(run).flag("-o", rows.with_extension("answers.csv")).flag("--rows", rows);
        if let Some(id) = &args.id {
            line = line.flag("--id", id);
        }
        if let Some(format) = args.format.and_then(|format| clap::ValueEnum::to_possible_value(&format)) {
            line = line.flag("--format", format.get_name());
        }
        if let Some(delimiter) = args.delimiter {
            line = line.flag(
                "--delimiter",
                if delimiter == b'\t' { "tab".to_owned() } else { char::from(delimiter).to_string() },
            );
        }
        Some(line)
    }
}
