//! Owns the state machine: which event leads from which state to which, and what it leaves as evidence.
//!
//! One exhaustive `match`, no wildcard over states: a new state or event does not compile until every pair is judged.

use super::review::{Act, Decision, Recheck, Review};
use super::{Approval, DecidedBy, Effect, Grant, GrantReason, Minted, Outcome, Refused, Request, State, Status, Transition, feedback};
use crate::domain::ask::Allowed;
use crate::domain::audit::{Actor, Entry, Kind};
use crate::domain::digest::{self, Digest};
use crate::domain::ids::{ClientId, GrantId, PersonId, ReviewId};
use crate::domain::json;
use crate::domain::notice::Occasion;
use crate::domain::policy::{Effect as PolicyEffect, Require, Requirements};
use crate::domain::reviewer::{Standing, VerifiedReviewer};
use crate::domain::seats::Candidate;
use crate::domain::time::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::time::Duration;

/// Something that happens to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A verified person acts.
    Review {
        /// Id of the review, should it be recorded.
        id: ReviewId,
        /// Who; proof that they may.
        reviewer: Box<VerifiedReviewer>,
        /// What they do.
        act: Act,
        /// Their words.
        comment: Option<String>,
        /// Second answers about earlier approvers, when the seats are about to be complete.
        rechecks: Vec<Recheck>,
    },
    /// The caller takes it back.
    Cancel {
        /// Which client.
        client: ClientId,
        /// Why.
        reason: Option<String>,
    },
    /// Its time ran out.
    Expire,
    /// The people of open seats are reminded, once.
    Remind,
    /// Every escalation that is due happens.
    Escalate,
    /// An approval is taken back. Who may is checked by the use case for persons; a client only its own.
    Revoke {
        /// Who.
        by: Actor,
        /// Why.
        reason: Option<String>,
    },
    /// A token is made for the approval.
    Mint(Minted),
    /// The token is used.
    Redeem {
        /// Which token.
        jti: GrantId,
        /// By whom.
        by: ClientId,
        /// When the client's grants were last killed by a freeze.
        void_before: Option<Timestamp>,
    },
    /// The caller tells how the action ended.
    Outcome(Outcome),
}

impl Request {
    /// Applies an event. The result must be committed against the version this request was read at.
    ///
    /// # Errors
    /// Why nothing changes.
    pub fn apply(self, event: Event, now: Timestamp) -> Result<Transition, Refused> {
        match (self.status(), event) {
            (Status::Pending, Event::Review { id, reviewer, act, comment, rechecks }) => {
                if now >= self.expires_at() {
                    return Err(Refused::Expired);
                }
                Reviewing { id, reviewer: *reviewer, act, comment, rechecks, now }.apply(self)
            }
            (Status::Pending, Event::Cancel { client, reason }) => self.cancel(client, reason, now),
            (Status::Pending, Event::Expire) => self.expire(now),
            (Status::Pending, Event::Remind) => self.remind(now),
            (Status::Pending, Event::Escalate) => self.escalate(now),
            (Status::Pending, Event::Revoke { .. } | Event::Mint(_) | Event::Redeem { .. } | Event::Outcome(_)) => {
                Err(Refused::NotApproved)
            }
            (Status::Approved, Event::Revoke { by, reason }) => self.revoke(by, reason, now),
            (Status::Approved, Event::Mint(minted)) => self.mint(minted, now),
            (Status::Approved, Event::Redeem { jti, by, void_before }) => self.redeem(&jti, by, void_before, now),
            (Status::Approved, Event::Outcome(outcome)) => self.tell_outcome(outcome, now),
            (
                Status::Approved | Status::Denied | Status::Expired | Status::Cancelled,
                Event::Review { .. } | Event::Cancel { .. } | Event::Expire | Event::Remind | Event::Escalate,
            ) => Err(self.already_decided()),
            (
                Status::Denied | Status::Expired | Status::Cancelled,
                Event::Revoke { .. } | Event::Mint(_) | Event::Redeem { .. } | Event::Outcome(_),
            ) => Err(Refused::NotApproved),
        }
    }

