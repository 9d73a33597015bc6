//! The words of the contract that all of the gateway shares: the two faces, the endpoints, the statuses of a batch and
//! the steps between them.

/// The face a request came in through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// `/api/v1/llm`
    Mka1,
    /// `/v1`
    OpenAi,
}

/// Purposes an upload may have, on both sides: the enum of MKA1's and of OpenAI's upload.
pub(crate) const UPLOAD_PURPOSES: [&str; 6] = ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"];

/// The purpose of result files, under both prefixes.
pub(crate) const RESULT_PURPOSE: &str = "batch_output";

/// Seconds that the files of a batch live under `/v1` when nothing else is asked for: 30 days, by
/// OpenAI's CreateFileRequest. MKA1 publishes no such rule.
const BATCH_FILE_LIFE: i64 = 2_592_000;

/// A batch endpoint. The spelling is OpenAI's on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    ChatCompletions,
    Responses,
    Embeddings,
    ImageGenerations,
    Completions,
    Moderations,
    ImageEdits,
    Videos,
}

impl Endpoint {
    pub(crate) const ALL: [Endpoint; 8] = [
        Endpoint::ChatCompletions,
        Endpoint::Responses,
        Endpoint::Embeddings,
        Endpoint::ImageGenerations,
        Endpoint::Completions,
        Endpoint::Moderations,
        Endpoint::ImageEdits,
        Endpoint::Videos,
    ];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Endpoint::ChatCompletions => "/v1/chat/completions",
            Endpoint::Responses => "/v1/responses",
            Endpoint::Embeddings => "/v1/embeddings",
            Endpoint::ImageGenerations => "/v1/images/generations",
            Endpoint::Completions => "/v1/completions",
            Endpoint::Moderations => "/v1/moderations",
            Endpoint::ImageEdits => "/v1/images/edits",
            Endpoint::Videos => "/v1/videos",
        }
    }

    /// The path below a prefix where requests are answered at once.
    pub(crate) fn operation(self) -> &'static str {
        self.path().trim_start_matches("/v1")
    }

    /// Whether a body must name a model there. Moderations, images and videos have defaults.
    pub(crate) fn needs_model(self) -> bool {
        matches!(self, Endpoint::ChatCompletions | Endpoint::Responses | Endpoint::Embeddings | Endpoint::Completions)
    }
}

impl View {
    /// Where this face is served.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            View::Mka1 => "/api/v1/llm",
            View::OpenAi => "/v1",
        }
    }

    /// Seconds that a file of this purpose lives unless something else was asked for.
    pub(crate) fn file_life(self, purpose: &str) -> Option<i64> {
        (self == View::OpenAi && purpose.starts_with("batch")).then_some(BATCH_FILE_LIFE)
    }

    /// Endpoints a batch may be created for: the four that MKA1's client names, the eight of OpenAI's document.
    pub(crate) fn endpoints(self) -> &'static [Endpoint] {
        match self {
            View::Mka1 => Endpoint::ALL.first_chunk::<4>().map_or(&[], |four| four),
            View::OpenAi => &Endpoint::ALL,
        }
    }

    /// The endpoint spelled `path`, if this face takes it.
    pub(crate) fn endpoint(self, path: &str) -> Option<Endpoint> {
        self.endpoints().iter().copied().find(|endpoint| endpoint.path() == path)
    }
}

/// The eight statuses of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Validating,
    Failed,
    InProgress,
    Finalizing,
    Completed,
    Expired,
    Cancelling,
    Cancelled,
}

impl Status {
    /// Every one of them, in the order of a batch's life.
    pub(crate) const ALL: [Self; 8] = [
        Self::Validating,
        Self::Failed,
        Self::InProgress,
        Self::Finalizing,
        Self::Completed,
        Self::Expired,
        Self::Cancelling,
        Self::Cancelled,
    ];

    /// Those that a batch ends with.
    pub(crate) const LAST: [Status; 4] = [Status::Completed, Status::Failed, Status::Expired, Status::Cancelled];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Validating => "validating",
            Status::Failed => "failed",
            Status::InProgress => "in_progress",
            Status::Finalizing => "finalizing",
            Status::Completed => "completed",
            Status::Expired => "expired",
            Status::Cancelling => "cancelling",
            Status::Cancelled => "cancelled",
        }
    }

    pub(crate) fn is_terminal(self) -> bool {
        matches!(self, Status::Failed | Status::Completed | Status::Expired | Status::Cancelled)
    }

    /// The legal steps, as OpenAI's guide describes the statuses. A batch may be cancelled in each of its three running
    /// statuses; only one that is running or finalizing can expire, so one whose window ends while
    /// it waits in `validating` runs at that instant, and expires; a batch that fails while
    /// running (the gateway's disk, not the input) takes Azure's and OGX's step to failed.
    pub(crate) fn may_become(self, next: Status) -> bool {
        use Status::{Cancelled, Cancelling, Completed, Expired, Failed, Finalizing, InProgress, Validating};
        matches!(
            (self, next),
            (Validating, InProgress | Failed | Cancelling)
                | (InProgress, Finalizing | Expired | Failed | Cancelling)
                | (Finalizing, Completed | Expired | Failed | Cancelling)
                | (Cancelling, Cancelled)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_statuses_have_no_way_out_and_all_others_do() {
        for from in Status::ALL {
            let ways = Status::ALL.iter().filter(|to| from.may_become(**to)).count();
            assert_eq!(ways == 0, from.is_terminal(), "{}", from.name());
        }
    }

    #[test]
    fn nothing_returns_to_validating_and_every_other_status_is_reached() {
        for to in Status::ALL {
            let ways = Status::ALL.iter().filter(|from| from.may_become(to)).count();
            assert_eq!(ways == 0, to == Status::Validating, "{}", to.name());
        }
    }

    /// The same steps, written a second time.
    #[test]
    fn these_steps_are_legal_and_no_others() {
        let legal: Vec<String> = Status::ALL
            .iter()
            .flat_map(|from| Status::ALL.iter().map(move |to| (from, to)))
            .filter(|(from, to)| from.may_become(**to))
            .map(|(from, to)| format!("{} -> {}", from.name(), to.name()))
            .collect();
        let expected = [
            "validating -> failed",
            "validating -> in_progress",
            "validating -> cancelling",
            "in_progress -> failed",
            "in_progress -> finalizing",
            "in_progress -> expired",
            "in_progress -> cancelling",
            "finalizing -> failed",
            "finalizing -> completed",
            "finalizing -> expired",
            "finalizing -> cancelling",
            "cancelling -> cancelled",
        ];
        assert_eq!(legal, expected);
    }
}
