//! The facts on the card, in every phase of a request's life.

use super::support::Who::{Alice, Bob, Carol, Dave};
use super::support::*;
use crate::domain::audit::Actor;
use crate::domain::card::{Card, GrantLine, History, OutcomeLine, Phase, SeatLine, Surroundings};
use crate::domain::edit::Change;
use crate::domain::mask::MASK;
use crate::domain::policy::{Effect as PolicyEffect, Evaluation, Require, Requirements};
use crate::domain::request::{Act, Decision, Event, Grant, OutcomeStatus};
use crate::domain::seats::SeatSpec;
use serde_json::{Value, json};
use std::time::Duration;

/// Looks like a token of a well-known maker, and is none.
const TOKEN: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

fn card(story: &Story) -> Card {
    let around = Surroundings { void_before: story.void_before, frozen: story.frozen, ..Surroundings::default() };
    Card::of(&story.request, &around, story.now)
}

fn approved() -> Story {
    let mut story = Story::with(&body(), one_seat());
    story.after(60).approve(Bob).unwrap();
    story
}

#[test]
fn a_pending_card_tells_everything_that_was_asked() {
    let mut ask = body();
    ask["context"] = json!({"source": "airflow dag=partner_sync", "data_scope": "customers: name, email", "ticket": "FIN-482"});
    ask["links"] = json!([{"title": "Run", "url": "https://airflow.example.com/r/1"}]);
    let story = Story::with(&ask, Requirements { require: [Require::Comment].into(), ..dual_control() });
    let around =
        Surroundings { history: History { approved: 12, denied: 1, expired: 2 }, eligible: Some(7), void_before: None, frozen: true };
    let card = Card::of(&story.request, &around, START);
    assert_eq!((&card.request, &card.digest, card.version), (story.request.id(), story.request.digest(), 1));
    assert_eq!((&card.phase, card.word(), card.is_pending()), (&Phase::Pending, "Approval needed", true));
    assert_eq!((card.action.as_str(), card.target.as_deref()), ("db.export", Some("prod/customers (table)")));
    assert_eq!((card.environment.as_deref(), card.client.as_str()), (Some("prod"), "bot-1"));
    assert_eq!(card.on_behalf_of.as_deref(), Some("behalf@example.com"));
    assert_eq!((card.source.as_deref(), card.data_scope.as_deref()), (Some("airflow dag=partner_sync"), Some("customers: name, email")));
    assert_eq!(serde_json::from_str::<Value>(card.context.as_deref().unwrap()).unwrap(), json!({"ticket": "FIN-482"}), "the rest of it");
    assert_eq!((card.history, card.eligible, card.frozen), (around.history, Some(7), true));
    assert_eq!(card.summary.as_deref(), Some("Export customers to the partner bucket"));
    assert_eq!(card.justification.as_deref(), Some("Quarterly reconciliation, FIN-482"));
    assert_eq!((card.links[0].title.as_str(), card.links[0].url.as_str()), ("Run", "https://airflow.example.com/r/1"));
    assert_eq!(card.parameters, serde_json::to_string_pretty(&body()["parameters"]).unwrap());
    assert_eq!((card.masked, card.changes.len(), card.reviews.len(), card.warnings.len()), (0, 0, 0, 0));
    assert_eq!((card.granted, card.required), (0, 2));
    assert_eq!((card.created_at, card.expires_at), (START, START.plus(Duration::from_secs(PENDING))));
    assert_eq!((card.rules, card.may_approve, card.needs_comment), (vec!["prod-exports".to_owned()], true, true));
    assert_eq!(card.deny_options[0].title, "Use staging instead");
}

#[test]
fn what_was_not_given_is_absent() {
    let card = card(&Story::with(&json!({"action": "db.vacuum", "allowed_decisions": ["deny"]}), dual_control()));
    assert_eq!((card.target, card.environment, card.on_behalf_of, card.source), (None, None, None, None));
    assert_eq!((card.data_scope, card.context, card.summary, card.justification), (None, None, None, None));
    assert_eq!((card.parameters.as_str(), card.may_approve), ("{}", false));
    assert!(card.links.is_empty() && card.deny_options.is_empty() && card.eligible.is_none());
}

#[test]
fn all_of_the_resource_is_on_the_card_because_the_digest_covers_it() {
    for (resource, target, rest) in [
        (json!({"id": "prod/customers"}), Some("prod/customers"), None),
        (json!({"type": "table"}), Some("table"), None),
        (json!({"environment": "prod"}), None, None),
        (json!({"type": "table", "id": "customers", "account": "42"}), Some("customers (table)"), Some(json!({"account": "42"}))),
        (json!({"region": "eu"}), None, Some(json!({"region": "eu"}))),
        (json!({"id": "db", "password": "hunter22"}), Some("db"), Some(json!({"password": MASK}))),
    ] {
        let mut ask = body();
        ask["resource"] = resource.clone();
        let card = card(&Story::with(&ask, dual_control()));
        assert_eq!(card.target.as_deref(), target, "{resource}");
        assert_eq!(card.resource, rest.map(|rest| serde_json::to_string_pretty(&rest).unwrap()), "{resource}");
    }
}

