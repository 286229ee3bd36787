//! Our calls to Slack, against FakeSlack: what is posted, what every failure becomes, and who is let in.

use super::cards::pending;
use super::world::World;
use crate::support::slack::Fault;
use countersign::chat::{ChatPlatform, DeliveryError, Dialog, Reply, Trigger};
use countersign::directory::Identity;
use countersign::domain::card::{Card, Phase};
use countersign::domain::time::Clock;
use serde_json::json;
use std::time::Duration;

fn code(error: &DeliveryError) -> &str {
    error.code()
}

#[tokio::test]
async fn a_card_is_posted_redrawn_in_place_and_posted_anew_when_it_was_deleted() {
    let world = World::start().await;
    let posted = world.slack.post("C0PROD", &pending()).await.unwrap();
    let [message] = world.fake.messages("C0PROD").try_into().unwrap();
    assert_eq!((posted.channel.as_str(), posted.ts.as_str()), ("C0PROD", message.ts.as_str()));
    assert_eq!(posted.permalink, Some(format!("https://acme.slack.com/archives/C0PROD/p{}", message.ts.replace('.', ""))));
    assert_eq!(posted.rendered_hash.len(), 64);
    assert!(message.text.starts_with("Approval needed: db.export"));
    let sent = world.fake.calls("chat.postMessage").remove(0).args;
    assert_eq!((&sent["unfurl_links"], &sent["unfurl_media"]), (&json!(false), &json!(false)));
    assert!(!sent.contains_key("link_names") && !sent.contains_key("parse"));

    let expired = Card { version: 2, phase: Phase::Expired { at: world.clock.now() }, ..pending() };
    let again = world.slack.update(&posted, &expired).await.unwrap();
    let [message] = world.fake.messages("C0PROD").try_into().unwrap();
    assert_eq!((message.ts.as_str(), message.edits), (posted.ts.as_str(), 1));
    assert!(message.text.starts_with("Expired") && !message.blocks.to_string().contains("cs.approve"));
    assert_ne!(again.rendered_hash, posted.rendered_hash);

    world.fake.change(|model| model.channels.get_mut("C0PROD").unwrap().messages.clear());
    assert_eq!(world.slack.update(&posted, &expired).await, Err(DeliveryError::CardGone));
}

#[tokio::test]
async fn a_persons_id_is_a_direct_message() {
    let world = World::start().await;
    let posted = world.slack.post("U0BOB", &pending()).await.unwrap();
    assert_eq!(posted.channel, "D0BOB");
    assert_eq!(world.fake.user("U0BOB").direct_messages().len(), 1);
}

#[tokio::test]
async fn every_failure_of_slack_says_whether_to_try_again() {
    let world = World::start().await;
    for (fault, wanted) in [
        (Fault::RateLimited(7), DeliveryError::Retry { after: Some(Duration::from_secs(7)), code: "ratelimited".to_owned() }),
        (Fault::Status(503), DeliveryError::Retry { after: None, code: "http_503".to_owned() }),
        (Fault::LostAnswer, DeliveryError::Retry { after: None, code: "http_502".to_owned() }),
        (Fault::Error("internal_error"), DeliveryError::Retry { after: None, code: "internal_error".to_owned() }),
        (Fault::Error("token_revoked"), DeliveryError::Refused { code: "token_revoked".to_owned() }),
        (Fault::Error("is_archived"), DeliveryError::Permanent { code: "is_archived".to_owned() }),
        (Fault::Status(404), DeliveryError::Permanent { code: "http_404".to_owned() }),
        (Fault::Status(302), DeliveryError::Permanent { code: "http_302".to_owned() }),
    ] {
        world.fake.fails("chat.postMessage", fault);
        assert_eq!(world.slack.post("C0PROD", &pending()).await, Err(wanted));
        // Whom Slack sent away asks whether it may come back before it posts again.
        world.slack.auth_test().await.unwrap();
    }
    assert_eq!(world.fake.messages("C0PROD").len(), 1, "only the call whose answer was lost took effect");
    world.fake.change(|model| model.paced = true);
    world.clock.advance(Duration::from_secs(5));
    world.slack.post("C0PROD", &pending()).await.unwrap();
    let held = world.slack.post("C0PROD", &pending()).await.unwrap_err();
    assert_eq!(held, DeliveryError::Retry { after: Some(Duration::from_secs(1)), code: "ratelimited".to_owned() });
}

