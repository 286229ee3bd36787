//! Owns the proof that a person may do what they want to do to a request: `VerifiedReviewer`.
//!
//! Its only constructor is `verify`; an unverified name cannot vote, because no event takes one. No setting lifts
//! what is checked here, and everything unknown is a no. Never asks a directory: its answer is an argument.
//!
//! A proof cannot be made otherwise, not even from another proof:
//! ```compile_fail,E0451
//! use countersign::domain::reviewer::VerifiedReviewer;
//! fn forge(proof: VerifiedReviewer) -> VerifiedReviewer {
//!     VerifiedReviewer { version: 7, ..proof }
//! }
//! ```
//! nor be changed:
//! ```compile_fail,E0616
//! use countersign::domain::reviewer::VerifiedReviewer;
//! fn forge(mut proof: VerifiedReviewer) {
//!     proof.version = 7;
//! }
//! ```
//! while reading it compiles, so that the two above fail for their own reason:
//! ```
//! use countersign::domain::{ids::PersonId, reviewer::VerifiedReviewer};
//! fn read(mut proof: VerifiedReviewer) -> PersonId {
//!     proof = proof.clone();
//!     proof.person().clone()
//! }
//! ```

use crate::domain::ids::{PersonId, RequestId};
use crate::domain::person::{Person, Proof, Via};
use crate::domain::policy::{self, Facts, Requirements};
use crate::domain::request::{Decision, Request};
use crate::domain::seats::{self, Candidate};

/// What the directory and the client register say about the people around a request, now.
#[derive(Debug, Clone, PartialEq)]
pub struct Circumstances {
    /// The person answerable for the client; `None` when the directory does not know or did not answer.
    pub owner: Option<Owner>,
    /// The client is frozen: its requests can only be denied.
    pub frozen: bool,
}

/// The owner of a client, as the directory knows them now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The pseudonym.
    pub id: PersonId,
    /// Still active.
    pub active: bool,
}

/// A person who has been found entitled to one kind of act on one version of one request.
#[derive(Debug, Clone, PartialEq)]
pub struct VerifiedReviewer {
    candidate: Candidate,
    name: String,
    via: Via,
    proof: Proof,
    request: RequestId,
    version: u64,
    decision: Decision,
    judged: Requirements,
    standing: Standing,
}

/// On what ground somebody may deny or comment; shown in the feedback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Could fill a seat, through these groups (empty when a seat names the person).
    Seat(Vec<String>),
    /// Answerable for the client.
    Owner,
    /// The person it is for.
    OnBehalfOf,
}

/// Why a person may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ineligible {
    /// The directory says that the account is not active.
    #[error("Your account is not active in the company directory.")]
    NotActive,
    /// Not a human.
    #[error("Only people may decide; your account is a service or bot account.")]
    NotHuman,
    /// The request is for this person.
    #[error("This action was asked for on your behalf, so you cannot approve it. You may deny it.")]
    OnBehalfOf,
    /// This person answers for the client.
    #[error("You are the owner of the client that asks, so you cannot approve it. You may deny it.")]
    Owner,
    /// No seat can ever be theirs.
    #[error("You cannot decide this: it needs {0}.")]
    NoSeat(String),
    /// Their seat is taken.
    #[error("The seats that you could fill are already filled. Still open: {0}.")]
    SeatTaken(String),
    /// A rule narrows who may approve.
    #[error("A rule of the policy does not let you approve this request.")]
    ReviewerCondition,
    /// The directory could not be asked now.
    #[error("The company directory cannot be asked right now, so nothing can be approved. You may deny, or try again.")]
    DirectoryUnavailable,
    /// Nobody knows whether this person is the owner.
    #[error("The owner of the client that asks is not an active person of the directory, so nothing can be approved. You may deny.")]
    OwnerUnknown,
    /// The client is frozen.
    #[error("The client that asks is frozen; its requests can only be denied.")]
    ClientFrozen,
}

impl Ineligible {
    /// Stable code for the log.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotActive => "not_active",
            Self::NotHuman => "not_human",
            Self::OnBehalfOf | Self::Owner => "self_approval",
            Self::NoSeat(_) => "not_eligible",
            Self::SeatTaken(_) => "seat_taken",
            Self::ReviewerCondition => "reviewer_condition",
            Self::DirectoryUnavailable => "directory_unavailable",
            Self::OwnerUnknown => "owner_unknown",
            Self::ClientFrozen => "client_frozen",
        }
    }
}

