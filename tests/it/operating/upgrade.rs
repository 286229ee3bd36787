//! An upgrade: a database that the first release made and worked with, brought to the present form, and everything in it goes on.
//!
//! `tests/fixtures/first-release.json` holds its rows, its keys, and what its API answered about each request.

use crate::support::app::{Options, TestApp, export};
use crate::support::db::{TestDatabase, both_databases};
use serde_json::Value;
use std::time::Duration;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../fixtures/first-release.json")).unwrap()
}

/// Writes every row, in the order in which they depend on each other.
async fn fill(database: &TestDatabase, tables: &Value) {
    let (overriding, bytes) = if database.is_postgres() { (" OVERRIDING SYSTEM VALUE", "'\\x") } else { ("", "X'") };
    let literal = |value: &Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{}'", text.replace('\'', "''")),
        other => format!("{bytes}{}'", other["hex"].as_str().unwrap()),
    };
    for table in [
        "meta",
        "client",
        "client_key",
        "person",
        "policy_version",
        "policy_active",
        "request",
        "review",
        "tap",
        "delivery",
        "refusal",
        "audit_event",
        "audit_head",
    ] {
        let rows = tables[table].as_array().unwrap();
        assert!(!rows.is_empty() || table == "refusal", "{table} is not tried");
        for row in rows {
            let row = row.as_object().unwrap();
            let columns: Vec<&str> = row.keys().map(String::as_str).collect();
            let values: Vec<String> = row.values().map(literal).collect();
            database
                .tamper(&format!("INSERT INTO {table} ({}){overriding} VALUES ({})", columns.join(", "), values.join(", ")))
                .await
                .unwrap();
        }
    }
    if database.is_postgres() {
        for table in ["tap", "delivery"] {
            database
                .tamper(&format!("SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"))
                .await
                .unwrap();
        }
    }
}

fn keys(fixture: &Value) -> Vec<(String, String)> {
    let keys = fixture["keys"].as_object().unwrap().iter().map(|(name, body)| {
        let body = body.as_str().unwrap();
        let text = if name.contains(".pem") {
            format!("-----BEGIN {0}-----\n{body}\n-----END {0}-----\n", "PRIVATE KEY")
        } else {
            body.to_owned()
        };
        (name.clone(), text)
    });
    keys.collect()
}

both_databases! {
    async fn what_the_first_release_left_goes_on(database: TestDatabase) {
        let fixture = fixture();
        database.at_migration(fixture["schema"].as_i64().unwrap()).await;
        fill(&database, &fixture["tables"]).await;
        let public_url = fixture["public_url"].as_str().map(str::to_owned);
        let options = Options { keys: keys(&fixture), public_url, ..Options::default() };
        let app = TestApp::with(database, options).await;
        app.clock.advance(Duration::from_secs(60));
        let (agent, reader) = (app.client("agent"), app.client("reader"));
        let id = |name: &str| fixture["requests"][name]["id"].clone();

        // Every request is read as it was.
        let before = fixture["tables"]["audit_event"].as_array().unwrap().len();
        for (name, wanted) in fixture["requests"].as_object().unwrap() {
            let read = reader.get(&format!("/v1/requests/{}", wanted["id"].as_str().unwrap())).await.expect(200).body;
            for (member, value) in wanted.as_object().unwrap() {
                assert_eq!(&read[member], value, "{name}: {member}");
            }
        }
        // A grant that was in hand is good, once. What was used, revoked or frozen stays so.
        let grant = &fixture["grant"];
        agent.redeems(&grant["token"], &grant["parameters"]).await.expect(200);
        agent.redeems(&grant["token"], &grant["parameters"]).await.problem(409, "grant_already_redeemed");
        for name in ["used", "revoked", "frozen"] {
            assert_eq!(reader.get(&format!("/v1/requests/{}", id(name).as_str().unwrap())).await.body["usable"], false, "{name}");
        }
        app.client("other").post("/v1/requests", &export()).await.problem(403, "client_frozen");
        // What waited is decided: with one seat, with the second of two, and after an edit.
        let (bob, carol) = (app.person("bob@example.com").await, app.person("carol@example.com").await);
        bob.reviews(&reader.reads(&id("pending")).await, "approve").await.expect(201);
        for name in ["half_way", "edited"] {
            carol.reviews(&reader.reads(&id(name)).await, "approve").await.expect(201);
        }
        for name in ["pending", "half_way", "edited"] {
            let read = agent.reads(&id(name)).await;
            assert_eq!(read["status"], "approved", "{name}");
            let parameters = if name == "edited" { &read["final_parameters"] } else { &read["parameters"] };
            agent.redeems(&read["grant"]["token"], parameters).await.expect(200);
        }
        // An idempotency key still leads to its request, a key made through the API still opens.
        let again = [("content-type", "application/json"), ("idempotency-key", "first-release-1")];
        assert_eq!(agent.send("POST", "/v1/requests", Some(export().to_string()), &again).await.expect(200).body["id"], id("pending"));
        let bearer = format!("Bearer {}", fixture["client_key"].as_str().unwrap());
        app.stranger().send("GET", "/v1/requests", None, &[("authorization", &bearer)]).await.expect(200);
        // The log goes on behind its last event; the end of the test verifies it whole, signed heads included.
        assert!(app.events().await.len() > before);
        app.finish().await;
    }
}
