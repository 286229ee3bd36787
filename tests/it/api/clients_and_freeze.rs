//! Owns clients, their keys and the freeze.

use super::{client_id, path, problem};
use crate::support::app::{Answer, TestApp, export};
use crate::support::db::both_databases;
use serde_json::{Value, json};
use std::time::Duration;

async fn with_key(app: &TestApp, key: &Value) -> Answer {
    let bearer = format!("Bearer {}", key.as_str().unwrap());
    app.stranger().send("GET", "/v1/requests", None, &[("authorization", &bearer)]).await
}

both_databases! {
    async fn clients_come_and_go_with_their_keys(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let admin = app.client("admin");
        let new = json!({"name": "bot", "scopes": ["requests:write", "grants:redeem"], "owner": "alice@example.com", "may_act_for": ["*@example.com"]});
        let made = admin.post("/v1/clients", &new).await.expect(201).body;
        for member in ["name", "owner", "may_act_for"] {
            assert_eq!(made[member], new[member]);
        }
        assert_eq!((&made["enabled"], &made["frozen_at"], &made["key_expires_at"]), (&json!(true), &Value::Null, &json!("2027-02-18T11:40:00.000Z")));
        assert!(made["key"].as_str().unwrap().starts_with("cs_"));
        with_key(&app, &made["key"]).await.expect(200);
        problem(admin.post("/v1/clients", &new).await, 409, "name_taken");
        for (body, slug, pointer) in [
            (json!({"name": "Bot!", "scopes": []}), "invalid_request", "/name"),
            (json!({"name": "b2", "scopes": ["everything"]}), "invalid_request", "/scopes/0"),
            (json!({"name": "b2", "scopes": ["requests:write"]}), "owner_required", "/owner"),
            (json!({"name": "b2", "scope": []}), "invalid_request", "/scope"),
            (json!({"name": "b2", "may_act_for": [1]}), "invalid_request", "/may_act_for/0"),
        ] {
            assert_eq!(problem(admin.post("/v1/clients", &body).await, 422, slug), [pointer]);
        }
        // Keys are shown once, and never again.
        let listed = admin.get("/v1/clients").await.expect(200).body;
        assert!(!listed.to_string().contains("cs_") && listed["items"].as_array().unwrap().len() == 6);
        let id = made["id"].as_str().unwrap();
        let second = admin.post(&format!("/v1/clients/{id}/keys"), &json!({})).await.expect(201).body;
        assert_ne!(second["key"], made["key"]);
        with_key(&app, &second["key"]).await.expect(200);
        with_key(&app, &made["key"]).await.expect(200);
        problem(admin.post("/v1/clients/cli_00000000000000000000000000/keys", &json!({})).await, 404, "not_found");
        assert_eq!(problem(admin.post(&format!("/v1/clients/{id}/keys"), &json!({"life": 1})).await, 422, "invalid_request"), ["/life"]);
        // A key ends after ninety days, a configured one does not.
        app.clock.advance(Duration::from_hours(90 * 24));
        problem(with_key(&app, &made["key"]).await, 401, "unauthorized");
        let third = admin.post(&format!("/v1/clients/{id}/keys"), &json!({})).await.expect(201).body;
        with_key(&app, &third["key"]).await.expect(200);
        admin.call("DELETE", &format!("/v1/clients/{id}"), None).await.expect(204);
        problem(with_key(&app, &third["key"]).await, 401, "unauthorized");
        let listed = admin.get("/v1/clients").await.expect(200).body;
        let disabled = listed["items"].as_array().unwrap().iter().find(|client| client["id"] == made["id"]).unwrap().clone();
        assert_eq!(disabled["enabled"], false);
        let kinds: Vec<Value> = app.events().await.iter().filter(|event| event["data"]["client"] == made["id"]).map(|event| event["type"].clone()).collect();
        assert_eq!(kinds, ["client.created", "client.changed", "client.changed", "client.changed"]);
        app.finish().await;
    }

    async fn clients_are_paged(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let admin = app.client("admin");
        let (mut names, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = admin.get(&format!("/v1/clients?limit=2{cursor}")).await.expect(200).body;
            names.extend(page["items"].as_array().unwrap().iter().map(|client| client["name"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        names.sort();
        assert_eq!(names, ["admin", "agent", "executor", "other", "reader"]);
        app.finish().await;
    }

    async fn a_frozen_client_can_do_nothing_and_its_grants_die(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (agent, admin, bob) = (app.client("agent"), app.client("admin"), app.person("bob@example.com").await);
        let (one, two) = (agent.asks(&export()).await, agent.asks(&export()).await);
        let granted = agent.asks(&json!({"action": "db.read", "grant": {"audience": "executor"}})).await;
        let client = format!("/v1/clients/{}", client_id(&app, "agent").await);
        let frozen = admin.post(&format!("{client}/freeze"), &json!({})).await.expect(200).body;
        assert_eq!(frozen["frozen_at"], "2026-11-20T11:40:00.000Z");
        problem(agent.post("/v1/requests", &export()).await, 403, "client_frozen");
        problem(agent.post("/v1/evaluate", &export()).await, 403, "client_frozen");
        problem(agent.post(&format!("{}/cancel", path(&one)), &json!({})).await, 403, "client_frozen");
        problem(bob.reviews(&one, "approve").await, 403, "client_frozen");
        assert_eq!(bob.reviews(&one, "deny").await.expect(201).body["status"], "denied");
        // Frozen goes before a mismatch.
        problem(app.client("executor").redeems(&granted["grant"]["token"], &json!({"x": 1})).await, 403, "frozen");
        assert_eq!(app.client("executor").post("/v1/grants/introspect", &json!({"token": granted["grant"]["token"]})).await.expect(200).body, json!({"active": false}));
        let seen = agent.reads(&granted["id"]).await;
        assert_eq!((&seen["status"], &seen["usable"], &seen["grant"], &seen["grant_reason"]), (&json!("approved"), &json!(false), &Value::Null, &json!("frozen")));
        assert_eq!(seen["feedback"], "The client was frozen, so its grants are void. The action must not run.");
        // Twice is once.
        admin.post(&format!("{client}/freeze"), &json!({})).await.expect(200);
        app.clock.advance(Duration::from_secs(1));
        assert_eq!(admin.post(&format!("{client}/unfreeze"), &json!({})).await.expect(200).body["frozen_at"], Value::Null);
        assert_eq!(app.events().await.iter().filter(|event| event["type"] == "client.frozen").count(), 2);
        // What died stays dead; what is pending goes on.
        problem(app.client("executor").redeems(&granted["grant"]["token"], &json!({})).await, 403, "frozen");
        assert_eq!(agent.reads(&granted["id"]).await["grant"], Value::Null);
        assert_eq!(bob.reviews(&two, "approve").await.expect(201).body["status"], "approved");
        let token = agent.reads(&two["id"]).await["grant"]["token"].clone();
        agent.redeems(&token, &two["parameters"]).await.expect(200);
        app.finish().await;
    }

    async fn a_frozen_executor_redeems_nothing(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let granted = app.client("agent").asks(&json!({"action": "db.read", "grant": {"audience": "executor"}})).await;
        let client = format!("/v1/clients/{}", client_id(&app, "executor").await);
        app.client("admin").post(&format!("{client}/freeze"), &json!({})).await.expect(200);
        problem(app.client("executor").redeems(&granted["grant"]["token"], &json!({})).await, 403, "frozen");
        app.client("admin").post(&format!("{client}/unfreeze"), &json!({})).await.expect(200);
        app.client("executor").redeems(&granted["grant"]["token"], &json!({})).await.expect(200);
        app.finish().await;
    }
}
