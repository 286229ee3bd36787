//! Owns reading the log through the API.

use crate::support::app::{TestApp, export};
use crate::support::db::both_databases;
use serde_json::{Value, json};
use std::time::Duration;

async fn types(app: &TestApp, query: &str) -> Vec<Value> {
    let page = app.client("reader").get(&format!("/v1/audit/events?limit=200&{query}")).await.expect(200).body;
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| !event["type"].as_str().unwrap().starts_with("delivery."))
        .map(|event| event["type"].clone())
        .collect()
}

both_databases! {
    async fn events_are_found_and_stand_as_they_were_hashed(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let mine = agent.asks(&export()).await;
        app.clock.advance(Duration::from_mins(1));
        let denied = app.person("bob@example.com").await.reviews(&mine, "deny").await.expect(201).body;
        let bob = denied["reviews"][0]["person"]["id"].as_str().unwrap().to_owned();
        app.client("other").asks(&json!({"action": "db.read", "resource": {"id": "x", "environment": "test"}})).await;
        let id = mine["id"].as_str().unwrap();
        let client = mine["requester"]["client"].as_str().unwrap();
        assert_eq!(types(&app, &format!("request={id}")).await, ["request.created", "review.recorded", "request.denied"]);
        assert_eq!(types(&app, &format!("person={bob}")).await, ["review.recorded", "request.denied"]);
        assert_eq!(types(&app, &format!("client={client}")).await, ["request.created"]);
        assert_eq!(types(&app, &format!("client={client}&person={bob}")).await, [Value::Null; 0]);
        assert_eq!(types(&app, "type=request.denied").await, ["request.denied"]);
        assert_eq!(types(&app, "type=nothing").await, [Value::Null; 0]);
        assert_eq!(types(&app, &format!("request={id}&from=2026-11-20T11:41:00Z")).await, ["review.recorded", "request.denied"]);
        assert_eq!(types(&app, &format!("request={id}&to=2026-11-20T11:41:00.000Z")).await, ["request.created"]);
        assert_eq!(types(&app, "action=db.export").await.len(), 3);
        assert_eq!(types(&app, "resource=x").await, ["request.created", "request.approved", "grant.minted"]);
        assert_eq!(types(&app, "environment=prod&type=request.created").await.len(), 1);
        assert_eq!(types(&app, "q=CUSTOMERS").await.len(), 3);
        assert_eq!(types(&app, "q=CUSTOMERS&environment=test").await, [Value::Null; 0]);
        let reader = app.client("reader");
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = reader.get(&format!("/v1/audit/events?limit=2{cursor}")).await.expect(200).body;
            found.extend(page["items"].as_array().unwrap().clone());
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&{}={next}", if found.len() % 4 == 0 { "after" } else { "cursor" });
        }
        for (number, event) in found.iter().enumerate() {
            assert_eq!(event["seq"], number + 1);
            for (member, prefix) in [("id", "evt_"), ("at", "2026-"), ("type", ""), ("leaf_hash", ""), ("chain_hash", "")] {
                assert!(event[member].as_str().is_some_and(|text| text.starts_with(prefix)), "{event}");
            }
            assert!(event["data"].is_object() && event["actor"]["kind"].is_string());
            assert!(event["request"].is_null() || event["request"].as_str().unwrap().starts_with("req_"));
            let mut stored = event.clone();
            for added in ["leaf_hash", "chain_hash"] {
                stored.as_object_mut().unwrap().remove(added);
            }
            let leaf = countersign::domain::audit::leaf_hash(serde_json_canonicalizer::to_string(&stored).unwrap().as_bytes());
            assert_eq!(event["leaf_hash"], countersign::domain::audit::hex(&leaf));
        }
        app.finish().await;
    }
}
