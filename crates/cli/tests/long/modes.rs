//! How the services behave beside which runs are killed.

use std::time::Duration;

use lote_gateway::faults::{Effect, Fault, Faults, HasMore, Lag, Operation, Refusal, Takes};

/// What is asked of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Course {
    /// To bring an answer to each line, in three batches.
    Run,
    /// The same in one batch.
    One,
    /// The same in three, where one line fails and is tried again once.
    Attempts,
    /// To stop: two of its three batches are at work.
    Cancel,
}

impl Course {
    pub(crate) const ALL: [Course; 4] = [Course::Run, Course::One, Course::Attempts, Course::Cancel];

    /// What is asked of the model.
    pub(crate) fn prompt(self, line: usize) -> String {
        match self {
            Course::Attempts if line == FAILING => "[[status=500]]".to_owned(),
            Course::Cancel => format!("[[sleep=600000]] {line}?"),
            _ => format!("What of {line}?"),
        }
    }

    /// The exit code in the end.
    pub(crate) fn exit(self) -> i32 {
        i32::from(matches!(self, Course::Attempts | Course::Cancel))
    }

    /// The most lines of a batch, of five.
    pub(crate) fn shard(self) -> &'static str {
        if self == Course::One { "5" } else { "2" }
    }

    /// How many batches it takes.
    pub(crate) fn batches(self) -> usize {
        match self {
            Course::Run => 3,
            Course::One => 1,
            Course::Attempts => 4,
            Course::Cancel => 2,
        }
    }

    /// How many batches a line is in.
    pub(crate) fn tries(self, line: usize) -> usize {
        match self {
            Course::Attempts if line == FAILING => 2,
            Course::Cancel if line >= 4 => 0,
            _ => 1,
        }
    }
}

/// The line that fails.
const FAILING: usize = 1;

/// How a service behaves. The account has one batch before the run: a list that shows none proves nothing.
pub(crate) struct Mode {
    pub(crate) name: &'static str,
    pub(crate) course: Course,
    pub(crate) faults: Faults,
    /// Whether it honours idempotency keys.
    pub(crate) honours: bool,
    /// Whether its faults happen in every run.
    pub(crate) sure: bool,
}

pub(crate) fn modes() -> Vec<Mode> {
    let create = |nth| Fault::on(Operation::CreateBatch).nth(nth);
    let always = |operation, effect| Fault::on(operation).then(effect);
    let of = |faults: Vec<Fault>| faults.into_iter().fold(Faults::new(), Faults::fault);
    let mode = |name, faults| Mode { name, course: Course::Run, faults: of(faults), honours: false, sure: true };
    let one = |name, faults| Mode { course: Course::One, ..mode(name, faults) };
    let attempts = |name, faults| Mode { course: Course::Attempts, ..mode(name, faults) };
    let cancel = |name, faults| Mode { course: Course::Cancel, ..mode(name, faults) };
    let first_cancel = |effect| Fault::on(Operation::CancelBatch).nth(1).then(effect);
    let refused = |status| Effect::AnswerReplaced(Refusal::status(status));
    let late = |answer| Effect::Late { after: Duration::from_millis(80), answer };
    let cut = |entries, has_more| always(Operation::ListBatches, Effect::CutList { entries, has_more });
    let ids = |takes| always(Operation::ListBatches, Effect::RewrittenIds { takes });
    let no_metadata = |operation| always(operation, Effect::NullField("metadata".to_owned()));
    vec![
        mode("no fault", vec![]),
        mode("the answer to the first create is lost", vec![create(2).then(Effect::AnswerLost)]),
        mode("the second create is taken and answered with 502", vec![create(3).then(refused(502))]),
        mode("the first create is taken and answered with 409", vec![create(2).then(refused(409))]),
        mode("the second create is taken and answered with 422", vec![create(3).then(refused(422))]),
        mode("the first create is reset before it is taken", vec![create(2).then(Effect::Reset)]),
        mode("the first create takes effect when its connection is gone", vec![create(2).then(late(None))]),
        mode("the second create takes effect after a 504", vec![create(3).then(late(Some(Refusal::status(504))))]),
        mode(
            "the list lags, and the answer to the second create is lost",
            vec![create(3).then(Effect::AnswerLost), create(3).then(Effect::Unlisted(Lag::Looks(2)))],
        ),
        mode("every list is empty", vec![cut(0, HasMore::False)]),
        mode(
            "every list is empty, and the answer to the first create is lost",
            vec![cut(0, HasMore::False), create(2).then(Effect::AnswerLost)],
        ),
        mode(
            "lists are cut without a word, and the answer to the first create is lost",
            vec![cut(1, HasMore::Absent), create(2).then(Effect::AnswerLost)],
        ),
        mode("lists show other ids, and take both", vec![ids(Takes::Both), create(2).then(Effect::AnswerLost)]),
        mode(
            "no metadata is kept, and the answer to the second create is lost",
            vec![
                no_metadata(Operation::CreateBatch),
                no_metadata(Operation::GetBatch),
                no_metadata(Operation::ListBatches),
                create(3).then(Effect::AnswerLost),
            ],
        ),
        Mode { sure: false, ..mode("equal files are one", vec![always(Operation::UploadFile, Effect::Deduplicated)]) },
        mode(
            "the first output file is named late",
            vec![Fault::on(Operation::OutputFile).nth(2).then(Effect::NamedLate(Lag::Looks(2)))],
        ),
        Mode {
            honours: true,
            ..mode(
                "keys are honoured, and the answer to the first create is lost",
                vec![create(2).then(Effect::AnswerLost)],
            )
        },
        Mode {
            honours: true,
            ..mode(
                "keys are honoured, every list is empty, and the second create is answered with 502",
                vec![cut(0, HasMore::False), create(3).then(refused(502))],
            )
        },
        one("all is in one batch", vec![]),
        one("all is in one batch, and the answer to its create is lost", vec![create(2).then(Effect::AnswerLost)]),
        one("all is in one batch, whose create is taken and answered with 409", vec![create(2).then(refused(409))]),
        one(
            "all is in one batch, whose create takes effect later, and the output file is named late",
            vec![
                create(2).then(late(None)),
                Fault::on(Operation::OutputFile).nth(2).then(Effect::NamedLate(Lag::Looks(2))),
            ],
        ),
        attempts("a line is tried again", vec![]),
        attempts(
            "a line is tried again, and the answer to that create is lost",
            vec![create(5).then(Effect::AnswerLost)],
        ),
        Mode {
            honours: true,
            ..attempts(
                "keys are honoured, and a line is tried again by a create that is answered with 502",
                vec![create(5).then(refused(502))],
            )
        },
        cancel("it is cancelled", vec![]),
        cancel(
            "it is cancelled, and the answer to the first cancellation is lost",
            vec![first_cancel(Effect::AnswerLost)],
        ),
        cancel(
            "it is cancelled after a create whose answer was lost, and the first cancellation is answered with 502",
            vec![create(3).then(Effect::AnswerLost), first_cancel(refused(502))],
        ),
    ]
}