    /// The answer for whoever comes too late, naming who was faster.
    #[must_use]
    pub fn already_decided(&self) -> Refused {
        let status = self.status();
        let names = |people: &[PersonId]| {
            let names: Vec<&str> = people.iter().map(|person| self.name_of(person)).collect();
            names.join(" and ")
        };
        let sentence = match self.state() {
            State::Pending => "This request is not decided yet.".to_owned(),
            State::Approved(Approval { by: DecidedBy::People { people }, .. }) => format!("Already approved by {}.", names(people)),
            State::Approved(_) => "Already approved by policy.".to_owned(),
            State::Denied { by: DecidedBy::People { people }, .. } => format!("Already denied by {}.", names(people)),
            State::Denied { .. } => "Already denied by policy.".to_owned(),
            State::Expired { .. } => "This request expired; nobody decided in time.".to_owned(),
            State::Cancelled { .. } => "The caller took this request back.".to_owned(),
        };
        Refused::AlreadyDecided(sentence, status)
    }

    /// A reviewer's name as it was at their last review; the pseudonym of somebody who never reviewed.
    fn name_of<'a>(&'a self, person: &'a PersonId) -> &'a str {
        self.reviews().iter().rev().find(|review| review.person() == person).map_or(person.as_str(), |review| review.name.as_str())
    }

    fn next(mut self, state: State, events: Vec<Entry>, mut effects: Vec<Effect>, at: Timestamp) -> Transition {
        let from_version = self.version;
        let was_pending = self.status() == Status::Pending;
        self.version += 1;
        self.live.state = state;
        effects.extend(self.notice(was_pending && self.status().is_terminal()));
        Transition { after: self, from_version, events, effects, at }
    }

    /// What the caller wants to be told of a change.
    pub(super) fn notice(&self, decides: bool) -> Option<Effect> {
        self.asked.ask.callback.as_ref()?.notice(decides).map(Effect::Tell)
    }

    fn entry(&self, kind: Kind, actor: Actor) -> Entry {
        Entry::new(kind, actor, Some(self.id()))
    }

    fn commit_text(&self, text: &str) -> Value {
        Value::from(digest::commitment(self.asked.commitment_key.as_bytes(), text))
    }

    fn cancel(self, client: ClientId, reason: Option<String>, now: Timestamp) -> Result<Transition, Refused> {
        if client != self.asked.client.id {
            return Err(Refused::NotRequester);
        }
        if now >= self.expires_at() {
            return Err(Refused::Expired);
        }
        let mut event = self.entry(Kind::RequestCancelled, Actor::Client(client.clone()));
        if let Some(reason) = &reason {
            event = event.with("reason_commitment", self.commit_text(reason));
        }
        let mut effects = vec![Effect::Redraw, Effect::Thread(Occasion::Decision(None))];
        effects.extend(self.tell_behalf(None));
        Ok(self.next(State::Cancelled { at: now, by: client, reason }, vec![event], effects, now))
    }

    fn expire(self, now: Timestamp) -> Result<Transition, Refused> {
        if now < self.expires_at() {
            return Err(Refused::Stale);
        }
        let at = self.expires_at();
        let event = self.entry(Kind::RequestExpired, Actor::System).with("expired_at", at.to_string());
        let mut effects = vec![Effect::Redraw, Effect::Thread(Occasion::Decision(None))];
        effects.extend(self.tell_behalf(None));
        Ok(self.next(State::Expired { at }, vec![event], effects, now))
    }

