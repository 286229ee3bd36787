//! Owns the other ends of a request: taken back before and after the decision, and how the action went.

use super::{path, problem};
use crate::support::app::{TestApp, export};
use crate::support::db::both_databases;
use serde_json::{Value, json};

both_databases! {
    async fn the_requester_takes_back_what_is_pending(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let mine = agent.asks(&export()).await;
        let cancel = format!("{}/cancel", path(&mine));
        problem(app.client("other").post(&cancel, &json!({})).await, 404, "not_found");
        problem(app.client("reader").post(&cancel, &json!({})).await, 403, "missing_scope");
        problem(app.person("bob@example.com").await.post(&cancel, &json!({})).await, 403, "missing_scope");
        assert_eq!(problem(agent.post(&cancel, &json!({"resaon": "x"})).await, 422, "invalid_request"), ["/resaon"]);
        assert_eq!(problem(agent.post(&cancel, &json!({"reason": "r".repeat(4001)})).await, 422, "invalid_request"), ["/reason"]);
        let done = agent.post(&cancel, &json!({"reason": "no longer needed"})).await.expect(200).body;
        assert_eq!((&done["status"], &done["reason"]), (&json!("cancelled"), &json!("no longer needed")));
        assert_eq!(done["decided_by"], json!({"kind": "caller", "client": mine["requester"]["client"]}));
        assert_eq!(done["feedback"], "Cancelled by the client that asked. The action must not run.");
        problem(agent.post(&cancel, &json!({})).await, 409, "already_decided");
        problem(app.person("bob@example.com").await.reviews(&mine, "approve").await, 409, "already_decided");
        assert_eq!(app.client("reader").reads(&mine["id"]).await["status"], "cancelled");
        app.finish().await;
    }

    async fn who_may_take_an_approval_back(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let (bob, dave, frank) = (app.person("bob@example.com").await, app.person("dave@example.com").await, app.person("frank@example.com").await);
        let made = app.client("admin").post("/v1/clients", &json!({"name": "breaker", "scopes": ["clients:write"]})).await.expect(201).body;
        let breaker = format!("Bearer {}", made["key"].as_str().unwrap());
        for revoker in ["agent", "bob", "frank", "admin", "breaker"] {
            let mine = agent.asks(&export()).await;
            let revoke = format!("{}/revoke", path(&mine));
            problem(agent.post(&revoke, &json!({})).await, 409, "not_approved");
            bob.reviews(&mine, "approve").await.expect(201);
            let token = agent.reads(&mine["id"]).await["grant"]["token"].clone();
            // Dave could have approved, but did not; others are nobody here.
            problem(dave.post(&revoke, &json!({})).await, 403, "not_allowed");
            problem(app.client("reader").post(&revoke, &json!({})).await, 403, "not_allowed");
            problem(app.client("other").post(&revoke, &json!({})).await, 404, "not_found");
            let body = json!({"reason": "wrong bucket"});
            let done = match revoker {
                "bob" => bob.post(&revoke, &body).await,
                "frank" => frank.post(&revoke, &body).await,
                "breaker" => app.stranger().send("POST", &revoke, Some(body.to_string()), &[("authorization", &breaker)]).await,
                client => app.client(client).post(&revoke, &body).await,
            };
            let done = done.expect(200).body;
            assert_eq!((&done["status"], &done["usable"], &done["grant_reason"]), (&json!("approved"), &json!(false), &json!("revoked")), "{revoker}");
            assert_eq!((&done["reason"], &done["grant"]), (&json!("wrong bucket"), &Value::Null));
            assert_eq!(done["feedback"], "The approval was revoked. The action must not run.");
            problem(agent.redeems(&token, &mine["parameters"]).await, 403, "revoked");
            problem(agent.post(&revoke, &json!({})).await, 409, "nothing_to_revoke");
            assert_eq!(agent.reads(&mine["id"]).await["grant"], Value::Null);
            assert!(app.story(mine["id"].as_str().unwrap()).await.contains(&"request.revoked".to_owned()));
        }
        let used = agent.asks(&json!({"action": "db.read"})).await;
        agent.redeems(&used["grant"]["token"], &json!({})).await.expect(200);
        problem(agent.post(&format!("{}/revoke", path(&used)), &json!({})).await, 409, "nothing_to_revoke");
        app.finish().await;
    }

    async fn the_outcome_is_told_once_by_who_asked_or_redeemed(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let pending = agent.asks(&export()).await;
        let told = json!({"status": "succeeded", "detail": "exported", "touched": [{"type": "table", "id": "customers", "count": 3}, {"type": "file", "id": "x"}]});
        problem(agent.post(&format!("{}/outcome", path(&pending)), &told).await, 409, "not_approved");
        let mine = agent.asks(&json!({"action": "db.read", "grant": {"audience": "executor"}})).await;
        let outcome = format!("{}/outcome", path(&mine));
        for (body, pointer) in [
            (json!({}), "/status"),
            (json!({"status": "done"}), "/status"),
            (json!({"status": "failed", "touched": [{"type": "t"}]}), "/touched/0/id"),
            (json!({"status": "failed", "touched": [{"type": "t", "id": "x", "count": -1}]}), "/touched/0/count"),
            (json!({"status": "failed", "error": "x"}), "/error"),
        ] {
            assert_eq!(problem(agent.post(&outcome, &body).await, 422, "invalid_request"), [pointer]);
        }
        // The executor has redeemed nothing yet.
        problem(app.client("executor").post(&outcome, &told).await, 404, "not_found");
        app.client("executor").redeems(&mine["grant"]["token"], &json!({})).await.expect(200);
        problem(app.client("other").post(&outcome, &told).await, 404, "not_found");
        let seen = app.client("executor").post(&outcome, &told).await.expect(200).body;
        assert!(!seen.as_object().unwrap().contains_key("nonce"));
        assert_eq!((&seen["outcome"]["status"], &seen["outcome"]["touched"]), (&json!("succeeded"), &told["touched"]));
        problem(agent.post(&outcome, &told).await, 409, "outcome_already_reported");
        let read = agent.reads(&mine["id"]).await;
        assert_eq!((&read["outcome"]["detail"], &read["status"]), (&json!("exported"), &json!("approved")));
        app.finish().await;
    }

    async fn no_change_is_without_its_event(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let (bob, carol) = (app.person("bob@example.com").await, app.person("carol@example.com").await);
        let reader = app.client("reader");
        let mut ask = super::editable();
        ask["action"] = json!("dual.export");
        let ids: Vec<Value> = {
            let mut ids = Vec::new();
            for _ in 0..4 {
                ids.push(agent.asks(&ask).await["id"].clone());
            }
            ids.push(agent.asks(&json!({"action": "db.read"})).await["id"].clone());
            ids.push(agent.asks(&json!({"action": "db.drop"})).await["id"].clone());
            ids
        };
        let at = |index: usize, what: &str| format!("/v1/requests/{}/{what}", ids[index].as_str().unwrap());
        let digest = async |index: usize| reader.reads(&ids[index]).await["digest"].clone();
        let shown = reader.reads(&ids[0]).await["parameters"].clone();
        let mut edited = shown.clone();
        edited["rows"] = json!(7);
        let (zero, one) = (digest(0).await, digest(1).await);
        let steps: Vec<(&crate::support::app::ApiClient<'_>, String, Value)> = vec![
            (&bob, at(0, "reviews"), json!({"decision": "comment", "comment": "hm"})),
            (&bob, at(0, "reviews"), json!({"decision": "approve", "digest": zero})),
            (&bob, at(0, "reviews"), json!({"decision": "approve", "digest": zero})),
            (&carol, at(0, "reviews"), json!({"decision": "edit", "digest": zero, "parameters": edited})),
            (&carol, at(0, "reviews"), json!({"decision": "edit", "digest": zero, "parameters": edited})),
            (&bob, at(0, "reviews"), json!({"decision": "approve", "digest": zero})),
            (&bob, at(1, "reviews"), json!({"decision": "approve", "digest": one})),
            (&carol, at(1, "reviews"), json!({"decision": "approve", "digest": one})),
            (&agent, at(1, "cancel"), json!({})),
            (&agent, at(1, "revoke"), json!({})),
            (&agent, at(1, "revoke"), json!({})),
            (&bob, at(2, "reviews"), json!({"decision": "deny"})),
            (&bob, at(2, "reviews"), json!({"decision": "deny"})),
            (&agent, at(3, "cancel"), json!({})),
            (&agent, at(4, "outcome"), json!({"status": "failed"})),
            (&agent, at(4, "outcome"), json!({"status": "failed"})),
            (&agent, at(5, "revoke"), json!({})),
            (&agent, "/v1/evaluate".to_owned(), ask.clone()),
        ];
        let changes = |kind: &str| !kind.ends_with(".refused") && !kind.starts_with("delivery.");
        let state = async || {
            let mut state = Vec::new();
            for id in &ids {
                let mut seen = reader.reads(id).await;
                for background in ["deliveries", "approval"] {
                    seen[background] = Value::Null;
                }
                state.push((seen, app.story(id.as_str().unwrap()).await.into_iter().filter(|kind| changes(kind)).count()));
            }
            state
        };
        let mut before = state().await;
        for (who, path, body) in steps {
            let answer = who.post(&path, &body).await;
            let after = state().await;
            for ((old, old_events), (new, new_events)) in before.iter().zip(&after) {
                let changed = old != new;
                assert_eq!(changed, old["version"] != new["version"], "{path} {body}: {old} → {new}");
                assert_eq!(changed, old_events < new_events, "{path} {body}: {} and its events", answer.status);
                assert!(answer.status < 300 || !changed, "{path} {body} was refused and changed something");
            }
            before = after;
        }
        for (seen, events) in &before {
            assert!(*events as u64 >= seen["version"].as_u64().unwrap(), "{seen}");
        }
        app.finish().await;
    }
}
