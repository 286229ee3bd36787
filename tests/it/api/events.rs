//! Owns the streams of server-sent events: what they show, where they go on, when they end.

use super::{client_id, path, review};
use crate::support::app::{Options, TestApp, export};
use crate::support::db::both_databases;
use crate::support::stream::Event;
use serde_json::{Value, json};
use std::time::Duration;

fn events(request: &Value) -> String {
    format!("{}/events", path(request))
}

/// A server whose streams say often that they are alive.
async fn lively(database: crate::support::db::TestDatabase) -> TestApp {
    TestApp::with(database, Options { ping: Duration::from_millis(20), ..Options::default() }).await
}

#[track_caller]
fn shows_no_secret(event: &Event) {
    for secret in ["state", "nonce"] {
        assert!(!event.data.as_object().unwrap().contains_key(secret), "{secret} is shown");
    }
    assert_eq!(event.data["grant"], Value::Null);
    let text = event.data.to_string();
    assert!(!text.contains("partner-drop/") && !text.contains("correct-horse"), "{text}");
}

both_databases! {
    async fn a_stream_shows_a_request_from_its_first_state_to_its_last(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (agent, bob) = (app.client("agent"), app.person("bob@example.com").await);
        let mut ask = export();
        ask["parameters"]["api_key"] = json!("correct-horse-battery");
        ask["sensitive"] = json!(["/destination"]);
        ask["state"] = json!("mine");
        let asked = agent.asks(&ask).await;
        assert_eq!(asked["urls"]["events"], format!("{}{}", app.url, events(&asked)));
        let mut stream = agent.stream(&events(&asked), None).await;
        assert_eq!(stream.status, 200);
        assert_eq!(stream.headers["content-type"], "text/event-stream");
        assert_eq!(stream.headers["cache-control"], "no-store");
        let first = stream.next().await.unwrap();
        assert_eq!((first.name.as_str(), first.id.as_str(), &first.data["status"]), ("request.updated", "1", &json!("pending")));
        shows_no_secret(&first);

        review(&bob, &asked, &json!({"decision": "comment", "comment": "looking"})).await.expect(201);
        let commented = stream.next().await.unwrap();
        assert_eq!((commented.id.as_str(), &commented.data["reviews"][0]["comment"]), ("2", &json!("looking")));
        bob.reviews(&asked, "approve").await.expect(201);
        let approved = stream.next().await.unwrap();
        assert_eq!((approved.id.as_str(), &approved.data["status"], &approved.data["usable"]), ("3", &json!("approved"), &json!(true)));
        shows_no_secret(&approved);
        // The token is in the requester's read alone.
        let token = agent.reads(&asked["id"]).await["grant"]["token"].clone();
        let minted = stream.next().await.unwrap();
        assert_eq!(minted.id, "4");
        shows_no_secret(&minted);
        agent.redeems(&token, &ask["parameters"]).await.expect(200);
        let redeemed = stream.next().await.unwrap();
        assert_eq!((redeemed.id.as_str(), &redeemed.data["grant_reason"]), ("5", &json!("redeemed")));
        agent.post(&format!("{}/outcome", path(&asked)), &json!({"status": "succeeded"})).await.expect(200);
        let last = stream.next().await.unwrap();
        assert_eq!((last.id.as_str(), &last.data["outcome"]["status"]), ("6", &json!("succeeded")));
        // Nothing can follow any more.
        assert_eq!(stream.next().await, None);
        app.finish().await;
    }

    async fn a_stream_goes_on_where_it_was_left(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (agent, bob) = (app.client("agent"), app.person("bob@example.com").await);
        let asked = agent.asks(&export()).await;
        // The state that was seen is not told again ...
        let mut seen = agent.stream(&events(&asked), Some("1")).await;
        review(&bob, &asked, &json!({"decision": "comment", "comment": "one"})).await.expect(201);
        assert_eq!(seen.next().await.unwrap().id, "2");
        drop(seen);
        // ... and what happened meanwhile is told as the state that it led to.
        review(&bob, &asked, &json!({"decision": "comment", "comment": "two"})).await.expect(201);
        bob.reviews(&asked, "deny").await.expect(201);
        let mut again = agent.stream(&events(&asked), Some("2")).await;
        let denied = again.next().await.unwrap();
        assert_eq!((denied.id.as_str(), &denied.data["status"]), ("4", &json!("denied")));
        assert_eq!(again.next().await, None);
        // A browser that connects again after the end is told to stop; whoever has no state gets it.
        assert_eq!(agent.stream(&events(&asked), Some("4")).await.status, 204);
        for after in [None, Some("0"), Some("77")] {
            let mut whole = agent.stream(&events(&asked), after).await;
            assert_eq!(whole.next().await.unwrap().id, "4", "{after:?}");
            assert_eq!(whole.next().await, None);
        }
        for wrong in ["", "x", "-1", "+1", "1.0", "99999999999999999999"] {
            for stream in [events(&asked).as_str(), "/v1/events"] {
                let answer = agent.send("GET", stream, None, &[("last-event-id", wrong)]).await.problem(400, "malformed");
                assert_eq!(answer.body["detail"], "Last-Event-ID is not an id that this stream gave.");
            }
        }
        app.finish().await;
    }

    async fn everybody_follows_what_they_may_see(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let (agent, other) = (app.client("agent"), app.client("other"));
        let early = agent.asks(&export()).await;
        let mut of_agent = agent.stream("/v1/events", None).await;
        let mut of_other = other.stream("/v1/events", None).await;
        let mut of_reader = app.client("reader").stream("/v1/events", None).await;
        let mut of_carol = app.person("carol@example.com").await.stream("/v1/events", None).await;
        // Every stream has begun before anything happens.
        for stream in [&mut of_agent, &mut of_other, &mut of_reader, &mut of_carol] {
            assert!(stream.block().await.unwrap().contains("id: "));
        }
        let mine = agent.asks(&export()).await;
        let theirs = other.asks(&json!({"action": "dual.export"})).await;
        let of = |event: Event| event.data["id"].clone();
        assert_eq!(of(of_agent.next().await.unwrap()), mine["id"]);
        assert_eq!(of(of_other.next().await.unwrap()), theirs["id"]);
        let (first, second) = (of_reader.next().await.unwrap(), of_reader.next().await.unwrap());
        assert!(first.id.parse::<u64>().unwrap() < second.id.parse::<u64>().unwrap());
        assert_eq!((first.data.get("nonce"), first.data.get("state"), &first.data["grant"]), (None, None, &Value::Null));
        let last = second.id.clone();
        assert_eq!([of(first), of(second)], [mine["id"].clone(), theirs["id"].clone()]);
        // Carol has a seat in one of the two.
        assert_eq!(of(of_carol.next().await.unwrap()), theirs["id"]);
        // Whoever was away hears of the change, not of what came before it.
        drop(of_reader);
        app.person("bob@example.com").await.reviews(&mine, "deny").await.expect(201);
        let mut again = app.client("reader").stream("/v1/events", Some(&last)).await;
        let event = again.next().await.unwrap();
        assert_eq!((&event.data["id"], &event.data["status"]), (&mine["id"], &json!("denied")));
        // From the beginning: each request once or more, in order.
        let mut whole = app.client("reader").stream("/v1/events", Some("0")).await;
        assert_eq!(of(whole.next().await.unwrap()), early["id"]);
        let beyond = app.client("reader").send("GET", "/v1/events", None, &[("last-event-id", "999999")]).await.problem(400, "malformed");
        assert_eq!(beyond.body["detail"], "Last-Event-ID lies beyond the end of the log.");
        drop((of_agent, of_other, of_carol, again, whole));
        app.finish().await;
    }

    async fn the_log_is_streamed_as_it_is_read(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let reader = app.client("reader");
        app.client("agent").asks(&json!({"action": "db.read"})).await;
        let mut stream = reader.stream("/v1/audit/stream", Some("0")).await;
        let mut streamed = Vec::new();
        while streamed.last() != Some(&"grant.minted".to_owned()) {
            let event = stream.next().await.unwrap();
            let read = reader.get(&format!("/v1/audit/events?limit=1&after={}", event.id.parse::<u64>().unwrap() - 1)).await.expect(200).body;
            assert_eq!(event.data, read["items"][0]);
            assert_eq!((&json!(event.name), event.data["seq"].to_string()), (&event.data["type"], event.id));
            streamed.push(event.name);
        }
        assert!(streamed.contains(&"request.created".to_owned()), "{streamed:?}");
        // What belongs to no request wakes it as well.
        app.client("admin").post("/v1/clients", &json!({"name": "fresh", "scopes": []})).await.expect(201);
        while stream.next().await.unwrap().name != "client.created" {}
        drop(stream);
        app.finish().await;
    }

    async fn a_stream_ends_with_the_credential_behind_it(database: TestDatabase) {
        let app = lively(database).await;
        let admin = app.client("admin");
        let new = json!({"name": "guest", "scopes": ["requests:read", "audit:read"]});
        let made = admin.post("/v1/clients", &new).await.expect(201).body;
        let guest = app.with_key(made["key"].as_str().unwrap());
        let asked = app.client("agent").asks(&export()).await;
        let streams = [events(&asked), "/v1/events".to_owned(), "/v1/audit/stream".to_owned()];
        let mut open = Vec::new();
        for path in &streams {
            let mut stream = guest.stream(path, None).await;
            // It says that it is alive.
            while !stream.block().await.unwrap().starts_with(": ping") {}
            open.push(stream);
        }
        admin.call("DELETE", &format!("/v1/clients/{}", client_id(&app, "guest").await), None).await.expect(204);
        for mut stream in open {
            while stream.block().await.is_some() {}
        }
        // A key that runs out ends it in the same way.
        let made = admin.post("/v1/clients", &json!({"name": "visitor", "scopes": ["requests:read"]})).await.expect(201).body;
        let mut stream = app.with_key(made["key"].as_str().unwrap()).stream(&streams[0], None).await;
        assert!(stream.next().await.is_some());
        app.clock.advance(Duration::from_hours(24 * 400));
        while stream.block().await.is_some() {}
        app.finish().await;
    }

    async fn an_approval_that_lapses_ends_its_stream(database: TestDatabase) {
        let app = lively(database).await;
        let agent = app.client("agent");
        let allowed = agent.asks(&json!({"action": "db.read"})).await;
        let mut stream = agent.stream(&events(&allowed), None).await;
        assert!(stream.next().await.is_some());
        app.clock.advance(Duration::from_mins(16));
        while stream.block().await.is_some() {}
        app.finish().await;
    }

    async fn a_stopping_server_ends_its_streams_between_two_events(database: TestDatabase) {
        let app = TestApp::start(database).await;
        let agent = app.client("agent");
        let asked = agent.asks(&export()).await;
        let mut one = agent.stream(&events(&asked), None).await;
        let mut all = agent.stream("/v1/events", None).await;
        assert_eq!(one.next().await.unwrap().id, "1");
        let position = all.block().await.unwrap();
        app.running.stop().await.unwrap();
        assert_eq!((one.next().await, all.block().await), (None, None));
        assert!(position.starts_with(": ping\nid: "), "{position}");
    }
}