    fn remind(mut self, now: Timestamp) -> Result<Transition, Refused> {
        if now >= self.expires_at() {
            return Err(Refused::Expired);
        }
        if self.remind_at().is_none_or(|due| now < due) {
            return Err(Refused::NothingDue);
        }
        self.live.reminded_at = Some(now);
        let event = self.entry(Kind::RequestReminded, Actor::System);
        Ok(self.next(State::Pending, vec![event], vec![Effect::Redraw, Effect::Thread(Occasion::Reminder)], now))
    }

    fn escalate(mut self, now: Timestamp) -> Result<Transition, Refused> {
        if now >= self.expires_at() {
            return Err(Refused::Expired);
        }
        if self.escalate_at().is_none_or(|due| now < due) {
            return Err(Refused::NothingDue);
        }
        let age = now.since(self.asked.created_at).as_secs();
        let happened = self.live.requirements.escalate_until(age);
        let groups: BTreeSet<&String> = happened.iter().flat_map(|escalation| &escalation.groups).collect();
        let event = self
            .entry(Kind::RequestEscalated, Actor::System)
            .with("groups", groups.into_iter().cloned().collect::<Vec<_>>())
            .with("after", happened.iter().map(|escalation| escalation.after).max());
        // A destination that has a card already gets no second one.
        let destinations: Vec<_> = happened.into_iter().flat_map(|escalation| escalation.destinations).collect();
        let mut effects = vec![Effect::Redraw, Effect::Thread(Occasion::Escalation)];
        if !destinations.is_empty() {
            effects.push(Effect::Post(destinations));
        }
        Ok(self.next(State::Pending, vec![event], effects, now))
    }

    /// The person it is for learns how it ended, unless they ended it.
    fn tell_behalf(&self, decided_by: Option<&PersonId>) -> Option<Effect> {
        let behalf = self.asked.on_behalf_of.as_ref().filter(|behalf| Some(&behalf.id) != decided_by)?;
        Some(Effect::TellPerson(behalf.id.clone()))
    }

    fn revoke(self, by: Actor, reason: Option<String>, now: Timestamp) -> Result<Transition, Refused> {
        if matches!(&by, Actor::Client(client) if *client != self.asked.client.id) {
            return Err(Refused::NotRequester);
        }
        if let Some(reason) = self.grant_reason(now, None) {
            return Err(Refused::NoGrant(reason));
        }
        let State::Approved(mut approval) = self.live.state.clone() else { return Err(Refused::NotApproved) };
        let mut event = self.entry(Kind::RequestRevoked, by.clone());
        if let Some(reason) = &reason {
            event = event.with("reason_commitment", self.commit_text(reason));
        }
        approval.grant = Grant::Revoked { at: now, by, reason };
        let effects = vec![Effect::Redraw, Effect::Thread(Occasion::Revoked)];
        Ok(self.next(State::Approved(approval), vec![event], effects, now))
    }

    fn mint(self, minted: Minted, now: Timestamp) -> Result<Transition, Refused> {
        if let Some(reason) = self.grant_reason(now, None) {
            return Err(Refused::NoGrant(reason));
        }
        let State::Approved(mut approval) = self.live.state.clone() else { return Err(Refused::NotApproved) };
        if minted.expires_at <= now {
            // `exp` has whole seconds: in the last one before the approval lapses there is no token left to make.
            return Err(Refused::NoGrant(GrantReason::Lapsed));
        }
        if minted.expires_at > approval.valid_until {
            return Err(Refused::Stale);
        }
        if let Grant::Minted(present) = &approval.grant
            && present.expires_at > now
        {
            // Two readers at once: the loser reads the winner's token.
            return Err(Refused::Stale);
        }
        let event = self
            .entry(Kind::GrantMinted, Actor::Client(self.asked.client.id.clone()))
            .with("jti", minted.jti.as_str())
            .with("digest", self.live.digest.to_string())
            .with("expires_at", minted.expires_at.to_string());
        approval.grant = Grant::Minted(minted);
        let mut transition = self.next(State::Approved(approval), vec![event], Vec::new(), now);
        // Whoever fetched the token knows, and nobody else can see it.
        transition.effects.clear();
        Ok(transition)
    }

