//! Owns what operators look at: health, readiness, metrics, the description of the API, and what every answer carries.

use crate::support::app::{TestApp, export};
use crate::support::db::both_databases;
use serde_json::{Value, json};

both_databases! {
    async fn alive_ready_and_degraded(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let stranger = app.stranger();
        assert_eq!(stranger.get("/healthz").await.expect(200).body, Value::from("ok\n"));
        assert_eq!(stranger.get("/readyz").await.expect(200).body, json!({"status": "ready", "degraded": {}}));
        std::fs::write(app.files.path().join("directory.toml"), "[[person]\n").unwrap();
        let degraded = stranger.get("/readyz").await.expect(200).body;
        assert_eq!(degraded["status"], "ready");
        assert!(degraded["degraded"]["directory"].is_string(), "{degraded}");
        app.finish().await;
    }

    async fn every_answer_carries_its_id_and_is_not_kept(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let traceparent = [("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), ("x-request-id", "mine")];
        let mut ids = std::collections::BTreeSet::new();
        for (path, status) in [("/v1/requests", 200), ("/v1/nothing", 404), ("/healthz", 200), ("/v1/clients", 403)] {
            let answer = agent.send("GET", path, None, &traceparent).await.expect(status);
            assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
            assert_eq!(answer.headers["x-content-type-options"], "nosniff");
            ids.insert(answer.headers["x-request-id"].to_str().unwrap().to_owned());
        }
        assert_eq!(ids.len(), 4);
        for path in ["/docs", "/openapi.json", "/.well-known/jwks.json"] {
            assert_eq!(agent.get(path).await.expect(200).headers["cache-control"], "public, max-age=300", "{path}");
        }
        app.finish().await;
    }

    async fn the_description_is_the_committed_one_and_has_a_page(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let served = app.stranger().get("/openapi.json").await.expect(200);
        assert_eq!(served.headers["content-type"], "application/json");
        let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json")).unwrap();
        assert_eq!(committed, countersign::http::openapi(), "run: cargo run -- openapi > docs/openapi.json");
        assert_eq!(served.body, serde_json::from_str::<Value>(&committed).unwrap());
        assert!(served.body["openapi"].as_str().unwrap().starts_with("3.1."));
        // Every reference leads somewhere, and every operation has its own id.
        let mut operations = std::collections::BTreeSet::new();
        for (path, methods) in served.body["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                assert!(operations.insert(operation["operationId"].as_str().unwrap().to_owned()), "{method} {path}: its id is taken");
                for (status, response) in operation["responses"].as_object().unwrap() {
                    assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{method} {path} {status}");
                    let json = response["content"].get("application/json").is_some();
                    assert!(!json || status.starts_with('2') || path == "/readyz", "{method} {path} {status}: refusals are problems");
                }
                assert!(operation["responses"].as_object().unwrap().keys().any(|status| status.starts_with('2')), "{method} {path}");
            }
        }
        let mut rest = vec![&served.body];
        while let Some(value) = rest.pop() {
            match value {
                Value::Object(members) => {
                    if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                        assert!(served.body.pointer(target.trim_start_matches('#')).is_some(), "{target} leads nowhere");
                    }
                    rest.extend(members.values());
                }
                Value::Array(items) => rest.extend(items),
                _ => {}
            }
        }
        let page = app.stranger().get("/docs").await.expect(200);
        assert!(page.headers["content-type"].to_str().unwrap().starts_with("text/html"));
        let html = page.body.as_str().unwrap();
        for path in served.body["paths"].as_object().unwrap().keys() {
            assert!(html.contains(path.as_str()) || html.contains(&path.replace('/', "&#x2f;")), "{path} is not on the page");
        }
        app.finish().await;
    }

    async fn an_answer_shows_nothing_that_is_not_described(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let served = app.stranger().get("/openapi.json").await.expect(200).body;
        let described = served["components"]["schemas"]["RequestView"]["properties"].as_object().unwrap();
        let created = app.client("agent").asks(&export()).await;
        for member in created.as_object().unwrap().keys() {
            assert!(described.contains_key(member), "{member} is not described");
        }
        app.finish().await;
    }
}
