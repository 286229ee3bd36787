//! Owns `Idempotency-Key`: the same create again is the same request, and nothing else is ever replayed.

use super::{path, problem, requests};
use crate::support::app::{Answer, ApiClient, TestApp, export};
use crate::support::db::both_databases;
use futures::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;

async fn create(who: &ApiClient<'_>, key: &str, body: &str) -> Answer {
    who.send("POST", "/v1/requests", Some(body.to_owned()), &[("idempotency-key", key)]).await
}

both_databases! {
    async fn the_same_create_is_the_same_request_in_its_present_state(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let first = create(&agent, "k 1", &export().to_string()).await.expect(201);
        assert!(first.headers.get("idempotent-replayed").is_none());
        // Space and order do not make another body.
        let pretty = serde_json::to_string_pretty(&export()).unwrap().replace("120000", "1.2e5");
        let again = create(&agent, "k 1", &pretty).await.expect(200);
        assert_eq!(again.headers["idempotent-replayed"], "true");
        assert_eq!(again.headers["location"], first.headers["location"]);
        assert_eq!(again.body["id"], first.body["id"]);
        app.person("bob@example.com").await.reviews(&first.body, "approve").await.expect(201);
        let decided = create(&agent, "k 1", &pretty).await.expect(200).body;
        assert_eq!(decided["status"], "approved");
        assert_eq!(decided["grant"], agent.reads(&first.body["id"]).await["grant"]);
        // The wait of a replay is a wait.
        let headers = [("idempotency-key", "k 1"), ("prefer", "wait=5")];
        let waited = agent.send("POST", "/v1/requests", Some(pretty.clone()), &headers).await.expect(200);
        assert_eq!(waited.headers["preference-applied"], "wait=5");
        // Another body, another client, another key.
        problem(create(&agent, "k 1", r#"{"action": "db.export"}"#).await, 422, "idempotency_key_reused");
        let foreign = create(&app.client("other"), "k 1", &pretty).await.expect(201).body;
        assert_ne!(foreign["id"], first.body["id"]);
        create(&agent, "k 2", &pretty).await.expect(201);
        assert_eq!(requests(&app).await, 3);
        app.finish().await;
    }

    async fn a_key_that_was_refused_is_still_free(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        problem(create(&agent, "k", r#"{"action": "explained.x"}"#).await, 422, "requirement_missing");
        create(&agent, "k", r#"{"action": "explained.x", "justification": "now"}"#).await.expect(201);
        for key in ["", "é", "a\tb"] {
            problem(create(&agent, key, r#"{"action": "a.b"}"#).await, 400, "malformed");
        }
        problem(create(&agent, &"k".repeat(256), r#"{"action": "a.b"}"#).await, 400, "malformed");
        create(&agent, &"k".repeat(255), r#"{"action": "a.b"}"#).await.expect(201);
        let twice = agent.send("POST", "/v1/requests", Some(r#"{"action": "a.b"}"#.to_owned()), &[("idempotency-key", "x"), ("idempotency-key", "y")]).await;
        problem(twice, 400, "malformed");
        assert_eq!(requests(&app).await, 2);
        app.finish().await;
    }

    async fn of_thirty_two_at_once_one_creates(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let body = export().to_string();
        let answers = join_all((0..32).map(|_| create(&agent, "race", &body))).await;
        let created = answers.iter().filter(|answer| answer.status == 201).count();
        let replayed = answers.iter().filter(|answer| answer.status == 200 && answer.headers["idempotent-replayed"] == "true").count();
        assert_eq!((created, replayed), (1, 31));
        let ids: BTreeSet<String> = answers.iter().map(|answer| answer.body["id"].to_string()).collect();
        assert_eq!((ids.len(), requests(&app).await), (1, 1));
        assert_eq!(app.events().await.iter().filter(|event| event["type"] == "request.created").count(), 1);
        // Of thirty-two different bodies one wins, and the others are told.
        let bodies: Vec<String> = (0..32).map(|number| json!({"action": "a.b", "parameters": {"n": number}}).to_string()).collect();
        let answers = join_all(bodies.iter().map(|body| create(&agent, "race 2", body))).await;
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((count(201), count(422)), (1, 31));
        app.finish().await;
    }

    async fn elsewhere_a_key_means_nothing(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let allowed = create(&agent, "k", r#"{"action": "db.read"}"#).await.expect(201).body;
        let body = json!({"token": allowed["grant"]["token"], "parameters": {}}).to_string();
        let headers = [("idempotency-key", "k")];
        agent.send("POST", "/v1/grants/redeem", Some(body.clone()), &headers).await.expect(200);
        problem(agent.send("POST", "/v1/grants/redeem", Some(body), &headers).await, 409, "grant_already_redeemed");
        let pending = agent.asks(&export()).await;
        agent.send("POST", &format!("{}/cancel", path(&pending)), None, &headers).await.expect(200);
        problem(agent.send("POST", &format!("{}/cancel", path(&pending)), None, &headers).await, 409, "already_decided");
        let replay = create(&agent, "k", r#"{"action": "db.read"}"#).await.expect(200).body;
        assert_eq!((&replay["grant"], &replay["grant_reason"]), (&Value::Null, &json!("redeemed")));
        app.finish().await;
    }
}
