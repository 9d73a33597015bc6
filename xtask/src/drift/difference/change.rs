//! Owns the words for a change: what it does, which way the values go, and where. It never compares.

use serde::Serialize;

use crate::drift::node::Steps;

/// What a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Class {
    /// What reads answers may fail on them.
    #[serde(rename = "breaks reading")]
    BreaksReading,
    /// What is sent may be refused.
    #[serde(rename = "breaks writing")]
    BreaksWriting,
    /// Something can be asked for, or is told, that was not before.
    #[serde(rename = "new ability")]
    NewAbility,
    /// There is a status, a header or a media type that was not answered before.
    #[serde(rename = "new answer")]
    NewAnswer,
    /// Something is gone, or on its way out.
    #[serde(rename = "removed")]
    Removed,
    /// Only prose changed.
    #[serde(rename = "wording")]
    Wording,
}

impl Class {
    /// All, in the order of the report.
    pub const ALL: [Self; 6] =
        [Self::BreaksReading, Self::BreaksWriting, Self::NewAbility, Self::NewAnswer, Self::Removed, Self::Wording];

    /// Its words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::BreaksReading => "breaks reading",
            Self::BreaksWriting => "breaks writing",
            Self::NewAbility => "new ability",
            Self::NewAnswer => "new answer",
            Self::Removed => "removed",
            Self::Wording => "wording",
        }
    }
}

/// Which way values go at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// From us.
    Request,
    /// To us.
    Response,
}

/// One change at one place.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Where.
    pub place: Steps,
    /// Which way values go there.
    pub side: Side,
    /// What kind of change, in one or two words with a hyphen: `field-added`.
    pub aspect: String,
    /// What of several it is about: a value of an enum, or nothing.
    pub subject: String,
    /// What it does.
    pub class: Class,
    /// What was there, none when nothing was.
    pub old: Option<String>,
    /// What is there, none when nothing is.
    pub new: Option<String>,
}