#[tokio::test]
async fn a_call_that_takes_too_long_may_be_tried_again() {
    let world = World::start().await;
    let gate = world.fake.holds("chat.postMessage");
    let hasty = world.slack_with(|_| {}, Duration::from_millis(50));
    let error = hasty.post("C0PROD", &pending()).await.unwrap_err();
    assert_eq!(error, DeliveryError::Retry { after: None, code: "unreachable".to_owned() });
    gate.holds(1).await;
    gate.release();
}

#[tokio::test]
async fn a_card_is_not_shown_where_strangers_read_or_nobody_can() {
    for (flag, wanted) in [
        ("is_archived", "is_archived"),
        ("is_ext_shared", "channel_is_shared"),
        ("is_pending_ext_shared", "channel_is_shared"),
        ("is_read_only", "channel_is_read_only"),
    ] {
        let world = World::start().await;
        world.fake.set_channel("C0PROD", flag, json!(true));
        assert_eq!(code(&world.slack.post("C0PROD", &pending()).await.unwrap_err()), wanted);
        world.fake.set_channel("C0PROD", flag, json!("yes"));
        assert_eq!(code(&world.slack.post("C0PROD", &pending()).await.unwrap_err()), wanted);
        assert!(world.fake.calls("chat.postMessage").is_empty());
    }
    // Where the configuration allows it, people of another company may read along; nothing else is lifted.
    let world = World::start().await;
    world.fake.set_channel("C0PROD", "is_ext_shared", json!(true));
    let allowing = world.slack_with(|settings| settings.shared_channels = ["C0PROD".to_owned()].into(), Duration::from_secs(5));
    allowing.post("C0PROD", &pending()).await.unwrap();
    // A good answer is used again for some minutes, a refusal never.
    allowing.post("C0PROD", &pending()).await.unwrap();
    assert_eq!(world.fake.calls("conversations.info").len(), 1);
    for _ in 0..2 {
        assert_eq!(code(&world.slack.post("C0PROD", &pending()).await.unwrap_err()), "channel_is_shared");
    }
    assert_eq!(world.fake.calls("conversations.info").len(), 3);
    let world = World::start().await;
    world.fake.set_channel("C0PROD", "is_private", json!(true));
    world.slack.post("C0PROD", &pending()).await.unwrap();
    world.fake.change(|model| model.channels.get_mut("C0PROD").unwrap().members.clear());
    assert_eq!(code(&world.slack.post("C0PROD", &pending()).await.unwrap_err()), "channel_not_found");
    assert_eq!(code(&world.slack.post("C0NONE", &pending()).await.unwrap_err()), "channel_not_found");
    // A public channel needs no membership with `chat:write.public`, and does without it.
    world.fake.set_channel("C0PROD", "is_private", json!(false));
    world.slack.post("C0PROD", &pending()).await.unwrap();
    world.fake.change(|model| model.scopes.remove("chat:write.public"));
    assert_eq!(code(&world.slack.post("C0PROD", &pending()).await.unwrap_err()), "not_in_channel");
    world.fake.change(|model| model.scopes.remove("chat:write"));
    assert_eq!(code(&world.slack.post("C0PROD", &pending()).await.unwrap_err()), "missing_scope");
}

