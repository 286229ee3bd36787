//! Who may say yes or no, and when enough have.

use super::support::Who::{Alice, Behalf, Bob, Carol, Dave, Outsider};
use super::support::*;
use crate::domain::audit::Kind;
use crate::domain::policy::{Require, Requirements};
use crate::domain::request::{Act, DecidedBy, Decision, Effect, Grant, Recheck, Refused, Status};
use crate::domain::reviewer::Ineligible;
use crate::domain::seats::SeatSpec;
use std::time::Duration;

#[test]
fn both_groups_must_agree_before_anything_is_approved() {
    let mut story = Story::new();
    let first = story.after(60).approve(Carol).unwrap();
    assert_eq!((story.status(), story.seated()), (Status::Pending, vec![vec![], vec![Carol]]));
    assert_eq!(first.events().len(), 1);
    let last = story.after(60).approve(Dave).unwrap();
    assert_eq!((story.status(), story.seated()), (Status::Approved, vec![vec![Dave], vec![Carol]]));
    let approval = story.request.approved().unwrap();
    assert_eq!(approval.by, DecidedBy::People { people: vec![Carol.id(), Dave.id()] });
    assert_eq!(
        (approval.at, approval.valid_until, &approval.grant),
        (story.now, story.now.plus(Duration::from_secs(VALID)), &Grant::Unminted)
    );
    assert_eq!(last.events().iter().map(|event| event.kind).collect::<Vec<_>>(), [Kind::ReviewRecorded, Kind::RequestApproved]);
    assert!(last.effects().contains(&Effect::RedrawAt(approval.valid_until)), "the card turns to lapsed by itself");
    assert_eq!(story.request.decided(), Some((story.now, approval.by.clone())));
}

#[test]
fn one_person_in_both_groups_is_one_person() {
    let mut story = Story::new();
    story.approve(Bob).unwrap();
    assert_eq!(story.request.filling().granted, 1);
    let before = story.request.clone();
    assert_eq!(refused(story.approve(Bob)), Refused::SameReview(before.reviews()[0].id.clone()));
    assert_eq!(story.request, before);
    story.approve(Carol).unwrap();
    assert_eq!((story.status(), story.seated()), (Status::Approved, vec![vec![Bob], vec![Carol]]), "Bob moved over to the other seat");
}

#[test]
fn a_second_person_of_a_filled_group_is_told_what_is_still_open() {
    let mut story = Story::new();
    story.approve(Carol).unwrap();
    story.person(Outsider).groups = ["security".to_owned()].into();
    let open = "1 of data-governance".to_owned();
    assert_eq!(refused(story.approve(Outsider)), Refused::Ineligible(Ineligible::SeatTaken(open)));
    // A denial needs no open seat.
    story.deny(Outsider, "not today").unwrap();
    assert_eq!(story.status(), Status::Denied);
}

#[test]
fn more_than_enough_is_enough() {
    // Both of Bob's groups and an overlap: counts are compared with >=, not ==.
    let seats = vec![SeatSpec::Any { any: vec!["security".to_owned(), "data-governance".to_owned()], person: None, count: 2 }];
    let mut story = Story::with(&body(), Requirements { seats, ..dual_control() });
    story.approve(Bob).unwrap();
    assert_eq!(story.status(), Status::Pending);
    story.approve(Carol).unwrap();
    assert_eq!((story.status(), story.request.filling().granted), (Status::Approved, 2));
}

#[test]
fn a_review_without_any_seat_is_never_approved() {
    let mut story = Story::with(&body(), Requirements { seats: Vec::new(), ..dual_control() });
    for who in Who::ALL {
        assert!(story.approve(who).is_err(), "{who:?}");
    }
    assert!(!story.request.filling().is_complete());
    let zero = Requirements { seats: vec![group("security", 0)], ..dual_control() };
    let mut story = Story::with(&body(), zero);
    assert_eq!(refused(story.approve(Bob)), Refused::Ineligible(Ineligible::NoSeat("0 of security".to_owned())));
}

#[test]
fn a_seat_for_one_named_person_is_theirs_alone() {
    let seats = vec![SeatSpec::Person { person: "Carol@Example.com".to_owned() }];
    let mut story = Story::with(&body(), Requirements { seats, ..dual_control() });
    assert!(story.approve(Bob).is_err());
    story.approve(Carol).unwrap();
    assert_eq!(story.status(), Status::Approved);
}

