//! A reviewer changes the parameters.

use super::support::Who::{Alice, Bob, Carol, Dave, Outsider};
use super::support::*;
use crate::domain::audit::Kind;
use crate::domain::policy::{Destination, Effect as PolicyEffect, Evaluation, Require, Requirements, RuleError};
use crate::domain::request::{Act, DecidedBy, Decision, Effect, Refused, Status};
use crate::domain::reviewer::Ineligible;
use serde_json::json;

/// What policy says of more than 5,000 rows.
fn above_5000(evaluation: Evaluation) -> Story {
    let mut story = Story::new();
    story.edits = vec![(5_000, review(dual_control())), (i64::MAX, evaluation)].into();
    story
}

#[test]
fn an_edit_voids_earlier_approvals_and_counts_as_the_editors() {
    let mut story = Story::new();
    story.approve(Carol).unwrap();
    let before = *story.request.digest();
    let transition = story.edit(Bob, 10).unwrap();
    assert_eq!((story.status(), story.seated()), (Status::Pending, vec![vec![Bob], vec![]]));
    assert_ne!(*story.request.digest(), before);
    assert_eq!(story.request.asked().digest, before, "what was asked stays");
    assert_eq!(story.request.final_parameters().unwrap()["rows"], 10);
    assert_eq!(story.request.asked().ask.parameters["rows"], 1000);
    let counted: Vec<_> = story.request.reviews().iter().map(|review| (review.decision, review.counts, review.digest == before)).collect();
    assert_eq!(counted, [(Decision::Approve, false, true), (Decision::Edit, true, false)]);
    let edited = &transition.events()[1];
    assert_eq!(edited.kind, Kind::RequestEdited);
    assert_eq!(edited.data["voided"], json!([story.request.reviews()[0].id.as_str()]));
    assert_eq!(
        (&edited.data["digest_before"], &edited.data["digest"]),
        (&json!(before.to_string()), &json!(story.request.digest().to_string()))
    );
    // Who approved the old parameters may approve the new ones; whoever edited has done so already.
    assert!(matches!(refused(story.approve(Bob)), Refused::SameReview(_)));
    story.approve(Carol).unwrap();
    assert_eq!(story.request.approved().unwrap().by, DecidedBy::People { people: vec![Bob.id(), Carol.id()] });
}

#[test]
fn where_one_seat_is_asked_an_edit_approves_and_nobody_earlier_is_asked_about() {
    let mut story = Story::with(&body(), one_seat());
    story.recheck_answers = false;
    story.edit(Carol, 10).unwrap();
    assert_eq!(story.request.already_decided().to_string(), "Already approved by Carol Xu.");
    assert_eq!(story.request.parameters()["rows"], 10);
}

#[test]
fn an_edit_may_take_a_seat_that_was_filled_because_it_opens_all() {
    let mut story = Story::new();
    story.approve(Carol).unwrap();
    story.person(Outsider).groups = ["security".to_owned()].into();
    assert!(story.approve(Outsider).is_err());
    story.edit(Outsider, 10).unwrap();
    assert_eq!(story.seated(), [vec![], vec![Outsider]]);
}

#[test]
fn an_edit_back_to_parameters_of_before_is_refused() {
    let mut story = Story::new();
    assert_eq!(refused(story.edit(Bob, 1000)), Refused::EditRepeats, "nothing changed");
    story.edit(Bob, 10).unwrap();
    story.edit(Carol, 20).unwrap();
    for rows in [1000, 10, 20] {
        assert_eq!(refused(story.edit(Dave, rows)), Refused::EditRepeats, "{rows}");
    }
    let mut spelled = story.request.parameters().clone();
    spelled.insert("rows".to_owned(), json!(10.0));
    assert_eq!(refused(story.edit_to(Dave, spelled)), Refused::EditRepeats, "10.0 is 10");
}

#[test]
fn an_edit_stays_within_the_callers_schema_and_the_rules_bounds() {
    let mut story = Story::new();
    let mut elsewhere = story.request.parameters().clone();
    elsewhere.insert("destination".to_owned(), json!("s3://elsewhere"));
    let Refused::EditOutOfBounds(errors) = refused(story.edit_to(Bob, elsewhere)) else { panic!() };
    assert_eq!(errors.iter().map(|error| error.pointer.as_str()).collect::<Vec<_>>(), ["/destination"]);
    assert!(matches!(refused(story.edit(Bob, 0)), Refused::EditOutOfBounds(_)), "below the minimum");
    let mut removed = story.request.parameters().clone();
    removed.remove("destination");
    assert!(matches!(refused(story.edit_to(Bob, removed)), Refused::EditOutOfBounds(_)));
    let mut closed = Story::with(&body(), Requirements { edit: Some(Vec::new()), ..dual_control() });
    assert!(matches!(refused(closed.edit(Bob, 10)), Refused::EditOutOfBounds(_)), "the rule admits no edit");
}

