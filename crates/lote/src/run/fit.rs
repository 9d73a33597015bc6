//! How the results of a run fit what is expected of them, where that was not said when they were put together.

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::Path,
};

use super::{
    RunError,
    folder::{Folder, RESULTS},
    merge::{Fault, Pair, Parts},
};
use crate::{
    expect::{self, Expect},
    lines::Fit,
};

/// Reads them, and their request lines where those say what is expected. Nothing is written.
pub(super) fn count(folder: &Path, expect: &Expect) -> Result<Fit, RunError> {
    let counted = if expect.is_in_requests() { beside_requests(folder, expect)? } else { alone(folder, expect) };
    counted.map_err(|Fault(path, error)| match error.kind() {
        io::ErrorKind::NotFound if path.starts_with(folder.join("shards")) => RunError::place(
            folder,
            "the request lines, which say what was asked for, or what came of them were cleaned away: hold the results \
             against the requests themselves (lote join REQUESTS RESULTS --expect requested)",
        ),
        _ => RunError::io("read", &path, error).at(folder),
    })
}

fn alone(folder: &Path, expect: &Expect) -> Result<Fit, Fault> {
    let path = folder.join(RESULTS);
    let fault = |error| Fault(path.clone(), error);
    let mut lines = BufReader::with_capacity(256 << 10, File::open(&path).map_err(fault)?);
    let (mut tally, mut line) = (expect.tally(), Vec::new());
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(fault)? == 0 {
            return Ok(tally.finish());
        }
        if let Some(verdict) = expect.judge(&[], line.trim_ascii_end()) {
            expect::count(&mut tally, verdict);
        }
    }
}

fn beside_requests(folder: &Path, expect: &Expect) -> Result<Result<Fit, Fault>, RunError> {
    let seen = Folder::look(folder)?;
    let parts = Parts::in_state(&seen.state, &seen.record).expecting(Some(expect));
    let mut tally = expect.tally();
    let walked = parts.walk(folder, &std::env::temp_dir(), &mut |pair: Pair<'_>| {
        if let Some(verdict) = expect.judge(pair.request, pair.result) {
            expect::count(&mut tally, verdict);
        }
        Ok(())
    });
    Ok(walked.map(|()| tally.finish()))
}