#[test]
fn owner_and_the_person_it_is_for_never_approve_but_may_deny_and_comment() {
    for (who, reason) in [(Alice, Ineligible::Owner), (Behalf, Ineligible::OnBehalfOf)] {
        let mut story = Story::new();
        assert_eq!(refused(story.approve(who)), Refused::Ineligible(reason.clone()));
        assert_eq!(refused(story.edit(who, 10)), Refused::Ineligible(reason.clone()));
        story.comment(who, "please wait").unwrap();
        // Also when they are in no group that is asked.
        story.person(who).groups.clear();
        assert_eq!(refused(story.approve(who)), Refused::Ineligible(reason));
        story.deny(who, "no").unwrap();
        assert_eq!(story.status(), Status::Denied);
    }
}

#[test]
fn a_new_key_in_the_directory_does_not_make_the_person_it_is_for_somebody_else() {
    let mut story = Story::new();
    story.person(Behalf).id = Outsider.id();
    story.person(Behalf).email = "Behalf@Example.com".to_owned();
    assert_eq!(refused(story.approve(Behalf)), Refused::Ineligible(Ineligible::OnBehalfOf));
}

#[test]
fn a_person_who_could_fill_no_seat_may_not_do_anything() {
    let mut story = Story::new();
    let no_seat = Refused::Ineligible(Ineligible::NoSeat("1 of data-governance and 1 of security".to_owned()));
    assert_eq!(refused(story.approve(Outsider)), no_seat);
    assert_eq!(refused(story.deny(Outsider, "no")), no_seat);
    assert_eq!(refused(story.edit(Outsider, 10)), no_seat);
    assert_eq!(refused(story.comment(Outsider, "hello")), no_seat);
}

#[test]
fn inactive_people_and_machines_do_nothing_at_all() {
    let mut story = Story::new();
    story.person(Bob).active = false;
    story.person(Carol).human = false;
    for (who, reason) in [(Bob, Ineligible::NotActive), (Carol, Ineligible::NotHuman)] {
        let reason = Refused::Ineligible(reason);
        assert_eq!(refused(story.approve(who)), reason);
        assert_eq!(refused(story.deny(who, "no")), reason);
        assert_eq!(refused(story.edit(who, 10)), reason);
        assert_eq!(refused(story.comment(who, "hello")), reason);
    }
}

#[test]
fn what_is_not_known_now_refuses_approvals_and_lets_denials_through() {
    type Change = fn(&mut Story);
    let cases: [(Change, Ineligible); 5] = [
        (|story| story.person(Bob).proof.fresh = false, Ineligible::DirectoryUnavailable),
        (|story| story.owner_known = false, Ineligible::OwnerUnknown),
        (|story| story.person(Alice).active = false, Ineligible::OwnerUnknown),
        (|story| story.person(Alice).human = false, Ineligible::OwnerUnknown),
        (|story| story.frozen = true, Ineligible::ClientFrozen),
    ];
    for (change, reason) in cases {
        let mut story = Story::new();
        change(&mut story);
        assert_eq!(refused(story.approve(Bob)), Refused::Ineligible(reason.clone()));
        assert_eq!(refused(story.edit(Bob, 10)), Refused::Ineligible(reason));
        story.deny(Bob, "no").unwrap();
        assert_eq!(story.status(), Status::Denied);
    }
}

#[test]
fn a_rule_may_narrow_who_approves_and_what_it_cannot_evaluate_is_a_no() {
    for (condition, approves) in [
        ("reviewer.department == 'risk'", true),
        ("reviewer.department == 'sales'", false),
        ("reviewer.level > 3", false),
        ("not CEL (", false),
    ] {
        let mut story = Story::with(&body(), Requirements { reviewer_when: vec![condition.to_owned()], ..one_seat() });
        let result = story.approve(Bob);
        if approves {
            assert_eq!(story.status(), Status::Approved);
        } else {
            assert_eq!(refused(result), Refused::Ineligible(Ineligible::ReviewerCondition), "{condition}");
            story.deny(Bob, "no").unwrap();
        }
    }
}

#[test]
fn an_approval_is_for_the_parameters_that_were_shown() {
    let mut story = Story::new();
    let shown = *story.request.digest();
    story.edit(Bob, 10).unwrap();
    assert_eq!(refused(story.act(Carol, Act::Approve { digest: shown }, None)), Refused::DigestChanged);
    let edit = story.edit_act(shown, story.request.parameters().clone());
    assert_eq!(refused(story.act(Carol, edit, None)), Refused::DigestChanged);
    // A denial has no digest to be wrong about.
    story.deny(Carol, "no").unwrap();
    assert_eq!(story.status(), Status::Denied);
}