#[test]
fn secrets_are_hidden_wherever_they_stand_and_counted() {
    let mut ask = body();
    ask["parameters"]["password"] = json!("hunter22");
    ask["sensitive"] = json!(["/destination"]);
    ask["summary"] = json!(format!("use {TOKEN}"));
    ask["justification"] = json!(format!("because {TOKEN}"));
    ask["context"] = json!({"source": {"run": 1, "secret": "hunter22"}, "data_scope": TOKEN, "api_key": "hunter22"});
    ask["links"] = json!([{"title": TOKEN, "url": format!("https://example.com/?t={TOKEN}")}]);
    ask["deny_options"] = json!([{"name": "no", "title": format!("rotate {TOKEN}")}]);
    ask["resource"]["id"] = json!(TOKEN);
    let mut story = Story::with(&ask, dual_control());
    story.comment(Carol, &format!("is {TOKEN} right?")).unwrap();
    let before = card(&story);
    let text = serde_json::to_string(&before).unwrap();
    assert!(!text.contains(TOKEN) && !text.contains("hunter22") && !text.contains("partner-drop"), "{text}");
    assert_eq!(before.source.as_deref(), Some(format!("{{\"run\":1,\"secret\":\"{MASK}\"}}").as_str()));
    // Two parameters; summary, justification, source, data scope, the rest of context; title and address of the link;
    // the option; the target; the comment.
    assert_eq!(before.masked, 12);
    // A denial repeats the option and the comment, which hides nothing more than they did.
    story.act(Carol, Act::Deny { option: Some("no".to_owned()) }, Some(&format!("leaked {TOKEN}"))).unwrap();
    let after = card(&story);
    let Phase::Denied { reason: Some(reason), .. } = &after.phase else { panic!() };
    assert_eq!(*reason, format!("rotate {MASK}: leaked {MASK}"));
    assert_eq!(after.masked, 13);
}

#[test]
fn odd_characters_in_what_decides_are_warned_about() {
    let imitates = "contains letters that imitate others";
    for (pointer, text, warning) in [
        ("/summary", "p\u{430}y", imitates),
        ("/justification", "p\u{430}y", imitates),
        ("/resource/id", "pr\u{43e}d/customers", imitates),
        ("/resource/account", "p\u{430}y", imitates),
        ("/parameters/destination", "p\u{430}y", imitates),
        ("/parameters/destination", "a\u{202e}b", "contains characters that reverse text (removed here)"),
        ("/parameters/destination", "a\u{200b}b", "contains invisible characters (removed here)"),
    ] {
        let mut ask = body();
        ask["resource"]["account"] = json!("42");
        *ask.pointer_mut(pointer).unwrap() = json!(text);
        assert_eq!(card(&Story::with(&ask, dual_control())).warnings, [warning], "{pointer}");
    }
    let mut ask = body();
    ask["context"] = json!({"source": "p\u{430}y"});
    assert_eq!(card(&Story::with(&ask, dual_control())).warnings, [imitates]);
    ask["context"] = json!({"other": "p\u{430}y"});
    assert_eq!(card(&Story::with(&ask, dual_control())).warnings, [imitates]);
}

#[test]
fn seats_show_who_may_and_who_did() {
    let seats = vec![
        group("security", 2),
        SeatSpec::Any { any: vec!["data-governance".to_owned(), "dba".to_owned()], person: None, count: 1 },
        SeatSpec::Person { person: "dave@example.com".to_owned() },
    ];
    let mut story = Story::with(&body(), Requirements { seats, ..dual_control() });
    story.approve(Carol).unwrap();
    story.after(30).approve_saying(Dave, "fine").unwrap();
    let card = card(&story);
    let line = |label: &str, count, filled: &[&str]| SeatLine {
        label: label.to_owned(),
        count,
        filled_by: filled.iter().map(|&name| name.to_owned()).collect(),
    };
    let expected = [line("security", 2, &["Carol Xu"]), line("data-governance or dba", 1, &["Dave Ek"]), line("dave@example.com", 1, &[])];
    assert_eq!(card.seats, expected);
    assert_eq!((card.granted, card.required), (2, 4));
    let said: Vec<_> =
        card.reviews.iter().map(|line| (line.name.as_str(), line.decision, line.comment.as_deref(), line.counts, line.at)).collect();
    assert_eq!(said, [("Carol Xu", Decision::Approve, None, true, START), ("Dave Ek", Decision::Approve, Some("fine"), true, story.now)]);
}

