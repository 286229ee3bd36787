//! Every sequence of events to depth six over a small cast, and random longer ones, with the same invariants at each step.
//!
//! States that can behave no differently are visited once: reviews that no longer count, comments, ids and versions are
//! left out of the key, because no rule reads them (what they must be is checked on the step that made them).

use super::invariants::check_step;
use super::support::*;
use crate::domain::audit::Actor;
use crate::domain::policy::{Effect as PolicyEffect, Escalation, Evaluation, Require, Requirements};
use crate::domain::request::{Act, Decision, Event, Grant, Refused, Request, State, Status};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// Everything that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    Approve(Who),
    /// Of the parameters that were first asked, whatever they are now.
    ApproveOriginal(Who),
    Deny(Who),
    Edit(Who, i64),
    Comment(Who),
    Cancel(u8),
    Expire,
    RevokeAsClient(u8),
    RevokeAsPerson(Who),
    Mint,
    /// The present token, by a client.
    Redeem(u8),
    /// A token that was never made or was replaced.
    RedeemOther(u8),
    Outcome(u8),
    /// A third of the time to decide passes, in which an approval lapses; the third time it has just expired.
    Wait,
    /// The person's account is closed, or opened again.
    Leaves(Who),
    /// The client is frozen, or let go.
    Freeze,
    /// Somebody asks whether a reminder is due.
    Remind,
    /// Somebody asks whether an escalation is due.
    Escalate,
}

const FEW: i64 = 10;
/// Policy asks for a second person of security.
const MANY: i64 = 424_242;
/// Policy denies it.
const TOO_MANY: i64 = 5_000_000;
/// What was asked at first.
const ORIGINAL: i64 = 1000;
/// The schema forbids it.
const BELOW: i64 = 0;

fn steps() -> Vec<Step> {
    let mut steps = Vec::new();
    for who in Who::ALL {
        steps.extend([Step::Approve(who), Step::ApproveOriginal(who), Step::Deny(who), Step::Edit(who, FEW), Step::Edit(who, MANY)]);
    }
    for rows in [TOO_MANY, ORIGINAL, BELOW] {
        steps.push(Step::Edit(Who::Bob, rows));
    }
    steps.extend([Who::Bob, Who::Behalf, Who::Outsider].map(Step::Comment));
    for client in [1, 2] {
        let acts =
            [Step::Cancel(client), Step::RevokeAsClient(client), Step::Redeem(client), Step::RedeemOther(client), Step::Outcome(client)];
        steps.extend(acts);
    }
    steps.extend([Step::RevokeAsPerson(Who::Bob), Step::Expire, Step::Mint, Step::Wait, Step::Freeze, Step::Remind, Step::Escalate]);
    steps.extend([Step::Leaves(Who::Carol), Step::Leaves(Who::Alice)]);
    steps
}

fn start(requirements: Requirements) -> Story {
    // In the first third nothing is due, in the second a reminder, in the third an escalation, by which an outsider may sit.
    let (groups, seats) = (vec!["marketing".to_owned()], requirements.seats.clone());
    let escalation = Escalation { after: PENDING / 2, destinations: Vec::new(), groups, seats, done: false };
    let requirements = Requirements { remind_after: Some(PENDING / 4), escalate: vec![escalation], ..requirements };
    let mut story = Story::with(&body(), requirements.clone());
    let more = Requirements { seats: vec![group("security", 2)], approval_valid: 60, ..requirements.clone() };
    let deny = Evaluation { effect: PolicyEffect::Deny, ..review(Requirements::default()) };
    story.edits = vec![(100_000, review(requirements)), (1_000_000, review(more)), (i64::MAX, deny)].into();
    story
}

impl Step {
    /// Lets it happen. What changes the request is checked; what is refused must have changed nothing.
    fn happen(self, before: &Story) -> Result<Story, Refused> {
        let mut after = before.clone();
        let story = &mut after;
        let result = match self {
            Self::Approve(who) => story.approve_saying(who, "comment-text yes"),
            Self::ApproveOriginal(who) => {
                let shown = story.request.asked().digest;
                let result = story.act(who, Act::Approve { digest: shown }, Some("comment-text yes"));
                assert!(result.is_err() || shown == *story.request.digest(), "an approval of what is no longer asked");
                result
            }
            Self::Deny(who) => story.act(who, Act::Deny { option: Some("use_staging".to_owned()) }, Some("comment-text no")),
            Self::Edit(who, rows) => story.edit(who, rows),
            Self::Comment(who) => story.comment(who, "comment-text hm"),
            Self::Cancel(number) => story.cancel(client(number).id),
            Self::Expire => story.apply(Event::Expire),
            Self::Remind => story.apply(Event::Remind),
            Self::Escalate => story.apply(Event::Escalate),
            Self::RevokeAsClient(number) => story.revoke(Actor::Client(client(number).id)),
            Self::RevokeAsPerson(who) => story.revoke(Actor::Person(who.id())),
            Self::Mint => story.mint(),
            Self::Redeem(number) => {
                let jti = match story.request.approved().map(|approval| approval.grant.clone()) {
                    Some(Grant::Minted(minted)) => minted.jti,
                    Some(Grant::Redeemed { jti, .. }) => jti,
                    Some(Grant::Unminted | Grant::Revoked { .. }) | None => story.minted(1).jti,
                };
                story.redeem(&jti, client(number).id)
            }
            Self::RedeemOther(number) => story.redeem(&story.minted(1).jti, client(number).id),
            Self::Outcome(number) => story.outcome(client(number).id),
            Self::Wait => {
                story.after(PENDING / 3);
                return Ok(after);
            }
            Self::Leaves(who) => {
                let person = story.person(who);
                person.active = !person.active;
                return Ok(after);
            }
            Self::Freeze => {
                story.frozen = !story.frozen;
                story.void_before = Some(story.now);
                return Ok(after);
            }
        };
        match result {
            Ok(done) => {
                check_step(before, &done);
                Ok(after)
            }
            Err(refused) => {
                assert_eq!(story.request, before.request, "{self:?} was refused and changed something");
                assert!(!refused.code().is_empty() && !refused.to_string().is_empty());
                if let Refused::AlreadyDecided(sentence, status) = &refused {
                    assert!(*status == story.status() && status.is_terminal() && !sentence.contains("per_"), "{sentence}");
                }
                Err(refused)
            }
        }
    }
}