impl VerifiedReviewer {
    /// Checks a person against a request, for one kind of act. `requirements` are those that the act is judged by:
    /// the request's own, or for an edit the stricter of before and after.
    ///
    /// # Errors
    /// The first reason for which the person may not, in an order that tells the most useful one.
    pub fn verify(
        request: &Request,
        person: &Person,
        decision: Decision,
        requirements: &Requirements,
        circumstances: &Circumstances,
        facts: &Facts<'_>,
        via: Via,
    ) -> Result<Self, Ineligible> {
        if !person.active {
            return Err(Ineligible::NotActive);
        }
        if !person.human {
            return Err(Ineligible::NotHuman);
        }
        let candidate = person.candidate();
        let is_owner = circumstances.owner.as_ref().is_some_and(|owner| owner.id == person.id);
        let is_behalf = is_on_behalf_of(request, person);
        // A seat that only the edited parameters would add makes nobody a reviewer of the request as it stands.
        let could_fill = seats::can_fill_any(&requirements.open_seats(), &candidate)
            && (decision != Decision::Edit || seats::can_fill_any(&request.requirements().open_seats(), &candidate));
        let standing = if could_fill && !is_owner && !is_behalf {
            Standing::Seat(relied_groups(requirements, &candidate))
        } else if is_behalf {
            Standing::OnBehalfOf
        } else if is_owner {
            Standing::Owner
        } else {
            return Err(Ineligible::NoSeat(request.requirements().describe_seats()));
        };
        match decision {
            // A no, and a remark, may come from all who could fill a seat, the owner and the person it is for.
            Decision::Deny | Decision::Comment => {}
            Decision::Approve | Decision::Edit => {
                may_approve(person, requirements, circumstances, facts, &standing)?;
                // An edit voids the earlier approvals, so every seat is open for it.
                let seated = if decision == Decision::Edit { Vec::new() } else { others(request, &person.id) };
                if !seats::can_fill_open(&requirements.open_seats(), &seated, &candidate) {
                    return Err(Ineligible::SeatTaken(requirements.describe_open_seats(&seated)));
                }
            }
        }
        Ok(Self {
            candidate,
            name: person.name.clone(),
            via,
            proof: person.proof.clone(),
            request: request.id().clone(),
            version: request.version(),
            decision,
            judged: requirements.clone(),
            standing,
        })
    }

    /// The person.
    #[must_use]
    pub fn person(&self) -> &PersonId {
        &self.candidate.person
    }

    pub(in crate::domain) fn candidate(&self) -> &Candidate {
        &self.candidate
    }

    pub(in crate::domain) fn name(&self) -> &str {
        &self.name
    }

    pub(in crate::domain) fn via(&self) -> Via {
        self.via
    }

    pub(in crate::domain) fn proof(&self) -> &Proof {
        &self.proof
    }

    pub(in crate::domain) fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Whether this proof is about exactly this act on exactly this version.
    pub(in crate::domain) fn is_about(&self, request: &Request, decision: Decision) -> bool {
        self.request == *request.id() && self.version == request.version() && self.decision == decision
    }

    /// Whether the seats were judged by these requirements.
    pub(in crate::domain) fn was_judged_by(&self, requirements: &Requirements) -> bool {
        self.judged == *requirements
    }
}

/// Asks everything about an earlier approver again; used when the seats are about to be complete.
///
/// # Errors
/// A reason code when the person no longer fills a seat.
pub fn still_approves(
    request: &Request,
    person: &Person,
    circumstances: &Circumstances,
    facts: &Facts<'_>,
) -> Result<Candidate, &'static str> {
    let requirements = request.requirements();
    if !person.active {
        return Err(Ineligible::NotActive.code());
    }
    if !person.human {
        return Err(Ineligible::NotHuman.code());
    }
    let candidate = person.candidate();
    if !seats::can_fill_any(&requirements.open_seats(), &candidate) {
        return Err("not_eligible");
    }
    let is_owner = circumstances.owner.as_ref().is_some_and(|owner| owner.id == person.id);
    let standing = match (is_on_behalf_of(request, person), is_owner) {
        (true, _) => Standing::OnBehalfOf,
        (false, true) => Standing::Owner,
        (false, false) => Standing::Seat(Vec::new()),
    };
    may_approve(person, requirements, circumstances, facts, &standing).map_err(|reason| reason.code())?;
    Ok(candidate)
}

/// Whether the request is for this person. By e-mail too: a directory that gave them a new key, hence a new pseudonym,
/// does not make them somebody else, and a mistake here only takes an approval away.
fn is_on_behalf_of(request: &Request, person: &Person) -> bool {
    let behalf = request.asked().on_behalf_of.as_ref();
    behalf.is_some_and(|behalf| behalf.id == person.id || behalf.email.eq_ignore_ascii_case(&person.email))
}

fn may_approve(
    person: &Person,
    requirements: &Requirements,
    circumstances: &Circumstances,
    facts: &Facts<'_>,
    standing: &Standing,
) -> Result<(), Ineligible> {
    match standing {
        Standing::OnBehalfOf => return Err(Ineligible::OnBehalfOf),
        Standing::Owner => return Err(Ineligible::Owner),
        Standing::Seat(_) => {}
    }
    if circumstances.frozen {
        return Err(Ineligible::ClientFrozen);
    }
    if !person.proof.fresh {
        return Err(Ineligible::DirectoryUnavailable);
    }
    if !circumstances.owner.as_ref().is_some_and(|owner| owner.active) {
        return Err(Ineligible::OwnerUnknown);
    }
    match policy::reviewer_when_holds(&requirements.reviewer_when, facts, &person.record) {
        Ok(true) => Ok(()),
        // What cannot be evaluated is a no.
        Ok(false) | Err(_) => Err(Ineligible::ReviewerCondition),
    }
}

fn others(request: &Request, person: &PersonId) -> Vec<Candidate> {
    request.candidates().into_iter().filter(|candidate| candidate.person != *person).collect()
}

/// The groups of a candidate that any seat asks for; evidence, and the word in the feedback.
fn relied_groups(requirements: &Requirements, candidate: &Candidate) -> Vec<String> {
    let asked = requirements.seat_groups();
    candidate.groups.iter().filter(|group| asked.contains(*group)).cloned().collect()
}
