//! How a request is born and how it ends: policy, time, the caller, and what becomes of the grant.

use super::support::Who::{Alice, Bob, Carol, Dave};
use super::support::*;
use crate::domain::audit::{Actor, Kind};
use crate::domain::notice::Occasion;
use crate::domain::policy::{Destination, Effect as PolicyEffect, Evaluation, Requirements, RuleError};
use crate::domain::request::{
    Act, DecidedBy, Decision, Effect, Event, Grant, GrantReason, Minted, OutcomeStatus, Refused, Request, State, Status,
};
use crate::domain::time::Timestamp;
use serde_json::json;
use std::time::Duration;

fn approved() -> Story {
    let mut story = Story::with(&body(), one_seat());
    story.approve(Bob).unwrap();
    story
}

fn minted() -> (Story, Minted) {
    let mut story = approved();
    story.mint().unwrap();
    let Grant::Minted(minted) = story.request.approved().unwrap().grant.clone() else { panic!() };
    (story, minted)
}

fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

#[test]
fn a_review_starts_pending_and_posts_its_card() {
    let transition = open(&body(), review(dual_control()));
    let request = transition.after();
    assert_eq!((request.status(), request.version(), transition.from_version()), (Status::Pending, 1, 0));
    assert_eq!(transition.effects(), [Effect::Post(vec![Destination::Slack { channel: "C0PROD".to_owned() }])]);
    assert_eq!(transition.events().iter().map(|event| event.kind).collect::<Vec<_>>(), [Kind::RequestCreated]);
    assert_eq!(request.expires_at(), at(PENDING));
    assert!(!request.is_usable(START, None) && request.decided().is_none() && request.feedback(START, None).is_none());
    let nowhere = open(&body(), review(Requirements { destinations: Vec::new(), ..dual_control() }));
    assert!(nowhere.effects().is_empty());
}

#[test]
fn the_shorter_time_of_caller_and_rule_holds() {
    for (asked, expires) in [(60, 60), (7_200, PENDING)] {
        let mut ask = body();
        ask["expires_in"] = json!(asked);
        assert_eq!(open(&ask, review(dual_control())).after().expires_at(), at(expires));
    }
}

#[test]
fn policy_may_allow_and_the_grant_comes_with_the_birth() {
    let evaluation =
        Evaluation { effect: PolicyEffect::Allow, ..review(Requirements { approval_valid: VALID, ..Requirements::default() }) };
    let opened = open(&body(), evaluation);
    let token = Story { request: opened.after().clone(), ..Story::new() }.minted(120);
    let both = opened.then(|request| request.apply(Event::Mint(token.clone()), START)).unwrap();
    assert_eq!((both.from_version(), both.after().version()), (0, 1), "nobody sees a version in between");
    let kinds: Vec<_> = both.events().iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [Kind::RequestCreated, Kind::RequestApproved, Kind::GrantMinted]);
    let approval = both.after().approved().unwrap();
    assert_eq!((&approval.by, &approval.grant), (&DecidedBy::Policy { rules: vec!["prod-exports".to_owned()] }, &Grant::Minted(token)));
    assert!(both.effects().is_empty(), "no card for what nobody is asked");
    assert!(both.after().is_usable(START, None));
    assert_eq!(both.after().already_decided().to_string(), "Already approved by policy.");
}

#[test]
fn policy_may_deny_and_every_unevaluable_rule_is_evidence() {
    let mut evaluation = Evaluation { effect: PolicyEffect::Deny, ..review(Requirements::default()) };
    evaluation.errors.push(RuleError { rule: "prod-exports".to_owned(), what: "when: no such key".to_owned() });
    let opened = open(&body(), evaluation);
    let kinds: Vec<_> = opened.events().iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [Kind::RequestCreated, Kind::PolicyError, Kind::RequestDenied]);
    assert_eq!(opened.after().status(), Status::Denied);
    assert_eq!(opened.after().already_decided().to_string(), "Already denied by policy.");
    let mut story = Story { request: opened.into_after(), ..Story::new() };
    assert_eq!(refused(story.mint()), Refused::NotApproved);
}

#[test]
fn a_step_that_is_refused_takes_the_whole_chain_with_it() {
    let opened = open(&body(), review(dual_control()));
    let chained = opened.then(|request| request.apply(Event::Expire, START));
    assert_eq!(refused(chained), Refused::Stale);
}

