//! Owns "a person decides": from an identity and a wish to a committed review, whatever surface it came from.
//!
//! Never trusts what the surface says about the person: the directory is asked now, and asked again about the earlier
//! approvers when the seats are about to be complete.

use super::caller::Client;
use super::{Engine, Failure};
use crate::directory::{Identity, Record};
use crate::domain::audit::{Actor, Entry, Kind};
use crate::domain::digest::Digest;
use crate::domain::ids::{PersonId, RequestId, ReviewId};
use crate::domain::person::{Person, Proof, Via};
use crate::domain::policy::{self, Evaluation, Facts, History, PersonFacts, Policy};
use crate::domain::request::{Act, Decision, Event, Recheck, Refused, Request, State, Transition};
use crate::domain::reviewer::{self, Circumstances, VerifiedReviewer};
use crate::store::{Commit, CommitError, TapId};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Attempts before a reviewer is told to try again; each loser of a race takes one more.
const ATTEMPTS: usize = 40;

/// What a person wants to do to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Wish {
    /// Approve, deny, edit or comment.
    pub decision: Decision,
    /// Their words.
    pub comment: Option<String>,
    /// Name of a deny option.
    pub option: Option<String>,
    /// Replacement parameters of an edit, masked members as they were shown.
    pub parameters: Option<Map<String, Value>>,
    /// Digest of what they were shown; an approval and an edit are nothing without it.
    pub digest: Option<Digest>,
}

/// A review that is recorded, now or before.
#[derive(Debug)]
pub struct Reviewed {
    /// The request as it stands.
    pub request: Request,
    /// The same review was recorded before.
    pub repeated: bool,
}

impl Engine {
    /// Records a review, or says why not. A refusal is an audit event.
    ///
    /// `tap`, when the wish came from a durable tap, is marked as finished in the same transaction.
    ///
    /// # Errors
    /// Why nothing was recorded.
    pub async fn review(
        &self,
        id: &RequestId,
        identity: &Identity,
        wish: &Wish,
        via: Via,
        tap: Option<TapId>,
    ) -> Result<Reviewed, Failure> {
        let Some(person) = self.present(identity).await? else {
            return Err(Failure::forbidden("unknown_person", "The company directory does not know you, so you cannot decide."));
        };
        let result = self.review_as(id, &person, wish, via, tap).await;
        if let Err(failure) = &result {
            self.note_refused_review(id, &person.id, wish.decision, via, failure).await;
        }
        result
    }

    async fn review_as(&self, id: &RequestId, person: &Person, wish: &Wish, via: Via, tap: Option<TapId>) -> Result<Reviewed, Failure> {
        for _ in 0..ATTEMPTS {
            let request = self.store.request(id).await?.ok_or(Failure::NotFound("request"))?;
            if let Some(repeated) = already_recorded(&request, &person.id, wish) {
                return Ok(Reviewed { request: repeated, repeated: true });
            }
            if request.status().is_terminal() {
                return Err(request.already_decided().into());
            }
            let transition = match self.try_review(request.clone(), person, wish, via).await {
                Err(Failure::Refused(Refused::Stale)) => continue,
                Err(Failure::Refused(Refused::SameReview(_))) => return Ok(Reviewed { request, repeated: true }),
                other => other?,
            };
            let after = transition.after().clone();
            let mut commit = Commit::new(transition);
            if let Some(tap) = &tap {
                commit = commit.finishes(tap.clone());
            }
            match self.commit(commit).await {
                Ok(()) => return Ok(Reviewed { request: after, repeated: false }),
                Err(CommitError::Conflict) => {}
                Err(CommitError::IdempotencyTaken) => return Err(Failure::Internal),
                Err(CommitError::Store(error)) => return Err(error.into()),
            }
        }
        Err(Failure::Busy)
    }

