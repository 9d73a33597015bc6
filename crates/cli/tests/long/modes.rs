//! How the services behave beside which runs are killed.

use std::time::Duration;

use lote_gateway::faults::{Effect, Fault, Faults, HasMore, Lag, Operation, Refusal, Takes};

/// How a service behaves. The account has one batch before the run: a list that shows none proves nothing.
pub(crate) struct Mode {
    pub(crate) name: &'static str,
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
    let mode = |name, faults| Mode { name, faults: of(faults), honours: false, sure: true };
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
    ]
}
