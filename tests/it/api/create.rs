//! Owns `POST /v1/requests`: every member, every default, every refusal that creates nothing.

use super::{path, problem, requests};
use crate::support::app::{DIRECTORY, Options, POLICY, TestApp, export};
use crate::support::db::both_databases;
use serde_json::{Value, json};

fn everything() -> Value {
    json!({
        "action": "db.export",
        "resource": {"type": "table", "id": "prod/customers", "environment": "prod", "region": "eu"},
        "parameters": {"rows": 120_000, "destination": "s3://partner-drop/customers.csv", "deep": [{"x": null}, 1.5, "é\u{0}"]},
        "summary": "Export customers to the partner bucket",
        "justification": "Quarterly reconciliation,\nFIN-482",
        "context": {"source": "airflow dag=partner_sync", "data_scope": "customers: name"},
        "links": [{"title": "Run", "url": "https://airflow.example.com/r/1"}],
        "agent": {"session_id": "s1", "call_id": "toolu_01", "model": "m"},
        "on_behalf_of": "GRACE@example.com",
        "allowed_decisions": ["approve", "deny", "edit"],
        "edit_schema": {"type": "object", "properties": {"rows": {"type": "integer", "maximum": 120_000}}},
        "deny_options": [{"name": "use_staging", "title": "Use staging instead"}],
        "sensitive": ["/destination"],
        "expires_in": 600,
        "grant": {"audience": "executor", "ttl": 60},
        "state": "opaque \u{0} text",
    })
}