#[test]
fn an_edit_shows_what_changed_and_whose_approval_it_voided() {
    let mut ask = body();
    ask["sensitive"] = json!(["/destination"]);
    let mut story = Story::with(&ask, dual_control());
    story.approve(Carol).unwrap();
    story.edit(Bob, 10).unwrap();
    let card = card(&story);
    assert_eq!(card.changes, [Change { pointer: "/rows".to_owned(), before: Some(json!(1000)), after: Some(json!(10)) }]);
    assert_eq!(serde_json::from_str::<Value>(&card.parameters).unwrap(), json!({"rows": 10, "destination": MASK}));
    assert_eq!((card.digest, card.version, card.granted), (*story.request.digest(), 3, 1));
    assert_eq!(card.reviews.iter().map(|line| line.counts).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn an_approved_card_follows_its_grant() {
    let mut story = approved();
    let open = |grant, outcome| {
        let at = START.plus(Duration::from_mins(1));
        Phase::Approved { by: vec!["Bob Li".to_owned()], at, valid_until: at.plus(Duration::from_secs(VALID)), grant, outcome }
    };
    assert_eq!((card(&story).phase, card(&story).word()), (open(GrantLine::Open, None), "Approved"));
    let mut frozen = story.clone();
    frozen.void_before = Some(frozen.now);
    assert_eq!((card(&frozen).phase, card(&frozen).word()), (open(GrantLine::Frozen, None), "Frozen"));
    let mut lapsed = story.clone();
    lapsed.after(VALID);
    assert_eq!((card(&lapsed).phase, card(&lapsed).word()), (open(GrantLine::Lapsed, None), "Lapsed"));
    let mut revoked = story.clone();
    revoked.revoke(Actor::System).unwrap();
    assert_eq!(
        (card(&revoked).phase, card(&revoked).word()),
        (open(GrantLine::Revoked { reason: Some("revoke-reason-text".to_owned()) }, None), "Revoked")
    );
    story.mint().unwrap();
    assert_eq!(card(&story).phase, open(GrantLine::Open, None));
    let Grant::Minted(minted) = story.request.approved().unwrap().grant.clone() else { panic!() };
    let used = story.after(5).now;
    story.redeem(&minted.jti, asker()).unwrap();
    assert_eq!((card(&story).phase, card(&story).word()), (open(GrantLine::Redeemed { at: used }, None), "Approved"));
    story.outcome(asker()).unwrap();
    let outcome = OutcomeLine { status: OutcomeStatus::Succeeded, detail: Some("outcome-detail-text".to_owned()) };
    assert_eq!(card(&story).phase, open(GrantLine::Redeemed { at: used }, Some(outcome)));
}

#[test]
fn a_denied_card_says_who_and_why() {
    let staging = Some("use_staging".to_owned());
    for (option, comment, reason) in [
        (None, None, None),
        (None, Some("no"), Some("no")),
        (staging.clone(), None, Some("Use staging instead")),
        (staging, Some("prod is locked"), Some("Use staging instead: prod is locked")),
    ] {
        let mut story = Story::new();
        story.act(Alice, Act::Deny { option }, comment).unwrap();
        let denied = card(&story);
        assert_eq!(denied.phase, Phase::Denied { by: Some("Alice Liu".to_owned()), at: START, reason: reason.map(str::to_owned) });
        assert_eq!((denied.word(), denied.is_pending()), ("Denied", false));
    }
    let opened = open(&body(), Evaluation { effect: PolicyEffect::Deny, ..review(Requirements::default()) });
    let by_policy = card(&Story { request: opened.into_after(), ..Story::new() });
    assert_eq!(by_policy.phase, Phase::Denied { by: None, at: START, reason: None });
}

#[test]
fn the_other_ends_say_when() {
    let mut story = Story::new();
    story.cancel(asker()).unwrap();
    let cancelled = card(&story);
    assert_eq!(cancelled.phase, Phase::Cancelled { at: START, reason: Some("cancel-reason-text".to_owned()) });
    assert_eq!(cancelled.word(), "Cancelled");
    let mut story = Story::new();
    story.after(PENDING + 9).apply(Event::Expire).unwrap();
    assert_eq!((card(&story).phase, card(&story).word()), (Phase::Expired { at: START.plus(Duration::from_secs(PENDING)) }, "Expired"));
    let evaluation = Evaluation { effect: PolicyEffect::Allow, ..review(Requirements::default()) };
    let allowed = card(&Story { request: open(&body(), evaluation).into_after(), ..Story::new() });
    assert!(matches!(allowed.phase, Phase::Approved { by, .. } if by.is_empty()), "policy has no name");
}
