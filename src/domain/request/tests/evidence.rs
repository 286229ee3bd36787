//! What a transition leaves in the log: canonical bytes that say who did what by pseudonym, and nothing that must be erasable.

use super::invariants::check_bytes;
use super::support::Who::{Alice, Behalf, Bob, Carol, Dave};
use super::support::*;
use crate::domain::audit::{Actor, Head, Kind};
use crate::domain::digest;
use crate::domain::ids::EventId;
use crate::domain::request::{Act, Grant};
use serde_json::{Value, json};

#[test]
fn a_review_records_who_on_what_ground_and_how_the_directory_knew() {
    let mut story = Story::new();
    let transition = story.approve_saying(Bob, "agreement checked").unwrap();
    let event = &transition.events()[0];
    assert_eq!(
        (event.kind, &event.actor, event.request.as_ref()),
        (Kind::ReviewRecorded, &Actor::Person(Bob.id()), Some(story.request.id()))
    );
    let commitment = digest::commitment(story.request.asked().commitment_key.as_bytes(), "agreement checked");
    let expected = json!({
        "review": story.request.reviews()[0].id.as_str(),
        "decision": "approve",
        "digest": story.request.digest().to_string(),
        "via": "slack",
        "standing": "seat",
        "groups": ["data-governance", "security"],
        "directory": {"source": "file", "as_of": "2026-11-20T11:40:00.000Z", "fresh": true},
        "comment_commitment": commitment,
    });
    assert_eq!(Value::Object(event.data.clone()), expected);
}

#[test]
fn a_denial_records_its_ground_and_commits_to_its_option() {
    for (who, standing, groups) in
        [(Alice, "owner", json!([])), (Behalf, "on_behalf_of", json!([])), (Dave, "seat", json!(["data-governance"]))]
    {
        let mut story = Story::new();
        story.person(who).proof.fresh = false;
        let transition = story.act(who, Act::Deny { option: Some("use_staging".to_owned()) }, None).unwrap();
        let [recorded, denied] = transition.events() else { panic!() };
        assert_eq!((&recorded.data["standing"], &recorded.data["groups"]), (&json!(standing), &groups));
        assert_eq!(recorded.data["directory"]["fresh"], false, "good for a denial");
        assert_eq!(denied.data["people"], json!([who.id().as_str()]));
        assert!(denied.data["option_commitment"].as_str().unwrap().starts_with("hmac-sha256:"));
        check_bytes(&transition);
    }
}

#[test]
fn a_creation_records_what_policy_said_and_commits_to_the_texts() {
    let opened = open(&body(), review(dual_control()));
    let data = &opened.events()[0].data;
    let key = opened.after().asked().commitment_key.as_bytes().to_vec();
    assert_eq!(
        Value::Object(data.clone()),
        json!({
            "action": "db.export", "environment": "prod", "resource_type": "table", "effect": "review", "rules": ["prod-exports"],
            "policy_version": "sha256:policy", "digest": opened.after().digest().to_string(), "expires_at": "2026-11-20T12:40:00.000Z",
            "on_behalf_of": Behalf.id().as_str(),
            "commitments": {
                "summary": digest::commitment(&key, "Export customers to the partner bucket"),
                "justification": digest::commitment(&key, "Quarterly reconciliation, FIN-482"),
            },
        })
    );
    check_bytes(&opened);
}

#[test]
fn every_event_of_a_whole_life_stands_in_one_chain_without_a_word_that_must_be_erasable() {
    let mut story = Story::new();
    let mut transitions = vec![story.approve_saying(Carol, "comment-text one").unwrap()];
    transitions.push(story.comment(Dave, "comment-text two").unwrap());
    transitions.push(story.edit(Bob, 424_242).unwrap());
    story.person(Bob).active = false;
    transitions.push(story.approve_saying(Carol, "comment-text three").unwrap());
    transitions.push(story.approve(Dave).unwrap());
    transitions.push(story.mint().unwrap());
    let Grant::Minted(minted) = story.request.approved().unwrap().grant.clone() else { panic!() };
    transitions.push(story.redeem(&minted.jti, stranger()).unwrap());
    transitions.push(story.outcome(stranger()).unwrap());
    let mut head = Head::EMPTY;
    let mut kinds = Vec::new();
    for transition in &transitions {
        check_bytes(transition);
        for event in transition.events() {
            let sealed = event.prepare(&EventId::new(transition.at(), [0; 10]), transition.at()).unwrap().seal(&head);
            let value: Value = serde_json::from_str(&sealed.event).unwrap();
            assert_eq!(value["request"], story.request.id().as_str());
            assert_eq!(value["seq"], head.seq + 1);
            kinds.push(event.kind.as_str());
            head = Head::after(&sealed);
        }
    }
    let expected = [
        "review.recorded",
        "review.recorded",
        "review.recorded",
        "request.edited",
        "review.recorded",
        "review.recorded",
        "request.approved",
        "grant.minted",
        "grant.redeemed",
        "request.outcome",
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn cancelling_and_revoking_carry_commitments_instead_of_reasons() {
    let mut cancelled = Story::new();
    check_bytes(&cancelled.cancel(asker()).unwrap());
    let mut revoked = Story::with(&body(), one_seat());
    revoked.approve(Bob).unwrap();
    let transition = revoked.revoke(Actor::Person(Bob.id())).unwrap();
    assert!(transition.events()[0].data.contains_key("reason_commitment"));
    check_bytes(&transition);
}
