//! One card through the life of its request: the same message, drawn anew, without buttons once nobody decides any more.

use super::{asked, buttons, card_when, judged, shown};
use crate::support::app::{CHANNEL, TestApp, export};
use crate::support::db::both_databases;
use crate::support::slack::model::Message;
use serde_json::{Value, json};
use std::time::Duration;

/// The card once its header begins with a word; it is the same message, and nobody can tap it.
async fn ends_as(app: &TestApp, request: &Value, first: &Message, word: &str) -> Message {
    let card =
        card_when(app, request, word, |card| card.blocks[0]["text"]["text"].as_str().is_some_and(|head| head.starts_with(word))).await;
    assert_eq!((card.ts.as_str(), buttons(&card)), (first.ts.as_str(), vec![]), "{word}");
    assert!(card.text.starts_with(word), "{}", card.text);
    assert_eq!(app.slack.messages(CHANNEL).iter().filter(|message| message.thread_ts.is_none()).count(), 1);
    card
}

async fn approved(app: &TestApp) -> (Value, Message) {
    let (request, card) = asked(app, &export()).await;
    app.slack.user("U0BOB").taps(&card, "cs.approve").await;
    judged(app).await;
    (app.client("agent").reads(&request["id"]).await, card)
}

fn path(request: &Value, what: &str) -> String {
    format!("/v1/requests/{}/{what}", request["id"].as_str().unwrap())
}

both_databases! {
    async fn an_approved_card_tells_by_whom_and_until_when(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, first) = approved(&app).await;
        let card = ends_as(&app, &request, &first, "Approved").await;
        assert!(shown(&card).contains("Bob Stone") && shown(&card).contains("*Grant* not used yet, good until"), "{}", shown(&card));
        app.finish().await;
    }

    async fn a_denied_card_tells_by_whom(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, first) = asked(&app, &export()).await;
        let body = json!({"decision": "deny", "comment": "wrong bucket"});
        app.person("alice@example.com").await.post(&path(&request, "reviews"), &body).await.expect(201);
        let card = ends_as(&app, &request, &first, "Denied").await;
        assert!(shown(&card).contains("Alice Liu") && shown(&card).contains("wrong bucket"), "{}", shown(&card));
        app.finish().await;
    }

    async fn an_expired_card_says_so(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, first) = asked(&app, &export()).await;
        app.clock.advance(Duration::from_hours(1));
        ends_as(&app, &request, &first, "Expired").await;
        assert_eq!(app.client("agent").reads(&request["id"]).await["status"], "expired");
        app.finish().await;
    }

    async fn a_cancelled_card_tells_why(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, first) = asked(&app, &export()).await;
        app.client("agent").post(&path(&request, "cancel"), &json!({"reason": "the run was stopped"})).await.expect(200);
        let card = ends_as(&app, &request, &first, "Cancelled").await;
        assert!(shown(&card).contains("the run was stopped"));
        app.finish().await;
    }

    async fn an_approval_that_nobody_used_lapses_on_the_card(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, first) = approved(&app).await;
        ends_as(&app, &request, &first, "Approved").await;
        app.clock.advance(Duration::from_mins(15));
        let card = ends_as(&app, &request, &first, "Lapsed").await;
        assert!(shown(&card).contains("*Grant* lapsed unused"));
        assert_eq!(app.client("agent").reads(&request["id"]).await["usable"], false);
        app.finish().await;
    }

    async fn a_revoked_card_says_that_the_grant_was_taken_back(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (request, first) = approved(&app).await;
        app.client("agent").post(&path(&request, "revoke"), &json!({"reason": "not needed"})).await.expect(200);
        let card = ends_as(&app, &request, &first, "Revoked").await;
        assert!(shown(&card).contains("*Grant* taken back"));
        app.finish().await;
    }

    async fn a_used_grant_and_its_outcome_stand_on_the_card(database: TestDatabase) {
        let app = TestApp::start(database).await;
        for (status, detail) in [("succeeded", "119 998 rows written"), ("failed", "the bucket is full")] {
            let (request, card) = asked(&app, &export()).await;
            app.slack.user("U0BOB").taps(&card, "cs.approve").await;
            judged(&app).await;
            let agent = app.client("agent");
            let approved = agent.reads(&request["id"]).await;
            agent.redeems(&approved["grant"]["token"], &approved["parameters"]).await.expect(200);
            let used = card_when(&app, &request, "used once", |card| shown(card).contains("*Grant* used once")).await;
            assert_eq!((used.ts.as_str(), buttons(&used)), (card.ts.as_str(), vec![]));
            agent.post(&path(&request, "outcome"), &json!({"status": status, "detail": detail})).await.expect(200);
            let told = card_when(&app, &request, status, |card| shown(card).contains(detail)).await;
            assert!(shown(&told).contains(&format!("{status}, as the caller reported")), "{}", shown(&told));
        }
        app.finish().await;
    }
}