#[tokio::test]
async fn an_account_is_asked_about_afresh_and_a_good_answer_lasts_a_minute() {
    let world = World::start().await;
    let bob = world.account("U0BOB");
    let facts = world.slack.check_account(&bob, world.clock.now()).await.unwrap();
    assert_eq!(facts.confirmed_email.as_deref(), Some("bob@example.com"));
    world.fake.set_user("U0BOB", "deleted", json!(true));
    world.clock.advance(Duration::from_mins(1));
    world.slack.check_account(&bob, world.clock.now()).await.unwrap();
    assert_eq!(world.fake.calls("users.info").len(), 1);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.slack.check_account(&bob, world.clock.now()).await.unwrap_err().code(), "account_deactivated");
    world.fake.set_user("U0BOB", "deleted", json!(false));
    world.slack.check_account(&bob, world.clock.now()).await.expect("a refusal is not remembered");
}

#[tokio::test]
async fn whoever_is_no_full_member_is_refused_and_silence_is_no_yes() {
    for (flag, value, wanted) in [
        ("deleted", json!(true), "account_deactivated"),
        ("is_bot", json!(true), "account_bot"),
        ("is_app_user", json!(true), "account_app"),
        ("is_workflow_bot", json!(true), "account_workflow"),
        ("is_connector_bot", json!(true), "account_connector"),
        ("is_restricted", json!(true), "account_guest"),
        ("is_ultra_restricted", json!(true), "account_guest"),
        ("is_stranger", json!(true), "account_stranger"),
        ("is_invited_user", json!(true), "account_invited"),
        ("team_id", json!("T0ELSE"), "account_foreign"),
        ("is_bot", json!(null), "account_unclear"),
    ] {
        let world = World::start().await;
        world.fake.set_user("U0BOB", flag, value);
        let error = world.slack.check_account(&world.account("U0BOB"), world.clock.now()).await.unwrap_err();
        assert_eq!(error.code(), wanted);
        assert!(error.to_string().ends_with('.'), "{error}");
    }
    let world = World::start().await;
    assert_eq!(world.slack.check_account(&world.account("U0NOBODY"), world.clock.now()).await.unwrap_err().code(), "account_unknown");
    for fault in [Fault::Status(500), Fault::RateLimited(30), Fault::Error("missing_scope")] {
        world.fake.fails("users.info", fault);
        let error = world.slack.check_account(&world.account("U0BOB"), world.clock.now()).await.unwrap_err();
        assert_eq!(error.code(), "account_unavailable");
    }
}

#[tokio::test]
async fn a_directory_knows_an_account_by_its_ids_and_by_an_address_only_where_that_is_trusted() {
    let world = World::start().await;
    let bob = world.account("U0BOB");
    let facts = world.slack.check_account(&bob, world.clock.now()).await.unwrap();
    let identity = |email: Option<&str>| Identity::Slack {
        team_id: Some("T0ACME".to_owned()),
        enterprise_id: None,
        user_id: "U0BOB".to_owned(),
        confirmed_email: email.map(str::to_owned),
    };
    assert_eq!(world.slack.identity(&bob, Some(&facts)), identity(None));
    assert_eq!(world.slack.identity(&bob, None), identity(None));
    let trusting = world.slack_with(|settings| settings.match_email = true, Duration::from_secs(5));
    assert_eq!(trusting.identity(&bob, Some(&facts)), identity(Some("bob@example.com")));
    assert_eq!(trusting.identity(&bob, None), identity(None));
}