#[test]
fn time_that_ran_out_refuses_everything_before_it_is_recorded() {
    let mut story = Story::new();
    story.approve(Carol).unwrap();
    let proof = story.verify(Dave, Decision::Approve, story.request.requirements()).unwrap();
    let no = story.verify(Dave, Decision::Deny, story.request.requirements()).unwrap();
    story.now = Timestamp::from_millis(at(PENDING).as_millis() - 1);
    assert_eq!(refused(story.apply(Event::Expire)), Refused::Stale, "not a millisecond early");
    story.now = at(PENDING);
    let approve = story.event(proof, Act::Approve { digest: *story.request.digest() }, None, Vec::new());
    assert_eq!(refused(story.apply(approve)), Refused::Expired);
    let deny = story.event(no, Act::Deny { option: None }, None, Vec::new());
    assert_eq!(refused(story.apply(deny)), Refused::Expired);
    assert_eq!(refused(story.cancel(asker())), Refused::Expired);
    assert_eq!(story.status(), Status::Pending);
    story.after(5);
    let transition = story.apply(Event::Expire).unwrap();
    assert_eq!(*story.request.state(), State::Expired { at: at(PENDING) }, "when it ran out, not when that was noticed");
    assert_eq!(
        (transition.at(), transition.effects()),
        (at(PENDING + 5), [Effect::Redraw, Effect::Thread(Occasion::Decision(None)), Effect::TellPerson(Who::Behalf.id())].as_slice())
    );
    assert_eq!(story.request.decided(), Some((at(PENDING), DecidedBy::Expiry)));
    assert_eq!(refused(story.apply(Event::Expire)).code(), "already_decided");
}

#[test]
fn only_the_requester_cancels_and_only_while_it_is_pending() {
    let mut story = Story::new();
    assert_eq!(refused(story.cancel(stranger())), Refused::NotRequester);
    story.cancel(asker()).unwrap();
    assert_eq!(story.request.decided(), Some((START, DecidedBy::Caller { client: asker() })));
    assert_eq!(refused(story.cancel(asker())).to_string(), "The caller took this request back.");
    assert_eq!(refused(approved().cancel(asker())).to_string(), "Already approved by Bob Li.");
}

#[test]
fn an_approval_is_revoked_by_its_client_or_by_people_and_never_comes_back() {
    for by in [Actor::Client(asker()), Actor::Person(Bob.id()), Actor::System] {
        let (mut story, token) = minted();
        let transition = story.revoke(by.clone()).unwrap();
        assert_eq!((transition.events()[0].kind, &transition.events()[0].actor), (Kind::RequestRevoked, &by));
        assert_eq!((story.status(), story.request.is_usable(story.now, None)), (Status::Approved, false));
        let revoked = Refused::NoGrant(GrantReason::Revoked);
        assert_eq!(refused(story.redeem(&token.jti, asker())), revoked);
        assert_eq!(refused(story.mint()), revoked);
        assert_eq!(refused(story.revoke(by)), revoked);
        story.after(VALID * 2);
        assert_eq!(story.request.grant_reason(story.now, Some(story.now)), Some(GrantReason::Revoked), "revoked stays revoked");
    }
    assert_eq!(refused(approved().revoke(Actor::Client(stranger()))), Refused::NotRequester);
    assert_eq!(refused(Story::new().revoke(Actor::Client(asker()))), Refused::NotApproved);
}

#[test]
fn a_token_is_used_once() {
    let (mut story, token) = minted();
    assert_eq!(refused(story.redeem(&story.minted(1).jti, asker())), Refused::Superseded, "not that token");
    let transition = story.redeem(&token.jti, stranger()).unwrap();
    assert_eq!(transition.events()[0].kind, Kind::GrantRedeemed);
    assert_eq!(story.request.approved().unwrap().grant, Grant::Redeemed { jti: token.jti.clone(), at: START, by: stranger() });
    let used = Refused::NoGrant(GrantReason::Redeemed);
    assert_eq!(refused(story.redeem(&token.jti, stranger())), used);
    assert_eq!(refused(story.mint()), used);
    assert_eq!(refused(story.revoke(Actor::Person(Bob.id()))), used);
}

#[test]
fn a_second_token_is_made_only_when_the_first_ran_out_and_replaces_it() {
    let (mut story, first) = minted();
    assert_eq!(refused(story.mint()), Refused::Stale, "two readers at once: the loser reads the winner's token");
    story.after(120);
    assert_eq!(refused(story.redeem(&first.jti, asker())), Refused::NoGrant(GrantReason::Lapsed), "a token is good until its exp");
    story.mint().unwrap();
    assert_eq!(refused(story.redeem(&first.jti, asker())), Refused::Superseded);
    let Grant::Minted(second) = story.request.approved().unwrap().grant.clone() else { panic!() };
    story.redeem(&second.jti, asker()).unwrap();
}

#[test]
fn without_a_token_there_is_nothing_to_redeem() {
    let mut story = approved();
    let made_up = story.minted(60).jti;
    assert_eq!(refused(story.redeem(&made_up, asker())), Refused::Superseded);
    let mut pending = Story::new();
    assert_eq!(refused(pending.redeem(&made_up, asker())), Refused::NotApproved);
    assert_eq!(refused(pending.mint()), Refused::NotApproved);
}