both_databases! {
    async fn every_member_comes_back(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let answer = agent.post("/v1/requests", &everything()).await.expect(201);
        let created = &answer.body;
        assert_eq!(answer.headers["location"], format!("{}{}", app.url, path(created)));
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert!(answer.headers.get("idempotent-replayed").is_none());
        for member in ["action", "resource", "parameters", "summary", "justification", "context", "links", "agent", "allowed_decisions", "edit_schema", "deny_options", "state"] {
            assert_eq!(created[member], everything()[member], "{member}");
        }
        let id = created["id"].as_str().unwrap();
        assert!(id.starts_with("req_") && id.len() == 30 && id[4..].bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()), "{id}");
        assert_eq!(created["status"], "pending");
        assert_eq!((&created["usable"], &created["edited"], &created["version"]), (&json!(false), &json!(false), &json!(1)));
        for absent in ["final_parameters", "decided_at", "decided_by", "reason", "feedback", "outcome", "grant", "grant_reason"] {
            assert!(created.as_object().unwrap().contains_key(absent), "{absent} is not there");
            assert_eq!(created[absent], Value::Null, "{absent}");
        }
        assert_eq!(created["nonce"].as_str().unwrap().len(), 32);
        assert_eq!(created["requester"]["name"], "agent");
        assert!(created["requester"]["client"].as_str().unwrap().starts_with("cli_"));
        assert_eq!(created["requester"]["on_behalf_of"]["email"], "grace@example.com");
        assert!(created["requester"]["on_behalf_of"]["id"].as_str().unwrap().starts_with("per_"));
        assert_eq!(created["policy"]["effect"], "review");
        assert!(created["policy"]["version"].as_str().unwrap().starts_with("sha256:"));
        assert_eq!(created["approval"]["seats"], json!([{"group": "data-governance", "count": 1, "filled_by": []}]));
        assert_eq!((&created["approval"]["required"], &created["approval"]["granted"]), (&json!(1), &json!(0)));
        assert_eq!(created["reviews"], json!([]));
        assert_eq!(created["created_at"], "2026-11-20T11:40:00.000Z");
        assert_eq!(created["expires_at"], "2026-11-20T11:50:00.000Z");
        assert_eq!(created["deliveries"][0]["channel"], "slack:C0PROD");
        assert_eq!(created["urls"]["self"], format!("{}{}", app.url, path(created)));
        // Read again, by the requester: the same, but for what the background adds.
        let mut again = agent.reads(&created["id"]).await;
        again["deliveries"] = created["deliveries"].clone();
        again["approval"]["eligible"] = created["approval"]["eligible"].clone();
        assert_eq!(again, *created);
        // Alice owns the client and Grace is who it is for: two of the four of the group are left.
        app.eventually("eligible people are counted", async || agent.reads(&created["id"]).await["approval"]["eligible"] == 2).await;
        app.finish().await;
    }

    async fn what_is_left_out_has_its_default(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let created = app.client("agent").asks(&json!({"action": "misc.thing", "summary": null})).await;
        assert_eq!(created["parameters"], json!({}));
        assert_eq!(created["allowed_decisions"], json!(["approve", "deny"]));
        assert_eq!((&created["resource"], &created["state"], &created["requester"]["on_behalf_of"]), (&Value::Null, &Value::Null, &Value::Null));
        assert_eq!(created["expires_at"], "2026-11-20T12:40:00.000Z");
        // The shortest of caller and routes holds.
        let longer = app.client("agent").asks(&json!({"action": "misc.thing", "expires_in": 7200})).await;
        assert_eq!(longer["expires_at"], "2026-11-20T12:40:00.000Z");
        let shorter = app.client("agent").asks(&json!({"action": "misc.thing", "expires_in": 10})).await;
        assert_eq!(shorter["expires_at"], "2026-11-20T11:40:10.000Z");
        app.finish().await;
    }

    async fn policy_decides_at_once_and_it_is_201_all_the_same(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let allowed = agent.post("/v1/requests", &json!({"action": "db.read"})).await.expect(201).body;
        assert_eq!(allowed["decided_by"], json!({"kind": "policy", "rules": ["read-only"]}));
        assert_eq!((&allowed["status"], &allowed["usable"]), (&json!("approved"), &json!(true)));
        assert!(allowed["grant"]["token"].is_string());
        assert_eq!(allowed["deliveries"], json!([]));
        let denied = agent.post("/v1/requests", &json!({"action": "db.drop"})).await.expect(201).body;
        assert_eq!(denied["decided_by"], json!({"kind": "policy", "rules": ["no-drop"]}));
        assert_eq!(denied["feedback"], "Denied by policy (rule no-drop). Do not retry unless the request changes.");
        assert_eq!((&denied["status"], &denied["grant"]), (&json!("denied"), &Value::Null));
        app.finish().await;
    }

    async fn for_whom_it_is_must_be_allowed_known_and_answered(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let ask = |person: &str| json!({"action": "misc.thing", "on_behalf_of": person});
        problem(agent.post("/v1/requests", &ask("mallory@elsewhere.example")).await, 403, "on_behalf_of_not_allowed");
        for unknown in ["nobody@example.com", "erin@example.com", "per_00000000000000000000000000"] {
            let pointers = problem(agent.post("/v1/requests", &ask(unknown)).await, 422, "on_behalf_of_unknown");
            assert_eq!(pointers, ["/on_behalf_of"], "{unknown}");
        }
        let grace = agent.asks(&ask("grace@example.com")).await["requester"]["on_behalf_of"]["id"].clone();
        // The pseudonym names the same person.
        assert_eq!(agent.asks(&ask(grace.as_str().unwrap())).await["requester"]["on_behalf_of"]["email"], "grace@example.com");
        // A client that acts for nobody may not name anybody.
        let made = app.client("admin").post("/v1/clients", &json!({"name": "alone", "scopes": ["requests:write"], "owner": "alice@example.com"})).await.expect(201).body;
        let bearer = format!("Bearer {}", made["key"].as_str().unwrap());
        let answer = app.stranger().send("POST", "/v1/requests", Some(ask("grace@example.com").to_string()), &[("authorization", &bearer)]).await;
        problem(answer, 403, "on_behalf_of_not_allowed");
        std::fs::write(app.files.path().join("directory.toml"), "[[person]\n").unwrap();
        let answer = agent.post("/v1/requests", &ask("grace@example.com")).await;
        assert!(answer.headers.contains_key("retry-after"));
        problem(answer, 503, "directory_unavailable");
        assert_eq!(requests(&app).await, 2);
        // Without a person, creating asks no directory.
        agent.asks(&json!({"action": "misc.thing"})).await;
        std::fs::write(app.files.path().join("directory.toml"), DIRECTORY).unwrap();
        agent.asks(&ask("grace@example.com")).await;
        app.finish().await;
    }

    async fn an_audience_must_be_able_to_redeem(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let ask = |audience: &str| json!({"action": "misc.thing", "grant": {"audience": audience}});
        for wrong in ["nobody", "other", "reader"] {
            let pointers = problem(app.client("agent").post("/v1/requests", &ask(wrong)).await, 422, "unknown_audience");
            assert_eq!(pointers, ["/grant/audience"], "{wrong}");
        }
        app.client("agent").asks(&ask("executor")).await;
        // The requester's own name is always an audience.
        app.client("other").asks(&ask("other")).await;
        let executor = super::client_id(&app, "executor").await;
        app.client("admin").call("DELETE", &format!("/v1/clients/{executor}"), None).await.expect(204);
        problem(app.client("agent").post("/v1/requests", &ask("executor")).await, 422, "unknown_audience");
        assert_eq!(requests(&app).await, 2);
        app.finish().await;
    }

    async fn what_policy_requires_must_be_there(database: TestDatabase) {
        let policy = format!("{POLICY}\n[[rule]]\nid = \"strict\"\neffect = \"review\"\nmatch = {{ action = \"strict.*\" }}\nrequire = [\"justification\", \"resource\", \"on_behalf_of\"]\n");
        let app = TestApp::with(database, Options { policy, ..Options::default() }).await;
        let agent = app.client("agent");
        let mut pointers = problem(agent.post("/v1/requests", &json!({"action": "strict.one", "justification": "  "})).await, 422, "requirement_missing");
        pointers.sort();
        assert_eq!(pointers, ["/justification", "/on_behalf_of", "/resource"]);
        assert_eq!(requests(&app).await, 0);
        agent.asks(&json!({"action": "strict.one", "justification": "because", "resource": {}, "on_behalf_of": "grace@example.com"})).await;
        app.finish().await;
    }

    async fn evaluate_says_the_same_and_does_nothing(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let before = app.events().await.len();
        let mut dual = export();
        dual["action"] = json!("dual.export");
        let said = agent.post("/v1/evaluate", &dual).await.expect(200).body;
        assert_eq!((&said["effect"], &said["rules"]), (&json!("review"), &json!(["dual"])));
        assert_eq!(said["seats"].as_array().unwrap().len(), 2);
        assert!(said["explanation"].is_string());
        assert_eq!(agent.post("/v1/evaluate", &json!({"action": "db.read"})).await.expect(200).body["effect"], "allow");
        assert_eq!(agent.post("/v1/evaluate", &json!({"action": "db.drop"})).await.expect(200).body["effect"], "deny");
        assert_eq!(requests(&app).await, 0);
        assert_eq!(app.events().await.len(), before);
        app.finish().await;
    }

    async fn a_create_can_wait_for_its_decision(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (agent, bob) = (app.client("agent"), app.person("bob@example.com").await);
        let (created, ()) = tokio::join!(
            agent.send("POST", "/v1/requests", Some(export().to_string()), &[("prefer", "respond-async, wait=30")]),
            async {
                app.eventually("somebody waits", async || app.running.app.engine.waiters.len() == 1).await;
                let request = app.client("reader").get("/v1/requests").await.expect(200).body["items"][0].clone();
                bob.reviews(&request, "approve").await.expect(201);
            }
        );
        let created = created.expect(201);
        assert_eq!(created.headers["preference-applied"], "wait=30");
        assert_eq!(created.body["status"], "approved");
        assert!(created.body["grant"]["token"].is_string());
        app.finish().await;
    }
}
