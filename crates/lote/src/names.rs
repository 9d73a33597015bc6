//! The named values of the contract: closed where we send them, open where we receive them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    Error,
    text::{shortened, visible},
};

/// An enum of names: closed, for what is sent.
macro_rules! closed {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value, in the contract's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The spelling on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        impl FromStr for $name {
            type Err = Error;

            /// Takes the spelling on the wire, exactly.
            fn from_str(text: &str) -> Result<Self, Error> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text).ok_or_else(|| {
                    let known: Vec<&str> = Self::ALL.iter().map(|value| value.as_str()).collect();
                    Error::invalid(format!(concat!($what, " {:?} is not one of {}"), text, known.join(", ")))
                })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

/// An enum of names with a place for any other: open, for what is received.
macro_rules! open {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* $variant,)*
            /// A value that the contract does not name, as it came.
            Other(String),
        }

        impl $name {
            /// Every value that the contract names, in its order.
            pub const KNOWN: &'static [Self] = &[$(Self::$variant,)*];

            /// The spelling on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<&str> for $name {
            /// Capitals make no difference, and what is not known is kept as [`Other`](Self::Other).
            fn from(text: &str) -> Self {
                match text.to_ascii_lowercase().as_str() {
                    $($text => Self::$variant,)*
                    _ => Self::Other(text.to_owned()),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Other(text) => write!(f, "{} (unrecognised)", visible(&shortened(text, 100))),
                    known => f.pad(known.as_str()),
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Ok(Self::from(String::deserialize(deserializer)?.as_str()))
            }
        }
    };
}

closed!(
    /// The endpoint that every request line of a batch is for.
    ///
    /// OpenAI takes all eight; MKA1 takes the first four (sources: OpenAI's document of 2026-08-21, MKA1's SDK
    /// 0.12.128). The spelling stays `/v1/…` under every prefix.
    Endpoint, "endpoint" {
        /// Chat completions.
        ChatCompletions = "/v1/chat/completions",
        /// Responses.
        Responses = "/v1/responses",
        /// Embeddings.
        Embeddings = "/v1/embeddings",
        /// Image generations.
        ImagesGenerations = "/v1/images/generations",
        /// Legacy completions. OpenAI only.
        Completions = "/v1/completions",
        /// Moderations. OpenAI only.
        Moderations = "/v1/moderations",
        /// Image edits. OpenAI only.
        ImagesEdits = "/v1/images/edits",
        /// Videos. OpenAI only.
        Videos = "/v1/videos",
    }
);

closed!(
    /// What a file is uploaded for. The same six on MKA1 and OpenAI.
    UploadPurpose, "purpose" {
        /// Documents for assistants.
        Assistants = "assistants",
        /// The input file of a batch.
        Batch = "batch",
        /// Training data.
        FineTune = "fine-tune",
        /// Images for training.
        Vision = "vision",
        /// Anything of the user's.
        UserData = "user_data",
        /// Data for evaluations.
        Evals = "evals",
    }
);

closed!(
    /// The direction of a list of files, by creation.
    Order, "order" {
        /// Oldest first.
        Ascending = "asc",
        /// Newest first, as services do when not told.
        Descending = "desc",
    }
);

open!(
    /// The state of a batch. A status that is not known is kept and is no error.
    Status {
        /// The input file is being checked.
        Validating = "validating",
        /// The check found faults: see [`Batch::errors`](crate::Batch::errors). Terminal.
        Failed = "failed",
        /// Lines are run.
        InProgress = "in_progress",
        /// All lines were run, files are being made.
        Finalizing = "finalizing",
        /// Done. Says nothing of single lines: all of them may have failed. Terminal.
        Completed = "completed",
        /// Not done within the window; what was finished is in the files. Terminal.
        Expired = "expired",
        /// A cancel was asked for, lines in flight are ending.
        Cancelling = "cancelling",
        /// Stopped after a cancel; what was finished is in the files. Terminal.
        Cancelled = "cancelled",
    }
);

impl Status {
    /// Whether the batch is over: failed, completed, expired or cancelled. An unknown status is not.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Failed | Self::Completed | Self::Expired | Self::Cancelled)
    }

    /// Whether the lifecycle allows a batch that was in this status to be seen in `next` at a later look.
    ///
    /// Steps may be missed between two looks. Of an unknown status everything is allowed, but nothing follows a
    /// terminal one. Sources: MKA1's diagram and OpenAI's guide; `in_progress` to `failed` is what Azure and OGX do.
    pub fn may_become(&self, next: &Self) -> bool {
        use Status::{Cancelled, Cancelling, Completed, Expired, Finalizing, InProgress, Validating};
        match (self, next) {
            (now, next) if now == next => true,
            (now, _) if now.is_terminal() => false,
            (Self::Other(_), _) | (_, Self::Other(_)) | (Validating, _) => true,
            (InProgress, next) => *next != Validating,
            (Finalizing, next) => !matches!(next, Validating | InProgress),
            (Cancelling, next) => matches!(next, Cancelled | Completed | Expired | Self::Failed),
            _ => false,
        }
    }
}

open!(
    /// What a file is for, as a service says it. A purpose that is not known is kept.
    FilePurpose {
        /// Documents for assistants.
        Assistants = "assistants",
        /// Made by assistants. OpenAI only.
        AssistantsOutput = "assistants_output",
        /// The input file of a batch.
        Batch = "batch",
        /// The output or error file of a batch.
        BatchOutput = "batch_output",
        /// Training data.
        FineTune = "fine-tune",
        /// The results of a training. OpenAI only.
        FineTuneResults = "fine-tune-results",
        /// Images for training.
        Vision = "vision",
        /// Anything of the user's.
        UserData = "user_data",
        /// Data for evaluations. MKA1 only.
        Evals = "evals",
    }
);

open!(
    /// Whether a file was processed. Deprecated by the services.
    FileStatus {
        /// Stored.
        Uploaded = "uploaded",
        /// Stored and read.
        Processed = "processed",
        /// Not usable.
        Error = "error",
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_on_write() {
        for endpoint in Endpoint::ALL {
            assert_eq!(endpoint.as_str().parse::<Endpoint>().unwrap(), *endpoint);
        }
        let error = "/v1/chat".parse::<Endpoint>().unwrap_err();
        assert!(error.is_invalid());
        assert!(error.to_string().starts_with("endpoint \"/v1/chat\" is not one of /v1/chat/completions, "), "{error}");
    }

    #[test]
    fn open_on_read() {
        assert_eq!(Status::from("COMPLETED"), Status::Completed);
        let odd = Status::from("Scheduling");
        assert_eq!(odd, Status::Other("Scheduling".to_owned()));
        assert_eq!((odd.as_str(), odd.to_string().as_str()), ("Scheduling", "Scheduling (unrecognised)"));
        assert!(!odd.is_terminal());
    }

    #[test]
    fn the_lifecycle_never_goes_back() {
        let order = [Status::Validating, Status::InProgress, Status::Finalizing, Status::Completed];
        for (at, now) in order.iter().enumerate() {
            for (to, next) in order.iter().enumerate() {
                assert_eq!(now.may_become(next), to >= at, "{now} to {next}");
            }
        }
        for terminal in Status::KNOWN.iter().filter(|status| status.is_terminal()) {
            for next in Status::KNOWN {
                assert_eq!(terminal.may_become(next), terminal == next, "{terminal} to {next}");
            }
        }
        assert!(!Status::Cancelling.may_become(&Status::InProgress));
        assert!(Status::Other("scheduling".to_owned()).may_become(&Status::InProgress));
    }
}