/// What a state's future depends on.
fn key(story: &Story) -> String {
    let request = &story.request;
    let counting: BTreeMap<_, _> = request.approvals().map(|review| (review.person(), &review.candidate.groups)).collect();
    let state = match request.state() {
        State::Approved(approval) => {
            let grant = match &approval.grant {
                Grant::Unminted => "unminted".to_owned(),
                Grant::Minted(minted) => format!("minted until {}", minted.expires_at),
                Grant::Redeemed { by, .. } => format!("redeemed by {by}"),
                Grant::Revoked { .. } => "revoked".to_owned(),
            };
            format!("approved at {} {grant} {}", approval.at, approval.outcome.is_some())
        }
        State::Pending => format!("pending {:?} {:?}", request.remind_at(), request.escalate_at()),
        // Nothing follows any of these; which one it is decides what a latecomer is told.
        State::Denied { .. } => format!("denied by {:?}", request.decided().map(|(_, by)| by)),
        State::Expired { .. } | State::Cancelled { .. } => format!("{:?}", request.status()),
    };
    let edits: BTreeSet<_> =
        request.reviews().iter().filter(|review| review.decision == Decision::Edit).map(|review| review.digest).collect();
    let world = (story.now, story.frozen, story.void_before);
    let active: Vec<bool> = story.people.iter().map(|person| person.active).collect();
    format!("{state}|{counting:?}|{}|{edits:?}|{:?}|{world:?}|{active:?}", request.digest(), request.requirements().open_seats())
}

/// Visits everything within `depth` steps; gives the number of states and of steps that changed one, and the statuses seen.
fn explore(requirements: Requirements, depth: usize) -> (usize, usize, HashSet<Status>) {
    let steps = steps();
    let mut seen = HashSet::new();
    let mut statuses = HashSet::new();
    let mut changes = 0;
    let mut frontier = vec![start(requirements)];
    for _ in 0..depth {
        let mut next = Vec::new();
        for story in &frontier {
            for step in &steps {
                if let Ok(after) = step.happen(story) {
                    changes += 1;
                    statuses.insert(after.status());
                    if seen.insert(key(&after)) {
                        next.push(after);
                    }
                }
            }
        }
        frontier = next;
    }
    (seen.len(), changes, statuses)
}

#[test]
fn every_sequence_of_six_events_under_dual_control_keeps_the_rules() {
    let (states, changes, statuses) = explore(dual_control(), 6);
    eprintln!("dual control: {states} states, {changes} changes");
    assert_eq!(statuses.len(), Status::ALL.len(), "every status was reached");
}

#[test]
fn every_sequence_of_six_events_with_one_seat_keeps_the_rules() {
    let (states, changes, statuses) = explore(one_seat(), 6);
    eprintln!("one seat: {states} states, {changes} changes");
    assert_eq!(statuses.len(), Status::ALL.len(), "every status was reached");
}

/// Through the store's two documents and back.
fn through_json(request: &Request) -> Request {
    let asked = serde_json::from_str(&serde_json::to_string(request.asked()).unwrap()).unwrap();
    let live = serde_json::from_str(&serde_json::to_string(request.live()).unwrap()).unwrap();
    Request::restore(asked, request.version(), live)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn random_long_lives_keep_the_rules_and_survive_the_store(
        happenings in prop::collection::vec(prop::sample::select(steps()), 30),
        seats in prop::sample::subsequence(vec![group("data-governance", 1), group("security", 2), group("data-governance", 2)], 1..=2),
        comment in any::<bool>(),
    ) {
        let require = if comment { [Require::Comment].into() } else { [].into() };
        let mut story = start(Requirements { seats, require, ..dual_control() });
        for step in happenings {
            // Refusals are checked where they happen.
            let Ok(after) = step.happen(&story) else { continue };
            story = after;
            let restored = through_json(&story.request);
            prop_assert_eq!(&restored, &story.request);
            story.request = restored;
        }
    }
}