#[test]
fn the_bounds_of_a_rule_that_only_the_new_parameters_match_hold_too() {
    let mut story = above_5000(review(Requirements { edit: Some(Vec::new()), ..dual_control() }));
    story.edit(Bob, 4_000).unwrap();
    assert!(matches!(refused(story.edit(Bob, 6_000)), Refused::EditOutOfBounds(_)));
}

#[test]
fn policy_may_deny_the_new_parameters() {
    let mut story = above_5000(Evaluation {
        effect: PolicyEffect::Deny,
        explanation: "Rule no-bulk denies this.".to_owned(),
        ..review(Requirements::default())
    });
    assert_eq!(refused(story.edit(Bob, 6_000)), Refused::EditDeniedByPolicy("Rule no-bulk denies this.".to_owned()));
    assert_eq!(story.request.version(), 1);
}

#[test]
fn what_policy_asks_of_the_caller_for_the_new_parameters_must_have_been_given() {
    let mut ask = body();
    for (missing, require, words) in [
        ("justification", Require::Justification, "a justification"),
        ("resource", Require::Resource, "a resource"),
        ("on_behalf_of", Require::OnBehalfOf, "a person whom the action is for"),
    ] {
        let demanding = review(Requirements { require: [require].into(), ..dual_control() });
        let mut complete = Story::with(&ask, dual_control());
        complete.edits = vec![(i64::MAX, demanding.clone())].into();
        complete.edit(Bob, 6_000).unwrap();
        let given = ask.as_object_mut().unwrap().remove(missing).unwrap();
        let mut story = Story::with(&ask, dual_control());
        story.edits = vec![(i64::MAX, demanding)].into();
        let refusal = refused(story.edit(Bob, 6_000));
        assert_eq!(refusal, Refused::EditDeniedByPolicy(format!("they need {words}, which the caller did not give.")));
        ask[missing] = given;
    }
}

#[test]
fn the_stricter_of_before_and_after_holds() {
    let after = Requirements {
        seats: vec![group("security", 2)],
        approval_valid: 60,
        grant_ttl: Some(30),
        require: [Require::Comment].into(),
        destinations: vec![Destination::Slack { channel: "C0SEC".to_owned() }, Destination::Slack { channel: "C0PROD".to_owned() }],
        ..dual_control()
    };
    let mut story = above_5000(review(after));
    let transition = story.edit(Bob, 6_000).unwrap();
    let now = story.request.requirements();
    assert_eq!(now.seats, [group("data-governance", 1), group("security", 2)]);
    assert_eq!((now.approval_valid, now.grant_ttl, now.needs_comment()), (60, Some(30), true));
    let new = Effect::Post(vec![Destination::Slack { channel: "C0SEC".to_owned() }]);
    assert!(transition.effects().contains(&new), "the people of the added seats get to see it");
    // Going back to fewer rows does not loosen anything.
    story.edit(Carol, 4_000).unwrap();
    assert_eq!(story.request.requirements().seats, [group("data-governance", 1), group("security", 2)]);
}

#[test]
fn an_edit_into_what_policy_allows_does_not_approve_by_itself() {
    let mut story = above_5000(Evaluation { effect: PolicyEffect::Allow, ..review(Requirements::default()) });
    story.edit(Bob, 6_000).unwrap();
    assert_eq!((story.status(), story.request.filling().required), (Status::Pending, 2));
}

#[test]
fn a_seat_that_only_the_edit_would_add_makes_nobody_a_reviewer() {
    let mut story = above_5000(review(Requirements { seats: vec![group("marketing", 1)], ..dual_control() }));
    assert!(matches!(refused(story.edit(Outsider, 6_000)), Refused::Ineligible(Ineligible::NoSeat(_))));
    assert_eq!(refused(story.edit(Alice, 6_000)), Refused::Ineligible(Ineligible::Owner));
    story.edit(Bob, 6_000).unwrap();
    story.approve(Outsider).unwrap();
    assert_eq!(story.status(), Status::Pending, "from the edit on they fill a seat, one of three");
}