    fn redeem(self, jti: &GrantId, by: ClientId, void_before: Option<Timestamp>, now: Timestamp) -> Result<Transition, Refused> {
        if let Some(reason) = self.grant_reason(now, void_before) {
            return Err(Refused::NoGrant(reason));
        }
        let State::Approved(mut approval) = self.live.state.clone() else { return Err(Refused::NotApproved) };
        let Grant::Minted(minted) = &approval.grant else { return Err(Refused::Superseded) };
        if minted.jti != *jti {
            return Err(Refused::Superseded);
        }
        if minted.expires_at <= now {
            return Err(Refused::NoGrant(GrantReason::Lapsed));
        }
        let event = self
            .entry(Kind::GrantRedeemed, Actor::Client(by.clone()))
            .with("jti", jti.as_str())
            .with("digest", self.live.digest.to_string());
        approval.grant = Grant::Redeemed { jti: jti.clone(), at: now, by };
        let effects = vec![Effect::Redraw, Effect::Thread(Occasion::Redeemed)];
        Ok(self.next(State::Approved(approval), vec![event], effects, now))
    }

    fn tell_outcome(self, outcome: Outcome, now: Timestamp) -> Result<Transition, Refused> {
        let State::Approved(mut approval) = self.live.state.clone() else { return Err(Refused::NotApproved) };
        let redeemer = match &approval.grant {
            Grant::Redeemed { by, .. } => Some(by),
            Grant::Unminted | Grant::Minted(_) | Grant::Revoked { .. } => None,
        };
        if outcome.by != self.asked.client.id && redeemer != Some(&outcome.by) {
            return Err(Refused::NotRequester);
        }
        if approval.outcome.is_some() {
            return Err(Refused::OutcomeReported);
        }
        let mut event = self.entry(Kind::RequestOutcome, Actor::Client(outcome.by.clone())).with(
            "status",
            match outcome.status {
                super::OutcomeStatus::Succeeded => "succeeded",
                super::OutcomeStatus::Failed => "failed",
            },
        );
        if let Some(detail) = &outcome.detail {
            event = event.with("detail_commitment", self.commit_text(detail));
        }
        if !outcome.touched.is_empty() {
            event = event.with("touched_commitment", self.commit_text(&String::from_utf8_lossy(&json::canonical_of(&outcome.touched))));
        }
        approval.outcome = Some(outcome);
        let effects = vec![Effect::Redraw, Effect::Thread(Occasion::Outcome)];
        Ok(self.next(State::Approved(approval), vec![event], effects, now))
    }
}

/// One review on its way into a pending request.
struct Reviewing {
    id: ReviewId,
    reviewer: VerifiedReviewer,
    act: Act,
    comment: Option<String>,
    rechecks: Vec<Recheck>,
    now: Timestamp,
}

impl Reviewing {
    fn apply(self, request: Request) -> Result<Transition, Refused> {
        let decision = self.act.decision();
        let person = self.reviewer.person();
        let same_digest = |digest: &Digest| *digest == request.live.digest;
        if let Act::Approve { digest } | Act::Edit { digest, .. } = &self.act
            && !same_digest(digest)
        {
            return Err(Refused::DigestChanged);
        }
        if decision == Decision::Approve
            && let Some(before) = request.approvals().find(|review| review.person() == person)
        {
            return Err(Refused::SameReview(before.id.clone()));
        }
        if !self.reviewer.is_about(&request, decision) {
            return Err(Refused::Stale);
        }
        match &self.act {
            Act::Approve { .. } => self.approve(request),
            Act::Deny { .. } => self.deny(request),
            Act::Edit { .. } => self.edit(request),
            Act::Comment => Ok(self.remark(request)),
        }
    }

