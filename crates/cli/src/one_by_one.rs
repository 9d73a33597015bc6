//! The flags of lines that are sent one by one, without a batch: `lote run`, `resume` and `repair` share them.

use std::time::Duration;

use clap::Args;
use lote::run::{Pace, Run};

use crate::exit::CliError;
use crate::shell::CommandLine;
use crate::values;

/// Whether lines are sent one by one, and how fast. None of it is part of what the run is: it may differ each time.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "One by one")]
pub(crate) struct OneByOneArgs {
    /// Send the lines one by one, each answered at once, where no batch of them was begun; no batch API is needed
    ///
    /// The folder, the results and all that is said of lines are the same. Each answer is kept before
    /// its line counts as finished, and no finished line is sent again, whatever ends the command; what
    /// was in flight then is sent again, with the same Idempotency-Key, and the summary says how much.
    /// What a batch costs less is not to be had.
    #[arg(long)]
    sync: bool,

    /// So long before a batch's window ends, stop it, and send what it leaves one by one, such as 2h
    ///
    /// The batch is waited for until it is over, and fetched, before any of its lines is sent: none is
    /// that it may still answer. Lines that expired are sent as well. The service's clock counts. Where a
    /// cancel does not bring what was finished, the end of the batch is waited for.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    rescue_before: Option<Duration>,

    /// Send the lines of a rescued batch although it has not ended when its window is over: they may be charged twice
    #[arg(long)]
    rescue_anyway: bool,

    /// How many requests may be in flight at once; fewer are, as the service takes them [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    max_in_flight: Option<u32>,

    /// How many requests may be sent in a minute [default: as many as the service takes]
    #[arg(long, value_name = "N", value_parser = values::positive::<u32>)]
    requests_per_minute: Option<u32>,

    /// How many tokens may be sent and answered in a minute [default: as many as the service takes]
    ///
    /// A request counts as a quarter of the bytes of its line, and afterwards as what its answer says
    /// beyond that.
    #[arg(long, value_name = "N", value_parser = values::positive::<u32>)]
    tokens_per_minute: Option<u32>,

    /// How long one request may take, such as 90s or 20m [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    request_timeout: Option<Duration>,
}

impl OneByOneArgs {
    /// A run with these settings.
    pub(crate) fn apply(&self, run: Run) -> Run {
        let mut pace = Pace::new();
        if let Some(most) = self.max_in_flight {
            pace = pace.max_in_flight(most as usize);
        }
        if let Some(requests) = self.requests_per_minute {
            pace = pace.requests_per_minute(requests);
        }
        if let Some(tokens) = self.tokens_per_minute {
            pace = pace.tokens_per_minute(tokens);
        }
        if let Some(timeout) = self.request_timeout {
            pace = pace.timeout(timeout);
        }
        let run = run.synchronous(self.sync).rescue_anyway(self.rescue_anyway).pace(pace);
        match self.rescue_before {
            Some(time) => run.rescue_before(time),
            None => run,
        }
    }

    /// # Errors
    /// With exit 2 when the command is to return before the lines were sent.
    pub(crate) fn check(&self, detach: bool) -> Result<(), CliError> {
        match self.sync && detach {
            true => Err(CliError::usage(
                "--detach: lines that are sent one by one (--sync) are sent by this command alone: nothing would go on; \
                 leave one of them out; nothing was sent",
            )),
            false => Ok(()),
        }
    }

    /// Whether lines are sent one by one.
    pub(crate) fn is_asked(&self) -> bool {
        self.sync
    }

    /// The command that goes on, with all that was asked of this one.
    pub(crate) fn again(&self, mut line: CommandLine) -> CommandLine {
        if self.sync {
            line = line.switch("--sync");
        }
        let values = [
            ("--rescue-before", self.rescue_before.map(values::shown)),
            ("--max-in-flight", self.max_in_flight.map(|most| most.to_string())),
            ("--requests-per-minute", self.requests_per_minute.map(|most| most.to_string())),
            ("--tokens-per-minute", self.tokens_per_minute.map(|most| most.to_string())),
            ("--request-timeout", self.request_timeout.map(values::shown)),
        ];
        for (name, value) in values {
            if let Some(value) = value {
                line = line.flag(name, value);
            }
        }
        line
    }
}
