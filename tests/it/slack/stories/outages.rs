//! A Slack that fails for minutes: in the end every card and every thread is right, nothing is lost, and nothing stands there
//! twice beyond what at-least-once allows. A Slack that refuses the app altogether is left alone until it accepts it again.

use super::{asked, buttons, comments, is_quiet, judged, shown, text, thread};
use crate::support::app::{CHANNEL, TestApp, export};
use crate::support::db::{TestDatabase, both_databases};
use crate::support::slack::{Fault, model::Message};
use countersign::domain::time::Clock as _;
use countersign::engine::outage::PROBE_EVERY;
use serde_json::{Value, json};
use std::time::Duration;

/// Cards of the channel that belong to a request.
fn cards(app: &TestApp, request: &Value) -> Vec<Message> {
    super::messages(&app.slack.lock(), request).into_iter().cloned().collect()
}

/// Lets minutes pass in steps in which the server can work.
async fn minutes_pass(app: &TestApp, minutes: u32) {
    for _ in 0..minutes * 6 {
        app.clock.advance(Duration::from_secs(10));
        app.running.app.engine.deliver_due("test").await.unwrap();
    }
}

/// Two requests with a card, then everything fails while one is decided, remarked upon and a third one comes in.
async fn life_goes_on_during(database: TestDatabase, fault: Fault) {
    let app = TestApp::start(database).await;
    let (decided, first) = asked(&app, &export()).await;
    let (remarked, second) = asked(&app, &export()).await;
    app.eventually("nothing is due", async || {
        app.clock.advance(Duration::from_secs(1));
        is_quiet(&app).await
    })
    .await;
    app.slack.all_fail(Some(fault));
    let bob = app.person("bob@example.com").await;
    bob.reviews(&decided, "approve").await.expect(201);
    for number in 1..=3 {
        comments(&bob, &remarked, &format!("remark {number}")).await;
        minutes_pass(&app, 1).await;
    }
    let late = app.client("agent").asks(&export()).await;
    minutes_pass(&app, 2).await;
    assert!(thread(&app, &first).is_empty() && thread(&app, &second).is_empty() && cards(&app, &late).is_empty());
    app.slack.all_fail(None);
    app.eventually("all of it is there", async || {
        app.clock.advance(Duration::from_secs(5));
        app.running.app.engine.deliver_due("test").await.unwrap();
        thread(&app, &first).len() == 1 && thread(&app, &second).len() == 3 && !cards(&app, &late).is_empty() && is_quiet(&app).await
    })
    .await;
    assert_eq!(thread(&app, &first), ["Approved by Bob Stone."]);
    let remarks = ["Bob Stone commented. / remark 1", "Bob Stone commented. / remark 2", "Bob Stone commented. / remark 3"];
    assert_eq!(thread(&app, &second), remarks);
    for (request, wanted) in [(&decided, "Bob Stone"), (&remarked, "remark 3"), (&late, "Approval needed")] {
        let [card] = cards(&app, request).try_into().unwrap_or_else(|cards| panic!("one card: {cards:?}"));
        assert!(shown(&card).contains(wanted), "{}", shown(&card));
    }
    assert!(buttons(&cards(&app, &decided)[0]).is_empty() && !buttons(&cards(&app, &late)[0]).is_empty());
    assert_eq!(app.running.app.engine.store.outbox_state(app.clock.now()).await.unwrap().dead, 0);
    app.finish().await;
}