    fn approve(self, mut request: Request) -> Result<Transition, Refused> {
        if !request.asked.ask.allows(Allowed::Approve) {
            return Err(Refused::NotOffered("approve"));
        }
        self.demand_comment(&request.live.requirements)?;
        if !self.reviewer.was_judged_by(&request.live.requirements) {
            return Err(Refused::Stale);
        }
        let review = self.review(&request, Decision::Approve, None, true);
        request.live.reviews.push(review.clone());
        self.settle(request, review, Vec::new())
    }

    fn deny(self, mut request: Request) -> Result<Transition, Refused> {
        let Act::Deny { option } = &self.act else { return Err(Refused::Stale) };
        let title = match option {
            None => None,
            Some(name) => {
                let known = request.asked.ask.deny_options.iter().find(|known| known.name == *name);
                Some(known.ok_or(Refused::UnknownOption)?.title.clone())
            }
        };
        let review = self.review(&request, Decision::Deny, option.clone(), false);
        // Somebody who approved before and now denies no longer fills a seat.
        withdraw(&mut request, self.reviewer.person());
        let feedback =
            feedback::denied_by_person(self.reviewer.name(), self.reviewer.standing(), title.as_deref(), self.comment.as_deref());
        let mut denied = request
            .entry(Kind::RequestDenied, Actor::Person(self.reviewer.person().clone()))
            .with("by", "people")
            .with("people", vec![self.reviewer.person().to_string()])
            .with("review", review.id.as_str())
            .with("digest", request.live.digest.to_string());
        if let Some(option) = option {
            denied = denied.with("option_commitment", request.commit_text(option));
        }
        let events = vec![self.recorded(&request, &review), denied];
        let by = DecidedBy::People { people: vec![self.reviewer.person().clone()] };
        request.live.reviews.push(review.clone());
        let mut effects = vec![Effect::Redraw, Effect::Thread(Occasion::Decision(Some(review.id.clone())))];
        effects.extend(request.tell_behalf(Some(self.reviewer.person())));
        effects.push(Effect::Reviewed(review));
        let state = State::Denied { at: self.now, by, feedback, reason: self.comment };
        Ok(request.next(state, events, effects, self.now))
    }

    fn edit(self, mut request: Request) -> Result<Transition, Refused> {
        let Act::Edit { parameters, evaluation, .. } = &self.act else { return Err(Refused::Stale) };
        if !request.asked.ask.allows(Allowed::Edit) {
            return Err(Refused::NotOffered("edit"));
        }
        let schema = request.asked.ask.edit_schema.as_ref().ok_or(Refused::NotOffered("edit"))?;
        let requirements = request.live.requirements.stricter(&evaluation.requirements);
        // A rule that the new parameters fall under may forbid what the old ones allowed to change.
        schema.check(request.parameters(), parameters, requirements.edit.as_deref()).map_err(Refused::EditOutOfBounds)?;
        if evaluation.effect == PolicyEffect::Deny {
            return Err(Refused::EditDeniedByPolicy(evaluation.explanation.clone()));
        }
        if let Some(missing) = missing_of_caller(&request, &requirements) {
            return Err(Refused::EditDeniedByPolicy(format!("they need {missing}, which the caller did not give.")));
        }
        self.demand_comment(&requirements)?;
        if !self.reviewer.was_judged_by(&requirements) {
            return Err(Refused::Stale);
        }
        let digest = request.digest_with(parameters);
        if request.had(&digest) {
            return Err(Refused::EditRepeats);
        }
        let before = std::mem::replace(&mut request.live.digest, digest);
        let voided: Vec<Value> = request.approvals().map(|review| Value::from(review.id.as_str())).collect();
        for review in &mut request.live.reviews {
            review.counts = false;
        }
        request.live.past_digests.push(before);
        request.live.final_parameters = Some(parameters.clone());
        let known = std::mem::replace(&mut request.live.requirements, requirements);
        let review = self.review(&request, Decision::Edit, None, true);
        let edited = request
            .entry(Kind::RequestEdited, Actor::Person(self.reviewer.person().clone()))
            .with("review", review.id.as_str())
            .with("digest_before", before.to_string())
            .with("digest", request.live.digest.to_string())
            .with("rules", evaluation.rules.clone())
            .with("voided", voided);
        let mut events = vec![edited];
        events.extend(evaluation.errors.iter().map(|error| {
            request
                .entry(Kind::PolicyError, Actor::System)
                .with("rule", error.rule.clone())
                .with("policy_version", request.asked.policy.version.clone())
        }));
        request.live.reviews.push(review.clone());
        let mut transition = self.settle(request, review, events)?;
        // The people of seats that this edit added must get to see the request.
        let new: Vec<_> =
            transition.after.live.requirements.destinations.iter().filter(|at| !known.destinations.contains(at)).cloned().collect();
        if !new.is_empty() && transition.after.status() == Status::Pending {
            transition.effects.push(Effect::Post(new));
        }
        Ok(transition)
    }

