//! Callbacks as FakeSlack sends them, through the way in: taps, dialogs, organisations, and what is not Slack's.

use super::cards::pending;
use super::world::World;
use crate::support::slack::person::{Filled, Oddity};
use countersign::chat::{ChatPlatform, Choice, Dialog, Reply, Trigger, Verdict};
use countersign::domain::card::{Card, Phase};
use countersign::domain::time::Clock;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn a_tap_on_a_posted_card_names_the_request_the_digest_and_the_account() {
    let world = World::start().await;
    let card = pending();
    let posted = world.slack.post("C0PROD", &card).await.unwrap();
    let message = world.fake.messages("C0PROD").remove(0);
    assert_eq!(world.fake.user("U0BOB").taps(&message, "cs.approve").await.status, 200);
    let [tap] = world.taps().try_into().unwrap();
    assert_eq!((&tap.request, &tap.digest, &tap.choice), (&card.request, &card.digest, &Choice::Approve));
    assert_eq!((tap.account.user_id.as_str(), tap.account.team_id.as_deref()), ("U0BOB", Some("T0ACME")));
    assert_eq!(tap.reply.message_ts.as_ref(), Some(&posted.ts));
    world.slack.tell(&tap.account, &tap.reply, "You asked for this.").await;
    assert_eq!(world.fake.user("U0BOB").told()[0].text, "You asked for this.");
}

#[tokio::test]
async fn one_tap_that_is_delivered_twice_has_one_key_and_two_taps_have_two() {
    let world = World::start().await;
    world.slack.post("C0PROD", &pending()).await.unwrap();
    let message = world.fake.messages("C0PROD").remove(0);
    let answers = world.fake.user("U0BOB").taps_delivered(&message, "cs.approve", 3).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    world.fake.user("U0BOB").taps(&message, "cs.approve").await;
    let keys: Vec<String> = world.taps().into_iter().map(|tap| tap.dedup_key).collect();
    assert!(keys[0] == keys[1] && keys[1] == keys[2] && keys[2] != keys[3], "{keys:?}");
}

#[tokio::test]
async fn what_slack_did_not_sign_or_not_now_is_refused() {
    let world = World::start().await;
    world.slack.post("C0PROD", &pending()).await.unwrap();
    let message = world.fake.messages("C0PROD").remove(0);
    let bob = world.fake.user("U0BOB");
    for (oddity, status) in [
        (Oddity { secret: Some("other".to_owned()), ..Oddity::default() }, 401),
        (Oddity { age: 301, ..Oddity::default() }, 401),
        (Oddity { age: -301, ..Oddity::default() }, 401),
        (Oddity { age: 299, ..Oddity::default() }, 200),
        (Oddity { changes: vec![("/team/id", json!("T0ELSE"))], ..Oddity::default() }, 403),
        (Oddity { changes: vec![("/api_app_id", json!("A0OTHER"))], ..Oddity::default() }, 403),
        (Oddity { changes: vec![("/actions/0/action_id", json!("other"))], ..Oddity::default() }, 400),
        (Oddity { changes: vec![("/actions/0/value", json!("req_1:2"))], ..Oddity::default() }, 400),
        (Oddity { changes: vec![("/user", Value::Null)], ..Oddity::default() }, 400),
    ] {
        assert_eq!(bob.taps_oddly(&message, "cs.approve", &oddity).await.status, status, "{oddity:?}");
    }
    assert_eq!(world.taps().len(), 1);
}

#[tokio::test]
async fn a_denial_goes_through_its_dialog_with_option_and_sentence() {
    let world = World::start().await;
    world.slack.post("C0PROD", &pending()).await.unwrap();
    let message = world.fake.messages("C0PROD").remove(0);
    let bob = world.fake.user("U0BOB");
    bob.taps(&message, "cs.deny").await;
    let [tap] = world.taps().try_into().unwrap();
    assert_eq!(tap.choice.dialog(), Some(Dialog::Deny));
    world.slack.open_dialog(tap.trigger.as_ref().unwrap(), Dialog::Deny, &tap.account, &tap.reply, &pending()).await.unwrap();
    let view = bob.view().unwrap();
    let filled = [("cs.option", Filled::Option("use_staging".to_owned())), ("cs.words", Filled::Words(" Not today. ".to_owned()))];
    assert_eq!(bob.submits(&view, &filled).await.status, 200);
    assert_eq!(bob.view(), None, "the dialog closes");
    let [denied] = world.taps().try_into().unwrap();
    assert_eq!(denied.choice, Choice::DenySubmit { option: Some("use_staging".to_owned()) });
    assert_eq!(denied.comment.as_deref(), Some("Not today."));
    assert_eq!(denied.reply.message_ts, tap.reply.message_ts);
    world.slack.tell(&denied.account, &denied.reply, "Recorded.").await;
    assert_eq!(bob.told().len(), 1, "the card's response_url still works after the dialog");
}