both_databases! {
    async fn a_slack_that_limits_everything_for_minutes_is_waited_for(database: TestDatabase) {
        life_goes_on_during(database, Fault::RateLimited(20)).await;
    }

    async fn a_slack_that_fails_for_minutes_is_waited_for(database: TestDatabase) {
        life_goes_on_during(database, Fault::Status(500)).await;
    }

    async fn a_slack_that_does_not_answer_for_minutes_is_waited_for(database: TestDatabase) {
        life_goes_on_during(database, Fault::Cut).await;
    }

    async fn answers_that_get_lost_lead_to_one_card_that_is_right_and_others_that_lead_to_it_once_they_are_tapped(database: TestDatabase) {
        let app = TestApp::start(database).await;
        for _ in 0..2 {
            app.slack.fails("chat.postMessage", Fault::LostAnswer);
        }
        let request = app.client("agent").asks(&export()).await;
        app.eventually("three cards, of which one is known", async || {
            app.clock.advance(Duration::from_secs(2));
            cards(&app, &request).len() == 3 && is_quiet(&app).await
        })
        .await;
        let [first, second, known] = cards(&app, &request).try_into().unwrap();
        let bob = app.slack.user("U0BOB");
        bob.taps(&first, "cs.approve").await;
        judged(&app).await;
        app.slack.user("U0DAVE").taps(&second, "cs.approve").await;
        judged(&app).await;
        app.eventually("every card is right", async || {
            app.clock.advance(Duration::from_secs(1));
            let all = cards(&app, &request);
            all.iter().all(|card| buttons(card).is_empty())
                && all.iter().filter(|card| card.ts != known.ts).all(|card| shown(card).contains("See the newer card"))
        })
        .await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["reviews"].as_array().unwrap().len(), 1);
        app.finish().await;
    }

    async fn a_slack_that_refuses_the_app_is_left_alone_until_it_accepts_it_again(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, card) = asked(&app, &export()).await;
        app.slack.change(|model| model.token_error = Some("token_revoked".to_owned()));
        let mut waiting = vec![request.clone()];
        for _ in 0..5 {
            waiting.push(app.client("agent").asks(&export()).await);
        }
        app.person("bob@example.com").await.reviews(&request, "approve").await.expect(201);
        app.eventually("it is known to be down", async || {
            app.clock.advance(Duration::from_secs(1));
            !app.running.app.engine.outages.all().is_empty()
        }).await;
        let degraded = app.stranger().get("/readyz").await.expect(200).body["degraded"]["slack"].clone();
        assert_eq!(text(&degraded), "refuses this app (token_revoked): nothing is sent until it accepts it again");
        app.eventually("what was under way ended", async || app.running.app.engine.deliver_due("test").await.unwrap() == 0).await;
        let calls = |method: &str| app.slack.calls(method).len();
        let before = (calls("chat.postMessage"), calls("chat.update"), calls("conversations.info"));
        for _ in 0..20 {
            app.clock.advance(PROBE_EVERY);
            app.running.app.engine.probe_platforms().await.unwrap();
            assert_eq!(app.running.app.engine.deliver_due("test").await.unwrap(), 0, "nobody hammers");
        }
        assert_eq!((calls("chat.postMessage"), calls("chat.update"), calls("conversations.info")), before);
        assert!(calls("auth.test") >= 20, "asked now and then");
        assert_eq!(app.running.app.engine.store.outbox_state(app.clock.now()).await.unwrap().dead, 0, "nothing was given up");
        app.slack.change(|model| model.token_error = None);
        app.clock.advance(PROBE_EVERY);
        app.eventually("every card is there", async || {
            app.clock.advance(Duration::from_secs(1));
            waiting.iter().all(|request| cards(&app, request).len() == 1)
        }).await;
        app.eventually("and right", async || {
            app.clock.advance(Duration::from_secs(1));
            cards(&app, &request).iter().all(|card| buttons(card).is_empty()) && thread(&app, &card).len() == 1
        }).await;
        assert!(app.stranger().get("/readyz").await.expect(200).body["degraded"].get("slack").is_none());
        app.finish().await;
    }

    async fn a_card_in_the_hands_of_a_crashed_server_is_sent_by_the_next(database: TestDatabase) {
        let app = TestApp::start(database).await;
        app.slack.fails("chat.postMessage", Fault::RateLimited(30));
        let request = app.client("agent").asks(&export()).await;
        app.eventually("it was tried", async || app.client("agent").reads(&request["id"]).await["deliveries"][0]["error"] == json!("ratelimited")).await;
        let due = app.clock.now().plus(Duration::from_secs(30));
        app.clock.advance(Duration::from_secs(29));
        let sqlite = app.database.url().starts_with("sqlite");
        let app = app
            .restarted(async |store| {
                let taken = store.claim_deliveries(due, 16, countersign::engine::deliver::LEASE, "crashed", Vec::new()).await.unwrap();
                assert_eq!(taken.len(), 1);
            })
            .await;
        app.clock.advance(Duration::from_secs(1));
        if !sqlite {
            // Others may be alive there: only the end of the lease says that this one is not.
            app.clock.advance(countersign::engine::deliver::LEASE);
        }
        app.slack.until("the card", |model| (super::messages(model, &request).len() == 1).then_some(())).await;
        assert_eq!(app.slack.messages(CHANNEL).len(), 1);
        app.finish().await;
    }
}