#[tokio::test]
async fn a_private_sentence_finds_another_way_when_one_is_closed() {
    let world = World::start().await;
    let bob = world.account("U0BOB");
    let hook = world.fake.change(|model| model.issue_hook("U0BOB", "C0PROD", None, world.clock.now()));
    let reply = Reply {
        response_url: Some(format!("{}/hook/{hook}", world.fake.origin())),
        channel: Some("C0PROD".to_owned()),
        ..Reply::default()
    };
    for _ in 0..5 {
        world.slack.tell(&bob, &reply, "You asked for this.").await;
    }
    assert_eq!(world.fake.user("U0BOB").told().len(), 5);
    assert!(world.fake.calls("chat.postEphemeral").is_empty());
    // Used up: privately in the channel, where Bob is.
    world.slack.tell(&bob, &reply, "Once more.").await;
    assert_eq!(world.fake.calls("chat.postEphemeral").len(), 1);
    assert_eq!(world.fake.user("U0BOB").told().len(), 6);
    // The bot is not in the channel: a direct message.
    world.fake.change(|model| model.channels.get_mut("C0PROD").unwrap().members.remove("U0BOT"));
    world.slack.tell(&bob, &reply, "And once more.").await;
    assert_eq!(world.fake.user("U0BOB").direct_messages()[0].text, "And once more.");
    // An address that is not Slack's is not called.
    let foreign = Reply { response_url: Some("http://127.0.0.1:1/hook/x".to_owned()), ..Reply::default() };
    world.slack.tell(&bob, &foreign, "Last.").await;
    assert_eq!(world.fake.user("U0BOB").direct_messages().len(), 2);
    assert!(world.fake.messages("C0PROD").is_empty(), "never to the channel");
}

#[tokio::test]
async fn a_trigger_opens_one_dialog_within_three_seconds() {
    let world = World::start().await;
    let (bob, reply) = (world.account("U0BOB"), Reply::default());
    let trigger = || Trigger(world.fake.change(|model| model.issue_trigger("U0BOB", None, world.clock.now())));
    let first = trigger();
    world.slack.open_dialog(&first, Dialog::Deny, &bob, &reply, &pending()).await.unwrap();
    let view = world.fake.user("U0BOB").view().unwrap();
    assert_eq!(view.content["callback_id"], "cs.deny");
    let again = world.slack.open_dialog(&first, Dialog::Deny, &bob, &reply, &pending()).await.unwrap_err();
    assert_eq!(again.code(), "exchanged_trigger_id");
    let late = trigger();
    world.clock.advance(Duration::from_millis(3_001));
    let error = world.slack.open_dialog(&late, Dialog::Details, &bob, &reply, &pending()).await.unwrap_err();
    assert_eq!(error.code(), "expired_trigger_id");

    let decided = world.slack.renderer().decided(&pending()).unwrap();
    let stale = world.slack.update_view(&view.id, Some("other"), decided.clone()).await.unwrap_err();
    assert_eq!(stale.code(), "hash_conflict");
    world.slack.update_view(&view.id, Some(&view.hash), decided).await.unwrap();
    assert_eq!(world.fake.user("U0BOB").view().unwrap().content["callback_id"], "cs.decided");
}

#[tokio::test]
async fn the_token_tells_who_it_is_and_what_it_may() {
    let world = World::start().await;
    let installation = world.slack.auth_test().await.unwrap();
    assert_eq!((installation.team_id.as_deref(), installation.org_wide), (Some("T0ACME"), false));
    assert!(installation.scopes.contains("chat:write") && installation.scopes.len() == 8);
    let wrong = world.slack_with(|settings| settings.bot_token = "xoxb-other".into(), Duration::from_secs(5));
    assert_eq!(code(&wrong.auth_test().await.unwrap_err()), "invalid_auth");
    world.fake.change(|model| model.token_error = Some("account_inactive".to_owned()));
    assert_eq!(code(&world.slack.auth_test().await.unwrap_err()), "account_inactive");
}

#[tokio::test]
async fn a_channel_gets_one_message_per_second() {
    let world = World::start().await;
    let now = world.clock.now();
    assert_eq!(world.slack.place("C0PROD", "1", now), Ok(()));
    assert_eq!(world.slack.place("C0PROD", "2", now), Err(now.plus(Duration::from_secs(1))));
    assert_eq!(world.slack.place("C0ELSE", "3", now), Ok(()));
    world.slack.hold("C0ELSE", "4", now.plus(Duration::from_secs(30)), now);
    assert_eq!(world.slack.place("C0ELSE", "4", now), Err(now.plus(Duration::from_secs(30))));
}
