//! What only grows is forgotten by the server itself, and nothing else is.

use crate::support::app::{CHANNEL, TestApp, export};
use crate::support::db::both_databases;
use countersign::engine::admin::KEPT;
use std::time::Duration;

both_databases! {
    async fn a_week_later_finished_taps_are_gone_and_what_callers_rely_on_is_not(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let mine = agent.send("POST", "/v1/requests", Some(export().to_string()), &[("content-type", "application/json"), ("idempotency-key", "once")]).await.expect(201).body;
        let card = app.slack.until("a card", |model| model.channels[CHANNEL].messages.first().cloned()).await;
        app.slack.user("U0BOB").taps(&card, "cs.approve").await;
        app.eventually("approved", async || agent.reads(&mine["id"]).await["status"] == "approved").await;
        let events = app.events().await.len();
        assert_eq!(app.database.texts("SELECT outcome FROM tap").await.len(), 1);
        // One step before the week is over nothing goes; then a step of the background takes it.
        app.clock.advance(KEPT.checked_sub(Duration::from_secs(60)).unwrap());
        app.running.app.engine.prune().await.unwrap();
        assert_eq!(app.database.texts("SELECT outcome FROM tap").await.len(), 1);
        app.clock.advance(Duration::from_secs(120));
        let app = app.restarted(async |_| {}).await;
        app.eventually("the tap is forgotten", async || app.database.texts("SELECT outcome FROM tap").await.is_empty()).await;
        let again = app.client("agent").send("POST", "/v1/requests", Some(export().to_string()), &[("content-type", "application/json"), ("idempotency-key", "once")]).await.expect(200).body;
        assert_eq!((&again["id"], again["reviews"].as_array().unwrap().len()), (&mine["id"], 1));
        assert!(app.events().await.len() >= events);
        app.finish().await;
    }
}
