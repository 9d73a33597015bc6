//! From a file of rows to request lines: all of them, or what is wrong with the rows.

use std::path::Path;

use lote::lines::Uniqueness;

use super::ask::Ask;
use super::candidates::Candidates;
use super::findings::{Findings, delimiter_advice};
use super::rows::{Fault, Format, Row, Rows};
use super::template::Refusal;
use crate::exit::CliError;
use crate::input;
use crate::interrupt::Interrupt;
use crate::out;
use crate::shell;

/// How many fields are named.
const SHOWN_FIELDS: usize = 20;

/// Rows, and what is asked of them.
pub(crate) struct Making<'a> {
    pub(crate) rows: &'a Path,
    pub(crate) format: Format,
    pub(crate) delimiter: Option<u8>,
    pub(crate) ask: &'a Ask,
    /// Only so many of the first rows, for a trial; what comes behind them is not looked at.
    pub(crate) limit: Option<u64>,
}

/// What became of the rows.
pub(crate) enum Made {
    /// Each has its line.
    Lines {
        rows: u64,
        /// A column that could name the lines, which were named by number.
        id: Option<String>,
    },
    /// Something is wrong, and no line counts.
    Refused(Refused),
}

/// What is wrong with the rows.
pub(crate) struct Refused {
    pub(crate) rows: u64,
    pub(crate) findings: Findings,
    advice: Option<String>,
}

impl Making<'_> {
    /// Reads the rows, and gives the line of each for as long as nothing is wrong.
    ///
    /// # Errors
    /// When a file cannot be read or written, or the command was interrupted.
    pub(crate) fn make(
        &self,
        interrupt: &Interrupt,
        line: &mut dyn FnMut(&str) -> Result<(), CliError>,
    ) -> Result<Made, CliError> {
        let mut maker = Maker {
            making: self,
            ids: Uniqueness::spilling(std::env::temp_dir()),
            // What differs in some rows may not in all.
            candidates: (self.ask.counts() && self.limit.is_none()).then(Candidates::default),
            findings: Findings::default(),
        };
        let mut advice = None;
        let mut read = 0;
        match Rows::open(self.rows, self.format, self.delimiter)? {
            Err(fault) => maker.fault(fault)?,
            Ok(mut rows) => {
                let usual = self.format.delimiter();
                advice = usual.and_then(|usual| delimiter_advice(rows.names(), self.delimiter.unwrap_or(usual)));
                while self.limit.is_none_or(|limit| read < limit)
                    && let Some(next) = rows.next()
                {
                    interrupt.check()?;
                    read += 1;
                    let made = match next {
                        Ok(row) => maker.line(&row)?,
                        Err(fault) => Err(fault),
                    };
                    match made {
                        Ok(made) if maker.findings.is_empty() => line(&made)?,
                        Ok(_) => {}
                        Err(fault) => {
                            let last = !matches!(fault, Fault::Row { .. });
                            maker.fault(fault)?;
                            if last || maker.findings.are_enough() {
                                break;
                            }
                        }
                    }
                }
            }
        }
        if read == 0 && maker.findings.is_empty() {
            maker.fault(Fault::Text("holds no rows".to_owned()))?;
        }
        let Maker { ids, candidates, mut findings, .. } = maker;
        ids.finish(&mut |row, first| {
            let message = format!("its id is already that of row {first}; {DIFFER}");
            findings.push(Some((row, None)), message, Some(SAME_ID));
        })
        .map_err(|error| input::cannot_read(self.rows, &error))?;
        Ok(if findings.is_empty() {
            Made::Lines { rows: read, id: candidates.and_then(Candidates::best) }
        } else {
            Made::Refused(Refused { rows: read, findings, advice })
        })
    }
}

/// What rows have in common whose ids are not theirs alone.
const SAME_ID: &str = "id";

/// What to do about them.
const DIFFER: &str = "use --id with a field that differs, or with {{ row_number }}";

/// What becomes of the rows, one by one.
struct Maker<'a> {
    making: &'a Making<'a>,
    ids: Uniqueness,
    candidates: Option<Candidates>,
    findings: Findings,
}

impl Maker<'_> {
    /// The line of a row, or what is wrong with it.
    fn line(&mut self, row: &Row) -> Result<Result<String, Fault>, CliError> {
        let ask = self.making.ask;
        if let Some(candidates) = &mut self.candidates {
            candidates.add(row);
        }
        let id = match ask.id(row) {
            Ok(id) => id,
            Err(refusal) => return Ok(Err(self.fault_of(row, refusal))),
        };
        if !ask.counts() {
            let of_row =
                |message: String, kind| Ok(Err(Fault::Row { number: row.number, line: row.line, message, kind }));
            if id.is_empty() {
                return of_row("--id renders an empty id; use fields that are never empty".to_owned(), None);
            }
            let first =
                self.ids.insert(&id, row.number).map_err(|error| input::cannot_read(self.making.rows, &error))?;
            if let Some(first) = first {
                return of_row(format!("the id {id:?} is already that of row {first}; {DIFFER}"), Some(SAME_ID));
            }
        }
        Ok(ask.line(row, &id).map_err(|refusal| self.fault_of(row, refusal)))
    }

    fn fault_of(&mut self, row: &Row, refusal: Refusal) -> Fault {
        let message = match refusal {
            Refusal::Template(message) => return Fault::Text(message),
            Refusal::Row(message) => message,
            Refusal::Undefined(message) => {
                self.findings.fields.get_or_insert_with(|| row.names());
                message
            }
        };
        Fault::Row { number: row.number, line: row.line, message, kind: None }
    }

    fn fault(&mut self, fault: Fault) -> Result<(), CliError> {
        let (place, message, kind) = match fault {
            Fault::Row { number, line, message, kind } => (Some((number, line)), message, kind),
            Fault::Text(message) => (None, message, None),
            Fault::Io(error) => return Err(input::cannot_read(self.making.rows, &error)),
        };
        self.findings.push(place, message, kind);
        Ok(())
    }
}

impl Refused {
    /// Tells people what is wrong, and gives the error with which the command ends.
    pub(crate) fn tell(&self, rows: &Path, done: &str) -> CliError {
        self.findings.texts().for_each(out::problem);
        if let Some(advice) = &self.advice {
            out::problem(advice);
        } else if let Some(fields) = &self.findings.fields {
            let shown: Vec<_> = fields.iter().take(SHOWN_FIELDS).map(|field| format!("{field:?}")).collect();
            let more = if fields.len() > SHOWN_FIELDS { ", …" } else { "" };
            out::problem(format_args!("the fields as read: {}{more}", shown.join(", ")));
        }
        CliError::refused(format!("{}: {}; {done}", input::shown(rows), self.findings.count()))
    }
}

/// What is said of a column that could name the lines.
pub(crate) fn id_advice(column: &str) -> String {
    let id = shell::quoted(format!("{{{{ {} }}}}", super::suggest::written(column)));
    format!(
        "answers are named by the number of their row; {column:?} differs in every row: with --id {id} they are named by it, \
         whatever order the rows are in later"
    )
}