#[test]
fn an_edit_must_be_judged_by_the_requirements_that_it_leads_to() {
    let mut story = above_5000(review(Requirements { seats: vec![group("security", 2)], ..dual_control() }));
    let lenient = story.verify(Bob, Decision::Edit, story.request.requirements()).unwrap();
    let mut parameters = story.request.parameters().clone();
    parameters.insert("rows".to_owned(), json!(6_000));
    let act = story.edit_act(*story.request.digest(), parameters);
    let event = story.event(lenient, act, None, Vec::new());
    assert_eq!(refused(story.apply(event)), Refused::Stale);
}

#[test]
fn rules_that_match_or_fail_for_the_new_parameters_are_evidence() {
    let mut evaluation = review(dual_control());
    evaluation.rules.push("big".to_owned());
    evaluation.errors.push(RuleError { rule: "broken".to_owned(), what: "when: no such key".to_owned() });
    let mut story = above_5000(evaluation);
    let transition = story.edit(Bob, 6_000).unwrap();
    let kinds: Vec<_> = transition.events().iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [Kind::ReviewRecorded, Kind::RequestEdited, Kind::PolicyError]);
    assert_eq!(transition.events()[1].data["rules"], json!(["prod-exports", "big"]));
    assert_eq!(transition.events()[2].data["rule"], "broken");
}

#[test]
fn a_comment_decides_nothing() {
    let mut story = Story::new();
    story.approve(Carol).unwrap();
    let transition = story.comment(Dave, "looking").unwrap();
    assert_eq!((story.status(), story.request.filling().granted, story.request.version()), (Status::Pending, 1, 3));
    assert_eq!(transition.events().len(), 1);
    story.act(Dave, Act::Comment, Some("looking")).unwrap();
    assert_eq!(story.request.reviews().len(), 3, "saying it twice is saying it twice");
}

#[test]
fn a_draft_says_what_the_edit_will_lead_to_and_what_is_wrong_with_it() {
    let filled = |rows: &str| [("/rows".to_owned(), Some(rows.to_owned()))].into();
    let mut story = Story::new();
    assert_eq!(story.request.form().unwrap().fields[0].value.as_deref(), Some("1000"));
    let draft = story.request.draft(&filled("10")).unwrap();
    let told: Vec<_> = draft.changes.iter().map(|change| (change.pointer.as_str(), change.before.clone(), change.after.clone())).collect();
    assert_eq!(told, [("/rows", Some(json!(1000)), Some(json!(10)))]);
    let errors = |answer: Refused| match answer {
        Refused::EditOutOfBounds(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>(),
        other => vec![other.to_string()],
    };
    assert_eq!(errors(story.request.draft(&filled("ten")).unwrap_err()), ["/rows: must be a whole number"]);
    assert_eq!(errors(story.request.draft(&filled("0")).unwrap_err()), ["/rows: must be at least 1"]);
    assert_eq!(story.request.draft(&filled("1000")).unwrap_err(), Refused::EditRepeats);
    story.edit_to(Bob, draft.parameters).unwrap();
    assert_eq!(*story.request.digest(), draft.digest, "what was drafted is what it became");
    assert_eq!(story.request.draft(&filled("1000")).unwrap_err(), Refused::EditRepeats);
    // Nothing that the caller did not offer.
    let mut plain = body();
    plain["allowed_decisions"] = json!(["approve", "deny"]);
    plain.as_object_mut().unwrap().remove("edit_schema");
    let closed = Story::with(&plain, one_seat());
    assert!(closed.request.form().is_none());
    assert_eq!(closed.request.draft(&filled("10")).unwrap_err(), Refused::NotOffered("edit"));
}

#[test]
fn no_edit_uncovers_what_is_masked_because_of_its_neighbour() {
    let mut asked = body();
    asked["parameters"] =
        json!({"rows": 1000, "argv": ["curl", "--password", "hunter2"], "env": [{"name": "DB_PASSWORD", "value": "hunter3"}]});
    let story = Story::with(&asked, one_seat());
    let shown = story.request.masked(story.request.parameters()).value;
    assert!(!serde_json::to_string(&shown).unwrap().contains("hunter"), "{shown:?}");
    for (pointer, harmless, uncovered) in [("/argv/1", "--note", "/argv/2"), ("/env/0/name", "GREETING", "/env/0/value")] {
        let mut edited = serde_json::Value::Object(shown.clone());
        *edited.pointer_mut(pointer).unwrap() = json!(harmless);
        let errors = story.request.unmask(edited.as_object().unwrap()).unwrap_err();
        assert_eq!(errors.iter().map(|error| error.pointer.as_str()).collect::<Vec<_>>(), [uncovered]);
        assert_eq!(errors[0].detail, "would no longer be masked: leave what stands beside it as it is");
    }
    assert_eq!(&story.request.unmask(&shown).unwrap(), story.request.parameters());
}