    async fn try_review(&self, request: Request, person: &Person, wish: &Wish, via: Via) -> Result<Transition, Failure> {
        let now = self.clock.now();
        if now >= request.expires_at() {
            return Err(Refused::Expired.into());
        }
        let (circumstances, client) = self.circumstances(&request).await?;
        let owner = client.as_ref().and_then(|client: &Client| client.owner.clone());
        let behalf = self.behalf_person(&request).await?;
        let (act, requirements) = self.act(&request, wish, owner.as_deref(), behalf.as_ref()).await?;
        let history = if requirements.reviewer_when.is_empty() {
            History::default()
        } else {
            self.history(&request.asked().client.id, &request.asked().ask.action).await?
        };
        // An edit is judged by what it leads to, also where a rule narrows who may approve.
        let parameters = match &act {
            Act::Edit { parameters, .. } => parameters,
            Act::Approve { .. } | Act::Deny { .. } | Act::Comment => request.parameters(),
        };
        let facts = facts(&request, parameters, owner.as_deref(), behalf.as_ref(), history, now);
        let verified = VerifiedReviewer::verify(&request, person, wish.decision, &requirements, &circumstances, &facts, via)
            .map_err(|reason| Failure::Refused(Refused::Ineligible(reason)))?;
        let event = |rechecks| Event::Review {
            id: ReviewId::new(now, self.random.bytes()),
            reviewer: Box::new(verified.clone()),
            act: act.clone(),
            comment: wish.comment.clone(),
            rechecks,
        };
        match request.clone().apply(event(Vec::new()), now) {
            Err(Refused::RecheckNeeded(people)) => {
                let rechecks = self.recheck(&request, &people, &circumstances, &facts).await?;
                Ok(request.apply(event(rechecks), now)?)
            }
            other => Ok(other?),
        }
    }

    /// What the person wants, in the terms of the state machine, and the requirements that it is judged by.
    async fn act(
        &self,
        request: &Request,
        wish: &Wish,
        owner: Option<&str>,
        behalf: Option<&Person>,
    ) -> Result<(Act, policy::Requirements), Failure> {
        let present = request.requirements();
        let digest = || {
            wish.digest.ok_or_else(|| {
                Failure::invalid("digest_required", "/digest", "must carry the whole digest of the parameters that the reviewer was shown")
            })
        };
        match wish.decision {
            Decision::Approve => Ok((Act::Approve { digest: digest()? }, present.clone())),
            Decision::Deny => Ok((Act::Deny { option: wish.option.clone() }, present.clone())),
            Decision::Comment => Ok((Act::Comment, present.clone())),
            Decision::Edit => {
                let digest = digest()?;
                if digest != *request.digest() {
                    return Err(Refused::DigestChanged.into());
                }
                let edited = wish
                    .parameters
                    .as_ref()
                    .ok_or_else(|| Failure::invalid("parameters_required", "/parameters", "is required to edit"))?;
                let parameters = request.unmask(edited).map_err(Refused::EditOutOfBounds)?;
                let evaluation = self.evaluate_edit(request, &parameters, owner, behalf).await?;
                let requirements = present.stricter(&evaluation.requirements);
                Ok((Act::Edit { digest, parameters, evaluation: Box::new(evaluation) }, requirements))
            }
        }
    }

    /// Policy's word on edited parameters, by the version that the request is pinned to.
    async fn evaluate_edit(
        &self,
        request: &Request,
        parameters: &Map<String, Value>,
        owner: Option<&str>,
        behalf: Option<&Person>,
    ) -> Result<Evaluation, Failure> {
        let pinned = self.pinned_policy(&request.asked().policy.version).await?;
        let history = if pinned.uses_history() {
            self.history(&request.asked().client.id, &request.asked().ask.action).await?
        } else {
            History::default()
        };
        let evaluation = pinned.evaluate(&facts(request, parameters, owner, behalf, history, self.clock.now()));
        // As if newly asked: what the new parameters require of the caller must be there.
        super::open::demand(&evaluation, &request.asked().ask)?;
        Ok(evaluation)
    }

    /// The policy of a version, from memory when it is the active one.
    async fn pinned_policy(&self, version: &str) -> Result<Arc<Policy>, Failure> {
        let active = self.policy();
        if active.version() == version {
            return Ok(active);
        }
        let text = self.store.policy_text(version).await?.ok_or_else(|| {
            tracing::error!(policy_version = version, "the policy that a request is pinned to is missing");
            Failure::Internal
        })?;
        Policy::parse(&text).map(Arc::new).map_err(|_| {
            tracing::error!(policy_version = version, "the policy that a request is pinned to does not load");
            Failure::Internal
        })
    }

