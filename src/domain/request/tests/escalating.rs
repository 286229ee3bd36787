//! Reminders and escalations: once, in time, only while nobody decided; an escalation opens seats and adds none.

use super::support::Who::{Bob, Carol, Dave, Outsider};
use super::support::*;
use crate::domain::audit::Kind;
use crate::domain::notice::Occasion;
use crate::domain::policy::{Destination, Escalation, Requirements};
use crate::domain::request::{Effect, Event, Refused, Status};
use crate::domain::reviewer::Ineligible;
use crate::domain::time::Timestamp;
use serde_json::json;
use std::time::Duration;

fn at(seconds: u64) -> Timestamp {
    START.plus(Duration::from_secs(seconds))
}

fn slack(channel: &str) -> Destination {
    Destination::Slack { channel: channel.to_owned() }
}

/// Opens one seat to one group.
fn escalation(after: u64, channel: &str, to: &str, seat: &str) -> Escalation {
    Escalation { after, destinations: vec![slack(channel)], groups: vec![to.to_owned()], seats: vec![group(seat, 1)], done: false }
}

/// Reminded after 10 minutes; after 20 the seat of security is open to marketing, after 40 the other to risk.
fn patient() -> Story {
    let escalate = vec![escalation(1_200, "C0MARKETING", "marketing", "security"), escalation(2_400, "C0RISK", "risk", "data-governance")];
    Story::with(&body(), Requirements { remind_after: Some(600), escalate, ..dual_control() })
}

#[test]
fn a_reminder_comes_once_and_not_before_its_time() {
    let mut story = patient();
    assert_eq!(story.request.remind_at(), Some(at(600)));
    story.after(599);
    assert_eq!(refused(story.apply(Event::Remind)), Refused::NothingDue);
    story.after(1);
    let told = story.apply(Event::Remind).unwrap();
    assert_eq!(told.effects(), [Effect::Redraw, Effect::Thread(Occasion::Reminder)]);
    assert_eq!(told.events().iter().map(|event| event.kind).collect::<Vec<_>>(), [Kind::RequestReminded]);
    assert_eq!(story.request.remind_at(), None);
    assert_eq!(refused(story.apply(Event::Remind)), Refused::NothingDue, "another replica was faster");
}

#[test]
fn what_is_decided_or_over_is_neither_reminded_of_nor_escalated() {
    let mut denied = patient();
    denied.deny(Bob, "no").unwrap();
    assert_eq!((denied.request.remind_at(), denied.request.escalate_at()), (None, None));
    denied.after(3_000);
    let mut over = patient();
    over.after(PENDING);
    for event in [Event::Remind, Event::Escalate] {
        assert_eq!(refused(denied.apply(event.clone())).code(), "already_decided");
        assert_eq!(refused(over.apply(event)), Refused::Expired);
    }
    let mut never = Story::new();
    never.after(PENDING - 1);
    assert_eq!((never.request.remind_at(), refused(never.apply(Event::Escalate))), (None, Refused::NothingDue));
}

#[test]
fn an_escalation_lets_its_groups_fill_open_seats_and_shows_them_the_card() {
    let mut story = patient();
    story.approve(Dave).unwrap();
    assert!(matches!(refused(story.approve(Outsider)), Refused::Ineligible(Ineligible::NoSeat(_))));
    story.after(1_200);
    let escalated = story.apply(Event::Escalate).unwrap();
    assert_eq!(escalated.effects(), [Effect::Redraw, Effect::Thread(Occasion::Escalation), Effect::Post(vec![slack("C0MARKETING")])]);
    let event = &escalated.events()[0];
    assert_eq!(
        (event.kind, event.data["groups"].clone(), event.data["after"].clone()),
        (Kind::RequestEscalated, json!(["marketing"]), json!(1_200))
    );
    assert_eq!(story.request.requirements().describe_open_seats(&story.request.candidates()), "1 of security or marketing");
    assert_eq!(story.request.escalate_at(), Some(at(2_400)));
    story.approve(Outsider).unwrap();
    assert_eq!((story.status(), story.seated()), (Status::Approved, vec![vec![Dave], vec![Outsider]]));
}

#[test]
fn what_another_rule_asks_for_stays_with_its_own_people_after_an_escalation() {
    let ops = Requirements {
        seats: vec![group("data-governance", 1)],
        escalate: vec![escalation(1_200, "C0MARKETING", "marketing", "data-governance")],
        ..dual_control()
    };
    let strict = Requirements { seats: vec![group("security", 2)], ..dual_control() };
    let mut story = Story::with(&body(), ops.stricter(&strict));
    story.after(1_200);
    story.apply(Event::Escalate).unwrap();
    story.approve(Outsider).unwrap();
    assert_eq!(story.status(), Status::Pending);
    let open = |story: &Story| story.request.requirements().describe_open_seats(&story.request.candidates());
    assert_eq!(open(&story), "2 of security");
    story.approve(Carol).unwrap();
    assert_eq!((story.status(), open(&story).as_str()), (Status::Pending, "1 of security"));
    story.approve(Bob).unwrap();
    assert_eq!((story.status(), story.seated()), (Status::Approved, vec![vec![Outsider], vec![Carol, Bob]]));
}

#[test]
fn an_edit_under_a_rule_that_asks_for_the_same_seat_closes_it_again() {
    let mut story = patient();
    let strict = Requirements { seats: vec![group("security", 1)], ..dual_control() };
    story.edits = vec![(i64::MAX, review(strict))].into();
    story.after(1_200);
    story.apply(Event::Escalate).unwrap();
    story.edit(Bob, 10).unwrap();
    assert!(story.request.requirements().escalated_to().is_empty());
    assert!(matches!(refused(story.approve(Outsider)), Refused::Ineligible(Ineligible::NoSeat(_))));
}

#[test]
fn every_escalation_that_is_due_happens_at_once() {
    let mut story = patient();
    story.after(3_000);
    let escalated = story.apply(Event::Escalate).unwrap();
    assert_eq!(escalated.effects()[2], Effect::Post(vec![slack("C0MARKETING"), slack("C0RISK")]));
    assert_eq!(story.request.requirements().escalated_to(), ["marketing", "risk"]);
    assert_eq!((story.request.escalate_at(), refused(story.apply(Event::Escalate))), (None, Refused::NothingDue));
}

#[test]
fn an_edit_neither_takes_an_escalation_back_nor_repeats_it() {
    let mut story = patient();
    story.edits = vec![(i64::MAX, review(story.request.requirements().clone()))].into();
    story.approve(Carol).unwrap();
    story.after(1_200);
    story.apply(Event::Escalate).unwrap();
    story.edit(Bob, 10).unwrap();
    assert_eq!(story.request.requirements().seats.len(), 2, "no seat was added");
    assert_eq!(story.request.requirements().escalated_to(), ["marketing"]);
    assert_eq!(story.request.escalate_at(), Some(at(2_400)));
    story.approve(Outsider).unwrap();
    assert_eq!(story.status(), Status::Approved);
}
