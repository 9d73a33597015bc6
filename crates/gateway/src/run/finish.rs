//! The end of a batch: its result files are put together, and a line that nobody has answered gets one that says why.

use std::io;
use std::sync::Arc;

use crate::blobs::Spool;
use crate::contract::Status;
use crate::executor::Failure;
use crate::run::line::{Line, string};
use crate::run::reader::LineReader;
use crate::run::results::{self, Unanswered};
use crate::run::{Run, Trouble};
use crate::state::{Counts, End, Held, NewFile, ResultFile, Results, Role, Slice};

/// The two result files in the making. Neither exists before its first line.
struct Files<'a> {
    run: &'a Run,
    held: &'a Held,
    why: Unanswered<'a>,
    output: Option<Spool>,
    error: Option<Spool>,
    counts: Counts,
}

impl Run {
    pub(super) async fn finish(&self, held: Held) -> Result<(), Trouble> {
        let (status, why) = match held.batch.status {
            Status::Finalizing => (Status::Completed, None),
            Status::Cancelling | Status::Validating => (Status::Cancelled, Some(Unanswered::Cancelled)),
            _ => (Status::Expired, Some(Unanswered::Expired)),
        };
        if status == Status::Completed {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => {}
                () = self.app.clock.sleep(self.app.settings.stage_delay) => {}
            }
        }
        if held.batch.stuck {
            return Ok(());
        }
        let broken = Failure::broken();
        let why = why.unwrap_or(Unanswered::Failed(&broken));
        let mut files = Files { run: self, held: &held, why, output: None, error: None, counts: Counts::default() };
        let clock = &self.app.clock;
        clock.working(files.fill()).await?;
        let Files { output, error, mut counts, .. } = files;
        counts.total = held.batch.counts.total;
        let output = clock.working(self.keep(&held, output, Role::Output)).await?;
        let error = clock.working(self.keep(&held, error, Role::Error)).await?;
        let end = End { status, output, error, counts };
        let batch = clock.working(self.app.state.finish(&self.me, &held, end)).await?.ok_or(Trouble::Lost)?;
        self.app.changed_from(held.batch.status, held.tenant, &batch);
        Ok(())
    }

    /// Makes a file of what was written.
    async fn keep(&self, held: &Held, spool: Option<Spool>, role: Role) -> Result<Option<ResultFile>, Trouble> {
        let Some(spool) = spool else { return Ok(None) };
        let file = NewFile::of_results(&self.app.ids, &held.batch, role, Arc::new(spool.seal().await?));
        Ok(Some(ResultFile::File(file)))
    }
}

impl Files<'_> {
    async fn fill(&mut self) -> Result<(), Trouble> {
        match self.run.app.state.results(self.held).await? {
            Results::Written { output, error, slice } => {
                (self.output, self.error) = (output, error);
                self.counts = self.held.batch.counts;
                if let Some((slice, answered)) = slice {
                    self.rest(slice, &answered).await?;
                }
            }
            Results::Slices(slices) => {
                for slice in slices {
                    self.slice(slice).await?;
                }
            }
        }
        Ok(())
    }

    async fn slice(&mut self, slice: Slice) -> Result<(), Trouble> {
        let mut is_answered = vec![false; slice.lines as usize];
        for recorded in self.run.app.state.recorded(self.held, slice.number).await? {
            let mut start = 0;
            for answered in recorded.answered {
                let end = start + answered.bytes as usize;
                let line = recorded.lines.get(start..end).ok_or_else(|| io::Error::other("a segment is too short"))?;
                start = end;
                // Whoever answered second was fenced; this holds even so.
                match is_answered.get_mut(answered.line as usize) {
                    Some(is_answered) if !*is_answered => *is_answered = true,
                    _ => continue,
                }
                if answered.ok {
                    self.counts.completed += 1;
                } else {
                    self.counts.failed += 1;
                }
                self.write(answered.ok, line).await?;
            }
        }
        self.rest(slice, &is_answered).await
    }

    /// Lines that nobody has answered.
    async fn rest(&mut self, slice: Slice, answered: &[bool]) -> Result<(), Trouble> {
        if answered.iter().all(|is_answered| *is_answered) {
            return Ok(());
        }
        let Some(input) = &self.held.input else { return Ok(()) };
        let app = &self.run.app;
        let mut lines = LineReader::open_at(&input.blob, slice.first_line, slice.start).await?;
        for is_answered in answered {
            let line = lines.next().await?.ok_or_else(|| io::Error::other("an input file has become shorter"))?;
            if *is_answered {
                continue;
            }
            let _room = self.run.room(line.place.bytes).await;
            let bytes = lines.read(line).await?;
            let custom_id = Line::parse(&bytes).ok().and_then(|line| string(line.custom_id?, "custom_id").ok());
            let custom_id = custom_id.ok_or_else(|| io::Error::other("an input file has changed"))?;
            app.metrics.line(self.why.name());
            if matches!(self.why, Unanswered::Failed(_)) {
                self.counts.failed += 1;
            }
            let line = results::unanswered(&app.ids, &self.held.batch.id, &custom_id, self.why);
            self.write(false, &line.map_err(io::Error::from)?).await?;
        }
        Ok(())
    }

    async fn write(&mut self, ok: bool, line: &[u8]) -> io::Result<()> {
        let slot = if ok { &mut self.output } else { &mut self.error };
        let spool = match slot {
            Some(spool) => spool,
            None => slot.insert(self.run.app.state.spool(&self.held.account).await?),
        };
        spool.write(line).await
    }
}