#[tokio::test]
async fn details_approve_with_a_comment_and_only_for_whoever_opened_them() {
    let world = World::start().await;
    let card = Card { needs_comment: true, ..pending() };
    world.slack.post("C0PROD", &card).await.unwrap();
    let message = world.fake.messages("C0PROD").remove(0);
    let bob = world.fake.user("U0BOB");
    bob.taps(&message, "cs.details").await;
    let [tap] = world.taps().try_into().unwrap();
    world.slack.open_dialog(tap.trigger.as_ref().unwrap(), Dialog::Details, &tap.account, &tap.reply, &card).await.unwrap();
    let view = bob.view().unwrap();
    let filled = [("cs.words", Filled::Words("Checked.".to_owned()))];
    assert_eq!(world.fake.user("U0CAROL").submits(&view, &filled).await.status, 403);
    assert!(world.taps().is_empty());
    bob.submits(&view, &filled).await;
    let [approved] = world.taps().try_into().unwrap();
    assert_eq!((approved.choice, approved.comment.as_deref()), (Choice::ApproveFromDetails, Some("Checked.")));
    assert_eq!(approved.digest, card.digest);
}

#[tokio::test]
async fn a_dialog_that_came_too_late_says_by_whom_it_was_decided() {
    let world = World::start().await;
    let bob = world.fake.user("U0BOB");
    let trigger = Trigger(world.fake.change(|model| model.issue_trigger("U0BOB", None, world.clock.now())));
    world.slack.open_dialog(&trigger, Dialog::Details, &world.account("U0BOB"), &Reply::default(), &pending()).await.unwrap();
    let denied = Phase::Denied { by: Some("Carol".to_owned()), at: world.clock.now(), reason: None };
    bob.taps_in(&bob.view().unwrap(), "cs.comment").await.unwrap();
    let [tap] = world.taps().try_into().unwrap();
    let answer = world.slack.answer_submit(&tap, &Card { phase: denied, ..pending() }, &Verdict::Decided).unwrap();
    world.answers(&answer.to_string());
    bob.submits(&bob.view().unwrap(), &[]).await;
    let view = bob.view().expect("the dialog stays open");
    assert_eq!(view.content["callback_id"], "cs.decided");
    assert!(view.content["blocks"].to_string().contains("Carol"));
}

#[tokio::test]
async fn an_org_wide_installation_has_no_team_and_its_taps_are_not_lost() {
    for allowed in ["E0ACME", "T0NORTH"] {
        let world = World::allowing(&[allowed]).await;
        world.fake.change(|model| {
            model.enterprise = Some("E0ACME".to_owned());
            model.org_wide = true;
            let bob = model.users.get_mut("U0BOB").unwrap();
            bob["team_id"] = json!("T0NORTH");
            bob["enterprise_user"] = json!({"id": "U0BOB", "enterprise_id": "E0ACME", "teams": ["T0NORTH", "T0SOUTH"]});
        });
        world.slack.post("C0PROD", &pending()).await.unwrap();
        let message = world.fake.messages("C0PROD").remove(0);
        let bob = world.fake.user("U0BOB");
        assert_eq!(bob.taps(&message, "cs.deny").await.status, 200);
        let [tap] = world.taps().try_into().unwrap();
        assert_eq!(tap.account.enterprise_id.as_deref(), Some("E0ACME"));
        let facts = world.slack.check_account(&tap.account, world.clock.now()).await.unwrap();
        assert_eq!((facts.enterprise_id.as_deref(), facts.team_ids.len()), (Some("E0ACME"), 2));
        world.slack.open_dialog(tap.trigger.as_ref().unwrap(), Dialog::Deny, &tap.account, &tap.reply, &pending()).await.unwrap();
        assert_eq!(bob.submits(&bob.view().unwrap(), &[]).await.status, 200);
        assert_eq!(world.taps()[0].choice, Choice::DenySubmit { option: None });
    }
}

#[tokio::test]
async fn a_wait_for_something_ends_when_it_happens() {
    let world = World::start().await;
    let waiting = world.fake.until("a message in C0PROD", |model| model.channels["C0PROD"].messages.first().cloned());
    let card = pending();
    let (message, posted) = tokio::join!(waiting, world.slack.post("C0PROD", &card));
    assert_eq!(message.ts, posted.unwrap().ts);
    world.clock.advance(Duration::from_secs(1));
}