#[test]
fn an_unused_approval_lapses() {
    let (mut story, token) = minted();
    story.after(VALID - 1);
    assert!(story.request.is_usable(story.now, None));
    story.after(1);
    let lapsed = Refused::NoGrant(GrantReason::Lapsed);
    assert!(!story.request.is_usable(story.now, None));
    assert_eq!(refused(story.redeem(&token.jti, asker())), lapsed);
    assert_eq!(refused(story.mint()), lapsed);
    assert_eq!(refused(story.revoke(Actor::Person(Bob.id()))), lapsed);
}

#[test]
fn no_token_is_made_that_outlives_the_approval_or_is_dead_at_birth() {
    let mut story = approved();
    let until = story.request.approved().unwrap().valid_until;
    let token = |expires_at| Event::Mint(Minted { expires_at, ..story.minted(1) });
    let (late, dead) = (token(Timestamp::from_millis(until.as_millis() + 1)), token(story.now));
    assert_eq!(refused(story.clone().apply(late)), Refused::Stale);
    assert_eq!(refused(story.apply(dead)), Refused::NoGrant(GrantReason::Lapsed));
}

#[test]
fn a_freeze_kills_what_was_approved_up_to_then() {
    let (mut story, token) = minted();
    story.void_before = Some(story.now);
    assert_eq!(refused(story.redeem(&token.jti, asker())), Refused::NoGrant(GrantReason::Frozen));
    assert_eq!(story.request.grant_reason(story.now, story.void_before), Some(GrantReason::Frozen));
    story.void_before = Some(Timestamp::from_millis(START.as_millis() - 1));
    story.redeem(&token.jti, asker()).unwrap();
    assert_eq!(story.request.grant_reason(story.now, Some(story.now)), Some(GrantReason::Redeemed), "used stays used");
}

#[test]
fn the_outcome_is_told_once_by_who_asked_or_who_redeemed() {
    assert_eq!(refused(Story::new().outcome(asker())), Refused::NotApproved);
    let (mut story, token) = minted();
    assert_eq!(refused(story.outcome(stranger())), Refused::NotRequester);
    story.redeem(&token.jti, stranger()).unwrap();
    let mut other = story.clone();
    other.outcome(asker()).unwrap();
    let transition = story.outcome(stranger()).unwrap();
    let event = &transition.events()[0];
    assert_eq!((event.kind, &event.data["status"]), (Kind::RequestOutcome, &json!("succeeded")));
    assert!(event.data.contains_key("detail_commitment") && event.data.contains_key("touched_commitment"));
    assert_eq!(story.request.approved().unwrap().outcome.as_ref().unwrap().status, OutcomeStatus::Succeeded);
    assert_eq!(refused(story.outcome(asker())), Refused::OutcomeReported);
}

#[test]
fn what_is_decided_stays_decided() {
    let ended: [fn(&mut Story); 4] = [
        |story| {
            story.deny(Alice, "no").unwrap();
        },
        |story| {
            story.cancel(asker()).unwrap();
        },
        |story| {
            story.after(PENDING).apply(Event::Expire).unwrap();
        },
        |story| {
            story.approve(Carol).unwrap();
            story.approve(Dave).unwrap();
        },
    ];
    for end in ended {
        let mut story = Story::new();
        // Verified while it was pending, too late when it arrives.
        let no = story.verify(Bob, Decision::Deny, story.request.requirements()).unwrap();
        let late = story.event(no, Act::Deny { option: None }, None, Vec::new());
        end(&mut story);
        let status = story.status();
        assert!(status.is_terminal());
        for event in [late, Event::Cancel { client: asker(), reason: None }, Event::Expire] {
            let Refused::AlreadyDecided(_, told) = refused(story.apply(event)) else { panic!() };
            assert_eq!(told, status);
        }
        if status != Status::Approved {
            for result in [story.mint(), story.revoke(Actor::System), story.outcome(asker())] {
                assert_eq!(refused(result), Refused::NotApproved);
            }
        }
    }
}

#[test]
fn a_request_is_put_together_again_from_what_the_store_keeps() {
    let (mut story, token) = minted();
    story.redeem(&token.jti, asker()).unwrap();
    story.outcome(asker()).unwrap();
    let request = &story.request;
    let asked = serde_json::from_str(&serde_json::to_string(request.asked()).unwrap()).unwrap();
    let live = serde_json::from_str(&serde_json::to_string(request.live()).unwrap()).unwrap();
    assert_eq!(Request::restore(asked, request.version(), live), *request);
    for status in Status::ALL {
        assert_eq!(Status::parse(status.as_str()), Some(status));
        assert_eq!(json!(status), json!(status.as_str()));
    }
    assert_eq!(Status::parse("usable"), None);
}
