//! Owns the reasons for which a request does not move, each with a code for the log and a sentence for the person or caller.
//!
//! Never knows a status code of HTTP.

use super::{GrantReason, Status};
use crate::domain::field_error::FieldError;
use crate::domain::ids::{PersonId, ReviewId};
use crate::domain::reviewer::Ineligible;

/// Why an event was not applied. Nothing has changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refused {
    /// The request was decided before.
    #[error("{0}")]
    AlreadyDecided(String, Status),
    /// Its time ran out, even if that is not recorded yet.
    #[error("This request expired before you decided.")]
    Expired,
    /// The person may not do this.
    #[error("{0}")]
    Ineligible(#[from] Ineligible),
    /// The review was given for other parameters.
    #[error("The parameters were changed after this card was drawn. Look at the new ones, then decide.")]
    DigestChanged,
    /// The same person did the same before, and it still counts.
    #[error("Your review was already recorded.")]
    SameReview(ReviewId),
    /// An edit back to parameters that the request already had.
    #[error("These parameters were part of this request before. An edit must lead to new ones.")]
    EditRepeats,
    /// An edit leaves the bounds that the caller and the rule set.
    #[error("The edit is not within what the caller allows to change.")]
    EditOutOfBounds(Vec<FieldError>),
    /// Policy refuses the edited parameters.
    #[error("Policy denies the edited parameters: {0}")]
    EditDeniedByPolicy(String),
    /// The caller did not offer this decision.
    #[error("The caller does not offer the decision \"{0}\" for this request.")]
    NotOffered(&'static str),
    /// The rule asks the approver for a comment.
    #[error("A comment is required to approve this request.")]
    CommentRequired,
    /// The deny option is not one of the caller's.
    #[error("There is no deny option of that name.")]
    UnknownOption,
    /// The directory must be asked again about these before the seats are complete.
    #[error("earlier approvers must be checked again")]
    RecheckNeeded(Vec<PersonId>),
    /// Neither a reminder nor an escalation is due (any more).
    #[error("Nothing is due for this request.")]
    NothingDue,
    /// The verification was made for another version of the request.
    #[error("the request changed since the reviewer was verified")]
    Stale,
    /// The caller did not make this request.
    #[error("Only the client that made the request may do this.")]
    NotRequester,
    /// There is no approval.
    #[error("This request is not approved.")]
    NotApproved,
    /// The approval yields no grant any more.
    #[error("{}", match .0 {
        GrantReason::Redeemed => "The grant of this approval was already redeemed.",
        GrantReason::Lapsed => "The approval lapsed before its grant was used.",
        GrantReason::Revoked => "The approval was revoked.",
        GrantReason::Frozen => "The client was frozen, so its grants are void.",
    })]
    NoGrant(GrantReason),
    /// A later token replaced this one.
    #[error("A newer grant replaced this one.")]
    Superseded,
    /// The outcome was told before.
    #[error("The outcome of this request was already reported.")]
    OutcomeReported,
}

impl Refused {
    /// Stable code for the log and for machines.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::AlreadyDecided(..) => "already_decided",
            Self::Expired => "expired",
            Self::Ineligible(reason) => reason.code(),
            Self::DigestChanged => "digest_changed",
            Self::SameReview(_) => "same_review",
            Self::EditRepeats => "edit_repeats",
            Self::EditOutOfBounds(_) => "edit_out_of_bounds",
            Self::EditDeniedByPolicy(_) => "edit_denied_by_policy",
            Self::NotOffered(_) => "decision_not_offered",
            Self::CommentRequired => "comment_required",
            Self::UnknownOption => "unknown_option",
            Self::RecheckNeeded(_) => "recheck_needed",
            Self::NothingDue => "nothing_due",
            Self::Stale => "stale",
            Self::NotRequester => "not_requester",
            Self::NotApproved => "not_approved",
            Self::NoGrant(GrantReason::Redeemed) => "grant_already_redeemed",
            Self::NoGrant(GrantReason::Lapsed) => "grant_expired",
            Self::NoGrant(GrantReason::Revoked) => "revoked",
            Self::NoGrant(GrantReason::Frozen) => "frozen",
            Self::Superseded => "grant_superseded",
            Self::OutcomeReported => "outcome_already_reported",
        }
    }
}