#[test]
fn one_denial_ends_it_whatever_was_approved_before() {
    let mut story = Story::new();
    story.approve(Carol).unwrap();
    let transition = story.deny(Dave, "use the staging export").unwrap();
    assert_eq!(story.request.decided().unwrap().1, DecidedBy::People { people: vec![Dave.id()] });
    assert_eq!(transition.events().iter().map(|event| event.kind).collect::<Vec<_>>(), [Kind::ReviewRecorded, Kind::RequestDenied]);
    for who in [Bob, Carol, Dave] {
        assert_eq!(refused(story.approve(who)).to_string(), "Already denied by Dave Ek.");
        assert_eq!(refused(story.deny(who, "no")).to_string(), "Already denied by Dave Ek.");
    }
}

#[test]
fn a_person_may_change_from_approve_to_deny() {
    let mut story = Story::new();
    story.approve(Carol).unwrap();
    story.deny(Carol, "I misread it").unwrap();
    let reviews: Vec<_> = story.request.reviews().iter().map(|review| (review.decision, review.counts)).collect();
    assert_eq!(reviews, [(Decision::Approve, false), (Decision::Deny, false)]);
    assert_eq!(story.request.approvals().count(), 0);
}

#[test]
fn a_denial_may_name_one_of_the_callers_options() {
    let mut story = Story::new();
    let unknown = Act::Deny { option: Some("use_prod".to_owned()) };
    assert_eq!(refused(story.act(Bob, unknown, None)), Refused::UnknownOption);
    story.act(Bob, Act::Deny { option: Some("use_staging".to_owned()) }, None).unwrap();
    assert_eq!(story.request.reviews()[0].option.as_deref(), Some("use_staging"));
}

