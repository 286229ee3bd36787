//! Owns the request: what was asked, how far it has come, and the one state machine that moves it.
//!
//! Never changes in place: the only way to another state is `Request::apply`, which answers with a `Transition`
//! that the store commits or refuses as a whole. Never reads a clock, a directory or a policy file.
//!
//! ```text
//!            ┌── approve (seats filled) ──▶ approved ── mint ── redeem
//! pending ───┤── deny ────────────────────▶ denied        └──── revoke
//!            ├── time runs out ───────────▶ expired
//!            └── caller takes it back ────▶ cancelled
//! ```
//! A pending request may be reminded of once, and escalated: more people see it, and more may fill its open seats.
//!
//! No code outside can put a request into a state:
//! ```compile_fail,E0616
//! use countersign::domain::request::{Request, State};
//! fn decide(request: &mut Request, state: State) {
//!     request.live.state = state;
//! }
//! ```
//! ```compile_fail,E0451
//! use countersign::domain::request::{Live, Request, State};
//! fn decide(live: Live, state: State) -> Live {
//!     Live { state, ..live }
//! }
//! ```
//! while reading it compiles, so that the two above fail for their own reason:
//! ```
//! use countersign::domain::request::{Live, Request, State};
//! fn read(request: &Request) -> (&State, &Live) {
//!     (request.state(), request.live())
//! }
//! ```

mod apply;
mod draft;
mod feedback;
mod open;
mod refused;
mod review;
mod transition;

#[cfg(test)]
mod tests;

pub use apply::Event;
pub use draft::Draft;
pub(in crate::domain) use feedback::said;
pub use open::{Asked, ClientRef, OnBehalfOf, Opening, PolicyOutcome};
pub use refused::Refused;
pub use review::{Act, Decision, Recheck, Review};
pub use transition::{Effect, Transition};

use crate::domain::audit::Actor;
use crate::domain::digest::Digest;
use crate::domain::edit;
use crate::domain::field_error::FieldError;
use crate::domain::ids::{ClientId, GrantId, PersonId, RequestId};
use crate::domain::mask::{self, Masked};
use crate::domain::policy::{Destination, Requirements};
use crate::domain::seats::{self, Candidate, Filling};
use crate::domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// An action that somebody asked for, with everything that has happened to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    asked: Arc<Asked>,
    version: u64,
    live: Live,
}

/// What changes in the course of a request's life; stored as one document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Live {
    requirements: Requirements,
    /// Parameters after an edit; absent when nobody edited.
    final_parameters: Option<Map<String, Value>>,
    digest: Digest,
    /// Digests of earlier parameters, so that an edit cannot go round in circles.
    past_digests: Vec<Digest>,
    reviews: Vec<Review>,
    state: State,
    /// When the people of open seats were reminded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reminded_at: Option<Timestamp>,
}

/// Where a request stands; each variant carries exactly the data that exists there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum State {
    /// People are asked.
    Pending,
    /// Somebody who may said yes, or policy did.
    Approved(Approval),
    /// Somebody who may said no, or policy did.
    Denied {
        /// When.
        at: Timestamp,
        /// Who.
        by: DecidedBy,
        /// The sentence for the caller's model.
        feedback: String,
        /// What the reviewer wrote, if anything.
        reason: Option<String>,
    },
    /// Nobody decided in time.
    Expired {
        /// When its time ran out.
        at: Timestamp,
    },
    /// The caller took it back.
    Cancelled {
        /// When.
        at: Timestamp,
        /// Which client.
        by: ClientId,
        /// Why, in the caller's words.
        reason: Option<String>,
    },
}

/// The status word of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// People are asked.
    Pending,
    /// Approved.
    Approved,
    /// Denied.
    Denied,
    /// Nobody decided in time.
    Expired,
    /// Taken back by the caller.
    Cancelled,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Approved, Self::Denied, Self::Expired, Self::Cancelled];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// Decided for ever.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        self != Self::Pending
    }
}

/// Who decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DecidedBy {
    /// Reviewers.
    People {
        /// Those who fill the seats, or the one who denied.
        people: Vec<PersonId>,
    },
    /// Policy, without asking anybody.
    Policy {
        /// The rules that matched.
        rules: Vec<String>,
    },
    /// Time.
    Expiry,
    /// The caller.
    Caller {
        /// Which client.
        client: ClientId,
    },
}

