//! The outbox: what Slack refuses for a while is sent later, what it refuses for good is seen, the newest state wins, and
//! what a dead server had in hand is done by another.

use super::{asked, buttons, card, card_when, comments, is_quiet, judged, messages, refusals, shown, told};
use crate::support::app::{CHANNEL, Options, POLICY, TestApp, export};
use crate::support::clock::TestClock;
use crate::support::db::both_databases;
use crate::support::slack::Fault;
use countersign::chat::slack::payload::Interaction;
use countersign::domain::ask::Ask;
use countersign::domain::time::Clock as _;
use countersign::engine::deliver::LEASE;
use serde_json::{Value, json};
use std::time::Duration;

async fn line(app: &TestApp, request: &Value) -> Value {
    app.client("agent").reads(&request["id"]).await["deliveries"][0].clone()
}

async fn fails_with(app: &TestApp, request: &Value, code: &str) {
    let id = request["id"].as_str().unwrap().parse().unwrap();
    let store = &app.running.app.engine.store;
    app.eventually(code, async || store.delivery_lines(&id).await.unwrap().iter().any(|line| line.error.as_deref() == Some(code))).await;
}

both_databases! {
    async fn a_rate_limit_is_waited_out_to_the_second(database: TestDatabase) {
        let app = TestApp::start(database).await;
        app.slack.fails("chat.postMessage", Fault::RateLimited(30));
        let request = app.client("agent").asks(&export()).await;
        fails_with(&app, &request, "ratelimited").await;
        app.clock.advance(Duration::from_secs(29));
        assert_eq!(app.running.app.engine.deliver_due("test").await.unwrap(), 0);
        assert_eq!(app.slack.calls("chat.postMessage").len(), 1);
        app.clock.advance(Duration::from_secs(1));
        app.slack.until("the card", |model| (messages(model, &request).len() == 1).then_some(())).await;
        app.finish().await;
    }

    async fn what_fails_for_a_while_is_tried_again_until_it_is_there_once(database: TestDatabase) {
        let app = TestApp::start(database).await;
        for fault in [Fault::Status(500), Fault::Status(503), Fault::Error("internal_error"), Fault::RateLimited(2)] {
            app.slack.fails("chat.postMessage", fault);
        }
        let (request, _) = asked(&app, &export()).await;
        assert_eq!(app.slack.calls("chat.postMessage").len(), 5);
        app.eventually("it is known as posted", async || line(&app, &request).await["status"] == "posted").await;
        assert_eq!(messages(&app.slack.lock(), &request).len(), 1);
        assert!(line(&app, &request).await["permalink"].as_str().unwrap().starts_with("https://acme.slack.com/archives/C0PROD/p"));
        app.finish().await;
    }

    async fn a_deleted_card_is_posted_anew(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, first) = asked(&app, &export()).await;
        app.eventually("it is known as posted", async || line(&app, &request).await["status"] == "posted").await;
        app.slack.change(|model| model.channels.get_mut(CHANNEL).unwrap().messages.clear());
        comments(&app.person("bob@example.com").await, &request, "which partner?").await;
        let second = card(&app, &request).await;
        assert_ne!(second.ts, first.ts);
        assert!(shown(&second).contains("which partner?"));
        app.slack.user("U0BOB").taps(&second, "cs.approve").await;
        card_when(&app, &request, "approved", |card| card.ts == second.ts && buttons(card).is_empty()).await;
        app.finish().await;
    }

    async fn a_card_that_cannot_be_delivered_is_seen_everywhere(database: TestDatabase) {
        let app = TestApp::start(database).await;
        app.slack.set_channel(CHANNEL, "is_archived", json!(true));
        let archived = app.client("agent").asks(&export()).await;
        fails_with(&app, &archived, "is_archived").await;
        app.slack.set_channel(CHANNEL, "is_archived", json!(false));
        app.slack.set_channel(CHANNEL, "is_private", json!(true));
        app.slack.change(|model| model.channels.get_mut(CHANNEL).unwrap().members.clear());
        let outside = app.client("agent").asks(&export()).await;
        app.eventually("it is given up", async || {
            app.clock.advance(Duration::from_secs(1));
            line(&app, &outside).await["status"] == "failed"
        })
        .await;
        assert_eq!(line(&app, &archived).await["status"], "failed");
        let tried = app.slack.calls("chat.postMessage");
        assert!(tried.iter().all(|call| call.args["channel"] != CHANNEL), "the channel was looked at before");
        let ready = app.stranger().get("/readyz").await.expect(200).body;
        assert_eq!((ready["status"].as_str(), ready["degraded"]["dead_letters"].as_u64()), (Some("ready"), Some(2)));
        let events = app.events().await;
        for (request, codes) in [(&archived, ["is_archived"].as_slice()), (&outside, &["channel_not_found", "not_in_channel"])] {
            let failed = events.iter().find(|event| event["request"] == request["id"] && event["type"] == "delivery.failed").unwrap();
            assert!(codes.contains(&failed["data"]["code"].as_str().unwrap()), "{failed}");
        }
        let metrics = app.running.app.metrics.render();
        assert!(metrics.contains("countersign_deliveries_total{platform=\"slack\",result=\"dead\"}"), "{metrics}");
        // The request itself is as good as ever.
        app.person("bob@example.com").await.reviews(&archived, "approve").await.expect(201);
        app.finish().await;
    }

    async fn ten_changes_while_slack_is_slow_are_one_update(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, _) = asked(&app, &export()).await;
        app.eventually("it is known as posted", async || line(&app, &request).await["status"] == "posted").await;
        app.clock.advance(Duration::from_secs(1));
        let gate = app.slack.holds("chat.update");
        let bob = app.person("bob@example.com").await;
        comments(&bob, &request, "remark 0").await;
        gate.holds(1).await;
        for number in 1..10 {
            comments(&bob, &request, &format!("remark {number}")).await;
        }
        gate.release();
        let drawn = card_when(&app, &request, "the newest state", |card| shown(card).contains("remark 9")).await;
        assert!(drawn.blocks[0]["block_id"].as_str().unwrap().ends_with(":11"), "{}", drawn.blocks[0]);
        app.eventually("nothing is due", async || is_quiet(&app).await).await;
        assert_eq!(app.slack.calls("chat.update").len(), 2, "the one that was on its way, and the newest");
        app.finish().await;
    }

    async fn a_channel_gets_one_card_a_second(database: TestDatabase) {
        let app = TestApp::start(database).await;
        app.slack.change(|model| model.paced = true);
        for _ in 0..4 {
            app.client("agent").asks(&export()).await;
        }
        for number in 1..=4 {
            app.slack.until("another card", |model| (model.channels[CHANNEL].messages.len() == number).then_some(())).await;
            app.eventually("the others wait", async || is_quiet(&app).await).await;
            assert_eq!(app.slack.messages(CHANNEL).len(), number);
            app.clock.advance(Duration::from_secs(1));
        }
        assert_eq!(app.slack.calls("chat.postMessage").len(), 4, "Slack never had to refuse one");
        app.finish().await;
    }

    async fn a_backlog_is_put_in_order_once_and_holds_up_no_other_channel(database: TestDatabase) {
        const CARDS: usize = 40;
        let policy = format!(
            "{POLICY}\n[routes.other]\nslack = [\"C0OTHER\"]\nseats = [{{ group = \"security\" }}]\n\n[[rule]]\nid = \"other\"\neffect = \"review\"\n\
             match = {{ action = \"other.*\" }}\nroute = \"other\"\n"
        );
        let app = TestApp::with(database, Options { policy, ..Options::default() }).await;
        app.slack.change(|model| {
            model.add_channel("C0OTHER");
            model.paced = true;
        });
        // A replica an hour ahead: what it writes is due for nobody else, so every step is the test's.
        let clock = TestClock::new();
        clock.advance(Duration::from_hours(1));
        let replica = app.replica(clock.clone()).await.engine;
        let agent = replica.store.client_by_name("agent").await.unwrap().unwrap();
        let ask = Ask::from_value(&export()).unwrap();
        for _ in 0..CARDS {
            replica.open(&agent, ask.clone(), None).await.unwrap();
        }
        let steps = async || {
            let mut rows = 0;
            loop {
                match replica.deliver_due("test").await.unwrap() {
                    0 => return rows,
                    handled => rows += handled,
                }
            }
        };
        assert_eq!(steps().await, CARDS, "each is looked at once: the first goes, the others know their place");
        let other = Ask { action: "other.export".to_owned(), ..ask };
        replica.open(&agent, other, None).await.unwrap();
        assert_eq!(steps().await, 1);
        assert_eq!((app.slack.messages(CHANNEL).len(), app.slack.messages("C0OTHER").len()), (1, 1), "another channel does not wait");
        for sent in 2..=CARDS {
            clock.advance(Duration::from_secs(1));
            app.clock.advance(Duration::from_secs(1));
            assert_eq!(steps().await, 1, "nobody but the one whose turn it is");
            assert_eq!(app.slack.messages(CHANNEL).len(), sent);
        }
        assert_eq!(app.slack.calls("chat.postMessage").len(), CARDS + 1, "Slack never had to refuse one");
        app.finish().await;
    }

    async fn a_card_in_the_hands_of_a_dead_server_is_taken_over_after_its_lease(database: TestDatabase) {
        let app = TestApp::start(database).await;
        app.slack.fails("chat.postMessage", Fault::RateLimited(30));
        let request = app.client("agent").asks(&export()).await;
        fails_with(&app, &request, "ratelimited").await;
        // A replica takes the row at the moment when it is due, and is never heard of again.
        let engine = &app.running.app.engine;
        let due = app.clock.now().plus(Duration::from_secs(30));
        assert_eq!(engine.store.claim_deliveries(due, 16, LEASE, "dead", Vec::new()).await.unwrap().len(), 1);
        app.clock.advance(Duration::from_secs(30));
        assert_eq!(engine.deliver_due("alive").await.unwrap(), 0, "it is in the hands of another");
        app.clock.advance(LEASE.checked_sub(Duration::from_secs(1)).unwrap());
        assert_eq!(engine.deliver_due("alive").await.unwrap(), 0);
        assert!(messages(&app.slack.lock(), &request).is_empty());
        app.clock.advance(Duration::from_secs(1));
        app.slack.until("the card", |model| (messages(model, &request).len() == 1).then_some(())).await;
        app.finish().await;
    }

    async fn a_tap_in_the_hands_of_a_dead_server_is_finished_by_another(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        let tap = Interaction::parse(&app.slack.user("U0BOB").tap_payload(&card, "cs.approve").to_string()).unwrap().tap().unwrap();
        let now = app.clock.now();
        let app = app
            .restarted(async |store| {
                let payload = serde_json::to_string(&tap).unwrap();
                store.receive_tap("slack", &tap.dedup_key, &tap.request, &payload, None, now).await.unwrap();
                assert_eq!(store.claim_taps(now, 16, countersign::engine::taps::LEASE, "dead").await.unwrap().len(), 1);
            })
            .await;
        if !app.database.url().starts_with("sqlite") {
            // Others may be alive there: only the end of the lease says that this one is not.
            assert_eq!(app.running.app.engine.finish_taps("alive").await.unwrap(), 0, "its lease is not over");
            app.clock.advance(countersign::engine::taps::LEASE);
        }
        judged(&app).await;
        let approved = app.client("agent").reads(&request["id"]).await;
        assert_eq!((approved["status"].as_str(), approved["reviews"].as_array().unwrap().len()), (Some("approved"), 1));
        app.finish().await;
    }

    async fn a_stored_tap_is_finished_after_a_restart_unless_it_took_too_long(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (fresh, card) = asked(&app, &export()).await;
        let (stale, other) = asked(&app, &export()).await;
        let parsed = |user: &str, card| Interaction::parse(&app.slack.user(user).tap_payload(card, "cs.approve").to_string()).unwrap().tap().unwrap();
        let (soon, late) = (parsed("U0BOB", &card), parsed("U0DAVE", &other));
        let clock = app.clock.clone();
        let app = app
            .restarted(async |store| {
                for (tap, wait) in [(&late, Duration::from_secs(30)), (&soon, Duration::from_secs(30))] {
                    let payload = serde_json::to_string(tap).unwrap();
                    store.receive_tap("slack", &tap.dedup_key, &tap.request, &payload, None, clock.now()).await.unwrap();
                    clock.advance(wait);
                }
            })
            .await;
        judged(&app).await;
        assert_eq!(app.client("agent").reads(&fresh["id"]).await["status"], "approved");
        assert_eq!(app.client("agent").reads(&stale["id"]).await["status"], "pending");
        assert_eq!(told(&app, "U0DAVE", 1).await, ["Your tap took too long to process, so nothing was decided. Please tap again."]);
        assert_eq!(refusals(&app, &stale).await, [("took_too_long".to_owned(), 1)]);
        app.finish().await;
    }
}