#[test]
fn a_rule_may_ask_the_approver_for_a_comment() {
    let mut story = Story::with(&body(), Requirements { require: [Require::Comment].into(), ..one_seat() });
    assert_eq!(refused(story.approve(Bob)), Refused::CommentRequired);
    assert_eq!(refused(story.approve_saying(Bob, " \n\t ")), Refused::CommentRequired);
    let edit = story
        .edit_act(*story.request.digest(), serde_json::from_str(r#"{"rows":10,"destination":"s3://partner-drop/customers.csv"}"#).unwrap());
    assert_eq!(refused(story.act(Bob, edit, None)), Refused::CommentRequired);
    story.approve_saying(Bob, "agreement checked").unwrap();
    assert_eq!(story.status(), Status::Approved);
}

#[test]
fn what_the_caller_does_not_offer_cannot_be_done_and_deny_is_always_offered() {
    let mut ask = body();
    ask["allowed_decisions"] = serde_json::json!(["deny"]);
    let mut story = Story::with(&ask, one_seat());
    assert_eq!(refused(story.approve(Bob)), Refused::NotOffered("approve"));
    assert_eq!(refused(story.edit(Bob, 10)), Refused::NotOffered("edit"));
    story.deny(Bob, "no").unwrap();
}

#[test]
fn earlier_approvers_are_asked_about_again_before_the_last_seat_counts() {
    let mut story = Story::new();
    story.approve(Carol).unwrap();
    story.recheck_answers = false;
    let before = story.request.clone();
    assert_eq!(refused(story.approve(Dave)), Refused::RecheckNeeded(vec![Carol.id()]), "no answer, no approval");
    assert_eq!(story.request, before);
    story.recheck_answers = true;
    let last = story.approve(Dave).unwrap();
    assert_eq!(last.events()[0].data["confirmed"], serde_json::json!([Carol.id().as_str()]));
    assert_eq!(story.status(), Status::Approved);
}

#[test]
fn an_earlier_approver_who_left_no_longer_fills_a_seat() {
    type Change = fn(&mut Story);
    let cases: [(Change, &str); 4] = [
        (|story| story.person(Carol).active = false, "not_active"),
        (|story| story.person(Carol).human = false, "not_human"),
        (|story| story.person(Carol).groups.clear(), "not_eligible"),
        (|story| story.person(Carol).proof.fresh = false, "directory_unavailable"),
    ];
    for (change, reason) in cases {
        let mut story = Story::new();
        story.approve(Carol).unwrap();
        change(&mut story);
        let transition = story.approve(Dave).unwrap();
        assert_eq!((story.status(), story.seated()), (Status::Pending, vec![vec![Dave], vec![]]), "{reason}");
        let dropped = &transition.events()[0].data["dropped"];
        assert_eq!(*dropped, serde_json::json!([{"person": Carol.id().as_str(), "reason": reason}]));
        story.approve(Bob).unwrap();
        assert_eq!(story.request.approved().unwrap().by, DecidedBy::People { people: vec![Dave.id(), Bob.id()] });
    }
}

#[test]
fn a_dropped_approver_who_is_back_may_approve_again() {
    let mut story = Story::new();
    story.approve(Carol).unwrap();
    story.person(Carol).active = false;
    story.approve(Dave).unwrap();
    story.person(Carol).active = true;
    story.approve(Carol).unwrap();
    assert_eq!(story.status(), Status::Approved);
}

#[test]
fn an_approver_who_became_the_owner_is_dropped() {
    let mut story = Story::new();
    story.approve(Carol).unwrap();
    // The client was given to Carol meanwhile.
    story.person(Alice).id = Carol.id();
    let verified = story.verify(Dave, Decision::Approve, story.request.requirements()).unwrap();
    let facts = Story::facts(&story.request, story.request.parameters(), story.now);
    let answer = crate::domain::reviewer::still_approves(&story.request, &Carol.person(), &story.circumstances(), &facts);
    assert_eq!(answer, Err("self_approval"));
    let act = Act::Approve { digest: *story.request.digest() };
    story.apply(story.event(verified, act, None, vec![Recheck { person: Carol.id(), answer }])).unwrap();
    assert_eq!(story.status(), Status::Pending);
}

#[test]
fn whoever_changed_groups_may_no_longer_sit_and_is_no_approver() {
    let mut story = Story::new();
    story.approve(Carol).unwrap();
    story.person(Carol).groups = ["data-governance".to_owned()].into();
    // Carol keeps a seat, the other one; Dave's approval is one too many for now.
    story.approve(Dave).unwrap();
    assert_eq!((story.status(), story.seated()), (Status::Pending, vec![vec![Carol], vec![]]));
    story.approve(Bob).unwrap();
    assert_eq!(story.request.approved().unwrap().by, DecidedBy::People { people: vec![Carol.id(), Bob.id()] });
    assert_eq!(story.request.already_decided().to_string(), "Already approved by Carol Xu and Bob Li.");
}

#[test]
fn a_second_answer_about_somebody_else_is_no_answer() {
    let mut story = Story::new();
    story.approve(Carol).unwrap();
    let verified = story.verify(Dave, Decision::Approve, story.request.requirements()).unwrap();
    let forged = vec![Recheck { person: Carol.id(), answer: Ok(Bob.person().candidate()) }];
    let event = story.event(verified, Act::Approve { digest: *story.request.digest() }, None, forged);
    assert_eq!(refused(story.apply(event)), Refused::RecheckNeeded(vec![Carol.id()]));
}

#[test]
fn a_proof_is_good_for_one_act_on_one_version_under_the_requirements_it_was_judged_by() {
    let mut story = Story::new();
    let digest = *story.request.digest();
    let to_deny = story.verify(Bob, Decision::Deny, story.request.requirements()).unwrap();
    let event = story.event(to_deny, Act::Approve { digest }, None, Vec::new());
    assert_eq!(refused(story.apply(event)), Refused::Stale, "verified for a denial");
    let lenient = story.verify(Bob, Decision::Approve, &one_seat()).unwrap();
    let event = story.event(lenient, Act::Approve { digest }, None, Vec::new());
    assert_eq!(refused(story.apply(event)), Refused::Stale, "judged by fewer seats");
    let proof = story.verify(Bob, Decision::Approve, story.request.requirements()).unwrap();
    story.comment(Dave, "looking").unwrap();
    let event = story.event(proof, Act::Approve { digest }, None, Vec::new());
    assert_eq!(refused(story.apply(event)), Refused::Stale, "verified before the request changed");
    let other = Story::with(&serde_json::json!({"action": "db.drop"}), dual_control());
    let foreign = other.verify(Carol, Decision::Approve, other.request.requirements()).unwrap();
    assert_eq!(other.request.id(), story.request.id(), "the same id, another version");
    let event = story.event(foreign, Act::Approve { digest }, None, Vec::new());
    assert_eq!(refused(story.apply(event)), Refused::Stale);
}
