//! Every sentence that the domain says to a caller's model or to a person, word for word.

use super::support::Who::{Alice, Behalf, Bob, Carol, Dave};
use super::support::*;
use crate::domain::field_error::FieldError;
use crate::domain::ids::{PersonId, ReviewId};
use crate::domain::policy::{Effect as PolicyEffect, Evaluation, Requirements};
use crate::domain::request::{Act, Event, GrantReason, Refused, Status};
use crate::domain::reviewer::Ineligible;
use crate::domain::seats::SeatSpec;

fn feedback(story: &Story) -> Option<String> {
    story.request.feedback(story.now, story.void_before)
}

/// What the caller is told after this denial.
fn told(who: Who, option: Option<&str>, comment: Option<&str>) -> String {
    let mut story = Story::new();
    story.act(who, Act::Deny { option: option.map(str::to_owned) }, comment).unwrap();
    feedback(&story).unwrap()
}

#[test]
fn a_denial_says_who_on_what_ground_and_what_to_do() {
    let staging = Some("use_staging");
    for (who, option, comment, sentence) in [
        (
            Dave,
            None,
            Some("use the staging export"),
            "Denied by Dave Ek (data-governance): use the staging export. Do not retry unless the request changes.",
        ),
        (
            Bob,
            None,
            Some("Not on a Friday!"),
            "Denied by Bob Li (data-governance, security): Not on a Friday! Do not retry unless the request changes.",
        ),
        (Carol, staging, None, "Denied by Carol Xu (security): Use staging instead. Do not retry unless the request changes."),
        (
            Carol,
            staging,
            Some("prod is locked."),
            "Denied by Carol Xu (security): Use staging instead: prod is locked. Do not retry unless the request changes.",
        ),
        (Carol, staging, Some("  "), "Denied by Carol Xu (security): Use staging instead. Do not retry unless the request changes."),
        (Alice, None, None, "Denied by Alice Liu (owner of the client): no reason was given. Do not retry unless the request changes."),
        (Behalf, None, Some("why?"), "Denied by Person Behalf (the person it is for): why? Do not retry unless the request changes."),
        (
            Dave,
            None,
            Some(" two\n\nlines\u{202e} "),
            "Denied by Dave Ek (data-governance): two lines. Do not retry unless the request changes.",
        ),
    ] {
        assert_eq!(told(who, option, comment), sentence);
    }
}

#[test]
fn a_title_that_ends_in_a_full_stop_reads_on() {
    let mut ask = body();
    ask["deny_options"] = serde_json::json!([{"name": "later", "title": "Ask again tomorrow."}]);
    let mut story = Story::with(&ask, one_seat());
    story.act(Carol, Act::Deny { option: Some("later".to_owned()) }, Some("freeze today")).unwrap();
    let sentence = "Denied by Carol Xu (security): Ask again tomorrow: freeze today. Do not retry unless the request changes.";
    assert_eq!(feedback(&story).unwrap(), sentence);
}

#[test]
fn a_named_person_denies_as_a_reviewer() {
    let seats = vec![SeatSpec::Person { person: "carol@example.com".to_owned() }];
    let mut story = Story::with(&body(), Requirements { seats, ..dual_control() });
    story.deny(Carol, "no").unwrap();
    assert_eq!(feedback(&story).unwrap(), "Denied by Carol Xu (reviewer): no. Do not retry unless the request changes.");
}

#[test]
fn a_denial_by_policy_names_its_rules() {
    for (rules, sentence) in [
        (&[][..], "Denied by policy (no rule allows it). Do not retry unless the request changes."),
        (&["no-drop"][..], "Denied by policy (rule no-drop). Do not retry unless the request changes."),
        (&["no-drop", "prod"][..], "Denied by policy (rules no-drop, prod). Do not retry unless the request changes."),
    ] {
        let rules = rules.iter().map(|&rule| rule.to_owned()).collect();
        let opened = open(&body(), Evaluation { effect: PolicyEffect::Deny, rules, ..review(Requirements::default()) });
        assert_eq!(opened.after().feedback(START, None).unwrap(), sentence);
    }
}

#[test]
fn every_other_end_has_its_sentence() {
    let mut story = Story::new();
    assert_eq!(feedback(&story), None, "pending: wait");
    story.after(PENDING + 3).apply(Event::Expire).unwrap();
    let expired = "Expired at 2026-11-20T12:40:00Z: nobody decided in time. The action must not run; ask again if it is still needed.";
    assert_eq!(feedback(&story).unwrap(), expired);

    let mut story = Story::new();
    story.cancel(asker()).unwrap();
    assert_eq!(feedback(&story).unwrap(), "Cancelled by the client that asked. The action must not run.");

    let mut story = Story::with(&body(), one_seat());
    story.approve(Bob).unwrap();
    assert_eq!(feedback(&story), None, "approved: go on");
    let mut frozen = story.clone();
    frozen.void_before = Some(frozen.now);
    assert_eq!(feedback(&frozen).unwrap(), "The client was frozen, so its grants are void. The action must not run.");
    let mut lapsed = story.clone();
    lapsed.after(VALID);
    let sentence = "The approval lapsed unused at 2026-11-20T11:55:00Z. The action must not run; ask again if it is still needed.";
    assert_eq!(feedback(&lapsed).unwrap(), sentence);
    let mut revoked = story.clone();
    revoked.revoke(crate::domain::audit::Actor::System).unwrap();
    assert_eq!(feedback(&revoked).unwrap(), "The approval was revoked. The action must not run.");
    story.mint().unwrap();
    let jti = story.minted(1).jti;
    assert!(story.redeem(&jti, asker()).is_err());
    let crate::domain::request::Grant::Minted(minted) = story.request.approved().unwrap().grant.clone() else { panic!() };
    story.redeem(&minted.jti, asker()).unwrap();
    assert_eq!(feedback(&story).unwrap(), "The grant of this approval was already redeemed. Ask again to run the action again.");
}

