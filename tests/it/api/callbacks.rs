//! Owns callbacks: what is sent where, how it is signed, what becomes of it when the receiver fails, and what is refused.

use super::{oracle, path, problem, requests, review};
use crate::support::app::{Options, TestApp, WEBHOOK_SECRET, export};
use crate::support::clock::TestClock;
use crate::support::db::{TestDatabase, both_databases};
use crate::support::receiver::{Received, Receiver};
use countersign::domain::time::Clock as _;
use serde_json::{Value, json};
use std::time::Duration;

async fn server(database: TestDatabase, receiver: &Receiver) -> TestApp {
    TestApp::with(database, Options { callbacks_to: vec![receiver.host.clone()], ..Options::default() }).await
}

fn told(receiver: &Receiver, events: &[&str]) -> Value {
    let mut ask = export();
    ask["parameters"]["api_key"] = json!("correct-horse-battery");
    ask["sensitive"] = json!(["/destination"]);
    ask["state"] = json!("mine");
    ask["callback"] = json!({"url": receiver.url(), "events": events});
    ask
}

async fn arrives(app: &TestApp, receiver: &Receiver, count: usize) -> Vec<Received> {
    app.eventually("the callback arrives", async || receiver.received().len() >= count).await;
    let received = receiver.received();
    assert_eq!(received.len(), count);
    received
}

/// Until nothing is due any more.
async fn settled(app: &TestApp) {
    let store = &app.running.app.engine.store;
    app.eventually("no callback is due", async || store.callback_state(app.clock.now()).await.unwrap().waiting == 0).await;
}

async fn deliveries(app: &TestApp) -> Vec<Value> {
    app.events().await.into_iter().filter(|event| event["data"]["platform"] == "webhook").collect()
}