/// An approval and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// When the last seat was filled.
    pub at: Timestamp,
    /// Who.
    pub by: DecidedBy,
    /// Until when a grant can be minted and redeemed.
    pub valid_until: Timestamp,
    /// The grant.
    pub grant: Grant,
    /// How the action ended, told by the caller.
    pub outcome: Option<Outcome>,
}

/// What became of an approval's grant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Grant {
    /// Nobody has fetched it yet.
    Unminted,
    /// A token exists.
    Minted(Minted),
    /// Used.
    Redeemed {
        /// The token.
        jti: GrantId,
        /// When.
        at: Timestamp,
        /// The client that used it.
        by: ClientId,
    },
    /// Taken back.
    Revoked {
        /// When.
        at: Timestamp,
        /// Who.
        by: Actor,
        /// Why.
        reason: Option<String>,
    },
}

/// The latest token of an approval; earlier ones are superseded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minted {
    /// Its id.
    pub jti: GrantId,
    /// Its `exp`.
    pub expires_at: Timestamp,
    /// The token, encrypted; the caller gets the same one until it expires.
    pub sealed: String,
}

/// How the action ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// `succeeded` or `failed`.
    pub status: OutcomeStatus,
    /// The caller's words.
    pub detail: Option<String>,
    /// What was touched.
    pub touched: Vec<Touched>,
    /// When it was reported.
    pub at: Timestamp,
    /// By which client.
    pub by: ClientId,
}

/// Something that the action touched.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Touched {
    /// Kind of thing.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which one.
    pub id: String,
    /// How many of it, when that is countable.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub count: Option<u64>,
}

/// The word of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeStatus {
    /// The action was carried out.
    Succeeded,
    /// It was not, or not fully.
    Failed,
}

/// Why an approved request yields no grant (any more).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantReason {
    /// It was used.
    Redeemed,
    /// It was not used in time.
    Lapsed,
    /// It was taken back.
    Revoked,
    /// The client was frozen.
    Frozen,
}

impl Request {
    /// Puts a request together from what the store kept.
    #[must_use]
    pub fn restore(asked: Asked, version: u64, live: Live) -> Self {
        Self { asked: Arc::new(asked), version, live }
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &RequestId {
        &self.asked.id
    }

    /// What was asked; never changes.
    #[must_use]
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// The changing part, for the store.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Grows with every change.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Where the request stands.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.live.state
    }