#[test]
fn every_refusal_has_its_code_and_its_sentence() {
    let review = || ReviewId::new(START, [0; 10]);
    for (refused, code, sentence) in [
        (
            Refused::AlreadyDecided("Already approved by Bob Li.".to_owned(), Status::Approved),
            "already_decided",
            "Already approved by Bob Li.",
        ),
        (Refused::Expired, "expired", "This request expired before you decided."),
        (Refused::Ineligible(Ineligible::NotActive), "not_active", "Your account is not active in the company directory."),
        (
            Refused::DigestChanged,
            "digest_changed",
            "The parameters were changed after this card was drawn. Look at the new ones, then decide.",
        ),
        (Refused::SameReview(review()), "same_review", "Your review was already recorded."),
        (Refused::EditRepeats, "edit_repeats", "These parameters were part of this request before. An edit must lead to new ones."),
        (
            Refused::EditOutOfBounds(vec![FieldError::new("/rows", "x")]),
            "edit_out_of_bounds",
            "The edit is not within what the caller allows to change.",
        ),
        (Refused::EditDeniedByPolicy("why.".to_owned()), "edit_denied_by_policy", "Policy denies the edited parameters: why."),
        (Refused::NotOffered("edit"), "decision_not_offered", "The caller does not offer the decision \"edit\" for this request."),
        (Refused::CommentRequired, "comment_required", "A comment is required to approve this request."),
        (Refused::UnknownOption, "unknown_option", "There is no deny option of that name."),
        (Refused::RecheckNeeded(vec![PersonId::new([0; 16])]), "recheck_needed", "earlier approvers must be checked again"),
        (Refused::Stale, "stale", "the request changed since the reviewer was verified"),
        (Refused::NotRequester, "not_requester", "Only the client that made the request may do this."),
        (Refused::NotApproved, "not_approved", "This request is not approved."),
        (Refused::NoGrant(GrantReason::Redeemed), "grant_already_redeemed", "The grant of this approval was already redeemed."),
        (Refused::NoGrant(GrantReason::Lapsed), "grant_expired", "The approval lapsed before its grant was used."),
        (Refused::NoGrant(GrantReason::Revoked), "revoked", "The approval was revoked."),
        (Refused::NoGrant(GrantReason::Frozen), "frozen", "The client was frozen, so its grants are void."),
        (Refused::Superseded, "grant_superseded", "A newer grant replaced this one."),
        (Refused::OutcomeReported, "outcome_already_reported", "The outcome of this request was already reported."),
    ] {
        assert_eq!((refused.code(), refused.to_string().as_str()), (code, sentence));
    }
}

#[test]
fn every_ineligibility_has_its_code_and_its_sentence() {
    let seats = || "1 of security".to_owned();
    for (reason, code, sentence) in [
        (Ineligible::NotActive, "not_active", "Your account is not active in the company directory."),
        (Ineligible::NotHuman, "not_human", "Only people may decide; your account is a service or bot account."),
        (Ineligible::OnBehalfOf, "self_approval", "This action was asked for on your behalf, so you cannot approve it. You may deny it."),
        (Ineligible::Owner, "self_approval", "You are the owner of the client that asks, so you cannot approve it. You may deny it."),
        (Ineligible::NoSeat(seats()), "not_eligible", "You cannot decide this: it needs 1 of security."),
        (Ineligible::SeatTaken(seats()), "seat_taken", "The seats that you could fill are already filled. Still open: 1 of security."),
        (Ineligible::ReviewerCondition, "reviewer_condition", "A rule of the policy does not let you approve this request."),
        (
            Ineligible::DirectoryUnavailable,
            "directory_unavailable",
            "The company directory cannot be asked right now, so nothing can be approved. You may deny, or try again.",
        ),
        (
            Ineligible::OwnerUnknown,
            "owner_unknown",
            "The owner of the client that asks is not an active person of the directory, so nothing can be approved. You may deny.",
        ),
        (Ineligible::ClientFrozen, "client_frozen", "The client that asks is frozen; its requests can only be denied."),
    ] {
        assert_eq!((reason.code(), reason.to_string().as_str()), (code, sentence));
        assert_eq!((Refused::from(reason.clone()).code(), Refused::from(reason).to_string().as_str()), (code, sentence));
    }
}

#[test]
fn whoever_comes_too_late_is_told_who_was_faster() {
    let mut story = Story::new();
    assert_eq!(story.request.already_decided().to_string(), "This request is not decided yet.");
    story.approve(Carol).unwrap();
    story.edit(Bob, 10).unwrap();
    story.approve(Carol).unwrap();
    assert_eq!(refused(story.deny(Dave, "no")).to_string(), "Already approved by Bob Li and Carol Xu.");
    let mut story = Story::new();
    story.after(PENDING).apply(Event::Expire).unwrap();
    assert_eq!(refused(story.approve(Bob)).to_string(), "This request expired; nobody decided in time.");
}