    fn remark(self, mut request: Request) -> Transition {
        let review = self.review(&request, Decision::Comment, None, false);
        let events = vec![self.recorded(&request, &review)];
        request.live.reviews.push(review.clone());
        let effects = vec![Effect::Redraw, Effect::Thread(Occasion::Review(review.id.clone())), Effect::Reviewed(review)];
        request.next(State::Pending, events, effects, self.now)
    }

    /// Counts the seats with the new approval in place, and decides when they are filled.
    fn settle(self, mut request: Request, review: Review, mut events: Vec<Entry>) -> Result<Transition, Refused> {
        let mut recorded = self.recorded(&request, &review);
        if request.filling().is_complete() {
            let (confirmed, dropped) = self.recheck_earlier(&mut request)?;
            for (name, people) in [("confirmed", confirmed), ("dropped", dropped)] {
                if !people.is_empty() {
                    recorded = recorded.with(name, people);
                }
            }
        }
        let filling = request.filling();
        let complete = filling.is_complete();
        events.insert(0, recorded);
        let id = review.id.clone();
        let mut effects = vec![Effect::Reviewed(review), Effect::Redraw];
        if !complete {
            effects.push(Effect::Thread(Occasion::Review(id)));
            return Ok(request.next(State::Pending, events, effects, self.now));
        }
        effects.push(Effect::Thread(Occasion::Decision(Some(id))));
        effects.extend(request.tell_behalf(Some(self.reviewer.person())));
        // Only those who sit: somebody's groups may have changed so that their approval is one too many.
        let people: Vec<PersonId> = request
            .approvals()
            .map(Review::person)
            .filter(|person| filling.filled_by.iter().flatten().any(|seated| seated == *person))
            .cloned()
            .collect();
        events.push(
            request
                .entry(Kind::RequestApproved, Actor::Person(self.reviewer.person().clone()))
                .with("by", "people")
                .with("people", people.iter().map(ToString::to_string).collect::<Vec<_>>())
                .with("digest", request.live.digest.to_string()),
        );
        let valid_until = self.now.plus(Duration::from_secs(request.live.requirements.approval_valid));
        effects.push(Effect::RedrawAt(valid_until));
        let approval = Approval { at: self.now, by: DecidedBy::People { people }, valid_until, grant: Grant::Unminted, outcome: None };
        Ok(request.next(State::Approved(approval), events, effects, self.now))
    }