both_databases! {
    async fn a_decision_is_told_once_signed_and_masked(database: TestDatabase) {
        let receiver = Receiver::start().await;
        let app = server(database, &receiver).await;
        let (agent, bob) = (app.client("agent"), app.person("bob@example.com").await);
        let asked = agent.asks(&told(&receiver, &["terminal"])).await;
        review(&bob, &asked, &json!({"decision": "comment", "comment": "looking"})).await.expect(201);
        bob.reviews(&asked, "approve").await.expect(201);
        let message = arrives(&app, &receiver, 1).await.remove(0);
        let body = message.json();
        assert_eq!(body["type"], "request.terminal");
        assert_eq!(body["timestamp"], "2026-11-20T11:40:00.000Z");
        assert_eq!((&body["data"]["id"], &body["data"]["status"], &body["data"]["usable"]), (&asked["id"], &json!("approved"), &json!(true)));
        // As `requests:read` sees it.
        for secret in ["state", "nonce"] {
            assert!(!body["data"].as_object().unwrap().contains_key(secret), "{secret} is told");
        }
        assert_eq!(body["data"]["grant"], Value::Null);
        assert!(!message.body.contains("partner-drop/") && !message.body.contains("correct-horse"), "{}", message.body);
        assert_eq!(message.header("webhook-id"), format!("msg_{}_3", &asked["id"].as_str().unwrap()[4..]));
        assert_eq!(message.header("webhook-timestamp"), app.clock.now().as_seconds().to_string());
        assert!(message.header("user-agent").starts_with("countersign/"));
        // The published libraries of two languages verify it, and find every forgery.
        let seen = json!({
            "secret": WEBHOOK_SECRET,
            "now": app.clock.now().as_seconds(),
            "headers": {"webhook-id": message.header("webhook-id"), "webhook-timestamp": message.header("webhook-timestamp"), "webhook-signature": message.header("webhook-signature")},
            "body": message.body,
        });
        for script in ["webhooks.py", "webhooks.mjs"] {
            assert_eq!(oracle(script, &seen).await, json!({"verified": body, "forgeries_refused": 5}), "{script}");
        }
        // Minting is nobody's news; the evidence has no address.
        agent.reads(&asked["id"]).await;
        settled(&app).await;
        app.eventually("the delivery is in the log", async || deliveries(&app).await.len() == 1).await;
        let evidence = deliveries(&app).await.remove(0);
        assert_eq!(evidence["type"], "delivery.posted");
        assert_eq!(evidence["data"], json!({"platform": "webhook", "message": message.header("webhook-id"), "event": "request.terminal", "attempts": 1}));
        assert_eq!(receiver.received().len(), 1);
        app.finish().await;
    }

    async fn updates_are_told_under_their_own_name_and_the_decision_under_its(database: TestDatabase) {
        let receiver = Receiver::start().await;
        let app = server(database, &receiver).await;
        let (agent, bob) = (app.client("agent"), app.person("bob@example.com").await);
        let ask = told(&receiver, &["updated", "terminal"]);
        let asked = agent.asks(&ask).await;
        review(&bob, &asked, &json!({"decision": "comment", "comment": "looking"})).await.expect(201);
        arrives(&app, &receiver, 1).await;
        bob.reviews(&asked, "approve").await.expect(201);
        arrives(&app, &receiver, 2).await;
        let token = agent.reads(&asked["id"]).await["grant"]["token"].clone();
        agent.redeems(&token, &ask["parameters"]).await.expect(200);
        arrives(&app, &receiver, 3).await;
        agent.post(&format!("{}/outcome", path(&asked)), &json!({"status": "succeeded"})).await.expect(200);
        let messages = arrives(&app, &receiver, 4).await;
        let types: Vec<Value> = messages.iter().map(|message| message.json()["type"].clone()).collect();
        assert_eq!(types, ["request.updated", "request.terminal", "request.updated", "request.updated"]);
        assert_eq!(messages[2].json()["data"]["grant_reason"], "redeemed");
        assert_eq!(messages[3].json()["data"]["outcome"]["status"], "succeeded");
        // What policy decides at once is told as well; the receiver may not be who asked.
        let mut allowed = told(&receiver, &["terminal"]);
        allowed["action"] = json!("db.read");
        agent.asks(&allowed).await;
        let last = arrives(&app, &receiver, 5).await.remove(4).json();
        assert_eq!((&last["type"], &last["data"]["status"]), (&json!("request.terminal"), &json!("approved")));
        app.finish().await;
    }

    async fn what_fails_is_tried_again_as_the_same_message_until_it_is_a_dead_letter(database: TestDatabase) {
        let receiver = Receiver::start().await;
        let app = server(database, &receiver).await;
        let agent = app.client("agent");
        receiver.answers(&[500, 302, 429, 503, 400, 404, 500, 500, 500, 500]);
        let asked = agent.asks(&told(&receiver, &["terminal"])).await;
        agent.post(&format!("{}/cancel", path(&asked)), &json!({})).await.expect(200);
        for tries in 1..=10 {
            arrives(&app, &receiver, tries).await;
            settled(&app).await;
            let before = receiver.received().len();
            // A second before the pause of the specification is over, nothing happens.
            let pause = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400].get(tries - 1).copied();
            if let Some(seconds) = pause {
                app.clock.advance(Duration::from_secs(seconds - 1));
                let due = app.running.app.engine.claim_callbacks("test", 1).await.unwrap();
                assert_eq!((due, receiver.received().len()), (Vec::new(), before), "after try {tries}");
                app.clock.advance(Duration::from_secs(seconds / 8 + 2));
            }
        }
        app.eventually("the letter is dead", async || deliveries(&app).await.len() == 1).await;
        let received = receiver.received();
        let first = &received[0];
        for repeat in &received {
            assert_eq!((repeat.header("webhook-id"), &repeat.body), (first.header("webhook-id"), &first.body));
        }
        assert_ne!(received[9].header("webhook-timestamp"), first.header("webhook-timestamp"));
        assert_ne!(received[9].header("webhook-signature"), first.header("webhook-signature"));
        let evidence = deliveries(&app).await.remove(0);
        assert_eq!((&evidence["type"], &evidence["data"]["code"]), (&json!("delivery.failed"), &json!("http_500")));
        let ready = app.stranger().get("/readyz").await.expect(200).body;
        assert_eq!((&ready["status"], &ready["degraded"]["dead_letters"]), (&json!("ready"), &json!(1)));
        app.finish().await;
    }

    async fn a_receiver_that_is_gone_is_not_called_again(database: TestDatabase) {
        let receiver = Receiver::start().await;
        let app = server(database, &receiver).await;
        let (agent, bob) = (app.client("agent"), app.person("bob@example.com").await);
        receiver.answers(&[410]);
        let asked = agent.asks(&told(&receiver, &["updated"])).await;
        review(&bob, &asked, &json!({"decision": "comment", "comment": "one"})).await.expect(201);
        arrives(&app, &receiver, 1).await;
        app.eventually("it is given up", async || deliveries(&app).await.len() == 1).await;
        assert_eq!(deliveries(&app).await[0]["data"]["code"], "http_410");
        bob.reviews(&asked, "deny").await.expect(201);
        app.clock.advance(Duration::from_hours(100));
        settled(&app).await;
        assert_eq!(receiver.received().len(), 1);
        app.finish().await;
    }

    async fn another_replica_takes_over_what_a_dead_one_had_in_hand(database: TestDatabase) {
        let receiver = Receiver::start().await;
        let app = server(database, &receiver).await;
        let agent = app.client("agent");
        // The first try never gets its answer, and its process is as good as dead.
        receiver.hold(true);
        let asked = agent.asks(&told(&receiver, &["terminal"])).await;
        agent.post(&format!("{}/cancel", path(&asked)), &json!({})).await.expect(200);
        arrives(&app, &receiver, 1).await;
        let clock = TestClock::new();
        let replica = app.replica(clock.clone()).await;
        clock.advance(Duration::from_secs(44));
        assert_eq!(replica.engine.claim_callbacks("other", 9).await.unwrap(), []);
        clock.advance(Duration::from_secs(1));
        let taken = replica.engine.claim_callbacks("other", 9).await.unwrap();
        assert_eq!(taken.len(), 1);
        receiver.hold(false);
        for callback in taken {
            replica.engine.call_back(callback).await.unwrap();
        }
        let received = arrives(&app, &receiver, 2).await;
        assert_eq!((received[0].header("webhook-id"), &received[0].body), (received[1].header("webhook-id"), &received[1].body));
        settled(&app).await;
        app.eventually("it is told once", async || deliveries(&app).await.len() == 1).await;
        replica.engine.store.close().await;
        app.finish().await;
    }

    async fn a_client_that_may_not_ask_any_more_is_told_nothing(database: TestDatabase) {
        let receiver = Receiver::start().await;
        let app = server(database, &receiver).await;
        let asked = app.client("agent").asks(&told(&receiver, &["terminal"])).await;
        let id = super::client_id(&app, "agent").await;
        app.client("admin").call("DELETE", &format!("/v1/clients/{id}"), None).await.expect(204);
        app.person("bob@example.com").await.reviews(&asked, "deny").await.expect(201);
        app.eventually("it is given up", async || deliveries(&app).await.len() == 1).await;
        assert_eq!(deliveries(&app).await[0]["data"]["code"], "client_disabled");
        assert!(receiver.received().is_empty());
        app.finish().await;
    }

    async fn nothing_is_created_for_a_callback_that_may_not_be(database: TestDatabase) {
        let receiver = Receiver::start().await;
        let app = server(database, &receiver).await;
        let mut ask = export();
        for (url, why) in [
            ("https://127.0.0.1/cs", "names an address that is not public"),
            ("https://0x7f.1/cs", "names an address that is not public"),
            ("https://[::ffff:169.254.169.254]/latest", "names an address that is not public"),
            ("https://metadata.google.internal./x", "names an address that is not public"),
            ("http://caller.example.com/cs", "must be an https URL"),
            ("https://user:secret@caller.example.com/", "must not carry credentials"),
            ("caller.example.com/cs", "is not an absolute URL"),
        ] {
            ask["callback"] = json!({"url": url});
            let answer = app.client("agent").post("/v1/requests", &ask).await;
            let detail = answer.body["errors"][0]["detail"].as_str().unwrap().to_owned();
            assert!(detail.starts_with(why), "{url}: {detail}");
            assert_eq!(problem(answer, 422, "callback_refused"), ["/callback/url"], "{url}");
        }
        // Without a secret nobody could tell a forgery from it.
        ask["callback"] = json!({"url": receiver.url()});
        let unsigned = app.client("other").post("/v1/requests", &ask).await;
        assert_eq!(problem(unsigned, 422, "callback_refused"), ["/callback"]);
        assert_eq!(requests(&app).await, 0);
        // The body is the caller's: it is not shown again.
        let created = app.client("agent").asks(&ask).await;
        assert!(created.get("callback").is_none());
        app.finish().await;
    }
}