    /// The status word.
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.live.state {
            State::Pending => Status::Pending,
            State::Approved(_) => Status::Approved,
            State::Denied { .. } => Status::Denied,
            State::Expired { .. } => Status::Expired,
            State::Cancelled { .. } => Status::Cancelled,
        }
    }

    /// When it was decided, and by whom.
    #[must_use]
    pub fn decided(&self) -> Option<(Timestamp, DecidedBy)> {
        match &self.live.state {
            State::Pending => None,
            State::Approved(approval) => Some((approval.at, approval.by.clone())),
            State::Denied { at, by, .. } => Some((*at, by.clone())),
            State::Expired { at } => Some((*at, DecidedBy::Expiry)),
            State::Cancelled { at, by, .. } => Some((*at, DecidedBy::Caller { client: by.clone() })),
        }
    }

    /// The approval, when there is one.
    #[must_use]
    pub fn approved(&self) -> Option<&Approval> {
        match &self.live.state {
            State::Approved(approval) => Some(approval),
            State::Pending | State::Denied { .. } | State::Expired { .. } | State::Cancelled { .. } => None,
        }
    }

    /// When it stops being answerable.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.asked.expires_at
    }

    /// What must be fulfilled before it is approved.
    #[must_use]
    pub fn requirements(&self) -> &Requirements {
        &self.live.requirements
    }

    /// When the people of open seats are to be reminded; `None` when never, or when that has happened.
    #[must_use]
    pub fn remind_at(&self) -> Option<Timestamp> {
        let after = self.live.requirements.remind_after.filter(|_| self.live.reminded_at.is_none())?;
        self.due_after(after)
    }

    /// When it is to be escalated next; `None` when never, or when all of that has happened.
    #[must_use]
    pub fn escalate_at(&self) -> Option<Timestamp> {
        self.due_after(self.live.requirements.next_escalation()?)
    }

    /// An instant of this request's time to be decided.
    fn due_after(&self, seconds: u64) -> Option<Timestamp> {
        let at = self.asked.created_at.plus(Duration::from_secs(seconds));
        (self.status() == Status::Pending && at < self.asked.expires_at).then_some(at)
    }

    /// Digest of the present parameters.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.live.digest
    }

    /// The parameters that an approval is for: edited or original.
    #[must_use]
    pub fn parameters(&self) -> &Map<String, Value> {
        self.live.final_parameters.as_ref().unwrap_or_else(|| &self.asked.ask.parameters)
    }

    /// The edited parameters, when somebody edited.
    #[must_use]
    pub fn final_parameters(&self) -> Option<&Map<String, Value>> {
        self.live.final_parameters.as_ref()
    }

    /// Parameters of this request as everybody but its caller may see them, by the policy that the request is pinned to.
    #[must_use]
    pub fn masked(&self, parameters: &Map<String, Value>) -> Masked {
        mask::mask_parameters(parameters, &self.asked.ask.sensitive, &self.asked.policy.masks, self.asked.nonce)
    }

    /// What a reviewer's edit means, who saw the present parameters masked.
    ///
    /// # Errors
    /// Where something hidden or masked did not come back as it was shown; where a value stands that the policy would hide, so that
    /// nobody who reviews after them would see it; and where what is masked now would be shown, because its neighbour changed.
    pub fn unmask(&self, edited: &Map<String, Value>) -> Result<Map<String, Value>, Vec<FieldError>> {
        let shown = self.masked(self.parameters());
        let parameters = edit::unmask(self.parameters(), &shown, edited)?;
        let after = self.masked(&parameters);
        let unseen = after.hidden.iter().filter(|pointer| !shown.hidden.contains(pointer));
        let mut errors: Vec<_> =
            unseen.map(|pointer| FieldError::new(pointer.clone(), "is hidden by the policy: an edit cannot set it")).collect();
        let uncovered = shown.pointers.iter().filter(|pointer| !after.pointers.contains(pointer));
        errors.extend(
            uncovered.map(|pointer| FieldError::new(pointer.clone(), "would no longer be masked: leave what stands beside it as it is")),
        );
        if errors.is_empty() { Ok(parameters) } else { Err(errors) }
    }

    /// The chat platforms on which people are asked, each once.
    #[must_use]
    pub fn platforms(&self) -> BTreeSet<&'static str> {
        let later = self.live.requirements.escalate.iter().flat_map(|escalation| &escalation.destinations);
        self.live.requirements.destinations.iter().chain(later).map(Destination::platform).collect()
    }

    /// Every review, in order.
    #[must_use]
    pub fn reviews(&self) -> &[Review] {
        &self.live.reviews
    }

    /// Approvals that count: of the present parameters, and not taken back. `filling` says who sits where.
    pub fn approvals(&self) -> impl Iterator<Item = &Review> {
        self.live.reviews.iter().filter(|review| review.counts)
    }

    /// How the seats are filled now.
    #[must_use]
    pub fn filling(&self) -> Filling {
        seats::fill(&self.live.requirements.open_seats(), &self.candidates())
    }

    pub(in crate::domain) fn candidates(&self) -> Vec<Candidate> {
        self.approvals().map(|review| review.candidate.clone()).collect()
    }

    /// Why no grant can be redeemed, for an approved request; `None` while one can.
    ///
    /// `void_before` is the instant until which the client's grants were killed by a freeze.
    #[must_use]
    pub fn grant_reason(&self, now: Timestamp, void_before: Option<Timestamp>) -> Option<GrantReason> {
        let approval = self.approved()?;
        match &approval.grant {
            Grant::Redeemed { .. } => Some(GrantReason::Redeemed),
            Grant::Revoked { .. } => Some(GrantReason::Revoked),
            Grant::Unminted | Grant::Minted(_) if void_before.is_some_and(|instant| approval.at <= instant) => Some(GrantReason::Frozen),
            Grant::Unminted | Grant::Minted(_) if now >= approval.valid_until => Some(GrantReason::Lapsed),
            Grant::Unminted | Grant::Minted(_) => None,
        }
    }

    /// Approved, and a grant can still be redeemed.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp, void_before: Option<Timestamp>) -> bool {
        self.approved().is_some() && self.grant_reason(now, void_before).is_none()
    }
}