    /// Whoever approved earlier and fails now no longer fills a seat. Without an answer about everybody, nothing is approved.
    /// Answers with who was confirmed and who was dropped, for the evidence.
    fn recheck_earlier(&self, request: &mut Request) -> Result<(Vec<Value>, Vec<Value>), Refused> {
        let unanswered: Vec<PersonId> = request
            .approvals()
            .map(Review::person)
            .filter(|person| *person != self.reviewer.person() && self.answer_about(person).is_none())
            .cloned()
            .collect();
        if !unanswered.is_empty() {
            return Err(Refused::RecheckNeeded(unanswered));
        }
        let (mut confirmed, mut dropped) = (Vec::new(), Vec::new());
        for review in request.live.reviews.iter_mut().filter(|review| review.counts && review.person() != self.reviewer.person()) {
            match self.answer_about(review.person()) {
                Some(Ok(candidate)) => {
                    confirmed.push(Value::from(review.person().as_str()));
                    review.candidate = candidate.clone();
                }
                Some(Err(reason)) => {
                    review.counts = false;
                    dropped.push(serde_json::json!({"person": review.person().as_str(), "reason": reason}));
                }
                None => {}
            }
        }
        Ok((confirmed, dropped))
    }

    /// The second answer about a person. An answer that describes somebody else is none.
    fn answer_about(&self, person: &PersonId) -> Option<&Result<Candidate, &'static str>> {
        let answer = &self.rechecks.iter().find(|recheck| recheck.person == *person)?.answer;
        answer.as_ref().map_or(true, |candidate| candidate.person == *person).then_some(answer)
    }

    fn demand_comment(&self, requirements: &Requirements) -> Result<(), Refused> {
        let written = self.comment.as_deref().is_some_and(|comment| !comment.trim().is_empty());
        if requirements.needs_comment() && !written { Err(Refused::CommentRequired) } else { Ok(()) }
    }

    fn review(&self, request: &Request, decision: Decision, option: Option<String>, counts: bool) -> Review {
        Review {
            id: self.id.clone(),
            decision,
            candidate: self.reviewer.candidate().clone(),
            name: self.reviewer.name().to_owned(),
            via: self.reviewer.via(),
            comment: self.comment.clone(),
            option,
            digest: request.live.digest,
            at: self.now,
            counts,
        }
    }

    /// The evidence of a review: who, what, through which groups, and how the directory knew.
    fn recorded(&self, request: &Request, review: &Review) -> Entry {
        let proof = self.reviewer.proof();
        let standing = match self.reviewer.standing() {
            Standing::Seat(_) => "seat",
            Standing::Owner => "owner",
            Standing::OnBehalfOf => "on_behalf_of",
        };
        let groups = match self.reviewer.standing() {
            Standing::Seat(groups) => groups.clone(),
            Standing::Owner | Standing::OnBehalfOf => Vec::new(),
        };
        let mut directory = Map::new();
        directory.insert("source".to_owned(), Value::from(proof.source.as_str()));
        directory.insert("as_of".to_owned(), Value::from(proof.as_of.to_string()));
        directory.insert("fresh".to_owned(), Value::from(proof.fresh));
        let mut event = request
            .entry(Kind::ReviewRecorded, Actor::Person(self.reviewer.person().clone()))
            .with("review", review.id.as_str())
            .with("decision", review.decision.as_str())
            .with("digest", review.digest.to_string())
            .with("via", review.via.as_str())
            .with("standing", standing)
            .with("groups", groups)
            .with("directory", Value::Object(directory));
        if let Some(comment) = &review.comment {
            event = event.with("comment_commitment", request.commit_text(comment));
        }
        event
    }
}

/// What the requirements demand of the caller and the ask does not have: a request for the edited parameters would have been refused for it.
fn missing_of_caller(request: &Request, requirements: &Requirements) -> Option<&'static str> {
    let asked = &request.asked;
    requirements.require.iter().find_map(|require| match require {
        Require::Justification => (!asked.ask.has_justification()).then_some("a justification"),
        Require::Resource => asked.ask.resource.is_none().then_some("a resource"),
        Require::OnBehalfOf => asked.on_behalf_of.is_none().then_some("a person whom the action is for"),
        Require::Comment => None,
    })
}

fn withdraw(request: &mut Request, person: &PersonId) {
    for review in request.live.reviews.iter_mut().filter(|review| review.person() == person) {
        review.counts = false;
    }
}
