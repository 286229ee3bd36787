//! Owns what one person did about one request.
//!
//! Never decides whether they may: a `Review` is made by `Request::apply` from a `VerifiedReviewer`.

use crate::domain::digest::Digest;
use crate::domain::ids::{PersonId, ReviewId};
use crate::domain::person::Via;
use crate::domain::policy::Evaluation;
use crate::domain::seats::Candidate;
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a reviewer chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Yes to exactly the parameters of the digest.
    Approve,
    /// No, whatever the parameters.
    Deny,
    /// Yes to other parameters.
    Edit,
    /// Neither; a remark.
    Comment,
}

impl Decision {
    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Edit => "edit",
            Self::Comment => "comment",
        }
    }
}

/// A recorded review.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Review {
    /// Its id.
    pub id: ReviewId,
    /// What was chosen.
    pub decision: Decision,
    /// The reviewer as a candidate for seats, with the groups that the directory named at that moment, or when it was last asked again.
    pub candidate: Candidate,
    /// Display name at that moment.
    pub name: String,
    /// Where it came from.
    pub via: Via,
    /// The reviewer's words.
    pub comment: Option<String>,
    /// Name of the chosen deny option.
    pub option: Option<String>,
    /// The parameters it was given for.
    pub digest: Digest,
    /// When.
    pub at: Timestamp,
    /// It counts towards the seats. An edit, a change of mind or a failed recheck ends that.
    pub counts: bool,
}

impl Review {
    /// The reviewer.
    #[must_use]
    pub fn person(&self) -> &PersonId {
        &self.candidate.person
    }
}

/// What a verified reviewer wants to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Approve the parameters of this digest.
    Approve {
        /// Digest that the reviewer was shown.
        digest: Digest,
    },
    /// Deny.
    Deny {
        /// Name of one of the caller's deny options.
        option: Option<String>,
    },
    /// Replace the parameters, and approve the new ones.
    Edit {
        /// Digest that the reviewer was shown.
        digest: Digest,
        /// The full replacement.
        parameters: Map<String, Value>,
        /// What the pinned policy says of the new parameters.
        evaluation: Box<Evaluation>,
    },
    /// Remark.
    Comment,
}

impl Act {
    /// The word for it.
    #[must_use]
    pub fn decision(&self) -> Decision {
        match self {
            Self::Approve { .. } => Decision::Approve,
            Self::Deny { .. } => Decision::Deny,
            Self::Edit { .. } => Decision::Edit,
            Self::Comment => Decision::Comment,
        }
    }
}

/// The directory's second answer about an earlier approver, asked when the seats are about to be complete.
#[derive(Debug, Clone, PartialEq)]
pub struct Recheck {
    /// Whom it is about.
    pub person: PersonId,
    /// Their groups now, when they may still approve; a reason code when not.
    pub answer: Result<Candidate, &'static str>,
}
