//! Owns reading one request: who sees what of it, and how long a reader waits.

use super::{path, review};
use crate::support::app::{TestApp, export, key};
use crate::support::db::both_databases;
use serde_json::{Value, json};
use std::time::Duration;

both_databases! {
    async fn readers_see_no_secret_and_strangers_nothing(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let mut ask = export();
        ask["parameters"]["api_key"] = json!("correct-horse-battery");
        ask["sensitive"] = json!(["/destination"]);
        ask["state"] = json!("mine");
        ask["on_behalf_of"] = json!("grace@example.com");
        let mine = agent.asks(&ask).await;
        for reader in [app.client("reader"), app.person("bob@example.com").await, app.person("frank@example.com").await, app.person("alice@example.com").await, app.person("grace@example.com").await] {
            let seen = reader.reads(&mine["id"]).await;
            for secret in ["state", "nonce"] {
                assert!(!seen.as_object().unwrap().contains_key(secret), "{secret} is shown");
            }
            assert_eq!(seen["grant"], Value::Null);
            assert_eq!(seen["parameters"]["rows"], 120_000);
            let text = seen.to_string();
            assert!(!text.contains("partner-drop/") && !text.contains("correct-horse"), "{text}");
            assert_eq!((&seen["digest"], &seen["id"], &seen["version"]), (&mine["digest"], &mine["id"], &mine["version"]));
        }
        // Carol fills no seat of it, Erin is inactive, the service is nobody, the others did not ask.
        for email in ["carol@example.com", "erin@example.com"] {
            super::problem(app.person(email).await.get(&path(&mine)).await, 404, "not_found");
        }
        for client in ["other", "executor", "admin"] {
            let status = app.client(client).get(&path(&mine)).await.status;
            assert_eq!(status, if client == "admin" { 200 } else { 404 }, "{client}");
        }
        super::problem(app.stranger().get(&path(&mine)).await, 401, "unauthorized");
        // A granted request shows its token to the requester alone.
        app.person("bob@example.com").await.reviews(&mine, "approve").await.expect(201);
        assert!(agent.reads(&mine["id"]).await["grant"]["token"].is_string());
        assert_eq!(app.client("reader").reads(&mine["id"]).await["grant"], Value::Null);
        app.finish().await;
    }

    async fn a_session_changes_nothing_from_another_origin(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let mine = app.client("agent").asks(&export()).await;
        let signed_in = app.http.post(format!("{}/demo/{}/be", app.url, crate::support::app::DEMO_TOKEN)).form(&[("email", "bob@example.com")]).send().await.unwrap();
        let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let body = json!({"decision": "approve", "digest": mine["digest"]}).to_string();
        for origin in ["https://evil.example", "null", ""] {
            let headers = [("cookie", cookie.as_str()), ("origin", origin)];
            app.stranger().send("POST", &format!("{}/reviews", path(&mine)), Some(body.clone()), &headers).await.problem(401, "unauthorized");
        }
        // Reading needs no origin.
        app.stranger().send("GET", &path(&mine), None, &[("cookie", &cookie)]).await.expect(200);
        assert_eq!(app.client("agent").reads(&mine["id"]).await["status"], "pending");
        app.finish().await;
    }

    async fn a_waiting_reader_wakes_on_the_decision_only(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (agent, bob) = (app.client("agent"), app.person("bob@example.com").await);
        let mine = agent.asks(&export()).await;
        let waits = || async { app.eventually("somebody waits", async || app.running.app.engine.waiters.len() == 1).await };
        let (query, after) = (format!("{}?wait=50", path(&mine)), format!("{}?wait=50&after_version=1", path(&mine)));
        let (changed, ()) = tokio::join!(agent.get(&after), async {
            waits().await;
            review(&bob, &mine, &json!({"decision": "comment", "comment": "looking"})).await.expect(201);
        });
        let changed = changed.expect(200).body;
        assert_eq!((&changed["status"], &changed["version"]), (&json!("pending"), &json!(2)));
        assert_eq!(changed["reviews"][0]["comment"], "looking");
        let (decided, ()) = tokio::join!(agent.get(&query), async {
            waits().await;
            review(&bob, &mine, &json!({"decision": "comment", "comment": "still looking"})).await.expect(201);
            bob.reviews(&mine, "deny").await.expect(201);
        });
        assert_eq!(decided.expect(200).body["status"], "denied");
        // What is decided is answered at once, and a wait is cut to 50 s.
        let answer = agent.send("GET", &path(&mine), None, &[("prefer", "wait=999999999999999999999")]).await.expect(200);
        assert_eq!(answer.headers["preference-applied"], "wait=50");
        assert!(agent.get(&query).await.expect(200).headers.get("preference-applied").is_none());
        app.finish().await;
    }

    async fn when_nothing_happens_the_answer_is_the_present_state(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let mine = agent.asks(&export()).await;
        let answer = agent.send("GET", &path(&mine), None, &[("prefer", "wait=1")]).await.expect(200);
        assert_eq!((&answer.body["status"], &answer.body["version"]), (&json!("pending"), &json!(1)));
        assert_eq!(answer.headers["preference-applied"], "wait=1");
        assert_eq!(agent.get(&format!("{}?wait=0", path(&mine))).await.expect(200).body["status"], "pending");
        assert_eq!(agent.get(&format!("{}?after_version=99", path(&mine))).await.expect(200).body["status"], "pending");
        app.finish().await;
    }

    async fn a_server_that_stops_answers_those_who_wait(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let mine = app.client("agent").asks(&export()).await;
        let url = format!("{}{}?wait=50", app.url, path(&mine));
        let call = app.http.get(url).bearer_auth(key("agent"));
        let waiting = tokio::spawn(async move { call.send().await.unwrap() });
        app.eventually("somebody waits", async || app.running.app.engine.waiters.len() == 1).await;
        app.finish().await;
        let answer = waiting.await.unwrap();
        assert_eq!(answer.status(), 200);
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!((&body["status"], &body["id"]), (&json!("pending"), &mine["id"]));
    }

    async fn a_request_expires_to_the_second_and_wakes_its_caller(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (agent, bob) = (app.client("agent"), app.person("bob@example.com").await);
        let mut ask = export();
        ask["expires_in"] = json!(10);
        let mine = agent.asks(&ask).await;
        let query = format!("{}?wait=50", path(&mine));
        let (answer, ()) = tokio::join!(agent.get(&query), async {
            app.eventually("somebody waits", async || app.running.app.engine.waiters.len() == 1).await;
            app.clock.advance(Duration::from_secs(10));
            // Whether the schedule has come by or not, nobody decides any more.
            bob.reviews(&mine, "approve").await.problem(409, "already_decided");
        });
        let expired = answer.expect(200).body;
        assert_eq!(expired["status"], "expired");
        assert_eq!(expired["decided_by"], json!({"kind": "expiry"}));
        assert_eq!(expired["decided_at"], "2026-11-20T11:40:10.000Z");
        assert_eq!(
            expired["feedback"],
            "Expired at 2026-11-20T11:40:10Z: nobody decided in time. The action must not run; ask again if it is still needed."
        );
        app.finish().await;
    }
}