    async fn behalf_person(&self, request: &Request) -> Result<Option<Person>, Failure> {
        let Some(behalf) = &request.asked().on_behalf_of else { return Ok(None) };
        match self.present_again(&behalf.id).await {
            Ok(person) => Ok(person),
            // A condition that needs the record then cannot be evaluated, which is a no.
            Err(Failure::DirectoryUnavailable) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Asks the directory again about somebody whom we know by pseudonym.
    ///
    /// # Errors
    /// `DirectoryUnavailable`, or a failing store.
    pub async fn present_again(&self, id: &PersonId) -> Result<Option<Person>, Failure> {
        let Some(known) = self.store.person(id).await? else { return Ok(None) };
        self.present(&Identity::Key(known.key)).await
    }

    /// The people of the directory who could approve the request now; nobody when it does not answer. It says whom to call, and lets
    /// nobody decide: each is asked about again at their tap.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn who_may_approve(&self, request: &Request) -> Result<Vec<Record>, Failure> {
        let now = self.clock.now();
        let Ok(people) = self.directory.people(now).await else {
            tracing::warn!(request.id = %request.id(), "the directory does not say who can decide; nobody is called by name");
            return Ok(Vec::new());
        };
        let (circumstances, client) = self.circumstances(request).await?;
        let owner = client.and_then(|client: Client| client.owner);
        let behalf = self.behalf_person(request).await?;
        let history = self.history(&request.asked().client.id, &request.asked().ask.action).await?;
        let facts = facts(request, request.parameters(), owner.as_deref(), behalf.as_ref(), history, now);
        let requirements = request.requirements();
        let mut able = Vec::new();
        for record in people {
            // A directory answers with everybody only while it is fresh.
            let proof = Proof { source: "people".to_owned(), as_of: now, fresh: true };
            let person = self.person_of(record.clone(), proof).await?;
            if VerifiedReviewer::verify(request, &person, Decision::Approve, requirements, &circumstances, &facts, Via::Api).is_ok() {
                able.push(record);
            }
        }
        Ok(able)
    }

    async fn recheck(
        &self,
        request: &Request,
        people: &[PersonId],
        circumstances: &Circumstances,
        facts: &Facts<'_>,
    ) -> Result<Vec<Recheck>, Failure> {
        let mut rechecks = Vec::with_capacity(people.len());
        for id in people {
            let answer = match self.present_again(id).await? {
                None => Err("unknown_person"),
                // No answer about one of them means that nothing is approved.
                Some(person) if !person.proof.fresh => return Err(Failure::DirectoryUnavailable),
                Some(person) => reviewer::still_approves(request, &person, circumstances, facts),
            };
            rechecks.push(Recheck { person: id.clone(), answer });
        }
        Ok(rechecks)
    }

    async fn note_refused_review(&self, id: &RequestId, person: &PersonId, decision: Decision, via: Via, failure: &Failure) {
        let entry = Entry::new(Kind::ReviewRefused, Actor::Person(person.clone()), Some(id))
            .with("reason", failure.code())
            .with("decision", decision.as_str())
            .with("via", via.as_str());
        self.note_refusal(entry).await;
    }
}

/// The same person did the same before, and it still counts: not an error, and nothing to do.
fn already_recorded(request: &Request, person: &PersonId, wish: &Wish) -> Option<Request> {
    let last = request.reviews().iter().rev().find(|review| review.person() == person && review.decision != Decision::Comment)?;
    let same = match wish.decision {
        Decision::Approve => {
            last.counts
                && matches!(last.decision, Decision::Approve | Decision::Edit)
                && wish.digest.as_ref() == Some(&last.digest)
                && last.digest == *request.digest()
        }
        Decision::Deny => last.decision == Decision::Deny && matches!(request.state(), State::Denied { .. }),
        Decision::Edit | Decision::Comment => false,
    };
    same.then(|| request.clone())
}

fn facts<'a>(
    request: &'a Request,
    parameters: &'a Map<String, Value>,
    owner: Option<&'a str>,
    behalf: Option<&'a Person>,
    history: History,
    now: crate::domain::time::Timestamp,
) -> Facts<'a> {
    let asked = request.asked();
    Facts {
        action: &asked.ask.action,
        resource: asked.ask.resource.as_ref(),
        parameters,
        context: asked.ask.context.as_ref(),
        client: policy::ClientFacts { id: asked.client.id.as_str(), name: &asked.client.name, owner },
        on_behalf_of: behalf.map(|person| PersonFacts { email: &person.email, record: &person.record }),
        history,
        now,
    }
}
